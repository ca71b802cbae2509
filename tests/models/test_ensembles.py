"""Ensembles of networks, and noise on the inputs in training."""

import numpy as np
import pytest
import torch

import skemo
from skemo import (
    CrossModalAttentionClassifier,
    ModalityAwareAttentionClassifier,
    SignalArray,
    signal_frame,
)
from skemo.nn import FusionEnsemble, ModalityAwareAttentionNetwork
from skemo.training.many import collected_fits, train_together
from skemo.training.objectives import ClassObjective, mean_probabilities

QUICK = {"n_filters": 3, "max_epochs": 8, "batch_size": 16, "device": "cpu", "random_state": 0}
NETWORKS = {
    "modality-aware": (ModalityAwareAttentionClassifier, {"depth": 1, "lr": 0.01}),
    "cross-modal": (CrossModalAttentionClassifier, {"n_blocks": 2, "stages": 1, "lr": 0.01}),
}
SUBJECTS = np.repeat(np.arange(4), [8, 10, 12, 18])


@pytest.fixture(params=NETWORKS)
def network(request):
    """Returns a function that makes a small, fast network; once for each kind."""
    kind, small = NETWORKS[request.param]
    return lambda **parameters: kind(**{**QUICK, **small, **parameters})


def windows(seed=0, effect=1.5):
    rng = np.random.default_rng(seed)
    y = np.tile(["rest", "task"], len(SUBJECTS) // 2)
    shift = effect * (y == "task")[:, None, None]
    ecg = rng.normal(size=(len(y), 1, 12)) + shift
    ecg[:, :, 9:] = 0
    eda = rng.normal(size=(len(y), 2, 5)) + shift
    return signal_frame(ecg=SignalArray(ecg), eda=SignalArray(eda, sampling_rate=4)), y


def test_probabilities_are_the_mean_over_the_members(network):
    X, y = windows()
    classifier = network(n_members=3).fit(X, y)
    module = classifier.net_.module_.eval()
    signals = classifier._check_windows(X, reset=False)
    rows = classifier._window_set({name: signal.values for name, signal in signals.items()})
    with torch.no_grad():
        scores = module(rows.inputs, rows.present)
        alone = [member(rows.inputs, rows.present) for member in module.members]
    assert scores.shape == (len(X), 2, 3)
    torch.testing.assert_close(scores, torch.stack(alone, dim=2))
    mean = torch.stack([one.softmax(1) for one in alone]).mean(0)
    torch.testing.assert_close(mean_probabilities(scores), mean)
    np.testing.assert_allclose(classifier.predict_proba(X), mean, atol=1e-6)
    assert (alone[0] - alone[1]).abs().max() > 0.01  # members differ


def test_the_loss_of_an_ensemble_is_the_mean_of_its_members():
    scores, y = torch.randn(7, 3, 4), torch.arange(7).unsqueeze(1) % 3
    losses = ClassObjective([3]).losses
    mean = torch.stack([losses(one, y) for one in scores.unbind(2)]).mean(0)
    torch.testing.assert_close(losses(scores, y), mean)


def test_members_learn_as_if_each_were_alone():
    one, other = (ModalityAwareAttentionNetwork([(1, 9)], 2) for _ in range(2))
    both = FusionEnsemble([one, other])
    inputs, present, y = [torch.randn(6, 1, 9)], torch.ones(6, 1), torch.arange(6).unsqueeze(1) % 2
    losses = ClassObjective([2]).losses
    (2 * losses(both(inputs, present), y)).mean().backward()
    together = [parameter.grad.clone() for parameter in one.parameters()]
    one.zero_grad()
    losses(one(inputs, present), y).mean().backward()
    for ours, theirs in zip(together, one.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.grad)


def test_an_ensemble_has_a_smaller_loss_than_a_single_network(network):
    X, y = windows(effect=0.5)
    new, labels = windows(seed=1, effect=0.5)
    single, several = (network(n_members=n, max_epochs=16).fit(X, y) for n in (1, 5))
    right = [np.where(labels == "task", *p.predict_proba(new).T[::-1]) for p in (single, several)]
    losses = [-np.log(p).mean() for p in right]
    assert losses[1] < losses[0]


def test_transform_has_the_features_of_all_members_grouped_by_modality(network):
    X, y = windows()
    single, several = (network(n_members=n).fit(X, y) for n in (1, 2))
    fused = several.transform(X)
    width = single.transform(X).shape[1]
    assert fused.shape[1] == 2 * width
    names = several.get_feature_names_out()
    assert names.tolist() == [f"{name}{i}" for name in ("ecg", "eda") for i in range(width)]
    absent = X.assign(eda=SignalArray(np.full((len(X), 2, 5), np.nan), sampling_rate=4))
    assert (several.transform(absent)[:, names >= "eda"] == 0).all()
    weights = several.attention_weights(X)
    assert ((weights > 0) & (weights < 1)).all(axis=None)


def test_a_saved_ensemble_predicts_the_same_and_can_be_trained_further(network, tmp_path):
    X, y = windows()
    classifier = network(n_members=2, input_noise=0.5).fit(X, y)
    skemo.save(classifier, tmp_path / "network.skemo")
    loaded = skemo.load(tmp_path / "network.skemo", device="cpu")
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    assert loaded.get_params() == classifier.get_params()
    assert loaded.partial_fit(X, y).net_.history[:, "train_loss"][0] > 0


def test_the_same_random_state_gives_the_same_bits(network):
    X, y = windows()
    one, other = (network(n_members=2, input_noise=0.5).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_fits_with_ensembles_and_noise_end_up_the_same_alone_and_together(network, early_stopping):
    X, y = windows(effect=0.2)

    def collect():
        with collected_fits() as fits:
            for k in range(4):
                train = np.flatnonzero(~np.isin(SUBJECTS, k))
                own = {"input_noise": 0.3 * k, "dropout": 0.2 * k, "lr": 0.001 * (k + 1)}
                model = network(n_members=2, max_epochs=3, modality_dropout=0.3, **own)
                model.set_params(early_stopping=early_stopping, random_state=k)
                model.fit(X.iloc[train], y[train], groups=SUBJECTS[train])
        for fit in fits:
            fit.network.double()
            for side in filter(None, (fit.windows, fit.validation)):
                side.inputs = [values.double() for values in side.inputs]
                side.present, side.weight = side.present.double(), side.weight.double()
        return fits

    together, alone = collect(), collect()
    assert len({fit.key() for fit in together}) == 1
    train_together(together)
    for fit, reference in zip(together, alone, strict=True):
        reference.train_alone()
        assert fit.error is None
        ours, theirs = (x.estimator.net_ for x in (fit, reference))
        columns = ["train_loss", *(["valid_loss", "valid_acc"] if early_stopping else [])]
        for column in columns:
            assert ours.history[:, column] == pytest.approx(theirs.history[:, column], abs=1e-9)
        for key, values in theirs.module_.state_dict().items():
            if "num_batches" not in key:
                mine = ours.module_.state_dict()[key]
                torch.testing.assert_close(mine, values, rtol=1e-9, atol=1e-9)


def test_noise_has_the_requested_spread_and_is_not_added_to_zeros_or_in_prediction():
    network = ModalityAwareAttentionNetwork([(1, 9), (2, 4, 3)], 2, input_noise=0.5)
    uniform, scale, *added = network.draw_noise(500, torch.Generator().manual_seed(0))
    assert uniform is None
    assert scale is None
    assert [tuple(x.shape) for x in added] == [(500, 1, 9), (500, 2, 4, 3)]
    assert added[0].std().item() == pytest.approx(0.5, abs=0.02)
    seen = []
    network.branches[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    series, maps = torch.ones(500, 1, 9), torch.zeros(500, 2, 4, 3)
    series[:, :, 6:] = 0
    network([series, maps], torch.ones(500, 2), (uniform, scale, *added))
    network.eval()([series, maps], torch.ones(500, 2))
    torch.testing.assert_close(seen[0][:, :, :6], 1 + added[0][:, :, :6])
    assert (seen[0][:, :, 6:] == 0).all()
    assert torch.equal(seen[1], series)  # no noise in prediction


def test_noise_of_zero_changes_nothing(network):
    X, y = windows()
    plain, without = network().fit(X, y), network(input_noise=0.0).fit(X, y)
    np.testing.assert_array_equal(plain.predict_proba(X), without.predict_proba(X))
    noisy = network(input_noise=1.0).fit(X, y)
    assert np.abs(noisy.predict_proba(X) - plain.predict_proba(X)).max() > 1e-3


def test_bad_parameters_are_named_in_the_error(network):
    X, y = windows()
    with pytest.raises(ValueError, match=r"n_members must be .* got 0"):
        network(n_members=0).fit(X, y)
    with pytest.raises(ValueError, match="input_noise must be finite and at least 0, got -1"):
        network(input_noise=-1).fit(X, y)
