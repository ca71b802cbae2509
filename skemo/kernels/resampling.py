"""Resampling of signals to another rate, without aliasing and without a shift in time."""

from collections.abc import Sequence
from fractions import Fraction
from numbers import Real

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from skemo._checks import check_rate, real_samples
from skemo.kernels.filters import band_gain, synthesise

_ROLL_OFF = 0.8  # of half the new rate: where the anti-aliasing filter starts to fall
_MAX_FACTOR = 1000  # between the two rates
_N_RINGING = 40  # samples at the lower rate after which the filter has died away


def resample(
    signals: ArrayLike,
    sampling_rate: float,
    rate: float | None = None,
    band: tuple[float | None, float | None] | None = None,
) -> NDArray[np.floating]:
    """Resample signals to another rate, without aliasing and without a shift in time.

    The signals are filtered and interpolated in the frequency domain. At a lower rate, they keep
    the frequencies below 0.8 of half that rate; from there, the gain falls to 0 at half the rate,
    along a raised cosine. At a higher rate, they keep all of their samples, with others added by
    band-limited interpolation.

    Beyond both ends, a signal is extended by its reflection, which fades out. The reflection is
    about the end point, after subtracting a straight line from end to end, so that value and
    slope continue. If `band` has a lower edge, it is a reflection in time, since a signal that
    oscillates around zero would otherwise be forced to zero at both ends.

    Parameters
    ----------
    signals : array of shape (n_signals, n_times)
        Without NaN.
    sampling_rate : float
        In hertz.
    rate : float, default=None
        The new rate in hertz; None keeps the old one.
    band : (low, high) or None, default=None
        Band to keep, in hertz; the band is open at an edge that is None. The gain is that of a
        Butterworth filter of order 2 applied forwards and backwards: one half at the edges.

    Returns
    -------
    ndarray of shape (n_signals, round(n_times * rate / sampling_rate))
        Sample ``i`` is ``i / rate`` seconds after the first of the old samples. float32 stays
        float32. With a lower edge, the mean is removed.

    Notes
    -----
    Resampled windows differ near their ends from a recording that was resampled as a whole and
    then cut, since a window does not contain what follows. Without a lower edge the difference
    is small: about 1 % of the standard deviation, over the outer tenth of ten seconds of ECG or
    pulse. With a lower edge it is larger: 7 % for an ECG from 0.5 Hz, 32 % for a pulse. If a
    window holds only a few cycles of the lower edge, as for skin conductance from 0.05 Hz,
    filter the recording before cutting it.

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
    values = real_samples(signals, "signals", "(n_signals, n_times)")
    n_times = values.shape[-1]
    rate = sampling_rate if rate is None else rate
    low, high = _checked_band(band)
    n_out = n_resampled(n_times, sampling_rate, rate)
    dtype = np.result_type(values.dtype, np.float32)
    if n_out == 0:
        return np.empty((len(values), 0), dtype)
    if rate == sampling_rate and low is None and high is None:
        return values.astype(dtype)

    # The circular buffer must hold a whole number of samples at either rate.
    ratio = Fraction(float(rate) / float(sampling_rate)).limit_denominator(max(1000, n_times))
    reach = _N_RINGING / min(rate, sampling_rate)  # seconds
    if low is not None:
        reach = max(reach, 1 / low)
    if high is not None:
        reach = max(reach, 2 / high)
    n_beyond = int(min(np.ceil(reach * sampling_rate), n_times - 1))
    n_blocks = -(-(n_times + 2 * n_beyond) // ratio.denominator)
    n_buffer = scipy.fft.next_fast_len(n_blocks, real=True) * ratio.denominator

    buffer = np.zeros((len(values), n_buffer), dtype)
    window = buffer[:, :n_times]
    # Subtract the first sample, so that an offset costs no precision and a constant signal stays
    # exactly constant.
    first = values[:, :1].astype(dtype)
    np.subtract(values, first, out=window)
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
        gain[-1] /= 2  # at the new rate, the bin at half the old rate counts twice
    spectrum = scipy.fft.rfft(buffer, overwrite_x=True)
    n_synthesised = n_buffer // ratio.denominator * ratio.numerator
    resampled = synthesise(spectrum, gain, n_buffer, n_synthesised)[:, :n_out]
    if low is None:
        resampled += slope * (np.arange(n_out) * (sampling_rate / rate)).astype(dtype) + first
    return np.ascontiguousarray(resampled)


def _checked_band(band):
    if band is None:
        return None, None
    edges = band if isinstance(band, Sequence) and len(band) == 2 else ()
    known = [edge for edge in edges if edge is not None]
    if not edges or not all(isinstance(edge, Real) and 0 < edge < np.inf for edge in known):
        raise ValueError(
            f"band must be None or (low, high) in hertz, each positive or None, got {band!r}."
        )
    if len(known) == 2 and known[0] >= known[1]:
        raise ValueError(f"band={band!r} must have the lower edge first.")
    return edges


def n_resampled(n_times: int, sampling_rate: float, rate: float) -> int:
    """Return the number of samples at the new rate, with halves rounded up."""
    check_rate(sampling_rate)
    check_rate(rate, "rate")
    if rate > _MAX_FACTOR * sampling_rate:
        raise ValueError(
            f"rate={rate:g} Hz is more than {_MAX_FACTOR} times the sampling rate of "
            f"{sampling_rate:g} Hz. Are both in hertz, not periods in seconds?"
        )
    return int(np.floor(n_times * rate / sampling_rate + 0.5 + 1e-9))
