"""Reading of any known file format, recognised from its content."""

import zipfile
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from skemo.io.base import existing
from skemo.io.biopac import read_biopac
from skemo.io.edf import read_edf
from skemo.io.embraceplus import read_embraceplus
from skemo.io.empatica_e4 import FILES, read_empatica_e4
from skemo.io.opensignals import read_opensignals
from skemo.io.polar import read_polar
from skemo.io.shimmer import read_shimmer
from skemo.io.wfdb import read_wfdb
from skemo.io.xdf import read_xdf
from skemo.signals.recording import Recording

_E4 = frozenset(file for file, *_ in FILES.values())
_BIOPAC_VERSIONS = range(30, 140)  # at byte 2 of a header, in either byte order
_KNOWN = (
    "Empatica E4 (folder or zip), Empatica EmbracePlus (Avro), Polar Sensor Logger, OpenSignals, "
    "Shimmer, EDF, BDF, XDF, Biopac and WFDB"
)


def read(path: str | PathLike[str], *, subject: str | None = None, trial: str = "") -> Recording:
    """Read a file or folder of any known format, recognised from its content.

    The readers for single formats, such as :func:`read_edf`, have more options.

    Parameters
    ----------
    path : str or path
        A file, or a folder with the files of one session.
    subject : str, default=None
        Identifier of the subject. None uses the name of the file or folder.
    trial : str, default=""
        Which of the subject's recordings this is.

    Returns
    -------
    Recording

    Raises
    ------
    ImportError
        If the library for the format is not installed; the message says how to
        install it.
    ValueError
        If the format is not recognised. Read tables with :func:`read_csv`, which needs the name
        of the column of times.

    Examples
    --------
    >>> import skemo.io
    >>> recording = skemo.io.read("S01.edf")  # doctest: +SKIP
    """
    path = existing(path)
    reader = _reader_of(path)
    return reader(path, subject=subject, trial=trial)


def _reader_of(path: Path) -> Callable[..., Any]:
    """Return the function that reads a file or folder."""
    if path.is_dir():
        return _reader_of_folder(path)
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        raise ValueError(f"{path} is empty.")
    if start[:8] == b"0       " or start[:8] == b"\xffBIOSEMI":
        return read_edf
    if start[:4] == b"XDF:" or path.suffix == ".xdfz":
        return read_xdf
    if start[:4] == b"Obj\x01":
        return read_embraceplus
    if start[:2] == b"PK":
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name.rsplit("/", 1)[-1] for name in archive.namelist()]
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"{path} begins like a zip file, but cannot be read as one ({error}): copy or "
                "download it again."
            ) from error
        if _E4 & set(names):
            return read_empatica_e4
        raise ValueError(f"{path} is a zip file of {names[:5]}. Unpack it and read the files.")
    if path.suffix.lower() == ".hea" or path.with_suffix(".hea").exists():
        return read_wfdb
    versions = {int.from_bytes(start[2:6], order, signed=True) for order in ("little", "big")}
    if path.suffix.lower() == ".acq" or (b"\x00" in start and versions & set(_BIOPAC_VERSIONS)):
        return read_biopac
    if b"\x00" in start:
        raise ValueError(
            f"{path} has an unknown format. skemo.io.read supports {_KNOWN}. MNE reads many "
            "others: pass its Raw object to Recording.from_mne."
        )
    return _reader_of_text(path, start.decode("utf-8", errors="replace"))


def _reader_of_text(path, text):
    text = text.lstrip("\ufeff")
    lines = text.splitlines()
    if lines[0].startswith("# OpenSignals"):
        return read_opensignals
    if lines[0].startswith("Phone timestamp"):
        return read_polar
    if any("Shimmer" in line or "_CAL" in line for line in lines[:3]):
        return read_shimmer
    if path.name in _E4:
        raise ValueError(f"{path} is one file of an Empatica E4. Read its folder, {path.parent}.")
    raise ValueError(
        f"{path} looks like a text table that begins with {lines[0][:60]!r}. Read it with "
        "skemo.io.read_csv(path, time=<the column of times>), or on the command line with "
        "--time <the column of times>."
    )


def _reader_of_folder(path):
    files = [file for file in path.rglob("*") if file.is_file()]
    names = {file.name for file in files}
    if _E4 & names:
        return read_empatica_e4
    if any(name.endswith(".avro") for name in names):
        return read_embraceplus
    if any(file.parent == path and _is_polar(file) for file in files):
        return read_polar
    raise ValueError(
        f"{path} is not the session of an Empatica or Polar device: it contains "
        f"{sorted(names)[:5]}. Pass the path of one file."
    )


def _is_polar(file):
    if file.suffix not in (".txt", ".csv"):
        return False
    with file.open("rb") as opened:
        return b"Phone timestamp" in opened.read(100)
