"""Polar: text files of Polar Sensor Logger and of apps that write the same columns."""

import re
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skemo.io.base import existing
from skemo.io.csv import read_table
from skemo.signals.recording import Recording
from skemo.signals.times import even_grid

_PHONE, _SENSOR = "Phone timestamp", "sensor timestamp [ns]"
# By modality: a pattern of its columns, the unit, and the nominal rate in hertz if it is fixed.
_STREAMS: dict[str, tuple[str, str | None, float | None]] = {
    "ecg": (r"ecg \[uV\]", "µV", 130.0),
    "acc": (r"[XYZ] \[mg\]", "mg", None),
    "gyro": (r"[XYZ] \[dps\]", "°/s", None),
    "ppg": (r"channel \d+", None, None),
    "hr": (r"HR \[bpm\]", "1/min", 1.0),
}
_RR = r"RR-interval \[ms\]"
_LATE = 3.0  # s; beats that differ more from their phone times are realigned


def read_polar(
    path: str | PathLike[str], *, subject: str | None = None, trial: str = ""
) -> Recording:
    """Read files of Polar Sensor Logger from a Polar H10, OH1 or Verity Sense.

    The app writes a text file for each kind of data, ``…_ECG.txt``, ``…_RR.txt``,
    ``…_ACC.txt``, ``…_PPG.txt`` or ``…_HR.txt``, with columns separated by semicolons. The
    sensor's clock times the samples, and the phone's clock aligns the files.

    Parameters
    ----------
    path : str or path
        One of the files, or the folder of a session, with one file of each kind.
    subject : str, default=None
        Identifier of the subject. None uses the name of the file or folder.
    trial : str, default=""
        Which of the subject's recordings this is.

    Returns
    -------
    Recording
        Has the modalities that were recorded: ``"ecg"`` (µV, 130 Hz), ``"acc"`` (mg), ``"gyro"``,
        ``"ppg"`` (no unit) and ``"hr"`` (1/min, 1 Hz). RR intervals become the beats ``"rr"``.

    Raises
    ------
    ValueError
        If a file does not have the app's columns, if a folder has two files of one kind, or if
        there are RR intervals only.

    Examples
    --------
    >>> from skemo.io import read_polar
    >>> read_polar("Polar_H10_0A1B2C3D_20240501_093000_ECG.txt")  # doctest: +SKIP
    """
    path = existing(path)
    files = sorted(path.glob("*.txt")) + sorted(path.glob("*.csv")) if path.is_dir() else [path]
    streams: dict[str, tuple[Path, pd.DataFrame]] = {}
    for file in files:
        header = _header(file)
        if path.is_dir() and _PHONE not in header:
            continue
        kind = _kind(file, header)
        if kind in streams:
            raise ValueError(
                f"{path} has two files of {kind!r}, {streams[kind][0].name} and {file.name}. Put "
                "each session into its own folder."
            )
        table = read_table(
            file, header, texts=[_PHONE, _SENSOR], separator=";", names=header, skip_rows=1
        )
        streams[kind] = file, table
    if not streams:
        raise ValueError(f"{path} has no files of Polar Sensor Logger.")
    phones = {kind: _phone_times(*stream) for kind, stream in streams.items()}
    origin = min(times.min() for times in phones.values())
    # The sensor's clock is regular; it is shifted to the phone's by their median difference.
    parts: dict[str, Any] = {"signals": {}, "sampling_rates": {}, "channels": {}, "starts": {}}
    beats, gaps = {}, {}
    for kind, (file, table) in streams.items():
        seconds = (phones[kind] - origin).dt.total_seconds().to_numpy()
        if kind == "rr":
            beats["rr"], gaps["rr"] = _beats(table, seconds)
            continue
        pattern, _, rate = _STREAMS[kind]
        columns = [name for name in table if re.fullmatch(pattern, name)]
        if _SENSOR in table:
            nanoseconds = pd.to_numeric(table[_SENSOR]).to_numpy(np.int64)
            sensor = (nanoseconds - nanoseconds[0]) / 1e9
            seconds = sensor + np.median(seconds - sensor)
        start, rate, samples = even_grid(
            seconds, table[columns].to_numpy(np.float32).T, rate, name=f"{kind!r} in {file}"
        )
        parts["signals"][kind], parts["sampling_rates"][kind] = samples, rate
        parts["channels"][kind] = [name.split(" [")[0] for name in columns]
        parts["starts"][kind] = round(start, 6)
    if not parts["signals"]:
        raise ValueError(
            f"{path} has only RR intervals, but a recording needs a signal. Pass a folder that "
            "also has the heart rate or ECG file."
        )
    return Recording(
        **parts,
        units={kind: unit for kind in parts["signals"] if (unit := _STREAMS[kind][1])},
        subject=path.stem if subject is None else subject,
        trial=trial,
        beats=beats,
        beat_sources=dict.fromkeys(beats, "ecg"),
        beat_gaps=gaps,
        start_time=origin,
    )


def _header(file):
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        names = lines.readline().strip().rstrip(";").split(";")
    return [name.strip() for name in names]


def _kind(file, header):
    """Return the kind of data in a file, from its column names."""
    if _PHONE in header:
        if any(re.fullmatch(_RR, name) for name in header):
            return "rr"
        for kind, (pattern, *_) in _STREAMS.items():
            if any(re.fullmatch(pattern, name) for name in header):
                return kind
    raise ValueError(
        f"{file} is not a file of Polar Sensor Logger: it should have the column {_PHONE!r} "
        f"and one such as 'ecg [uV]' or 'RR-interval [ms]', separated by semicolons, but has "
        f"{header[:5]}."
    )


def _phone_times(file, table):
    try:
        return pd.to_datetime(table[_PHONE], format="ISO8601")
    except ValueError as error:
        raise ValueError(f"{file}: {_PHONE!r} has a value that is not a time ({error}).") from error


def _beats(table, seconds):
    """Return the times of beats, from RR intervals and their arrival times, and the gaps."""
    column = next(name for name in table if re.fullmatch(_RR, name))
    intervals = table[column].to_numpy(np.float64) / 1000
    known = np.isfinite(intervals) & (intervals > 0)
    intervals, seconds = intervals[known], seconds[known]
    times, gaps = [], []
    for interval, arrival in zip(intervals, seconds, strict=True):
        time = times[-1] + interval if times else arrival
        if times and abs(time - arrival) > _LATE:  # intervals were lost
            time = max(arrival, times[-1] + 2 * interval)
            gaps.append((times[-1], time - interval))
            times.append(time - interval)
        elif not times:
            times.append(time - interval)
        times.append(time)
    return np.array(times), gaps
