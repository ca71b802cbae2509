"""Heartbeats against annotations, against NeuroKit2, and where there are none."""

import sys
import tracemalloc
import warnings

import numpy as np
import pytest
from beats import beat_times, cut, found, make_ecg

from skemo import HRVTransformer, Recording, find_beats, segment
from skemo.kernels.heartbeats import r_peaks


def accuracy(windows, annotated, duration, tolerance=0.05):
    """Sensitivity and precision of beat times; `annotated` counts from the first window."""
    hits = n_found = n_annotated = 0
    for i, window in enumerate(windows):
        truth = annotated[(annotated >= i * duration) & (annotated < (i + 1) * duration)]
        beats = found(window)
        n_found += len(beats)
        n_annotated += len(truth)
        if len(beats):
            truth = truth - i * duration
            nearest = np.abs(truth[:, np.newaxis] - beats).argmin(axis=1)
            matched = np.abs(beats[nearest] - truth) <= tolerance
            hits += len(np.unique(nearest[matched]))
    return hits / n_annotated, hits / n_found


def neurokit_windows(windows, sampling_rate):
    """NeuroKit2's default detector, window after window."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import neurokit2 as nk

        beats = []
        for window in windows:
            clean = nk.ecg_clean(window, sampling_rate=sampling_rate)
            peaks = nk.ecg_peaks(clean, sampling_rate=sampling_rate)[1]["ECG_R_Peaks"]
            beats.append(np.asarray(peaks, float) / sampling_rate)
    return beats


@pytest.fixture(scope="module")
def mitdb(data_home):
    """Record 100: its first lead, sampling rate and annotated beats in seconds."""
    wfdb = pytest.importorskip("wfdb")
    path = str(data_home / "mitdb" / "100")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of wfdb's, under pandas 3.1
        record, annotation = wfdb.rdrecord(path), wfdb.rdann(path, "atr")
    is_beat = np.isin(annotation.symbol, list("NLRBAaJSVrFejnE/fQ?"))
    return record.p_signal[:, 0], record.fs, annotation.sample[is_beat] / record.fs


@pytest.fixture(scope="module")
def eegmat_ecg(data_home):
    """Windows of 10 s of the ECG of every recording, at 500 Hz."""
    edfio = pytest.importorskip("edfio")
    windows = {}
    for path in sorted((data_home / "eegmat").glob("*.edf")):
        recording = edfio.read_edf(path)
        ecg = next(signal for signal in recording.signals if signal.label == "ECG ECG")
        n_windows = len(ecg.data) // 5000
        windows[path.stem] = ecg.data[: n_windows * 5000].reshape(n_windows, 5000)
    return windows


def add_noise(ecg, sampling_rate):
    """White noise of 0.15 mV and a baseline that wanders by half a millivolt at 0.3 Hz."""
    times = np.arange(len(ecg)) / sampling_rate
    noise = 0.15 * np.random.default_rng(0).standard_normal(len(ecg))
    return ecg + noise + 0.5 * np.sin(2 * np.pi * 0.3 * times)


@pytest.mark.parametrize("sampling_rate", [128, 256, 360, 500, 1000])
def test_r_peaks_are_found_within_two_milliseconds_at_any_usual_rate(sampling_rate):
    truth = [beat_times(seed) for seed in range(5)]
    windows = np.stack([make_ecg(beats, sampling_rate, 10) for beats in truth])
    for beats, expected in zip(r_peaks(windows, sampling_rate), truth, strict=True):
        np.testing.assert_allclose(found(beats), expected, atol=0.002)


@pytest.mark.parametrize("mean", [0.4, 0.6, 1.0, 1.5])
def test_slow_and_fast_hearts_are_followed(mean):
    truth = beat_times(0, duration=20, mean=mean, spread=0.02)
    beats = found(r_peaks(make_ecg(truth, 256, 20)[np.newaxis], 256)[0])
    np.testing.assert_allclose(beats, truth, atol=0.002)


@pytest.mark.parametrize("phase", [0, 2, 4])
def test_a_heart_around_the_limit_has_no_intervals_of_two_beats(phase):
    intervals = 0.3 + 0.003 * np.sin(2 * np.pi * np.arange(195) / 40 + phase)
    truth = 0.4 + np.cumsum(intervals)
    ecg = make_ecg(truth, 250, 60)
    assert np.nanmax(np.diff(r_peaks(ecg[np.newaxis], 250)), initial=0) < 0.45


@pytest.mark.parametrize("edge", [0.02, 0.05, 0.1, 0.2])
def test_a_beat_close_to_an_edge_is_found(edge):
    truth = np.array([edge, 0.9, 1.8, 2.7, 3.6, 4.5, 6 - edge])
    beats = found(r_peaks(make_ecg(truth, 256, 6)[np.newaxis], 256)[0])
    np.testing.assert_allclose(beats, truth, atol=0.01)


def test_a_beat_just_outside_the_window_is_not_reported():
    truth = np.array([-0.03, 0.9, 1.8, 2.7, 3.6, 4.5, 6.03])
    beats = found(r_peaks(make_ecg(truth, 256, 6)[np.newaxis], 256)[0])
    np.testing.assert_allclose(beats, truth[1:-1], atol=0.01)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda ecg: 10 * ecg, id="scaled"),
        pytest.param(lambda ecg: 1e-6 * ecg, id="in volts"),
        pytest.param(lambda ecg: -ecg, id="inverted"),
        pytest.param(lambda ecg: ecg + 300.0, id="offset"),
    ],
)
def test_scale_polarity_and_offset_do_not_move_the_beats(change):
    ecg = np.stack([make_ecg(beat_times(seed), 256, 10) for seed in range(3)])
    ecg += np.random.default_rng(0).normal(0, 0.05, ecg.shape)
    np.testing.assert_allclose(r_peaks(change(ecg), 256), r_peaks(ecg, 256), atol=1e-4)


def test_a_window_gives_the_same_beats_alone_and_among_others():
    rng = np.random.default_rng(0)
    ecg = np.stack([make_ecg(beat_times(seed), 250, 10) for seed in range(150)])
    ecg += rng.normal(0, 0.1, ecg.shape)
    together = r_peaks(ecg, 250)
    alone = np.concatenate([r_peaks(window[np.newaxis], 250) for window in ecg])
    np.testing.assert_array_equal(together, alone)


def test_the_result_does_not_depend_on_chunks_by_a_bit(monkeypatch):
    ecg = np.stack([make_ecg(beat_times(seed), 250, 10) for seed in range(30)])
    expected = r_peaks(ecg, 250)
    monkeypatch.setattr("skemo.kernels.heartbeats._CHUNK", 7 * 2500)
    np.testing.assert_array_equal(r_peaks(ecg, 250), expected)


def test_the_temporary_does_not_grow_with_the_number_of_windows():
    peaks = []
    for n_windows in (2000, 6000):
        ecg = np.resize(make_ecg(beat_times(0), 256, 10).astype("float32"), (n_windows, 2560))
        tracemalloc.start()
        r_peaks(ecg, 256)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 0.5 * ecg.nbytes


def test_the_width_of_the_result_depends_on_the_duration_alone():
    assert r_peaks(np.zeros((2, 2560)), 256).shape == (2, 34)
    assert r_peaks(make_ecg(beat_times(0), 256, 10)[np.newaxis], 256).shape == (1, 34)


@pytest.mark.parametrize("duration", [10, 60])
def test_beats_of_a_recorded_ecg_are_found(mitdb, duration):
    ecg, rate, annotated = mitdb
    windows = cut(ecg, rate, duration)
    sensitivity, precision = accuracy(r_peaks(windows, rate), annotated, duration)
    assert sensitivity >= 0.998
    assert precision >= 0.999


@pytest.mark.parametrize("duration", [10, 60])
@pytest.mark.parametrize("kind", ["clean", "noisy"])
def test_beats_are_found_at_least_as_well_as_by_neurokit(mitdb, kind, duration):
    ecg, rate, annotated = mitdb
    ecg, annotated = ecg[: 600 * rate], annotated[annotated < 600]
    windows = cut(add_noise(ecg, rate) if kind == "noisy" else ecg, rate, duration)
    ours = accuracy(r_peaks(windows, rate), annotated, duration)
    theirs = accuracy(neurokit_windows(windows, rate), annotated, duration)
    assert ours[0] >= theirs[0]
    assert ours[1] >= theirs[1]


@pytest.mark.parametrize("duration", [10, 60])
def test_beats_are_found_under_noise_and_baseline_wander(mitdb, duration):
    ecg, rate, annotated = mitdb
    windows = cut(add_noise(ecg, rate), rate, duration)
    sensitivity, precision = accuracy(r_peaks(windows, rate), annotated, duration)
    assert sensitivity >= 0.998
    assert precision >= 0.998


def test_a_whole_recording_is_one_long_window(mitdb):
    ecg, rate, annotated = mitdb
    sensitivity, precision = accuracy(r_peaks(ecg[np.newaxis], rate), annotated, len(ecg) / rate)
    assert sensitivity >= 0.999
    assert precision >= 0.999


def test_beats_of_a_recording_go_along_and_none_is_lost(mitdb):
    ecg, rate, annotated = mitdb
    recording = find_beats(Recording({"ecg": ecg}, {"ecg": rate}, subject="100"))
    times = recording.beats["beats"]
    assert min(accuracy([times], annotated, len(ecg) / rate)) > 0.999
    windows = segment(recording, duration=10.0)
    cut = windows["beats"].array.values[:, 0] + windows["start"].to_numpy()[:, np.newaxis]
    inside = times[times < len(windows) * 10]
    np.testing.assert_allclose(cut[~np.isnan(cut)], inside)
    mean_nn, directly = (
        HRVTransformer(signal=signal, features=["HRV_MeanNN"]) for signal in ("beats", "ecg")
    )
    difference = mean_nn.fit_transform(windows[["beats"]]) - directly.fit_transform(
        windows[["ecg"]]
    )
    assert np.median(np.abs(difference)) < 1  # ms


def test_stretches_of_a_recording_meet_without_a_seam():
    beats = beat_times(0, duration=300)
    ecg = make_ecg(beats, 256, 300)
    found_times = find_beats(Recording({"ecg": ecg}, {"ecg": 256}, subject="A")).beats["beats"]
    assert len(found_times) == len(beats)
    assert np.abs(found_times - beats).max() < 0.002


def test_a_noisy_stretch_has_no_beats_and_a_second_lead_helps_out():
    beats = beat_times(0, duration=120)
    ecg = make_ecg(beats, 256, 120)
    broken = ecg.copy()
    broken[256 * 40 :] = np.random.default_rng(0).normal(size=256 * 80)
    recording = Recording({"ecg": broken}, {"ecg": 256}, subject="A")
    with pytest.warns(UserWarning, match="heartbeats were found in only 3"):
        one = find_beats(recording)
    assert one.beats["beats"].max() < 60
    two = Recording({"leads": np.stack([broken, ecg])}, {"leads": 256}, subject="A")
    found_times = find_beats(two, name="leads", beats="r").beats["r"]
    late = beats[beats > 60]
    np.testing.assert_allclose(found_times[-len(late) :], late, atol=0.002)


def test_a_recording_without_the_signal_is_told():
    recording = Recording({"eda": np.zeros(400)}, {"eda": 4}, subject="A")
    with pytest.raises(
        ValueError, match=r"'A' has no signal 'ecg'. Pass name= with one of \['eda'\]"
    ):
        find_beats(recording)


def test_recordings_without_a_heartbeat_have_none(eegmat_ecg):
    for name in ("Subject02_1", "Subject13_1", "Subject35_2"):
        assert np.isnan(r_peaks(eegmat_ecg[name], 500)).all(axis=1).mean() >= 0.95, name


def test_recordings_with_a_heartbeat_have_plausible_beats(eegmat_ecg):
    for name, windows in eegmat_ecg.items():
        if name not in ("Subject02_1", "Subject13_1", "Subject35_2"):
            beats = r_peaks(windows, 500)
            n_beats = (~np.isnan(beats)).sum(axis=1)
            assert (n_beats > 0).mean() >= 0.95, name
            assert ((n_beats >= 7) & (n_beats <= 22)).mean() >= 0.95, name
            assert np.nanmin(np.diff(beats)) > 0.3, name


@pytest.mark.parametrize("sampling_rate", [128, 500])
@pytest.mark.parametrize("colour", ["white", "pink", "red"])
def test_noise_of_any_colour_has_no_beats(colour, sampling_rate):
    noise = np.random.default_rng(0).standard_normal((200, 10 * sampling_rate))
    spectrum = np.fft.rfft(noise)
    spectrum[:, 1:] /= (
        np.arange(1, spectrum.shape[1]) ** {"white": 0, "pink": 0.5, "red": 1}[colour]
    )
    noise = np.fft.irfft(spectrum, noise.shape[1])
    assert np.isnan(r_peaks(noise, sampling_rate)).all(axis=1).mean() >= 0.99
    assert np.isnan(r_peaks(noise, sampling_rate, signal="ppg")).all(axis=1).mean() >= 0.99


@pytest.mark.parametrize(
    "window",
    [
        pytest.param(np.full(2560, 3.7), id="flat"),
        pytest.param(np.full(2560, np.nan), id="missing"),
        pytest.param(np.arange(2560) * 0.1, id="ramp"),
        pytest.param(np.arange(2560) * 1.0 == 1000, id="one spike"),
        pytest.param(np.sin(np.arange(2560) / 256 * 2 * np.pi * 50), id="mains"),
    ],
)
@pytest.mark.parametrize("signal", ["ecg", "ppg"])
def test_a_window_with_nothing_to_see_has_no_beats(window, signal):
    assert np.isnan(r_peaks(window[np.newaxis].astype(float), 256, signal=signal)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("sampling_rate", "duration"), [(64, 60), (250, 20), (500, 20), (700, 10)])
@pytest.mark.parametrize("signal", ["ecg", "ppg"])
def test_a_flat_window_has_no_beats_at_any_level(signal, sampling_rate, duration, dtype):
    levels = np.array([3.3, 0.1, -7.77, 1e6], dtype)
    windows = np.repeat(levels[:, np.newaxis], sampling_rate * duration, axis=1)
    assert np.isnan(r_peaks(windows, sampling_rate, signal=signal)).all()


@pytest.mark.parametrize("values", [np.zeros(20), np.full(5000, np.nan), np.zeros(2)])
@pytest.mark.parametrize("signal", ["ecg", "ppg"])
def test_a_recording_with_nothing_to_see_has_no_beats(values, signal):
    recording = Recording({"x": values}, {"x": 250}, subject="A")
    found_times = find_beats(recording, name="x", signal=signal)
    assert len(found_times.beats["beats"]) == 0
    assert found_times.beat_gaps["beats"] == ()


@pytest.mark.parametrize("dtype", ["int16", "float16", "float32"])
def test_beats_are_found_whatever_the_type_of_the_samples(dtype):
    truth = beat_times(0)
    ecg = (1000 * make_ecg(truth, 256, 10)).astype(dtype)
    np.testing.assert_allclose(found(r_peaks(ecg[np.newaxis], 256)[0]), truth, atol=0.003)


def test_a_window_too_short_for_a_beat_has_none():
    for n_times in (1, 2, 3, 30):
        windows = np.random.default_rng(0).normal(size=(3, n_times))
        assert np.isnan(r_peaks(windows, 256)).all()


def test_one_artefact_does_not_hide_the_beats_around():
    truth = beat_times(0)
    ecg = make_ecg(truth, 256, 10)
    ecg[1000:1010] += 20.0
    beats = found(r_peaks(ecg[np.newaxis], 256)[0])
    distance = np.abs(truth[:, np.newaxis] - beats).min(axis=1)
    away = np.abs(truth - 1005 / 256) > 0.4
    assert (distance[away] < 0.005).all()


@pytest.mark.parametrize("seconds", [0.08, 1.6, 4.0])
def test_a_gap_costs_the_beats_in_it_and_no_others(seconds):
    truth = beat_times(0, duration=60)
    ecg = make_ecg(truth, 256, 60)
    start = truth[30] + 0.45
    ecg[round(start * 256) : round((start + seconds) * 256)] = np.nan
    beats = r_peaks(ecg[np.newaxis], 256)[0]
    visible = (truth < start) | (truth > start + seconds + 0.05)
    distance = np.abs(truth[:, np.newaxis] - found(beats)).min(axis=1)
    assert (distance[visible] < 0.002).all()
    assert len(found(beats)) <= visible.sum() + 1
    if not visible.all():
        across = (beats[:-1] < start) & (beats[1:] > start + seconds)
        assert not across.any()  # NaN stands between


@pytest.mark.parametrize("method", ["neurokit", "pantompkins1985", "hamilton2002", "rodrigues2021"])
def test_a_detector_of_neurokit_can_be_chosen(method):
    truth = beat_times(0)
    ecg = make_ecg(truth, 256, 10) + 0.01 * np.random.default_rng(0).standard_normal(2560)
    beats = r_peaks(np.stack([ecg, np.zeros(2560)]), 256, method=method)
    late = truth[truth > 2]  # some learn from the first seconds, and most are late
    assert (np.abs(late[:, np.newaxis] - found(beats[0])).min(axis=1) < 0.1).all()
    assert np.isnan(beats[1]).all()


def test_a_detector_of_neurokit_names_the_extra_if_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "neurokit2", None)  # as if it were not installed
    ecg = make_ecg(beat_times(0), 256, 10)[np.newaxis]
    with pytest.raises(ImportError, match=r'pip install "skemo\[neurokit2\]", or use method="sk'):
        r_peaks(ecg, 256, method="neurokit")
    assert np.isfinite(r_peaks(ecg, 256)).any()


def test_a_detector_names_the_package_that_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "ts2vg", None)  # as if it were not installed
    with pytest.raises(ImportError, match="method='emrich2023' needs the package ts2vg"):
        r_peaks(make_ecg(beat_times(0), 256, 10)[np.newaxis], 256, method="emrich2023")


def test_a_window_for_which_a_detector_raises_is_missing_and_that_is_said_once(monkeypatch):
    nk = pytest.importorskip("neurokit2")
    ecg = np.stack([make_ecg(beat_times(seed), 256, 10) for seed in range(3)])
    original = nk.ecg_peaks

    def fails_once(cleaned, **options):
        if np.abs(cleaned).max() > 5:
            raise IndexError("index 0 is out of bounds")
        return original(cleaned, **options)

    monkeypatch.setattr(nk, "ecg_peaks", fails_once)
    ecg[1] *= 20
    with pytest.warns(UserWarning, match="method='neurokit' raised an error .* IndexError") as told:
        beats = r_peaks(ecg, 256, method="neurokit")
    assert len(told) == 1
    assert np.isnan(beats).all(axis=1).tolist() == [False, True, False]


def test_a_detector_of_neurokit_gets_the_ecg_in_its_unit_and_the_right_way_up(monkeypatch):
    nk = pytest.importorskip("neurokit2")
    given = []
    original = nk.ecg_clean

    def remember(signal, **options):
        given.append(signal)
        return original(signal, **options)

    monkeypatch.setattr(nk, "ecg_clean", remember)
    ecg = make_ecg(beat_times(0), 256, 10)
    r_peaks(np.stack([3 * ecg, -3 * ecg]), 256, method="neurokit")
    np.testing.assert_allclose(given[0], given[1])
    assert abs(np.ptp(given[0]) - 3 * np.ptp(ecg)) < 1e-6


@pytest.mark.parametrize("method", ["neurokit", "pantompkins1985"])
def test_a_whole_recording_is_given_to_a_detector_of_neurokit_too(method):
    truth = beat_times(0, duration=200)
    ecg = make_ecg(truth, 250, 200)
    ecg[60 * 250 : 64 * 250] = np.nan
    recording = find_beats(Recording({"ecg": ecg}, {"ecg": 250}, subject="A"), method=method)
    times = recording.beats["beats"]
    clear = truth[(truth > 2) & ((truth < 59) | (truth > 67)) & (truth < 198)]
    assert (np.abs(clear[:, np.newaxis] - times).min(axis=1) < 0.1).all()
    assert len(recording.beat_gaps["beats"]) == 1


@pytest.mark.parametrize("method", ["christov2004", "engzeemod2012"])
def test_a_detector_of_neurokit_finds_no_beats_where_nothing_is_seen(method):
    truth = beat_times(0, duration=30)
    ecg = make_ecg(truth, 250, 30) + 0.01 * np.random.default_rng(0).normal(size=7500)
    ecg[: 10 * 250] = ecg[0]
    beats = found(r_peaks(ecg[np.newaxis], 250, method=method)[0])
    visible = truth[truth > 10]
    assert len(beats) > 0.8 * len(visible)
    assert (np.abs(beats[:, np.newaxis] - visible).min(axis=1) < 0.2).all()


def test_neurokits_default_detector_gives_what_neurokit_gives():
    ecg = make_ecg(beat_times(0), 250, 10) + 0.01 * np.random.default_rng(0).standard_normal(2500)
    beats = found(r_peaks(ecg[np.newaxis], 250, method="neurokit")[0])
    np.testing.assert_allclose(beats, neurokit_windows(ecg[np.newaxis], 250)[0], atol=1 / 250)


def test_an_unknown_method_or_signal_is_named_with_what_is_allowed():
    with pytest.raises(ValueError, match=r"method='pan' is not a detector .* skemo, neurokit"):
        r_peaks(np.zeros((1, 100)), 100, method="pan")
    with pytest.raises(ValueError, match=r"signal must be one of \['ecg', 'ppg'\], got 'eeg'"):
        r_peaks(np.zeros((1, 100)), 100, signal="eeg")
    with pytest.raises(ValueError, match=r"shape \(n_windows, n_times\), got \(100,\)"):
        r_peaks(np.zeros(100), 100)
