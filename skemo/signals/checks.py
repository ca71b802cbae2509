"""What every estimator does with its input: find the signal, check it, give the same kind back."""

import re
import warnings
from numbers import Real

import numpy as np
import pandas as pd
from sklearn.utils.validation import (
    check_array,
    validate_data,
)

from skemo._samples import count_repeats, fill_mask
from skemo.signals.array import SignalArray, SignalDtype

_SHOWN_WINDOWS = 5  # in which repeated values are looked for
_CHUNK = 1 << 22  # samples looked at together: a temporary of a few megabytes
_SIGNALS_WANTED = (
    "Of a transformer that gives features, say output='series' (HRVTransformer, EDATransformer) or "
    "output='map' (DifferentialEntropyTransformer)."
)


def signal_columns(X):
    """Names of the signal columns of `X`; none where `X` is not a DataFrame.

    Raises
    ------
    ValueError
        A column is an array of several dimensions. pandas lets ``df["clean"] = array`` pass,
        and the column then has another number of rows than the table.
    """
    if not isinstance(X, pd.DataFrame):
        return []
    for name, column in X.items():
        if len(column.shape) > 1:
            raise ValueError(
                f"Column {name!r} is an array of more than one dimension, and no signal column: "
                f"pandas takes it apart in a wrong way, into {column.shape}. Assign "
                f"df[{name!r}] = SignalArray(values, sampling_rate=...)."
            )
    return [name for name, dtype in X.dtypes.items() if isinstance(dtype, SignalDtype)]


def signal_name(X):
    """Name of the one signal column of `X`; None for an array or a table of numbers."""
    columns = signal_columns(X.to_frame() if isinstance(X, pd.Series) else X)
    return columns[0] if columns else None


def validate_signals(estimator, X, *, sampling_rate, reset, needs_rate=True):
    """Check `X` for a transformer of one signal, and return that signal.

    Parameters
    ----------
    estimator : transformer
        Gets ``n_features_in_``, ``signal_dtype_`` and, from a DataFrame,
        ``feature_names_in_`` on `reset`; otherwise `X` is held against them, where they are.
    X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
            (n_windows, n_channels, n_times)
    sampling_rate : float or None
        The rate in hertz that the user gave: needed for an array, and not to
        contradict a signal column.
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
        Names what is wrong: another number of columns than one, a column that is not a
        signal, no rate, two rates, an infinite value, no rows, a signal unlike the fitted
        one; on `reset`, only missing windows.
    """
    signal = _find_signal(estimator, X, sampling_rate, reset, needs_rate)
    if reset:
        if signal.isna().all():
            raise ValueError(
                f"All {len(signal)} windows given to {type(estimator).__name__} are missing (NaN "
                "throughout): leave this modality out."
            )
        estimator.signal_dtype_ = signal.dtype
    elif hasattr(estimator, "signal_dtype_"):
        check_same_signal(type(estimator).__name__, estimator.signal_dtype_, signal)
    return signal


def validate_modalities(estimator, X, *, reset):
    """Check `X` for a classifier of several signals, and return these.

    Parameters
    ----------
    estimator : classifier
        Gets ``n_features_in_``, ``modalities_`` and, from a DataFrame,
        ``feature_names_in_`` on `reset`; otherwise `X` is held against them.
    X : DataFrame of signal columns, or array of shape (n_windows, n_times) or \
            (n_windows, n_channels, n_times)
        A plain array is one modality, called ``"signal"``; and so is a table of numbers
        whose columns are numbered samples, as ``t0``, ``t1``.
    reset : bool
        True in ``fit``.

    Returns
    -------
    dict of str to SignalArray
    """
    name = type(estimator).__name__
    columns = signal_columns(X)
    if columns:
        others = [column for column in X.columns if column not in columns]
        if others:
            raise ValueError(
                f"{name} takes signal columns only, got {_shortened(others)} beside "
                f"{_shortened(columns)}. {_SIGNALS_WANTED} Leave other columns out, as "
                f"X[{columns}], or make a number such as an age a signal of one number: "
                "SignalArray(age.to_numpy(float)[:, None, None], sampling_rate=1)."
            )
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        signals = {column: X[column].array for column in columns}
    else:
        refuse_objects(name, X)
        _refuse_features(name, X)
        settings = {"dtype": [np.float64, np.float32], "allow_nd": True}
        settings["ensure_all_finite"] = "allow-nan"
        X = fill_mask(X) if isinstance(X, np.ma.MaskedArray) else X
        X = validate_data(estimator, X, reset=reset, **settings)
        signals = {"signal": SignalArray(X)}
    for modality, signal in signals.items():
        if len(signal) == 0:
            raise ValueError(f"Found array with 0 sample(s): {modality!r} has no windows.")
        check_finite(signal.values, modality)
        if not reset:
            check_same_signal(f"{name}, in {modality!r},", estimator.modalities_[modality], signal)
    if reset:
        if all(signal.isna().all() for signal in signals.values()):
            raise ValueError(f"Every window is missing (NaN) in every modality: {list(signals)}.")
        estimator.modalities_ = {modality: signal.dtype for modality, signal in signals.items()}
    return signals


def check_same_signal(name, fitted, signal):
    """Raise if `signal` has another rate, other channels or another shape than the fitted one."""
    for what in ("sampling_rate", "channels", "shape"):
        now, then = getattr(signal.dtype, what), getattr(fitted, what)
        if now != then:
            raise ValueError(
                f"{name} was fitted on a signal of {what}={then}, and got one of {what}={now}."
            )


def _find_signal(estimator, X, sampling_rate, reset, needs_rate):
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
                f"{name} needs the sampling rate of a plain array: pass sampling_rate=<hertz>, or "
                "X as a DataFrame with a signal column, which carries its rate."
            )
        return SignalArray(X, sampling_rate=sampling_rate)
    if X.shape[1] != 1:
        raise ValueError(
            f"{name} takes one signal column, got the columns {list(X.columns)}. Select one, as "
            "X[['ecg']], or give each modality its transformer with make_modality_transformer."
        )
    if checked:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    signal = X[columns[0]].array
    check_finite(signal.values, columns[0])
    if len(signal) == 0:
        raise ValueError(f"Found array with 0 sample(s): the column {columns[0]!r} has no windows.")
    known = signal.dtype.sampling_rate
    if known is None and sampling_rate is None and needs_rate:
        raise ValueError(
            f"The column {columns[0]!r} has no sampling rate: give it one when it is made, "
            f"SignalArray(values, sampling_rate=<hertz>), or pass sampling_rate to {name}."
        )
    if None not in (known, sampling_rate) and known != sampling_rate:
        raise ValueError(
            f"{name} got sampling_rate={sampling_rate} Hz, but the column {columns[0]!r} says "
            f"{known} Hz. Leave sampling_rate=None to use the column's."
        )
    if known is None:
        signal = SignalArray(
            signal.values, sampling_rate=sampling_rate, channels=signal.dtype.channels
        )
    return signal


def warn_of_repeats(signal, name, *, stacklevel):
    """Warn if the values of a signal column were repeated to a faster rate.

    The first windows are looked at; `name` is None for an array.
    """
    rate = signal.dtype.sampling_rate
    windows = signal.values.reshape(-1, signal.values.shape[-1])[:_SHOWN_WINDOWS]
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


def check_finite(values, name):
    """Raise if `values` holds an infinite number; NaN is let through."""
    n_rows = max(1, _CHUNK // max(1, values[:1].size))
    for start in range(0, len(values), n_rows):
        if np.isinf(values[start : start + n_rows]).any():
            raise ValueError(
                f"{name!r} contains infinity. Mark samples that are not there as NaN, or drop "
                "their windows."
            )


def is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool)


def is_positive(value):
    """Whether `value` is a finite number above 0."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < value < np.inf


def _refuse_features(name, X):
    """Raise if the columns of a DataFrame are named features, and not samples of one channel."""
    if not isinstance(X, pd.DataFrame):
        return
    if len({re.sub(r"\d", "", str(column)) for column in X.columns}) > 1:
        raise ValueError(
            f"{name} takes signal columns, got a table of features: {_shortened(list(X.columns))}. "
            f"{_SIGNALS_WANTED} The samples of one channel are passed as an array, or in columns "
            "that differ in their number only, as t0, t1."
        )


def refuse_signals(name, X):
    """Raise if a DataFrame has signal columns where features are wanted."""
    columns = signal_columns(X)
    if columns:
        others = [column for column in X.columns if column not in columns]
        beside = f" beside {_shortened(others)}" if others else ""
        raise ValueError(
            f"{name} takes numbers, got the signal columns {_shortened(columns)}{beside}. Say "
            "output='features' in the transformer that gives them, or give the signals a "
            "transformer, as make_modality_transformer(ecg=HRVTransformer())."
        )


def _shortened(columns):
    """List of names, only the first of many."""
    shown = ", ".join(repr(column) for column in columns[:5])
    return f"[{shown}, …]" if len(columns) > 5 else f"[{shown}]"


def refuse_objects(name, X):
    """Say what object cells holding arrays usually are: a lost signal column."""
    if not isinstance(X, pd.DataFrame):
        cells = X if isinstance(X, np.ndarray) and X.dtype == object and X.size else None
        if cells is not None and isinstance(cells.flat[0], np.ndarray):
            raise ValueError(
                f"{name} got an object array whose cells are arrays. A ColumnTransformer makes "
                'those unless it has .set_output(transform="pandas"); make_modality_transformer '
                "sets it. A meta-estimator that turns tables into arrays, as BaggingClassifier, "
                "makes them too: it cannot be put around signal columns."
            )
        return
    for column, dtype in X.dtypes.items():
        if dtype.kind not in "fiub":
            raise ValueError(
                f"{name} expects a signal column, got {column!r} of dtype {dtype}. Make signal "
                "columns with skemo.segment or SignalArray(values, sampling_rate=...), as in "
                f"df[{column!r}] = SignalArray(...), and pass only those."
            )
