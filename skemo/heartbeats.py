"""Heartbeats in windows of an ECG or a pulse wave, many windows at once."""

import warnings

import numpy as np

from skemo._dsp import (
    LARGEST_GAP_SHARE,
    band_gain,
    extended_spectrum,
    fill_gaps,
    loops_along_rows,
    synthesise,
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

# A beat must stand out: between beats the envelope is below this part of its level at beats.
# Gaussian noise of any colour has 0.35 to 0.6 in 10 s; recorded ECG 0.02 to 0.21.
_ECG_BACKGROUND = 0.3
# Pulse waves must resemble each other: length of the mean of the waves, each of length one.
_PULSE_LIKENESS = 0.8

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


def r_peaks(ecg, sampling_rate, method="skemo", signal="ecg"):
    """Times of the heartbeats in windows of an ECG or a pulse wave.

    ``"skemo"`` looks for maxima of an envelope that lie 0.3 s apart or more and above 0.4 of
    the level that beats have around (the median, over ten seconds, of the maxima of two
    seconds). For the ECG the envelope is that of the 8 to 20 Hz band, filtered without
    phase shift, and the beat is placed at the highest point of the 1 to 40 Hz band within
    60 ms, or at the lowest in a window whose QRS complexes point down. For the pulse
    (``signal="ppg"``) it is the slope of the 0.5 to 5 Hz band, and the beat is placed at the
    steepest point of the upstroke, which is better defined in time than the crest. Times
    are interpolated between samples. Each window is normalised, so that unit, offset and
    polarity of an ECG do not matter.

    Parameters
    ----------
    ecg : array of shape (n_windows, n_times)
        Any unit. May be memory-mapped: a few windows at a time are read. A whole recording
        is one long window.
    sampling_rate : float
        In hertz. Below 40 Hz an ECG shows no beats.
    method : str, default="skemo"
        ``"skemo"``, or the name of a detector of NeuroKit2, which runs in a loop over
        windows. For the ECG: ``"neurokit"``, ``"pantompkins1985"``, ``"hamilton2002"``,
        ``"elgendi2010"``, ``"engzeemod2012"``, ``"emrich2023"``, ``"gamboa2008"``,
        ``"christov2004"``, ``"slopesumfunction"``, ``"zong2003"``, ``"kalidas2017"``,
        ``"khamis2016"``, ``"manikandan2012"``, ``"martinez2004"``, ``"nabian2018"``,
        ``"rodrigues2021"``, ``"promac"``. For the pulse, where they give crests:
        ``"elgendi"``, ``"bishop"``, ``"charlton"``.
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
    - it has fewer beats than one in two seconds;
    - ECG: the median of the envelope is over 0.3 of its median at the beats. White,
      pink and red noise of 3 s and more stays above that, recorded ECG far below;
    - pulse: the waves around the beats do not resemble each other (the mean of the
      normalised waves has a length under 0.8). In under 10 s, few enough waves resemble
      each other by chance: noise of 5 s passes in some 5 % of windows.

    A beat closer to an edge than the half of its QRS complex may be missed, and its
    neighbour beyond the edge is not invented.

    Raises
    ------
    ValueError
        For an unknown `method` or `signal`, or an array that is not two-dimensional.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.heartbeats import r_peaks
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
            found = _find_beats(windows, sampling_rate, signal, beats.shape[1])
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


def _find_beats(windows, sampling_rate, signal, width):
    """Beat times of normalised windows, or NaN where there is nothing to see."""
    n_windows, n_times = windows.shape
    make_traces = _ecg_traces if signal == "ecg" else _pulse_traces
    (envelope, envelope_rate), (trace, trace_rate), before = make_traces(windows, sampling_rate)
    duration = n_times / sampling_rate
    start = round(before * envelope_rate)
    envelope = envelope[:, start : start + max(1, int(duration * envelope_rate))]
    rows, columns = _candidates(envelope, envelope_rate)
    levels = envelope[rows, columns]

    first = int(np.ceil(before * trace_rate))
    last = int((before + (n_times - 1) / sampling_rate) * trace_rate)
    centres = np.round((columns + start) * (trace_rate / envelope_rate)).astype(int)
    either_way = signal == "ecg"
    positions, inside = _locate(trace, rows, centres, trace_rate, first, last, either_way)
    rows, levels, positions = rows[inside], levels[inside], positions[inside]

    n_beats = np.bincount(rows, minlength=n_windows)
    order = np.arange(len(rows)) - np.repeat(np.cumsum(n_beats) - n_beats, n_beats)
    beats = np.full((n_windows, width), np.nan)
    beats[rows, order] = positions / trace_rate - before
    clear = n_beats >= max(1, int(duration / _LONGEST_GAP))
    if signal == "ecg":
        at_beats = np.full((n_windows, width), np.inf, np.float32)
        at_beats[rows, order] = levels
        at_beats = np.sort(at_beats, axis=1)[np.arange(n_windows), n_beats // 2]
        # Every fourth value will do: the envelope holds frequencies up to 12 Hz or so.
        few = envelope[:, ::4]
        n_low = np.count_nonzero(few < _ECG_BACKGROUND * at_beats[:, np.newaxis], axis=1)
        clear &= n_low > few.shape[1] // 2
    else:
        clear &= _likeness(trace, rows, n_beats, positions, trace_rate) > _PULSE_LIKENESS
    beats[~clear] = np.nan
    return beats


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


def _pulse_traces(windows, sampling_rate):
    """Rising slope of the pulse, its slope, and both rates, as `_ecg_traces` gives them."""
    spectrum, n_extended, n_before = extended_spectrum(windows, int(2 * sampling_rate))
    duration = n_extended / sampling_rate
    frequencies = np.arange(spectrum.shape[1]) / duration
    gain = band_gain(frequencies, 0.5, 5) * (2j * np.pi * frequencies)
    n_slope = max(2, round(duration * 100))
    slope = synthesise(spectrum, gain, n_extended, n_slope)
    rate = n_slope / duration
    return (np.maximum(slope, 0), rate), (slope, rate), n_before / sampling_rate


def _candidates(envelope, rate):
    """Rows and columns of maxima that stand above the level around and 0.3 s apart."""
    n_windows, n_times = envelope.shape
    n_block = min(n_times, round(rate / 2))
    n_blocks = n_times // n_block
    highest = envelope[:, : n_blocks * n_block].reshape(n_windows, n_blocks, n_block).max(axis=2)
    n_levels = max(1, n_blocks - 3)  # over two seconds, which hold a beat
    highest = np.max([highest[:, i : i + n_levels] for i in range(min(4, n_blocks))], axis=0)
    level = np.median(_sliding(highest, 17), axis=2)  # over ten seconds
    block = np.arange(-(-n_times // n_block)) - 10
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


def _sliding(values, width):
    width = min(width, values.shape[1])
    return np.lib.stride_tricks.sliding_window_view(values, width, axis=1)


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


def _likeness(trace, rows, n_beats, positions, rate):
    """Length of the mean of each window's waves, 0.3 s to either side, each of length one."""
    reach = round(_REFRACTORY * rate)
    near = np.round(positions).astype(int)[:, np.newaxis] + np.arange(-reach, reach + 1)
    waves = trace[rows[:, np.newaxis], np.clip(near, 0, trace.shape[1] - 1)]
    waves /= np.sqrt((waves**2).sum(axis=1, keepdims=True))
    likeness = np.zeros(len(trace))
    seen = n_beats > 0
    if seen.any():
        starts = (np.cumsum(n_beats) - n_beats)[seen]
        total = np.add.reduceat(waves, starts, axis=0)
        likeness[seen] = np.sqrt((total**2).sum(axis=1)) / n_beats[seen]
    return likeness


def _neurokit_beats(windows, sampling_rate, method, signal, width):
    """Beat times by a detector of NeuroKit2, window after window."""
    import neurokit2 as nk

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
