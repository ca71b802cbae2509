"""What the networks are built of: blocks of convolutions, and dropout of modalities."""

from contextlib import contextmanager

import torch
from torch import nn

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d}


class SqueezeExcitation(nn.Module):
    """Concurrent channel and spatial squeeze-and-excitation.

    A channel gate ``s = σ(W₂ ReLU(W₁ z))``, with ``z`` the mean of each channel over
    space, and a spatial gate ``q = σ(conv₁ₓ₁(U))`` each rescale the feature map ``U``;
    the two results are joined.

    Parameters
    ----------
    n_channels : int
        Channels of the feature map.
    reduction : int, default=2
        Factor by which channels are squeezed before they are weighted:
        ``W₁`` maps them to ``n_channels // reduction``, at least one.
    excitation : {"max", "sum"}, default="max"
        The element-wise maximum, as in the authors' code, or the sum.

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

    def __init__(self, n_channels, *, reduction=2, excitation="max"):
        super().__init__()
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

    def forward(self, x):
        space = x.shape[2:]
        x = x.flatten(2)  # batch, channels, places
        weight, bias = self.spatial_gate[0].weight, self.spatial_gate[0].bias
        by_channel = self.channel_gate(x.mean(2)).unsqueeze(2)
        by_place = self.spatial_gate[1](torch.matmul(weight, x) + bias)
        if self.excitation == "max":
            x = _Largest.apply(x, by_channel, by_place)[0]
        else:
            x = x * (by_channel + by_place)
        return x.unflatten(2, space)


class _Largest(torch.autograd.Function):
    """The larger of x times two gates; and the gate that was larger, and which one it is.

    The gradient goes through that gate, and half through each where both are equal. It is what
    `torch.maximum` does, of which the comparisons of its backward pass take several times as
    long as products with numbers that are 0 or 1.
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
    """Batch normalisation over any number of dimensions, which can leave rows out.

    Training several networks together gives each a batch of the same size; what fills the
    smaller ones up is left out of means and variances, by `counted_rows`.

    Parameters
    ----------
    num_features : int
        Channels.

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import BatchNorm
    >>> BatchNorm(8)(torch.zeros(2, 8, 30)).shape
    torch.Size([2, 8, 30])
    """

    rows = None  # (batch,), 1 where a row counts and 0 where not; all of them if None

    def _check_input_dim(self, x):
        if x.dim() < 3:
            raise ValueError(f"Feature maps are (batch, channels, places…), got {tuple(x.shape)}.")

    def forward(self, x):
        if self.rows is None or not self.training:
            return super().forward(x)
        around = [1] * (x.dim() - 2)
        rows = self.rows.view(-1, 1, *around)
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
        scale = self.weight.view(-1, *around) / (variance + self.eps).sqrt()
        return centred * scale + self.bias.view(-1, *around)


@contextmanager
def counted_rows(network, rows):
    """Let only these rows of a batch count in the statistics of batch normalisation.

    Parameters
    ----------
    network : Module
    rows : Tensor of shape (batch,) or None
        1 where a row counts and 0 where not; None for all.
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

    The convolution pads with zeros, so that the size of the feature map stays.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels before and after.
    n_dims : {1, 2}
        One dimension for series, two for maps.
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
        self, in_channels, out_channels, *, n_dims, kernel_size=3, reduction=2, excitation="max"
    ):
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

    Each of two convolutions is followed by batch normalisation and ReLU. They pad with
    zeros, and pooling rounds up, so that any length from one sample works.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels before and after.
    kernel_size : int, default=9
        Odd width of the convolutions.
    pool_size : int, default=8
        Factor by which the series becomes shorter.

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import StreamBlock
    >>> StreamBlock(1, 16)(torch.zeros(2, 1, 42)).shape
    torch.Size([2, 16, 6])
    """

    def __init__(self, in_channels, out_channels, *, kernel_size=9, pool_size=8):
        layers = []
        for before in (in_channels, out_channels):
            layers += [
                nn.Conv1d(before, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
                BatchNorm(out_channels),
                nn.ReLU(),
            ]
        super().__init__(*layers, nn.MaxPool1d(pool_size, ceil_mode=True))


class ModalityDropout(nn.Module):
    """Lets whole modalities be absent at random in training, but never all of a window.

    A network that was trained so makes do with what a window has. Where all would be
    dropped, one that is there is kept, drawn at random: of two modalities, p=0.3 drops each
    with a probability of 0.255.

    Parameters
    ----------
    p : float, default=0.0
        Probability that a modality of a window is dropped, before one is kept.

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

    def __init__(self, p=0.0):
        super().__init__()
        self.p = p

    def forward(self, present, luck=None):
        """Return what is kept of `present`, both (batch, modalities).

        `luck` holds random numbers between 0 and 1 of the same shape; None draws them.
        """
        if not self.training or self.p == 0:
            return present
        luck = present * (torch.rand_like(present) if luck is None else luck)
        luckiest = (luck == luck.amax(dim=1, keepdim=True)) * present
        return torch.maximum(present * (luck >= self.p), luckiest)
