"""Beats are right or missing, whatever fault a signal has, and wherever it has it."""

import numpy as np
import pytest
from beats import beat_times, found, make_ecg, make_pulse
from scipy.interpolate import interp1d

from skemo import HRVTransformer, Recording, find_beats, segment
from skemo.kernels.heartbeats import channel_beats, r_peaks
from skemo.kernels.hrv import hrv_time, rr_intervals

RATE = {"ecg": 250, "ppg": 64}
MAKE = {"ecg": make_ecg, "ppg": make_pulse}


def breathing_beats(seed, duration=60, mean=0.85):
    """Beats of a heart that follows the breath, without jitter."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    times, time = [], 0.4
    while time < duration - 0.3:
        times.append(time)
        time += mean * (1 + 0.015 * np.sin(2 * np.pi * 0.25 * time + phase))
    return np.array(times)


def rmssd(beats):
    return hrv_time(rr_intervals(beats))["HRV_RMSSD"]


def unbroken_intervals(beats):
    """Pairs of beats that make an RR interval."""
    pairs = np.stack([beats[:-1], beats[1:]], axis=1)
    return pairs[~np.isnan(pairs).any(axis=1)]


def assert_intervals_are_true(beats, truth, tolerance=0.02):
    """Each RR interval is one of the true ones, within a tolerance in seconds."""
    delay = np.median(found(beats) - truth[nearest(truth, found(beats))])
    for begin, end in unbroken_intervals(beats - delay):
        first, last = nearest(truth, [begin, end])
        assert last - first == 1, (begin, end)
        assert abs((end - begin) - (truth[last] - truth[first])) < tolerance, (begin, end)


def nearest(truth, times):
    return np.abs(np.asarray(times)[:, np.newaxis] - truth).argmin(axis=1)


def fault(kind, n_samples, rng, level):
    """A stretch of a signal that shows no heartbeat."""
    return {
        "missing": lambda: np.full(n_samples, np.nan),
        "zero": lambda: np.zeros(n_samples),
        "held": lambda: np.full(n_samples, level),
        "rail": lambda: np.full(n_samples, 5.0),
        "faint": lambda: 10 ** rng.uniform(-4, -2) * rng.normal(size=n_samples),
        "noise": lambda: 10 ** rng.uniform(-1, 0.5) * rng.normal(size=n_samples),
    }[kind]()


@pytest.mark.parametrize("kind", ["missing", "zero", "held", "rail", "faint", "noise"])
@pytest.mark.parametrize("signal", ["ecg", "ppg"])
def test_a_stretch_with_nothing_to_see_costs_itself_and_makes_no_interval(signal, kind):
    rng, rate = np.random.default_rng(0), RATE[signal]
    windows, truths, faults = [], [], []
    for seed in range(24):
        truth = breathing_beats(seed)
        window = MAKE[signal](truth, rate, 60) + 0.002 * rng.normal(size=60 * rate)
        start, seconds = rng.uniform(8, 35), rng.uniform(0.5, 15)
        inside = slice(round(start * rate), round((start + seconds) * rate))
        window[inside] = fault(kind, inside.stop - inside.start, rng, window[inside.start])
        windows.append(window)
        truths.append(truth)
        faults.append((start, start + seconds))
    beats = r_peaks(np.stack(windows), rate, signal=signal)
    off = np.abs(rmssd(beats) / rmssd_of(truths) - 1)
    assert (off < 0.25).mean() > 0.9
    for row, truth, (start, stop) in zip(beats, truths, faults, strict=True):
        delay = np.median(truth[nearest(truth, found(row))] - found(row))
        margin = 1.0 if signal == "ecg" else 3.0
        visible = truth[((truth < start - margin) | (truth > stop + margin)) & (truth > 1)]
        distance = np.abs(visible[:, np.newaxis] - delay - found(row)).min(axis=1)
        assert (distance < 0.03).all()
        assert not ((found(row) > start + 0.6) & (found(row) < stop - 0.6)).any()


def rmssd_of(truths):
    return np.array([rmssd(truth[np.newaxis])[0] for truth in truths])


@pytest.mark.parametrize("hum", [50, 60])
def test_mains_hum_as_high_as_r_does_not_move_the_beats(hum):
    truth = breathing_beats(0)
    times = np.arange(60 * 250) / 250
    ecg = make_ecg(truth, 250, 60) + np.sin(2 * np.pi * hum * times)
    np.testing.assert_allclose(found(r_peaks(ecg[np.newaxis], 250)[0]), truth, atol=0.003)


@pytest.mark.parametrize("rate", [28, 33, 40, 60, 120, 180, 195, 205, 220, 240])
@pytest.mark.parametrize("signal", ["ecg", "ppg"])
def test_a_heart_of_any_rate_is_right_or_missing(signal, rate):
    truth = breathing_beats(0, mean=60 / rate)
    times = np.arange(60 * RATE[signal]) / RATE[signal]
    width = 0.01 if signal == "ecg" else min(0.08, 0.18 * 60 / rate)
    window = np.exp(-0.5 * ((times - truth[:, np.newaxis]) / width) ** 2).sum(axis=0)
    hrv = HRVTransformer(signal=signal, features=["HRV_MeanNN"], sampling_rate=RATE[signal])
    mean_nn = hrv.fit(window[np.newaxis]).transform(window[np.newaxis])[0, 0]
    assert np.isnan(mean_nn) or abs(mean_nn * rate / 60000 - 1) < 0.05
    if signal == "ecg" and rate <= 195:
        assert np.isfinite(mean_nn)


@pytest.mark.parametrize("small", [0.15, 0.2, 0.3, 0.4, 0.6])
def test_every_other_beat_that_is_small_is_found(small):
    truth = breathing_beats(0)
    ecg = make_ecg(truth[::2], 250, 60) + small * make_ecg(truth[1::2], 250, 60)
    ecg += 0.002 * np.random.default_rng(0).normal(size=len(ecg))
    beats = r_peaks(ecg[np.newaxis], 250)[0]
    assert_intervals_are_true(beats, truth)
    assert len(unbroken_intervals(beats)) > 0.9 * len(truth)


def test_an_ectopic_beat_in_a_clean_recording_is_kept():
    truth = breathing_beats(0)
    early = truth.copy()
    early[30] -= 0.3
    normal = np.delete(early, 30)
    times = np.arange(60 * 250) / 250
    wide = 1.2 * np.exp(-0.5 * ((times - early[30]) / 0.03) ** 2)
    wide -= 0.5 * np.exp(-0.5 * ((times - early[30] - 0.12) / 0.04) ** 2)
    beats = found(r_peaks((make_ecg(normal, 250, 60) + wide)[np.newaxis], 250)[0])
    np.testing.assert_allclose(beats, early, atol=0.03)


def with_ectopic_beats(pattern, duration, rate, seed):
    """An ECG whose beats marked V in a repeated pattern are early and wide, and all its beats."""
    rng = np.random.default_rng(seed)
    width, height = rng.uniform(0.02, 0.028), rng.uniform(1, 1.6)
    times, normal, ectopic, time, i = np.arange(duration * rate) / rate, [], [], 0.4, 0
    while time < duration - 0.3:
        kind, following = (pattern[j % len(pattern)] for j in (i, i + 1))
        (ectopic if kind == "V" else normal).append(time)
        step = 0.6 if following == "V" else 1.1 if kind == "V" else 0.85
        time, i = time + step * (1 + 0.01 * rng.normal()), i + 1
    ecg = make_ecg(np.array(normal), rate, duration) + 0.01 * rng.normal(size=len(times))
    for beat in ectopic:
        ecg += height * np.exp(-0.5 * ((times - beat) / width) ** 2)
        ecg -= 0.4 * height * np.exp(-0.5 * ((times - beat - 0.2) / 0.06) ** 2)
    return ecg, np.sort(normal + ectopic)


@pytest.mark.parametrize("pattern", ["NV", "NNV", "NNNNVV"])
@pytest.mark.parametrize("duration", [10, 30])
def test_runs_of_ectopic_beats_are_right_or_missing(pattern, duration):
    ecgs, truths = zip(
        *(with_ectopic_beats(pattern, duration, 250, seed) for seed in range(12)), strict=True
    )
    off = np.abs(rmssd(r_peaks(np.stack(ecgs), 250)) / rmssd_of(truths) - 1)
    assert not (off > 0.25).any()
    assert np.isnan(off).sum() <= 2


@pytest.mark.parametrize("noise", [0, 0.002, 0.01])
@pytest.mark.parametrize("rate", [64, 250])
def test_a_pulse_given_as_an_ecg_or_the_reverse_has_no_beats(rate, noise):
    beats, noise = breathing_beats(0), noise * np.random.default_rng(0).normal(size=60 * rate)
    for signal, other in (("ecg", "ppg"), ("ppg", "ecg")):
        window = (MAKE[signal](beats, rate, 60) + noise)[np.newaxis]
        assert np.isnan(r_peaks(window, rate, signal=other)).all()
        assert np.isfinite(r_peaks(window, rate, signal=signal)).sum() > 60


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_a_pulse_interpolated_from_four_hertz_is_missing_and_that_is_said(kind):
    times, coarse = np.arange(60 * 64) / 64, np.arange(60 * 4) / 4
    pulse = np.stack([make_pulse(breathing_beats(seed), 4, 60) for seed in range(5)])
    fine = interp1d(coarse, pulse, kind, fill_value="extrapolate")(times)
    hrv = HRVTransformer(signal="ppg", sampling_rate=64)
    with pytest.warns(UserWarning, match="not resampled from a lower rate"):
        assert np.isnan(hrv.fit_transform(fine)).all()


@pytest.mark.parametrize("signal", ["ecg", "ppg"])
def test_plain_windows_have_the_beats_that_close_judgement_finds(signal, monkeypatch):
    rng, rate = np.random.default_rng(0), RATE[signal]
    windows = np.stack([MAKE[signal](beat_times(seed, 20), rate, 20) for seed in range(40)])
    windows += np.linspace(0, 0.3, 40)[:, np.newaxis] * rng.normal(size=windows.shape)
    expected = r_peaks(windows, rate, signal=signal)

    def none_is_plain(candidates, cosines, signal):
        return np.zeros((2, len(candidates.rows)), bool)

    monkeypatch.setattr("skemo.kernels.beat_judgement._plain", none_is_plain)
    np.testing.assert_array_equal(r_peaks(windows, rate, signal=signal), expected)


def biphasic_ecg(truth, rate, duration):
    """R and S of the same height, one or the other a little larger as time goes on."""
    times = np.arange(duration * rate) / rate
    turn = 0.15 * np.sin(2 * np.pi * truth / 47)[:, np.newaxis]
    since = times - truth[:, np.newaxis]
    up = (1 - turn) * np.exp(-0.5 * (since / 0.008) ** 2)
    down = (1 + turn) * np.exp(-0.5 * ((since - 0.035) / 0.008) ** 2)
    return (up - down).sum(axis=0)


def test_a_biphasic_qrs_is_placed_on_one_wave_throughout_a_recording():
    truth = breathing_beats(0, duration=200)
    ecg = biphasic_ecg(truth, 250, 200)
    beats = find_beats(Recording({"ecg": ecg}, {"ecg": 250}, subject="A")).beats["beats"]
    assert len(beats) == len(truth)
    assert np.ptp(beats - truth) < 0.004


@pytest.mark.parametrize("kind", ["ecg", "ppg"])
def test_a_signal_upside_down_has_the_same_beats(kind):
    windows = np.stack(
        [
            MAKE[kind](breathing_beats(seed, mean=0.6 + 0.05 * seed), RATE[kind], 60)
            for seed in range(8)
        ]
    )
    windows += 0.01 * np.random.default_rng(0).normal(size=windows.shape)
    upright = r_peaks(windows, RATE[kind], signal=kind)
    np.testing.assert_allclose(
        r_peaks(-windows, RATE[kind], signal=kind), upright, atol=1e-4, equal_nan=True
    )
    recordings = [
        find_beats(
            Recording({"x": sign * windows.ravel()}, {"x": RATE[kind]}, subject="A"),
            name="x",
            signal=kind,
        )
        for sign in (1, -1)
    ]
    one, other = (recording.beats["beats"] for recording in recordings)
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_second_lead_steps_in_where_the_first_is_lost_and_shifts_no_interval():
    truth = breathing_beats(0, duration=120)
    first, second = make_ecg(truth, 250, 120), -make_ecg(truth + 0.03, 250, 120)
    for start in (12, 50, 90):
        first[start * 250 : (start + 14) * 250] = 0
    both = np.stack([first, second])
    recording = find_beats(Recording({"ecg": both}, {"ecg": 250}, subject="A"))
    np.testing.assert_allclose(recording.beats["beats"], truth, atol=0.005)
    assert recording.beat_gaps["beats"] == ()
    window = channel_beats(both[np.newaxis], 250)[0]
    np.testing.assert_allclose(found(window), truth, atol=0.005)
    assert len(unbroken_intervals(window)) == len(truth) - 1


def test_leads_that_never_show_beats_together_leave_a_gap_between_them():
    truth = breathing_beats(0)
    first, second = make_ecg(truth, 250, 60), make_ecg(truth + 0.03, 250, 60)
    first[30 * 250 :] = 0
    second[: 30 * 250] = 0
    recording = find_beats(Recording({"ecg": np.stack([first, second])}, {"ecg": 250}, subject="A"))
    assert len(recording.beats["beats"]) >= len(truth) - 1
    ((start, stop),) = recording.beat_gaps["beats"]
    assert start < 30 < stop


def test_gaps_of_a_recording_go_along_into_windows():
    truth = breathing_beats(0, duration=120)
    ecg = make_ecg(truth, 250, 120) + 0.002 * np.random.default_rng(0).normal(size=120 * 250)
    ecg[round(31.2 * 250) : round(32.6 * 250)] = np.nan
    recording = find_beats(Recording({"ecg": ecg}, {"ecg": 250}, subject="A"))
    ((start, stop),) = recording.beat_gaps["beats"]
    assert start < 31.3
    assert stop > 32.5
    windows = segment(recording, 20)
    assert windows["beats"].dtype.channels == ("ecg",)
    for row, begin in zip(windows["beats"].array.values[:, 0], windows["start"], strict=True):
        assert_intervals_are_true(row, truth - begin)
    n_nan = np.isnan(windows["beats"].array.values[:, 0])
    inner = n_nan[:, :-1] & ~n_nan[:, 1:]
    assert inner.sum(axis=1).tolist() == [0, 1, 0, 0, 0, 0]


def test_beats_of_a_pulse_are_treated_as_windows_of_a_pulse():
    truth = beat_times(0, duration=240)
    recording = Recording({"bvp": make_pulse(truth, 64, 240)}, {"bvp": 64}, subject="A")
    windows = segment(find_beats(recording, name="bvp", signal="ppg"), 60)
    beats = windows["beats"].array.values.copy()
    beats[:, 0, 20:-1] = beats[:, 0, 21:]  # one that is missed
    windows["beats"] = type(windows["beats"].array)(beats, channels=["ppg"])
    names = ["HRV_RMSSD", "HRV_MaxNN"]
    auto, asked, plain = (
        HRVTransformer(signal="beats", features=names, max_deviation=deviation).fit_transform(
            windows[["beats"]]
        )
        for deviation in ("auto", 0.25, None)
    )
    np.testing.assert_array_equal(auto, asked)
    assert (auto[:, 1] < 1200).all()
    assert (plain[:, 1] > 1400).all()


def test_beats_of_different_sources_are_not_mixed_in_one_column():
    ecg = Recording(
        {"ecg": np.zeros(2500)},
        {"ecg": 250},
        subject="A",
        beats={"beats": np.arange(1, 9)},
        beat_sources={"beats": "ecg"},
    )
    pulse = Recording(
        {"ecg": np.zeros(2500)},
        {"ecg": 250},
        subject="B",
        beats={"beats": np.arange(1, 9)},
        beat_sources={"beats": "ppg"},
    )
    with pytest.raises(ValueError, match=r"'beats' are beats of 'ecg' in .*'A', and of 'ppg'"):
        segment([ecg, pulse], 5)


def test_beats_that_are_not_in_seconds_are_told():
    truth = breathing_beats(0)
    signals, rates = {"eda": np.zeros(240)}, {"eda": 4}
    for factor in (250, 1000, 2):
        with pytest.warns(UserWarning, match="Are they in seconds, from the start"):
            Recording(signals, rates, subject="A", beats={"beats": factor * truth})
    hrv = HRVTransformer(signal="beats")
    with pytest.warns(UserWarning, match=r"The beats are 21\d.* s apart"):
        assert np.isnan(hrv.fit(truth[np.newaxis]).transform(250 * truth[np.newaxis])).all()


def test_beats_are_corrected_where_that_is_asked():
    truth = beat_times(0, duration=60)
    frame = np.delete(truth, 30)[np.newaxis]
    plain, corrected = (
        HRVTransformer(signal="beats", features=["HRV_MaxNN"], correct_beats=correct).fit_transform(
            frame
        )
        for correct in (False, True)
    )
    assert corrected[0, 0] < 1100 < plain[0, 0]
    ecg = make_ecg(np.delete(truth, 30), 250, 60)
    times = [
        find_beats(Recording({"ecg": ecg}, {"ecg": 250}, subject="A"), correct_beats=correct).beats[
            "beats"
        ]
        for correct in (False, True)
    ]
    assert len(times[0]) in (len(truth) - 1, len(truth))
    assert len(times[1]) >= len(times[0])


@pytest.mark.parametrize("colour", [0, 0.5, 1, 2])
def test_a_window_of_noise_has_no_beats_beside_one_that_has(colour):
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.normal(size=(100, 2500)))
    spectrum[:, 1:] /= np.arange(1, spectrum.shape[1]) ** colour
    noise = np.fft.irfft(spectrum, 2500)
    noise[::2] = make_ecg(breathing_beats(0, duration=10), 250, 10)
    beats = r_peaks(noise, 250)
    assert (~np.isnan(beats[::2])).any(axis=1).all()
    assert np.isnan(beats[1::2]).all(axis=1).mean() > 0.97
