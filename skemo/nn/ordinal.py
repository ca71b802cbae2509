"""Class scores for ordered classes, from one number per target."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class OrdinalLink(nn.Module):
    """Cumulative link model: ordered thresholds divide one number into classes.

    With the number ``η`` and the thresholds ``θ₁ < θ₂ < …``, the probability of one of the
    first k classes is ``σ(θₖ - η)``. The distances between thresholds are positive by
    construction, so their order holds throughout training.

    Parameters
    ----------
    n_classes : sequence of int
        Number of classes of each target, at least two.

    References
    ----------
    McCullagh (1980). Regression models for ordinal data.

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import OrdinalLink
    >>> scores = OrdinalLink([5])(torch.tensor([[-9.0], [9.0]]))
    >>> scores.argmax(1).tolist()
    [0, 4]
    """

    def __init__(self, n_classes: Sequence[int]) -> None:
        super().__init__()
        self.first = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in n_classes])
        # Distances are softplus(·), and start at 1.
        self.distances = nn.ParameterList(
            [nn.Parameter(torch.full((n - 2,), math.log(math.e - 1))) for n in n_classes]
        )

    def start_at(self, frequencies: Sequence[Tensor]) -> None:
        """Set the thresholds so that a number of 0 gives these class frequencies."""
        with torch.no_grad():
            for first, distances, share in zip(
                self.first, self.distances, frequencies, strict=True
            ):
                below = share.double().cumsum(0)[:-1].clamp(1e-6, 1 - 1e-6)
                thresholds = below.logit()
                first.copy_(thresholds[:1])
                gaps = thresholds.diff().clamp_min(1e-3)
                distances.copy_(gaps + torch.log(-torch.expm1(-gaps)))  # inverse of softplus

    def forward(self, outputs: Tensor) -> Tensor:
        """Return the logarithms of the class probabilities, (n_windows, total of n_classes).

        Parameters
        ----------
        outputs : Tensor of shape (n_windows, n_targets)
        """
        parts = []
        for place, first, distances in zip(
            outputs.unbind(1), self.first, self.distances, strict=True
        ):
            gaps = functional.softplus(distances).clamp_min(1e-6)
            thresholds = torch.cat([first, first + gaps.cumsum(0)])
            above = thresholds - place.unsqueeze(1)  # (n_windows, n_classes - 1)
            # With σ the logistic function, log(σ(b) - σ(a)) is
            # log σ(b) + log σ(-a) + log(1 - exp(a - b)), in which nothing cancels.
            upper = functional.pad(functional.logsigmoid(above), (0, 1))
            lower = functional.pad(functional.logsigmoid(-above), (1, 0))
            between = functional.pad(torch.log(-torch.expm1(-gaps)), (1, 1))
            parts.append(upper + lower + between)
        return torch.cat(parts, dim=1)
