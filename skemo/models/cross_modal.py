"""Attentive cross-modal connections as a scikit-learn classifier."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, Literal

import numpy as np
import torch
from skorch.callbacks import Callback

from skemo.models.base import check_counts, check_share
from skemo.models.classifier import FusionClassifier
from skemo.models.modality_aware import check_odd
from skemo.models.regressor import FusionRegressor
from skemo.nn import CrossModalAttentionNetwork
from skemo.training.objectives import Loss


class _CrossModalAttention:
    """The network, which the classifier and the regressor share."""

    def _attends(self):
        return self.direction is not None and self.attention is not None

    def _check_parameters(self):
        super()._check_parameters()
        check_share(self, "dropout")
        check_counts(self, "n_filters", "n_blocks", "kernel_size", "pool_size", "reduction")
        check_odd(self.kernel_size)
        if self.attention not in ("channel", "temporal", "residual", "scalar", None):
            raise ValueError(
                'attention must be "channel", "temporal", "residual", "scalar" or None, got '
                f"{self.attention!r}."
            )
        if self.merge not in ("sum", "concat"):
            raise ValueError(f'merge must be "sum" or "concat", got {self.merge!r}.')

    def _check_shapes(self, shapes):
        for modality, shape in shapes.items():
            if len(shape) != 2:
                raise ValueError(
                    f"{modality!r} has windows of shape {shape}, but a stream takes series of "
                    "shape (n_channels, n_times): pass raw windows, or use "
                    "ModalityAwareAttentionClassifier."
                )
        if self._connections(list(shapes)):
            self._check_stages()

    def _check_stages(self):
        stages = self._stages()
        are_integers = isinstance(stages, tuple | list) and all(
            isinstance(stage, Integral) and not isinstance(stage, bool) for stage in stages
        )
        if not (are_integers and stages and min(stages) >= 1 and max(stages) <= self.n_blocks):
            raise ValueError(
                f"stages must be a block from 1 to n_blocks={self.n_blocks} or a list of blocks, "
                f"got {self.stages!r}. To have no connections, use direction=None."
            )

    def _stages(self):
        return [self.stages] if isinstance(self.stages, Integral) else self.stages

    def _connections(self, modalities):
        """Pairs of modalities, by position: the first is shared with the second."""
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
                f'direction must be "both", None, or a mapping such as {{"eda": "ecg"}}, got '
                f"{self.direction!r}."
            )
        for source, target in pairs:
            if source not in modalities or target not in modalities or source == target:
                raise ValueError(
                    f"direction shares {source!r} with {target!r}, but must map one of the "
                    f"modalities {modalities} to another."
                )
        position = {modality: i for i, modality in enumerate(modalities)}
        return sorted({(position[one], position[other]) for one, other in pairs})

    def _make_network(self, shapes, n_outputs):
        return CrossModalAttentionNetwork(
            shapes,
            n_outputs,
            connections=self._connections(self._signal_names()),
            stages=self._stages(),
            attention=self.attention,
            quality_shapes=self._shapes(self._quality_names()),
            merge=self.merge,
            reduction=self.reduction,
            n_filters=self.n_filters,
            n_blocks=self.n_blocks,
            kernel_size=self.kernel_size,
            pool_size=self.pool_size,
            dropout=self.dropout,
        )


class CrossModalAttentionClassifier(_CrossModalAttention, FusionClassifier):
    """Convolutional streams with attentive cross-modal connections.

    The series of each modality passes through a stream of convolutional blocks. After the
    blocks listed in `stages`, the streams receive each other's intermediate representations,
    weighted by attention [1]_. The last feature map of each stream is reduced to its maximum
    over time; the results are concatenated and classified. The published system takes windows
    of ECG and EDA; this one takes any number of modalities with any sampling rates and
    lengths. Use ``ResampleTransformer`` to prepare raw windows: bring an ECG to about 64 Hz,
    since training time is proportional to the sampling rate.

    With ``direction=None`` there are no connections. This is late fusion: each stream gives
    class scores, which are added. A table with one signal column trains a single stream.

    ``attention_weights`` returns how much of each modality the connections let through to the
    others: the mean over these, over stages, channels and time. It is NaN if a modality is
    not shared with any modality of the window.

    The equations and sizes of the published network are not publicly stated. This network
    follows its description; its form and defaults are this library's choice.

    Inputs are standardised by the training rows: each channel over windows and time, without
    zero padding, or each column if `X` is a plain array with two dimensions. A NaN within a
    window is replaced by the mean. A modality that is NaN throughout a window, or in all
    training windows, counts as absent: its input is zero, it is shared with no other stream,
    and its representation does not affect the class scores.

    Parameters
    ----------
    direction : "both", mapping or None, default="both"
        Which modalities are shared with which others. "both" connects every pair in both
        directions. A mapping such as ``{"eda": "ecg"}`` maps a modality to the one, or the
        list of those, that it is shared with. None connects none.
    stages : int or sequence of int, default=(1, 2)
        Blocks after which the streams are connected, counted from 1.
    attention : {"channel", "temporal", "residual", "scalar"} or None, default="channel"
        Whether shared representations are weighted by channel, over time, or not at all.
        "residual" has gates in (0, 2) for the channels that start at 1, so that training starts
        from the network with None; "scalar" does the same with one gate for all channels.
    quality : str, list of str or None, default=None
        Signal columns that tell how far the signals can be trusted, such as those of
        :class:`QualityTransformer`. The attention sees them as well as the signals; the last
        layer does not, and without attention they have no effect. NaN counts as average.
    merge : {"sum", "concat"}, default="sum"
        Whether shared representations are added to a stream's own or concatenated with it.
    reduction : int, default=2
        Factor by which channels are squeezed to estimate their weights.
    n_filters : int, default=8
        Number of channels of each stream's first block; each further block has twice as many.
    n_blocks : int, default=3
        Number of blocks of each stream, each with two convolutions and pooling.
    kernel_size : int, default=9
        Odd width of the convolutions, in samples.
    pool_size : int, default=8
        Factor by which each block shortens the series.
    loss : {"cross-entropy", "focal", "ordinal"} or callable, default="cross-entropy"
        "focal" lowers the weight of windows that are classified well (Lin et al. 2017). "ordinal"
        is for ordered classes: ratings that are numbers, or text whose order is that of the
        categories of an ordered pandas Categorical. It is a cumulative link model, in which
        ordered thresholds divide one number into classes (McCullagh 1980). A callable takes class
        scores, (n_windows, n_classes), and positions in ``classes_``, (n_windows,), as tensors,
        and returns the loss of each window.
    label_smoothing : float, default=0.0
        Share of the probability of the label that is spread evenly over all classes.
    center_loss : float, default=0.0
        Weight of half the squared distance of a window's fused representation from the centre of
        its class, which is learned (Wen et al. 2016).
    dropout : float, default=0.5
        Share of the fused representation that is dropped in training.
    modality_dropout : float, default=0.0
        Probability that a modality of a window is left out in training, though never all of
        them (:class:`skemo.nn.ModalityDropout`). Useful if windows to be predicted will lack
        some modalities.
    input_noise : float, default=0.0
        Standard deviation of the Gaussian noise added to the standardised inputs in training.
        Values from 0.5 to 1 help if the inputs are features of few people.
    mixup : float, default=0.0
        Above 0, each training window is mixed with one of another subject, in shares drawn from
        a beta distribution with both parameters `mixup`, and so is its loss (Zhang et al. 2018).
        Needs `groups` in ``fit``; without them, any two windows are mixed.
    lr : float, default=0.001
        Learning rate of AdamW.
    weight_decay : float, default=0.01
        Weight decay of AdamW.
    batch_size : int, default=32
        Number of windows per training step, at least 2.
    max_epochs : int, default=10
        Number of passes over the training windows.
    n_members : int, default=1
        Number of networks whose probabilities are averaged (:class:`skemo.nn.FusionEnsemble`).
        They differ in their initial weights and dropout; training time is proportional to
        their number, and five bring most of the gain.
    class_weight : dict, "balanced", list of these or None, default=None
        Weights of the classes in the loss; "balanced" gives all classes the same total weight.
        For several targets, "balanced" or a list with an entry per target.
    early_stopping : bool, default=False
        Whether to hold back about `validation_fraction` of the windows, in whole groups, stop
        when their loss has not decreased for `patience` epochs, and keep the weights of the
        best epoch.
    validation_fraction : float, default=0.1
        Share of the windows to hold back. Without `groups` in ``fit``, single windows are held
        back, with a warning.
    patience : int, default=10
        Number of epochs without improvement after which training stops.
    callbacks : list of skorch callbacks or None, default=None
        Callbacks to add to those of the net.
    device : str or torch.device, default="auto"
        Any torch device; "auto" is CUDA if available, else the CPU.
    precision : {"float32", "bfloat16"}, default="float32"
        Precision of convolutions and matrix products. On a CPU without matrix units for
        bfloat16, float32 is faster.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the windows, and dropout. The same number
        gives the same network, bit by bit on a CPU.
    verbose : int, default=0
        If 1, print a line per epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or list of them
        The class labels; a list with an array per target if there are several.
    modalities_ : dict of str to SignalDtype
        Shape of the windows of each modality and of `quality`, with sampling rate and channel
        names if known.
    mean_, scale_ : dict of str to ndarray of shape (1, ..., n_channels, 1)
        Mean and standard deviation by which each modality is standardised.
    net_ : skorch.NeuralNet
        The trained net: ``net_.history`` has the losses, and ``net_.module_`` is the network.
    n_features_in_ : int
        Number of modalities; if `X` was a plain array, of samples or channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a DataFrame.

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
        direction: Literal["both"] | Mapping[Any, Any] | None = "both",
        stages: int | Sequence[int] = (1, 2),
        attention: Literal["channel", "temporal", "residual", "scalar"] | None = "channel",
        quality: str | Sequence[str] | None = None,
        merge: Literal["sum", "concat"] = "sum",
        reduction: int = 2,
        n_filters: int = 8,
        n_blocks: int = 3,
        kernel_size: int = 9,
        pool_size: int = 8,
        loss: Literal["cross-entropy", "focal", "ordinal"] | Loss = "cross-entropy",
        label_smoothing: float = 0.0,
        center_loss: float = 0.0,
        dropout: float = 0.5,
        modality_dropout: float = 0.0,
        input_noise: float = 0.0,
        mixup: float = 0.0,
        lr: float = 0.001,
        weight_decay: float = 0.01,
        batch_size: int = 32,
        max_epochs: int = 10,
        n_members: int = 1,
        class_weight: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        callbacks: Sequence[Callback] | None = None,
        device: str | torch.device = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.direction = direction
        self.stages = stages
        self.attention = attention
        self.quality = quality
        self.merge = merge
        self.reduction = reduction
        self.n_filters = n_filters
        self.n_blocks = n_blocks
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.center_loss = center_loss
        self.dropout = dropout
        self.modality_dropout = modality_dropout
        self.input_noise = input_noise
        self.mixup = mixup
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


class CrossModalAttentionRegressor(_CrossModalAttention, FusionRegressor):
    """Convolutional streams with attentive cross-modal connections that predict numbers.

    The network, its inputs and the handling of missing modalities are those of
    :class:`CrossModalAttentionClassifier` [1]_. The outputs are one number per target, such as
    valence and arousal, standardised by the training rows. If some targets of a window are
    missing, the others still count.

    Parameters
    ----------
    direction : "both", mapping or None, default="both"
        Which modalities are shared with which others. "both" connects every pair in both
        directions. A mapping such as ``{"eda": "ecg"}`` maps a modality to the one, or the
        list of those, that it is shared with. None connects none.
    stages : int or sequence of int, default=(1, 2)
        Blocks after which the streams are connected, counted from 1.
    attention : {"channel", "temporal", "residual", "scalar"} or None, default="channel"
        Whether shared representations are weighted by channel, over time, or not at all.
        "residual" has gates in (0, 2) for the channels that start at 1, so that training starts
        from the network with None; "scalar" does the same with one gate for all channels.
    quality : str, list of str or None, default=None
        Signal columns that tell how far the signals can be trusted, such as those of
        :class:`QualityTransformer`. The attention sees them as well as the signals; the last
        layer does not, and without attention they have no effect. NaN counts as average.
    merge : {"sum", "concat"}, default="sum"
        Whether shared representations are added to a stream's own or concatenated with it.
    reduction : int, default=2
        Factor by which channels are squeezed to estimate their weights.
    n_filters : int, default=8
        Number of channels of each stream's first block; each further block has twice as many.
    n_blocks : int, default=3
        Number of blocks of each stream, each with two convolutions and pooling.
    kernel_size : int, default=9
        Odd width of the convolutions, in samples.
    pool_size : int, default=8
        Factor by which each block shortens the series.
    loss : {"mse", "huber", "ccc"} or callable, default="mse"
        Of the standardised targets: the squared error, Huber's loss, or one minus the concordance
        correlation coefficient of the batch (Lin 1989). A callable takes predicted and given
        numbers as tensors of shape (n_windows,), and returns the loss of each window.
    dropout : float, default=0.5
        Share of the fused representation that is dropped in training.
    modality_dropout : float, default=0.0
        Probability that a modality of a window is left out in training, though never all of
        them (:class:`skemo.nn.ModalityDropout`). Useful if windows to be predicted will lack
        some modalities.
    input_noise : float, default=0.0
        Standard deviation of the Gaussian noise added to the standardised inputs in training.
        Values from 0.5 to 1 help if the inputs are features of few people.
    mixup : float, default=0.0
        Above 0, each training window is mixed with one of another subject, in shares drawn from
        a beta distribution with both parameters `mixup`, and so is its loss (Zhang et al. 2018).
        Needs `groups` in ``fit``; without them, any two windows are mixed.
    lr : float, default=0.001
        Learning rate of AdamW.
    weight_decay : float, default=0.01
        Weight decay of AdamW.
    batch_size : int, default=32
        Number of windows per training step, at least 2.
    max_epochs : int, default=10
        Number of passes over the training windows.
    n_members : int, default=1
        Number of networks whose predictions are averaged (:class:`skemo.nn.FusionEnsemble`).
        They differ in their initial weights and dropout; training time is proportional to
        their number, and five bring most of the gain.
    early_stopping : bool, default=False
        Whether to hold back about `validation_fraction` of the windows, in whole groups, stop
        when their loss has not decreased for `patience` epochs, and keep the weights of the
        best epoch.
    validation_fraction : float, default=0.1
        Share of the windows to hold back. Without `groups` in ``fit``, single windows are held
        back, with a warning.
    patience : int, default=10
        Number of epochs without improvement after which training stops.
    callbacks : list of skorch callbacks or None, default=None
        Callbacks to add to those of the net.
    device : str or torch.device, default="auto"
        Any torch device; "auto" is CUDA if available, else the CPU.
    precision : {"float32", "bfloat16"}, default="float32"
        Precision of convolutions and matrix products. On a CPU without matrix units for
        bfloat16, float32 is faster.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the windows, and dropout. The same number
        gives the same network, bit by bit on a CPU.
    verbose : int, default=0
        If 1, print a line per epoch.

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation by which the targets are standardised.
    modalities_ : dict of str to SignalDtype
        Shape of the windows of each modality and of `quality`, with sampling rate and channel
        names if known.
    mean_, scale_ : dict of str to ndarray of shape (1, ..., n_channels, 1)
        Mean and standard deviation by which each modality is standardised.
    net_ : skorch.NeuralNet
        The trained net: ``net_.history`` has the losses, of standardised targets, and
        ``net_.module_`` is the network.
    n_features_in_ : int
        Number of modalities; if `X` was a plain array, of samples or channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a DataFrame.

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
    >>> from skemo import CrossModalAttentionRegressor, SignalArray, signal_frame
    >>> y = np.linspace(1, 9, 80)
    >>> noise = np.random.default_rng(0).normal(size=(80, 1, 320))
    >>> ecg = SignalArray(noise * y[:, None, None], sampling_rate=32)
    >>> X = signal_frame(ecg=ecg, eda=SignalArray(noise[:, :, :40], sampling_rate=4))
    >>> network = CrossModalAttentionRegressor(lr=0.01, max_epochs=20, dropout=0, random_state=0)
    >>> network.fit(X, y).score(X, y) > 0.8
    True
    """

    def __init__(
        self,
        *,
        direction: Literal["both"] | Mapping[Any, Any] | None = "both",
        stages: int | Sequence[int] = (1, 2),
        attention: Literal["channel", "temporal", "residual", "scalar"] | None = "channel",
        quality: str | Sequence[str] | None = None,
        merge: Literal["sum", "concat"] = "sum",
        reduction: int = 2,
        n_filters: int = 8,
        n_blocks: int = 3,
        kernel_size: int = 9,
        pool_size: int = 8,
        loss: Literal["mse", "huber", "ccc"] | Loss = "mse",
        dropout: float = 0.5,
        modality_dropout: float = 0.0,
        input_noise: float = 0.0,
        mixup: float = 0.0,
        lr: float = 0.001,
        weight_decay: float = 0.01,
        batch_size: int = 32,
        max_epochs: int = 10,
        n_members: int = 1,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        callbacks: Sequence[Callback] | None = None,
        device: str | torch.device = "auto",
        precision: Literal["float32", "bfloat16"] = "float32",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.direction = direction
        self.stages = stages
        self.attention = attention
        self.quality = quality
        self.merge = merge
        self.reduction = reduction
        self.n_filters = n_filters
        self.n_blocks = n_blocks
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.loss = loss
        self.dropout = dropout
        self.modality_dropout = modality_dropout
        self.input_noise = input_noise
        self.mixup = mixup
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.n_members = n_members
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.callbacks = callbacks
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose


def _is_list(names, modalities):
    """Whether `names` is a list of names, and not a modality whose name is a tuple."""
    return isinstance(names, list | tuple) and names not in modalities
