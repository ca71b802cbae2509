"""XDF files, written chunk by chunk as LabRecorder does."""

import struct

import numpy as np
import pytest

from skemo.io import read, read_xdf

pytest.importorskip("pyxdf")


def chunk(tag, content):
    return b"\x08" + struct.pack("<Q", len(content) + 2) + struct.pack("<H", tag) + content


def stream_header(number, name, kind, n_channels, rate, value_type, labels=(), unit=""):
    channels = "".join(
        f"<channel><label>{label}</label><unit>{unit}</unit></channel>" for label in labels
    )
    desc = f"<channels>{channels}</channels>" if labels else ""
    text = (
        f"<?xml version='1.0'?><info><name>{name}</name><type>{kind}</type>"
        f"<channel_count>{n_channels}</channel_count><nominal_srate>{rate}</nominal_srate>"
        f"<channel_format>{value_type}</channel_format><created_at>0</created_at>"
        f"<desc>{desc}</desc></info>"
    )
    return chunk(2, struct.pack("<I", number) + text.encode())


def numbers(number, times, values):
    content = struct.pack("<I", number) + b"\x04" + struct.pack("<I", len(times))
    for time, row in zip(times, values, strict=True):
        content += b"\x08" + struct.pack("<d", time) + np.asarray(row, "<f4").tobytes()
    return chunk(3, content)


def texts(number, times, values):
    content = struct.pack("<I", number) + b"\x04" + struct.pack("<I", len(times))
    for time, text in zip(times, values, strict=True):
        content += b"\x08" + struct.pack("<d", time)
        content += b"\x01" + struct.pack("<B", len(text)) + text.encode()
    return chunk(3, content)


def clock_offset(number, time, value):
    return chunk(4, struct.pack("<Idd", number, time, value))


def footer(number, times):
    text = (
        f"<?xml version='1.0'?><info><first_timestamp>{times[0]}</first_timestamp>"
        f"<last_timestamp>{times[-1]}</last_timestamp><sample_count>{len(times)}</sample_count>"
        "</info>"
    )
    return chunk(6, struct.pack("<I", number) + text.encode())


EEG = np.arange(2000) / 250  # at 250 Hz; the samples are their own time
ECG = 2 + np.arange(1300) / 130
MARKS = ([1.0, 3.0, 6.0], ["start", "rest", "task"])


def write(path, *, offset=0.0, jitter=0.0, lost=(), second_markers=False):
    """Write 8 s of EEG, and an ECG and markers whose clock is `offset` seconds behind."""
    rng = np.random.default_rng(0)
    since = 1000.0
    eeg_times = since + EEG + rng.uniform(-jitter, jitter, len(EEG))
    kept = np.ones(len(EEG), bool)
    kept[list(lost)] = False
    ecg_times = since + ECG - offset
    marks = since + np.array(MARKS[0])
    content = b"XDF:" + chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")
    content += stream_header(1, "Amp", "EEG", 2, 250, "float32", ["Fz", "Cz"], "microvolts")
    content += stream_header(2, "Strap", "ECG", 1, 130, "float32", ["ECG"], "uV")
    content += stream_header(3, "Stimuli", "Markers", 1, 0, "string")
    content += numbers(1, eeg_times[kept], np.stack([EEG, -EEG], axis=1)[kept])
    content += numbers(2, ecg_times, 1000 * ECG[:, np.newaxis])
    content += texts(3, marks, MARKS[1])
    if second_markers:
        content += stream_header(4, "Keys", "Markers", 1, 0, "string")
        content += texts(4, marks, ["a", "b", "c"])
    for number, late in ((1, 0.0), (2, offset), (3, 0.0)):
        for time in (since, since + 5, since + 10):
            content += clock_offset(number, time, late)
    for number, times in ((1, eeg_times), (2, ecg_times), (3, marks)):
        content += footer(number, times)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("offset", [0.0, 3.5])
def test_streams_have_their_rates_units_and_times_by_one_clock(tmp_path, offset):
    recording = read(write(tmp_path / "a.xdf", offset=offset))
    assert recording.sampling_rates == {"eeg": 250, "ecg": 130}
    assert recording.units == {"eeg": "µV", "ecg": "mV"}
    assert recording.channels == {"eeg": ("Fz", "Cz"), "ecg": ("ECG",)}
    assert recording.starts == pytest.approx({"eeg": 0, "ecg": 2}, abs=1e-4)
    np.testing.assert_allclose(recording.signals["eeg"], [EEG, -EEG], rtol=1e-6)
    np.testing.assert_allclose(recording.signals["ecg"][0], ECG, rtol=1e-6)


def test_markers_become_labels(tmp_path):
    path = write(tmp_path / "a.xdf")
    expected = [(1, 3, "start"), (3, 6, "rest"), (6, 12, "task")]
    assert [label for *_, label in read_xdf(path).labels] == [label for *_, label in expected]
    np.testing.assert_allclose([i[:2] for i in read_xdf(path).labels], [i[:2] for i in expected])
    named = read_xdf(path, names={"rest": 0, "task": 1})
    assert [label for *_, label in named.labels] == [0, 1]


def test_jitter_is_removed_and_gaps_are_missing(tmp_path):
    path = write(tmp_path / "a.xdf", jitter=0.0015, lost=range(800, 1300))
    eeg = read_xdf(path).signals["eeg"][0]
    assert np.isnan(eeg[805:1295]).all()
    known = ~np.isnan(eeg)
    assert 1490 <= known.sum() <= 1510
    np.testing.assert_allclose(eeg[known], np.arange(len(eeg))[known] / 250, atol=0.005)


def test_streams_and_channels_can_be_chosen(tmp_path):
    path = write(tmp_path / "a.xdf", second_markers=True)
    with pytest.raises(ValueError, match=r"has 2 marker streams, \['Stimuli \(Markers\)'"):
        read_xdf(path)
    recording = read_xdf(path, modalities={"front": ("EEG", ["Fz"])}, markers="Keys")
    assert recording.channels == {"front": ("Fz",)}
    assert recording.labels[0][2] == "a"
    with pytest.raises(ValueError, match="has 0 streams 'EMG' for 'emg'"):
        read_xdf(path, modalities={"emg": "EMG"})
    with pytest.raises(ValueError, match="the stream 'EEG' has no channel 'Pz'"):
        read_xdf(path, modalities={"eeg": ("EEG", ["Pz"])})
    with pytest.raises(ValueError, match="has no marker stream 'Keyboard'"):
        read_xdf(path, markers="Keyboard")


def test_foreign_and_damaged_files_are_errors(tmp_path):
    (tmp_path / "a.xdf").write_text("time,eeg\n")
    with pytest.raises(ValueError, match="is not an XDF file: it does not begin with 'XDF:'"):
        read_xdf(tmp_path / "a.xdf")
    (tmp_path / "b.xdf").write_bytes(b"XDF:")
    with pytest.raises(ValueError, match=r"b.xdf (cannot be read as XDF|has no stream of samples)"):
        read_xdf(tmp_path / "b.xdf")
