"""Scores of confusion matrices and of probabilities, and tables of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    multilabel_confusion_matrix,
    precision_score,
    recall_score,
)

from skemo.evaluation.scores import (
    METRICS,
    check_metric,
    confusion_scores,
    format_summary,
    format_table,
    score_predictions,
    squared_errors,
    summarize,
)


def test_two_classes_by_hand():
    scores = confusion_scores([[8, 2], [1, 4]])
    assert scores["accuracy"] == pytest.approx(12 / 15)
    assert scores["sensitivity"] == pytest.approx((8 / 10 + 4 / 5) / 2)
    assert scores["specificity"] == pytest.approx((4 / 5 + 8 / 10) / 2)
    assert scores["precision"] == pytest.approx((8 / 9 + 4 / 6) / 2)
    assert scores["macro_f1"] == pytest.approx((16 / 19 + 8 / 11) / 2)


def test_metrics_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    confusion = np.zeros((4, 4), int)
    np.add.at(confusion, (y_true, y_pred), 1)
    scores = confusion_scores(confusion)
    tn, fp = multilabel_confusion_matrix(y_true, y_pred)[:, 0].T
    expected = {
        "accuracy": accuracy_score(y_true, y_pred),
        "balanced_accuracy": balanced_accuracy_score(y_true, y_pred),
        "macro_f1": f1_score(y_true, y_pred, average="macro"),
        "sensitivity": recall_score(y_true, y_pred, average="macro"),
        "specificity": np.mean(tn / (tn + fp)),
        "precision": precision_score(y_true, y_pred, average="macro"),
    }
    assert scores.keys() == expected.keys() == set(METRICS) - {"roc_auc", "brier"}
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value), name


def test_an_absent_class_is_left_out_of_the_average():
    y_true, y_pred = np.array([0, 0, 0, 2, 2]), np.array([0, 0, 1, 2, 0])
    confusion = np.zeros((3, 3), int)
    np.add.at(confusion, (y_true, y_pred), 1)
    scores = confusion_scores(confusion)
    settings = {"labels": [0, 2], "average": "macro"}
    assert scores["sensitivity"] == pytest.approx(recall_score(y_true, y_pred, **settings))
    assert scores["precision"] == pytest.approx(precision_score(y_true, y_pred, **settings))
    assert scores["macro_f1"] == pytest.approx(f1_score(y_true, y_pred, **settings))
    assert scores["specificity"] == pytest.approx((1 / 2 + 3 / 3) / 2)


def test_a_class_never_predicted_has_precision_zero():
    assert confusion_scores([[6, 0], [4, 0]])["precision"] == pytest.approx(0.6 / 2)


def test_a_subject_with_one_class_has_no_specificity():
    scores = confusion_scores([[3, 1], [0, 0]])
    assert np.isnan(scores["specificity"])
    assert scores["balanced_accuracy"] == pytest.approx(3 / 4)


def test_matrices_are_scored_in_a_stack():
    stack = np.random.default_rng(0).integers(0, 9, (5, 3, 3))
    together = confusion_scores(stack)
    for i, matrix in enumerate(stack):
        for name, value in confusion_scores(matrix).items():
            assert together[name][i] == value


def test_a_subject_without_specificity_is_left_out_of_its_mean():
    scores = pd.DataFrame({"model": "m", **{name: [0.5, 1.0] for name in METRICS}})
    scores.loc[1, "specificity"] = np.nan
    summary = summarize(scores).loc["m"]
    assert summary["sen_spe", "mean"] == 0.5
    assert summary["accuracy", "mean"] == 0.75
    assert format_summary(summarize(scores)).loc["m", "ACC"] == "75.0 ± 35.4"


def make_predictions(n=60, n_classes=3, random_state=0):
    rng = np.random.default_rng(random_state)
    classes = ["calm", "happy", "tense"][:n_classes]
    probabilities = rng.dirichlet(np.ones(n_classes), n)
    table = pd.DataFrame(probabilities, columns=[f"probability {name}" for name in classes])
    table["y_true"] = rng.choice(classes, n)
    table["y_pred"] = np.array(classes)[probabilities.argmax(axis=1)]
    table["subject"] = np.repeat(["a", "b", "c"], n // 3)
    return table, classes


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_brier_score_is_scikit_learns_between_0_and_1(n_classes):
    table, classes = make_predictions(n_classes=n_classes)
    expected = brier_score_loss(
        table["y_true"],
        table[[f"probability {name}" for name in classes]].to_numpy(),
        labels=classes,
        scale_by_half=True,
    )
    assert squared_errors(table).mean() == pytest.approx(expected)
    scores = score_predictions(table, ["subject"]).set_index("subject")["brier"]
    own = squared_errors(table)[20:40].mean()
    assert scores["b"] == pytest.approx(own)


def test_without_probabilities_there_is_no_brier_score():
    table, _ = make_predictions()
    table = table[["subject", "y_true", "y_pred"]]
    scores = score_predictions(table, ["subject"]).assign(model="m")
    assert scores["brier"].isna().all()
    assert "Brier" not in format_summary(summarize(scores))


TABLE = pd.DataFrame(
    {"ACC": ["90.0 ± 5.0", "–"], "a_b": ["1 %", "<2"]}, index=pd.Index(["S|M", "R&D"], name="model")
)


def test_a_table_in_markdown_escapes_what_would_split_a_cell():
    assert format_table(TABLE, "markdown").splitlines() == [
        "| model | ACC | a_b |",
        "| --- | ---: | ---: |",
        r"| S\|M | 90.0 ± 5.0 | 1 % |",
        "| R&D | – | <2 |",
    ]


def test_a_table_in_latex_has_rules_and_escapes():
    lines = format_table(TABLE, "latex").splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert lines[2] == r"model & ACC & a\_b \\"
    assert lines[4] == r"S\textbar{}M & 90.0 $\pm$ 5.0 & 1 \% \\"
    assert lines[5] == r"R\&D & -- & $<$2 \\"
    assert [lines[i] for i in (1, 3, 6, 7)] == [
        *(r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}")
    ]


def test_an_unknown_form_of_table_is_named():
    with pytest.raises(ValueError, match='"text", "markdown" or "latex", got \'html\''):
        format_table(TABLE, "html")


@pytest.mark.parametrize(
    ("heading", "hint"),
    [
        ("ROC AUC", "Did you mean 'roc_auc'?"),
        ("balanced accuracy", "Did you mean 'balanced_accuracy'?"),
        ("PPR", "Did you mean 'precision'?"),
        ("brier score", "Did you mean 'brier'?"),
        ("SEN & SPE", "the mean of two, 'sensitivity' and 'specificity': choose one of them."),
    ],
)
def test_the_heading_of_a_column_leads_to_the_name_of_its_metric(heading, hint):
    with pytest.raises(ValueError, match=f"Unknown metric '{heading}'") as raised:
        check_metric(heading)
    assert str(raised.value).endswith(hint)


def test_a_metric_of_numbers_is_not_suggested_for_classes():
    with pytest.raises(ValueError, match=r"Unknown metric 'RMSE'; .*, 'brier'\.$"):
        check_metric("RMSE")
