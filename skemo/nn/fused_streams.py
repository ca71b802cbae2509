"""Connected streams and their blocks, step by step in compiled loops."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from skemo.nn import connection_loops, layer_loops, map_loops, prediction_loops
from skemo.nn.fused_units import (
    Layer,
    Normalised,
    Parameters,
    Unit,
    empty_like,
    empty_map,
    largest_values,
    largest_values_backward,
    pooling_table,
    resampling_tables,
    segment_tables,
)
from skemo.nn.lanes import LANES


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
        self.first = Unit(layers[:3], sizes[0])
        self.second = Layer(layers[3], layers[4], sizes[0])
        starts, places, self.out_size = pooling_table(sizes[0], pool.kernel_size)
        self.pool = starts, places
        self.segments = segment_tables(*sizes[0], layers[0].kernel_size[0], pool.kernel_size)
        self.parameters = self.first.parameters + self.second.own.tensors

    def forward(
        self, inputs: list[NDArray], n_windows: int, predicts: bool
    ) -> tuple[list[NDArray], tuple]:
        """Return the results for a feature map, and what `backward` needs."""
        (x,) = inputs
        if predicts and n_windows == 1:
            is_cut = len(self.segments[1][1]) < x.shape[1]
            first, second = self.first.layer.in_prediction, self.second.in_prediction
            tables = self.segments if is_cut else (self.second.tables[0], self.pool)
            pooled = empty_map(len(x), self.out_size[0], len(second[0]), x.dtype)
            prediction_loops.predict_block(x, first, second, *tables, is_cut, pooled)
            return [pooled], ()
        x, one = self.first.forward(x, n_windows)
        two = self.second.forward(x, n_windows)
        largest = empty_map(len(x), self.out_size[0], two.y.shape[2], x.dtype)
        position, pooled = empty_like(largest), empty_like(largest)
        layer_loops.pool_normalised(two.y, two.norm, *self.pool, largest, position)
        layer_loops.rectify(largest, two.norm, pooled)
        return [pooled], (one, two, largest, position)

    def backward(
        self, grads: Sequence[NDArray], kept: tuple, of_inputs: Sequence[bool]
    ) -> tuple[list[NDArray | None], list[NDArray]]:
        """Return the gradients of the inputs, None where not needed, and of the parameters."""
        one, two, largest, position = kept
        y, norm = two.y, two.norm
        sums = np.empty((2, y.shape[2]), y.dtype)
        of_y = empty_like(y)
        layer_loops.pool_normalised_backward(
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
        self.layer = Layer(projection[0], projection[1], (length,))
        self.gate = Parameters(*([] if gate is None else gate.parameters()))
        self.is_temporal = attention == "temporal"
        self.parameters = self.layer.own.tensors + self.gate.tensors

    def forward(
        self, source: NDArray, target: NDArray, trust: NDArray | None, n_windows: int
    ) -> tuple[Normalised, NDArray, tuple]:
        """Return the projected map, its gates, and what else `backward` needs."""
        n_tiles, n_places, n_channels, _ = target.shape
        dtype = target.dtype
        if source.shape[1] != n_places:
            resampled = empty_map(n_tiles, n_places, source.shape[2], dtype)
            map_loops.resample(
                source, *resampling_tables(source.shape[1], n_places, dtype)[0], resampled
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
            connection_loops.weigh_places(target, kept.y, kept.norm, *weights, trust, gates)
            return kept, gates, (target, weights)
        means = np.empty((n_tiles, 2 * n_channels, LANES), dtype)
        squeezed = np.empty((n_tiles, len(weights[1]), LANES), dtype)
        connection_loops.weigh_channels(
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
        prediction_loops.predict_source(
            target,
            source,
            resampling_tables(source.shape[1], target.shape[1], dtype)[0],
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
        kept: Normalised,
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
            connection_loops.weigh_places_backward(
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
            connection_loops.weigh_channels_backward(
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
        layer_loops.activate_backward(
            of_map, kept.y, kept.n_windows, kept.norm, kept.training, False, sums
        )
        of_x: Any
        of_x, of_layer = self.layer.backward(of_map, sums, kept, True)
        if of_x.shape[1] != of_source.shape[1]:
            table = resampling_tables(of_source.shape[1], of_x.shape[1], of_x.dtype)[1]
            resampled = empty_like(of_source)
            map_loops.resample(of_x, *table, resampled)
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
        out = empty_map(n_tiles, n_places, self.out_channels, target.dtype)
        out[:, :, :n_channels] = target
        out[:, :, n_channels:] = 0
        n_sources = len(self.sources)
        weights = np.empty((n_tiles, 1, n_sources, LANES), target.dtype)
        trusts = [None] * n_sources if trust is None else np.split(trust, n_sources, axis=2)
        saved = []
        for i, start in enumerate(self._starts(n_channels)):
            own = None if trusts[i] is None else np.ascontiguousarray(trusts[i])
            weight = self.largest_gate * present[i]
            if predicts and n_windows == 1:
                self.sources[i].predict(sources[i], target, own, weight, start, out, i, weights)
                continue
            kept, gates, more = self.sources[i].forward(sources[i], target, own, n_windows)
            connection_loops.receive(kept.y, kept.norm, gates, weight, start, out, i, weights)
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
            of_gates, of_map = np.empty_like(gates), empty_like(kept.y)
            connection_loops.receive_backward(
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
    known, what it adds to the logits of each connection's gates. Outputs are the vector of each
    modality and the mean weights of the sources of each connection, which have no gradient.

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
        vectors = [largest_values(x) for x in maps]
        return vectors + weights, (saved, maps, vectors)

    def backward(
        self, grads: Sequence[NDArray], kept: tuple, of_inputs: Sequence[bool]
    ) -> tuple[list[NDArray | None], list[NDArray]]:
        """Return the gradients of the inputs, None where not needed, and of the parameters."""
        saved, last, vectors = kept
        of_maps: list[Any] = [
            largest_values_backward(*each) for each in zip(last, vectors, grads, strict=True)
        ]
        of_trusts: list[NDArray] = []
        of_parameters: list[NDArray] = []
        for stage in reversed(range(len(self.stages))):
            blocks, connections = self.stages[stage]
            of_blocks, maps, of_connections = saved[stage]
            of_merged = list(of_maps)
            for target in connections:
                of_maps[target] = empty_like(maps[target])
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
