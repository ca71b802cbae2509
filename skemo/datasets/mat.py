"""Shared by loaders of rated .mat data sets: reading files, ratings, trials left out."""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skemo.datasets.base import warn_user
from skemo.datasets.mat_file import NewerVersionError, read_mat, variable_names
from skemo.signals.checks import is_number
from skemo.signals.recording import Recording

_ROUNDING = 1e-3  # how far a rating may be outside its scale
_REMEDY = "The file is not as published: download it again."


class LeftOut(NamedTuple):
    """A trial without a recording, and what was missing for one."""

    subject: str
    missing: str


def read_variables(path: Path, names: Sequence[str], remedy: str) -> dict[str, NDArray[Any]]:
    """Read variables of a MATLAB file of version 5 to 7, in the form of `scipy.io.loadmat`.

    Parameters
    ----------
    path : pathlib.Path
    names : sequence of str
        Variables to read; all of them must exist.
    remedy : str
        What the user can do about a file that cannot be read.

    Returns
    -------
    dict of str to array

    Raises
    ------
    ValueError
        If the file is truncated, damaged or of version 7.3, or a variable is missing.
    """
    with _errors_that_name(path, remedy):
        found = read_mat(path, names)
    for name in names:
        if not isinstance(found.get(name), np.ndarray):
            state = "is not an array" if name in found else "is missing"
            raise ValueError(f"{path}: the variable {name!r} {state}. {remedy}")
    return {name: found[name] for name in names}


def list_variables(path: Path, remedy: str) -> list[str]:
    """Return the names of the variables of a MATLAB file, with the errors of `read_variables`."""
    with _errors_that_name(path, remedy):
        return variable_names(path)


@contextmanager
def _errors_that_name(path, remedy):
    try:
        yield
    except NewerVersionError as error:
        raise ValueError(
            f"{path} is a MATLAB file of version 7.3 (HDF5), but was published in an older "
            "version. Save its variables in MATLAB with the option '-v7'."
        ) from error
    except (ValueError, OSError, zlib.error) as error:
        raise ValueError(
            f"{path} is truncated or not a MATLAB file and cannot be read ({error}). {remedy}"
        ) from error


def cells(values: Any, n_cells: int, where: str) -> list[Any]:
    """Return the contents of a cell array, which must have `n_cells` cells, as a list."""
    values = _unwrap(values)
    if not isinstance(values, np.ndarray) or values.dtype != object or values.size != n_cells:
        raise ValueError(
            f"{where} should be a cell array of {n_cells}, got {_kind(values)}. {_REMEDY}"
        )
    return list(values.ravel())


def field(struct: Any, name: str, where: str) -> Any:
    """Return a field of a struct; `where` names the field in error messages."""
    struct = _unwrap(struct)
    names = getattr(getattr(struct, "dtype", None), "names", None) or ()
    if name not in names or struct.size != 1:
        found = f"the fields {', '.join(names)}" if names else _kind(struct)
        raise ValueError(f"{where} is missing; found in its place: {found}. {_REMEDY}")
    return struct[name].item()


def numbers(values: Any, where: str) -> NDArray[Any]:
    """Return the array of numbers in a cell, without elements if the cell is empty."""
    values = _unwrap(values)
    if isinstance(values, np.ndarray) and values.size == 0:  # empty arrays may have any type
        return np.empty((0, 0))
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "buif":
        raise ValueError(f"{where} should hold real numbers, got {_kind(values)}. {_REMEDY}")
    return values


def samples(values: Any, n_channels: int, where: str) -> NDArray[Any] | None:
    """Return a table (n_times, n_channels), or None if the cell is empty or entirely NaN."""
    values = numbers(values, where)
    if np.isnan(values).all():  # also true of an empty array
        return None
    if values.ndim != 2 or values.shape[1] != n_channels:
        raise ValueError(
            f"{where} has shape {values.shape}, but should have (n_samples, {n_channels}). "
            f"{_REMEDY}"
        )
    return values


def text(values: Any, where: str) -> str:
    """Return the name in a cell, which may be stored as a whole number."""
    values = np.asarray(_unwrap(values))
    if values.size == 1 and values.dtype.kind in "Uiuf":
        value = values.item()
        name = str(value).strip() if values.dtype.kind == "U" else f"{value:g}"
        if name and name != "nan":
            return name
    raise ValueError(f"{where} should be a name, got {_kind(values)}. {_REMEDY}")


def check_rating(
    target: str, targets: Sequence[str], threshold: float, scale: tuple[float, float]
) -> None:
    """Raise unless `target` is one of `targets` and `threshold` divides the scale in two."""
    if target not in targets:
        names = ", ".join(repr(name) for name in targets)
        raise ValueError(f"target must be one of {names}, got {target!r}.")
    low, high = scale
    if not (is_number(threshold) and low <= threshold < high):
        raise ValueError(
            f"threshold must be a number from {low} to below {high}, since ratings range from "
            f"{low} to {high}, got {threshold!r}."
        )


def level(
    rating: float, threshold: float, scale: tuple[float, float]
) -> Literal["high", "low"] | None:
    """Return "high" for a rating above the threshold, else "low", or None if off the scale."""
    low, high = scale
    if not low - _ROUNDING <= rating <= high + _ROUNDING:
        return None
    return "high" if rating > threshold else "low"


def make_recording(
    signals: Mapping[str, NDArray[Any]],
    subject: str,
    trial: str,
    label: str,
    targets: Mapping[str, float],
    *,
    sampling_rates: Mapping[str, float],
    channels: Mapping[str, Sequence[str]],
    units: Mapping[str, str],
) -> Recording:
    """Make the recording of a trial that has a single label.

    `sampling_rates`, `channels` and `units` may contain modalities that it does not have.
    """
    duration = min(x.shape[1] / sampling_rates[name] for name, x in signals.items())
    return Recording(
        signals=signals,
        sampling_rates={name: sampling_rates[name] for name in signals},
        channels={name: channels[name] for name in signals},
        units={name: units[name] for name in signals if name in units},
        subject=subject,
        trial=trial,
        labels=((0.0, duration, label),),
        targets=targets,
    )


def report_left_out(items: Iterable[Recording | LeftOut]) -> Iterator[Recording]:
    """Yield the recordings among `items`; at the end, warn about the trials left out.

    Raises
    ------
    ValueError
        If there was no recording.
    """
    n_recordings = 0
    left_out: dict[str, list[str]] = {}
    for item in items:
        if isinstance(item, Recording):
            n_recordings += 1
            yield item
        else:
            left_out.setdefault(item.missing, []).append(item.subject)
    if not left_out:
        return
    parts = []
    for missing, subjects in left_out.items():
        counts = ", ".join(f"{subject}: {n}" for subject, n in Counter(subjects).items())
        parts.append(f"{len(subjects)} without {missing} (subject {counts})")
    report = f"Left out {'; '.join(parts)}."
    if not n_recordings:
        raise ValueError(f"No trial could be used. {report}")
    warn_user(report)


def found_below(folder: Path, pattern: str) -> str:
    """Return a hint at a file in a subfolder, or an empty string if there is none."""
    found = sorted(folder.glob(f"*/{pattern}"))
    return f" Found below: {found[0]}." if found else ""


def _unwrap(values):
    """Return the contents of nested cells of size one."""
    while isinstance(values, np.ndarray) and values.dtype == object and values.size == 1:
        values = values.item()
    return values


def _kind(values):
    if isinstance(values, np.ndarray):
        kinds = {"O": "cells", "U": "text", "V": "struct"}
        return f"{kinds.get(values.dtype.kind, values.dtype.name)} of shape {values.shape}"
    return type(values).__name__
