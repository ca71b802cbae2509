"""Skin conductance: agreement with NeuroKit2, properties, forms of output, what is refused."""

import pickle
import tracemalloc
import warnings

import neurokit2 as nk
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skemo import HRVTransformer, Recording, SignalArray, SignalDtype, signal_frame
from skemo.features.eda import EDATransformer
from skemo.features.whole_recordings import decompose_eda
from skemo.kernels.skin_conductance import (
    FEATURES,
    conductance,
    samples_a_block,
    skin_conductance_responses,
    tonic_phasic,
    working_parts,
)

EVERY = [name for group in FEATURES.values() for name in group]


def make_eda(n_windows=6, sampling_rate=4, duration=60, noise=0.0, seed=0):
    """Windows with responses of 0.2 to 1 µS on a level that drifts, in microsiemens."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(round(duration * sampling_rate)) / sampling_rate
    windows = np.empty((n_windows, len(seconds)))
    for window in windows:
        window[:] = rng.uniform(1, 10) + rng.uniform(-0.01, 0.01) * seconds
        for onset in np.arange(rng.uniform(0, 5), duration, rng.uniform(7, 12)):
            since = np.maximum(seconds - onset, 0)
            window += rng.uniform(0.2, 1) * 2.1 * (np.exp(-since / 3) - np.exp(-since / 0.8))
    return windows + noise * rng.normal(size=windows.shape)


def make_frame(windows=None, sampling_rate=4, channels=None):
    windows = make_eda(sampling_rate=sampling_rate) if windows is None else windows
    return signal_frame(eda=SignalArray(windows, sampling_rate=sampling_rate, channels=channels))


def table(windows, sampling_rate=4, **parameters):
    transformer = EDATransformer(sampling_rate=sampling_rate, **parameters)
    return transformer.set_output(transform="pandas").fit_transform(windows)


def neurokit(window, sampling_rate):
    """NeuroKit2's table of parts, and what it knows of the responses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nk.eda_process(window, sampling_rate=sampling_rate)


def wrist(data_home, subject):
    folder = data_home / "stress_predict" / "Raw_data" / subject
    rate, *eda = np.loadtxt(folder / "EDA.csv", skiprows=1)
    return Recording({"eda": np.array(eda, "float32")}, {"eda": rate}, subject=subject)


# Agreement with NeuroKit2


@pytest.mark.parametrize("duration", [10, 60])
@pytest.mark.parametrize("subject", ["S05", "S14", "S23"])
def test_responses_of_the_wrist_are_neurokits(data_home, subject, duration):
    eda = wrist(data_home, subject).signals["eda"][0].astype(float)
    n_times = 4 * duration
    windows = eda[: len(eda) // n_times * n_times].reshape(-1, n_times)
    windows = windows[np.ptp(windows, axis=1) > 0][:60]
    tonic, phasic = tonic_phasic(windows, 4, off_skin=None)
    responses = skin_conductance_responses(phasic, 4, onset="minimum")
    responses = pd.DataFrame(responses).set_index("window")
    for i, window in enumerate(windows):
        parts = nk.eda_phasic(window, sampling_rate=4)
        np.testing.assert_allclose(phasic[i], parts["EDA_Phasic"], atol=1e-9 * window.max())
        np.testing.assert_allclose(tonic[i], parts["EDA_Tonic"], atol=1e-9 * window.max())
        if i not in responses.index:  # NeuroKit2 fails on a window without any maximum
            with pytest.raises(ValueError, match="zero-size"):
                nk.eda_peaks(phasic[i], sampling_rate=4)
            continue
        found = responses.loc[[i]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a single response without an onset
            expected = nk.eda_peaks(phasic[i], sampling_rate=4)[1]
        for name in ("SCR_Height", "SCR_Amplitude", "SCR_RiseTime", "SCR_RecoveryTime"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-12)
        np.testing.assert_array_equal(found["SCR_Peak"] * 4, expected["SCR_Peaks"])
        np.testing.assert_array_equal(found["SCR_Onset"] * 4, expected["SCR_Onsets"])


@pytest.mark.parametrize("sampling_rate", [4, 50])
def test_features_that_neurokit_has_are_neurokits(sampling_rate):
    windows = make_eda(4, sampling_rate, noise=0.002)
    features = table(windows, sampling_rate, onset="minimum")
    names = ["SCR_Peaks_N", "SCR_Peaks_Amplitude_Mean", "EDA_Tonic_SD", "EDA_Autocorrelation"]
    for i, window in enumerate(windows):
        parts, info = neurokit(window, sampling_rate)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = nk.eda_intervalrelated(parts, sampling_rate=sampling_rate).loc[0]
        np.testing.assert_allclose(features.loc[i, names], expected[names].astype(float), rtol=1e-7)
        assert features.loc[i, "SCR_RiseTime_Mean"] == pytest.approx(
            np.nanmean(info["SCR_RiseTime"])
        )
        assert features.loc[i, "SCR_RecoveryTime_Mean"] == pytest.approx(
            np.nanmean(info["SCR_RecoveryTime"])
        )


@pytest.mark.parametrize("sampling_rate", [64, 128, 700])
def test_fast_signals_agree_with_neurokit_within_a_few_percent(sampling_rate):
    for seed in range(4):
        window = 3 * nk.eda_simulate(
            duration=60, sampling_rate=sampling_rate, scr_number=4 + seed, random_state=seed
        )
        expected, info = neurokit(window, sampling_rate)
        scale = expected["EDA_Phasic"].std(ddof=0)
        tonic, phasic = tonic_phasic(window[np.newaxis], sampling_rate)
        np.testing.assert_allclose(phasic[0] / scale, expected["EDA_Phasic"] / scale, atol=0.05)
        np.testing.assert_allclose(tonic[0] / scale, expected["EDA_Tonic"] / scale, atol=0.05)
        n_block = samples_a_block(sampling_rate, len(window))
        _, _, phasic = working_parts(window[np.newaxis], sampling_rate, n_block)
        found = skin_conductance_responses(phasic, sampling_rate / n_block, onset="minimum")
        assert len(found["window"]) == len(info["SCR_Peaks"])
        np.testing.assert_allclose(
            found["SCR_Amplitude"] / scale, info["SCR_Amplitude"] / scale, atol=0.05
        )
        for name in ("SCR_RiseTime", "SCR_RecoveryTime"):
            np.testing.assert_allclose(found[name], info[name], atol=0.05)


# Closed forms and properties


def test_slow_waves_are_tonic_and_quick_ones_phasic():
    seconds = np.arange(2400) / 4
    slow, quick = np.sin(2 * np.pi * 0.005 * seconds), np.sin(2 * np.pi * 0.5 * seconds)
    tonic, phasic = tonic_phasic((8 + slow + quick)[np.newaxis], 4)
    inside = slice(200, -200)
    np.testing.assert_allclose(tonic[0, inside], (8 + slow)[inside], atol=1e-3)
    np.testing.assert_allclose(phasic[0, inside], quick[inside], atol=1e-3)


def test_a_wave_at_the_cutoff_is_halved():
    wave = np.sin(2 * np.pi * 0.05 * np.arange(4800) / 4)
    for part in tonic_phasic(wave[np.newaxis], 4):
        np.testing.assert_allclose(part[0, 1000:-1000], wave[1000:-1000] / 2, atol=1e-4)


@pytest.mark.parametrize("sampling_rate", [4, 700])
def test_the_parts_add_up_to_the_signal_away_from_the_edges(sampling_rate):
    windows = make_eda(2, sampling_rate, duration=120)
    total = np.add(*tonic_phasic(windows, sampling_rate))
    inside = slice(30 * sampling_rate, -40 * sampling_rate)
    np.testing.assert_allclose(total[:, inside], windows[:, inside], atol=0.05)


def test_level_features_of_a_ramp_are_known():
    seconds = np.arange(240) / 4
    ramp = 2 + 0.1 * seconds
    features = table(ramp[np.newaxis]).loc[0]
    assert features["EDA_Mean"] == pytest.approx(ramp.mean())
    assert features["EDA_SD"] == pytest.approx(ramp.std())
    assert (features["EDA_Min"], features["EDA_Max"]) == pytest.approx((2, ramp[-1]))
    assert features["EDA_Slope"] == pytest.approx(0.1)


def test_responses_of_a_drawn_curve_are_measured():
    knots = [0, 4, 8, 20, 24, 28, 39], [1, 0, 2, -1, 0, -1, -1.2]
    phasic = np.interp(np.arange(40), *knots)
    found = skin_conductance_responses(phasic[np.newaxis], 4)
    assert {name: values.tolist() for name, values in found.items()} == {
        "window": [0, 0],
        "SCR_Onset": [1.0, 5.0],
        "SCR_Peak": [2.0, 6.0],
        "SCR_Height": [2.0, 0.0],
        "SCR_Amplitude": [2.0, 1.0],
        "SCR_RiseTime": [1.0, 1.0],
        "SCR_RecoveryTime": [1.0, 0.5],
    }


def test_small_maxima_are_no_responses_beside_large_ones():
    phasic = np.interp(np.arange(40), [0, 4, 8, 20, 24, 30, 39], [1, 0, 2, 0, 0.3, 0, 0])
    n = [
        len(skin_conductance_responses(phasic[np.newaxis], 4, 0, least)["window"])
        for least in (0, 0.1, 0.2)
    ]
    assert n == [2, 2, 1]


@pytest.mark.parametrize("sampling_rate", [4, 128])
def test_doubling_the_conductance_doubles_levels_and_keeps_counts_and_times(sampling_rate):
    windows = make_eda(sampling_rate=sampling_rate)
    same = ["EDA_Autocorrelation", "SCR_Peaks_N", "SCR_RiseTime_Mean", "SCR_RecoveryTime_Mean"]
    expected = 2 * table(windows, sampling_rate)
    expected[same] /= 2
    pd.testing.assert_frame_equal(table(2 * windows, sampling_rate), expected, check_exact=True)


@pytest.mark.parametrize("sampling_rate", [4, 128])
def test_an_offset_moves_the_tonic_part_alone(sampling_rate):
    windows = make_eda(sampling_rate=sampling_rate)
    tonic, phasic = tonic_phasic(windows, sampling_rate)
    moved_tonic, moved_phasic = tonic_phasic(windows + 7, sampling_rate)
    np.testing.assert_allclose(moved_tonic, tonic + 7, atol=1e-9)
    np.testing.assert_allclose(moved_phasic, phasic, atol=1e-9)
    moved = ["EDA_Mean", "EDA_Min", "EDA_Max", "EDA_Tonic_Mean"]
    expected = table(windows, sampling_rate)
    expected[moved] += 7
    pd.testing.assert_frame_equal(table(windows + 7, sampling_rate), expected, rtol=1e-7)


@pytest.mark.parametrize("output", ["features", "series"])
@pytest.mark.parametrize("sampling_rate", [4, 128, 700])
def test_a_window_does_not_depend_on_its_neighbours_by_a_bit(sampling_rate, output):
    windows = make_eda(70 if sampling_rate == 4 else 5, sampling_rate, 30, noise=0.01)
    windows[2] = np.nan
    transformer = EDATransformer(output, sampling_rate=sampling_rate)
    together = transformer.transform(windows)
    alone = np.concatenate([transformer.transform(window[np.newaxis]) for window in windows])
    np.testing.assert_array_equal(together, alone)


def test_the_result_does_not_depend_on_chunks_or_processes(monkeypatch):
    X = make_frame(make_eda(150))
    expected = EDATransformer().fit_transform(X)
    parts = tonic_phasic(X["eda"].array.values[:, 0], 4)
    monkeypatch.setattr("skemo.features.eda._CHUNK", 2000)
    monkeypatch.setattr("skemo.kernels.skin_conductance._CHUNK", 1000)
    np.testing.assert_array_equal(EDATransformer().fit_transform(X), expected)
    np.testing.assert_array_equal(EDATransformer(n_jobs=2).fit_transform(X), expected)
    np.testing.assert_array_equal(tonic_phasic(X["eda"].array.values[:, 0], 4), parts)


# Windows of every kind


@pytest.mark.parametrize("sampling_rate", [4, 700])
def test_a_flat_window_has_its_level_and_no_responses(sampling_rate):
    features = table(np.full((2, 60 * sampling_rate), 3.3), sampling_rate).loc[0]
    level = ["EDA_Mean", "EDA_Min", "EDA_Max", "EDA_Tonic_Mean"]
    zero = [
        *("EDA_SD", "EDA_Slope", "EDA_Tonic_SD", "EDA_Tonic_Slope", "EDA_Phasic_SD"),
        *("EDA_Phasic_AUC", "SCR_Peaks_N", "SCR_Peaks_Amplitude_Sum"),
    ]
    np.testing.assert_allclose(features[level], 3.3)
    np.testing.assert_allclose(features[zero], 0, atol=1e-12)
    assert features[features.isna()].index.tolist() == [
        "EDA_Autocorrelation",
        "SCR_Peaks_Amplitude_Mean",
        "SCR_Peaks_Amplitude_Max",
        "SCR_RiseTime_Mean",
        "SCR_RecoveryTime_Mean",
    ]


@pytest.mark.parametrize("output", ["features", "series"])
def test_small_gaps_are_bridged_and_large_ones_make_a_window_missing(output):
    windows = make_eda()
    windows[1, 100:106] = np.nan
    windows[3, 100:120] = np.nan
    windows[4] = np.nan
    result = EDATransformer(output, features="level", sampling_rate=4).fit_transform(windows)
    assert np.isnan(result).all(axis=1).tolist() == [False, False, False, True, True, False]
    assert np.isfinite(result[[0, 1, 2, 5]]).all()
    bridged = windows[1].copy()
    bridged[100:106] = np.interp(range(100, 106), [99, 106], windows[1, [99, 106]])
    again = EDATransformer(output, features="level", sampling_rate=4).fit_transform(bridged[None])
    np.testing.assert_array_equal(result[1], again[0])


@pytest.mark.parametrize("n_times", [1, 2, 5, 9, 12, 40])
@pytest.mark.parametrize("sampling_rate", [4, 700])
def test_short_windows_have_a_level_and_as_many_columns(sampling_rate, n_times):
    windows = make_eda(3, sampling_rate, duration=10)[:, :n_times]
    features = table(windows, sampling_rate)
    assert features.columns.tolist() == EVERY
    assert np.isfinite(features[["EDA_Mean", "EDA_Tonic_Mean", "SCR_Peaks_N"]]).all(axis=None)
    series = EDATransformer("series", sampling_rate=sampling_rate).fit_transform(windows)
    assert series.shape == (3, 2 * n_times)
    assert np.isfinite(series).all()


def test_single_precision_is_computed_in_double():
    windows = make_eda(sampling_rate=700).astype("float32")
    for part, double in zip(
        tonic_phasic(windows, 700), tonic_phasic(windows.astype(float), 700), strict=True
    ):
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, double.astype("float32"))


@pytest.mark.parametrize("sampling_rate", [4, 128])
def test_the_temporary_does_not_grow_with_the_number_of_windows(sampling_rate):
    above = []
    for n_windows in (4000, 16000) if sampling_rate == 4 else (100, 400):
        windows = np.resize(make_eda(10, sampling_rate), (n_windows, 60 * sampling_rate))
        tracemalloc.start()
        parts = tonic_phasic(windows, sampling_rate)
        above.append(tracemalloc.get_traced_memory()[1] - parts[0].nbytes - parts[1].nbytes)
        tracemalloc.stop()
    assert above[1] < 1.1 * above[0]
    assert above[1] < 0.5 * windows.nbytes


def test_memory_mapped_windows_are_read_as_they_are(tmp_path):
    windows = make_eda(20).astype("float32")[:, np.newaxis]
    np.save(tmp_path / "windows.npy", windows)
    mapped = np.load(tmp_path / "windows.npy", mmap_mode="r")
    X = pd.DataFrame({"eda": SignalArray(mapped, sampling_rate=4)}, copy=False)
    expected = EDATransformer().fit_transform(make_frame(windows))
    np.testing.assert_array_equal(EDATransformer().fit_transform(X), expected)


# The transformer


@pytest.mark.parametrize("value_type", ["float32", "float64"])
def test_the_series_is_a_signal_column_of_two_channels(value_type):
    X = make_frame(make_eda().astype(value_type)).set_index(np.arange(10, 16))
    series = EDATransformer("series").fit_transform(X)
    assert series.columns.tolist() == ["eda"]
    assert series.index.tolist() == X.index.tolist()
    assert series["eda"].dtype == SignalDtype(value_type, (2, 240), 4, ["tonic", "phasic"])
    expected = tonic_phasic(X["eda"].array.values[:, 0], 4)
    np.testing.assert_array_equal(series["eda"].array.values, np.stack(expected, axis=1))


@pytest.mark.parametrize("output", ["features", "series"])
def test_arrays_give_what_a_signal_column_gives(output):
    windows = make_eda()
    column = EDATransformer(output).fit_transform(make_frame(windows))
    transformer = EDATransformer(output, sampling_rate=4)
    expected = column if output == "features" else column["eda"].array.values
    np.testing.assert_array_equal(transformer.fit_transform(windows[:, np.newaxis]), expected)
    flat = transformer.fit_transform(windows)
    np.testing.assert_array_equal(flat, expected.reshape(6, -1))
    assert len(transformer.get_feature_names_out()) == flat.shape[1]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("all", EVERY),
        ("scr", list(FEATURES["scr"])),
        (["EDA_SD", "tonic", "EDA_Mean"], ["EDA_SD", *FEATURES["tonic"], "EDA_Mean"]),
        ("SCR_Peaks_N", ["SCR_Peaks_N"]),
    ],
)
def test_features_are_chosen_by_group_and_by_name_in_the_order_asked(asked, names):
    chosen = table(make_eda(), features=asked)
    assert chosen.columns.tolist() == names
    pd.testing.assert_frame_equal(chosen, table(make_eda())[names])


def test_it_works_unfitted_cloned_and_pickled():
    X = make_frame()
    transformer = EDATransformer().fit(X)
    expected = transformer.transform(X)
    for other in (EDATransformer(), clone(transformer), pickle.loads(pickle.dumps(transformer))):
        np.testing.assert_array_equal(other.transform(X), expected)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"output": "map"}, "output must be 'features' or 'series', got 'map'"),
        ({"signal": "gsr"}, "signal must be 'eda' or 'components', got 'gsr'"),
        ({"signal": "components"}, "takes windows of the channels 'tonic' and 'phasic', got the"),
        ({"features": "SCR"}, "features='SCR' must name some of the groups level, tonic, phasic"),
        ({"features": []}, r"features=\[\] must name"),
        ({"min_amplitude": -1}, "min_amplitude must be a number of at least 0, got -1"),
        ({"onset": "last"}, r"onset must be one of \['base', 'minimum'\], got 'last'"),
        ({"off_skin": -1}, "off_skin must be None or a number of at least 0, got -1"),
        ({"min_relative": 2}, "min_relative must be a number from 0 to 1, got 2"),
        ({"sampling_rate": 8}, "sampling_rate=8 Hz, but the column 'eda' has 4.0 Hz"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(parameters, message):
    with pytest.raises(ValueError, match=message):
        EDATransformer(**parameters).fit(make_frame())


def test_several_channels_are_refused():
    two = make_frame(np.stack([make_eda(), make_eda()], axis=1), channels=["left", "right"])
    with pytest.raises(ValueError, match=r"windows of one channel, got the shape \(2, 240\)"):
        EDATransformer().fit(two)
    with pytest.raises(ValueError, match=r"with the channels \('left', 'right'\)"):
        EDATransformer(signal="components").fit(two)


def test_a_rate_too_low_an_array_without_one_and_infinity_are_refused():
    with pytest.raises(ValueError, match=r"At a sampling rate of 0.1 Hz a signal cannot be split"):
        EDATransformer(sampling_rate=0.1).fit_transform(make_eda())
    with pytest.raises(ValueError, match="EDATransformer needs the sampling rate"):
        EDATransformer().fit(make_eda())
    windows = make_eda()
    windows[2, 5] = np.inf
    with pytest.raises(ValueError, match="'eda' contains infinity"):
        EDATransformer().fit(make_frame(windows))


def test_fit_refuses_windows_that_are_all_missing_and_transform_gives_nan():
    X = make_frame(np.full((3, 240), np.nan))
    with pytest.raises(ValueError, match="All 3 windows given to EDATransformer are missing"):
        EDATransformer().fit(X)
    assert np.isnan(EDATransformer().transform(X)).all()


# What was not measured


@pytest.mark.parametrize("output", ["features", "series"])
@pytest.mark.parametrize("method", ["highpass", "cvxeda"])
@pytest.mark.parametrize("sampling_rate", [4, 64])
def test_electrodes_off_the_skin_make_a_window_missing(sampling_rate, method, output):
    windows = make_eda(4, sampling_rate)
    windows[0] = 0
    windows[1] = np.random.default_rng(0).choice([0, 0.00128], windows.shape[1])
    windows[2] = -0.002
    windows[3, : 10 * sampling_rate] = 0.004
    transformer = EDATransformer(output, method=method, sampling_rate=sampling_rate)
    result = transformer.transform(np.vstack([windows, make_eda(1, sampling_rate)]))
    assert np.isnan(result).all(axis=1).tolist() == [True] * 4 + [False]


@pytest.mark.parametrize("seed", range(12))
def test_a_dropout_to_zero_changes_little_or_makes_the_window_missing(seed):
    rng = np.random.default_rng(seed)
    sampling_rate = rng.choice([4, 8, 64])
    clean = make_eda(1, sampling_rate, seed=seed)
    length = rng.integers(1, len(clean[0]) // 4)
    start = rng.integers(0, len(clean[0]) - length)
    dropped = clean.copy()
    dropped[0, start : start + length] = rng.choice([0.0, 0.00128, -0.001])
    names = ["EDA_Mean", "EDA_SD", "EDA_Min", "SCR_Peaks_Amplitude_Max", "EDA_Phasic_AUC"]
    found, expected = (table(w, sampling_rate, features=names).loc[0] for w in (dropped, clean))
    if length > 0.05 * len(clean[0]):
        assert found.isna().all()
    else:
        np.testing.assert_allclose(found, expected, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("n_zeros", [1, 10])
def test_zeros_at_the_start_of_a_recording_leave_no_trace_in_its_parts(n_zeros):
    eda = make_eda(1, duration=300, seed=3)[0]
    late = np.concatenate([np.zeros(n_zeros), eda])
    parts = decompose_eda(Recording({"eda": late}, {"eda": 4}, subject="a")).signals["eda"]
    expected = decompose_eda(Recording({"eda": eda}, {"eda": 4}, subject="a")).signals["eda"]
    assert np.isnan(parts[:, :n_zeros]).all()
    np.testing.assert_allclose(parts[:, n_zeros:], expected, atol=0.05)
    np.testing.assert_allclose(parts[:, n_zeros + 40 :], expected[:, 40:], atol=0.02)


def test_a_recording_off_the_skin_has_no_parts():
    recording = Recording({"eda": np.zeros(400)}, {"eda": 4}, subject="a")
    with pytest.warns(UserWarning, match="off the skin"):
        parts = decompose_eda(recording).signals["eda"]
    assert np.isnan(parts).all()


def test_the_zero_of_a_centred_signal_or_of_another_unit_is_a_value():
    windows = make_eda()
    centred = windows - windows.mean(axis=1, keepdims=True)
    np.testing.assert_array_equal(table(centred), table(centred, off_skin=None))
    siemens = table(windows * 1e-6, off_skin=None, features=["SCR_Peaks_N", "EDA_Mean"])
    expected = table(windows, features=["SCR_Peaks_N", "EDA_Mean"]) * [1, 1e-6]
    np.testing.assert_allclose(siemens, expected)


@pytest.mark.parametrize("seed", range(8))
def test_values_repeated_to_a_faster_rate_give_the_features_of_the_slow_signal(seed):
    rng = np.random.default_rng(seed)
    n_repeats, first = rng.integers(2, 40), rng.integers(0, 40)
    slow = make_eda(1, 4, seed=seed)
    fast = np.repeat(slow, n_repeats, axis=1)[:, first % n_repeats :]
    names = ["EDA_Mean", "EDA_Phasic_SD", "SCR_Peaks_N", "SCR_Peaks_Amplitude_Mean"]
    found, expected = (
        EDATransformer(features=names, sampling_rate=rate, min_amplitude=0.05).transform(windows)
        for windows, rate in ((fast, 4 * n_repeats), (slow, 4))
    )
    np.testing.assert_allclose(found, expected, rtol=0.1)


def test_a_signal_that_changes_seldom_was_not_repeated():
    steps = np.round(make_eda(20), 1)
    np.testing.assert_array_equal(conductance(steps), steps)


@pytest.mark.parametrize("output", ["features", "series"])
def test_the_windows_given_are_not_written_to(output):
    windows = np.repeat(make_eda(3, 4), 16, axis=1)
    windows[1, 10:20] = 0
    before = windows.copy()
    EDATransformer(output, sampling_rate=64).transform(windows)
    np.testing.assert_array_equal(windows, before)


@pytest.mark.parametrize("output", ["features", "series"])
def test_masked_samples_are_gaps(output):
    windows = make_eda()
    windows[1, 100:106] = -9999
    masked = np.ma.masked_less(windows, -1000)
    windows[1, 100:106] = np.nan
    transformer = EDATransformer(output, sampling_rate=4)
    np.testing.assert_array_equal(transformer.fit_transform(masked), transformer.transform(windows))


# Where a response begins


def test_a_ripple_on_the_rise_is_not_the_onset():
    knots = [0, 4, 8, 9, 10, 14, 30, 39], [0.5, 0, 1, 1.2, 1.1, 2, 0, 0.1]
    phasic = np.interp(np.arange(40), *knots)[np.newaxis]
    found = [skin_conductance_responses(phasic, 4, onset=onset) for onset in ("base", "minimum")]
    assert [each["SCR_Onset"].tolist() for each in found] == [[1.0], [2.5]]
    np.testing.assert_allclose([each["SCR_Amplitude"][0] for each in found], [2.0, 0.9])
    assert [each["SCR_RiseTime"].tolist() for each in found] == [[2.5], [1.0]]


def test_the_last_minimum_near_the_base_is_the_onset():
    phasic = np.interp(np.arange(40), [0, 4, 8, 12, 20, 39], [1, 0, 0.2, 0.15, 2, 0])[np.newaxis]
    assert skin_conductance_responses(phasic, 4)["SCR_Onset"].tolist() == [3.0]


def test_without_ripples_both_onsets_are_the_same():
    _, phasic = tonic_phasic(make_eda(20), 4)
    base, minimum = (
        skin_conductance_responses(phasic, 4, 0.02, onset=onset) for onset in ("base", "minimum")
    )
    for name, values in minimum.items():
        np.testing.assert_array_equal(base[name], values, err_msg=name)


def test_a_response_that_begins_before_the_window_has_no_amplitude():
    phasic = np.interp(np.arange(40), [0, 5, 30, 39], [0, 2, 0, 0.1])[np.newaxis]
    found = skin_conductance_responses(phasic, 4)
    assert found["SCR_Peak"].tolist() == [1.25]
    assert np.isnan([found["SCR_Amplitude"], found["SCR_Onset"], found["SCR_RiseTime"]]).all()


@pytest.mark.parametrize("start", [2.0, 3.0, 4.5])
@pytest.mark.parametrize("sampling_rate", [8, 32, 128, 2000])
def test_the_first_optimised_response_rises_for_as_long_as_the_others(sampling_rate, start):
    seconds = np.arange(60 * sampling_rate) / sampling_rate
    since = np.maximum(seconds - start - 7 * np.arange(8)[:, np.newaxis], 0)
    eda = 3 + 0.6 * (np.exp(-since / 2) - np.exp(-since / 0.7)).sum(axis=0)
    _, phasic = tonic_phasic(eda[np.newaxis], sampling_rate, "cvxeda")
    rise = skin_conductance_responses(phasic, sampling_rate, 0.01)["SCR_RiseTime"]
    np.testing.assert_allclose(rise, 1.13, atol=0.15)


def test_a_base_ends_where_a_long_rest_does():
    knots = [0, 4, 30, 34, 50], [0.1, 0, 0.01, 2, 0]
    phasic = np.interp(np.arange(51), *knots)[np.newaxis]
    found = skin_conductance_responses(phasic, 4)
    assert found["SCR_Onset"].tolist() == [7.5]
    assert found["SCR_RiseTime"].tolist() == [1.0]


@pytest.mark.parametrize("method", ["highpass", "cvxeda"])
@pytest.mark.parametrize("sampling_rate", [4, 8, 64, 2000])
def test_the_noise_of_a_wristband_hardly_changes_amplitudes_and_rise_times(sampling_rate, method):
    names = ["SCR_Peaks_Amplitude_Mean", "SCR_RiseTime_Mean"]
    clean = make_eda(2, sampling_rate, seed=1)
    noise = np.random.default_rng(0).normal(0, 0.0015, clean.shape)
    noisy = np.round((clean + noise) / 0.00128) * 0.00128
    settings = {"features": names, "min_amplitude": 0.02, "method": method}
    expected, found = (table(w, sampling_rate, **settings) for w in (clean, noisy))
    np.testing.assert_allclose(found, expected, rtol=0.07)


def test_what_rounding_leaves_of_a_phasic_part_has_no_responses():
    rng = np.random.default_rng(0)
    parts = np.stack([np.full((3, 240), 5.0), 1e-9 * rng.normal(size=(3, 240))], axis=1)
    X = make_frame(parts, channels=["tonic", "phasic"])
    features = ["SCR_Peaks_N", "SCR_Peaks_Amplitude_Sum", "EDA_Phasic_SD"]
    found = EDATransformer(signal="components", features=features).fit_transform(X)
    np.testing.assert_array_equal(found, 0)


# The pulse of the same wrist


@pytest.mark.parametrize("subject", ["S05", "S14"])
def test_the_pulse_follows_the_heart_rate_that_the_wristband_shows(data_home, subject):
    folder = data_home / "stress_predict" / "Raw_data" / subject
    start, rate, *pulse = np.loadtxt(folder / "BVP.csv")
    shown_from, _, *shown = np.loadtxt(folder / "HR.csv")
    # The rate shown lags: what the pulse does in a minute is seen half a minute later.
    shown = shown[int(start + 30 - shown_from) :]
    ends, intervals = np.genfromtxt(folder / "IBI.csv", delimiter=",", skip_header=1).T
    minutes = min(int(len(pulse) / rate), len(shown)) // 60
    pulse = np.reshape(pulse[: int(minutes * 60 * rate)], (minutes, -1))
    hrv = HRVTransformer(signal="ppg", features=["HRV_MedianNN"], sampling_rate=rate)
    found = 60_000 / hrv.fit_transform(pulse)[:, 0]
    expected = np.reshape(shown[: minutes * 60], (minutes, 60)).mean(axis=1)
    # Minutes of which the wristband trusted half of the beats.
    trusted = np.bincount((ends // 60).astype(int), intervals, minlength=minutes)[:minutes] > 30
    assert trusted.sum() >= 10
    assert np.isfinite(found[trusted]).all()
    assert np.median(np.abs(found - expected)[trusted]) < 2
    assert np.corrcoef(found[trusted], expected[trusted])[0, 1] > 0.7


def test_responses_below_an_amplitude_do_not_count():
    seconds = np.arange(240) / 4
    bumps = (0.004, 15.0), (0.5, 30.0), (0.2, 48.0)
    eda = 2 + sum(size * np.exp(-(((seconds - peak) / 2) ** 2)) for size, peak in bumps)
    calm = 2 + (eda - 2) / 100

    def count(**parameters):
        transformer = EDATransformer(features=["SCR_Peaks_N"], sampling_rate=4, **parameters)
        return transformer.fit_transform(np.stack([eda, calm]))[:, 0].tolist()

    assert count() == [2, 2]
    assert count(min_amplitude=0.01) == [2, 0]
    assert min(count(min_relative=0.0)) > 2
