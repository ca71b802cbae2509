"""The cross-modal network: streams, connections and missing modalities."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut

from skemo import CrossModalAttentionClassifier, SignalArray, signal_frame


def network(**parameters):
    small = {"n_filters": 4, "kernel_size": 5, "max_epochs": 15, "lr": 0.005, "batch_size": 32}
    return CrossModalAttentionClassifier(**{**small, "random_state": 0, **parameters})


def combinations(n_windows=240, seed=0):
    """Slow or fast heartbeats, low or high skin conductance; the class is whether they agree."""
    rng = np.random.default_rng(seed)
    fast, high = rng.integers(0, 2, (2, n_windows))
    seconds = np.arange(320) / 32
    rate = 1.0 + 0.8 * fast[:, None]
    ecg = np.sin(2 * np.pi * (rate * seconds + rng.random((n_windows, 1))))
    ecg += 0.3 * rng.normal(size=ecg.shape)
    eda = 2 * high[:, None] + 0.3 * rng.normal(size=(n_windows, 40))
    X = signal_frame(
        ecg=SignalArray(ecg[:, None].astype(np.float32), sampling_rate=32),
        eda=SignalArray(eda[:, None].astype(np.float32), sampling_rate=4),
    )
    return X, np.where(fast == high, "agree", "differ")


def levels(n_windows=240, seed=0, n_modalities=2):
    """Modalities that each show the class on their own, but not with certainty."""
    rng = np.random.default_rng(seed)
    y = np.tile(["calm", "stress"], n_windows // 2)
    columns = {}
    for i in range(n_modalities):
        level = 1.2 * (y == "stress") + rng.normal(size=n_windows)
        values = level[:, None, None] + rng.normal(size=(n_windows, 1, 40 // (i + 1)))
        columns[f"m{i}"] = SignalArray(values.astype(np.float32))
    return signal_frame(**columns), y


# Connections


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"attention": "temporal"},
        {"attention": None},
        {"merge": "concat"},
        {"stages": 2},
        {"stages": (1, 2, 3)},
        {"direction": {"eda": "ecg"}},
        {"direction": {"ecg": ["eda"]}},
    ],
    ids=str,
)
def test_connected_streams_learn_a_class_that_only_the_combination_shows(settings):
    X, y = combinations()
    new, truth = combinations(seed=1)
    assert network(**settings).fit(X, y).score(new, truth) > 0.95


@pytest.mark.parametrize("modalities", [["ecg", "eda"], ["ecg"], ["eda"]], ids=str)
def test_neither_late_fusion_of_scores_nor_a_single_stream_learns_it(modalities):
    X, y = combinations()
    new, truth = combinations(seed=1)
    # A sum of one score per stream is right in at most three of the four combinations.
    fused = network(direction=None).fit(X[modalities], y)
    assert 0.3 < fused.score(new[modalities], truth) < 0.7


def test_the_same_connections_give_the_same_network_however_they_are_written():
    X, y = levels(60, n_modalities=3)
    everywhere = {"m2": ["m1", "m0"], "m0": ["m2", "m1"], "m1": ["m0", "m2"]}
    both, mapped, one_way = (
        network(direction=direction, max_epochs=2).fit(X, y).predict_proba(X)
        for direction in ("both", everywhere, {"m0": "m1"})
    )
    np.testing.assert_array_equal(mapped, both)
    assert (one_way != both).any()


def test_modality_dropout_reaches_the_network():
    X, y = levels(60)
    trained, plain = (network(modality_dropout=p, max_epochs=2).fit(X, y) for p in (0.4, 0.0))
    assert trained.net_.module_.modality_dropout.p == 0.4
    assert (trained.predict_proba(X) != plain.predict_proba(X)).any()


def test_zeros_at_the_end_of_a_signal_with_a_sampling_rate_are_values():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    level = y[:, None, None] * rng.uniform(1, 3, (200, 1, 1))
    X = signal_frame(eda=SignalArray(np.tile(level, (1, 1, 40)), sampling_rate=4))
    classifier = network().fit(X, y)
    assert classifier.mean_["eda"].item() == pytest.approx(level.mean())
    assert classifier.score(X, y) > 0.9


@pytest.mark.parametrize(
    "direction",
    [{0: 1}, {0: [1]}, {0: (1,)}, {("a", "x"): ("b", "y")}, {("a", "x"): [("b", "y")]}],
    ids=["number", "list", "tuple", "name that is a tuple", "list of such"],
)
def test_columns_with_names_that_are_not_strings_can_be_connected(direction):
    X, y = levels(60)
    X.columns = (
        [0, 1] if 0 in direction else pd.Index([("a", "x"), ("b", "y")], tupleize_cols=False)
    )
    classifier = network(direction=direction, max_epochs=1).fit(X, y)
    assert classifier.net_.module_.sources == [[], [0]]


def test_a_single_block_needs_no_stages_without_connections():
    X, y = levels(60)
    network(n_blocks=1, direction=None, max_epochs=1).fit(X, y)
    network(n_blocks=1, max_epochs=1).fit(X[["m0"]], y)
    network(n_blocks=1, stages=1, max_epochs=1).fit(X, y)


def test_only_shared_modalities_have_attention_weights():
    X, y = combinations(60)
    weights = network(direction={"eda": "ecg"}, max_epochs=2).fit(X, y).attention_weights(X)
    assert weights["eda"].between(0, 1, inclusive="neither").all()
    assert weights["ecg"].isna().all()
    assert not hasattr(network(direction=None), "attention_weights")
    assert not hasattr(network(attention=None), "attention_weights")


def test_concatenated_representations_are_part_of_the_fused_one():
    X, y = combinations(60)
    last = {"merge": "concat", "stages": 3, "direction": {"eda": "ecg"}}
    classifier = network(**last, max_epochs=1).fit(X, y)
    names = classifier.get_feature_names_out()
    assert classifier.transform(X).shape == (60, len(names))
    assert sum(name.startswith("ecg") for name in names) == 2 * 16
    assert sum(name.startswith("eda") for name in names) == 16


@pytest.mark.parametrize("n_modalities", [1, 2, 3, 4])
def test_any_number_of_modalities_of_different_lengths_works(n_modalities):
    X, y = levels(n_modalities=n_modalities)
    new, truth = levels(seed=1, n_modalities=n_modalities)
    classifier = network(max_epochs=8).fit(X, y)
    assert list(classifier.attention_weights(new)) == list(X)
    assert classifier.score(new, truth) > 0.65


def test_a_grid_search_compares_connections_with_late_fusion():
    X, y = combinations(240)
    grid = {"direction": ["both", None], "stages": [1, (1, 2)]}
    search = GridSearchCV(network(), grid, cv=LeaveOneGroupOut(), error_score="raise")
    search.fit(X, y, groups=np.arange(240) % 2)
    assert search.best_params_["direction"] == "both"


# Missing modalities


def test_without_one_modality_the_network_is_as_good_as_a_network_for_the_other():
    X, y = levels(600)
    new, truth = levels(800, seed=1)
    subjects = np.arange(800) // 2 % 10

    def scores(model, windows):
        right = model.predict(windows) == truth
        return np.array([right[subjects == subject].mean() for subject in range(10)])

    both = network(modality_dropout=0.3).fit(X, y)
    for left_out, kept in (("m0", "m1"), ("m1", "m0")):
        single = scores(network().fit(X[[kept]], y), new[[kept]])
        missing = SignalArray(np.full_like(new[left_out].array.values, np.nan))
        degraded = scores(both, new.assign(**{left_out: missing}))
        assert degraded.mean() > single.mean() - single.std()
        assert degraded.mean() < scores(both, new).mean()


# Errors


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"stages": (1, 4)}, r"n_blocks=3 or a list of blocks, got \(1, 4\)"),
        ({"stages": 0}, "stages must be a block from 1 to n_blocks=3 .* got 0"),
        ({"stages": ()}, r"got \(\). To have no connections, use direction=None"),
        ({"attention": "spatial"}, 'attention must be "channel", "temporal", "residual"'),
        ({"attention": True}, 'attention must be "channel", "temporal", "residual"'),
        ({"merge": "max"}, 'merge must be "sum" or "concat", got \'max\''),
        ({"stages": None}, "stages must be a block .* got None"),
        ({"stages": 1.0}, "stages must be a block .* got 1.0"),
        ({"direction": {}}, "direction must be .* got {}"),
        ({"direction": {"ecg": None}}, "shares 'ecg' with None"),
        ({"direction": "ecg"}, "direction must be \"both\", None, or a mapping .* got 'ecg'"),
        ({"direction": {"ecg": "emg"}}, r"shares 'ecg' with 'emg', .* \['ecg', 'eda'\] to another"),
        (
            {"direction": {"ecg": "ecg"}},
            "shares 'ecg' with 'ecg', but must map one of the modalities",
        ),
        ({"n_blocks": 0}, "n_blocks must be an integer of at least 1, got 0"),
        ({"pool_size": 0}, "pool_size must be an integer of at least 1, got 0"),
    ],
    ids=str,
)
def test_a_bad_parameter_is_named_in_the_error(parameters, message):
    X, y = combinations(20)
    with pytest.raises(ValueError, match=message):
        network(**parameters).fit(X, y)


def test_a_map_is_rejected_with_a_remedy():
    X = signal_frame(eeg=SignalArray(np.zeros((4, 4, 19, 5))))
    with pytest.raises(ValueError, match=r"'eeg' has windows of shape \(4, 19, 5\), but a stream"):
        network().fit(X, [0, 1, 0, 1])
