"""Physiology of 30 people watching videos, with continuous joystick annotations (CASE)."""

from collections.abc import Iterator, Sequence
from functools import partial
from os import PathLike
from typing import Literal

import numpy as np
import pandas as pd

from skemo.datasets.base import (
    check_file,
    check_modalities,
    check_subjects,
    local_folder,
    read_subjects,
    runs,
)
from skemo.datasets.mat import check_rating
from skemo.signals.recording import Recording

SUBJECTS = tuple(f"sub_{number}" for number in range(1, 31))
VIDEOS = range(1, 9)  # the emotional ones; 10 is the start, 11 a blue screen, 12 the end
TARGETS = ("arousal", "valence")
SCALE = (0.5, 9.5)
SAMPLING_RATE = 1000.0  # hertz
ANNOTATION_RATE = 20.0  # hertz

# By modality: columns of the file, unit.
_COLUMNS = {
    "ecg": (["ecg"], "mV"),
    "eda": (["gsr"], "µS"),
    "ppg": (["bvp"], "%"),
    "resp": (["rsp"], "%"),
    "temp": (["skt"], "°C"),
    "emg": (["emg_zygo", "emg_coru", "emg_trap"], "µV"),
}
_REMEDY = "Extract it again from the publisher's archive, or pass on_error='skip'."


def load_case(
    data_home: str | PathLike[str],
    *,
    target: Literal["arousal", "valence"] = "arousal",
    threshold: float = 5.0,
    modalities: Sequence[str] | None = None,
    subjects: Sequence[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    lazy: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[Recording] | Iterator[Recording]:
    """Load CASE: physiology of 30 people who reported their emotions while watching videos.

    Each person watched eight videos in their own order, and reported their emotion throughout
    with a joystick: right for pleasant, up for aroused. Signals were recorded at 1000 Hz and
    the joystick at 20 Hz on the same clock; the publisher has interpolated both to whole
    milliseconds. Videos 1 and 2 were meant to be amusing, 3 and 4 boring, 5 and 6 relaxing,
    7 and 8 scary.

    A recording is one video of one person. The two minutes of blue screen between videos and
    the first and last video are left out. The times of videos are those in the files of the
    signals: in the joystick files, the publisher has rounded the end of one video after another
    to 50 ms, which can add up to errors of several tenths of a second.

    The labels of a recording are ``"low"`` and ``"high"``: intervals in which the `target` axis
    is at most the threshold or above it, in steps of 50 ms. The centre of the joystick is 5,
    which is low unless `threshold` is lower. Both axes are also ``targets``, at 20 Hz from the
    start of the video, linearly interpolated between samples where necessary.

    The data are licensed under CC BY and need no agreement. Download ``CASE_full`` from
    https://doi.org/10.6084/m9.figshare.c.4260668 and extract it. The authors' code repository
    has only the raw data and the scripts that produce the files read here:
    ``data/interpolated/physiological/sub_1.csv`` to ``sub_30.csv``, and files with the same
    names in ``data/interpolated/annotations``.

    Parameters
    ----------
    data_home : str or path
        The folder that contains ``data``, or ``data`` or ``data/interpolated`` itself.
    target : {"arousal", "valence"}, default="arousal"
        The axis from which the labels are made.
    threshold : float, default=5.0
        Values above the threshold are ``"high"``, others ``"low"``. The axes range from 0.5
        to 9.5.
    modalities : sequence of str, default=None
        Which modalities to load, in this order, from ecg (mV), eda (µS), ppg (%), resp (%),
        temp (°C) and emg (µV; zygomaticus, corrugator and trapezius). None means ecg, eda and
        ppg.
    subjects : sequence of str, default=None
        Which subjects to load, ``"sub_1"`` to ``"sub_30"``. None means everyone.
    on_error : {"raise", "skip"}, default="raise"
        Whether to raise an error if a subject cannot be read because one of its files is missing or
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
        By subject, eight per subject in the order in which the videos were seen; float32. The
        trial is the number of the video; the targets are ``"valence"`` and ``"arousal"``.

    Raises
    ------
    FileNotFoundError
        If `data_home` has no such files, or one of a subject is missing.
    ValueError
        If a parameter is invalid, or a file is truncated or not as published: a column or
        value is missing, a time is off its step by more than a tenth of it, or a video is
        missing or occurs twice.

    References
    ----------
    Sharma, Castellini, van den Broek, Albu-Schaeffer, Schwenker (2019), A dataset of
    continuous affect annotations and physiological signals for emotion analysis,
    Scientific Data 6:196. https://doi.org/10.1038/s41597-019-0209-0

    Examples
    --------
    >>> from skemo import segment
    >>> from skemo.datasets.case import load_case
    >>> recordings = load_case("CASE_full", target="valence", lazy=True)  # doctest: +SKIP
    >>> windows = segment(recordings, duration=10.0, purity=0.8)  # doctest: +SKIP
    """
    check_rating(target, TARGETS, threshold, SCALE)
    modalities = check_modalities(modalities, _COLUMNS)
    subjects = check_subjects(subjects, SUBJECTS)
    read = partial(_read_subject, _find_folder(data_home), target, threshold, modalities)
    return read_subjects(read, subjects, on_error, lazy=lazy, n_jobs=n_jobs, progress=progress)


def _find_folder(data_home):
    """Return the folder ``interpolated``, given itself or a folder above it."""
    home = local_folder(data_home)
    for folder in (home / "data" / "interpolated", home / "interpolated", home):
        if any((folder / "physiological").glob("sub_*.csv")):
            return folder
    raise FileNotFoundError(
        f"{home} has no files data/interpolated/physiological/sub_1.csv to sub_30.csv. Pass "
        "data_home=<the folder that contains data>. If it has only raw data, run the publisher's "
        "scripts to interpolate them, or download CASE_full."
    )


def _read_subject(folder, target, threshold, modalities, subject):
    path = folder / "physiological" / f"{subject}.csv"
    columns = [column for name in modalities for column in _COLUMNS[name][0]]
    table = _read_table(path, "daqtime", [*columns, "video"], 1000 / SAMPLING_RATE)
    annotation_path = folder / "annotations" / f"{subject}.csv"
    annotations = _read_table(annotation_path, "jstime", list(TARGETS), 1000 / ANNOTATION_RATE)
    signals = {name: table[_COLUMNS[name][0]].to_numpy() for name in modalities}
    recordings = []
    for video, start, stop in _find_videos(path, table["video"].to_numpy()):
        duration = (stop - start) / SAMPLING_RATE
        begin = table["daqtime"].iloc[start]
        axes = _axes(annotation_path, annotations, video, begin, duration)
        recordings.append(
            Recording(
                signals={name: values[start:stop].T.copy() for name, values in signals.items()},
                sampling_rates=dict.fromkeys(modalities, SAMPLING_RATE),
                channels={name: _COLUMNS[name][0] for name in modalities},
                units={name: _COLUMNS[name][1] for name in modalities},
                subject=subject,
                trial=str(video),
                labels=_label_intervals(axes[target] > threshold, duration),
                targets={axis: (series, ANNOTATION_RATE) for axis, series in axes.items()},
            )
        )
    return recordings


def _find_videos(path, video):
    """Return the emotional videos in the order seen, as (number, first row, row after the last)."""
    spans = [(int(video[i]), i, j) for i, j in runs(video) if video[i] in VIDEOS]
    seen = [number for number, *_ in spans]
    if sorted(seen) != list(VIDEOS):
        raise ValueError(
            f"{path} is truncated or not as published: video should have each of 1 to 8 once, in "
            f"one piece, but has {seen}. {_REMEDY}"
        )
    if spans[-1][2] == len(video):
        raise ValueError(
            f"{path} is truncated: it ends with video {seen[-1]}, which should not be the last "
            f"entry. {_REMEDY}"
        )
    return spans


def _axes(path, annotations, video, begin, duration):
    """Return both axes of the joystick every 50 ms, from the start of a video."""
    step = 1000 / ANNOTATION_RATE
    seconds = np.arange(np.ceil(duration * ANNOTATION_RATE - 1e-6))
    times = begin + step * seconds
    jstime = annotations["jstime"].to_numpy()
    if jstime[0] > times[0] or jstime[-1] < times[-1]:
        raise ValueError(
            f"{path} is truncated: jstime should extend from {times[0]:g} to {times[-1]:g} ms for "
            f"video {video}, but extends from {jstime[0]:g} to {jstime[-1]:g}. {_REMEDY}"
        )
    middle = np.searchsorted(jstime, times[len(times) // 2])
    if "video" in annotations and annotations["video"].iloc[middle] != video:
        raise ValueError(
            f"{path} does not belong to the signals: at {jstime[middle]:g} ms its video is "
            f"{annotations['video'].iloc[middle]:g}, but theirs is {video}. {_REMEDY}"
        )
    axes = {axis: np.interp(times, jstime, annotations[axis].to_numpy()) for axis in TARGETS}
    for axis, values in axes.items():
        if values.min() < 0 or values.max() > 10:
            raise ValueError(
                f"{path} is not as published: {axis} should range from 0.5 to 9.5, but ranges "
                f"from {values.min():g} to {values.max():g} in video {video}. {_REMEDY}"
            )
    return axes


def _label_intervals(high, duration):
    """Return the runs of low and high as (start, stop, label) in seconds."""
    return [
        (i / ANNOTATION_RATE, min(j / ANNOTATION_RATE, duration), "high" if high[i] else "low")
        for i, j in runs(high)
    ]


def _read_table(path, time, columns, step):
    """Read columns of a file, whose `time` increases by `step` milliseconds from row to row.

    Signals are float32. A column ``video`` is read if there is one.
    """
    check_file(path)
    wanted = [time, *columns]
    exact = {time, *TARGETS}
    try:
        table = pd.read_csv(
            path,
            usecols=lambda name: name in wanted or name == "video",
            dtype={name: "float64" if name in exact else "float32" for name in [*wanted, "video"]},
        )
    except ValueError as error:  # the base class of pandas' own errors
        raise ValueError(f"{path} cannot be read as a table ({error}). {_REMEDY}") from error
    missing = [name for name in wanted if name not in table]
    if missing:
        raise ValueError(f"{path} is not as published: it has no column {missing[0]!r}. {_REMEDY}")
    if table.empty:
        raise ValueError(f"{path} is truncated: it has no rows. {_REMEDY}")
    for name in table:
        holes = np.flatnonzero(~np.isfinite(table[name].to_numpy()))
        if holes.size:
            raise ValueError(
                f"{path} is truncated or damaged: line {holes[0] + 2} has no number for {name!r}. "
                f"{_REMEDY}"
            )
    times = table[time].to_numpy()
    off = np.flatnonzero(np.abs(times - times[0] - step * np.arange(len(times))) > step / 10)
    if off.size:
        raise ValueError(
            f"{path} is not as published: {time} should increase by {step:g} ms per line, but line "
            f"{off[0] + 2} has {times[off[0]]:.10g} after {times[off[0] - 1]:.10g}. A line is "
            "missing, or these are not the interpolated data. Extract them again from the "
            "publisher's archive, or pass on_error='skip'."
        )
    return table
