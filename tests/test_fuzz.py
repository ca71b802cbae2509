"""Any input gives a result or a clear error: a short form of benchmarks/fuzz.py."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
N_INPUTS = 12  # of each estimator and function
NAMES = (
    *("HRVTransformer", "EDATransformer", "DifferentialEntropyTransformer", "ResampleTransformer"),
    "QualityTransformer",
    *("ModalityAwareAttentionClassifier", "CrossModalAttentionClassifier", "PerSubject"),
    *("r_peaks", "max_beats", "rr_intervals", "hrv_time", "hrv_frequency", "hrv_nonlinear"),
    *("tonic_phasic", "skin_conductance_responses", "cvxeda", "differential_entropy", "resample"),
    *(
        "signal_quality",
        "beat_agreement",
        "correct_beats",
        "signal_statistics",
        "Recording",
        "find_beats",
    ),
    *("decompose_eda", "find_artefacts", "segment", "compare", "check_split", "LeaveOneTrialOut"),
    *("BlockedKFold", "fit_many", "precompute", "statistics"),
)


@pytest.mark.parametrize("name", NAMES)
def test_any_input_gives_a_result_or_a_clear_error(name, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fuzz

    _, wrong = fuzz.run(N_INPUTS, [name])
    assert not wrong
