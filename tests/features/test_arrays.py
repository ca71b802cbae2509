"""Transformers of arrays on a signal column."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skemo import ArrayTransformer, SignalArray, make_modality_transformer, signal_frame

RNG = np.random.default_rng(0)


class Covariances(TransformerMixin, BaseEstimator):
    """As in other libraries: takes three dimensions, and has no names and no set_output."""

    def fit(self, X, y=None):
        self.shape_ = X.shape
        return self

    def transform(self, X):
        if np.isnan(X).any():
            raise ValueError("NaN")
        return X @ X.transpose(0, 2, 1) / X.shape[2]


@pytest.fixture
def windows():
    values = RNG.normal(size=(6, 2, 50))
    eeg = SignalArray(values, sampling_rate=50, channels=["F3", "F4"])
    return signal_frame(eeg=eeg, subject=list("aaabbb"))


def test_the_output_of_a_transformer_becomes_named_columns(windows):
    table = (
        ArrayTransformer(Covariances())
        .set_output(transform="pandas")
        .fit_transform(windows[["eeg"]])
    )
    values = windows["eeg"].array.values
    expected = np.einsum("nct,ndt->ncd", values, values) / 50
    assert list(table) == ["eeg_0", "eeg_1", "eeg_2", "eeg_3"]
    np.testing.assert_allclose(table, expected.reshape(6, 4))


def test_a_transformer_without_set_output_stands_beside_others(windows):
    features = make_modality_transformer(eeg=ArrayTransformer(Covariances()), subject="passthrough")
    table = features.fit_transform(windows)
    assert list(table) == ["eeg_0", "eeg_1", "eeg_2", "eeg_3", "subject"]
    with pytest.raises(ValueError, match="set_output"):
        make_modality_transformer(eeg=Covariances())


def test_windows_with_nan_are_not_passed_on(windows):
    values = windows["eeg"].array.values.copy()
    values[1] = np.nan
    values[4, 0, 3] = np.nan
    gappy = signal_frame(eeg=SignalArray(values, sampling_rate=50))
    transformer = ArrayTransformer(Covariances())
    table = transformer.fit_transform(gappy)
    assert transformer.transformer_.shape_ == (4, 2, 50)
    assert np.isnan(table).all(axis=1).tolist() == [False, True, False, False, True, False]
    assert np.isnan(transformer.transform(gappy[1:2])).all()
    assert transformer.transform(gappy[1:2]).shape == (1, 4)


def test_what_is_learned_is_applied_to_new_windows(windows):
    flatten = make_pipeline(Covariances(), Flatten(), StandardScaler())
    transformer = ArrayTransformer(flatten).fit(windows[["eeg"]][:4])
    together = transformer.transform(windows[["eeg"]])
    np.testing.assert_allclose(together[:4].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(transformer.transform(windows[["eeg"]][4:]), together[4:])


class Flatten(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.reshape(len(X), -1)


class Wrong(Flatten):
    def transform(self, X):
        return X[:1]


def test_an_output_without_a_row_for_each_window_is_an_error(windows):
    with pytest.raises(ValueError, match=r"a row for each of 6 windows, but returned float64 of"):
        ArrayTransformer(Wrong()).fit(windows[["eeg"]])


@pytest.mark.parametrize("transformer", [None, "passthrough", Covariances])
def test_what_is_no_transformer_is_named(windows, transformer):
    with pytest.raises(ValueError, match="transformer must be a transformer with fit_transform"):
        ArrayTransformer(transformer).fit(windows[["eeg"]])


def test_labels_of_another_length_are_an_error(windows):
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[6, 2\]"):
        ArrayTransformer(Covariances()).fit(windows[["eeg"]], ["a", "b"])


def test_a_plain_array_is_taken_as_well():
    values = RNG.normal(size=(3, 2, 10))
    found = ArrayTransformer(Covariances()).fit_transform(values)
    assert found.shape == (3, 4)
    assert isinstance(found, np.ndarray)
    assert not isinstance(found, pd.DataFrame)
