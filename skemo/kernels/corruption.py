"""Sensor faults put into windows on purpose: late packets, noise, movement, saturation."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skemo._checks import check_rate, real_samples

_MOTION = (0.5, 8.0)  # Hz, the band of movement
_RAILS = (0.25, 0.75)  # quantiles of a window at which it is clipped
_CHUNK = 1 << 20  # samples processed together


def other_windows(groups: ArrayLike, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return, for each window, the position of a random other window of the same group.

    Parameters
    ----------
    groups : array-like of shape (n_windows,)
        The group of each window, such as its subject.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n_windows,)
        If a window is alone in its group, its own position.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.corruption import other_windows
    >>> other_windows(["a", "b", "a", "c", "b"], np.random.default_rng(0)).tolist()
    [2, 4, 0, 3, 1]
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    others = np.arange(len(codes))
    for code in range(codes.max(initial=-1) + 1):
        rows = np.flatnonzero(codes == code)
        if len(rows) > 1:
            steps = rng.integers(1, len(rows), len(rows))
            others[rows] = rows[(np.arange(len(rows)) + steps) % len(rows)]
    return others


def add_noise(values: ArrayLike, snr: float, rng: np.random.Generator) -> NDArray[np.floating]:
    """Add white noise to windows, at a given signal-to-noise ratio in each channel of each window.

    Parameters
    ----------
    values : array-like of shape (n_windows, ..., n_channels, n_times)
        Windows; NaN stays NaN.
    snr : float
        Signal-to-noise ratio in decibels: ``10 log10(signal / noise)`` of the variances over time.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of the shape of `values`

    Raises
    ------
    ValueError
        If `values` are not real numbers, or have no time axis for each window.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.corruption import add_noise
    >>> wave = np.sin(np.arange(10_000) / 10).reshape(1, 1, -1)
    >>> noise = add_noise(wave, 20, np.random.default_rng(0)) - wave
    >>> round(float(10 * np.log10(wave.var() / noise.var())), 1)
    20.0
    """
    windows = _read(values)
    disturbed = np.empty_like(windows)
    for rows in _row_chunks(windows):
        noise = rng.standard_normal(windows[rows].shape)
        disturbed[rows] = windows[rows] + noise * _spread(windows[rows], snr)
    return disturbed


def add_motion(
    values: ArrayLike, sampling_rate: float, snr: float, rng: np.random.Generator
) -> NDArray[np.floating]:
    """Add a movement to each window: noise between 0.5 and 8 Hz that rises and falls.

    It lasts between half of the window and all of it, and affects all channels of a window, some
    more than others. At low sampling rates, the band ends at 0.4 times the sampling rate.

    Parameters
    ----------
    values : array-like of shape (n_windows, ..., n_channels, n_times)
        Windows; NaN stays NaN.
    sampling_rate : float
        In hertz.
    snr : float
        Signal-to-noise ratio in decibels: ``10 log10(signal / movement)`` of the variances over the
        whole window. Individual channels vary around it.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of the shape of `values`

    Raises
    ------
    ValueError
        If `values` are not real numbers or have no time axis for each window, or if
        `sampling_rate` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.corruption import add_motion
    >>> moved = add_motion(np.zeros((1, 1, 640)), 64, 0, np.random.default_rng(0))
    >>> bool((moved == 0).all())  # relative to a signal that does not vary
    True
    """
    check_rate(sampling_rate)
    windows = _read(values)
    n_times = windows.shape[-1]
    frequencies = np.fft.rfftfreq(n_times, 1 / sampling_rate)
    low, high = min(_MOTION[0], sampling_rate / 8), min(_MOTION[1], 0.4 * sampling_rate)
    inside = (frequencies >= low) & (frequencies <= high)
    inside = inside if inside.any() else frequencies > 0
    moved = np.empty_like(windows)
    for rows in _row_chunks(windows):
        n = len(windows[rows])
        spectrum = rng.standard_normal((n, len(frequencies), 2)) @ [1, 1j] * inside
        length = n_times * rng.uniform(0.5, 1, (n, 1))
        start = rng.random((n, 1)) * (n_times - length)
        phase = ((np.arange(n_times) + 0.5 - start) / length).clip(0, 1)
        movement = np.fft.irfft(spectrum, n_times) * np.sin(np.pi * phase) ** 2
        movement -= movement.mean(axis=1, keepdims=True)
        power = np.sqrt((movement**2).mean(axis=1, keepdims=True))
        movement /= np.where(power > 0, power, 1)
        movement = np.expand_dims(movement, tuple(range(1, windows.ndim - 1)))
        reach = np.exp(rng.normal(0, 0.5, (*windows[rows].shape[:-1], 1)))
        moved[rows] = windows[rows] + reach * movement * _spread(windows[rows], snr)
    return moved


def saturate(values: ArrayLike) -> NDArray[np.floating]:
    """Clip each channel of a window at its quartiles, so that half of it lies at a limit.

    Parameters
    ----------
    values : array-like of shape (n_windows, ..., n_channels, n_times)
        Windows; NaN stays NaN.

    Returns
    -------
    ndarray of the shape of `values`

    Raises
    ------
    ValueError
        If `values` are not real numbers, or have no time axis for each window.

    Examples
    --------
    >>> from skemo.kernels.corruption import saturate
    >>> saturate([[[0.0, 1.0, 2.0, 3.0, 4.0]]]).tolist()
    [[[1.0, 1.0, 2.0, 3.0, 3.0]]]
    """
    windows = _read(values)
    limited = np.empty_like(windows)
    for rows in _row_chunks(windows):
        part = windows[rows]
        known = np.where(np.isnan(part).all(axis=-1, keepdims=True), 0.0, part)
        low, high = np.nanquantile(known, _RAILS, axis=-1, keepdims=True)
        limited[rows] = part.clip(low, high)
    return limited


def hold(values: ArrayLike) -> NDArray[np.floating]:
    """Hold the first sample of each channel for the whole window.

    Parameters
    ----------
    values : array-like of shape (n_windows, ..., n_channels, n_times)
        Windows. The first sample that is not NaN is held; NaN stays NaN.

    Returns
    -------
    ndarray of the shape of `values`

    Raises
    ------
    ValueError
        If `values` are not real numbers, or have no time axis for each window.

    Examples
    --------
    >>> from skemo.kernels.corruption import hold
    >>> hold([[[2.0, 1.0, 5.0]]]).tolist()
    [[[2.0, 2.0, 2.0]]]
    """
    windows = _read(values)
    first = (~np.isnan(windows)).argmax(axis=-1)
    held = np.take_along_axis(windows, first[..., np.newaxis], axis=-1)
    return np.where(np.isnan(windows), windows, held)


def _read(values: ArrayLike) -> NDArray[np.floating]:
    samples = real_samples(values, "values")
    if samples.ndim < 2:
        raise ValueError(f"values must have a time axis for each window, got {samples.shape}.")
    return samples.astype(np.result_type(samples.dtype, np.float32), copy=False)


def _spread(values, snr):
    """Return the standard deviation of noise at this ratio, by channel."""
    known = ~np.isnan(values)
    n = known.sum(axis=-1, keepdims=True).clip(1)
    mean = np.where(known, values, 0).sum(axis=-1, keepdims=True, dtype=float) / n
    variance = (np.where(known, values - mean, 0) ** 2).sum(axis=-1, keepdims=True) / n
    return np.sqrt(variance) * 10 ** (-snr / 20)


def _row_chunks(values):
    """Return slices of rows, each of about `_CHUNK` samples."""
    step = max(1, _CHUNK // max(1, int(np.prod(values.shape[1:]))))
    return [slice(start, start + step) for start in range(0, len(values), step)]
