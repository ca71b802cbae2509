"""Whole networks: signals of several modalities in, class scores out."""

import math

import torch
from torch import nn

from skemo.nn.attention import CrossModalConnection, ModalityAwareAttention
from skemo.nn.blocks import ModalityDropout, StreamBlock
from skemo.nn.unet import UNet


class FusionNetwork(nn.Module):
    """What networks of several modalities share: noise in training, and the class scores.

    A subclass builds its parts, then calls `_finish`, and has ``_evaluate(inputs, present,
    luck, kept)``.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shape of one window of each modality.
    input_noise : float, default=0.0
        Standard deviation of the Gaussian noise that is added to the inputs in training.
        What is exactly 0, padding and what is missing, stays so.

    Attributes
    ----------
    vector_sizes : list of int
        How many numbers of the fused representation each modality has.
    bfloat16 : bool
        Whether convolutions and products are computed in bfloat16, by torch's autocast; False
        unless it is set.
    """

    bfloat16 = False

    def __init__(self, shapes, input_noise=0.0):
        super().__init__()
        self.shapes = [tuple(shape) for shape in shapes]
        self.input_noise = input_noise

    @property
    def members(self):
        """The networks that this one is made of: itself."""
        return [self]

    def _finish(self, vector_sizes, n_classes, dropout, modality_dropout):
        self.modality_dropout = ModalityDropout(modality_dropout)
        self.vector_sizes = vector_sizes
        self.dropout = dropout
        self.head = nn.Linear(sum(vector_sizes), n_classes)

    def forward(self, inputs, present, noise=None):
        """Return the class scores, (batch, n_classes).

        `inputs` holds one (batch, *shape) a modality; `present`, (batch, modalities), is 1
        where a window has the modality and 0 where not. In training, `noise` is what
        `draw_noise` gave; None draws it.
        """
        return self.evaluate(inputs, present, noise)[2]

    def evaluate(self, inputs, present, noise=None):
        """Return weights (batch, modalities), the fused representation, and the scores."""
        luck, kept, *added = self._noise(present, noise)
        inputs = [
            x if more is None else torch.where(x == 0, x, x + more)
            for x, more in zip(inputs, added, strict=True)
        ]
        if not self.bfloat16:
            return self._evaluate(inputs, present, luck, kept)
        with torch.autocast(present.device.type, torch.bfloat16):
            results = self._evaluate(inputs, present, luck, kept)
        return [result.float() for result in results]

    def draw_noise(self, n_windows, generator=None):
        """Draw what is random in training, on the CPU whatever the network is on.

        Parameters
        ----------
        n_windows : int
        generator : torch.Generator or None, default=None
            None is torch's own.

        Returns
        -------
        luck : Tensor of shape (n_windows, n_modalities), or None
            Between 0 and 1, for `ModalityDropout`.
        kept : Tensor of shape (n_windows, n_features), or None
            By what the fused representation is multiplied: 0, or 1 / (1 - dropout).
        *added : Tensor of shape (n_windows, ...), or None
            What is added to the input of each modality.
        """
        luck = kept = None
        if self.modality_dropout.p > 0:
            luck = torch.rand(n_windows, len(self.vector_sizes), generator=generator)
        if self.dropout > 0:
            kept = torch.empty(n_windows, sum(self.vector_sizes))
            kept.bernoulli_(1 - self.dropout, generator=generator).div_(1 - self.dropout)
        added = [None] * len(self.shapes)
        if self.input_noise > 0:
            added = [
                torch.empty(n_windows, *shape).normal_(0, self.input_noise, generator=generator)
                for shape in self.shapes
            ]
        return luck, kept, *added

    def _noise(self, present, noise):
        """The noise given, or drawn where there is to be some."""
        if not self.training:
            return [None] * (2 + len(self.shapes))
        drawn = self.draw_noise(len(present)) if noise is None else noise
        return [None if x is None else x.to(present.device) for x in drawn]

    def _score(self, fused, kept):
        return self.head(fused if kept is None else fused * kept)


class FusionEnsemble(nn.Module):
    """Several networks of one form, whose probabilities are averaged.

    Members differ in their initial weights and in what is random in training, and each has its
    own loss: training them together is training each by itself, on the same batches. What they
    agree on remains; where they differ by chance, the mean is nearer to the truth than one of
    them is as a rule [1]_.

    Parameters
    ----------
    members : sequence of FusionNetwork
        With the same inputs and classes.

    Attributes
    ----------
    members : ModuleList
        The networks.
    vector_sizes : list of int
        How many numbers of the fused representation each modality has.

    References
    ----------
    .. [1] Lakshminarayanan, Pritzel, Blundell (2017). Simple and scalable predictive
       uncertainty estimation using deep ensembles. https://arxiv.org/abs/1612.01474

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import FusionEnsemble, ModalityAwareAttentionNetwork
    >>> network = FusionEnsemble([ModalityAwareAttentionNetwork([(1, 33)], 2) for _ in range(3)])
    >>> network([torch.zeros(5, 1, 33)], torch.ones(5, 1)).shape
    torch.Size([5, 2, 3])
    """

    def __init__(self, members):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.vector_sizes = [len(members) * size for size in members[0].vector_sizes]

    def forward(self, inputs, present, noise=None):
        """Return the class scores of each member, (batch, n_classes, n_members).

        The arguments are those of one network.
        """
        parts = self._evaluate_members(inputs, present, noise)
        return torch.stack([scores for _, _, scores in parts], dim=2)

    def evaluate(self, inputs, present, noise=None):
        """Return weights, averaged over members, the fused representation, and joint scores.

        The fused representation has the numbers of all members, modality by modality. The
        scores, (batch, n_classes), are logarithms of the mean probabilities.
        """
        weights, fused, scores = zip(*self._evaluate_members(inputs, present, noise), strict=True)
        sizes = self.members[0].vector_sizes
        by_modality = zip(*(vectors.split(sizes, dim=1) for vectors in fused), strict=True)
        fused = torch.cat([vector for vectors in by_modality for vector in vectors], dim=1)
        joint = torch.stack(scores).log_softmax(2).logsumexp(0) - math.log(len(self.members))
        return torch.stack(weights).mean(0), fused, joint

    def draw_noise(self, n_windows, generator=None):
        """Draw what is random in training for each member; the columns of all stand together."""
        drawn = [member.draw_noise(n_windows, generator) for member in self.members]
        of_kind = zip(*drawn, strict=True)
        return [None if parts[0] is None else torch.cat(parts, dim=1) for parts in of_kind]

    def _evaluate_members(self, inputs, present, noise):
        n_members = len(self.members)
        shares = n_members * [None]
        if noise is not None:
            parts = [n_members * [None] if x is None else x.chunk(n_members, 1) for x in noise]
            shares = zip(*parts, strict=True)
        return [
            member.evaluate(inputs, present, share)
            for member, share in zip(self.members, shares, strict=True)
        ]


class ModalityAwareAttentionNetwork(FusionNetwork):
    """A U-Net for each modality, fused by modality-aware attention.

    Each branch's feature map is scaled by its mask and reduced to its maximum over time
    or space; the vectors are concatenated and classified. Scaling a map by a mask of
    positive numbers, one a channel, scales its maximum by the same number, so the mask
    is applied to the maximum, which is already there.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shape of one window of each modality: (n_channels, n_times) gets a U-Net over
        time, (n_maps, height, width) one over a plane.
    n_classes : int
        Number of scores.
    attention : bool, default=True
        False is the paper's basic model: the same network, every mask one.
    n_filters, depth, kernel_size, reduction, merge
        See :class:`UNet`.
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
    Woo, Zubair, Lim, Kim. Deep multimodal emotion recognition using modality aware
    attention network for unifying representations in neural models.

    Examples
    --------
    >>> import torch
    >>> from skemo.nn import ModalityAwareAttentionNetwork
    >>> network = ModalityAwareAttentionNetwork([(1, 33), (4, 19, 5)], n_classes=2)
    >>> network([torch.zeros(3, 1, 33), torch.zeros(3, 4, 19, 5)], torch.ones(3, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        shapes,
        n_classes,
        *,
        attention=True,
        n_filters=16,
        depth=2,
        kernel_size=3,
        reduction=2,
        merge="max",
        dropout=0.0,
        modality_dropout=0.0,
        input_noise=0.0,
    ):
        super().__init__(shapes, input_noise)
        self.branches = nn.ModuleList(
            UNet(
                shape[0],
                n_dims=len(shape) - 1,
                n_filters=n_filters,
                depth=depth,
                kernel_size=kernel_size,
                reduction=reduction,
                merge=merge,
            )
            for shape in shapes
        )
        self.attention = ModalityAwareAttention(len(shapes), n_filters) if attention else None
        self._finish([n_filters] * len(shapes), n_classes, dropout, modality_dropout)

    def _evaluate(self, inputs, present, luck, kept):
        present = self.modality_dropout(present, luck)
        maps = [branch(x) for branch, x in zip(self.branches, inputs, strict=True)]
        vectors = torch.stack([x.flatten(2).max(2).values for x in maps], dim=1)
        vectors = vectors * present.unsqueeze(-1)
        if self.attention is None:
            masks = present.unsqueeze(-1)
        else:
            masks = self.attention(vectors, present)
        fused = (masks * vectors).flatten(1)
        return masks.mean(2), fused, self._score(fused, kept)


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
