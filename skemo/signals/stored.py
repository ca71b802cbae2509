"""Signal columns that stay in a Parquet file, for tables larger than memory."""

import base64
import errno
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo._files import make_folder, with_remedy
from skemo.signals.array import SignalArray, SignalDtype, Window, different_types, read_arrow
from skemo.signals.checks import signal_columns

_GROUP_BYTES = 1 << 25  # samples in a row group, the smallest part of a file that can be read
_CACHED_GROUPS = 4  # per process
_CACHED_FILES = 16
_PIECE_VALUES = 1 << 26  # numbers to read at a time if the rows are not in the file's order


class _Source(NamedTuple):
    """A column of a file, and the size and date of the file when `read_windows` read it."""

    path: str
    size: int
    modified: int  # nanoseconds
    column: str
    dtype: SignalDtype

    def check(self) -> None:
        """Raise if the file no longer exists or has changed."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                error.errno,
                f"The file with the windows of {self.column!r} no longer exists. Put it back, or "
                "read the table again with read_windows",
                self.path,
            ) from error
        if (found.st_size, found.st_mtime_ns) != (self.size, self.modified):
            raise OSError(
                f"The file {self.path} has changed since the table was read, so the windows of "
                f"{self.column!r} may differ. Read the table again with read_windows."
            )


class StoredSignalArray(SignalArray):
    """Windows of a signal that stay in a Parquet file and are read when needed.

    `read_windows` creates it. It behaves like any `SignalArray`, with three differences.
    Selecting windows (with ``iloc``, masks or ``groupby``) and copying read nothing, since the
    array holds only a reference to the file and the positions of its rows; only these are
    pickled. `values` reads all windows into memory, whereas `blocks` reads some at a time. The
    windows cannot be changed.

    Parameters
    ----------
    source : object
        The column of the file.
    rows : ndarray of int
        The row of the file that holds each window.
    """

    def __init__(self, source: Any, rows: NDArray[np.intp]) -> None:
        self._source = source
        self._dtype = source.dtype
        self._rows = rows

    @property
    def values(self) -> NDArray[np.floating]:
        return _read_rows(self._source, self._rows)

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes

    def blocks(self, n_values: int = 1 << 22) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        if (np.diff(self._rows) >= 0).all():
            yield from super().blocks(n_values)
            return
        # One block of shuffled rows may need the whole file, so many blocks are read at once.
        for piece, values in super().blocks(max(n_values, _PIECE_VALUES)):
            for rows, block in self._like(values).blocks(n_values):
                yield slice(piece.start + rows.start, piece.start + rows.stop), block

    def __len__(self) -> int:
        return len(self._rows)

    def _with_rows(self, rows):
        new = StoredSignalArray(self._source, rows)
        new._dtype = self._dtype
        return new

    def __getitem__(self, item: Any) -> Any:
        rows = self._rows[self._indexer(item)]
        if np.ndim(rows):
            return self._with_rows(rows)
        return _read_rows(self._source, rows[np.newaxis])[0].view(Window)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise ValueError(
            f"The windows of {self._source.column!r} are in the file {self._source.path} and "
            "cannot be changed. Read the table into memory with pandas.read_parquet to change it."
        )

    def copy(self) -> SignalArray:
        return self._with_rows(self._rows)

    def take(
        self, indices: ArrayLike, *, allow_fill: bool = False, fill_value: Any = None
    ) -> SignalArray:
        positions = np.asarray(indices, dtype=np.intp)
        if len(self) == 0 or (allow_fill and (positions < 0).any()):
            return super().take(positions, allow_fill=allow_fill, fill_value=fill_value)
        return self._with_rows(self._rows[positions])

    @classmethod
    def _concat_same_type(cls, to_concat):
        columns = {(getattr(array, "_source", None), array.dtype) for array in to_concat}
        if len(columns) > 1:
            return super()._concat_same_type(to_concat)
        return to_concat[0]._with_rows(np.concatenate([array._rows for array in to_concat]))


def read_windows(
    path: str | os.PathLike[str], columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read a table of windows from a Parquet file, leaving its signals in the file.

    The table is the one that ``pandas.read_parquet`` returns, but its signal columns take up no
    memory: windows are read when they are needed. Selecting rows or columns, splitting and
    pickling read nothing. All results of skemo are the same as with windows in memory, to the
    bit; transformers and networks read one block of windows at a time.

    Parameters
    ----------
    path : path-like
        A file written by `write_windows`, `segment` or ``DataFrame.to_parquet``. The smallest
        part that can be read is a row group: ``to_parquet`` puts up to a million rows into one,
        whereas `write_windows` and `segment` write small ones.
    columns : sequence of str, default=None
        Columns to read; None reads all of them.

    Returns
    -------
    DataFrame of n_windows rows
        Signal columns can be used like any others, but not changed. The file must not change
        while the table is in use.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a Parquet file, or one of the columns is not in it.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from skemo import SignalArray, read_windows, signal_frame, write_windows
    >>> ecg = SignalArray(np.zeros((3, 1, 640), "float32"), sampling_rate=64)
    >>> with TemporaryDirectory() as folder:
    ...     write_windows(signal_frame(ecg=ecg, subject="S2"), f"{folder}/windows.parquet")
    ...     windows = read_windows(f"{folder}/windows.parquet")
    ...     windows["ecg"].array[:2].values.shape
    (2, 1, 640)
    """
    pyarrow, parquet = _import_pyarrow("read_windows")
    if isinstance(columns, str):
        raise ValueError(f"columns must be a list, got {columns!r}. Pass [{columns!r}].")
    path = os.path.abspath(os.path.expanduser(path))
    found = os.stat(path)
    try:
        schema = parquet.read_schema(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None):  # it cannot be opened
            raise
        raise ValueError(
            f"{path} is not a Parquet file, or it is damaged. Pass a file written by "
            "write_windows, segment or DataFrame.to_parquet."
        ) from error
    dtypes = {
        column["field_name"]: SignalDtype.construct_from_string(column["numpy_type"])
        for column in json.loads((schema.metadata or {}).get(b"pandas", "{}")).get("columns", [])
        if column["numpy_type"].startswith("signal[")
    }
    names = schema.names if columns is None else list(columns)
    unknown = [name for name in names if name not in schema.names]
    if unknown:
        raise ValueError(f"{path} has no column {unknown[0]!r}, only {schema.names}.")
    table = pd.read_parquet(path, columns=[name for name in names if name not in dtypes])
    n_windows = parquet.read_metadata(path).num_rows
    if len(table) < n_windows:  # pyarrow 17 forgets the rows of a table without columns
        table = table.reindex(pd.RangeIndex(n_windows))
    names = [name for name in names if name in dtypes or name in table]  # without the index
    for i, name in enumerate(names):
        if name in dtypes:
            source = _Source(path, found.st_size, found.st_mtime_ns, name, dtypes[name])
            table.insert(i, name, StoredSignalArray(source, np.arange(len(table))))
    return table


def write_windows(
    tables: pd.DataFrame | Iterable[pd.DataFrame], path: str | os.PathLike[str]
) -> None:
    """Write one or more tables of windows to a Parquet file.

    `read_windows` reads the table and leaves the signals in the file; ``pandas.read_parquet``
    reads all of it into memory.

    Parameters
    ----------
    tables : DataFrame or iterable of DataFrame
        Windows. The tables of an iterable, such as a generator, are written one by one, so that
        only one needs to be in memory; the file holds the rows of all tables, numbered from 0,
        and the ``attrs`` that all tables share, such as the duration of windows.
        Value types of signals are converted to the widest. If a table does not have a column, it
        is missing in its rows.
    path : path-like
        File to write. An existing file is replaced once the new one is complete. Missing folders
        are created.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    OSError
        If the file cannot be written.
    TypeError
        If `tables` is or yields something other than tables.
    ValueError
        If there are no tables, if the names of columns are not unique strings, or if two tables
        have different signals under the same name.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from skemo import SignalArray, read_windows, signal_frame, write_windows
    >>> def one_table_per_subject():
    ...     for subject in ("S1", "S2"):
    ...         ecg = SignalArray(np.zeros((3, 1, 640), "float32"), sampling_rate=64)
    ...         yield signal_frame(ecg=ecg, subject=subject)
    >>> with TemporaryDirectory() as folder:
    ...     write_windows(one_table_per_subject(), f"{folder}/windows.parquet")
    ...     len(read_windows(f"{folder}/windows.parquet"))
    6
    """
    if isinstance(tables, pd.DataFrame):
        write_tables([tables], path, tables.attrs, keep_index=True)
    elif isinstance(tables, str) or not isinstance(tables, Iterable):
        raise _not_a_table(tables)
    else:
        attrs: dict[Any, Any] = {}
        write_tables(_share_attrs(tables, attrs), path, attrs)


def _share_attrs(tables, attrs):
    """Yield the tables, and fill `attrs` with those that all of them share."""
    shared = None
    for table in tables:
        if not isinstance(table, pd.DataFrame):
            raise _not_a_table(table)
        own = dict(table.attrs)
        if "segment" in own:  # its counts are of one table
            own["segment"] = {
                name: value
                for name, value in own["segment"].items()
                if name in ("duration", "step")
            }
        if shared is None:
            shared = own
        shared = {name: own[name] for name in shared if name in own and own[name] == shared[name]}
        attrs.clear()
        attrs.update(shared)
        yield table
        del table  # frees its memory before the next one is made


def _not_a_table(found):
    return TypeError(
        f"write_windows takes a table of windows, or several, and a path; got a "
        f"{type(found).__name__} in place of a table. Of a groupby, pass the tables alone: "
        "(own for _, own in windows.groupby(...)). Recordings are cut and written by "
        "segment(..., to=path)."
    )


def write_tables(
    tables: Iterable[pd.DataFrame],
    path: str | os.PathLike[str],
    attrs: dict[Any, Any],
    *,
    keep_index: bool = False,
) -> None:
    """Write tables one by one, and then `attrs`, which may change until the last is written.

    Parameters
    ----------
    tables : iterable of DataFrame
        Read one at a time.
    path : path-like
    attrs : dict
        ``DataFrame.attrs`` of the table in the file.
    keep_index : bool, default=False
        Whether to keep the index, if there is a single table.
    """
    _import_pyarrow("write_windows")
    path = Path(path).expanduser()
    if path.is_dir():
        error = IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        raise with_remedy(error, "Could not write", path)
    make_folder(path.parent)
    try:
        scratch = TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent)
    except OSError as error:
        raise with_remedy(error, "Could not write", path) from error
    with scratch as folder:
        names = (Path(folder, str(i)) for i in count())
        layout = None
        pieces: list[_Writer] = []
        with ExitStack() as opened:
            for table in tables:
                needed, others = _split_columns(table, keep_index)
                needed = needed if layout is None else layout.union(needed)
                if needed != layout:
                    layout = needed
                    pieces.append(opened.enter_context(_Writer(next(names), layout, attrs)))
                pieces[-1].write(table, others)
                del table  # frees its memory before the next one is made
        if layout is None:
            raise ValueError("There are no tables to write.")
        if len(pieces) > 1:  # the layout of the first tables did not fit a later one
            with _Writer(next(names), layout, attrs) as whole:
                for piece in pieces:
                    windows = read_windows(piece.path)
                    whole.write(windows, _split_columns(windows, keep_index)[1])
            pieces.append(whole)
        os.replace(pieces[-1].path, path)


class _Layout(NamedTuple):
    """The columns of a file: their order, the signals, and all others, including the index."""

    order: list[str]
    signals: dict[str, SignalDtype]
    others: Any  # an Arrow schema
    notes: dict[str, Any]  # pandas' metadata about `others`

    def union(self, added: "_Layout") -> "_Layout":
        """Return the layout of a file that holds the tables of both."""
        pyarrow, _ = _import_pyarrow("write_windows")
        signals = dict(self.signals)
        for name, dtype in added.signals.items():
            known = signals.setdefault(name, dtype)
            widest = np.result_type(known.value_type, dtype.value_type)
            signals[name] = known.with_value_type(widest)
            if dtype.with_value_type(widest) != signals[name]:
                raise different_types(known, dtype)
        clashes = [name for name in signals if name in (*self.others.names, *added.others.names)]
        if clashes:
            raise ValueError(
                f"{clashes[0]!r} is a signal in one table, but not in another. Rename one of the "
                "two columns."
            )
        order = self.order
        if not set(added.order) <= set(order):
            names = list(dict.fromkeys([*order, *added.order]))
            order = [*signals, *(name for name in names if name not in signals)]
        schemas = [self.others, added.others]
        others = pyarrow.unify_schemas(schemas, promote_options="permissive")
        described = [column["field_name"] for column in self.notes["columns"]]
        new = [note for note in added.notes["columns"] if note["field_name"] not in described]
        notes = self.notes | {"columns": [*self.notes["columns"], *new]}
        return _Layout(order, signals, others, notes)


class _Writer:
    """Writes tables, one after another, to a file of one layout."""

    def __init__(self, path, layout, attrs):
        pyarrow, parquet = _import_pyarrow("write_windows")
        self.path, self.layout, self.attrs = path, layout, attrs
        fields = {field.name: field for field in layout.others}
        for name, dtype in layout.signals.items():
            element = pyarrow.from_numpy_dtype(dtype.value_type)
            fields[name] = pyarrow.field(name, pyarrow.fixed_shape_tensor(element, dtype.shape))
        index = [name for name in fields if name not in layout.order]
        self.schema = pyarrow.schema([fields[name] for name in [*layout.order, *index]])
        self.file = parquet.ParquetWriter(
            path, self.schema, use_dictionary=layout.others.names, store_schema=False
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        columns = [
            {
                "name": name,
                "field_name": name,
                "pandas_type": "object",
                "numpy_type": str(dtype),
                "metadata": None,
            }
            for name, dtype in self.layout.signals.items()
        ]
        notes = self.layout.notes | {"columns": [*columns, *self.layout.notes["columns"]]}
        metadata = {"pandas": json.dumps(notes), "PANDAS_ATTRS": json.dumps(self.attrs)}
        # pandas looks for metadata in the Arrow schema within the file, and Dask beside it.
        schema = self.schema.with_metadata(metadata).serialize()
        self.file.add_key_value_metadata({**metadata, "ARROW:schema": base64.b64encode(schema)})
        self.file.close()

    def write(self, table, others):
        pyarrow, _ = _import_pyarrow("write_windows")
        signals = self.layout.signals
        sizes = [dtype.value_type.itemsize * math.prod(dtype.shape) for dtype in signals.values()]
        n_rows = max(1, _GROUP_BYTES // max(1, sum(sizes)))
        for start in range(0, len(table), n_rows):
            part = others.slice(start, n_rows)
            columns = []
            for field in self.schema:
                if field.name in signals:
                    windows = [None] * len(part)
                    if field.name in table:
                        windows = table[field.name].array[start : start + n_rows]
                    columns.append(pyarrow.array(pd.array(windows, signals[field.name])))
                elif field.name in others.column_names:
                    columns.append(part.column(field.name).cast(field.type))
                else:
                    columns.append(pyarrow.nulls(len(part), field.type))
            self.file.write_table(pyarrow.Table.from_arrays(columns, schema=self.schema))


def _split_columns(table, keep_index):
    """Return the layout of a table, and its columns other than signals as an Arrow table."""
    pyarrow, _ = _import_pyarrow("write_windows")
    order, signals = list(table.columns), signal_columns(table)
    if not all(isinstance(name, str) for name in order) or not table.columns.is_unique:
        raise ValueError(f"The names of columns must be unique strings, got {order}.")
    others = table.drop(columns=signals)
    others = pyarrow.Table.from_pandas(others, preserve_index=None if keep_index else False)
    notes = json.loads(others.schema.metadata[b"pandas"])
    dtypes = {name: table[name].dtype for name in signals}
    return _Layout(order, dtypes, others.schema.remove_metadata(), notes), others


def _read_rows(source, rows):
    """Return the windows in some rows of a file."""
    source.check()
    values = np.empty((len(rows), *source.dtype.shape), source.dtype.value_type)
    _, starts = _footer(source)
    groups = np.searchsorted(starts, rows, side="right") - 1
    order = np.argsort(groups, kind="stable")
    found, first = np.unique(groups[order], return_index=True)
    for group, places in zip(found, np.split(order, first)[1:], strict=True):
        values[places] = _read_group(source, group)[rows[places] - starts[group]]
    return values


@lru_cache(maxsize=_CACHED_FILES)
def _footer(source):
    """Return the metadata of a file, and the first row of each row group."""
    _, parquet = _import_pyarrow("A signal column in a file")
    footer = parquet.read_metadata(source.path)
    sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    return footer, np.cumsum([0, *sizes[:-1]])


@lru_cache(maxsize=_CACHED_GROUPS)
def _read_group(source, group):
    _, parquet = _import_pyarrow("A signal column in a file")
    with parquet.ParquetFile(source.path, metadata=_footer(source)[0]) as file:
        table = file.read_row_group(group, columns=[source.column], use_threads=False)
    parts = [read_arrow(chunk, source.dtype) for chunk in table.column(source.column).chunks]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _import_pyarrow(what):
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            f'{what} needs pyarrow: pip install "skemo[parquet]", or pip install pyarrow.'
        ) from error
    return pyarrow, pyarrow.parquet
