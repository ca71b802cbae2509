"""Samples that are not measurements: masked samples, values held or repeated."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_FEWEST = 20  # changes needed; with fewer, equal spacing may be a coincidence


def fill_mask(values: ArrayLike) -> NDArray:
    """Return `values` as an array, with NaN for the masked values of a masked array.

    ``np.asarray`` would drop the mask, and the placeholders under it would look like data.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        if values.dtype.kind not in "biuf":
            raise ValueError(f"A masked array must hold real numbers, got dtype {values.dtype}.")
        return np.ma.filled(values.astype(np.result_type(values.dtype, np.float32)), np.nan)
    return np.asarray(values)


def runs(same: NDArray, shortest: int) -> tuple[NDArray, NDArray, NDArray]:
    """Return the runs of at least `shortest` true values in the rows of `same`.

    Parameters
    ----------
    same : bool array of shape (n_rows, n_times)
        Such as which samples equal the one before.
    shortest : int

    Returns
    -------
    rows, starts, stops : int arrays of shape (n_runs,)
        Row by row.
    """
    rows = np.flatnonzero(np.count_nonzero(same, axis=1) >= shortest)
    edges = np.diff(same[rows].astype(np.int8), prepend=0, append=0, axis=1)
    which, starts = np.nonzero(edges == 1)
    _, stops = np.nonzero(edges == -1)
    long = stops - starts >= shortest
    return rows[which[long]], starts[long], stops[long]


def change_points(signal: NDArray) -> NDArray:
    """Return where each value begins in a signal whose values are repeated at a higher rate.

    The result is empty if the values of the signal (n_times,) are not repeated, that is, if it
    has fewer than 20 changes, or if the distances between them have no common divisor above 1.
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
    """Return how many times each value of a signal (n_times,) appears in a row, 1 if only once."""
    changes = change_points(signal)
    return int(changes[1] - changes[0]) if len(changes) > 1 else 1
