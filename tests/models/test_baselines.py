"""The classical baselines as Pipelines."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skemo import (
    DifferentialEntropyTransformer,
    PerSubject,
    SignalArray,
    make_dummy,
    make_lda,
    make_modality_transformer,
    make_random_forest,
    make_svm,
    signal_frame,
)

BASELINES = [make_svm, make_random_forest, make_lda]


def make_windows(n_subjects=4, n_rows=10, random_state=0):
    """EEG with twice the amplitude in one class."""
    rng = np.random.default_rng(random_state)
    n = n_subjects * n_rows
    y = np.tile(["rest", "stress"], n // 2)
    eeg = rng.normal(size=(n, 2, 256)) * np.where(y == "stress", 2, 1)[:, None, None]
    subject = np.repeat(np.arange(n_subjects), n_rows)
    return signal_frame(eeg=SignalArray(eeg, sampling_rate=128), subject=subject), y


@pytest.mark.parametrize("make", BASELINES)
def test_a_planted_effect_is_found_in_windows(make):
    windows, y = make_windows()
    model = make(make_modality_transformer(eeg=DifferentialEntropyTransformer()))
    assert cross_val_score(model, windows, y, cv=4).mean() > 0.95


@pytest.mark.parametrize("make", BASELINES)
def test_features_may_be_standardised_by_subject(make):
    windows, y = make_windows()
    entropy = DifferentialEntropyTransformer()
    features = make_pipeline(
        make_modality_transformer(eeg=entropy, subject="passthrough"), PerSubject()
    )
    assert make(features).fit(windows, y).score(windows, y) > 0.95


@pytest.mark.parametrize("make", BASELINES)
def test_missing_and_constant_features_are_accepted(make):
    rng = np.random.default_rng(0)
    y = np.tile([-1, 1], 20)
    X = rng.normal(size=(40, 4)) + 3 * y[:, None]
    X[:, 1] = np.nan
    X[:, 2] = 0.1
    X[::5, 0] = np.nan
    assert make("passthrough").fit(X, y).score(X, y) > 0.95


def test_a_rare_class_counts_as_much_as_a_common_one():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [180, 20])
    X = rng.normal(size=(200, 1)) + 1.5 * y[:, None]
    balanced = make_svm("passthrough").fit(X, y).predict(X)
    plain = make_svm("passthrough", class_weight=None).fit(X, y).predict(X)
    assert balanced[y == 1].mean() > plain[y == 1].mean() + 0.2


def test_lda_works_with_more_features_than_windows():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 15)
    X = rng.normal(size=(30, 200)) + y[:, None]
    assert cross_val_score(make_lda("passthrough"), X, y, cv=5).mean() > 0.9


def test_the_same_seed_gives_the_same_forest():
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.tile([0, 1], 20)
    first, second = (
        make_random_forest("passthrough", n_estimators=20, random_state=3).fit(X, y)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


def test_the_dummy_predicts_the_most_frequent_class():
    windows, _ = make_windows()
    y = np.repeat(["rest", "stress"], [25, 15])
    model = make_dummy(make_modality_transformer(eeg="passthrough")).fit(windows, y)
    assert set(model.predict(windows)) == {"rest"}


def test_a_grid_search_reaches_the_steps():
    windows, y = make_windows()
    features = make_modality_transformer(eeg=DifferentialEntropyTransformer())
    search = GridSearchCV(
        make_svm(features),
        {"classifier__C": [0.1, 1], "features__eeg__bands": [None, {"alpha": (8, 14)}]},
        cv=2,
    ).fit(windows, y)
    assert search.best_score_ > 0.95
