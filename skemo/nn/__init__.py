"""The two networks and their building blocks as plain torch modules."""

from skemo.nn.attention import CrossModalConnection, ModalityAwareAttention
from skemo.nn.base import FusionNetwork
from skemo.nn.blocks import (
    BatchNorm,
    ConvBlock,
    ModalityDropout,
    SqueezeExcitation,
    StreamBlock,
    counted_rows,
)
from skemo.nn.cross_modal import CrossModalAttentionNetwork
from skemo.nn.ensemble import FusionEnsemble
from skemo.nn.modality_aware import ModalityAwareAttentionNetwork
from skemo.nn.ordinal import OrdinalLink
from skemo.nn.unet import UNet

__all__ = [
    "BatchNorm",
    "ConvBlock",
    "CrossModalAttentionNetwork",
    "CrossModalConnection",
    "FusionEnsemble",
    "FusionNetwork",
    "ModalityAwareAttention",
    "ModalityAwareAttentionNetwork",
    "ModalityDropout",
    "OrdinalLink",
    "SqueezeExcitation",
    "StreamBlock",
    "UNet",
    "counted_rows",
]
