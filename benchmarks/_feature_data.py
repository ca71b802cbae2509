"""Simulated signals for `bench_features.py`."""

import numpy as np
import scipy.fft

# Offset (s), width (s) and height (mV) of the waves of a heartbeat, from R on.
_WAVES = (
    (-0.17, 0.025, 0.12),
    (-0.025, 0.008, -0.1),
    (0.0, 0.01, 1.0),
    (0.028, 0.009, -0.2),
    (0.25, 0.05, 0.25),
)


def simulate_eeg(n_windows, n_channels=14, n_times=1280, seed=0):
    """Pink noise of 20 µV in single precision."""
    noise = np.random.default_rng(seed).standard_normal((n_windows, n_channels, n_times), "f4")
    spectrum = scipy.fft.rfft(noise)
    spectrum *= 1 / np.sqrt(np.maximum(np.arange(spectrum.shape[-1], dtype="f4"), 1))
    noise = scipy.fft.irfft(spectrum, n_times)
    return noise * (20 / noise.std(axis=-1, keepdims=True))


def simulate_beats(n_windows, duration, seed=0):
    """Beat times in seconds, whole milliseconds, NaN after the last; a heart that breathes."""
    rng = np.random.default_rng(seed)
    beats = np.full((n_windows, int(duration / 0.3) + 1), np.nan)
    for window in beats:
        mean, time = rng.uniform(0.65, 1.05), rng.uniform(0.1, 0.9)
        phases, n = rng.uniform(0, 2 * np.pi, 2), 0
        while time < duration - 0.05:
            window[n] = round(time, 3)
            slow, fast = np.sin(2 * np.pi * np.array([0.1, 0.25]) * time + phases)
            time += mean * (1 + 0.03 * slow + 0.03 * fast + 0.02 * rng.standard_normal())
            n += 1
    return beats


def simulate_ecg(beats, duration, sampling_rate, seed=0):
    """An ECG in mV, with white noise of 0.15 mV and a baseline that wanders by 0.5 mV."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(duration * sampling_rate)) / sampling_rate
    ecg = np.empty((len(beats), len(seconds)), np.float32)
    for window, times in zip(ecg, beats, strict=True):
        since = seconds - times[~np.isnan(times), np.newaxis]
        window[:] = sum(
            (height * np.exp(-0.5 * ((since - offset) / width) ** 2)).sum(axis=0)
            for offset, width, height in _WAVES
        )
        window += 0.5 * np.sin(2 * np.pi * 0.3 * seconds + rng.uniform(0, 2 * np.pi))
    return ecg + 0.15 * rng.standard_normal(ecg.shape, np.float32)


def simulate_eda(n_windows, duration, sampling_rate, seed=0):
    """Skin conductance in µS: a level, a drift, responses of 0.2 to 1 µS, a little noise."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(duration * sampling_rate)) / sampling_rate
    windows = 0.002 * rng.standard_normal((n_windows, len(seconds)))
    for window in windows:
        window += rng.uniform(1, 10) + rng.uniform(-0.01, 0.01) * seconds
        for onset in np.arange(rng.uniform(0, 5), duration, rng.uniform(7, 12)):
            since = np.maximum(seconds - onset, 0)
            window += rng.uniform(0.2, 1) * 2.1 * (np.exp(-since / 3) - np.exp(-since / 0.8))
    return windows


def simulate_respiration(n_windows, duration, sampling_rate, seed=0):
    """Breaths of about 4 s and unlike depth, on a level that drifts, with a little noise."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(duration * sampling_rate)) / sampling_rate
    windows = 0.02 * rng.standard_normal((n_windows, len(seconds)))
    for window in windows:
        n_breaths = int(duration)
        starts = np.cumsum(rng.lognormal(np.log(4), 0.12, n_breaths)) - 8
        phase = np.interp(seconds, starts, np.arange(n_breaths))
        depth = np.interp(seconds, starts, rng.lognormal(0, 0.15, n_breaths))
        window += rng.uniform(-0.01, 0.01) * seconds - depth * np.cos(2 * np.pi * phase)
    return windows


def simulate_emg(n_windows, duration, sampling_rate, seed=0):
    """Noise of a muscle at rest, and twenty times of it in a burst of a second each 5 s."""
    rng = np.random.default_rng(seed)
    windows = rng.standard_normal((n_windows, round(duration * sampling_rate)))
    for start in np.arange(2, duration - 1, 5):
        windows[:, round(start * sampling_rate) : round((start + 1) * sampling_rate)] *= 20
    return windows
