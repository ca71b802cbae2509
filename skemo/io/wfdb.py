"""Records in PhysioNet's WFDB format, with annotated heartbeats."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skemo.io.base import library
from skemo.signals.channels import group_channels, to_usual_unit
from skemo.signals.recording import Recording

_BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")  # annotation symbols of heartbeats


def read_wfdb(
    path: str | PathLike[str],
    *,
    subject: str | None = None,
    trial: str = "",
    modalities: Mapping[str, str | Sequence[str]] | None = None,
    beats: str | None = None,
) -> Recording:
    """Read a record in PhysioNet's WFDB format, using wfdb.

    Parameters
    ----------
    path : str or path
        The header of the record, ``100.hea``, or its path without ``.hea``.
    subject : str, default=None
        Identifier of the subject. None uses the name of the record.
    trial : str, default=""
        Which of the subject's recordings this is.
    modalities : mapping of str to str or sequence of str, default=None
        Names of the signals of each modality, such as ``{"ecg": ["MLII", "V5"]}``. None guesses
        the modalities from the names.
    beats : str, default=None
        Extension of a file with annotated heartbeats, such as ``"atr"``. They become the beats
        of that name.

    Returns
    -------
    Recording
        float32, with NaN for invalid samples; ECG in mV, EEG in µV, others in the units of the
        record.

    Raises
    ------
    ImportError
        If wfdb is not installed.
    FileNotFoundError
        If a file of the record is missing.
    ValueError
        If the record cannot be read, or a signal is missing.

    Examples
    --------
    >>> from skemo.io import read_wfdb
    >>> read_wfdb("mitdb/100", beats="atr")  # doctest: +SKIP
    """
    wfdb = library("wfdb", "WFDB records")
    path = Path(path).expanduser()
    stem = path.with_suffix("") if path.suffix in (".hea", ".dat") else path
    header = stem.with_name(stem.name + ".hea")
    if not header.exists():
        raise FileNotFoundError(f"{header}, the header of the record, does not exist.")
    try:
        record = wfdb.rdrecord(str(stem), smooth_frames=False)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{header} refers to a missing file: {error.filename or error}. Put it next to "
            "the header."
        ) from error
    except Exception as error:  # wfdb raises many kinds of exceptions
        raise ValueError(f"{stem} cannot be read as a WFDB record ({error!r}).") from error
    names, frames = list(record.sig_name), list(record.samps_per_frame)
    groups = group_channels(names, modalities, where=str(stem))
    parts: dict[str, Any] = {"signals": {}, "sampling_rates": {}, "channels": {}, "units": {}}
    for modality, found in groups.items():
        if len({frames[i] for i in found}) > 1 or len({record.units[i] for i in found}) > 1:
            raise ValueError(
                f"{stem}: the signals {[names[i] for i in found]} of {modality!r} have different "
                "rates or units. Pass modalities= with one modality for each."
            )
        factor, parts["units"][modality] = to_usual_unit(modality, record.units[found[0]])
        samples = np.stack([record.e_p_signal[i] for i in found]) * factor
        parts["signals"][modality] = samples.astype(np.float32)
        parts["sampling_rates"][modality] = float(record.fs * frames[found[0]])
        parts["channels"][modality] = [names[i] for i in found]
    times = {}
    if beats is not None:
        annotation = wfdb.rdann(str(stem), beats)
        is_beat = np.isin(annotation.symbol, list(_BEATS))
        times[beats] = np.unique(annotation.sample[is_beat]) / record.fs
    moment = record.base_datetime
    return Recording(
        **parts,
        subject=stem.name if subject is None else subject,
        trial=trial,
        beats=times,
        beat_sources=dict.fromkeys(times, "ecg"),
        start_time=None if moment is None else pd.Timestamp(moment),
    )
