"""Base class of the network estimators: everything but their targets and networks."""

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted
from skorch.callbacks import EarlyStopping
from skorch.utils import noop

from skemo._checks import is_number, is_positive
from skemo._doc_links import DocLinkMixin
from skemo.kernels.standardize import row_chunks, signal_statistics, standardize_signals
from skemo.models.targets import category_orders, check_sample_weight
from skemo.nn import FusionEnsemble, FusionNetwork
from skemo.nn.adapter import ModuleNetwork
from skemo.nn.checks import check_count
from skemo.nn.fusing import fused_parts, is_fused
from skemo.nn.weights import build_network, has_finite_weights
from skemo.signals.array import missing_windows
from skemo.signals.checks import signal_columns, validate_modalities
from skemo.training.batches import WindowSet, merge_rows, row_blocks, samples_per_window
from skemo.training.devices import (
    block_size,
    check_precision,
    in_smaller_blocks,
    reproducible,
    resolve_device,
    seeded,
)
from skemo.training.early_stopping import hold_back
from skemo.training.fit import Fit
from skemo.training.many import train_or_collect
from skemo.training.net import FusionNet
from skemo.training.objectives import Objective
from skemo.training.optimizer import FlatAdamW
from skemo.training.scratch import TrainingRows

_STOPPING = "_early_stopping"  # name of the callback
# Up to so many windows are evaluated in a block of this size, if that is faster. In blocks of 16,
# torch rounds some results differently: its loops over 32 numbers compute the rest in another way.
_SMALL_BLOCK = 32
_READ_VALUES = 1 << 24  # numbers to read at a time for predictions
_LARGEST_VALUE = 1e9  # in standard deviations; more would overflow float32 in the network


def check_counts(estimator: BaseEstimator, *names: str) -> None:
    """Raise unless these parameters of the estimator are integers of at least 1."""
    for name in names:
        check_count(name, getattr(estimator, name))


class FusionEstimator(DocLinkMixin, TransformerMixin, BaseEstimator, ABC):
    """An estimator that trains a network on windows of several modalities.

    `FusionClassifier` and `FusionRegressor` add what depends on the targets. A subclass of
    these stores its parameters in its constructor and may define

    * ``_check_parameters()``, which checks the parameters of the network,
    * ``_check_shapes(shapes)``, which checks the shapes of the windows, a dict by modality,
    * ``_make_network(shapes, n_outputs)``, which builds the network for a list of shapes,
    * ``_attends()``, which returns whether the network has attention,
    * a parameter ``quality``, the columns that only the attention sees.
    """

    trains_together = True  # several fits can be trained as one computation
    # Part of a warning: what is predicted for a window without signals.
    _guess: str

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
        y : array-like of shape (n_windows,) or (n_windows, n_targets)
            Class labels for a classifier, numbers for a regressor. If there are several targets,
            a window may lack some of them (NaN or None); the others still count.
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
            window is missing, or a target has a single class.
        """
        self._check_parameters()
        signals = self._check_windows(X, reset=True)
        targets = self._check_targets(X, y)
        sample_weight = check_sample_weight(len(targets[0]), sample_weight)
        self._learn_targets(targets, sample_weight, category_orders(y, len(targets)))
        subjects = None
        if groups is not None:
            subjects = check_array(groups, ensure_2d=False, dtype=None, input_name="groups")
            check_consistent_length(X, subjects)
        self._random_state = check_random_state(self.random_state)
        seed = int(self._random_state.randint(np.iinfo(np.int32).max))
        # Rows of two subjects are not merged if one may be held back, or mixed with the other.
        told_apart = subjects if self.early_stopping or self.mixup else None
        keys = targets if told_apart is None else [*targets, told_apart]
        rows, weight = merge_rows(signals, keys, sample_weight)
        encoded = self._encode_targets([target[rows] for target in targets])
        train = np.ones(len(rows), bool)
        if self.early_stopping:
            row_subjects = None if subjects is None else subjects[rows]
            strata = self._strata(encoded)
            train = ~hold_back(strata, row_subjects, weight, self.validation_fraction, seed)
        n_train = np.count_nonzero(train)
        chosen = TrainingRows(signals, np.concatenate([rows[train], rows[~train]]))
        self._learn_inputs(chosen, n_train, weight[train])
        self._learn_scales(encoded[train], weight[train])
        windows = self._training_set(chosen, 0, encoded[train], weight[train])
        if self.mixup:
            # Without subjects, each window counts as one.
            codes = rows if subjects is None else np.unique(subjects[rows], return_inverse=True)[1]
            windows.subject = torch.from_numpy(codes[train])
        validation = None
        if self.early_stopping:
            validation = self._training_set(chosen, n_train, encoded[~train], weight[~train])
        del signals, chosen  # only the standardised windows are needed from here on
        generator = torch.Generator().manual_seed(seed)
        with reproducible(torch.device("cpu")):
            self.net_ = self._make_net(generator)
            with torch.no_grad():
                for member in self.net_.module.members:
                    self._start_at_means(member, windows)
        train_or_collect(Fit(self, windows, validation, generator.get_state()))
        return self

    def _fit_partially(self, X, y, sample_weight, begin):
        """Train for one more epoch; `begin` sets up the targets in the first call."""
        first = not hasattr(self, "net_")
        if first:
            self._check_parameters()
        signals = self._check_windows(X, reset=first)
        targets = self._check_targets(X, y)
        sample_weight = check_sample_weight(len(targets[0]), sample_weight)
        rows, weight = merge_rows(signals, targets, sample_weight)
        if first:
            begin(targets)
            self._random_state = check_random_state(self.random_state)
        encoded = self._encode_targets([target[rows] for target in targets])
        chosen = TrainingRows(signals, rows)
        if first:
            self._learn_inputs(chosen, len(rows), weight)
            self._learn_scales(encoded, weight)
        windows = self._training_set(chosen, 0, encoded, weight, normalize=False)
        del signals, chosen
        seed = int(self._random_state.randint(np.iinfo(np.int32).max))
        device = resolve_device(self.device)

        def train(_: int) -> None:
            generator = torch.Generator().manual_seed(seed)
            with reproducible(device), seeded(seed, device), fused_parts():
                if first:
                    self.net_ = self._make_net(generator).initialize()
                self.net_.module_.to(device)
                self.net_.generator = generator
                self.net_.partial_fit((windows.to(device), None), epochs=1)
                self.net_.generator = None
                self._check_converged()

        in_smaller_blocks(train, 1, device)
        return self

    def transform(self, X: pd.DataFrame | ArrayLike) -> NDArray[np.float32]:
        """Return the fused representation, which is the input of the last layer.

        If the network is a module of your own and not a :class:`skemo.nn.FusionNetwork`, its
        outputs are returned instead.

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
        is_plain = isinstance(self.net_.module_.members[0], ModuleNetwork)
        names = ["output"] if is_plain else self._signal_names()
        return np.array(
            [f"{name}{i}" for name, size in zip(names, sizes, strict=True) for i in range(size)],
            object,
        )

    @available_if(lambda self: self._attends())
    def attention_weights(self, X: pd.DataFrame | ArrayLike) -> pd.DataFrame:
        """Return how much of each modality the attention lets through.

        Returns
        -------
        DataFrame with n_windows rows
            One column per modality: the mean of its attention weights; 0 if the window lacks the
            modality. They are between 0 and 1, or, for ``attention="residual"`` and "scalar",
            between 0 and 2, where 1 leaves a modality as it is without attention. The index is
            that of `X`.
        """
        weights, _, _ = self._evaluate(X)
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(weights, columns=self._signal_names(), index=index)

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
        check_share(self, "modality_dropout")
        check_precision(self.precision, resolve_device(self.device))
        if not is_positive(self.lr):
            raise ValueError(f"lr must be positive, got {self.lr!r}.")
        for name in ("weight_decay", "input_noise", "mixup"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < np.inf:
                raise ValueError(f"{name} must be finite and at least 0, got {value!r}.")

    def _check_windows(self, X, *, reset):
        """Return the modalities and the columns of `quality` in `X`, as signals by name."""
        signals = validate_modalities(self, X, reset=reset)
        if reset:
            self._by_time = not signal_columns(X) and np.asarray(X).ndim == 2
            self._check_inputs()
            if all(signals[name].isna().all() for name in self._signal_names()):
                raise ValueError(
                    f"Every window is missing (NaN) in every modality: {self._signal_names()}."
                )
        names = [*self._signal_names(), *self._quality_names()]
        return {name: signals[name] for name in names}

    def _quality_names(self):
        """Return the columns that tell how far signals can be trusted."""
        quality = getattr(self, "quality", None)
        if quality is None:
            return []
        is_one = isinstance(quality, str) or not isinstance(quality, Iterable)
        return [quality] if is_one else list(dict.fromkeys(quality))

    def _signal_names(self):
        """Return the columns that are modalities."""
        quality = self._quality_names()
        return [name for name in self.modalities_ if name not in quality]

    def _shapes(self, names):
        return [self.modalities_[name].shape for name in names]

    def _check_inputs(self):
        """Raise if columns do not suit the parameters."""
        unknown = [name for name in self._quality_names() if name not in self.modalities_]
        if unknown:
            raise ValueError(
                f"quality={self.quality!r} must name signal columns of X, but it has no "
                f"{unknown[0]!r}, only {list(self.modalities_)}."
            )
        names = self._signal_names()
        if not names:
            raise ValueError(
                f"quality={self.quality!r} names all the columns: there is no modality left."
            )
        self._check_shapes(dict(zip(names, self._shapes(names), strict=True)))

    def _learn_inputs(self, chosen, n_train, weight):
        """Learn how inputs are standardised, from the first `n_train` chosen rows."""
        if n_train < 2:
            raise ValueError("Training needs at least two windows that differ, got 1 sample.")
        self.mean_, self.scale_ = {}, {}
        for modality, array in chosen.arrays.items():
            self.mean_[modality], self.scale_[modality] = signal_statistics(
                array,
                weight,
                rows=chosen.rows[:n_train],
                by_time=self._by_time,
                padded=self.modalities_[modality].may_be_padded,
            )

    def _build_network(self):
        """Return a network with its last layer, in torch's initial state."""
        shapes = self._shapes(self._signal_names())
        n_outputs, link = self._head()
        network = self._make_network(shapes, n_outputs)
        if not isinstance(network, FusionNetwork):
            network = ModuleNetwork(shapes, network, n_outputs)
        network.link = link
        network.input_noise = self.input_noise
        network.modality_dropout.p = self.modality_dropout
        return network

    def _make_net(self, generator):
        """Return an untrained net, with initial weights drawn from the generator."""
        networks = [build_network(self._build_network, generator) for _ in range(self.n_members)]
        module = networks[0] if self.n_members == 1 else FusionEnsemble(networks)
        for member in module.members:
            member.uses_bfloat16 = self.precision == "bfloat16"
            if isinstance(member, ModuleNetwork):
                self._check_outputs(member)
        kind, settings = self._net_kind()
        return kind(
            module,
            objective=self._objective(),
            mixup=self.mixup,
            # Callbacks may freeze parameters or look them up in the optimiser.
            optimizer=torch.optim.AdamW if self.callbacks else FlatAdamW,
            optimizer__weight_decay=self.weight_decay,
            optimizer__fused=True,
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            train_split=None,
            callbacks=copy.deepcopy(list(self.callbacks or [])),
            device=str(resolve_device(self.device)),
            verbose=self.verbose,
            **settings,
        )

    def _check_outputs(self, network):
        """Raise unless the user's module gives outputs of the right shape."""
        inputs = [torch.zeros(2, *shape) for shape in network.shapes]
        with torch.no_grad():
            outputs = network.eval().module(inputs, torch.ones(2, len(inputs)))
        network.train()
        expected = (2, self._head()[0])
        if not isinstance(outputs, torch.Tensor) or outputs.shape != expected:
            found = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs)
            raise ValueError(
                f"The module must return a tensor of shape (n_windows, n_outputs), here {expected} "
                f"for two windows, but returned {found}."
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

    def _standardize(self, modality, values):
        """Return standardised windows for the network, and which of them have the modality."""
        mean = self.mean_[modality]
        # A modality that is missing in all training windows has no mean, and is absent.
        present = ~missing_windows(values) & np.isfinite(mean).any()
        values = standardize_signals(
            values, mean, self.scale_[modality], padded=self.modalities_[modality].may_be_padded
        )
        if np.fmax.reduce(np.abs(values), axis=None, initial=0) > _LARGEST_VALUE:
            raise ValueError(
                f"{modality!r} has values more than {_LARGEST_VALUE:.0e} standard deviations "
                "from the training mean: set artefacts to NaN."
            )
        values = values.astype(np.float32, copy=False)
        np.copyto(values, 0, where=np.isnan(values))
        return values, present

    def _window_set(self, values):
        """Return standardised windows, on the CPU, from arrays by modality."""
        pairs = [self._standardize(modality, array) for modality, array in values.items()]
        inputs, present = zip(*pairs, strict=True)
        present = torch.from_numpy(np.stack(present, axis=1).astype(np.float32))
        return WindowSet([torch.from_numpy(array) for array in inputs], present)

    def _training_set(self, chosen, start, encoded, weight, *, normalize=True):
        """Return the chosen windows from `start` on, standardised, with targets and weights."""
        inputs = []
        present = np.empty((len(encoded), len(chosen.arrays)), np.float32)
        for i, (modality, array) in enumerate(chosen.arrays.items()):
            standardized = chosen.room(modality, start, start + len(encoded))
            rows = chosen.rows[start : start + len(encoded)]
            for part in row_chunks(array.shape, len(rows)):
                values, present[part, i] = self._standardize(modality, array[rows[part]])
                standardized[part] = values
            is_array = isinstance(standardized, np.ndarray)
            inputs.append(torch.from_numpy(standardized) if is_array else standardized)
        y, weight = self._weigh_targets(encoded, weight)
        if normalize:
            weight = np.stack([column / (column.mean() or 1) for column in weight.T], axis=1)
        weight = torch.from_numpy(weight.astype(np.float32))
        return WindowSet(inputs, torch.from_numpy(present), torch.from_numpy(y), weight)

    def _evaluate(self, X):
        """Return attention weights, fused representation and predictions, as arrays.

        On the CPU, sums over blocks of different sizes are rounded differently. All blocks
        therefore have the same size, the last one being filled up with some of its windows, so
        that the result for a window does not depend on the number of windows. Compiled loops
        compute each window by itself, and the layers after them give the same in a small block.
        """
        if not hasattr(self, "net_"):  # faster than to call check_is_fitted each time
            check_is_fitted(self)
        signals = self._check_windows(X, reset=False)
        device = resolve_device(self.device)
        n_block = block_size(samples_per_window(signals), device)
        n_windows = len(next(iter(signals.values())))
        if n_windows <= _SMALL_BLOCK and is_fused(self.net_.module_, device):
            n_block = _SMALL_BLOCK
        weights, fused, predicted, present = in_smaller_blocks(
            lambda n_block: self._evaluate_blocks(signals, n_block, device), n_block, device
        )
        n_unusable = np.count_nonzero(~np.isfinite(predicted).reshape(len(present), -1).all(axis=1))
        if n_unusable:
            raise ValueError(
                f"The outputs for {n_unusable} of {len(present)} windows are not finite: the "
                "weights of the network are so large that they overflow. Fit it again with a "
                "lower lr."
            )
        n_absent = np.count_nonzero(present[:, : weights.shape[1]].sum(axis=1) == 0)
        if n_absent:
            warnings.warn(
                f"{n_absent} of {len(present)} windows are missing (NaN) in every modality that "
                f"was trained on: {self._guess}.",
                UserWarning,
                stacklevel=3,
            )
        return weights, fused, predicted

    def _evaluate_blocks(self, signals, n_block, device):
        """Return the results of `_evaluate` and which modalities are present, block by block.

        On the CPU, several blocks are evaluated in parallel. The calling thread computes nothing
        with several threads of torch: a process forked after that would wait for them.
        """
        are_fused = is_fused(self.net_.module_, device)

        def evaluate(values):
            windows = self._window_set(values)
            n_counted = len(windows) if are_fused else None
            if device.type == "cpu" and len(windows) < n_block:
                windows = windows.pad(n_block) if are_fused else windows.fill(n_block)
            with torch.inference_mode(), fused_parts(n_counted):
                windows = windows.to(device)
                *results, outputs = module.evaluate(windows.inputs, windows.present)
                results += [self._read_outputs(outputs.cpu().double()), windows.present]
                return [result.cpu().numpy() for result in results]

        def evaluate_in_thread(values):
            with reproducible(device):  # each thread has its own settings of torch
                return evaluate(values)

        n_windows = len(next(iter(signals.values())))
        n_read = max(_READ_VALUES // (n_block * samples_per_window(signals)), 1) * n_block
        n_threads = torch.get_num_threads() if device.type == "cpu" else 1
        # Starting a thread takes a millisecond, so there are no more of them than blocks.
        n_threads = min(n_threads, -(-n_windows // n_block))
        with reproducible(device), fused_parts(), ExitStack() as stack:
            compute = partial(map, evaluate)
            if n_threads > 1:
                threads = stack.enter_context(ThreadPoolExecutor(n_threads))
                compute = partial(threads.map, evaluate_in_thread)
            module = self.net_.module_
            # Going through all layers takes longer than evaluating a single window.
            if next(module.parameters()).device != device:
                module.to(device)
            if module.training:
                module.eval()
            blocks = []
            for rows, values in row_blocks(signals, n_read):
                n_rows = rows.stop - rows.start
                parts = (
                    {name: array[start : start + n_block] for name, array in values.items()}
                    for start in range(0, n_rows, n_block)
                )
                blocks += compute(parts)
        return [np.concatenate(block)[:n_windows] for block in zip(*blocks, strict=True)]

    def _check_converged(self):
        unusable = np.flatnonzero(~np.isfinite(self.net_.history[:, "train_loss"]))
        if len(unusable):
            epoch = unusable[0] + 1
            raise ValueError(f"The training loss is not finite from epoch {epoch} on: lower lr.")
        if not has_finite_weights(self.net_.module_):
            raise ValueError("The last steps of training made weights infinite or NaN: lower lr.")

    def _attends(self):
        return False

    def _check_shapes(self, shapes):
        """Raise if windows of these shapes, a dict by modality, do not suit the network."""

    @abstractmethod
    def _make_network(self, shapes, n_outputs):
        """Return the network for windows of these shapes."""

    @abstractmethod
    def _check_targets(self, X, y):
        """Check `y`, and return it as a list of arrays, one per target."""

    @abstractmethod
    def _learn_targets(self, targets, sample_weight, orders):
        """Learn from all rows which classes the targets have; `orders` is by `category_orders`."""

    @abstractmethod
    def _encode_targets(self, targets):
        """Return the targets of some rows as numbers, of shape (n_rows, n_targets)."""

    @abstractmethod
    def _describe_targets(self):
        """Return what the header of a file says about the targets, a dict."""

    @abstractmethod
    def _read_targets(self, header):
        """Restore what `_describe_targets` returned."""

    @abstractmethod
    def _target_shapes(self):
        """Return the shapes of `_target_tensors` by name."""

    @abstractmethod
    def _target_tensors(self):
        """Return the arrays that a file holds about the targets, by name."""

    @abstractmethod
    def _set_target_tensors(self, tensors):
        """Restore what `_target_tensors` returned."""

    @abstractmethod
    def _strata(self, encoded):
        """Return the strata that `hold_back` takes."""

    @abstractmethod
    def _learn_scales(self, encoded, weight):
        """Learn from the training rows how the loss of each target is scaled."""

    @abstractmethod
    def _weigh_targets(self, encoded, weight):
        """Return what the loss takes, and the weight of each target in it; 0 if it is missing."""

    @abstractmethod
    def _head(self):
        """Return the number of outputs of the network, and what follows them, or None."""

    @abstractmethod
    def _objective(self) -> Objective:
        """Return the loss."""

    @abstractmethod
    def _start_at_means(self, network, windows):
        """Make an untrained network predict the mean of the targets."""

    @abstractmethod
    def _read_outputs(self, outputs):
        """Return predictions from the network's outputs, both of shape (n_windows, ...)."""

    def _net_kind(self):
        """Return the class of the net and settings of its own."""
        return FusionNet, {}


def check_share(estimator: BaseEstimator, name: str) -> None:
    """Raise unless this parameter is a number of at least 0 and below 1."""
    value = getattr(estimator, name)
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}.")


def check_loss(loss: object, names: tuple[str, ...]) -> None:
    """Raise unless a loss is one of these names or can be called."""
    if not callable(loss) and loss not in names:
        shown = ", ".join(f'"{name}"' for name in names)
        raise ValueError(f"loss must be {shown} or a callable, got {loss!r}.")
