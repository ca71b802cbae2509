"""Empatica EmbracePlus: raw Avro files of about half an hour each."""

from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skemo.io.base import existing, library, with_progress
from skemo.signals.recording import LONGEST_INTERVAL, Recording
from skemo.signals.times import even_grid

# By modality: the name in the files, the unit and the channels.
_STREAMS: dict[str, tuple[str, str | None, tuple[str, ...]]] = {
    "ppg": ("bvp", None, ("BVP",)),
    "eda": ("eda", "µS", ("EDA",)),
    "temp": ("temperature", "°C", ("TEMP",)),
    "acc": ("accelerometer", "g", ("x", "y", "z")),
}


def read_embraceplus(
    path: str | PathLike[str],
    *,
    subject: str | None = None,
    trial: str = "",
    progress: bool = False,
) -> Recording:
    """Read the raw Avro files of an Empatica EmbracePlus, using fastavro.

    The wristband's recordings are split into files of about half an hour. For each signal, they
    are joined on one even grid at the nominal rate, with NaN in any gaps between them.

    Parameters
    ----------
    path : str or path
        One file, or a folder. All ``.avro`` files in a folder and its subfolders are joined.
    subject : str, default=None
        Identifier of the subject. None uses the name of the folder or file.
    trial : str, default=""
        Which of the subject's recordings this is.
    progress : bool, default=False
        Whether to show a progress bar over the files.

    Returns
    -------
    Recording
        float32, with the modalities ``"ppg"`` (no unit), ``"eda"`` (µS), ``"temp"`` (°C) and
        ``"acc"`` (g), and the systolic peaks that the wristband detected as beats ``"peaks"``,
        with the gaps in which peaks may be hidden: where the pulse is missing, and where more
        than 3 s are without a peak.

    Raises
    ------
    ImportError
        If fastavro is not installed.
    FileNotFoundError
        If there is no Avro file.
    ValueError
        If a file cannot be read or is not from an EmbracePlus, or if the files come from several
        devices.

    Examples
    --------
    >>> from skemo.io import read_embraceplus
    >>> read_embraceplus("2024-05-01/001-3YK3J1")  # doctest: +SKIP
    """
    fastavro = library("fastavro", "EmbracePlus files")
    path = existing(path)
    files = sorted(path.rglob("*.avro")) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"{path} has no .avro files.")
    parts: dict[str, list[tuple[float, float, NDArray[np.float32]]]] = {}
    peaks: list[int] = []
    devices: dict[str, Any] = {}
    for file in with_progress(files, f"Reading {path.name}", progress):
        for session in _read_file(fastavro, file):
            devices.setdefault(str(session.get("deviceSn")), file)
            raw = session["rawData"]
            version = session.get("schemaVersion") or {}
            for name, (key, _, channels) in _STREAMS.items():
                part = _read_stream(raw.get(key), channels, version)
                if part is not None:
                    parts.setdefault(name, []).append(part)
            found = (raw.get("systolicPeaks") or {}).get("peaksTimeNanos") or []
            peaks += list(found)
    if len(devices) > 1:
        (one, first), (other, second) = list(devices.items())[:2]
        raise ValueError(
            f"{path} has files of several devices: {first.name} of {one}, {second.name} of "
            f"{other}. Read the folder of each device separately."
        )
    if not parts:
        raise ValueError(f"{path}: the files have no samples.")
    origin = min(start for found in parts.values() for start, *_ in found)
    signals, rates, starts = {}, {}, {}
    for name, found in parts.items():
        found.sort(key=lambda part: part[0])
        rate = float(f"{np.median([rate for _, rate, _ in found]):.3g}")
        times, samples = _join(found, origin)
        start, rates[name], grid = even_grid(times, samples, rate, name=f"{name!r} in {path}")
        signals[name], starts[name] = grid, round(start, 6)
    beats = (np.unique(np.asarray(peaks, np.int64)) - round(origin * 1e9)) / 1e9
    pulse = (signals["ppg"][0], rates["ppg"], starts["ppg"]) if "ppg" in signals else None
    return Recording(
        signals=signals,
        sampling_rates=rates,
        channels={name: _STREAMS[name][2] for name in signals},
        units={name: unit for name in signals if (unit := _STREAMS[name][1])},
        subject=path.stem if subject is None else subject,
        trial=trial,
        beats={"peaks": beats} if len(beats) else {},
        beat_sources={"peaks": "ppg"} if len(beats) else {},
        beat_gaps={"peaks": _peak_gaps(beats, pulse)} if len(beats) else {},
        starts=starts,
        start_time=pd.Timestamp(round(origin * 1e6), unit="us", tz="UTC"),
    )


def _peak_gaps(times, pulse):
    """Return the intervals between peaks in which others may be hidden."""
    is_gap = np.diff(times) > LONGEST_INTERVAL
    if pulse is not None:
        samples, rate, start = pulse
        n_missing = np.append(0, np.cumsum(np.isnan(samples)))
        places = np.clip(np.round((times - start) * rate), 0, len(samples)).astype(np.intp)
        is_gap |= np.diff(n_missing[places]) > 0
    at = np.flatnonzero(is_gap)
    return list(zip(times[at].tolist(), times[at + 1].tolist(), strict=True))


def _read_file(fastavro, file):
    """Return the records of a file."""
    try:
        with file.open("rb") as content:
            sessions = list(fastavro.reader(content))
    except Exception as error:  # fastavro raises many kinds of exceptions
        raise ValueError(
            f"{file} cannot be read as Avro ({error!r}): it is truncated or damaged. Download it "
            "again."
        ) from error
    if not all(isinstance(s, dict) and isinstance(s.get("rawData"), dict) for s in sessions):
        raise ValueError(f"{file} is not a raw file of an EmbracePlus: it has no 'rawData'.")
    return sessions


def _read_stream(stream: Any, channels: tuple[str, ...], version: dict[str, int]) -> Any:
    """Return the start in seconds, rate and samples of one part, or None without samples."""
    if not stream or not stream.get("samplingFrequency"):
        return None
    keys = channels if len(channels) > 1 else ("values",)
    samples = np.array([stream[key] for key in keys], np.float32)
    if not samples.shape[1]:
        return None
    if len(channels) > 1:
        scale = stream["imuParams"]
        if "conversionFactor" in scale and tuple(version.values())[:2] >= (6, 5):
            samples *= np.float32(scale["conversionFactor"])
        else:
            samples *= np.float32(
                (scale["physicalMax"] - scale["physicalMin"])
                / (scale["digitalMax"] - scale["digitalMin"])
            )
    return stream["timestampStart"] / 1e6, float(stream["samplingFrequency"]), samples


def _join(parts, origin):
    """Return the times and samples of all parts, without the overlap between them."""
    times, samples = [], []
    last = -np.inf
    for start, rate, values in parts:
        seconds = start - origin + np.arange(values.shape[1]) / rate
        new = seconds > last + 0.5 / rate
        times.append(seconds[new])
        samples.append(values[:, new])
        last = max(last, seconds[-1])
    return np.concatenate(times), np.concatenate(samples, axis=1)
