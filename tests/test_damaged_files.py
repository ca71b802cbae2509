"""Damaged and hostile files: each is read or refused by name, in bounded time and memory."""

import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from damaged_files import FORMATS, NORMAL, damage, try_format
from scipy.io import loadmat, savemat

from skemo.datasets import load_amigos, load_wesad
from skemo.datasets.mat_file import Skipped, read_mat

MOST_MEMORY = 500e6


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_read_or_refused_by_name(name):
    outcomes = try_format(name, 15, seed=1)
    assert {what for what in outcomes.values() if what not in NORMAL} == set()
    assert outcomes[-1] == "read"  # before it was damaged


def test_damage_depends_on_the_seed_alone_and_changes_the_file():
    content = bytes(range(256)) * 40
    one, same, other = (damage(content, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same
    assert len({content, one, other}) == 3


# MATLAB files


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def header(array_class, shape, name=b""):
    """Flags, dimensions and name of an array."""
    return (
        element(6, struct.pack("<II", array_class, 0))
        + element(5, struct.pack(f"<{len(shape)}i", *shape))
        + element(1, name)
    )


def nested_cells(depth, name):
    """A variable of a cell in a cell in a cell, around a 1."""
    content = header(6, (1, 1)) + element(9, struct.pack("<d", 1.0))
    parts = [struct.pack("<II", 14, len(content)) + content]
    size = len(parts[0])
    for level in range(depth):
        own = header(1, (1, 1), name if level == depth - 1 else b"")
        parts.append(struct.pack("<II", 14, len(own) + size) + own)
        size += len(own) + 8
    return b"".join(reversed(parts))


def write_mat(path, *variables):
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(variables))
    return path


def random_value(rng, depth=0):
    """Numbers, text, cells and structs, down to a depth of three."""
    shape = tuple(rng.integers(0, 4, rng.integers(2, 4)))
    kind = rng.integers(6 if depth < 3 else 4)
    if kind == 0:
        return rng.normal(size=shape)
    if kind == 1:
        names = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "?"]
        return rng.integers(-99, 99, shape).astype(rng.choice(names))
    if kind == 2:
        return str(rng.choice(["abc", "", "ä", "x y ", "日本"]))
    if kind == 3:
        return rng.normal(size=shape) + 1j * rng.normal(size=shape)
    if kind == 4:
        cells = np.empty(shape, object)
        for i in range(cells.size):
            cells.reshape(-1)[i] = random_value(rng, depth + 1)
        return cells
    return {f"field{i}": random_value(rng, depth + 1) for i in range(rng.integers(1, 4))}


def assert_same(one, other):
    """Raise unless two values that were read are the same; all empties are."""
    assert type(one) is type(other) is np.ndarray
    if one.size == other.size == 0:
        return
    assert one.shape == other.shape
    assert one.dtype.names == other.dtype.names
    if one.dtype.names:
        for name in one.dtype.names:
            assert_same(one[name], other[name])
    elif one.dtype == object:
        for x, y in zip(one.ravel(), other.ravel(), strict=True):
            assert_same(x, y)
    else:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("compressed", [False, True])
def test_variables_are_those_that_scipy_reads(tmp_path, compressed):
    path = tmp_path / "file.mat"
    rng = np.random.default_rng(0)
    for _ in range(100):
        names = ["one", "two"]
        savemat(path, {name: random_value(rng) for name in names}, do_compression=compressed)
        expected, found = loadmat(path), read_mat(path, names)
        assert list(found) == names
        for name in names:
            assert_same(found[name], expected[name])


@pytest.mark.parametrize("depth", [100, 100_000])
def test_cells_in_cells_in_cells_are_an_error_that_names_the_file(tmp_path, depth):
    path = tmp_path / "Data_Preprocessed_P01.mat"
    write_mat(path, nested_cells(depth, b"joined_data"))
    with pytest.raises(ValueError, match=r"P01.mat .* nested more than 64 deep"):
        load_amigos(tmp_path)
    with pytest.raises(ValueError, match=r"Skipped 1 of 1 subjects.\nsubject 'P01': .*P01.mat"):
        load_amigos(tmp_path, on_error="skip")


def test_a_type_that_does_not_exist_is_an_error(tmp_path):
    content = header(6, (1, 1), b"x") + element(200, struct.pack("<d", 1.0))
    path = write_mat(tmp_path / "file.mat", element(14, content))
    with pytest.raises(ValueError, match="numbers have the type 200"):
        read_mat(path, ["x"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(1, (1, 2**30), b"x"), "bytes should follow, but there are 0"),
        (header(6, (-1, 4), b"x"), "has the dimensions"),
        (header(6, (2**30, 2**30), b"x") + element(9, bytes(8)), "has 1 numbers"),
        (header(99, (1, 1), b"x"), "has the class 99"),
        (header(4, (1, 3), b"x") + element(16, b"ab"), "has 2 characters"),
        (header(8, (1, 1), b"x") + element(9, bytes(8)), "int8 is stored as float64"),
    ],
)
def test_sizes_are_compared_with_what_there_is(tmp_path, content, message):
    path = write_mat(tmp_path / "file.mat", element(14, content))
    with pytest.raises(ValueError, match=message):
        read_mat(path, ["x"])


def test_arrays_of_other_kinds_are_skipped(tmp_path):
    content = header(16, (1, 1), b"x") + element(14, bytes(40))
    path = write_mat(tmp_path / "file.mat", element(14, content))
    assert read_mat(path, ["x"]) == {"x": Skipped("function")}


def bomb(n_bytes):
    """A compressed variable of zeros, or of empty cells, that is a thousandth in the file."""
    n_cells = n_bytes // 8
    cells = header(1, (1, n_cells), b"joined_data")
    deflate = zlib.compressobj(9)
    content = deflate.compress(struct.pack("<II", 14, len(cells) + 8 * n_cells) + cells)
    block = struct.pack("<II", 14, 0) * 2**17  # a megabyte
    for _ in range(n_cells // 2**17):
        content += deflate.compress(block)
    content += deflate.flush()
    return struct.pack("<II", 15, len(content)) + content


@pytest.mark.parametrize("n_bytes", [2**26, 2**28])
def test_a_compressed_bomb_is_refused_before_it_fills_the_memory(tmp_path, n_bytes):
    path = write_mat(tmp_path / "Data_Preprocessed_P01.mat", bomb(n_bytes))
    assert path.stat().st_size < n_bytes / 500
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"P01.mat .*more memory than a file of its size"):
            load_amigos(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def test_numbers_that_inflate_too_far_are_refused_before_they_are_read(tmp_path):
    n_bytes = 7 * 2**29  # 3.5 GiB
    numbers = header(6, (n_bytes // 8, 1), b"joined_data") + struct.pack("<II", 9, n_bytes)
    variable = zlib.compress(struct.pack("<II", 14, n_bytes + len(numbers)) + numbers)
    path = tmp_path / "Data_Preprocessed_P01.mat"
    write_mat(path, struct.pack("<II", 15, len(variable)) + variable)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"P01.mat .*more memory than a file of its size"):
            load_amigos(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


# Pickles


def py2(body):
    return b"\x80\x02" + body + b"."


HOSTILE_PICKLES = {
    "a text of 2 GB": py2(b"T" + struct.pack("<i", 2**31 - 1)),
    "a text of a negative length": py2(b"T" + struct.pack("<i", -5)),
    "a unicode text of 4 GB": py2(b"X" + struct.pack("<I", 2**32 - 1)),
    "an integer of 2 GB": py2(b"\x8b" + struct.pack("<i", 2**31 - 1)),
    "a memo of 4 GB": py2(b"}r" + struct.pack("<I", 2**28)),
    "a memo of 4 GB in text": b"(dp268435456\n.",
    "a memo index of many digits": b"(dp" + b"9" * 10_000 + b"\n.",
    "bytes of protocol 4": py2(b"\x8e" + struct.pack("<Q", 2**40)),
    "a frame of protocol 4": py2(b"\x95" + struct.pack("<Q", 2**40)),
    "a byte array of protocol 5": py2(b"\x96" + struct.pack("<Q", 2**40)),
    "a key of nested tuples": py2(b"})" + b"\x85" * 2_000_000 + b"K\x01s"),
    "nested lists": py2(b"]" * 2_000_000 + b"a" * 1_999_999),
    "many lists": py2(b"(" + b"]" * 2_000_000 + b"l"),
    "os.system": py2(b"cos\nsystem\nU\x04true\x85R"),
    "builtins.eval": py2(b"cbuiltins\neval\nU\x011\x85R"),
    "__builtin__.eval": py2(b"c__builtin__\neval\nU\x011\x85R"),
    "an instance": b"(ios\nsystem\n.",
    "an object": py2(b"(cos\nsystem\nU\x04trueo"),
    "a new object": py2(b"csubprocess\nPopen\n(U\x04truet\x81"),
    "an extension": py2(b"\x82\x01"),
    "a persistent id": b"Pid\n.",
    "a global of a submodule": py2(b"cnumpy\ncore.multiarray._reconstruct\n"),
    "an object array": py2(b"cnumpy\ndtype\nU\x01OK\x00K\x01\x87R"),
    "nothing": b"",
    "an end without an object": py2(b""),
}


@pytest.mark.parametrize("name", HOSTILE_PICKLES)
def test_a_hostile_pickle_is_refused_without_running_or_allocating(tmp_path, name, monkeypatch):
    ran = []
    monkeypatch.setattr(os, "system", ran.append)
    monkeypatch.setattr("builtins.eval", ran.append)
    monkeypatch.setattr(subprocess, "Popen", lambda *args: ran.append(args))
    (tmp_path / "S2").mkdir()
    (tmp_path / "S2" / "S2.pkl").write_bytes(HOSTILE_PICKLES[name])
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"S2.pkl"):
            load_wesad(tmp_path, subjects="S2")
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY / 10
    finally:
        tracemalloc.stop()
    assert not ran


def test_hostile_pickles_do_harm_elsewhere():
    """That the list above is not empty words: two of them, read as everybody does."""
    code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
    for name, expected in {"a key of nested tuples": -11, "os.system": 0}.items():
        done = subprocess.run(
            [sys.executable, "-c", code], input=HOSTILE_PICKLES[name], capture_output=True
        )
        assert done.returncode == expected
    with pytest.raises((pickle.UnpicklingError, MemoryError, EOFError)):
        pickle.loads(HOSTILE_PICKLES["a text of a negative length"])


def test_the_script_reports_a_reader_that_ends_the_process(tmp_path):
    script = Path(__file__).parent / "damaged_files.py"
    command = [sys.executable, str(script), "--formats", "fit-record", "--files", "5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split()[0] == "fit-record"
