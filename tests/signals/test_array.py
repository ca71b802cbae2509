"""Signal columns: one block of windows inside a table."""

import pickle
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.model_selection import KFold, train_test_split

from skemo import SignalArray, SignalDtype, signal_frame

ODD_NAMES = ['a"b', "µ, Hz] ü\n"]


def make_array(n_windows=6, n_times=5, value_type="float32", rate=4.0, channels=("F3", "F4")):
    values = np.arange(n_windows * 2 * n_times, dtype=value_type).reshape(n_windows, 2, n_times)
    return SignalArray(values, sampling_rate=rate, channels=channels)


def make_frame(n_windows=6, **settings):
    array = make_array(n_windows, **settings)
    return signal_frame(eeg=array, subject=[f"s{i % 3}" for i in range(n_windows)])


# Contents


def test_values_are_the_array_that_was_given():
    values = np.zeros((3, 2, 5), "float32")
    array = SignalArray(values, sampling_rate=4)
    frame = signal_frame(eeg=array, subject="s1")
    assert array.values is values
    assert np.shares_memory(frame["eeg"].array.values, values)


def test_values_are_copied_on_request():
    values = np.zeros((3, 2, 5), "float32")
    assert not np.shares_memory(SignalArray(values, copy=True).values, values)


def test_two_dimensions_are_one_channel():
    assert SignalArray(np.zeros((3, 5))).values.shape == (3, 1, 5)


def test_element_may_have_any_rank():
    array = SignalArray(np.zeros((3, 4, 2, 5)), channels=["F3", "F4"])
    assert array.dtype.shape == (4, 2, 5)
    assert array[0].shape == (4, 2, 5)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("int8", "float32"),
        ("int16", "float32"),
        ("int32", "float64"),
        ("float16", "float32"),
        ("float32", "float32"),
        (">f4", "float32"),
        ("float64", "float64"),
        ("longdouble", "float64"),
    ],
)
def test_numbers_become_floats_that_hold_them(given, kept):
    values = np.array([[[-3, 100]]], given)
    array = SignalArray(values)
    assert array.dtype.value_type == kept
    np.testing.assert_array_equal(array.values, values)


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        (np.zeros((3, 2, 5), complex), {}, "must be real numbers, got dtype complex128"),
        (np.full((3, 2, 5), "a"), {}, "must be real numbers, got dtype <U1"),
        (np.zeros((3, 2, 5), bool), {}, "must be real numbers, got dtype bool"),
        (np.zeros(5), {}, r"must have shape \(n_windows, n_times\) or .* got \(5,\)"),
        (np.zeros((3, 2, 0)), {}, r"at least one sample, got shape \(2, 0\)"),
        (np.zeros((3, 2, 5)), {"channels": ["F3"]}, r"1 channel names \['F3'\] .* 2 channels"),
        (np.zeros((3, 2, 5)), {"sampling_rate": 0}, "must be a positive number .*, got 0"),
        (np.zeros((3, 2, 5)), {"sampling_rate": -4.0}, "must be a positive number .*, got -4.0"),
        (np.zeros((3, 2, 5)), {"sampling_rate": np.nan}, "must be a positive number .*, got nan"),
        (np.zeros((3, 2, 5)), {"sampling_rate": np.inf}, "must be a positive number .*, got inf"),
        (np.zeros((3, 2, 5)), {"sampling_rate": "4"}, "must be a positive number .*, got '4'"),
    ],
)
def test_error_names_what_is_wrong_with_the_input(values, settings, message):
    with pytest.raises(ValueError, match=message):
        SignalArray(values, **settings)


def test_read_only_input_can_be_read_but_not_written():
    values = np.zeros((3, 2, 5))
    values.flags.writeable = False
    array = SignalArray(values)
    assert not array.isna().any()
    assert array[:2].copy().values.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        array[0] = np.nan


# Dtype


@pytest.mark.parametrize("rate", [None, 128.0, 0.1, 1e-5])
@pytest.mark.parametrize("channels", [None, ["F3", "F4"], ODD_NAMES])
def test_dtype_survives_its_name(rate, channels):
    dtype = SignalDtype("float64", (3, 2, 5), rate, channels)
    assert SignalDtype.construct_from_string(str(dtype)) == dtype
    assert pd.api.types.pandas_dtype(str(dtype)) == dtype


@pytest.mark.parametrize(
    "other",
    [
        SignalDtype("float64", (2, 5), 4, ["F3", "F4"]),
        SignalDtype("float32", (2, 6), 4, ["F3", "F4"]),
        SignalDtype("float32", (2, 5), 5, ["F3", "F4"]),
        SignalDtype("float32", (2, 5), 4, ["F3", "Fz"]),
        SignalDtype("float32", (2, 5), 4),
    ],
)
def test_dtypes_that_differ_in_anything_are_not_equal(other):
    dtype = SignalDtype("float32", (2, 5), 4, ["F3", "F4"])
    assert dtype != other
    assert dtype == SignalDtype("float32", (2, 5), 4.0, ("F3", "F4"))


def test_astype_changes_the_value_type():
    array = make_array()
    wanted = SignalDtype("float64", (2, 5), 4, ["F3", "F4"])
    assert array.astype(wanted).dtype == wanted
    np.testing.assert_array_equal(array.astype(wanted).values, array.values)


def test_astype_does_not_change_the_sampling_rate():
    with pytest.raises(ValueError, match=r"4.0 Hz.* cannot be converted to .*8.0 Hz.*value type"):
        make_array().astype(SignalDtype("float32", (2, 5), 8, ["F3", "F4"]))


# Rows in and out


def test_rows_keep_type_and_samples():
    frame = make_frame()
    values, dtype = frame["eeg"].array.values, frame["eeg"].dtype
    for rows in (slice(1, 4), [4, 0], np.array([True, False] * 3)):
        taken = frame["eeg"][rows] if isinstance(rows, slice) else frame.iloc[rows]["eeg"]
        assert taken.dtype == dtype
        np.testing.assert_array_equal(taken.array.values, values[rows])


def test_slices_share_memory():
    array = make_array()
    assert np.shares_memory(array[1:4].values, array.values)


def test_concatenation_keeps_type_and_samples():
    frame = make_frame()
    joined = pd.concat([frame, frame.iloc[:2]])
    assert joined["eeg"].dtype == frame["eeg"].dtype
    np.testing.assert_array_equal(
        joined["eeg"].array.values, frame["eeg"].array.values[[0, 1, 2, 3, 4, 5, 0, 1]]
    )


def test_column_of_only_one_table_is_missing_in_rows_of_the_other_after_concatenation():
    frame = make_frame(2)
    joined = pd.concat([frame, frame.drop(columns="eeg")])
    assert joined["eeg"].dtype == frame["eeg"].dtype
    assert joined["eeg"].isna().tolist() == [False, False, True, True]


def test_reindexing_adds_missing_windows():
    frame = make_frame(2).reindex([1, 7])
    assert frame["eeg"].isna().tolist() == [False, True]
    assert np.isnan(frame["eeg"].array.values[1]).all()


DIFFERENCES = {
    "rate": ({"rate": 8.0}, "4.0 Hz.* and .*8.0 Hz"),
    "no rate": ({"rate": None}, "4.0 Hz.* and .*no rate"),
    "channels": ({"channels": ("C3", "C4")}, r'\["F3", "F4"\].* and .*\["C3", "C4"\]'),
    "shape": ({"n_times": 7}, "2x5.* and .*2x7"),
    "value type": ({"value_type": "float64"}, "float32.* and .*float64"),
}


@pytest.mark.parametrize(("change", "message"), DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_different_columns_cannot_be_concatenated(change, message):
    one, other = make_frame(), make_frame(**change)
    with pytest.raises(ValueError, match=f"different types: .*{message}"):
        pd.concat([one, other])
    with pytest.raises(ValueError, match=f"different types: .*{message}"):
        pd.concat([one["eeg"], other["eeg"]])
    with pytest.raises(ValueError, match=f"different types: .*{message}"):
        SignalArray._concat_same_type([one["eeg"].array, other["eeg"].array])


def test_row_across_different_columns_is_a_series_of_objects():
    frame = make_frame()
    frame["ecg"] = make_array(rate=8.0)
    for row in (frame.iloc[2], next(iter(frame[2:].iterrows()))[1]):
        assert row.dtype == object
        assert row["subject"] == "s2"
        np.testing.assert_array_equal(row["eeg"], frame["eeg"].array[2])
    assert frame.to_numpy().shape == (6, 3)


# Missing windows


def test_window_is_missing_if_entirely_nan():
    values = np.zeros((4, 2, 5))
    values[1] = np.nan
    values[2, 0] = np.nan
    values[3, 1, 4] = np.nan
    assert SignalArray(values).isna().tolist() == [False, True, False, False]


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_missing_values_become_windows_of_nan(nothing):
    frame = make_frame()
    frame.loc[frame["subject"] == "s1", "eeg"] = nothing
    assert frame["eeg"].isna().tolist() == [False, True, False, False, True, False]
    assert np.isnan(frame["eeg"].array.values[1]).all()


def test_windows_can_be_replaced():
    array = make_array()
    window = np.full((2, 5), 7.0)
    array[0] = window
    array[1:3] = [window, None]
    array[[3, 4]] = np.stack([window, 2 * window])
    assert array.values[:, 0, 0].tolist()[:2] == [7, 7]
    assert array.isna().tolist() == [False, False, True, False, False, False]
    assert array.values[3:5, 1, 4].tolist() == [7, 14]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.zeros((2, 6)), ValueError, r"shape \(2, 5\), got float64 of shape \(2, 6\)"),
        (np.zeros((2, 5), complex), ValueError, "real numbers .* got complex128"),
        (make_array(1, rate=8.0), ValueError, "8.0 Hz.* cannot be converted to .*4.0 Hz"),
        (make_array(1, n_times=6), ValueError, "2x6.* cannot be converted to .*2x5"),
        ("abc", TypeError, "Cannot put str into a signal column"),
        (3.0, TypeError, "Cannot put float into a signal column"),
    ],
)
def test_window_that_does_not_fit_is_refused(value, error, message):
    array = make_array()
    with pytest.raises(error, match=message):
        array[0] = value
    np.testing.assert_array_equal(array.values, make_array().values)


# Equality and order


def test_equality_is_by_window():
    array = make_array(3)
    other = array.copy()
    other.values[1, 1, 4] += 1
    assert (array == other).tolist() == [True, False, True]
    assert (array == array[1]).tolist() == [False, True, False]
    assert (array != array[1]).tolist() == [True, False, True]
    assert not (array == make_array(3, rate=8.0)).any()


def test_equals_takes_nan_as_equal_to_nan():
    array = make_array(3)
    array.values[0, 0, 0] = np.nan
    assert array.equals(array.copy())
    assert not array.equals(make_array(3))
    assert not array.equals(SignalArray(array.values))


def test_identical_windows_are_found():
    values = np.zeros((5, 1, 4))
    values[1, 0, 3] = 1
    values[2] = np.nan
    values[3, 0, 3] = 1
    values[4] = -0.0
    series = pd.Series(SignalArray(values))
    assert series.duplicated().tolist() == [False, False, False, True, True]
    assert series.unique().isna().tolist() == [False, False, True]
    assert series.value_counts(dropna=False).tolist() == [2, 2, 1]


@pytest.mark.parametrize("value_type", ["float16", "float32", "float64"])
def test_windows_are_sorted_by_the_first_sample_that_differs(value_type):
    rng = np.random.default_rng(0)
    values = rng.choice([-np.inf, -2.5, -1e-3, 0, 1e-3, 2.5, np.inf], size=(50, 2, 3))
    order = sorted(range(50), key=lambda i: values[i].ravel().tolist())
    assert SignalArray(values.astype(value_type)).argsort(kind="stable").tolist() == order


def test_there_is_no_arithmetic_on_windows():
    frame = make_frame()
    for compute in (
        lambda: frame["eeg"] + 1,
        lambda: np.ones(6) * frame["eeg"].array,
        lambda: np.log(frame["eeg"]),
        lambda: frame["eeg"].mean(),
        lambda: frame["eeg"] < frame["eeg"],
    ):
        with pytest.raises(TypeError):
            compute()


# Like any column: blocks, membership, groups, order


def test_asarray_is_the_block_of_numbers():
    frame = make_frame()
    values = frame["eeg"].array.values
    assert np.shares_memory(np.asarray(frame["eeg"]), values)
    assert np.asarray(frame["eeg"], "float64").dtype == "float64"
    np.testing.assert_array_equal(frame["eeg"].to_numpy("float32"), values)


def test_frame_as_an_array_has_one_cell_per_window():
    frame = make_frame()
    assert np.asarray(frame).shape == (6, 2)
    assert np.asarray(frame[["eeg"]]).shape == (6, 1)
    assert frame["eeg"].to_numpy()[2].shape == (2, 5)


def test_isin_finds_windows_and_missing_values():
    frame = make_frame()
    frame.loc[5, "eeg"] = np.nan
    windows = frame["eeg"]
    assert windows.isin(windows[1:3]).tolist() == [False, True, True, False, False, False]
    assert windows.isin(list(windows[:1])).tolist() == [True] + 5 * [False]
    assert windows.isin([None, "a", 3]).tolist() == 5 * [False] + [True]
    assert not windows.isin(make_array(rate=8.0)).any()


def test_groups_have_first_and_last_windows():
    frame = make_frame()
    frame.loc[0, "eeg"] = np.nan
    values = frame["eeg"].array.values
    groups = frame.groupby("subject")
    np.testing.assert_array_equal(groups.first()["eeg"].array.values, values[[3, 1, 2]])
    np.testing.assert_array_equal(groups["eeg"].last().array.values, values[3:])
    assert groups.first(min_count=2)["eeg"].isna().tolist() == [True, False, False]
    table = frame.pivot_table(columns="subject", values="eeg", aggfunc="first")
    np.testing.assert_array_equal(table["s1"].array.values, values[[1]])


def test_mean_window_of_each_group_is_a_signal_column():
    frame = make_frame()
    means = frame.groupby("subject")["eeg"].agg(lambda column: np.asarray(column).mean(axis=0))
    values = frame["eeg"].array.values
    assert means.dtype == frame["eeg"].dtype
    np.testing.assert_array_equal(means.array.values, (values[:3] + values[3:]) / 2)


def test_mean_of_groups_says_how_to_compute_it():
    with pytest.raises(TypeError, match="does not support mean operations by group"):
        make_frame().groupby("subject").mean()


def test_rows_are_sorted_by_several_columns():
    frame = make_frame().iloc[::-1]
    assert frame.sort_values(["subject", "eeg"]).index.tolist() == [0, 3, 1, 4, 2, 5]
    descending = frame.sort_values(["subject", "eeg"], ascending=[True, False])
    assert descending.index.tolist() == [3, 0, 4, 1, 5, 2]


def test_identical_windows_are_groups():
    frame = make_frame(3)
    twice = pd.concat([frame, frame])
    assert len(twice.groupby("eeg")) == 3
    assert twice.groupby("eeg").size().tolist() == [2, 2, 2]
    assert twice.merge(frame, on="eeg", how="left", indicator=True)["_merge"].eq("both").all()


def test_results_computed_from_a_window_are_plain_arrays():
    window = make_array()[1]
    assert type(window[0]) is np.ndarray
    assert type(window * 2) is np.ndarray
    assert isinstance(window.mean(), float | np.floating)
    assert type(np.stack([window, window])) is np.ndarray
    assert (window == window.copy()).all()
    with pytest.raises(ValueError, match="ambiguous"):
        bool(window > 3)


def test_column_cannot_be_converted_to_numbers():
    with pytest.raises(TypeError, match="cannot be converted to a column of float64"):
        make_frame()["eeg"].astype(float)


# Text


def test_csv_says_what_to_write_windows_with():
    text = make_frame(1).to_csv()
    assert "<window 2x5 in [0, 9]: to_parquet writes signal columns" in text


def test_notebook_shows_shape_and_rate():
    frame = make_frame()
    assert "2x5, 4 Hz, in [0, 9]" in frame._repr_html_()
    assert "6 windows, signal[float32, 2x5, 4.0 Hz" in frame["eeg"].array._repr_html_()


def test_repr_of_long_windows_is_short():
    values = np.random.default_rng(0).normal(size=(200, 19, 5000)).astype("float32")
    values[1] = np.nan
    frame = signal_frame(eeg=SignalArray(values, sampling_rate=500), subject="s1")
    for shown in (frame, frame["eeg"], frame["eeg"].array):
        assert len(repr(shown)) < 6000
        assert "19x5000, 500 Hz, in [-" in repr(shown)
        assert "19x5000, 500 Hz, missing" in repr(shown)
    assert len(frame.to_html()) < 25000


# Other libraries: pickle, joblib, Parquet, scikit-learn


def test_pickle_keeps_everything():
    frame = make_frame()
    back = pickle.loads(pickle.dumps(frame))
    pd.testing.assert_frame_equal(back, frame)
    assert back["eeg"].dtype == frame["eeg"].dtype


def has_memmap_below(array):
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


def test_joblib_memory_maps_a_saved_table(tmp_path):
    frame = make_frame(1000)
    joblib.dump(frame, tmp_path / "frame.joblib")
    back = joblib.load(tmp_path / "frame.joblib", mmap_mode="r")
    assert has_memmap_below(back["eeg"].array.values)
    assert has_memmap_below(back.iloc[10:20]["eeg"].array.values)
    pd.testing.assert_frame_equal(back, frame)


def test_an_array_says_how_much_memory_its_samples_take():
    array = make_frame(100)["eeg"].array
    assert array.nbytes < sys.getsizeof(array) < array.nbytes + 1000


def test_joblib_workers_get_a_memory_map_instead_of_a_copy():
    frame = make_frame(10_000)
    seen = joblib.Parallel(n_jobs=2, max_nbytes=1000)(
        joblib.delayed(_look_at)(frame) for _ in range(2)
    )
    expected = frame["eeg"].array.values.sum(dtype=float)
    assert seen == [(True, expected), (True, expected)]


def _look_at(frame):
    values = frame["eeg"].array.values
    return has_memmap_below(values), values.sum(dtype=float)


@pytest.mark.parametrize("value_type", ["float16", "float32", "float64"])
@pytest.mark.parametrize("rows", [slice(None), slice(0, 0), slice(None, None, 2)])
def test_parquet_round_trip(tmp_path, value_type, rows):
    pytest.importorskip("pyarrow")
    frame = make_frame(value_type=value_type, rate=0.1, channels=ODD_NAMES)
    frame["ecg"] = make_array(rate=None, channels=None)
    frame.loc[[0, 3], "eeg"] = np.nan
    frame = frame[rows]
    frame.to_parquet(tmp_path / "windows.parquet")
    back = pd.read_parquet(tmp_path / "windows.parquet")
    pd.testing.assert_frame_equal(back, frame)
    assert back["eeg"].dtype.channels == tuple(ODD_NAMES)
    assert back["eeg"].isna().tolist() == frame["eeg"].isna().tolist()
    assert back["eeg"].array.values.flags.writeable


def test_parquet_keeps_windows_of_any_rank_over_several_row_groups(tmp_path):
    pytest.importorskip("pyarrow")
    values = np.random.default_rng(0).normal(size=(10, 4, 2, 3))
    frame = signal_frame(map=SignalArray(values, channels=["F3", "F4"]))
    frame.to_parquet(tmp_path / "maps.parquet", row_group_size=3)
    back = pd.read_parquet(tmp_path / "maps.parquet")
    np.testing.assert_array_equal(back["map"].array.values, values)


def test_parts_of_a_parquet_file_can_be_read(tmp_path):
    dataset = pytest.importorskip("pyarrow.dataset")
    frame = make_frame()
    frame.to_parquet(tmp_path / "windows.parquet")
    expected = frame[frame["subject"] == "s1"].reset_index(drop=True)
    back = pd.read_parquet(
        tmp_path / "windows.parquet", columns=["eeg"], filters=[("subject", "==", "s1")]
    )
    pd.testing.assert_frame_equal(back.reset_index(drop=True), expected[["eeg"]])
    rows = dataset.field("subject") == "s1"
    back = dataset.dataset(tmp_path / "windows.parquet").to_table(filter=rows).to_pandas()
    pd.testing.assert_frame_equal(back.reset_index(drop=True), expected)


def test_arrow_tensors_have_no_permutation_and_nulls_are_missing():
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pandas(make_frame())
    assert table.schema.field("eeg").type.permutation is None
    without = pyarrow.Table.from_pandas(make_frame()[["subject"]])
    both = pyarrow.concat_tables([table, without], promote_options="default").to_pandas()
    assert both["eeg"].isna().tolist() == [False] * 6 + [True] * 6


def test_splits_keep_the_type():
    frame = make_frame()
    dtype = frame["eeg"].dtype
    parts = train_test_split(frame, test_size=2, random_state=0)
    parts += [frame.iloc[test] for _, test in KFold(3).split(frame)]
    for part in parts:
        assert part["eeg"].dtype == dtype
        np.testing.assert_array_equal(
            part["eeg"].array.values, frame["eeg"].array.values[part.index]
        )


def test_column_transformer_passes_signals_through():
    frame = make_frame()
    frame["ecg"] = make_array(rate=8.0)
    transformer = make_column_transformer(
        ("passthrough", ["ecg", "eeg"]), verbose_feature_names_out=False
    ).set_output(transform="pandas")
    out = transformer.fit_transform(frame)
    pd.testing.assert_frame_equal(out, frame[["ecg", "eeg"]])


# signal_frame


def test_signal_frame_keeps_order_and_index():
    frame = signal_frame(index=list("abc"), subject="s1", eeg=make_array(3), start=[0.0, 1.0, 2.0])
    assert frame.columns.tolist() == ["subject", "eeg", "start"]
    assert frame.index.tolist() == list("abc")
    assert isinstance(frame["eeg"].dtype, SignalDtype)


def test_signal_frame_asks_for_wrapped_signals():
    message = r"Column 'eeg' has shape \(3, 2, 5\). Wrap a signal in SignalArray"
    with pytest.raises(ValueError, match=message):
        signal_frame(eeg=np.zeros((3, 2, 5)))
    with pytest.raises(ValueError, match=message):
        signal_frame(eeg=list(np.zeros((3, 2, 5))))


def test_signal_frame_names_lengths_that_differ():
    message = r"differ in their numbers of rows: \{'eeg': 3, 'label': 2\}"
    with pytest.raises(ValueError, match=message):
        signal_frame(eeg=make_array(3), label=[0, 1], trial="rest")


def test_signal_frame_refuses_series_whose_indexes_differ():
    eeg, label = pd.Series(make_array(3)), pd.Series([0, 1, 0], index=[7, 8, 9])
    with pytest.raises(ValueError, match="columns have 3 rows, but the table has 6"):
        signal_frame(eeg=eeg, label=label)


@pytest.mark.parametrize("value_type", ["float32", "float64", "int16"])
@pytest.mark.parametrize("copy", [False, True])
def test_masked_samples_are_nan(value_type, copy):
    values = np.arange(24).reshape(2, 3, 4).astype(value_type)
    masked = np.ma.masked_equal(values, 7)
    array = SignalArray(masked, copy=copy)
    assert np.argwhere(np.isnan(array.values)).tolist() == [[0, 1, 3]]
    array[1] = masked[0]
    assert np.argwhere(np.isnan(array.values)).tolist() == [[0, 1, 3], [1, 1, 3]]
    assert not SignalArray(np.ma.array(values)).isna().any()


def test_polars_reads_windows_from_parquet_as_arrays(tmp_path):
    polars = pytest.importorskip("polars")
    frame = make_frame()
    frame.to_parquet(tmp_path / "windows.parquet")
    back = polars.read_parquet(tmp_path / "windows.parquet")
    assert back["subject"].to_list() == frame["subject"].tolist()
    values = frame["eeg"].array.values
    np.testing.assert_array_equal(back["eeg"].to_numpy().reshape(values.shape), values)


def test_dask_reads_windows_from_parquet(tmp_path):
    dataframe = pytest.importorskip("dask.dataframe")
    frame = make_frame()
    frame.to_parquet(tmp_path / "windows.parquet")
    back = dataframe.read_parquet(tmp_path / "windows.parquet")
    assert back["eeg"].dtype == frame["eeg"].dtype
    pd.testing.assert_frame_equal(
        back.compute().reset_index(drop=True), frame, check_column_type=False, check_dtype=False
    )


@pytest.mark.parametrize("n_values", [1, 7, 12, 1000])
def test_blocks_are_all_windows_in_order(n_values):
    array = SignalArray(np.arange(60, dtype="float32").reshape(10, 2, 3), sampling_rate=4)
    rows, values = zip(*array.blocks(n_values), strict=True)
    np.testing.assert_array_equal(np.concatenate(values), array.values)
    assert [part.stop for part in rows[:-1]] == [part.start for part in rows[1:]]
    assert all(len(part) == max(1, n_values // 6) for part in values[:-1])
