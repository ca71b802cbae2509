"""Further scores, and the area under the ROC curve."""

import warnings

import numpy as np
import pytest
from comparing import MODELS, make_features
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    f1_score,
    log_loss,
    make_scorer,
    matthews_corrcoef,
    median_absolute_error,
    roc_auc_score,
    zero_one_loss,
)
from sklearn.svm import SVC

from skemo import compare, make_lda, make_ridge

LDA = {"LDA": make_lda("passthrough")}


def test_roc_auc_agrees_with_scikit_learn():
    X, y, subjects = make_features(effect=0.7, n_subjects=3)
    scores = compare(LDA, X, y, subjects).subject_scores().set_index("subject")["roc_auc"]
    predictions = compare(LDA, X, y, subjects).predictions
    for subject, own in predictions.groupby("subject"):
        expected = roc_auc_score(own["y_true"], own["probability stress"])
        assert scores[subject] == pytest.approx(expected)


def test_roc_auc_of_several_classes_is_the_mean_of_each_against_the_others():
    X, y, subjects = make_features(effect=0.7, n_subjects=3)
    y = np.where(X[:, 1] > 0.5, "zest", y)
    result = compare(LDA, X, y, subjects)
    scores = result.subject_scores().set_index("subject")["roc_auc"]
    for subject, own in result.predictions.groupby("subject"):
        probabilities = own[[f"probability {label}" for label in np.unique(y)]]
        expected = roc_auc_score(own["y_true"], probabilities, multi_class="ovr")
        assert scores[subject] == pytest.approx(expected)


def test_ties_of_probabilities_count_half():
    result = compare({"majority": MODELS["majority"]}, *make_features())
    assert (result.subject_scores()["roc_auc"] == 0.5).all()
    assert result.table().loc["majority", "ROC AUC"] == "50.0 ± 0.0"


def test_a_calibrated_svm_has_a_roc_auc_and_a_bare_one_has_not():
    models = {"bare": SVC(), "calibrated": CalibratedClassifierCV(SVC(), ensemble=False)}
    table = compare(models, *make_features()).table()
    assert table.loc["bare", "ROC AUC"] == "–"
    assert table.loc["calibrated", "ROC AUC"].startswith(("9", "100"))


def test_a_note_says_how_a_model_gets_the_scores_of_probabilities():
    X, y, subjects = make_features(n_subjects=4)
    models = {"SVM": SVC(), "logistic": LogisticRegression()}
    note = (
        "No ROC AUC and Brier score for 'SVM', without probabilities: scikit-learn's "
        "CalibratedClassifierCV gives them to a classifier."
    )
    assert note in compare(models, X, y, subjects).notes()
    for name, model in models.items():  # there is no such column, or no model without it
        assert note not in compare({name: model}, X, y, subjects).notes()


def test_a_subject_with_one_class_has_no_roc_auc():
    X, y, subjects = make_features(n_subjects=8)
    y[subjects == "s3"] = "calm"
    result = compare(LDA, X, y, subjects)
    scores = result.subject_scores().set_index("subject")["roc_auc"]
    assert scores.index[scores.isna()].tolist() == ["s3"]
    assert "ROC AUC are means over 7 of 8 subjects" in result.notes()[0]


def hits(estimator, X, y):
    return (estimator.predict(X) == y).mean()


def test_a_score_may_be_a_name_a_scorer_a_metric_or_a_function():
    X, y, subjects = make_features(effect=0.7)
    scoring = {
        "f1": make_scorer(f1_score, pos_label="stress"),
        "mcc": "matthews_corrcoef",
        "same": matthews_corrcoef,
        "loss": "neg_log_loss",
        "hits": hits,
    }
    result = compare(LDA, X, y, subjects, scoring=scoring)
    scores = result.subject_scores().set_index("subject")
    for subject, own in result.predictions.groupby("subject"):
        true, predicted = own["y_true"], own["y_pred"]
        probabilities = own[["probability calm", "probability stress"]]
        here = scores.loc[subject]
        assert here["f1"] == f1_score(true, predicted, pos_label="stress")
        assert here["mcc"] == here["same"] == matthews_corrcoef(true, predicted)
        assert here["loss"] == pytest.approx(-log_loss(true, probabilities))
        assert here["hits"] == here["accuracy"]
    assert result.table().columns[-5:].tolist() == list(scoring)
    assert result.metrics[-5:] == list(scoring)
    assert {"f1", "hits"} <= set(result.fold_scores())
    assert result.scores["hits"].equals(result.scores["accuracy"])


def test_labels_that_are_numbers_are_scored_by_probabilities_too():
    X, y, subjects = make_features(effect=0.7)
    models = {"logistic": LogisticRegression()}
    for values in ((1, 2), (10.0, 20.0), (False, True)):
        labels = np.where(y == "stress", *values[::-1])
        result = compare(models, X, labels, subjects, scoring={"auc": "roc_auc"})
        scores = result.subject_scores()
        np.testing.assert_allclose(scores["auc"], scores["roc_auc"])


def test_a_metric_whose_name_ends_in_loss_is_the_better_the_lower():
    models = {**LDA, "majority": MODELS["majority"]}
    result = compare(models, *make_features(), scoring=[zero_one_loss, hits])
    assert result.test("zero_one_loss")["better"].item() == 6
    assert result.test("hits")["better"].item() == 6
    assert result.describe_metric("zero_one_loss").lower_is_better


def test_scikit_learns_name_of_a_default_score_adds_nothing():
    plain, same = (
        compare(LDA, *make_features(), scoring=scoring)
        for scoring in (None, ["accuracy", "roc_auc"])
    )
    assert plain.table().equals(same.table())


def test_numbers_have_further_scores_too():
    X, _, subjects = make_features(effect=0)
    ridge = make_ridge("passthrough", task="regression")
    scoring = ["neg_median_absolute_error", median_absolute_error]
    result = compare({"ridge": ridge}, X, X[:, 0], subjects, scoring=scoring)
    scores = result.subject_scores()
    np.testing.assert_array_equal(
        scores["median_absolute_error"], -scores["neg_median_absolute_error"]
    )


def test_a_score_that_a_model_cannot_have_is_said_and_the_others_stay():
    models = {"bare": SVC(), **LDA}
    with pytest.warns(UserWarning, match="'neg_log_loss' has no value for 'bare': it needs prob"):
        result = compare(models, *make_features(), scoring="neg_log_loss")
    assert "neg_log_loss of 'bare' is over 0 of 6 subjects." in result.notes()
    assert result.table()["neg_log_loss"].tolist()[0] == "–"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(LDA, *make_features(), scoring="neg_log_loss")


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        ("kappa", "kappa"),
        ([hits, hits], "'hits', which is not text, is taken or occurs twice"),
        ({"subject": hits}, "'subject', which"),
        ({"brier": hits}, "'brier', the name of a score of every comparison"),
        ({"x": 3}, "scoring must have names and functions, got 3"),
    ],
)
def test_scores_that_are_none_are_refused(scoring, message):
    with pytest.raises(ValueError, match=message):
        compare(LDA, *make_features(), scoring=scoring)
