"""Several networks of the same form whose predictions are averaged."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skemo.nn.base import FusionNetwork


class FusionEnsemble(nn.Module):
    """Several networks of the same form whose predictions are averaged.

    Members differ in their initial weights and in the random numbers of training. Each has its
    own loss, so training them together amounts to training each of them alone on the same
    batches. Averaging keeps what the members agree on and reduces errors that they make by
    chance, so it is usually more accurate than a single member [1]_.

    Parameters
    ----------
    members : sequence of FusionNetwork
        Networks for the same inputs and targets.

    Attributes
    ----------
    members : ModuleList
        The networks.
    vector_sizes : list of int
        Number of features that each modality has in the fused representation.

    References
    ----------
    .. [1] Lakshminarayanan, Pritzel, Blundell (2017). Simple and scalable predictive
       uncertainty estimation using deep ensembles. https://arxiv.org/abs/1612.01474

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import FusionEnsemble, ModalityAwareAttentionNetwork
    >>> network = FusionEnsemble([ModalityAwareAttentionNetwork([(1, 33)], 2) for _ in range(3)])
    >>> network([torch.zeros(5, 1, 33)], torch.ones(5, 1)).shape
    torch.Size([5, 2, 3])
    """

    def __init__(self, members: Sequence[FusionNetwork]) -> None:
        super().__init__()
        self.members: Any = nn.ModuleList(members)  # mypy knows its items as Module only
        self.can_be_stacked = members[0].can_be_stacked
        self.vector_sizes = [len(members) * size for size in members[0].vector_sizes]

    def forward(
        self,
        inputs: Sequence[Tensor],
        present: Tensor,
        noise: Sequence[Tensor | None] | None = None,
    ) -> Tensor:
        """Return the outputs of each member, of shape (batch, n_outputs, n_members).

        The parameters are those of `FusionNetwork.forward`.
        """
        outputs = [
            member(inputs, present, own)
            for member, own in zip(self.members, self._by_member(noise), strict=True)
        ]
        return torch.stack(outputs, dim=2)

    def evaluate(
        self,
        inputs: Sequence[Tensor],
        present: Tensor,
        noise: Sequence[Tensor | None] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean attention weights, the fused representation and all outputs.

        The fused representation holds the features of all members, grouped by modality. The
        outputs, of shape (batch, n_outputs, n_members), are those of `forward`.
        """
        results = [
            member.evaluate(inputs, present, own)
            for member, own in zip(self.members, self._by_member(noise), strict=True)
        ]
        weights, fused, outputs = zip(*results, strict=True)
        sizes = self.members[0].vector_sizes
        by_modality = zip(*(vectors.split(sizes, dim=1) for vectors in fused), strict=True)
        joined = torch.cat([vector for vectors in by_modality for vector in vectors], dim=1)
        return torch.stack(weights).mean(0), joined, torch.stack(outputs, dim=2)

    def draw_noise(
        self, n_windows: int, generator: torch.Generator | None = None
    ) -> list[Tensor | None]:
        """Draw the random numbers of each member, concatenated along the second axis.

        Parameters and results are those of `FusionNetwork.draw_noise`.
        """
        drawn = [member.draw_noise(n_windows, generator) for member in self.members]
        by_kind = zip(*drawn, strict=True)
        return [None if parts[0] is None else torch.cat(parts, dim=1) for parts in by_kind]

    def _by_member(self, noise: Sequence[Tensor | None] | None) -> list[list[Tensor | None] | None]:
        """Return the random numbers of each member."""
        n_members = len(self.members)
        if noise is None:
            return [None] * n_members
        parts = [[None] * n_members if x is None else x.chunk(n_members, 1) for x in noise]
        return [list(own) for own in zip(*parts, strict=True)]
