"""Large parts of the networks as one operation on a CPU, compiled by Numba.

On small feature maps, torch spends most of its time between operations. Here a whole U-Net, or
all streams together with their connections, form a single operation. Python calls the steps of a
U-Net (`fused_unet`) or of streams (`fused_streams`), both made of `fused_units`; the steps are
compiled loops (`layer_loops`, `map_loops`, `connection_loops`, `prediction_loops`). Results differ
from those of the modules only by rounding.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from skemo.nn import map_loops
from skemo.nn.fused_streams import Block as Block
from skemo.nn.fused_streams import Streams as Streams
from skemo.nn.fused_unet import Maxima as Maxima
from skemo.nn.fused_units import as_array, empty_map
from skemo.nn.lanes import LANES
from skemo.nn.memory import loops_in_use

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
    windows = np.ascontiguousarray(as_array(x)).reshape(*x.shape[:2], -1)
    n_windows, n_channels, n_places = windows.shape
    packed = empty_map(-(-n_windows // LANES), n_places, n_channels, windows.dtype)
    map_loops.pack(windows, packed)
    return packed


def _unpack(x: NDArray, shape: Sequence[int], n_windows: int) -> Tensor:
    windows = np.empty((shape[0], x.shape[2], x.shape[1]), x.dtype)
    map_loops.unpack(x, windows[:n_windows])
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
