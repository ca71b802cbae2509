"""Recordings drawn: beats, conductance, labels, windows, and long recordings."""

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from skemo import Recording, decompose_eda, find_beats, segment
from skemo.datasets import fetch_eegmat, fetch_stress_predict, make_emotion_recordings
from skemo.displays.recording import RecordingDisplay, envelope

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(scope="module")
def recording():
    return make_emotion_recordings(n_subjects=1, random_state=0)[0]


@pytest.fixture(scope="module")
def labelled(recording):
    """The recording with two labels, unlabelled time and an excluded interval."""
    labels = [(0, 20, "calm"), (20, 40, "aroused")]
    return replace(recording, labels=labels, excluded=[(12.5, 13.5)])


def test_each_modality_has_a_panel_in_order_from_top_to_bottom(recording):
    display = RecordingDisplay.from_recording(recording)
    assert list(display.axes_) == ["windows", "ecg", "eda", "eda phasic", "eeg"]
    heights = [panel.get_position().y0 for panel in display.axes_.values()]
    assert heights == sorted(heights, reverse=True)


def test_chosen_modalities_are_drawn_in_the_given_order(recording):
    display = RecordingDisplay.from_recording(recording, modalities=["eeg", "ecg"])
    assert list(display.axes_) == ["windows", "eeg", "ecg"]


def test_signals_are_drawn_as_they_are_with_unit_and_rate(recording):
    display = RecordingDisplay.from_recording(recording, start=10, stop=12)
    seconds, values = display.lines_["ecg"][0].get_data()
    np.testing.assert_allclose(seconds, np.arange(1280, 1537) / 128)
    np.testing.assert_array_equal(values, recording.signals["ecg"][0, 1280:1537])
    assert display.axes_["ecg"].get_ylabel() == "ecg (mV)\n128 Hz"


def test_all_panels_show_the_same_time(recording):
    display = RecordingDisplay.from_recording(recording, start=10, stop=25)
    assert {panel.get_xlim() for panel in display.axes_.values()} == {(10, 25)}
    assert list(display.axes_.values())[-1].get_xlabel() == "Time (s)"


def test_dots_mark_the_beats_in_view_at_the_height_of_the_signal(recording):
    display = RecordingDisplay.from_recording(recording, start=10, stop=25)
    times = find_beats(recording).beats["beats"]
    seconds, values = display.beats_["ecg"].get_data()
    np.testing.assert_array_equal(seconds, times[(times >= 10) & (times <= 25)])
    samples = np.round(seconds * 128).astype(int)
    np.testing.assert_array_equal(values, recording.signals["ecg"][0, samples])


def test_beats_that_the_recording_has_are_not_searched_for_again(recording):
    own = replace(recording, beats={"chest": [1.0, 2.0, 60.5]})
    display = RecordingDisplay.from_recording(own)
    assert display.beats_["ecg"].get_xdata().tolist() == [1.0, 2.0]


def test_the_rate_is_drawn_instead_of_very_many_beats():
    phase = np.arange(0, 400, 1 / 64) % 0.8 - 0.4
    ecg = Recording({"ecg": np.exp(-((phase / 0.03) ** 2))}, {"ecg": 64}, subject="S2")
    display = RecordingDisplay.from_recording(ecg, stop=None)
    assert list(display.axes_) == ["ecg", "ecg rate"]
    rate = display.lines_["ecg rate"][0].get_ydata()
    np.testing.assert_allclose(rate[1:], 75, rtol=0.01)
    assert display.beats_ == {}
    assert display.axes_["ecg rate"].get_xlabel() == "Time (min)"


def test_a_signal_without_heartbeats_says_so():
    noise = np.random.default_rng(0).normal(size=6000)
    recording = Recording({"ecg": noise}, {"ecg": 200}, subject="S2")
    with pytest.warns(UserWarning, match="heartbeats were found in only"):
        display = RecordingDisplay.from_recording(recording)
    assert [text.get_text() for text in display.axes_["ecg"].texts] == ["no heartbeat found"]


def test_skin_conductance_is_drawn_with_its_tonic_and_phasic_parts(recording):
    display = RecordingDisplay.from_recording(recording, stop=None)
    tonic, phasic = decompose_eda(recording).signals["eda"]
    conductance, over = display.lines_["eda"]
    np.testing.assert_array_equal(conductance.get_ydata(), recording.signals["eda"][0])
    np.testing.assert_array_equal(over.get_ydata(), tonic)
    np.testing.assert_array_equal(display.lines_["eda phasic"][0].get_ydata(), phasic)


def test_conductance_decomposed_before_is_also_drawn_as_a_whole(recording):
    display = RecordingDisplay.from_recording(decompose_eda(recording), stop=None)
    whole, tonic = (line.get_ydata() for line in display.lines_["eda"])
    phasic = display.lines_["eda phasic"][0].get_ydata()
    np.testing.assert_allclose(whole - tonic, phasic, atol=1e-6)


def test_parts_and_beats_do_not_depend_on_the_time_in_view(recording):
    whole = RecordingDisplay.from_recording(recording, stop=None)
    part = RecordingDisplay.from_recording(recording, start=20, stop=30)
    np.testing.assert_array_equal(whole.parts["eda"], part.parts["eda"])
    np.testing.assert_array_equal(whole.beats["ecg"], part.beats["ecg"])


def test_many_channels_are_stacked_with_their_names(recording):
    panel = RecordingDisplay.from_recording(recording).axes_["eeg"]
    names = [label.get_text() for label in panel.get_yticklabels()]
    assert tuple(names) == recording.channels["eeg"]
    steps = np.diff(panel.get_yticks())
    assert (steps < 0).all()
    np.testing.assert_allclose(steps, steps[0])


def test_the_scale_bar_beside_stacked_channels_has_the_length_it_says(recording):
    panel = RecordingDisplay.from_recording(recording).axes_["eeg"]
    (text,) = panel.texts
    size, unit = text.get_text().split()
    bar = panel.lines[-1].get_ydata()
    assert unit == "µV"
    assert np.ptp(bar) == pytest.approx(float(size))
    assert np.ptp(bar) <= -np.diff(panel.get_yticks())[0]


def test_few_channels_share_a_panel_with_a_legend():
    acc = Recording({"acc": np.eye(3, 320)}, {"acc": 32}, {"acc": ["x", "y", "z"]}, subject="S2")
    display = RecordingDisplay.from_recording(acc)
    assert len(display.lines_["acc"]) == 3
    legend = display.axes_["acc"].get_legend().get_texts()
    assert [text.get_text() for text in legend] == ["x", "y", "z"]


def test_labels_are_shaded_and_named(labelled):
    display = RecordingDisplay.from_recording(labelled, start=5)
    assert display.bands_ == [("calm", (5, 20)), ("aroused", (20, 40))]
    names = [(text.get_text(), text.get_position()[0]) for text in display.axes_["windows"].texts]
    assert names == [("calm", 12.5), ("aroused", 30)]


def test_each_label_is_named_where_it_lasts_longest_even_without_room(recording):
    labels = [(0, 0.1, "a short moment"), (1, 1.2, "a short moment"), (2, 50, "long")]
    display = RecordingDisplay.from_recording(replace(recording, labels=labels))
    names = [(text.get_text(), text.get_position()[0]) for text in display.axes_["windows"].texts]
    assert names == [("a short moment", 1.1), ("long", 26)]


def test_windows_have_the_colour_of_their_label_and_dropped_ones_are_hollow(labelled):
    windows = segment(labelled, duration=5.0)
    display = RecordingDisplay.from_recording(labelled, windows=windows)
    table = display.windows
    assert table["start"].tolist() == [5.0 * i for i in range(12)]
    assert table["start"][~table["kept"]].tolist() == [10, 40, 45, 50, 55]
    spans = {}
    for bars in display.windows_:
        color = tuple(bars.get_facecolor()[0][:3])
        begins = [path.get_extents().x0 for path in bars.get_paths()]
        spans.setdefault(color, []).extend(begins)
    assert spans.pop((1, 1, 1)) == [10, 40, 45, 50, 55]
    assert sorted(map(sorted, spans.values())) == [[0, 5, 15], [20, 25, 30, 35]]
    assert display.axes_["windows"].get_title(loc="right") == "hatched: excluded, hollow: dropped"


def test_overlapping_windows_are_drawn_in_different_lanes(labelled):
    windows = segment(labelled, duration=6.0, step=2.0)
    display = RecordingDisplay.from_recording(labelled, windows=windows)
    lanes = {}
    for bars in display.windows_:
        for path in bars.get_paths():
            box = path.get_extents()
            lanes.setdefault(round(box.y0, 6), []).append((box.x0, box.x1))
    assert len(lanes) == 3
    for spans in lanes.values():
        spans.sort()
        assert all(one[1] <= other[0] for one, other in pairwise(spans))


def test_windows_of_other_recordings_are_ignored(recording):
    other = replace(recording, subject="other")
    windows = segment([other, recording], duration=20.0)
    display = RecordingDisplay.from_recording(recording, windows=windows)
    assert display.windows["kept"].tolist() == [True, True, True]
    display = RecordingDisplay.from_recording(replace(other, trial="9"), windows=windows)
    assert not display.windows["kept"].any()


def test_a_recording_too_short_for_a_window_has_an_empty_lane(recording):
    windows = segment(recording, duration=20.0)
    short = Recording({"ecg": np.zeros(1280)}, {"ecg": 128}, subject="short")
    with pytest.warns(UserWarning, match="heartbeats were found in only"):
        display = RecordingDisplay.from_recording(short, windows=windows)
    assert len(display.windows) == 0
    assert display.windows_ == []
    display.figure_.canvas.draw()


def test_gaps_flat_and_missing_channels_are_drawn_as_they_are():
    ecg = np.full((1, 1000), np.nan)
    eeg = np.zeros((5, 1000))
    eeg[1] = np.nan
    eeg[2, 100:200] = np.nan
    gaps = Recording(
        {"ecg": ecg, "eeg": eeg, "eda": np.full(40, np.nan), "gsr": 5.0 + np.arange(40)},
        {"ecg": 100, "eeg": 100, "eda": 4, "gsr": 4},
        subject="S2",
    )
    display = RecordingDisplay.from_recording(gaps)
    assert list(display.axes_) == ["ecg", "eeg", "eda", "gsr", "gsr phasic"]
    drawn = [np.isnan(line.get_ydata()).sum() for line in display.lines_["eeg"]]
    assert drawn == [0, 1000, 100, 0, 0]
    display.figure_.canvas.draw()


def test_the_kind_of_a_modality_can_be_given(recording):
    named = Recording(
        {"chest": recording.signals["ecg"]}, {"chest": 128}, subject="S2", units={"chest": "mV"}
    )
    assert RecordingDisplay.from_recording(named).beats == {}
    display = RecordingDisplay.from_recording(named, kinds={"chest": "ecg"})
    assert len(display.beats_["chest"].get_xdata()) > 50


def test_the_envelope_has_the_extremes_of_each_stretch():
    values = np.random.default_rng(0).normal(size=(2, 1007))
    values[:, 300] = np.nan
    positions, points = envelope(values, 50)
    assert positions.shape == (100,)
    assert points.shape == (2, 100)
    edges = np.append(np.arange(50) * 1007 // 50, 1007)
    for i, (first, end) in enumerate(pairwise(edges)):
        part = values[:, first:end]
        np.testing.assert_array_equal(points[:, 2 * i], np.nanmin(part, axis=1))
        np.testing.assert_array_equal(points[:, 2 * i + 1], np.nanmax(part, axis=1))
        assert first <= positions[2 * i] == positions[2 * i + 1] < end


def test_a_long_recording_is_drawn_with_few_points_and_keeps_its_peaks():
    values = np.zeros(3 * 3600 * 700)
    values[1234567] = 1.0
    long = Recording({"emg": values}, {"emg": 700}, subject="S2")
    started = time.process_time()
    display = RecordingDisplay.from_recording(long, stop=None)
    assert time.process_time() - started < 5
    seconds, drawn = display.lines_["emg"][0].get_data()
    assert len(drawn) == 3000
    assert drawn.max() == 1
    assert seconds[drawn.argmax()] == pytest.approx(1234567 / 700, abs=3 * 3600 / 1500)


def test_panels_share_the_place_of_one_axes_or_take_one_axes_each(recording):
    figure, places = plt.subplots(1, 2)
    display = RecordingDisplay.from_recording(recording, modalities=["ecg"], ax=places[1])
    assert display.figure_ is figure
    assert len(figure.axes) == 3
    places = plt.subplots(2)[1]
    display = RecordingDisplay.from_recording(recording, modalities=["ecg"], ax=places)
    assert list(display.axes_.values()) == list(places)


def test_wrong_arguments_are_errors(recording):
    windows = segment(recording, duration=20.0)
    for arguments, message in (
        ({"start": 70}, "Nothing of the recording of subject '00' lies between start=70 s"),
        ({"modalities": []}, "modalities is empty: choose among"),
        ({"modalities": ["ppg"]}, "has no signal 'ppg'. Its signals are"),
        (
            {"kinds": {"ecg": "heart"}},
            'kinds are "ecg", "ppg", "eda", "eeg" or None, got \'heart\'',
        ),
        ({"windows": windows[["ecg"]]}, "windows must be a table as skemo.segment returns it"),
    ):
        with pytest.raises(ValueError, match=message):
            RecordingDisplay.from_recording(recording, **arguments)


def test_recorded_eeg_and_ecg_are_drawn_with_their_beats(data_home):
    (rest, _) = fetch_eegmat(data_home / "eegmat", download=False, subjects=["00"])
    display = RecordingDisplay.from_recording(rest, windows=segment(rest, 10.0))
    assert list(display.axes_) == ["windows", "eeg", "ecg"]
    assert len(display.lines_["eeg"]) == 19
    seconds, values = display.beats_["ecg"].get_data()
    assert 60 < len(seconds) < 100
    around = rest.signals["ecg"][0]
    highest = [around[max(0, i - 100) : i + 100].max() for i in (seconds * 500).astype(int)]
    np.testing.assert_allclose(values, highest, rtol=0.05)


def test_a_whole_recorded_session_is_drawn(data_home):
    folder = data_home / "stress_predict"
    (session,) = fetch_stress_predict(folder, download=False, subjects=["S02"])
    windows = segment(session, 60.0)
    with pytest.warns(UserWarning, match="heartbeats were found in only"):
        display = RecordingDisplay.from_recording(session, stop=None, windows=windows)
    assert list(display.axes_) == ["windows", "eda", "eda phasic", "ppg", "ppg rate"]
    assert [label for label, _ in display.bands_] == [label for *_, label in session.labels]
    assert display.axes_["ppg rate"].get_xlabel() == "Time (min)"
