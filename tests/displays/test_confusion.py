"""Confusion matrices: averages over subjects or windows, and what is drawn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import confusion_matrix

from skemo.displays.confusion import ConfusionDisplay
from skemo.evaluation.comparison import Comparison

plt = pytest.importorskip("matplotlib.pyplot")

# S1 has four windows per class, all predicted correctly; S2 has one per class, both predicted "a".
Y_TRUE = ["a"] * 4 + ["b"] * 4 + ["a", "b"]
Y_PRED = ["a"] * 4 + ["b"] * 4 + ["a", "a"]
SUBJECTS = ["S1"] * 8 + ["S2"] * 2


def make_comparison(models, n_repeats=1):
    columns = {"row": range(10), "subject": SUBJECTS, "y_true": Y_TRUE, "y_pred": Y_PRED}
    predictions = [
        pd.DataFrame({"model": model, "repeat": repeat, "fold": 0, **columns})
        for model in models
        for repeat in range(n_repeats)
    ]
    empty, details = pd.DataFrame(), {"models": dict.fromkeys(models, "")}
    return Comparison("group-k-fold", pd.concat(predictions), *[empty] * 5, details)


def test_subjects_count_the_same_however_many_windows_they_have():
    display = ConfusionDisplay.from_predictions(Y_TRUE, Y_PRED, SUBJECTS)
    assert display.confusion.tolist() == [[[1.0, 0.0], [0.5, 0.5]]]


def test_averaging_over_windows_agrees_with_scikit_learn():
    display = ConfusionDisplay.from_predictions(Y_TRUE, Y_PRED, SUBJECTS, average="windows")
    expected = confusion_matrix(Y_TRUE, Y_PRED, normalize="true")
    np.testing.assert_allclose(display.confusion[0], expected)
    assert display.counts[0].tolist() == confusion_matrix(Y_TRUE, Y_PRED).tolist()


@pytest.mark.parametrize("average", ["subjects", "windows"])
def test_rows_sum_to_one(average):
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.choice(list("abcd"), (2, 200))
    subjects = rng.choice(list("ABCDEFG"), 200)
    display = ConfusionDisplay.from_predictions(y_true, y_pred, subjects, average=average)
    np.testing.assert_allclose(display.confusion.sum(axis=-1), 1)
    assert display.counts.sum() == 200


def test_the_diagonal_is_the_balanced_accuracy_if_every_subject_has_every_class():
    rng = np.random.default_rng(0)
    y_true, subjects = np.tile(list("abc"), 40), np.repeat(list("ABCD"), 30)
    y_pred = rng.choice(list("abc"), 120)
    display = ConfusionDisplay.from_predictions(y_true, y_pred, subjects)
    per_subject = [
        np.diagonal(confusion_matrix(y_true[own], y_pred[own], normalize="true")).mean()
        for own in (subjects == subject for subject in "ABCD")
    ]
    assert np.trace(display.confusion[0]) / 3 == pytest.approx(np.mean(per_subject))


def test_a_subject_without_a_class_does_not_count_for_that_class():
    display = ConfusionDisplay.from_predictions(["a", "b", "a"], ["a", "b", "b"], [1, 1, 2])
    assert display.confusion[0].tolist() == [[0.5, 0.5], [0.0, 1.0]]


def test_a_class_that_is_only_predicted_has_a_row_without_shares():
    display = ConfusionDisplay.from_predictions(["a", "a"], ["a", "b"], [1, 1])
    assert np.isnan(display.confusion[0, 1]).all()
    assert display.text_[0, 1, 0].get_text() == "–"


def test_cells_show_shares_and_the_number_of_windows():
    display = ConfusionDisplay.from_predictions(Y_TRUE, Y_PRED, SUBJECTS)
    texts = [[text.get_text() for text in row] for row in display.text_[0]]
    assert texts == [["100 %", "0 %"], ["50 %", "50 %"]]
    written = [text.get_text() for text in display.axes_[0, 0].texts]
    assert [text for text in written if "%" not in text] == ["5", "0", "1", "4"]


def test_text_is_light_on_dark_cells_and_dark_on_light_ones():
    display = ConfusionDisplay.from_predictions(Y_TRUE, Y_PRED, SUBJECTS)
    assert display.text_[0, 0, 0].get_color() == "white"
    assert display.text_[0, 0, 1].get_color() != "white"


def test_models_share_one_colour_scale_and_have_one_panel_each():
    display = ConfusionDisplay.from_comparison(make_comparison(["SVM", "LDA", "forest", "tree"]))
    assert {image.get_clim() for image in display.im_} == {(0, 1)}
    assert display.axes_.shape == (2, 3)
    titles = [panel.get_title() for panel in display.axes_.flat]
    assert titles == ["SVM", "LDA", "forest", "tree", "", ""]
    assert [panel.axison for panel in display.axes_.flat] == [True] * 4 + [False] * 2


def test_chosen_models_are_drawn_in_the_given_order():
    comparison = make_comparison(["SVM", "LDA", "forest"])
    display = ConfusionDisplay.from_comparison(comparison, models=["forest", "SVM"])
    assert display.models == ["forest", "SVM"]
    assert ConfusionDisplay.from_comparison(comparison, models="LDA").models == ["LDA"]


def test_repetitions_do_not_add_windows():
    display = ConfusionDisplay.from_comparison(make_comparison(["SVM"], n_repeats=3))
    assert display.counts[0].tolist() == [[5, 0], [1, 4]]
    assert display.confusion[0].tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_a_model_whose_fits_all_failed_has_an_empty_matrix():
    comparison = make_comparison(["SVM"])
    comparison.details["models"]["LDA"] = ""
    display = ConfusionDisplay.from_comparison(comparison)
    assert np.isnan(display.confusion[1]).all()


def test_both_axes_name_the_classes():
    display = ConfusionDisplay.from_predictions(Y_TRUE, Y_PRED, SUBJECTS)
    for labels in (display.axes_[0, 0].get_xticklabels(), display.axes_[0, 0].get_yticklabels()):
        assert [label.get_text() for label in labels] == ["a", "b"]


def test_a_fitted_classifier_is_titled_with_its_class_name():
    model = DummyClassifier().fit(np.zeros((10, 1)), Y_TRUE)
    display = ConfusionDisplay.from_estimator(model, np.zeros((10, 1)), Y_TRUE, SUBJECTS)
    assert display.models == ["DummyClassifier"]
    assert display.confusion[0].tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_matrices_share_the_place_of_one_axes_or_take_one_axes_each():
    comparison = make_comparison(["SVM", "LDA"])
    figure, places = plt.subplots(1, 2)
    display = ConfusionDisplay.from_comparison(comparison, ax=places[0])
    assert display.figure_ is figure
    assert len(figure.axes) == 3
    figure, places = plt.subplots(2, 1)
    display = ConfusionDisplay.from_comparison(comparison, ax=places)
    assert list(display.axes_.flat) == list(places)


def test_wrong_arguments_are_errors():
    comparison = make_comparison(["SVM", "LDA"])
    with pytest.raises(ValueError, match=r"average must be .*got 'mean'"):
        ConfusionDisplay.from_comparison(comparison, average="mean")
    with pytest.raises(ValueError, match="ax has 3 axes, but there are 2 panels to draw"):
        ConfusionDisplay.from_comparison(comparison, ax=plt.subplots(3)[1])
    with pytest.raises(ValueError, match="ax is not part of a grid"):
        ConfusionDisplay.from_comparison(comparison, ax=plt.figure().add_axes([0, 0, 1, 1]))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ConfusionDisplay.from_predictions(Y_TRUE, Y_PRED, SUBJECTS[:-1])
