"""A signal that arrives in chunks: the samples that are still needed, each in its place."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from skemo._checks import float_type
from skemo.signals.windows import to_samples

_LOST, _LATE = 0.5, 1e-6  # in samples: rounding to places, and rounding errors of times


class ArrivingSignal:
    """Hold the latest samples of a signal, in blocks, and count how many have arrived.

    Parameters
    ----------
    sampling_rate : float
        In hertz.
    n_times : int
        Number of samples in a window, which is also the size of a block.
    max_gap : float, default=None
        Seconds by which the time of a sample may differ from its place; beyond that, it and the
        following samples are moved. None means three sampling intervals.

    Attributes
    ----------
    start : float or None
        Time of the first sample in seconds; None before it has arrived.
    n_received : int
        Number of samples so far, including those that are missing in gaps.
    is_timed : bool
        Whether the samples come with times.
    """

    def __init__(self, sampling_rate: float, n_times: int, max_gap: float | None = None) -> None:
        self.sampling_rate = sampling_rate
        self.n_times = n_times
        self.max_gap = 3 / sampling_rate if max_gap is None else max_gap
        self.start: float | None = None
        self.is_timed = False
        self.n_received = 0
        self.dtype = np.dtype(np.float32)  # of a signal that never arrives
        self._is_behind = False  # times are before the place of the next sample
        self._blocks: deque[_Block] = deque()

    @property
    def end(self) -> float:
        """Time at which the next sample is due, in seconds; -inf before the first one."""
        return -np.inf if self.start is None else self.start + self.n_received / self.sampling_rate

    def append(self, samples: NDArray, times: NDArray[np.float64] | None = None) -> None:
        """Append samples of shape (n_channels, n_times), at their times in seconds if given."""
        if not samples.shape[1]:
            return
        dtype = float_type(samples.dtype)
        self.dtype = dtype if self.start is None else np.result_type(self.dtype, dtype)
        if self.start is None:
            self.is_timed = times is not None
            self.start = 0.0 if times is None else float(times[0])
        if times is None:
            self._store(samples)
        else:
            self._place(samples, (times - self.start) * self.sampling_rate)

    def _place(self, samples, places):
        """Append samples at their places, except for samples whose places are already taken."""
        most = max(self.max_gap * self.sampling_rate, _LOST) + _LATE
        while samples.shape[1]:
            if self._is_behind:
                n_late = _first(places > self.n_received - _LOST - _LATE)
                if n_late == len(places):
                    return
                samples, places = samples[:, n_late:], places[n_late:]
            ahead = places - self.n_received - np.arange(len(places))
            n_good = _first(np.abs(ahead) > most)
            self._store(samples[:, :n_good])
            if n_good < len(places) and ahead[n_good] > 0:
                self.n_received += int(np.round(ahead[n_good]))  # a gap
            else:
                self._is_behind = n_good < len(places)
            samples, places = samples[:, n_good:], places[n_good:]

    def _store(self, samples):
        while samples.shape[1]:
            block = self._blocks[-1] if self._blocks else None
            if block is None or not block.has_room_for(samples, self.n_received):
                values = np.empty((len(samples), self.n_times), float_type(samples.dtype))
                block = _Block(self.n_received, values)
                self._blocks.append(block)
            n = block.fill(samples)
            self.n_received += n
            samples = samples[:, n:]

    def begin(self, start: float) -> int:
        """Return the sample at which a window begins; negative if before the first one."""
        if self.start is None:
            return 0
        return int(to_samples(start - self.start, self.sampling_rate))

    def cut(self, begin: int, n_channels: int) -> NDArray[np.floating]:
        """Return a window of shape (n_channels, n_times), with NaN for samples that are missing."""
        window = np.full((n_channels, self.n_times), np.nan, self.dtype)
        for block in self._blocks:
            first = max(begin, block.place)
            last = min(begin + self.n_times, block.place + block.n)
            if first < last:
                part = block.values[:, first - block.place : last - block.place]
                window[:, first - begin : last - begin] = part
        return window

    def drop_before(self, place: int) -> None:
        """Forget the blocks that end before a place, which no later window needs."""
        while self._blocks and self._blocks[0].place + self._blocks[0].n <= place:
            self._blocks.popleft()

    def next_sample(self) -> float:
        """Return the time of the first sample that is kept, in seconds; inf if there is none."""
        if self.start is None or not self._blocks:
            return np.inf
        return self.start + self._blocks[0].place / self.sampling_rate


class _Block:
    """Samples without gaps between them: the first `n` columns of `values`."""

    def __init__(self, place, values):
        self.place, self.values, self.n = place, values, 0

    def has_room_for(self, samples, place):
        fits = self.values.dtype == float_type(samples.dtype) and self.n < self.values.shape[1]
        return fits and self.place + self.n == place

    def fill(self, samples):
        """Add as many samples as there is room for, and return their number."""
        n = min(samples.shape[1], self.values.shape[1] - self.n)
        self.values[:, self.n : self.n + n] = samples[:, :n]
        self.n += n
        return n


def _first(found):
    """Return the position of the first True, or the length if there is none."""
    return int(found.argmax()) if found.any() else len(found)
