"""Recognise input that was scaled before it was split: by rows, by people, or by all there is."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from skemo.kernels.standardize import signal_lengths
from skemo.signals.checks import signal_columns
from skemo.signals.groups import GROUP_COLUMNS, trial_codes

_FEWEST_ROWS = 10  # fewer may have a mean of 0 and a deviation of 1 by accident
_CHUNK = 1 << 20  # samples looked at together: temporaries of a few megabytes
_SCALES = (
    "mean 0 and standard deviation 1",
    "minimum 0 and maximum 1",
    "minimum -1 and maximum 1",
    "mean 0",
    "median 0 and interquartile range 1",
)
_BOUNDED = _SCALES[1:3]
_FEWEST_VALUES = 10  # codes of a few values, such as contrasts, may have a mean of 0 by design
_MEANINGS = {
    "all": "over all rows: statistics of tested rows went into training. Scale inside the model, "
    "as make_pipeline(StandardScaler(), ...) does",
    "subject": "in every subject: tested rows were measured by other tested rows of the same "
    "person. This is transductive, and legitimate if it is said",
    "trial": "in every trial: tested rows were measured by other tested rows of the same "
    "trial. This is transductive, and legitimate if it is said",
}


class InputBlock(NamedTuple):
    """A signal of the input, or its numbers."""

    name: str
    values: np.ndarray  # (n_windows, n_columns, n_times)
    columns: list  # a name for each
    padded: bool  # whether zeros at the end of a window may be padding
    exact: float  # what a mean of 0 may be off by, with values of this type


def input_blocks(X):
    """What `X` is made of: its signals, and those of its numbers that hold fractions.

    Parameters
    ----------
    X : DataFrame or array of n_windows rows

    Returns
    -------
    list of InputBlock
        Without columns that say who a window is from, that are not numbers, or whole numbers
        throughout, such as counts, codes and one-hot columns.
    """
    if isinstance(X, pd.DataFrame):
        X = X.infer_objects()  # what is called object and holds numbers
        signals = set(signal_columns(X))
        columns = [(name, X.iloc[:, i]) for i, name in enumerate(X)]  # two may share a name
        blocks = [
            _signal_block(name, column.array.values, column.dtype.channels, column.dtype)
            for name, column in columns
            if name in signals
        ]
        numeric = [
            i
            for i, (name, column) in enumerate(columns)
            if pd.api.types.is_any_real_numeric_dtype(column.dtype) and name not in GROUP_COLUMNS
        ]
        table = X.iloc[:, numeric]
        numbers = table.to_numpy(float, na_value=np.nan)
        return [*blocks, *_number_blocks(numbers, list(table), _exactness(table.dtypes.tolist()))]
    X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    if X.dtype == object:
        try:
            X = X.astype(float)
        except (TypeError, ValueError):  # text, say
            return []
    if X.dtype.kind not in "iuf":
        return []
    if X.ndim > 2:
        return [_signal_block("X", X, None, None)]
    X = X.reshape(len(X), -1)
    return _number_blocks(X, [f"column {i}" for i in range(X.shape[1])], _exactness([X.dtype]))


def _exactness(dtypes):
    return 1e-6 if all(dtype.itemsize == 8 for dtype in dtypes) else 1e-5


def _signal_block(name, values, channels, dtype):
    columns = [name]
    if np.prod(values.shape[1:-1]) > 1:
        channels = channels or [f"channel {i}" for i in range(values.shape[-2])]
        columns = [f"{name} {channel}" for channel in channels] * int(np.prod(values.shape[1:-2]))
    padded = dtype is not None and dtype.sampling_rate is None
    flat = values.reshape(len(values), len(columns), values.shape[-1])
    return InputBlock(name, flat, columns, padded, _exactness([values.dtype]))


def _number_blocks(values, names, exact):
    fractional = np.array(
        [(column != np.round(column))[np.isfinite(column)].any() for column in values.T], bool
    )
    if not fractional.any():
        return []
    columns = [str(name) for name, kept in zip(names, fractional, strict=True) if kept]
    return [InputBlock("X", values[:, fractional, np.newaxis], columns, False, exact)]


def find_scaling(X, table):
    """Find columns that were centred or scaled by statistics over rows.

    Parameters
    ----------
    X : DataFrame or array of n_windows rows
        Input of the models.
    table : DataFrame of n_windows rows
        As `skemo.evaluation.protocols.window_groups` returns it.

    Returns
    -------
    list of (kind, columns, message)
        Kinds "normalisation" and "per-subject normalisation", with the names of the columns.
    """
    if len(table) < _FEWEST_ROWS:
        return []
    subjects = pd.factorize(table["subject"])[0]
    units = {"window": np.arange(len(table))}
    if "trial" in table and trial_codes(table).max() > subjects.max():
        units["trial"] = trial_codes(table)
    if subjects.max() > 0:
        units["subject"] = subjects
    units["all"] = np.zeros(len(table), int)
    found = {}
    for block in input_blocks(X):
        for column, unit, scale in _scaled_columns(block, units):
            found.setdefault((unit, scale), {})[column] = None  # each once, and in order
    return [
        (
            "normalisation" if unit == "all" else "per-subject normalisation",
            list(columns),
            f"{scale} {_MEANINGS[unit]}"
            + (", unless the quantity is bounded so by nature." if scale in _BOUNDED else "."),
        )
        for (unit, scale), columns in found.items()
        if unit in _MEANINGS
    ]


def _scaled_columns(block, units):
    """Yield column, unit and scale of each column that is scaled, or of all columns pooled."""
    lengths = signal_lengths(block.values) if block.padded else None
    n_columns = max(1, _CHUNK // len(block.values))
    pooled, found = [], False
    for first in range(0, len(block.columns), n_columns):
        columns = slice(first, first + n_columns)
        values, names = block.values[:, columns], block.columns[columns]
        moments = _measure(values, lengths)
        pooled.append(_pool([moments]))
        # Filtered signals have means near 0, too.
        numbers = None
        if values.shape[2] == 1:
            numbers = pd.DataFrame(
                np.where(np.isfinite(values), values, np.nan)[:, :, 0], dtype=float
            )
        for hit in _scaled_by_unit(moments, names, units, block.exact, numbers):
            found = True
            yield hit
    if not found and len(block.columns) > 1:
        yield from _scaled_by_unit(_pool(pooled), [block.name], units, block.exact)


def _scaled_by_unit(moments, names, units, exact, numbers=None):
    """The smallest unit counts: what has mean 0 in each window has it over all rows, too.

    With a table of `numbers`, means are looked at by themselves, and quartiles.
    """
    done = np.zeros(len(names), bool)
    for unit, codes in units.items():
        if unit == "window" and moments.count.max() < 3:
            continue  # one number a window is not scaled by itself
        tolerance = exact if unit == "all" else 10 * exact  # chance does not meet it in each
        scaled = _are_scaled(moments, codes, tolerance)
        if numbers is not None:
            scaled += [_are_centred(numbers, codes, tolerance / 10)]
            scaled += [_are_robust(numbers, codes, tolerance)]
        for scale, is_so in zip(_SCALES, scaled, strict=False):
            yield from ((names[i], unit, scale) for i in np.flatnonzero(is_so & ~done))
            done |= is_so


class _Moments(NamedTuple):
    """Of each window and column, ``(n_windows, n_columns)``, leaving out what is missing."""

    count: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    low: np.ndarray
    high: np.ndarray


def _measure(values, lengths):
    """Moments over the last axis, up to the `lengths` of the windows where they are given."""
    n_windows, n_columns, n_times = values.shape
    moments = _Moments(*np.empty((5, n_windows, n_columns)))
    n_rows = max(1, _CHUNK // (n_columns * n_times))
    for first in range(0, n_windows, n_rows):
        rows = slice(first, first + n_rows)
        part = values[rows].astype(float)
        absent = ~np.isfinite(part)
        if lengths is not None:
            absent |= (np.arange(n_times) >= lengths[rows, np.newaxis])[:, np.newaxis]
        part[absent] = np.nan
        moments.low[rows] = np.fmin.reduce(part, axis=2)
        moments.high[rows] = np.fmax.reduce(part, axis=2)
        part[absent] = 0.0
        moments.count[rows] = n_times - absent.sum(axis=2)
        moments.total[rows] = part.sum(axis=2)
        moments.squares[rows] = np.einsum("nct,nct->nc", part, part)
    return moments


def _pool(parts):
    """Moments of all columns together."""
    over = (np.sum, np.sum, np.sum, np.fmin.reduce, np.fmax.reduce)
    columns = (np.concatenate(moment, axis=1) for moment in zip(*parts, strict=True))
    return _Moments(*(f(c, axis=1, keepdims=True) for f, c in zip(over, columns, strict=True)))


def _are_scaled(moments, codes, tolerance):
    """Which columns are standardised, scaled to [0, 1], and to [-1, 1], in all groups of rows."""
    order = np.argsort(codes, kind="stable")
    n_rows = np.bincount(codes)[:, np.newaxis]
    first = np.cumsum(n_rows) - n_rows[:, 0]
    over = (np.add, np.add, np.add, np.fmin, np.fmax)
    count, total, squares, low, high = (
        f.reduceat(moment[order], first) for f, moment in zip(over, moments, strict=True)
    )
    # Too few values, or all alike, tell nothing of how they were scaled.
    telling = (count >= 3) & (high - low > tolerance)
    mean = total / np.maximum(count, 1)
    variance = np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0)
    deviations = np.sqrt(variance), np.sqrt(variance * count / np.maximum(count - 1, 1))
    is_one = np.min([np.abs(deviation - 1) for deviation in deviations], axis=0) < tolerance
    scaled = [telling & (np.abs(mean) < tolerance) & is_one]
    # A quantity that is bounded by nature, such as a share, is at its bounds in many rows.
    ends = (moments.low <= low[codes] + tolerance) | (moments.high >= high[codes] - tolerance)
    few = np.add.reduceat(ends[order].astype(int), first) <= np.maximum(4, 0.04 * n_rows)
    # A sine is near its bounds more often than what was scaled to them.
    near = (moments.low <= -0.999) | (moments.high >= 0.999)
    rare = np.add.reduceat(near[order].astype(int), first) <= np.maximum(2, 0.01 * n_rows)
    for lowest, seldom in ((0, few), (-1, few & rare)):
        at_ends = (np.abs(low - lowest) < tolerance) & (np.abs(high - 1) < tolerance)
        scaled.append(telling & at_ends & seldom)
    return [_in_all(each, telling) for each in scaled]


def _in_all(scaled, telling):
    """Which columns are so in all groups that tell, and these are half of the groups."""
    return (scaled | ~telling).all(axis=0) & (scaled.sum(axis=0) * 2 >= len(scaled))


def _are_centred(numbers, codes, tolerance):
    """Which columns have a mean of 0 in all groups of rows, by more than accident.

    A mean that was computed in single precision is off by more than accident allows for one
    column; half of all columns, at least three, do not come near 0 by accident together.
    """
    groups = numbers.groupby(codes)
    mean, deviation = groups.mean().to_numpy(), groups.std(ddof=0).to_numpy()
    telling = (groups.count() >= 3).to_numpy() & (deviation > 0)
    near = _in_all(telling & (np.abs(mean) < tolerance * deviation), telling)
    roughly = _in_all(telling & (np.abs(mean) < 100 * tolerance * deviation), telling)
    if roughly.sum() >= max(3, 0.5 * numbers.shape[1]):
        near = roughly
    return near & _have_many_values(numbers, near)


def _are_robust(numbers, codes, tolerance):
    """Which columns have a median of 0 and quartiles 1 apart in all groups of rows."""
    first = codes == codes[0]
    is_so, telling = _have_quartiles(numbers[first], codes[first], tolerance)
    possible = (is_so | ~telling).all(axis=0)  # hardly any, and the others need no second look
    if possible.any():
        found = _have_quartiles(numbers.loc[:, possible], codes, tolerance)
        possible[possible] = _in_all(*found)
    return possible & _have_many_values(numbers, possible)


def _have_many_values(numbers, wanted):
    """Which of the columns that are wanted are not codes."""
    many = np.zeros(len(wanted), bool)
    many[wanted] = numbers.loc[:, wanted].nunique().to_numpy() >= _FEWEST_VALUES
    return many


def _have_quartiles(numbers, codes, tolerance):
    """In which groups and columns the median is 0 and quartiles are 1 apart, and which tell."""
    groups = numbers.groupby(codes)
    quartiles = groups.quantile([0.25, 0.5, 0.75]).to_numpy()
    first, median, third = (quartiles[i::3] for i in range(3))
    telling = (groups.count() >= 3).to_numpy() & (third - first > tolerance)
    is_so = (np.abs(median) < tolerance) & (np.abs(third - first - 1) < tolerance)
    return telling & is_so, telling
