"""A fit of a network that is ready to be trained."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

import torch

from skemo.nn.fusing import fused_parts
from skemo.training.batches import WindowSet
from skemo.training.devices import (
    in_smaller_blocks,
    reproducible,
    seeded,
)
from skemo.training.scratch import ScratchArray

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
        """Whether the user follows each epoch, which only skorch's loop allows."""
        return bool(self.estimator.callbacks) or self.estimator.verbose > 0

    @property
    def stacks(self) -> bool:
        """Whether such fits can be trained together.

        The user's own modules and losses may do something that cannot be stacked, a loss that is
        not a mean over windows would depend on the validation batches, and only skorch's loop
        mixes windows. Windows in a file are too many to train several fits at once.
        """
        objective = self.estimator.net_.objective
        return (
            not self.is_watched
            and objective.is_mean
            and not self.estimator.mixup
            and not callable(objective.loss)
            and not isinstance(self.windows.inputs[0], ScratchArray)
            and self.network.can_be_stacked
        )

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
            with reproducible(self.device), self._seeded(generator), fused_parts():
                windows = self.windows.to(self.device)
                validation = None if self.validation is None else self.validation.to(self.device)
                self.estimator._fit_net(windows, validation, generator)

        in_smaller_blocks(train, 1, self.device)

    def _seeded(self, generator):
        """Seed torch's global generators if the network draws from them."""
        if self.network.can_be_stacked:
            return contextlib.nullcontext()
        return seeded(generator.initial_seed(), self.device)
