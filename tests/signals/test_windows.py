"""Cutting recordings into windows."""

import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from skemo import Recording, segment

RATES = {"ecg": 700, "bvp": 64, "eda": 4}


def ramp(duration, rate, n_channels=1, value_type="float64"):
    """A signal whose samples are their own index, plus 1e6 in each further channel."""
    n_times = round(duration * rate)
    return (np.arange(n_times) + 1e6 * np.arange(n_channels)[:, np.newaxis]).astype(value_type)


def make_recording(subject="s1", duration=60.0, rates=RATES, **settings):
    signals = {name: ramp(duration, rate) for name, rate in rates.items()}
    return Recording(signals, rates, subject=subject, **settings)


def begins(windows, name):
    """First sample of each window of a ramp."""
    return windows[name].array.values[:, 0, 0]


# Samples of windows


def test_windows_hold_consecutive_samples_of_each_channel():
    recording = Recording(
        {"eeg": ramp(10, 128, n_channels=3)},
        {"eeg": 128},
        channels={"eeg": ["F3", "Fz", "F4"]},
        subject="s1",
    )
    windows = segment(recording, 2.0)
    expected = recording.signals["eeg"].reshape(3, 5, 256).swapaxes(0, 1)
    np.testing.assert_array_equal(windows["eeg"].array.values, expected)
    assert windows["eeg"].array.values.flags.c_contiguous
    assert windows["eeg"].dtype.channels == ("F3", "Fz", "F4")
    assert windows["eeg"].dtype.sampling_rate == 128


@pytest.mark.parametrize(("duration", "step"), [(10.0, None), (10.0, 2.5), (0.25, 7.0)])
def test_signals_at_different_rates_are_cut_at_the_same_times(duration, step):
    windows = segment(make_recording(), duration, step)
    step = step or duration
    np.testing.assert_allclose(windows["start"], step * np.arange(len(windows)))
    assert windows["start"].iloc[-1] + duration <= 60 < windows["start"].iloc[-1] + step + duration
    for name, rate in RATES.items():
        assert windows[name].dtype.shape == (1, duration * rate)
        np.testing.assert_array_equal(begins(windows, name), windows["start"] * rate)


@pytest.mark.parametrize(("duration", "step"), [(1.3, 1.3), (0.9, 0.37), (np.pi, np.e), (0.1, 0.1)])
def test_fractional_lengths_are_synchronous_to_half_a_sample(duration, step):
    windows = segment(make_recording(rates={"ecg": 700, "bvp": 64, "eda": 5}), duration, step)
    seconds = step * np.arange(len(windows))
    assert len(windows) == pytest.approx((60 - duration) / step + 1, abs=1)
    for name, rate in {"ecg": 700, "bvp": 64, "eda": 5}.items():
        n_times = windows[name].dtype.shape[1]
        assert abs(n_times - duration * rate) <= 0.5
        assert np.abs(begins(windows, name) - seconds * rate).max() <= 0.5 + 1e-5
        ends = windows[name].array.values[:, 0, -1]
        np.testing.assert_array_equal(ends - begins(windows, name), n_times - 1)


def test_half_samples_are_rounded_up():
    windows = segment(make_recording(rates={"eda": 4}, duration=4), 0.625, 0.375)
    assert windows["eda"].dtype.shape == (1, 3)
    assert begins(windows, "eda").tolist() == [0, 2, 3, 5, 6, 8, 9, 11, 12]


def test_window_of_the_whole_recording():
    assert segment(make_recording(), 60.0)["start"].tolist() == [0.0]


def test_window_must_lie_inside_every_signal():
    recording = make_recording()
    shorter = replace(recording, signals=recording.signals | {"eda": ramp(35, 4)})
    assert shorter.duration == 35
    assert segment(shorter, 10.0)["start"].tolist() == [0, 10, 20]
    assert segment(shorter, 10.0, 5.0)["start"].tolist() == [0, 5, 10, 15, 20, 25]


@pytest.mark.parametrize(
    ("given", "kept"), [("int16", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_value_type_is_kept(given, kept):
    recording = Recording({"eda": ramp(60, 4, value_type=given)}, {"eda": 4}, subject="s1")
    assert segment(recording, 10.0)["eda"].dtype.value_type == kept


def test_windows_are_copies():
    recording = make_recording()
    segment(recording, 10.0, 1.0)["eda"].array[0] = np.nan
    np.testing.assert_array_equal(recording.signals["eda"], ramp(60, 4))


# Many recordings


def test_columns_and_rows_are_in_order():
    windows = segment([make_recording("b", trial="t1"), make_recording("a")], 20.0)
    assert windows.columns.tolist() == ["ecg", "bvp", "eda", "subject", "trial", "start", "label"]
    assert windows["subject"].tolist() == ["b"] * 3 + ["a"] * 3
    assert windows["trial"].tolist() == ["t1"] * 3 + [""] * 3
    assert windows["start"].tolist() == [0, 20, 40] * 2


def test_generator_is_read_one_recording_at_a_time():
    alive = []

    def load():
        for subject in "abcdef":
            recording = make_recording(subject)
            references.append(weakref.ref(recording))
            yield recording
            del recording
            alive.append(sum(reference() is not None for reference in references))

    references = []
    windows = segment(load(), 20.0)
    assert max(alive) == 2  # the first, to compare with, and the one just cut
    pd.testing.assert_frame_equal(windows, segment([make_recording(s) for s in "abcdef"], 20.0))


def test_absent_modality_is_missing():
    one = make_recording("one", rates={"ecg": 700})
    both = make_recording("both", rates={"eda": 4, "ecg": 700})
    windows = segment([one, both, one], 30.0)
    assert windows.columns.tolist()[:2] == ["ecg", "eda"]
    assert windows["eda"].isna().tolist() == [True, True, False, False, True, True]
    assert not windows["ecg"].isna().any()


def test_modality_of_only_a_short_recording_is_missing_in_all_windows():
    short = make_recording("short", duration=5, rates={"eda": 4})
    with pytest.warns(UserWarning, match=r"No window is left of subject\(s\) short"):
        windows = segment([make_recording("long", rates={"ecg": 700}), short], 30.0)
    assert windows["eda"].isna().all()
    assert windows["eda"].dtype.shape == (1, 120)


def test_value_types_are_joined_to_the_widest():
    recordings = [
        Recording({"eda": ramp(8, 4, value_type=t)}, {"eda": 4}, subject="s1")
        for t in ("float32", "float64")
    ]
    assert segment(recordings, 4.0)["eda"].dtype.value_type == "float64"


def test_short_recordings_have_no_windows():
    with pytest.warns(UserWarning, match=r"No window is left of subject\(s\) short"):
        windows = segment([make_recording("short", duration=5), make_recording("long")], 30.0)
    assert windows["subject"].unique().tolist() == ["long"]
    assert windows.attrs["segment"]["short_recordings"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"sampling_rates": {"eeg": 64}},
            r"'eeg' has different sampling rates \(hertz\): 128.0 in the recording of subject "
            "'one', but 64.0 in that of subject 'other'",
        ),
        ({"channels": {"eeg": ["C3", "C4"]}}, "'eeg' has different channels: .*'F3'.*'one'.*'C3'"),
        ({"channels": {}}, "'eeg' has different channels: .*'F3'.*'one', but None in .*'other'"),
        ({"units": {"eeg": "mV"}}, "'eeg' has different units: µV .*'one', but mV .*'other'"),
        (
            {"signals": {"eeg": ramp(10, 128, 3)}, "channels": {}},
            "'eeg' has different numbers of channels: 2 .*'one', but 3 .*'other'",
        ),
    ],
)
def test_error_says_how_recordings_disagree(change, message):
    one = Recording(
        {"eeg": ramp(10, 128, 2)},
        {"eeg": 128},
        channels={"eeg": ["F3", "F4"]},
        units={"eeg": "µV"},
        subject="one",
    )
    with pytest.raises(ValueError, match=message):
        segment([one, replace(one, subject="other", **change)], 2.0)


# Labels


LABELS = [(0, 25, "rest"), (25, 40, "stress"), (45, 60, "rest")]


def test_impure_windows_are_dropped():
    windows = segment(make_recording(labels=LABELS), 10.0)
    assert windows["start"].tolist() == [0, 10, 30, 50]
    assert windows["label"].tolist() == ["rest", "rest", "stress", "rest"]
    assert windows.attrs["segment"]["dropped_label"] == 2


def test_purity_is_the_share_of_the_seconds_with_the_label():
    recording = make_recording(labels=LABELS)
    half = segment(recording, 10.0, purity=0.5)
    assert half["start"].tolist() == [0, 10, 20, 30, 40, 50]
    assert half["label"].tolist() == ["rest", "rest", "rest", "stress", "rest", "rest"]
    step = segment(recording, 10.0, 1.0, purity=0.8)
    assert step["start"].tolist() == [*range(18), *range(23, 33), *range(43, 51)]
    assert set(step["label"][step["start"].between(23, 32)]) == {"stress"}


def test_one_label_in_two_adjacent_intervals_is_pure():
    recording = make_recording(labels=[(0, 15, "rest"), (15, 60, "rest")])
    assert len(segment(recording, 10.0)) == 6


def test_no_window_is_lost_to_the_rounding_of_times():
    labels = [(0.1 * i, 0.1 * (i + 3), str(i)) for i in range(0, 60, 3)]
    windows = segment(make_recording(duration=6, labels=labels), 0.3)
    assert windows["label"].tolist() == [str(i) for i in range(0, 60, 3)]


def test_recording_without_labels_keeps_its_windows():
    windows = segment([make_recording("a", labels=[(0, 30, 1)]), make_recording("b")], 15.0)
    assert windows["label"].tolist() == [1, 1, None, None, None, None]


@pytest.mark.parametrize(
    ("label", "dtype"), [("rest", object), (1, "int64"), (0.5, "float64"), (True, "bool")]
)
def test_label_column_has_the_type_of_the_labels(label, dtype):
    windows = segment(make_recording(labels=[(0, 60, label)]), 30.0)
    assert windows["label"].tolist() == [label, label]
    assert windows["label"].dtype == pd.Series([label]).dtype
    if dtype is not object:
        assert windows["label"].dtype == dtype


# Exclusions


def test_windows_that_touch_an_excluded_interval_are_dropped():
    recording = make_recording(excluded=[(12, 12.1), (30, 40), (59, 80)])
    windows = segment(recording, 10.0)
    assert windows["start"].tolist() == [0, 20, 40]
    assert windows.attrs["segment"]["dropped_excluded"] == 3


def test_counts_add_up():
    recording = make_recording(labels=LABELS, excluded=[(51, 52)])
    counts = segment([recording, make_recording(duration=3)], 10.0, 5.0).attrs["segment"]
    assert counts == {
        "duration": 10.0,
        "step": 5.0,
        "windows": 6,
        "dropped_label": 3,
        "dropped_excluded": 2,
        "dropped_missing": 0,
        "short_recordings": 1,
    }


def test_tables_with_different_counts_can_be_joined():
    one = segment(make_recording("a"), 10.0)
    other = segment(make_recording("b"), 10.0, 5.0)
    assert len(pd.concat([one, other])) == len(one) + len(other)
    assert len(one.merge(other[["subject", "start"]], on="start")) == len(one)


# No window at all


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"duration": 5.0}, r"recording lasts 5 s, and a window 10 s.* 1 recordings \(too short"),
        ({"excluded": [(0, 60)]}, r"6 windows \(touching an excluded interval\) and 0 windows"),
        ({"labels": [(0, 5, "rest")]}, r"and 6 windows \(label not pure, purity=1\)"),
    ],
)
def test_error_says_why_no_window_is_left(settings, reason):
    with pytest.raises(ValueError, match=f"No window is left: .*{reason}"):
        segment(make_recording(**settings), 10.0)


def test_no_recordings_is_an_error():
    with pytest.raises(ValueError, match="segment got no recordings: the list is empty"):
        segment([], 10.0)


def test_window_without_a_sample_is_an_error():
    with pytest.raises(ValueError, match=r"A window of 0.1 s has no sample of 'eda' at 4 Hz"):
        segment(make_recording(), 0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"duration": 0}, "duration must be a positive number of seconds, got 0"),
        ({"duration": "10"}, "duration must be a positive number of seconds, got '10'"),
        ({"duration": 10, "step": -1}, "step must be a positive number of seconds, got -1"),
        ({"duration": 10, "purity": 0}, r"purity must be in \(0, 1\], got 0"),
        ({"duration": 10, "purity": 1.5}, r"purity must be in \(0, 1\], got 1.5"),
    ],
)
def test_error_names_the_parameter_that_is_wrong(settings, message):
    with pytest.raises(ValueError, match=message):
        segment(make_recording(), **settings)


def test_only_recordings_can_be_cut():
    with pytest.raises(TypeError, match="segment expects recordings, got DataFrame"):
        segment([pd.DataFrame()], 10.0)


# Targets and beats


def test_every_window_of_a_recording_has_its_rating():
    one = replace(make_recording("A"), targets={"valence": 3})
    other = make_recording("B")
    windows = segment([one, other], duration=2.0)
    first = (windows["subject"] == one.subject).to_numpy()
    assert windows.loc[first, "valence"].eq(3.0).all()
    assert windows.loc[~first, "valence"].isna().all()


def test_a_series_of_targets_is_averaged_over_each_window():
    series = np.array([1.0, 3.0, np.nan, 5.0, np.nan, np.nan])
    one = Recording({"ecg": np.zeros(800)}, {"ecg": 100}, subject="A", targets={"joy": (series, 1)})
    windows = segment(one, duration=2.0)
    np.testing.assert_array_equal(windows["joy"], [2.0, 5.0, np.nan, np.nan])
    short = segment(one, duration=0.5)
    np.testing.assert_array_equal(short["joy"][:5], [1.0, 1.0, 3.0, 3.0, np.nan])


def test_beats_are_cut_into_the_windows_they_lie_in():
    times = [0.0, 0.9, 1.8, 2.0, 3.5, 5.9, 7.1]
    recording = Recording({"ecg": np.zeros(800)}, {"ecg": 100}, subject="A", beats={"beats": times})
    beats = segment(recording, duration=2.0)["beats"].array
    assert beats.dtype.shape == (1, 7)
    assert beats.dtype.sampling_rate is None
    found = [row[~np.isnan(row)].round(9).tolist() for row in beats.values[:, 0]]
    assert found == [[0.0, 0.9, 1.8], [0.0, 1.5], [1.9], [1.1]]


def test_no_beat_is_lost_or_counted_twice_by_cutting():
    times = np.cumsum(np.random.default_rng(0).uniform(0.3, 1.5, 100))
    one = make_recording(duration=60.0, beats={"beats": times[times < 60]})
    windows = segment(one, duration=5.0)
    back = windows["beats"].array.values[:, 0] + windows["start"].to_numpy()[:, np.newaxis]
    np.testing.assert_allclose(np.sort(back[~np.isnan(back)]), times[times < 60])


def test_beats_are_missing_in_windows_of_a_recording_without_beats():
    one = make_recording("A", beats={"beats": [1.0, 2.0]})
    windows = segment([one, make_recording("B")], duration=10.0)
    missing = windows["beats"].isna().to_numpy()
    assert missing[windows["subject"] == "B"].all()
    assert not missing[0]


def test_more_beats_than_possible_are_an_error():
    recording = make_recording(beats={"beats": np.arange(0, 60, 0.1)})
    message = "100 beats in the window that starts at 0 s, but at most 34 are possible in 10 s"
    with pytest.raises(ValueError, match=message):
        segment(recording, duration=10.0)


def test_beats_and_signals_of_one_name_are_an_error():
    one = make_recording("A", beats={"pulse": [1.0]})
    other = make_recording("B", rates={"pulse": 64})
    with pytest.raises(ValueError, match="'pulse' names beats in one recording and a signal in"):
        segment([one, other], duration=10.0)
    with pytest.raises(ValueError, match="'pulse' names a signal in one recording and beats in"):
        segment([other, one], duration=10.0)


def test_labels_that_are_off_by_less_than_half_a_sample_lose_no_window():
    for rate in (100, 100.0001):
        labels = [(0, 6000 / rate, "rest"), (6000 / rate, 12000 / rate, "stress")]
        signals = {"ecg": np.random.default_rng(0).normal(size=12000)}
        recording = Recording(signals, {"ecg": rate}, subject="a", labels=labels)
        windows = segment(recording, 29.99, step=30.0)
        assert windows["label"].tolist() == ["rest"] * 2 + ["stress"] * 2
    early = [(0, 59.9, "rest"), (59.9, 120, "stress")]
    windows = segment(Recording(signals, {"ecg": 100}, subject="a", labels=early), 30.0)
    assert windows["label"].tolist() == ["rest", "stress", "stress"]


# Signals that start at different times


def make_late(starts, rates=RATES, duration=60.0, **settings):
    """A recording whose samples, at all rates, are the time in seconds at which they were taken."""
    signals = {
        name: starts.get(name, 0.0) + ramp(duration, rate) / rate for name, rate in rates.items()
    }
    return Recording(signals, rates, subject="s1", starts=starts, **settings)


def test_signals_with_different_starts_are_cut_at_the_same_times():
    windows = segment(make_late({"ecg": 0.0, "bvp": 3.5, "eda": 7.25}), duration=10.0)
    assert windows["start"].tolist() == [7.25, 17.25, 27.25, 37.25, 47.25]
    for name, rate in RATES.items():
        late = begins(windows, name) - windows["start"]
        assert np.abs(late).max() <= 0.5 / rate + 1e-9


@pytest.mark.parametrize("rate", [130.2, 51.2, 125.0027])
def test_windows_at_rates_that_are_not_whole_stay_at_their_times(rate):
    starts = {"ecg": 0.013, "eda": 0.0}
    windows = segment(make_late(starts, {"ecg": rate, "eda": 4}, 600.0), duration=7.3)
    late = begins(windows, "ecg") - windows["start"]
    assert np.abs(late).max() <= 0.5 / rate + 1e-9
    assert windows["ecg"].dtype.shape == (1, round(7.3 * rate))


def test_all_windows_of_a_recording_that_starts_late_begin_with_its_first_sample():
    windows = segment(make_late({"eda": 20.5}, {"eda": 4}), duration=20.0)
    assert windows["start"].tolist() == [20.5, 40.5, 60.5]
    assert begins(windows, "eda").tolist() == [20.5, 40.5, 60.5]


def test_windows_outside_a_signal_are_dropped_and_counted_or_kept_as_missing():
    recording = make_late({"ecg": 20.0}, {"ecg": 100, "eda": 4})
    dropped = segment(recording, duration=10.0)
    assert dropped["start"].tolist() == [20.0, 30.0, 40.0, 50.0]
    assert dropped.attrs["segment"]["dropped_missing"] == 4
    kept = segment(recording, duration=10.0, missing="keep")
    assert kept["start"].tolist() == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0]
    assert kept["ecg"].isna().tolist() == [True] * 2 + [False] * 6
    assert kept["eda"].isna().tolist() == [False] * 6 + [True] * 2
    both = kept[~kept["ecg"].isna() & ~kept["eda"].isna()].reset_index(drop=True)
    pd.testing.assert_frame_equal(both, dropped)


def test_signals_that_never_overlap_leave_no_window_unless_missing_is_kept():
    recording = make_late({"ecg": 100.0}, {"ecg": 100, "eda": 4})
    with pytest.raises(ValueError, match=r"12 windows \(outside some of the signals\)"):
        segment(recording, duration=10.0)
    windows = segment(recording, duration=10.0, missing="keep")
    assert (windows["ecg"].isna() != windows["eda"].isna()).all()


def test_moving_everything_by_the_same_time_moves_only_the_starts():
    labels = [(5, 35, "rest"), (35, 60, "stress")]
    early = make_late({"bvp": 2.5}, labels=labels, beats={"beats": np.arange(1.0, 60)})
    late = replace(
        early,
        starts={name: start + 10 for name, start in early.starts.items()},
        labels=[(start + 10, stop + 10, label) for start, stop, label in labels],
        beats={"beats": early.beats["beats"] + 10},
    )
    one, other = segment(early, 5.0), segment(late, 5.0)
    pd.testing.assert_frame_equal(one, other.assign(start=other["start"] - 10))


def test_a_target_series_has_a_start_of_its_own():
    recording = make_late(
        {"eda": 0.0, "valence": 10.0}, {"eda": 4}, targets={"valence": (np.arange(40.0), 1.0)}
    )
    windows = segment(recording, duration=5.0)
    expected = [np.nan, np.nan, *np.arange(2.0, 40.0, 5.0), np.nan, np.nan]
    assert windows["valence"].tolist() == pytest.approx(expected, nan_ok=True)


def test_missing_has_two_values():
    with pytest.raises(ValueError, match="missing must be 'drop' or 'keep', got 'fill'"):
        segment(make_recording(), 10.0, missing="fill")
