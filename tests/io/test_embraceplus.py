"""Raw files of an Empatica EmbracePlus, written in its schema."""

import numpy as np
import pandas as pd
import pytest

from skemo.io import read, read_embraceplus

fastavro = pytest.importorskip("fastavro")
START = 1714555800_000_000  # microseconds


def record(name, **fields):
    fields = [{"name": key, "type": kind} for key, kind in fields.items()]
    return {"type": "record", "name": name, "fields": fields}


def stream(name, **more):
    start = {"timestampStart": "long", "samplingFrequency": "float"}
    return record(name, **start, **(more or {"values": {"type": "array", "items": "float"}}))


def make_schema(*scale):
    ints, longs = ({"type": "array", "items": kind} for kind in ("int", "long"))
    imu = record("Imu", **dict.fromkeys(scale, "float"))
    raw = record(
        "Raw",
        accelerometer=stream("Acc", imuParams=imu, x=ints, y=ints, z=ints),
        eda=stream("Eda"),
        temperature=stream("Temp"),
        bvp=stream("Bvp"),
        systolicPeaks=record("Peaks", peaksTimeNanos=longs),
    )
    version = record("Version", major="int", minor="int", patch="int")
    return record("Session", schemaVersion=version, deviceSn="string", rawData=raw)


OLD = {"physicalMin": -16.0, "physicalMax": 16.0, "digitalMin": -32768.0, "digitalMax": 32768.0}


def write(path, late=0.0, seconds=60, device="3YK3J1", scale=OLD, version=(6, 4, 0)):
    """Write a part; skin conductance is the time in seconds, and the others a constant."""
    start = START + round(late * 1e6)

    def part(rate, **values):
        return {"timestampStart": start, "samplingFrequency": rate, **values}

    session = {
        "schemaVersion": dict(zip(("major", "minor", "patch"), version, strict=True)),
        "deviceSn": device,
        "rawData": {
            "accelerometer": part(
                64.0,
                imuParams=scale,
                x=[2048] * seconds * 64,
                y=[-2048] * seconds * 64,
                z=[0] * seconds * 64,
            ),
            "eda": part(4.0, values=list(late + np.arange(seconds * 4) / 4)),
            "temperature": {"timestampStart": 0, "samplingFrequency": 0.0, "values": []},
            "bvp": part(63.98, values=[1.5] * round(seconds * 63.98)),
            "systolicPeaks": {"peaksTimeNanos": [1000 * start + 500_000_000 * i for i in (1, 2)]},
        },
    }
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(make_schema(*scale)), [session])
    return path


def test_one_part_has_its_rates_units_and_beats(tmp_path):
    recording = read_embraceplus(write(tmp_path / "1-1-001_1714555800.avro"))
    assert recording.sampling_rates == {"ppg": 64, "eda": 4, "acc": 64}
    assert recording.units == {"ppg": None, "eda": "µS", "acc": "g"}
    np.testing.assert_allclose(recording.signals["acc"][:, 0], [1, -1, 0])
    assert recording.start_time == pd.Timestamp("2024-05-01 09:30", tz="UTC")
    assert recording.beats["peaks"].tolist() == [0.5, 1.0]
    assert recording.signals["ppg"].shape[1] / 64 == pytest.approx(60, abs=0.05)


def test_parts_that_follow_each_other_are_joined_and_gaps_are_missing(tmp_path):
    (tmp_path / "day").mkdir()
    for i, late in enumerate([0, 60, 300]):
        write(tmp_path / "day" / f"part_{i}.avro", late)
    recording = read(tmp_path, subject="A")
    eda = recording.signals["eda"][0]
    seconds = np.arange(len(eda)) / 4
    assert len(eda) == 360 * 4
    known = (seconds < 120) | (seconds >= 300)
    np.testing.assert_allclose(eda[known], seconds[known])
    assert np.isnan(eda[~known]).all()
    assert recording.subject == "A"


def test_peaks_on_both_sides_of_missing_pulse_have_a_gap_between_them(tmp_path):
    write(tmp_path / "a.avro")
    write(tmp_path / "b.avro", late=61.0)
    recording = read_embraceplus(tmp_path)
    assert recording.beats["peaks"].tolist() == [0.5, 1.0, 61.5, 62.0]
    assert recording.beat_gaps["peaks"] == ((1.0, 61.5),)
    assert read_embraceplus(tmp_path / "a.avro").beat_gaps["peaks"] == ()


def test_a_progress_bar_is_drawn_on_request(tmp_path, capsys):
    write(tmp_path / "a.avro")
    read_embraceplus(tmp_path)
    assert capsys.readouterr().err == ""
    read_embraceplus(tmp_path, progress=True)
    captured = capsys.readouterr()
    assert "Reading" in captured.err
    assert captured.out == ""


def test_the_newer_schema_has_a_conversion_factor(tmp_path):
    scale = {"conversionFactor": 1 / 2048}
    recording = read_embraceplus(write(tmp_path / "a.avro", scale=scale, version=(6, 5, 0)))
    np.testing.assert_allclose(recording.signals["acc"][:, 0], [1, -1, 0])


def test_parts_that_overlap_are_not_counted_twice(tmp_path):
    write(tmp_path / "a.avro", 0)
    write(tmp_path / "b.avro", 30)
    eda = read_embraceplus(tmp_path).signals["eda"][0]
    np.testing.assert_allclose(eda, np.arange(360) / 4)


def test_files_of_several_devices_are_an_error(tmp_path):
    write(tmp_path / "a.avro")
    write(tmp_path / "b.avro", 60, device="other")
    with pytest.raises(ValueError, match=r"several devices: a.avro of 3YK3J1, b.avro of other"):
        read_embraceplus(tmp_path)


def test_truncated_foreign_and_missing_files_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no .avro files"):
        read_embraceplus(tmp_path)
    path = write(tmp_path / "a.avro")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ValueError, match=r"a.avro cannot be read as Avro .* truncated or damaged"):
        read_embraceplus(path)
    with path.open("wb") as file:
        schema = fastavro.parse_schema(record("Other", number="int"))
        fastavro.writer(file, schema, [{"number": 1}])
    with pytest.raises(ValueError, match=r"a.avro is not a raw file of an EmbracePlus"):
        read_embraceplus(path)
