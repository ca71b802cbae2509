"""Quality of signals in windows, as named features or as a signal for a network."""

from numbers import Integral
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo.features.base import (
    WindowTransformer,
    choose_features,
    compute_in_chunks,
    wrap_signals,
)
from skemo.kernels.quality import QUALITY, check_signal, signal_quality
from skemo.signals.checks import signal_name

_CHUNK = 1 << 19  # samples processed at once


class QualityTransformer(WindowTransformer):
    """How far the signal in each window can be trusted, as numbers from 0 to 1.

    The numbers can be looked at as columns; they can be a signal beside the others, from which a
    network learns which modality to attend to; and they can be held against a threshold:
    ``min_quality`` of the other transformers applies to the last of them, the overall quality.
    Nothing is learned from the rows.

    Parameters
    ----------
    output : {"features", "series"}, default="features"
        ``"features"`` gives an array of shape (n_windows, n_features). ``"series"`` gives a
        signal column of windows of shape (n_features, sub_windows), or (n_features, n_channels,
        sub_windows) for an EEG. Its name is that of the original column followed by
        ``_quality``.
    signal : {"ecg", "ppg", "eda", "eeg", "acc"}, default="ecg"
        What the windows hold: an ECG, a pulse wave (PPG, BVP), skin conductance in µS, an EEG,
        or an accelerometer with its axes as channels and gravity included.
    features : str or list of str, default="all"
        Names, such as ``"ECG_Quality"``; ``"all"`` is every number for the kind of signal.
    sub_windows : int, default=1
        Number of equal parts into which a window is cut, each of which is measured on its own.
        Samples at the end that do not fill a part are dropped. For ECG and pulse, a part needs
        three beats or more.
    sampling_rate : float or None, default=None
        In hertz. A plain array needs it; a signal column carries its own.

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
    For numbers marked +, the best value is 1; for the others it is 0. A share is a share of the
    samples in the window unless stated otherwise.

    ==================== =================================================================
    Kind and name        Meaning
    ==================== =================================================================
    *ECG, pulse (PPG)*
    Likeness +           mean over beats of the second highest cosine of a beat with the 12
                         before and the 12 after it, so that recurring ectopic beats do not
                         lower it [1]_
    Coverage +           share of the window between beats that are 0.3 to 2 s apart (for a
                         pulse, also regular); an edge counts as a beat
    BeatAgreement +      F1 score of the beats against those that a second detector finds in
                         another band, at ±60 ms [2]_
    RMSSDAgreement +     ECG only: smaller RMSSD of the two detectors divided by the larger
    QRSPower             ECG only: power at 5 to 15 Hz, relative to 5 to 40 Hz [3]_
    PulsePower           pulse only: power at 1 to 2.25 Hz, relative to below 8 Hz [4]_
    BaselinePower        power below 1 Hz, relative to below 40 Hz [3]_; for a pulse, below
                         0.5 Hz relative to below 8 Hz
    Flat                 share in runs of one value that last 1 s or longer
    Clipped              share in runs of the highest or lowest value that last 0.02 s or
                         longer (pulse: 0.1 s), at least four samples, and begin or end with
                         a jump
    Missing              share that is NaN
    Quality +            Likeness × Coverage × BeatAgreement × (ECG) RMSSDAgreement
                         × (1 - Flat) × (1 - Clipped) × (1 - Missing)
    *EDA*
    OffSkin              share at or below 0.01 µS, as in :class:`skemo.EDATransformer`
    Step                 share within 5 s of a change faster than both 0.2 µS/s and 80 % of
                         the level per second, or faster than 10 µS/s [5]_
    Clipped              share above 60 µS, or in runs of the highest or lowest value that
                         last 5 s or longer
    Missing              share that is NaN
    Quality +            (1 - share off the skin or near a step) × (1 - Clipped)
                         × (1 - Missing)
    *EEG, by channel*
    Flat, Clipped        as for an ECG, but Flat from 0.25 s on
    Amplitude +          1 if the standard deviation is between a third of and three times
                         that of the median channel, falling beyond; always 1 for a single
                         channel
    Steadiness +         1 if no second has a standard deviation above five times that of
                         the median second, falling beyond
    Muscle               power at 30 to 100 Hz without mains, relative to 1 to 100 Hz
    Mains                power within 1 Hz of 50 Hz or of 60 Hz, whichever is larger,
                         relative to 1 to 100 Hz
    Missing              share that is NaN
    Quality +            Amplitude × Steadiness × (1 - each of the others). For the whole
                         window, the mean over channels, with 0 for channels that are NaN
    *ACC*
    Motion               mean over seconds of s² / (1 + s²), where s is the standard deviation
                         within the second, over all axes, divided by 0.1 of gravity
    Missing              share that is NaN
    Quality +            (1 - Motion) × (1 - Missing): 1 for a person who keeps still
    ==================== =================================================================

    Names begin with the kind, as in ``ECG_Likeness``. Those of an EEG end with the channel, as in
    ``EEG_Flat_F3``; ``EEG_Quality`` is that of the whole window. If an ECG or a pulse has several
    channels, the numbers of a window are those of its best channel.

    A window that is NaN throughout is missing: its numbers are NaN. A flat window has the
    quality 0. Gaps are bridged by straight lines.

    An ECG of quality 1 can still be wrong: whatever looks like a heartbeat more than once is
    taken for one. Nor do the numbers say whether an interval is normal.

    References
    ----------
    .. [1] Orphanidou et al. (2015), Signal-quality indices for the electrocardiogram and
       photoplethysmogram, IEEE Journal of Biomedical and Health Informatics 19(3), 832-838.
    .. [2] Li, Mark and Clifford (2008), Robust heart rate estimation from multiple asynchronous
       noisy sources using signal quality indices and a Kalman filter, Physiological
       Measurement 29(1), 15-32.
    .. [3] Zhao and Zhang (2018), SQI quality evaluation mechanism of single-lead ECG signal
       based on simple heuristic fusion and fuzzy comprehensive evaluation, Frontiers in
       Physiology 9, 727.
    .. [4] Elgendi (2016), Optimal signal quality index for photoplethysmogram signals,
       Bioengineering 3(4), 21.
    .. [5] Kleckner et al. (2018), Simple, transparent, and flexible automated quality assessment
       procedures for ambulatory electrodermal activity data, IEEE Transactions on Biomedical
       Engineering 65(7), 1460-1467.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import QualityTransformer, SignalArray, signal_frame
    >>> phase = np.arange(2560) / 256 % 0.8 - 0.4
    >>> ecg = np.exp(-((phase / 0.01) ** 2))
    >>> noise = np.random.default_rng(0).normal(size=2560)
    >>> X = signal_frame(ecg=SignalArray(np.stack([ecg, ecg + noise]), sampling_rate=256))
    >>> QualityTransformer(features=["ECG_Quality"]).fit_transform(X).round(1).tolist()
    [[0.9], [0.0]]
    """

    def __init__(
        self,
        output: Literal["features", "series"] = "features",
        *,
        signal: Literal["ecg", "ppg", "eda", "eeg", "acc"] = "ecg",
        features: str | list[str] = "all",
        sub_windows: int = 1,
        sampling_rate: float | None = None,
    ) -> None:
        self.output = output
        self.signal = signal
        self.features = features
        self.sub_windows = sub_windows
        self.sampling_rate = sampling_rate

    def fit(self, X: pd.DataFrame | ArrayLike, y: object = None) -> Self:
        """Check the parameters against `X`, and record the type of its windows.

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
        super().fit(X, y)
        if self._column is not None:
            self._column = f"{self._column}_quality"
        return self

    def transform(self, X: pd.DataFrame | ArrayLike) -> NDArray | pd.DataFrame:
        """Measure the quality of each window.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)

        Returns
        -------
        array of shape (n_windows, n_features), or DataFrame of one signal column
            The latter for ``output="series"`` and a signal column. The series of a
            three-dimensional array is an array, that of a two-dimensional one is flattened.
        """
        signal = self._validate(X, reset=False)
        dtype = signal.dtype
        n_part = dtype.shape[-1] // self.sub_windows

        def measure(values):
            parts = values[..., : n_part * self.sub_windows]
            parts = parts.reshape(*values.shape[:-1], self.sub_windows, n_part)
            parts = np.moveaxis(parts, -2, 1).reshape(-1, *values.shape[1:-1], n_part)
            numbers = signal_quality(parts, dtype.sampling_rate, self.signal)
            columns = np.stack([numbers[name] for name in self._numbers()], axis=1)
            columns = columns.reshape(len(values), self.sub_windows, *columns.shape[1:])
            return np.moveaxis(columns, 1, -1)  # sub-windows last

        numbers = compute_in_chunks(measure, signal, _CHUNK)
        if self.output == "features":
            return self._as_features(numbers)
        name = signal_name(X)
        return wrap_signals(
            numbers.astype(dtype.value_type, copy=False),
            X,
            name if name is None else f"{name}_quality",
            sampling_rate=dtype.sampling_rate / n_part,
            channels=dtype.channels if self.signal == "eeg" else self._numbers(),
        )

    def _as_features(self, numbers):
        features = numbers.reshape(len(numbers), -1)
        if self.signal != "eeg" or "EEG_Quality" not in self._numbers():
            return features
        quality = numbers[:, self._numbers().index("EEG_Quality")]
        absent = np.isnan(quality).all(axis=1)
        whole = np.nan_to_num(quality).mean(axis=1)
        return np.concatenate([features, np.where(absent, np.nan, whole)], axis=1)

    def _numbers(self):
        return choose_features(self.features, {self.signal: QUALITY[self.signal]})

    def _check_parameters(self, dtype):
        if self.output not in ("features", "series"):
            raise ValueError(f"output must be 'features' or 'series', got {self.output!r}.")
        check_signal(self.signal)
        self._numbers()
        n_times = dtype.shape[-1]
        if (
            isinstance(self.sub_windows, bool)
            or not isinstance(self.sub_windows, Integral)
            or not 1 <= self.sub_windows <= n_times
        ):
            raise ValueError(
                f"sub_windows={self.sub_windows!r} must be a whole number between 1 and the "
                f"{n_times} samples of a window."
            )

    def _names_of_numbers(self, dtype):
        parts = [f"_{part}" for part in range(self.sub_windows)] if self.sub_windows > 1 else [""]
        if self.signal != "eeg":
            return [f"{name}{part}" for name in self._numbers() for part in parts]
        channels = range(dtype.shape[-2]) if dtype.channels is None else dtype.channels
        names = [
            f"{name}_{channel}{part}"
            for name in self._numbers()
            for channel in channels
            for part in parts
        ]
        whole = self.output == "features" and "EEG_Quality" in self._numbers()
        return names + [f"EEG_Quality{part}" for part in parts if whole]
