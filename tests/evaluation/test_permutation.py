"""Labels permuted within subjects."""

import numpy as np
import pandas as pd
import pytest

from skemo.evaluation.controls import permute_within


def test_a_subject_keeps_its_labels_in_another_order():
    rng = np.random.default_rng(0)
    subjects = rng.permutation(np.repeat(["a", "b", "c"], [10, 25, 40]))
    labels = np.char.add(subjects, rng.integers(3, size=75).astype(str))
    permuted = permute_within(labels, subjects, random_state=1)
    assert (permuted != labels).mean() > 0.4
    for subject in "abc":
        own = subjects == subject
        np.testing.assert_array_equal(np.sort(permuted[own]), np.sort(labels[own]))
    np.testing.assert_array_equal(permuted, permute_within(labels, subjects, random_state=1))
    assert (permuted != permute_within(labels, subjects, random_state=2)).any()
    windows = pd.DataFrame({"subject": subjects})
    np.testing.assert_array_equal(permuted, permute_within(labels, windows, random_state=1))


def test_whole_trials_exchange_their_labels():
    subjects, trials = np.repeat([1, 2], 12), np.tile(np.repeat([0, 1, 2, 3], [2, 3, 3, 4]), 2)
    labels = np.where(trials % 2, "stress", "rest")
    permuted = permute_within(labels, subjects, blocks=trials, random_state=3)
    table = pd.DataFrame({"subject": subjects, "trial": trials, "label": permuted})
    of_trials = table.groupby(["subject", "trial"])["label"].agg(["nunique", "first"])
    assert (of_trials["nunique"] == 1).all()
    assert (of_trials["first"].groupby("subject").agg(lambda own: (own == "rest").sum()) == 2).all()


def test_every_order_of_trials_comes_equally_often():
    random = np.random.RandomState(0)
    labels, trials = np.array(["a", "a", "b"]), [0, 0, 1]
    exchanged = [
        permute_within(labels, ["s"] * 3, blocks=trials, random_state=random)[0] == "b"
        for _ in range(500)
    ]
    assert np.mean(exchanged) == pytest.approx(0.5, abs=0.07)


def test_blocks_of_several_labels_are_an_error():
    with pytest.raises(ValueError, match="Block 7 of subject s has windows of several labels"):
        permute_within(["a", "b"], ["s", "s"], blocks=[7, 7])
    with pytest.raises(ValueError, match=r"labels of shape \(2,\) need one group per window"):
        permute_within(["a", "b"], ["s"])


def least_squares(X, y, X_test):
    """Linear discriminant, by least squares."""
    X, X_test = np.c_[X, np.ones(len(X))], np.c_[X_test, np.ones(len(X_test))]
    return X_test @ np.linalg.solve(X.T @ X + 1e-6 * np.eye(X.shape[1]), X.T @ y)


def test_permuted_labels_fall_to_chance():
    rng = np.random.default_rng(0)
    subjects, y = np.repeat(np.arange(8), 20), np.tile([-1.0, 1.0], 80)
    X = rng.normal(size=(160, 4)) + y[:, np.newaxis]

    def accuracy(y):
        folds = (subjects == subject for subject in range(8))
        return np.mean([least_squares(X[~f], y[~f], X[f]) * y[f] > 0 for f in folds])

    permuted = [accuracy(permute_within(y, subjects, random_state=seed)) for seed in range(40)]
    assert accuracy(y) > 0.9
    assert np.mean(permuted) == pytest.approx(0.5, abs=0.03)


def test_windows_of_nobody_are_refused():
    with pytest.raises(ValueError, match="missing"):
        permute_within(["a", "b"], pd.Series(["s1", None]))
