"""Heart-rate variability of ECG and pulse windows, as RR series or as named features."""

import warnings
from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from skemo.features.base import WindowTransformer, choose_features, wrap_signals
from skemo.kernels.heartbeats import channel_beats, check_detector, max_beats
from skemo.kernels.hrv import (
    HRV_FREQUENCY,
    HRV_NONLINEAR,
    HRV_TIME,
    bridge_rr_gaps,
    count_up,
    hrv_frequency,
    hrv_nonlinear,
    hrv_time,
    regular_intervals,
    rr_intervals,
)
from skemo.signals.checks import signal_name, validate_signals

FEATURES = {"time": HRV_TIME, "frequency": HRV_FREQUENCY, "nonlinear": HRV_NONLINEAR}
_KERNELS = {"time": hrv_time, "frequency": hrv_frequency, "nonlinear": hrv_nonlinear}
_PULSE_DEVIATION = 0.25  # of an RR interval from the median around, with max_deviation="auto"
_USABLE = 0.2  # of a window of the pulse that its intervals must cover
_CHUNK = 1 << 20  # samples handed to a process at once


class HRVTransformer(WindowTransformer):
    """Heart-rate variability of ECG or pulse windows, as RR series or as named features.

    For each window the heartbeats are found (:func:`skemo.kernels.heartbeats.r_peaks`), and given
    either as the series of the intervals between them, which a network takes, or as features
    under NeuroKit2's names (:mod:`skemo.kernels.hrv`). Nothing is learned from the rows.

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
        :func:`skemo.kernels.heartbeats.r_peaks` names.
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
        part of it (:func:`skemo.kernels.hrv.regular_intervals`). None leaves none out.
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
                    columns |= compute(bridge_rr_gaps(rr, beats) if bridged else rr)
            return np.stack([columns[name] for name in names], axis=1), 0
        length = self._series_length(dtype)
        kept = np.isfinite(rr)
        rows, _ = np.nonzero(kept)
        order = count_up(n_intervals)
        series = np.zeros((len(rr), length), np.result_type(dtype.value_type, np.float32))
        fits = order < length
        series[rows[fits], order[fits]] = rr[kept][fits]
        series[missing] = np.nan
        return series, np.count_nonzero(n_intervals > length)

    def _beats(self, values, sampling_rate):
        """Beat times of each window, from the first channel that shows any."""
        if self.signal == "beats":
            return values[:, 0]
        return channel_beats(values, sampling_rate, self.method, self.signal)

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


def _is_count(value, least):
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least


def _is_part(value):
    return isinstance(value, Real) and not isinstance(value, bool) and value > 0
