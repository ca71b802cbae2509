"""Resampling: waves kept and removed, agreement with SciPy, and use with scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
from beats import make_ecg
from scipy.signal import resample_poly
from sklearn.base import clone

from skemo import HRVTransformer, SignalArray, SignalDtype, make_modality_transformer, signal_frame
from skemo.features.resampling import ResampleTransformer
from skemo.kernels.resampling import resample

RATES = [(700, 64), (500, 128), (64, 32), (128, 100), (4, 2)]  # hertz, from and to
UP = [(4, 16), (64, 100), (64, 64.5)]


def make_wave(frequency, sampling_rate, n_times, phase=0.3):
    seconds = np.arange(n_times) / sampling_rate
    return np.sin(2 * np.pi * frequency * seconds + phase)[np.newaxis]


def make_noise(sampling_rate, highest, duration, seed=0):
    """Return the mean of 20 sine waves of random frequencies up to `highest` hertz."""
    rng = np.random.default_rng(seed)
    n_waves = 20
    frequencies, phases = rng.uniform(0.1, 1, n_waves) * highest, rng.uniform(0, 2 * np.pi, n_waves)
    seconds = np.arange(round(duration * sampling_rate)) / sampling_rate
    return np.sin(2 * np.pi * frequencies * seconds[:, np.newaxis] + phases).mean(axis=1)


def make_frame(windows, sampling_rate=128, channels=None):
    return signal_frame(ecg=SignalArray(windows, sampling_rate=sampling_rate, channels=channels))


def values_of(frame):
    return frame["ecg"].array.values


# The kernel


@pytest.mark.parametrize(("sampling_rate", "rate"), RATES + UP)
def test_a_wave_below_half_of_both_rates_keeps_amplitude_and_phase(sampling_rate, rate):
    frequency = 0.3 * min(sampling_rate, rate)
    n_times = max(4000, 40 * sampling_rate)
    slow = resample(make_wave(frequency, sampling_rate, n_times), sampling_rate, rate)
    expected = make_wave(frequency, rate, slow.shape[1])
    inner = slice(slow.shape[1] // 10, -slow.shape[1] // 10)
    np.testing.assert_allclose(slow[:, inner], expected[:, inner], atol=0.002)


@pytest.mark.parametrize(("sampling_rate", "rate"), RATES)
@pytest.mark.parametrize("share", [0.5, 0.6, 0.9])
def test_a_wave_above_half_the_new_rate_leaves_no_alias(sampling_rate, rate, share):
    frequency = share * rate
    if frequency < sampling_rate / 2:
        fast = make_wave(frequency, sampling_rate, max(4000, 40 * sampling_rate))
        slow = resample(fast, sampling_rate, rate)
        n_edge = slow.shape[1] // 10
        assert np.abs(slow[:, n_edge:-n_edge]).max() < 0.002


def test_the_anti_aliasing_filter_starts_at_four_fifths_of_half_the_new_rate():
    gains = [
        np.sqrt(2) * resample(make_wave(share * 32, 512, 20480), 512, 64)[:, 640:-640].std()
        for share in (0.79, 0.9, 0.99)
    ]
    np.testing.assert_allclose(gains, [1, 0.5, np.sin(np.pi * 0.01 / 0.4) ** 2], atol=0.002)


@pytest.mark.parametrize(("sampling_rate", "rate"), RATES + UP)
def test_a_constant_stays_constant_and_a_line_stays_a_line(sampling_rate, rate):
    n_times = 10 * sampling_rate
    constant = resample(np.full((1, n_times), 1234.56789), sampling_rate, rate)
    assert (constant == 1234.56789).all()
    line = resample(np.arange(n_times)[np.newaxis] / sampling_rate, sampling_rate, rate)
    np.testing.assert_allclose(line[0], np.arange(line.shape[1]) / rate, atol=1e-9)


def test_an_offset_moves_the_signal_and_costs_no_precision():
    signal = make_noise(128, 20, 10)[np.newaxis].astype("float32")
    moved = resample(signal + np.float32(4096), 128, 64) - 4096
    np.testing.assert_allclose(moved, resample(signal, 128, 64), atol=5e-4)


@pytest.mark.parametrize("band", [None, (0.5, 10), (None, 10), (0.5, None)])
@pytest.mark.parametrize("rate", [64, 128, 200])
def test_resampling_is_linear(band, rate):
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 3, 1280))
    both = resample(2 * one - 3 * other, 128, rate, band)
    parts = 2 * resample(one, 128, rate, band) - 3 * resample(other, 128, rate, band)
    np.testing.assert_allclose(both, parts, atol=1e-10)


@pytest.mark.parametrize("band", [None, (0.5, 10), (None, 10), (0.5, None)])
@pytest.mark.parametrize("rate", [64, 128, 512])
def test_a_reversed_signal_gives_the_reversed_result(band, rate):
    # New samples coincide with old ones; at a lower rate, the last old sample is dropped.
    signal = np.random.default_rng(0).normal(size=(1, 1281))
    step = max(1, rate // 128)
    forwards = resample(signal, 128, rate, band)[:, ::step]
    backwards = resample(signal[:, ::-1], 128, rate, band)[:, ::step]
    length = 641 if rate == 64 else 1281
    np.testing.assert_allclose(forwards[:, :length], backwards[:, :length][:, ::-1], atol=1e-9)


@pytest.mark.parametrize(("sampling_rate", "rate"), RATES)
def test_inside_a_window_it_agrees_with_scipy_on_the_whole_recording(sampling_rate, rate):
    recording = make_noise(sampling_rate, 0.35 * rate, 6 * max(20, 400 // rate))
    whole = resample_poly(recording, rate, sampling_rate, padtype="line", window=("kaiser", 8.0))
    windows = resample(recording.reshape(6, -1), sampling_rate, rate)
    error = np.abs(windows - whole.reshape(6, -1)) / whole.std()
    n_edge = windows.shape[1] // 10
    assert error[:, n_edge:-n_edge].max() < 0.02


@pytest.mark.parametrize(("sampling_rate", "rate"), [(700, 64), (500, 128), (64, 32), (64, 100)])
def test_the_ends_of_a_window_are_closer_to_the_whole_recording_than_those_of_scipy(
    sampling_rate, rate
):
    seconds = 20 * sampling_rate
    recording = make_noise(sampling_rate, 0.1 * min(rate, sampling_rate), 120)
    whole = resample_poly(recording, rate, sampling_rate, padtype="line").reshape(6, -1)
    windows = recording.reshape(6, seconds)
    n_edge = whole.shape[1] // 20

    def edge_error(resampled):
        error = (resampled - whole)[:, np.r_[:n_edge, -n_edge:0]]
        return np.sqrt((error**2).mean())

    ours = edge_error(resample(windows, sampling_rate, rate))
    assert ours < edge_error(resample_poly(windows, rate, sampling_rate, axis=1, padtype="line"))
    assert ours < 0.2 * edge_error(resample_poly(windows, rate, sampling_rate, axis=1))


@pytest.mark.parametrize("factor", [2, 3, 7])
@pytest.mark.parametrize("n_times", [2, 63, 128])
def test_a_higher_rate_keeps_the_original_samples(factor, n_times):
    signal = np.random.default_rng(0).normal(size=(2, n_times))
    fast = resample(signal, 32, factor * 32)
    assert fast.shape == (2, factor * n_times)
    np.testing.assert_allclose(fast[:, ::factor], signal, atol=1e-12)


@pytest.mark.parametrize(("sampling_rate", "rate"), RATES + UP)
@pytest.mark.parametrize("n_times", [1, 2, 3, 11, 250, 1009])
def test_the_length_is_the_duration_times_the_new_rate_rounded(sampling_rate, rate, n_times):
    length = int(n_times * rate / sampling_rate + 0.5)
    signal = np.random.default_rng(0).normal(size=(1, n_times))
    resampled = resample(signal, sampling_rate, rate)
    assert resampled.shape == (1, length)
    assert (np.abs(resampled) < 6).all()


@pytest.mark.parametrize("rate", [None, 64])
@pytest.mark.parametrize(
    ("band", "kept", "removed"),
    [((2, 12), 5, 0.1), ((2, 12), 5, 60), ((None, 5), 1, 60), ((5, None), 20, 0.5)],
)
def test_a_band_keeps_the_waves_inside_it_and_removes_others(rate, band, kept, removed):
    wave, other = (make_wave(frequency, 128, 5120) for frequency in (kept, removed))
    result = resample(wave + other + 100 * (band[0] is not None), 128, rate, band)
    low, high = band[0] or 0, band[1] or np.inf
    gain = 1 / ((1 + (low / kept) ** 4) * (1 + (kept / high) ** 4))
    inner = slice(len(result[0]) // 8, -len(result[0]) // 8)
    expected = gain * make_wave(kept, rate or 128, result.shape[1])
    np.testing.assert_allclose(result[:, inner], expected[:, inner], atol=0.002)


def test_the_gain_at_the_edge_of_a_band_is_one_half():
    for band, frequency in (((4, None), 4), ((None, 9), 9)):
        wave = make_wave(frequency, 128, 5120)
        inner = resample(wave, 128, None, band)[0, 640:-640]
        np.testing.assert_allclose(inner, wave[0, 640:-640] / 2, atol=0.002)


def test_without_rate_and_band_the_signal_is_unchanged():
    signal = np.random.default_rng(0).normal(size=(3, 100))
    for rate in (None, 128):
        result = resample(signal, 128, rate)
        np.testing.assert_array_equal(result, signal)
        assert not np.shares_memory(result, signal)


# The transformer


def test_a_signal_column_gives_a_signal_column_at_the_new_rate():
    noise = np.random.default_rng(0).normal(size=(5, 2, 1280)).astype("float32")
    X = make_frame(noise, channels=["left", "right"]).set_axis(list("abcde"))
    result = ResampleTransformer(rate=50).fit_transform(X)
    assert result["ecg"].dtype == SignalDtype("float32", (2, 500), 50, ["left", "right"])
    assert result.index.tolist() == list("abcde")
    expected = resample(noise.reshape(10, -1), 128, 50).reshape(5, 2, 500)
    np.testing.assert_array_equal(values_of(result), expected)


def test_arrays_give_arrays_with_the_same_number_of_dimensions():
    noise = np.random.default_rng(0).normal(size=(5, 3, 256))
    resampler = ResampleTransformer(rate=32, sampling_rate=128)
    three = resampler.fit_transform(noise)
    assert three.shape == (5, 3, 64)
    assert len(resampler.get_feature_names_out()) == 3 * 64
    two = resampler.fit_transform(noise[:, 0])
    np.testing.assert_array_equal(two, three[:, 0])
    assert resampler.get_feature_names_out()[[0, -1]].tolist() == ["t0", "t63"]
    column = resampler.fit(make_frame(noise)).transform(make_frame(noise))
    np.testing.assert_array_equal(values_of(column), three)
    assert resampler.get_feature_names_out().tolist() == ["ecg"]


def test_a_map_is_resampled_along_its_last_axis():
    maps = np.random.default_rng(0).normal(size=(4, 3, 2, 20))
    X = signal_frame(eeg=SignalArray(maps, sampling_rate=2, channels=["F3", "F4"]))
    result = ResampleTransformer(rate=1).fit_transform(X)["eeg"]
    assert result.dtype.shape == (3, 2, 10)
    np.testing.assert_array_equal(result.array.values[1, 2], resample(maps[1, 2], 2, 1))


@pytest.mark.parametrize("value_type", ["float32", "float64"])
def test_the_value_type_is_kept(value_type):
    noise = np.random.default_rng(0).normal(size=(2, 256)).astype(value_type)
    for parameters in ({}, {"rate": 32}, {"band": (1, 9)}, {"standardize": True}):
        result = ResampleTransformer(**parameters).fit_transform(make_frame(noise))
        assert result["ecg"].dtype.value_type == value_type


def test_single_precision_agrees_with_double_precision():
    noise = 1000 + np.random.default_rng(0).normal(size=(3, 1280)).astype("float32")
    for parameters in ({"rate": 50}, {"band": (1, 9)}, {"rate": 32, "standardize": True}):
        resampler = ResampleTransformer(**parameters)
        single = values_of(resampler.fit_transform(make_frame(noise)))
        double = values_of(resampler.fit_transform(make_frame(noise.astype("float64"))))
        np.testing.assert_allclose(single, double, rtol=2e-7, atol=1e-5)


@pytest.mark.parametrize("value_type", ["float32", "float64"])
@pytest.mark.parametrize("parameters", [{}, {"rate": 50}, {"rate": 200}, {"band": (1, 20)}])
def test_standardised_windows_have_mean_0_and_standard_deviation_1(value_type, parameters):
    noise = 5 + 3 * np.random.default_rng(0).normal(size=(4, 2, 1280)).astype(value_type)
    resampler = ResampleTransformer(**parameters, standardize=True)
    values = values_of(resampler.fit_transform(make_frame(noise)))
    np.testing.assert_allclose(values.mean(axis=2), 0, atol=1e-6)
    np.testing.assert_allclose(values.std(axis=2), 1, atol=1e-6)
    scaled = values_of(resampler.fit_transform(make_frame(noise * 8 - 40)))
    np.testing.assert_allclose(scaled, values, atol=1e-4)


@pytest.mark.parametrize("value_type", ["float32", "float64"])
@pytest.mark.parametrize("parameters", [{}, {"rate": 50}, {"rate": 200}, {"band": (1, 20)}])
@pytest.mark.parametrize("level", [0, 0.1])
def test_a_flat_channel_has_no_standardised_values(value_type, parameters, level):
    windows = np.random.default_rng(0).normal(size=(3, 2, 1280)).astype(value_type)
    windows[1, 0] = level
    values = values_of(
        ResampleTransformer(**parameters, standardize=True).fit_transform(make_frame(windows))
    )
    assert np.isnan(values[1, 0]).all()
    assert (values[[0, 1, 2], 1].std(axis=-1) > 0.99).all()


@pytest.mark.parametrize("value_type", ["float32", "float64"])
def test_standardising_does_not_amplify_rounding_errors(value_type):
    # A wave of 50 Hz that is periodic in the window: filtering removes all of it except rounding.
    windows = np.sin(2 * np.pi * 50 * np.arange(1281) / 128)[np.newaxis].astype(value_type)
    resampler = ResampleTransformer(rate=8, standardize=True)
    inner = values_of(resampler.fit_transform(make_frame(windows)))[..., 20:-20]
    assert not (np.abs(inner) >= 0.5).any()


@pytest.mark.parametrize(
    ("level", "band", "missing"),
    [(0, None, True), (0, (1, None), True), (32.5, (1, None), True), (32.5, (None, 5), False)],
)
def test_a_flat_channel_is_missing_unless_its_level_is_kept(level, band, missing):
    windows = np.random.default_rng(0).normal(size=(3, 2, 640))
    windows[1, 0] = level
    values = values_of(ResampleTransformer(50, band=band).fit_transform(make_frame(windows)))
    assert np.isnan(values[1, 0]).all() == missing
    assert np.isnan(values).any(axis=2).sum() == missing
    assert missing or np.allclose(values[1, 0], level)


@pytest.mark.parametrize("parameters", [{}, {"rate": 50}, {"standardize": True}])
def test_short_gaps_are_bridged_by_straight_lines(parameters):
    windows = np.random.default_rng(0).normal(size=(3, 2, 1280))
    bridged = windows.copy()
    windows[1, 0, 600:610] = np.nan
    bridged[1, 0, 600:610] = np.interp(np.arange(600, 610), [599, 610], windows[1, 0, [599, 610]])
    resampler = ResampleTransformer(**parameters)
    result = values_of(resampler.fit_transform(make_frame(windows)))
    expected = values_of(resampler.fit_transform(make_frame(bridged)))
    np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize("parameters", [{}, {"rate": 50}, {"standardize": True}])
def test_only_channels_with_more_than_a_twentieth_missing_become_missing(parameters):
    windows = np.random.default_rng(0).normal(size=(4, 2, 1280))
    windows[1, 0, :65] = np.nan  # 64 samples are a twentieth
    windows[2] = np.nan
    windows[3, 1, :64] = np.nan
    resampler = ResampleTransformer(**parameters)
    result = resampler.fit_transform(make_frame(windows))
    missing = np.isnan(values_of(result))
    assert missing.all(axis=2).tolist() == missing.any(axis=2).tolist()
    assert missing.all(axis=2).tolist() == [
        [False, False],
        [True, False],
        [True, True],
        [False, False],
    ]


@pytest.mark.parametrize("value_type", ["float32", "float64"])
@pytest.mark.parametrize(
    "parameters",
    [{"rate": 64}, {"rate": 700}, {"rate": 50, "band": (0.5, 20), "standardize": True}],
    ids=str,
)
def test_a_window_has_the_same_bits_alone_and_among_others(value_type, parameters):
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(150, 3, 1280)).astype(value_type)  # several chunks
    windows[7, 1, 100:110] = np.nan
    windows[8, 2] = np.nan
    resampler = ResampleTransformer(**parameters).fit(make_frame(windows))
    together = values_of(resampler.transform(make_frame(windows)))
    order = rng.permutation(150)[:20]
    for row in (*order, 7, 8):
        alone = values_of(resampler.transform(make_frame(windows[row : row + 1])))
        np.testing.assert_array_equal(alone[0], together[row])
    strided = np.asfortranarray(windows)
    np.testing.assert_array_equal(values_of(resampler.transform(make_frame(strided))), together)


def test_the_input_is_not_modified_and_may_be_read_only(tmp_path):
    noise = np.random.default_rng(0).normal(size=(5, 2, 1280))
    noise[0, 0, 5] = np.nan
    np.save(tmp_path / "windows.npy", noise)
    mapped = np.load(tmp_path / "windows.npy", mmap_mode="r")
    for parameters in ({"standardize": True}, {"rate": 128, "standardize": True}, {"rate": 64}):
        resampler = ResampleTransformer(**parameters, sampling_rate=128)
        expected = resampler.fit_transform(noise)
        np.testing.assert_array_equal(resampler.fit_transform(mapped), expected)
    np.testing.assert_array_equal(noise, mapped)


def test_it_can_be_used_for_one_modality_among_others():
    rng = np.random.default_rng(0)
    X = signal_frame(
        ecg=SignalArray(np.tile(make_ecg(np.arange(0.5, 10), 128, 10), (6, 1)), sampling_rate=128),
        eda=SignalArray(rng.normal(size=(6, 40)), sampling_rate=4),
    )
    transformer = make_modality_transformer(
        ecg=HRVTransformer(output="series"), eda=ResampleTransformer(rate=8, standardize=True)
    )
    result = transformer.fit_transform(X)
    assert result["eda"].dtype == SignalDtype("float64", (1, 80), 8)


def test_it_works_without_fit_and_when_cloned_or_pickled():
    X = make_frame(np.random.default_rng(0).normal(size=(3, 1280)))
    resampler = ResampleTransformer(rate=50, band=(1, None)).fit(X)
    expected = resampler.transform(X)
    unfitted = ResampleTransformer(rate=50, band=(1, None))
    for other in (unfitted, clone(resampler), pickle.loads(pickle.dumps(resampler))):
        pd.testing.assert_frame_equal(other.transform(X), expected)


def test_standardising_alone_needs_no_sampling_rate():
    noise = np.random.default_rng(0).normal(size=(3, 100))
    X = make_frame(noise, sampling_rate=None)
    result = ResampleTransformer(standardize=True).fit_transform(X)
    assert result["ecg"].dtype.sampling_rate is None
    with pytest.raises(ValueError, match="has no sampling rate"):
        ResampleTransformer(rate=2).fit(X)
    with pytest.raises(ValueError, match="needs the sampling rate of a plain array"):
        ResampleTransformer(band=(None, 2)).fit(noise)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rate": 0}, "rate must be a positive number of hertz, got 0"),
        ({"rate": -4.0}, "rate must be a positive number of hertz, got -4.0"),
        ({"rate": "64"}, "rate must be a positive number of hertz, got '64'"),
        ({"rate": np.nan}, "rate must be a positive number of hertz, got nan"),
        (
            {"rate": 0.04},
            "rate=0.04 Hz leaves no sample in .*1280 samples at 128 Hz. .*least 0.1 Hz",
        ),
        ({"band": 5}, r"band must be None or \(low, high\) in hertz, .*, got 5"),
        ({"band": (1, 2, 3)}, r"band must be None or .* got \(1, 2, 3\)"),
        ({"band": (0, 20)}, r"each positive or None, got \(0, 20\)"),
        ({"band": (20, 1)}, r"band=\(20, 1\) must have the lower edge first"),
        ({"band": (1, 65)}, r"band=\(1, 65\) reaches above 64 Hz.*None for its upper edge"),
        ({"band": (1, 40), "rate": 64}, r"reaches above 32 Hz, .*128 Hz, and 64 Hz after res"),
        ({"band": (33, None), "rate": 64}, r"band=\(33, None\) reaches above 32 Hz"),
        ({"band": (1, 70), "rate": 512}, "reaches above 64 Hz"),
        ({"sampling_rate": 256}, "sampling_rate=256 Hz, but the column 'ecg' has 128.0 Hz"),
    ],
)
def test_the_error_for_an_invalid_parameter_says_what_is_allowed(parameters, message):
    X = make_frame(np.random.default_rng(0).normal(size=(2, 1280)))
    with pytest.raises(ValueError, match=message):
        ResampleTransformer(**parameters).fit(X)
    with pytest.raises(ValueError, match=message):
        ResampleTransformer(**parameters).transform(X)


def test_a_signal_with_another_rate_than_at_fit_is_refused():
    noise = np.random.default_rng(0).normal(size=(2, 1280))
    resampler = ResampleTransformer(rate=64).fit(make_frame(noise))
    with pytest.raises(ValueError, match=r"sampling_rate=128.0, but got one of sampling_rate=256"):
        resampler.transform(make_frame(noise, sampling_rate=256))


# Recorded signals


def test_recorded_windows_agree_with_the_resampled_whole_recording(data_home):
    from skemo.datasets import fetch_eegmat

    recording = fetch_eegmat(data_home / "eegmat", subjects=["00"])[0].signals["ecg"][0]
    recording = recording[: 180 * 500].astype(float)
    whole = resample_poly(recording, 32, 125, padtype="line").reshape(18, -1)
    error = resample(recording.reshape(18, -1), 500, 128) - whole
    assert np.sqrt((error**2).mean()) < 0.003 * whole.std()
    assert np.abs(error[1:-1, 0]).max() < 0.01 * whole.std()
