"""Statistics of the rows of an array that leave out NaN, without warnings for empty rows."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def divide(numerator: ArrayLike, denominator: ArrayLike) -> NDArray:
    """Quotient, NaN where the denominator is not positive."""
    return np.asarray(numerator) / np.where(np.asarray(denominator) > 0, denominator, np.nan)


def mean_and_deviation(values: NDArray) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation (divisor n - 1) of each row; NaN with too few values."""
    n = np.isfinite(values).sum(axis=1)
    mean = divide(np.nansum(values, axis=1), n)
    squares = np.nansum((values - mean[:, np.newaxis]) ** 2, axis=1)
    return mean, np.sqrt(divide(squares, n - 1))


def nan_median(values: NDArray, axis: int = 1) -> NDArray:
    """Median along an axis; NaN without any value."""
    ordered = np.sort(values, axis=axis)  # NaN last
    n = np.isfinite(values).sum(axis=axis, keepdims=True)
    below, above = (
        np.take_along_axis(ordered, middle, axis) for middle in (np.maximum(n - 1, 0) // 2, n // 2)
    )
    return ((below + above) / 2).squeeze(axis)
