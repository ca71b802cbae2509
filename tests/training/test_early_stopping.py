"""Early stopping, which holds back the windows of whole subjects."""

import numpy as np
import pytest
from networks import windows

from skemo.training.early_stopping import hold_back


def test_early_stopping_keeps_groups_apart_and_the_best_weights(network):
    X, y, subjects = windows(n_windows=120)
    classifier = network(early_stopping=True, max_epochs=60, patience=3, validation_fraction=0.3)
    classifier.fit(X, y, groups=subjects)
    losses = classifier.net_.history[:, "valid_loss"]
    assert len(losses) < 60
    assert len(losses) - 1 - np.argmin(losses) == 3


def of_each_class(y):
    return y == np.unique(y)[:, np.newaxis]


@pytest.mark.parametrize("seed", range(10))
def test_held_back_groups_leave_every_class_in_training(seed):
    groups = np.repeat(np.arange(8), 10)
    y = np.where(groups == 0, "a", np.where(groups == 1, "b", "c"))
    y[::5] = "d"
    held = hold_back(of_each_class(y), groups, np.ones(80), 0.25, seed)
    assert not set(groups[held]) & set(groups[~held])
    assert set(y[~held]) == set(y)
    assert 0 < held.mean() < 0.5


def test_held_back_groups_are_close_to_the_fraction_even_if_one_is_large():
    groups = np.repeat(np.arange(10), [50, *[6] * 9])
    held = hold_back(of_each_class(np.arange(104) % 2), groups, np.ones(104), 0.3, 0)
    assert 0.15 < held.mean() < 0.5


def test_classes_that_each_have_one_group_cannot_be_held_back():
    y = np.repeat(["a", "b"], 10)
    with pytest.raises(ValueError, match="every class and every target in training"):
        hold_back(of_each_class(y), y, np.ones(20), 0.5, 0)


def test_a_weight_of_two_is_a_window_given_twice_in_early_stopping_too(network):
    X, y, subjects = windows()
    weight = np.random.default_rng(0).integers(1, 3, len(y))
    model = network(early_stopping=True, validation_fraction=0.3)
    weighted = model.fit(X, y, sample_weight=weight, groups=subjects).predict_proba(X)
    rows = np.random.default_rng(1).permutation(np.repeat(np.arange(len(y)), weight))
    repeated = model.fit(X.iloc[rows], y[rows], groups=subjects[rows]).predict_proba(X)
    np.testing.assert_array_equal(weighted, repeated)


def test_early_stopping_without_groups_warns(network):
    X, y, _ = windows()
    with pytest.warns(UserWarning, match="windows of the same subject are on both sides"):
        network(early_stopping=True).fit(X, y)


def test_early_stopping_with_one_group_names_the_remedy(network):
    X, y, _ = windows()
    with pytest.raises(
        ValueError, match=r"at least two groups, .* got 1: use early_stopping=False"
    ):
        network(early_stopping=True).fit(X, y, groups=np.zeros(60))


def test_partial_fit_continues_after_early_stopping(network):
    X, y, subjects = windows()
    classifier = network(early_stopping=True, validation_fraction=0.3).fit(X, y, groups=subjects)
    n_epochs = len(classifier.net_.history)
    assert len(classifier.partial_fit(X, y).net_.history) == n_epochs + 1
