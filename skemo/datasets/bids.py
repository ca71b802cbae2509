"""Folders in the format of the Brain Imaging Data Structure (BIDS): physiology and EEG."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from skemo._checks import is_positive
from skemo.datasets.base import check_subjects, local_folder, read_subjects
from skemo.signals.channels import group_channels, modality_of, to_usual_unit
from skemo.signals.mne_raw import annotation_labels, raw_parts
from skemo.signals.recording import Recording

_PHYSIO = ("_physio.tsv.gz", "_physio.tsv")
_EEG = ("_eeg.edf", "_eeg.bdf", "_eeg.vhdr", "_eeg.set")
_NAMES = {"respiratory": "resp"}  # skemo's names of the columns that BIDS recommends
_NO_SIGNALS = ("trigger", "time", "timestamp")
_REMEDY = "Correct the file, or pass on_error='skip'."


class _Channel(NamedTuple):
    """A channel of a file: its name and modality."""

    file: Path
    name: str
    kind: str


def load_bids(
    data_home: str | PathLike[str],
    *,
    label: str = "trial_type",
    names: Mapping[str, Any] | None = None,
    tasks: Sequence[str] | None = None,
    modalities: Mapping[str, str | Sequence[str]] | None = None,
    eeg: bool = True,
    subjects: Sequence[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    lazy: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[Recording] | Iterator[Recording]:
    """Load a folder in BIDS format: physiological recordings and EEG, labelled by events.

    Physiological recordings are the files ``*_physio.tsv.gz``, whose sampling rate, start and
    columns are in JSON files next to them or in a parent folder. EEG files are read by mne-bids.
    All files of a subject that differ only in the entity ``recording`` belong to one run. A
    recording is a run, and its second 0 is the first sample of the EEG, or the time to which
    the start times of the physiological recordings refer.

    The events in ``*_events.tsv`` become labels: each lasts for its duration, or until the next
    event if none of them has a duration.

    Parameters
    ----------
    data_home : str or path
        The folder with the folders ``sub-<label>``.
    label : str, default="trial_type"
        The column of the events with the labels.
    names : mapping of str to label, default=None
        Label for each event, such as ``{"stroop": "stress"}``; other events are ignored. None
        uses all events with their own names.
    tasks : sequence of str, default=None
        Which tasks to load. None means all of them.
    modalities : mapping of str to str or sequence of str, default=None
        Columns or EEG channels of each modality, such as ``{"ppg": "cardiac"}``, or a type,
        such as ``{"eeg": "eeg"}``. None guesses modalities from the names of the columns, and
        leaves triggers out. BIDS calls an ECG or a pulse "cardiac", so that modality keeps
        this name.
    eeg : bool, default=True
        Whether to read the EEG files as well.
    subjects : sequence of str, default=None
        Which subjects to load, without ``"sub-"``. None means everyone.
    on_error : {"raise", "skip"}, default="raise"
        Whether to raise an error if a subject cannot be read, or to leave the subject out with
        a warning.
    lazy : bool, default=False
        Whether to return an iterator that reads each subject on demand.
    n_jobs : int, default=None
        Number of subjects read at the same time, each in its own process.
    progress : bool, default=False
        Whether to show a progress bar.

    Returns
    -------
    list of Recording, or an iterator with `lazy`
        By subject and run, float32; EEG in µV, ECG in mV and skin conductance in µS. The trial
        holds the entities of the run, such as ``"ses-1 task-stroop run-2"``.

    Raises
    ------
    FileNotFoundError
        If the folder has no subjects, or a subject has no recordings.
    ImportError
        If there is EEG and mne-bids is not installed.
    ValueError
        If a file is damaged or not as BIDS prescribes, or a parameter is invalid.

    References
    ----------
    https://bids-specification.readthedocs.io

    Examples
    --------
    >>> from skemo import segment
    >>> from skemo.datasets import load_bids
    >>> recordings = load_bids("ds002724", modalities={"eda": "GSR"})  # doctest: +SKIP
    >>> windows = segment(recordings, duration=10.0)  # doctest: +SKIP
    """
    folder = local_folder(data_home)
    there = sorted(path.name[4:] for path in folder.glob("sub-*") if path.is_dir())
    if not there:
        raise FileNotFoundError(
            f"{folder} has no folders sub-<label>. Pass data_home=<the folder with "
            "dataset_description.json>."
        )
    read = partial(
        _read_subject,
        folder,
        label=label,
        names=names,
        tasks=[tasks] if isinstance(tasks, str) else tasks,
        modalities=modalities,
        eeg=eeg,
    )
    wanted = check_subjects(subjects, there)
    return read_subjects(read, wanted, on_error, lazy=lazy, n_jobs=n_jobs, progress=progress)


def _read_subject(root, subject, *, label, names, tasks, modalities, eeg):
    """Return the recordings of a subject, one per run."""
    runs = _find_runs(root / f"sub-{subject}", tasks, (*_PHYSIO, *_EEG) if eeg else _PHYSIO)
    if not runs:
        raise FileNotFoundError(
            f"{root / f'sub-{subject}'} has no files *_physio.tsv.gz{' or *_eeg.*' if eeg else ''}"
            f"{f' of the tasks {tasks}' if tasks else ''}. Select the other subjects with "
            "subjects=, or pass on_error='skip'."
        )
    return [
        _read_run(root, subject, trial, files, label, names, modalities)
        for trial, files in runs.items()
    ]


def _find_runs(folder, tasks, suffixes):
    """Return the files of each run, by the entities that name it."""
    runs: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.name.endswith(suffixes) and path.is_file():
            entities = _entities(path)
            if tasks is None or entities.get("task") in tasks:
                run = [f"{k}-{v}" for k, v in entities.items() if k not in ("sub", "recording")]
                runs.setdefault(" ".join(run), []).append(path)
    return runs


def _entities(path):
    """Return the entities in a file name, such as ``{"sub": "01", "task": "rest"}``."""
    parts = path.name.partition(".")[0].split("_")[:-1]
    return dict(part.split("-", 1) for part in parts if "-" in part)


def _inherited(path, root, suffix):
    """Return the files with the metadata of a file, from general to specific."""
    entities = _entities(path).items()
    folders = [folder for folder in (path.parent, *path.parents) if folder.is_relative_to(root)]
    found = []
    for folder in reversed(list(dict.fromkeys(folders))):
        here = [file for file in folder.glob(f"*{suffix}") if _entities(file).items() <= entities]
        found += sorted(here, key=lambda file: len(_entities(file)))
    return found


def _read_run(root, subject, trial, files, label, names, modalities):
    physio = {path: _read_physio(path, root) for path in files if path.name.endswith(_PHYSIO)}
    raws = {path: _read_eeg(path) for path in files if path not in physio}
    channels = []
    for path, raw in raws.items():
        kinds = [modality_of(kind) for kind in raw.get_channel_types()]
        channels += [_Channel(path, *parts) for parts in zip(raw.ch_names, kinds, strict=True)]
    for path, (table, *_) in physio.items():
        for name in table:
            kind = modality_of(name)
            channels.append(_Channel(path, name, _NAMES.get(kind, kind)))
    where = ", ".join(str(path) for path in files)
    groups = group_channels(
        [channel.name for channel in channels],
        modalities,
        kinds=[channel.kind for channel in channels],
        where=where,
    )
    parts: dict[str, Any] = {"signals": {}, "sampling_rates": {}, "channels": {}, "units": {}}
    parts |= {"starts": {}, "excluded": [], "start_time": None}
    for modality, found in groups.items():
        if modalities is None and modality in (*_NO_SIGNALS, "stim"):
            continue
        by_file: dict[Path, list[str]] = {}
        for i in found:
            by_file.setdefault(channels[i].file, []).append(channels[i].name)
        for n, (path, wanted) in enumerate(by_file.items()):
            name = modality if n == 0 else f"{modality}{n + 1}"
            if path in raws:
                _add_eeg(parts, name, wanted, raws[path])
            else:
                _add_physio(parts, name, wanted, path, *physio[path])
    stop = max(
        parts["starts"][name] + x.shape[1] / parts["sampling_rates"][name]
        for name, x in parts["signals"].items()
    )
    labels = _read_events(files[0], root, stop, label, names)
    try:
        return Recording(**parts, subject=subject, trial=trial, labels=labels)
    except ValueError as error:
        raise ValueError(f"{where}: {error} {_REMEDY}") from error


def _read_physio(path, root):
    """Return the table of a physiological recording, its rate, start and units."""
    about: dict[str, Any] = {}
    for file in _inherited(path, root, "_physio.json"):
        try:
            about |= json.loads(file.read_text(encoding="utf-8-sig"))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file} is not a JSON object ({error}). {_REMEDY}") from error
    columns, rate = about.get("Columns"), about.get("SamplingFrequency")
    if not isinstance(columns, list) or not is_positive(rate):
        raise ValueError(
            f"{path}: its JSON file should have Columns, a list, and SamplingFrequency, a positive "
            f"number in hertz, but has {columns!r} and {rate!r}. {_REMEDY}"
        )
    try:
        table = pd.read_csv(
            path, sep="\t", header=None, names=columns, index_col=False, na_values="n/a"
        ).astype(np.float32)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read as numbers in the columns {columns} ({error}). {_REMEDY}"
        ) from error
    start = about.get("StartTime", 0.0)
    if not isinstance(start, int | float):
        raise ValueError(f"{path}: StartTime should be a number of seconds, got {start!r}.")
    details = {name: about.get(name) for name in columns}
    units = {name: value.get("Units") for name, value in details.items() if isinstance(value, dict)}
    return table, float(rate), float(start), units


def _read_eeg(path):
    """Return an EEG file as an MNE Raw."""
    try:
        import mne_bids
    except ModuleNotFoundError as error:
        if error.name != "mne_bids":
            raise
        raise ImportError(
            f'Reading {path.name} needs mne-bids: pip install "skemo[mne]", or pass eeg=False.'
        ) from error
    try:
        found = mne_bids.get_bids_path_from_fname(path, check=False, verbose="error")
        return mne_bids.read_raw_bids(found, verbose="error")
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        raise ValueError(f"{path} cannot be read by mne-bids ({error}). {_REMEDY}") from error


def _add_eeg(parts, name, channels, raw):
    found = raw_parts(raw, {name: channels}, None)
    parts["signals"][name] = found["signals"][name].astype(np.float32)
    for what in ("sampling_rates", "channels", "units"):
        parts[what] |= found[what]
    parts["starts"][name] = 0.0
    parts["excluded"] = found["excluded"]
    parts["start_time"] = found["start_time"]


def _add_physio(parts, name, columns, path, table, rate, start, units):
    kinds = {units.get(column) for column in columns}
    if len(kinds) > 1:
        raise ValueError(
            f"{path}: the columns {columns} of {name!r} have different units, "
            f"{sorted(map(str, kinds))}. Pass modalities= with one modality for each."
        )
    factor, unit = to_usual_unit(name, kinds.pop())
    parts["signals"][name] = table[columns].to_numpy(np.float32).T * np.float32(factor)
    parts["sampling_rates"][name] = rate
    parts["channels"][name] = columns
    parts["units"][name] = unit
    parts["starts"][name] = start


def _read_events(path, root, stop, label, names):
    """Return labelled intervals from the events of a run, or an empty list without events."""
    run = path.with_name(f"{path.name.partition('.')[0].rpartition('_')[0]}_events.tsv")
    files = _inherited(run, root, "_events.tsv")
    if not files:
        return []
    table = pd.read_csv(files[-1], sep="\t", na_values="n/a", encoding="utf-8-sig")
    absent = [column for column in ("onset", label) if column not in table]
    if absent:
        raise ValueError(
            f"{files[-1]} has no column {absent[0]!r}; its columns are {list(table)}. Pass "
            "label=<the column with the labels>."
        )
    table = table[table["onset"].notna() & table[label].notna()].sort_values("onset")
    durations = table["duration"].fillna(0.0) if "duration" in table else [0.0] * len(table)
    texts = [str(text) for text in table[label]]
    return annotation_labels(list(zip(table["onset"], durations, texts, strict=True)), stop, names)
