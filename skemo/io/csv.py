"""CSV files with one row per time, with any separator and decimal sign."""

import contextlib
import gzip
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from skemo.io.base import existing
from skemo.signals.frames import frame_parts
from skemo.signals.recording import Recording

_CHUNK = 1 << 16  # rows read at a time
_EMPTY = "__empty__"  # prefix of the names given to unnamed columns
_SEPARATORS = ("\t", ";", ",", "|")


def read_csv(
    path: str | PathLike[str],
    *,
    subject: str | None = None,
    trial: str = "",
    signals: Mapping[str, str | Sequence[str]] | Sequence[str] | None = None,
    time: str | None = None,
    time_unit: Literal["s", "ms", "us", "ns"] = "s",
    sampling_rate: float | Mapping[str, float] | None = None,
    label: str | None = None,
    markers: str | None = None,
    units: Mapping[str, str] | None = None,
    max_gap: float | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    skip_rows: int = 0,
    encoding: str | None = None,
) -> Recording:
    """Read a CSV file or another text table as a recording.

    The file is read in chunks, and only the required columns are kept, so that a large file
    takes little more memory than its signals and times. See
    :meth:`skemo.Recording.from_frame` for how the columns are used.

    Parameters
    ----------
    path : str or path
        A text file with a line of column names, then one line per time. May be compressed, as
        ``.csv.gz``.
    subject : str, default=None
        Identifier of the subject. None uses the file name.
    trial : str, default=""
        Which of the subject's recordings this is.
    signals : mapping of str to str or sequence of str, or sequence of str, default=None
        The columns of each modality, such as ``{"ecg": "ECG", "acc": ["x", "y", "z"]}``. None
        uses all other numeric columns, each as its own modality.
    time : str, default=None
        The column of times. None means that the rows are sampled at `sampling_rate`.
    time_unit : {"s", "ms", "us", "ns"}, default="s"
        Unit of numeric times.
    sampling_rate : float or mapping of str to float, default=None
        Nominal rate in hertz, of all signals or by modality. Required without `time`.
    label : str, default=None
        The column with a label for each row.
    markers : str, default=None
        The column with events. Each event labels the time until the next one.
    units : mapping of str to str, default=None
        Physical units by modality.
    max_gap : float, default=None
        Longest gap between samples to interpolate, in seconds. None means three sampling
        intervals.
    separator : str, default=None
        The column separator. None detects it: a tab, semicolon, comma or vertical bar.
    decimal : str, default=None
        The decimal sign. None means a comma if the numbers contain commas and the columns are
        not separated by them, and a point otherwise.
    skip_rows : int, default=0
        Lines before the column names.
    encoding : str, default=None
        None detects UTF-8, with or without a byte-order mark, and UTF-16 with one, and falls
        back to Latin-1.

    Returns
    -------
    Recording

    Raises
    ------
    ValueError
        If a column is missing or a cell is not a number; the message names the file and line.

    Warns
    -----
    UserWarning
        If the last line is cut off; it is left out.

    Examples
    --------
    >>> from skemo.io import read_csv
    >>> recording = read_csv(
    ...     "S01.csv", time="time", signals={"ecg": "ECG"}, label="task"
    ... )  # doctest: +SKIP
    """
    path = existing(path)
    columns = [column for column in (time, label, markers) if column is not None]
    if isinstance(signals, str) or not isinstance(signals, Iterable | None):
        signals = [signals]
    if signals is not None:
        chosen = signals.values() if isinstance(signals, Mapping) else signals
        for names in chosen:
            are_names = isinstance(names, Iterable) and not isinstance(names, str)
            columns += list(names) if are_names else [str(names)]
    table = read_table(
        path,
        columns if signals is not None else None,
        categories=[column for column in (label, markers) if column is not None],
        time=time,
        separator=separator,
        decimal=decimal,
        skip_rows=skip_rows,
        encoding=encoding,
    )
    try:
        parts = frame_parts(
            table,
            signals=signals,
            time=time,
            time_unit=time_unit,
            sampling_rate=sampling_rate,
            label=label,
            markers=markers,
            max_gap=max_gap,
            consume=True,
        )
        subject = path.name.split(".")[0] if subject is None else subject
        return Recording(**parts, units=units or {}, subject=subject, trial=trial)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_table(
    path: Path,
    columns: Sequence[str] | None = None,
    *,
    texts: Iterable[str] = (),
    categories: Iterable[str] = (),
    time: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    skip_rows: int = 0,
    names: Sequence[str] | None = None,
    encoding: str | None = None,
) -> pd.DataFrame:
    """Read columns of a text table in chunks.

    Parameters
    ----------
    path : pathlib.Path
    columns : sequence of str, default=None
        None reads all columns.
    texts : iterable of str, default=()
        Columns that are not numbers.
    categories : iterable of str, default=()
        Columns that are not numbers and have few different values.
    time : str, default=None
        The column of times, which are converted to numbers, Timestamps or Timedeltas.
    separator : str, default=None
        None detects it.
    decimal : str, default=None
        None detects it.
    skip_rows : int, default=0
        Lines before the column names, or before the data if `names` is given.
    names : sequence of str, default=None
        Column names, if the file has none.
    encoding : str, default=None
        None detects it.

    Returns
    -------
    DataFrame
        Numeric columns are float64. If `columns` is None, other columns are kept as text.
        `categories` are categorical.
    """
    if not isinstance(skip_rows, Integral) or isinstance(skip_rows, bool) or skip_rows < 0:
        raise ValueError(f"skip_rows must be a whole number of at least 0, got {skip_rows!r}.")
    if separator is not None and not (isinstance(separator, str) and separator):
        raise ValueError(f"separator must be text such as ',', got {separator!r}.")
    encoding, lines = _first_lines(path, encoding, skip_rows + 30)
    lines = lines[skip_rows:]
    if not lines or not any(line.strip() for line in lines):
        raise ValueError(f"{path} is empty.")
    if separator is None:
        separator = _find_separator(lines)
    body = lines[1:] if names is None else lines
    if decimal is None:
        has_commas = separator != "," and re.search(r"\d,\d", "".join(body)) is not None
        decimal = "," if has_commas else "."
    header = [name.strip().strip('"') for name in lines[0].rstrip("\r\n").split(separator)]
    header = header if names is None else list(names)
    first = body[0].rstrip("\r\n").split(separator) if body else []
    if len(first) > len(header):
        if any(cell.strip() for cell in first[len(header) :]):
            raise ValueError(
                f"{path} has {len(header)} column names, {header}, but {len(first)} columns "
                f"separated by {separator!r}. Pass separator=, decimal= or skip_rows=."
            )
        header += [""] * (len(first) - len(header))  # lines end with a separator
    header = [name or f"{_EMPTY}{i}" for i, name in enumerate(header)]
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise ValueError(
            f"{path} has several columns {repeated[0]!r}; its columns, separated by {separator!r}, "
            f"are {header}. Rename them, or pass skip_rows= if the names are in another line."
        )
    absent = [name for name in columns or () if name not in header]
    if absent:
        raise ValueError(
            f"{path} has no column {absent[0]!r}; its columns, separated by {separator!r}, "
            f"are {header}."
        )
    kept = [name for name in header if not name.startswith(_EMPTY)]
    kept = [name for name in kept if columns is None or name in columns]
    texts, categories = set(texts), set(categories)
    types: dict[str, Any] = dict.fromkeys(kept, str) if decimal == "," else {}
    types |= dict.fromkeys({*texts, *([time] if time else [])}, str)
    types |= dict.fromkeys(categories, "category")
    parts = {name: _Categories() if name in categories else _Column() for name in kept}
    first_line = skip_rows + (1 if names is None else 0) + 1
    n_rows = 0
    try:
        with pd.read_csv(
            path,
            sep=separator,
            header=None,
            names=header,
            index_col=False,
            dtype=types,
            skiprows=first_line - 1,
            skip_blank_lines=False,
            encoding=encoding,
            skipinitialspace=True,
            chunksize=_CHUNK,
            low_memory=False,
        ) as chunks:
            for chunk in chunks:
                for name in kept:
                    column = chunk[name]
                    if name == time:
                        column = _as_times(column)
                    elif name not in texts and name not in categories:
                        line = first_line + n_rows
                        column = _as_numbers(column, decimal, path, name, line, columns is None)
                    parts[name].append(column)
                n_rows += len(chunk)
    except pd.errors.ParserError as error:
        raise ValueError(
            f"{path} cannot be read as a table of {len(header)} columns separated by "
            f"{separator!r} ({str(error).strip()}). Pass separator= or skip_rows=."
        ) from error
    except UnicodeError as error:
        raise ValueError(f"{path} is not text in {encoding} ({error}). Pass encoding=.") from error
    if not n_rows:
        raise ValueError(f"{path} has column names, but no rows.")
    frame = pd.DataFrame({name: parts.pop(name).joined() for name in kept}, copy=False)
    return _without_cut_line(path, frame, separator, len(header), encoding)


class _Column:
    """Joins the chunks of a column; those of numbers in an array that grows as needed."""

    def __init__(self):
        self.n_rows = 0
        self.numbers = np.empty(0)
        self.parts = []  # if they are not all numbers

    def append(self, chunk):
        is_plain = isinstance(chunk.dtype, np.dtype) and chunk.dtype.kind in "if"
        if self.parts or not is_plain:
            if not self.parts and self.n_rows:
                self.parts.append(self.joined())
            self.parts.append(chunk)
            self.n_rows += len(chunk)
            return
        if not self.n_rows:
            self.numbers = self.numbers.astype(chunk.dtype)
        stop = self.n_rows + len(chunk)
        kind = np.result_type(self.numbers, chunk.dtype)
        if stop > len(self.numbers) or kind != self.numbers.dtype:
            larger = np.empty(max(stop, 2 * len(self.numbers)), kind)
            larger[: self.n_rows] = self.numbers[: self.n_rows]
            self.numbers = larger
        self.numbers[self.n_rows : stop] = chunk
        self.n_rows = stop

    def joined(self):
        if self.parts:
            return pd.concat(self.parts, ignore_index=True)
        return pd.Series(self.numbers[: self.n_rows], copy=False)


class _Categories:
    """Joins the chunks of a column with few different values, as categories."""

    def __init__(self):
        self.codes, self.known = _Column(), {}

    def append(self, chunk):
        own = [self.known.setdefault(name, len(self.known)) for name in chunk.cat.categories]
        codes = np.array([*own, -1], np.int32)  # the last one is for missing values
        self.codes.append(pd.Series(codes[chunk.cat.codes.to_numpy()]))

    def joined(self):
        codes = self.codes.joined().to_numpy()
        return pd.Series(pd.Categorical.from_codes(codes, categories=list(self.known)))


def _first_lines(path, encoding, n_lines):
    """Return the encoding of a file and its first lines."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        start = file.read(1 << 16)
    if encoding is None:
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            encoding = "utf-16"
        else:
            try:
                start[: start.rfind(b"\n") + 1 or None].decode("utf-8")
                encoding = "utf-8-sig"
            except UnicodeDecodeError:
                encoding = "latin-1"
    try:
        text = start.decode(encoding, errors="replace")
    except (LookupError, TypeError, UnicodeError) as error:
        raise ValueError(f"{path} cannot be read with encoding={encoding!r}: {error}.") from error
    if "\x00" in text:
        raise ValueError(f"{path} is not a text file.")
    return encoding, text.splitlines(keepends=True)[:n_lines]


def _find_separator(lines):
    lines = [line for line in lines if line.strip()]
    counts = {s: [line.count(s) for line in lines] for s in _SEPARATORS}
    even = [s for s in _SEPARATORS if counts[s][0] and len(set(counts[s][:-1] or counts[s])) == 1]
    if even:
        return even[0]
    return max(_SEPARATORS, key=lambda s: counts[s][0])


def _as_numbers(column, decimal, path, name, first_line, may_be_text):
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.astype("float64")
    texts = column.astype("string").str.strip()
    if decimal == ",":
        texts = texts.str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(texts.where(texts != ""), errors="coerce").astype("float64")
    wrong = numbers.isna() & texts.notna() & ~texts.str.lower().isin(["", "nan", "na", "null"])
    if wrong.any():
        if may_be_text:
            return column
        row = int(wrong.to_numpy().argmax())
        raise ValueError(
            f"{path}: line {first_line + row} has {column.iloc[row]!r} in the column {name!r}, "
            "which should hold numbers. Correct it, or pass signals= without this column."
        )
    return numbers


def _as_times(column):
    """Convert text to numbers, Timestamps or Timedeltas, or return it unchanged."""
    with contextlib.suppress(ValueError):
        return pd.to_numeric(column)
    texts = column.astype("string").str.strip()
    texts = texts.mask(texts == "").astype(object)
    points = column.str.replace(",", ".", regex=False)
    for convert in (
        lambda: pd.to_numeric(texts),
        lambda: pd.to_numeric(points),
        lambda: pd.to_datetime(texts, format="ISO8601"),
        lambda: pd.to_timedelta(points),
    ):
        with contextlib.suppress(ValueError):
            return convert()
    return column


def _without_cut_line(path, table, separator, n_columns, encoding):
    """Remove empty lines at the end, and a last line that is cut off."""
    empty = table.iloc[-1000:].isna().all(axis=1).to_numpy()
    n_empty = len(empty) if empty.all() else int(empty[::-1].argmin())
    table = table.iloc[: len(table) - n_empty] if n_empty else table
    if path.suffix == ".gz" or encoding == "utf-16":
        return table
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        end = file.read()
    last = end.rsplit(b"\n", 1)[-1]
    if last.strip() and last.count(separator.encode()) < n_columns - 1:
        warnings.warn(
            f"{path}: the last line, {last.decode(errors='replace')!r}, is cut off and was left "
            "out.",
            UserWarning,
            stacklevel=4,
        )
        table = table.iloc[:-1]
    return table
