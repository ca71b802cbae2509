"""What all transformers of windows have in common."""

import inspect

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skemo import (
    AccelerometerTransformer,
    DifferentialEntropyTransformer,
    EDATransformer,
    EMGTransformer,
    HRVTransformer,
    ResampleTransformer,
    RespirationTransformer,
    SignalArray,
    TemperatureTransformer,
    signal_frame,
)
from skemo.features.base import WindowTransformer, compute_in_chunks

TRANSFORMERS = [
    HRVTransformer(),
    HRVTransformer(output="series"),
    EDATransformer(),
    EDATransformer(output="series"),
    DifferentialEntropyTransformer(),
    DifferentialEntropyTransformer(output="map"),
    RespirationTransformer(),
    RespirationTransformer(output="series"),
    RespirationTransformer(signal="ecg"),
    RespirationTransformer(signal="ppg", output="series"),
    TemperatureTransformer(valid_range=None),
    TemperatureTransformer(output="series", valid_range=None),
    AccelerometerTransformer(),
    AccelerometerTransformer(output="series"),
    EMGTransformer(highpass=20),
    EMGTransformer(output="series", highpass=20),
    ResampleTransformer(rate=64, standardize=True),
]
every_transformer = pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    seconds = np.arange(2560) / 128
    periods = 0.7 + 0.02 * np.arange(6)[:, np.newaxis]
    beats = np.exp(-(((seconds % periods - 0.3) / 0.02) ** 2))
    values = beats + 0.01 * rng.normal(size=beats.shape)
    frame = signal_frame(ecg=SignalArray(values, sampling_rate=128))
    frame.index = pd.Index([7, 3, 5, 1, 9, 2], name="window")
    return frame


def as_array(result):
    return result["ecg"].array.values if isinstance(result, pd.DataFrame) else result


@every_transformer
def test_the_result_for_a_row_depends_on_that_row_alone(transformer, windows):
    whole = as_array(transformer.fit_transform(windows))
    order = [4, 1, 0, 5]
    part = clone(transformer).fit(windows[2:4]).transform(windows.iloc[order])
    np.testing.assert_array_equal(as_array(part), whole[order])
    for i in range(len(windows)):
        alone = as_array(transformer.transform(windows.iloc[[i]]))
        np.testing.assert_array_equal(alone, whole[[i]])


@every_transformer
def test_the_index_of_the_rows_is_kept(transformer, windows):
    result = clone(transformer).set_output(transform="pandas").fit_transform(windows)
    pd.testing.assert_index_equal(result.index, windows.index)


@pytest.mark.parametrize("kind", dict.fromkeys(type(transformer) for transformer in TRANSFORMERS))
def test_parameters_are_keyword_only_behind_the_first(kind):
    assert issubclass(kind, WindowTransformer)
    first, *others = list(inspect.signature(kind).parameters.values())
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert {parameter.kind for parameter in others} == {first.KEYWORD_ONLY}
    if kind is not ResampleTransformer:  # which has nothing but signals to give
        assert (first.name, first.default) == ("output", "features")


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("n_together", [0, 1, 3, 10, 99])
def test_chunks_of_any_size_make_the_same_result(n_together, n_jobs):
    values = np.arange(20.0).reshape(10, 2)
    result = compute_in_chunks(np.square, values, n_together, n_jobs)
    np.testing.assert_array_equal(result, values**2)
