"""Scores of subjects: means, intervals, chance, and what is drawn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from skemo.displays.confusion import ConfusionDisplay
from skemo.displays.subject_scores import SubjectScoresDisplay
from skemo.evaluation.comparison import Comparison

plt = pytest.importorskip("matplotlib.pyplot")


def make_comparison(share_right, protocol="leave-one-subject-out", n_subjects=6):
    """Each model is right in a given share of the windows, which falls from subject to subject."""
    parts, n_windows = [], 20
    y_true = np.tile(["rest", "stress"], n_windows // 2)
    other = np.tile(["stress", "rest"], n_windows // 2)
    for model, share in share_right.items():
        for subject in range(n_subjects):
            is_right = np.arange(n_windows) // 2 < share * n_windows / 2 - subject
            y_pred = np.where(is_right, y_true, other)
            columns = {"model": model, "repeat": 0, "fold": subject, "row": np.arange(n_windows)}
            columns |= {"subject": f"S{subject}", "y_true": y_true, "y_pred": y_pred}
            parts.append(pd.DataFrame(columns))
    nothing = pd.DataFrame()
    details = {"models": dict.fromkeys(share_right, "")}
    return Comparison(protocol, pd.concat(parts), *[nothing] * 5, details)


def test_there_is_a_dot_for_each_subject_at_its_score():
    display = SubjectScoresDisplay.from_comparison(make_comparison({"SVM": 1.0, "LDA": 0.8}))
    for points, best in zip(display.points_, (1.0, 0.8), strict=True):
        expected = best - 0.1 * np.arange(6)
        np.testing.assert_allclose(points.get_offsets()[:, 0], expected)
    assert list(display.scores.index) == [f"S{i}" for i in range(6)]


def test_the_diamond_is_the_mean_and_its_bar_the_interval():
    display = SubjectScoresDisplay.from_comparison(make_comparison({"SVM": 1.0}))
    diamond, _, (bar,) = display.means_[0]
    assert diamond.get_xdata()[0] == pytest.approx(0.75)
    (ends,) = bar.get_segments()
    low, high = display.intervals.loc["SVM"]
    np.testing.assert_allclose(ends[:, 0], [low, high])
    assert 0.5 < low < 0.75 < high < 1
    assert display.text_[0].get_text() == f"0.75\n[{low:.2f}, {high:.2f}]"


def test_a_higher_confidence_makes_a_longer_bar():
    comparison = make_comparison({"SVM": 1.0})
    lengths = [
        np.ptp(SubjectScoresDisplay.from_comparison(comparison, confidence=c).intervals).item()
        for c in (0.5, 0.99)
    ]
    assert lengths[0] < lengths[1]


def test_models_are_rows_from_top_to_bottom_in_the_given_order():
    comparison = make_comparison({"SVM": 1.0, "LDA": 0.8, "forest": 0.9})
    display = SubjectScoresDisplay.from_comparison(comparison, models=["forest", "SVM"])
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["forest", "SVM"]
    bottom, top = display.ax_.get_ylim()
    assert top < display.ax_.get_yticks()[0] < display.ax_.get_yticks()[1] < bottom


def test_a_line_joins_the_dots_of_a_subject_across_models():
    display = SubjectScoresDisplay.from_comparison(make_comparison({"SVM": 1.0, "LDA": 0.8}))
    assert len(display.lines_) == 6
    for i, line in enumerate(display.lines_):
        dots = [points.get_offsets()[i] for points in display.points_]
        np.testing.assert_allclose(line.get_xydata(), dots)


def test_many_models_are_not_joined():
    display = SubjectScoresDisplay.from_comparison(make_comparison({"SVM": 1.0, "LDA": 0.8}))
    assert display.plot(max_joined=1).lines_ == []


def test_dots_stay_within_the_row_of_their_model_and_do_not_coincide():
    comparison = make_comparison({"SVM": 1.0, "LDA": 0.8}, n_subjects=10)
    display = SubjectScoresDisplay.from_comparison(comparison)
    for row, points in enumerate(display.points_):
        heights = points.get_offsets()[:, 1]
        assert (np.abs(heights - row) < 0.4).all()
        assert np.diff(np.sort(heights)).min() > 0.01


def test_drawing_again_gives_the_same_picture():
    comparison = make_comparison({"SVM": 1.0})
    one, other = (SubjectScoresDisplay.from_comparison(comparison) for _ in range(2))
    np.testing.assert_array_equal(one.points_[0].get_offsets(), other.points_[0].get_offsets())
    assert one.text_[0].get_text() == other.text_[0].get_text()


@pytest.mark.parametrize(
    ("metric", "chance"), [("balanced_accuracy", 0.5), ("specificity", 0.5), ("accuracy", None)]
)
def test_chance_is_drawn_where_it_is_known(metric, chance):
    display = SubjectScoresDisplay.from_comparison(make_comparison({"SVM": 1.0}), metric)
    assert display.chance == chance
    assert (display.chance_ is None) == (chance is None)


def test_a_constant_prediction_is_at_chance_with_three_classes():
    y, subjects = np.tile(["a", "b", "c"], 8), np.repeat(["S1", "S2"], 12)
    for metric in ("balanced_accuracy", "sensitivity", "specificity"):
        display = SubjectScoresDisplay.from_predictions(y, ["a"] * 24, subjects, metric=metric)
        assert display.chance == pytest.approx(display.scores["model"].mean())


def test_the_title_says_that_a_protocol_is_optimistic():
    comparison = make_comparison({"SVM": 1.0}, protocol="segment-k-fold")
    display = SubjectScoresDisplay.from_comparison(comparison)
    assert display.ax_.get_title(loc="left") == "segment-k-fold (optimistic)"


def test_a_model_whose_fits_all_failed_has_a_row_without_scores():
    comparison = make_comparison({"SVM": 1.0})
    comparison.details["models"]["LDA"] = ""
    display = SubjectScoresDisplay.from_comparison(comparison)
    assert [text.get_text() for text in display.text_][1] == "no scores"


def test_a_single_subject_has_a_mean_but_no_interval():
    display = SubjectScoresDisplay.from_predictions(["a", "b"], ["a", "a"], ["S1", "S1"])
    assert display.text_[0].get_text() == "0.50"
    assert display.intervals.isna().all(axis=None)


def test_long_names_are_wrapped():
    name = "modality-aware attention without attention"
    display = SubjectScoresDisplay.from_comparison(make_comparison({name: 1.0}))
    (label,) = (text.get_text() for text in display.ax_.get_yticklabels())
    assert label.replace("\n", " ") == name
    assert max(map(len, label.split("\n"))) <= 22


def test_predictions_of_several_models_are_drawn_together():
    y, subjects = ["a", "b"] * 4, np.repeat(["S1", "S2"], 4)
    y_pred = {"right": y, "wrong": ["b", "a"] * 4}
    display = SubjectScoresDisplay.from_predictions(y, y_pred, subjects)
    assert display.scores.to_dict("list") == {"right": [1.0, 1.0], "wrong": [0.0, 0.0]}


def test_a_fitted_classifier_is_scored_by_subject():
    X, y, subjects = np.zeros((8, 1)), np.array(["a", "a", "a", "b"] * 2), [1] * 4 + [2] * 4
    model = DummyClassifier().fit(X, y)
    display = SubjectScoresDisplay.from_estimator(model, X, y, subjects, metric="accuracy")
    assert display.scores["DummyClassifier"].to_dict() == {1: 0.75, 2: 0.75}


def test_it_draws_on_the_given_axes():
    ax = plt.subplots()[1]
    display = SubjectScoresDisplay.from_comparison(make_comparison({"SVM": 1.0}), ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure


def test_an_unknown_metric_or_model_is_an_error():
    comparison = make_comparison({"SVM": 1.0})
    with pytest.raises(ValueError, match="Unknown metric 'auc'; there are"):
        SubjectScoresDisplay.from_comparison(comparison, "auc")
    with pytest.raises(
        ValueError, match=r"models has \['LDA'\], but the models of the comparison are"
    ):
        SubjectScoresDisplay.from_comparison(comparison, models=["LDA"])
    with pytest.raises(ValueError, match="Unknown metric 'brier'; there are"):
        SubjectScoresDisplay.from_predictions(["a"], ["a"], ["S1"], metric="brier")


@pytest.mark.parametrize("display", [SubjectScoresDisplay, ConfusionDisplay])
@pytest.mark.parametrize(
    ("y", "y_pred", "subjects", "message"),
    [
        (["r", "s"], [0, 1], ["a", "b"], r"predicted \[0, 1\], but the labels are \['r', 's'\]"),
        ([], [], [], "no predictions to draw"),
        (["r", "s"], {}, ["a", "b"], "no predictions to draw"),
        (["r", "s"], ["r", "s"], None, "subjects must name"),
        (["r", "s"], ["r", "s"], ["a", None], "subjects must name"),
    ],
)
def test_unusable_predictions_are_named(display, y, y_pred, subjects, message):
    with pytest.raises(ValueError, match=message):
        display.from_predictions(y, y_pred, subjects)


def test_predictions_that_are_all_wrong_are_drawn():
    display = SubjectScoresDisplay.from_predictions(["r", "r"], ["s", "s"], ["a", "b"])
    assert (display.scores == 0).all().all()


def test_a_model_named_twice_is_drawn_once():
    comparison = make_comparison({"SVM": 1.0, "LDA": 0.8})
    display = SubjectScoresDisplay.from_comparison(comparison, models=["SVM", "SVM"])
    assert list(display.scores) == ["SVM"]
