"""Windows with faults: what is changed, what is not, and what is said about it."""

import re

import numpy as np
import pandas as pd
import pytest

import skemo
from skemo import QualityTransformer, SignalArray, corrupt, signal_frame
from skemo.datasets import make_emotion_recordings
from skemo.features.corruption import KINDS


@pytest.fixture(scope="module")
def windows():
    recordings = make_emotion_recordings(
        n_subjects=4, n_trials=2, duration=60, modalities=("ecg", "eda"), random_state=0
    )
    return skemo.segment(recordings, duration=10.0)


def changed(one, other):
    """Which windows of two signal columns differ."""
    one, other = np.asarray(one), np.asarray(other)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    return ~same.all(axis=(1, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_a_share_of_windows_is_corrupted_and_nothing_else_changes(windows, kind):
    before = windows.copy()
    faulty = corrupt(windows, kind, 0.5, random_state=0, reliability=True)
    pd.testing.assert_frame_equal(windows, before)
    pd.testing.assert_frame_equal(
        faulty[["subject", "trial", "start", "label"]],
        windows[["subject", "trial", "start", "label"]],
    )
    hits = []
    for name in ("ecg", "eda"):
        assert faulty[name].dtype == windows[name].dtype
        is_hit = np.asarray(faulty[f"{name}_reliability"]).ravel() == 0
        np.testing.assert_array_equal(changed(faulty[name], windows[name]), is_hit)
        assert 0.3 < is_hit.mean() < 0.7
        hits.append(is_hit)
    assert (hits[0] != hits[1]).any()
    assert faulty.attrs["segment"] == windows.attrs["segment"]


def test_a_stale_window_is_another_of_the_same_subject(windows):
    stale = corrupt(windows, "stale", 1.0, random_state=0)
    values, before = np.asarray(stale["ecg"]), np.asarray(windows["ecg"])
    for i, subject in enumerate(windows["subject"]):
        source = np.flatnonzero((before == values[i]).all(axis=(1, 2)))
        assert source != i
        assert windows["subject"].iloc[source].item() == subject


def test_a_seed_gives_the_same_faults_and_a_higher_probability_keeps_them(windows):
    few, again = (corrupt(windows, "stale", 0.2, random_state=3) for _ in range(2))
    pd.testing.assert_frame_equal(few, again)
    many = corrupt(windows, "stale", 0.6, random_state=3)
    is_hit = changed(few["ecg"], windows["ecg"])
    np.testing.assert_array_equal(np.asarray(many["ecg"])[is_hit], np.asarray(few["ecg"])[is_hit])
    other = corrupt(windows, "stale", 0.2, random_state=4)
    assert changed(few["ecg"], other["ecg"]).any()


def test_the_faults_of_a_modality_do_not_depend_on_the_others(windows):
    both = corrupt(windows, "noise", 0.5, random_state=0)
    one = corrupt(windows, "noise", 0.5, random_state=0, modalities=["eda"])
    assert not changed(one["ecg"], windows["ecg"]).any()
    assert not changed(one["eda"], both["eda"]).any()


def test_missing_windows_stay_missing_and_replace_no_others(windows):
    windows = windows.copy()
    windows.loc[::3, "ecg"] = np.nan
    stale = corrupt(windows, "stale", 1.0, random_state=0, reliability=True)
    np.testing.assert_array_equal(stale["ecg"].isna(), windows["ecg"].isna())
    assert (np.asarray(stale["ecg_reliability"]).ravel()[::3] == 1).all()


@pytest.mark.parametrize("kind", ["dropout", "flat", "motion", "noise"])
def test_a_fault_that_shows_lowers_the_measured_quality(windows, kind):
    quality = QualityTransformer(features=["ECG_Quality"])
    faulty = corrupt(windows, kind, 1.0, random_state=0, snr=-5)
    before = quality.fit_transform(windows[["ecg"]])
    if kind == "dropout":
        assert faulty["ecg"].isna().all()
    else:
        assert np.median(quality.fit_transform(faulty[["ecg"]])) < 0.5 * np.median(before)


def test_faults_can_be_combined_and_all_are_listed(windows):
    faulty = corrupt(windows, "noise", 0.2, random_state=0, snr=5, reliability=True)
    faulty = corrupt(faulty, "stale", 0.1, random_state=0, modalities=["eda"])
    assert faulty.attrs["corruption"] == [
        {"kind": "noise", "probability": 0.2, "modalities": ["ecg", "eda"], "snr": 5.0},
        {"kind": "stale", "probability": 0.1, "modalities": ["eda"]},
    ]
    assert "corruption" not in windows.attrs


def test_every_table_of_a_comparison_says_that_windows_were_corrupted(windows, tmp_path):
    faulty = corrupt(windows, "stale", 0.35, random_state=0)
    model = skemo.make_svm(skemo.make_modality_transformer(ecg=skemo.HRVTransformer()))
    result = skemo.compare({"SVM": model}, faulty, "label", "subject")
    said = "stale, with probability 0.35 for each window of ecg, eda"
    assert f"Corrupted on purpose: {said}." in result.notes()
    assert result.table().columns.name == "leave-one-subject-out, corrupted (stale 0.35)"
    assert "corrupted (stale 0.35)" in str(result)
    report = skemo.write_report(result, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<title>Comparison by leave-one-subject-out, corrupted (stale 0.35)" in report
    assert said in report
    clean = skemo.compare({"SVM": model}, windows, "label", "subject")
    assert "orrupted" not in str(clean)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "late"}, "kind must be one of stale, dropout, flat, motion, saturation, noise"),
        ({"probability": 1.5}, "probability must be from 0 to 1, got 1.5."),
        ({"probability": "often"}, "probability must be from 0 to 1, got 'often'."),
        ({"snr": np.inf}, "snr must be a number of decibels, got inf."),
        ({"modalities": "ecg"}, "modalities must be a list of names, got 'ecg'."),
        (
            {"modalities": ["eeg"]},
            "modalities has 'eeg', but the signal columns are ['ecg', 'eda']",
        ),
        ({"kind": "stale", "by": "person"}, "by='person' is not a column of the table"),
    ],
)
def test_a_wrong_argument_is_named(windows, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        corrupt(windows, **{"kind": "noise", "probability": 0.5, **arguments})


def test_windows_that_cannot_be_corrupted_are_errors(windows):
    with pytest.raises(ValueError, match="no signal columns"):
        corrupt(windows[["subject", "label"]], "flat", 0.5)
    with pytest.raises(TypeError, match="takes a table of windows, got ndarray"):
        corrupt(np.zeros((4, 8)), "flat", 0.5)
    with pytest.raises(ValueError, match="subject '00' has only one window of 'ecg'"):
        corrupt(windows.groupby("subject").head(1), "stale", 0.5)
    series = signal_frame(rr=SignalArray(np.ones((4, 1, 9))), subject=["a"] * 4)
    with pytest.raises(ValueError, match="'rr' has no sampling rate, and 'motion' is a fault"):
        corrupt(series, "motion", 0.5)
    assert corrupt(series, "dropout", 1.0)["rr"].isna().all()
