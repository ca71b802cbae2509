"""Files of AcqKnowledge, written in the layout of its version 2."""

import struct

import numpy as np
import pytest

from skemo.io import read, read_biopac

pytest.importorskip("bioread")

VERSION = 30  # 2.0a
ECG = np.round(100 * np.sin(np.arange(1000) / 20)).astype(int)
EDA = np.arange(1000)


def write(path, markers=(), units=(b"mV", b"microsiemens")):
    """Write 2 s of ECG and skin conductance at 500 Hz, with markers in samples."""
    rest = struct.pack(
        "<hhhddddd4h6hhdh40s10s6h",
        *(2, 0, 0),  # channels, axis, current channel
        *(2.0, 0.0, 1.0, 0.0, 0.0),  # milliseconds per sample, offset, scale, cursors
        *[0] * 10,
        *(0, 0.0, 0, b"seconds", b"s"),
        *[0] * 6,
    )
    content = struct.pack("<hIi", 0, VERSION, len(rest) + 10) + rest
    names = (b"ECG100C", b"EDA100C")
    for i, (name, unit) in enumerate(zip(names, units, strict=True)):
        body = struct.pack(
            "<h40s4Bhdd20siddhh",
            *(i, name, 0, 0, 0, 0, i, 0.0, 1.0, unit, len(ECG), 0.01, 0.5 * i, i, 0),
        )
        content += struct.pack("<i", len(body) + 4) + body
    content += struct.pack("<hh", 4, 0)  # nothing foreign
    content += struct.pack("<hh", 2, 2) * 2  # two bytes a sample
    content += np.stack([ECG, EDA], axis=1).astype("<i2").tobytes()
    items = b"".join(
        struct.pack("<ihhh", sample, 0, 0, len(text)) + text for sample, text in markers
    )
    path.write_bytes(content + struct.pack("<ii", len(items) + 8, len(markers)) + items)
    return path


def test_channels_are_scaled_and_grouped_by_their_names(tmp_path):
    recording = read_biopac(write(tmp_path / "S01.acq"))
    assert recording.sampling_rates == {"ecg": 500, "eda": 500}
    assert recording.units == {"ecg": "mV", "eda": "µS"}
    np.testing.assert_allclose(recording.signals["ecg"][0], 0.01 * ECG, rtol=1e-6)
    np.testing.assert_allclose(recording.signals["eda"][0], 0.01 * EDA + 0.5, rtol=1e-6)
    assert recording.labels == ()
    assert repr(read(tmp_path / "S01.acq")) == repr(recording)


def test_named_markers_become_labels(tmp_path):
    path = write(tmp_path / "S01.acq", [(0, b"Segment 1\0"), (250, b"rest\0"), (600, b"task\0")])
    recording = read_biopac(path, names={"rest": "calm", "task": "stress"})
    assert recording.labels == ((0.5, 1.2, "calm"), (1.2, 2.0, "stress"))


def test_channels_can_be_chosen(tmp_path):
    path = write(tmp_path / "S01.acq", units=(b"mV", b"mV"))
    both = read_biopac(path, modalities={"all": ["ECG100C", "EDA100C"]})
    assert both.channels == {"all": ("ECG100C", "EDA100C")}
    with pytest.raises(ValueError, match=r"S01.acq has no channel 'RSP' for 'resp'; its channels"):
        read_biopac(path, modalities={"resp": ["RSP"]})


def test_truncated_and_foreign_files_are_errors(tmp_path):
    path = write(tmp_path / "S01.acq")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"S01.acq cannot be read as AcqKnowledge"):
        read_biopac(path)
    path.write_text("time,ecg\n")
    with pytest.raises(ValueError, match=r"S01.acq cannot be read as AcqKnowledge"):
        read_biopac(path)
