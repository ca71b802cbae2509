"""Recognise input that was standardised before the split, per subject or over all rows."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skemo._checks import native_columns
from skemo.kernels.standardize import signal_lengths
from skemo.signals.checks import signal_columns
from skemo.signals.groups import GROUP_COLUMNS, trial_codes

_FEWEST_ROWS = 10  # fewer may have mean 0 and standard deviation 1 by accident
_CHUNK = 1 << 20  # samples processed at once, so that temporaries take a few megabytes
_MEANINGS = {
    "all": "over all rows: statistics of tested rows went into training. Scale inside the model, "
    "as make_pipeline(StandardScaler(), ...) does",
    "subject": "in every subject: tested rows were measured by other tested rows of the same "
    "person. This is transductive, and legitimate if it is said",
    "trial": "in every trial: tested rows were measured by other tested rows of the same "
    "trial. This is transductive, and legitimate if it is said",
}


class InputBlock(NamedTuple):
    """A signal of the input, or all its numeric columns."""

    name: str
    values: NDArray  # (n_windows, n_columns, n_times)
    columns: list[str]  # a name for each
    padded: bool  # whether zeros at the end of a window may be padding
    exact: float  # tolerance for a mean of 0 with values of this type


def input_blocks(X: Any) -> list[InputBlock]:
    """Return the signals of `X`, and its numeric columns that hold fractions.

    Parameters
    ----------
    X : DataFrame or array of n_windows rows

    Returns
    -------
    list of InputBlock
        Without the columns of subject, trial and times, columns that are not numeric, and columns
        of whole numbers, such as counts, codes and one-hot columns.
    """
    if isinstance(X, pd.DataFrame):
        X = native_columns(X).infer_objects()  # columns of dtype object may hold numbers
        signals = set(signal_columns(X))
        columns = [(name, X.iloc[:, i]) for i, name in enumerate(X)]  # names may repeat
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
        except (TypeError, ValueError):  # for example text
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
    padded = dtype is not None and dtype.may_be_padded
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


def find_scaling(X: Any, table: pd.DataFrame) -> list[tuple[str, list[str], str]]:
    """Find columns that were standardised by statistics over rows.

    Parameters
    ----------
    X : DataFrame or array of n_windows rows
        Input of the models.
    table : DataFrame of n_windows rows
        As `skemo.signals.groups.window_groups` returns it.

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
    found: dict[str, dict[str, None]] = {}
    for block in input_blocks(X):
        for column, unit in _standardised_columns(block, units):
            found.setdefault(unit, {})[column] = None  # each once, and in order
    return [
        (
            "normalisation" if unit == "all" else "per-subject normalisation",
            list(columns),
            f"mean 0 and standard deviation 1 {_MEANINGS[unit]}.",
        )
        for unit, columns in found.items()
        if unit in _MEANINGS
    ]


def _standardised_columns(block, units):
    """Yield the name and unit of each standardised column, or of all columns pooled."""
    lengths = signal_lengths(block.values) if block.padded else None
    n_columns = max(1, _CHUNK // len(block.values))
    pooled, found = [], False
    for first in range(0, len(block.columns), n_columns):
        columns = slice(first, first + n_columns)
        moments = _measure(block.values[:, columns], lengths)
        pooled.append(moments.sum(axis=2, keepdims=True))
        for hit in _smallest_units(moments, block.columns[columns], units, block.exact):
            found = True
            yield hit
    if not found and len(block.columns) > 1:
        yield from _smallest_units(sum(pooled), [block.name], units, block.exact)


def _smallest_units(moments, names, units, exact):
    """Yield the smallest unit only: mean 0 in each window implies mean 0 over all rows."""
    done = np.zeros(len(names), bool)
    for unit, codes in units.items():
        if unit == "window" and moments[0].max() < 3:
            continue  # a single number per window cannot be standardised by itself
        tolerance = exact if unit == "all" else 10 * exact  # many units do not meet it by chance
        is_so = _are_standardised(moments, codes, tolerance) & ~done
        yield from ((names[i], unit) for i in np.flatnonzero(is_so))
        done |= is_so


def _measure(values, lengths):
    """Count, sum and sum of squares over the last axis, (3, n_windows, n_columns).

    Missing values are left out, as are values beyond the `lengths` of the windows, if given.
    """
    n_windows, n_columns, n_times = values.shape
    moments = np.empty((3, n_windows, n_columns))
    n_rows = max(1, _CHUNK // (n_columns * n_times))
    for first in range(0, n_windows, n_rows):
        rows = slice(first, first + n_rows)
        part = values[rows].astype(float)
        absent = ~np.isfinite(part)
        if lengths is not None:
            absent |= (np.arange(n_times) >= lengths[rows, np.newaxis])[:, np.newaxis]
        part[absent] = 0.0
        moments[0, rows] = n_times - absent.sum(axis=2)
        moments[1, rows] = part.sum(axis=2)
        moments[2, rows] = np.einsum("nct,nct->nc", part, part)
    return moments


def _are_standardised(moments, codes, tolerance):
    """Whether each column has mean 0 and standard deviation 1 in all groups that can tell."""
    order = np.argsort(codes, kind="stable")
    first = np.searchsorted(codes[order], np.arange(codes.max() + 1))
    count, total, squares = np.add.reduceat(moments[:, order], first, axis=1)
    with np.errstate(over="ignore", invalid="ignore"):  # such columns are not standardised
        mean = total / np.maximum(count, 1)
        variance = np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0)
    deviations = np.sqrt(variance), np.sqrt(variance * count / np.maximum(count - 1, 1))
    # Too few values, or equal values, do not show how they were scaled.
    telling = (count >= 3) & (deviations[0] > tolerance)
    is_one = np.min([np.abs(deviation - 1) for deviation in deviations], axis=0) < tolerance
    scaled = telling & (np.abs(mean) < tolerance) & is_one
    return (scaled | ~telling).all(axis=0) & (scaled.sum(axis=0) * 2 >= len(scaled))
