"""Sensor faults put into windows, to find out how a model copes with them."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from skemo._checks import is_number
from skemo.kernels.corruption import add_motion, add_noise, hold, other_windows, saturate
from skemo.signals.array import SignalArray
from skemo.signals.checks import signal_columns

KINDS = ("stale", "dropout", "flat", "motion", "saturation", "noise")
_WITH_RATIO = ("motion", "noise")
_RELIABILITY = "_reliability"  # suffix of the name of a column
_WITHOUT_TIME = ("stale", "dropout")  # also possible for signals without a sampling rate


def corrupt(
    windows: pd.DataFrame,
    kind: Literal["stale", "dropout", "flat", "motion", "saturation", "noise"],
    probability: float,
    random_state: int | np.random.Generator | None = None,
    *,
    modalities: Sequence[str] | None = None,
    snr: float = 0.0,
    by: str = "subject",
    reliability: bool = False,
) -> pd.DataFrame:
    """Put sensor faults into windows, independently for each modality.

    Models are compared on recordings made with care, but devices lose contact and packets. Faults
    that are added on purpose show what a model does then, and whether it uses what it is told about
    them.

    ================= =========================================================================
    kind              What a faulty window holds
    ================= =========================================================================
    ``"stale"``       another window of the same subject, as if packets came late: the signal
                      looks as it should, but belongs to another moment
    ``"dropout"``     nothing: NaN
    ``"flat"``        its first sample, held throughout
    ``"motion"``      the signal plus a movement between 0.5 and 8 Hz, which rises and falls
    ``"saturation"``  the signal clipped at its quartiles, so that half of it lies at a limit
    ``"noise"``       the signal plus white noise
    ================= =========================================================================

    Parameters
    ----------
    windows : DataFrame
        From `segment`, with signal columns; it is not modified.
    kind : {"stale", "dropout", "flat", "motion", "saturation", "noise"}
        The fault.
    probability : float
        Probability, from 0 to 1, that a modality of a window is corrupted, independently of the
        others. With the same seed, a higher probability corrupts the same windows and more.
    random_state : int, numpy.random.Generator or None, default=None
        Seed. Each modality has its own random stream.
    modalities : sequence of str, default=None
        The signal columns to corrupt; None means all of them.
    snr : float, default=0.0
        For "motion" and "noise": signal-to-noise ratio in decibels, from the variances over time
        within each window.
    by : str, default="subject"
        For "stale": the column with the subject of each window.
    reliability : bool, default=False
        Whether to add a signal column ``<modality>_reliability`` for each corrupted modality: 0 in
        windows that were corrupted, and 1 in the others. A device that counts its packets would
        know this; see the parameter `quality` of the networks.

    Returns
    -------
    DataFrame
        A copy of `windows` with n_windows rows and the same index; labels and all other columns
        are unchanged. ``attrs["corruption"]`` lists what was done; `compare` adds it to each of its
        tables.

    Raises
    ------
    TypeError
        If `windows` is not a DataFrame.
    ValueError
        If a parameter is not as described, there are no signal columns, a signal has no sampling
        rate and the fault needs one, or for "stale" a subject has only one window.

    Notes
    -----
    If a signal is missing (NaN) in a window, it stays missing there, and the window is not used as
    a replacement for another. A replacement may come from the other side of a split within
    subjects: use ``"stale"`` only with protocols that leave out people.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import SignalArray, corrupt, signal_frame
    >>> eda = SignalArray(np.arange(8.0).reshape(4, 1, 2), sampling_rate=4)
    >>> windows = signal_frame(eda=eda, subject=["a", "a", "a", "a"])
    >>> faulty = corrupt(windows, "dropout", 0.5, random_state=0, reliability=True)
    >>> faulty["eda"].isna().tolist()
    [False, True, False, True]
    >>> np.asarray(faulty["eda_reliability"]).ravel().tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    columns = _check(windows, kind, probability, modalities, snr)
    streams = np.random.default_rng(random_state).spawn(len(columns))
    changed = windows.copy()
    for name, rng in zip(columns, streams, strict=True):
        if modalities is not None and name not in modalities:
            continue
        signal = windows[name].array
        is_hit = rng.random(len(windows)) < probability
        is_hit &= ~signal.isna()
        values = signal.values.copy()
        values[is_hit] = _with_fault(windows, signal, name, is_hit, kind, snr, by, rng)
        changed[name] = SignalArray(
            values, sampling_rate=signal.dtype.sampling_rate, channels=signal.dtype.channels
        )
        if reliability:
            trusted = np.where(is_hit, 0, 1).astype(np.float32)
            changed[f"{name}{_RELIABILITY}"] = SignalArray(trusted[:, np.newaxis, np.newaxis])
    done: dict[str, Any] = {"kind": kind, "probability": float(probability)}
    done["modalities"] = [name for name in columns if modalities is None or name in modalities]
    if kind in _WITH_RATIO:
        done["snr"] = float(snr)
    changed.attrs["corruption"] = [*windows.attrs.get("corruption", []), done]
    return changed


def _check(windows, kind, probability, modalities, snr):
    """Check the arguments, and return the names of all signal columns."""
    if not isinstance(windows, pd.DataFrame):
        raise TypeError(f"corrupt takes a table of windows, got {type(windows).__name__}.")
    columns = [name for name in signal_columns(windows) if not str(name).endswith(_RELIABILITY)]
    if not columns:
        raise ValueError(f"The table has no signal columns, only {[*map(str, windows)]}.")
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}.")
    if not is_number(probability) or not 0 <= probability <= 1:
        raise ValueError(f"probability must be from 0 to 1, got {probability!r}.")
    if not is_number(snr) or not np.isfinite(snr):
        raise ValueError(f"snr must be a number of decibels, got {snr!r}.")
    if isinstance(modalities, str):
        raise ValueError(f"modalities must be a list of names, got {modalities!r}.")
    chosen = columns if modalities is None else list(modalities)
    for name in chosen:
        if name not in columns:
            raise ValueError(f"modalities has {name!r}, but the signal columns are {columns}.")
        if kind not in _WITHOUT_TIME and windows[name].dtype.sampling_rate is None:
            raise ValueError(
                f"{name!r} has no sampling rate, and {kind!r} is a fault of a signal over time. "
                "Name other modalities, or corrupt the windows before features are computed."
            )
    return columns


def _with_fault(windows, signal, name, is_hit, kind, snr, by, rng):
    """Return the corrupted samples of the windows that are hit."""
    if kind == "dropout":
        return np.nan
    if kind == "stale":
        return signal.values[_other_moments(windows, signal, name, by, rng)[is_hit]]
    values = signal.values[is_hit]
    if kind == "flat":
        return hold(values)
    if kind == "saturation":
        return saturate(values)
    if kind == "noise":
        return add_noise(values, snr, rng)
    return add_motion(values, signal.dtype.sampling_rate, snr, rng)


def _other_moments(windows, signal, name, by, rng):
    """Return, for each window, the position of another one of the subject that has the signal."""
    if by not in windows:
        raise ValueError(f"by={by!r} is not a column of the table: {[*map(str, windows)]}.")
    rows = np.flatnonzero(~signal.isna())
    subjects = pd.factorize(windows[by])[0][rows]
    others = other_windows(subjects, rng)
    alone = np.flatnonzero(others == np.arange(len(others)))
    if len(alone):
        subject = windows[by].iloc[rows[alone[0]]]
        raise ValueError(
            f"A stale window is replaced by another one of the same subject, but {by} {subject!r} "
            f"has only one window of {name!r}."
        )
    positions = np.arange(len(windows))
    positions[rows] = rows[others]
    return positions


def describe_corruption(done: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line of text for each entry of ``attrs["corruption"]``.

    Parameters
    ----------
    done : sequence of dict
        The entries.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from skemo.features.corruption import describe_corruption
    >>> describe_corruption([{"kind": "stale", "probability": 0.35, "modalities": ["ecg", "eda"]}])
    ['stale, with probability 0.35 for each window of ecg, eda']
    """
    return [
        f"{one['kind']}{' at {:g} dB'.format(one['snr']) if 'snr' in one else ''}, with "
        f"probability {one['probability']:g} for each window of {', '.join(one['modalities'])}"
        for one in done
    ]
