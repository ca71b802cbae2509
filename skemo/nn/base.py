"""Base class of the networks that fuse several modalities."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skemo.nn.blocks import ModalityDropout


class FusionNetwork(nn.Module, ABC):
    """Base class of the networks: handles the random numbers of training and the outputs.

    A subclass builds its layers, calls `_finish` and defines ``_evaluate(inputs, present,
    uniform, scale)``.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shape of a window of each modality.
    input_noise : float, default=0.0
        Standard deviation of the Gaussian noise added to the inputs in training. Inputs that
        are exactly 0, such as padding and missing values, stay 0.
    quality_shapes : sequence of tuple of int, default=()
        Shapes of further inputs, which tell how far the signals can be trusted. They follow the
        modalities in the inputs, and reach only the attention.

    Attributes
    ----------
    vector_sizes : list of int
        Number of features that each modality has in the fused representation.
    can_be_stacked : bool
        Whether several networks of this form can be trained as one computation
        (:func:`skemo.fit_many`), which needs a network that draws no random numbers itself.
    can_be_fused : bool
        Whether all its convolutions can be computed by compiled loops on a CPU.
    centers : Parameter of shape (n_classes, n_features), or None
        Centres of the classes in the fused representation. In training, the squared distances
        from them follow the outputs of `forward`.
    link : Module or None
        Turns the outputs of the last layer into class scores, such as an
        :class:`OrdinalLink`; None, the default, leaves them as they are.
    uses_bfloat16 : bool
        Whether convolutions and matrix products are computed in bfloat16, using torch's
        autocast. False by default.
    """

    can_be_stacked = True
    can_be_fused = False
    uses_bfloat16 = False

    def __init__(
        self,
        shapes: Sequence[tuple[int, ...]],
        input_noise: float = 0.0,
        quality_shapes: Sequence[tuple[int, ...]] = (),
    ) -> None:
        super().__init__()
        self.shapes = [tuple(shape) for shape in shapes]
        self.quality_shapes = [tuple(shape) for shape in quality_shapes]
        self.input_noise = input_noise
        self.link: nn.Module | None = None
        self.centers: nn.Parameter | None = None

    @property
    def members(self) -> list["FusionNetwork"]:
        """The networks of an ensemble; a single network is its only member."""
        return [self]

    def _finish(
        self,
        vector_sizes: list[int],
        n_outputs: int,
        dropout: float,
        modality_dropout: float,
    ) -> None:
        self.modality_dropout = ModalityDropout(modality_dropout)
        self.vector_sizes = vector_sizes
        self.dropout = dropout
        self.head = nn.Linear(sum(vector_sizes), n_outputs)

    def forward(
        self,
        inputs: Sequence[Tensor],
        present: Tensor,
        noise: Sequence[Tensor | None] | None = None,
    ) -> Tensor:
        """Return the outputs, of shape (batch, n_outputs).

        Parameters
        ----------
        inputs : sequence of Tensor of shape (batch, ...)
            One tensor per modality, then one for each of `quality_shapes`.
        present : Tensor of shape (batch, n_inputs)
            1 if the window has the modality, 0 otherwise. Where the quality is not known, its
            input is 0.
        noise : sequence of Tensor or None, default=None
            Random numbers from `draw_noise`. If None, they are drawn in training.
        """
        _, fused, outputs = self.evaluate(inputs, present, noise)
        if self.centers is None or not self.training:
            return outputs
        distances = (fused.unsqueeze(1) - self.centers).square().sum(2)
        return torch.cat([outputs, distances], dim=1)

    def evaluate(
        self,
        inputs: Sequence[Tensor],
        present: Tensor,
        noise: Sequence[Tensor | None] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return attention weights, the fused representation and the outputs.

        The weights have the shape (batch, n_modalities). The parameters are those of `forward`.
        """
        uniform, scale, *added = self._noise(present, noise)
        inputs = [
            x if more is None else torch.where(x == 0, x, x + more)
            for x, more in zip(inputs, added, strict=True)
        ]
        if not self.uses_bfloat16:
            return self._evaluate(inputs, present, uniform, scale)
        with torch.autocast(present.device.type, torch.bfloat16):
            weights, fused, scores = self._evaluate(inputs, present, uniform, scale)
        return weights.float(), fused.float(), scores.float()

    def draw_noise(
        self, n_windows: int, generator: torch.Generator | None = None
    ) -> list[Tensor | None]:
        """Draw the random numbers that training needs for a batch.

        They are drawn on the CPU, whatever device the network is on.

        Parameters
        ----------
        n_windows : int
        generator : torch.Generator or None, default=None
            None uses torch's global generator.

        Returns
        -------
        uniform : Tensor of shape (n_windows, n_modalities), or None
            Numbers between 0 and 1, for `ModalityDropout`.
        scale : Tensor of shape (n_windows, n_features), or None
            Dropout: factors of the fused representation, either 0 or 1 / (1 - dropout).
        *added : Tensor of shape (n_windows, ...), or None
            Noise to add to each input; None for the quality.
        """
        uniform = scale = None
        if self.modality_dropout.p > 0:
            shape = n_windows, len(self.shapes)
            uniform = torch.rand(shape, generator=generator, dtype=torch.float32)
        if self.dropout > 0:
            scale = torch.empty(n_windows, sum(self.vector_sizes), dtype=torch.float32)
            scale.bernoulli_(1 - self.dropout, generator=generator).div_(1 - self.dropout)
        added: list[Tensor | None] = [None] * len(self.shapes)
        quality: list[Tensor | None] = [None] * len(self.quality_shapes)  # is not disturbed
        if self.input_noise > 0:
            empty = [torch.empty(n_windows, *shape, dtype=torch.float32) for shape in self.shapes]
            added = [x.normal_(0, self.input_noise, generator=generator) for x in empty]
        return [uniform, scale, *added, *quality]

    def _noise(
        self, present: Tensor, noise: Sequence[Tensor | None] | None
    ) -> Sequence[Tensor | None]:
        """The noise that was passed or, if there was none, newly drawn; none in prediction."""
        if not self.training:
            return [None] * (2 + len(self.shapes) + len(self.quality_shapes))
        drawn = self.draw_noise(len(present)) if noise is None else noise
        return [None if x is None else x.to(present.device) for x in drawn]

    @abstractmethod
    def _evaluate(
        self,
        inputs: Sequence[Tensor],
        present: Tensor,
        uniform: Tensor | None,
        scale: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return attention weights, fused representation and outputs."""

    def _take_quality(
        self, inputs: Sequence[Tensor], present: Tensor
    ) -> tuple[Sequence[Tensor], Tensor, Tensor | None]:
        """Return the inputs and the presence of the modalities, and the numbers on quality."""
        n = len(self.shapes)
        if not self.quality_shapes:
            return inputs, present, None
        return inputs[:n], present[:, :n], torch.cat([x.flatten(1) for x in inputs[n:]], dim=1)

    def _score(self, fused: Tensor, scale: Tensor | None) -> Tensor:
        outputs = self.head(fused if scale is None else fused * scale)
        return outputs if self.link is None else self.link(outputs)
