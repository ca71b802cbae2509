"""Attention across modalities."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from skemo.nn.blocks import BatchNorm
from skemo.nn.checks import check_count


class ModalityAwareAttention(nn.Module):
    """Masks in (0, 1) for the channels of each modality, estimated from all modalities.

    Each modality is represented by a vector, the maximum of its feature map over time or
    space. The vectors are concatenated and pass through a first convolution; its output is
    split again, and one convolution per modality gives that modality's mask. On vectors, a
    convolution of width one is a linear layer. The mask of an absent modality is zero.

    Parameters
    ----------
    n_modalities : int
        Number of modalities.
    n_channels : int
        Number of channels of each modality's feature map.
    n_hidden : int or None, default=None
        Number of channels of each modality after the first convolution; None means
        `n_channels`. The paper does not state it.

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

    def __init__(self, n_modalities: int, n_channels: int, *, n_hidden: int | None = None) -> None:
        super().__init__()
        n_hidden = n_channels if n_hidden is None else n_hidden
        self.joint = nn.Sequential(
            nn.Linear(n_modalities * n_channels, n_modalities * n_hidden), nn.ReLU()
        )
        self.masks = nn.ModuleList(nn.Linear(n_hidden, n_channels) for _ in range(n_modalities))

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Return the masks, of shape (batch, n_modalities, n_channels).

        `vectors` has that shape too; `present`, of shape (batch, n_modalities), is 1 if a window
        has the modality and 0 otherwise.
        """
        joint = self.joint(vectors.flatten(1)).unflatten(1, (len(self.masks), -1))
        masks = [mask(joint[:, i]) for i, mask in enumerate(self.masks)]
        return torch.stack(masks, dim=1).sigmoid() * present.unsqueeze(-1)


class CrossModalConnection(nn.Module):
    """A connection through which one stream receives the representations of others.

    The representation of each source stream is converted to the channels of the target
    stream (by a convolution of width one with batch normalisation) and to its length (by
    averaging over the duration of each sample). It is then weighted by a gate in (0, 1),
    which is estimated from both streams, and added to the target stream's own
    representation or concatenated with it. The weight of an absent source is zero.

    Parameters
    ----------
    n_channels : int
        Number of channels of the target stream.
    source_channels : sequence of int
        Number of channels of each source stream.
    attention : {"channel", "temporal"} or None, default="channel"
        "channel" has a gate for each channel, estimated from the means over time;
        "temporal" has one for each sample, estimated from all channels at that time; None
        shares the representations unweighted.
    merge : {"sum", "concat"}, default="sum"
        Whether the received representations are added to the target's own or concatenated
        with it.
    reduction : int, default=2
        Factor by which the channel gate squeezes the channels: it has
        ``n_channels // reduction`` hidden units, at least one.

    Attributes
    ----------
    out_channels : int
        Number of channels of the result: `n_channels` for a sum, and
        ``(1 + n_sources) * n_channels`` for a concatenation.

    Raises
    ------
    ValueError
        If a parameter is not one of the values listed above, or there is no source.

    Notes
    -----
    Based on Bhatti, Behinaein, Rodenburg, Hungler, Etemad (2021), of which only the abstract
    was used: streams share intermediate representations, and attention weights are applied
    to what is shared. The form given here is this library's own.

    References
    ----------
    Bhatti, Behinaein, Rodenburg, Hungler, Etemad (2021). Attentive cross-modal connections
    for deep multimodal wearable-based emotion recognition. https://arxiv.org/abs/2108.02241

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import CrossModalConnection
    >>> connection = CrossModalConnection(16, [8])
    >>> eda, ecg = torch.zeros(3, 16, 10), torch.zeros(3, 8, 640)
    >>> shared, weights = connection(eda, [ecg], torch.ones(3, 1))
    >>> shared.shape, weights.shape
    (torch.Size([3, 16, 10]), torch.Size([3, 1]))
    """

    def __init__(
        self,
        n_channels: int,
        source_channels: Sequence[int],
        *,
        attention: Literal["channel", "temporal"] | None = "channel",
        merge: Literal["sum", "concat"] = "sum",
        reduction: int = 2,
    ) -> None:
        super().__init__()
        check_count("n_channels", n_channels)
        if len(source_channels) == 0:
            raise ValueError("source_channels must have at least one entry, got none.")
        for channels in source_channels:
            check_count("Each of source_channels", channels)
        if attention not in ("channel", "temporal", None):
            raise ValueError(f'attention must be "channel", "temporal" or None, got {attention!r}.')
        if merge not in ("sum", "concat"):
            raise ValueError(f'merge must be "sum" or "concat", got {merge!r}.')
        check_count("reduction", reduction)
        self.projections = nn.ModuleList(
            nn.Sequential(_Pointwise(channels, n_channels, bias=False), BatchNorm(n_channels))
            for channels in source_channels
        )
        self.gates = nn.ModuleList()
        if attention is not None:
            self.gates.extend(_make_gate(attention, n_channels, reduction) for _ in source_channels)
        self.merge = merge
        self.out_channels = n_channels
        if merge == "concat":
            self.out_channels = n_channels * (1 + len(source_channels))

    def forward(
        self, target: Tensor, sources: Sequence[Tensor], present: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the merged representation and the mean weight of each source.

        Parameters
        ----------
        target : Tensor of shape (batch, n_channels, n_times)
        sources : sequence of Tensor of shape (batch, source_channels, n_times)
            Their `n_times` may differ.
        present : Tensor of shape (batch, n_sources)
            1 if the window has the source, 0 otherwise.
        """
        received, weights = [], []
        for i, project in enumerate(self.projections):
            source = project(_to_length(sources[i], target.shape[2]))
            weight = present[:, i, None, None]
            if self.gates:
                # (batch, n_channels, 1) or (batch, 1, n_times)
                weight = weight * self.gates[i](torch.cat([target, source], dim=1))
            received.append(weight * source)
            weights.append(weight.mean(dim=(1, 2)))
        if self.merge == "sum":
            merged = sum(received, target)
        else:
            merged = torch.cat([target, *received], dim=1)
        return merged, torch.stack(weights, dim=1)


class _Pointwise(nn.Conv1d):
    """A convolution of width one as a matrix product, which takes a fraction of the time."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.matmul(self.weight.squeeze(2), x)
        return mixed if self.bias is None else mixed + self.bias.unsqueeze(1)


def _make_gate(attention: str, n_channels: int, reduction: int) -> nn.Sequential:
    """A gate of two streams that are concatenated along their channels.

    It gives weights of shape (batch, n_channels, 1) or, over time, (batch, 1, n_times).
    """
    if attention == "temporal":
        return nn.Sequential(_Pointwise(2 * n_channels, 1), nn.Sigmoid())
    n_squeezed = max(n_channels // reduction, 1)
    return nn.Sequential(
        nn.AdaptiveAvgPool1d(1),
        _Pointwise(2 * n_channels, n_squeezed),
        nn.ReLU(),
        _Pointwise(n_squeezed, n_channels),
        nn.Sigmoid(),
    )


def _to_length(x: Tensor, n_times: int) -> Tensor:
    """Resample series to `n_times` samples, each the mean of `x` over its duration."""
    if x.shape[2] == n_times:
        return x
    # A matrix product has bitwise reproducible gradients on a GPU; adaptive pooling has not.
    ratio = n_times / x.shape[2]
    # At least single precision: bfloat16 represents whole numbers only up to 256.
    dtype = torch.promote_types(x.dtype, torch.float32)
    bounds = torch.arange(x.shape[2] + 1, dtype=dtype, device=x.device).unsqueeze(1)
    edges = torch.arange(n_times + 1, dtype=dtype, device=x.device) / ratio
    overlap = torch.minimum(bounds[1:], edges[1:]) - torch.maximum(bounds[:-1], edges[:-1])
    return x @ (overlap.clamp_min(0) * ratio).to(x.dtype)
