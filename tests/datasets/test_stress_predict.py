"""The Stress-Predict loader: recorded files, a download from a local server, damaged files."""

import hashlib
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from skemo import segment
from skemo.datasets import stress_predict
from skemo.datasets.base import parse_hashes
from skemo.datasets.stress_predict import LABEL_FILE, fetch_stress_predict

SUBJECTS_HERE = 23
START = 1644227574  # unix seconds
COLUMNS = {"BVP": (64, 1), "EDA": (4, 1), "TEMP": (4, 1), "ACC": (32, 3)}


# The recorded files


@pytest.fixture(scope="module")
def recordings(data_home):
    return fetch_stress_predict(data_home / "stress_predict", modalities=("eda", "ppg", "temp"))


def test_all_labelled_subjects_of_a_folder_are_read_in_order(recordings):
    subjects = [r.subject for r in recordings]
    assert len(subjects) == SUBJECTS_HERE
    assert subjects == sorted(subjects)
    assert (subjects[0], subjects[-1]) == ("S02", "S34")


def test_recordings_have_the_published_rates_and_units(recordings):
    for recording in recordings:
        assert recording.sampling_rates == {"eda": 4, "ppg": 64, "temp": 4}
        assert recording.units == {"eda": "µS", "ppg": None, "temp": "°C"}
        assert recording.channels == {"eda": ("EDA",), "ppg": ("BVP",), "temp": ("TEMP",)}
        assert {signal.dtype for signal in recording.signals.values()} == {np.dtype("float32")}
        assert recording.trial == ""


def test_values_are_plausible_for_a_wristband(recordings):
    for recording in recordings:
        eda, ppg, temp = (recording.signals[name][0] for name in ("eda", "ppg", "temp"))
        assert 0.1 < np.median(eda) < 5  # µS
        assert (eda >= 0).all()
        assert eda.max() < 12
        assert np.abs(ppg.mean()) < 1
        assert 20 < ppg.std() < 160
        assert ((temp > 24) & (temp < 37)).all()


def test_values_are_the_lines_of_the_files(data_home, recordings):
    for name, file in (("eda", "EDA"), ("ppg", "BVP"), ("temp", "TEMP")):
        path = data_home / "stress_predict" / "Raw_data" / "S05" / f"{file}.csv"
        lines = path.read_text().splitlines()[2:]
        signal = next(r for r in recordings if r.subject == "S05").signals[name]
        assert signal.shape == (1, len(lines))
        np.testing.assert_array_equal(signal[0, ::1000], np.array(lines[::1000], "f4"))


def test_each_recording_has_three_stress_tasks_with_rest_between_them(recordings):
    for recording in recordings:
        assert [label for *_, label in recording.labels] == ["rest", "stress"] * 3 + ["rest"]
        assert recording.labels[0][0] == 9  # the publisher's labels begin with the heart rate
        starts, stops, _ = zip(*recording.labels, strict=True)
        assert starts[1:] == stops[:-1]
        assert abs(stops[-1] - recording.duration) < 6
        assert 3000 < recording.duration < 3600
        seconds = {"rest": 0, "stress": 0}
        for start, stop, label in recording.labels:
            seconds[label] += stop - start
        assert 0.28 < seconds["stress"] / sum(seconds.values()) < 0.38


def test_labels_change_when_the_button_was_pressed(data_home, recordings):
    apart = []
    for recording in recordings:
        raw = data_home / "stress_predict" / "Raw_data" / recording.subject
        presses = np.loadtxt(raw / f"tags_{recording.subject}.csv") - np.loadtxt(raw / "EDA.csv")[0]
        changes = [start for start, *_ in recording.labels[1:]]
        if not np.isin(changes, np.round(presses)).all():
            apart.append(recording.subject)
    assert apart == ["S06", "S17", "S30"]


def test_there_are_as_many_one_minute_windows_as_fit_into_the_labels(recordings):
    windows = segment(recordings, 60.0)
    assert windows["label"].value_counts().to_dict() == {"rest": 753, "stress": 346}
    assert windows["subject"].nunique() == SUBJECTS_HERE
    assert windows["ppg"].array.values.shape == (1099, 1, 3840)
    assert windows["eda"].array.values.shape == (1099, 1, 240)


def test_the_hashes_are_those_of_the_recorded_files(data_home):
    hashes = parse_hashes(stress_predict.HASHES.read_text())
    assert len(hashes) == 3 * SUBJECTS_HERE
    for name, expected in hashes.items():
        content = (data_home / "stress_predict" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == expected


def test_several_processes_read_the_same_recordings(data_home, recordings):
    home = data_home / "stress_predict"
    found = fetch_stress_predict(home, subjects=["S34", "S02"], modalities="eda", n_jobs=2)
    assert [r.subject for r in found] == ["S34", "S02"]
    np.testing.assert_array_equal(found[1].signals["eda"], recordings[0].signals["eda"])


# A small data set in the published layout


def write_subject(folder, subject, *, start=START, seconds=120, delay=None, line_end="\n"):
    """Write the files of the wristband; `delay` is how many seconds later a file starts."""
    raw = folder / "Raw_data" / subject
    raw.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(int(subject[1:]))
    for name, (rate, n_columns) in COLUMNS.items():
        begin = start + (delay or {}).get(name, 0)
        samples = rng.normal(size=(seconds * rate, n_columns)).round(3)
        table = np.vstack([np.full(n_columns, begin), np.full(n_columns, rate), samples])
        lines = [",".join(f"{value:.6f}" for value in row) for row in table]
        (raw / f"{name}.csv").write_bytes((line_end.join(lines) + line_end).encode())


def write_labels(folder, rows):
    """Write the labels: (participant, second after the start, label)."""
    path = folder / LABEL_FILE
    path.parent.mkdir(exist_ok=True)
    lines = [
        f"{who},{'' if second % 7 else 71.5},12.1,{START + second},{y}" for who, second, y in rows
    ]
    path.write_text("\n".join(["Participant,HR,respr,Time(sec),Label", *lines]) + "\n")


def rows_of(number, seconds=range(9, 120), stress=range(40, 80)):
    return [(number, second, int(second in stress)) for second in seconds]


@pytest.fixture
def folder(tmp_path):
    write_labels(tmp_path, rows_of(2) + rows_of(5, stress=range(60, 100)))
    for subject in ("S02", "S05"):
        write_subject(tmp_path, subject)
    return tmp_path


@pytest.fixture
def server(folder, tmp_path_factory, monkeypatch):
    """The small data set on a local server, and the names of the requested files."""
    hashes = tmp_path_factory.mktemp("package") / "hashes"
    names = [f"Raw_data/{subject}/{name}.csv" for subject in ("S02", "S05") for name in COLUMNS]
    hashes.write_text(
        "".join(
            f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
            for name in names[:-1]  # ACC of S05 has no hash
        )
    )
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, code="-", size="-"):
            asked.append(self.path.removeprefix("/"))

        def log_error(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(stress_predict, "URL", f"http://127.0.0.1:{httpd.server_port}/")
        monkeypatch.setattr(stress_predict, "SUBJECTS", ("S02", "S05"))
        monkeypatch.setattr(stress_predict, "HASHES", hashes)
        yield asked
        httpd.shutdown()
        thread.join()


def test_labels_become_intervals_from_the_start_of_the_recording(folder):
    one, other = fetch_stress_predict(folder)
    assert one.labels == ((9, 40, "rest"), (40, 80, "stress"), (80, 120, "rest"))
    assert other.labels == ((9, 60, "rest"), (60, 100, "stress"), (100, 120, "rest"))


def test_seconds_without_a_label_are_left_out(folder):
    write_labels(folder, rows_of(2, seconds=[*range(5, 30), *range(50, 70), *range(90, 95)]))
    (recording,) = fetch_stress_predict(folder, subjects="S02")
    assert recording.labels == ((5, 30, "rest"), (50, 70, "stress"), (90, 95, "rest"))


def test_signals_are_cut_to_the_latest_start(folder):
    before = fetch_stress_predict(folder, subjects="S02", modalities=("eda", "ppg", "temp"))[0]
    write_subject(folder, "S02", delay={"EDA": 8, "BVP": 2})
    after = fetch_stress_predict(folder, subjects="S02", modalities=("eda", "ppg", "temp"))[0]
    np.testing.assert_array_equal(after.signals["eda"], before.signals["eda"])
    np.testing.assert_array_equal(after.signals["ppg"], before.signals["ppg"][:, 6 * 64 :])
    np.testing.assert_array_equal(after.signals["temp"], before.signals["temp"][:, 8 * 4 :])
    assert after.labels == ((1, 32, "rest"), (32, 72, "stress"), (72, 112, "rest"))
    assert after.duration == 112


def test_labels_end_with_the_longest_signal(folder):
    write_labels(folder, rows_of(2, seconds=range(0, 130)))
    (recording,) = fetch_stress_predict(folder, subjects="S02")
    assert recording.labels[-1] == (80, 120, "rest")


def test_modalities_are_selected_in_the_given_order(folder):
    recording = fetch_stress_predict(folder)[0]
    assert list(recording.signals) == ["eda", "ppg"]
    recording = fetch_stress_predict(folder, modalities=["acc", "temp"])[0]
    assert list(recording.signals) == ["acc", "temp"]
    assert recording.signals["acc"].shape == (3, 120 * 32)
    assert recording.channels["acc"] == ("x", "y", "z")
    assert (recording.sampling_rates["acc"], recording.units["acc"]) == (32, "1/64 g")


def test_files_with_windows_line_endings_are_read(folder):
    before = fetch_stress_predict(folder)[0]
    write_subject(folder, "S02", line_end="\r\n")
    np.testing.assert_array_equal(
        fetch_stress_predict(folder)[0].signals["ppg"], before.signals["ppg"]
    )


def test_windows_can_be_cut_from_them(folder):
    windows = segment(fetch_stress_predict(folder), 10.0)
    assert windows["label"].value_counts().to_dict() == {"rest": 14, "stress": 8}
    assert windows["start"].min() == 10


def test_a_lazy_iterator_reads_on_demand(folder):
    found = fetch_stress_predict(folder, lazy=True)
    assert next(found).subject == "S02"
    (folder / "Raw_data" / "S05" / "EDA.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"EDA.csv is missing"):
        next(found)


# The download


def test_missing_files_are_downloaded_and_read(server, folder, tmp_path_factory):
    home = tmp_path_factory.mktemp("home") / "stress_predict"
    assert [r.subject for r in fetch_stress_predict(home)] == ["S02", "S05"]
    assert server == [
        LABEL_FILE,
        *(f"Raw_data/{s}/{name}.csv" for s in ("S02", "S05") for name in ("EDA", "BVP")),
    ]
    server.clear()
    assert len(fetch_stress_predict(home)) == 2
    assert server == []  # all there: nothing asked for
    fetch_stress_predict(home, modalities=["temp", "eda"])
    assert server == ["Raw_data/S02/TEMP.csv", "Raw_data/S05/TEMP.csv"]


def test_the_verified_hashes_are_stored_with_the_files(server, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    fetch_stress_predict(home)
    hashes = parse_hashes((home / "SHA256SUMS.txt").read_text())
    assert LABEL_FILE not in hashes
    name = "Raw_data/S02/EDA.csv"
    assert hashes[name] == hashlib.sha256((home / name).read_bytes()).hexdigest()


def test_an_interrupted_download_is_resumed(server, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    fetch_stress_predict(home)
    (home / "Raw_data/S05/BVP.csv").unlink()
    (home / "Raw_data/S02/EDA.csv").write_bytes(b"half a file")
    server.clear()
    assert len(fetch_stress_predict(home)) == 2
    assert sorted(server) == ["Raw_data/S02/EDA.csv", "Raw_data/S05/BVP.csv"]


def test_only_the_requested_subjects_are_downloaded(server, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    assert [r.subject for r in fetch_stress_predict(home, subjects="S05")] == ["S05"]
    assert not (home / "Raw_data" / "S02").exists()


def test_a_file_that_has_changed_since_it_was_tested_is_refused(server, folder, tmp_path_factory):
    with (folder / "Raw_data/S05/BVP.csv").open("ab") as file:
        file.write(b"1.0\n")
    home = tmp_path_factory.mktemp("home")
    with pytest.raises(ValueError, match=r"/Raw_data/S05/BVP.csv .*: SHA256 hash of downl"):
        fetch_stress_predict(home)
    assert not (home / "Raw_data/S05/BVP.csv").exists()


def test_a_file_without_a_hash_is_not_verified(server, folder, tmp_path_factory):
    path = folder / "Raw_data/S05/ACC.csv"
    path.write_text(path.read_text() + "1.0,2.0,3.0\n")
    home = tmp_path_factory.mktemp("home")
    recording = fetch_stress_predict(home, modalities="acc", subjects="S05")[0]
    assert recording.signals["acc"][:, -1].tolist() == [1, 2, 3]


def test_a_file_missing_on_the_server_is_named(server, folder, tmp_path_factory):
    (folder / "Raw_data/S05/BVP.csv").unlink()
    home = tmp_path_factory.mktemp("home")
    with pytest.raises(ConnectionError, match=r"Could not download .*Raw_data/S05/BVP.csv"):
        fetch_stress_predict(home)


def test_a_folder_with_recordings_is_read_without_the_network(folder, monkeypatch):
    monkeypatch.setattr(stress_predict, "URL", "http://127.0.0.1:9/")
    assert [r.subject for r in fetch_stress_predict(folder)] == ["S02", "S05"]


# What cannot be read


@pytest.mark.parametrize("home", [".", "Raw_data/S02", "absent"])
def test_a_folder_without_recordings_is_an_error_that_says_what_was_looked_for(folder, home):
    home = folder.parent if home == "." else folder / home
    with pytest.raises(FileNotFoundError, match=r"has no folders Raw_data/S02 to .*data_home="):
        fetch_stress_predict(home, download=False)


def test_missing_labels_are_named(folder):
    (folder / LABEL_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"binary.csv, the labels, is missing. Put it"):
        fetch_stress_predict(folder)


def test_a_missing_file_is_named(folder):
    (folder / "Raw_data/S05/EDA.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"S05/EDA.csv is missing. Put it there"):
        fetch_stress_predict(folder)
    assert len(fetch_stress_predict(folder, modalities="ppg")) == 2


def test_a_subject_without_labels_is_named(folder):
    write_subject(folder, "S07")
    with pytest.raises(ValueError, match=r"binary.csv has no labels of S07 .*Participant 7"):
        fetch_stress_predict(folder)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [(2, 9, 0), (2, 10, 2)],
            r"second 1 of S02 should have .* label 0 or 1, but has .* 2.0\]",
        ),
        ([(2, 9, 0), (2, 10, "")], r"second 1 of S02 should have .* has .* nan\]"),
        ([(2, 9, 0), (2, 9, 1)], "the times of S02 do not increase"),
        ([(2, 9, "stress")], "cannot be read as a table with the columns Participant, Time"),
    ],
)
def test_invalid_labels_are_named(folder, rows, message):
    write_labels(folder, rows)
    with pytest.raises(ValueError, match=message):
        fetch_stress_predict(folder)


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>", b"Participant,Time\n2,3\n", b"\xff\xfe\x00\x81,1\n"]
)
def test_a_file_without_labels_is_an_error(folder, content):
    (folder / LABEL_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=r"binary.csv cannot be read as a table.*Delete it and"):
        fetch_stress_predict(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "should have the start .* but has 0 lines"),
        (b"1644227574\n4.0\n", "followed by samples, but is 4, followed by 0"),
        (b"1644227574,1644227574\n4,4\n1,2\n", "line 1 should have 1 numbers"),
        (b"1644227574\n8.0\n0.1\n", "its second line should be 4 .Hz., .*, but is 8"),
        (b"1644227574\n4.0\n0.1\nnan\n", "has a value that is not finite in line 4"),
        (b"<html>not found</html>\n", "should have the start .* but has 1 lines"),
        (b"\xff\xfe\x00\x81\n", "should have the start .* but has 1 lines"),
        (b"1644227574\n4.0\n0.1\n0.1,2\n", "line 4 should have 1 numbers"),
    ],
)
def test_a_signal_that_is_not_as_published_is_an_error(folder, content, message):
    (folder / "Raw_data/S05/EDA.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"S05/EDA.csv.*{message}.*Delete it and download it"):
        fetch_stress_predict(folder)


def test_a_truncated_signal_is_an_error_and_never_short_data(folder):
    path = folder / "Raw_data/S05/BVP.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: 2 + 50 * 64]))
    message = (
        r"BVP.csv covers the unix seconds 1644227574 to 1644227624, .* 1644227583 to 1644227694"
    )
    with pytest.raises(ValueError, match=message + ": one of the two is truncated"):
        fetch_stress_predict(folder)


def test_a_signal_that_ends_before_the_others_is_an_error(folder):
    path = folder / "Raw_data/S05/EDA.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: 2 + 100 * 4]))
    with pytest.raises(ValueError, match=r"EDA.csv ends 20 s before the other signals of S05"):
        fetch_stress_predict(folder)


def test_labels_of_other_subjects_are_not_checked(folder):
    write_labels(folder, [*rows_of(2), (30, 9, 0), (30, 9, 1)])
    assert len(fetch_stress_predict(folder, subjects="S02")) == 1


def test_a_clock_that_was_half_a_day_off_is_an_error(folder):
    write_subject(folder, "S05", start=START - 43200)
    with pytest.raises(ValueError, match="is truncated, or from another recording"):
        fetch_stress_predict(folder)


def test_subjects_that_cannot_be_read_are_skipped_with_a_report(folder):
    (folder / "Raw_data/S05/EDA.csv").unlink()
    with pytest.warns(UserWarning, match=r"Skipped 1 of 2 subjects.\nsubject 'S05': .*EDA.csv is"):
        found = fetch_stress_predict(folder, on_error="skip")
    assert [r.subject for r in found] == ["S02"]


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"subjects": ["S01"]},
            r"subjects must be among the 34 from 'S02' to 'S35', got \['S01'\]",
        ),
        ({"subjects": []}, "subjects must be among"),
        ({"modalities": ["ecg"]}, r"modalities must be among .*'eda'.* got \['ecg'\]"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip', got 'ignore'"),
    ],
)
def test_an_invalid_parameter_is_named_at_once(folder, parameters, message, lazy):
    with pytest.raises(ValueError, match=message):
        fetch_stress_predict(folder, **parameters, lazy=lazy)


def test_a_failed_download_leaves_the_user_s_folder_unchanged(folder, tmp_path, monkeypatch):
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    before = {path for path in own.rglob("*") if path.is_file()}
    monkeypatch.setattr(stress_predict, "URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(ConnectionError, match="Could not download"):
        fetch_stress_predict(own, subjects=["S34"])
    assert {path for path in own.rglob("*") if path.is_file()} == before
    assert {recording.subject for recording in fetch_stress_predict(own)} == {"S02", "S05"}
