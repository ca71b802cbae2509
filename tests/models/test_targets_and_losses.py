"""Classifiers with several targets, ordered classes, losses and mixed windows."""

import numpy as np
import pandas as pd
import pytest
import torch
from networks import NETWORKS, QUICK, windows
from scipy.special import expit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch.nn import functional

import skemo
from skemo import fit_many
from skemo.nn import OrdinalLink
from skemo.training.batches import mix_windows
from skemo.training.net import FusionNet
from skemo.training.objectives import ClassObjective


@pytest.fixture(params=NETWORKS)
def network(request):
    """Returns a function that makes a small, fast network; once for each kind."""
    kind, small = NETWORKS[request.param]
    defaults = {**QUICK, **small, "device": "cpu", "random_state": 0}
    return lambda **parameters: kind(**{**defaults, **parameters})


def two_targets(n_windows=90):
    """The condition shifts the signals, and a second target is the level of the EEG."""
    X, y, subjects = windows(n_windows)
    level = np.random.default_rng(1).integers(0, 3, n_windows)
    eeg = X["eeg"].array.values + 3 * (level[:, None, None] - 1)
    X["eeg"] = type(X["eeg"].array)(eeg, channels=["Fz", "Cz", "Pz", "Oz", "O1"])
    return X, pd.DataFrame({"condition": y, "level": level}), subjects


def test_each_target_has_its_own_classes_and_probabilities(network):
    X, y, _ = two_targets()
    model = network().fit(X, y)
    assert [classes.tolist() for classes in model.classes_] == [["rest", "task"], [0, 1, 2]]
    probabilities = model.predict_proba(X)
    assert [part.shape for part in probabilities] == [(90, 2), (90, 3)]
    for part in probabilities:
        np.testing.assert_allclose(part.sum(axis=1), 1)
    predicted = model.predict(X)
    assert (predicted == y.to_numpy()).mean(axis=0).min() > 0.9
    is_right = (predicted == y.to_numpy()).all(axis=1)
    assert model.score(X, y) == pytest.approx(is_right.mean())


def test_a_missing_label_leaves_out_only_its_own_loss(network):
    X, y, _ = two_targets()
    y["condition"] = y["condition"].astype(object)
    y.loc[y.index % 3 == 0, "condition"] = None
    predicted = network().fit(X, y).predict(X)
    rest = y["condition"].isna()
    assert (predicted[~rest, 0] == y["condition"][~rest]).mean() > 0.9
    assert (predicted[:, 1] == y["level"]).mean() > 0.9


def test_rows_without_a_label_of_one_target_do_not_change_the_others(network):
    """With the labels of one target missing everywhere but twice, the other learns as alone."""
    X, y, _ = two_targets()
    y["condition"] = y["condition"].where(y.index < 2).astype(object)
    assert (network().fit(X, y).predict(X)[:, 1] == y["level"]).mean() > 0.9


def test_windows_without_any_label_are_an_error(network):
    X, y, _ = two_targets()
    y = y.astype(object)
    y.iloc[7] = None
    with pytest.raises(ValueError, match="NaN in 1 rows, for every target"):
        network().fit(X, y)


def test_class_weights_are_given_by_target(network):
    X, y, _ = two_targets()
    model = network(class_weight=["balanced", {0: 1, 1: 1, 2: 5}], max_epochs=1).fit(X, y)
    assert model._class_weight[1].tolist() == [1, 1, 5]
    with pytest.raises(ValueError, match="a list with an entry for each of the 2 targets"):
        network(class_weight={"rest": 2, "task": 1}).fit(X, y)


def test_several_targets_are_saved(network, tmp_path):
    X, y, _ = two_targets()
    model = network(max_epochs=2).fit(X, y)
    skemo.save(model, tmp_path / "model.skemo")
    loaded = skemo.load(tmp_path / "model.skemo", device="cpu")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    loaded.partial_fit(X, y)


def test_partial_fit_takes_the_classes_of_each_target(network):
    X, y, _ = two_targets()
    model = network()
    model.partial_fit(X, y, classes=[["rest", "task"], [0, 1, 2, 3]])
    assert [part.shape[1] for part in model.predict_proba(X)] == [2, 4]
    with pytest.raises(ValueError, match="y has 2 targets, but `classes` has those of 1"):
        network().partial_fit(X, y, classes=["rest", "task"])


@pytest.mark.parametrize("early_stopping", [False, True])
def test_fits_trained_together_are_those_trained_alone(network, early_stopping):
    X, y, subjects = two_targets()
    models = [network(random_state=k, max_epochs=2) for k in range(2)]
    for model in models:
        model.set_params(early_stopping=early_stopping, validation_fraction=0.3)
    params = 2 * [{"groups": subjects}]
    for model, stacked in zip(
        models, fit_many(models, 2 * [X], 2 * [y], fit_params=params, together=True), strict=True
    ):
        alone = clone(model).fit(X, y, groups=subjects)
        pairs = zip(stacked.predict_proba(X), alone.predict_proba(X), strict=True)
        for one, other in pairs:
            np.testing.assert_allclose(one, other, atol=2e-3)


# Ordered classes


def test_ordinal_probabilities_are_differences_of_logistic_functions():
    link = OrdinalLink([4])
    with torch.no_grad():
        link.first[0].fill_(-0.7)
        link.distances[0].copy_(torch.tensor([0.3, -2.0]))
        place = torch.linspace(-3, 3, 9)
        found = link(place[:, None]).exp().numpy()
        gaps = functional.softplus(link.distances[0]).numpy()
    thresholds = -0.7 + np.concatenate([[0], gaps.cumsum()])
    below = expit(thresholds - place.numpy()[:, None])
    expected = np.diff(below, axis=1, prepend=0, append=1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_ordinal_scores_stay_finite_far_from_the_thresholds():
    scores = OrdinalLink([9])(torch.tensor([[-1e4], [0.0], [1e4]]))
    assert torch.isfinite(scores).all()


def test_thresholds_start_at_the_frequencies_of_the_classes():
    link = OrdinalLink([3, 4])
    shares = [torch.tensor([0.2, 0.5, 0.3]), torch.tensor([0.1, 0.2, 0.3, 0.4])]
    link.start_at(shares)
    found = link(torch.zeros(1, 2)).exp()
    torch.testing.assert_close(found[0], torch.cat(shares))


def test_ordered_ratings_are_learned_in_their_order(network):
    X, _, _ = windows(120)
    rating = np.random.default_rng(0).integers(1, 6, 120)
    ecg = X["ecg"].array.values + (rating - 3)[:, None, None]
    X["ecg"] = type(X["ecg"].array)(ecg)
    model = network(loss="ordinal", max_epochs=40).fit(X, rating)
    expected = model.predict_proba(X) @ model.classes_
    assert np.corrcoef(expected, rating)[0, 1] > 0.8
    for module in model.net_.module_.members:
        distances = functional.softplus(module.link.distances[0])
        assert (distances > 0).all()
    short = [network(loss="ordinal", max_epochs=2, random_state=k) for k in range(2)]
    together = fit_many(short, 2 * [X], 2 * [rating], together=True)
    alone = short[0].fit(X, rating)
    np.testing.assert_allclose(together[0].predict_proba(X), alone.predict_proba(X), atol=2e-3)


# Losses


@pytest.mark.parametrize("settings", [{"loss": "focal"}, {"label_smoothing": 0.1}])
def test_other_losses_learn(network, settings):
    X, y, _ = windows()
    assert network(**settings).fit(X, y).score(X, y) > 0.9


def test_focal_loss_of_a_window():
    scores = torch.tensor([[2.0, 0.0, -1.0]])
    p = scores.softmax(1)[0, 0]
    (loss,) = ClassObjective([3], "focal").losses(scores, torch.zeros(1, 1, dtype=torch.long))
    torch.testing.assert_close(loss[0], -((1 - p) ** 2) * p.log())


def test_a_loss_of_ones_own_takes_scores_and_positions(network):
    X, y, _ = windows()
    given = network(loss=lambda scores, y: functional.cross_entropy(scores, y, reduction="none"))
    plain = network().fit(X, y)
    np.testing.assert_allclose(given.fit(X, y).predict_proba(X), plain.predict_proba(X), atol=1e-6)


def test_label_smoothing_needs_a_loss_that_has_it(network):
    X, y, _ = windows()
    with pytest.raises(ValueError, match="label_smoothing works only with"):
        network(loss="ordinal", label_smoothing=0.1).fit(X, y)


def test_the_centre_loss_pulls_windows_towards_the_centre_of_their_class(network):
    X, y, _ = windows()

    def spread(model):
        fused = model.fit(X, y).transform(X)
        return np.mean([fused[y == label].var(axis=0).sum() for label in model.classes_])

    assert spread(network(center_loss=0.5)) < 0.7 * spread(network())


def test_centre_losses_of_fits_trained_together_are_those_trained_alone(network):
    X, y, _ = two_targets()
    models = [network(random_state=k, max_epochs=2, center_loss=0.1) for k in range(2)]
    for model, stacked in zip(
        models, fit_many(models, 2 * [X], 2 * [y], together=True), strict=True
    ):
        alone = clone(model).fit(X, y)
        assert alone.net_.module_.centers.abs().max() > 0
        pairs = zip(stacked.predict_proba(X), alone.predict_proba(X), strict=True)
        for one, other in pairs:
            np.testing.assert_allclose(one, other, atol=2e-3)


# Mixing windows


def test_windows_are_mixed_with_those_of_other_subjects_only():
    rng = torch.Generator().manual_seed(0)
    subject = torch.arange(40) % 3
    values = (1.0 + subject).view(-1, 1, 1).expand(-1, 1, 5)
    present = torch.ones(40, 2)
    present[::4, 1] = 0
    X = {"inputs": [values, values * present[:, 1:, None]], "present": present, "subject": subject}
    mix_windows(X, 0.4, rng)
    share, partner = X["share"], X["partner"]
    same = subject == subject[partner]
    assert same.any()
    assert (share[same] == 1).all()
    assert ((share[~same] > 0) & (share[~same] < 1)).any()
    expected = share * (1.0 + subject) + (1 - share) * (1.0 + subject[partner])
    torch.testing.assert_close(X["inputs"][0][:, 0, 0], expected)
    lacking = (present[:, 1] == 0) | (present[partner, 1] == 0)
    untouched = (values * present[:, 1:, None])[lacking]
    torch.testing.assert_close(X["inputs"][1][lacking], untouched)


def test_networks_learn_from_mixed_windows(network):
    X, y, subjects = windows()
    model = network(mixup=0.2).fit(X, y, groups=subjects)
    assert model.score(X, y) > 0.9
    again = network(mixup=0.2).fit(X, y, groups=subjects)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))
    params = 2 * [{"groups": subjects}]
    (other, _) = fit_many(2 * [model], 2 * [X], 2 * [y], fit_params=params, together=True)
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))


def test_a_mixed_loss_is_that_of_both_labels_in_their_shares():
    objective = ClassObjective([2])
    net = FusionNet(torch.nn.Identity(), objective=objective, mixup=1.0)
    outputs, y = torch.randn(6, 2), torch.arange(6).view(-1, 1) % 2
    weight, partner = torch.rand(6, 1), torch.randperm(6)
    share = torch.rand(6)
    loss = net.get_loss(outputs, y, {"weight": weight, "partner": partner, "share": share})
    log_p = -outputs.log_softmax(1)
    own = log_p.gather(1, y)[:, 0] * weight[:, 0] * share
    others = log_p.gather(1, y[partner])[:, 0] * weight[partner, 0] * (1 - share)
    torch.testing.assert_close(loss, (own + others).mean())


def test_ordinal_labels_without_a_known_order_are_an_error(network):
    X, y, _ = windows()
    with pytest.raises(ValueError, match='got text such as "rest", whose order is not known'):
        network(loss="ordinal").fit(X, y)


def test_numbers_are_refused_with_the_name_of_a_regressor(network):
    X, y, _ = windows()
    rating = np.linspace(1, 9, len(y))
    message = r"Unknown label type: continuous\..* For numbers such as 1\.\d+, use a regressor: "
    with pytest.raises(ValueError, match=message):
        network().fit(X, rating)
    with pytest.raises(ValueError, match=message):
        network().fit(X, pd.DataFrame({"label": y, "rating": rating}))


def test_ordinal_text_is_in_the_order_of_its_categories(network, tmp_path):
    X, y, _ = two_targets()
    names = ["low", "middle", "high"]
    text = pd.Series(pd.Categorical.from_codes(y["level"], names, ordered=True))
    model = network(loss="ordinal").fit(X, text)
    assert model.classes_.tolist() == ["high", "low", "middle"]
    assert model.score(X, text) > 0.9
    probabilities = model.predict_proba(X)
    high, low, _ = probabilities.T  # the ends: one falls as the other rises
    np.testing.assert_array_equal(np.argsort(low), np.argsort(-high))
    skemo.save(model, tmp_path / "model.skemo")
    read = skemo.load(tmp_path / "model.skemo", device="cpu")
    np.testing.assert_array_equal(read.predict_proba(X), probabilities)


def ordered_levels():
    """Windows with levels whose order is not that of the alphabet."""
    X, y, subjects = two_targets()
    names = ["low", "middle", "high"]
    text = pd.Series(pd.Categorical.from_codes(y["level"], names, ordered=True))
    return X, text, subjects


def test_compare_gives_networks_the_order_of_the_labels(network):
    X, text, subjects = ordered_levels()
    model = network(loss="ordinal", max_epochs=2)
    result = skemo.compare([model], X, text, subjects, together=False).predictions
    test = subjects == 0
    alone = model.fit(X[~test], text[~test])
    names = [f"probability {name}" for name in alone.classes_]
    of_first = result[result["subject"] == 0]
    np.testing.assert_array_equal(of_first[names], alone.predict_proba(X[test]))


def test_compare_gives_searches_the_order_of_the_labels(network):
    X, text, subjects = ordered_levels()
    search = GridSearchCV(network(loss="ordinal", max_epochs=1), {"lr": [0.001, 0.01]}, cv=2)
    result = skemo.compare([search], X, text, subjects, protocol="group-k-fold", n_splits=2)
    assert len(result.chosen) == 2


def test_compare_gives_networks_the_order_of_each_of_several_targets(network):
    X, text, subjects = ordered_levels()
    y = pd.DataFrame({"level": text, "condition": pd.Categorical(two_targets()[1]["condition"])})
    y["condition"] = y["condition"].cat.as_ordered()
    y.loc[3, "level"] = None
    model = network(loss="ordinal", max_epochs=1)
    result = skemo.compare([model], X, y, subjects, protocol="group-k-fold", n_splits=2)
    assert len(result.by_target()["level"].predictions) == len(X) - 1


def test_kept_fits_with_another_order_are_not_used(network, tmp_path):
    X, text, subjects = ordered_levels()
    model = network(loss="ordinal", max_epochs=1)
    other = text.cat.reorder_categories(["high", "low", "middle"])
    settings = {"protocol": "group-k-fold", "n_splits": 2, "output": tmp_path}
    first, second = (
        skemo.compare([model], X, y, subjects, **settings).predictions for y in (text, other)
    )
    assert not np.array_equal(first["probability low"], second["probability low"])


def test_partial_fit_takes_the_order_of_categories_too(network):
    X, y, _ = two_targets()
    names = ["low", "middle", "high"]
    text = pd.Series(pd.Categorical.from_codes(y["level"], names, ordered=True))
    model = network(loss="ordinal").partial_fit(X, text, classes=names)
    high, low, _ = model.predict_proba(X).T
    np.testing.assert_array_equal(np.argsort(low), np.argsort(-high))


def test_missing_labels_are_not_scored_as_wrong(network):
    X, y, _ = two_targets()
    model = network(max_epochs=1).fit(X, y)
    y["level"] = y["level"].astype(float).where(y.index > 3)
    with pytest.raises(ValueError, match="Input y contains NaN: 4 labels are missing"):
        model.score(X, y)
