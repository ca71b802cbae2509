"""QualityTransformer: names, forms, and what is missing."""

import numpy as np
import pytest
from disturbed import disturbed_windows
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import skemo
from skemo import (
    HRVTransformer,
    ModalityAwareAttentionClassifier,
    QualityTransformer,
    make_modality_transformer,
)
from skemo.kernels.quality import QUALITY, signal_quality


@pytest.fixture(scope="module")
def windows():
    return disturbed_windows()


@pytest.mark.parametrize("signal", ["ecg", "ppg", "eda"])
def test_features_are_the_kernels_numbers_by_name(windows, signal):
    quality = QualityTransformer(signal=signal).set_output(transform="pandas")
    features = quality.fit_transform(windows[[signal]])
    column = windows[signal].array
    numbers = signal_quality(column.values, column.dtype.sampling_rate, signal)
    assert tuple(features) == QUALITY[signal]
    for name, values in numbers.items():
        np.testing.assert_array_equal(features[name], values)


def test_an_eeg_has_features_by_channel_and_one_of_the_window(windows):
    quality = QualityTransformer(signal="eeg").set_output(transform="pandas")
    features = quality.fit_transform(windows[["eeg"]])
    assert list(features)[:4] == ["EEG_Flat_F3", "EEG_Flat_Fz", "EEG_Flat_F4", "EEG_Clipped_F3"]
    channels = [f"EEG_Quality_{name}" for name in ("F3", "Fz", "F4")]
    np.testing.assert_allclose(features["EEG_Quality"], features[channels].mean(axis=1))


def test_a_channel_that_is_not_there_counts_as_0_in_the_quality_of_the_window(windows):
    eeg = windows["eeg"].array.values.copy()
    eeg[0, 0], eeg[2] = np.nan, np.nan
    features = QualityTransformer(signal="eeg", features="EEG_Quality", sampling_rate=128)
    first, _, third, *_ = features.fit_transform(eeg)
    np.testing.assert_array_equal(np.isnan(first), [True, False, False, False])
    assert np.isnan(third).all()
    np.testing.assert_allclose(first[3], first[1:3].sum() / 3)


def test_the_series_is_a_signal_column_beside_the_one_it_was_made_from(windows):
    quality = QualityTransformer("series").set_output(transform="pandas")
    series = quality.fit_transform(windows[["ecg"]])
    assert list(series) == ["ecg_quality"] == list(quality.get_feature_names_out())
    assert series["ecg_quality"].dtype.channels == QUALITY["ecg"]
    features = QualityTransformer().fit_transform(windows[["ecg"]])
    np.testing.assert_array_equal(series["ecg_quality"].array.values[:, :, 0], features)


def test_the_series_of_an_eeg_is_a_map_of_its_channels(windows):
    series = QualityTransformer("series", signal="eeg", sub_windows=4)
    dtype = series.fit_transform(windows[["eeg"]])["eeg_quality"].dtype
    assert (dtype.shape, dtype.channels) == ((8, 3, 4), ("F3", "Fz", "F4"))
    assert dtype.sampling_rate == 0.2


@pytest.mark.parametrize("signal", ["ecg", "eda", "eeg"])
def test_sub_windows_are_measured_as_windows_of_their_own(windows, signal):
    column = windows[signal].array
    rate, half = column.dtype.sampling_rate, column.values.shape[-1] // 2
    parts = QualityTransformer("series", signal=signal, sub_windows=2, sampling_rate=rate)
    both = parts.fit_transform(column.values)
    for part, values in enumerate((column.values[..., :half], column.values[..., half:])):
        alone = clone(parts).set_params(sub_windows=1).fit_transform(values)
        np.testing.assert_array_equal(both[..., part], alone[..., 0])


@pytest.mark.parametrize("output", ["features", "series"])
def test_a_window_that_is_missing_has_no_quality(windows, output):
    windows = windows.copy()
    windows.loc[3, "ecg"] = np.nan
    quality = QualityTransformer(output).set_output(transform="pandas")
    missing = quality.fit_transform(windows[["ecg"]]).isna()
    assert list(np.flatnonzero(missing.all(axis=1))) == [3]
    assert missing.to_numpy().any(axis=1).sum() == 1


def test_a_network_takes_the_quality_beside_the_signals(windows):
    quality = QualityTransformer("series", sub_windows=2)
    windows = windows.join(quality.fit_transform(windows[["ecg"]]))
    model = make_pipeline(
        make_modality_transformer(ecg=HRVTransformer("series"), ecg_quality="passthrough"),
        ModalityAwareAttentionClassifier(n_filters=4, max_epochs=1, random_state=0),
    )
    model.fit(windows, windows["label"])
    weights = model[-1].attention_weights(model[:-1].transform(windows))
    assert list(weights) == ["ecg", "ecg_quality"]


def test_the_attention_takes_the_quality_that_a_modality_transformer_measures(windows):
    inputs = make_modality_transformer(
        ecg=HRVTransformer("series"),
        eda=skemo.ResampleTransformer(4),
        ecg_quality=QualityTransformer("series", features=["ECG_Quality"]),
    )
    network = ModalityAwareAttentionClassifier(
        attention="residual", quality="ecg_quality", n_filters=4, max_epochs=1, random_state=0
    )
    model = make_pipeline(inputs, network).fit(windows, windows["label"])
    table = model[:-1].transform(windows)
    assert list(table) == ["ecg", "eda", "ecg_quality"]
    expected = QualityTransformer("series", features=["ECG_Quality"]).fit_transform(
        windows[["ecg"]]
    )
    np.testing.assert_array_equal(
        np.asarray(table["ecg_quality"]), np.asarray(expected["ecg_quality"])
    )
    assert list(model[-1].attention_weights(table)) == ["ecg", "eda"]
    clone(model).set_params(modalitytransformer__ecg_quality__sub_windows=2).fit(
        windows, windows["label"]
    )


def test_the_quality_can_be_computed_before_windows_are_split(windows):
    model = skemo.make_svm(QualityTransformer())
    table, rest = skemo.precompute(model, windows[["ecg"]])
    np.testing.assert_array_equal(table, QualityTransformer().fit_transform(windows[["ecg"]]))
    assert not any(isinstance(step, QualityTransformer) for _, step in rest.steps)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"output": "map"}, "output must be 'features' or 'series', got 'map'."),
        ({"signal": "emg"}, "signal must be one of .*, got 'emg'."),
        ({"features": "EDA_Step"}, "features='EDA_Step' must name some of"),
        ({"sub_windows": 0}, "sub_windows=0 must be a whole number between 1 and the 2560"),
    ],
)
def test_a_wrong_parameter_is_named(windows, parameters, said):
    with pytest.raises(ValueError, match=said):
        QualityTransformer(**parameters).fit(windows[["ecg"]])
