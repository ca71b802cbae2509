"""Definitions of features, and tables of features in BIDS format."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import skemo
import skemo.datasets
from skemo.features.hrv import FEATURES as HRV
from skemo.kernels.motion import FEATURES as ACC
from skemo.kernels.muscle import FEATURES as EMG
from skemo.kernels.quality import QUALITY
from skemo.kernels.respiration import FEATURES as RSP
from skemo.kernels.skin_conductance import FEATURES as EDA
from skemo.kernels.temperature import FEATURES as TEMP

GROUPS = {"hrv": HRV, "eda": EDA, "rsp": RSP, "temp": TEMP, "acc": ACC, "emg": EMG}


@pytest.mark.parametrize("kind", GROUPS)
def test_every_feature_has_a_definition(kind):
    names = [name for group in GROUPS[kind].values() for name in group]
    assert list(skemo.feature_definitions(names).index) == names


def test_every_definition_is_of_a_feature():
    names = {n for groups in GROUPS.values() for group in groups.values() for n in group}
    assert set(skemo.feature_definitions().index) == names


def test_every_number_of_the_quality_has_a_definition():
    for names in QUALITY.values():
        assert list(skemo.feature_definitions(list(names)).index) == list(names)
    assert skemo.feature_definitions(["EEG_Flat_F3"])["definition"].iloc[0].endswith(", F3")


def test_units_agree_with_the_docstrings():
    definitions = skemo.feature_definitions()
    for transformer in (
        skemo.EDATransformer,
        skemo.RespirationTransformer,
        skemo.TemperatureTransformer,
        skemo.AccelerometerTransformer,
        skemo.EMGTransformer,
    ):
        border = re.search(r"\n( *=+ )(=+) =+\n", transformer.__doc__)
        start = len(border[1])
        _, _, table, _ = transformer.__doc__.split(border[0])
        for line in table.splitlines():
            for name in re.findall(r"[A-Z]{3,4}_\w+", line[:start]):
                unit = line[start : start + len(border[2])].strip() or None
                assert definitions.loc[name, "unit"] == unit


def test_features_of_channels_and_bands_name_them():
    found = skemo.feature_definitions(["theta_AF3", "EMG_RMS_zygomaticus", "age"])
    assert list(found.index) == ["theta_AF3", "EMG_RMS_zygomaticus"]
    assert found["unit"].tolist() == ["nat", None]
    assert found["definition"].tolist() == [
        "Differential entropy of the theta band, AF3",
        "Root mean square, in the unit of the signal, zygomaticus",
    ]


@pytest.mark.parametrize("names", ["HRV_RMSSD", 3])
def test_names_of_features_are_a_list(names):
    with pytest.raises(ValueError, match="names must be a list of names of features, got"):
        skemo.feature_definitions(names)


# As a BIDS derivative


@pytest.fixture(scope="module")
def tables():
    settings = {"modalities": ("ecg", "eda"), "random_state": 0}
    recordings = skemo.datasets.make_emotion_recordings(2, 2, **settings)
    windows = skemo.segment(recordings, 30.0)
    features = skemo.make_modality_transformer(
        ecg=skemo.HRVTransformer(), eda=skemo.EDATransformer(), subject="passthrough"
    ).fit_transform(windows)
    return features, windows


def test_a_derivative_is_read_back_as_it_was(tables, tmp_path):
    features, windows = tables
    features = features.copy()
    features.iloc[0, 0] = np.nan
    paths = skemo.write_bids_features(tmp_path, features, windows)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "sub-00/sub-00_features.tsv",
        "sub-01/sub-01_features.tsv",
    ]
    assert "\tn/a\t" in paths[0].read_text(encoding="utf-8")
    back = pd.concat([pd.read_csv(path, sep="\t") for path in paths], ignore_index=True)
    assert list(back)[:4] == ["onset", "duration", "trial", "trial_type"]
    assert back["duration"].eq(30.0).all()
    assert back["trial_type"].tolist() == windows["label"].tolist()
    expected = features.drop(columns="subject")
    pd.testing.assert_frame_equal(back[list(expected)], expected, check_dtype=False)


def test_the_sidecar_has_units_and_definitions_of_all_columns(tables, tmp_path):
    features, windows = tables
    own = {"age": {"Description": "Age at the first session", "Units": "year"}}
    paths = skemo.write_bids_features(
        tmp_path, features.assign(age=20), windows, definitions=own, name="Stress"
    )
    about = json.loads((tmp_path / "features.json").read_text(encoding="utf-8"))
    assert list(about) == list(pd.read_csv(paths[0], sep="\t"))
    assert about["EDA_Mean"] == {"Description": "Mean skin conductance", "Units": "µS"}
    assert about["age"] == own["age"]
    found = json.loads((tmp_path / "dataset_description.json").read_text(encoding="utf-8"))
    assert found["DatasetType"] == "derivative"
    assert found["Name"] == "Stress"
    assert found["GeneratedBy"][0]["Name"] == "skemo"


def test_subjects_get_labels_of_letters_and_digits(tables, tmp_path):
    features, windows = tables
    named = windows.assign(subject=windows["subject"].map({"00": "p_1", "01": "p-2"}))
    paths = skemo.write_bids_features(tmp_path, features, named)
    assert [path.name for path in paths] == ["sub-p1_features.tsv", "sub-p2_features.tsv"]
    named["subject"] = named["subject"].map({"p_1": "p_1", "p-2": "p1"})
    with pytest.raises(ValueError, match=r"would get \['p1', 'p1'\]. Rename them"):
        skemo.write_bids_features(tmp_path, features, named)


def test_tables_that_do_not_fit_are_refused(tables, tmp_path):
    features, windows = tables
    with pytest.raises(ValueError, match=r"windows must be the table from segment .* 8 rows, but"):
        skemo.write_bids_features(tmp_path, features, windows[:3])
    with pytest.raises(ValueError, match="columns of numbers, but 'film' is not"):
        skemo.write_bids_features(tmp_path, features.assign(film="a"), windows)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"duration": -1}, "duration must be a positive number of seconds, got -1"),
        ({"definitions": {"a": "x"}}, r"definitions must be a dict such as .*, got \{'a': 'x'\}"),
        ({"definitions": {"a": {"Units": set()}}}, "definitions cannot be written as JSON"),
        ({"name": 3}, "name must be text, got 3"),
    ],
)
def test_descriptions_that_cannot_be_written_are_refused(tables, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        skemo.write_bids_features(tmp_path, *tables, **settings)
    assert list(tmp_path.iterdir()) == []


def test_numbers_in_the_other_byte_order_become_a_derivative(tables, tmp_path):
    features, windows = tables
    swapped = features.assign(EDA_Mean=features["EDA_Mean"].to_numpy(">f8"))
    path = skemo.write_bids_features(tmp_path, swapped, windows)[0]
    found = pd.read_csv(path, sep="\t")["EDA_Mean"]
    np.testing.assert_allclose(found, features["EDA_Mean"][: len(found)])


def test_rows_in_another_order_are_refused(tables, tmp_path):
    features, windows = tables
    with pytest.raises(ValueError, match="features and windows must have the same index, in the"):
        skemo.write_bids_features(tmp_path, features.iloc[::-1], windows)
    assert list(tmp_path.iterdir()) == []
    some = features.iloc[[5, 2]]
    paths = skemo.write_bids_features(tmp_path, some, windows.loc[some.index])
    for row, path in zip((5, 2), paths, strict=True):
        back = pd.read_csv(path, sep="\t")
        assert back["onset"].tolist() == [windows["start"][row]]
        np.testing.assert_allclose(back["HRV_MeanNN"], features["HRV_MeanNN"][row])


@pytest.mark.parametrize("what", ["features", "windows"])
def test_only_tables_become_a_derivative(tables, tmp_path, what):
    given = dict(zip(("features", "windows"), tables, strict=True))
    given[what] = np.zeros((8, 2))
    with pytest.raises(ValueError, match=f"{what} must be a DataFrame, got ndarray"):
        skemo.write_bids_features(tmp_path, **given)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_the_duration_is_that_of_the_first_signal_that_is_there(tables, tmp_path, missing):
    features, windows = tables
    windows = windows.assign(ecg=missing)
    windows.attrs = {}
    paths = skemo.write_bids_features(tmp_path, features, windows)
    assert pd.read_csv(paths[0], sep="\t")["duration"].eq(30.0).all()
