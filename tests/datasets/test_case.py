"""The CASE loader: tables in the published layout, time and annotation, damaged files."""

import numpy as np
import pandas as pd
import pytest

from skemo import segment
from skemo.datasets.case import load_case

SIGNALS = ["ecg", "bvp", "gsr", "rsp", "skt", "emg_zygo", "emg_coru", "emg_trap"]
ORDER = {"sub_1": [3, 7, 1, 5, 8, 2, 6, 4], "sub_2": [8, 1, 3, 6, 2, 4, 7, 5]}
# Milliseconds of each video, none of them a multiple of the annotation's 50.
LENGTH = {video: 1000 + 30 * video + 3 for video in range(1, 9)} | {10: 513, 11: 421, 12: 377}


def sequence(subject):
    """Videos as shown: a blue screen after each, between the start and the end."""
    return [10, 11, *(v for video in ORDER[subject] for v in (video, 11)), 12]


def make_tables(subject):
    """Make signals whose values depend on their time, and an annotation that goes up and down."""
    shown = sequence(subject)
    video = np.repeat(shown, [LENGTH[v] for v in shown])
    daqtime = np.arange(len(video))
    signals = {name: (daqtime + 100_000 * i) / 1000 for i, name in enumerate(SIGNALS)}
    physiology = pd.DataFrame({"daqtime": daqtime, **signals, "video": video})
    jstime = np.arange(0, len(video), 50)
    arousal = 5 + 4 * np.sin(2 * np.pi * jstime / 700)
    valence = 5 - 4 * jstime / len(video)
    # The publisher rounds the end of each video to 50 ms, one after the other.
    rounded = np.repeat(shown, [round(LENGTH[v] / 50) for v in shown])
    rounded = np.pad(rounded, (0, len(jstime)), mode="edge")[: len(jstime)]
    told = pd.DataFrame(
        {"jstime": jstime, "valence": valence, "arousal": arousal, "video": rounded}
    )
    return physiology, told.round(3)


def write(home, subject, physiology=None, told=None):
    tables = make_tables(subject)
    for name, table, default in zip(
        ("physiological", "annotations"), (physiology, told), tables, strict=True
    ):
        folder = home / "data" / "interpolated" / name
        folder.mkdir(parents=True, exist_ok=True)
        (default if table is None else table).to_csv(folder / f"{subject}.csv", index=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data set of two people, which tests must not change."""
    home = tmp_path_factory.mktemp("case")
    for subject in ORDER:
        write(home, subject)
    return home


@pytest.fixture
def own_home(tmp_path):
    """A data set of one person, which a test may damage."""
    write(tmp_path, "sub_1")
    return tmp_path


def begin(subject, video):
    """Milliseconds from the start of the session to that of a video."""
    shown = sequence(subject)
    return sum(LENGTH[v] for v in shown[: shown.index(video)])


# What is read


def test_each_emotional_video_is_a_recording_in_the_order_seen(home):
    recordings = load_case(home, subjects=["sub_2", "sub_1"])
    assert [r.subject for r in recordings] == ["sub_2"] * 8 + ["sub_1"] * 8
    assert [r.trial for r in recordings] == [str(v) for v in ORDER["sub_2"] + ORDER["sub_1"]]


def test_signals_are_those_between_start_and_end_of_the_video(home):
    names = {"ecg": 0, "ppg": 1, "eda": 2, "resp": 3, "temp": 4}
    for recording in load_case(home, subjects="sub_1", modalities=[*names, "emg"]):
        video = int(recording.trial)
        time = begin("sub_1", video) + np.arange(LENGTH[video])
        for name, i in names.items():
            expected = ((time + 100_000 * i) / 1000)[np.newaxis]
            np.testing.assert_array_equal(recording.signals[name], expected.astype("f4"))
        expected = (time + 100_000 * np.array([[5], [6], [7]])) / 1000
        np.testing.assert_array_equal(recording.signals["emg"], expected.astype("f4"))


def test_signals_have_the_published_rates_channels_and_units(home):
    names = ["ecg", "ppg", "eda", "resp", "temp", "emg"]
    recording = load_case(home, subjects="sub_1", modalities=names)[0]
    assert recording.sampling_rates == dict.fromkeys(names, 1000.0)
    assert [recording.units[name] for name in names] == ["mV", "%", "µS", "%", "°C", "µV"]
    assert recording.channels["emg"] == ("emg_zygo", "emg_coru", "emg_trap")
    assert {signal.dtype for signal in recording.signals.values()} == {np.dtype("float32")}


def test_a_recording_keeps_no_other_video_in_memory(home):
    for recording in load_case(home, subjects="sub_1"):
        assert all(signal.base is None for signal in recording.signals.values())


def test_the_default_modalities_are_those_that_have_transformers(home):
    assert [*load_case(home, subjects="sub_1")[0].signals] == ["ecg", "eda", "ppg"]


def test_targets_follow_the_time_of_the_signals_and_not_the_rows_of_the_annotation(home):
    told = make_tables("sub_2")[1]
    for recording in load_case(home, subjects="sub_2"):
        video = int(recording.trial)
        times = begin("sub_2", video) + np.arange(0, LENGTH[video], 50)
        for axis in ("valence", "arousal"):
            series, rate = recording.targets[axis]
            assert rate == 20.0
            np.testing.assert_allclose(series, np.interp(times, told["jstime"], told[axis]))


@pytest.mark.parametrize(("target", "threshold"), [("arousal", 5.0), ("valence", 3.2)])
def test_labels_say_when_the_target_is_above_the_threshold(home, target, threshold):
    seen = set()
    for recording in load_case(home, subjects="sub_1", target=target, threshold=threshold):
        series, _ = recording.targets[target]
        times = (np.arange(len(series)) + 0.02) / 20  # early, since the last step may be short
        for time, value in zip(times, series, strict=True):
            (label,) = [name for i, j, name in recording.labels if i <= time < j]
            assert label == ("high" if value > threshold else "low")
            seen.add(label)
        assert recording.labels[0][0] == 0
        assert recording.labels[-1][1] == recording.duration
    assert seen == {"low", "high"}


def test_a_value_at_the_threshold_is_low(own_home):
    told = make_tables("sub_1")[1].assign(arousal=5.3)
    write(own_home, "sub_1", told=told)
    for threshold, label in [(5.3, "low"), (5.29, "high")]:
        for recording in load_case(own_home, subjects="sub_1", threshold=threshold):
            assert recording.labels == ((0.0, recording.duration, label),)


@pytest.mark.parametrize("level", [".", "data", "data/interpolated"])
def test_the_folder_may_be_given_from_its_top_or_below(home, level):
    assert len(load_case(home / level, subjects="sub_1")) == 8


def test_an_annotation_without_the_video_is_read_by_its_time(own_home, home):
    write(own_home, "sub_1", told=make_tables("sub_1")[1].drop(columns="video"))
    for one, other in zip(
        load_case(own_home, subjects="sub_1"), load_case(home, subjects="sub_1"), strict=True
    ):
        assert one.labels == other.labels


def test_windows_carry_their_label_and_the_mean_of_the_targets(home):
    windows = segment(load_case(home, subjects=["sub_1", "sub_2"]), duration=0.1)
    assert set(windows["label"]) == {"low", "high"}
    assert windows["trial"].nunique() == 8
    assert windows["subject"].nunique() == 2
    assert ((windows["arousal"] > 5) == (windows["label"] == "high")).all()
    assert windows["ecg"].array.values.shape[1:] == (1, 100)


def test_subjects_are_read_one_by_one_when_lazy(home):
    recordings = load_case(home, subjects=["sub_2", "sub_3"], lazy=True)
    assert [next(recordings).subject for _ in range(8)] == ["sub_2"] * 8
    with pytest.raises(FileNotFoundError, match=r"sub_3.csv is missing"):
        next(recordings)


def test_several_processes_read_the_same_recordings(home):
    one, two = (load_case(home, subjects=["sub_1", "sub_2"], n_jobs=n) for n in (None, 2))
    for a, b in zip(one, two, strict=True):
        assert (a.subject, a.trial, a.labels) == (b.subject, b.trial, b.labels)
        for name, signal in a.signals.items():
            np.testing.assert_array_equal(signal, b.signals[name])
        for axis, (series, _) in a.targets.items():
            np.testing.assert_array_equal(series, b.targets[axis][0])


def test_joystick_values_off_the_scale_between_videos_are_ignored(own_home):
    _, told = make_tables("sub_1")
    told.loc[0, "arousal"] = -0.2  # the publisher extrapolates at the ends
    write(own_home, "sub_1", told=told)
    assert len(load_case(own_home, subjects="sub_1")) == 8


# What cannot be read


@pytest.mark.parametrize("level", ["..", "data/interpolated/physiological", "absent"])
def test_a_folder_without_the_files_is_an_error_that_says_which(home, level):
    for lazy in (False, True):
        with pytest.raises(FileNotFoundError, match=r"no files data/interpolated/physiological/"):
            load_case(home / level, lazy=lazy)


def test_everyone_is_read_by_default(home):
    with pytest.raises(FileNotFoundError, match=r"physiological.sub_3.csv is missing. Put it"):
        load_case(home)


def test_a_missing_annotation_is_named(own_home):
    (own_home / "data" / "interpolated" / "annotations" / "sub_1.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"annotations.sub_1.csv is missing. Put it there"):
        load_case(own_home, subjects="sub_1")


def test_subjects_that_cannot_be_read_are_skipped_with_a_report(own_home):
    with pytest.warns(UserWarning, match=r"Skipped 29 of 30 subjects"):
        recordings = load_case(own_home, on_error="skip")
    assert {r.subject for r in recordings} == {"sub_1"}


@pytest.mark.parametrize("part", ["physiological", "annotations"])
@pytest.mark.parametrize("cut", ["empty", "header", "line", "half a line", "half the lines"])
def test_a_truncated_file_is_an_error_and_never_short_data(own_home, part, cut):
    path = own_home / "data" / "interpolated" / part / "sub_1.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(
        {
            "empty": b"",
            "header": lines[0],
            "line": lines[0] + lines[1][:-8],
            "half a line": b"".join(lines[:-1]) + lines[-1][:-5],
            "half the lines": b"".join(lines[: len(lines) // 2]),
        }[cut]
    )
    with pytest.raises(ValueError, match=rf"{part}.sub_1.csv .*on_error='skip'"):
        load_case(own_home, subjects="sub_1")


def test_a_file_that_ends_within_the_last_video_is_an_error(own_home):
    physiology, _ = make_tables("sub_1")
    stop = begin("sub_1", ORDER["sub_1"][-1]) + 500
    write(own_home, "sub_1", physiology=physiology[:stop])
    with pytest.raises(
        ValueError, match="truncated: it ends with video 4, which should not be the last"
    ):
        load_case(own_home, subjects="sub_1")


def test_a_truncated_number_is_not_mistaken_for_another_video(own_home):
    path = own_home / "data" / "interpolated" / "physiological" / "sub_1.csv"
    path.write_bytes(path.read_bytes().rstrip()[:-1])  # 12, the last video, becomes 1
    with pytest.raises(ValueError, match="video should have each of 1 to 8 once, in one piece"):
        load_case(own_home, subjects="sub_1")


def with_hole(table, name):
    table = table.astype({name: "float64"})
    table.loc[70, name] = np.nan
    return table


def with_words(table, name):
    table = table.astype({name: "object"})
    table.loc[70, name] = "words"
    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="gsr"), "it has no column 'gsr'"),
        (lambda t: t.drop(columns="daqtime"), "it has no column 'daqtime'"),
        (lambda t: t.drop(columns="video"), "it has no column 'video'"),
        (lambda t: with_hole(t, "ecg"), "line 72 has no number for 'ecg'"),
        (lambda t: with_hole(t, "video"), "line 72 has no number for 'video'"),
        (lambda t: with_words(t, "ecg"), "cannot be read as a table .*words"),
        (lambda t: t.drop(index=200), "increase by 1 ms per line, but line 202 has 201 after 199"),
        (lambda t: t.assign(daqtime=t["daqtime"] / 1000), "by 1 ms per line, but line 3 has 0.001"),
        (
            lambda t: t.assign(daqtime=t["daqtime"] * 1.0001),
            "or these are not the interpolated data",
        ),
        (lambda t: t.assign(video=t["video"].replace({5: 11})), r"1 to 8 once, .* \[3, 7, 1, 8, 2"),
        (lambda t: t.assign(video=t["video"].replace({12: 3})), r"has \[3, 7, 1, .*, 4, 3\]"),
    ],
)
def test_signals_that_are_not_as_published_are_an_error(own_home, change, message):
    write(own_home, "sub_1", physiology=change(make_tables("sub_1")[0]))
    with pytest.raises(ValueError, match=rf"physiological.sub_1.csv .*{message}"):
        load_case(own_home, subjects="sub_1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="arousal"), "it has no column 'arousal'"),
        (lambda t: with_hole(t, "valence"), "line 72 has no number for 'valence'"),
        (lambda t: t.drop(index=80), "increase by 50 ms per line, but line 82 has 4050 after 3950"),
        (lambda t: t[100:], "jstime should extend from .* ms for video 3"),
        (lambda t: t[:-20], "jstime should extend from .* ms for video 4"),
        (
            lambda t: t.assign(arousal=t["arousal"] * 5000),
            "arousal should range from 0.5 to 9.5, but",
        ),
        (lambda t: t.assign(valence=t["valence"] - 5), "valence should range from 0.5 to 9.5, but"),
        (lambda t: make_tables("sub_2")[1], "does not belong to the signals: .*but theirs is 3"),
    ],
)
def test_an_annotation_that_is_not_as_published_is_an_error(own_home, change, message):
    write(own_home, "sub_1", told=change(make_tables("sub_1")[1]))
    with pytest.raises(ValueError, match=rf"annotations.sub_1.csv .*{message}"):
        load_case(own_home, subjects="sub_1")


def test_time_that_is_off_by_less_than_a_tenth_of_a_step_is_read(own_home):
    rng = np.random.default_rng(0)
    physiology, told = make_tables("sub_1")
    physiology["daqtime"] = physiology["daqtime"] + rng.uniform(-0.04, 0.04, len(physiology))
    told["jstime"] = told["jstime"] + rng.uniform(-2, 2, len(told))
    write(own_home, "sub_1", physiology=physiology, told=told)
    assert len(load_case(own_home, subjects="sub_1")) == 8


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": "dominance"}, "target must be one of 'arousal', 'valence', got 'dominance'"),
        ({"threshold": 10}, "threshold must be a number from 0.5 .* got 10"),
        (
            {"threshold": "median"},
            "threshold must be a number from 0.5 .* got 'median'",
        ),
        (
            {"threshold": float("nan")},
            "threshold must be a number from 0.5 .* got nan",
        ),
        ({"modalities": ["eeg"]}, r"modalities must be among \['ecg', .*, got \['eeg'\]"),
        ({"modalities": []}, "modalities must be among"),
        (
            {"subjects": ["sub_31"]},
            r"subjects must be among the 30 from 'sub_1' to 'sub_30', got \['sub_31'\]",
        ),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip'"),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_an_invalid_parameter_is_named_at_once(home, parameters, message, lazy):
    with pytest.raises(ValueError, match=message):
        load_case(home, **parameters, lazy=lazy)
