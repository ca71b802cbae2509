"""Breaths in many windows of a respiration signal, or of heartbeats, at once."""

from typing import Literal

import numpy as np
import scipy.signal
from numpy.typing import ArrayLike, NDArray

from skemo import _checks
from skemo._checks import is_positive, real_samples
from skemo.kernels.filters import (
    block_means,
    fill_gaps,
    filtered_together,
    interpolate,
    without_held_values,
    zero_phase,
)
from skemo.kernels.hrv import regular_intervals, rr_intervals
from skemo.kernels.row_statistics import mean_and_deviation, nan_median

VARIABILITY = (
    "RRV_MeanBB",
    "RRV_SDBB",
    "RRV_RMSSD",
    "RRV_SDSD",
    "RRV_CVBB",
    "RRV_CVSD",
    "RRV_MedianBB",
    "RRV_MadBB",
    "RRV_MCVBB",
)
AMPLITUDE = ("RAV_Mean", "RAV_SD", "RAV_RMSSD", "RAV_CVSD")
PHASE = (
    "RSP_Phase_Duration_Inspiration",
    "RSP_Phase_Duration_Expiration",
    "RSP_Phase_Duration_Ratio",
)
FEATURES = {
    "rate": ("RSP_Rate_Mean",),
    "variability": VARIABILITY,
    "amplitude": AMPLITUDE,
    "phase": PHASE,
}

SHORTEST_BREATH, LONGEST_BREATH = 1.0, 20.0  # s, 60 and 3 breaths a minute
RESPIRATION_RATE = 4.0  # Hz, of respiration derived from heartbeats
# By source: band in hertz; least mean correlation of two breaths; least height of breaths.
# Noise has a correlation of about 0.4, irregular breathing of 0.8. In the heart rate, which has
# waves of its own at 0.1 Hz, whatever passes the narrow band looks alike; and a steady heart
# shows the errors of its beat times, up to 2 ms or 0.2 beats a minute.
SOURCES = {"belt": ((0.05, 3.0), 0.6, 0.0), "heart": ((0.12, 0.5), 0.85, 0.6)}
_WORKING_RATE = 16  # Hz, or up to twice as much
_PADDED = 10.0  # s, by which a window is extended at its ends
_PROMINENCE = 0.3  # of the usual height of a breath, as in NeuroKit2
_USUAL_HEIGHT = 2 / np.sin(0.375 * np.pi)  # of a sine, relative to its magnitude's upper quartile
_FLOOR = 0.02  # of the largest deflection, below which there is no breathing
_N_SHAPE = 24  # samples to which a breath is resampled before shapes are compared
_REFINED = 1.0  # s, the most between an extremum in the filtered signal and its final place
_BRIDGED = 0.1  # largest share of a breath that may be NaN
_HELD = 2.0  # s, of a constant value that counts as missing
_ALIKE = 0.7  # least correlation of a breath with the mean breath of its window
_COVERED = 0.5  # least share of a window that its breaths must cover
_LEAST_BEATS = 4
_LONGEST_RR = 2.0  # s
_LONGEST_WINDOW = 1e6  # s, eleven days
_MOST_DEVIATION = 0.25  # of an RR interval from the median of those around
_MOST_HEIGHT = 50  # percent, largest deviation of the height of a QRS complex from the median
_QRS = 0.06  # s, on either side of the R peak
_CHUNK = 1 << 18  # samples processed together


def breaths(
    respiration: ArrayLike, sampling_rate: float, source: Literal["belt", "heart"] = "belt"
) -> dict[str, NDArray]:
    """Breaths in windows of a respiration signal, from trough to trough.

    The signal is filtered without phase shift by second-order Butterworth filters at both edges
    of its band, 0.05 and 3 Hz, as in NeuroKit2. A breath is a maximum whose prominence is at
    least 0.3 of the usual height of the window's breaths. This is the height of a sine with the
    same upper quartile of magnitude, which neither a sigh nor a pause changes much. A breath
    begins at the lowest point since the previous maximum, and ends at the lowest point before
    the next. These times are read, between samples, from the signal before the high-pass, which
    would shift extrema close to the edges of the window.

    Parameters
    ----------
    respiration : array of shape (n_windows, n_times)
        Signal of a belt or any other sensor that rises as one breathes in, in any unit. May be
        memory-mapped: a few windows at a time are read. NaN is bridged by straight lines.
    sampling_rate : float
        In hertz, at least 2.
    source : {"belt", "heart"}, default="belt"
        Where the signal comes from: a belt or a similar sensor; or the heart, as returned by
        :func:`respiration_of_ecg` or :func:`respiration_of_beats`. The band of the latter is
        0.12 to 0.5 Hz.

    Returns
    -------
    dict of str to ndarray
        Of shape (n_windows, max_breaths): ``start``, ``peak`` and ``stop`` in seconds from the
        start of the window, and ``amplitude``, the height of the peak above the line between
        both troughs in the unit of the signal. They are in order, with NaN after the last breath
        and for breaths that cannot be trusted, because they take under 1 s or over 20 s, more
        than a tenth of them was NaN, or their correlation with the mean breath of the window is
        under 0.7. Of shape (n_windows,): ``likeness``, the mean correlation of two breaths of the
        window, NaN with fewer than two.

    Notes
    -----
    A constant stretch of 2 s or more, from a sensor that is off or at its limit, counts as NaN.
    Breaths are resampled to the same length before they are compared. A window has no breaths if

    - it is flat, or the remaining breaths cover less than half of it;
    - its breaths do not resemble each other, as in the quality index of Charlton et al. [1]_: the
      mean correlation of two breaths is under 0.6 (0.85 for the heart);
    - for the heart, the median of their heights is under 0.6 beats a minute or percent.

    Raises
    ------
    ValueError
        For an array that is not two-dimensional, too low a sampling rate, or an unknown
        `source`.

    References
    ----------
    .. [1] Charlton et al. (2021), An impedance pneumography signal quality index: design,
       assessment and application to respiratory rate monitoring, Biomedical Signal
       Processing and Control 65, 102339.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.respiration import breaths
    >>> seconds = np.arange(600) / 10
    >>> found = breaths(3 + np.cos(2 * np.pi * 0.25 * seconds)[np.newaxis], 10)
    >>> found["start"][0, :3].round(1), found["amplitude"][0, :3].round(2)
    (array([ 2.,  6., 10.]), array([2., 2., 2.]))
    """
    respiration = _checked(respiration, sampling_rate, source)
    band, likeness, least_height = SOURCES[source]
    n_windows, n_times = respiration.shape
    duration = n_times / sampling_rate
    most = 2 * int(duration / SHORTEST_BREATH) + 1  # breaths, and NaN between
    names = ("start", "peak", "stop", "amplitude")
    found: dict[str, NDArray] = {name: np.full((n_windows, most), np.nan) for name in names}
    found["likeness"] = np.full(n_windows, np.nan)
    step = _windows_together(n_times, sampling_rate)
    for first in range(0, n_windows if duration > SHORTEST_BREATH else 0, step):
        chunk = respiration[first : first + step]
        filtered, level, rate, n_missing, usable = _filter(chunk, sampling_rate, band)
        if len(usable):
            table = _find_breaths(filtered, level, (rate, sampling_rate), n_missing, most)
            table["likeness"], unlike = _compare_shapes(filtered, rate, table)
            for name in names:
                table[name][unlike] = np.nan
            clear = ~(table["likeness"] < likeness)
            clear &= ~(nan_median(table["amplitude"]) < least_height)
            clear &= np.nansum(table["stop"] - table["start"], axis=1) >= _COVERED * duration
            for name, values in table.items():
                found[name][first + usable[clear]] = values[clear]
    return found


def breathing(
    respiration: ArrayLike, sampling_rate: float, source: Literal["belt", "heart"] = "belt"
) -> tuple[NDArray, float]:
    """Respiration without noise and drift, as a series for a network.

    Parameters
    ----------
    respiration : array of shape (n_windows, n_times)
        See :func:`breaths`.
    sampling_rate : float
        In hertz, at least 2.
    source : {"belt", "heart"}, default="belt"
        See :func:`breaths`.

    Returns
    -------
    filtered : ndarray of shape (n_windows, n_blocks)
        Filtered to the band of `source`; from 32 Hz on, means of blocks. NaN throughout in a
        window that is flat or more than half NaN.
    rate : float
        In hertz: `sampling_rate`, or 16 to 32 if that is higher.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.respiration import breathing
    >>> seconds = np.arange(42000) / 700
    >>> filtered, rate = breathing(3 + np.sin(2 * np.pi * 0.25 * seconds)[np.newaxis], 700)
    >>> filtered.shape, round(rate, 1), filtered.max().round(1)
    ((1, 976), 16.3, np.float64(1.0))
    """
    respiration = _checked(respiration, sampling_rate, source)
    n_windows, n_times = respiration.shape
    n_block = _samples_a_block(sampling_rate, n_times)
    series = np.full((n_windows, n_times // n_block), np.nan)
    step = _windows_together(n_times, sampling_rate)
    for first in range(0, n_windows, step):
        chunk = respiration[first : first + step]
        filtered, _, _, _, usable = _filter(chunk, sampling_rate, SOURCES[source][0])
        series[first + usable] = filtered
    return series, sampling_rate / n_block


def _samples_a_block(sampling_rate, n_times):
    return max(1, min(int(sampling_rate // _WORKING_RATE), n_times))


def check_rate(sampling_rate: float) -> None:
    """Raise if the sampling rate is too low to see breaths."""
    lowest = 2 / SHORTEST_BREATH
    _checks.check_rate(sampling_rate, lowest=lowest, why="breathing needs at least")


def _checked(respiration: ArrayLike, sampling_rate: float, source: str) -> NDArray:
    check_rate(sampling_rate)
    if not isinstance(source, str) or source not in SOURCES:
        raise ValueError(f"source must be one of {list(SOURCES)}, got {source!r}.")
    return real_samples(respiration, "respiration", "(n_windows, n_times)", may_be_empty=True)


def _windows_together(n_times, sampling_rate):
    """Number of windows processed together, a multiple of those filtered together."""
    together = filtered_together(max(1, n_times // _samples_a_block(sampling_rate, n_times)))
    return -(-max(1, _CHUNK // max(1, n_times)) // together) * together


def _filter(respiration, sampling_rate, band):
    """Filtered windows for `_find_breaths`, of those that can be used.

    Returns
    -------
    filtered : ndarray of shape (n_usable, n_blocks)
        Filtered to the band.
    level : ndarray of shape (n_usable, n_blocks)
        Without noise, but with drift.
    rate : float
        Rate of both in hertz.
    n_missing : ndarray of shape (n_usable, n_blocks + 1)
        Sum of the shares of NaN in the blocks before each block.
    usable : int ndarray of shape (n_usable,)
        Rows of windows that are not flat, and at most half of which is NaN.
    """
    n_times = respiration.shape[1]
    n_block = _samples_a_block(sampling_rate, n_times)
    rate = sampling_rate / n_block
    respiration = without_held_values(respiration, round(_HELD * sampling_rate))
    missing = np.isnan(respiration)
    largest = np.nanmax(np.where(missing, 0, np.abs(respiration)), axis=1, initial=0)
    rounding = 16 * np.finfo(np.result_type(respiration.dtype, np.float32)).eps * largest
    usable = np.flatnonzero(missing.mean(axis=1) <= 1 - _COVERED)
    windows = fill_gaps(respiration[usable].astype(float))
    windows -= windows[:, :1].copy()  # a flat window becomes exactly 0
    wide = np.ptp(windows, axis=1) > rounding[usable]
    usable, windows = usable[wide], windows[wide]
    level = block_means(windows, n_block)
    low, high = band
    n_padded = min(round(_PADDED * rate), level.shape[1] - 1)
    if len(usable) and 2 * high < rate:
        (level,) = zero_phase(level, [(2, high, "lowpass")], rate, n_padded)
    filtered = level
    if len(usable):
        (filtered,) = zero_phase(level, [(2, low, "highpass")], rate, n_padded)
    shares = block_means(missing[usable].astype(float), n_block)
    n_missing = np.pad(np.cumsum(shares, axis=1), ((0, 0), (1, 0)))
    return filtered, level, rate, n_missing, usable


def _find_breaths(filtered, level, rates, n_missing, max_breaths):
    """Breaths of each window, in seconds and the signal's unit; NaN if they cannot be trusted."""
    rate, sampling_rate = rates
    n_windows, n_times = filtered.shape
    width = n_times + 1
    # One long signal, in which a column after each window separates it from the next.
    padded = np.full((n_windows, width), np.inf)
    padded[:, :-1] = filtered
    joined = padded.reshape(-1)
    peaks = scipy.signal.find_peaks(joined)[0]
    peaks = peaks[peaks % width < n_times]
    prominence = scipy.signal.peak_prominences(joined, peaks)[0]
    magnitude = np.abs(filtered)
    height = _USUAL_HEIGHT * np.quantile(magnitude, 0.75, axis=1)
    height = np.maximum(height, _FLOOR * magnitude.max(axis=1))
    peaks = peaks[prominence > _PROMINENCE * height[peaks // width]]
    rows = peaks // width

    # There is a trough before each peak, and one after the last peak of a window.
    bounds = np.sort(np.concatenate([np.arange(n_windows) * width, peaks]))
    troughs = _lowest(joined, bounds)
    # The high-pass shifts extrema close to the edges of a window. `level` does not have it.
    n_peaks = np.bincount(rows, minlength=n_windows)
    reach = np.minimum(_REFINED * rate, n_times / np.maximum(n_peaks, 1) / 6).astype(int)
    peaks, peak_places, _ = _refine(level, peaks, reach[rows], 1)
    troughs, trough_places, confirmed = _refine(level, troughs, reach[troughs // width], -1)
    margin = 2 * _REFINED * rate
    inside = (troughs % width >= margin) & (troughs % width < n_times - margin) | confirmed

    before = np.arange(len(peaks)) + rows
    starts, stops = troughs[before], troughs[before + 1]
    places = trough_places[before], peak_places, trough_places[before + 1]
    levels = np.pad(level, ((0, 0), (0, 1))).reshape(-1)
    left, right = levels[starts], levels[stops]
    line = left + (right - left) * (peaks - starts) / np.maximum(stops - starts, 1)
    missing = n_missing.reshape(-1)
    bridged = missing[np.minimum(stops + 1, rows * width + n_times)] - missing[starts]
    lasting = (places[2] - places[0]) / rate
    trusted = inside[before] & inside[before + 1] & (bridged <= _BRIDGED * (stops - starts))
    trusted &= (lasting >= SHORTEST_BREATH) & (lasting <= LONGEST_BREATH)

    offset = (1 - rate / sampling_rate) / 2  # of a block's middle from its first sample
    names = ("start", "peak", "stop")
    values = {name: (of_all + offset) / rate for name, of_all in zip(names, places, strict=True)}
    values["amplitude"] = levels[peaks] - line
    # One NaN stands for a row of breaths that cannot be trusted.
    kept = trusted | (np.append(True, trusted[:-1]) & (np.diff(rows, prepend=-1) == 0))
    n_each = np.bincount(rows[kept], minlength=n_windows)
    order = np.cumsum(kept) - 1 - (np.cumsum(n_each) - n_each)[rows]
    table = {}
    for name, of_breaths in values.items():
        table[name] = np.full((n_windows, max_breaths), np.nan)
        table[name][rows[trusted], order[trusted]] = of_breaths[trusted]
    return table


def _compare_shapes(filtered, rate, table):
    """Mean correlation of two breaths of a window, and which breaths are unlike their mean.

    The first has the shape (n_windows,), and is NaN with fewer than two breaths; the second has
    the shape of the table.
    """
    n_windows, n_times = filtered.shape
    rows, columns = np.nonzero(np.isfinite(table["peak"]))
    starts, stops = (table[name][rows, columns] * rate for name in ("start", "stop"))
    places = starts + (stops - starts) * (np.arange(_N_SHAPE) / (_N_SHAPE - 1))[:, np.newaxis]
    left = np.clip(places.astype(int), 0, n_times - 2)
    left_value = filtered[rows, left]
    shapes = left_value + (places - left) * (filtered[rows, left + 1] - left_value)
    shapes -= shapes.mean(axis=0)
    # Dividing by a power of two changes no digit, and the squares of faint signals do not vanish.
    shapes = np.ldexp(shapes, -np.frexp(np.abs(shapes).max(axis=0))[1])
    shapes /= np.sqrt((shapes**2).mean(axis=0))
    # The square of a sum of n shapes is n plus n (n - 1) times the mean of their products.
    n = np.bincount(rows, minlength=n_windows)
    totals = np.stack([np.bincount(rows, of_all, n_windows) for of_all in shapes])
    squares = (totals**2).mean(axis=0)
    products = (totals[:, rows] * shapes).mean(axis=0)
    unlike = np.zeros(table["peak"].shape, bool)
    unlike[rows, columns] = products < _ALIKE * np.sqrt(squares[rows])
    return (squares - n) / np.where(n > 1, n * (n - 1), np.nan), unlike


def _lowest(joined, bounds):
    """Position of the smallest value between each bound and the next."""
    least = np.minimum.reduceat(joined, bounds)
    part = np.repeat(np.arange(len(bounds)), np.diff(bounds, append=len(joined)))
    places = np.where(joined == least[part], np.arange(len(joined)), len(joined))
    return np.minimum.reduceat(places, bounds)


def _refine(level, places, reach, sign):
    """Extremum of `level` near each place, its column between samples, and whether there is one.

    Places count one more column after each window. A place without an extremum within its reach
    stays where it is.
    """
    rows, columns = np.divmod(places, level.shape[1] + 1)
    last = level.shape[1] - 1
    steps = np.arange(-reach.max(initial=0), reach.max(initial=0) + 1)[:, np.newaxis]
    steps = np.clip(steps, -reach, reach)
    near = np.clip(columns + steps, 0, last)
    extreme = near[np.argmax(sign * level[rows, near], axis=0), np.arange(len(places))]
    inner = np.clip(extreme, 1, last - 1)
    left, middle, right = (sign * level[rows, inner + step] for step in (-1, 0, 1))
    confirmed = (extreme == inner) & (middle >= left) & (middle >= right)
    bend = 2 * middle - left - right
    shift = np.where(confirmed, 0.5 * (right - left) / np.where(bend > 0, bend, np.inf), 0)
    moved = np.where(confirmed, extreme - columns, 0)
    return places + moved, columns + moved + shift, confirmed


def respiration_of_beats(beats: ArrayLike, duration: float) -> NDArray:
    """Respiration in windows of heartbeats, from the intervals between them.

    The heart beats faster as one breathes in (respiratory sinus arrhythmia), so that the
    heart rate, interpolated by a cubic spline and filtered (:func:`breaths` with
    ``source="heart"``), follows respiration, as in NeuroKit2's ``ecg_rsp``. How strongly
    depends on the person, the posture and the state: use it for the rate of breathing, not for
    its depth.

    Parameters
    ----------
    beats : array of shape (n_windows, max_beats)
        Beat times in seconds, in order, NaN after the last.
    duration : float
        Length of a window in seconds.

    Returns
    -------
    ndarray of shape (n_windows, n_times)
        Heart rate in beats a minute, 4 times a second. NaN before the first and after the last
        interval, and across intervals that are left out: those under 0.3 or over 2 s, and those
        that differ by more than a quarter from the median of those around (ectopic and missed
        beats). NaN throughout with fewer than four intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.respiration import breaths, respiration_of_beats
    >>> beats = np.arange(75) * 0.8
    >>> beats += 0.03 * np.sin(2 * np.pi * 0.25 * beats)
    >>> respiration = respiration_of_beats(beats[np.newaxis], 60)
    >>> found = breaths(respiration, 4, "heart")
    >>> round(float(np.nanmean(found["stop"] - found["start"])), 1)
    4.0
    """
    beats = _checked_beats(beats)
    if not is_positive(duration):
        raise ValueError(f"duration must be a number of seconds above 0, got {duration!r}.")
    rr = regular_intervals(rr_intervals(beats), _MOST_DEVIATION)
    return _interpolate_at_beats(beats[:, 1:], 60000 / rr, duration)


def _checked_beats(beats: ArrayLike) -> NDArray:
    """Beat times in double precision, in at least one column."""
    axes = "(n_windows, max_beats)"
    times = real_samples(beats, "beats", axes, may_be_empty=True).astype(float)
    return times if times.shape[1] else np.full((len(times), 1), np.nan)


def respiration_of_ecg(ecg: ArrayLike, sampling_rate: float, beats: ArrayLike) -> NDArray:
    """Respiration in windows of an ECG, from the heights of its QRS complexes.

    Breathing turns the heart and moves the electrodes, so that the QRS complex is higher in one
    phase and lower in the other. Unlike :func:`respiration_of_beats`, this does not require that
    the heart rate follows respiration.

    Parameters
    ----------
    ecg : array of shape (n_windows, n_times)
        In any unit, NaN for samples that are missing.
    sampling_rate : float
        In hertz.
    beats : array of shape (n_windows, max_beats)
        Times of the R peaks in seconds, in order, NaN after the last.

    Returns
    -------
    ndarray of shape (n_windows, n_samples)
        Height of the QRS complex, from the smallest to the largest value within 60 ms of the
        beat, in percent of its median over the window, 4 times a second. NaN before the first
        and after the last beat, and beside beats that deviate by more than half from the median.
        NaN throughout with fewer than four beats.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.respiration import breaths, respiration_of_ecg
    >>> seconds, beats = np.arange(15360) / 256, 0.4 + 0.8 * np.arange(75)
    >>> ecg = np.exp(-(((seconds % 0.8 - 0.4) / 0.01) ** 2))
    >>> ecg *= 1 + 0.1 * np.sin(2 * np.pi * 0.2 * seconds)
    >>> found = breaths(respiration_of_ecg(ecg[np.newaxis], 256, beats[np.newaxis]), 4, "heart")
    >>> round(float(np.nanmean(found["stop"] - found["start"])), 1)
    5.0
    """
    ecg, beats = real_samples(ecg, "ecg", "(n_windows, n_times)"), _checked_beats(beats)
    if len(ecg) != len(beats):
        raise ValueError(
            f"ecg and beats must have the same number of windows, got {len(ecg)} and {len(beats)}."
        )
    _checks.check_rate(sampling_rate)
    n_times = ecg.shape[1]
    rows, columns = np.nonzero(np.isfinite(beats))
    reach = min(round(_QRS * sampling_rate), n_times)
    places = np.round(beats[rows, columns] * sampling_rate).astype(int)
    near = np.clip(places + np.arange(-reach, reach + 1)[:, np.newaxis], 0, n_times - 1)
    around = ecg[rows, near]
    whole = (places >= reach) & (places < n_times - reach)
    heights = np.full(beats.shape, np.nan)
    heights[rows, columns] = np.where(whole, around.max(axis=0) - around.min(axis=0), np.nan)
    median = nan_median(heights)[:, np.newaxis]
    with np.errstate(over="ignore", invalid="ignore"):  # a median near 0
        heights *= 100 / np.where(median > 0, median, np.nan)
    heights[~(np.abs(heights - 100) <= _MOST_HEIGHT)] = np.nan
    return _interpolate_at_beats(beats, heights, n_times / sampling_rate)


def _interpolate_at_beats(beats, values, duration):
    """Splines through values at beats, 4 times a second; NaN beside values that are NaN."""
    if duration > _LONGEST_WINDOW:
        raise ValueError(
            f"A window lasts at most {_LONGEST_WINDOW:g} s, got {duration:g} s. Check that the "
            "sampling rate is in hertz, and times are in seconds."
        )
    times = np.arange(int(duration * RESPIRATION_RATE + 1e-9)) / RESPIRATION_RATE
    series = np.full((len(beats), len(times)), np.nan)
    is_repeated = np.diff(beats, axis=1, prepend=np.nan) == 0  # no spline has two values at a time
    values = np.where(is_repeated, np.nan, values)
    n_known = np.isfinite(values).sum(axis=1)
    rows = np.flatnonzero(n_known >= _LEAST_BEATS)
    if not len(rows) or not len(times):
        return series
    beats, values, n_known = beats[rows], values[rows], n_known[rows]
    order = np.argsort(np.isnan(values), axis=1, kind="stable")
    knots = np.take_along_axis(beats, order, axis=1)
    last = np.take_along_axis(knots, n_known[:, np.newaxis] - 1, axis=1)
    wanted = np.clip(times, knots[:, :1], last)
    splines = interpolate(knots, np.take_along_axis(values, order, axis=1), n_known, wanted)
    # Splines are used between two successive beats whose values are known.
    row, column = np.nonzero(np.isfinite(np.diff(values, axis=1)) & (np.diff(beats) < _LONGEST_RR))
    first, stop = (
        np.clip(np.ceil(beats[row, column + i] * RESPIRATION_RATE), 0, len(times)).astype(int)
        for i in (0, 1)
    )
    bounds = np.zeros((len(rows), len(times) + 1), int)
    np.add.at(bounds, (row, first), 1)
    np.add.at(bounds, (row, stop), -1)
    seen = np.cumsum(bounds, axis=1)[:, :-1] > 0
    series[rows] = np.where(seen, splines, np.nan)
    return series


def respiration_features(found: dict[str, NDArray]) -> dict[str, NDArray]:
    """Rate, variability and depth of breathing, and the durations of its phases.

    Parameters
    ----------
    found : dict of str to array
        As returned by :func:`breaths`.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)
        Under the names in ``FEATURES``; :class:`skemo.RespirationTransformer` has their formulas.
        NaN with too few breaths: one is needed, two in a row for differences, two for the
        standard deviation of breaths and three for that of differences.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.respiration import breaths, respiration_features
    >>> seconds = np.arange(600) / 10
    >>> found = breaths(np.cos(2 * np.pi * 0.2 * seconds)[np.newaxis], 10)
    >>> respiration_features(found)["RSP_Rate_Mean"].round(1)
    array([12.])
    """
    durations = (found["stop"] - found["start"]) * 1000
    mean, deviation, rmssd, sdsd = _spread(durations)
    median = nan_median(durations)
    mad = 1.4826 * nan_median(np.abs(durations - median[:, np.newaxis]))
    depth, depth_deviation, depth_rmssd, _ = _spread(found["amplitude"])
    inspiration = _spread(found["peak"] - found["start"])[0]
    expiration = _spread(found["stop"] - found["peak"])[0]
    features = (
        60000 / mean,
        mean,
        deviation,
        rmssd,
        sdsd,
        deviation / mean,
        rmssd / mean,
        median,
        mad,
        mad / median,
        depth,
        depth_deviation,
        depth_rmssd,
        depth_rmssd / depth,
        inspiration,
        expiration,
        inspiration / expiration,
    )
    names = [name for group in FEATURES.values() for name in group]
    return dict(zip(names, features, strict=True))


def _spread(values):
    """Mean, standard deviation, root mean square and deviation of successive differences."""
    mean, deviation = mean_and_deviation(values)
    differences = np.diff(values, axis=1)
    _, deviation_of_differences = mean_and_deviation(differences)
    rms = np.sqrt(mean_and_deviation(differences**2)[0])
    return mean, deviation, rms, deviation_of_differences
