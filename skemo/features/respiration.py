"""Breathing in windows of a respiration signal, ECG, pulse or beats, as named features."""

from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo.features.base import (
    WindowTransformer,
    choose_features,
    compute_in_chunks,
    without_unordered_beats,
    wrap_signals,
)
from skemo.features.hrv import warn_of_units
from skemo.kernels.heartbeats import r_peaks
from skemo.kernels.respiration import (
    FEATURES,
    RESPIRATION_RATE,
    breathing,
    breaths,
    check_rate,
    respiration_features,
    respiration_of_beats,
    respiration_of_ecg,
)
from skemo.signals.checks import signal_name

_OF_HEART = {name: group for name, group in FEATURES.items() if name != "amplitude"}
_BEATS_SPAN = 10.0  # s; a window of beat times is assumed to last a multiple of this
_CHUNK = 1 << 22  # samples handed to a process at once


class RespirationTransformer(WindowTransformer):
    """Rate, variability and depth of breathing, as named features or as a clean series.

    Breaths are found in each window of a respiration signal
    (:func:`skemo.kernels.respiration.breaths`). Where none was recorded, they are found in the
    effects of breathing on the heart: on the height of the QRS complexes of an ECG, or on the
    intervals between beats. Nothing is learned from the rows.

    Parameters
    ----------
    output : {"features", "series"}, default="features"
        ``"features"`` gives an array of shape (n_windows, n_features), ``"series"`` a signal
        column of respiration without noise and drift, at 16 to 32 Hz if it was sampled faster,
        or at 4 Hz if it is derived from an ECG or a pulse.
    signal : {"resp", "ecg", "ppg", "beats"}, default="resp"
        What the windows hold: respiration that rises as one breathes in, such as the signal of a
        belt; an ECG; a pulse wave; or beat times in seconds, NaN after the last
        (:func:`skemo.find_beats`). Beat times need no sampling rate, and give only features.
    features : str or list of str, default="all"
        Names, such as ``"RSP_Rate_Mean"``, and groups of them: ``"rate"``, ``"variability"``,
        ``"amplitude"``, ``"phase"``, ``"all"``. Respiration derived from the heart has no
        ``"amplitude"``.
    min_breaths : int, default=2
        A window with fewer whole breaths is missing: NaN throughout.
    sampling_rate : float or None, default=None
        In hertz. A plain array needs it; a signal column carries its own.
    n_jobs : int or None, default=None
        Processes. The result is the same for any number.

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
    Let B be the durations of the breaths in milliseconds, from trough to trough, and A their
    heights in the unit of the signal, from the line between both troughs to the peak. The
    features have NeuroKit2's names. NeuroKit2 takes the mean of an interpolated rate, and
    measures heights from the preceding trough, after a filter that lowers slow breaths; for
    regular breathing the values agree within a few percent.

    ============================== ===== ==================================================
    Group and name                 Unit  Formula
    ============================== ===== ==================================================
    *rate*
    RSP_Rate_Mean                  1/min 60,000 divided by the mean of B
    *variability*
    RRV_MeanBB                     ms    mean of B
    RRV_SDBB                       ms    standard deviation of B, divisor n - 1
    RRV_RMSSD                      ms    root mean square of the differences of successive B
    RRV_SDSD                       ms    their standard deviation, divisor n - 1
    RRV_CVBB, RRV_CVSD                   RRV_SDBB and RRV_RMSSD divided by RRV_MeanBB
    RRV_MedianBB                   ms    median of B
    RRV_MadBB                      ms    median absolute deviation of B times 1.4826
    RRV_MCVBB                            RRV_MadBB divided by RRV_MedianBB
    *amplitude*
    RAV_Mean                             mean of A, in the unit of the signal
    RAV_SD                               standard deviation of A, divisor n - 1
    RAV_RMSSD                            root mean square of the differences of successive A
    RAV_CVSD                             RAV_RMSSD divided by RAV_Mean
    *phase*
    RSP_Phase_Duration_Inspiration s     mean time from trough to peak
    RSP_Phase_Duration_Expiration  s     mean time from peak to trough
    RSP_Phase_Duration_Ratio             the first divided by the second
    ============================== ===== ==================================================

    A window should contain several breaths: at 12 a minute, ten seconds seldom contain two whole
    ones, and half a minute contains five. Features that need two or three breaths, for a
    difference or a standard deviation, are NaN with fewer. A window in which no breathing can be
    seen is missing, and breaths across a gap are left out
    (:func:`skemo.kernels.respiration.breaths`). Of several channels, the first that shows
    breathing in a window is used.

    Respiration derived from the heart gives a rate at best. From an ECG it is derived from the
    heights of the QRS complexes; from a pulse or beats, from the heart rate, which follows
    breathing less closely the more stressed, the older or the more ill a person is, and which
    has waves of its own at 0.1 Hz. Only 7 to 30 breaths a minute, and less than half of the
    heart rate, can be seen, and windows should last a minute: of hearts that beat at random,
    7 % of half-minutes pass for breathing, and 0.2 % of minutes. Of half-minutes of the ECG of
    students at rest and during mental arithmetic (eegmat), the heights show breathing in 65 %
    and the heart rate in 35 %; where both do, they differ by less than 1 breath a minute in
    94 %. In the pulse of a moving wrist, no more than a few minutes in a hundred show it.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import RespirationTransformer, SignalArray, signal_frame
    >>> seconds = np.arange(1500) / 25
    >>> resp = np.stack([np.sin(2 * np.pi * rate / 60 * seconds) for rate in (12, 18)])
    >>> X = signal_frame(resp=SignalArray(resp, sampling_rate=25))
    >>> respiration = RespirationTransformer(features=["RSP_Rate_Mean", "RAV_Mean"])
    >>> respiration.fit_transform(X).round(1).tolist()
    [[12.0, 2.0], [18.0, 2.0]]
    """

    def __init__(
        self,
        output: Literal["features", "series"] = "features",
        *,
        signal: Literal["resp", "ecg", "ppg", "beats"] = "resp",
        features: str | Sequence[str] = "all",
        min_breaths: int = 2,
        sampling_rate: float | None = None,
        n_jobs: int | None = None,
    ):
        self.output = output
        self.signal = signal
        self.features = features
        self.min_breaths = min_breaths
        self.sampling_rate = sampling_rate
        self.n_jobs = n_jobs

    def transform(self, X: pd.DataFrame | ArrayLike) -> NDArray | pd.DataFrame:
        """Find the breaths and compute the features, or compute the series.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)

        Returns
        -------
        array of shape (n_windows, n_features), or DataFrame of one signal column
            The latter for ``output="series"`` and a signal column.
        """
        signal = self._validate(X, reset=False)
        rate = signal.dtype.sampling_rate
        if self.signal == "beats":
            signal = without_unordered_beats(signal)
        compute = self._window_features if self.output == "features" else self._window_series
        compute = partial(compute, sampling_rate=rate)
        result = compute_in_chunks(compute, signal, _CHUNK, self.n_jobs)
        if not (self.signal == "beats" and warn_of_units(signal.values)):
            self._warn_of_missing(X, signal, result)
        if self.output == "features":
            return result
        rate = breathing(np.empty((0, signal.dtype.shape[-1])), rate)[1]
        rate = rate if self.signal == "resp" else RESPIRATION_RATE
        return wrap_signals(result, X, signal_name(X), sampling_rate=rate, channels=["resp"])

    def _window_features(self, values, sampling_rate):
        names = choose_features(self.features, self._groups())
        result = np.full((len(values), len(names)), np.nan)
        unseen = np.arange(len(values))
        for channel in range(values.shape[1]):
            columns, n_breaths = self._channel_features(values[unseen, channel], sampling_rate)
            seen = n_breaths >= self.min_breaths
            result[unseen[seen]] = np.stack([columns[name][seen] for name in names], axis=1)
            unseen = unseen[~seen]
            if not len(unseen):
                break
        return result

    def _channel_features(self, windows, sampling_rate):
        """Features of windows (n_windows, n_times), and numbers of breaths."""
        if self.signal == "beats":
            return _features_of_beats(windows)
        found = breaths(*self._respiration(windows, sampling_rate))
        return respiration_features(found), _n_breaths(found)

    def _window_series(self, values, sampling_rate):
        series, _ = breathing(*self._respiration(values[:, 0], sampling_rate))
        return series[:, np.newaxis]

    def _respiration(self, windows, sampling_rate):
        """Respiration in windows of a signal, its rate, and its source."""
        if self.signal == "resp":
            return windows, sampling_rate, "belt"
        beats = r_peaks(windows, sampling_rate, signal=self.signal)
        if self.signal == "ecg":
            respiration = respiration_of_ecg(windows, sampling_rate, beats)
        else:
            respiration = respiration_of_beats(beats, windows.shape[1] / sampling_rate)
        return respiration, RESPIRATION_RATE, "heart"

    def _groups(self):
        return FEATURES if self.signal == "resp" else _OF_HEART

    @property
    def _needs_rate(self):
        return self.signal != "beats"  # beat times are seconds already

    def _why_missing(self, values, dtype):
        if self.signal == "beats":
            return self._what_is_needed(dtype)
        return super()._why_missing(values, dtype)

    def _what_is_needed(self, dtype):
        return (
            f"They have fewer than min_breaths={self.min_breaths} breaths that can be found with "
            f"signal={self.signal!r}: is it that signal, and are the windows long enough?"
        )

    def _check_parameters(self, dtype):
        if self.output not in ("features", "series"):
            raise ValueError(f"output must be 'features' or 'series', got {self.output!r}.")
        if self.signal not in ("resp", "ecg", "ppg", "beats"):
            raise ValueError(
                f"signal must be 'resp', 'ecg', 'ppg' or 'beats', got {self.signal!r}."
            )
        if self.output == "series" and (self.signal == "beats" or dtype.shape[0] != 1):
            raise ValueError(
                "RespirationTransformer(output='series') takes windows of one channel of "
                f"signal='resp', 'ecg' or 'ppg', got signal={self.signal!r} and the shape "
                f"{dtype.shape}."
            )
        choose_features(self.features, self._groups())
        if (
            not isinstance(self.min_breaths, Integral)
            or isinstance(self.min_breaths, bool)
            or self.min_breaths < 1
        ):
            raise ValueError(
                f"min_breaths must be a whole number of at least 1, got {self.min_breaths!r}."
            )
        if self.signal == "resp":
            check_rate(dtype.sampling_rate)

    def _names_of_numbers(self, dtype):
        if self.output == "features":
            return choose_features(self.features, self._groups())
        if self.signal == "resp":
            n_times = breathing(np.empty((0, dtype.shape[-1])), dtype.sampling_rate)[0].shape[1]
        else:
            n_times = int(dtype.shape[-1] / dtype.sampling_rate * RESPIRATION_RATE + 1e-9)
        return [f"resp{i}" for i in range(n_times)]


def _features_of_beats(beats):
    """Features of windows of beat times, of unknown length, and numbers of breaths."""
    last = np.nanmax(np.where(np.isnan(beats), 0, beats), axis=1, initial=0)
    spans = np.maximum(np.ceil(last / _BEATS_SPAN), 1) * _BEATS_SPAN
    found = {}
    for span in np.unique(spans):  # the result for a row depends on its own span alone
        rows = np.flatnonzero(spans == span)
        of_span = breaths(respiration_of_beats(beats[rows], span), RESPIRATION_RATE, "heart")
        for name, values in respiration_features(of_span).items():
            found.setdefault(name, np.full(len(beats), np.nan))[rows] = values
        found.setdefault("n", np.zeros(len(beats)))[rows] = _n_breaths(of_span)
    return found, found.pop("n")


def _n_breaths(found):
    return np.isfinite(found["peak"]).sum(axis=1)
