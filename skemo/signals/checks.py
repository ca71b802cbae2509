"""Checks of the input of estimators: find its signals, and refuse what cannot be used."""

import re
import warnings
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from skemo._checks import check_range, check_rate
from skemo._samples import count_repeats, fill_mask
from skemo.signals.array import SignalArray, SignalDtype

_SHOWN_WINDOWS = 5  # in which repeated values are looked for
_HOW_TO_GET_SIGNALS = (
    "In the transformer that computes them, say output='series' (HRVTransformer, EDATransformer) "
    "or output='map' (DifferentialEntropyTransformer)."
)


def signal_columns(X: Any) -> list[Hashable]:
    """Return the names of the signal columns of `X`; an empty list if it is not a DataFrame.

    Raises
    ------
    ValueError
        If a column is a multidimensional array. pandas allows ``df["clean"] = array``, and the
        column then has a different number of rows from the table.
    """
    if not isinstance(X, pd.DataFrame):
        return []
    names = []
    for name, column in X.items():
        if len(column.shape) > 1:
            raise ValueError(
                f"Column {name!r} is a multidimensional array, not a signal column, and pandas "
                f"splits it wrongly, into shape {column.shape}. Assign "
                f"df[{name!r}] = SignalArray(values, sampling_rate=...)."
            )
        if isinstance(column.dtype, SignalDtype):
            names.append(name)
    return names


def signal_name(X: Any) -> Hashable | None:
    """Return the name of the only signal column of `X`, or None if `X` holds plain numbers."""
    columns = signal_columns(X.to_frame() if isinstance(X, pd.Series) else X)
    return columns[0] if columns else None


def validate_signals(
    estimator: Any,
    X: Any,
    *,
    sampling_rate: float | None,
    reset: bool,
    needs_rate: bool = True,
) -> SignalArray:
    """Validate the input of a transformer that takes one signal, and return that signal.

    Parameters
    ----------
    estimator : transformer
        With `reset`, its ``n_features_in_``, ``signal_dtype_`` and, from a DataFrame,
        ``feature_names_in_`` are set; otherwise `X` must match them if they are set.
    X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
            (n_windows, n_channels, n_times)
    sampling_rate : float or None
        The rate in hertz given by the user: required for an array, and must not
        contradict that of a signal column.
    reset : bool
        True in ``fit``.
    needs_rate : bool, default=True
        Whether a signal without a rate is an error.

    Returns
    -------
    SignalArray

    Raises
    ------
    ValueError
        If `X` is not exactly one signal, has no rate or two, contains infinity, has no rows or
        does not match the fitted signal; with `reset`, also if all windows are missing.
    """
    signal = _find_signal(estimator, X, sampling_rate, reset, needs_rate)
    if signal.dtype.sampling_rate is not None:
        check_rate(signal.dtype.sampling_rate)
    if reset:
        if _all_missing(signal):
            raise ValueError(
                f"All {len(signal)} windows given to {type(estimator).__name__} are missing "
                "(entirely NaN): leave this modality out."
            )
        estimator.signal_dtype_ = signal.dtype
    elif hasattr(estimator, "signal_dtype_"):
        signal = check_same_signal(type(estimator).__name__, estimator.signal_dtype_, signal)
    return signal


def validate_modalities(estimator: Any, X: Any, *, reset: bool) -> dict[Hashable, SignalArray]:
    """Validate the input of a classifier that takes several signals, and return them.

    Parameters
    ----------
    estimator : classifier
        With `reset`, its ``n_features_in_``, ``modalities_`` and, from a DataFrame,
        ``feature_names_in_`` are set; otherwise `X` must match them.
    X : DataFrame of signal columns, or array of shape (n_windows, n_times) or \
            (n_windows, n_channels, n_times)
        A plain array is one modality, named ``"signal"``, and so is a table of numbers
        whose columns are numbered samples, such as ``t0``, ``t1``.
    reset : bool
        True in ``fit``.

    Returns
    -------
    dict of str to SignalArray
    """
    from sklearn.utils.validation import validate_data  # late, since `segment` does not need it

    name = type(estimator).__name__
    columns = signal_columns(X)
    if columns:
        others = [column for column in X.columns if column not in columns]
        if others:
            raise ValueError(
                f"{name} takes only signal columns, got {_shortened(others)} beside "
                f"{_shortened(columns)}. {_HOW_TO_GET_SIGNALS} Leave other columns out, as in "
                f"X[{columns}], or convert a number such as an age to a signal with one sample: "
                "SignalArray(age.to_numpy(float)[:, None, None], sampling_rate=1)."
            )
        # For a single window, the check takes a tenth of the time of a prediction.
        if reset or columns != list(getattr(estimator, "feature_names_in_", [])):
            validate_data(estimator, X, reset=reset, skip_check_array=True)
        signals = {column: X[column].array for column in columns}
    else:
        refuse_objects(name, X)
        _refuse_features(name, X)
        settings = {"dtype": [np.float64, np.float32], "allow_nd": True}
        settings["ensure_all_finite"] = "allow-nan"
        X = fill_mask(X) if isinstance(X, np.ma.MaskedArray) else X
        with reading_numbers(name):
            X = validate_data(estimator, X, reset=reset, **settings)
        signals = {"signal": SignalArray(X)}
    if not reset and list(signals) != list(estimator.modalities_):
        raise ValueError(
            f"{name} was fitted on the modalities {list(estimator.modalities_)}, but got "
            f"{list(signals)}."
        )
    for modality, signal in signals.items():
        if len(signal) == 0:
            raise ValueError(f"Found array with 0 sample(s): {modality!r} has no windows.")
        _check_windows(signal, modality)
        if not reset:
            fitted = estimator.modalities_[modality]
            signals[modality] = check_same_signal(f"{name}, in {modality!r},", fitted, signal)
    if reset:
        if all(_all_missing(signal) for signal in signals.values()):
            raise ValueError(f"Every window is missing (NaN) in every modality: {list(signals)}.")
        estimator.modalities_ = {modality: signal.dtype for modality, signal in signals.items()}
    return signals


def check_same_signal(name: str, fitted: SignalDtype, signal: SignalArray) -> SignalArray:
    """Raise if the rate, the channels or the shape of `signal` differ from the fitted ones.

    A single channel without a name gets that of the fitted one, with a warning. Return the signal.
    """
    if fitted.shape[-2:-1] == (1,) and signal.dtype.channels is None and fitted.channels:
        warnings.warn(
            f"{name} was fitted on the channel {fitted.channels[0]!r}, and takes the channel "
            "without a name for it. Name it, as in SignalArray(values, "
            f"channels={list(fitted.channels)}).",
            UserWarning,
            stacklevel=2,
        )
        signal = signal.relabelled(signal.dtype.sampling_rate, fitted.channels)
    for what in ("sampling_rate", "channels", "shape"):
        now, then = getattr(signal.dtype, what), getattr(fitted, what)
        if now != then:
            raise ValueError(
                f"{name} was fitted on a signal of {what}={then}, but got one of {what}={now}."
            )
    return signal


def _find_signal(estimator, X, sampling_rate, reset, needs_rate):
    from sklearn.utils.validation import check_array, validate_data

    name = type(estimator).__name__
    checked = reset or hasattr(estimator, "n_features_in_")
    if isinstance(X, pd.Series):
        X = X.to_frame()
    columns = signal_columns(X)
    if not columns:
        refuse_objects(name, X)
        settings = {"dtype": [np.float64, np.float32], "allow_nd": True}
        settings["ensure_all_finite"] = "allow-nan"
        X = fill_mask(X) if isinstance(X, np.ma.MaskedArray) else X
        with reading_numbers(name):
            if checked:
                X = validate_data(estimator, X, reset=reset, **settings)
            else:
                X = check_array(X, estimator=estimator, input_name="X", **settings)
        if X.ndim > 3:
            raise ValueError(
                f"{name} takes arrays of shape (n_windows, n_times) or "
                f"(n_windows, n_channels, n_times), got {X.shape}."
            )
        if sampling_rate is None and needs_rate:
            raise ValueError(
                f"{name} needs the sampling rate of a plain array. Pass sampling_rate=<hertz>, or "
                "X as a DataFrame with a signal column, which stores its rate."
            )
        check_range(X, "X")
        return SignalArray(X, sampling_rate=sampling_rate)
    if X.shape[1] != 1:
        raise ValueError(
            f"{name} takes one signal column, got the columns {list(X.columns)}. Select one, as in "
            "X[['ecg']], or give each modality its own transformer with make_modality_transformer."
        )
    if checked:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    signal = X[columns[0]].array
    _check_windows(signal, columns[0])
    if len(signal) == 0:
        raise ValueError(f"Found array with 0 sample(s): the column {columns[0]!r} has no windows.")
    known = signal.dtype.sampling_rate
    if known is None and sampling_rate is None and needs_rate:
        raise ValueError(
            f"The column {columns[0]!r} has no sampling rate. Create it with one, "
            f"SignalArray(values, sampling_rate=<hertz>), or pass sampling_rate to {name}."
        )
    if None not in (known, sampling_rate) and known != sampling_rate:
        raise ValueError(
            f"{name} got sampling_rate={sampling_rate} Hz, but the column {columns[0]!r} has "
            f"{known} Hz. Use sampling_rate=None to keep the rate of the column."
        )
    if known is None:
        signal = signal.relabelled(sampling_rate, signal.dtype.channels)
    return signal


def _check_windows(signal, name):
    for rows, values in signal.blocks():
        check_range(values, name, first_row=rows.start)


def _all_missing(signal):
    return all(np.isnan(values).all() for _, values in signal.blocks())


def warn_of_repeats(signal: SignalArray, name: Hashable | None, *, stacklevel: int) -> None:
    """Warn if the values of a signal column were repeated to a faster rate.

    The first windows are looked at; `name` is None for an array.
    """
    rate = signal.dtype.sampling_rate
    windows = signal[:_SHOWN_WINDOWS].values.reshape(-1, signal.dtype.shape[-1])[:_SHOWN_WINDOWS]
    n_repeats = {count_repeats(window) for window in windows}
    if rate is not None and len(n_repeats) == 1 and n_repeats != {1}:
        (n,) = n_repeats
        what = "the signal" if name is None else repr(name)
        warnings.warn(
            f"Each value of {what} is repeated {n} times: it looks like a signal of {rate / n:g} "
            f"Hz that was brought to {rate:g} Hz. Pass it at its own sampling rate.",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def check_text(names: Iterable[Any], what: str) -> None:
    """Raise if pandas cannot hold one of the names, as pandas 3 cannot hold lone surrogates.

    They come from file names that are not UTF-8. Names that are not text are not checked.
    """
    for name in {name for name in names if isinstance(name, str)}:
        try:
            pd.Series([name])
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{what} {name!r} has characters that are not valid text (lone surrogates), which "
                "this version of pandas cannot hold: rename it."
            ) from error


def check_sortable(labels: ArrayLike, name: str) -> None:
    """Raise if labels are of types that have no common order, such as text and numbers."""
    try:
        np.unique(labels)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in np.asarray(labels, object)})
        raise ValueError(
            f"{name} has labels of the types {', '.join(kinds)}: give all of them as text, or all "
            "of them as numbers."
        ) from error


@contextmanager
def reading_numbers(name: str) -> Iterator[None]:
    """Let scikit-learn read an array for the estimator `name`, and say whose array it is.

    Its sum of all values may overflow; the values are checked afterwards.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (TypeError, ValueError) as error:
        texts = ("could not convert", "must be a string or a real number", "an array element")
        if not any(text in str(error) for text in texts):
            raise
        raise type(error)(f"{name} takes an array of real numbers: {error}") from error


def _refuse_features(name, X):
    """Raise if the columns of a DataFrame are features instead of samples of one channel."""
    if not isinstance(X, pd.DataFrame):
        return
    if len({re.sub(r"\d", "", str(column)) for column in X.columns}) > 1:
        raise ValueError(
            f"{name} takes signal columns, got a table of features: {_shortened(list(X.columns))}. "
            f"{_HOW_TO_GET_SIGNALS} Pass the samples of one channel as an array, or as columns "
            "whose names differ only in their number, such as t0, t1."
        )


def refuse_signals(name: str, X: Any) -> None:
    """Raise if a DataFrame has signal columns where features are expected."""
    columns = signal_columns(X)
    if columns:
        others = [column for column in X.columns if column not in columns]
        beside = f" beside {_shortened(others)}" if others else ""
        raise ValueError(
            f"{name} takes numbers, got the signal columns {_shortened(columns)}{beside}. Say "
            "output='features' in the transformer that computes them, or compute features of the "
            "signals first, as with make_modality_transformer(ecg=HRVTransformer())."
        )


def _shortened(columns):
    """Format a list of names, leaving out all but the first five."""
    shown = ", ".join(repr(column) for column in columns[:5])
    return f"[{shown}, …]" if len(columns) > 5 else f"[{shown}]"


def refuse_objects(name: str, X: Any) -> None:
    """Raise if `X` has object cells: usually a signal column that was lost on the way."""
    if not isinstance(X, pd.DataFrame):
        if isinstance(X, np.ndarray) and X.dtype.kind in "bmM":
            raise ValueError(f"{name} expects real numbers, got an array of dtype {X.dtype}.")
        cells = X if isinstance(X, np.ndarray) and X.dtype == object and X.size else None
        if cells is not None and isinstance(cells.flat[0], np.ndarray):
            raise ValueError(
                f"{name} got an object array whose cells are arrays. A ColumnTransformer returns "
                'such an array without .set_output(transform="pandas"), which '
                "make_modality_transformer sets. So does a meta-estimator that converts tables to "
                "arrays, such as BaggingClassifier, which does not work with signal columns."
            )
        return
    if not X.shape[1]:
        raise ValueError(f"{name} expects a signal column, got a table without columns.")
    for column, dtype in X.dtypes.items():
        if dtype.kind not in "fiub":
            raise ValueError(
                f"{name} expects a signal column, got {column!r} of dtype {dtype}. Make signal "
                "columns with skemo.segment or SignalArray(values, sampling_rate=...), as in "
                f"df[{column!r}] = SignalArray(...), and pass no other columns."
            )
