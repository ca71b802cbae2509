"""Whole branches of the networks as one operation on a CPU, compiled by Numba.

On small feature maps, torch spends most of its time between its operations. Here a U-Net or a
block of a stream is a single operation, whose steps are the loops of `skemo.nn.fused_kernels`.
Its results are those of the modules, except for rounding.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from skemo.nn import fused_kernels as kernels
from skemo.nn.lanes import LANES


@lru_cache(maxsize=64)
def _convolution(size: tuple[int, ...], kernel_size: int) -> list[tuple[NDArray, NDArray]]:
    """Tables of the convolution of a map: by place, by place of the input, and by tap."""
    places = np.indices(size).reshape(len(size), 1, -1)
    taps = np.indices([kernel_size] * len(size)).reshape(len(size), -1, 1)
    sources = places + taps - kernel_size // 2
    limits = np.reshape(size, (-1, 1, 1))
    tap, place = np.nonzero(((sources >= 0) & (sources < limits)).all(axis=0))
    source = np.ravel_multi_index(tuple(sources[:, tap, place]), size)
    return [
        _table(place, np.stack([tap, source], 1)),
        _table(source, np.stack([tap, place], 1)),
        _table(tap, np.stack([place, source], 1)),
    ]


def _table(key: NDArray, entries: NDArray) -> tuple[NDArray, NDArray]:
    """Sort entries by a key from 0 to n - 1; return where those of each key start, and them."""
    order = np.argsort(key, kind="stable")
    starts = np.searchsorted(key[order], np.arange(key.max() + 2))
    return starts, np.ascontiguousarray(entries[order])


@lru_cache(maxsize=64)
def _pooling(size: tuple[int, ...], pool_size: int) -> tuple[NDArray, NDArray, tuple[int, ...]]:
    """The table of places that are pooled together, and the size of the result."""
    pooled = tuple(-(-n // pool_size) for n in size)
    to = np.indices(size).reshape(len(size), -1) // pool_size
    starts, places = _table(np.ravel_multi_index(tuple(to), pooled), np.arange(to.shape[1]))
    return starts, places, pooled


@lru_cache(maxsize=64)
def _enlargement(size: tuple[int, ...], larger: tuple[int, ...]) -> NDArray:
    """The place that each place of a larger map repeats, in nearest-neighbour interpolation."""
    places = torch.arange(np.prod(size), dtype=torch.float64).view(1, 1, *size)
    return nn.functional.interpolate(places, size=larger).flatten().long().numpy()


def _array(tensor: Tensor) -> NDArray:
    return tensor.detach().numpy()


def _empty(like: NDArray, n_places: int, n_channels: int) -> NDArray:
    return np.empty((len(like), n_places, n_channels, LANES), like.dtype)


class _Unit:
    """A convolution, batch normalisation and ReLU and, in a U-Net, squeeze-and-excitation."""

    def __init__(
        self, convolution: nn.Module, norm: nn.Module, excitation: nn.Module | None, size: tuple
    ) -> None:
        self.norm: Any = norm
        self.excitation: Any = excitation
        self.weight = _array(convolution.weight)
        self.tables = _convolution(size, self.weight.shape[2])
        self.training = norm.training

    def forward(self, x: NDArray, n_windows: int) -> NDArray:
        """Return the feature map that the unit makes of another."""
        norm = self.norm
        n_out, n_in = self.weight.shape[:2]
        n_places = x.shape[1]
        self.x, self.n_windows = x, n_windows
        weight = np.ascontiguousarray(self.weight.reshape(n_out, n_in, -1).transpose(2, 1, 0))
        self.y = _empty(x, n_places, n_out)
        kernels.convolve(x, weight, *self.tables[0], self.y)
        running = np.stack([_array(norm.running_mean), _array(norm.running_var)])
        self.coefficients = np.empty((4, n_out), x.dtype)
        kernels.normalise(
            self.y, n_windows, _array(norm.weight), _array(norm.bias), running,
            norm.momentum, norm.eps, self.training, self.coefficients,
        )  # fmt: skip
        if self.training:
            norm.running_mean.copy_(torch.from_numpy(running[0]))
            norm.running_var.copy_(torch.from_numpy(running[1]))
            norm.num_batches_tracked += 1
        out = np.empty_like(self.y)
        if self.excitation is None:
            kernels.rectify(self.y, self.coefficients, out)
            return out
        first, _, second, _ = self.excitation.channel_gate
        spatial = self.excitation.spatial_gate[0]
        layers = first.weight, first.bias, second.weight, second.bias, spatial.weight, spatial.bias
        self.weights = [_array(parameter) for parameter in layers]
        self.is_max = self.excitation.excitation == "max"
        n_squeezed = len(first.bias)
        shapes = [(n_out,), (n_squeezed,), (n_out,), (n_places,)]
        self.gates = [np.empty((len(x), *shape, LANES), x.dtype) for shape in shapes]
        kernels.excite(self.y, self.coefficients, *self.weights, self.is_max, out, *self.gates)
        return out

    def backward(self, grad: NDArray, of_input: bool) -> tuple[NDArray | None, list[NDArray]]:
        """Return the gradient of the input, or None, and those of the parameters.

        `grad` is overwritten.
        """
        n_out, n_in = self.weight.shape[:2]
        sums = np.empty((2, n_out), grad.dtype)
        grads = []
        if self.excitation is None:
            kernels.rectify_backward(grad, self.y, self.coefficients, sums)
        else:
            grads = [np.empty_like(weight) for weight in self.weights]
            kernels.excite_backward(
                grad, self.y, self.coefficients, *self.weights[::2], self.is_max, *self.gates,
                sums, *grads,
            )  # fmt: skip
        kernels.normalise_backward(
            grad, self.y, self.n_windows, self.coefficients, sums, self.training
        )
        by_tap = np.zeros((self.weight[0, 0].size, n_in, n_out), grad.dtype)
        kernels.convolve_backward(self.x, grad, *self.tables[2], by_tap)
        of_weight = np.ascontiguousarray(by_tap.transpose(2, 1, 0)).reshape(self.weight.shape)
        grads = [of_weight, sums[1], sums[0], *grads]
        if not of_input:
            return None, grads
        turned = self.weight.reshape(n_out, n_in, -1).transpose(2, 0, 1)
        of_x = np.empty_like(self.x)
        kernels.convolve(grad, np.ascontiguousarray(turned), *self.tables[1], of_x)
        return of_x, grads


class _Branch:
    """What `compute` computes: feature maps in, feature maps out."""

    def __init__(self, module: Any, size: tuple[int, ...]) -> None:
        raise NotImplementedError

    def forward(self, x: NDArray, n_windows: int) -> NDArray:
        raise NotImplementedError

    def backward(self, grad: NDArray, of_input: bool) -> tuple[NDArray | None, list[NDArray]]:
        raise NotImplementedError


class Maxima(_Branch):
    """The largest value of each channel of a U-Net's feature map."""

    def __init__(self, module: Any, size: tuple[int, ...]) -> None:
        self.sizes = [size]
        for _ in module.decoder:
            self.sizes.append(_pooling(self.sizes[-1], 2)[2])
        self.encoder = [
            _Unit(block[0], block[1], block[3], each)
            for block, each in zip(module.encoder, self.sizes, strict=True)
        ]
        self.decoder = [
            _Unit(block[0], block[1], block[3], each)
            for block, each in zip(module.decoder, self.sizes[-2::-1], strict=True)
        ]
        self.out_size: tuple[int, ...] = ()

    def forward(self, x: NDArray, n_windows: int) -> NDArray:
        self.maps, self.pooled, self.results = [], [], []
        for level, unit in enumerate(self.encoder):
            if level > 0:
                starts, places, _ = _pooling(self.sizes[level - 1], 2)
                out = _empty(x, len(starts) - 1, x.shape[2])
                kernels.pool(x, starts, places, out)
                self.pooled.append(out)
                x = out
            x = unit.forward(x, n_windows)
            self.maps.append(x)
        for unit, skip, size in self._upwards():
            places = _enlargement(size, self._above(size))
            out = _empty(x, len(places), x.shape[2] + skip.shape[2])
            kernels.join(x, places, skip, out)
            x = unit.forward(out, n_windows)
            self.results.append(x)
        self.starts, self.places = np.array([0, x.shape[1]]), np.arange(x.shape[1])
        self.last = x
        self.largest = _empty(x, 1, x.shape[2])
        kernels.pool(x, self.starts, self.places, self.largest)
        return self.largest

    def _above(self, size):
        return self.sizes[self.sizes.index(size) - 1]

    def _upwards(self):
        return zip(self.decoder, self.maps[-2::-1], self.sizes[:0:-1], strict=True)

    def backward(self, grad: NDArray, of_input: bool) -> tuple[NDArray | None, list[NDArray]]:
        of_x = np.zeros_like(self.last)
        kernels.pool_backward(self.last, self.largest, grad, self.starts, self.places, of_x)
        of_skips: list[NDArray] = []
        of_decoder: list[NDArray] = []
        for unit, skip, size in reversed(list(self._upwards())):
            of_joined, grads = unit.backward(of_x, True)
            of_decoder = grads + of_decoder
            places = _enlargement(size, self._above(size))
            of_skip = np.empty_like(skip)
            of_x = _empty(skip, int(np.prod(size)), of_joined.shape[2] - skip.shape[2])
            of_x[:] = 0
            kernels.join_backward(of_joined, places, of_x, of_skip)
            of_skips.append(of_skip)
        of_encoder: list[NDArray] = []
        for level in reversed(range(len(self.encoder))):
            below, grads = self.encoder[level].backward(of_x, of_input or level > 0)
            of_encoder = grads + of_encoder
            if level > 0:
                starts, places, _ = _pooling(self.sizes[level - 1], 2)
                of_x = of_skips[level - 1]
                source = self.maps[level - 1]
                kernels.pool_backward(source, self.pooled[level - 1], below, starts, places, of_x)
        return below, of_encoder + of_decoder


class Stream(_Branch):
    """A block of a stream: two units, and maximum pooling."""

    def __init__(self, module: Any, size: tuple[int, ...]) -> None:
        convolution, norm, _, second, second_norm, _, pool = module
        self.units = [_Unit(convolution, norm, None, size), _Unit(second, second_norm, None, size)]
        self.starts, self.places, self.out_size = _pooling(size, pool.kernel_size)

    def forward(self, x: NDArray, n_windows: int) -> NDArray:
        for unit in self.units:
            x = unit.forward(x, n_windows)
        self.last = x
        self.pooled = _empty(x, len(self.starts) - 1, x.shape[2])
        kernels.pool(x, self.starts, self.places, self.pooled)
        return self.pooled

    def backward(self, grad: NDArray, of_input: bool) -> tuple[NDArray | None, list[NDArray]]:
        of_x = np.zeros_like(self.last)
        kernels.pool_backward(self.last, self.pooled, grad, self.starts, self.places, of_x)
        below, second = self.units[1].backward(of_x, True)
        below, first = self.units[0].backward(below, of_input)
        return below, first + second


def compute(kind: Callable[..., _Branch], module: nn.Module, x: Tensor) -> Tensor:
    """Return what a branch makes of windows, of shape (batch, n_channels, ...).

    Parameters
    ----------
    kind : {Maxima, Stream}
    module : UNet or StreamBlock
    x : Tensor of shape (batch, in_channels, ...)
    """
    return _Fused.apply(x, kind, module, *module.parameters())


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kind: Callable[..., _Branch], module: Any, *_: Tensor) -> Any:
        branch = kind(module, tuple(x.shape[2:]))
        windows = np.ascontiguousarray(_array(x)).reshape(*x.shape[:2], -1)
        n_windows, n_channels, n_places = windows.shape
        n_tiles = -(-n_windows // LANES)
        packed = np.empty((n_tiles, n_places, n_channels, LANES), windows.dtype)
        kernels.pack(windows, packed)
        result = branch.forward(packed, n_windows)
        out = np.empty((n_windows, result.shape[2], result.shape[1]), windows.dtype)
        kernels.unpack(result, out)
        ctx.branch, ctx.shapes = branch, (x.shape, result.shape)
        return torch.from_numpy(out).view(n_windows, -1, *branch.out_size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        shape, packed_shape = ctx.shapes
        of_input = ctx.needs_input_grad[0]
        values = np.ascontiguousarray(_array(grad)).reshape(*grad.shape[:2], -1)
        packed = np.empty(packed_shape, values.dtype)
        kernels.pack(values, packed)
        of_x, grads = ctx.branch.backward(packed, of_input)
        result = None
        if of_input:
            out = np.empty((shape[0], shape[1], of_x.shape[1]), values.dtype)
            kernels.unpack(of_x, out)
            result = torch.from_numpy(out).view(shape)
        return result, None, None, *map(torch.from_numpy, grads)
