"""What the compiled loops know of their surroundings: memory to use again, and which rows count."""

import contextvars
import math
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMALL = 1 << 16  # bytes of an array that is not worth keeping

# Arrays that are no longer used, by shape and type; None where torch's operations are wanted.
unused_arrays: contextvars.ContextVar[dict[tuple, list] | None] = contextvars.ContextVar(
    "unused_arrays", default=None
)
# How many windows at the beginning of a batch count; None counts all.
n_counted: contextvars.ContextVar[int | None] = contextvars.ContextVar("n_counted", default=None)


def use_own_memory() -> None:
    """Share no memory with the context of which the current one is a copy."""
    if unused_arrays.get() is not None:
        unused_arrays.set({})


def empty_array(shape: tuple[int, ...], dtype: Any) -> NDArray:
    """Return a new array, whose memory is used again once nothing refers to the array any more.

    To use a page of memory for the first time takes longer than to compute what is written to it.
    """
    unused = unused_arrays.get()
    if unused is None or math.prod(shape) * dtype.itemsize < _SMALL:
        return np.empty(shape, dtype)
    arrays = unused.setdefault((shape, dtype), [])
    whole = arrays.pop() if arrays else np.empty(shape, dtype)
    array = whole[:]
    weakref.finalize(array, arrays.append, whole)
    return array
