"""A transformer for each modality, side by side."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.compose import ColumnTransformer

from skemo.features.quality import QualityTransformer
from skemo.signals.array import SignalArray, SignalDtype
from skemo.signals.checks import signal_columns

_QUALITY = "_quality"  # suffix of the name of a transformer of the quality of another column


class ModalityTransformer(ColumnTransformer):
    """A `sklearn.compose.ColumnTransformer` that accepts windows without one of the signals.

    It is made by `make_modality_transformer`. Its parameters and attributes are those of
    `ColumnTransformer`, with one more attribute.

    Attributes
    ----------
    signals_ : dict of str to SignalDtype
        The types of the signal columns seen in ``fit`` that a transformer uses.
    """

    signals_: dict[str, SignalDtype]

    def fit_transform(
        self, X: pd.DataFrame | ArrayLike, y: Any = None, **params: Any
    ) -> pd.DataFrame | NDArray:
        """Fit all transformers, and put their results side by side.

        Parameters
        ----------
        X : DataFrame of n_windows rows
            Windows, with a column for each modality.
        y : array-like of shape (n_windows,), default=None
            Passed on to the transformers.
        **params : dict
            As for `ColumnTransformer`.

        Returns
        -------
        DataFrame of n_windows rows

        Raises
        ------
        ValueError
            If `X` has no column with the name of a modality.
        """
        self._check_columns(X)
        result = super().fit_transform(X, y, **params)
        taken = {name for _, _, columns in self.transformers for name in columns}
        signals = signal_columns(X)
        dtypes = X.dtypes if isinstance(X, pd.DataFrame) else {}
        self.signals_ = {str(name): dtypes[name] for name in signals if name in taken}
        return result

    def transform(self, X: pd.DataFrame | ArrayLike, **params: Any) -> pd.DataFrame | NDArray:
        """Transform each modality, and put the results side by side.

        Parameters
        ----------
        X : DataFrame of n_windows rows
            Windows. A signal whose column is absent, or contains only NaN or None, is missing in
            all of them.
        **params : dict
            As for `ColumnTransformer`.

        Returns
        -------
        DataFrame of n_windows rows

        Raises
        ------
        ValueError
            If all signals are absent, or some are absent and there are unknown signals instead.
        """
        return super().transform(self._complete(X), **params)

    def _check_columns(self, X):
        """Raise if a modality has no column in `X`."""
        if not isinstance(X, pd.DataFrame):
            return
        for name, transformer, columns in self.transformers:
            absent = [column for column in columns if column not in X]
            if not absent:
                continue
            remedy = "A modality has the name of its column."
            if isinstance(transformer, QualityTransformer):
                signal = transformer.signal
                remedy = (
                    f"A quality has the name of its signal column and {_QUALITY}, such as "
                    f"{signal}{_QUALITY}=QualityTransformer(...) for a column {signal!r}."
                )
            text = transformer if isinstance(transformer, str) else type(transformer).__name__
            raise ValueError(
                f"X has no column {absent[0]!r} for the modality {name!r} ({text}); it has "
                f"{list(X)}. {remedy}"
            )

    def _complete(self, X):
        """Return `X` with a missing signal for each one that is absent."""
        signals = getattr(self, "signals_", {})
        if isinstance(X, pd.Series):
            raise ValueError(
                "X is a Series, not a table of windows. For a single window, pass a table with one "
                "row, such as windows.iloc[[0]]."
            )
        present = signal_columns(X)
        if not isinstance(X, pd.DataFrame) or set(signals) <= set(present):
            return X
        absent = [name for name in signals if name not in X]
        strange = [name for name in present if name not in self.feature_names_in_]
        if absent and (strange or len(absent) == len(signals)):
            raise ValueError(
                f"X has no column {absent[0]!r}, which the model was fitted on; it has {list(X)}. "
                "A signal that was not measured may be left out, but signals may not be renamed, "
                "and not all of them may be left out."
            )
        empty = [name for name in signals if name in X and name not in present]
        missing = {
            name: _missing_signal(signals[name], len(X))
            for name in [*absent, *(name for name in empty if X[name].isna().all())]
        }
        return X.assign(**missing) if missing else X


def _missing_signal(dtype, n_windows):
    values = np.full((n_windows, *dtype.shape), np.nan, dtype.value_type)
    return SignalArray(values, sampling_rate=dtype.sampling_rate, channels=dtype.channels)


def make_modality_transformer(**modalities: Any) -> ColumnTransformer:
    """Apply a transformer to each modality, and put the results side by side.

    The name of a modality is the name of its signal column in `X`; other columns of `X` are
    dropped. With transformers that return signals, such as ``HRVTransformer(output="series")``
    and ``DifferentialEntropyTransformer(output="map")``, the result is a frame of signal columns,
    the input of a network. With transformers that return features, it is a frame of named
    features, for any scikit-learn classifier.

    A :class:`QualityTransformer` may have the name of its modality followed by ``_quality``, so
    that there can be both a signal and its quality, as in ``ecg=HRVTransformer("series"),
    ecg_quality=QualityTransformer("series")``.

    After the fit, a sensor may be absent: its column may be left out, or be NaN or None. Its
    modality is then missing (NaN), and predictions use the others.

    Parameters
    ----------
    **modalities : transformer, or "passthrough"
        The transformer for each column, by the column's name.

    Returns
    -------
    ModalityTransformer
        A `sklearn.compose.ColumnTransformer`. Its output is a DataFrame, which keeps signal
        columns whole. The parameters of a transformer have the prefix of its modality:
        ``ecg__signal`` or, inside ``make_pipeline``, ``modalitytransformer__ecg__signal``.

    Raises
    ------
    ValueError
        If no modality is given.

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
            "make_modality_transformer needs at least one modality, for instance "
            "make_modality_transformer(ecg=HRVTransformer())."
        )
    steps = [
        (name, transformer, [_column_of(name, transformer)])
        for name, transformer in modalities.items()
    ]
    columns = ModalityTransformer(steps, verbose_feature_names_out=False)
    return columns.set_output(transform="pandas")


def _column_of(name, transformer):
    """Return the name of the column that a transformer takes."""
    measures = isinstance(transformer, QualityTransformer)
    return name.removesuffix(_QUALITY) if measures else name
