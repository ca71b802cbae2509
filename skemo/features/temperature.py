"""Skin temperature in windows, as named features or as a clean series."""

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
from skemo.kernels.temperature import (
    FEATURES,
    VALID_RANGE,
    check_valid_range,
    temperature_features,
    valid_temperature,
)
from skemo.signals.checks import signal_name

_CHUNK = 1 << 18  # samples handed to a process at once


class TemperatureTransformer(WindowTransformer):
    """Level and slope of skin temperature, as named features or as a clean series.

    Under stress the blood vessels of the fingers and wrists narrow, and the skin cools within a
    minute or so. Nothing is learned from the rows.

    Parameters
    ----------
    output : {"features", "series"}, default="features"
        ``"features"`` gives an array of shape (n_windows, n_features), ``"series"`` a signal
        column without readings outside `valid_range`.
    features : str or list of str, default="all"
        Names, such as ``"TEMP_Slope"``, and groups of them: ``"level"``, ``"slope"``,
        ``"all"``.
    valid_range : (low, high) or None, default=(15.0, 45.0)
        In the unit of the signal, by default degrees Celsius. Readings outside this range are
        not skin temperature, such as the 382.21 that an Empatica E4 writes when its sensor
        fails. None accepts all readings.
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
    Let x be the temperature.
    =================== ==== =====================================================
    Group and name      Unit Formula
    =================== ==== =====================================================
    *level*
    TEMP_Mean           °C   mean of x
    TEMP_SD             °C   standard deviation of x, divisor n
    TEMP_Min, TEMP_Max  °C   smallest and largest x
    *slope*
    TEMP_Slope          °C/s slope of the least-squares line through x
    =================== ==== =====================================================

    Readings that are NaN or outside `valid_range` are left out; in a series they are bridged by
    straight lines. A window in which they are more than half is missing (NaN throughout). A
    sensor warms up for some minutes after it has been put on. No feature distinguishes this from
    a person who relaxes.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import SignalArray, TemperatureTransformer, signal_frame
    >>> temp = 33 - np.outer([0.001, 0.01], np.arange(240) / 4)
    >>> X = signal_frame(temp=SignalArray(temp, sampling_rate=4))
    >>> features = TemperatureTransformer(features=["TEMP_Max", "TEMP_Slope"])
    >>> features.fit_transform(X).round(6).tolist()
    [[33.0, -0.001], [33.0, -0.01]]
    """

    # Wristbands often store each reading several times, which does no harm.
    _needs_detail = False

    def __init__(
        self,
        output: Literal["features", "series"] = "features",
        *,
        features: str | Sequence[str] = "all",
        valid_range: tuple[float, float] | None = VALID_RANGE,
        sampling_rate: float | None = None,
        n_jobs: int | None = None,
    ):
        self.output = output
        self.features = features
        self.valid_range = valid_range
        self.sampling_rate = sampling_rate
        self.n_jobs = n_jobs

    def transform(self, X: pd.DataFrame | ArrayLike) -> NDArray | pd.DataFrame:
        """Compute the features, or the series.

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
        channels = signal.dtype.channels
        return wrap_signals(result, X, signal_name(X), sampling_rate=rate, channels=channels)

    def _compute(self, values, sampling_rate):
        if self.output == "series":
            return valid_temperature(values[:, 0], self.valid_range)[:, np.newaxis]
        columns = temperature_features(values[:, 0], sampling_rate, self.valid_range)
        names = choose_features(self.features, FEATURES)
        return np.stack([columns[name] for name in names], axis=1)

    def _what_is_needed(self, dtype):
        return (
            f"Most readings are outside valid_range={self.valid_range}: is it in °C, and was the "
            "sensor on the skin?"
        )

    def _check_parameters(self, dtype):
        if self.output not in ("features", "series"):
            raise ValueError(f"output must be 'features' or 'series', got {self.output!r}.")
        choose_features(self.features, FEATURES)
        check_valid_range(self.valid_range)
        if dtype.shape[:-1] != (1,):
            raise ValueError(
                "TemperatureTransformer takes windows of one channel, got the shape "
                f"{dtype.shape} with the channels {dtype.channels}."
            )

    def _names_of_numbers(self, dtype):
        if self.output == "features":
            return choose_features(self.features, FEATURES)
        return [f"temp{i}" for i in range(dtype.shape[-1])]
