"""Predictions of whole parts of a network, each in one function compiled by Numba.

For a single window, calling the functions of the layers one by one takes as long as running them.
For many windows, the maps of a U-Net would not stay in the processor's cache. A layer is a tuple
of its weights, scale, bias, running mean, running variance and epsilon.

Numba caches compiled code per source file, and does not notice changes to functions that are
imported from other files. After a change in `layer_loops`, `map_loops`, `connection_loops` or
`lanes`, delete ``skemo/nn/__pycache__``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skemo.nn.connection_loops import receive, weigh_channels, weigh_places
from skemo.nn.lanes import LANES, compiled, inlined
from skemo.nn.layer_loops import convolve, excite, normalise, rectify
from skemo.nn.map_loops import join, pool, resample


@compiled
def predict_maxima(
    x: NDArray, units: tuple, pools: tuple, repeats: tuple, is_max: bool, out: NDArray
) -> None:
    """Compute a U-Net, and the maximum of each channel of its last feature map.

    Tiles are computed one after another, so that their maps stay in the processor's cache.

    Each of `units` is a tuple of a layer, the table of its convolution, and the weights of the
    excitation. Those of the encoder come before those of the decoder. `pools` are the tables of
    the pooling between levels, followed by that of the maximum. `repeats` holds, for each level of
    the decoder, which places of the smaller map are repeated.
    """
    n_levels = len(repeats) + 1
    for tile in range(len(x)):
        y = x[tile : tile + 1]
        maps: Any = []
        for k in range(len(units)):
            if k >= n_levels:
                skip = maps[2 * n_levels - 2 - k]
                places = repeats[k - n_levels]
                joined = np.empty((1, len(places), y.shape[2] + skip.shape[2], LANES), y.dtype)
                join(y, places, skip, joined)
                y = joined
            elif k > 0:
                y = _pool(y, pools[k - 1])
            y = _predict_unit(y, units[k], is_max)
            maps.append(y)
        starts, places = pools[n_levels - 1]
        pool(y, starts, places, out[tile : tile + 1])


@inlined
def _predict_unit(x: NDArray, unit: tuple, is_max: bool) -> NDArray:
    layer, table, (w1, b1, w2, b2, w, b) = unit
    y, norm = _predict_layer(x, layer, table)
    n_tiles, n_places, n_channels, _ = y.shape
    out = np.empty_like(y)
    means = np.empty((n_tiles, n_channels, LANES), x.dtype)
    squeezed = np.empty((n_tiles, len(b1), LANES), x.dtype)
    by_place = np.empty((n_tiles, n_places, LANES), x.dtype)
    by_channel = np.empty_like(means)
    excite(y, norm, w1, b1, w2, b2, w, b, is_max, out, means, squeezed, by_channel, by_place)
    return out


@inlined
def _predict_layer(x: NDArray, layer: tuple, table: tuple) -> tuple[NDArray, NDArray]:
    weight, scale, bias, mean, variance, eps = layer
    starts, runs = table
    y = np.empty((len(x), len(starts) - 1, len(weight), LANES), x.dtype)
    norm = np.empty((4, len(weight)), x.dtype)
    convolve(x, weight, starts, runs, y)
    normalise(mean, variance, scale, bias, eps, norm)
    return y, norm


@inlined
def _pool(x: NDArray, table: tuple) -> NDArray:
    starts, places = table
    out = np.empty((len(x), len(starts) - 1, x.shape[2], LANES), x.dtype)
    pool(x, starts, places, out)
    return out


@compiled
def predict_block(
    x: NDArray,
    first: tuple,
    second: tuple,
    convolution: tuple,
    pooling: tuple,
    is_cut: bool,
    out: NDArray,
) -> None:
    """Compute a block of a stream, given its two layers and the tables of its steps.

    With `is_cut`, the lanes hold segments of a single window, which would otherwise fill only one
    of them. The tables are then those of the segments.
    """
    n_times, length = x.shape[1], len(convolution[0]) - 1
    margin = first[0].shape[2] // 2
    if is_cut:
        x = _cut(x, length, margin)
    x, norm = _predict_layer(x, first, convolution)
    rectify(x, norm, x)
    if is_cut:
        x = _add_margins(x, n_times, margin)
    x, norm = _predict_layer(x, second, convolution)
    rectify(x, norm, x)
    if is_cut:
        _clear_end(x, n_times)
        _paste(_pool(x, pooling), out)
    else:
        starts, places = pooling
        pool(x, starts, places, out)


@inlined
def _cut(x: NDArray, length: int, margin: int) -> NDArray:
    """Cut a window into segments, each with a margin on both sides for the convolution."""
    _, n_times, n_channels, _ = x.shape
    n_places = length + 2 * margin
    out = np.zeros((1, n_places, n_channels, LANES), x.dtype)
    for p in range(n_places):
        for c in range(n_channels):
            for segment in range(LANES):
                time = segment * length + p - margin
                if 0 <= time < n_times:
                    out[0, p, c, segment] = x[0, time, c, 0]
    return out


@inlined
def _clear_end(x: NDArray, n_times: int) -> None:
    """Set everything after the end of the window to 0."""
    _, length, n_channels, _ = x.shape
    for p in range(length):
        for c in range(n_channels):
            for segment in range(max(-(-(n_times - p) // length), 0), LANES):
                x[0, p, c, segment] = 0


@inlined
def _add_margins(x: NDArray, n_times: int, margin: int) -> NDArray:
    """Return the segments with margins that repeat the ends of their neighbours."""
    _, length, n_channels, _ = x.shape
    _clear_end(x, n_times)
    out = np.zeros((1, length + 2 * margin, n_channels, LANES), x.dtype)
    for p in range(length):
        for c in range(n_channels):
            for segment in range(LANES):
                out[0, margin + p, c, segment] = x[0, p, c, segment]
    for p in range(margin):
        before, after = length - margin + p, margin + length + p
        for c in range(n_channels):
            for segment in range(1, LANES):
                out[0, p, c, segment] = x[0, before, c, segment - 1]
                out[0, after, c, segment - 1] = x[0, p, c, segment]
    return out


@inlined
def _paste(x: NDArray, out: NDArray) -> None:
    """Put the segments back together into a window."""
    _, n_times, n_channels, _ = out.shape
    length = x.shape[1]
    out[:] = 0
    for time in range(n_times):
        for c in range(n_channels):
            out[0, time, c, 0] = x[0, time % length, c, time // length]


@compiled
def predict_source(
    target: NDArray,
    source: NDArray,
    resampling: tuple,
    layer: tuple,
    convolution: tuple,
    gate: tuple,
    has_gate: bool,
    is_temporal: bool,
    trust: NDArray,
    weight: NDArray,
    start: int,
    out: NDArray,
    position: int,
    means: NDArray,
) -> None:
    """Compute all steps in which a target receives a source; see `receive`.

    `gate` holds the weights and biases of two layers. If there is only one, it is given twice;
    without `has_gate`, the arrays are empty.
    """
    n_tiles, n_places, n_channels, _ = target.shape
    starts, places, shares = resampling
    w1, b1, w2, b2 = gate
    resampled = np.empty((n_tiles, n_places, source.shape[2], LANES), source.dtype)
    resample(source, starts, places, shares, resampled)
    y, norm = _predict_layer(resampled, layer, convolution)
    if is_temporal:
        gates = np.empty((n_tiles, n_places, 1, LANES), y.dtype)
        weigh_places(target, y, norm, w1, b1, trust, gates)
    elif has_gate:
        gates = np.empty((n_tiles, 1, len(b2), LANES), y.dtype)
        by_channel = np.empty((n_tiles, 2 * n_channels, LANES), y.dtype)
        squeezed = np.empty((n_tiles, len(b1), LANES), y.dtype)
        weigh_channels(target, y, norm, w1, b1, w2, b2, trust, by_channel, squeezed, gates)
    else:
        gates = np.ones((n_tiles, 1, 1, LANES), y.dtype)
    receive(y, norm, gates, weight, start, out, position, means)
