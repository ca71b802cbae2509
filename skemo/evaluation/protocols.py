"""Evaluation protocols by name, and the question each of them answers."""

import copy
import inspect
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import (
    BaseCrossValidator,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)
from sklearn.utils.metadata_routing import get_routing_for_object
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
        "subjects are dealt into k folds, of similar class counts if there are classes; "
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
    stratify: bool = True,
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

    For numbers (``stratify=False``), the two stratified splitters are ``GroupKFold`` and ``KFold``.

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
    stratify : bool, default=True
        Whether to spread classes evenly over the folds, for ``group-k-fold`` and
        ``segment-k-fold``.

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
        by_subject = StratifiedGroupKFold if stratify else GroupKFold
        return by_subject(n_splits, shuffle=True, random_state=random_state)
    if name == "leave-one-trial-out":
        return LeaveOneTrialOut()
    if name == "blocked-k-fold":
        return BlockedKFold(n_splits, gap)
    if name == "segment-k-fold":
        by_window = StratifiedKFold if stratify else KFold
        return by_window(n_splits, shuffle=True, random_state=random_state)
    raise ValueError(f"Unknown protocol {name!r}; there are {', '.join(map(repr, PROTOCOLS))}.")


def protocol_folds(
    name: ProtocolName,
    y: ArrayLike | None,
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
    y : array-like of shape (n_windows,), or None
        Labels. None, for numbers or several targets, makes folds from the groups alone.
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
    return list(_protocol_folds(name, y, groups, n_splits, random_state, gap))


def _protocol_folds(name, y, groups, n_splits=10, random_state=0, gap=0.0):
    """Yield the folds of `protocol_folds` one by one, since all of them take much memory."""
    if not isinstance(n_splits, Integral) or isinstance(n_splits, bool):
        raise ValueError(f"n_splits must be an integer, got {n_splits!r}.")
    if isinstance(random_state, Integral) and not 0 <= random_state < 2**32:
        raise ValueError(f"random_state must be at least 0 and below 2**32, got {random_state!r}.")
    splitter = protocol_splitter(name, n_splits, random_state, gap, stratify=y is not None)
    y = None if y is None else np.asarray(y)
    if y is not None and len(y) == 0:
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
    if y is None and name == "segment-k-fold" and len(table) < n_splits:
        raise ValueError(f"{name!r} with n_splits={n_splits} needs as many windows.")
    if y is not None:
        classes, counts = np.unique(y, return_counts=True)
        if name.endswith("k-fold") and counts.min() < n_splits:
            raise ValueError(
                f"{name!r} with n_splits={n_splits} needs as many windows of each class, but "
                f"{classes[counts.argmin()]} has {counts.min()}."
            )
    by = {"segment-k-fold": None, "leave-one-trial-out": table, "blocked-k-fold": table}
    codes = pd.factorize(subjects)[0]
    for train, test in splitter.split(np.zeros((len(table), 1)), y, by.get(name, subjects)):
        if len(test) == 0:
            raise ValueError(
                f"{name!r} with n_splits={n_splits} leaves a fold without subjects: use fewer "
                "folds."
            )
        both = np.bincount(codes[train], minlength=n_subjects) * np.bincount(
            codes[test], minlength=n_subjects
        )
        if both.any() and not PROTOCOLS[name].known_subjects:
            raise RuntimeError(f"{pd.unique(subjects)[both > 0]} are in training and test.")
        yield train, test


def each_fold(
    cv: Any, X: Any, y: ArrayLike | None, groups: pd.DataFrame
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the folds of a protocol, or of anything that `cross_validate` accepts, one by one.

    Parameters
    ----------
    cv : str, splitter, int or iterable of (train, test)
        A name of a protocol, used with its defaults, or as for `split_rows`.
    X, y, groups
        As for `split_rows`.

    Yields
    ------
    train, test : ndarray of int
        Positions of the rows.
    """
    if not isinstance(cv, str):
        yield from _split_rows(cv, X, y, groups)
        return
    if y is None and cv != "leave-one-subject-out":
        raise ValueError(f"The protocol {cv!r} also depends on the labels: pass y.")
    yield from _protocol_folds(cv, np.zeros(len(groups)) if y is None else y, groups)


def split_rows(
    cv: Any, X: Any, y: ArrayLike | None, groups: pd.DataFrame
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return the positions of the training and test rows in each fold, for any kind of `cv`.

    Parameters
    ----------
    cv : splitter, int or iterable of (train, test)
        Anything that `cross_validate` accepts. An iterator is used up.
    X : DataFrame or array of n_windows rows
        For splitters that look at it.
    y : array-like of n_windows rows, or None
        Labels or numbers, for splitters that need them.
    groups : DataFrame
        From `window_groups`. A splitter is given the subjects if it uses groups, and
        `LeaveOneTrialOut` and `BlockedKFold` the whole table.

    Returns
    -------
    list of (train, test)

    Raises
    ------
    ValueError
        There are no folds, or they hold positions outside the rows.
    """
    return list(_split_rows(cv, X, y, groups))


def _split_rows(cv, X, y, groups):
    if isinstance(cv, list | tuple):
        for fold in cv:
            if (
                not hasattr(fold, "__len__")
                or len(fold) != 2
                or any(np.ndim(rows) != 1 for rows in fold)
            ):
                raise ValueError(
                    "cv must be a list of pairs (train, test), each the positions of rows."
                )
    splitter = check_cv(cv, y, classifier=y is not None)
    given: Any = groups["subject"].to_numpy()
    if isinstance(splitter, LeaveOneTrialOut | BlockedKFold):
        given = groups
    elif (
        hasattr(splitter, "get_metadata_routing")
        and not get_routing_for_object(splitter).split.requests
    ):
        given = None  # scikit-learn warns about groups that a splitter does not use
    n_folds, positions = 0, np.arange(len(groups))
    for train, test in splitter.split(X, y, given):
        try:
            fold = positions[train], positions[test]
        except IndexError as error:
            raise ValueError(
                f"Fold {n_folds} of cv holds positions outside the {len(groups)} rows: {error}."
            ) from error
        n_folds += 1
        yield fold
    if not n_folds:
        raise ValueError("cv gives no folds: it is empty, or an iterator that was already used.")


def own_folds(
    splitter: Any, X: Any, y: ArrayLike, groups: pd.DataFrame, random_state: Any, repeat: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return the folds of one repetition for the user's own splitter or list of splits.

    A splitter whose ``random_state`` is None gets `random_state`; if it is a whole number,
    `repeat` is added to it. Other splitters and lists give the same folds in each repetition.
    """
    seed = getattr(splitter, "random_state", "none")
    if seed is None or (isinstance(seed, Integral) and repeat):
        splitter = copy.copy(splitter)
        splitter.random_state = random_state if seed is None else seed + repeat
    folds = split_rows(splitter, X, y, groups)
    for i, (train, test) in enumerate(folds):
        if not len(train) or not len(test):
            side = "test" if len(train) else "training"
            raise ValueError(f"Fold {i} of the protocol has no {side} windows.")
    return folds


def protocol_name(protocol: str | BaseCrossValidator | Sequence[Any]) -> str:
    """Return a protocol's name: for a splitter, its class, `n_splits` and other non-defaults.

    Examples
    --------
    >>> from sklearn.model_selection import GroupShuffleSplit
    >>> from skemo.evaluation.protocols import protocol_name
    >>> protocol_name(GroupShuffleSplit(n_splits=5, random_state=0))
    'GroupShuffleSplit(n_splits=5, random_state=0)'
    """
    if isinstance(protocol, str):
        return protocol
    if isinstance(protocol, list | tuple):
        return f"{len(protocol)} given split{'s' * (len(protocol) != 1)}"
    shown = [
        f"{name}={getattr(protocol, name)!r}"
        for name, parameter in inspect.signature(type(protocol)).parameters.items()
        if hasattr(protocol, name)
        and (name == "n_splits" or getattr(protocol, name) is not parameter.default)
    ]
    return f"{type(protocol).__name__}({', '.join(shown)})"


def describe_own(protocol: Any, shared: set[str], groups: pd.DataFrame) -> Protocol:
    """Return what a model knows of the people it is tested on, from what `check_split` found.

    The protocol is optimistic if windows of one trial are in both training and test, except with
    `BlockedKFold`, or if windows of one subject are and trials are not known.

    Parameters
    ----------
    protocol : splitter or list of (train, test)
    shared : set of str
        The kinds of findings.
    groups : DataFrame
        From `window_groups`.

    Returns
    -------
    Protocol
    """
    for kind, name in (
        (LeaveOneTrialOut, "leave-one-trial-out"),
        (BlockedKFold, "blocked-k-fold"),
    ):
        if isinstance(protocol, kind):
            return PROTOCOLS[name]
    known = "subject" in shared
    close = {"trial", "overlap"} if "trial" in groups else {"subject", "overlap"}
    people = "people in training too" if known else "people who are not in training"
    return Protocol(
        f"folds of your own, tested on {people}",
        optimistic=bool(close & shared),
        known_subjects=known,
    )
