"""Training sets in scratch files: networks trained on windows in a file."""

import errno
import gc
import tempfile
from pathlib import Path

import numpy as np
import pytest
from networks import Averages

from skemo import (
    CrossModalAttentionClassifier,
    FusionRegressor,
    ModalityAwareAttentionClassifier,
    ModalityAwareAttentionRegressor,
    SignalArray,
    fit_many,
    read_windows,
    signal_frame,
    write_windows,
)
from skemo.training import scratch
from skemo.training.batches import merge_rows, row_blocks
from skemo.training.scratch import ScratchArray

pytest.importorskip("pyarrow")
N = 90


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Put training sets from files into scratch files, in a folder for each test."""
    monkeypatch.setattr(scratch, "_LARGEST_IN_MEMORY", 0)
    monkeypatch.setattr(scratch, "_MOST_MAPPED", 1 << 20)
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def pair(tmp_path):
    """Return the same windows in memory and in a file, with labels and subjects."""
    rng = np.random.default_rng(0)
    eeg = rng.normal(size=(N, 3, 16)).astype(np.float32)
    eeg[4] = np.nan
    ecg = rng.normal(size=(N, 1, 40))
    ecg[:, :, 35:] = 0
    eeg[7], ecg[7] = eeg[9], ecg[9]
    whole = signal_frame(eeg=SignalArray(eeg, sampling_rate=16), ecg=SignalArray(ecg))
    parts = [whole.iloc[start : start + 32] for start in range(0, N, 32)]
    write_windows(parts, tmp_path / "windows.parquet")
    return whole, read_windows(tmp_path / "windows.parquet")


def targets():
    rng = np.random.default_rng(1)
    y = rng.choice(["calm", "stress"], N)
    y[7] = y[9]
    return y, rng.normal(size=(N, 2)), np.arange(N) % 6


def weights(network):
    return {name: x.numpy() for name, x in network.net_.module_.state_dict().items()}


def assert_same(one, other, X):
    for name, values in weights(one).items():
        np.testing.assert_array_equal(values, weights(other)[name], name)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    np.testing.assert_array_equal(
        one.net_.history[:, "train_loss"], other.net_.history[:, "train_loss"]
    )


KINDS = {
    "modality-aware": ModalityAwareAttentionClassifier(),
    "cross-modal": CrossModalAttentionClassifier(pool_size=2, kernel_size=3, n_members=2),
    "early stopping": ModalityAwareAttentionClassifier(early_stopping=True, patience=1),
    "mixup": ModalityAwareAttentionClassifier(mixup=0.3),
    "numbers": ModalityAwareAttentionRegressor(early_stopping=True, n_members=2),
    "own module": FusionRegressor(Averages),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_from_a_file_equals_the_fit_in_memory(pair, kind):
    labels, numbers, subjects = targets()
    y = labels if hasattr(KINDS[kind], "predict_proba") else numbers
    network = KINDS[kind].set_params(max_epochs=2, batch_size=16, random_state=0)
    sample_weight = np.arange(N) % 3
    fits = [
        network.__class__(**network.get_params()).fit(X, y, sample_weight, groups=subjects)
        for X in pair
    ]
    assert_same(*fits, pair[0])
    for method in ("predict", "transform"):
        results = [getattr(fits[0], method)(X) for X in pair]
        np.testing.assert_array_equal(*results)


def test_a_fit_from_shuffled_rows_of_a_file_equals_the_fit_in_memory(pair):
    rows = np.random.default_rng(2).permutation(N)[:50]
    y = targets()[0][rows]
    network = ModalityAwareAttentionClassifier(max_epochs=1, random_state=0)
    whole, stored = (X.iloc[rows] for X in pair)
    one, other = (type(network)(**network.get_params()).fit(X, y) for X in (whole, stored))
    assert_same(one, other, whole)
    np.testing.assert_array_equal(one.predict_proba(whole), other.predict_proba(stored))
    assert one.attention_weights(whole).equals(other.attention_weights(stored))


def test_partial_fit_from_a_file_equals_partial_fit_in_memory(pair):
    y, _, _ = targets()
    one, other = (
        ModalityAwareAttentionClassifier(random_state=0)
        .partial_fit(X, y, classes=["calm", "stress"])
        .partial_fit(X.iloc[20:], y[20:])
        for X in pair
    )
    assert_same(one, other, pair[0])


def test_fits_from_a_file_are_trained_one_by_one(pair):
    whole, stored = pair
    y, _, _ = targets()
    network = ModalityAwareAttentionClassifier(max_epochs=1, random_state=0)
    alone = network.fit(whole, y)
    for other in fit_many([network] * 2, [stored] * 2, [y] * 2, together=True):
        assert_same(alone, other, whole)


def leftovers(folder):
    """Return the files in a folder, and those that this process still maps."""
    gc.collect()
    maps = Path("/proc/self/maps")
    mapped = maps.read_text().splitlines() if maps.exists() else []
    return [*folder.iterdir(), *(line for line in mapped if str(folder) in line)]


def test_nothing_is_left_in_the_folder_for_temporary_files(pair, folder):
    _, stored = pair
    y, _, _ = targets()
    ModalityAwareAttentionClassifier(max_epochs=1).fit(stored, y)
    assert leftovers(folder) == []


def test_nothing_is_left_after_an_error(pair, folder):
    _, stored = pair
    y, _, _ = targets()
    with pytest.raises(ValueError, match="lower lr"):
        ModalityAwareAttentionClassifier(max_epochs=3, lr=1e30).fit(stored, y)
    assert leftovers(folder) == []


def test_a_scratch_array_holds_what_was_written():
    values = np.random.default_rng(0).normal(size=(50, 2, 7))
    array = ScratchArray(values.shape, np.float64)
    order = np.random.default_rng(1).permutation(50)
    array[order[:20]] = values[order[:20]]
    array[order[20:]] = values[order[20:]]
    assert (array.shape, array.ndim, len(array)) == (values.shape, 3, 50)
    np.testing.assert_array_equal(array[:], values)
    np.testing.assert_array_equal(array[order], values[order])
    part = array.part(10, 30)
    part[0:2] = np.zeros((2, 2, 7))
    assert (array[10:12] == 0).all()
    np.testing.assert_array_equal(part[2:], values[12:30])


def test_the_error_about_a_full_disk_says_what_to_do():
    with pytest.raises(OSError, match=r"needs .* GB for temporary files in .* TMPDIR") as raised:
        ScratchArray((1 << 46,), np.float32)
    assert raised.value.errno in (errno.ENOSPC, errno.EFBIG)


@pytest.mark.parametrize("n_rows", [7, 32, 1000])
def test_blocks_of_rows_have_the_same_size_for_all_signals(pair, n_rows):
    whole, stored = pair
    rows = np.random.default_rng(3).permutation(N)
    for order in (np.arange(N), rows):
        signals = {name: column.array for name, column in stored.iloc[order].items()}
        for part, values in row_blocks(signals, n_rows):
            assert part.stop - part.start == min(n_rows, N - part.start)
            for name in whole:
                expected = whole[name].array.values[order[part]]
                np.testing.assert_array_equal(values[name], expected)


def test_identical_rows_are_merged_in_memory_and_in_a_file(pair):
    y, _, subjects = targets()
    for X in pair:
        signals = {name: column.array for name, column in X.items()}
        rows, weight = merge_rows(signals, [y], np.ones(N))
        assert sorted(rows) == [row for row in range(N) if row != 9]
        assert weight[rows == 7] == 2
        apart, _ = merge_rows(signals, [y, subjects], np.ones(N))
        assert len(apart) == N
