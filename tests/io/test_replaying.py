"""A recording in chunks is the recording."""

import time

import numpy as np
import pytest

from skemo import Recording
from skemo.io import replay


@pytest.mark.parametrize("chunk", [0.01, 0.3, 1.0, 99.0])
def test_the_chunks_of_a_recording_make_up_the_recording(chunk):
    rng = np.random.default_rng(0)
    signals = {"eeg": rng.normal(size=(2, 333)), "eda": rng.normal(size=(1, 17))}
    rates = {"eeg": 100, "eda": 4.1}
    recording = Recording(signals, rates, subject="a", starts={"eda": 0.777})
    found = list(replay(recording, chunk=chunk))
    for name, rate in rates.items():
        parts = [chunks[name] for chunks, _ in found if name in chunks]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), signals[name])
        seconds = np.concatenate([times[name] for _, times in found if name in times])
        expected = recording.starts[name] + np.arange(len(seconds)) / rate
        np.testing.assert_allclose(seconds, expected)


def test_no_sample_comes_before_its_time():
    recording = Recording({"eda": np.arange(8)}, {"eda": 20}, subject="a")
    begun = time.monotonic()
    for _, times in replay(recording, chunk=0.1, speed=2):
        assert time.monotonic() - begun >= times["eda"][-1] / 2
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("settings", [{"chunk": 0}, {"speed": -1}])
def test_settings_must_be_positive(settings):
    recording = Recording({"eda": np.arange(8)}, {"eda": 20}, subject="a")
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be"):
        replay(recording, **settings)


def test_the_path_of_a_recording_is_refused():
    with pytest.raises(TypeError, match=r"takes a Recording, got str: read a file with skemo\.io"):
        replay("one.edf")
