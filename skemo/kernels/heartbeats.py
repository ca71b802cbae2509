"""Heartbeats in windows of an ECG or a pulse wave, many windows at once."""

import warnings

import numpy as np

from skemo.kernels.filters import (
    LARGEST_GAP_SHARE,
    band_gain,
    extended_spectrum,
    fill_gaps,
    loops_along_rows,
    synthesise,
)
from skemo.kernels.hrv import (
    regular_intervals,
    rr_intervals,
    sliding,
)

METHODS = {
    "ecg": (
        "skemo",
        "neurokit",
        "pantompkins1985",
        "hamilton2002",
        "elgendi2010",
        "engzeemod2012",
        "emrich2023",
        "gamboa2008",
        "christov2004",
        "slopesumfunction",
        "zong2003",
        "kalidas2017",
        "khamis2016",
        "manikandan2012",
        "martinez2004",
        "nabian2018",
        "rodrigues2021",
        "promac",
    ),
    "ppg": ("skemo", "elgendi", "bishop", "charlton"),
}
_REFRACTORY = 0.3  # s, the least between two beats
_LONGEST_GAP = 2.0  # s, of a window that is said to have beats, on average
_THRESHOLD = 0.4  # of the level that beats have around
_PULSE_QUANTILE = 0.3  # of the maxima around, that is said to be their level
# A beat must stand out: between beats the envelope is below this part of its level at beats.
# Gaussian noise of any colour has 0.35 to 0.6 in 10 s; recorded ECG 0.02 to 0.21.
_ECG_BACKGROUND = 0.3
# A pulse wave is one that resembles waves around it, at intervals that resemble those around.
_N_NEAR, _N_ALIKE = 6, 3  # of so many waves to either side, that many must be alike
_LIKENESS = 0.75  # cosine of the slopes of two waves
_LIKENESS_IN_TIME, _IN_TIME = 0.6, 0.15  # of a wave whose two intervals deviate that little
_DEVIATION = 0.25  # of an interval from the median of those around, as a part of it
_N_RHYTHM, _N_REGULAR = 9, 4  # of so many intervals in a row, that many must be regular
_SLOPE_RATE, _WAVE_RATE = 64, 32  # Hz, of the slope, and of waves that are compared
_FLOOR = 1e-3  # of the highest level: what is below, as in a flat stretch, is rounding
# NeuroKit2 has no cleaning named for these detectors.
_CLEANED_BY_DEFAULT = (
    "khamis2016",
    "manikandan2012",
    "martinez2004",
    "nabian2018",
    "rodrigues2021",
    "promac",
)
_CHUNK = 1 << 18  # samples looked at together: a few megabytes with what is made of them


def channel_beats(windows, sampling_rate, method, signal):
    """Beat times of windows (n_windows, n_channels, n_times), from the first that shows any."""
    beats = r_peaks(windows[:, 0], sampling_rate, method, signal)
    for channel in range(1, windows.shape[1]):
        unseen = np.flatnonzero(np.isnan(beats[:, 0]))
        if len(unseen):
            beats[unseen] = r_peaks(windows[unseen, channel], sampling_rate, method, signal)
    return beats


def r_peaks(ecg, sampling_rate, method="skemo", signal="ecg"):
    """Times of the heartbeats in windows of an ECG or a pulse wave.

    ``"skemo"`` looks for maxima of an envelope that lie 0.3 s apart or more and above 0.4 of
    the level that beats have around. Times are interpolated between samples. Each window is
    normalised, so that unit, offset and polarity of an ECG do not matter.

    For the ECG the envelope is that of the 8 to 20 Hz band, filtered without phase shift, its
    level the median, over ten seconds, of the maxima of two seconds, and the beat is placed
    at the highest point of the 1 to 40 Hz band within 60 ms, or at the lowest in a window
    whose QRS complexes point down.

    For the pulse (``signal="ppg"``) the envelope is the rising slope of the 0.5 to 5 Hz band,
    and the beat is placed at the steepest point of the upstroke, which is better defined in
    time than the crest [1]_. A wrist that moves makes waves many times as high, so that
    everything is judged by what is around it. The level is the 30 % quantile, over ten
    seconds, of the maxima of 1.5 s. Of the six waves before and the six after, three must
    resemble a beat's, as in the quality index of Orphanidou et al. [2]_: a cosine of over
    0.75 between the slopes, 0.3 s to either side, or of 0.6 where both intervals at the
    beat are within 15 % of the median of those around. At last, one of the two intervals
    must be regular (:func:`regular_intervals`), and so must be four of the nine around. A
    beat that is not so is left out: the beats have gaps, and what spans a gap must not be
    taken for an RR interval.

    Parameters
    ----------
    ecg : array of shape (n_windows, n_times)
        Any unit. May be memory-mapped: a few windows at a time are read. A whole recording
        is one long window.
    sampling_rate : float
        In hertz. Below 40 Hz an ECG shows no beats.
    method : str, default="skemo"
        ``"skemo"``, or the name of a detector of NeuroKit2 (the extra ``neurokit2``), which
        runs in a loop over windows. For the ECG: ``"neurokit"``, ``"pantompkins1985"``,
        ``"hamilton2002"``, ``"elgendi2010"``, ``"engzeemod2012"``, ``"emrich2023"``,
        ``"gamboa2008"``, ``"christov2004"``, ``"slopesumfunction"``, ``"zong2003"``,
        ``"kalidas2017"``, ``"khamis2016"``, ``"manikandan2012"``, ``"martinez2004"``,
        ``"nabian2018"``, ``"rodrigues2021"``, ``"promac"``. For the pulse, where they give
        crests: ``"elgendi"``, ``"bishop"``, ``"charlton"``.
    signal : {"ecg", "ppg"}, default="ecg"
        Kind of signal.

    Returns
    -------
    ndarray of shape (n_windows, max_beats)
        Seconds from the start of the window, in order, NaN after the last.
        ``max_beats`` is ``floor(duration / 0.3) + 1`` whatever the windows hold.

    Notes
    -----
    A window has no beats (NaN throughout), by any method, where there is nothing to see:

    - it is flat, or more than 5 % of its samples are NaN (less is bridged by straight
      lines);
    - ECG: it has fewer beats than one in two seconds, or the median of the envelope is over
      0.3 of its median at the beats. White, pink and red noise of 3 s and more stays above
      that, recorded ECG far below;
    - pulse: it has no four regular intervals close together. In under 1 % of 10 s of white,
      pink or red noise there are some.

    A beat closer to an edge than the half of its QRS complex may be missed, and its
    neighbour beyond the edge is not invented.

    Raises
    ------
    ValueError
        For an unknown `method` or `signal`, or an array that is not two-dimensional.
    ImportError
        For a detector of NeuroKit2 if that is not installed (the extra ``neurokit2``).

    References
    ----------
    .. [1] Peralta et al. (2019), Optimal fiducial points for pulse rate variability analysis
       from forehead and finger photoplethysmographic signals, Physiological Measurement
       40(2), 025007.
    .. [2] Orphanidou et al. (2015), Signal-quality indices for the electrocardiogram and
       photoplethysmogram, IEEE Journal of Biomedical and Health Informatics 19(3), 832-838.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.heartbeats import r_peaks
    >>> seconds = np.arange(2560) / 256
    >>> ecg = sum(np.exp(-(((seconds - beat) / 0.01) ** 2)) for beat in (1.0, 2.1, 4.0, 6.0, 8.5))
    >>> r_peaks(ecg[np.newaxis], 256)[0, :6].round(3)
    array([1. , 2.1, 4. , 6. , 8.5, nan])
    """
    ecg = np.asarray(ecg)
    check_detector(method, signal)
    if ecg.ndim != 2:
        raise ValueError(f"Beats are found in windows (n_windows, n_times), got {ecg.shape}.")
    n_windows, n_times = ecg.shape
    beats = np.full((n_windows, max_beats(n_times, sampling_rate)), np.nan)
    step = max(1, _CHUNK // max(1, n_times))
    for start in range(0, n_windows if n_times > 2 else 0, step):
        chunk = slice(start, start + step)
        windows, usable = _normalise(ecg[chunk])
        if len(usable):
            find = _find_beats if signal == "ecg" else _find_pulses
            found = find(windows, sampling_rate, beats.shape[1])
            if method != "skemo":
                seen = ~np.isnan(found[:, 0])
                found[seen] = _neurokit_beats(
                    windows[seen], sampling_rate, method, signal, beats.shape[1]
                )
            beats[start + usable] = found
    return beats


def max_beats(n_times, sampling_rate):
    """Most beats that a window can hold."""
    return int(n_times / sampling_rate / _REFRACTORY + 1e-9) + 1


def check_detector(method, signal):
    """Raise where there is no such detector for the kind of signal."""
    if signal not in METHODS:
        raise ValueError(f"signal must be one of {list(METHODS)}, got {signal!r}.")
    if method not in METHODS[signal]:
        raise ValueError(
            f"method={method!r} is no detector for signal={signal!r}. Choose one of "
            f"{', '.join(METHODS[signal])}."
        )


def _normalise(ecg):
    """Windows with small gaps bridged, moved to 0 and scaled to 1; and which rows they are."""
    missing = np.isnan(ecg)
    usable = np.arange(len(ecg))
    if missing.any():
        usable = np.flatnonzero(missing.mean(axis=1) <= LARGEST_GAP_SHARE)
        ecg = fill_gaps(ecg[usable])
    with loops_along_rows(ecg.shape[1]):
        # The first sample serves as zero, so that a constant window is exactly 0.
        windows = np.subtract(ecg, ecg[:, :1], dtype=np.result_type(ecg.dtype, np.float32))
        windows -= windows.mean(axis=1, keepdims=True)
        scale = np.maximum(windows.max(axis=1, initial=0), -windows.min(axis=1, initial=0))
        if not scale.all():  # the others do not change
            usable, windows, scale = usable[scale > 0], windows[scale > 0], scale[scale > 0]
        windows /= scale[:, np.newaxis]
    return windows.astype(np.float32, copy=False), usable


def _find_beats(windows, sampling_rate, width):
    """Beat times of normalised windows of an ECG, or NaN where there is nothing to see."""
    n_windows, n_times = windows.shape
    (envelope, envelope_rate), (trace, trace_rate), before = _ecg_traces(windows, sampling_rate)
    duration = n_times / sampling_rate
    start = round(before * envelope_rate)
    envelope = envelope[:, start : start + max(1, int(duration * envelope_rate))]
    rows, columns = _candidates(envelope, envelope_rate)
    levels = envelope[rows, columns]

    first = int(np.ceil(before * trace_rate))
    last = int((before + (n_times - 1) / sampling_rate) * trace_rate)
    centres = np.round((columns + start) * (trace_rate / envelope_rate)).astype(int)
    positions, inside = _locate(trace, rows, centres, trace_rate, first, last, True)
    rows, levels, positions = rows[inside], levels[inside], positions[inside]

    beats = _in_rows(positions / trace_rate - before, rows, n_windows, width)
    n_beats = np.bincount(rows, minlength=n_windows)
    clear = n_beats >= max(1, int(duration / _LONGEST_GAP))
    at_beats = np.sort(_in_rows(levels, rows, n_windows, width), axis=1)  # NaN last
    at_beats = at_beats[np.arange(n_windows), n_beats // 2].astype(np.float32)
    # Every fourth value will do: the envelope holds frequencies up to 12 Hz or so.
    few = envelope[:, ::4]
    n_low = np.count_nonzero(few < _ECG_BACKGROUND * at_beats[:, np.newaxis], axis=1)
    clear &= n_low > few.shape[1] // 2
    beats[~clear] = np.nan
    return beats


def _find_pulses(windows, sampling_rate, width):
    """Times of pulse waves of normalised windows, where they resemble each other."""
    n_windows, n_times = windows.shape
    slope, rate, before = _pulse_slope(windows, sampling_rate)
    start = round(before * rate)
    rising = slope[:, start : start + max(1, int(n_times / sampling_rate * rate))]
    rows, columns = _candidates(np.maximum(rising, 0), rate, "ppg")
    first = int(np.ceil(before * rate))
    last = int((before + (n_times - 1) / sampling_rate) * rate)
    positions, inside = _locate(slope, rows, columns + start, rate, first, last, False)
    rows, positions = rows[inside], positions[inside]
    beats = _in_rows(positions / rate - before, rows, n_windows, width)

    cosines = _cosines(slope, rows, positions, rate)
    alike, nearly = (
        _in_rows((cosines > least).sum(axis=0), rows, n_windows, width) >= _N_ALIKE
        for least in (_LIKENESS, _LIKENESS_IN_TIME)
    )
    regular = np.isfinite(regular_intervals(rr_intervals(beats), _IN_TIME))
    alike |= nearly & np.pad(regular, ((0, 0), (1, 0))) & np.pad(regular, ((0, 0), (0, 1)))
    beats = np.sort(np.where(alike, beats, np.nan), axis=1)  # NaN last

    regular = np.isfinite(regular_intervals(rr_intervals(beats), _DEVIATION))
    if width > 1:
        reach = _N_RHYTHM // 2
        around = np.pad(regular, ((0, 0), (reach, _N_RHYTHM - 1 - reach)))
        regular &= sliding(around, _N_RHYTHM).sum(axis=2) >= _N_REGULAR
    bounded = np.pad(regular, ((0, 0), (1, 0))) | np.pad(regular, ((0, 0), (0, 1)))
    return np.sort(np.where(bounded, beats, np.nan), axis=1)


def _in_rows(values, rows, n_windows, width):
    """Values, one a beat, in the row of their window, and NaN after the last."""
    n_beats = np.bincount(rows, minlength=n_windows)
    order = np.arange(len(rows)) - np.repeat(np.cumsum(n_beats) - n_beats, n_beats)
    table = np.full((n_windows, width), np.nan)
    table[rows, order] = values
    return table


def _ecg_traces(windows, sampling_rate):
    """Envelope of the QRS band, the ECG at a rate fine enough to place R, and both rates.

    Both begin earlier than the windows, by the seconds that come third.
    """
    # Reflecting about 40 ms rather than about one sample halves the false beats at noisy edges.
    n_pivot = max(1, round(0.04 * sampling_rate))
    spectrum, n_extended, n_before = extended_spectrum(windows, int(sampling_rate), n_pivot)
    duration = n_extended / sampling_rate
    frequencies = np.arange(spectrum.shape[1]) / duration
    n_envelope, n_trace = (max(2, round(duration * rate)) for rate in (100, 250))
    trace = synthesise(spectrum, band_gain(frequencies, 1, 40), n_extended, n_trace)
    gain = band_gain(frequencies, 8, 20)
    envelope = np.abs(synthesise(spectrum, gain, n_extended, n_envelope, analytic=True))
    before = n_before / sampling_rate
    return (envelope, n_envelope / duration), (trace, n_trace / duration), before


def _pulse_slope(windows, sampling_rate):
    """Slope of the pulse, its rate, and by how many seconds it begins before the windows."""
    spectrum, n_extended, n_before = extended_spectrum(windows, int(2 * sampling_rate))
    duration = n_extended / sampling_rate
    frequencies = np.arange(spectrum.shape[1]) / duration
    gain = band_gain(frequencies, 0.5, 5) * (2j * np.pi * frequencies)
    n_slope = max(2, round(duration * _SLOPE_RATE))
    slope = synthesise(spectrum, gain, n_extended, n_slope)
    return slope, n_slope / duration, n_before / sampling_rate


def _candidates(envelope, rate, signal="ecg"):
    """Rows and columns of maxima that stand above the level around and 0.3 s apart."""
    n_windows, n_times = envelope.shape
    n_block = min(n_times, round(rate / 2))
    n_blocks = n_times // n_block
    highest = envelope[:, : n_blocks * n_block].reshape(n_windows, n_blocks, n_block).max(axis=2)
    n_near = 4 if signal == "ecg" else 3  # two seconds, or 1.5, which hold a beat
    n_levels = max(1, n_blocks - n_near + 1)
    highest = np.max([highest[:, i : i + n_levels] for i in range(min(n_near, n_blocks))], axis=0)
    around = sliding(highest, 17)  # over ten seconds
    if signal == "ecg":
        level = np.median(around, axis=2)
    else:  # artefacts may be in more than half of them
        level = np.quantile(around, _PULSE_QUANTILE, axis=2, method="lower")
        level = np.maximum(level, _FLOOR * level.max(axis=1, keepdims=True))
    block = np.arange(-(-n_times // n_block)) - 8 - n_near // 2
    threshold = _THRESHOLD * level[:, np.clip(block, 0, level.shape[1] - 1)]

    n_apart = int(np.ceil(_REFRACTORY * rate))
    rows, columns = _maxima(envelope, n_apart - 1)
    above = envelope[rows, columns] > threshold[rows, columns // n_block]
    rows, columns = rows[above], columns[above]
    # Of equal maxima the first counts.
    repeated = (np.diff(rows, prepend=-1) == 0) & (np.diff(columns, prepend=0) < n_apart)
    return rows[~repeated], columns[~repeated]


def _maxima(values, reach):
    """Rows and columns of values, none negative, that none within `reach` columns exceeds."""
    # One long array, in which columns of -1 keep the rows apart.
    padded = np.full((len(values), values.shape[1] + 2 * reach), -1, values.dtype)
    padded[:, reach : reach + values.shape[1]] = values
    padded = padded.reshape(-1)
    # The largest of 1, 2, 4, ... places from each on, and at last of all within reach.
    largest, width = padded, 1
    while width < 2 * reach + 1:
        step = min(width, 2 * reach + 1 - width)
        largest, width = np.maximum(largest[:-step], largest[step:]), width + step
    found = np.flatnonzero(largest == padded[reach : reach + len(largest)])
    return np.divmod(found, values.shape[1] + 2 * reach)


def _locate(trace, rows, centres, rate, first, last, either_way):
    """Positions of the extremum of `trace` near each centre, between samples.

    The second array tells which lie inside the window, from `first` to `last`. With
    `either_way` a window in which most beats point down takes the minima.
    """
    reach = round(0.06 * rate)
    # A column a centre: NumPy is fast along many columns, and slow along many short rows.
    near = np.clip(np.arange(-reach, reach + 1)[:, np.newaxis] + centres, first, last)
    around = trace.reshape(-1).take(near + rows * trace.shape[1])
    sign = np.ones(len(rows), trace.dtype)
    if either_way:
        up, down = around.max(axis=0), -around.min(axis=0)
        direction = (up - down) / np.maximum(np.abs(up) + np.abs(down), np.finfo(np.float32).tiny)
        sign[np.bincount(rows, direction, minlength=len(trace))[rows] < 0] = -1
        around *= sign
    position = near[around.argmax(axis=0), np.arange(len(rows))]
    inside = (position > first) & (position < last)
    position = np.clip(position, 1, trace.shape[1] - 2)
    left, middle, right = (sign * trace[rows, position + step] for step in (-1, 0, 1))
    bend = 2 * middle - left - right
    shift = 0.5 * (right - left) / np.where(bend > 0, bend, np.inf)
    return position + np.clip(shift, -0.5, 0.5).astype(float), inside


def _cosines(slope, rows, positions, rate):
    """Cosines of each wave and those before and after, -1 where these are not of its window."""
    n = len(rows)
    reach = round(_REFRACTORY * _WAVE_RATE)
    steps = np.arange(-reach, reach + 1)[:, np.newaxis] * (rate / _WAVE_RATE)
    near = np.clip(np.round(positions + steps).astype(int), 0, slope.shape[1] - 1)
    waves = slope.reshape(-1).take(near + rows * slope.shape[1])  # a column a wave
    waves /= np.maximum(np.sqrt(_products(waves, 0)), np.finfo(np.float32).tiny)
    cosines = np.full((2 * _N_NEAR, n), -1, np.float32)
    for lag in range(1, min(_N_NEAR, n - 1) + 1):
        same_window = rows[lag:] == rows[:-lag]
        cosines[lag - 1, lag:] = np.where(same_window, _products(waves, lag), -1)
        cosines[-lag, :-lag] = cosines[lag - 1, lag:]
    return cosines


def _products(waves, lag):
    """Product of each wave and the one `lag` later."""
    total = np.zeros(waves.shape[1] - lag, waves.dtype)
    for sample in waves:  # in this order whatever the number of waves
        total += sample[lag:] * sample[: len(total)]
    return total


def _neurokit_beats(windows, sampling_rate, method, signal, width):
    """Beat times by a detector of NeuroKit2, window after window."""
    try:
        import neurokit2 as nk
    except ImportError as error:
        raise ImportError(
            f"method={method!r} is a detector of NeuroKit2, which is not installed: "
            'pip install "skemo[neurokit2]", or use method="skemo".'
        ) from error

    rate = int(sampling_rate) if sampling_rate == int(sampling_rate) else sampling_rate
    beats = np.full((len(windows), width), np.nan)
    # NeuroKit2 cleans the ECG in a way of its own for some methods only.
    cleaning = "neurokit" if method in _CLEANED_BY_DEFAULT else method
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found, window in zip(beats, windows.astype(float), strict=True):
            if signal == "ecg":
                clean = nk.ecg_clean(window, sampling_rate=rate, method=cleaning)
                peaks = nk.ecg_peaks(clean, sampling_rate=rate, method=method)[1]["ECG_R_Peaks"]
            else:
                clean = nk.ppg_clean(window, sampling_rate=rate)
                peaks = nk.ppg_findpeaks(clean, sampling_rate=rate, method=method)["PPG_Peaks"]
            peaks = np.unique(np.asarray(peaks, float))[:width]
            found[: len(peaks)] = peaks / sampling_rate
    return beats
