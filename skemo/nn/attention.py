"""Attention across modalities."""

import torch
from torch import nn

from skemo.nn.blocks import BatchNorm


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


class CrossModalConnection(nn.Module):
    """What one stream takes over from others: their representations, weighted by attention.

    The representation of each source is brought to this stream's channels (a convolution of
    width one with batch normalisation) and length (means over the time of each sample). A
    gate in (0, 1) that is estimated from both streams weights what was brought; the result
    is added to this stream's own representation or concatenated with it.
    The weight of a source that is absent is zero.

    Parameters
    ----------
    n_channels : int
        Channels of this stream.
    source_channels : sequence of int
        Channels of each of the streams that it takes from.
    attention : {"channel", "temporal"} or None, default="channel"
        Whether there is a gate for each channel, estimated from the means over time, or
        for each moment, estimated from all channels there; None shares all unweighted.
    merge : {"sum", "concat"}, default="sum"
        How what was taken over joins what is there.
    reduction : int, default=2
        Factor by which channels are squeezed before they are weighted:
        ``n_channels // reduction`` units, at least one.

    Attributes
    ----------
    out_channels : int
        Channels of the result: `n_channels`, or as many again for each source.

    Notes
    -----
    After Bhatti, Behinaein, Rodenburg, Hungler, Etemad (2021). The abstract is all that
    was used: that streams share intermediate representations, and that attention weights
    are applied to what is shared. The form given here is this library's.

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
        self, n_channels, source_channels, *, attention="channel", merge="sum", reduction=2
    ):
        super().__init__()
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Conv1d(channels, n_channels, 1, bias=False), BatchNorm(n_channels))
            for channels in source_channels
        )
        self.gates = nn.ModuleList(
            None if attention is None else _make_gate(attention, n_channels, reduction)
            for _ in source_channels
        )
        self.merge = merge
        self.out_channels = n_channels * (1 if merge == "sum" else 1 + len(source_channels))

    def forward(self, target, sources, present):
        """Return the merged representation, and the mean weight of each source.

        `target` is (batch, n_channels, n_times); `sources` holds one of any length each;
        `present`, (batch, n_sources), is 1 where a window has the source and 0 where not.
        """
        parts, weights = [target], []
        for i, (project, gate) in enumerate(zip(self.projections, self.gates, strict=True)):
            source = project(_to_length(sources[i], target.shape[2]))
            weight = present[:, i, None, None]
            if gate is not None:
                # batch, channels or 1, 1 or n_times
                weight = weight * gate(torch.cat([target, source], dim=1))
            parts.append(weight * source)
            weights.append(weight.mean(dim=(1, 2)))
        merged = sum(parts) if self.merge == "sum" else torch.cat(parts, dim=1)
        return merged, torch.stack(weights, dim=1)


def _make_gate(attention, n_channels, reduction):
    """Weights, (batch, n_channels, 1) or (batch, 1, n_times), from two stacked streams."""
    if attention == "temporal":
        return nn.Sequential(nn.Conv1d(2 * n_channels, 1, 1), nn.Sigmoid())
    n_squeezed = max(n_channels // reduction, 1)
    return nn.Sequential(
        nn.AdaptiveAvgPool1d(1),
        nn.Conv1d(2 * n_channels, n_squeezed, 1),
        nn.ReLU(),
        nn.Conv1d(n_squeezed, n_channels, 1),
        nn.Sigmoid(),
    )


def _to_length(x, n_times):
    """Series of another length over the same time: means of what lies within each sample."""
    if x.shape[2] == n_times:
        return x
    # A product, whose gradients are the same bit by bit on a GPU, unlike adaptive pooling.
    ratio = n_times / x.shape[2]
    # Places are counted in single precision at least: bfloat16 has whole numbers up to 256.
    places = {"dtype": torch.promote_types(x.dtype, torch.float32), "device": x.device}
    bounds = torch.arange(x.shape[2] + 1, **places).unsqueeze(1)
    edges = torch.arange(n_times + 1, **places) / ratio
    overlap = torch.minimum(bounds[1:], edges[1:]) - torch.maximum(bounds[:-1], edges[:-1])
    return x @ (overlap.clamp_min(0) * ratio).to(x.dtype)
