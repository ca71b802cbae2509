"""The context in which the compiled loops are used, and memory for their arrays."""

import contextlib
import contextvars
import math
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_SMALL = 1 << 16  # bytes below which memory is not worth keeping
_LINE = 64  # bytes in a cache line
# NumPy asks Linux for pages of 2 MB for arrays of at least 4 MB. With pages of 4 kB, a step of the
# cross-modal network takes 3 % longer.
_PAGE, _PAGED = 1 << 21, 1 << 22


class Loops(NamedTuple):
    """How the compiled loops are used.

    Attributes
    ----------
    blocks : dict of list of NDArray
        Blocks of memory that are kept, by their size in bytes.
    n_windows : int or None
        How many windows at the beginning of a batch are needed; None for all.
    """

    blocks: dict[int, list[NDArray]]
    n_windows: int | None = None


# None outside `use_loops`.
loops_in_use: contextvars.ContextVar[Loops | None] = contextvars.ContextVar(
    "loops_in_use", default=None
)


@contextlib.contextmanager
def use_loops(n_windows: int | None = None) -> Iterator[None]:
    """Use the compiled loops in the calling thread, and keep memory until the outermost exit."""
    outer = loops_in_use.get()
    token = loops_in_use.set(Loops({} if outer is None else outer.blocks, n_windows))
    try:
        yield
    finally:
        loops_in_use.reset(token)


def empty_array(shape: tuple[int, ...], dtype: Any) -> NDArray:
    """Return a new array.

    Within `use_loops`, a large array begins at a cache line, since a vector that spans two lines
    takes twice as long to read. Its memory is reused once nothing refers to it any more, because
    the first use of a page of memory takes longer than computing what is written there.
    """
    n_bytes = math.prod(shape) * dtype.itemsize
    loops = loops_in_use.get()
    if loops is None or n_bytes < _SMALL:
        return np.empty(shape, dtype)
    blocks = loops.blocks.setdefault(n_bytes, [])
    for block in blocks:
        # Arrays refer to the memory from which the block was cut. If there are none, the only
        # references are those of the block and of this call.
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
