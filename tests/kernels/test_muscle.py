"""Muscle activity: closed forms, properties, agreement with NeuroKit2, and what is no EMG."""

import warnings

import neurokit2 as nk
import numpy as np
import pytest

from skemo.kernels.muscle import emg_envelope, muscle_bursts, muscle_features

RATE = 1000


def make_emg(bursts=((2.0, 3.0), (5.0, 5.6)), n_windows=4, level=20.0, duration=10, seed=0):
    """Noise of a muscle at rest, and of `level` times its amplitude in bursts."""
    windows = np.random.default_rng(seed).normal(size=(n_windows, duration * RATE))
    for start, stop in bursts:
        windows[:, round(start * RATE) : round(stop * RATE)] *= level
    return windows


def test_a_sine_has_its_root_mean_square_and_mean_magnitude():
    windows = 3 * np.sin(2 * np.pi * 240.3 * np.arange(5000) / RATE)[np.newaxis]
    found = muscle_features(windows, RATE)
    assert found["EMG_RMS"] == pytest.approx(3 / np.sqrt(2), rel=0.01)
    assert found["EMG_MAV"] == pytest.approx(3 * 2 / np.pi, rel=0.01)
    assert found["EMG_Amplitude_Max"] == pytest.approx(3 / np.sqrt(2), rel=0.03)
    assert found["EMG_Activation_N"] == 0


def test_bursts_are_found_where_they_are():
    envelope, rate = emg_envelope(make_emg(), RATE)
    found = muscle_bursts(envelope, rate)
    np.testing.assert_array_equal(found["window"], np.repeat(np.arange(4), 2))
    np.testing.assert_allclose(found["onset"], np.tile([2.0, 5.0], 4), atol=0.08)
    np.testing.assert_allclose(found["offset"], np.tile([3.0, 5.6], 4), atol=0.08)


def test_number_share_and_duration_of_bursts_are_theirs():
    found = muscle_features(make_emg(), RATE)
    np.testing.assert_array_equal(found["EMG_Activation_N"], 2)
    np.testing.assert_allclose(found["EMG_Activation_Share"], 0.16, atol=0.02)
    np.testing.assert_allclose(found["EMG_Activation_Duration"], 0.8, atol=0.1)
    # The high-pass leaves four fifths of the power of white noise.
    np.testing.assert_allclose(found["EMG_Amplitude_Mean"], 20 * np.sqrt(0.8), rtol=0.15)


@pytest.mark.parametrize(("sampling_rate", "highpass"), [(128, 20), (700, 100), (1000, 100)])
def test_noise_of_one_level_has_no_bursts(sampling_rate, highpass):
    windows = np.random.default_rng(0).normal(size=(200, 10 * sampling_rate))
    found = muscle_features(windows, sampling_rate, highpass)
    assert found["EMG_Activation_N"].max() == 0
    assert np.isnan(found["EMG_Amplitude_Mean"]).all()
    np.testing.assert_array_equal(found["EMG_Activation_Share"], 0)


def test_a_short_pause_does_not_end_a_burst():
    envelope = np.ones((1, 400))
    envelope[:, 100:140], envelope[:, 145:180] = 10, 10
    found = muscle_bursts(envelope, 40)
    assert (found["onset"], found["offset"]) == (2.5, 4.5)


def test_bursts_at_the_edges_of_neighbouring_windows_are_not_joined():
    envelope = np.ones((2, 400))
    envelope[0, 380:], envelope[1, :20] = 10, 10
    found = muscle_bursts(envelope, 40)
    np.testing.assert_array_equal(found["window"], [0, 1])
    np.testing.assert_allclose(found["offset"] - found["onset"], 0.5)


def test_scale_and_level_of_the_signal_change_the_amplitudes_alone():
    windows = make_emg()
    found, other = muscle_features(windows, RATE), muscle_features(5 + 0.01 * windows, RATE)
    for name, values in found.items():
        unit = 1 if "Activation" in name else 0.01
        np.testing.assert_allclose(other[name], unit * values, rtol=1e-6, err_msg=name)


def test_slow_movement_of_the_electrodes_is_not_muscle():
    windows = make_emg(bursts=())
    sway = 30 * np.sin(2 * np.pi * 0.5 * np.arange(windows.shape[1]) / RATE)
    found, swayed = muscle_features(windows, RATE), muscle_features(windows + sway, RATE)
    np.testing.assert_allclose(swayed["EMG_RMS"], found["EMG_RMS"], rtol=0.02)


def test_heartbeats_and_hum_in_the_signal_are_not_muscle():
    windows = make_emg(n_windows=4)
    seconds = np.arange(windows.shape[1]) / RATE
    heart = 30 * np.exp(-0.5 * (((seconds % 0.8 - 0.4) / 0.01) ** 2))
    hum = 3 * np.sin(2 * np.pi * 50 * seconds)
    found, disturbed = muscle_features(windows, RATE), muscle_features(windows + heart + hum, RATE)
    np.testing.assert_array_equal(disturbed["EMG_Activation_N"], found["EMG_Activation_N"])
    np.testing.assert_allclose(disturbed["EMG_RMS"], found["EMG_RMS"], rtol=0.02)


def test_single_precision_gives_the_same():
    windows = make_emg()
    found, single = (muscle_features(each, RATE) for each in (windows, windows.astype("float32")))
    for name in found:
        np.testing.assert_allclose(single[name], found[name], rtol=1e-4, err_msg=name)


def test_a_window_does_not_depend_on_the_windows_beside_it():
    windows = np.concatenate([make_emg(), np.full((1, 10_000), np.nan)])
    whole = muscle_features(windows, RATE)
    for i in range(len(windows)):
        alone = muscle_features(windows[[i]], RATE)
        for name in whole:
            np.testing.assert_array_equal(alone[name], whole[name][[i]])


@pytest.mark.parametrize("value", [0.0, 1.1, 500.0, np.nan])
def test_what_is_held_or_not_there_is_missing(value):
    window = np.full((1, 10_000), value)
    window[:, 6000:] = make_emg(n_windows=1)[:, 6000:]
    found = muscle_features(window, RATE)
    assert all(np.isnan(values).all() for values in found.values())


@pytest.mark.parametrize("value", [0.0, 1.1, 500.0, np.nan])
def test_a_fault_costs_its_own_stretch_only(value):
    clean = make_emg(n_windows=40)
    disturbed, rng = clean.copy(), np.random.default_rng(1)
    for window in disturbed:
        start = rng.integers(6000, 8000)
        window[start : start + rng.integers(300, 2000)] = value
    expected, found = (muscle_features(each, RATE) for each in (clean, disturbed))
    np.testing.assert_array_equal(found["EMG_Activation_N"], expected["EMG_Activation_N"])
    for name in ("EMG_Activation_Duration", "EMG_Amplitude_Mean", "EMG_Amplitude_Max"):
        np.testing.assert_allclose(found[name], expected[name], rtol=0.05, err_msg=name)
    for name in ("EMG_RMS", "EMG_MAV", "EMG_Activation_Share"):  # of less time
        ratio = found[name] / expected[name]
        assert ratio.min() > 0.99, name
        assert ratio.max() < 1.3, name


@pytest.mark.parametrize("n_times", [0, 1, 100, 499])
def test_windows_shorter_than_half_a_second_are_missing(n_times):
    found = muscle_features(np.random.default_rng(0).normal(size=(2, n_times)), RATE)
    assert all(np.isnan(values).all() for values in found.values())


def test_a_rate_too_low_and_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"more than 200 Hz are needed\. Pass a lower"):
        emg_envelope(np.zeros((1, 100)), 128)
    with pytest.raises(ValueError, match="n_windows"):
        emg_envelope(np.zeros(1000), RATE)


@pytest.mark.parametrize("n_bursts", [1, 2, 3])
def test_bursts_of_simulated_emg_are_neurokits(n_bursts):
    emg = nk.emg_simulate(
        duration=10,
        sampling_rate=RATE,
        burst_number=n_bursts,
        burst_duration=1.0,
        random_state=n_bursts,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        amplitude = nk.emg_amplitude(nk.emg_clean(emg, sampling_rate=RATE))
        _, info = nk.emg_activation(emg_amplitude=amplitude, sampling_rate=RATE, method="threshold")
    envelope, rate = emg_envelope(emg[np.newaxis], RATE)
    found = muscle_bursts(envelope, rate)
    assert len(found["onset"]) == n_bursts == len(info["EMG_Onsets"])
    np.testing.assert_allclose(found["onset"], np.sort(info["EMG_Onsets"]) / RATE, atol=0.1)
    np.testing.assert_allclose(found["offset"], np.sort(info["EMG_Offsets"]) / RATE, atol=0.1)
