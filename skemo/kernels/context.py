"""Means over neighbouring windows."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

_TOLERANCE = 1e-6  # seconds: well above rounding errors, well below one sample


def neighbour_weights(
    times: NDArray[np.float64],
    reach: float,
    *,
    causal: bool = False,
    weights: Literal["mean", "gaussian"] = "mean",
) -> csr_array:
    """Return the weight of each window in the mean around each window of one recording.

    Parameters
    ----------
    times : ndarray of shape (n_windows,)
        Times of the windows in seconds, in increasing order.
    reach : float
        Largest distance in seconds at which a window counts.
    causal : bool, default=False
        Whether only the window itself and earlier ones count.
    weights : {"mean", "gaussian"}, default="mean"
        Equal weights, or ``exp(-d² / (2 s²))`` at a distance of d seconds, with
        ``s = reach / 2``.

    Returns
    -------
    csr_array of shape (n_windows, n_windows)
        Row i holds the weights around window i. They do not add up to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.context import neighbour_weights
    >>> neighbour_weights(np.array([0.0, 10.0, 30.0]), 10).toarray().astype(int).tolist()
    [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    """
    n = len(times)
    first = np.searchsorted(times, times - reach - _TOLERANCE)
    last = times if causal else times + reach + _TOLERANCE
    counts = np.searchsorted(times, last, side="right") - first
    ends = np.cumsum(counts)
    here = np.repeat(np.arange(n), counts)
    there = np.arange(counts.sum()) - np.repeat(ends - counts - first, counts)
    values = np.ones(len(there))
    if weights == "gaussian" and reach > 0:
        values = np.exp(-0.5 * ((times[there] - times[here]) / (reach / 2)) ** 2)
    return csr_array((values, there, np.append(0, ends)), shape=(n, n))


def weighted_means(weights: csr_array, values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the weighted mean of the numbers that are not NaN, for each row of weights.

    Parameters
    ----------
    weights : csr_array of shape (n_means, n_windows)
        Weights of at least 0, for example from `neighbour_weights`.
    values : ndarray of shape (n_windows, n_numbers)
        Numbers, or NaN.

    Returns
    -------
    ndarray of shape (n_means, n_numbers)
        In double precision; NaN where all numbers with a weight are NaN. Numbers are added in the
        order of the windows, so each mean depends only on the numbers that have a weight.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.kernels.context import neighbour_weights, weighted_means
    >>> weights = neighbour_weights(np.arange(3.0), reach=1)
    >>> weighted_means(weights, np.array([[1.0], [3.0], [np.nan]])).ravel().tolist()
    [2.0, 2.0, 3.0]
    """
    known = ~np.isnan(values)
    total = weights @ np.where(known, values, 0.0).astype(np.float64)
    weight = weights @ (known if not known.all() else np.ones((len(values), 1))).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return total / weight
