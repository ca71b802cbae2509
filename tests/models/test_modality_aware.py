"""The modality-aware attention network: maps and the basic model."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline

from skemo import (
    DifferentialEntropyTransformer,
    HRVTransformer,
    ModalityAwareAttentionClassifier,
    SignalArray,
    make_modality_transformer,
    segment,
    signal_frame,
)
from skemo.datasets import make_emotion_recordings


def network(**parameters):
    small = {"n_filters": 4, "depth": 1, "max_epochs": 12, "lr": 0.01, "batch_size": 32}
    return ModalityAwareAttentionClassifier(**{**small, "random_state": 0, **parameters})


def test_a_map_passes_through_a_network_over_its_plane():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    maps = rng.normal(size=(120, 2, 5, 3)) + y[:, None, None, None]
    X = signal_frame(eeg=SignalArray(maps, channels=["Fz", "Cz", "Pz", "Oz", "O1"]))
    assert network().fit(X[:80], y[:80]).score(X[80:], y[80:]) > 0.9


def test_windows_of_four_dimensions_are_named_in_the_error():
    X = signal_frame(eeg=SignalArray(np.zeros((4, 2, 2, 2, 2))))
    with pytest.raises(
        ValueError, match=r"'eeg' has windows of shape \(2, 2, 2, 2\): a series must"
    ):
        network().fit(X, [0, 1, 0, 1])


def test_the_basic_model_has_no_attention_weights():
    assert hasattr(network(), "attention_weights")
    assert not hasattr(network(attention=None), "attention_weights")


@pytest.fixture(scope="module")
def emotion():
    recordings = make_emotion_recordings(
        n_subjects=4, n_trials=2, duration=60, modalities=("ecg", "eeg"), random_state=0
    )
    return segment(recordings, duration=10.0)


def pipeline():
    return make_pipeline(
        make_modality_transformer(
            ecg=HRVTransformer(output="series"), eeg=DifferentialEntropyTransformer(output="map")
        ),
        network(max_epochs=8),
    )


def test_a_grid_search_reaches_transformers_and_network(emotion):
    search = GridSearchCV(
        pipeline(),
        {
            "modalitytransformer__eeg__sub_windows": [1, 5],
            "modalityawareattentionclassifier__attention": ["mask", None],
        },
        cv=LeaveOneGroupOut(),
        n_jobs=2,
        error_score="raise",
    ).fit(emotion[["ecg", "eeg"]], emotion["label"], groups=emotion["subject"])
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.predict(emotion[["ecg", "eeg"]]).shape == (len(emotion),)
