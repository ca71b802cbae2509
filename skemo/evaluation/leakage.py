"""Find what training and test share: people, trials, seconds, rows and statistics."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skemo.evaluation.protocols import each_fold
from skemo.evaluation.scaling import find_scaling, input_blocks
from skemo.signals.groups import (
    is_near,
    lay_out_trials,
    refuse_column_name,
    trial_codes,
    window_groups,
)

COLUMNS = ("fold", "kind", "who", "n_train", "n_test", "seconds", "message")
_TYPES = dict(zip(COLUMNS, (int, str, str, int, int, float, str), strict=True))
_BY_FOLD = ("subject", "trial", "overlap", "duplicate")


def check_split(
    X: pd.DataFrame | ArrayLike,
    groups: pd.DataFrame | ArrayLike,
    cv: Any,
    y: ArrayLike | None = None,
) -> pd.DataFrame:
    """List what the training and test sides of a split share.

    ============================= =======================================================
    kind                          what was found
    ============================= =======================================================
    ``subject``                   subjects with windows on both sides
    ``trial``                     trials with windows on both sides
    ``overlap``                   tested windows that share seconds with training windows
    ``duplicate``                 tested rows that are also in training, value for value
    ``normalisation``             columns standardised by statistics of all rows, tested
                                  ones included
    ``per-subject normalisation`` columns standardised by each subject's (or trial's) own
                                  statistics, tested rows included: transductive,
                                  legitimate where it is declared
    ============================= =======================================================

    Which of them are faults depends on the question: a within-subject protocol has its subjects
    on both sides by design (``PROTOCOLS[name].by_design`` of `skemo.evaluation.protocols`).

    Parameters
    ----------
    X : DataFrame or array of n_windows rows
        Input of the models: signal columns, numbers, or an array whose last axis is features or
        time. The columns subject, trial, start and stop, and those that are not numbers, are
        ignored.
    groups : array-like of shape (n_windows,), or DataFrame of n_windows rows
        Subjects, or a table with trials and times, as for
        `skemo.evaluation.protocols.window_groups`; ``groups=windows`` checks the most. Windows
        with the same subject and trial, or the same subject if trials are not known, count as one
        recording.
    cv : str, splitter, int or iterable of (train, test)
        The name of a protocol, used with its defaults, or anything `cross_validate` accepts. An
        iterator is used up.
    y : array-like of shape (n_windows,), default=None
        Labels, if the splitter needs them. With labels, the message of ``trial`` says how many of
        the trials have a single label, which a model that recognises the trial then knows.

    Returns
    -------
    DataFrame
        One row per fold and kind of finding: `fold`; `kind`; `who`, a few names; `n_train` and
        `n_test`, the numbers of windows concerned on each side; `seconds`, the time on both sides
        for ``overlap``, else NaN; `message`. It is empty if nothing was found. Scaling concerns
        all folds and rows, and its `fold` is -1. ``attrs["n_folds"]`` is the number of folds.

    Raises
    ------
    ValueError
        Lengths differ, `cv` has no folds or has positions beyond the rows, or the split cannot be
        made.

    Notes
    -----
    Standardisation is recognised by its result: a mean of exactly 0 and a standard deviation of
    exactly 1, over all rows or in every subject or trial. Other scalings, and values that were
    rounded afterwards, are not recognised. Columns of whole numbers are not checked, nor are
    signals that are standardised window by window, since that leaks nothing. Missing and flat
    windows, and rows with fewer than two fractional numbers, do not count as duplicates.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.evaluation.leakage import check_split
    >>> X, subjects = np.random.default_rng(0).normal(size=(6, 2)), list("aabbcc")
    >>> check_split(X, subjects, cv=[([0, 1, 2], [3, 4, 5])])[["kind", "who", "n_test"]]
          kind who  n_test
    0  subject   b       1
    """
    refuse_column_name("y", y)
    table = window_groups(groups)
    X = X if hasattr(X, "shape") else np.asarray(X)
    check_consistent_length(X, y, table)
    if not len(table):
        raise ValueError("check_split needs at least one window, got none.")
    rows = _describe_rows(X, y, table)
    findings, n_folds = [], 0
    for fold, (train, test) in enumerate(each_fold(cv, X, y, table)):
        findings += [(fold, *found) for found in _compare_sides(rows, train, test)]
        n_folds += 1
    for kind, columns, message in find_scaling(X, table):
        who = _name_some(columns)
        findings.append((-1, kind, who, len(table), len(table), np.nan, f"{who}: {message}"))
    frame = pd.DataFrame(findings, columns=list(COLUMNS)).astype(_TYPES)
    frame.attrs["n_folds"] = n_folds
    return frame


def format_findings(findings: pd.DataFrame) -> str:
    """Format the findings of `check_split` as text, one line per kind.

    Parameters
    ----------
    findings : DataFrame
        As `check_split` returns them, or some of the rows.

    Returns
    -------
    str
        Empty if there are no findings.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.evaluation.leakage import check_split, format_findings
    >>> X, subjects = np.random.default_rng(0).normal(size=(6, 2)), list("abcabc")
    >>> print(format_findings(check_split(X, subjects, cv=3)))
    subject: in 3 of 3 folds (6 tested windows); fold 0: 2 subjects on both sides, a and b.
    """
    n_folds = findings.attrs.get("n_folds")
    lines = []
    for kind, own in findings.groupby("kind", sort=False):
        if kind in _BY_FOLD:
            folds = own["fold"].nunique()
            times = f"{folds} of {n_folds} folds" if n_folds else f"{folds} fold(s)"
            total = f"{own['n_test'].sum()} tested windows"
            if kind == "overlap":
                total += f", {own['seconds'].sum():g} s"
            fold, message = own["fold"].iloc[0], own["message"].iloc[0]
            lines.append(f"{kind}: in {times} ({total}); fold {fold}: {message}")
        else:
            lines += [f"{kind}: {message}" for message in own["message"]]
    return "\n".join(lines)


def check_transductive(
    model: BaseEstimator,
    X: pd.DataFrame | ArrayLike,
    random_state: int | np.random.RandomState | None = 0,
) -> float:
    """Return the share of rows whose prediction depends on the other rows predicted with them.

    All rows are predicted together, and again in two halves. A model that looks at one row at a
    time predicts the same, and the share is 0. A model that measures a new person by the rows at
    hand, as `PerSubject` does, is transductive: it needs a batch of windows of that person, which
    should be reported with its scores.

    Parameters
    ----------
    model : estimator
        Fitted, with ``predict_proba`` or ``predict``.
    X : DataFrame or array of n_windows rows
        At least 2 rows, preferably of people the model has not seen.
    random_state : int, RandomState or None, default=0
        Seed for the division into halves.

    Returns
    -------
    float
        In [0, 1]. A row counts if a probability changes by more than 0.001 or, for a model
        without probabilities, if the label changes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skemo.evaluation.leakage import check_transductive
    >>> X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    >>> check_transductive(LogisticRegression().fit(X, y), X)
    0.0
    """
    inputs: Any = X if hasattr(X, "shape") else np.asarray(X)
    if len(inputs) < 2:
        raise ValueError(
            f"Rows are predicted again in two halves: pass at least 2, got {len(inputs)}."
        )
    predict = getattr(model, "predict_proba", None) or model.predict
    together = np.asarray(predict(inputs))
    apart = np.empty_like(together)
    for rows in np.array_split(check_random_state(random_state).permutation(len(inputs)), 2):
        apart[rows] = predict(inputs.iloc[rows] if hasattr(inputs, "iloc") else inputs[rows])
    if hasattr(model, "predict_proba"):
        return float((np.abs(together - apart) > 1e-3).any(axis=1).mean())
    return float((together != apart).mean())


class _Rows(NamedTuple):
    """Facts about the rows that all folds share; None if not known."""

    subjects: np.ndarray  # codes
    trials: np.ndarray | None  # codes
    contents: np.ndarray  # codes, the same for identical rows
    times: tuple | None  # start and stop on an axis on which trials do not overlap
    subject_names: np.ndarray
    trial_names: np.ndarray | None
    one_label: np.ndarray | None  # whether each trial has a single label


def _describe_rows(X, y, table):
    subjects, subject_names = pd.factorize(table["subject"])
    contents = _code_rows(X, len(table))
    times = lay_out_trials(table) if "start" in table else None
    if "trial" not in table:
        return _Rows(subjects, None, contents, times, subject_names, None, None)
    trials = trial_codes(table)
    pairs = table[["subject", "trial"]].drop_duplicates().itertuples(index=False)
    names = np.array([" ".join(map(str, pair)).strip() for pair in pairs], object)
    one_label = None
    if y is not None:
        one_label = pd.Series(column_or_1d(y)).groupby(trials).nunique().to_numpy() == 1
    return _Rows(subjects, trials, contents, times, subject_names, names, one_label)


def _compare_sides(rows, train, test):
    """Yield kind, who, n_train, n_test, seconds and message of each finding."""
    codes = {"subject": rows.subjects, "trial": rows.trials, "duplicate": rows.contents}
    for kind in _BY_FOLD:
        seconds = np.nan
        if kind == "overlap":
            if rows.times is None:
                continue
            one, other, seconds = _share_seconds(rows, train, test)
        elif codes[kind] is None:
            continue
        else:
            one, other = _share_codes(codes[kind], train, test)
        if len(other) == 0:
            continue
        by_trial = kind in ("trial", "overlap") and rows.trials is not None
        names = rows.trial_names if by_trial else rows.subject_names
        found = names[pd.unique((rows.trials if by_trial else rows.subjects)[other])]
        who = _name_some(found)
        message = {
            "subject": f"{_count(len(found), 'subject')} on both sides, {who}.",
            "trial": f"{_count(len(found), 'trial')} on both sides, {who}.",
            "overlap": f"{_count(len(other), 'tested window')} sharing {seconds:g} s with training "
            f"windows of the same recording, {who}.",
            "duplicate": f"the same rows in training and test, value for value, "
            f"{_count(len(other), 'tested row')} of {who}.",
        }[kind]
        if kind == "trial" and rows.one_label is not None:
            n_told = rows.one_label[pd.unique(rows.trials[other])].sum()
            if n_told:
                message += f" To know the trial is to know the label in {n_told} of them."
        yield kind, who, len(one), len(other), seconds, message


def _share_codes(codes, train, test):
    """The rows of each side whose code is also on the other side."""
    in_train, in_test = np.zeros((2, codes.max(initial=0) + 1), bool)
    in_train[codes[train]] = True
    in_test[codes[test]] = True
    return train[in_test[codes[train]]], test[in_train[codes[test]]]


def _share_seconds(rows, train, test):
    """The rows of each side that overlap the other side, and the seconds on both sides."""
    codes = rows.subjects if rows.trials is None else rows.trials
    train, test = _share_codes(codes, train, test)
    one, other = (tuple(ends[side] for ends in rows.times) for side in (train, test))
    train_near, test_near = is_near(*one, *other), is_near(*other, *one)
    if not test_near.any():
        return train[:0], test[:0], 0.0
    one, other = [ends[train_near] for ends in one], [ends[test_near] for ends in other]
    both = [np.concatenate(ends) for ends in zip(one, other, strict=True)]
    seconds = _covered(*one) + _covered(*other) - _covered(*both)
    return train[train_near], test[test_near], round(float(seconds), 6)


def _covered(start, stop):
    """The number of seconds that intervals cover together."""
    order = np.argsort(start)
    start, latest = start[order], np.maximum.accumulate(stop[order])
    return latest[-1] - start[0] - np.maximum(start[1:] - latest[:-1], 0.0).sum()


def _code_rows(X, n_rows):
    """Number the rows; identical rows share a number if they hold enough to tell them apart."""
    codes, informative = np.zeros(n_rows, int), np.zeros(n_rows, bool)
    for block in input_blocks(X):
        hashes = np.empty(n_rows, int)
        for rows, values in block.read():
            values = values.reshape(len(values), -1)
            if values.shape[1] > 1:
                informative[rows] |= np.fmax.reduce(values, axis=1) > np.fmin.reduce(values, axis=1)
            hashes[rows] = [hash(row.tobytes()) for row in values]
        own, found = pd.factorize(hashes)
        codes = pd.factorize(codes * len(found) + own)[0]
    codes[~informative] = len(codes) + np.arange((~informative).sum())
    return codes


def _count(n, what):
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _name_some(names):
    """Up to three names as text, or two names and the number of others."""
    names = [str(name) for name in names]
    if len(names) > 3:
        names = [*names[:2], f"{len(names) - 2} more"]
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
