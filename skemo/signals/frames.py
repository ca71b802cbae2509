"""From a table with a column of times to the parts of a recording."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skemo.signals.checks import is_positive
from skemo.signals.labels import from_events, from_series
from skemo.signals.times import even_grid, is_increasing

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}  # in seconds
_FIRST_UNIX = 5e8  # seconds: later than this is unix time (1985), and earlier a time of 15 years
_LAST_UNIX = 1e10  # seconds: the year 2286
_LOOKED_AT = 1 << 16  # times used to recognise unix time


def frame_parts(
    table: pd.DataFrame,
    *,
    signals: Mapping[str, str | Sequence[str]] | Sequence[str] | None = None,
    time: str | None = None,
    time_unit: str = "s",
    sampling_rate: float | Mapping[str, float] | None = None,
    label: str | None = None,
    markers: str | None = None,
    max_gap: float | None = None,
    consume: bool = False,
) -> dict[str, Any]:
    """Return the arguments of a `Recording` of a table: see `Recording.from_frame`.

    Parameters
    ----------
    table : DataFrame
    signals : mapping of str to str or sequence of str, or sequence of str, default=None
    time : str or None, default=None
    time_unit : {"s", "ms", "us", "ns"}, default="s"
    sampling_rate : float or mapping of str to float, default=None
    label : str or None, default=None
    markers : str or None, default=None
    max_gap : float, default=None
    consume : bool, default=False
        Whether to take columns out of the table and use their memory for the result.

    Returns
    -------
    dict
        Signals, their rates, channels and starts, the moment of second 0 or None, and labels.
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"table must be a DataFrame, got {type(table).__name__}.")
    if label is not None and markers is not None:
        raise ValueError("Pass label= (a label for each sample) or markers= (events), not both.")
    columns = _signal_columns(table, signals, [time, label, markers])
    for column in (time, label, markers):
        if column is not None and column not in table:
            raise ValueError(
                f"The table has no column {column!r}; its columns are {[*map(str, table)]}."
            )
    if not len(table):
        raise ValueError("The table has no rows.")
    seconds, origin = _seconds_of(table, time, time_unit, sampling_rate, consume)
    uses = Counter(column for chosen in columns.values() for column in chosen)
    nominal = sampling_rate
    by_name = nominal if isinstance(nominal, Mapping) else dict.fromkeys(columns, nominal)
    samples, rates, starts, channels = {}, {}, {}, {}
    for name, chosen in columns.items():
        own = consume and all(uses[c] == 1 and c not in (label, markers) for c in chosen)
        values = _numbers(table, chosen, own)
        present = ~np.isnan(values).all(axis=0)
        if not present.any():
            raise ValueError(f"The columns {chosen} of {name!r} are empty.")
        whole = bool(present.all())
        start, rate, grid = even_grid(
            seconds if whole else seconds[present],
            values if whole else values[:, present],
            by_name.get(name),
            max_gap=max_gap,
            name=repr(name),
        )
        if max_gap is None and not whole:
            grid = _keep_missing(grid, start, rate, seconds, present)
        samples[name], rates[name], starts[name] = grid, rate, round(start, 9)
        channels[name] = tuple(map(str, chosen))
    stop = max(starts[name] + samples[name].shape[1] / rates[name] for name in samples)
    intervals = []
    if label is not None:
        cells = table[label]
        if not is_increasing(seconds):
            order = np.argsort(seconds, kind="stable")
            seconds, cells = seconds[order], cells.iloc[order]
        intervals = from_series(seconds, cells, stop=stop)
    elif markers is not None:
        cells = table[markers]
        rows = np.flatnonzero(cells.notna() & (cells != ""))
        rows = rows[np.argsort(seconds[rows], kind="stable")]
        events = [(float(seconds[i]), cells.iloc[i]) for i in rows]
        intervals = from_events(events, stop=stop)
    return {
        "signals": samples,
        "sampling_rates": rates,
        "channels": channels,
        "starts": starts,
        "start_time": origin,
        "labels": intervals,
    }


def _signal_columns(table, signals, others):
    """Return the columns of each modality."""
    if signals is None:
        signals = [name for name in table.select_dtypes("number") if name not in others]
    if isinstance(signals, str):
        signals = [signals]
    if not isinstance(signals, Mapping):
        signals = {name: name for name in signals}
    if not signals:
        raise ValueError("The table has no columns of numbers. Pass signals=.")
    columns = {
        str(name): list(chosen) if isinstance(chosen, list | tuple | pd.Index) else [chosen]
        for name, chosen in signals.items()
    }
    for name, chosen in columns.items():
        absent = [column for column in chosen if column not in table]
        if absent:
            raise ValueError(
                f"The table has no column {absent[0]!r} for {name!r}; its columns are "
                f"{[*map(str, table)]}."
            )
    return columns


def _numbers(table, columns, consume):
    """Return columns as numbers, (n_columns, n_rows), and remove them to save memory."""
    if consume and len(columns) == 1 and table[columns[0]].dtype == np.float64:
        return _writable(table.pop(columns[0]))[np.newaxis]
    found = []
    for column in columns:
        try:
            found.append(pd.to_numeric(table[column]).to_numpy(np.float64, na_value=np.nan))
        except (TypeError, ValueError) as error:
            numbers = pd.to_numeric(table[column], errors="coerce")
            wrong = table.index[(numbers.isna() & table[column].notna()).to_numpy()]
            cell = f": row {wrong[0]} has {table[column][wrong[0]]!r}" if len(wrong) else ""
            raise ValueError(f"The column {column!r} should hold numbers{cell}.") from error
    values = np.stack(found)
    if consume:
        for column in columns:
            table.pop(column)
    return values


def _writable(column):
    """Return the array of a column of a table that is not used any more."""
    values = column.to_numpy()
    values.flags.writeable = True  # pandas 3 protects it
    return values


def _keep_missing(grid, start, rate, seconds, present):
    """Put NaN where a cell was empty, but not where the row is that of a signal at another rate."""

    def places_of(rows):
        places = np.round((seconds[rows] - start) * rate)
        # NaN compares as False.
        return places[(places >= 0) & (places < grid.shape[1])].astype(np.intp)

    empty = np.zeros(grid.shape[1], bool)
    empty[places_of(~present)] = True
    empty[places_of(present)] = False
    if empty.any():
        grid = grid.copy()
        grid[:, empty] = np.nan
    return grid


def _seconds_of(
    table: pd.DataFrame, time: str | None, time_unit: str, sampling_rate: Any, consume: bool
) -> tuple[NDArray[np.float64], pd.Timestamp | None]:
    """Return the time of each row in seconds, and the moment of second 0 or None."""
    if time_unit not in UNITS:
        raise ValueError(f"time_unit must be one of {list(UNITS)}, got {time_unit!r}.")
    if time is not None:
        times = table.pop(time) if consume else table[time]
        return parse_times(times, time_unit, f"the column {time!r}", overwrite=consume)
    if isinstance(table.index, pd.DatetimeIndex | pd.TimedeltaIndex):
        return parse_times(table.index.to_series(), time_unit, "the index")
    if not is_positive(sampling_rate):
        raise ValueError(
            "When were the rows recorded? Pass time=<the column of times>, give the table an "
            "index of times, or pass sampling_rate=<one number in hertz>."
        )
    return np.arange(len(table)) / sampling_rate, None


def parse_times(
    times: pd.Series, unit: str = "s", what: str = "the times", *, overwrite: bool = False
) -> tuple[NDArray[np.float64], pd.Timestamp | None]:
    """Return times of any kind in seconds, and the moment of second 0 or None.

    Numbers from 5e8 seconds on are unix times.

    Parameters
    ----------
    times : Series
        Numbers, Timestamps, Timedeltas, or texts of them (ISO 8601, or hours:minutes:seconds).
    unit : {"s", "ms", "us", "ns"}, default="s"
        Unit of numbers.
    what : str, default="the times"
        What they are, for errors.
    overwrite : bool, default=False
        Whether the memory of the times may be used for the result.

    Returns
    -------
    seconds : ndarray of shape (n_times,)
        NaN where a time is missing.
    origin : Timestamp or None
        The first moment.
    """
    if pd.api.types.is_numeric_dtype(times):
        if times.dtype == np.float64:
            numbers = _writable(times) if overwrite else times.to_numpy(copy=True)
        else:
            numbers = times.to_numpy(np.float64, na_value=np.nan)
        some = numbers[:: max(1, len(numbers) // _LOOKED_AT)]
        known = some[np.isfinite(some)] * UNITS[unit]
        if len(known) and np.median(known) >= _LAST_UNIX:
            raise ValueError(
                f"{what} has {numbers[0]:.0f}, which is no time in {unit}. Pass "
                "time_unit='ms', 'us' or 'ns'."
            )
        if not len(known) or np.median(known) < _FIRST_UNIX:
            numbers *= UNITS[unit]
            return numbers, None
        first = times.iloc[int(times.notna().to_numpy().argmax())]
        # Whole numbers are subtracted before they are scaled, so that nothing is rounded.
        if times.dtype == np.float64:
            numbers -= first
        else:
            numbers = (times - first).to_numpy(np.float64, na_value=np.nan)
        numbers *= UNITS[unit]
        return numbers, pd.Timestamp(first, unit=unit, tz="UTC")
    if pd.api.types.is_timedelta64_dtype(times):
        return times.dt.total_seconds().to_numpy(np.float64), None
    if not pd.api.types.is_datetime64_any_dtype(times):
        texts = times.astype(str).where(times.notna())
        try:
            times = pd.to_datetime(texts, format="ISO8601")
        except ValueError:
            try:
                return pd.to_timedelta(texts).dt.total_seconds().to_numpy(np.float64), None
            except ValueError as error:
                raise ValueError(
                    f"{what} has {texts.dropna().iloc[0]!r}, which is not recognised as a time. "
                    "Convert it first, for example with pandas.to_datetime(..., format=...)."
                ) from error
    moments = times[times.notna()]
    if not len(moments):
        raise ValueError(f"{what} has no times.")
    first = moments.min()
    return (times - first).dt.total_seconds().to_numpy(np.float64), first
