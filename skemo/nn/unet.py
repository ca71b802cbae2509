"""U-Net for series and maps of any size."""

import torch
from torch import nn
from torch.nn import functional

from skemo.nn.blocks import ConvBlock

_MAX_POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d}


class UNet(nn.Module):
    """Encoder and decoder joined by skip connections.

    Each level halves the size (rounding up, so any size from one sample works) and
    doubles the channels; the decoder brings the size back and joins each level's
    encoder output.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    n_dims : {1, 2}
        One dimension for series, two for maps.
    n_filters : int, default=16
        Channels of the first level and of the output.
    depth : int, default=2
        Number of times the size is halved.
    kernel_size, reduction, merge
        See :class:`ConvBlock`.

    References
    ----------
    Ronneberger, Fischer, Brox (2015). U-Net: convolutional networks for biomedical image
    segmentation. https://arxiv.org/abs/1505.04597

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import UNet
    >>> UNet(1, n_dims=1, n_filters=8)(torch.zeros(2, 1, 33)).shape
    torch.Size([2, 8, 33])
    """

    def __init__(
        self,
        in_channels,
        *,
        n_dims,
        n_filters=16,
        depth=2,
        kernel_size=3,
        reduction=2,
        merge="max",
    ):
        super().__init__()
        settings = {
            "n_dims": n_dims,
            "kernel_size": kernel_size,
            "reduction": reduction,
            "merge": merge,
        }
        widths = [n_filters * 2**level for level in range(depth + 1)]
        self.encoder = nn.ModuleList(
            ConvBlock(before, after, **settings)
            for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.decoder = nn.ModuleList(
            ConvBlock(before + after, after, **settings)
            for before, after in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.pool = _MAX_POOLS[n_dims](2, ceil_mode=True)

    def forward(self, x):
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        for block, skip in zip(self.decoder, skips[-2::-1], strict=True):
            x = functional.interpolate(x, size=skip.shape[2:])
            x = block(torch.cat([x, skip], dim=1))
        return x
