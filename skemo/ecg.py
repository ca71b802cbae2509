"""Heart-rate variability of ECG and pulse windows, as RR series or as named features."""

import warnings
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skemo._doc_links import DocLinkMixin
from skemo._validation import choose_features, signal_name, validate_signals, wrap_signals
from skemo.heartbeats import check_detector, max_beats, r_peaks, regular_intervals
from skemo.hrv import (
    HRV_FREQUENCY,
    HRV_NONLINEAR,
    HRV_TIME,
    hrv_frequency,
    hrv_nonlinear,
    hrv_time,
    rr_intervals,
)

FEATURES = {"time": HRV_TIME, "frequency": HRV_FREQUENCY, "nonlinear": HRV_NONLINEAR}

_KERNELS = {"time": hrv_time, "frequency": hrv_frequency, "nonlinear": hrv_nonlinear}
_STRETCH, _INNER = 30.0, 20.0  # s, of a recording in which beats are looked for together
_DOUBT = 0.05  # s, by which two stretches may place one beat apart
_PULSE_DEVIATION = 0.25  # of an RR interval from the median around, with max_deviation="auto"
_USABLE = 0.2  # of a window of the pulse that its intervals must cover
_BRIDGED = 0.2  # of an RR series, the most that may be bridged for its spectrum
_CHUNK = 1 << 20  # samples handed to a process at once


def find_beats(recording, *, name="ecg", signal="ecg", method="skemo", beats="beats"):
    """Find the heartbeats of a whole recording, and let them go along with it.

    Windows that are cut afterwards lose no beat at their edges, and each beat is found once
    however much windows overlap: ``skemo.segment(map(find_beats, recordings), 10)`` has a
    column of beat times, which ``HRVTransformer(signal="beats")`` takes. The recording is
    looked at in stretches of 30 s, of which the inner 20 s count; a stretch in which there
    is nothing to see (:func:`skemo.heartbeats.r_peaks`) has no beats.

    Of a pulse, stretches disturbed by movement have none either, however short: pass
    ``max_deviation=0.25`` to ``HRVTransformer(signal="beats")``, so that a single beat that
    lacks makes no interval of twice the length.

    Parameters
    ----------
    recording : Recording
    name : str, default="ecg"
        The signal to look at. Of several channels, each stretch takes the first that shows
        beats.
    signal : {"ecg", "ppg"}, default="ecg"
        What it is.
    method : str, default="skemo"
        Detector, as :func:`skemo.heartbeats.r_peaks` names them.
    beats : str, default="beats"
        Name of the beats, and of their column.

    Returns
    -------
    Recording
        With the times in ``recording.beats[beats]``, in seconds.

    Raises
    ------
    ValueError
        Where the recording has no such signal.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording, find_beats
    >>> phase = np.arange(7680) / 256 % 0.8 - 0.4
    >>> ecg = np.exp(-((phase / 0.01) ** 2))
    >>> recording = find_beats(Recording({"ecg": ecg}, {"ecg": 256}, subject="S2"))
    >>> recording.beats["beats"][:3].round(2).tolist()
    [0.4, 1.2, 2.0]
    """
    check_detector(method, signal)
    if name not in recording.signals:
        raise ValueError(
            f"The recording of subject {recording.subject!r} has no signal {name!r}, but "
            f"{list(recording.signals)}: pass name=."
        )
    values, rate = recording.signals[name], recording.sampling_rates[name]
    n_times = values.shape[1]
    length, step = (min(round(seconds * rate), n_times) for seconds in (_STRETCH, _INNER))
    starts = np.unique(np.minimum(np.arange(0, n_times, step), n_times - length))
    stretches = sliding_window_view(values, length, axis=1)[:, starts].swapaxes(0, 1)
    found = _channel_beats(stretches, rate, method, signal) + starts[:, np.newaxis] / rate
    # Each stretch counts up to the middle of where it overlaps with the next, and a little
    # beyond, since the two may place a beat there on unlike sides.
    borders = (starts[1:] + starts[:-1] + length) / 2 / rate
    inner = found >= np.append(-np.inf, borders - _DOUBT)[:, np.newaxis]
    inner &= found < np.append(borders + _DOUBT, np.inf)[:, np.newaxis]
    times = np.sort(found[inner])
    times = times[np.diff(times, prepend=-np.inf) > 2 * _DOUBT]
    return replace(recording, beats={**recording.beats, beats: times})


def _channel_beats(windows, sampling_rate, method, signal):
    """Beat times of windows (n_windows, n_channels, n_times), from the first that shows any."""
    beats = r_peaks(windows[:, 0], sampling_rate, method, signal)
    for channel in range(1, windows.shape[1]):
        unseen = np.flatnonzero(np.isnan(beats[:, 0]))
        if len(unseen):
            beats[unseen] = r_peaks(windows[unseen, channel], sampling_rate, method, signal)
    return beats


class HRVTransformer(DocLinkMixin, TransformerMixin, BaseEstimator):
    """Heart-rate variability of ECG or pulse windows, as RR series or as named features.

    For each window the heartbeats are found (:func:`skemo.heartbeats.r_peaks`), and given either
    as the series of the intervals between them, which a network takes, or as features under
    NeuroKit2's names (:mod:`skemo.hrv`). Nothing is learned from the rows.

    Parameters
    ----------
    output : {"series", "features"}, default="series"
        ``"series"`` gives a signal column of RR intervals in milliseconds, of shape
        (1, n_beats), zero after the last; ``"features"`` an array of shape
        (n_windows, n_features).
    signal : {"ecg", "ppg", "beats"}, default="ecg"
        What the windows hold: an ECG, a pulse wave (PPG, BVP), or beat times in seconds,
        NaN after the last, which need no sampling rate (:func:`skemo.find_beats`).
    method : str, default="skemo"
        Detector of heartbeats: ``"skemo"``, or one of NeuroKit2's that
        :func:`skemo.heartbeats.r_peaks` names.
    features : str or list of str, default="time"
        Names, as ``"HRV_RMSSD"``, and groups of them: ``"time"``, ``"frequency"``,
        ``"nonlinear"``, ``"all"``. With at least `min_beats` beats the group ``"time"`` has
        no NaN; of the others, long windows have few.
    n_beats : int or None, default=None
        Length of the series. None takes the most that a window can hold, at 0.3 s each: 33
        in ten seconds. Where a window has more intervals than a length given, the last
        are cut off with a warning.
    sampling_rate : float or None, default=None
        In hertz. A plain array needs it; a signal column carries its own.
    min_beats : int, default=4
        A window with fewer beats is missing: NaN throughout.
    max_deviation : float, None or "auto", default="auto"
        Leave out an interval that differs from the median of those around by more than this
        part of it (:func:`skemo.heartbeats.regular_intervals`). None leaves none out.
        ``"auto"`` is 0.25 for the pulse, whose beats have gaps where the wrist moved, and
        None for an ECG and for given beats.
    n_jobs : int or None, default=None
        Processes; worth it for detectors of NeuroKit2. The result is the same for any
        number.

    Attributes
    ----------
    signal_dtype_ : SignalDtype
        What a window of the fitted signal is: shape, sampling rate, channel names.
    n_features_in_ : int
        Number of columns of a table; channels of an array of three dimensions.
    feature_names_in_ : ndarray of str
        Column names, where `X` has them.

    Notes
    -----
    Of several channels, each window takes the first that shows beats, so that a lead that
    has come off is replaced by the next.

    Intervals under 300 or over 2000 ms, and those that `max_deviation` excludes, are left
    out: the series goes on with the next, and no difference is taken across them. The window
    then has no frequency features, except with `max_deviation`: there a gap is bridged by
    intervals of one length, the nearest to the median that fill it, if they are no more than
    a fifth of the time (of bridging, see [1]_). Ectopic beats are not corrected.

    A series with fewer than ``min_beats - 1`` intervals left is missing. So is a window of the
    pulse of which the intervals left cover less than a fifth; how much of it they cover tells
    how far to trust it: a minute of a wrist's pulse at rest is covered by four fifths and
    more, one with movement by less.

    References
    ----------
    .. [1] Morelli et al. (2019), Analysis of the impact of interpolation methods of missing
       RR-intervals caused by motion artifacts on HRV features estimations, Sensors 19(14),
       3163.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import HRVTransformer, SignalArray, signal_frame
    >>> phase = np.arange(2560) / 256 % 0.8 - 0.4
    >>> ecg = np.tile(np.exp(-((phase / 0.01) ** 2)), (3, 1))
    >>> X = signal_frame(ecg=SignalArray(ecg, sampling_rate=256))
    >>> hrv = HRVTransformer(output="features", features=["HRV_MeanNN"])
    >>> hrv.fit_transform(X).round(1).tolist()
    [[800.0], [800.0], [800.0]]
    """

    def __init__(
        self,
        output="series",
        signal="ecg",
        method="skemo",
        features="time",
        n_beats=None,
        sampling_rate=None,
        min_beats=4,
        max_deviation="auto",
        n_jobs=None,
    ):
        self.output = output
        self.signal = signal
        self.method = method
        self.features = features
        self.n_beats = n_beats
        self.sampling_rate = sampling_rate
        self.min_beats = min_beats
        self.max_deviation = max_deviation
        self.n_jobs = n_jobs

    def fit(self, X, y=None):
        """Check the parameters against `X`, and note what a window of it is.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._validate(X, reset=True)
        self._check_parameters()
        self._column = signal_name(X)
        return self

    def transform(self, X):
        """Find the heartbeats, and compute the series or the features.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)

        Returns
        -------
        array of shape (n_windows, n_features), or DataFrame of one signal column
            The latter with ``output="series"`` of a signal column. The series of an array
            of three dimensions is an array of shape (n_windows, 1, n_beats), of two
            (n_windows, n_beats).
        """
        signal = self._validate(X, reset=False)
        self._check_parameters()
        values, dtype = signal.values, signal.dtype
        step = max(1, _CHUNK // max(1, values[0].size))
        parts = Parallel(n_jobs=self.n_jobs)(
            delayed(self._transform_windows)(values[start : start + step], dtype)
            for start in range(0, len(values), step)
        )
        result = np.concatenate([part for part, _ in parts])
        if self.output == "features":
            return result
        n_cut = sum(n for _, n in parts)
        if n_cut:
            warnings.warn(
                f"{n_cut} of {len(values)} windows have more than n_beats={self.n_beats} RR "
                "intervals, and their last ones were cut off. Leave n_beats=None to keep all.",
                stacklevel=2,
            )
        return wrap_signals(result[:, np.newaxis], X, signal_name(X), channels=["rr"])

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns: ``HRV_RMSSD``, or the name of the signal column.

        The series of an array has the names ``rr0``, ``rr1``.

        Parameters
        ----------
        input_features : None
            Ignored; the names come from the fitted signal.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self, "signal_dtype_")
        if self.output == "features":
            names = choose_features(self.features, FEATURES)
        elif self._column is not None:
            names = [self._column]
        else:
            names = [f"rr{i}" for i in range(self._series_length(self.signal_dtype_))]
        return np.asarray(names, dtype=object)

    def _transform_windows(self, values, dtype):
        """Series or features of a few windows; and how many series are too long."""
        beats = self._beats(values, dtype.sampling_rate)
        rr = rr_intervals(beats)
        max_deviation = self.max_deviation
        if max_deviation == "auto":
            max_deviation = _PULSE_DEVIATION if self.signal == "ppg" else None
        if max_deviation is not None:
            rr = regular_intervals(rr, max_deviation)
        n_intervals = np.isfinite(rr).sum(axis=1)
        missing = n_intervals < self.min_beats - 1
        if self.signal == "ppg":
            duration = values.shape[-1] / dtype.sampling_rate
            missing |= np.nansum(rr, axis=1) / 1000 < _USABLE * duration
        if self.output == "features":
            rr[missing] = np.nan
            names = choose_features(self.features, FEATURES)
            columns = {}
            for group, compute in _KERNELS.items():
                if not set(names).isdisjoint(FEATURES[group]):
                    bridged = group == "frequency" and max_deviation is not None
                    columns |= compute(_bridge_gaps(rr, beats) if bridged else rr)
            return np.stack([columns[name] for name in names], axis=1), 0
        length = self._series_length(dtype)
        kept = np.isfinite(rr)
        rows, _ = np.nonzero(kept)
        order = _count_up(n_intervals)
        series = np.zeros((len(rr), length), np.result_type(dtype.value_type, np.float32))
        fits = order < length
        series[rows[fits], order[fits]] = rr[kept][fits]
        series[missing] = np.nan
        return series, np.count_nonzero(n_intervals > length)

    def _beats(self, values, sampling_rate):
        """Beat times of each window, from the first channel that shows any."""
        if self.signal == "beats":
            return values[:, 0]
        return _channel_beats(values, sampling_rate, self.method, self.signal)

    def _series_length(self, dtype):
        if self.n_beats is not None:
            return self.n_beats
        n_times = dtype.shape[-1]
        n_beats = n_times if self.signal == "beats" else max_beats(n_times, dtype.sampling_rate)
        return max(1, n_beats - 1)

    def _validate(self, X, *, reset):
        needs_rate = self.signal != "beats"  # beat times are seconds already
        return validate_signals(
            self, X, sampling_rate=self.sampling_rate, reset=reset, needs_rate=needs_rate
        )

    def _check_parameters(self):
        if self.output not in ("series", "features"):
            raise ValueError(f"output must be 'series' or 'features', got {self.output!r}.")
        if self.signal != "beats":
            check_detector(self.method, self.signal)
        choose_features(self.features, FEATURES)
        if self.n_beats is not None and not _is_count(self.n_beats, 1):
            raise ValueError(f"n_beats must be None or at least 1, got {self.n_beats!r}.")
        if not _is_count(self.min_beats, 2):
            raise ValueError(f"min_beats must be a whole number from 2, got {self.min_beats!r}.")
        if not (self.max_deviation in ("auto", None) or _is_part(self.max_deviation)):
            raise ValueError(
                "max_deviation must be 'auto', None or a number over 0, got "
                f"{self.max_deviation!r}."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


def _bridge_gaps(rr, beats):
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
    durations = np.diff(np.asarray(beats, float), axis=1)[rows, columns] * 1000
    spans = np.add.reduceat(durations, first)
    rows, in_gap = rows[first], in_gap[first]
    median = np.full(n_windows, np.nan)
    some = kept.any(axis=1)
    median[some] = np.nanmedian(rr[some], axis=1)
    n_pieces = np.where(in_gap, np.fmax(np.rint(spans / median[rows]), 1), 1).astype(int)
    gaps, total = (np.bincount(rows, each, n_windows) for each in (spans * in_gap, spans))
    n_each = np.bincount(rows, n_pieces, n_windows).astype(int)
    bridged = np.full((n_windows, max(n_intervals, n_each.max())), np.nan)
    bridged[np.repeat(rows, n_pieces), _count_up(n_each)] = np.repeat(spans / n_pieces, n_pieces)
    broken = ~(gaps <= _BRIDGED * total)
    bridged[broken, :n_intervals], bridged[broken, n_intervals:] = rr[broken], np.nan
    return bridged


def _count_up(n_each):
    """0 to n - 1 for each n, one after another."""
    return np.arange(n_each.sum()) - np.repeat(np.cumsum(n_each) - n_each, n_each)


def _is_count(value, least):
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least


def _is_part(value):
    return isinstance(value, Real) and not isinstance(value, bool) and value > 0
