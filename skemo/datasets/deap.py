"""DEAP: EEG and other physiology of 32 people watching 40 music videos."""

from collections.abc import Iterator, Sequence
from functools import partial
from os import PathLike
from typing import Literal

import numpy as np

from skemo.datasets.base import (
    check_modalities,
    check_subjects,
    local_folder,
    read_subjects,
    to_signal,
)
from skemo.datasets.mat import (
    LeftOut,
    check_rating,
    found_below,
    level,
    make_recording,
    numbers,
    read_variables,
    report_left_out,
)
from skemo.datasets.pickles import array_at, read_pickle
from skemo.signals.recording import Recording

URL = "https://www.eecs.qmul.ac.uk/mmv/datasets/deap/"
SUBJECTS = tuple(f"s{number:02d}" for number in range(1, 33))
TARGETS = ("arousal", "valence", "dominance", "liking")
RATINGS = ("valence", "arousal", "dominance", "liking")  # in the order of the columns
SCALE = (1, 9)
_EEG = (
    *("Fp1", "AF3", "F3", "F7", "FC5", "FC1", "C3", "T7", "CP5", "CP1", "P3", "P7", "PO3", "O1"),
    *("Oz", "Pz", "Fp2", "AF4", "Fz", "F4", "F8", "FC6", "FC2", "Cz", "C4", "T8", "CP6", "CP2"),
    *("P4", "P8", "PO4", "O2"),
)
CHANNELS = {  # modality: its channels, in the order of the rows
    "eeg": _EEG,
    "eog": ("hEOG", "vEOG"),
    "emg": ("zEMG", "tEMG"),
    "gsr": ("GSR",),
    "resp": ("Resp",),
    "ppg": ("Plethysmograph",),
    "temp": ("Temperature",),
}
ROWS = {
    "eeg": slice(0, 32),
    "eog": slice(32, 34),
    "emg": slice(34, 36),
    "gsr": slice(36, 37),
    "resp": slice(37, 38),
    "ppg": slice(38, 39),
    "temp": slice(39, 40),
}
SAMPLING_RATE = 128.0
BASELINE = 3.0  # seconds before each video

_recording = partial(
    make_recording,
    sampling_rates=dict.fromkeys(CHANNELS, SAMPLING_RATE),
    channels=CHANNELS,
    units={"eeg": "µV", "gsr": "Ω"},
)
_N_TRIALS, _N_CHANNELS, _N_TIMES = 40, 40, 8064
_REMEDY = "Unpack or download it again, or pass on_error='skip'."


def load_deap(
    data_home: str | PathLike[str],
    *,
    target: Literal["arousal", "valence", "dominance", "liking"] = "arousal",
    threshold: float = 5,
    baseline: bool = False,
    modalities: Sequence[str] | None = None,
    subjects: Sequence[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    lazy: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[Recording] | Iterator[Recording]:
    """Load DEAP: EEG and peripheral signals of people watching music videos, with ratings.

    32 people watched 40 one-minute excerpts of music videos, and rated their valence, arousal,
    dominance and liking from 1 to 9 after each. The loader reads the preprocessed signals, all
    at 128 Hz: 32 channels of EEG in microvolts, from 4 to 45 Hz, with eye artefacts removed
    and the common average as reference; EOG, EMG, skin resistance, respiration, pulse and
    skin temperature, whose units are not set except for the resistance.

    The publisher gives the "GSR" as resistance in ohms. The modality is therefore called
    ``"gsr"``, not ``"eda"``: a response is a fall in resistance. Where the resistance is
    positive, ``1e6 / resistance`` is the conductance in µS. Look at the signal first.

    A recording is a trial, that is, one video without the 3 s of baseline before it: second 0
    is the start of the video. Its label is ``"high"`` if the rating of `target` is above the
    threshold, else ``"low"``. All four ratings are in its ``targets``. A trial whose rating of
    `target` is NaN or off the scale is left out with a warning.

    The data are available to researchers who sign the End User License Agreement of Queen Mary
    University of London, https://www.eecs.qmul.ac.uk/mmv/datasets/deap/, and may be used only under
    its terms. Unpack the archive of the preprocessed data for Python or for MATLAB. The
    files for Python are pickles; nothing in them is run, and they are refused if they contain
    anything except arrays of numbers.

    Parameters
    ----------
    data_home : str or path
        Folder of the files ``s01.dat`` to ``s32.dat``, or ``s01.mat`` to ``s32.mat``. The
        former are used if both are there.
    target : {"arousal", "valence", "dominance", "liking"}, default="arousal"
        The rating from which the labels are made.
    threshold : float, default=5
        Ratings above the threshold are high. At least 1 and below 9.
    baseline : bool, default=False
        Whether to return, before each trial, a recording of its 3 s of baseline, with the
        label ``"baseline"``, the trial ``"<video> baseline"`` and no ``targets``.
    modalities : sequence of str, default=None
        Which modalities to load, in this order, among eeg, eog, emg, gsr, resp, ppg and temp.
        None means eeg and ppg.
    subjects : sequence of str, default=None
        Which subjects to load, ``"s01"`` to ``"s32"``. None means everyone in the folder.
    on_error : {"raise", "skip"}, default="raise"
        Whether to raise an error if a subject cannot be read because its file is missing or
        damaged, or to leave it out with a warning.
    lazy : bool, default=False
        Whether to return an iterator that reads each subject on demand, and warns at its end.
    n_jobs : int, default=None
        Number of subjects read at the same time, each in its own process. Reading takes about
        250 MB of memory for each.
    progress : bool, default=False
        Whether to show a progress bar while reading.

    Returns
    -------
    list of Recording, or an iterator with `lazy`
        By subject and video, float32. The trial is the number of the video, ``"1"`` to
        ``"40"``, which is not the order in which they were shown.

    Raises
    ------
    FileNotFoundError
        If the folder has no such files, or lacks that of a subject.
    ValueError
        If a file is truncated or differs from the published one, no trial can be used, or a
        parameter is invalid.

    References
    ----------
    Koelstra et al. (2012), DEAP: A Database for Emotion Analysis Using Physiological Signals,
    IEEE Transactions on Affective Computing 3(1):18-31. https://doi.org/10.1109/T-AFFC.2011.15

    Examples
    --------
    >>> from skemo import segment
    >>> from skemo.datasets import load_deap
    >>> recordings = load_deap("~/data_preprocessed_python", lazy=True)  # doctest: +SKIP
    >>> windows = segment(recordings, duration=10.0)  # doctest: +SKIP
    """
    check_rating(target, TARGETS, threshold, SCALE)
    modalities = check_modalities(modalities, tuple(CHANNELS))
    folder = local_folder(data_home)
    there = [
        subject for subject in SUBJECTS if any(path.is_file() for path in _paths(folder, subject))
    ]
    if not there:
        raise FileNotFoundError(
            f"{folder} has no files s01.dat to s32.dat, or s01.mat to s32.mat."
            f"{found_below(folder, 's[0-9][0-9].[dm]at')} Pass data_home=<the folder that has "
            f"them>. Get the data from {URL}"
        )
    wanted = there if subjects is None else check_subjects(subjects, SUBJECTS)
    read = partial(
        _read_subject,
        folder,
        target=target,
        threshold=threshold,
        baseline=baseline,
        modalities=modalities,
    )
    recordings = report_left_out(
        read_subjects(read, wanted, on_error, lazy=True, n_jobs=n_jobs, progress=progress)
    )
    return recordings if lazy else list(recordings)


def _paths(folder, subject):
    return folder / f"{subject}.dat", folder / f"{subject}.mat"


def _read_subject(folder, subject, *, target, threshold, baseline, modalities):
    """Return the recordings of a subject, and a `LeftOut` for each trial without one."""
    path, data, ratings = _read_file(folder, subject)
    start = int(BASELINE * SAMPLING_RATE)
    items = []
    for number, (trial, rated) in enumerate(zip(data, ratings, strict=True), start=1):
        targets = dict(zip(RATINGS, rated.tolist(), strict=True))
        label = level(targets[target], threshold, SCALE)
        if label is None:  # also if the rating is NaN
            items.append(LeftOut(subject, f"a rating of {target} from 1 to 9"))
            continue
        before, video = (
            {
                name: to_signal(trial[ROWS[name], part].T, f"{path}: data, trial {number}", _REMEDY)
                for name in modalities
            }
            for part in (slice(start), slice(start, None))
        )
        if baseline:
            items.append(_recording(before, subject, f"{number} baseline", "baseline", {}))
        items.append(_recording(video, subject, str(number), label, targets))
    return items


def _read_file(folder, subject):
    """Return the path of a subject's file, its data and ratings, after checking their shapes."""
    path = next((path for path in _paths(folder, subject) if path.is_file()), None)
    if path is None:
        raise FileNotFoundError(
            f"{folder} has no {subject}.dat or {subject}.mat. Put it there, select the other "
            "subjects with subjects=, or pass on_error='skip'."
        )
    if path.suffix == ".dat":
        content = read_pickle(path, _REMEDY)
        found = [array_at(content, [name], path, _REMEDY) for name in ("data", "labels")]
    else:
        variables = read_variables(path, ["data", "labels"], _REMEDY)
        found = [numbers(variables[name], f"{path}: {name}") for name in ("data", "labels")]
    for name, values, shape in zip(
        ("data", "labels"),
        found,
        ((_N_TRIALS, _N_CHANNELS, _N_TIMES), (_N_TRIALS, len(RATINGS))),
        strict=True,
    ):
        if values.shape != shape:
            raise ValueError(
                f"{path} is not as published: {name} has shape {values.shape}, but should have "
                f"{shape}. {_REMEDY}"
            )
    data, ratings = found
    return path, data, np.asarray(ratings, np.float64)
