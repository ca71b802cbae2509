"""A U-Net and the maximum of its feature map, step by step in compiled loops."""

import math
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from skemo.nn import map_loops, prediction_loops
from skemo.nn.fused_units import (
    Unit,
    empty_like,
    empty_map,
    enlargement_table,
    largest_values,
    largest_values_backward,
    pooling_table,
    whole_table,
)


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
            starts, places, size = pooling_table(sizes[-1], 2)
            self.pools.append((starts, places))
            sizes.append(size)
        self.encoder = [Unit(*pair) for pair in zip(module.encoder, sizes, strict=True)]
        # From the smallest map to the largest, in the order of the decoder.
        self.decoder = [Unit(*pair) for pair in zip(module.decoder, sizes[-2::-1], strict=True)]
        self.repeats = tuple(
            enlargement_table(*pair) for pair in zip(sizes[:0:-1], sizes[-2::-1], strict=True)
        )
        self.all_pools = *self.pools, whole_table(math.prod(sizes[0]))
        units = self.encoder + self.decoder
        self.in_prediction = tuple([unit.in_prediction for unit in units])
        self.parameters = [x for unit in units for x in unit.parameters]

    def forward(
        self, inputs: list[NDArray], n_windows: int, predicts: bool
    ) -> tuple[list[NDArray], tuple]:
        """Return the results for a feature map, and what `backward` needs."""
        (x,) = inputs
        if predicts and len(self.repeats) > 0:
            n_channels = len(self.decoder[-1].layer.own.tensors[0])
            largest = empty_map(len(x), 1, n_channels, x.dtype)
            prediction_loops.predict_maxima(
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
                smaller = empty_map(len(x), len(table[0]) - 1, x.shape[2], x.dtype)
                map_loops.pool(x, *table, smaller)
                pooled.append(smaller)
                x = smaller
            x, kept = unit.forward(x, n_windows)
            maps.append(x)
            saved.append(kept)
        for unit, skip, repeated in zip(self.decoder, maps[-2::-1], self.repeats, strict=True):
            joined = empty_map(len(x), len(repeated), x.shape[2] + skip.shape[2], x.dtype)
            map_loops.join(x, repeated, skip, joined)
            x, kept = unit.forward(joined, n_windows)
            saved.append(kept)
        largest = largest_values(x)
        return [largest], (maps, pooled, saved, x, largest)

    def backward(
        self, grads: Sequence[NDArray], kept: tuple, of_inputs: Sequence[bool]
    ) -> tuple[list[NDArray | None], list[NDArray]]:
        """Return the gradients of the inputs, None where not needed, and of the parameters."""
        maps, pooled, saved, last, largest = kept
        n_levels = len(self.encoder)
        of_x: Any = largest_values_backward(last, largest, grads[0])
        of_parameters: list[NDArray] = []
        of_skips = []
        for i in reversed(range(len(self.decoder))):
            of_joined, of_unit = self.decoder[i].backward(of_x, saved[n_levels + i], True)
            of_parameters = of_unit + of_parameters
            # The enlarged map came from the previous decoder unit or, for the first, the encoder.
            below = saved[n_levels + i - 1][0].y
            of_skip, of_x = empty_like(maps[n_levels - 2 - i]), empty_like(below)
            of_x[:] = 0
            map_loops.join_backward(of_joined, self.repeats[i], of_x, of_skip)
            of_skips.append(of_skip)
        for level in reversed(range(n_levels)):
            of_smaller, of_unit = self.encoder[level].backward(
                of_x, saved[level], of_inputs[0] or level > 0
            )
            of_parameters = of_unit + of_parameters
            if level > 0:
                of_x = of_skips[level - 1]
                whole, smaller = maps[level - 1], pooled[level - 1]
                map_loops.pool_backward(
                    whole, smaller, of_smaller, *self.pools[level - 1], True, of_x
                )
        return [of_smaller], of_parameters
