"""Networks of the same form whose parameters are stacked, and which every step updates."""

import copy
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from skemo.nn import counted_rows
from skemo.training.batches import StackedWindows, batch_sizes
from skemo.training.early_stopping import Stopping
from skemo.training.fit import Fit
from skemo.training.graphs import Graph
from skemo.training.net import FusionClassifierNet

# Parameters of AdamW: the defaults of torch.
_BETA1, _BETA2 = 0.9, 0.999
_EPSILON = 1e-8
_VALIDATION_BATCH = 256  # validation windows of each fit that are evaluated together


class Stack:
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
        self.graph: Graph | None = None
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
        if self.graphs and not Graph.has_failed:
            state = [self.flat, self.n_steps, self.moments, *self.buffers.values()]
            self.graph = Graph(self._step, state, self.device)

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
