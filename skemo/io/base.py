"""Helpers shared by the readers: paths, optional libraries, and tables of numbers."""

import importlib
import warnings
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def existing(path: str | PathLike[str]) -> Path:
    """Return the path of a file or folder, and raise an error if it does not exist.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    pathlib.Path
    """
    found = Path(path).expanduser()
    if not found.exists():
        raise FileNotFoundError(f"{found} does not exist.")
    return found


def library(name: str, reads: str) -> Any:
    """Import an optional library that one format needs.

    Parameters
    ----------
    name : str
        Name of the module and of its package.
    reads : str
        What the library reads, for the error message.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(
            f'Reading {reads} needs {name}: pip install "skemo[io]", or pip install {name}.',
            name=name,
        ) from error


def with_progress(items: Sequence[Any], description: str, drawn: bool) -> Iterable[Any]:
    """Return items for a loop, with a progress bar on the standard error stream.

    Parameters
    ----------
    items : sequence
    description : str
        Text before the bar.
    drawn : bool
        Whether to draw it.

    Returns
    -------
    iterable
    """
    if not drawn:
        return items
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import track

    return track(items, escape(description), console=Console(stderr=True))


def read_numbers(path: Path | str, lines: Any, n_columns: int, first_line: int) -> NDArray[Any]:
    """Read lines of comma-separated numbers, without a last line that is cut off.

    Parameters
    ----------
    path : path
        The file, for error messages.
    lines : list of str
    n_columns : int
        Number of values per line.
    first_line : int
        Line number of the first line in the file, for error messages.

    Returns
    -------
    ndarray of shape (n_lines, n_columns)

    Raises
    ------
    ValueError
        If a line does not have `n_columns` numbers.

    Warns
    -----
    UserWarning
        If the last line is cut off.
    """
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    if len(lines) > 2 and lines[-1].count(",") < n_columns - 1:
        warnings.warn(
            f"{path}: the last line, {lines[-1].strip()!r}, is cut off and was left out.",
            UserWarning,
            stacklevel=3,
        )
        lines = lines[:-1]
    if not lines:
        return np.empty((0, n_columns))
    try:
        table = np.loadtxt(lines, delimiter=",", ndmin=2)
    except ValueError as error:
        raise ValueError(_wrong_line(path, lines, n_columns, first_line, error)) from error
    if table.shape[1] != n_columns:
        raise ValueError(_wrong_line(path, lines, n_columns, first_line, "numbers are missing"))
    return table


def _wrong_line(path, lines, n_columns, first_line, error):
    for i, line in enumerate(lines):
        cells = line.strip().split(",")
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            numbers = []
        if len(numbers) != n_columns:
            return (
                f"{path}: line {first_line + i} should have {n_columns} numbers separated by "
                f"commas, but is {line.strip()!r}. Export or download the file again."
            )
    return f"{path} cannot be read as numbers ({error})."


def as_channels(samples: ArrayLike) -> NDArray[np.float32]:
    """Return samples of shape (n_times, n_channels) as float32 (n_channels, n_times)."""
    return np.ascontiguousarray(np.asarray(samples).T, dtype=np.float32)
