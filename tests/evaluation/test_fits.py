"""Fits of a comparison that are trained together are recorded each for itself."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skemo import (
    ModalityAwareAttentionClassifier,
    SignalArray,
    compare,
    make_svm,
    signal_frame,
)
from skemo.evaluation import compare as compare_module

SUBJECTS = np.repeat(list("abcd"), 8)
LABELS = np.tile(["rest", "task"], 16)


def make_windows():
    values = np.random.default_rng(0).normal(size=(32, 1, 12)).astype(np.float32)
    return signal_frame(ecg=SignalArray(values + (LABELS == "task")[:, None, None]))


def make_network():
    return ModalityAwareAttentionClassifier(
        depth=1, n_filters=2, max_epochs=2, device="cpu", random_state=0
    )


@pytest.mark.parametrize("together", [True, False])
def test_folds_that_train_on_the_same_rows_are_both_tested(together, monkeypatch):
    train, rest = np.arange(16), np.arange(16, 32)
    folds = [(train, rest[:8]), (train, rest[8:])]
    monkeypatch.setattr(compare_module, "protocol_folds", lambda *_: folds)
    result = compare({"net": make_network()}, make_windows(), LABELS, SUBJECTS, together=together)
    assert result.predictions["row"].tolist() == rest.tolist()
    expected = make_network().fit(make_windows().iloc[train], LABELS[train])
    predicted = expected.predict(make_windows().iloc[rest])
    assert result.predictions["y_pred"].tolist() == predicted.tolist()


class Warns(TransformerMixin, BaseEstimator):
    """Warns where it is fitted without the first window of all."""

    def __init__(self, first):
        self.first = first

    def fit(self, X, y=None):
        if X["ecg"].array.values[0, 0, 0] != self.first:
            warnings.warn("the first window is missing", UserWarning, stacklevel=2)
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize("together", [True, False])
def test_a_warning_of_one_fold_is_recorded_of_that_fold(together):
    X = make_windows()
    model = make_pipeline(Warns(X["ecg"].array.values[0, 0, 0]), make_network())
    with pytest.warns(UserWarning, match="in 1 of 4 fits: the first window is missing"):
        result = compare({"net": model}, X, LABELS, SUBJECTS, together=together)
    own = result.warnings[result.warnings["message"] == "the first window is missing"]
    assert own["fold"].tolist() == [0]


@pytest.mark.parametrize("shape", [(14, 200), (5, 700), (1, 33), (4, 1000)])
def test_wide_windows_are_classified_alike_alone_and_among_others(shape):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"eeg": SignalArray(rng.normal(size=(150, *shape)).astype(np.float32))})
    classifier = make_network().fit(X[:32], LABELS)
    among = classifier.predict_proba(X)
    for row in (0, 70, 149):
        np.testing.assert_array_equal(classifier.predict_proba(X[row : row + 1]), among[[row]])


class Search(GridSearchCV):
    """A search that has the method always, as some packages' searches do."""

    def predict_proba(self, X):
        return self.best_estimator_.predict_proba(X)


def test_a_search_over_a_model_without_probabilities_is_compared_by_its_classes():
    X = np.random.default_rng(0).normal(size=(32, 2)) + (LABELS == "task")[:, None]
    search = Search(make_svm("passthrough"), {"classifier__C": [1.0]}, cv=2)
    result = compare({"search": search}, X, LABELS, SUBJECTS)
    assert result.failures.empty
    assert result.predictions.filter(like="probability").isna().all(axis=None)
