"""The gates and sums of connected streams, forward and backward, compiled by Numba.

Maps and `norm` are described in `skemo.nn.layer_loops`.
"""

import numpy as np
from numpy.typing import NDArray

from skemo.nn.lanes import (
    LANES,
    compiled,
    fill,
    larger,
    load,
    multiply_add,
    spread,
    store,
    total,
    where_larger,
)
from skemo.nn.layer_loops import squash


@compiled
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
    """Write the gates of the map that a target receives, (n_tiles, 1, n_gates, LANES).

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
                value = multiply_add(
                    spread(w1, s * 2 * n_channels + c), load(means, start + c * LANES), value
                )
            store(squeezed, (tile * n_squeezed + s) * LANES, larger(value, zero))
        for k in range(n_gates):
            at = (tile * n_gates + k) * LANES
            value = spread(b2, k) + load(trust, at)
            for s in range(n_squeezed):
                place = (tile * n_squeezed + s) * LANES
                value = multiply_add(spread(w2, k * n_squeezed + s), load(squeezed, place), value)
            store(gates, at, value)
    squash(gates.ravel())


@compiled
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

    Also writes the gradients of the weights, and replaces the gradient of the gates, `of_gates`,
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
                change = multiply_add(spread(w2, k * n_squeezed + s), load(of_gates, at), change)
            value = load(squeezed, (tile * n_squeezed + s) * LANES)
            change = where_larger(value, zero, change, zero)
            store(of_squeezed, s * LANES, change)
            grad_b1[s] += total(change)
            for c in range(2 * n_channels):
                value = load(means, (tile * 2 * n_channels + c) * LANES)
                grad_w1[s, c] += total(change * value)
                value = load(of_means, c * LANES)
                value = multiply_add(spread(w1, s * 2 * n_channels + c), change, value)
                store(of_means, c * LANES, value)
        for c in range(2 * n_channels):
            store(of_means, c * LANES, load(of_means, c * LANES) * share)
        for p in range(n_places):
            for c in range(n_channels):
                at = ((tile * n_places + p) * n_channels + c) * LANES
                store(of_target, at, load(of_target, at) + load(of_means, c * LANES))
                second = load(of_means, (n_channels + c) * LANES)
                store(of_map, at, load(of_map, at) + second)


@compiled
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
                value = multiply_add(spread(w, c), load(target, at), value)
                value = multiply_add(spread(w, n_channels + c), received, value)
            store(gates, (tile * n_places + p) * LANES, value)
    squash(gates.ravel())


@compiled
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


@compiled
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

    `gates` has one gate for all places or one per place, and likewise for channels; `weight` has
    the shape (n_tiles, LANES). The mean weight is written to `means`, (n_tiles, 1, n_sources,
    LANES), at the `position` of the source.
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


@compiled
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
