"""The modality-aware attention network: a U-Net a modality, fused by masks."""

import torch
from torch import nn

from skemo.nn.attention import ModalityAwareAttention
from skemo.nn.base import FusionNetwork
from skemo.nn.unet import UNet


class ModalityAwareAttentionNetwork(FusionNetwork):
    """A U-Net for each modality, fused by modality-aware attention.

    Each branch's feature map is scaled by its mask and reduced to its maximum over time
    or space; the vectors are concatenated and classified. Scaling a map by a mask of
    positive numbers, one a channel, scales its maximum by the same number, so the mask
    is applied to the maximum, which is already there.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shape of one window of each modality: (n_channels, n_times) gets a U-Net over
        time, (n_maps, height, width) one over a plane.
    n_classes : int
        Number of scores.
    attention : {"mask"} or None, default="mask"
        None is the paper's basic model: the same network, every mask one.
    n_filters, depth, kernel_size, reduction, excitation
        See :class:`UNet`.
    dropout : float, default=0.0
        Share of the fused representation that is dropped before it is classified, in
        training.
    modality_dropout : float, default=0.0
        See :class:`ModalityDropout`.
    input_noise : float, default=0.0
        Standard deviation of Gaussian noise on the inputs in training.

    Attributes
    ----------
    vector_sizes : list of int
        How many numbers of the fused representation each modality has.

    References
    ----------
    Woo, Zubair, Lim, Kim. Deep multimodal emotion recognition using modality aware
    attention network for unifying representations in neural models.

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import ModalityAwareAttentionNetwork
    >>> network = ModalityAwareAttentionNetwork([(1, 33), (4, 19, 5)], n_classes=2)
    >>> network([torch.zeros(3, 1, 33), torch.zeros(3, 4, 19, 5)], torch.ones(3, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        shapes,
        n_classes,
        *,
        attention="mask",
        n_filters=16,
        depth=2,
        kernel_size=3,
        reduction=2,
        excitation="max",
        dropout=0.0,
        modality_dropout=0.0,
        input_noise=0.0,
    ):
        super().__init__(shapes, input_noise)
        if attention not in ("mask", None):
            raise ValueError(f'attention must be "mask" or None, got {attention!r}.')
        self.branches = nn.ModuleList(
            UNet(
                shape[0],
                n_dims=len(shape) - 1,
                n_filters=n_filters,
                depth=depth,
                kernel_size=kernel_size,
                reduction=reduction,
                excitation=excitation,
            )
            for shape in shapes
        )
        self.attention = None
        if attention == "mask":
            self.attention = ModalityAwareAttention(len(shapes), n_filters)
        self._finish([n_filters] * len(shapes), n_classes, dropout, modality_dropout)

    def _evaluate(self, inputs, present, luck, kept):
        present = self.modality_dropout(present, luck)
        maps = [branch(x) for branch, x in zip(self.branches, inputs, strict=True)]
        vectors = torch.stack([x.flatten(2).max(2).values for x in maps], dim=1)
        vectors = vectors * present.unsqueeze(-1)
        if self.attention is None:
            masks = present.unsqueeze(-1)
        else:
            masks = self.attention(vectors, present)
        fused = (masks * vectors).flatten(1)
        return masks.mean(2), fused, self._score(fused, kept)
