"""Skin conductance in many windows at once: tonic and phasic parts, responses, features."""

from collections.abc import Iterator
from numbers import Real
from typing import Literal

import numpy as np
import scipy.signal
from numpy.typing import ArrayLike, NDArray

from skemo._checks import check_rate, real_samples
from skemo._samples import change_points
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
from skemo.kernels.row_statistics import divide

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
ONSETS = ("base", "minimum")
OFF_SKIN = 0.01  # µS, up to which the electrodes are off the skin: dry skin has 0.03 and more

_CUTOFF = 0.05  # Hz, between tonic and phasic
_NOISE = 3.0  # Hz, above which skin conductance holds nothing but noise
_WORKING_RATE = 32  # Hz, or up to a half more: enough for what is below 3 Hz
# Share of the level up to which variation is rounding error, also in single precision.
_ROUNDING = 1e-6
_FOOT = 0.2  # share of the amplitude by which the foot of a response may lie above its base
_RISEN, _REST = 0.01, 1.5  # of the amplitude, after more than so many s: the base of a response
_LAG = 4.0  # s, of the autocorrelation
_CHUNK = 1 << 16  # samples processed together, or as many windows as are filtered together
_SEEN, _LEAST_EQUAL = 64, 0.4  # samples at the start, and share of equal neighbours among them


def tonic_phasic(
    eda: ArrayLike,
    sampling_rate: float,
    method: Literal["highpass", "cvxeda"] = "highpass",
    *,
    off_skin: float | None = OFF_SKIN,
) -> tuple[NDArray, NDArray]:
    """Slow level (tonic) and quick changes (phasic) of skin conductance.

    ``"highpass"``: a second-order Butterworth filter, applied forwards and backwards, splits
    the signal at 0.05 Hz: the low-pass is the tonic part, the high-pass the phasic part. Above a
    sampling rate of 6 Hz, noise is removed first by a fourth-order low-pass at 3 Hz. These are
    NeuroKit2's defaults (``eda_clean``, ``eda_phasic``).

    ``"cvxeda"``: the phasic part is sparse nerve activity filtered by a Bateman function, the
    tonic part is made of cubic splines and a line, and both are found by convex optimisation
    (:func:`skemo.kernels.cvxeda.cvxeda`, with its defaults). It takes ten times (at 700 Hz) to
    seventy times (at 4 Hz) as long.

    Parameters
    ----------
    eda : array of shape (n_windows, n_times)
        Skin conductance in microsiemens. May be memory-mapped: a few windows at a time are
        read. A whole recording is one long window.
    sampling_rate : float
        In hertz, above 0.1; for ``"cvxeda"`` above 0.72.
    method : {"highpass", "cvxeda"}, default="highpass"
        How to separate the parts.
    off_skin : float or None, default=0.01
        Conductance up to which the electrodes are off the skin (:func:`conductance`), in the
        unit of `eda`. None if 0 means something else, as in a standardised signal.

    Returns
    -------
    tonic, phasic : ndarray of shape (n_windows, n_times)
        In the unit and floating type of `eda`, at least single precision; computed in
        double precision. A window in which more than 5 % of the samples are NaN or off the
        skin is NaN throughout; shorter gaps are bridged by straight lines.

    Notes
    -----
    The following applies to the filters. One cycle of 0.05 Hz lasts 20 s, so within about 10 s
    of the edges the parts depend on how the filters continue the signal, and do not add up to
    it. Decompose whole recordings where you have them (:func:`skemo.decompose_eda`).

    Below 64 Hz the values are those of NeuroKit2 within rounding. From 64 Hz on, the filters
    work on means of blocks of samples, at 32 to 48 Hz, and the parts are interpolated back to
    the full rate by cubics: this is several times faster, and on simulated conductance with
    little noise the values are within 3 % of the phasic part's standard deviation of
    NeuroKit2's. Noise makes a larger difference in the first and last 0.2 s, where NeuroKit2's
    filters start from single samples, and the number of responses then differs in some windows.

    Raises
    ------
    ValueError
        For an unknown `method`, an array that is not two-dimensional, or too low a rate.

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
    eda = real_samples(eda, "eda", "(n_windows, n_times)")
    check_rate(sampling_rate)
    check_method(method)
    if method == "cvxeda":
        return _optimised_parts(eda, sampling_rate, off_skin)
    n_windows, n_times = eda.shape
    n_block = samples_a_block(sampling_rate, n_times)
    parts = np.empty((2, *eda.shape), np.result_type(eda.dtype, np.float32))
    together = filtered_together(max(1, n_times // n_block))
    step = -(-max(1, _CHUNK // max(1, n_times)) // together) * together
    for start in range(0, n_windows if n_times else 0, step):
        chunk = parts[:, start : start + step]
        windows, usable = bridge_gaps(conductance(eda[start : start + step], off_skin)[:, None])
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


def _optimised_parts(
    eda: NDArray, sampling_rate: float, off_skin: float | None
) -> tuple[NDArray, NDArray]:
    """Tonic and phasic part by `cvxeda`; gaps are bridged or the window is left out."""
    parts = np.full((2, *eda.shape), np.nan, np.result_type(eda.dtype, np.float32))
    step = optimised_together(eda.shape[1], sampling_rate)
    for start in range(0, len(eda), step):
        windows, usable = bridge_gaps(conductance(eda[start : start + step], off_skin)[:, None])
        parts[:, start + usable] = cvxeda(windows[:, 0], sampling_rate)
    return parts[0], parts[1]


def conductance(eda: ArrayLike, off_skin: float | None = OFF_SKIN) -> NDArray:
    """Skin conductance without samples that were not measured.

    Samples that are 0 or nearly 0 become NaN: those of a wristband off the wrist, of a lost
    electrode, of dropouts, and at the start of an Empatica file. In a signal whose values were
    repeated to a faster rate, steps are replaced by straight lines.

    Parameters
    ----------
    eda : array of shape (n_windows, n_times)
        Skin conductance in microsiemens.
    off_skin : float or None, default=0.01
        Conductance up to which the electrodes are off the skin. None keeps all samples. A window
        with values below ``-off_skin`` also keeps all its samples: it was centred, so that 0 has
        no meaning.

    Returns
    -------
    ndarray of shape (n_windows, n_times)
        `eda` itself if there is nothing to change.

    Notes
    -----
    Dry skin has 0.03 to 0.1 µS. In 24 recordings of a wristband, 0.03 % of the samples are at or
    below 0.01 µS, most of them single samples.

    The values of a signal count as repeated if it changes at least 20 times within the window,
    always after a multiple of the same number of samples.

    Examples
    --------
    >>> from skemo.kernels.skin_conductance import conductance
    >>> conductance([[0.0, 0.0, 2.1, 2.2], [0.0, 0.001, 0.0, 0.001]])
    array([[nan, nan, 2.1, 2.2],
           [nan, nan, nan, nan]])
    """
    eda = _without_steps(real_samples(eda, "eda", "(n_windows, n_times)", may_be_empty=True))
    if off_skin is None:
        return eda
    if eda.shape[1] and (eda.min(axis=1) > off_skin).all():  # not where there is a NaN
        return eda
    low = eda <= off_skin
    if not low.any():
        return eda
    low[(eda < -off_skin).any(axis=1)] = False
    return np.where(low, np.nan, eda.astype(np.result_type(eda.dtype, np.float32), copy=False))


def _without_steps(eda: NDArray) -> NDArray:
    """Windows in which values repeated to a faster rate are joined by straight lines."""
    start = eda[:, :_SEEN]
    n_equal = np.count_nonzero(start[:, 1:] == start[:, :-1], axis=1)
    rows = np.flatnonzero(n_equal > _LEAST_EQUAL * start.shape[1])
    grids = {row: change_points(eda[row]) for row in rows}
    grids = {row: grid for row, grid in grids.items() if len(grid)}
    if grids:
        eda = eda.astype(np.result_type(eda.dtype, np.float32))
        times = np.arange(eda.shape[1])
        for row, grid in grids.items():
            eda[row] = np.interp(times, grid, eda[row, grid])
    return eda


def skin_conductance_responses(
    phasic: ArrayLike,
    sampling_rate: float,
    min_amplitude: float = 0.0,
    min_relative: float = 0.1,
    onset: Literal["base", "minimum"] = "base",
) -> dict[str, NDArray]:
    """Skin-conductance responses (SCR) in windows of the phasic part.

    A response is a maximum whose prominence is at least `min_amplitude`, and at least the
    share `min_relative` of the largest prominence in its window. Its amplitude is its height
    above its onset. Its recovery is the sample of its decline, up to the lowest point before
    the next response, that lies nearest below half of its amplitude, if a lower one follows.

    Parameters
    ----------
    phasic : array of shape (n_windows, n_times)
        Without NaN, except for windows that are NaN throughout, which have no responses.
    sampling_rate : float
        In hertz.
    min_amplitude : float, default=0.0
        In the unit of the phasic part; for microsiemens, 0.01 to 0.05 are customary.
    min_relative : float, default=0.1
        As a share of the largest prominence in the window.
    onset : {"base", "minimum"}, default="base"
        Where a response begins. ``"base"`` is the last minimum that lies at most a fifth of
        the amplitude above the lowest point since the response before, so that a ripple on the
        rise does not count; if the phasic part stays within 1 % of the amplitude of it for more
        than 1.5 s, it is the end of that time. ``"minimum"`` is the last
        minimum before the peak: with it, these are the definitions of NeuroKit2's ``eda_peaks``.

    Returns
    -------
    dict of str to ndarray of shape (n_responses,)
        The responses of all windows, in order: ``window``, its row; SCR_Onset and SCR_Peak,
        in seconds from the start of the window; SCR_Height, the phasic part at the peak;
        SCR_Amplitude, its height above the onset; SCR_RiseTime and SCR_RecoveryTime, in
        seconds from onset to peak and from peak to recovery. NaN where the onset lies before
        the window, or where there is no recovery.

    Notes
    -----
    NeuroKit2's threshold is only relative, so that noise counts in a calm window: the signal of
    a wristband at 4 Hz, which is not smoothed, has 28 responses per minute, most of them
    under 0.01 µS. `min_amplitude` leaves these out.

    Without noise both onsets are the same. With the noise of a wristband (1.5 nS, in steps of
    1.3 nS), responses of 0.05 µS are 0.57 (at 8 Hz) to 0.89 times their amplitude from the last
    minimum, and 1.00 to 1.03 times from the base.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.skin_conductance import skin_conductance_responses
    >>> phasic = np.interp(np.arange(40), [0, 4, 8, 20, 30, 39], [1, 0, 2, 0, 0.1, 0])
    >>> responses = skin_conductance_responses(phasic[np.newaxis], 4)
    >>> {name: float(values[0]) for name, values in responses.items()}["SCR_RiseTime"]
    1.0
    """
    phasic = real_samples(phasic, "phasic", "(n_windows, n_times)").astype(float)
    check_rate(sampling_rate)
    for name, least in (("min_amplitude", min_amplitude), ("min_relative", min_relative)):
        if not isinstance(least, Real) or not 0 <= least < np.inf:
            raise ValueError(f"{name} must be a number of at least 0, got {least!r}.")
    check_onset(onset)
    width = phasic.shape[1] + 1
    # One long signal, in which a column next to each window separates it from the next.
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
    if onset == "base":
        onsets = _bases(joined, peaks, troughs, width)
        onsets = _after_the_rest(joined, onsets, peaks, max(1, round(_REST * sampling_rate)))
    else:
        onsets = np.append(troughs, -1)[np.searchsorted(troughs, peaks) - 1]
    known = onsets // width == rows
    onsets = np.where(known, onsets, peaks)

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


def _bases(joined: NDArray, peaks: NDArray, troughs: NDArray, width: int) -> NDArray:
    """Last trough near the lowest point since the previous peak, for each peak; -1 for none."""
    if not len(peaks):
        return peaks
    starts = peaks // width * width
    starts[1:] = np.maximum(starts[1:], peaks[:-1])
    lowest = np.minimum.reduceat(joined, np.stack([starts, peaks], axis=1).ravel())[::2]
    limit = lowest + _FOOT * (joined[peaks] - lowest)
    peak_after = np.searchsorted(peaks, troughs)
    before_one = peak_after < len(peaks)
    troughs, peak_after = troughs[before_one], peak_after[before_one]
    near = (troughs > starts[peak_after]) & (joined[troughs] <= limit[peak_after])
    bases = np.full(len(peaks), -1)
    np.maximum.at(bases, peak_after[near], troughs[near])
    return bases


def _after_the_rest(joined: NDArray, bases: NDArray, peaks: NDArray, n_rest: int) -> NDArray:
    """The bases, or the ends of stretches after them that are long and hardly rise."""
    long = np.flatnonzero((bases >= 0) & (peaks - bases > n_rest))
    # Nearly all responses have risen by then.
    risen = (joined[peaks[long]] - joined[bases[long]]) * _RISEN + joined[bases[long]]
    resting = long[joined[bases[long] + n_rest] <= risen]
    for i in resting:
        rise = joined[bases[i] : peaks[i]]
        risen = rise[0] + _RISEN * (joined[peaks[i]] - rise[0])
        bases[i] += np.flatnonzero(rise <= risen)[-1]
    return bases


def _samples_to_recovery(joined: NDArray, peaks: NDArray, ends: NDArray, half: NDArray) -> NDArray:
    """Samples from each peak to its recovery before its end, NaN without one."""
    if not len(peaks):
        return np.empty(0)
    # Stretches of different lengths from each peak to its end, one after another.
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


def check_method(method: str) -> None:
    """Raise for an unknown method of separating tonic and phasic parts."""
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method must be one of {list(METHODS)}, got {method!r}.")


def check_onset(onset: str) -> None:
    """Raise for an unknown definition of a response's onset."""
    if onset not in ONSETS:
        raise ValueError(f"onset must be one of {list(ONSETS)}, got {onset!r}.")


def bridge_gaps(windows: NDArray) -> tuple[NDArray, NDArray]:
    """Windows (n_windows, n_channels, n_times) with gaps bridged, and the rows they are from.

    Windows in which more than 5 % of a channel is NaN are left out.
    """
    missing = np.isnan(windows)
    if not missing.any():
        return np.asarray(windows, np.float64, order="C"), np.arange(len(windows))
    usable = np.flatnonzero(missing.mean(axis=2).max(axis=1) <= LARGEST_GAP_SHARE)
    windows = windows[usable].astype(np.float64, order="C")
    return fill_gaps(windows.reshape(-1, windows.shape[2])).reshape(windows.shape), usable


def samples_a_block(sampling_rate: float, n_times: int) -> int:
    """Samples to average, so that a higher rate is reduced to 32 to 48 Hz."""
    return max(1, min(int(sampling_rate // _WORKING_RATE), n_times))


def working_parts(
    eda: NDArray, sampling_rate: float, n_block: int
) -> tuple[NDArray, NDArray, NDArray]:
    """Conductance without noise, tonic and phasic part, as means of blocks."""
    if sampling_rate <= 2 * _CUTOFF:
        raise ValueError(
            f"At a sampling rate of {sampling_rate:g} Hz a signal cannot be split at "
            f"{_CUTOFF:g} Hz: more than {2 * _CUTOFF:g} Hz are needed."
        )
    zero = eda[:, :1]  # so that a constant window is exactly 0, whatever its level
    rate = sampling_rate / n_block
    with loops_along_rows(eda.shape[1]):
        conductance = np.asarray(block_means(eda - zero, n_block), np.float64)
    # SciPy pads by three times the number of coefficients; here it is the same or less.
    most = conductance.shape[1] - 1
    if sampling_rate > 2 * _NOISE:
        n_padded = min(15 // n_block, most)
        (conductance,) = zero_phase(conductance, [(4, _NOISE, "lowpass")], rate, n_padded)
    both = [(2, _CUTOFF, "lowpass"), (2, _CUTOFF, "highpass")]
    tonic, phasic = zero_phase(conductance, both, rate, min(9 // n_block, most))
    with loops_along_rows(conductance.shape[1]):
        return conductance + zero, tonic + zero, phasic


def eda_features(
    eda: NDArray,
    tonic: NDArray,
    phasic: NDArray,
    sampling_rate: float,
    min_amplitude: float = 0.0,
    min_relative: float = 0.1,
    onset: Literal["base", "minimum"] = "base",
) -> dict[str, NDArray]:
    """Features of windows without NaN, (n_windows, n_times), under the names of `FEATURES`.

    `min_amplitude`, `min_relative` and `onset` are those of :func:`skin_conductance_responses`.
    """
    n_times = eda.shape[1]
    mean, centred = _centre(eda)
    lag = round(_LAG * sampling_rate)
    squares = (centred**2).sum(axis=1)
    rounding = _ROUNDING * np.abs(eda).max(axis=1)
    changing = squares > n_times * rounding**2
    # A phasic part of 0 has no responses, whatever rounding errors it has.
    reacting = np.ptp(phasic, axis=1) > rounding
    phasic = np.where(reacting[:, np.newaxis], phasic, 0.0)
    unknown = np.full(len(mean), np.nan)
    products = (centred[:, : max(n_times - lag, 0)] * centred[:, lag:]).sum(axis=1)
    tonic_mean, centred_tonic = _centre(tonic)
    features = (
        mean,
        np.sqrt(squares / n_times),
        eda.min(axis=1),
        eda.max(axis=1),
        _slope(centred, sampling_rate),
        divide(products, np.where(changing, squares, 0)) if lag < n_times else unknown,
        tonic_mean,
        np.sqrt((centred_tonic**2).mean(axis=1)),
        _slope(centred_tonic, sampling_rate),
        phasic.std(axis=1),
        np.abs(phasic).sum(axis=1) / sampling_rate,
        *_response_features(phasic, sampling_rate, min_amplitude, min_relative, onset),
    )
    names = [name for group in FEATURES.values() for name in group]
    return dict(zip(names, features, strict=True))


def _response_features(
    phasic: NDArray,
    sampling_rate: float,
    min_amplitude: float,
    min_relative: float,
    onset: Literal["base", "minimum"],
) -> Iterator[NDArray]:
    responses = skin_conductance_responses(
        phasic, sampling_rate, min_amplitude, min_relative, onset
    )
    rows, n_windows = responses["window"], len(phasic)
    n_responses = np.bincount(rows, minlength=n_windows).astype(float)
    yield n_responses
    for name in ("SCR_Amplitude", "SCR_RiseTime", "SCR_RecoveryTime"):
        known = ~np.isnan(responses[name])
        values = responses[name][known]
        total = np.bincount(rows[known], values, minlength=n_windows)
        yield divide(total, np.bincount(rows[known], minlength=n_windows))
        if name == "SCR_Amplitude":
            largest = np.full(n_windows, -np.inf)
            np.maximum.at(largest, rows[known], values)
            yield np.where(np.isfinite(largest), largest, np.nan)
            yield total


def _centre(values):
    """Mean and deviations from it, exactly 0 where all values are equal."""
    deviations = values - values[:, :1]
    mean = deviations.mean(axis=1)
    return values[:, 0] + mean, deviations - mean[:, np.newaxis]


def _slope(centred, sampling_rate):
    """Slope of the least-squares line, per second; NaN for a single sample."""
    n_times = centred.shape[1]
    seconds = (np.arange(n_times) - (n_times - 1) / 2) / sampling_rate
    return divide((centred * seconds).sum(axis=1), (seconds**2).sum())
