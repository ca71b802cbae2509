"""Evaluation protocols by name, and the question each of them answers."""

from numbers import Integral
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import (
    BaseCrossValidator,
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    StratifiedKFold,
)
from sklearn.utils.validation import check_consistent_length

from skemo.evaluation.splitters import BlockedKFold, LeaveOneTrialOut
from skemo.signals.groups import window_groups

ProtocolName = Literal[
    "leave-one-subject-out",
    "group-k-fold",
    "leave-one-trial-out",
    "blocked-k-fold",
    "segment-k-fold",
]


class Protocol(NamedTuple):
    """A protocol, and what a model knows of the people it is tested on.

    Parameters
    ----------
    description : str
        Which windows are tested, by a model trained on which.
    optimistic : bool
        Whether its scores look better than they are. Many papers report such a split.
    known_subjects : bool
        Whether the tested subjects are in training too, so that the scores say nothing about
        people the model has never seen.
    by_design : tuple of str, default=()
        Kinds of findings of `check_split` that the protocol intends.
    """

    description: str
    optimistic: bool
    known_subjects: bool
    by_design: tuple[str, ...] = ()


PROTOCOLS = {
    "leave-one-subject-out": Protocol(
        "each subject is tested by a model trained on all the others",
        optimistic=False,
        known_subjects=False,
    ),
    "group-k-fold": Protocol(
        "subjects are dealt into k folds of similar class counts; "
        "a fold is tested by a model trained on the others",
        optimistic=False,
        known_subjects=False,
    ),
    "leave-one-trial-out": Protocol(
        "within-subject: each trial is tested by a model trained on the same subject's "
        "other trials alone",
        optimistic=False,
        known_subjects=True,
        by_design=("subject",),
    ),
    "blocked-k-fold": Protocol(
        "within-subject: each trial is cut in time into k blocks; a block of every trial is "
        "tested by a model trained on the others, those of the same trial included, without "
        "windows that overlap the tested ones or lie closer to them than the gap",
        optimistic=False,
        known_subjects=True,
        by_design=("subject", "trial"),
    ),
    "segment-k-fold": Protocol(
        "windows are dealt into k folds, whoever they come from; the model has seen "
        "the tested subjects, and neighbouring windows of theirs",
        optimistic=True,
        known_subjects=True,
    ),
}


def protocol_splitter(
    name: ProtocolName,
    n_splits: int = 10,
    random_state: int | np.random.RandomState | None = 0,
    gap: float = 0.0,
) -> BaseCrossValidator:
    """Return the splitter for a named protocol.

    ========================= ================================ ==========================
    name                      splitter                         tests on
    ========================= ================================ ==========================
    ``leave-one-subject-out`` ``LeaveOneGroupOut``             a subject never seen
    ``group-k-fold``          ``StratifiedGroupKFold``         subjects never seen
    ``leave-one-trial-out``   `LeaveOneTrialOut`               a new trial of a known subject
    ``blocked-k-fold``        `BlockedKFold`                   another time of a known trial
    ``segment-k-fold``        ``StratifiedKFold``              windows of known trials
    ========================= ================================ ==========================

    The last one is what many papers report. It is optimistic: windows of one recording resemble
    each other, so a model that recognises the person seems to recognise the state.

    Parameters
    ----------
    name : {"leave-one-subject-out", "group-k-fold", "leave-one-trial-out", "blocked-k-fold", \
            "segment-k-fold"}
        The protocol.
    n_splits : int, default=10
        Number of folds, for the k-fold protocols.
    random_state : int, RandomState or None, default=0
        Seed of the shuffle of ``group-k-fold`` and ``segment-k-fold``; the others do not shuffle.
    gap : float, default=0.0
        Seconds between training and tested windows. Only for ``blocked-k-fold``.

    Returns
    -------
    splitter
        For ``cross_validate(..., cv=splitter, groups=groups)``. `groups` is an array of
        subjects for the first two, the table of `window_groups` for the within-subject
        ones, and nothing for ``segment-k-fold``. `protocol_folds` takes the table for all.

    Raises
    ------
    ValueError
        The name is unknown, or the protocol does not support a gap.

    Examples
    --------
    >>> from skemo.evaluation.protocols import protocol_splitter
    >>> protocol_splitter("leave-one-subject-out")
    LeaveOneGroupOut()
    >>> protocol_splitter("blocked-k-fold", n_splits=5, gap=10.0)
    BlockedKFold(gap=10.0, n_splits=5)
    """
    if gap and name != "blocked-k-fold" and name in PROTOCOLS:
        raise ValueError(f"{name!r} does not support gap={gap!r}: use 'blocked-k-fold'.")
    if name == "leave-one-subject-out":
        return LeaveOneGroupOut()
    if name == "group-k-fold":
        return StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    if name == "leave-one-trial-out":
        return LeaveOneTrialOut()
    if name == "blocked-k-fold":
        return BlockedKFold(n_splits, gap)
    if name == "segment-k-fold":
        return StratifiedKFold(n_splits, shuffle=True, random_state=random_state)
    raise ValueError(f"Unknown protocol {name!r}; there are {', '.join(map(repr, PROTOCOLS))}.")


def protocol_folds(
    name: ProtocolName,
    y: ArrayLike,
    groups: pd.DataFrame | ArrayLike,
    n_splits: int = 10,
    random_state: int | np.random.RandomState | None = 0,
    gap: float = 0.0,
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Split the rows by a named protocol, and check that the folds can be used.

    Parameters
    ----------
    name : {"leave-one-subject-out", "group-k-fold", "leave-one-trial-out", "blocked-k-fold", \
            "segment-k-fold"}
        The protocol, as for `protocol_splitter`.
    y : array-like of shape (n_windows,)
        Labels.
    groups : array-like of shape (n_windows,), or DataFrame of n_windows rows
        Subjects, or a table as for `window_groups`, which the within-subject protocols need.
    n_splits : int, default=10
        Number of folds, for the k-fold protocols.
    random_state : int, RandomState or None, default=0
        Seed of the shuffle.
    gap : float, default=0.0
        Seconds between training and tested windows. Only for ``blocked-k-fold``.

    Returns
    -------
    list of (train, test)
        Positions of the rows. Each row is tested once. No subject is on both sides of a
        fold, unless the protocol's ``known_subjects`` says so.

    Raises
    ------
    ValueError
        There are too few subjects, trials or windows of a class for the folds, the protocol does
        not support a gap, or the table lacks a column that the protocol needs.

    Examples
    --------
    >>> from skemo.evaluation.protocols import protocol_folds
    >>> folds = protocol_folds("leave-one-subject-out", [0, 1, 0, 1], ["a", "a", "b", "b"])
    >>> [test.tolist() for train, test in folds]
    [[0, 1], [2, 3]]
    """
    if not isinstance(n_splits, Integral) or isinstance(n_splits, bool):
        raise ValueError(f"n_splits must be an integer, got {n_splits!r}.")
    splitter = protocol_splitter(name, n_splits, random_state, gap)
    y = np.asarray(y)
    if len(y) == 0:
        raise ValueError("There are no windows to split.")
    table = window_groups(groups)
    check_consistent_length(y, table)
    subjects = table["subject"].to_numpy()
    n_subjects = table["subject"].nunique()
    try:
        np.unique(subjects)
    except TypeError as error:
        raise ValueError(f"The subjects must all be text, or all numbers: {error}.") from error
    if name == "leave-one-subject-out" and n_subjects < 2:
        raise ValueError(f"{name!r} needs at least 2 subjects, got {n_subjects}.")
    if name == "group-k-fold" and n_subjects < n_splits:
        raise ValueError(
            f"{name!r} with n_splits={n_splits} needs as many subjects, got {n_subjects}: "
            f"use n_splits={n_subjects} or fewer."
        )
    classes, counts = np.unique(y, return_counts=True)
    if name.endswith("k-fold") and counts.min() < n_splits:
        raise ValueError(
            f"{name!r} with n_splits={n_splits} needs as many windows of each class, but "
            f"{classes[counts.argmin()]} has {counts.min()}."
        )
    by = {"segment-k-fold": None, "leave-one-trial-out": table, "blocked-k-fold": table}
    folds = list(splitter.split(np.zeros((len(y), 1)), y, by.get(name, subjects)))
    if any(len(test) == 0 for _, test in folds):
        raise ValueError(
            f"{name!r} with n_splits={n_splits} leaves a fold without subjects: use fewer folds."
        )
    codes = pd.factorize(subjects)[0]
    for train, test in [] if PROTOCOLS[name].known_subjects else folds:
        both = np.bincount(codes[train], minlength=n_subjects) * np.bincount(
            codes[test], minlength=n_subjects
        )
        if both.any():
            raise RuntimeError(f"{pd.unique(subjects)[both > 0]} are in training and test.")
    return folds
