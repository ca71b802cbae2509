"""Files of OpenSignals, written as the program writes them."""

import json

import numpy as np
import pandas as pd
import pytest

from skemo.io import read, read_opensignals


def make_header(device="bitalino_rev", sensors=("ECG", "EDA"), rate=1000, **settings):
    labels = [f"A{i + 1}" for i in range(len(sensors))]
    columns = ["nSeq", "I1", "I2", "O1", "O2"] if device.startswith("bit") else ["nSeq", "DI"]
    bits = [4, 1, 1, 1, 1] if device.startswith("bit") else []
    return {
        "sensor": list(sensors),
        "device name": "20:16:07:18:12:97",
        "column": columns + labels,
        "sync interval": 2,
        "time": "14:34:10.234",
        "date": "2024-5-1",
        "comments": "",
        "device connection": "BTH20:16:07:18:12:97",
        "channels": [1, 2],
        "mode": 0,
        "digital IO": [0, 0, 1, 1],
        "firmware version": 52,
        "device": device,
        "position": 0,
        "sampling rate": rate,
        "label": labels,
        "resolution": bits + [10 if bits else 16] * len(sensors),
        "special": [{}, {}],
    } | settings


def write(path, samples, *headers, lost=(), end="\n"):
    header = {f"00:07:80:0{i}": each for i, each in enumerate(headers)}
    lines = [
        "# OpenSignals Text File Format. Version 1",
        f"# {json.dumps(header)}",
        "# EndOfHeader",
    ]
    for i, row in enumerate(samples):
        if i in lost:
            continue
        cells = []
        for each in headers:
            is_bitalino = each["device"].startswith("bit")
            cells += [i % 16 if is_bitalino else i, *([0, 0, 1, 1] if is_bitalino else [0])]
            cells += list(row)
        lines.append("\t".join(map(str, cells)) + "\t")
    path.write_text(end.join(lines) + end, newline="")
    return path


SAMPLES = np.array([[0, 0], [512, 512], [1023, 100], [700, 200]] * 25)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_bitalino_is_converted_with_the_makers_transfer_functions(tmp_path, end):
    recording = read_opensignals(write(tmp_path / "a.txt", SAMPLES, make_header(), end=end))
    assert recording.units == {"ecg": "mV", "eda": "µS"}
    assert recording.sampling_rates == {"ecg": 1000, "eda": 1000}
    assert recording.start_time == pd.Timestamp("2024-05-01 14:34:10.234")
    ecg, eda = recording.signals["ecg"][0], recording.signals["eda"][0]
    np.testing.assert_allclose(ecg[:2], [-1.5, 0.0])  # from -1.5 mV to 1.5 mV, the data sheet
    np.testing.assert_allclose(eda[:2], [0.0, 12.5])  # to 25 µS


def test_a_biosignalsplux_has_other_transfer_functions(tmp_path):
    samples = np.array([[0, 65536], [32768, 32768]] * 20)
    header = make_header("biosignalsplux", ("ECG", "EDA"))
    recording = read(write(tmp_path / "a.txt", samples, header))
    np.testing.assert_allclose(recording.signals["ecg"][0, :2], [-1.4720314, 0], rtol=1e-6)
    np.testing.assert_allclose(recording.signals["eda"][0, :2], [25, 12.5])


def test_an_old_bitalino_measures_conductance_with_another_circuit(tmp_path):
    path = write(tmp_path / "a.txt", SAMPLES, make_header("bitalino", ("RAW", "EDA")))
    np.testing.assert_allclose(read_opensignals(path).signals["eda"][0, :2], [1.0, 2.0])


def test_sensors_that_were_not_chosen_can_be_named(tmp_path):
    path = write(tmp_path / "a.txt", SAMPLES, make_header(sensors=("RAW", "CUSTOM")))
    plain = read_opensignals(path)
    assert list(plain.signals) == ["A1", "A2"]
    np.testing.assert_array_equal(plain.signals["A1"][0], SAMPLES[:, 0])
    named = read_opensignals(path, sensors={"A1": "ECG", "A2": "ECG"})
    assert named.units == {"ecg": "mV", "ecg2": "mV"}


def test_lost_samples_are_missing(tmp_path):
    path = write(tmp_path / "a.txt", SAMPLES, make_header(), lost=[10, 11, 12])
    ecg = read_opensignals(path).signals["ecg"]
    assert ecg.shape == (1, 100)
    assert np.flatnonzero(np.isnan(ecg[0])).tolist() == [10, 11, 12]


def test_of_several_devices_one_has_to_be_chosen(tmp_path):
    other = make_header("biosignalsplux", ("RESPIRATION", "XYZ"), rate=500)
    path = write(tmp_path / "a.txt", SAMPLES, make_header(), other)
    with pytest.raises(ValueError, match=r"has 2 devices, \['00:07:80:00', '00:07:80:01'\]"):
        read_opensignals(path)
    recording = read_opensignals(path, device="00:07:80:01")
    assert recording.sampling_rates == {"resp": 500, "acc": 500}
    np.testing.assert_array_equal(recording.signals["resp"][0], SAMPLES[:, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\t1\n", "is not an OpenSignals text file: its first line"),
        (
            "# OpenSignals Text File Format\n# {\n# EndOfHeader\n0\t1\n",
            "line 2 should be",
        ),
        ("# OpenSignals Text File Format\n# {}\n0\t1\n", "the header has no end"),
        (
            '# OpenSignals Text File Format\n# {"a": {"column": []}}\n# EndOfHeader\n0\t1\n',
            "the header of the device a has no 'label'",
        ),
    ],
)
def test_error_names_the_file_and_what_is_wrong(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(ValueError, match=f"a.txt.*{message}"):
        read_opensignals(tmp_path / "a.txt")
