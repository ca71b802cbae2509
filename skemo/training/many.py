"""Many fits of one network at once: stacked parameters, one batched computation a step."""

import contextlib
import contextvars
import copy
import time
import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from torch.func import functional_call, stack_module_state, vmap

from skemo.nn import counted_rows
from skemo.nn.losses import mean_probabilities, window_losses
from skemo.training.batches import StackedWindows, WindowSet, batch_sizes
from skemo.training.devices import (
    empty_cache,
    in_smaller_blocks,
    is_out_of_memory,
    out_of_memory,
    reproducible,
)
from skemo.training.early_stopping import Stopping

_COLLECTED = contextvars.ContextVar("collected", default=None)
# Parameters of a classifier in which fits that are trained together may differ.
_OWN = {
    *("class_weight", "dropout", "input_noise", "lr", "max_epochs", "patience", "random_state"),
    *("validation_fraction", "weight_decay"),
}
_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # of AdamW, as in torch
_FACTORS = 2  # of what a network draws, the first are factors; the others are added to inputs
_EVALUATED = 256  # validation windows of each fit looked at together
_SMALL_MAP = 1 << 18  # values of a feature map up to which stacking pays on a CPU
_WARM_UP = 3  # steps before a CUDA graph is captured


@dataclass
class Fit:
    """A fit of a classifier that is ready to be trained.

    Attributes
    ----------
    classifier : FusionClassifier
        With its untrained net.
    windows, validation : WindowSet
        On the CPU; `validation` is None without early stopping.
    random_state : Tensor
        State of a torch.Generator after the initial weights were drawn.
    error : Exception or None
        Why it could not be trained.
    """

    classifier: object
    windows: WindowSet
    validation: WindowSet | None
    random_state: torch.Tensor
    error: Exception | None = field(default=None, init=False)

    @property
    def network(self):
        return self.classifier.net_.module

    @property
    def device(self):
        return torch.device(self.classifier.net_.device)

    @property
    def n_bytes(self):
        """Size of the windows, and of the noise that is added to them in an epoch."""
        n_added = self.classifier.n_members if self.classifier.input_noise > 0 else 0
        sets = [windows for windows in (self.windows, self.validation) if windows is not None]
        return (1 + n_added) * sum(values.nbytes for windows in sets for values in windows.inputs)

    @property
    def is_watched(self):
        """Whether the user follows each epoch, which only skorch's loop allows."""
        return bool(self.classifier.callbacks) or self.classifier.verbose > 0

    @property
    def gains(self):
        """Whether fits like it are faster together than one after another, as far as measured."""
        if self.is_watched or self.device.type != "cpu":
            return False
        places = max(values[0, 0].numel() for values in self.windows.inputs)
        map_size = self.classifier.batch_size * self.classifier.n_filters * places
        return map_size <= _SMALL_MAP

    def key(self):
        """What must be equal for two fits to be trained together."""
        parameters = self.classifier.get_params(deep=False)
        return (
            type(self.classifier),
            str(sorted((name, value) for name, value in parameters.items() if name not in _OWN)),
            tuple(tuple(values.shape[1:]) for values in self.windows.inputs),
            len(self.classifier.classes_),
        )

    def train_alone(self):
        """Train by skorch's loop."""

        def train(_):
            sides = [x if x is None else x.to(self.device) for x in (self.windows, self.validation)]
            with reproducible(self.device):
                torch.set_rng_state(self.random_state)
                self.classifier._fit_net(*sides)

        in_smaller_blocks(train, 1, self.device)


def fit_many(estimators, Xs, ys, *, fit_params=None, on_error="raise"):
    """Fit many estimators, and train the networks among them as one computation.

    The parameters of networks of one form are stacked, and each step updates all of them, which
    is faster than one fit after another where the windows are small. Each network has its own
    rows, order of batches, initial weights, learning rate, weight decay and early stopping, and
    ends as it would by itself, but for rounding: in double precision the losses of all epochs agree
    to 1e-9, in single precision a difference of rounding grows with the number of steps.

    Parameters
    ----------
    estimators : sequence of estimators
        Not changed. Networks of this library, and Pipelines that end in one, are trained
        together where they differ in nothing but `class_weight`, `dropout`, `input_noise`, `lr`,
        `max_epochs`, `patience`, `random_state`, `validation_fraction` and `weight_decay`; those
        with `callbacks` or `verbose`, and any other estimator, are fitted by themselves.
    Xs : sequence of DataFrames or arrays
        The windows of each.
    ys : sequence of arrays
        The labels of each.
    fit_params : sequence of dict or None, default=None
        What ``fit`` of each is given besides, as ``{"groups": subjects}``.
    on_error : {"raise", "return"}, default="raise"
        A fit that fails raises its exception, the first one first; or the exception takes the
        place of the estimator, and the others are fitted.

    Returns
    -------
    list of estimators
        Fitted clones.

    Raises
    ------
    ValueError
        The sequences differ in length.

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
            "estimators, Xs, ys and fit_params must have one entry a fit, got "
            f"{', '.join(map(str, lengths))} entries."
        )
    begun = []
    for estimator, X, y, params in zip(estimators, Xs, ys, given, strict=True):
        model, fit = begin_fit(estimator, X, y, params)
        if isinstance(model, Exception):
            if on_error == "raise":
                raise model
            model = model.with_traceback(None)  # whose frames hold the rows
        begun.append((model, fit))
    fitted = finish_fits(begun)
    failed = [model for model in fitted if isinstance(model, Exception)]
    if failed and on_error == "raise":
        raise failed[0]
    return fitted


def begin_fit(estimator, X, y, fit_params):
    """Fit a clone of an estimator, but leave the training of its network to `finish_fits`.

    Parameters
    ----------
    estimator : estimator
    X, y, fit_params
        Windows, labels, and what ``fit`` is given besides, a dict.

    Returns
    -------
    model : estimator or Exception
        The clone, or what its ``fit`` raised.
    fit : Fit or None
        The training that is left; None if there is none.
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


def finish_fits(begun):
    """Train the networks of fits that were begun, as one computation.

    Parameters
    ----------
    begun : sequence of (model, fit)
        As `begin_fit` returns them.

    Returns
    -------
    list of estimators and exceptions
        Each model, or what ended its fit.
    """
    train_together([fit for _, fit in begun if fit is not None])
    return [model if fit is None or fit.error is None else fit.error for model, fit in begun]


def ends_in_network(model):
    """Whether a model is a network of this library, or a Pipeline whose last step alone is one."""
    if isinstance(model, Pipeline):
        *others, network = [step for _, step in model.steps]
    else:
        others, network = [], model
    parts = [*others, *(part for step in others for part in _parameters(step))]
    return _is_network(network) and not any(map(_is_network, parts))


def gains_together(model, X, y, fit_params):
    """Whether fits of a model are faster together, judged by the first of them.

    Parameters
    ----------
    model : estimator
    X, y, fit_params
        Of one of the fits.
    """
    with collected_fits() as fits, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is all done again
        try:
            clone(model).fit(X, y, **fit_params)
        except Exception:  # fails again where it is reported
            return False
    return bool(fits) and fits[0].gains


def _is_network(part):
    return getattr(part, "trains_together", False)


def _parameters(step):
    return step.get_params().values() if hasattr(step, "get_params") else []


@contextlib.contextmanager
def collected_fits():
    """Let classifiers that are fitted here only prepare their fits, which the list collects."""
    fits = []
    token = _COLLECTED.set(fits)
    try:
        yield fits
    finally:
        _COLLECTED.reset(token)


def train_or_collect(fit):
    """Collect a fit where fits are collected; train it where they are not."""
    fits = _COLLECTED.get()
    if fits is None or fit.is_watched:
        fit.train_alone()
    else:
        fits.append(fit)


def train_together(fits):
    """Train fits, those of equal networks as one computation.

    Each has its own rows, order, initial weights, learning rate, weight decay and early
    stopping, and ends as it would by itself, but for rounding. A fit that cannot be trained has
    the reason in its `error`.

    Parameters
    ----------
    fits : sequence of Fit
    """
    groups = {}
    for fit in fits:
        groups.setdefault(fit.key(), []).append(fit)
    waiting = list(groups.values())
    while waiting:
        group = waiting.pop()
        left, failure = _train_group(group)
        empty_cache(group[0].device)
        if len(left) > 1:
            half = len(left) // 2
            waiting += [left[:half], left[half:]]
        elif left:
            left[0].error = failure


def _train_group(fits):
    """Train fits of equal networks; return those that were not ended by a failure, and which."""
    device, stack = fits[0].device, None
    try:
        with reproducible(device):
            stack = _Stack(fits, device)
            stack.train()
        return [], None
    except Exception as error:
        lacks = is_out_of_memory(error)
        # Its frames hold the windows of all.
        failure = out_of_memory(device) if lacks else error.with_traceback(None)
    return fits if stack is None else stack.unfinished(), failure


class _Stack:
    """Fits in training: what each has is stacked along a first axis, (n_fits, ...)."""

    def __init__(self, fits, device):
        self.device = device
        self.fits = list(fits)
        networks = [fit.network for fit in fits]
        self.structure = copy.deepcopy(networks[0]).to(device)
        parameters, buffers = stack_module_state(networks)
        self.names = list(parameters)
        self.shapes = [values.shape[1:] for values in parameters.values()]
        self.buffers = {name: values.to(device) for name, values in buffers.items()}
        self.flat = torch.cat([p.detach().flatten(1) for p in parameters.values()], 1).to(device)
        self.moments = torch.stack(2 * [torch.zeros_like(self.flat)])
        self.n_steps = torch.zeros_like(self.flat[:, :1])
        settings = [(fit.classifier.lr, fit.classifier.weight_decay) for fit in fits]
        self.settings = self.flat.new_tensor(settings)
        self.training = StackedWindows([fit.windows for fit in fits], device)
        self.validation = None
        if fits[0].validation is not None:
            self.validation = StackedWindows([fit.validation for fit in fits], device)
        self.generators = [torch.Generator() for _ in fits]
        for generator, fit in zip(self.generators, fits, strict=True):
            generator.set_state(fit.random_state)
        self.stopping = [Stopping(fit.classifier) for fit in fits]
        self.ended = np.zeros(len(fits), bool)
        self.best = None
        self._share_parameters()

    def unfinished(self):
        return [fit for fit, ended in zip(self.fits, self.ended, strict=True) if not ended]

    def train(self):
        """Train until the last fit is done, and give each its network and history."""
        for fit in self.fits:
            fit.classifier.net_.initialize()
        try:
            while not self.ended.all():
                self._train_epoch()
        finally:
            self.graph = None  # which refers to this stack, and would keep it on the device

    def _train_epoch(self):
        started = time.perf_counter()
        losses = self._run_epoch()
        scores = [None] * len(self.fits) if self.validation is None else self._validate()
        seconds = (time.perf_counter() - started) / len(self.fits)
        going = np.flatnonzero(~self.ended)
        is_last = [self._record(k, losses[k], scores[k], seconds) for k in going]
        if self.validation is not None:
            self._keep_best()
        for k in going[is_last]:
            self._hand_over(k)
            self.ended[k] = True
        # A graph is recorded anew for fewer fits: that must be worth it.
        enough = 1 if self.graph is None else max(1, len(self.fits) // 4)
        if enough <= self.ended.sum() < len(self.fits):
            self._keep(np.flatnonzero(~self.ended))

    def _share_parameters(self):
        """Views of the flat parameters, with the names and shapes that the network knows."""
        self.parameters, start = {}, 0
        for name, shape in zip(self.names, self.shapes, strict=True):
            part = self.flat[:, start : start + shape.numel()].unflatten(1, shape or (1,))
            self.parameters[name] = part.view(-1, *shape).detach().requires_grad_()
            start += shape.numel()
        self.graph = _Graph(self._step) if self.device.type == "cuda" else None

    def _run_epoch(self):
        """Train for an epoch; return the mean loss of each fit, an array."""
        self.structure.train()
        sizes, rows, noise = self._draw_epoch()
        losses = []
        for step, size in enumerate(sizes.T):
            width = size.max()
            counted = None
            if (size < width).any():
                counted = torch.arange(width) < torch.from_numpy(size)[:, None]
                counted = counted.to(self.flat)
            batch = rows[step, :, :width], [x if x is None else x[step, :, :width] for x in noise]
            run = self._step if self.graph is None or counted is not None else self.graph
            losses.append(run(*batch, counted))
        losses = torch.stack(losses, dim=1).cpu().numpy()
        return (losses.astype(float) * sizes).sum(axis=1) / sizes.sum(axis=1)

    def _draw_epoch(self):
        """Batches of an epoch, drawn as each fit would by itself.

        Returns
        -------
        sizes : ndarray of shape (n_fits, n_batches)
            0 after a fit's last batch.
        rows : Tensor of shape (n_batches, n_fits, largest)
        noise : list of Tensor of shape (n_batches, n_fits, largest, ...), or None
            As `draw_noise` of the network gives it.
        """
        plans = [batch_sizes(len(fit.windows), fit.classifier.batch_size) for fit in self.fits]
        sizes = np.zeros((len(plans), max(map(len, plans))), int)
        for k, plan in enumerate(plans):
            sizes[k, : len(plan)] = plan
        shape = sizes.shape[1], len(plans), sizes.max()
        rows, noise = torch.zeros(shape, dtype=torch.long), {}
        for k, (generator, plan) in enumerate(zip(self.generators, plans, strict=True)):
            order = torch.randperm(sum(plan), generator=generator).split(plan)
            for step, part in enumerate(order):
                rows[step, k, : len(part)] = part
                drawn = self.fits[k].network.draw_noise(len(part), generator)
                for i, values in enumerate(drawn):
                    if values is None:
                        noise.setdefault(i)
                        continue
                    if noise.get(i) is None:  # where a fit has no noise, all is kept, or 0 added
                        neutral = torch.ones if i < _FACTORS else torch.zeros
                        noise[i] = neutral(*shape, *values.shape[1:])
                    noise[i][step, k, : len(part)] = values
        noise = [None if x is None else x.to(self.flat) for _, x in sorted(noise.items())]
        return sizes, rows.to(self.device), noise

    def _step(self, rows, noise, counted=None):
        """Update every fit by a batch of its own; return the losses, (n_fits,)."""
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
        state = parameters, buffers
        with counted_rows(self.structure, counted):
            scores = functional_call(self.structure, state, (inputs, present, noise))
        loss = window_losses(scores, y) * weight
        if counted is None:
            return loss.mean()
        return (loss * counted).sum() / counted.sum().clamp_min(1)

    def _update(self, gradient, active):
        """A step of AdamW for the fits that are `active`, (n_fits, 1)."""
        lr, weight_decay = self.settings[:, :1], self.settings[:, 1:]
        first, second = self.moments
        gradient = torch.where(active > 0, gradient, 0.0)  # even where it is not finite
        self.n_steps += active
        first += active * (1 - _BETAS[0]) * (gradient - first)
        second += active * (1 - _BETAS[1]) * (gradient.square() - second)
        n_steps = self.n_steps.clamp_min(1)
        corrections = [1 - beta**n_steps for beta in _BETAS]
        spread = (second / corrections[1]).sqrt() + _EPSILON
        self.flat *= 1 - active * lr * weight_decay
        self.flat -= active * (lr / corrections[0]) * first / spread

    def _validate(self):
        """Mean loss and share of right answers on the validation windows, (n_fits, 2)."""
        self.structure.eval()
        totals = torch.zeros(len(self.fits), 2, device=self.device, dtype=torch.double)
        windows = self.validation
        with torch.no_grad():
            for rows in torch.arange(windows.n_most, device=self.device).split(_EVALUATED):
                inputs, present, y, weight = windows.take(rows.expand(len(self.fits), -1))
                counted = rows < windows.n_rows[:, np.newaxis]
                state = self.parameters, self.buffers
                scores = _map(self._scores, *state, inputs, present)
                scores = scores.flatten(0, 1)
                loss = window_losses(scores, y.flatten()).view_as(weight)
                is_right = mean_probabilities(scores).argmax(1).view_as(y) == y
                totals[:, 0] += (loss * weight * counted).sum(1)
                totals[:, 1] += (is_right * counted).sum(1)
        return (totals / windows.n_rows[:, np.newaxis]).cpu().numpy()

    def _scores(self, parameters, buffers, inputs, present):
        return functional_call(self.structure, (parameters, buffers), (inputs, present))

    def _record(self, k, loss, scores, seconds):
        """Write an epoch of a fit into its history; return whether it was the last."""
        history = self.fits[k].classifier.net_.history
        record = {"train_loss": loss}
        if scores is not None:
            record |= {"valid_loss": scores[0], "valid_acc": scores[1]}
        history.new_epoch()
        history.record("epoch", len(history))
        for name, value in record.items():
            history.record(name, float(value))
            history.record(f"{name}_best", self.stopping[k].is_best(name, value))
        history.record("dur", seconds)
        return self.stopping[k].is_last(len(history), record)

    def _keep_best(self):
        """Remember parameters and buffers of the fits whose best epoch this is."""
        state = {"flat": self.flat, **self.buffers}
        if self.best is None:
            self.best = {name: values.clone() for name, values in state.items()}
            return
        improved = torch.tensor([stopping.misses == 0 for stopping in self.stopping])
        improved = improved.to(self.device)
        for name, values in state.items():
            shape = -1, *[1] * (values.dim() - 1)
            self.best[name] = torch.where(improved.view(shape), values, self.best[name])

    def _hand_over(self, k):
        """Give a fit that is done its trained network, and the state of its optimiser."""
        net = self.fits[k].classifier.net_
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
            self.fits[k].classifier._check_converged()
        except ValueError as error:
            self.fits[k].error = error

    def _keep(self, chosen):
        """Go on with some of the fits."""
        for name in ("fits", "generators", "stopping"):
            setattr(self, name, [getattr(self, name)[k] for k in chosen])
        self.ended = self.ended[chosen]
        chosen = torch.from_numpy(chosen).to(self.device)
        for name in ("flat", "n_steps", "settings"):
            setattr(self, name, getattr(self, name)[chosen])
        self.moments = self.moments[:, chosen]
        self.buffers = {name: values[chosen] for name, values in self.buffers.items()}
        if self.best is not None:
            self.best = {name: values[chosen] for name, values in self.best.items()}
        self.training.keep(chosen)
        if self.validation is not None:
            self.validation.keep(chosen)
        self._share_parameters()


def _map(function, *arguments):
    """Call a function of one fit for all fits at once; None is passed on as it is."""
    dims = tuple(None if argument is None else 0 for argument in arguments)
    return vmap(function, in_dims=dims)(*arguments)


class _Graph:
    """A step as CUDA graphs, one for each size of batch: run a few times, recorded, replayed."""

    def __init__(self, step):
        self.step = step
        self.stream = torch.cuda.Stream()
        self.n_run = {}
        self.recorded = {}

    def __call__(self, rows, noise, counted=None):
        width = rows.shape[1]
        self.n_run[width] = self.n_run.get(width, 0) + 1
        if self.n_run[width] <= _WARM_UP:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                losses = self.step(rows, noise)
            torch.cuda.current_stream().wait_stream(self.stream)
            return losses
        if width not in self.recorded:
            places = rows.clone(), [x if x is None else x.clone() for x in noise]
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the device meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                losses = self.step(*places)
            self.recorded[width] = graph, places, losses
        graph, (own_rows, own_noise), losses = self.recorded[width]
        own_rows.copy_(rows)
        for own, given in zip(own_noise, noise, strict=True):
            if own is not None:
                own.copy_(given)
        graph.replay()
        return losses.clone()
