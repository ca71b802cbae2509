"""Modalities of channels by their names."""

import pytest

from skemo.datasets.deap import CHANNELS as DEAP
from skemo.datasets.eegmat import CHANNELS as EEGMAT
from skemo.datasets.seed import CHANNELS as SEED
from skemo.signals.channels import group_channels, modality_of


@pytest.mark.parametrize("suffix", ["", "-A1", "-M2", "-REF", "-Ref", "_LE", "-Cz", "-A1A2", ".."])
def test_electrodes_are_eeg_with_any_reference(suffix):
    names = sorted({*DEAP["eeg"], *EEGMAT, *SEED} - {"CB1", "CB2"})
    assert {modality_of(name + suffix) for name in names} == {"eeg"}
    assert {modality_of(f"EEG {name}{suffix}") for name in names} == {"eeg"}


def test_electrodes_are_one_modality_and_can_be_chosen_as_such():
    names = ["Fp1", "C3-A2", "ECG", "O2", "Status"]
    assert group_channels(names, None) == {"eeg": [0, 1, 3], "ecg": [2], "status": [4]}
    assert group_channels(names, {"eeg": "eeg"}) == {"eeg": [0, 1, 3]}
    assert group_channels(names, {"one": "O2"}) == {"one": [3]}


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("V1", "ecg"),
        ("D2", "ecg"),
        ("II", "ecg"),
        ("T1", "t1"),
        ("A1", "a1"),
        ("SpO2", "spo2"),
        ("C3-ECG", "c3_ecg"),
        ("P1 volume", "p1_volume"),
        ("F11", "f11"),
    ],
)
def test_other_short_names_are_not_electrodes(name, modality):
    assert modality_of(name) == modality
