"""Every public estimator passes all of scikit-learn's common checks, in several variants."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import skemo
from skemo import (
    AccelerometerTransformer,
    ArrayTransformer,
    ContextTransformer,
    CrossModalAttentionClassifier,
    CrossModalAttentionRegressor,
    DifferentialEntropyTransformer,
    EDATransformer,
    EMGTransformer,
    FusionClassifier,
    FusionRegressor,
    HRVTransformer,
    ModalityAwareAttentionClassifier,
    ModalityAwareAttentionRegressor,
    PerSubject,
    QualityTransformer,
    ResampleTransformer,
    RespirationTransformer,
    TemperatureTransformer,
)


class Linear(torch.nn.Module):
    """A linear layer on the samples of a single channel."""

    def __init__(self, shapes, n_outputs):
        super().__init__()
        self.layer = torch.nn.Linear(shapes[0][-1], n_outputs)

    def forward(self, inputs, present):
        return self.layer(inputs[0][:, 0])


# The tables of the checks have no sampling rate, and 1 to 30 columns.
ESTIMATORS = [
    HRVTransformer(output="series", sampling_rate=50),
    HRVTransformer(output="features", sampling_rate=50),
    HRVTransformer(output="features", features="all", sampling_rate=50),
    HRVTransformer(signal="ppg", sampling_rate=10),
    HRVTransformer(signal="beats", sampling_rate=4),
    HRVTransformer(signal="beats", output="features", features="all", sampling_rate=4),
    HRVTransformer(output="features", features="all", sampling_rate=128),
    HRVTransformer(signal="ppg", min_quality=0.5, sampling_rate=10),
    EDATransformer(output="features", sampling_rate=4),
    EDATransformer(output="features", sampling_rate=128),
    EDATransformer(output="series", sampling_rate=4),
    EDATransformer(output="series", sampling_rate=128),
    EDATransformer(method="cvxeda", sampling_rate=4),
    EDATransformer(min_quality=0.5, sampling_rate=4),
    DifferentialEntropyTransformer(output="features", bands={"all": (0, 2)}, sampling_rate=4),
    DifferentialEntropyTransformer(output="map", bands={"all": (0, 2)}, sampling_rate=4),
    RespirationTransformer(sampling_rate=4),
    RespirationTransformer(output="series", sampling_rate=4),
    RespirationTransformer(signal="ecg", sampling_rate=4),
    RespirationTransformer(signal="beats", min_breaths=1, sampling_rate=4),
    TemperatureTransformer(sampling_rate=4),
    TemperatureTransformer(valid_range=None, sampling_rate=4),
    TemperatureTransformer(output="series", valid_range=None, sampling_rate=4),
    AccelerometerTransformer(sampling_rate=2),
    AccelerometerTransformer(gravity=9.81, sampling_rate=2),
    EMGTransformer(highpass=0.5, sampling_rate=2),
    EMGTransformer(output="series", highpass=0.5, sampling_rate=2),
    DifferentialEntropyTransformer(bands={"all": (0, 2)}, min_quality=0.5, sampling_rate=4),
    ResampleTransformer(),
    ResampleTransformer(rate=2, sampling_rate=4),
    ResampleTransformer(rate=8, standardize=True, sampling_rate=4),
    ResampleTransformer(rate=3, band=(0.1, 1.2), sampling_rate=4),
    ResampleTransformer(band=(0.1, None), standardize=True, sampling_rate=4),
    ResampleTransformer(standardize=True),
    ResampleTransformer(min_quality=0.5, signal="eda", sampling_rate=4),
    QualityTransformer(sampling_rate=4),
    QualityTransformer(signal="ppg", sampling_rate=4),
    QualityTransformer(signal="eda", sampling_rate=4),
    QualityTransformer("series", signal="eda", sampling_rate=4),
    QualityTransformer(signal="eeg", sampling_rate=4),
    QualityTransformer(signal="acc", sampling_rate=4),
    ArrayTransformer(FunctionTransformer(np.tanh)),
    PerSubject(by=0),
    PerSubject(by=-1),
    PerSubject(by=0, passthrough=[0]),
    ContextTransformer(0, subject=None, trial=None, start=0),  # others depend on other rows
    ContextTransformer(1e-9, subject=None, trial=None, start=-1, causal=True, weights="gaussian"),
    ModalityAwareAttentionClassifier(n_filters=8, max_epochs=20),
    ModalityAwareAttentionClassifier(
        n_filters=8, max_epochs=20, attention=None, n_members=2, input_noise=0.1
    ),
    CrossModalAttentionClassifier(n_filters=8, lr=0.01),
    CrossModalAttentionClassifier(
        n_filters=8, lr=0.01, direction=None, n_members=2, input_noise=0.1
    ),
    ModalityAwareAttentionRegressor(n_filters=8, max_epochs=20),
    CrossModalAttentionRegressor(n_filters=8, lr=0.01, n_members=2),
    FusionClassifier(Linear, lr=0.05),
    FusionRegressor(Linear, lr=0.05),
]


@pytest.mark.filterwarnings("ignore:PerSubject. .* have a single row:UserWarning")
@pytest.mark.filterwarnings("ignore:The beat times of .* do not increase:UserWarning")
@pytest.mark.filterwarnings("ignore:PerSubject. the column by=.* is NaN in:UserWarning")
@pytest.mark.filterwarnings("ignore:ContextTransformer. the .* is NaN:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(ESTIMATORS)
def test_every_common_check_passes(estimator, check):
    with warnings.catch_warnings():
        # Some common checks expect this warning, others ignore it.
        warnings.filterwarnings("ignore", "A column-vector y was passed")
        # Their random numbers have no heartbeats, and some windows a single sample.
        warnings.filterwarnings("ignore", ".* hold data, but come out missing")
        check(estimator)


def test_every_public_estimator_is_checked():
    public = {kind for _, kind in skemo.all_estimators()}
    assert {type(estimator) for estimator in ESTIMATORS} == public


def test_all_estimators_lists_every_class_with_fit_by_name():
    names = [name for name, _ in skemo.all_estimators()]
    fitted = {name for name in skemo.__all__ if hasattr(getattr(skemo, name), "fit")}
    assert names == sorted(fitted)
