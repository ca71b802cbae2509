"""Shared by the loaders: folders of data sets, verified downloads, reading by subject."""

import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from os import PathLike
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Literal, TypeVar

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray

from skemo._files import write_whole
from skemo._workers import ending_with_this_process, returned_as

_Item = TypeVar("_Item")
_LARGEST_FILE = 10**8  # bytes of a download; those of the data sets have up to 10 MB
_SLOWEST = 1000  # bytes per second of a download, over each period of
_PATIENCE = 30  # seconds
_BLOCK = 2**16
_INSIDE = ("skemo", "rich", "joblib")  # packages that are not the user's code


def data_folder(data_home: str | PathLike[str] | None, name: str) -> Path:
    """Return the folder of a data set: `data_home`, or a folder in the system's cache."""
    if data_home is not None:
        return local_folder(data_home)
    import pooch

    return Path(pooch.os_cache("skemo")) / name


def download_files(
    url: str,
    folder: Path,
    names: Sequence[str],
    *,
    hashes: Mapping[str, str | None] | None = None,
    keep_list: bool = True,
    progress: bool = False,
) -> None:
    """Download files and verify their hashes.

    A file that already exists with the right hash is not downloaded again, so that an
    interrupted download is resumed. A file gets its name only after its hash was verified.

    Parameters
    ----------
    url : str
        Folder of the files, ending in a slash.
    folder : pathlib.Path
        Where to put the files, and the list of their hashes as ``SHA256SUMS.txt``.
    names : sequence of str
        The files, as paths relative to `url`.
    hashes : mapping of str to str or None, default=None
        SHA-256 of each file by its name; a file whose hash is None is not verified. If None,
        the publisher's ``SHA256SUMS.txt`` at `url` lists the hashes of all files.
    keep_list : bool, default=True
        Whether to keep the list of hashes, which marks a folder as one to be completed. Do not
        keep it in a folder with files of the user's own.
    progress : bool, default=False
        Whether to show a progress bar.

    Raises
    ------
    ConnectionError
        If the server cannot be reached or does not have a file.
    ValueError
        If a file is not in the list, or its hash is not the one listed.
    """
    import pooch
    import requests
    from rich.markup import escape
    from rich.progress import track

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    sums = Path(folder) / "SHA256SUMS.txt"
    try:
        if hashes is None:
            hashes = _fetch_hashes(url, sums, names)
        else:
            lines = [f"{value}  {name}\n" for name, value in hashes.items() if value]
            write_whole(sums, "".join(lines))
        registry = {name: hashes[name] and f"sha256:{hashes[name]}" for name in names}
        source = pooch.create(folder, url, registry=registry, retry_if_failed=1)
        for name in track(names, escape(f"Downloading to {folder}"), disable=not progress):
            try:
                source.fetch(name, downloader=_download)
            except ValueError as error:  # pooch names the file without its folder
                raise ValueError(
                    f"{url}{name} is not the expected file: {error} Try again. If the "
                    f"publisher has changed it, put it into {folder} yourself and pass "
                    "download=False."
                ) from error
    except (requests.RequestException, ConnectionError) as error:
        raise ConnectionError(
            f"Could not download from {url} ({error}). Try again to resume, or put the files into "
            f"{folder} by other means."
        ) from error
    finally:
        logger.setLevel(level)
        if not keep_list:
            sums.unlink(missing_ok=True)


def _fetch_hashes(url, sums, names):
    """Return the publisher's hashes; a list that does not have all `names` is fetched again."""
    import pooch

    for _ in range(2):
        pooch.retrieve(url + sums.name, None, sums.name, sums.parent, downloader=_download)
        hashes = parse_hashes(sums.read_text(encoding="utf-8", errors="replace"))
        unlisted = [name for name in names if name not in hashes]
        if not unlisted:
            return hashes
        sums.unlink()
    raise ValueError(
        f"{url}{sums.name} lists no hash for {', '.join(unlisted)}: it is damaged, or not the "
        "publisher's. Try again later, or pass download=False to use the files that are there."
    )


def _download(url, output_file, _pooch):
    """Download a file for pooch; a server that sends too much or hardly anything is an error.

    The timeout of requests starts again with each byte, which for headers cannot be seen from
    outside. So another thread receives, and this one waits for it no longer than it should.
    """
    received, given_up = SimpleQueue(), threading.Event()
    threading.Thread(target=_receive, args=(url, received, given_up), daemon=True).start()
    n_bytes, start = 0, time.monotonic()
    try:
        with open(output_file, "wb") as file:
            while True:
                try:
                    block = received.get(timeout=max(start + _PATIENCE - time.monotonic(), 0))
                except Empty:
                    block = b""
                if block is None:
                    return
                if isinstance(block, BaseException):
                    raise block
                file.write(block)
                n_bytes += len(block)
                elapsed = time.monotonic() - start
                if elapsed >= _PATIENCE:
                    if n_bytes < _SLOWEST * elapsed:
                        raise ConnectionError(f"{url} comes at less than {_SLOWEST} bytes a second")
                    n_bytes, start = 0, start + elapsed
    finally:
        given_up.set()


def _receive(url, received, given_up):
    """Put the blocks of a file into a queue, and at the end None or the error that occurred."""
    import requests
    import urllib3

    n_bytes = 0
    try:
        with requests.get(url, stream=True, timeout=_PATIENCE) as response:
            response.raise_for_status()
            while block := response.raw.read1(_BLOCK, decode_content=True):
                n_bytes += len(block)
                if n_bytes > _LARGEST_FILE:
                    raise ConnectionError(f"{url} is larger than {_LARGEST_FILE / 1e6:.0f} MB")
                if given_up.is_set():
                    return
                received.put(block)
    except urllib3.exceptions.HTTPError as error:
        received.put(requests.ConnectionError(error))
    except BaseException as error:
        received.put(error)
    else:
        received.put(None)


def check_subjects(subjects: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Return the requested subjects, all `known` ones if None; others are an error."""
    if subjects is None:
        return list(known)
    wanted = _as_list(subjects)
    unknown = [subject for subject in wanted if subject not in known]
    if unknown or not wanted:
        raise ValueError(
            f"subjects must be among the {len(known)} from {known[0]!r} to {known[-1]!r}, got "
            f"{unknown or wanted}."
        )
    return wanted


def check_modalities(modalities: Sequence[str] | None, known: Collection[str]) -> list[str]:
    """Return the requested modalities; if None, the `known` ones that skemo can transform."""
    if modalities is None:
        return [name for name in ("ecg", "eeg", "eda", "ppg") if name in known]
    wanted = _as_list(modalities)
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise ValueError(f"modalities must be among {list(known)}, got {unknown or wanted}.")
    return wanted


def _as_list(names):
    """Return the names without duplicates, in order; a single name becomes a list."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        return [names]
    names = list(names)
    return [name for i, name in enumerate(names) if name not in names[:i]]


def local_folder(data_home: str | PathLike[str]) -> Path:
    """Return the user's folder of a data set that cannot be downloaded."""
    is_path = isinstance(data_home, str | os.PathLike) and isinstance(os.fspath(data_home), str)
    if not is_path:
        raise ValueError(f"data_home must be the folder of the data set, got {data_home!r}.")
    return Path(data_home).expanduser()


def check_on_error(on_error: Literal["raise", "skip"]) -> None:
    """Raise unless `on_error` is one of its two values."""
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}.")


def check_file(path: Path) -> None:
    """Raise if a subject's file is missing."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing. Put it there, select the other subjects with subjects=, or pass "
            "on_error='skip'."
        )


def runs(values: ArrayLike) -> list[tuple[int, int]]:
    """Return the runs of equal values in a series, as (start, stop) in samples."""
    values = np.asarray(values)
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1), len(values)]
    return list(pairwise(edges)) if len(values) else []


def to_signal(table: NDArray[Any], where: str, remedy: str) -> NDArray[np.float32]:
    """Copy a table (n_times, n_channels) to a float32 signal (n_channels, n_times).

    Raises
    ------
    ValueError
        If a number is infinite or too large for float32; the error says `where`.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # signalling NaN stays NaN
        signal = np.array(table.T, np.float32, order="C")
    if np.isinf(signal).any():
        raise ValueError(
            f"{where} has numbers that are infinite or too large for a signal. {remedy}"
        )
    return signal


def read_subjects(
    read: Callable[[str], list[_Item]],
    subjects: Sequence[str],
    on_error: Literal["raise", "skip"],
    *,
    lazy: bool = False,
    n_jobs: int | None = None,
    progress: bool = False,
) -> list[_Item] | Iterator[_Item]:
    """Read the recordings of one subject after the other.

    Parameters
    ----------
    read : callable
        Returns the list of recordings of a subject, or raises an OSError or ValueError that
        names the file and what is wrong with it.
    subjects : sequence of str
        The subjects, passed to `read` one by one.
    on_error : {"raise", "skip"}
        Whether to raise an error if a subject cannot be read, or to leave it out with a
        warning that says why.
    lazy : bool, default=False
        Whether to return an iterator that reads each subject on demand and keeps no other in
        memory.
    n_jobs : int or None, default=None
        Number of subjects read at the same time, each in its own process.
    progress : bool, default=False
        Whether to show a progress bar.

    Returns
    -------
    list or iterator of Recording
    """
    check_on_error(on_error)
    recordings = _read_subjects(read, subjects, on_error, n_jobs, progress)
    return recordings if lazy else list(recordings)


def _read_subjects(read, subjects, on_error, n_jobs, progress):
    from rich.console import Console
    from rich.progress import track

    def attempt(subject):
        try:
            return read(subject)
        except (OSError, ValueError) as error:
            return error

    # Each process reads at most one subject ahead, so that memory stays bounded.
    settings = {"return_as": returned_as(), "pre_dispatch": "n_jobs"}
    parallel = Parallel(n_jobs=n_jobs, **settings, **ending_with_this_process())
    results = parallel(delayed(attempt)(subject) for subject in subjects)
    bar = track(
        zip(subjects, results, strict=True),
        "Reading subjects",
        total=len(subjects),
        console=Console(stderr=True),
        disable=not progress,
    )
    problems = []
    for subject, result in bar:
        if not isinstance(result, Exception):
            yield from result
            del result
        elif on_error == "raise":
            raise result
        else:
            problems.append(f"subject {subject!r}: {result}")
    if problems:
        report = f"Skipped {len(problems)} of {len(subjects)} subjects.\n" + "\n".join(problems)
        if len(problems) == len(subjects):
            raise ValueError(report)
        warn_user(report)


def warn_user(message: str) -> None:
    """Warn at the line of the user's code that called skemo or iterates over recordings."""
    level = 2
    frame: FrameType = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)


def parse_hashes(text: str) -> dict[str, str]:
    """Return hashes by file name, from lines of the form ``<hash>  <name>``."""
    return {name: value for value, name in re.findall(r"(?m)^(\w{64}) +\*?(.*\S)", text)}
