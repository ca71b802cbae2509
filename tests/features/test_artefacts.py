"""Artefacts of whole recordings."""

import numpy as np
import pytest
from beats import beat_times, make_ecg

from skemo import Recording, find_artefacts, find_beats, segment
from skemo.datasets import make_emotion_recordings
from skemo.features.artefacts import recording_quality

RATE = 250


def make_recording(**parameters):
    """Two minutes of an ECG, of skin conductance and of an EEG."""
    rng = np.random.default_rng(0)
    ecg = make_ecg(beat_times(0, 120, spread=0.03), RATE, 120) + 0.002 * rng.normal(size=30000)
    eda = 2 + 0.1 * np.sin(np.arange(480) / 20) + 0.001 * rng.normal(size=480)
    eeg = 10 * np.sin(np.arange(15360) / 2) + rng.normal(size=(3, 15360))
    return Recording(
        {"ecg": ecg, "eda": eda, "eeg": eeg},
        {"ecg": RATE, "eda": 4, "eeg": 128},
        channels={"eeg": ["F3", "Fz", "F4"]},
        subject="S1",
        **parameters,
    )


def missing_seconds(recording, name, channel=0):
    """Where a signal begins and ends to be NaN."""
    missing = np.isnan(recording.signals[name][channel]).astype(int)
    edges = np.flatnonzero(np.diff(missing, prepend=0, append=0))
    return edges / recording.sampling_rates[name]


def test_a_clean_recording_stays_as_it_is():
    recording = make_recording()
    found = find_artefacts(recording)
    for name, values in recording.signals.items():
        np.testing.assert_array_equal(found.signals[name], values)
    assert find_artefacts(recording, mark="excluded").excluded == ()


@pytest.mark.parametrize("start", [20, 61.3, 95])
@pytest.mark.parametrize("kind", ["flat", "noise"])
def test_a_stretch_that_shows_nothing_becomes_nan(start, kind):
    recording = make_recording()
    ecg = recording.signals["ecg"][0]
    first, stop = round(start * RATE), round((start + 15) * RATE)
    ecg[first:stop] = 0.3 if kind == "flat" else np.random.default_rng(1).normal(size=stop - first)
    begin, end = missing_seconds(find_artefacts(recording), "ecg")
    assert start - 2.5 <= begin <= start + 4.5
    assert start + 10.5 <= end <= start + 17.5


def test_other_signals_and_channels_keep_their_values():
    recording = make_recording()
    recording.signals["eeg"][1, 128 * 40 : 128 * 60] = 5.0
    found = find_artefacts(recording)
    assert len(missing_seconds(found, "eeg", channel=1)) == 2
    np.testing.assert_array_equal(found.signals["eeg"][[0, 2]], recording.signals["eeg"][[0, 2]])
    np.testing.assert_array_equal(found.signals["ecg"], recording.signals["ecg"])


def test_what_was_given_is_not_changed():
    recording = make_recording()
    recording.signals["eda"][0, 100:200] = 0
    before = recording.signals["eda"].copy()
    find_artefacts(recording)
    np.testing.assert_array_equal(recording.signals["eda"], before)


def test_artefacts_of_all_signals_are_excluded_beside_what_was_excluded():
    recording = make_recording(excluded=[(0, 5), (60, 62)])
    recording.signals["eda"][0, 4 * 50 : 4 * 75] = 0
    recording.signals["ecg"][0, 100 * RATE :] = 0
    found = find_artefacts(recording, mark="excluded")
    (first, second, third) = found.excluded
    assert first == (0, 5)
    assert second[0] <= 52
    assert second[1] >= 73  # 60 to 62 s lie inside
    assert third[0] <= 104
    assert third[1] == 120
    np.testing.assert_array_equal(found.signals["eda"], recording.signals["eda"])
    assert segment(found, 10)["start"].max() < 100


def test_beats_that_are_found_afterwards_are_not_those_of_noise():
    recording = make_recording()
    noise = np.random.default_rng(1).normal(size=20 * RATE)
    recording.signals["ecg"][0, 40 * RATE : 60 * RATE] = noise
    beats = find_beats(find_artefacts(recording)).beats["beats"]
    assert not ((beats > 45) & (beats < 55)).any()
    assert (beats < 25).sum() > 20


def test_signals_are_taken_that_are_named():
    recording = make_recording()
    recording.signals["ecg"][:] = 0
    found = find_artefacts(recording, signals={"eda": "eda"})
    assert not np.isnan(found.signals["ecg"]).any()


def test_whole_numbers_become_floating_point_ones():
    counts = np.full(480, 2)
    counts[200:300] = 0
    found = find_artefacts(Recording({"eda": counts}, {"eda": 4}, subject="S1"))
    assert found.signals["eda"].dtype.kind == "f"
    assert np.isnan(found.signals["eda"]).sum() > 50


def test_a_recording_shorter_than_a_stretch_is_measured_as_a_whole():
    recording = Recording({"eda": np.zeros(12)}, {"eda": 4}, subject="S1")
    assert np.isnan(find_artefacts(recording).signals["eda"]).all()


def test_quality_stands_at_the_middle_of_each_stretch():
    recording = make_recording()
    recording.signals["eda"][0, 240:] = 0
    tables = recording_quality(recording, duration=20, step=10)
    assert list(tables) == ["ecg", "eda", "eeg"]
    assert tables["eda"].index.tolist() == [*range(10, 111, 10)]
    np.testing.assert_allclose(tables["eda"]["eda"].iloc[[0, -1]], [1, 0], atol=0.01)
    assert list(tables["eeg"]) == ["F3", "Fz", "F4"]


def test_recordings_of_a_generator_are_looked_at_one_by_one():
    recordings = make_emotion_recordings(n_subjects=2, random_state=0)
    assert len(segment(map(find_artefacts, recordings), 10)) > 0


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"mark": "zero"}, "mark must be 'nan' or 'excluded', got 'zero'."),
        ({"min_quality": 2}, r"min_quality must be in \(0, 1\], got 2."),
        ({"duration": 0}, "duration must be a positive number of seconds, got 0."),
        ({"signals": {"bvp": "ppg"}}, "subject 'S1' has no signal 'bvp'; its signals are"),
        ({"signals": {"ecg": "egg"}}, "signal must be one of"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, said):
    with pytest.raises(ValueError, match=said):
        find_artefacts(make_recording(), **parameters)


def test_signals_whose_names_say_nothing_have_to_be_told():
    recording = Recording({"x": np.zeros(100)}, {"x": 4}, subject="S1")
    with pytest.raises(ValueError, match="has no signal whose kind follows from its name"):
        find_artefacts(recording)
