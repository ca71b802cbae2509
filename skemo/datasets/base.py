"""What the loaders share: where files lie, a checked download, reading subject by subject."""

import os
import re
import sys
import warnings
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

_INSIDE = ("skemo", "rich", "joblib")  # packages whose lines are not the user's


def data_folder(data_home, name):
    """Folder of a data set: the user's own, or one in the system's cache folder."""
    if data_home is not None:
        return Path(data_home).expanduser()
    import pooch

    return Path(pooch.os_cache("skemo")) / name


def download_files(url, folder, names, *, hashes=None, keep_list=True, progress=False):
    """Download files, and hold them against their hashes.

    A file that is there with the right hash is not fetched again, so that a download that
    broke off continues. Files appear under their name only when their hash is right.

    Parameters
    ----------
    url : str
        Folder of the files, ending in a slash.
    folder : pathlib.Path
        Where the files go; the list of hashes too, as ``SHA256SUMS.txt``.
    names : sequence of str
        The files, with the folders they are in below `url`.
    hashes : mapping of str to str or None, default=None
        SHA-256 of each file by its name; a file with None is taken as it comes. If None, a
        ``SHA256SUMS.txt`` of the publisher's at `url` says them, and must say all.
    keep_list : bool, default=True
        Leave the list of hashes there, by which a folder is known as one to be completed; not
        in a folder that has files of the user's own.
    progress : bool, default=False
        Show a bar.

    Raises
    ------
    ConnectionError
        The server cannot be reached or has no such file.
    ValueError
        A file is not in the list, or does not have the hash that the list says.
    """
    import pooch
    import requests
    from rich.progress import track

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    sums = Path(folder) / "SHA256SUMS.txt"
    try:
        if hashes is None:
            pooch.retrieve(url + sums.name, None, sums.name, folder)
            hashes = parse_hashes(sums.read_text(encoding="utf-8"))
        else:
            lines = [f"{value}  {name}\n" for name, value in hashes.items() if value]
            sums.parent.mkdir(parents=True, exist_ok=True)
            sums.write_text("".join(lines), encoding="utf-8")
        unlisted = [name for name in names if name not in hashes]
        if unlisted:
            raise ValueError(
                f"{sums} lists no hash for {', '.join(unlisted)}. If the list is incomplete, "
                "delete it to fetch it again."
            )
        registry = {name: hashes[name] and f"sha256:{hashes[name]}" for name in names}
        source = pooch.create(folder, url, registry=registry, retry_if_failed=1)
        for name in track(names, f"Downloading to {folder}", disable=not progress):
            try:
                source.fetch(name)
            except ValueError as error:  # pooch names the file without its folder
                raise ValueError(
                    f"{url}{name} is not the file that is known: {error} Try again. If the "
                    f"publisher has changed it, put it into {folder} yourself, and pass "
                    "download=False."
                ) from error
    except requests.RequestException as error:
        raise ConnectionError(
            f"Could not download from {url} ({error}). Try again to continue, or download the "
            f"files by other means into {folder}."
        ) from error
    finally:
        logger.setLevel(level)
        if not keep_list:
            sums.unlink(missing_ok=True)


def check_subjects(subjects, known):
    """Return the subjects asked for, all that are `known` if None; others are an error."""
    if subjects is None:
        return list(known)
    wanted = _as_list(subjects)
    unknown = [subject for subject in wanted if subject not in known]
    if unknown or not wanted:
        raise ValueError(
            f"subjects must be among {known[0]!r} to {known[-1]!r}, got {unknown or wanted}; there "
            f"are {len(known)} of them."
        )
    return wanted


def check_modalities(modalities, known):
    """Return the modalities asked for; if None, those `known` that skemo has transformers for."""
    if modalities is None:
        return [name for name in ("ecg", "eeg", "eda", "ppg") if name in known]
    wanted = _as_list(modalities)
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise ValueError(f"modalities must be among {list(known)}, got {unknown or wanted}.")
    return wanted


def _as_list(names):
    """Each name once, in order; a name by itself is a list of one."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        return [names]
    names = list(names)
    return [name for i, name in enumerate(names) if name not in names[:i]]


def local_folder(data_home):
    """The folder that the user names, of a data set that cannot be downloaded."""
    if not isinstance(data_home, str | os.PathLike):
        raise ValueError(f"data_home must be the folder of the data set, got {data_home!r}.")
    return Path(data_home).expanduser()


def check_on_error(on_error):
    """Raise unless `on_error` is one of its two values."""
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}.")


def check_file(path):
    """Raise unless a subject's file is there."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing. Put it there, name the other subjects in subjects=, or pass "
            "on_error='skip'."
        )


def runs(values):
    """The runs of equal values in a series, as (start, stop) in samples."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1), len(values)]
    return list(pairwise(edges)) if len(values) else []


def read_subjects(read, subjects, on_error, *, lazy=False, n_jobs=None, progress=False):
    """Recordings of each subject, one subject at a time.

    Parameters
    ----------
    read : callable
        Gives the list of recordings of a subject; its OSError or ValueError names the file
        and what is wrong with it.
    subjects : sequence of str
        Passed to `read` one by one.
    on_error : {"raise", "skip"}
        Whether a subject that cannot be read is an error, or left out with a warning that
        says which and why.
    lazy : bool, default=False
        Return an iterator that reads a subject when it is asked for, and keeps no other.
    n_jobs : int or None, default=None
        Processes that read at once, each a subject.
    progress : bool, default=False
        Show a bar.

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

    # A subject ahead for each process, and no more, so that memory stays bounded.
    settings = {"return_as": "generator", "pre_dispatch": "n_jobs", "backend": "loky"}
    parallel = Parallel(n_jobs=n_jobs, **settings)
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


def warn_user(message):
    """Warn at the line of the user's that called skemo, or that asks an iterator for more."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)


def parse_hashes(text):
    """File names and their hashes, from lines of the form ``<hash>  <name>``."""
    return {name: value for value, name in re.findall(r"(?m)^(\w{64}) +\*?(.*\S)", text)}
