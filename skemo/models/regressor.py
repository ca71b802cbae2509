"""A regressor around any network; the two built-in regressors derive from it."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from skorch.callbacks import Callback
from torch import nn

from skemo.models.base import FusionEstimator, check_loss
from skemo.models.own_module import OwnModule
from skemo.models.targets import check_numbers
from skemo.training.objectives import Loss, NumberObjective

_LOSSES = ("mse", "huber", "ccc")


class FusionRegressor(RegressorMixin, OwnModule, FusionEstimator):
    """A regressor for windows of several modalities, around a network of your own.

    Everything but the network is as in :class:`ModalityAwareAttentionRegressor`. How the
    module is built and called is described in :class:`FusionClassifier`; its outputs are the
    standardised targets, of shape (batch, n_targets).

    Parameters
    ----------
    module : callable
        A subclass of ``torch.nn.Module``, or a function that returns one.
    loss : {"mse", "huber", "ccc"} or callable, default="mse"
        Of the standardised targets: the squared error, Huber's loss, or one minus the concordance
        correlation coefficient of the batch (Lin 1989). A callable takes predicted and given
        numbers as tensors of shape (n_windows,), and returns the loss of each window.
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
    **module_parameters
        Parameters of the module, each under the name ``module__name``; they can be searched.

    Attributes
    ----------
    target_mean_, target_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation by which the targets are standardised.
    modalities_ : dict of str to SignalDtype
        Shape of the windows of each modality, with sampling rate and channel names if known.
    mean_, scale_ : dict of str to ndarray of shape (1, ..., n_channels, 1)
        Mean and standard deviation by which each modality is standardised.
    net_ : skorch.NeuralNet
        The trained net: ``net_.history`` has the losses, of standardised targets, and
        ``net_.module_`` is the network.
    n_features_in_ : int
        Number of modalities; if `X` was a plain array, of samples or channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if `X` was a DataFrame.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skemo import FusionRegressor
    >>> class Averages(torch.nn.Module):
    ...     def __init__(self, shapes, n_outputs):
    ...         super().__init__()
    ...         self.layer = torch.nn.Linear(sum(shape[0] for shape in shapes), n_outputs)
    ...
    ...     def forward(self, inputs, present):
    ...         return self.layer(torch.cat([x.mean(-1) for x in inputs], dim=1))
    >>> y = np.linspace(1, 9, 80)
    >>> X = np.random.default_rng(0).normal(size=(80, 1, 32)) + y[:, None, None]
    >>> FusionRegressor(Averages, lr=0.05, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _guess = "their predictions do not depend on any signal"

    def __init__(
        self,
        module: Callable[..., nn.Module],
        *,
        loss: Literal["mse", "huber", "ccc"] | Loss = "mse",
        modality_dropout: float = 0.0,
        input_noise: float = 0.0,
        mixup: float = 0.0,
        lr: float = 0.001,
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
        **module_parameters: Any,
    ) -> None:
        self.module = module
        self.loss = loss
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
        self.__dict__.update(module_parameters)

    def partial_fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train the network for one more epoch, on these windows.

        The first call builds the network and standardises inputs and targets by its windows.

        Parameters
        ----------
        X, y
            As in `fit`; at least two windows that differ.
        sample_weight : array-like of shape (n_windows,), default=None
            Weight of the loss of each window.

        Returns
        -------
        self
        """

        def begin(targets: list[NDArray]) -> None:
            self._n_targets = len(targets)

        return self._fit_partially(X, y, sample_weight, begin)

    def predict(
        self, X: pd.DataFrame | ArrayLike, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the predicted numbers.

        Parameters
        ----------
        X
            As in `fit`. If a window lacks a modality, its numbers are predicted from the others.
        return_std : bool, default=False
            Whether to return the standard deviation over the members of an ensemble as well. It
            shows where members disagree, not how far predictions are from the truth.

        Returns
        -------
        mean : ndarray of shape (n_windows,) or (n_windows, n_targets)
            The mean over the members.
        std : ndarray of the same shape
            Only with ``return_std=True``.
        """
        if return_std and self.n_members == 1:
            raise ValueError("return_std=True needs an ensemble: fit with n_members above 1.")
        _, _, members = self._evaluate(X)  # (n_windows, n_targets, n_members)
        mean = members.mean(axis=2) * self.target_scale_ + self.target_mean_
        std = members.std(axis=2) * self.target_scale_
        if self._n_targets == 1:
            mean, std = mean[:, 0], std[:, 0]
        return (mean, std) if return_std else mean

    def score(
        self, X: pd.DataFrame | ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the coefficient of determination R², the mean over targets.

        Parameters
        ----------
        X, y
            As in `fit`; no target may be missing.
        sample_weight : array-like of shape (n_windows,), default=None

        Returns
        -------
        float
        """
        return super().score(X, y, sample_weight)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _check_parameters(self):
        super()._check_parameters()
        check_loss(self.loss, _LOSSES)
        if self.mixup and self.loss == "ccc":
            raise ValueError('mixup needs a loss of single windows: use loss="mse" or "huber".')

    def _check_targets(self, X, y):
        return check_numbers(self, X, y)

    def _learn_targets(self, targets, sample_weight, orders):
        self._n_targets = len(targets)

    def _encode_targets(self, targets):
        if len(targets) != self._n_targets:
            raise ValueError(
                f"y has {len(targets)} targets, but {type(self).__name__} was fitted on "
                f"{self._n_targets}."
            )
        return np.stack(targets, axis=1)

    def _describe_targets(self):
        return {"n_targets": self._n_targets}

    def _read_targets(self, header):
        self._n_targets = header["n_targets"]

    def _target_shapes(self):
        return {"target_mean": (self._n_targets,), "target_scale": (self._n_targets,)}

    def _target_tensors(self):
        return {"target_mean": self.target_mean_, "target_scale": self.target_scale_}

    def _set_target_tensors(self, tensors):
        self.target_mean_, self.target_scale_ = tensors["target_mean"], tensors["target_scale"]

    def _strata(self, encoded):
        """Return the windows that have each target."""
        return ~np.isnan(encoded).T

    def _learn_scales(self, encoded, weight):
        known = ~np.isnan(encoded)
        if not known.any(axis=0).all():
            raise ValueError("A target is missing (NaN) in all training windows: leave it out.")
        share = known * weight[:, np.newaxis]
        share = share / share.sum(axis=0)
        self.target_mean_ = np.nansum(share * encoded, axis=0)
        spread = np.sqrt(np.nansum(share * (encoded - self.target_mean_) ** 2, axis=0))
        # A target that does not vary is predicted as it is.
        varies = spread > 1e-12 * np.abs(self.target_mean_)
        self.target_scale_ = np.where(varies, spread, 1.0)

    def _weigh_targets(self, encoded, weight):
        y = (encoded - self.target_mean_) / self.target_scale_
        weight = weight[:, np.newaxis] * ~np.isnan(y)
        return np.nan_to_num(y).astype(np.float32), weight

    def _head(self):
        return self._n_targets, None

    def _objective(self):
        return NumberObjective(self._n_targets, self.loss)

    def _start_at_means(self, network, windows):
        """Make the untrained network predict the mean of the standardised targets, which is 0."""
        if hasattr(network, "head"):
            network.head.bias.zero_()

    def _read_outputs(self, outputs):
        return outputs if outputs.dim() == 3 else outputs.unsqueeze(2)
