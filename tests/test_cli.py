"""The command line, from recordings to the table."""

import os
import re
import subprocess
import sys

import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from skemo import (
    ModalityAwareAttentionClassifier,
    PerSubject,
    compare,
    make_modality_transformer,
    make_svm,
    segment,
)
from skemo.cli import (
    DATASETS,
    MODELS,
    DataSet,
    compute_inputs,
    main,
    modality_transformers,
    select_inputs,
)
from skemo.datasets import make_emotion_recordings
from skemo.evaluation import METRICS

QUICK = ["--models", "svm,dummy", "--n-jobs", "1"]


def load_few(data_home):
    return make_emotion_recordings(n_subjects=4, n_trials=2, random_state=0)


@pytest.fixture
def few(monkeypatch):
    """A small data set of the command line."""
    monkeypatch.setitem(DATASETS, "few", DataSet("four people", load_few))
    return ["compare", "--dataset", "few"]


@pytest.fixture(scope="module")
def windows():
    return segment(load_few(None), duration=10.0)


def test_all_models_are_compared_and_written(few, tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    assert main([*few, "--max-epochs", "1", "--n-jobs", "1", "--output", str(folder)]) == 0
    out = capsys.readouterr().out
    for model in MODELS.values():
        assert f"| {model.title} |" in out
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
        *("dataset", "protocol", "normalization", "seed", "model", "fold", "subject"),
        *METRICS,
        *("n_windows", "fit_time", "predict_time"),
    ]
    assert not scores.duplicated(["model", "fold", "subject"]).any()
    assert len(scores) == len(MODELS) * 4
    assert sorted(scores["subject"].unique()) == ["00", "01", "02", "03"]


def test_the_gap_is_printed_where_known_subjects_were_tested(few, capsys):
    protocols = ["--protocol", "segment-k-fold", "--protocol", "leave-one-subject-out"]
    assert main([*few, *QUICK, *protocols, "--normalization", "both"]) == 0
    out = capsys.readouterr().out
    assert out.count("**Optimistic.**") == 2
    assert "## The gap, raw" in out
    assert "## The gap, per-subject" in out
    row = next(
        line for line in out.splitlines() if line.startswith("| SVM") and line.count("|") == 5
    )
    segments, subjects, gap = (float(cell) for cell in row.split("|")[2:5])
    assert gap == pytest.approx(segments - subjects, abs=0.11)


def test_one_protocol_alone_has_no_gap(few, capsys):
    assert main([*few, *QUICK, "--protocol", "segment-k-fold"]) == 0
    assert "The gap" not in capsys.readouterr().out


def test_seeds_are_repetitions_of_the_same_table(few, tmp_path, capsys):
    main([*few, *QUICK, "--seeds", "2", "--protocol", "all", "--output", str(tmp_path)])
    out = capsys.readouterr().out
    assert "the mean of 2 seeds" in out
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert scores.groupby("protocol")["seed"].nunique().tolist() == [2, 2, 2]
    own = scores[(scores["protocol"] == "leave-one-subject-out") & (scores["model"] == "SVM")]
    mean = 100 * own.groupby("subject")["accuracy"].mean().mean()
    section = out.split("## leave-one-subject-out, raw")[1]
    assert f"| SVM | {mean:.1f} ±" in section


@pytest.mark.parametrize("normalization", ["raw", "per-subject"])
@pytest.mark.parametrize("protocol", ["leave-one-subject-out", "segment-k-fold"])
def test_computing_the_features_once_gives_what_the_pipelines_give(
    windows, normalization, protocol
):
    y, subjects = windows["label"], windows["subject"]
    transformers = modality_transformers(10.0)
    inputs, *columns = compute_inputs(windows, transformers)
    selections = [select_inputs(names, normalization) for names in columns]
    once = {name: MODELS[name].make(*selections, 0, 1) for name in ("attention", "svm")}
    for_network, for_svm = (
        make_modality_transformer(**{name: pair[i] for name, pair in transformers.items()})
        for i in (0, 1)
    )
    if normalization == "per-subject":
        for_network, for_svm = PerSubject(for_network), PerSubject(for_svm)
    else:
        windows = windows.drop(columns="subject")
    classifier = ModalityAwareAttentionClassifier(
        class_weight="balanced", max_epochs=1, random_state=0
    )
    inside = {"attention": make_pipeline(for_network, classifier), "svm": make_svm(for_svm)}
    one = compare(once, inputs, y, subjects, protocol=protocol, n_splits=3).predictions
    other = compare(inside, windows, y, subjects, protocol=protocol, n_splits=3).predictions
    pd.testing.assert_frame_equal(one, other)


def test_modalities_that_are_not_there_are_left_out(windows):
    _, signals, features = compute_inputs(windows.drop(columns="ecg"), modality_transformers(10.0))
    assert signals == ["eeg"]
    assert not any(name.startswith("HRV") for name in features)
    with pytest.raises(ValueError, match="none of the modalities"):
        compute_inputs(windows[["subject", "label"]], modality_transformers(10.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: command"),
        (["compare", "--dataset", "deap"], "invalid choice: 'deap'"),
        (["compare", "--models", "svm,knn"], "unknown 'knn'; there are attention, basic, svm"),
        (["compare", "--duration", "-1"], "-1 is not a positive number"),
        (["compare", "--duration", "nan"], "nan is not a positive number"),
        (["compare", "--seeds", "0"], "0 is not a positive number"),
        (["compare", "--n-jobs", "0"], "0 is no number of processes"),
        (["compare", "--dataset", "few", "--duration", "600"], "few: .*window"),
        (["compare", "--dataset", "few", "--duration", "0.1"], "few: The band 'theta'"),
        (["compare", "--data-home", "somewhere"], "simulated: .*leave --data-home out"),
        (["compare", "--dataset", "few", "--output", __file__], "few: .*File exists"),
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


def test_a_folder_without_recordings_is_explained(tmp_path, capsys, monkeypatch):
    def load_local(data_home):
        from skemo.datasets import fetch_eegmat

        return fetch_eegmat(data_home, download=False)

    monkeypatch.setitem(DATASETS, "local", DataSet("eegmat without download", load_local))
    with pytest.raises(SystemExit):
        main(["compare", "--dataset", "local", "--data-home", str(tmp_path)])
    assert "has no files Subject00_1.edf" in capsys.readouterr().err


def test_an_interrupt_ends_cleanly(few, monkeypatch, capsys):
    def interrupt(data_home):
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
