"""Work on a cluster of Dask, here two processes of this machine."""

import os

import joblib
import numpy as np
import pandas as pd
import pytest
from comparing import make_features
from networks import windows as make_windows
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut

import skemo
from skemo.datasets import make_emotion_recordings
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


@pytest.fixture(scope="module")
def recordings():
    """Skin conductance of four subjects, two recordings of each."""
    return make_emotion_recordings(4, 2, modalities=("eda",), random_state=0)


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


def test_networks_under_dask_predict_the_same_and_their_windows_are_sent_once():
    X, y, subjects = make_windows(n_subjects=3)
    network = skemo.CrossModalAttentionClassifier(n_filters=2, max_epochs=2, random_state=0)
    CountedTable.n_pickles = 0
    alone = skemo.compare([network], CountedTable(X), y, subjects, together=False)
    with joblib.parallel_config("dask"):
        shared = skemo.compare([network], CountedTable(X), y, subjects, together=False)
    assert CountedTable.n_pickles == 1
    pd.testing.assert_frame_equal(shared.predictions, alone.predictions)


def test_a_search_is_the_same_and_sends_its_table_once():
    X, y, subjects = make_counted()
    grid = {"C": [0.01, 0.1, 1.0]}
    search = GridSearchCV(LogisticRegression(), grid, cv=LeaveOneGroupOut(), refit=False)
    alone = search.fit(X, y, groups=subjects).cv_results_["mean_test_score"]
    with joblib.parallel_config("dask"):
        shared = search.fit(X, y, groups=subjects).cv_results_["mean_test_score"]
    assert CountedTable.n_pickles == 1
    np.testing.assert_array_equal(shared, alone)


def test_a_fit_of_a_comparison_stays_in_its_worker():
    class Forest(LogisticRegression):
        def fit(self, X, y):
            trees = joblib.Parallel()(joblib.delayed(os.getpid)() for _ in range(4))
            if set(trees) != {os.getpid()}:
                raise RuntimeError("The trees were sent to other workers.")
            return super().fit(X, y)

    with joblib.parallel_config("dask"):
        result = skemo.compare([Forest()], *make_features(), on_error="raise")
    assert result.n_fits == 6


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


def test_features_of_recordings_are_computed_where_they_are_read(recordings, tmp_path):
    bag = pytest.importorskip("dask.bag")
    eda = skemo.make_modality_transformer(eda=skemo.EDATransformer())
    for subject in {recording.subject for recording in recordings}:
        own = [recording for recording in recordings if recording.subject == subject]
        joblib.dump(own, tmp_path / f"{subject}.joblib")

    def read_features(path):
        windows = skemo.segment(joblib.load(path), duration=20.0)
        features = eda.fit_transform(windows)
        return pd.concat([windows[["subject", "label"]], features], axis=1), os.getpid()

    paths = sorted(tmp_path.iterdir())
    tables, processes = zip(
        *bag.from_sequence(paths, partition_size=1).map(read_features).compute(), strict=True
    )
    assert os.getpid() not in processes
    for path, table in zip(paths, tables, strict=True):
        pd.testing.assert_frame_equal(table, read_features(path)[0])


def test_windows_in_a_parquet_file_become_features_on_the_workers(recordings, tmp_path):
    dataframe = pytest.importorskip("dask.dataframe")
    eda = skemo.make_modality_transformer(eda=skemo.EDATransformer())
    path = tmp_path / "windows.parquet"
    windows = skemo.segment(recordings, duration=20.0, to=path)

    def compute_features(part):
        features = eda.fit_transform(part)
        return pd.concat([part[["start"]], features], axis=1).assign(process=os.getpid())

    partitions = dataframe.read_parquet(path, split_row_groups=True)
    assert partitions.npartitions == len(recordings)
    assert partitions["eda"].dtype == windows["eda"].dtype
    example = compute_features(windows.iloc[:1])
    table = partitions.map_partitions(compute_features, meta=example).compute()
    assert os.getpid() not in set(table["process"])
    found, expected = (x.drop(columns="process") for x in (table, compute_features(windows)))
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected)
