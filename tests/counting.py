"""What the tests of cross-validation and search share: a transformer that counts, and equality."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

ONCE = [40, 20, 20]  # rows of a table, and its halves, by which it is seen that they agree


class Counting(TransformerMixin, BaseEstimator):
    """Scales each row by itself, and notes how many rows it is given."""

    calls = []  # noqa: RUF012

    def __init__(self, factor=1.0, requires_fit=False):
        self.factor = factor
        self.requires_fit = requires_fit

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        Counting.calls.append(len(X))
        return self.factor * np.asarray(X)

    def get_feature_names_out(self, input_features=None):
        return np.array([f"c{i}" for i in range(self.n_features_in_)], object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.requires_fit
        return tags


def make_table(random_state=0):
    rng = np.random.default_rng(random_state)
    y = np.tile([0, 1], 20)
    return rng.normal(size=(40, 3)) + 0.8 * y[:, None], y


def make_model(*first, C=1.0):
    steps = [(f"step{i}", step) for i, step in enumerate(first)]
    return Pipeline([*steps, ("scaler", StandardScaler()), ("classifier", LogisticRegression(C=C))])


def assert_same_scores(ours, theirs):
    assert list(ours) == list(theirs)
    for name in set(theirs) - {"fit_time", "score_time", "estimator", "indices"}:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name, strict=True)


def assert_same_search(ours, theirs):
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for name, values in theirs.cv_results_.items():
        if name.startswith("param"):
            assert str(ours.cv_results_[name]) == str(values)
            assert type(ours.cv_results_[name]) is type(values)
        elif "_time" not in name:
            np.testing.assert_array_equal(ours.cv_results_[name], values, strict=True)
    assert {name for name in vars(ours) if name.endswith("_")} == {
        name for name in vars(theirs) if name.endswith("_")
    }
    for name in ("best_index_", "n_splits_", "multimetric_", "scorer_", "best_params_"):
        assert str(getattr(ours, name, None)) == str(getattr(theirs, name, None))
    assert getattr(ours, "best_score_", None) == getattr(theirs, "best_score_", None)
