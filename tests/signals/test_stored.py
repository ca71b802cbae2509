"""Signal columns that stay in a Parquet file."""

import builtins
import os
import pickle
import weakref

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from skemo import (
    Recording,
    SignalArray,
    read_windows,
    segment,
    signal_frame,
    write_windows,
)
from skemo.datasets import fetch_eegmat
from skemo.signals import stored
from skemo.signals.groups import window_groups

pytest.importorskip("pyarrow")

N_WINDOWS = 23


def make_windows(value_type="float32"):
    rng = np.random.default_rng(0)
    eeg = rng.normal(size=(N_WINDOWS, 2, 8)).astype(value_type)
    eeg[[3, 17]] = np.nan
    eeg[5, 0, 0] = np.nan
    maps = rng.normal(size=(N_WINDOWS, 3, 2, 4)).astype(value_type)
    return signal_frame(
        eeg=SignalArray(eeg, sampling_rate=8, channels=['F"3', "µ, Hz] ü"]),
        subject=np.repeat(["c", "a", "b"], [9, 4, 10]),
        map=SignalArray(maps, channels=["F3", "F4"]),
        label=[None, *["x", "y"] * 11],
        start=np.arange(N_WINDOWS) / 2,
    )


@pytest.fixture
def in_memory():
    return make_windows()


@pytest.fixture
def in_file(in_memory, tmp_path, monkeypatch):
    # Row groups of five windows, so that 23 windows are in five groups.
    monkeypatch.setattr(stored, "_GROUP_BYTES", 5 * 4 * (2 * 8 + 3 * 2 * 4))
    write_windows(in_memory, tmp_path / "windows.parquet")
    return read_windows(tmp_path / "windows.parquet")


@pytest.fixture
def reads(monkeypatch):
    """A list that gets an entry each time windows are read from a file."""
    found = []
    read_rows = stored._read_rows

    def read(source, rows):
        found.append(len(rows))
        return read_rows(source, rows)

    monkeypatch.setattr(stored, "_read_rows", read)
    return found


def signals_are_in_file(table):
    return all(isinstance(table[name].array, stored.StoredSignalArray) for name in ("eeg", "map"))


# Reading and writing


@pytest.mark.parametrize("value_type", ["float16", "float32", "float64"])
def test_a_table_comes_back_as_it_was(tmp_path, value_type):
    windows = make_windows(value_type)
    windows.index = np.arange(N_WINDOWS) * 2 + 1
    windows.attrs["segment"] = {"duration": 1.0, "windows": N_WINDOWS}
    write_windows(windows, tmp_path / "a" / "windows.parquet")
    back = read_windows(tmp_path / "a" / "windows.parquet")
    pd.testing.assert_frame_equal(back, windows)
    assert back.attrs == windows.attrs
    assert signals_are_in_file(back)
    assert os.listdir(tmp_path / "a") == ["windows.parquet"]


def test_pandas_reads_the_same_table_into_memory(in_file, in_memory, tmp_path):
    back = pd.read_parquet(tmp_path / "windows.parquet")
    pd.testing.assert_frame_equal(back, in_file)
    pd.testing.assert_frame_equal(back, in_memory)


def test_a_file_that_pandas_wrote_is_read(in_memory, tmp_path):
    in_memory.to_parquet(tmp_path / "windows.parquet", row_group_size=4)
    pd.testing.assert_frame_equal(read_windows(tmp_path / "windows.parquet"), in_memory)


def test_some_columns_are_read_in_the_order_asked_for(in_file, in_memory, tmp_path):
    columns = ["start", "map", "subject"]
    back = read_windows(tmp_path / "windows.parquet", columns)
    pd.testing.assert_frame_equal(back, in_memory[columns])
    with pytest.raises(ValueError, match=r"has no column 'ecg', only \['eeg', 'subject'"):
        read_windows(tmp_path / "windows.parquet", ["ecg"])


def test_a_stored_table_is_written_again_in_parts(in_file, in_memory, tmp_path, reads):
    write_windows(in_file[in_file["subject"] != "a"], tmp_path / "others.parquet")
    assert max(reads) == 5
    back = read_windows(tmp_path / "others.parquet")
    pd.testing.assert_frame_equal(back, in_memory[in_memory["subject"] != "a"])


def test_tables_are_written_one_after_another(in_memory, tmp_path):
    parts = (table for _, table in in_memory.groupby("subject", sort=False))
    write_windows(parts, tmp_path / "windows.parquet")
    pd.testing.assert_frame_equal(read_windows(tmp_path / "windows.parquet"), in_memory)


def test_tables_with_different_columns_and_types_are_joined(in_memory, tmp_path):
    first = in_memory.iloc[:9][["subject", "eeg"]].assign(label=None)
    wider = in_memory.iloc[9:13].copy()
    wider["eeg"] = SignalArray(
        wider["eeg"].array.values.astype(float), sampling_rate=8, channels=['F"3', "µ, Hz] ü"]
    )
    last = in_memory.iloc[13:].drop(columns=["start", "map"])
    write_windows(iter([first, wider, last]), tmp_path / "windows.parquet")
    back = read_windows(tmp_path / "windows.parquet")
    assert list(back) == ["eeg", "map", "subject", "label", "start"]
    assert back["eeg"].dtype.value_type == "float64"
    np.testing.assert_array_equal(back["eeg"], in_memory["eeg"])
    np.testing.assert_array_equal(back["map"][9:13], in_memory["map"][9:13])
    assert back["map"].isna().tolist() == [True] * 9 + [False] * 4 + [True] * 10
    assert back["start"].isna().tolist() == [True] * 9 + [False] * 4 + [True] * 10
    assert back["label"][9:].tolist() == in_memory["label"][9:].tolist()
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "windows.parquet"), back)
    assert os.listdir(tmp_path) == ["windows.parquet"]


def test_signals_that_differ_are_an_error_and_leave_the_old_file(in_memory, tmp_path):
    path = tmp_path / "windows.parquet"
    write_windows(in_memory, path)
    other = signal_frame(eeg=SignalArray(np.zeros((2, 2, 9)), sampling_rate=8))
    with pytest.raises(ValueError, match="Cannot concatenate signal columns of different types"):
        write_windows(iter([in_memory, other]), path)
    pd.testing.assert_frame_equal(read_windows(path), in_memory)
    assert os.listdir(tmp_path) == ["windows.parquet"]


def test_nothing_is_written_without_tables_or_names_that_are_strings(in_memory, tmp_path):
    with pytest.raises(ValueError, match="There are no tables to write"):
        write_windows(iter([]), tmp_path / "windows.parquet")
    with pytest.raises(ValueError, match="must be unique strings"):
        write_windows(in_memory.rename(columns={"start": 1}), tmp_path / "windows.parquet")
    assert os.listdir(tmp_path) == []


def test_tables_keep_the_attributes_that_they_share(in_memory, tmp_path):
    def tables():
        for _, own in in_memory.groupby("subject"):
            own.attrs["segment"] = {"duration": 1.0, "step": 0.5, "windows": len(own)}
            yield own.assign(n=len(own))

    in_memory.attrs = {"study": "pilot"}
    write_windows(tables(), tmp_path / "windows.parquet")
    back = read_windows(tmp_path / "windows.parquet")
    assert back.attrs == {"study": "pilot", "segment": {"duration": 1.0, "step": 0.5}}
    groups = back[["subject", "start"]].assign(trial="rest")
    assert window_groups(groups)["stop"].tolist() == (groups["start"] + 1.0).tolist()
    others = (own.set_axis(own.index) for own in (in_memory, make_windows()))
    write_windows(others, tmp_path / "windows.parquet")
    assert read_windows(tmp_path / "windows.parquet").attrs == {}


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (lambda t: t.groupby("subject"), "tuple"),
        (lambda t: {"a": t}, "str"),
        (lambda t: "windows.parquet", "str"),
        (lambda t: make_recording("a"), "Recording"),
        (lambda t: [make_recording("a")], "Recording"),
    ],
)
def test_what_is_not_a_table_is_named_with_a_remedy(wrong, kind, in_memory, tmp_path):
    message = rf"got a {kind} in place of a table\. Of a groupby, .*for _, own in windows.groupby"
    with pytest.raises(TypeError, match=message):
        write_windows(wrong(in_memory), tmp_path / "windows.parquet")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("to", ["", "folder"])
def test_a_folder_to_write_to_is_an_error_before_anything_is_read(to, tmp_path, monkeypatch):
    def recordings():
        raise AssertionError("read")
        yield

    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"Could not write: .*\. Add the name of a file: '"):
        segment(recordings(), 3.0, to=to)
    assert os.listdir(tmp_path) == ["folder"]


def test_a_path_below_a_file_is_an_error_that_says_so(in_memory, tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(OSError, match=r"Could not create the folder: .* Choose another folder: "):
        write_windows(in_memory, tmp_path / "a" / "windows.parquet")


def test_a_folder_without_permission_is_an_error_with_the_path_asked_for(
    in_memory, tmp_path, monkeypatch
):
    def refuse(*, prefix, dir):
        raise PermissionError(13, "Permission denied", f"{dir}/{prefix}1")

    monkeypatch.setattr(stored, "TemporaryDirectory", refuse)  # root may write everywhere
    message = r"Could not write: Permission denied\. Choose another folder: '.*windows.parquet'"
    with pytest.raises(PermissionError, match=message):
        write_windows(in_memory, tmp_path / "windows.parquet")


@pytest.mark.parametrize(
    "content",
    [b"", b"ecg,subject\n1,2\n", b"PAR1" + bytes(50), b"PAR1" + bytes(20) + b"\x14\0\0\0PAR1"],
    ids=["empty", "text", "cut off", "footer of zeros"],
)
def test_a_file_that_is_not_parquet_is_named(content, tmp_path):
    (tmp_path / "windows.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"windows.csv is not a Parquet file, or it is damaged"):
        read_windows(tmp_path / "windows.csv")


def test_columns_are_a_list(in_file, tmp_path):
    with pytest.raises(ValueError, match=r"columns must be a list, got 'eeg'. Pass \['eeg'\]"):
        read_windows(tmp_path / "windows.parquet", "eeg")


@pytest.mark.parametrize(
    "call", [read_windows, lambda path: write_windows(make_windows(), path)], ids=["read", "write"]
)
def test_without_pyarrow_the_error_names_the_extra(call, tmp_path, monkeypatch):
    import_ = builtins.__import__

    def without_pyarrow(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return import_(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(ImportError, match=r'pip install "skemo\[parquet\]"'):
        call(tmp_path / "windows.parquet")


# Selecting


SELECTIONS = {
    "all": lambda t: t,
    "slice": lambda t: t.iloc[3:19:2],
    "backwards": lambda t: t.iloc[::-1],
    "positions": lambda t: t.iloc[[20, 3, 3, 0, -1]],
    "mask": lambda t: t[t["label"] == "x"],
    "nothing": lambda t: t.iloc[:0],
    "columns": lambda t: t[["map", "eeg"]],
    "query": lambda t: t.query("subject == 'a' and start > 5"),
    "sorted": lambda t: t.sort_values(["subject", "start"], ascending=False),
    "shuffled": lambda t: t.sample(frac=1, random_state=0),
    "twice": lambda t: t.iloc[4:].iloc[[7, 2]].loc[[6]],
    "group": lambda t: t.groupby("subject").get_group("b"),
    "heads": lambda t: t.groupby("subject").head(2),
    "split": lambda t: train_test_split(t, random_state=0)[1],
    "concatenated": lambda t: pd.concat([t.iloc[4:8], t.iloc[:2]]),
    "copied": lambda t: t.copy(),
    "assigned": lambda t: t.assign(old=t["start"] > 3).drop(columns="start").reset_index(drop=True),
    "merged": lambda t: t.merge(pd.DataFrame({"subject": ["a", "c"], "age": [1, 2]})),
    "pickled": lambda t: pickle.loads(pickle.dumps(t)),
}


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_selection_reads_nothing_and_equals_that_in_memory(name, in_file, in_memory, reads):
    chosen = SELECTIONS[name](in_file)
    assert signals_are_in_file(chosen)
    assert len(reads) <= 4  # to concatenate, pandas looks at the first window of each part
    assert set(reads) <= {1}
    expected = SELECTIONS[name](in_memory)
    pd.testing.assert_frame_equal(chosen, expected)
    for column in ("eeg", "map"):
        np.testing.assert_array_equal(chosen[column].array.values, expected[column].array.values)
        assert chosen[column].array.equals(expected[column].array)


def test_groups_come_one_after_another(in_file, in_memory):
    for (name, own), (expected_name, expected) in zip(
        in_file.groupby("subject"), in_memory.groupby("subject"), strict=True
    ):
        assert name == expected_name
        pd.testing.assert_frame_equal(own, expected)


@pytest.mark.parametrize(
    "compute",
    [
        lambda t: t["eeg"].isna(),
        lambda t: t["eeg"].iloc[4],
        lambda t: list(t["eeg"].iloc[:3])[-1],
        lambda t: t["eeg"].array == t["eeg"].iloc[2],
        lambda t: t["eeg"].duplicated(),
        lambda t: t["eeg"].unique(),
        lambda t: t["eeg"].shift(2),
        lambda t: t["eeg"].reindex([3, 40, 2]),
        lambda t: t["eeg"].dropna(),
        lambda t: t["eeg"].astype(t["eeg"].dtype.with_value_type("float64")),
        lambda t: t["eeg"].to_numpy("float32"),
        lambda t: np.asarray(t["map"]),
        lambda t: t.groupby("subject")["eeg"].first(),
        lambda t: pd.concat([t["eeg"], make_windows()["eeg"]]),
        lambda t: pd.concat([make_windows()["eeg"], t["eeg"]]),
        lambda t: pd.concat([t.iloc[:3], t.iloc[5:7]], axis=1)["eeg"],
        repr,
        lambda t: t["eeg"].array._repr_html_(),
        lambda t: t.iloc[:2].to_json(),
    ],
)
def test_a_computation_gives_the_same_as_in_memory(compute, in_file, in_memory):
    found, expected = compute(in_file), compute(in_memory)
    if isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(found, expected)
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rows", [slice(None), slice(None, None, 2), [19, 2, 7, 3, 22, 0]])
def test_blocks_are_the_windows_in_order(rows, in_file, in_memory, monkeypatch):
    monkeypatch.setattr(stored, "_PIECE_VALUES", 4 * 16)
    signal = in_file["eeg"].array[rows]
    blocks = list(signal.blocks(3 * 16))
    np.testing.assert_array_equal(
        np.concatenate([values for _, values in blocks]), in_memory["eeg"].array[rows].values
    )
    assert [place for chosen, _ in blocks for place in range(len(signal))[chosen]] == [
        *range(len(signal))
    ]
    assert max(len(values) for _, values in blocks) <= 3


def test_sampling_rate_and_channels_change_without_reading(in_file, reads):
    signal = in_file["eeg"].array.relabelled(16, ["a", "b"])
    assert reads == []
    assert signal[:3].dtype.sampling_rate == 16
    assert pickle.loads(pickle.dumps(signal))[2:].dtype.channels == ("a", "b")
    np.testing.assert_array_equal(signal.values, in_file["eeg"])


# Files


def test_a_pickle_is_small_and_works_in_another_process(in_file, in_memory):
    assert len(pickle.dumps(in_file["eeg"].array)) < 1500
    jobs = (joblib.delayed(np.asarray)(in_file["eeg"].iloc[i : i + 2]) for i in (0, 7))
    first, second = joblib.Parallel(n_jobs=2)(jobs)
    np.testing.assert_array_equal(first, in_memory["eeg"].iloc[:2])
    np.testing.assert_array_equal(second, in_memory["eeg"].iloc[7:9])


def test_a_column_takes_only_the_memory_of_its_row_positions(in_file):
    assert in_file["eeg"].nbytes == N_WINDOWS * np.dtype(np.intp).itemsize


def test_windows_cannot_be_changed(in_file):
    with pytest.raises(ValueError, match=r"cannot be changed\. Read the table into memory"):
        in_file.loc[[0], "eeg"] = np.nan
    with pytest.raises(ValueError, match="cannot be changed"):
        in_file["eeg"].array[0] = np.zeros((2, 8))


def test_a_file_that_has_changed_is_an_error(in_file, in_memory, tmp_path):
    write_windows(in_memory.iloc[::-1], tmp_path / "windows.parquet")
    assert len(in_file.iloc[:4]) == 4
    with pytest.raises(OSError, match=r"has changed since the table was read.*'eeg'"):
        in_file["eeg"].array.isna()


def test_a_missing_file_is_an_error(in_file, tmp_path):
    (tmp_path / "windows.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="the windows of 'map' no longer exists"):
        in_file["map"].array[2]


# Cutting recordings into a file


def make_recording(subject, duration=20.0, value_type="float32", **settings):
    rng = np.random.default_rng(len(subject))
    signals = {"eda": rng.normal(size=int(4 * duration)).astype(value_type)}
    return Recording(signals, {"eda": 4}, subject=subject, **settings)


def make_recordings():
    """Recordings with different contents, so that the first does not have all columns."""
    rng = np.random.default_rng(0)
    ecg = rng.normal(size=(2, 1280))
    both = {"eda": rng.normal(size=80), "ecg": ecg}
    yield make_recording("a")
    yield make_recording("bb", labels=[(0, 10, "calm"), (10, 20, "tense")], targets={"rating": 3})
    yield make_recording("ccc", value_type="float64", labels=[(2, 20, "calm")])
    yield Recording(both, {"eda": 4, "ecg": 64}, subject="d", trial=2)
    yield make_recording("eeee", excluded=[(3, 8)])
    short = {"eda": rng.normal(size=4), "temp": rng.normal(size=4)}
    yield Recording(short, {"eda": 4, "temp": 4}, subject="d", trial=3)


def test_recordings_cut_into_a_file_give_the_table_in_memory(tmp_path):
    path = tmp_path / "windows.parquet"
    found = segment(make_recordings(), 3.0, step=1.5, to=path)
    expected = segment(make_recordings(), 3.0, step=1.5)
    assert isinstance(found["ecg"].array, stored.StoredSignalArray)
    expected.to_parquet(tmp_path / "expected.parquet")
    pd.testing.assert_frame_equal(found, pd.read_parquet(tmp_path / "expected.parquet"))
    pd.testing.assert_frame_equal(pd.read_parquet(path), found)
    assert list(found) == list(expected)
    assert found["temp"].isna().all()
    assert found.attrs == expected.attrs


def test_a_failure_while_cutting_leaves_nothing_behind(tmp_path):
    def recordings():
        yield make_recording("a")
        raise RuntimeError("the disk of subject b")

    with pytest.raises(RuntimeError, match="the disk of subject b"):
        segment(recordings(), 3.0, to=tmp_path / "windows.parquet")
    with pytest.raises(ValueError, match="No window is left: the longest recording lasts 20 s"):
        segment(make_recording("a"), 30.0, to=tmp_path / "windows.parquet")
    with pytest.raises(ValueError, match="segment got no recordings"):
        segment([], 30.0, to=tmp_path / "windows.parquet")
    assert os.listdir(tmp_path) == []


def test_a_modality_of_one_and_a_target_of_another_recording_are_an_error(tmp_path):
    recordings = [make_recording("a", targets={"ecg": 1.0}), *make_recordings()]
    for names in (recordings, recordings[::-1]):
        with pytest.raises(ValueError, match="'ecg' is a"):
            segment(names, 3.0, to=tmp_path / "windows.parquet")


def test_subjects_without_windows_are_named(tmp_path):
    recordings = [make_recording("a"), make_recording("bb", duration=2.0)]
    with pytest.warns(UserWarning, match=r"No window is left of subject\(s\) bb"):
        windows = segment(recordings, 3.0, to=tmp_path / "windows.parquet")
    assert windows["subject"].tolist() == ["a"] * 6


def test_one_recording_and_its_windows_are_in_memory_at_a_time(tmp_path):
    pieces = []

    def recordings():
        for i in range(6):
            pieces.append(make_recording("s" * (i + 1)))
            yield pieces[-1]
            pieces[-1] = weakref.ref(pieces[-1])
            # The first recording is kept, since later ones must agree with it.
            alive = [piece for piece in pieces[1:] if piece() is not None]
            assert len(alive) <= 1

    segment(recordings(), 3.0, to=tmp_path / "windows.parquet")
    assert len(pieces) == 6


def test_a_real_recording_is_cut_into_a_file(data_home, tmp_path):
    recordings = fetch_eegmat(data_home / "eegmat", subjects=["31"])
    found = segment(recordings, 5.0, to=tmp_path / "windows.parquet")
    pd.testing.assert_frame_equal(found, segment(recordings, 5.0))
