"""Features with a planted effect, and models, for tests of comparisons."""

import warnings

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

from skemo import make_dummy, make_svm

MODELS = {"SVM": make_svm("passthrough"), "majority": make_dummy("passthrough")}


def make_features(n_subjects=6, n_rows=20, effect=3.0, level=0.0, random_state=0):
    """Make features that depend on the class by `effect` and on the subject by `level`."""
    rng = np.random.default_rng(random_state)
    y = np.tile(["calm", "stress"], n_subjects * n_rows // 2)
    subjects = np.repeat([f"s{i}" for i in range(n_subjects)], n_rows)
    X = rng.normal(size=(len(y), 3)) + effect * (y == "stress")[:, None]
    X += np.repeat(level * rng.normal(size=(n_subjects, 3)), n_rows, axis=0)
    return X, y, subjects


def lay_out(subjects, length=10):
    """Make a table of consecutive windows, in trials of `length` windows."""
    place = np.arange(len(subjects))
    start = 10.0 * (place % length)
    columns = {"subject": subjects, "trial": place // length, "start": start, "stop": start + 10}
    return pd.DataFrame(columns)


class Wary(ClassifierMixin, BaseEstimator):
    """Warns in each fit, and predicts the first label."""

    def fit(self, X, y):
        warnings.warn("it does not look good", RuntimeWarning, stacklevel=2)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])
