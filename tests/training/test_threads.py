"""Threads of numerical libraries in the worker processes of a search."""

import joblib
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_info

from skemo import DifferentialEntropyTransformer


def add_threads(X):
    """Append a column: the largest number of threads of any library in this process."""
    counts = [pool["num_threads"] for pool in threadpool_info()] + [torch.get_num_threads()]
    return np.column_stack([X, np.full(len(X), max(counts))])


class LastColumn(LogisticRegression):
    """A classifier that returns the largest value of the last column as its score."""

    def score(self, X, y):
        return float(X[:, -1].max())


def test_two_processes_share_the_cores():
    X, y = np.random.default_rng(0).normal(size=(20, 256)), np.tile([0, 1], 10)
    entropy = DifferentialEntropyTransformer(sampling_rate=128)
    model = make_pipeline(entropy, FunctionTransformer(add_threads), LastColumn())
    search = GridSearchCV(model, {"lastcolumn__C": [1.0, 10.0]}, n_jobs=2, cv=2, refit=False)
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    assert scores.max() <= max(1, joblib.cpu_count() // 2)
