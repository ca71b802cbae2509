"""Simulated signals of people in calm and aroused trials, with a planted effect."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy

import numpy as np
import scipy.fft
import scipy.signal

from skemo._checks import is_number
from skemo.signals.recording import Recording

LABELS = ("calm", "aroused")
SAMPLING_RATES = {"ecg": 128.0, "eda": 8.0, "eeg": 128.0, "resp": 32.0, "temp": 4.0}
UNITS = {"ecg": "mV", "eda": "µS", "eeg": "µV", "resp": "%", "temp": "°C"}

# The head seen from above: right and front are positive, the ears are at (-1, 0) and (1, 0).
POSITIONS = {
    "AF3": (-0.25, 0.75),
    "AF4": (0.25, 0.75),
    "F7": (-0.75, 0.55),
    "F3": (-0.4, 0.5),
    "F4": (0.4, 0.5),
    "F8": (0.75, 0.55),
    "FC5": (-0.65, 0.25),
    "FC6": (0.65, 0.25),
    "T7": (-0.95, 0.0),
    "C3": (-0.45, 0.0),
    "Cz": (0.0, 0.0),
    "C4": (0.45, 0.0),
    "T8": (0.95, 0.0),
    "P7": (-0.75, -0.55),
    "P3": (-0.4, -0.5),
    "Pz": (0.0, -0.5),
    "P4": (0.4, -0.5),
    "P8": (0.75, -0.55),
    "O1": (-0.3, -0.9),
    "O2": (0.3, -0.9),
}

# Effects of arousal at effect_size=1. Rates in beats or responses per minute; what has no unit is
# a change of a logarithm.
EFFECT = {
    "heart_rate": 8.0,
    "rr_variability": -0.4,
    "scr_rate": 4.0,
    "tonic": 0.2,
    "alpha": -0.35,
    "beta": 0.25,
    "breath_depth": -0.3,
    "temperature_slope": -0.2,  # °C a minute
}

# P, Q, R, S and T: time from the R peak in seconds, amplitude in millivolt, width in seconds.
_WAVES = (
    (-0.17, 0.12, 0.022),
    (-0.035, -0.10, 0.010),
    (0.0, 1.00, 0.011),
    (0.035, -0.22, 0.012),
    (0.27, 0.28, 0.045),
)
_ECG_STEP = 0.1  # seconds between the values of the instantaneous heart rate

# A skin-conductance response: rise and decay of the Bateman function in seconds.
_RISE, _DECAY = 0.75, 2.0
_LEAD_IN = 20.0  # seconds before a trial in which responses are simulated, too

# Rhythms of the EEG: centre and width in hertz, standard deviation in microvolts above each
# source, positions of the sources.
_RHYTHMS = {
    "theta": (6.0, 1.2, 8.5, [(0.0, 0.5)]),
    "alpha": (10.3, 1.0, 10.0, [(-0.3, -0.8), (0.3, -0.8)]),
    "beta": (20.0, 4.0, 4.3, [(-0.45, 0.4), (0.45, 0.4)]),
}


def make_emotion_recordings(
    n_subjects: int = 12,
    n_trials: int = 6,
    duration: float = 60.0,
    *,
    effect_size: float = 1.0,
    modalities: Sequence[str] = ("ecg", "eda", "eeg"),
    sampling_rates: Mapping[str, float] | None = None,
    channels: Sequence[str] = ("F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"),
    random_state: int | np.random.Generator | None = None,
) -> list[Recording]:
    """Simulate recordings of people in calm and aroused trials.

    Arousal raises heart rate and frontal beta power, lowers the variability of the RR
    intervals (RMSSD) and posterior alpha power, and causes more skin-conductance responses and
    a higher tonic level; breaths are shallower, and the skin cools. In all of these, people
    differ by more than that, and so do the trials of one person, whatever their label. A model
    that has seen windows of a trial therefore recognises the others: splitting by window is
    optimistic, even with ``effect_size=0``, where the signals do not depend on the labels.

    Parameters
    ----------
    n_subjects : int, default=12
        Number of people.
    n_trials : int, default=6
        Number of trials per person. It must be even: half of the trials are calm and half
        aroused, in random order.
    duration : float, default=60.0
        Length of a trial in seconds, at least 5.
    effect_size : float, default=1.0
        Factor by which all effects of arousal are multiplied; 0 means no effect.
    modalities : sequence of {"ecg", "eda", "eeg", "resp", "temp"}, \
            default=("ecg", "eda", "eeg")
        Which signals to simulate. ``"resp"`` is respiration, with the rate and phase that it
        has in the ECG, ``"temp"`` the temperature of the skin.
    sampling_rates : dict of str to float, default=None
        Sampling rates in hertz that differ from 128 (ECG), 8 (EDA), 128 (EEG), 32
        (respiration) and 4 (temperature).
    channels : sequence of str, default=("F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")
        EEG channels, from the 20 in ``skemo.datasets.simulated.POSITIONS``.
    random_state : int, numpy.random.Generator or None, default=None
        Seed. Each modality of each person has its own random stream, so that a change of the
        number of people, the modalities or the effect size does not affect anything else.

    Returns
    -------
    list of Recording
        One per trial, sorted by subject (``"00"``, …) and trial (``"0"``, …). Float32;
        ECG in millivolts, EDA in microsiemens, EEG in microvolts, respiration in percent,
        temperature in degrees Celsius. The label, ``"calm"`` or ``"aroused"``, covers the
        whole trial.

    Notes
    -----
    Leaving out single trials is not a fair test of chance: most of the remaining trials of that
    person have the other label, so accuracies are below one half at ``effect_size=0``. Leave
    out people, or equal numbers of calm and aroused trials.

    Examples
    --------
    >>> from skemo.datasets import make_emotion_recordings
    >>> recordings = make_emotion_recordings(n_subjects=2, random_state=0)
    >>> recordings[0]
    <Recording of subject '00', trial '0': 60 s; ecg 1 channel at 128 Hz (mV), \
eda 1 channel at 8 Hz (µS), eeg 8 channels at 128 Hz (µV); labels 'calm'>
    """
    rates = SAMPLING_RATES | dict(sampling_rates or {})
    _check(n_subjects, n_trials, duration, effect_size, modalities, rates, channels)
    names: dict[str, tuple[str, ...]] = {name: (name.upper(),) for name in SAMPLING_RATES}
    names["eeg"] = tuple(channels)
    recordings = []
    try:
        seeds = np.random.default_rng(random_state).spawn(n_subjects)
    except (TypeError, ValueError) as error:
        raise ValueError(f"random_state must be a seed, got {random_state!r}.") from error
    for subject, rng in enumerate(seeds):
        streams = dict(zip(("order", *SAMPLING_RATES), rng.spawn(6), strict=True))
        heart = deepcopy(streams["ecg"])  # which draws the breathing of the ECG again
        aroused = streams["order"].permutation(np.arange(n_trials) % 2)
        effect = effect_size * aroused
        signals = {}
        if "ecg" in modalities:
            signals["ecg"] = _ecg(streams["ecg"], effect, duration, rates["ecg"])
        if "eda" in modalities:
            signals["eda"] = _eda(streams["eda"], effect, duration, rates["eda"])
        if "eeg" in modalities:
            signals["eeg"] = _eeg(streams["eeg"], effect, duration, rates["eeg"], channels)
        if "resp" in modalities:
            signals["resp"] = _respiration(
                streams["resp"], _heart_rhythm(heart, effect), effect, duration, rates["resp"]
            )
        if "temp" in modalities:
            signals["temp"] = _temperature(streams["temp"], effect, duration, rates["temp"])
        for trial in range(n_trials):
            recordings.append(
                Recording(
                    signals={m: signals[m][trial].astype(np.float32) for m in modalities},
                    sampling_rates={m: rates[m] for m in modalities},
                    channels={m: names[m] for m in modalities},
                    units={m: UNITS[m] for m in modalities},
                    subject=f"{subject:02d}",
                    trial=str(trial),
                    labels=((0.0, float(duration), LABELS[aroused[trial]]),),
                )
            )
    return recordings


def _check(n_subjects, n_trials, duration, effect_size, modalities, rates, channels):
    numbers = {"n_subjects": n_subjects, "n_trials": n_trials}
    numbers |= {"duration": duration, "effect_size": effect_size}
    for name, value in numbers.items():
        if not is_number(value):
            raise ValueError(f"{name} must be a number, got {value!r}.")
    if n_subjects < 1:
        raise ValueError(f"n_subjects must be at least 1, got {n_subjects}.")
    if n_trials < 2 or n_trials % 2:
        raise ValueError(
            f"n_trials must be even, half calm and half aroused, and at least 2, got {n_trials}."
        )
    if not 5 <= duration < np.inf:
        raise ValueError(f"duration must be at least 5 (seconds), got {duration!r}.")
    if not np.isfinite(effect_size):
        raise ValueError(f"effect_size must be a finite number, got {effect_size!r}.")
    for what, given, known in (
        ("modalities", modalities, SAMPLING_RATES),
        ("sampling_rates", rates, SAMPLING_RATES),
        ("channels", channels, POSITIONS),
    ):
        is_list = isinstance(given, Iterable) and not isinstance(given, str)
        if not is_list or not given or any(name not in list(known) for name in given):
            raise ValueError(f"{what} must be among {', '.join(known)}, got {given!r}.")
    for modality, lowest in {"ecg": 64, "eda": 1, "eeg": 64, "resp": 4, "temp": 1}.items():
        if modality in modalities and not lowest <= rates[modality] < np.inf:
            raise ValueError(
                f"sampling_rates: {modality!r} needs at least {lowest} Hz, got {rates[modality]!r}."
            )


def _levels(rng, shape, between, within):
    """Draw a level for each trial: that of the subject plus a deviation of the trial."""
    n_trials, *rest = shape
    return rng.normal(0, between, (1, *rest)) + rng.normal(0, within, (n_trials, *rest))


def _coloured_noise(rng, n_rows, n_times, rate, amplitude):
    """Draw Gaussian noise with unit variance and spectral amplitude `amplitude(frequencies)`."""
    n_fft = scipy.fft.next_fast_len(n_times, real=True)
    frequencies = scipy.fft.rfftfreq(n_fft, 1 / rate)
    shape = np.zeros_like(frequencies)
    shape[1:] = amplitude(frequencies[1:])
    shape /= np.sqrt(2 * np.sum(shape**2)) / n_fft
    white = rng.standard_normal((n_rows, len(shape), 2)) / np.sqrt(2)
    spectrum = (white[..., 0] + 1j * white[..., 1]) * shape
    return scipy.fft.irfft(spectrum, n_fft)[:, :n_times]


def _slow(knee):
    """Return the amplitude of noise that is flat below `knee` hertz and falls as 1/f above."""
    return lambda f: 1 / np.hypot(1, f / knee)


def _heart_rhythm(rng, effect):
    """Draw heart rate, its variability, rate of breathing in hertz and its phase, by trial."""
    n_trials = len(effect)
    heart_rate = 70 + _levels(rng, (n_trials,), 8.0, 3.5) + EFFECT["heart_rate"] * effect
    variability = _levels(rng, (n_trials,), 0.4, 0.2) + EFFECT["rr_variability"] * effect
    breathing = 0.25 * np.exp(_levels(rng, (n_trials, 1), 0.12, 0.06))
    breath_phase = rng.uniform(0, 2 * np.pi, (n_trials, 1))
    return heart_rate, variability, breathing, breath_phase


def _ecg(rng, effect, duration, rate):
    """Simulate the ECG of each trial, (n_trials, 1, n_times), from an RR process."""
    n_trials = len(effect)
    heart_rate, variability, breathing, breath_phase = _heart_rhythm(rng, effect)

    # Heart rate from two seconds before to two seconds after the trial: respiratory
    # arrhythmia, slow waves around 0.1 Hz, and faster irregularities.
    n = int((duration + 4) / _ECG_STEP)
    seconds = np.arange(n) * _ECG_STEP - 2
    change = 0.045 * np.sin(2 * np.pi * breathing * seconds + breath_phase)
    change += 0.02 * _coloured_noise(rng, n_trials, n, 1 / _ECG_STEP, _slow(0.1))
    change += 0.012 * _coloured_noise(rng, n_trials, n, 1 / _ECG_STEP, lambda f: np.exp(-f))
    change *= np.exp(variability)[:, None]
    beats = np.cumsum(np.maximum(heart_rate, 30.0)[:, None] / 60 * np.exp(change), axis=1)
    beats = beats * _ECG_STEP + rng.uniform(0, 1, (n_trials, 1))

    n_times = round(duration * rate)
    waves = np.exp(_levels(rng, (n_trials, len(_WAVES)), 0.12, 0.04))
    ecg = np.empty((n_trials, n_times))
    for trial in range(n_trials):
        whole = np.arange(np.ceil(beats[trial, 0]), beats[trial, -1])
        r_peaks = np.interp(whole, beats[trial], seconds)
        ecg[trial] = _heartbeats(r_peaks, waves[trial], n_times, rate)

    breath = np.sin(2 * np.pi * breathing * np.arange(n_times) / rate + breath_phase)
    ecg *= np.exp(_levels(rng, (n_trials, 1), 0.3, 0.08)) * (1 + 0.05 * breath)
    ecg += 0.05 * breath + 0.06 * _coloured_noise(rng, n_trials, n_times, rate, _slow(0.2))
    ecg += 0.015 * rng.standard_normal(ecg.shape)
    return ecg[:, None]


def _heartbeats(r_peaks, scale, n_times, rate):
    """Add up the waves of heartbeats at `r_peaks` seconds; P and T follow the RR interval."""
    stretch = np.sqrt(np.diff(r_peaks, append=2 * r_peaks[-1] - r_peaks[-2]) / 0.85)[:, None]
    near = np.arange(-int(0.4 * rate), int(0.7 * rate))
    samples = np.round(r_peaks * rate).astype(int)[:, None] + near
    since = samples / rate - r_peaks[:, None]
    values = np.zeros_like(since)
    for (time, amplitude, width), factor in zip(_WAVES, scale, strict=True):
        centre = time * stretch if abs(time) > 0.1 else time
        values += factor * amplitude * np.exp(-0.5 * ((since - centre) / width) ** 2)
    inside = (samples >= 0) & (samples < n_times)
    return np.bincount(samples[inside], values[inside], n_times)


def _eda(rng, effect, duration, rate):
    """Simulate the EDA of each trial, (n_trials, 1, n_times): tonic level and responses."""
    n_trials, n_times = len(effect), round(duration * rate)
    tonic = np.log(4.0) + _levels(rng, (n_trials, 1), 0.5, 0.15)
    tonic = tonic + EFFECT["tonic"] * effect[:, None]
    drift = _coloured_noise(rng, n_trials, n_times, rate, lambda f: 1 / (1 + (f / 0.01) ** 2))
    tonic = tonic + 0.06 * drift

    per_minute = 3.5 * np.exp(_levels(rng, (n_trials, 1), 0.4, 0.3))
    per_minute = per_minute + EFFECT["scr_rate"] * effect[:, None]
    lead_in = round(_LEAD_IN * rate)
    starts = rng.random((n_trials, lead_in + n_times)) < per_minute / 60 / rate
    size = 0.25 * np.exp(_levels(rng, (n_trials, 1), 0.4, 0.1) + rng.normal(0, 0.4, starts.shape))
    seconds = np.arange(lead_in) / rate
    response = np.exp(-seconds / _DECAY) - np.exp(-seconds / _RISE)
    responses = scipy.signal.fftconvolve(starts * size, response[None] / response.max(), axes=1)
    eda = np.exp(tonic) + responses[:, lead_in : lead_in + n_times]
    return (eda + 0.005 * rng.standard_normal(eda.shape))[:, None]


def _respiration(rng, rhythm, effect, duration, rate):
    """Simulate the respiration of each trial, (n_trials, 1, n_times), as a belt records it."""
    _, _, breathing, breath_phase = rhythm
    n_trials, n_times = len(effect), round(duration * rate)
    depth = _levels(rng, (n_trials, 1), 0.3, 0.1) + EFFECT["breath_depth"] * effect[:, None]
    depth = depth + 0.15 * _coloured_noise(rng, n_trials, n_times, rate, _slow(0.05))
    phase = 2 * np.pi * breathing * np.arange(n_times) / rate + breath_phase
    respiration = 4 * np.exp(depth) * np.sin(phase)
    respiration += 1.0 * _coloured_noise(rng, n_trials, n_times, rate, _slow(0.01))
    return (respiration + 0.1 * rng.standard_normal(respiration.shape))[:, None]


def _temperature(rng, effect, duration, rate):
    """Simulate the skin temperature of each trial, (n_trials, 1, n_times)."""
    n_trials, n_times = len(effect), round(duration * rate)
    level = 32 + _levels(rng, (n_trials, 1), 1.2, 0.3)
    slope = _levels(rng, (n_trials, 1), 0.05, 0.1) + EFFECT["temperature_slope"] * effect[:, None]
    temperature = level + slope / 60 * (np.arange(n_times) / rate - duration / 2)
    temperature += 0.03 * _coloured_noise(rng, n_trials, n_times, rate, _slow(0.02))
    return (temperature + 0.01 * rng.standard_normal(temperature.shape))[:, None]


def _eeg(rng, effect, duration, rate, channels):
    """Simulate the EEG of each trial, (n_trials, n_channels, n_times): background and rhythms."""
    n_trials, n_times = len(effect), round(duration * rate)
    places = np.array([POSITIONS[channel] for channel in channels])

    background = _coloured_noise(rng, n_trials * len(channels), n_times, rate, _background)
    background = background.reshape(n_trials, len(channels), n_times)
    mixing = _reach(places, places)
    eeg = mixing / np.linalg.norm(mixing, axis=1, keepdims=True) @ background
    eeg *= 6.3 * np.exp(_levels(rng, (n_trials, 1, 1), 0.2, 0.08))

    for name, (centre, width, amplitude, sources) in _RHYTHMS.items():
        level = _levels(rng, (n_trials, 1, 1), 0.35, 0.18)
        level = level + EFFECT.get(name, 0.0) * effect[:, None, None]
        centre = centre * np.exp(rng.normal(0, 0.06))

        def peak(f, centre=centre, width=width):
            return np.exp(-0.25 * ((f - centre) / width) ** 2)

        rhythm = _coloured_noise(rng, n_trials * len(sources), n_times, rate, peak)
        rhythm = rhythm.reshape(n_trials, len(sources), n_times)
        eeg += _reach(places, np.array(sources)) @ (amplitude * np.exp(level) * rhythm)

    muscle = np.exp(_levels(rng, (n_trials, len(channels), 1), 0.4, 0.2))
    eeg += muscle * rng.standard_normal(eeg.shape)
    return eeg * np.exp(_levels(rng, (n_trials, len(channels), 1), 0.15, 0.06))


def _background(f):
    """Return the amplitude of the background EEG: 1/f power, with slow drift filtered out."""
    return f**-0.5 / np.hypot(1, 0.5 / f)


def _reach(places, sources):
    """Return the weight of each source at each place, (n_places, n_sources); 1 at the source."""
    distance = np.linalg.norm(places[:, None] - sources, axis=-1)
    return np.exp(-0.5 * (distance / 0.5) ** 2)
