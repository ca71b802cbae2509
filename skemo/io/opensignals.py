"""OpenSignals: text files from BITalino and biosignalsplux devices."""

import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from skemo.io.base import existing
from skemo.io.csv import read_table
from skemo.signals.recording import Recording

# By sensor: the modality, the unit, the offset, and the volts and gain by family of devices. The
# transfer function, from the manufacturer's data sheets, is
# (samples / 2**bits - offset) * volts / gain. The gain is in volts per unit of the result.
_SENSORS: dict[str, tuple[str, str, float, dict[str, tuple[float, float]]]] = {
    "ECG": ("ecg", "mV", 0.5, {"plux": (3.0, 1.019), "bitalino": (3.3, 1.1)}),
    "EDA": ("eda", "µS", 0.0, {"plux": (3.0, 0.12), "bitalino": (3.3, 0.132)}),
    "EMG": ("emg", "mV", 0.5, {"plux": (3.0, 1.0), "bitalino": (3.3, 1.009)}),
    "EEG": ("eeg", "µV", 0.5, {"plux": (3.0, 0.04199), "bitalino": (3.3, 0.04)}),
    "BVP": ("ppg", "µA", 0.0, {"plux": (3.0, 0.190060606)}),
}
_OTHERS = {
    "RESP": "resp",
    "RESPIRATION": "resp",
    "PZT": "resp",
    "RIP": "resp",
    "PPG": "ppg",
    "BPR": "ppg",
    "ACC": "acc",
    "XYZ": "acc",
    "TEMP": "temp",
    "NTC": "temp",
}
_BITALINO = ("bitalino_rev", "bitalino_riot")
_OLD_BITALINO = "bitalino"  # uses a different circuit for skin conductance


def read_opensignals(
    path: str | PathLike[str],
    *,
    subject: str | None = None,
    trial: str = "",
    sensors: Mapping[str, str] | None = None,
    device: str | None = None,
) -> Recording:
    """Read an OpenSignals text file from a BITalino or biosignalsplux.

    The header gives the sensor and the resolution in bits of each channel. ECG, EDA, EMG, EEG
    and blood volume pulse are converted to mV, µS, mV, µV and µA with the manufacturer's
    transfer functions; other sensors keep the values of the file, without a unit. Values that
    the software has already converted are kept.

    Parameters
    ----------
    path : str or path
    subject : str, default=None
        Identifier of the subject. None uses the file name.
    trial : str, default=""
        Which of the subject's recordings this is.
    sensors : mapping of str to str, default=None
        Sensors by column, such as ``{"A1": "ECG"}``, if they were not chosen in the software
        (``"RAW"`` or ``"CUSTOM"`` in the header).
    device : str, default=None
        Which of several devices to read, by its address in the header.

    Returns
    -------
    Recording
        Modalities are named after their sensors, with numbers for the second and later sensors
        of a kind. Unknown sensors are named after their columns. The three columns of an
        accelerometer form one modality.

    Raises
    ------
    ValueError
        If the header is not from OpenSignals, or if the file has several devices and `device` is
        None.

    Examples
    --------
    >>> from skemo.io import read_opensignals
    >>> read_opensignals("opensignals_2024-05-01.txt", sensors={"A1": "ECG"})  # doctest: +SKIP
    """
    path = existing(path)
    header, n_header = _read_header(path)
    info, n_before, n_columns = _choose_device(path, header, device)
    names = _unique([f"{i} {name}" for i, name in enumerate(_all_columns(header))])
    table = read_table(path, names, separator="\t", names=[*names, ""], skip_rows=n_header)
    table = table.iloc[:, n_before : n_before + n_columns]
    table.columns = info["column"]
    rate = float(info["sampling rate"])
    labels = list(info["label"])
    kinds = dict(zip(labels, info["sensor"], strict=False)) | dict(sensors or {})
    bits = dict(zip(labels, info["resolution"][-len(labels) :], strict=False))
    family = info["device"] if info["device"] in (*_BITALINO, _OLD_BITALINO) else "plux"
    is_converted = bool(info.get("convertedValues"))
    lost = _lost_samples(table, info)
    parts: dict[str, list[Any]] = {}
    units = {}
    for column in labels:
        lookup = str(kinds.get(column, "")).upper().replace("BITREV", "").replace("BIT", "")
        values = table[column].to_numpy(np.float64)
        name = _SENSORS[lookup][0] if lookup in _SENSORS else _OTHERS.get(lookup, column)
        unit = None
        if lookup in _SENSORS:
            converted = _convert(values, lookup, int(bits[column]), family)
            unit = _SENSORS[lookup][1] if is_converted or converted is not None else None
            values = values if is_converted or converted is None else converted
        if name != "acc":
            name = _next_name(name, parts)
        parts.setdefault(name, []).append((column, values))
        if unit:
            units[name] = unit
    signals = {
        name: _with_gaps(np.stack([x for _, x in found]), lost) for name, found in parts.items()
    }
    return Recording(
        signals={name: x.astype(np.float32) for name, x in signals.items()},
        sampling_rates=dict.fromkeys(signals, rate),
        channels={name: [column for column, _ in found] for name, found in parts.items()},
        units=units,
        subject=path.stem if subject is None else subject,
        trial=trial,
        start_time=_start_time(info),
    )


def _read_header(path):
    """Return the devices in the header, and the number of header lines."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline()
        if "OpenSignals" not in first:
            raise ValueError(
                f"{path} is not an OpenSignals text file: its first line should be '# OpenSignals"
                f" Text File Format', but is {first[:60].strip()!r}."
            )
        second = file.readline()
        n_lines = 2
        for line in file:
            n_lines += 1
            if "EndOfHeader" in line:
                break
        else:
            raise ValueError(f"{path}: the header has no end ('# EndOfHeader').")
    try:
        header = json.loads(second.lstrip("# ").strip())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: line 2 should be the header as JSON ({error}).") from error
    wanted = ("column", "label", "sensor", "sampling rate", "resolution", "device")
    for address, info in header.items():
        absent = [name for name in wanted if name not in info]
        if absent:
            raise ValueError(f"{path}: the header of the device {address} has no {absent[0]!r}.")
    return header, n_lines


def _choose_device(path, header, device):
    """Return the header of a device, its first column and its number of columns."""
    if not header:
        raise ValueError(f"{path} names no device in its header.")
    if device is None and len(header) > 1:
        raise ValueError(
            f"{path} has {len(header)} devices, {list(header)}. Pass device= with one of them."
        )
    device = next(iter(header)) if device is None else device
    if device not in header:
        raise ValueError(f"{path} has no device {device!r}; it has {list(header)}.")
    n_before = 0
    for address, info in header.items():
        if address == device:
            return info, n_before, len(info["column"])
        n_before += len(info["column"])
    raise AssertionError


def _all_columns(header):
    return [name for info in header.values() for name in info["column"]]


def _unique(names):
    return list(dict.fromkeys(names))


def _next_name(name, taken):
    """Return the name, numbered if it is taken."""
    numbers = [name, *(f"{name}{i}" for i in range(2, len(taken) + 3))]
    return next(candidate for candidate in numbers if candidate not in taken)


def _convert(values, sensor, bits, family):
    """Convert samples to the unit of their sensor; None if there is no transfer function."""
    if sensor == "EDA" and family == _OLD_BITALINO:
        return 1 / (1 - values / 2**bits)
    _, _, offset, functions = _SENSORS[sensor]
    found = functions.get("plux" if family == "plux" else "bitalino")
    if found is None:
        return None
    volts, gain = found
    return (values / 2**bits - offset) * volts / gain


def _lost_samples(table, info):
    """Return the number of samples lost before each sample, from the sequence numbers."""
    if "nSeq" not in table or len(table) < 2:
        return None
    numbers = table["nSeq"].to_numpy(np.float64)
    size = 16 if info["device"] in (*_BITALINO, _OLD_BITALINO) else max(numbers.max() + 1, 2)
    lost = np.mod(np.diff(numbers, prepend=numbers[0] - 1), size) - 1
    if not np.isfinite(lost).all() or (lost < 0).any():
        return None
    return lost.astype(int) if lost.any() else None


def _with_gaps(signal, lost):
    """Put NaN where samples were lost."""
    if lost is None:
        return signal
    positions = np.arange(signal.shape[1]) + np.cumsum(lost)
    placed = np.full((len(signal), positions[-1] + 1), np.nan)
    placed[:, positions] = signal
    return placed


def _start_time(info):
    try:
        day = pd.Timestamp(*(int(number) for number in str(info["date"]).split("-")))
        return day + pd.Timedelta(str(info["time"]))
    except (KeyError, TypeError, ValueError):
        return None
