"""Key columns of a table, such as the subject of each window, and the others as arrays."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import validate_data

from skemo._checks import check_range, float_type, native_columns
from skemo._samples import fill_mask
from skemo.signals.array import SignalArray
from skemo.signals.checks import reading_numbers, signal_columns
from skemo.signals.stored import StoredSignalArray

_LARGEST_FEATURE = 1e18  # whose square is a number in single precision


def validate_table(estimator: Any, X: Any, *, reset: bool) -> pd.DataFrame | NDArray:
    """Check a table of windows or features and its names, and return it; NaN is allowed."""
    if isinstance(X, pd.DataFrame):
        X = native_columns(X)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        if len(X) == 0:
            raise ValueError("Found array with 0 sample(s): X has no rows.")
        return X
    X = fill_mask(X) if isinstance(X, np.ma.MaskedArray) else X
    with reading_numbers(type(estimator).__name__):
        return validate_data(estimator, X, reset=reset, ensure_all_finite="allow-nan")


def find_column(X: pd.DataFrame | NDArray, column: Any, parameter: str) -> int:
    """Return the position of a column, given as the value of a parameter.

    Parameters
    ----------
    X : DataFrame or array of shape (n_windows, n_columns)
    column : str or int
        Name or position.
    parameter : str
        Name of the parameter, for error messages.

    Returns
    -------
    int
        From 0.
    """
    if isinstance(column, str):
        if not isinstance(X, pd.DataFrame):
            raise ValueError(
                f"{parameter}={column!r} names a column, but X is an array: pass a DataFrame with "
                f"that column, or its position as {parameter}=<int>."
            )
        if list(X.columns).count(column) != 1:
            raise ValueError(
                f"{parameter}={column!r} is not a column of X, which has {list(X.columns)}. Pass "
                f"it through in every earlier step, as with make_modality_transformer(..., "
                f"{column}='passthrough') and PerSubject(passthrough=[{column!r}]), or set "
                f"{parameter}=<its name>."
            )
        return list(X.columns).index(column)
    if not isinstance(column, int | np.integer) or isinstance(column, bool):
        raise ValueError(f"{parameter} must be a column's name or position, got {column!r}.")
    if not -X.shape[1] <= column < X.shape[1]:
        raise ValueError(
            f"{parameter}={column} is not a column of X, which has {X.shape[1]} columns."
        )
    return int(column) % X.shape[1]


def fitted_names(estimator: Any, input_features: ArrayLike | None) -> list[Any]:
    """Return the names of the columns that an estimator was fitted to."""
    if input_features is None:
        numbered = [f"x{i}" for i in range(estimator.n_features_in_)]
        input_features = getattr(estimator, "feature_names_in_", numbered)
    names = list(np.asarray(input_features, object))
    if len(names) != estimator.n_features_in_:
        raise ValueError(
            "input_features should have length equal to the number of features "
            f"({estimator.n_features_in_}), got {len(names)}."
        )
    return names


class FileBlock:
    """The windows of a signal column in a file, from which rows are taken as from an array.

    Parameters
    ----------
    array : StoredSignalArray
    """

    def __init__(self, array: StoredSignalArray) -> None:
        self._array = array
        self.shape = (len(array), *array.dtype.shape)
        self.ndim = len(self.shape)
        self.dtype = array.dtype.value_type

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> NDArray[np.floating]:
        return self._array[rows].values


def _windows(array):
    return FileBlock(array) if isinstance(array, StoredSignalArray) else array.values


def split_blocks(
    X: pd.DataFrame | NDArray,
    keys: Collection[int],
    who: str,
    remedy: str = "Encode or drop them in an earlier step.",
) -> tuple[
    list[Any],
    list[bool],
    Callable[[Sequence[NDArray], Collection[int]], pd.DataFrame | NDArray],
]:
    """Split the columns of `X` that are not keys into arrays.

    Parameters
    ----------
    X : DataFrame or array of shape (n_windows, n_columns)
    keys : collection of int
        Positions of columns that are left out.
    who : str
        Name of the estimator and what it does, for error messages.
    remedy : str, default="Encode or drop them in an earlier step."
        What to do about columns that are neither numeric nor signals, for error messages.

    Returns
    -------
    blocks : list of ndarray or FileBlock, of n_windows rows
        One per signal column, not copied, and one of all numeric columns, copied.
    padded : list of bool
        Whether each may have zero padding.
    rebuild : callable
        ``rebuild(blocks, kept)`` puts such blocks together in the order of `X`, with the keys
        `kept` as they were.
    """
    others = [i for i in range(X.shape[1]) if i not in keys]
    if not isinstance(X, pd.DataFrame):
        numbers = X[:, others].astype(float_type(X.dtype), copy=False)
        check_range(numbers, "X", _LARGEST_FEATURE)

        def rebuild_array(blocks, kept):
            if not kept:
                return blocks[0]
            whole = X.astype(blocks[0].dtype)
            whole[:, others] = blocks[0]
            return whole[:, sorted([*others, *kept])]

        return [numbers], [False], rebuild_array
    signals = set(signal_columns(X))
    signal = [i for i in others if X.columns[i] in signals]
    numeric = [i for i in others if i not in signal]
    unusable = [X.columns[i] for i in numeric if not _is_real(X.dtypes.iloc[i])]
    if unusable:
        raise ValueError(f"{who} numeric and signal columns, but got {unusable}. {remedy}")
    single = len(numeric) > 0 and all(X.dtypes.iloc[i] == np.float32 for i in numeric)
    # Column after column in memory, as pandas stores them.
    numbers = np.empty((len(numeric), len(X)), np.float32 if single else np.float64).T
    for column, i in zip(numbers.T, numeric, strict=True):
        column[:] = X.iloc[:, i].to_numpy(numbers.dtype, na_value=np.nan)
    check_range(numbers, "X", _LARGEST_FEATURE)
    arrays = [X.iloc[:, i].array for i in signal]
    for i, array in zip(signal, arrays, strict=True):
        for rows, values in array.blocks():
            check_range(values, X.columns[i], first_row=rows.start)

    def rebuild(blocks, kept):
        places = sorted({*others, *kept})
        names = X.columns[places]
        if not signal:
            result = pd.DataFrame(blocks[-1], X.index, numeric, copy=False)
            for place, i in enumerate(places):
                if i in kept:
                    result.insert(place, i, X.iloc[:, i].array)
            result.columns = names  # set_axis would copy the table
            return result
        columns = {i: X.iloc[:, i].array.copy() for i in kept}
        columns |= dict(zip(numeric, blocks[-1].T, strict=True))
        for i, array, values in zip(signal, arrays, blocks, strict=False):
            known = array.dtype
            columns[i] = SignalArray(
                values, sampling_rate=known.sampling_rate, channels=known.channels
            )
        result = pd.DataFrame({i: columns[i] for i in places}, index=X.index, copy=False)
        result.columns = names
        return result

    return (
        [*map(_windows, arrays), numbers],
        [*(array.dtype.may_be_padded for array in arrays), False],
        rebuild,
    )


def _is_real(dtype):
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)
