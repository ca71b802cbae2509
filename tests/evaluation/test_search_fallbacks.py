"""What cross-validation and searches leave to scikit-learn, and what travels with the rows."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from counting import ONCE, Counting, assert_same_scores, assert_same_search, make_model, make_table
from scipy.sparse import csr_array
from sklearn import config_context, model_selection
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from skemo import PerSubject, compare, make_dummy, make_lda
from skemo.evaluation.search import GridSearchCV, cross_validate


@pytest.fixture
def calls():
    Counting.calls.clear()
    return Counting.calls


# Left to scikit-learn


def assert_left_to_scikit_learn(calls, model, X, y, **options):
    """That the rows are transformed in each fold, and the scores equal."""
    calls.clear()
    theirs = model_selection.cross_validate(model, X, y, **options)
    expected = calls.copy()
    calls.clear()
    ours = cross_validate(model, X, y, **options)
    assert calls[-len(expected) :] == expected
    assert_same_scores(ours, theirs)


def own_scorer(estimator, X, y):
    return f1_score(y, estimator.predict(X)) + X[:, 0].sum()


class OwnSplitter(KFold):
    def split(self, X, y=None, groups=None):
        yield from super().split(X[:, :1], y, groups)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (make_model(Counting(requires_fit=True)), {}),
        (make_model(PCA(3), Counting()), {}),
        (make_model(Counting()), {"scoring": own_scorer}),
        (make_model(Counting()), {"scoring": {"own": own_scorer, "other": "f1"}}),
        (make_model(Counting()), {"cv": OwnSplitter(3)}),
        (make_model(FunctionTransformer(lambda X: X - X.mean(axis=0)), Counting()), {}),
        (make_model(ColumnTransformer([("a", Counting(), lambda X: [0, 2])])), {}),
        (make_model(ColumnTransformer([("a", Counting(), [0]), ("b", PCA(), [1, 2])])), {}),
        (Counting(), {"scoring": lambda estimator, X, y: 0.0}),
    ],
)
def test_what_is_not_recognised_is_left_to_scikit_learn(calls, model, options):
    assert_left_to_scikit_learn(calls, model, *make_table(), **options)


class Noisy(Counting):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags


@pytest.mark.parametrize(
    "first",
    [
        Noisy(),
        FunctionTransformer(lambda X: X + np.random.default_rng(len(X)).normal(size=X.shape)),
    ],
)
def test_a_transformer_with_randomness_is_left_to_scikit_learn(calls, first):
    assert_left_to_scikit_learn(calls, make_model(first, Counting()), *make_table())


def test_a_sparse_table_is_left_to_scikit_learn(calls):
    # Which of the two it returns, ColumnTransformer decides by how many zeros the rows have.
    X, y = make_table()
    parts = [("count", Counting(), [0]), ("sparse", FunctionTransformer(csr_array), [1, 2])]
    first = ColumnTransformer(parts, sparse_threshold=0.7)
    model = make_pipeline(first, LogisticRegression())
    assert_left_to_scikit_learn(calls, model, np.maximum(X, 0.0), y)


def refuse_large(X):
    if X.max() > 100:
        raise ValueError("too large")
    return X


@pytest.mark.parametrize("run", [cross_validate, model_selection.cross_validate])
def test_a_row_that_cannot_be_transformed_fails_in_the_folds_that_fit_it(run):
    X, y = make_table()
    X[3] = 1e3
    model = make_model(FunctionTransformer(refuse_large))
    with pytest.warns(Warning, match="3 fits failed|Scoring failed"):
        scores = run(model, X, y, cv=4)["test_score"]
    assert np.isnan(scores).tolist() == [True] * 4
    with pytest.raises(ValueError, match="too large"):
        run(model, X, y, error_score="raise")


def test_a_candidate_that_fails_leaves_the_others_as_they_are():
    X, y = make_table()
    X[3] = 1e3
    grid = {"step0__func": [refuse_large, np.tanh]}
    for search in (GridSearchCV, model_selection.GridSearchCV):
        with pytest.warns(Warning, match=r"fits failed|Scoring failed|non-finite"):
            found = search(make_model(FunctionTransformer()), grid).fit(X, y)
        assert np.isnan(found.cv_results_["mean_test_score"]).tolist() == [True, False]
        assert found.best_params_ == {"step0__func": np.tanh}


def test_a_classifier_that_fails_is_scored_as_by_scikit_learn():
    X, y = make_table()
    model = make_model(Counting()).set_params(classifier__C=-1.0)
    with pytest.raises(ValueError, match="All the 5 fits failed"):
        cross_validate(model, X, y)
    with pytest.raises(ValueError, match="'C' parameter"):
        cross_validate(model, X, y, error_score="raise")
    with pytest.raises(ValueError, match="Invalid parameter 'D'"):
        GridSearchCV(model, {"classifier__D": [1]}).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        cross_validate(make_model(Counting()), X, y[:-1])


def test_what_a_transformer_writes_into_its_input_is_not_seen_outside():
    X, y = make_table()
    frame = pd.DataFrame(X, columns=list("abc"))

    def double(X):
        X *= 2
        return X

    def add_column(X):
        X["d"] = X["a"] ** 2
        return X

    for function, table in ((double, X), (add_column, frame)):
        before = table.copy()
        model = make_model(FunctionTransformer(function))
        ours = cross_validate(model, table, y)
        assert_same_scores(ours, model_selection.cross_validate(model, table, y))
        assert before.shape == table.shape
        np.testing.assert_array_equal(before, table)


def test_a_warning_of_the_leading_part_comes_once():
    def warn(X):
        warnings.warn("look here", stacklevel=1)
        return X

    X, y = make_table()
    model = make_model(FunctionTransformer(warn))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cross_validate(model, X, y)
    assert [str(one.message) for one in caught] == ["look here"]


# What comes along with the rows


class Weighing(ClassifierMixin, BaseEstimator):
    """Predicts the class of the row with the greatest weight; a transformer may weigh too."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.answer_ = y[np.argmax(sample_weight)]
        return self

    def predict(self, X):
        return np.full(len(X), self.answer_)


class CountingWeights(Counting):
    def fit(self, X, y=None, sample_weight=None):
        return super().fit(X, y)


def test_parameters_of_the_last_step_go_with_their_rows(calls):
    X, y = make_table()
    weights = np.random.default_rng(1).random(40)
    model = Pipeline([("count", Counting()), ("weigh", Weighing())])
    params = {"weigh__sample_weight": weights}
    ours = cross_validate(model, X, y, params=params, cv=ShuffleSplit(4, random_state=0))
    assert calls == ONCE
    theirs = model_selection.cross_validate(
        model, X, y, params=params, cv=ShuffleSplit(4, random_state=0)
    )
    assert_same_scores(ours, theirs)
    ours, theirs = (
        search(model, {"count__factor": [1.0]}, cv=3).fit(X, y, **params)
        for search in (GridSearchCV, model_selection.GridSearchCV)
    )
    assert_same_search(ours, theirs)


def test_parameters_for_the_leading_part_end_it(calls):
    X, y = make_table()
    model = make_pipeline(CountingWeights(), Weighing())
    params = {"countingweights__sample_weight": np.ones(40), "weighing__sample_weight": X[:, 0]}
    assert_left_to_scikit_learn(calls, model, X, y, params=params)


@pytest.mark.parametrize("leading", [False, True])
def test_routed_metadata_reach_who_asks_for_them(calls, leading):
    X, y = make_table()
    params = {"sample_weight": X[:, 0] ** 2, "groups": np.arange(40) % 4}
    with config_context(enable_metadata_routing=True):
        first = CountingWeights().set_fit_request(sample_weight=leading)
        model = make_pipeline(first, Weighing().set_fit_request(sample_weight=True))
        scoring = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        options = {"cv": GroupKFold(4), "scoring": scoring}
        ours = cross_validate(model, X, y, params=params, **options)
        assert (calls == ONCE) is not leading
        theirs = model_selection.cross_validate(model, X, y, params=params, **options)
        assert_same_scores(ours, theirs)
        ours, theirs = (
            search(model, {"countingweights__factor": [1.0, 2.0]}, **options).fit(X, y, **params)
            for search in (GridSearchCV, model_selection.GridSearchCV)
        )
        assert_same_search(ours, theirs)


def test_metadata_that_nobody_asked_for_are_refused():
    X, y = make_table()
    with config_context(enable_metadata_routing=True):
        model = make_pipeline(CountingWeights(), Weighing())
        with pytest.raises(ValueError, match="not explicitly set as requested"):
            cross_validate(model, X, y, params={"sample_weight": np.ones(40)})


# The Pipeline's own settings


def test_a_memory_and_progress_of_the_pipeline_are_kept(tmp_path, capsys):
    X, y = make_table()
    X = pd.DataFrame(X, columns=list("abc")).assign(subject=np.repeat(list("uvwx"), 10))
    for first in (ColumnTransformer([("a", Counting(), ["a"])]), PerSubject(Counting())):
        model = make_model(first)
        expected = model_selection.cross_validate(model, X, y)
        model.set_params(memory=joblib.Memory(tmp_path, verbose=0), verbose=True)
        scores = cross_validate(model, X, y, return_estimator=True)
        np.testing.assert_array_equal(scores["test_score"], expected["test_score"])
        assert "(step 2 of 3) Processing scaler" in capsys.readouterr().out
        assert all(one.memory is not None and one.verbose for one in scores["estimator"])


def test_output_set_for_all_transformers_is_kept(calls):
    X, y = make_table()
    X = pd.DataFrame(X, columns=list("abc"))
    with config_context(transform_output="pandas"):
        ours, theirs = (
            run(make_model(Counting()), X, y, return_estimator=True)
            for run in (cross_validate, model_selection.cross_validate)
        )
        frame = X.assign(subject=np.repeat(list("uvwx"), 10))
        models = {"lda": make_lda(PerSubject(Counting()))}
        compare(models, frame, y, frame["subject"], n_jobs=2)
    assert_same_scores(ours, theirs)
    for mine, other in zip(ours["estimator"], theirs["estimator"], strict=True):
        assert mine[1].feature_names_in_.tolist() == ["c0", "c1", "c2"]
        assert other[1].feature_names_in_.tolist() == ["c0", "c1", "c2"]


def halve(X):
    return X / 2


def test_a_fitted_search_holds_no_table():
    X, y = np.random.default_rng(0).normal(size=(40, 5000)), make_table()[1]
    model = make_dummy(FunctionTransformer(halve))
    search = GridSearchCV(model, {"classifier__strategy": ["most_frequent", "prior"]}).fit(X, y)
    pickled = pickle.dumps(search)
    assert len(pickled) < X.nbytes / 100
    np.testing.assert_array_equal(pickle.loads(pickled).predict(X), search.predict(X))
    assert not hasattr(clone(search), "best_estimator_")


def test_lists_are_taken(calls):
    X, y = make_table()
    model = make_model(FunctionTransformer(np.exp), Counting())
    ours = cross_validate(model, X.tolist(), y.tolist())
    assert calls == ONCE
    assert_same_scores(ours, model_selection.cross_validate(model, X.tolist(), y.tolist()))


def test_what_is_not_a_table_is_refused_as_by_scikit_learn():
    with pytest.raises(ValueError, match="The 'X' parameter of cross_validate"):
        cross_validate(make_model(Counting()), None)
    with pytest.raises(ValueError, match="The 'cv' parameter"):
        cross_validate(make_model(Counting()), *make_table(), cv="three")


def test_small_tables_and_none_at_all_are_taken():
    y = np.array([0, 1, 0, 1])
    model = make_pipeline(Normalizer(), LogisticRegression())
    for X in (np.ones((4, 1)), np.eye(4)):
        ours, theirs = (
            run(model, X, y, cv=2) for run in (cross_validate, model_selection.cross_validate)
        )
        assert_same_scores(ours, theirs)
    with pytest.raises(ValueError, match=r"sample"):
        cross_validate(model, np.ones((0, 2)), [])
