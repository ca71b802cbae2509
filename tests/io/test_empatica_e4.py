"""The Empatica E4: recorded sessions, and small ones in the exported layout."""

import shutil

import numpy as np
import pandas as pd
import pytest

from skemo import segment
from skemo.io import read, read_e4_tags, read_empatica_e4
from skemo.signals import labels

START = 1644227574


def write_session(folder, *, end="\r\n", start=START, **files):
    """Write a session of 10 s as E4 connect exports it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = {
        "BVP": [f"{start}.000000", "64.000000", *(f"{i - 300:.2f}" for i in range(640))],
        "EDA": [f"{start}.000000", "4.000000", "0.000000", *(f"{i / 100}" for i in range(1, 40))],
        "TEMP": [f"{start + 1}.000000", "4.000000", *["34.79"] * 36],
        "ACC": [
            ", ".join([f"{start}.000000"] * 3),
            ", ".join(["32.000000"] * 3),
            *("64,-32,0" for _ in range(320)),
        ],
        "HR": [f"{start + 10}.000000", "1.000000", "80.00", "81.00"],
        "IBI": [f"{start}.000000, IBI", "1.500000,0.750000", "2.250000,0.750000", "5.0,1.0"],
        "tags": [f"{start + 2}.50", f"{start + 6}.25"],
    }
    for name, text in (lines | files).items():
        if text is not None:
            (folder / f"{name}.csv").write_text(end.join([*text, ""]), newline="")
    return folder


@pytest.fixture
def session(tmp_path):
    return write_session(tmp_path / "S07")


def test_signals_have_the_rates_units_and_starts_of_their_files(session):
    recording = read_empatica_e4(session, modalities=["ppg", "eda", "temp", "acc", "hr"])
    assert recording.subject == "S07"
    assert recording.sampling_rates == {"ppg": 64, "eda": 4, "temp": 4, "acc": 32, "hr": 1}
    assert recording.starts == {"ppg": 0, "eda": 0.25, "temp": 1, "acc": 0, "hr": 10}
    assert recording.units["acc"] == "g"
    assert recording.start_time == pd.Timestamp("2022-02-07 09:52:54", tz="UTC")
    np.testing.assert_allclose(recording.signals["acc"], [[1.0] * 320, [-0.5] * 320, [0.0] * 320])
    np.testing.assert_allclose(recording.signals["eda"][0], np.arange(1, 40) / 100, rtol=1e-6)
    assert {x.dtype for x in recording.signals.values()} == {np.dtype("float32")}


def test_intervals_become_the_beats_at_both_of_their_ends(session):
    recording = read_empatica_e4(session)
    assert recording.beats["ibi"].tolist() == [0.75, 1.5, 2.25, 4.0, 5.0]
    assert recording.beat_gaps == {"ibi": ((2.25, 4.0),)}
    assert recording.beat_sources == {"ibi": "ppg"}


@pytest.mark.parametrize("inside", ["", "1644227574_A01234"])
def test_a_zip_file_is_read_like_its_folder(session, tmp_path, inside):
    packed = tmp_path / "packed" / inside
    shutil.copytree(session, packed)
    path = shutil.make_archive(str(tmp_path / "S07"), "zip", tmp_path / "packed")
    one, other = read_empatica_e4(session), read_empatica_e4(path)
    assert repr(one) == repr(other) == repr(read(path))
    for name, signal in one.signals.items():
        np.testing.assert_array_equal(signal, other.signals[name])
    assert read_e4_tags(path).equals(read_e4_tags(session))


def test_tags_become_labels_with_their_moments(session):
    tags = read_e4_tags(session)
    seconds = (tags - pd.Timestamp(START, unit="s", tz="UTC")).total_seconds()
    assert seconds.tolist() == [2.5, 6.25]
    found = labels.from_events(zip(tags, ["task", None], strict=True))
    assert found == [(tags[0], tags[1], "task")]


def test_of_several_sessions_one_has_to_be_chosen(tmp_path):
    write_session(tmp_path / "all" / "morning")
    write_session(tmp_path / "all" / "evening", start=START + 3600)
    with pytest.raises(ValueError, match=r"has 2 sessions, \['evening', 'morning'\]. Pass session"):
        read_empatica_e4(tmp_path / "all")
    recording = read_empatica_e4(tmp_path / "all", session="evening", subject="A", trial="evening")
    assert recording.start_time == pd.Timestamp(START + 3600, unit="s", tz="UTC")
    with pytest.raises(ValueError, match="has no session 'noon'"):
        read_empatica_e4(tmp_path / "all", session="noon")


def test_files_that_are_missing_or_empty_are_left_out(tmp_path):
    folder = write_session(tmp_path, ACC=None, HR=None, IBI=[], tags=[], TEMP=[f"{START}.0", "4.0"])
    recording = read_empatica_e4(folder)
    assert list(recording.signals) == ["ppg", "eda"]
    assert recording.beats == {}
    assert len(read_e4_tags(folder)) == 0


def test_a_cut_off_last_line_is_left_out_with_a_warning(tmp_path):
    lines = [",".join([f"{START}"] * 3), "32,32,32", *["1,2,3"] * 3, "4,5"]
    folder = write_session(tmp_path, ACC=lines)
    with pytest.warns(UserWarning, match=r"ACC.csv: the last line, '4,5', is cut off"):
        recording = read_empatica_e4(folder)
    assert recording.signals["acc"].shape == (3, 3)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"EDA": [str(START), "4.0", "0.1", "a", "0.2"]}, r"EDA.csv: line 4 should have 1 numbers"),
        ({"EDA": [str(START)]}, r"EDA.csv should have the start .* but has 1 lines"),
        ({"EDA": [str(START), "-4", "0.7"]}, r"EDA.csv should begin with the start in unix"),
        ({"EDA": [str(START), "4", "0", "nan"]}, r"EDA.csv has a value that is not finite in line"),
        ({"IBI": ["IBI", "1,2"]}, r"IBI.csv: line 1 should have the start"),
        ({"ACC": [f"{START},{START}", "32,32", "1,2"]}, r"ACC.csv: line 1 should have 3 numbers"),
    ],
)
def test_error_names_the_file_and_the_line(tmp_path, files, message):
    folder = write_session(tmp_path, **files)
    with pytest.raises(ValueError, match=message):
        read_empatica_e4(folder)


def test_only_what_was_asked_for_is_read(session):
    assert list(read_empatica_e4(session, modalities=["hr", "eda"]).signals) == ["hr", "eda"]
    with pytest.raises(ValueError, match=r"modalities must be among .*, got \['ecg'\]"):
        read_empatica_e4(session, modalities=["ecg"])


def test_a_progress_bar_is_drawn_on_request(session, capsys):
    read_empatica_e4(session)
    assert capsys.readouterr().err == ""
    read_empatica_e4(session, progress=True)
    assert "Reading" in capsys.readouterr().err


def test_a_folder_of_something_else_is_an_error(tmp_path):
    (tmp_path / "notes.csv").write_text("a,b\n")
    with pytest.raises(FileNotFoundError, match=r"has none of the files ACC.csv, BVP.csv"):
        read_empatica_e4(tmp_path)
    with pytest.raises(ValueError, match="is neither a folder nor a zip file"):
        read_empatica_e4(tmp_path / "notes.csv")


def test_recorded_sessions_are_read_and_cut_at_common_times(data_home):
    folder = data_home / "stress_predict" / "Raw_data" / "S05"
    recording = read_empatica_e4(folder)
    assert {"ppg", "eda", "temp"} <= set(recording.signals)
    assert recording.starts["eda"] == 0.25
    assert len(read_e4_tags(folder)) > 3
    intervals = np.diff(recording.beats["ibi"])
    assert 0.4 < np.median(intervals) < 1.2
    assert intervals.min() > 0.25
    windows = segment(recording, 60.0)
    assert windows["start"].iloc[0] == 0.25
    assert len(windows) > 40
