"""EDF and BDF files, written with edfio, and recorded ones."""

import edfio
import numpy as np
import pytest

from skemo.io import read, read_edf


def make_edf(annotations=(), **settings):
    rng = np.random.default_rng(0)
    signals = [
        edfio.EdfSignal(rng.normal(size=2560), 256, label="EEG Fp1", physical_dimension="uV"),
        edfio.EdfSignal(rng.normal(size=2560), 256, label="EEG Fp2", physical_dimension="uV"),
        edfio.EdfSignal(rng.normal(size=5120), 512, label="ECG", physical_dimension="uV"),
        edfio.EdfSignal(rng.normal(size=40), 4, label="GSR", physical_dimension="uS"),
    ]
    notes = [edfio.EdfAnnotation(*annotation) for annotation in annotations]
    return edfio.Edf(signals, annotations=notes, **settings)


def test_signals_are_grouped_by_type_in_their_usual_units(tmp_path):
    edf = make_edf()
    edf.write(tmp_path / "S01.edf")
    recording = read_edf(tmp_path / "S01.edf")
    assert recording.sampling_rates == {"eeg": 256, "ecg": 512, "eda": 4}
    assert recording.units == {"eeg": "µV", "ecg": "mV", "eda": "µS"}
    assert recording.channels["eeg"] == ("EEG Fp1", "EEG Fp2")
    np.testing.assert_allclose(recording.signals["ecg"][0], edf.signals[2].data / 1000, rtol=1e-5)
    assert recording.subject == "S01"


def test_annotations_become_labels(tmp_path):
    edf = make_edf([(1, 3, "rest"), (5, 4, "task")])
    edf.write(tmp_path / "S01.edf")
    recording = read(tmp_path / "S01.edf")
    assert recording.labels == ((1, 4, "rest"), (5, 9, "task"))
    named = read_edf(tmp_path / "S01.edf", names={"task": 1})
    assert named.labels == ((5, 9, 1),)


def test_annotations_without_a_duration_last_to_the_next(tmp_path):
    make_edf([(1, None, "rest"), (5, None, "task")]).write(tmp_path / "S01.edf")
    assert read_edf(tmp_path / "S01.edf").labels == ((1, 5, "rest"), (5, 10, "task"))


def test_bad_annotations_are_excluded_and_leave_the_labels_alone(tmp_path):
    make_edf([(0, None, "rest"), (6, None, "task"), (7, 3, "BAD_move")]).write(tmp_path / "a.edf")
    recording = read_edf(tmp_path / "a.edf")
    assert recording.labels == ((0, 6, "rest"), (6, 10, "task"))
    assert recording.excluded == ((7, 10),)


def test_events_among_labels_with_a_duration_are_told_of(tmp_path):
    make_edf([(0, 5, "rest"), (5, 5, "task"), (7, None, "click")]).write(tmp_path / "a.edf")
    with pytest.warns(UserWarning, match=r"without a duration \(1, such as 'click'\) are left"):
        recording = read_edf(tmp_path / "a.edf")
    assert recording.labels == ((0, 5, "rest"), (5, 10, "task"))
    names = {"rest": "rest", "task": "task"}
    assert read_edf(tmp_path / "a.edf", names=names).labels == recording.labels


def test_modalities_can_be_chosen(tmp_path):
    make_edf().write(tmp_path / "S01.edf")
    chosen = {"left": ["EEG Fp1"], "brain": "eeg", "skin": "GSR"}
    recording = read_edf(tmp_path / "S01.edf", modalities=chosen)
    assert [len(x) for x in recording.signals.values()] == [1, 2, 1]
    with pytest.raises(ValueError, match=r"S01.edf has no channel 'EMG' for 'emg'; its channels"):
        read_edf(tmp_path / "S01.edf", modalities={"emg": "EMG"})
    with pytest.raises(ValueError, match=r"of 'all' have different sampling rates, \[4.0, 256.0\]"):
        read_edf(tmp_path / "S01.edf", modalities={"all": ["EEG Fp1", "GSR"]})


def test_truncated_and_foreign_files_are_errors(tmp_path):
    make_edf().write(tmp_path / "S01.edf")
    content = (tmp_path / "S01.edf").read_bytes()
    (tmp_path / "cut.edf").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cut.edf has \d data records, but its header"):
        read_edf(tmp_path / "cut.edf")
    (tmp_path / "text.edf").write_text("time,ecg\n")
    with pytest.raises(ValueError, match=r"text.edf cannot be read as EDF"):
        read_edf(tmp_path / "text.edf")
    (tmp_path / "gaps.edf").write_bytes(content[:192] + b"EDF+D" + content[197:])
    with pytest.raises(ValueError, match=r"gaps.edf is discontinuous \(EDF\+D\)"):
        read_edf(tmp_path / "gaps.edf")


def test_recorded_files_are_read_like_the_data_set(data_home):
    from skemo.datasets import fetch_eegmat

    recording = read(data_home / "eegmat" / "Subject00_2.edf")
    published = fetch_eegmat(data_home / "eegmat", subjects=["00"])[1]
    np.testing.assert_array_equal(recording.signals["ecg"], published.signals["ecg"])
    eeg = [recording.channels["eeg"].index(f"EEG {name}") for name in published.channels["eeg"]]
    np.testing.assert_array_equal(recording.signals["eeg"][eeg], published.signals["eeg"])


def test_mne_reads_the_same_file_to_the_same_recording(data_home):
    mne = pytest.importorskip("mne")
    from skemo import Recording

    path = data_home / "eegmat" / "Subject00_2.edf"
    own = read_edf(path, modalities={"eeg": ["EEG Fp1", "EEG Fp2"], "ecg": ["ECG ECG"]})
    raw = mne.io.read_raw_edf(path, preload=True, verbose="error")
    raw.set_channel_types({"ECG ECG": "ecg"}, verbose="error")
    modalities = {"eeg": ["EEG Fp1", "EEG Fp2"], "ecg": ["ECG ECG"]}
    theirs = Recording.from_mne(raw, subject="Subject00_2", modalities=modalities)
    for name in modalities:
        np.testing.assert_allclose(own.signals[name], theirs.signals[name], rtol=1e-5, atol=1e-6)
    assert own.units == theirs.units
