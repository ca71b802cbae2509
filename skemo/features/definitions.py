"""Units and definitions of the features, and tables of features in BIDS format."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from skemo._checks import is_number, native_columns
from skemo._files import write_whole
from skemo.signals.array import SignalDtype

_BANDS = "theta|alpha|beta|gamma|delta"
_MS, _MS2, _PERCENT = "ms", "ms^2", "%"
_DEFINITIONS: dict[str, tuple[str | None, str]] = {
    "HRV_MeanNN": (_MS, "Mean of the RR intervals"),
    "HRV_SDNN": (_MS, "Standard deviation of the RR intervals, divisor n - 1"),
    "HRV_RMSSD": (_MS, "Root mean square of the differences of successive RR intervals"),
    "HRV_SDSD": (_MS, "Standard deviation of the differences of successive RR intervals"),
    "HRV_CVNN": (None, "HRV_SDNN divided by HRV_MeanNN"),
    "HRV_CVSD": (None, "HRV_RMSSD divided by HRV_MeanNN"),
    "HRV_MedianNN": (_MS, "Median of the RR intervals"),
    "HRV_MadNN": (_MS, "Median absolute deviation of the RR intervals times 1.4826"),
    "HRV_MCVNN": (None, "HRV_MadNN divided by HRV_MedianNN"),
    "HRV_IQRNN": (_MS, "Interquartile range of the RR intervals"),
    "HRV_SDRMSSD": (None, "HRV_SDNN divided by HRV_RMSSD"),
    "HRV_Prc20NN": (_MS, "20 % quantile of the RR intervals"),
    "HRV_Prc80NN": (_MS, "80 % quantile of the RR intervals"),
    "HRV_pNN50": (_PERCENT, "Share of differences of successive RR intervals above 50 ms"),
    "HRV_pNN20": (_PERCENT, "Share of differences of successive RR intervals above 20 ms"),
    "HRV_MinNN": (_MS, "Shortest RR interval"),
    "HRV_MaxNN": (_MS, "Longest RR interval"),
    "HRV_VLF": (_MS2, "Power of the RR intervals from 0.0033 to 0.04 Hz"),
    "HRV_LF": (_MS2, "Power of the RR intervals from 0.04 to 0.15 Hz"),
    "HRV_HF": (_MS2, "Power of the RR intervals from 0.15 to 0.4 Hz"),
    "HRV_TP": (_MS2, "Power of the RR intervals from 0 to 0.5 Hz"),
    "HRV_LFHF": (None, "HRV_LF divided by HRV_HF"),
    "HRV_LFn": (None, "HRV_LF divided by HRV_TP"),
    "HRV_HFn": (None, "HRV_HF divided by HRV_TP"),
    "HRV_LnHF": (None, "Natural logarithm of HRV_HF"),
    "HRV_SD1": (_MS, "Standard deviation across the diagonal of the Poincaré plot"),
    "HRV_SD2": (_MS, "Standard deviation along the diagonal of the Poincaré plot"),
    "HRV_SD1SD2": (None, "HRV_SD1 divided by HRV_SD2"),
    "HRV_S": (_MS2, "Area of the ellipse with HRV_SD1 and HRV_SD2 as half-axes"),
    "HRV_CSI": (None, "Cardiac sympathetic index: HRV_SD2 divided by HRV_SD1"),
    "HRV_CVI": (None, "Cardiac vagal index: log10(16 HRV_SD1 HRV_SD2)"),
    "HRV_CSI_Modified": (_MS, "4 HRV_SD2^2 / HRV_SD1"),
    "HRV_SampEn": (None, "Sample entropy of the RR intervals, dimension 2, tolerance 0.2 SD"),
    "EDA_Mean": ("µS", "Mean skin conductance"),
    "EDA_SD": ("µS", "Standard deviation of the skin conductance, divisor n"),
    "EDA_Min": ("µS", "Lowest skin conductance"),
    "EDA_Max": ("µS", "Highest skin conductance"),
    "EDA_Slope": ("µS/s", "Slope of the least-squares line through the skin conductance"),
    "EDA_Autocorrelation": (None, "Correlation of the skin conductance with itself 4 s later"),
    "EDA_Tonic_Mean": ("µS", "Mean of the tonic skin conductance"),
    "EDA_Tonic_SD": ("µS", "Standard deviation of the tonic skin conductance, divisor n"),
    "EDA_Tonic_Slope": ("µS/s", "Slope of the least-squares line through the tonic part"),
    "EDA_Phasic_SD": ("µS", "Standard deviation of the phasic skin conductance, divisor n"),
    "EDA_Phasic_AUC": ("µS s", "Area between the phasic skin conductance and zero"),
    "SCR_Peaks_N": (None, "Number of skin-conductance responses"),
    "SCR_Peaks_Amplitude_Mean": ("µS", "Mean amplitude of the responses, from onset to peak"),
    "SCR_Peaks_Amplitude_Max": ("µS", "Largest amplitude of a response"),
    "SCR_Peaks_Amplitude_Sum": ("µS", "Sum of the amplitudes of the responses"),
    "SCR_RiseTime_Mean": ("s", "Mean time of the responses from onset to peak"),
    "SCR_RecoveryTime_Mean": ("s", "Mean time of the responses from peak to half the amplitude"),
    "RSP_Rate_Mean": ("1/min", "60,000 divided by the mean duration of a breath in ms"),
    "RRV_MeanBB": (_MS, "Mean duration of the breaths, from trough to trough"),
    "RRV_SDBB": (_MS, "Standard deviation of the durations of the breaths, divisor n - 1"),
    "RRV_RMSSD": (_MS, "Root mean square of the differences of successive durations"),
    "RRV_SDSD": (_MS, "Standard deviation of the differences of successive durations"),
    "RRV_CVBB": (None, "RRV_SDBB divided by RRV_MeanBB"),
    "RRV_CVSD": (None, "RRV_RMSSD divided by RRV_MeanBB"),
    "RRV_MedianBB": (_MS, "Median duration of the breaths"),
    "RRV_MadBB": (_MS, "Median absolute deviation of the durations times 1.4826"),
    "RRV_MCVBB": (None, "RRV_MadBB divided by RRV_MedianBB"),
    "RAV_Mean": (None, "Mean height of the breaths, in the unit of the signal"),
    "RAV_SD": (None, "Standard deviation of the heights of the breaths, divisor n - 1"),
    "RAV_RMSSD": (None, "Root mean square of the differences of successive heights"),
    "RAV_CVSD": (None, "RAV_RMSSD divided by RAV_Mean"),
    "RSP_Phase_Duration_Inspiration": ("s", "Mean time from trough to peak of a breath"),
    "RSP_Phase_Duration_Expiration": ("s", "Mean time from peak to trough of a breath"),
    "RSP_Phase_Duration_Ratio": (None, "Duration of inspiration divided by that of expiration"),
    "TEMP_Mean": ("°C", "Mean temperature"),
    "TEMP_SD": ("°C", "Standard deviation of the temperature, divisor n"),
    "TEMP_Min": ("°C", "Lowest temperature"),
    "TEMP_Max": ("°C", "Highest temperature"),
    "TEMP_Slope": ("°C/s", "Slope of the least-squares line through the temperature"),
    "ACC_Magnitude_Mean": ("g", "Mean length of the acceleration vector"),
    "ACC_Magnitude_SD": ("g", "Standard deviation of the length of the acceleration vector"),
    "ACC_Magnitude_Max": ("g", "Largest length of the acceleration vector"),
    "ACC_Activity": ("g", "Mean over seconds of the standard deviation over all axes"),
    "ACC_Activity_Max": ("g", "Largest standard deviation over all axes in a second"),
    "ACC_MAD": ("g", "Mean absolute deviation of the length of the vector from its mean"),
    "ACC_ENMO": ("g", "Mean of the length of the vector - 1 g, negative values as 0"),
    "ACC_Motion_Share": (None, "Share of seconds with motion"),
    "EMG_RMS": (None, "Root mean square, in the unit of the signal"),
    "EMG_MAV": (None, "Mean of the magnitude, in the unit of the signal"),
    "EMG_Amplitude_SD": (None, "Standard deviation of the envelope, in the unit of the signal"),
    "EMG_Amplitude_Max": (None, "Largest value of the envelope, in the unit of the signal"),
    "EMG_Activation_N": (None, "Number of bursts"),
    "EMG_Activation_Share": (None, "Share of the window in bursts"),
    "EMG_Activation_Duration": ("s", "Mean duration of the bursts"),
    "EMG_Amplitude_Mean": (None, "Mean of the envelope in bursts, in the unit of the signal"),
}
_QUALITIES = {
    "Likeness": "Likeness of each beat to the beats around it, from 0 to 1",
    "Coverage": "Share of the window between beats that follow each other",
    "BeatAgreement": "F1 score of the beats against those of a second detector",
    "RMSSDAgreement": "Smaller RMSSD of two detectors divided by the larger",
    "QRSPower": "Power at 5 to 15 Hz relative to 5 to 40 Hz",
    "PulsePower": "Power at 1 to 2.25 Hz relative to below 8 Hz",
    "BaselinePower": "Power of the wandering baseline relative to that of the whole band",
    "Flat": "Share of the window in runs of one value",
    "Clipped": "Share of the window at the limits of the device",
    "Missing": "Share of the window that is NaN",
    "OffSkin": "Share of the window with electrodes off the skin",
    "Step": "Share of the window near a change that is too fast for skin",
    "Amplitude": "1 if the channel varies as the others do, falling to 0",
    "Steadiness": "1 if no second varies far more than the others, falling to 0",
    "Muscle": "Power at 30 to 100 Hz relative to 1 to 100 Hz",
    "Mains": "Power near 50 or 60 Hz relative to 1 to 100 Hz",
    "Motion": "Extent of movement, from 0 to 1",
    "Quality": "Quality of the window, from 0 to 1",
}


def feature_definitions(names: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the units and definitions of features, for a paper or a data sheet.

    Parameters
    ----------
    names : sequence of str, default=None
        Names of features, such as the columns of a table. Those that skemo does not know are
        left out. None returns all features that do not depend on the names of channels.

    Returns
    -------
    DataFrame
        The columns ``unit`` (None if there is none) and ``definition``, indexed by name.

    Examples
    --------
    >>> import skemo
    >>> skemo.feature_definitions(["HRV_RMSSD", "alpha_Fz"])["definition"].tolist()
    ['Root mean square of the differences of successive RR intervals', \
'Differential entropy of the alpha band, Fz']
    """
    if isinstance(names, str) or not (names is None or isinstance(names, Iterable)):
        raise ValueError(f"names must be a list of names of features, got {names!r}.")
    found = {}
    for name in _DEFINITIONS if names is None else names:
        definition = _define(str(name))
        if definition is not None:
            found[name] = definition
    columns = ["unit", "definition"]
    return pd.DataFrame.from_dict(found, orient="index", columns=columns, dtype=object)


def _define(name):
    """Return the unit and definition of a feature, or None."""
    if name in _DEFINITIONS:
        return _DEFINITIONS[name]
    band = re.fullmatch(rf"({_BANDS})_(.+)", name)
    if band:
        return "nat", f"Differential entropy of the {band[1]} band, {band[2]}"
    quality = re.fullmatch(rf"(?:ECG|PPG|EDA|EEG|ACC)_({'|'.join(_QUALITIES)})(?:_(.+))?", name)
    if quality:
        return None, _QUALITIES[quality[1]] + (f", {quality[2]}" if quality[2] else "")
    of_channel = [known for known in _DEFINITIONS if name.startswith(f"{known}_")]
    if of_channel:
        known = max(of_channel, key=len)
        unit, text = _DEFINITIONS[known]
        return unit, f"{text}, {name[len(known) + 1 :]}"
    return None


def write_bids_features(
    folder: str | PathLike[str],
    features: pd.DataFrame,
    windows: pd.DataFrame,
    *,
    duration: float | None = None,
    definitions: Mapping[str, Mapping[str, Any]] | None = None,
    name: str = "Features",
) -> list[Path]:
    """Write a table of features as a BIDS derivative.

    Each subject has a file ``sub-<subject>/sub-<subject>_features.tsv`` with one row per window:
    its onset and duration in seconds, trial and label, then the features. The file
    ``features.json`` in the folder describes all columns, with the units and definitions of the
    features of skemo, and ``dataset_description.json`` says what computed them.

    Parameters
    ----------
    folder : str or path
        Where to write; created if missing. Files of the same names are replaced.
    features : DataFrame of n_windows rows
        Columns of numbers, with the index of `windows`. A column ``subject`` is left out.
    windows : DataFrame of n_windows rows
        The table that `segment` returned, with at least the column ``subject``.
    duration : float, default=None
        Length of the windows in seconds. None takes it from `windows`.
    definitions : mapping of str to mapping, default=None
        Descriptions of features that skemo does not know, or should describe differently, such
        as ``{"age": {"Description": "Age", "Units": "year"}}``.
    name : str, default="Features"
        Name of the data set.

    Returns
    -------
    list of pathlib.Path
        The files with the features.

    Raises
    ------
    ValueError
        If one of them is not a table, their indices differ, a feature is not numeric, or two
        subjects have the same BIDS label.

    Notes
    -----
    BIDS allows only letters and digits in the label of a subject; others are removed.

    Features are described by their names, so the units are those of features as the
    transformers return them. `PerSubject` keeps the names: describe standardised features with
    `definitions`.

    References
    ----------
    https://bids-specification.readthedocs.io/en/stable/derivatives/introduction.html

    Examples
    --------
    >>> import skemo
    >>> skemo.write_bids_features("derivatives/skemo", features, windows)  # doctest: +SKIP
    """
    for what, given in (("features", features), ("windows", windows)):
        if not isinstance(given, pd.DataFrame):
            raise ValueError(f"{what} must be a DataFrame, got {type(given).__name__}.")
    if "subject" not in windows or len(features) != len(windows):
        raise ValueError(
            f"windows must be the table from segment that the features were computed from, with "
            f"the column 'subject' and {len(features)} rows, but it has {len(windows)} rows and "
            f"the columns {list(windows)}."
        )
    if not features.index.equals(windows.index):
        raise ValueError(
            "features and windows must have the same index, in the same order, or rows would get "
            "the subject and onset of others. Pass windows.loc[features.index] if the labels of "
            "the rows agree."
        )
    features = native_columns(features).drop(columns=["subject"], errors="ignore")
    unusable = [c for c in features if not pd.api.types.is_numeric_dtype(features[c])]
    if unusable:
        raise ValueError(f"features must be columns of numbers, but {unusable[0]!r} is not.")
    if duration is not None and not (is_number(duration) and 0 < duration < math.inf):
        raise ValueError(f"duration must be a positive number of seconds, got {duration!r}.")
    described = _check_definitions(definitions)
    if not isinstance(name, str):
        raise ValueError(f"name must be text, got {name!r}.")
    onset = windows["start"].to_numpy() if "start" in windows else None
    table = pd.DataFrame({"onset": onset}, index=range(len(windows)))
    table.insert(1, "duration", _duration(windows) if duration is None else duration)
    for column, title in (("trial", "trial"), ("label", "trial_type")):
        if column in windows:
            table[title] = windows[column].to_numpy()
    table = pd.concat([table, features.reset_index(drop=True)], axis=1)
    labels = {s: re.sub(r"[^0-9a-zA-Z]", "", str(s)) for s in windows["subject"].unique()}
    if len(set(labels.values())) < len(labels) or "" in labels.values():
        raise ValueError(
            f"The subjects {list(labels)} need different BIDS labels of letters and digits, but "
            f"would get {list(labels.values())}. Rename them."
        )
    folder = Path(folder).expanduser()
    about = {
        "onset": {"Description": "Start of the window in its recording", "Units": "s"},
        "duration": {"Description": "Length of the window", "Units": "s"},
        "trial": {"Description": "Recording from which the window was cut"},
        "trial_type": {"Description": "Label of the window"},
    }
    about = {column: text for column, text in about.items() if column in table}
    for column, unit, text in feature_definitions(list(features)).itertuples():
        about[column] = {"Description": text} | ({"Units": unit} if unit else {})
    about |= described
    _write_json(folder / "features.json", about)
    _write_json(
        folder / "dataset_description.json",
        {
            "Name": name,
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "skemo", "Version": _own_version()}],
        },
    )
    paths = []
    for subject, label in labels.items():
        path = folder / f"sub-{label}" / f"sub-{label}_features.tsv"
        rows = table[(windows["subject"] == subject).to_numpy()]
        write_whole(path, rows.to_csv(sep="\t", na_rep="n/a", index=False, lineterminator="\n"))
        paths.append(path)
    return paths


def _check_definitions(definitions):
    """Return the user's descriptions of features as a dict of dicts."""
    if definitions is None:
        return {}
    is_mapping = isinstance(definitions, Mapping)
    if not is_mapping or not all(isinstance(text, Mapping) for text in definitions.values()):
        raise ValueError(
            'definitions must be a dict such as {"age": {"Description": "Age", "Units": "year"}}, '
            f"got {definitions!r}."
        )
    described = {column: dict(text) for column, text in definitions.items()}
    try:
        json.dumps(described)
    except (TypeError, ValueError) as error:
        raise ValueError(f"definitions cannot be written as JSON: {error}.") from error
    return described


def _duration(windows):
    """Return the length of the windows in seconds, or None if it is unknown."""
    known = windows.attrs.get("segment", {}).get("duration")
    if known is not None:
        return known
    kinds = [kind for kind in windows.dtypes if isinstance(kind, SignalDtype)]
    return next((k.shape[-1] / k.sampling_rate for k in kinds if k.sampling_rate), None)


def _write_json(path, content):
    write_whole(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _own_version():
    try:
        return version("skemo")
    except PackageNotFoundError:
        return "unknown"
