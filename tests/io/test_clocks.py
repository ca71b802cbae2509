"""Clocks of several devices, and their recordings put together."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from skemo import Recording, segment
from skemo.io import correct_clock, merge_recordings


def make_recording(name, rate, duration=600.0, late=0.0, **settings):
    """A signal whose samples are the time of the recording at which they were taken."""
    signals = {name: late + np.arange(round(duration * rate)) / rate}
    starts = {name: late}
    return Recording(signals, {name: rate}, subject="A", starts=starts, **settings)


def test_one_event_corrects_the_offset_of_everything():
    wrist = make_recording(
        "eda", 4, labels=[(10, 20, "rest")], excluded=[(3, 4)], beats={"b": [1.0, 2.0]}
    )
    fixed = correct_clock(wrist, 5.0, 105.0)
    assert fixed.starts == {"eda": 100}
    assert fixed.labels == ((110, 120, "rest"),)
    assert fixed.excluded == ((103, 104),)
    assert fixed.beats["b"].tolist() == [101, 102]
    assert fixed.signals["eda"] is wrist.signals["eda"]


@pytest.mark.parametrize("drift", [-2e-4, 1e-4])
def test_two_events_correct_the_drift_at_the_nominal_rate(drift):
    wrist = make_recording("eda", 64)
    own = np.array([20.0, 580.0])
    fixed = correct_clock(wrist, own, 3 + own * (1 + drift))
    times = fixed.starts["eda"] + np.arange(fixed.signals["eda"].shape[1]) / 64
    assert fixed.sampling_rates == {"eda": 64}
    np.testing.assert_allclose(fixed.signals["eda"][0], (times - 3) / (1 + drift), atol=0.5 / 64)
    assert times[-1] == pytest.approx(3 + (600 - 1 / 64) * (1 + drift), abs=1 / 64)


@pytest.mark.parametrize(
    ("times", "true_times", "message"),
    [
        ([1.0], [1.0, 2.0], "must have the same events, got 1 and 2"),
        ([], [], "must have the same events"),
        ([1.0, 1.0], [1.0, 2.0], "times are all the same"),
        (
            [1.0, 2.0],
            [1.0, np.inf],
            r"true_times must be finite numbers of seconds, got \[1.0, inf",
        ),
        ("ab", [1.0, 2.0], "times must be numbers of seconds: could not convert"),
        ([1.0, 2.0], [1.0, 3.0], "The clocks differ by 1e.02 %"),
    ],
)
def test_events_that_cannot_be_are_errors(times, true_times, message):
    with pytest.raises(ValueError, match=message):
        correct_clock(make_recording("eda", 4), times, true_times)


def test_devices_with_moments_are_merged_at_their_moments():
    chest = make_recording("ecg", 130, start_time="2024-05-01 09:30", labels=[(0, 600, "rest")])
    wrist = make_recording(
        "eda", 4, start_time="2024-05-01 09:31", excluded=[(100, 110)], beats={"b": [1.0]}
    )
    both = merge_recordings([chest, wrist])
    assert both.starts == {"ecg": 0, "eda": 60}
    assert both.labels == ((0, 600, "rest"),)
    assert both.excluded == ((160, 170),)
    assert both.beats["b"].tolist() == [61]
    assert both.start_time == pd.Timestamp("2024-05-01 09:30")
    windows = segment(both, 30.0)
    ecg, eda = (windows[name].array.values[:, 0, 0] for name in ("ecg", "eda"))
    np.testing.assert_allclose(ecg - eda, 60, atol=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subject": "B"}, "of subject 'A', trial '', and of subject 'B', trial ''"),
        ({"start_time": "2024-05-01"}, "Only some of the recordings of subject 'A' have a start_"),
        ({}, "Several recordings of subject 'A' have 'eda'"),
    ],
)
def test_recordings_that_do_not_fit_together_are_errors(change, message):
    one = make_recording("eda", 4)
    with pytest.raises(ValueError, match=message):
        merge_recordings([one, replace(one, **change)])


def test_no_recordings_are_an_error():
    with pytest.raises(ValueError, match="got no recordings"):
        merge_recordings([])
