"""Networks that predict numbers, for one or several targets."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.base import clone, is_regressor
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict

import skemo
from skemo import (
    CrossModalAttentionRegressor,
    ModalityAwareAttentionRegressor,
    SignalArray,
    fit_many,
    signal_frame,
)
from skemo.training.objectives import NumberObjective

QUICK = {"n_filters": 4, "max_epochs": 25, "lr": 0.01, "dropout": 0.0, "batch_size": 32}
NETWORKS = {
    "modality-aware": (ModalityAwareAttentionRegressor, {"depth": 1}),
    "cross-modal": (CrossModalAttentionRegressor, {"n_blocks": 2, "kernel_size": 3, "stages": 1}),
}
SUBJECTS = np.repeat(np.arange(6), 20)


@pytest.fixture(params=NETWORKS)
def network(request):
    """Returns a function that makes a small, fast network; once for each kind."""
    kind, small = NETWORKS[request.param]
    defaults = {**QUICK, **small, "device": "cpu", "random_state": 0}
    return lambda **parameters: kind(**{**defaults, **parameters})


def windows(effect=1.0, seed=0):
    """Arousal shifts both signals, and valence only the second channel of the EDA."""
    rng = np.random.default_rng(seed)
    arousal, valence = rng.uniform(1, 9, size=(2, len(SUBJECTS)))
    ecg = rng.normal(size=(len(SUBJECTS), 1, 12))
    eda = rng.normal(size=(len(SUBJECTS), 2, 8))
    ecg += effect * (arousal - 5)[:, None, None] / 2
    eda[:, 1] += effect * (valence - 5)[:, None] / 2
    return signal_frame(ecg=SignalArray(ecg), eda=SignalArray(eda)), arousal, valence


def test_regressors_recover_a_planted_number(network):
    X, arousal, _ = windows()
    model = network()
    assert is_regressor(model)
    predicted = cross_val_predict(
        model, X, arousal, groups=SUBJECTS, cv=GroupKFold(3), params={"groups": SUBJECTS}
    )
    assert pearsonr(predicted, arousal).statistic > 0.9


def test_regressors_recover_two_independent_targets(network):
    X, arousal, valence = windows()
    y = np.stack([arousal, valence], axis=1)
    predicted = cross_val_predict(network(), X, y, groups=SUBJECTS, cv=GroupKFold(3))
    assert predicted.shape == y.shape
    r = np.corrcoef(predicted.T, y.T)[:2, 2:]
    assert r.diagonal().min() > 0.8
    assert abs(r[0, 1]) < 0.35
    assert abs(r[1, 0]) < 0.35


def test_nothing_is_predicted_where_there_is_nothing(network):
    X, arousal, _ = windows(effect=0.0)
    predicted = cross_val_predict(network(), X, arousal, groups=SUBJECTS, cv=GroupKFold(3))
    assert abs(pearsonr(predicted, arousal).statistic) < 0.3


@pytest.mark.parametrize("loss", ["huber", "ccc", lambda given, y: (given - y).abs()])
def test_every_loss_learns(network, loss):
    X, arousal, _ = windows()
    assert network(loss=loss).fit(X, arousal).score(X, arousal) > 0.8


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_target_does_not_matter(network, unit):
    X, arousal, _ = windows()
    y = unit * (arousal - 100)
    assert network().fit(X, y).score(X, y) > 0.8


def test_a_missing_target_leaves_out_only_its_own_loss(network):
    X, arousal, valence = windows()
    y = pd.DataFrame({"arousal": arousal, "valence": valence})
    y.loc[y.index % 3 == 0, "valence"] = np.nan
    model = network().fit(X, y)
    assert model.target_mean_[1] == pytest.approx(y["valence"].mean())
    predicted = model.predict(X)
    assert np.corrcoef(predicted[:, 0], arousal)[0, 1] > 0.8
    assert np.corrcoef(predicted[:, 1], valence)[0, 1] > 0.8


def test_windows_without_any_target_are_an_error(network):
    X, arousal, valence = windows()
    arousal[4] = np.nan
    with pytest.raises(ValueError, match="Input y contains NaN in 1 rows: drop"):
        network().fit(X, arousal)
    valence[4] = np.nan
    with pytest.raises(ValueError, match="NaN in 1 rows, for every target"):
        network().fit(X, np.stack([arousal, valence], axis=1))


def test_an_ensemble_gives_a_standard_deviation(network):
    X, arousal, _ = windows()
    model = network(n_members=3, max_epochs=3).fit(X, arousal)
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(X))
    assert mean.shape == std.shape == arousal.shape
    assert (std > 0).all()
    with pytest.raises(ValueError, match="n_members above 1"):
        network(max_epochs=1).fit(X, arousal).predict(X, return_std=True)


def test_saved_regressors_predict_the_same(network, tmp_path):
    X, arousal, valence = windows()
    model = network(n_members=2, max_epochs=2).fit(X, np.stack([arousal, valence], axis=1))
    skemo.save(model, tmp_path / "model.skemo")
    loaded = skemo.load(tmp_path / "model.skemo", device="cpu")
    for one, other in zip(
        loaded.predict(X, return_std=True), model.predict(X, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    loaded.partial_fit(X, np.stack([arousal, valence], axis=1))


def test_missing_modalities_are_ignored(network):
    X, arousal, _ = windows()
    without = X.copy()
    without["eda"] = SignalArray(np.full((len(X), 2, 8), np.nan))
    model = network(modality_dropout=0.3, max_epochs=40).fit(X, arousal)
    assert np.corrcoef(model.predict(without), arousal)[0, 1] > 0.8
    nothing = without.copy()
    nothing["ecg"] = SignalArray(np.full((len(X), 1, 12), np.nan))
    with pytest.warns(UserWarning, match="do not depend on any signal"):
        assert np.ptp(model.predict(nothing)) == 0


def test_early_stopping_holds_back_whole_subjects(network):
    X, arousal, _ = windows()
    model = network(early_stopping=True, validation_fraction=0.3, patience=3)
    model.fit(X, arousal, groups=SUBJECTS)
    assert "valid_loss" in model.net_.history[-1]
    assert "valid_acc" not in model.net_.history[-1]


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"loss": "ccc"}])
def test_fits_trained_together_are_those_trained_alone(network, settings):
    X, arousal, valence = windows()
    y = np.stack([arousal, valence], axis=1)
    y[::4, 0] = np.nan
    models = [network(random_state=k, max_epochs=2, **settings) for k in range(2)]
    params = 2 * [{"groups": SUBJECTS}]
    together = fit_many(models, 2 * [X], 2 * [y], fit_params=params, together=True)
    for model, stacked in zip(models, together, strict=True):
        alone = clone(model).fit(X, y, groups=SUBJECTS)
        np.testing.assert_allclose(stacked.predict(X), alone.predict(X), atol=2e-3)


def test_regressors_are_searched_like_any_other(network):
    X, arousal, _ = windows()
    search = GridSearchCV(network(max_epochs=8), {"lr": [1e-7, 0.01]}, cv=GroupKFold(2))
    assert search.fit(X, arousal, groups=SUBJECTS).best_params_ == {"lr": 0.01}


def test_weights_count_as_repetitions(network):
    X, arousal, _ = windows()
    twice = np.repeat(np.arange(len(X)), 1 + (np.arange(len(X)) < 10))
    weight = 1.0 + (np.arange(len(X)) < 10)
    one = network(max_epochs=2).fit(X, arousal, sample_weight=weight).predict(X)
    other = network(max_epochs=2).fit(X.iloc[twice], arousal[twice]).predict(X)
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_target_that_does_not_vary_is_predicted(network):
    X, _, _ = windows()
    predicted = network(max_epochs=60).fit(X, np.full(len(X), 37.0)).predict(X)
    np.testing.assert_allclose(predicted, 37.0, atol=0.5)


def test_concordance_loss_is_one_minus_the_coefficient():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50))
    y += x
    covariance = np.cov(x, y, bias=True)
    expected = 2 * covariance[0, 1] / (covariance.trace() + (x.mean() - y.mean()) ** 2)
    outputs, targets = torch.tensor(x)[:, None], torch.tensor(y)[:, None]
    loss = NumberObjective(1, "ccc").batch_loss(outputs, targets, torch.ones_like(targets))
    assert loss.item() == pytest.approx(1 - expected)


def test_text_is_no_number(network):
    X, _, _ = windows()
    with pytest.raises(ValueError, match="y takes an array of real numbers"):
        network().fit(X, np.repeat(["a"], len(X)))


def test_an_unknown_loss_is_an_error(network):
    X, arousal, _ = windows()
    with pytest.raises(ValueError, match='loss must be "mse", "huber", "ccc" or a callable'):
        network(loss="cross-entropy").fit(X, arousal)
