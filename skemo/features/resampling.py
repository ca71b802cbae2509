"""Resampled, filtered and standardised windows, as raw input for a network."""

from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo._checks import is_positive
from skemo.features.base import WindowTransformer, compute_in_chunks, wrap_signals
from skemo.kernels.filters import LARGEST_GAP_SHARE, fill_gaps
from skemo.kernels.quality import check_signal
from skemo.kernels.resampling import n_resampled, resample
from skemo.signals.checks import signal_name

_CHUNK = 1 << 17  # samples filtered together, with temporary arrays of a few megabytes


class ResampleTransformer(WindowTransformer):
    """Resample the windows of a signal, and optionally filter and standardise them.

    This prepares raw windows for a convolutional network: for instance, an ECG of 700 Hz is
    resampled to 64 Hz and high-pass filtered at 0.5 Hz, with mean 0 and standard deviation 1 in
    each window. Resampling causes no aliasing and no shift in time
    (:func:`skemo.kernels.resampling.resample`). Nothing is learned from the rows.

    Parameters
    ----------
    rate : float or None, default=None
        The new sampling rate in hertz, below or above the old one. None keeps the old one.
    band : (low, high) or None, default=None
        Frequencies to keep, in hertz, at most half of either rate. The band is open at an edge
        that is None: ``(0.5, None)`` removes the mean and slow drift.
    standardize : bool, default=False
        Whether each window and channel is brought to mean 0 and standard deviation 1.
    min_quality : float or None, default=None
        A window (for an EEG, a channel of a window) whose quality
        (:class:`skemo.QualityTransformer`) is lower is missing. This needs `signal`. None does
        not measure quality.
    signal : {"ecg", "ppg", "eda", "eeg", "acc"} or None, default=None
        What the windows hold; only used with `min_quality`.
    sampling_rate : float or None, default=None
        In hertz. Plain arrays need it for `rate` and `band`; a signal column has its own.

    Attributes
    ----------
    signal_dtype_ : SignalDtype
        Shape, sampling rate and channel names of the windows seen in ``fit``.
    n_features_in_ : int
        Number of columns of a table, or of channels of an array of three dimensions.
    feature_names_in_ : ndarray of str
        Column names, if `X` has them.

    Notes
    -----
    If up to 5 % of a channel's samples in a window are NaN, the gaps are bridged by straight
    lines. If more are NaN, the channel is NaN throughout in that window. Other channels and
    windows keep their values.

    A flat channel has lost its sensor, and is NaN in the window if it is 0 throughout, and at
    any level with `standardize` or a lower edge of `band`, which remove the level. With
    `standardize`, so is a channel with nothing in the band.

    Standardising each window removes its level, which is informative for skin conductance and
    temperature. A `StandardScaler`, or a network's own normalisation, keeps it.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import SignalArray, signal_frame
    >>> from skemo.features.resampling import ResampleTransformer
    >>> noise = np.random.default_rng(0).normal(size=(5, 7000))
    >>> X = signal_frame(ecg=SignalArray(noise, sampling_rate=700))
    >>> resampled = ResampleTransformer(rate=64, standardize=True).fit_transform(X)
    >>> resampled["ecg"].dtype.shape, resampled["ecg"].dtype.sampling_rate
    ((1, 640), 64.0)
    """

    # Slow signals such as temperature are often stored with repeated values, which does no harm.
    _needs_detail = False

    def __init__(
        self,
        rate: float | None = None,
        *,
        band: tuple[float | None, float | None] | None = None,
        standardize: bool = False,
        min_quality: float | None = None,
        signal: Literal["ecg", "ppg", "eda", "eeg", "acc"] | None = None,
        sampling_rate: float | None = None,
    ) -> None:
        self.rate = rate
        self.band = band
        self.standardize = standardize
        self.min_quality = min_quality
        self.signal = signal
        self.sampling_rate = sampling_rate

    def transform(self, X: pd.DataFrame | ArrayLike) -> pd.DataFrame | NDArray[np.floating]:
        """Filter, resample and standardise the windows.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)

        Returns
        -------
        DataFrame of one signal column, or array of shape (n_windows, n_resampled) or \
                (n_windows, n_channels, n_resampled)
            Of the same kind as `X`, at the new rate; float32 stays float32.
        """
        signal = self._validate(X, reset=False)
        dtype = signal.dtype
        compute = partial(self._transform_windows, sampling_rate=dtype.sampling_rate)
        result = compute_in_chunks(compute, signal, _CHUNK)
        if self.min_quality is not None:
            result[self._below_quality(signal, self.signal)] = np.nan
        self._warn_of_missing(X, signal, result)
        rate = dtype.sampling_rate if self.rate is None else self.rate
        return wrap_signals(result, X, signal_name(X), sampling_rate=rate, channels=dtype.channels)

    def _transform_windows(self, values, sampling_rate):
        rows = values.reshape(-1, values.shape[-1])  # each a channel of a window
        missing = np.isnan(rows).mean(axis=1) > LARGEST_GAP_SHARE
        levelled = self.standardize or (self.band is not None and self.band[0] is not None)
        flat = (rows == rows[:, :1]).all(axis=1)
        missing |= flat if levelled else flat & (rows[:, 0] == 0)
        rows = np.where(missing[:, np.newaxis], 0, fill_gaps(rows))
        if self.standardize:
            rows -= rows[:, :1].copy()  # the offset is removed anyway, and would cost precision
        if self.rate is None and self.band is None:
            resampled = rows.astype(np.result_type(rows.dtype, np.float32))
        else:
            resampled = resample(rows, sampling_rate, self.rate, self.band)
        if self.standardize:
            resampled -= resampled.mean(axis=1, keepdims=True)
            deviation = resampled.std(axis=1, keepdims=True)
            # The most that rounding can leave of a channel that is flat or has nothing in the band.
            rounding = 100 * np.finfo(resampled.dtype).eps * np.ptp(rows, axis=1, keepdims=True)
            flat = deviation <= rounding
            resampled /= np.where(flat, 1, deviation)
            missing |= flat[:, 0]
        resampled[missing] = np.nan
        return resampled.reshape(*values.shape[:-1], -1)

    def _n_out(self, dtype):
        if self.rate is None:
            return dtype.shape[-1]
        return n_resampled(dtype.shape[-1], dtype.sampling_rate, self.rate)

    @property
    def _needs_rate(self):
        return not (self.rate is None and self.band is None and self.min_quality is None)

    def _check_parameters(self, dtype):
        n_times, sampling_rate = dtype.shape[-1], dtype.sampling_rate
        if self.signal is not None or self.min_quality is not None:
            check_signal(self.signal)
        if self.rate is not None and not is_positive(self.rate):
            raise ValueError(f"rate must be a positive number of hertz, got {self.rate!r}.")
        if self._n_out(dtype) < 1:
            raise ValueError(
                f"rate={self.rate:g} Hz leaves no sample in a window of {n_times} samples at "
                f"{sampling_rate:g} Hz. Pass a rate of at least {sampling_rate / n_times:g} Hz, or "
                "cut longer windows."
            )
        if self.band is None:
            return
        edges = [] if np.ndim(self.band) != 1 else list(self.band)
        known = [edge for edge in edges if edge is not None]
        if len(edges) != 2 or not all(is_positive(edge) for edge in known):
            raise ValueError(
                "band must be None or (low, high) in hertz, each positive or None, got "
                f"{self.band!r}."
            )
        if len(known) == 2 and known[0] >= known[1]:
            raise ValueError(f"band={self.band!r} must have the lower edge first.")
        lowest = sampling_rate if self.rate is None else min(self.rate, sampling_rate)
        if known and known[-1] > lowest / 2:
            raise ValueError(
                f"band={self.band!r} reaches above {lowest / 2:g} Hz, half the lower of the two "
                f"sampling rates ({sampling_rate:g} Hz, and {self.rate or sampling_rate:g} Hz "
                "after resampling). Pass a band that ends there, or None for its upper edge."
            )

    def _names_of_numbers(self, dtype):
        names = [f"t{i}" for i in range(self._n_out(dtype))]
        if dtype.shape[0] == 1:
            return names
        return [f"{channel}_{name}" for channel in range(dtype.shape[0]) for name in names]
