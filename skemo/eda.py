"""Skin conductance of windows as tonic and phasic series, or as named features."""

from dataclasses import replace
from numbers import Real

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skemo._doc_links import DocLinkMixin
from skemo._dsp import block_means, fill_gaps
from skemo._validation import (
    check_finite,
    choose_features,
    signal_name,
    validate_signals,
    wrap_signals,
)
from skemo.cvxeda import optimised_together
from skemo.skin_conductance import (
    FEATURES,
    PARTS,
    bridge_gaps,
    check_method,
    eda_features,
    samples_a_block,
    tonic_phasic,
    working_parts,
)

_CHUNK = 1 << 18  # samples handed to a process at once


def decompose_eda(recording, *, name="eda", method="highpass"):
    """Put tonic and phasic skin conductance in the place of the conductance of a recording.

    The whole recording is decomposed, so that windows cut from the result,
    ``skemo.segment(map(decompose_eda, recordings), 60)``, have no edges of their own. Give
    them to ``EDATransformer(signal="components")``.

    Parameters
    ----------
    recording : Recording
    name : str, default="eda"
        The signal to decompose, of one channel.
    method : {"highpass", "cvxeda"}, default="highpass"
        See :func:`skemo.skin_conductance.tonic_phasic`.

    Returns
    -------
    Recording
        With the channels ``"tonic"`` and ``"phasic"`` in the signal `name`, at the same
        rate and in the same unit. NaN stays NaN, though the filters pass over it by
        straight lines.

    Raises
    ------
    ValueError
        Where the recording has no such signal, or it has several channels.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording
    >>> from skemo.eda import decompose_eda
    >>> decompose_eda(Recording({"eda": np.ones(400)}, {"eda": 4}, subject="S2"))
    <Recording of subject 'S2': 100 s; eda 2 channels at 4 Hz>
    """
    check_method(method)
    where = f"The recording of subject {recording.subject!r}"
    if name not in recording.signals:
        raise ValueError(
            f"{where} has no signal {name!r}, but {list(recording.signals)}: pass name=, or only "
            "the recordings that have skin conductance."
        )
    eda = recording.signals[name]
    if len(eda) != 1:
        raise ValueError(
            f"{where} has {len(eda)} channels of {name!r}, {recording.channels[name]}: one is "
            "decomposed. Leave the others out."
        )
    check_finite(eda, name)
    rate = recording.sampling_rates[name]
    parts = np.concatenate(tonic_phasic(fill_gaps(eda.astype(float)), rate, method))
    parts = np.where(np.isnan(eda), np.nan, parts).astype(np.result_type(eda.dtype, np.float32))
    return replace(
        recording,
        signals={**recording.signals, name: parts},
        channels={**recording.channels, name: PARTS},
    )


class EDATransformer(DocLinkMixin, TransformerMixin, BaseEstimator):
    """Skin conductance as tonic and phasic series, or as named features.

    Each window is parted into a slow level (tonic) and quick changes (phasic) by
    :func:`~skemo.skin_conductance.tonic_phasic`. Both are given as they are, for a network,
    or summed up in features, together with the responses in the phasic part
    (:func:`~skemo.skin_conductance.skin_conductance_responses`). Nothing is learned from the
    rows.

    Parameters
    ----------
    output : {"features", "series"}, default="features"
        ``"features"`` gives an array of shape (n_windows, n_features), ``"series"`` a signal
        column with the channels ``"tonic"`` and ``"phasic"``, of the window's length and rate.
    signal : {"eda", "components"}, default="eda"
        What the windows hold: one channel of skin conductance; or two, tonic and phasic, which
        were parted before the windows were cut (:func:`skemo.eda.decompose_eda`) and are not
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
    (:func:`~skemo.skin_conductance.tonic_phasic`).

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
    >>> from skemo.eda import EDATransformer
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
        signal="eda",
        method="highpass",
        features="all",
        min_amplitude=0.0,
        min_relative=0.1,
        sampling_rate=None,
        n_jobs=None,
    ):
        self.output = output
        self.signal = signal
        self.method = method
        self.features = features
        self.min_amplitude = min_amplitude
        self.min_relative = min_relative
        self.sampling_rate = sampling_rate
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
        self._column = signal_name(X)
        return self

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
        step = max(1, _CHUNK // max(1, values[0].size))
        if self.signal == "eda" and self.method == "cvxeda":
            step = optimised_together(values.shape[2], rate)
        compute = self._window_features if self.output == "features" else self._window_series
        parts = Parallel(n_jobs=self.n_jobs)(
            delayed(compute)(values[start : start + step], rate)
            for start in range(0, len(values), step)
        )
        result = np.concatenate(parts)
        if self.output == "features":
            return result
        return wrap_signals(result, X, signal_name(X), sampling_rate=rate, channels=PARTS)

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns: ``SCR_Peaks_N``, or the name of the signal column.

        The series of an array has the names ``tonic0``, ``tonic1``, and so on.

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
            names = [f"{part}{i}" for part in PARTS for i in range(self.signal_dtype_.shape[-1])]
        return np.asarray(names, dtype=object)

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

    def _validate(self, X, *, reset):
        self._check_parameters()
        signal = validate_signals(self, X, sampling_rate=self.sampling_rate, reset=reset)
        dtype = signal.dtype
        n_channels = 1 if self.signal == "eda" else 2
        named = dtype.channels or PARTS
        if dtype.shape[:-1] != (n_channels,) or (n_channels == 2 and named != PARTS):
            wanted = "one channel" if n_channels == 1 else "the channels 'tonic' and 'phasic'"
            raise ValueError(
                f"EDATransformer(signal={self.signal!r}) takes windows of {wanted}, got the shape "
                f"{dtype.shape} with the channels {dtype.channels}. Raw skin conductance is "
                "signal='eda'; what skemo.decompose_eda gives is signal='components'."
            )
        return signal

    def _check_parameters(self):
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags
