"""Who each window is from, and when it was recorded."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import column_or_1d

GROUP_COLUMNS = ("subject", "trial", "start", "stop")
_TOLERANCE = 1e-6  # seconds: well above rounding errors, well below one sample


def window_groups(groups):
    """Return who each window is from, and when it was recorded, as far as that is known.

    Parameters
    ----------
    groups : array-like of shape (n_windows,), or DataFrame of n_windows rows
        Subjects; or a table with a column ``subject`` and, where they are known, ``trial``,
        ``start`` and ``stop`` in seconds, such as `skemo.segment` makes. Without ``stop``, a
        window ends ``groups.attrs["segment"]["duration"]`` seconds after its start. Other
        columns are left out.

    Returns
    -------
    DataFrame of n_windows rows
        Those of the columns subject, trial, start and stop that are known, numbered from 0.
        Subject and trial together tell trials apart: two subjects' trials may share a name.

    Raises
    ------
    ValueError
        No subjects, values that are missing, windows without an end, or that end before they
        start.

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
    if not isinstance(groups, pd.DataFrame):
        table = pd.DataFrame({"subject": column_or_1d(groups)})
        _refuse_missing(table["subject"], "groups")
        return table
    if "subject" not in groups:
        raise ValueError(f"groups needs a column 'subject', and has {list(groups.columns)}.")
    table = groups[[name for name in GROUP_COLUMNS if name in groups]].reset_index(drop=True)
    for name in table:
        _refuse_missing(table[name], f"groups[{name!r}]")
    if "start" not in table:
        return table.drop(columns="stop", errors="ignore")
    duration = groups.attrs.get("segment", {}).get("duration")
    if "stop" not in table and duration is None:
        raise ValueError(
            "groups has a column 'start', but says nowhere when windows end: give it a column "
            "'stop' (seconds), or set groups.attrs['segment'] = {'duration': <seconds>}."
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


def trial_codes(table):
    """Number the trials of a table of `window_groups` by first appearance, ``(n_windows,)``."""
    by = [name for name in ("subject", "trial") if name in table]
    return table.groupby(by, sort=False, observed=True).ngroup().to_numpy()


def lay_out_trials(table, apart=0.0):
    """Put trials one after another on one time axis, more than `apart` seconds from each other.

    Returns
    -------
    start, stop : ndarray of shape (n_windows,)
        Seconds on that axis. Windows of unlike trials never overlap there.
    """
    trials, start, stop = trial_codes(table), table["start"], table["stop"]
    begin = start.groupby(trials).min().to_numpy()
    length = stop.groupby(trials).max().to_numpy() - begin
    shift = np.cumsum(length + apart + 1.0) - length - begin
    return start.to_numpy() + shift[trials], stop.to_numpy() + shift[trials]


def is_near(start, stop, other_start, other_stop, gap=0.0):
    """Tell which intervals overlap one of the others, or lie closer than `gap` to one.

    Parameters
    ----------
    start, stop : ndarray of shape (n_intervals,)
    other_start, other_stop : ndarray of shape (n_others,)
    gap : float, default=0.0
        Intervals that only touch are near for no gap above their distance, which is 0.

    Returns
    -------
    ndarray of bool, shape (n_intervals,)
    """
    order = np.argsort(other_start)
    latest = np.append(-np.inf, np.maximum.accumulate(other_stop[order]))
    # Of the others that start before the interval's end, does one stop after its start?
    n_before = np.searchsorted(other_start[order], stop + gap - _TOLERANCE)
    return latest[n_before] > start - gap + _TOLERANCE
