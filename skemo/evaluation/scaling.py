"""Recognise input that was standardised before the split, per subject or over all rows."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skemo._checks import native_columns
from skemo.kernels.standardize import row_chunks, signal_lengths
from skemo.signals.checks import signal_columns
from skemo.signals.groups import GROUP_COLUMNS, trial_codes

_FEWEST_ROWS = 10  # fewer may have mean 0 and standard deviation 1 by accident
_CHUNK = 1 << 18  # numbers processed at once, so that temporaries take a few megabytes
_MEANINGS = {
    "all": "over all rows: statistics of tested rows went into training. Scale inside the model, "
    "as make_pipeline(StandardScaler(), ...) does",
    "subject": "in every subject: tested rows were standardised with other tested rows of the same "
    "person. This is transductive, and legitimate if it is declared",
    "trial": "in every trial: tested rows were standardised with other tested rows of the same "
    "trial. This is transductive, and legitimate if it is declared",
}


class InputBlock(NamedTuple):
    """A signal of the input, or all its numeric columns."""

    name: str
    columns: list[str]  # the names of all columns, or channels
    padded: bool  # whether zeros at the end of a window may be padding
    exact: float  # tolerance for a mean of 0 with values of this type
    # Yields slices of rows, and their values of shape (n_rows, n_columns, n_times).
    read: Callable[[], Iterator[tuple[slice, NDArray]]]


def input_blocks(X: Any) -> list[InputBlock]:
    """Return the signals of `X`, and its numeric columns that hold fractions.

    Parameters
    ----------
    X : DataFrame or array of n_windows rows

    Returns
    -------
    list of InputBlock
        Columns of subjects, trials and times are left out, and so are columns that are not
        numeric or hold only whole numbers, such as counts, codes and one-hot columns.
    """
    if isinstance(X, pd.DataFrame):
        X = _infer_objects(native_columns(X))  # columns of dtype object may hold numbers
        signals = set(signal_columns(X))
        columns = [(name, X.iloc[:, i]) for i, name in enumerate(X)]  # names may repeat
        blocks = [_signal_block(name, column.array) for name, column in columns if name in signals]
        numeric = [
            i
            for i, (name, column) in enumerate(columns)
            if pd.api.types.is_any_real_numeric_dtype(column.dtype) and name not in GROUP_COLUMNS
        ]

        def read_numbers(rows: slice) -> NDArray:
            return X.iloc[rows].iloc[:, numeric].to_numpy(float, na_value=np.nan)

        names = [columns[i][0] for i in numeric]
        exact = _exactness([columns[i][1].dtype for i in numeric])
        return [*blocks, *_number_blocks(read_numbers, len(X), names, exact)]
    X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    if X.dtype == object:
        try:
            X = X.astype(float)
        except (TypeError, ValueError):  # for example text
            return []
    if X.dtype.kind not in "iuf":
        return []
    if X.ndim > 2:
        return [_array_block(X)]
    X = X.reshape(len(X), -1)
    names = [f"column {i}" for i in range(X.shape[1])]
    return _number_blocks(X.__getitem__, len(X), names, _exactness([X.dtype]))


def _infer_objects(X):
    """Convert columns of dtype object to the type of what they hold."""
    changed = {}
    for i, dtype in enumerate(X.dtypes):
        if pd.api.types.is_object_dtype(dtype):
            column = X.iloc[:, i].infer_objects()
            if not pd.api.types.is_object_dtype(column.dtype):
                changed[i] = column
    X = X.copy(deep=False)
    for i, column in changed.items():
        X.isetitem(i, column)
    return X


def _exactness(dtypes):
    return 1e-6 if all(dtype.itemsize == 8 for dtype in dtypes) else 1e-5


def _signal_block(name, array):
    dtype = array.dtype
    columns = _channel_names(name, dtype.shape, dtype.channels)

    def read() -> Iterator[tuple[slice, NDArray]]:
        for rows, values in array.blocks(_CHUNK):
            yield rows, values.reshape(len(values), len(columns), dtype.shape[-1])

    return InputBlock(name, columns, dtype.may_be_padded, _exactness([dtype.value_type]), read)


def _array_block(X):
    columns = _channel_names("X", X.shape[1:], None)

    def read() -> Iterator[tuple[slice, NDArray]]:
        for rows in row_chunks(X.shape, n_samples=_CHUNK):
            yield rows, X[rows].reshape(-1, len(columns), X.shape[-1])

    return InputBlock("X", columns, False, _exactness([X.dtype]), read)


def _channel_names(name, shape, channels):
    if math.prod(shape[:-1]) <= 1:
        return [name]
    channels = channels or [f"channel {i}" for i in range(shape[-2])]
    return [f"{name} {channel}" for channel in channels] * math.prod(shape[:-2])


def _number_blocks(read_rows, n_rows, names, exact):
    slices = row_chunks((n_rows, len(names)), n_samples=_CHUNK)
    fractional = np.zeros(len(names), bool)
    for rows in slices:
        values = read_rows(rows)
        fractional |= ((values != np.round(values)) & np.isfinite(values)).any(axis=0)
    if not fractional.any():
        return []

    def read() -> Iterator[tuple[slice, NDArray]]:
        for rows in slices:
            yield rows, read_rows(rows)[:, fractional, np.newaxis]

    columns = [str(name) for name, kept in zip(names, fractional, strict=True) if kept]
    return [InputBlock("X", columns, False, exact, read)]


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
    """Return the name and unit of each standardised column, or of all columns pooled."""
    single = _Scales(block.columns, units, block.exact)
    pooled = _Scales([block.name], units, block.exact)
    for rows, values in block.read():
        moments = _measure(values, signal_lengths(values) if block.padded else None)
        single.add(rows, moments)
        pooled.add(rows, moments.sum(axis=2, keepdims=True))
    found = list(single.smallest_units())
    if not found and len(block.columns) > 1:
        return list(pooled.smallest_units())
    return found


class _Scales:
    """Finds columns that are standardised within units of rows, from rows added in chunks."""

    def __init__(self, names, units, exact):
        self.names = names
        self.units = units
        # A wider tolerance is safe, since many units do not meet it by chance.
        self.tolerances = {unit: exact if unit == "all" else 10 * exact for unit in units}
        # Count, sum and sum of squares of each group of rows: (3, n_groups, n_columns).
        self.sums = {
            unit: np.zeros((3, codes.max() + 1, len(names)))
            for unit, codes in units.items()
            if unit != "window"
        }
        # There are too many windows to keep their sums, so each is judged when it is added.
        self.most_in_window = 0
        self.all_windows_scaled = np.ones(len(names), bool)
        self.n_windows_scaled = np.zeros(len(names), int)

    def add(self, rows, moments):
        scaled, informative = _judge(moments, self.tolerances["window"])
        self.most_in_window = max(self.most_in_window, moments[0].max())
        self.all_windows_scaled &= (scaled | ~informative).all(axis=0)
        self.n_windows_scaled += scaled.sum(axis=0)
        for unit, sums in self.sums.items():
            codes = self.units[unit][rows]
            order = np.argsort(codes, kind="stable")
            codes = codes[order]
            first = np.flatnonzero(np.diff(codes, prepend=-1))
            sums[:, codes[first]] += np.add.reduceat(moments[:, order], first, axis=1)

    def smallest_units(self):
        """Yield each standardised column, with the smallest unit within which it is standardised.

        Mean 0 in each window implies mean 0 in larger units.
        """
        done = np.zeros(len(self.names), bool)
        for unit in self.units:
            if unit == "window":
                # A single number per window cannot be standardised by itself.
                is_scaled = self.all_windows_scaled & (self.most_in_window >= 3)
                is_scaled &= self.n_windows_scaled * 2 >= len(self.units["window"])
            else:
                scaled, informative = _judge(self.sums[unit], self.tolerances[unit])
                is_scaled = (scaled | ~informative).all(axis=0)
                is_scaled &= scaled.sum(axis=0) * 2 >= len(scaled)
            is_scaled &= ~done
            yield from ((self.names[i], unit) for i in np.flatnonzero(is_scaled))
            done |= is_scaled


def _measure(values, lengths):
    """Return count, sum and sum of squares over the last axis: (3, n_windows, n_columns).

    Missing values are left out, as are values beyond the `lengths` of the windows, if given.
    """
    samples = values.astype(float)
    absent = ~np.isfinite(samples)
    if lengths is not None:
        absent |= (np.arange(samples.shape[2]) >= lengths[:, np.newaxis])[:, np.newaxis]
    samples[absent] = 0.0
    count = samples.shape[2] - absent.sum(axis=2)
    return np.stack([count, samples.sum(axis=2), np.einsum("nct,nct->nc", samples, samples)])


def _judge(moments, tolerance):
    """Return where mean and standard deviation are 0 and 1, and where they are informative."""
    count, total, squares = moments
    with np.errstate(over="ignore", invalid="ignore"):  # such columns are not standardised
        mean = total / np.maximum(count, 1)
        variance = np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0)
    deviations = np.sqrt(variance), np.sqrt(variance * count / np.maximum(count - 1, 1))
    # Too few values, or equal ones, do not show how they were scaled.
    informative = (count >= 3) & (deviations[0] > tolerance)
    is_one = np.min([np.abs(deviation - 1) for deviation in deviations], axis=0) < tolerance
    return informative & (np.abs(mean) < tolerance) & is_one, informative
