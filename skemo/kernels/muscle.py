"""Amplitude and bursts of muscle activity (EMG) in many windows at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skemo._checks import check_rate, is_number, is_positive, real_samples
from skemo.kernels.filters import block_means, fill_gaps, without_held_values, zero_phase

FEATURES = {
    "amplitude": ("EMG_RMS", "EMG_MAV", "EMG_Amplitude_SD", "EMG_Amplitude_Max"),
    "bursts": (
        "EMG_Activation_N",
        "EMG_Activation_Share",
        "EMG_Activation_Duration",
        "EMG_Amplitude_Mean",
    ),
}
_ENVELOPE_RATE = 40  # Hz, approximately
_N_SMOOTHED = 5  # values of the envelope, an eighth of a second
_PADDED = 0.5  # s, by which a window is extended at its ends
_SHORTEST = 0.5  # s, of a window
_REST = 0.2  # quantile of the envelope that is the muscle at rest
_HELD = 0.25  # s, of a constant value that counts as missing
_HIDDEN = 0.5  # largest share of a window that may be NaN or held
_JOINED = 0.2  # s, of a pause that ends a burst
_SHORTEST_BURST = 0.1  # s
_CHUNK = 1 << 18  # samples processed together


def emg_envelope(
    emg: ArrayLike, sampling_rate: float, highpass: float = 100.0
) -> tuple[NDArray, float]:
    """Amplitude of the EMG over time.

    The signal is filtered by a fourth-order Butterworth high-pass without phase shift. The
    envelope is the root mean square over an eighth of a second, about 40 times a second.

    Parameters
    ----------
    emg : array of shape (n_windows, n_times)
        In any unit.
    sampling_rate : float
        In hertz, over twice `highpass`.
    highpass : float, default=100.0
        Cutoff in hertz. 100, as in NeuroKit2, leaves half of the EMG's power. It removes mains
        hum, the movement of electrodes, and the heart, whose QRS complexes would be bursts at
        the shoulder. Signals sampled at 200 Hz or less need a lower cutoff; 20 is usual.

    Returns
    -------
    envelope : ndarray of shape (n_windows, n_blocks)
        In the unit of `emg`. NaN where samples are NaN, or are held at one value for a quarter
        of a second. NaN throughout if that is more than half of the window, or if the window is
        shorter than 0.5 s.
    rate : float
        Values of the envelope per second.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.muscle import emg_envelope
    >>> envelope, rate = emg_envelope(np.sin(2 * np.pi * 240 * np.arange(1000) / 1000)[None], 1000)
    >>> rate, envelope[0, ::10].round(2)
    (40.0, array([0.71, 0.71, 0.71, 0.71]))
    """
    emg = real_samples(emg, "emg", "(n_windows, n_times)", may_be_empty=True)
    check_settings(sampling_rate, highpass)
    squares, _, rate, usable = _filtered_blocks(emg, sampling_rate, highpass)
    envelope = np.full((len(emg), squares.shape[1]), np.nan)
    envelope[usable] = _smooth(squares)
    return envelope, rate


def _filtered_blocks(emg, sampling_rate, highpass):
    """Mean square and mean magnitude in blocks, their rate, and which rows can be used.

    Blocks with NaN or held samples, and those next to them, are NaN.
    """
    n_times = emg.shape[1]
    n_block = max(1, round(sampling_rate / _ENVELOPE_RATE))
    n_blocks, rate = n_times // n_block, sampling_rate / n_block
    if not n_times or n_times < _SHORTEST * sampling_rate:
        empty = np.empty((0, n_blocks))
        return empty, empty, rate, np.empty(0, int)
    windows = without_held_values(emg, round(_HELD * sampling_rate)).astype(float)
    hidden = np.isnan(windows)
    in_blocks = hidden[:, : n_blocks * n_block].reshape(-1, n_blocks, n_block).any(axis=2)
    unseen = in_blocks.copy()
    unseen[:, 1:] |= in_blocks[:, :-1]  # also the blocks beside them, where the filter rings
    unseen[:, :-1] |= in_blocks[:, 1:]
    usable = np.flatnonzero(unseen.mean(axis=1) <= _HIDDEN)
    windows, unseen = fill_gaps(windows[usable]), unseen[usable]
    largest = np.abs(windows).max(axis=1)
    windows -= windows[:, :1].copy()
    n_padded = min(round(_PADDED * sampling_rate), n_times - 1)
    (filtered,) = zero_phase(windows, [(4, highpass, "highpass")], sampling_rate, n_padded)
    squares, magnitudes = (block_means(each, n_block) for each in (filtered**2, np.abs(filtered)))
    squares[unseen] = magnitudes[unseen] = np.nan
    rounding = 16 * np.finfo(np.result_type(emg.dtype, np.float32)).eps * largest
    heard = np.sqrt(_at_rest(squares)) > rounding
    return squares[heard], magnitudes[heard], rate, usable[heard]


def _at_rest(values):
    """The 20 % quantile of each row, without NaN."""
    ordered = np.sort(values, axis=1)  # NaN last
    n = np.isfinite(values).sum(axis=1)
    return ordered[np.arange(len(values)), (_REST * np.maximum(n - 1, 0)).astype(int)]


def _smooth(squares):
    """Root of the mean of the five values around, or fewer at edges; NaN stays NaN."""
    n_blocks, reach = squares.shape[1], _N_SMOOTHED // 2
    first, stop = (np.clip(np.arange(n_blocks) + step, 0, n_blocks) for step in (-reach, reach + 1))
    around, n = (
        np.take(total, stop, axis=1) - np.take(total, first, axis=1) for total in _totals(squares)
    )
    seen = np.isfinite(squares)
    return np.sqrt(np.where(seen, np.maximum(around, 0), np.nan) / np.maximum(n, 1))


def _totals(values):
    """Sum and number of the values before each place, without NaN."""
    seen = np.isfinite(values)
    return tuple(
        np.pad(np.cumsum(each, axis=1), ((0, 0), (1, 0)))
        for each in (np.where(seen, values, 0), seen)
    )


def check_settings(sampling_rate: float, highpass: float, min_ratio: float = 1.0) -> None:
    """Raise unless parameters are as :func:`muscle_features` describes them."""
    check_rate(sampling_rate)
    if not is_positive(highpass):
        raise ValueError(f"highpass must be a number above 0, got {highpass!r}.")
    if not is_number(min_ratio) or not min_ratio >= 1:
        raise ValueError(f"min_ratio must be a number of at least 1, got {min_ratio!r}.")
    if not sampling_rate > 2 * highpass:
        raise ValueError(
            f"At a sampling rate of {sampling_rate:g} Hz nothing is left of the EMG above "
            f"highpass={highpass:g} Hz: more than {2 * highpass:g} Hz are needed. Pass a lower "
            "highpass, such as 20."
        )


def muscle_bursts(envelope: ArrayLike, rate: float, min_ratio: float = 3.0) -> dict[str, NDArray]:
    """Bursts of muscle activity: where the envelope is several times what it is at rest.

    The level at rest is the 20 % quantile of the window's envelope. Pauses shorter than 0.2 s do
    not end a burst, and a burst lasts at least 0.1 s. A muscle that is tense throughout the
    window has no bursts.

    Parameters
    ----------
    envelope : array of shape (n_windows, n_blocks)
        As returned by :func:`emg_envelope`.
    rate : float
        Its values per second.
    min_ratio : float, default=3.0
        Multiple of the envelope at rest that a burst must exceed.

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
    envelope = real_samples(envelope, "envelope", "(n_windows, n_times)", may_be_empty=True)
    check_rate(rate, "rate")
    if not is_number(min_ratio) or not min_ratio >= 1:
        raise ValueError(f"min_ratio must be a number of at least 1, got {min_ratio!r}.")
    return _find_bursts(envelope.astype(float), rate, min_ratio)


def _find_bursts(envelope, rate, min_ratio):
    if not envelope.shape[1]:
        envelope = np.full((len(envelope), 1), np.nan)
    rest = _at_rest(envelope)[:, np.newaxis]
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
    amplitude, n = (total[rows, offsets] - total[rows, onsets] for total in _totals(envelope))
    return {
        "window": rows,
        "onset": onsets / rate,
        "offset": offsets / rate,
        "amplitude": amplitude / np.maximum(n, 1),
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
        Under the names in ``FEATURES``; :class:`skemo.EMGTransformer` has their formulas.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.muscle import muscle_features
    >>> noise = np.random.default_rng(0).normal(size=(1, 5000))
    >>> noise[:, 2000:3000] *= 20
    >>> muscle_features(noise, 1000)["EMG_Activation_N"]
    array([1.])
    """
    emg = real_samples(emg, "emg", "(n_windows, n_times)", may_be_empty=True)
    check_settings(sampling_rate, highpass, min_ratio)
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
        bursts = _find_bursts(envelope, rate, min_ratio)
        n_bursts, lasting, amplitude = (
            np.bincount(bursts["window"], weights, len(usable)).astype(float)
            for weights in (
                None,
                bursts["offset"] - bursts["onset"],
                bursts["amplitude"] * (bursts["offset"] - bursts["onset"]),
            )
        )
        some = np.where(n_bursts > 0, n_bursts, np.nan)
        n_seen = np.isfinite(envelope).sum(axis=1)
        centred = envelope - (np.nansum(envelope, axis=1) / n_seen)[:, np.newaxis]
        features[:, start + usable] = (
            np.sqrt(np.nansum(squares, axis=1) / n_seen),
            np.nansum(magnitudes, axis=1) / n_seen,
            np.sqrt(np.nansum(centred**2, axis=1) / n_seen),
            np.nanmax(envelope, axis=1),
            n_bursts,
            lasting / (n_seen / rate),
            lasting / some,
            amplitude / np.where(n_bursts > 0, lasting, np.nan),
        )
    return dict(zip(names, features, strict=True))
