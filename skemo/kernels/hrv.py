"""Heart-rate variability: features of many RR series at once, under NeuroKit2's names."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skemo._checks import real_samples
from skemo.kernels.filters import hann_periodogram, interpolate
from skemo.kernels.row_statistics import divide, mean_and_deviation, nan_median

_BRIDGED = 0.2  # largest share of an RR series that is bridged for its spectrum
N_AROUND = 5  # intervals on either side in the running median
LARGEST_DEVIATION = 0.25  # relative, of an interval from that median
# Share of the mean interval up to which variation is an error of timing: 0.08 ms at 75 beats per
# minute, a twentieth of the time between the samples of an ECG at 500 Hz. R peaks of a simulated
# steady heart vary by up to 0.05 ms, and beat times in single precision by 0.004 ms in a minute.
_ROUNDING = 1e-4
HRV_TIME = (
    "HRV_MeanNN",
    "HRV_SDNN",
    "HRV_RMSSD",
    "HRV_SDSD",
    "HRV_CVNN",
    "HRV_CVSD",
    "HRV_MedianNN",
    "HRV_MadNN",
    "HRV_MCVNN",
    "HRV_IQRNN",
    "HRV_SDRMSSD",
    "HRV_Prc20NN",
    "HRV_Prc80NN",
    "HRV_pNN50",
    "HRV_pNN20",
    "HRV_MinNN",
    "HRV_MaxNN",
)
HRV_FREQUENCY = (
    "HRV_VLF",
    "HRV_LF",
    "HRV_HF",
    "HRV_TP",
    "HRV_LFHF",
    "HRV_LFn",
    "HRV_HFn",
    "HRV_LnHF",
)
HRV_NONLINEAR = (
    "HRV_SD1",
    "HRV_SD2",
    "HRV_SD1SD2",
    "HRV_S",
    "HRV_CSI",
    "HRV_CVI",
    "HRV_CSI_Modified",
    "HRV_SampEn",
)
LOWEST_RATE = {"ecg": 50.0, "ppg": 10.0}  # Hz
SHORTEST_RR = 300.0  # ms, 200 beats a minute
LONGEST_RR = 2000.0  # ms, 30 beats a minute
SLOWEST_RR = 2500.0  # ms, 24 beats a minute, the longest interval of a slow heart
_SLOW = 1500.0  # ms, the median interval of a slow heart
_BANDS = {"VLF": (0.0033, 0.04), "LF": (0.04, 0.15), "HF": (0.15, 0.4)}  # Hz
_TOTAL = (0.0, 0.5)
_LONGEST_SERIES_RR = 60_000.0  # ms, far beyond any heart
_RR_RATE = 4.0  # Hz, of the interpolated RR series


def check_rate(sampling_rate: float, signal: str) -> None:
    """Raise for a sampling rate too low for the intervals between heartbeats.

    On simulated signals, RMSSD is off by 1 % at 16 Hz for a pulse, by 2 % at 12 Hz, up to 20 %
    at 10 Hz, and a factor of 3 at 8 Hz; for an ECG by 5 % at 50 Hz, and a factor of 8 at 40 Hz.
    """
    lowest = LOWEST_RATE[signal]
    if sampling_rate < lowest:
        name = "an ECG" if signal == "ecg" else "a pulse"
        raise ValueError(
            f"At a sampling rate of {sampling_rate:g} Hz the intervals between heartbeats cannot "
            f"be measured: {name} needs at least {lowest:g} Hz. Pass the signal as recorded."
        )


def bridge_rr_gaps(rr: NDArray, beats: ArrayLike) -> NDArray:
    """RR series whose gaps are filled with equal intervals.

    A gap is divided into the number of intervals that brings their length closest to the median.
    If the gaps make up more than a fifth of the time, they stay.
    """
    n_windows, n_intervals = rr.shape
    kept = np.isfinite(rr)
    if not kept.any():
        return rr
    before, after = (np.cumsum(each, axis=1) > 0 for each in (kept, kept[:, ::-1]))
    rows, columns = np.nonzero(before & after[:, ::-1])
    in_gap = ~kept[rows, columns]
    # Successive missing intervals form one span.
    goes_on = np.append(False, in_gap[1:] & in_gap[:-1] & (rows[1:] == rows[:-1]))
    first = np.flatnonzero(~goes_on)
    # A NaN between two beats is part of the span between them.
    known = np.fmax.accumulate(np.asarray(beats, float), axis=1)
    durations = np.diff(known, axis=1)[rows, columns] * 1000
    spans = np.add.reduceat(durations, first)
    rows, in_gap = rows[first], in_gap[first]
    median = np.full(n_windows, np.nan)
    some = kept.any(axis=1)
    median[some] = np.nanmedian(rr[some], axis=1)
    n_pieces = np.where(in_gap, np.fmax(np.rint(spans / median[rows]), 1), 1).astype(int)
    gaps, total = (np.bincount(rows, each, n_windows) for each in (spans * in_gap, spans))
    n_each = np.bincount(rows, n_pieces, n_windows).astype(int)
    bridged = np.full((n_windows, max(n_intervals, n_each.max())), np.nan)
    bridged[np.repeat(rows, n_pieces), count_up(n_each)] = np.repeat(spans / n_pieces, n_pieces)
    broken = ~(gaps <= _BRIDGED * total)
    bridged[broken, :n_intervals], bridged[broken, n_intervals:] = rr[broken], np.nan
    return bridged


def count_up(n_each: NDArray) -> NDArray:
    """Concatenate the counts from 0 to n - 1 for each n."""
    return np.arange(n_each.sum()) - np.repeat(np.cumsum(n_each) - n_each, n_each)


def regular_intervals(rr: ArrayLike, max_deviation: float = LARGEST_DEVIATION) -> NDArray:
    """RR intervals that are similar to the ones around them.

    A false or missed beat gives intervals of half or twice the length, which dominate the
    differences between successive intervals. As in the usual filters for RR series [1]_,
    intervals that differ too much are left out and not replaced. They are compared with the
    median of their neighbours rather than with the previous interval, so that one error does
    not cause the next.

    Parameters
    ----------
    rr : array of shape (n_windows, n_intervals)
        RR intervals, NaN where there is none.
    max_deviation : float, default=0.25
        Largest relative difference from the median of the interval itself, the five before
        and the five after it.

    Returns
    -------
    ndarray of shape (n_windows, n_intervals)
        `rr`, with NaN for intervals that differ more.

    References
    ----------
    .. [1] Malik et al. (1989), Heart rate variability in relation to prognosis after
       myocardial infarction: selection of optimal processing techniques, European Heart
       Journal 10(12), 1060-1074.

    Examples
    --------
    >>> from skemo.kernels.hrv import regular_intervals
    >>> regular_intervals([[800.0, 850.0, 1650.0, 820.0, 400.0, 420.0, 790.0]])
    array([[800., 850.,  nan, 820.,  nan,  nan, 790.]])
    """
    rr = _series(rr)
    rows, columns = np.nonzero(np.isfinite(rr))
    beyond = np.pad(rr, ((0, 0), (N_AROUND, N_AROUND)), constant_values=np.nan)
    typical = median_around(beyond.ravel(), rows * beyond.shape[1] + columns + N_AROUND)
    alike = np.abs(rr[rows, columns] - typical) <= max_deviation * typical + 1e-9
    rows, columns = rows[alike], columns[alike]
    regular = np.full(rr.shape, np.nan)
    regular[rows, columns] = rr[rows, columns]
    return regular


def median_around(intervals: NDArray, places: NDArray) -> NDArray:
    """Median of the interval at each place, the five before and the five after it.

    Parameters
    ----------
    intervals : array of shape (n_intervals,)
        Rows one after the other, with at least five NaN before and after each of them.
    places : int array of shape (n_places,)
    """
    if not len(places):
        return np.zeros(0)
    around = np.lib.stride_tricks.sliding_window_view(intervals, 2 * N_AROUND + 1)
    return nan_median(around[places - N_AROUND])


def sliding(values: NDArray, width: int) -> NDArray:
    """Sliding windows over each row, at most as wide as the row."""
    width = min(width, values.shape[1])
    return np.lib.stride_tricks.sliding_window_view(values, width, axis=1)


def beat_times(beats: ArrayLike, shape: str | None = None) -> NDArray[np.float64]:
    """Return the beat times of windows, NaN between and after them, or raise an error.

    Raises
    ------
    ValueError
        If they are not real numbers, or do not increase within each window.
    """
    times = real_samples(beats, "beats", shape, may_be_empty=True).astype(float)
    wrong = ~increasing(times)
    if wrong.any():
        raise ValueError(
            f"The beat times of {np.count_nonzero(wrong)} of {wrong.size} windows do not increase: "
            "sort them, and drop repeated ones."
        )
    return times


def increasing(times: NDArray) -> NDArray[np.bool_]:
    """Whether the beat times of each window increase, apart from NaN."""
    before = np.fmax.accumulate(times, axis=-1)
    return np.asarray(~(times[..., 1:] <= before[..., :-1]).any(axis=-1))


def rr_intervals(beats: ArrayLike) -> NDArray:
    """Intervals between successive heartbeats, in milliseconds.

    Parameters
    ----------
    beats : array of shape (n_windows, max_beats)
        Beat times in seconds, in order, NaN after the last. A NaN between two beats means that
        another beat may be hidden there.

    Returns
    -------
    ndarray of shape (n_windows, max_beats - 1)
        NaN after the last interval and on both sides of a NaN. An interval under 300 or over
        2000 ms (over 200 or under 30 beats a minute) is not between two successive heartbeats:
        it becomes NaN and is not replaced. If the median interval is over 1500 ms, as in a
        sleeping athlete, the upper limit is 2500 ms.

    Examples
    --------
    >>> from skemo.kernels.hrv import rr_intervals
    >>> rr_intervals([[0.5, 1.3, 2.2, 5.0, 5.75, float("nan")]]).round(1)
    array([[800., 900.,  nan, 750.,  nan]])
    """
    beats = beat_times(beats)
    intervals = np.diff(beats, axis=-1) * 1000
    plausible = (intervals >= SHORTEST_RR - 1e-6) & (intervals <= LONGEST_RR + 1e-6)
    for row in np.argwhere(((intervals > LONGEST_RR) & (intervals <= SLOWEST_RR)).any(axis=-1)):
        if np.nanmedian(intervals[*row]) > _SLOW:
            plausible[*row] |= (intervals[*row] > LONGEST_RR) & (intervals[*row] <= SLOWEST_RR)
    return np.where(plausible, intervals, np.nan)


def _series(rr: ArrayLike) -> NDArray[np.float64]:
    """Return RR series as floats, checked."""
    rr = real_samples(rr, "rr", "(n_windows, n_intervals)", may_be_empty=True).astype(float)
    if not ((rr > 0) & (rr <= _LONGEST_SERIES_RR) | np.isnan(rr)).all():
        raise ValueError(
            f"RR intervals must be above 0 and at most {_LONGEST_SERIES_RR:g} ms; fill up series "
            "with NaN."
        )
    return rr


def hrv_time(rr: ArrayLike) -> dict[str, NDArray]:
    """Time-domain heart-rate variability.

    Parameters
    ----------
    rr : array of shape (n_windows, n_intervals)
        RR intervals in milliseconds. A NaN, at the end or in between, is not an interval, and
        no difference is taken across it.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)
        In milliseconds: HRV_MeanNN, HRV_SDNN (divisor n - 1), HRV_RMSSD, HRV_SDSD,
        HRV_MedianNN, HRV_MadNN (median absolute deviation times 1.4826), HRV_IQRNN,
        HRV_Prc20NN, HRV_Prc80NN, HRV_MinNN, HRV_MaxNN. As ratios: HRV_CVNN, HRV_CVSD,
        HRV_MCVNN, HRV_SDRMSSD. In percent: HRV_pNN50, HRV_pNN20, the number of differences
        over 50 or 20 ms divided by that of all differences plus one, as in NeuroKit2.
        NaN where there are too few intervals: one is needed, two for the spread and the
        differences, three for HRV_SDSD.

    Notes
    -----
    Variation of at most 1e-4 of the mean interval is an error of the beat times. In the
    features of this module it counts as 0, and ratios to it and logarithms of it are NaN. If the
    standard deviation is that small, so is all variation.

    Examples
    --------
    >>> from skemo.kernels.hrv import hrv_time
    >>> features = hrv_time([[800.0, 900.0, 800.0, 900.0]])
    >>> features["HRV_MeanNN"], features["HRV_RMSSD"]
    (array([850.]), array([100.]))
    """
    rr = _series(rr)
    n = np.isfinite(rr).sum(axis=1)
    mean, deviation = mean_and_deviation(rr)
    differences = np.diff(rr, axis=1)
    n_differences = np.isfinite(differences).sum(axis=1)
    _, deviation_of_differences = mean_and_deviation(differences)
    rmssd = np.sqrt(divide(np.nansum(differences**2, axis=1), n_differences))
    steady = deviation <= _ROUNDING * mean
    ordered = np.sort(rr, axis=1)  # NaN last
    median = _quantile(ordered, n, 0.5)
    from_median = np.sort(np.abs(rr - median[:, np.newaxis]), axis=1)
    mad = 1.4826 * _quantile(from_median, n, 0.5)
    iqr = _quantile(ordered, n, 0.75) - _quantile(ordered, n, 0.25)
    deviation, deviation_of_differences, rmssd, mad, iqr = (
        _zero_if_rounding(spread, mean, steady)
        for spread in (deviation, deviation_of_differences, rmssd, mad, iqr)
    )
    # The margin is for rounding: sampled beat times give differences of exactly 20 ms.
    over = {
        limit: np.where(
            n_differences > 0,
            100 * (np.abs(differences) > limit + 1e-6).sum(axis=1) / (n_differences + 1),
            np.nan,
        )
        for limit in (50, 20)
    }
    features = (
        mean,
        deviation,
        rmssd,
        deviation_of_differences,
        divide(deviation, mean),
        divide(rmssd, mean),
        median,
        mad,
        divide(mad, median),
        iqr,
        divide(deviation, rmssd),
        _quantile(ordered, n, 0.2),
        _quantile(ordered, n, 0.8),
        over[50],
        over[20],
        _quantile(ordered, n, 0.0),
        _quantile(ordered, n, 1.0),
    )
    return dict(zip(HRV_TIME, features, strict=True))


def hrv_frequency(rr: ArrayLike) -> dict[str, NDArray]:
    """Frequency-domain heart-rate variability.

    The intervals, each at the time of the beat that ends it, are interpolated by a natural
    cubic spline at 4 Hz. The mean is subtracted, one Hann-tapered periodogram is taken over the
    whole window, and the power of a band is the sum of the density over ``low <= f < high``. A
    sine of amplitude A ms has the power A²/2 ms².

    Parameters
    ----------
    rr : array of shape (n_windows, n_intervals)
        RR intervals in milliseconds, NaN after the last, or before the first.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)
        In ms²: HRV_VLF (0.0033 to 0.04 Hz), HRV_LF (0.04 to 0.15), HRV_HF (0.15 to 0.4),
        HRV_TP (0 to 0.5). As ratios: HRV_LFHF; HRV_LFn and HRV_HFn, the share of HRV_TP.
        HRV_LnHF, the natural logarithm.
        A band is NaN where the intervals together are shorter than one cycle of its lower
        edge: HF needs 6.7 s, LF 25 s, VLF 303 s. All are NaN with fewer than four intervals,
        and where an interval between others is missing, since the times of the others are then
        unknown. Power that is a rounding error (see :func:`hrv_time`) is 0.

    Notes
    -----
    One cycle is the minimum that can be distinguished from a trend, and does not give a good
    estimate: the Task Force (1996) [1]_ asks for ten, which is one minute for HF and four for
    LF. Values depend on the definition: NeuroKit2 scales the density to a maximum of one by
    default.

    References
    ----------
    .. [1] Task Force of the European Society of Cardiology (1996), Heart rate variability:
       standards of measurement, Circulation 93(5), 1043-1065.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.hrv import hrv_frequency
    >>> rr = 800 + 40 * np.sin(2 * np.pi * 0.25 * 0.8 * np.arange(75))
    >>> features = hrv_frequency(rr[np.newaxis])
    >>> bool(features["HRV_HF"][0] > 100 * features["HRV_LF"][0])
    True
    """
    series = _from_first_interval(_series(rr))
    n = np.isfinite(series).sum(axis=1)
    unbroken = np.isfinite(series) == (np.arange(series.shape[1]) < n[:, np.newaxis])
    usable = np.flatnonzero((n >= 4) & unbroken.all(axis=1))
    power = {name: np.full(len(series), np.nan) for name in (*_BANDS, "TP")}
    if len(usable):
        n = n[usable]
        series = series[usable, : n.max()]
        ends = np.cumsum(series, axis=1) / 1000
        last = ends[np.arange(len(series)), n - 1]
        n_samples = np.floor((last - ends[:, 0]) * _RR_RATE + 1e-9).astype(int) + 1
        steps = np.minimum(np.arange(n_samples.max()), n_samples[:, np.newaxis] - 1) / _RR_RATE
        samples = interpolate(ends, series, n, ends[:, :1] + steps)
        mean, deviation = mean_and_deviation(series)
        rounding = np.where(deviation <= _ROUNDING * mean, np.inf, (_ROUNDING * mean) ** 2)
        for rows, frequencies, density in hann_periodogram(samples, n_samples, _RR_RATE):
            for name, (low, high) in {**_BANDS, "TP": _TOTAL}.items():
                band = (frequencies >= low) & (frequencies < high)
                total = density[:, band].sum(axis=1) * frequencies[1]
                total = np.where(total <= rounding[rows], 0.0, total)
                resolved = last[rows] * low >= 1
                power[name][usable[rows]] = np.where(resolved | (low == 0), total, np.nan)
    vlf, lf, hf, total = power.values()
    with np.errstate(divide="ignore"):
        log_hf = np.log(np.where(hf > 0, hf, np.nan))
    features = (vlf, lf, hf, total, divide(lf, hf), divide(lf, total), divide(hf, total), log_hf)
    return dict(zip(HRV_FREQUENCY, features, strict=True))


def hrv_nonlinear(rr: ArrayLike) -> dict[str, NDArray]:
    """Heart-rate variability from the Poincaré plot, and sample entropy.

    Parameters
    ----------
    rr : array of shape (n_windows, n_intervals)
        RR intervals in milliseconds. A NaN, at the end or in between, is not an interval, and
        the intervals on its two sides are not neighbours.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)
        HRV_SD1 and HRV_SD2 (ms), HRV_SD1SD2, HRV_S (the ellipse's area, ms²), HRV_CSI,
        HRV_CVI, HRV_CSI_Modified, and HRV_SampEn (dimension 2, tolerance 0.2 of the
        standard deviation).
        NaN where there are fewer than three intervals, and where a ratio or a logarithm is not
        finite, such as the sample entropy of a window in which no two sequences of three
        intervals are similar (infinite in NeuroKit2), which is common in ten seconds. A heart
        without variation (see :func:`hrv_time`) has no sample entropy either, because the
        tolerance is relative to the variation.

    Examples
    --------
    >>> from skemo.kernels.hrv import hrv_nonlinear
    >>> hrv_nonlinear([[800.0, 900.0, 800.0, 900.0, 850.0]])["HRV_SD1"].round(2)
    array([72.89])
    """
    rr = _series(rr)
    mean, deviation = mean_and_deviation(rr)
    before, after = rr[:, :-1], rr[:, 1:]
    _, sd1 = mean_and_deviation((before - after) / np.sqrt(2))
    _, sd2 = mean_and_deviation((before + after) / np.sqrt(2))
    steady = deviation <= _ROUNDING * mean
    sd1, sd2, deviation = (_zero_if_rounding(each, mean, steady) for each in (sd1, sd2, deviation))
    product = 16 * sd1 * sd2
    features = (
        sd1,
        sd2,
        divide(sd1, sd2),
        np.pi * sd1 * sd2,
        divide(sd2, sd1),
        np.log10(np.where(product > 0, product, np.nan)),
        divide(4 * sd2**2, sd1),
        _sample_entropy(rr, deviation),
    )
    return dict(zip(HRV_NONLINEAR, features, strict=True))


def _sample_entropy(rr, deviation):
    """Sample entropy of dimension 2, by counting the similar stretches at each lag."""
    entropy = np.full(len(rr), np.nan)
    filled = np.isfinite(rr).any(axis=0)
    rr = rr[:, : len(filled) - filled[::-1].argmax()] if filled.any() else rr[:, :0]
    if rr.shape[1] < 4:
        return entropy
    # Without variation there is no tolerance to compare with: NaN, for which nothing is similar.
    tolerance = np.where(deviation > 0, 0.2 * deviation, np.nan)
    # Rows are intervals here, so that each comparison runs over all windows at once.
    rr = np.ascontiguousarray(rr.T)
    complete = np.isfinite(rr[:-2]) & np.isfinite(rr[1:-1]) & np.isfinite(rr[2:])
    pairs = np.zeros((2, rr.shape[1]), int)
    for lag in range(1, len(complete)):
        alike = np.abs(rr[lag:] - rr[:-lag]) <= tolerance
        two = alike[:-2] & alike[1:-1] & complete[lag:] & complete[:-lag]
        pairs[0] += np.count_nonzero(two, axis=0)
        pairs[1] += np.count_nonzero(two & alike[2:], axis=0)
    defined = pairs.all(axis=0)
    entropy[defined] = np.log(pairs[0, defined] / pairs[1, defined])
    return entropy


def _from_first_interval(rr):
    """RR series shifted to the left so that each begins with its first interval."""
    if not np.isnan(rr[:, :1]).any():
        return rr
    n_before = np.isfinite(rr).argmax(axis=1)[:, np.newaxis]
    place = np.arange(rr.shape[1]) + n_before
    shifted = np.take_along_axis(rr, np.minimum(place, rr.shape[1] - 1), axis=1)
    return np.where(place < rr.shape[1], shifted, np.nan)


def _zero_if_rounding(spread, mean, steady):
    """Measure of variation (ms), 0 where it or all variation is an error of timing."""
    return np.where((spread <= _ROUNDING * mean) | (steady & ~np.isnan(spread)), 0.0, spread)


def _quantile(ordered, n, q):
    """Quantile of the first `n` values of each sorted row, interpolated as in NumPy."""
    if ordered.shape[1] == 0:
        return np.full(len(ordered), np.nan)
    position = np.maximum(n - 1, 0) * q
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    row = np.arange(len(ordered))
    low, high = ordered[row, below], ordered[row, above]
    return low + (high - low) * (position - below)
