"""Motion in windows of an accelerometer signal, as named features or second by second."""

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
from skemo.kernels.motion import (
    FEATURES,
    acceleration_by_second,
    check_settings,
    motion_features,
)
from skemo.signals.checks import signal_name

_CHUNK = 1 << 18  # samples handed to a process at once


class AccelerometerTransformer(WindowTransformer):
    """Magnitude, activity and share of motion, as named features or second by second.

    Motion tells something about the person's state, and it disturbs the other signals of a
    wristband: as a feature beside them, it tells a model how far to trust them. Nothing is
    learned from the rows.

    Parameters
    ----------
    output : {"features", "series"}, default="features"
        ``"features"`` gives an array of shape (n_windows, n_features), ``"series"`` a signal
        column of the activity of each second.
    features : str or list of str, default="all"
        Names, such as ``"ACC_Motion_Share"``, and groups of them: ``"magnitude"``,
        ``"activity"``, ``"motion"``, ``"all"``.
    gravity : float or "auto", default="auto"
        Magnitude that the sensor measures at rest, in its unit: 1.0 in g, 64.0 in the 1/64 g of
        an Empatica, 9.81 in m/s². ``"auto"`` estimates it in each window
        (:func:`skemo.kernels.motion.acceleration_by_second`), so that the unit does not
        matter. A signal from which gravity was removed needs a number.
    min_motion : float, default=0.02
        In g: a second whose activity is above this counts as motion. At rest, a wristband with
        a resolution of 1/64 g shows up to 0.014.
    sampling_rate : float or None, default=None
        In hertz, at least 2. A plain array needs it; a signal column carries its own.
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
    Let m be the length of the acceleration vector divided by gravity. Let s be the activity in
    each second: the square root of the variance within the second, summed over the axes,
    divided by gravity.

    ===================== ==== ====================================================
    Group and name        Unit Formula
    ===================== ==== ====================================================
    *magnitude*
    ACC_Magnitude_Mean    g    mean of m
    ACC_Magnitude_SD      g    standard deviation of m, divisor n
    ACC_Magnitude_Max     g    largest m
    *activity*
    ACC_Activity          g    mean of s
    ACC_Activity_Max      g    largest s
    ACC_MAD               g    mean absolute deviation of m from its mean [1]_
    ACC_ENMO              g    mean of m - 1, where negative values count as 0 [2]_
    *motion*
    ACC_Motion_Share           share of seconds in which s is above `min_motion`
    ===================== ==== ====================================================

    All channels of a window are axes of one sensor; a single channel is taken as the magnitude.
    A sensor lying still has activity 0. Seconds with NaN, or with the zeros of a sensor that is
    switched off, are left out. A window is missing (NaN throughout) if more than half of it is
    left out, if it is shorter than a second, or if it shows no gravity.

    References
    ----------
    .. [1] Vähä-Ypyä et al. (2015), A universal, accurate intensity-based classification of
       different physical activities using raw data of accelerometer, Clinical Physiology and
       Functional Imaging 35(1), 64-70.
    .. [2] van Hees et al. (2013), Separating movement and gravity components in an
       acceleration signal and implications for the assessment of human daily physical
       activity, PLOS ONE 8(4), e61691.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import AccelerometerTransformer, SignalArray, signal_frame
    >>> still = np.tile([[0.0], [0.6], [0.8]], 320)
    >>> shaken = still + 0.2 * np.sin(2 * np.pi * 3 * np.arange(320) / 32)
    >>> acc = SignalArray(np.stack([still, shaken]), sampling_rate=32, channels=["x", "y", "z"])
    >>> motion = AccelerometerTransformer(features=["ACC_Activity", "ACC_Motion_Share"])
    >>> motion.fit_transform(signal_frame(acc=acc)).round(2).tolist()
    [[0.0, 0.0], [0.24, 1.0]]
    """

    def __init__(
        self,
        output: Literal["features", "series"] = "features",
        *,
        features: str | Sequence[str] = "all",
        gravity: float | Literal["auto"] = "auto",
        min_motion: float = 0.02,
        sampling_rate: float | None = None,
        n_jobs: int | None = None,
    ):
        self.output = output
        self.features = features
        self.gravity = gravity
        self.min_motion = min_motion
        self.sampling_rate = sampling_rate
        self.n_jobs = n_jobs

    def transform(self, X: pd.DataFrame | ArrayLike) -> NDArray | pd.DataFrame:
        """Compute the features, or the activity in each second.

        Parameters
        ----------
        X : DataFrame of one signal column, or array of shape (n_windows, n_times) or \
                (n_windows, n_channels, n_times)

        Returns
        -------
        array of shape (n_windows, n_features), or DataFrame of one signal column
            The latter for ``output="series"`` and a signal column, with one value per second.
        """
        signal = self._validate(X, reset=False)
        rate = signal.dtype.sampling_rate
        compute = partial(self._compute, sampling_rate=rate)
        result = compute_in_chunks(compute, signal, _CHUNK, self.n_jobs)
        self._warn_of_missing(X, signal, result)
        if self.output == "features":
            return result
        rate = rate / round(rate)
        return wrap_signals(result, X, signal_name(X), sampling_rate=rate, channels=["activity"])

    def _compute(self, values, sampling_rate):
        if self.output == "series":
            activity, _ = acceleration_by_second(values, sampling_rate, self.gravity)
            return activity[:, np.newaxis]
        columns = motion_features(values, sampling_rate, self.gravity, self.min_motion)
        names = choose_features(self.features, FEATURES)
        return np.stack([columns[name] for name in names], axis=1)

    def _check_parameters(self, dtype):
        if self.output not in ("features", "series"):
            raise ValueError(f"output must be 'features' or 'series', got {self.output!r}.")
        choose_features(self.features, FEATURES)
        check_settings(self.gravity, self.min_motion)
        n_seconds = dtype.shape[-1] // max(1, round(dtype.sampling_rate))
        if self.output == "series" and not n_seconds:
            raise ValueError(
                "AccelerometerTransformer(output='series') needs windows of at least a second, "
                f"got {dtype.shape[-1]} samples at {dtype.sampling_rate:g} Hz."
            )
        no_windows = np.empty((0, *dtype.shape[-2:]))
        acceleration_by_second(no_windows, dtype.sampling_rate, self.gravity)

    def _names_of_numbers(self, dtype):
        if self.output == "features":
            return choose_features(self.features, FEATURES)
        return [f"activity{i}" for i in range(dtype.shape[-1] // round(dtype.sampling_rate))]
