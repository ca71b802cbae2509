"""Masked arrays as arrays with NaN."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


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
