"""Times of samples: seconds, Timestamps and Timedeltas, and even grids."""

import warnings
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo._checks import check_rate

_DIGITS = range(3, 10)  # of an estimated sampling rate
_INTERVALS = 3.0  # longest gap bridged by default, in sampling intervals
_SAME = 0.01  # largest relative difference of mean and median interval in regular sampling
_SPARSEST = 1000  # most grid points per sample
_LOST = 0.1  # largest share of lost samples in regular sampling
_LOOKED_AT = 1 << 16  # times used to align the grid with the samples
_RARE = 0.01  # largest share of repeated times that are taken for mistakes


def as_timestamp(value: Any, where: str) -> pd.Timestamp:
    """Return an absolute time as a Timestamp; raise for a number or duration.

    Parameters
    ----------
    value : Timestamp, datetime, datetime64 or str
    where : str
        What the value is, for the error.

    Returns
    -------
    Timestamp
    """
    if isinstance(value, Real | pd.Timedelta | np.timedelta64) or value is None:
        raise ValueError(
            f"{where} must be a Timestamp or a string such as '2024-05-01 09:30', got {value!r}. "
            "Convert unix seconds with pandas.Timestamp(seconds, unit='s', tz='UTC')."
        )
    try:
        timestamp = pd.Timestamp(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} must be a Timestamp, got {value!r} ({error}).") from error
    if timestamp is pd.NaT:
        raise ValueError(f"{where} is missing (NaT).")
    return timestamp


def is_absolute(value: Any) -> bool:
    """Return whether a time is absolute (Timestamp, datetime or str), not a number of seconds."""
    durations = Real | pd.Timedelta | np.timedelta64
    return not isinstance(value, durations) and (
        isinstance(value, str | np.datetime64) or hasattr(value, "year")
    )


def as_seconds(value: Any, origin: pd.Timestamp | None, where: str) -> float:
    """Return a time as seconds from the start of a recording.

    Parameters
    ----------
    value : float, Timedelta or Timestamp
        Numbers are seconds. The corresponding NumPy and standard-library types also work.
    origin : Timestamp or None
        When the recording starts.
    where : str
        What the value is, for the error.

    Returns
    -------
    float
    """
    if isinstance(value, Real) and not isinstance(value, np.timedelta64):
        return float(value)
    if is_absolute(value):
        moment = as_timestamp(value, where)
        if origin is None:
            raise ValueError(
                f"{where} is the time {moment}, but the recording has no start_time. Pass "
                "start_time=<the time of its second 0>, or use seconds."
            )
        if (moment.tz is None) != (origin.tz is None):
            raise ValueError(
                f"{where} is {moment}, but the recording starts at {origin}: one has a time zone "
                "and the other does not. Add it with tz_localize."
            )
        return (moment - origin).total_seconds()
    try:
        seconds = pd.Timedelta(value).total_seconds()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{where} must be seconds, a Timedelta or a Timestamp, got {value!r}."
        ) from error
    return float(seconds)


def even_grid(
    times: ArrayLike,
    values: ArrayLike,
    sampling_rate: float | None = None,
    *,
    max_gap: float | None = None,
    name: str = "the signal",
) -> tuple[float, float, NDArray[np.floating]]:
    """Put samples with individual times onto an even grid.

    The samples are kept unchanged if each is within half a sampling interval of its own grid
    point. Otherwise, they are interpolated linearly at the grid points, without filtering, so
    the rate of the grid should not be far below that of the samples. Grid points in gaps longer
    than `max_gap` are NaN.

    Samples that share a time, as written by devices that send packets, are spread evenly up to
    the next time. If at most 1 % of the times are repeated, only the first sample of each time
    is used. If times go backwards, the samples are sorted by time.

    Parameters
    ----------
    times : array-like of shape (n_times,)
        Time of each sample in seconds. Samples without a finite time are left out.
    values : array-like of shape (n_channels, n_times)
        The samples.
    sampling_rate : float, default=None
        Rate of the grid in hertz. None estimates it from the times, as the rate with the fewest
        digits (at least three) at which the samples can be kept unchanged. If there is none, it
        is the mean rate outside gaps, rounded to three digits.
    max_gap : float, default=None
        Longest time between two samples, in seconds, that is interpolated. None means three
        sampling intervals.
    name : str, default="the signal"
        Name of the samples in errors and warnings.

    Returns
    -------
    start : float
        Time of the first sample in seconds.
    sampling_rate : float
    values : ndarray of shape (n_channels, n_grid)

    Raises
    ------
    ValueError
        If there are fewer than two different times, or nearly all of the grid would be missing.

    Warns
    -----
    UserWarning
        If times go backwards.

    Examples
    --------
    >>> from skemo.signals.times import even_grid
    >>> start, rate, values = even_grid([0, 0.26, 0.49, 0.75, 2.0], [[1, 2, 3, 4, 5]])
    >>> rate, values.tolist()
    (4.0, [[1.0, 2.0, 3.0, 4.0, nan, nan, nan, nan, 5.0]])
    """
    samples: NDArray[Any] = np.atleast_2d(np.asarray(values))
    samples = samples.astype(np.result_type(samples.dtype, np.float32), copy=False)
    seconds: NDArray[np.float64] = np.asarray(times, np.float64)
    if seconds.shape != samples.shape[1:]:
        raise ValueError(f"{name} has {samples.shape[1]} samples, but {seconds.size} times.")
    known = np.isfinite(seconds)
    if not known.all():
        seconds, samples = seconds[known], samples[:, known]
    steps = np.diff(seconds)
    if (steps < 0).any():
        warnings.warn(
            f"{(steps < 0).sum()} times of {name} go backwards, by up to {-steps.min():.3g} s: the "
            "samples were sorted by time. If the clock was set in the middle of the recording, "
            "split it there.",
            UserWarning,
            stacklevel=3,
        )
        order = np.argsort(seconds, kind="stable")
        seconds, samples = seconds[order], samples[:, order]
        steps = np.diff(seconds)
    if not (steps > 0).any():
        raise ValueError(f"{name} has fewer than two samples with different times.")
    if (steps == 0).any():
        repeated = np.diff(seconds, prepend=-np.inf) == 0
        if repeated.mean() <= _RARE:
            seconds, samples = seconds[~repeated], samples[:, ~repeated]
        else:
            seconds = _spread(seconds, sampling_rate)
        steps = np.diff(seconds)
    if sampling_rate is not None:
        check_rate(sampling_rate)
    rates = _likely_rates(steps) if sampling_rate is None else [float(sampling_rate)]
    rate = rates[0]
    if max_gap is None:
        max_gap = _INTERVALS / rate
    span = seconds[-1] - seconds[0]
    if span * rate > _SPARSEST * len(seconds):
        raise ValueError(
            f"{name} has {len(seconds)} samples at about {rate:.3g} Hz, but its times span "
            f"{span:.3g} s, with a gap of {steps.max():.3g} s. Remove wrong times, or split it "
            "there."
        )
    breaks = steps > max(max_gap, 1.5 / rate)
    for candidate in rates:
        positions = _positions(seconds, steps * candidate, candidate, breaks)
        if positions is not None:
            n_grid = positions[-1] + 1
            start = float(np.median(seconds - positions / candidate))
            if n_grid == samples.shape[1]:
                return start, candidate, samples
            placed = np.full((len(samples), n_grid), np.nan, samples.dtype)
            placed[:, positions] = samples
            missing = np.delete(np.arange(n_grid), positions)
            _bridge(placed, positions, samples, missing, max_gap * candidate)
            return start, candidate, placed
    n_grid = int(np.floor(span * rate + 1e-6)) + 1
    grid = seconds[0] + np.arange(n_grid) / rate
    resampled = np.stack([np.interp(grid, seconds, channel) for channel in samples])
    before = np.clip(np.searchsorted(seconds, grid, side="right") - 1, 0, len(seconds) - 2)
    after_sample = grid - seconds[before] > 0.5 / rate
    before_next = seconds[before + 1] - grid > 0.5 / rate
    resampled[:, breaks[before] & after_sample & before_next] = np.nan
    near = breaks[before] & ~(after_sample & before_next)  # take the sample next to the gap
    nearest = before[near] + after_sample[near]
    resampled[:, near] = samples[:, nearest]
    return float(seconds[0]), rate, resampled.astype(samples.dtype, copy=False)


def _spread(times, sampling_rate):
    """Spread samples that share a time up to the next time."""
    first = np.flatnonzero(np.diff(times, prepend=-np.inf) > 0)
    counts = np.diff(np.append(first, len(times)))
    intervals = np.append(np.diff(times[first]) / counts[:-1], np.inf)
    usual = np.median(intervals) if sampling_rate is None else 1 / sampling_rate
    intervals[intervals > 1.5 * usual] = usual  # before a gap, and at the end
    within = np.arange(len(times)) - np.repeat(first, counts)
    return times + within * np.repeat(intervals, counts)


def _likely_rates(steps):
    """Return sampling rates to try, the most likely first, from the times between samples."""
    median = np.median(steps)
    single = steps < 1.5 * median  # no sample lost in between
    if single.mean() < 1 - _LOST:  # irregular, or times rounded to about one interval
        single = steps <= _INTERVALS * median
    mean = steps[single].mean()
    rates = [
        float(f"{1 / interval:.{digits}g}") for digits in _DIGITS for interval in (mean, median)
    ]
    if abs(median / mean - 1) < _SAME:  # a few misplaced samples do not move the median
        rates[:2] = rates[1::-1]
    return list(dict.fromkeys(rates))


def _positions(times, steps, rate, breaks):
    """Return the grid position of each sample, or None if the samples do not fit the grid.

    The `steps` between samples are in sampling intervals.
    """
    some = times[:: max(1, len(times) // _LOOKED_AT)] - times[0]
    phase = np.exp(2j * np.pi * rate * some).mean()
    offset = np.angle(phase) / (2 * np.pi)
    positions = np.round((times - times[0]) * rate - offset).astype(np.intp)
    positions -= positions[0]
    moved = np.diff(positions)
    # A step of about one interval must be one position, so that drift is not overlooked.
    single = ~breaks & (steps < 1.5)
    if (moved < 1).any() or (moved[single] != 1).any():
        return None
    return positions


def _bridge(placed, positions, values, missing, longest):
    """Interpolate the missing positions linearly in short gaps."""
    if not len(missing):
        return
    before = np.searchsorted(positions, missing) - 1
    short = positions[before + 1] - positions[before] <= longest + 1e-6
    missing = missing[short]
    for channel, samples in zip(placed, values, strict=True):
        channel[missing] = np.interp(missing, positions, samples)
