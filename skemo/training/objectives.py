"""What the outputs of a network mean: their loss in training, and how they are read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor], Tensor]  # outputs and targets to one loss per window

_FOCUS = 2.0  # exponent of the focal loss, as in its paper


class Objective(ABC):
    """The loss of a network's outputs, for one or several targets.

    Outputs have the shape (n_windows, n_outputs) or, for an ensemble, (n_windows, n_outputs,
    n_members); the loss of an ensemble is the mean over its members.

    Attributes
    ----------
    n_outputs : int
        Number of outputs of the network.
    is_mean : bool
        Whether the loss of a batch is the weighted mean of the losses of its windows.
    """

    n_outputs: int
    is_mean = True

    @abstractmethod
    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each window and target, of shape (n_windows, n_targets).

        `y`, of shape (n_windows, n_targets), has a number for each target, even if it is missing.
        """

    def batch_loss(
        self, outputs: Tensor, y: Tensor, weight: Tensor, counted: Tensor | None = None
    ) -> Tensor:
        """Return the loss of a batch, summed over targets.

        Parameters
        ----------
        outputs, y
            As in `losses`.
        weight : Tensor of shape (n_windows, n_targets)
            Weight of each target of each window; 0 if it is missing.
        counted : Tensor of shape (n_windows,), default=None
            1 for a window, 0 for padding; None counts all.
        """
        losses = (self.losses(outputs, y) * weight).sum(1)
        if counted is None:
            return losses.mean()
        return (losses * counted).sum() / counted.sum().clamp_min(1)


class ClassObjective(Objective):
    """Class labels: the outputs are the scores of the classes, target by target.

    Parameters
    ----------
    n_classes : sequence of int
        Number of classes of each target.
    loss : {"cross-entropy", "focal", "ordinal"} or callable, default="cross-entropy"
        "ordinal" is the cross-entropy of scores that come from an ordinal head.
    label_smoothing : float, default=0.0
        Share of the probability that is spread evenly over the classes.
    center_loss : float, default=0.0
        Weight of half the squared distance of a window from the centre of its class. In training,
        the distances from all centres follow the class scores.
    """

    def __init__(
        self,
        n_classes: Sequence[int],
        loss: Literal["cross-entropy", "focal", "ordinal"] | Loss = "cross-entropy",
        label_smoothing: float = 0.0,
        center_loss: float = 0.0,
    ) -> None:
        self.n_classes = list(n_classes)
        self.n_outputs = sum(n_classes)
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.center_loss = center_loss

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        parts = outputs[:, : self.n_outputs].split(self.n_classes, dim=1)
        pairs = zip(parts, y.unbind(1), strict=True)
        losses = torch.stack([self._target_losses(*pair) for pair in pairs], dim=1)
        if outputs.shape[1] == self.n_outputs:
            return losses
        return losses + self.center_loss / 2 * self._from_centers(outputs, y)

    def _from_centers(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the squared distance of each window from its class, (n_windows, n_targets)."""
        distances = outputs[:, self.n_outputs :]
        if distances.dim() == 3:
            distances = distances.mean(2)
        parts = distances.split(self.n_classes, dim=1)
        pairs = zip(parts, y.unbind(1), strict=True)
        return torch.cat([part.gather(1, codes.unsqueeze(1)) for part, codes in pairs], dim=1)

    def _target_losses(self, scores: Tensor, y: Tensor) -> Tensor:
        if callable(self.loss):
            return _over_members(self.loss, scores, y)
        if scores.dim() == 3:
            y = y.unsqueeze(1).expand(-1, scores.shape[2])
        losses = functional.cross_entropy(
            scores, y, reduction="none", label_smoothing=self.label_smoothing
        )
        if self.loss == "focal":
            probability = scores.softmax(1).gather(1, y.unsqueeze(1)).squeeze(1)
            losses = (1 - probability) ** _FOCUS * losses
        return losses if scores.dim() == 2 else losses.mean(1)

    def probabilities(self, outputs: Tensor) -> list[Tensor]:
        """Return the class probabilities of each target, of shape (n_windows, n_classes).

        Those of an ensemble are the mean over its members.
        """
        return [mean_probabilities(scores) for scores in outputs.split(self.n_classes, dim=1)]


def mean_probabilities(scores: Tensor) -> Tensor:
    """Class probabilities of one target, from scores of one network or of an ensemble."""
    probabilities = scores.softmax(1)
    return probabilities if scores.dim() == 2 else probabilities.mean(2)


class NumberObjective(Objective):
    """Numbers: the outputs are the standardised targets.

    Parameters
    ----------
    n_targets : int
    loss : {"mse", "huber", "ccc"} or callable, default="mse"
        "ccc" is one minus the concordance correlation coefficient of the batch.
    """

    def __init__(self, n_targets: int, loss: Literal["mse", "huber", "ccc"] | Loss = "mse") -> None:
        self.n_outputs = n_targets
        self.loss = loss
        self.is_mean = loss != "ccc"

    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        if callable(self.loss):
            pairs = zip(outputs.unbind(1), y.unbind(1), strict=True)
            return torch.stack([_over_members(self.loss, *pair) for pair in pairs], dim=1)
        if outputs.dim() == 3:
            y = y.unsqueeze(2).expand_as(outputs)
        function: Any = functional.huber_loss if self.loss == "huber" else functional.mse_loss
        losses = function(outputs, y, reduction="none")
        return losses if outputs.dim() == 2 else losses.mean(2)

    def batch_loss(
        self, outputs: Tensor, y: Tensor, weight: Tensor, counted: Tensor | None = None
    ) -> Tensor:
        if self.is_mean:
            return super().batch_loss(outputs, y, weight, counted)
        if counted is not None:
            weight = weight * counted.unsqueeze(1)
        members = [outputs] if outputs.dim() == 2 else outputs.unbind(2)
        return torch.stack([_discordance(one, y, weight).sum() for one in members]).mean()


def _over_members(loss, outputs, y):
    """Call a loss of one network, with outputs of shape (n_windows, ...), for each member."""
    is_class = not y.is_floating_point()
    if outputs.dim() == (2 if is_class else 1):
        return loss(outputs, y)
    return torch.stack([loss(one, y) for one in outputs.unbind(-1)]).mean(0)


def _discordance(predicted: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """One minus the concordance correlation coefficient of each target, (n_targets,).

    It is 0 for a target whose numbers, and predictions, are all the same.

    References
    ----------
    Lin (1989). A concordance correlation coefficient to evaluate reproducibility.
    """
    total = weight.sum(0).clamp_min(torch.finfo(weight.dtype).tiny)

    def mean(values):
        return (values * weight).sum(0) / total

    apart = mean((predicted - y) ** 2)
    spread = mean((predicted - mean(predicted)) ** 2) + mean((y - mean(y)) ** 2)
    offset = (mean(predicted) - mean(y)) ** 2
    return apart / (spread + offset).clamp_min(1e-6)
