"""Empatica E4: the folder or zip file of a session exported by E4 connect or E4 manager."""

import zipfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skemo._warnings import ignored_warnings
from skemo.io.base import as_channels, existing, read_numbers, with_progress
from skemo.signals.recording import Recording

# By modality: the file, the unit and the channels. The samples of ACC.csv are in 1/64 g.
FILES: dict[str, tuple[str, str | None, tuple[str, ...]]] = {
    "ppg": ("BVP.csv", None, ("BVP",)),
    "eda": ("EDA.csv", "µS", ("EDA",)),
    "temp": ("TEMP.csv", "°C", ("TEMP",)),
    "acc": ("ACC.csv", "g", ("x", "y", "z")),
    "hr": ("HR.csv", "1/min", ("HR",)),
}
_COUNTS_PER_G = 64.0
_APART = 0.05  # s between beats; closer ones are the same beat, listed with two intervals
_SEVERAL = "Pass session= with one of them, or read each folder separately."


def read_empatica_e4(
    path: str | PathLike[str],
    *,
    subject: str | None = None,
    trial: str = "",
    session: str | None = None,
    modalities: Sequence[str] = ("ppg", "eda", "temp", "acc"),
    progress: bool = False,
) -> Recording:
    """Read a session of an Empatica E4 wristband.

    The folder contains the files ``BVP.csv``, ``EDA.csv``, ``TEMP.csv``, ``ACC.csv``,
    ``HR.csv``, ``IBI.csv`` and ``tags.csv``, or some of them. The first lines of a signal's file
    give its start and sampling rate. Every signal keeps its own start.

    Parameters
    ----------
    path : str or path
        The folder or zip file of the session.
    subject : str, default=None
        Identifier of the subject. None uses the name of the folder or file.
    trial : str, default=""
        Which of the subject's recordings this is.
    session : str, default=None
        Which folder to read, if `path` has several sessions.
    modalities : sequence of str, default=("ppg", "eda", "temp", "acc")
        Which signals to read if present. ``"hr"`` is also available: the mean heart rate over
        10 s as computed by the wristband, which starts ten seconds late.
    progress : bool, default=False
        Whether to show a progress bar. A day takes a few seconds.

    Returns
    -------
    Recording
        float32, with the modalities ``"ppg"`` (no unit), ``"eda"`` (µS), ``"temp"`` (°C),
        ``"acc"`` (g) and ``"hr"`` (1/min), and the beats ``"ibi"`` that the wristband
        detected in the pulse, with the gaps between them.

    Raises
    ------
    FileNotFoundError
        If there are no E4 files.
    ValueError
        If there are several sessions, or a file is not in the format of the E4.

    Notes
    -----
    The first sample of ``EDA.csv`` is left out: it is always 0, from before the wristband begins
    to measure. The skin conductance therefore starts a quarter of a second after the file does.

    Examples
    --------
    >>> from skemo.io import read_empatica_e4
    >>> recording = read_empatica_e4("1644227574_A01234.zip", subject="S02")  # doctest: +SKIP
    """
    path = existing(path)
    unknown = [name for name in modalities if name not in FILES]
    if unknown:
        raise ValueError(f"modalities must be among {list(FILES)}, got {unknown}.")
    files = _session_files(path, session)
    signals, rates, starts = {}, {}, {}
    for name in with_progress(modalities, f"Reading {path.name}", progress):
        file, _, channels = FILES[name]
        if file in files:
            start, rate, samples = read_e4_signal(files[file], len(channels))
            if not samples.shape[1]:
                continue
            if name == "eda" and samples[0, 0] == 0 and samples.shape[1] > 1:
                start, samples = start + 1 / rate, samples[:, 1:]
            if name == "acc":
                samples = samples / np.float32(_COUNTS_PER_G)
            signals[name], rates[name] = samples, rate
            starts[name] = start
    if not signals:
        raise ValueError(f"{path}: the session has no samples of {', '.join(modalities)}.")
    origin = min(starts.values())
    beats, gaps = _read_beats(files, origin)
    return Recording(
        signals=signals,
        sampling_rates=rates,
        channels={name: FILES[name][2] for name in signals},
        units={name: unit for name in signals if (unit := FILES[name][1])},
        subject=path.stem if subject is None else subject,
        trial=trial,
        beats={"ibi": beats} if len(beats) else {},
        beat_sources={"ibi": "ppg"} if len(beats) else {},
        beat_gaps={"ibi": gaps} if len(beats) else {},
        starts={name: round(start - origin, 6) for name, start in starts.items()},
        start_time=pd.Timestamp(origin, unit="s", tz="UTC"),
    )


def read_e4_tags(path: str | PathLike[str], *, session: str | None = None) -> pd.DatetimeIndex:
    """Return the times at which the button of an E4 was pressed.

    Parameters
    ----------
    path : str or path
        The folder or zip file of the session.
    session : str, default=None
        Which folder to read, if `path` has several sessions.

    Returns
    -------
    DatetimeIndex
        Sorted times in UTC. Use `skemo.signals.labels.from_events` to turn them into labels.

    Examples
    --------
    >>> from skemo.io import read_e4_tags
    >>> from skemo.signals import labels
    >>> tags = read_e4_tags("1644227574_A01234.zip")  # doctest: +SKIP
    >>> labels.from_events(zip(tags, ["stroop", None, "interview", None]))  # doctest: +SKIP
    """
    path = existing(path)
    files = _session_files(path, session)
    tags = sorted(name for name in files if name.lower().startswith("tags"))
    seconds = np.empty(0)
    if tags:
        seconds = np.sort(read_numbers(files[tags[0]], _lines(files[tags[0]]), 1, 1)[:, 0])
    return pd.DatetimeIndex(pd.to_datetime(seconds, unit="s", utc=True))


def read_e4_signal(path: Any, n_channels: int) -> tuple[float, float, NDArray[np.float32]]:
    """Read the start, sampling rate and samples of one E4 file.

    Parameters
    ----------
    path : path
        A file, or a file inside a zip file.
    n_channels : int

    Returns
    -------
    start : float
        In unix seconds.
    sampling_rate : float
        In hertz.
    samples : ndarray of shape (n_channels, n_times), float32
    """
    with path.open("r", encoding="utf-8-sig", errors="replace") as file:
        lines = [line for line in (file.readline(), file.readline()) if line]
        samples = _read_samples(file)
    header = read_numbers(path, lines[:2], n_channels, 1) if len(lines) >= 2 else np.empty((0, 1))
    if len(header) < 2:
        raise ValueError(
            f"{path} should have the start in unix seconds in its first line and the sampling "
            f"rate in its second, but has {len(lines)} lines. Export the session again."
        )
    start, rate = header[:, 0]
    if not (start > 0 and 0 < rate < 1e4 and np.isfinite(start)) or (header[1] != rate).any():
        raise ValueError(
            f"{path} should begin with the start in unix seconds and the sampling rate in hertz, "
            f"but begins with {lines[0].strip()!r} and {lines[1].strip()!r}."
        )
    if samples is None or samples.shape[1] != n_channels:
        samples = read_numbers(path, _lines(path)[2:], n_channels, 3)
    if not np.isfinite(samples).all():
        line = np.flatnonzero(~np.isfinite(samples).all(axis=1))[0] + 3
        raise ValueError(f"{path} has a value that is not finite in line {line}.")
    return float(start), float(rate), as_channels(samples)


def _read_samples(file):
    """Read the rest of a file without building a list of its lines; return None on failure."""
    try:
        with ignored_warnings():  # about a file without samples
            return np.loadtxt(file, np.float32, delimiter=",", ndmin=2)
    except ValueError:
        return None


def _read_beats(files, origin):
    """Return the times of the beats in IBI.csv in seconds from `origin`, and the gaps."""
    if "IBI.csv" not in files:
        return np.empty(0), []
    path = files["IBI.csv"]
    lines = _lines(path)
    if not lines or not lines[0].strip():
        return np.empty(0), []
    try:
        start = float(lines[0].split(",")[0])
    except ValueError as error:
        raise ValueError(
            f"{path}: line 1 should have the start in unix seconds and IBI, but is "
            f"{lines[0].strip()!r}."
        ) from error
    table = read_numbers(path, lines[1:], 2, 2)
    if not len(table):
        return np.empty(0), []
    # Each line has the time of a beat and the interval since the previous beat.
    ends = table[:, 0] + start - origin
    times = np.sort(np.concatenate([ends, ends - table[:, 1]]))
    times = times[np.diff(times, prepend=-np.inf) > _APART]
    # Beats may be missing between two beats unless the interval between them is listed.
    ends = np.sort(ends)
    place = np.searchsorted(ends, times[1:] - _APART)
    listed = np.append(ends, np.inf)[place] <= times[1:] + _APART
    pairs = zip(times[:-1].tolist(), times[1:].tolist(), listed, strict=True)
    return times, [(before, after) for before, after, known in pairs if not known]


def _session_files(path, session):
    """Return the files of a session, by name."""
    if path.is_dir():
        everything = [file for file in path.rglob("*.csv") if file.is_file()]
        folders = {file: str(file.parent.relative_to(path)) for file in everything}
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".csv")]
        everything = [zipfile.Path(path, name) for name in names if "__MACOSX" not in name]
        folders = {file: str(Path(file.at).parent) for file in everything}
    else:
        raise ValueError(f"{path} is neither a folder nor a zip file. Pass a session as exported.")
    known = {file for file, *_ in FILES.values()}
    sessions = sorted({folder for file, folder in folders.items() if file.name in known})
    if not sessions:
        raise FileNotFoundError(f"{path} has none of the files {', '.join(sorted(known))}.")
    if session is not None:
        if session not in sessions:
            raise ValueError(f"{path} has no session {session!r}; it has {sessions}.")
    elif len(sessions) > 1:
        raise ValueError(f"{path} has {len(sessions)} sessions, {sessions[:5]}. {_SEVERAL}")
    chosen = sessions[0] if session is None else session
    return {file.name: file for file, folder in folders.items() if folder == chosen}


def _lines(path):
    """Return the lines of a file with any line endings, with or without a byte-order mark."""
    return path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
