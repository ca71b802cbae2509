"""Recordings of a Raw of MNE."""

import numpy as np
import pandas as pd
import pytest

from skemo import Recording, segment

mne = pytest.importorskip("mne")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def make_raw(**annotations):
    rng = np.random.default_rng(0)
    names = ["Fz", "Cz", "ECG", "GSR", "Temp", "Trigger"]
    types = ["eeg", "eeg", "ecg", "gsr", "temperature", "stim"]
    info = mne.create_info(names, 100.0, types)
    scale = np.array([1e-6, 1e-6, 1e-3, 1e-6, 1, 1])[:, np.newaxis]
    samples = rng.normal(size=(6, 3000))
    raw = mne.io.RawArray(samples * scale, info, verbose="error")
    return raw, samples


def test_channel_types_are_modalities_in_their_usual_units():
    raw, samples = make_raw()
    recording = Recording.from_mne(raw, subject="A")
    assert list(recording.signals) == ["eeg", "ecg", "eda", "temp"]
    assert recording.units == {"eeg": "µV", "ecg": "mV", "eda": "µS", "temp": "°C"}
    assert recording.channels["eeg"] == ("Fz", "Cz")
    for name, rows in {"eeg": [0, 1], "ecg": [2], "eda": [3], "temp": [4]}.items():
        np.testing.assert_allclose(recording.signals[name], samples[rows])


def test_modalities_are_chosen_by_type_or_by_name():
    raw, _ = make_raw()
    chosen = {"brain": "eeg", "heart": ["ECG"], "skin": "gsr", "one": "Cz"}
    recording = Recording.from_mne(raw, subject="A", modalities=chosen)
    assert recording.channels == {
        "brain": ("Fz", "Cz"),
        "heart": ("ECG",),
        "skin": ("GSR",),
        "one": ("Cz",),
    }
    with pytest.raises(ValueError, match="The Raw has no channel 'EMG' for 'emg'"):
        Recording.from_mne(raw, subject="A", modalities={"emg": ["EMG"]})


@pytest.mark.parametrize("meas_date", [None, pd.Timestamp("2024-05-01 09:30", tz="UTC")])
def test_annotations_become_labels_and_bad_ones_exclusions(meas_date):
    raw, _ = make_raw()
    raw.set_meas_date(meas_date)
    raw.set_annotations(mne.Annotations([2, 12, 15], [10, 10, 1], ["rest", "task", "BAD_move"]))
    recording = Recording.from_mne(raw, subject="A")
    assert recording.labels == ((2, 12, "rest"), (12, 22, "task"))
    assert recording.excluded == ((15, 16),)
    assert recording.start_time == meas_date
    cropped = Recording.from_mne(raw.crop(1.0), subject="A")
    assert cropped.labels == ((1, 11, "rest"), (11, 21, "task"))
    if meas_date is not None:
        assert cropped.start_time == meas_date + pd.Timedelta("1s")


def test_annotations_without_duration_last_to_the_next():
    raw, _ = make_raw()
    raw.set_annotations(mne.Annotations([2, 5, 12], 0, ["S1", "click", "S2"]))
    recording = Recording.from_mne(raw, subject="A", names={"S1": "rest", "S2": "task"})
    assert recording.labels == ((2, 12, "rest"), (12, 30, "task"))
    assert segment(recording, 5.0)["label"].tolist() == ["rest", "task", "task", "task"]


def test_only_a_raw_is_read():
    with pytest.raises(TypeError, match="raw must be a Raw of MNE, got ndarray"):
        Recording.from_mne(np.zeros((3, 2)), subject="A")
