"""Skin conductance in many windows at once: tonic and phasic parts, responses, features."""

import numpy as np
import scipy.signal

from skemo.kernels.cvxeda import cvxeda, optimised_together
from skemo.kernels.filters import (
    LARGEST_GAP_SHARE,
    block_means,
    fill_gaps,
    filtered_together,
    loops_along_rows,
    spread_blocks,
    zero_phase,
)

PARTS = ("tonic", "phasic")
FEATURES = {
    "level": (
        "EDA_Mean",
        "EDA_SD",
        "EDA_Min",
        "EDA_Max",
        "EDA_Slope",
        "EDA_Autocorrelation",
    ),
    "tonic": ("EDA_Tonic_Mean", "EDA_Tonic_SD", "EDA_Tonic_Slope"),
    "phasic": ("EDA_Phasic_SD", "EDA_Phasic_AUC"),
    "scr": (
        "SCR_Peaks_N",
        "SCR_Peaks_Amplitude_Mean",
        "SCR_Peaks_Amplitude_Max",
        "SCR_Peaks_Amplitude_Sum",
        "SCR_RiseTime_Mean",
        "SCR_RecoveryTime_Mean",
    ),
}

METHODS = ("highpass", "cvxeda")

_CUTOFF = 0.05  # Hz, between tonic and phasic
_NOISE = 3.0  # Hz, above which skin conductance holds nothing but noise
_WORKING_RATE = 32  # Hz, or up to a half more: enough for what is below 3 Hz
_ROUNDING = 1e-12  # of the mean, a standard deviation that comes of rounding
_LAG = 4.0  # s, of the autocorrelation
_CHUNK = 1 << 16  # samples looked at together, or as many windows as are filtered together


def tonic_phasic(eda, sampling_rate, method="highpass"):
    """Slow level (tonic) and quick changes (phasic) of skin conductance.

    ``"highpass"``: a Butterworth filter of second order, applied forwards and backwards, parts
    the signal at 0.05 Hz: the low-pass is the tonic part, the high-pass the phasic part. A
    signal sampled faster than 6 Hz is freed of noise first, by a low-pass of fourth order at
    3 Hz. These are NeuroKit2's defaults (``eda_clean``, ``eda_phasic``).

    ``"cvxeda"``: the phasic part is what sparse nerve activity gives through a Bateman function,
    the tonic part cubic splines and a line, as convex optimisation finds them
    (:func:`skemo.kernels.cvxeda.cvxeda`, with its defaults). It takes ten (at 700 Hz)
    to seventy (at 4 Hz) times as long.

    Parameters
    ----------
    eda : array of shape (n_windows, n_times)
        Skin conductance, usually in microsiemens. May be memory-mapped: a few windows at a
        time are read. A whole recording is one long window.
    sampling_rate : float
        In hertz, above 0.1; for ``"cvxeda"`` above 0.72.
    method : {"highpass", "cvxeda"}, default="highpass"
        How to part them.

    Returns
    -------
    tonic, phasic : ndarray of shape (n_windows, n_times)
        In the unit and floating type of `eda`, at least single precision; computed in
        double. A window of which more than 5 % is NaN is NaN throughout; less is bridged
        by straight lines.

    Notes
    -----
    What follows is of the filters. One cycle of 0.05 Hz lasts 20 s, so that within about 10 s
    of the edges the parts depend on what the filters suppose beyond; there they also do not add
    up to the signal.
    Decompose whole recordings where you have them (:func:`skemo.decompose_eda`).

    Below 64 Hz the values are NeuroKit2's to rounding. From there on the filters work on
    means of blocks of samples, at 32 to 48 Hz, and cubics bring the parts back to the full
    rate: several times faster, and within 3 % of the phasic part's standard deviation of
    NeuroKit2's values on simulated conductance with little noise. In the first and the last
    0.2 s noise makes more of a difference, since NeuroKit2's filters start from the single
    samples there: counts of responses then differ in some windows.

    Raises
    ------
    ValueError
        For an unknown `method`, an array that is not two-dimensional, a rate too low.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.skin_conductance import tonic_phasic
    >>> seconds = np.arange(480) / 4
    >>> eda = 5 + 0.3 * np.sin(2 * np.pi * 0.25 * seconds)
    >>> tonic, phasic = tonic_phasic(eda[np.newaxis], 4)
    >>> tonic.mean().round(2), phasic[0, 100:380].max().round(2)
    (np.float64(5.0), np.float64(0.3))
    """
    eda = np.asarray(eda)
    check_method(method)
    if eda.ndim != 2:
        raise ValueError(f"Windows are (n_windows, n_times), got {eda.shape}.")
    if method == "cvxeda":
        return _optimised_parts(eda, sampling_rate)
    n_windows, n_times = eda.shape
    n_block = samples_a_block(sampling_rate, n_times)
    parts = np.empty((2, *eda.shape), np.result_type(eda.dtype, np.float32))
    together = filtered_together(max(1, n_times // n_block))
    step = -(-max(1, _CHUNK // max(1, n_times)) // together) * together
    for start in range(0, n_windows if n_times else 0, step):
        chunk = parts[:, start : start + step]
        windows, usable = bridge_gaps(eda[start : start + step, np.newaxis])
        if len(usable) < chunk.shape[1]:
            chunk[:] = np.nan
        if not len(usable):
            continue
        _, *found = working_parts(windows[:, 0], sampling_rate, n_block)
        for part, means in zip(chunk, found, strict=True):
            if len(usable) == len(part):
                spread_blocks(means, n_block, n_times, out=part)
            else:
                part[usable] = spread_blocks(means, n_block, n_times)
    return parts[0], parts[1]


def _optimised_parts(eda, sampling_rate):
    """Tonic and phasic part by `cvxeda`, windows with NaN bridged or left out."""
    parts = np.full((2, *eda.shape), np.nan, np.result_type(eda.dtype, np.float32))
    step = optimised_together(eda.shape[1], sampling_rate)
    for start in range(0, len(eda), step):
        windows, usable = bridge_gaps(eda[start : start + step, np.newaxis])
        parts[:, start + usable] = cvxeda(windows[:, 0], sampling_rate)
    return parts[0], parts[1]


def skin_conductance_responses(phasic, sampling_rate, min_amplitude=0.0, min_relative=0.1):
    """Skin-conductance responses (SCR) in windows of the phasic part.

    A response is a maximum whose prominence is at least `min_amplitude`, and at least the part
    `min_relative` of the largest prominence in its window. It begins at the last minimum
    before it. Its recovery is the sample of its decline, up to the lowest point before the
    next response, that lies nearest below half of its amplitude, if a lower one follows.
    With the defaults these are the definitions of NeuroKit2's ``eda_peaks``.

    Parameters
    ----------
    phasic : array of shape (n_windows, n_times)
        Without NaN, except for windows of NaN throughout, which have no responses.
    sampling_rate : float
        In hertz.
    min_amplitude : float, default=0.0
        In the unit of the phasic part; for microsiemens, 0.01 to 0.05 are customary.
    min_relative : float, default=0.1
        As a part of the largest prominence of the window.

    Returns
    -------
    dict of str to ndarray of shape (n_responses,)
        The responses of all windows, in order: ``window``, its row; SCR_Onset and SCR_Peak,
        in seconds from the start of the window; SCR_Height, the phasic part at the peak;
        SCR_Amplitude, its height above the onset; SCR_RiseTime and SCR_RecoveryTime, in
        seconds from onset to peak and from peak to recovery. NaN where the onset lies before
        the window, or the recovery does not come.

    Notes
    -----
    NeuroKit2's threshold is relative alone, so that in a calm window noise counts: a wristband
    sampled at 4 Hz, whose signal nothing smooths, shows 28 responses a minute, most under
    0.01 µS, which is what `min_amplitude` is for.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.skin_conductance import skin_conductance_responses
    >>> phasic = np.interp(np.arange(40), [0, 4, 8, 20, 30, 39], [1, 0, 2, 0, 0.1, 0])
    >>> responses = skin_conductance_responses(phasic[np.newaxis], 4)
    >>> {name: float(values[0]) for name, values in responses.items()}["SCR_RiseTime"]
    1.0
    """
    phasic = np.asarray(phasic, float)
    width = phasic.shape[1] + 1
    # One long signal, in which a column beside each window keeps it apart from the next.
    padded = np.full((len(phasic), width), -np.inf)
    padded[:, :-1] = np.where(np.isnan(phasic), 0.0, phasic)
    joined = padded.reshape(-1)
    troughs = scipy.signal.find_peaks(-joined)[0]
    troughs = troughs[troughs % width < width - 1]
    padded[:, -1] = np.inf
    peaks = scipy.signal.find_peaks(joined)[0]
    peaks = peaks[peaks % width < width - 1]

    prominence = scipy.signal.peak_prominences(joined, peaks)[0]
    largest = np.zeros(len(phasic))
    np.maximum.at(largest, peaks // width, prominence)
    relative = prominence / largest[peaks // width]
    peaks = peaks[(prominence >= min_amplitude) & (relative >= min_relative)]
    rows = peaks // width
    before = np.searchsorted(troughs, peaks) - 1
    troughs = np.append(troughs, -1)  # a row before the first
    known = troughs[before] // width == rows
    onsets = np.where(known, troughs[before], peaks)

    amplitude = joined[peaks] - joined[onsets]
    recovery = np.full(len(peaks), np.nan)
    ends = (rows[known] + 1) * width - 1
    ends[:-1] = np.minimum(ends[:-1], peaks[known][1:])
    half = joined[onsets[known]] + amplitude[known] * 0.5
    recovery[known] = _samples_to_recovery(joined, peaks[known], ends, half)
    return {
        "window": rows,
        "SCR_Onset": np.where(known, onsets % width / sampling_rate, np.nan),
        "SCR_Peak": peaks % width / sampling_rate,
        "SCR_Height": joined[peaks],
        "SCR_Amplitude": np.where(known, amplitude, np.nan),
        "SCR_RiseTime": np.where(known, (peaks - onsets) / sampling_rate, np.nan),
        "SCR_RecoveryTime": recovery / sampling_rate,
    }


def _samples_to_recovery(joined, peaks, ends, half):
    """Samples from each peak to its recovery, which comes before its end; NaN without."""
    if not len(peaks):
        return np.empty(0)
    # Stretches of unlike length from each peak to its end, one behind the other.
    lengths = ends - peaks
    starts = np.cumsum(lengths) - lengths
    response = np.repeat(np.arange(len(peaks)), lengths)
    place = np.arange(len(response)) - starts[response]
    values = joined[peaks[response] + place]
    lowest = np.minimum.reduceat(values, starts)
    falling = np.where(values == lowest[response], place, len(values))
    falling = place < np.minimum.reduceat(falling, starts)[response]
    below = falling & (values <= half[response])
    level = np.maximum.reduceat(np.where(below, values, -np.inf), starts)
    reached = np.where(below & (values == level[response]), place, len(values))
    reached = np.minimum.reduceat(reached, starts)
    lower = np.minimum.reduceat(np.where(falling, values, np.inf), starts) < level
    return np.where(lower, reached, np.nan)


def check_method(method):
    """Raise where there is no such method of parting tonic and phasic."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {list(METHODS)}, got {method!r}.")


def bridge_gaps(windows):
    """Windows (n_windows, n_channels, n_times) without NaN, and which rows they are.

    Left out are those of which more than 5 % of a channel is NaN.
    """
    missing = np.isnan(windows)
    if not missing.any():
        return np.asarray(windows, np.float64, order="C"), np.arange(len(windows))
    usable = np.flatnonzero(missing.mean(axis=2).max(axis=1) <= LARGEST_GAP_SHARE)
    windows = windows[usable].astype(np.float64, order="C")
    return fill_gaps(windows.reshape(-1, windows.shape[2])).reshape(windows.shape), usable


def samples_a_block(sampling_rate, n_times):
    """Samples to take the mean of, so that 32 to 48 Hz are left of a higher rate."""
    return max(1, min(int(sampling_rate // _WORKING_RATE), n_times))


def working_parts(eda, sampling_rate, n_block):
    """Conductance without noise, tonic and phasic part, as means of blocks."""
    if sampling_rate <= 2 * _CUTOFF:
        raise ValueError(
            f"At a sampling rate of {sampling_rate:g} Hz nothing can be parted at {_CUTOFF:g} Hz: "
            f"more than {2 * _CUTOFF:g} Hz are needed."
        )
    zero = eda[:, :1]  # so that a constant window is exactly 0, whatever its level
    rate = sampling_rate / n_block
    with loops_along_rows(eda.shape[1]):
        conductance = block_means(eda - zero, n_block)
    # SciPy pads by three times the number of coefficients: as much is padded here, or less.
    most = conductance.shape[1] - 1
    if sampling_rate > 2 * _NOISE:
        n_padded = min(15 // n_block, most)
        (conductance,) = zero_phase(conductance, [(4, _NOISE, "lowpass")], rate, n_padded)
    both = [(2, _CUTOFF, "lowpass"), (2, _CUTOFF, "highpass")]
    tonic, phasic = zero_phase(conductance, both, rate, min(9 // n_block, most))
    with loops_along_rows(conductance.shape[1]):
        return conductance + zero, tonic + zero, phasic


def eda_features(conductance, tonic, phasic, sampling_rate, **least):
    """Features of windows without NaN, (n_windows, n_times), by the names of `FEATURES`.

    `least` goes to :func:`skin_conductance_responses`.
    """
    n_times = conductance.shape[1]
    mean, centred = _centre(conductance)
    lag = round(_LAG * sampling_rate)
    squares = (centred**2).sum(axis=1)
    changing = squares > n_times * (_ROUNDING * mean) ** 2
    unknown = np.full(len(mean), np.nan)
    products = (centred[:, : max(n_times - lag, 0)] * centred[:, lag:]).sum(axis=1)
    tonic_mean, centred_tonic = _centre(tonic)
    features = (
        mean,
        np.sqrt(squares / n_times),
        conductance.min(axis=1),
        conductance.max(axis=1),
        _slope(centred, sampling_rate),
        _divide(products, np.where(changing, squares, 0)) if lag < n_times else unknown,
        tonic_mean,
        np.sqrt((centred_tonic**2).mean(axis=1)),
        _slope(centred_tonic, sampling_rate),
        phasic.std(axis=1),
        np.abs(phasic).sum(axis=1) / sampling_rate,
        *_response_features(phasic, sampling_rate, least),
    )
    names = [name for group in FEATURES.values() for name in group]
    return dict(zip(names, features, strict=True))


def _response_features(phasic, sampling_rate, least):
    responses = skin_conductance_responses(phasic, sampling_rate, **least)
    rows, n_windows = responses["window"], len(phasic)
    n_responses = np.bincount(rows, minlength=n_windows).astype(float)
    yield n_responses
    for name in ("SCR_Amplitude", "SCR_RiseTime", "SCR_RecoveryTime"):
        known = ~np.isnan(responses[name])
        values = responses[name][known]
        total = np.bincount(rows[known], values, minlength=n_windows)
        yield _divide(total, np.bincount(rows[known], minlength=n_windows))
        if name == "SCR_Amplitude":
            largest = np.full(n_windows, -np.inf)
            np.maximum.at(largest, rows[known], values)
            yield np.where(np.isfinite(largest), largest, np.nan)
            yield total


def _centre(values):
    """Mean, and deviations from it, which are exactly 0 where all values are the same."""
    deviations = values - values[:, :1]
    mean = deviations.mean(axis=1)
    return values[:, 0] + mean, deviations - mean[:, np.newaxis]


def _slope(centred, sampling_rate):
    """Slope of the line of least squares, a second; NaN for a single sample."""
    n_times = centred.shape[1]
    seconds = (np.arange(n_times) - (n_times - 1) / 2) / sampling_rate
    return _divide((centred * seconds).sum(axis=1), (seconds**2).sum())


def _divide(numerator, denominator):
    """Quotient, NaN where the denominator is not positive."""
    return numerator / np.where(denominator > 0, denominator, np.nan)
