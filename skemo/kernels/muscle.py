"""Amplitude and bursts of muscle activity (EMG), in many windows at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skemo.kernels.filters import LARGEST_GAP_SHARE, block_means, fill_gaps, zero_phase

FEATURES = {
    "amplitude": ("EMG_RMS", "EMG_MAV", "EMG_Amplitude_SD", "EMG_Amplitude_Max"),
    "bursts": (
        "EMG_Activation_N",
        "EMG_Activation_Share",
        "EMG_Activation_Duration",
        "EMG_Amplitude_Mean",
    ),
}
_ENVELOPE_RATE = 40  # Hz, or nearly so
_N_SMOOTHED = 5  # values of the envelope, an eighth of a second
_PADDED = 0.5  # s, by which a window is continued at its ends
_SHORTEST = 0.5  # s, of a window
_REST = 0.2  # quantile of the envelope that is the muscle at rest; so much must not be flat
_JOINED = 0.2  # s, of a pause that does not end a burst
_SHORTEST_BURST = 0.1  # s
_CHUNK = 1 << 18  # samples looked at together


def emg_envelope(
    emg: ArrayLike, sampling_rate: float, highpass: float = 100.0
) -> tuple[NDArray, float]:
    """Amplitude of the EMG over time.

    The signal is filtered without phase shift by a Butterworth high-pass of fourth order;
    the envelope is the root mean square over an eighth of a second, about 40 times a second.

    Parameters
    ----------
    emg : array of shape (n_windows, n_times)
        In any unit. NaN is bridged by straight lines where it is up to 5 % of a window.
    sampling_rate : float
        In hertz, over twice `highpass`.
    highpass : float, default=100.0
        In hertz. 100, as in NeuroKit2, leaves half of the EMG's power, and nothing of moving
        electrodes, of the heart, whose QRS complexes would be bursts at the shoulder, and of
        mains hum. Signals sampled at 200 Hz or less need a lower one; 20 is usual.

    Returns
    -------
    envelope : ndarray of shape (n_windows, n_blocks)
        In the unit of `emg`. NaN throughout where there is nothing to see: the window is
        shorter than 0.5 s, more of it is NaN, or it is flat for a fifth or more.
    rate : float
        Values of the envelope a second.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.muscle import emg_envelope
    >>> envelope, rate = emg_envelope(np.sin(2 * np.pi * 240 * np.arange(1000) / 1000)[None], 1000)
    >>> rate, envelope[0, ::10].round(2)
    (40.0, array([0.71, 0.71, 0.71, 0.71]))
    """
    emg = np.asarray(emg)
    squares, _, rate, usable = _filtered_blocks(emg, sampling_rate, highpass)
    envelope = np.full((len(emg), squares.shape[1]), np.nan)
    envelope[usable] = _smooth(squares)
    return envelope, rate


def _filtered_blocks(emg, sampling_rate, highpass):
    """Mean square and mean magnitude in blocks, their rate, and which rows can be used."""
    if emg.ndim != 2:
        raise ValueError(f"Windows are (n_windows, n_times), got {emg.shape}.")
    check_rate(sampling_rate, highpass)
    n_times = emg.shape[1]
    n_block = max(1, round(sampling_rate / _ENVELOPE_RATE))
    rate = sampling_rate / n_block
    usable = np.flatnonzero(np.isnan(emg).sum(axis=1) <= LARGEST_GAP_SHARE * n_times)
    empty = np.empty((0, n_times // n_block))
    if not n_times or n_times < _SHORTEST * sampling_rate:
        return empty, empty, rate, usable[:0]
    windows = fill_gaps(emg[usable].astype(float))
    still = np.ptp(_quarters(windows, sampling_rate), axis=2) == 0
    usable, windows = (each[still.mean(axis=1) < _REST] for each in (usable, windows))
    if not len(usable):
        return empty, empty, rate, usable
    largest = np.abs(windows).max(axis=1)
    windows -= windows[:, :1].copy()  # so that a flat window is exactly 0
    n_padded = min(round(_PADDED * sampling_rate), n_times - 1)
    (filtered,) = zero_phase(windows, [(4, highpass, "highpass")], sampling_rate, n_padded)
    squares, magnitudes = (block_means(each, n_block) for each in (filtered**2, np.abs(filtered)))
    rounding = 16 * np.finfo(np.result_type(emg.dtype, np.float32)).eps * largest
    seen = np.sqrt(np.quantile(squares, _REST, axis=1)) > rounding
    return squares[seen], magnitudes[seen], rate, usable[seen]


def _quarters(windows, sampling_rate):
    """Windows by quarters of a second, (n_windows, n_quarters, n_times)."""
    n_block = max(2, round(sampling_rate / 4))
    n_quarters = windows.shape[1] // n_block
    return windows[:, : n_quarters * n_block].reshape(len(windows), n_quarters, n_block)


def _smooth(squares):
    """Root of the mean of the values around, of fewer at the edges."""
    total = np.pad(np.cumsum(squares, axis=1), ((0, 0), (1, 0)))
    n = squares.shape[1]
    reach = _N_SMOOTHED // 2
    first, stop = (np.clip(np.arange(n) + step, 0, n) for step in (-reach, reach + 1))
    around = np.take(total, stop, axis=1) - np.take(total, first, axis=1)
    return np.sqrt(np.maximum(around, 0) / (stop - first))


def check_rate(sampling_rate: float, highpass: float) -> None:
    """Raise where the EMG's band cannot be seen at the sampling rate."""
    if not sampling_rate > 2 * highpass:
        raise ValueError(
            f"At a sampling rate of {sampling_rate:g} Hz nothing is left of the EMG above "
            f"highpass={highpass:g} Hz: more than {2 * highpass:g} Hz are needed. Pass a lower "
            "highpass, as 20."
        )


def muscle_bursts(envelope: ArrayLike, rate: float, min_ratio: float = 3.0) -> dict[str, NDArray]:
    """Bursts of muscle activity: where the envelope is several times what it is at rest.

    Rest is the 20 % quantile of the window's envelope. Pauses of under 0.2 s do not end a
    burst, and what lasts for less than 0.1 s is none. A muscle that is tense throughout the
    window has no bursts.

    Parameters
    ----------
    envelope : array of shape (n_windows, n_blocks)
        As :func:`emg_envelope` gives it.
    rate : float
        Its values a second.
    min_ratio : float, default=3.0
        What a burst must exceed, in units of the envelope at rest.

    Returns
    -------
    dict of str to ndarray of shape (n_bursts,)
        The bursts of all windows, in order: ``window``, its row; ``onset`` and ``offset``, in
        seconds from the start of the window; ``amplitude``, the mean of the envelope in it.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.muscle import muscle_bursts
    >>> envelope = np.ones(400)
    >>> envelope[120:200] = 10
    >>> bursts = muscle_bursts(envelope[np.newaxis], 40)
    >>> float(bursts["onset"][0]), float(bursts["offset"][0]), float(bursts["amplitude"][0])
    (3.0, 5.0, 10.0)
    """
    envelope = np.asarray(envelope, float)
    rest = np.quantile(envelope, _REST, axis=1, keepdims=True)
    active = np.pad(envelope > min_ratio * rest, ((0, 0), (1, 1)))
    change = np.diff(active.astype(np.int8), axis=1)
    rows, onsets = np.nonzero(change == 1)
    _, offsets = np.nonzero(change == -1)
    if len(rows):
        parted = (np.diff(rows) > 0) | (onsets[1:] - offsets[:-1] >= _JOINED * rate)
        rows, onsets = (each[np.append(True, parted)] for each in (rows, onsets))
        offsets = offsets[np.append(parted, True)]
    long = offsets - onsets >= _SHORTEST_BURST * rate
    rows, onsets, offsets = rows[long], onsets[long], offsets[long]
    total = np.pad(np.cumsum(envelope, axis=1), ((0, 0), (1, 0)))
    amplitude = (total[rows, offsets] - total[rows, onsets]) / np.maximum(offsets - onsets, 1)
    return {
        "window": rows,
        "onset": onsets / rate,
        "offset": offsets / rate,
        "amplitude": amplitude,
    }


def muscle_features(
    emg: ArrayLike, sampling_rate: float, highpass: float = 100.0, min_ratio: float = 3.0
) -> dict[str, NDArray]:
    """Amplitude and bursts of the EMG.

    Parameters
    ----------
    emg : array of shape (n_windows, n_times)
        In any unit. May be memory-mapped: a few windows at a time are read.
    sampling_rate : float
        In hertz, over twice `highpass`.
    highpass : float, default=100.0
        See :func:`emg_envelope`.
    min_ratio : float, default=3.0
        See :func:`muscle_bursts`.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)
        By the names of ``FEATURES``; :class:`skemo.EMGTransformer` has their formulas.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.muscle import muscle_features
    >>> noise = np.random.default_rng(0).normal(size=(1, 5000))
    >>> noise[:, 2000:3000] *= 20
    >>> muscle_features(noise, 1000)["EMG_Activation_N"]
    array([1.])
    """
    emg = np.asarray(emg)
    n_windows, n_times = emg.shape
    names = [name for group in FEATURES.values() for name in group]
    features = np.full((len(names), n_windows), np.nan)
    step = max(1, _CHUNK // max(1, n_times))
    for start in range(0, n_windows, step):
        chunk = emg[start : start + step]
        squares, magnitudes, rate, usable = _filtered_blocks(chunk, sampling_rate, highpass)
        if not len(usable):
            continue
        envelope = _smooth(squares)
        bursts = muscle_bursts(envelope, rate, min_ratio)
        n_bursts, lasting, amplitude = (
            np.bincount(bursts["window"], weights, len(usable)).astype(float)
            for weights in (
                None,
                bursts["offset"] - bursts["onset"],
                bursts["amplitude"] * (bursts["offset"] - bursts["onset"]),
            )
        )
        some = np.where(n_bursts > 0, n_bursts, np.nan)
        features[:, start + usable] = (
            np.sqrt(squares.mean(axis=1)),
            magnitudes.mean(axis=1),
            envelope.std(axis=1),
            envelope.max(axis=1),
            n_bursts,
            lasting / (envelope.shape[1] / rate),
            lasting / some,
            amplitude / np.where(n_bursts > 0, lasting, np.nan),
        )
    return dict(zip(names, features, strict=True))
