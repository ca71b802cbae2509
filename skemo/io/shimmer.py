"""Shimmer: text tables exported by Consensys or written by Shimmer's own programs."""

import re
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from skemo.io.base import existing
from skemo.io.csv import read_table
from skemo.signals.frames import parse_times
from skemo.signals.recording import Recording
from skemo.signals.times import even_grid

# Modalities by pattern of column names, without the name of the device.
_MODALITIES = {
    r"GSR_Skin_Conductance|GSR": "eda",
    r"ECG_.*": "ecg",
    r"EMG_.*": "emg",
    r"EXG_.*|ExG.*": "exg",
    r".*PPG.*": "ppg",
    r"(Accel_LN|Low_Noise_Accelerometer|Accel)_[XYZ]": "acc",
    r"(Accel_WR|Wide_Range_Accelerometer)_[XYZ]": "acc_wr",
    r"(Gyro|Gyroscope)_[XYZ]": "gyro",
    r"(Mag|Magnetometer)_[XYZ]": "mag",
    r"Temperature.*|Skin_Temperature.*": "temp",
}
_IGNORED = r".*(ECG_EMG_Status|IBI|HeartRate|Heart_Rate).*"  # derived, or not a signal
_TIMES = (r".*Timestamp_Unix", r".*Timestamp_FormattedUnix", r".*Timestamp")
_FORMATS = ("CAL", "RAW", "UNCAL")
_UNITS = {
    "us": "µS",
    "microsiemens": "µS",
    "usiemens": "µS",
    "mvolts": "mV",
    "mv": "mV",
    "m/(s^2)": "m/s²",
    "m/(sec^2)": "m/s²",
    "m/s^2": "m/s²",
    "deg/s": "°/s",
    "degrees celsius": "°C",
    "degc": "°C",
    "kohms": "kΩ",
}


def read_shimmer(
    path: str | PathLike[str],
    *,
    subject: str | None = None,
    trial: str = "",
    sampling_rate: float | None = None,
    max_gap: float | None = None,
) -> Recording:
    """Read a table of a Shimmer, as exported by Consensys.

    The file begins with a line of column names, a line of formats (in older versions only) and
    a line of units. Only calibrated columns (``CAL``) are read.

    Parameters
    ----------
    path : str or path
    subject : str, default=None
        Identifier of the subject. None uses the file name.
    trial : str, default=""
        Which of the subject's recordings this is.
    sampling_rate : float, default=None
        Nominal rate in hertz. None estimates it from the timestamps.
    max_gap : float, default=None
        Longest gap between samples to interpolate, in seconds. None means three sampling
        intervals.

    Returns
    -------
    Recording
        Has the modalities that were recorded, in the units of the file: ``"eda"``, ``"ecg"``,
        ``"emg"``, ``"exg"``, ``"ppg"``, ``"acc"`` (low noise), ``"acc_wr"`` (wide range),
        ``"gyro"``, ``"mag"`` and ``"temp"``. Skin resistance in kΩ is converted to µS if the
        file has no skin conductance.

    Raises
    ------
    ValueError
        If there is no calibrated signal or no calibrated timestamp.

    Examples
    --------
    >>> from skemo.io import read_shimmer
    >>> read_shimmer("Session1_Shimmer_847A_Calibrated_SD.csv")  # doctest: +SKIP
    """
    path = existing(path)
    names, formats, units, separator, n_header = _read_header(path)
    plain = [_plain_name(name) for name in names]
    calibrated = [
        formats[i] == "CAL" or (not formats[i] and not name.endswith(("_RAW", "_UNCAL")))
        for i, name in enumerate(names)
    ]
    time = _find_time(path, plain, calibrated, names)
    modalities: dict[str, list[int]] = {}
    resistances = []
    for i, name in enumerate(plain):
        if i == time or not calibrated[i] or "Timestamp" in name:
            continue
        if re.fullmatch("GSR_Skin_Resistance", name) or units[i].lower() == "kohms":
            resistances.append(i)
            continue
        matching = [kind for pattern, kind in _MODALITIES.items() if re.fullmatch(pattern, name)]
        if matching and not re.fullmatch(_IGNORED, name):
            modalities.setdefault(matching[0], []).append(i)
    is_resistance = "eda" not in modalities and bool(resistances)
    if is_resistance:
        modalities["eda"] = resistances[:1]
    if not modalities:
        raise ValueError(f"{path} has no calibrated signal; its columns are {names}.")
    keys = [f"{i} {name}" for i, name in enumerate(names)]
    wanted = [keys[time], *(keys[i] for found in modalities.values() for i in found)]
    table = read_table(
        path,
        wanted,
        names=keys,
        texts=[keys[time]],
        separator=separator,
        skip_rows=n_header,
    )
    numbers = pd.to_numeric(table[keys[time]], errors="coerce")
    times = numbers if numbers.notna().any() else table[keys[time]].str.replace("/", "-")
    seconds, origin = parse_times(times, "ms", f"{path}: the column {names[time]!r}")
    parts: dict[str, Any] = {"signals": {}, "sampling_rates": {}, "channels": {}, "starts": {}}
    known = {}
    for modality, found in modalities.items():
        samples = table[[keys[i] for i in found]].to_numpy(np.float64).T
        if modality == "eda" and is_resistance:
            with np.errstate(divide="ignore"):
                samples = np.where(samples > 0, 1000 / samples, np.nan)
            known[modality] = "µS"
        elif unit := units[found[0]]:
            known[modality] = _UNITS.get(unit.lower(), unit)
        start, rate, samples = even_grid(
            seconds, samples, sampling_rate, max_gap=max_gap, name=f"{modality!r} in {path}"
        )
        parts["signals"][modality] = samples.astype(np.float32)
        parts["sampling_rates"][modality], parts["starts"][modality] = rate, round(start, 6)
        parts["channels"][modality] = [plain[i] for i in found]
    return Recording(
        **parts,
        units=known,
        subject=path.stem if subject is None else subject,
        trial=trial,
        start_time=origin,
    )


def _read_header(path):
    """Return column names, formats and units, the separator and the number of header lines."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = [file.readline().rstrip("\r\n") for _ in range(6)]
    n_header = 0
    separator = None
    if lines[0].strip().strip('"').lower().startswith("sep="):
        separator = lines[0].strip().strip('"')[4:5] or "\t"
        separator = "\t" if lines[0].strip().strip('"')[4:] == "\\t" else separator
        n_header = 1
    if separator is None:
        separator = "\t" if "\t" in lines[0] else ";" if ";" in lines[0] else ","
    rows = [[cell.strip().strip('"') for cell in line.split(separator)] for line in lines]
    names = rows[n_header]
    while names and not names[-1]:
        names = names[:-1]
    if not any("Timestamp" in name or "Shimmer" in name for name in names):
        raise ValueError(
            f"{path} is not a Shimmer table: line {n_header + 1} should have column names "
            f"such as 'Shimmer_847A_Timestamp_Unix_CAL', but has {names[:4]}."
        )
    n_header += 1
    formats, units = [""] * len(names), [""] * len(names)
    for _ in range(2):
        cells = (rows[n_header] + [""] * len(names))[: len(names)]
        if {cell for cell in cells if cell} <= set(_FORMATS):
            formats = cells
        elif not re.match(r"[-\d]", cells[0]):
            units = cells
        else:
            break
        n_header += 1
    for i, name in enumerate(names):
        ending = name.rsplit("_", 1)[-1]
        if not formats[i] and ending in _FORMATS:
            formats[i] = ending
    return names, formats, units, separator, n_header


def _plain_name(name):
    """Return the name of a column without the device and format."""
    name = re.sub(r"_(CAL|RAW|UNCAL)$", "", name.replace(" ", "_"))
    return re.sub(r"^(Shimmer_[0-9A-Fa-f]{4}|id[0-9A-Fa-f]{4}|Shimmer)_", "", name)


def _find_time(path, plain, calibrated, names):
    for pattern in _TIMES:
        for i, name in enumerate(plain):
            if calibrated[i] and re.fullmatch(pattern, name):
                return i
    raise ValueError(f"{path} has no calibrated timestamp; its columns are {names}.")
