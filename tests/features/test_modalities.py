"""A transformer for each modality: a sensor that is not there, a channel without a name."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skemo import (
    DifferentialEntropyTransformer,
    ModalityAwareAttentionClassifier,
    PerSubject,
    QualityTransformer,
    ResampleTransformer,
    SignalArray,
    make_lda,
    make_modality_transformer,
    signal_frame,
)

N = 24


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    loud = np.where(np.arange(N) % 2, 3.0, 1.0)[:, None, None]
    return signal_frame(
        ecg=SignalArray(loud * rng.normal(size=(N, 1, 64)), sampling_rate=64, channels=["II"]),
        eeg=SignalArray(
            loud * rng.normal(size=(N, 2, 64)), sampling_rate=64, channels=["F3", "F4"]
        ),
        subject=np.repeat(["a", "b"], N // 2),
    )


@pytest.fixture(scope="module")
def y():
    return np.where(np.arange(N) % 2, "loud", "quiet")


def features(**more):
    bands = {"all": (4, 30)}
    entropy = DifferentialEntropyTransformer(bands=bands, output="features")
    return make_modality_transformer(ecg=entropy, eeg=clone(entropy), **more)


def network():
    signals = make_modality_transformer(ecg=ResampleTransformer(rate=64), eeg="passthrough")
    model = ModalityAwareAttentionClassifier(n_filters=4, max_epochs=2, random_state=0)
    return make_pipeline(signals, model)


MODELS = {
    "LDA": lambda: make_lda(features()),
    "own statistics": lambda: make_lda(
        make_pipeline(features(subject="passthrough"), PerSubject())
    ),
    "network": network,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_sensor_left_out_nan_or_none_is_a_missing_modality(name, windows, y):
    model = MODELS[name]().fit(windows, y)
    missing = SignalArray(np.full((N, 1, 64), np.nan), sampling_rate=64, channels=["II"])
    expected = model.predict(windows.assign(ecg=missing))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(model.predict(windows[["eeg", "subject"]]), expected)
        np.testing.assert_array_equal(model.predict(windows.assign(ecg=None)), expected)
        np.testing.assert_array_equal(model.predict(windows.assign(ecg=np.nan)), expected)
    if name != "network":
        assert (expected == y).mean() > 0.9


def test_a_window_without_a_sensor_is_classified_in_one_line(windows, y):
    model = make_lda(features()).fit(windows, y)
    eeg = SignalArray(windows["eeg"].array.values[:1], sampling_rate=64, channels=["F3", "F4"])
    assert model.predict(signal_frame(ecg=None, eeg=eeg)).tolist() == ["quiet"]


def test_the_missing_signal_has_the_type_of_the_fit(windows):
    step = make_modality_transformer(ecg="passthrough", eeg="passthrough").fit(windows)
    got = step.transform(windows[["eeg"]])
    assert got.dtypes.equals(windows[["ecg", "eeg"]].dtypes)
    assert got["ecg"].isna().all()


def test_a_renamed_signal_and_a_table_without_signals_are_errors(windows):
    step = make_modality_transformer(ecg="passthrough", eeg="passthrough").fit(windows)
    with pytest.raises(ValueError, match="no column 'ecg', which the model was fitted on; it has"):
        step.transform(windows.rename(columns={"ecg": "ECG"}))
    with pytest.raises(ValueError, match="not all of them"):
        step.transform(windows[["subject"]])


def test_a_row_instead_of_a_table_is_an_error(windows):
    transformer = make_modality_transformer(ecg="passthrough").fit(windows)
    with pytest.raises(ValueError, match=r"X is a Series.*windows\.iloc\[\[0\]\]"):
        transformer.transform(windows.iloc[0])


def test_other_columns_must_be_there(windows):
    step = features(subject="passthrough").fit(windows)
    with pytest.raises(ValueError, match=r"columns are missing: \{'subject'\}"):
        step.transform(windows[["ecg"]])


@pytest.mark.parametrize("name", ["LDA", "network"])
def test_a_single_channel_without_a_name_fits_a_named_one_with_a_warning(name, windows, y):
    model = MODELS[name]().fit(windows, y)
    plain = SignalArray(windows["ecg"].array.values, sampling_rate=64)
    unnamed = windows.assign(ecg=plain)
    with pytest.warns(UserWarning, match="fitted on the channel 'II', and takes the channel"):
        got = model.predict(unnamed)
    np.testing.assert_array_equal(got, model.predict(windows))


def test_several_channels_without_names_do_not_fit_named_ones(windows, y):
    model = make_lda(features()).fit(windows, y)
    plain = SignalArray(windows["eeg"].array.values, sampling_rate=64)
    with pytest.raises(ValueError, match="channels=None"):
        model.predict(windows.assign(eeg=plain))


def test_it_is_a_column_transformer_that_can_be_cloned(windows):
    step = features()
    assert repr(clone(step)) == repr(step)
    pd.testing.assert_frame_equal(clone(step).fit_transform(windows), step.fit_transform(windows))


@pytest.mark.parametrize(("name", "column"), [("q", "q"), ("heart_quality", "heart")])
def test_the_error_about_a_quality_without_its_column_says_how_to_name_it(name, column, windows):
    quality = QualityTransformer("series", signal="ecg")
    transformer = make_modality_transformer(ecg="passthrough", **{name: quality})
    message = (
        rf"X has no column '{column}' for the modality '{name}' "
        r"\(QualityTransformer\); it has \['ecg', .* such as "
        r"ecg_quality=QualityTransformer\(\.\.\.\) for a column 'ecg'\.$"
    )
    with pytest.raises(ValueError, match=message):
        transformer.fit(windows)


def test_a_modality_without_a_column_is_named(windows):
    transformer = make_modality_transformer(heart="passthrough")
    with pytest.raises(ValueError, match=r"no column 'heart' for the modality 'heart' \(passth"):
        transformer.fit(windows)
