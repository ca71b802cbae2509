"""What a recording contains, and what it refuses."""

import sys
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from skemo import Recording


def test_repr_is_one_readable_line():
    recording = Recording(
        {"eeg": np.zeros((19, 50_000)), "ecg": np.zeros(50_000)},
        {"eeg": 500, "ecg": 500},
        units={"eeg": "µV"},
        subject="07",
        trial="rest",
        labels=[(0, 50, "rest"), (50, 100, "arithmetic")],
        excluded=[(3, 4)],
    )
    assert repr(recording) == (
        "<Recording of subject '07', trial 'rest': 100 s; eeg 19 channels at 500 Hz (µV), "
        "ecg 1 channel at 500 Hz; labels 'rest', 'arithmetic'; 1 excluded>"
    )


def test_signals_are_not_copied_and_rates_are_floats():
    signal = np.zeros((2, 100), "int16")
    recording = Recording({"eeg": signal}, {"eeg": 4}, subject=7)
    assert recording.signals["eeg"] is signal
    assert recording.sampling_rates == {"eeg": 4.0}
    assert recording.channels == {"eeg": None}
    assert recording.subject == "7"


def test_a_recording_says_how_much_memory_its_signals_take():
    recording = Recording(
        {"ecg": np.zeros(5000), "eda": np.zeros(50)}, {"ecg": 100, "eda": 1}, subject="a"
    )
    assert 40_400 < sys.getsizeof(recording) < 41_400


def test_recording_is_frozen_and_can_be_replaced():
    recording = Recording({"ecg": np.zeros(100)}, {"ecg": 10}, subject="s1")
    with pytest.raises(FrozenInstanceError):
        recording.subject = "s2"
    changed = replace(recording, trial="t2", labels=[(0, 1, "rest")])
    assert (changed.trial, recording.trial) == ("t2", "")


def test_label_intervals_are_sorted():
    labels = [(30, 60, "b"), (0, 30, "a")]
    recording = Recording({"ecg": np.zeros(600)}, {"ecg": 10}, subject="s1", labels=labels)
    assert recording.labels == ((0.0, 30.0, "a"), (30.0, 60.0, "b"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"signals": {}}, "has no signals"),
        ({"signals": {"eda": [1, 2], "ecg": [1]}}, r"'ecg' has no sampling rate; .* \['eda'\]"),
        ({"signals": {"eda": ["a"]}}, "'eda' must hold real numbers, got dtype <U1"),
        ({"signals": {"eda": [1j]}}, "'eda' must hold real numbers, got dtype complex128"),
        ({"signals": {"eda": np.zeros((2, 2, 2))}}, r"'eda' must have shape .* got \(2, 2, 2\)"),
        ({"signals": {"eda": np.zeros((0, 9))}}, r"'eda' must have shape .* got \(0, 9\)"),
        ({"signals": {"label": [1.0]}}, "a modality cannot be called 'label'"),
        ({"sampling_rates": {"eda": 0}}, "rate of 'eda' must be a positive number .* got 0"),
        ({"sampling_rates": {"eda": "4"}}, "rate of 'eda' must be a positive number .* got '4'"),
        ({"sampling_rates": {"eda": 4, "ecg": 9}}, "sampling_rates names 'ecg', but the signals"),
        ({"units": {"ecg": "mV"}}, "units names 'ecg', but the signals"),
        ({"channels": {"eda": ["a", "b"]}}, r"'eda' has 1 channels, but 2 .* \['a', 'b'\]"),
        ({"labels": [(0, 5)]}, r"labels must be \(start, stop, label\) in seconds, got \(0, 5\)"),
        ({"labels": [("a", 5, "x")]}, r"labels must be .* in seconds, got \('a', 5, 'x'\)"),
        ({"labels": [(5, 5, "x")]}, r"labels interval \(5, 5, 'x'\) does not stop after its"),
        ({"labels": [(0, 5, None)]}, "a label must be a string or a number, got None"),
        ({"labels": [(0, 5, np.nan)]}, "a label must be a string or a number, got nan"),
        (
            {"labels": [(4, 6, "y"), (0, 5, "x")]},
            r"label intervals \(0.0, 5.0, 'x'\) and \(4.0, 6.0, 'y'\) overlap",
        ),
        ({"excluded": [(0, np.nan)]}, r"excluded must be \(start, stop\) in seconds, got \(0, na"),
        ({"excluded": [(6, 5)]}, r"excluded interval \(6, 5\) does not stop after its start"),
    ],
)
def test_error_names_the_subject_and_what_is_wrong(settings, message):
    good = {"signals": {"eda": np.zeros(40)}, "sampling_rates": {"eda": 4}}
    with pytest.raises(ValueError, match=f"Recording of subject 's1', trial 't'.*{message}"):
        Recording(**good | settings, subject="s1", trial="t")


def test_more_channels_than_samples_are_an_error():
    with pytest.raises(ValueError, match=r"'eeg' has 500 channels of 3 samples.*transpose"):
        Recording({"eeg": np.zeros((500, 3))}, {"eeg": 256}, subject="a")


def test_sampling_rates_must_be_a_mapping():
    with pytest.raises(ValueError, match=r"sampling_rates must be a mapping.*got int"):
        Recording({"ecg": np.zeros(100)}, 256, subject="a")


def test_warning_suspects_labels_in_milliseconds():
    with pytest.warns(UserWarning, match=r"lasts 10 s, but its labels end at 10000 s"):
        Recording({"ecg": np.zeros(100)}, {"ecg": 10}, subject="a", labels=[(0, 10_000, "x")])


@pytest.mark.parametrize("beyond", [1.5, 30, 5000])
@pytest.mark.parametrize("what", ["labels", "beats"])
def test_times_beyond_the_recording_warn_from_the_first_second(what, beyond):
    end = 10 + beyond
    times = [(0, end, "x")] if what == "labels" else {"beats": np.linspace(end - 9, end, 10)}
    with pytest.warns(UserWarning, match=f"lasts 10 s, but .* end at {end:g} s. Are they in sec"):
        Recording({"ecg": np.zeros(100)}, {"ecg": 10}, subject="a", **{what: times})


def test_labels_that_begin_before_the_recording_warn():
    with pytest.warns(UserWarning, match="lasts 10 s, but its labels begin at -5 s"):
        Recording({"ecg": np.zeros(100)}, {"ecg": 10}, subject="a", labels=[(-5, 8, "x")])


@pytest.mark.parametrize("beyond", [0.0, 0.9])
def test_times_rounded_to_a_second_and_long_exclusions_do_not_warn(beyond):
    end = 10 + beyond
    settings = {"labels": [(0, end, "x")], "excluded": [(8, 15)]}
    settings["beats"] = {"beats": np.arange(0.5, end, 0.8)}
    Recording({"ecg": np.zeros(100)}, {"ecg": 10}, subject="a", **settings)


def test_beats_that_are_no_hearts_warn_though_they_lie_in_the_recording():
    beats = {"beats": 4.0 * np.arange(25)}
    with pytest.warns(UserWarning, match="the beats 'beats' are 4 s apart, which is no heart's"):
        Recording({"ecg": np.zeros(1000)}, {"ecg": 10}, subject="a", beats=beats)


def test_masked_samples_targets_and_beats_are_missing():
    samples = np.ma.masked_equal(np.array([[1, 2, -999, 4], [1, 2, 3, 4]]), -999)
    recording = Recording(
        {"eeg": samples},
        {"eeg": 1},
        subject="a",
        targets={"joy": (np.ma.masked_equal([1.0, -999, 3], -999), 1)},
        beats={"beats": np.ma.masked_equal([0.5, 1.2, -999], -999)},
    )
    np.testing.assert_array_equal(recording.signals["eeg"], [[1, 2, np.nan, 4], [1, 2, 3, 4]])
    np.testing.assert_array_equal(recording.targets["joy"][0], [1, np.nan, 3])
    np.testing.assert_array_equal(recording.beats["beats"], [0.5, 1.2])


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"label": 1.0}, "a target cannot be called 'label'; another column is"),
        ({"ecg": 1.0}, "a target cannot be called 'ecg'; another column is"),
        ({"joy": "high"}, "the target 'joy' must be a number or"),
        ({"joy": ([1.0, 2.0], 0)}, "the target 'joy' must be a number or"),
        ([3.0], "targets must be a mapping"),
    ],
)
def test_error_names_the_target_that_is_wrong(targets, message):
    with pytest.raises(ValueError, match=message):
        Recording({"ecg": np.zeros(800)}, {"ecg": 100}, subject="A", targets=targets)


@pytest.mark.parametrize(
    ("beats", "message"),
    [
        ({"label": [1.0]}, "beats cannot be called 'label'; another column is"),
        ({"ecg": [1.0]}, "beats cannot be called 'ecg'; another column is"),
        ({"beats": [2.0, 1.0]}, "'beats' must be increasing times in seconds"),
        ({"beats": [1.0, np.nan]}, "'beats' must be increasing times in seconds"),
        ([1.0], "beats must be a mapping"),
    ],
)
def test_error_names_the_beats_that_are_wrong(beats, message):
    with pytest.raises(ValueError, match=message):
        Recording({"ecg": np.zeros(800)}, {"ecg": 100}, subject="A", beats=beats)


def test_notebook_shows_signals_and_labels():
    recording = Recording(
        {"ecg": np.zeros(7000), "eda": np.zeros(40)},
        {"ecg": 700, "eda": 4},
        subject="<S2>",
        labels=[(0, 6, "rest"), (6, 10, "stress")],
    )
    shown = recording._repr_html_()
    for text in ("&lt;S2&gt;", "1x7000", "700", "stress"):
        assert text in shown
    assert "<S2>" not in shown


# Times


def test_starts_as_timestamps_become_seconds_from_the_earliest():
    recording = Recording(
        {"ecg": np.zeros(7000), "eda": np.zeros(40)},
        {"ecg": 700, "eda": 4},
        subject="S2",
        starts={"ecg": pd.Timestamp("2024-05-01 09:30:02.5"), "eda": "2024-05-01 09:30"},
        labels=[("2024-05-01 09:30:03", pd.Timestamp("2024-05-01 09:30:06"), "rest")],
        excluded=[(pd.Timedelta("4s"), np.timedelta64(5000, "ms"))],
    )
    assert recording.start_time == pd.Timestamp("2024-05-01 09:30")
    assert recording.starts == {"ecg": 2.5, "eda": 0.0}
    assert recording.labels == ((3.0, 6.0, "rest"),)
    assert recording.excluded == ((4.0, 5.0),)
    assert recording.duration == 7.5
    assert repr(recording) == (
        "<Recording of subject 'S2': 7.5 s; ecg 1 channel at 700 Hz from 2.5 s, eda 1 channel "
        "at 4 Hz; labels 'rest'; 1 excluded; since 2024-05-01 09:30:00>"
    )


def test_a_start_time_is_second_0_and_may_be_in_any_time_zone():
    recording = Recording(
        {"eda": np.zeros(40)},
        {"eda": 4},
        subject="S2",
        start_time="2024-05-01 09:30+02:00",
        starts={"eda": pd.Timestamp("2024-05-01 07:30:01", tz="UTC")},
    )
    assert recording.starts == {"eda": 1.0}
    assert replace(recording, trial="a").starts == {"eda": 1.0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"starts": {"bvp": 1}}, r"starts names 'bvp', but the signals are \['eda', 'ecg'\]"),
        ({"starts": {"eda": np.nan}}, "the start of 'eda' must be a time, got nan"),
        ({"starts": {"eda": "2024-05-01"}}, "'eda' starts at a moment, but 'ecg' does not"),
        ({"start_time": 1.6e9}, "start_time must be a Timestamp .* pandas.Timestamp"),
        ({"start_time": "noon-ish"}, "start_time must be a Timestamp, got 'noon-ish'"),
        ({"labels": [("2024-05-01", 3, "a")]}, "the recording has no start_time"),
        (
            {"start_time": "2024-05-01", "starts": {"eda": "2024-05-01 00:00Z"}},
            "one has a time zone and the other does not",
        ),
    ],
)
def test_error_names_the_time_that_is_wrong(settings, message):
    signals = {"eda": np.zeros(40), "ecg": np.zeros(400)}
    with pytest.raises(ValueError, match=f"Recording of subject 'a'.*{message}"):
        Recording(signals, {"eda": 4, "ecg": 40}, subject="a", **settings)
