"""Motion in many windows of an accelerometer signal at once."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skemo._checks import check_rate, is_number, is_positive, real_samples

FEATURES = {
    "magnitude": ("ACC_Magnitude_Mean", "ACC_Magnitude_SD", "ACC_Magnitude_Max"),
    "activity": ("ACC_Activity", "ACC_Activity_Max", "ACC_MAD", "ACC_ENMO"),
    "motion": ("ACC_Motion_Share",),
}
_LEAST_STEADY = 0.5  # of the magnitude: the least gravity; without it, means of seconds are near 0
_UNSEEN = 0.5  # largest share of a window's seconds that may be left out
_CHUNK = 1 << 18  # samples processed together


def acceleration_by_second(
    acceleration: ArrayLike, sampling_rate: float, gravity: float | Literal["auto"] = "auto"
) -> tuple[NDArray, NDArray]:
    """Activity second by second, relative to gravity, and gravity itself.

    Parameters
    ----------
    acceleration : array of shape (n_windows, n_axes, n_times)
        In any unit, gravity included. A single axis is taken as the magnitude.
    sampling_rate : float
        In hertz, at least 2.
    gravity : float or "auto", default="auto"
        Magnitude that the sensor measures at rest, in its unit: 1.0 in g, 64.0 in 1/64 g, 9.81
        in m/s². ``"auto"`` takes the magnitude of the mean acceleration in each second, and its
        median over the window.

    Returns
    -------
    activity : ndarray of shape (n_windows, n_seconds)
        In g: square root of the variance within a second, summed over the axes. NaN for a second
        with NaN or, with ``gravity="auto"``, with zeros in all axes. Samples at the end that do
        not fill a second are left out.
    gravity : ndarray of shape (n_windows,)
        Gravity in the unit of the sensor. It is NaN, as is the activity, in a window shorter than
        a second, in which more than half of the seconds are NaN, or which shows no gravity. With
        ``"auto"``, gravity below half of the root mean square of the magnitude counts as none.

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
    acceleration = _checked(acceleration, sampling_rate)
    check_settings(gravity)
    seconds, unseen = _cut_seconds(acceleration, sampling_rate, gravity)
    return _measure(seconds, unseen, gravity)


def check_settings(gravity: float | Literal["auto"], min_motion: float = 0.0) -> None:
    """Raise unless both parameters are as :func:`motion_features` describes them."""
    is_auto = isinstance(gravity, str) and gravity == "auto"
    if not is_auto and not is_positive(gravity):
        raise ValueError(f"gravity must be 'auto' or a number above 0, got {gravity!r}.")
    if not is_number(min_motion) or not min_motion >= 0:
        raise ValueError(f"min_motion must be a number of at least 0, got {min_motion!r}.")


def _checked(acceleration: ArrayLike, sampling_rate: float) -> NDArray:
    check_rate(sampling_rate, lowest=2, why="motion needs at least")
    axes = "(n_windows, n_axes, n_times)"
    return real_samples(acceleration, "acceleration", axes, may_be_empty=True)


def _cut_seconds(acceleration, sampling_rate, gravity):
    """Windows cut into seconds, (n_windows, n_axes, n_seconds, n_times), and which to leave out."""
    # Sums are rounded in the order of memory, which should not depend on the container.
    windows = np.ascontiguousarray(acceleration, float)
    n_windows, n_axes, n_times = windows.shape
    n_block = round(sampling_rate)
    n_seconds = n_times // n_block
    seconds = windows[..., : n_seconds * n_block].reshape(n_windows, n_axes, n_seconds, n_block)
    unseen = np.isnan(seconds).any(axis=(1, 3))
    if gravity == "auto":  # a sensor that reads no gravity is off
        unseen |= (seconds == 0).all(axis=1).any(axis=2)
    return seconds, unseen


def _measure(seconds, unseen, gravity):
    """Activity in each second and gravity in each window, NaN where they are unknown."""
    n_windows, _, n_seconds, _ = seconds.shape
    missing = unseen.sum(axis=1) > _UNSEEN * n_seconds
    if not n_seconds or missing.all():
        return np.full((n_windows, n_seconds), np.nan), np.full(n_windows, np.nan)
    first = seconds[..., :1]  # relative to it, a sensor lying still has exactly no activity
    activity = np.sqrt((seconds - first).var(axis=3).sum(axis=1))
    activity[unseen] = np.nan
    if gravity == "auto":
        found, magnitude = np.full((2, n_windows), np.nan)
        means = first[..., 0] + (seconds - first).mean(axis=3)
        for values, result in (
            (np.sqrt((means**2).sum(axis=1)), found),
            (np.sqrt((seconds**2).sum(axis=1).mean(axis=2)), magnitude),
        ):
            values[unseen] = np.nan
            result[~missing] = np.nanmedian(values[~missing], axis=1)
        missing |= ~((found >= _LEAST_STEADY * magnitude) & (found > 0))
    else:
        found = np.full(n_windows, float(gravity))
        missing |= ~np.any(np.nan_to_num(seconds), axis=(1, 2, 3))  # zeros throughout
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
        Under the names in ``FEATURES``; :class:`skemo.AccelerometerTransformer` has their
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
    acceleration = _checked(acceleration, sampling_rate)
    check_settings(gravity, min_motion)
    n_windows = len(acceleration)
    names = [name for group in FEATURES.values() for name in group]
    features = np.full((len(names), n_windows), np.nan)
    step = max(1, _CHUNK // max(1, acceleration[:1].size))
    for start in range(0, n_windows, step):
        chunk = acceleration[start : start + step]
        seconds, unseen = _cut_seconds(chunk, sampling_rate, gravity)
        activity, found = _measure(seconds, unseen, gravity)
        rows = np.flatnonzero(np.isfinite(found))
        if not len(rows):
            continue
        activity, found = activity[rows], found[rows, np.newaxis, np.newaxis]
        magnitude = np.sqrt((seconds[rows] ** 2).sum(axis=1)) / found
        magnitude[unseen[rows]] = np.nan
        magnitude = magnitude.reshape(len(rows), -1)
        level = np.nanmax(magnitude, axis=1, keepdims=True)  # so that no motion is exactly 0
        mean = np.nanmean(magnitude - level, axis=1, keepdims=True)
        deviation = magnitude - level - mean
        features[:, start + rows] = (
            level[:, 0] + mean[:, 0],
            np.sqrt(np.nanmean(deviation**2, axis=1)),
            level[:, 0],
            np.nanmean(activity, axis=1),
            np.nanmax(activity, axis=1),
            np.nanmean(np.abs(deviation), axis=1),
            np.nanmean(np.maximum(magnitude - 1, 0), axis=1),
            np.nansum(activity > min_motion, axis=1) / np.isfinite(activity).sum(axis=1),
        )
    return dict(zip(names, features, strict=True))
