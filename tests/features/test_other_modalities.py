"""Temperature, acceleration and muscle activity: names, forms of output, what is refused."""

import numpy as np
import pytest

from skemo import (
    AccelerometerTransformer,
    EMGTransformer,
    SignalArray,
    TemperatureTransformer,
    segment,
    signal_frame,
)


def make_windows(kind, n_windows=4):
    rng = np.random.default_rng(0)
    if kind is TemperatureTransformer:
        return SignalArray(32 + 0.1 * rng.normal(size=(n_windows, 240)), sampling_rate=4)
    if kind is AccelerometerTransformer:
        values = np.array([0.0, 0.6, 0.8])[:, np.newaxis] + 0.1 * rng.normal(
            size=(n_windows, 3, 320)
        )
        return SignalArray(values, sampling_rate=32, channels=["x", "y", "z"])
    values = rng.normal(size=(n_windows, 2, 5000))
    return SignalArray(values, sampling_rate=500, channels=["emg_zygo", "emg_coru"])


every_kind = pytest.mark.parametrize(
    "kind", [TemperatureTransformer, AccelerometerTransformer, EMGTransformer]
)


@every_kind
def test_a_missing_window_is_missing_and_its_neighbours_are_not(kind):
    windows = make_windows(kind)
    values = np.array(windows.values)
    values[1] = np.nan
    X = signal_frame(signal=SignalArray(values, sampling_rate=windows.dtype.sampling_rate))
    features = kind().fit_transform(X)
    missing = np.isnan(features).all(axis=1)
    assert missing.tolist() == [False, True, False, False]


@every_kind
def test_chosen_features_are_columns_of_all(kind):
    X = signal_frame(signal=make_windows(kind))
    table = kind().set_output(transform="pandas").fit_transform(X)
    first = kind().get_params()
    assert first["features"] == "all"
    stem = "EMG_RMS" if kind is EMGTransformer else table.columns[-1]
    some = kind(features=[stem]).set_output(transform="pandas").fit_transform(X)
    np.testing.assert_array_equal(some, table[some.columns])


@every_kind
def test_the_series_of_an_array_has_a_name_for_each_number(kind):
    windows = make_windows(kind)
    values = np.ascontiguousarray(windows.values[:, 0]) + (kind is AccelerometerTransformer)
    transformer = kind(output="series", sampling_rate=windows.dtype.sampling_rate).fit(values)
    assert len(transformer.get_feature_names_out()) == transformer.transform(values).shape[1]


def test_a_feature_of_several_muscles_is_named_by_the_muscle():
    X = signal_frame(emg=make_windows(EMGTransformer))
    table = EMGTransformer(features=["EMG_RMS", "EMG_MAV"]).set_output(transform="pandas")
    assert table.fit_transform(X).columns.tolist() == [
        "EMG_RMS_emg_zygo",
        "EMG_RMS_emg_coru",
        "EMG_MAV_emg_zygo",
        "EMG_MAV_emg_coru",
    ]


def test_each_muscle_has_its_own_values():
    windows = make_windows(EMGTransformer).values.copy()
    windows[:, 1] *= 3
    both = EMGTransformer(features="EMG_RMS", sampling_rate=500).fit_transform(windows)
    for i in (0, 1):
        alone = EMGTransformer(features="EMG_RMS", sampling_rate=500).fit_transform(windows[:, i])
        np.testing.assert_array_equal(both[:, [i]], alone)


def test_the_series_have_their_own_rates_and_channels():
    X = signal_frame(
        temp=make_windows(TemperatureTransformer),
        acc=make_windows(AccelerometerTransformer),
        emg=make_windows(EMGTransformer),
    )
    temp = TemperatureTransformer(output="series").fit_transform(X[["temp"]])["temp"].dtype
    acc = AccelerometerTransformer(output="series").fit_transform(X[["acc"]])["acc"].dtype
    emg = EMGTransformer(output="series").fit_transform(X[["emg"]])["emg"].dtype
    assert (temp.sampling_rate, temp.shape) == (4, (1, 240))
    assert (acc.sampling_rate, acc.shape, acc.channels) == (1, (1, 10), ("activity",))
    assert emg.sampling_rate == pytest.approx(500 / 12)
    assert (emg.shape, emg.channels) == ((2, 416), ("emg_zygo", "emg_coru"))


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (TemperatureTransformer("map"), "output must be"),
        (TemperatureTransformer(features="rate"), "must name some of the groups level, slope"),
        (TemperatureTransformer(valid_range=(45, 15)), "valid_range must be"),
        (TemperatureTransformer(valid_range=20), "valid_range must be"),
        (AccelerometerTransformer("map"), "output must be"),
        (AccelerometerTransformer(gravity=0), "gravity must be"),
        (AccelerometerTransformer(gravity="earth"), "gravity must be"),
        (AccelerometerTransformer(min_motion=-1), "min_motion must be"),
        (EMGTransformer("map"), "output must be"),
        (EMGTransformer(highpass=0), "highpass must be"),
        (EMGTransformer(highpass=300), "more than 600 Hz are needed"),
        (EMGTransformer(min_ratio=0.5), "min_ratio must be"),
    ],
)
def test_wrong_parameters_are_named(transformer, message):
    X = signal_frame(signal=make_windows(type(transformer)))
    with pytest.raises(ValueError, match=message):
        transformer.fit(X)


def test_temperature_takes_one_channel():
    X = signal_frame(temp=SignalArray(np.full((3, 2, 240), 30.0), sampling_rate=4))
    with pytest.raises(ValueError, match="windows of one channel"):
        TemperatureTransformer().fit(X)


def test_a_series_of_seconds_needs_a_second():
    X = signal_frame(acc=SignalArray(np.ones((3, 3, 20)), sampling_rate=32))
    with pytest.raises(ValueError, match="at least a second"):
        AccelerometerTransformer(output="series").fit(X)


def test_the_temperature_of_recorded_wrists_is_that_of_skin(data_home):
    from skemo.datasets import fetch_stress_predict

    recordings = fetch_stress_predict(
        data_home / "stress_predict", download=False, modalities=("temp",), subjects=["S05", "S14"]
    )
    windows = segment(recordings, 60)
    table = TemperatureTransformer().set_output(transform="pandas").fit_transform(windows[["temp"]])
    assert table.notna().all(axis=None)
    assert table["TEMP_Mean"].between(20, 40).all()
    assert table["TEMP_Slope"].abs().max() < 0.05
