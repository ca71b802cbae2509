"""Errors for tables of the wrong form name the parameter that gives the right one."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from skemo import (
    CrossModalAttentionClassifier,
    DifferentialEntropyTransformer,
    HRVTransformer,
    ModalityAwareAttentionClassifier,
    SignalArray,
    make_lda,
    make_modality_transformer,
    make_random_forest,
    make_svm,
    segment,
)
from skemo.datasets import make_emotion_recordings

NETWORKS = [ModalityAwareAttentionClassifier, CrossModalAttentionClassifier]


@pytest.fixture(scope="module")
def windows():
    recordings = make_emotion_recordings(
        n_subjects=2, n_trials=2, duration=30, modalities=("ecg", "eeg"), random_state=0
    )
    return segment(recordings, duration=10.0)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("ecg", "eeg"),
    [
        (HRVTransformer(), DifferentialEntropyTransformer(output="map")),
        (HRVTransformer(output="series"), DifferentialEntropyTransformer()),
        (HRVTransformer(), DifferentialEntropyTransformer()),
    ],
    ids=str,
)
def test_a_network_given_features_names_the_output_to_ask_for(network, ecg, eeg, windows):
    model = make_pipeline(make_modality_transformer(ecg=ecg, eeg=eeg), network(max_epochs=1))
    with pytest.raises(ValueError, match=r"say output='series' .* or output='map'"):
        model.fit(windows, windows["label"])


def test_a_table_with_a_column_per_sample_is_one_channel():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(20, 32)), columns=[f"t{i}" for i in range(32)])
    network = CrossModalAttentionClassifier(max_epochs=1, random_state=0)
    assert network.fit(X, [0, 1] * 10).modalities_["signal"].shape == (1, 32)


@pytest.mark.parametrize("make", [make_svm, make_random_forest, make_lda])
@pytest.mark.parametrize(
    "eeg", [DifferentialEntropyTransformer(), DifferentialEntropyTransformer(output="map")], ids=str
)
def test_a_baseline_given_signals_names_the_output_to_ask_for(make, eeg, windows):
    model = make(make_modality_transformer(ecg=HRVTransformer(output="series"), eeg=eeg))
    with pytest.raises(ValueError, match=r"got the signal columns \['ecg'.*Say output='features'"):
        model.fit(windows, windows["label"])


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_given_an_age_says_how_to_make_it_a_signal(network, windows):
    X = windows[["ecg", "eeg"]].assign(age=30)
    message = r"got \['age'\] beside \['ecg', 'eeg'\].*SignalArray\(age.to_numpy"
    with pytest.raises(ValueError, match=message):
        network(max_epochs=1).fit(X, windows["label"])


@pytest.mark.parametrize("sampling_rate", [None, 1])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_learns_from_a_signal_of_one_number(network, sampling_rate):
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    answer = pd.Series(y)  # to a questionnaire; 0 is an answer too
    X = pd.DataFrame(
        {
            "eda": SignalArray(rng.normal(size=(300, 40)), sampling_rate=4),
            "answer": SignalArray(
                answer.to_numpy(float)[:, None, None], sampling_rate=sampling_rate
            ),
        }
    )
    model = network(max_epochs=40, random_state=0).fit(X[:240], y[:240])
    assert model.score(X[240:], y[240:]) > 0.9


@pytest.mark.parametrize("network", NETWORKS)
def test_a_zero_that_is_a_single_number_is_a_value_and_not_padding(network):
    ages = np.tile([0.0, 2.0], 10)
    X = pd.DataFrame({"age": SignalArray(ages[:, None, None])})
    model = network(max_epochs=1, random_state=0).fit(X, np.tile(["a", "b"], 10))
    assert model.mean_["age"].item() == 1.0
    assert model.scale_["age"].item() == 1.0
    inputs = model._window_set({"age": X["age"].array.values[:2]}).inputs
    assert inputs[0].flatten().tolist() == [-1.0, 1.0]
