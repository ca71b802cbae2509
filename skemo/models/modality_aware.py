"""The modality-aware attention network as a scikit-learn classifier."""

from skemo.models.classifier import FusionClassifier, check_counts
from skemo.nn import ModalityAwareAttentionNetwork


class ModalityAwareAttentionClassifier(FusionClassifier):
    """U-Net branches fused by modality-aware attention.

    Each modality goes through a U-Net with squeeze-and-excitation: series through one over
    time, maps through one over channels and sub-windows. The branches' feature maps are
    scaled by masks that are estimated from all modalities, reduced to their maxima,
    concatenated and classified [1]_. The published system takes the RR series of the ECG
    (``HRVTransformer(output="series")``) and the differential entropy of the EEG
    (``DifferentialEntropyTransformer(output="map")``); any number of modalities from one
    is taken here. The paper states no sizes, optimiser or number of epochs: the defaults
    are this library's choice.

    Inputs are standardised by the training rows, each channel over windows and time, zero
    padding excluded; of a plain array of two dimensions, each column by itself. NaN within
    a window is set to the mean; a modality that is NaN throughout a window, or that
    training never had, counts as absent: it enters as zeros, and neither its attention nor
    its representation reaches the class scores.

    Parameters
    ----------
    attention : {"mask"} or None, default="mask"
        "mask" is the paper's modality-aware attention; None is its "basic model", the same
        network without the masks.
    n_filters : int, default=8
        Channels of the first level of each U-Net, and of the representation of each
        modality. Each deeper level has twice as many.
    depth : int, default=2
        How often each U-Net halves its input.
    kernel_size : int, default=3
        Odd width of the convolutions.
    reduction : int, default=2
        Factor by which channels are squeezed before they are weighted.
    excitation : {"max", "sum"}, default="max"
        How channel and spatial excitation [2]_ are joined.
    dropout : float, default=0.5
        Share of the fused representation dropped in training.
    modality_dropout : float, default=0.0
        Probability with which a modality of a window is left out in training, though one of
        them stays (:class:`skemo.nn.ModalityDropout`): for use where windows will lack some.
    input_noise : float, default=0.0
        Standard deviation of the Gaussian noise that is added to the standardised inputs in
        training; 0.5 to 1 is of use where few people were recorded, and inputs are features.
    lr : float, default=0.003
        Learning rate of AdamW.
    weight_decay : float, default=0.01
        Weight decay of AdamW.
    batch_size : int, default=64
        Windows a step, at least 2.
    max_epochs : int, default=30
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
        attention="mask",
        n_filters=8,
        depth=2,
        kernel_size=3,
        reduction=2,
        excitation="max",
        dropout=0.5,
        modality_dropout=0.0,
        input_noise=0.0,
        lr=0.003,
        weight_decay=0.01,
        batch_size=64,
        max_epochs=30,
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
        self.attention = attention
        self.n_filters = n_filters
        self.depth = depth
        self.kernel_size = kernel_size
        self.reduction = reduction
        self.excitation = excitation
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
        return self.attention is not None

    def _check_parameters(self):
        super()._check_parameters()
        check_counts(self, "n_filters", "depth", "kernel_size", "reduction")
        check_odd(self.kernel_size)
        if self.attention not in ("mask", None):
            raise ValueError(f'attention must be "mask" or None, got {self.attention!r}.')
        if self.excitation not in ("max", "sum"):
            raise ValueError(f'excitation must be "max" or "sum", got {self.excitation!r}.')

    def _check_shapes(self, shapes):
        for modality, shape in shapes.items():
            if len(shape) > 3:
                raise ValueError(
                    f"{modality!r} has windows of shape {shape}: a series is "
                    "(n_channels, n_times), a map (n_bands, n_channels, n_sub_windows)."
                )

    def _make_module(self, shapes, n_classes):
        return ModalityAwareAttentionNetwork(
            shapes,
            n_classes,
            attention=self.attention,
            n_filters=self.n_filters,
            depth=self.depth,
            kernel_size=self.kernel_size,
            reduction=self.reduction,
            excitation=self.excitation,
            dropout=self.dropout,
            modality_dropout=self.modality_dropout,
            input_noise=self.input_noise,
        )


def check_odd(kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd, got {kernel_size}.")
