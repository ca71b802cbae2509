"""Times of samples: seconds, Timestamps and Timedeltas, and even grids."""

import warnings
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

_DIGITS = range(3, 10)  # of an estimated sampling rate
_INTERVALS = 3.0  # longest gap bridged by default, in sampling intervals
_SAME = 0.01  # largest relative difference of mean and median interval in regular sampling
_SPARSEST = 1000  # most grid points per sample
_LOST = 0.1  # largest share of lost samples in regular sampling
_LOOKED_AT = 1 << 16  # times used to align the grid with the samples
_RARE = 0.01  # largest share of repeated times that are taken for mistakes
_BLOCK = 1 << 20  # times processed at once, so that long recordings need little memory


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
    backwards = [steps[steps < 0] for _, steps in _steps(seconds)]
    n_backwards = sum(map(len, backwards))
    if n_backwards:
        longest = -min(found.min(initial=0) for found in backwards)
        warnings.warn(
            f"{n_backwards} times of {name} go backwards, by up to {longest:.3g} s: the samples "
            "were sorted by time. If the clock was set in the middle of the recording, split it "
            "there.",
            UserWarning,
            stacklevel=3,
        )
        order = np.argsort(seconds, kind="stable")
        seconds, samples = seconds[order], samples[:, order]
    n_repeated = sum(int((steps == 0).sum()) for _, steps in _steps(seconds))
    if n_repeated >= len(seconds) - 1:
        raise ValueError(f"{name} has fewer than two samples with different times.")
    if n_repeated:
        if n_repeated / len(seconds) <= _RARE:
            first = np.diff(seconds, prepend=-np.inf) > 0
            seconds, samples = seconds[first], samples[:, first]
        else:
            seconds = _spread(seconds, sampling_rate)
    rates = _likely_rates(seconds) if sampling_rate is None else [float(sampling_rate)]
    rate = rates[0]
    if max_gap is None:
        max_gap = _INTERVALS / rate
    span = seconds[-1] - seconds[0]
    if span * rate > _SPARSEST * len(seconds):
        longest = max(steps.max() for _, steps in _steps(seconds))
        raise ValueError(
            f"{name} has {len(seconds)} samples at about {rate:.3g} Hz, but its times span "
            f"{span:.3g} s, with a gap of {longest:.3g} s. Remove wrong times, or split it there."
        )
    longest = max(max_gap, 1.5 / rate)
    for candidate in rates:
        gaps = _gaps_on_grid(seconds, candidate, longest)
        if gaps is None:
            continue
        start = _start_of_grid(seconds, candidate, gaps)
        if not len(gaps):
            return start, candidate, samples
        return start, candidate, _place(samples, gaps, max_gap * candidate)
    n_grid = int(np.floor(span * rate + 1e-6)) + 1
    return float(seconds[0]), rate, _resample(seconds, samples, rate, n_grid, longest)


def _resample(times, samples, rate, n_grid, longest):
    """Interpolate samples on a grid that begins at the first, with NaN inside longer gaps."""
    resampled = np.empty((len(samples), n_grid), samples.dtype)
    for begin in range(0, n_grid, _BLOCK):
        grid = times[0] + np.arange(begin, min(begin + _BLOCK, n_grid)) / rate
        before = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(times) - 2)
        part = slice(before[0], before[-1] + 2)
        block = np.stack([np.interp(grid, times[part], channel[part]) for channel in samples])
        in_gap = times[before + 1] - times[before] > longest
        after_sample = grid - times[before] > 0.5 / rate
        before_next = times[before + 1] - grid > 0.5 / rate
        block[:, in_gap & after_sample & before_next] = np.nan
        near = in_gap & ~(after_sample & before_next)  # take the sample next to the gap
        block[:, near] = samples[:, before[near] + after_sample[near]]
        resampled[:, begin : begin + len(grid)] = block
    return resampled


def _spread(times, sampling_rate):
    """Spread samples that share a time up to the next time."""
    first = np.flatnonzero(np.diff(times, prepend=-np.inf) > 0)
    counts = np.diff(np.append(first, len(times)))
    intervals = np.append(np.diff(times[first]) / counts[:-1], np.inf)
    usual = np.median(intervals) if sampling_rate is None else 1 / sampling_rate
    usual = usual if np.isfinite(usual) else np.median(intervals[:-1])  # of two times
    intervals[intervals > 1.5 * usual] = usual  # before a gap, and at the end
    within = np.arange(len(times)) - np.repeat(first, counts)
    return times + within * np.repeat(intervals, counts)


def is_increasing(times: NDArray[np.floating]) -> bool:
    """Return whether no time is earlier than the one before it, or NaN."""
    return all((steps >= 0).all() for _, steps in _steps(times))


def _steps(times):
    """Yield the position of a block of times, and the steps from each to the next."""
    for begin in range(0, len(times) - 1, _BLOCK):
        yield begin, np.diff(times[begin : begin + _BLOCK + 1])


def _likely_rates(times):
    """Return sampling rates to try, the most likely first."""
    some = np.arange(0, len(times) - 1, max(1, len(times) // _BLOCK))
    median = np.median(times[some + 1] - times[some])

    def mean_below(longest):
        """Return the mean of the steps up to a length, and their share of all."""
        total, n_found = 0.0, 0
        for _, steps in _steps(times):
            found = steps[steps < longest]
            total, n_found = total + found.sum(), n_found + len(found)
        return total / n_found, n_found / (len(times) - 1)

    mean, share = mean_below(1.5 * median)  # no sample lost in between
    if share < 1 - _LOST:  # irregular, or times rounded to about one interval
        mean, _ = mean_below(np.nextafter(_INTERVALS * median, np.inf))
    rates = [
        float(f"{1 / interval:.{digits}g}") for digits in _DIGITS for interval in (mean, median)
    ]
    if abs(median / mean - 1) < _SAME:  # a few misplaced samples do not move the median
        rates[:2] = rates[1::-1]
    return list(dict.fromkeys(rates))


def _offset(times, rate):
    """Return how far the grid is from the first time, in sampling intervals."""
    some = times[:: max(1, len(times) // _LOOKED_AT)] - times[0]
    return np.angle(np.exp(2j * np.pi * rate * some).mean()) / (2 * np.pi)


def _gaps_on_grid(times, rate, longest):
    """Return where samples are missing on a grid, or None if the samples do not fit it.

    The result has a row for each gap: the number of the sample before it, and the position of
    that sample and of the next one on the grid.
    """
    offset = _offset(times, rate)
    gaps = []
    position = np.round(-offset)
    first = position
    for begin, steps in _steps(times):
        after = times[begin + 1 : begin + len(steps) + 1]
        positions = np.round((after - times[0]) * rate - offset)
        moved = np.diff(positions, prepend=position)
        # A step of about one interval must be one position, so that drift is not overlooked.
        single = (steps <= longest) & (steps * rate < 1.5)
        if (moved < 1).any() or (moved[single] != 1).any():
            return None
        at = np.flatnonzero(moved > 1)
        gaps.append(np.column_stack([begin + at, positions[at] - moved[at], positions[at]]))
        position = positions[-1]
    found = np.concatenate(gaps)
    found[:, 1:] -= first
    return found.astype(np.intp)


def _start_of_grid(times, rate, gaps):
    """Return the time of position 0, as the median over the samples."""
    some = np.arange(0, len(times), max(1, len(times) // _LOOKED_AT))
    return float(np.median(times[some] - _positions(some, gaps) / rate))


def _positions(numbers, gaps):
    """Return the positions of samples on the grid, by their numbers."""
    missing = np.cumsum(np.append(0, gaps[:, 2] - gaps[:, 1] - 1))
    return numbers + missing[np.searchsorted(gaps[:, 0], numbers)]


def _place(samples, gaps, longest):
    """Return samples on the grid, with straight lines in short gaps and NaN in others."""
    n_times = samples.shape[1]
    n_grid = int(_positions(n_times - 1, gaps)) + 1
    placed = np.full((len(samples), n_grid), np.nan, samples.dtype)
    for begin in range(0, n_times, _BLOCK):
        block = samples[:, begin : begin + _BLOCK]
        placed[:, _positions(np.arange(begin, begin + block.shape[1]), gaps)] = block
    before, first, last = gaps[gaps[:, 2] - gaps[:, 1] <= longest + 1e-6].T
    sizes = last - first - 1
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes) + 1
    share = within / np.repeat(last - first, sizes)
    low, high = (np.repeat(samples[:, i], sizes, axis=1) for i in (before, before + 1))
    placed[:, np.repeat(first, sizes) + within] = low + (high - low) * share
    return placed
