"""Attention across modalities."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from skemo.nn.blocks import BatchNorm
from skemo.nn.checks import check_count
from skemo.nn.weights import drawn_apart

# Factor of the layer of the quality, with which a few hundred steps of training suffice to close a
# mask. It was chosen from 1, 3 and 10 on simulated recordings.
_REACH = 10.0
# Forms of attention that start at 1, where they do not change the network.
_NEUTRAL = ("residual", "scalar")


class ModalityAwareAttention(nn.Module):
    """Masks for the channels of each modality, estimated from all modalities.

    Each modality is represented by a vector, the maximum of its feature map over time or
    space. The vectors are concatenated and pass through a first convolution; its output is
    split again, and one convolution per modality gives that modality's mask. On vectors, a
    convolution of width one is a linear layer. The mask of an absent modality is zero.

    Numbers that tell how far each signal can be trusted may be added: ten times a linear layer of
    them, which starts at zero, is added to all masks before the logistic function.

    Parameters
    ----------
    n_modalities : int
        Number of modalities.
    n_channels : int
        Number of channels of each modality's feature map.
    attention : {"mask", "residual", "scalar"}, default="mask"
        "mask" has masks in (0, 1), a logistic function, as in the paper. "residual" has masks in
        (0, 2), twice the logistic function of a layer that starts at zero, so that all masks are
        1 at first. "scalar" does the same with one number for each modality instead of one for
        each channel.
    n_quality : int, default=0
        How many numbers tell the quality of the signals.
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

    def __init__(
        self,
        n_modalities: int,
        n_channels: int,
        *,
        attention: Literal["mask", "residual", "scalar"] = "mask",
        n_quality: int = 0,
        n_hidden: int | None = None,
    ) -> None:
        super().__init__()
        if attention not in ("mask", *_NEUTRAL):
            raise ValueError(
                f'attention must be "mask", "residual" or "scalar", got {attention!r}.'
            )
        n_hidden = n_channels if n_hidden is None else n_hidden
        n_masks = 1 if attention == "scalar" else n_channels
        self.attention = attention
        with _drawn_apart_if(attention in _NEUTRAL):
            self.joint = nn.Sequential(
                nn.Linear(n_modalities * n_channels, n_modalities * n_hidden), nn.ReLU()
            )
            self.masks = nn.ModuleList(nn.Linear(n_hidden, n_masks) for _ in range(n_modalities))
        if attention in _NEUTRAL:
            for mask in self.masks:
                _set_to_zero(mask)
        self.quality = _quality_layer(n_quality, n_modalities * n_masks)

    def forward(self, vectors: Tensor, present: Tensor, quality: Tensor | None = None) -> Tensor:
        """Return the masks.

        Parameters
        ----------
        vectors : Tensor of shape (batch, n_modalities, n_channels)
        present : Tensor of shape (batch, n_modalities)
            1 if a window has the modality, 0 otherwise.
        quality : Tensor of shape (batch, n_quality), default=None
            How far the signals can be trusted, standardised, with 0 where it is not known.

        Returns
        -------
        Tensor of shape (batch, n_modalities, n_channels), or (batch, n_modalities, 1)
            The latter for ``attention="scalar"``.
        """
        joint = self.joint(vectors.flatten(1)).unflatten(1, (len(self.masks), -1))
        logits = torch.stack([mask(joint[:, i]) for i, mask in enumerate(self.masks)], dim=1)
        if self.quality is not None:
            logits = logits + _REACH * self.quality(quality).view_as(logits)
        masks = logits.sigmoid() if self.attention == "mask" else 2 * logits.sigmoid()
        return masks * present.unsqueeze(-1)


class CrossModalConnection(nn.Module):
    """A connection through which one stream receives the representations of others.

    The representation of each source stream is converted to the channels of the target
    stream (by a convolution of width one with batch normalisation) and to its length (by
    averaging over the duration of each sample). It is then weighted by a gate, which is
    estimated from both streams, and added to the target stream's own
    representation or concatenated with it. The weight of an absent source is zero.

    Parameters
    ----------
    n_channels : int
        Number of channels of the target stream.
    source_channels : sequence of int
        Number of channels of each source stream.
    attention : {"channel", "temporal", "residual", "scalar"} or None, default="channel"
        "channel" has a gate in (0, 1) for each channel, estimated from the means over time;
        "temporal" has one for each sample, estimated from all channels at that time; None
        shares the representations unweighted. "residual" has a gate in (0, 2) for each channel,
        twice the logistic function of a layer that starts at zero, so that all gates are 1 at
        first, as with None. "scalar" does the same with one gate for all channels of a source.
    n_quality : int, default=0
        Number of numbers that tell how far the signals can be trusted. Ten times a linear layer
        of them, which starts at zero, is added to each gate before the logistic function.
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
        attention: Literal["channel", "temporal", "residual", "scalar"] | None = "channel",
        n_quality: int = 0,
        merge: Literal["sum", "concat"] = "sum",
        reduction: int = 2,
    ) -> None:
        super().__init__()
        check_count("n_channels", n_channels)
        if len(source_channels) == 0:
            raise ValueError("source_channels must have at least one entry, got none.")
        for channels in source_channels:
            check_count("Each of source_channels", channels)
        if attention not in ("channel", "temporal", *_NEUTRAL, None):
            raise ValueError(
                'attention must be "channel", "temporal", "residual", "scalar" or None, got '
                f"{attention!r}."
            )
        if merge not in ("sum", "concat"):
            raise ValueError(f'merge must be "sum" or "concat", got {merge!r}.')
        check_count("reduction", reduction)
        self.projections = nn.ModuleList(
            nn.Sequential(_Pointwise(channels, n_channels, bias=False), BatchNorm(n_channels))
            for channels in source_channels
        )
        self.gates = nn.ModuleList()
        if attention is not None:
            with _drawn_apart_if(attention in _NEUTRAL):
                self.gates.extend(
                    _make_gate(attention, n_channels, reduction) for _ in source_channels
                )
        n_gates = n_channels if attention in ("channel", "residual") else 1
        self.quality = _quality_layer(n_quality, n_gates * len(self.gates))
        self.attention = attention
        self.largest_gate = 2.0 if attention in _NEUTRAL else 1.0
        self.merge = merge
        self.out_channels = n_channels
        if merge == "concat":
            self.out_channels = n_channels * (1 + len(source_channels))

    def forward(
        self,
        target: Tensor,
        sources: Sequence[Tensor],
        present: Tensor,
        quality: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the merged representation and the mean weight of each source.

        Parameters
        ----------
        target : Tensor of shape (batch, n_channels, n_times)
        sources : sequence of Tensor of shape (batch, source_channels, n_times)
            Their `n_times` may differ.
        present : Tensor of shape (batch, n_sources)
            1 if the window has the source, 0 otherwise.
        quality : Tensor of shape (batch, n_quality), default=None
            How far the signals can be trusted, standardised, with 0 where it is not known.
        """
        summand = self.trust(quality)
        trust: Sequence[Tensor] = ()
        if summand is not None:
            trust = summand.unsqueeze(2).chunk(len(self.gates), dim=1)
        received, weights = [], []
        for i, project in enumerate(self.projections):
            source = project(_to_length(sources[i], target.shape[2]))
            weight = present[:, i, None, None]
            if self.gates:
                # (batch, n_channels, 1), (batch, 1, n_times) or (batch, 1, 1)
                logits = self.gates[i](torch.cat([target, source], dim=1))
                gate = (logits + trust[i] if trust else logits).sigmoid()
                weight = weight * (self.largest_gate * gate)
            received.append(weight * source)
            weights.append(weight.mean(dim=(1, 2)))
        if self.merge == "sum":
            merged = sum(received, target)
        else:
            merged = torch.cat([target, *received], dim=1)
        return merged, torch.stack(weights, dim=1)

    def trust(self, quality: Tensor | None) -> Tensor | None:
        """What the quality adds to the gates of all sources, (batch, n_gates), or None."""
        return None if self.quality is None else _REACH * self.quality(quality)


class _Pointwise(nn.Conv1d):
    """A convolution of width one as a matrix product, which takes a fraction of the time."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.matmul(self.weight.squeeze(2), x)
        return mixed if self.bias is None else mixed + self.bias.unsqueeze(1)


def _make_gate(attention: str, n_channels: int, reduction: int) -> nn.Sequential:
    """A gate, before the logistic function, of two streams concatenated along their channels.

    It gives weights of shape (batch, n_channels, 1); over time, (batch, 1, n_times); and for one
    number, (batch, 1, 1).
    """
    if attention == "temporal":
        return nn.Sequential(_Pointwise(2 * n_channels, 1))
    n_squeezed = max(n_channels // reduction, 1)
    first = _Pointwise(2 * n_channels, n_squeezed)
    last = _Pointwise(n_squeezed, 1 if attention == "scalar" else n_channels)
    if attention in _NEUTRAL:
        _set_to_zero(last)
    return nn.Sequential(nn.AdaptiveAvgPool1d(1), first, nn.ReLU(), last)


def _quality_layer(n_quality: int, n_logits: int) -> nn.Linear | None:
    """Return a layer for numbers on quality, which starts at zero, or None without such numbers."""
    if not n_quality or not n_logits:
        return None
    with drawn_apart():
        layer = nn.Linear(n_quality, n_logits, bias=False)
    _set_to_zero(layer)
    return layer


def _set_to_zero(layer: nn.Module) -> None:
    for values in layer.parameters():
        nn.init.zeros_(values)


def _drawn_apart_if(condition: bool) -> AbstractContextManager[None]:
    return drawn_apart() if condition else nullcontext()


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
