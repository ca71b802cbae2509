"""Signal columns: a pandas extension array that keeps windows of a signal in one block."""

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike, NDArray
from pandas.api.extensions import ExtensionArray, ExtensionDtype, register_extension_dtype
from pandas.api.indexers import check_array_indexer
from pandas.api.types import pandas_dtype

from skemo._checks import float_type
from skemo._escape import to_html
from skemo._samples import fill_mask

_NAME = re.compile(r"signal\[(\w+), ([\dx]+), (?:(\S+) Hz|no rate), (.+)\]")


@register_extension_dtype
class SignalDtype(ExtensionDtype):
    """Type of a signal column: the shape of a window, its sampling rate and its channels.

    Parameters
    ----------
    value_type : str or numpy.dtype, default="float32"
        Floating-point type of the samples.
    shape : tuple of int, default=(1, 1)
        Shape of one window. The last axis is time and the one before it the channels:
        ``(n_channels, n_times)`` for a raw window,
        ``(n_bands, n_channels, n_sub_windows)`` for a differential-entropy map.
    sampling_rate : float or None, default=None
        Samples per second along the last axis, in hertz; None if that axis has no rate.
    channels : sequence of str or None, default=None
        Channel names, one for each position of the second-to-last axis.

    Examples
    --------
    >>> from skemo import SignalDtype
    >>> dtype = SignalDtype("float32", (2, 1280), 128, ["F3", "F4"])
    >>> dtype
    signal[float32, 2x1280, 128.0 Hz, ["F3", "F4"]]
    """

    type = np.ndarray
    kind = "O"
    na_value = np.nan
    _metadata = ("value_type", "shape", "sampling_rate", "channels")

    def __init__(
        self,
        value_type: DTypeLike = "float32",
        shape: Iterable[int] = (1, 1),
        sampling_rate: float | None = None,
        channels: Iterable[str] | None = None,
    ) -> None:
        self.value_type = np.dtype(value_type).newbyteorder("=")
        self.shape = tuple(int(n) for n in shape)
        self.sampling_rate = sampling_rate
        self.channels = None if channels is None else tuple(str(name) for name in channels)
        if self.value_type.kind != "f" or self.value_type.itemsize > 8:
            raise ValueError(
                f"value_type must be float16, float32 or float64, got {self.value_type}."
            )
        if len(self.shape) < 2 or min(self.shape) < 1:
            raise ValueError(
                "A window must have a channel axis and a time axis of at least one sample, got "
                f"shape {self.shape}."
            )
        if sampling_rate is not None:
            if not (isinstance(sampling_rate, Real) and 0 < sampling_rate < np.inf):
                raise ValueError(
                    f"sampling_rate must be a positive number (hertz), got {sampling_rate!r}."
                )
            self.sampling_rate = float(sampling_rate)
        if self.channels is not None and len(self.channels) != self.shape[-2]:
            raise ValueError(
                f"Got {len(self.channels)} channel names {list(self.channels)} for windows of "
                f"shape {self.shape}, which have {self.shape[-2]} channels."
            )

    def __repr__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        rate = "no rate" if self.sampling_rate is None else f"{self.sampling_rate!r} Hz"
        channels = json.dumps(self.channels, ensure_ascii=False)
        size = "x".join(str(n) for n in self.shape)
        return f"signal[{self.value_type}, {size}, {rate}, {channels}]"

    @property
    def may_be_padded(self) -> bool:
        """Whether zeros at the end of a window may be padding.

        A series without a sampling rate, such as RR intervals, may be padded. In a signal that
        was sampled in time, and in a single number per channel, a zero is a value.
        """
        return self.sampling_rate is None and self.shape[-1] > 1

    def with_value_type(self, value_type: DTypeLike) -> Self:
        """Return the same type of window with another type of samples.

        Parameters
        ----------
        value_type : str or numpy.dtype

        Returns
        -------
        SignalDtype
        """
        return type(self)(value_type, self.shape, self.sampling_rate, self.channels)

    def __ne__(self, other: object) -> bool:
        # pandas 2 allows a function to return a window for each group, as in
        # `groupby(...).agg(lambda column: np.asarray(column).mean(axis=0))`, only if
        # `dtype != object` is False. Its object arrays have NumPy dtypes, not this class.
        return other is not object and super().__ne__(other)

    @classmethod
    def construct_from_string(cls, string: str) -> Self:
        if not isinstance(string, str):
            raise TypeError(f"'construct_from_string' expects a string, got {type(string)}")
        match = _NAME.fullmatch(string)
        if match is None:
            raise TypeError(f"Cannot construct a 'SignalDtype' from '{string}'")
        value_type, size, rate, channels = match.groups()
        shape = tuple(int(n) for n in size.split("x"))
        sampling_rate = None if rate is None else float(rate)
        return cls(value_type, shape, sampling_rate, json.loads(channels))

    @classmethod
    def construct_array_type(cls) -> Any:  # a class, but here `type` is the attribute above
        return SignalArray

    def _get_common_dtype(self, dtypes):
        signals = [dtype for dtype in dtypes if isinstance(dtype, SignalDtype)]
        different = [dtype for dtype in signals if dtype != self]
        if different:
            return _DifferentSignals(self, different[0])
        return self if len(signals) == len(dtypes) else None

    def __from_arrow__(self, array):
        chunks = array.chunks if hasattr(array, "chunks") else [array]
        parts = [read_arrow(chunk, self) for chunk in chunks]
        values = np.concatenate([np.empty((0, *self.shape), self.value_type), *parts])
        return SignalArray(values, sampling_rate=self.sampling_rate, channels=self.channels)


class _DifferentSignals(ExtensionDtype):
    """Common type of two different signal columns, as pandas asks for one.

    A row across the columns, ``frame.iloc[0]``, becomes an object Series. To concatenate them,
    pandas asks `SignalArray.astype` for this type, which is an error.
    """

    name = "different signals"
    type = object

    def __init__(self, one, other):
        self.one, self.other = one, other

    @classmethod
    def construct_array_type(cls):
        return cls

    @staticmethod
    def _from_sequence(scalars, *, dtype=None, copy=False):
        return np.asarray(scalars, object)


class Window(np.ndarray):
    """One window: an array that pandas can hash, as it does to group and sort.

    Slices of a window and results computed from it are plain arrays.
    """

    def __hash__(self):
        return hash((np.asarray(self, float) + 0.0).tobytes())  # + 0.0 turns -0.0 into 0.0

    def __eq__(self, other):
        equal = np.asarray(self) == np.asarray(other)
        return _with_truth(equal, np.all(equal))

    def __ne__(self, other):
        different = np.asarray(self) != np.asarray(other)
        return _with_truth(different, np.any(different))

    def __lt__(self, other):
        one, other = np.asarray(self), np.asarray(other)
        if one.shape != other.shape:
            return one < other
        decisive = np.argmax(one != other)  # the first sample that differs
        return _with_truth(one < other, one.flat[decisive] < other.flat[decisive])

    def __getitem__(self, item):
        return np.asarray(self)[item]

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return np.asarray(array)[()] if return_scalar else np.asarray(array)

    def __repr__(self):
        return repr(np.asarray(self))

    def __str__(self):
        # This text ends up in CSV files, where NumPy's would leave out most of a long window.
        return (
            f"<window {_describe_window(self)}: to_parquet writes signal columns, and "
            "np.asarray(window) gives its numbers>"
        )


class _Comparison(np.ndarray):
    """Two windows compared sample by sample, with the result for whole windows in `truth`."""

    truth = None  # in slices and computed arrays, which have the truth value of any array

    def __bool__(self):
        return super().__bool__() if self.truth is None else self.truth


def _with_truth(compared, truth):
    compared = np.asarray(compared).view(_Comparison)
    compared.truth = bool(truth)
    return compared


class SignalArray(ExtensionArray):
    """Windows of one signal in one contiguous NumPy array; each element is a window.

    A window has two or more dimensions. A window that is entirely NaN is missing;
    ``None``, ``NaN`` and ``pandas.NA`` are stored as such a window. Signal columns do not
    support arithmetic: compute on `values`. Columns of different types cannot be
    concatenated. Windows can be compared for equality (``isin``, ``duplicated``, ``unique``,
    ``groupby``), and are sorted by the first sample in which they differ.

    ``np.asarray(frame["ecg"])`` returns the block of numbers. ``frame.to_numpy()`` and
    ``frame["ecg"].to_numpy()`` have one cell per window; with a dtype, as in
    ``frame["ecg"].to_numpy("float32")``, you get the block. Parquet files keep signal columns
    and their type (``frame.to_parquet``); CSV files cannot.

    pandas treats an array as a sequence of values, so ``frame.loc[row, "ecg"] = window``
    fails; ``frame["ecg"].array[i] = window`` and ``frame.loc[rows, "ecg"] = np.nan`` work.

    Parameters
    ----------
    values : array-like of shape (n_windows, n_times) or (n_windows, ..., n_channels, n_times)
        The windows. A two-dimensional array is read as one channel. Floating-point arrays
        are not copied; integers are converted to float32, or to float64 if float32 cannot
        hold them. Samples under the mask of a masked array are NaN.
    sampling_rate : float or None, default=None
        Samples per second along the last axis, in hertz.
    channels : sequence of str or None, default=None
        Channel names.
    copy : bool, default=False
        Whether to copy `values`.

    Attributes
    ----------
    values : ndarray of shape (n_windows, ..., n_channels, n_times)
        The windows themselves, not a copy.
    dtype : SignalDtype
        Value type, shape, sampling rate and channels of a window.

    Raises
    ------
    ValueError
        If the values are not real numbers or have no time axis, the sampling rate is not
        positive, or the number of names differs from the number of channels.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import SignalArray
    >>> windows = SignalArray(np.zeros((3, 1, 640), "float32"), sampling_rate=64)
    >>> windows.values.shape
    (3, 1, 640)
    """

    __array_ufunc__ = None  # arithmetic is an error, instead of giving object cells

    def __init__(
        self,
        values: ArrayLike,
        *,
        sampling_rate: float | None = None,
        channels: Iterable[str] | None = None,
        copy: bool = False,
    ) -> None:
        samples = fill_mask(values)
        samples = samples.copy() if copy else samples
        if samples.dtype.kind not in "iuf":
            raise ValueError(f"Signal values must be real numbers, got dtype {samples.dtype}.")
        with np.errstate(over="ignore"):  # checked by estimators, as infinity is
            samples = samples.astype(float_type(samples.dtype), copy=False)
        if samples.ndim == 2:
            samples = samples[:, np.newaxis]
        if samples.ndim < 3:
            raise ValueError(
                "Signal values must have shape (n_windows, n_times) or "
                f"(n_windows, ..., n_channels, n_times), got {samples.shape}."
            )
        self._samples = samples
        self._dtype = SignalDtype(samples.dtype, samples.shape[1:], sampling_rate, channels)

    @property
    def values(self) -> NDArray[np.floating]:
        return self._samples

    @property
    def dtype(self) -> SignalDtype:
        return self._dtype

    @property
    def nbytes(self) -> int:
        return self._samples.nbytes

    def blocks(self, n_values: int = 1 << 22) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        """Yield all windows in order, some at a time.

        Parameters
        ----------
        n_values : int, default=2**22
            Approximate number of samples per block; a block has at least one window.

        Yields
        ------
        rows : slice
            The positions of the windows.
        values : ndarray of shape (n_rows, ..., n_channels, n_times)
        """
        n_rows = max(1, n_values // math.prod(self.dtype.shape))
        if 0 < len(self) <= n_rows:  # the usual case when a model is used live
            yield slice(0, len(self)), self.values
            return
        for start in range(0, len(self), n_rows):
            rows = slice(start, min(start + n_rows, len(self)))
            yield rows, self[rows].values

    def __sizeof__(self) -> int:  # by which Dask decides what to send once, and what to spill
        return super().__sizeof__() + self.nbytes

    def __len__(self) -> int:
        return len(self._samples)

    def _like(self, values):
        """Return an array of the same type with other `values`."""
        new = object.__new__(SignalArray)
        new._samples = values
        new._dtype = self._dtype
        return new

    def relabelled(
        self, sampling_rate: float | None, channels: Iterable[str] | None
    ) -> "SignalArray":
        """Return the same windows with another sampling rate and other channel names.

        Parameters
        ----------
        sampling_rate : float or None
            In hertz.
        channels : sequence of str or None
            One name for each channel.

        Returns
        -------
        SignalArray
            The samples are not copied.
        """
        new = self[:]
        new._dtype = SignalDtype(self.dtype.value_type, self.dtype.shape, sampling_rate, channels)
        return new

    @classmethod
    def _from_sequence(cls, scalars, *, dtype=None, copy=False):
        dtype = None if dtype is None else pandas_dtype(dtype)
        if isinstance(scalars, pd.Series | pd.Index):
            scalars = scalars.array
        if isinstance(scalars, SignalArray):
            return scalars.astype(dtype or scalars.dtype, copy=copy)
        windows = list(scalars)
        missing = [_is_missing(window) for window in windows]
        if dtype is None:
            if all(missing):
                raise ValueError("Missing values alone do not tell the shape of a window.")
            dtype = cls(np.asarray(windows[missing.index(False)])[np.newaxis]).dtype
        values = np.full((len(windows), *dtype.shape), np.nan, dtype.value_type)
        for i, window in enumerate(windows):
            if not missing[i]:
                values[i] = _checked(window, dtype.shape)
        return cls(values, sampling_rate=dtype.sampling_rate, channels=dtype.channels)

    @classmethod
    def _concat_same_type(cls, to_concat):
        first = to_concat[0]
        for array in to_concat:
            if array.dtype != first.dtype:
                raise different_types(first.dtype, array.dtype)
        return first._like(np.concatenate([array.values for array in to_concat]))

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        dtype = pandas_dtype(dtype)
        if isinstance(dtype, _DifferentSignals):
            raise different_types(dtype.one, dtype.other)
        if not isinstance(dtype, SignalDtype):
            if getattr(dtype, "kind", "O") not in "OUST":
                raise TypeError(
                    f"A signal column cannot be converted to a column of {dtype}: each row holds "
                    f"numbers of shape {self.dtype.shape}. np.asarray(column, dtype) returns all "
                    "of them as one block."
                )
            windows = self.to_numpy()
            if dtype.kind == "O" and not isinstance(dtype, ExtensionDtype):
                return windows
            texts = np.array([str(window) for window in windows], object)
            return pd.array(texts, dtype=dtype) if isinstance(dtype, ExtensionDtype) else texts
        if dtype == self.dtype:
            return self.copy() if copy else self
        values = self.values.astype(dtype.value_type)
        changed = SignalArray(
            values, sampling_rate=self.dtype.sampling_rate, channels=self.dtype.channels
        )
        if changed.dtype != dtype:
            raise ValueError(
                f"A signal column of type {self.dtype} cannot be converted to {dtype}: astype "
                "changes only the value type."
            )
        return changed

    def __getitem__(self, item: Any) -> Any:
        values = self._samples[self._indexer(item)]
        return self._like(values) if values.ndim == self._samples.ndim else values.view(Window)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._samples[self._indexer(key)] = self._to_samples(value)

    def _indexer(self, key):
        if isinstance(key, tuple):  # in one dimension, an ellipsis adds nothing
            key = tuple(part for part in key if part is not Ellipsis)
            key = key[0] if len(key) == 1 else key
        return slice(None) if key is Ellipsis else check_array_indexer(self, key)

    def _to_samples(self, value):
        """Return the samples of a window, a sequence of windows, or a missing value."""
        if _is_missing(value):
            return np.nan
        if isinstance(value, np.ndarray) and value.dtype != object:
            return _checked(value, value.shape[: -len(self.dtype.shape)] + self.dtype.shape)
        if isinstance(value, SignalArray | pd.Series | pd.Index | list | tuple | np.ndarray):
            return self._from_sequence(value, dtype=self.dtype).values
        raise TypeError(f"Cannot put {type(value).__name__} into a signal column.")

    def copy(self) -> "SignalArray":
        return self._like(self.values.copy())

    def take(
        self, indices: ArrayLike, *, allow_fill: bool = False, fill_value: Any = None
    ) -> "SignalArray":
        rows = np.asarray(indices, dtype=np.intp)
        if len(self) == 0 and ((rows >= 0).any() or (len(rows) and not allow_fill)):
            raise IndexError("cannot do a non-empty take from an empty axes.")
        if allow_fill and (rows < -1).any():
            raise ValueError("indices must be -1 (missing) or at least 0 when allow_fill is True.")
        if len(self):
            values = self.values[rows]  # -1 takes the last window, replaced below
        else:
            values = np.empty((len(rows), *self.dtype.shape), self.dtype.value_type)
        if allow_fill:
            values[rows == -1] = self._to_samples(fill_value)
        return self._like(values)

    def shift(self, periods: int = 1, fill_value: Any = None) -> "SignalArray":
        rows = np.arange(len(self)) - periods
        rows[(rows < 0) | (rows >= len(self))] = -1
        return self.take(rows, allow_fill=True, fill_value=fill_value)

    def isna(self) -> NDArray[np.bool_]:
        missing = [missing_windows(values) for _, values in self.blocks()]
        return np.concatenate([np.zeros(0, bool), *missing])

    def __eq__(self, other: object) -> Any:
        if isinstance(other, pd.Series | pd.Index | pd.DataFrame):
            return NotImplemented
        if isinstance(other, SignalArray) and other.dtype != self.dtype:
            return np.zeros(len(self), bool)
        try:
            samples = self._to_samples(other)
        except (TypeError, ValueError):
            return np.zeros(len(self), bool)
        if np.ndim(samples) > len(self.dtype.shape) and len(samples) != len(self):
            raise ValueError(f"Lengths must match: {len(self)} and {len(samples)} windows.")
        return (self.values == samples).reshape(len(self), -1).all(axis=1)

    def __ne__(self, other: object) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else ~equal

    def equals(self, other: object) -> bool:
        return (
            isinstance(other, SignalArray)
            and self.dtype == other.dtype
            and np.array_equal(self.values, other.values, equal_nan=True)
        )

    # Windows are compared and sorted by their bytes.

    def _values_for_argsort(self):
        """Return byte strings that sort like the samples, the first sample first."""
        size = self.dtype.value_type.itemsize
        samples = np.ascontiguousarray(self.values) + 0.0  # copies, and turns -0.0 into 0.0
        samples[np.isnan(samples)] = np.nan  # the same bytes for every NaN
        bits = samples.view(f"i{size}")
        bits ^= (bits >> (8 * size - 1)) & np.iinfo(bits.dtype).max  # larger for larger floats
        bits ^= np.iinfo(bits.dtype).min  # the same order read as unsigned
        keys = bits.astype(f">i{size}").reshape(len(self), int(np.prod(self.dtype.shape)))
        return keys.view(f"S{keys.shape[1] * size}")[:, 0]

    def _values_for_factorize(self):
        keys = self._values_for_argsort().astype(object)
        keys[self.isna()] = None
        return keys, None

    def factorize(self, use_na_sentinel: bool = True) -> tuple[NDArray[np.intp], "SignalArray"]:
        codes, _ = pd.factorize(self._values_for_factorize()[0], use_na_sentinel=use_na_sentinel)
        found, first = np.unique(codes, return_index=True)
        return codes, self.take(first[found >= 0])

    def unique(self) -> "SignalArray":
        return self.factorize(use_na_sentinel=False)[1]

    def duplicated(self, keep: Literal["first", "last", False] = "first") -> NDArray[np.bool_]:
        return pd.Series(self.factorize()[0]).duplicated(keep).to_numpy()

    def isin(self, values: Iterable[Any]) -> NDArray[np.bool_]:
        """Return whether each window is in `values`. A missing window is if any is missing."""
        if isinstance(values, SignalArray):
            wanted = values
        else:
            shape = self.dtype.shape
            fitting = [w for w in values if _is_missing(w) or np.shape(w) == shape]
            wanted = self._from_sequence(fitting, dtype=self.dtype)
        if wanted.dtype != self.dtype:
            return np.zeros(len(self), bool)
        missing = wanted.isna()
        keys = set(wanted[~missing]._values_for_argsort())
        found = np.array([key in keys for key in self._values_for_argsort()], bool)
        found[self.isna()] = missing.any()
        return found

    def value_counts(self, dropna: bool = True) -> pd.Series:
        codes, uniques = self.factorize(use_na_sentinel=dropna)
        counts = np.bincount(codes[codes >= 0], minlength=len(uniques))
        return pd.Series(counts, index=pd.Index(uniques), name="count")

    def searchsorted(
        self, value: Any, side: Literal["left", "right"] = "left", sorter: ArrayLike | None = None
    ) -> Any:
        one = isinstance(value, np.ndarray) and value.shape == self.dtype.shape
        keys = self._from_sequence([value] if one else value, dtype=self.dtype)
        keys = keys._values_for_argsort()
        found = self._values_for_argsort().searchsorted(keys, side=side, sorter=sorter)
        return found[0] if one else found

    def _groupby_op(self, *, how, has_dropped_na, min_count, ngroups, ids, **kwargs):
        """Return the first or last window of each group; called by pandas' ``groupby``."""
        if how not in ("first", "last"):
            raise TypeError(
                f"A signal column does not support {how} operations by group. Select other "
                "columns, or compute on the block of numbers of each group, as in "
                "groupby(...)[column].agg(lambda c: np.asarray(c).mean(axis=0))."
            )
        counted = ids >= 0
        if kwargs.get("skipna", True):
            counted &= ~self.isna()
        rows = np.flatnonzero(counted)
        if how == "first":
            rows = rows[::-1]
        chosen = np.full(ngroups, -1)
        chosen[ids[rows]] = rows  # the last assignment to a group wins
        chosen[np.bincount(ids[rows], minlength=ngroups) < min_count] = -1
        return self.take(chosen, allow_fill=True)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if dtype is None or np.dtype(dtype) != object:
            return np.array(self.values, dtype, copy=copy)
        if copy is False:
            raise ValueError(
                "An array of objects is always a copy. Without a dtype, the block of numbers is "
                "returned without copying."
            )
        windows = np.empty(len(self), object)
        windows[:] = list(self)
        return windows

    def to_numpy(
        self,
        dtype: DTypeLike | None = None,
        copy: bool = False,
        na_value: Any = pd.api.extensions.no_default,
    ) -> NDArray[Any]:
        """Return one cell per window, as frames need it; with a dtype, the block of numbers."""
        return super().to_numpy(object if dtype is None else dtype, copy=copy, na_value=na_value)

    def _values_for_json(self):
        cells = np.empty(len(self), object)
        cells[:] = [window.tolist() for window in self]
        return cells

    def __arrow_array__(self, type=None):
        import pyarrow

        # In memory order, without a permutation, which other readers cannot handle.
        element = pyarrow.from_numpy_dtype(self.dtype.value_type)
        tensor = pyarrow.fixed_shape_tensor(element, self.dtype.shape)
        samples = pyarrow.array(np.ascontiguousarray(self.values).ravel())
        storage = pyarrow.FixedSizeListArray.from_arrays(samples, type=tensor.storage_type)
        return pyarrow.ExtensionArray.from_storage(tensor, storage)

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str]:
        rate = self.dtype.sampling_rate
        return lambda window: _describe_window(window, rate)

    def _repr_html_(self):
        title = to_html(f"{len(self)} windows, {self.dtype}")
        return f"<p>{title}</p>" + pd.Series(self, name="window").to_frame().to_html(max_rows=6)


def missing_windows(samples: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which windows, (n_windows, ..., n_channels, n_times), are NaN throughout."""
    first_sample: tuple[Any, ...] = (slice(None), *[0] * (samples.ndim - 1))
    missing = np.isnan(samples[first_sample])
    for i in np.flatnonzero(missing):
        missing[i] = np.isnan(samples[i]).all()
    return missing


def _is_missing(window):
    if window is np.ma.masked:
        return True
    return pd.api.types.is_scalar(window) and pd.isna(window)


def _checked(window, shape):
    window = fill_mask(window)
    if window.dtype == object and window.shape == shape:  # windows that pandas has stacked
        with contextlib.suppress(TypeError, ValueError):  # an error is raised below
            window = window.astype(float)
    if window.dtype.kind not in "iuf" or window.shape != shape:
        raise ValueError(
            f"Expected a window of real numbers of shape {shape}, got {window.dtype} of shape "
            f"{window.shape}."
        )
    return window


def read_arrow(chunk: Any, dtype: SignalDtype) -> NDArray[np.floating]:
    """Return the samples of an Arrow array; a null is a missing window."""
    import pyarrow

    values = np.full((len(chunk), *dtype.shape), np.nan, dtype.value_type)
    present = chunk.is_valid().to_numpy(zero_copy_only=False)
    if not present.any():
        return values
    if isinstance(chunk, pyarrow.ExtensionArray):
        storage = chunk.storage.drop_null()
        windows = pyarrow.ExtensionArray.from_storage(chunk.type, storage).to_numpy_ndarray()
    else:  # written or read by a program that does not know tensors: their plain storage
        windows = chunk.drop_null().flatten().to_numpy(zero_copy_only=False)
    values[present] = windows.reshape(-1, *dtype.shape)
    return values


def different_types(one: SignalDtype, other: SignalDtype) -> ValueError:
    """Return the error of signal columns that cannot be put into one."""
    return ValueError(
        f"Cannot concatenate signal columns of different types: {one} and {other}. First resample "
        "or cut one of them, or rename its channels."
    )


def _describe_window(window, sampling_rate=None):
    window = np.asarray(window)
    size = "x".join(str(n) for n in window.shape)
    if sampling_rate is not None:
        size += f", {sampling_rate:g} Hz,"
    if np.isnan(window).all():
        return f"{size} missing"
    return f"{size} in [{np.nanmin(window):.3g}, {np.nanmax(window):.3g}]"


def signal_frame(index: ArrayLike | pd.Index | None = None, **columns: Any) -> pd.DataFrame:
    """Make a table of windows, with one row per window and one signal column per modality.

    Signals are not copied: the table shares memory with the arrays it was made from.

    Parameters
    ----------
    index : array-like, default=None
        Row labels.
    **columns : SignalArray, array-like of length n_windows, or one value for all rows
        Signal columns and ordinary columns, in order.

    Returns
    -------
    pandas.DataFrame of n_windows rows

    Raises
    ------
    ValueError
        If a column is a signal that was not wrapped in a `SignalArray`, or columns differ in
        length or index.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import SignalArray, signal_frame
    >>> ecg = SignalArray(np.zeros((2, 1, 640), "float32"), sampling_rate=64)
    >>> signal_frame(ecg=ecg, subject=["a", "b"]).columns.tolist()
    ['ecg', 'subject']
    """
    lengths = {}
    for name, values in columns.items():
        if np.ndim(values) > 1:
            raise ValueError(
                f"Column {name!r} has shape {np.shape(values)}. Wrap a signal in "
                "SignalArray(values, sampling_rate=..., channels=...)."
            )
        if pd.api.types.is_list_like(values):
            lengths[name] = len(values)
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The columns differ in their numbers of rows: {lengths}.")
    frame = pd.DataFrame(columns, index=index, copy=False)
    if lengths and len(frame) != max(lengths.values()):
        raise ValueError(
            f"The columns have {max(lengths.values())} rows, but the table has {len(frame)}, "
            "because the indexes of the columns differ. Pass series.array instead of a Series."
        )
    return frame
