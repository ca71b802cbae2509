"""Formats recognised by content, and libraries that are not there."""

import sys

import numpy as np
import pytest

import skemo.io
from skemo.io import read


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        (
            "a.csv",
            b"time,ecg\n0,1\n",
            r"looks like a text table .* 'time,ecg'. Read it with skemo.io.* with --time",
        ),
        ("EDA.csv", b"1644227574\n4\n0.1\n", "is one file of an Empatica E4. Read its folder"),
        (
            "a.bin",
            b"\x00\x01\x02\x03" * 10,
            "has an unknown format. skemo.io.read supports Empatica",
        ),
    ],
)
def test_what_is_not_recognised_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name)


def test_a_damaged_zip_file_is_named(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(ValueError, match=r"a\.zip begins like a zip file, but cannot be read"):
        read(tmp_path / "a.zip")


def test_a_zip_file_and_a_folder_of_something_else_are_named(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("photo.jpg", "x")
    with pytest.raises(ValueError, match=r"a.zip is a zip file of \['photo.jpg'\]. Unpack it"):
        read(tmp_path / "a.zip")
    with pytest.raises(
        ValueError,
        match=r"is not the session of an Empatica or Polar device: it contains \['a.zip'\]",
    ):
        read(tmp_path)
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"\['a.zip', 'table.csv'\]. Pass the path of one file"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing does not exist"):
        read(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("reader", "library"),
    [
        (skemo.io.read_embraceplus, "fastavro"),
        (skemo.io.read_xdf, "pyxdf"),
        (skemo.io.read_biopac, "bioread"),
        (skemo.io.read_wfdb, "wfdb"),
    ],
)
def test_a_library_that_is_not_installed_is_named_with_its_command(
    monkeypatch, tmp_path, reader, library
):
    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name == library:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.delitem(sys.modules, library, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Hidden(), *sys.meta_path])
    with pytest.raises(ImportError, match=rf'needs {library}: pip install "skemo\[io\]"'):
        reader(tmp_path)


def test_every_reader_is_public_and_says_what_it_reads():
    readers = [name for name in skemo.io.__all__ if name.startswith("read_")]
    assert len(readers) == 11
    for name in readers:
        assert getattr(skemo.io, name).__doc__.startswith(("Read ", "Return the times"))
    assert np.all([name in dir(skemo.io) for name in skemo.io.__all__])
