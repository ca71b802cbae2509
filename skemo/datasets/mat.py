"""What loaders of rated .mat data sets share: reading the files, ratings, trials left out."""

from collections import Counter
from numbers import Real
from typing import NamedTuple

import numpy as np

from skemo.datasets.base import warn_user
from skemo.signals.recording import Recording

_ROUNDING = 1e-3  # by which a rating may be off its scale
_REMEDY = "The file is not as published: get it again."


class LeftOut(NamedTuple):
    """A trial that gave no recording, and what it is without."""

    subject: str
    lack: str


def read_variables(path, names, remedy):
    """Variables of a MATLAB file of version 5 to 7, as `scipy.io.loadmat` gives them.

    Parameters
    ----------
    path : pathlib.Path
    names : sequence of str
        Variables to read; all of them must be there.
    remedy : str
        What the user can do about a file that cannot be read.

    Returns
    -------
    dict of str to array

    Raises
    ------
    ValueError
        The file is truncated, damaged, of version 7.3, or lacks a variable.
    """
    from scipy.io import loadmat

    with path.open("rb") as file:
        try:
            # The check is for bytes left over behind a variable, which some files as published
            # have. What is truncated or altered within a compressed variable fails without it.
            found = loadmat(file, variable_names=names, verify_compressed_data_integrity=False)
        except NotImplementedError as error:
            raise ValueError(
                f"{path} is a MATLAB file of version 7.3 (HDF5), which is not how it is published. "
                "Save its variables in MATLAB with the option '-v7'."
            ) from error
        except MemoryError:
            raise
        except Exception as error:  # SciPy lets out OSError, TypeError, IndexError, zlib.error, …
            raise ValueError(
                f"{path} is truncated or no MATLAB file: it cannot be read ({error!r}). {remedy}"
            ) from error
    for name in names:
        if not isinstance(found.get(name), np.ndarray):
            state = "is no array" if name in found else "is missing"
            raise ValueError(f"{path}: the variable {name!r} {state}. {remedy}")
    return {name: found[name] for name in names}


def cells(values, n_cells, where):
    """Contents of a cell array as a list; another number than `n_cells` is an error."""
    values = _unwrap(values)
    if not isinstance(values, np.ndarray) or values.dtype != object or values.size != n_cells:
        raise ValueError(
            f"{where} should be a cell array of {n_cells}, got {_kind(values)}. {_REMEDY}"
        )
    return list(values.ravel())


def field(struct, name, where):
    """A field of a struct; `where` names the field."""
    struct = _unwrap(struct)
    names = getattr(getattr(struct, "dtype", None), "names", None) or ()
    if name not in names or struct.size != 1:
        found = f"the fields {', '.join(names)}" if names else _kind(struct)
        raise ValueError(f"{where} is missing; found in its place: {found}. {_REMEDY}")
    return struct[name].item()


def numbers(values, where):
    """An array of numbers; an empty cell is an array without elements."""
    values = _unwrap(values)
    if isinstance(values, np.ndarray) and values.size == 0:  # MATLAB has empties of any type
        return np.empty((0, 0))
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "buif":
        raise ValueError(f"{where} should hold real numbers, got {_kind(values)}. {_REMEDY}")
    return values


def samples(values, n_channels, where):
    """A table of shape (n_times, n_channels); None where the cell is empty or NaN throughout."""
    values = numbers(values, where)
    if np.isnan(values).all():  # of no elements too
        return None
    if values.ndim != 2 or values.shape[1] != n_channels:
        raise ValueError(
            f"{where} has shape {values.shape}, and should have (n_samples, {n_channels}). "
            f"{_REMEDY}"
        )
    return values


def to_signal(table):
    """A signal (n_channels, n_times) of float32 that shares no memory with the table."""
    return np.array(table.T, np.float32)


def text(values, where):
    """A name in a cell, which may be written as a whole number."""
    values = np.asarray(_unwrap(values))
    if values.size == 1 and values.dtype.kind in "Uiuf":
        value = values.item()
        name = str(value).strip() if values.dtype.kind == "U" else f"{value:g}"
        if name and name != "nan":
            return name
    raise ValueError(f"{where} should be a name, got {_kind(values)}. {_REMEDY}")


def check_rating(target, targets, threshold, scale):
    """Raise unless `target` is one of `targets`, and `threshold` parts the scale in two."""
    if target not in targets:
        names = ", ".join(repr(name) for name in targets)
        raise ValueError(f"target must be one of {names}, got {target!r}.")
    low, high = scale
    is_number = isinstance(threshold, Real) and not isinstance(threshold, bool)
    if not (is_number and low <= threshold < high):
        raise ValueError(
            f"threshold must be a number from {low} to below {high}, as ratings go from {low} to "
            f"{high}, got {threshold!r}."
        )


def level(rating, threshold, scale):
    """The label of a rating: "high" above the threshold, "low" at it and below; None off scale."""
    low, high = scale
    if not low - _ROUNDING <= rating <= high + _ROUNDING:
        return None
    return "high" if rating > threshold else "low"


def make_recording(signals, subject, trial, label, targets, *, sampling_rates, channels, units):
    """A trial with one label throughout; the mappings may name more modalities than it has."""
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


def report_left_out(items):
    """Yield the recordings among `items`; at the end, warn of the trials left out.

    Raises
    ------
    ValueError
        There was no recording.
    """
    n_recordings, left_out = 0, {}
    for item in items:
        if isinstance(item, Recording):
            n_recordings += 1
            yield item
        else:
            left_out.setdefault(item.lack, []).append(item.subject)
    if not left_out:
        return
    parts = []
    for lack, subjects in left_out.items():
        counts = ", ".join(f"{subject}: {n}" for subject, n in Counter(subjects).items())
        parts.append(f"{len(subjects)} without {lack} (subject {counts})")
    report = f"Left out {'; '.join(parts)}."
    if not n_recordings:
        raise ValueError(f"No trial could be used. {report}")
    warn_user(report)


def found_below(folder, pattern):
    """A hint at a file that lies one folder deeper; nothing where there is none."""
    found = sorted(folder.glob(f"*/{pattern}"))
    return f" Found below: {found[0]}." if found else ""


def _unwrap(values):
    """What a cell of one, in a cell of one, … holds."""
    while isinstance(values, np.ndarray) and values.dtype == object and values.size == 1:
        values = values.item()
    return values


def _kind(values):
    if isinstance(values, np.ndarray):
        kinds = {"O": "cells", "U": "text", "V": "struct"}
        return f"{kinds.get(values.dtype.kind, values.dtype.name)} of shape {values.shape}"
    return type(values).__name__
