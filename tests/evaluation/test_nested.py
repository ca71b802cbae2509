"""Searches inside a comparison choose on training subjects alone."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneGroupOut,
    RandomizedSearchCV,
    StratifiedGroupKFold,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skemo import CrossModalAttentionClassifier, compare, make_svm
from skemo.evaluation.nested import fit_parameters, split_by_subject
from skemo.evaluation.splitters import BlockedKFold, LeaveOneTrialOut

GRID = {"classifier__C": [0.001, 1.0, 100.0], "classifier__gamma": [0.01, 1.0]}


def make_features(n_subjects=6, n_rows=12, effect=0.8, random_state=0):
    rng = np.random.default_rng(random_state)
    y = np.tile(["calm", "stress"], n_subjects * n_rows // 2)
    subjects = np.repeat([f"s{i}" for i in range(n_subjects)], n_rows)
    X = rng.normal(size=(len(y), 3)) + effect * (y == "stress")[:, None]
    return X + np.repeat(rng.normal(size=(n_subjects, 3)), n_rows, axis=0), y, subjects


@pytest.mark.parametrize("routing", [False, True])
def test_inner_folds_are_of_subjects(routing):
    X, y, subjects = make_features()
    search = GridSearchCV(make_svm("passthrough"), GRID, cv=3)
    with config_context(enable_metadata_routing=routing):
        result = compare({"tuned": search}, X, y, subjects)
    inner = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    for fold, (train, test) in enumerate(LeaveOneGroupOut().split(X, y, subjects)):
        expected = GridSearchCV(make_svm("passthrough"), GRID, cv=inner)
        expected.fit(X[train], y[train], groups=subjects[train])
        row = result.chosen.iloc[fold]
        assert row["params"] == expected.best_params_
        assert row["score"] == pytest.approx(expected.best_score_)
        own = result.predictions.query("fold == @fold")
        assert own["y_pred"].tolist() == expected.predict(X[test]).tolist()
    assert search.cv == 3


@pytest.mark.parametrize("cv", [GroupKFold(2), StratifiedKFold(2)])
def test_a_splitter_of_ones_own_is_kept_and_gets_subjects_if_it_takes_them(cv):
    search = GridSearchCV(make_svm("passthrough"), GRID, cv=cv)
    assert split_by_subject(search, 0, 5, 5) is search
    given = fit_parameters(search, np.array(["a"]))
    assert list(given) == ([] if isinstance(cv, StratifiedKFold) else ["groups"])


def test_folds_are_no_more_than_subjects():
    X, y, subjects = make_features(n_subjects=3)
    search = GridSearchCV(make_svm("passthrough"), GRID)
    assert split_by_subject(search, 0, 2, 2).cv.n_splits == 2
    assert split_by_subject(search, 0, 20, 20).cv.n_splits == 5
    with pytest.raises(ValueError, match="cv=4, but training has 2 subject"):
        compare({"tuned": search.set_params(cv=4)}, X, y, subjects)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (
            BlockedKFold(2),
            r"cv=BlockedKFold\(.*n_splits=2\), but inner folds are given only the subjects",
        ),
        (LeaveOneTrialOut(), "inner folds are given only the subjects"),
        ([([0, 1], [2, 3])], "a list of splits as its cv"),
    ],
)
def test_inner_folds_that_cannot_be_made_are_refused(cv, message):
    X, y, subjects = make_features()
    with pytest.raises(ValueError, match=message):
        compare({"tuned": GridSearchCV(make_svm("passthrough"), GRID, cv=cv)}, X, y, subjects)


def test_inner_training_without_a_class_is_refused():
    X, y, subjects = make_features(n_subjects=3, n_rows=24)
    trials = np.tile(np.repeat(np.arange(4), 6), 3)  # two of each class
    groups = pd.DataFrame({"subject": subjects, "trial": trials})
    y = np.where(trials % 2, "calm", "stress")
    search = GridSearchCV(make_svm("passthrough"), GRID, cv=2)
    with pytest.raises(ValueError, match="three trials of each class from each subject"):
        compare({"tuned": search}, X, y, groups, protocol="leave-one-trial-out")
    assert len(compare({"tuned": search}, X, y, groups, protocol="group-k-fold", n_splits=3).chosen)


def test_a_threshold_may_be_tuned():
    X, y, subjects = make_features()
    model = TunedThresholdClassifierCV(make_svm("passthrough"), cv=2)
    assert compare({"tuned": model}, X, y, subjects).failures.empty


@pytest.mark.parametrize("replaced", [False, True])
def test_a_network_in_a_routed_search_needs_no_request_of_its_own(replaced):
    X, y, subjects = make_features(n_subjects=4)
    network = CrossModalAttentionClassifier(max_epochs=1, n_filters=2, random_state=0)
    grid = {"network": [clone(network)]} if replaced else {"network__lr": [0.01]}
    search = GridSearchCV(Pipeline([("same", "passthrough"), ("network", network)]), grid, cv=2)
    plain = compare({"tuned": search}, X, y, subjects, protocol="group-k-fold", n_splits=2)
    with config_context(enable_metadata_routing=True):
        routed = compare({"tuned": search}, X, y, subjects, protocol="group-k-fold", n_splits=2)
    assert routed.failures.empty
    pd.testing.assert_frame_equal(routed.predictions, plain.predictions)


@pytest.mark.parametrize("routing", [False, True])
def test_early_stopping_may_be_searched(routing):
    _, y, _ = make_features()
    subjects = np.repeat(np.arange(6.0), 12)
    X = np.column_stack([subjects, np.where(y == "stress", 1.0, -1.0)])
    model = make_pipeline("passthrough", NeedsSubjects(early_stopping=False))
    search = GridSearchCV(model, {"needssubjects__early_stopping": [True]}, cv=2)
    with config_context(enable_metadata_routing=routing):
        result = compare({"tuned": search}, X, y, subjects)
    assert (result.subject_scores()["accuracy"] == 1).all()


def test_a_search_may_be_the_last_step():
    search = RandomizedSearchCV(make_svm("passthrough"), GRID, n_iter=2, random_state=0)
    model = Pipeline([("scale", StandardScaler()), ("search", search)])
    split = split_by_subject(model, 5, 9, 9)
    assert split.named_steps["search"].cv.n_splits == 5
    assert split.named_steps["search"].cv.random_state == 5
    assert model.named_steps["search"].cv is None
    X, y, subjects = make_features()
    result = compare({"tuned": model}, X, y, subjects)
    assert len(result.chosen) == 6
    assert all(params.keys() == GRID.keys() for params in result.chosen["params"])


class NeedsSubjects(ClassifierMixin, BaseEstimator):
    """Predicts right only if `fit` was given the subjects of its rows."""

    def __init__(self, early_stopping=True, unused=0):
        self.early_stopping = early_stopping
        self.unused = unused

    def fit(self, X, y, groups=None):
        self.classes_ = np.unique(y)
        self.right_ = groups is not None and np.array_equal(groups, X[:, 0])
        return self

    def predict(self, X):
        return self.classes_[((X[:, 1] > 0) == self.right_).astype(int)]


@pytest.mark.parametrize("routing", [False, True])
def test_a_network_inside_a_search_gets_the_subjects_too(routing):
    _, y, _ = make_features()
    subjects = np.repeat(np.arange(6.0), 12)
    X = np.column_stack([subjects, np.where(y == "stress", 1.0, -1.0)])
    search = GridSearchCV(
        make_pipeline("passthrough", NeedsSubjects()), {"needssubjects__unused": [1, 2]}, cv=2
    )
    with config_context(enable_metadata_routing=routing):
        result = compare({"tuned": clone(search)}, X, y, subjects)
    assert (result.subject_scores()["accuracy"] == 1).all()
    assert (result.chosen["score"] == 1).all()


def test_a_bare_network_in_a_search_is_refused_where_it_would_lose_the_subjects():
    _, y, _ = make_features()
    subjects = np.repeat(np.arange(6.0), 12)
    X = np.column_stack([subjects, np.where(y == "stress", 1.0, -1.0)])
    search = GridSearchCV(NeedsSubjects(), {"unused": [1, 2]}, cv=2)
    with pytest.raises(ValueError, match=r"bare NeedsSubjects .* make_pipeline\(network\)"):
        compare({"tuned": search}, X, y, subjects)
    with config_context(enable_metadata_routing=True):
        result = compare({"tuned": search}, X, y, subjects)
    assert (result.subject_scores()["accuracy"] == 1).all()


def test_inner_folds_are_of_trials_where_training_has_one_subject():
    X, y, subjects = make_features(n_subjects=3, n_rows=24)
    place = np.arange(len(y))
    groups = pd.DataFrame({"subject": subjects, "trial": place // 4})
    search = GridSearchCV(make_svm("passthrough"), GRID, cv=2)
    result = compare({"tuned": search}, X, y, groups, protocol="leave-one-trial-out")
    assert result.failures.empty
    train = (subjects == "s0") & (groups["trial"] != 0)
    inner = StratifiedGroupKFold(2, shuffle=True, random_state=0)
    expected = GridSearchCV(make_svm("passthrough"), GRID, cv=inner)
    expected.fit(X[train], y[train], groups=groups["trial"][train])
    assert result.chosen["params"][0] == expected.best_params_


def test_a_choice_that_is_no_number_is_kept_as_text(tmp_path):
    X, y, subjects = make_features()
    grid = {"scale": ["passthrough", StandardScaler(with_mean=False)]}
    search = GridSearchCV(Pipeline([("scale", None), ("svm", make_svm("passthrough"))]), grid, cv=2)
    chosen = compare({"tuned": search}, X, y, subjects, output=tmp_path).chosen["params"]
    assert {params["scale"] for params in chosen} <= {
        *("passthrough", "StandardScaler(with_mean=False)")
    }
    again = compare({"tuned": search}, X, y, subjects, output=tmp_path).chosen["params"]
    assert chosen.tolist() == again.tolist()
