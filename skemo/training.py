"""The skorch net that the classifiers build, and what keeps its training reproducible."""

import hashlib
import threading
import warnings
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from sklearn.model_selection import GroupShuffleSplit
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch.nn import functional
from torch.utils.data import Dataset

_ONE_AT_A_TIME = threading.RLock()
_DRAWS = 50  # splits that `hold_back` chooses from
_VALUES, _CPU_VALUES = 1 << 23, 1 << 18  # of windows that are evaluated together


def resolve_device(device):
    """Return the torch device that `device` names; "auto" is CUDA where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'device must be "auto" or a torch device, got {device!r}.') from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f'device={device!r}, but torch sees no CUDA device: use device="auto".')
    return resolved


@contextmanager
def reproducible(device, seed=None):
    """Run torch so that the result depends on `seed` and on nothing outside.

    The state of torch's random generators and its default type, here float32, are put back
    afterwards. On the CPU one thread is used: the sums of several are rounded differently,
    and how many there are depends on ``n_jobs``. On a GPU `device` becomes the current one, and convolutions are those that
    give the same bits each time. All this is global to the process, so threads wait for each
    other.
    """
    is_cuda, cudnn = device.type == "cuda", torch.backends.cudnn
    current = torch.cuda.device(device) if is_cuda else nullcontext()
    with _ONE_AT_A_TIME, current, torch.random.fork_rng([device] if is_cuda else []):
        if seed is not None:
            torch.manual_seed(seed)
        before = torch.get_num_threads(), cudnn.deterministic, cudnn.benchmark
        default_dtype = torch.get_default_dtype()
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float32)
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.set_default_dtype(default_dtype)
            cudnn.deterministic, cudnn.benchmark = before[1:]


def is_out_of_memory(error):
    """Whether an exception says that a device lacks memory; CUDA's libraries have their own."""
    texts = ("out of memory", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
    )


def out_of_memory(device):
    """The error for a device on which not even a single window fits, or no batch."""
    return MemoryError(
        f"The windows and the network do not fit into the memory of {device}: lower batch_size "
        'or n_filters, or use device="cpu".'
    )


def empty_cache(device):
    """Give memory that torch keeps for later back to the device, for other processes."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def block_size(n_values, device):
    """Number of windows to evaluate together, by the number of values of one of them.

    On a CPU more gain nothing, and a single window takes as long as a block; many small windows
    cost what calling torch costs. There it is a power of two: with sizes such as 93, oneDNN treats
    the last windows of a block unlike the others, by a rounding.
    """
    n_values = max(n_values, 1)
    if device.type == "cpu":
        return min(max(1 << (_CPU_VALUES // n_values).bit_length() >> 1, 64), 512)
    return max(_VALUES // n_values, 1)


def in_smaller_blocks(run, n_block, device):
    """Return ``run(n_block)``, with blocks half as large as long as memory does not suffice."""
    while True:
        try:
            return run(n_block)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        finally:
            empty_cache(device)
        # Here the exception is gone, and with it what it held on the device.
        empty_cache(device)
        if n_block == 1:
            raise out_of_memory(device)
        n_block //= 2


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


def hold_back(y, groups, weight, fraction, seed):
    """Choose the rows that early stopping validates on, with no group on both sides.

    Of many random draws of groups, take the one that holds back the nearest to `fraction` of
    each class's weight, and leaves every class in training.

    Parameters
    ----------
    y : ndarray of shape (n_windows,)
    groups : ndarray of shape (n_windows,), or None
        None draws single windows, with a warning.
    weight : ndarray of shape (n_windows,)
    fraction : float
    seed : int

    Returns
    -------
    ndarray of bool of shape (n_windows,)
        True for the rows held back.
    """
    if groups is None:
        warnings.warn(
            "early_stopping without groups validates on windows drawn at random, so windows of "
            "one subject stand on both sides and training stops too late: pass "
            "fit(..., groups=subjects).",
            UserWarning,
            stacklevel=4,
        )
        groups = np.arange(len(y))
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise ValueError(
            "early_stopping needs the windows of at least two groups to validate on another one, "
            f"got {n_groups}: use early_stopping=False."
        )
    classes = np.unique(y)
    of_class = (y == classes[:, np.newaxis]) * weight
    of_class = of_class / of_class.sum(axis=1, keepdims=True)
    n_held = min(max(round(fraction * n_groups), 1), n_groups - 1)
    splitter = GroupShuffleSplit(_DRAWS, test_size=n_held, random_state=seed)
    nearest, chosen = np.inf, None
    for kept, held in splitter.split(y, groups=groups):
        distance = np.abs(of_class[:, held].sum(axis=1) - fraction).max()
        if distance < nearest and (of_class[:, kept] > 0).any(axis=1).all():
            nearest, chosen = distance, held
    if chosen is None:
        raise ValueError(
            "early_stopping finds no groups to hold back that leave every class of "
            f"{classes.tolist()} in training: use early_stopping=False."
        )
    return np.isin(np.arange(len(y)), chosen)


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


def window_losses(scores, y):
    """Cross-entropy of each window; of an ensemble, the mean over its members.

    Parameters
    ----------
    scores : Tensor of shape (n_windows, n_classes) or (n_windows, n_classes, n_members)
    y : Tensor of shape (n_windows,)
        Class numbers.

    Returns
    -------
    Tensor of shape (n_windows,)
    """
    if scores.dim() == 2:
        return functional.cross_entropy(scores, y, reduction="none")
    losses = functional.cross_entropy(
        scores, y.unsqueeze(1).expand(-1, scores.shape[2]), reduction="none"
    )
    return losses.mean(1)


def mean_probabilities(scores):
    """Probabilities, (n_windows, n_classes), from scores as `window_losses` takes them."""
    probabilities = scores.softmax(1)
    return probabilities if scores.dim() == 2 else probabilities.mean(2)


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


class FlatAdamW(torch.optim.AdamW):
    """AdamW over all parameters as one tensor, which takes a tenth of a training step off.

    While they are bound, the parameters are views of that tensor. Released, they can be copied
    and pickled each by itself.

    Parameters
    ----------
    groups : list of dict
        Groups of parameters, as skorch gives them.
    **settings
        Of `torch.optim.AdamW`.
    """

    def __init__(self, groups, **settings):
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.flat = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in self.parameters]))
        super().__init__([self.flat], **settings)

    def bind(self):
        with torch.no_grad():
            self.flat.copy_(torch.cat([p.flatten() for p in self.parameters]))
        parts = self.flat.detach().split([p.numel() for p in self.parameters])
        for parameter, part in zip(self.parameters, parts, strict=True):
            parameter.data = part.view(parameter.shape)

    def release(self):
        for parameter in self.parameters:
            parameter.data = parameter.data.clone()

    def zero_grad(self, set_to_none=True):
        for parameter in self.parameters:
            parameter.grad = None

    def step(self, closure=None):
        loss = None if closure is None else closure()
        self.flat.grad = torch.cat([p.grad.flatten() for p in self.parameters])
        super().step()
        return loss

    def __getstate__(self):
        return {**super().__getstate__(), "parameters": self.parameters, "flat": self.flat}


class FusionNet(NeuralNetClassifier):
    """A skorch classifier over a WindowSet, with a weight for each row of the loss.

    Validation data is handed to ``fit`` as ``fit((training, validation))``, where
    `validation` may be None.
    """

    def get_split_datasets(self, X, y=None, **fit_params):
        return X if isinstance(X, tuple) else (X, None)

    def get_iterator(self, dataset, training=False):
        return Batches(dataset, batch_size=self.batch_size, shuffle=training)

    def check_data(self, X, y):
        """The classifier has checked the data already."""

    def on_train_begin(self, net, **kwargs):
        super().on_train_begin(net, **kwargs)
        if isinstance(self.optimizer_, FlatAdamW):
            self.optimizer_.bind()

    def on_train_end(self, net, **kwargs):
        super().on_train_end(net, **kwargs)
        if isinstance(self.optimizer_, FlatAdamW):
            self.optimizer_.release()

    def _set_training(self, training=True):
        # skorch sets the mode of every module before every step, a twentieth of its time. Without
        # callbacks nothing has changed it since.
        if self.module_.training != training or not isinstance(self.optimizer_, FlatAdamW):
            super()._set_training(training)

    def infer(self, x, **fit_params):
        return self.module_(x["inputs"], x["present"])

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        # As skorch does it, but that the losses stay on the device until the epoch ends.
        if iterator is None or self._watched():
            return super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        losses = []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            losses.append(step["loss"].detach())
            self.history.record_batch(f"{prefix}_batch_size", len(batch[0]["present"]))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(f"{prefix}_batch_count", len(losses))
        batches = self.history[-1]["batches"][-len(losses) :]
        for record, loss in zip(batches, torch.stack(losses).tolist(), strict=True):
            record[f"{prefix}_loss"] = loss

    def _watched(self):
        """Whether a callback of the user's looks at single batches."""
        own = [name for name, _ in self._default_callbacks]
        added = [callback for name, callback in self.callbacks_ if name not in own]
        return any(type(x).on_batch_end is not Callback.on_batch_end for x in added)

    def get_loss(self, y_pred, y_true, X, training=False):
        return (window_losses(y_pred, y_true) * X["weight"]).mean()
