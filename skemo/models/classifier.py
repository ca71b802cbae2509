"""Base class of the network classifiers: everything but their parameters and networks."""

import copy
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state, compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)
from skorch.callbacks import EarlyStopping
from skorch.utils import noop

from skemo._checks import is_number, is_positive
from skemo._doc_links import DocLinkMixin
from skemo.kernels.standardize import signal_statistics, standardize_signals
from skemo.models.saving import read_classifier, write_classifier
from skemo.nn import FusionEnsemble
from skemo.nn.checks import check_count
from skemo.nn.losses import mean_probabilities
from skemo.nn.weights import build_network, has_finite_weights
from skemo.signals.array import SignalArray
from skemo.signals.checks import reading_numbers, signal_columns, validate_modalities
from skemo.signals.groups import refuse_column_name
from skemo.training.batches import WindowSet, merge_rows
from skemo.training.devices import (
    block_size,
    check_precision,
    in_smaller_blocks,
    reproducible,
    resolve_device,
)
from skemo.training.early_stopping import hold_back
from skemo.training.many import Fit, train_or_collect
from skemo.training.net import FusionNet
from skemo.training.optimizer import FlatAdamW

_STOPPING = "_early_stopping"  # name of the callback
_LARGEST = 1e9  # standard deviations; larger values would overflow float32 in the network


def check_counts(estimator: BaseEstimator, *names: str) -> None:
    """Raise unless these parameters of the estimator are integers of at least 1."""
    for name in names:
        check_count(name, getattr(estimator, name))


def check_targets(
    estimator: BaseEstimator, X: Any, y: Any, sample_weight: Any
) -> tuple[NDArray, NDArray[np.float64]]:
    """Check and return the labels and weights of the windows; weights are 1 by default."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )
    refuse_column_name("y", y)
    y = column_or_1d(y, warn=True)
    y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
    if pd.isna(y).any():
        raise ValueError(f"Input y contains NaN in {pd.isna(y).sum()} rows: drop these windows.")
    check_classification_targets(y)
    if sample_weight is None:
        sample_weight = np.ones(len(y))
    with reading_numbers("sample_weight"):
        sample_weight = check_array(
            sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
        )
    if sample_weight.ndim != 1:
        raise ValueError("Sample weights must be 1D array or scalar")
    check_consistent_length(X, y, sample_weight)
    if (sample_weight < 0).any():
        raise ValueError("Negative values in sample_weight: weights must be at least 0.")
    if not sample_weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return y, sample_weight


class FusionClassifier(DocLinkMixin, TransformerMixin, ClassifierMixin, BaseEstimator):
    """A classifier that trains a network on windows of several modalities.

    A subclass stores its parameters in its constructor and defines

    * ``_check_parameters()``, which checks the parameters of the network,
    * ``_check_shapes(shapes)``, which checks the shapes of the windows, a dict by modality,
    * ``_make_module(shapes, n_classes)``, which builds the network for a list of shapes,
    * ``_attends()``, which returns whether the network has attention.
    """

    trains_together = True  # several fits can be trained as one computation

    def fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train the network from scratch.

        Parameters
        ----------
        X : DataFrame of signal columns, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)
            One signal column per modality. A plain array is a single modality.
        y : array-like of shape (n_windows,)
            Class labels.
        sample_weight : array-like of shape (n_windows,), default=None
            Weight of each window. A weight of 2 is the same as including the window twice,
            and 0 is the same as leaving it out.
        groups : array-like of shape (n_windows,), default=None
            The subject of each window. Early stopping keeps all windows of a subject on the
            same side of its split.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter, a column or `y` is not as described, a value is infinite, every
            window is missing, or `y` has a single class.
        """
        self._check_parameters()
        values = self._check_windows(X, reset=True)
        y, sample_weight = check_targets(self, X, y, sample_weight)
        self.classes_ = np.unique(y[sample_weight > 0])
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs windows of at least two classes, got one class: "
                f"{self.classes_.tolist()}."
            )
        subjects = None
        if groups is not None:
            subjects = check_array(groups, ensure_2d=False, dtype=None, input_name="groups")
            check_consistent_length(y, subjects)
        self._random_state = check_random_state(self.random_state)
        seed = int(self._random_state.randint(np.iinfo(np.int32).max))
        keys: Any = y
        if self.early_stopping and subjects is not None:
            keys = list(zip(y, subjects, strict=True))  # so rows of two subjects are not merged
        rows, weight = merge_rows(values, keys, sample_weight)
        train = np.ones(len(rows), bool)
        if self.early_stopping:
            row_subjects = None if subjects is None else subjects[rows]
            train = ~hold_back(y[rows], row_subjects, weight, self.validation_fraction, seed)
        self._learn_inputs(values, y, rows[train], weight[train])
        windows = self._training_set(values, y, rows[train], weight[train])
        validation = None
        if self.early_stopping:
            validation = self._training_set(values, y, rows[~train], weight[~train])
        generator = torch.Generator().manual_seed(seed)
        with reproducible(torch.device("cpu")):
            self.net_ = self._make_net(generator)
            self._start_at_frequencies(windows)
        train_or_collect(Fit(self, windows, validation, generator.get_state()))
        return self

    def partial_fit(
        self,
        X: pd.DataFrame | ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train the network for one more epoch, on these windows.

        The first call builds the network, and standardises inputs by its own windows.

        Parameters
        ----------
        X, y
            As in `fit`; at least two windows that differ.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever occur; required in the first call.
        sample_weight : array-like of shape (n_windows,), default=None
            Weight of the loss of each window.

        Returns
        -------
        self
        """
        first = not hasattr(self, "net_")
        known: Any = None if classes is None else np.unique(column_or_1d(classes))
        if not first and known is not None and not np.array_equal(known, self.classes_):
            raise ValueError(
                f"classes={known.tolist()} differ from {self.classes_.tolist()}, which were "
                "passed to the first call of partial_fit or found by fit."
            )
        if first:
            self._check_parameters()
            if known is None or len(known) < 2:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit, and there must be "
                    "at least two."
                )
            if self.class_weight == "balanced":
                raise ValueError(
                    'class_weight="balanced" needs all windows at once: give partial_fit the '
                    "weights as a dict of class to weight."
                )
        values = self._check_windows(X, reset=first)
        y, sample_weight = check_targets(self, X, y, sample_weight)
        if first:
            self.classes_ = known
            self._random_state = check_random_state(self.random_state)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y has classes {unknown.tolist()} that are not in `classes`.")
        rows, weight = merge_rows(values, y, sample_weight)
        if first:
            self._learn_inputs(values, y, rows, weight)
        windows = self._training_set(values, y, rows, weight, normalize=False)
        seed = int(self._random_state.randint(np.iinfo(np.int32).max))
        device = resolve_device(self.device)

        def train(_: int) -> None:
            generator = torch.Generator().manual_seed(seed)
            with reproducible(device):
                if first:
                    self.net_ = self._make_net(generator).initialize()
                self.net_.module_.to(device)
                self.net_.generator = generator
                self.net_.partial_fit((windows.to(device), None), epochs=1)
                self.net_.generator = None
                self._check_converged()

        in_smaller_blocks(train, 1, device)
        return self

    def predict_proba(self, X: pd.DataFrame | ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each class.

        Parameters
        ----------
        X
            As in `fit`. If a window lacks a modality, it is classified by the others.

        Returns
        -------
        ndarray of shape (n_windows, n_classes)
            Columns in the order of ``classes_``.
        """
        _, _, probabilities = self._evaluate(X)
        return probabilities

    def predict(self, X: pd.DataFrame | ArrayLike) -> NDArray:
        """Return the most probable class of each window, an array of shape (n_windows,)."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def transform(self, X: pd.DataFrame | ArrayLike) -> NDArray[np.float32]:
        """Return the fused representation, which is the input of the last layer.

        Returns
        -------
        ndarray of shape (n_windows, n_features)
            The features of one modality after another; 0 if the modality is missing.
        """
        _, fused, _ = self._evaluate(X)
        return fused

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Return the names of the columns of `transform`, such as ``ecg0, ecg1, …``."""
        check_is_fitted(self)
        sizes = self.net_.module_.vector_sizes
        return np.array(
            [
                f"{name}{i}"
                for name, size in zip(self.modalities_, sizes, strict=True)
                for i in range(size)
            ],
            object,
        )

    @available_if(lambda self: self._attends())
    def attention_weights(self, X: pd.DataFrame | ArrayLike) -> pd.DataFrame:
        """Return how much of each modality the attention lets through.

        Returns
        -------
        DataFrame with n_windows rows
            One column per modality: the mean of its attention weights, between 0 and 1; 0 if
            the window lacks the modality. The index is that of `X`.
        """
        weights, _, _ = self._evaluate(X)
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(weights, columns=list(self.modalities_), index=index)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted classifier to a safetensors file, without pickle.

        Its header holds parameters, classes and shapes as JSON, and its body the weights and
        the standardisation. The parameter `callbacks`, the state of the optimiser and the
        training history are not saved.

        Parameters
        ----------
        path : str or path-like
        """
        write_classifier(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str | torch.device = "auto") -> Self:
        """Read a classifier that was written by `save`.

        Parameters
        ----------
        path : str or path-like
        device : str or torch.device, default="auto"
            The device to use, which may differ from the one it was trained on.

        Returns
        -------
        fitted classifier
        """
        return read_classifier(cls, path, device)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _check_parameters(self):
        check_counts(self, "batch_size", "max_epochs", "n_members", "patience")
        if self.batch_size < 2:
            raise ValueError("batch_size must be at least 2: batch normalisation needs two rows.")
        if not is_number(self.validation_fraction) or not 0 < self.validation_fraction < 1:
            raise ValueError(
                f"validation_fraction must be between 0 and 1, got {self.validation_fraction!r}."
            )
        for name in ("dropout", "modality_dropout"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}.")
        check_precision(self.precision, resolve_device(self.device))
        if not is_positive(self.lr):
            raise ValueError(f"lr must be positive, got {self.lr!r}.")
        for name in ("weight_decay", "input_noise"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < np.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {value!r}.")

    def _check_windows(self, X, *, reset):
        """Return the windows of each modality, of shape (n_windows, ..., n_channels, n_times)."""
        signals = validate_modalities(self, X, reset=reset)
        if reset:
            self._by_time = not signal_columns(X) and np.asarray(X).ndim == 2
            self._check_shapes({name: dtype.shape for name, dtype in self.modalities_.items()})
        return {modality: signal.values for modality, signal in signals.items()}

    def _learn_inputs(self, values, y, rows, weight):
        """Learn standardisation and class weights from the training rows."""
        if len(rows) < 2:
            raise ValueError("Training needs at least two windows that differ, got 1 sample.")
        self.mean_, self.scale_ = {}, {}
        for modality, array in values.items():
            self.mean_[modality], self.scale_[modality] = signal_statistics(
                array[rows],
                weight,
                by_time=self._by_time,
                padded=self.modalities_[modality].may_be_padded,
            )
        self._class_weight = compute_class_weight(
            self.class_weight, classes=self.classes_, y=y[rows], sample_weight=weight
        )

    def _make_net(self, generator):
        """Return an untrained net, with initial weights drawn from the generator."""
        shapes = [dtype.shape for dtype in self.modalities_.values()]
        build = partial(self._make_module, shapes, len(self.classes_))
        networks = [build_network(build, generator) for _ in range(self.n_members)]
        module = networks[0] if self.n_members == 1 else FusionEnsemble(networks)
        for member in module.members:
            member.uses_bfloat16 = self.precision == "bfloat16"
        return FusionNet(
            module,
            criterion=torch.nn.CrossEntropyLoss,  # not used: `get_loss` weights each window
            predict_nonlinearity=mean_probabilities,
            # Callbacks may freeze parameters or look them up in the optimiser.
            optimizer=torch.optim.AdamW if self.callbacks else FlatAdamW,
            optimizer__weight_decay=self.weight_decay,
            optimizer__fused=True,
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            train_split=None,
            classes=np.arange(len(self.classes_)),
            callbacks=copy.deepcopy(list(self.callbacks or [])),
            device=str(resolve_device(self.device)),
            verbose=self.verbose,
        )

    def _fit_net(self, windows, validation, generator):
        """Train the net in skorch's loop, with early stopping if there is validation data."""
        self.net_.generator = generator
        if validation is not None:
            stopping = EarlyStopping(patience=self.patience, load_best=True, sink=noop)
            self.net_.callbacks = [*self.net_.callbacks, (_STOPPING, stopping)]
        self.net_.fit((windows, validation), y=None)
        self.net_.generator = None
        if validation is not None:
            self.net_.callbacks = self.net_.callbacks[:-1]
            self.net_.callbacks_ = [x for x in self.net_.callbacks_ if x[0] != _STOPPING]
        self._check_converged()

    def _start_at_frequencies(self, windows):
        """Make the initial class scores the logarithms of the weighted class frequencies."""
        weights = torch.bincount(windows.y, windows.weight, minlength=len(self.classes_)).double()
        with torch.no_grad():
            for member in self.net_.module.members:
                member.head.bias.copy_((weights / weights.sum()).clamp_min(1e-12).log())

    def _window_set(self, values, rows):
        """Return standardised windows for the network, on the CPU."""
        inputs, present = [], []
        for modality, array in values.items():
            array, mean = array[rows], self.mean_[modality]
            # A modality that is missing in all training windows has no mean, and is absent.
            present.append(~SignalArray(array).isna() & np.isfinite(mean).any())
            array = standardize_signals(
                array, mean, self.scale_[modality], padded=self.modalities_[modality].may_be_padded
            )
            if np.nanmax(np.abs(array), initial=0) > _LARGEST:
                raise ValueError(
                    f"{modality!r} has values more than {_LARGEST:.0e} standard deviations from "
                    "the training mean: set artefacts to NaN."
                )
            array = np.nan_to_num(array.astype(np.float32, copy=False), copy=False)
            inputs.append(torch.from_numpy(array))
        present = torch.from_numpy(np.stack(present, axis=1).astype(np.float32))
        return WindowSet(inputs, present)

    def _training_set(self, values, y, rows, weight, *, normalize=True):
        windows = self._window_set(values, rows)
        y = np.searchsorted(self.classes_, y[rows])
        weight = weight * self._class_weight[y]
        if normalize:
            weight = weight / weight.mean()
        weight = torch.from_numpy(weight.astype(np.float32))
        return WindowSet(windows.inputs, windows.present, torch.from_numpy(y), weight)

    def _evaluate(self, X):
        """Return attention weights, fused representation and class probabilities, as arrays.

        On the CPU, sums over blocks of different sizes are rounded differently. All blocks
        therefore have the same size, the last one being filled up with windows from the
        beginning, so that the result for a window does not depend on the number of windows.
        """
        check_is_fitted(self)
        values = self._check_windows(X, reset=False)
        device = resolve_device(self.device)
        n_block = block_size(sum(array[:1].size for array in values.values()), device)
        weights, fused, probabilities, present = in_smaller_blocks(
            lambda n_block: self._evaluate_blocks(values, n_block, device), n_block, device
        )
        n_unusable = np.count_nonzero(~np.isfinite(probabilities).all(axis=1))
        if n_unusable:
            raise ValueError(
                f"The class scores of {n_unusable} of {len(present)} windows are not finite: the "
                "weights of the network are so large that they overflow. Fit it again with a "
                "lower lr."
            )
        n_absent = np.count_nonzero(present.sum(axis=1) == 0)
        if n_absent:
            warnings.warn(
                f"{n_absent} of {len(present)} windows are missing (NaN) in every modality that "
                "was trained on: their class is guessed from the class frequencies in training.",
                UserWarning,
                stacklevel=3,
            )
        return weights, fused, probabilities

    def _evaluate_blocks(self, values, n_block, device):
        """Return what `_evaluate` does, and which modalities are present, block by block.

        On the CPU, several blocks are evaluated in parallel. No computation of torch is left to
        the caller, where it might start threads: a process forked after that would wait for them.
        """
        n_windows = len(next(iter(values.values())))

        def evaluate(start):
            rows = np.arange(start, start + n_block)
            rows = rows % n_windows if device.type == "cpu" else rows[rows < n_windows]
            windows = self._window_set(values, rows)
            with reproducible(device), torch.inference_mode():  # in a thread of its own
                windows = windows.to(device)
                *results, scores = module.evaluate(windows.inputs, windows.present)
                results += [scores.cpu().double().softmax(1), windows.present]
                return [result.cpu().numpy() for result in results]

        n_threads = torch.get_num_threads() if device.type == "cpu" else 1
        with reproducible(device), ThreadPoolExecutor(n_threads) as threads:
            module = self.net_.module_.to(device).eval()
            blocks = list(threads.map(evaluate, range(0, n_windows, n_block)))
        return [np.concatenate(block)[:n_windows] for block in zip(*blocks, strict=True)]

    def _check_converged(self):
        unusable = np.flatnonzero(~np.isfinite(self.net_.history[:, "train_loss"]))
        if len(unusable):
            epoch = unusable[0] + 1
            raise ValueError(f"The training loss is not finite from epoch {epoch} on: lower lr.")
        if not has_finite_weights(self.net_.module_):
            raise ValueError("The last steps of training made weights infinite or NaN: lower lr.")
