"""Emotional videos, with valence and arousal told all along by joystick, of 30 people (CASE)."""

from functools import partial

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
    data_home,
    *,
    target="arousal",
    threshold=5.0,
    modalities=None,
    subjects=None,
    on_error="raise",
    lazy=False,
    n_jobs=None,
    progress=False,
):
    """Load CASE: physiology of 30 people who told their emotion while they watched videos.

    Each person watched eight videos, in an order of their own, and moved a joystick all
    along: to the right for pleasant and up for aroused. Signals have 1000 Hz and the
    joystick 20 Hz, both on one clock, onto whose milliseconds the publisher has
    interpolated them. Videos 1 and 2 were chosen as amusing, 3 and 4 as boring, 5 and 6 as
    relaxing, 7 and 8 as scary.

    A recording is one person's one video; the two minutes of blue screen between videos,
    the first and the last video are left out. Which video is when is taken from the file of
    the signals: in that of the joystick the publisher has rounded the ends to 50 ms, one
    after the other, so that they can be off by several tenths of a second.

    A recording's labels are ``"low"`` and ``"high"``: the runs of one of the two axes, in
    steps of 50 ms, up to the threshold and above it. A joystick in the middle says 5, which
    is low unless `threshold` is less. Both axes are targets besides, at 20 Hz from the start
    of the video, linearly interpolated where that falls between two samples.

    The data are CC BY, and nothing is to be signed. Download ``CASE_full`` from
    https://doi.org/10.6084/m9.figshare.c.4260668 and extract it. The authors' repository has
    only the raw data, and the scripts that make the files which are read here:
    ``data/interpolated/physiological/sub_1.csv`` to ``sub_30.csv``, and those of the same
    names in ``data/interpolated/annotations``.

    Parameters
    ----------
    data_home : str or path
        The folder that has ``data``, or ``data`` or ``data/interpolated`` itself.
    target : {"arousal", "valence"}, default="arousal"
        The axis that the labels are of.
    threshold : float, default=5.0
        What is above it is ``"high"``, what is equal or less ``"low"``. The axes go from
        0.5 to 9.5.
    modalities : sequence of str, default=None
        What to load, and in which order, of ecg (mV), eda (µS), ppg (%), resp (%), temp
        (°C) and emg (µV; of zygomaticus, corrugator and trapezius). None is ecg, eda and
        ppg.
    subjects : sequence of str, default=None
        Who to load, ``"sub_1"`` to ``"sub_30"``. None is everyone.
    on_error : {"raise", "skip"}, default="raise"
        Whether a subject whose files lack or cannot be read is an error, or left out with a
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
        By subject, eight each in the order seen, float32. The trial is the number of the
        video; the targets are ``"valence"`` and ``"arousal"``.

    Raises
    ------
    FileNotFoundError
        There are no such files in `data_home`, or a subject's is missing.
    ValueError
        A parameter cannot be, or a file is truncated or not as published: a column or a
        value is missing, time is off the milliseconds by more than a tenth of a step, or
        not every video is there once.

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
    """The folder ``interpolated``, from itself or from above."""
    home = local_folder(data_home)
    for folder in (home / "data" / "interpolated", home / "interpolated", home):
        if any((folder / "physiological").glob("sub_*.csv")):
            return folder
    raise FileNotFoundError(
        f"{home} has no files data/interpolated/physiological/sub_1.csv to sub_30.csv. Pass "
        "data_home=<the folder that has data>; if it has raw data only, make the others with the "
        "publisher's scripts or download CASE_full."
    )


def _read_subject(folder, target, threshold, modalities, subject):
    path = folder / "physiological" / f"{subject}.csv"
    columns = [column for name in modalities for column in _COLUMNS[name][0]]
    table = _read_table(path, "daqtime", [*columns, "video"], 1000 / SAMPLING_RATE)
    told_path = folder / "annotations" / f"{subject}.csv"
    told = _read_table(told_path, "jstime", list(TARGETS), 1000 / ANNOTATION_RATE)
    signals = {name: table[_COLUMNS[name][0]].to_numpy() for name in modalities}
    recordings = []
    for video, start, stop in _find_videos(path, table["video"].to_numpy()):
        duration = (stop - start) / SAMPLING_RATE
        begin = table["daqtime"].iloc[start]
        axes = _axes(told_path, told, video, begin, duration)
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
    """The emotional videos in the order seen, as (number, first row, row after the last)."""
    spans = [(int(video[i]), i, j) for i, j in runs(video) if video[i] in VIDEOS]
    seen = [number for number, *_ in spans]
    if sorted(seen) != list(VIDEOS):
        raise ValueError(
            f"{path} is truncated or not as published: video should have each of 1 to 8 once, in "
            f"one piece, and has {seen}. {_REMEDY}"
        )
    if spans[-1][2] == len(video):
        raise ValueError(
            f"{path} is truncated: video {seen[-1]} should not be its last, and is. {_REMEDY}"
        )
    return spans


def _axes(path, told, video, begin, duration):
    """Both axes of the joystick, from the start of a video, every 50 ms."""
    step = 1000 / ANNOTATION_RATE
    seconds = np.arange(np.ceil(duration * ANNOTATION_RATE - 1e-6))
    times = begin + step * seconds
    jstime = told["jstime"].to_numpy()
    if jstime[0] > times[0] or jstime[-1] < times[-1]:
        raise ValueError(
            f"{path} is truncated: jstime should reach from {times[0]:g} to {times[-1]:g} ms for "
            f"video {video}, and goes from {jstime[0]:g} to {jstime[-1]:g}. {_REMEDY}"
        )
    middle = np.searchsorted(jstime, times[len(times) // 2])
    if "video" in told and told["video"].iloc[middle] != video:
        raise ValueError(
            f"{path} does not belong to the signals: at {jstime[middle]:g} ms its video is "
            f"{told['video'].iloc[middle]:g}, and theirs {video}. {_REMEDY}"
        )
    axes = {axis: np.interp(times, jstime, told[axis].to_numpy()) for axis in TARGETS}
    for axis, values in axes.items():
        if values.min() < 0 or values.max() > 10:
            raise ValueError(
                f"{path} is not as published: {axis} should be from 0.5 to 9.5, and is from "
                f"{values.min():g} to {values.max():g} in video {video}. {_REMEDY}"
            )
    return axes


def _label_intervals(high, duration):
    """Runs of low and high as (start, stop, label) in seconds."""
    return [
        (i / ANNOTATION_RATE, min(j / ANNOTATION_RATE, duration), "high" if high[i] else "low")
        for i, j in runs(high)
    ]


def _read_table(path, time, columns, step):
    """Columns of a file, whose `time` goes up by `step` milliseconds a row.

    Signals are float32. ``video`` is read wherever it is there.
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
    except ValueError as error:  # what pandas raises is one, too
        raise ValueError(f"{path} cannot be read as a table ({error}). {_REMEDY}") from error
    missing = [name for name in wanted if name not in table]
    if missing:
        raise ValueError(f"{path} is not as published: no column is {missing[0]!r}. {_REMEDY}")
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
            f"{path} is not as published: {time} should go up by {step:g} ms a line, and line "
            f"{off[0] + 2} has {times[off[0]]:.10g} after {times[off[0] - 1]:.10g}. A line is "
            "missing, or this is not the interpolated data; extract it again from the publisher's "
            "archive, or pass on_error='skip'."
        )
    return table
