"""What the networks of several modalities share."""

import torch
from torch import nn

from skemo.nn.blocks import ModalityDropout


class FusionNetwork(nn.Module):
    """What networks of several modalities share: noise in training, and the class scores.

    A subclass builds its parts, then calls `_finish`, and has ``_evaluate(inputs, present,
    luck, kept)``.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shape of one window of each modality.
    input_noise : float, default=0.0
        Standard deviation of the Gaussian noise that is added to the inputs in training.
        What is exactly 0, padding and what is missing, stays so.

    Attributes
    ----------
    vector_sizes : list of int
        How many numbers of the fused representation each modality has.
    bfloat16 : bool
        Whether convolutions and products are computed in bfloat16, by torch's autocast; False
        unless it is set.
    """

    bfloat16 = False

    def __init__(self, shapes, input_noise=0.0):
        super().__init__()
        self.shapes = [tuple(shape) for shape in shapes]
        self.input_noise = input_noise

    @property
    def members(self):
        """The networks that this one is made of: itself."""
        return [self]

    def _finish(self, vector_sizes, n_classes, dropout, modality_dropout):
        self.modality_dropout = ModalityDropout(modality_dropout)
        self.vector_sizes = vector_sizes
        self.dropout = dropout
        self.head = nn.Linear(sum(vector_sizes), n_classes)

    def forward(self, inputs, present, noise=None):
        """Return the class scores, (batch, n_classes).

        `inputs` holds one (batch, *shape) a modality; `present`, (batch, modalities), is 1
        where a window has the modality and 0 where not. In training, `noise` is what
        `draw_noise` gave; None draws it.
        """
        return self.evaluate(inputs, present, noise)[2]

    def evaluate(self, inputs, present, noise=None):
        """Return weights (batch, modalities), the fused representation, and the scores."""
        luck, kept, *added = self._noise(present, noise)
        inputs = [
            x if more is None else torch.where(x == 0, x, x + more)
            for x, more in zip(inputs, added, strict=True)
        ]
        if not self.bfloat16:
            return self._evaluate(inputs, present, luck, kept)
        with torch.autocast(present.device.type, torch.bfloat16):
            results = self._evaluate(inputs, present, luck, kept)
        return [result.float() for result in results]

    def draw_noise(self, n_windows, generator=None):
        """Draw what is random in training, on the CPU whatever the network is on.

        Parameters
        ----------
        n_windows : int
        generator : torch.Generator or None, default=None
            None is torch's own.

        Returns
        -------
        luck : Tensor of shape (n_windows, n_modalities), or None
            Between 0 and 1, for `ModalityDropout`.
        kept : Tensor of shape (n_windows, n_features), or None
            By what the fused representation is multiplied: 0, or 1 / (1 - dropout).
        *added : Tensor of shape (n_windows, ...), or None
            What is added to the input of each modality.
        """
        luck = kept = None
        if self.modality_dropout.p > 0:
            luck = torch.rand(n_windows, len(self.vector_sizes), generator=generator)
        if self.dropout > 0:
            kept = torch.empty(n_windows, sum(self.vector_sizes))
            kept.bernoulli_(1 - self.dropout, generator=generator).div_(1 - self.dropout)
        added = [None] * len(self.shapes)
        if self.input_noise > 0:
            added = [
                torch.empty(n_windows, *shape).normal_(0, self.input_noise, generator=generator)
                for shape in self.shapes
            ]
        return luck, kept, *added

    def _noise(self, present, noise):
        """The noise given, or drawn where there is to be some."""
        if not self.training:
            return [None] * (2 + len(self.shapes))
        drawn = self.draw_noise(len(present)) if noise is None else noise
        return [None if x is None else x.to(present.device) for x in drawn]

    def _score(self, fused, kept):
        return self.head(fused if kept is None else fused * kept)
