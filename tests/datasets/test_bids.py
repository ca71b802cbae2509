"""The BIDS loader, on small folders as the specification prescribes them."""

import gzip
import json

import edfio
import numpy as np
import pytest

from skemo import segment
from skemo.datasets import load_bids

RATE = 50.0
COLUMNS = ["cardiac", "respiratory", "EDA", "trigger"]


def samples(seed, n_times=1000):
    return np.random.default_rng(seed).normal(size=(n_times, len(COLUMNS))).round(4)


def write_table(path, table):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join("n/a" if np.isnan(x) else f"{x:.4f}" for x in row) for row in table]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_events(path, rows, header="onset\tduration\ttrial_type"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def sidecar(**changes):
    about = {"SamplingFrequency": RATE, "StartTime": 0.0, "Columns": COLUMNS}
    return about | {"EDA": {"Units": "microsiemens"}, "cardiac": {"Units": "V"}} | changes


@pytest.fixture
def folder(tmp_path):
    write_json(tmp_path / "dataset_description.json", {"Name": "Test", "BIDSVersion": "1.10.0"})
    write_json(tmp_path / "task-stroop_physio.json", sidecar())  # inherited by every subject
    for subject in ("01", "02"):
        beh = tmp_path / f"sub-{subject}" / "beh"
        write_table(beh / f"sub-{subject}_task-stroop_physio.tsv.gz", samples(int(subject)))
        rows = ["0.0\t8\trest", "10.0\t8\tstroop", "19\t0.5\tclick"]
        write_events(beh / f"sub-{subject}_task-stroop_events.tsv", rows)
    return tmp_path


def test_columns_are_modalities_in_their_usual_units(folder):
    recordings = load_bids(folder)
    assert [(r.subject, r.trial) for r in recordings] == [
        ("01", "task-stroop"),
        ("02", "task-stroop"),
    ]
    first = recordings[0]
    assert list(first.signals) == ["cardiac", "resp", "eda"]
    assert first.units == {"cardiac": "V", "resp": None, "eda": "µS"}
    assert set(first.sampling_rates.values()) == {RATE}
    for column, name in enumerate(first.signals):
        np.testing.assert_array_equal(first.signals[name][0], samples(1)[:, column].astype("f4"))


def test_events_with_a_duration_become_labels(folder):
    (recording,) = load_bids(folder, subjects="01")
    assert recording.labels == ((0.0, 8.0, "rest"), (10.0, 18.0, "stroop"), (19.0, 19.5, "click"))
    (recording,) = load_bids(folder, subjects="01", names={"stroop": "stress"})
    assert recording.labels == ((10.0, 18.0, "stress"),)


def test_events_without_durations_last_until_the_next(folder):
    path = folder / "sub-01" / "beh" / "sub-01_task-stroop_events.tsv"
    write_events(path, ["12\tn/a\tstroop\t3", "2\tn/a\trest\tn/a"], "onset\tduration\tkind\tlevel")
    (recording,) = load_bids(folder, subjects="01", label="kind")
    assert recording.labels == ((2.0, 12.0, "rest"), (12.0, 20.0, "stroop"))
    with pytest.raises(ValueError, match=r"events.tsv has no column 'trial_type'; .*Pass label="):
        load_bids(folder, subjects="01")


def test_modalities_are_chosen_by_column_or_type(folder):
    chosen = {"ecg": "cardiac", "skin": ["EDA"], "breath": "resp"}
    (recording,) = load_bids(folder, subjects="02", modalities=chosen)
    assert list(recording.signals) == ["ecg", "skin", "breath"]
    assert recording.units["ecg"] == "mV"
    np.testing.assert_allclose(recording.signals["ecg"][0], samples(2)[:, 0] * 1000, rtol=1e-6)
    with pytest.raises(ValueError, match=r"physio.tsv.gz has no channel 'EEG' for 'eeg'"):
        load_bids(folder, modalities={"eeg": ["EEG"]})


def test_files_at_several_rates_make_one_recording_with_their_own_starts(folder):
    beh = folder / "sub-01" / "beh"
    name = "sub-01_task-stroop_recording-wrist_physio"
    write_table(beh / f"{name}.tsv.gz", samples(5, 80)[:, :1])
    about = {"SamplingFrequency": 4, "StartTime": -1.5, "Columns": ["EDA"]}
    write_json(beh / f"{name}.json", about)
    (recording,) = load_bids(folder, subjects="01")
    assert recording.starts == {"cardiac": 0.0, "resp": 0.0, "eda": 0.0, "eda2": -1.5}
    assert recording.sampling_rates["eda2"] == 4
    assert recording.units["eda2"] == "µS"  # from the file in the folder above


def test_sessions_and_runs_are_trials_and_tasks_are_chosen(folder):
    ses = folder / "sub-01" / "ses-b" / "func"
    write_json(folder / "task-rest_physio.json", sidecar())
    for run in (1, 2):
        write_table(ses / f"sub-01_ses-b_task-rest_run-{run}_physio.tsv.gz", samples(run))
    trials = ["task-stroop", "ses-b task-rest run-1", "ses-b task-rest run-2"]
    assert [r.trial for r in load_bids(folder, subjects="01")] == trials
    recordings = load_bids(folder, subjects="01", tasks="rest")
    assert [r.trial for r in recordings] == trials[1:]
    assert recordings[0].labels == ()


def test_missing_samples_are_nan(folder):
    table = samples(1)
    table[100:150, 2] = np.nan
    write_table(folder / "sub-01" / "beh" / "sub-01_task-stroop_physio.tsv.gz", table)
    (recording,) = load_bids(folder, subjects="01")
    assert np.isnan(recording.signals["eda"]).sum() == 50


def test_windows_are_cut_from_all_subjects(folder):
    windows = segment(load_bids(folder, lazy=True, n_jobs=1), 2.0)
    assert windows["label"].value_counts().to_dict() == {"rest": 8, "stroop": 8}


# EEG


def write_eeg(folder, seed=0):
    eeg = folder / "sub-01" / "eeg"
    eeg.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 20, (3, 2000))
    names = ["Fz", "Cz", "ECG"]
    signals = [
        edfio.EdfSignal(x, 100, label=name, physical_dimension="uV", physical_range=(-200, 200))
        for name, x in zip(names, values, strict=True)
    ]
    edfio.Edf(signals).write(eeg / "sub-01_task-stroop_eeg.edf")
    about = {"TaskName": "stroop", "SamplingFrequency": 100, "EEGReference": "Cz"}
    write_json(eeg / "sub-01_task-stroop_eeg.json", about | {"PowerLineFrequency": 50})
    rows = ["Fz\tEEG\tuV", "Cz\tEEG\tuV", "ECG\tECG\tuV"]
    write_events(eeg / "sub-01_task-stroop_channels.tsv", rows, "name\ttype\tunits")
    write_events(eeg / "sub-01_task-stroop_events.tsv", ["1\t8\trest", "11\t8\tstroop"])
    about = {"SamplingFrequency": 4, "StartTime": 0.25, "Columns": ["EDA"]}
    write_json(eeg / "sub-01_task-stroop_physio.json", about)
    write_table(eeg / "sub-01_task-stroop_physio.tsv.gz", samples(5, 80)[:, :1])
    write_json(folder / "dataset_description.json", {"Name": "Test", "BIDSVersion": "1.10.0"})
    write_events(folder / "participants.tsv", ["sub-01\t20"], "participant_id\tage")
    return values


@pytest.mark.filterwarnings("ignore")
def test_eeg_and_physiology_of_a_run_make_one_recording(tmp_path):
    pytest.importorskip("mne_bids")
    values = write_eeg(tmp_path)
    (recording,) = load_bids(tmp_path)
    assert list(recording.signals) == ["eeg", "ecg", "eda"]
    np.testing.assert_allclose(recording.signals["eeg"], values[:2], atol=0.01)
    np.testing.assert_allclose(recording.signals["ecg"], values[2:] / 1000, atol=1e-5)
    assert recording.units == {"eeg": "µV", "ecg": "mV", "eda": None}
    assert recording.starts["eda"] == 0.25
    assert [interval[2] for interval in recording.labels] == ["rest", "stroop"]
    (recording,) = load_bids(tmp_path, modalities={"heart": ["ECG"], "skin": "EDA"})
    assert list(recording.signals) == ["heart", "skin"]


def test_eeg_is_left_out_on_request(tmp_path):
    write_eeg(tmp_path)
    assert list(load_bids(tmp_path, eeg=False)[0].signals) == ["eda"]


# What cannot be read


def test_a_folder_without_subjects_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no folders sub-<label>. Pass data_home="):
        load_bids(tmp_path)


def test_a_subject_without_recordings_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"sub-01 has no files .* of the tasks \['rest'\]"):
        load_bids(folder, tasks=["rest"])
    (folder / "sub-03").mkdir()
    with pytest.warns(UserWarning, match=r"Skipped 1 of 3 subjects.\nsubject '03'"):
        assert len(load_bids(folder, on_error="skip")) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SamplingFrequency": "fast"}, r"SamplingFrequency, a positive number in hertz, but has"),
        ({"SamplingFrequency": 0}, r"SamplingFrequency, a positive number"),
        ({"Columns": None}, r"should have Columns, a list"),
        ({"StartTime": "now"}, r"StartTime should be a number of seconds, got 'now'"),
    ],
)
def test_metadata_that_are_not_as_prescribed_are_named(folder, change, message):
    write_json(folder / "task-stroop_physio.json", sidecar(**change))
    with pytest.raises(ValueError, match=rf"sub-01_task-stroop_physio.tsv.gz.*{message}"):
        load_bids(folder)


def test_metadata_that_are_not_json_are_named(folder):
    (folder / "task-stroop_physio.json").write_text("{")
    with pytest.raises(ValueError, match=r"task-stroop_physio.json is not a JSON object"):
        load_bids(folder)


def test_a_table_that_is_truncated_or_not_of_numbers_is_named(folder):
    path = folder / "sub-01" / "beh" / "sub-01_task-stroop_physio.tsv.gz"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"physio.tsv.gz cannot be read as numbers"):
        load_bids(folder)
    with gzip.open(path, "wt") as file:
        file.write("1\t2\tx\t4\n")
    with pytest.raises(ValueError, match=r"physio.tsv.gz cannot be read as numbers in the columns"):
        load_bids(folder)


def test_overlapping_events_are_an_error_that_names_the_file(folder):
    path = folder / "sub-01" / "beh" / "sub-01_task-stroop_events.tsv"
    write_events(path, ["0\t8\trest", "5\t8\tstroop"])
    with pytest.raises(ValueError, match=r"sub-01_task-stroop_physio.tsv.gz: .* overlap"):
        load_bids(folder)
    assert len(load_bids(folder, names={"rest": "rest"})) == 2
