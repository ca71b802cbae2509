"""What all transformers of windows have in common."""

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest
from beats import make_ecg, make_pulse
from sklearn.base import clone

from skemo import (
    AccelerometerTransformer,
    DifferentialEntropyTransformer,
    EDATransformer,
    EMGTransformer,
    HRVTransformer,
    QualityTransformer,
    Recording,
    ResampleTransformer,
    RespirationTransformer,
    SignalArray,
    TemperatureTransformer,
    decompose_eda,
    read_windows,
    signal_frame,
    write_windows,
)
from skemo.features.base import WindowTransformer, compute_in_chunks
from skemo.signals import stored
from skemo.signals.stored import StoredSignalArray

TRANSFORMERS = [
    HRVTransformer(),
    HRVTransformer(output="series"),
    EDATransformer(),
    EDATransformer(output="series"),
    DifferentialEntropyTransformer(),
    DifferentialEntropyTransformer(output="map"),
    RespirationTransformer(),
    RespirationTransformer(output="series"),
    RespirationTransformer(signal="ecg"),
    RespirationTransformer(signal="ppg", output="series"),
    TemperatureTransformer(valid_range=None),
    TemperatureTransformer(output="series", valid_range=None),
    AccelerometerTransformer(gravity=1),
    AccelerometerTransformer(output="series", gravity=1),
    EMGTransformer(highpass=20),
    EMGTransformer(output="series", highpass=20),
    ResampleTransformer(rate=64, standardize=True),
]
every_transformer = pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    seconds = np.arange(2560) / 128
    periods = 0.7 + 0.02 * np.arange(6)[:, np.newaxis]
    beats = np.exp(-(((seconds % periods - 0.3) / 0.02) ** 2))
    breath = np.sin(2 * np.pi * 0.25 * seconds)
    values = beats * (1 + 0.1 * breath) + 0.5 * breath + 0.01 * rng.normal(size=beats.shape)
    frame = signal_frame(ecg=SignalArray(values, sampling_rate=128))
    frame.index = pd.Index([7, 3, 5, 1, 9, 2], name="window")
    return frame


def as_array(result):
    return result["ecg"].array.values if isinstance(result, pd.DataFrame) else result


@every_transformer
def test_the_result_for_a_row_depends_on_that_row_alone(transformer, windows):
    whole = as_array(transformer.fit_transform(windows))
    order = [4, 1, 0, 5]
    part = clone(transformer).fit(windows[2:4]).transform(windows.iloc[order])
    np.testing.assert_array_equal(as_array(part), whole[order])
    for i in range(len(windows)):
        alone = as_array(transformer.transform(windows.iloc[[i]]))
        np.testing.assert_array_equal(alone, whole[[i]])


@every_transformer
def test_the_index_of_the_rows_is_kept(transformer, windows):
    result = clone(transformer).set_output(transform="pandas").fit_transform(windows)
    pd.testing.assert_index_equal(result.index, windows.index)


@pytest.fixture
def few_at_a_time(monkeypatch):
    """Read signals in files two windows at a time, and list how many each read returned."""
    blocks, read_rows, found = StoredSignalArray.blocks, stored._read_rows, []

    def small_blocks(self, n_values=1 << 22):
        return blocks(self, min(n_values, 2 * self.dtype.shape[-1]))

    def read(source, rows):
        found.append(len(rows))
        return read_rows(source, rows)

    monkeypatch.setattr(StoredSignalArray, "blocks", small_blocks)
    monkeypatch.setattr(stored, "_read_rows", read)
    return found


@pytest.mark.parametrize(
    "transformer",
    [
        *TRANSFORMERS,
        DifferentialEntropyTransformer(min_quality=0.5),
        HRVTransformer(min_quality=0.5),
        QualityTransformer(),
        QualityTransformer("series", sub_windows=4),
    ],
    ids=str,
)
def test_windows_in_a_file_give_the_same_bits(transformer, windows, tmp_path, few_at_a_time):
    pytest.importorskip("pyarrow")
    write_windows(windows, tmp_path / "windows.parquet")
    in_file = read_windows(tmp_path / "windows.parquet")
    found = clone(transformer).set_output(transform="pandas").fit_transform(in_file)
    assert 0 < max(few_at_a_time) <= 5  # the first five are searched for repeated values
    expected = clone(transformer).set_output(transform="pandas").fit_transform(windows)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize("transformer", [HRVTransformer, RespirationTransformer])
def test_beat_times_in_a_file_give_the_same_bits(transformer, tmp_path, few_at_a_time):
    pytest.importorskip("pyarrow")
    breathing = np.sin(2 * np.pi * 0.25 * 0.85 * np.arange(90) + np.arange(7).reshape(7, 1, 1))
    beats = np.cumsum(0.85 + 0.05 * breathing, axis=2)
    beats[3, 0, 7] = 1
    windows = signal_frame(beats=SignalArray(beats))
    write_windows(windows, tmp_path / "windows.parquet")
    in_file = read_windows(tmp_path / "windows.parquet")
    results = []
    for table in (windows, in_file):
        with pytest.warns(UserWarning, match="of 1 of 7 windows do not increase") as caught:
            results.append(transformer(signal="beats").fit_transform(table))
        assert len(caught) == 1
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("kind", dict.fromkeys(type(transformer) for transformer in TRANSFORMERS))
def test_parameters_are_keyword_only_behind_the_first(kind):
    assert issubclass(kind, WindowTransformer)
    first, *others = list(inspect.signature(kind).parameters.values())
    assert first.kind is first.POSITIONAL_OR_KEYWORD
    assert {parameter.kind for parameter in others} == {first.KEYWORD_ONLY}
    if kind is not ResampleTransformer:  # which has nothing but signals to give
        assert (first.name, first.default) == ("output", "features")


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("n_samples", [0, 1, 2, 6, 20, 99])
def test_chunks_of_any_size_make_the_same_result(n_samples, n_jobs):
    values = np.arange(20.0).reshape(10, 1, 2)
    result = compute_in_chunks(np.square, SignalArray(values), n_samples, n_jobs)
    np.testing.assert_array_equal(result, values**2)


# Most windows missing


def as_windows(values, sampling_rate, name):
    return signal_frame(**{name: SignalArray(values, sampling_rate=sampling_rate)})


def missing_most_of(kind):
    """A transformer, windows of which it can use at most a few, and what it should say."""
    rng = np.random.default_rng(0)
    beats = np.cumsum(rng.normal(0.85, 0.05, (20, 90)), axis=1)
    pulses = np.stack([make_pulse(b, 64, 60) for b in beats])
    noise = rng.normal(size=(20, 3840))
    slow = np.full((20, 960), np.nan)
    slow[:, ::16] = 2 + 0.01 * rng.normal(size=(20, 60))
    flat = np.zeros((20, 1280))
    flat[0] = rng.normal(size=1280)
    cases = {
        "pulse": (HRVTransformer(), noise, 64, "need signal='ppg'"),
        "ecg": (HRVTransformer(signal="ppg"), noise, 64, "need signal='ecg'"),
        "short": (HRVTransformer(), pulses[:, :128], 64, "of 2 s are too short for min_beats=4"),
        "slow": (EDATransformer(), slow, 16, "More than 5% of their samples are NaN"),
        "off": (EDATransformer(), 0.001 * rng.random((20, 240)), 4, "at most off_skin=0.01"),
        "siemens": (EDATransformer(), 2e-6 + 1e-7 * rng.random((20, 240)), 4, "is it in µS"),
        "flat": (DifferentialEntropyTransformer(), flat, 128, "They are flat"),
        "clipped": (
            DifferentialEntropyTransformer(),
            rng.normal(size=(20, 1280)).clip(-1, 1),
            128,
            "partly flat or faint, clipped or have",
        ),
        "resampled": (ResampleTransformer(50, standardize=True), flat, 128, "They are flat"),
        "breath": (RespirationTransformer(), noise[:, :128], 64, "fewer than min_breaths=2"),
        "kelvin": (TemperatureTransformer(), 305 + 0.1 * noise[:, :240], 4, "is it in °C"),
        "worn": (AccelerometerTransformer(), flat, 32, "They are flat"),
        "cut": (EMGTransformer(highpass=20), flat, 128, "They are flat"),
    }
    return cases[kind]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize(
    "kind",
    [
        *("pulse", "ecg", "short", "slow", "off", "siemens", "flat", "clipped", "resampled"),
        *("breath", "kelvin", "worn", "cut"),
    ],
)
def test_a_modality_missing_in_most_windows_warns_once_with_the_reason(kind, plain):
    transformer, values, sampling_rate, reason = missing_most_of(kind)
    X = values if plain else as_windows(values, sampling_rate, "mine")
    transformer.set_params(sampling_rate=sampling_rate if plain else None)
    with pytest.warns(UserWarning, match="come out missing") as caught:
        transformer.fit_transform(X)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert text.startswith(f"{type(transformer).__name__}: ")
    assert (" of 20 windows (" if plain else " of 20 windows of 'mine' (") in text
    assert reason in text


@every_transformer
def test_windows_that_were_missing_before_are_not_told_of(transformer, windows):
    many = pd.concat([windows] * 5)
    many.iloc[2:, 0] = np.nan
    clone(transformer).fit_transform(many)


def test_a_few_missing_windows_are_not_told_of():
    beats = np.arange(0.5, 60, 0.8)
    windows = np.stack([make_ecg(beats, 128, 60)] * 20)
    windows[:9] = np.random.default_rng(0).normal(size=(9, 1)) * np.ones(7680)
    HRVTransformer(sampling_rate=128).fit_transform(windows)
    HRVTransformer(sampling_rate=128).transform(windows[:4])


@pytest.mark.parametrize("unit", [250, 1000, 128])
@pytest.mark.parametrize("n_windows", [1, 20])
@pytest.mark.parametrize("kind", [HRVTransformer, RespirationTransformer])
def test_beats_that_are_not_in_seconds_warn_in_any_number(unit, n_windows, kind):
    beats = np.cumsum(np.random.default_rng(0).normal(0.85, 0.05, (n_windows, 60)), axis=1)
    with pytest.warns(UserWarning, match="divide sample numbers by their sampling rate") as w:
        kind(signal="beats").fit_transform(np.round(unit * beats))
    assert len(w) == 1


@pytest.mark.parametrize(("signal", "lowest"), [("ecg", 50), ("ppg", 10)])
def test_a_rate_too_low_for_intervals_is_refused(signal, lowest):
    beats = np.arange(0.5, 60, 0.8)
    make = make_ecg if signal == "ecg" else make_pulse
    with pytest.raises(ValueError, match=f"needs at least {lowest} Hz. Pass the signal as rec"):
        HRVTransformer(signal=signal, sampling_rate=lowest - 1).fit(
            make(beats, lowest - 1, 60)[None]
        )
    found = HRVTransformer(signal=signal, sampling_rate=lowest, features=["HRV_MeanNN"])
    np.testing.assert_allclose(found.fit_transform(make(beats, lowest, 60)[None]), 800, atol=8)


# Repeated values


@pytest.mark.parametrize("n_repeats", [2, 16])
@pytest.mark.parametrize("first", [0, 1])
def test_values_repeated_to_a_faster_rate_are_noticed(n_repeats, first):
    slow = 2 + np.random.default_rng(0).normal(0, 0.1, (3, 240))
    fast = np.repeat(slow, n_repeats, axis=1)[:, first:]
    with pytest.warns(UserWarning, match=f"of 'eda' is repeated {n_repeats} times: it looks") as w:
        EDATransformer().fit(as_windows(fast, 4 * n_repeats, "eda"))
    assert len(w) == 1
    with pytest.warns(UserWarning, match=f"of 'eda' is repeated {n_repeats} times"):
        decompose_eda(Recording({"eda": fast[0]}, {"eda": 4 * n_repeats}, subject="a"))
    ResampleTransformer(1).fit(as_windows(fast, 4 * n_repeats, "eda"))


@pytest.mark.parametrize("resolution", [0.001, 0.01, 0.05])
def test_a_coarse_signal_was_not_repeated(resolution):
    rng = np.random.default_rng(0)
    walk = 2 + np.cumsum(rng.normal(0, 0.005, (20, 480)), axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        EDATransformer(sampling_rate=8).fit(np.round(walk / resolution) * resolution)
