"""Whole branches of the networks as one operation on a CPU, compiled by Numba.

On small feature maps, torch spends most of its time between its operations. Here a U-Net or a
block of a stream is a single operation, whose steps are the loops of `skemo.nn.fused_kernels`.
Its results are those of the modules, except for rounding.
"""

import math
import weakref
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from skemo.nn import fused_kernels as kernels
from skemo.nn.lanes import LANES
from skemo.nn.memory import empty_array, n_counted
from skemo.nn.segments import Segments

_BLOCK = 32  # places whose channels pass together in the gradient of the weights


@lru_cache(maxsize=64)
def _convolution(size: tuple[int, ...], kernel_size: int) -> list[tuple[NDArray, NDArray]]:
    """Tables of the convolution of a map: runs by place of the output, and pairs by tap."""
    places = np.indices(size).reshape(len(size), 1, -1)
    taps = np.indices([kernel_size] * len(size)).reshape(len(size), -1, 1)
    sources = places + taps - kernel_size // 2
    limits = np.reshape(size, (-1, 1, 1))
    place, tap = np.nonzero(((sources >= 0) & (sources < limits)).all(axis=0).T)
    source = np.ravel_multi_index(tuple(sources[:, tap, place]), size)
    follows = (np.diff(tap) == 1) & (np.diff(source) == 1) & (np.diff(place) == 0)
    first = np.flatnonzero(np.r_[True, ~follows])
    lengths = np.diff(np.r_[first, len(tap)])
    block = place // _BLOCK
    return [
        _table(place[first], np.stack([tap[first], source[first], lengths], 1)),
        _table(block * kernel_size ** len(size) + tap, np.stack([place, source], 1)),
    ]


def _table(key: NDArray, entries: NDArray) -> tuple[NDArray, NDArray]:
    """Sort entries by a key from 0 to n - 1; return where each key starts, and the entries."""
    order = np.argsort(key, kind="stable")
    starts = np.searchsorted(key[order], np.arange(key.max() + 2))
    return starts, np.ascontiguousarray(entries[order])


@lru_cache(maxsize=64)
def _pooling(size: tuple[int, ...], pool_size: int) -> tuple[NDArray, NDArray, tuple[int, ...]]:
    """Return the table of places that are pooled together, and the size of the result."""
    pooled = tuple(-(-n // pool_size) for n in size)
    to = np.indices(size).reshape(len(size), -1) // pool_size
    key: Any = np.ravel_multi_index(tuple(to), pooled)
    starts, places = _table(key, np.arange(to.shape[1]))
    return starts, places, pooled


@lru_cache(maxsize=64)
def _enlargement(size: tuple[int, ...], larger: tuple[int, ...]) -> NDArray:
    """The place that each place of a larger map repeats, in nearest-neighbour interpolation."""
    places = torch.arange(math.prod(size), dtype=torch.float64).view(1, 1, *size)
    return nn.functional.interpolate(places, size=larger).flatten().long().numpy()


def _array(tensor: Tensor) -> NDArray:
    return tensor.detach().numpy()


def _empty(n_tiles: int, n_places: int, n_channels: int, dtype: Any) -> NDArray:
    """Return a new feature map."""
    return empty_array((n_tiles, n_places, n_channels, LANES), dtype)


def _empty_like(x: NDArray) -> NDArray:
    return _empty(len(x), x.shape[1], x.shape[2], x.dtype)


def _by_tap(weight: NDArray) -> NDArray:
    """Return the weights of a convolution with the shape (n_taps, n_in, n_out)."""
    n_out, n_in = weight.shape[:2]
    return np.ascontiguousarray(weight.reshape(n_out, n_in, -1).transpose(2, 1, 0))


class _Unit:
    """A convolution, batch normalisation and ReLU and, in a U-Net, squeeze-and-excitation."""

    def __init__(self, modules: Any, size: tuple[int, ...]) -> None:
        convolution, self.norm, _, *excitation = modules
        self.parameters = [convolution.weight, self.norm.weight, self.norm.bias]
        self.tables = _convolution(size, convolution.kernel_size[0])
        self.known: tuple[list[int], list[NDArray]] = ([], [])
        self.known_in_prediction: tuple[list[int], tuple] = ([], ())
        self.is_excited = len(excitation) > 0
        if self.is_excited:
            self.parameters += excitation[0].parameters()
            self.is_max = excitation[0].excitation == "max"

    def forward(self, x: NDArray, n_windows: int) -> tuple[NDArray, tuple]:
        """Return the feature map that the unit computes from another, and what `backward` needs."""
        norm = self.norm
        training = norm.training
        weight, gamma, beta, *weights = self._arrays()
        n_out, n_places = len(weight), x.shape[1]
        if training and n_windows * n_places == 1:  # torch says the same
            raise ValueError("Expected more than 1 value per channel when training.")
        y = _empty(len(x), n_places, n_out, x.dtype)
        kernels.convolve(x, _by_tap(weight), *self.tables[0], y)
        coefficients = np.empty((4, n_out), x.dtype)
        running = norm.running_mean.numpy(), norm.running_var.numpy()
        kernels.normalise(
            y, n_windows, gamma, beta, *running, norm.momentum, norm.eps, training, coefficients
        )
        if training:
            norm.num_batches_tracked.add_(1)
        out = _empty_like(y)
        gates: list[NDArray] = []
        if self.is_excited:
            shapes = [(n_out,), (len(weights[1]),), (n_out,), (n_places,)]
            gates = [np.empty((len(x), *shape, LANES), x.dtype) for shape in shapes]
            kernels.excite(y, coefficients, *weights, self.is_max, out, *gates)
        else:
            kernels.rectify(y, coefficients, out)
        return out, (x, y, n_windows, training, weight, coefficients, weights, gates)

    def in_segments(self, x: NDArray, segments: Segments, *, margin: bool) -> NDArray:
        """Return what `forward` computes for segments, in prediction."""
        weight, gamma, beta = self._arrays()
        norm = self.norm
        y = segments.convolve(x, _by_tap(weight))
        coefficients = np.empty((4, len(weight)), x.dtype)
        running = norm.running_mean.numpy(), norm.running_var.numpy()
        kernels.normalise(
            y, len(x), gamma, beta, *running, norm.momentum, norm.eps, False, coefficients
        )
        return segments.rectify(y, coefficients, margin=margin)

    def _arrays(self) -> list[NDArray]:
        """The parameters as arrays over the same memory."""
        pointers = [parameter.data_ptr() for parameter in self.parameters]
        # This memory is given to no other tensor as long as the arrays exist.
        if self.known[0] != pointers:
            self.known = pointers, [_array(parameter) for parameter in self.parameters]
        return self.known[1]

    def for_prediction(self) -> tuple:
        """Return what `predict_maxima` takes."""
        tensors = [*self.parameters, self.norm.running_mean, self.norm.running_var]
        pointers = [tensor.data_ptr() for tensor in tensors]
        if self.known_in_prediction[0] != pointers:
            weight, *others = map(_array, tensors)
            flat = weight.reshape(*weight.shape[:2], -1)
            self.known_in_prediction = pointers, (flat, *others, self.norm.eps, *self.tables[0])
        return self.known_in_prediction[1]

    def backward(
        self, grad: NDArray, saved: tuple, of_input: bool
    ) -> tuple[NDArray | None, list[NDArray]]:
        """Return the gradients of the input, or None, and of the parameters.

        `grad` is overwritten.
        """
        x, y, n_windows, training, weight, coefficients, weights, gates = saved
        n_out, n_in = weight.shape[:2]
        sums = np.empty((2, n_out), grad.dtype)
        grads = [np.empty_like(each) for each in weights]
        if self.is_excited:
            kernels.excite_backward(
                grad, y, coefficients, *weights[::2], self.is_max, *gates, sums, *grads
            )
        else:
            kernels.rectify_backward(grad, y, coefficients, sums)
        kernels.normalise_backward(grad, y, n_windows, coefficients, sums, training)
        flat = weight.reshape(n_out, n_in, -1)
        by_tap = np.zeros((flat.shape[2], n_in, n_out), grad.dtype)
        kernels.convolve_backward(x, grad, *self.tables[1], by_tap)
        of_weight = np.ascontiguousarray(by_tap.transpose(2, 1, 0)).reshape(weight.shape)
        grads = [of_weight, sums[1], sums[0], *grads]
        if not of_input:
            return None, grads
        # The gradient of a convolution is a convolution with the taps in reverse order.
        turned = np.ascontiguousarray(flat[:, :, ::-1].transpose(2, 0, 1))
        of_x = _empty_like(x)
        kernels.convolve(grad, turned, *self.tables[0], of_x)
        return of_x, grads


class Maxima:
    """The largest value of each channel of a U-Net's feature map.

    Parameters
    ----------
    module : UNet
    size : tuple of int
        Of the feature maps of the first level.
    """

    def __init__(self, module: Any, size: tuple[int, ...]) -> None:
        self.pools = []
        sizes = [size]
        for _ in module.decoder:
            starts, places, size = _pooling(size, 2)
            self.pools.append((starts, places))
            sizes.append(size)
        self.encoder = [_Unit(*pair) for pair in zip(module.encoder, sizes, strict=True)]
        # From the smallest maps upwards, as the decoder takes them.
        self.decoder = [_Unit(*pair) for pair in zip(module.decoder, sizes[-2::-1], strict=True)]
        self.repeats = tuple(
            _enlargement(*pair) for pair in zip(sizes[:0:-1], sizes[-2::-1], strict=True)
        )
        n_places = math.prod(sizes[0])
        self.whole = np.array([0, n_places]), np.arange(n_places)
        self.out_size: tuple[int, ...] = ()
        self.parameters = [x for unit in self.encoder + self.decoder for x in unit.parameters]

    def predict_few(self, windows: NDArray) -> NDArray | None:
        """Return the result for a few windows, (n_windows, n_channels, n_places), if it is faster.

        In prediction.
        """
        units = self.encoder + self.decoder
        if len(windows) > LANES or len(units) == 1 or units[0].norm.training:
            return None
        arrays = tuple([unit.for_prediction() for unit in units])
        out = np.empty((len(windows), len(arrays[-1][0]), 1), windows.dtype)
        pools = (*self.pools, self.whole)
        kernels.predict_maxima(windows, arrays, pools, self.repeats, units[0].is_max, out)
        return out

    def forward(self, x: NDArray, n_windows: int) -> tuple[NDArray, tuple]:
        """Return the result for a feature map, and what `backward` needs."""
        maps, pooled, saved = [], [], []
        for level, unit in enumerate(self.encoder):
            if level > 0:
                table = self.pools[level - 1]
                smaller = _empty(len(x), len(table[0]) - 1, x.shape[2], x.dtype)
                kernels.pool(x, *table, smaller)
                pooled.append(smaller)
                x = smaller
            x, kept = unit.forward(x, n_windows)
            maps.append(x)
            saved.append(kept)
        for unit, skip, repeated in zip(self.decoder, maps[-2::-1], self.repeats, strict=True):
            joined = _empty(len(x), len(repeated), x.shape[2] + skip.shape[2], x.dtype)
            kernels.join(x, repeated, skip, joined)
            x, kept = unit.forward(joined, n_windows)
            saved.append(kept)
        largest = _empty(len(x), 1, x.shape[2], x.dtype)
        kernels.pool(x, *self.whole, largest)
        return largest, (maps, pooled, saved, x, largest)

    def backward(
        self, grad: NDArray, kept: tuple, of_input: bool
    ) -> tuple[NDArray | None, list[NDArray]]:
        """Return the gradients of the input, or None, and of the parameters."""
        maps, pooled, saved, last, largest = kept
        n_levels = len(self.encoder)
        of_x: Any = _empty_like(last)
        kernels.pool_backward(last, largest, grad, *self.whole, False, of_x)
        of_parameters: list[NDArray] = []
        of_skips = []
        for i in reversed(range(len(self.decoder))):
            of_joined, grads = self.decoder[i].backward(of_x, saved[n_levels + i], True)
            of_parameters = grads + of_parameters
            skip, below = maps[n_levels - 2 - i], saved[n_levels + i - 1][1]
            of_skip, of_x = _empty_like(skip), _empty_like(below)
            of_x[:] = 0
            kernels.join_backward(of_joined, self.repeats[i], of_x, of_skip)
            of_skips.append(of_skip)
        for level in reversed(range(n_levels)):
            of_smaller, grads = self.encoder[level].backward(
                of_x, saved[level], of_input or level > 0
            )
            of_parameters = grads + of_parameters
            if level > 0:
                of_x = of_skips[level - 1]
                whole, smaller = maps[level - 1], pooled[level - 1]
                kernels.pool_backward(
                    whole, smaller, of_smaller, *self.pools[level - 1], True, of_x
                )
        return of_smaller, of_parameters


class Stream:
    """A block of a stream: two units, and maximum pooling.

    Parameters
    ----------
    module : StreamBlock
    size : tuple of int
        (n_times,)
    """

    def __init__(self, module: Any, size: tuple[int, ...]) -> None:
        *layers, pool = module
        self.units = _Unit(layers[:3], size), _Unit(layers[3:], size)
        starts, places, self.out_size = _pooling(size, pool.kernel_size)
        self.pool = starts, places
        self.segments = Segments(size[0], layers[0].kernel_size[0], pool.kernel_size)
        self.parameters = [x for unit in self.units for x in unit.parameters]

    def forward(self, x: NDArray, n_windows: int) -> tuple[NDArray, tuple]:
        """Return the result for a feature map, and what `backward` needs."""
        first, second = self.units
        x, one = first.forward(x, n_windows)
        x, two = second.forward(x, n_windows)
        pooled = _empty(len(x), self.out_size[0], x.shape[2], x.dtype)
        kernels.pool(x, *self.pool, pooled)
        return pooled, (one, two, x, pooled)

    def predict_few(self, windows: NDArray) -> NDArray | None:
        """Return the result for a few windows, (n_windows, n_channels, n_times), if it is faster.

        In prediction. The windows are cut into segments.
        """
        first, second = self.units
        segments = self.segments
        if not segments.gain(len(windows)) or first.norm.training:
            return None
        x = first.in_segments(segments.cut(windows), segments, margin=True)
        x = second.in_segments(x, segments, margin=False)
        return segments.pool_and_join(x)

    def backward(
        self, grad: NDArray, kept: tuple, of_input: bool
    ) -> tuple[NDArray | None, list[NDArray]]:
        """Return the gradients of the input, or None, and of the parameters."""
        one, two, last, pooled = kept
        of_x: Any = _empty_like(last)
        kernels.pool_backward(last, pooled, grad, *self.pool, False, of_x)
        first, second = self.units
        of_x, of_second = second.backward(of_x, two, True)
        of_x, of_first = first.backward(of_x, one, of_input)
        return of_x, of_first + of_second


# What has been prepared for modules, by the size of their input.
_prepared: weakref.WeakKeyDictionary[nn.Module, dict[tuple[int, ...], Any]] = (
    weakref.WeakKeyDictionary()
)


def compute(kind: Callable[..., Any], module: nn.Module, x: Tensor) -> Tensor:
    """Return the output of a branch of a network for windows.

    Parameters
    ----------
    kind : {Maxima, Stream}
    module : UNet or StreamBlock
    x : Tensor of shape (batch, in_channels, ...)
    """
    by_size = _prepared.setdefault(module, {})
    size = tuple(x.shape[2:])
    if size not in by_size:
        by_size[size] = kind(module, size)
    branch = by_size[size]
    if not torch.is_grad_enabled():
        n_windows = n_counted.get()
        if n_windows is None or n_windows >= len(x):
            return _predict(x, branch)
        found = _predict(x[:n_windows], branch)
        filled = found.new_zeros(len(x), *found.shape[1:])
        filled[:n_windows] = found
        return filled
    return _Fused.apply(x, branch, *branch.parameters)


def _windows(x: Tensor) -> NDArray:
    """Return windows as an array, (n_windows, n_channels, n_places)."""
    return np.ascontiguousarray(_array(x)).reshape(*x.shape[:2], -1)


def _predict(x: Tensor, branch: Any) -> Tensor:
    """Return the result, in prediction."""
    few = branch.predict_few(_windows(x))
    if few is None:
        return _evaluate(x, branch)[0]
    return torch.from_numpy(few).view(*few.shape[:2], *branch.out_size)


def _evaluate(x: Tensor, branch: Any) -> tuple[Tensor, tuple, tuple[int, ...]]:
    """Return the result, what the gradient needs, and the shape of the last feature map."""
    windows = _windows(x)
    n_windows, n_channels, n_places = windows.shape
    packed = _empty(-(-n_windows // LANES), n_places, n_channels, windows.dtype)
    kernels.pack(windows, packed)
    result, kept = branch.forward(packed, n_windows)
    out = np.empty((n_windows, result.shape[2], result.shape[1]), windows.dtype)
    kernels.unpack(result, out)
    return torch.from_numpy(out).view(n_windows, -1, *branch.out_size), kept, result.shape


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, branch: Any, *_: Tensor) -> Any:
        result, ctx.kept, packed_shape = _evaluate(x, branch)
        ctx.branch, ctx.shapes = branch, (x.shape, packed_shape)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        shape, packed_shape = ctx.shapes
        values = np.ascontiguousarray(_array(grad)).reshape(*grad.shape[:2], -1)
        n_tiles, n_places, n_channels, _ = packed_shape
        packed = _empty(n_tiles, n_places, n_channels, values.dtype)
        kernels.pack(values, packed)
        of_input = ctx.needs_input_grad[0]
        of_packed, grads = ctx.branch.backward(packed, ctx.kept, of_input)
        of_x = None
        if of_input:
            out = np.empty((*shape[:2], of_packed.shape[1]), values.dtype)
            kernels.unpack(of_packed, out)
            of_x = torch.from_numpy(out).view(shape)
        return of_x, None, *map(torch.from_numpy, grads)
