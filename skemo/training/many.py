"""Many fits of one network at once: parameters are stacked, and a step updates all of them."""

import contextlib
import contextvars
import copy
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from skemo._warnings import ignored_warnings
from skemo.nn import counted_rows
from skemo.training.batches import StackedWindows, WindowSet, batch_sizes
from skemo.training.devices import (
    empty_cache,
    in_smaller_blocks,
    is_out_of_memory,
    out_of_memory,
    reproducible,
    seeded,
)
from skemo.training.early_stopping import Stopping
from skemo.training.net import FusionClassifierNet

# The list that collects fits inside `collected_fits`; None elsewhere.
_collected: contextvars.ContextVar[list["Fit"] | None] = contextvars.ContextVar(
    "collected", default=None
)
# Parameters of an estimator in which fits that are trained together may differ.
_MAY_DIFFER = {
    "class_weight",
    "dropout",
    "input_noise",
    "lr",
    "max_epochs",
    "patience",
    "random_state",
    "validation_fraction",
    "weight_decay",
}
# Parameters of AdamW: the defaults of torch.
_BETA1, _BETA2 = 0.9, 0.999
_EPSILON = 1e-8
_VALIDATION_BATCH = 256  # validation windows of each fit that are evaluated together
_SMALL_MAP = 1 << 18  # largest feature map, in values, for which stacking is faster on a CPU
_WARM_UP = 3  # steps before a CUDA graph is captured


@dataclass
class Fit:
    """A fit of a network estimator that is ready to be trained.

    Attributes
    ----------
    estimator : FusionEstimator
        The estimator, whose net has not been trained yet.
    windows, validation : WindowSet
        Training and validation windows, on the CPU; `validation` is None without early
        stopping.
    random_state : Tensor
        State of the random generator after drawing the initial weights.
    error : Exception or None
        Why the network could not be trained.
    """

    estimator: Any  # a FusionEstimator, whose module imports this one
    windows: WindowSet
    validation: WindowSet | None
    random_state: torch.Tensor
    error: Exception | None = field(default=None, init=False)

    @property
    def network(self) -> Any:
        return self.estimator.net_.module

    @property
    def device(self) -> torch.device:
        return torch.device(self.estimator.net_.device)

    @property
    def is_watched(self) -> bool:
        """Whether the user follows each epoch, which is only possible in skorch's loop."""
        return bool(self.estimator.callbacks) or self.estimator.verbose > 0

    @property
    def stacks(self) -> bool:
        """Whether such fits can be trained together.

        Modules and losses of the user's own may do what cannot be stacked, a loss that is not a
        mean over windows would depend on the validation batches, and windows are mixed in
        skorch's loop only.
        """
        objective = self.estimator.net_.objective
        return (
            not self.is_watched
            and objective.is_mean
            and not self.estimator.mixup
            and not callable(objective.loss)
            and self.network.can_be_stacked
        )

    @property
    def gains(self) -> bool:
        """Whether training such fits together is known to be faster than one after another."""
        if not self.stacks or self.device.type != "cpu":
            return False
        n_places = max(values[0, 0].numel() for values in self.windows.inputs)
        n_filters = getattr(self.estimator, "n_filters", np.inf)  # not known of other networks
        return bool(self.estimator.batch_size * n_filters * n_places <= _SMALL_MAP)

    def key(self) -> tuple:
        """What must be equal for two fits to be trained together."""
        parameters = self.estimator.get_params(deep=False)
        shared = [(name, parameters[name]) for name in sorted(parameters.keys() - _MAY_DIFFER)]
        return (
            type(self.estimator),
            str(shared),
            tuple(tuple(values.shape[1:]) for values in self.windows.inputs),
            str(vars(self.estimator.net_.objective)),
        )

    def train_alone(self) -> None:
        """Train the network by itself, using skorch's loop."""

        def train(_: int) -> None:
            generator = torch.Generator()
            generator.set_state(self.random_state)
            with reproducible(self.device), self._seeded(generator):
                windows = self.windows.to(self.device)
                validation = None if self.validation is None else self.validation.to(self.device)
                self.estimator._fit_net(windows, validation, generator)

        in_smaller_blocks(train, 1, self.device)

    def _seeded(self, generator):
        """Seed torch's global generators if the network draws from them."""
        if self.network.can_be_stacked:
            return contextlib.nullcontext()
        return seeded(generator.initial_seed(), self.device)


def fit_many(
    estimators: Sequence[BaseEstimator],
    Xs: Sequence[Any],
    ys: Sequence[ArrayLike],
    *,
    fit_params: Sequence[Mapping[str, Any]] | None = None,
    on_error: Literal["raise", "return"] = "raise",
    graphs: bool = False,
) -> list:
    """Fit many estimators, training the networks among them as one computation.

    The parameters of networks of the same form are stacked, and each step updates all of them.
    For small windows, this is faster than one fit after another. Each network has its own rows,
    order of batches, initial weights, learning rate, weight decay and early stopping, and ends
    up as it would if it were fitted alone, except for rounding: in double precision the losses
    of all epochs agree to 1e-9; in single precision, differences from rounding grow with the
    number of steps.

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
    fitted = finish_fits(begun, graphs=graphs)
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
    begun: Sequence[tuple[BaseEstimator | Exception, Fit | None]], *, graphs: bool = False
) -> list[BaseEstimator | Exception]:
    """Train the networks of fits that were begun, as one computation.

    Parameters
    ----------
    begun : sequence of (model, fit)
        As `begin_fit` returns them.
    graphs : bool, default=False
        As for `fit_many`.

    Returns
    -------
    list of estimators and exceptions
        Each model, or the exception that ended its fit.
    """
    train_together([fit for _, fit in begun if fit is not None], graphs=graphs)
    return [model if fit is None or fit.error is None else fit.error for model, fit in begun]


def ends_in_network(model: object) -> bool:
    """Whether a model is a network of this library, or a Pipeline that has one only at its end."""
    if not isinstance(model, Pipeline):
        return _is_network(model)
    *others, last = [step for _, step in model.steps]
    return _is_network(last) and not any(_contains_network(step) for step in others)


def gains_together(
    model: BaseEstimator, X: Any, y: ArrayLike, fit_params: Mapping[str, Any]
) -> bool:
    """Whether training several fits of a model together is faster, judging by one of them.

    Parameters
    ----------
    model : estimator
    X, y, fit_params
        The arguments of the fit.
    """
    with collected_fits() as fits, ignored_warnings():  # the real fit will warn again
        try:
            clone(model).fit(X, y, **fit_params)
        except Exception:  # the real fit will raise it again
            return False
    return bool(fits) and fits[0].gains


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
    waiting = list(groups.values())
    while waiting:
        group = waiting.pop()
        unfinished, error = _train_group(group, graphs)
        empty_cache(group[0].device)
        if isinstance(error, MemoryError) and len(unfinished) > 1:  # try half of them at a time
            half = len(unfinished) // 2
            waiting += [unfinished[:half], unfinished[half:]]
        elif len(unfinished) == 1:
            unfinished[0].error = error
        else:
            waiting += [[fit] for fit in unfinished]


def _train_group(fits: list[Fit], graphs: bool) -> tuple[list[Fit], Exception | None]:
    """Train fits of networks of the same form.

    Returns the fits that were not finished because of an error, and that error.
    """
    device = fits[0].device
    stack = None
    try:
        with reproducible(device):
            stack = _Stack(fits, device, graphs=graphs)
            stack.train()
        return [], None
    except Exception as error:
        if is_out_of_memory(error):
            failure: Exception = out_of_memory(device)
        else:
            failure = error.with_traceback(None)  # frees the windows that it refers to
    return fits if stack is None else stack.unfinished(), failure


class _Stack:
    """Fits that are trained together; arrays have a first axis of the fits, (n_fits, ...)."""

    def __init__(self, fits: list[Fit], device: torch.device, *, graphs: bool = False) -> None:
        self.device = device
        self.graphs = graphs and device.type == "cuda"
        self.fits = list(fits)
        networks = [fit.network for fit in fits]
        self.has_accuracy = isinstance(fits[0].estimator.net_, FusionClassifierNet)
        self.objective = fits[0].estimator.net_.objective
        self.structure = copy.deepcopy(networks[0]).to(device)
        parameters, buffers = stack_module_state(networks)
        self.names = list(parameters)
        self.shapes = [values.shape[1:] for values in parameters.values()]
        self.buffers = {name: values.to(device) for name, values in buffers.items()}
        self.flat = torch.cat([p.detach().flatten(1) for p in parameters.values()], 1).to(device)
        # First and second moments of the gradient, as in AdamW.
        self.moments = torch.stack([torch.zeros_like(self.flat), torch.zeros_like(self.flat)])
        self.n_steps = torch.zeros_like(self.flat[:, :1])
        settings = [(fit.estimator.lr, fit.estimator.weight_decay) for fit in fits]
        self.settings = self.flat.new_tensor(settings)
        self.training = StackedWindows([fit.windows for fit in fits], device)
        validation = [fit.validation for fit in fits if fit.validation is not None]
        self.validation = StackedWindows(validation, device) if validation else None
        self.generators = [torch.Generator() for _ in fits]
        for generator, fit in zip(self.generators, fits, strict=True):
            generator.set_state(fit.random_state)
        self.stopping = [Stopping(fit.estimator.max_epochs, fit.estimator.patience) for fit in fits]
        self.ended = np.zeros(len(fits), bool)
        self.best: dict[str, Tensor] | None = None  # parameters and buffers of the best epoch
        self.graph: _Graph | None = None
        self._share_parameters()

    def unfinished(self) -> list[Fit]:
        return [fit for fit, ended in zip(self.fits, self.ended, strict=True) if not ended]

    def train(self) -> None:
        """Train until all fits have ended, and give each its network and history."""
        for fit in self.fits:
            fit.estimator.net_.initialize()
        try:
            while not self.ended.all():
                self._train_epoch()
        finally:
            self.graph = None  # it refers to this stack and would keep it on the device

    def _train_epoch(self) -> None:
        started = time.perf_counter()
        losses = self._run_epoch()
        scores = None if self.validation is None else self._validate(self.validation)
        seconds = (time.perf_counter() - started) / len(self.fits)
        ending = []
        for k in map(int, np.flatnonzero(~self.ended)):
            is_last = self._record(k, losses[k], None if scores is None else scores[k], seconds)
            if is_last:
                ending.append(k)
        if self.validation is not None:
            self._keep_best()
        for k in ending:
            self._hand_over(k)
            self.ended[k] = True
        # Dropping fits from a stack means recording its CUDA graph again, so wait for a quarter.
        n_enough = 1 if self.graph is None else max(1, len(self.fits) // 4)
        if n_enough <= self.ended.sum() < len(self.fits):
            self._drop_ended()

    def _share_parameters(self) -> None:
        """Make the parameters, under the network's names and shapes, views of the flat tensor."""
        self.parameters: dict[str, Tensor] = {}
        parts = self.flat.split([shape.numel() for shape in self.shapes], dim=1)
        for name, shape, part in zip(self.names, self.shapes, parts, strict=True):
            self.parameters[name] = part.view(-1, *shape).detach().requires_grad_()
        self.graph = None
        if self.graphs and not _Graph.has_failed:
            state = [self.flat, self.n_steps, self.moments, *self.buffers.values()]
            self.graph = _Graph(self._step, state, self.device)

    def _run_epoch(self) -> NDArray:
        """Train for an epoch, and return the mean loss of each fit."""
        self.structure.train()
        sizes, rows, noise = self._draw_epoch()
        losses = []
        for step, size in enumerate(sizes.T):
            width = size.max()
            batch_rows = rows[step, :, :width]
            batch_noise = [None if x is None else x[step, :, :width] for x in noise]
            if (size < width).any():
                counted = torch.arange(width) < torch.from_numpy(size)[:, np.newaxis]
                losses.append(self._step(batch_rows, batch_noise, counted.to(self.flat)))
            elif self.graph is None:
                losses.append(self._step(batch_rows, batch_noise))
            else:
                losses.append(self.graph(batch_rows, batch_noise))
        by_step = torch.stack(losses, dim=1).cpu().numpy().astype(float)
        return (by_step * sizes).sum(axis=1) / sizes.sum(axis=1)

    def _draw_epoch(self) -> tuple[NDArray, Tensor, list[Tensor | None]]:
        """Draw the batches and the noise of an epoch, as each fit would draw them alone.

        Returns
        -------
        sizes : ndarray of shape (n_fits, n_batches)
            Sizes of the batches; 0 after a fit's last batch.
        rows : Tensor of shape (n_batches, n_fits, largest_size)
        noise : list of Tensor of shape (n_batches, n_fits, largest_size, ...), or None
            The results of the network's `draw_noise`.
        """
        plans = [batch_sizes(len(fit.windows), fit.estimator.batch_size) for fit in self.fits]
        sizes = np.zeros((len(plans), max(map(len, plans))), int)
        for k, plan in enumerate(plans):
            sizes[k, : len(plan)] = plan
        shape = sizes.shape[1], len(plans), sizes.max()
        rows = torch.zeros(shape, dtype=torch.long)
        noise: list[Tensor | None] = [None] * (2 + len(self.training.inputs))
        for k, (generator, plan) in enumerate(zip(self.generators, plans, strict=True)):
            order = torch.randperm(sum(plan), generator=generator).split(plan)
            for step, part in enumerate(order):
                rows[step, k, : len(part)] = part
                drawn = self.fits[k].network.draw_noise(len(part), generator)
                for i, values in enumerate(drawn):
                    if values is None:
                        continue
                    stacked = noise[i]
                    if stacked is None:
                        # Fits without this noise: modality dropout (0) and dropout (1) keep
                        # everything, and 0 is added to the inputs.
                        neutral = 1.0 if i < 2 else 0.0
                        stacked = torch.full(
                            (*shape, *values.shape[1:]), neutral, dtype=values.dtype
                        )
                        noise[i] = stacked
                    stacked[step, k, : len(part)] = values
        on_device = [None if x is None else x.to(self.flat) for x in noise]
        return sizes, rows.to(self.device), on_device

    def _step(
        self, rows: Tensor, noise: Sequence[Tensor | None], counted: Tensor | None = None
    ) -> Tensor:
        """Update every fit with a batch of its own, and return the losses, (n_fits,).

        `counted`, (n_fits, largest_size), is 1 for the rows of a batch and 0 for its padding.
        """
        state = self.parameters, self.buffers
        loss = _map(self._loss, *state, *self.training.take(rows), counted, *noise)
        gradients = torch.autograd.grad(loss.sum(), list(self.parameters.values()))
        gradient = torch.cat([part.flatten(1) for part in gradients], dim=1)
        active = torch.ones_like(self.n_steps)
        if counted is not None:
            active = (counted.sum(1, keepdim=True) > 0).to(self.flat)
        self._update(gradient, active)
        return loss.detach()

    def _loss(self, parameters, buffers, inputs, present, y, weight, counted, *noise):
        """Loss of one fit, of which `_map` makes a function of all fits."""
        state = parameters, buffers
        with counted_rows(self.structure, counted):
            outputs = functional_call(self.structure, state, (inputs, present, noise))
        return self.objective.batch_loss(outputs, y, weight, counted)

    def _update(self, gradient: Tensor, active: Tensor) -> None:
        """Take a step of AdamW for the fits for which `active`, (n_fits, 1), is 1."""
        lr, weight_decay = self.settings[:, :1], self.settings[:, 1:]
        first, second = self.moments
        gradient = torch.where(active > 0, gradient, 0.0)  # of other fits it may not be finite
        self.n_steps += active
        first += active * (1 - _BETA1) * (gradient - first)
        second += active * (1 - _BETA2) * (gradient.square() - second)
        n_steps = self.n_steps.clamp_min(1)
        first_correction = 1 - _BETA1**n_steps
        second_correction = 1 - _BETA2**n_steps
        denominator = (second / second_correction).sqrt() + _EPSILON
        self.flat *= 1 - active * lr * weight_decay
        self.flat -= active * (lr / first_correction) * first / denominator

    def _validate(self, windows: StackedWindows) -> NDArray:
        """Return the mean loss on the validation windows and, for one target with classes, the
        accuracy; of shape (n_fits, n_scores).
        """
        self.structure.eval()
        sums = []
        with torch.no_grad():
            for rows in torch.arange(windows.max_rows, device=self.device).split(_VALIDATION_BATCH):
                inputs, present, y, weight = windows.take(rows.expand(len(self.fits), -1))
                counted = rows < windows.n_rows[:, np.newaxis]
                state = self.parameters, self.buffers
                outputs = _map(self._outputs, *state, inputs, present).flatten(0, 1)
                losses = self.objective.losses(outputs, y.flatten(0, 1)).view_as(weight)
                totals = [(losses * weight).sum(2)]
                if self.has_accuracy:
                    (probabilities,) = self.objective.probabilities(outputs)
                    is_correct = probabilities.argmax(1).view_as(y[..., 0]) == y[..., 0]
                    totals.append(is_correct.to(losses))
                sums.append((torch.stack(totals, dim=2) * counted.unsqueeze(2)).sum(1))
        # In double precision, which some devices do not have.
        total = torch.stack(sums).cpu().double().numpy().sum(axis=0)
        return total / windows.n_rows.cpu().numpy()[:, np.newaxis]

    def _outputs(self, parameters, buffers, inputs, present):
        """Outputs of one fit, of which `_map` makes a function of all fits."""
        return functional_call(self.structure, (parameters, buffers), (inputs, present))

    def _record(self, k: int, loss: float, scores: NDArray | None, seconds: float) -> bool:
        """Write an epoch into the history of a fit, and return whether it was the last one."""
        history = self.fits[k].estimator.net_.history
        record = {"train_loss": loss}
        if scores is not None:
            record |= dict(zip(("valid_loss", "valid_acc"), scores, strict=False))
        history.new_epoch()
        history.record("epoch", len(history))
        for name, value in record.items():
            history.record(name, float(value))
            history.record(f"{name}_best", self.stopping[k].is_best(name, value))
        history.record("dur", seconds)
        return self.stopping[k].is_last(len(history), record)

    def _keep_best(self) -> None:
        """Keep parameters and buffers of the fits for which this is the best epoch."""
        state = {"flat": self.flat, **self.buffers}
        if self.best is None:
            self.best = {name: values.clone() for name, values in state.items()}
            return
        improved = torch.tensor([stopping.misses == 0 for stopping in self.stopping])
        improved = improved.to(self.device)
        for name, values in state.items():
            shape = [-1] + [1] * (values.dim() - 1)
            self.best[name] = torch.where(improved.view(shape), values, self.best[name])

    def _hand_over(self, k: int) -> None:
        """Give a fit that has ended its trained network and the state of its optimiser."""
        net = self.fits[k].estimator.net_
        state = {"flat": self.flat, **self.buffers} if self.best is None else self.best
        parts = state["flat"][k].split([shape.numel() for shape in self.shapes])
        trained = {name: state[name][k] for name in self.buffers}
        for name, shape, part in zip(self.names, self.shapes, parts, strict=True):
            trained[name] = part.view(shape)
        net.optimizer_.state[net.optimizer_.flat] = {
            "step": self.n_steps[k, 0].clone(),
            "exp_avg": self.moments[0, k].clone(),
            "exp_avg_sq": self.moments[1, k].clone(),
        }
        net.module_.load_state_dict(trained)
        try:
            self.fits[k].estimator._check_converged()
        except ValueError as error:
            self.fits[k].error = error

    def _drop_ended(self) -> None:
        """Continue with the fits that have not ended."""
        going = np.flatnonzero(~self.ended)
        self.fits = [self.fits[k] for k in going]
        self.generators = [self.generators[k] for k in going]
        self.stopping = [self.stopping[k] for k in going]
        self.ended = self.ended[going]
        kept = torch.from_numpy(going).to(self.device)
        self.flat = self.flat[kept]
        self.n_steps = self.n_steps[kept]
        self.settings = self.settings[kept]
        self.moments = self.moments[:, kept]
        self.buffers = {name: values[kept] for name, values in self.buffers.items()}
        if self.best is not None:
            self.best = {name: values[kept] for name, values in self.best.items()}
        self.training.keep(kept)
        if self.validation is not None:
            self.validation.keep(kept)
        self._share_parameters()


def _map(function, *arguments):
    """Call a function of one fit for all fits at once; arguments that are None stay None."""
    dims = tuple(None if argument is None else 0 for argument in arguments)
    return vmap(function, in_dims=dims)(*arguments)


class _Graph:
    """A training step as CUDA graphs, one for each batch size.

    The first steps of a size run as usual; then the step is recorded, and replayed from there on.
    The first replay of each size is compared with an ordinary step. If recording fails or the
    results differ, all steps of this process run as usual from there on.

    Parameters
    ----------
    step : callable
        Takes the rows and the noise of a batch, changes `state`, and returns the losses.
    state : list of Tensor
        What a step changes.
    device : torch.device
    """

    has_failed = False  # in this process

    def __init__(
        self,
        step: Callable[[Tensor, Sequence[Tensor | None]], Tensor],
        state: list[Tensor],
        device: torch.device,
    ) -> None:
        self.step = step
        self.state = state
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.n_steps: dict[int, int] = {}  # by batch size
        self.recorded: dict[int, tuple] = {}

    def __call__(self, rows: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        width = rows.shape[1]
        self.n_steps[width] = self.n_steps.get(width, 0) + 1
        if _Graph.has_failed:
            return self.step(rows, noise)
        if self.n_steps[width] <= _WARM_UP:
            current = torch.cuda.current_stream(self.device)
            self.stream.wait_stream(current)
            with torch.cuda.stream(self.stream):
                losses = self.step(rows, noise)
            current.wait_stream(self.stream)
            return losses
        if width in self.recorded:
            return self._replay(width, rows, noise)
        before = [values.clone() for values in self.state]
        try:
            self._record(width, rows, noise)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            return self._give_up(f"could not be recorded ({error})", before, rows, noise)
        losses = self._replay(width, rows, noise)
        after = [values.clone() for values in self.state]
        _restore(self.state, before)
        expected = self.step(rows, noise)
        pairs = zip([losses, *after], [expected, *self.state], strict=True)
        if all(torch.allclose(one, other, rtol=1e-4, atol=1e-6) for one, other in pairs):
            return expected
        return self._give_up("gives different results", before, rows, noise)

    def _record(self, width, rows, noise):
        # A replay reads its inputs from the same memory as the recording.
        graph_rows = rows.clone()
        graph_noise = [None if x is None else x.clone() for x in noise]
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the device in the meantime.
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            losses = self.step(graph_rows, graph_noise)
        self.recorded[width] = graph, graph_rows, graph_noise, losses

    def _replay(self, width, rows, noise):
        graph, graph_rows, graph_noise, losses = self.recorded[width]
        graph_rows.copy_(rows)
        for target, values in zip(graph_noise, noise, strict=True):
            if target is not None:
                target.copy_(values)
        graph.replay()
        return losses.clone()

    def _give_up(self, reason, before, rows, noise):
        """Warn, and run this step and all later ones as usual."""
        _Graph.has_failed = True
        self.recorded.clear()
        warnings.warn(
            f"graphs=True: the training step as a CUDA graph {reason}. Steps are run as usual.",
            RuntimeWarning,
            stacklevel=2,
        )
        _restore(self.state, before)
        return self.step(rows, noise)


def _restore(state, before):
    for values, earlier in zip(state, before, strict=True):
        values.copy_(earlier)
