"""Quality of the signals in many windows at once, as numbers from 0 to 1."""

import numpy as np
import scipy.fft
import scipy.signal
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter1d

from skemo._checks import check_rate, real_samples
from skemo._samples import runs
from skemo.kernels.filters import (
    band_gain,
    block_means,
    extended_spectrum,
    fill_gaps,
    synthesise,
)
from skemo.kernels.heartbeats import channel_beats
from skemo.kernels.hrv import regular_intervals, rr_intervals
from skemo.kernels.skin_conductance import OFF_SKIN

QUALITY = {
    "ecg": (
        "ECG_Likeness",
        "ECG_Coverage",
        "ECG_BeatAgreement",
        "ECG_RMSSDAgreement",
        "ECG_QRSPower",
        "ECG_BaselinePower",
        "ECG_Flat",
        "ECG_Clipped",
        "ECG_Missing",
        "ECG_Quality",
    ),
    "ppg": (
        "PPG_Likeness",
        "PPG_Coverage",
        "PPG_BeatAgreement",
        "PPG_PulsePower",
        "PPG_BaselinePower",
        "PPG_Flat",
        "PPG_Clipped",
        "PPG_Missing",
        "PPG_Quality",
    ),
    "eda": ("EDA_OffSkin", "EDA_Step", "EDA_Clipped", "EDA_Missing", "EDA_Quality"),
    "eeg": (
        "EEG_Flat",
        "EEG_Clipped",
        "EEG_Amplitude",
        "EEG_Steadiness",
        "EEG_Muscle",
        "EEG_Mains",
        "EEG_Missing",
        "EEG_Quality",
    ),
    "acc": ("ACC_Motion", "ACC_Missing", "ACC_Quality"),
}
_CHUNK = 1 << 19  # samples processed together, with temporary arrays of some megabytes
_TRANSFORMED = 1 << 15  # samples whose spectra are computed together

# Seconds from which a run of equal samples is flat.
_FLAT = {"ecg": 1.0, "ppg": 1.0, "eeg": 0.25}
_ROUNDING = 4 * np.finfo(np.float32).eps  # of the largest value: smaller differences are none
# Seconds from which a run of the window's highest or lowest value is clipped.
_CLIPPED = {"ecg": 0.02, "ppg": 0.1, "eda": 5.0, "eeg": 0.02}
_SHORTEST_RUN = 4  # samples
_JUMP = 0.005  # of the window's range, between a clipped run and a sample two places away

# Heartbeats. The second detector uses another band than `r_peaks`, and one level per window.
_TRACE_RATE = {"ecg": 128, "ppg": 64}  # Hz
_TRACE_BAND = {"ecg": (1, 40), "ppg": (0.5, 8)}  # Hz, of the waves that are compared
_WAVE = {"ecg": (0.15, 0.3), "ppg": (0.2, 0.5)}  # s, before and after a beat
_N_AROUND, _N_ALIKE = 12, 2  # beats on either side; the likeness is that of the second best
_SECOND_BAND = (5, 15)  # Hz, of the ECG's envelope
_APART = 0.3  # s, the least between two beats of the second detector
_LEVEL, _BLOCK = 0.5, 2.0  # share of the median of the maxima in blocks of this many seconds
_TOLERANCE = 0.06  # s, between beats that are the same
_PRECISION = 2.0  # ms, of the RMSSD: the uncertainty of beat times
_EDGE = 1.5  # median intervals, the most between the first or last beat and the window's edge
# Power in the first band relative to the second (Hz): Zhao and Zhang (2018), Elgendi (2016).
_BAND = {"ecg": ((5, 15), (5, 40)), "ppg": ((1, 2.25), (0, 8))}
_BASELINE = {"ecg": ((0, 1), (0, 40)), "ppg": ((0, 0.5), (0, 8))}

# Skin conductance. The highest value and the steepest slope are those of Kleckner et al. (2018).
_HIGHEST = 60.0  # µS
_STEEPEST, _STEEPEST_PART, _LEAST_STEP = 10.0, 0.8, 0.2  # µS/s; of the level per second; µS/s
_EDA_RATE = 4.0  # Hz
_AROUND_STEP = 5.0  # s before and after a step that are doubtful

# EEG.
_SEGMENT = 2.0  # s, of a spectrum in Welch's method
_EEG_BAND, _MUSCLE_BAND = (1, 100), (30, 100)  # Hz
_MAINS, _MAINS_WIDTH = (50, 60), 1.0  # Hz
_USUAL_RATIO, _USUAL_BURST = 3.0, 5.0  # channel to median channel; second to median second

_MOTION = 0.1  # of gravity, at which a second counts as half in motion


def signal_quality(
    windows: ArrayLike, sampling_rate: float, signal: str = "ecg"
) -> dict[str, NDArray]:
    """Measure the quality of the signal in each window.

    All numbers lie in [0, 1]. The last one is the overall quality, 1 for a clean signal;
    :class:`skemo.QualityTransformer` defines each of them. Only skin conductance must be in a
    certain unit, µS.

    Parameters
    ----------
    windows : array of shape (n_windows, n_channels, n_times)
        May be memory-mapped: a few windows at a time are read.
    sampling_rate : float
        In hertz.
    signal : {"ecg", "ppg", "eda", "eeg", "acc"}, default="ecg"
        What the windows hold: an ECG, a pulse wave (PPG, BVP), skin conductance in µS, an EEG,
        or an accelerometer with its axes as channels and gravity included.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,), or (n_windows, n_channels) for the EEG
        Under the names in ``QUALITY[signal]``. NaN where a window, or a channel of an EEG, is
        NaN throughout. If there are several channels of an ECG, a pulse or skin conductance, the
        numbers of a window are those of its best channel.

    Raises
    ------
    ValueError
        For an unknown `signal`, or windows that are not three-dimensional.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.quality import signal_quality
    >>> seconds = np.arange(240) / 4
    >>> off = np.where(seconds < 30, 2 + 0.1 * np.sin(seconds / 5), 0.01)
    >>> signal_quality(off[np.newaxis, np.newaxis], 4, "eda")["EDA_OffSkin"]
    array([0.5])
    """
    check_signal(signal)
    windows = real_samples(windows, "windows", "(n_windows, n_channels, n_times)")
    check_rate(sampling_rate)
    n_windows, n_channels, _ = windows.shape
    shape = (n_windows, n_channels) if signal == "eeg" else (n_windows,)
    result = {name: np.full(shape, np.nan) for name in QUALITY[signal]}
    step = max(1, _CHUNK // max(1, windows[:1].size))
    for start in range(0, n_windows, step):
        chunk = np.asarray(windows[start : start + step])
        missing = np.isnan(chunk)
        nothing = missing.all(axis=2)  # NaN throughout, by channel
        chunk = _fill(chunk, missing)
        if signal in ("ecg", "ppg"):
            numbers = _beat_quality(chunk, sampling_rate, missing, signal)
        else:
            numbers = _MEASURES[signal](chunk, sampling_rate, missing)
        absent = nothing if signal == "eeg" else nothing.all(axis=1)
        for name in QUALITY[signal]:
            result[name][start : start + step] = np.where(absent, np.nan, numbers[name])
    return result


def check_signal(signal: str) -> None:
    """Raise for an unknown kind of signal."""
    if not isinstance(signal, str) or signal not in QUALITY:
        raise ValueError(f"signal must be one of {list(QUALITY)}, got {signal!r}.")


def _fill(windows, missing):
    """Windows with gaps bridged, in single or double precision; 0 in a channel without data."""
    windows = windows.astype(np.result_type(windows.dtype, np.float32), copy=False)
    if not missing.any():
        return windows
    filled = fill_gaps(windows.reshape(-1, windows.shape[2])).reshape(windows.shape)
    return np.where(np.isnan(filled), 0, filled)


def _share_flat(windows, sampling_rate, signal):
    """Share of samples in runs of one value, up to rounding, in windows (n_windows, n_times)."""
    largest = np.abs(windows).max(axis=1, keepdims=True)
    same = np.abs(np.diff(windows, axis=1)) <= _ROUNDING * largest
    n_times = windows.shape[1]
    n_shortest = min(max(_SHORTEST_RUN, round(_FLAT[signal] * sampling_rate)), n_times)
    rows, starts, stops = runs(same, max(1, n_shortest - 1))  # n values have n - 1 differences
    return np.bincount(rows, stops - starts + 1, len(windows)) / n_times


def _share_clipped(windows, sampling_rate, signal):
    """Share of samples in runs of the highest or the lowest value of the window.

    A signal jumps to the value at which it is clipped, but reaches a baseline slowly.
    """
    n_times = windows.shape[1]
    shortest = max(_SHORTEST_RUN, round(_CLIPPED[signal] * sampling_rate))
    high, low = windows.max(axis=1), windows.min(axis=1)
    share = np.zeros(len(windows))
    for extreme in (high, low):
        rows, starts, stops = runs(windows == extreme[:, np.newaxis], shortest)
        outside = np.abs(
            [
                windows[rows, np.maximum(starts - 2, 0)] - extreme[rows],
                windows[rows, np.minimum(stops + 1, n_times - 1)] - extreme[rows],
            ]
        ).max(axis=0)
        jumps = outside > _JUMP * (high - low)[rows]
        share += np.bincount(rows[jumps], (stops - starts)[jumps], len(windows)) / n_times
    return np.minimum(share, 1)


def _density(windows, sampling_rate, n_segment):
    """Frequencies and power densities by Welch's method, as `scipy.signal.welch`, but faster."""
    n_segment = min(max(2, n_segment), windows.shape[-1])
    hop = n_segment - n_segment // 2
    taper = scipy.signal.windows.hann(n_segment, sym=False).astype(windows.dtype)
    scale = np.full(n_segment + 1, 2 / (sampling_rate * np.sum(taper**2)), windows.dtype)
    scale[[0, -1]] /= 2  # the others also count for their mirror images
    rows = windows.reshape(-1, windows.shape[-1])
    density = np.empty((len(rows), n_segment + 1), windows.dtype)
    segments = sliding_window_view(rows, n_segment, axis=1)[:, ::hop]
    n_together = max(4, _TRANSFORMED // windows.shape[-1] // 4 * 4)
    for start in range(0, len(rows), n_together):
        some = slice(start, start + n_together)
        spectrum = scipy.fft.rfft(segments[some] * taper, 2 * n_segment)
        power = spectrum.real**2
        power += spectrum.imag**2
        np.mean(power, axis=1, out=density[some])
    density *= scale
    frequencies = np.arange(n_segment + 1) * (sampling_rate / (2 * n_segment))
    return frequencies, density.reshape(*windows.shape[:-1], -1)


def _power(frequencies, density, band):
    inside = slice(*np.searchsorted(frequencies, (max(band[0], 1e-3), band[1])))
    return np.trapezoid(density[..., inside], frequencies[inside], axis=-1)


def _ratio(part, whole):
    """`part` / `whole`, limited to [0, 1], and 0 where `whole` is not positive."""
    return np.clip(part / np.where(whole > 0, whole, np.inf), 0, 1)


def _beat_quality(windows, sampling_rate, missing, signal):
    """Numbers of windows of an ECG or a pulse, from the best channel of each."""
    beats = channel_beats(np.where(missing, np.nan, windows), sampling_rate, "skemo", signal)
    channels = [
        _channel_quality(windows[:, i], sampling_rate, missing[:, i], beats, signal)
        for i in range(windows.shape[1])
    ]
    return _from_best_channel(channels, f"{signal.upper()}_Quality")


def _from_best_channel(channels, quality):
    """Numbers of each window from the channel in which the number `quality` is highest."""
    best = np.argmax([numbers[quality] for numbers in channels], axis=0)[np.newaxis]
    return {
        name: np.take_along_axis(np.array([numbers[name] for numbers in channels]), best, 0)[0]
        for name in channels[0]
    }


def _channel_quality(windows, sampling_rate, missing, beats, signal):
    flat = _share_flat(windows, sampling_rate, signal)
    clipped = _share_clipped(windows, sampling_rate, signal)
    windows = windows - windows[:, :1]  # so that a constant window is exactly 0
    windows -= windows.mean(axis=1, keepdims=True)
    scale = np.abs(windows).max(axis=1, keepdims=True)
    windows /= np.where(scale > 0, scale, 1)
    plain, waves, rising, rate = _traces(windows, sampling_rate, signal)
    likeness = _likeness(waves, rate, beats, _WAVE[signal])
    others = _second_beats(rising, rate)
    intervals = _intervals(beats, signal)
    coverage = _coverage(beats, intervals, windows.shape[1] / sampling_rate)
    same = beat_agreement(beats, others, _TOLERANCE)
    # Welch's method with segments of half the window, as in NeuroKit2.
    frequencies, density = _density(plain, rate, plain.shape[1] // 2)
    band, baseline = (
        _ratio(_power(frequencies, density, part), _power(frequencies, density, whole))
        for part, whole in (_BAND[signal], _BASELINE[signal])
    )
    missing = missing.mean(axis=1)
    quality = likeness * coverage * same * (1 - flat) * (1 - clipped) * (1 - missing)
    kind = signal.upper()
    numbers = {
        f"{kind}_Likeness": likeness,
        f"{kind}_Coverage": coverage,
        f"{kind}_BeatAgreement": same,
        f"{kind}_BaselinePower": baseline,
        f"{kind}_Flat": flat,
        f"{kind}_Clipped": clipped,
        f"{kind}_Missing": missing,
    }
    if signal == "ppg":
        return {**numbers, "PPG_PulsePower": band, "PPG_Quality": quality}
    agreement = _rmssd_agreement(intervals, _intervals(others, signal))
    numbers |= {"ECG_RMSSDAgreement": agreement, "ECG_QRSPower": band}
    return {**numbers, "ECG_Quality": quality * agreement}


def _traces(windows, sampling_rate, signal):
    """Windows at a lower rate, waves to compare, a trace that rises at beats, and the rate.

    The trace is the envelope of the ECG between 5 and 15 Hz, or the rising slope of the pulse.
    """
    n_times = windows.shape[1]
    spectrum, n_extended, n_before = extended_spectrum(windows, int(sampling_rate))
    duration = n_extended / sampling_rate
    frequencies = np.arange(spectrum.shape[1]) / duration
    n_trace = max(2, round(duration * _TRACE_RATE[signal]))
    rate = n_trace / duration
    start = round(n_before / sampling_rate * rate)
    inside = slice(start, start + max(1, int(n_times / sampling_rate * rate)))
    plain = synthesise(spectrum, np.ones(len(frequencies)), n_extended, n_trace)
    gain = band_gain(frequencies, *_TRACE_BAND[signal])
    if signal == "ecg":
        waves = synthesise(spectrum, gain, n_extended, n_trace)
        gain = band_gain(frequencies, *_SECOND_BAND)
        rising = np.abs(synthesise(spectrum, gain, n_extended, n_trace, analytic=True))
    else:
        gain = gain * (2j * np.pi * frequencies)
        waves = synthesise(spectrum, gain, n_extended, n_trace)
        rising = np.maximum(waves, 0)
    return plain[:, inside], waves[:, inside], rising[:, inside], rate


def _second_beats(rising, rate):
    """Times of maxima at least 0.3 s apart and above half the window's level; NaN after them."""
    n_windows, n_times = rising.shape
    n_block = min(n_times, round(_BLOCK * rate))
    n_blocks = n_times // n_block
    blocks = rising[:, : n_blocks * n_block].reshape(n_windows, n_blocks, n_block)
    level = np.median(blocks.max(axis=2), axis=1)
    reach = int(_APART * rate)
    highest = maximum_filter1d(rising, 2 * reach + 1, axis=1, mode="nearest")
    rows, columns = np.nonzero((rising == highest) & (rising > _LEVEL * level[:, np.newaxis]))
    # The first of equal maxima is used.
    repeated = (np.diff(rows, prepend=-1) == 0) & (np.diff(columns, prepend=0) <= reach)
    kept = ~repeated & (columns > 0) & (columns < n_times - 1)
    rows, columns = rows[kept], columns[kept]
    left, middle, right = (rising[rows, columns + step].astype(float) for step in (-1, 0, 1))
    bend = 2 * middle - left - right
    times = (columns + 0.5 * (right - left) / np.where(bend > 0, bend, np.inf)) / rate
    n_beats = np.bincount(rows, minlength=n_windows)
    beats = np.full((n_windows, n_times // max(1, reach) + 2), np.nan)
    order = np.arange(len(rows)) - np.repeat(np.cumsum(n_beats) - n_beats, n_beats)
    fits = order < beats.shape[1]
    beats[rows[fits], order[fits]] = times[fits]
    return beats


def _likeness(trace, rate, beats, reach):
    """Mean over the beats of a window of their likeness to others.

    The likeness of a beat is the second highest cosine of its wave with those of the twelve beats
    before and the twelve after it. Two alternating forms, as in bigeminy, score as high as one.
    """
    before, after = (round(seconds * rate) for seconds in reach)
    rows, columns = np.nonzero(~np.isnan(beats))
    centres = np.round(beats[rows, columns] * rate).astype(int)
    whole = (centres >= before) & (centres + after < trace.shape[1])
    rows, centres = rows[whole], centres[whole]
    steps = np.arange(-before, after + 1)
    waves = trace.reshape(-1).take((rows * trace.shape[1] + centres)[:, np.newaxis] + steps)
    waves -= waves.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.vecdot(waves, waves))
    waves /= np.maximum(norms, np.finfo(np.float32).tiny)[:, np.newaxis]
    n_lags = min(_N_AROUND, max(0, len(rows) - 1))
    cosines = np.zeros((max(_N_ALIKE, 2 * n_lags), len(rows)), waves.dtype)
    for lag in range(1, n_lags + 1):
        products = np.vecdot(waves[lag:], waves[:-lag])
        products = np.where(rows[lag:] == rows[:-lag], products, 0)
        cosines[2 * lag - 2, lag:] = cosines[2 * lag - 1, :-lag] = products
    second = np.partition(cosines, -_N_ALIKE, axis=0)[-_N_ALIKE]
    n_beats = np.bincount(rows, minlength=len(beats))
    return np.bincount(rows, np.clip(second, 0, 1), len(beats)) / np.maximum(n_beats, 1)


def beat_agreement(beats: ArrayLike, others: ArrayLike, tolerance: float = 0.06) -> NDArray:
    """Share of the beats of two detectors that both of them found.

    Parameters
    ----------
    beats, others : array of shape (n_windows, max_beats)
        Times in seconds, in order, NaN after the last.
    tolerance : float, default=0.06
        Largest difference in seconds between two beats that are the same.

    Returns
    -------
    ndarray of shape (n_windows,)
        F1 score: twice the number of beats that both found, divided by the sum of the numbers
        that each found. 0 if neither found any.

    Examples
    --------
    >>> from skemo.kernels.quality import beat_agreement
    >>> beat_agreement([[1.0, 2.0, 3.0]], [[1.01, 3.02, 3.5]]).round(2)
    array([0.67])
    """
    beats, others = (
        real_samples(times, name, "(n_windows, max_beats)", may_be_empty=True).astype(float)
        for times, name in ((beats, "beats"), (others, "others"))
    )
    if len(beats) != len(others):
        raise ValueError(f"beats has {len(beats)} windows, but others has {len(others)}.")
    times = np.concatenate([beats, others], axis=1)
    order = np.argsort(times, axis=1, kind="stable")  # NaN last
    times = np.take_along_axis(times, order, axis=1)
    is_other = (order >= beats.shape[1]) & ~np.isnan(times)
    last = np.maximum.accumulate(np.where(is_other, times, -np.inf), axis=1)
    following = np.where(is_other, times, np.inf)[:, ::-1]
    following = np.minimum.accumulate(following, axis=1)[:, ::-1]
    near = (times - last <= tolerance) | (following - times <= tolerance)
    is_beat = (order < beats.shape[1]) & ~np.isnan(times)
    n_same = (near & is_beat).sum(axis=1)
    n_beats = is_beat.sum(axis=1) + is_other.sum(axis=1)
    return np.minimum(2 * n_same / np.maximum(n_beats, 1), 1)


def _intervals(beats, signal):
    intervals = rr_intervals(beats)
    return regular_intervals(intervals) if signal == "ppg" else intervals


def _rmssd_agreement(intervals, others):
    """The smaller RMSSD divided by the larger; 0 if either is unknown."""
    one, other = _rmssd(intervals) + _PRECISION, _rmssd(others) + _PRECISION
    return np.nan_to_num(np.minimum(one, other) / np.maximum(one, other))


def _rmssd(intervals):
    """Root mean square of successive differences, in ms; NaN without any."""
    squares = np.diff(intervals, axis=1) ** 2
    n_squares = np.isfinite(squares).sum(axis=1)
    mean = np.nansum(squares, axis=1) / np.maximum(n_squares, 1)
    return np.where(n_squares > 0, np.sqrt(mean), np.nan)


def _coverage(beats, intervals, duration):
    """Share of the window between beats, including its edges if these are near a beat."""
    n_intervals = np.isfinite(intervals).sum(axis=1)
    padded = np.pad(intervals, ((0, 0), (0, 1)), constant_values=np.nan)  # at least one column
    middle = np.sort(padded, axis=1)  # NaN last
    middle = np.take_along_axis(middle, (np.maximum(n_intervals, 1) // 2)[:, np.newaxis], axis=1)
    longest = _EDGE * np.nan_to_num(middle[:, 0]) / 1000
    first = np.nan_to_num(beats[:, 0])
    last = duration - np.nanmax(np.nan_to_num(beats), axis=1)
    edges = sum(np.where(edge <= longest, edge, 0) for edge in (first, last))
    covered = np.nansum(intervals, axis=1) / 1000 + edges
    return np.clip(np.where(n_intervals > 0, covered, 0) / duration, 0, 1)


def _eda_quality(windows, sampling_rate, missing):
    """Numbers of windows of skin conductance in µS, from the best channel of each."""
    channels = [
        _conductance_quality(windows[:, i], sampling_rate, missing[:, i].mean(axis=1))
        for i in range(windows.shape[1])
    ]
    return _from_best_channel(channels, "EDA_Quality")


def _conductance_quality(windows, sampling_rate, missing):
    n_block = max(1, min(round(sampling_rate / _EDA_RATE), windows.shape[1]))
    rate = sampling_rate / n_block
    eda = block_means(windows, n_block)
    off = eda <= OFF_SKIN
    slope = np.abs(np.diff(eda, axis=1)) * rate
    level = np.minimum(eda[:, 1:], eda[:, :-1])
    step = slope > np.clip(_STEEPEST_PART * level, _LEAST_STEP, _STEEPEST)
    step = np.pad(step, ((0, 0), (1, 0))).astype(np.uint8)
    near = 2 * round(_AROUND_STEP * rate) + 1
    doubtful = maximum_filter1d(step, near, axis=1, mode="constant") > 0
    stuck = _share_clipped(windows, sampling_rate, "eda")
    clipped = np.maximum(stuck, (windows > _HIGHEST).mean(axis=1))
    quality = (1 - (off | doubtful).mean(axis=1)) * (1 - clipped) * (1 - missing)
    return {
        "EDA_OffSkin": off.mean(axis=1),
        "EDA_Step": doubtful.mean(axis=1),
        "EDA_Clipped": clipped,
        "EDA_Missing": missing,
        "EDA_Quality": quality,
    }


def _eeg_quality(windows, sampling_rate, missing):
    """Numbers of windows of an EEG, for each channel."""
    rows = windows.reshape(-1, windows.shape[2])
    flat = _share_flat(rows, sampling_rate, "eeg").reshape(windows.shape[:2])
    clipped = _share_clipped(rows, sampling_rate, "eeg").reshape(windows.shape[:2])
    windows = windows - windows.mean(axis=2, keepdims=True)
    deviation = windows.std(axis=2)
    alive = (deviation > _ROUNDING * np.abs(windows).max(axis=2)) & ~missing.all(axis=2)
    n_alive = alive.sum(axis=1, keepdims=True)
    usual = np.sort(np.where(alive, deviation, np.inf), axis=1)
    usual = np.take_along_axis(usual, np.maximum(n_alive - 1, 0) // 2, axis=1)
    amplitude = _ratio(_USUAL_RATIO * np.minimum(deviation, usual), np.maximum(deviation, usual))

    n_second = max(1, min(round(sampling_rate), windows.shape[2]))
    n_seconds = windows.shape[2] // n_second
    seconds = windows[..., : n_seconds * n_second].reshape(*deviation.shape, n_seconds, n_second)
    seconds = np.sort(seconds.std(axis=3), axis=2)
    steadiness = _ratio(_USUAL_BURST * seconds[..., n_seconds // 2], seconds[..., -1])

    frequencies, density = _density(windows, sampling_rate, round(_SEGMENT * sampling_rate))
    power = _power(frequencies, density, _EEG_BAND)
    mains = [
        _power(frequencies, density, (mains - _MAINS_WIDTH, mains + _MAINS_WIDTH))
        for mains in _MAINS
    ]
    muscle = _power(frequencies, density, _MUSCLE_BAND) - mains[0] - mains[1]
    muscle, mains = _ratio(muscle, power), _ratio(np.maximum(*mains), power)
    missing = missing.mean(axis=2)
    quality = amplitude * steadiness * (1 - muscle) * (1 - mains)
    return {
        "EEG_Flat": flat,
        "EEG_Clipped": clipped,
        "EEG_Amplitude": amplitude,
        "EEG_Steadiness": steadiness,
        "EEG_Muscle": muscle,
        "EEG_Mains": mains,
        "EEG_Missing": missing,
        "EEG_Quality": quality * (1 - flat) * (1 - clipped) * (1 - missing),
    }


def _acc_quality(windows, sampling_rate, missing):
    """Numbers of windows of an accelerometer; gravity is taken to be its mean magnitude."""
    n_windows, n_axes, n_times = windows.shape
    gravity = np.sqrt((windows**2).sum(axis=1)).mean(axis=1)
    n_second = max(1, min(round(sampling_rate), n_times))
    n_seconds = n_times // n_second
    seconds = windows[..., : n_seconds * n_second].reshape(n_windows, n_axes, n_seconds, n_second)
    activity = np.sqrt(seconds.var(axis=3).sum(axis=1))  # in each second
    squares = (activity / np.where(gravity > 0, _MOTION * gravity, np.inf)[:, np.newaxis]) ** 2
    motion = (squares / (1 + squares)).mean(axis=1)
    missing = missing.mean(axis=(1, 2))
    quality = np.where(gravity > 0, (1 - motion) * (1 - missing), 0)
    return {"ACC_Motion": motion, "ACC_Missing": missing, "ACC_Quality": quality}


_MEASURES = {"eda": _eda_quality, "eeg": _eeg_quality, "acc": _acc_quality}
