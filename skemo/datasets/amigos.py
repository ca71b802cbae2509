"""AMIGOS: EEG, ECG and skin conductance of 40 people watching short and long videos."""

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
    cells,
    check_rating,
    found_below,
    level,
    make_recording,
    numbers,
    read_variables,
    report_left_out,
    samples,
    text,
)
from skemo.signals.recording import Recording

URL = "http://www.eecs.qmul.ac.uk/mmv/datasets/amigos/"
SUBJECTS = tuple(f"P{number:02d}" for number in range(1, 41))
TARGETS = ("arousal", "valence")
RATINGS = ("arousal", "valence", "dominance", "liking", "familiarity")
SCALE = (1, 9)
VIDEOS = {"short": range(16), "long": range(16, 20), "all": range(20)}
_EEG = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")
CHANNELS = {  # modality: its channels, in the order of the columns
    "eeg": _EEG,
    "ecg": ("ECG right", "ECG left"),
    "eda": ("GSR",),
}
COLUMNS = {"eeg": slice(0, 14), "ecg": slice(14, 16), "eda": slice(16, 17)}
SAMPLING_RATE = 128.0
BASELINE = 5.0  # seconds before each video

_recording = partial(
    make_recording,
    sampling_rates=dict.fromkeys(CHANNELS, SAMPLING_RATE),
    channels=CHANNELS,
    units={"eeg": "µV"},
)
_N_TRIALS, _N_COLUMNS, _N_ANSWERS = 20, 17, 12
_REMEDY = "Unpack or download it again, or pass on_error='skip'."


def load_amigos(
    data_home: str | PathLike[str],
    *,
    target: Literal["arousal", "valence"] = "arousal",
    threshold: float = 5,
    videos: Literal["short", "long", "all"] = "short",
    baseline: bool = False,
    modalities: Sequence[str] | None = None,
    subjects: Sequence[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    lazy: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[Recording] | Iterator[Recording]:
    """Load AMIGOS: EEG, ECG and skin conductance of people watching videos, with ratings.

    The publisher does not state the unit of the skin conductance ("GSR"), and users of the
    data disagree: some take the numbers for a resistance and invert them. Look at the signal
    before you interpret responses: a response is a rise in conductance, but a fall in
    resistance.

    40 people watched 16 short videos (51 to 150 s), and 37 of them also watched 4 long videos
    (14 to 24 min), alone or in groups. After each video they rated their arousal, valence,
    dominance, liking and familiarity from 1 to 9. The loader reads the preprocessed signals at
    128 Hz: 14 channels of EEG in microvolts, 2 of ECG, and the skin conductance; the unit of
    the latter two is not set.

    A recording is a trial, that is, one video without the 5 s of baseline before it: second 0
    is the start of the video. Its label is ``"high"`` if the rating of `target` is above the
    threshold, else ``"low"``. All five ratings are in its ``targets``.

    Some trials have no signals or no rating. They are left out with one warning that lists
    their number by subject: trials in which all `modalities` are empty or entirely NaN, that
    last less than a second, or whose rating of `target` is empty, NaN or off the scale. In the
    other trials, NaN samples and modalities that are entirely NaN stay as they are.

    The data are available to researchers who sign the End User License Agreement of Queen Mary
    University of London, http://www.eecs.qmul.ac.uk/mmv/datasets/amigos/, and may be used
    under its terms only. Unpack all archives of the preprocessed data in MATLAB format.

    Parameters
    ----------
    data_home : str or path
        Folder of the files ``Data_Preprocessed_P01.mat`` to ``Data_Preprocessed_P40.mat``,
        or of folders with these names (without ``.mat``) that each contain the file.
    target : {"arousal", "valence"}, default="arousal"
        The rating from which the labels are made.
    threshold : float, default=5
        Ratings above the threshold are high. At least 1 and below 9.
    videos : {"short", "long", "all"}, default="short"
        Which videos to load. Short and long videos are two experiments, and most windows come
        from the long ones.
    baseline : bool, default=False
        Whether to return, before each trial, a recording of its 5 s of baseline, with the
        label ``"baseline"``, the trial ``"<video> baseline"`` and no ``targets``.
    modalities : sequence of {"eeg", "ecg", "eda"}, default=None
        Which modalities to load, in this order. None means all three, ECG first.
    subjects : sequence of str, default=None
        Which subjects to load, ``"P01"`` to ``"P40"``. None means everyone in the folder.
    on_error : {"raise", "skip"}, default="raise"
        Whether to raise an error if a subject cannot be read because its file is missing or
        damaged, or to leave it out with a warning.
    lazy : bool, default=False
        Whether to return an iterator that reads each subject on demand, and warns at its end.
    n_jobs : int, default=None
        Number of subjects read at the same time, each in its own process.
    progress : bool, default=False
        Whether to show a progress bar while reading.

    Returns
    -------
    list of Recording, or an iterator with `lazy`
        By subject, in the order of the file; float32. The trial is the publisher's video ID.

    Raises
    ------
    FileNotFoundError
        If the folder has no such files, or not that of a subject.
    ValueError
        If a file is truncated or differs from the published one, no trial can be used, or a
        parameter is invalid.

    References
    ----------
    Miranda-Correa, Abadi, Sebe and Patras (2021), AMIGOS: A Dataset for Affect, Personality
    and Mood Research on Individuals and Groups, IEEE Transactions on Affective Computing
    12(2):479-493. https://doi.org/10.1109/TAFFC.2018.2884461

    Examples
    --------
    >>> from skemo import segment
    >>> from skemo.datasets import load_amigos
    >>> recordings = load_amigos("~/AMIGOS", target="valence")  # doctest: +SKIP
    >>> windows = segment(recordings, duration=10.0)  # doctest: +SKIP
    """
    check_rating(target, TARGETS, threshold, SCALE)
    if videos not in tuple(VIDEOS):
        raise ValueError(f"videos must be 'short', 'long' or 'all', got {videos!r}.")
    modalities = check_modalities(modalities, tuple(CHANNELS))
    folder = local_folder(data_home)
    names = {path.name[18:21] for path in folder.glob("Data_Preprocessed_P[0-9][0-9]*")}
    there = [subject for subject in SUBJECTS if subject in names]
    if not there:
        raise FileNotFoundError(
            f"{folder} has no files Data_Preprocessed_P01.mat to Data_Preprocessed_P40.mat, nor "
            f"folders with them.{found_below(folder, 'Data_Preprocessed_P[0-9][0-9]*')} Pass "
            f"data_home=<the folder that has them>. Get the data from {URL}"
        )
    wanted = there if subjects is None else check_subjects(subjects, SUBJECTS)
    read = partial(
        _read_subject,
        folder,
        target=target,
        threshold=threshold,
        trials=VIDEOS[videos],
        baseline=baseline,
        modalities=modalities,
    )
    recordings = report_left_out(
        read_subjects(read, wanted, on_error, lazy=True, n_jobs=n_jobs, progress=progress)
    )
    return recordings if lazy else list(recordings)


def _find(folder, subject):
    name = f"Data_Preprocessed_{subject}"
    for path in (folder / f"{name}.mat", folder / name / f"{name}.mat"):
        if path.is_file():
            return path
    archive = folder / f"{name}.zip"
    remedy = f"Unpack {archive}" if archive.exists() else "Put it there"
    raise FileNotFoundError(
        f"{folder} has no {name}.mat, nor {name}/{name}.mat. {remedy}, select the other subjects "
        "with subjects=, or pass on_error='skip'."
    )


def _read_subject(folder, subject, *, target, threshold, trials, baseline, modalities):
    """Return the recordings of a subject, and a `LeftOut` for each trial without one."""
    path = _find(folder, subject)
    names = ["joined_data", "labels_selfassessment", "VideoIDs"]
    found = read_variables(path, names, _REMEDY)
    tables, answers, ids = (cells(found[name], _N_TRIALS, f"{path}: {name}") for name in names)
    items = []
    for trial in trials:
        signals_at, ratings_at, id_at = (f"{path}: {name}{{{trial + 1}}}" for name in names)
        table = samples(tables[trial], _N_COLUMNS, signals_at)
        ratings = _ratings(answers[trial], ratings_at)
        video, before = _cut(table, modalities, signals_at)
        if video is None:
            items.append(LeftOut(subject, "signals"))
        elif ratings is None or np.isnan(ratings[target]):
            items.append(LeftOut(subject, f"a rating of {target}"))
        elif (label := level(ratings[target], threshold, SCALE)) is None:
            items.append(LeftOut(subject, f"a rating of {target} from 1 to 9"))
        else:
            name = text(ids[trial], id_at)
            if baseline:
                items.append(_recording(before, subject, f"{name} baseline", "baseline", {}))
            items.append(_recording(video, subject, name, label, ratings))
    return items


def _ratings(values, where):
    """Return the five ratings by name, or None if the cell is empty or entirely NaN."""
    values = numbers(values, where)
    if np.isnan(values).all():
        return None
    if values.size != _N_ANSWERS:
        raise ValueError(
            f"{where} has shape {values.shape}, but should have (1, {_N_ANSWERS}): five ratings "
            "and seven emotions. Download the file again."
        )
    return {name: float(x) for name, x in zip(RATINGS, values.ravel(), strict=False)}


def _cut(table, modalities, where):
    """Return the signals of the video and of the baseline, or None and None without a video."""
    start = int(BASELINE * SAMPLING_RATE)
    if table is None or len(table) < start + SAMPLING_RATE:
        return None, None
    video, before = (
        {name: to_signal(part[:, COLUMNS[name]], where, _REMEDY) for name in modalities}
        for part in (table[start:], table[:start])
    )
    if all(np.isnan(signal).all() for signal in video.values()):
        return None, None
    return video, before
