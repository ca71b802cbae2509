"""The skorch nets of the network estimators."""

from collections.abc import Callable
from typing import Any

import torch
from skorch import NeuralNet, NeuralNetClassifier
from skorch.callbacks import Callback

from skemo.training.batches import Batches, WindowSet
from skemo.training.objectives import Objective
from skemo.training.optimizer import FlatAdamW


class FusionNet(NeuralNet):
    """A skorch net that trains on a WindowSet, with the loss of an `Objective`.

    Validation data is passed as ``fit((training, validation))``, where `validation` may be
    None. Batches and noise are drawn from `generator`, which is not pickled.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        *,
        objective: Objective,
        mixup: float = 0.0,
        **settings: Any,
    ) -> None:
        # The loss is that of the objective, but skorch requires a criterion.
        super().__init__(module, criterion=torch.nn.MSELoss, **settings)
        self.objective = objective
        self.mixup = mixup
        self.generator: torch.Generator | None = None  # None is torch's own

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple:
        return X if isinstance(X, tuple) else (X, None)

    def get_iterator(self, dataset: WindowSet, training: bool = False) -> Batches:
        return Batches(
            dataset,
            batch_size=self.batch_size,
            shuffle=training,
            generator=self.generator,
            mixup=self.mixup if training else 0.0,
        )

    def check_data(self, X: Any, y: Any) -> None:
        """Do nothing: the estimator has already checked the data."""

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        super().on_train_begin(net, **kwargs)
        if isinstance(self.optimizer_, FlatAdamW):
            self.optimizer_.bind()

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        super().on_train_end(net, **kwargs)
        if isinstance(self.optimizer_, FlatAdamW):
            self.optimizer_.release()

    def _set_training(self, training=True):
        # skorch sets the mode of every module before each step, which takes a twentieth of its
        # time. Without callbacks, nothing can have changed the mode in the meantime.
        if self.module_.training != training or not isinstance(self.optimizer_, FlatAdamW):
            super()._set_training(training)

    def infer(self, x: dict[str, Any], **fit_params: Any) -> torch.Tensor:
        noise = None
        if self.module_.training:
            noise = self.module_.draw_noise(len(x["present"]), self.generator)
        return self.module_(x["inputs"], x["present"], noise)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "generator": None}

    def run_single_epoch(
        self,
        iterator: Batches | None,
        training: bool,
        prefix: str,
        step_fn: Callable[..., dict[str, Any]],
        **fit_params: Any,
    ) -> None:
        """Run an epoch as skorch does, but leave the losses on the device until it ends."""
        if iterator is None or self._has_batch_callbacks():
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
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

    def _has_batch_callbacks(self):
        """Whether a callback of the user's acts at the end of each batch."""
        own = [name for name, _ in self._default_callbacks]
        added = [callback for name, callback in self.callbacks_ if name not in own]
        return any(type(x).on_batch_end is not Callback.on_batch_end for x in added)

    def get_loss(
        self,
        y_pred: torch.Tensor,
        y_true: torch.Tensor,
        X: dict[str, Any],
        training: bool = False,
    ) -> torch.Tensor:
        if "partner" not in X:
            return self.objective.batch_loss(y_pred, y_true, X["weight"])
        partner, share = X["partner"], X["share"].unsqueeze(1)
        own = self.objective.batch_loss(y_pred, y_true, share * X["weight"])
        others = (1 - share) * X["weight"][partner]
        return own + self.objective.batch_loss(y_pred, y_true[partner], others)


class FusionClassifierNet(FusionNet, NeuralNetClassifier):
    """A `FusionNet` for one target with classes, which records the accuracy of each epoch."""
