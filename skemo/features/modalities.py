"""A transformer for each modality, side by side."""

from sklearn.compose import ColumnTransformer


def make_modality_transformer(**modalities):
    """Give each modality its transformer, and put what they return side by side.

    The modality's name is the name of its signal column in `X`. Other columns of `X` are
    left out. With transformers that return signals, as ``HRVTransformer(output="series")`` and
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
