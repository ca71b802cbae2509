"""Artefacts in whole recordings, removed before windows are cut."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from skemo.kernels.quality import check_signal, signal_quality
from skemo.signals.checks import is_positive
from skemo.signals.recording import Recording, kind_of


def find_artefacts(
    recording: Recording,
    *,
    signals: Mapping[str, str] | None = None,
    min_quality: float = 0.5,
    duration: float = 10.0,
    step: float = 2.0,
    mark: Literal["nan", "excluded"] = "nan",
) -> Recording:
    """Remove the parts of a recording that cannot be trusted.

    The quality of each signal (:class:`skemo.QualityTransformer`) is measured in overlapping
    stretches. Samples that lie in no stretch of sufficient quality are an artefact. They become
    NaN in that signal (for an EEG, in that channel), or their time becomes an interval that no
    window may touch. The signal beside an artefact stays, and so may two or three seconds at
    either end of it. Call this function before :func:`skemo.find_beats` and
    :func:`skemo.decompose_eda`, as in
    ``skemo.segment(map(skemo.find_artefacts, recordings), 60)``.

    Parameters
    ----------
    recording : Recording
    signals : dict of str to {"ecg", "ppg", "eda", "eeg", "acc"}, default=None
        Which signals to look at, and their kinds. None takes those whose names begin with
        ecg, ppg, bvp, eda, gsr or eeg. An accelerometer is looked at only if it is named here,
        because movement is no artefact of it.
    min_quality : float, default=0.5
        The lowest quality of a stretch to keep.
    duration : float, default=10.0
        Length of a stretch in seconds. ECG and pulse need five beats or more.
    step : float, default=2.0
        Seconds from one stretch to the next.
    mark : {"nan", "excluded"}, default="nan"
        ``"nan"`` replaces an artefact by NaN in the signal concerned. ``"excluded"`` adds the
        artefacts of all signals to ``recording.excluded``, and leaves the samples as they are.

    Returns
    -------
    Recording

    Raises
    ------
    ValueError
        For a signal that the recording does not have, or a wrong parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording, find_artefacts
    >>> eda = 2 + 0.2 * np.sin(np.arange(480) / 40)
    >>> eda[200:300] = 0  # off the wrist from 50 to 75 s
    >>> recording = Recording({"eda": eda}, {"eda": 4}, subject="S2")
    >>> find_artefacts(recording, mark="excluded").excluded
    ((50.0, 76.0),)
    """
    if mark not in ("nan", "excluded"):
        raise ValueError(f"mark must be 'nan' or 'excluded', got {mark!r}.")
    if not (is_positive(min_quality) and min_quality <= 1):
        raise ValueError(f"min_quality must be in (0, 1], got {min_quality!r}.")
    changed, excluded = dict(recording.signals), list(recording.excluded)
    for name, kind in kinds_of_signals(recording, signals).items():
        values, rate = recording.signals[name], recording.sampling_rates[name]
        starts, length, quality = _stretches(values, rate, kind, duration, step)
        good = np.zeros((quality.shape[1], values.shape[1] + 1), int)
        for channel, fine in zip(good, (quality >= min_quality).T, strict=True):
            np.add.at(channel, starts[fine], 1)
            np.add.at(channel, starts[fine] + length, -1)
        artefact = good[:, :-1].cumsum(axis=1) == 0
        if mark == "nan":
            changed[name] = np.where(
                artefact, np.nan, values.astype(np.result_type(values.dtype, np.float32))
            )
            continue
        edges = np.diff(artefact.all(axis=0).astype(int), prepend=0, append=0)
        begins, ends = np.flatnonzero(edges == 1) / rate, np.flatnonzero(edges == -1) / rate
        excluded += zip(begins.tolist(), ends.tolist(), strict=True)
    if mark == "nan":
        return replace(recording, signals=changed)
    return replace(recording, excluded=tuple(_joined(excluded)))


def recording_quality(
    recording: Recording,
    *,
    signals: Mapping[str, str] | None = None,
    duration: float = 10.0,
    step: float = 2.0,
) -> dict[str, pd.DataFrame]:
    """Measure the quality of the signals of a recording, stretch by stretch.

    Parameters
    ----------
    recording : Recording
    signals : dict of str to {"ecg", "ppg", "eda", "eeg", "acc"}, default=None
        Which signals, and their kinds. None goes by their names, as in `find_artefacts`.
    duration : float, default=10.0
        Length of a stretch in seconds.
    step : float, default=2.0
        Seconds from one stretch to the next.

    Returns
    -------
    dict of str to DataFrame
        One table per signal, with one row per stretch, indexed by the time of its middle in
        seconds. The column has the name of the signal; an EEG has one column per channel.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording
    >>> from skemo.features.artefacts import recording_quality
    >>> eda = 2 + 0.2 * np.sin(np.arange(120) / 40)
    >>> recording = Recording({"eda": eda}, {"eda": 4}, subject="S2")
    >>> recording_quality(recording, step=10)["eda"]["eda"]
    5.0     1.0
    15.0    1.0
    25.0    1.0
    Name: eda, dtype: float64
    """
    tables = {}
    for name, kind in kinds_of_signals(recording, signals).items():
        rate = recording.sampling_rates[name]
        starts, length, quality = _stretches(recording.signals[name], rate, kind, duration, step)
        names = recording.channels[name] or range(quality.shape[1])
        columns = list(names) if kind == "eeg" else [name]
        middles = (starts + length / 2) / rate
        tables[name] = pd.DataFrame(quality, index=middles, columns=columns)
    return tables


def kinds_of_signals(
    recording: Recording, signals: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Kinds of those signals of a recording whose quality can be measured.

    Parameters
    ----------
    recording : Recording
    signals : dict of str to {"ecg", "ppg", "eda", "eeg", "acc"}, default=None
        Returned once it has been checked. None takes the signals whose names begin with ecg,
        ppg, bvp, eda, gsr or eeg.

    Returns
    -------
    dict of str to str
        Kind by name of the signal.
    """
    where = f"The recording of subject {recording.subject!r}"
    if signals is None:
        found = {name: kind for name in recording.signals if (kind := kind_of(name)) is not None}
        if not found:
            raise ValueError(
                f"{where} has no signal whose kind follows from its name; its signals are "
                f"{list(recording.signals)}. Pass their kinds, as in "
                'signals={"pleth": "ppg"}.'
            )
        return found
    for name, kind in signals.items():
        if name not in recording.signals:
            raise ValueError(
                f"{where} has no signal {name!r}; its signals are {list(recording.signals)}."
            )
        check_signal(kind)
    return dict(signals)


def _stretches(values, rate, kind, duration, step):
    """First sample of each stretch, their length, and their quality (n_stretches, n_channels)."""
    for what, seconds in (("duration", duration), ("step", step)):
        if not is_positive(seconds):
            raise ValueError(f"{what} must be a positive number of seconds, got {seconds!r}.")
    n_times = values.shape[1]
    if not n_times:
        raise ValueError("The recording has no samples.")
    length = min(max(1, round(duration * rate)), n_times)
    n_step = min(max(1, round(step * rate)), length)
    starts = np.arange(0, n_times - length + 1, n_step)
    views = sliding_window_view(values, length, axis=1).swapaxes(0, 1)
    measured = [signal_quality(views[::n_step], rate, kind)]
    if starts[-1] < n_times - length:  # the rest at the end
        starts = np.append(starts, n_times - length)
        measured.append(signal_quality(views[-1:], rate, kind))
    quality = np.concatenate([numbers[f"{kind.upper()}_Quality"] for numbers in measured])
    return starts, length, quality.reshape(len(starts), -1)


def _joined(intervals):
    """Intervals in order, with touching ones merged."""
    joined = []
    for start, stop in sorted(intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined
