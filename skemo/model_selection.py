"""Evaluation protocols by name, and what each of them answers."""

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold


class Protocol(NamedTuple):
    """What a protocol does, and whether it lets a subject be in training and test at once."""

    description: str
    optimistic: bool


PROTOCOLS = {
    "leave-one-subject-out": Protocol(
        "each subject is tested by a model trained on all the others", optimistic=False
    ),
    "group-k-fold": Protocol(
        "subjects are dealt into k folds of similar class counts; "
        "a fold is tested by a model trained on the others",
        optimistic=False,
    ),
    "segment-k-fold": Protocol(
        "windows are dealt into k folds, whoever they come from; the model has seen "
        "the tested subjects, and neighbouring windows of theirs",
        optimistic=True,
    ),
}


def protocol_splitter(name, n_splits=10, random_state=0):
    """Return scikit-learn's splitter for a named protocol.

    ========================= ================================ ==========================
    name                      splitter                         tests on
    ========================= ================================ ==========================
    ``leave-one-subject-out`` ``LeaveOneGroupOut``             a subject never seen
    ``group-k-fold``          ``StratifiedGroupKFold``         subjects never seen
    ``segment-k-fold``        ``StratifiedKFold``              windows of known subjects
    ========================= ================================ ==========================

    The last one is what many papers report. It is optimistic: windows of one recording
    resemble each other, so that recognising the person passes for recognising the state.

    Parameters
    ----------
    name : {"leave-one-subject-out", "group-k-fold", "segment-k-fold"}
        The protocol.
    n_splits : int, default=10
        Number of folds; without meaning for ``leave-one-subject-out``.
    random_state : int, RandomState or None, default=0
        Seed of the shuffle; without meaning for ``leave-one-subject-out``.

    Returns
    -------
    splitter
        For ``cross_validate(..., cv=splitter, groups=subjects)``; without `groups` for
        ``segment-k-fold``.

    Examples
    --------
    >>> from skemo.model_selection import protocol_splitter
    >>> protocol_splitter("leave-one-subject-out")
    LeaveOneGroupOut()
    """
    if name == "leave-one-subject-out":
        return LeaveOneGroupOut()
    if name == "group-k-fold":
        return StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    if name == "segment-k-fold":
        return StratifiedKFold(n_splits, shuffle=True, random_state=random_state)
    raise ValueError(f"Unknown protocol {name!r}; there are {', '.join(map(repr, PROTOCOLS))}.")


def protocol_folds(name, y, groups, n_splits=10, random_state=0):
    """Split the rows by a named protocol, and check that it can be done.

    Parameters
    ----------
    name : {"leave-one-subject-out", "group-k-fold", "segment-k-fold"}
        The protocol, as for `protocol_splitter`.
    y : array-like of shape (n_windows,)
        Labels.
    groups : array-like of shape (n_windows,)
        Subjects.
    n_splits : int, default=10
        Number of folds.
    random_state : int, RandomState or None, default=0
        Seed of the shuffle.

    Returns
    -------
    list of (train, test)
        Positions of the rows. No subject is on both sides of a fold, except in
        ``segment-k-fold``.

    Raises
    ------
    ValueError
        Too few subjects, or too few windows of a class, for the folds.

    Examples
    --------
    >>> from skemo.model_selection import protocol_folds
    >>> folds = protocol_folds("leave-one-subject-out", [0, 1, 0, 1], ["a", "a", "b", "b"])
    >>> [test.tolist() for train, test in folds]
    [[0, 1], [2, 3]]
    """
    splitter = protocol_splitter(name, n_splits, random_state)
    y, groups = np.asarray(y), np.asarray(groups)
    if len(y) == 0:
        raise ValueError("There are no windows to split.")
    n_subjects = len(np.unique(groups))
    if name == "leave-one-subject-out" and n_subjects < 2:
        raise ValueError(f"{name!r} needs at least 2 subjects, got {n_subjects}.")
    if name == "group-k-fold" and n_subjects < n_splits:
        raise ValueError(
            f"{name!r} with n_splits={n_splits} needs as many subjects, got {n_subjects}: take "
            f"n_splits={n_subjects} or fewer."
        )
    classes, counts = np.unique(y, return_counts=True)
    if name != "leave-one-subject-out" and counts.min() < n_splits:
        raise ValueError(
            f"{name!r} with n_splits={n_splits} needs as many windows of each class, but "
            f"{classes[counts.argmin()]} has {counts.min()}."
        )
    optimistic = PROTOCOLS[name].optimistic
    folds = list(splitter.split(np.zeros((len(y), 1)), y, None if optimistic else groups))
    if any(len(test) == 0 for _, test in folds):
        raise ValueError(
            f"{name!r} with n_splits={n_splits} leaves a fold without subjects: take fewer folds."
        )
    for train, test in folds:
        shared = np.intersect1d(groups[train], groups[test])
        assert optimistic or len(shared) == 0, f"subjects {shared} are in train and test"
    return folds
