"""EDF and BDF files and their annotations."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skemo.io.base import existing
from skemo.signals.channels import group_channels, to_usual_unit
from skemo.signals.mne_raw import annotation_labels, split_bad
from skemo.signals.recording import Recording


def read_edf(
    path: str | PathLike[str],
    *,
    subject: str | None = None,
    trial: str = "",
    modalities: Mapping[str, str | Sequence[str]] | None = None,
    names: Mapping[str, Any] | None = None,
) -> Recording:
    """Read an EDF, EDF+, BDF or BDF+ file as a recording.

    Annotations become labels. Each lasts for its duration, or until the next annotation if none
    of them has a duration. Annotations that begin with "bad" become excluded intervals.

    Parameters
    ----------
    path : str or path
    subject : str, default=None
        Identifier of the subject. None uses the file name.
    trial : str, default=""
        Which of the subject's recordings this is.
    modalities : mapping of str to str or sequence of str, default=None
        Labels of the signals of each modality, such as ``{"eeg": ["EEG Fp1", "EEG Fp2"]}``, or
        the type with which their labels begin, such as ``{"eeg": "eeg"}``. None groups all
        signals by type and rate.
    names : mapping of str to label, default=None
        Label for each annotation; others are ignored. None uses the annotations as labels.

    Returns
    -------
    Recording
        float32; EEG and EOG in µV, ECG and EMG in mV, skin conductance in µS, others in the units
        of the file.

    Raises
    ------
    ValueError
        If the file is truncated, unreadable or discontinuous, or a signal is missing.

    Warns
    -----
    UserWarning
        Annotations without a duration are left out, because others have one.

    Examples
    --------
    >>> from skemo.io import read_edf
    >>> read_edf("S01.edf", modalities={"eeg": "eeg", "ecg": ["ECG"]})  # doctest: +SKIP
    """
    path = existing(path)
    edf = open_edf(path)
    signals = list(edf.signals)
    labels = [signal.label for signal in signals]
    groups = group_channels(labels, modalities, where=str(path))
    if modalities is None:
        groups = _by_rate(groups, signals)
    parts: dict[str, Any] = {"signals": {}, "sampling_rates": {}, "channels": {}, "units": {}}
    for modality, found in groups.items():
        rates = {signals[i].sampling_frequency for i in found}
        units = {signals[i].physical_dimension for i in found}
        if len(rates) > 1 or len(units) > 1:
            what, values = ("sampling rates", rates) if len(rates) > 1 else ("units", units)
            raise ValueError(
                f"{path}: the signals {[labels[i] for i in found]} of {modality!r} have different "
                f"{what}, {sorted(values)}. Pass modalities= with one modality for each."
            )
        factor, unit = to_usual_unit(modality, units.pop())
        samples = np.stack([signals[i].data for i in found]) * factor
        parts["signals"][modality] = samples.astype(np.float32)
        parts["sampling_rates"][modality] = float(rates.pop())
        parts["channels"][modality] = [labels[i] for i in found]
        parts["units"][modality] = unit
    if not parts["signals"]:
        raise ValueError(f"{path} has no signals.")
    annotations, excluded = split_bad([(a.onset, a.duration, a.text) for a in edf.annotations])
    return Recording(
        **parts,
        subject=path.stem if subject is None else subject,
        trial=trial,
        labels=annotation_labels(annotations, float(edf.duration), names),
        excluded=excluded,
        start_time=_start_time(edf),
    )


def open_edf(path: Path) -> Any:
    """Open an EDF or BDF file and verify that it is complete.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    edfio.Edf or edfio.Bdf

    Raises
    ------
    ValueError
        If the file is truncated or unreadable.
    """
    import edfio

    try:
        with path.open("rb") as file:
            header = file.read(256)
            n_signals = int(header[252:256])
            file.seek(256 + 216 * n_signals)
            n_samples = sum(int(file.read(8)) for _ in range(n_signals))  # of a data record
        is_bdf = header[:1] == b"\xff"
        n_bytes = path.stat().st_size - int(header[184:192])
        n_records = n_bytes // (n_samples * (3 if is_bdf else 2))
        declared = int(header[236:244])
    except (ValueError, ArithmeticError) as error:
        raise ValueError(f"{path} cannot be read as EDF ({error!r}).") from error
    if header[192:197] in (b"EDF+D", b"BDF+D"):
        raise ValueError(
            f"{path} is discontinuous ({header[192:197].decode()}): there are gaps between its "
            "data records. Convert it to a continuous file first."
        )
    if declared not in (-1, n_records):  # before edfio, which would only warn
        raise ValueError(
            f"{path} has {n_records} data records, but its header declares {declared}: "
            f"it is {'truncated' if n_records < declared else 'damaged'}."
        )
    try:
        return edfio.read_bdf(path) if is_bdf else edfio.read_edf(path)
    except Exception as error:  # edfio does not define its own exceptions
        raise ValueError(f"{path} cannot be read as EDF ({error!r}).") from error


def _by_rate(groups, signals):
    """Split modalities whose signals have different rates or units."""
    split: dict[str, list[int]] = {}
    for modality, found in groups.items():
        kinds: dict[tuple[float, str], list[int]] = {}
        for i in found:
            kind = (signals[i].sampling_frequency, signals[i].physical_dimension)
            kinds.setdefault(kind, []).append(i)
        for n, members in enumerate(kinds.values()):
            split[modality if n == 0 else f"{modality}{n + 1}"] = members
    return split


def _start_time(edf):
    """Return the start time, or None if the date is anonymised or missing."""
    try:
        return pd.Timestamp.combine(edf.startdate, edf.starttime)
    except (AttributeError, TypeError, ValueError):
        return None
