"""Any input gives a result or a clear error: a short form of benchmarks/fuzz.py."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
N_INPUTS = 12  # of each estimator and function
SIGNALS = (
    "HRVTransformer", "EDATransformer", "DifferentialEntropyTransformer", "ResampleTransformer",
    "QualityTransformer", "RespirationTransformer", "TemperatureTransformer",
    "AccelerometerTransformer", "EMGTransformer", "ModalityAwareAttentionClassifier",
    "CrossModalAttentionClassifier", "ModalityAwareAttentionRegressor",
    "CrossModalAttentionRegressor", "FusionClassifier", "FusionRegressor", "ArrayTransformer",
    "PerSubject", "ContextTransformer", "r_peaks", "max_beats", "rr_intervals",
    "hrv_time", "hrv_frequency", "hrv_nonlinear", "tonic_phasic", "skin_conductance_responses",
    "cvxeda", "differential_entropy", "resample", "signal_quality", "breaths", "breathing",
    "respiration_of_beats", "respiration_of_ecg", "acceleration_by_second", "motion_features",
    "emg_envelope", "muscle_bursts", "muscle_features", "temperature_features", "correct_beats",
    "beat_agreement", "signal_statistics", "Recording", "find_beats", "decompose_eda",
    "find_artefacts", "Recording.to_mne", "segment", "fit_many", "precompute",
)  # fmt: skip
TABLES = (
    "compare", "tables of compare", "write_report", "leakage_gap", "check_split",
    "LeaveOneTrialOut", "BlockedKFold", "statistics", "calibration_bins",
    "expected_calibration_error", "log_losses", "score_calibration", "labels.from_events",
    "labels.from_table", "labels.targets_from_table", "labels.from_series", "correct_baseline",
    "Recording.from_frame", "read_csv", "readers of files", "correct_clock", "merge_recordings",
    "feature_definitions", "write_bids_features", "load_amigos", "load_bids", "load_case",
    "load_deap", "load_dreamer", "load_seed", "load_wesad", "fetch_eegmat",
    "fetch_stress_predict", "make_emotion_recordings",
)  # fmt: skip
DISPLAYS = (
    "ConfusionDisplay", "SubjectScoresDisplay", "PredictionsDisplay", "ResidualsDisplay",
    "AttentionDisplay", "RepresentationDisplay",
    "ChannelImportanceDisplay", "RecordingDisplay", "QualityDisplay",
)  # fmt: skip


def test_every_target_is_tried(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fuzz

    assert set(fuzz.TARGETS) == {*SIGNALS, *TABLES, *DISPLAYS}


@pytest.mark.parametrize("name", [*SIGNALS, *TABLES, *DISPLAYS])
def test_any_input_gives_a_result_or_a_clear_error(name, monkeypatch):
    if name in DISPLAYS:
        pytest.importorskip("matplotlib").use("agg")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fuzz

    _, wrong = fuzz.run(N_INPUTS, [name])
    assert not wrong
