"""Signals at another sampling rate, without aliases and without shift in time."""

from fractions import Fraction

import numpy as np
import scipy.fft

from skemo.kernels.filters import band_gain, synthesise

_ROLL_OFF = 0.8  # of half the new rate: from here on the anti-aliasing filter falls to 0
_N_RINGING = 40  # samples of the lower rate after which the filter has died away


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
    >>> from skemo.kernels.resampling import resample
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
    n_out = n_resampled(n_times, sampling_rate, rate)
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


def n_resampled(n_times, sampling_rate, rate):
    """Number of samples at the new rate, halves up; at the same rate, as many."""
    return int(np.floor(n_times * rate / sampling_rate + 0.5 + 1e-9))
