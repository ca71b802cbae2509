"""What `bench_features.py` measures: the data, skemo's call, the others' calls, agreement."""

import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
import scipy.signal
import torch
from _cvxeda_objective import cvxeda_objective
from _feature_data import (
    simulate_beats,
    simulate_ecg,
    simulate_eda,
    simulate_eeg,
    simulate_emg,
    simulate_respiration,
)
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skemo
from skemo.kernels import beat_candidates, heartbeats
from skemo.kernels.entropy import BANDS, differential_entropy
from skemo.kernels.heartbeats import r_peaks
from skemo.kernels.hrv import (
    HRV_NONLINEAR,
    HRV_TIME,
    hrv_frequency,
    hrv_nonlinear,
    hrv_time,
    rr_intervals,
)
from skemo.kernels.muscle import muscle_features
from skemo.kernels.respiration import breaths, respiration_features
from skemo.kernels.skin_conductance import tonic_phasic

EEG_RATE, ECG_RATE, PEAK_RATE = 128, 256, 1000  # Hz


class MissingError(Exception):
    """skemo itself lacks what is to be measured."""


class Contender(NamedTuple):
    """What is run on windows.

    `run` of an other returns the function to run, and raises ImportError where its package is
    not there. `kind` is what the ratio says: ``"faster"``, how many times faster skemo is;
    ``"floor"``, how many times longer skemo takes; ``"own"``, how many times longer than skemo's
    function a transformer takes. `target` is the least of the first, the most of the second.
    """

    name: str
    run: Callable
    windows: Any
    agreement: Callable = lambda ours, theirs: ""
    target: float | None = None
    kind: str = "faster"

    @property
    def n_windows(self):
        return len(self.windows)


class Work(NamedTuple):
    title: str
    skemo: Contender
    others: list


def frame(name, values, sampling_rate=None):
    return skemo.signal_frame(**{name: skemo.SignalArray(values, sampling_rate=sampling_rate)})


def each(function):
    """The function of a window, for a batch of windows: a call for each."""
    return lambda windows: [function(window) for window in windows]


def chunked(function, n_chunk):
    """The function of a batch, called for a few windows at a time; results are dropped."""

    def run(windows):
        for start in range(0, len(windows), n_chunk):
            function(windows[start : start + n_chunk])

    return run


def read_once(windows):
    flat = windows.reshape(-1)
    return np.dot(flat, flat)


def _floor(name, run, windows, target=None):
    return Contender(f"floor: {name}", run, windows, target=target, kind="floor")


def own_transformer(transformer, column, values, sampling_rate=None):
    """skemo's transformer on a frame: what its checks add to the function."""
    table = frame(column, values, sampling_rate)
    transformer = transformer.fit(table)
    name = f"skemo's {type(transformer).__name__} on a frame"
    return Contender(name, lambda: transformer.transform, table, kind="own")


# Differential entropy


def torcheeg_entropy(window):
    """`BandDifferentialEntropy` of TorchEEG: a design for each channel and band, in bits."""
    bands = []
    for low, high in BANDS.values():
        entropies = []
        for channel in window:
            edges = [low / (0.5 * EEG_RATE), high / (0.5 * EEG_RATE)]
            b, a = scipy.signal.butter(5, edges, btype="band")
            variance = np.var(scipy.signal.lfilter(b, a, channel))
            entropies.append(0.5 * np.log2(2 * np.pi * np.e * variance))
        bands.append(np.array(entropies))
    return np.stack(bands, axis=-1)


def scipy_entropy(window):
    """A zero-phase Butterworth filter for each band, over all channels."""
    variances = []
    for edges in BANDS.values():
        b, a = scipy.signal.butter(4, edges, btype="band", fs=EEG_RATE)
        variances.append(scipy.signal.filtfilt(b, a, window).var(axis=-1))
    return 0.5 * np.log(2 * np.pi * np.e * np.stack(variances, axis=-1))


def mne_entropy(psd_method):
    from mne_features.univariate import compute_pow_freq_bands

    bands = {name: list(edges) for name, edges in BANDS.items()}

    def entropy(window):
        settings = {"normalize": False, "psd_method": psd_method}
        power = compute_pow_freq_bands(EEG_RATE, window, bands, **settings)
        return 0.5 * np.log(2 * np.pi * np.e * power.reshape(len(window), -1))

    return each(entropy)


def nats_agree(ours, theirs):
    """Least correlation in a band over windows and channels, and the largest difference."""
    theirs = np.moveaxis(np.array(theirs), -1, 1)
    ours = ours[: len(theirs), :, :, 0]
    pairs = [(ours[:, i].ravel(), theirs[:, i].ravel()) for i in range(len(BANDS))]
    r = min(np.corrcoef(pair)[0, 1] for pair in pairs)
    return f"r ≥ {r:.4f} in each band, differences ≤ {np.abs(ours - theirs).max():.2g} nat"


def bits_agree(ours, theirs):
    return nats_agree(ours, np.log(2) * np.array(theirs))


def de(quick):
    """**Differential entropy.** TorchEEG's way is its `BandDifferentialEntropy` written out, since
    the package cannot be imported with current SciPy. It takes the whole window, as its transform
    does, and for every channel and band computes a Butterworth design of order 5, `lfilter`, the
    variance and 0.5·log2(2πe·σ²). The SciPy loop designs each band's filter of order 4 for each
    window, and runs it forwards and backwards. mne-features gives band powers, from which the
    entropy follows; its bands include both edges. The floors take chunks of 8 windows."""
    eeg = simulate_eeg(8 if quick else 1000)
    few = eeg[: 2 if quick else 20]
    some = eeg[: 4 if quick else 200]

    def torch_fft(windows):
        torch.fft.rfft(torch.from_numpy(windows))

    others = [
        Contender("TorchEEG's way", lambda: each(torcheeg_entropy), few, bits_agree, target=350),
        Contender("SciPy loop", lambda: each(scipy_entropy), few, nats_agree),
        Contender("mne-features, by FFT", lambda: mne_entropy("fft"), some, nats_agree, target=5),
        Contender("mne-features, by Welch", lambda: mne_entropy("welch"), few, nats_agree),
        _floor("FFT alone, SciPy", lambda: chunked(scipy.fft.rfft, 8), eeg, target=1.3),
        _floor("FFT alone, torch", lambda: chunked(torch_fft, 8), eeg),
        _floor("reading once", lambda: read_once, eeg),
        own_transformer(skemo.DifferentialEntropyTransformer(), "eeg", eeg, EEG_RATE),
    ]
    ours = Contender("skemo", lambda windows: differential_entropy(windows, EEG_RATE), eeg)
    return Work("differential entropy, 14 × 1,280 float32", ours, others)


def de_single(quick):
    """**One window a call.** The same, with a single window passed to each call."""
    eeg = simulate_eeg(4 if quick else 200)

    def ours(windows):
        calls = [differential_entropy(window[np.newaxis], EEG_RATE) for window in windows]
        return np.concatenate(calls)

    few = eeg[: 2 if quick else 10]
    others = [
        Contender("TorchEEG's way", lambda: each(torcheeg_entropy), few, bits_agree, target=100),
        Contender("mne-features, by FFT", lambda: mne_entropy("fft"), eeg, nats_agree),
        _floor("FFT alone, SciPy", lambda: each(scipy.fft.rfft), eeg),
    ]
    title = "differential entropy, one window a call"
    return Work(title, Contender("skemo", ours, eeg), others)


# R peaks


def f1_score(found, beats, tolerance=0.05):
    """Of beat times in windows, at ±50 ms."""
    hits = n = 0
    for times, truth in zip(found, beats, strict=True):
        times, truth = times[~np.isnan(times)], truth[~np.isnan(truth)]
        n += len(times) + len(truth)
        if len(times):
            nearest = np.abs(truth[:, np.newaxis] - times).argmin(axis=1)
            near = np.abs(times[nearest] - truth) <= tolerance
            hits += len(np.unique(nearest[near]))
    return 2 * hits / n


def peaks(quick):
    """**R peaks.** NeuroKit2 is `ecg_clean` and `ecg_findpeaks` with default settings. “Its own
    filters” are those of skemo's detector, which make its envelope and its trace, in the same
    chunks; “one zero-phase filter” is a Fourier transform with 1 s of padding at each end, a gain,
    and the inverse transform. F1 is measured against the simulated beats."""
    beats = simulate_beats(12 if quick else 1000, 10)
    ecg = simulate_ecg(beats, 10, ECG_RATE)
    few = ecg[: 4 if quick else 60].astype(float)
    some = ecg[: 4 if quick else 300].astype(float)

    def neurokit():
        import neurokit2 as nk

        def find(window):
            clean = nk.ecg_clean(window, sampling_rate=ECG_RATE)
            return nk.ecg_findpeaks(clean, sampling_rate=ECG_RATE)["ECG_R_Peaks"] / ECG_RATE

        return each(find)

    def sleepecg():
        from sleepecg import detect_heartbeats

        return each(lambda window: detect_heartbeats(window, ECG_RATE) / ECG_RATE)

    def agreement(ours, theirs):
        n = len(theirs)
        scores = [f1_score(found, beats[:n]) for found in (ours[:n], theirs)]
        return f"F1 at ±50 ms {scores[0]:.4f}, theirs {scores[1]:.4f}"

    n_extended = scipy.fft.next_fast_len(ecg.shape[1] + 2 * ECG_RATE, real=True)
    gain = np.ones(n_extended // 2 + 1, np.float32)

    def one_filter(windows):
        spectrum = scipy.fft.rfft(windows, n_extended)
        spectrum *= gain
        scipy.fft.irfft(spectrum, n_extended, overwrite_x=True)

    def own_filters(windows):
        beat_candidates._ecg_traces(windows, ECG_RATE)

    n_chunk = heartbeats._CHUNK // ecg.shape[1]
    others = [
        Contender("NeuroKit2", neurokit, few, agreement, target=35),
        Contender("sleepecg", sleepecg, some, agreement, target=5),
        _floor("its own filters", lambda: chunked(own_filters, n_chunk), ecg, target=3),
        _floor("one zero-phase filter", lambda: chunked(one_filter, 16), ecg),
        _floor("reading once", lambda: read_once, ecg),
        own_transformer(skemo.HRVTransformer(output="series"), "ecg", ecg, ECG_RATE),
    ]
    ours = Contender("skemo", lambda windows: r_peaks(windows, ECG_RATE), ecg)
    return Work("R peaks, 10 s at 256 Hz", ours, others)


# Heart-rate variability


def neurokit_hrv(everything):
    import neurokit2 as nk

    def features(peaks):
        found = dict(nk.hrv_time(peaks, sampling_rate=PEAK_RATE).iloc[0])
        found |= nk.hrv_frequency(peaks, sampling_rate=PEAK_RATE, normalize=False).iloc[0]
        if everything:
            return found | dict(nk.hrv_nonlinear(peaks, sampling_rate=PEAK_RATE).iloc[0])
        rr = np.diff(peaks) * (1000 / PEAK_RATE)
        tolerance = 0.2 * rr.std(ddof=1)
        found["HRV_SampEn"] = nk.entropy_sample(rr, dimension=2, tolerance=tolerance)[0]
        return found

    return each(features)


def hrv_analysis():
    import hrvanalysis as ha

    names = {
        **{"mean_nni": "MeanNN", "sdnn": "SDNN", "rmssd": "RMSSD", "median_nni": "MedianNN"},
        **{"cvsd": "CVSD", "cvnni": "CVNN", "sd1": "SD1", "lf": "LF", "hf": "HF"},
    }

    def features(rr):
        found = ha.get_time_domain_features(rr)
        found |= ha.get_frequency_domain_features(rr)
        found |= ha.get_poincare_plot_features(rr) | ha.get_csi_cvi_features(rr)
        found |= ha.get_sampen(rr)
        return {f"HRV_{name}": found[key] for key, name in names.items()}

    return each(features)


def hrv_agrees(ours, theirs):
    exact = 0.0
    for name in {*HRV_TIME, *HRV_NONLINEAR} & theirs[0].keys():
        values = np.array([features[name] for features in theirs])
        mine = ours[name][: len(values)]
        known = np.isfinite(values) & np.isfinite(mine)
        exact = max(exact, np.max(np.abs(values - mine)[known] / (1 + np.abs(mine[known]))))
    r = [
        np.corrcoef(ours[name][: len(theirs)], [features[name] for features in theirs])[0, 1]
        for name in ("HRV_LF", "HRV_HF")
    ]
    return f"time, nonlinear ≤ {exact:.0e} (relative); LF r {r[0]:.3f}, HF r {r[1]:.3f}"


def hrv(quick):
    """**HRV.** From beat times to 33 features, including sample entropy. NeuroKit2 is `hrv_time`,
    `hrv_frequency` and `hrv_nonlinear`, the last of which alone has 51 features; in one row, only
    its sample entropy replaces these. hrv-analysis is its functions for time, frequency, Poincaré,
    CSI and sample entropy. Definitions of the spectrum differ."""
    beats = simulate_beats(12 if quick else 1000, 60)
    times = [window[~np.isnan(window)] for window in beats]
    samples = [np.round(window * PEAK_RATE).astype(int) for window in times]
    intervals = [np.diff(window) * 1000 for window in times]

    def ours(beats):
        rr = rr_intervals(beats)
        return hrv_time(rr) | hrv_frequency(rr) | hrv_nonlinear(rr)

    n = 4 if quick else 12
    everything, partly = (lambda: neurokit_hrv(True)), (lambda: neurokit_hrv(False))
    transformer = skemo.HRVTransformer(signal="beats", features="all")
    others = [
        Contender("NeuroKit2", everything, samples[:n], hrv_agrees, target=300),
        Contender("NeuroKit2, of nonlinear only SampEn", partly, samples[:n], hrv_agrees),
        Contender("hrv-analysis", hrv_analysis, intervals[: 5 * n], hrv_agrees, target=20),
        own_transformer(transformer, "beats", beats),
    ]
    title = "HRV, time + frequency + nonlinear, 60 s"
    return Work(title, Contender("skemo", ours, beats), others)


# Skin conductance


def phasic_agrees(ours, theirs):
    phasic = np.array([parts[1] for parts in theirs])
    difference = (np.asarray(ours[1])[: len(phasic)] - phasic) / phasic.std(axis=1, keepdims=True)
    rms, most = np.sqrt((difference**2).mean(axis=1)).max(), np.abs(difference).max()
    return f"phasic: RMS difference ≤ {rms:.1g}, largest {most:.1g} of its SD"


def _eda(sampling_rate, n_windows, n_others, target):
    """**Skin conductance.** NeuroKit2 is `eda_clean`, which does nothing at 4 Hz and is not called
    there, and `eda_phasic`. The SciPy loop uses the same filters, designed anew for each window;
    “SciPy over all windows” designs them once and filters all windows together."""
    eda = simulate_eda(n_windows, 60, sampling_rate)
    cleaned = sampling_rate > 6

    def neurokit():
        import neurokit2 as nk

        def parts(window):
            if cleaned:
                window = nk.eda_clean(window, sampling_rate=sampling_rate)
            return nk.eda_phasic(window, sampling_rate=sampling_rate).to_numpy().T

        return each(parts)

    def design(*filter):
        return scipy.signal.butter(*filter, fs=sampling_rate, output="sos")

    def filters():
        clean = [design(4, 3.0, "lowpass")] if cleaned else []
        return clean, [design(2, 0.05, "lowpass"), design(2, 0.05, "highpass")]

    def scipy_parts(windows, designed=None):
        clean, parting = designed or filters()
        for sections in clean:
            windows = scipy.signal.sosfiltfilt(sections, windows)
        return [scipy.signal.sosfiltfilt(sections, windows) for sections in parting]

    def batched():
        designed = filters()
        return lambda windows: scipy_parts(windows, designed)

    def batch_agrees(ours, theirs):
        return phasic_agrees(ours, np.stack(theirs, axis=1))

    few = eda[:n_others]
    others = [
        Contender("NeuroKit2, high-pass", neurokit, few, phasic_agrees, target=target),
        Contender("SciPy loop", lambda: each(scipy_parts), few, phasic_agrees),
        Contender("SciPy over all windows", batched, eda, batch_agrees),
        _floor("reading once", lambda: read_once, eda),
        own_transformer(skemo.EDATransformer(output="series"), "eda", eda, sampling_rate),
    ]
    ours = Contender("skemo", lambda windows: tonic_phasic(windows, sampling_rate), eda)
    return Work(f"EDA tonic/phasic, 60 s at {sampling_rate} Hz", ours, others)


def _cvxeda(sampling_rate, n_windows, n_others, target):
    """**cvxEDA.** The authors' solver, CVXOPT, as NeuroKit2 runs it: to a tolerance of 1e-9, and
    without standardising the signal, so skemo does not standardise it either. The gap is how far
    skemo's value of the objective, at the full rate, lies above CVXOPT's for the same window, as a
    fraction of the latter, from the smallest to the largest."""
    try:
        from skemo.kernels.cvxeda import cvxeda
    except ImportError as error:
        raise MissingError(f"skemo's convex decomposition is not there yet ({error}).") from error
    eda = simulate_eda(n_windows, 60, sampling_rate)

    def neurokit():
        import cvxopt  # noqa: F401
        import neurokit2 as nk

        settings = {"sampling_rate": sampling_rate, "method": "cvxeda"}
        return each(lambda window: nk.eda_phasic(window, **settings).to_numpy().T)

    def agreement(ours, theirs):
        gaps = []
        for i, parts in enumerate(theirs):
            own = [part[i] for part in ours]
            values = [cvxeda_objective(eda[i], *two, sampling_rate) for two in (own, parts)]
            gaps.append(values[0] / values[1] - 1)
        return f"objective gap {min(gaps):.1e} to {max(gaps):.1e}; {phasic_agrees(ours, theirs)}"

    others = [Contender("NeuroKit2", neurokit, eda[:n_others], agreement, target=target)]

    def run(windows):
        return cvxeda(windows, sampling_rate, standardize=False)

    title = f"cvxEDA, 60 s at {sampling_rate} Hz"
    return Work(title, Contender("skemo", run, eda), others)


# Respiration and muscle activity


def respiration(sampling_rate, n_windows, n_others, target):
    """**Respiration.** From the signal to 17 features. NeuroKit2 is `rsp_process` and
    `rsp_intervalrelated`, which compute more (the spectrum of the rate, entropies, symmetry); in
    another row, only what the same features need: `rsp_clean`, `rsp_peaks`, `signal_rate`,
    `rsp_amplitude`, `rsp_phase`."""
    signal = simulate_respiration(n_windows, 60, sampling_rate)
    names = ("RSP_Rate_Mean", "RRV_MeanBB", "RRV_SDBB", "RAV_Mean")

    def neurokit():
        import neurokit2 as nk

        def features(window):
            signals, _ = nk.rsp_process(window, sampling_rate=sampling_rate)
            return dict(nk.rsp_intervalrelated(signals, sampling_rate=sampling_rate).iloc[0])

        return each(features)

    def partly():
        import neurokit2 as nk

        def features(window):
            clean = nk.rsp_clean(window, sampling_rate=sampling_rate)
            peaks, info = nk.rsp_peaks(clean, sampling_rate=sampling_rate)
            troughs = info["RSP_Troughs"]
            rate = nk.signal_rate(troughs, sampling_rate, desired_length=len(window))
            nk.rsp_phase(peaks, desired_length=len(window))
            intervals = np.diff(troughs) / sampling_rate * 1000
            depth = nk.rsp_amplitude(clean, peaks)[info["RSP_Peaks"]].mean()
            values = (rate.mean(), intervals.mean(), intervals.std(ddof=1), depth)
            return dict(zip(names, values, strict=True))

        return each(features)

    def agreement(ours, theirs):
        values = []
        for name in names:
            other = np.array([features[name] for features in theirs], float)
            mine = ours[name][: len(other)]
            values.append(f"{name} {np.nanmedian(np.abs(mine / other - 1)):.2%}")
        return "median difference: " + ", ".join(values)

    def run(windows):
        return respiration_features(breaths(windows, sampling_rate))

    few = signal[:n_others]
    transformer = skemo.RespirationTransformer()
    others = [
        Contender("NeuroKit2", neurokit, few, agreement, target=100),
        Contender("NeuroKit2, the same features", partly, few, agreement, target=target),
        _floor("reading once", lambda: read_once, signal),
        own_transformer(transformer, "resp", signal, sampling_rate),
    ]
    ours = Contender("skemo", run, signal)
    return Work(f"respiration, 60 s at {sampling_rate} Hz", ours, others)


def emg(sampling_rate, n_windows, n_others, target):
    """**Muscle activity.** From the signal to amplitude and bursts. NeuroKit2 is `emg_clean`,
    `emg_amplitude` and `emg_activation` by threshold; in another row, only the first two, without
    bursts. SciPy is the same high-pass filter alone, over all windows."""
    signal = simulate_emg(n_windows, 10, sampling_rate)

    def neurokit(bursts=True):
        import neurokit2 as nk

        def features(window):
            clean = nk.emg_clean(window, sampling_rate=sampling_rate)
            amplitude = nk.emg_amplitude(clean)
            if not bursts:
                return np.nan
            settings = {"sampling_rate": sampling_rate, "method": "threshold"}
            level = amplitude.max() / 10
            _, info = nk.emg_activation(amplitude, threshold=level, **settings)
            return len(info["EMG_Onsets"])

        return each(features)

    def agreement(ours, theirs):
        counts = ours["EMG_Activation_N"][: len(theirs)]
        return f"bursts {counts.mean():.1f}, theirs {np.mean(theirs):.1f}"

    def run(windows):
        return muscle_features(windows, sampling_rate)

    sections = scipy.signal.butter(4, 100, "highpass", fs=sampling_rate, output="sos")

    def highpass(windows):
        scipy.signal.sosfiltfilt(sections, windows)

    few = signal[:n_others]
    others = [
        Contender("NeuroKit2", neurokit, few, agreement, target=target),
        Contender("NeuroKit2, without bursts", lambda: neurokit(bursts=False), few),
        _floor("SciPy's high-pass", lambda: chunked(highpass, 16), signal),
        own_transformer(skemo.EMGTransformer(), "emg", signal, sampling_rate),
    ]
    return Work(f"EMG, 10 s at {sampling_rate} Hz", Contender("skemo", run, signal), others)


# Search


def search(quick):
    """**Search.** Five folds and four shrinkages for a pipeline of differential entropy, scaling
    and linear discriminant analysis, on the EEG of the first row. Times are for the whole search,
    including the last fit; a classifier that is slow to fit makes the ratio smaller. `memory=` is a
    cache in a new folder for each search. skemo's way is `precompute`, then scikit-learn's search
    over the rest; the floor calls the transformer itself."""
    eeg = simulate_eeg(60 if quick else 1000)
    labels = np.arange(len(eeg)) % 2
    eeg[labels == 1] *= 1.03
    entropy = skemo.DifferentialEntropyTransformer(sampling_rate=EEG_RATE)
    grid = {"lineardiscriminantanalysis__shrinkage": [0.0, 0.1, 0.5, 0.9]}

    def make(*steps, memory=None):
        lda = LinearDiscriminantAnalysis(solver="lsqr")
        return make_pipeline(*steps, StandardScaler(), lda, memory=memory)

    def find(model, table):
        return GridSearchCV(model, grid, cv=5).fit(table, labels).cv_results_

    def with_memory(tables):
        with tempfile.TemporaryDirectory() as folder:
            return find(make(entropy, memory=folder), tables[0])

    def on_features(tables):
        return find(make(), entropy.fit_transform(tables[0]))

    def agreement(ours, theirs):
        scores = [name for name in theirs if name.endswith("test_score")]
        difference = max(np.abs(ours[name] - theirs[name]).max() for name in scores)
        accuracy = theirs["mean_test_score"].max()
        return f"scores differ by {difference:.1g}; accuracy {accuracy:.3f}"

    def precomputed(tables):
        table, rest = skemo.precompute(make(entropy), tables[0])
        return find(rest, table)

    def sklearn(tables):
        return find(make(entropy), tables[0])

    own = Contender("skemo", precomputed, [eeg])
    others = [
        Contender("scikit-learn", lambda: sklearn, [eeg], agreement, target=8),
        Contender("scikit-learn, memory=", lambda: with_memory, [eeg], agreement, target=15),
        _floor("features once", lambda: on_features, [eeg]),
    ]
    return Work(f"5-fold × 4-candidate search, {len(eeg)} windows", own, others)


def _sized(make, sampling_rate, n_windows, n_others, target):
    """`make` at a sampling rate."""

    def work(quick):
        sizes = (4, 2) if quick else (n_windows, n_others)
        return make(sampling_rate, *sizes, target)

    work.__doc__ = make.__doc__
    return work


WORKS = {
    "de": de,
    "de-single": de_single,
    "peaks": peaks,
    "hrv": hrv,
    "eda-4": _sized(_eda, 4, 1000, 100, 150),
    "eda-128": _sized(_eda, 128, 500, 50, 25),
    "eda-700": _sized(_eda, 700, 100, 25, 6),
    "cvxeda-4": _sized(_cvxeda, 4, 200, 10, 25),
    "cvxeda-700": _sized(_cvxeda, 700, 50, 1, 300),
    "resp-25": _sized(respiration, 25, 1000, 20, 20),
    "resp-700": _sized(respiration, 700, 100, 10, 20),
    "emg-1000": _sized(emg, 1000, 200, 5, 100),
    "search": search,
}
