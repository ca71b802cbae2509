"""Skin conductance of windows as tonic and phasic series, or as named features."""

from functools import partial
from numbers import Real
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
from skemo.kernels.cvxeda import optimised_together
from skemo.kernels.filters import block_means
from skemo.kernels.skin_conductance import (
    FEATURES,
    OFF_SKIN,
    PARTS,
    bridge_gaps,
    check_method,
    check_onset,
    conductance,
    eda_features,
    samples_a_block,
    tonic_phasic,
    working_parts,
)
from skemo.signals.array import SignalDtype
from skemo.signals.checks import signal_name

_CHUNK = 1 << 18  # samples given to a process at once


class EDATransformer(WindowTransformer):
    """Skin conductance as tonic and phasic series, or as named features.

    Each window is separated into a slow level (tonic) and quick changes (phasic) by
    :func:`~skemo.kernels.skin_conductance.tonic_phasic`. Both are returned as series, for a
    network, or summarised in features, together with the responses in the phasic part
    (:func:`~skemo.kernels.skin_conductance.skin_conductance_responses`). Nothing is learned from
    the rows.

    Parameters
    ----------
    output : {"features", "series"}, default="features"
        ``"features"`` gives an array of shape (n_windows, n_features), ``"series"`` a signal
        column with the channels ``"tonic"`` and ``"phasic"``, of the window's length and rate.
    signal : {"eda", "components"}, default="eda"
        What the windows hold: one channel of skin conductance; or two, tonic and phasic, which
        were separated before the windows were cut (:func:`skemo.decompose_eda`) and are not
        filtered again.
    method : {"highpass", "cvxeda"}, default="highpass"
        How the parts of windows of conductance are separated. ``"cvxeda"`` takes much longer.
    features : str or list of str, default="all"
        Names, such as ``"SCR_Peaks_N"``, and groups of them: ``"level"``, ``"tonic"``,
        ``"phasic"``, ``"scr"``, ``"all"``.
    min_amplitude : float, default=0.0
        Minimum prominence of a response in the signal's unit, customarily 0.01 to 0.05 µS.
        At 0, as in NeuroKit2, the noise of a calm window counts as responses.
    min_relative : float, default=0.1
        Minimum prominence of a response, as a share of the largest in its window; 0 to 1.
    onset : {"base", "minimum"}, default="base"
        Where a response begins, from which its amplitude and rise time are measured.
        ``"base"`` is the last minimum near the lowest point since the previous response.
        ``"minimum"``, as in NeuroKit2, is the last minimum, which may be a ripple on the rise
        (:func:`~skemo.kernels.skin_conductance.skin_conductance_responses`).
    off_skin : float or None, default=0.01
        Conductance, in the signal's unit, up to which the electrodes are off the skin
        (:func:`~skemo.kernels.skin_conductance.conductance`). None if the signal is not a
        conductance in µS: if it was standardised, or is in another unit.
    min_quality : float or None, default=None
        A window whose quality (``EDA_Quality`` of :class:`skemo.QualityTransformer`) is lower
        is missing. None does not measure quality.
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
    Let x be the conductance in µS (without noise above 3 Hz for ``method="highpass"`` and
    sampling rates over 6 Hz; the sum of both parts for ``signal="components"``), T its tonic and
    P its phasic part. Features marked * are NeuroKit2's. With ``onset="minimum"`` the filters
    give its values within rounding below 64 Hz, and nearly so from there on
    (:func:`~skemo.kernels.skin_conductance.tonic_phasic`).

    ========================== ====== ====================================================
    Group and name             Unit   Formula
    ========================== ====== ====================================================
    *level*
    EDA_Mean                   µS     mean of x
    EDA_SD                     µS     standard deviation of x, divisor n
    EDA_Min, EDA_Max           µS     smallest and largest x
    EDA_Slope                  µS/s   slope of the least-squares line through x
    EDA_Autocorrelation *             correlation of x with x 4 s later: sum of products
                                      of deviations from the mean over sum of squares;
                                      NeuroKit2 gives it only above 30 s
    *tonic*
    EDA_Tonic_Mean             µS     mean of T
    EDA_Tonic_SD *             µS     standard deviation of T, divisor n
    EDA_Tonic_Slope            µS/s   slope of the least-squares line through T
    *phasic*
    EDA_Phasic_SD              µS     standard deviation of P, divisor n
    EDA_Phasic_AUC             µS s   area between P and zero
    *scr*
    SCR_Peaks_N *                     number of responses
    SCR_Peaks_Amplitude_Mean * µS     mean of their amplitudes, from onset to peak
    SCR_Peaks_Amplitude_Max    µS     the largest amplitude
    SCR_Peaks_Amplitude_Sum    µS     sum of the amplitudes
    SCR_RiseTime_Mean          s      mean time from onset to peak
    SCR_RecoveryTime_Mean      s      mean time from peak to half of the amplitude
    ========================== ====== ====================================================

    A window without responses has SCR_Peaks_N and SCR_Peaks_Amplitude_Sum 0, and NaN for the
    other features of responses. A response whose onset lies before the window is counted, but
    has no amplitude. A flat window has its level, but no EDA_Autocorrelation. NeuroKit2's
    EDA_Sympathetic, which needs more than 64 s, is not among the features.

    A window is missing, NaN throughout, if more than 5 % of it is NaN or off the skin. Shorter
    gaps are bridged by straight lines, and so are the steps of a signal whose values were
    repeated to a faster rate. From 64 Hz on, the features are computed from means of blocks of
    samples, at 32 to 48 Hz.

    A window should last at least 20 s, one cycle of 0.05 Hz, unless the parts were separated
    beforehand: in a shorter window the tonic part takes up much of the responses.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import SignalArray, signal_frame
    >>> from skemo.features.eda import EDATransformer
    >>> seconds = np.arange(240) / 4
    >>> eda = 2 + sum(np.exp(-(((seconds - peak) / 2) ** 2)) for peak in (15, 30, 48))
    >>> X = signal_frame(eda=SignalArray(np.stack([eda, 2 * eda]), sampling_rate=4))
    >>> features = EDATransformer(features=["EDA_Max", "SCR_Peaks_Amplitude_Max"])
    >>> features.fit_transform(X).round(2).tolist()
    [[3.0, 0.87], [6.0, 1.74]]
    """

    def __init__(
        self,
        output: Literal["features", "series"] = "features",
        *,
        signal: Literal["eda", "components"] = "eda",
        method: Literal["highpass", "cvxeda"] = "highpass",
        features: str | list[str] = "all",
        min_amplitude: float = 0.0,
        min_relative: float = 0.1,
        onset: Literal["base", "minimum"] = "base",
        off_skin: float | None = OFF_SKIN,
        min_quality: float | None = None,
        sampling_rate: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.output = output
        self.signal = signal
        self.method = method
        self.features = features
        self.min_amplitude = min_amplitude
        self.min_relative = min_relative
        self.onset = onset
        self.off_skin = off_skin
        self.min_quality = min_quality
        self.sampling_rate = sampling_rate
        self.n_jobs = n_jobs

    def transform(self, X: pd.DataFrame | ArrayLike) -> NDArray | pd.DataFrame:
        """Separate the parts of the windows, and compute the features.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)

        Returns
        -------
        array of shape (n_windows, n_features), or DataFrame of one signal column
            The latter for ``output="series"`` and a signal column. A three-dimensional array
            gives series of shape (n_windows, 2, n_times), a two-dimensional one
            (n_windows, 2 * n_times), with the tonic part first.
        """
        signal = self._validate(X, reset=False)
        n_times, rate = signal.dtype.shape[-1], signal.dtype.sampling_rate
        n_samples = _CHUNK
        if self.signal == "eda" and self.method == "cvxeda":
            n_samples = optimised_together(n_times, rate) * n_times
        compute = self._window_features if self.output == "features" else self._window_series
        compute = partial(compute, sampling_rate=rate)
        result = compute_in_chunks(compute, signal, n_samples, self.n_jobs)
        if self.min_quality is not None:
            parts = self.signal == "components"
            result[self._below_quality(signal, "eda", summed=parts)] = np.nan
        self._warn_of_missing(X, signal, result)
        if self.output == "features":
            return result
        return wrap_signals(result, X, signal_name(X), sampling_rate=rate, channels=PARTS)

    def _window_features(self, values: NDArray, sampling_rate: float) -> NDArray:
        if self.signal == "eda":
            values = conductance(values[:, 0], self.off_skin)[:, np.newaxis]
        windows, usable = bridge_gaps(values)
        names = choose_features(self.features, FEATURES)
        result = np.full((len(values), len(names)), np.nan)
        if len(usable):
            n_block = samples_a_block(sampling_rate, values.shape[2])
            if self.signal == "components":
                tonic, phasic = (block_means(windows[:, i].copy(), n_block) for i in (0, 1))
                eda = tonic + phasic
            elif self.method == "highpass":
                eda, tonic, phasic = working_parts(windows[:, 0], sampling_rate, n_block)
            else:
                found = tonic_phasic(windows[:, 0], sampling_rate, self.method, off_skin=None)
                eda, tonic, phasic = (
                    block_means(np.ascontiguousarray(each), n_block)
                    for each in (windows[:, 0], *found)
                )
            columns = eda_features(
                eda,
                tonic,
                phasic,
                sampling_rate / n_block,
                self.min_amplitude,
                self.min_relative,
                self.onset,
            )
            result[usable] = np.stack([columns[name] for name in names], axis=1)
        return result

    def _window_series(self, values: NDArray, sampling_rate: float) -> NDArray:
        if self.signal == "eda":
            parts = tonic_phasic(values[:, 0], sampling_rate, self.method, off_skin=self.off_skin)
            return np.stack(parts, axis=1)
        windows, usable = bridge_gaps(values)
        series = np.full(values.shape, np.nan, np.result_type(values.dtype, np.float32))
        series[usable] = windows
        return series

    def _why_missing(self, values: NDArray, dtype: SignalDtype) -> str:
        if self.signal == "eda" and np.nanmedian(values) <= (self.off_skin or -np.inf):
            return (
                f"Their conductance is at most off_skin={self.off_skin:g}: were the electrodes on "
                "the skin, and is it in µS? Pass off_skin=None for another unit."
            )
        return super()._why_missing(values, dtype)

    def _check_parameters(self, dtype: SignalDtype) -> None:
        if self.output not in ("features", "series"):
            raise ValueError(f"output must be 'features' or 'series', got {self.output!r}.")
        if self.signal not in ("eda", "components"):
            raise ValueError(f"signal must be 'eda' or 'components', got {self.signal!r}.")
        check_method(self.method)
        check_onset(self.onset)
        if self.off_skin is not None and not _is_number_from_0(self.off_skin):
            raise ValueError(
                f"off_skin must be None or a number of at least 0, got {self.off_skin!r}."
            )
        choose_features(self.features, FEATURES)
        for name, most in (("min_amplitude", np.inf), ("min_relative", 1)):
            least = getattr(self, name)
            if not _is_number_from_0(least) or least > most:
                limit = "of at least 0" if most == np.inf else "from 0 to 1"
                raise ValueError(f"{name} must be a number {limit}, got {least!r}.")
        n_channels = 1 if self.signal == "eda" else 2
        named = dtype.channels or PARTS
        if dtype.shape[:-1] != (n_channels,) or (n_channels == 2 and named != PARTS):
            wanted = "one channel" if n_channels == 1 else "the channels 'tonic' and 'phasic'"
            raise ValueError(
                f"EDATransformer(signal={self.signal!r}) takes windows of {wanted}, got the shape "
                f"{dtype.shape} with the channels {dtype.channels}. Raw skin conductance is "
                "signal='eda'; what skemo.decompose_eda gives is signal='components'."
            )

    def _names_of_numbers(self, dtype: SignalDtype) -> list[str]:
        if self.output == "features":
            return choose_features(self.features, FEATURES)
        return [f"{part}{i}" for part in PARTS for i in range(dtype.shape[-1])]


def _is_number_from_0(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and float(value) >= 0
