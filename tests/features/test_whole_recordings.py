"""Skin conductance decomposed by whole recordings, and by convex optimisation."""

import numpy as np
import pytest
from beats import make_pulse
from features.test_eda import EVERY, make_eda, make_frame

from skemo import Recording, find_beats, segment
from skemo.features.eda import EDATransformer
from skemo.features.whole_recordings import decompose_eda
from skemo.kernels.cvxeda import cvxeda
from skemo.kernels.skin_conductance import FEATURES, tonic_phasic

# Whole recordings, decomposed before they are cut


def whole_recording(duration=300, sampling_rate=4):
    eda = make_eda(1, sampling_rate, duration)
    other = np.zeros((1, duration * 8))
    return Recording(
        {"eda": eda, "ppg": other},
        {"eda": sampling_rate, "ppg": 8},
        units={"eda": "µS"},
        subject="a",
        labels=[(0, duration, "rest")],
    )


def test_decompose_eda_changes_the_one_signal_and_nothing_else():
    recording = whole_recording()
    result = decompose_eda(recording)
    assert result.channels["eda"] == ("tonic", "phasic")
    assert list(result.signals) == ["eda", "ppg"]
    assert (result.units["eda"], result.sampling_rates["eda"]) == ("µS", 4)
    assert (result.labels, result.duration) == (recording.labels, recording.duration)
    np.testing.assert_array_equal(result.signals["ppg"], recording.signals["ppg"])
    expected = np.concatenate(tonic_phasic(recording.signals["eda"], 4))
    np.testing.assert_array_equal(result.signals["eda"], expected)


def test_components_are_nearer_to_the_whole_recording_than_parts_of_windows():
    recording = whole_recording()
    _, whole = tonic_phasic(recording.signals["eda"], 4)
    before = segment(map(decompose_eda, [recording]), 60)
    after = segment([recording], 60)
    series = EDATransformer("series", signal="components").fit_transform(before[["eda"]])
    np.testing.assert_array_equal(series["eda"].array.values[:, 1].ravel(), whole[0])
    parted = EDATransformer("series").fit_transform(after[["eda"]])["eda"].array.values[:, 1]
    assert np.abs(parted.ravel() - whole[0]).max() > 0.1

    exact = whole.reshape(5, -1).std(axis=1)
    names = {"features": ["EDA_Phasic_SD"]}
    from_components = EDATransformer(signal="components", **names).fit_transform(before[["eda"]])
    np.testing.assert_allclose(from_components[:, 0], exact)
    from_windows = EDATransformer(**names).fit_transform(after[["eda"]])
    assert np.abs(from_windows[:, 0] - exact).max() > 0.005


@pytest.mark.parametrize("sampling_rate", [4, 700])
def test_one_window_gives_the_features_of_its_components(sampling_rate):
    recording = whole_recording(60, sampling_rate)
    components = segment([decompose_eda(recording)], 60)[["eda"]]
    features = EDATransformer(signal="components").fit_transform(components)
    expected = EDATransformer().fit_transform(segment([recording], 60)[["eda"]])
    tonic_and_phasic = [i for i, name in enumerate(EVERY) if name not in FEATURES["level"]]
    np.testing.assert_allclose(
        features[:, tonic_and_phasic], expected[:, tonic_and_phasic], rtol=0.01
    )


def test_gaps_of_a_recording_stay_gaps_and_leave_the_rest_alone():
    eda = make_eda(1, duration=300)
    holed = eda.copy()
    holed[0, 700:900] = np.nan
    result = decompose_eda(Recording({"eda": holed}, {"eda": 4}, subject="a")).signals["eda"]
    np.testing.assert_array_equal(np.isnan(result), np.isnan(np.tile(holed, (2, 1))))
    expected = np.concatenate(tonic_phasic(eda, 4))[:, :400]
    np.testing.assert_allclose(result[:, :400], expected, atol=0.01)
    empty = decompose_eda(Recording({"eda": np.full(99, np.nan)}, {"eda": 4}, subject="a"))
    assert np.isnan(empty.signals["eda"]).all()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("sampling_rate", [4, 64])
def test_noise_of_electrodes_off_the_skin_leaves_the_windows_beside_it_alone(seed, sampling_rate):
    rng = np.random.default_rng(seed)
    times = np.arange(600 * sampling_rate) / sampling_rate
    eda = 2 + 0.1 * np.sin(times / 20) + rng.normal(0, 0.001, len(times))
    first = rng.integers(60, 400)
    last = first + rng.uniform(0.5, 120)
    noisy = (times >= first) & (times < last)
    loose = np.where(noisy, rng.uniform(0, 0.03, len(times)), eda)

    def phasic(samples):
        recording = Recording({"eda": samples}, {"eda": sampling_rate}, subject="a")
        return decompose_eda(recording).signals["eda"][1]

    found, expected = phasic(loose), phasic(np.where(noisy, np.nan, eda))
    assert np.isnan(found[noisy]).all()
    np.testing.assert_allclose(found[~noisy], expected[~noisy], atol=1e-6)


def test_single_samples_off_the_skin_are_single_gaps():
    eda = make_eda(1, duration=300)
    eda[0, [200, 300, 301, 900]] = 0.0
    result = decompose_eda(Recording({"eda": eda}, {"eda": 4}, subject="a")).signals["eda"]
    assert np.flatnonzero(np.isnan(result[1])).tolist() == [200, 300, 301, 900]


def test_decompose_eda_says_what_it_cannot_take():
    recording = whole_recording()
    with pytest.raises(
        ValueError, match=r"'a' has no signal 'gsr'. Pass name= with one of \['eda', 'ppg'\]"
    ):
        decompose_eda(recording, name="gsr")
    with pytest.raises(ValueError, match=r"has 2 channels of 'eda', \('tonic', 'phasic'\)"):
        decompose_eda(decompose_eda(recording))
    with pytest.raises(ValueError, match=r"one of \['highpass', 'cvxeda'\], got 'smooth'"):
        decompose_eda(recording, method="smooth")


# By convex optimisation


@pytest.mark.parametrize("sampling_rate", [4, 64])
def test_optimised_parts_are_those_of_cvxeda(sampling_rate):
    windows = make_eda(3, sampling_rate, noise=0.002)
    parts = tonic_phasic(windows, sampling_rate, "cvxeda")
    for part, expected in zip(parts, cvxeda(windows, sampling_rate), strict=True):
        np.testing.assert_array_equal(part, expected)
    series = EDATransformer("series", method="cvxeda").fit_transform(
        make_frame(windows, sampling_rate)
    )
    np.testing.assert_array_equal(series["eda"].array.values, np.stack(parts, axis=1))


def test_optimised_parts_explain_a_recording_and_responses_are_positive():
    recording = whole_recording()
    tonic, phasic = decompose_eda(recording, method="cvxeda").signals["eda"]
    eda = recording.signals["eda"][0]
    assert (tonic + phasic - eda).std() < 0.05 * eda.std()
    assert phasic.min() > -0.01 * phasic.max()
    assert phasic.max() > 0.5


def test_optimised_features_have_level_parts_and_responses():
    windows = make_eda(4, noise=0.002)
    features = EDATransformer(method="cvxeda", sampling_rate=4).set_output(transform="pandas")
    table = features.fit_transform(windows)
    tonic, phasic = cvxeda(windows, 4)
    np.testing.assert_allclose(table["EDA_Mean"], windows.mean(axis=1))
    np.testing.assert_allclose(table["EDA_Tonic_Mean"], tonic.mean(axis=1))
    np.testing.assert_allclose(table["EDA_Phasic_SD"], phasic.std(axis=1))
    assert (table["SCR_Peaks_N"] >= 4).all()


@pytest.mark.parametrize("output", ["features", "series"])
def test_optimised_windows_bridge_small_gaps_and_miss_after_large_ones(output):
    windows = make_eda(3)
    windows[1, 20:26] = np.nan
    windows[2, 20:80] = np.nan
    transformer = EDATransformer(output, method="cvxeda", features=EVERY[:4], sampling_rate=4)
    result = transformer.fit_transform(windows)
    assert np.isnan(result).all(axis=1).tolist() == [False, False, True]
    assert np.isfinite(result[:2]).all()
    np.testing.assert_array_equal(transformer.transform(windows[[1]])[0], result[1])


def test_beats_of_a_signal_that_starts_late_are_in_seconds_of_the_recording():
    phase = np.arange(7680) / 256 % 0.8 - 0.4
    signals = {"ecg": np.exp(-((phase / 0.01) ** 2)), "eda": np.zeros(240)}
    rates = {"ecg": 256, "eda": 4}
    early = find_beats(Recording(signals, rates, subject="a"))
    late = find_beats(Recording(signals, rates, subject="a", starts={"ecg": 5.25}))
    np.testing.assert_allclose(late.beats["beats"] - early.beats["beats"], 5.25)


def test_a_recording_with_few_heartbeats_is_told_of():
    noise = np.random.default_rng(0).normal(size=3840)
    recording = Recording({"bvp": noise}, {"bvp": 64}, subject="a")
    with pytest.warns(UserWarning, match="only 0% of 60 s of 'bvp'. .* need signal='ppg'"):
        find_beats(recording, name="bvp")


def test_a_pulse_merged_into_a_faster_table_is_told_of():
    merged = np.full(60 * 256, np.nan)
    merged[::4] = make_pulse(np.arange(0.5, 60, 0.8), 64, 60)
    recording = Recording({"bvp": merged}, {"bvp": 256}, subject="a")
    with pytest.warns(UserWarning, match="pass it at its own sampling rate"):
        find_beats(recording, name="bvp", signal="ppg")


@pytest.mark.parametrize("n_apart", [2, 4, 16])
def test_conductance_merged_into_a_faster_table_is_warned_of_once(n_apart):
    eda = np.full(4 * 120 * n_apart, np.nan)
    eda[::n_apart] = 2 + 0.1 * np.sin(np.arange(480) / 20)
    recording = Recording({"eda": eda}, {"eda": 4 * n_apart}, subject="S2")
    with pytest.warns(UserWarning, match="'S2': in 100% .*NaN. If a slower signal was") as warned:
        decompose_eda(recording)
    assert len(warned) == 1


def test_conductance_off_the_skin_most_of_the_time_is_warned_of():
    eda = np.where(np.arange(480) < 100, 2.0, 0.0)
    recording = Recording({"eda": eda}, {"eda": 4}, subject="S2")
    with pytest.warns(UserWarning, match="83% of the 12 stretches .*off the skin"):
        decompose_eda(recording)
