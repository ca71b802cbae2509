"""A transformer for each modality, side by side."""

from typing import Any

from sklearn.compose import ColumnTransformer

from skemo.features.quality import QualityTransformer

_QUALITY = "_quality"  # ending of the name of a column that tells the quality of another


def make_modality_transformer(**modalities: Any) -> ColumnTransformer:
    """Apply a transformer to each modality, and put the results side by side.

    The name of a modality is the name of its signal column in `X`; other columns of `X` are
    dropped. With transformers that return signals, such as ``HRVTransformer(output="series")``
    and ``DifferentialEntropyTransformer(output="map")``, the result is a frame of signal columns,
    the input of a network. With transformers that return features, it is a frame of named
    features, for any scikit-learn classifier.

    A :class:`QualityTransformer` may have the name of its modality followed by ``_quality``, so
    that the signal and its quality can stand side by side, as ``ecg=HRVTransformer("series"),
    ecg_quality=QualityTransformer("series")``.

    Parameters
    ----------
    **modalities : transformer, or "passthrough"
        The transformer of each column, by the column's name.

    Returns
    -------
    sklearn.compose.ColumnTransformer
        Its output is a DataFrame, which keeps signal columns whole. The parameters of a
        transformer have the prefix of its modality: ``ecg__signal`` or, inside
        ``make_pipeline``, ``columntransformer__ecg__signal``.

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
    columns = ColumnTransformer(steps, verbose_feature_names_out=False)
    return columns.set_output(transform="pandas")


def _column_of(name, transformer):
    """Return the name of the column that a transformer takes."""
    measures = isinstance(transformer, QualityTransformer)
    return name.removesuffix(_QUALITY) if measures else name
