"""XDF: LabRecorder files with several streams, each with its own clock."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from skemo.io.base import existing, library
from skemo.signals.channels import modality_of, to_usual_unit
from skemo.signals.labels import from_events
from skemo.signals.recording import Recording
from skemo.signals.times import even_grid


def read_xdf(
    path: str | PathLike[str],
    *,
    subject: str | None = None,
    trial: str = "",
    modalities: Mapping[str, str | tuple[str, Sequence[str]]] | None = None,
    markers: str | None = None,
    names: Mapping[Any, Any] | None = None,
    max_gap: float | None = None,
) -> Recording:
    """Read an XDF file of LabRecorder, using pyxdf.

    Offsets and drifts between the clocks of the sending computers, as measured by LabRecorder,
    are corrected. The samples of each stream are then put onto an even grid at its nominal rate.

    Parameters
    ----------
    path : str or path
    subject : str, default=None
        Identifier of the subject. None uses the file name.
    trial : str, default=""
        Which of the subject's recordings this is.
    modalities : mapping of str to str or (str, sequence of str), default=None
        Name or type of the stream of each modality, optionally with the labels of the channels
        to read: ``{"eeg": "EEG", "ecg": ("Amplifier", ["ECG"])}``. None reads all streams of
        samples and names them after their types.
    markers : str, default=None
        Name of the marker stream. None uses the only one, if there is one.
    names : mapping, default=None
        Label for each marker; other markers are ignored. Each label lasts until the next one.
        None uses the markers themselves as labels.
    max_gap : float, default=None
        Longest gap between samples to interpolate, in seconds. None means three sampling
        intervals.

    Returns
    -------
    Recording
        Second 0 is the first sample. EEG and EOG in µV, ECG and EMG in mV, skin conductance in
        µS, if the streams state their units.

    Raises
    ------
    ImportError
        If pyxdf is not installed.
    ValueError
        If the file cannot be read, or a stream is missing.

    Examples
    --------
    >>> from skemo.io import read_xdf
    >>> read_xdf("sub-01.xdf", modalities={"eeg": "EEG"}, markers="Stimuli")  # doctest: +SKIP
    """
    pyxdf = library("pyxdf", "XDF files")
    path = existing(path)
    with path.open("rb") as file:
        if file.read(4) != b"XDF:" and path.suffix != ".xdfz":
            raise ValueError(f"{path} is not an XDF file: it does not begin with 'XDF:'.")
    try:
        streams, header = pyxdf.load_xdf(
            str(path), synchronize_clocks=True, dejitter_timestamps=True, verbose=False
        )
    except Exception as error:  # pyxdf raises many kinds of exceptions
        raise ValueError(f"{path} cannot be read as XDF ({error!r}).") from error
    sampled = [s for s in streams if _rate(s) > 0 and len(s["time_stamps"]) > 1]
    events = [s for s in streams if _rate(s) == 0]
    chosen = _choose(path, sampled, modalities)
    if not chosen:
        raise ValueError(f"{path} has no stream of samples; its streams are {_describe(streams)}.")
    origin = min(float(np.min(stream["time_stamps"])) for stream, _ in chosen.values())
    keys = ("signals", "sampling_rates", "channels", "units", "starts")
    parts: dict[str, Any] = {key: {} for key in keys}
    for modality, (stream, wanted) in chosen.items():
        labels, units = _channels(stream)
        found = list(range(len(labels))) if wanted is None else [labels.index(n) for n in wanted]
        samples = np.asarray(stream["time_series"])[:, found].T
        start, rate, grid = even_grid(
            stream["time_stamps"] - origin,
            samples,
            _rate(stream),
            max_gap=max_gap,
            name=f"{modality!r} in {path}",
        )
        known = {units[i] for i in found}
        factor, unit = to_usual_unit(modality, known.pop() if len(known) == 1 else None)
        parts["signals"][modality] = (grid * factor).astype(np.result_type(grid, np.float32))
        parts["sampling_rates"][modality], parts["starts"][modality] = rate, round(start, 6)
        parts["channels"][modality] = [labels[i] for i in found]
        parts["units"][modality] = unit
    stop = max(
        parts["starts"][name] + x.shape[1] / parts["sampling_rates"][name]
        for name, x in parts["signals"].items()
    )
    marked = _markers(path, events, markers, origin, stop, names)
    moment = header["info"].get("datetime", [None])[0]
    parts["start_time"] = None
    if moment and len(sampled):  # when LabRecorder started, not the first sample
        parts["start_time"] = pd.Timestamp(moment)
    return Recording(
        **parts,
        subject=path.stem if subject is None else subject,
        trial=trial,
        labels=from_events(marked, stop=stop, names=names) if marked else (),
    )


def _name(stream):
    return str(stream["info"]["name"][0])


def _type(stream):
    return str(stream["info"]["type"][0] or "")


def _rate(stream):
    return float(stream["info"]["nominal_srate"][0])


def _describe(streams):
    return [f"{_name(s)} ({_type(s)})" for s in streams]


def _choose(path, streams, modalities):
    """Return the stream and the requested channels of each modality."""
    if modalities is None:
        chosen = {}
        for stream in streams:
            base = modality_of(_type(stream) or _name(stream))
            numbered = [base, *(f"{base}{i}" for i in range(2, len(streams) + 2))]
            chosen[next(name for name in numbered if name not in chosen)] = stream, None
        return chosen
    chosen = {}
    for modality, wanted in modalities.items():
        name, channels = (wanted, None) if isinstance(wanted, str) else wanted
        found = [s for s in streams if _name(s) == name] or [s for s in streams if _type(s) == name]
        if len(found) != 1:
            raise ValueError(
                f"{path} has {len(found)} streams {name!r} for {modality!r}; its streams of samples"
                f" are {_describe(streams)}."
            )
        absent = [label for label in channels or () if label not in _channels(found[0])[0]]
        if absent:
            raise ValueError(
                f"{path}: the stream {name!r} has no channel {absent[0]!r}; it has "
                f"{_channels(found[0])[0]}."
            )
        chosen[modality] = found[0], channels
    return chosen


def _channels(stream):
    """Return the labels and units of the channels of a stream."""
    n_channels = int(stream["info"]["channel_count"][0])
    labels, units = [f"{i + 1}" for i in range(n_channels)], [None] * n_channels
    try:
        described = stream["info"]["desc"][0]["channels"][0]["channel"]
    except (IndexError, KeyError, TypeError):
        return labels, units
    for i, channel in enumerate(described[:n_channels]):
        labels[i] = str((channel.get("label") or [labels[i]])[0])
        units[i] = (channel.get("unit") or [None])[0]
    return labels, units


def _markers(path, events, markers, origin, stop, names):
    """Return the markers as (time, text), in seconds."""
    if markers is not None:
        events = [s for s in events if _name(s) == markers]
        if not events:
            raise ValueError(f"{path} has no marker stream {markers!r}.")
    elif len(events) > 1:
        raise ValueError(
            f"{path} has {len(events)} marker streams, {_describe(events)}. Pass markers= with "
            "one of their names."
        )
    if not events:
        return []
    times = np.asarray(events[0]["time_stamps"]) - origin
    texts = [value[0] for value in events[0]["time_series"]]
    found = [(float(t), text) for t, text in zip(times, texts, strict=True) if t < stop]
    found = [event for event in found if names is None or event[1] in names]
    return list({round(time, 6): (time, text) for time, text in found}.values())
