"""The command line on ratings as numbers, from files in the published layouts."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from skemo.cli.main import main

REGRESSORS = [
    *("modality-aware attention", "without attention (basic)", "cross-modal attention"),
    *("without connections (late fusion)", "SVM", "random forest", "ridge", "mean of training"),
]


def make_signals(arousal, seconds, rate, rng):
    """An ECG or pulse whose beats are the faster, and a conductance that is the higher, the more
    aroused somebody is."""
    t = np.arange(round(seconds * rate)) / rate
    intervals = 60 / (60 + 5 * arousal) * (1 + 0.02 * rng.normal(size=int(3 * seconds)))
    beats = 0.2 + np.append(0, np.cumsum(intervals))
    nearest = np.abs(t[:, None] - beats[beats < seconds]).min(axis=1)
    ecg, pulse = np.exp(-((nearest / 0.015) ** 2)), np.exp(-((nearest / 0.1) ** 2))
    eda = 2 + 0.3 * arousal + 0.1 * np.sin(t)
    noise = 0.01 * rng.normal(size=(3, len(t)))
    return np.array([ecg, pulse, eda]) + noise


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Three people in the layout of CASE; arousal is the number of the video, valence is noise."""
    home, rng = tmp_path_factory.mktemp("case"), np.random.default_rng(0)
    shown = [10, *(video for one in range(1, 9) for video in (one, 11)), 12]
    seconds = [10 if video < 9 else 1 for video in shown]
    for subject in ("sub_1", "sub_2", "sub_3"):
        parts = [
            make_signals(video if video < 9 else 3, n, 1000, rng)
            for video, n in zip(shown, seconds, strict=True)
        ]
        names = ["ecg", "bvp", "gsr", "rsp", "skt", "emg_zygo", "emg_coru", "emg_trap"]
        table = pd.DataFrame(0.0, range(1000 * sum(seconds)), names)
        table[names[:3]] = np.hstack(parts).T
        table["video"] = np.repeat(shown, [1000 * n for n in seconds])
        table["daqtime"] = table.index
        told = table[["video"]][::50].reset_index(names="jstime")
        told["arousal"] = np.clip(told["video"] % 9, 1, 9) + 0.3 * rng.normal(size=len(told))
        told["valence"] = np.clip(5 + rng.normal(size=len(told)).cumsum() / 10, 1, 9)
        for kind, content in (("physiological", table), ("annotations", told)):
            folder = home / "data" / "interpolated" / kind
            folder.mkdir(parents=True, exist_ok=True)
            content.to_csv(folder / f"{subject}.csv", index=False, float_format="%.3f")
    return home


@pytest.fixture(scope="module")
def amigos(tmp_path_factory):
    """Three people in the layout of AMIGOS, one of whom did not rate valence once."""
    home, rng = tmp_path_factory.mktemp("amigos"), np.random.default_rng(0)
    for subject in ("P01", "P02", "P03"):
        arousal = rng.permutation(20) % 9 + 1.0
        cells = {name: np.empty((1, 20), object) for name in ("joined_data", "VideoIDs", "ratings")}
        for i in range(20):
            ecg, _, eda = make_signals(arousal[i], 15, 128, rng)
            eeg = rng.normal(size=(len(ecg), 14))
            valence = np.nan if (subject, i) == ("P02", 3) else rng.integers(1, 10)
            cells["joined_data"][0, i] = np.column_stack([eeg, ecg, ecg, eda])
            cells["VideoIDs"][0, i] = f"v{i}"
            cells["ratings"][0, i] = np.array([[arousal[i], valence, 5, 5, 5, *[0] * 7]])
        content = {
            "joined_data": cells["joined_data"],
            "labels_selfassessment": cells["ratings"],
            "VideoIDs": cells["VideoIDs"],
        }
        savemat(home / f"Data_Preprocessed_{subject}.mat", content)
    return home


@pytest.fixture(scope="module")
def deap(tmp_path_factory):
    """Three people in the layout of DEAP, whose EEG is the larger, the more aroused they are."""
    home, rng = tmp_path_factory.mktemp("deap"), np.random.default_rng(0)
    for subject in ("s01", "s02", "s03"):
        ratings = rng.uniform(1, 9, size=(40, 4))  # valence, arousal, dominance, liking
        scale = 5 + 2 * ratings[:, 1].reshape(40, 1, 1)
        data = np.clip(scale * rng.normal(size=(40, 40, 8064)), -99, 99).astype(np.int8)
        content = {"labels": ratings, "data": data}
        (home / f"{subject}.dat").write_bytes(pickle.dumps(content, protocol=2))
    return home


def run(capsys, *arguments, duration=5):
    duration = ["--duration", str(duration)]
    assert main(["compare", *map(str, arguments), "--n-jobs", "1", *duration]) == 0
    return capsys.readouterr().out


def rows(out, title):
    """The first cell of the mean in the column `title` of the first table, by model."""
    table = out[max(0, out.index(f"| {title} ") - 200) :]
    head, _, *lines = [line for line in table.splitlines() if line.startswith("|")]
    place = [cell.strip() for cell in head.split("|")].index(title)
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {line[1]: float(line[place].split()[0]) for line in cells if " ± " in line[place]}


def test_one_command_predicts_the_arousal_of_case_as_a_number(case, tmp_path, capsys):
    arguments = ["--dataset", "case", "--data-home", case, "--task", "regression"]
    arguments += ["--on-error", "skip"]
    with pytest.warns(UserWarning, match="sub_4"):  # and those after
        out = run(capsys, *arguments, "--max-epochs", "1", "--output", tmp_path)
    assert "# skemo compare: case, arousal" in out
    assert re.search(r"- arousal: 4\.\d+ ± 2\.\d+, from .* in 48 windows", out)
    concordance = rows(out, "CCC")
    assert list(concordance)[: len(REGRESSORS)] == REGRESSORS
    assert concordance["ridge"] > 0.8
    assert concordance["mean of training"] == 0
    assert "Differences of concordance correlation for arousal, with" in out
    assert "Concordance correlation for arousal of each fold, as the mean" in out
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert {"rmse", "mae", "r2", "pearson", "concordance"} <= set(scores)
    assert "target" not in scores
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "has the highest concordance correlation" in report


def test_both_ratings_of_amigos_are_predicted_at_once(amigos, tmp_path, capsys):
    arguments = ["--dataset", "amigos", "--data-home", amigos, "--task", "regression"]
    both = ["--target", "arousal,valence", "--models", "attention,ridge,mean"]
    both += ["--max-epochs", "1", "--output", tmp_path]
    out = run(capsys, *arguments, *both)
    assert "# skemo compare: amigos, arousal, valence" in out
    assert "Differences of concordance correlation for arousal, with" in out
    assert "Differences of concordance correlation for valence, with" in out
    predictions = pd.read_csv(tmp_path / "predictions.csv")
    counts = predictions.query("model == 'ridge'")["target"].value_counts()
    assert counts.to_dict() == {"arousal": 96, "valence": 94}  # one trial has no valence
    assert "| modality-aware attention |" in out
    scores = pd.read_csv(tmp_path / "scores.csv")
    mean = scores.groupby(["target", "model"])["concordance"].mean()
    assert mean["arousal", "ridge"] > 0.5 > 0.3 > abs(mean["valence", "ridge"])


def test_valence_and_arousal_of_deap_are_told_apart(deap, capsys):
    arguments = ["--dataset", "deap", "--data-home", deap, "--task", "regression"]
    arguments += ["--target", "valence,arousal", "--models", "ridge,mean"]
    with pytest.warns(UserWarning, match="Too few heartbeats"):  # there are no heartbeats
        out = run(capsys, *arguments, duration=60)
    valence, arousal = out.split("Differences of concordance correlation for valence")[0].split(
        "\narousal\n"
    )
    assert rows(arousal, "CCC")["ridge"] > 0.8
    assert abs(rows(valence, "CCC")["ridge"]) < 0.3


@pytest.mark.parametrize(
    ("dataset", "options", "duration", "warning"),
    [
        ("case", ["--on-error", "skip"], 5, "sub_4"),
        ("amigos", [], 5, "without a rating of valence"),
        ("deap", [], 60, "Too few heartbeats"),
    ],
)
def test_the_valence_of_each_data_set_can_be_the_target(
    dataset, options, duration, warning, request, capsys
):
    home = request.getfixturevalue(dataset)
    arguments = ["--dataset", dataset, "--data-home", home, "--task", "regression", *options]
    arguments += ["--target", "valence", "--models", "ridge,mean"]
    with pytest.warns(UserWarning, match=warning):
        out = run(capsys, *arguments, duration=duration)
    assert f"# skemo compare: {dataset}, valence\n" in out
    assert "Differences of concordance correlation for valence, with" in out
    assert "arousal" not in out
    table = out.split("Differences of concordance correlation")[0]
    assert abs(rows(table, "CCC")["ridge"]) < 0.3


def test_both_ratings_of_case_are_predicted_at_once(case, capsys):
    arguments = ["--dataset", "case", "--data-home", case, "--task", "regression"]
    arguments += ["--target", "arousal,valence", "--models", "ridge,mean", "--on-error", "skip"]
    with pytest.warns(UserWarning, match="sub_4"):
        out = run(capsys, *arguments)
    arousal, valence = out.split("Differences of concordance correlation for arousal")[0].split(
        "\nvalence\n"
    )
    assert rows(arousal, "CCC")["ridge"] > 0.8
    assert abs(rows(valence, "CCC")["ridge"]) < 0.3


def test_the_gap_of_numbers_is_of_the_concordance(case, capsys):
    arguments = ["--dataset", "case", "--data-home", case, "--task", "regression", "--models"]
    protocols = ["--protocol", "segment-k-fold", "--protocol", "group-k-fold"]
    others = ["ridge,mean", *protocols, "--normalization", "per-subject", "--on-error", "skip"]
    with pytest.warns(UserWarning, match="sub_4"):
        out = run(capsys, *arguments, *others)
    assert "Concordance correlation. The gap is what segment-k-fold adds" in out
    assert "PerSubject" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "regression"], "argument --task: simulated has no numbers to predict"),
        (
            ["--dataset", "case", "--task", "regression", "--target", "arousal,joy"],
            "argument --target: 'joy', but case has arousal, valence",
        ),
        (["--dataset", "case", "--target", "arousal,valence"], "'arousal,valence', but case has"),
        (
            ["--dataset", "case", "--task", "regression", "--models", "svm,lda"],
            "argument --models: lda cannot be used for regression",
        ),
    ],
)
def test_what_cannot_be_predicted_as_a_number_is_said(arguments, message, capsys):
    with pytest.raises(SystemExit):
        main(["compare", *arguments])
    assert message in capsys.readouterr().err
