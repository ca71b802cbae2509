"""Candidates for heartbeats: maxima of an envelope in windows of an ECG or a pulse wave."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from skemo.kernels.filters import (
    band_gain,
    block_extremes,
    extended_spectrum,
    fill_gaps,
    loops_along_rows,
    synthesise,
)
from skemo.kernels.hrv import sliding

REFRACTORY = 0.3  # s, the least between two beats
STRONG = 0.4  # of the level around it, above which a maximum is likely to be a beat
_WEAK = 0.12  # of the level around it, below which a maximum is ignored
_LEVEL_QUANTILE = 0.3  # of the maxima around, more than half of which may be artefacts
_ECG_FLOOR = 0.1  # of the usual level in a window: the lowest level of an ECG
_LEVEL_FLOOR = 1e-3  # of the highest level; below it, as in a flat stretch, is rounding error
_T_WAVE, _T_HEIGHT = 0.42, 0.5  # s after a higher maximum, and share of its height: a T wave
_EXTREMUM_REACH = 0.06  # s, the most from the maximum of the envelope to R or S
_FAST = 0.7  # of a maximum's height: one that high within 0.3 s shows a heart too fast
# Least height of the envelope of the QRS band relative to the range of the ECG within 60 ms: 0.26
# to 0.40 in windows of recorded ECG, 0.04 to 0.13 in windows of a recorded pulse.
_SHARP = 0.2
# Largest slope of a pulse 1/16 s before and after its steepest point, relative to that point: 0.21
# to 0.81 in windows of a recorded pulse, 0.73 to 0.91 if it was sampled at 4 Hz and interpolated.
_BLURRED = 0.77
_FASTEST = 0.2  # s, the least between two beats of such a heart
_N_BETWEEN = 7  # values of the envelope between two maxima that measure the background
_FILTERED = 1 << 18  # samples filtered together, so that temporary arrays fit into the cache
_SLOPE_RATE = 64  # Hz, of the slope of the pulse
_CREST_WEIGHT = 0.15  # of the width of crests relative to the steepness of rises
_UPSIDE_DOWN = -0.05  # uprightness below which a window is turned
_MAINS = (50.0, 60.0)  # Hz
_ECG_SHAPE = (0.1, 100)  # s on either side of a beat that are compared; at this rate in Hz
_PULSE_SHAPE = (REFRACTORY, 32)
_AT_GAP = 0.06  # s from a missing sample within which a QRS complex may be cut off


class Candidates(NamedTuple):
    """Maxima that may be heartbeats, in order of window and time.

    Attributes
    ----------
    rows : int array of shape (n_candidates,)
        Window of each candidate.
    times : array of shape (n_candidates,)
        Seconds from the start of the window.
    heights : array of shape (n_candidates,)
        Height of the envelope.
    relative : array of shape (n_candidates,)
        Height relative to the level around it.
    after : array of shape (n_candidates,)
        Median of the envelope between the maximum and the next, relative to its height; NaN
        for the last one of a window.
    fast : bool array of shape (n_candidates,)
        Whether a maximum of similar height follows within less than 0.3 s.
    sharp : bool array of shape (n_candidates,)
        Whether it is as short as a QRS complex, or as the upstroke of a pulse that is sampled
        fast enough.
    shapes : array of shape (n_samples, n_candidates)
        The signal around each of them, of norm 1.
    directions : array of shape (n_candidates,)
        1 for a beat that points up, -1 for one that points down.
    """

    rows: NDArray
    times: NDArray
    heights: NDArray
    relative: NDArray
    after: NDArray
    fast: NDArray
    sharp: NDArray
    shapes: NDArray
    directions: NDArray

    def take(self, index: NDArray) -> "Candidates":
        """Some of the candidates."""
        return Candidates(*(values[..., index] for values in self))


def join(candidates: list[Candidates]) -> Candidates:
    """Candidates of several batches of windows, one after the other."""
    if len(candidates) == 1:
        return candidates[0]
    return Candidates(*(np.concatenate(each, axis=-1) for each in zip(*candidates, strict=True)))


def fill_windows(windows: NDArray) -> tuple[NDArray, NDArray | None, NDArray]:
    """Windows with gaps bridged, centred and scaled to 1; where the gaps are; and the scales.

    The second is None if no sample is missing.
    """
    missing = None
    with loops_along_rows(windows.shape[1]):
        high, low = windows.max(axis=1), windows.min(axis=1)  # NaN where a sample is missing
        if np.isnan(high).any():
            missing = np.isnan(windows)
            windows = np.where(missing.all(axis=1, keepdims=True), 0.0, fill_gaps(windows))
            high, low = windows.max(axis=1), windows.min(axis=1)
        middle = windows.mean(axis=1, dtype=np.result_type(windows.dtype, np.float32))
        scale = np.maximum(high - middle, middle - low)
        # A constant window becomes exactly 0, even if its mean is rounded.
        scale = np.where((high > low) & (scale > np.finfo(scale.dtype).tiny), scale, 0)
        filled = np.subtract(windows, middle[:, np.newaxis])
        filled *= np.where(scale > 0, 1 / np.where(scale > 0, scale, 1), 0)[:, np.newaxis]
    return filled.astype(np.float32, copy=False), missing, scale


def ecg_candidates(
    windows: NDArray, sampling_rate: float, missing: NDArray | None, signs: tuple | None = None
) -> list[Candidates]:
    """Candidates in windows of an ECG that `fill_windows` has prepared.

    With `signs`, there is one set for each sign, in which every beat is placed at its highest (1)
    or lowest (-1) point. Without, there is one set, and each window has the sign of most of its
    beats.
    """
    (envelope, envelope_rate), (trace, trace_rate), before = _ecg_traces(windows, sampling_rate)
    start = round(before * envelope_rate)
    rows, columns, relative = _maxima_above_level(envelope, envelope_rate, "ecg")
    kept = ~_follows_higher(rows, columns / envelope_rate, envelope[rows, columns])
    rows, columns, relative = rows[kept], columns[kept], relative[kept]
    if missing is not None:
        seen = _away_from_gaps(missing, rows, columns / envelope_rate, sampling_rate)
        rows, columns, relative = rows[seen], columns[seen], relative[seen]

    first = int(np.ceil(before * trace_rate))
    last = int((before + (windows.shape[1] - 1) / sampling_rate) * trace_rate)
    centres = np.round((columns + start) * (trace_rate / envelope_rate)).astype(int)
    near, around = _around(trace, rows, centres, trace_rate, first, last)
    up, down = around.max(axis=0), -around.min(axis=0)
    directions = (up - down) / np.maximum(np.abs(up) + np.abs(down), np.finfo(np.float32).tiny)
    sharp = envelope[rows, columns] > _SHARP * (up + down)
    if signs is None:
        weights = np.where(relative > STRONG, directions, 0)
        total = np.bincount(rows, weights, minlength=len(trace))
        each_sign = [np.where(total[rows] < 0, -1, 1).astype(trace.dtype)]
    else:
        each_sign = [np.full(len(rows), sign, trace.dtype) for sign in signs]
    found = []
    for sign in each_sign:
        index = near[(sign * around).argmax(axis=0), np.arange(len(rows))]
        positions = _between_samples(trace, rows, index, sign)
        inside = np.flatnonzero((index > first) & (index < last))
        found.append(
            _describe(
                envelope,
                envelope_rate,
                rows[inside],
                columns[inside],
                relative[inside],
                positions[inside] / trace_rate - before,
                sharp[inside],
                _shapes(trace, rows[inside], positions[inside], trace_rate, *_ECG_SHAPE),
                directions[inside],
            )
        )
    return found


def pulse_candidates(
    windows: NDArray, sampling_rate: float, missing: NDArray | None, sign: int | None = None
) -> Candidates:
    """Candidates in windows of a pulse wave that `fill_windows` has prepared.

    A `sign` of -1 means that the pulse is upside down; None decides this for each window.
    """
    n_windows, n_times = windows.shape
    slope, rate, before = _pulse_slope(windows, sampling_rate)
    inner = _inside(n_times / sampling_rate, before, rate)
    if sign is None:
        # A pulse wave rises faster than it falls and, less reliably, its crests are narrower than
        # its troughs.
        upright = _asymmetry(slope[:, inner], rate)
        unsure = np.abs(upright - _UPSIDE_DOWN) <= _CREST_WEIGHT
        upright[unsure] += _crests(slope[unsure, inner], rate)
        signs = np.where(upright < _UPSIDE_DOWN, -1, 1)
    else:
        signs = np.full(n_windows, sign)
    slope[signs < 0] *= -1
    envelope = np.maximum(slope[:, inner], 0)
    rows, columns, relative = _maxima_above_level(envelope, rate, "ppg")
    strong = relative > STRONG
    rows, columns, relative = rows[strong], columns[strong], relative[strong]
    if missing is not None:
        seen = _away_from_gaps(missing, rows, columns / rate, sampling_rate)
        rows, columns, relative = rows[seen], columns[seen], relative[seen]
    first = int(np.ceil(before * rate))
    last = int((before + (n_times - 1) / sampling_rate) * rate)
    near, around = _around(slope, rows, columns + inner.start, rate, first, last)
    index = near[around.argmax(axis=0), np.arange(len(rows))]
    positions = _between_samples(slope, rows, index, np.ones(len(rows), slope.dtype))
    inside = np.flatnonzero((index > first) & (index < last))
    shapes = _shapes(slope, rows[inside], positions[inside], rate, *_PULSE_SHAPE)
    middle, step = len(shapes) // 2, _PULSE_SHAPE[1] // 16
    beside = (shapes[middle - step] + shapes[middle + step]) / 2
    return _describe(
        envelope,
        rate,
        rows[inside],
        columns[inside],
        relative[inside],
        positions[inside] / rate - before,
        beside <= _BLURRED * shapes[middle],
        shapes,
        signs[rows[inside]].astype(np.float32),
    )


def pulse_direction(windows: NDArray, sampling_rate: float) -> float:
    """How clearly the pulse in these windows is the right way up; negative if it is upside down."""
    slope, rate, before = _pulse_slope(windows, sampling_rate)
    inner = slope[:, _inside(windows.shape[1] / sampling_rate, before, rate)]
    return float((_asymmetry(inner, rate) + _crests(inner, rate)).sum())


def _crests(slope, rate):
    """How much higher the crests of a wave are than its troughs are deep, weighted."""
    wave = np.cumsum(slope, axis=1)
    wave -= wave.mean(axis=1, keepdims=True)
    return _CREST_WEIGHT * _asymmetry(wave, rate)


def _asymmetry(values, rate):
    """Difference of the highest and lowest values of each window, relative to their sum.

    All stretches of 1.5 s have the same weight, so that movement does not decide.
    """
    n_block = min(values.shape[1], round(1.5 * rate))
    high = block_extremes(np.maximum, values, n_block)
    low = -block_extremes(np.minimum, values, n_block)
    size = np.abs(high) + np.abs(low)
    seen = size > _LEVEL_FLOOR * size.max(axis=1, keepdims=True)
    asymmetry = np.where(seen, high - low, 0) / np.where(seen, size, 1)
    return asymmetry.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)


def _ecg_traces(windows, sampling_rate):
    """Envelope of the QRS band and its rate; ECG at a rate that can place R, and that rate.

    The ECG begins before the windows, by the number of seconds returned third.
    """
    # Reflection about the mean of 40 ms instead of one sample halves false beats at noisy edges.
    n_pivot = max(1, round(0.04 * sampling_rate))
    n_together = _windows_together(windows)
    for start in range(0, len(windows), n_together):
        some = slice(start, start + n_together)
        few = windows[some]
        spectrum, n_extended, n_before = extended_spectrum(few, int(sampling_rate / 2), n_pivot)
        duration = n_extended / sampling_rate
        n_envelope = scipy.fft.next_fast_len(max(2, round(100 * duration)))
        n_trace = scipy.fft.next_fast_len(max(2, round(200 * duration)), real=True)
        place, find = _ecg_gains(n_extended, sampling_rate)
        before, envelope_rate = n_before / sampling_rate, n_envelope / duration
        inner = _inside(windows.shape[1] / sampling_rate, before, envelope_rate)
        if start == 0:
            trace = np.empty((len(windows), n_trace), windows.dtype)
            envelope = np.empty((len(windows), inner.stop - inner.start), windows.dtype)
        trace[some] = synthesise(spectrum, place, n_extended, n_trace)
        analytic = synthesise(spectrum, find, n_extended, n_envelope, analytic=True)
        np.abs(analytic[:, inner], out=envelope[some])
    return (envelope, envelope_rate), (trace, n_trace / duration), before


def _windows_together(windows):
    """Number of windows that are filtered together, of which SciPy transforms four at once."""
    n = _FILTERED // windows.shape[1]
    return max(1, n) if n < 4 else n // 4 * 4


def _inside(duration, before, rate):
    """Samples of a signal at a rate that are inside windows that begin `before` seconds later."""
    start = round(before * rate)
    return slice(start, start + max(1, int(duration * rate)))


@lru_cache(maxsize=16)
def _ecg_gains(n_extended, sampling_rate):
    """Gains of the bands in which R waves are placed, and in which QRS complexes are found."""
    frequencies = np.arange(n_extended // 2 + 1) * (sampling_rate / n_extended)
    place = band_gain(frequencies, 2, 40)
    for mains in _MAINS:
        place *= 1 - np.exp(-(((frequencies - mains) / 1.5) ** 2))
    return place, band_gain(frequencies, 8, 20)


def _pulse_slope(windows, sampling_rate):
    """Slope of the pulse, its rate, and the number of seconds it begins before the windows."""
    n_together = _windows_together(windows)
    slopes = []
    for start in range(0, len(windows), n_together):
        few = windows[start : start + n_together]
        spectrum, n_extended, n_before = extended_spectrum(few, int(2 * sampling_rate))
        n_slope = max(2, round(n_extended / sampling_rate * _SLOPE_RATE))
        n_slope = scipy.fft.next_fast_len(n_slope, real=True)
        gain = _pulse_gain(n_extended, sampling_rate)
        slopes.append(synthesise(spectrum, gain, n_extended, n_slope))
    rate = n_slope * sampling_rate / n_extended
    return np.concatenate(slopes), rate, n_before / sampling_rate


@lru_cache(maxsize=16)
def _pulse_gain(n_extended, sampling_rate):
    frequencies = np.arange(n_extended // 2 + 1) * (sampling_rate / n_extended)
    return band_gain(frequencies, 0.5, 5) * (2j * np.pi * frequencies)


def _maxima_above_level(envelope, rate, signal):
    """Rows and columns of maxima at least 0.3 s apart, and their height relative to the level."""
    n_windows, n_times = envelope.shape
    n_block = min(n_times, round(rate / 2))
    highest = block_extremes(np.maximum, envelope, n_block)
    n_blocks = highest.shape[1]
    n_near = 4 if signal == "ecg" else 3  # two seconds, or 1.5, which hold a beat
    n_levels = max(1, n_blocks - n_near + 1)
    highest = np.max([highest[:, i : i + n_levels] for i in range(min(n_near, n_blocks))], axis=0)
    around = sliding(highest, 17)  # over ten seconds
    lowest = int(_LEVEL_QUANTILE * (around.shape[2] - 1))
    level = np.partition(around, lowest, axis=2)[..., lowest]
    top = highest.max(axis=1, keepdims=True)
    if signal == "ecg":
        # Empty stretches do not lower the usual level.
        ordered = np.sort(highest, axis=1)
        empty = np.count_nonzero(highest <= _LEVEL_FLOOR * top, axis=1)
        middle = np.minimum((empty + n_levels) // 2, n_levels - 1)
        usual = ordered[np.arange(n_windows), middle][:, np.newaxis]
        level = np.maximum(level, _ECG_FLOOR * usual)
    level = np.maximum(level, _LEVEL_FLOOR * top)
    block = np.clip(np.arange(-(-n_times // n_block)) - 8 - n_near // 2, 0, level.shape[1] - 1)

    n_apart = round(REFRACTORY * rate)
    rows, columns = _maxima(envelope, n_apart - 1)
    heights, levels = envelope[rows, columns], level[rows, block[columns // n_block]]
    above = heights > _WEAK * levels
    rows, columns = rows[above], columns[above]
    relative = heights[above] / levels[above]
    # The first of equal maxima is used.
    repeated = (np.diff(rows, prepend=-1) == 0) & (np.diff(columns, prepend=0) < n_apart)
    return rows[~repeated], columns[~repeated], relative[~repeated]


def _maxima(values, reach):
    """Rows and columns of positive values that no value within `reach` columns exceeds."""
    n_rows, n_times = values.shape
    width, places = n_times + 2 * reach, []
    n_together = max(1, _FILTERED // width)
    # One long array, in which columns of -1 keep the rows apart.
    padded = np.full((min(n_together, n_rows), width), -1, values.dtype)
    for start in range(0, n_rows, n_together):
        some = values[start : start + n_together]
        padded[: len(some), reach : reach + n_times] = some
        joined = padded[: len(some)].reshape(-1)
        # The largest of 1, 2, 4, ... values from each place on, until all within reach are covered.
        largest, n_covered = joined, 1
        while n_covered < 2 * reach + 1:
            step = min(n_covered, 2 * reach + 1 - n_covered)
            largest, n_covered = np.maximum(largest[:-step], largest[step:]), n_covered + step
        middle = joined[reach : reach + len(largest)]
        places.append(np.flatnonzero((largest == middle) & (middle > 0)) + start * width)
    return np.divmod(np.concatenate(places), width)


def _follows_higher(rows, times, heights):
    """Whether a maximum follows a much higher one so soon that it is a T wave."""
    follows = np.zeros(len(rows), bool)
    follows[1:] = (
        (rows[1:] == rows[:-1])
        & (times[1:] - times[:-1] < _T_WAVE)
        & (heights[1:] < _T_HEIGHT * heights[:-1])
    )
    return follows


def _away_from_gaps(missing, rows, times, sampling_rate):
    """Whether a QRS complex at each time is not cut off by missing samples.

    A sample or two may be missing.
    """
    n_missing = np.zeros((len(missing), missing.shape[1] + 1), np.int32)
    np.cumsum(missing, axis=1, out=n_missing[:, 1:])
    begin, end = (
        np.clip(np.round((times + shift) * sampling_rate), 0, missing.shape[1]).astype(int)
        for shift in (-_AT_GAP, _AT_GAP)
    )
    return n_missing[rows, end] - n_missing[rows, begin] <= 0.02 * sampling_rate


def _around(trace, rows, centres, rate, first, last):
    """Columns near each centre, and the trace there, with one column per candidate."""
    reach = round(_EXTREMUM_REACH * rate)
    # NumPy is faster with few long rows than with many short ones.
    near = np.clip(np.arange(-reach, reach + 1)[:, np.newaxis] + centres, first, last)
    return near, trace.reshape(-1).take(near + rows * trace.shape[1])


def _between_samples(trace, rows, index, sign):
    """Positions of extrema between samples, from a parabola through three of them."""
    index = np.clip(index, 1, trace.shape[1] - 2)
    left, middle, right = (sign * trace[rows, index + step] for step in (-1, 0, 1))
    bend = 2 * middle - left - right
    shift = 0.5 * (right - left) / np.where(bend > 0, bend, np.inf)
    return index + np.clip(shift, -0.5, 0.5).astype(float)


def _shapes(trace, rows, positions, rate, reach, shape_rate):
    """The trace around each position, of norm 1, with one column per candidate."""
    n_steps = round(reach * shape_rate)
    steps = np.arange(-n_steps, n_steps + 1)[:, np.newaxis] * (rate / shape_rate)
    near = np.rint(positions + steps).astype(int)
    np.clip(near, 0, trace.shape[1] - 1, out=near)
    near += rows * trace.shape[1]
    shapes = trace.reshape(-1).take(near)
    norm = np.zeros(len(rows), shapes.dtype)
    for sample in shapes:  # a fixed order, so that rounding does not depend on other candidates
        norm += sample * sample
    shapes /= np.maximum(np.sqrt(norm), np.finfo(np.float32).tiny)
    return shapes


def _describe(envelope, rate, rows, columns, relative, times, sharp, shapes, directions):
    heights = envelope[rows, columns]
    place = columns + rows * envelope.shape[1]
    # The envelope during the middle half of the time to the next candidate in the window.
    n = len(rows)
    background = np.full(n, np.nan, np.float32)
    if n > 1:
        parts = np.linspace(0.25, 0.75, _N_BETWEEN)[:, np.newaxis]
        between = place[:-1] + np.rint(parts * np.diff(place)).astype(int)
        middle = np.sort(envelope.take(between), axis=0)[_N_BETWEEN // 2]
        background[:-1] = np.where(np.diff(rows) == 0, middle, np.nan)
    return Candidates(
        rows,
        times,
        heights,
        relative,
        background / heights,
        _fast(envelope, rate, rows, columns, heights),
        sharp,
        shapes,
        directions,
    )


def _fast(envelope, rate, rows, columns, heights):
    """Whether a maximum of similar height follows within less than 0.3 s."""
    last = envelope.shape[1] - 1
    nearest, n_apart = round(_FASTEST * rate), round(REFRACTORY * rate)
    # The envelope is smooth, so that every other value is enough to see where a maximum may be.
    steps = np.arange(nearest, n_apart + 1, 2)[:, np.newaxis]
    near = envelope.take(np.clip(columns + steps, 0, last) + rows * (last + 1))
    next_apart = np.append(np.diff(columns + rows * (last + 1)), n_apart + 1)[: len(rows)]
    maybe = (near.max(axis=0) > 0.9 * _FAST * heights) & (next_apart > n_apart)
    maybe = np.flatnonzero(maybe)
    steps = np.arange(nearest - 1, n_apart + 2)[:, np.newaxis]
    near = envelope.take(np.clip(columns[maybe] + steps, 0, last) + rows[maybe] * (last + 1))
    peak = (near[1:-1] > near[:-2]) & (near[1:-1] >= near[2:])
    fast = np.zeros(len(rows), bool)
    fast[maybe] = (peak & (near[1:-1] > _FAST * heights[maybe])).any(axis=0)
    return fast
