"""The steps of the networks' layers, forward and backward, compiled by Numba.

Feature maps are arrays of shape (n_tiles, n_places, n_channels, LANES), as described in
`skemo.nn.lanes`. In the last tile, lanes that hold no window have a gradient of 0.

The map `y` after a convolution is kept as it is. `norm`, (4, n_channels), holds the factor and
the summand that normalise each channel, its mean, and 1 / SD; a function that takes both reads
the normalised map.

Tables say how places are connected: the entries from `starts[i]` to `starts[i + 1]` are those of
place `i`, or of tap `i`. A tap is a place of the kernel of a convolution.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from skemo.nn.lanes import (
    LANES,
    equal,
    fill,
    larger,
    load,
    spread,
    store,
    total,
    totals,
    where_larger,
)

_jit: Any = njit(cache=True, nogil=True, error_model="numpy")


@_jit
def pack(
    x: NDArray,
    out: NDArray,
) -> None:
    """Copy windows, (n_windows, n_channels, n_places), into the lanes of a feature map."""
    n_tiles, n_places, n_channels, _ = out.shape
    for tile in range(n_tiles):
        first = tile * LANES
        n_used = min(LANES, len(x) - first)
        if n_used < LANES:
            out[tile] = 0
        for p in range(n_places):
            for c in range(n_channels):
                for lane in range(n_used):
                    out[tile, p, c, lane] = x[first + lane, c, p]


@_jit
def unpack(
    x: NDArray,
    out: NDArray,
) -> None:
    """Copy the lanes of a feature map into windows, (n_windows, n_channels, n_places)."""
    n_windows, n_channels, n_places = out.shape
    for window in range(n_windows):
        tile, lane = window // LANES, window % LANES
        for c in range(n_channels):
            for p in range(n_places):
                out[window, c, p] = x[tile, p, c, lane]


@_jit
def _convolve(
    x: NDArray,
    weight: NDArray,
    starts: NDArray,
    runs: NDArray,
    y: NDArray,
) -> None:
    """Convolve a feature map with a `weight` of shape (n_taps, n_in, n_out).

    Each place of the output has several `runs`: a tap, a place of the input, and the number of
    consecutive taps and places that begin there.
    """
    n_tiles, n_places_in, n_in, _ = x.shape
    _, n_places, n_out, _ = y.shape
    zero = fill(x, 0.0)
    n_blocked = n_out - n_out % 8
    for tile in range(n_tiles):
        for first in range(0, n_blocked, 8):
            for p in range(n_places):
                y0 = y1 = y2 = y3 = y4 = y5 = y6 = y7 = zero
                for j in range(starts[p], starts[p + 1]):
                    at = (tile * n_places_in + runs[j, 1]) * n_in * LANES
                    w = runs[j, 0] * n_in * n_out + first
                    for _ in range(runs[j, 2] * n_in):
                        value = load(x, at)
                        y0 += spread(weight, w) * value
                        y1 += spread(weight, w + 1) * value
                        y2 += spread(weight, w + 2) * value
                        y3 += spread(weight, w + 3) * value
                        y4 += spread(weight, w + 4) * value
                        y5 += spread(weight, w + 5) * value
                        y6 += spread(weight, w + 6) * value
                        y7 += spread(weight, w + 7) * value
                        at += LANES
                        w += n_out
                at = ((tile * n_places + p) * n_out + first) * LANES
                store(y, at, y0)
                store(y, at + LANES, y1)
                store(y, at + 2 * LANES, y2)
                store(y, at + 3 * LANES, y3)
                store(y, at + 4 * LANES, y4)
                store(y, at + 5 * LANES, y5)
                store(y, at + 6 * LANES, y6)
                store(y, at + 7 * LANES, y7)
        for c in range(n_blocked, n_out):
            for p in range(n_places):
                y0 = zero
                for j in range(starts[p], starts[p + 1]):
                    at = (tile * n_places_in + runs[j, 1]) * n_in * LANES
                    w = runs[j, 0] * n_in * n_out + c
                    for _ in range(runs[j, 2] * n_in):
                        y0 += spread(weight, w) * load(x, at)
                        at += LANES
                        w += n_out
                store(y, ((tile * n_places + p) * n_out + c) * LANES, y0)


@_jit
def _add_weight_gradient(
    x: NDArray,
    grad: NDArray,
    starts: NDArray,
    pairs: NDArray,
    grad_weight: NDArray,
) -> None:
    """Add the gradient of the weights to `grad_weight`, (n_taps, n_in, n_out).

    The table holds pairs of a place of the output and a place of the input, by block of places
    and, within a block, by tap. Blocks are small enough for four channels of the input and four
    of the output to stay in the fastest cache for all taps.
    """
    n_tiles, n_places_in, n_in, _ = x.shape
    _, n_places, n_out, _ = grad.shape
    n_taps = len(grad_weight)
    n_blocked = n_in - n_in % 4
    zero = fill(x, 0.0)
    sums = np.empty((4, 4), x.dtype)
    for tile in range(n_tiles):
        for block in range(0, len(starts) - 1, n_taps):
            for o in range(0, n_out, 4):
                # If there are fewer channels, the last one is computed again.
                last = n_out - 1 - o
                o1, o2, o3 = min(1, last) * LANES, min(2, last) * LANES, min(3, last) * LANES
                for i in range(0, n_blocked, 4):
                    for tap in range(n_taps):
                        begin, end = starts[block + tap], starts[block + tap + 1]
                        if begin == end:
                            continue
                        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero
                        c0 = c1 = c2 = c3 = d0 = d1 = d2 = d3 = zero
                        for j in range(begin, end):
                            at = ((tile * n_places_in + pairs[j, 1]) * n_in + i) * LANES
                            a, b = load(x, at), load(x, at + LANES)
                            c, d = load(x, at + 2 * LANES), load(x, at + 3 * LANES)
                            at = ((tile * n_places + pairs[j, 0]) * n_out + o) * LANES
                            g = load(grad, at)
                            a0 += a * g
                            b0 += b * g
                            c0 += c * g
                            d0 += d * g
                            g = load(grad, at + o1)
                            a1 += a * g
                            b1 += b * g
                            c1 += c * g
                            d1 += d * g
                            g = load(grad, at + o2)
                            a2 += a * g
                            b2 += b * g
                            c2 += c * g
                            d2 += d * g
                            g = load(grad, at + o3)
                            a3 += a * g
                            b3 += b * g
                            c3 += c * g
                            d3 += d * g
                        totals(sums, 0, a0, a1, a2, a3, b0, b1, b2, b3)
                        totals(sums, 8, c0, c1, c2, c3, d0, d1, d2, d3)
                        for k in range(4):
                            for m in range(min(4, n_out - o)):
                                grad_weight[tap, i + k, o + m] += sums[k, m]
            for o in range(0, n_out, 8):
                last = n_out - 1 - o
                o1, o2, o3 = min(1, last) * LANES, min(2, last) * LANES, min(3, last) * LANES
                o4, o5, o6 = min(4, last) * LANES, min(5, last) * LANES, min(6, last) * LANES
                o7 = min(7, last) * LANES
                for i in range(n_blocked, n_in):
                    for tap in range(n_taps):
                        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero
                        for j in range(starts[block + tap], starts[block + tap + 1]):
                            a = load(x, ((tile * n_places_in + pairs[j, 1]) * n_in + i) * LANES)
                            at = ((tile * n_places + pairs[j, 0]) * n_out + o) * LANES
                            a0 += a * load(grad, at)
                            a1 += a * load(grad, at + o1)
                            a2 += a * load(grad, at + o2)
                            a3 += a * load(grad, at + o3)
                            b0 += a * load(grad, at + o4)
                            b1 += a * load(grad, at + o5)
                            b2 += a * load(grad, at + o6)
                            b3 += a * load(grad, at + o7)
                        totals(sums, 0, a0, a1, a2, a3, b0, b1, b2, b3)
                        for m in range(min(8, n_out - o)):
                            grad_weight[tap, i, o + m] += sums[m // 4, m % 4]


@_jit
def _normalise(
    y: NDArray,
    n_windows: int,
    weight: NDArray,
    bias: NDArray,
    running_mean: NDArray,
    running_var: NDArray,
    momentum: float,
    eps: float,
    training: bool,
    norm: NDArray,
) -> None:
    """Write `norm` for a feature map, and update the running statistics."""
    n_tiles, n_places, n_channels, _ = y.shape
    n_values = n_windows * n_places
    moments = np.zeros((2, n_channels))
    sums = np.empty((n_channels, LANES), y.dtype)
    if training:
        for order in range(2):
            for tile in range(n_tiles):
                sums[:] = 0
                for p in range(n_places):
                    at = (tile * n_places + p) * n_channels * LANES
                    for c in range(n_channels):
                        value = load(y, at + c * LANES)
                        if order == 1:
                            value = value - spread(norm, 2 * n_channels + c)
                            value = value * value
                        store(sums, c * LANES, load(sums, c * LANES) + value)
                for c in range(n_channels):
                    for lane in range(min(LANES, n_windows - tile * LANES)):
                        moments[order, c] += sums[c, lane]
            for c in range(n_channels):
                moments[order, c] /= n_values
                norm[2 + order, c] = moments[order, c]
    for c in range(n_channels):
        mean, variance = running_mean[c], running_var[c]
        if training:
            unbiased = moments[1, c] * n_values / max(n_values - 1, 1)
            running_mean[c] += momentum * (moments[0, c] - mean)
            running_var[c] += momentum * (unbiased - variance)
            mean, variance = moments[0, c], moments[1, c]
        inverse = 1 / math.sqrt(variance + eps)
        norm[0, c] = weight[c] * inverse
        norm[1, c] = bias[c] - mean * inverse * weight[c]
        norm[2, c] = mean
        norm[3, c] = inverse


@_jit
def _copy(values: NDArray, out: NDArray) -> None:
    # `out[:] = values` would compile the message of an error as well, for seconds.
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                out[i, j, k] = values[i, j, k]


@_jit
def convolve(
    x: NDArray,
    n_windows: int,
    weight: NDArray,
    starts: NDArray,
    runs: NDArray,
    scale: NDArray,
    bias: NDArray,
    running_mean: NDArray,
    running_var: NDArray,
    n_batches: NDArray,
    momentum: float,
    eps: float,
    training: bool,
    y: NDArray,
    norm: NDArray,
) -> None:
    """Convolve a feature map with a `weight` of shape (n_out, n_in, n_taps), and normalise it.

    Writes `y` and `norm`.
    """
    if training:
        n_batches[0] += 1
    by_tap = np.empty((weight.shape[2], weight.shape[1], weight.shape[0]), weight.dtype)
    _copy(weight.transpose(2, 1, 0), by_tap)
    _convolve(x, by_tap, starts, runs, y)
    _normalise(y, n_windows, scale, bias, running_mean, running_var, momentum, eps, training, norm)


@_jit
def convolve_backward(
    x: NDArray,
    grad: NDArray,
    weight: NDArray,
    starts: NDArray,
    runs: NDArray,
    pair_starts: NDArray,
    pairs: NDArray,
    grad_weight: NDArray,
    of_input: bool,
    grad_x: NDArray,
) -> None:
    """Write the gradients of the weights and, if requested, of the input of a convolution."""
    n_out, n_in, n_taps = weight.shape
    by_tap = np.zeros((n_taps, n_in, n_out), weight.dtype)
    _add_weight_gradient(x, grad, pair_starts, pairs, by_tap)
    _copy(by_tap.transpose(2, 1, 0), grad_weight)
    if of_input:
        # The gradient of a convolution is a convolution with the taps in reverse order.
        turned = np.empty((n_taps, n_out, n_in), weight.dtype)
        _copy(weight[:, :, ::-1].transpose(2, 0, 1), turned)
        _convolve(grad, turned, starts, runs, grad_x)


@_jit
def normalise_backward(
    grad: NDArray,
    y: NDArray,
    n_windows: int,
    norm: NDArray,
    sums: NDArray,
    training: bool,
    is_rectified: bool,
) -> None:
    """Turn the gradient after normalisation, or after `rectify`, into that before, in place.

    `sums`, (2, n_channels), are over the gradient after normalisation, and over its products with
    the normalised map.
    """
    n_tiles, n_places, n_channels, _ = y.shape
    zero = fill(y, 0.0)
    slope = _slope(norm, sums, n_windows * n_places, training)
    for i in range(n_tiles * n_places):
        at = i * n_channels * LANES
        for c in range(n_channels):
            value, change = load(y, at), load(grad, at)
            if is_rectified:
                normalised = spread(norm, c) * value + spread(norm, n_channels + c)
                change = where_larger(normalised, zero, change, zero)
            change = spread(norm, c) * change + spread(slope, c)
            store(grad, at, change + spread(slope, n_channels + c) * value)
            at += LANES
    _clear_unused(grad, n_windows)


@_jit
def _slope(norm: NDArray, sums: NDArray, n_values: int, training: bool) -> NDArray:
    """How the gradient before normalisation depends on the map: summand and factor by channel."""
    n_channels = norm.shape[1]
    slope = np.zeros((2, n_channels), norm.dtype)
    if training:
        for c in range(n_channels):
            slope[1, c] = -norm[0, c] * norm[3, c] * sums[1, c] / n_values
            slope[0, c] = -norm[0, c] * sums[0, c] / n_values - slope[1, c] * norm[2, c]
    return slope


@_jit
def _clear_unused(grad: NDArray, n_windows: int) -> None:
    """Set the lanes that hold no window to 0."""
    n_tiles, n_places, n_channels, _ = grad.shape
    for lane in range(n_windows - (n_tiles - 1) * LANES, LANES):
        for p in range(n_places):
            for c in range(n_channels):
                grad[n_tiles - 1, p, c, lane] = 0


@_jit
def _sum_gradient(
    grad: NDArray,
    y: NDArray,
    norm: NDArray,
    is_rectified: bool,
    sums: NDArray,
) -> None:
    """Write the sums that `normalise_backward` needs, (2, n_channels)."""
    n_tiles, n_places, n_channels, _ = y.shape
    zero = fill(y, 0.0)
    by_lane = np.zeros((2, n_channels, LANES), y.dtype)
    for i in range(n_tiles * n_places):
        for c in range(n_channels):
            at = (i * n_channels + c) * LANES
            value, change = load(y, at), load(grad, at)
            if is_rectified:
                normalised = spread(norm, c) * value + spread(norm, n_channels + c)
                change = where_larger(normalised, zero, change, zero)
            value = (value - spread(norm, 2 * n_channels + c)) * spread(norm, 3 * n_channels + c)
            first, second = c * LANES, (n_channels + c) * LANES
            store(by_lane, first, load(by_lane, first) + change)
            store(by_lane, second, load(by_lane, second) + change * value)
    for k in range(2):
        for c in range(n_channels):
            sums[k, c] = by_lane[k, c].sum()


@_jit
def activate_backward(
    grad: NDArray,
    y: NDArray,
    n_windows: int,
    norm: NDArray,
    training: bool,
    is_rectified: bool,
    sums: NDArray,
) -> None:
    """Turn the gradient after normalisation, or after `rectify`, into that before, in place."""
    _sum_gradient(grad, y, norm, is_rectified, sums)
    normalise_backward(grad, y, n_windows, norm, sums, training, is_rectified)


@_jit
def rectify(
    y: NDArray,
    norm: NDArray,
    out: NDArray,
) -> None:
    """Normalise a feature map, and set negative numbers to 0."""
    n_tiles, n_places, n_channels, _ = y.shape
    zero = fill(y, 0.0)
    for i in range(n_tiles * n_places):
        at = i * n_channels * LANES
        for c in range(n_channels):
            value = spread(norm, c) * load(y, at) + spread(norm, n_channels + c)
            store(out, at, larger(value, zero))
            at += LANES


@_jit
def pool_normalised(
    y: NDArray,
    norm: NDArray,
    starts: NDArray,
    places: NDArray,
    largest: NDArray,
    position: NDArray,
) -> None:
    """Find the largest value of the normalised map among places that are pooled together.

    Writes `y` at that place to `largest`, and its number among them, from 0, to `position`.
    """
    n_tiles, n_places_in, n_channels, _ = y.shape
    n_places = largest.shape[1]
    for tile in range(n_tiles):
        for p in range(n_places):
            for c in range(n_channels):
                factor, summand = spread(norm, c), spread(norm, n_channels + c)
                start = starts[p]
                kept = load(y, ((tile * n_places_in + places[start]) * n_channels + c) * LANES)
                most = factor * kept + summand
                where = fill(y, 0.0)
                for j in range(start + 1, starts[p + 1]):
                    value = load(y, ((tile * n_places_in + places[j]) * n_channels + c) * LANES)
                    normalised = factor * value + summand
                    kept = where_larger(normalised, most, value, kept)
                    where = where_larger(normalised, most, fill(y, float(j - start)), where)
                    most = where_larger(normalised, most, normalised, most)
                at = ((tile * n_places + p) * n_channels + c) * LANES
                store(largest, at, kept)
                store(position, at, where)


@_jit
def pool_normalised_backward(
    grad: NDArray,
    largest: NDArray,
    position: NDArray,
    y: NDArray,
    n_windows: int,
    norm: NDArray,
    training: bool,
    starts: NDArray,
    places: NDArray,
    sums: NDArray,
    grad_y: NDArray,
) -> None:
    """Write the gradient before normalisation, from that after `pool_normalised` and `rectify`.

    `sums` are written as well.
    """
    n_tiles, n_places_in, n_channels, _ = y.shape
    n_places = largest.shape[1]
    zero = fill(y, 0.0)
    _sum_gradient(grad, largest, norm, True, sums)
    slope = _slope(norm, sums, n_windows * n_places_in, training)
    changes = np.empty((n_channels, LANES), y.dtype)
    for tile in range(n_tiles):
        for p in range(n_places):
            start = (tile * n_places + p) * n_channels * LANES
            for c in range(n_channels):
                at = start + c * LANES
                normalised = spread(norm, c) * load(largest, at) + spread(norm, n_channels + c)
                change = where_larger(normalised, zero, load(grad, at), zero)
                store(changes, c * LANES, spread(norm, c) * change)
            for j in range(starts[p], starts[p + 1]):
                here = fill(y, float(j - starts[p]))
                at = (tile * n_places_in + places[j]) * n_channels * LANES
                for c in range(n_channels):
                    change = load(changes, c * LANES)
                    change = change * equal(load(position, start + c * LANES), here)
                    value = spread(slope, c) + spread(slope, n_channels + c) * load(y, at)
                    store(grad_y, at, change + value)
                    at += LANES
    _clear_unused(grad_y, n_windows)


@_jit
def _squash(values: NDArray) -> None:
    """Apply the logistic function, in place."""
    for i in range(len(values)):
        values[i] = 1 / (1 + math.exp(-values[i]))


@_jit
def excite(
    y: NDArray,
    norm: NDArray,
    w1: NDArray,
    b1: NDArray,
    w2: NDArray,
    b2: NDArray,
    w: NDArray,
    b: NDArray,
    is_max: bool,
    out: NDArray,
    means: NDArray,
    squeezed: NDArray,
    by_channel: NDArray,
    by_place: NDArray,
) -> None:
    """Normalise and rectify a feature map, and rescale it by channel and by place.

    Two layers with the weights `w1`, `b1`, `w2` and `b2` turn the means of the channels,
    (n_tiles, n_channels, LANES), into `by_channel`. `by_place`, (n_tiles, n_places, LANES), are
    sums over the channels, weighted by `w`.
    """
    n_tiles, n_places, n_channels, _ = y.shape
    n_squeezed = len(b1)
    zero = fill(y, 0.0)
    share = fill(y, 1 / n_places)
    for tile in range(n_tiles):
        means[tile] = 0
        for p in range(n_places):
            at = (tile * n_places + p) * n_channels * LANES
            weighted = spread(b, 0)
            for c in range(n_channels):
                value = spread(norm, c) * load(y, at) + spread(norm, n_channels + c)
                value = larger(value, zero)
                store(out, at, value)
                weighted += spread(w, c) * value
                channel = (tile * n_channels + c) * LANES
                store(means, channel, load(means, channel) + value)
                at += LANES
            store(by_place, (tile * n_places + p) * LANES, weighted)
        for c in range(n_channels):
            channel = (tile * n_channels + c) * LANES
            store(means, channel, load(means, channel) * share)
        for s in range(n_squeezed):
            value = spread(b1, s)
            for c in range(n_channels):
                value += spread(w1, s * n_channels + c) * load(
                    means, (tile * n_channels + c) * LANES
                )
            store(squeezed, (tile * n_squeezed + s) * LANES, larger(value, zero))
        for c in range(n_channels):
            value = spread(b2, c)
            for s in range(n_squeezed):
                value += spread(w2, c * n_squeezed + s) * load(
                    squeezed, (tile * n_squeezed + s) * LANES
                )
            store(by_channel, (tile * n_channels + c) * LANES, value)
        _squash(by_channel[tile].ravel())
        _squash(by_place[tile].ravel())
        for p in range(n_places):
            at = (tile * n_places + p) * n_channels * LANES
            second = load(by_place, (tile * n_places + p) * LANES)
            for c in range(n_channels):
                first = load(by_channel, (tile * n_channels + c) * LANES)
                gate = larger(first, second) if is_max else first + second
                store(out, at, load(out, at) * gate)
                at += LANES


@_jit
def excite_backward(
    grad: NDArray,
    y: NDArray,
    norm: NDArray,
    w1: NDArray,
    w2: NDArray,
    w: NDArray,
    is_max: bool,
    means: NDArray,
    squeezed: NDArray,
    by_channel: NDArray,
    by_place: NDArray,
    sums: NDArray,
    grad_w1: NDArray,
    grad_b1: NDArray,
    grad_w2: NDArray,
    grad_b2: NDArray,
    grad_w: NDArray,
    grad_b: NDArray,
) -> None:
    """Turn the gradient after `excite` into that of the normalised map, in place.

    Also writes the gradients of the weights, and the `sums` for `normalise_backward`.
    """
    n_tiles, n_places, n_channels, _ = y.shape
    n_squeezed = len(grad_b1)
    zero, half, one = fill(y, 0.0), fill(y, 0.5), fill(y, 1.0)
    share = fill(y, 1 / n_places)
    of_place = np.empty((n_places, LANES), y.dtype)
    of_channel = np.empty((n_channels, LANES), y.dtype)
    of_squeezed = np.empty((n_squeezed, LANES), y.dtype)
    by_lane = np.zeros((3, n_channels, LANES), y.dtype)
    grad_w1[:], grad_b1[:], grad_w2[:], grad_b2[:], grad_b[:] = 0, 0, 0, 0, 0
    for tile in range(n_tiles):
        of_channel[:] = 0
        for p in range(n_places):
            start = (tile * n_places + p) * n_channels * LANES
            second = load(by_place, (tile * n_places + p) * LANES)
            of_second = zero
            for c in range(n_channels):
                at = start + c * LANES
                value = spread(norm, c) * load(y, at) + spread(norm, n_channels + c)
                change = load(grad, at)
                of_gate = change * larger(value, zero)
                first = load(by_channel, (tile * n_channels + c) * LANES)
                of_first = of_gate
                if is_max:
                    # A tie gives each of them half of the gradient.
                    is_first = where_larger(first, second, one, half * equal(first, second))
                    of_first = of_gate * is_first
                    of_second += of_gate - of_first
                    gate = larger(first, second)
                else:
                    of_second += of_gate
                    gate = first + second
                store(of_channel, c * LANES, load(of_channel, c * LANES) + of_first)
                store(grad, at, change * gate)
            of_second = of_second * second * (one - second)
            store(of_place, p * LANES, of_second)
            grad_b[0] += total(of_second)
        for c in range(n_channels):
            first = load(by_channel, (tile * n_channels + c) * LANES)
            change = load(of_channel, c * LANES) * first * (one - first)
            store(of_channel, c * LANES, change)
            grad_b2[c] += total(change)
            for s in range(n_squeezed):
                value = load(squeezed, (tile * n_squeezed + s) * LANES)
                grad_w2[c, s] += total(change * value)
        for s in range(n_squeezed):
            change = zero
            for c in range(n_channels):
                change += spread(w2, c * n_squeezed + s) * load(of_channel, c * LANES)
            value = load(squeezed, (tile * n_squeezed + s) * LANES)
            change = where_larger(value, zero, change, zero)
            store(of_squeezed, s * LANES, change)
            grad_b1[s] += total(change)
            for c in range(n_channels):
                grad_w1[s, c] += total(change * load(means, (tile * n_channels + c) * LANES))
        for c in range(n_channels):
            change = zero
            for s in range(n_squeezed):
                change += spread(w1, s * n_channels + c) * load(of_squeezed, s * LANES)
            store(of_channel, c * LANES, change * share)  # now of the mean
        for p in range(n_places):
            start = (tile * n_places + p) * n_channels * LANES
            of_second = load(of_place, p * LANES)
            for c in range(n_channels):
                at = start + c * LANES
                value = load(y, at)
                normalised = spread(norm, c) * value + spread(norm, n_channels + c)
                change = load(grad, at) + load(of_channel, c * LANES) + spread(w, c) * of_second
                change = where_larger(normalised, zero, change, zero)
                store(grad, at, change)
                value = value - spread(norm, 2 * n_channels + c)
                value = value * spread(norm, 3 * n_channels + c)
                first, second, third = (
                    c * LANES,
                    (n_channels + c) * LANES,
                    (2 * n_channels + c) * LANES,
                )
                store(by_lane, first, load(by_lane, first) + change)
                store(by_lane, second, load(by_lane, second) + change * value)
                rectified = larger(normalised, zero)
                store(by_lane, third, load(by_lane, third) + rectified * of_second)
    for c in range(n_channels):
        sums[0, c], sums[1, c] = by_lane[0, c].sum(), by_lane[1, c].sum()
        grad_w[0, c] = by_lane[2, c].sum()


@_jit
def pool(
    x: NDArray,
    starts: NDArray,
    places: NDArray,
    out: NDArray,
) -> None:
    """Write the largest value among the places of the input of each place of the output."""
    n_tiles, n_places_in, n_channels, _ = x.shape
    n_places = out.shape[1]
    for tile in range(n_tiles):
        for p in range(n_places):
            for c in range(n_channels):
                at = ((tile * n_places_in + places[starts[p]]) * n_channels + c) * LANES
                value = load(x, at)
                for j in range(starts[p] + 1, starts[p + 1]):
                    at = ((tile * n_places_in + places[j]) * n_channels + c) * LANES
                    value = larger(value, load(x, at))
                store(out, ((tile * n_places + p) * n_channels + c) * LANES, value)


@_jit
def pool_backward(
    x: NDArray,
    out: NDArray,
    grad: NDArray,
    starts: NDArray,
    places: NDArray,
    adds: bool,
    grad_x: NDArray,
) -> None:
    """Give the gradient of the output to the first place that has the maximum.

    It is added to `grad_x`, or replaces it. Each place belongs to one place of the output.
    """
    n_tiles, n_places_in, n_channels, _ = x.shape
    n_places = out.shape[1]
    zero = fill(x, 0.0)
    for tile in range(n_tiles):
        for p in range(n_places):
            for c in range(n_channels):
                at = ((tile * n_places + p) * n_channels + c) * LANES
                largest, left = load(out, at), load(grad, at)
                for j in range(starts[p], starts[p + 1]):
                    at = ((tile * n_places_in + places[j]) * n_channels + c) * LANES
                    taken = left * equal(load(x, at), largest)
                    before = load(grad_x, at) if adds else zero
                    store(grad_x, at, before + taken)
                    left = left - taken


@_jit
def join(
    x: NDArray,
    places: NDArray,
    skip: NDArray,
    out: NDArray,
) -> None:
    """Enlarge a feature map, by the place that each place repeats, and append channels."""
    n_tiles, n_places_in, n_channels, _ = x.shape
    n_places, n_skip = skip.shape[1:3]
    for tile in range(n_tiles):
        for p in range(n_places):
            at = (tile * n_places + p) * (n_channels + n_skip) * LANES
            start = (tile * n_places_in + places[p]) * n_channels * LANES
            for c in range(n_channels):
                store(out, at, load(x, start + c * LANES))
                at += LANES
            start = (tile * n_places + p) * n_skip * LANES
            for c in range(n_skip):
                store(out, at, load(skip, start + c * LANES))
                at += LANES


@_jit
def join_backward(
    grad: NDArray,
    places: NDArray,
    grad_x: NDArray,
    grad_skip: NDArray,
) -> None:
    """Add the gradient after `join` to `grad_x`, and write that of `skip`."""
    n_tiles, n_places_in, n_channels, _ = grad_x.shape
    n_places, n_skip = grad_skip.shape[1:3]
    for tile in range(n_tiles):
        for p in range(n_places):
            at = (tile * n_places + p) * (n_channels + n_skip) * LANES
            start = (tile * n_places_in + places[p]) * n_channels * LANES
            for c in range(n_channels):
                store(grad_x, start + c * LANES, load(grad_x, start + c * LANES) + load(grad, at))
                at += LANES
            start = (tile * n_places + p) * n_skip * LANES
            for c in range(n_skip):
                store(grad_skip, start + c * LANES, load(grad, at))
                at += LANES


@_jit
def resample(
    x: NDArray,
    starts: NDArray,
    places: NDArray,
    shares: NDArray,
    out: NDArray,
) -> None:
    """Write weighted sums over the places of the input of each place of the output."""
    n_tiles, n_places_in, n_channels, _ = x.shape
    n_places = out.shape[1]
    for tile in range(n_tiles):
        for p in range(n_places):
            for c in range(n_channels):
                value = fill(x, 0.0)
                for j in range(starts[p], starts[p + 1]):
                    at = ((tile * n_places_in + places[j]) * n_channels + c) * LANES
                    value += spread(shares, j) * load(x, at)
                store(out, ((tile * n_places + p) * n_channels + c) * LANES, value)


@_jit
def weigh_channels(
    target: NDArray,
    y: NDArray,
    norm: NDArray,
    w1: NDArray,
    b1: NDArray,
    w2: NDArray,
    b2: NDArray,
    trust: NDArray,
    means: NDArray,
    squeezed: NDArray,
    gates: NDArray,
) -> None:
    """Write the gates of a map that a target receives, (n_tiles, 1, n_gates, LANES).

    Two layers with the weights `w1`, `b1`, `w2` and `b2` turn the means of the channels of the
    target and of the normalised map into logits, to which `trust` is added.
    """
    n_tiles, n_places, n_channels, _ = y.shape
    n_squeezed, n_gates = len(b1), len(b2)
    zero, share = fill(y, 0.0), fill(y, 1 / n_places)
    for tile in range(n_tiles):
        means[tile] = 0
        start = tile * 2 * n_channels * LANES
        for p in range(n_places):
            for c in range(n_channels):
                at = ((tile * n_places + p) * n_channels + c) * LANES
                first, second = start + c * LANES, start + (n_channels + c) * LANES
                store(means, first, load(means, first) + load(target, at))
                store(means, second, load(means, second) + load(y, at))
        for c in range(n_channels):
            first, second = start + c * LANES, start + (n_channels + c) * LANES
            store(means, first, load(means, first) * share)
            value = spread(norm, c) * (load(means, second) * share)
            store(means, second, value + spread(norm, n_channels + c))
        for s in range(n_squeezed):
            value = spread(b1, s)
            for c in range(2 * n_channels):
                value += spread(w1, s * 2 * n_channels + c) * load(means, start + c * LANES)
            store(squeezed, (tile * n_squeezed + s) * LANES, larger(value, zero))
        for k in range(n_gates):
            at = (tile * n_gates + k) * LANES
            value = spread(b2, k) + load(trust, at)
            for s in range(n_squeezed):
                value += spread(w2, k * n_squeezed + s) * load(
                    squeezed, (tile * n_squeezed + s) * LANES
                )
            store(gates, at, value)
    _squash(gates.ravel())


@_jit
def weigh_channels_backward(
    of_gates: NDArray,
    w1: NDArray,
    w2: NDArray,
    means: NDArray,
    squeezed: NDArray,
    gates: NDArray,
    grad_w1: NDArray,
    grad_b1: NDArray,
    grad_w2: NDArray,
    grad_b2: NDArray,
    of_target: NDArray,
    of_map: NDArray,
) -> None:
    """Add the gradients of the target and of the normalised map to `of_target` and `of_map`.

    Also writes the gradients of the weights. The gradient of the gates, `of_gates`, is replaced
    by that of their logits.
    """
    n_tiles, n_places, n_channels, _ = of_map.shape
    n_squeezed, n_gates = len(grad_b1), len(grad_b2)
    zero, one = fill(of_map, 0.0), fill(of_map, 1.0)
    share = fill(of_map, 1 / n_places)
    of_means = np.empty((2 * n_channels, LANES), of_map.dtype)
    of_squeezed = np.empty((n_squeezed, LANES), of_map.dtype)
    grad_w1[:], grad_b1[:], grad_w2[:], grad_b2[:] = 0, 0, 0, 0
    for tile in range(n_tiles):
        for k in range(n_gates):
            at = (tile * n_gates + k) * LANES
            gate = load(gates, at)
            change = load(of_gates, at) * gate * (one - gate)
            store(of_gates, at, change)
            grad_b2[k] += total(change)
            for s in range(n_squeezed):
                value = load(squeezed, (tile * n_squeezed + s) * LANES)
                grad_w2[k, s] += total(change * value)
        of_means[:] = 0
        for s in range(n_squeezed):
            change = zero
            for k in range(n_gates):
                at = (tile * n_gates + k) * LANES
                change += spread(w2, k * n_squeezed + s) * load(of_gates, at)
            value = load(squeezed, (tile * n_squeezed + s) * LANES)
            change = where_larger(value, zero, change, zero)
            store(of_squeezed, s * LANES, change)
            grad_b1[s] += total(change)
            for c in range(2 * n_channels):
                value = load(means, (tile * 2 * n_channels + c) * LANES)
                grad_w1[s, c] += total(change * value)
                value = load(of_means, c * LANES)
                value += spread(w1, s * 2 * n_channels + c) * change
                store(of_means, c * LANES, value)
        for c in range(2 * n_channels):
            store(of_means, c * LANES, load(of_means, c * LANES) * share)
        for p in range(n_places):
            for c in range(n_channels):
                at = ((tile * n_places + p) * n_channels + c) * LANES
                store(of_target, at, load(of_target, at) + load(of_means, c * LANES))
                second = load(of_means, (n_channels + c) * LANES)
                store(of_map, at, load(of_map, at) + second)


@_jit
def weigh_places(
    target: NDArray,
    y: NDArray,
    norm: NDArray,
    w: NDArray,
    b: NDArray,
    trust: NDArray,
    gates: NDArray,
) -> None:
    """Write a gate for each place, (n_tiles, n_places, 1, LANES), from the channels there."""
    n_tiles, n_places, n_channels, _ = y.shape
    for tile in range(n_tiles):
        for p in range(n_places):
            value = spread(b, 0) + load(trust, tile * LANES)
            for c in range(n_channels):
                at = ((tile * n_places + p) * n_channels + c) * LANES
                received = spread(norm, c) * load(y, at) + spread(norm, n_channels + c)
                value += spread(w, c) * load(target, at)
                value += spread(w, n_channels + c) * received
            store(gates, (tile * n_places + p) * LANES, value)
    _squash(gates.ravel())


@_jit
def weigh_places_backward(
    of_gates: NDArray,
    target: NDArray,
    y: NDArray,
    norm: NDArray,
    w: NDArray,
    gates: NDArray,
    grad_w: NDArray,
    grad_b: NDArray,
    of_target: NDArray,
    of_map: NDArray,
) -> None:
    """Compute the gradients of `weigh_places`, as `weigh_channels_backward` does."""
    n_tiles, n_places, n_channels, _ = of_map.shape
    one = fill(of_map, 1.0)
    by_lane = np.zeros((2, n_channels, LANES), of_map.dtype)
    grad_b[:] = 0
    for tile in range(n_tiles):
        for p in range(n_places):
            at = (tile * n_places + p) * LANES
            gate = load(gates, at)
            change = load(of_gates, at) * gate * (one - gate)
            store(of_gates, at, change)
            grad_b[0] += total(change)
            for c in range(n_channels):
                at = ((tile * n_places + p) * n_channels + c) * LANES
                received = spread(norm, c) * load(y, at) + spread(norm, n_channels + c)
                first, second = c * LANES, (n_channels + c) * LANES
                store(by_lane, first, load(by_lane, first) + change * load(target, at))
                store(by_lane, second, load(by_lane, second) + change * received)
                store(of_target, at, load(of_target, at) + spread(w, c) * change)
                store(of_map, at, load(of_map, at) + spread(w, n_channels + c) * change)
    for k in range(2):
        for c in range(n_channels):
            grad_w[0, k * n_channels + c] = by_lane[k, c].sum()


@_jit
def receive(
    y: NDArray,
    norm: NDArray,
    gates: NDArray,
    weight: NDArray,
    start: int,
    out: NDArray,
    position: int,
    means: NDArray,
) -> None:
    """Add the normalised map, times its gates and `weight`, to `out` from channel `start` on.

    `gates` has one gate for all places or one for each, and the same for channels; `weight` has
    the shape (n_tiles, LANES). The mean weight is written to `means`, (n_tiles, 1, n_sources,
    LANES), at a position.
    """
    n_tiles, n_places, n_channels, _ = y.shape
    n_out = out.shape[2]
    n_gate_places, n_gates = gates.shape[1:3]
    per_place, per_channel = int(n_gate_places > 1), int(n_gates > 1)
    for tile in range(n_tiles):
        for p in range(n_places):
            first = (tile * n_gate_places + p * per_place) * n_gates
            for c in range(n_channels):
                gate = load(gates, (first + c * per_channel) * LANES) * load(weight, tile * LANES)
                value = load(y, ((tile * n_places + p) * n_channels + c) * LANES)
                value = spread(norm, c) * value + spread(norm, n_channels + c)
                at = ((tile * n_places + p) * n_out + start + c) * LANES
                store(out, at, load(out, at) + gate * value)
        mean = fill(y, 0.0)
        for i in range(tile * n_gate_places * n_gates, (tile + 1) * n_gate_places * n_gates):
            mean += load(gates, i * LANES)
        mean = mean * fill(y, 1 / (n_gate_places * n_gates)) * load(weight, tile * LANES)
        store(means, (tile * means.shape[2] + position) * LANES, mean)


@_jit
def receive_backward(
    grad: NDArray,
    y: NDArray,
    norm: NDArray,
    gates: NDArray,
    weight: NDArray,
    start: int,
    of_gates: NDArray,
    of_map: NDArray,
) -> None:
    """Write the gradients of the gates and of the normalised map."""
    n_tiles, n_places, n_channels, _ = y.shape
    n_out = grad.shape[2]
    n_gate_places, n_gates = gates.shape[1:3]
    per_place, per_channel = int(n_gate_places > 1), int(n_gates > 1)
    of_gates[:] = 0
    for tile in range(n_tiles):
        for p in range(n_places):
            first = (tile * n_gate_places + p * per_place) * n_gates
            for c in range(n_channels):
                at = (first + c * per_channel) * LANES
                change = load(grad, ((tile * n_places + p) * n_out + start + c) * LANES)
                change = change * load(weight, tile * LANES)
                place = ((tile * n_places + p) * n_channels + c) * LANES
                value = spread(norm, c) * load(y, place) + spread(norm, n_channels + c)
                store(of_gates, at, load(of_gates, at) + change * value)
                store(of_map, place, change * load(gates, at))


# All steps in prediction: for a few windows, calling a step takes as long as computing it. A
# layer is a tuple of its weights, scale, bias, running mean and variance, batches, and epsilon.


@_jit
def predict_maxima(
    x: NDArray, units: tuple, pools: tuple, repeats: tuple, is_max: bool, out: NDArray
) -> None:
    """Do all steps of a U-Net and the maximum of its feature map.

    `units`, those of the encoder before those of the decoder, are tuples of a layer, the table of
    its convolution, and the weights of the excitation. `pools` are the tables of the pooling
    between levels, and of the maximum.
    """
    n_levels = len(repeats) + 1
    maps = []
    for level in range(n_levels):
        if level > 0:
            x = _pool(x, pools[level - 1])
        x = _predict_unit(x, units[level], is_max)
        maps.append(x)
    for i in range(n_levels - 1):
        skip = maps[n_levels - 2 - i]
        n_joined = x.shape[2] + skip.shape[2]
        joined = np.empty((len(x), len(repeats[i]), n_joined, LANES), x.dtype)
        join(x, repeats[i], skip, joined)
        x = _predict_unit(joined, units[n_levels + i], is_max)
    out[:] = _pool(x, pools[n_levels - 1])


@_jit
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


@_jit
def _predict_layer(x: NDArray, layer: tuple, table: tuple) -> tuple[NDArray, NDArray]:
    weight, scale, bias, mean, var, n_batches, eps = layer
    starts, runs = table
    y = np.empty((len(x), len(starts) - 1, len(weight), LANES), x.dtype)
    norm = np.empty((4, len(weight)), x.dtype)
    convolve(
        *(x, 0, weight, starts, runs, scale, bias, mean, var, n_batches, 0.0, eps, False, y, norm)
    )
    return y, norm


@_jit
def _pool(x: NDArray, table: tuple) -> NDArray:
    starts, places = table
    out = np.empty((len(x), len(starts) - 1, x.shape[2], LANES), x.dtype)
    pool(x, starts, places, out)
    return out


@_jit
def predict_block(
    x: NDArray,
    n_windows: int,
    first: tuple,
    second: tuple,
    convolution: tuple,
    pooling: tuple,
    is_cut: bool,
    out: NDArray,
) -> None:
    """Do all steps of a block of a stream, with two layers and the tables of its steps.

    With `is_cut`, each tile holds the segments of one window in its lanes instead of the windows,
    which would leave most of them empty. The tables are then those of segments.
    """
    n_times, length = x.shape[1], len(convolution[0]) - 1
    margin = first[0].shape[2] // 2
    if is_cut:
        x = _cut(x, n_windows, length, margin)
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
        out[:] = _pool(x, pooling)


@_jit
def _cut(x: NDArray, n_windows: int, length: int, margin: int) -> NDArray:
    """Cut windows into segments, with a margin on both sides for what convolutions need there."""
    _, n_times, n_channels, _ = x.shape
    n_places = length + 2 * margin
    out = np.zeros((n_windows, n_places, n_channels, LANES), x.dtype)
    for window in range(n_windows):
        tile, lane = window // LANES, window % LANES
        for p in range(n_places):
            for c in range(n_channels):
                for segment in range(LANES):
                    time = segment * length + p - margin
                    if 0 <= time < n_times:
                        out[window, p, c, segment] = x[tile, time, c, lane]
    return out


@_jit
def _clear_end(x: NDArray, n_times: int) -> None:
    """Set what follows the end of the windows to 0."""
    n_windows, length, n_channels, _ = x.shape
    for window in range(n_windows):
        for p in range(length):
            for c in range(n_channels):
                for segment in range(max(-(-(n_times - p) // length), 0), LANES):
                    x[window, p, c, segment] = 0


@_jit
def _add_margins(x: NDArray, n_times: int, margin: int) -> NDArray:
    """Return segments with margins, in which the ends of their neighbours are repeated."""
    n_windows, length, n_channels, _ = x.shape
    _clear_end(x, n_times)
    out = np.zeros((n_windows, length + 2 * margin, n_channels, LANES), x.dtype)
    out[:, margin : margin + length] = x
    for window in range(n_windows):
        for p in range(margin):
            before, after = length - margin + p, margin + length + p
            for c in range(n_channels):
                for segment in range(1, LANES):
                    out[window, p, c, segment] = x[window, before, c, segment - 1]
                    out[window, after, c, segment - 1] = x[window, p, c, segment]
    return out


@_jit
def _paste(x: NDArray, out: NDArray) -> None:
    """Put segments together to windows again."""
    _, n_times, n_channels, _ = out.shape
    n_windows, length, _, _ = x.shape
    out[:] = 0
    for window in range(n_windows):
        tile, lane = window // LANES, window % LANES
        for time in range(n_times):
            for c in range(n_channels):
                out[tile, time, c, lane] = x[window, time % length, c, time // length]


@_jit
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
    """Do all steps by which a target receives a source; see `receive`.

    `gate` are the weights of the layers: two, or one twice.
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
