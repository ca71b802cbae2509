"""Pickles of arrays of numbers, which are read without running anything in them."""

import os
import pickle
import pickletools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_NUMBERS = [kind + size for kind in "iu" for size in "1248"] + ["f4", "f8"]
_NEWEST = 5  # pickle protocol
_MOST_OPCODES = 10_000  # of a pickle; the published ones have up to 12 arrays of about 40 each
_OPCODES = {  # name and kind of argument
    op.code.encode("latin1"): (op.name, op.arg) for op in pickletools.opcodes
}
_LENGTHS = {  # arguments that begin with their length: its bytes, and whether it has a sign
    pickletools.TAKEN_FROM_ARGUMENT1: (1, False),
    pickletools.TAKEN_FROM_ARGUMENT4: (4, True),
    pickletools.TAKEN_FROM_ARGUMENT4U: (4, False),
    pickletools.TAKEN_FROM_ARGUMENT8U: (8, False),
}


def read_pickle(path: Path, remedy: str) -> Any:
    """Read containers, strings and arrays of numbers; refuse everything else.

    Files written by Python 2 and by Python 3 are read, with the names of modules of all
    versions of NumPy.

    Parameters
    ----------
    path : pathlib.Path
    remedy : str
        What the user can do about a file that cannot be read.

    Returns
    -------
    object
        With a `PickledArray` in place of each array.

    Raises
    ------
    ValueError
        If the file is truncated or damaged, or contains anything else.
    """
    try:
        with path.open("rb") as file:
            start = file.read(2)
            if start[:1] == b"\x80" and start[1:] > bytes([_NEWEST]):
                raise pickle.UnpicklingError(f"its pickle protocol, {start[1]}, is not supported")
            _check_opcodes(file)
            file.seek(0)
            return _Unpickler(file, encoding="latin1").load()
    except OSError:
        raise
    except MemoryError as error:
        raise ValueError(
            f"{path}, of {path.stat().st_size / 1e6:.0f} MB, needs more memory than is available: "
            f"the file is damaged, or the machine is too small. {remedy}"
        ) from error
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"{path} cannot be read: {error or 'it is empty'}. {remedy}") from error


def field_at(content: Any, keys: Sequence[str], path: Path, remedy: str) -> Any:
    """Return a field of nested dicts; the error names it if it is missing."""
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            raise ValueError(f"{path} is not as published: {'/'.join(keys)} is missing. {remedy}")
        content = content[key]
    return content


def array_at(content: Any, keys: Sequence[str], path: Path, remedy: str) -> NDArray[Any]:
    """Return the array of a field, in the value type of the file."""
    array = field_at(content, keys, path, remedy)
    try:
        if not isinstance(array, PickledArray):
            raise TypeError(f"found {type(array).__name__}")
        return array.values()
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{path} is not as published: {'/'.join(keys)} is not an array of numbers ({error}). "
            f"{remedy}"
        ) from error


def _check_opcodes(file):
    """Raise an error if reading a pickle could use up all memory, or the stack.

    The unpickler allocates what a length or a memo index asks for before it looks at the bytes
    that follow, and hashes tuples inside tuples without limit.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    for _ in range(_MOST_OPCODES):
        code = file.read(1)
        if not code:
            raise pickle.UnpicklingError("it is truncated" if size else "it is empty")
        if code not in _OPCODES:
            raise pickle.UnpicklingError(f"it has the byte {code!r} where an opcode should be")
        name, argument = _OPCODES[code]
        n_bytes = argument.n if argument else 0
        if n_bytes in _LENGTHS:
            width, signed = _LENGTHS[n_bytes]
            length = int.from_bytes(file.read(width), "little", signed=signed)
            if not 0 <= length <= size - file.tell():
                raise pickle.UnpicklingError(f"it is truncated, or has a length of {length} bytes")
            file.seek(length, os.SEEK_CUR)
            continue
        if n_bytes == pickletools.UP_TO_NEWLINE:
            value = file.readline()
            if argument is pickletools.stringnl_noescape_pair:
                value = file.readline()
        else:
            value = file.read(n_bytes)
        if name == "FRAME":
            length = int.from_bytes(value, "little")
            if length > size - file.tell():
                raise pickle.UnpicklingError(f"it is truncated, or has a length of {length} bytes")
        if name.endswith("PUT"):
            index = int(value) if name == "PUT" else int.from_bytes(value, "little")
            if index > _MOST_OPCODES:
                raise pickle.UnpicklingError(f"it has {index} as a memo index")
        if name == "STOP":
            return
    raise pickle.UnpicklingError(f"it has more than {_MOST_OPCODES} opcodes")


class _DataType:
    """Replaces ``numpy.dtype`` in a pickle: a type of plain numbers, or an error."""

    def __init__(self, code, align=False, copy=False):
        if not isinstance(code, str) or code not in _NUMBERS:
            kind = repr(code[:9]) if isinstance(code, str) else type(code).__name__
            raise pickle.UnpicklingError(
                f"it has an array of {kind}, but only arrays of numbers are allowed"
            )
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """Replaces ``numpy.ndarray`` in a pickle: the bytes of an array, and its type and shape."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.data_type, is_fortran, self.data = state
        self.order: Literal["C", "F"] = "F" if is_fortran else "C"

    def values(self) -> NDArray[Any]:
        data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
        flat: NDArray[Any] = np.frombuffer(data, self.data_type.dtype)
        return flat.reshape(self.shape, order=self.order)


class _BufferArray(PickledArray):
    """Replaces ``_frombuffer`` of NumPy, which pickles of protocol 5 call."""

    def __init__(self, data: Any, data_type: Any, shape: Any, order: Any, *_: Any) -> None:
        if order not in ("C", "F"):
            raise pickle.UnpicklingError("it has an array whose axes have an unusual order")
        self.__setstate__((1, shape, data_type, order == "F", data))


class _Latin1:
    """Replaces ``_codecs.encode``, which Python 3 calls for bytes up to protocol 2."""

    def __new__(cls, text, encoding=None):
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(
                "it contains '_codecs.encode' with arguments other than those for bytes"
            )
        return text.encode("latin1")

    def __setstate__(self, state):  # so that a pickle cannot change the class
        raise pickle.UnpicklingError("it gives a state to '_codecs.encode'")


_ALLOWED: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): _DataType,
    ("_codecs", "encode"): _Latin1,
}
for _core in ("core", "_core"):  # the folder got its underscore in NumPy 2
    _ALLOWED[f"numpy.{_core}.multiarray", "_reconstruct"] = PickledArray
    _ALLOWED[f"numpy.{_core}.numeric", "_frombuffer"] = _BufferArray


class _Unpickler(pickle.Unpickler):
    """Reads containers, strings and arrays of numbers.

    NumPy's own functions are not allowed: with them a pickle could build an object array that
    looks like numbers, and whose bytes are then used as addresses.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"it contains '{module}.{name}', which could run arbitrary code and was refused; "
                "only arrays of numbers are allowed. Do not read it by other means unless you "
                "trust it"
            )
        return _ALLOWED[module, name]
