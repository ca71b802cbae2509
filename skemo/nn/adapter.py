"""Any torch module as a network that fuses modalities."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skemo.nn.base import FusionNetwork
from skemo.nn.blocks import ModalityDropout


class ModuleNetwork(FusionNetwork):
    """A module with ``forward(inputs, present)``, trained like the networks of this library.

    Noise on the inputs and modality dropout are added. A modality that is missing, or dropped,
    is passed as zeros.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shape of a window of each modality.
    module : Module
        Called with a list of tensors of shape (batch, ...), one per modality, and with a tensor
        of shape (batch, n_modalities), which is 1 where a window has a modality and 0 elsewhere;
        returns the outputs, of shape (batch, n_outputs), which also are the fused representation.
    n_outputs : int
    """

    can_be_stacked = False  # the module may draw random numbers

    def __init__(
        self, shapes: Sequence[tuple[int, ...]], module: nn.Module, n_outputs: int
    ) -> None:
        super().__init__(shapes)
        self.module = module
        self.modality_dropout = ModalityDropout()
        self.vector_sizes = [n_outputs]
        self.dropout = 0.0

    def _evaluate(
        self,
        inputs: Sequence[Tensor],
        present: Tensor,
        uniform: Tensor | None,
        scale: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        present = self.modality_dropout(present, uniform)
        parts = zip(inputs, present.unbind(1), strict=True)
        inputs = [x * has.view(-1, *[1] * (x.dim() - 1)) for x, has in parts]
        fused = self.module(inputs, present)
        outputs = fused if self.link is None else self.link(fused)
        return torch.full_like(present, torch.nan), fused, outputs
