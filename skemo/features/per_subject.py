"""Each subject measured against that subject's own rows."""

import warnings

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skemo._doc_links import DocLinkMixin
from skemo.kernels.standardize import mean_and_scale, signal_statistics, standardize_signals
from skemo.signals.array import SignalArray
from skemo.signals.checks import check_finite, signal_columns


class PerSubject(DocLinkMixin, TransformerMixin, BaseEstimator):
    """Standardise each subject by that subject's own rows.

    People differ more from each other than one person's states do, so a model that has to
    work on somebody new gains much from features that are measured against that person's
    own mean and spread. Numeric columns get, subject by subject, ``(x - mean) / std`` over the
    subject's rows. Signal columns get it channel by channel (and band by band), with mean and
    standard deviation over the subject's rows and the last axis; zero padding at the end of a
    window, in signals without a sampling rate, counts for nothing and stays zero. NaN is
    ignored and stays NaN, and what is constant within a subject becomes 0.

    A subject seen at fit keeps the mean and spread of their rows in the fit, where they had
    any; a new one gets those of the rows handed over to ``transform``. The latter is
    transductive: no label is used, but all of a new subject's rows are needed together. Say
    with each result that it was used. The values in the column `by` must tell all people
    apart: the same name in two data sets is the same person here.

    It follows the features in a pipeline. What comes before it carries the column `by` through,
    as ``make_modality_transformer(ecg=HRVTransformer(), subject="passthrough")`` does, and
    `PerSubject` leaves it out of what it returns. All other columns are standardised: a step
    that needs the columns ``trial`` or ``start`` comes before `PerSubject` and drops them.

    Parameters
    ----------
    by : str or int, default="subject"
        The column of `X` that says whose row it is: the name of a DataFrame's column, or
        a position.

    Attributes
    ----------
    statistics_ : dict of subject to list of (mean, scale)
        Of each subject with more than one row at fit: for each signal column, then for the
        numeric columns. NaN where the subject had nothing to measure.
    n_features_in_ : int
        Columns of `X`, `by` included.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names; only where `X` has column names that are all strings.

    Warns
    -----
    UserWarning
        A subject has a single row, at fit or new at prediction, which leaves nothing to
        compare it with: its features become 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo import PerSubject
    >>> X = pd.DataFrame({"rate": [60.0, 62.0, 90.0, 92.0], "subject": ["a", "a", "b", "b"]})
    >>> PerSubject().fit_transform(X)["rate"].tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(self, by="subject"):
        self.by = by

    def fit(self, X, y=None):
        """Measure each subject.

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

    def fit_transform(self, X, y=None):
        """Measure each subject, and standardise their rows.

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

    def transform(self, X):
        """Standardise each subject, without the column `by`.

        Parameters
        ----------
        X : DataFrame or array of shape (n_windows, n_columns)
            Windows or features, and the column `by`: all rows of a new subject together.

        Returns
        -------
        DataFrame or ndarray of n_windows rows
            A DataFrame with the index of `X` if `X` is one.
        """
        check_is_fitted(self)
        subjects, X = self._take_subjects(X, reset=False)
        X, _ = _standardize_by_subject(X, subjects, self.statistics_)
        return X

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns beside `by`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of `X`; None takes those seen at fit.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = input_features
        if names is None:
            numbered = [f"x{i}" for i in range(self.n_features_in_)]
            names = getattr(self, "feature_names_in_", numbered)
        if len(names) != self.n_features_in_:
            raise ValueError(
                "input_features should have length equal to the number of features "
                f"({self.n_features_in_}), got {len(names)}."
            )
        by = list(names).index(self.by) if isinstance(self.by, str) else self.by
        return np.delete(np.asarray(names, object), by)

    def _take_subjects(self, X, *, reset):
        """Check `X`, and return whose the rows are and the columns beside that."""
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if len(X) == 0:
                raise ValueError("Found array with 0 sample(s): X has no rows.")
        else:
            X = validate_data(self, X, reset=reset, ensure_all_finite="allow-nan")
        position = self._find_by(X)
        if X.shape[1] < 2:
            raise ValueError(
                f"X has 1 feature(s), and that is the column by={self.by!r}: PerSubject needs "
                "the columns to standardise beside it."
            )
        if isinstance(X, pd.DataFrame):
            subjects, X = X.iloc[:, position], X.drop(columns=X.columns[position])
        else:
            subjects, X = X[:, position], np.delete(X, position, axis=1)
        if pd.isna(subjects).any():
            raise ValueError(
                f"The column by={self.by!r} is NaN in {pd.isna(subjects).sum()} row(s): say whose "
                "they are, or drop them."
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
                    f"by={self.by!r} is not a column of X, which has {list(X.columns)}. Carry it "
                    f"through, as make_modality_transformer(..., {self.by}='passthrough') does, or "
                    "set by=<its name>."
                )
            return X.columns.get_loc(self.by)
        if not isinstance(self.by, int | np.integer) or isinstance(self.by, bool):
            raise ValueError(f"by must be a column's name or position, got {self.by!r}.")
        if not -X.shape[1] <= self.by < X.shape[1]:
            raise ValueError(f"by={self.by} is not a column of X, which has {X.shape[1]}.")
        return int(self.by) % X.shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # allow_nan stays False: the column `by` may not be NaN, whatever the others may be.
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _standardize_by_subject(X, subjects, known):
    """Standardise the columns of `X`, numeric and signal, within each subject.

    A subject is measured by the statistics in `known` where they are there, else by the rows
    in `X`. Return the result, and the statistics used of each subject with several rows.
    """
    blocks, padded, rebuild = _split_blocks(X)
    codes, names = pd.factorize(subjects)
    counts = np.bincount(codes)
    _warn_of_single_rows([name for name in names[counts == 1] if name not in known])
    rows_of = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    statistics = {}
    standardized = [np.empty_like(values) for values in blocks]
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
    """Mean and scale as known, and the rows' own where nothing is known."""
    unknown = np.isnan(known[0])
    return tuple(np.where(unknown, mine, theirs) for theirs, mine in zip(known, own, strict=True))


def _split_blocks(X):
    """Arrays that `X` is made of, signals and one of all numbers; whether each may have zero
    padding; and how to join them again."""
    if not isinstance(X, pd.DataFrame):
        return [_as_floats(np.asarray(X), "X")], [False], lambda blocks: blocks[0]
    signals = signal_columns(X)
    numeric = X.columns.difference(signals, sort=False)
    unusable = [name for name in numeric if not pd.api.types.is_numeric_dtype(X[name])]
    if unusable:
        raise ValueError(
            f"PerSubject standardises numeric and signal columns, but got {unusable}. Encode "
            "or drop them in the step before."
        )
    numbers = _as_floats(X[numeric].to_numpy(na_value=np.nan), "X")

    def rebuild(blocks):
        columns = dict(zip(numeric, blocks[-1].T, strict=True))
        for name, values in zip(signals, blocks, strict=False):
            known = X[name].dtype
            columns[name] = SignalArray(
                values, sampling_rate=known.sampling_rate, channels=known.channels
            )
        return pd.DataFrame(columns, index=X.index)[list(X.columns)]

    blocks = [*(_as_floats(X[name].array.values, name) for name in signals), numbers]
    padded = [*(X[name].dtype.sampling_rate is None for name in signals), False]
    return blocks, padded, rebuild


def _as_floats(values, name):
    values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
    check_finite(values, name)
    return values


def _measure(values, padded):
    """Mean and scale of one subject's rows; a third axis makes it a signal."""
    if values.ndim > 2:
        return signal_statistics(values, padded=padded)
    mean, scale = mean_and_scale(values[:, :, np.newaxis])
    return mean[..., 0], scale[..., 0]


def _warn_of_single_rows(names):
    if names:
        shown = ", ".join(map(str, names[:5])) + (", …" if len(names) > 5 else "")
        warnings.warn(
            f"PerSubject: {len(names)} subject(s) have a single row, so that there is nothing to "
            f"compare it with and its features become 0: {shown}. Hand over a subject's rows "
            "together.",
            UserWarning,
            stacklevel=4,
        )
