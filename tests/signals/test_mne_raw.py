"""Recordings of a Raw of MNE."""

import numpy as np
import pandas as pd
import pytest

from skemo import Recording, segment
from skemo.io import make_epochs

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


# Back to MNE


def make_recording(**changes):
    rng = np.random.default_rng(0)
    parts = {
        "signals": {"eeg": rng.normal(size=(2, 1000)), "ecg": rng.normal(size=(1, 1000))},
        "sampling_rates": {"eeg": 100, "ecg": 100},
        "channels": {"eeg": ["Fz", "Cz"], "ecg": ["ECG"]},
        "units": {"eeg": "µV", "ecg": "mV"},
        "labels": [(0, 4, "rest"), (5, 10, "task")],
        "excluded": [(2, 3)],
        "start_time": "2024-05-01 09:30+00:00",
    }
    return Recording(**{**parts, **changes}, subject="A")


def test_a_recording_comes_back_from_mne_as_it_was():
    recording = make_recording()
    back = Recording.from_mne(recording.to_mne(), subject="A")
    for name, samples in recording.signals.items():
        np.testing.assert_allclose(back.signals[name], samples, rtol=1e-12)
    for what in ("sampling_rates", "channels", "units", "labels", "excluded", "start_time"):
        assert getattr(back, what) == getattr(recording, what)


def test_a_raw_is_in_volts_and_siemens_with_the_types_of_mne():
    recording = Recording(
        {name: np.ones((1, 10)) for name in ("eeg", "ecg", "eda", "temp", "ppg", "resp")},
        dict.fromkeys(("eeg", "ecg", "eda", "temp", "ppg", "resp"), 4),
        units={"eeg": "uV", "ecg": "mV", "eda": "µS", "temp": "°C"},
        subject="A",
    )
    raw = recording.to_mne()
    types = ["eeg", "ecg", "gsr", "temperature", "misc", "resp"]
    assert raw.get_channel_types() == types
    assert raw.ch_names == list(recording.signals)
    np.testing.assert_allclose(raw.get_data()[:, 0], [1e-6, 1e-3, 1e-6, 1, 1, 1])


def test_missing_samples_are_annotated_as_mne_annotates_them():
    recording = make_recording(labels=[], excluded=[])
    recording.signals["eeg"][0, 200:300] = np.nan
    raw = recording.to_mne()
    found = {(a["onset"], a["duration"], a["description"], a["ch_names"]) for a in raw.annotations}
    expected = mne.preprocessing.annotate_nan(raw, verbose="error")
    assert found == {(a["onset"], a["duration"], a["description"], a["ch_names"]) for a in expected}
    back = Recording.from_mne(raw, subject="A")
    assert back.excluded == ()
    np.testing.assert_array_equal(np.isnan(back.signals["eeg"]), np.isnan(recording.signals["eeg"]))


def test_signals_that_start_later_are_missing_before():
    recording = make_recording(starts={"eeg": 1.0, "ecg": 3.0}, labels=[(0, 4, "rest")])
    raw = recording.to_mne()
    assert raw.n_times == 1200
    assert np.isnan(raw.get_data("ECG")[0, :200]).all()
    np.testing.assert_allclose(raw.get_data("ECG")[0, 200:], recording.signals["ecg"][0] / 1000)
    assert pd.Timestamp(raw.info["meas_date"]) == pd.Timestamp("2024-05-01 09:30:01+00:00")
    assert Recording.from_mne(raw, subject="A").labels == ((0, 3, "rest"),)


def test_a_raw_of_several_rates_is_refused_with_the_remedy():
    recording = make_recording(sampling_rates={"eeg": 100, "ecg": 250})
    with pytest.raises(ValueError, match=r"\('eeg' at 100 Hz, 'ecg' at 250 Hz\).* Pass modalities"):
        recording.to_mne()
    assert recording.to_mne("ecg").info["sfreq"] == 250


@pytest.mark.parametrize("unit", [None, "µS", "counts"])
def test_a_signal_in_an_unknown_unit_is_refused_unless_it_is_misc(unit):
    recording = make_recording(units={"eeg": "µV", "ecg": unit})
    with pytest.raises(ValueError, match=r"'ecg' should be in a unit of volts .*types={'ecg': 'mi"):
        recording.to_mne()
    raw = recording.to_mne(types={"ecg": "misc"})
    np.testing.assert_array_equal(raw.get_data("ECG"), recording.signals["ecg"])


def test_channels_with_the_same_name_get_that_of_their_modality():
    raw = make_recording(channels={"eeg": ["1", "2"], "ecg": ["1"]}).to_mne()
    assert raw.ch_names == ["eeg 1", "eeg 2", "ecg 1"]


def test_a_signal_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"among the signals \['eeg', 'ecg'\], got \['eda'\]"):
        make_recording().to_mne("eda")


def test_labels_beyond_the_samples_end_with_them():
    with pytest.warns(UserWarning, match="its labels end at 20 s"):
        recording = make_recording(labels=[(5, 20, "task")], excluded=[])
    (annotation,) = recording.to_mne().annotations
    assert annotation["duration"] == pytest.approx(5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modalities": 3}, "modalities must be a name or a list of names, got 3"),
        ({"types": "eeg"}, "types must be a dict of modality to channel type"),
        ({"types": {"ecg": "x"}}, "types has 'x' for 'ecg', but MNE's channel types are"),
    ],
)
def test_types_that_mne_does_not_have_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        make_recording().to_mne(**settings)


def test_a_recording_longer_than_any_date_is_an_error():
    recording = make_recording(sampling_rates={"eeg": 1e-9, "ecg": 1e-9}, start_time=None)
    with pytest.raises(ValueError, match="longer than the dates of MNE reach: check its sampling"):
        recording.to_mne()


def test_windows_become_epochs_with_their_labels_and_columns():
    windows = segment(make_recording(excluded=[], targets={"arousal": 5.0}), 2.0)
    epochs = make_epochs(windows)
    assert len(epochs) == len(windows) == 4
    assert epochs.event_id == {"rest": 1, "task": 2}
    assert len(epochs["task"]) == 2
    assert list(epochs.metadata) == ["subject", "trial", "start", "label", "arousal"]
    np.testing.assert_allclose(epochs.get_data("eeg") * 1e6, np.asarray(windows["eeg"]))
    np.testing.assert_allclose(epochs.get_data("ecg") * 1e3, np.asarray(windows["ecg"]))
    assert epochs["arousal == 5"].info["sfreq"] == 100


def test_windows_without_labels_are_epochs_of_one_kind():
    windows = segment(make_recording(labels=[], excluded=[]), 5.0)
    assert make_epochs(windows, "eeg").event_id == {"no label": 1}
    assert make_epochs(windows[["ecg"]]).event_id == {"window": 1}


def test_missing_windows_are_nan_in_epochs():
    starts = {"eeg": 0.0, "ecg": 5.0}
    windows = segment(make_recording(labels=[], excluded=[], starts=starts), 5.0, missing="keep")
    missing = np.isnan(make_epochs(windows).get_data()).all(axis=2)
    assert missing[[0, -1]].tolist() == [[False, False, True], [True, True, False]]
    assert windows["ecg"].isna().tolist() == missing[:, 2].tolist()


def test_only_a_table_of_windows_becomes_epochs():
    with pytest.raises(TypeError, match="windows must be a table from segment, got ndarray"):
        make_epochs(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"modalities must be among the signals \['eeg', 'ecg'\]"):
        make_epochs(segment(make_recording(), 1.0), "eda")
