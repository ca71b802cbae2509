"""Early stopping: which windows to hold back, and when to end training."""

import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit

_N_SPLITS = 50  # random splits that `hold_back` chooses from
_THRESHOLD = 1e-4  # smallest relative improvement that counts, as in skorch


def hold_back(
    strata: NDArray[np.bool_],
    groups: NDArray | None,
    weight: NDArray,
    fraction: float,
    seed: int,
) -> NDArray[np.bool_]:
    """Choose the rows that early stopping validates on, keeping each group on one side.

    Of many random splits by group, this takes the one that holds back closest to `fraction` of
    the weight of each stratum, and that leaves part of every stratum in training.

    Parameters
    ----------
    strata : ndarray of bool of shape (n_strata, n_windows)
        Which windows belong to each stratum, such as a class.
    groups : ndarray of shape (n_windows,), or None
        None draws single windows and warns about it.
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
            "early_stopping without groups validates on randomly drawn windows, so windows of "
            "the same subject are on both sides and training stops too late: pass "
            "fit(..., groups=subjects).",
            UserWarning,
            stacklevel=4,
        )
        groups = np.arange(len(weight))
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise ValueError(
            "early_stopping needs at least two groups, one of them for validation, got "
            f"{n_groups}: use early_stopping=False."
        )
    shares = strata * weight
    shares = shares / shares.sum(axis=1, keepdims=True)
    n_held = min(max(round(fraction * n_groups), 1), n_groups - 1)
    splitter = GroupShuffleSplit(_N_SPLITS, test_size=n_held, random_state=seed)
    smallest, chosen = np.inf, None
    for kept, held in splitter.split(weight, groups=groups):
        deviation = np.abs(shares[:, held].sum(axis=1) - fraction).max()
        if deviation < smallest and (shares[:, kept] > 0).any(axis=1).all():
            smallest, chosen = deviation, held
    if chosen is None:
        raise ValueError(
            "early_stopping found no groups to hold back that would leave every class and every "
            "target in training: use early_stopping=False."
        )
    return np.isin(np.arange(len(weight)), chosen)


class Stopping:
    """Decides when a fit ends: after `max_epochs`, or by the rules of skorch's EarlyStopping.

    Parameters
    ----------
    max_epochs : int
        Number of epochs after which training ends in any case.
    patience : int
        Number of epochs without improvement of the validation loss after which it ends.
    """

    def __init__(self, max_epochs: int, patience: int) -> None:
        self.max_epochs = max_epochs
        self.patience = patience
        self.misses = 0  # epochs since the last improvement
        self._threshold = np.inf
        self._best: dict[str, float] = {}

    def is_best(self, name: str, value: float) -> bool:
        """Whether the value of a column of the history is the best up to now."""
        value = value if name == "valid_acc" else -value
        best = self._best.get(name, -np.inf)
        self._best[name] = max(best, value)
        return bool(value > best)

    def is_last(self, n_epochs: int, record: Mapping[str, float]) -> bool:
        """Whether training ends after the epoch of this record; call it once per epoch."""
        if "valid_loss" in record:
            if record["valid_loss"] < self._threshold:
                self.misses = 0
                self._threshold = record["valid_loss"] * (1 - _THRESHOLD)
            else:
                self.misses += 1
        return n_epochs == self.max_epochs or self.misses == self.patience
