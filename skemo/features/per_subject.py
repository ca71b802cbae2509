"""Standardisation of each subject by the subject's own mean and spread."""

import functools
import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skemo._doc_links import DocLinkMixin
from skemo.features.columns import find_column, fitted_names, split_blocks, validate_table
from skemo.kernels.standardize import (
    combine_moments,
    moments,
    row_chunks,
    standardize_signals,
)
from skemo.signals.array import SignalDtype


class PerSubject(DocLinkMixin, TransformerMixin, BaseEstimator):
    """Standardise the rows of each subject by that subject's own mean and spread.

    People differ more from each other than the states of one person do. A model that has to work
    on a new person therefore gains much from features that are relative to that person's own mean
    and spread. Numeric columns become ``(x - mean) / std``, with the statistics over the
    subject's rows. Signal columns are standardised per channel (and band), with the statistics
    over the subject's rows and the last axis. In signals without a sampling rate, zero padding
    at the end of a window is ignored and stays zero. NaN is ignored and stays NaN. Columns and
    channels that are constant within a subject become 0.

    Subjects seen in ``fit`` keep the statistics of their rows in ``fit``, except for numbers that
    were missing in all of them. New subjects are standardised by the rows passed to ``transform``.
    This is transductive: no labels are used, but all rows of a new subject are needed together.
    Mention it with each result. ``partial_fit`` measures a new subject beforehand, for example at
    rest, so that a single row is enough from then on; `skemo.enroll` does this inside a fitted
    model. The values in the column `by` must be unique to a person: the same name in two data sets
    is taken to be the same person.

    In a pipeline, `PerSubject` follows the features. The steps before it pass the column `by`
    through, as ``make_modality_transformer(ecg=HRVTransformer(), subject="passthrough")`` does;
    `PerSubject` drops it. All other columns are standardised, except for those in `passthrough`,
    which are for a later step such as `ContextTransformer`.

    Parameters
    ----------
    by : str or int, default="subject"
        The column of `X` with the subject of each row: a column name if `X` is a DataFrame, or a
        position.
    passthrough : list of str or int, default=()
        Columns that are returned unchanged. If `by` is among them, it is not dropped.

    Attributes
    ----------
    statistics_ : dict of str to ndarray
        What is known of each subject. ``"subject"`` and ``"windows"``, of shape (n_subjects,), are
        their names and how many windows of each were measured. ``"values"``, ``"mean"`` and
        ``"std"``, of shape (n_subjects, n_numbers), are how many values were not missing, and
        their mean and standard deviation. ``"column"``, of shape (n_numbers,), names the numbers:
        each channel of each signal column, then each numeric column. The arrays can be saved, for
        example with ``numpy.savez``, and restored. A subject with a single window counts as new
        in ``transform``.
    n_features_in_ : int
        Number of columns of `X`, including `by`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of `X`; only if all of them are strings.

    Warns
    -----
    UserWarning
        A subject has a single row, in ``fit`` or as a new subject in ``transform``. There is
        nothing to compare the row with, so its features become 0. Also if the column `by` is NaN
        in some rows, whose features become NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo import PerSubject
    >>> X = pd.DataFrame({"rate": [60.0, 62.0, 90.0, 92.0], "subject": ["a", "a", "b", "b"]})
    >>> step = PerSubject()
    >>> step.fit_transform(X)["rate"].tolist()
    [-1.0, 1.0, -1.0, 1.0]
    >>> step.statistics_["subject"].tolist(), step.statistics_["mean"].tolist()
    (['a', 'b'], [[61.0], [91.0]])
    """

    def __init__(self, by: str | int = "subject", passthrough: Sequence[str | int] = ()) -> None:
        self.by = by
        self.passthrough = passthrough

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

        Raises
        ------
        ValueError
            If `by` is not a column of `X`, or `X` has no other columns of numbers or signals.
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
        X, subjects, by, kept = self._take_subjects(X, reset=True)
        table = _Blocks(X, by, kept)
        measured = {name: table.measure(rows) for name, rows in _rows_by_subject(subjects)}
        self.statistics_ = table.describe(measured)
        return _standardize(table, subjects, measured)

    def partial_fit(self, X: pd.DataFrame | ArrayLike, y: Any = None) -> Self:
        """Measure new subjects, or continue to measure known ones.

        The statistics of a known subject then cover both the earlier and the new rows.

        Parameters
        ----------
        X : DataFrame or array of shape (n_windows, n_columns)
            Windows or features of one or several subjects, and the column `by`.
        y : array-like of shape (n_windows,), default=None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the columns or channels are not those of the earlier rows.
        """
        is_first = not hasattr(self, "statistics_")
        X, subjects, by, kept = self._take_subjects(X, reset=is_first)
        table = _Blocks(X, by, kept)
        known = {} if is_first else self._known(table.n_numbers)
        for name, rows in _rows_by_subject(subjects):
            own = table.measure(rows)
            known[name] = _combine(known[name], own) if name in known else own
        self.statistics_ = table.describe(known)
        return self

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
        X, subjects, by, kept = self._take_subjects(X, reset=False)
        table = _Blocks(X, by, kept)
        return _standardize(table, subjects, self._known(table.n_numbers))

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
        names = fitted_names(self, input_features)
        columns = pd.DataFrame(columns=names)
        by, kept = find_column(columns, self.by, "by"), self._find_passthrough(columns)
        return np.asarray([name for i, name in enumerate(names) if i != by or i in kept], object)

    def _take_subjects(self, X, *, reset):
        """Check `X`; return it, the subject of each row, and the columns `by` and `passthrough`."""
        X = validate_table(self, X, reset=reset)
        by, kept = find_column(X, self.by, "by"), self._find_passthrough(X)
        if X.shape[1] <= len({by, *kept}):
            raise ValueError(
                f"X has {X.shape[1]} feature(s), which is the column by={self.by!r}: PerSubject "
                "also needs columns to standardise."
            )
        subjects = X.iloc[:, by] if isinstance(X, pd.DataFrame) else X[:, by]
        unknown = int(pd.isna(subjects).sum())
        if unknown:
            warnings.warn(
                f"PerSubject: the column by={self.by!r} is NaN in {unknown} row(s), whose features "
                "become NaN. Fill in their subjects, or drop them.",
                UserWarning,
                stacklevel=4,
            )
        return X, np.asarray(subjects), by, kept

    def _find_passthrough(self, X):
        if isinstance(self.passthrough, str) or not isinstance(self.passthrough, Iterable):
            raise ValueError(f"passthrough must be a list of columns, got {self.passthrough!r}.")
        return [find_column(X, column, "passthrough") for column in self.passthrough]

    def _known(self, n_numbers):
        """Return the statistics by subject, as arrays of shape (4, n_numbers)."""
        known = self.statistics_
        shape = known["mean"].shape
        if shape[1] != n_numbers:
            raise ValueError(
                f"PerSubject was fitted on {shape[1]} numbers per window, over all features "
                f"and channels, but got {n_numbers}."
            )
        windows = np.broadcast_to(known["windows"][:, np.newaxis], shape)
        rows = np.stack([windows, known["values"], known["mean"], known["std"]], axis=1)
        return dict(zip(known["subject"].tolist(), rows, strict=True))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class _Blocks:
    """The columns of a table to standardise: an array per signal column, and one of numbers.

    The statistics of a subject are an array of shape (4, n_numbers): the number of windows, and
    for each channel of each signal and then for each numeric column the number of values, their
    mean and their standard deviation.
    """

    def __init__(self, X, by, kept):
        self.arrays, self.padded, rebuild = split_blocks(
            X,
            {by, *kept},
            "PerSubject standardises",
            "Encode or drop them in an earlier step, or name them in passthrough= if a later step "
            "needs them.",
        )
        self.rebuild = functools.partial(rebuild, kept=kept)
        self.shapes = [
            (1, *values.shape[1:-1], 1) if values.ndim > 2 else values.shape[1:]
            for values in self.arrays
        ]
        self.ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        self.n_numbers = int(self.ends[-1])
        self._columns = X, {by, *kept}

    def measure(self, rows):
        """Return the statistics of some rows."""
        found = []
        for values, padded in zip(self.arrays, self.padded, strict=True):
            # Each column of numbers has statistics of its own, as times do.
            own = moments(values, rows=rows, by_time=values.ndim == 2, padded=padded)
            found.append([part.ravel() for part in own])
        measured = np.concatenate(found, axis=1)
        return np.vstack([np.full(self.n_numbers, len(rows)), measured])

    def mean_and_scale(self, statistics):
        """Yield the mean and scale of each array."""
        _, _, mean, std = statistics
        scale = np.where(std == 0, 1.0, std)
        for shape, stop in zip(self.shapes, self.ends, strict=True):
            part = slice(stop - math.prod(shape), stop)
            yield mean[part].reshape(shape), scale[part].reshape(shape)

    def describe(self, statistics):
        """Return the statistics of all subjects, as arrays by name."""
        windows, *others = np.reshape([*statistics.values()], (-1, 4, self.n_numbers)).swapaxes(
            0, 1
        )
        return {
            "subject": _as_array(list(statistics)),
            "windows": windows[:, 0],
            **dict(zip(("values", "mean", "std"), others, strict=True)),
            "column": _as_array(self._names()),
        }

    def _names(self):
        X, keys = self._columns
        if not isinstance(X, pd.DataFrame):
            return [f"x{i}" for i in range(X.shape[1]) if i not in keys]
        signals, numeric = [], []
        for i, (name, dtype) in enumerate(X.dtypes.items()):
            if i in keys:
                continue
            if not isinstance(dtype, SignalDtype):
                numeric.append(name)
                continue
            channels = dtype.channels or range(dtype.shape[-2])
            signals += [
                " ".join(map(str, (name, *place, channel)))
                for place in np.ndindex(dtype.shape[:-2])
                for channel in channels
            ]
        return [*signals, *numeric]


def _as_array(names):
    """Return names as an array: of text or numbers, or of objects if there are both."""
    if len({type(name) for name in names}) == 1 and np.ndim(names) == 1:
        return np.array(names)
    array = np.empty(len(names), object)
    array[:] = names
    return array


def _rows_by_subject(subjects):
    """Return the name and the positions of the rows of each subject, except for NaN."""
    codes, names = pd.factorize(subjects)
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    rows = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :]
    rows_of = np.split(rows, np.cumsum(counts)[:-1]) if len(names) else []
    return list(zip(names.tolist(), rows_of, strict=True))


def _standardize(table, subjects, known):
    """Standardise the rows of each subject.

    The statistics of a subject are taken from `known` if they are of several rows, and otherwise
    from the rows in the table. Statistics that are missing in `known` also come from the table.
    """
    *signals, numbers = table.arrays
    # The numbers are a copy already, so they are replaced once a subject's rows are measured.
    standardized = [*(np.empty(values.shape, values.dtype) for values in signals), numbers]
    for out in standardized:
        out[pd.isna(subjects)] = np.nan
    single = []
    for name, rows in _rows_by_subject(subjects):
        used = known.get(name)
        if used is None or used[0].max(initial=0) < 2:
            used = table.measure(rows)
            single += [name] if len(rows) == 1 else []
        elif np.isnan(used).any():
            used = np.where(np.isnan(used), table.measure(rows), used)
        statistics = table.mean_and_scale(used)
        for out, values, padded, (mean, scale) in zip(
            standardized, table.arrays, table.padded, statistics, strict=True
        ):
            for chunk in row_chunks(values.shape, len(rows)):
                own = values[rows[chunk]]
                out[rows[chunk]] = standardize_signals(own, mean, scale, padded=padded)
    _warn_of_single_rows(single)
    return table.rebuild(standardized)


def _combine(one, other):
    """Return the statistics of two sets of rows together."""
    return np.vstack([one[0] + other[0], *combine_moments(one[1:], other[1:])])


def _warn_of_single_rows(names):
    if names:
        shown = ", ".join(map(str, names[:5])) + (", …" if len(names) > 5 else "")
        warnings.warn(
            f"PerSubject: {len(names)} subject(s) have a single row. There is nothing to compare "
            f"it with, so its features become 0: {shown}. Pass all rows of a subject together, "
            "or measure them beforehand with skemo.enroll.",
            UserWarning,
            stacklevel=4,
        )
