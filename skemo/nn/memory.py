"""Memory for the arrays of the compiled loops."""

import contextlib
import contextvars
import math
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMALL = 1 << 16  # bytes of an array that is not worth keeping
_LINE = 64  # bytes that a processor moves between its caches at once

# Memory that is no longer used, by the shape and type of the arrays that were there.
_unused: contextvars.ContextVar[dict[tuple, list[NDArray]] | None] = contextvars.ContextVar(
    "unused", default=None
)


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Keep the memory of arrays for later ones in the calling thread, and free it at the end."""
    unused = _unused.get()
    token = _unused.set({} if unused is None else unused)
    try:
        yield
    finally:
        _unused.reset(token)


def empty_array(shape: tuple[int, ...], dtype: Any) -> NDArray:
    """Return a new array, which begins at a cache line.

    Within `kept_memory`, the memory of a large array is used again once nothing refers to the
    array any more: the first use of a page of memory takes longer than computing what is written
    to it. A vector that crosses the border of a cache line takes twice as long to read.
    """
    unused = _unused.get()
    if unused is None or math.prod(shape) * dtype.itemsize < _SMALL:
        return _aligned(shape, dtype)
    arrays = unused.setdefault((shape, dtype), [])
    whole = arrays.pop() if arrays else _aligned(shape, dtype)
    array = whole[:]
    weakref.finalize(array, arrays.append, whole)
    return array


def _aligned(shape: tuple[int, ...], dtype: Any) -> NDArray:
    n_bytes = math.prod(shape) * dtype.itemsize
    memory = np.empty(n_bytes + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + n_bytes].view(dtype).reshape(shape)
