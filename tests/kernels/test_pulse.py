"""Pulse waves between movements of the wrist, against the device and NeuroKit2."""

import numpy as np
import pytest
from beats import beat_times, cut, disturb, found, make_pulse

from skemo import Recording, find_beats
from skemo.kernels.heartbeats import METHODS, r_peaks
from skemo.kernels.hrv import regular_intervals


@pytest.mark.parametrize("sampling_rate", [64, 128])
def test_pulse_waves_are_found_where_they_rise(sampling_rate):
    truth = beat_times(1, duration=30)
    pulse = make_pulse(truth, sampling_rate, 30)
    beats = found(r_peaks(pulse[np.newaxis], sampling_rate, signal="ppg")[0])
    assert len(beats) == len(truth)
    delay = truth - beats  # the crest comes after the steepest point
    assert 0.03 < delay.mean() < 0.12
    np.testing.assert_allclose(np.diff(beats), np.diff(truth), atol=0.006)


@pytest.mark.parametrize(("sampling_rate", "duration"), [(32, 60), (64, 30), (64, 300), (500, 60)])
def test_all_pulse_waves_away_from_movements_are_found(sampling_rate, duration):
    truth = beat_times(3, duration=duration)
    starts = np.arange(6.0, duration - 6, 9.3)
    pulse = disturb(make_pulse(truth, sampling_rate, duration), sampling_rate, starts)
    beats = found(r_peaks(pulse[np.newaxis], sampling_rate, signal="ppg")[0])
    delay = np.median(truth[:5] - beats[:5])
    distance = np.abs(truth[:, np.newaxis] - beats - delay)
    near = np.abs(truth[:, np.newaxis] - starts - 0.75).min(axis=1) < 1.25
    assert distance[~near].min(axis=1).max() < 0.03
    assert (distance.min(axis=0) < 0.06).mean() > 0.97


def test_a_quiet_stretch_between_movements_has_its_pulse_waves_and_they_have_none():
    truth = beat_times(4, duration=60)
    noise = np.random.default_rng(0).normal(size=60 * 64).cumsum()
    from_quiet = np.abs(np.arange(60 * 64) / 64 - 30) - 6
    moved = make_pulse(truth, 64, 60) + noise * np.clip(from_quiet, 0, 1)
    beats = found(r_peaks(moved[np.newaxis], 64, signal="ppg")[0])
    quiet = truth[(truth > 25) & (truth < 35)]
    assert (np.abs(quiet[:, np.newaxis] - 0.07 - beats).min(axis=1) < 0.05).all()
    assert ((beats > 22) & (beats < 38)).mean() > 0.9


def test_small_pulse_waves_beside_large_ones_and_a_flat_stretch_are_followed():
    truth = beat_times(5, duration=60)
    pulse = make_pulse(truth, 64, 60)
    times = np.arange(60 * 64) / 64
    pulse *= np.where(times < 30, 1.0, 0.02)
    pulse[times > 45] = pulse[(times > 45).argmax()]
    beats = found(r_peaks(pulse[np.newaxis], 64, signal="ppg")[0])
    clear = truth[(np.abs(truth - 30) > 1.5) & (truth < 44)]
    assert (np.abs(clear[:, np.newaxis] - 0.07 - beats).min(axis=1) < 0.03).all()
    assert beats.max() < 46


@pytest.mark.parametrize("mean", [0.4, 0.6, 1.0, 1.5])
def test_slow_and_fast_pulses_are_followed(mean):
    truth = beat_times(0, duration=60, mean=mean, spread=0.03 * mean)
    beats = found(r_peaks(make_pulse(truth, 64, 60)[np.newaxis], 64, signal="ppg")[0])
    assert len(beats) == len(truth)
    np.testing.assert_allclose(np.diff(beats), np.diff(truth), atol=0.025)


def test_pulse_waves_do_not_depend_by_a_bit_on_the_windows_beside(monkeypatch):
    windows = np.stack([make_pulse(beat_times(seed), 64, 10) for seed in range(40)])
    windows += np.random.default_rng(0).normal(0, 0.15, windows.shape)
    windows[::3] = [disturb(window, 64, [2.5]) for window in windows[::3]]
    together = r_peaks(windows, 64, signal="ppg")
    alone = np.concatenate([r_peaks(window[np.newaxis], 64, signal="ppg") for window in windows])
    np.testing.assert_array_equal(together, alone)
    monkeypatch.setattr("skemo.kernels.heartbeats._CHUNK", 7 * 640)
    np.testing.assert_array_equal(r_peaks(windows, 64, signal="ppg"), together)


def test_the_pulse_of_a_recording_is_that_of_one_long_window():
    truth = beat_times(0, duration=600)
    starts = np.arange(20.0, 580, 17)
    pulse = disturb(make_pulse(truth, 64, 600), 64, starts)
    recording = Recording({"ppg": pulse}, {"ppg": 64}, subject="A")
    times = find_beats(recording, name="ppg", signal="ppg").beats["beats"]
    whole = found(r_peaks(pulse[np.newaxis], 64, signal="ppg")[0])
    assert (np.abs(times[:, np.newaxis] - whole).min(axis=1) < 0.005).mean() > 0.98
    assert (np.abs(whole[:, np.newaxis] - times).min(axis=1) < 0.005).mean() > 0.98


def test_irregular_intervals_are_left_out_and_the_others_stay():
    rr = np.random.default_rng(0).normal(800, 30, (3, 40))
    rr[0, 10], rr[1, 20:22], rr[2, 35:] = 1600, 400, np.nan
    regular = regular_intervals(rr)
    left_out = np.isnan(regular) & ~np.isnan(rr)
    assert np.argwhere(left_out).tolist() == [[0, 10], [1, 20], [1, 21]]
    np.testing.assert_array_equal(regular[~np.isnan(regular)], rr[~np.isnan(regular)])
    np.testing.assert_array_equal(regular_intervals(rr[:, ::-1]), regular[:, ::-1])
    np.testing.assert_array_equal(regular_intervals(2 * rr), 2 * regular)
    np.testing.assert_array_equal(regular_intervals(rr, max_deviation=10), rr)
    assert np.isnan(regular_intervals(np.full((2, 5), np.nan))).all()
    assert regular_intervals(np.zeros((2, 0))).shape == (2, 0)


def device_beats(folder):
    """Pulse of a recording, 64 Hz, and start and end of the intervals that the device trusts."""
    start, rate, *pulse = np.loadtxt(folder / "BVP.csv")
    table = np.genfromtxt(folder / "IBI.csv", delimiter=",", skip_header=1)
    first = float((folder / "IBI.csv").read_text().split(",", 1)[0])
    ends = table[:, 0] + first - start
    return np.array(pulse), rate, ends - table[:, 1], ends


@pytest.mark.parametrize("subject", ["S02", "S10", "S17", "S26"])
def test_pulse_waves_of_a_moving_wrist_agree_with_the_device_better_than_neurokits(
    data_home, subject
):
    folder = data_home / "stress_predict" / "Raw_data" / subject
    pulse, rate, starts, ends = device_beats(folder)
    windows = cut(pulse, rate, 60)[:20]
    inside = ends < 60 * len(windows) - 1
    starts, ends = starts[inside], ends[inside]
    truth = np.unique(np.concatenate([starts, ends]).round(4))
    agreement = {}
    for method in ("skemo", "elgendi"):
        beats = r_peaks(windows, rate, method=method, signal="ppg")
        beats = found((beats + 60 * np.arange(len(windows))[:, np.newaxis]).ravel())
        nearest = beats[np.abs(truth[:, np.newaxis] - beats).argmin(axis=1)]
        near = np.abs(nearest - truth) < 0.4  # the foot, where the device has the beat
        delay = np.median((nearest - truth)[near])
        sensitivity = (np.abs(nearest - truth - delay) < 0.1).mean()
        between = (beats > starts[:, np.newaxis] + delay + 0.1) & (
            beats < ends[:, np.newaxis] + delay - 0.1
        )
        agreement[method] = sensitivity, 1 - between.sum() / len(starts)
    assert agreement["skemo"][0] > max(0.75, agreement["elgendi"][0])
    assert agreement["skemo"][1] > max(0.93, agreement["elgendi"][1])


@pytest.mark.parametrize("subject", ["S05", "S08", "S14"])
def test_the_wrist_pulse_gives_the_heart_rate_of_the_device(data_home, subject):
    folder = data_home / "stress_predict" / "Raw_data" / subject
    start, rate, *pulse = np.loadtxt(folder / "BVP.csv")
    table = np.genfromtxt(folder / "IBI.csv", delimiter=",", skip_header=1)
    first = float((folder / "IBI.csv").read_text().split(",", 1)[0])
    ends, intervals = table[:, 0] + first - start, table[:, 1]

    windows = cut(np.array(pulse), rate, 10)
    beats = r_peaks(windows, rate, signal="ppg")
    errors, n_clean, n_seen = [], 0, 0
    for i, window in enumerate(beats):
        inside = (ends - intervals > 10 * i) & (ends < 10 * i + 10)
        if intervals[inside].sum() < 8.5:  # the device leaves out what it does not trust
            continue
        n_clean += 1
        if len(found(window)) > 1:
            n_seen += 1
            rate_here = 60 / np.diff(found(window)).mean()
            errors.append(abs(rate_here - 60 / intervals[inside].mean()))
    assert n_seen >= 0.95 * n_clean
    assert np.median(errors) < 0.5
    assert np.mean(np.array(errors) < 2) > 0.9


@pytest.mark.parametrize("method", METHODS["ppg"][1:])
def test_a_pulse_detector_of_neurokit_can_be_chosen(method):
    truth = beat_times(0, duration=20)
    beats = r_peaks(make_pulse(truth, 64, 20)[np.newaxis], 64, method=method, signal="ppg")
    assert abs(len(found(beats[0])) - len(truth)) <= 2
