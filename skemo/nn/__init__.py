"""The networks' building blocks and the two whole networks, as plain torch modules."""

from skemo.nn.attention import CrossModalConnection, ModalityAwareAttention
from skemo.nn.blocks import ConvBlock, ModalityDropout, SqueezeExcitation, StreamBlock
from skemo.nn.networks import CrossModalAttentionNetwork, ModalityAwareAttentionNetwork
from skemo.nn.unet import UNet

__all__ = [
    "ConvBlock",
    "CrossModalAttentionNetwork",
    "CrossModalConnection",
    "ModalityAwareAttention",
    "ModalityAwareAttentionNetwork",
    "ModalityDropout",
    "SqueezeExcitation",
    "StreamBlock",
    "UNet",
]
