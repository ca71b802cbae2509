"""Windows at another sampling rate, filtered and standardised: raw input for a network."""

from fractions import Fraction

import numpy as np
import scipy.fft
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skemo._doc_links import DocLinkMixin
from skemo._dsp import LARGEST_GAP_SHARE, band_gain, fill_gaps, synthesise
from skemo._validation import is_positive, signal_name, validate_signals, wrap_signals

_ROLL_OFF = 0.8  # of half the new rate: from here on the anti-aliasing filter falls to 0
_N_RINGING = 40  # samples of the lower rate after which the filter has died away
_CHUNK = 1 << 17  # samples filtered together: a few megabytes with what is made of them


def resample(signals, sampling_rate, rate=None, band=None):
    """Signals at another sampling rate, without aliases and without shift in time.

    The signals are filtered and interpolated in the frequency domain. Down to a lower rate
    they keep what lies below 0.8 of half that rate, and a raised cosine takes the rest
    away up to the half. Up to a higher rate they keep every sample that they have, and
    band-limited interpolation puts others between.

    Beyond both ends a signal is continued by its reflection, which fades out: about the
    end point (after a straight line from end to end is taken out), so that value and slope
    go on; or, where `band` has a lower edge, about the time of the end, since what
    oscillates around zero would otherwise be zero at both ends.

    Parameters
    ----------
    signals : array of shape (n_signals, n_times)
        Without NaN.
    sampling_rate : float
        In hertz.
    rate : float, default=None
        The new rate in hertz; None keeps the old.
    band : (low, high) or None, default=None
        Band to keep, in hertz; None at an end leaves it open. The gain is that of a
        Butterworth filter of order 2, run forwards and backwards: one half at the edges.

    Returns
    -------
    ndarray of shape (n_signals, round(n_times * rate / sampling_rate))
        Sample ``i`` is at ``i / rate`` seconds from the first of the old. float32 stays
        so. With a lower edge the mean is removed.

    Notes
    -----
    Compared with filtering a whole recording and cutting it afterwards, windows differ
    near their ends, where they do not know what follows. Without a lower edge that is small:
    about 1 % of the standard deviation, over the outer tenth of ten seconds of ECG or pulse.
    With one it is more (7 % for an ECG from 0.5 Hz, 32 % for a pulse), and where a window
    holds only a few cycles of the lower edge, as skin conductance from 0.05 Hz does, filter
    the recording before cutting it.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.resampling import resample
    >>> seconds = np.arange(700) / 700
    >>> wave = np.sin(2 * np.pi * 3 * seconds) + np.sin(2 * np.pi * 100 * seconds)
    >>> slow = resample(wave[np.newaxis], 700, 64)[0]
    >>> bool(np.abs(slow - np.sin(2 * np.pi * 3 * np.arange(64) / 64))[5:-5].max() < 0.02)
    True
    """
    signals = np.asarray(signals)
    n_times = signals.shape[-1]
    rate = sampling_rate if rate is None else rate
    low, high = (None, None) if band is None else band
    n_out = _n_resampled(n_times, sampling_rate, rate)
    dtype = np.result_type(signals.dtype, np.float32)
    if rate == sampling_rate and low is None and high is None:
        return signals.astype(dtype)

    # The circular buffer must hold a whole number of samples of either rate.
    ratio = Fraction(float(rate) / float(sampling_rate)).limit_denominator(max(1000, n_times))
    slowest = [_N_RINGING / min(rate, sampling_rate), low and 1 / low, high and 2 / high]
    reach = max(seconds for seconds in slowest if seconds is not None)
    n_beyond = min(int(np.ceil(reach * sampling_rate)), n_times - 1)
    n_blocks = -(-(n_times + 2 * n_beyond) // ratio.denominator)
    n_buffer = scipy.fft.next_fast_len(n_blocks, real=True) * ratio.denominator

    buffer = np.zeros((len(signals), n_buffer), dtype)
    window = buffer[:, :n_times]
    # The first sample serves as zero, so that an offset costs no precision and a constant
    # signal stays exactly constant.
    first = signals[:, :1].astype(dtype)
    np.subtract(signals, first, out=window)
    if low is None:
        slope = window[:, -1:] / max(1, n_times - 1)
        window -= slope * np.arange(n_times, dtype=dtype)
        sign = -1
    else:
        window -= window.mean(axis=1, keepdims=True)
        sign = 1
    fade = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, n_beyond + 1) / (n_beyond + 1))
    fade = (sign * fade).astype(dtype)
    after = window[:, n_times - 1 - n_beyond : n_times - 1]
    np.multiply(after[:, ::-1], fade, out=buffer[:, n_times : n_times + n_beyond])
    before = window[:, 1 : n_beyond + 1]
    np.multiply(before[:, ::-1], fade[::-1], out=buffer[:, n_buffer - n_beyond :])

    frequencies = np.arange(n_buffer // 2 + 1) * (sampling_rate / n_buffer)
    gain = band_gain(frequencies, low, high)
    if rate < sampling_rate:
        above = (frequencies / (rate / 2) - _ROLL_OFF) / (1 - _ROLL_OFF)
        gain *= 0.5 + 0.5 * np.cos(np.pi * np.clip(above, 0, 1))
    elif rate > sampling_rate and n_buffer % 2 == 0:
        gain[-1] /= 2  # the bin at half the old rate gets a mirror image of its own
    spectrum = scipy.fft.rfft(buffer, overwrite_x=True)
    n_synthesised = n_buffer // ratio.denominator * ratio.numerator
    resampled = synthesise(spectrum, gain, n_buffer, n_synthesised)[:, :n_out]
    if low is None:
        resampled += slope * (np.arange(n_out) * (sampling_rate / rate)).astype(dtype) + first
    return np.ascontiguousarray(resampled)


class ResampleTransformer(DocLinkMixin, TransformerMixin, BaseEstimator):
    """Windows of a signal at another sampling rate, filtered and standardised if asked.

    It prepares raw windows for a convolutional network: an ECG of 700 Hz at 64 Hz, say,
    from 0.5 Hz on, with mean 0 and standard deviation 1 in each window. Resampling has no
    aliases and no shift in time (:func:`skemo.resampling.resample`). Nothing is learned
    from the rows.

    Parameters
    ----------
    rate : float or None, default=None
        The new sampling rate in hertz, below or above the old. None keeps the old.
    band : (low, high) or None, default=None
        Frequencies to keep, in hertz, at most half of either rate. None at an end leaves
        it open: ``(0.5, None)`` removes the mean and slow drift.
    standardize : bool, default=False
        Whether each window and channel is brought to mean 0 and standard deviation 1. A
        channel that is flat, up to rounding, becomes 0.
    sampling_rate : float or None, default=None
        In hertz. A plain array needs it for `rate` and `band`; a signal column carries
        its own.

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
    NaN: a channel of which up to 5 % are missing in a window has the gaps bridged by
    straight lines; with more it is NaN throughout in that window. Other channels and windows
    keep their values.

    Standardising takes away the level, which for skin conductance and temperature says a
    lot; a `StandardScaler` or a network's own normalisation keeps it.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import SignalArray, signal_frame
    >>> from skemo.resampling import ResampleTransformer
    >>> noise = np.random.default_rng(0).normal(size=(5, 7000))
    >>> X = signal_frame(ecg=SignalArray(noise, sampling_rate=700))
    >>> resampled = ResampleTransformer(rate=64, standardize=True).fit_transform(X)
    >>> resampled["ecg"].dtype.shape, resampled["ecg"].dtype.sampling_rate
    ((1, 640), 64.0)
    """

    def __init__(self, rate=None, band=None, standardize=False, sampling_rate=None):
        self.rate = rate
        self.band = band
        self.standardize = standardize
        self.sampling_rate = sampling_rate

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
        signal = self._validate(X, reset=True)
        self._check_parameters(signal.dtype)
        self._column = signal_name(X)
        return self

    def transform(self, X):
        """Filter, resample and standardise the windows.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)

        Returns
        -------
        DataFrame of one signal column, or array of shape (n_windows, n_resampled) or \
                (n_windows, n_channels, n_resampled)
            Of the kind that `X` is, with the new rate; float32 stays so.
        """
        signal = self._validate(X, reset=False)
        values, dtype = signal.values, signal.dtype
        self._check_parameters(dtype)
        shape = (len(values), *dtype.shape[:-1], self._n_out(dtype))
        result = np.empty(shape, np.result_type(dtype.value_type, np.float32))
        step = max(1, _CHUNK // max(1, values[0].size))
        for start in range(0, len(values), step):
            chunk = values[start : start + step]
            rows = self._transform_rows(chunk.reshape(-1, dtype.shape[-1]), dtype.sampling_rate)
            result[start : start + step] = rows.reshape(-1, *shape[1:])
        rate = dtype.sampling_rate if self.rate is None else self.rate
        return wrap_signals(result, X, signal_name(X), sampling_rate=rate, channels=dtype.channels)

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns: the name of the signal column.

        Of an array, the samples: ``t0``, ``t1``, with more than one channel ``0_t0``.

        Parameters
        ----------
        input_features : None
            Ignored; the names come from the fitted signal.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self, "signal_dtype_")
        dtype = self.signal_dtype_
        names = [f"t{i}" for i in range(self._n_out(dtype))]
        if self._column is not None:
            names = [self._column]
        elif dtype.shape[0] > 1:
            names = [f"{channel}_{name}" for channel in range(dtype.shape[0]) for name in names]
        return np.asarray(names, dtype=object)

    def _transform_rows(self, rows, sampling_rate):
        """Channels of a few windows, each a row."""
        missing = np.isnan(rows).mean(axis=1) > LARGEST_GAP_SHARE
        rows = np.where(missing[:, np.newaxis], 0, fill_gaps(rows))
        if self.standardize:
            rows -= rows[:, :1].copy()  # an offset that goes away anyway costs precision
        if self.rate is None and self.band is None:
            resampled = rows.astype(np.result_type(rows.dtype, np.float32))
        else:
            resampled = resample(rows, sampling_rate, self.rate, self.band)
        if self.standardize:
            resampled -= resampled.mean(axis=1, keepdims=True)
            deviation = resampled.std(axis=1, keepdims=True)
            # What rounding leaves of a flat channel, or of one with nothing in the band.
            rounding = 100 * np.finfo(resampled.dtype).eps * np.ptp(rows, axis=1, keepdims=True)
            flat = deviation <= rounding
            resampled /= np.where(flat, 1, deviation)
            resampled[flat[:, 0]] = 0
        resampled[missing] = np.nan
        return resampled

    def _n_out(self, dtype):
        if self.rate is None:
            return dtype.shape[-1]
        return _n_resampled(dtype.shape[-1], dtype.sampling_rate, self.rate)

    def _validate(self, X, *, reset):
        needs_rate = self.rate is not None or self.band is not None
        return validate_signals(
            self, X, sampling_rate=self.sampling_rate, reset=reset, needs_rate=needs_rate
        )

    def _check_parameters(self, dtype):
        n_times, sampling_rate = dtype.shape[-1], dtype.sampling_rate
        if self.rate is not None and not is_positive(self.rate):
            raise ValueError(f"rate must be a positive number of hertz, got {self.rate!r}.")
        if self._n_out(dtype) < 1:
            raise ValueError(
                f"rate={self.rate:g} Hz leaves no sample of a window of {n_times} samples at "
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
            raise ValueError(f"band={self.band!r} must have its lower edge first.")
        lowest = sampling_rate if self.rate is None else min(self.rate, sampling_rate)
        if known and known[-1] > lowest / 2:
            raise ValueError(
                f"band={self.band!r} reaches above {lowest / 2:g} Hz, half the lower of the two "
                f"sampling rates ({sampling_rate:g} Hz, and {self.rate or sampling_rate:g} Hz "
                "after resampling). Pass a band that ends there, or None for its upper edge."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


def _n_resampled(n_times, sampling_rate, rate):
    """Number of samples at the new rate, halves up; at the same rate, as many."""
    return int(np.floor(n_times * rate / sampling_rate + 0.5 + 1e-9))
