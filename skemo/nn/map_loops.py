"""Changes of the size and layout of feature maps, forward and backward, compiled by Numba.

Maps and tables are described in `skemo.nn.layer_loops`.
"""

from numpy.typing import NDArray

from skemo.nn.lanes import (
    LANES,
    compiled,
    equal,
    fill,
    larger,
    load,
    multiply_add,
    spread,
    store,
)


@compiled
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


@compiled
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


@compiled
def pool(
    x: NDArray,
    starts: NDArray,
    places: NDArray,
    out: NDArray,
) -> None:
    """Write, for each place of the output, the largest value among its places of the input."""
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


@compiled
def pool_backward(
    x: NDArray,
    out: NDArray,
    grad: NDArray,
    starts: NDArray,
    places: NDArray,
    adds: bool,
    grad_x: NDArray,
) -> None:
    """Pass the gradient of the output to the first place that has the maximum.

    It is added to `grad_x` or, unless `adds`, replaces it. Each place of the input belongs to one
    place of the output.
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


@compiled
def join(
    x: NDArray,
    places: NDArray,
    skip: NDArray,
    out: NDArray,
) -> None:
    """Enlarge a feature map by repeating `places`, and append the channels of `skip`."""
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


@compiled
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


@compiled
def resample(
    x: NDArray,
    starts: NDArray,
    places: NDArray,
    shares: NDArray,
    out: NDArray,
) -> None:
    """Write, for each place of the output, a weighted sum over its places of the input."""
    n_tiles, n_places_in, n_channels, _ = x.shape
    n_places = out.shape[1]
    for tile in range(n_tiles):
        for p in range(n_places):
            for c in range(n_channels):
                value = fill(x, 0.0)
                for j in range(starts[p], starts[p + 1]):
                    at = ((tile * n_places_in + places[j]) * n_channels + c) * LANES
                    value = multiply_add(spread(shares, j), load(x, at), value)
                store(out, ((tile * n_places + p) * n_channels + c) * LANES, value)
