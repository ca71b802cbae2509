"""DREAMER: EEG and ECG of 23 people watching 18 film clips."""

from collections.abc import Iterator, Sequence
from functools import partial
from os import PathLike
from typing import Literal

import numpy as np

from skemo.datasets.base import (
    check_modalities,
    check_on_error,
    check_subjects,
    local_folder,
    read_subjects,
    to_signal,
)
from skemo.datasets.mat import (
    LeftOut,
    cells,
    check_rating,
    field,
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

URL = "https://zenodo.org/records/546113"
SUBJECTS = tuple(str(number) for number in range(1, 24))
CLIPS = tuple(str(number) for number in range(1, 19))
TARGETS = ("arousal", "valence", "dominance")
SCALE = (1, 5)
_EEG = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")
CHANNELS = {
    "eeg": _EEG,
    "ecg": ("ECG 1", "ECG 2"),
}
SAMPLING_RATES = {"eeg": 128.0, "ecg": 256.0}

_recording = partial(
    make_recording, sampling_rates=SAMPLING_RATES, channels=CHANNELS, units={"eeg": "µV"}
)
_REMEDY = f"Download it again from {URL}."


def load_dreamer(
    data_home: str | PathLike[str],
    *,
    target: Literal["arousal", "valence", "dominance"] = "arousal",
    threshold: float = 3,
    baseline: bool = False,
    modalities: Sequence[str] | None = None,
    subjects: Sequence[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    lazy: bool = False,
    progress: bool = False,
) -> list[Recording] | Iterator[Recording]:
    """Load DREAMER: EEG and ECG of people watching film clips, with ratings.

    23 people watched 18 film clips (65 to 393 s), and rated their arousal, valence and
    dominance from 1 to 5 after each clip. The signals are those recorded by wireless devices:
    14 channels of EEG at 128 Hz, in microvolts with an offset of about 4,200, and 2 of ECG at
    256 Hz, whose unit is not set. The two may end a fraction of a second apart.

    A recording is a trial, that is, one clip. Its label is ``"high"`` if the rating of
    `target` is above the threshold, else ``"low"``. All three ratings are in its ``targets``.

    In the published file, all clips have signals and ratings. A clip whose rating of `target`
    is NaN or off the scale, or with less than a second of signals in all `modalities`, is left
    out, and one warning lists the number of such clips by subject. If only one modality of a
    clip is missing, its recording has the other one.

    The data are available on request, for academic use, at https://zenodo.org/records/546113.

    Parameters
    ----------
    data_home : str or path
        The file ``DREAMER.mat``, or the folder that contains it. The file is read once and in
        full, which takes about 2 GB of memory at first; subjects are freed when they are done.
        There is no ``n_jobs``, because each process would need a copy.
    target : {"arousal", "valence", "dominance"}, default="arousal"
        The rating from which the labels are made.
    threshold : float, default=3
        Ratings above the threshold are high. At least 1 and below 5.
    baseline : bool, default=False
        Whether to return, before each trial, a recording of the 61 s of neutral film before
        it, with the label ``"baseline"``, the trial ``"<clip> baseline"`` and no ``targets``.
    modalities : sequence of {"eeg", "ecg"}, default=None
        Which modalities to load, in this order. None means both, ECG first.
    subjects : sequence of str, default=None
        Which subjects to load, ``"1"`` to ``"23"``, numbered as in the file. None means
        everyone.
    on_error : {"raise", "skip"}, default="raise"
        Whether to raise an error if a subject's part of the file is not as published, or to
        leave the subject out with a warning. A file that cannot be read is always an error.
    lazy : bool, default=False
        Whether to return an iterator that reads the file when the first recording is requested,
        converts each subject on demand, and warns at its end.
    progress : bool, default=False
        Whether to show a progress bar while converting subjects.

    Returns
    -------
    list of Recording, or an iterator with `lazy`
        By subject and clip, float32. The trial is the number of the clip, ``"1"`` to ``"18"``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated or differs from the published one, no trial can be used, or a
        parameter is invalid.

    References
    ----------
    Katsigiannis and Ramzan (2018), DREAMER: A Database for Emotion Recognition Through EEG
    and ECG Signals From Wireless Low-cost Off-the-Shelf Devices, IEEE Journal of Biomedical
    and Health Informatics 22(1):98-107. https://doi.org/10.1109/JBHI.2017.2688239

    Examples
    --------
    >>> from skemo import segment
    >>> from skemo.datasets import load_dreamer
    >>> recordings = load_dreamer("~/DREAMER", target="valence")  # doctest: +SKIP
    >>> windows = segment(recordings, duration=10.0)  # doctest: +SKIP
    """
    check_rating(target, TARGETS, threshold, SCALE)
    check_on_error(on_error)
    modalities = check_modalities(modalities, tuple(CHANNELS))
    wanted = check_subjects(subjects, SUBJECTS)
    path = _find(local_folder(data_home))
    options = {
        "target": target,
        "threshold": threshold,
        "baseline": baseline,
        "modalities": modalities,
    }
    recordings = report_left_out(_read(path, wanted, on_error, progress, options))
    return recordings if lazy else list(recordings)


def _find(home):
    path = home if home.is_file() else home / "DREAMER.mat"
    if not path.is_file():
        raise FileNotFoundError(
            f"{home} has no DREAMER.mat.{found_below(home, 'DREAMER.mat')} Pass data_home=<the "
            f"folder that has it, or the file>. Get the data from {URL}"
        )
    return path


def _read(path, wanted, on_error, progress, options):
    """Yield the items of each subject; the file is read when the first one is requested."""
    people = _read_people(path, wanted, options["modalities"])
    read = partial(_read_subject, path, people, **options)
    # n_jobs=1, since a parallel_config could turn None into several processes.
    yield from read_subjects(read, wanted, on_error, lazy=True, n_jobs=1, progress=progress)


def _read_people(path, wanted, modalities):
    """Return the struct of each wanted subject, after checking sampling rates and electrodes."""
    root = read_variables(path, ["DREAMER"], _REMEDY)["DREAMER"]

    def get(name):
        return field(root, name, f"{path}: DREAMER.{name}")

    for name in modalities:
        what = f"{name.upper()}_SamplingRate"
        rate = numbers(get(what), f"{path}: DREAMER.{what}")
        if rate.size != 1 or rate.item() != SAMPLING_RATES[name]:
            raise ValueError(
                f"{path}: DREAMER.{what} is {rate.tolist()}, but {SAMPLING_RATES[name]:g} in the "
                f"published file. {_REMEDY}"
            )
    if "eeg" in modalities:
        where = f"{path}: DREAMER.EEG_Electrodes"
        names = cells(get("EEG_Electrodes"), len(CHANNELS["eeg"]), where)
        names = tuple(text(name, where) for name in names)
        if names != CHANNELS["eeg"]:
            raise ValueError(
                f"{where} are {list(names)}, but {list(CHANNELS['eeg'])} in the published file. "
                f"{_REMEDY}"
            )
    people = cells(get("Data"), len(SUBJECTS), f"{path}: DREAMER.Data")
    people = dict(zip(SUBJECTS, people, strict=True))
    return {subject: people[subject] for subject in wanted}


def _read_subject(path, people, subject, *, target, threshold, baseline, modalities):
    """Return the recordings of a subject, and a `LeftOut` for each trial without one."""
    person = people.pop(subject)  # frees its memory afterwards
    where = f"{path}: DREAMER.Data{{{subject}}}."
    ratings = {name: _scores(person, name, where) for name in TARGETS}
    clips = _tables(person, "stimuli", modalities, where)
    baselines = _tables(person, "baseline", modalities, where) if baseline else [None] * len(CLIPS)
    items = []
    for index, (clip, before, name) in enumerate(zip(clips, baselines, CLIPS, strict=True)):
        rated = {rating: float(values[index]) for rating, values in ratings.items()}
        if not clip:
            items.append(LeftOut(subject, "signals"))
        elif np.isnan(rated[target]):
            items.append(LeftOut(subject, f"a rating of {target}"))
        elif (label := level(rated[target], threshold, SCALE)) is None:
            items.append(LeftOut(subject, f"a rating of {target} from 1 to 5"))
        else:
            if before:
                items.append(_recording(before, subject, f"{name} baseline", "baseline", {}))
            elif baseline:
                items.append(LeftOut(subject, "a baseline"))
            items.append(_recording(clip, subject, name, label, rated))
    return items


def _scores(person, name, where):
    where += f"Score{name.capitalize()}"
    scores = numbers(field(person, f"Score{name.capitalize()}", where), where)
    if scores.size != len(CLIPS):
        raise ValueError(
            f"{where} has shape {scores.shape}, but should have ({len(CLIPS)}, 1). {_REMEDY}"
        )
    return scores.ravel()


def _tables(person, part, modalities, where):
    """Return, for each clip, the float32 signals of the modalities that it has."""
    clips = [{} for _ in CLIPS]
    for modality in modalities:
        device = modality.upper()
        place = f"{where}{device}.{part}"
        found = field(field(person, device, where + device), part, place)
        for number, cell in enumerate(cells(found, len(CLIPS), place)):
            n_channels = len(CHANNELS[modality])
            in_clip = f"{place}{{{number + 1}}}"
            table = samples(cell, n_channels, in_clip)
            if table is not None and len(table) >= SAMPLING_RATES[modality]:
                clips[number][modality] = to_signal(table, in_clip, _REMEDY)
    return clips
