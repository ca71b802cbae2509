"""What QualityDisplay measures and draws."""

from dataclasses import replace

import numpy as np
import pytest

from skemo import QualityDisplay
from skemo.datasets import make_emotion_recordings

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(scope="module")
def recording():
    """Of which the conductance is off the skin from the 20th second on."""
    recording = make_emotion_recordings(n_subjects=1, random_state=0)[0]
    eda = recording.signals["eda"].copy()
    eda[:, round(20 * recording.sampling_rates["eda"]) :] = 0
    return replace(recording, signals={**recording.signals, "eda": eda})


def test_each_signal_has_a_strip_and_an_eeg_a_row_a_channel(recording):
    display = QualityDisplay.from_recording(recording)
    assert list(display.axes_) == ["ecg", "eda", "eeg"]
    shapes = {name: image.get_array().shape[0] for name, image in display.images_.items()}
    assert shapes == {"ecg": 1, "eda": 1, "eeg": len(recording.signals["eeg"])}


def test_colours_are_the_qualities_from_0_to_1(recording):
    display = QualityDisplay.from_recording(recording)
    image = display.images_["eda"]
    np.testing.assert_array_equal(image.get_array()[0], display.quality["eda"]["eda"])
    assert image.get_clim() == (0, 1)


def test_what_is_below_the_threshold_is_hatched(recording):
    display = QualityDisplay.from_recording(recording, signals={"eda": "eda"})
    (hatched,) = display.axes_["eda"].collections[1:]
    n_low = (display.quality["eda"]["eda"] < 0.5).sum()
    assert len(hatched.get_paths()) == n_low > 0


def test_no_threshold_hatches_nothing(recording):
    display = QualityDisplay.from_recording(recording, signals={"eda": "eda"}, min_quality=None)
    assert not any(c.get_paths() for c in display.axes_["eda"].collections[1:])


def test_strips_are_drawn_in_axes_that_are_given(recording):
    figure, panels = plt.subplots(3)
    display = QualityDisplay.from_recording(recording, ax=panels)
    assert display.figure_ is figure
    assert list(display.axes_.values()) == list(panels)


def test_plotting_again_gives_the_same(recording):
    display = QualityDisplay.from_recording(recording)
    first = display.images_["ecg"].get_array()
    assert display.plot() is display
    np.testing.assert_array_equal(display.images_["ecg"].get_array(), first)


def test_a_single_stretch_is_drawn_from_its_start(recording):
    display = QualityDisplay.from_recording(recording, duration=1000.0)
    assert display.axes_["ecg"].get_xlim()[0] == pytest.approx(0)
