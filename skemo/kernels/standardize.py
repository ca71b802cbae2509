"""Mean and standard deviation of windows, and windows standardised by them."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skemo._checks import check_range, float_type

_CHUNK = 1 << 17  # samples to process at a time, so that temporary arrays stay in the cache


def signal_lengths(values: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the number of samples of each window before its zero padding.

    Padding is the run of exact zeros at the end of the last axis, where all channels are zero.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ..., n_times)

    Returns
    -------
    ndarray of shape (n_windows,)
        0 for a window that is zero throughout.
    """
    channels = tuple(range(1, values.ndim - 1))
    n_times = values.shape[-1]
    lengths = np.full(len(values), n_times, np.intp)
    for rows in row_chunks(values.shape):
        # Most windows are not padded, as their last sample shows.
        is_padded = (values[rows, ..., -1:] == 0).all(axis=(*channels, -1))
        padded = rows.start + np.flatnonzero(is_padded)
        used = (values[padded] != 0).any(axis=channels)
        lengths[padded] = (used * np.arange(1, n_times + 1)).max(axis=-1, initial=0)
    return lengths


def signal_statistics(
    values: NDArray[np.floating],
    sample_weight: ArrayLike | None = None,
    *,
    rows: NDArray[np.intp] | None = None,
    by_time: bool = False,
    padded: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and standard deviation of each channel, pooled over windows and time.

    NaN is ignored and, if `padded`, so is zero padding. The statistics are computed in double
    precision and in a fixed order, so that the same windows always give the same bits.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ..., n_channels, n_times)
        Windows of a signal.
    sample_weight : array-like of shape (n_windows,), default=None
        Weight of each window; if None, all weights are equal.
    rows : ndarray of int, default=None
        Positions of the windows to use, in the order of `sample_weight`. The result is that of
        ``values[rows]``, but this is never in memory as a whole. None uses all windows.
    by_time : bool, default=False
        Whether to pool over windows only, with separate statistics for each position of the last
        axis.
    padded : bool, default=True
        Whether zeros at the end of a window are padding.

    Returns
    -------
    mean, scale : ndarray of shape (1, ..., n_channels, 1), or (1, ..., n_channels, n_times)
        In double precision. A constant channel has scale 1; a channel without any sample has
        NaN for both.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.standardize import signal_statistics
    >>> mean, scale = signal_statistics(np.array([[[1.0, 3.0, 0.0, 0.0]]]))
    >>> mean.item(), scale.item()
    (2.0, 1.0)
    """
    _check_statistics(values, rows)
    _, mean, std = moments(values, sample_weight, rows=rows, by_time=by_time, padded=padded)
    return mean, np.where(std == 0, 1.0, std)


def signal_moments(
    values: NDArray[np.floating], *, padded: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return how many samples each channel has, their mean and their standard deviation.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ..., n_channels, n_times)
        Windows of a signal.
    padded : bool, default=True
        Whether zeros at the end of a window are padding.

    Returns
    -------
    count, mean, std : ndarray of shape (1, ..., n_channels, 1)
        The mean is that of `signal_statistics`, and so is the standard deviation, except that
        it is 0 in a constant channel. NaN for both in a channel without any sample.
    """
    _check_statistics(values)
    return moments(values, padded=padded)


def combine_moments(
    one: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    other: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the count, mean and standard deviation of two sets of samples together.

    Parameters
    ----------
    one, other : tuple of (count, mean, std)
        Arrays of the same shape, as `signal_moments` returns them.

    Returns
    -------
    count, mean, std : ndarray
        Those that `signal_moments` returns for all samples together, up to rounding [1]_.

    References
    ----------
    .. [1] Chan, T. F., Golub, G. H., & LeVeque, R. J. (1983). Algorithms for computing the sample
       variance: analysis and recommendations. The American Statistician, 37(3), 242-247.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.standardize import combine_moments
    >>> one, other = (np.array([x]) for x in (2.0, 1.0, 1.0)), (np.array([x]) for x in (1, 4.0, 0))
    >>> [x.item() for x in combine_moments(tuple(one), tuple(other))]
    [3.0, 2.0, 1.632993161855452]
    """
    (n_one, mean_one, std_one), (n_other, mean_other, std_other) = one, other
    count = n_one + n_other
    share = n_other / np.maximum(count, 1)
    between = mean_other - mean_one
    mean = mean_one + between * share
    variance = std_one**2 * (1 - share) + std_other**2 * share + between**2 * share * (1 - share)
    std = np.where(_is_constant(count, mean, variance), 0.0, np.sqrt(variance))
    first, last = n_other == 0, n_one == 0
    return (
        count,
        np.where(first, mean_one, np.where(last, mean_other, mean)),
        np.where(first, std_one, np.where(last, std_other, std)),
    )


def standardize_signals(
    values: NDArray[np.floating],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
    *,
    padded: bool = True,
) -> NDArray[np.floating]:
    """Return ``(values - mean) / scale``; zero padding stays zero.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ..., n_channels, n_times)
        Windows of a signal; not modified.
    mean, scale : ndarray of shape (1, ..., n_channels, 1)
        From `signal_statistics`.
    padded : bool, default=True
        Whether zeros at the end of a window are padding.

    Returns
    -------
    ndarray with the shape and floating type of `values`
        NaN stays NaN.
    """
    _check_real(values, 2)
    values = values.astype(float_type(values.dtype), copy=False)
    standardized = values - mean.astype(values.dtype)
    standardized /= scale.astype(values.dtype)
    if not padded:
        return standardized
    padding = np.arange(values.shape[-1]) >= signal_lengths(values)[:, np.newaxis]
    if padding.any():
        leading = tuple(range(1, values.ndim - 1))
        np.copyto(standardized, 0, where=np.expand_dims(padding, leading))
    return standardized


def _check_statistics(values, rows=None):
    _check_real(values, 3)
    if 0 in values.shape or (rows is not None and len(rows) == 0):
        raise ValueError(
            f"Statistics need at least one sample, got windows of shape {values.shape}."
        )
    if rows is None:
        check_range(values, "values")
        return
    for chunk in row_chunks(values.shape, len(rows)):
        check_range(values[rows[chunk]], "values")


def _check_real(values, n_axes):
    if values.dtype.kind not in "iuf" or values.ndim < n_axes:
        raise ValueError(
            "Windows must be real numbers of shape (n_windows, ..., n_channels, n_times), got "
            f"{values.dtype} of shape {values.shape}."
        )


def moments(
    values: NDArray[np.floating],
    sample_weight: ArrayLike | None = None,
    *,
    rows: NDArray[np.intp] | None = None,
    by_time: bool = False,
    padded: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the count, mean and standard deviation over windows and time.

    NaN is ignored, and so is padding.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ..., n_times)
        Anything with such a shape, from which rows can be taken.
    sample_weight, rows, by_time, padded
        As for `signal_statistics`, but without padding by default.

    Returns
    -------
    count, mean, std : ndarray of shape (1, ..., 1), or (1, ..., n_times)
        As in `signal_moments`; the count is the sum of the weights.
    """
    n_rows = len(values) if rows is None else len(rows)
    if sample_weight is None:
        sample_weight = np.ones(n_rows)
    try:
        window_weight = np.asarray(sample_weight, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight must be numbers, got {sample_weight!r}.") from error
    if window_weight.shape != (n_rows,):
        raise ValueError(f"sample_weight must have shape ({n_rows},), got {window_weight.shape}.")

    def weighted_sums(center):
        sums = [0.0, 0.0, 0.0]
        for chunk in row_chunks(values.shape, n_rows):
            samples = values[chunk if rows is None else rows[chunk]]
            weight = window_weight[chunk, np.newaxis]
            if padded:
                inside = np.arange(samples.shape[-1]) < signal_lengths(samples)[:, np.newaxis]
                weight = inside * weight
            weight = np.expand_dims(weight, tuple(range(1, samples.ndim - 1)))
            samples = samples.astype(np.float64, order="C")
            absent = np.isnan(samples)
            weight = np.where(absent, 0.0, weight)
            samples[absent] = 0.0
            if by_time:  # the axis to pool over is a new one of length 1
                samples, weight = samples[..., np.newaxis], weight[..., np.newaxis]
            samples -= center
            for power in range(3):
                if power > 0:
                    weight *= samples
                sums[power] = sums[power] + weight.sum(axis=(0, weight.ndim - 1), keepdims=True)
        return sums

    total, first, _ = weighted_sums(0.0)
    absent = total == 0
    count = np.where(absent, 1.0, total)
    mean = first / count
    # The second pass corrects the rounding errors of the first, so that the mean of a constant is
    # exactly that constant.
    _, first, second = weighted_sums(mean)
    mean = mean + first / count
    variance = np.maximum(second / count - (first / count) ** 2, 0.0)
    std = np.where(_is_constant(count, mean, variance), 0.0, np.sqrt(variance))
    mean[absent] = std[absent] = np.nan
    if by_time:
        return total[..., 0], mean[..., 0], std[..., 0]
    return total, mean, std


def _is_constant(count, mean, variance):
    """Return whether a variance is within the rounding errors of a constant.

    The bound is that of scikit-learn's StandardScaler.
    """
    eps = np.finfo(np.float64).eps
    return variance <= count * eps * variance + (count * mean * eps) ** 2


def row_chunks(
    shape: Sequence[int], n_rows: int | None = None, n_samples: int = _CHUNK
) -> list[slice]:
    """Return slices of the rows of an array, so that each has a limited number of samples.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    n_rows : int, default=None
        Number of rows to divide; None divides those of the array.
    n_samples : int, default=2**20
        Samples per slice, unless a single row has more.
    """
    n_rows = shape[0] if n_rows is None else n_rows
    step = max(1, n_samples // max(1, math.prod(shape[1:])))
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
