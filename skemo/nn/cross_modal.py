"""The cross-modal attention network: connected convolutional streams."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from skemo.nn.attention import CrossModalConnection
from skemo.nn.base import FusionNetwork
from skemo.nn.blocks import StreamBlock
from skemo.nn.fusing import fused_code


class CrossModalAttentionNetwork(FusionNetwork):
    """A convolutional stream for each modality, with connections between the streams.

    After the blocks listed in `stages`, streams receive the representations of others
    (:class:`CrossModalConnection`). Each stream's last feature map is reduced to its maximum
    over time; the resulting vectors are concatenated and classified. Without connections
    this is late fusion: the class scores are the sum of the scores of each stream.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shape of a window of each modality, (n_channels, n_times).
    n_outputs : int
        Number of outputs: class scores, or numbers to predict.
    connections : sequence of (int, int), default=()
        Pairs of modalities, by position: the first is shared with the second.
    stages : sequence of int, default=(1, 2)
        Blocks after which the streams are connected, counted from 1.
    attention, merge, reduction
        See :class:`CrossModalConnection`. With "residual" and "scalar", the network begins
        exactly as with None.
    quality_shapes : sequence of tuple of int, default=()
        Shapes of further inputs, from which the gates are estimated as well (see
        :class:`FusionNetwork`). Without connections or attention, they have no effect.
    n_filters : int, default=8
        Number of channels of the first block; each further block has twice as many.
    n_blocks : int, default=3
        Number of blocks of each stream.
    kernel_size, pool_size
        See :class:`StreamBlock`.
    dropout : float, default=0.0
        Share of the fused representation that is dropped in training, before it is
        classified.
    modality_dropout : float, default=0.0
        See :class:`ModalityDropout`.
    input_noise : float, default=0.0
        Standard deviation of the Gaussian noise added to the inputs in training.

    Attributes
    ----------
    vector_sizes : list of int
        Number of features that each modality has in the fused representation.

    References
    ----------
    Bhatti, Behinaein, Rodenburg, Hungler, Etemad (2021). Attentive cross-modal connections
    for deep multimodal wearable-based emotion recognition. https://arxiv.org/abs/2108.02241

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import CrossModalAttentionNetwork
    >>> network = CrossModalAttentionNetwork([(1, 640), (1, 40)], 3, connections=[(0, 1), (1, 0)])
    >>> network([torch.zeros(5, 1, 640), torch.zeros(5, 1, 40)], torch.ones(5, 2)).shape
    torch.Size([5, 3])
    """

    can_be_fused = True

    def __init__(
        self,
        shapes: Sequence[tuple[int, ...]],
        n_outputs: int,
        *,
        connections: Sequence[tuple[int, int]] = (),
        stages: Sequence[int] = (1, 2),
        attention: Literal["channel", "temporal", "residual", "scalar"] | None = "channel",
        quality_shapes: Sequence[tuple[int, ...]] = (),
        merge: Literal["sum", "concat"] = "sum",
        reduction: int = 2,
        n_filters: int = 8,
        n_blocks: int = 3,
        kernel_size: int = 9,
        pool_size: int = 8,
        dropout: float = 0.0,
        modality_dropout: float = 0.0,
        input_noise: float = 0.0,
    ) -> None:
        super().__init__(shapes, input_noise, quality_shapes)
        n_quality = sum(map(math.prod, self.quality_shapes))
        self.sources = [[i for i, j in connections if j == k] for k in range(len(shapes))]
        # For each stage, a ModuleList of one block per modality.
        self.blocks: Any = nn.ModuleList()
        self.connections = nn.ModuleDict()  # by stage, then by the modality that receives
        self.stages = [x for x in range(1, n_blocks + 1) if x in stages and connections]
        widths = [shape[0] for shape in shapes]
        for stage in range(1, n_blocks + 1):
            width = n_filters * 2 ** (stage - 1)
            self.blocks.append(
                nn.ModuleList(
                    StreamBlock(n_channels, width, kernel_size=kernel_size, pool_size=pool_size)
                    for n_channels in widths
                )
            )
            widths = [width] * len(shapes)
            if stage in self.stages:
                by_target = nn.ModuleDict()
                for target, sources in enumerate(self.sources):
                    if sources:
                        connection = CrossModalConnection(
                            width,
                            [width] * len(sources),
                            attention=attention,
                            n_quality=n_quality,
                            merge=merge,
                            reduction=reduction,
                        )
                        by_target[str(target)] = connection
                        widths[target] = connection.out_channels
                self.connections[str(stage)] = by_target
        self._finish(widths, n_outputs, dropout, modality_dropout)

    def _evaluate(
        self,
        inputs: Sequence[Tensor],
        present: Tensor,
        uniform: Tensor | None,
        scale: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        inputs, present, quality = self._take_quality(inputs, present)
        present = self.modality_dropout(present, uniform)
        fused_loops = fused_code(inputs[0])
        if fused_loops is None:
            vectors, received = self._run_streams(inputs, present, quality)
        else:
            trusts = [connection.trust(quality) for _, connection in self._connected()]
            own = [trust for trust in trusts if trust is not None]
            outputs = fused_loops.compute(
                fused_loops.Streams, self, *inputs, present.to(inputs[0].dtype), *own
            )
            vectors, received = outputs[: len(inputs)], outputs[len(inputs) :]
        # Split into columns: selecting them by lists would copy indices to a GPU at each step.
        columns = present.split(1, dim=1)
        fused = torch.cat([x * column for x, column in zip(vectors, columns, strict=True)], dim=1)
        # For each modality: the weights with which it was shared, and whether they count.
        shares: list[list[tuple[Tensor, Tensor]]] = [[] for _ in columns]
        for (target, _), weights in zip(self._connected(), received, strict=True):
            parts = weights.detach().split(1, dim=1)
            for source, weight in zip(self.sources[target], parts, strict=True):
                shares[source].append((weight * columns[target], columns[target]))
        means = []
        for column, shared in zip(columns, shares, strict=True):
            zero = torch.zeros_like(column)
            total = sum((weight for weight, _ in shared), zero)
            count = sum((counts for _, counts in shared), zero)
            # 0 / 0 is NaN: the modality is shared with none that is present.
            means.append(torch.where(column > 0, total / count, zero))
        return torch.cat(means, dim=1), fused, self._score(fused, scale)

    def _connected(self) -> Iterator[tuple[int, Any]]:
        """Yield each connection after the modality that receives, in the order of the stages."""
        by_stage: Any = self.connections.values()
        for by_target in by_stage:
            for target, connection in by_target.items():
                yield int(target), connection

    def _run_streams(
        self, inputs: Sequence[Tensor], present: Tensor, quality: Tensor | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the vector of each modality, and the weights of the sources of each connection.

        Vectors have the shape (batch, n_features), weights (batch, n_sources).
        """
        columns = present.split(1, dim=1)
        maps = list(inputs)
        received: list[Tensor] = []
        for stage, blocks in enumerate(self.blocks, start=1):
            maps = [block(x) for block, x in zip(blocks, maps, strict=True)]
            merged = list(maps)
            by_target: Any = self.connections[str(stage)] if stage in self.stages else {}
            for key, connection in by_target.items():
                target, sources = int(key), self.sources[int(key)]
                shared = torch.cat([columns[i] for i in sources], dim=1)
                merged[target], weights = connection(
                    maps[target], [maps[i] for i in sources], shared, quality
                )
                received.append(weights)
            maps = merged
        return [x.max(2).values for x in maps], received
