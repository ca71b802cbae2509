"""Files of Polar Sensor Logger, written as the app writes them."""

import numpy as np
import pandas as pd
import pytest

from skemo.io import read, read_polar

START = pd.Timestamp("2024-05-01 09:30:00.250")
SENSOR = 599616050941733632  # nanoseconds since 2000
ECG = np.round(100 * np.sin(np.arange(1300) / 5)).astype(int)


def write_ecg(path, *, rate=130.0, lost=()):
    """Write ten seconds of ECG; the phone notes a time for each packet of 73 samples."""
    lines = ["Phone timestamp;sensor timestamp [ns];timestamp [ms];ecg [uV]"]
    for i, ecg in enumerate(ECG):
        if i not in lost:
            phone = START + pd.Timedelta((i // 73) * 73 / rate, "s")
            seconds = i / rate
            stamp = SENSOR + round(seconds * 1e9)
            lines.append(
                f"{phone.isoformat(timespec='milliseconds')};{stamp};{seconds * 1000:.6f};{ecg}"
            )
    path.write_text("\n".join(lines) + "\n")
    return path


def write_rr(path, intervals, late=0.0):
    lines = ["Phone timestamp;RR-interval [ms]"]
    for arrival, interval in zip(np.cumsum(intervals) / 1000, intervals, strict=True):
        phone = START + pd.Timedelta(arrival + late, "s")
        lines.append(f"{phone.isoformat(timespec='milliseconds')};{interval}")
    path.write_text("\n".join(lines) + "\n")


def test_an_ecg_has_its_samples_at_130_hz_in_microvolts(tmp_path):
    recording = read_polar(write_ecg(tmp_path / "Polar_H10_0A1B2C3D_20240501_093000_ECG.txt"))
    np.testing.assert_array_equal(recording.signals["ecg"][0], ECG)
    assert recording.sampling_rates == {"ecg": 130}
    assert recording.units == {"ecg": "µV"}
    assert recording.start_time == START
    assert recording.subject == "Polar_H10_0A1B2C3D_20240501_093000_ECG"


def test_a_clock_that_is_not_quite_130_hz_is_resampled_to_it(tmp_path):
    recording = read_polar(write_ecg(tmp_path / "ecg.txt", rate=131.3))
    assert recording.sampling_rates == {"ecg": 130}
    assert recording.duration == pytest.approx(1300 / 131.3, abs=0.02)


def test_lost_packets_are_missing_samples(tmp_path):
    recording = read_polar(write_ecg(tmp_path / "ecg.txt", lost=range(292, 365)))
    assert recording.signals["ecg"].shape == (1, 1300)
    assert np.flatnonzero(np.isnan(recording.signals["ecg"][0])).tolist() == [*range(292, 365)]


def test_a_folder_has_all_streams_and_the_intervals_as_beats(tmp_path):
    write_ecg(tmp_path / "x_ECG.txt")
    intervals = [800, 820, 790, 810, 805] * 2
    write_rr(tmp_path / "x_RR.txt", intervals)
    lines = ["Phone timestamp;sensor timestamp [ns];X [mg];Y [mg];Z [mg]"]
    for i in range(500):
        phone = START + pd.Timedelta(2 + i / 50, "s")
        stamp = phone.isoformat(timespec="milliseconds")
        lines.append(f"{stamp};{SENSOR + i * 20_000_000};-953;63;{i}")
    (tmp_path / "x_ACC.txt").write_text("\r\n".join(lines) + "\r\n", newline="")
    (tmp_path / "MARKER.txt").write_text("something else\n")
    recording = read(tmp_path, subject="A")
    assert list(recording.signals) == ["acc", "ecg"]
    assert recording.sampling_rates["acc"] == 50
    assert recording.channels["acc"] == ("X", "Y", "Z")
    assert recording.starts["acc"] == pytest.approx(2, abs=0.01)
    np.testing.assert_array_equal(recording.signals["acc"][2], np.arange(500))
    np.testing.assert_allclose(1000 * np.diff(recording.beats["rr"]), intervals)


def test_beats_after_lost_intervals_follow_the_phone_again(tmp_path):
    write_ecg(tmp_path / "x_ECG.txt")
    write_rr(tmp_path / "x_RR.txt", [800] * 12)
    path = tmp_path / "x_RR.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:6] + lines[11:]) + "\n")
    recording = read_polar(tmp_path)
    beats = recording.beats["rr"]
    np.testing.assert_allclose(np.diff(beats), [0.8] * 5 + [4.0] + [0.8] * 2, atol=0.002)
    assert recording.beat_gaps["rr"] == ((beats[5], beats[6]),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b\n1;2\n", r"ecg.txt is not a file of Polar Sensor Logger.*has \['a', 'b'\]"),
        (
            "Phone timestamp;ecg [uV]\nnoon;1\nlater;2\n",
            "'Phone timestamp' has a value that is not a time",
        ),
        (
            "Phone timestamp;ecg [uV]\n2024-05-01T09:30:00.1;x\n",
            "line 2 has 'x' in the column",
        ),
        ("Phone timestamp;RR-interval [ms]\n2024-05-01T09:30:00.1;800\n", "has only RR intervals"),
    ],
)
def test_error_names_the_file(tmp_path, text, message):
    (tmp_path / "ecg.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_polar(tmp_path / "ecg.txt")


def test_two_files_of_one_kind_are_an_error(tmp_path):
    write_ecg(tmp_path / "a_ECG.txt")
    write_ecg(tmp_path / "b_ECG.txt")
    with pytest.raises(ValueError, match=r"two files of 'ecg', a_ECG.txt and b_ECG.txt"):
        read_polar(tmp_path)
