"""Windows as tensors, and the batches of training."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from skemo.signals.array import SignalArray
from skemo.training.scratch import ScratchArray

_DIGEST_BYTES = 16  # enough that two different rows never have the same digest
_BLOCK_VALUES = 1 << 22  # numbers to read at a time


def samples_per_window(signals: Mapping[Any, SignalArray]) -> int:
    """Return the number of samples that one window of all signals has."""
    return sum(math.prod(signal.dtype.shape) for signal in signals.values())


def row_blocks(
    signals: Mapping[Any, SignalArray], n_rows: int
) -> Iterator[tuple[slice, dict[Any, NDArray]]]:
    """Yield the windows of several signals in order, `n_rows` at a time.

    Parameters
    ----------
    signals : dict of str to SignalArray
        All of the same length.
    n_rows : int
        Windows in a block; the last one may have fewer.

    Yields
    ------
    rows : slice
    values : dict of str to ndarray of shape (n_rows, ..., n_channels, n_times)
    """
    n_windows = len(next(iter(signals.values())))
    if n_windows <= n_rows:
        yield slice(0, n_windows), {name: signal.values for name, signal in signals.items()}
        return
    starts = range(0, n_windows, n_rows)
    for start, *parts in zip(
        starts, *(_blocks_of(x, n_rows) for x in signals.values()), strict=True
    ):
        yield slice(start, start + len(parts[0])), dict(zip(signals, parts, strict=True))


def _blocks_of(signal, n_rows):
    """Yield blocks of exactly `n_rows` windows, except for the last one."""
    rest = None
    for _, values in signal.blocks(n_rows * math.prod(signal.dtype.shape)):
        if rest is not None:
            values = np.concatenate([rest, values])
        stop = len(values) // n_rows * n_rows
        for start in range(0, stop, n_rows):
            yield values[start : start + n_rows]
        rest = values[stop:] if stop < len(values) else None
    if rest is not None:
        yield rest


def merge_rows(
    signals: Mapping[Any, SignalArray], keys: Sequence[NDArray], sample_weight: NDArray
) -> tuple[NDArray, NDArray]:
    """Sort rows by their content, and merge identical rows by adding up their weights.

    As a result, a fit depends neither on the order of the rows nor on whether a window is
    given twice or has twice the weight. Rows with zero weight are left out.

    Parameters
    ----------
    signals : dict of str to SignalArray
        The windows of each modality.
    keys : list of ndarray of shape (n_windows,)
        What else rows must have in common to be merged: their targets, and possibly their group.
    sample_weight : ndarray of shape (n_windows,)

    Returns
    -------
    rows : ndarray of int
        Position of one row from each set of identical rows.
    weight : ndarray
        Total weight of each set.
    """
    kept = np.flatnonzero(sample_weight > 0)
    digests = np.empty(len(sample_weight), f"S{_DIGEST_BYTES}")
    n_rows = max(1, _BLOCK_VALUES // samples_per_window(signals))
    for rows, values in row_blocks(signals, n_rows):
        arrays = [np.ascontiguousarray(array) for array in values.values()]
        for i in np.flatnonzero(sample_weight[rows] > 0):
            key = [key[rows.start + i] for key in keys]
            text = str(key[0] if len(key) == 1 else tuple(key))
            digest = hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES)
            for array in arrays:
                digest.update(array[i].data)
            digests[rows.start + i] = digest.digest()
    _, first, group = np.unique(digests[kept], return_index=True, return_inverse=True)
    return kept[first], np.bincount(group, weights=sample_weight[kept])


class WindowSet(Dataset):
    """Windows on one device, indexed by whole batches.

    Parameters
    ----------
    inputs : list of Tensor or ScratchArray of shape (n_windows, ...)
        One per modality. A ScratchArray stays in its file, whatever the device.
    present : Tensor of shape (n_windows, n_modalities)
        1 if the window has the modality, 0 otherwise.
    y : Tensor of shape (n_windows, n_targets), default=None
        Index of each window's class, or standardised numbers.
    weight : Tensor of shape (n_windows, n_targets), default=None
        Weight of each window and target in the loss.
    subject : Tensor of shape (n_windows,), default=None
        A number for the subject of each window, if windows are to be mixed.
    """

    def __init__(
        self,
        inputs: list[Any],
        present: Tensor,
        y: Tensor | None = None,
        weight: Tensor | None = None,
        subject: Tensor | None = None,
    ) -> None:
        self.inputs = inputs
        self.present = present
        self.y = y
        self.weight = weight
        self.subject = subject

    def to(self, device: torch.device) -> "WindowSet":
        """Return the same windows on another device."""
        return WindowSet(
            [x if isinstance(x, ScratchArray) else x.to(device) for x in self.inputs],
            self.present.to(device),
            None if self.y is None else self.y.to(device),
            None if self.weight is None else self.weight.to(device),
            None if self.subject is None else self.subject.to(device),
        )

    def fill(self, n_windows: int) -> "WindowSet":
        """Return `n_windows` inputs, by repeating the windows."""
        rows = torch.arange(n_windows) % len(self)
        return WindowSet([values[rows] for values in self.inputs], self.present[rows])

    def pad(self, n_windows: int) -> "WindowSet":
        """Return `n_windows` inputs, of which those after the windows have no modality."""
        padded = []
        for values in (*self.inputs, self.present):
            if len(self) == 1 and values is not self.present:
                padded.append(values.expand(n_windows, *values.shape[1:]))  # copies nothing
                continue
            larger = values.new_zeros(n_windows, *values.shape[1:])
            larger[: len(values)] = values
            padded.append(larger)
        return WindowSet(padded[:-1], padded[-1])

    def __len__(self) -> int:
        return len(self.present)

    def __getitem__(self, rows: Tensor) -> tuple[dict[str, Any], Tensor | None]:
        X: dict[str, Any] = {
            "inputs": [_take(values, rows) for values in self.inputs],
            "present": self.present[rows],
        }
        if self.y is None or self.weight is None:
            return X, None
        X["weight"] = self.weight[rows]
        if self.subject is not None:
            X["subject"] = self.subject[rows]
        return X, self.y[rows]


def _take(values, rows):
    """Return rows of one input, on the device of `rows`."""
    if isinstance(values, ScratchArray):
        rows = torch.as_tensor(rows)  # skorch asks for row 0, an int
        return torch.from_numpy(values[rows.cpu().numpy()]).to(rows.device)
    return values[rows]


class StackedWindows:
    """The windows of several fits on one device, padded to the largest number of windows.

    Parameters
    ----------
    sets : sequence of WindowSet
        The windows of each fit, with targets and weights.
    device : torch.device
    """

    def __init__(self, sets: Sequence[WindowSet], device: torch.device) -> None:
        n_rows = [len(windows) for windows in sets]
        self.max_rows = max(n_rows)

        def stack(tensors: Sequence[Any]) -> Tensor:
            shape = len(sets), self.max_rows, *tensors[0].shape[1:]
            stacked = torch.zeros(shape, dtype=tensors[0].dtype)
            for k, tensor in enumerate(tensors):
                stacked[k, : len(tensor)] = tensor
            return stacked.to(device)

        self.n_rows = torch.tensor(n_rows, device=device)
        by_modality = zip(*(windows.inputs for windows in sets), strict=True)
        self.inputs = [stack(tensors) for tensors in by_modality]
        self.present = stack([windows.present for windows in sets])
        self.y = stack([windows.y for windows in sets])
        self.weight = stack([windows.weight for windows in sets])

    def take(self, rows: Tensor) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
        """Return inputs, presence, targets and weights of `rows`, of shape (n_fits, n_taken)."""
        fits = torch.arange(len(rows), device=rows.device).unsqueeze(1)
        inputs = [values[fits, rows] for values in self.inputs]
        return inputs, self.present[fits, rows], self.y[fits, rows], self.weight[fits, rows]

    def keep(self, fits: Tensor) -> None:
        """Drop the windows of all other fits."""
        self.n_rows = self.n_rows[fits]
        self.inputs = [values[fits] for values in self.inputs]
        self.present = self.present[fits]
        self.y = self.y[fits]
        self.weight = self.weight[fits]


def batch_sizes(n_windows: int, batch_size: int) -> list[int]:
    """Return the sizes of the batches of a training epoch.

    A single remaining row joins the last batch, since batch normalisation needs two rows.
    """
    sizes = [batch_size] * (n_windows // batch_size)
    rest = n_windows % batch_size
    if rest == 1 and sizes:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


class Batches:
    """Iterates over a WindowSet in batches.

    Parameters
    ----------
    windows : WindowSet
    batch_size : int
    shuffle : bool, default=False
        Draw a new random order for each iteration.
    generator : torch.Generator or None, default=None
        Where random orders are drawn from; None uses torch's global generator.
    mixup : float, default=0.0
        Above 0, each window of a batch is mixed with one of another subject (`mix_windows`).
    """

    def __init__(
        self,
        windows: WindowSet,
        *,
        batch_size: int,
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        mixup: float = 0.0,
    ) -> None:
        self.windows = windows
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator
        self.mixup = mixup

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Tensor | None]]:
        n_windows = len(self.windows)
        rows = torch.arange(n_windows)
        sizes: int | list[int] = self.batch_size
        if self.shuffle:
            rows = torch.randperm(n_windows, generator=self.generator)
            sizes = batch_sizes(n_windows, self.batch_size)
        for batch in rows.to(self.windows.present.device).split(sizes):
            X, y = self.windows[batch]
            if self.mixup:
                mix_windows(X, self.mixup, self.generator)
            yield X, y


def mix_windows(X: dict[str, Any], mixup: float, generator: torch.Generator | None) -> None:
    """Mix each window of a batch, in place, with a random one of another subject.

    Adds to `X` the rows of the other windows, "partner", and the share of each window in its
    mixture, "share". A modality that is missing from either of the two is left as it is, and so
    is a window whose partner comes from the same subject.

    Parameters
    ----------
    X : dict
        A batch of a WindowSet that has subjects.
    mixup : float
        Both parameters of the beta distribution from which shares are drawn.
    generator : torch.Generator or None

    References
    ----------
    Zhang, Cisse, Dauphin, Lopez-Paz (2018). mixup: Beyond empirical risk minimization.
    https://arxiv.org/abs/1710.09412
    """
    present, subject = X["present"], X["subject"]
    partner = torch.randperm(len(present), generator=generator)
    seed = int(torch.randint(2**31, (1,), generator=generator))
    drawn = np.random.default_rng(seed).beta(mixup, mixup, len(present))
    partner, share = partner.to(present.device), torch.from_numpy(drawn).to(present)
    share = torch.where(subject == subject[partner], 1.0, share)
    both = present * present[partner]
    mixed = []
    for values, has in zip(X["inputs"], both.unbind(1), strict=True):
        own = torch.where(has > 0, share, 1.0).view(-1, *[1] * (values.dim() - 1))
        mixed.append(own * values + (1 - own) * values[partner])
    X.update(inputs=mixed, partner=partner, share=share)
