"""What the compiled loops know of their surroundings: memory to use again, and which rows count."""

import contextlib
import contextvars
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMALL = 1 << 16  # bytes of an array that is not worth keeping
_LINE = 64  # bytes of a line of the processor's caches
# NumPy asks Linux for pages of 2 MB in arrays of at least 4 MB. With pages of 4 kB, a step of the
# cross-modal network takes 3 % longer.
_PAGE, _PAGED = 1 << 21, 1 << 22

# Blocks of memory by their number of bytes; None outside of `kept_memory`.
kept_blocks: contextvars.ContextVar[dict[int, list[NDArray]] | None] = contextvars.ContextVar(
    "kept_blocks", default=None
)
# How many windows at the beginning of a batch count; None counts all.
n_counted: contextvars.ContextVar[int | None] = contextvars.ContextVar("n_counted", default=None)


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Keep the memory of arrays for later ones in the calling thread, and free it at the end."""
    kept = kept_blocks.get()
    token = kept_blocks.set({} if kept is None else kept)
    try:
        yield
    finally:
        kept_blocks.reset(token)


def use_own_memory() -> None:
    """Share no memory with the context of which the current one is a copy."""
    if kept_blocks.get() is not None:
        kept_blocks.set({})


def empty_array(shape: tuple[int, ...], dtype: Any) -> NDArray:
    """Return a new array.

    Within `kept_memory`, a large array begins at a line of the processor's caches, since a vector
    across two lines takes twice as long to read. Its memory is used again once nothing refers to
    it any more: the first use of a page of memory takes longer than computing what is written
    there.
    """
    n_bytes = math.prod(shape) * dtype.itemsize
    kept = kept_blocks.get()
    if kept is None or n_bytes < _SMALL:
        return np.empty(shape, dtype)
    blocks = kept.setdefault(n_bytes, [])
    for block in blocks:
        # Arrays refer to the memory from which the block was cut. Without any, the references
        # are that of the block and that of this call.
        if sys.getrefcount(block.base) == 2:
            break
    else:
        block = _aligned(n_bytes)
        blocks.append(block)
    return block.view(dtype).reshape(shape)


def _aligned(n_bytes: int) -> NDArray:
    n_taken = max(n_bytes + _LINE, _PAGED if n_bytes > _PAGE else 0)
    memory = np.empty(n_taken, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + n_bytes]
