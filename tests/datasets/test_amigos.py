"""The AMIGOS loader, on small files in the published layout."""

import zlib

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_array

from skemo import segment
from skemo.datasets.amigos import CHANNELS, SUBJECTS, load_amigos

VIDEO_IDS = ["10", "13", "138", "18", "19", "20", "23", "30", "31", "34", "36", "4", "5", "58"]
VIDEO_IDS += ["80", "9", "N1", "P1", "B1", "U1"]
EMPTY = np.zeros((0, 0))
SECONDS = 8  # 5 of baseline and 3 of video


def cell(values, shape=(1, 20)):
    array = np.empty(shape, object)
    array.ravel()[:] = 0
    for index, value in enumerate(values):
        array.reshape(-1)[index] = value
    return array


def make_subject(seed):
    """Make the variables of a subject; trial k has arousal 1 + k % 9, and valence mirrors it."""
    rng = np.random.default_rng(seed)
    arousal = [1 + k % 9 for k in range(20)]
    return {
        "joined_data": [rng.normal(size=(SECONDS * 128, 17)) for _ in range(20)],
        "labels_selfassessment": [
            np.array([[a, 10 - a, 2.5, 3, 4, 0, 1, 0, 0, 0, 0, 1]]) for a in arousal
        ],
        "labels_ext_annotation": [EMPTY] * 20,
        "VideoIDs": list(VIDEO_IDS),
    }


def write(folder, subject, variables, **options):
    folder.mkdir(exist_ok=True)
    content = {
        name: cell(value) if isinstance(value, list) else value for name, value in variables.items()
    }
    path = folder / f"Data_Preprocessed_{subject}.mat"
    savemat(path, content, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """P01 in the folder itself, and P02 compressed in its own folder, as extracted archives."""
    write(tmp_path, "P01", make_subject(1))
    write(tmp_path / "Data_Preprocessed_P02", "P02", make_subject(2), do_compression=True)
    return tmp_path


# As published


def test_files_and_folders_are_read_in_the_order_of_subjects_and_trials(folder):
    recordings = load_amigos(folder)
    assert [r.subject for r in recordings] == ["P01"] * 16 + ["P02"] * 16
    assert [r.trial for r in recordings] == VIDEO_IDS[:16] * 2


def test_second_0_is_where_the_video_starts(folder):
    tables = make_subject(2)["joined_data"]
    recording = load_amigos(folder, subjects="P02")[3]
    video = tables[3][5 * 128 :].astype("float32").T
    np.testing.assert_array_equal(recording.signals["eeg"], video[:14])
    np.testing.assert_array_equal(recording.signals["ecg"], video[14:16])
    np.testing.assert_array_equal(recording.signals["eda"], video[16:])
    assert recording.duration == 3


def test_recordings_have_the_published_rates_channels_and_units(folder):
    for recording in load_amigos(folder):
        assert recording.sampling_rates == {"ecg": 128.0, "eeg": 128.0, "eda": 128.0}
        assert recording.channels == CHANNELS
        assert recording.units == {"ecg": None, "eeg": "µV", "eda": None}
        assert {signal.dtype for signal in recording.signals.values()} == {np.dtype("float32")}


def test_a_signal_does_not_keep_the_whole_table_in_memory(folder):
    (recording, *_) = load_amigos(folder, modalities=["eda"])
    assert recording.signals["eda"].base is None


def test_a_rating_above_the_threshold_is_high_and_one_at_it_is_low(folder):
    labels = {r.targets["arousal"]: r.labels for r in load_amigos(folder, subjects="P01")}
    assert labels[5] == ((0.0, 3.0, "low"),)
    assert labels[6] == ((0.0, 3.0, "high"),)
    labels = {
        r.targets["arousal"]: r.labels[0][2] for r in load_amigos(folder, threshold=2, videos="all")
    }
    assert labels == {rating: "high" if rating > 2 else "low" for rating in range(1, 10)}


def test_labels_are_made_from_the_rating_of_the_target(folder):
    for recording in load_amigos(folder, target="valence"):
        assert recording.targets["valence"] == 10 - recording.targets["arousal"]
        assert recording.labels[0][2] == ("high" if recording.targets["valence"] > 5 else "low")


def test_all_five_ratings_are_targets(folder):
    assert load_amigos(folder)[1].targets == {
        "arousal": 2.0,
        "valence": 8.0,
        "dominance": 2.5,
        "liking": 3.0,
        "familiarity": 4.0,
    }


@pytest.mark.parametrize(
    ("videos", "ids"),
    [("short", VIDEO_IDS[:16]), ("long", VIDEO_IDS[16:]), ("all", VIDEO_IDS)],
)
def test_videos_are_short_long_or_all(folder, videos, ids):
    assert [r.trial for r in load_amigos(folder, videos=videos, subjects="P01")] == ids


def test_the_baseline_seconds_come_before_their_trial_on_request(folder):
    recordings = load_amigos(folder, baseline=True, subjects="P01")
    assert [r.trial for r in recordings[:4]] == ["10 baseline", "10", "13 baseline", "13"]
    table = make_subject(1)["joined_data"][1]
    before = recordings[2]
    np.testing.assert_array_equal(before.signals["ecg"], table[: 5 * 128, 14:16].T.astype("f4"))
    assert before.labels == ((0.0, 5.0, "baseline"),)
    assert before.targets == {}
    assert recordings[3].duration == 3


def test_only_the_requested_modalities_are_loaded(folder):
    for recording in load_amigos(folder, modalities=["eda", "ecg"]):
        assert list(recording.signals) == ["eda", "ecg"]


def test_subjects_are_selected_in_the_given_order(folder):
    recordings = load_amigos(folder, subjects=["P02", "P01"])
    assert [r.subject for r in recordings] == ["P02"] * 16 + ["P01"] * 16


def test_windows_carry_labels_and_ratings(folder):
    windows = segment(load_amigos(folder, baseline=True), 1.0)
    assert windows["eeg"].array.values.shape == (2 * 16 * (5 + 3), 14, 128)
    assert windows["label"].value_counts().to_dict() == {"baseline": 160, "low": 60, "high": 36}
    videos = windows[windows["label"] != "baseline"]
    assert ((videos["arousal"] > 5) == (videos["label"] == "high")).all()
    assert windows.loc[windows["label"] == "baseline", "arousal"].isna().all()


def test_processes_and_iteration_give_the_same_recordings(folder):
    expected = load_amigos(folder)
    for recordings in (load_amigos(folder, n_jobs=2), list(load_amigos(folder, lazy=True))):
        assert [(r.subject, r.trial) for r in recordings] == [
            (r.subject, r.trial) for r in expected
        ]
        for one, other in zip(recordings, expected, strict=True):
            np.testing.assert_array_equal(one.signals["eeg"], other.signals["eeg"])


def test_the_iterator_reads_each_subject_on_demand(folder):
    recordings = load_amigos(folder, lazy=True)
    (folder / "Data_Preprocessed_P02" / "Data_Preprocessed_P02.mat").write_bytes(b"")
    assert [next(recordings).subject for _ in range(16)] == ["P01"] * 16
    with pytest.raises(ValueError, match=r"Data_Preprocessed_P02.mat is truncated"):
        next(recordings)


def test_extra_bytes_after_a_compressed_variable_are_ignored(tmp_path):
    path = write(tmp_path, "P01", make_subject(1), do_compression=True)
    content = path.read_bytes()
    size = int.from_bytes(content[132:136], "little")  # of the first variable
    longer = zlib.compress(zlib.decompress(content[136 : 136 + size]) + bytes(8))
    tag = content[128:132] + len(longer).to_bytes(4, "little")
    path.write_bytes(content[:128] + tag + longer + content[136 + size :])
    assert len(load_amigos(tmp_path)) == 16


def test_a_video_id_may_be_a_number_and_a_cell_in_a_cell(tmp_path):
    variables = make_subject(1)
    variables["VideoIDs"][:2] = [np.array([[10.0]]), cell(["13"], (1, 1))]
    variables["labels_selfassessment"][0] = cell([variables["labels_selfassessment"][0]], (1, 1))
    write(tmp_path, "P01", variables)
    assert [r.trial for r in load_amigos(tmp_path)] == VIDEO_IDS[:16]


# What is missing in the data


def test_trials_without_signals_or_rating_are_left_out_and_counted(tmp_path):
    one, other = make_subject(1), make_subject(2)
    one["joined_data"][2] = EMPTY
    one["joined_data"][4] = np.full((900, 17), np.nan)
    one["joined_data"][5] = np.array([[np.nan]])
    one["labels_selfassessment"][6] = EMPTY
    other["labels_selfassessment"][0] = np.zeros((0, 12))
    other["labels_selfassessment"][1] = np.full((1, 12), np.nan)
    other["joined_data"][15] = np.zeros((0, 17))
    for subject, variables in {"P01": one, "P02": other}.items():
        write(tmp_path, subject, variables)
    message = (
        r"Left out 4 without signals \(subject P01: 3, P02: 1\); "
        r"3 without a rating of arousal \(subject P01: 1, P02: 2\)\."
    )
    with pytest.warns(UserWarning, match=message) as warned:
        recordings = load_amigos(tmp_path, baseline=True)
    assert len(warned) == 1
    kept = [r.trial for r in recordings if r.subject == "P01" and not r.trial.endswith("line")]
    assert kept == [VIDEO_IDS[k] for k in range(16) if k not in (2, 4, 5, 6)]
    assert len(recordings) == 2 * (32 - 7)  # their baselines are left out too


def test_only_a_missing_rating_of_the_target_leaves_a_trial_out(tmp_path):
    variables = make_subject(1)
    variables["labels_selfassessment"][3][0, 1:5] = np.nan
    write(tmp_path, "P01", variables)
    recording = load_amigos(tmp_path)[3]
    assert recording.targets["arousal"] == 4
    assert np.isnan(recording.targets["liking"])
    with pytest.warns(UserWarning, match=r"1 without a rating of valence \(subject P01: 1\)"):
        assert len(load_amigos(tmp_path, target="valence")) == 15


@pytest.mark.parametrize("rating", [0, 9.5])
def test_a_rating_off_its_scale_leaves_the_trial_out(tmp_path, rating):
    variables = make_subject(1)
    variables["labels_selfassessment"][3] = np.full((1, 12), rating)
    write(tmp_path, "P01", variables)
    message = r"Left out 1 without a rating of arousal from 1 to 9 \(subject P01: 1\)"
    with pytest.warns(UserWarning, match=message):
        assert len(load_amigos(tmp_path)) == 15


def test_a_rating_at_the_end_of_its_scale_may_be_rounded(tmp_path):
    variables = make_subject(1)
    variables["labels_selfassessment"][3] = np.full((1, 12), 9 + 1e-6)
    write(tmp_path, "P01", variables)
    assert load_amigos(tmp_path)[3].labels[0][2] == "high"


def test_trials_that_are_not_requested_are_not_counted(tmp_path):
    variables = make_subject(1)
    variables["joined_data"][16:] = [EMPTY] * 4
    variables["VideoIDs"][16:] = [EMPTY] * 4
    write(tmp_path, "P01", variables)
    assert len(load_amigos(tmp_path)) == 16
    with pytest.warns(UserWarning, match=r"Left out 4 without signals \(subject P01: 4\)"):
        assert len(load_amigos(tmp_path, videos="all")) == 16


def test_warnings_point_to_the_line_that_called_the_loader(tmp_path):
    variables = make_subject(1)
    variables["joined_data"][3] = EMPTY
    write(tmp_path, "P01", variables)
    with pytest.warns(UserWarning, match="Left out 1") as eager:
        load_amigos(tmp_path)
    with pytest.warns(UserWarning, match="Left out 1") as lazy:
        segment(load_amigos(tmp_path, lazy=True), duration=2.0)
    assert {warning.filename for warning in (*eager, *lazy)} == {__file__}


def test_the_iterator_warns_at_its_end(tmp_path):
    variables = make_subject(1)
    variables["joined_data"][0] = EMPTY
    write(tmp_path, "P01", variables)
    recordings = load_amigos(tmp_path, lazy=True)
    assert len([next(recordings) for _ in range(15)]) == 15
    with pytest.warns(UserWarning, match="Left out 1 without signals"):
        assert list(recordings) == []


def test_a_subject_without_any_data_is_left_out_beside_another(folder):
    variables = make_subject(3)
    variables["joined_data"] = [EMPTY] * 20
    variables["labels_selfassessment"] = [EMPTY] * 20
    write(folder, "P03", variables)
    with pytest.warns(UserWarning, match=r"Left out 16 without signals \(subject P03: 16\)"):
        assert {r.subject for r in load_amigos(folder)} == {"P01", "P02"}
    with pytest.raises(ValueError, match=r"No trial could be used. Left out 4 without signals"):
        load_amigos(folder, subjects="P03", videos="long")


@pytest.mark.parametrize("n_times", [1, 4 * 128, 5 * 128, 6 * 128 - 1])
def test_a_trial_with_less_than_a_second_of_video_is_left_out(tmp_path, n_times):
    variables = make_subject(1)
    variables["joined_data"][0] = variables["joined_data"][0][:n_times]
    write(tmp_path, "P01", variables)
    with pytest.warns(UserWarning, match="Left out 1 without signals"):
        assert load_amigos(tmp_path, baseline=True)[0].trial == "13 baseline"


def test_a_modality_that_is_entirely_nan_stays_nan(tmp_path):
    variables = make_subject(1)
    variables["joined_data"][0][:, 16] = np.nan
    variables["joined_data"][1][700:710, 14] = np.nan
    write(tmp_path, "P01", variables)
    first, second, *_ = load_amigos(tmp_path)
    assert np.isnan(first.signals["eda"]).all()
    assert np.isfinite(first.signals["eeg"]).all()
    assert np.isnan(second.signals["ecg"]).sum() == 10
    windows = segment([first, second], 3.0)
    assert windows["eda"].isna().tolist() == [True, False]
    with pytest.warns(UserWarning, match="Left out 1 without signals"):
        assert len(load_amigos(tmp_path, modalities="eda")) == 15


# What cannot be read


def test_a_folder_without_files_says_what_was_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no files Data_Preprocessed_P01.mat to .*mmv"):
        load_amigos(tmp_path)
    (tmp_path / "Data_Preprocessed_P41").mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no files Data_Preprocessed_P01.mat to"):
        load_amigos(tmp_path)


def test_the_folder_above_is_an_error_that_names_the_right_one(tmp_path):
    write(tmp_path / "preprocessed", "P01", make_subject(1))
    with pytest.raises(FileNotFoundError, match=r"Found below: .*/preprocessed/Data_.* Pass data"):
        load_amigos(tmp_path)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("Data_Preprocessed_P03.zip", "Unpack .*P03.zip"), ("Data_Preprocessed_P03", "Put it there")],
)
def test_a_subject_whose_file_is_not_unpacked_is_named(folder, name, remedy):
    path = folder / name
    path.write_bytes(b"PK") if path.suffix else path.mkdir()
    with pytest.raises(FileNotFoundError, match=f"has no Data_Preprocessed_P03.mat.*{remedy}"):
        load_amigos(folder)
    with pytest.warns(UserWarning, match=r"Skipped 1 of 3 subjects.\nsubject 'P03'"):
        assert len(load_amigos(folder, on_error="skip")) == 32


def test_a_requested_subject_whose_file_is_missing_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"no Data_Preprocessed_P17.mat, nor Data_Pre"):
        load_amigos(folder, subjects=["P17"])


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.3, 0.9])
def test_a_truncated_file_is_an_error(tmp_path, share, compressed):
    path = write(tmp_path, "P01", make_subject(1), do_compression=compressed)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"P01.mat is truncated .*on_error='skip'"):
        load_amigos(tmp_path)


def test_a_file_altered_within_a_compressed_variable_is_an_error(tmp_path):
    path = write(tmp_path, "P01", make_subject(1), do_compression=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"P01.mat is truncated or not a MATLAB file"):
        load_amigos(tmp_path)


def test_a_file_that_is_not_a_matlab_file_is_an_error(tmp_path):
    (tmp_path / "Data_Preprocessed_P01.mat").write_bytes(b"<html>not found</html>" * 100)
    with pytest.raises(ValueError, match=r"P01.mat is truncated or not a MATLAB file"):
        load_amigos(tmp_path)


def test_a_file_of_version_7_3_is_an_error_with_the_remedy(tmp_path):
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    content = header + bytes(384) + b"\x89HDF\r\n\x1a\n"
    (tmp_path / "Data_Preprocessed_P01.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"P01.mat is a MATLAB file of version 7.3 .*'-v7'"):
        load_amigos(tmp_path)


@pytest.mark.parametrize("name", ["joined_data", "labels_selfassessment", "VideoIDs"])
def test_a_missing_variable_is_named(tmp_path, name):
    variables = make_subject(1)
    del variables[name]
    write(tmp_path, "P01", variables)
    with pytest.raises(ValueError, match=rf"P01.mat: the variable '{name}' is missing"):
        load_amigos(tmp_path)


def test_a_variable_that_is_sparse_is_named(tmp_path):
    write(tmp_path, "P01", make_subject(1) | {"joined_data": csc_array(np.eye(17))})
    with pytest.raises(ValueError, match=r"P01.mat: the variable 'joined_data' is not an array"):
        load_amigos(tmp_path)


def test_the_external_annotations_are_not_needed(tmp_path):
    variables = make_subject(1)
    del variables["labels_ext_annotation"]
    write(tmp_path, "P01", variables)
    assert len(load_amigos(tmp_path)) == 16


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("joined_data", np.zeros((700, 16)), r"joined_data\{4\} has shape \(700, 16\), but should"),
        ("joined_data", np.zeros((17, 700)), r"joined_data\{4\} has shape \(17, 700\), but should"),
        ("joined_data", "text", r"joined_data\{4\} should hold real numbers, got text"),
        ("joined_data", np.ones((700, 17)) * 1j, "should hold real numbers, got complex128"),
        ("labels_selfassessment", np.ones((1, 5)), r"assessment\{4\} has shape \(1, 5\)"),
        ("VideoIDs", EMPTY, r"VideoIDs\{4\} should be a name"),
    ],
)
def test_a_cell_that_is_not_as_published_is_named(tmp_path, name, value, message):
    variables = make_subject(1)
    variables[name][3] = value
    write(tmp_path, "P01", variables)
    with pytest.raises(ValueError, match=rf"P01.mat: .*{message}"):
        load_amigos(tmp_path)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (cell([EMPTY] * 16, (1, 16)), r"cells of shape \(1, 16\)"),
        (np.zeros((3, 17)), r"float64 of shape \(3, 17\)"),
        ({"P01": 1}, r"struct of shape \(1, 1\)"),
    ],
)
def test_a_variable_that_is_not_a_cell_array_of_20_is_named(tmp_path, value, kind):
    write(tmp_path, "P01", make_subject(1) | {"joined_data": value})
    with pytest.raises(ValueError, match=rf"joined_data should be a cell array of 20, got {kind}"):
        load_amigos(tmp_path)


def test_subjects_that_cannot_be_read_are_skipped_with_a_report(folder):
    (folder / "Data_Preprocessed_P01.mat").write_bytes(b"half a file")
    with pytest.warns(UserWarning, match=r"Skipped 1 of 2 subjects.\nsubject 'P01': .*P01.mat is"):
        recordings = load_amigos(folder, on_error="skip")
    assert {r.subject for r in recordings} == {"P02"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": "dominance"}, "target must be one of 'arousal', 'valence', got 'dominance'"),
        ({"threshold": 9}, "threshold must be a number from 1 to below 9, .*, got 9"),
        ({"threshold": 0.5}, "threshold must be a number from 1 to below 9, .*, got 0.5"),
        ({"threshold": float("nan")}, "threshold must be a number .*, got nan"),
        ({"threshold": "5"}, "threshold must be a number .*, got '5'"),
        ({"threshold": True}, "threshold must be a number .*, got True"),
        ({"videos": "medium"}, "videos must be 'short', 'long' or 'all', got 'medium'"),
        ({"modalities": ["eeg", "gsr"]}, r"modalities must be among .*, got \['gsr'\]"),
        ({"modalities": []}, "modalities must be among"),
        (
            {"subjects": ["P41"]},
            r"subjects must be among the 40 from 'P01' to 'P40', got \['P41'\]",
        ),
        ({"subjects": [1]}, r"subjects must be among the 40 from 'P01' to 'P40', got \[1\]"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip', got 'ignore'"),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_an_invalid_parameter_is_named_at_once(folder, parameters, message, lazy):
    with pytest.raises(ValueError, match=message):
        load_amigos(folder, lazy=lazy, **parameters)


def test_subjects_are_named_as_published():
    assert SUBJECTS[0] == "P01"
    assert SUBJECTS[-1] == "P40"
    assert len(SUBJECTS) == 40
