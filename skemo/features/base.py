"""Base class and helpers of the transformers of windows."""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skemo._checks import is_positive
from skemo._doc_links import DocLinkMixin
from skemo._workers import ending_with_this_process, returned_as
from skemo.kernels.filters import LARGEST_GAP_SHARE
from skemo.kernels.hrv import increasing
from skemo.kernels.quality import signal_quality
from skemo.signals.array import SignalArray, SignalDtype
from skemo.signals.checks import signal_columns, signal_name, validate_signals, warn_of_repeats

_FEWEST = 5  # missing windows that are worth a warning
_LOOKED_AT = 50  # missing windows to inspect for a reason
MERGED = "If a slower signal was merged into a faster table, pass it at its own sampling rate."


def choose_features(
    features: str | Sequence[str], groups: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return the names of the features that `features` asks for, each once.

    Parameters
    ----------
    features : str or list of str
        Names of features and of groups of features; ``"all"`` is every feature.
    groups : dict of str to sequence of str
    """
    every = [name for group in groups.values() for name in group]
    groups = {**groups, "all": every}
    asked: list[Any] = list(features) if isinstance(features, list | tuple) else [features]
    unknown = [name for name in asked if not isinstance(name, str) or name not in [*groups, *every]]
    if unknown or not asked:
        raise ValueError(
            f"features={features!r} must name some of the groups {', '.join(groups)} or "
            f"the features {', '.join(every)}."
        )
    names = [name for entry in asked for name in groups.get(entry, [entry])]
    return list(dict.fromkeys(names))


def wrap_signals(
    values: NDArray,
    X: pd.DataFrame | pd.Series | ArrayLike,
    name: Hashable | None,
    *,
    sampling_rate: float | None = None,
    channels: Sequence[str] | None = None,
) -> NDArray | pd.DataFrame:
    """Return `values` in the same kind of container as `X`.

    A signal column gives a DataFrame with one signal column called `name`; a table or an array
    of two dimensions gives two dimensions, an array of three gives `values`.
    """
    if isinstance(X, pd.Series):
        X = X.to_frame()
    if isinstance(X, pd.DataFrame) and signal_columns(X):
        array = SignalArray(values, sampling_rate=sampling_rate, channels=channels)
        return pd.DataFrame({name: array}, index=X.index, copy=False)
    return values.reshape(len(values), -1) if np.asarray(X).ndim == 2 else values


def compute_in_chunks(
    compute: Callable[[NDArray], NDArray],
    signal: SignalArray,
    n_samples: int,
    n_jobs: int | None = None,
) -> NDArray:
    """Return the results of `compute`, called with a chunk of windows at a time.

    Parameters
    ----------
    compute : callable
        Takes an array of windows, and returns an array with one row per window.
    signal : SignalArray
    n_samples : int
        Approximate number of samples per call, which limits the memory it takes.
    n_jobs : int or None, default=None
        Number of processes.
    """
    chunks = (values for _, values in signal.blocks(n_samples))
    if len(signal) * math.prod(signal.dtype.shape) > n_samples:
        parallel = Parallel(n_jobs=n_jobs, return_as=returned_as(), **ending_with_this_process())
        return _join_rows(parallel(delayed(compute)(values) for values in chunks), len(signal))
    # A single chunk is not worth sending to a cluster.
    return _join_rows(map(compute, chunks), len(signal))


def compute_in_blocks(compute: Callable[[NDArray], NDArray], signal: SignalArray) -> NDArray:
    """Return the results of `compute`, called with a block of a few megabytes at a time.

    Parameters
    ----------
    compute : callable
        Takes an array of windows, and returns an array with one row per window.
    signal : SignalArray
    """
    return _join_rows((compute(values) for _, values in signal.blocks()), len(signal))


def _join_rows(parts, n_windows):
    result = np.empty(0)
    start = 0
    for part in parts:
        if start == 0:
            result = np.empty((n_windows, *part.shape[1:]), part.dtype)
        result[start : start + len(part)] = part
        start += len(part)
    return result


class WindowTransformer(DocLinkMixin, TransformerMixin, BaseEstimator, ABC):
    """Base class of the transformers of one signal: `fit`, names and tags.

    The contract: the result of `transform` for a row depends only on that row and the
    parameters, to the bit. It does not depend on the other rows, on their order, or on the rows
    given to `fit`, which only checks the input and records the type of a window. The result
    can therefore be computed once for all rows, before they are split into training and test
    rows, as ``skemo.precompute`` does. A transformer that learns from rows must not derive from
    this class.

    If most windows that hold data come out missing, `transform` says so in one warning, with
    the signal, the share and the likely reason.

    A subclass has the parameter ``sampling_rate``, and ``output`` if it can give features; it
    supplies ``transform``, ``_check_parameters`` and ``_names_of_numbers``, and may supply
    ``_what_is_needed``.
    """

    _needs_rate: bool = True  # whether a signal without a sampling rate is an error
    _needs_detail: bool = True  # whether values repeated to a faster rate spoil the result

    sampling_rate: float | None
    signal_dtype_: SignalDtype

    def fit(self, X: pd.DataFrame | ArrayLike, y: object = None) -> Self:
        """Check the parameters against `X`, and record the type of its windows.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)
        y : None
            Ignored.

        Returns
        -------
        self
        """
        signal = self._validate(X, reset=True)
        if self._needs_detail:
            warn_of_repeats(signal, signal_name(X), stacklevel=2)
        self._column = signal_name(X)
        return self

    def get_feature_names_out(self, input_features: None = None) -> NDArray:
        """Names of the output columns: of the features, or of the signal column.

        A signal given as a plain array has a name for each number of a window.

        Parameters
        ----------
        input_features : None
            Ignored; the names come from the fitted signal.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self, "signal_dtype_")
        gives_features = getattr(self, "output", None) == "features"
        if gives_features or self._column is None:
            names: list[Any] = self._names_of_numbers(self.signal_dtype_)
        else:
            names = [self._column]
        return np.asarray(names, dtype=object)

    def _validate(self, X: pd.DataFrame | ArrayLike, *, reset: bool) -> Any:
        """Check `X` and the parameters, and return the signal."""
        signal = validate_signals(
            self, X, sampling_rate=self.sampling_rate, reset=reset, needs_rate=self._needs_rate
        )
        self._check_parameters(signal.dtype)
        least = getattr(self, "min_quality", None)
        if least is not None and not (is_positive(least) and least <= 1):
            raise ValueError(f"min_quality must be None or in (0, 1], got {least!r}.")
        return signal

    def _below_quality(self, signal, kind, *, summed=False):
        """Return which windows, or channels of an EEG in them, are worse than `min_quality`.

        Parameters
        ----------
        signal : SignalArray
        kind : {"ecg", "ppg", "eda", "eeg", "acc"}
        summed : bool, default=False
            Whether the channels are parts of the signal, which is their sum.

        Returns
        -------
        ndarray of bool, of shape (n_windows,) or (n_windows, n_channels)
        """

        def judge(values):
            values = values.sum(axis=1, keepdims=True) if summed else values
            quality = signal_quality(values, signal.dtype.sampling_rate, kind)
            return ~(quality[f"{kind.upper()}_Quality"] >= self.min_quality)

        return compute_in_blocks(judge, signal)

    def _warn_of_missing(
        self, X: pd.DataFrame | ArrayLike, signal: SignalArray, result: NDArray
    ) -> None:
        """Warn once if most windows that hold data come out missing.

        `result` has a row for each window; `X` names the signal.
        """
        empty = np.isnan(result).reshape(len(result), -1).all(axis=1)
        if np.count_nonzero(empty) < _FEWEST:
            return
        holds = ~signal.isna()
        lost = np.flatnonzero(empty & holds)
        n_holding = np.count_nonzero(holds)
        if len(lost) < _FEWEST or 2 * len(lost) <= n_holding:
            return
        column = signal_name(X)
        of = "" if column is None else f" of {column!r}"
        some = signal[lost[:: -(-len(lost) // _LOOKED_AT)]].values
        reason = self._why_missing(some, signal.dtype)
        if getattr(self, "min_quality", None) is not None:
            reason += f" Or their quality is below min_quality={self.min_quality:g}."
        warnings.warn(
            f"{type(self).__name__}: {len(lost)} of {n_holding} windows{of} "
            f"({len(lost) / n_holding:.0%}) hold data, but come out missing. {reason}",
            UserWarning,
            stacklevel=3,
        )

    def _why_missing(self, values: NDArray, dtype: SignalDtype) -> str:
        """Return the likely reason why such windows come out missing, as a sentence."""
        rows = values.reshape(-1, values.shape[-1])
        if np.mean(np.isnan(rows).mean(axis=1) > LARGEST_GAP_SHARE) > 0.5:
            return f"More than {LARGEST_GAP_SHARE:.0%} of their samples are NaN. {MERGED}"
        if np.mean((rows == rows[:, :1]).all(axis=1)) > 0.5:
            return "They are flat: was the sensor attached?"
        return self._what_is_needed(dtype)

    def _what_is_needed(self, dtype: SignalDtype) -> str:
        """Return what a window must have in order not to be missing, as a sentence."""
        return "See the notes of the class for what makes a window missing."

    @abstractmethod
    def _check_parameters(self, dtype: SignalDtype) -> None:
        """Raise ValueError for a parameter that is wrong, or wrong for such windows."""

    @abstractmethod
    def _names_of_numbers(self, dtype: SignalDtype) -> list[str]:
        """Names of the features, or of the numbers of a window in a plain array."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


def without_unordered_beats(signal: SignalArray) -> SignalArray:
    """Return beat times, with NaN in windows where they do not increase."""
    wrong = compute_in_blocks(lambda beats: np.asarray(~increasing(beats).all(axis=1)), signal)
    if not wrong.any():
        return signal
    warnings.warn(
        f"The beat times of {np.count_nonzero(wrong)} of {len(signal)} windows do not increase, so "
        "these windows are missing. Sort them, and drop repeated ones.",
        stacklevel=3,
    )
    beats = signal.values.copy()
    beats[wrong] = np.nan
    return SignalArray(
        beats, sampling_rate=signal.dtype.sampling_rate, channels=signal.dtype.channels
    )
