"""Training histories: losses, the epoch kept by early stopping, and what is drawn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skemo
from skemo import CrossModalAttentionClassifier
from skemo.displays.training_history import TrainingHistoryDisplay, best_epoch

plt = pytest.importorskip("matplotlib.pyplot")

GROUPS = np.repeat(np.arange(8), 5)


@pytest.fixture(scope="module")
def data():
    y = np.tile([0, 1, 0, 1, 1], 8)
    X = np.random.default_rng(0).normal(size=(40, 1, 32)) * (1 + y)[:, np.newaxis, np.newaxis]
    return X, y


def make_network(**parameters):
    return CrossModalAttentionClassifier(
        n_blocks=1, stages=1, n_filters=4, random_state=0, **parameters
    )


@pytest.fixture(scope="module")
def stopped(data):
    network = make_network(
        early_stopping=True, validation_fraction=0.25, patience=3, max_epochs=60, lr=0.03
    )
    return network.fit(*data, groups=GROUPS)


@pytest.fixture(scope="module")
def plain(data):
    return make_network(max_epochs=3).fit(*data)


def make_history(train, valid=None):
    losses = {"train_loss": train} | ({} if valid is None else {"valid_loss": valid})
    return pd.DataFrame(losses, index=pd.RangeIndex(1, len(train) + 1, name="epoch"))


def test_the_lines_are_the_losses_of_each_epoch(plain):
    display = TrainingHistoryDisplay.from_estimator(plain)
    (line,) = display.lines_["train_loss"]
    assert line.get_xdata().tolist() == [1, 2, 3]
    assert line.get_ydata().tolist() == plain.net_.history[:, "train_loss"]
    assert display.lines_["valid_loss"] == []
    assert display.best_ == []


def test_early_stopping_adds_the_validation_loss_and_the_epoch_kept(stopped):
    display = TrainingHistoryDisplay.from_estimator(stopped)
    (valid,) = display.lines_["valid_loss"]
    assert valid.get_ydata().tolist() == stopped.net_.history[:, "valid_loss"]
    n_epochs = len(stopped.net_.history)
    assert n_epochs < 60
    assert display.best_epochs == [n_epochs - 3]  # patience=3 epochs before the last
    ((epoch, loss),) = display.best_[0].get_xydata()
    assert epoch == n_epochs - 3
    assert loss == valid.get_ydata()[n_epochs - 4]


def test_the_epoch_kept_is_the_last_one_lower_by_more_than_a_ten_thousandth():
    losses = [0.8, 0.5, 0.49998, 0.6]
    assert best_epoch(make_history(losses, losses)["valid_loss"]) == 2
    losses = [0.8, 0.5, 0.4999, 0.6]
    assert best_epoch(make_history(losses, losses)["valid_loss"]) == 3


def test_the_network_is_found_inside_pipelines_and_searches(plain, data):
    pipeline = make_pipeline("passthrough", make_network(max_epochs=2)).fit(*data)
    search = GridSearchCV(pipeline, {"crossmodalattentionclassifier__lr": [0.01]}, cv=2).fit(*data)
    for estimator in (pipeline, search):
        display = TrainingHistoryDisplay.from_estimator(estimator)
        assert len(display.histories[0]) == 2


def test_several_fits_are_thin_lines_with_their_mean_up_to_the_shortest():
    histories = [make_history([3, 2, 1]), make_history([5, 4])]
    display = TrainingHistoryDisplay(histories).plot()
    mean = display.means_["train_loss"]
    assert mean.get_xydata().tolist() == [[1, 4], [2, 3]]
    assert len(display.lines_["train_loss"]) == 2
    assert all(line.get_linewidth() < mean.get_linewidth() for line in display.lines_["train_loss"])


def test_a_list_of_estimators_gives_one_line_each(plain, stopped):
    display = TrainingHistoryDisplay.from_estimator([plain, stopped, stopped])
    assert [len(display.lines_[name]) for name in ("train_loss", "valid_loss")] == [3, 2]
    assert [epoch is None for epoch in display.best_epochs] == [True, False, False]
    assert len(display.best_) == 2


def test_the_legend_names_what_is_drawn(plain, stopped):
    def legend(*estimators):
        ax = TrainingHistoryDisplay.from_estimator(list(estimators)).ax_
        return [text.get_text() for text in ax.get_legend().get_texts()]

    assert legend(plain) == ["training"]
    kept = len(stopped.net_.history) - 3
    assert legend(stopped) == ["training", "validation", f"weights kept: epoch {kept}"]
    assert legend(stopped, stopped)[0] == "training, mean of 2 fits"
    assert legend(stopped, stopped)[2:] == ["weights kept"]


def test_it_draws_on_the_given_axes(plain):
    ax = plt.subplots()[1]
    assert TrainingHistoryDisplay.from_estimator(plain, ax=ax).ax_ is ax


def test_an_estimator_without_a_training_history_is_an_error(plain, tmp_path, data):
    with pytest.raises(TypeError, match="DummyClassifier is not trained in epochs"):
        TrainingHistoryDisplay.from_estimator(DummyClassifier().fit(*data))
    with pytest.raises(ValueError, match="has no training history: fit it first"):
        TrainingHistoryDisplay.from_estimator(make_network())
    skemo.save(plain, tmp_path / "network.skemo")
    loaded = skemo.load(tmp_path / "network.skemo")
    with pytest.raises(ValueError, match="the file does not keep it"):
        TrainingHistoryDisplay.from_estimator(loaded)
    with pytest.raises(ValueError, match="estimator is an empty list"):
        TrainingHistoryDisplay.from_estimator([])
