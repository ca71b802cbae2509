"""What the transformers of windows share."""

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skemo._doc_links import DocLinkMixin
from skemo.kernels.quality import signal_quality
from skemo.signals.array import SignalArray
from skemo.signals.checks import is_positive, signal_columns, signal_name, validate_signals


def choose_features(features, groups):
    """Return the names that `features` names, one by one or by groups, each once.

    Parameters
    ----------
    features : str or list of str
        Names of features, and of groups of them; ``"all"`` is every feature.
    groups : dict of str to sequence of str
    """
    every = [name for group in groups.values() for name in group]
    groups = {**groups, "all": every}
    asked = list(features) if isinstance(features, list | tuple) else [features]
    unknown = [name for name in asked if name not in groups and name not in every]
    if unknown or not asked:
        raise ValueError(
            f"features={features!r} must name some of the groups {', '.join(groups)} or "
            f"the features {', '.join(every)}."
        )
    names = [name for entry in asked for name in groups.get(entry, [entry])]
    return list(dict.fromkeys(names))


def wrap_signals(values, X, name, *, sampling_rate=None, channels=None):
    """Return `values` in the kind of container that `X` is.

    A signal column gives a DataFrame with one signal column called `name`; a table or
    array of two dimensions gives two dimensions, an array of three gives `values`.
    """
    if isinstance(X, pd.Series):
        X = X.to_frame()
    if signal_columns(X):
        array = SignalArray(values, sampling_rate=sampling_rate, channels=channels)
        return pd.DataFrame({name: array}, index=X.index, copy=False)
    return values.reshape(len(values), -1) if np.asarray(X).ndim == 2 else values


def compute_in_chunks(compute, values, n_together, n_jobs=None):
    """Return what `compute` makes of the windows, some of them at a time.

    Parameters
    ----------
    compute : callable
        Takes an array of windows, and returns an array with a row for each of them.
    values : ndarray of shape (n_windows, ...)
    n_together : int
        Number of windows handed over at once, which bounds the memory of a call.
    n_jobs : int or None, default=None
        Processes.
    """
    starts = range(0, len(values), max(1, n_together))
    parts = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(compute)(values[start : start + starts.step]) for start in starts
    )
    result = None
    for start, part in zip(starts, parts, strict=True):
        if result is None:
            result = np.empty((len(values), *part.shape[1:]), part.dtype)
        result[start : start + len(part)] = part
    return result


class WindowTransformer(DocLinkMixin, TransformerMixin, BaseEstimator):
    """What the transformers of one signal have in common: `fit`, names and tags.

    The contract: what `transform` returns for a row depends on that row and the parameters
    alone, to the bit. Neither the rows beside it, nor the rows given to `fit`, nor the order
    of the rows have a part in it. `fit` only checks the input, and notes what a window is. So
    the result may be computed once for all rows, before they are split into training and test
    rows, as ``skemo.precompute`` does; a transformer that learns from rows must not
    derive from this class.

    A subclass has the parameters ``output``, where it can give features, and
    ``sampling_rate``; and it supplies ``transform``, ``_check_parameters`` and
    ``_names_of_numbers``.
    """

    _needs_rate = True  # whether a signal without a sampling rate is an error

    def fit(self, X, y=None):
        """Check the parameters against `X`, and note what a window of it is.

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
        self._validate(X, reset=True)
        self._column = signal_name(X)
        return self

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns: of the features, or the name of the signal column.

        A signal that is given as a plain array has a name for each number of a window.

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
            names = self._names_of_numbers(self.signal_dtype_)
        else:
            names = [self._column]
        return np.asarray(names, dtype=object)

    def _validate(self, X, *, reset):
        """Return the signal of `X`, once it and the parameters have been checked."""
        signal = validate_signals(
            self, X, sampling_rate=self.sampling_rate, reset=reset, needs_rate=self._needs_rate
        )
        self._check_parameters(signal.dtype)
        least = getattr(self, "min_quality", None)
        if least is not None and not (is_positive(least) and least <= 1):
            raise ValueError(f"min_quality must be None or in (0, 1], got {least!r}.")
        return signal

    def _below_quality(self, values, sampling_rate, kind):
        """Which windows are worse than `min_quality`; of an EEG, which channels of each.

        Parameters
        ----------
        values : ndarray of shape (n_windows, n_channels, n_times)
        sampling_rate : float
        kind : {"ecg", "ppg", "eda", "eeg", "acc"}

        Returns
        -------
        ndarray of bool, of shape (n_windows,) or (n_windows, n_channels)
        """
        quality = signal_quality(values, sampling_rate, kind)
        return ~(quality[f"{kind.upper()}_Quality"] >= self.min_quality)

    def _check_parameters(self, dtype):
        """Raise ValueError for a parameter that is wrong, or wrong for such windows."""
        raise NotImplementedError

    def _names_of_numbers(self, dtype):
        """Names of the features, or of the numbers of a window in a plain array."""
        raise NotImplementedError

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags
