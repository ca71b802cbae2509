"""EEG during mental arithmetic: rest and workload of 36 people (PhysioNet eegmat 1.0.0)."""

from collections.abc import Iterator, Sequence
from functools import partial
from os import PathLike
from typing import Literal

import numpy as np

from skemo.datasets.base import (
    check_file,
    check_modalities,
    check_subjects,
    data_folder,
    download_files,
    read_subjects,
    to_signal,
)
from skemo.io.edf import open_edf
from skemo.signals.recording import Recording

URL = "https://physionet.org/files/eegmat/1.0.0/"
SUBJECTS = tuple(f"{number:02d}" for number in range(36))
CONDITIONS = {"rest": "1", "arithmetic": "2"}  # label: suffix of the file
# The 10/20 system, in the order of the files.
CHANNELS: tuple[str, ...] = ("Fp1", "Fp2", "F3", "F4", "F7", "F8", "T3", "T4", "C3", "C4")
CHANNELS += ("T5", "T6", "P3", "P4", "O1", "O2", "Fz", "Cz", "Pz")
SAMPLING_RATE = 500.0

_LABELS = {"eeg": [f"EEG {channel}" for channel in CHANNELS], "ecg": ["ECG ECG"]}
_CHANNELS = {"eeg": CHANNELS, "ecg": ("ECG",)}
_UNITS = {"eeg": "uV", "ecg": "mV"}


def fetch_eegmat(
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
    """Load the EEG and ECG of 36 people at rest and during mental arithmetic.

    Each person has two recordings at 500 Hz: about three minutes of rest with closed eyes,
    then about one minute of serial subtraction. The labels are ``"rest"`` and
    ``"arithmetic"``: workload, not emotion. Rest always came first, so the condition is
    confounded with order. The EEG has 19 channels of the 10/20 system, referenced to the ears,
    in microvolts; the ECG is in millivolts. The publisher has filtered both to 0.5 to 45 Hz.

    Files are downloaded if missing (175 MB, ODC-By 1.0).

    Parameters
    ----------
    data_home : str or path, default=None
        Folder of the files ``Subject00_1.edf`` to ``Subject35_2.edf``, or of some of them.
        None means the folder ``skemo/eegmat`` in the system's cache folder.
    download : bool, default=True
        Whether to download missing files: those of the requested subjects, or all if `data_home`
        is None, is empty, or contains an interrupted download (it then has a
        ``SHA256SUMS.txt``). A folder that has other EDF files is read as it is. The
        downloaded files are verified with the publisher's hashes.
    modalities : sequence of {"eeg", "ecg"}, default=None
        Which modalities to load, in this order. None means both, EEG first.
    subjects : sequence of str, default=None
        Which subjects to load, ``"00"`` to ``"35"``. None means everyone, or everyone in the
        folder.
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
        By subject, rest before arithmetic, float32. The trial is the condition.

    Raises
    ------
    FileNotFoundError
        If files are missing and `download` is False, or a subject in the folder has only one
        file.
    ConnectionError
        If the download failed; another call resumes it.
    ValueError
        If a file is truncated, unreadable, or not the publisher's.

    References
    ----------
    Zyma et al. (2019), Electroencephalograms during mental arithmetic task performance,
    Data 4(1):14. https://physionet.org/content/eegmat/1.0.0/

    Examples
    --------
    >>> from skemo import segment
    >>> from skemo.datasets import fetch_eegmat
    >>> windows = segment(fetch_eegmat(), duration=10.0)  # doctest: +SKIP
    """
    folder = data_folder(data_home, "eegmat")
    modalities = tuple(_LABELS) if modalities is None else check_modalities(modalities, _LABELS)
    there = sorted({path.name[7:9] for path in folder.glob("Subject[0-9][0-9]_[12].edf")})
    complete = not there or (folder / "SHA256SUMS.txt").exists()
    if subjects is not None:
        wanted = check_subjects(subjects, SUBJECTS)
    else:
        wanted = list(SUBJECTS) if complete and download else there

    missing = [path.name for s in wanted for path in _paths(folder, s) if not path.exists()]
    if download and missing and (complete or subjects is not None):
        files = [path.name for subject in wanted for path in _paths(folder, subject)]
        files = ["subject-info.csv", *files]
        download_files(URL, folder, files, keep_list=complete, progress=progress)
    elif not there:
        raise FileNotFoundError(
            f"{folder} has no files Subject00_1.edf to Subject35_2.edf. Pass data_home=<the "
            "folder that has them>, or download=True."
        )
    read = partial(_read_subject, folder, modalities)
    return read_subjects(read, wanted, on_error, lazy=lazy, n_jobs=n_jobs, progress=progress)


def _paths(folder, subject):
    """Return the files of a subject, rest first."""
    return [folder / f"Subject{subject}_{suffix}.edf" for suffix in CONDITIONS.values()]


def _read_subject(folder, modalities, subject):
    recordings = []
    for condition, path in zip(CONDITIONS, _paths(folder, subject), strict=True):
        signals = _read_edf(path, modalities)
        duration = next(iter(signals.values())).shape[1] / SAMPLING_RATE
        recordings.append(
            Recording(
                signals=signals,
                sampling_rates=dict.fromkeys(signals, SAMPLING_RATE),
                channels={name: _CHANNELS[name] for name in signals},
                units={name: "µV" if name == "eeg" else "mV" for name in signals},
                subject=subject,
                trial=condition,
                labels=((0.0, duration, condition),),
            )
        )
    return recordings


def _read_edf(path, modalities):
    """Return the signals by modality, each (n_channels, n_times)."""
    check_file(path)
    remedy = "Delete it and download it again, or pass on_error='skip'."
    try:
        edf = open_edf(path)
    except ValueError as error:
        raise ValueError(f"{error} {remedy}") from error
    by_label = {signal.label: signal for signal in edf.signals}
    signals = {}
    for name in modalities:
        for label in _LABELS[name]:
            found = by_label.get(label)
            kind = found and (found.sampling_frequency, found.physical_dimension)
            if kind != (SAMPLING_RATE, _UNITS[name]):
                raise ValueError(
                    f"{path} is not as published: {label!r} should have {SAMPLING_RATE:g} Hz and "
                    f"{_UNITS[name]}, but {f'has {kind}' if found else 'is missing'}. {remedy}"
                )
        samples = [by_label[label].data for label in _LABELS[name]]
        signals[name] = to_signal(np.stack(samples).T, str(path), remedy)
    return signals
