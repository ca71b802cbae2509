"""Signal columns: a pandas extension array that keeps windows of a signal in one block."""

import contextlib
import html
import json
import re
from numbers import Real

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray, ExtensionDtype, register_extension_dtype
from pandas.api.indexers import check_array_indexer
from pandas.api.types import pandas_dtype

from skemo._samples import fill_mask

_NAME = re.compile(r"signal\[(\w+), ([\dx]+), (?:(\S+) Hz|no rate), (.+)\]")


@register_extension_dtype
class SignalDtype(ExtensionDtype):
    """Type of a signal column: what one window holds, and how fast it was sampled.

    Parameters
    ----------
    value_type : str or numpy.dtype, default="float32"
        Floating type of the samples.
    shape : tuple of int, default=(1, 1)
        Shape of one window. The second axis from the end is the channels, the last
        is time: ``(n_channels, n_times)`` for a raw window,
        ``(n_bands, n_channels, n_sub_windows)`` for a differential-entropy map.
    sampling_rate : float or None, default=None
        Samples a second along the last axis, in hertz; None where it has no rate.
    channels : sequence of str or None, default=None
        Channel names, one for each position of the second axis from the end.

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

    def __init__(self, value_type="float32", shape=(1, 1), sampling_rate=None, channels=None):
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
                "A window has a channel and a time axis of at least one sample, got shape "
                f"{self.shape}."
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

    def __repr__(self):
        return self.name

    @property
    def name(self):
        rate = "no rate" if self.sampling_rate is None else f"{self.sampling_rate!r} Hz"
        channels = json.dumps(self.channels, ensure_ascii=False)
        size = "x".join(str(n) for n in self.shape)
        return f"signal[{self.value_type}, {size}, {rate}, {channels}]"

    def __ne__(self, other):
        # pandas 2 lets a function return a window for a group, as in
        # `groupby(...).agg(lambda column: np.asarray(column).mean(axis=0))`, only where
        # `dtype != object` is False. Its object arrays have dtypes of NumPy, not this class.
        return other is not object and super().__ne__(other)

    @classmethod
    def construct_from_string(cls, string):
        if not isinstance(string, str):
            raise TypeError(f"'construct_from_string' expects a string, got {type(string)}")
        match = _NAME.fullmatch(string)
        if match is None:
            raise TypeError(f"Cannot construct a 'SignalDtype' from '{string}'")
        value_type, size, rate, channels = match.groups()
        shape = tuple(int(n) for n in size.split("x"))
        return cls(value_type, shape, rate and float(rate), json.loads(channels))

    @classmethod
    def construct_array_type(cls):
        return SignalArray

    def _get_common_dtype(self, dtypes):
        signals = [dtype for dtype in dtypes if isinstance(dtype, SignalDtype)]
        unlike = [dtype for dtype in signals if dtype != self]
        if unlike:
            return _UnlikeSignals(self, unlike[0])
        return self if len(signals) == len(dtypes) else None

    def __from_arrow__(self, array):
        chunks = array.chunks if hasattr(array, "chunks") else [array]
        parts = [_read_arrow(chunk, self) for chunk in chunks]
        values = np.concatenate([np.empty((0, *self.shape), self.value_type), *parts])
        return SignalArray(values, sampling_rate=self.sampling_rate, channels=self.channels)


class _UnlikeSignals(ExtensionDtype):
    """What two unlike signal columns have in common, as far as pandas needs to know.

    A row across them, ``frame.iloc[0]``, becomes an object Series. Putting one below the
    other makes pandas ask `SignalArray.astype` for this type, which refuses.
    """

    name = "unlike signals"
    type = object

    def __init__(self, one, other):
        self.one, self.other = one, other

    @classmethod
    def construct_array_type(cls):
        return cls

    @staticmethod
    def _from_sequence(scalars, *, dtype=None, copy=False):
        return np.asarray(scalars, object)


class _Window(np.ndarray):
    """One window: an array that can be hashed, as pandas does with what it groups and sorts.

    What is computed from a window, or cut out of it, is a plain array.
    """

    def __hash__(self):
        return hash((np.asarray(self, float) + 0.0).tobytes())  # + 0.0: no -0.0

    def __eq__(self, other):
        equal = np.asarray(self) == np.asarray(other)
        return _with_truth(equal, np.all(equal))

    def __ne__(self, other):
        unequal = np.asarray(self) != np.asarray(other)
        return _with_truth(unequal, np.any(unequal))

    def __lt__(self, other):
        one, other = np.asarray(self), np.asarray(other)
        if one.shape != other.shape:
            return one < other
        unlike = np.argmax(one != other)  # the first sample that differs, which decides
        return _with_truth(one < other, one.flat[unlike] < other.flat[unlike])

    def __getitem__(self, item):
        return np.asarray(self)[item]

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return np.asarray(array)[()] if return_scalar else np.asarray(array)

    def __repr__(self):
        return repr(np.asarray(self))

    def __str__(self):
        # CSV writers ask for this text, and NumPy's leaves out most of a long window.
        return (
            f"<window {_describe_window(self)}: to_parquet writes signal columns, and "
            "np.asarray(window) gives its numbers>"
        )


class _Comparison(np.ndarray):
    """Samples of two windows compared one by one, and in `truth` the windows as a whole."""

    truth = None  # of what is cut out or computed: as for any array

    def __bool__(self):
        return super().__bool__() if self.truth is None else self.truth


def _with_truth(compared, truth):
    compared = np.asarray(compared).view(_Comparison)
    compared.truth = bool(truth)
    return compared


class SignalArray(ExtensionArray):
    """Windows of one signal, one window an element, in one contiguous NumPy array.

    A window may have any rank of at least two. A window that is NaN throughout is
    missing; ``None``, ``NaN`` and ``pandas.NA`` become such a window. There is no
    arithmetic on signal columns: compute on `values`. Columns of unlike type are not
    concatenated. Identical windows are found (``isin``, ``duplicated``, ``unique``,
    ``groupby``), and windows are ordered by their first unlike sample.

    ``np.asarray(frame["ecg"])`` is the block of numbers. ``frame.to_numpy()``, and with it
    ``frame["ecg"].to_numpy()``, has one cell a window; with a dtype, as in
    ``frame["ecg"].to_numpy("float32")``, it is the block. Parquet keeps signal columns with
    their type (``frame.to_parquet``); a CSV file cannot hold them.

    pandas takes an array for a sequence of values, so ``frame.loc[row, "ecg"] = window``
    fails; ``frame["ecg"].array[i] = window`` and ``frame.loc[rows, "ecg"] = np.nan`` work.

    Parameters
    ----------
    values : array-like of shape (n_windows, n_times) or (n_windows, ..., n_channels, n_times)
        The windows; two dimensions are read as one channel. Floating arrays are not
        copied; integers become float32, or float64 where that is needed to hold them. Where a
        masked array is masked, the samples are NaN.
    sampling_rate : float or None, default=None
        Samples a second along the last axis, in hertz.
    channels : sequence of str or None, default=None
        Channel names.
    copy : bool, default=False
        Copy `values`.

    Attributes
    ----------
    values : ndarray of shape (n_windows, ..., n_channels, n_times)
        The windows themselves, not a copy.
    dtype : SignalDtype
        What one window holds: value type, shape, sampling rate and channels.

    Raises
    ------
    ValueError
        Values that are not real numbers or have no time axis, a sampling rate that is
        not positive, a number of names that is not that of the channels.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import SignalArray
    >>> windows = SignalArray(np.zeros((3, 1, 640), "float32"), sampling_rate=64)
    >>> windows.values.shape
    (3, 1, 640)
    """

    __array_ufunc__ = None  # no arithmetic on windows: an error, and no object cells

    def __init__(self, values, *, sampling_rate=None, channels=None, copy=False):
        values = fill_mask(values)
        values = values.copy() if copy else values
        if values.dtype.kind not in "iuf":
            raise ValueError(f"Signal values must be real numbers, got dtype {values.dtype}.")
        values = values.astype(float_type(values.dtype), copy=False)
        if values.ndim == 2:
            values = values[:, np.newaxis]
        if values.ndim < 3:
            raise ValueError(
                "Signal values must have shape (n_windows, n_times) or "
                f"(n_windows, ..., n_channels, n_times), got {values.shape}."
            )
        self._samples = values
        self._dtype = SignalDtype(values.dtype, values.shape[1:], sampling_rate, channels)

    @property
    def values(self):
        return self._samples

    @property
    def dtype(self):
        return self._dtype

    @property
    def nbytes(self):
        return self._samples.nbytes

    def __len__(self):
        return len(self._samples)

    def _like(self, values):
        """An array of the same type over `values`."""
        new = object.__new__(type(self))
        new._samples = values
        new._dtype = self._dtype
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
                raise ValueError("The shape of a window cannot be told from missing values.")
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
                raise _unlike(first.dtype, array.dtype)
        return first._like(np.concatenate([array._samples for array in to_concat]))

    def astype(self, dtype, copy=True):
        dtype = pandas_dtype(dtype)
        if isinstance(dtype, _UnlikeSignals):
            raise _unlike(dtype.one, dtype.other)
        if not isinstance(dtype, SignalDtype):
            if getattr(dtype, "kind", "O") not in "OUST":
                raise TypeError(
                    f"A signal column cannot become a column of {dtype}: each row has "
                    f"{self.dtype.shape} numbers. np.asarray(column, dtype) is the block of them."
                )
            windows = self.to_numpy()
            if dtype.kind == "O" and not isinstance(dtype, ExtensionDtype):
                return windows
            texts = np.array([str(window) for window in windows], object)
            return pd.array(texts, dtype=dtype) if isinstance(dtype, ExtensionDtype) else texts
        if dtype == self.dtype:
            return self.copy() if copy else self
        values = self._samples.astype(dtype.value_type)
        changed = SignalArray(
            values, sampling_rate=self.dtype.sampling_rate, channels=self.dtype.channels
        )
        if changed.dtype != dtype:
            raise ValueError(
                f"A signal column of type {self.dtype} cannot become {dtype}: astype changes "
                "the value type only."
            )
        return changed

    def __getitem__(self, item):
        values = self._samples[self._indexer(item)]
        return self._like(values) if values.ndim == self._samples.ndim else values.view(_Window)

    def __setitem__(self, key, value):
        self._samples[self._indexer(key)] = self._to_samples(value)

    def _indexer(self, key):
        if isinstance(key, tuple):  # of one dimension: an ellipsis adds nothing
            key = tuple(part for part in key if part is not Ellipsis)
            key = key[0] if len(key) == 1 else key
        return slice(None) if key is Ellipsis else check_array_indexer(self, key)

    def _to_samples(self, value):
        """Samples of `value`: a window, a sequence of windows, or a missing value."""
        if _is_missing(value):
            return np.nan
        if isinstance(value, np.ndarray) and value.dtype != object:
            return _checked(value, value.shape[: -self._samples.ndim + 1] + self.dtype.shape)
        if isinstance(value, SignalArray | pd.Series | pd.Index | list | tuple | np.ndarray):
            return self._from_sequence(value, dtype=self.dtype)._samples
        raise TypeError(f"Cannot put {type(value).__name__} into a signal column.")

    def copy(self):
        return self._like(self._samples.copy())

    def take(self, indices, *, allow_fill=False, fill_value=None):
        indices = np.asarray(indices, dtype=np.intp)
        if len(self) == 0 and ((indices >= 0).any() or (len(indices) and not allow_fill)):
            raise IndexError("cannot do a non-empty take from an empty axes.")
        if allow_fill and (indices < -1).any():
            raise ValueError("indices must be -1 (missing) or at least 0 when allow_fill is True.")
        if len(self):
            values = self._samples[indices]  # -1 brings the last window, replaced below
        else:
            values = np.empty((len(indices), *self.dtype.shape), self.dtype.value_type)
        if allow_fill:
            values[indices == -1] = self._to_samples(fill_value)
        return self._like(values)

    def shift(self, periods=1, fill_value=None):
        rows = np.arange(len(self)) - periods
        rows[(rows < 0) | (rows >= len(self))] = -1
        return self.take(rows, allow_fill=True, fill_value=fill_value)

    def isna(self):
        first_samples = self._samples[(slice(None), *[0] * len(self.dtype.shape))]
        missing = np.isnan(first_samples)
        candidates = np.flatnonzero(missing)
        missing[candidates] = [np.isnan(self._samples[i]).all() for i in candidates]
        return missing

    def __eq__(self, other):
        if isinstance(other, pd.Series | pd.Index | pd.DataFrame):
            return NotImplemented
        if isinstance(other, SignalArray) and other.dtype != self.dtype:
            return np.zeros(len(self), bool)
        try:
            samples = self._to_samples(other)
        except (TypeError, ValueError):
            return np.zeros(len(self), bool)
        if np.ndim(samples) == self._samples.ndim and len(samples) != len(self):
            raise ValueError(f"Lengths must match: {len(self)} and {len(samples)} windows.")
        return (self._samples == samples).all(axis=tuple(range(1, self._samples.ndim)))

    def __ne__(self, other):
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else ~equal

    def equals(self, other):
        return (
            type(self) is type(other)
            and self.dtype == other.dtype
            and np.array_equal(self._samples, other._samples, equal_nan=True)
        )

    # Identical windows are found, and windows are put into an order, by their bytes.

    def _values_for_argsort(self):
        """Byte strings that compare as the samples do, the first sample first."""
        size = self.dtype.value_type.itemsize
        samples = np.ascontiguousarray(self._samples) + 0.0  # a copy, and no -0.0
        samples[np.isnan(samples)] = np.nan  # one NaN: there are many, with unlike bytes
        bits = samples.view(f"i{size}")
        bits ^= (bits >> (8 * size - 1)) & np.iinfo(bits.dtype).max  # larger for larger floats
        bits ^= np.iinfo(bits.dtype).min  # the same order read as unsigned
        keys = bits.astype(f">i{size}").reshape(len(self), int(np.prod(self.dtype.shape)))
        return keys.view(f"S{keys.shape[1] * size}")[:, 0]

    def _values_for_factorize(self):
        keys = self._values_for_argsort().astype(object)
        keys[self.isna()] = None
        return keys, None

    def factorize(self, use_na_sentinel=True):
        codes, _ = pd.factorize(self._values_for_factorize()[0], use_na_sentinel=use_na_sentinel)
        found, first = np.unique(codes, return_index=True)
        return codes, self.take(first[found >= 0])

    def unique(self):
        return self.factorize(use_na_sentinel=False)[1]

    def duplicated(self, keep="first"):
        return pd.Series(self.factorize()[0]).duplicated(keep).to_numpy()

    def isin(self, values):
        """Return whether each window is one of `values`, a missing one where one is missing."""
        if not isinstance(values, SignalArray):
            shape = self.dtype.shape
            fitting = [w for w in values if _is_missing(w) or np.shape(w) == shape]
            values = self._from_sequence(fitting, dtype=self.dtype)
        if values.dtype != self.dtype:
            return np.zeros(len(self), bool)
        missing = values.isna()
        wanted = set(values[~missing]._values_for_argsort())
        found = np.array([key in wanted for key in self._values_for_argsort()], bool)
        found[self.isna()] = missing.any()
        return found

    def value_counts(self, dropna=True):
        codes, uniques = self.factorize(use_na_sentinel=dropna)
        counts = np.bincount(codes[codes >= 0], minlength=len(uniques))
        return pd.Series(counts, index=pd.Index(uniques), name="count")

    def searchsorted(self, value, side="left", sorter=None):
        one = isinstance(value, np.ndarray) and value.shape == self.dtype.shape
        keys = self._from_sequence([value] if one else value, dtype=self.dtype)
        keys = keys._values_for_argsort()
        found = self._values_for_argsort().searchsorted(keys, side=side, sorter=sorter)
        return found[0] if one else found

    def _groupby_op(self, *, how, has_dropped_na, min_count, ngroups, ids, **kwargs):
        """Return the first or last window of each group: the hook of pandas' ``groupby``."""
        if how not in ("first", "last"):
            raise TypeError(
                f"A signal column does not support {how} operations by group. Select other "
                "columns, or compute on the block of each group, as "
                "groupby(...)[column].agg(lambda c: np.asarray(c).mean(axis=0))."
            )
        counted = ids >= 0
        if kwargs.get("skipna", True):
            counted &= ~self.isna()
        rows = np.flatnonzero(counted)
        if how == "first":
            rows = rows[::-1]
        chosen = np.full(ngroups, -1)
        chosen[ids[rows]] = rows  # of several rows of one group, the last in this order stays
        chosen[np.bincount(ids[rows], minlength=ngroups) < min_count] = -1
        return self.take(chosen, allow_fill=True)

    def __array__(self, dtype=None, copy=None):
        if dtype is None or np.dtype(dtype) != object:
            return np.array(self._samples, dtype, copy=copy)
        if copy is False:
            raise ValueError("Object cells are a copy: without a dtype the block is not copied.")
        windows = np.empty(len(self), object)
        windows[:] = list(self)
        return windows

    def to_numpy(self, dtype=None, copy=False, na_value=pd.api.extensions.no_default):
        """Return one cell a window, as frames need it; with a dtype, the block of numbers."""
        return super().to_numpy(object if dtype is None else dtype, copy=copy, na_value=na_value)

    def _values_for_json(self):
        cells = np.empty(len(self), object)
        cells[:] = [window.tolist() for window in self]
        return cells

    def __arrow_array__(self, type=None):
        import pyarrow

        # In the order of memory, without a permutation, which other readers fail on.
        element = pyarrow.from_numpy_dtype(self.dtype.value_type)
        tensor = pyarrow.fixed_shape_tensor(element, self.dtype.shape)
        samples = pyarrow.array(np.ascontiguousarray(self._samples).ravel())
        storage = pyarrow.FixedSizeListArray.from_arrays(samples, type=tensor.storage_type)
        return pyarrow.ExtensionArray.from_storage(tensor, storage)

    def _formatter(self, boxed=False):
        rate = self.dtype.sampling_rate
        return lambda window: _describe_window(window, rate)

    def _repr_html_(self):
        title = html.escape(f"{len(self)} windows, {self.dtype}")
        return f"<p>{title}</p>" + pd.Series(self, name="window").to_frame().to_html(max_rows=6)


def float_type(dtype):
    """The native floating type that holds numbers of `dtype`, at least float32 for integers."""
    if dtype.kind == "f":
        return dtype.newbyteorder("=")
    return np.result_type(dtype, np.float32)


def _is_missing(window):
    if window is np.ma.masked:
        return True
    return pd.api.types.is_scalar(window) and pd.isna(window)


def _checked(window, shape):
    window = fill_mask(window)
    if window.dtype == object and window.shape == shape:  # a row of windows, as pandas stacks it
        with contextlib.suppress(TypeError, ValueError):  # what is no number is refused below
            window = window.astype(float)
    if window.dtype.kind not in "iuf" or window.shape != shape:
        raise ValueError(
            f"Expected a window of real numbers of shape {shape}, got {window.dtype} of shape "
            f"{window.shape}."
        )
    return window


def _read_arrow(chunk, dtype):
    """Samples of an Arrow array; a null is a missing window."""
    import pyarrow

    values = np.full((len(chunk), *dtype.shape), np.nan, dtype.value_type)
    present = chunk.is_valid().to_numpy(zero_copy_only=False)
    if not present.any():
        return values
    if isinstance(chunk, pyarrow.ExtensionArray):
        storage = chunk.storage.drop_null()
        windows = pyarrow.ExtensionArray.from_storage(chunk.type, storage).to_numpy_ndarray()
    else:  # the tensor's storage: what wrote or read it does not know tensors
        windows = chunk.drop_null().flatten().to_numpy(zero_copy_only=False)
    values[present] = windows.reshape(-1, *dtype.shape)
    return values


def _unlike(one, other):
    return ValueError(
        f"Cannot join signal columns of unlike types: {one} and {other}. Resample, cut or rename "
        "the channels of one of them first."
    )


def _describe_window(window, sampling_rate=None):
    window = np.asarray(window)
    size = "x".join(str(n) for n in window.shape)
    if sampling_rate is not None:
        size += f", {sampling_rate:g} Hz,"
    if np.isnan(window).all():
        return f"{size} missing"
    return f"{size} in [{np.nanmin(window):.3g}, {np.nanmax(window):.3g}]"


def signal_frame(index=None, **columns):
    """Make a table of windows: a row a window, a signal column a modality.

    Signals are not copied: the table and the arrays that it was made of share memory.

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
        A column is an unwrapped signal, or columns differ in length or index.

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
                f"Column {name!r} has shape {np.shape(values)}: wrap a signal in "
                "SignalArray(values, sampling_rate=..., channels=...)."
            )
        if pd.api.types.is_list_like(values):
            lengths[name] = len(values)
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The columns have unlike numbers of rows: {lengths}.")
    frame = pd.DataFrame(columns, index=index, copy=False)
    if lengths and len(frame) != max(lengths.values()):
        raise ValueError(
            f"The {max(lengths.values())} rows of the columns became {len(frame)}, because their "
            "indexes differ. Pass the values, as series.array."
        )
    return frame
