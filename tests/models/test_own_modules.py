"""Networks of the user's own in FusionClassifier and FusionRegressor."""

import pickle

import numpy as np
import pytest
import torch
from networks import windows
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

import skemo
from skemo import FusionClassifier, FusionRegressor, SignalArray, fit_many
from skemo.nn import ModalityAwareAttentionNetwork


class Averages(nn.Module):
    """A perceptron on the means of all channels, with dropout."""

    def __init__(self, shapes, n_outputs, width=8, dropout=0.2):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(sum(shape[0] for shape in shapes), width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, n_outputs),
        )

    def forward(self, inputs, present):
        return self.layers(torch.cat([x.mean(-1) for x in inputs], dim=1))


QUICK = {"lr": 0.03, "max_epochs": 20, "batch_size": 16, "device": "cpu", "random_state": 0}


def test_a_module_is_trained_searched_and_cloned():
    X, y, _ = windows()
    model = FusionClassifier(Averages, module__width=4, **QUICK)
    assert clone(model).get_params()["module__width"] == 4
    assert model.fit(X, y).score(X, y) > 0.9
    assert model.net_.module_.module.layers[0].out_features == 4
    search = GridSearchCV(model, {"module__width": [1, 8]}, cv=2).fit(X, y)
    assert search.best_estimator_.get_params()["module__width"] in (1, 8)


def test_layers_that_draw_random_numbers_are_reproducible():
    X, y, _ = windows()
    state = torch.random.get_rng_state()
    one, other = (FusionClassifier(Averages, **QUICK).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_regressor_takes_any_module_and_several_targets():
    X, y, _ = windows()
    level = X["ecg"].array.values.mean(axis=(1, 2))
    targets = np.stack([level, y == "task"], axis=1).astype(float)
    model = FusionRegressor(Averages, n_members=2, **QUICK).fit(X, targets)
    assert model.score(X, targets) > 0.7


def test_ordinal_ratings_work_with_any_module():
    X, y, _ = windows()
    rating = np.where(y == "task", 4, np.arange(len(y)) % 2 + 1)
    model = FusionClassifier(Averages, loss="ordinal", **QUICK).fit(X, rating)
    assert model.net_.module_.module.layers[-1].out_features == 1
    assert np.corrcoef(model.predict(X), rating)[0, 1] > 0.8


def test_missing_modalities_are_zeros():
    X, y, _ = windows()
    X["ecg"] = SignalArray(np.where((np.arange(60) < 5)[:, None, None], np.nan, X["ecg"].array))

    class Recorder(Averages):
        def forward(self, inputs, present):
            assert (inputs[0][present[:, 0] == 0] == 0).all()
            return super().forward(inputs, present)

    model = FusionClassifier(Recorder, modality_dropout=0.3, input_noise=0.1, **QUICK)
    assert model.fit(X, y).score(X, y) > 0.8


def test_a_network_of_this_library_keeps_attention_and_representation():
    X, y, _ = windows()
    model = FusionClassifier(ModalityAwareAttentionNetwork, module__depth=1, **QUICK).fit(X, y)
    assert model.transform(X).shape == (60, len(model.get_feature_names_out()))


def test_the_representation_of_a_plain_module_is_its_outputs():
    X, y, _ = windows()
    model = FusionClassifier(Averages, **QUICK).fit(X, y)
    scores = model.transform(X)
    np.testing.assert_array_equal(model.classes_[scores.argmax(axis=1)], model.predict(X))
    assert model.get_feature_names_out().tolist() == ["output0", "output1"]
    assert not hasattr(model, "attention_weights")


def test_fits_of_own_modules_are_trained_one_by_one():
    X, y, _ = windows()
    models = [FusionClassifier(Averages, **{**QUICK, "random_state": k}) for k in range(2)]
    together = fit_many(models, 2 * [X], 2 * [y], together=True)
    for model, fitted in zip(models, together, strict=True):
        alone = clone(model).fit(X, y)
        np.testing.assert_array_equal(fitted.predict_proba(X), alone.predict_proba(X))


def test_the_module_is_passed_to_load(tmp_path):
    X, y, _ = windows()
    model = FusionClassifier(Averages, module__width=3, **QUICK).fit(X, y)
    skemo.save(model, tmp_path / "model.skemo")
    with pytest.raises(TypeError, match=r"must be passed to load: module=\.\.\."):
        skemo.load(tmp_path / "model.skemo")
    loaded = skemo.load(tmp_path / "model.skemo", device="cpu", module=Averages)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.get_params()["module__width"] == 3


def test_fitted_models_are_pickled():
    X, y, _ = windows()
    model = FusionClassifier(Averages, **QUICK).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))


def test_wrong_modules_and_parameters_are_named():
    X, y, _ = windows()
    with pytest.raises(TypeError, match=r"no parameter 'width'.*module__width"):
        FusionClassifier(Averages, width=3).fit(X, y)
    with pytest.raises(TypeError, match=r"must return a torch\.nn\.Module, but returned int"):
        FusionClassifier(lambda shapes, n_outputs: 3).fit(X, y)
    with pytest.raises(TypeError, match=r"Linear must have forward\(inputs, present\)"):
        FusionClassifier(lambda shapes, n_outputs: nn.Linear(3, n_outputs)).fit(X, y)
    with pytest.raises(TypeError, match=r"module must be a subclass of .* got 'Averages'"):
        FusionClassifier("Averages").fit(X, y)
    wrong = FusionClassifier(lambda shapes, n_outputs: Averages(shapes, 5), **QUICK)
    with pytest.raises(ValueError, match=r"here \(2, 2\) for two windows, but returned \(2, 5\)"):
        wrong.fit(X, y)
    with pytest.raises(ValueError, match="Invalid parameter"):
        FusionClassifier(Averages).set_params(nonsense=3)


class Masked(nn.Module):
    """Has a mask, reads a value while it is built, and has few tensors."""

    def __init__(self, shapes, n_outputs):
        super().__init__()
        self.scale = torch.tensor(2.0).item()
        self.register_buffer("mask", torch.full((3,), -torch.inf))
        self.layer = nn.Linear(shapes[0][-1], n_outputs)

    def forward(self, inputs, present):
        return self.scale * self.layer(inputs[0][:, 0])


def test_modules_with_masks_and_few_tensors_are_saved_and_loaded(tmp_path):
    X, y, _ = windows()
    model = FusionClassifier(Masked, n_members=10, **{**QUICK, "max_epochs": 1}).fit(X, y)
    skemo.save(model, tmp_path / "model.skemo")
    loaded = skemo.load(tmp_path / "model.skemo", device="cpu", module=Masked)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_a_module_that_cannot_be_built_is_no_damaged_file(tmp_path):
    X, y, _ = windows()
    path = tmp_path / "model.skemo"
    skemo.save(FusionClassifier(Masked, **{**QUICK, "max_epochs": 1}).fit(X, y), path)

    def broken(shapes, n_outputs):
        raise RuntimeError("no such layer")

    with pytest.raises(TypeError, match=r"module=\.\.\. could not be built: no such layer"):
        skemo.load(path, module=broken)


def test_an_instance_of_a_module_is_an_error_that_asks_for_its_class():
    X, y, _ = windows()
    with pytest.raises(TypeError, match="an instance of Masked: pass the class"):
        FusionClassifier(Masked([(1, 12)], 2)).fit(X, y)
