"""From a Raw of MNE to the parts of a recording."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skemo.signals.channels import group_channels, to_usual_unit
from skemo.signals.labels import from_events

# Types of MNE whose channels are in volts or siemens.
_UNITS = {"eeg": "V", "ecg": "V", "eog": "V", "emg": "V", "seeg": "V", "ecog": "V", "bio": "V"}
_UNITS |= {"gsr": "S", "temperature": "°C"}
_NAMES = {"gsr": "eda", "temperature": "temp"}  # skemo's names of MNE's types
_LEFT_OUT = ("stim", "syst", "exci", "ias")  # not signals


def raw_parts(
    raw: Any,
    modalities: Mapping[str, str | Sequence[str]] | None,
    names: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the arguments of a `Recording` of an MNE Raw: see `Recording.from_mne`.

    Parameters
    ----------
    raw : mne.io.BaseRaw
    modalities : mapping of str to str or sequence of str, or None
    names : mapping of str to label, or None

    Returns
    -------
    dict
    """
    if not hasattr(raw, "get_channel_types") or not hasattr(raw, "annotations"):
        raise TypeError(f"raw must be a Raw of MNE, got {type(raw).__name__}.")
    types = raw.get_channel_types()
    kinds = [_NAMES.get(kind, kind) for kind in types]
    if modalities is None:
        chosen = [i for i, kind in enumerate(types) if kind not in _LEFT_OUT]
        groups: dict[str, list[int]] = {}
        for i in chosen:
            groups.setdefault(kinds[i], []).append(i)
    else:
        modalities = {
            name: _NAMES.get(wanted, wanted) if isinstance(wanted, str) else wanted
            for name, wanted in modalities.items()
        }
        groups = group_channels(raw.ch_names, modalities, kinds=kinds, where="The Raw")
    rate = float(raw.info["sfreq"])
    parts: dict[str, Any] = {"signals": {}, "channels": {}, "units": {}}
    for modality, found in groups.items():
        samples = raw.get_data(picks=found)
        kind = {_UNITS.get(types[i]) for i in found}
        if len(kind) == 1:
            unit = kind.pop()
            # Files of other units are often read as if they were volts.
            if not (modality == "eda" and unit == "V"):
                factor, parts["units"][modality] = to_usual_unit(modality, unit)
                samples = samples * factor
        parts["signals"][modality] = samples
        parts["channels"][modality] = [raw.ch_names[i] for i in found]
    parts["sampling_rates"] = dict.fromkeys(groups, rate)
    first = raw.first_samp / rate
    start = raw.info["meas_date"]
    parts["start_time"] = None if start is None else pd.Timestamp(start) + pd.Timedelta(first, "s")
    onsets: Any = np.asarray(raw.annotations.onset, float) - first
    notes = list(zip(onsets, raw.annotations.duration, raw.annotations.description, strict=True))
    is_bad = [str(text).lower().startswith("bad") for *_, text in notes]
    parts["excluded"] = [
        (onset, onset + duration)
        for (onset, duration, _), bad in zip(notes, is_bad, strict=True)
        if bad and duration > 0
    ]
    others = [note for note, bad in zip(notes, is_bad, strict=True) if not bad]
    parts["labels"] = annotation_labels(others, raw.n_times / rate, names)
    return parts


def annotation_labels(
    annotations: Sequence[tuple[float, float | None, str]],
    stop: float,
    names: Mapping[str, Any] | None,
) -> list[tuple[float, float, Any]]:
    """Return labelled intervals from annotations with an onset, a duration and a text.

    Parameters
    ----------
    annotations : sequence of (onset, duration, text)
        In seconds. Annotations without a duration last until the next one.
    stop : float
        The end of the recording.
    names : mapping of str to label, or None
        The label for each text; others are ignored. None keeps the texts.

    Returns
    -------
    list of (start, stop, label)
    """
    labelled = [
        (float(onset), float(duration or 0.0), text if names is None else names[text])
        for onset, duration, text in annotations
        if onset < stop and (names is None or text in names)
    ]
    if any(duration for _, duration, _ in labelled):
        return [(onset, onset + duration, label) for onset, duration, label in labelled if duration]
    last = {round(onset, 6): label for onset, _, label in labelled}  # the last one at a time
    return from_events(last.items(), stop=stop) if last else []
