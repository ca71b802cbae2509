"""Cross-validation and searches that compute once what learns nothing, against scikit-learn's."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from counting import ONCE, Counting, assert_same_scores, assert_same_search, make_model, make_table
from scipy.stats import uniform
from sklearn import model_selection
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

from skemo import (
    DifferentialEntropyTransformer,
    EDATransformer,
    HRVTransformer,
    ModalityAwareAttentionClassifier,
    PerSubject,
    ResampleTransformer,
    compare,
    make_dummy,
    make_lda,
    make_modality_transformer,
    make_random_forest,
    make_svm,
    segment,
)
from skemo.datasets import make_emotion_recordings
from skemo.evaluation.precompute import Tables
from skemo.evaluation.search import GridSearchCV, RandomizedSearchCV, cross_validate


@pytest.fixture
def calls():
    Counting.calls.clear()
    return Counting.calls


@pytest.fixture(scope="module")
def recordings():
    """Windows of simulated recordings, their labels and their subjects."""
    windows = segment(
        make_emotion_recordings(4, 2, 40.0, effect_size=0.3, random_state=0), duration=10.0
    )
    # Out of order, and with an index that says nothing about it.
    windows = windows.iloc[np.random.default_rng(0).permutation(len(windows))]
    windows.index = np.arange(len(windows)) // 3
    return windows, windows["label"].to_numpy(), windows["subject"].to_numpy()


def make_network():
    inputs = make_modality_transformer(
        ecg=HRVTransformer(), eeg=DifferentialEntropyTransformer(output="map", sub_windows=2)
    )
    settings = {"n_filters": 2, "depth": 1, "max_epochs": 2, "device": "cpu", "random_state": 0}
    return make_pipeline(inputs, ModalityAwareAttentionClassifier(**settings))


def make_features(**modalities):
    hrv = HRVTransformer(output="features", features=["HRV_MeanNN", "HRV_RMSSD"])
    return make_modality_transformer(ecg=hrv, eeg=DifferentialEntropyTransformer(), **modalities)


PIPELINES = {
    "svm": make_svm(make_features(eda=EDATransformer(features="all"))),
    "lda": make_lda(make_features()),
    "forest": make_random_forest(make_features(), n_estimators=5, random_state=0),
    "majority": make_dummy(make_features()),
    "arrays": make_lda(clone(make_features()).set_output(transform="default")),
    "nested": make_lda(make_pipeline(make_features(), Normalizer().set_output(transform="pandas"))),
    "network": make_network(),
}
SUBJECT = make_modality_transformer(
    ecg=HRVTransformer(output="features"), eeg=DifferentialEntropyTransformer()
)
PIPELINES["per subject"] = make_lda(PerSubject(SUBJECT))
PIPELINES["per subject, arrays"] = make_svm(
    PerSubject(clone(SUBJECT).set_output(transform="default"))
)
PIPELINES["signals per subject"] = make_pipeline(
    PerSubject(make_modality_transformer(eeg=ResampleTransformer(rate=32))),
    ModalityAwareAttentionClassifier(n_filters=2, depth=1, max_epochs=1, device="cpu"),
).set_params(modalityawareattentionclassifier__random_state=0)


# Equal to scikit-learn's


@pytest.mark.parametrize("name", PIPELINES)
def test_scores_and_fitted_pipelines_are_those_of_scikit_learn(name, recordings):
    X, y, subjects = recordings
    options = {"cv": GroupKFold(3), "groups": subjects, "return_estimator": True}
    options |= {"scoring": ["accuracy", "f1_macro"], "return_train_score": True}
    ours = cross_validate(PIPELINES[name], X, y, return_indices=True, **options)
    theirs = model_selection.cross_validate(PIPELINES[name], X, y, return_indices=True, **options)
    assert_same_scores(ours, theirs)
    for key, folds in theirs["indices"].items():
        assert all(map(np.array_equal, folds, ours["indices"][key]))
    for mine, other in zip(ours["estimator"], theirs["estimator"], strict=True):
        assert str(mine) == str(other)
        np.testing.assert_array_equal(mine.predict(X), other.predict(X))
        assert mine.n_features_in_ == other.n_features_in_ == X.shape[1]
        np.testing.assert_array_equal(mine.feature_names_in_, other.feature_names_in_)
        for a, b in zip(mine[:-1], other[:-1], strict=True):
            np.testing.assert_array_equal(a.n_features_in_, b.n_features_in_)


@pytest.mark.parametrize("name", ["svm", "per subject"])
def test_a_grid_search_is_that_of_scikit_learn(name, recordings):
    X, y, subjects = recordings
    last = "C" if name == "svm" else "shrinkage"
    transformer = "features__transformer__" if name == "per subject" else "features__"
    grid = {
        f"{transformer}eeg__bands": [{"alpha": (8, 14)}, {"theta": (4, 8), "beta": (14, 31)}],
        f"classifier__{last}": [0.1, 0.9],
    }
    options = {"cv": LeaveOneGroupOut(), "return_train_score": True}
    ours, theirs = (
        search(PIPELINES[name], grid, **options).fit(X, y, groups=subjects)
        for search in (GridSearchCV, model_selection.GridSearchCV)
    )
    assert_same_search(ours, theirs)
    assert str(ours.best_estimator_) == str(theirs.best_estimator_)
    for method in ("predict", "decision_function"):
        mine, other = getattr(ours, method)(X), getattr(theirs, method)(X)
        np.testing.assert_array_equal(mine, other)
    assert ours.score(X, y) == theirs.score(X, y)
    np.testing.assert_array_equal(ours.feature_names_in_, list(X))


def test_a_randomised_search_is_that_of_scikit_learn():
    X, y = make_table()
    values = {"classifier__C": uniform(0.01, 2), "step0__factor": [1.0, 2.0]}
    ours, theirs = (
        search(make_model(Counting()), values, n_iter=5, random_state=3).fit(X, y)
        for search in (RandomizedSearchCV, model_selection.RandomizedSearchCV)
    )
    assert_same_search(ours, theirs)


@pytest.mark.parametrize("refit", [False, "f1", lambda results: len(results["params"]) - 1])
def test_a_search_by_several_scores_is_that_of_scikit_learn(refit):
    X, y = make_table()
    options = {"scoring": {"f1": "f1", "own": make_scorer(accuracy_score)}, "refit": refit}
    ours, theirs = (
        search(make_model(Counting()), {"classifier__C": [1e-4, 1.0]}, **options).fit(X, y)
        for search in (GridSearchCV, model_selection.GridSearchCV)
    )
    assert_same_search(ours, theirs)


def test_a_function_that_chooses_the_best_sees_the_results_of_scikit_learn():
    X, y = make_table()
    seen = []

    def choose(results):
        seen.append(list(results))
        return 0

    for search in (GridSearchCV, model_selection.GridSearchCV):
        search(make_model(Counting()), {"classifier__C": [1e-4, 1.0]}, refit=choose).fit(X, y)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("container", [np.asfortranarray, np.asarray, pd.DataFrame])
@pytest.mark.parametrize(
    "first",
    [
        Normalizer(),
        FunctionTransformer(np.asfortranarray),
        FunctionTransformer(lambda X: np.asarray(X)[:, :2] ** 2),
        make_pipeline(None, ColumnTransformer([("a", Normalizer(), [0, 1])], remainder="drop")),
        ColumnTransformer([("a", "drop", [0])], remainder=FunctionTransformer(np.sin)),
    ],
)
def test_sums_have_the_same_last_bits_in_any_layout_of_memory(container, first):
    X, y = make_table()
    X = container(X + 1e6)
    model = make_pipeline(first, PCA(2), LogisticRegression())
    ours, theirs = (
        run(model, X, y, scoring="neg_log_loss", return_estimator=True)
        for run in (cross_validate, model_selection.cross_validate)
    )
    assert_same_scores(ours, theirs)
    for mine, other in zip(ours["estimator"], theirs["estimator"], strict=True):
        np.testing.assert_array_equal(mine[1].mean_, other[1].mean_)


def test_two_processes_give_the_same_as_one(recordings):
    with joblib.parallel_config(backend="loky", max_nbytes=1000):  # tables travel as files
        compare_processes(*recordings)


def compare_processes(X, y, subjects):
    grid = {"features__eeg__sub_windows": [1, 2], "classifier__C": [0.1, 1.0]}
    searches = [
        search(PIPELINES["svm"], grid, cv=3, n_jobs=n_jobs).fit(X, y)
        for search, n_jobs in ((GridSearchCV, 2), (GridSearchCV, 1))
    ]
    assert_same_search(*searches)
    for name in ("svm", "per subject"):
        options = {"cv": GroupKFold(2), "groups": subjects, "return_estimator": True}
        one, two = (cross_validate(PIPELINES[name], X, y, n_jobs=n, **options) for n in (1, 2))
        assert_same_scores(one, two)
        assert str(one["estimator"]) == str(two["estimator"])
        assert len(pickle.dumps(two["estimator"])) < X["eeg"].array.values.nbytes / 10
        predicted = [search["estimator"][0].predict(X) for search in (one, two)]
        np.testing.assert_array_equal(*predicted)


# Computed once


@pytest.mark.parametrize("name", PIPELINES)
def test_transformers_of_signals_belong_to_the_leading_part(name, recordings):
    X, y, _ = recordings
    assert not Tables(X, y).find(PIPELINES[name]).is_raw


def test_the_leading_part_is_computed_once_for_all_folds(calls):
    X, y = make_table()
    cross_validate(make_model(Counting()), X, y, cv=5, return_train_score=True)
    assert calls == ONCE


def fill_by_mean(X):
    return np.where(np.isnan(X), np.nanmean(X, axis=0), X)


def test_a_function_that_mixes_rows_only_where_a_value_is_missing_is_not_computed_once():
    X, y = make_table()
    X = np.tile(X, (16, 1))
    X[1::40] = np.nan
    steps = FunctionTransformer(fill_by_mean), LogisticRegression()
    assert Tables(X, np.tile(y, 16)).find(make_pipeline(*steps)).is_raw


def test_the_leading_part_is_computed_once_for_all_candidates(calls):
    X, y = make_table()
    GridSearchCV(make_model(Counting()), {"classifier__C": [0.1, 1.0, 10.0]}).fit(X, y)
    assert calls == ONCE


def test_the_leading_part_is_computed_once_for_each_of_its_settings(calls):
    X, y = make_table()
    grid = {"step0__factor": [1.0, 2.0, 3.0], "classifier__C": [0.1, 1.0]}
    GridSearchCV(make_model(Counting()), grid, cv=4).fit(X, y)
    assert calls == 3 * ONCE


def test_a_table_stored_by_columns_is_computed_once(calls):
    X, y = make_table()
    cross_validate(make_model(Counting(), FunctionTransformer(np.asfortranarray)), X, y)
    assert calls == ONCE


def test_functions_without_a_name_are_computed_once_too(calls):
    X, y = make_table()
    model = make_model(Counting(), FunctionTransformer(lambda X: X**2))
    GridSearchCV(model, {"classifier__C": [0.1, 1.0]}).fit(X, y)
    assert calls == ONCE


def test_steps_may_be_replaced(calls):
    X, y = make_table()
    grid = {
        "step0": ["passthrough", Counting(2.0), PCA(2), Counting(2.0)],
        "scaler": [StandardScaler(), Normalizer()],
    }
    ours = GridSearchCV(make_model(Counting()), grid, cv=3).fit(X, y)
    # With Normalizer, the scaler belongs to the leading part.
    assert calls == 2 * ONCE
    theirs = model_selection.GridSearchCV(make_model(Counting()), grid, cv=3).fit(X, y)
    assert_same_search(ours, theirs)


def test_a_transformer_inside_per_subject_is_computed_once(calls):
    X, y = make_table()
    X = pd.DataFrame(X, columns=list("abc")).assign(subject=np.repeat(list("uvwx"), 10))
    for transform in ("default", "pandas"):
        model = make_lda(PerSubject(Counting()).set_output(transform=transform))
        ours = cross_validate(model, X, y, cv=4, return_estimator=True)
        assert calls == ONCE
        theirs = model_selection.cross_validate(model, X, y, cv=4, return_estimator=True)
        assert_same_scores(ours, theirs)
        first, other = (scores["estimator"][0][0] for scores in (ours, theirs))
        assert first.statistics_.keys() == other.statistics_.keys()
        assert type(first.transform(X)) is type(other.transform(X))
        calls.clear()


def test_subjects_may_be_a_column_of_an_array(calls):
    X, y = make_table()
    X = np.column_stack([np.repeat(np.arange(4.0), 10), X])
    model = make_lda(PerSubject(Counting(), by=0))
    ours = cross_validate(model, X, y)
    assert calls == ONCE
    assert_same_scores(ours, model_selection.cross_validate(model, X, y))


def test_a_column_transformer_of_such_is_computed_once(calls):
    X, y = make_table()
    X = pd.DataFrame(X, columns=list("abc"))
    select = make_column_selector(dtype_include=float)
    parts = [("count", Counting(), select), ("same", "passthrough", ["a"])]
    cross_validate(make_model(ColumnTransformer(parts)), X, y)
    assert calls == ONCE


def test_models_that_share_a_leading_part_have_it_computed_once(calls):
    X, y = make_table()
    models = {"svm": make_svm(Counting()), "lda": make_lda(Counting()), "pca": make_lda(PCA(2))}
    subjects = np.repeat(np.arange(4), 10)
    result = compare(models, X, y, subjects)
    assert calls == ONCE
    for name, model in models.items():
        own = result.predictions[result.predictions["model"] == name]
        for _, fold in own.groupby("fold"):
            train = np.setdiff1d(np.arange(40), fold["row"])
            expected = clone(model).fit(X[train], y[train]).predict(X[fold["row"]])
            np.testing.assert_array_equal(fold["y_pred"], expected)


def test_a_search_inside_a_cross_validation_computes_once_a_fold(calls):
    X, y = make_table()
    searches = [
        search(make_model(Counting()), {"classifier__C": [0.1, 1.0]}, cv=3)
        for search in (GridSearchCV, model_selection.GridSearchCV)
    ]
    ours = cross_validate(searches[0], X, y, cv=4)
    assert calls == 4 * [30, 15, 15, 10]
    assert_same_scores(ours, model_selection.cross_validate(searches[1], X, y, cv=4))
