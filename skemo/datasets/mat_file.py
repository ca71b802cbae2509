"""A reader for MATLAB files of versions 5 to 7 that does not trust their contents.

SciPy's reader is compiled and trusts the types and sizes in a file: a few damaged bytes, or deeply
nested cells, crash the interpreter with a segmentation fault. This reader checks every size against
the available bytes, and limits the memory that a file can request. It reads numbers, text, cells
and structs, which are all that the data sets contain, and skips everything else.

The format is described at https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf.
"""

import io
import math
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_MATRIX, _COMPRESSED = 14, 15  # element types, besides:
_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_ENCODINGS = {
    1: "latin1",
    2: "latin1",
    16: "utf-8",
    4: "utf-16-{order}",
    17: "utf-16-{order}",
    18: "utf-32-{order}",
}

_CELLS, _STRUCT, _TEXT = 1, 2, 4  # array classes, besides:
_ARRAYS = {
    6: "f8",
    7: "f4",
    8: "i1",
    9: "u1",
    10: "i2",
    11: "u2",
    12: "i4",
    13: "u4",
    14: "i8",
    15: "u8",
}
_SKIPPED = {3: "object", 5: "sparse array", 16: "function", 17: "object"}
_IS_COMPLEX = 0x0800

_MOST_DIMENSIONS = 32
_DEEPEST = 64  # levels of nested cells and structs
_LARGEST = 2**28  # bytes of memory that any variable may use
_LARGEST_RATIO = 64  # bytes of memory per byte in the file, for a larger variable
_OVERHEAD = 200  # bytes of memory that an array uses besides its values
_BLOCK = 2**16


class NewerVersionError(ValueError):
    """The file is of a version that this reader does not support."""


class Skipped(NamedTuple):
    """Stands for an array that is not read, such as a function or a sparse array."""

    kind: str


def read_mat(path: Path, names: Collection[str]) -> dict[str, Any]:
    """Read variables of a MATLAB file.

    Parameters
    ----------
    path : pathlib.Path
    names : collection of str
        The variables to read.

    Returns
    -------
    dict of str to ndarray or Skipped
        The requested variables that the file contains. Numbers have the type of their MATLAB
        class, text is an array of str, a cell array is an array of objects, and a struct is a
        structured array with an object field for each of its fields.

    Raises
    ------
    NewerVersionError
        If the file is of version 7.3.
    ValueError
        If the file is truncated, damaged or not a MATLAB file, or if its content is nested too
        deeply or is too large for a file of its size.
    """
    found: dict[str, Any] = {}
    for name, array, source in _arrays(path):
        if name in names and name not in found:
            found[name] = array.read_content()
            source.check_end()
            if found.keys() >= set(names):
                break
    return found


def variable_names(path: Path) -> list[str]:
    """Return the names of the variables of a MATLAB file.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        As `read_mat`.
    """
    return [name for name, *_ in _arrays(path)]


def _arrays(path):
    """Yield the name of each variable, and the array and source to read its content from."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        header = file.read(128)
        order = {b"IM": "<", b"MI": ">"}.get(header[126:])
        if order is None:
            raise ValueError("it does not begin like one")
        if 2 in header[124:126]:
            raise NewerVersionError("it is of version 7.3 (HDF5)")
        while file.tell() < size:
            source = _Source(file, order)
            kind, n_bytes = source.read_tag()
            stop = file.tell() + n_bytes
            if stop > size:
                raise ValueError(f"{stop - size} bytes are missing at its end")
            source.memory = max(_LARGEST, _LARGEST_RATIO * n_bytes)
            if kind == _COMPRESSED:
                source.file = io.BufferedReader(_Inflated(file, n_bytes), _BLOCK)
                source.is_compressed = True
                kind, n_bytes = source.read_tag()
            if kind != _MATRIX:
                raise ValueError(f"a variable has the type {kind}")
            array = _Array(source, n_bytes)
            yield array.read_header(), array, source
            file.seek(stop)


class _Inflated(io.RawIOBase):
    """The next `n_bytes` of a file, decompressed with zlib."""

    def __init__(self, file, n_bytes):
        self.file, self.n_left = file, n_bytes
        self.zlib = zlib.decompressobj()

    def readable(self):
        return True

    def readinto(self, buffer):
        content, compressed = b"", b" "
        while compressed and not content and not self.zlib.eof:
            compressed = self.zlib.unconsumed_tail
            if not compressed:
                compressed = self.file.read(min(_BLOCK, self.n_left))
                self.n_left -= len(compressed)
            content = self.zlib.decompress(compressed, len(buffer))
        buffer[: len(content)] = content
        return len(content)


class _Source:
    """The source of a variable, with the number of bytes of memory it may still use."""

    def __init__(self, file, order):
        self.file, self.order = file, order
        self.memory = _LARGEST
        self.is_compressed = False

    def read(self, n_bytes):
        content = self.file.read(n_bytes)
        if len(content) < n_bytes:
            raise ValueError(f"{n_bytes - len(content)} bytes are missing at its end")
        return content

    def read_tag(self):
        return np.frombuffer(self.read(8), f"{self.order}u4").tolist()

    def take(self, n_bytes):
        self.memory -= n_bytes
        if self.memory < 0:
            raise ValueError("it would use far more memory than a file of its size should")

    def check_end(self):
        """Read a compressed variable to its end, where zlib verifies its checksum."""
        while self.is_compressed and (content := self.file.read(_BLOCK)):
            self.take(len(content))


class _Array:
    """An array of `n_bytes` in a file, nested inside `depth` others."""

    def __init__(self, source, n_bytes, depth=0):
        self.source, self.n_left, self.depth = source, n_bytes, depth
        if depth > _DEEPEST:
            raise ValueError(f"its arrays are nested more than {_DEEPEST} deep")

    def read_header(self):
        """Read the class and shape, and return the name."""
        flags = self._read_numbers()
        shape = self._read_numbers()
        kind, name = self._read_element()
        if flags.size != 2 or shape.dtype.kind != "i" or kind not in (1, 16):
            raise ValueError("the header of an array is damaged")
        if not 0 < shape.size <= _MOST_DIMENSIONS or shape.min() < 0:
            raise ValueError(f"an array has the dimensions {shape[:_MOST_DIMENSIONS].tolist()}")
        self.kind, self.is_complex = int(flags[0]) & 0xFF, int(flags[0]) & _IS_COMPLEX
        self.shape = shape.tolist()
        self.size = math.prod(self.shape)
        return name.decode("latin1")

    def read_content(self):
        """Return the array that follows the header."""
        if self.kind in _ARRAYS:
            values = self._read_values()
            if self.is_complex:
                values = values + 1j * self._read_values()
        elif self.kind == _CELLS:
            values = self._read_arrays(self.size)
        elif self.kind == _STRUCT:
            values = self._read_struct()
        elif self.kind == _TEXT:
            return self._read_text()
        elif self.kind in _SKIPPED:
            return Skipped(_SKIPPED[self.kind])
        else:
            raise ValueError(f"an array has the class {self.kind}")
        return values.reshape(self.shape, order="F")

    def _read_element(self):
        """Return the type and the bytes of an element."""
        self._check_left(8)
        tag = self.source.read(8)
        self.n_left -= 8
        kind, n_bytes = np.frombuffer(tag, f"{self.source.order}u4").tolist()
        if kind >> 16:  # a small element, of up to four bytes
            kind, n_bytes = kind & 0xFFFF, kind >> 16
            if n_bytes > 4:
                raise ValueError(f"an element of {n_bytes} bytes is marked as small")
            return kind, tag[4 : 4 + n_bytes]
        self._check_left(n_bytes)
        self.source.take(n_bytes)
        content = self.source.read(n_bytes)
        self.n_left -= n_bytes
        self._skip(min(-n_bytes % 8, self.n_left))
        return kind, content

    def _check_left(self, n_bytes):
        if n_bytes > self.n_left:
            raise ValueError(f"{n_bytes} bytes should follow, but there are {self.n_left}")

    def _skip(self, n_bytes):
        self.n_left -= n_bytes
        while n_bytes > 0:
            n_bytes -= len(self.source.read(min(n_bytes, _BLOCK)))

    def _read_numbers(self):
        kind, content = self._read_element()
        if kind not in _NUMBERS:
            raise ValueError(f"numbers have the type {kind}")
        return np.frombuffer(content, self.source.order + _NUMBERS[kind])

    def _read_values(self):
        """Return the numbers of the array, which a file may store as a smaller type."""
        values = self._read_numbers()
        dtype = np.dtype(_ARRAYS[self.kind])
        if values.size != self.size:
            raise ValueError(f"an array of the shape {self.shape} has {values.size} numbers")
        if values.dtype.kind == "f" and not np.can_cast(values.dtype, dtype):
            raise ValueError(f"an array of {dtype} is stored as {values.dtype}")
        if values.dtype != dtype:
            self.source.take(self.size * dtype.itemsize)
        return values.astype(dtype, copy=False)

    def _read_arrays(self, n_arrays):
        """Return the arrays inside this one as an array of objects."""
        self._check_left(8 * n_arrays)
        self.source.take(_OVERHEAD * n_arrays)
        arrays = np.empty(n_arrays, object)
        for i in range(n_arrays):
            self._check_left(8)
            kind, n_bytes = self.source.read_tag()
            self.n_left -= 8
            self._check_left(n_bytes)
            if kind != _MATRIX:
                raise ValueError(f"an array in a cell or a struct has the type {kind}")
            if n_bytes == 0:
                arrays[i] = np.empty((0, 0))
                continue
            array = _Array(self.source, n_bytes, self.depth + 1)
            array.read_header()
            arrays[i] = array.read_content()
            array._skip(array.n_left)
            self.n_left -= n_bytes
        return arrays

    def _read_struct(self):
        length = self._read_numbers()
        _, content = self._read_element()
        if length.size != 1 or length[0] < 1 or len(content) % length[0]:
            raise ValueError("the names of the fields of a struct are damaged")
        names = np.frombuffer(content, f"S{length[0]}").astype("U").tolist()
        arrays = self._read_arrays(self.size * len(names)).reshape(self.size, len(names))
        struct = np.empty(self.size, [(name, object) for name in names])
        for name, column in zip(names, arrays.T, strict=True):
            struct[name] = column
        return struct

    def _read_text(self):
        """Return an array of str, joining the characters along the last dimension."""
        kind, content = self._read_element()
        if kind not in _ENCODINGS:
            raise ValueError(f"text has the type {kind}")
        order = {"<": "le", ">": "be"}[self.source.order]
        text = content.decode(_ENCODINGS[kind].format(order=order))
        self.source.take(4 * len(text))
        if len(text) != self.size:
            raise ValueError(f"text of the shape {self.shape} has {len(text)} characters")
        if not text:
            return np.empty(0, "U1")
        characters = np.array(list(text)).reshape(self.shape, order="F")
        return np.ascontiguousarray(characters).view(f"U{self.shape[-1]}")[..., 0]
