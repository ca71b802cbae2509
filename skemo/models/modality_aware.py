"""The modality-aware attention network as a scikit-learn classifier."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from skorch.callbacks import Callback

from skemo.models.base import check_counts, check_share
from skemo.models.classifier import FusionClassifier
from skemo.models.regressor import FusionRegressor
from skemo.nn import ModalityAwareAttentionNetwork
from skemo.training.objectives import Loss


class _ModalityAwareAttention:
    """The network, which the classifier and the regressor share."""

    def _attends(self):
        return self.attention is not None

    def _check_parameters(self):
        super()._check_parameters()
        check_share(self, "dropout")
        check_counts(self, "n_filters", "depth", "kernel_size", "reduction")
        check_odd(self.kernel_size)
        if self.attention not in ("mask", "residual", "scalar", None):
            raise ValueError(
                f'attention must be "mask", "residual", "scalar" or None, got {self.attention!r}.'
            )
        if self.excitation not in ("max", "sum"):
            raise ValueError(f'excitation must be "max" or "sum", got {self.excitation!r}.')

    def _check_shapes(self, shapes):
        for modality, shape in shapes.items():
            if len(shape) > 3:
                raise ValueError(
                    f"{modality!r} has windows of shape {shape}: a series must have shape "
                    "(n_channels, n_times), a map (n_bands, n_channels, n_sub_windows)."
                )

    def _make_network(self, shapes, n_outputs):
        return ModalityAwareAttentionNetwork(
            shapes,
            n_outputs,
            attention=self.attention,
            quality_shapes=self._shapes(self._quality_names()),
            n_filters=self.n_filters,
            depth=self.depth,
            kernel_size=self.kernel_size,
            reduction=self.reduction,
            excitation=self.excitation,
            dropout=self.dropout,
        )


class ModalityAwareAttentionClassifier(_ModalityAwareAttention, FusionClassifier):
    """U-Net branches fused by modality-aware attention.

    Each modality passes through a U-Net with squeeze-and-excitation: over time for series,
    and over channels and sub-windows for maps. The feature maps of the branches are scaled
    by masks, which are estimated from all modalities, then reduced to their maxima,
    concatenated and classified [1]_. The published system takes the RR series of the ECG
    (``HRVTransformer(output="series")``) and the differential entropy of the EEG
    (``DifferentialEntropyTransformer(output="map")``); this one takes any number of
    modalities. The paper does not state sizes, optimiser or number of epochs, so the
    defaults are this library's choice.

    Inputs are standardised by the training rows: each channel over windows and time, without
    zero padding, or each column if `X` is a plain array with two dimensions. A NaN within a
    window is replaced by the mean. A modality that is NaN throughout a window, or in all
    training windows, counts as absent: its input is zero, and neither its attention nor its
    representation affects the class scores.

    Parameters
    ----------
    attention : {"mask", "residual", "scalar"} or None, default="mask"
        "mask" is the paper's modality-aware attention, with masks in (0, 1). None is its "basic
        model", the same network without the masks. "residual" has masks in (0, 2) that start at
        1, so that training starts from the basic model; "scalar" does the same with one
        number for each modality instead of one for each channel.
    quality : str, list of str or None, default=None
        Signal columns that tell how far the signals can be trusted, such as those of
        :class:`QualityTransformer`. The attention sees them as well as the signals; the last
        layer does not, and without attention they have no effect. NaN counts as average.
    n_filters : int, default=8
        Number of channels of the first level of each U-Net, and of the representation of each
        modality. Each deeper level has twice as many.
    depth : int, default=2
        Number of times each U-Net halves its input.
    kernel_size : int, default=3
        Odd width of the convolutions.
    reduction : int, default=2
        Factor by which channels are squeezed to estimate their weights.
    excitation : {"max", "sum"}, default="max"
        How channel and spatial excitation [2]_ are combined.
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
    lr : float, default=0.003
        Learning rate of AdamW.
    weight_decay : float, default=0.01
        Weight decay of AdamW.
    batch_size : int, default=64
        Number of windows per training step, at least 2.
    max_epochs : int, default=30
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
    .. [1] Woo, Zubair, Lim, Kim. Deep multimodal emotion recognition using modality aware
       attention network for unifying representations in neural models.
    .. [2] Roy, Navab, Wachinger (2018). Concurrent spatial and channel squeeze &
       excitation in fully convolutional networks. https://arxiv.org/abs/1803.02579

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import ModalityAwareAttentionClassifier
    >>> y = np.repeat(["calm", "stress"], 40)
    >>> X = np.random.default_rng(0).normal(size=(80, 1, 32)) + (y == "stress")[:, None, None]
    >>> classifier = ModalityAwareAttentionClassifier(max_epochs=10, random_state=0).fit(X, y)
    >>> classifier.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        *,
        attention: Literal["mask", "residual", "scalar"] | None = "mask",
        quality: str | Sequence[str] | None = None,
        n_filters: int = 8,
        depth: int = 2,
        kernel_size: int = 3,
        reduction: int = 2,
        excitation: Literal["max", "sum"] = "max",
        loss: Literal["cross-entropy", "focal", "ordinal"] | Loss = "cross-entropy",
        label_smoothing: float = 0.0,
        center_loss: float = 0.0,
        dropout: float = 0.5,
        modality_dropout: float = 0.0,
        input_noise: float = 0.0,
        mixup: float = 0.0,
        lr: float = 0.003,
        weight_decay: float = 0.01,
        batch_size: int = 64,
        max_epochs: int = 30,
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
        self.attention = attention
        self.quality = quality
        self.n_filters = n_filters
        self.depth = depth
        self.kernel_size = kernel_size
        self.reduction = reduction
        self.excitation = excitation
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


class ModalityAwareAttentionRegressor(_ModalityAwareAttention, FusionRegressor):
    """U-Net branches fused by modality-aware attention that predict numbers.

    The network, its inputs and the handling of missing modalities are those of
    :class:`ModalityAwareAttentionClassifier` [1]_. The outputs are one number per target, such as
    valence and arousal, standardised by the training rows. If some targets of a window are
    missing, the others still count.

    Parameters
    ----------
    attention : {"mask", "residual", "scalar"} or None, default="mask"
        "mask" is the paper's modality-aware attention, with masks in (0, 1). None is its "basic
        model", the same network without the masks. "residual" has masks in (0, 2) that start at
        1, so that training starts from the basic model; "scalar" does the same with one
        number for each modality instead of one for each channel.
    quality : str, list of str or None, default=None
        Signal columns that tell how far the signals can be trusted, such as those of
        :class:`QualityTransformer`. The attention sees them as well as the signals; the last
        layer does not, and without attention they have no effect. NaN counts as average.
    n_filters : int, default=8
        Number of channels of the first level of each U-Net, and of the representation of each
        modality. Each deeper level has twice as many.
    depth : int, default=2
        Number of times each U-Net halves its input.
    kernel_size : int, default=3
        Odd width of the convolutions.
    reduction : int, default=2
        Factor by which channels are squeezed to estimate their weights.
    excitation : {"max", "sum"}, default="max"
        How channel and spatial excitation [2]_ are combined.
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
    lr : float, default=0.003
        Learning rate of AdamW.
    weight_decay : float, default=0.01
        Weight decay of AdamW.
    batch_size : int, default=64
        Number of windows per training step, at least 2.
    max_epochs : int, default=30
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
    .. [1] Woo, Zubair, Lim, Kim. Deep multimodal emotion recognition using modality aware
       attention network for unifying representations in neural models.
    .. [2] Roy, Navab, Wachinger (2018). Concurrent spatial and channel squeeze &
       excitation in fully convolutional networks. https://arxiv.org/abs/1803.02579

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import ModalityAwareAttentionRegressor
    >>> y = np.linspace(1, 9, 80)
    >>> X = np.random.default_rng(0).normal(size=(80, 1, 32)) + y[:, None, None]
    >>> regressor = ModalityAwareAttentionRegressor(dropout=0, random_state=0).fit(X, y)
    >>> regressor.score(X, y) > 0.8
    True
    """

    def __init__(
        self,
        *,
        attention: Literal["mask", "residual", "scalar"] | None = "mask",
        quality: str | Sequence[str] | None = None,
        n_filters: int = 8,
        depth: int = 2,
        kernel_size: int = 3,
        reduction: int = 2,
        excitation: Literal["max", "sum"] = "max",
        loss: Literal["mse", "huber", "ccc"] | Loss = "mse",
        dropout: float = 0.5,
        modality_dropout: float = 0.0,
        input_noise: float = 0.0,
        mixup: float = 0.0,
        lr: float = 0.003,
        weight_decay: float = 0.01,
        batch_size: int = 64,
        max_epochs: int = 30,
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
        self.attention = attention
        self.quality = quality
        self.n_filters = n_filters
        self.depth = depth
        self.kernel_size = kernel_size
        self.reduction = reduction
        self.excitation = excitation
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


def check_odd(kernel_size: int) -> None:
    """Raise unless the kernel size is odd."""
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd, got {kernel_size}.")
