"""Breaths: closed forms, properties, agreement with NeuroKit2, and what is no breathing."""

import tracemalloc
import warnings

import neurokit2 as nk
import numpy as np
import pytest

from skemo.kernels.respiration import (
    FEATURES,
    breathing,
    breaths,
    respiration_features,
    respiration_of_beats,
    respiration_of_ecg,
)


def make_sines(per_minute, sampling_rate=25, duration=60, amplitude=1.0, phase=0.0):
    seconds = np.arange(round(duration * sampling_rate)) / sampling_rate
    per_minute = np.atleast_1d(per_minute)[:, np.newaxis]
    return amplitude * np.sin(2 * np.pi * per_minute / 60 * seconds + phase)


def make_breathing(n_windows=6, sampling_rate=25, duration=60, seed=0):
    """Breaths of unlike length and depth, on a drifting level."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(duration * sampling_rate)) / sampling_rate
    windows = np.empty((n_windows, len(seconds)))
    for window in windows:
        starts = np.cumsum(rng.lognormal(np.log(4), 0.15, 40)) - 8
        phase = np.interp(seconds, starts, np.arange(len(starts)))
        depth = np.interp(seconds, starts, rng.lognormal(0, 0.2, len(starts)))
        window[:] = 5 - depth * np.cos(2 * np.pi * phase) + 0.02 * rng.normal() * seconds
    return windows


def make_noise(exponent, n_windows=60, sampling_rate=25, duration=60, seed=0):
    """Noise whose power falls with this power of the frequency."""
    n_times = sampling_rate * duration
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.normal(size=(n_windows, n_times)))
    frequencies = np.maximum(np.arange(spectrum.shape[1]), 1)
    return np.fft.irfft(spectrum / frequencies ** (exponent / 2), n_times)


def make_beats(per_minute, depth=0.03, duration=60, seed=0):
    """Beat times whose intervals follow breathing."""
    rng = np.random.default_rng(seed)
    beats = np.full((1, int(duration / 0.3) + 1), np.nan)
    times = [0.3]
    while times[-1] < duration:
        swing = depth * np.sin(2 * np.pi * per_minute / 60 * times[-1])
        times.append(times[-1] + 0.8 + swing + 0.005 * rng.normal())
    beats[0, : len(times) - 1] = times[:-1]
    return beats


def features_of(windows, sampling_rate=25, source="belt"):
    return respiration_features(breaths(windows, sampling_rate, source))


def assert_same(left, right, **tolerance):
    for name in left:
        np.testing.assert_allclose(left[name], right[name], err_msg=name, **tolerance)


# Closed forms


@pytest.mark.parametrize("sampling_rate", [4, 25, 32, 100, 700])
@pytest.mark.parametrize("per_minute", [6, 12, 15, 30])
def test_a_sine_has_its_rate_and_twice_its_amplitude(per_minute, sampling_rate):
    windows = make_sines(per_minute, sampling_rate, amplitude=1.5, phase=0.7)
    found = features_of(windows, sampling_rate)
    assert found["RSP_Rate_Mean"] == pytest.approx(per_minute, rel=2e-3)
    assert found["RAV_Mean"] == pytest.approx(3, rel=0.02)
    assert found["RRV_SDBB"] == pytest.approx(0, abs=15)
    assert found["RSP_Phase_Duration_Ratio"] == pytest.approx(1, abs=0.02)


def test_breaths_of_two_lengths_have_the_variability_of_their_lengths():
    seconds = np.arange(6000) / 100
    starts = np.concatenate([[-3], np.cumsum([0.0] + [3, 5] * 8)])
    phase = np.interp(seconds, starts, np.arange(len(starts)))
    found = features_of(-np.cos(2 * np.pi * phase)[np.newaxis], 100)
    assert found["RRV_RMSSD"] == pytest.approx(2000, rel=0.06)  # corners are rounded
    assert found["RRV_SDBB"] == pytest.approx(1000, rel=0.08)
    assert found["RSP_Rate_Mean"] == pytest.approx(15, rel=0.04)


def test_a_slow_breath_out_is_told_from_a_quick_breath_in():
    seconds = np.arange(1500) / 25
    phase = seconds % 5
    windows = np.where(phase < 1.5, phase / 1.5, 1 - (phase - 1.5) / 3.5)[np.newaxis]
    found = features_of(windows)
    assert found["RSP_Phase_Duration_Inspiration"] == pytest.approx(1.5, abs=0.1)
    assert found["RSP_Phase_Duration_Expiration"] == pytest.approx(3.5, abs=0.1)


def test_a_linear_drift_moves_neither_rate_nor_depth():
    windows = make_sines(15)
    drift = 0.03 * np.arange(1500) / 25
    assert_same(features_of(windows), features_of(windows + drift), rtol=2e-3, atol=0.5)


# Properties


def test_scale_and_level_do_not_matter_to_the_times():
    windows = make_breathing()
    found, other = features_of(windows), features_of(100 + 50 * windows)
    depth = {name: 50 * found[name] for name in ("RAV_Mean", "RAV_SD", "RAV_RMSSD")}
    assert_same({**found, **depth}, other, rtol=1e-7)


def test_turning_the_signal_over_exchanges_inspiration_and_expiration():
    seconds = np.arange(1500) / 25
    windows = np.interp(seconds % 5, [0, 1.5, 5], [0, 1, 0])[np.newaxis]
    found, turned = features_of(windows), features_of(-windows)
    inspiration = found["RSP_Phase_Duration_Inspiration"]
    assert turned["RSP_Phase_Duration_Expiration"] == pytest.approx(inspiration, rel=0.02)
    assert turned["RSP_Rate_Mean"] == pytest.approx(found["RSP_Rate_Mean"], rel=0.02)


def test_single_precision_gives_the_same():
    windows = make_breathing()
    assert_same(features_of(windows), features_of(windows.astype(np.float32)), rtol=1e-3)


def test_a_window_does_not_depend_on_the_windows_beside_it():
    windows = np.concatenate([make_breathing(), make_noise(1, 3), np.full((1, 1500), np.nan)])
    whole = features_of(windows)
    for i in range(len(windows)):
        alone = features_of(windows[[i]])
        for name in whole:
            np.testing.assert_array_equal(alone[name], whole[name][[i]])


def test_a_gap_costs_the_breaths_that_it_touches_and_no_others():
    windows = make_sines(15)
    windows[:, 700:740] = np.nan
    found, whole = breaths(windows, 25), breaths(make_sines(15), 25)
    kept, all_of_them = (np.isfinite(each["peak"]).sum() for each in (found, whole))
    assert all_of_them - kept in (1, 2)
    assert respiration_features(found)["RSP_Rate_Mean"] == pytest.approx(15, rel=0.01)
    assert respiration_features(found)["RRV_RMSSD"] == pytest.approx(0, abs=50)


def test_a_sigh_is_one_breath_among_others():
    windows = make_sines(15)
    windows[:, 700:800] *= 5
    assert features_of(windows)["RSP_Rate_Mean"] == pytest.approx(15, rel=0.02)


def test_memory_stays_bounded_with_many_windows():
    windows = np.tile(make_breathing(10), (200, 1)).astype(np.float32)
    breaths(windows[:2], 25)
    tracemalloc.start()
    breaths(windows, 25)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


# What is no breathing


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_noise_is_missing(exponent):
    found = features_of(make_noise(exponent))["RSP_Rate_Mean"]
    assert np.isfinite(found).mean() <= 0.02


@pytest.mark.parametrize(
    "window",
    [
        np.zeros(1500),
        np.full(1500, 3.3),
        np.full(1500, 3.3, np.float32) + np.float32(2e-7) * (np.arange(1500) % 100 < 50),
        np.full(1500, np.nan),
        np.linspace(0, 5, 1500),
    ],
    ids=["zeros", "flat", "rounding", "NaN", "ramp"],
)
def test_what_does_not_move_is_missing(window):
    found = features_of(window[np.newaxis])
    assert all(np.isnan(values).all() for values in found.values())


def test_breathing_in_less_than_half_of_a_window_is_missing():
    windows = make_sines(15)
    windows[:, 600:] = windows[:, [600]]
    assert np.isnan(features_of(windows)["RSP_Rate_Mean"]).all()


@pytest.mark.parametrize("n_times", [0, 1, 2, 10, 30])
def test_windows_too_short_for_a_breath_are_missing(n_times):
    found = features_of(np.random.default_rng(0).normal(size=(3, n_times)), 25)
    assert all(np.isnan(values).all() for values in found.values())


def test_a_rate_too_low_and_an_unknown_source_are_refused():
    with pytest.raises(ValueError, match="breathing needs at least 2 Hz"):
        breaths(np.zeros((1, 60)), 1)
    with pytest.raises(ValueError, match="source must be one of"):
        breaths(np.zeros((1, 60)), 4, "nose")
    with pytest.raises(ValueError, match=r"\(n_windows, n_times\)"):
        breaths(np.zeros(60), 4)


FAULTS = {
    "NaN": lambda stretch, rng: np.nan,
    "held": lambda stretch, rng: stretch[0],
    "zeros": lambda stretch, rng: 0.0,
    "at the limit": lambda stretch, rng: 20.0,
    "faint": lambda stretch, rng: (
        stretch.mean() + 0.02 * (stretch - stretch.mean()) + 0.005 * rng.normal(size=stretch.shape)
    ),
    "a step": lambda stretch, rng: stretch + rng.choice([-5, 5]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_fault_of_any_place_and_length_leaves_is_right_or_missing(fault):
    clean = make_breathing(200, seed=3)
    disturbed, rng = clean.copy(), np.random.default_rng(0)
    for window in disturbed:
        n_times = int(rng.uniform(0.02, 0.6) * len(window))
        stretch = slice(start := rng.integers(len(window) - n_times), start + n_times)
        window[stretch] = FAULTS[fault](window[stretch], rng)
    expected, found = features_of(clean), features_of(disturbed)
    assert np.isfinite(expected["RSP_Rate_Mean"]).all()
    assert np.isfinite(found["RSP_Rate_Mean"]).mean() > 0.5
    for name, tolerance in {"RSP_Rate_Mean": 0.1, "RAV_Mean": 0.25, "RRV_SDBB": 0.5}.items():
        seen = np.isfinite(found[name])
        ratio = found[name][seen] / expected[name][seen]
        assert (np.abs(ratio - 1) > tolerance).mean() < 0.05, name


# Agreement with NeuroKit2


@pytest.mark.parametrize(("method", "loose"), [("sinusoidal", 1), ("breathmetrics", 3)])
@pytest.mark.parametrize("sampling_rate", [25, 100])
def test_features_of_simulated_respiration_are_neurokits(sampling_rate, method, loose):
    tolerance = {
        **{"RSP_Rate_Mean": 0.02, "RRV_MeanBB": 0.02, "RRV_MedianBB": 0.02, "RAV_Mean": 0.03},
        "RSP_Phase_Duration_Inspiration": 0.04,  # theirs is a sample less
        "RSP_Phase_Duration_Expiration": 0.04,
    }
    for seed, per_minute in enumerate([10, 12, 15, 18, 22]):
        window = nk.rsp_simulate(
            duration=60,
            sampling_rate=sampling_rate,
            respiratory_rate=per_minute,
            method=method,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            signals, _ = nk.rsp_process(window, sampling_rate=sampling_rate)
            expected = nk.rsp_intervalrelated(signals, sampling_rate=sampling_rate).iloc[0]
        found = features_of(window[np.newaxis], sampling_rate)
        for name, relative in tolerance.items():
            assert found[name][0] == pytest.approx(float(expected[name]), rel=loose * relative), (
                name
            )


def test_every_feature_is_one_of_neurokits():
    window = nk.rsp_simulate(duration=60, sampling_rate=50, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signals, _ = nk.rsp_process(window, sampling_rate=50)
        expected = nk.rsp_intervalrelated(signals, sampling_rate=50).columns
    assert set(expected) >= {name for group in FEATURES.values() for name in group}


# Respiration from the heart


@pytest.mark.parametrize("per_minute", [10, 15, 20])
def test_intervals_between_beats_show_the_rate_of_breathing(per_minute):
    respiration = respiration_of_beats(make_beats(per_minute), 60)
    found = features_of(respiration, 4, "heart")
    assert found["RSP_Rate_Mean"] == pytest.approx(per_minute, rel=0.05)


def test_the_rate_from_beats_is_the_one_in_neurokits_respiration_from_the_ecg():
    beats = make_beats(15)
    known = beats[np.isfinite(beats)]
    heart_rate = nk.signal_rate(np.round(known * 100).astype(int), 100, desired_length=6000)
    derived = nk.ecg_rsp(heart_rate, sampling_rate=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = nk.rsp_process(derived, sampling_rate=100)[0]["RSP_Rate"].mean()
    found = features_of(respiration_of_beats(beats, 60), 4, "heart")
    assert found["RSP_Rate_Mean"][0] == pytest.approx(expected, rel=0.05)


def test_the_height_of_qrs_complexes_shows_the_rate_of_breathing():
    seconds, beats = np.arange(15360) / 256, 0.4 + 0.8 * np.arange(75)
    ecg = np.exp(-(((seconds % 0.8 - 0.4) / 0.01) ** 2))
    ecg *= 1 + 0.1 * np.sin(2 * np.pi * 14 / 60 * seconds)
    found = features_of(respiration_of_ecg(ecg[np.newaxis], 256, beats[np.newaxis]), 4, "heart")
    assert found["RSP_Rate_Mean"] == pytest.approx(14, rel=0.02)


def test_a_constant_shift_of_all_beats_changes_no_rate():
    beats = make_beats(15)
    found, shifted = (
        features_of(respiration_of_beats(each, 60), 4, "heart") for each in (beats, beats + 0.25)
    )
    assert shifted["RSP_Rate_Mean"] == pytest.approx(found["RSP_Rate_Mean"], rel=0.01)


@pytest.mark.parametrize("jitter", [0.0, 0.001])
def test_a_steady_heart_shows_no_breathing(jitter):
    rng = np.random.default_rng(0)
    beats = 0.3 + 0.8 * np.arange(74) + jitter * rng.uniform(-1, 1, (20, 74))
    found = features_of(respiration_of_beats(beats, 60), 4, "heart")
    assert np.isnan(found["RSP_Rate_Mean"]).all()


def test_a_heart_that_beats_at_random_seldom_shows_breathing():
    rng = np.random.default_rng(0)
    beats = np.cumsum(0.8 + 0.08 * rng.normal(size=(200, 74)), axis=1)
    found = features_of(respiration_of_beats(beats, 60), 4, "heart")
    assert np.isfinite(found["RSP_Rate_Mean"]).mean() < 0.02


@pytest.mark.parametrize("marked", [False, True])
def test_where_there_are_no_beats_there_is_no_respiration(marked):
    beats = make_beats(15)
    beats = np.where((beats > 20) & (beats < 35), np.nan, beats)
    beats = beats if marked else np.sort(beats, axis=1)
    respiration = respiration_of_beats(beats, 60)
    seconds = np.arange(240) / 4
    hidden = (seconds > 20.5) & (seconds < 35)
    assert np.isnan(respiration[0, hidden]).all()
    assert np.isfinite(respiration[0, (seconds > 3) & (seconds < 19)]).all()
    assert np.isfinite(respiration[0, (seconds > 37) & (seconds < 58)]).all()


def test_breaths_are_found_in_any_unit():
    windows = make_breathing(2)
    found, expected = (breaths(x, 25) for x in (2.0**-530 * windows, windows))
    np.testing.assert_array_equal(found["peak"], expected["peak"])
    np.testing.assert_array_equal(found["start"], expected["start"])


def test_two_beats_at_the_same_time_leave_a_gap():
    ecg, beats = np.ones((1, 2560)), np.arange(0.5, 9.5, 0.5)[np.newaxis]
    ecg[0, (beats[0] * 256).astype(int)] = np.linspace(2, 3, beats.shape[1])
    beats[0, 8] = beats[0, 7]
    series = respiration_of_ecg(ecg, 256, beats)[0]
    assert np.isnan(series[17:20]).all()
    assert np.isfinite(series[4:14]).all()


def test_fewer_than_four_beats_give_no_respiration():
    beats = np.array([[0.5, 1.3, 2.1, np.nan], [np.nan] * 4])
    assert np.isnan(respiration_of_beats(beats, 10)).all()
    assert np.isnan(respiration_of_ecg(np.zeros((2, 1000)), 100, beats)).all()


# The series


@pytest.mark.parametrize("sampling_rate", [4, 25, 700])
def test_the_series_follows_breathing_without_its_level(sampling_rate):
    sine = make_sines(15, sampling_rate)
    series, rate = breathing(7 + sine, sampling_rate)
    seconds = np.arange(series.shape[1]) / rate + (1 - rate / sampling_rate) / 2 / rate
    inner = (seconds > 5) & (seconds < 55)
    expected = np.sin(2 * np.pi * 15 / 60 * seconds)
    np.testing.assert_allclose(series[0, inner], expected[inner], atol=0.06)


def test_the_series_of_a_flat_window_is_missing():
    series, _ = breathing(np.ones((1, 1500)), 25)
    assert np.isnan(series).all()
