"""The scripts in docs/recipes and the command line run on files in the published layouts."""

import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import test_amigos, test_wesad

from skemo.cli.main import main
from skemo.datasets import make_emotion_recordings
from skemo.datasets.wesad import SUBJECTS

RECIPES = Path(__file__).parents[1] / "docs" / "recipes"
EEG = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs a recipe, with networks trained for one epoch only."""

    def run(name, *arguments):
        code = (RECIPES / name).read_text(encoding="utf-8")
        assert code.count("random_state=0, **parameters\n") == 1
        code = code.replace("**parameters\n", "max_epochs=1, **parameters\n")
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        exec(compile(code, name, "exec"), {"__name__": "__main__"})

    return run


@pytest.fixture(scope="module")
def wesad(tmp_path_factory):
    """Files of all subjects, with simulated heartbeats and skin-conductance responses."""
    folder = tmp_path_factory.mktemp("wesad")
    people = make_emotion_recordings(
        n_subjects=len(SUBJECTS),
        n_trials=2,
        modalities=("ecg", "eda"),
        sampling_rates={"ecg": 700, "eda": 700},
        random_state=0,
    )
    trials = np.reshape(np.array(people, object), (len(SUBJECTS), 2))
    for subject, pair in zip(SUBJECTS, trials, strict=True):
        content = test_wesad.make_content(subject, seconds=120)
        chest = content["signal"]["chest"]
        for field, modality in (("ECG", "ecg"), ("EDA", "eda")):
            parts = [recording.signals[modality] for recording in pair]
            chest[field] = np.concatenate(parts, axis=1).T.astype(float)
        content["label"] = np.repeat([1, 2, 3, 0], [700 * 40, 700 * 40, 700 * 20, 700 * 20])
        test_wesad.write(folder, subject, content)
    return folder


@pytest.fixture(scope="module")
def amigos(tmp_path_factory):
    """Files of three people, with simulated signals."""
    folder = tmp_path_factory.mktemp("amigos")
    people = make_emotion_recordings(
        n_subjects=3, n_trials=20, duration=25, channels=EEG, random_state=0
    )
    trials = np.reshape(np.array(people, object), (3, 20))
    for number, recordings in enumerate(trials, start=1):
        variables = test_amigos.make_subject(number)
        for trial, recording in enumerate(recordings):
            signals = recording.signals
            slow = signals["eda"]
            times = np.arange(16 * slow.shape[1]) / 16
            eda = np.interp(times, np.arange(slow.shape[1]), slow[0])[np.newaxis]
            joined = np.concatenate([signals["eeg"], signals["ecg"], signals["ecg"], eda]).T
            variables["joined_data"][trial] = joined
        test_amigos.write(folder, f"P{number:02d}", variables)
    return folder


def n_comparisons_with(model, out):
    return sum(f"\n{model}" in printed for printed in out.split("<Comparison by")[1:])


def test_the_wesad_recipe(run, wesad, capsys):
    run("wesad_ecg_eda.py", wesad)
    out = capsys.readouterr().out
    assert out.index("segment-k-fold") < out.index("leave-one-subject-out")
    assert n_comparisons_with("cross-modal attention", out) == 2


def test_the_amigos_recipe(run, amigos, capsys):
    run("amigos_ecg_eeg.py", amigos, "valence")
    out = capsys.readouterr().out
    assert out.index("segment-k-fold") < out.index("leave-one-subject-out")
    assert n_comparisons_with("modality-aware attention", out) == 2


@pytest.mark.parametrize("target", ["three-class", "stress"])
def test_the_command_line_on_wesad(wesad, target, capsys):
    arguments = ["--dataset", "wesad", "--data-home", str(wesad), "--target", target]
    assert main(["compare", *arguments, "--models", "lda,dummy", "--n-jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert f"# skemo compare: wesad, {target}" in out
    assert "modalities: ecg at 700 Hz (channels: 1), eda at 700 Hz (channels: 2)" in out
    classes = {"three-class": "amusement 30, baseline 60, stress 60"}
    assert classes.get(target, "non-stress 90, stress 60") in out


def test_the_command_line_on_amigos(amigos, capsys):
    arguments = ["--dataset", "amigos", "--data-home", str(amigos), "--target", "valence"]
    assert main(["compare", *arguments, "--models", "lda,dummy", "--n-jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "# skemo compare: amigos, valence" in out
    assert "windows: 96 of 10 s, from 3 subjects" in out
