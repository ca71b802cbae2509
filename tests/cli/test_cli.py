"""The command line, from recordings to the table."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

import skemo
from skemo import (
    ContextTransformer,
    CrossModalAttentionClassifier,
    ModalityAwareAttentionClassifier,
    PerSubject,
    compare,
    corrupt,
    make_modality_transformer,
    make_svm,
    segment,
)
from skemo.cli.experiments import (
    DATASETS,
    MODELS,
    DataSet,
    compute_inputs,
    decompose_conductance,
    make_models,
    modality_inputs,
)
from skemo.cli.main import main
from skemo.datasets import make_emotion_recordings
from skemo.evaluation.protocols import PROTOCOLS
from skemo.evaluation.scores import METRICS

QUICK = ["--models", "svm,dummy", "--n-jobs", "1"]


def load_few(data_home, target=None, on_error="raise"):
    return make_emotion_recordings(n_subjects=4, n_trials=2, random_state=0)


@pytest.fixture
def few(monkeypatch):
    """A small data set of the command line."""
    monkeypatch.setitem(DATASETS, "few", DataSet("four people", load_few))
    return ["compare", "--dataset", "few"]


@pytest.fixture(scope="module")
def windows():
    return segment(decompose_conductance(load_few(None)), duration=10.0)


def test_all_models_are_compared_and_written(few, tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    classifiers = [name for name, model in MODELS.items() if "classification" in model.tasks]
    arguments = ["--models", ",".join(classifiers), "--max-epochs", "1", "--n-jobs", "1"]
    assert main([*few, *arguments, "--output", str(folder)]) == 0
    out = capsys.readouterr().out
    for model in (MODELS[name] for name in classifiers):
        for modality in ("ecg", "eda", "eeg") if model.each_modality else ("",):
            assert f"| {model.title}{modality and ', '}{modality} |" in out
    assert "- windows: 48 of 10 s, from 4 subjects" in out
    assert "- classes: aroused 24, calm 24" in out
    assert "Optimistic" not in out
    table, folds = out.split("Balanced accuracy of each fold")
    assert (folder / "table.md").read_text(encoding="utf-8").strip() == table.strip()
    assert [line.split("|")[1].strip() for line in folds.splitlines() if ": 0" in line] == [
        "0: 00",
        "1: 01",
        "2: 02",
        "3: 03",
    ]
    scores = pd.read_csv(folder / "scores.csv", dtype={"subject": str})
    assert scores.columns.tolist() == [
        "dataset",
        "protocol",
        "normalization",
        "model",
        "repeat",
        "fold",
        "subject",
        *METRICS,
        "n_windows",
        "n_train",
        "fit_time",
        "predict_time",
    ]
    predictions = pd.read_csv(folder / "predictions.csv")
    assert len(predictions) == 48 * (len(classifiers) + 2)
    assert {"y_true", "y_pred", "probability calm"} <= set(predictions)
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8")
    assert not scores.duplicated(["model", "fold", "subject"]).any()
    assert len(scores) == (len(classifiers) + 2) * 4
    assert sorted(scores["subject"].unique()) == ["00", "01", "02", "03"]


def test_the_gap_is_printed_if_known_subjects_were_tested(few, capsys):
    protocols = ["--protocol", "segment-k-fold", "--protocol", "leave-one-subject-out"]
    assert main([*few, *QUICK, *protocols, "--normalization", "both"]) == 0
    out = capsys.readouterr().out
    assert out.count("**Optimistic.**") == 2
    assert "## The gap, raw" in out
    assert "## The gap, per-subject" in out
    section = out.split("## The gap, raw")[1]
    row = next(line for line in section.splitlines() if line.startswith("| SVM"))
    segments, subjects, gap = (float(cell.split()[0]) for cell in row.split("|")[2:5])
    assert gap == pytest.approx(segments - subjects, abs=0.11)
    assert "[" in row
    section = out.split("## What normalising by subject changes, leave-one-subject-out")[1]
    row = next(line for line in section.splitlines() if line.startswith("| SVM"))
    change = float(row.split("|")[2].split()[0])
    raw, own = (
        float(part.split("| SVM |")[1].split("|")[3].split()[0])
        for part in out.split("## leave-one-subject-out, ")[1:]
    )
    assert change == pytest.approx(own - raw, abs=0.11)


def test_one_protocol_alone_has_no_gap(few, capsys):
    assert main([*few, *QUICK, "--protocol", "segment-k-fold"]) == 0
    assert "The gap" not in capsys.readouterr().out


def test_the_table_has_the_mean_over_seeds(few, tmp_path, capsys):
    chosen = [item for name in PROTOCOLS if "trial" not in name for item in ("--protocol", name)]
    with pytest.warns(UserWarning, match="To know the trial is to know the label"):
        main([*few, *QUICK, "--seeds", "2", *chosen, "--output", str(tmp_path)])
    out = capsys.readouterr().out
    assert "the mean of 2 seeds" in out
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores.groupby("protocol")["repeat"].nunique().tolist() == [2] * 4
    own = scores[(scores["protocol"] == "leave-one-subject-out") & (scores["model"] == "SVM")]
    mean = 100 * own.groupby("subject")["accuracy"].mean().mean()
    section = out.split("## leave-one-subject-out, raw")[1]
    assert f"| SVM | {mean:.1f} ±" in section


def test_a_protocol_that_cannot_be_followed_is_explained_among_others(few, capsys):
    # Each of the four people has one trial of each label.
    with pytest.warns(UserWarning, match="To know the trial is to know the label"):
        assert main([*few, *QUICK, "--protocol", "all"]) == 0
    section = capsys.readouterr().out.split("## leave-one-trial-out, raw")[1]
    assert section.startswith("\n\nNot possible: ")
    assert "## blocked-k-fold, raw" in section


def test_differences_to_the_best_model_are_tested(few, capsys):
    main([*few, "--models", "lda,dummy", "--n-jobs", "1", "--controls", "permuted"])
    out = capsys.readouterr().out
    assert "| LDA, labels permuted |" in out
    assert "p (Holm)" in out
    assert "95 % bootstrap intervals" in out


def test_a_single_model_has_no_differences_to_test(few, tmp_path, capsys):
    assert main([*few, "--models", "dummy", "--n-jobs", "1", "--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"| {MODELS['dummy'].title} |" in out
    assert "Differences of" not in out
    assert (tmp_path / "report.html").exists()


def test_the_same_command_resumes_where_it_stopped(few, tmp_path, capsys, monkeypatch):
    command = [*few, "--models", "lda,dummy", "--n-jobs", "1", "--output", str(tmp_path)]
    main(command)
    first = (tmp_path / "predictions.csv").read_bytes()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "fits").iterdir()}
    next(iter(kept)).unlink()
    main(command)
    assert (tmp_path / "predictions.csv").read_bytes() == first
    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "fits").iterdir()}
    assert sum(again[path] != time for path, time in kept.items()) == 1


def test_a_gap_allows_overlapping_windows_in_blocked_k_fold(few, capsys):
    blocks = ["--protocol", "blocked-k-fold", "--n-splits", "3", "--step", "5"]
    with pytest.warns(UserWarning, match="To know the trial is to know the label"):
        main([*few, *QUICK, *blocks, "--gap", "5"])
    assert "88 of 10 s, one every 5 s" in capsys.readouterr().out


@pytest.mark.parametrize("normalization", ["raw", "per-subject"])
@pytest.mark.parametrize("protocol", ["leave-one-subject-out", "segment-k-fold"])
def test_inputs_computed_once_give_the_scores_of_pipelines(windows, normalization, protocol):
    y, subjects = windows["label"], windows["subject"]
    transformers = modality_inputs()
    inputs, columns = compute_inputs(windows, transformers)
    names = ("attention", "cross-modal", "svm")
    once = make_models(names, columns, normalization, max_epochs=1)

    def inside(kind):
        kinds = {name: getattr(transformers[name], kind) for name in columns["raw"]}
        if normalization == "raw":
            return make_modality_transformer(**kinds)
        return make_pipeline(
            make_modality_transformer(**kinds, subject="passthrough"), PerSubject()
        )

    if normalization == "raw":
        windows = windows.drop(columns="subject")
    training = {"class_weight": "balanced", "max_epochs": 1, "random_state": 0}
    pipelines = {
        MODELS["attention"].title: make_pipeline(
            inside("series"), ModalityAwareAttentionClassifier(**training)
        ),
        MODELS["cross-modal"].title: make_pipeline(
            inside("raw"), CrossModalAttentionClassifier(**training)
        ),
        MODELS["svm"].title: make_svm(inside("features")),
    }
    one = compare(once, inputs, y, subjects, protocol=protocol, n_splits=3).predictions
    other = compare(pipelines, windows, y, subjects, protocol=protocol, n_splits=3).predictions
    pd.testing.assert_frame_equal(one, other)


def test_context_shows_every_model_with_and_without(few, tmp_path, capsys):
    models = ["--models", "attention,cross-modal,svm,lda,dummy", "--max-epochs", "1"]
    arguments = [*models, "--n-jobs", "1", "--normalization", "both", "--context", "20"]
    assert main([*few, *arguments, "--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    rows = [line.split("|")[1].strip() for line in out.splitlines() if line.startswith("| ")]
    for title, n_tables in (("modality-aware attention", 2), ("SVM", 2), ("LDA", 2)):
        assert rows.count(f"{title}, ± 20 s") >= n_tables
    assert "cross-modal attention, ± 20 s" not in rows
    for normalization in ("raw", "per-subject"):
        heading = f"## What context changes, leave-one-subject-out, {normalization}\n"
        part = out.partition(heading)[2].partition("##")[0]
        assert "Balanced accuracy in points, averaged over ± 20 s − alone" in part
        shown = [line.split("|")[1].strip() for line in part.splitlines() if "[" in line]
        assert shown == ["modality-aware attention", "SVM", "LDA"]
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert {"SVM", "SVM, ± 20 s"} <= set(scores["model"])
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "ContextTransformer averages each window and the windows before and after it" in report


def test_context_is_that_of_a_pipeline_of_the_same_steps(windows):
    keys = ["subject", "trial", "start"]
    inputs, columns = compute_inputs(windows, modality_inputs(), keys)
    models = make_models(["lda"], columns, "per-subject", context=20.0)
    features = make_pipeline(
        make_modality_transformer(
            **{
                name: kinds.features for name, kinds in modality_inputs().items() if name in windows
            },
            **dict.fromkeys(keys, "passthrough"),
        ),
        PerSubject(passthrough=keys),
        ContextTransformer(reach=20.0),
    )
    once = models["LDA, ± 20 s"].named_steps["features"].fit_transform(inputs)
    expected = features.fit_transform(windows)
    np.testing.assert_array_equal(once, expected)


def test_training_windows_may_overlap_those_that_are_tested(few, tmp_path, capsys):
    more = ["--training-step", "5", "--output", str(tmp_path / "more")]
    assert main([*few, *QUICK, *more]) == 0
    out = capsys.readouterr().out
    assert "- windows: 48 of 10 s (training: every 5 s), from 4 subjects" in out
    assert "- classes: aroused 24, calm 24" in out
    assert "windows are only trained on; the scores are for the others." in out
    assert main([*few, *QUICK, "--output", str(tmp_path / "plain")]) == 0
    tables = [pd.read_csv(tmp_path / name / "predictions.csv") for name in ("more", "plain")]
    columns = ["model", "fold", "subject", "y_true"]
    pd.testing.assert_frame_equal(tables[0][columns], tables[1][columns])


@pytest.mark.parametrize("step", ["3", "10", "20"])
def test_a_training_step_divides_the_time_between_tested_windows(few, step, capsys):
    with pytest.raises(SystemExit):
        main([*few, *QUICK, "--training-step", step])
    assert "must divide the 10 s between tested windows" in capsys.readouterr().err


def test_a_single_stream_is_made_for_each_modality(windows):
    _, columns = compute_inputs(windows, modality_inputs())
    models = make_models(["single", "late-fusion"], columns, "raw")
    assert list(models) == [
        *(f"single stream, {modality}" for modality in ("ecg", "eda", "eeg")),
        MODELS["late-fusion"].title,
    ]
    one = {kind: {"ecg": names["ecg"]} for kind, names in columns.items()}
    assert list(make_models(["single"], one, "raw")) == ["single stream, ecg"]


def test_help_names_the_default_number_of_epochs_and_fits_a_screen(windows, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit, match="0"):
        main(["compare", "--help"])
    text = capsys.readouterr().out
    assert "epochs of the networks; default: 30, for cross-modal and late-fusion 10" in text
    assert "; ratings (--task regression): arousal, valence, dominance\n" in text
    description = text.split("\n\n")[1]
    assert max(map(len, description.splitlines())) <= 88
    _, columns = compute_inputs(windows, modality_inputs(), ["subject"])
    defaults = {"attention": 30, "cross-modal": 10, "late-fusion": 10}
    for name, n_epochs in defaults.items():
        (model,) = make_models([name], columns, "raw").values()
        assert model[-1].max_epochs == n_epochs


def test_the_ablations_are_what_their_titles_say(windows):
    _, columns = compute_inputs(windows, modality_inputs())
    models = make_models(["attention", "basic", "cross-modal", "late-fusion"], columns, "raw")
    networks = {title: model[-1].get_params() for title, model in models.items()}
    assert networks[MODELS["attention"].title]["attention"] == "mask"
    assert networks[MODELS["basic"].title]["attention"] is None
    assert networks[MODELS["cross-modal"].title]["direction"] == "both"
    assert networks[MODELS["late-fusion"].title]["direction"] is None


def test_missing_modalities_are_left_out(windows):
    _, columns = compute_inputs(windows.drop(columns=["ecg", "eda"]), modality_inputs())
    assert columns["series"] == {"eeg": ["series eeg"]}
    assert list(columns["features"]) == ["eeg"]
    with pytest.raises(ValueError, match="none of the modalities"):
        compute_inputs(windows[["subject", "label"]], modality_inputs())


def test_skin_conductance_is_decomposed_before_cutting(windows):
    assert windows["eda"].dtype.channels == ("tonic", "phasic")
    assert windows["ecg"].dtype.channels == ("ECG",)


def test_the_options_are_passed_to_the_data_set(monkeypatch, capsys):
    asked = []

    def load(data_home, target, on_error):
        asked.append((data_home, target, on_error))
        return load_few(data_home)

    dataset = DataSet("few", load, targets=("arousal", "valence"), duration=20.0)
    monkeypatch.setitem(DATASETS, "few", dataset)
    few = ["compare", "--dataset", "few", *QUICK]
    main(few)
    main([*few, "--target", "valence", "--data-home", "here", "--duration", "10"])
    main([*few, "--on-error", "skip"])
    assert asked == [
        (None, "arousal", "raise"),
        ("here", "valence", "raise"),
        (None, "arousal", "skip"),
    ]
    out = capsys.readouterr().out
    assert "# skemo compare: few, arousal\n" in out
    assert "24 of 20 s" in out
    assert "48 of 10 s" in out


@pytest.mark.filterwarnings("ignore:.* are too short for min_beats:UserWarning")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: command"),
        (["compare", "--dataset", "mahnob"], "invalid choice: 'mahnob'"),
        (
            ["compare", "--models", "svm,knn"],
            "unknown 'knn'; choose from attention, basic, residual, scalar",
        ),
        (["compare", "--duration", "-1"], "-1 is not a positive number"),
        (["compare", "--duration", "nan"], "nan is not a positive number"),
        (["compare", "--seeds", "0"], "0 is not a positive number"),
        (["compare", "--gap", "-1"], "-1 is not zero or a positive number"),
        (["compare", "--n-jobs", "0"], "--n-jobs: must not be 0"),
        (["compare", "--n-splits", "1"], "--n-splits: must be at least 2"),
        (["compare", "--dataset", "few", "--duration", "600"], "few: .*window"),
        (["compare", "--dataset", "few", "--duration", "0.1"], "few: rate=1 Hz leaves no sample"),
        (["compare", "--data-home", "somewhere"], "simulated: .*leave out --data-home"),
        (["compare", "--dataset", "wesad"], "wesad: .*specify its folder with --data-home"),
        (["compare", "--target", "joy"], "--target: 'joy', but simulated has none to choose from"),
        (
            ["compare", "--dataset", "dreamer", "--target", "joy"],
            "--target: 'joy', but dreamer has arousal, valence, dominance",
        ),
        (["compare", "--gap", "5"], "--gap: only for blocked-k-fold"),
        (
            ["compare", "--dataset", "few", "--output", __file__],
            "argument --output: .*Could not create the folder: File exists. Choose another folder",
        ),
        (
            [
                "compare",
                "--dataset",
                "few",
                *QUICK,
                "--protocol",
                "group-k-fold",
                "--n-splits",
                "9",
            ],
            "'group-k-fold' with n_splits=9 needs as many subjects, got 4",
        ),
    ],
)
def test_arguments_that_cannot_be_used_are_explained(few, arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize("wrong", [["--n-jobs", "0"], ["--gap", "5"], ["--target", "mood"]])
def test_an_error_of_a_command_is_a_single_line(few, wrong, capsys):
    with pytest.raises(SystemExit):
        main(["compare", "--dataset", "few", *wrong])
    assert re.fullmatch(f"skemo compare: error: argument {wrong[0]}: .*\n", capsys.readouterr().err)


def test_a_folder_without_recordings_is_explained(tmp_path, capsys, monkeypatch):
    def load_local(data_home, target, on_error):
        from skemo.datasets import fetch_eegmat

        return fetch_eegmat(data_home, download=False)

    monkeypatch.setitem(DATASETS, "local", DataSet("eegmat without download", load_local))
    with pytest.raises(SystemExit):
        main(["compare", "--dataset", "local", "--data-home", str(tmp_path)])
    assert "has no files Subject00_1.edf" in capsys.readouterr().err


def test_an_interrupt_ends_cleanly(few, monkeypatch, capsys):
    def interrupt(data_home, target, on_error):
        raise KeyboardInterrupt

    monkeypatch.setitem(DATASETS, "few", DataSet("interrupted", interrupt))
    assert main(few) == 130
    assert capsys.readouterr().err.startswith("Interrupted")


def test_recorded_data_are_compared(data_home, tmp_path, capsys):
    for subject in ("00", "01", "02", "04"):
        for suffix in "12":
            name = f"Subject{subject}_{suffix}.edf"
            (tmp_path / name).symlink_to(data_home / "eegmat" / name)
    arguments = ["--dataset", "eegmat", "--data-home", str(tmp_path), "--models", "lda,dummy"]
    assert main(["compare", *arguments, "--normalization", "per-subject", "--n-jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "from 4 subjects" in out
    scores = {
        line.split("|")[1].strip(): float(line.split("|")[5].split("±")[0])
        for line in out.splitlines()
        if line.startswith(("| LDA", "| majority"))
    }
    assert scores["majority class"] == 50
    assert scores["LDA"] > 65


def test_a_wristband_is_compared(data_home, capsys):
    folder = str(data_home / "stress_predict")
    arguments = ["--dataset", "stress_predict", "--data-home", folder, "--models", "lda,dummy"]
    assert main(["compare", *arguments, "--protocol", "group-k-fold", "--n-splits", "3"]) == 0
    out = capsys.readouterr().out
    assert "from 23 subjects" in out
    assert "eda at 4 Hz" in out
    assert "ppg at 64 Hz" in out


def test_the_module_explains_itself_without_loading_torch():
    code = (
        "import contextlib, runpy, sys\n"
        "sys.argv = ['skemo', 'compare', '--help']\n"
        "with contextlib.suppress(SystemExit):\n"
        "    runpy.run_module('skemo', run_name='__main__')\n"
        "assert not {'torch', 'skorch', 'matplotlib', 'neurokit2'} & set(sys.modules)\n"
    )
    env = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], check=True, env=env, capture_output=True)
    assert b"segment-k-fold" in done.stdout


def test_a_folder_that_cannot_be_written_is_an_error_before_anything_is_read(few, tmp_path, capsys):
    (tmp_path / ".writable").mkdir()  # for root, there are no read-only folders
    with pytest.raises(SystemExit, match="2"):
        main([*few, *QUICK, "--output", str(tmp_path)])
    assert re.search("argument --output: .*Could not write: .*writable", capsys.readouterr().err)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_ends_the_comparison_with_a_remedy_and_without_half_a_file(tmp_path):
    code = (
        "import resource, sys\n"
        "from skemo.cli.main import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = ["compare", *QUICK, "--output", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert re.search(
        r"skemo compare: error: .*Could not write: .*. Free some space or choose another folder: "
        r"'.*'. Then run the same command again to continue.$",
        done.stderr.strip(),
    )
    found = {path.name for path in tmp_path.iterdir()}
    assert found <= {"fits", "table.md"}
    for path in (tmp_path / "fits").iterdir():
        assert "checksum" in json.loads(path.read_text(encoding="utf-8"))


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"skemo {skemo.__version__}\n"


# Faults


def test_faults_are_declared_in_the_head_and_every_table(few, tmp_path, capsys):
    folder = tmp_path / "faults"
    arguments = ["--corrupt", "stale:0.35", "--reliability", "--models", "svm,residual,basic"]
    arguments += ["--max-epochs", "1", "--n-jobs", "1", "--output", str(folder)]
    assert main([*few, *arguments]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# skemo compare: few, corrupted (stale 0.35)\n")
    said = "stale, with probability 0.35 for each window of ecg, eda, eeg"
    assert f"- corrupted on purpose: {said}; every model is told which" in out
    assert f"- Corrupted on purpose: {said}." in out
    assert "## leave-one-subject-out, raw" in out
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "<title>skemo compare: few, corrupted (stale 0.35)" in report
    assert "| residual attention |" in out


def test_every_model_is_told_the_reliability_in_its_own_form(windows):
    faulty = corrupt(windows, "dropout", 0.3, random_state=0, reliability=True)
    inputs, columns = compute_inputs(faulty, modality_inputs())
    names = ["residual", "cross-modal", "basic", "late-fusion", "single", "svm"]
    models = make_models(names, columns, "per-subject")
    told = ["reliability ecg", "reliability eda", "reliability eeg"]
    for model in names[:2]:
        assert models[MODELS[model].title][-1].quality == told
    for model in names[2:4]:
        assert models[MODELS[model].title][-1].quality is None
        assert set(told) < set(models[MODELS[model].title][:-1].fit_transform(inputs))
    features = models[MODELS["svm"].title][:1].fit_transform(inputs)
    assert {"features ecg reliability", "features eeg reliability"} < set(features)
    single = models["single stream, ecg"]
    assert list(single[:-1].fit_transform(inputs)) == ["raw ecg", "reliability ecg"]
    assert single.set_params(crossmodalattentionclassifier__quality=["reliability ecg"])


@pytest.mark.parametrize("fault", ["late:0.5", "stale", "stale:2", "stale:x", "stale:0.5:3", "::"])
def test_a_wrong_fault_is_named(few, fault, capsys):
    with pytest.raises(SystemExit):
        main([*few, "--corrupt", fault])
    assert f"'{fault}' is not a fault and its probability from 0 to 1" in capsys.readouterr().err


def test_reliability_needs_faults(few, capsys):
    with pytest.raises(SystemExit):
        main([*few, "--reliability"])
    assert "--reliability: only with --corrupt" in capsys.readouterr().err
