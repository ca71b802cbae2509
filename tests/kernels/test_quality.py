"""Quality of signals: closed forms, properties, and agreement with NeuroKit2."""

import tracemalloc

import numpy as np
import pytest
import scipy.signal
from beats import beat_times, cut, make_ecg, make_pulse
from sklearn.metrics import roc_auc_score

from skemo import HRVTransformer
from skemo.kernels.quality import QUALITY, _density, _second_beats, beat_agreement, signal_quality
from skemo.kernels.skin_conductance import OFF_SKIN

RATES = {"ecg": 250, "ppg": 64, "eda": 4, "eeg": 256, "acc": 32}
DURATION = 20.0


def clean_windows(kind, n_windows=6):
    """Windows (n_windows, n_channels, n_times) of a clean signal."""
    rate = RATES[kind]
    rng = np.random.default_rng(0)
    times = np.arange(round(DURATION * rate)) / rate
    if kind in ("ecg", "ppg"):
        make = make_ecg if kind == "ecg" else make_pulse
        beats = [beat_times(i, DURATION, spread=0.03) for i in range(n_windows)]
        windows = np.array([make(each, rate, DURATION) for each in beats])[:, np.newaxis]
        return windows + 1e-3 * rng.normal(size=windows.shape)
    if kind == "eda":
        level = rng.uniform(1, 5, (n_windows, 1, 1))
        return level + 0.1 * np.sin(times / 5) + 1e-3 * rng.normal(size=(n_windows, 1, len(times)))
    if kind == "eeg":
        alpha = np.sin(2 * np.pi * 10 * times + rng.uniform(0, 6, (n_windows, 4, 1)))
        return 10 * alpha + 2 * rng.normal(size=alpha.shape)
    gravity = np.array([0.0, 0.6, 0.8])[:, np.newaxis]
    return gravity + 1e-3 * rng.normal(size=(n_windows, 3, len(times)))


def whole(windows, kind):
    return signal_quality(windows, RATES[kind], kind)[QUALITY[kind][-1]]


@pytest.mark.parametrize("kind", QUALITY)
def test_a_clean_signal_is_of_high_quality(kind):
    assert whole(clean_windows(kind), kind).min() > 0.8


@pytest.mark.parametrize("kind", QUALITY)
@pytest.mark.parametrize("seed", range(3))
def test_all_numbers_lie_between_0_and_1(kind, seed):
    rng = np.random.default_rng(seed)
    windows = clean_windows(kind)
    windows = np.concatenate([windows, rng.normal(size=windows.shape), 0 * windows])
    windows[::3, :, : rng.integers(1, 40)] = np.nan
    windows[1::3, :, 40 : rng.integers(50, 300)] *= 1e6
    numbers = signal_quality(windows, RATES[kind], kind)
    assert tuple(numbers) == QUALITY[kind]
    for values in numbers.values():
        assert ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize("kind", ["ecg", "ppg", "eeg"])
def test_unit_and_offset_do_not_matter(kind):
    windows = clean_windows(kind)
    windows += np.random.default_rng(1).normal(size=windows.shape) * windows.std() / 4
    numbers = signal_quality(windows, RATES[kind], kind)
    changed = signal_quality(3e-6 * windows + 2e-4, RATES[kind], kind)
    for name in QUALITY[kind]:
        np.testing.assert_allclose(changed[name], numbers[name], atol=1e-3)


def test_the_unit_of_an_accelerometer_does_not_matter():
    windows = clean_windows("acc")
    np.testing.assert_allclose(whole(64 * windows, "acc"), whole(windows, "acc"))


def test_the_polarity_of_an_ecg_does_not_matter():
    windows = clean_windows("ecg")
    np.testing.assert_allclose(whole(-windows, "ecg"), whole(windows, "ecg"), atol=0.02)


@pytest.mark.parametrize("kind", QUALITY)
def test_quality_falls_as_noise_is_added(kind):
    windows = clean_windows(kind, n_windows=20)
    noise = np.random.default_rng(1).normal(size=windows.shape)
    amounts = np.array([0, 0.1, 0.3, 1, 3])
    scale = windows.std(axis=-1, keepdims=True) if kind in ("ecg", "ppg") else 1.0
    if kind == "eeg":
        scale = 30.0
    qualities = [whole(windows + amount * scale * noise, kind).mean() for amount in amounts]
    assert np.diff(qualities).max() <= 1e-3
    assert qualities[-1] < qualities[0] - 0.3


@pytest.mark.parametrize("kind", QUALITY)
def test_what_is_not_there_has_no_quality(kind):
    windows = clean_windows(kind)
    windows[2] = np.nan
    for values in signal_quality(windows, RATES[kind], kind).values():
        assert np.isnan(values[2]).all()
        assert np.isfinite(np.delete(values, 2, axis=0)).all()


@pytest.mark.parametrize("kind", QUALITY)
def test_zeros_have_the_quality_0(kind):
    np.testing.assert_array_equal(whole(0 * clean_windows(kind), kind), 0)


@pytest.mark.parametrize("kind", QUALITY)
def test_a_window_does_not_depend_on_those_beside_it(kind):
    windows = clean_windows(kind, n_windows=9)
    windows[3, :, 50:90] = np.nan
    together = signal_quality(windows, RATES[kind], kind)
    for i in range(len(windows)):
        alone = signal_quality(windows[i : i + 1], RATES[kind], kind)
        for name, values in alone.items():
            np.testing.assert_array_equal(values[0], together[name][i])


@pytest.mark.parametrize("kind", QUALITY)
def test_single_precision_gives_nearly_the_same(kind):
    windows = clean_windows(kind)
    numbers = signal_quality(windows, RATES[kind], kind)
    single = signal_quality(windows.astype(np.float32), RATES[kind], kind)
    for name in QUALITY[kind]:
        np.testing.assert_allclose(single[name], numbers[name], atol=1e-3)


@pytest.mark.parametrize("kind", QUALITY)
def test_the_share_that_is_missing_is_counted(kind):
    windows = clean_windows(kind)
    n_times = windows.shape[-1]
    windows[..., n_times // 4 : n_times // 2] = np.nan
    numbers = signal_quality(windows, RATES[kind], kind)
    missing = next(values for name, values in numbers.items() if name.endswith("_Missing"))
    np.testing.assert_allclose(missing, 0.25, atol=0.01)
    assert (whole(windows, kind) <= 0.75).all()


def test_memory_does_not_grow_with_the_number_of_windows():
    peaks = []
    for n_windows in (200, 800):
        windows = np.repeat(clean_windows("ecg")[:1].astype("f4"), n_windows, axis=0)
        tracemalloc.start()
        signal_quality(windows, 250, "ecg")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.parametrize("kind", ["ecg", "ppg"])
def test_of_two_channels_the_better_one_counts(kind):
    windows = clean_windows(kind)
    noise = np.random.default_rng(0).normal(size=windows.shape)
    both = np.concatenate([windows, noise], axis=1)
    np.testing.assert_array_equal(whole(both, kind), whole(windows, kind))


@pytest.mark.parametrize("kind", ["ecg", "ppg"])
def test_a_half_without_beats_halves_the_coverage(kind):
    windows = clean_windows(kind)
    windows[..., windows.shape[-1] // 2 :] = windows[..., windows.shape[-1] // 2, np.newaxis]
    numbers = signal_quality(windows, RATES[kind], kind)
    np.testing.assert_allclose(numbers[f"{kind.upper()}_Coverage"], 0.5, atol=0.1)
    np.testing.assert_allclose(numbers[f"{kind.upper()}_Flat"], 0.5, atol=0.01)


def test_two_forms_of_beat_in_turn_are_no_fault():
    beats = 0.5 + 0.8 * np.arange(24)
    ecg = make_ecg(beats[::2], 250, DURATION)
    seconds = np.arange(len(ecg)) / 250
    for beat in beats[1::2]:  # wide and of the other sign
        ecg -= 1.2 * np.exp(-0.5 * ((seconds - beat) / 0.04) ** 2)
    likeness = signal_quality(ecg[np.newaxis, np.newaxis], 250, "ecg")["ECG_Likeness"]
    assert likeness > 0.95


def test_a_steady_heart_is_no_ratio_of_rounding_errors():
    ecg = make_ecg(0.5 + 0.8 * np.arange(24), 250, DURATION)
    numbers = signal_quality(ecg[np.newaxis, np.newaxis], 250, "ecg")
    assert numbers["ECG_RMSSDAgreement"] > 0.6


def test_what_is_cut_off_by_the_rails_is_clipped():
    seconds = np.arange(5000) / 250
    sine = np.sin(2 * np.pi * seconds)
    cut = np.clip(sine, -np.inf, np.sin(np.pi / 4))  # above it for a quarter of the time
    numbers = signal_quality(np.stack([sine, cut])[:, np.newaxis], 250, "eeg")
    np.testing.assert_allclose(numbers["EEG_Clipped"][:, 0], [0, 0.25], atol=0.01)


def test_a_baseline_that_is_the_lowest_value_is_not_clipped():
    beats = 0.5 + 0.8 * np.arange(24)
    seconds = np.arange(5000) / 250
    ecg = np.exp(-(((seconds - beats[:, np.newaxis]) / 0.01) ** 2)).sum(axis=0)
    assert signal_quality(ecg[np.newaxis, np.newaxis], 250, "ecg")["ECG_Clipped"] == 0


def test_powers_are_those_of_neurokit2():
    nk = pytest.importorskip("neurokit2")
    windows = clean_windows("ecg")[:, 0]
    windows = windows + 0.05 * np.random.default_rng(0).normal(size=windows.shape)
    cleaned = np.array([nk.ecg_clean(window, RATES["ecg"]) for window in windows])
    numbers = signal_quality(cleaned[:, np.newaxis], RATES["ecg"])
    bands = [(0, 1), (0, 40), (5, 15), (5, 40)]
    settings = {"method": "welch", "normalize": False, "window": 1024, "silent": True}
    powers = [nk.signal_power(w, bands, RATES["ecg"], **settings).to_numpy()[0] for w in cleaned]
    low, below, qrs, above = np.array(powers).T  # of its zhao2018: 1 - basSQI, and pSQI
    np.testing.assert_allclose(numbers["ECG_QRSPower"], qrs / above, rtol=1e-6)
    np.testing.assert_allclose(numbers["ECG_BaselinePower"], low / below, atol=0.005)


def test_beats_that_both_detectors_found_are_counted():
    beats = np.array([[1.0, 2.0, 3.0, np.nan], [np.nan] * 4, [1.0, 2.0, 3.0, 4.0]])
    others = np.array([[1.05, 2.2, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    np.testing.assert_allclose(beat_agreement(beats, others), [2 * 2 / 6, 0, 2 * 3 / 7])


def test_a_shift_of_both_detectors_leaves_their_agreement():
    rng = np.random.default_rng(0)
    beats = np.cumsum(rng.uniform(0.6, 1, (20, 30)), axis=1)
    others = beats + rng.normal(0, 0.06, beats.shape)
    shifted = beat_agreement(beats + 7, others + 7)
    np.testing.assert_array_equal(shifted, beat_agreement(beats, others))


def test_seconds_off_the_skin_and_around_a_step_are_counted():
    eda = np.full((2, 1, 240), 2.0) + 1e-3 * np.random.default_rng(0).normal(size=(2, 1, 240))
    eda[0, 0, :60] = 0.0
    eda[1, 0, 120:] += 3.0
    numbers = signal_quality(eda, 4, "eda")
    np.testing.assert_allclose(numbers["EDA_OffSkin"], [0.25, 0])
    np.testing.assert_allclose(numbers["EDA_Step"], [41 / 240, 41 / 240])
    np.testing.assert_allclose(numbers["EDA_Quality"][1], 1 - 41 / 240)


def test_dry_skin_is_not_off_the_skin():
    seconds = np.arange(240) / 4
    dry = 0.03 + 1e-3 * np.sin(seconds / 5)
    off = np.full(240, OFF_SKIN)
    numbers = signal_quality(np.stack([dry, off])[:, np.newaxis], 4, "eda")
    np.testing.assert_array_equal(numbers["EDA_OffSkin"], [0, 1])


def test_a_skin_conductance_response_is_no_step():
    seconds = np.arange(240) / 4
    since = np.maximum(seconds - 30, 0)
    response = 2 * (np.exp(-since / 2) - np.exp(-since / 0.75))  # 0.6 µS within 1.2 s
    numbers = signal_quality((2 + response)[np.newaxis, np.newaxis], 4, "eda")
    assert numbers["EDA_Step"] == 0


def test_a_conductance_at_the_end_of_the_scale_is_clipped():
    eda = np.full((1, 1, 240), 50.0) + np.arange(240) / 100
    eda[..., 180:] = 100.0
    assert signal_quality(eda, 4, "eda")["EDA_Clipped"] == 0.25


@pytest.mark.parametrize("mains", [50, 60])
def test_mains_and_muscle_are_parts_of_the_power(mains):
    seconds = np.arange(2560) / 256
    alpha, hum = (np.sin(2 * np.pi * f * seconds) for f in (10, mains))
    muscle = np.sin(2 * np.pi * 80 * seconds)
    windows = np.stack([3 * alpha + hum, 3 * alpha + muscle])[:, np.newaxis]
    numbers = signal_quality(windows, 256, "eeg")
    np.testing.assert_allclose(numbers["EEG_Mains"][:, 0], [0.1, 0], atol=1e-3)
    np.testing.assert_allclose(numbers["EEG_Muscle"][:, 0], [0, 0.1], atol=1e-3)


def test_a_channel_unlike_the_others_has_another_amplitude():
    windows = clean_windows("eeg")
    windows[:, 1] *= 6
    windows[:, 2] /= 12
    amplitude = signal_quality(windows, 256, "eeg")["EEG_Amplitude"].mean(axis=0)
    np.testing.assert_allclose(amplitude, [1, 0.5, 0.25, 1], rtol=0.05)


def test_a_burst_takes_away_the_steadiness():
    windows = clean_windows("eeg")
    windows[:, 0, 1024:1280] *= 50
    steadiness = signal_quality(windows, 256, "eeg")["EEG_Steadiness"]
    np.testing.assert_allclose(steadiness[:, 0], 0.1, rtol=0.1)
    np.testing.assert_allclose(steadiness[:, 1:], 1)


def test_a_channel_that_is_flat_for_a_part_of_the_window_is_told():
    windows = clean_windows("eeg")
    windows[:, 3, :1280] = 4.0
    flat = signal_quality(windows, 256, "eeg")["EEG_Flat"]
    np.testing.assert_allclose(flat, [[0, 0, 0, 0.25]] * 6)


def test_a_tenth_of_gravity_is_motion_by_half():
    seconds = np.arange(640) / 32
    acc = np.zeros((1, 3, 640))
    acc[:, 2] = 1 + 0.1 * np.sqrt(2) * np.sin(2 * np.pi * 4 * seconds)
    np.testing.assert_allclose(signal_quality(acc, 32, "acc")["ACC_Motion"], 0.5, atol=0.01)


def test_an_unknown_kind_of_signal_is_refused():
    with pytest.raises(ValueError, match=r"signal must be one of \['ecg', .*\], got 'egg'\."):
        signal_quality(np.zeros((1, 1, 100)), 100, "egg")


def test_windows_without_channels_are_refused():
    with pytest.raises(ValueError, match=r"\(n_windows, n_channels, n_times\), got \(3, 100\)\."):
        signal_quality(np.zeros((3, 100)), 100, "ecg")


def noisy_ecg(amounts):
    ecg = np.concatenate([clean_windows("ecg", 1)[0] for _ in amounts])
    noise = np.random.default_rng(0).normal(size=ecg.shape)
    return ecg + np.asarray(amounts)[:, np.newaxis] * noise


def test_powers_are_those_of_neurokit():
    nk = pytest.importorskip("neurokit2")
    windows = noisy_ecg([0, 0.05, 0.1, 0.2, 0.5])
    cleaned = np.array([nk.ecg_clean(window, 250) for window in windows])
    numbers = signal_quality(cleaned[:, np.newaxis], 250, "ecg")
    # What NeuroKit2's ecg_quality(method="zhao2018") calls pSQI and 1 - basSQI.
    bands = [(0, 1), (0, 40), (5, 15), (5, 40)]
    for i, window in enumerate(cleaned):
        power = nk.signal_power(
            window, bands, 250, method="welch", normalize=False, window=1024, silent=True
        )
        low, below, qrs, above = power.to_numpy()[0]
        np.testing.assert_allclose(numbers["ECG_QRSPower"][i], qrs / above, rtol=0.02)
        np.testing.assert_allclose(numbers["ECG_BaselinePower"][i], low / below, atol=2e-3)


def test_likeness_orders_windows_as_neurokit_does():
    nk = pytest.importorskip("neurokit2")
    windows = noisy_ecg(np.linspace(0, 0.3, 12))
    ours = signal_quality(windows[:, np.newaxis], 250, "ecg")["ECG_Likeness"]
    theirs = [
        np.nanmean(nk.ecg_quality(nk.ecg_clean(w, 250), sampling_rate=250, method="templatematch"))
        for w in windows
    ]
    ranks = [np.argsort(np.argsort(values)) for values in (ours, theirs)]
    assert np.corrcoef(*ranks)[0, 1] > 0.95


@pytest.mark.parametrize("record", ["106", "119"])
def test_quality_tells_which_windows_of_a_recorded_ecg_are_wrong(data_home, record):
    stored = np.load(data_home / "mitdb" / f"{record}.npz")
    ecg, beats, n_times = stored["ecg"].astype(float), stored["beats"], 30 * 360
    rng = np.random.default_rng(0)
    windows, true = [], []
    for amount in (0, 0.1, 0.2, 0.4, 0.8):  # mV, of noise like that of muscles
        windows.append(cut(ecg + amount * rng.normal(size=len(ecg)), 360, 30))
        edges = np.arange(len(windows[0])) * n_times
        inside = [beats[(beats >= edge) & (beats < edge + n_times)] / 0.36 for edge in edges]
        true += [np.sqrt(np.mean(np.diff(each, 2) ** 2)) for each in inside]
    windows = np.concatenate(windows)
    found = HRVTransformer(features="HRV_RMSSD", sampling_rate=360).fit_transform(windows)[:, 0]
    quality = signal_quality(windows[:, np.newaxis], 360, "ecg")["ECG_Quality"]
    known = ~np.isnan(found)
    off = (np.abs(found - true) > 0.25 * np.array(true))[known]
    assert off.mean() > 0.02
    assert roc_auc_score(off, -quality[known]) > 0.9


def test_two_equal_samples_at_the_top_of_a_beat_are_one_beat():
    rising = np.zeros((1, 60))
    rising[0, [9, 10, 11, 12]] = rising[0, [39, 40, 41, 42]] = 1, 2, 2, 1
    beats = _second_beats(rising, 20)[0]
    assert beats[~np.isnan(beats)] == pytest.approx([10.5 / 20, 40.5 / 20])


@pytest.mark.parametrize("n_segment", [64, 255, 1000])
def test_power_densities_agree_with_scipy(n_segment):
    windows = np.random.default_rng(0).normal(size=(5, 2, 500))
    n = min(n_segment, 500)
    theirs = scipy.signal.welch(windows, 128, nperseg=n, nfft=2 * n, detrend=False)
    for one, other in zip(_density(windows, 128, n_segment), theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
