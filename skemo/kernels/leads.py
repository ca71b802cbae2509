"""Beats of several leads combined: a second one takes over where the first shows none."""

import numpy as np
from numpy.typing import NDArray

from skemo.kernels.beat_candidates import REFRACTORY

_TOGETHER = 0.1  # s, the most between the places of one beat in two leads
_SAME = 0.05  # s, the same after the median lag has been removed
_FEWEST = 3  # beats that both leads must show to determine their lag


def step_in(
    times: NDArray, broken: NDArray, other_times: NDArray, other_broken: NDArray
) -> tuple[NDArray, NDArray]:
    """Beats of one lead, and those of another in stretches where the first has none.

    Leads may place a beat at different points, such as R and S. The beats of the second lead are
    shifted by the median lag between the two. If the lag is unknown, there is a break wherever
    one lead takes over from the other.

    Parameters
    ----------
    times, other_times : array of shape (n_beats,)
        Seconds, increasing.
    broken, other_broken : bool array of shape (n_beats,)
        Whether another beat may be hidden before the next one.

    Returns
    -------
    times : ndarray of shape (n_beats,)
    broken : bool ndarray of shape (n_beats,)

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.leads import step_in
    >>> first, second = np.array([1.0, 2.0, 3.0, 6.0]), np.arange(1.0, 7.0) + 0.03
    >>> lost = np.array([False, False, True, False])
    >>> step_in(first, lost, second, np.zeros(6, bool))
    (array([1., 2., 3., 4., 5., 6.]), array([False, False, False, False, False, False]))
    """
    if not len(times) or not len(other_times):
        return (times, broken) if len(times) else (other_times, other_broken)
    nearest = _nearest(other_times, times)
    lags = other_times[nearest] - times
    together = np.abs(lags) < _TOGETHER
    aligned = np.count_nonzero(together) >= _FEWEST
    if aligned:
        other_times = other_times - np.median(lags[together])
    nearest = _nearest(other_times, times)
    match = np.where(np.abs(other_times[nearest] - times) < _SAME, nearest, -2)
    if not aligned:
        match[:] = -2

    merged: list[float] = []
    breaks: list[bool] = []

    def add(first, last):
        """Add beats of the second lead, with their breaks."""
        merged.extend(other_times[first:last])
        breaks.extend(other_broken[first:last])

    ends = [-np.inf, *times]
    for i, (begin, end) in enumerate(zip(ends, [*times, np.inf], strict=True)):
        before = i - 1  # the beat of the first lead at which the stretch begins
        if i > 0:
            merged.append(begin)
            breaks.append(bool(broken[before]))
        unseen = i == 0 or i == len(times) or broken[before]
        if not unseen:
            continue
        first = np.searchsorted(other_times, begin + REFRACTORY)
        last = np.searchsorted(other_times, end - REFRACTORY)
        goes_on = i > 0 and match[before] == first - 1 and not other_broken[first - 1]
        comes_in = i < len(times) and match[i] == last and last > 0 and not other_broken[last - 1]
        if last > first:
            if i > 0:
                breaks[-1] = not goes_on
            add(first, last)
            if i < len(times):
                breaks[-1] = not comes_in
        elif 0 < i < len(times):
            breaks[-1] = not (goes_on and comes_in)
    if breaks:
        breaks[-1] = False
    return np.array(merged), np.array(breaks, bool)


def _nearest(values, targets):
    """Index of the value nearest to each target."""
    right = np.clip(np.searchsorted(values, targets), 0, len(values) - 1)
    left = np.maximum(right - 1, 0)
    closer = np.abs(values[left] - targets) < np.abs(values[right] - targets)
    return np.where(closer, left, right)
