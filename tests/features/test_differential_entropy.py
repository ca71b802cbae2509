"""Differential entropy: closed forms, properties, agreement with filters, bad input."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.signal
from sklearn.base import clone
from sklearn.compose import make_column_transformer

from skemo import DifferentialEntropyTransformer, SignalArray, segment, signal_frame
from skemo.kernels.entropy import (
    BANDS,
    VARIANCE_FLOOR,
    differential_entropy,
    disturbed_channels,
)

LOG_2PIE = np.log(2 * np.pi * np.e)
FLOOR_ENTROPY = 0.5 * (LOG_2PIE + np.log(VARIANCE_FLOOR))


def entropy_of(variance):
    return 0.5 * (LOG_2PIE + np.log(variance))


def noise(n_windows=6, n_channels=3, n_times=1280, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_windows, n_channels, n_times)).astype(dtype)


def frame(values, channels=None, sampling_rate=128):
    return signal_frame(eeg=SignalArray(values, sampling_rate=sampling_rate, channels=channels))


# Closed forms


@pytest.mark.parametrize("n_times", [1280, 1281])
@pytest.mark.parametrize(("frequency", "band"), [(6, 0), (11, 1), (20, 2), (38, 3)])
def test_a_sine_has_half_its_squared_amplitude_as_variance_of_its_band(n_times, frequency, band):
    cycles = frequency * 10  # whole cycles in the window, so that nothing leaks
    wave = 5 * np.sin(2 * np.pi * cycles * np.arange(n_times) / n_times + 0.3)
    entropy = differential_entropy(wave[None, None], 128)[0, :, 0, 0]
    assert entropy[band] == pytest.approx(entropy_of(5**2 / 2), abs=1e-9)
    assert (np.delete(entropy, band) < -15).all()


def test_the_variances_of_bands_that_cover_everything_sum_to_the_variance():
    for n_times in (1280, 1281):
        signals = noise(n_times=n_times)
        bands = {"low": (0, 10), "middle": (10, 37.3), "high": (37.3, 64)}
        entropy = differential_entropy(signals, 128, bands)[..., 0]
        total = np.exp(2 * entropy - LOG_2PIE).sum(axis=1)
        spectrum = np.abs(np.fft.rfft(signals)) ** 2 / n_times**2
        nyquist = spectrum[..., -1] if n_times % 2 == 0 else 0  # not below 64 Hz
        np.testing.assert_allclose(total, signals.var(axis=-1) - nyquist, rtol=1e-12)


def test_white_noise_has_the_variance_of_its_share_of_the_spectrum():
    entropy = differential_entropy(noise(400, 4, 1280), 128)
    expected = [2 * 3**2 * (high - low) / 128 for low, high in BANDS.values()]
    variance = np.exp(2 * (entropy + np.log(3)) - LOG_2PIE)
    np.testing.assert_allclose(variance.mean(axis=(0, 2, 3)), expected, rtol=0.02)


def test_an_edge_belongs_to_the_band_above_it():
    wave = np.sin(2 * np.pi * 8 * np.arange(1280) / 128)
    theta, alpha, *_ = differential_entropy(wave[None, None], 128)[0, :, 0, 0]
    assert alpha == pytest.approx(entropy_of(0.5))
    assert theta < -15


def test_edges_hold_where_rate_times_duration_is_not_exact():
    n_times = 3 * 333  # 3.0 s at 333 Hz: 4 / (1 / 3.0) falls on bin 12 but for rounding
    wave = np.sin(2 * np.pi * 12 * np.arange(n_times) / n_times)
    bands = {"delta": (1, 4), "theta": (4, 8)}
    delta, theta = differential_entropy(wave[None, None], 333, bands)[0, :, 0, 0]
    assert theta == pytest.approx(entropy_of(0.5))
    assert delta < -15


# Properties


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_doubling_the_amplitude_adds_log_2(dtype):
    signals = noise(dtype=dtype)
    added = differential_entropy(2 * signals, 128) - differential_entropy(signals, 128)
    np.testing.assert_allclose(added, np.log(2), atol=1e-6 if dtype == "float32" else 1e-14)


def test_permuted_channels_permute_the_map():
    signals = noise()
    permuted = differential_entropy(signals[:, [2, 0, 1]], 128, sub_windows=4)
    np.testing.assert_array_equal(
        permuted, differential_entropy(signals, 128, sub_windows=4)[:, :, [2, 0, 1]]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_times", [1280, 1281, 1283, 97])
def test_a_window_does_not_depend_on_its_neighbours_by_a_bit(n_times, dtype):
    signals = noise(150, 3, n_times, dtype=dtype)
    signals[20, 1] = np.nan
    bands = {"low": (2, 8), "middle": (8, 20), "high": (31, 64)}
    together = differential_entropy(signals, 128, bands)
    alone = np.concatenate([differential_entropy(window[None], 128, bands) for window in signals])
    np.testing.assert_array_equal(together, alone)


def test_the_result_does_not_depend_on_chunks_by_a_bit(monkeypatch):
    signals = noise(40, dtype="float32")
    expected = differential_entropy(signals, 128, sub_windows=3)
    monkeypatch.setattr("skemo.kernels.entropy._CHUNK", 3 * 3 * 1280)
    np.testing.assert_array_equal(differential_entropy(signals, 128, sub_windows=3), expected)


def test_numpys_settings_are_left_as_they_were():
    before = np.getbufsize(), np.geterr()
    differential_entropy(noise(), 128)
    assert (np.getbufsize(), np.geterr()) == before


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-3), ("float64", 1e-9)])
def test_an_offset_changes_nothing(dtype, tolerance):
    signals = noise(dtype=dtype)
    shifted = differential_entropy(signals + signals.dtype.type(4200), 128)
    np.testing.assert_allclose(shifted, differential_entropy(signals, 128), atol=tolerance)


def test_time_reversed_and_rotated_windows_keep_their_entropy():
    signals = noise()
    expected = differential_entropy(signals, 128)
    for changed in (signals[..., ::-1], np.roll(signals, 200, axis=-1), -signals):
        np.testing.assert_allclose(differential_entropy(changed, 128), expected, atol=1e-12)


def test_sub_windows_are_the_windows_of_the_parts():
    signals = noise(n_times=1283)  # 5 parts of 256, three samples dropped
    parts = [differential_entropy(signals[..., i : i + 256], 128) for i in range(0, 1280, 256)]
    np.testing.assert_allclose(
        differential_entropy(signals, 128, sub_windows=5), np.concatenate(parts, -1), atol=1e-12
    )


def test_single_precision_agrees_with_double_and_both_keep_their_type():
    signals = 30 * noise(40)
    double = differential_entropy(signals, 128, sub_windows=2)
    single = differential_entropy(signals.astype("float32"), 128, sub_windows=2)
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(single, double, atol=2e-6)


def test_half_precision_and_integers_are_computed_in_single():
    for dtype in ("float16", "int16"):
        signals = (100 * noise()).astype(dtype)
        expected = differential_entropy(signals.astype("float64"), 128)
        entropy = differential_entropy(signals, 128)
        assert entropy.dtype == np.float32
        np.testing.assert_allclose(entropy, expected, atol=1e-5)


def test_the_unit_may_be_the_volt():
    signals = noise(dtype="float32")
    volts = differential_entropy(np.float32(1e-6) * signals, 128)
    expected = differential_entropy(signals, 128) + np.log(1e-6)
    np.testing.assert_allclose(volts, expected, atol=1e-4)


# Agreement with filters on recorded EEG


@pytest.fixture(scope="module")
def recorded(data_home):
    from skemo.datasets import fetch_eegmat

    subjects = ["00", "06", "11", "15", "21", "28"]
    return fetch_eegmat(data_home / "eegmat", subjects=subjects)


def filtered_entropy(recording, duration, *, whole):
    """Entropies by an order-4 zero-phase Butterworth filter and ``var``."""
    rate = recording.sampling_rates["eeg"]
    n_times = int(duration * rate)
    eeg = recording.signals["eeg"].astype("float64")
    n_windows = eeg.shape[1] // n_times

    def cut(signal):
        windows = signal[:, : n_windows * n_times].reshape(len(signal), n_windows, n_times)
        return windows.swapaxes(0, 1)

    bands = []
    for band in BANDS.values():
        sos = scipy.signal.butter(4, band, "bandpass", fs=rate, output="sos")
        if whole:
            bands.append(cut(scipy.signal.sosfiltfilt(sos, eeg)))
        else:
            bands.append(scipy.signal.sosfiltfilt(sos, cut(eeg)))
    return entropy_of(np.stack(bands, axis=1).var(axis=-1))


@pytest.mark.parametrize("whole", [True, False], ids=["recording filtered", "window filtered"])
def test_recorded_eeg_agrees_with_a_butterworth_filter(recorded, whole):
    reference = np.concatenate([filtered_entropy(r, 10, whole=whole) for r in recorded])
    windows = segment(recorded, 10.0)
    entropy = differential_entropy(windows["eeg"].array.values, 500)[..., 0]
    difference = entropy - reference
    for band in range(len(BANDS)):
        r = np.corrcoef(entropy[:, band].ravel(), reference[:, band].ravel())[0, 1]
        assert r > 0.99
        # The filter's soft edges lose up to a fifth of the power: 0.1 nats.
        assert 0 < difference[:, band].mean() < 0.1
        assert difference[:, band].std() < 0.05


def test_recorded_eeg_has_more_alpha_over_the_back_of_the_head_at_rest(recorded):
    rest = segment([r for r in recorded if r.trial == "rest"], 10.0)
    names = DifferentialEntropyTransformer().set_output(transform="pandas")
    features = names.fit_transform(rest[["eeg"]]).mean()
    assert features[["alpha_O1", "alpha_O2"]].mean() > features[["alpha_Fp1", "alpha_Fp2"]].mean()


# Missing, flat and infinite


def test_a_nan_makes_only_its_channel_and_sub_window_missing():
    signals = noise(dtype="float32")
    expected = differential_entropy(signals, 128, sub_windows=2)
    signals[1, 2, 700] = np.nan
    entropy = differential_entropy(signals, 128, sub_windows=2)
    expected[1, :, 2, 1] = np.nan
    np.testing.assert_allclose(entropy, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_channel_has_the_floor_of_the_variance(dtype):
    signals = noise(dtype=dtype)
    signals[:, 1] = 4200.3
    entropy = differential_entropy(signals, 128)
    np.testing.assert_allclose(entropy[:, :, 1], FLOOR_ENTROPY, rtol=1e-6)
    np.testing.assert_allclose(entropy[:, :, 1], -21.61, atol=0.01)
    assert (entropy[:, :, [0, 2]] > -3).all()


def test_a_flat_channel_is_missing_in_the_features():
    signals = np.random.default_rng(0).normal(size=(3, 2, 640))
    signals[1, 0] = 7.0
    features = DifferentialEntropyTransformer(sampling_rate=64, bands={"slow": (1, 8)})
    assert np.isnan(features.fit_transform(signals)).tolist() == [
        [False, False],
        [True, False],
        [False, False],
    ]


def test_an_infinite_value_is_refused():
    signals = noise()
    signals[0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="'eeg' contains infinity"):
        DifferentialEntropyTransformer().fit(frame(signals))
    with pytest.raises(ValueError, match="contains infinity"):
        DifferentialEntropyTransformer(sampling_rate=128).fit(signals)


def test_all_windows_missing_is_refused_in_fit_and_missing_features_in_transform():
    missing = frame(np.full((4, 2, 640), np.nan))
    transformer = DifferentialEntropyTransformer()
    with pytest.raises(
        ValueError, match="All 4 windows given to DifferentialEntropyTransformer are missing"
    ):
        transformer.fit(missing)
    assert np.isnan(transformer.transform(missing)).all()


def test_an_empty_frame_is_refused():
    with pytest.raises(ValueError, match="'eeg' has no windows"):
        DifferentialEntropyTransformer().fit(frame(noise()).iloc[:0])


# Parameters that cannot be


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bands": {"high": (31, 65)}}, r"'high' \(31 to 65 Hz\) reaches above 64 Hz, half the"),
        ({"bands": {"slow": (0.05, 0.08)}}, r"'slow' \(0.05 to 0.08 Hz\) has no frequency bin in"),
        ({"bands": {"turned": (8, 4)}}, r"'turned' \(8 to 4 Hz\) must have edges 0 <= low < high"),
        ({"bands": {"below": (-1, 4)}}, "must have edges 0 <= low < high"),
        ({"bands": {}}, r"bands must be a dict of name: \(low, high\) in hertz, or None, got {}"),
        ({"bands": ["theta"]}, "bands must be a dict"),
        ({"sub_windows": 1281}, "sub_windows=1281 must be a whole number between 1 and the 1280"),
        ({"sub_windows": 0}, "sub_windows=0 must be"),
        ({"sub_windows": 2.0}, "sub_windows=2.0 must be"),
        ({"output": "maps"}, "output must be 'features' or 'map', got 'maps'"),
        ({"sampling_rate": 256}, "got sampling_rate=256 Hz, but the column 'eeg' has 128.0 Hz"),
    ],
)
def test_a_parameter_that_cannot_be_is_named(parameters, message):
    X = frame(noise())
    with pytest.raises(ValueError, match=message):
        DifferentialEntropyTransformer(**parameters).fit(X)
    with pytest.raises(ValueError, match=message):
        DifferentialEntropyTransformer(**parameters).transform(X)


def test_a_window_too_short_for_a_band_is_told_how_long_it_must_be():
    message = (
        r"'theta' \(4 to 8 Hz\) has no frequency bin in 0.1 s \(12 samples at 120 Hz\). It has "
        r"one in any \(sub-\)window of at least 0.25 s"
    )
    with pytest.raises(ValueError, match=message):
        differential_entropy(noise(n_times=1200), 120, sub_windows=100)
    assert np.isfinite(differential_entropy(noise(n_times=1200), 120, sub_windows=40)).all()


def test_an_array_without_a_rate_is_refused():
    with pytest.raises(ValueError, match="needs the sampling rate of a plain array"):
        DifferentialEntropyTransformer().fit(noise())


def test_a_map_is_not_taken_for_windows():
    X = signal_frame(eeg=SignalArray(np.zeros((3, 4, 2, 5)), sampling_rate=1))
    with pytest.raises(ValueError, match=r"must have shape \(n_windows, n_channels, n_times\)"):
        DifferentialEntropyTransformer().fit(X)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (frame(noise(), "abc", 256), "fitted on a signal of sampling_rate=128.0, but got one of"),
        (frame(noise(), "abd"), r"channels=\('a', 'b', 'c'\), but got one of channels=\('a', 'b',"),
        (frame(noise(n_times=640), "abc"), r"shape=\(3, 1280\), but got one of shape=\(3, 640\)"),
    ],
)
def test_a_signal_unlike_the_fitted_one_is_refused(other, message):
    transformer = DifferentialEntropyTransformer().fit(frame(noise(), "abc"))
    with pytest.raises(ValueError, match=message):
        transformer.transform(other)


# The transformer


def test_features_are_the_kernel_in_the_order_of_their_names():
    signals = noise()
    X = frame(signals, ["F3", "Cz", "F4"])
    transformer = DifferentialEntropyTransformer().set_output(transform="pandas")
    features = transformer.fit_transform(X)
    assert features.shape == (6, 12)
    expected = differential_entropy(signals, 128)
    np.testing.assert_array_equal(features["alpha_F3"], expected[:, 1, 0, 0])
    np.testing.assert_array_equal(features["gamma_Cz"], expected[:, 3, 1, 0])


def test_names_number_sub_windows_and_unnamed_channels():
    transformer = DifferentialEntropyTransformer(bands={"alpha": (8, 14)}, sub_windows=2)
    transformer.fit(frame(noise(), ["F3", "Cz", "F4"]))
    assert transformer.get_feature_names_out().tolist()[:3] == [
        "alpha_F3_0",
        "alpha_F3_1",
        "alpha_Cz_0",
    ]
    transformer = DifferentialEntropyTransformer(bands={"alpha": (8, 14)}).fit(frame(noise()))
    assert transformer.get_feature_names_out().tolist() == ["alpha_0", "alpha_1", "alpha_2"]


def test_a_map_keeps_its_column_its_rows_and_its_channels():
    X = frame(noise(dtype="float32"), ["F3", "Cz", "F4"]).set_index(np.arange(10, 16))
    transformer = DifferentialEntropyTransformer(output="map", sub_windows=5)
    result = transformer.fit_transform(X)
    assert result.columns.tolist() == transformer.get_feature_names_out().tolist() == ["eeg"]
    assert result.index.tolist() == X.index.tolist()
    dtype = result["eeg"].dtype
    assert (dtype.value_type, dtype.shape) == (np.float32, (4, 3, 5))
    assert (dtype.sampling_rate, dtype.channels) == (0.5, ("F3", "Cz", "F4"))


def test_frames_series_arrays_and_tables_give_the_same_numbers():
    signals = noise(n_channels=1)
    X = frame(signals)
    expected = DifferentialEntropyTransformer().fit_transform(X)
    transformer = DifferentialEntropyTransformer(sampling_rate=128)
    for same in (X["eeg"], signals, signals[:, 0]):
        np.testing.assert_array_equal(transformer.fit_transform(same), expected)
    transformer = DifferentialEntropyTransformer(output="map", sampling_rate=128)
    assert transformer.fit_transform(signals).shape == (6, 4, 1, 1)
    assert transformer.fit_transform(signals[:, 0]).shape == (6, 4)
    assert transformer.get_feature_names_out().tolist() == [
        "theta_0",
        "alpha_0",
        "beta_0",
        "gamma_0",
    ]


def test_two_columns_or_none_that_is_a_signal_are_refused():
    X = frame(noise()).assign(subject="a")
    with pytest.raises(ValueError, match="takes one signal column, got the columns"):
        DifferentialEntropyTransformer().fit(X)
    with pytest.raises(ValueError, match="expects a signal column, got 'subject'"):
        DifferentialEntropyTransformer().fit(X[["subject"]])


def test_it_transforms_unfitted_cloned_and_pickled():
    X = frame(noise(), ["F3", "Cz", "F4"])
    transformer = DifferentialEntropyTransformer(sub_windows=2)
    expected = transformer.fit_transform(X)
    np.testing.assert_array_equal(clone(transformer).transform(X), expected)
    again = pickle.loads(pickle.dumps(transformer))
    np.testing.assert_array_equal(again.transform(X), expected)
    assert again.get_feature_names_out().tolist() == transformer.get_feature_names_out().tolist()


def test_it_stands_in_a_column_transformer():
    X = frame(noise(), ["F3", "Cz", "F4"]).assign(subject="a")
    columns = make_column_transformer((DifferentialEntropyTransformer(), ["eeg"]))
    features = columns.set_output(transform="pandas").fit_transform(X)
    assert features.columns[0] == "differentialentropytransformer__theta_F3"


def test_memory_mapped_windows_are_read_as_they_are(tmp_path):
    signals = noise(50, dtype="float32")
    np.save(tmp_path / "windows.npy", signals)
    mapped = np.load(tmp_path / "windows.npy", mmap_mode="r")
    X = pd.DataFrame({"eeg": SignalArray(mapped, sampling_rate=128)}, copy=False)
    assert np.shares_memory(X["eeg"].array.values, mapped)
    np.testing.assert_array_equal(
        DifferentialEntropyTransformer().fit_transform(X),
        DifferentialEntropyTransformer().fit_transform(frame(signals)),
    )


def test_the_temporary_does_not_grow_with_the_number_of_windows():
    peaks = []
    for n_windows in (200, 800):
        signals = noise(n_windows, 4, 640, dtype="float32")
        tracemalloc.start()
        differential_entropy(signals, 128)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 0.5 * signals.nbytes


def test_a_band_that_is_no_pair_is_named():
    with pytest.raises(ValueError, match=r"The band 'alpha' must be \(low, high\) .* got 8"):
        DifferentialEntropyTransformer(bands={"alpha": 8}, sampling_rate=128).fit(noise())


def test_a_band_of_nothing_but_the_mean_has_no_bin():
    windows = np.random.default_rng(0).normal(size=(2, 1, 128))
    with pytest.raises(ValueError, match=r"'slow' \(0 to 0.5 Hz\) has no frequency bin in 1 s"):
        differential_entropy(windows, 128, {"slow": (0, 0.5)})
    assert np.isfinite(differential_entropy(windows, 128, {"slow": (0, 1.5)})).all()


# Artefacts


def eeg_like(n_windows, n_channels, seconds, sampling_rate, seed=0, size=20.0):
    """Pink noise with an alpha rhythm, in microvolts."""
    rng = np.random.default_rng(seed)
    n_times = round(seconds * sampling_rate)
    frequencies = np.fft.rfftfreq(2 * n_times, 1 / sampling_rate)
    gain = 1 / np.maximum(frequencies, 1) * (1 + 3 * (np.abs(frequencies - 10) < 1))
    gain[0] = 0
    shape = n_windows, n_channels, len(frequencies)
    phases = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    signals = np.fft.irfft(phases * gain)[..., :n_times]
    return size * signals / signals.std()


@pytest.mark.parametrize("seconds", [1, 10])
@pytest.mark.parametrize("sampling_rate", [128, 500])
@pytest.mark.parametrize("resolution", [0, 0.5])
def test_clean_eeg_has_no_artefacts_in_any_resolution(seconds, sampling_rate, resolution):
    signals = eeg_like(100, 8, seconds, sampling_rate)
    if resolution:
        signals = np.round(signals / resolution) * resolution
    assert disturbed_channels(signals, sampling_rate).mean() < 0.002


KINDS = ["held", "zero", "rail", "clipped", "step", "steps", "noise lost", "faint"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_an_artefact_makes_its_channel_missing_and_no_other(kind, seed):
    rng = np.random.default_rng(seed)
    seconds, sampling_rate = rng.choice([1, 2, 10]), rng.choice([128, 250, 500])
    signals = eeg_like(3, 4, seconds, sampling_rate, seed) + rng.choice([0, 4000])
    n_times = signals.shape[-1]
    channel = signals[1, 2]
    length = int(n_times * rng.uniform(0.12, 0.9))
    start = rng.integers(0, n_times - length)
    inside = slice(start, start + length)
    place = rng.integers(n_times // 5, n_times - n_times // 5)
    sign = rng.choice([-1, 1])
    if kind == "held":
        channel[inside] = channel[start]
    elif kind == "zero":
        channel[inside] = 0
    elif kind == "rail":
        channel[inside] = sign * 187500
    elif kind == "faint":
        inside = slice(start, start + max(length, n_times // 3))
        level = 10.0 ** rng.integers(-9, -2)
        channel[inside] = level * (channel[inside] - channel.mean())
    elif kind == "clipped":
        limit = rng.uniform(0.5, 1.2) * channel.std()
        channel[:] = channel.mean() + np.clip(channel - channel.mean(), -limit, limit)
    elif kind == "step":
        channel[place:] += sign * rng.uniform(8, 100) * channel.std() * np.sqrt(seconds)
    elif kind == "steps":
        channel[inside] += sign * rng.uniform(8, 100) * channel.std() * np.sqrt(seconds)
    else:
        channel[:] = np.round(channel / 200) * 200
    found = DifferentialEntropyTransformer("map", sampling_rate=sampling_rate).transform(signals)
    disturbed = np.zeros((3, 4), bool)
    disturbed[1, 2] = True
    np.testing.assert_array_equal(np.isnan(found).all(axis=(1, 3)), disturbed)
    assert np.isfinite(np.moveaxis(found, 2, 1)[~disturbed]).all()


def test_a_blink_is_no_artefact_of_the_recording():
    signals = eeg_like(20, 2, 2, 250)
    seconds = np.arange(500) / 250
    signals[:, 0] += 150 * np.exp(-(((seconds - 1) / 0.1) ** 2))
    assert not disturbed_channels(signals, 250).any()


def test_an_artefact_costs_its_own_sub_window():
    signals = eeg_like(1, 2, 10, 128)
    signals[0, 1, 300:380] = 0
    found = DifferentialEntropyTransformer("map", sub_windows=5, sampling_rate=128)
    missing = np.isnan(found.transform(signals)).all(axis=1)[0]
    assert missing.tolist() == [[False] * 5, [False, True, False, False, False]]


def test_artefacts_are_kept_on_request():
    signals = eeg_like(2, 2, 10, 128)
    signals[:, 0, 100:900] = 0
    kept = DifferentialEntropyTransformer("map", sampling_rate=128, reject_artefacts=False)
    np.testing.assert_array_equal(kept.transform(signals), differential_entropy(signals, 128))


def test_recorded_eeg_is_rarely_disturbed_and_where_it_is_flat_it_is(recorded):
    values = segment(recorded, 10)["eeg"].array.values
    found = disturbed_channels(values, 500)
    assert found.mean() < 0.02
    values = values[:50].copy()
    values[:, 3, 1000:2000] = values[:, 3, 1000:1001]
    assert disturbed_channels(values, 500)[:, 3].all()


@pytest.mark.parametrize("size", [0, 30, 100])
def test_slow_waves_stay_out_of_the_bands_of_short_windows(size):
    rng = np.random.default_rng(0)
    whole = eeg_like(1, 4, 300, 128)[0]
    slow = scipy.signal.butter(2, (0.1, 1), "bandpass", fs=128, output="sos")
    waves = scipy.signal.sosfiltfilt(slow, rng.normal(size=whole.shape))
    whole += size * waves / waves.std()
    windows = whole.reshape(4, 300, 128).swapaxes(0, 1)
    expected = []
    for band in BANDS.values():
        sos = scipy.signal.butter(4, band, "bandpass", fs=128, output="sos")
        filtered = scipy.signal.sosfiltfilt(sos, whole).reshape(4, 300, 128).swapaxes(0, 1)
        expected.append(entropy_of(filtered.var(axis=-1)))
    expected = np.stack(expected, axis=1)
    plain, detrended = (
        differential_entropy(windows, 128, detrend=detrend)[..., 0] - expected
        for detrend in (False, True)
    )
    assert (np.abs(detrended.mean(axis=(0, 2))) < 0.25).all()
    assert np.sqrt((detrended**2).mean()) <= np.sqrt((plain**2).mean())
    if size:
        assert (plain.mean(axis=(0, 2))[[0, 3]] > 0.3).all()


def test_a_straight_line_has_no_power_once_it_is_taken_out():
    line = np.linspace(0, 1000, 128)[np.newaxis, np.newaxis]
    assert (differential_entropy(line, 128, detrend=True) < -15).all()


def test_masked_samples_make_their_channel_missing():
    signals = eeg_like(2, 3, 10, 128)
    masked = np.ma.array(signals)
    masked[1, 2, 40:50] = np.ma.masked
    found = DifferentialEntropyTransformer("map", sampling_rate=128).fit_transform(masked)
    assert np.argwhere(np.isnan(found).all(axis=1))[:, :2].tolist() == [[1, 2]]
