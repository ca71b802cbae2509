"""U-Net for series and maps of any size."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from skemo.nn.blocks import ConvBlock
from skemo.nn.fusing import fused_code

_SMALL_MAP = 256  # places up to which enlarging a map by a matrix product is faster
_MAX_POOLS: dict[int, type[nn.MaxPool1d] | type[nn.MaxPool2d]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}


class UNet(nn.Module):
    """Encoder and decoder joined by skip connections.

    Each level of the encoder halves the size (rounding up, so inputs of any size work, down
    to a single sample) and doubles the number of channels. The decoder restores the size and
    concatenates the encoder's output at each level.

    Parameters
    ----------
    in_channels : int
        Number of channels of the input.
    n_dims : {1, 2}
        1 for series, 2 for maps.
    n_filters : int, default=16
        Number of channels of the first level and of the output.
    depth : int, default=2
        Number of times the size is halved.
    kernel_size, reduction, excitation
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
        in_channels: int,
        *,
        n_dims: int,
        n_filters: int = 16,
        depth: int = 2,
        kernel_size: int = 3,
        reduction: int = 2,
        excitation: Literal["max", "sum"] = "max",
    ) -> None:
        super().__init__()
        settings: dict[str, Any] = {
            "n_dims": n_dims,
            "kernel_size": kernel_size,
            "reduction": reduction,
            "excitation": excitation,
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

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        for block, skip in zip(self.decoder, skips[-2::-1], strict=True):
            x = block(torch.cat([_enlarge(x, skip.shape[2:]), skip], dim=1))
        return x

    def maxima(self, x: Tensor) -> Tensor:
        """Return the maximum of each channel of the output, of shape (batch, n_filters)."""
        fused = fused_code(x)
        if fused is not None:
            return fused.compute(fused.Maxima, self, x)[0]
        return self(x).flatten(2).max(2).values


def _enlarge(x: Tensor, size: torch.Size) -> Tensor:
    """Resize feature maps by nearest-neighbour interpolation."""
    if math.prod(size) > _SMALL_MAP:
        return functional.interpolate(x, size=size)
    # For small maps, multiplying by a matrix of zeros and ones takes a tenth of the time.
    places = torch.arange(x[0, 0].numel(), dtype=torch.float32, device=x.device)
    places = places.view(1, 1, *x.shape[2:])
    source = functional.interpolate(places, size=size).flatten()
    matrix = (places.view(-1, 1) == source).to(x.dtype)
    return (x.flatten(2) @ matrix).unflatten(2, size)
