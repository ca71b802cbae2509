"""Modalities side by side, and each subject measured against their own rows."""

import warnings

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from skemo._doc_links import DocLinkMixin
from skemo._validation import check_finite, signal_columns
from skemo.signals import SignalArray

_CHUNK = 1 << 20  # samples looked at together: temporaries of a few megabytes


def signal_lengths(values):
    """Return how many samples of each window come before its zero padding.

    Padding is the run of exact zeros at the end of the last axis, in all channels at once.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ..., n_times)

    Returns
    -------
    ndarray of shape (n_windows,)
        0 where a window is zero throughout.
    """
    lengths = np.zeros(len(values), np.intp)
    for rows in _row_chunks(values):
        used = (values[rows] != 0).any(axis=tuple(range(1, values.ndim - 1)))
        lengths[rows] = (used * np.arange(1, used.shape[-1] + 1)).max(axis=-1, initial=0)
    return lengths


def signal_statistics(values, sample_weight=None, *, by_time=False, padded=True):
    """Return mean and standard deviation of each channel, pooled over windows and time.

    NaN is left out, and zero padding where there may be any. They are computed in double
    precision and in a fixed order, so that the same windows always give the same bits.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ..., n_channels, n_times)
        Windows of a signal.
    sample_weight : array-like of shape (n_windows,), default=None
        Weight of each window; None weighs them alike.
    by_time : bool, default=False
        Pool over windows only, and give each position of the last axis its own.
    padded : bool, default=True
        Whether zeros at the end of a window are padding.

    Returns
    -------
    mean, scale : ndarray of shape (1, ..., n_channels, 1), or (1, ..., n_channels, n_times)
        In double precision. A channel that is constant has scale 1; one without a single
        sample has NaN for both.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.preprocessing import signal_statistics
    >>> mean, scale = signal_statistics(np.array([[[1.0, 3.0, 0.0, 0.0]]]))
    >>> mean.item(), scale.item()
    (2.0, 1.0)
    """
    inside = np.ones((len(values), values.shape[-1]), bool)
    if padded:
        inside = np.arange(values.shape[-1]) < signal_lengths(values)[:, np.newaxis]
    if by_time:
        leading = tuple(range(1, values.ndim - 1))
        values = np.where(np.expand_dims(inside, leading), values, np.nan)[..., np.newaxis]
        mean, scale = _mean_and_scale(values, None, sample_weight)
        return mean[..., 0], scale[..., 0]
    return _mean_and_scale(values, inside, sample_weight)


def standardize_signals(values, mean, scale, *, padded=True):
    """Return ``(values - mean) / scale``, with zero padding left at zero.

    Parameters
    ----------
    values : ndarray of shape (n_windows, ..., n_channels, n_times)
        Windows of a signal. Not changed.
    mean, scale : ndarray of shape (1, ..., n_channels, 1)
        From `signal_statistics`.
    padded : bool, default=True
        Whether zeros at the end of a window are padding.

    Returns
    -------
    ndarray of the shape and floating type of `values`
        NaN stays NaN.
    """
    standardized = values - mean.astype(values.dtype)
    standardized /= scale.astype(values.dtype)
    if not padded:
        return standardized
    padding = np.arange(values.shape[-1]) >= signal_lengths(values)[:, np.newaxis]
    if padding.any():
        leading = tuple(range(1, values.ndim - 1))
        np.copyto(standardized, 0, where=np.expand_dims(padding, leading))
    return standardized


def _mean_and_scale(values, inside=None, sample_weight=None):
    """Moments over the first and last axes, of what is not NaN and lies `inside`."""
    axes = (0, values.ndim - 1)
    leading = tuple(range(1, values.ndim - 1))
    if inside is None:
        inside = np.ones((len(values), values.shape[-1]), bool)
    if sample_weight is None:
        sample_weight = np.ones(len(values))
    sample_weight = np.asarray(sample_weight, np.float64)

    def weighted_sums(center):
        count, first, second = 0.0, 0.0, 0.0
        for rows in _row_chunks(values):
            samples = values[rows].astype(np.float64, order="C")
            weight = np.expand_dims(inside[rows] * sample_weight[rows, np.newaxis], leading)
            absent = np.isnan(samples)
            weight = np.where(absent, 0.0, weight)
            samples[absent] = 0.0
            samples -= center
            count = count + weight.sum(axis=axes, keepdims=True)
            weight *= samples
            first = first + weight.sum(axis=axes, keepdims=True)
            weight *= samples
            second = second + weight.sum(axis=axes, keepdims=True)
        return count, first, second

    count, first, _ = weighted_sums(0.0)
    absent = count == 0
    count[absent] = 1.0
    mean = first / count
    # What the first pass rounded off, the second corrects: the mean of a constant is that
    # constant, so that what is left of it is 0.
    _, first, second = weighted_sums(mean)
    mean = mean + first / count
    variance = np.maximum(second / count - (first / count) ** 2, 0.0)
    # Rounding leaves a constant channel with a variance that is not quite 0: the same bound
    # as in scikit-learn's StandardScaler.
    eps = np.finfo(np.float64).eps
    constant = variance <= count * eps * variance + (count * mean * eps) ** 2
    scale = np.where(constant, 1.0, np.sqrt(variance))
    mean[absent] = scale[absent] = np.nan
    return mean, scale


def _row_chunks(values):
    """Slices of rows, each of about `_CHUNK` samples."""
    step = max(1, _CHUNK // max(1, int(np.prod(values.shape[1:]))))
    return [slice(start, start + step) for start in range(0, len(values), step)]


def make_modality_transformer(**modalities):
    """Give each modality its transformer, and put what they return side by side.

    The modality's name is the name of its signal column in `X`. Other columns of `X` are
    left out. With transformers that return signals, as ``HRVTransformer()`` and
    ``DifferentialEntropyTransformer(output="map")``, the result is the input of a network:
    a frame of signal columns. With transformers that return features it is a frame of named
    features, for any classifier of scikit-learn.

    Parameters
    ----------
    **modalities : transformer, or "passthrough"
        A transformer for each signal column, by the column's name.

    Returns
    -------
    sklearn.compose.ColumnTransformer
        With pandas output, which keeps signal columns whole. The parameters of a
        transformer are reached by the modality's name: ``ecg__signal``, and inside
        ``make_pipeline`` ``columntransformer__ecg__signal``.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import SignalArray, make_modality_transformer, signal_frame
    >>> eeg = SignalArray(np.zeros((2, 4, 256)), sampling_rate=128)
    >>> windows = signal_frame(eeg=eeg, subject=["a", "b"])
    >>> make_modality_transformer(eeg="passthrough").fit_transform(windows).dtypes
    eeg    signal[float64, 4x256, 128.0 Hz, null]
    dtype: object
    """
    if not modalities:
        raise ValueError(
            "make_modality_transformer needs at least one modality, as in "
            "make_modality_transformer(ecg=HRVTransformer())."
        )
    steps = [(name, transformer, [name]) for name, transformer in modalities.items()]
    columns = ColumnTransformer(steps, verbose_feature_names_out=False)
    return columns.set_output(transform="pandas")


class PerSubject(DocLinkMixin, TransformerMixin, BaseEstimator):
    """Transform the windows, then standardise each subject by that subject's own rows.

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

    Parameters
    ----------
    transformer : transformer, or "passthrough"
        Transforms the other columns of `X` first.
    by : str or int, default="subject"
        The column of `X` that says whose row it is: the name of a DataFrame's column, or
        a position.

    Attributes
    ----------
    transformer_ : transformer
        The fitted clone of `transformer`.
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
    >>> PerSubject("passthrough").fit_transform(X)["rate"].tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(self, transformer, by="subject"):
        self.transformer = transformer
        self.by = by

    def fit(self, X, y=None):
        """Fit the transformer on the columns beside `by`.

        Parameters
        ----------
        X : DataFrame or array of shape (n_windows, n_columns)
            Windows or features, and the column `by`.
        y : array-like of shape (n_windows,), default=None
            Passed to the transformer.

        Returns
        -------
        self
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X, y=None):
        """Fit the transformer, and standardise its output by subject.

        Parameters
        ----------
        X : DataFrame or array of shape (n_windows, n_columns)
            Windows or features, and the column `by`.
        y : array-like of shape (n_windows,), default=None
            Passed to the transformer.

        Returns
        -------
        DataFrame or ndarray of n_windows rows
        """
        subjects, X = self._take_subjects(X, reset=True)
        if isinstance(self.transformer, str) and self.transformer == "passthrough":
            self.transformer_ = FunctionTransformer(feature_names_out="one-to-one")
        else:
            self.transformer_ = clone(self.transformer)
        X = self.transformer_.fit_transform(X, y)
        X, self.statistics_ = _standardize_by_subject(X, subjects, {})
        return X

    def transform(self, X):
        """Transform the windows, and standardise them by subject.

        Parameters
        ----------
        X : DataFrame or array of shape (n_windows, n_columns)
            Windows or features, and the column `by`: all rows of a new subject together.

        Returns
        -------
        DataFrame or ndarray of n_windows rows
            A DataFrame where the transformer returns one.
        """
        check_is_fitted(self)
        subjects, X = self._take_subjects(X, reset=False)
        X, _ = _standardize_by_subject(self.transformer_.transform(X), subjects, self.statistics_)
        return X

    def get_feature_names_out(self, input_features=None):
        """Return the names of the transformer's output columns.

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
        return self.transformer_.get_feature_names_out(np.delete(np.asarray(names, object), by))

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
                "the columns to transform beside it."
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
                    f"by={self.by!r} is not a column of X, which has {list(X.columns)}. Select it "
                    f"with the signals, as X[['ecg', {self.by!r}]], or set by=<its name>."
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
        if hasattr(self.transformer, "__sklearn_tags__"):
            inner = get_tags(self.transformer)
            tags.target_tags.required = inner.target_tags.required
            tags.transformer_tags.preserves_dtype = inner.transformer_tags.preserves_dtype
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
    if issparse(X):
        raise ValueError(
            "PerSubject cannot centre a sparse matrix: let its transformer return a dense one, "
            "as with sparse_output=False."
        )
    if not isinstance(X, pd.DataFrame):
        return [_as_floats(np.asarray(X), "X")], [False], lambda blocks: blocks[0]
    signals = signal_columns(X)
    numeric = X.columns.difference(signals, sort=False)
    unusable = [name for name in numeric if not pd.api.types.is_numeric_dtype(X[name])]
    if unusable:
        raise ValueError(
            f"PerSubject standardises numeric and signal columns, but got {unusable}. Give a "
            "transformer that encodes or drops them."
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
    mean, scale = _mean_and_scale(values[:, :, np.newaxis])
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
