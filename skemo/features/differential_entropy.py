"""Differential entropy of EEG windows, as named features or as a map."""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo.features.base import WindowTransformer, compute_in_blocks, wrap_signals
from skemo.kernels.entropy import BANDS, VARIANCE_FLOOR, differential_entropy
from skemo.signals.array import SignalDtype
from skemo.signals.checks import signal_name

# A channel whose entropies are all below this value, just above the floor, is flat.
_FLAT = 0.5 * math.log(2 * math.pi * math.e * VARIANCE_FLOOR) + 1e-3


class DifferentialEntropyTransformer(WindowTransformer):
    r"""Differential entropy of EEG windows, per frequency band and channel.

    For each window, band and channel, it gives :math:`\frac{1}{2} \ln(2 \pi e \sigma^2)`
    nats, where :math:`\sigma^2` is the band's variance (see
    :func:`skemo.kernels.entropy.differential_entropy`): as named features for a classical
    model, or as a map of bands by channels by sub-windows for a network. Nothing is learned
    from the rows.

    Parameters
    ----------
    output : {"features", "map"}, default="features"
        ``"features"`` gives an array of shape (n_windows, n_features), with names like
        ``alpha_F3``, or ``alpha_F3_0`` with sub-windows; unnamed channels are numbered.
        ``"map"`` gives a signal column of windows of shape (n_bands, n_channels,
        n_sub_windows).
    bands : dict of str to (low, high) or None, default=None
        Frequency bands in hertz, ``low <= frequency < high``. None is theta 4 to 8, alpha
        8 to 14, beta 14 to 31 and gamma 31 to 45 Hz.
    sub_windows : int, default=1
        Number of equal parts that a window is cut into; samples at the end that do not fill a
        part are dropped.
    detrend : bool, default=False
        Subtract from each (sub-)window the line through its first and last sample, which keeps
        slow waves out of the bands in windows of a second or two.
    reject_artefacts : bool, default=True
        Whether a channel that is partly flat or faint, clipped, or has steps is missing in
        that (sub-)window (:func:`skemo.kernels.entropy.disturbed_channels`).
    min_quality : float or None, default=None
        A channel is missing in a window in which its quality (``EEG_Quality`` of
        :class:`skemo.QualityTransformer`) is lower. None does not measure quality.
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
    A NaN in a channel makes the entropies of that channel NaN, and no others. With
    `reject_artefacts`, so does an artefact. A flat channel, with no variance in any band, has
    lost its electrode: its entropies are always NaN, whereas
    :func:`skemo.kernels.entropy.differential_entropy` gives the floor.

    The map keeps the channel names of the EEG, and its sampling rate is that of the
    sub-windows. A two-dimensional array is one channel, and its map is flattened.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import DifferentialEntropyTransformer, SignalArray, signal_frame
    >>> noise = np.random.default_rng(0).normal(size=(5, 2, 1280))
    >>> X = signal_frame(eeg=SignalArray(noise, sampling_rate=128, channels=["F3", "F4"]))
    >>> entropy = DifferentialEntropyTransformer().set_output(transform="pandas")
    >>> entropy.fit_transform(X).columns.tolist()[:3]
    ['theta_F3', 'theta_F4', 'alpha_F3']
    """

    def __init__(
        self,
        output: Literal["features", "map"] = "features",
        *,
        bands: Mapping[str, tuple[float, float]] | None = None,
        sub_windows: int = 1,
        detrend: bool = False,
        reject_artefacts: bool = True,
        min_quality: float | None = None,
        sampling_rate: float | None = None,
    ) -> None:
        self.output = output
        self.bands = bands
        self.sub_windows = sub_windows
        self.detrend = detrend
        self.reject_artefacts = reject_artefacts
        self.min_quality = min_quality
        self.sampling_rate = sampling_rate

    def transform(self, X: pd.DataFrame | ArrayLike) -> NDArray | pd.DataFrame:
        """Compute the entropies.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)

        Returns
        -------
        array of shape (n_windows, n_features), or DataFrame of one signal column
            The latter for ``output="map"`` and a signal column. The map of a
            three-dimensional array is a four-dimensional array.
        """
        signal = self._validate(X, reset=False)
        rate = signal.dtype.sampling_rate
        bands = BANDS if self.bands is None else self.bands

        def compute(values):
            return differential_entropy(
                values,
                rate,
                bands,
                self.sub_windows,
                detrend=self.detrend,
                reject_artefacts=self.reject_artefacts,
            )

        entropy = compute_in_blocks(compute, signal)
        flat = entropy.max(axis=1, keepdims=True) < _FLAT
        np.copyto(entropy, np.nan, where=flat)
        if self.min_quality is not None:
            low = self._below_quality(signal, "eeg")
            np.copyto(entropy, np.nan, where=low[:, np.newaxis, :, np.newaxis])
        self._warn_of_missing(X, signal, entropy)
        if self.output == "features":
            return entropy.reshape(len(entropy), -1)
        return wrap_signals(
            entropy,
            X,
            signal_name(X),
            sampling_rate=rate / (signal.dtype.shape[-1] // self.sub_windows),
            channels=signal.dtype.channels,
        )

    def _what_is_needed(self, dtype: SignalDtype) -> str:
        return (
            "Their channels are partly flat or faint, clipped or have steps; "
            "reject_artefacts=False keeps them."
        )

    def _check_parameters(self, dtype):
        if self.output not in ("features", "map"):
            raise ValueError(f"output must be 'features' or 'map', got {self.output!r}.")
        for name in ("detrend", "reject_artefacts"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}.")
        bands = BANDS if self.bands is None else self.bands
        if not isinstance(bands, Mapping) or not bands:
            raise ValueError(
                f"bands must be a dict of name: (low, high) in hertz, or None, got {bands!r}."
            )
        for name, band in bands.items():
            if np.ndim(band) != 1 or len(band) != 2:
                raise ValueError(f"The band {name!r} must be (low, high) in hertz, got {band!r}.")
        no_windows = np.empty((0, *dtype.shape), dtype.value_type)
        differential_entropy(no_windows, dtype.sampling_rate, bands, self.sub_windows)

    def _names_of_numbers(self, dtype: SignalDtype) -> list[str]:
        bands = BANDS if self.bands is None else self.bands
        channels = range(dtype.shape[-2]) if dtype.channels is None else dtype.channels
        parts = [f"_{part}" for part in range(self.sub_windows)] if self.sub_windows > 1 else [""]
        return [f"{band}_{name}{part}" for band in bands for name in channels for part in parts]
