"""Long series of a few windows, cut into segments that are computed side by side.

A feature map has a lane for each of `LANES` windows, and if there is only one window, the others
are computed in vain. Here the lanes of a tile hold the segments of a single window. Each number
is computed in the same order as in `skemo.nn.fused`, and has the same bits.

A segment has a margin on both sides, with what a convolution needs of its neighbours.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from skemo.nn import fused_kernels as kernels
from skemo.nn.lanes import LANES, fill, larger, load, spread, store, where_larger

_jit: Any = njit(cache=True, nogil=True, error_model="numpy")


class Segments:
    """How series are cut for a block of a stream.

    Parameters
    ----------
    n_times : int
        Length of the series.
    kernel_size, pool_size : int
        Of the block.

    Attributes
    ----------
    length : int
        Of a segment without its margins; a multiple of `pool_size`.
    """

    def __init__(self, n_times: int, kernel_size: int, pool_size: int) -> None:
        self.n_times = n_times
        self.pool_size = pool_size
        self.margin = kernel_size // 2
        shortest = max(-(-n_times // LANES), self.margin)
        self.length = -(-shortest // pool_size) * pool_size
        first = np.arange(self.length)
        whole = np.full(self.length, kernel_size)
        # All taps of a place of the output follow each other, see `convolve`.
        runs = np.stack([np.zeros_like(first), first, whole], axis=1)
        self.taps = np.arange(self.length + 1), np.ascontiguousarray(runs)
        self.pool = np.arange(0, self.length + 1, pool_size), first

    def gain(self, n_windows: int) -> bool:
        """Whether segments need less arithmetic than lanes of whole windows."""
        return n_windows * self.length < -(-n_windows // LANES) * self.n_times

    def cut(self, windows: NDArray) -> NDArray:
        """Return the segments of windows, (n_windows, n_channels, n_times), as a feature map."""
        x = self._empty(windows.shape[0], windows.shape[1], self.margin, windows.dtype)
        _cut(windows, self.margin, x)
        return x

    def convolve(self, x: NDArray, weight: NDArray, *statistics: Any, margin: bool) -> NDArray:
        """Convolve, normalise and rectify segments, in prediction.

        `weight` has the shape (n_out, n_in, n_taps); `statistics` are scale, bias, running mean
        and variance, and epsilon of the normalisation.
        """
        *arrays, eps = statistics
        y = self._empty(len(x), len(weight), 0, x.dtype)
        norm = np.empty((4, len(weight)), x.dtype)
        kernels.convolve(x, len(x), weight, *self.taps, *arrays, 0.0, eps, False, y, norm)
        n_margin = self.margin if margin else 0
        out = self._empty(len(y), y.shape[2], n_margin, y.dtype)
        _rectify(y, norm, self.n_times, n_margin, out)
        return out

    def pool_and_join(self, x: NDArray) -> NDArray:
        """Return the maxima over time as windows, (n_windows, n_channels, n_times)."""
        pooled = np.empty((len(x), self.length // self.pool_size, *x.shape[2:]), x.dtype)
        kernels.pool(x, *self.pool, pooled)
        out = np.empty((len(x), x.shape[2], -(-self.n_times // self.pool_size)), x.dtype)
        _join(pooled, out)
        return out

    def _empty(self, n_windows: int, n_channels: int, margin: int, dtype: Any) -> NDArray:
        return np.empty((n_windows, self.length + 2 * margin, n_channels, LANES), dtype)


@_jit
def _cut(x: NDArray, margin: int, out: NDArray) -> None:
    n_windows, n_channels, n_times = x.shape
    n_places = out.shape[1]
    length = n_places - 2 * margin
    for window in range(n_windows):
        for p in range(n_places):
            for c in range(n_channels):
                for lane in range(LANES):
                    time = lane * length + p - margin
                    is_inside = 0 <= time < n_times
                    out[window, p, c, lane] = x[window, c, time] if is_inside else 0


@_jit
def _join(x: NDArray, out: NDArray) -> None:
    n_windows, n_channels, n_times = out.shape
    length = x.shape[1]
    for window in range(n_windows):
        for c in range(n_channels):
            for time in range(n_times):
                out[window, c, time] = x[window, time % length, c, time // length]


@_jit
def _rectify(y: NDArray, norm: NDArray, n_times: int, margin: int, out: NDArray) -> None:
    n_windows, length, n_channels, _ = y.shape
    n_places = length + 2 * margin
    zero = fill(y, 0.0)
    inside = np.zeros((length, LANES), y.dtype)
    for p in range(length):
        for lane in range(LANES):
            inside[p, lane] = 1 if lane * length + p < n_times else 0
    for window in range(n_windows):
        for p in range(length):
            is_inside = load(inside, p * LANES)
            for c in range(n_channels):
                at = ((window * length + p) * n_channels + c) * LANES
                value = spread(norm, c) * load(y, at) + spread(norm, n_channels + c)
                value = where_larger(is_inside, zero, larger(value, zero), zero)
                store(out, ((window * n_places + margin + p) * n_channels + c) * LANES, value)
        for p in range(margin):
            for c in range(n_channels):
                out[window, p, c, 0] = 0
                out[window, margin + length + p, c, LANES - 1] = 0
                for lane in range(LANES - 1):
                    out[window, p, c, lane + 1] = out[window, length + p, c, lane]
                    out[window, margin + length + p, c, lane] = out[window, margin + p, c, lane + 1]
