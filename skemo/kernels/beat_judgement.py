"""Which candidates are heartbeats, judged by their shape, rhythm and background."""

import numpy as np
from numpy.typing import NDArray

from skemo.kernels.beat_candidates import REFRACTORY, STRONG, Candidates
from skemo.kernels.hrv import LARGEST_DEVIATION, N_AROUND, SLOWEST_RR, median_around

_N_NEAR, _N_ALIKE = 6, 3  # candidates on either side, and how many of them must be alike
_N_SIDE = 3  # intervals on either side in which the background is measured
# Least cosine of two shapes that are alike; and for a pulse, if the beats are also in time,
# that is, if their intervals deviate from the median by no more than this share.
_LIKENESS = {"ecg": 0.85, "ppg": 0.75}
_LIKENESS_IN_TIME, _IN_TIME = 0.6, 0.15
_HEIGHT_RATIO = {"ecg": 4, "ppg": 3}  # the most between two beats that are alike
_SAMENESS = 0.92  # cosine of two shapes without much noise
# Envelope between beats, relative to its height at a beat. Gaussian noise of any colour has 0.35
# to 0.6 on average, recorded ECG 0.01 to 0.1.
_QUIET, _AUDIBLE, _LOUD = 0.15, 0.2, 0.35
_LONE_HEIGHT, _TALLEST = 0.28, 2.5  # of the level: range for a beat with a shape of its own
_STEEPEST = 1.25  # of the steepness of QRS complexes: the most of such a beat
_WEAK_LIKENESS, _N_WEAK, _WEAK_HEIGHT = 0.85, 4, 0.13  # cosine, number alike, share of the level
_N_RHYTHM, _N_REGULAR = 9, 4  # intervals in a row, and how many of them must be regular
_N_MOSTLY, _MOSTLY = 8, 0.7  # prominent candidates on one side, and the share that must be beats
_AT_END = 1.0  # s, the most between a lone beat and the end of the window
_N_FAST = 4  # candidates on either side
# Share of the beats of a window that must be sharp; wide ectopic beats are not.
_LEAST_SHARP = {"ecg": 0.25, "ppg": 0.5}
_MULTIPLE = 0.12  # largest deviation from a multiple of the median interval, relative to it
_FEWEST = 3  # beats in a row
_PLAINLY = 5  # the fewest beats of a window that is plain


def judge(candidates: Candidates, signal: str, duration: float) -> tuple[NDArray, NDArray, NDArray]:
    """Which candidates are heartbeats, and after which of these there is a break.

    Parameters
    ----------
    candidates : Candidates
    signal : {"ecg", "ppg"}
    duration : float
        Length of a window in seconds.

    Returns
    -------
    beats : int array of shape (n_beats,)
        Indices of the candidates that are beats.
    broken : bool array of shape (n_beats,)
        Whether another beat may be hidden before the next one.
    usual : array of shape (n_beats,)
        Median of the intervals around each beat.
    """
    n = len(candidates.rows)
    is_beat, broken, usual = np.zeros(n, bool), np.zeros(n, bool), np.full(n, np.inf)
    if n:
        cosines = _cosines(candidates, _HEIGHT_RATIO[signal])
        is_beat, plain = _plain(candidates, cosines, signal)
        rest = np.flatnonzero(~plain)
        if len(rest):
            beats, breaks, median = _judge_closely(
                candidates.take(rest), cosines[:, rest], signal, duration
            )
            beats = rest[beats]
            is_beat[beats], broken[beats], usual[beats] = True, breaks, median
    beats = np.flatnonzero(is_beat)
    return beats, broken[beats], usual[beats]


def _plain(candidates, cosines, signal):
    """Beats of windows in which nothing is in doubt, and which candidates are in such a window.

    There, :func:`_judge_closely` would find the same beats, at several times the cost.
    """
    rows, times = candidates.rows, candidates.times
    n_alike, enough = _alike(cosines, _LIKENESS[signal])
    certain = (candidates.relative > STRONG) & (n_alike >= enough)
    certain &= candidates.sharp & ~candidates.fast
    never = np.zeros(len(rows), bool)
    if signal == "ecg":
        best, worst = _background(candidates)
        certain &= (best < _LOUD) & ~(worst >= _AUDIBLE)
        never = (candidates.relative <= _LONE_HEIGHT) & (n_alike < _N_WEAK // 2)
    n_rows = rows[-1] + 1
    plain = np.bincount(rows, ~(certain | never), n_rows) == 0
    beats = np.flatnonzero(certain)
    if len(beats):
        first = np.flatnonzero(np.diff(rows[beats], prepend=-1))
        intervals = np.diff(times[beats], append=np.inf)
        last = np.append(first[1:], len(beats)) - 1
        intervals[last] = intervals[np.maximum(last - 1, 0)]
        shortest, longest = (f.reduceat(intervals, first) for f in (np.minimum, np.maximum))
        steady = longest <= (1 + LARGEST_DEVIATION) * shortest
        steady &= (shortest >= REFRACTORY) & (longest <= SLOWEST_RR / 1000)
        steady &= last - first >= _PLAINLY - 1
        plain &= np.isin(np.arange(n_rows), rows[beats[first[steady]]])
    else:
        plain[:] = False
    return certain & plain[rows], plain[rows]


def _judge_closely(candidates, cosines, signal, duration):
    """Indices of beats, after which of them there is a break, and the intervals around them."""
    rows, times = candidates.rows, candidates.times
    strong = candidates.relative > STRONG
    # A small candidate that resembles others may also be a beat.
    small = (cosines > _WEAK_LIKENESS).sum(axis=0) >= _N_WEAK // 2
    if signal == "ppg":
        accepted = _pulse_waves(candidates, cosines)
    else:
        best, worst = _background(candidates)
        # So may one in a quiet background, such as a wide ectopic beat.
        small |= worst < _QUIET
        accepted = _ecg_beats(candidates, cosines, strong, best, worst, duration)
        accepted &= _mostly_accepted(rows, strong | accepted, accepted)
    small &= candidates.relative > _WEAK_HEIGHT
    accepted &= ~_too_fast(candidates, accepted)
    n_rows = rows[-1] + 1
    n_sharp, n_all = (np.bincount(rows, x, n_rows) for x in (accepted & candidates.sharp, accepted))
    accepted &= (n_sharp >= _LEAST_SHARP[signal] * n_all)[rows]
    beats = np.flatnonzero(accepted)
    median = _local_median(rows[beats], times[beats])
    broken = _breaks(rows, times, strong | small | accepted, beats, median)
    kept = _in_company(rows[beats], times[beats])
    # At a heart rate near the limit, single beats may follow too soon to be found.
    hides = candidates.fast[beats] & (np.diff(times[beats], append=np.inf) > 1.5 * REFRACTORY)
    # A beat that is left out also makes a break.
    broken = broken | np.append(~kept[1:], False) | ~kept | hides
    return beats[kept], _after_removal(broken, kept), median[kept]


def _pulse_waves(candidates, cosines):
    rows, times = candidates.rows, candidates.times
    alike, nearly = (
        (cosines > least).sum(axis=0) >= _N_ALIKE for least in (_LIKENESS["ppg"], _LIKENESS_IN_TIME)
    )
    nearly = np.flatnonzero(nearly & ~alike)
    before, after = (_regular(rows, times, _IN_TIME, near) for near in (nearly - 1, nearly))
    alike[nearly] = before & after & (nearly > 0)
    return _in_rhythm(rows, times, alike)


def _ecg_beats(candidates, cosines, strong, best, worst, duration):
    rows, times = candidates.rows, candidates.times
    n_alike, enough = _alike(cosines, _LIKENESS["ecg"])
    alike = n_alike >= enough
    clear = strong & alike & (best < _LOUD)
    # A beat with a shape of its own, such as an ectopic one, is accepted where the background is
    # quiet, and most other beats are so similar that there is hardly any noise.
    n_clear, _ = _count_near(rows, clear, _N_NEAR, _N_NEAR)
    same = (cosines > _SAMENESS).sum(axis=0) >= enough
    n_same, _ = _count_near(rows, clear & same, _N_NEAR, _N_NEAR)
    quiet = (worst < _QUIET) & (n_clear >= _N_ALIKE) & (2 * n_same > n_clear)
    quiet &= (candidates.relative > _LONE_HEIGHT) & (candidates.relative < _TALLEST)
    plausible = clear | ~_too_steep(rows, candidates.shapes, clear)
    quiet &= plausible
    clear |= quiet & _between_others(rows, times, clear | quiet, duration)
    small = (cosines > _WEAK_LIKENESS).sum(axis=0) >= _N_WEAK
    clear |= small & (candidates.relative > _WEAK_HEIGHT) & (worst < _LOUD)
    # A short window may hold only two ectopic beats of one shape.
    clear |= strong & (n_alike > 0) & (worst < _QUIET) & plausible
    clear &= ~_interpolated(rows, times, clear, alike)
    audible = clear & (worst >= _AUDIBLE)
    if audible.any():
        clear &= ~audible | _in_rhythm(rows, times, clear)
    return clear


def _alike(cosines, least):
    """How many candidates around have the shape of each, and how many must have it."""
    n_near = np.count_nonzero(cosines > -1, axis=0)
    return np.count_nonzero(cosines > least, axis=0), np.clip(n_near // 2, 1, _N_ALIKE)


def _background(candidates):
    """Envelope before and after each candidate, relative to its height: the lower, the higher."""
    rows, heights = candidates.rows, candidates.heights
    between = candidates.after * heights
    padded = np.pad(between, _N_SIDE, constant_values=np.nan)
    n = len(rows)
    same = np.pad(rows, _N_SIDE, constant_values=-1)
    sides = []
    for first in (0, _N_SIDE):  # the intervals before, the intervals after
        total, count = np.zeros(n, between.dtype), np.zeros(n, np.int8)
        for step in range(first, first + _N_SIDE):
            value = padded[step : step + n]
            known = (same[step : step + n] == rows) & ~np.isnan(value)
            total += np.where(known, value, 0)
            count += known
        sides.append(np.where(count, total / np.maximum(count, 1), np.nan) / heights)
    return np.fmin(*sides), np.fmax(*sides)


def _too_steep(rows, shapes, clear):
    """Whether a shape is steeper than the QRS complexes of its window; ectopic beats are not."""
    steepness = np.abs(np.diff(shapes, axis=0)).max(axis=0)
    steepness /= np.maximum(shapes.max(axis=0) - shapes.min(axis=0), np.finfo(np.float32).tiny)
    n_rows = rows[-1] + 1
    total = np.bincount(rows[clear], steepness[clear], n_rows)
    usual = total / np.maximum(np.bincount(rows[clear], minlength=n_rows), 1)
    return steepness > _STEEPEST * usual[rows]


def _between_others(rows, times, clear, duration):
    """Whether there is a beat, or an end of the window, within an interval on both sides."""
    near = np.array([times < _AT_END, times > duration - _AT_END])
    places = np.flatnonzero(clear)
    follows = (np.diff(rows[places]) == 0) & (np.diff(times[places]) < SLOWEST_RR / 1000)
    near[0, places[1:]] |= follows
    near[1, places[:-1]] |= follows
    return near.all(axis=0)


def _interpolated(rows, times, clear, alike):
    """Whether a beat unlike the others lies between two that are one interval apart."""
    doubtful = np.zeros(len(rows), bool)
    places = np.flatnonzero(clear)
    if len(places) < 3 or alike[places].all():
        return doubtful
    r, t, usual_shape = rows[places], times[places], alike[places]
    odd = np.zeros(len(places), bool)
    odd[1:-1] = ~usual_shape[1:-1] & usual_shape[:-2] & usual_shape[2:] & (r[:-2] == r[2:])
    odd = np.flatnonzero(odd)
    if len(odd):
        median = _local_median(r, t, odd)
        odd = odd[t[odd + 1] - t[odd - 1] < (1 + LARGEST_DEVIATION) * median]
    doubtful[places[odd]] = True
    return doubtful


def _too_fast(candidates, accepted):
    """Whether at least half of the beats around are followed too soon by another maximum."""
    places = np.flatnonzero(accepted)
    fast = np.zeros(len(accepted), bool)
    if candidates.fast[places].any():
        near, n_near = _count_near(
            candidates.rows[places], candidates.fast[places], _N_FAST, _N_FAST
        )
        fast[places] = 2 * near >= n_near
    return fast


def _mostly_accepted(rows, notable, accepted):
    """Whether most notable candidates on at least one side of a candidate are accepted."""
    places = np.flatnonzero(notable)
    r, a = rows[places], accepted[places]
    mostly = np.zeros(len(places), bool)
    for sides in ((_N_MOSTLY, 0), (0, _N_MOSTLY)):
        count, total = _count_near(r, a, *sides)
        mostly |= count > _MOSTLY * total
    result = np.zeros(len(rows), bool)
    result[places] = mostly
    return result


def _breaks(rows, times, notable, beats, median):
    """After which beats a notable candidate that was not accepted may be a beat."""
    broken = np.zeros(len(beats), bool)
    if len(beats) < 2:
        return broken
    r, t = rows[beats], times[beats]
    passed = np.cumsum(notable)[beats]
    between = np.diff(passed) > 1
    intervals, same = np.diff(t), np.diff(r) == 0
    usual = np.fmin(median[1:], median[:-1])
    odd = np.abs(intervals - usual) > LARGEST_DEVIATION * usual
    broken[:-1] = same & between & odd
    # A multiple of the usual interval between regular ones shows that beats were missed.
    ratio = intervals / usual
    regular = np.pad(same & (np.abs(ratio - 1) < _MULTIPLE), 2)
    multiple = same & (np.abs(ratio - np.rint(ratio)) < _MULTIPLE) & (ratio > 2 - _MULTIPLE)
    broken[:-1] |= multiple & regular[:-4] & regular[1:-3] & regular[3:-1] & regular[4:]
    broken[:-1] &= intervals > 2 * REFRACTORY
    return broken


def _in_company(rows, times):
    """Whether a beat belongs to a row of at least three."""
    n = len(rows)
    if not n:
        return np.zeros(0, bool)
    starts = np.append(True, (np.diff(rows) != 0) | (np.diff(times) > 3))
    chain = np.cumsum(starts) - 1
    return np.bincount(chain)[chain] >= _FEWEST


def _after_removal(broken, kept):
    """Breaks of the kept beats: those between one and the next become one after the first."""
    index = np.flatnonzero(kept)
    if not len(index):
        return np.zeros(0, bool)
    return np.add.reduceat(broken.astype(int), index) > 0


def _in_rhythm(rows, times, chosen):
    """Which of the chosen are at regular intervals, in a stretch with enough regular ones."""
    places = np.flatnonzero(chosen)
    rhythmic = np.zeros(len(chosen), bool)
    if len(places):
        r, t = rows[places], times[places]
        regular = _regular(r, t, LARGEST_DEVIATION)
        n_regular, _ = _count_near(r, regular, _N_RHYTHM // 2, _N_RHYTHM - 1 - _N_RHYTHM // 2)
        regular &= n_regular >= _N_REGULAR
        rhythmic[places] = regular | np.append(False, regular[:-1])
    return rhythmic


def _regular(rows, times, deviation, places=None):
    """Whether the interval from each place, or from these, to the next resembles those around."""
    intervals, median = _intervals(rows, times), _local_median(rows, times, places)
    intervals = intervals if places is None else intervals[places]
    return np.abs(intervals - median) <= deviation * median + 1e-12


def _intervals(rows, times):
    """Interval from each place to the next in its row; NaN if there is none within range."""
    intervals = np.append(np.diff(times), np.nan)
    outside = (intervals < REFRACTORY - 1e-9) | (intervals > SLOWEST_RR / 1000 + 1e-9)
    outside[:-1] |= np.diff(rows) != 0
    return np.where(outside, np.nan, intervals)


def _local_median(rows: NDArray, times: NDArray, places: NDArray | None = None) -> NDArray:
    """Median, for each beat or these, of the interval to the next and the five on either side."""
    n_before = N_AROUND * np.cumsum(np.diff(rows, prepend=-1) != 0)  # NaN before each row
    spread = np.arange(len(rows)) + n_before
    intervals = np.full(len(rows) + n_before[-1:].sum() + N_AROUND, np.nan)
    intervals[spread] = _intervals(rows, times)
    return median_around(intervals, spread if places is None else spread[places])


def _count_near(rows, flags, n_before, n_after):
    """How many flags are set near each place in its row, and how many places there are."""
    first = np.diff(rows, prepend=-1) != 0
    each = np.arange(len(rows))
    starts = np.flatnonzero(first)
    stops = np.append(starts[1:], len(rows))
    row = np.cumsum(first) - 1
    begin = np.maximum(each - n_before, starts[row])
    end = np.minimum(each + n_after + 1, stops[row])
    total = np.append(0, np.cumsum(flags))
    return total[end] - total[begin], end - begin


def _cosines(candidates, most):
    """Cosines of each shape with those before and after.

    They are -1 across rows, and 0 where one beat is more than `most` times as high as the other.
    """
    rows, heights, shapes = candidates.rows, candidates.heights, candidates.shapes
    n = len(rows)
    cosines = np.full((2 * _N_NEAR, n), -1, np.float32)
    for lag in range(1, min(_N_NEAR, n - 1) + 1):
        product = np.zeros(n - lag, shapes.dtype)
        for sample in shapes:  # a fixed order, so that rounding does not depend on other shapes
            product += sample[lag:] * sample[: n - lag]
        one, other = heights[lag:], heights[: n - lag]
        product[(one > most * other) | (other > most * one)] = 0
        cosines[lag - 1, lag:] = np.where(rows[lag:] == rows[:-lag], product, -1)
        cosines[-lag, :-lag] = cosines[lag - 1, lag:]
    return cosines
