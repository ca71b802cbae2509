"""Samples under a mask are missing in every kernel, as NaN are."""

import numpy as np
import pytest
from beats import make_ecg

from skemo.kernels.beat_correction import classify_beats, correct_beats
from skemo.kernels.heartbeats import r_peaks
from skemo.kernels.motion import acceleration_by_second, motion_features
from skemo.kernels.muscle import emg_envelope, muscle_features
from skemo.kernels.quality import beat_agreement, signal_quality
from skemo.kernels.resampling import resample
from skemo.kernels.respiration import breathing, respiration_of_beats, respiration_of_ecg
from skemo.kernels.temperature import temperature_features, valid_temperature

BEATS = np.cumsum(np.random.default_rng(0).normal(0.8, 0.02, (2, 40)), axis=1)
ECG = np.stack([make_ecg(beats, 128, 30) for beats in BEATS])
KERNELS = {
    "r_peaks": (lambda x: r_peaks(x, 128), ECG),
    "signal_quality": (lambda x: signal_quality(x[:, np.newaxis], 128, "ecg"), ECG),
    "respiration_of_ecg": (lambda x: respiration_of_ecg(x, 128, BEATS), ECG),
    "breathing": (lambda x: breathing(x, 128)[0], ECG),
    "resample": (lambda x: resample(x, 128, 64), ECG),
    "valid_temperature": (lambda x: valid_temperature(x, None), ECG),
    "temperature_features": (lambda x: temperature_features(x, 128, None), ECG),
    "acceleration_by_second": (lambda x: acceleration_by_second(x[:, np.newaxis], 128, 1)[0], ECG),
    "motion_features": (lambda x: motion_features(x[:, np.newaxis], 128, 1), ECG),
    "emg_envelope": (lambda x: emg_envelope(x, 128, 20)[0], ECG),
    "muscle_features": (lambda x: muscle_features(x, 128, 20), ECG),
    "correct_beats": (correct_beats, BEATS),
    "classify_beats": (classify_beats, BEATS),
    "beat_agreement": (lambda x: beat_agreement(x, BEATS), BEATS),
    "respiration_of_beats": (lambda x: respiration_of_beats(x, 30), BEATS),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_masked_sample_counts_as_nan(name):
    kernel, values = KERNELS[name]
    holes = values.copy()
    holes[0, -9:] = np.nan
    masked = np.ma.masked_invalid(holes)
    masked.data[0, -9:] = -9999
    found, expected = kernel(masked), kernel(holes)
    if isinstance(expected, dict):
        found, expected = list(found.values()), list(expected.values())
    np.testing.assert_array_equal(found, expected)
