"""Simulated heartbeats, for tests of functions that find them."""

import numpy as np

# Offset (s), width (s) and height (mV) of the waves of a heartbeat, from R on.
WAVES = {
    "P": (-0.17, 0.025, 0.12),
    "Q": (-0.025, 0.008, -0.1),
    "R": (0.0, 0.01, 1.0),
    "S": (0.028, 0.009, -0.2),
    "T": (0.25, 0.05, 0.25),
}


def make_ecg(beats, sampling_rate, duration):
    """Return an ECG in mV with R peaks at `beats`, where each beat is a sum of Gaussians."""
    times = np.arange(round(duration * sampling_rate)) / sampling_rate
    ecg = np.zeros(len(times))
    for offset, width, height in WAVES.values():
        centres = np.asarray(beats)[:, np.newaxis] + offset
        ecg += (height * np.exp(-0.5 * ((times - centres) / width) ** 2)).sum(axis=0)
    return ecg


def make_pulse(beats, sampling_rate, duration):
    """Return a pulse signal with a systolic and a smaller dicrotic wave for each beat."""
    times = np.arange(round(duration * sampling_rate)) / sampling_rate
    since = times - np.asarray(beats)[:, np.newaxis]
    systolic = np.exp(-0.5 * (since / 0.08) ** 2)
    dicrotic = 0.35 * np.exp(-0.5 * ((since - 0.3) / 0.09) ** 2)
    return (systolic + dicrotic).sum(axis=0)


def disturb(pulse, sampling_rate, starts, seconds=1.5, height=10.0, seed=0):
    """Return the pulse with much larger movements of the wrist that begin at `starts`."""
    rng, disturbed = np.random.default_rng(seed), pulse.copy()
    times = np.arange(len(pulse)) / sampling_rate
    for start in starts:
        since = (times - start) / seconds
        inside = (since > 0) & (since < 1)
        phases, rates = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.7, 4, 4)
        movement = np.sin(2 * np.pi * rates * times[inside, np.newaxis] + phases).sum(axis=1)
        disturbed[inside] += height / 2 * movement * np.sin(np.pi * since[inside]) ** 2
    return disturbed


def beat_times(random_state, duration=10.0, mean=0.85, spread=0.05):
    intervals = np.random.default_rng(random_state).normal(mean, spread, int(duration / 0.3))
    beats = 0.4 + np.cumsum(intervals)
    return beats[beats < duration - 0.1]


def found(beats):
    return beats[~np.isnan(beats)]


def cut(signal, sampling_rate, duration):
    n_times = int(duration * sampling_rate)
    n_windows = len(signal) // n_times
    return signal[: n_windows * n_times].reshape(n_windows, n_times)
