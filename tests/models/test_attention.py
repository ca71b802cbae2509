"""Attention that starts at the network without it, and what tells it which signals to trust."""

import re

import numpy as np
import pytest
import torch
from networks import NETWORKS, QUICK, windows
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skemo import (
    CrossModalAttentionRegressor,
    HRVTransformer,
    ModalityAwareAttentionClassifier,
    ModalityAwareAttentionRegressor,
    PerSubject,
    ResampleTransformer,
    SignalArray,
    corrupt,
    fit_many,
    load,
    make_modality_transformer,
    save,
    segment,
)
from skemo.datasets import make_emotion_recordings
from skemo.nn import ModalityAwareAttention

PAPER = {"modality-aware": "mask", "cross-modal": "channel"}
STARTS_WITHOUT = ("residual", "scalar")


def make(kind, **parameters):
    cls, small = NETWORKS[kind]
    return cls(**{**QUICK, **small, "random_state": 0, **parameters})


def with_fault(n_windows=60, seed=0):
    """Make windows of which 40 % have an ECG of another moment, as the column "trust" tells."""
    rng = np.random.default_rng(seed)
    X, y, _ = windows(n_windows, seed=seed)
    task = (y == "task")[:, None, None]
    ecg = X["ecg"].array.values.copy()
    ecg[:, :, :9] -= 1.2 * task
    is_bad = rng.random(n_windows) < 0.4
    ecg[is_bad] = ecg[rng.permutation(n_windows)[is_bad]]
    X["ecg"] = SignalArray(ecg)
    X["eeg"] = SignalArray((X["eeg"].array.values - 1.2 * task).astype(np.float32))
    X["trust"] = SignalArray(np.where(is_bad, 0.0, 1.0)[:, None, None])
    return X, y, is_bad


@pytest.fixture(scope="module", params=NETWORKS)
def kind(request):
    return request.param


# The form of the attention


@pytest.mark.parametrize("attention", STARTS_WITHOUT)
def test_training_starts_from_exactly_the_network_without_attention(kind, attention):
    X, y, _ = windows()
    still = {"lr": 1e-15, "weight_decay": 0, "max_epochs": 1, "n_members": 2, "dropout": 0.5}
    network = make(kind, attention=attention, **still).fit(X, y)
    without = make(kind, attention=None, **still).fit(X, y)
    np.testing.assert_array_equal(network.predict_proba(X), without.predict_proba(X))
    np.testing.assert_array_equal(network.transform(X), without.transform(X))
    assert (network.attention_weights(X) == 1).all(axis=None)
    assert network.net_.history[:, "train_loss"] == without.net_.history[:, "train_loss"]


@pytest.mark.parametrize("attention", STARTS_WITHOUT)
def test_training_moves_the_weights_away_from_1_within_0_and_2(kind, attention):
    X, y, _ = windows()
    network = make(kind, attention=attention).fit(X, y)
    weights = network.attention_weights(X)
    assert ((weights > 0) & (weights < 2)).all(axis=None)
    assert (weights != 1).any(axis=None)
    assert network.score(X, y) > 0.9


def test_scalar_attention_scales_all_channels_of_a_modality_equally():
    X, y, _ = windows()
    network = make("modality-aware", attention="scalar", max_epochs=3).fit(X, y)
    weights = network.attention_weights(X).to_numpy()
    module = network.net_.module_
    module.attention = None
    n_filters = network.n_filters
    scaled = network.transform(X).reshape(len(X), 2, n_filters) * weights[:, :, None]
    again = make("modality-aware", attention="scalar", max_epochs=3).fit(X, y)
    np.testing.assert_allclose(again.transform(X), scaled.reshape(len(X), -1), rtol=1e-5)


@pytest.mark.parametrize("attention", STARTS_WITHOUT)
def test_a_missing_modality_has_weight_0(kind, attention):
    X, y, _ = windows()
    X.loc[::3, "ecg"] = np.nan
    network = make(kind, attention=attention, max_epochs=2).fit(X, y)
    weights = network.attention_weights(X)["ecg"]
    assert ((weights == 0) == X["ecg"].isna()).all()


def test_forms_of_attention_can_be_searched(kind):
    X, y, _ = windows()
    forms = [PAPER[kind], *STARTS_WITHOUT, None]
    search = GridSearchCV(
        make(kind, max_epochs=2), {"attention": forms}, cv=2, error_score="raise"
    ).fit(X, y)
    assert [params["attention"] for params in search.cv_results_["params"]] == forms


def test_stacked_fits_give_the_same_as_single_ones(kind):
    X, y, _ = with_fault()
    networks = [
        make(kind, attention=form, quality="trust", max_epochs=2, lr=0.001, random_state=seed)
        for form in STARTS_WITHOUT
        for seed in range(2)
    ]
    together = fit_many(networks, 4 * [X], 4 * [y], together=True)
    for alone, fitted in zip(networks, together, strict=True):
        expected = clone(alone).fit(X, y).predict_proba(X)
        np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-4)


def test_the_form_of_the_paper_draws_its_weights_before_those_of_the_head():
    torch.manual_seed(0)
    attention = ModalityAwareAttention(2, 4)
    torch.manual_seed(0)
    expected = [torch.nn.Linear(8, 8), torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)]
    drawn = [layer.weight for layer in (attention.joint[0], *attention.masks)]
    assert all(torch.equal(one, other.weight) for one, other in zip(drawn, expected, strict=True))


# The quality of signals


def test_quality_begins_at_the_network_without_attention_and_never_reaches_the_head(kind):
    X, y, _ = with_fault()
    still = {"lr": 1e-15, "weight_decay": 0, "max_epochs": 1}
    told = make(kind, attention="residual", quality="trust", **still).fit(X, y)
    without = make(kind, attention=None, quality="trust", **still).fit(X, y)
    np.testing.assert_array_equal(told.predict_proba(X), without.predict_proba(X))
    assert list(told.attention_weights(X)) == ["ecg", "eeg"]
    names = told.get_feature_names_out()
    assert len(names) == told.transform(X).shape[1]
    assert not any(name.startswith("trust") for name in names)


def test_without_attention_the_quality_has_no_effect(kind):
    X, y, _ = with_fault()
    told = make(kind, attention=None, quality=["trust"], max_epochs=3).fit(X, y)
    other = X.assign(trust=SignalArray(-X["trust"].array.values))
    np.testing.assert_array_equal(told.predict_proba(X), told.predict_proba(other))
    assert not hasattr(told, "attention_weights")


@pytest.mark.parametrize("attention", STARTS_WITHOUT)
def test_the_mask_of_an_unreliable_modality_falls_in_new_windows(attention):
    X, y, _ = with_fault(300)
    settings = {"dropout": 0.2, "quality": "trust"}
    network = make("modality-aware", attention=attention, **settings).fit(X, y)
    new, labels, is_bad = with_fault(600, seed=1)
    weights = network.attention_weights(new)["ecg"]
    assert weights[is_bad].mean() < weights[~is_bad].mean() - 0.2
    without = make("modality-aware", attention=None, **settings).fit(X, y)
    assert network.score(new, labels) > without.score(new, labels)


def test_the_gate_of_an_unreliable_modality_closes_in_new_windows():
    X, y, _ = with_fault(300)
    network = make("cross-modal", attention="scalar", quality="trust", dropout=0.2).fit(X, y)
    new, _, is_bad = with_fault(600, seed=1)
    weights = network.attention_weights(new)["ecg"]
    assert weights[is_bad].mean() < weights[~is_bad].mean()


def test_a_missing_quality_counts_as_average(kind):
    X, y, _ = with_fault()
    network = make(kind, attention="residual", quality="trust", max_epochs=3).fit(X, y)
    unknown, average = X.copy(), X.copy()
    unknown["trust"] = SignalArray(np.full((60, 1, 1), np.nan))
    mean = X["trust"].array.values.mean()
    average["trust"] = SignalArray(np.full((60, 1, 1), mean))
    np.testing.assert_allclose(
        network.predict_proba(unknown), network.predict_proba(average), atol=1e-6
    )
    X["trust"] = SignalArray(np.full((60, 1, 1), np.nan))
    never = make(kind, attention="residual", quality="trust", max_epochs=3).fit(X, y)
    assert np.isfinite(never.predict_proba(average)).all()


def test_a_window_without_modalities_is_missing_even_if_its_quality_is_known(kind):
    X, y, _ = with_fault()
    network = make(kind, attention="residual", quality="trust", max_epochs=2).fit(X, y)
    X.loc[:4, ["ecg", "eeg"]] = np.nan
    with pytest.warns(UserWarning, match="5 of 60 windows are missing"):
        network.predict(X)
    X.loc[:, ["ecg", "eeg"]] = np.nan
    with pytest.raises(ValueError, match=r"missing \(NaN\) in every modality: \['ecg', 'eeg'\]"):
        network.fit(X, y)


def test_quality_can_stand_anywhere_and_have_any_shape(kind):
    X, y, _ = with_fault()
    X = X[["trust", "ecg", "eeg"]]
    X["map"] = SignalArray(np.random.default_rng(0).normal(size=(60, 2, 5, 3)))
    network = make(
        kind,
        attention="scalar",
        quality=("map", "trust"),
        max_epochs=2,
        modality_dropout=0.3,
        input_noise=0.2,
        mixup=0.2,
    )
    network.fit(X, y, groups=np.arange(60) // 10)
    assert list(network.attention_weights(X)) == ["ecg", "eeg"]
    assert list(network.modalities_) == ["trust", "ecg", "eeg", "map"]


def test_a_network_with_quality_is_saved_and_loaded(kind, tmp_path):
    X, y, _ = with_fault()
    network = make(kind, attention="scalar", quality=["trust"], max_epochs=2, n_members=2)
    save(network.fit(X, y), tmp_path / "network")
    loaded = load(tmp_path / "network")
    assert loaded.get_params()["quality"] == ["trust"]
    np.testing.assert_array_equal(loaded.predict_proba(X), network.predict_proba(X))


def test_regressors_have_the_same_forms():
    X, y, _ = with_fault()
    small = {"n_filters": 4, "max_epochs": 1, "attention": "residual", "quality": "trust"}
    for cls in (ModalityAwareAttentionRegressor, CrossModalAttentionRegressor):
        weights = cls(**small).fit(X, (y == "task") * 1.0).attention_weights(X)
        assert list(weights) == ["ecg", "eeg"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"quality": "eda_quality"},
            "quality='eda_quality' must name signal columns of X, but it has no 'eda_quality', "
            "only ['ecg', 'eeg', 'trust'].",
        ),
        (
            {"quality": ["ecg", "eeg", "trust"]},
            "quality=['ecg', 'eeg', 'trust'] names all the columns: there is no modality left.",
        ),
        ({"quality": 3}, "quality=3 must name signal columns of X, but it has no 3"),
    ],
)
def test_a_wrong_quality_is_named(kind, parameters, message):
    X, y, _ = with_fault()
    with pytest.raises(ValueError, match=re.escape(message)):
        make(kind, **parameters).fit(X, y)


def test_the_mask_falls_for_late_packets_in_recordings_of_new_people():
    recordings = make_emotion_recordings(
        n_subjects=10, n_trials=4, modalities=("ecg", "temp"), effect_size=2, random_state=0
    )
    windows = corrupt(
        segment(recordings, duration=10.0),
        "stale",
        0.4,
        random_state=0,
        modalities=["ecg"],
        reliability=True,
    )
    inputs = make_modality_transformer(
        ecg=HRVTransformer("series"),
        temp=ResampleTransformer(1),
        ecg_reliability="passthrough",
        subject="passthrough",
    )
    network = ModalityAwareAttentionClassifier(
        attention="scalar", quality="ecg_reliability", lr=0.005, random_state=0
    )
    model = make_pipeline(inputs, PerSubject(), network)
    is_new = windows["subject"].isin(["07", "08", "09"])
    model.fit(windows[~is_new], windows["label"][~is_new])
    weights = model[-1].attention_weights(model[:-1].transform(windows[is_new]))["ecg"]
    is_stale = np.asarray(windows["ecg_reliability"])[is_new, 0, 0] == 0
    assert weights[is_stale].mean() < weights[~is_stale].mean() - 0.2
