"""The DEAP loader, on files in the published layout."""

import pickle

import numpy as np
import pytest
from scipy.io import savemat

from skemo import segment
from skemo.datasets import load_deap
from skemo.datasets.deap import CHANNELS, SUBJECTS


def make_content(subject=1):
    """Small whole numbers, so that a file is small; video k has the rating 1 + k % 9."""
    rng = np.random.default_rng(subject)
    data = rng.integers(-99, 99, (40, 40, 8064), np.int8)
    labels = np.column_stack([1.0 + (np.arange(40) + k) % 9 for k in range(4)])
    return {"labels": labels, "data": data}


def write(folder, content, subject="s01", form="dat"):
    path = folder / f"{subject}.{form}"
    if form == "mat":
        savemat(path, content)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deap")
    write(folder, make_content(), "s01")
    write(folder, make_content(2), "s02", "mat")
    return folder


def test_a_recording_is_a_video_without_its_baseline(folder):
    recordings = load_deap(folder, subjects="s01", modalities=list(CHANNELS))
    data = make_content()["data"]
    assert [r.trial for r in recordings] == [str(number) for number in range(1, 41)]
    joined = np.concatenate(list(recordings[6].signals.values()))
    np.testing.assert_array_equal(joined, data[6, :, 384:])
    assert recordings[6].duration == 60.0
    assert joined.dtype == np.float32


def test_recordings_have_the_published_rates_channels_and_units(folder):
    (recording, *_) = load_deap(folder, subjects="s01", modalities=list(CHANNELS))
    assert set(recording.sampling_rates.values()) == {128.0}
    assert recording.channels == CHANNELS
    assert {k: v for k, v in recording.units.items() if v} == {"eeg": "µV", "gsr": "Ω"}
    assert len(set(recording.channels["eeg"])) == 32


def test_the_matlab_form_is_read_the_same(tmp_path):
    write(tmp_path, make_content(), "s01")
    write(tmp_path, make_content(), "s02", "mat")
    recordings = load_deap(tmp_path)
    for one, other in zip(recordings[:40], recordings[40:], strict=True):
        np.testing.assert_array_equal(one.signals["eeg"], other.signals["eeg"])
        assert (one.trial, one.labels, one.targets) == (other.trial, other.labels, other.targets)


def test_ratings_are_targets_in_the_order_of_the_columns(folder):
    recording = load_deap(folder, subjects="s01")[3]
    assert recording.targets == {"valence": 4, "arousal": 5, "dominance": 6, "liking": 7}


@pytest.mark.parametrize(("target", "high"), [("valence", 5), ("arousal", 4), ("liking", 2)])
def test_a_rating_above_the_threshold_is_high(folder, target, high):
    labels = [r.labels[0][2] for r in load_deap(folder, subjects="s01", target=target)[:9]]
    assert labels.index("high") == high


def test_the_baseline_comes_before_its_video_on_request(folder):
    recordings = load_deap(folder, subjects="s01", baseline=True)
    assert [r.trial for r in recordings[:4]] == ["1 baseline", "1", "2 baseline", "2"]
    assert recordings[0].duration == 3.0
    np.testing.assert_array_equal(
        recordings[0].signals["ppg"][0], make_content()["data"][0, 38, :384]
    )
    assert recordings[0].labels == ((0.0, 3.0, "baseline"),)
    assert recordings[0].targets == {}


def test_windows_have_eeg_and_pulse_by_default(folder):
    windows = segment(load_deap(folder, lazy=True), 20.0)
    assert list(windows)[:2] == ["eeg", "ppg"]
    assert windows["subject"].value_counts().to_dict() == {"s01": 120, "s02": 120}


def test_a_trial_without_a_valid_rating_is_left_out_with_a_warning(tmp_path):
    content = make_content()
    content["labels"][[2, 5], 1] = np.nan, 11
    write(tmp_path, content)
    with pytest.warns(UserWarning, match=r"Left out 2 without a rating of arousal from 1 to 9"):
        assert len(load_deap(tmp_path)) == 38
    assert len(load_deap(tmp_path, target="valence")) == 40


def test_a_folder_without_files_says_what_was_looked_for(folder):
    with pytest.raises(FileNotFoundError, match=r"no files s01.dat to s32.dat.* Found below: .*s0"):
        load_deap(folder.parent)


def test_a_subject_whose_file_is_missing_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"no s07.dat or s07.mat. Put it there"):
        load_deap(folder, subjects="s07")


@pytest.mark.parametrize("form", ["dat", "mat"])
def test_a_truncated_file_is_an_error_with_a_remedy(tmp_path, form):
    path = write(tmp_path, make_content(), form=form)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r"s01.* cannot be read.*Unpack or download it again"):
        load_deap(tmp_path)
    write(tmp_path, make_content(2), "s02")
    with pytest.warns(UserWarning, match=r"Skipped 1 of 2 subjects.\nsubject 's01'"):
        assert len(load_deap(tmp_path, on_error="skip")) == 40


@pytest.mark.parametrize("form", ["dat", "mat"])
def test_a_file_in_another_layout_is_named(tmp_path, form):
    content = make_content()
    write(tmp_path, content | {"data": content["data"][:, :32]}, form=form)
    with pytest.raises(ValueError, match=r"data has shape \(40, 32, 8064\), but should have \(40,"):
        load_deap(tmp_path)
    write(tmp_path, {"labels": content["labels"]}, form=form)
    with pytest.raises(ValueError, match=r"s01.*data'? is missing"):
        load_deap(tmp_path)


def test_a_pickle_of_anything_else_is_refused(tmp_path):
    write(tmp_path, make_content() | {"extra": print})
    with pytest.raises(ValueError, match="print', which could run arbitrary code and was refused"):
        load_deap(tmp_path)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": "familiarity"}, "target must be one of 'arousal', .* got 'familiarity'"),
        ({"threshold": 9}, "threshold must be a number from 1 to below 9"),
        ({"modalities": ["eda"]}, r"modalities must be among .*'gsr'.*, got \['eda'\]"),
        ({"subjects": ["s33"]}, r"subjects must be among the 32 from 's01' to 's32'"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip'"),
    ],
)
def test_an_invalid_parameter_is_named_at_once(folder, parameters, message):
    with pytest.raises(ValueError, match=message):
        load_deap(folder, lazy=True, **parameters)


def test_subjects_are_named_as_published():
    assert (SUBJECTS[0], SUBJECTS[-1], len(SUBJECTS)) == ("s01", "s32", 32)
