"""Mean and standard deviation of windows, and windows standardised by them."""

import numpy as np

_CHUNK = 1 << 20  # samples looked at together: temporaries of a few megabytes


def signal_lengths(values):
    """Return how many samples of each window come before its zero padding.

    Padding is the run of exact zeros at the end of the last axis, in all channels at once.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ..., n_times)

    Returns
    -------
    ndarray of shape (n_windows,)
        0 where a window is zero throughout.
    """
    lengths = np.zeros(len(values), np.intp)
    for rows in _row_chunks(values):
        used = (values[rows] != 0).any(axis=tuple(range(1, values.ndim - 1)))
        lengths[rows] = (used * np.arange(1, used.shape[-1] + 1)).max(axis=-1, initial=0)
    return lengths


def signal_statistics(values, sample_weight=None, *, by_time=False, padded=True):
    """Return mean and standard deviation of each channel, pooled over windows and time.

    NaN is left out, and zero padding where there may be any. They are computed in double
    precision and in a fixed order, so that the same windows always give the same bits.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ..., n_channels, n_times)
        Windows of a signal.
    sample_weight : array-like of shape (n_windows,), default=None
        Weight of each window; None weighs them alike.
    by_time : bool, default=False
        Pool over windows only, and give each position of the last axis its own.
    padded : bool, default=True
        Whether zeros at the end of a window are padding.

    Returns
    -------
    mean, scale : ndarray of shape (1, ..., n_channels, 1), or (1, ..., n_channels, n_times)
        In double precision. A channel that is constant has scale 1; one without a single
        sample has NaN for both.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.standardize import signal_statistics
    >>> mean, scale = signal_statistics(np.array([[[1.0, 3.0, 0.0, 0.0]]]))
    >>> mean.item(), scale.item()
    (2.0, 1.0)
    """
    inside = np.ones((len(values), values.shape[-1]), bool)
    if padded:
        inside = np.arange(values.shape[-1]) < signal_lengths(values)[:, np.newaxis]
    if by_time:
        leading = tuple(range(1, values.ndim - 1))
        values = np.where(np.expand_dims(inside, leading), values, np.nan)[..., np.newaxis]
        mean, scale = mean_and_scale(values, None, sample_weight)
        return mean[..., 0], scale[..., 0]
    return mean_and_scale(values, inside, sample_weight)


def standardize_signals(values, mean, scale, *, padded=True):
    """Return ``(values - mean) / scale``, with zero padding left at zero.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ..., n_channels, n_times)
        Windows of a signal. Not changed.
    mean, scale : ndarray of shape (1, ..., n_channels, 1)
        From `signal_statistics`.
    padded : bool, default=True
        Whether zeros at the end of a window are padding.

    Returns
    -------
    ndarray of the shape and floating type of `values`
        NaN stays NaN.
    """
    standardized = values - mean.astype(values.dtype)
    standardized /= scale.astype(values.dtype)
    if not padded:
        return standardized
    padding = np.arange(values.shape[-1]) >= signal_lengths(values)[:, np.newaxis]
    if padding.any():
        leading = tuple(range(1, values.ndim - 1))
        np.copyto(standardized, 0, where=np.expand_dims(padding, leading))
    return standardized


def mean_and_scale(values, inside=None, sample_weight=None):
    """Moments over the first and last axes, of what is not NaN and lies `inside`."""
    axes = (0, values.ndim - 1)
    leading = tuple(range(1, values.ndim - 1))
    if inside is None:
        inside = np.ones((len(values), values.shape[-1]), bool)
    if sample_weight is None:
        sample_weight = np.ones(len(values))
    sample_weight = np.asarray(sample_weight, np.float64)

    def weighted_sums(center):
        count, first, second = 0.0, 0.0, 0.0
        for rows in _row_chunks(values):
            samples = values[rows].astype(np.float64, order="C")
            weight = np.expand_dims(inside[rows] * sample_weight[rows, np.newaxis], leading)
            absent = np.isnan(samples)
            weight = np.where(absent, 0.0, weight)
            samples[absent] = 0.0
            samples -= center
            count = count + weight.sum(axis=axes, keepdims=True)
            weight *= samples
            first = first + weight.sum(axis=axes, keepdims=True)
            weight *= samples
            second = second + weight.sum(axis=axes, keepdims=True)
        return count, first, second

    count, first, _ = weighted_sums(0.0)
    absent = count == 0
    count[absent] = 1.0
    mean = first / count
    # What the first pass rounded off, the second corrects: the mean of a constant is that
    # constant, so that what is left of it is 0.
    _, first, second = weighted_sums(mean)
    mean = mean + first / count
    variance = np.maximum(second / count - (first / count) ** 2, 0.0)
    # Rounding leaves a constant channel with a variance that is not quite 0: the same bound
    # as in scikit-learn's StandardScaler.
    eps = np.finfo(np.float64).eps
    constant = variance <= count * eps * variance + (count * mean * eps) ** 2
    scale = np.where(constant, 1.0, np.sqrt(variance))
    mean[absent] = scale[absent] = np.nan
    return mean, scale


def _row_chunks(values):
    """Slices of rows, each of about `_CHUNK` samples."""
    step = max(1, _CHUNK // max(1, int(np.prod(values.shape[1:]))))
    return [slice(start, start + step) for start in range(0, len(values), step)]
