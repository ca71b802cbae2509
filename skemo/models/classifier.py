"""A classifier around any network; the two built-in classifiers derive from it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags, compute_class_weight
from sklearn.utils.validation import check_is_fitted, column_or_1d
from skorch.callbacks import Callback
from torch import nn

from skemo._checks import is_number
from skemo.models.base import FusionEstimator, check_loss, check_share
from skemo.models.network_files import read_classes
from skemo.models.own_module import OwnModule
from skemo.models.targets import category_orders, check_labels
from skemo.nn import OrdinalLink
from skemo.training.net import FusionClassifierNet
from skemo.training.objectives import ClassObjective, Loss, mean_probabilities

_LOSSES = ("cross-entropy", "focal", "ordinal")


class FusionClassifier(ClassifierMixin, OwnModule, FusionEstimator):
    """A classifier for windows of several modalities, around a network of your own.

    Everything but the network is as in :class:`ModalityAwareAttentionClassifier`:
    standardisation, missing modalities, training on any device, early stopping by subject,
    ensembles, saving, several targets.

    The module is built by ``module(shapes, n_outputs, **parameters)``: `shapes` is a list with
    the shape of a window of each modality, ``(n_channels, n_times)`` for series; `n_outputs` is
    the number of class scores, and `parameters` are those passed as ``module__name``. Its
    ``forward(inputs, present)`` takes a list of tensors of shape (batch, ...), one per modality,
    and a tensor of shape (batch, n_modalities) that is 1 where a window has the modality; it
    returns the scores before any softmax, of shape (batch, n_outputs). The input of a missing
    modality is zero. A subclass of :class:`skemo.nn.FusionNetwork` can give attention weights and
    a fused representation as well.

    Parameters
    ----------
    module : callable
        A subclass of ``torch.nn.Module``, or a function that returns one.
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
    **module_parameters
        Parameters of the module, each under the name ``module__name``; they can be searched.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or list of them
        The class labels; a list with an array per target if there are several.
    modalities_ : dict of str to SignalDtype
        Shape of the windows of each modality, with sampling rate and channel names if known.
    mean_, scale_ : dict of str to ndarray of shape (1, ..., n_channels, 1)
        Mean and standard deviation by which each modality is standardised.
    net_ : skorch.NeuralNet
        The trained net: ``net_.history`` has the losses, and ``net_.module_`` is the network.
    n_features_in_ : int
        Number of modalities; if `X` was a plain array, of samples or channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a DataFrame.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skemo import FusionClassifier
    >>> class Averages(torch.nn.Module):
    ...     def __init__(self, shapes, n_outputs, width=4):
    ...         super().__init__()
    ...         self.layers = torch.nn.Sequential(
    ...             torch.nn.Linear(sum(shape[0] for shape in shapes), width),
    ...             torch.nn.ReLU(),
    ...             torch.nn.Linear(width, n_outputs),
    ...         )
    ...
    ...     def forward(self, inputs, present):
    ...         return self.layers(torch.cat([x.mean(-1) for x in inputs], dim=1))
    >>> y = np.repeat(["calm", "stress"], 40)
    >>> X = np.random.default_rng(0).normal(size=(80, 1, 32)) + (y == "stress")[:, None, None]
    >>> classifier = FusionClassifier(Averages, module__width=8, lr=0.05, random_state=0)
    >>> classifier.fit(X, y).score(X, y) > 0.9
    True
    """

    _guess = "their class is guessed from the class frequencies in training"

    def __init__(
        self,
        module: Callable[..., nn.Module],
        *,
        loss: Literal["cross-entropy", "focal", "ordinal"] | Loss = "cross-entropy",
        label_smoothing: float = 0.0,
        center_loss: float = 0.0,
        modality_dropout: float = 0.0,
        input_noise: float = 0.0,
        mixup: float = 0.0,
        lr: float = 0.001,
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
        **module_parameters: Any,
    ) -> None:
        self.module = module
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.center_loss = center_loss
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
        self.__dict__.update(module_parameters)

    def partial_fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | Sequence[ArrayLike] | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train the network for one more epoch, on these windows.

        The first call builds the network, and standardises inputs by its own windows.

        Parameters
        ----------
        X, y
            As in `fit`; at least two windows that differ.
        classes : array-like of shape (n_classes,), or list of them, default=None
            All classes that will ever occur, or a list with an array per target if there are
            several; required in the first call.
        sample_weight : array-like of shape (n_windows,), default=None
            Weight of the loss of each window.

        Returns
        -------
        self
        """
        known = None if classes is None else _sorted_classes(classes)
        if hasattr(self, "net_") and known is not None and not _equal(known, self._sorted_lists()):
            raise ValueError(
                f"classes={_as_lists(known)} differ from {_as_lists(self._sorted_lists())}, which "
                "were passed to the first call of partial_fit or found by fit."
            )

        def begin(targets: list[NDArray]) -> None:
            if known is None or min(map(len, known)) < 2:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit, and there must be "
                    "at least two."
                )
            if isinstance(self.class_weight, str):
                raise ValueError(
                    'class_weight="balanced" needs all windows at once: give partial_fit the '
                    "weights as a dict of class to weight."
                )
            if len(known) != len(targets):
                raise ValueError(
                    f"y has {len(targets)} targets, but `classes` has those of {len(known)}."
                )
            self._set_classes(known, category_orders(y, len(targets)))

        return self._fit_partially(X, y, sample_weight, begin)

    def predict_proba(
        self, X: pd.DataFrame | ArrayLike
    ) -> NDArray[np.float64] | list[NDArray[np.float64]]:
        """Return the probability of each class.

        Parameters
        ----------
        X
            As in `fit`. If a window lacks a modality, it is classified by the others.

        Returns
        -------
        ndarray of shape (n_windows, n_classes), or list of them
            Columns in the order of ``classes_``; a list with an array per target if there are
            several.
        """
        _, _, predicted = self._evaluate(X)
        lists = self._class_lists()
        parts = np.split(predicted, np.cumsum(list(map(len, lists)))[:-1], axis=1)
        parts = [part[:, np.argsort(classes)] for part, classes in zip(parts, lists, strict=True)]
        return parts[0] if len(parts) == 1 else parts

    def predict(self, X: pd.DataFrame | ArrayLike) -> NDArray:
        """Return the most probable class of each window.

        Returns
        -------
        ndarray of shape (n_windows,) or (n_windows, n_targets)
        """
        check_is_fitted(self)
        probabilities = self.predict_proba(X)
        if not isinstance(probabilities, list):
            return self.classes_[probabilities.argmax(axis=1)]
        columns = [
            classes[part.argmax(axis=1)]
            for classes, part in zip(self.classes_, probabilities, strict=True)
        ]
        same_kind = len({column.dtype.kind for column in columns}) == 1
        return np.stack(columns if same_kind else [x.astype(object) for x in columns], axis=1)

    def score(
        self, X: pd.DataFrame | ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy; for several targets, the share of windows with all of them right.

        Parameters
        ----------
        X, y
            As in `fit`, but no target may be missing.
        sample_weight : array-like of shape (n_windows,), default=None

        Returns
        -------
        float
        """
        if not isinstance(getattr(self, "classes_", None), list):
            return super().score(X, y, sample_weight)
        columns = check_labels(self, X, y)
        n_missing = sum(np.count_nonzero(pd.isna(given)) for given in columns)
        if n_missing:
            raise ValueError(
                f"Input y contains NaN: {n_missing} labels are missing, so that windows are "
                "neither right nor wrong. Score each target on the windows that have it."
            )
        pairs = zip(columns, self.predict(X).T, strict=True)
        is_right = np.all([np.asarray(given) == found for given, found in pairs], axis=0)
        return float(accuracy_score(np.ones_like(is_right), is_right, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check_parameters(self):
        super()._check_parameters()
        check_loss(self.loss, _LOSSES)
        check_share(self, "label_smoothing")
        if not is_number(self.center_loss) or not 0 <= self.center_loss < np.inf:
            raise ValueError(
                f"center_loss must be finite and at least 0, got {self.center_loss!r}."
            )
        if self.label_smoothing and (callable(self.loss) or self.loss == "ordinal"):
            raise ValueError('label_smoothing works only with loss="cross-entropy" and "focal".')

    def _class_lists(self):
        """Return the classes of each target in the order of the outputs of the network."""
        return self._ordered_classes

    def _sorted_lists(self):
        return self.classes_ if isinstance(self.classes_, list) else [self.classes_]

    def _set_classes(self, classes, orders):
        """Set the sorted classes, and the order of those that are ordinal."""
        self.classes_ = classes[0] if len(classes) == 1 else classes
        self._ordered_classes = classes
        if self.loss == "ordinal":
            self._ordered_classes = list(map(_put_in_order, classes, orders))

    def _check_targets(self, X, y):
        return check_labels(self, X, y)

    def _learn_targets(self, targets, sample_weight, orders):
        counted = sample_weight > 0
        classes = [np.unique(labels[counted & ~pd.isna(labels)]) for labels in targets]
        for known in classes:
            if len(known) < 2:
                raise ValueError(
                    f"{type(self).__name__} needs windows of at least two classes, got one class: "
                    f"{known.tolist()}."
                )
        self._set_classes(classes, orders)

    def _encode_targets(self, targets):
        """Return positions among the outputs of the network; -1 if the label is missing."""
        columns = []
        for labels, classes in zip(targets, self._class_lists(), strict=True):
            known = ~pd.isna(labels)
            unknown = np.setdiff1d(labels[known], classes)
            if len(unknown):
                raise ValueError(f"y has classes {unknown.tolist()} that are not in `classes`.")
            codes = np.full(len(labels), -1)
            by_label = np.argsort(classes)
            codes[known] = by_label[np.searchsorted(classes, labels[known], sorter=by_label)]
            columns.append(codes)
        return np.stack(columns, axis=1)

    def _describe_targets(self):
        lists = self._class_lists()
        return {
            "classes": [classes.tolist() for classes in lists],
            "classes_type": [classes.dtype.str for classes in lists],
        }

    def _read_targets(self, header):
        pairs = zip(header["classes"], header["classes_type"], strict=True)
        self._ordered_classes = [read_classes(*pair) for pair in pairs]
        lists = list(map(np.sort, self._ordered_classes))
        self.classes_ = lists[0] if len(lists) == 1 else lists

    def _target_shapes(self):
        return {f"class_weight.{i}": (len(x),) for i, x in enumerate(self._class_lists())}

    def _target_tensors(self):
        return dict(zip(self._target_shapes(), self._class_weight, strict=True))

    def _set_target_tensors(self, tensors):
        self._class_weight = list(tensors.values())

    def _strata(self, encoded):
        """Return the windows of each class of each target."""
        n_classes = [len(classes) for classes in self._class_lists()]
        pairs = zip(encoded.T, n_classes, strict=True)
        strata = [codes == code for codes, n in pairs for code in range(n)]
        return np.array([rows for rows in strata if rows.any()])

    def _learn_scales(self, encoded, weight):
        lists = self._class_lists()
        given = self.class_weight
        if given is None or isinstance(given, str | Mapping):
            given = [given] * len(lists)
        one_for_all = isinstance(self.class_weight, Mapping) and len(lists) > 1
        if one_for_all or not isinstance(given, list | tuple) or len(given) != len(lists):
            several = f", or a list with an entry for each of the {len(lists)} targets"
            raise ValueError(
                'class_weight must be a dict, "balanced" or None'
                f"{several if len(lists) > 1 else ''}, got {self.class_weight!r}."
            )
        self._class_weight = []
        for codes, classes, one in zip(encoded.T, lists, given, strict=True):
            known = codes >= 0
            labels = classes[codes[known]]
            self._class_weight.append(
                compute_class_weight(one, classes=classes, y=labels, sample_weight=weight[known])
            )

    def _weigh_targets(self, encoded, weight):
        columns = [
            weight * np.where(codes >= 0, by_class[codes], 0)
            for codes, by_class in zip(encoded.T, self._class_weight, strict=True)
        ]
        return encoded.clip(0), np.stack(columns, axis=1)

    def _build_network(self):
        network = super()._build_network()
        if self.center_loss:
            shape = sum(map(len, self._class_lists())), sum(network.vector_sizes)
            network.centers = nn.Parameter(torch.zeros(shape))
        return network

    def _head(self):
        n_classes = [len(classes) for classes in self._class_lists()]
        if self.loss == "ordinal":
            return len(n_classes), OrdinalLink(n_classes)
        return sum(n_classes), None

    def _objective(self):
        n_classes = [len(classes) for classes in self._class_lists()]
        return ClassObjective(n_classes, self.loss, self.label_smoothing, self.center_loss)

    def _net_kind(self):
        if isinstance(self.classes_, list):
            return super()._net_kind()
        settings = {"classes": np.arange(len(self.classes_))}
        return FusionClassifierNet, {**settings, "predict_nonlinearity": mean_probabilities}

    def _start_at_means(self, network, windows):
        """Make the untrained network predict the weighted class frequencies."""
        shares = []
        for codes, weight, classes in zip(
            windows.y.unbind(1), windows.weight.unbind(1), self._class_lists(), strict=True
        ):
            total = torch.bincount(codes, weight, minlength=len(classes)).double()
            shares.append((total / total.sum()).clamp_min(1e-12))
        if network.link is not None:
            network.link.start_at(shares)
            shares = [torch.ones(1)] * len(shares)
        if hasattr(network, "head"):
            network.head.bias.copy_(torch.cat(shares).log())

    def _read_outputs(self, outputs):
        return torch.cat(self.net_.objective.probabilities(outputs), dim=1)


def _sorted_classes(classes):
    """Return the sorted classes of each target."""
    classes = list(classes)
    several = len(classes) > 0 and all(
        isinstance(one, list | tuple | np.ndarray | pd.Series) for one in classes
    )
    return [np.unique(column_or_1d(one)) for one in (classes if several else [classes])]


def _put_in_order(classes, order):
    """Return ordinal classes in the order of their categories or, if they are numbers, sorted."""
    if order is not None:
        return classes[np.argsort(pd.Index(order).get_indexer(classes))]
    if isinstance(classes[0], str):
        raise ValueError(
            f'loss="ordinal" got text such as "{classes[0]}", whose order is not known: pass '
            "numbers in the order of the classes, or an ordered Categorical of pandas."
        )
    return classes


def _equal(one, other):
    return len(one) == len(other) and all(map(np.array_equal, one, other))


def _as_lists(classes):
    lists = [one.tolist() for one in classes]
    return lists[0] if len(lists) == 1 else lists
