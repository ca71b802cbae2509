"""Biopac: AcqKnowledge files (.acq)."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from skemo.io.base import existing, library
from skemo.signals.channels import group_channels, to_usual_unit
from skemo.signals.labels import from_events
from skemo.signals.recording import Recording


def read_biopac(
    path: str | PathLike[str],
    *,
    subject: str | None = None,
    trial: str = "",
    modalities: Mapping[str, str | Sequence[str]] | None = None,
    names: Mapping[str, Any] | None = None,
) -> Recording:
    """Read a file of Biopac's AcqKnowledge, using bioread.

    Parameters
    ----------
    path : str or path
    subject : str, default=None
        Identifier of the subject. None uses the file name.
    trial : str, default=""
        Which of the subject's recordings this is.
    modalities : mapping of str to str or sequence of str, default=None
        Names of the channels of each modality, such as ``{"eda": ["EDA100C"]}``. None groups
        the channels by the beginnings of their names.
    names : mapping of str to label, default=None
        Label for the text of each event marker; other markers are ignored. Each label lasts
        until the next one. None means no labels, because AcqKnowledge adds markers of its own.

    Returns
    -------
    Recording
        float32; EEG and EOG in µV, ECG and EMG in mV, skin conductance in µS, others in the units
        of the file.

    Raises
    ------
    ImportError
        If bioread is not installed.
    ValueError
        If the file cannot be read, or a channel is missing.

    Examples
    --------
    >>> from skemo.io import read_biopac
    >>> read_biopac("S01.acq", names={"rest": "rest", "task": "task"})  # doctest: +SKIP
    """
    bioread = library("bioread", "Biopac files")
    path = existing(path)
    try:
        data = bioread.read_file(str(path))
    except Exception as error:  # bioread raises many kinds of exceptions
        raise ValueError(f"{path} cannot be read as AcqKnowledge ({error!r}).") from error
    channels = list(data.channels)
    labels = [channel.name for channel in channels]
    groups = group_channels(labels, modalities, where=str(path))
    parts: dict[str, Any] = {"signals": {}, "sampling_rates": {}, "channels": {}, "units": {}}
    for modality, found in groups.items():
        rates = {float(channels[i].samples_per_second) for i in found}
        units = {channels[i].units for i in found}
        if len(rates) > 1 or len(units) > 1:
            raise ValueError(
                f"{path}: the channels {[labels[i] for i in found]} of {modality!r} have different "
                "rates or units. Pass modalities= with one modality for each."
            )
        factor, parts["units"][modality] = to_usual_unit(modality, units.pop())
        n_times = min(len(channels[i].data) for i in found)
        samples = np.stack([channels[i].data[:n_times] for i in found]) * factor
        parts["signals"][modality] = samples.astype(np.float32)
        parts["sampling_rates"][modality] = rates.pop()
        parts["channels"][modality] = [labels[i] for i in found]
    stop = max(x.shape[1] / parts["sampling_rates"][name] for name, x in parts["signals"].items())
    base = float(data.samples_per_second)
    events = [(m.sample_index / base, m.text) for m in data.event_markers if m.text]
    events = [event for event in events if names and event[1] in names and event[0] < stop]
    moment = getattr(data, "earliest_marker_created_at", None)
    return Recording(
        **parts,
        subject=path.stem if subject is None else subject,
        trial=trial,
        labels=from_events(events, stop=stop, names=names) if events else (),
        start_time=None if moment is None else pd.Timestamp(moment),
    )
