"""Building blocks of the networks: convolutional blocks and modality dropout."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from skemo.nn.checks import check_count
from skemo.nn.fusing import fused_code

_CONVOLUTIONS: dict[int, type[nn.Conv1d] | type[nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}


class SqueezeExcitation(nn.Module):
    """Concurrent channel and spatial squeeze-and-excitation.

    The feature map ``U`` is rescaled twice: by a channel gate ``s = σ(W₂ ReLU(W₁ z))``,
    where ``z`` is the mean of each channel over space, and by a spatial gate
    ``q = σ(conv₁ₓ₁(U))``. The two results are then combined.

    Parameters
    ----------
    n_channels : int
        Number of channels of the feature map.
    reduction : int, default=2
        Factor by which the channel gate squeezes the channels: ``W₁`` maps them to
        ``n_channels // reduction`` units, at least one.
    excitation : {"max", "sum"}, default="max"
        How the two rescaled maps are combined: by the element-wise maximum, as in the
        authors' code, or by the sum.

    Raises
    ------
    ValueError
        If a parameter is not one of the values listed above.

    References
    ----------
    Roy, Navab, Wachinger (2018). Concurrent spatial and channel squeeze & excitation in
    fully convolutional networks. https://arxiv.org/abs/1803.02579

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import SqueezeExcitation
    >>> SqueezeExcitation(8)(torch.zeros(2, 8, 30)).shape
    torch.Size([2, 8, 30])
    """

    def __init__(
        self,
        n_channels: int,
        *,
        reduction: int = 2,
        excitation: Literal["max", "sum"] = "max",
    ) -> None:
        super().__init__()
        check_count("n_channels", n_channels)
        check_count("reduction", reduction)
        if excitation not in ("max", "sum"):
            raise ValueError(f'excitation must be "max" or "sum", got {excitation!r}.')
        n_squeezed = max(n_channels // reduction, 1)
        self.channel_gate = nn.Sequential(
            nn.Linear(n_channels, n_squeezed),
            nn.ReLU(),
            nn.Linear(n_squeezed, n_channels),
            nn.Sigmoid(),
        )
        # A convolution of width one onto one channel is a weighted sum of the channels.
        self.spatial_gate = nn.Sequential(nn.Linear(n_channels, 1), nn.Sigmoid())
        self.excitation = excitation

    def forward(self, x: Tensor) -> Tensor:
        space = x.shape[2:]
        x = x.flatten(2)  # batch, channels, places
        linear: Any = self.spatial_gate[0]
        by_channel = self.channel_gate(x.mean(2)).unsqueeze(2)
        by_place = self.spatial_gate[1](torch.matmul(linear.weight, x) + linear.bias)
        if self.excitation == "max":
            x = _LargerProduct.apply(x, by_channel, by_place)[0]
        else:
            x = x * (by_channel + by_place)
        return x.unflatten(2, space)


class _LargerProduct(torch.autograd.Function):
    """The larger of ``x * first`` and ``x * second``, element by element.

    Also returns the gate that gave it and whether that was the first (0.5 for a tie). Values and
    gradients are those of `torch.maximum`, including that a tie gives each gate half of the
    gradient. The comparisons in the backward pass of `torch.maximum` take several times as long
    as the products with 0 and 1 used here.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x, first, second):
        is_first = ((first - second) * x).sign().add(1).mul(0.5)
        gate = torch.lerp(second.to(is_first), first.to(is_first), is_first)
        return x * gate, gate, is_first

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0], *output[1:])
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    def backward(ctx, grad, *_):
        x, gate, is_first = ctx.saved_tensors
        of_gate = grad * x
        of_first = of_gate * is_first
        of_second = of_gate - of_first
        return grad * gate, of_first.sum(2, keepdim=True), of_second.sum(1, keepdim=True)


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over any number of dimensions that can ignore some rows.

    When several networks are trained together, their batches are padded to the same size;
    `counted_rows` excludes the padding from the means and variances.

    Parameters
    ----------
    num_features : int
        Number of channels.

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import BatchNorm
    >>> BatchNorm(8)(torch.zeros(2, 8, 30)).shape
    torch.Size([2, 8, 30])
    """

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    rows: Tensor | None = None  # (batch,): 1 for a row that counts, 0 otherwise; None counts all

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 3:
            raise ValueError(
                "A feature map must have shape (batch, channels, places, ...), got "
                f"{tuple(x.shape)}."
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.rows is None or not self.training:
            return super().forward(x)
        ones = [1] * (x.dim() - 2)
        rows = self.rows.view(-1, 1, *ones)
        dims = [0, *range(2, x.dim())]
        n_values = (rows.sum() * x[0, 0].numel()).clamp_min(1)
        mean = (x * rows).sum(dims, keepdim=True) / n_values
        centred = x - mean
        variance = (centred.square() * rows).sum(dims, keepdim=True) / n_values
        with torch.no_grad():
            change = self.momentum * (self.rows.sum() > 0).to(x)
            unbiased = variance.flatten() * (n_values / (n_values - 1).clamp_min(1))
            self.running_mean += change * (mean.flatten() - self.running_mean)
            self.running_var += change * (unbiased - self.running_var)
        scale = self.weight.view(-1, *ones) / (variance + self.eps).sqrt()
        return centred * scale + self.bias.view(-1, *ones)


@contextmanager
def counted_rows(network: nn.Module, rows: Tensor | None) -> Iterator[None]:
    """Compute the statistics of batch normalisation from these rows of a batch only.

    Parameters
    ----------
    network : Module
    rows : Tensor of shape (batch,) or None
        1 for a row that counts, 0 otherwise; None counts all rows.
    """
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    for norm in norms:
        norm.rows = rows
    try:
        yield
    finally:
        for norm in norms:
            norm.rows = None


class ConvBlock(nn.Sequential):
    """A unit of the U-Net: convolution, batch normalisation, ReLU, squeeze-and-excitation.

    The convolution is padded with zeros, so the size of the feature map does not change.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels of the input and of the output.
    n_dims : {1, 2}
        1 for series, 2 for maps.
    kernel_size : int, default=3
        Odd width of the convolution along every axis.
    reduction, excitation
        See :class:`SqueezeExcitation`.

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import ConvBlock
    >>> ConvBlock(4, 16, n_dims=2)(torch.zeros(2, 4, 19, 5)).shape
    torch.Size([2, 16, 19, 5])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        n_dims: int,
        kernel_size: int = 3,
        reduction: int = 2,
        excitation: Literal["max", "sum"] = "max",
    ) -> None:
        super().__init__(
            _CONVOLUTIONS[n_dims](
                in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False
            ),
            BatchNorm(out_channels),
            nn.ReLU(),
            SqueezeExcitation(out_channels, reduction=reduction, excitation=excitation),
        )


class StreamBlock(nn.Sequential):
    """A block of a convolutional stream: convolutions over time, then maximum pooling.

    Each of the two convolutions is followed by batch normalisation and ReLU. The
    convolutions are padded with zeros and pooling rounds up, so series of any length
    work, down to a single sample.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels of the input and of the output.
    kernel_size : int, default=9
        Odd width of the convolutions.
    pool_size : int, default=8
        Factor by which the block shortens the series.

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import StreamBlock
    >>> StreamBlock(1, 16)(torch.zeros(2, 1, 42)).shape
    torch.Size([2, 16, 6])
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int = 9, pool_size: int = 8
    ) -> None:
        layers: list[nn.Module] = []
        for n_channels in (in_channels, out_channels):
            convolution = nn.Conv1d(
                n_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False
            )
            layers += [convolution, BatchNorm(out_channels), nn.ReLU()]
        super().__init__(*layers, nn.MaxPool1d(pool_size, ceil_mode=True))

    def forward(self, x: Tensor) -> Tensor:
        fused = fused_code(x)
        return super().forward(x) if fused is None else fused.compute(fused.Block, self, x)[0]


class ModalityDropout(nn.Module):
    """Drops whole modalities at random in training, but never all modalities of a window.

    A network trained this way learns to work with whatever modalities a window has. If all
    of them would be dropped, one that is present is chosen at random and kept: of two
    modalities, p=0.3 drops each with a probability of 0.255.

    Parameters
    ----------
    p : float, default=0.0
        Probability that a modality of a window is dropped, before one of them is kept.

    References
    ----------
    Neverova, Wolf, Taylor, Nebout (2016). ModDrop: adaptive multi-modal gesture
    recognition. https://arxiv.org/abs/1501.00102

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import ModalityDropout
    >>> dropout = ModalityDropout(0.9).train()
    >>> (dropout(torch.ones(100, 2)).sum(1) >= 1).all().item()
    True
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        self.p = p

    def forward(self, present: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Return `present` after dropping modalities, of shape (batch, modalities).

        `uniform` holds random numbers between 0 and 1, of the same shape as `present`; None
        draws them.
        """
        if not self.training or self.p == 0:
            return present
        uniform = present * (torch.rand_like(present) if uniform is None else uniform)
        largest = (uniform == uniform.amax(dim=1, keepdim=True)) * present
        return torch.maximum(present * (uniform >= self.p), largest)
