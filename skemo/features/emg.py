"""Muscle activity (EMG) in windows, as named features or as its envelope."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo.features.base import (
    WindowTransformer,
    choose_features,
    compute_in_chunks,
    wrap_signals,
)
from skemo.kernels.muscle import FEATURES, check_settings, emg_envelope, muscle_features
from skemo.signals.checks import signal_name

_CHUNK = 1 << 18  # samples handed to a process at once


class EMGTransformer(WindowTransformer):
    """Amplitude and bursts of muscle activity, as named features or as the envelope.

    Each channel is a muscle. Movement and drift are filtered out of its signal, and its
    amplitude is followed over time (:func:`skemo.kernels.muscle.emg_envelope`). Nothing is
    learned from the rows.

    Parameters
    ----------
    output : {"features", "series"}, default="features"
        ``"features"`` gives an array of shape (n_windows, n_features). With several channels,
        names look like ``EMG_RMS_emg_zygo``; unnamed channels are numbered.
        ``"series"`` gives a signal column of the envelope of each channel, at about 40 Hz.
    features : str or list of str, default="all"
        Names, such as ``"EMG_RMS"``, and groups of them: ``"amplitude"``, ``"bursts"``,
        ``"all"``.
    highpass : float, default=100.0
        Cutoff in hertz. Lower frequencies (movement of the electrodes, the heart, mains hum)
        are filtered out, as in NeuroKit2. Signals sampled at 200 Hz or less need a lower
        cutoff; 20 is usual.
    min_ratio : float, default=3.0
        A burst is where the envelope exceeds this multiple of its value at rest.
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
    Let x be the filtered signal, and e its envelope, the root mean square over an eighth of a
    second, both in the unit of the signal.

    ======================== ==== =====================================================
    Group and name           Unit Formula
    ======================== ==== =====================================================
    *amplitude*
    EMG_RMS                       root mean square of x
    EMG_MAV                       mean of the magnitude of x
    EMG_Amplitude_SD              standard deviation of e, divisor n
    EMG_Amplitude_Max             largest e
    *bursts*
    EMG_Activation_N *            number of bursts
    EMG_Activation_Share          share of the window in bursts
    EMG_Activation_Duration  s    mean duration of bursts
    EMG_Amplitude_Mean *          mean of e in bursts
    ======================== ==== =====================================================

    Features marked * have the names of NeuroKit2, whose amplitude is an energy, in the square
    of the unit. The level at rest is the 20 % quantile of e in the window. In a window without
    bursts, EMG_Activation_N and EMG_Activation_Share are 0, and the other two are NaN.

    Samples that are NaN, and those held at one value for a quarter of a second or more, are left
    out. A channel is missing (NaN throughout) in a window of which more than half is left out,
    and in a window shorter than 0.5 s.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import EMGTransformer, SignalArray, signal_frame
    >>> emg = np.random.default_rng(0).normal(size=(2, 5000))
    >>> emg[1, 1000:2000] *= 20
    >>> X = signal_frame(emg=SignalArray(emg, sampling_rate=1000))
    >>> muscle = EMGTransformer(features=["EMG_Activation_N", "EMG_Activation_Share"])
    >>> muscle.fit_transform(X).round(1).tolist()
    [[0.0, 0.0], [1.0, 0.2]]
    """

    def __init__(
        self,
        output: Literal["features", "series"] = "features",
        *,
        features: str | Sequence[str] = "all",
        highpass: float = 100.0,
        min_ratio: float = 3.0,
        sampling_rate: float | None = None,
        n_jobs: int | None = None,
    ):
        self.output = output
        self.features = features
        self.highpass = highpass
        self.min_ratio = min_ratio
        self.sampling_rate = sampling_rate
        self.n_jobs = n_jobs

    def transform(self, X: pd.DataFrame | ArrayLike) -> NDArray | pd.DataFrame:
        """Compute the features, or the envelope.

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
        compute = partial(self._compute, sampling_rate=rate)
        result = compute_in_chunks(compute, signal, _CHUNK, self.n_jobs)
        self._warn_of_missing(X, signal, result)
        if self.output == "features":
            return result
        rate = emg_envelope(np.empty((0, signal.dtype.shape[-1])), rate, self.highpass)[1]
        channels = signal.dtype.channels
        return wrap_signals(result, X, signal_name(X), sampling_rate=rate, channels=channels)

    def _compute(self, values, sampling_rate):
        n_windows, n_channels, n_times = values.shape
        flat = values.reshape(-1, n_times)
        if self.output == "series":
            envelope, _ = emg_envelope(flat, sampling_rate, self.highpass)
            return envelope.reshape(n_windows, n_channels, -1)
        columns = muscle_features(flat, sampling_rate, self.highpass, self.min_ratio)
        names = choose_features(self.features, FEATURES)
        features = [columns[name].reshape(n_windows, n_channels) for name in names]
        return np.stack(features, axis=1).reshape(n_windows, -1)

    def _check_parameters(self, dtype):
        if self.output not in ("features", "series"):
            raise ValueError(f"output must be 'features' or 'series', got {self.output!r}.")
        choose_features(self.features, FEATURES)
        check_settings(dtype.sampling_rate, self.highpass, self.min_ratio)

    def _names_of_numbers(self, dtype):
        n_channels = dtype.shape[-2]
        channels = range(n_channels) if dtype.channels is None else dtype.channels
        if self.output == "features":
            names = choose_features(self.features, FEATURES)
            if n_channels == 1:
                return names
            return [f"{name}_{channel}" for name in names for channel in channels]
        no_windows = np.empty((0, dtype.shape[-1]))
        n_blocks = emg_envelope(no_windows, dtype.sampling_rate, self.highpass)[0].shape[1]
        return [f"emg_{channel}_{i}" for channel in channels for i in range(n_blocks)]
