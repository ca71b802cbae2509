"""Correction of ectopic, missed and extra heartbeats, many series at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skemo.kernels.hrv import beat_times

KINDS = ("normal", "ectopic", "missed", "extra", "long or short")
_NORMAL, _ECTOPIC, _MISSED, _EXTRA, _LONG_OR_SHORT = range(5)
_SLOPE, _OFFSET = 0.13, 0.17  # of the border of ectopic beats (c1 and c2 in the paper)
_ALPHA = 5.2  # quartile deviations that make a threshold
_N_QUARTILES, _N_MEDIAN = 91, 11  # intervals around one that give its threshold and its median
_DEVIANT = 3  # thresholds from the median: too long or too short
_FEWEST = 4  # beats that a series needs to be judged
_AT_ONCE = 1 << 21  # numbers sorted at once


def correct_beats(beats: ArrayLike) -> NDArray:
    """Heartbeats with ectopic, missed and extra ones corrected.

    The method is that of Lipponen and Tarvainen [1]_, which Kubios uses. Beats are classified by
    :func:`classify_beats`. An extra beat is removed, a missed beat is inserted in the middle of
    its interval, and a beat that is ectopic, or whose interval is too long or too short, is moved
    to the middle between its neighbours. This is repeated as long as each round leaves fewer
    beats to correct.

    The new beat times have not been measured. They lower the variability of a heart with many
    ectopic beats.

    Parameters
    ----------
    beats : array of shape (n_windows, max_beats)
        Beat times in seconds, in order, NaN after the last. A NaN between two beats separates
        stretches, each of which is corrected on its own.

    Returns
    -------
    ndarray of shape (n_windows, max_beats)
        Beats beyond ``max_beats`` are cut off.

    References
    ----------
    .. [1] Lipponen and Tarvainen (2019), A robust algorithm for heart rate variability time
       series artefact correction using novel beat classification, Journal of Medical
       Engineering & Technology 43(3), 173-181.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.beat_correction import correct_beats
    >>> intervals = np.random.default_rng(0).normal(0.8, 0.02, 40)
    >>> beats = np.cumsum(intervals)
    >>> missed = np.append(np.delete(beats, 20), np.nan)
    >>> corrected = correct_beats(missed[np.newaxis])[0]
    >>> bool(abs(corrected[20] - beats[20]) < 0.05)
    True
    """
    beats = beat_times(beats, "(n_windows, max_beats)")
    series, rows = _split(beats)
    kinds = classify_beats(series)
    n_left = (kinds != _NORMAL).sum(axis=1)
    active = np.flatnonzero(n_left)
    while len(active):
        corrected = [_correct(series[row], kinds[row]) for row in active]
        width = max(series.shape[1], *map(len, corrected))
        series = np.pad(series, ((0, 0), (0, width - series.shape[1])), constant_values=np.nan)
        for row, times in zip(active, corrected, strict=True):
            series[row] = np.nan
            series[row, : len(times)] = times
        kinds = np.zeros(series.shape, np.int8)
        kinds[active] = classify_beats(series[active])
        n_before, n_left = n_left, (kinds != _NORMAL).sum(axis=1)
        active = active[(n_left[active] > 0) & (n_left[active] < n_before[active])]
    return _join(series, rows, beats.shape)


def classify_beats(beats: ArrayLike) -> NDArray:
    """Find heartbeats that are ectopic, missed or extra, or have a long or short interval.

    Differences between successive intervals, and differences of intervals from their median, are
    divided by thresholds of 5.2 quartile deviations over the 91 values around. They are
    classified by the decision tree of Lipponen and Tarvainen [1]_, as in NeuroKit2's
    ``signal_fixpeaks(method="kubios")``.

    Parameters
    ----------
    beats : array of shape (n_windows, max_beats)
        Beat times in seconds, in order, NaN after the last.

    Returns
    -------
    int8 ndarray of shape (n_windows, max_beats)
        Indices into ``KINDS``: 0 for a normal beat and after the last, 1 for ectopic, 2 for a
        beat missed before this one, 3 for extra, 4 for a long or short interval.

    References
    ----------
    .. [1] Lipponen and Tarvainen (2019), see :func:`correct_beats`.
    """
    beats = beat_times(beats, "(n_windows, max_beats)")
    kinds = np.zeros(beats.shape, np.int8)
    n_beats = np.isfinite(beats).sum(axis=1)
    rows = np.flatnonzero(n_beats >= _FEWEST)
    if len(rows):
        n = n_beats[rows]
        kinds[rows, : n.max()] = _classify(beats[rows, : n.max()], n)
    return kinds


def _classify(beats, n_beats):
    """Kinds of beats in series of at least four."""
    n_columns = beats.shape[1]
    rr = np.diff(beats, axis=1, prepend=np.nan)
    rr[:, 0] = np.nanmean(rr, axis=1)
    change = np.diff(rr, axis=1, prepend=np.nan)
    change[:, 0] = np.nanmean(change, axis=1)
    change = _divide(change, _threshold(change))
    median = _rolling_quantiles(rr, _N_MEDIAN, (0.5,))[0]
    deviation = rr - median
    deviation = np.where(deviation < 0, 2 * deviation, deviation)
    limit = _threshold(deviation)
    deviation = _divide(deviation, limit)

    before, after, second = (_shifted(change, n_beats, step) for step in (-1, 1, 2))
    rises, falls = change > 0, change < 0
    beside = np.where(rises, np.maximum(before, after), np.minimum(before, after))
    beside = np.where(rises | falls, beside, 0)
    following = np.where(falls, np.maximum(after, second), np.minimum(after, second))
    following = np.where(np.isnan(change), 0, following)
    next_rr = np.append(rr[:, 1:], np.full((len(rr), 1), np.nan), axis=1)

    large = ~(np.abs(change) <= 1)
    ectopic = (change > 1) & (beside < -_SLOPE * change - _OFFSET)
    ectopic |= (change < -1) & (beside > -_SLOPE * change + _OFFSET)
    deviant = np.abs(deviation) > _DEVIANT
    long = (change > 1) & (following < -1)
    short = (change < -1) & (following > 1)
    missed = long & (np.abs(rr / 2 - median) < limit)
    extra = short & (np.abs(rr + next_rr - median) < limit)
    label = np.select([extra, missed, long | short | deviant], [_EXTRA, _MISSED, _LONG_OR_SHORT])

    judged = np.arange(n_columns) < n_beats[:, np.newaxis] - 2
    examined = judged & large & ~ectopic & ((np.abs(change) > 1) | deviant)
    kinds = np.where(examined, label, _NORMAL).astype(np.int8)
    kinds[judged & large & ectopic] = _ECTOPIC
    # Where the next difference is the smaller one, the next beat gets its label in this step.
    with_next = examined & (np.abs(after) < np.abs(second))
    taken = np.zeros(kinds.shape, bool)
    for column in np.flatnonzero(with_next.any(axis=0)):
        rows = np.flatnonzero(with_next[:, column] & ~taken[:, column])
        kinds[rows, column + 1] = label[rows, column + 1]
        taken[rows, column + 1] = True
    return kinds


def _threshold(values):
    low, high = _rolling_quantiles(np.abs(values), _N_QUARTILES, (0.25, 0.75))
    return _ALPHA * (high - low) / 2


def _rolling_quantiles(values, n_around, quantiles):
    """Quantiles of the values around each value, without NaN."""
    results = [np.full(values.shape, np.nan) for _ in quantiles]
    reach = min(n_around // 2, values.shape[1] - 1)
    n_together = max(1, _AT_ONCE // (values.shape[1] * (2 * reach + 1)))
    for start in range(0, len(values), n_together):
        part = slice(start, start + n_together)
        beyond = np.pad(values[part], ((0, 0), (reach, reach)), constant_values=np.nan)
        ordered = np.sort(np.lib.stride_tricks.sliding_window_view(beyond, 2 * reach + 1, axis=1))
        last = np.maximum(np.isfinite(ordered).sum(axis=2) - 1, 0)
        for result, quantile in zip(results, quantiles, strict=True):
            place = last * quantile
            below = np.floor(place).astype(int)
            above = np.minimum(below + 1, last)
            low, high = (
                np.take_along_axis(ordered, index[..., np.newaxis], axis=2)[..., 0]
                for index in (below, above)
            )
            result[part] = low + (high - low) * (place - below)
    return results


def _shifted(values, n_used, step):
    """The value `step` places later; beyond its ends the series is reflected."""
    index = np.abs(np.arange(values.shape[1]) + step)
    last = n_used[:, np.newaxis] - 1
    index = np.where(index > last, 2 * last - index, index)
    return np.take_along_axis(values, np.clip(index, 0, values.shape[1] - 1), axis=1)


def _divide(values, thresholds):
    return values / np.where(thresholds != 0, thresholds, np.nan)


def _correct(times, kinds):
    """Beats of one series, with those that are not normal corrected."""
    n_beats = np.count_nonzero(np.isfinite(times))
    times, kinds = times[:n_beats], kinds[:n_beats]
    ectopic, missed, extra, deviant = (
        np.flatnonzero(kinds == kind) for kind in (_ECTOPIC, _MISSED, _EXTRA, _LONG_OR_SHORT)
    )
    times = np.delete(times, extra)
    missed, ectopic, deviant = (_move(each, extra, -1) for each in (missed, ectopic, deviant))
    ectopic, deviant = (_move(each, missed, 1) for each in (ectopic, deviant))
    missed = missed[(missed > 1) & (missed < len(times))]
    times = np.insert(times, missed, (times[missed - 1] + times[missed]) / 2)
    for place in (ectopic, deviant):
        place = place[(place > 1) & (place < len(times) - 1)]
        times[place] = (times[place - 1] + times[place + 1]) / 2
        times.sort()
    return times


def _move(places, changed, step):
    """Places after beats before them have been removed or inserted.

    As in NeuroKit2, the place that is compared with the next change has already been moved, so
    that a place right after a change may be off by one if there are several changes.
    """
    for change in changed:
        places = np.where(places > change, places + step, places)
    return np.unique(places)


def _split(beats):
    """Stretches between breaks as separate series, and the window of each."""
    seen = np.isfinite(beats)
    first = seen & ~np.pad(seen, ((0, 0), (1, 0)))[:, :-1]
    series = np.cumsum(first.ravel()).reshape(beats.shape) - 1
    n_series = int(first.sum())
    rows = np.nonzero(first)[0]
    columns = np.broadcast_to(np.arange(beats.shape[1]), beats.shape)
    place = columns - np.maximum.accumulate(np.where(first, columns, 0), axis=1)
    table = np.full((n_series, int(place[seen].max(initial=0)) + 1), np.nan)
    table[series[seen], place[seen]] = beats[seen]
    return table, rows


def _join(series, rows, shape):
    """Windows of beats from their series, with a NaN between two."""
    beats = np.full(shape, np.nan)
    start = np.zeros(shape[0], int)
    for row, times in zip(rows, series, strict=True):
        times = times[np.isfinite(times)]
        place = start[row] + np.arange(len(times))
        place = place[place < shape[1]]
        beats[row, place] = times[: len(place)]
        start[row] += len(times) + 1
    return beats
