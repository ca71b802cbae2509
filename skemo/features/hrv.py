"""Heart-rate variability in ECG and pulse windows, as named features or as RR series."""

import warnings
from functools import partial
from numbers import Integral
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo._checks import is_number
from skemo.features.base import (
    WindowTransformer,
    choose_features,
    compute_in_chunks,
    without_unordered_beats,
    wrap_signals,
)
from skemo.kernels.beat_correction import correct_beats
from skemo.kernels.heartbeats import channel_beats, check_detector, max_beats
from skemo.kernels.hrv import (
    HRV_FREQUENCY,
    HRV_NONLINEAR,
    HRV_TIME,
    LARGEST_DEVIATION,
    SHORTEST_RR,
    bridge_rr_gaps,
    check_rate,
    count_up,
    hrv_frequency,
    hrv_nonlinear,
    hrv_time,
    regular_intervals,
    rr_intervals,
)
from skemo.signals.checks import signal_name
from skemo.signals.recording import LONGEST_INTERVAL

FEATURES = {"time": HRV_TIME, "frequency": HRV_FREQUENCY, "nonlinear": HRV_NONLINEAR}
_KERNELS = {"time": hrv_time, "frequency": hrv_frequency, "nonlinear": hrv_nonlinear}
_SOURCES = {("ecg",): "ecg", ("ppg",): "ppg"}  # by the channels of a column of beats
_LEAST_COVERED = 0.2  # share of a window that its intervals must cover
_CHUNK = 1 << 20  # samples handed to a process at once


class HRVTransformer(WindowTransformer):
    """Heart-rate variability of ECG or pulse windows, as named features or as RR series.

    The heartbeats in each window are found (:func:`skemo.kernels.heartbeats.r_peaks`). The result
    is either features under NeuroKit2's names (:mod:`skemo.kernels.hrv`), or the series of
    intervals between beats, as input of a network. Nothing is learned from the rows.

    Parameters
    ----------
    output : {"features", "series"}, default="features"
        ``"features"`` gives an array of shape (n_windows, n_features), ``"series"`` a signal
        column of RR intervals in milliseconds, of shape (1, n_beats), padded with zeros.
    signal : {"ecg", "ppg", "beats"}, default="ecg"
        What the windows hold: an ECG; a pulse wave (PPG, BVP); or beat times in seconds
        (:func:`skemo.find_beats`), with NaN after the last and where a gap separates two
        beats. Beat times need no sampling rate.
    method : str, default="skemo"
        Detector of heartbeats: ``"skemo"``, or one of the detectors of NeuroKit2 listed in
        :func:`skemo.kernels.heartbeats.r_peaks`.
    features : str or list of str, default="time"
        Names, such as ``"HRV_RMSSD"``, and groups of them: ``"time"``, ``"frequency"``,
        ``"nonlinear"``, ``"all"``. With at least `min_beats` beats the group ``"time"`` has
        no NaN; the other groups have few in long windows.
    n_beats : int or None, default=None
        Length of the series. None takes the largest number that a window can hold, at 0.3 s
        each: 33 in ten seconds. If a window has more intervals than `n_beats`, the last ones
        are cut off with a warning.
    sampling_rate : float or None, default=None
        In hertz. A plain array needs it; a signal column carries its own.
    min_beats : int, default=4
        A window with fewer beats is missing: NaN throughout.
    max_deviation : float, None or "auto", default="auto"
        Leave out intervals whose relative difference from the median of those around them is
        larger (:func:`skemo.kernels.hrv.regular_intervals`). None leaves none out. ``"auto"`` is
        0.25 for a pulse and for beats that :func:`skemo.find_beats` found in one, and None for
        an ECG and for other beats.
    correct_beats : bool, default=False
        Remove extra beats, insert missed ones and move ectopic ones
        (:func:`skemo.kernels.beat_correction.correct_beats`).
    min_quality : float or None, default=None
        A window whose quality (``ECG_Quality`` or ``PPG_Quality`` of
        :class:`skemo.QualityTransformer`) is lower is missing. None does not measure quality.
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
    The first of several channels is used. Where it shows no beats for a while, because a lead has
    come off for instance, the next one takes over.

    Intervals under 300 or over 2000 ms (2500 ms if the heart is slow), those across a stretch in
    which a beat may be hidden, and those that `max_deviation` excludes are left out: the series
    goes on with the next interval, and no difference is taken across the gap. For frequency
    features, gaps that make up no more than a fifth of the time are bridged by equal intervals as
    close to the median as possible (on bridging, see [1]_). With larger gaps the features are
    NaN. Ectopic beats are corrected only with `correct_beats`.

    A window with fewer than ``min_beats - 1`` intervals left is missing, and so is one whose
    intervals cover less than a fifth of it. The share that they cover tells how far to trust the
    window: in the pulse of a wrist at rest they cover four fifths of a minute or more, during
    movement less.

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
    >>> hrv = HRVTransformer(features=["HRV_MeanNN"])
    >>> hrv.fit_transform(X).round(1).tolist()
    [[800.0], [800.0], [800.0]]
    """

    def __init__(
        self,
        output: Literal["features", "series"] = "features",
        *,
        signal: Literal["ecg", "ppg", "beats"] = "ecg",
        method: str = "skemo",
        features: str | list[str] = "time",
        n_beats: int | None = None,
        sampling_rate: float | None = None,
        min_beats: int = 4,
        max_deviation: float | Literal["auto"] | None = "auto",
        correct_beats: bool = False,
        min_quality: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.output = output
        self.signal = signal
        self.method = method
        self.features = features
        self.n_beats = n_beats
        self.sampling_rate = sampling_rate
        self.min_beats = min_beats
        self.max_deviation = max_deviation
        self.correct_beats = correct_beats
        self.min_quality = min_quality
        self.n_jobs = n_jobs

    def transform(self, X: pd.DataFrame | pd.Series | ArrayLike) -> pd.DataFrame | NDArray:
        """Find the heartbeats, and compute the series or the features.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)

        Returns
        -------
        array of shape (n_windows, n_features), or DataFrame of one signal column
            The latter for ``output="series"`` and a signal column. A three-dimensional array
            gives series of shape (n_windows, 1, n_beats), a two-dimensional one
            (n_windows, n_beats).
        """
        signal = self._validate(X, reset=False)
        dtype = signal.dtype
        if self.signal == "beats":
            signal = without_unordered_beats(signal)
        compute = self._window_features if self.output == "features" else self._window_series
        compute = partial(compute, dtype=dtype)
        result = compute_in_chunks(compute, signal, _CHUNK, self.n_jobs)
        if self.min_quality is not None:
            result[self._below_quality(signal, self.signal)] = np.nan
        if not (self.signal == "beats" and warn_of_units(signal.values)):
            n_values = result.shape[1] - (self.output == "series")
            self._warn_of_missing(X, signal, result[:, :n_values])
        if self.output == "features":
            return result
        series, too_long = result[:, :-1], result[:, -1] > 0
        if too_long.any():
            warnings.warn(
                f"{np.count_nonzero(too_long)} of {len(signal)} windows have more than "
                f"n_beats={self.n_beats} RR intervals, and their last ones were cut off. Leave "
                "n_beats=None to keep all.",
                stacklevel=2,
            )
        return wrap_signals(series[:, np.newaxis], X, signal_name(X), channels=["rr"])

    def _window_features(self, values, dtype):
        beats, rr, missing = self._find_intervals(values, dtype)
        rr[missing] = np.nan
        names = choose_features(self.features, FEATURES)
        columns = {}
        for group, compute in _KERNELS.items():
            if not set(names).isdisjoint(FEATURES[group]):
                columns |= compute(bridge_rr_gaps(rr, beats) if group == "frequency" else rr)
        return np.stack([columns[name] for name in names], axis=1)

    def _window_series(self, values, dtype):
        """Series with one more place than asked for, which is filled if there are too many."""
        _, rr, missing = self._find_intervals(values, dtype)
        kept = np.isfinite(rr)
        rows, _ = np.nonzero(kept)
        order = count_up(kept.sum(axis=1))
        length = self._series_length(dtype) + 1
        series = np.zeros((len(rr), length), np.result_type(dtype.value_type, np.float32))
        fits = order < length
        series[rows[fits], order[fits]] = rr[kept][fits]
        series[missing] = np.nan
        return series

    def _find_intervals(self, values, dtype):
        """Beat times and RR intervals of a few windows, and which windows are missing."""
        beats = self._beats(values, dtype.sampling_rate)
        if self.correct_beats:
            beats = correct_beats(beats)
        rr = rr_intervals(beats)
        max_deviation = self._largest_deviation(dtype)
        if max_deviation is not None:
            rr = regular_intervals(rr, max_deviation)
        missing = np.isfinite(rr).sum(axis=1) < self.min_beats - 1
        missing |= np.nansum(rr, axis=1) / 1000 < _LEAST_COVERED * self._duration(dtype)
        return beats, rr, missing

    def _largest_deviation(self, dtype):
        if self.max_deviation == "auto":
            return LARGEST_DEVIATION if self._source(dtype) == "ppg" else None
        return self.max_deviation

    def _source(self, dtype):
        """Kind of signal in which the beats are found; None where that is unknown."""
        if self.signal != "beats":
            return self.signal
        return _SOURCES.get(dtype.channels)

    def _duration(self, dtype):
        """Seconds of a window; 0 where that is unknown."""
        if self.signal != "beats":
            return dtype.shape[-1] / dtype.sampling_rate
        # `segment` makes windows of beats as long as the largest number that fits in.
        known = self._source(dtype) is not None
        return (dtype.shape[-1] - 1) * SHORTEST_RR / 1000 if known else 0.0

    def _beats(self, values, sampling_rate):
        """Beat times in each window."""
        if self.signal == "beats":
            return values[:, 0]
        return channel_beats(values, sampling_rate, self.method, self.signal)

    def _series_length(self, dtype):
        if self.n_beats is not None:
            return self.n_beats
        n_times = dtype.shape[-1]
        n_beats = n_times if self.signal == "beats" else max_beats(n_times, dtype.sampling_rate)
        return max(1, n_beats - 1)

    @property
    def _needs_rate(self):
        return self.signal != "beats"  # beat times are seconds already

    def _why_missing(self, values, dtype):
        if self.signal == "beats":
            return f"They have fewer than min_beats={self.min_beats} beats 0.3 to 2 s apart."
        return super()._why_missing(values, dtype)

    def _what_is_needed(self, dtype):
        duration = dtype.shape[-1] / dtype.sampling_rate
        if duration < self.min_beats:
            return f"Windows of {duration:g} s are too short for min_beats={self.min_beats} beats."
        kind, other = ("an ECG", "ppg") if self.signal == "ecg" else ("a pulse", "ecg")
        return (
            f"Too few heartbeats were found with signal={self.signal!r}: is it {kind}, or does it "
            f"need signal={other!r}; and was it recorded at {dtype.sampling_rate:g} Hz, and not "
            f"resampled from a lower rate? QualityTransformer(signal={self.signal!r}) measures how "
            "far each window can be trusted."
        )

    def _check_parameters(self, dtype):
        if self.output not in ("features", "series"):
            raise ValueError(f"output must be 'features' or 'series', got {self.output!r}.")
        if self.signal != "beats":
            check_detector(self.method, self.signal)
            check_rate(dtype.sampling_rate, self.signal)
        elif self.min_quality is not None:
            raise ValueError(
                f"min_quality={self.min_quality!r} needs an ECG or a pulse, and beat times have no "
                "quality. Leave it None; skemo.find_artefacts, before find_beats, removes the "
                "parts of a recording that cannot be trusted."
            )
        choose_features(self.features, FEATURES)
        if self.n_beats is not None and not _is_count(self.n_beats, 1):
            raise ValueError(f"n_beats must be None or at least 1, got {self.n_beats!r}.")
        if not _is_count(self.min_beats, 2):
            raise ValueError(
                f"min_beats must be a whole number of at least 2, got {self.min_beats!r}."
            )
        deviation = self.max_deviation
        if not (deviation in ("auto", None) or (is_number(deviation) and deviation > 0)):
            raise ValueError(
                f"max_deviation must be 'auto', None or a number above 0, got {deviation!r}."
            )

    def _names_of_numbers(self, dtype):
        if self.output == "features":
            return choose_features(self.features, FEATURES)
        return [f"rr{i}" for i in range(self._series_length(dtype))]


def warn_of_units(beats: NDArray) -> bool:
    """Warn if the beats of windows (n_windows, 1, n_beats) are no times in seconds."""
    between = typical_interval(beats)
    if between <= LONGEST_INTERVAL:
        return False
    warnings.warn(
        f"The beats are {between:g} s apart, too far for a heart. Beats are times in seconds from "
        "the start of the window: divide sample numbers by their sampling rate, and milliseconds "
        "by 1000.",
        stacklevel=3,
    )
    return True


def typical_interval(beats: NDArray) -> float:
    """Median time between the beats of windows (n_windows, 1, n_beats); 0 without any."""
    intervals = np.diff(beats[:, 0], axis=1)
    known = intervals[np.isfinite(intervals)]
    return np.median(known) if len(known) else 0.0


def _is_count(value, least):
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least
