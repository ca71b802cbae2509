"""Streams of the lab streaming layer, on this machine."""

import time
import uuid

import numpy as np
import pytest

from skemo.io import LSLStreams


@pytest.fixture
def pylsl():
    try:
        import pylsl
    except (ImportError, RuntimeError) as error:  # RuntimeError without the library liblsl
        pytest.skip(f"pylsl is not installed ({error})")
    return pylsl


@pytest.fixture
def amplifier(pylsl):
    """The outlet of an amplifier with three channels in volts, and its unique name."""
    name = uuid.uuid4().hex
    info = pylsl.StreamInfo(name, "EEG", 3, 100, "float32", name)
    info.set_channel_labels(["F3", "F4", "ECG"])
    info.set_channel_units(["V", "V", "V"])
    return pylsl.StreamOutlet(info), name


def test_channels_are_chosen_by_label_and_converted_to_the_usual_units(amplifier):
    outlet, name = amplifier
    wanted = {"eeg": (name, ["F4", "F3"]), "ecg": (name, ["ECG"])}
    with LSLStreams(wanted, timeout=10.0) as streams:
        assert streams.sampling_rates == {"eeg": 100, "ecg": 100}
        assert streams.channels == {"eeg": ("F4", "F3"), "ecg": ("ECG",)}
        assert streams.units == {"eeg": "µV", "ecg": "mV"}
        found, stop = {}, time.monotonic() + 10
        while len(found) < 2 and time.monotonic() < stop:
            outlet.push_sample([1e-6, 2e-6, 3e-3])
            chunks, times = streams.pull()
            assert all(times[modality].shape == x.shape[1:] for modality, x in chunks.items())
            found |= chunks
            time.sleep(0.01)
    np.testing.assert_allclose(found["eeg"][:, 0], [2, 1], rtol=1e-5)
    np.testing.assert_allclose(found["ecg"][:, 0], [3], rtol=1e-5)


def test_iterating_ends_when_the_streams_are_closed(amplifier):
    outlet, name = amplifier
    streams = LSLStreams({"eeg": name}, timeout=10.0)
    outlet.push_sample([0, 0, 0])
    n_chunks = 0
    for _ in streams:
        n_chunks += 1
        streams.close()
    assert n_chunks == 1


def test_a_missing_stream_or_channel_is_named(amplifier):
    _, name = amplifier
    with pytest.raises(ValueError, match=r"no channel 'Oz'; it has \['F3', 'F4', 'ECG'\]"):
        LSLStreams({"eeg": (name, ["Oz"])}, timeout=10.0)
    with pytest.raises(ValueError, match=f"0 streams are called 'none', given for 'ecg'.*{name}"):
        LSLStreams({"ecg": "none"}, timeout=0.5)
    with pytest.raises(ValueError, match="timeout must be a positive number of seconds, got 0"):
        LSLStreams(timeout=0)


def test_without_any_stream_the_error_asks_for_the_device(pylsl):
    if pylsl.resolve_streams(0.5):
        pytest.skip("there are streams on this network")
    with pytest.raises(
        ValueError, match=r"^No LSL stream with a .* was found\. Is the device streaming"
    ):
        LSLStreams(timeout=0.5)
