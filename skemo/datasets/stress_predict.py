"""Stress at the wrist: pulse and skin conductance of 35 people (Stress-Predict)."""

from collections.abc import Iterator, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from skemo.datasets.base import (
    check_file,
    check_modalities,
    check_subjects,
    data_folder,
    download_files,
    parse_hashes,
    read_subjects,
    runs,
    to_signal,
)
from skemo.io.empatica_e4 import read_e4_signal
from skemo.signals.recording import Recording

URL = "https://raw.githubusercontent.com/italha-d/Stress-Predict-Dataset/main/"
SUBJECTS = tuple(f"S{number:02d}" for number in range(2, 36))  # S01 has no labels
LABELS = ("rest", "stress")  # the publisher's 0 and 1
HASHES = Path(__file__).with_name("_stress_predict.sha256")
LABEL_FILE = "Processed_data/Improved_All_Combined_hr_rsp_binary.csv"

# By modality: file, sampling rate in hertz, unit, channels.
_FILES = {
    "ppg": ("BVP.csv", 64.0, None, ("BVP",)),
    "eda": ("EDA.csv", 4.0, "µS", ("EDA",)),
    "temp": ("TEMP.csv", 4.0, "°C", ("TEMP",)),
    "acc": ("ACC.csv", 32.0, "1/64 g", ("x", "y", "z")),
}
_COLUMNS = ["Participant", "Time(sec)", "Label"]
_LARGEST_MISMATCH = 60.0  # s that labels may extend beyond a signal
_LARGEST_DIFFERENCE = 10.0  # s between the ends of the signals of one wristband
_REMEDY = "Delete it and download it again, or pass on_error='skip'."


def fetch_stress_predict(
    data_home: str | PathLike[str] | None = None,
    *,
    download: bool = True,
    modalities: Sequence[str] | None = None,
    subjects: Sequence[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    lazy: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[Recording] | Iterator[Recording]:
    """Load the pulse and skin conductance of 34 people at rest and under stress.

    Each person has one recording of about 55 minutes by a wristband (Empatica E4), with
    three tasks in the same order, and rest before, between and after them: the Stroop
    colour-word test, an interview, and hyperventilation. The labels are ``"stress"`` during
    the tasks (the publisher's 1; a third of the time) and ``"rest"`` (0) otherwise. They do
    not tell the tasks apart, nor what people felt: the interview involves speaking, and
    hyperventilation is a way of breathing. The first nine seconds, in which the wristband
    settles and its first samples are 0, have no label.

    Files are downloaded if missing (60 MB, MIT licence).

    Parameters
    ----------
    data_home : str or path, default=None
        Folder that contains ``Processed_data`` and ``Raw_data/S02`` to ``Raw_data/S35``, or
        some of them, such as a copy of the publisher's repository. None means the folder
        ``skemo/stress_predict`` in the system's cache folder.
    download : bool, default=True
        Whether to download missing files: those of the requested subjects, or all if `data_home`
        is None, is empty, or contains an interrupted download (it then has a
        ``SHA256SUMS.txt``). A folder that has other recordings is read as it is.
    modalities : sequence of str, default=None
        Which modalities to load: ``"ppg"`` (blood volume pulse, 64 Hz, no unit), ``"eda"``
        (skin conductance, µS, 4 Hz), ``"temp"`` (skin temperature, °C, 4 Hz), ``"acc"``
        (acceleration along three axes in 1/64 g, 32 Hz). None means ``("eda", "ppg")``.
    subjects : sequence of str, default=None
        Which subjects to load, ``"S02"`` to ``"S35"``. None means everyone, or everyone in
        the folder. S01 has no labels and is not included.
    on_error : {"raise", "skip"}, default="raise"
        Whether to raise an error if a subject cannot be read because one of its files is missing or
        damaged, or to leave it out with a warning.
    lazy : bool, default=False
        Whether to return an iterator that reads each subject on demand.
    n_jobs : int or None, default=None
        Number of subjects read at the same time, each in its own process.
    progress : bool, default=False
        Whether to show a progress bar while downloading and reading.

    Returns
    -------
    list or iterator of Recording
        One per subject, float32. All signals start at the same second.

    Raises
    ------
    FileNotFoundError
        If files are missing and `download` is False, or some files of a subject in the folder
        are missing.
    ConnectionError
        If the download failed; another call resumes it.
    ValueError
        If a file is truncated, unreadable, or not as published.

    Notes
    -----
    The publisher does not provide hashes. Downloads of BVP, EDA and TEMP of S02, S03, S05, S06,
    S08 to S10, S12 to S14, S16, S17, S19, S20, S22, S23, S25 to S27, S29, S30, S32 and S34
    are verified with the hashes of the copies on which this loader was tested. The files of
    other subjects, all ACC files and the labels are not: for these, only the format is checked,
    and that labels and signals cover the same time.

    Known properties of 23 of the subjects: labels change at the second in which a button was
    pressed (``tags_S02.csv`` and so on), except in S06, where they change at whole minutes,
    minutes away from any press, and for the first labels of S17 and S30. Skin conductance is
    very low in S08 and S23, and drops to 0 for single samples in some subjects.

    References
    ----------
    Iqbal et al. (2022), Stress monitoring using wearable sensors: a pilot study and
    Stress-Predict dataset, Sensors 22(21):8135. https://doi.org/10.3390/s22218135
    https://github.com/italha-d/Stress-Predict-Dataset

    Examples
    --------
    >>> from skemo import segment
    >>> from skemo.datasets import fetch_stress_predict
    >>> windows = segment(fetch_stress_predict(), duration=60.0)  # doctest: +SKIP
    """
    folder = data_folder(data_home, "stress_predict")
    modalities = check_modalities(modalities, _FILES)
    there = sorted({path.parent.name for path in folder.glob("Raw_data/S*/*.csv")} & set(SUBJECTS))
    complete = not there or (folder / "SHA256SUMS.txt").exists()
    if subjects is not None:
        wanted = check_subjects(subjects, SUBJECTS)
    else:
        wanted = list(SUBJECTS) if complete and download else there

    files = [f"Raw_data/{subject}/{_FILES[name][0]}" for subject in wanted for name in modalities]
    files = [LABEL_FILE, *files]
    missing = not all((folder / name).exists() for name in files)
    if download and missing and (complete or subjects is not None):
        hashes = dict.fromkeys(files) | parse_hashes(HASHES.read_text(encoding="utf-8"))
        download_files(URL, folder, files, hashes=hashes, keep_list=complete, progress=progress)
    elif not there:
        raise FileNotFoundError(
            f"{folder} has no folders Raw_data/S02 to Raw_data/S35. Pass data_home=<the folder "
            "that has Raw_data and Processed_data>, or download=True."
        )
    labels = _read_labels(folder / LABEL_FILE)
    read = partial(_read_subject, folder, labels, modalities)
    return read_subjects(read, wanted, on_error, lazy=lazy, n_jobs=n_jobs, progress=progress)


def _read_labels(path):
    """Return the time in unix seconds and the label, (n_seconds, 2), of each subject."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path}, the labels, is missing. Put it there, or download the data set into an empty "
            "folder."
        )
    remedy = "Delete it and download it again."
    try:
        table = pd.read_csv(path, usecols=_COLUMNS)[_COLUMNS].to_numpy(np.float64)
    except ValueError as error:  # the base class of pandas' own errors
        raise ValueError(
            f"{path} cannot be read as a table with the columns {', '.join(_COLUMNS)} ({error}). "
            f"{remedy}"
        ) from error
    return {f"S{int(n):02d}": table[table[:, 0] == n, 1:] for n in np.unique(table[:, 0]) if n >= 0}


def _label_intervals(table, path, subject):
    """Return the labels as (start, stop, label) in unix seconds."""
    times, labels = table.T
    wrong = np.flatnonzero(~np.isfinite(times) | ~np.isin(labels, (0, 1)))
    if len(wrong):
        raise ValueError(
            f"{path}: second {wrong[0]} of {subject} should have a time and the label 0 or 1, "
            f"but has {table[wrong[0]].tolist()}. {_REMEDY}"
        )
    if (np.diff(times) <= 0).any():
        raise ValueError(f"{path}: the times of {subject} do not increase. {_REMEDY}")
    breaks = (np.diff(times) != 1) | (np.diff(labels) != 0)
    return [
        (times[start], times[stop - 1] + 1, LABELS[int(labels[start])])
        for start, stop in runs(np.concatenate([[0], np.cumsum(breaks)]))
    ]


def _read_subject(folder, labels, modalities, subject):
    if subject not in labels:
        raise ValueError(
            f"{folder / LABEL_FILE} has no labels of {subject} (no row with Participant "
            f"{int(subject[1:])}). Download the publisher's file, or pass on_error='skip'."
        )
    intervals = _label_intervals(labels[subject], folder / LABEL_FILE, subject)
    first, last = intervals[0][0], intervals[-1][1]
    starts, signals = {}, {}
    for name in modalities:
        path = folder / "Raw_data" / subject / _FILES[name][0]
        starts[name], signals[name] = _read_signal(path, name)
        stop = starts[name] + signals[name].shape[1] / _FILES[name][1]
        if starts[name] > first + _LARGEST_MISMATCH or stop < last - _LARGEST_MISMATCH:
            raise ValueError(
                f"{path} covers the unix seconds {starts[name]:.0f} to {stop:.0f}, but the "
                f"labels of {subject} in {LABEL_FILE} cover {first:.0f} to {last:.0f}: one of the "
                f"two is truncated, or from another recording. {_REMEDY}"
            )
    start = max(starts.values())
    for name in modalities:
        n_before = round((start - starts[name]) * _FILES[name][1])
        signals[name] = signals[name][:, n_before:]
    durations = {name: signals[name].shape[1] / _FILES[name][1] for name in modalities}
    duration, shortest = max(durations.values()), min(durations, key=durations.get)
    if duration - durations[shortest] > _LARGEST_DIFFERENCE:
        raise ValueError(
            f"{folder / 'Raw_data' / subject / _FILES[shortest][0]} ends "
            f"{duration - durations[shortest]:.0f} s before the other signals of {subject}: it is "
            f"truncated. {_REMEDY}"
        )
    clipped = [
        (max(0.0, begin - start), min(duration, stop - start), label)
        for begin, stop, label in intervals
    ]
    return [
        Recording(
            signals=signals,
            sampling_rates={name: _FILES[name][1] for name in modalities},
            channels={name: _FILES[name][3] for name in modalities},
            units={name: _FILES[name][2] for name in modalities},
            subject=subject,
            labels=[interval for interval in clipped if interval[0] < interval[1]],
        )
    ]


def _read_signal(path, name):
    """Return the start in unix seconds and the samples (n_channels, n_times) of a file."""
    check_file(path)
    _, rate, _, channels = _FILES[name]
    try:
        start, found, samples = read_e4_signal(path, len(channels), cut_off="raise")
    except ValueError as error:
        raise ValueError(f"{error} {_REMEDY}") from error
    if found != rate or not samples.shape[1]:
        raise ValueError(
            f"{path} is not as published: its second line should be {rate:g} (Hz), followed by "
            f"samples, but is {found:g}, followed by {samples.shape[1]}. {_REMEDY}"
        )
    return start, to_signal(samples.T, str(path), _REMEDY)
