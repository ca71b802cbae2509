"""Transformers of other libraries, which take arrays, applied to a signal column."""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skemo._doc_links import DocLinkMixin
from skemo.signals.checks import signal_name, validate_signals


class ArrayTransformer(DocLinkMixin, TransformerMixin, BaseEstimator):
    """Apply a transformer of arrays to a signal.

    Transformers of other libraries, such as the covariance matrices of pyRiemann, take arrays of
    shape (n_windows, n_channels, n_times), and many of them have no ``set_output``, which
    :func:`make_modality_transformer` needs. This transformer passes them the array of a signal
    column and names their outputs.

    Windows that are missing, or have NaN anywhere, are not passed on. Their rows are NaN.

    Parameters
    ----------
    transformer : transformer
        Takes an array of shape (n_windows, n_channels, n_times) and returns a number or an
        array of numbers for each window. ``fit`` does not change it, but fits a clone.

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone.
    n_outputs_ : int
        Number of columns of the output.
    signal_dtype_ : SignalDtype
        What a window of the fitted signal is: shape, sampling rate, channel names.
    n_features_in_ : int
        Number of columns of a table; channels of an array of three dimensions.
    feature_names_in_ : ndarray of str
        Column names, where `X` has them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skemo import ArrayTransformer, SignalArray, signal_frame
    >>> X = signal_frame(eeg=SignalArray(np.ones((3, 2, 8)), sampling_rate=4))
    >>> power = ArrayTransformer(FunctionTransformer(lambda x: (x**2).mean(axis=2)))
    >>> power.set_output(transform="pandas").fit_transform(X)
       eeg_0  eeg_1
    0    1.0    1.0
    1    1.0    1.0
    2    1.0    1.0
    """

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def fit(self, X: pd.DataFrame | ArrayLike, y: Any = None) -> Self:
        """Fit a clone of the transformer.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)
        y : array-like of shape (n_windows,), default=None
            Passed on.

        Returns
        -------
        self
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(
        self, X: pd.DataFrame | ArrayLike, y: Any = None
    ) -> NDArray[np.floating] | pd.DataFrame:
        """Fit a clone of the transformer and transform the windows.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)
        y : array-like of shape (n_windows,), default=None
            Passed on.

        Returns
        -------
        array of shape (n_windows, n_outputs)
        """
        values, known = self._windows(X, reset=True)
        self._name = signal_name(X) if isinstance(X, pd.DataFrame) else None
        if not known.any():
            raise ValueError("All windows contain NaN: leave this modality out.")
        if isinstance(self.transformer, type) or not hasattr(self.transformer, "fit_transform"):
            raise ValueError(
                "transformer must be a transformer with fit_transform and transform, got "
                f"{self.transformer!r}."
            )
        self.transformer_ = clone(self.transformer)
        labels = None if y is None else np.asarray(y)
        if labels is not None:
            check_consistent_length(values, labels)
            labels = labels[known]
        found = self.transformer_.fit_transform(values[known], labels)
        rows = _as_rows(found, int(known.sum()))
        self.n_outputs_ = rows.shape[1]
        return _with_missing(rows, known)

    def transform(self, X: pd.DataFrame | ArrayLike) -> NDArray[np.floating] | pd.DataFrame:
        """Transform the windows.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)

        Returns
        -------
        array of shape (n_windows, n_outputs)
        """
        check_is_fitted(self)
        values, known = self._windows(X, reset=False)
        if not known.any():
            return np.full((len(known), self.n_outputs_), np.nan)
        rows = _as_rows(self.transformer_.transform(values[known]), int(known.sum()))
        return _with_missing(rows, known)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Return the name of the signal with a number for each output.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of `X`; those seen in ``fit`` if None.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        name = "x" if self._name is None else self._name
        return np.array([f"{name}_{i}" for i in range(self.n_outputs_)], object)

    def _windows(self, X, *, reset):
        """Return the array of the signal, and which windows have no NaN."""
        signal = validate_signals(self, X, sampling_rate=None, reset=reset, needs_rate=False)
        values = signal.values
        return values, ~np.isnan(values).reshape(len(values), -1).any(axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


def _as_rows(found, n_windows):
    """Return the output of a transformer as an array of rows."""
    rows = np.asarray(found)
    if rows.dtype.kind not in "buif" or rows.shape[:1] != (n_windows,):
        raise ValueError(
            "The transformer of ArrayTransformer should return an array of numbers with a row for "
            f"each of {n_windows} windows, but returned {rows.dtype} of shape {rows.shape}."
        )
    return rows.reshape(n_windows, -1)


def _with_missing(rows, known):
    """Return the rows of all windows, NaN for those that are not known."""
    if known.all():
        return rows
    table = np.full((len(known), rows.shape[1]), np.nan, np.result_type(rows, np.float32))
    table[known] = rows
    return table
