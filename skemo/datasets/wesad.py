"""Stress and amusement of 15 people, measured at the chest and the wrist (WESAD)."""

import pickle
from collections.abc import Mapping
from functools import partial

import numpy as np

from skemo.datasets.base import (
    check_file,
    check_modalities,
    check_subjects,
    local_folder,
    read_subjects,
    runs,
)
from skemo.signals.recording import Recording

SUBJECTS = tuple(f"S{number}" for number in range(2, 18) if number != 12)
LABELS = {"baseline": 1, "stress": 2, "amusement": 3, "meditation": 4}
BINARY = {"stress": "stress", "baseline": "non-stress", "amusement": "non-stress"}
LABEL_RATE = 700.0  # hertz

# By device and modality: field of the file, sampling rate in hertz, unit, channels.
_XYZ = ("x", "y", "z")
_FIELDS = {
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
_NUMBERS = [kind + size for kind in "iu" for size in "1248"] + ["f4", "f8"]


def load_wesad(
    data_home,
    *,
    device="chest",
    classes=("baseline", "stress", "amusement"),
    modalities=None,
    subjects=None,
    on_error="raise",
    lazy=False,
    n_jobs=None,
    progress=False,
):
    """Load WESAD: physiology of 15 people at rest, under stress and amused.

    Each person has one recording of about an hour and a half: a baseline of reading, a
    social stress test, funny films, and twice a meditation; the order of stress and
    amusement is not the same for all. A chest strap measured at 700 Hz, a wristband at 4 to
    64 Hz; the publisher has synchronised them, so that both start at second 0 with the
    labels.

    The data are for scientific, non-commercial use. Nothing is to be signed: download the
    archive from https://archive.ics.uci.edu/dataset/465 or
    https://uni-siegen.sciebo.de/s/HGdUkoNlW1Ub0Gx and extract it. Read are the files
    ``S2/S2.pkl`` to ``S17/S17.pkl``, without S12 and S1, whose sensors failed.

    These are pickles, which can run any program when they are read in the usual way. Here
    nothing in them is run: whatever is not a container, a string or an array of numbers is
    refused; a file that was made to exhaust memory or time is not recognised. A file of up to about
    1 GB is held in memory while it is read, one for each process; what is not asked for is
    then dropped.

    Parameters
    ----------
    data_home : str or path
        The folder ``WESAD`` of the archive, that has the folders S2 to S17.
    device : {"chest", "wrist"}, default="chest"
        Which device's signals to load. Chest, all at 700 Hz: ecg (mV), eda (µS), emg (mV),
        resp (%), temp (°C), acc (g). Wrist: ppg (64 Hz, no unit), eda (4 Hz, µS), temp
        (4 Hz, °C), acc (32 Hz, 1/64 g).
    classes : sequence of str, mapping of str to str, or "binary", \
default=("baseline", "stress", "amusement")
        The labels: at least two of baseline, stress, amusement and meditation. A mapping
        gives the class of each, so that several can be one. ``"binary"`` is stress against
        ``"non-stress"``, which is baseline and amusement, as in the publication. All other
        time has no label, so that `skemo.segment` leaves it out.
    modalities : sequence of str, default=None
        What to load, and in which order. None is ecg and eda of the chest, eda and ppg of
        the wrist.
    subjects : sequence of str, default=None
        Who to load, ``"S2"`` to ``"S17"``. None is everyone.
    on_error : {"raise", "skip"}, default="raise"
        Whether a subject whose file lacks or cannot be read is an error, or left out with a
        warning.
    lazy : bool, default=False
        Return an iterator that reads a subject when it is asked for.
    n_jobs : int, default=None
        Processes that read at once, each a subject.
    progress : bool, default=False
        Show a bar.

    Returns
    -------
    list or iterator of Recording
        One a subject, float32; the trial is empty.

    Raises
    ------
    FileNotFoundError
        There are no such files in `data_home`, or a subject's is missing.
    ValueError
        A parameter cannot be, or a file is truncated, not as published, or asks for
        anything but arrays of numbers.

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
            "WESAD of the archive, that has the folders S2 to S17>."
        )
    return read_subjects(read, subjects, on_error, lazy=lazy, n_jobs=n_jobs, progress=progress)


def _path(folder, subject):
    return folder / subject / f"{subject}.pkl"


def _check_classes(classes):
    """Class of each number in the label series that has one."""
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
    content = _unpickle(path)
    found = _field(content, path, "subject")
    if found != subject:
        found = repr(found[:9]) if isinstance(found, str) else type(found).__name__
        raise ValueError(f"{path} is not as published: its subject is {found}. {_REMEDY}")
    label = _numbers(content, path, "label")
    strange = np.setdiff1d(label, range(8))
    if label.ndim != 1 or strange.size:
        raise ValueError(
            f"{path} is not as published: label should be a series of numbers 0 to 7, and has "
            f"shape {label.shape} and the values {strange[:3].tolist()}. {_REMEDY}"
        )
    intervals = _label_intervals(label.astype(np.intp), classes)
    if not intervals:
        raise ValueError(
            f"{path}: no sample of label has any of the classes {sorted(set(classes.values()))}. "
            "Ask for others in classes=, or pass on_error='skip'."
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
    """Runs of each class as (start, stop, class) in seconds."""
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
    """Samples of a field, (n_channels, n_times), if they are as long as the labels."""
    values = _numbers(content, path, "signal", device, field)
    if values.ndim != 2 or values.shape[1] != n_channels:
        raise ValueError(
            f"{path} is not as published: signal/{device}/{field} should have shape (n, "
            f"{n_channels}), and has {values.shape}. {_REMEDY}"
        )
    # The wristband's clock is another: its signals end within a second of the labels.
    allowed = 0 if rate == LABEL_RATE else 1
    if abs(len(values) / rate - n_labels / LABEL_RATE) > allowed:
        raise ValueError(
            f"{path} is not as published: signal/{device}/{field} has {len(values)} samples at "
            f"{rate:g} Hz, and label {n_labels} at {LABEL_RATE:g} Hz: they should last as long as "
            f"each other. {_REMEDY}"
        )
    return np.array(values.T, np.float32, order="C")


def _field(content, path, *keys):
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            raise ValueError(f"{path} is not as published: {'/'.join(keys)} is missing. {_REMEDY}")
        content = content[key]
    return content


def _numbers(content, path, *keys):
    """Array of a field, in the file's own value type."""
    array = _field(content, path, *keys)
    try:
        if not isinstance(array, _Array):
            raise TypeError(f"found {type(array).__name__}")
        return array.values()
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{path} is not as published: {'/'.join(keys)} is no array of numbers ({error}). "
            f"{_REMEDY}"
        ) from error


def _unpickle(path):
    try:
        with path.open("rb") as file:
            if file.read(2) > b"\x80\x02":
                raise pickle.UnpicklingError("it is not of Python 2, which wrote what is published")
            file.seek(0)
            return _Unpickler(file, encoding="latin1").load()
    except OSError:
        raise
    except MemoryError as error:
        raise ValueError(
            f"{path}, of {path.stat().st_size / 1e6:.0f} MB, asks for more memory than there is: "
            f"it is damaged, or the machine too small. {_REMEDY}"
        ) from error
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"{path} cannot be read: {error or 'it is empty'}. {_REMEDY}") from error


class _DataType:
    """What a pickle gets for ``numpy.dtype``: one of plain numbers, or an error."""

    def __init__(self, code, align=False, copy=False):
        if not isinstance(code, str) or code not in _NUMBERS:
            kind = repr(code[:9]) if isinstance(code, str) else type(code).__name__
            raise pickle.UnpicklingError(f"it has an array of {kind}, and only numbers may be")
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """What a pickle gets for ``numpy.ndarray``: the bytes of an array, and what they mean."""

    def __init__(self, *_):
        pass

    def __setstate__(self, state):
        _, self.shape, self.data_type, self.is_fortran, self.data = state

    def values(self):
        values = np.frombuffer(self.data.encode("latin1"), self.data_type.dtype)
        return values.reshape(self.shape, order="F" if self.is_fortran else "C")


_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DataType,
}


class _Unpickler(pickle.Unpickler):
    """Reads containers, strings and arrays of numbers as Python 2 wrote them.

    NumPy's own functions are not let in: a pickle could build with them an object array
    that passes for numbers, whose bytes are then taken for addresses.
    """

    def find_class(self, module, name):
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(
                f"it asks for '{module}.{name}', which could run a program, and was refused; only "
                "arrays of numbers may be. Do not read it by other means unless you trust it"
            )
        return _ADMITTED[module, name]
