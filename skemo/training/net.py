"""The skorch net that the classifiers build."""

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from skemo.nn.losses import window_losses
from skemo.training.batches import Batches
from skemo.training.optimizer import FlatAdamW


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
