"""Losses and probabilities from class scores."""

from torch import Tensor
from torch.nn import functional


def window_losses(scores: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of each window; for an ensemble, the mean over its members.

    Parameters
    ----------
    scores : Tensor of shape (n_windows, n_classes) or (n_windows, n_classes, n_members)
    y : Tensor of shape (n_windows,)
        Index of each window's class.

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


def mean_probabilities(scores: Tensor) -> Tensor:
    """Class probabilities, of shape (n_windows, n_classes); see `window_losses` for `scores`."""
    probabilities = scores.softmax(1)
    return probabilities if scores.dim() == 2 else probabilities.mean(2)
