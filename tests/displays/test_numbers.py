"""Predicted numbers against those given, and their errors over time."""

import numpy as np
import pytest
from comparing import MODELS, make_features
from matplotlib import pyplot as plt
from sklearn.linear_model import Ridge

from skemo import PredictionsDisplay, ResidualsDisplay, SubjectScoresDisplay, compare, make_ridge

RIDGE = {"ridge": make_ridge("passthrough", task="regression")}


@pytest.fixture(scope="module")
def comparison():
    X, _, subjects = make_features(n_subjects=4, effect=0)
    y = X[:, 0] + 0.1 * X[:, 1]
    models = {**RIDGE, "strong": make_ridge("passthrough", task="regression", alpha=1000.0)}
    return compare(models, X, y, subjects)


def test_each_window_is_a_dot_in_the_panel_of_its_model(comparison):
    display = PredictionsDisplay.from_comparison(comparison)
    assert [panel.get_title() for panel in display.axes_.flat] == ["ridge", "strong"]
    for model, points in zip(comparison.models, display.points_, strict=True):
        own = comparison.predictions[comparison.predictions["model"] == model]
        dots = np.concatenate([each.get_offsets() for each in points])
        np.testing.assert_array_equal(dots, own[["y_true", "y_pred"]])
        assert [each.get_label() for each in points] == ["s0", "s1", "s2", "s3"]


def test_the_line_is_where_both_are_the_same(comparison):
    display = PredictionsDisplay.from_comparison(comparison, "strong")
    (line,) = display.lines_
    assert list(line.get_xdata()) == list(line.get_ydata())
    values = comparison.predictions.query("model == 'strong'")[["y_true", "y_pred"]]
    assert list(line.get_xdata()) == [values.min().min(), values.max().max()]


def test_residuals_are_in_the_order_of_a_subjects_windows(comparison):
    display = ResidualsDisplay.from_comparison(comparison, "ridge")
    own = comparison.predictions.query("model == 'ridge' and subject == 's1'").sort_values("row")
    np.testing.assert_array_equal(display.lines_[0][1].get_xdata(), np.arange(1, 21))
    np.testing.assert_allclose(display.lines_[0][1].get_ydata(), own["y_pred"] - own["y_true"])
    lines = [line.get_ydata() for line in display.lines_[0]]
    np.testing.assert_allclose(display.means_[0].get_ydata(), np.mean(lines, axis=0))


def test_residuals_may_be_over_seconds(comparison):
    times = np.tile(10.0 * np.arange(20), 4)
    display = ResidualsDisplay.from_comparison(comparison, times=times)
    assert display.lines_[0][0].get_xdata().tolist() == times[:20].tolist()
    assert display.axes_[0, 0].get_xlabel() == "Time (s)"


@pytest.mark.parametrize("times", [3.0, [1.0, 2.0], ["x"] * 80])
def test_times_that_are_not_those_of_the_windows_are_refused(comparison, times):
    with pytest.raises(ValueError, match="times must"):
        ResidualsDisplay.from_comparison(comparison, times=times)


def test_models_to_draw_are_names(comparison):
    with pytest.raises(ValueError, match="models must be a name or a list of names, got 3"):
        PredictionsDisplay.from_comparison(comparison, 3)


def test_a_name_that_cannot_be_printed_is_escaped():
    y, subjects = np.arange(4.0), list("aabb")
    display = PredictionsDisplay.from_predictions(y, {"\x07": y}, subjects)
    assert display.axes_[0, 0].get_title() == r"\x07"


def test_predictions_may_be_those_of_a_fitted_model():
    X, _, subjects = make_features(n_subjects=2)
    display = PredictionsDisplay.from_estimator(Ridge().fit(X, X[:, 0]), X, X[:, 0], subjects)
    assert display.axes_[0, 0].get_title() == "Ridge"


def test_panels_may_take_the_place_of_axes(comparison):
    _, axes = plt.subplots(1, 2)
    assert PredictionsDisplay.from_comparison(comparison, ax=axes).axes_.tolist() == [list(axes)]
    assert ResidualsDisplay.from_comparison(comparison, ax=plt.subplots()[1]).axes_.shape == (1, 2)


def test_classes_and_several_targets_are_refused():
    X, y, subjects = make_features(n_subjects=2)
    classes = compare(MODELS, X, y, subjects)
    both = compare(RIDGE, X, X[:, :2], subjects)
    for display in (PredictionsDisplay, ResidualsDisplay):
        for result in (classes, both):
            with pytest.raises(ValueError, match="Only predicted numbers of a single target"):
                display.from_comparison(result)
    with pytest.raises(ValueError, match=r"pass one of comparison\.by_target"):
        SubjectScoresDisplay.from_comparison(both)
    (one, _) = both.by_target().values()
    assert PredictionsDisplay.from_comparison(one).points_


def test_scores_of_subjects_are_of_the_concordance_or_an_error(comparison):
    display = SubjectScoresDisplay.from_comparison(comparison)
    scores = comparison.subject_scores().query("model == 'ridge'").set_index("subject")
    assert display.scores["ridge"].to_dict() == scores["concordance"].to_dict()
    assert display.chance == 0.0
    error = SubjectScoresDisplay.from_comparison(comparison, "rmse")
    assert error.ax_.get_xlabel() == "Root-mean-square error (lower is better)"
    given = comparison.predictions.query("model == 'ridge'")
    again = SubjectScoresDisplay.from_predictions(
        given["y_true"], given["y_pred"], given["subject"], name="ridge"
    )
    np.testing.assert_allclose(again.scores["ridge"], display.scores["ridge"])
