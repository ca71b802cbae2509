"""Work on a cluster of Dask, here two processes of this machine."""

import os

import joblib
import numpy as np
import pandas as pd
import pytest
from comparing import make_features
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut

import skemo
from skemo.datasets.base import read_subjects
from skemo.features.base import compute_in_chunks
from skemo.signals.array import SignalArray

# joblib 1.5 warns of its own Dask backend.
pytestmark = pytest.mark.filterwarnings("ignore:`apply_async` is deprecated:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Two workers of Dask, each a process with one thread."""
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster):
        yield


class CountedTable(pd.DataFrame):
    """A table that counts how often it is pickled, as a plain one."""

    n_pickles = 0

    def __reduce__(self):
        type(self).n_pickles += 1
        return pd.DataFrame, (dict(self.items()),)


def make_counted():
    X, y, subjects = make_features(effect=1.0)
    CountedTable.n_pickles = 0
    return CountedTable(X, columns=list("abc")), y, subjects


def make_models():
    return {f"C = {C}": LogisticRegression(C=C) for C in (0.01, 1.0)}


def test_a_comparison_is_the_same_and_sends_its_table_once():
    X, y, subjects = make_counted()
    alone = skemo.compare(make_models(), X, y, subjects, controls=["permuted"])
    assert CountedTable.n_pickles == 0
    with joblib.parallel_config("dask"):
        shared = skemo.compare(make_models(), X, y, subjects, controls=["permuted"])
    assert CountedTable.n_pickles == 1
    pd.testing.assert_frame_equal(shared.predictions, alone.predictions)
    pd.testing.assert_frame_equal(shared.table(), alone.table())


def test_a_search_is_the_same_and_sends_its_table_once():
    X, y, subjects = make_counted()
    grid = {"C": [0.01, 0.1, 1.0]}
    search = GridSearchCV(LogisticRegression(), grid, cv=LeaveOneGroupOut(), refit=False)
    alone = search.fit(X, y, groups=subjects).cv_results_["mean_test_score"]
    with joblib.parallel_config("dask"):
        shared = search.fit(X, y, groups=subjects).cv_results_["mean_test_score"]
    assert CountedTable.n_pickles == 1
    np.testing.assert_array_equal(shared, alone)


def test_kept_fits_of_a_cluster_are_used_again(tmp_path):
    X, y, subjects = make_features()
    with joblib.parallel_config("dask"):
        shared = skemo.compare(make_models(), X, y, subjects, output=tmp_path)
        again = skemo.compare(make_models(), X, y, subjects, output=tmp_path)
    pd.testing.assert_frame_equal(again.scores, shared.scores)  # with the times of the fits


def test_subjects_are_read_by_the_workers_in_order():
    def read(subject):
        return [(subject, os.getpid())]

    with joblib.parallel_config("dask"):
        recordings = read_subjects(read, list("abcd"), "raise")
    assert [subject for subject, _ in recordings] == list("abcd")
    assert os.getpid() not in {process for _, process in recordings}


def test_features_are_computed_by_the_workers():
    values = np.arange(12.0).reshape(6, 1, 2)

    def compute(part):
        return np.column_stack([part.sum(axis=(1, 2)), np.full(len(part), os.getpid())])

    with joblib.parallel_config("dask"):
        result = compute_in_chunks(compute, SignalArray(values), n_samples=4)
    assert result[:, 0].tolist() == values.sum(axis=(1, 2)).tolist()
    assert os.getpid() not in result[:, 1]
