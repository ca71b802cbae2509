"""`min_quality`: what is below it is missing, and the rest as it was."""

import numpy as np
import pandas as pd
import pytest
from disturbed import disturbed_windows
from sklearn.base import clone

from skemo import (
    DifferentialEntropyTransformer,
    EDATransformer,
    HRVTransformer,
    ResampleTransformer,
    SignalArray,
    signal_frame,
)


@pytest.fixture(scope="module")
def windows():
    return disturbed_windows()


THRESHOLDS = {
    "ecg": HRVTransformer(min_quality=0.5),
    "ppg": HRVTransformer(signal="ppg", min_quality=0.5),
    "eda": EDATransformer(min_quality=0.5),
}


@pytest.mark.parametrize("signal", THRESHOLDS)
def test_windows_below_the_quality_are_missing_and_the_others_as_they_were(windows, signal):
    X, transformer = windows[[signal]], THRESHOLDS[signal]
    features = transformer.fit_transform(X)
    assert np.isnan(features[1::2]).all()
    without = clone(transformer).set_params(min_quality=None).fit_transform(X)
    np.testing.assert_array_equal(features[::2], without[::2])
    assert not np.isnan(features[::2]).all(axis=1).any()


@pytest.mark.parametrize("signal", THRESHOLDS)
def test_windows_below_the_quality_are_missing_in_the_series(windows, signal):
    transformer = clone(THRESHOLDS[signal]).set_params(output="series")
    series = transformer.set_output(transform="pandas").fit_transform(windows[[signal]])
    assert series[signal].isna().tolist() == [False, True] * 4


@pytest.mark.parametrize("output", ["features", "map"])
def test_channels_below_the_quality_are_missing(windows, output):
    entropy = DifferentialEntropyTransformer(output, min_quality=0.5, sampling_rate=128)
    values = entropy.fit_transform(windows["eeg"].array.values).reshape(8, 4, 3)
    expected = np.zeros((8, 4, 3), bool)
    expected[1::2, :, 1] = True
    np.testing.assert_array_equal(np.isnan(values), expected)


@pytest.mark.parametrize("signal", ["ecg", "ppg", "eda"])
def test_resampled_windows_below_the_quality_are_missing(windows, signal):
    resample = ResampleTransformer(2, min_quality=0.5, signal=signal)
    series = resample.fit_transform(windows[[signal]])
    assert series[signal].isna().tolist() == [False, True] * 4


def test_resampling_needs_to_know_the_signal_for_its_quality(windows):
    with pytest.raises(ValueError, match=r"signal must be one of .*, got None"):
        ResampleTransformer(2, min_quality=0.5).fit(windows[["ecg"]])


def test_components_have_the_quality_of_the_conductance(windows):
    eda = windows["eda"].array.values
    parts = np.concatenate([eda - 0.5, np.full_like(eda, 0.5)], axis=1)
    parts = SignalArray(parts, sampling_rate=4, channels=["tonic", "phasic"])
    transformer = EDATransformer(signal="components", min_quality=0.5)
    features = transformer.fit_transform(signal_frame(eda=parts))
    assert np.isnan(features).all(axis=1).tolist() == [False, True] * 4


def test_beat_times_have_no_quality():
    beats = pd.DataFrame({"beats": SignalArray(np.arange(40.0).reshape(2, 1, 20))})
    with pytest.raises(ValueError, match=r"min_quality=0\.5 needs an ECG or a pulse"):
        HRVTransformer(signal="beats", min_quality=0.5).fit(beats)


@pytest.mark.parametrize("least", [0, 1.5, "high", True])
def test_a_threshold_that_is_no_quality_is_refused(windows, least):
    with pytest.raises(ValueError, match=r"min_quality must be None or in \(0, 1\], got"):
        EDATransformer(min_quality=least).fit(windows[["eda"]])
