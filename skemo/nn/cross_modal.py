"""The cross-modal attention network: connected convolutional streams."""

import torch
from torch import nn

from skemo.nn.attention import CrossModalConnection
from skemo.nn.base import FusionNetwork
from skemo.nn.blocks import StreamBlock


class CrossModalAttentionNetwork(FusionNetwork):
    """A convolutional stream for each modality, with connections between the streams.

    After the blocks that `stages` names, streams take over representations of others
    (:class:`CrossModalConnection`). Each stream's last feature map is reduced to its maximum
    over time; the vectors are concatenated and classified. Without connections this is late
    fusion: the class scores are the sum of what each stream gives by itself.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shape of one window of each modality, (n_channels, n_times).
    n_classes : int
        Number of scores.
    connections : sequence of (int, int), default=()
        Pairs of modalities, by position: the first is shared with the second.
    stages : sequence of int, default=(1, 2)
        Blocks after which they are connected, counted from 1.
    attention, merge, reduction
        See :class:`CrossModalConnection`.
    n_filters : int, default=8
        Channels of the first block; each further block has twice as many.
    n_blocks : int, default=3
        Blocks of each stream.
    kernel_size, pool_size
        See :class:`StreamBlock`.
    dropout : float, default=0.0
        Share of the fused representation that is dropped before it is classified, in
        training.
    modality_dropout : float, default=0.0
        See :class:`ModalityDropout`.
    input_noise : float, default=0.0
        Standard deviation of Gaussian noise on the inputs in training.

    Attributes
    ----------
    vector_sizes : list of int
        How many numbers of the fused representation each modality has.

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

    def __init__(
        self,
        shapes,
        n_classes,
        *,
        connections=(),
        stages=(1, 2),
        attention="channel",
        merge="sum",
        reduction=2,
        n_filters=8,
        n_blocks=3,
        kernel_size=9,
        pool_size=8,
        dropout=0.0,
        modality_dropout=0.0,
        input_noise=0.0,
    ):
        super().__init__(shapes, input_noise)
        self.sources = [[i for i, j in connections if j == k] for k in range(len(shapes))]
        self.blocks = nn.ModuleList()  # of each stage, one block a modality
        self.connections = nn.ModuleDict()  # of each connected stage, one a modality that receives
        widths = [shape[0] for shape in shapes]
        for stage in range(1, n_blocks + 1):
            width = n_filters * 2 ** (stage - 1)
            self.blocks.append(
                nn.ModuleList(
                    StreamBlock(before, width, kernel_size=kernel_size, pool_size=pool_size)
                    for before in widths
                )
            )
            widths = [width] * len(shapes)
            if stage in stages and connections:
                joints = nn.ModuleDict()
                for target, sources in enumerate(self.sources):
                    if sources:
                        joints[str(target)] = CrossModalConnection(
                            width,
                            [width] * len(sources),
                            attention=attention,
                            merge=merge,
                            reduction=reduction,
                        )
                        widths[target] = joints[str(target)].out_channels
                self.connections[str(stage)] = joints
        self._finish(widths, n_classes, dropout, modality_dropout)

    def _evaluate(self, inputs, present, luck, kept):
        present = self.modality_dropout(present, luck)
        # Columns, not lists as indices, which would be copied to a GPU at each step.
        there = present.split(1, dim=1)
        shared = [[] for _ in there]  # of each modality: with which weight, and where there is one
        maps = inputs
        for stage, blocks in enumerate(self.blocks, start=1):
            maps = [block(x) for block, x in zip(blocks, maps, strict=True)]
            if str(stage) in self.connections:
                maps = self._exchange(maps, there, self.connections[str(stage)], shared)
        vectors = [x.max(2).values * column for x, column in zip(maps, there, strict=True)]
        fused = torch.cat(vectors, dim=1)
        weights = []
        for column, shares in zip(there, shared, strict=True):
            none = torch.zeros_like(column)
            total = sum((share for share, _ in shares), none)
            number = sum((to for _, to in shares), none)
            weights.append(torch.where(column > 0, total / number, none))  # NaN: shared with none
        return torch.cat(weights, dim=1), fused, self._score(fused, kept)

    def _exchange(self, maps, there, joints, shared):
        """Feature maps after all have taken over from those before; notes the weights."""
        merged = list(maps)
        for key, connection in joints.items():
            target = int(key)
            sources = self.sources[target]
            present = torch.cat([there[i] for i in sources], dim=1)
            merged[target], shares = connection(maps[target], [maps[i] for i in sources], present)
            for source, share in zip(sources, shares.detach().split(1, dim=1), strict=True):
                shared[source].append((share * there[target], there[target]))
        return merged
