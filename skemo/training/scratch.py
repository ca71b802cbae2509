"""Arrays in temporary files, for training sets that are too large for memory."""

import copy
import errno
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from skemo.signals.array import SignalArray
from skemo.signals.stored import StoredSignalArray

_LARGEST_IN_MEMORY = 1 << 28  # bytes; more stored windows are not read into memory for a fit
_MOST_MAPPED = 1 << 28  # bytes of a file that this process may hold in memory, roughly
_READ_AROUND = 1 << 21  # bytes that Linux may map around a row that is used


class ScratchArray:
    """An array in a temporary file, so that only rows in use take up memory.

    Rows are read and written as in a NumPy array, with slices or arrays of positions; reading
    returns a copy. The file has no name, and its space is freed with the array, even if the
    process is killed.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Raises
    ------
    OSError
        If there is not enough space on the disk.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.ndim = len(shape)
        n_bytes = max(math.prod(shape) * self.dtype.itemsize, 1)
        with tempfile.TemporaryFile(prefix="skemo-") as file:
            _reserve(file, n_bytes)
            self._map = mmap.mmap(file.fileno(), n_bytes)  # keeps the file open
        self._values = np.frombuffer(self._map, self.dtype, math.prod(shape)).reshape(shape)
        self._row_bytes = math.prod(shape[1:]) * self.dtype.itemsize
        self._n_mapped = 0  # bytes, at most

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> NDArray[Any]:
        values = self._values[rows].copy() if isinstance(rows, slice) else self._values[rows]
        self._release_pages(rows, len(values))
        return values

    def __setitem__(self, rows: slice | NDArray[np.intp], values: NDArray[Any]) -> None:
        self._values[rows] = values
        self._release_pages(rows, len(values))

    def part(self, start: int, stop: int) -> "ScratchArray":
        """Return a view of some of the rows, in the same file."""
        new = copy.copy(self)
        new._values = self._values[start:stop]
        new.shape = new._values.shape
        return new

    def _release_pages(self, rows, n_rows):
        """Give mapped pages back to the system once there are many; the file keeps their data."""
        n_places = 1 if isinstance(rows, slice) else n_rows
        self._n_mapped += n_rows * self._row_bytes + n_places * _READ_AROUND
        if self._n_mapped > _MOST_MAPPED and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._n_mapped = 0


class TrainingRows:
    """The windows of signals that are chosen for training, in a given order.

    Signals in memory stay where they are. Signals in a file are read into memory, unless they are
    large: then the chosen windows are copied to scratch files.

    Parameters
    ----------
    signals : dict of str to SignalArray
    rows : ndarray of int
        Positions of the chosen windows.

    Attributes
    ----------
    arrays : dict of str to ndarray or ScratchArray
        Windows of each signal, not standardised.
    rows : ndarray of int
        Positions of the chosen windows in `arrays`.
    """

    def __init__(self, signals: Mapping[Any, SignalArray], rows: NDArray[np.intp]) -> None:
        self.arrays: dict[Any, Any]
        if is_large(signals):
            self.arrays = {name: _copy_to_scratch(signal, rows) for name, signal in signals.items()}
            self.rows = np.arange(len(rows))
        else:
            self.arrays = {name: signal.values for name, signal in signals.items()}
            self.rows = rows

    def room(self, name: Any, start: int, stop: int) -> Any:
        """Return an array for the standardised windows of some of the rows.

        Windows in a scratch file are overwritten if they have single precision.
        """
        array = self.arrays[name]
        shape = stop - start, *array.shape[1:]
        if not isinstance(array, ScratchArray):
            return np.empty(shape, np.float32)
        if array.dtype == np.float32:
            return array.part(start, stop)
        return ScratchArray(shape, np.float32)


def is_large(signals: Mapping[Any, SignalArray]) -> bool:
    """Return whether signals are in a file and too large to be read into memory for a fit."""
    n_bytes = [
        len(signal) * math.prod(signal.dtype.shape) * signal.dtype.value_type.itemsize
        for signal in signals.values()
    ]
    is_stored = any(isinstance(signal, StoredSignalArray) for signal in signals.values())
    return is_stored and sum(n_bytes) > _LARGEST_IN_MEMORY


def _copy_to_scratch(signal, rows):
    """Copy chosen windows of a signal to a scratch file, in the order of `rows`."""
    place = np.full(len(signal), -1)
    place[rows] = np.arange(len(rows))
    copied = ScratchArray((len(rows), *signal.dtype.shape), signal.dtype.value_type)
    for part, values in signal.blocks():
        chosen = place[part] >= 0
        copied[place[part][chosen]] = values[chosen]
    return copied


def _reserve(file: BinaryIO, n_bytes: int) -> None:
    """Give a file this size, or raise if there is not enough space on the disk."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, n_bytes)
            return
        n_free = shutil.disk_usage(tempfile.gettempdir()).free
        if n_free < n_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file.truncate(n_bytes)
    except OSError as error:
        raise OSError(
            error.errno,
            f"Training on windows in a file needs {n_bytes / 1e9:.3g} GB for temporary files in "
            f"{tempfile.gettempdir()} ({error.strerror}). Free some space, or set the environment "
            "variable TMPDIR to a folder with enough of it",
        ) from error
