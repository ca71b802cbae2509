"""Controls of a comparison: majority class, mean, and labels permuted within subjects."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo.evaluation.targets import code_rows
from skemo.signals.groups import trial_codes

# The names of the controls without input, and the suffix that the other adds to each model's name.
MAJORITY, MEAN = "majority class", "mean of training"
GUESSES = (MAJORITY, MEAN)
PERMUTED = ", labels permuted"


def labels_vary(groups: pd.DataFrame, y: NDArray) -> bool:
    """Whether labels vary within any trial; True if trials are not known."""
    if "trial" not in groups:
        return True
    return bool((pd.Series(code_rows(y)).groupby(trial_codes(groups)).nunique() > 1).any())


def permute_labels(
    y: NDArray,
    groups: pd.DataFrame,
    random_state: int | np.random.RandomState | None,
    are_classes: bool = True,
) -> NDArray:
    """Permute labels within each subject, by trials if there are enough to exchange.

    The targets of a window stay together. There are enough trials if each subject has several of
    each class or, for numbers and several targets, at least four.
    """
    subjects, labels = groups["subject"].to_numpy(), code_rows(y)
    if pd.Series(labels).groupby(subjects).nunique().max() < 2:
        raise ValueError(
            'controls="permuted" permutes labels within each subject, but here every subject has '
            "one label: leave it out, or permute whole subjects yourself."
        )
    blocks = None
    if not labels_vary(groups, y):
        trials = pd.DataFrame({"subject": subjects, "label": labels, "trial": trial_codes(groups)})
        trials = trials.drop_duplicates("trial")
        # With one trial per label, the exchange would be all or nothing.
        one_class = are_classes and y.ndim == 1
        counts = trials.groupby(["subject", "label"] if one_class else "subject").size()
        if counts.min() > (1 if one_class else 3):
            blocks = groups["trial"]
    random = _as_generator(random_state)
    permuted = labels
    while (permuted == labels).all():  # with few trials, a permutation may change nothing
        permuted = permute_within(labels, subjects, blocks=blocks, random_state=random)
    if y.ndim == 1:
        return permuted
    _, first = np.unique(labels, return_index=True)
    return y[first[permuted]]


def _as_generator(
    random_state: int | np.random.RandomState | np.random.Generator | None,
) -> np.random.RandomState | np.random.Generator:
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.default_rng(random_state)


def permute_within(
    labels: ArrayLike,
    groups: pd.DataFrame | ArrayLike,
    *,
    blocks: ArrayLike | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
) -> NDArray:
    """Permute labels within each subject, for the permutation control.

    Models that are trained and tested on permuted labels must score at chance. A score above
    chance comes from the evaluation itself.

    Parameters
    ----------
    labels : array-like of shape (n_windows,)
        Labels.
    groups : array-like of shape (n_windows,) or DataFrame with a column `subject`
        The subject of each window. The label counts of each subject stay the same.
    blocks : array-like of shape (n_windows,) or None, default=None
        The trial of each window; equal names in different subjects are different trials. Whole
        trials exchange their labels, and the number of trials per label and subject stays the
        same. None permutes windows.
    random_state : int, RandomState, Generator or None, default=0
        Seed of the permutation.

    Returns
    -------
    ndarray of shape (n_windows,)
        The permuted labels.

    Raises
    ------
    ValueError
        Lengths differ, values are missing, or a block has windows of several labels.

    Notes
    -----
    Permuting windows removes any relation between signal and label. But recorded labels come in
    runs, and signals drift, so windows of one trial resemble each other whatever the label.
    Permuting windows breaks up the runs, and the scores then spread less around chance than those
    of a model that only tells trials apart. `blocks` keeps the runs and is the stricter control.
    It needs several trials per subject: with two, one of each label, it exchanges them in half of
    the subjects.

    Examples
    --------
    >>> from skemo.evaluation.controls import permute_within
    >>> trials = [1, 1, 2, 2, 1, 1, 2, 2]
    >>> permute_within(list("aabbaabb"), [1] * 4 + [2] * 4, blocks=trials, random_state=5)
    array(['b', 'b', 'a', 'a', 'b', 'b', 'a', 'a'], dtype='<U1')
    """
    labels = np.asarray(labels)
    groups = np.asarray(groups["subject"] if isinstance(groups, pd.DataFrame) else groups)
    keys = [groups] if blocks is None else [groups, np.asarray(blocks)]
    if any(key.shape != labels.shape for key in keys):
        shapes = ", ".join(str(key.shape) for key in keys)
        raise ValueError(f"labels of shape {labels.shape} need one group per window, got {shapes}.")
    if any(pd.isna(key).any() for key in keys):
        raise ValueError("groups or blocks are missing (NaN) in some rows: drop these rows.")
    random = _as_generator(random_state)
    units = np.arange(len(labels))
    if blocks is not None:
        subject, block = (pd.factorize(key)[0] for key in keys)
        units = pd.factorize(subject * (block.max(initial=0) + 1) + block)[0]
    _, first = np.unique(units, return_index=True)
    mixed = labels != labels[first][units]
    if mixed.any():
        subject, block = groups[mixed][0], keys[-1][mixed][0]
        raise ValueError(
            f"Block {block} of subject {subject} has windows of several labels: give blocks of "
            "one label each, or blocks=None to permute windows."
        )
    of_units, subjects = labels[first], groups[first]
    for subject in pd.unique(subjects):
        own = subjects == subject
        of_units[own] = random.permutation(of_units[own])
    return of_units[units]
