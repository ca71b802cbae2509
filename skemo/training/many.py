"""Many fits of one network at once: parameters are stacked, and a step updates all of them."""

import contextlib
import contextvars
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from torch import Tensor

from skemo.training.devices import (
    empty_cache,
    free_memory,
    is_out_of_memory,
    out_of_memory,
    reproducible,
)
from skemo.training.fit import Fit
from skemo.training.stack import Stack

# The list that collects fits inside `collected_fits`; None elsewhere.
_collected: contextvars.ContextVar[list["Fit"] | None] = contextvars.ContextVar(
    "collected", default=None
)
_SHARE = 0.8  # of the free memory of a GPU that a stack may take, by an estimate
# Tensors as large as the parameters: they, their two moments, the best ones, and in a step the
# gradient, in parts and as a whole, and two intermediate results.
_COPIES_OF_PARAMETERS = 8


def fit_many(
    estimators: Sequence[BaseEstimator],
    Xs: Sequence[Any],
    ys: Sequence[ArrayLike],
    *,
    fit_params: Sequence[Mapping[str, Any]] | None = None,
    on_error: Literal["raise", "return"] = "raise",
    together: bool = False,
    graphs: bool = False,
) -> list:
    """Fit many estimators, on request training the networks among them as one computation.

    With ``together=True``, the parameters of networks of the same form are stacked, and each step
    updates all of them. This is for GPUs; on a CPU it saves little time or, with Numba, takes
    longer. Each network has its own rows, order of batches, initial weights, learning rate, weight
    decay and early stopping, and ends up as it would if it were fitted alone, except for rounding:
    in double precision the losses of all epochs agree to 1e-9; in single precision, differences
    from rounding grow with the number of steps.

    Parameters
    ----------
    estimators : sequence of estimators
        Estimators to clone and fit; they are not changed. Networks of this library, and
        Pipelines that end in one, are trained together if they differ in nothing but
        `class_weight`, `dropout`, `input_noise`, `lr`, `max_epochs`, `patience`,
        `random_state`, `validation_fraction` and `weight_decay`. Networks with `callbacks` or
        `verbose`, and all other estimators, are fitted one by one.
    Xs : sequence of DataFrames or arrays
        The windows for each estimator.
    ys : sequence of arrays
        The labels for each estimator.
    fit_params : sequence of dict or None, default=None
        Further arguments to the ``fit`` of each estimator, such as ``{"groups": subjects}``.
    on_error : {"raise", "return"}, default="raise"
        What to do if a fit fails: raise its exception, or return the exception in place of
        the estimator and fit the others.
    together : bool, default=False
        Whether to train networks as one computation.
    graphs : bool, default=False
        On a GPU, record a training step as a CUDA graph and replay it, which saves the time of
        launching its parts. If recording fails, or the first replay differs from an ordinary
        step, steps are run as usual, with a warning. Elsewhere it has no effect.

    Returns
    -------
    list of estimators
        Fitted clones.

    Raises
    ------
    ValueError
        If the sequences differ in length.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import ModalityAwareAttentionClassifier, fit_many
    >>> y = np.repeat(["calm", "stress"], 40)
    >>> X = np.random.default_rng(0).normal(size=(80, 1, 32)) + (y == "stress")[:, None, None]
    >>> networks = [
    ...     ModalityAwareAttentionClassifier(max_epochs=10, random_state=seed) for seed in range(3)
    ... ]
    >>> [fitted.score(X, y) > 0.9 for fitted in fit_many(networks, 3 * [X], 3 * [y])]
    [True, True, True]
    """
    if on_error not in ("raise", "return"):
        raise ValueError(f'on_error must be "raise" or "return", got {on_error!r}.')
    if not isinstance(together, bool):
        raise ValueError(f"together must be True or False, got {together!r}.")
    given = [{}] * len(estimators) if fit_params is None else fit_params
    lengths = [len(part) for part in (estimators, Xs, ys, given)]
    if len(set(lengths)) > 1:
        raise ValueError(
            "estimators, Xs, ys and fit_params must have one entry per fit, got "
            f"{', '.join(map(str, lengths))} entries."
        )
    begun = []
    for estimator, X, y, params in zip(estimators, Xs, ys, given, strict=True):
        model, fit = begin_fit(estimator, X, y, params)
        if isinstance(model, Exception):
            if on_error == "raise":
                raise model
            model = model.with_traceback(None)  # frees the rows that the traceback refers to
        begun.append((model, fit))
    fitted = finish_fits(begun, together=together, graphs=graphs)
    failed = [model for model in fitted if isinstance(model, Exception)]
    if failed and on_error == "raise":
        raise failed[0]
    return fitted


def begin_fit(
    estimator: BaseEstimator, X: Any, y: ArrayLike, fit_params: Mapping[str, Any]
) -> tuple[BaseEstimator | Exception, Fit | None]:
    """Fit a clone of an estimator, but leave the training of its network to `finish_fits`.

    Parameters
    ----------
    estimator : estimator
    X, y, fit_params
        Windows, labels, and the other arguments of ``fit``, a dict.

    Returns
    -------
    model : estimator or Exception
        The clone, or the exception that its ``fit`` raised.
    fit : Fit or None
        The training that remains to be done, if any.
    """
    try:
        model = clone(estimator)
        if not ends_in_network(model):
            return model.fit(X, y, **fit_params), None
        with collected_fits() as fits:
            model.fit(X, y, **fit_params)
    except Exception as error:
        return error, None
    return model, fits[0] if fits else None


def finish_fits(
    begun: Sequence[tuple[BaseEstimator | Exception, Fit | None]],
    *,
    together: bool = True,
    graphs: bool = False,
) -> list[BaseEstimator | Exception]:
    """Train the networks of fits that were begun, as one computation.

    Parameters
    ----------
    begun : sequence of (model, fit)
        As `begin_fit` returns them.
    together : bool, default=True
        As for `fit_many`.
    graphs : bool, default=False
        As for `fit_many`.

    Returns
    -------
    list of estimators and exceptions
        Each model, or the exception that ended its fit.
    """
    stacked = []
    for fit in (fit for _, fit in begun if fit is not None):
        if together:
            stacked.append(fit)
            continue
        try:
            fit.train_alone()
        except Exception as error:
            fit.error = error.with_traceback(None)  # frees the windows that it refers to
    train_together(stacked, graphs=graphs)
    return [model if fit is None or fit.error is None else fit.error for model, fit in begun]


def ends_in_network(model: object) -> bool:
    """Whether a model is a network of this library, or a Pipeline that has one only at its end."""
    if not isinstance(model, Pipeline):
        return _is_network(model)
    *others, last = [step for _, step in model.steps]
    return _is_network(last) and not any(_contains_network(step) for step in others)


def _is_network(model):
    return getattr(model, "trains_together", False)


def _contains_network(step):
    """Whether a step of a Pipeline, or a parameter of it, is a network."""
    parameters = step.get_params().values() if hasattr(step, "get_params") else []
    return any(_is_network(part) for part in [step, *parameters])


@contextlib.contextmanager
def collected_fits() -> Iterator[list[Fit]]:
    """Collect the fits of networks instead of training them.

    Inside, the ``fit`` of a network prepares everything and adds a `Fit` to the list.
    """
    fits: list[Fit] = []
    token = _collected.set(fits)
    try:
        yield fits
    finally:
        _collected.reset(token)


def train_or_collect(fit: Fit) -> None:
    """Inside `collected_fits`, collect a fit; elsewhere, train it."""
    fits = _collected.get()
    if fits is None or not fit.stacks:
        fit.train_alone()
    else:
        fits.append(fit)


def train_together(fits: Sequence[Fit], *, graphs: bool = False) -> None:
    """Train fits, and those of networks of the same form as one computation.

    Each network ends up as it would if it were fitted alone, except for rounding. If a fit
    cannot be trained, its `error` says why.

    Parameters
    ----------
    fits : sequence of Fit
    graphs : bool, default=False
        As for `fit_many`.
    """
    groups: dict[tuple, list[Fit]] = {}
    for fit in fits:
        groups.setdefault(fit.key(), []).append(fit)
    waiting = [part for group in groups.values() for part in _parts_that_fit(group)]
    first_error = None
    while waiting:
        group = waiting.pop()
        unfinished, error = _train_group(group, graphs)
        empty_cache(group[0].device)
        if len(unfinished) == 1:
            unfinished[0].error = error
            continue
        if error is not None and first_error is None:
            first_error = error
        # Without enough memory, try half of them at a time.
        size = len(unfinished) // 2 if isinstance(error, MemoryError) else 1
        waiting += _parts(unfinished, size)
    if first_error is not None:
        how = "fewer at a time" if isinstance(first_error, MemoryError) else "one by one"
        warnings.warn(
            f"Some fits could not be trained together and were trained {how}: {first_error}",
            RuntimeWarning,
            stacklevel=2,
        )


def _parts(fits: list[Fit], size: int) -> list[list[Fit]]:
    """Split fits into parts of at most `size`."""
    size = max(size, 1)
    return [fits[start : start + size] for start in range(0, len(fits), size)]


def _parts_that_fit(fits: list[Fit]) -> list[list[Fit]]:
    """Split fits of networks of the same form into parts for which a GPU has enough memory."""
    n_free = free_memory(fits[0].device)
    if n_free is None or len(fits) == 1:
        return [fits]
    largest = max(fits, key=lambda fit: len(fit.windows))
    try:
        n_bytes = stacked_bytes(largest)
    except RuntimeError:  # memory that runs out halves the stack later on
        return [fits]
    return _parts(fits, int(_SHARE * n_free / n_bytes))


def stacked_bytes(fit: Fit) -> int:
    """Estimate the memory that a fit takes in a stack.

    A step is run on the device "meta", whose tensors have a shape but no values. Counted are the
    windows, the random numbers of an epoch, the parameters with all that is as large as they are,
    and the activations that the step keeps for its gradients, with half as much again for
    gradients and workspaces.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    int
        In bytes.
    """
    activations = 0

    def count(saved: Tensor) -> Tensor:
        nonlocal activations
        activations += saved.nbytes
        return saved

    meta = torch.device("meta")
    with reproducible(torch.device("cpu")):
        stack = Stack([fit], meta)
        sizes, rows, noise = stack._draw_epoch()
        width = sizes[:, 0].max()
        first_noise = [None if values is None else values[0, :, :width] for values in noise]
        with torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved):
            stack._step(rows[0, :, :width], first_noise)
    held = [rows, *noise]
    for windows in (stack.training, stack.validation):
        if windows is not None:
            held += [*windows.inputs, windows.present, windows.y, windows.weight]
    n_bytes = sum(values.nbytes for values in held if values is not None)
    return n_bytes + _COPIES_OF_PARAMETERS * stack.flat.nbytes + 3 * activations // 2


def _train_group(fits: list[Fit], graphs: bool) -> tuple[list[Fit], Exception | None]:
    """Train fits of networks of the same form.

    Returns the fits that were not finished because of an error, and that error.
    """
    device = fits[0].device
    stack = None
    try:
        with reproducible(device):
            stack = Stack(fits, device, graphs=graphs)
            stack.train()
        return [], None
    except Exception as error:
        if is_out_of_memory(error):
            failure: Exception = out_of_memory(device)
        else:
            failure = error.with_traceback(None)  # frees the windows that it refers to
    return fits if stack is None else stack.unfinished(), failure
