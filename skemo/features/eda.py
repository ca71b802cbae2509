"""Skin conductance of windows as tonic and phasic series, or as named features."""

from functools import partial
from numbers import Real

import numpy as np

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
    PARTS,
    bridge_gaps,
    check_method,
    eda_features,
    samples_a_block,
    tonic_phasic,
    working_parts,
)
from skemo.signals.checks import signal_name

_CHUNK = 1 << 18  # samples handed to a process at once


class EDATransformer(WindowTransformer):
    """Skin conductance as tonic and phasic series, or as named features.

    Each window is parted into a slow level (tonic) and quick changes (phasic) by
    :func:`~skemo.kernels.skin_conductance.tonic_phasic`. Both are given as they are, for a
    network, or summed up in features, together with the responses in the phasic part
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
        How windows of conductance are parted. ``"cvxeda"`` takes much longer.
    features : str or list of str, default="all"
        Names, as ``"SCR_Peaks_N"``, and groups of them: ``"level"``, ``"tonic"``,
        ``"phasic"``, ``"scr"``, ``"all"``.
    min_amplitude : float, default=0.0
        The least prominence of a response in the signal's unit, customarily 0.01 to 0.05 µS.
        At 0, as in NeuroKit2, the noise of a calm window counts as responses.
    min_relative : float, default=0.1
        The least prominence of a response, as a part of the largest in its window; 0 to 1.
    min_quality : float or None, default=None
        A window whose quality (``EDA_Quality`` of :class:`skemo.QualityTransformer`) is lower
        is missing. None measures no quality.
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
    With x the conductance in µS (freed of noise above 3 Hz by ``method="highpass"``, if sampled
    faster than 6 Hz; with ``signal="components"`` the sum of both parts), T its tonic and P its
    phasic part, the features are these. Those marked * are NeuroKit2's, whose values the filters
    agree with to rounding below 64 Hz, and nearly from there on
    (:func:`~skemo.kernels.skin_conductance.tonic_phasic`).

    ========================== ====== ====================================================
    Group and name             Unit   Formula
    ========================== ====== ====================================================
    *level*
    EDA_Mean                   µS     mean of x
    EDA_SD                     µS     standard deviation of x, divisor n
    EDA_Min, EDA_Max           µS     least and largest x
    EDA_Slope                  µS/s   slope of the line of least squares through x
    EDA_Autocorrelation *             correlation of x with x 4 s later: the sum of
                                      products, of deviations from the mean, by that of
                                      squares; NeuroKit2 has it above 30 s only
    *tonic*
    EDA_Tonic_Mean             µS     mean of T
    EDA_Tonic_SD *             µS     standard deviation of T, divisor n
    EDA_Tonic_Slope            µS/s   slope of the line of least squares through T
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
    other features of responses; a response whose onset lies before the window counts, and
    has no amplitude. A flat window has its level, and no EDA_Autocorrelation. NeuroKit2's
    EDA_Sympathetic, which takes over 64 s, is not among the features.

    A window of which more than 5 % is NaN is missing: NaN throughout. Smaller gaps are
    bridged by straight lines. From 64 Hz on the features are computed from means of
    blocks of samples, at 32 to 48 Hz.

    A window should last 20 s at least, a cycle of 0.05 Hz, unless the parts were found
    beforehand: in a shorter one the tonic part takes much of what the responses are.

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
        output="features",
        *,
        signal="eda",
        method="highpass",
        features="all",
        min_amplitude=0.0,
        min_relative=0.1,
        min_quality=None,
        sampling_rate=None,
        n_jobs=None,
    ):
        self.output = output
        self.signal = signal
        self.method = method
        self.features = features
        self.min_amplitude = min_amplitude
        self.min_relative = min_relative
        self.min_quality = min_quality
        self.sampling_rate = sampling_rate
        self.n_jobs = n_jobs

    def transform(self, X):
        """Part the windows, and compute the features.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)

        Returns
        -------
        array of shape (n_windows, n_features), or DataFrame of one signal column
            The latter with ``output="series"`` of a signal column. The series of an array
            of three dimensions is an array of shape (n_windows, 2, n_times), of two
            (n_windows, 2 * n_times), the tonic part first.
        """
        signal = self._validate(X, reset=False)
        values, rate = signal.values, signal.dtype.sampling_rate
        step = _CHUNK // max(1, values[0].size)
        if self.signal == "eda" and self.method == "cvxeda":
            step = optimised_together(values.shape[2], rate)
        compute = self._window_features if self.output == "features" else self._window_series
        result = compute_in_chunks(partial(compute, sampling_rate=rate), values, step, self.n_jobs)
        if self.min_quality is not None:
            whole = values if self.signal == "eda" else values.sum(axis=1, keepdims=True)
            result[self._below_quality(whole, rate, "eda")] = np.nan
        if self.output == "features":
            return result
        return wrap_signals(result, X, signal_name(X), sampling_rate=rate, channels=PARTS)

    def _window_features(self, values, sampling_rate):
        windows, usable = bridge_gaps(values)
        names = choose_features(self.features, FEATURES)
        result = np.full((len(values), len(names)), np.nan)
        if len(usable):
            n_block = samples_a_block(sampling_rate, values.shape[2])
            if self.signal == "components":
                tonic, phasic = (block_means(windows[:, i].copy(), n_block) for i in (0, 1))
                parts = tonic + phasic, tonic, phasic
            elif self.method == "highpass":
                parts = working_parts(windows[:, 0], sampling_rate, n_block)
            else:
                full = windows[:, 0], *tonic_phasic(windows[:, 0], sampling_rate, self.method)
                parts = [block_means(np.ascontiguousarray(part), n_block) for part in full]
            least = {"min_amplitude": self.min_amplitude, "min_relative": self.min_relative}
            columns = eda_features(*parts, sampling_rate / n_block, **least)
            result[usable] = np.stack([columns[name] for name in names], axis=1)
        return result

    def _window_series(self, values, sampling_rate):
        if self.signal == "eda":
            return np.stack(tonic_phasic(values[:, 0], sampling_rate, self.method), axis=1)
        windows, usable = bridge_gaps(values)
        series = np.full(values.shape, np.nan, np.result_type(values.dtype, np.float32))
        series[usable] = windows
        return series

    def _check_parameters(self, dtype):
        if self.output not in ("features", "series"):
            raise ValueError(f"output must be 'features' or 'series', got {self.output!r}.")
        if self.signal not in ("eda", "components"):
            raise ValueError(f"signal must be 'eda' or 'components', got {self.signal!r}.")
        check_method(self.method)
        choose_features(self.features, FEATURES)
        for name, most in (("min_amplitude", np.inf), ("min_relative", 1)):
            least = getattr(self, name)
            if not isinstance(least, Real) or isinstance(least, bool) or not 0 <= least <= most:
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

    def _names_of_numbers(self, dtype):
        if self.output == "features":
            return choose_features(self.features, FEATURES)
        return [f"{part}{i}" for part in PARTS for i in range(dtype.shape[-1])]
