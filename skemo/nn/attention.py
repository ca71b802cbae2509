"""Attention across modalities."""

import torch
from torch import nn


class ModalityAwareAttention(nn.Module):
    """A mask in (0, 1) for each modality's channels, estimated from all modalities.

    The vectors of all modalities, each the maximum of a feature map over time or space,
    are concatenated and go through a first convolution; its output is split again, and
    one convolution a modality gives that modality's mask. Over vectors, a convolution of
    width one is a linear layer. The mask of a modality that is absent is zero.

    Parameters
    ----------
    n_modalities : int
        How many modalities there are.
    n_channels : int
        Channels of each modality's feature map.
    n_hidden : int or None, default=None
        Channels that each modality keeps after the first convolution; by default
        `n_channels`. The paper states none.

    References
    ----------
    Woo, Zubair, Lim, Kim. Deep multimodal emotion recognition using modality aware
    attention network for unifying representations in neural models. Section 2.2.

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import ModalityAwareAttention
    >>> attention = ModalityAwareAttention(2, 16)
    >>> attention(torch.zeros(5, 2, 16), torch.ones(5, 2)).shape
    torch.Size([5, 2, 16])
    """

    def __init__(self, n_modalities, n_channels, *, n_hidden=None):
        super().__init__()
        n_hidden = n_channels if n_hidden is None else n_hidden
        self.joint = nn.Sequential(
            nn.Linear(n_modalities * n_channels, n_modalities * n_hidden), nn.ReLU()
        )
        self.masks = nn.ModuleList(nn.Linear(n_hidden, n_channels) for _ in range(n_modalities))

    def forward(self, vectors, present):
        # vectors: batch, modalities, channels; present: batch, modalities
        joint = self.joint(vectors.flatten(1)).unflatten(1, (len(self.masks), -1))
        masks = [mask(joint[:, i]) for i, mask in enumerate(self.masks)]
        return torch.stack(masks, dim=1).sigmoid() * present.unsqueeze(-1)
