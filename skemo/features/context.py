"""The mean of each window's features and those of the windows around it."""

import warnings
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skemo._doc_links import DocLinkMixin
from skemo.features.columns import find_column, fitted_names, split_blocks, validate_table
from skemo.kernels.context import neighbour_weights, weighted_means
from skemo.kernels.standardize import signal_lengths

_KEYS = ("subject", "trial", "start")


class ContextTransformer(DocLinkMixin, TransformerMixin, BaseEstimator):
    """Replace features by their mean over the windows around each window.

    Emotion, stress and workload last longer than a window. The mean over a minute or two is less
    noisy than the features of a single window, for any model. It is taken over the windows of the
    same subject and trial whose centres are at most `reach` seconds away, provided that they are
    among the rows that are passed together. NaN is left out of the mean, so a missing window gets
    the mean of its neighbours. Numeric and signal columns are averaged number by number, the
    latter without zero padding. The samples of different windows must correspond to each other, as
    those of a differential-entropy map do and those of a raw ECG do not.

    The test windows of a person inform each other. This is transductive, although it uses no
    labels, and must be mentioned with each result. With ``causal=True`` only the window itself and
    earlier ones count, so that an answer can be given at once, but the score is still not that of
    a single window. If a trial has only one label, all neighbours of a window share its label:
    part of the gain is then due to knowing where trials begin and end.

    In a pipeline, it follows the features and `PerSubject`, if there is one, which must pass the
    columns of the subject, trial and start through; they are dropped here. In a search,
    ``reach=0`` means no context.

    Parameters
    ----------
    reach : float, default=60.0
        Largest distance in seconds between the centres of two windows at which one counts for the
        other. All windows are assumed to have the same length.
    causal : bool, default=False
        Whether only the window itself and earlier ones count.
    weights : {"mean", "gaussian"}, default="mean"
        Equal weights, or weights that fall with the distance d between centres:
        ``exp(-d² / (2 s²))``, with ``s = reach / 2``, up to `reach`.
    subject : str, int or None, default="subject"
        The column of `X` with the subject of each row: a column name if `X` is a DataFrame, or a
        position. With None, all rows are taken to be from one subject.
    trial : str, int or None, default="trial"
        The column with the name of the trial, which has to be unique only within a subject.
        With None, each subject has a single trial.
    start : str or int, default="start"
        The column with the time of each row within its trial, in seconds.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of `X`, including the three keys.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of `X`; only if all of them are strings.

    Warns
    -----
    UserWarning
        The subject, trial or start of some rows is NaN, so their features become NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo import ContextTransformer
    >>> X = pd.DataFrame({"rate": [60.0, 66.0, 90.0], "subject": ["a", "a", "b"], "trial": "1"})
    >>> X["start"] = [0.0, 10.0, 20.0]
    >>> ContextTransformer(reach=10).fit_transform(X)["rate"].tolist()
    [63.0, 63.0, 90.0]
    """

    def __init__(
        self,
        reach: float = 60.0,
        *,
        causal: bool = False,
        weights: Literal["mean", "gaussian"] = "mean",
        subject: str | int | None = "subject",
        trial: str | int | None = "trial",
        start: str | int = "start",
    ) -> None:
        self.reach = reach
        self.causal = causal
        self.weights = weights
        self.subject = subject
        self.trial = trial
        self.start = start

    def fit(self, X: pd.DataFrame | ArrayLike, y: Any = None) -> Self:
        """Check the parameters and the columns. Nothing is learnt.

        Parameters
        ----------
        X : DataFrame or array of shape (n_windows, n_columns)
            Windows or features, and the columns of the subject, trial and start.
        y : array-like of shape (n_windows,), default=None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is invalid, a column of the keys is not in `X`, or `X` has no other
            columns.
        """
        if not isinstance(self.reach, Real) or not 0 <= self.reach < np.inf:
            raise ValueError(
                f"reach must be a finite number of seconds of at least 0, got {self.reach!r}."
            )
        if self.weights not in ("mean", "gaussian"):
            raise ValueError(f"weights must be 'mean' or 'gaussian', got {self.weights!r}.")
        X = validate_table(self, X, reset=True)
        split_blocks(X, self._find_keys(X).values(), "ContextTransformer averages")
        return self

    def transform(self, X: pd.DataFrame | ArrayLike) -> pd.DataFrame | NDArray[np.floating]:
        """Average each row and its neighbours, and drop the columns of the keys.

        Parameters
        ----------
        X : DataFrame or array of shape (n_windows, n_columns)
            Windows or features, and the columns of the subject, trial and start. Only these rows
            are averaged.

        Returns
        -------
        DataFrame or ndarray of n_windows rows
            Without the columns of the keys. A DataFrame with the index of `X` if `X` is a
            DataFrame.

        Raises
        ------
        ValueError
            If the columns are not those of the fit, or `start` is not a column of numbers.
        """
        check_is_fitted(self)
        X = validate_table(self, X, reset=False)
        keys = self._find_keys(X)
        blocks, padded, rebuild = split_blocks(X, keys.values(), "ContextTransformer averages")
        *signals, numbers = blocks
        means = [np.full(values.shape, np.nan, values.dtype) for values in signals]
        means.append(np.full_like(numbers, np.nan))  # with the same layout in memory
        for rows, times in self._trials(X, keys):
            weights = neighbour_weights(times, self.reach, causal=self.causal, weights=self.weights)
            for out, values, pads in zip(means, blocks, padded, strict=True):
                out[rows] = _average(weights, values[rows], pads)
        return rebuild(means, ())

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Return the names of all columns except for the keys.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of `X`; those seen in ``fit`` if None.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = fitted_names(self, input_features)
        keys = self._find_keys(pd.DataFrame(columns=names)).values()
        return np.asarray([name for i, name in enumerate(names) if i not in keys], object)

    def _find_keys(self, X):
        """Return the positions of the key columns, by parameter."""
        given = {name: getattr(self, name) for name in _KEYS}
        keys = {
            name: find_column(X, column, name)
            for name, column in given.items()
            if column is not None or name == "start"
        }
        if len(set(keys.values())) < len(keys):
            raise ValueError(f"subject, trial and start must be different columns, got {given}.")
        if X.shape[1] <= len(keys):
            raise ValueError(
                f"X has {X.shape[1]} feature(s), which are the columns of {', '.join(keys)}: "
                "ContextTransformer also needs columns to average."
            )
        return keys

    def _trials(self, X, keys):
        """Yield the rows of each trial in order of time, and their times in seconds."""
        table = pd.DataFrame(
            {
                name: X.iloc[:, i].array if isinstance(X, pd.DataFrame) else X[:, i]
                for name, i in keys.items()
            }
        )
        if not pd.api.types.is_numeric_dtype(table["start"]):
            raise ValueError(
                f"start={self.start!r} must be a column of seconds, got {table['start'].dtype}."
            )
        times = table["start"].to_numpy(np.float64, na_value=np.nan)
        unknown = table.isna().any(axis=1).to_numpy() | np.isinf(times)
        if unknown.any():
            warnings.warn(
                f"ContextTransformer: the {', '.join(keys)} of {unknown.sum()} row(s) is NaN, and "
                "their features become NaN. Fill them in, or drop the rows.",
                UserWarning,
                stacklevel=4,
            )
        by = [name for name in ("subject", "trial") if name in table]
        codes = np.zeros(len(times), np.intp)
        if by:
            codes = table.groupby(by, sort=False, dropna=False, observed=True).ngroup().to_numpy()
        known = np.flatnonzero(~unknown)
        order = known[np.lexsort((times[known], codes[known]))]
        cuts = np.flatnonzero(np.diff(codes[order])) + 1
        for rows in np.split(order, cuts) if len(order) else []:
            yield rows, times[rows]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _average(weights, values, padded):
    """Return means over windows; signals have more than two axes, and may be zero-padded."""
    if not padded:
        return weighted_means(weights, values.reshape(len(values), -1)).reshape(values.shape)
    padding = np.arange(values.shape[-1]) >= signal_lengths(values)[:, np.newaxis]
    leading = tuple(range(1, values.ndim - 1))
    inside = np.where(np.expand_dims(padding, leading), np.nan, values)
    means = weighted_means(weights, inside.reshape(len(values), -1)).reshape(values.shape)
    at_end = np.expand_dims(weights @ padding.astype(np.float64) > 0, leading)
    return np.where(np.isnan(means) & at_end, 0.0, means)
