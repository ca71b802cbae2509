"""Tables of text with any separator, decimal sign, encoding and line end."""

import gzip

import numpy as np
import pandas as pd
import pytest

from skemo.io import read_csv

ECG = np.round(np.random.default_rng(0).normal(size=500), 4)
EDA = np.round(2 + np.arange(500) / 1000, 3)
LABELS = ["rest"] * 250 + [""] * 50 + ["stress"] * 200


def write(path, *, separator=",", decimal=".", end="\n", encoding="utf-8", before="", tail=""):
    times = pd.date_range("2024-05-01 09:30", periods=500, freq="10ms")
    rows = [separator.join(["time", "ECG (mV)", "EDA", "task"])]
    for time, ecg, eda, label in zip(times, ECG, EDA, LABELS, strict=True):
        numbers = [f"{ecg:.4f}".replace(".", decimal), f"{eda:.3f}".replace(".", decimal)]
        rows.append(separator.join([time.isoformat(), *numbers, label]))
    text = before + end.join(rows) + end + tail.replace("\n", end)
    path.write_bytes(text.encode(encoding))
    return path


SIGNALS = {"ecg": "ECG (mV)", "eda": "EDA"}


def check(recording):
    np.testing.assert_array_equal(recording.signals["ecg"][0], ECG)
    np.testing.assert_array_equal(recording.signals["eda"][0], EDA)
    assert recording.sampling_rates == {"ecg": 100, "eda": 100}
    assert recording.start_time == pd.Timestamp("2024-05-01 09:30")
    assert recording.labels == ((0, 2.5, "rest"), (3, 5, "stress"))
    assert recording.subject == "S01"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"separator": ";", "decimal": ","},
        {"separator": "\t", "end": "\r\n"},
        {"separator": "\t", "decimal": ",", "encoding": "utf-8-sig", "end": "\r\n"},
        {"separator": "|", "encoding": "utf-16"},
        {"tail": "\n\n"},
        {"tail": ",,,\n,,,\n"},
    ],
)
def test_tables_of_every_layout_give_the_same_recording(tmp_path, settings):
    path = write(tmp_path / "S01.csv", **settings)
    check(read_csv(path, time="time", signals=SIGNALS, label="task"))


def test_lines_before_the_column_names_are_skipped_and_compressed_files_read(tmp_path):
    path = write(tmp_path / "raw.csv", before="Device: 7\nSubject; A\n")
    with gzip.open(tmp_path / "S01.csv.gz", "wb") as file:
        file.write(path.read_bytes())
    recording = read_csv(
        tmp_path / "S01.csv.gz", time="time", signals=SIGNALS, label="task", skip_rows=2
    )
    check(recording)


def test_umlauts_of_old_windows_programs_are_read(tmp_path):
    path = tmp_path / "S01.csv"
    path.write_bytes("zeit;größe\n0,0;1,5\n0,5;2,5\n1,0;3,5\n".encode("latin-1"))
    recording = read_csv(path, time="zeit", signals={"eda": "größe"})
    assert recording.signals["eda"].tolist() == [[1.5, 2.5, 3.5]]
    assert recording.sampling_rates == {"eda": 2}


def test_a_cut_off_last_line_is_left_out_with_a_warning(tmp_path):
    path = write(tmp_path / "S01.csv", tail="2024-05-01T09:30:05,0.1")
    with pytest.warns(UserWarning, match=r"the last line, .*,0.1', is cut off and was left out"):
        recording = read_csv(path, time="time", signals=SIGNALS, label="task")
    check(recording)


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "is empty"),
        ("t,ecg\n", {}, "has column names, but no rows"),
        ("t,ecg\n0,1\n1,a\n", {"signals": ["ecg"]}, "line 3 has 'a' in the column 'ecg'"),
        (
            "t,ecg\n0,1\n1,2\n",
            {"signals": ["EDA"]},
            r"has no column 'EDA'; its columns, .* are \['t', 'ecg'\]",
        ),
        ("t,ecg\n0,1\n1,2,3,4\n", {}, "of 2 columns .*Expected 2 fields in line 3, saw 4"),
        ("t,ecg,ecg\n0,1,2\n1,2,3\n", {}, r"has several columns 'ecg'; its columns, .*Rename them"),
        ("t,ecg\n0,1,2\n1,2,3\n", {}, r"has 2 column names, \['t', 'ecg'\], but 3 columns"),
        ("t,ecg\nx,1\ny,2\n", {}, "'t' has 'x', which is not recognised as a time"),
        ("\x00\x01\x02\n", {}, "is not a text file"),
    ],
)
def test_error_names_the_file_and_the_place(tmp_path, text, settings, message):
    path = tmp_path / "S01.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"S01.csv.*{message}"):
        read_csv(path, **{"time": "t", **settings})


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing.csv does not exist"):
        read_csv(tmp_path / "nothing.csv", time="t")


def test_a_label_that_appears_in_a_later_part_of_a_long_file_is_read(tmp_path):
    path = tmp_path / "S01.csv"
    n = 150_000  # rows, more than two parts
    labels = np.repeat(["rest", "", "stress"], n // 3)
    rows = zip((np.arange(n) / 1000).tolist(), labels, strict=True)
    lines = [f"{time:.3f},{i % 100},{label}\n" for i, (time, label) in enumerate(rows)]
    path.write_text("t,eda,task\n" + "".join(lines))
    recording = read_csv(path, time="t", label="task")
    assert recording.labels == ((0.0, 50.0, "rest"), (100.0, 150.0, "stress"))
    assert list(recording.signals) == ["eda"]
    np.testing.assert_array_equal(recording.signals["eda"][0], np.arange(n) % 100)
    assert recording.signals["eda"].flags.writeable


def test_a_column_that_turns_to_text_in_a_later_part_is_no_signal(tmp_path):
    path = tmp_path / "S01.csv"
    lines = [f"{i},{i if i < 70_000 else 'x'},{i}\n" for i in range(80_000)]
    path.write_text("t,note,ecg\n" + "".join(lines))
    assert list(read_csv(path, time="t").signals) == ["ecg"]
