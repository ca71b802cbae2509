"""Batched filters, spectra and resampling: arrays in, arrays out, over the last axis."""

from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal

LARGEST_GAP_SHARE = 0.05  # of a window's samples that may be NaN and be filled

_BLOCK = 16  # samples filtered by one row of a matrix product, for each state of the filter
_LONGEST = 3000  # samples of a signal filtered so: the product of the states grows by the square
_SPREAD = 8  # blocks interpolated by one row of a matrix product


@contextmanager
def loops_along_rows(n_times):
    """Have NumPy loop along rows of `n_times` values, each with its own constant, say.

    NumPy would rather copy several rows into a buffer of 8,192 values and loop over that, which
    takes twice as long. A buffer that holds no more than a row is not used.
    """
    before = np.setbufsize(min(8192, max(16, n_times // 16 * 16)))
    try:
        yield
    finally:
        np.setbufsize(before)


def fill_gaps(signals):
    """Replace NaN by straight lines between the samples around it.

    Parameters
    ----------
    signals : array of shape (n_signals, n_times)

    Returns
    -------
    ndarray of shape (n_signals, n_times)
        `signals` itself where it has no NaN. A gap at an end takes the nearest sample; a
        signal of NaN throughout stays so.
    """
    missing = np.isnan(signals)
    rows = np.flatnonzero(missing.any(axis=-1) & ~missing.all(axis=-1))
    if not len(rows):
        return signals
    filled = np.array(signals)
    times = np.arange(signals.shape[-1])
    for row in rows:  # gaps are rare, and of any number and length
        seen = ~missing[row]
        filled[row, ~seen] = np.interp(times[~seen], times[seen], signals[row, seen])
    return filled


def extended_spectrum(signals, n_extension, n_pivot=1):
    """Fourier transform of signals that are continued beyond both ends.

    Each end is continued by its point reflection, which keeps value and slope, so that a
    filter applied to the spectrum hardly disturbs the ends.

    Parameters
    ----------
    signals : array of shape (n_signals, n_times)
    n_extension : int
        Samples to add at each end; at most ``n_times - 1`` are.
    n_pivot : int, default=1
        Samples at the end whose mean is the value reflected about. A single one gives its
        noise to the whole extension, as an offset.

    Returns
    -------
    spectrum : complex ndarray of shape (n_signals, n_extended // 2 + 1)
    n_extended : int
        Length with the extensions: one that Fourier transforms fast.
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


def band_gain(frequencies, low, high, order=2):
    """Gain of a zero-phase Butterworth band-pass: one half (in power, one quarter) at its edges.

    It is the squared magnitude of a Butterworth filter of the order given, which is what
    filtering forwards and backwards amounts to. An edge that is None does not filter.
    """
    frequencies = np.asarray(frequencies, float)
    gain = np.ones(frequencies.shape)
    if low is not None:
        with np.errstate(divide="ignore"):
            gain /= 1 + (low / frequencies) ** (2 * order)
    if high is not None:
        gain /= 1 + (frequencies / high) ** (2 * order)
    return gain


def synthesise(spectrum, gain, n_from, n_to, analytic=False):
    """Signals of a spectrum times a gain, resampled in the same stroke.

    Parameters
    ----------
    spectrum : complex array of shape (n_signals, n_from // 2 + 1)
    gain : array of shape (n_from // 2 + 1,)
        Real, or complex to shift phases.
    n_from, n_to : int
        Samples that the spectrum was made of, and that are wanted over the same time.
        Frequencies beyond half the new rate are dropped.
    analytic : bool, default=False
        Give the complex analytic signal, whose magnitude is the envelope.

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


def interpolate(knots, values, n_knots, times):
    """Natural cubic splines through knots that lie differently in each row.

    Parameters
    ----------
    knots, values : array of shape (n_rows, max_knots)
        Increasing positions, and values there. What stands after ``n_knots`` is not used.
    n_knots : int array of shape (n_rows,)
        At least 2.
    times : array of shape (n_rows, n_times)
        Where to interpolate, in order, between the first and the last knot of the row.

    Returns
    -------
    ndarray of shape (n_rows, n_times)
    """
    n_rows, max_knots = knots.shape
    row = np.arange(n_rows)[:, np.newaxis]
    used = np.arange(max_knots) < n_knots[:, np.newaxis]
    gaps = np.where(used[:, 1:], np.diff(knots), 1.0)
    lines = np.where(used[:, 1:], np.diff(values), 0.0) / gaps

    # The second derivatives solve a tridiagonal system, by elimination over all rows at once;
    # they are 0 at the first knot and from the last on.
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

    # One sorted array of all knots: each row is shifted past the end of the row before.
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


def hann_periodogram(signals, n_samples, sampling_rate):
    """One-sided power spectral density of signals of unlike length, each by its own Hann taper.

    Parameters
    ----------
    signals : array of shape (n_signals, max_samples)
        What stands after ``n_samples`` is not used.
    n_samples : int array of shape (n_signals,)
        Length of each signal.
    sampling_rate : float

    Yields
    ------
    rows : int array
        Signals of like length.
    frequencies : ndarray of shape (n_frequencies,)
        At least four times as fine as the signals resolve.
    density : ndarray of shape (len(rows), n_frequencies)
        Unit² per hertz; the (tapered) mean is removed.
    """
    # The transform's length depends on the row alone, so that a row's result does not depend
    # on the rows beside it.
    sizes = 2 ** np.ceil(np.log2(np.maximum(n_samples, 256) * 4)).astype(int)
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        length = n_samples[rows, np.newaxis]
        index = np.arange(length.max())
        taper = np.where(index < length, 0.5 - 0.5 * np.cos(2 * np.pi * index / length), 0.0)
        samples = np.where(index < length, signals[rows, : len(index)], 0.0)
        mean = (samples * taper).sum(axis=1) / taper.sum(axis=1)
        samples = (samples - mean[:, np.newaxis]) * taper
        power = np.abs(scipy.fft.rfft(samples, n=size)) ** 2
        density = 2 * power / (sampling_rate * (taper**2).sum(axis=1, keepdims=True))
        yield rows, np.arange(size // 2 + 1) * (sampling_rate / size), density


def block_means(signals, n_block):
    """Means of successive blocks of `n_block` samples; what does not fill a block is left out.

    Parameters
    ----------
    signals : array of shape (n_signals, n_times)
    n_block : int

    Returns
    -------
    ndarray of shape (n_signals, n_times // n_block)
        `signals` itself where a block is one sample.
    """
    if n_block == 1:
        return signals
    n_blocks = signals.shape[1] // n_block
    blocks = signals[:, : n_blocks * n_block].reshape(len(signals), n_blocks, n_block)
    # A product for each signal: ten times as fast as sums along such short rows.
    return blocks @ np.full(n_block, 1 / n_block)


def spread_blocks(means, n_block, n_times, out=None):
    """Signals that run through means of blocks, each at the middle of its block.

    Between the middles they are the cubic through the four nearest; beyond the last the
    means are continued with a constant second difference.

    Parameters
    ----------
    means : array of shape (n_signals, n_blocks)
    n_block : int
        Samples of a block.
    n_times : int
        Samples wanted, fewer than ``(n_blocks + 1) * n_block``.
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
    # A product for each signal, so that its bits do not depend on the signals beside it.
    whole = n_times // width
    inside = out[:, : whole * width].reshape(len(means), whole, width)  # a view
    np.matmul(near[:, :whole], weights, out=inside)
    if whole < n_rows:
        out[:, whole * width :] = (near[:, whole:] @ weights)[:, 0, : n_times - whole * width]
    return out


@lru_cache(maxsize=16)
def _cubics(n_block):
    """Weights of `_SPREAD` blocks' means, and of two to either side, in their samples."""
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


def zero_phase(signals, filters, sampling_rate, n_padded):
    """Butterworth filters forwards and backwards: SciPy's ``sosfiltfilt``, but faster.

    A recursive filter waits for each sample before it takes the next. Here a block of samples is
    filtered by a product with impulse responses, and the filter's states before all blocks are
    another product. The values are SciPy's to rounding.

    Parameters
    ----------
    signals : array of shape (n_signals, n_times)
        In double precision.
    filters : list of (order, cutoff, kind)
        As ``scipy.signal.butter`` takes them.
    sampling_rate : float
    n_padded : int
        Samples to add at each end by point reflection, fewer than `n_times`.

    Returns
    -------
    list of ndarray of shape (n_signals, n_times)
        For each filter, the signals that it makes.
    """
    n_signals, n_times = signals.shape
    designs = [(*each, sampling_rate) for each in filters]
    if n_times > _LONGEST:
        sections = [_sections(*design) for design in designs]
        return [scipy.signal.sosfiltfilt(each, signals, padlen=n_padded) for each in sections]
    n_block = _BLOCK * max(2 * len(_sections(*design)) for design in designs)
    n_extended = n_times + 2 * n_padded
    n_blocks = -(-n_extended // n_block)
    blocks = [_block_filter(*design, n_block, n_blocks) for design in designs]
    # Always as many signals at once, with what stood there before where there are fewer, so that
    # the bits of the products do not depend on their number.
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
        # The filter starts as if the first sample had always been there.
        rows[:, :first] = rows[:, first : first + 1]
        for result, (forwards, backwards) in zip(filtered, blocks, strict=True):
            both_ways = _filter_blocks(_filter_blocks(extended, *forwards, 1), *backwards, -1)
            result[start : start + n_batch] = both_ways[: len(batch), inside]
    return filtered


def filtered_together(n_times):
    """Signals that `zero_phase` filters at once: for their number or less the time is the same."""
    return 1 if n_times > _LONGEST else min(64, (1 << 15) // n_times // 8 * 8)


def _filter_blocks(signals, within, fed, free, scan, steady, step):
    """Filter whole blocks, from the left for a `step` of 1 and from the right for -1."""
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
    """The matrices of a filter that takes blocks of samples, from the left and from the right.

    Returns
    -------
    forwards, backwards : tuple
        ``within``, (n_block, n_block): samples of a block to what they give in it. ``fed``,
        (n_block, n_states): to the state that they leave behind it. ``free``, (n_states,
        n_block): state before a block to what it gives in it. ``scan``, (n_blocks * n_states,
        n_blocks * n_states): the first state and those left behind the blocks to the states
        before the blocks. ``steady``, (n_states,): state after a long signal of 1.
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
    """The filter's design, which takes longer than filtering a window."""
    return scipy.signal.butter(order, cutoff, kind, fs=sampling_rate, output="sos")
