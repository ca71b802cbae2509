"""HRVTransformer: the forms it gives, what it refuses, and its place in scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
from beats import beat_times, disturb, make_ecg, make_pulse
from sklearn.base import clone
from sklearn.compose import make_column_transformer

from skemo import HRVTransformer, SignalArray, SignalDtype, signal_frame
from skemo.features.hrv import FEATURES
from skemo.kernels.heartbeats import r_peaks
from skemo.kernels.hrv import rr_intervals


def make_windows(n_windows=6, sampling_rate=128, duration=10):
    return np.stack(
        [make_ecg(beat_times(seed, duration), sampling_rate, duration) for seed in range(n_windows)]
    )


def make_frame(windows=None, sampling_rate=128, channels=None):
    windows = make_windows(sampling_rate=sampling_rate) if windows is None else windows
    return signal_frame(ecg=SignalArray(windows, sampling_rate=sampling_rate, channels=channels))


def test_the_series_is_a_signal_column_padded_with_zeros():
    X = make_frame()
    series = HRVTransformer(output="series").fit_transform(X)
    assert series.columns.tolist() == ["ecg"]
    assert series["ecg"].dtype == SignalDtype("float64", (1, 33), None, ["rr"])
    for row, window in zip(series["ecg"].array.values[:, 0], X["ecg"].array.values, strict=True):
        rr = rr_intervals(r_peaks(window, 128))[0]
        rr = rr[~np.isnan(rr)]
        np.testing.assert_allclose(row[: len(rr)], rr)
        assert (row[len(rr) :] == 0).all()


def test_the_series_holds_the_intervals_of_the_planted_beats():
    series = HRVTransformer(output="series").fit_transform(make_frame())["ecg"].array.values[:, 0]
    for seed, row in enumerate(series):
        np.testing.assert_allclose(row[row > 0], np.diff(beat_times(seed)) * 1000, atol=3)


def test_the_length_of_the_series_depends_on_the_duration_alone():
    for duration, length in ((10, 33), (60, 200), (1, 3)):
        flat = np.zeros((2, duration * 128))
        assert HRVTransformer(output="series", sampling_rate=128).fit_transform(flat).shape == (
            2,
            length,
        )


def test_a_series_too_short_for_the_beats_is_cut_with_a_warning():
    X = make_frame()
    whole = HRVTransformer(output="series").fit_transform(X)["ecg"].array.values
    with pytest.warns(UserWarning, match=r"6 of 6 windows have more than n_beats=5"):
        cut = HRVTransformer(output="series", n_beats=5).fit_transform(X)["ecg"].array.values
    np.testing.assert_array_equal(cut, whole[..., :5])
    longer = HRVTransformer(output="series", n_beats=50).fit_transform(X)["ecg"].array.values
    np.testing.assert_array_equal(longer[..., :33], whole)
    assert (longer[..., 33:] == 0).all()


def test_the_features_are_named_columns():
    hrv = HRVTransformer().set_output(transform="pandas")
    features = hrv.fit_transform(make_frame())
    assert features.columns.tolist() == list(FEATURES["time"])
    expected = [np.diff(beat_times(seed)).mean() * 1000 for seed in range(6)]
    np.testing.assert_allclose(features["HRV_MeanNN"], expected, atol=1)
    assert np.isfinite(features.to_numpy()).all()


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("nonlinear", list(FEATURES["nonlinear"])),
        ("all", [name for group in FEATURES.values() for name in group]),
        (["HRV_RMSSD", "HRV_MeanNN"], ["HRV_RMSSD", "HRV_MeanNN"]),
        (("HRV_HF", "time"), ["HRV_HF", *FEATURES["time"]]),
        ("HRV_SD1", ["HRV_SD1"]),
    ],
)
def test_features_are_chosen_by_group_and_by_name_in_the_order_asked(asked, names):
    hrv = HRVTransformer(features=asked)
    values = hrv.fit_transform(make_frame())
    assert hrv.get_feature_names_out().tolist() == names
    every = HRVTransformer(features="all").set_output(transform="pandas")
    np.testing.assert_array_equal(values, every.fit_transform(make_frame())[names])


@pytest.mark.parametrize("output", ["series", "features"])
def test_windows_without_beats_are_missing_and_the_others_are_not(output):
    windows = make_windows()
    windows[1] = 0.0
    windows[3] = np.nan
    windows[4, 400:] = windows[4, 400]
    X = make_frame(windows)
    result = HRVTransformer(output=output).fit(X).transform(X)
    values = result["ecg"].array.values[:, 0] if output == "series" else result
    assert np.isnan(values).all(axis=1).tolist() == [False, True, False, True, True, False]
    assert np.isfinite(values[[0, 2, 5]]).all()


def test_where_most_windows_have_no_beats_the_warning_leads_to_their_quality():
    noise = np.random.default_rng(0).normal(size=(30, 1280))
    measure = r"is it an ECG.* QualityTransformer\(signal='ecg'\) measures how far"
    with pytest.warns(UserWarning, match=measure):
        HRVTransformer().fit_transform(make_frame(noise))


def test_windows_with_fewer_beats_than_asked_are_missing():
    truth = np.array([0.5, 1.3, 2.2])
    X = make_frame(make_ecg(truth, 128, 3)[np.newaxis])
    assert HRVTransformer(output="series").fit_transform(X)["ecg"].isna().all()
    assert not HRVTransformer(output="series", min_beats=3).fit_transform(X)["ecg"].isna().any()


def test_a_pause_in_the_beats_is_left_out_of_the_series():
    truth = np.array([0.5, 1.3, 2.1, 2.9, 5.4, 6.2, 7.0, 7.8, 8.6, 9.4])
    X = make_frame(make_ecg(truth, 128, 10)[np.newaxis])
    series = HRVTransformer(output="series").fit_transform(X)["ecg"].array.values[0, 0]
    np.testing.assert_allclose(series[:8], 800, atol=3)
    assert (series[8:] == 0).all()


def test_fit_refuses_a_signal_that_is_missing_throughout_and_takes_one_without_beats():
    X = make_frame(np.full((3, 1280), np.nan))
    with pytest.raises(ValueError, match="All 3 windows given to HRVTransformer are missing"):
        HRVTransformer(output="series").fit(X)
    assert HRVTransformer(output="series").transform(X)["ecg"].isna().all()
    assert (
        HRVTransformer(output="series")
        .fit_transform(make_frame(np.zeros((3, 1280))))["ecg"]
        .isna()
        .all()
    )


def test_a_lead_without_beats_is_replaced_by_the_next():
    windows = make_windows()
    noise = np.random.default_rng(0).normal(size=windows.shape)
    both = np.stack([np.where(np.arange(6)[:, np.newaxis] < 3, windows, noise), windows], axis=1)
    two = make_frame(both, channels=["right", "left"])
    expected = HRVTransformer(output="series").fit_transform(make_frame(windows))
    pd.testing.assert_frame_equal(HRVTransformer(output="series").fit_transform(two), expected)


@pytest.mark.parametrize("output", ["series", "features"])
def test_arrays_give_what_a_signal_column_gives(output):
    windows = make_windows()
    column = HRVTransformer(output=output).fit_transform(make_frame(windows))
    expected = column["ecg"].array.values[:, 0] if output == "series" else column
    hrv = HRVTransformer(output=output, sampling_rate=128)
    two = hrv.fit_transform(windows)
    np.testing.assert_array_equal(two, expected)
    assert len(hrv.get_feature_names_out()) == two.shape[1]
    three = hrv.fit_transform(windows[:, np.newaxis])
    assert three.shape == ((6, 1, 33) if output == "series" else expected.shape)
    np.testing.assert_array_equal(three.reshape(6, -1), expected)


def test_single_precision_gives_a_single_precision_series():
    series = HRVTransformer(output="series").fit_transform(
        make_frame(make_windows().astype("float32"))
    )
    assert series["ecg"].dtype.value_type == np.float32


def test_a_pulse_wave_gives_the_same_series_as_the_ecg():
    truth = beat_times(2)
    ecg = make_frame(make_ecg(truth, 64, 10)[np.newaxis], 64)
    pulse = signal_frame(bvp=SignalArray(make_pulse(truth, 64, 10)[np.newaxis], sampling_rate=64))
    from_ecg = HRVTransformer(output="series").fit_transform(ecg)["ecg"].array.values
    from_pulse = (
        HRVTransformer(output="series", signal="ppg").fit_transform(pulse)["bvp"].array.values
    )
    np.testing.assert_allclose(from_pulse, from_ecg, atol=10)


def pulse_frame(windows):
    return signal_frame(bvp=SignalArray(np.asarray(windows), sampling_rate=64))


def test_movements_of_the_wrist_hardly_change_the_features_of_its_pulse():
    clean = np.stack([make_pulse(beat_times(seed, 60), 64, 60) for seed in range(8)])
    moved = np.stack([disturb(window, 64, [12.0, 31.0, 47.0]) for window in clean])
    names = ["HRV_MeanNN", "HRV_SDNN", "HRV_RMSSD", "HRV_HF"]
    hrv = HRVTransformer(signal="ppg", features=names)
    expected, features = (hrv.fit_transform(pulse_frame(each)) for each in (clean, moved))
    np.testing.assert_allclose(features[:, 0], expected[:, 0], rtol=0.02)
    np.testing.assert_allclose(features[:, 1:3], expected[:, 1:3], rtol=0.25)
    assert 0.7 < np.median(features[:, 3] / expected[:, 3]) < 1.3


def test_the_series_of_a_pulse_goes_on_after_a_movement():
    truth = beat_times(3, 60)
    pulse = disturb(make_pulse(truth, 64, 60), 64, [30.0])
    series = HRVTransformer(output="series", signal="ppg").fit_transform(pulse_frame([pulse]))
    series = series["bvp"].array.values[0, 0]
    series = series[series > 0]
    assert len(truth) - 7 <= len(series) < len(truth)
    np.testing.assert_allclose(series[:30], np.diff(truth)[:30] * 1000, atol=12)
    np.testing.assert_allclose(series[-25:], np.diff(truth)[-25:] * 1000, atol=12)


def test_a_window_is_missing_where_a_pulse_shows_in_less_than_a_fifth_of_it():
    truth, times = beat_times(0, 60), np.arange(3840) / 64
    pulse = make_pulse(truth, 64, 60)
    windows = np.stack([np.where(times < seconds, pulse, 0.0) for seconds in (8, 18, 60)])
    series = HRVTransformer(output="series", signal="ppg").fit_transform(pulse_frame(windows))
    assert series["bvp"].isna().tolist() == [True, False, False]


def test_an_interval_that_deviates_is_left_out_where_that_is_asked():
    beats = beat_times(0, 60)
    frame = signal_frame(beats=SignalArray(np.delete(beats, [20, 40])[np.newaxis]))
    asked, plain = (
        HRVTransformer(output="series", signal="beats", max_deviation=deviation).fit_transform(
            frame
        )
        for deviation in (0.25, None)
    )
    asked, plain = (each["beats"].array.values[0, 0] for each in (asked, plain))
    assert (asked > 0).sum() == (plain > 0).sum() - 2
    assert asked.max() < 1100 < plain.max()
    pd.testing.assert_frame_equal(
        HRVTransformer(output="series", signal="beats").fit_transform(frame),
        HRVTransformer(output="series", signal="beats", max_deviation=None).fit_transform(frame),
    )


def test_a_gap_in_the_intervals_is_bridged_for_the_spectrum():
    rr = 0.8 + 0.04 * np.sin(2 * np.pi * 0.25 * 0.8 * np.arange(75))
    whole = np.append(0.3, 0.3 + np.cumsum(rr))
    names = ["HRV_LF", "HRV_HF", "HRV_TP"]
    features = {}
    for key, deviation, beats in (
        ("whole", 0.25, whole),
        ("pause", None, np.delete(whole, slice(30, 33))),
        ("gap", 0.25, np.delete(whole, [15, 33, 34, 60])),
        ("extra", 0.25, np.sort(np.append(whole, whole[[20, 50]] + 0.35))),
        ("large", 0.25, np.delete(whole, slice(25, 50))),
    ):
        hrv = HRVTransformer(signal="beats", features=names, max_deviation=deviation)
        features[key] = hrv.fit_transform(signal_frame(beats=SignalArray(beats[np.newaxis])))[0]
    np.testing.assert_allclose(features["gap"][1:], features["whole"][1:], rtol=0.2)
    np.testing.assert_allclose(features["extra"][1:], features["whole"][1:], rtol=0.1)
    np.testing.assert_allclose(features["pause"][1:], features["whole"][1:], rtol=0.2)
    assert np.isnan(features["large"]).all()


@pytest.mark.parametrize("output", ["series", "features"])
def test_windows_of_a_pulse_give_the_same_alone_and_among_others(output):
    windows = np.stack([make_pulse(beat_times(seed, 30), 64, 30) for seed in range(12)])
    windows += np.random.default_rng(0).normal(0, 0.1, windows.shape)
    windows[::2] = [disturb(window, 64, [11.0]) for window in windows[::2]]
    hrv = HRVTransformer(output, signal="ppg", features=["time", "nonlinear"], sampling_rate=64)
    together = hrv.fit_transform(windows)
    alone = np.concatenate([hrv.transform(window[np.newaxis]) for window in windows])
    np.testing.assert_array_equal(together, alone)


def test_beat_times_take_the_place_of_the_ecg():
    windows = make_windows()
    beats = signal_frame(beats=SignalArray(r_peaks(windows, 128)))
    hrv = HRVTransformer(output="series", signal="beats")
    series = hrv.fit_transform(beats)["beats"].array.values
    expected = (
        HRVTransformer(output="series").fit_transform(make_frame(windows))["ecg"].array.values
    )
    np.testing.assert_array_equal(series, expected)


def test_a_column_transformer_names_the_columns():
    columns = make_column_transformer((HRVTransformer(), ["ecg"]))
    columns.fit(make_frame().assign(subject="a"))
    assert columns.get_feature_names_out()[0] == "hrvtransformer__HRV_MeanNN"


@pytest.mark.parametrize("method", ["skemo", "neurokit"])
def test_the_result_is_the_same_for_any_number_of_processes(method):
    X = make_frame(make_windows(8, sampling_rate=256), 256)
    one = HRVTransformer(output="series", method=method).fit_transform(X)
    two = HRVTransformer(output="series", method=method, n_jobs=2).fit_transform(X)
    pd.testing.assert_frame_equal(one, two)


def test_it_works_unfitted_cloned_and_pickled():
    X = make_frame()
    hrv = HRVTransformer(output="series").fit(X)
    expected = hrv.transform(X)
    for other in (HRVTransformer(output="series"), clone(hrv), pickle.loads(pickle.dumps(hrv))):
        pd.testing.assert_frame_equal(other.transform(X), expected)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"output": "map"}, "output must be 'features' or 'series', got 'map'"),
        ({"signal": "eda"}, r"signal must be one of \['ecg', 'ppg'"),
        (
            {"method": "best"},
            "method='best' is not a detector for signal='ecg'. Choose one of skemo",
        ),
        ({"signal": "ppg", "method": "neurokit"}, "for signal='ppg'. Choose one of skemo, elgendi"),
        ({"features": "HRV_RMSD"}, "features='HRV_RMSD' must name some of the groups time, freq"),
        ({"features": []}, r"features=\[\] must name"),
        ({"n_beats": 0}, "n_beats must be None or at least 1, got 0"),
        ({"min_beats": 1}, "min_beats must be a whole number of at least 2, got 1"),
        ({"max_deviation": 0}, "max_deviation must be 'auto', None or a number above 0, got 0"),
        ({"max_deviation": "all"}, "max_deviation must be .* got 'all'"),
        ({"sampling_rate": 256}, "sampling_rate=256 Hz, but the column 'ecg' has 128.0 Hz"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(parameters, message):
    with pytest.raises(ValueError, match=message):
        HRVTransformer(**parameters).fit(make_frame())


def test_an_array_needs_a_sampling_rate():
    with pytest.raises(ValueError, match="HRVTransformer needs the sampling rate"):
        HRVTransformer(output="series").fit(make_windows())


def test_infinite_values_are_refused():
    windows = make_windows()
    windows[2, 5] = np.inf
    with pytest.raises(ValueError, match="'ecg' contains infinity"):
        HRVTransformer(output="series").fit(make_frame(windows))


def test_a_signal_of_another_rate_or_length_than_the_fitted_one_is_refused():
    hrv = HRVTransformer(output="series").fit(make_frame())
    with pytest.raises(ValueError, match=r"sampling_rate=128.0, but got one of sampling_rate=256"):
        hrv.transform(make_frame(sampling_rate=256))
    with pytest.raises(ValueError, match=r"shape=\(1, 1280\), but got one of shape=\(1, 640\)"):
        hrv.transform(make_frame(make_windows()[:, :640]))


def test_windows_whose_beat_times_do_not_increase_are_missing():
    beats = np.cumsum(np.random.default_rng(0).normal(0.85, 0.05, (3, 60)), axis=1)
    wrong = beats.copy()
    wrong[1, [10, 11]] = wrong[1, [11, 10]]
    hrv = HRVTransformer(signal="beats", features="all").fit(beats)
    with pytest.warns(UserWarning, match="beat times of 1 of 3 windows do not increase"):
        found = hrv.transform(wrong)
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[[0, 2]], hrv.transform(beats)[[0, 2]])
