"""Standardisation of each subject by the subject's own mean and spread."""

import warnings
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skemo._checks import check_range, float_type, native_columns
from skemo._doc_links import DocLinkMixin
from skemo._samples import fill_mask
from skemo.kernels.standardize import mean_and_scale, signal_statistics, standardize_signals
from skemo.signals.array import SignalArray
from skemo.signals.checks import reading_numbers, signal_columns

_LARGEST_FEATURE = 1e18  # whose square is a number in single precision


class PerSubject(DocLinkMixin, TransformerMixin, BaseEstimator):
    """Standardise the rows of each subject by that subject's own mean and spread.

    People differ more from each other than the states of one person do. A model that has to work
    on a new person therefore gains much from features that are relative to that person's own mean
    and spread. Numeric columns become ``(x - mean) / std``, with the statistics over the
    subject's rows. Signal columns are standardised per channel (and band), with the statistics
    over the subject's rows and the last axis. In signals without a sampling rate, zero padding
    at the end of a window is ignored and stays zero. NaN is ignored and stays NaN. Columns and
    channels that are constant within a subject become 0.

    Subjects seen in ``fit`` keep the statistics of their rows in the fit, where there were any.
    New subjects are standardised by the rows passed to ``transform``. This is transductive: no
    labels are used, but all rows of a new subject are needed together. Mention it with each
    result. The values in the column `by` must be unique to a person: the same name in two data
    sets is taken for the same person.

    In a pipeline, `PerSubject` follows the features. The steps before it pass the column `by`
    through, as ``make_modality_transformer(ecg=HRVTransformer(), subject="passthrough")`` does;
    `PerSubject` drops it. All other columns are standardised: a step that needs the columns
    ``trial`` or ``start`` must come before `PerSubject` and drop them.

    Parameters
    ----------
    by : str or int, default="subject"
        The column of `X` with the subject of each row: a column name if `X` is a DataFrame, or a
        position.

    Attributes
    ----------
    statistics_ : dict of subject to list of (mean, scale)
        Statistics of each subject with more than one row at fit: one pair per signal column,
        then one for the numeric columns. NaN where all of the subject's values were missing.
    n_features_in_ : int
        Number of columns of `X`, including `by`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of `X`; only if all of them are strings.

    Warns
    -----
    UserWarning
        A subject has a single row, at fit or as a new subject in ``transform``. There is nothing
        to compare the row with, so its features become 0. Or the column `by` is NaN in some
        rows, whose features become NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo import PerSubject
    >>> X = pd.DataFrame({"rate": [60.0, 62.0, 90.0, 92.0], "subject": ["a", "a", "b", "b"]})
    >>> PerSubject().fit_transform(X)["rate"].tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(self, by: str | int = "subject") -> None:
        self.by = by

    def fit(self, X: pd.DataFrame | ArrayLike, y: Any = None) -> Self:
        """Compute the statistics of each subject.

        Parameters
        ----------
        X : DataFrame or array of shape (n_windows, n_columns)
            Windows or features, and the column `by`.
        y : array-like of shape (n_windows,), default=None
            Ignored.

        Returns
        -------
        self
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(
        self, X: pd.DataFrame | ArrayLike, y: Any = None
    ) -> pd.DataFrame | NDArray[np.floating]:
        """Compute the statistics of each subject, and standardise their rows.

        Parameters
        ----------
        X : DataFrame or array of shape (n_windows, n_columns)
            Windows or features, and the column `by`.
        y : array-like of shape (n_windows,), default=None
            Ignored.

        Returns
        -------
        DataFrame or ndarray of n_windows rows
        """
        subjects, X = self._take_subjects(X, reset=True)
        X, self.statistics_ = _standardize_by_subject(X, subjects, {})
        return X

    def transform(self, X: pd.DataFrame | ArrayLike) -> pd.DataFrame | NDArray[np.floating]:
        """Standardise the rows of each subject, and drop the column `by`.

        Parameters
        ----------
        X : DataFrame or array of shape (n_windows, n_columns)
            Windows or features, and the column `by`, with all rows of a new subject.

        Returns
        -------
        DataFrame or ndarray of n_windows rows
            A DataFrame with the index of `X` if `X` is a DataFrame.
        """
        check_is_fitted(self)
        subjects, X = self._take_subjects(X, reset=False)
        X, _ = _standardize_by_subject(X, subjects, self.statistics_)
        return X

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Return the names of all columns except for `by`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of `X`; those seen in ``fit`` if None.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        if input_features is None:
            numbered = [f"x{i}" for i in range(self.n_features_in_)]
            input_features = getattr(self, "feature_names_in_", numbered)
        names = list(np.asarray(input_features, object))
        if len(names) != self.n_features_in_:
            raise ValueError(
                "input_features should have length equal to the number of features "
                f"({self.n_features_in_}), got {len(names)}."
            )
        by = names.index(self.by) if isinstance(self.by, str) else self.by
        return np.delete(np.asarray(names, object), by)

    def _take_subjects(self, X, *, reset):
        """Check `X`, and return the subject of each row and the other columns."""
        if isinstance(X, pd.DataFrame):
            X = native_columns(X)
            validate_data(self, X, reset=reset, skip_check_array=True)
            if len(X) == 0:
                raise ValueError("Found array with 0 sample(s): X has no rows.")
        else:
            X = fill_mask(X) if isinstance(X, np.ma.MaskedArray) else X
            with reading_numbers("PerSubject"):
                X = validate_data(self, X, reset=reset, ensure_all_finite="allow-nan")
        position = self._find_by(X)
        if X.shape[1] < 2:
            raise ValueError(
                f"X has 1 feature(s), which is the column by={self.by!r}: PerSubject also needs "
                "columns to standardise."
            )
        if isinstance(X, pd.DataFrame):
            subjects, X = X.iloc[:, position], X.drop(columns=X.columns[position])
        else:
            subjects, X = X[:, position], np.delete(X, position, axis=1)
        unknown = int(pd.isna(subjects).sum())
        if unknown:
            warnings.warn(
                f"PerSubject: the column by={self.by!r} is NaN in {unknown} row(s), whose features "
                "become NaN. Fill in their subjects, or drop them.",
                UserWarning,
                stacklevel=4,
            )
        return np.asarray(subjects), X

    def _find_by(self, X):
        if isinstance(self.by, str):
            if not isinstance(X, pd.DataFrame):
                raise ValueError(
                    f"by={self.by!r} names a column, but X is an array: pass a DataFrame with "
                    "that column, or its position as by=<int>."
                )
            if list(X.columns).count(self.by) != 1:
                raise ValueError(
                    f"by={self.by!r} is not a column of X, which has {list(X.columns)}. Pass it "
                    f"through, as with make_modality_transformer(..., {self.by}='passthrough'), or "
                    "set by=<its name>."
                )
            return X.columns.get_loc(self.by)
        if not isinstance(self.by, int | np.integer) or isinstance(self.by, bool):
            raise ValueError(f"by must be a column's name or position, got {self.by!r}.")
        if not -X.shape[1] <= self.by < X.shape[1]:
            raise ValueError(f"by={self.by} is not a column of X, which has {X.shape[1]} columns.")
        return int(self.by) % X.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _standardize_by_subject(X, subjects, known):
    """Standardise the columns of `X`, numeric and signal, within each subject.

    The statistics of a subject are taken from `known` or, if they are missing there, computed
    from the rows in `X`. Return the result, and the statistics used for each subject with several
    rows.
    """
    blocks, padded, rebuild = _split_blocks(X)
    codes, names = pd.factorize(subjects)  # -1 where the subject is NaN
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    _warn_of_single_rows([name for name in names[counts == 1] if name not in known])
    rows = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :]
    rows_of = np.split(rows, np.cumsum(counts)[:-1]) if len(names) else []
    statistics = {}
    standardized = [np.full_like(values, np.nan) for values in blocks]
    for name, rows in zip(names, rows_of, strict=True):
        parts = [values[rows] for values in blocks]
        used = known.get(name)
        if used is None or any(np.isnan(mean).any() for mean, _ in used):
            own = list(map(_measure, parts, padded))
            used = own if used is None else list(map(_fill, used, own))
        if len(rows) > 1:
            statistics[name] = used
        for out, part, pads, (mean, scale) in zip(standardized, parts, padded, used, strict=True):
            out[rows] = standardize_signals(part, mean, scale, padded=pads)
    return rebuild(standardized), statistics


def _fill(known, own):
    """Return the known mean and scale, with those of the rows where they are NaN."""
    unknown = np.isnan(known[0])
    return tuple(np.where(unknown, mine, theirs) for theirs, mine in zip(known, own, strict=True))


def _split_blocks(X):
    """Split `X` into arrays: one per signal column, and one of all numeric columns.

    Return these, whether each may have zero padding, and a function that joins them again.
    """
    if not isinstance(X, pd.DataFrame):
        numbers = np.asarray(X).astype(float_type(np.asarray(X).dtype), copy=False)
        check_range(numbers, "X", _LARGEST_FEATURE)
        return [numbers], [False], lambda blocks: blocks[0]
    signals = signal_columns(X)
    numeric = X.columns.difference(signals, sort=False)
    unusable = [name for name in numeric if not _is_real(X[name].dtype)]
    if unusable:
        raise ValueError(
            f"PerSubject standardises numeric and signal columns, but got {unusable}. Encode "
            "or drop them in an earlier step."
        )
    single = len(numeric) > 0 and all(dtype == np.float32 for dtype in X[numeric].dtypes)
    numbers = X[numeric].to_numpy(np.float32 if single else np.float64, na_value=np.nan)
    check_range(numbers, "X", _LARGEST_FEATURE)

    def rebuild(blocks):
        columns = dict(zip(numeric, blocks[-1].T, strict=True))
        for name, values in zip(signals, blocks, strict=False):
            known = X[name].dtype
            columns[name] = SignalArray(
                values, sampling_rate=known.sampling_rate, channels=known.channels
            )
        return pd.DataFrame(columns, index=X.index)[list(X.columns)]

    for name in signals:
        check_range(X[name].array.values, name)
    blocks = [*(X[name].array.values for name in signals), numbers]
    padded = [*(X[name].dtype.may_be_padded for name in signals), False]
    return blocks, padded, rebuild


def _is_real(dtype):
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)


def _measure(values, padded):
    """Return the mean and scale of one subject's rows; signals have more than two axes."""
    if values.ndim > 2:
        return signal_statistics(values, padded=padded)
    mean, scale = mean_and_scale(values[:, :, np.newaxis])
    return mean[..., 0], scale[..., 0]


def _warn_of_single_rows(names):
    if names:
        shown = ", ".join(map(str, names[:5])) + (", …" if len(names) > 5 else "")
        warnings.warn(
            f"PerSubject: {len(names)} subject(s) have a single row. There is nothing to compare "
            f"it with, so its features become 0: {shown}. Pass all rows of a subject together.",
            UserWarning,
            stacklevel=4,
        )
