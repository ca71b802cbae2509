"""Level and slope of skin temperature in many windows at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skemo._checks import check_rate, is_number, real_samples
from skemo.kernels.filters import fill_gaps

FEATURES = {
    "level": ("TEMP_Mean", "TEMP_SD", "TEMP_Min", "TEMP_Max"),
    "slope": ("TEMP_Slope",),
}
VALID_RANGE = (15.0, 45.0)  # °C, of skin; an Empatica E4 writes 382.21 when its sensor fails
_CHUNK = 1 << 18  # samples processed together


def valid_temperature(
    temperature: ArrayLike, valid_range: tuple[float, float] | None = VALID_RANGE
) -> NDArray:
    """Temperature without readings that are impossible for skin.

    Parameters
    ----------
    temperature : array of shape (n_windows, n_times)
    valid_range : (low, high) or None, default=(15.0, 45.0)
        Smallest and largest valid reading, in the unit of the signal. None accepts all.

    Returns
    -------
    ndarray of shape (n_windows, n_times)
        Gaps and readings outside the range are bridged by straight lines. A window in which
        they are more than half is NaN throughout.

    Examples
    --------
    >>> from skemo.kernels.temperature import valid_temperature
    >>> window = [30.0] * 20 + [382.21] + [31.0] * 20
    >>> valid_temperature([window])[0, 19:22].tolist()
    [30.0, 30.5, 31.0]
    """
    check_valid_range(valid_range)
    return fill_gaps(_believed(_checked(temperature), valid_range))


def check_valid_range(valid_range: tuple[float, float] | None) -> None:
    """Raise unless `valid_range` is None or two numbers, the lower one first."""
    if valid_range is not None and not (
        np.shape(valid_range) == (2,)
        and all(is_number(limit) for limit in valid_range)
        and valid_range[0] < valid_range[1]
    ):
        raise ValueError(
            f"valid_range must be (low, high) in the signal's unit, or None, got {valid_range!r}."
        )


def _checked(temperature: ArrayLike) -> NDArray:
    return real_samples(temperature, "temperature", "(n_windows, n_times)", may_be_empty=True)


def _believed(temperature, valid_range):
    """Temperature with NaN for invalid readings, and throughout if they are more than half."""
    believed = np.array(temperature, np.result_type(temperature.dtype, np.float32))
    if valid_range is not None:
        low, high = valid_range
        believed[~((believed >= low) & (believed <= high))] = np.nan
    believed[2 * np.isnan(believed).sum(axis=1) > believed.shape[1]] = np.nan
    return believed


def temperature_features(
    temperature: ArrayLike,
    sampling_rate: float,
    valid_range: tuple[float, float] | None = VALID_RANGE,
) -> dict[str, NDArray]:
    """Level and slope of skin temperature.

    Parameters
    ----------
    temperature : array of shape (n_windows, n_times)
        In degrees Celsius for the default range. May be memory-mapped: a few windows at a time
        are read.
    sampling_rate : float
        In hertz.
    valid_range : (low, high) or None, default=(15.0, 45.0)
        See :func:`valid_temperature`.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)
        TEMP_Mean, TEMP_SD (divisor n), TEMP_Min and TEMP_Max, in the unit of the signal;
        TEMP_Slope, the slope of the least-squares line, in that unit per second. They are
        computed from the valid readings, and are NaN if these are less than half of a window.
        TEMP_Slope is also NaN for a single reading.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.temperature import temperature_features
    >>> features = temperature_features(30 + 0.01 * np.arange(240)[np.newaxis] / 4, 4)
    >>> features["TEMP_Slope"].round(6)
    array([0.01])
    """
    temperature = _checked(temperature)
    check_rate(sampling_rate)
    check_valid_range(valid_range)
    n_windows, n_times = temperature.shape
    seconds = np.arange(n_times) / sampling_rate
    names = [name for group in FEATURES.values() for name in group]
    features = np.full((len(names), n_windows), np.nan)
    step = max(1, _CHUNK // max(1, n_times))
    for start in range(0, n_windows if n_times else 0, step):
        believed = _believed(temperature[start : start + step], valid_range).astype(float)
        rows = np.flatnonzero(np.isfinite(believed).any(axis=1))
        if not len(rows):
            continue
        believed = believed[rows]
        # Relative to the lowest reading, a steady temperature is exactly 0.
        least = np.nanmin(believed, axis=1, keepdims=True)
        deviation = believed - least
        mean = np.nanmean(deviation, axis=1, keepdims=True)
        times = np.where(np.isnan(believed), np.nan, seconds)
        times -= np.nanmean(times, axis=1, keepdims=True)
        squares = np.nansum(times**2, axis=1)
        slope = np.nansum((deviation - mean) * times, axis=1)
        features[:, start + rows] = (
            least[:, 0] + mean[:, 0],
            np.sqrt(np.nanmean((deviation - mean) ** 2, axis=1)),
            least[:, 0],
            np.nanmax(believed, axis=1),
            slope / np.where(squares > 0, squares, np.nan),
        )
    return dict(zip(names, features, strict=True))
