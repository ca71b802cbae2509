"""Labelled intervals from events, markers, and tables of trials or questionnaires."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo.signals.checks import is_positive
from skemo.signals.times import as_seconds, as_timestamp, is_absolute

BASELINE = "baseline"
_TOLERANCE = 1e-6  # seconds, well above rounding errors


def from_events(
    events: Iterable[tuple[Any, Any]],
    *,
    duration: float | None = None,
    stop: Any = None,
    names: Mapping[Any, Any] | None = None,
    onset_shift: float = 0.0,
    baseline: float | None = None,
) -> list[tuple[Any, Any, Any]]:
    """Return labelled intervals that begin at events.

    Each interval lasts until the next event, or for `duration`. Pass the result as the parameter
    `labels` of a `Recording`.

    Parameters
    ----------
    events : iterable of (time, label)
        The time and label of each event, in any order. Times are seconds, Timedeltas or
        Timestamps. An event whose label is missing (None or NaN) leaves the time until the next
        event unlabelled.
    duration : float, default=None
        Length of each interval in seconds. None means until the next event.
    stop : float, Timedelta or Timestamp, default=None
        End of the last interval, such as the end of the recording. Required if `duration` is
        None, unless the label of the last event is missing.
    names : mapping, default=None
        The label to use for each event, such as ``{1: "rest", 2: "stress"}``. Other events are
        ignored. None uses the events themselves as labels.
    onset_shift : float, default=0.0
        Seconds from each event to the start of its interval. Use a positive value to leave out
        the time in which people react to the event. With `duration`, the whole interval is
        moved; otherwise, only its start.
    baseline : float, default=None
        Length in seconds of an interval labelled ``"baseline"`` that ends at each event. It
        takes the place of the end of the interval before it.

    Returns
    -------
    list of (start, stop, label)
        Sorted by time. Times are Timestamps if Timestamps were passed, and seconds otherwise.

    Raises
    ------
    ValueError
        If an interval would be empty, or the end of the last one is unknown.

    Examples
    --------
    >>> from skemo.signals import labels
    >>> labels.from_events([(5.0, "rest"), (30.0, "task"), (55.0, None)])
    [(5.0, 30.0, 'rest'), (30.0, 55.0, 'task')]
    >>> labels.from_events([(5.0, 1), (30.0, 2)], names={2: "task"}, duration=10, baseline=5)
    [(25.0, 30.0, 'baseline'), (30.0, 40.0, 'task')]
    """
    events = [(time, what) for time, what in events if names is None or what in names]
    if names is not None:
        events = [(time, names[what]) for time, what in events]
    if duration is not None and not is_positive(duration):
        raise ValueError(f"duration must be a positive number of seconds, got {duration!r}.")
    origin = _origin([time for time, _ in events] + [stop])
    seconds = sorted(
        ((as_seconds(time, origin, f"The event {what!r}"), what) for time, what in events),
        key=lambda event: event[0],
    )
    if stop is not None:
        seconds.append((as_seconds(stop, origin, "stop"), None))
    elif duration is None and seconds and not _is_missing(seconds[-1][1]):
        raise ValueError(
            f"The last event, {seconds[-1][1]!r}, has no end. Pass stop=<the end of the "
            "recording>, duration=<seconds>, or a last event with the label None."
        )
    intervals = []
    for i, (time, what) in enumerate(seconds):
        if _is_missing(what):
            continue
        start = time + onset_shift
        end = seconds[i + 1][0] if duration is None else start + duration
        if end <= start + _TOLERANCE:
            raise ValueError(
                f"The interval of the event {what!r} at {time:g} s would last from {start:g} s "
                f"to {end:g} s. Remove events that are too close to the next one."
            )
        intervals.append((time, start, end, what))
    return _from_origin(_with_baseline(intervals, baseline), origin)


def from_table(
    table: pd.DataFrame,
    label: str,
    *,
    start: str = "start",
    stop: str | None = "stop",
    duration: float | None = None,
    subject: Any = None,
    by: str = "subject",
    onset_shift: float = 0.0,
    baseline: float | None = None,
) -> list[tuple[Any, Any, Any]]:
    """Return labelled intervals from a table with one row per trial or answered questionnaire.

    Parameters
    ----------
    table : DataFrame
        Has columns of starts and stops, given as seconds, Timedeltas, Timestamps or strings.
    label : str
        The column with the labels. Rows in which it is missing are left out.
    start : str, default="start"
        The column with the start of each interval.
    stop : str or None, default="stop"
        The column with the end of each interval; not used with `duration`.
    duration : float, default=None
        Length of each interval in seconds.
    subject : object, default=None
        Use only the rows with this value in the column `by`.
    by : str, default="subject"
        The column with the subjects.
    onset_shift : float, default=0.0
        Seconds by which each interval begins later than in the table.
    baseline : float, default=None
        Length in seconds of an interval labelled ``"baseline"`` that ends at each start. It
        takes the place of the end of the interval before it.

    Returns
    -------
    list of (start, stop, label)

    Raises
    ------
    ValueError
        If a column is missing or an interval is incomplete; the message names the row.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.signals import labels
    >>> table = pd.DataFrame({"subject": ["A", "A", "B"], "arousal": [1, 7, 4]})
    >>> table["start"], table["stop"] = [0, 60, 0], [60, 90, 45]
    >>> labels.from_table(table, "arousal", subject="A")
    [(0.0, 60.0, 1), (60.0, 90.0, 7)]
    """
    stop = stop if duration is None else None
    length = duration if is_positive(duration) else 0.0
    if stop is None and not length:
        raise ValueError(f"Without stop, duration must be a positive number, got {duration!r}.")
    table = _rows_of(table, subject, by, [label, start, *([stop] if stop else [])])
    table = table[table[label].notna()]
    ends = table[stop] if stop else [None] * len(table)
    origin = _origin(table[start])
    intervals = []
    for row, time, end, what in zip(table.index, table[start], ends, table[label], strict=True):
        if pd.isna(time) or (stop and pd.isna(end)):
            raise ValueError(f"Row {row!r} has the label {what!r}, but no {start} or no {stop}.")
        time = as_seconds(time, origin, f"{start} of row {row!r}")
        first = time + onset_shift
        last = as_seconds(end, origin, f"{stop} of row {row!r}") if stop else first + length
        if last <= first + _TOLERANCE:
            raise ValueError(
                f"Row {row!r} with the label {what!r} stops at {last:g} s, but starts at "
                f"{first:g} s."
            )
        intervals.append((time, first, last, what))
    intervals.sort(key=lambda interval: interval[0])
    return _from_origin(_with_baseline(intervals, baseline), origin)


def targets_from_table(
    table: pd.DataFrame,
    columns: Sequence[str],
    *,
    start: str = "start",
    stop: str = "stop",
    subject: Any = None,
    by: str = "subject",
    start_time: Any = None,
    sampling_rate: float = 1.0,
) -> dict[str, tuple[NDArray[np.float64], float]]:
    """Return ratings of intervals for the parameter `targets` of a `Recording`.

    Parameters
    ----------
    table : DataFrame
        Has one row per rated interval.
    columns : sequence of str
        The columns with the ratings, such as ``["valence", "arousal"]``.
    start : str, default="start"
        The column with the start of each interval.
    stop : str, default="stop"
        The column with the end of each interval.
    subject : object, default=None
        Use only the rows with this value in the column `by`.
    by : str, default="subject"
        The column with the subjects.
    start_time : Timestamp, default=None
        Time of second 0 of the recording, needed if the table has Timestamps.
    sampling_rate : float, default=1.0
        Samples per second of the series; starts and ends are rounded to samples.

    Returns
    -------
    dict of str to (ndarray of shape (n_times,), float)
        For each column, the ratings as a series from second 0, with NaN outside the intervals,
        and `sampling_rate`.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.signals import labels
    >>> table = pd.DataFrame({"start": [0, 3], "stop": [2, 5], "valence": [4, 7]})
    >>> labels.targets_from_table(table, ["valence"])
    {'valence': (array([ 4.,  4., nan,  7.,  7.]), 1.0)}
    """
    columns = [columns] if isinstance(columns, str) else list(columns)
    table = _rows_of(table, subject, by, [*columns, start, stop])
    origin = None if start_time is None else as_timestamp(start_time, "start_time")
    edges: NDArray[np.float64] = np.array(
        [
            [as_seconds(time, origin, f"{column} of row {row!r}") for column, time in pair]
            for row, *pair in zip(
                table.index,
                zip([start] * len(table), table[start], strict=True),
                zip([stop] * len(table), table[stop], strict=True),
                strict=True,
            )
        ]
    ).reshape(-1, 2)
    if not np.isfinite(edges).all():
        row = table.index[~np.isfinite(edges).all(axis=1)][0]
        raise ValueError(f"Row {row!r} has no {start} or no {stop}.")
    samples = np.maximum(np.round(edges * sampling_rate), 0).astype(int)
    series = {column: np.full(samples.max(initial=0), np.nan) for column in columns}
    for column, values in series.items():
        for (first, last), rating in zip(samples, table[column].to_numpy(float), strict=True):
            values[first:last] = rating
    return {column: (values, float(sampling_rate)) for column, values in series.items()}


def from_series(times: ArrayLike, values: Iterable[Any], *, stop: float) -> list[tuple[Any, ...]]:
    """Return labelled intervals from one label per sample.

    Parameters
    ----------
    times : array-like of shape (n_times,)
        Time of each sample in seconds, increasing.
    values : iterable of n_times labels
        Missing labels (None, NaN or an empty string) leave the time until the next sample
        unlabelled.
    stop : float
        End of the last interval.

    Returns
    -------
    list of (start, stop, label)

    Examples
    --------
    >>> from skemo.signals import labels
    >>> labels.from_series([0, 1, 2, 3, 4], ["a", "a", "", "b", "b"], stop=5.0)
    [(0.0, 2.0, 'a'), (3.0, 5.0, 'b')]
    """
    if isinstance(getattr(values, "dtype", None), pd.CategoricalDtype):
        column = pd.Series(values)
        names = column.cat.categories
        codes = column.cat.codes.to_numpy()
    else:
        codes, names = pd.factorize(pd.Series(values, dtype=object).replace("", None))
    seconds = np.asarray(times, np.float64)
    edges = np.flatnonzero(np.diff(codes, prepend=codes.dtype.type(-2)))
    intervals = []
    for first, last in zip(edges, [*edges[1:], len(codes)], strict=True):
        if codes[first] >= 0 and names[codes[first]] != "":
            end = seconds[last] if last < len(seconds) else stop
            intervals.append((float(seconds[first]), float(end), names[codes[first]]))
    return intervals


def _rows_of(table, subject, by, columns):
    columns = columns if subject is None else [by, *columns]
    absent = [column for column in columns if column not in table]
    if absent:
        raise ValueError(f"The table has no column {absent[0]!r}; it has {[*map(str, table)]}.")
    if subject is None:
        return table
    rows = table[table[by] == subject]
    if not len(rows):
        raise ValueError(
            f"The table has no rows of subject {subject!r}; the column {by!r} has "
            f"{table[by].unique().tolist()[:10]}."
        )
    return rows


def _is_missing(label):
    return label is None or label != label


def _origin(times):
    """Return the first absolute time, or None."""
    moments = (time for time in times if time is not None and is_absolute(time))
    first = next(moments, None)
    return None if first is None else as_timestamp(first, "a time")


def _from_origin(intervals, origin):
    if origin is None:
        return intervals
    return [
        (origin + pd.Timedelta(start, "s"), origin + pd.Timedelta(stop, "s"), label)
        for start, stop, label in intervals
    ]


def _with_baseline(intervals, baseline):
    """Turn (event, start, stop, label) into (start, stop, label), with a baseline before each."""
    if baseline is None:
        return [interval[1:] for interval in intervals]
    if not is_positive(baseline):
        raise ValueError(f"baseline must be a positive number of seconds, got {baseline!r}.")
    found = []
    for event, start, stop, label in intervals:
        begin = event - baseline
        if found and found[-1][1] > begin:
            first, _, before = found.pop()
            if begin <= first + _TOLERANCE:
                raise ValueError(
                    f"The baseline of {label!r} from {begin:g} s to {event:g} s would hide all of "
                    f"{before!r} from {first:g} s. Pass a shorter baseline."
                )
            found.append((first, begin, before))
        found += [(begin, event, BASELINE), (start, stop, label)]
    return found
