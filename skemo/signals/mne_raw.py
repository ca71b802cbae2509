"""Conversion between recordings or windows and MNE's Raw and Epochs."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skemo._warnings import ignored_warnings
from skemo.signals.array import SignalDtype
from skemo.signals.channels import (
    USUAL_UNITS,
    group_channels,
    modality_of,
    to_usual_unit,
    unit_size,
)
from skemo.signals.labels import from_events

# Types of MNE whose channels are in volts or siemens.
_UNITS = {"eeg": "V", "ecg": "V", "eog": "V", "emg": "V", "seeg": "V", "ecog": "V", "bio": "V"}
_UNITS |= {"gsr": "S", "temperature": "°C"}
_NAMES = {"gsr": "eda", "temperature": "temp"}  # skemo's names of MNE's types
_LEFT_OUT = ("stim", "syst", "exci", "ias")  # not signals
_TYPES = {"eda": "gsr", "temp": "temperature"}  # MNE's names for skemo's modalities
MISSING = "BAD_NAN"  # as mne.preprocessing.annotate_nan writes it


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
    notes = [note for note in notes if note[2] != MISSING]  # the samples themselves are NaN
    others, parts["excluded"] = split_bad(notes)
    parts["labels"] = annotation_labels(others, raw.n_times / rate, names)
    return parts


def split_bad(
    annotations: Sequence[tuple[float, float | None, str]],
) -> tuple[list[tuple[float, float | None, str]], list[tuple[float, float]]]:
    """Return the annotations that do not begin with "bad", and the intervals of those that do.

    Parameters
    ----------
    annotations : sequence of (onset, duration, text)
        In seconds.

    Returns
    -------
    others : list of (onset, duration, text)
    excluded : list of (start, stop)
    """
    others, excluded = [], []
    for onset, duration, text in annotations:
        if not str(text).lower().startswith("bad"):
            others.append((onset, duration, text))
        elif duration:
            excluded.append((float(onset), float(onset + duration)))
    return others, excluded


def annotation_labels(
    annotations: Sequence[tuple[float, float | None, str]],
    stop: float,
    names: Mapping[str, Any] | None,
) -> list[tuple[float, float, Any]]:
    """Return labelled intervals from annotations with an onset, a duration and a text.

    Parameters
    ----------
    annotations : sequence of (onset, duration, text)
        In seconds. If none has a duration, each lasts until the next one.
    stop : float
        The end of the recording.
    names : mapping of str to label, or None
        The label for each text; others are ignored. None keeps the texts.

    Returns
    -------
    list of (start, stop, label)

    Warns
    -----
    UserWarning
        Some have a duration and others do not, which are left out.
    """
    labelled = [
        (float(onset), float(duration or 0.0), text if names is None else names[text])
        for onset, duration, text in annotations
        if onset < stop and (names is None or text in names)
    ]
    if any(duration for _, duration, _ in labelled):
        dropped = [label for _, duration, label in labelled if not duration]
        if dropped:
            warnings.warn(
                f"Annotations without a duration ({len(dropped)}, such as {dropped[0]!r}) are "
                "left out, because others have one. Pass names= with one of the two kinds.",
                UserWarning,
                stacklevel=3,
            )
        return [(onset, onset + duration, label) for onset, duration, label in labelled if duration]
    last = {round(onset, 6): label for onset, _, label in labelled}  # the last one at a time
    return from_events(last.items(), stop=stop) if last else []


def make_raw(
    recording: Any,
    modalities: Sequence[str] | str | None,
    types: Mapping[str, str] | None,
) -> Any:
    """Make an MNE Raw from signals of a recording: see `Recording.to_mne`.

    Parameters
    ----------
    recording : Recording
    modalities : sequence of str, str or None
    types : mapping of str to str, or None

    Returns
    -------
    mne.io.RawArray
    """
    mne = _import_mne("Recording.to_mne")
    where = f"The recording of subject {recording.subject!r}"
    names = _chosen(modalities, recording.signals)
    rates = {name: recording.sampling_rates[name] for name in names}
    rate = _common_rate(rates, where)
    start = min(recording.starts[name] for name in names)
    offsets = {name: round((recording.starts[name] - start) * rate) for name in names}
    n_times = max(offsets[name] + recording.signals[name].shape[1] for name in names)
    channels = _channel_names(
        {n: (len(recording.signals[n]), recording.channels[n]) for n in names}
    )
    samples = np.full((sum(map(len, channels.values())), n_times), np.nan)
    kinds, row = [], 0
    for name in names:
        signal, first = recording.signals[name], offsets[name]
        kind, factor = _type_and_factor(name, recording.units[name], types)
        samples[row : row + len(signal), first : first + signal.shape[1]] = signal
        samples[row : row + len(signal)] *= factor
        kinds += [kind] * len(signal)
        row += len(signal)
    info = mne.create_info([c for found in channels.values() for c in found], rate, kinds)
    raw = mne.io.RawArray(samples, info, verbose="error")
    origin = recording.start_time
    if origin is not None:
        origin = origin.tz_localize("UTC") if origin.tz is None else origin.tz_convert("UTC")
        raw.set_meas_date((origin + pd.Timedelta(start, "s")).to_pydatetime(warn=False))
    notes = [(*interval, "BAD_excluded") for interval in recording.excluded]
    notes += [(first, last, str(label)) for first, last, label in recording.labels]
    stop = start + n_times / rate
    inside = [(max(first, start), min(last, stop), text) for first, last, text in notes]
    inside = [note for note in inside if note[1] > note[0]]
    onsets = [first - start for first, _, _ in inside]
    durations = [last - first for first, last, _ in inside]
    texts = [text for *_, text in inside]
    missing: list[list[str]] = [[] for _ in inside]
    for channel, values in zip(raw.ch_names, samples, strict=True):
        edges = np.flatnonzero(np.diff(np.isnan(values), prepend=False, append=False)).tolist()
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            onsets.append(first / rate)
            durations.append((last - first) / rate)
            texts.append(MISSING)
            missing.append([channel])
    begin = raw.info["meas_date"]
    annotations = mne.Annotations(onsets, durations, texts, orig_time=begin, ch_names=missing)
    try:
        raw.set_annotations(annotations)
    except OverflowError as error:
        raise ValueError(
            f"{where} lasts {n_times / rate:g} s, longer than the dates of MNE reach: check its "
            "sampling rate."
        ) from error
    return raw


def make_epochs(
    windows: pd.DataFrame,
    modalities: Sequence[str] | str | None = None,
    *,
    units: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
) -> Any:
    """Make MNE Epochs from windows, one epoch per window.

    Parameters
    ----------
    windows : DataFrame of n_windows rows
        A table from `segment`.
    modalities : sequence of str or str, default=None
        The signal columns to use, which need the same sampling rate. None uses all of them.
    units : mapping of str to str, default=None
        Units of the signals. By default, EEG and EOG are in µV, ECG and EMG in mV, and skin
        conductance in µS, as in the recordings that skemo reads.
    types : mapping of str to str, default=None
        MNE channel types. By default, they follow from the names of the modalities and are
        "misc" for modalities that MNE does not know.

    Returns
    -------
    mne.EpochsArray
        In volts and siemens. The other columns of `windows` are its metadata, and the labels
        its events. Missing windows are NaN.

    Raises
    ------
    ImportError
        If MNE is not installed.
    ValueError
        If there is no such signal column, or the sampling rates differ.

    Examples
    --------
    >>> import skemo
    >>> from skemo.io import make_epochs
    >>> recordings = skemo.datasets.make_emotion_recordings(2, 2)  # doctest: +SKIP
    >>> windows = skemo.segment(recordings, duration=10.0)  # doctest: +SKIP
    >>> make_epochs(windows, "eeg")["high arousal"].compute_psd()  # doctest: +SKIP
    """
    mne = _import_mne("make_epochs")
    if not isinstance(windows, pd.DataFrame):
        raise TypeError(f"windows must be a table from segment, got {type(windows).__name__}.")
    where = "The table of windows"
    dtypes: dict[Any, Any] = {
        name: kind for name, kind in windows.dtypes.items() if isinstance(kind, SignalDtype)
    }
    raw_windows = {name: kind for name, kind in dtypes.items() if len(kind.shape) == 2}
    names = _chosen(modalities, raw_windows)
    rate = _common_rate({name: raw_windows[name].sampling_rate for name in names}, where)
    sizes = {name: raw_windows[name].shape for name in names}
    channels = _channel_names({n: (sizes[n][0], raw_windows[n].channels) for n in names})
    blocks, kinds = [], []
    for name in names:
        unit = (units or {}).get(name) or USUAL_UNITS.get(modality_of(name))
        kind, factor = _type_and_factor(name, unit, types)
        blocks.append(np.asarray(windows[name], np.float64) * factor)
        kinds += [kind] * sizes[name][0]
    others = windows.drop(columns=list(dtypes)).reset_index(drop=True)
    labels = others["label"] if "label" in others else pd.Series("window", others.index)
    codes, found = pd.factorize(labels.astype(str).where(labels.notna(), "no label"), sort=True)
    n_times = sizes[names[0]][1]
    order = np.arange(len(windows)) * n_times  # samples of the events, which must all differ
    return mne.EpochsArray(
        np.concatenate(blocks, axis=1),
        mne.create_info([c for group in channels.values() for c in group], rate, kinds),
        events=np.column_stack([order, np.zeros_like(order), codes + 1]),
        event_id={name: code + 1 for code, name in enumerate(found)},
        metadata=others,
        verbose="error",
    )


def _import_mne(what):
    try:
        with ignored_warnings():
            import mne
    except ModuleNotFoundError as error:
        if error.name != "mne":
            raise
        raise ImportError(
            f'{what} needs MNE: pip install "skemo[mne]", or pip install mne.'
        ) from error
    return mne


def _chosen(modalities, known):
    """Return the names of the signals to use."""
    names = list(known) if modalities is None else modalities
    if isinstance(names, str):
        names = [names]
    elif not isinstance(names, Iterable):
        raise ValueError(f"modalities must be a name or a list of names, got {modalities!r}.")
    names = list(names)
    absent = [name for name in names if name not in known]
    if absent or not names:
        raise ValueError(
            f"modalities must be among the signals {list(known)}, got {absent or names}."
        )
    return names


def _common_rate(rates, where):
    """Return the sampling rate that all signals share."""
    if len(set(rates.values())) > 1 or None in rates.values():
        listed = ", ".join(
            f"{name!r} at {rate:g} Hz" if rate else f"{name!r} without a rate"
            for name, rate in rates.items()
        )
        raise ValueError(
            f"{where} has signals at different sampling rates ({listed}), but an MNE object has "
            "only one. Pass modalities= with signals at the same rate, or resample them first."
        )
    return next(iter(rates.values()))


def _channel_names(channels):
    """Return the channel names of each modality, made unique among all modalities."""
    named = {
        name: list(found or ([name] if n == 1 else [f"{name} {i + 1}" for i in range(n)]))
        for name, (n, found) in channels.items()
    }
    flat = [channel for found in named.values() for channel in found]
    if len(set(flat)) < len(flat):
        named = {name: [f"{name} {channel}" for channel in found] for name, found in named.items()}
    return named


def _type_and_factor(name, unit, types):
    """Return the channel type of a modality in MNE, and the factor to MNE's unit."""
    if types is not None and not isinstance(types, Mapping):
        raise ValueError(
            f'types must be a dict of modality to channel type, such as {{"brain": "eeg"}}, got '
            f"{types!r}."
        )
    kind = (types or {}).get(name)
    known = _import_mne("types=").io.get_channel_type_constants(include_defaults=True)
    if kind is not None and kind not in known:
        raise ValueError(
            f"types has {kind!r} for {name!r}, but MNE's channel types are {', '.join(known)}."
        )
    if kind is None:
        kind = modality_of(name)
        kind = _TYPES.get(kind, kind)
        kind = kind if kind in _UNITS or kind == "resp" else "misc"
    base = _UNITS.get(kind)
    if base not in ("V", "S"):
        return kind, 1.0
    factor = unit_size(unit, base)
    if factor is None:
        raise ValueError(
            f"{name!r} should be in a unit of {'volts' if base == 'V' else 'siemens'} for MNE's "
            f"channel type {kind!r}, but its unit is {unit!r}. Set its unit, or pass "
            f"types={{{name!r}: 'misc'}} to keep its numbers."
        )
    return kind, factor
