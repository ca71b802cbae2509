"""The network classifiers follow scikit-learn's conventions and find planted effects."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from networks import windows
from sklearn.base import clone
from sklearn.inspection import permutation_importance
from sklearn.model_selection import LeaveOneGroupOut, cross_validate
from skorch.callbacks import Callback

import skemo
from skemo import ModalityAwareAttentionClassifier, SignalArray


@pytest.fixture(scope="module")
def fitted(network):
    X, y, _ = windows()
    return network().fit(X, y)


def test_the_planted_class_is_found_in_new_windows(fitted):
    X, y, _ = windows(seed=1)
    assert fitted.score(X, y) > 0.9


def test_the_default_type_of_torch_changes_nothing(network):
    X, y, _ = windows()
    expected = network(max_epochs=1).fit(X, y).predict_proba(X)
    torch.set_default_dtype(torch.float64)
    try:
        probabilities = network(max_epochs=1).fit(X, y).predict_proba(X)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(probabilities, expected)


def test_shuffled_labels_are_predicted_at_chance(network):
    X, y, subjects = windows(n_windows=120)
    y = np.random.default_rng(0).permutation(y)
    scores = cross_validate(network(), X, y, groups=subjects, cv=LeaveOneGroupOut())["test_score"]
    assert 0.3 < scores.mean() < 0.7


def test_probabilities_sum_to_one_and_their_maximum_is_predicted(fitted):
    X, _, _ = windows(seed=1)
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[probabilities.argmax(axis=1)])


def test_the_same_random_state_gives_the_same_bits(network, fitted):
    X, y, _ = windows()
    np.testing.assert_array_equal(
        network().fit(X, y).predict_proba(X), fitted.predict_proba(X), strict=True
    )
    assert np.abs(
        network(random_state=1).fit(X, y).predict_proba(X) - fitted.predict_proba(X)
    ).max()


def test_the_result_depends_neither_on_the_number_of_threads_nor_on_global_seeds(network, fitted):
    X, y, _ = windows()
    n_threads, state = torch.get_num_threads(), torch.get_rng_state()
    try:
        torch.set_num_threads(3 - min(n_threads, 2))
        torch.manual_seed(12345)
        again = network().fit(X, y).predict_proba(X)
        assert torch.get_num_threads() == 3 - min(n_threads, 2)
    finally:
        torch.set_num_threads(n_threads)
        torch.set_rng_state(state)
    np.testing.assert_array_equal(again, fitted.predict_proba(X))


def test_fitting_leaves_the_random_generators_as_they_were(network):
    X, y, _ = windows()
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    network(max_epochs=1).fit(X, y)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


def test_the_order_of_the_rows_does_not_matter(network, fitted):
    X, y, _ = windows()
    order = np.random.default_rng(0).permutation(len(y))
    shuffled = network().fit(X.iloc[order], y[order])
    np.testing.assert_array_equal(shuffled.predict_proba(X), fitted.predict_proba(X))


def test_a_window_gets_the_same_probabilities_alone_and_among_others(fitted):
    X, _, _ = windows(n_windows=1200, seed=1)  # more than are evaluated together
    together = fitted.predict_proba(X)
    alone = np.concatenate([fitted.predict_proba(X.iloc[[i]]) for i in range(0, 1200, 170)])
    np.testing.assert_array_equal(alone, together[::170])


def test_cross_validation_gives_the_same_scores_for_any_n_jobs(network):
    X, y, subjects = windows()
    one, two = (
        cross_validate(
            network(max_epochs=3), X, y, groups=subjects, cv=LeaveOneGroupOut(), n_jobs=n_jobs
        )["test_score"]
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("labels", [("no", "yes"), (-1, 1), (-7, 3), (False, True), (0.0, 1.0)])
def test_labels_of_any_type_are_returned(network, labels):
    X, y, _ = windows()
    y = np.where(y == "task", labels[1], labels[0])
    predicted = network().fit(X, y).predict(X)
    assert predicted.dtype == y.dtype
    assert (predicted == y).mean() > 0.9


def test_a_class_that_is_missing_from_a_fold_is_left_out(network):
    X, y, _ = windows()
    y = y.astype(object)
    y[:5] = "rare"
    classifier = network().fit(X.iloc[5:], y[5:])
    assert classifier.classes_.tolist() == ["rest", "task"]
    scores = cross_validate(
        network(), X, y, groups=np.arange(60) // 30, cv=LeaveOneGroupOut(), error_score="raise"
    )
    assert np.isfinite(scores["test_score"]).all()


def test_a_window_with_a_missing_modality_is_classified_by_the_other(fitted):
    X, y, _ = windows(n_windows=120, seed=1)
    X.loc[:59, "ecg"] = np.nan
    weights = fitted.attention_weights(X)
    assert (weights["ecg"][:60] == 0).all()
    assert (weights["ecg"][60:] > 0).all()
    assert (weights["eeg"][60:] > 0).all()
    assert not (weights["eeg"][:60] == 0).any()  # NaN if there is no other modality to share with
    assert fitted.score(X[:60], y[:60]) > 0.8
    ecg = [name.startswith("ecg") for name in fitted.get_feature_names_out()]
    assert (fitted.transform(X)[:60, ecg] == 0).all()


def test_a_network_can_be_trained_on_windows_with_missing_modalities(network):
    X, y, _ = windows()
    X.loc[::3, "ecg"] = np.nan
    X.loc[1::3, "eeg"] = np.nan
    classifier = network(max_epochs=25).fit(X, y)
    assert classifier.score(X, y) > 0.8
    assert np.isfinite(classifier.mean_["ecg"]).all()


def test_a_modality_that_is_missing_in_all_training_windows_is_absent(network):
    X, y, _ = windows()
    without = X.assign(ecg=SignalArray(np.full((60, 1, 12), np.nan, np.float32)))
    classifier = network().fit(without, y)
    assert (classifier.attention_weights(X)["ecg"] == 0).all()
    np.testing.assert_array_equal(classifier.predict_proba(X), classifier.predict_proba(without))


def test_a_window_without_any_modality_is_guessed_with_a_warning(fitted):
    X, _, _ = windows()
    X.loc[:2, ["ecg", "eeg"]] = np.nan
    with pytest.warns(UserWarning, match="3 of 60 windows are missing"):
        probabilities = fitted.predict_proba(X)
    assert (probabilities[:3] == probabilities[0]).all()


def test_values_far_outside_of_the_training_range_are_named_in_the_error(fitted):
    X, _, _ = windows()
    X["ecg"].array.values[3] *= np.float32(1e11)
    with pytest.raises(ValueError, match=r"'ecg' has values more than 1e\+09 standard deviations"):
        fitted.predict(X)


def test_columns_of_a_plain_table_are_standardised_one_by_one(network):
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    X = np.column_stack([y + 0.1 * rng.normal(size=100), 300 * rng.normal(size=100) + 1000])
    assert network(max_epochs=40).fit(X, y).score(X, y) > 0.95


def test_a_missing_channel_counts_as_average(fitted):
    X, _, _ = windows(seed=1)
    values = X["eeg"].array.values
    values[:, :, 2] = np.nan
    by_mean = X.copy()
    by_mean["eeg"] = SignalArray(
        np.where(np.isnan(values), fitted.mean_["eeg"], values).astype(np.float32),
        channels=X["eeg"].dtype.channels,
    )
    np.testing.assert_allclose(
        fitted.predict_proba(X), fitted.predict_proba(by_mean), rtol=1e-4, atol=1e-6
    )


def test_inputs_are_standardised_by_the_training_rows_without_padding(fitted):
    X, _, _ = windows()
    ecg = X["ecg"].array.values[:, :, :9].astype(np.float64)
    np.testing.assert_allclose(fitted.mean_["ecg"], ecg.mean(), rtol=1e-6)
    np.testing.assert_allclose(fitted.scale_["ecg"], ecg.std(), rtol=1e-6)


def test_units_do_not_matter(network, fitted):
    X, y, _ = windows()
    scaled = X.copy()
    scaled["eeg"] = SignalArray(X["eeg"].array.values * 1024, channels=X["eeg"].dtype.channels)
    other = network().fit(scaled, y)
    np.testing.assert_allclose(other.scale_["eeg"], fitted.scale_["eeg"] * 1024)
    assert (other.predict(scaled) == fitted.predict(X)).mean() > 0.9


def test_a_weight_of_two_is_a_window_given_twice(network):
    X, y, _ = windows()
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    weighted = network().fit(X, y, sample_weight=weight)
    rows = np.repeat(np.arange(len(y)), weight)
    repeated = network().fit(X.iloc[rows], y[rows])
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))


def test_class_weights_favour_the_heavier_class(network):
    X, y, _ = windows()
    X["ecg"] = SignalArray(np.random.default_rng(0).normal(size=(60, 1, 12)))
    X["eeg"] = SignalArray(np.random.default_rng(1).normal(size=(60, 5, 6)))
    light, heavy = (
        network(class_weight={"rest": weight, "task": 1}, max_epochs=2).fit(X, y).predict(X)
        for weight in (0.01, 100)
    )
    assert (light == "rest").mean() < 0.1
    assert (heavy == "rest").mean() > 0.9


def test_partial_fit_continues_where_it_stopped(network):
    X, y, _ = windows()
    classifier = network()
    for _ in range(12):
        classifier.partial_fit(X, y, classes=["rest", "task"])
    assert len(classifier.net_.history) == 12
    assert classifier.score(X, y) > 0.9


def test_partial_fit_needs_the_classes_first_and_takes_no_others(network):
    X, y, _ = windows()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        network().partial_fit(X, y)
    classifier = network().partial_fit(X, y, classes=["rest", "task"])
    with pytest.raises(ValueError, match=r"classes \['other'\] that are not in `classes`"):
        classifier.partial_fit(X, np.full(60, "other"))
    with pytest.raises(ValueError, match=r"classes=\['a', 'b'\] differ from \['rest', 'task'\]"):
        classifier.partial_fit(X, y, classes=["a", "b"])


def test_a_weight_in_partial_fit_scales_the_step(network):
    X, y, _ = windows()
    light, heavy = (
        network().partial_fit(X, y, ["rest", "task"], sample_weight=np.full(60, weight))
        for weight in (1e-6, 1.0)
    )
    assert np.abs(light.predict_proba(X) - heavy.predict_proba(X)).max() > 1e-3


def test_partial_fit_cannot_balance_classes_it_has_not_seen(network):
    X, y, _ = windows()
    with pytest.raises(ValueError, match="needs all windows at once"):
        network(class_weight="balanced").partial_fit(X, y, classes=["rest", "task"])


def test_callbacks_are_called_in_training(network):
    class Count(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("seen", True)

    X, y, _ = windows()
    mine = Count()
    classifier = network(max_epochs=3, callbacks=[mine]).fit(X, y)
    assert classifier.net_.history[:, "seen"] == [True] * 3
    assert vars(mine) == {}


def test_clone_and_pickle_keep_parameters_and_predictions(fitted):
    X, _, _ = windows()
    assert clone(fitted).get_params() == fitted.get_params()
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(restored.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("labels", [("rest", "task"), (-1, 1), (False, True)])
def test_a_saved_classifier_predicts_the_same_without_pickle(network, tmp_path, labels):
    X, y, _ = windows()
    y = np.where(y == "task", labels[1], labels[0])
    classifier = network(class_weight={labels[0]: 1.0, labels[1]: 2.0}).fit(X, y)
    skemo.save(classifier, tmp_path / "network.skemo")
    loaded = skemo.load(tmp_path / "network.skemo", device="cpu")
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    np.testing.assert_array_equal(loaded.predict(X), classifier.predict(X), strict=True)
    assert loaded.get_params() == {**classifier.get_params(), "device": "cpu"}
    assert loaded.partial_fit(X, y).score(X, y) > 0.9
    np.testing.assert_array_equal(loaded._class_weight, classifier._class_weight)


def test_column_names_that_are_numbers_and_a_torch_device_can_be_saved(network, tmp_path):
    X, y, _ = windows()
    X.columns = [0, 1]
    classifier = network(max_epochs=1, device=torch.device("cpu")).fit(X, y)
    skemo.save(classifier, tmp_path / "network.skemo")
    loaded = skemo.load(tmp_path / "network.skemo", device="cpu")
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_network_trained_on_a_gpu_predicts_the_same_on_a_cpu(network, tmp_path):
    X, y, _ = windows()
    classifier = network(device="cuda").fit(X, y)
    assert classifier.score(X, y) > 0.9
    skemo.save(classifier, tmp_path / "network.skemo")
    loaded = skemo.load(tmp_path / "network.skemo", device="cpu")
    np.testing.assert_allclose(
        loaded.predict_proba(X), classifier.predict_proba(X), rtol=1e-3, atol=1e-4
    )


def test_transform_gives_named_columns_that_the_last_layer_classifies(fitted):
    X, _, _ = windows()
    fused = fitted.transform(X)
    width = fused.shape[1] // 2
    assert fitted.get_feature_names_out().tolist() == [
        *[f"ecg{i}" for i in range(width)],
        *[f"eeg{i}" for i in range(width)],
    ]
    layer = fitted.net_.module_.head
    scores = fused @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_array_equal(fitted.classes_[scores.argmax(axis=1)], fitted.predict(X))


def test_attention_weights_have_a_column_per_modality_between_0_and_1(fitted):
    X, _, _ = windows()
    weights = fitted.attention_weights(X.set_axis(range(100, 160)))
    assert weights.columns.tolist() == ["ecg", "eeg"]
    assert weights.index.tolist() == list(range(100, 160))
    assert ((weights > 0) & (weights < 1)).all(axis=None)


def test_one_modality_is_enough(network):
    X, y, _ = windows()
    ecg = X["ecg"].array.values
    for one in (X[["ecg"]], X[["eeg"]], ecg, ecg[:, 0]):
        assert network(max_epochs=30).fit(one, y).score(one, y) > 0.9


def test_permutation_importance_finds_the_informative_modality(network):
    X, y, _ = windows(n_windows=120)
    X["ecg"] = SignalArray(np.random.default_rng(0).normal(size=(120, 1, 12)))
    result = permutation_importance(network().fit(X, y), X, y, n_repeats=3, random_state=0)
    assert result.importances_mean[1] > 0.2 > abs(result.importances_mean[0])


def test_bad_parameters_are_named_in_the_error(network):
    X, y, _ = windows()
    for parameters, message in [
        ({"n_filters": 0}, "n_filters must be an integer of at least 1, got 0"),
        ({"max_epochs": True}, "max_epochs must be an integer of at least 1, got True"),
        ({"kernel_size": 4}, "kernel_size must be odd, got 4"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"validation_fraction": 1.0}, "validation_fraction must be between 0 and 1, got 1.0"),
        ({"dropout": 1}, "dropout must be at least 0 and below 1, got 1"),
        ({"lr": 0}, "lr must be positive, got 0"),
        ({"reduction": 0}, "reduction must be an integer of at least 1, got 0"),
        ({"weight_decay": -1}, "weight_decay must be finite and at least 0, got -1"),
        ({"modality_dropout": -0.1}, "modality_dropout must be at least 0 and below 1, got -0.1"),
        ({"device": "abacus"}, "device must be \"auto\" or a torch device, got 'abacus'"),
    ]:
        with pytest.raises(ValueError, match=message):
            network(**parameters).fit(X, y)


def test_bad_windows_are_named_in_the_error(network):
    X, y, subjects = windows()
    classifier = network()
    with pytest.raises(ValueError, match=r"takes only signal columns, got \['subject'\] beside"):
        classifier.fit(X.assign(subject=subjects), y)
    with pytest.raises(ValueError, match=r"expects a signal column, got 'a' of dtype (object|str)"):
        classifier.fit(pd.DataFrame({"a": ["x", "y"] * 30}), y)
    cells = np.array([[np.zeros(3)]] * 60 + [[None]], object)[:60]
    with pytest.raises(ValueError, match="make_modality_transformer"):
        classifier.fit(cells, y)
    infinite = X.copy()
    infinite["ecg"].array.values[3, 0, 5] = np.inf
    with pytest.raises(ValueError, match="'ecg' contains infinity"):
        classifier.fit(infinite, y)
    empty = X.copy()
    for modality in X:
        empty[modality].array.values[:] = np.nan
    with pytest.raises(ValueError, match="Every window is missing"):
        classifier.fit(empty, y)
    with pytest.raises(ValueError, match="0 sample"):
        classifier.fit(X[:0], y[:0])
    with pytest.raises(ValueError, match="Input y contains NaN in 1 rows"):
        classifier.fit(X, [None, *y[1:]])
    with pytest.raises(ValueError, match="one class"):
        classifier.fit(X, np.full(60, "rest"))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier.fit(X, y[:-1])


def test_windows_of_another_shape_than_in_fit_are_named_in_the_error(fitted):
    X, _, _ = windows()
    X["ecg"] = SignalArray(np.zeros((60, 1, 10)))
    with pytest.raises(ValueError, match=r"in 'ecg', was fitted on a signal of shape=\(1, 12\)"):
        fitted.predict(X)


def test_channels_in_another_order_are_named_in_the_error(fitted):
    X, _, _ = windows()
    values, channels = X["eeg"].array.values[:, :, ::-1], X["eeg"].dtype.channels[::-1]
    X["eeg"] = SignalArray(values, channels=channels)
    with pytest.raises(ValueError, match=r"in 'eeg', was fitted on a signal of channels=\('Fz'"):
        fitted.predict(X)


def test_a_diverging_loss_is_an_error(network):
    X, y, _ = windows()
    with pytest.raises(ValueError, match="not finite from epoch"):
        network(lr=1e30).fit(X, y)


def test_weights_that_are_not_finite_after_the_last_step_are_an_error(network):
    X, y, _ = windows()
    with pytest.raises(ValueError, match="last steps of training made weights infinite or NaN"):
        network(lr=3e38, batch_size=64, max_epochs=1).fit(X, y)


def test_weights_that_are_not_finite_in_a_file_are_an_error(fitted, tmp_path):
    damaged = copy.deepcopy(fitted)
    with torch.no_grad():
        next(damaged.net_.module_.parameters()).fill_(torch.nan)
    skemo.save(damaged, tmp_path / "network.skemo")
    with pytest.raises(ValueError, match=r"network.skemo' is damaged .*infinite or NaN"):
        skemo.load(tmp_path / "network.skemo")


def test_scores_that_are_not_finite_are_an_error(fitted):
    X, _, _ = windows()
    damaged = copy.deepcopy(fitted)
    with torch.no_grad():
        damaged.net_.module_.head.weight.fill_(1e38)
    with pytest.raises(ValueError, match="outputs for 60 of 60 windows are not finite"):
        damaged.predict(X)


def change_dtype():
    torch.set_default_dtype(torch.float64)


def change_gradients():
    torch.set_grad_enabled(False)


def change_device():
    torch.set_default_device("meta")


@pytest.mark.parametrize("change", [change_dtype, change_gradients, change_device])
def test_settings_of_torch_change_no_bit_and_are_restored(change):
    X = np.random.default_rng(0).normal(size=(40, 1, 32))
    y = np.tile([0, 1], 20)
    network = ModalityAwareAttentionClassifier(max_epochs=1, device="cpu", random_state=0)
    expected = clone(network).fit(X, y).predict_proba(X)
    try:
        change()
        np.testing.assert_array_equal(clone(network).fit(X, y).predict_proba(X), expected)
        device = torch.empty(0).device  # in torch 2.6, get_default_device fails after None was set
        settings = torch.get_default_dtype(), torch.is_grad_enabled(), device
        defaults = torch.float32, True, torch.device("cpu")
        assert sum(a != b for a, b in zip(settings, defaults, strict=True)) == 1
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        torch.set_default_device(None)
