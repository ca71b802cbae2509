"""The scripts in docs/recipes run on files in the published layouts."""

import sys
from pathlib import Path

import numpy as np
import pytest
import test_amigos
import test_wesad

from skemo.datasets import make_emotion_recordings
from skemo.datasets.wesad import SUBJECTS

RECIPES = Path(__file__).parents[1] / "docs" / "recipes"
EEG = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")


@pytest.fixture
def run(monkeypatch):
    """Runs a recipe with networks that train for one epoch only."""

    def run(name, *arguments):
        code = (RECIPES / name).read_text(encoding="utf-8")
        assert code.count("random_state=0, **parameters") == 1
        code = code.replace("random_state=0, **parameters", "max_epochs=1, **parameters")
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        exec(compile(code, name, "exec"), {"__name__": "__main__"})

    return run


def test_the_wesad_recipe(run, tmp_path, capsys):
    people = make_emotion_recordings(
        n_subjects=len(SUBJECTS),
        n_trials=2,
        modalities=("ecg", "eda"),
        sampling_rates={"ecg": 700, "eda": 700},
        random_state=0,
    )
    trials = np.reshape(np.array(people, object), (len(SUBJECTS), 2))
    for subject, (one, other) in zip(SUBJECTS, trials, strict=True):
        content = test_wesad.make_content(subject, seconds=120)
        chest = content["signal"]["chest"]
        for field, modality in (("ECG", "ecg"), ("EDA", "eda")):
            parts = [one.signals[modality], other.signals[modality]]
            chest[field] = np.concatenate(parts, axis=1).T.astype(float)
        content["label"] = np.repeat([1, 2, 3, 0], [700 * 40, 700 * 40, 700 * 20, 700 * 20])
        test_wesad.write(tmp_path, subject, content)
    run("wesad_ecg_eda.py", tmp_path)
    out = capsys.readouterr().out
    assert out.index("segment-k-fold") < out.index("leave-one-subject-out")
    assert out.count("cross-modal attention") == 2


def test_the_amigos_recipe(run, tmp_path, capsys):
    people = make_emotion_recordings(
        n_subjects=3, n_trials=20, duration=25, channels=EEG, random_state=0
    )
    trials = np.reshape(np.array(people, object), (3, 20))
    for number, recordings in enumerate(trials, start=1):
        variables = test_amigos.make_subject(number)
        for trial, recording in enumerate(recordings):
            signals = recording.signals
            eda = np.repeat(signals["eda"], 16, axis=1)
            joined = np.concatenate([signals["eeg"], signals["ecg"], signals["ecg"], eda]).T
            variables["joined_data"][trial] = joined
        test_amigos.write(tmp_path, f"P{number:02d}", variables)
    run("amigos_ecg_eeg.py", tmp_path, "valence")
    out = capsys.readouterr().out
    assert out.index("segment-k-fold") < out.index("leave-one-subject-out")
    assert out.count("modality-aware attention") == 2
