"""Motion in windows of an accelerometer, many windows at once."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skemo.kernels.filters import LARGEST_GAP_SHARE, fill_gaps

FEATURES = {
    "magnitude": ("ACC_Magnitude_Mean", "ACC_Magnitude_SD", "ACC_Magnitude_Max"),
    "activity": ("ACC_Activity", "ACC_Activity_Max", "ACC_MAD", "ACC_ENMO"),
    "motion": ("ACC_Motion_Share",),
}
_LEAST_STEADY = 0.5  # of the median magnitude; without gravity, means of seconds are near 0
_CHUNK = 1 << 18  # samples looked at together


def acceleration_by_second(
    acceleration: ArrayLike, sampling_rate: float, gravity: float | Literal["auto"] = "auto"
) -> tuple[NDArray, NDArray]:
    """Activity second by second, and the gravity that it is measured against.

    Parameters
    ----------
    acceleration : array of shape (n_windows, n_axes, n_times)
        In any unit, gravity included. One axis is taken for the magnitude.
    sampling_rate : float
        In hertz, at least 2.
    gravity : float or "auto", default="auto"
        What the sensor reads of a body at rest, in its unit: 1.0 in g, 64.0 in 1/64 g, 9.81
        in m/s². ``"auto"`` takes from each window the median, over its seconds, of the
        magnitude of the mean acceleration.

    Returns
    -------
    activity : ndarray of shape (n_windows, n_seconds)
        In g: root of the sum over the axes of the variance within a second. Samples that do
        not fill a second are left out.
    gravity : ndarray of shape (n_windows,)
        NaN, and so is the activity, for a window that is shorter than a second, of which
        more than 5 % of an axis is NaN, or which holds no gravity: with ``"auto"`` it is
        missing too if gravity is under half of the median magnitude.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.motion import acceleration_by_second
    >>> still = np.tile([[0.0], [38.4], [51.2]], 64)
    >>> moving = still + 16 * np.sin(2 * np.pi * 4 * np.arange(64) / 32)
    >>> activity, gravity = acceleration_by_second([still, moving], 32)
    >>> activity.round(2).tolist(), gravity.tolist()
    ([[0.0, 0.0], [0.31, 0.31]], [64.0, 64.0])
    """
    windows = np.asarray(acceleration, float)
    if windows.ndim != 3:
        raise ValueError(f"Windows are (n_windows, n_axes, n_times), got {windows.shape}.")
    n_windows, n_axes, n_times = windows.shape
    n_block = round(sampling_rate)
    if not sampling_rate >= 2:
        raise ValueError(f"Motion needs a sampling rate of at least 2 Hz, got {sampling_rate!r}.")
    n_seconds = n_times // n_block
    missing = (np.isnan(windows).sum(axis=2) > LARGEST_GAP_SHARE * n_times).any(axis=1)
    windows = fill_gaps(windows.reshape(-1, n_times)).reshape(windows.shape)
    if not n_seconds:
        return np.full((n_windows, 0), np.nan), np.full(n_windows, np.nan)
    seconds = windows[..., : n_seconds * n_block].reshape(n_windows, n_axes, n_seconds, n_block)
    first = seconds[..., :1]  # serves as zero, so that what is still is exactly so
    activity = np.sqrt((seconds - first).var(axis=3).sum(axis=1))
    if gravity == "auto":
        means = first[..., 0] + (seconds - first).mean(axis=3)
        found = np.median(np.sqrt((means**2).sum(axis=1)), axis=1)
        magnitude = np.median(np.sqrt((windows**2).sum(axis=1)), axis=1)
        missing |= ~((found > 0) & (found >= _LEAST_STEADY * magnitude))
    else:
        found = np.full(n_windows, float(gravity))
        missing |= ~np.any(windows, axis=(1, 2))  # of zeros throughout
    found[missing] = np.nan
    return activity / found[:, np.newaxis], found


def motion_features(
    acceleration: ArrayLike,
    sampling_rate: float,
    gravity: float | Literal["auto"] = "auto",
    min_motion: float = 0.02,
) -> dict[str, NDArray]:
    """Magnitude, activity, and the share of time in motion.

    Parameters
    ----------
    acceleration : array of shape (n_windows, n_axes, n_times)
        See :func:`acceleration_by_second`. May be memory-mapped: a few windows at a time
        are read.
    sampling_rate : float
        In hertz, at least 2.
    gravity : float or "auto", default="auto"
        See :func:`acceleration_by_second`.
    min_motion : float, default=0.02
        In g, the activity above which a second counts as motion.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)
        By the names of ``FEATURES``; :class:`skemo.AccelerometerTransformer` has their
        formulas.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.motion import motion_features
    >>> still = np.tile([[0.0], [0.6], [0.8]], 320)
    >>> still[2, :80] += 0.1 * np.sin(2 * np.pi * 4 * np.arange(80) / 32)
    >>> motion_features(still[np.newaxis], 32)["ACC_Motion_Share"]
    array([0.3])
    """
    acceleration = np.asarray(acceleration)
    n_windows = len(acceleration)
    names = [name for group in FEATURES.values() for name in group]
    features = np.full((len(names), n_windows), np.nan)
    step = max(1, _CHUNK // max(1, acceleration[:1].size))
    for start in range(0, n_windows, step):
        chunk = acceleration[start : start + step]
        activity, found = acceleration_by_second(chunk, sampling_rate, gravity)
        seen = np.flatnonzero(np.isfinite(found))
        if not len(seen):
            continue
        activity, found = activity[seen], found[seen, np.newaxis]
        windows = fill_gaps(np.asarray(chunk[seen], float).reshape(-1, chunk.shape[2]))
        windows = windows.reshape(len(seen), *chunk.shape[1:])
        magnitude = np.sqrt((windows**2).sum(axis=1)) / found
        deviation = magnitude - magnitude[:, :1]
        mean = deviation.mean(axis=1, keepdims=True)
        features[:, start + seen] = (
            magnitude[:, 0] + mean[:, 0],
            deviation.std(axis=1),
            magnitude.max(axis=1),
            activity.mean(axis=1),
            activity.max(axis=1),
            np.abs(deviation - mean).mean(axis=1),
            np.maximum(magnitude - 1, 0).mean(axis=1),
            (activity > min_motion).mean(axis=1),
        )
    return dict(zip(names, features, strict=True))
