"""The DREAMER loader, on a small file in the published layout."""

import gc
import tracemalloc

import joblib
import numpy as np
import pytest
from scipy.io import savemat

from skemo import segment
from skemo.datasets.dreamer import CHANNELS, CLIPS, SUBJECTS, load_dreamer

EMPTY = np.zeros((0, 0))


def cell(values, shape):
    array = np.empty(shape, object)
    for index, value in enumerate(values):
        array.reshape(-1)[index] = value
    return array


def clips(rng, n_times, n_channels):
    """Samples of 18 clips of increasing length, as small integers so that the file is small."""
    shapes = [(n_times + clip, n_channels) for clip in range(18)]
    return cell([rng.integers(-99, 99, shape, np.int8) for shape in shapes], (18, 1))


def make_data():
    """Make the struct; clip k has arousal 1 + k % 5, valence mirrors it, and dominance is 3."""
    rng = np.random.default_rng(0)
    arousal = 1 + np.arange(18)[:, np.newaxis] % 5
    people = [
        {
            "Age": str(20 + index),
            "Gender": "female" if index % 2 else "male",
            "EEG": {"baseline": clips(rng, 130, 14), "stimuli": clips(rng, 260, 14)},
            "ECG": {"baseline": clips(rng, 262, 2), "stimuli": clips(rng, 515, 2)},
            "ScoreValence": 6 - arousal,
            "ScoreArousal": arousal.copy(),
            "ScoreDominance": np.full((18, 1), 3),
        }
        for index in range(23)
    ]
    return {
        "Data": people,
        "EEG_SamplingRate": 128,
        "ECG_SamplingRate": 256,
        "EEG_Electrodes": cell(CHANNELS["eeg"], (1, 14)),
        "noOfSubjects": 23,
        "noOfVideoSequences": 18,
        "Disclaimer": "Provided as it is.",
        "Provider": "A university",
        "Version": "1.0.2",
        "Acknowledgement": "Cite the paper.",
    }


def write(folder, data, **options):
    content = dict(data)
    if isinstance(data.get("Data"), list):
        content["Data"] = cell(data["Data"], (1, len(data["Data"])))
    path = folder / "DREAMER.mat"
    savemat(path, {"DREAMER": content}, **options)
    return path


@pytest.fixture
def data():
    return make_data()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dreamer")
    write(folder, make_data(), do_compression=True)
    return folder


# As published


def test_all_subjects_and_clips_are_read_in_order(folder):
    recordings = load_dreamer(folder)
    assert [(r.subject, r.trial) for r in recordings] == [(s, c) for s in SUBJECTS for c in CLIPS]
    assert (SUBJECTS[0], SUBJECTS[-1], CLIPS[0], CLIPS[-1]) == ("1", "23", "1", "18")


def test_the_file_itself_may_be_named(folder):
    assert len(load_dreamer(str(folder / "DREAMER.mat"), subjects="7")) == 18


def test_signals_are_those_of_the_clip(folder, data):
    recording = load_dreamer(folder, subjects="3")[6]
    for name, signal in recording.signals.items():
        expected = data["Data"][2][name.upper()]["stimuli"][6, 0].T
        np.testing.assert_array_equal(signal, expected)
        assert signal.dtype == np.float32


def test_recordings_have_the_published_rates_channels_and_units(folder):
    for recording in load_dreamer(folder, subjects=["1", "23"]):
        assert recording.sampling_rates == {"ecg": 256.0, "eeg": 128.0}
        assert recording.channels == CHANNELS
        assert recording.units == {"ecg": None, "eeg": "µV"}


def test_the_label_lasts_as_long_as_both_signals(folder):
    recording = load_dreamer(folder, subjects="1")[0]
    assert recording.signals["ecg"].shape[1] / 256 < recording.signals["eeg"].shape[1] / 128
    assert recording.labels == ((0.0, 515 / 256, "low"),)


@pytest.mark.parametrize(
    ("target", "threshold", "highs"),
    [
        ("arousal", 3, {4, 5}),
        ("arousal", 1, {2, 3, 4, 5}),
        ("arousal", 3.5, {4, 5}),
        ("valence", 3, {1, 2}),  # of arousal, which valence mirrors
        ("dominance", 3, set()),
        ("dominance", 2, {1, 2, 3, 4, 5}),
    ],
)
def test_a_rating_above_the_threshold_is_high_and_one_at_it_is_low(
    folder, target, threshold, highs
):
    recordings = load_dreamer(folder, target=target, threshold=threshold, subjects="2")
    for recording in recordings:
        expected = "high" if recording.targets["arousal"] in highs else "low"
        assert [label for *_, label in recording.labels] == [expected]


def test_all_three_ratings_are_targets(folder):
    targets = load_dreamer(folder, subjects="9")[1].targets
    assert targets == {"arousal": 2.0, "valence": 4.0, "dominance": 3.0}


def test_the_baseline_comes_before_its_trial_on_request(folder, data):
    recordings = load_dreamer(folder, baseline=True, subjects="4")
    assert [r.trial for r in recordings[:4]] == ["1 baseline", "1", "2 baseline", "2"]
    before = recordings[2]
    expected = data["Data"][3]["EEG"]["baseline"][1, 0].T
    np.testing.assert_array_equal(before.signals["eeg"], expected)
    assert before.labels == ((0.0, 131 / 128, "baseline"),)
    assert before.targets == {}


def test_only_the_requested_modalities_are_loaded(folder):
    assert list(load_dreamer(folder, modalities="ecg")[0].signals) == ["ecg"]
    assert list(load_dreamer(folder, modalities=["eeg", "ecg"])[0].signals) == ["eeg", "ecg"]


def test_subjects_are_selected_in_order_and_without_duplicates(folder):
    recordings = load_dreamer(folder, subjects=["20", "3", "20"])
    assert [r.subject for r in recordings] == ["20"] * 18 + ["3"] * 18


def test_windows_carry_labels_and_ratings(folder):
    windows = segment(load_dreamer(folder, baseline=True), 1.0)
    assert windows["eeg"].array.values.shape == (23 * 18 * 3, 14, 128)
    assert windows["ecg"].array.values.shape == (23 * 18 * 3, 2, 256)
    counts = windows["label"].value_counts().to_dict()
    assert counts == {"baseline": 23 * 18, "low": 23 * 24, "high": 23 * 12}
    videos = windows[windows["label"] != "baseline"]
    assert ((videos["arousal"] > 3) == (videos["label"] == "high")).all()


def test_the_iterator_reads_the_file_on_demand(tmp_path, data):
    path = write(tmp_path, data)
    recordings = load_dreamer(tmp_path, lazy=True)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"DREAMER.mat is truncated"):
        next(recordings)


def test_the_iterator_reads_the_file_once_and_gives_the_same_recordings(tmp_path, data):
    path = write(tmp_path, data)
    expected = load_dreamer(tmp_path)
    recordings = load_dreamer(tmp_path, lazy=True)
    found = [next(recordings)]
    path.unlink()
    found += recordings
    for one, other in zip(found, expected, strict=True):
        assert (one.subject, one.trial) == (other.subject, other.trial)
        np.testing.assert_array_equal(one.signals["eeg"], other.signals["eeg"])


def test_a_subject_is_freed_when_it_is_done(tmp_path, data):
    for person in data["Data"]:
        for part in ("baseline", "stimuli"):
            person["EEG"][part] = cell([np.zeros((200, 14))] * 18, (18, 1))
    path = write(tmp_path, data, do_compression=True)
    del data
    tracemalloc.start()
    try:
        recordings = load_dreamer(path, lazy=True)
        next(recordings)
        gc.collect()
        full, _ = tracemalloc.get_traced_memory()
        while next(recordings).subject != "23":
            pass
        gc.collect()
        rest, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rest < 0.25 * full


def test_a_configuration_of_joblib_starts_no_processes(folder):
    with joblib.parallel_config("loky", n_jobs=2):
        recordings = load_dreamer(folder, subjects=["1", "2"])
    assert len(recordings) == 36
    # From a process, the arrays would come back through a pickle, with a base of bytes.
    assert all(r.signals["eeg"].base is None for r in recordings)


# What is missing in the data


def test_clips_without_signals_or_rating_are_left_out_and_counted(tmp_path, data):
    for name, n_channels in {"EEG": 14, "ECG": 2}.items():
        stimuli = data["Data"][1][name]["stimuli"]
        stimuli[0, 0] = EMPTY
        stimuli[1, 0] = np.full((300, n_channels), np.nan)
        stimuli[2, 0] = np.zeros((100, n_channels))
    scores = data["Data"][4]["ScoreArousal"].astype(float)
    scores[3] = np.nan
    data["Data"][4]["ScoreArousal"] = scores
    write(tmp_path, data)
    message = (
        r"Left out 3 without signals \(subject 2: 3\); "
        r"1 without a rating of arousal \(subject 5: 1\)\."
    )
    with pytest.warns(UserWarning, match=message) as warned:
        recordings = load_dreamer(tmp_path)
    assert len(warned) == 1
    assert [r.trial for r in recordings if r.subject == "2"] == list(CLIPS[3:])
    assert [r.trial for r in recordings if r.subject == "5"] == [c for c in CLIPS if c != "4"]
    with pytest.warns(UserWarning, match=r"Left out 3 without signals \(subject 2: 3\)\.$"):
        recordings = load_dreamer(tmp_path, target="valence")
    assert np.isnan(recordings[4 * 18 - 3 + 3].targets["arousal"])


def test_a_modality_without_signal_in_a_clip_is_missing_in_its_windows(tmp_path, data):
    data["Data"][0]["ECG"]["stimuli"][0, 0] = EMPTY
    write(tmp_path, data)
    recordings = load_dreamer(tmp_path, subjects="1")
    assert list(recordings[0].signals) == ["eeg"]
    windows = segment(recordings, 2.0)
    assert windows["ecg"].isna().tolist() == [True] + [False] * 17
    assert not windows["eeg"].isna().any()


def test_single_nan_samples_are_kept(tmp_path, data):
    clip = data["Data"][0]["EEG"]["stimuli"][0, 0].astype(float)
    clip[5:9, 2] = np.nan
    data["Data"][0]["EEG"]["stimuli"][0, 0] = clip
    write(tmp_path, data)
    recording = load_dreamer(tmp_path, subjects="1")[0]
    np.testing.assert_array_equal(recording.signals["eeg"], clip.T)


def test_a_subject_without_any_data_is_left_out_beside_another(tmp_path, data):
    for name in ("EEG", "ECG"):
        data["Data"][7][name] = {
            part: cell([EMPTY] * 18, (18, 1)) for part in data["Data"][7][name]
        }
    write(tmp_path, data)
    with pytest.warns(UserWarning, match=r"Left out 18 without signals \(subject 8: 18\)"):
        assert len(load_dreamer(tmp_path, subjects=["8", "9"])) == 18
    with pytest.raises(ValueError, match=r"No trial could be used. Left out 18 without signals"):
        load_dreamer(tmp_path, subjects="8")


def test_a_missing_baseline_is_reported_only_if_baselines_are_requested(tmp_path, data):
    for name in ("EEG", "ECG"):
        data["Data"][0][name]["baseline"][2, 0] = EMPTY
    write(tmp_path, data)
    assert len(load_dreamer(tmp_path, subjects="1")) == 18
    with pytest.warns(UserWarning, match=r"Left out 1 without a baseline \(subject 1: 1\)"):
        assert len(load_dreamer(tmp_path, subjects="1", baseline=True)) == 35


# What cannot be read


@pytest.mark.parametrize("home", ["empty", "absent"])
def test_a_missing_file_says_what_was_looked_for(tmp_path, home):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=rf"{home} has no DREAMER.mat. Pass data.*zenodo"):
        load_dreamer(tmp_path / home)


def test_the_folder_above_is_an_error_that_names_the_right_one(tmp_path):
    (tmp_path / "DREAMER").mkdir()
    (tmp_path / "DREAMER" / "DREAMER.mat").touch()
    with pytest.raises(FileNotFoundError, match=r"Found below: .*DREAMER/DREAMER.mat"):
        load_dreamer(tmp_path, lazy=True)


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_an_error(folder, tmp_path, share, on_error):
    content = (folder / "DREAMER.mat").read_bytes()
    (tmp_path / "DREAMER.mat").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"^\S*DREAMER.mat is truncated .*Download it again"):
        load_dreamer(tmp_path, on_error=on_error)


def test_a_file_of_version_7_3_is_an_error_with_the_remedy(tmp_path):
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (tmp_path / "DREAMER.mat").write_bytes(header + bytes(384) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(ValueError, match=r"DREAMER.mat is a MATLAB file of version 7.3 .*'-v7'"):
        load_dreamer(tmp_path)


def test_a_file_with_another_variable_is_an_error(tmp_path):
    savemat(tmp_path / "DREAMER.mat", {"DEAP": 1})
    with pytest.raises(ValueError, match=r"DREAMER.mat: the variable 'DREAMER' is missing"):
        load_dreamer(tmp_path)


@pytest.mark.parametrize("name", ["Data", "EEG_SamplingRate", "ECG_SamplingRate", "EEG_Electrodes"])
def test_a_missing_field_of_the_file_is_named(tmp_path, data, name):
    del data[name]
    write(tmp_path, data)
    with pytest.raises(ValueError, match=rf"DREAMER.mat: DREAMER.{name} is missing; found in"):
        load_dreamer(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"EEG_SamplingRate": 256},
            r"DREAMER.EEG_SamplingRate is \[\[256\]\], but 128 in the publ",
        ),
        (
            {"ECG_SamplingRate": EMPTY},
            r"DREAMER.ECG_SamplingRate is \[\], but 256 in the published",
        ),
        (
            {"EEG_Electrodes": cell(["Cz"] * 14, (1, 14))},
            r"DREAMER.EEG_Electrodes are \['Cz',",
        ),
        ({"Data": np.zeros((1, 23))}, "DREAMER.Data should be a cell array of 23, got float64"),
    ],
)
def test_a_field_of_the_file_that_is_not_as_published_is_named(tmp_path, data, changes, message):
    write(tmp_path, data | changes)
    with pytest.raises(ValueError, match=rf"DREAMER.mat: {message}"):
        load_dreamer(tmp_path, on_error="skip")


def test_a_wrong_number_of_subjects_is_an_error(tmp_path, data):
    data["Data"].pop()
    write(tmp_path, data)
    with pytest.raises(ValueError, match=r"Data should be a cell array of 23, got cells of shape"):
        load_dreamer(tmp_path)


@pytest.mark.parametrize(
    "name", ["EEG", "ECG", "ScoreArousal", "ScoreValence", "ScoreDominance", "ECG.stimuli"]
)
def test_a_missing_field_of_a_subject_is_named(tmp_path, data, name):
    inside, _, last = name.rpartition(".")
    del (data["Data"][2][inside] if inside else data["Data"][2])[last]
    write(tmp_path, data)
    message = rf"DREAMER.mat: DREAMER.Data\{{3\}}.{name} is missing; found in its place: the fields"
    with pytest.raises(ValueError, match=message):
        load_dreamer(tmp_path)
    with pytest.warns(UserWarning, match=rf"Skipped 1 of 23 subjects.\nsubject '3': .*{message}"):
        assert len(load_dreamer(tmp_path, on_error="skip")) == 22 * 18


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ScoreArousal", np.ones((17, 1)), r"ScoreArousal has shape \(17, 1\), but should have"),
        ("ScoreArousal", EMPTY, r"ScoreArousal has shape \(0, 0\), but should have"),
        ("ScoreArousal", "text", r"ScoreArousal should hold real numbers, got text"),
        ("EEG", np.zeros((9, 14)), r"EEG.stimuli is missing; found in its place: float64"),
        ("EEG", {"stimuli": cell([EMPTY] * 16, (16, 1))}, r"EEG.stimuli should be a cell array of"),
        (
            "EEG",
            {"stimuli": cell([np.zeros((300, 15))] * 18, (18, 1))},
            r"EEG.stimuli\{1\} has shape \(300, 15\), but should have \(n_samples, 14\)",
        ),
        (
            "ECG",
            {"stimuli": cell([np.zeros((2, 600))] * 18, (18, 1))},
            r"ECG.stimuli\{1\} has shape \(2, 600\), but should have \(n_samples, 2\)",
        ),
    ],
)
def test_a_field_of_a_subject_that_is_not_as_published_is_named(
    tmp_path, data, name, value, message
):
    data["Data"][2][name] = value
    write(tmp_path, data)
    with pytest.raises(ValueError, match=rf"DREAMER.mat: DREAMER.Data\{{3\}}.{message}"):
        load_dreamer(tmp_path)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"target": "liking"},
            "target must be one of 'arousal', .*, got 'liking'",
        ),
        ({"threshold": 5}, "threshold must be a number from 1 to below 5, .*, got 5"),
        ({"threshold": 0}, "threshold must be a number from 1 to below 5, .*, got 0"),
        ({"threshold": None}, "threshold must be a number .*, got None"),
        ({"modalities": ["eda"]}, r"modalities must be among .*, got \['eda'\]"),
        ({"subjects": ["0"]}, r"subjects must be among the 23 from '1' to '23', got \['0'\]"),
        ({"subjects": []}, "subjects must be among"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip', got 'ignore'"),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_an_invalid_parameter_is_named_at_once(folder, parameters, message, lazy):
    with pytest.raises(ValueError, match=message):
        load_dreamer(folder, lazy=lazy, **parameters)
