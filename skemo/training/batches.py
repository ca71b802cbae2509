"""Windows as tensors, and the batches that training takes of them."""

import hashlib

import numpy as np
import torch
from torch.utils.data import Dataset


def merge_rows(values, keys, sample_weight):
    """Order rows by their content, and merge identical ones, adding up their weights.

    So a fit depends neither on the order of the rows nor on whether a window is given twice
    or weighs twice as much; rows without weight are left out.

    Parameters
    ----------
    values : dict of str to ndarray of shape (n_windows, ...)
        The windows of each modality.
    keys : sequence of length n_windows
        What else rows must share to be merged: their class, and their group.
    sample_weight : ndarray of shape (n_windows,)

    Returns
    -------
    rows : ndarray of int
        One row of each set of identical ones.
    weight : ndarray
        Their joint weights.
    """
    kept = np.flatnonzero(sample_weight > 0)
    digests = []
    for row in kept:
        digest = hashlib.blake2b(str(keys[row]).encode(), digest_size=16)
        for array in values.values():
            digest.update(np.ascontiguousarray(array[row]))
        digests.append(digest.hexdigest())
    _, first, group = np.unique(digests, return_index=True, return_inverse=True)
    return kept[first], np.bincount(group, weights=sample_weight[kept])


class WindowSet(Dataset):
    """Windows on one device, indexed by whole batches.

    Parameters
    ----------
    inputs : list of Tensor of shape (n_windows, ...)
        One a modality.
    present : Tensor of shape (n_windows, n_modalities)
        1 where the modality is there, else 0.
    y : Tensor of shape (n_windows,), default=None
        Class numbers.
    weight : Tensor of shape (n_windows,), default=None
        Weight of each row in the loss.
    """

    def __init__(self, inputs, present, y=None, weight=None):
        self.inputs = inputs
        self.present = present
        self.y = y
        self.weight = weight

    def to(self, device):
        """Return the same windows on a device."""
        rest = [x if x is None else x.to(device) for x in (self.present, self.y, self.weight)]
        return WindowSet([values.to(device) for values in self.inputs], *rest)

    def __len__(self):
        return len(self.present)

    def __getitem__(self, rows):
        X = {"inputs": [values[rows] for values in self.inputs], "present": self.present[rows]}
        if self.y is None:
            return X, None
        X["weight"] = self.weight[rows]
        return X, self.y[rows]


class StackedWindows:
    """The windows of several fits on one device, filled up to the largest number of them."""

    def __init__(self, sets, device):
        n_rows = [len(windows) for windows in sets]
        self.n_most = max(n_rows)

        def stack(tensors):
            shape = len(sets), self.n_most, *tensors[0].shape[1:]
            stacked = torch.zeros(shape, dtype=tensors[0].dtype)
            for k, tensor in enumerate(tensors):
                stacked[k, : len(tensor)] = tensor
            return stacked.to(device)

        self.n_rows = torch.tensor(n_rows, device=device)
        inputs = zip(*(windows.inputs for windows in sets), strict=True)
        self.inputs = [stack(tensors) for tensors in inputs]
        self.present = stack([windows.present for windows in sets])
        self.y = stack([windows.y for windows in sets])
        self.weight = stack([windows.weight for windows in sets])

    def take(self, rows):
        """Return inputs, presence, classes and weights of some rows, (n_fits, n_taken)."""
        fits = torch.arange(len(rows), device=rows.device).unsqueeze(1)
        inputs = [values[fits, rows] for values in self.inputs]
        return inputs, *(values[fits, rows] for values in (self.present, self.y, self.weight))

    def keep(self, chosen):
        self.inputs = [values[chosen] for values in self.inputs]
        for name in ("n_rows", "present", "y", "weight"):
            setattr(self, name, getattr(self, name)[chosen])


def batch_sizes(n_windows, batch_size):
    """Sizes of the batches of an epoch of training.

    A last batch of a single row joins the one before, since batch normalisation needs two.
    """
    sizes = [batch_size] * (n_windows // batch_size)
    rest = n_windows % batch_size
    if rest == 1 and sizes:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


class Batches:
    """Iterates over a WindowSet in batches, in a new random order each time if `shuffle`."""

    def __init__(self, windows, *, batch_size, shuffle=False):
        self.windows = windows
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self):
        n_windows = len(self.windows)
        rows = torch.randperm(n_windows) if self.shuffle else torch.arange(n_windows)
        sizes = batch_sizes(n_windows, self.batch_size) if self.shuffle else self.batch_size
        for batch in rows.to(self.windows.present.device).split(sizes):
            yield self.windows[batch]
