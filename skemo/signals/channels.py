"""Modalities of channels, guessed from their names, and the usual units."""

import re
from collections.abc import Mapping, Sequence

# Electrodes of the 10-20 and 10-10 systems, without those at the ears and mastoids alone.
_ELECTRODE = r"(fp[12z]|(af|fc|cp|po|f|c|p)([1-9]|10|z)|(ft|tp)([7-9]|10)|t([3-9]|10)|o[12z]|iz)"
_REFERENCE = r"(ref|reference|avg|average|ar|le|re|[am][12]([+/]?[am][12])?)"
_MODALITIES = {  # modalities by pattern of lower-case channel names or types
    r"(ecg|ekg|mli{1,3}|mv[1-6]|v[1-6]|i{1,3}|av[rlf]|d[1-6])": "ecg",
    r"(ecg|ekg)(\d+[a-z]?)?\b.*": "ecg",  # ECG1, and modules such as ECG100C
    r"eeg(\d+[a-z]?)?\b.*": "eeg",
    rf"{_ELECTRODE}( ({_REFERENCE}|{_ELECTRODE}))?\.*": "eeg",  # C3, C3-A1, C3-REF, C3-P3, C3..
    r"eog(\d+[a-z]?)?\b.*": "eog",
    r"emg(\d+[a-z]?)?\b.*": "emg",
    r"(eda|gsr|scl?|skin conductance|electrodermal.*)(\d+[a-z]?)?\b.*": "eda",
    r"(ppg|bvp|pleth.*|pulse)(\d+[a-z]?)?\b.*": "ppg",
    r"(resp|respiration|rsp|breath.*|thor.*|abdo.*)(\d+[a-z]?)?\b.*": "resp",
    r"(temp|temperature|skt)(\d+[a-z]?)?\b.*": "temp",
    r"acc\b.*|accelerometer.*": "acc",
}
USUAL_UNITS = {"eeg": "µV", "eog": "µV", "ecg": "mV", "emg": "mV", "eda": "µS"}
_SPELLINGS = {
    **dict.fromkeys(("uv", "microv", "microvolt", "microvolts"), "µV"),
    **dict.fromkeys(("mv", "millivolt", "millivolts"), "mV"),
    **dict.fromkeys(("v", "volt", "volts"), "V"),
    **dict.fromkeys(("nv",), "nV"),
    **dict.fromkeys(("us", "microsiemens", "usiemens", "umho", "µmho", "microsiemen"), "µS"),
    **dict.fromkeys(("ms", "millisiemens"), "mS"),
    **dict.fromkeys(("s", "siemens"), "S"),
    **dict.fromkeys(("degc", "deg c", "c", "celsius", "degreec", "degrees celsius"), "°C"),
}
_SIZES = {"nV": 1e-9, "µV": 1e-6, "mV": 1e-3, "V": 1.0, "µS": 1e-6, "mS": 1e-3, "S": 1.0}


def modality_of(name: str) -> str:
    """Return the modality of a channel, or its name in lower case if unknown.

    Parameters
    ----------
    name : str
        A name or type, such as ``"EEG Fp1"``, ``"C3-A2"``, ``"MLII"`` or ``"GSR"``.

    Returns
    -------
    str

    Examples
    --------
    >>> from skemo.signals.channels import modality_of
    >>> [modality_of(name) for name in ("Fp1", "ECG1", "MLII", "GSR", "Trigger")]
    ['eeg', 'ecg', 'ecg', 'eda', 'trigger']
    """
    lower = name.strip().lower().replace("_", " ").replace("-", " ")
    for pattern, modality in _MODALITIES.items():
        if re.fullmatch(pattern, lower):
            return modality
    return lower.replace(" ", "_")


def to_usual_unit(modality: str, unit: str | None) -> tuple[float, str | None]:
    """Return the factor that converts to the usual unit of a modality, and that unit.

    EEG and EOG are in µV, ECG and EMG in mV, skin conductance in µS. Other modalities and
    other kinds of units are left unchanged.

    Parameters
    ----------
    modality : str
    unit : str or None

    Returns
    -------
    factor : float
    unit : str or None

    Examples
    --------
    >>> from skemo.signals.channels import to_usual_unit
    >>> to_usual_unit("ecg", "uV")
    (0.001, 'mV')
    """
    if not unit or not unit.strip():
        return 1.0, None
    unit = _usual_spelling(unit)
    usual = USUAL_UNITS.get(modality)
    if usual is None or unit not in _SIZES or unit[-1] != usual[-1]:
        return 1.0, unit
    return float(f"{_SIZES[unit] / _SIZES[usual]:.12g}"), usual


def unit_size(unit: str | None, base: str) -> float | None:
    """Return the size of a unit in volts or siemens, or None if it is not such a unit.

    Parameters
    ----------
    unit : str or None
    base : {"V", "S"}

    Returns
    -------
    float or None

    Examples
    --------
    >>> from skemo.signals.channels import unit_size
    >>> unit_size("uV", "V"), unit_size("°C", "V")
    (1e-06, None)
    """
    unit = _usual_spelling(unit or "")
    return _SIZES[unit] if unit in _SIZES and unit[-1] == base else None


def _usual_spelling(unit):
    unit = unit.strip().replace("μ", "µ")
    return unit if unit in _SIZES else _SPELLINGS.get(unit.lower().replace("µ", "u"), unit)


def group_channels(
    names: Sequence[str],
    modalities: Mapping[str, str | Sequence[str]] | None,
    *,
    kinds: Sequence[str] | None = None,
    where: str = "The recording",
) -> dict[str, list[int]]:
    """Return the positions of the channels of each modality.

    Parameters
    ----------
    names : sequence of str
        The names of all channels.
    modalities : mapping of str to str or sequence of str, or None
        Channel names, or a channel type, for each modality. None groups all channels by type.
    kinds : sequence of str, default=None
        The types of all channels; None guesses them from the names.
    where : str, default="The recording"
        Source of the channels, for error messages.

    Returns
    -------
    dict of str to list of int
    """
    kinds = [modality_of(name) for name in names] if kinds is None else list(kinds)
    groups: dict[str, list[int]] = {}
    if modalities is None:
        for i, kind in enumerate(kinds):
            groups.setdefault(kind, []).append(i)
        return groups
    for modality, wanted in modalities.items():
        if isinstance(wanted, str):
            found = [i for i, name in enumerate(names) if name == wanted]
            found = found or [i for i, kind in enumerate(kinds) if kind == wanted]
            absent = [] if found else [wanted]
        else:
            absent = [name for name in wanted if name not in names]
            found = [list(names).index(name) for name in wanted if name in names]
        if absent:
            raise ValueError(
                f"{where} has no channel {absent[0]!r} for {modality!r}; its channels are "
                f"{list(names)}, of the types {sorted(set(kinds))}."
            )
        groups[modality] = found
    return groups
