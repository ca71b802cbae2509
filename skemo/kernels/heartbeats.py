"""Heartbeats in windows of an ECG or a pulse wave, many windows at once."""

from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from skemo._checks import check_rate, real_samples
from skemo.kernels.beat_candidates import (
    REFRACTORY,
    STRONG,
    ecg_candidates,
    fill_windows,
    join,
    pulse_candidates,
    pulse_direction,
)
from skemo.kernels.beat_judgement import judge
from skemo.kernels.hrv import count_up
from skemo.kernels.leads import step_in
from skemo.kernels.neurokit_beats import DETECTORS, neurokit_beats

METHODS = {signal: ("skemo", *names) for signal, names in DETECTORS.items()}
_LOWEST_RATE = 1.0  # Hz, below which there are fewer samples than heartbeats
_CHUNK = 1 << 20  # samples processed together, with temporary arrays of some megabytes
_SECONDS = 8192.0  # of signal whose beats are judged together
_STRETCH, _INNER = 60.0, 50.0  # s, length of the stretches of a recording, and their distance
_DOUBT = 0.05  # s, by which the places of one beat in two stretches may differ
_PAUSE = 1.5  # times the median interval: long enough to hide a beat
_BLOCK = 0.12  # s, shorter than a QRS complex
_FAINT = 0.05  # of the activity elsewhere, below which a signal is lost
_LOST = 0.1  # s of missing samples that may hide a beat
_AT_END = 2.0  # s at either end of a window in which another lead may show beats


def channel_beats(
    windows: NDArray,
    sampling_rate: float,
    method: str = "skemo",
    signal: Literal["ecg", "ppg"] = "ecg",
) -> NDArray:
    """Beat times of windows with several channels.

    Beats are those of the first channel. Where it shows none for a while, the next one takes
    over, shifted by the lag between the two channels.

    Parameters
    ----------
    windows : array of shape (n_windows, n_channels, n_times)
    sampling_rate : float
    method : str, default="skemo"
    signal : {"ecg", "ppg"}, default="ecg"

    Returns
    -------
    ndarray of shape (n_windows, max_beats)
        As from :func:`r_peaks`.
    """
    beats = r_peaks(windows[:, 0], sampling_rate, method, signal)
    duration = windows.shape[2] / sampling_rate
    for channel in range(1, windows.shape[1]):
        rows = np.flatnonzero(_has_gaps(beats, duration))
        if not len(rows):
            break
        others = r_peaks(windows[rows, channel], sampling_rate, method, signal)
        for row, other in zip(rows, others, strict=True):
            beats[row] = _to_row(*step_in(*_from_row(beats[row]), *_from_row(other)), len(other))
    return beats


def recording_beats(
    values: NDArray,
    sampling_rate: float,
    method: str = "skemo",
    signal: Literal["ecg", "ppg"] = "ecg",
) -> tuple[NDArray, NDArray]:
    """Beat times of a whole recording, and after which of them a beat may be hidden.

    The polarity is decided once for the recording. It is processed in stretches to save memory,
    but each beat is judged by its neighbours across their borders.

    Parameters
    ----------
    values : array of shape (n_channels, n_times)
    sampling_rate : float
    method : str, default="skemo"
    signal : {"ecg", "ppg"}, default="ecg"

    Returns
    -------
    times : ndarray of shape (n_beats,)
        Seconds from the start, increasing.
    broken : bool ndarray of shape (n_beats,)
        Whether another beat may be hidden before the next one, so that the time between them is
        not an RR interval.
    """
    check_detector(method, signal)
    values = real_samples(values, signal, "(n_channels, n_times)")
    check_rate(sampling_rate, lowest=_LOWEST_RATE, why="heartbeats need at least")
    times, broken = np.zeros(0), np.zeros(0, bool)
    for channel in values:
        found = _channel_of_recording(channel, sampling_rate, method, signal)
        times, broken = step_in(times, broken, *found) if len(times) else found
        duration = len(channel) / sampling_rate
        whole = len(times) and times[0] < _AT_END and times[-1] > duration - _AT_END
        if whole and not broken[:-1].any():
            break
    return times, broken


def r_peaks(
    ecg: ArrayLike,
    sampling_rate: float,
    method: str = "skemo",
    signal: Literal["ecg", "ppg"] = "ecg",
) -> NDArray:
    """Times of the heartbeats in windows of an ECG or a pulse wave.

    Candidates are maxima of an envelope that are at least 0.3 s apart. Each of them is judged
    by its height, by the background around it, and by how much it resembles its neighbours in
    shape and rhythm. All of this is local: a stretch in which samples are missing, constant,
    faint or noisy has no beats, and the beats around it stay. Unit, offset and polarity do not
    matter. Times are interpolated between samples.

    For the ECG, the envelope is that of the 8 to 20 Hz band, filtered without phase shift. The
    beat is placed at the highest point of the 2 to 40 Hz band (without 50 and 60 Hz) within
    60 ms, or at the lowest point in a window whose QRS complexes point down.

    For the pulse (``signal="ppg"``), the envelope is the rising slope of the 0.5 to 5 Hz band,
    and the beat is placed at the steepest point of the upstroke, which is better defined in
    time than the crest [1]_. A window in which the wave falls faster than it rises is upside
    down, and is turned.

    Parameters
    ----------
    ecg : array of shape (n_windows, n_times)
        In any unit. May be memory-mapped: a few windows at a time are read. A whole recording
        is one long window.
    sampling_rate : float
        In hertz. Below 40 Hz, no beats are found in an ECG.
    method : str, default="skemo"
        ``"skemo"``, or the name of a detector of NeuroKit2 (the extra ``neurokit2``), which
        runs in a loop over windows. For the ECG: ``"neurokit"``, ``"pantompkins1985"``,
        ``"hamilton2002"``, ``"elgendi2010"``, ``"engzeemod2012"``, ``"emrich2023"``,
        ``"gamboa2008"``, ``"christov2004"``, ``"slopesumfunction"``, ``"zong2003"``,
        ``"kalidas2017"``, ``"khamis2016"``, ``"manikandan2012"``, ``"martinez2004"``,
        ``"nabian2018"``, ``"rodrigues2021"``, ``"promac"``. For the pulse, at whose crests they
        place beats: ``"elgendi"``, ``"bishop"``, ``"charlton"``.
    signal : {"ecg", "ppg"}, default="ecg"
        Kind of signal.

    Returns
    -------
    ndarray of shape (n_windows, max_beats)
        Seconds from the start of the window, in order, NaN after the last. A NaN between two
        beats means that another beat may be hidden there, so that the time between them is not
        an RR interval. ``max_beats`` is always ``floor(duration / 0.3) + 1``.

    Notes
    -----
    Let the level be the 30 % quantile, over ten seconds, of the maxima within two seconds. A
    candidate in an ECG is a beat

    - if it is above 0.4 of the level, resembles three of the six candidates before it and the
      six after it in shape (a cosine above 0.85, similar to the quality index of Orphanidou et
      al. [2]_), and the envelope between it and its neighbours is low on at least one side;
    - or if it is above 0.28 of the level and the envelope is very low on both sides, as for an
      ectopic beat in a clean recording, unless it stands between two other beats that are one
      interval apart;
    - or if it is above 0.4 of the level, resembles another one in shape, and the envelope is very
      low on both sides, as for two ectopic beats of one shape;
    - or if it is smaller but resembles several others in shape.

    Where the envelope between beats is high, the rhythm must be regular as well. In white, pink
    and red noise the envelope is always that high.

    A candidate in a pulse is a beat if it is above 0.4 of the level, three of the twelve around
    it have its shape (a cosine above 0.75), the interval before or after it is within 25 % of the
    median of those around, and so are four of the nine intervals around. A cosine above 0.6 is
    enough if both its intervals are within 15 %.

    A window has no beats if most of them are wider than a QRS complex, or than the upstroke of a
    pulse that is sampled fast enough: it is a signal of another kind, or it was interpolated.

    Beats come at least three in a row. A heart rate above 200 beats a minute gives no beats. A
    beat closer to an edge than half of its QRS complex may be missed, and no beat is invented
    beyond the edge.

    Detectors of NeuroKit2 get the window in its original unit, the right way up, with gaps
    bridged. Their beats are used only in stretches where skemo's own detector also sees beats, and
    stretches of more than 3 s without beats are left out.
    Some of them have thresholds in millivolts. If a detector raises an error for a window, the
    window is missing, and a warning says so.

    Raises
    ------
    ValueError
        For an unknown `method` or `signal`, an array that is not two-dimensional, samples that
        are not real numbers, or a rate that is not in hertz.
    ImportError
        For a detector of NeuroKit2 if that, or a package the detector needs, is not installed.

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
    check_detector(method, signal)
    ecg = real_samples(ecg, signal, "(n_windows, n_times)")
    n_windows, n_times = ecg.shape
    beats = np.full((n_windows, max_beats(n_times, sampling_rate)), np.nan)
    step = max(1, int(_SECONDS * sampling_rate / max(1, n_times)))
    for start in range(0, n_windows if n_times > 2 else 0, step):
        windows = ecg[start : start + step]
        candidates, missing = _candidates(windows, sampling_rate, signal)
        index, broken, usual = judge(candidates, signal, n_times / sampling_rate)
        rows, times = candidates.rows[index], candidates.times[index]
        broken = broken | _lost_between(rows, times, usual, windows, missing, sampling_rate)
        table = _in_rows(rows, times, broken, len(windows), beats.shape[1])
        if method != "skemo":
            directions = np.bincount(candidates.rows, candidates.directions, len(windows))
            table = neurokit_beats(
                windows, table, directions < 0, sampling_rate, method=method, signal=signal
            )
        beats[start : start + step] = table
    return beats


def max_beats(n_times: int, sampling_rate: float) -> int:
    """Largest number of beats that a window can hold."""
    check_rate(sampling_rate, lowest=_LOWEST_RATE, why="heartbeats need at least")
    return int(n_times / sampling_rate / REFRACTORY + 1e-9) + 1


def check_detector(method: str, signal: str) -> None:
    """Raise for an unknown kind of signal, or a detector that does not exist for it."""
    if not isinstance(signal, str) or signal not in METHODS:
        raise ValueError(f"signal must be one of {list(METHODS)}, got {signal!r}.")
    if not isinstance(method, str) or method not in METHODS[signal]:
        raise ValueError(
            f"method={method!r} is not a detector for signal={signal!r}. Choose one of "
            f"{', '.join(METHODS[signal])}."
        )


def _candidates(windows, sampling_rate, signal):
    """Candidates in windows, each with its own polarity, and where samples are missing, if any."""
    step = -(-len(windows) // max(1, round(windows.size / _CHUNK)))
    step = step if step < 4 else -(-step // 4) * 4  # SciPy transforms four at once
    parts, missing = [], None
    for start in range(0, len(windows), step):
        filled, gaps, _ = fill_windows(windows[start : start + step])
        if signal == "ecg":
            found = ecg_candidates(filled, sampling_rate, gaps)[0]
        else:
            found = pulse_candidates(filled, sampling_rate, gaps)
        parts.append(found._replace(rows=found.rows + start))
        if gaps is not None:
            missing = np.zeros(windows.shape, bool) if missing is None else missing
            missing[start : start + step] = gaps
    return join(parts), missing


def _channel_of_recording(channel, sampling_rate, method, signal):
    """Beat times of one channel of a recording, and after which of them there is a break."""
    n_times = len(channel)
    length, step = (min(round(seconds * sampling_rate), n_times) for seconds in (_STRETCH, _INNER))
    if length < 3:
        return np.zeros(0), np.zeros(0, bool)
    starts = np.unique(np.minimum(np.arange(0, n_times, step), n_times - length))
    candidates = _stretches(channel, starts, length, sampling_rate, signal)
    index, broken, usual = judge(candidates, signal, n_times / sampling_rate)
    times = candidates.times[index]
    row, window = np.zeros(len(times), int), channel[np.newaxis]
    missing = np.isnan(window)
    broken = broken | _lost_between(row, times, usual, window, missing, sampling_rate)
    if method == "skemo" or not len(times):
        return times, broken
    found = []
    upside_down = np.array([candidates.directions.sum() < 0])
    for start, low, high in zip(starts, *_inner_parts(starts, length, sampling_rate), strict=True):
        stretch, offset = channel[start : start + length], start / sampling_rate
        inside = (times >= offset) & (times < offset + length / sampling_rate)
        width = max_beats(length, sampling_rate)
        seen = _to_row(times[inside] - offset, broken[inside], width)
        other = neurokit_beats(
            stretch[np.newaxis],
            seen[np.newaxis],
            upside_down,
            sampling_rate,
            method=method,
            signal=signal,
        )[0]
        other = other[~np.isnan(other)] + offset
        found.append(other[(other >= low) & (other < high)])
    found = np.sort(np.concatenate(found))
    found = found[np.diff(found, prepend=-np.inf) > 2 * _DOUBT]
    middles = (times[:-1] + times[1:])[broken[:-1]] / 2
    after = np.searchsorted(middles, found)
    return found, np.append(np.diff(after) > 0, False)[: len(found)]


def _inner_parts(starts, length, sampling_rate):
    """Start and end of the part of each stretch that is used, in seconds.

    It ends a little beyond the middle of the overlap with the next stretch, because the two may
    place a beat on different sides of the middle.
    """
    borders = (starts[1:] + starts[:-1] + length) / 2 / sampling_rate
    return np.append(-np.inf, borders - _DOUBT), np.append(borders + _DOUBT, np.inf)


def _stretches(channel, starts, length, sampling_rate, signal):
    """Candidates of a recording, found in overlapping stretches."""
    stretches = sliding_window_view(channel, length)
    together = max(1, _CHUNK // length)
    low, high = _inner_parts(starts, length, sampling_rate)
    chunks = [starts[i : i + together] for i in range(0, len(starts), together)]
    sign = 1
    if signal == "ppg":
        filled = (fill_windows(stretches[chunk])[0] for chunk in chunks)
        if sum(pulse_direction(windows, sampling_rate) for windows in filled) < 0:
            sign = -1
    sets, direction, n_before = [], 0.0, 0
    for chunk in chunks:
        filled, missing, scale = fill_windows(stretches[chunk])
        if signal == "ecg":
            both = ecg_candidates(filled, sampling_rate, missing, signs=(1, -1))
        else:
            both = [pulse_candidates(filled, sampling_rate, missing, sign)]
        kept = []
        for each in both:
            stretch = each.rows + n_before
            each = each._replace(
                rows=np.zeros_like(each.rows),
                times=each.times + starts[stretch] / sampling_rate,
                heights=each.heights * scale[each.rows],
            )
            inner = (each.times >= low[stretch]) & (each.times < high[stretch])
            kept.append(each.take(np.flatnonzero(inner)))
        strong = kept[0].relative > STRONG
        direction += kept[0].directions[strong].sum()
        sets.append(kept)
        n_before += len(chunk)
    if signal == "ecg" and direction < 0:
        sign = -1
    chosen = [kept[1] if signal == "ecg" and sign < 0 else kept[0] for kept in sets]
    joined = join(chosen)
    joined = joined.take(np.argsort(joined.times, kind="stable"))
    once = np.diff(joined.times, prepend=-np.inf) > 2 * _DOUBT
    return joined.take(np.flatnonzero(once))


def _lost_between(rows, times, usual, windows, missing, sampling_rate):
    """After which beats the signal is lost for so long that a beat may be hidden.

    `missing` are the samples that are NaN, or None if there are none.
    """
    n = len(rows)
    lost = np.zeros(n, bool)
    if n < 2:
        return lost
    intervals = np.append(np.diff(times), 0)
    same = np.append(np.diff(rows) == 0, False)
    long = same & ~(intervals <= _PAUSE * usual) & (intervals > 2 * REFRACTORY)
    places = np.flatnonzero(long)
    if not len(places):
        return lost
    samples = np.rint(times * sampling_rate).astype(int)
    lengths = np.append(np.diff(samples), 0)
    others = places + np.array([-2, -1, 1, 2])[:, np.newaxis]
    near = np.clip(others, 0, n - 1)
    known = (others == near) & same[near] & ~long[near] & (rows[near] == rows[places])
    quietest = np.full(n, np.inf)
    seen = np.unique(np.append(places, near[known]))
    n_block = max(2, round(_BLOCK * sampling_rate))
    quietest[seen] = _quietest(rows[seen], samples[seen], lengths[seen], windows, n_block)
    n_known = np.count_nonzero(known, axis=0)
    ordered = np.sort(np.where(known, quietest[near], np.nan), axis=0)  # NaN last
    column = np.arange(len(places))
    median = (ordered[(n_known - 1) // 2, column] + ordered[n_known // 2, column]) / 2
    lost[places] = (n_known > 0) & (quietest[places] < _FAINT * median)
    if missing is not None:
        place = np.repeat(places, lengths[places])
        holes = missing[rows[place], samples[place] + count_up(lengths[places])]
        lost |= np.bincount(place, holes, n) > _LOST * sampling_rate
    return lost


def _quietest(rows, starts, lengths, windows, n_block):
    """Smallest range of the signal in the blocks of each interval; infinite if there are none."""
    n_blocks = lengths // n_block
    quietest = np.full(len(rows), np.inf)
    some = np.flatnonzero(n_blocks)
    if not len(some):
        return quietest
    each = np.repeat(some, n_blocks[some])
    # A row of indices per sample of the blocks: NumPy is faster with few long rows.
    begins = rows[each] * windows.shape[1] + starts[each] + n_block * count_up(n_blocks[some])
    values = windows.reshape(-1).take(begins + np.arange(n_block)[:, np.newaxis])
    ranges = values.max(axis=0) - values.min(axis=0)
    first = np.cumsum(n_blocks[some]) - n_blocks[some]
    ranges = np.fmin.reduceat(ranges, first)
    quietest[some] = np.where(np.isnan(ranges), np.inf, ranges)
    return quietest


def _in_rows(rows, times, broken, n_windows, width):
    """Beat times in the row of their window: NaN after the last, and at breaks."""
    table = np.full((n_windows, width), np.nan)
    if len(rows):
        # A break takes up one place.
        first = np.diff(rows, prepend=-1) != 0
        place = np.arange(len(rows)) + np.append(0, np.cumsum(broken[:-1] & ~first[1:]))
        place -= np.maximum.accumulate(np.where(first, place, 0))
        inside = place < width
        table[rows[inside], place[inside]] = times[inside]
    return table


def _from_row(row):
    """Times and breaks of a row of a table of beats."""
    index = np.flatnonzero(~np.isnan(row))
    return row[index], np.append(np.diff(index) > 1, False)[: len(index)]


def _to_row(times, broken, width):
    return _in_rows(np.zeros(len(times), int), times, broken, 1, width)[0]


def _has_gaps(beats, duration):
    """Which rows have gaps in which another channel may show beats."""
    seen = ~np.isnan(beats)
    inner = (~seen[:, :-1] & (np.cumsum(seen[:, ::-1], axis=1)[:, ::-1][:, 1:] > 0)).any(axis=1)
    last = np.where(seen, beats, -np.inf).max(axis=1)
    return inner | ~(beats[:, 0] < _AT_END) | (last < duration - _AT_END)
