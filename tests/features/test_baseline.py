"""Features relative to those of a baseline before each event."""

import numpy as np
import pandas as pd
import pytest

from skemo import EDATransformer, Recording, correct_baseline, segment
from skemo.signals import labels

LABELS = ["calm", "baseline", "baseline", "calm", "baseline", "tense", "calm", "baseline", "calm"]


def make_windows():
    windows = pd.DataFrame(
        {
            "subject": ["A"] * 7 + ["B"] * 2,
            "trial": ["1"] * 6 + ["2"] + ["1"] * 2,
            "start": [0.0, 5, 10, 15, 20, 25, 0, 0, 5],
            "label": LABELS,
        },
        index=np.arange(100, 109),
    )
    x = pd.DataFrame({"x": [1.0, 2, 4, 8, 16, 32, 64, 128, 256]}, index=windows.index)
    return windows, x


def test_each_window_is_corrected_by_the_baseline_before_it():
    windows, features = make_windows()
    corrected = correct_baseline(features, windows)
    assert corrected.index.tolist() == [100, 103, 105, 106, 108]
    expected = [np.nan, 8 - 3, 32 - 16, np.nan, 256 - 128]
    assert corrected["x"].tolist() == pytest.approx(expected, nan_ok=True)
    ratio = correct_baseline(features, windows, method="divide")["x"].tolist()
    assert ratio == pytest.approx([np.nan, 8 / 3, 2, np.nan, 2], nan_ok=True)


def test_the_order_of_the_rows_does_not_matter():
    windows, features = make_windows()
    order = np.random.default_rng(0).permutation(len(windows))
    shuffled = correct_baseline(features.iloc[order], windows.iloc[order]).sort_index()
    pd.testing.assert_frame_equal(shuffled, correct_baseline(features, windows))


def test_a_shift_of_a_whole_recording_changes_nothing():
    windows, features = make_windows()
    shifted = features + 1000.0 * windows[["subject"]].eq("B").to_numpy()
    pd.testing.assert_frame_equal(
        correct_baseline(shifted, windows), correct_baseline(features, windows)
    )


def test_a_baseline_of_zero_or_nan_gives_nan():
    windows, features = make_windows()
    features.loc[104], features.loc[107] = 0.0, np.nan
    ratio = correct_baseline(features, windows, method="divide")["x"]
    assert ratio.isna().tolist() == [True, False, True, True, True]


def test_recordings_with_baselines_give_corrected_features():
    rng = np.random.default_rng(0)
    level = np.repeat([1.0, 1.0, 5.0, 2.0, 2.0, 6.0], 40) + 0.01 * rng.normal(size=240)
    events = labels.from_events([(20.0, "a"), (50.0, "b")], duration=10.0, baseline=10.0)
    recording = Recording({"eda": level}, {"eda": 4}, subject="A", labels=events)
    windows = segment(recording, 10.0)
    assert windows["label"].tolist() == ["baseline", "a", "baseline", "b"]
    features = EDATransformer().fit_transform(windows["eda"])
    corrected = correct_baseline(pd.DataFrame(features, index=windows.index), windows)
    assert windows.loc[corrected.index, "label"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({}, {"method": "add"}, "method must be 'subtract' or 'divide', got 'add'"),
        ({}, {"label": "rest"}, "No window has the label 'rest'. Label the time before"),
        ({}, {"label": []}, r"label must be one label, got \[\]"),
        ({"index": 1}, {}, "must have the same index"),
        ({"text": 1}, {}, "features must be columns of numbers, but 'x' is not"),
        ({"drop": 1}, {}, "the column 'trial' is missing"),
    ],
)
def test_error_says_what_is_wrong(change, settings, message):
    windows, features = make_windows()
    if "index" in change:
        features = features.reset_index(drop=True)
    if "text" in change:
        features = features.astype(str)
    if "drop" in change:
        windows = windows.drop(columns="trial")
    with pytest.raises(ValueError, match=message):
        correct_baseline(features, windows, **settings)


def test_the_baseline_of_a_trial_may_be_a_recording_of_its_own():
    windows = pd.DataFrame(
        {
            "subject": ["A", "A", "A", "A", "B"],
            "trial": ["7", "7 baseline", "7", "8", "7"],
            "start": [0.0, 0.0, 5.0, 0.0, 0.0],
            "label": ["high", "baseline", "high", "low", "low"],
        }
    )
    features = pd.DataFrame({"x": [5.0, 2.0, 7.0, 1.0, 1.0]})
    corrected = correct_baseline(features, windows)["x"].tolist()
    assert corrected == pytest.approx([3.0, 5.0, np.nan, np.nan], nan_ok=True)
