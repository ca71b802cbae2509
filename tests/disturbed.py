"""Windows of several signals, some of them disturbed, for tests of what tells them apart."""

import numpy as np
from beats import beat_times, make_ecg, make_pulse

from skemo import SignalArray, signal_frame


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def disturbed_windows():
    """Windows of which every other one is noise, or of an EEG has a channel with a burst."""
    n, bad = 8, slice(1, None, 2)
    beats = [beat_times(i, 20, spread=0.03) for i in range(n)]
    ecg = np.array([make_ecg(each, 128, 20) for each in beats]) + 1e-3 * noise(n, 2560)
    ppg = np.array([make_pulse(each, 64, 20) for each in beats]) + 1e-3 * noise(n, 1280)
    eda = 2 + 0.1 * np.sin(np.arange(80) / 20) + 1e-3 * noise(n, 80)
    eeg = 10 * noise(n, 3, 2560)
    eeg += 60 * np.sin(np.arange(2560) / 2)
    ecg[bad], ppg[bad], eda[bad] = noise(n // 2, 2560), noise(n // 2, 1280), 0.005
    eeg[bad, 1, 512:640] *= 100
    return signal_frame(
        ecg=SignalArray(ecg, sampling_rate=128),
        ppg=SignalArray(ppg, sampling_rate=64),
        eda=SignalArray(eda, sampling_rate=4),
        eeg=SignalArray(eeg, sampling_rate=128, channels=["F3", "Fz", "F4"]),
        label=np.arange(n) // 2 % 2,
    )
