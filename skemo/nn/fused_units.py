"""Parts that U-Nets and streams share: tables of places, layers, and units of several steps."""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skemo.nn import layer_loops, map_loops
from skemo.nn.lanes import LANES
from skemo.nn.memory import empty_array


def _table(key: NDArray, n_keys: int, entries: NDArray) -> tuple[NDArray, NDArray]:
    """Sort entries by a key from 0 to n - 1; return where each key starts, and the entries."""
    order = np.argsort(key, kind="stable")
    starts = np.searchsorted(key[order], np.arange(n_keys + 1))
    return starts, np.ascontiguousarray(entries[order])


_BLOCK = 48  # places processed together in the gradient of the weights


@lru_cache(maxsize=64)
def convolution_tables(size: tuple[int, ...], kernel_size: int) -> list[tuple[NDArray, NDArray]]:
    """Return the tables of a convolution: runs by place of the output, and pairs by tap."""
    places = np.indices(size).reshape(len(size), 1, -1)
    taps = np.indices([kernel_size] * len(size)).reshape(len(size), -1, 1)
    sources = places + taps - kernel_size // 2
    limits = np.reshape(size, (-1, 1, 1))
    place, tap = np.nonzero(((sources >= 0) & (sources < limits)).all(axis=0).T)
    source = np.ravel_multi_index(tuple(sources[:, tap, place]), size)
    follows = (np.diff(tap) == 1) & (np.diff(source) == 1) & (np.diff(place) == 0)
    first = np.flatnonzero(np.r_[True, ~follows])
    lengths = np.diff(np.r_[first, len(tap)])
    n_places, n_taps = math.prod(size), kernel_size ** len(size)
    n_blocks = -(-n_places // _BLOCK)
    block = place // _BLOCK
    return [
        _table(place[first], n_places, np.stack([tap[first], source[first], lengths], 1)),
        _table(block * n_taps + tap, n_blocks * n_taps, np.stack([place, source], 1)),
    ]


@lru_cache(maxsize=64)
def pooling_table(
    size: tuple[int, ...], pool_size: int
) -> tuple[NDArray, NDArray, tuple[int, ...]]:
    """Return the table of places that are pooled together, and the size of the result."""
    pooled = tuple(-(-n // pool_size) for n in size)
    to = np.indices(size).reshape(len(size), -1) // pool_size
    key: Any = np.ravel_multi_index(tuple(to), pooled)
    starts, places = _table(key, math.prod(pooled), np.arange(to.shape[1]))
    return starts, places, pooled


@lru_cache(maxsize=64)
def enlargement_table(size: tuple[int, ...], larger: tuple[int, ...]) -> NDArray:
    """Return the place that each place of a larger map repeats (nearest neighbour)."""
    places = torch.arange(math.prod(size), dtype=torch.float64).view(1, 1, *size)
    return nn.functional.interpolate(places, size=larger).flatten().long().numpy()


@lru_cache(maxsize=64)
def resampling_tables(n_from: int, n_to: int, dtype: Any) -> tuple[tuple[NDArray, ...], ...]:
    """Return the tables for averaging over the duration of each new sample, and its gradient."""
    starts, ends = (np.arange(n_to) + np.array([[0], [1]])) * n_from / n_to
    sample = np.arange(n_from)[:, None]
    overlap = np.minimum(sample + 1, ends) - np.maximum(sample, starts)
    share = np.where(overlap > 1e-9, overlap, 0) * n_to / n_from
    tables = []
    for shares in (share, share.T):
        source, to = np.nonzero(shares)
        first, entries = _table(to, shares.shape[1], np.stack([source, to], 1))
        values = shares[entries[:, 0], entries[:, 1]].astype(dtype)
        tables.append((first, np.ascontiguousarray(entries[:, 0]), values))
    return tuple(tables)


@lru_cache(maxsize=64)
def segment_tables(n_times: int, kernel_size: int, pool_size: int) -> tuple[tuple, tuple]:
    """Return tables to convolve and pool segments, for `prediction_loops.predict_block`."""
    shortest = max(-(-n_times // LANES), kernel_size // 2)
    n_pooled = -(-shortest // pool_size)
    length = n_pooled * pool_size
    first = np.arange(length)
    # All taps of a place of the output are consecutive.
    runs = np.stack([np.zeros_like(first), first, np.full(length, kernel_size)], 1)
    convolution = np.arange(length + 1), np.ascontiguousarray(runs)
    return convolution, (np.arange(n_pooled + 1) * pool_size, first)


@lru_cache(maxsize=64)
def whole_table(n_places: int) -> tuple[NDArray, NDArray]:
    return np.array([0, n_places]), np.arange(n_places)


def as_array(tensor: Tensor) -> NDArray:
    return tensor.detach().numpy()


def empty_map(n_tiles: int, n_places: int, n_channels: int, dtype: Any) -> NDArray:
    """Return a new feature map."""
    return empty_array((n_tiles, n_places, n_channels, LANES), dtype)


def empty_like(x: NDArray) -> NDArray:
    return empty_array(x.shape, x.dtype)


class Parameters:
    """Parameters, and arrays that share their memory."""

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = list(tensors)
        self.arrays = [as_array(tensor) for tensor in tensors]


class Normalised(NamedTuple):
    """A feature map that is normalised as it is read, with what its gradient needs."""

    y: NDArray  # before normalisation
    norm: NDArray  # factor, summand, mean and 1 / SD of each channel
    x: NDArray  # the input of the convolution
    weight: NDArray
    n_windows: int
    training: bool


class Layer:
    """A convolution and batch normalisation."""

    def __init__(self, convolution: Any, norm: Any, size: tuple[int, ...]) -> None:
        self.norm = norm
        self.own = Parameters(convolution.weight, norm.weight, norm.bias)
        self.tables = convolution_tables(size, convolution.kernel_size[0])
        weight, scale, bias = self.own.arrays
        running = norm.running_mean, norm.running_var, norm.num_batches_tracked.view(1)
        # The weights have the shape (n_out, n_in, n_taps).
        self.arrays = weight.reshape(*weight.shape[:2], -1), scale, bias, *map(as_array, running)
        self.in_prediction = *self.arrays[:5], norm.eps

    def forward(self, x: NDArray, n_windows: int) -> Normalised:
        norm = self.norm
        weight, *statistics = self.arrays
        if norm.training and n_windows * x.shape[1] == 1:  # the same error as in torch
            raise ValueError("Expected more than 1 value per channel when training.")
        y = empty_map(len(x), x.shape[1], len(weight), x.dtype)
        coefficients = np.empty((4, len(weight)), x.dtype)
        layer_loops.convolve_and_normalise(
            x,
            n_windows,
            weight,
            *self.tables[0],
            *statistics,
            norm.momentum,
            norm.eps,
            norm.training,
            y,
            coefficients,
        )
        return Normalised(y, coefficients, x, weight, n_windows, norm.training)

    def backward(
        self, grad: NDArray, sums: NDArray, kept: Normalised, of_input: bool
    ) -> tuple[NDArray | None, list[NDArray]]:
        """Return the gradients of the input, or None, and of the parameters.

        `grad` is the gradient before normalisation; `sums` holds those of its bias and scale.
        """
        of_weight = np.empty_like(kept.weight)
        of_x = empty_like(kept.x) if of_input else kept.x
        layer_loops.convolve_backward(
            kept.x,
            grad,
            kept.weight,
            *self.tables[0],
            *self.tables[1],
            of_weight,
            of_input,
            of_x,
        )
        shape = self.own.tensors[0].shape
        return of_x if of_input else None, [of_weight.reshape(shape), sums[1], sums[0]]


class Unit:
    """A convolution, batch normalisation and ReLU and, in a U-Net, squeeze-and-excitation."""

    def __init__(self, modules: Any, size: tuple[int, ...]) -> None:
        convolution, norm, _, *excitation = modules
        self.layer = Layer(convolution, norm, size)
        self.gates = Parameters()
        if excitation:
            self.gates = Parameters(*excitation[0].parameters())
            self.is_max = excitation[0].excitation == "max"
        self.in_prediction = self.layer.in_prediction, self.layer.tables[0], (*self.gates.arrays,)
        self.parameters = self.layer.own.tensors + self.gates.tensors

    def forward(self, x: NDArray, n_windows: int) -> tuple[NDArray, tuple]:
        """Return the unit's output, and what `backward` needs."""
        kept = self.layer.forward(x, n_windows)
        y = kept.y
        out = empty_like(y)
        weights = self.gates.arrays
        gates: list[NDArray] = []
        if weights:
            n_tiles, n_places, n_channels, _ = y.shape
            shapes = [(n_channels,), (len(weights[1]),), (n_channels,), (n_places,)]
            gates = [np.empty((n_tiles, *shape, LANES), x.dtype) for shape in shapes]
            layer_loops.excite(y, kept.norm, *weights, self.is_max, out, *gates)
        else:
            layer_loops.rectify(y, kept.norm, out)
        return out, (kept, weights, gates)

    def backward(
        self, grad: NDArray, saved: tuple, of_input: bool
    ) -> tuple[NDArray | None, list[NDArray]]:
        """Return the gradients of the input, or None, and of the parameters.

        `grad` is overwritten.
        """
        kept, weights, gates = saved
        y, norm = kept.y, kept.norm
        sums = np.empty((2, y.shape[2]), grad.dtype)
        grads = [np.empty_like(each) for each in weights]
        if weights:
            layer_loops.excite_backward(
                grad, y, norm, *weights[::2], self.is_max, *gates, sums, *grads
            )
            layer_loops.normalise_backward(grad, y, kept.n_windows, norm, sums, kept.training, True)
        else:
            layer_loops.activate_backward(grad, y, kept.n_windows, norm, kept.training, True, sums)
        of_x, of_layer = self.layer.backward(grad, sums, kept, of_input)
        return of_x, of_layer + grads


def largest_values(x: NDArray) -> NDArray:
    """Return the largest value of each channel, as a map of a single place."""
    largest = empty_map(len(x), 1, x.shape[2], x.dtype)
    map_loops.pool(x, *whole_table(x.shape[1]), largest)
    return largest


def largest_values_backward(x: NDArray, largest: NDArray, grad: NDArray) -> NDArray:
    of_x = empty_like(x)
    map_loops.pool_backward(x, largest, grad, *whole_table(x.shape[1]), False, of_x)
    return of_x
