"""Large parts of the networks as one operation on a CPU, compiled by Numba.

On small feature maps, torch spends most of its time between operations. Here a whole U-Net, or
all streams together with their connections, form a single operation that runs compiled loops
(`fused_layers`, `fused_maps`, `fused_connections`). Results differ from those of the modules only
by rounding.
"""

import math
import weakref
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from skemo.nn import fused_connections, fused_layers, fused_maps, fused_predictions
from skemo.nn.lanes import LANES
from skemo.nn.memory import empty_array, loops_in_use

_BLOCK = 48  # places processed together in the gradient of the weights


@lru_cache(maxsize=64)
def _convolution(size: tuple[int, ...], kernel_size: int) -> list[tuple[NDArray, NDArray]]:
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


def _table(key: NDArray, n_keys: int, entries: NDArray) -> tuple[NDArray, NDArray]:
    """Sort entries by a key from 0 to n - 1; return where each key starts, and the entries."""
    order = np.argsort(key, kind="stable")
    starts = np.searchsorted(key[order], np.arange(n_keys + 1))
    return starts, np.ascontiguousarray(entries[order])


@lru_cache(maxsize=64)
def _pooling(size: tuple[int, ...], pool_size: int) -> tuple[NDArray, NDArray, tuple[int, ...]]:
    """Return the table of places that are pooled together, and the size of the result."""
    pooled = tuple(-(-n // pool_size) for n in size)
    to = np.indices(size).reshape(len(size), -1) // pool_size
    key: Any = np.ravel_multi_index(tuple(to), pooled)
    starts, places = _table(key, math.prod(pooled), np.arange(to.shape[1]))
    return starts, places, pooled


@lru_cache(maxsize=64)
def _enlargement(size: tuple[int, ...], larger: tuple[int, ...]) -> NDArray:
    """Return the place that each place of a larger map repeats (nearest neighbour)."""
    places = torch.arange(math.prod(size), dtype=torch.float64).view(1, 1, *size)
    return nn.functional.interpolate(places, size=larger).flatten().long().numpy()


@lru_cache(maxsize=64)
def _resampling(n_from: int, n_to: int, dtype: Any) -> tuple[tuple[NDArray, ...], ...]:
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
def _segments(n_times: int, kernel_size: int, pool_size: int) -> tuple[tuple, tuple]:
    """Return tables to convolve and pool segments, for `fused_predictions.predict_block`."""
    shortest = max(-(-n_times // LANES), kernel_size // 2)
    n_pooled = -(-shortest // pool_size)
    length = n_pooled * pool_size
    first = np.arange(length)
    # All taps of a place of the output are consecutive.
    runs = np.stack([np.zeros_like(first), first, np.full(length, kernel_size)], 1)
    convolution = np.arange(length + 1), np.ascontiguousarray(runs)
    return convolution, (np.arange(n_pooled + 1) * pool_size, first)


def _array(tensor: Tensor) -> NDArray:
    return tensor.detach().numpy()


def _empty(n_tiles: int, n_places: int, n_channels: int, dtype: Any) -> NDArray:
    """Return a new feature map."""
    return empty_array((n_tiles, n_places, n_channels, LANES), dtype)


def _empty_like(x: NDArray) -> NDArray:
    return empty_array(x.shape, x.dtype)


class _Parameters:
    """Parameters, and arrays that share their memory."""

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = list(tensors)
        self.arrays = [_array(tensor) for tensor in tensors]


class _Normalised(NamedTuple):
    """A feature map that is normalised as it is read, with what its gradient needs."""

    y: NDArray  # before normalisation
    norm: NDArray  # factor, summand, mean and 1 / SD of each channel
    x: NDArray  # the input of the convolution
    weight: NDArray
    n_windows: int
    training: bool


class _Layer:
    """A convolution and batch normalisation."""

    def __init__(self, convolution: Any, norm: Any, size: tuple[int, ...]) -> None:
        self.norm = norm
        self.own = _Parameters(convolution.weight, norm.weight, norm.bias)
        self.tables = _convolution(size, convolution.kernel_size[0])
        weight, scale, bias = self.own.arrays
        running = norm.running_mean, norm.running_var, norm.num_batches_tracked.view(1)
        # The weights have the shape (n_out, n_in, n_taps).
        self.arrays = weight.reshape(*weight.shape[:2], -1), scale, bias, *map(_array, running)
        self.in_prediction = *self.arrays, norm.eps

    def forward(self, x: NDArray, n_windows: int) -> _Normalised:
        norm = self.norm
        weight, *statistics = self.arrays
        if norm.training and n_windows * x.shape[1] == 1:  # the same error as in torch
            raise ValueError("Expected more than 1 value per channel when training.")
        y = _empty(len(x), x.shape[1], len(weight), x.dtype)
        coefficients = np.empty((4, len(weight)), x.dtype)
        fused_layers.convolve(
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
        return _Normalised(y, coefficients, x, weight, n_windows, norm.training)

    def backward(
        self, grad: NDArray, sums: NDArray, kept: _Normalised, of_input: bool
    ) -> tuple[NDArray | None, list[NDArray]]:
        """Return the gradients of the input, or None, and of the parameters.

        `grad` is the gradient before normalisation; `sums` are those of the gradient after it.
        """
        of_weight = np.empty_like(kept.weight)
        of_x = _empty_like(kept.x) if of_input else kept.x
        fused_layers.convolve_backward(
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


class _Unit:
    """A convolution, batch normalisation and ReLU and, in a U-Net, squeeze-and-excitation."""

    def __init__(self, modules: Any, size: tuple[int, ...]) -> None:
        convolution, norm, _, *excitation = modules
        self.layer = _Layer(convolution, norm, size)
        self.gates = _Parameters()
        if excitation:
            self.gates = _Parameters(*excitation[0].parameters())
            self.is_max = excitation[0].excitation == "max"
        self.in_prediction = self.layer.in_prediction, self.layer.tables[0], (*self.gates.arrays,)
        self.parameters = self.layer.own.tensors + self.gates.tensors

    def forward(self, x: NDArray, n_windows: int) -> tuple[NDArray, tuple]:
        """Return the unit's output, and what `backward` needs."""
        kept = self.layer.forward(x, n_windows)
        y = kept.y
        out = _empty_like(y)
        weights = self.gates.arrays
        gates: list[NDArray] = []
        if weights:
            n_tiles, n_places, n_channels, _ = y.shape
            shapes = [(n_channels,), (len(weights[1]),), (n_channels,), (n_places,)]
            gates = [np.empty((n_tiles, *shape, LANES), x.dtype) for shape in shapes]
            fused_layers.excite(y, kept.norm, *weights, self.is_max, out, *gates)
        else:
            fused_layers.rectify(y, kept.norm, out)
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
            fused_layers.excite_backward(
                grad, y, norm, *weights[::2], self.is_max, *gates, sums, *grads
            )
            fused_layers.normalise_backward(
                grad, y, kept.n_windows, norm, sums, kept.training, True
            )
        else:
            fused_layers.activate_backward(grad, y, kept.n_windows, norm, kept.training, True, sums)
        of_x, of_layer = self.layer.backward(grad, sums, kept, of_input)
        return of_x, of_layer + grads


class Maxima:
    """The largest value of each channel of a U-Net's feature map.

    Parameters
    ----------
    module : UNet
    sizes : list of tuple of int
        The size of the feature maps of the first level.
    """

    out_size: tuple[int, ...] = ()
    n_differentiable = 1

    def __init__(self, module: Any, sizes: list[tuple[int, ...]]) -> None:
        self.pools = []
        sizes = sizes[:1]
        for _ in module.decoder:
            starts, places, size = _pooling(sizes[-1], 2)
            self.pools.append((starts, places))
            sizes.append(size)
        self.encoder = [_Unit(*pair) for pair in zip(module.encoder, sizes, strict=True)]
        # From the smallest map to the largest, in the order of the decoder.
        self.decoder = [_Unit(*pair) for pair in zip(module.decoder, sizes[-2::-1], strict=True)]
        self.repeats = tuple(
            _enlargement(*pair) for pair in zip(sizes[:0:-1], sizes[-2::-1], strict=True)
        )
        self.all_pools = *self.pools, _whole(math.prod(sizes[0]))
        units = self.encoder + self.decoder
        self.in_prediction = tuple([unit.in_prediction for unit in units])
        self.parameters = [x for unit in units for x in unit.parameters]

    def forward(
        self, inputs: list[NDArray], n_windows: int, predicts: bool
    ) -> tuple[list[NDArray], tuple]:
        """Return the results for a feature map, and what `backward` needs."""
        (x,) = inputs
        if predicts and n_windows <= LANES and len(self.repeats) > 0:
            n_channels = len(self.decoder[-1].layer.own.tensors[0])
            largest = _empty(len(x), 1, n_channels, x.dtype)
            fused_predictions.predict_maxima(
                x,
                self.in_prediction,
                self.all_pools,
                self.repeats,
                self.encoder[0].is_max,
                largest,
            )
            return [largest], ()
        maps, pooled, saved = [], [], []
        for level, unit in enumerate(self.encoder):
            if level > 0:
                table = self.pools[level - 1]
                smaller = _empty(len(x), len(table[0]) - 1, x.shape[2], x.dtype)
                fused_maps.pool(x, *table, smaller)
                pooled.append(smaller)
                x = smaller
            x, kept = unit.forward(x, n_windows)
            maps.append(x)
            saved.append(kept)
        for unit, skip, repeated in zip(self.decoder, maps[-2::-1], self.repeats, strict=True):
            joined = _empty(len(x), len(repeated), x.shape[2] + skip.shape[2], x.dtype)
            fused_maps.join(x, repeated, skip, joined)
            x, kept = unit.forward(joined, n_windows)
            saved.append(kept)
        largest = _largest(x)
        return [largest], (maps, pooled, saved, x, largest)

    def backward(
        self, grads: Sequence[NDArray], kept: tuple, of_inputs: Sequence[bool]
    ) -> tuple[list[NDArray | None], list[NDArray]]:
        """Return the gradients of the inputs, None where not needed, and of the parameters."""
        maps, pooled, saved, last, largest = kept
        n_levels = len(self.encoder)
        of_x: Any = _largest_backward(last, largest, grads[0])
        of_parameters: list[NDArray] = []
        of_skips = []
        for i in reversed(range(len(self.decoder))):
            of_joined, of_unit = self.decoder[i].backward(of_x, saved[n_levels + i], True)
            of_parameters = of_unit + of_parameters
            # The enlarged map came from the previous decoder unit or, for the first, the encoder.
            below = saved[n_levels + i - 1][0].y
            of_skip, of_x = _empty_like(maps[n_levels - 2 - i]), _empty_like(below)
            of_x[:] = 0
            fused_maps.join_backward(of_joined, self.repeats[i], of_x, of_skip)
            of_skips.append(of_skip)
        for level in reversed(range(n_levels)):
            of_smaller, of_unit = self.encoder[level].backward(
                of_x, saved[level], of_inputs[0] or level > 0
            )
            of_parameters = of_unit + of_parameters
            if level > 0:
                of_x = of_skips[level - 1]
                whole, smaller = maps[level - 1], pooled[level - 1]
                fused_maps.pool_backward(
                    whole, smaller, of_smaller, *self.pools[level - 1], True, of_x
                )
        return [of_smaller], of_parameters


def _largest(x: NDArray) -> NDArray:
    """Return the largest value of each channel, as a map of a single place."""
    largest = _empty(len(x), 1, x.shape[2], x.dtype)
    fused_maps.pool(x, *_whole(x.shape[1]), largest)
    return largest


def _largest_backward(x: NDArray, largest: NDArray, grad: NDArray) -> NDArray:
    of_x = _empty_like(x)
    fused_maps.pool_backward(x, largest, grad, *_whole(x.shape[1]), False, of_x)
    return of_x


@lru_cache(maxsize=64)
def _whole(n_places: int) -> tuple[NDArray, NDArray]:
    return np.array([0, n_places]), np.arange(n_places)


class Block:
    """A block of a stream: two convolutions and maximum pooling.

    Parameters
    ----------
    module : StreamBlock
    sizes : list of tuple of int
        The only one is (n_times,).
    """

    def __init__(self, module: Any, sizes: list[tuple[int, ...]]) -> None:
        *layers, pool = module
        self.n_differentiable = 1
        self.first = _Unit(layers[:3], sizes[0])
        self.second = _Layer(layers[3], layers[4], sizes[0])
        starts, places, self.out_size = _pooling(sizes[0], pool.kernel_size)
        self.pool = starts, places
        self.segments = _segments(*sizes[0], layers[0].kernel_size[0], pool.kernel_size)
        self.parameters = self.first.parameters + self.second.own.tensors

    def forward(
        self, inputs: list[NDArray], n_windows: int, predicts: bool
    ) -> tuple[list[NDArray], tuple]:
        """Return the results for a feature map, and what `backward` needs."""
        (x,) = inputs
        is_cut = n_windows * len(self.segments[1][1]) < len(x) * x.shape[1]
        if predicts and (is_cut or n_windows <= LANES):
            first, second = self.first.layer.in_prediction, self.second.in_prediction
            tables = self.segments if is_cut else (self.second.tables[0], self.pool)
            pooled = _empty(len(x), self.out_size[0], len(second[0]), x.dtype)
            fused_predictions.predict_block(x, n_windows, first, second, *tables, is_cut, pooled)
            return [pooled], ()
        x, one = self.first.forward(x, n_windows)
        two = self.second.forward(x, n_windows)
        largest = _empty(len(x), self.out_size[0], two.y.shape[2], x.dtype)
        position, pooled = _empty_like(largest), _empty_like(largest)
        fused_layers.pool_normalised(two.y, two.norm, *self.pool, largest, position)
        fused_layers.rectify(largest, two.norm, pooled)
        return [pooled], (one, two, largest, position)

    def backward(
        self, grads: Sequence[NDArray], kept: tuple, of_inputs: Sequence[bool]
    ) -> tuple[list[NDArray | None], list[NDArray]]:
        """Return the gradients of the inputs, None where not needed, and of the parameters."""
        one, two, largest, position = kept
        y, norm = two.y, two.norm
        sums = np.empty((2, y.shape[2]), y.dtype)
        of_y = _empty_like(y)
        fused_layers.pool_normalised_backward(
            grads[0],
            largest,
            position,
            y,
            two.n_windows,
            norm,
            two.training,
            *self.pool,
            sums,
            of_y,
        )
        of_x: Any
        of_x, of_second = self.second.backward(of_y, sums, two, True)
        of_x, of_first = self.first.backward(of_x, one, of_inputs[0])
        return [of_x], of_first + of_second


class _Source:
    """What a stream receives from another: its map, projected and weighted by a gate."""

    def __init__(self, projection: Any, gate: Any, length: int, attention: str | None) -> None:
        self.layer = _Layer(projection[0], projection[1], (length,))
        self.gate = _Parameters(*([] if gate is None else gate.parameters()))
        self.is_temporal = attention == "temporal"
        self.parameters = self.layer.own.tensors + self.gate.tensors

    def forward(
        self, source: NDArray, target: NDArray, trust: NDArray | None, n_windows: int
    ) -> tuple[_Normalised, NDArray, tuple]:
        """Return the projected map, its gates, and what else `backward` needs."""
        n_tiles, n_places, n_channels, _ = target.shape
        dtype = target.dtype
        if source.shape[1] != n_places:
            resampled = _empty(n_tiles, n_places, source.shape[2], dtype)
            fused_maps.resample(
                source, *_resampling(source.shape[1], n_places, dtype)[0], resampled
            )
        else:
            resampled = source
        kept = self.layer.forward(resampled, n_windows)
        weights = self.gate.arrays
        if not weights:
            return kept, np.ones((n_tiles, 1, 1, LANES), dtype), ()
        n_gates = len(weights[-1])
        if trust is None:
            trust = np.zeros((n_tiles, 1, n_gates, LANES), dtype)
        gates = np.empty((n_tiles, n_places if self.is_temporal else 1, n_gates, LANES), dtype)
        if self.is_temporal:
            fused_connections.weigh_places(target, kept.y, kept.norm, *weights, trust, gates)
            return kept, gates, (target, weights)
        means = np.empty((n_tiles, 2 * n_channels, LANES), dtype)
        squeezed = np.empty((n_tiles, len(weights[1]), LANES), dtype)
        fused_connections.weigh_channels(
            target, kept.y, kept.norm, *weights, trust, means, squeezed, gates
        )
        return kept, gates, (weights, means, squeezed)

    def predict(
        self, source: NDArray, target: NDArray, trust: NDArray | None, *received: Any
    ) -> None:
        """Do all steps of `forward` and `receive`; the arguments are those of `receive`."""
        dtype = target.dtype
        gate = self.gate.arrays
        empty = np.empty((0, 0, 0), dtype), np.empty(0, dtype)
        layers = (*gate, *(gate or empty), *empty)[:4]
        if trust is None:
            trust = np.zeros((len(target), 1, len(layers[3]), LANES), dtype)
        fused_predictions.predict_source(
            target,
            source,
            _resampling(source.shape[1], target.shape[1], dtype)[0],
            self.layer.in_prediction,
            self.layer.tables[0],
            layers,
            len(gate) > 0,
            self.is_temporal,
            trust,
            *received,
        )

    def backward(
        self,
        of_map: NDArray,
        of_gates: NDArray,
        kept: _Normalised,
        gates: NDArray,
        saved: tuple,
        of_target: NDArray,
        of_source: NDArray,
    ) -> list[NDArray]:
        """Add to the gradients of both streams, and return those of the parameters.

        `of_map` and `of_gates` are overwritten, `of_gates` by the gradient of the logits.
        """
        grads: list[NDArray] = []
        if self.gate.tensors and self.is_temporal:
            target, weights = saved
            grads = [np.empty(each.shape[:2], gates.dtype) for each in weights]
            fused_connections.weigh_places_backward(
                of_gates,
                target,
                kept.y,
                kept.norm,
                weights[0],
                gates,
                *grads,
                of_target,
                of_map,
            )
        elif self.gate.tensors:
            weights, means, squeezed = saved
            grads = [np.empty(each.shape[:2], gates.dtype) for each in weights]
            fused_connections.weigh_channels_backward(
                of_gates,
                weights[0],
                weights[2],
                means,
                squeezed,
                gates,
                *grads,
                of_target,
                of_map,
            )
        sums = np.empty((2, of_map.shape[2]), of_map.dtype)
        fused_layers.activate_backward(
            of_map, kept.y, kept.n_windows, kept.norm, kept.training, False, sums
        )
        of_x: Any
        of_x, of_layer = self.layer.backward(of_map, sums, kept, True)
        if of_x.shape[1] != of_source.shape[1]:
            table = _resampling(of_source.shape[1], of_x.shape[1], of_x.dtype)[1]
            resampled = _empty_like(of_source)
            fused_maps.resample(of_x, *table, resampled)
            of_x = resampled
        of_source += of_x
        shapes = [tensor.shape for tensor in self.gate.tensors]
        return of_layer + [x.reshape(shape) for x, shape in zip(grads, shapes, strict=True)]


class _Connection:
    """A stream that receives the maps of others."""

    def __init__(self, module: Any, length: int) -> None:
        gates = list(module.gates) or [None] * len(module.projections)
        self.sources = [
            _Source(projection, gate, length, module.attention)
            for projection, gate in zip(module.projections, gates, strict=True)
        ]
        self.parameters = [x for source in self.sources for x in source.parameters]
        self.out_channels = module.out_channels
        self.is_sum = module.merge == "sum"
        self.largest_gate = module.largest_gate

    def _starts(self, n_channels: int) -> list[int]:
        """Return the channel of the result at which the map of each source begins."""
        return [0 if self.is_sum else (1 + i) * n_channels for i in range(len(self.sources))]

    def forward(
        self,
        target: NDArray,
        sources: list[NDArray],
        present: list[NDArray],
        trust: NDArray | None,
        n_windows: int,
        predicts: bool,
    ) -> tuple[NDArray, NDArray, list[tuple]]:
        """Return the merged map, the mean weights of the sources, and what `backward` needs."""
        n_tiles, n_places, n_channels, _ = target.shape
        out = _empty(n_tiles, n_places, self.out_channels, target.dtype)
        out[:, :, :n_channels] = target
        out[:, :, n_channels:] = 0
        n_sources = len(self.sources)
        weights = np.empty((n_tiles, 1, n_sources, LANES), target.dtype)
        trusts = [None] * n_sources if trust is None else np.split(trust, n_sources, axis=2)
        saved = []
        for i, start in enumerate(self._starts(n_channels)):
            own = None if trusts[i] is None else np.ascontiguousarray(trusts[i])
            weight = self.largest_gate * present[i]
            if predicts and n_windows <= LANES:
                self.sources[i].predict(sources[i], target, own, weight, start, out, i, weights)
                continue
            kept, gates, more = self.sources[i].forward(sources[i], target, own, n_windows)
            fused_connections.receive(kept.y, kept.norm, gates, weight, start, out, i, weights)
            saved.append((kept, gates, weight, more))
        return out, weights, saved

    def backward(
        self,
        grad: NDArray,
        saved: list[tuple],
        of_target: NDArray,
        of_sources: list[NDArray],
    ) -> tuple[NDArray, list[NDArray]]:
        """Add to the gradients of the streams; return those of `trust` and of the parameters."""
        of_trusts, of_parameters = [], []
        starts = self._starts(of_target.shape[2])
        for i, (kept, gates, weight, more) in enumerate(saved):
            of_gates, of_map = np.empty_like(gates), _empty_like(kept.y)
            fused_connections.receive_backward(
                grad, kept.y, kept.norm, gates, weight, starts[i], of_gates, of_map
            )
            of_parameters += self.sources[i].backward(
                of_map, of_gates, kept, gates, more, of_target, of_sources[i]
            )
            of_trusts.append(of_gates.sum(axis=1, keepdims=True))
        return np.concatenate(of_trusts, axis=2), of_parameters


class Streams:
    """All streams of a cross-modal network, with their connections.

    Inputs are the series of each modality, which modalities are present and, if the quality is
    known, what it adds to the gates of each connection. Outputs are the vector of each modality
    and the mean weights of the sources of each connection, which have no gradient.

    Parameters
    ----------
    module : CrossModalAttentionNetwork
    sizes : list of tuple of int
        The size of each input.
    """

    out_size: tuple[int, ...] = ()

    def __init__(self, module: Any, sizes: list[tuple[int, ...]]) -> None:
        self.n_differentiable = self.n_streams = len(module.shapes)
        self.sources = module.sources
        self.stages: list[tuple[list[Block], dict[int, _Connection]]] = []
        lengths = sizes[: self.n_streams]
        for stage, modules in enumerate(module.blocks, start=1):
            blocks = [Block(x, [length]) for x, length in zip(modules, lengths, strict=True)]
            lengths = [block.out_size for block in blocks]
            connections = {}
            if stage in module.stages:
                for target, connection in module.connections[str(stage)].items():
                    connections[int(target)] = _Connection(connection, *lengths[int(target)])
            self.stages.append((blocks, connections))
        self.parameters: list[Tensor] = []
        for blocks, connections in self.stages:
            for block in blocks:
                self.parameters += block.parameters
            for connection in connections.values():
                self.parameters += connection.parameters

    def forward(
        self, inputs: list[NDArray], n_windows: int, predicts: bool
    ) -> tuple[list[NDArray], tuple]:
        """Return the results, and what `backward` needs."""
        maps, present = inputs[: self.n_streams], inputs[self.n_streams]
        trusts = iter(inputs[self.n_streams + 1 :])
        columns = [np.ascontiguousarray(present[:, 0, i]) for i in range(self.n_streams)]
        weights, saved = [], []
        for blocks, connections in self.stages:
            results = [
                block.forward([x], n_windows, predicts)
                for block, x in zip(blocks, maps, strict=True)
            ]
            maps = [result[0] for result, _ in results]
            of_connections = []
            merged = list(maps)
            for target, connection in connections.items():
                sources = self.sources[target]
                merged[target], weight, kept = connection.forward(
                    maps[target],
                    [maps[i] for i in sources],
                    [columns[i] for i in sources],
                    next(trusts, None),
                    n_windows,
                    predicts,
                )
                weights.append(weight)
                of_connections.append(kept)
            saved.append(([kept for _, kept in results], maps, of_connections))
            maps = merged
        vectors = [_largest(x) for x in maps]
        return vectors + weights, (saved, maps, vectors)

    def backward(
        self, grads: Sequence[NDArray], kept: tuple, of_inputs: Sequence[bool]
    ) -> tuple[list[NDArray | None], list[NDArray]]:
        """Return the gradients of the inputs, None where not needed, and of the parameters."""
        saved, last, vectors = kept
        of_maps: list[Any] = [
            _largest_backward(*each) for each in zip(last, vectors, grads, strict=True)
        ]
        of_trusts: list[NDArray] = []
        of_parameters: list[NDArray] = []
        for stage in reversed(range(len(self.stages))):
            blocks, connections = self.stages[stage]
            of_blocks, maps, of_connections = saved[stage]
            of_merged = list(of_maps)
            for target in connections:
                of_maps[target] = _empty_like(maps[target])
                of_maps[target][:] = of_merged[target][:, :, : maps[target].shape[2]]
            added, trusts = [], []
            for (target, connection), each in zip(connections.items(), of_connections, strict=True):
                of_trust, own = connection.backward(
                    of_merged[target],
                    each,
                    of_maps[target],
                    [of_maps[i] for i in self.sources[target]],
                )
                trusts.append(of_trust)
                added += own
            is_first = stage == 0
            before = []
            for i, block in enumerate(blocks):
                needed = of_inputs[i] or not is_first
                (of_maps[i],), own = block.backward([of_maps[i]], of_blocks[i], [needed])
                before += own
            of_trusts = trusts + of_trusts
            of_parameters = before + added + of_parameters
        n_trusts = len(of_inputs) - self.n_streams - 1  # 0 if the quality is not known
        return [*of_maps, None, *of_trusts[:n_trusts]], of_parameters


# For each module, the parts prepared for inputs of each size, and where the parameters are.
_prepared: weakref.WeakKeyDictionary[nn.Module, dict[tuple, tuple]] = weakref.WeakKeyDictionary()


def compute(kind: Callable[..., Any], module: nn.Module, *inputs: Tensor) -> list[Tensor]:
    """Return the outputs of a part of a network for windows.

    Parameters
    ----------
    kind : {Maxima, Block, Streams}
    module : UNet, StreamBlock or CrossModalAttentionNetwork
    *inputs : Tensor of shape (batch, in_channels, ...)
    """
    by_sizes = _prepared.setdefault(module, {})
    sizes = tuple(tuple(x.shape[2:]) for x in inputs)
    part, places = by_sizes.get(sizes, (None, None))
    # Converting a module moves its parameters in memory.
    if part is None or places != [x.data_ptr() for x in part.parameters]:
        part = kind(module, list(sizes))
        by_sizes[sizes] = part, [x.data_ptr() for x in part.parameters]
    if not torch.is_grad_enabled():
        loops, n_windows = loops_in_use.get(), len(inputs[0])
        if loops is not None and loops.n_windows is not None:
            n_windows = min(loops.n_windows, n_windows)
        return _evaluate(inputs, part, n_windows, not module.training)[0]
    return list(_Fused.apply(part, len(inputs), *inputs, *part.parameters))


def _evaluate(
    inputs: Sequence[Tensor], part: Any, n_windows: int, predicts: bool
) -> tuple[list[Tensor], tuple]:
    """Return the results, and what the gradient needs.

    Only the first `n_windows` windows are computed; the results for the others are 0.
    """
    results, kept = part.forward([_pack(x[:n_windows]) for x in inputs], n_windows, predicts)
    shapes = [(len(inputs[0]), x.shape[2], *part.out_size) for x in results]
    pairs = zip(results, shapes, strict=True)
    return [_unpack(x, shape, n_windows) for x, shape in pairs], kept


def _pack(x: Tensor) -> NDArray:
    windows = np.ascontiguousarray(_array(x)).reshape(*x.shape[:2], -1)
    n_windows, n_channels, n_places = windows.shape
    packed = _empty(-(-n_windows // LANES), n_places, n_channels, windows.dtype)
    fused_maps.pack(windows, packed)
    return packed


def _unpack(x: NDArray, shape: Sequence[int], n_windows: int) -> Tensor:
    windows = np.empty((shape[0], x.shape[2], x.shape[1]), x.dtype)
    fused_maps.unpack(x, windows[:n_windows])
    windows[n_windows:] = 0
    return torch.from_numpy(windows).view(shape)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Any, n_inputs: int, *tensors: Tensor) -> Any:
        inputs = tensors[:n_inputs]
        results, ctx.kept = _evaluate(inputs, part, len(inputs[0]), False)
        ctx.part, ctx.shapes = part, [x.shape for x in inputs]
        ctx.mark_non_differentiable(*results[part.n_differentiable :])
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        of_inputs = ctx.needs_input_grad[2 : 2 + len(ctx.shapes)]
        packed = [_pack(x) for x in grads[: ctx.part.n_differentiable]]
        found, of_parameters = ctx.part.backward(packed, ctx.kept, of_inputs)
        own = [
            _unpack(x, shape, shape[0]) if needed else None
            for x, shape, needed in zip(found, ctx.shapes, of_inputs, strict=True)
        ]
        return None, None, *own, *map(torch.from_numpy, of_parameters)
