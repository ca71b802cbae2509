"""Heartbeats found by the detectors of NeuroKit2, one window after another."""

import warnings
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from skemo._warnings import ignored_warnings
from skemo.kernels.filters import fill_gaps

DETECTORS = {
    "ecg": (
        "neurokit",
        "pantompkins1985",
        "hamilton2002",
        "elgendi2010",
        "engzeemod2012",
        "emrich2023",
        "gamboa2008",
        "christov2004",
        "slopesumfunction",
        "zong2003",
        "kalidas2017",
        "khamis2016",
        "manikandan2012",
        "martinez2004",
        "nabian2018",
        "rodrigues2021",
        "promac",
    ),
    "ppg": ("elgendi", "bishop", "charlton"),
}
# NeuroKit2 has no cleaning named for these detectors.
_CLEANED_BY_DEFAULT = (
    "khamis2016",
    "manikandan2012",
    "martinez2004",
    "nabian2018",
    "rodrigues2021",
    "promac",
)
_NEEDED = {"emrich2023": "ts2vg"}
_AROUND = 0.4  # s around a stretch of beats in which those of NeuroKit2 are used
_UNSEEN = 3.0  # s without beats that are not passed to a detector of NeuroKit2


def check_installed(method: str) -> None:
    """Raise ImportError with the missing package if a detector of NeuroKit2 cannot run."""
    if find_spec("neurokit2") is None:
        raise ImportError(
            f"method={method!r} is a detector of NeuroKit2, which is not installed: "
            'pip install "skemo[neurokit2]", or use method="skemo".'
        )
    needed = _NEEDED.get(method)
    if needed is not None and find_spec(needed) is None:
        raise ImportError(
            f"method={method!r} needs the package {needed}, which is not installed: "
            f'pip install {needed}, or use method="skemo".'
        )


def neurokit_beats(
    windows: NDArray,
    seen: NDArray,
    upside_down: NDArray,
    sampling_rate: float,
    *,
    method: str,
    signal: str,
) -> NDArray:
    """Beat times found by a detector of NeuroKit2, in stretches in which skemo sees beats.

    Parameters
    ----------
    windows : array of shape (n_windows, n_times)
        In their original unit.
    seen : array of shape (n_windows, max_beats)
        Beats that skemo finds, with NaN for breaks. Windows without any are skipped.
    upside_down : bool array of shape (n_windows,)
        Which windows to turn the right way up.
    sampling_rate : float
    method : str
    signal : {"ecg", "ppg"}

    Returns
    -------
    ndarray of shape (n_windows, max_beats)
        In the form of `seen`.
    """
    check_installed(method)
    beats = np.full(seen.shape, np.nan)
    failures: list[str] = []
    duration = windows.shape[1] / sampling_rate
    for row in np.flatnonzero(~np.isnan(seen).all(axis=1)):
        window = fill_gaps(windows[row : row + 1].astype(float))[0]
        if upside_down[row]:
            window = -window
        found = []
        for begin, end in _visible(seen[row][~np.isnan(seen[row])], duration):
            first = round(begin * sampling_rate)
            part = window[first : round(end * sampling_rate)]
            try:
                times = _detect(part - part.mean(), sampling_rate, method, signal)
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                failures.append(f"{type(error).__name__}: {error}")
                continue
            found.append(times + first / sampling_rate)
        if found:
            _write_beats(beats[row], np.concatenate(found), seen[row])
    if failures:
        warnings.warn(
            f"method={method!r} raised an error for some windows, or parts of windows, which are "
            "missing. The first was "
            f"{failures[0]}",
            stacklevel=3,
        )
    return beats


def _visible(times, duration):
    """Begin and end of the parts of a window in which there are beats, in seconds.

    A detector is not given a long stretch without beats, in which it might adapt to noise.
    """
    breaks = np.flatnonzero(np.diff(times) > _UNSEEN)
    begins = times[np.append(0, breaks + 1)] - _AROUND
    ends = times[np.append(breaks, -1)] + _AROUND
    begins[0] = 0.0 if times[0] < _UNSEEN else begins[0]
    ends[-1] = duration if times[-1] > duration - _UNSEEN else ends[-1]
    return zip(begins, ends, strict=True)


def _detect(window, sampling_rate, method, signal):
    import neurokit2 as nk

    rate = int(sampling_rate) if sampling_rate == int(sampling_rate) else sampling_rate
    with ignored_warnings():
        if signal == "ecg":
            # NeuroKit2 has a cleaning of its own only for some methods.
            cleaning = "neurokit" if method in _CLEANED_BY_DEFAULT else method
            clean = nk.ecg_clean(window, sampling_rate=rate, method=cleaning)
            peaks = nk.ecg_peaks(clean, sampling_rate=rate, method=method)[1]["ECG_R_Peaks"]
        else:
            clean = nk.ppg_clean(window, sampling_rate=rate)
            peaks = nk.ppg_findpeaks(clean, sampling_rate=rate, method=method)["PPG_Peaks"]
    peaks = np.asarray(peaks, float)
    return np.unique(peaks[np.isfinite(peaks)]) / sampling_rate


def _write_beats(row, times, seen):
    """Write the beats that lie in the stretches of `seen`, with NaN between these stretches."""
    filled = np.flatnonzero(~np.isnan(seen))
    first = np.append(True, np.diff(filled) > 1)
    last = np.append(first[1:], True)
    place = 0
    for begin, end in zip(seen[filled[first]], seen[filled[last]], strict=True):
        inside = times[(times > begin - _AROUND) & (times < end + _AROUND)]
        # Stretches may be so close that a beat belongs to both.
        inside = inside[inside > np.nanmax(row[:place], initial=-np.inf)]
        start = place + 1 if place and len(inside) else place
        inside = inside[: max(0, len(row) - start)]
        row[start : start + len(inside)] = inside
        place = start + len(inside) if len(inside) else place
