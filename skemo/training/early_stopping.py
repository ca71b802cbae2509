"""Early stopping: which windows are held back, and when training ends."""

import warnings

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

_DRAWS = 50  # splits that `hold_back` chooses from
_THRESHOLD = 1e-4  # relative improvement that early stopping counts, as in skorch


def hold_back(y, groups, weight, fraction, seed):
    """Choose the rows that early stopping validates on, with no group on both sides.

    Of many random draws of groups, take the one that holds back the nearest to `fraction` of
    each class's weight, and leaves every class in training.

    Parameters
    ----------
    y : ndarray of shape (n_windows,)
    groups : ndarray of shape (n_windows,), or None
        None draws single windows, with a warning.
    weight : ndarray of shape (n_windows,)
    fraction : float
    seed : int

    Returns
    -------
    ndarray of bool of shape (n_windows,)
        True for the rows held back.
    """
    if groups is None:
        warnings.warn(
            "early_stopping without groups validates on windows drawn at random, so windows of "
            "one subject stand on both sides and training stops too late: pass "
            "fit(..., groups=subjects).",
            UserWarning,
            stacklevel=4,
        )
        groups = np.arange(len(y))
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise ValueError(
            "early_stopping needs the windows of at least two groups to validate on another one, "
            f"got {n_groups}: use early_stopping=False."
        )
    classes = np.unique(y)
    of_class = (y == classes[:, np.newaxis]) * weight
    of_class = of_class / of_class.sum(axis=1, keepdims=True)
    n_held = min(max(round(fraction * n_groups), 1), n_groups - 1)
    splitter = GroupShuffleSplit(_DRAWS, test_size=n_held, random_state=seed)
    nearest, chosen = np.inf, None
    for kept, held in splitter.split(y, groups=groups):
        distance = np.abs(of_class[:, held].sum(axis=1) - fraction).max()
        if distance < nearest and (of_class[:, kept] > 0).any(axis=1).all():
            nearest, chosen = distance, held
    if chosen is None:
        raise ValueError(
            "early_stopping finds no groups to hold back that leave every class of "
            f"{classes.tolist()} in training: use early_stopping=False."
        )
    return np.isin(np.arange(len(y)), chosen)


class Stopping:
    """When a fit is done: after its last epoch, or as skorch's EarlyStopping has it."""

    def __init__(self, classifier):
        self.max_epochs = classifier.max_epochs
        self.patience = classifier.patience
        self.misses = 0
        self._threshold = np.inf
        self._best = {}

    def is_best(self, name, value):
        """Whether a value of the history is better than all before."""
        value = value if name == "valid_acc" else -value
        best = self._best.get(name, -np.inf)
        self._best[name] = max(best, value)
        return bool(value > best)

    def is_last(self, n_epochs, record):
        if "valid_loss" in record:
            if record["valid_loss"] < self._threshold:
                self.misses = 0
                self._threshold = record["valid_loss"] * (1 - _THRESHOLD)
            else:
                self.misses += 1
        return n_epochs == self.max_epochs or self.misses == self.patience
