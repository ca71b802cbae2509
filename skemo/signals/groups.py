"""The subject, trial and time of each window."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import column_or_1d

from skemo.signals.checks import check_text

GROUP_COLUMNS = ("subject", "trial", "start", "stop")
_TOLERANCE = 1e-6  # seconds: well above rounding errors, well below one sample


def refuse_column_name(name: str, values: object) -> None:
    """Raise if `values` is a text, such as the name of a column instead of the column."""
    if isinstance(values, str):
        raise ValueError(
            f"{name} is the text {values!r}: pass the values of each window, as in "
            f"windows[{values!r}]."
        )


def window_groups(groups: ArrayLike | pd.DataFrame | None) -> pd.DataFrame:
    """Return the subject, trial, start and stop of each window, as far as they are known.

    Parameters
    ----------
    groups : array-like of shape (n_windows,), or DataFrame of n_windows rows
        Subjects; or a table with a column ``subject`` and, if known, ``trial``, ``start`` and
        ``stop`` in seconds, such as `skemo.segment` returns. Without ``stop``, a window ends
        ``groups.attrs["segment"]["duration"]`` seconds after its start. Other columns are
        ignored.

    Returns
    -------
    DataFrame of n_windows rows
        The columns subject, trial, start and stop that are known; rows are numbered from 0.
        A trial is identified by its subject and its name: trials of different subjects may
        have the same name.

    Raises
    ------
    ValueError
        If there are no subjects, values are missing, or windows have no end or end before
        they start.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.evaluation.protocols import window_groups
    >>> windows = pd.DataFrame({"subject": ["S1", "S1"], "trial": "rest", "start": [0.0, 10.0]})
    >>> windows.attrs["segment"] = {"duration": 10.0}
    >>> window_groups(windows)["stop"].tolist()
    [10.0, 20.0]
    """
    if groups is None:
        raise ValueError(
            "groups is None: pass the subject of each window, or a DataFrame with a column "
            "'subject', such as the windows themselves."
        )
    refuse_column_name("groups", groups)
    if not isinstance(groups, pd.DataFrame):
        try:
            subjects = column_or_1d(groups)
        except ValueError as error:
            raise ValueError(f"groups must have one subject per window: {error}") from error
        check_text(subjects, "The subject")
        table = pd.DataFrame({"subject": subjects})
        _refuse_missing(table["subject"], "groups")
        return table
    if "subject" not in groups:
        raise ValueError(f"groups needs a column 'subject', and has {list(groups.columns)}.")
    table = groups[[name for name in GROUP_COLUMNS if name in groups]].reset_index(drop=True)
    for name in table:
        check_text(table[name], f"The {name}")
        _refuse_missing(table[name], f"groups[{name!r}]")
    if "start" not in table:
        return table.drop(columns="stop", errors="ignore")
    duration = groups.attrs.get("segment", {}).get("duration")
    if "stop" not in table and duration is None:
        raise ValueError(
            "groups has a column 'start', but does not say when windows end. Add a column 'stop' "
            "(seconds), or set groups.attrs['segment'] = {'duration': <seconds>}."
        )
    for name in ("start", "stop"):
        try:
            table[name] = table[name].astype(float) if name in table else table["start"] + duration
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"groups[{name!r}] must be seconds from the start of the recording, got "
                f"{table[name].dtype}."
            ) from error
    bad = ~(np.isfinite(table[["start", "stop"]]).all(axis=1) & (table["stop"] > table["start"]))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        start, stop = table.loc[row, ["start", "stop"]]
        raise ValueError(
            f"{bad.sum()} window(s) in groups do not end after they start: row {row} is from "
            f"{start:g} s to {stop:g} s."
        )
    return table


def _refuse_missing(column, name):
    if column.isna().any():
        raise ValueError(
            f"{name} is missing (NaN) in {column.isna().sum()} row(s): drop these rows."
        )


def trial_codes(table: pd.DataFrame) -> NDArray[np.intp]:
    """Number the trials of a table of `window_groups` by first appearance, ``(n_windows,)``."""
    by = [name for name in ("subject", "trial") if name in table]
    return table.groupby(by, sort=False, observed=True).ngroup().to_numpy()


def lay_out_trials(
    table: pd.DataFrame, apart: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Put all trials on one time axis, one after another, more than `apart` seconds apart.

    Returns
    -------
    start, stop : ndarray of shape (n_windows,)
        Seconds on that axis. Windows of different trials never overlap on it.
    """
    trials, start, stop = trial_codes(table), table["start"], table["stop"]
    begin = start.groupby(trials).min().to_numpy()
    length = stop.groupby(trials).max().to_numpy() - begin
    shift = np.cumsum(length + apart + 1.0) - length - begin
    return start.to_numpy() + shift[trials], stop.to_numpy() + shift[trials]


def is_near(
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    other_start: NDArray[np.float64],
    other_stop: NDArray[np.float64],
    gap: float = 0.0,
) -> NDArray[np.bool_]:
    """Find the intervals that overlap one of the others, or are closer than `gap` to one.

    Parameters
    ----------
    start, stop : ndarray of shape (n_intervals,)
    other_start, other_stop : ndarray of shape (n_others,)
    gap : float, default=0.0
        With a gap of 0, intervals that only touch are not near.

    Returns
    -------
    ndarray of bool, shape (n_intervals,)
    """
    order = np.argsort(other_start)
    latest = np.append(-np.inf, np.maximum.accumulate(other_stop[order]))
    # Does one of the others start before the end of the interval and stop after its start?
    n_before = np.searchsorted(other_start[order], stop + gap - _TOLERANCE)
    return latest[n_before] > start - gap + _TOLERANCE
