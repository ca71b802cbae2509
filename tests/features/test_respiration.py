"""Respiration as features and as a series, from a belt and from the heart."""

import numpy as np
import pandas as pd
import pytest

from skemo import (
    Recording,
    RespirationTransformer,
    SignalArray,
    find_beats,
    make_modality_transformer,
    segment,
    signal_frame,
)
from skemo.kernels.respiration import FEATURES

EVERY = [name for group in FEATURES.values() for name in group]


def make_frame(per_minute=(12, 18), sampling_rate=25, duration=60):
    seconds = np.arange(duration * sampling_rate) / sampling_rate
    windows = np.stack([np.sin(2 * np.pi * rate / 60 * seconds + 1) for rate in per_minute])
    return signal_frame(resp=SignalArray(windows, sampling_rate=sampling_rate))


def make_ecg(per_minute=15, duration=180, sampling_rate=256, depth=0.03, height=0.1):
    """ECG whose intervals, and whose QRS complexes, follow breathing."""
    beats = [0.4]
    while beats[-1] < duration:
        phase = 2 * np.pi * per_minute / 60 * beats[-1]
        beats.append(beats[-1] + 0.8 + depth * np.sin(phase))
    seconds = np.arange(duration * sampling_rate) / sampling_rate
    nearest = np.array(beats)[np.searchsorted(np.array(beats) + 0.4, seconds)]
    ecg = np.exp(-(((seconds - nearest) / 0.01) ** 2))
    return ecg * (1 + height * np.sin(2 * np.pi * per_minute / 60 * seconds))


def test_each_window_has_its_rate_under_neurokits_name():
    respiration = RespirationTransformer().set_output(transform="pandas")
    table = respiration.fit_transform(make_frame())
    assert table.columns.tolist() == EVERY
    np.testing.assert_allclose(table["RSP_Rate_Mean"], [12, 18], rtol=1e-3)
    np.testing.assert_allclose(table["RAV_Mean"], 2, rtol=0.01)


@pytest.mark.parametrize(
    ("signal", "height", "depth"), [("ecg", 0.1, 0), ("ppg", 0, 0.03), ("beats", 0, 0.03)]
)
def test_the_rate_is_found_in_the_heart(signal, height, depth):
    ecg = make_ecg(height=height, depth=depth)
    if signal == "ppg":  # smooth waves of the same beats
        kernel = np.exp(-((np.arange(-64, 65) / 25) ** 2))
        ecg = np.convolve(ecg, kernel, "same")
    recording = Recording({"ecg": ecg}, {"ecg": 256.0}, subject="1", labels=((0, 180, "rest"),))
    if signal == "beats":
        recording = find_beats(recording)
    windows = segment([recording], 60)[["beats" if signal == "beats" else "ecg"]]
    respiration = RespirationTransformer(signal=signal, features=["RSP_Rate_Mean"])
    np.testing.assert_allclose(respiration.fit_transform(windows), 15, rtol=0.03)


def test_the_heart_gives_no_depth_of_breathing():
    windows = signal_frame(ecg=SignalArray(make_ecg().reshape(3, -1), sampling_rate=256))
    respiration = RespirationTransformer(signal="ecg").fit(windows)
    names = respiration.get_feature_names_out()
    assert [name for name in names if name.startswith("RAV")] == []
    with pytest.raises(ValueError, match="RAV_Mean"):
        RespirationTransformer(signal="ecg", features=["RAV_Mean"]).fit(windows)


def test_windows_of_beats_that_end_at_different_times_do_not_depend_on_each_other():
    rng = np.random.default_rng(0)
    beats = np.cumsum(0.8 + 0.03 * rng.normal(size=(12, 150)), axis=1)
    beats[np.arange(150) > rng.integers(20, 150, (12, 1))] = np.nan
    beats[3] = np.nan
    respiration = RespirationTransformer(signal="beats", min_breaths=1).fit(beats)
    with pytest.warns(UserWarning, match="come out missing"):
        whole = respiration.transform(beats)
    for i in range(len(beats)):
        np.testing.assert_array_equal(respiration.transform(beats[[i]]), whole[[i]])


def test_of_several_channels_the_first_that_shows_breathing_is_taken():
    windows = make_frame((12, 18, 20))["resp"].array.values
    both = np.concatenate([windows, windows[::-1]], axis=1)
    both[1, 0] = 0
    X = signal_frame(resp=SignalArray(both, sampling_rate=25, channels=["chest", "belly"]))
    found = RespirationTransformer(features=["RSP_Rate_Mean"]).fit_transform(X)
    np.testing.assert_allclose(found[:, 0], [12, 18, 20], rtol=1e-3)
    both[1, 1] = 0
    X = signal_frame(resp=SignalArray(both, sampling_rate=25))
    assert np.isnan(RespirationTransformer().fit_transform(X)).all(axis=1).tolist() == [
        False,
        True,
        False,
    ]


def test_windows_with_too_few_breaths_are_missing():
    found = RespirationTransformer(min_breaths=11).fit_transform(make_frame())
    assert np.isnan(found).all(axis=1).tolist() == [False, False]
    found = RespirationTransformer(min_breaths=12).fit_transform(make_frame())
    assert np.isnan(found).all(axis=1).tolist() == [True, False]


def test_the_series_is_a_signal_column_at_its_own_rate():
    X = make_frame(sampling_rate=100)
    series = RespirationTransformer(output="series").fit_transform(X)
    assert series["resp"].dtype.sampling_rate == pytest.approx(100 / 6)
    assert series["resp"].dtype.channels == ("resp",)
    ecg = signal_frame(ecg=SignalArray(make_ecg().reshape(3, -1), sampling_rate=256))
    series = RespirationTransformer(output="series", signal="ecg").fit_transform(ecg)
    assert series["ecg"].dtype.sampling_rate == 4
    assert series["ecg"].dtype.shape == (1, 240)


@pytest.mark.parametrize("rate", [4, 100])
def test_a_plain_array_has_a_name_for_each_number(rate):
    windows = make_frame(sampling_rate=rate)["resp"].array.values[:, 0]
    respiration = RespirationTransformer(output="series", sampling_rate=rate).fit(windows)
    assert len(respiration.get_feature_names_out()) == respiration.transform(windows).shape[1]


def test_processes_do_not_change_the_result():
    X = make_frame(np.linspace(8, 20, 30))
    one, two = (RespirationTransformer(n_jobs=n).fit_transform(X) for n in (None, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"output": "map"}, "output must be"),
        ({"signal": "nose"}, "signal must be"),
        ({"features": "depth"}, "must name some of the groups rate, variability"),
        ({"min_breaths": 0}, "min_breaths must be"),
        ({"min_breaths": True}, "min_breaths must be"),
        ({"output": "series", "signal": "beats"}, "takes windows of one channel"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        RespirationTransformer(**parameters).fit(make_frame())


def test_the_modalities_of_a_chest_belt_stand_side_by_side():
    from skemo import AccelerometerTransformer, EMGTransformer, TemperatureTransformer

    rng = np.random.default_rng(0)
    windows = signal_frame(
        resp=make_frame()["resp"].array,
        temp=SignalArray(33 + np.zeros((2, 240)), sampling_rate=4),
        acc=SignalArray(np.ones((2, 3, 1920)), sampling_rate=32, channels=["x", "y", "z"]),
        emg=SignalArray(rng.normal(size=(2, 30_000)), sampling_rate=500),
    )
    features = make_modality_transformer(
        resp=RespirationTransformer(),
        temp=TemperatureTransformer(),
        acc=AccelerometerTransformer(),
        emg=EMGTransformer(),
    )
    table = features.fit_transform(windows)
    assert isinstance(table, pd.DataFrame)
    assert {"RSP_Rate_Mean", "TEMP_Slope", "ACC_Motion_Share", "EMG_RMS"} <= set(table.columns)
    assert table[["RSP_Rate_Mean", "TEMP_Mean", "ACC_Activity", "EMG_RMS"]].notna().all(axis=None)


def test_heights_and_intervals_of_recorded_beats_show_one_rate_of_breathing(data_home):
    from skemo.datasets import fetch_eegmat

    recordings = fetch_eegmat(data_home / "eegmat", download=False, modalities=("ecg",))
    with pytest.warns(UserWarning, match="heartbeats were found in only"):
        windows = segment(map(find_beats, recordings), 30)
    heights, intervals = (
        RespirationTransformer(signal=signal, features="rate") for signal in ("ecg", "beats")
    )
    heights = heights.fit_transform(windows[["ecg"]])
    with pytest.warns(UserWarning, match="of 'beats' .* come out missing. They have fewer than"):
        intervals = intervals.fit_transform(windows[["beats"]])
    assert np.isfinite(heights).mean() > 0.55
    assert np.isfinite(intervals).mean() > 0.25
    both = np.isfinite(heights) & np.isfinite(intervals)
    assert (np.abs(heights - intervals)[both] < 1).mean() > 0.9
