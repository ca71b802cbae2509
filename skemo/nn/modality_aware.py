"""The modality-aware attention network: a U-Net per modality, fused by masks."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from skemo.nn.attention import ModalityAwareAttention
from skemo.nn.base import FusionNetwork
from skemo.nn.unet import UNet


class ModalityAwareAttentionNetwork(FusionNetwork):
    """A U-Net for each modality, fused by modality-aware attention.

    Each branch's feature map is scaled by its mask and reduced to its maximum over time
    or space; the resulting vectors are concatenated and classified. Since a mask has one
    positive number per channel, scaling a map scales its maximum by the same number. The
    masks are therefore applied to the maxima, which have already been computed.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shape of a window of each modality: a U-Net over time for (n_channels, n_times), and
        over a plane for (n_maps, height, width).
    n_outputs : int
        Number of outputs: class scores, or numbers to predict.
    attention : {"mask", "residual", "scalar"} or None, default="mask"
        The masks, as in :class:`ModalityAwareAttention`. None is the paper's basic model: the
        same network with all masks equal to one. "residual" and "scalar" start from it.
    quality_shapes : sequence of tuple of int, default=()
        Shapes of further inputs, from which the masks are estimated as well (see
        :class:`FusionNetwork`). Without attention, they have no effect.
    n_filters, depth, kernel_size, reduction, excitation
        See :class:`UNet`.
    dropout : float, default=0.0
        Share of the fused representation that is dropped in training, before it is
        classified.
    modality_dropout : float, default=0.0
        See :class:`ModalityDropout`.
    input_noise : float, default=0.0
        Standard deviation of the Gaussian noise added to the inputs in training.

    Attributes
    ----------
    vector_sizes : list of int
        Number of features that each modality has in the fused representation.

    References
    ----------
    Woo, Zubair, Lim, Kim. Deep multimodal emotion recognition using modality aware
    attention network for unifying representations in neural models.

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import ModalityAwareAttentionNetwork
    >>> network = ModalityAwareAttentionNetwork([(1, 33), (4, 19, 5)], n_outputs=2)
    >>> network([torch.zeros(3, 1, 33), torch.zeros(3, 4, 19, 5)], torch.ones(3, 2)).shape
    torch.Size([3, 2])
    """

    can_be_fused = True

    def __init__(
        self,
        shapes: Sequence[tuple[int, ...]],
        n_outputs: int,
        *,
        attention: Literal["mask", "residual", "scalar"] | None = "mask",
        quality_shapes: Sequence[tuple[int, ...]] = (),
        n_filters: int = 16,
        depth: int = 2,
        kernel_size: int = 3,
        reduction: int = 2,
        excitation: Literal["max", "sum"] = "max",
        dropout: float = 0.0,
        modality_dropout: float = 0.0,
        input_noise: float = 0.0,
    ) -> None:
        super().__init__(shapes, input_noise, quality_shapes)
        if attention not in ("mask", "residual", "scalar", None):
            raise ValueError(
                f'attention must be "mask", "residual", "scalar" or None, got {attention!r}.'
            )
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
        if attention is not None:
            self.attention = ModalityAwareAttention(
                len(shapes),
                n_filters,
                attention=attention,
                n_quality=sum(map(math.prod, self.quality_shapes)),
            )
        self._finish([n_filters] * len(shapes), n_outputs, dropout, modality_dropout)

    def _evaluate(
        self,
        inputs: Sequence[Tensor],
        present: Tensor,
        uniform: Tensor | None,
        scale: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        inputs, present, quality = self._take_quality(inputs, present)
        present = self.modality_dropout(present, uniform)
        branches: Any = self.branches
        maxima = [branch.maxima(x) for branch, x in zip(branches, inputs, strict=True)]
        vectors = torch.stack(maxima, dim=1)
        vectors = vectors * present.unsqueeze(-1)
        if self.attention is None:
            masks = present.unsqueeze(-1)
        else:
            masks = self.attention(vectors, present, quality)
        fused = (masks * vectors).flatten(1)
        return masks.mean(2), fused, self._score(fused, scale)
