"""Heart-rate variability: features of many RR series at once, under NeuroKit2's names."""

import numpy as np

from skemo.kernels.filters import hann_periodogram, interpolate

_BRIDGED = 0.2  # of an RR series, the most that may be bridged for its spectrum
_N_AROUND = 5  # intervals to either side, of which that median is
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
SHORTEST_RR = 300.0  # ms, 200 beats a minute
LONGEST_RR = 2000.0  # ms, 30 beats a minute
SLOWEST_RR = 2500.0  # ms, 24 beats a minute, the longest interval of a slow heart
_SLOW = 1500.0  # ms, the median interval of a slow heart
_BANDS = {"VLF": (0.0033, 0.04), "LF": (0.04, 0.15), "HF": (0.15, 0.4)}  # Hz
_TOTAL = (0.0, 0.5)
_RR_RATE = 4.0  # Hz, of the interpolated RR series


def bridge_rr_gaps(rr, beats):
    """RR series in which intervals of one length stand for those left out between others.

    As many as come nearest to the median. Where they would be over a fifth of the time, the
    gaps stay.
    """
    n_windows, n_intervals = rr.shape
    kept = np.isfinite(rr)
    if not kept.any():
        return rr
    before, after = (np.cumsum(each, axis=1) > 0 for each in (kept, kept[:, ::-1]))
    rows, columns = np.nonzero(before & after[:, ::-1])
    in_gap = ~kept[rows, columns]
    # Intervals of a gap that follow one another are one span.
    goes_on = np.append(False, in_gap[1:] & in_gap[:-1] & (rows[1:] == rows[:-1]))
    first = np.flatnonzero(~goes_on)
    # A break between two beats, NaN, counts as a part of their span.
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


def count_up(n_each):
    """0 to n - 1 for each n, one after another."""
    return np.arange(n_each.sum()) - np.repeat(np.cumsum(n_each) - n_each, n_each)


def regular_intervals(rr, max_deviation=0.25):
    """RR intervals that resemble those around them.

    A beat too many or too few makes intervals of half or twice the length, which dominate
    the differences between successive ones. As in the usual filters of RR series [1]_, what
    differs too much is left out and nothing is put in its place; it is held here against the
    median of its neighbours and not against the last interval, so that one error does not
    throw out the next.

    Parameters
    ----------
    rr : array of shape (n_windows, n_intervals)
        RR intervals, NaN for none.
    max_deviation : float, default=0.25
        Largest difference from the median of the interval, the five before and the five
        after, as a part of that median.

    Returns
    -------
    ndarray of shape (n_windows, n_intervals)
        `rr`, with NaN where an interval differs more.

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
    rr = np.asarray(rr, float)
    rows, columns = np.nonzero(np.isfinite(rr))
    beyond = np.pad(rr, ((0, 0), (_N_AROUND, _N_AROUND)), constant_values=np.nan)
    around = np.sort(sliding(beyond, 2 * _N_AROUND + 1)[rows, columns], axis=1)  # NaN last
    n, each = np.isfinite(around).sum(axis=1), np.arange(len(rows))
    median = (around[each, (n - 1) // 2] + around[each, n // 2]) / 2
    alike = np.abs(rr[rows, columns] - median) <= max_deviation * median + 1e-9
    rows, columns = rows[alike], columns[alike]
    regular = np.full(rr.shape, np.nan)
    regular[rows, columns] = rr[rows, columns]
    return regular


def sliding(values, width):
    width = min(width, values.shape[1])
    return np.lib.stride_tricks.sliding_window_view(values, width, axis=1)


def rr_intervals(beats):
    """Intervals between successive heartbeats, in milliseconds.

    Parameters
    ----------
    beats : array of shape (n_windows, max_beats)
        Beat times in seconds, in order, NaN after the last. A NaN between two beats says that
        another may be hidden there.

    Returns
    -------
    ndarray of shape (n_windows, max_beats - 1)
        NaN after the last interval and on both sides of a NaN. An interval under 300 or over
        2000 ms, over 200 or under 30 beats a minute, is NaN where it stands: it is not
        between two successive heartbeats, and nothing is put in its place. Where the median
        interval is over 1500 ms, as in an athlete asleep, the limit is 2500 ms.

    Examples
    --------
    >>> from skemo.kernels.hrv import rr_intervals
    >>> rr_intervals([[0.5, 1.3, 2.2, 5.0, 5.75, float("nan")]]).round(1)
    array([[800., 900.,  nan, 750.,  nan]])
    """
    intervals = np.diff(np.asarray(beats, float), axis=-1) * 1000
    plausible = (intervals >= SHORTEST_RR - 1e-6) & (intervals <= LONGEST_RR + 1e-6)
    for row in np.argwhere(((intervals > LONGEST_RR) & (intervals <= SLOWEST_RR)).any(axis=-1)):
        if np.nanmedian(intervals[*row]) > _SLOW:
            plausible[*row] |= (intervals[*row] > LONGEST_RR) & (intervals[*row] <= SLOWEST_RR)
    return np.where(plausible, intervals, np.nan)


def hrv_time(rr):
    """Time-domain heart-rate variability.

    Parameters
    ----------
    rr : array of shape (n_windows, n_intervals)
        RR intervals in milliseconds. NaN, at the end or between, counts as no interval, and
        no difference is taken across it.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)
        In milliseconds: HRV_MeanNN, HRV_SDNN (divisor n - 1), HRV_RMSSD, HRV_SDSD,
        HRV_MedianNN, HRV_MadNN (median absolute deviation times 1.4826), HRV_IQRNN,
        HRV_Prc20NN, HRV_Prc80NN, HRV_MinNN, HRV_MaxNN. As ratios: HRV_CVNN, HRV_CVSD,
        HRV_MCVNN, HRV_SDRMSSD. In percent: HRV_pNN50, HRV_pNN20, the differences over 50
        or 20 ms, divided, as NeuroKit2 does, by their number plus one.
        NaN where there are too few intervals: one, two for the spread and the differences,
        three for HRV_SDSD.

    Examples
    --------
    >>> from skemo.kernels.hrv import hrv_time
    >>> features = hrv_time([[800.0, 900.0, 800.0, 900.0]])
    >>> features["HRV_MeanNN"], features["HRV_RMSSD"]
    (array([850.]), array([100.]))
    """
    rr = np.asarray(rr, float)
    n = np.isfinite(rr).sum(axis=1)
    mean, deviation = _mean_and_deviation(rr)
    differences = np.diff(rr, axis=1)
    n_differences = np.isfinite(differences).sum(axis=1)
    spread = np.abs(differences)
    _, deviation_of_differences = _mean_and_deviation(differences)
    rmssd = np.sqrt(_divide(np.nansum(differences**2, axis=1), n_differences))
    ordered = np.sort(rr, axis=1)  # NaN last
    median = _quantile(ordered, n, 0.5)
    from_median = np.sort(np.abs(rr - median[:, np.newaxis]), axis=1)
    mad = 1.4826 * _quantile(from_median, n, 0.5)
    # The margin is for rounding: sampled beat times make differences of 20 ms exactly.
    over = {
        limit: np.where(
            n_differences > 0,
            100 * (spread > limit + 1e-6).sum(axis=1) / (n_differences + 1),
            np.nan,
        )
        for limit in (50, 20)
    }
    features = (
        mean,
        deviation,
        rmssd,
        deviation_of_differences,
        _divide(deviation, mean),
        _divide(rmssd, mean),
        median,
        mad,
        _divide(mad, median),
        _quantile(ordered, n, 0.75) - _quantile(ordered, n, 0.25),
        _divide(deviation, rmssd),
        _quantile(ordered, n, 0.2),
        _quantile(ordered, n, 0.8),
        over[50],
        over[20],
        _quantile(ordered, n, 0.0),
        _quantile(ordered, n, 1.0),
    )
    return dict(zip(HRV_TIME, features, strict=True))


def hrv_frequency(rr):
    """Frequency-domain heart-rate variability.

    The intervals, each at the time of the beat that ends it, are interpolated by a natural
    cubic spline at 4 Hz. Of the result, less its mean, one Hann-tapered periodogram is taken
    over the whole window, and the power of a band is the sum of the density over
    ``low <= f < high``. A sine of amplitude A ms has the power A²/2 ms².

    Parameters
    ----------
    rr : array of shape (n_windows, n_intervals)
        RR intervals in milliseconds, NaN after the last.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)
        In ms²: HRV_VLF (0.0033 to 0.04 Hz), HRV_LF (0.04 to 0.15), HRV_HF (0.15 to 0.4),
        HRV_TP (0 to 0.5). As ratios: HRV_LFHF; HRV_LFn and HRV_HFn, the part of HRV_TP.
        HRV_LnHF, the natural logarithm.
        A band is NaN where the intervals together do not last for one cycle of its lower
        edge: HF takes 6.7 s, LF 25 s, VLF 303 s. All are NaN with fewer than four
        intervals, and where an interval is missing between others, which leaves the time
        of the rest unknown.

    Notes
    -----
    One cycle is the least that can be told from a trend, and not a good estimate: the Task
    Force (1996) [1]_ asks for ten, that is one minute for HF and four for LF. Values differ
    between definitions: NeuroKit2 scales the density to a maximum of one unless told not to.

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
    rr = np.asarray(rr, float)
    n = np.isfinite(rr).sum(axis=1)
    unbroken = np.isfinite(rr) == (np.arange(rr.shape[1]) < n[:, np.newaxis])
    usable = np.flatnonzero((n >= 4) & unbroken.all(axis=1))
    power = {name: np.full(len(rr), np.nan) for name in (*_BANDS, "TP")}
    if len(usable):
        n = n[usable]
        rr = rr[usable, : n.max()]
        ends = np.cumsum(rr, axis=1) / 1000
        last = ends[np.arange(len(rr)), n - 1]
        n_samples = np.floor((last - ends[:, 0]) * _RR_RATE + 1e-9).astype(int) + 1
        steps = np.minimum(np.arange(n_samples.max()), n_samples[:, np.newaxis] - 1) / _RR_RATE
        samples = interpolate(ends, rr, n, ends[:, :1] + steps)
        for rows, frequencies, density in hann_periodogram(samples, n_samples, _RR_RATE):
            for name, (low, high) in {**_BANDS, "TP": _TOTAL}.items():
                band = (frequencies >= low) & (frequencies < high)
                total = density[:, band].sum(axis=1) * frequencies[1]
                resolved = last[rows] * low >= 1
                power[name][usable[rows]] = np.where(resolved | (low == 0), total, np.nan)
    vlf, lf, hf, total = power.values()
    with np.errstate(divide="ignore"):
        log_hf = np.log(np.where(hf > 0, hf, np.nan))
    features = (vlf, lf, hf, total, _divide(lf, hf), _divide(lf, total), _divide(hf, total), log_hf)
    return dict(zip(HRV_FREQUENCY, features, strict=True))


def hrv_nonlinear(rr):
    """Heart-rate variability from the Poincaré plot, and sample entropy.

    Parameters
    ----------
    rr : array of shape (n_windows, n_intervals)
        RR intervals in milliseconds. NaN, at the end or between, counts as no interval, and
        intervals on its two sides are no neighbours.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)
        HRV_SD1 and HRV_SD2 (ms), HRV_SD1SD2, HRV_S (the ellipse's area, ms²), HRV_CSI,
        HRV_CVI, HRV_CSI_Modified, and HRV_SampEn (dimension 2, tolerance 0.2 of the
        standard deviation).
        NaN where there are fewer than three intervals, and where a ratio or a logarithm has
        no finite value, as the sample entropy of a window in which no two stretches of
        three intervals are alike (NeuroKit2 gives infinity there). In ten seconds that is
        common.

    Examples
    --------
    >>> from skemo.kernels.hrv import hrv_nonlinear
    >>> hrv_nonlinear([[800.0, 900.0, 800.0, 900.0, 850.0]])["HRV_SD1"].round(2)
    array([72.89])
    """
    rr = np.asarray(rr, float)
    before, after = rr[:, :-1], rr[:, 1:]
    _, sd1 = _mean_and_deviation((before - after) / np.sqrt(2))
    _, sd2 = _mean_and_deviation((before + after) / np.sqrt(2))
    product = 16 * sd1 * sd2
    features = (
        sd1,
        sd2,
        _divide(sd1, sd2),
        np.pi * sd1 * sd2,
        _divide(sd2, sd1),
        np.log10(np.where(product > 0, product, np.nan)),
        _divide(4 * sd2**2, sd1),
        _sample_entropy(rr),
    )
    return dict(zip(HRV_NONLINEAR, features, strict=True))


def _sample_entropy(rr):
    """Sample entropy of dimension 2, by counting for each lag the stretches that are alike."""
    entropy = np.full(len(rr), np.nan)
    filled = np.isfinite(rr).any(axis=0)
    rr = rr[:, : len(filled) - filled[::-1].argmax()] if filled.any() else rr[:, :0]
    if rr.shape[1] < 4:
        return entropy
    # Rows are intervals here, so that each comparison runs over all windows at once.
    tolerance = 0.2 * _mean_and_deviation(rr)[1]
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


def _mean_and_deviation(values):
    """Mean, and standard deviation with divisor n - 1, of what is not NaN in each row."""
    n = np.isfinite(values).sum(axis=1)
    mean = _divide(np.nansum(values, axis=1), n)
    squares = np.nansum((values - mean[:, np.newaxis]) ** 2, axis=1)
    return mean, np.sqrt(_divide(squares, n - 1))


def _quantile(ordered, n, q):
    """Quantile of the first `n` of each ordered row, interpolated as NumPy does."""
    if ordered.shape[1] == 0:
        return np.full(len(ordered), np.nan)
    position = np.maximum(n - 1, 0) * q
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    row = np.arange(len(ordered))
    low, high = ordered[row, below], ordered[row, above]
    return low + (high - low) * (position - below)


def _divide(numerator, denominator):
    """Quotient, NaN where the denominator is not positive."""
    return numerator / np.where(denominator > 0, denominator, np.nan)
