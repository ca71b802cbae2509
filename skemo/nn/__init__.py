"""The networks' building blocks and the two whole networks, as plain torch modules."""

from skemo.nn.attention import ModalityAwareAttention
from skemo.nn.blocks import ConvBlock, SqueezeExcitation
from skemo.nn.networks import ModalityAwareAttentionNetwork
from skemo.nn.unet import UNet

__all__ = [
    "ConvBlock",
    "ModalityAwareAttention",
    "ModalityAwareAttentionNetwork",
    "SqueezeExcitation",
    "UNet",
]
