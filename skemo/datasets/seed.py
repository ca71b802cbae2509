"""SEED: EEG of 15 people watching film clips, in three sessions."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from os import PathLike
from typing import Literal

import numpy as np

from skemo.datasets.base import check_subjects, local_folder, read_subjects, to_signal
from skemo.datasets.mat import (
    found_below,
    list_variables,
    make_recording,
    numbers,
    read_variables,
)
from skemo.signals.recording import Recording

URL = "https://bcmi.sjtu.edu.cn/home/seed/"
SUBJECTS = tuple(str(number) for number in range(1, 16))
LABELS = {-1: "negative", 0: "neutral", 1: "positive"}
N_TRIALS = 15
SAMPLING_RATE = 200.0
CHANNELS = (
    *("FP1", "FPZ", "FP2", "AF3", "AF4", "F7", "F5", "F3", "F1", "FZ", "F2", "F4", "F6", "F8"),
    *("FT7", "FC5", "FC3", "FC1", "FCZ", "FC2", "FC4", "FC6", "FT8", "T7", "C5", "C3", "C1", "CZ"),
    *("C2", "C4", "C6", "T8", "TP7", "CP5", "CP3", "CP1", "CPZ", "CP2", "CP4", "CP6", "TP8", "P7"),
    *("P5", "P3", "P1", "PZ", "P2", "P4", "P6", "P8", "PO7", "PO5", "PO3", "POZ", "PO4", "PO6"),
    *("PO8", "CB1", "O1", "OZ", "O2", "CB2"),
)

_recording = partial(
    make_recording,
    sampling_rates={"eeg": SAMPLING_RATE},
    channels={"eeg": CHANNELS},
    units={},
    targets={},
)
_FILE = re.compile(r"(\d{1,2})_(\d{8})\.mat")
_REMEDY = "Unpack or download it again, or pass on_error='skip'."


def load_seed(
    data_home: str | PathLike[str],
    *,
    classes: Sequence[str] = ("negative", "neutral", "positive"),
    sessions: Sequence[int] | None = None,
    subjects: Sequence[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    lazy: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[Recording] | Iterator[Recording]:
    """Load SEED: EEG of people watching film clips that are negative, neutral or positive.

    15 people watched the same 15 film clips of about four minutes in three sessions, a week or
    more apart. The loader reads the preprocessed EEG: 62 channels at 200 Hz, from 0 to 75 Hz.
    The publisher does not state its unit, so it is not set; the values have the magnitude of
    microvolts.

    A recording is a trial, that is, one clip. Its label is the emotion that the clip is meant
    to elicit, which is the same for everyone; people's own ratings are not published.

    The data are available to researchers who sign a licence agreement with Shanghai Jiao Tong
    University, https://bcmi.sjtu.edu.cn/home/seed/, and may be used only under its terms.

    Parameters
    ----------
    data_home : str or path
        The folder ``Preprocessed_EEG``, with the files ``1_20131027.mat`` (a subject and a
        date) and ``label.mat``.
    classes : sequence of str, default=("negative", "neutral", "positive")
        The labels to load, at least two; trials of other labels are left out.
    sessions : sequence of int, default=None
        Which sessions to load, 1 to 3, in the order of their dates. None means all of them.
    subjects : sequence of str, default=None
        Which subjects to load, ``"1"`` to ``"15"``. None means everyone in the folder.
    on_error : {"raise", "skip"}, default="raise"
        Whether to raise an error if a subject cannot be read because a file is missing or
        damaged, or to leave the subject out with a warning.
    lazy : bool, default=False
        Whether to return an iterator that reads each subject on demand.
    n_jobs : int, default=None
        Number of subjects read at the same time, each in its own process. The recordings
        of one subject take about 500 MB.
    progress : bool, default=False
        Whether to show a progress bar while reading.

    Returns
    -------
    list of Recording, or an iterator with `lazy`
        By subject, session and clip, float32. The trial is the session and the number of the
        clip, such as ``"1-15"``.

    Raises
    ------
    FileNotFoundError
        If the folder has no such files, or lacks those of a subject.
    ValueError
        If a file is truncated or differs from the published one, or a parameter is invalid.

    References
    ----------
    Zheng and Lu (2015), Investigating Critical Frequency Bands and Channels for EEG-based
    Emotion Recognition with Deep Neural Networks, IEEE Transactions on Autonomous Mental
    Development 7(3):162-175. https://doi.org/10.1109/TAMD.2015.2431497

    Examples
    --------
    >>> from skemo import segment
    >>> from skemo.datasets import load_seed
    >>> recordings = load_seed("~/SEED/Preprocessed_EEG", lazy=True)  # doctest: +SKIP
    >>> windows = segment(recordings, duration=10.0)  # doctest: +SKIP
    """
    folder = local_folder(data_home)
    known = tuple(LABELS.values())
    classes = np.ravel(classes).tolist()
    if any(name not in known for name in classes) or len(set(classes)) < 2:
        raise ValueError(f"classes must be at least two of {list(known)}, got {classes}.")
    wanted_sessions = [1, 2, 3] if sessions is None else np.ravel(sessions).tolist()
    if not wanted_sessions or any(session not in (1, 2, 3) for session in wanted_sessions):
        raise ValueError(f"sessions must be among 1, 2 and 3, got {sessions!r}.")
    files = _session_files(folder)
    if not files:
        raise FileNotFoundError(
            f"{folder} has no files such as 1_20131027.mat.{found_below(folder, '*_2013*.mat')} "
            f"Pass data_home=<the folder Preprocessed_EEG>. Get the data from {URL}"
        )
    there = [subject for subject in SUBJECTS if subject in files]
    wanted = there if subjects is None else check_subjects(subjects, SUBJECTS)
    read = partial(
        _read_subject,
        folder,
        files,
        labels=_read_labels(folder / "label.mat"),
        classes=classes,
        sessions=wanted_sessions,
    )
    return read_subjects(read, wanted, on_error, lazy=lazy, n_jobs=n_jobs, progress=progress)


def _session_files(folder):
    """Return the files of each subject in the order of their dates."""
    found: dict[str, list] = {}
    for path in folder.glob("*_*.mat"):
        match = _FILE.fullmatch(path.name)
        if match and match[1] in SUBJECTS:
            found.setdefault(match[1], []).append((match[2], path))
    return {subject: [path for _, path in sorted(dated)] for subject, dated in found.items()}


def _read_labels(path):
    """Return the label of each clip."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; it has the labels of the clips. Copy it from {URL}"
        )
    values = numbers(read_variables(path, ["label"], _REMEDY)["label"], f"{path}: label").ravel()
    if values.shape != (N_TRIALS,) or not np.isin(values, list(LABELS)).all():
        raise ValueError(
            f"{path} is not as published: label should have {N_TRIALS} numbers among -1, 0 and 1, "
            f"but is {values.tolist()[:20]}. {_REMEDY}"
        )
    return [LABELS[int(value)] for value in values]


def _read_subject(folder, files, subject, *, labels, classes, sessions):
    """Return the recordings of a subject."""
    paths = files.get(subject, [])
    if len(paths) < max(sessions):
        raise FileNotFoundError(
            f"{folder} has {len(paths)} files {subject}_<date>.mat, but one for each of the "
            f"sessions {sessions} was expected. Put the others there, pass sessions=, or pass "
            "on_error='skip'."
        )
    recordings = []
    for session in sessions:
        path = paths[session - 1]
        names = _trial_names(path)
        chosen = [i for i in range(N_TRIALS) if labels[i] in classes]
        for i in chosen:
            where = f"{path}: {names[i]}"
            values = numbers(read_variables(path, [names[i]], _REMEDY)[names[i]], where)
            if values.ndim != 2 or len(values) != len(CHANNELS) or values.shape[1] < SAMPLING_RATE:
                raise ValueError(
                    f"{where} has shape {values.shape}, but should have ({len(CHANNELS)}, "
                    f"n_samples). {_REMEDY}"
                )
            signals = {"eeg": to_signal(values.T, where, _REMEDY)}
            recordings.append(_recording(signals, subject, f"{session}-{i + 1}", labels[i]))
    return recordings


def _trial_names(path):
    """Return the names of the 15 trials, which begin with the initials of the person."""
    names = {}
    for name in list_variables(path, _REMEDY):
        match = re.fullmatch(r"\w*?_?eeg(\d{1,2})", name, re.IGNORECASE)
        if match:
            names[int(match[1])] = name
    absent = [number for number in range(1, N_TRIALS + 1) if number not in names]
    if absent:
        raise ValueError(
            f"{path} is not as published: it has no variable <initials>_eeg{absent[0]}. {_REMEDY}"
        )
    return [names[number] for number in range(1, N_TRIALS + 1)]
