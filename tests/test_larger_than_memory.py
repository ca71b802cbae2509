"""Windows whose signals stay in a file, in transformers, splits, scores and comparisons."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, LeaveOneGroupOut, cross_val_score
from sklearn.preprocessing import FunctionTransformer

from skemo import (
    ArrayTransformer,
    ContextTransformer,
    DifferentialEntropyTransformer,
    EDATransformer,
    PerSubject,
    QualityTransformer,
    check_split,
    compare,
    corrupt,
    make_lda,
    make_modality_transformer,
    precompute,
    read_windows,
    segment,
    write_windows,
)
from skemo.datasets import make_emotion_recordings
from skemo.signals import stored
from skemo.signals.stored import StoredSignalArray

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def in_memory():
    recordings = make_emotion_recordings(n_subjects=4, n_trials=4, duration=30.0, random_state=0)
    windows = segment(recordings, 10.0)
    windows.loc[[3, 20], "eeg"] = np.nan
    return windows


@pytest.fixture
def in_file(in_memory, tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "_GROUP_BYTES", 1 << 18)
    write_windows(in_memory, tmp_path / "windows.parquet")
    return read_windows(tmp_path / "windows.parquet")


TRANSFORMERS = {
    "modalities": make_modality_transformer(
        eeg=DifferentialEntropyTransformer(output="map"),
        eeg_quality=QualityTransformer("series", signal="eeg"),
        eda=EDATransformer("series"),
        subject="passthrough",
    ),
    "arrays": make_modality_transformer(
        eeg=ArrayTransformer(FunctionTransformer(lambda x: x.std(axis=2))),
    ),
    "context": ContextTransformer(30),
    "per subject": PerSubject(),
}
COLUMNS = {
    "modalities": ["eeg", "eda", "subject"],
    "arrays": ["eeg"],
    "context": ["eeg", "subject", "trial", "start"],
    "per subject": ["eeg", "subject"],
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformer_gives_the_same_bits(name, in_file, in_memory):
    found, expected = (
        TRANSFORMERS[name].fit_transform(table[COLUMNS[name]]) for table in (in_file, in_memory)
    )
    pd.testing.assert_frame_equal(pd.DataFrame(found), pd.DataFrame(expected), check_exact=True)


def test_signals_that_pass_through_stay_in_the_file(in_file):
    model = make_modality_transformer(eeg="passthrough", eda="passthrough")
    passed = model.fit_transform(in_file)
    assert isinstance(passed["eda"].array, StoredSignalArray)


def test_a_fitted_model_takes_windows_without_a_sensor(in_file, in_memory):
    model = make_modality_transformer(
        eeg=DifferentialEntropyTransformer(), eda=EDATransformer(min_quality=None)
    )
    model.fit(in_file)
    pd.testing.assert_frame_equal(
        model.transform(in_file[["eeg"]]), model.transform(in_memory[["eeg"]]), check_exact=True
    )


@pytest.mark.parametrize("kind", ["stale", "dropout", "noise"])
def test_corrupted_windows_are_the_same(kind, in_file, in_memory):
    found, expected = (
        corrupt(table, kind, 0.5, random_state=0, modalities=["eeg"], reliability=True)
        for table in (in_file, in_memory)
    )
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert isinstance(found["eda"].array, StoredSignalArray)


def test_a_check_of_a_split_gives_the_same_findings(in_file, in_memory):
    found, expected = (
        check_split(table[["eeg"]], table[["subject", "trial"]], KFold(3))
        for table in (in_file, in_memory)
    )
    assert len(expected)
    pd.testing.assert_frame_equal(found, expected)


def test_scores_are_the_same(in_file, in_memory):
    model = make_lda(DifferentialEntropyTransformer())
    scores = [
        cross_val_score(
            model, table[["eeg"]], table["label"], groups=table["subject"], cv=LeaveOneGroupOut()
        )
        for table in (in_file, in_memory)
    ]
    np.testing.assert_array_equal(*scores)
    table, _ = precompute(model, in_file[["eeg"]])
    expected, _ = precompute(model, in_memory[["eeg"]])
    np.testing.assert_array_equal(table, expected)


def test_fits_are_found_again_wherever_the_windows_are(in_file, in_memory, tmp_path):
    models = {"eda": make_lda(make_modality_transformer(eda=EDATransformer()))}
    write_windows(in_file, tmp_path / "other.parquet")
    for windows in (in_file, in_memory, read_windows(tmp_path / "other.parquet")):
        compare(models, windows, y="label", groups="subject", output=tmp_path / "out")
        assert len(list((tmp_path / "out" / "fits").iterdir())) == 4


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_comparison_is_the_same(n_jobs, in_file, in_memory, tmp_path):
    models = {
        "eeg": make_lda(make_modality_transformer(eeg=DifferentialEntropyTransformer())),
        "eda": make_lda(make_modality_transformer(eda=EDATransformer())),
    }
    found, expected = (
        compare(models, table, y="label", groups="subject", n_jobs=n_jobs, output=tmp_path / "out")
        for table in (in_file, in_memory)
    )
    pd.testing.assert_frame_equal(found.table(), expected.table(), check_exact=True)
