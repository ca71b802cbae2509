"""The eegmat loader: recorded files, a download from a local server, damaged files."""

import contextlib
import hashlib
import itertools
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import edfio
import numpy as np
import pytest

from skemo import segment
from skemo.datasets import base, eegmat, fetch_eegmat

SUBJECTS_HERE = 24


# The recorded files


@pytest.fixture(scope="module")
def recordings(data_home):
    return fetch_eegmat(data_home / "eegmat")


def test_all_subjects_of_a_folder_are_read_in_order(recordings):
    assert len(recordings) == 2 * SUBJECTS_HERE
    assert [r.trial for r in recordings[:4]] == ["rest", "arithmetic"] * 2
    assert [r.subject for r in recordings] == sorted(r.subject for r in recordings)
    assert recordings[0].subject == "00"


def test_recordings_have_the_published_rates_channels_and_units(recordings):
    for recording in recordings:
        assert recording.sampling_rates == {"eeg": 500.0, "ecg": 500.0}
        assert recording.channels["eeg"] == eegmat.CHANNELS
        assert recording.signals["eeg"].shape[0] == 19
        assert recording.signals["ecg"].shape[0] == 1
        assert recording.units == {"eeg": "µV", "ecg": "mV"}
        assert {signal.dtype for signal in recording.signals.values()} == {np.dtype("float32")}


def test_recordings_have_the_published_durations_and_labels(recordings):
    durations = {(r.subject, r.trial): r.duration for r in recordings}
    assert durations.pop(("31", "rest")) == 80
    assert durations.pop(("10", "rest")) == 188
    assert durations.pop(("04", "rest")) == 170
    assert {trial: seconds for (_, trial), seconds in durations.items()} == {
        "rest": 182,
        "arithmetic": 62,
    }
    for recording in recordings:
        assert recording.labels == ((0.0, recording.duration, recording.trial),)


def test_values_are_plausible_for_eeg_and_ecg(recordings):
    for recording in recordings:
        spread = recording.signals["eeg"].std(axis=1)
        assert ((spread > 1) & (spread < 60)).all()  # microvolt
        assert np.abs(recording.signals["ecg"]).max() < 5  # millivolt, artefacts among them
        assert all(np.isfinite(signal).all() for signal in recording.signals.values())


def test_values_are_the_scaled_integers_of_the_file(data_home, recordings):
    content = (data_home / "eegmat" / "Subject00_1.edf").read_bytes()
    n_signals = int(content[252:256])
    start = int(content[184:192])
    first = np.frombuffer(content, "<i2", 500, offset=start)  # one second of Fp1
    low, high = -45.1698, 59.35658  # the physical range in the header
    expected = (first + 32768.0) / 65535 * (high - low) + low
    assert n_signals == 22
    np.testing.assert_allclose(recordings[0].signals["eeg"][0, :500], expected, atol=1e-4)


def test_there_are_as_many_ten_second_windows_as_fit(recordings):
    windows = segment(recordings, 10.0)
    assert windows["label"].value_counts().to_dict() == {"rest": 421, "arithmetic": 144}
    assert windows["subject"].nunique() == SUBJECTS_HERE
    assert windows["eeg"].array.values.shape == (565, 19, 5000)


def test_subjects_are_selected_in_the_given_order(data_home):
    chosen = fetch_eegmat(data_home / "eegmat", subjects=["31", "04"])
    assert [r.subject for r in chosen] == ["31", "31", "04", "04"]


# A small data set in the published layout


def write_subject(folder, subject, *, seconds=2, suffixes=("1", "2"), **changes):
    rng = np.random.default_rng(int(subject))
    for suffix in suffixes:
        signals = []
        for label in [*(f"EEG {name}" for name in eegmat.CHANNELS), "EEG A2-A1", "ECG ECG"]:
            unit = "mV" if label == "ECG ECG" else "uV"
            signal = edfio.EdfSignal(
                10 * rng.normal(size=500 * seconds),
                changes.get("sampling_rate", 500),
                label=label,
                physical_dimension=changes.get("unit", unit),
            )
            if label not in changes.get("without", ()):
                signals.append(signal)
        edfio.Edf(signals).write(folder / f"Subject{subject}_{suffix}.edf")


@pytest.fixture
def folder(tmp_path):
    for subject in ("00", "07"):
        write_subject(tmp_path, subject)
    return tmp_path


@pytest.fixture
def server(folder, tmp_path_factory, monkeypatch):
    """The small data set on a local server, and the names of the requested files."""
    (folder / "subject-info.csv").write_text("Subject,Age\n")
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.name}\n"
        for path in sorted(folder.iterdir())
    ]
    (folder / "SHA256SUMS.txt").write_text("".join(lines))
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, code="-", size="-"):
            asked.append(self.path.rpartition("/")[2])

        def log_error(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(eegmat, "URL", f"http://127.0.0.1:{httpd.server_port}/")
        monkeypatch.setattr(eegmat, "SUBJECTS", ("00", "07"))
        yield asked
        httpd.shutdown()
        thread.join()


def test_missing_files_are_downloaded_and_read(server, folder, tmp_path_factory):
    home = tmp_path_factory.mktemp("home") / "eegmat"
    recordings = fetch_eegmat(home)
    assert [(r.subject, r.trial) for r in recordings] == [
        ("00", "rest"),
        ("00", "arithmetic"),
        ("07", "rest"),
        ("07", "arithmetic"),
    ]
    assert sorted(path.name for path in home.iterdir()) == sorted(
        path.name for path in folder.iterdir()
    )
    server.clear()
    assert len(fetch_eegmat(home)) == 4
    assert server == []  # all there: nothing asked for


def test_an_interrupted_download_is_resumed(server, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    fetch_eegmat(home)
    (home / "Subject07_1.edf").unlink()
    (home / "Subject00_2.edf").write_bytes(b"half a file")
    server.clear()
    assert len(fetch_eegmat(home)) == 4
    assert sorted(server) == ["Subject00_2.edf", "Subject07_1.edf"]


def test_only_the_requested_subjects_are_downloaded(server, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    assert len(fetch_eegmat(home, subjects="07")) == 2
    assert not (home / "Subject00_1.edf").exists()


def test_a_download_that_is_not_the_publisher_s_is_refused(server, folder, tmp_path_factory):
    with (folder / "Subject07_1.edf").open("ab") as file:
        file.write(b"!")
    home = tmp_path_factory.mktemp("home")
    with pytest.raises(ValueError, match=r"SHA256 hash of downloaded file \(Subject07_1.edf\)"):
        fetch_eegmat(home)
    assert (home / "Subject00_2.edf").exists()
    assert not (home / "Subject07_1.edf").exists()


def test_a_file_missing_on_the_server_is_named(server, folder, tmp_path_factory):
    (folder / "Subject07_2.edf").unlink()
    home = tmp_path_factory.mktemp("home")
    with pytest.raises(ConnectionError, match=r"Could not download .*Subject07_2.edf"):
        fetch_eegmat(home)


def test_a_file_without_a_published_hash_is_refused(server, folder, tmp_path_factory):
    (folder / "SHA256SUMS.txt").write_text("<html>Please log in</html>\n")
    with pytest.raises(ValueError, match=r"lists no hash for subject-info.csv, Subject00_1.edf"):
        fetch_eegmat(tmp_path_factory.mktemp("home"))


def test_a_server_that_cannot_be_reached_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(eegmat, "URL", "http://127.0.0.1:9/")
    with pytest.raises(ConnectionError, match=r"Could not download from http://127.0.0.1:9/"):
        fetch_eegmat(tmp_path)


def test_a_folder_with_recordings_is_read_without_the_network(folder, monkeypatch):
    monkeypatch.setattr(eegmat, "URL", "http://127.0.0.1:9/")
    assert [r.subject for r in fetch_eegmat(folder)] == ["00", "00", "07", "07"]


# What cannot be read


@pytest.mark.parametrize("home", ["empty", "absent"])
def test_an_empty_folder_without_download_is_an_error(tmp_path, home):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        FileNotFoundError, match=rf"{home} has no files Subject00_1.edf to .*data_h"
    ):
        fetch_eegmat(tmp_path / home, download=False)


def test_a_missing_partner_is_named(folder):
    (folder / "Subject07_2.edf").unlink()
    with pytest.raises(FileNotFoundError, match=r"Subject07_2.edf is missing. Put it there"):
        fetch_eegmat(folder)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (100, "Subject07_1.edf cannot be read as EDF .*Delete it and download it again"),
        (3000, "Subject07_1.edf cannot be read as EDF"),
        (-7, "has 1 data records, but its header declares 2: it is truncated. Delete it"),
        (-22000, "Subject07_1.edf has 0 data records"),
    ],
)
def test_a_truncated_file_is_an_error_and_never_short_data(folder, keep, message):
    path = folder / "Subject07_1.edf"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=message):
        fetch_eegmat(folder)


def test_a_file_that_is_not_edf_is_an_error(folder):
    (folder / "Subject00_1.edf").write_bytes(b"<html>not found</html>" * 100)
    with pytest.raises(ValueError, match=r"Subject00_1.edf cannot be read as EDF"):
        fetch_eegmat(folder)


def test_a_file_with_more_records_than_it_declares_is_an_error(folder):
    path = folder / "Subject00_1.edf"
    content = bytearray(path.read_bytes())
    content[236:244] = b"1       "
    path.write_bytes(content)
    with pytest.raises(ValueError, match="has 2 data records, but its header declares 1"):
        fetch_eegmat(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"without": ["EEG Cz"]}, "'EEG Cz' should have 500 Hz and uV, but is missing"),
        ({"without": ["ECG ECG"]}, "'ECG ECG' should have 500 Hz and mV, but is missing"),
        ({"unit": "mV"}, r"'EEG Fp1' should have 500 Hz and uV, but has \(500.0, 'mV'\)"),
        ({"sampling_rate": 250}, r"'EEG Fp1' should have 500 Hz and uV, but has \(250.0, 'uV'\)"),
    ],
)
def test_a_file_that_is_not_as_published_is_an_error(folder, changes, message):
    write_subject(folder, "07", **changes)
    with pytest.raises(ValueError, match=message):
        fetch_eegmat(folder)


def test_subjects_that_cannot_be_read_are_skipped_with_a_report(folder):
    (folder / "Subject07_2.edf").unlink()
    with pytest.warns(UserWarning, match=r"Skipped 1 of 2 subjects.\nsubject '07': .*07_2.edf is"):
        recordings = fetch_eegmat(folder, on_error="skip")
    assert [r.subject for r in recordings] == ["00", "00"]
    (folder / "Subject00_1.edf").unlink()
    with pytest.raises(ValueError, match="Skipped 2 of 2 subjects"):
        fetch_eegmat(folder, on_error="skip")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"subjects": ["00", "36"]},
            r"subjects must be among the 36 from '00' to '35', got \['36'\]",
        ),
        ({"subjects": [0]}, r"subjects must be among the 36 from '00' to '35', got \[0\]"),
        ({"subjects": []}, "subjects must be among"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip', got 'ignore'"),
    ],
)
def test_an_invalid_parameter_is_named(folder, parameters, message):
    with pytest.raises(ValueError, match=message):
        fetch_eegmat(folder, **parameters)


def test_iteration_processes_and_modalities_do_not_change_the_recordings(folder):
    recordings = fetch_eegmat(folder)
    lazy = fetch_eegmat(folder, lazy=True)
    assert next(lazy).subject == recordings[0].subject
    for other in (fetch_eegmat(folder, n_jobs=2), fetch_eegmat(folder, modalities=["ecg"])):
        for one, two in zip(recordings, other, strict=True):
            assert (one.subject, one.trial) == (two.subject, two.trial)
            np.testing.assert_array_equal(one.signals["ecg"], two.signals["ecg"])
    assert list(fetch_eegmat(folder, modalities="ecg")[0].signals) == ["ecg"]


# Servers that send anything but the file


@pytest.fixture
def strange_server(monkeypatch):
    """Set what a local server sends, in blocks, and return the address of its folder."""
    blocks = {"headers": b"\r\n"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(OSError):  # when the client has had enough
                self.wfile.write(b"HTTP/1.0 200 OK\r\n" + blocks["headers"])
                for block in blocks["sent"]:
                    self.wfile.write(block)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        url = f"http://127.0.0.1:{httpd.server_port}/"
        yield lambda sent, **more: blocks.update(sent=sent, **more) or url
        httpd.shutdown()
        thread.join()


def trickle():
    while True:
        time.sleep(0.05)
        yield b"0"


def test_a_file_without_end_is_given_up(strange_server, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "_LARGEST_FILE", 10**6)
    url = strange_server(itertools.repeat(bytes(10**5)))
    with pytest.raises(ConnectionError, match=r"/a.edf is larger than 1 MB\). Try again"):
        base.download_files(url, tmp_path, ["a.edf"], hashes={"a.edf": None})
    assert [path.name for path in tmp_path.iterdir()] == ["SHA256SUMS.txt"]


def test_a_server_that_trickles_is_given_up(strange_server, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "_PATIENCE", 0.5)
    with pytest.raises(ConnectionError, match=r"/a.edf comes at less than 1000 bytes a second"):
        base.download_files(strange_server(trickle()), tmp_path, ["a.edf"], hashes={"a.edf": None})
    assert [path.name for path in tmp_path.iterdir()] == ["SHA256SUMS.txt"]


@pytest.mark.parametrize("headers", [b"Server: x", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_server_that_trickles_headers_or_the_size_of_a_chunk_is_given_up(
    headers, strange_server, tmp_path, monkeypatch
):
    monkeypatch.setattr(base, "_PATIENCE", 0.5)
    sent = itertools.islice(trickle(), 100)
    url = strange_server(sent, headers=headers)
    start = time.monotonic()
    with pytest.raises(ConnectionError, match=r"/a.edf comes at less than 1000 bytes a second"):
        base.download_files(url, tmp_path, ["a.edf"], hashes={"a.edf": None})
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("content", [b"\xff\xfe" * 50, b"", b"0" * 64 + b" other.edf\n"])
def test_a_damaged_list_of_hashes_is_not_kept(strange_server, tmp_path, content):
    with pytest.raises(ValueError, match=r"SHA256SUMS.txt lists no hash for a.edf: it is damaged"):
        base.download_files(strange_server([content]), tmp_path, ["a.edf"])
    assert not list(tmp_path.iterdir())


def test_a_damaged_list_of_hashes_is_downloaded_again(server, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "SHA256SUMS.txt").write_bytes(b"\xff\xfe" * 50)
    assert len(fetch_eegmat(home)) == 4


def test_a_folder_named_like_markup_shows_in_the_progress_bar(server, tmp_path_factory):
    home = tmp_path_factory.mktemp("home") / "[red]a[" / "b]"
    assert len(fetch_eegmat(home, progress=True)) == 4
