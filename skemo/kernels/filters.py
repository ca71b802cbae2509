"""Filters, spectra and interpolation of many signals at once, along the last axis."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import ArrayLike, NDArray

from skemo._samples import runs

LARGEST_GAP_SHARE = 0.05  # of a window's samples: up to this share, missing samples are filled

_BLOCK = 16  # samples per state of the filter, filtered by one row of a matrix product
_MAX_IN_BLOCKS = 3000  # samples; longer signals are left to SciPy, as the cost grows quadratically
_SPREAD = 8  # blocks interpolated by one row of a matrix product


@contextmanager
def loops_along_rows(n_times: int) -> Iterator[None]:
    """Make NumPy loop along rows of `n_times` values, for instance with one constant per row.

    By default, NumPy copies several rows into a buffer of 8,192 values and loops over that, which
    takes twice as long. A buffer that holds at most one row is not used.
    """
    before = np.setbufsize(min(8192, max(16, n_times // 16 * 16)))
    try:
        yield
    finally:
        np.setbufsize(before)


def fill_gaps(signals: NDArray[np.floating]) -> NDArray[np.floating]:
    """Replace NaN by straight lines between the samples around the gap.

    Parameters
    ----------
    signals : array of shape (n_signals, n_times)

    Returns
    -------
    ndarray of shape (n_signals, n_times)
        `signals` itself if there is nothing to fill. A gap at an end takes the value of the
        nearest sample; a signal that is NaN throughout stays NaN.
    """
    missing = np.isnan(signals)
    rows = np.flatnonzero(missing.any(axis=-1) & ~missing.all(axis=-1))
    if not len(rows):
        return signals
    filled = np.array(signals)
    times = np.arange(signals.shape[-1])
    for row in rows:  # a loop will do, since gaps are rare
        seen = ~missing[row]
        filled[row, ~seen] = np.interp(times[~seen], times[seen], signals[row, seen])
    return filled


def without_held_values(signals: NDArray, n_held: int) -> NDArray:
    """Replace stretches of one and the same value by NaN: a sensor is off, or at its limit.

    Parameters
    ----------
    signals : array of shape (n_signals, n_times)
    n_held : int
        Samples of the shortest stretch that is replaced; at least 4 are.

    Returns
    -------
    ndarray of shape (n_signals, n_times)
        `signals` itself where nothing is held.
    """
    n_held = max(4, n_held)
    few = signals[:, :: n_held // 2]  # of which a stretch fills two in a row
    rows = np.flatnonzero((few[:, 1:] == few[:, :-1]).any(axis=1))
    if not len(rows):
        return signals
    replaced = np.array(signals, np.result_type(signals.dtype, np.float32))
    equal = signals[rows, 1:] == signals[rows, :-1]
    for row, start, stop in zip(*runs(equal, n_held - 1), strict=True):  # rare
        replaced[rows[row], start : stop + 1] = np.nan
    return replaced


def extended_spectrum(
    signals: NDArray[np.floating], n_extension: int, n_pivot: int = 1
) -> tuple[NDArray[np.complexfloating], int, int]:
    """Return the Fourier transform of signals that are extended beyond both ends.

    Each end is extended by its point reflection, which keeps value and slope, so that a filter
    applied to the spectrum hardly disturbs the ends.

    Parameters
    ----------
    signals : array of shape (n_signals, n_times)
    n_extension : int
        Number of samples to add at each end, limited to ``n_times - 1``.
    n_pivot : int, default=1
        Number of samples at each end whose mean is the centre of the reflection. With a single
        sample, its noise becomes an offset of the whole extension.

    Returns
    -------
    spectrum : complex ndarray of shape (n_signals, n_extended // 2 + 1)
    n_extended : int
        Length including the extensions, chosen for a fast Fourier transform.
    n_before : int
        Length of the extension at the start.
    """
    n_times = signals.shape[-1]
    n_before = min(n_extension, n_times - 1)
    n_extended = scipy.fft.next_fast_len(n_times + 2 * n_before, real=True)
    n_after = min(n_extended - n_times - n_before, n_times - 1)
    extended = np.zeros((*signals.shape[:-1], n_extended), signals.dtype)
    inside = slice(n_before, n_before + n_times)
    extended[..., inside] = signals
    pivot = signals[..., :n_pivot].mean(axis=-1, keepdims=True)
    np.subtract(2 * pivot, signals[..., n_before:0:-1], out=extended[..., :n_before])
    pivot = signals[..., -n_pivot:].mean(axis=-1, keepdims=True)
    after = signals[..., -2 : -2 - n_after : -1]
    tail = slice(inside.stop, inside.stop + n_after)
    np.subtract(2 * pivot, after, out=extended[..., tail])
    return scipy.fft.rfft(extended, overwrite_x=True), n_extended, n_before


def band_gain(
    frequencies: ArrayLike, low: float | None, high: float | None, order: int = 2
) -> NDArray[np.floating]:
    """Return the gain of a zero-phase Butterworth band-pass, which is one half at its edges.

    This is the squared magnitude of a Butterworth filter of the given order, which is the effect
    of filtering forwards and backwards; the power at the edges is one quarter. The band is open
    at an edge that is None.
    """
    hertz = np.asarray(frequencies, float)
    gain = np.ones(hertz.shape)
    if low is not None:
        with np.errstate(divide="ignore"):
            gain /= 1 + (low / hertz) ** (2 * order)
    if high is not None:
        gain /= 1 + (hertz / high) ** (2 * order)
    return gain


def synthesise(
    spectrum: NDArray[np.complexfloating],
    gain: NDArray[Any],
    n_from: int,
    n_to: int,
    analytic: bool = False,
) -> NDArray[Any]:
    """Return the signals of a spectrum multiplied by a gain, resampled in the same step.

    Parameters
    ----------
    spectrum : complex array of shape (n_signals, n_from // 2 + 1)
    gain : array of shape (n_from // 2 + 1,)
        Real, or complex to shift phases.
    n_from, n_to : int
        Number of samples that the spectrum was computed from, and number of samples to return
        for the same time. Frequencies above half the new rate are dropped.
    analytic : bool, default=False
        Whether to return the complex analytic signal, whose magnitude is the envelope.

    Returns
    -------
    ndarray of shape (n_signals, n_to)
    """
    kept = min(spectrum.shape[-1], n_to // 2 if analytic else n_to // 2 + 1)
    scaled = (gain[:kept] * (n_to / n_from)).astype(
        spectrum.dtype if np.iscomplexobj(gain) else spectrum.real.dtype
    )
    if not analytic:
        return scipy.fft.irfft(spectrum[..., :kept] * scaled, n=n_to, overwrite_x=True)
    one_sided = np.zeros((*spectrum.shape[:-1], n_to), spectrum.dtype)
    np.multiply(spectrum[..., 1:kept], 2 * scaled[1:], out=one_sided[..., 1:kept])
    return scipy.fft.ifft(one_sided, overwrite_x=True)


def interpolate(
    knots: NDArray[np.floating],
    values: NDArray[np.floating],
    n_knots: NDArray[np.integer],
    times: NDArray[np.floating],
) -> NDArray[np.floating]:
    """Return natural cubic splines, with different knots in each row.

    Parameters
    ----------
    knots, values : array of shape (n_rows, max_knots)
        Increasing positions, and the values at them. Entries after the first ``n_knots`` of a
        row are ignored.
    n_knots : int array of shape (n_rows,)
        Number of knots in each row, at least 2.
    times : array of shape (n_rows, n_times)
        Increasing positions at which to interpolate, between the first and the last knot of the
        row.

    Returns
    -------
    ndarray of shape (n_rows, n_times)
    """
    n_rows, max_knots = knots.shape
    row = np.arange(n_rows)[:, np.newaxis]
    used = np.arange(max_knots) < n_knots[:, np.newaxis]
    gaps = np.where(used[:, 1:], np.diff(knots), 1.0)
    lines = np.where(used[:, 1:], np.diff(values), 0.0) / gaps

    # The second derivatives are the solution of a tridiagonal system, solved by elimination over
    # all rows at once. They are 0 at the first knot, and from the last knot on.
    bend = np.zeros(knots.shape)
    above = np.zeros(knots.shape)
    for i in range(1, max_knots - 1):
        pivot = 2 * (gaps[:, i - 1] + gaps[:, i]) - gaps[:, i - 1] * above[:, i - 1]
        right = 6 * (lines[:, i] - lines[:, i - 1]) - gaps[:, i - 1] * bend[:, i - 1]
        inner = i < n_knots - 1
        above[:, i] = np.where(inner, gaps[:, i] / pivot, 0.0)
        bend[:, i] = np.where(inner, right / pivot, 0.0)
    for i in range(max_knots - 2, 0, -1):
        bend[:, i] -= above[:, i] * bend[:, i + 1]

    # Shift each row past the end of the row before, to search all knots as one sorted array.
    start, stop = knots[:, 0], knots[row[:, 0], n_knots - 1]
    shift = np.concatenate([[0.0], np.cumsum(stop - start + 1.0)[:-1]]) - start
    found = np.searchsorted((knots + shift[:, np.newaxis])[used], times + shift[:, np.newaxis])
    first = np.concatenate([[0], np.cumsum(n_knots)[:-1]])
    left = np.clip(found - first[:, np.newaxis] - 1, 0, n_knots[:, np.newaxis] - 2)

    gap = gaps[row, left]
    after = (times - knots[row, left]) / gap
    before = 1 - after
    curve = (before**3 - before) * bend[row, left] + (after**3 - after) * bend[row, left + 1]
    return before * values[row, left] + after * values[row, left + 1] + curve * gap**2 / 6


def hann_periodogram(
    signals: NDArray[np.floating], n_samples: NDArray[np.integer], sampling_rate: float
) -> Iterator[tuple[NDArray[np.integer], NDArray[np.floating], NDArray[np.floating]]]:
    """Yield the one-sided power spectral densities of signals of different lengths.

    Each signal has a Hann taper of its own length.

    Parameters
    ----------
    signals : array of shape (n_signals, max_samples)
        Samples after the first ``n_samples`` of a signal are ignored.
    n_samples : int array of shape (n_signals,)
        Length of each signal.
    sampling_rate : float
        In hertz.

    Yields
    ------
    rows : int array
        Signals of similar length.
    frequencies : ndarray of shape (n_frequencies,)
        In hertz, at least four times as dense as the frequencies that the signals resolve.
    density : ndarray of shape (len(rows), n_frequencies)
        Squared unit of the signals per hertz; the (tapered) mean is removed.
    """
    # The length of the transform depends only on the row, so that the result of a row does not
    # depend on the other rows.
    sizes = 2 ** np.ceil(np.log2(np.maximum(n_samples, 256) * 4)).astype(int)
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        length = n_samples[rows, np.newaxis]
        index = np.arange(length.max())
        taper = np.where(index < length, 0.5 - 0.5 * np.cos(2 * np.pi * index / length), 0.0)
        samples = np.where(index < length, signals[rows, : len(index)], 0.0)
        with np.errstate(invalid="ignore"):  # of one or two samples, nothing is left
            mean = (samples * taper).sum(axis=1) / taper.sum(axis=1)
        samples = (samples - mean[:, np.newaxis]) * taper
        power = np.abs(scipy.fft.rfft(samples, n=size)) ** 2
        density = 2 * power / (sampling_rate * (taper**2).sum(axis=1, keepdims=True))
        yield rows, np.arange(size // 2 + 1) * (sampling_rate / size), density


def block_means(signals: NDArray[np.floating], n_block: int) -> NDArray[np.floating]:
    """Return the means of successive blocks of `n_block` samples, without an incomplete last one.

    Parameters
    ----------
    signals : array of shape (n_signals, n_times)
    n_block : int

    Returns
    -------
    ndarray of shape (n_signals, n_times // n_block)
        `signals` itself if a block is one sample.
    """
    if n_block == 1:
        return signals
    n_blocks = signals.shape[1] // n_block
    blocks = signals[:, : n_blocks * n_block].reshape(len(signals), n_blocks, n_block)
    # One matrix product per signal is ten times as fast as sums along such short rows.
    return blocks @ np.full(n_block, 1 / n_block)


def block_extremes(
    extreme: np.ufunc, signals: NDArray[np.floating], n_block: int
) -> NDArray[np.floating]:
    """Return the largest or smallest values of blocks of `n_block` samples.

    Parameters
    ----------
    extreme : numpy.maximum or numpy.minimum
    signals : array of shape (n_signals, n_times)
    n_block : int

    Returns
    -------
    ndarray of shape (n_signals, n_times // n_block)
        An incomplete block at the end is left out.
    """
    n_whole = signals.shape[1] // n_block * n_block
    # Twice as fast as a maximum along the short rows of a three-dimensional array.
    return extreme.reduceat(signals[:, :n_whole], np.arange(0, n_whole, n_block), axis=1)


def spread_blocks(
    means: NDArray[np.floating],
    n_block: int,
    n_times: int,
    out: NDArray[np.floating] | None = None,
) -> NDArray[np.floating]:
    """Return signals that pass through the means of blocks, each at the middle of its block.

    Between the middles, the signal is the cubic through the four nearest means; beyond the first
    and last, the means are extrapolated with a constant second difference.

    Parameters
    ----------
    means : array of shape (n_signals, n_blocks)
    n_block : int
        Number of samples per block.
    n_times : int
        Number of samples to return, fewer than ``(n_blocks + 1) * n_block``.
    out : array of shape (n_signals, n_times) or None, default=None
        Where to write the signals, in single or double precision.

    Returns
    -------
    ndarray of shape (n_signals, n_times)
    """
    if out is None:
        out = np.empty((len(means), n_times))
    if n_block == 1:
        out[:] = means
        return out
    n_blocks = means.shape[1]
    width = _SPREAD * n_block
    n_rows = -(-n_times // width)
    knots = np.zeros((len(means), n_rows * _SPREAD + 4))
    knots[:, 2 : n_blocks + 2] = means
    knots[:, :2], knots[:, n_blocks + 2 :] = means[:, :1], means[:, -1:]
    if n_blocks > 2:
        for i in (1, 0):
            knots[:, i] = 3 * (knots[:, i + 1] - knots[:, i + 2]) + knots[:, i + 3]
        for i in range(n_blocks + 2, min(n_blocks + 5, knots.shape[1])):
            knots[:, i] = 3 * (knots[:, i - 1] - knots[:, i - 2]) + knots[:, i - 3]
    near = np.lib.stride_tricks.sliding_window_view(knots, _SPREAD + 4, axis=1)[:, ::_SPREAD]
    near, weights = np.ascontiguousarray(near), _cubics(n_block)
    # One product per signal, so that its bits do not depend on the other signals.
    whole = n_times // width
    inside = out[:, : whole * width].reshape(len(means), whole, width)  # a view
    np.matmul(near[:, :whole], weights, out=inside)
    if whole < n_rows:
        out[:, whole * width :] = (near[:, whole:] @ weights)[:, 0, : n_times - whole * width]
    return out


@lru_cache(maxsize=16)
def _cubics(n_block):
    """Return each sample's weights of the means of `_SPREAD` blocks and two on either side."""
    place = (np.arange(_SPREAD * n_block) - (n_block - 1) / 2) / n_block  # from the first middle
    left = np.floor(place).astype(int)
    t = place - left
    weights = np.zeros((_SPREAD + 4, len(place)))
    lagrange = (  # of the knots at -1, 0, 1 and 2
        -t * (t - 1) * (t - 2) / 6,
        (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    )
    for knot, weight in enumerate(lagrange):
        weights[left + 1 + knot, np.arange(len(place))] = weight
    return weights


def zero_phase(
    signals: NDArray[np.float64],
    filters: Sequence[tuple[int, Any, str]],
    sampling_rate: float,
    n_padded: int,
) -> list[NDArray[np.float64]]:
    """Apply Butterworth filters forwards and backwards, as SciPy's ``sosfiltfilt``, but faster.

    A recursive filter needs the result of each sample before it takes the next. Here, a block of
    samples is filtered by a matrix product with impulse responses, and the states of the filter
    before all blocks are computed by another product. The results agree with SciPy's up to
    rounding.

    Parameters
    ----------
    signals : array of shape (n_signals, n_times)
        In double precision.
    filters : list of (order, cutoff, kind)
        As ``scipy.signal.butter`` takes them.
    sampling_rate : float
    n_padded : int
        Number of samples to add at each end by point reflection, fewer than `n_times`.

    Returns
    -------
    list of ndarray of shape (n_signals, n_times)
        The filtered signals, for each filter.
    """
    n_signals, n_times = signals.shape
    designs = [(*each, sampling_rate) for each in filters]
    if n_times > _MAX_IN_BLOCKS:
        sections = [_sections(*design) for design in designs]
        return [scipy.signal.sosfiltfilt(each, signals, padlen=n_padded) for each in sections]
    n_block = _BLOCK * max(2 * len(_sections(*design)) for design in designs)
    n_extended = n_times + 2 * n_padded
    n_blocks = -(-n_extended // n_block)
    blocks = [_block_filter(*design, n_block, n_blocks) for design in designs]
    # Always filter the same number of signals at once, with leftover rows if there are fewer, so
    # that the bits of the products do not depend on their number.
    n_batch = filtered_together(n_times)
    extended = np.zeros((n_batch, n_blocks * n_block))
    first = extended.shape[1] - n_extended
    inside = slice(first + n_padded, first + n_padded + n_times)
    filtered = [np.empty(signals.shape) for _ in filters]
    for start in range(0, n_signals, n_batch):
        batch = signals[start : start + n_batch]
        rows = extended[: len(batch)]
        rows[:, inside] = batch
        rows[:, first : inside.start] = 2 * batch[:, :1] - batch[:, n_padded:0:-1]
        rows[:, inside.stop :] = 2 * batch[:, -1:] - batch[:, -2 : -2 - n_padded : -1]
        # The filter starts as if the signal had always had the value of its first sample.
        rows[:, :first] = rows[:, first : first + 1]
        for result, (forwards, backwards) in zip(filtered, blocks, strict=True):
            once = _filter_blocks(extended, *forwards, step=1)
            twice = _filter_blocks(once, *backwards, step=-1)
            result[start : start + n_batch] = twice[: len(batch), inside]
    return filtered


def filtered_together(n_times: int) -> int:
    """Return the number of signals that `zero_phase` filters at once; fewer take the same time."""
    return 1 if n_times > _MAX_IN_BLOCKS else min(64, (1 << 15) // n_times // 8 * 8)


def _filter_blocks(signals, within, fed, free, scan, steady, *, step):
    """Filter whole blocks: from the left if `step` is 1, from the right if it is -1."""
    blocks = signals.reshape(-1, len(within))
    n_states = len(steady)
    states = np.empty((len(signals), signals.shape[1] // len(within), n_states))
    states[:, 0] = (signals[:, :1] if step == 1 else signals[:, -1:]) * steady
    states[:, 1:] = (blocks @ fed).reshape(states.shape)[:, ::step][:, :-1]
    states = (states.reshape(len(signals), -1) @ scan).reshape(states.shape)[:, ::step]
    filtered = blocks @ within
    filtered += states.reshape(-1, n_states) @ free
    return filtered.reshape(signals.shape)


@lru_cache(maxsize=16)
def _block_filter(order, cutoff, kind, sampling_rate, n_block, n_blocks):
    """Return the matrices that filter blocks of samples, from the left and from the right.

    Returns
    -------
    forwards, backwards : tuple
        ``within``, (n_block, n_block), maps the samples of a block to the output in the block.
        ``fed``, (n_block, n_states), maps them to their part of the state after the block.
        ``free``, (n_states, n_block), maps the state before a block to its part of the output.
        ``scan``, (n_blocks * n_states, n_blocks * n_states), maps the first state and the parts
        of all blocks (``fed``) to the states before the blocks. ``steady``, (n_states,), is the
        state after a long signal of 1.
    """
    sections = _sections(order, cutoff, kind, sampling_rate)
    n_sections = len(sections)
    n_states = 2 * n_sections
    at_rest = np.zeros((n_sections, n_block, 2))
    within, fed = scipy.signal.sosfilt(sections, np.eye(n_block), zi=at_rest)
    units = np.eye(n_states).reshape(n_states, n_sections, 2).swapaxes(0, 1)
    free, kept = scipy.signal.sosfilt(sections, np.zeros((n_states, n_block)), zi=units)
    fed, kept = (state.swapaxes(0, 1).reshape(-1, n_states) for state in (fed, kept))
    scan = np.zeros((n_blocks, n_states, n_blocks, n_states))
    power = np.eye(n_states)
    for lag in range(n_blocks):
        from_block = np.arange(n_blocks - lag)
        scan[from_block, :, from_block + lag] = power
        power = power @ kept
    scan = scan.reshape(n_blocks * n_states, -1)
    steady = scipy.signal.sosfilt_zi(sections).reshape(-1)
    turned = (np.ascontiguousarray(each) for each in (within[::-1, ::-1], fed[::-1], free[:, ::-1]))
    return (within, fed, free, scan, steady), (*turned, scan, steady)


@lru_cache(maxsize=16)
def _sections(order, cutoff, kind, sampling_rate):
    """Return the filter's sections; designing them takes longer than filtering a window."""
    return scipy.signal.butter(order, cutoff, kind, fs=sampling_rate, output="sos")
