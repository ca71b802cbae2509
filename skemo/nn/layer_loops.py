"""Convolution, normalisation and excitation, forward and backward, compiled by Numba.

Feature maps are arrays of shape (n_tiles, n_places, n_channels, LANES), as described in
`skemo.nn.lanes`. In the last tile, lanes without a window have a gradient of 0.

The map `y` after a convolution is stored before normalisation. `norm`, (4, n_channels), holds the
factor and the summand that normalise each channel, its mean, and 1 / SD. A function that takes
both normalises the map as it reads it.

Tables say how places are connected: the entries from `starts[i]` up to `starts[i + 1]` belong to
place `i`, or to tap `i`. A tap is a position in the kernel of a convolution.
"""

import math

import numpy as np
from numpy.typing import NDArray

from skemo.nn.lanes import (
    LANES,
    compiled,
    equal,
    fill,
    inlined,
    larger,
    load,
    multiply_add,
    spread,
    store,
    total,
    totals,
    where_larger,
)


@compiled
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
                        y0 = multiply_add(spread(weight, w), value, y0)
                        y1 = multiply_add(spread(weight, w + 1), value, y1)
                        y2 = multiply_add(spread(weight, w + 2), value, y2)
                        y3 = multiply_add(spread(weight, w + 3), value, y3)
                        y4 = multiply_add(spread(weight, w + 4), value, y4)
                        y5 = multiply_add(spread(weight, w + 5), value, y5)
                        y6 = multiply_add(spread(weight, w + 6), value, y6)
                        y7 = multiply_add(spread(weight, w + 7), value, y7)
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
                        y0 = multiply_add(spread(weight, w), load(x, at), y0)
                        at += LANES
                        w += n_out
                store(y, ((tile * n_places + p) * n_out + c) * LANES, y0)


@compiled
def _add_weight_gradient(
    x: NDArray,
    grad: NDArray,
    starts: NDArray,
    pairs: NDArray,
    grad_weight: NDArray,
) -> None:
    """Add the gradient of the weights to `grad_weight`, (n_taps, n_in, n_out).

    The table holds pairs of a place of the output and a place of the input, sorted by block of
    places and then by tap. Blocks are small enough for four channels of the input and four of the
    output to stay in the fastest cache for all taps.
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
                            a0 = multiply_add(a, g, a0)
                            b0 = multiply_add(b, g, b0)
                            c0 = multiply_add(c, g, c0)
                            d0 = multiply_add(d, g, d0)
                            g = load(grad, at + o1)
                            a1 = multiply_add(a, g, a1)
                            b1 = multiply_add(b, g, b1)
                            c1 = multiply_add(c, g, c1)
                            d1 = multiply_add(d, g, d1)
                            g = load(grad, at + o2)
                            a2 = multiply_add(a, g, a2)
                            b2 = multiply_add(b, g, b2)
                            c2 = multiply_add(c, g, c2)
                            d2 = multiply_add(d, g, d2)
                            g = load(grad, at + o3)
                            a3 = multiply_add(a, g, a3)
                            b3 = multiply_add(b, g, b3)
                            c3 = multiply_add(c, g, c3)
                            d3 = multiply_add(d, g, d3)
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
                            a0 = multiply_add(a, load(grad, at), a0)
                            a1 = multiply_add(a, load(grad, at + o1), a1)
                            a2 = multiply_add(a, load(grad, at + o2), a2)
                            a3 = multiply_add(a, load(grad, at + o3), a3)
                            b0 = multiply_add(a, load(grad, at + o4), b0)
                            b1 = multiply_add(a, load(grad, at + o5), b1)
                            b2 = multiply_add(a, load(grad, at + o6), b2)
                            b3 = multiply_add(a, load(grad, at + o7), b3)
                        totals(sums, 0, a0, a1, a2, a3, b0, b1, b2, b3)
                        for m in range(min(8, n_out - o)):
                            grad_weight[tap, i, o + m] += sums[m // 4, m % 4]


@inlined
def _measure(y: NDArray, n_windows: int, moments: NDArray, norm: NDArray) -> None:
    """Add the mean and the variance of each channel of a feature map to `moments`.

    They are also written to the last two rows of `norm`, for use until `normalise`.
    """
    n_tiles, n_places, n_channels, _ = y.shape
    n_values = n_windows * n_places
    sums = np.empty((n_channels, LANES), y.dtype)
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


@compiled
def normalise(
    mean: NDArray, variance: NDArray, weight: NDArray, bias: NDArray, eps: float, norm: NDArray
) -> None:
    """Write `norm`, given the mean and the variance of each channel."""
    for c in range(len(mean)):
        inverse = 1 / math.sqrt(variance[c] + eps)
        norm[0, c] = weight[c] * inverse
        norm[1, c] = bias[c] - mean[c] * inverse * weight[c]
        norm[2, c] = mean[c]
        norm[3, c] = inverse


@inlined
def convolve(x: NDArray, weight: NDArray, starts: NDArray, runs: NDArray, y: NDArray) -> None:
    """Convolve a feature map with a `weight` of shape (n_out, n_in, n_taps)."""
    n_out, n_in, n_taps = weight.shape
    by_tap = np.empty((n_taps, n_in, n_out), weight.dtype)
    for tap in range(n_taps):
        for i in range(n_in):
            for o in range(n_out):
                by_tap[tap, i, o] = weight[o, i, tap]
    _convolve(x, by_tap, starts, runs, y)


@compiled
def convolve_and_normalise(
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
    """Write the convolved map `y` and its `norm`; in training, update the running statistics."""
    convolve(x, weight, starts, runs, y)
    if not training:
        normalise(running_mean, running_var, scale, bias, eps, norm)
        return
    moments = np.zeros((2, len(scale)))
    _measure(y, n_windows, moments, norm)
    n_values = n_windows * y.shape[1]
    for c in range(len(scale)):
        unbiased = moments[1, c] * n_values / max(n_values - 1, 1)
        running_mean[c] += momentum * (moments[0, c] - running_mean[c])
        running_var[c] += momentum * (unbiased - running_var[c])
    n_batches[0] += 1
    normalise(moments[0], moments[1], scale, bias, eps, norm)


@compiled
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
    for o in range(n_out):
        for i in range(n_in):
            for tap in range(n_taps):
                grad_weight[o, i, tap] = by_tap[tap, i, o]
    if of_input:
        # The gradient of a convolution is a convolution with the taps in reverse order.
        turned = np.empty((n_taps, n_out, n_in), weight.dtype)
        for tap in range(n_taps):
            for o in range(n_out):
                for i in range(n_in):
                    turned[tap, o, i] = weight[o, i, n_taps - 1 - tap]
        _convolve(grad, turned, starts, runs, grad_x)


@compiled
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

    `sums`, (2, n_channels), are the sums of the gradient after normalisation, and of its product
    with the normalised map.
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


@inlined
def _slope(norm: NDArray, sums: NDArray, n_values: int, training: bool) -> NDArray:
    """Return how the gradient before normalisation depends on the map: summand and factor."""
    n_channels = norm.shape[1]
    slope = np.zeros((2, n_channels), norm.dtype)
    if training:
        for c in range(n_channels):
            slope[1, c] = -norm[0, c] * norm[3, c] * sums[1, c] / n_values
            slope[0, c] = -norm[0, c] * sums[0, c] / n_values - slope[1, c] * norm[2, c]
    return slope


@inlined
def _clear_unused(grad: NDArray, n_windows: int) -> None:
    """Set the lanes without a window to 0."""
    n_tiles, n_places, n_channels, _ = grad.shape
    for lane in range(n_windows - (n_tiles - 1) * LANES, LANES):
        for p in range(n_places):
            for c in range(n_channels):
                grad[n_tiles - 1, p, c, lane] = 0


@inlined
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


@compiled
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


@compiled
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


@compiled
def pool_normalised(
    y: NDArray,
    norm: NDArray,
    starts: NDArray,
    places: NDArray,
    largest: NDArray,
    position: NDArray,
) -> None:
    """Find the largest value of the normalised map among the places that are pooled together.

    Writes `y` at that place to `largest`, and the index of the place among them to `position`.
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


@compiled
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
    """Write the gradient before normalisation, given that after `pool_normalised` and `rectify`.

    Also writes `sums`.
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


@compiled
def squash(values: NDArray) -> None:
    """Apply the logistic function, in place."""
    for i in range(len(values)):
        values[i] = 1 / (1 + math.exp(-values[i]))


@compiled
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
    (n_tiles, n_channels, LANES), into the gates `by_channel`. The gates `by_place`, (n_tiles,
    n_places, LANES), come from sums over the channels, weighted by `w`.
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
                weighted = multiply_add(spread(w, c), value, weighted)
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
                at = (tile * n_channels + c) * LANES
                value = multiply_add(spread(w1, s * n_channels + c), load(means, at), value)
            store(squeezed, (tile * n_squeezed + s) * LANES, larger(value, zero))
        for c in range(n_channels):
            value = spread(b2, c)
            for s in range(n_squeezed):
                at = (tile * n_squeezed + s) * LANES
                value = multiply_add(spread(w2, c * n_squeezed + s), load(squeezed, at), value)
            store(by_channel, (tile * n_channels + c) * LANES, value)
        squash(by_channel[tile].ravel())
        squash(by_place[tile].ravel())
        for p in range(n_places):
            at = (tile * n_places + p) * n_channels * LANES
            second = load(by_place, (tile * n_places + p) * LANES)
            for c in range(n_channels):
                first = load(by_channel, (tile * n_channels + c) * LANES)
                gate = larger(first, second) if is_max else first + second
                store(out, at, load(out, at) * gate)
                at += LANES


@compiled
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
                    # In a tie, each gate gets half of the gradient.
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
                change = multiply_add(
                    spread(w2, c * n_squeezed + s), load(of_channel, c * LANES), change
                )
            value = load(squeezed, (tile * n_squeezed + s) * LANES)
            change = where_larger(value, zero, change, zero)
            store(of_squeezed, s * LANES, change)
            grad_b1[s] += total(change)
            for c in range(n_channels):
                grad_w1[s, c] += total(change * load(means, (tile * n_channels + c) * LANES))
        for c in range(n_channels):
            change = zero
            for s in range(n_squeezed):
                change = multiply_add(
                    spread(w1, s * n_channels + c), load(of_squeezed, s * LANES), change
                )
            store(of_channel, c * LANES, change * share)  # now the gradient of the mean
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
