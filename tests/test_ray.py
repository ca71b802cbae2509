"""Comparisons, searches, reading and features on Ray, with two local processes."""

import os

import joblib
import numpy as np
import pandas as pd
import pytest
from joblib.pool import PicklingPool
from networks import windows as make_windows
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut

import skemo
from skemo.datasets import make_emotion_recordings
from skemo.datasets.base import read_subjects

ray = pytest.importorskip("ray", reason="needs ray[data]")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Start Ray with two CPUs and register its joblib backend."""
    from ray.util.joblib import register_ray

    bases = PicklingPool.__bases__
    settings = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    with ray.init(num_cpus=2, object_store_memory=100 * 2**20, **settings):
        register_ray()
        yield
    PicklingPool.__bases__ = bases  # Ray's backend replaces them, even for "multiprocessing"


def make_network():
    return skemo.CrossModalAttentionClassifier(n_filters=2, max_epochs=1, random_state=0)


def test_a_comparison_of_networks_is_the_same_on_ray():
    X, y, subjects = make_windows(n_subjects=3)
    alone = skemo.compare([make_network()], X, y, subjects, together=False)
    with joblib.parallel_config("ray", n_jobs=2):
        shared = skemo.compare([make_network()], X, y, subjects, together=False)
    pd.testing.assert_frame_equal(shared.predictions, alone.predictions)
    pd.testing.assert_frame_equal(shared.table(), alone.table())


def test_a_search_is_the_same_on_ray():
    X, y, subjects = make_windows(n_subjects=3)
    grid = {"n_filters": [2, 3]}
    search = GridSearchCV(make_network(), grid, cv=LeaveOneGroupOut(), refit=False)
    alone = search.fit(X, y, groups=subjects).cv_results_["mean_test_score"]
    with joblib.parallel_config("ray", n_jobs=2):
        shared = search.fit(X, y, groups=subjects).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(shared, alone)


def test_subjects_are_read_by_the_workers_in_order():
    def read(subject):
        return [(subject, os.getpid())]

    with joblib.parallel_config("ray", n_jobs=2):
        recordings = read_subjects(read, list("abcd"), "raise")
    assert [subject for subject, _ in recordings] == list("abcd")
    assert os.getpid() not in {process for _, process in recordings}


@pytest.mark.filterwarnings("ignore:`use_.+` is deprecated:DeprecationWarning")  # Ray's own
def test_windows_in_a_parquet_file_become_features_on_the_workers(tmp_path, monkeypatch):
    data = pytest.importorskip("ray.data", reason="needs ray[data]")
    parquet = pytest.importorskip("pyarrow.parquet")
    context = data.DataContext.get_current()
    monkeypatch.setattr(context, "enable_progress_bars", False)
    monkeypatch.setattr(context, "target_max_block_size", 5_000)  # of 15 kB
    monkeypatch.setattr(context.execution_options, "preserve_order", True)
    recordings = make_emotion_recordings(4, 2, modalities=("eda",), random_state=0)
    path = tmp_path / "windows.parquet"
    windows = skemo.segment(recordings, duration=20.0, to=path)
    eda = skemo.make_modality_transformer(eda=skemo.EDATransformer())
    schema = parquet.read_schema(path)

    def compute_features(block):
        part = block.replace_schema_metadata(schema.metadata).to_pandas()
        features = pd.concat([part[["subject", "start"]], eda.fit_transform(part)], axis=1)
        return features.assign(n_windows=len(part), process=os.getpid())

    blocks = data.read_parquet(str(path))
    options = {"batch_format": "pyarrow", "batch_size": None}
    table = blocks.map_batches(compute_features, **options).to_pandas()
    assert os.getpid() not in set(table.pop("process"))
    assert max(table.pop("n_windows")) < len(windows)
    expected = pd.concat([windows[["subject", "start"]], eda.fit_transform(windows)], axis=1)
    pd.testing.assert_frame_equal(table.astype(expected.dtypes), expected)
