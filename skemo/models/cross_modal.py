"""Attentive cross-modal connections as a scikit-learn classifier."""

from collections.abc import Mapping
from numbers import Integral

from skemo.models.classifier import FusionClassifier, check_counts
from skemo.models.modality_aware import check_odd
from skemo.nn import CrossModalAttentionNetwork


class CrossModalAttentionClassifier(FusionClassifier):
    """Convolutional streams with attentive cross-modal connections.

    Each modality's series goes through a stream of convolutional blocks. After the blocks
    that `stages` names, streams take over each other's intermediate representations,
    weighted by attention [1]_. The streams' last feature maps are reduced to their maxima
    over time, concatenated and classified. The published system takes windows of ECG and
    EDA; here any number of modalities from one is taken, at any rates and lengths.
    ``ResampleTransformer`` prepares raw windows: bring an ECG to some 64 Hz, since the
    time that training takes is proportional to the rate.

    ``direction=None`` has no connections: late fusion, in which each stream gives class
    scores and these are added. A table with one signal column trains a single stream.

    ``attention_weights`` says how much of each modality the connections let through into the
    others: the mean over those, stages, channels and moments. It is NaN where a modality is
    shared with none that the window has.

    The equations and sizes of the published network are not stated in what is public: this
    is a network after its description, whose form and defaults are this library's choice.

    Inputs are standardised by the training rows, each channel over windows and time, zero
    padding excluded; of a plain array of two dimensions, each column by itself. NaN within
    a window is set to the mean; a modality that is NaN throughout a window, or that
    training never had, counts as absent: it enters as zeros, is shared with no other, and
    its representation doesn't reach the class scores.

    Parameters
    ----------
    direction : "both", mapping or None, default="both"
        Who shares: "both" connects every two modalities both ways; a mapping goes from a
        modality to the one, or the list of those, that it is shared with, as
        ``{"eda": "ecg"}``; None connects none.
    stages : int or sequence of int, default=(1, 2)
        After which blocks, counted from 1.
    attention : {"channel", "temporal"} or None, default="channel"
        Whether what is shared is weighted by channel, or by moment, or not at all.
    merge : {"sum", "concat"}, default="sum"
        How what is shared joins a stream's own representation.
    reduction : int, default=2
        Factor by which channels are squeezed before they are weighted.
    n_filters : int, default=8
        Channels of each stream's first block; each further block has twice as many.
    n_blocks : int, default=3
        Blocks of each stream: two convolutions and pooling.
    kernel_size : int, default=9
        Odd width of the convolutions in samples.
    pool_size : int, default=8
        Each block makes the series shorter by this factor.
    dropout : float, default=0.5
        Share of the fused representation dropped in training.
    modality_dropout : float, default=0.0
        Probability with which a modality of a window is left out in training, though one of
        them stays (:class:`skemo.nn.ModalityDropout`): for use where windows will lack some.
    input_noise : float, default=0.0
        Standard deviation of the Gaussian noise that is added to the standardised inputs in
        training; 0.5 to 1 is of use where few people were recorded, and inputs are features.
    lr : float, default=0.001
        Learning rate of AdamW.
    weight_decay : float, default=0.01
        Weight decay of AdamW.
    batch_size : int, default=32
        Windows a step, at least 2.
    max_epochs : int, default=10
        Passes over the training windows.
    n_members : int, default=1
        Networks whose probabilities are averaged (:class:`skemo.nn.FusionEnsemble`). Several
        differ in their initial weights and dropout, and take as many times as long; most of
        what there is to gain comes with five.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss.
    early_stopping : bool, default=False
        Hold back about `validation_fraction` of the windows, in whole groups, stop when their
        loss has not fallen for `patience` epochs, and keep the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share held back; of single windows, with a warning, if ``fit`` is given no `groups`.
    patience : int, default=10
        Epochs without improvement before stopping early.
    callbacks : list of skorch callbacks or None, default=None
        Added to the net's own.
    device : str, default="auto"
        "auto" is CUDA if there is a device, else the CPU; or any torch device.
    precision : {"float32", "bfloat16"}, default="float32"
        Of convolutions and products. On a CPU without matrix units for bfloat16, float32 is
        the faster one.
    random_state : int, RandomState instance or None, default=None
        Fixes initial weights, order and dropout: the same number gives the same network,
        bit by bit on a CPU.
    verbose : int, default=0
        1 prints a line an epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    modalities_ : dict of str to SignalDtype
        What a window of each modality is: shape, and rate and channels if it has them.
    mean_, scale_ : dict of str to ndarray of shape (1, ..., n_channels, 1)
        Standardisation of each modality.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.history`` has the losses and ``net_.module_`` the network.
    n_features_in_ : int
        Number of modalities; of samples or channels where `X` was a plain array.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where `X` was a DataFrame.

    References
    ----------
    .. [1] Bhatti, Behinaein, Rodenburg, Hungler, Etemad (2021). Attentive cross-modal
       connections for deep multimodal wearable-based emotion recognition.
       https://arxiv.org/abs/2108.02241
    .. [2] Bhatti et al. (2022). AttX: Attentive cross-connections for fusion of wearable
       signals in emotion recognition. https://arxiv.org/abs/2206.04625

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import CrossModalAttentionClassifier, SignalArray, signal_frame
    >>> y = np.repeat(["calm", "stress"], 40)
    >>> noise = np.random.default_rng(0).normal(size=(80, 1, 320))
    >>> ecg = SignalArray(noise * np.where(y == "stress", 2, 1)[:, None, None], sampling_rate=32)
    >>> X = signal_frame(ecg=ecg, eda=SignalArray(noise[:, :, :40], sampling_rate=4))
    >>> network = CrossModalAttentionClassifier(lr=0.01, random_state=0)
    >>> network.fit(X, y).score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        *,
        direction="both",
        stages=(1, 2),
        attention="channel",
        merge="sum",
        reduction=2,
        n_filters=8,
        n_blocks=3,
        kernel_size=9,
        pool_size=8,
        dropout=0.5,
        modality_dropout=0.0,
        input_noise=0.0,
        lr=0.001,
        weight_decay=0.01,
        batch_size=32,
        max_epochs=10,
        n_members=1,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        patience=10,
        callbacks=None,
        device="auto",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        self.direction = direction
        self.stages = stages
        self.attention = attention
        self.merge = merge
        self.reduction = reduction
        self.n_filters = n_filters
        self.n_blocks = n_blocks
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.dropout = dropout
        self.modality_dropout = modality_dropout
        self.input_noise = input_noise
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.n_members = n_members
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.callbacks = callbacks
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def _attends(self):
        return self.direction is not None and self.attention is not None

    def _check_parameters(self):
        super()._check_parameters()
        check_counts(self, "n_filters", "n_blocks", "kernel_size", "pool_size", "reduction")
        check_odd(self.kernel_size)
        if self.attention not in ("channel", "temporal", None):
            raise ValueError(
                f'attention must be "channel", "temporal" or None, got {self.attention!r}.'
            )
        if self.merge not in ("sum", "concat"):
            raise ValueError(f'merge must be "sum" or "concat", got {self.merge!r}.')

    def _check_shapes(self, shapes):
        for modality, shape in shapes.items():
            if len(shape) != 2:
                raise ValueError(
                    f"{modality!r} has windows of shape {shape}, but a stream takes series, "
                    "(n_channels, n_times): give it raw windows, or use "
                    "ModalityAwareAttentionClassifier."
                )
        if self._connections(list(shapes)):
            self._check_stages()

    def _check_stages(self):
        named = self._stages()
        known = isinstance(named, tuple | list) and all(
            isinstance(stage, Integral) and not isinstance(stage, bool) for stage in named
        )
        if not (known and named and min(named) >= 1 and max(named) <= self.n_blocks):
            raise ValueError(
                f"stages must name blocks from 1 to n_blocks={self.n_blocks}, a number or a list, "
                f"got {self.stages!r}. For no connection, use direction=None."
            )

    def _stages(self):
        return [self.stages] if isinstance(self.stages, Integral) else self.stages

    def _connections(self, modalities):
        """Pairs of positions: the first is shared with the second."""
        if self.direction is None:
            return []
        if isinstance(self.direction, str) and self.direction == "both":
            pairs = [(one, other) for one in modalities for other in modalities if one != other]
        elif isinstance(self.direction, Mapping) and self.direction:
            pairs = [
                (source, target)
                for source, targets in self.direction.items()
                for target in (targets if _is_list(targets, modalities) else [targets])
            ]
        else:
            raise ValueError(
                f'direction must be "both", None, or a mapping as {{"eda": "ecg"}}, got '
                f"{self.direction!r}."
            )
        for source, target in pairs:
            if source not in modalities or target not in modalities or source == target:
                raise ValueError(
                    f"direction shares {source!r} with {target!r}, but must go from one to "
                    f"another of the modalities {modalities}."
                )
        position = {modality: i for i, modality in enumerate(modalities)}
        return sorted({(position[one], position[other]) for one, other in pairs})

    def _make_module(self, shapes, n_classes):
        return CrossModalAttentionNetwork(
            shapes,
            n_classes,
            connections=self._connections(list(self.modalities_)),
            stages=self._stages(),
            attention=self.attention,
            merge=self.merge,
            reduction=self.reduction,
            n_filters=self.n_filters,
            n_blocks=self.n_blocks,
            kernel_size=self.kernel_size,
            pool_size=self.pool_size,
            dropout=self.dropout,
            modality_dropout=self.modality_dropout,
            input_noise=self.input_noise,
        )


def _is_list(names, known):
    """Whether these are several names, and not one that is a tuple."""
    return isinstance(names, list | tuple) and names not in known
