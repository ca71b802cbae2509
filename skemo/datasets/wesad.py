"""Stress and amusement of 15 people, measured at the chest and the wrist (WESAD)."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Literal

import numpy as np

from skemo.datasets.base import (
    check_file,
    check_modalities,
    check_subjects,
    local_folder,
    read_subjects,
    runs,
    to_signal,
)
from skemo.datasets.pickles import array_at, field_at, read_pickle
from skemo.signals.recording import Recording

SUBJECTS = tuple(f"S{number}" for number in range(2, 18) if number != 12)
LABELS = {"baseline": 1, "stress": 2, "amusement": 3, "meditation": 4}
BINARY = {"stress": "stress", "baseline": "non-stress", "amusement": "non-stress"}
LABEL_RATE = 700.0  # hertz

# By device and modality: field of the file, sampling rate in hertz, unit, channels.
_XYZ = ("x", "y", "z")
_FIELDS: dict[str, dict[str, tuple[str, float, str | None, tuple[str, ...]]]] = {
    "chest": {
        "ecg": ("ECG", 700.0, "mV", ("ECG",)),
        "eda": ("EDA", 700.0, "µS", ("EDA",)),
        "emg": ("EMG", 700.0, "mV", ("EMG",)),
        "resp": ("Resp", 700.0, "%", ("Resp",)),
        "temp": ("Temp", 700.0, "°C", ("Temp",)),
        "acc": ("ACC", 700.0, "g", _XYZ),
    },
    "wrist": {
        "ppg": ("BVP", 64.0, None, ("BVP",)),
        "eda": ("EDA", 4.0, "µS", ("EDA",)),
        "temp": ("TEMP", 4.0, "°C", ("TEMP",)),
        "acc": ("ACC", 32.0, "1/64 g", _XYZ),
    },
}
_REMEDY = "Extract it again from the publisher's archive, or pass on_error='skip'."


def load_wesad(
    data_home: str | PathLike[str],
    *,
    device: Literal["chest", "wrist"] = "chest",
    classes: str | Sequence[str] | Mapping[str, str] = ("baseline", "stress", "amusement"),
    modalities: Sequence[str] | None = None,
    subjects: Sequence[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    lazy: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[Recording] | Iterator[Recording]:
    """Load WESAD: physiology of 15 people at rest, under stress and amused.

    Each person has one recording of about an hour and a half: a baseline of reading, a
    social stress test, funny films, and two meditations; the order of stress and amusement
    varies. A chest strap recorded at 700 Hz and a wristband at 4 to 64 Hz. The publisher has
    synchronised them, so that both start at second 0, like the labels.

    The data are for scientific, non-commercial use and need no agreement. Download the archive
    from https://archive.ics.uci.edu/dataset/465 or
    https://uni-siegen.sciebo.de/s/HGdUkoNlW1Ub0Gx and extract it. The loader reads the files
    ``S2/S2.pkl`` to ``S17/S17.pkl``. There is no S1 or S12, because their sensors failed.

    The files are pickles, which usually can run arbitrary code when they are read. This loader
    runs nothing in them: it refuses everything except containers, strings and arrays of
    numbers. It also reads files that were pickled again by a current Python and NumPy. It does not
    detect a file that was made to exhaust memory or time. Files have up to
    about 1 GB, and one per process is held in memory while it is read; data that were not
    requested are then dropped.

    Parameters
    ----------
    data_home : str or path
        The folder ``WESAD`` of the archive, which contains the folders S2 to S17.
    device : {"chest", "wrist"}, default="chest"
        Which device to load. Chest, all at 700 Hz: ecg (mV), eda (µS), emg (mV),
        resp (%), temp (°C), acc (g). Wrist: ppg (64 Hz, no unit), eda (4 Hz, µS), temp
        (4 Hz, °C), acc (32 Hz, 1/64 g).
    classes : sequence of str, mapping of str to str, or "binary", \
default=("baseline", "stress", "amusement")
        The labels: at least two of baseline, stress, amusement and meditation. A mapping
        gives the class of each, so that several can be merged. ``"binary"`` is stress versus
        ``"non-stress"``, that is, baseline and amusement, as in the publication. All other
        time has no label, so `skemo.segment` leaves it out.
    modalities : sequence of str, default=None
        Which modalities to load, in this order. None means ecg and eda of the chest, or eda
        and ppg of the wrist.
    subjects : sequence of str, default=None
        Which subjects to load, ``"S2"`` to ``"S17"``. None means everyone.
    on_error : {"raise", "skip"}, default="raise"
        Whether to raise an error if a subject cannot be read because its file is missing or
        damaged, or to leave it out with a warning.
    lazy : bool, default=False
        Whether to return an iterator that reads each subject on demand.
    n_jobs : int, default=None
        Number of subjects read at the same time, each in its own process.
    progress : bool, default=False
        Whether to show a progress bar.

    Returns
    -------
    list or iterator of Recording
        One per subject, float32; the trial is empty.

    Raises
    ------
    FileNotFoundError
        If `data_home` has no such files, or that of a subject is missing.
    ValueError
        If a parameter is invalid, or a file is truncated, not as published, or contains
        anything except arrays of numbers.

    References
    ----------
    Schmidt, Reiss, Dürichen, Marberger, Van Laerhoven (2018), Introducing WESAD, a
    multimodal dataset for wearable stress and affect detection, ICMI, 400-408.
    https://doi.org/10.1145/3242969.3242985

    Examples
    --------
    >>> from skemo import segment
    >>> from skemo.datasets.wesad import load_wesad
    >>> recordings = load_wesad("WESAD", classes="binary", lazy=True)  # doctest: +SKIP
    >>> windows = segment(recordings, duration=60.0)  # doctest: +SKIP
    """
    folder = local_folder(data_home)
    if device not in _FIELDS:
        raise ValueError(f"device must be 'chest' or 'wrist', got {device!r}.")
    read = partial(
        _read_subject,
        folder,
        device,
        check_modalities(modalities, _FIELDS[device]),
        _check_classes(classes),
    )
    subjects = check_subjects(subjects, SUBJECTS)
    if not any(_path(folder, subject).exists() for subject in SUBJECTS):
        raise FileNotFoundError(
            f"{folder} has none of the files S2/S2.pkl to S17/S17.pkl. Pass data_home=<the folder "
            "WESAD of the archive, which contains the folders S2 to S17>."
        )
    return read_subjects(read, subjects, on_error, lazy=lazy, n_jobs=n_jobs, progress=progress)


def _path(folder, subject):
    return folder / subject / f"{subject}.pkl"


def _check_classes(classes):
    """Return the class of each number in the label series that has one."""
    if isinstance(classes, str):
        class_of = BINARY if classes == "binary" else {}
    else:
        class_of = classes if isinstance(classes, Mapping) else {label: label for label in classes}
    names = set(class_of.values())
    known = all(label in LABELS for label in class_of)
    if not known or len(names) < 2 or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"classes must be 'binary', at least two of {list(LABELS)}, or a mapping from these to "
            f"at least two names, got {classes!r}."
        )
    return {LABELS[label]: name for label, name in class_of.items()}


def _read_subject(folder, device, modalities, classes, subject):
    path = _path(folder, subject)
    check_file(path)
    content = read_pickle(path, _REMEDY)
    found = field_at(content, ["subject"], path, _REMEDY)
    if found != subject:
        found = repr(found[:9]) if isinstance(found, str) else type(found).__name__
        raise ValueError(f"{path} is not as published: its subject is {found}. {_REMEDY}")
    label = array_at(content, ["label"], path, _REMEDY)
    unknown = np.setdiff1d(label, range(8))
    if label.ndim != 1 or unknown.size:
        raise ValueError(
            f"{path} is not as published: label should be a series of numbers 0 to 7, but has "
            f"shape {label.shape} and the values {unknown[:3].tolist()}. {_REMEDY}"
        )
    intervals = _label_intervals(label.astype(np.intp), classes)
    if not intervals:
        raise ValueError(
            f"{path}: no sample of label has any of the classes {sorted(set(classes.values()))}. "
            "Choose other classes=, or pass on_error='skip'."
        )
    fields = {name: _FIELDS[device][name] for name in modalities}
    return [
        Recording(
            signals={
                name: _signal(content, path, device, field, rate, len(channels), len(label))
                for name, (field, rate, _, channels) in fields.items()
            },
            sampling_rates={name: rate for name, (_, rate, _, _) in fields.items()},
            channels={name: channels for name, (_, _, _, channels) in fields.items()},
            units={name: unit for name, (_, _, unit, _) in fields.items()},
            subject=subject,
            labels=intervals,
        )
    ]


def _label_intervals(label, classes):
    """Return the runs of each class as (start, stop, class) in seconds."""
    names = sorted(set(classes.values()))
    code_of = np.full(8, -1)
    for number, name in classes.items():
        code_of[number] = names.index(name)
    codes = code_of[label]
    return [
        (start / LABEL_RATE, stop / LABEL_RATE, names[codes[start]])
        for start, stop in runs(codes)
        if codes[start] >= 0
    ]


def _signal(content, path, device, field, rate, n_channels, n_labels):
    """Return the samples of a field, (n_channels, n_times), after checking their number."""
    values = array_at(content, ["signal", device, field], path, _REMEDY)
    if values.ndim != 2 or values.shape[1] != n_channels:
        raise ValueError(
            f"{path} is not as published: signal/{device}/{field} should have shape (n, "
            f"{n_channels}), but has {values.shape}. {_REMEDY}"
        )
    # The wristband has its own clock: its signals end within a second of the labels.
    allowed = 0 if rate == LABEL_RATE else 1
    if abs(len(values) / rate - n_labels / LABEL_RATE) > allowed:
        raise ValueError(
            f"{path} is not as published: signal/{device}/{field} has {len(values)} samples at "
            f"{rate:g} Hz, and label has {n_labels} at {LABEL_RATE:g} Hz, but both should have the "
            f"same duration. {_REMEDY}"
        )
    return to_signal(values, f"{path}: signal/{device}/{field}", _REMEDY)
