"""Samples that are not measurements: masked ones, and values repeated to a faster rate."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_FEWEST = 20  # changes needed: with fewer, equal distances between them may be chance


def fill_mask(values: ArrayLike) -> NDArray:
    """Return `values` as an array, NaN where a masked array is masked.

    ``np.asarray`` drops the mask of a NumPy masked array, and with it the fact that the samples
    under it hold no data.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        if values.dtype.kind not in "biuf":
            raise ValueError(f"A masked array must hold real numbers, got dtype {values.dtype}.")
        return np.ma.filled(values.astype(np.result_type(values.dtype, np.float32)), np.nan)
    return np.asarray(values)


def change_points(signal: NDArray) -> NDArray:
    """Return where each value begins in a signal whose values were repeated to a faster rate.

    Empty if the values of the signal (n_times,) were not repeated: if it has fewer than 20
    changes, or the distances between changes have no common divisor above 1.
    """
    after, before = signal[1:], signal[:-1]
    changes = np.flatnonzero((after != before) & ~(np.isnan(after) & np.isnan(before))) + 1
    if len(changes) < _FEWEST:
        return changes[:0]
    n_repeats = np.gcd.reduce(np.diff(changes))
    if n_repeats == 1 or len(np.unique(signal[changes])) < _FEWEST // 2:
        return changes[:0]
    return np.arange(changes[0] % n_repeats, len(signal), n_repeats)


def count_repeats(signal: NDArray) -> int:
    """Return how often each value of a signal (n_times,) is repeated; 1 if they are not."""
    changes = change_points(signal)
    return int(changes[1] - changes[0]) if len(changes) > 1 else 1
