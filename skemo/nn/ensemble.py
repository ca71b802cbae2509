"""Several networks of one form, whose probabilities are averaged."""

import math

import torch
from torch import nn


class FusionEnsemble(nn.Module):
    """Several networks of one form, whose probabilities are averaged.

    Members differ in their initial weights and in what is random in training, and each has its
    own loss: training them together is training each by itself, on the same batches. What they
    agree on remains; where they differ by chance, the mean is nearer to the truth than one of
    them is as a rule [1]_.

    Parameters
    ----------
    members : sequence of FusionNetwork
        With the same inputs and classes.

    Attributes
    ----------
    members : ModuleList
        The networks.
    vector_sizes : list of int
        How many numbers of the fused representation each modality has.

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

    def __init__(self, members):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.vector_sizes = [len(members) * size for size in members[0].vector_sizes]

    def forward(self, inputs, present, noise=None):
        """Return the class scores of each member, (batch, n_classes, n_members).

        The arguments are those of one network.
        """
        parts = self._evaluate_members(inputs, present, noise)
        return torch.stack([scores for _, _, scores in parts], dim=2)

    def evaluate(self, inputs, present, noise=None):
        """Return weights, averaged over members, the fused representation, and joint scores.

        The fused representation has the numbers of all members, modality by modality. The
        scores, (batch, n_classes), are logarithms of the mean probabilities.
        """
        weights, fused, scores = zip(*self._evaluate_members(inputs, present, noise), strict=True)
        sizes = self.members[0].vector_sizes
        by_modality = zip(*(vectors.split(sizes, dim=1) for vectors in fused), strict=True)
        fused = torch.cat([vector for vectors in by_modality for vector in vectors], dim=1)
        joint = torch.stack(scores).log_softmax(2).logsumexp(0) - math.log(len(self.members))
        return torch.stack(weights).mean(0), fused, joint

    def draw_noise(self, n_windows, generator=None):
        """Draw what is random in training for each member; the columns of all stand together."""
        drawn = [member.draw_noise(n_windows, generator) for member in self.members]
        of_kind = zip(*drawn, strict=True)
        return [None if parts[0] is None else torch.cat(parts, dim=1) for parts in of_kind]

    def _evaluate_members(self, inputs, present, noise):
        n_members = len(self.members)
        shares = n_members * [None]
        if noise is not None:
            parts = [n_members * [None] if x is None else x.chunk(n_members, 1) for x in noise]
            shares = zip(*parts, strict=True)
        return [
            member.evaluate(inputs, present, share)
            for member, share in zip(self.members, shares, strict=True)
        ]
