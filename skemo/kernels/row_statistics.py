"""Statistics of rows that ignore NaN, without warnings about empty rows."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def divide(numerator: ArrayLike, denominator: ArrayLike) -> NDArray:
    """Return the quotient, NaN where the denominator is not positive."""
    return np.asarray(numerator) / np.where(np.asarray(denominator) > 0, denominator, np.nan)


def mean_and_deviation(values: NDArray) -> tuple[NDArray, NDArray]:
    """Return the mean and standard deviation (divisor n - 1) of each row, NaN if undefined."""
    n = np.isfinite(values).sum(axis=1)
    mean = divide(np.nansum(values, axis=1), n)
    squares = np.nansum((values - mean[:, np.newaxis]) ** 2, axis=1)
    return mean, np.sqrt(divide(squares, n - 1))


def nan_median(values: NDArray, axis: int = 1) -> NDArray:
    """Return the median along an axis, NaN if there are no values."""
    ordered = np.sort(values, axis=axis)  # NaN is sorted to the end
    n = np.isfinite(values).sum(axis=axis, keepdims=True)
    below, above = (
        np.take_along_axis(ordered, middle, axis) for middle in (np.maximum(n - 1, 0) // 2, n // 2)
    )
    return ((below + above) / 2).squeeze(axis)
