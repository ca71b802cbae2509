"""The SEED loader, on files in the published layout."""

import numpy as np
import pytest
from scipy.io import savemat

from skemo import segment
from skemo.datasets import load_seed
from skemo.datasets.seed import CHANNELS, SUBJECTS

LABELS = [1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1]
NAMES = {1: "positive", 0: "neutral", -1: "negative"}
DATES = ("20131027", "20131030", "20131107")


def trial(subject, session, number):
    """Make a trial whose numbers say where it is from, and which is as long as its number."""
    samples = np.full((62, 400 + 10 * number), subject * 1000 + session * 100 + number, float)
    samples[:, 0] = range(62)
    return samples


def write(folder, subject, session, initials="djc"):
    path = folder / f"{subject}_{DATES[session - 1]}.mat"
    content = {f"{initials}_eeg{n}": trial(subject, session, n) for n in range(1, 16)}
    savemat(path, content, do_compression=True)
    return path


def write_labels(folder, labels=LABELS):
    savemat(folder / "label.mat", {"label": np.array([labels])})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seed")
    write_labels(folder)
    for subject, initials in ((1, "djc"), (10, "ww")):
        for session in (3, 1, 2):
            write(folder, subject, session, initials)
    (folder / "readme.txt").write_text("Read me.")
    return folder


def test_recordings_are_trials_by_subject_and_session_in_the_order_of_dates(folder):
    recordings = load_seed(folder)
    assert [(r.subject, r.trial) for r in recordings] == [
        (subject, f"{session}-{number}")
        for subject in ("1", "10")
        for session in (1, 2, 3)
        for number in range(1, 16)
    ]
    np.testing.assert_array_equal(recordings[-1].signals["eeg"], trial(10, 3, 15))


def test_recordings_have_the_published_rate_and_channels(folder):
    recording = load_seed(folder, subjects="1")[0]
    assert recording.sampling_rates == {"eeg": 200.0}
    assert recording.channels == {"eeg": CHANNELS}
    assert len(set(CHANNELS)) == 62
    assert recording.signals["eeg"].dtype == np.float32


def test_labels_are_those_of_the_clips(folder):
    recordings = load_seed(folder, subjects="10", sessions=[2])
    assert [r.labels for r in recordings] == [
        ((0.0, (400 + 10 * n) / 200, NAMES[label]),) for n, label in enumerate(LABELS, start=1)
    ]


def test_classes_and_sessions_are_chosen(folder):
    recordings = load_seed(folder, subjects="1", sessions=[3], classes=["negative", "positive"])
    assert [r.trial for r in recordings] == [
        f"3-{n}" for n, label in enumerate(LABELS, start=1) if label
    ]


def test_windows_are_cut_from_all_trials(folder):
    windows = segment(load_seed(folder, lazy=True, sessions=[1]), 2.0)
    assert windows["eeg"].dtype.shape == (62, 400)
    assert len(windows) == 30


def test_a_folder_without_files_says_what_was_looked_for(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no files such as 1_20131027.mat. Found below: "):
        load_seed(folder.parent)
    write(tmp_path, 1, 1)
    with pytest.raises(FileNotFoundError, match=r"label.mat is missing; it has the labels"):
        load_seed(tmp_path)


def test_a_session_that_is_missing_is_an_error_unless_it_is_not_wanted(tmp_path):
    write_labels(tmp_path)
    write(tmp_path, 1, 1)
    write(tmp_path, 1, 2)
    with pytest.raises(FileNotFoundError, match=r"has 2 files 1_<date>.mat, but .* pass sessions="):
        load_seed(tmp_path)
    assert len(load_seed(tmp_path, sessions=[1, 2])) == 30


def test_a_truncated_file_is_an_error_with_a_remedy(tmp_path):
    write_labels(tmp_path)
    path = write(tmp_path, 1, 1)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ValueError, match=r"1_20131027.mat is truncated .*download it again"):
        load_seed(tmp_path, sessions=[1])


def test_a_file_without_one_of_the_trials_is_named(tmp_path):
    write_labels(tmp_path)
    savemat(tmp_path / "1_20131027.mat", {"djc_eeg1": trial(1, 1, 1)})
    with pytest.raises(ValueError, match=r"1_20131027.mat .* has no variable <initials>_eeg2"):
        load_seed(tmp_path, sessions=[1])


def test_a_trial_in_another_shape_is_named(tmp_path):
    write_labels(tmp_path)
    content = {f"djc_eeg{n}": trial(1, 1, n) for n in range(1, 16)}
    savemat(tmp_path / "1_20131027.mat", content | {"djc_eeg4": np.zeros((14, 500))})
    with pytest.raises(ValueError, match=r"djc_eeg4 has shape \(14, 500\), but should have \(62, "):
        load_seed(tmp_path, sessions=[1])


@pytest.mark.parametrize("labels", [[1, 0, -1], [2] * 15])
def test_labels_that_are_not_as_published_are_named(tmp_path, labels):
    write(tmp_path, 1, 1)
    write_labels(tmp_path, labels)
    with pytest.raises(ValueError, match=r"label should have 15 numbers among -1, 0 and 1, but is"):
        load_seed(tmp_path, sessions=[1])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"classes": ["sad", "neutral"]}, r"classes must be at least two of .*, got \['sad', "),
        ({"classes": "neutral"}, r"classes must be at least two of"),
        ({"classes": 3}, r"classes must be at least two of .*, got \[3\]"),
        ({"sessions": "x"}, r"sessions must be among 1, 2 and 3, got 'x'"),
        ({"sessions": [4]}, r"sessions must be among 1, 2 and 3, got \[4\]"),
        ({"subjects": ["16"]}, r"subjects must be among the 15 from '1' to '15'"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip'"),
    ],
)
def test_an_invalid_parameter_is_named_at_once(folder, parameters, message):
    with pytest.raises(ValueError, match=message):
        load_seed(folder, lazy=True, **parameters)


def test_subjects_are_named_as_published():
    assert tuple(str(number) for number in range(1, 16)) == SUBJECTS
