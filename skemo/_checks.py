"""Checks of samples and sampling rates that all functions and estimators share."""

from collections.abc import Hashable
from numbers import Real
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo._samples import fill_mask

# Larger values are placeholders for missing samples. At this size, the square of a Fourier
# coefficient of a million samples is still finite in single precision.
LARGEST_SAMPLE = 1e12
HIGHEST_RATE = 1e6  # Hz
_CHUNK = 1 << 20  # samples checked at a time: a few megabytes


def real_samples(
    values: ArrayLike,
    name: Hashable,
    shape: str | None = None,
    *,
    may_be_empty: bool = False,
    any_size: bool = False,
) -> NDArray[Any]:
    """Return samples as an array of integers, float32 or float64, or raise an error.

    Parameters
    ----------
    values : array-like
        Memory-mapped arrays are not copied. Masked samples of a masked array become NaN.
    name : str
        Name of the samples in error messages.
    shape : str, default=None
        The required axes, such as "(n_windows, n_times)".
    may_be_empty : bool, default=False
        Whether windows may have no samples. An array without windows is always accepted.
    any_size : bool, default=False
        Whether to leave it to the caller to call `check_range`.

    Raises
    ------
    ValueError
        If the values are not real numbers, do not have the required axes, or are infinite or
        larger than `LARGEST_SAMPLE` in magnitude. NaN is allowed.
    """
    samples = fill_mask(values)
    if samples.dtype.kind not in "iuf":
        raise ValueError(f"{name!r} must hold real numbers, got dtype {samples.dtype}.")
    if shape is not None and samples.ndim != shape.count(",") + 1:
        raise ValueError(f"{name!r} must have shape {shape}, got {samples.shape}.")
    if 0 in samples.shape[1:] and not may_be_empty:
        raise ValueError(f"{name!r} has no samples: its shape is {samples.shape}.")
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):
            samples = samples.astype(float_type(samples.dtype), copy=False)
    if not any_size:
        check_range(samples, name)
    return samples


def float_type(dtype: np.dtype) -> np.dtype:
    """Return float32 or float64, whichever can hold values of a real `dtype`."""
    if dtype.kind == "f" and dtype.itemsize > 8:
        return np.dtype(np.float64)
    return np.result_type(dtype, np.float32)


def native_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with numbers in the machine's byte order, which pandas requires."""
    swapped = [
        i
        for i, dtype in enumerate(table.dtypes)
        if isinstance(dtype, np.dtype) and not dtype.isnative
    ]
    if not swapped:
        return table
    table = table.copy()
    for i in swapped:
        values = table.iloc[:, i].to_numpy()
        table.isetitem(i, values.astype(values.dtype.newbyteorder("=")))
    return table


def check_range(
    values: NDArray[Any],
    name: Hashable,
    largest: float = LARGEST_SAMPLE,
    *,
    first_row: int = 0,
) -> None:
    """Raise if `values` contains infinity or a magnitude above `largest`; NaN is allowed.

    `first_row` is the number of the first row in error messages.
    """
    if values.dtype.kind in "iu" and np.iinfo(values.dtype).max <= largest:
        return
    n_rows = max(1, _CHUNK // max(1, values[:1].size))
    for start in range(0, len(values), n_rows):
        chunk = values[start : start + n_rows].ravel()
        # A single sum of squares is several times faster than checking each value.
        with np.errstate(over="ignore", invalid="ignore"):
            squares = float(np.dot(chunk, chunk)) if chunk.dtype.kind == "f" else np.inf
        if squares <= largest**2:
            continue
        extremes = (
            float(np.fmax.reduce(chunk)),
            float(np.fmin.reduce(chunk)),
        )  # NaN only if all values are
        if any(abs(extreme) > largest for extreme in extremes):
            _refuse(values[start : start + n_rows], name, first_row + start, largest)


def _refuse(values, name, start, largest):
    if np.isinf(values).any():
        raise ValueError(
            f"{name!r} contains infinity. Replace missing samples by NaN, or drop their windows."
        )
    place = np.argwhere(np.abs(values.astype(float)) > largest)[0]
    raise ValueError(
        f"{name!r} has the value {values[tuple(place)]:g} in row {start + place[0]}, beyond "
        f"{largest:g}. If it marks missing samples, replace it by NaN; otherwise use a larger unit."
    )


def is_number(value: object) -> TypeGuard[float]:
    """Return whether `value` is a real number; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_positive(value: object) -> TypeGuard[float]:
    """Return whether `value` is a finite number above 0."""
    return is_number(value) and 0 < value < np.inf


def check_rate(
    sampling_rate: Any, name: str = "sampling_rate", lowest: float = 0.0, why: str = ""
) -> None:
    """Raise unless a rate is a number of hertz above 0 and at least `lowest`.

    Parameters
    ----------
    sampling_rate : object
    name : str, default="sampling_rate"
        Name of the rate in error messages.
    lowest : float, default=0.0
    why : str, default=""
        The reason for `lowest`, as in "An ECG needs at least".
    """
    if not is_number(sampling_rate) or not 0 < sampling_rate <= HIGHEST_RATE:
        raise ValueError(
            f"{name} must be a number of hertz (samples per second) above 0 and at most "
            f"{HIGHEST_RATE:g}, got {sampling_rate!r}."
        )
    if sampling_rate < lowest:
        raise ValueError(
            f"{name}={sampling_rate:g} Hz is too low: {why} {lowest:g} Hz. Check that it "
            "is in hertz, not a period in seconds."
        )
