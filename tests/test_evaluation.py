"""Protocols, metrics and the comparison of models."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    multilabel_confusion_matrix,
    precision_score,
    recall_score,
)
from sklearn.model_selection import (
    LeaveOneGroupOut,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skemo import compare, make_dummy, make_lda, make_svm
from skemo.evaluation import METRICS, confusion_scores, format_summary, summarize
from skemo.model_selection import PROTOCOLS, protocol_folds, protocol_splitter

MODELS = {"SVM": make_svm("passthrough"), "majority": make_dummy("passthrough")}


def make_features(n_subjects=6, n_rows=20, effect=3.0, level=0.0, random_state=0):
    """Features that say the class by `effect`, and the subject by `level`."""
    rng = np.random.default_rng(random_state)
    y = np.tile(["calm", "stress"], n_subjects * n_rows // 2)
    subjects = np.repeat([f"s{i}" for i in range(n_subjects)], n_rows)
    X = rng.normal(size=(len(y), 3)) + effect * (y == "stress")[:, None]
    X += np.repeat(level * rng.normal(size=(n_subjects, 3)), n_rows, axis=0)
    return X, y, subjects


# Protocols


def test_names_stand_for_scikit_learn_splitters():
    assert isinstance(protocol_splitter("leave-one-subject-out"), LeaveOneGroupOut)
    grouped = protocol_splitter("group-k-fold", n_splits=4, random_state=3)
    assert isinstance(grouped, StratifiedGroupKFold)
    segments = protocol_splitter("segment-k-fold", n_splits=4)
    assert isinstance(segments, StratifiedKFold)
    assert (grouped.n_splits, grouped.shuffle, grouped.random_state) == (4, True, 3)
    assert [name for name in PROTOCOLS if PROTOCOLS[name].optimistic] == ["segment-k-fold"]
    assert all(protocol_splitter(name) is not None for name in PROTOCOLS)


def test_an_unknown_protocol_lists_the_known_ones():
    with pytest.raises(ValueError, match="'loso'; there are 'leave-one-subject-out', 'group-k"):
        protocol_splitter("loso")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_folds_test_every_row_once(name):
    _, y, subjects = make_features()
    folds = protocol_folds(name, y, subjects, n_splits=3)
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == list(range(len(y)))
    apart = all(not set(subjects[train]) & set(subjects[test]) for train, test in folds)
    assert apart is not PROTOCOLS[name].optimistic


def test_too_few_subjects_or_windows_are_named():
    _, y, subjects = make_features(n_subjects=4)
    with pytest.raises(ValueError, match="at least 2 subjects, got 1"):
        protocol_folds("leave-one-subject-out", y[:20], subjects[:20])
    with pytest.raises(ValueError, match="needs as many subjects, got 4: take n_splits=4 or fewer"):
        protocol_folds("group-k-fold", y, subjects)
    y[:-3] = "calm"
    y[-3:] = "stress"
    with pytest.raises(ValueError, match="stress has 3"):
        protocol_folds("segment-k-fold", y, subjects)
    with pytest.raises(ValueError, match="no windows"):
        protocol_folds("segment-k-fold", [], [])


# Metrics


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
    assert scores.keys() == expected.keys() == set(METRICS)
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


# compare


def test_a_planted_effect_is_found_and_the_majority_is_at_chance():
    result = compare(MODELS, *make_features())
    mean = result.summary().xs("mean", axis=1, level=1)
    assert (mean.loc["SVM"] > 0.95).all()
    assert mean.loc["majority", "balanced_accuracy"] == 0.5
    assert mean.index.tolist() == ["SVM", "majority"]


def test_shuffled_labels_fall_to_chance():
    X, y, subjects = make_features(n_subjects=10, n_rows=40)
    y = np.random.default_rng(5).permutation(y)
    result = compare({"SVM": make_svm("passthrough")}, X, y, subjects)
    assert abs(result.summary().loc["SVM", ("balanced_accuracy", "mean")] - 0.5) < 0.08


def test_testing_on_known_subjects_is_flagged_and_looks_better():
    X, _, subjects = make_features(n_subjects=12, effect=0, level=5.0)
    y = np.where(np.repeat(np.random.default_rng(0).permutation(12) % 2, 20), "a", "b")
    honest, optimistic = (
        compare({"SVM": make_svm("passthrough")}, X, y, subjects, protocol=name)
        for name in ("leave-one-subject-out", "segment-k-fold")
    )
    assert optimistic.optimistic
    assert not honest.optimistic
    gap = optimistic.summary()["accuracy", "mean"] - honest.summary()["accuracy", "mean"]
    assert gap["SVM"] > 0.3


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_predictions_hold_every_window_once_and_are_the_models_own(protocol):
    X, y, subjects = make_features()
    result = compare(MODELS, X, y, subjects, protocol=protocol, n_splits=3, random_state=1)
    table = result.predictions
    assert table.columns.tolist() == ["model", "fold", "row", "subject", "y_true", "y_pred"]
    folds = protocol_folds(protocol, y, subjects, n_splits=3, random_state=1)
    for name, model in MODELS.items():
        own = table[table["model"] == name]
        assert sorted(own["row"]) == list(range(len(y)))
        assert (own["y_true"] == y[own["row"]]).all()
        assert (own["subject"] == subjects[own["row"]]).all()
        for fold, (train, test) in enumerate(folds):
            expected = model.fit(X[train], y[train]).predict(X[test])
            assert own.loc[own["fold"] == fold, "y_pred"].tolist() == expected.tolist()


def test_scores_have_a_row_per_model_fold_and_subject():
    X, y, subjects = make_features()
    result = compare(MODELS, X, y, subjects, protocol="segment-k-fold", n_splits=5)
    scores = result.scores
    assert scores.columns.tolist() == [
        *("model", "fold", "subject"),
        *METRICS,
        *("n_windows", "fit_time", "predict_time"),
    ]
    assert not scores.duplicated(["model", "fold", "subject"]).any()
    assert scores.groupby("model")["n_windows"].sum().tolist() == [len(y)] * 2
    row = scores.iloc[3]
    keys = ["model", "fold", "subject"]
    own = result.predictions[(result.predictions[keys] == row[keys]).all(axis=1)]
    assert row["accuracy"] == accuracy_score(own["y_true"], own["y_pred"])
    assert (scores[["fit_time", "predict_time"]] > 0).all(axis=None)
    assert (scores.groupby(["model", "fold"])["fit_time"].nunique() == 1).all()


def test_scores_equal_cross_validate():
    X, y, subjects = make_features(effect=0.7)
    result = compare({"LDA": make_lda("passthrough")}, X, y, subjects)
    expected = cross_validate(
        make_lda("passthrough"),
        X,
        y,
        groups=subjects,
        cv=LeaveOneGroupOut(),
        scoring=["accuracy", "balanced_accuracy", "f1_macro"],
    )
    for ours, theirs in (("accuracy",) * 2, ("balanced_accuracy",) * 2, ("macro_f1", "f1_macro")):
        np.testing.assert_allclose(result.scores[ours], expected[f"test_{theirs}"])


def test_a_subject_counts_once_whatever_the_number_of_windows():
    X, y, subjects = make_features(effect=0.5, n_subjects=5)
    subjects[:10] = "s1"  # 10, 30, 20, 20 and 20 windows
    result = compare({"LDA": make_lda("passthrough")}, X, y, subjects, "segment-k-fold", n_splits=4)
    own = result.predictions
    per_subject = [accuracy_score(o["y_true"], o["y_pred"]) for _, o in own.groupby("subject")]
    summary = result.summary().loc["LDA", "accuracy"]
    assert summary["mean"] == pytest.approx(np.mean(per_subject))
    assert summary["std"] == pytest.approx(np.std(per_subject, ddof=1))


def test_the_table_has_the_papers_columns_in_per_cent():
    result = compare(MODELS, *make_features(effect=0.8))
    table = result.table()
    assert table.columns.tolist() == ["ACC", "SEN & SPE", "PPR", "balanced accuracy", "macro F1"]
    # The mean of sensitivity and specificity is the balanced accuracy for two classes.
    assert table["SEN & SPE"].tolist() == table["balanced accuracy"].tolist()
    assert table.loc["majority"].tolist() == [
        *("50.0 ± 0.0", "50.0 ± 0.0", "25.0 ± 0.0", "50.0 ± 0.0", "33.3 ± 0.0")
    ]
    assert "by leave-one-subject-out" in repr(result)


def test_a_subject_without_specificity_is_left_out_of_its_mean():
    scores = pd.DataFrame({"model": "m", **{name: [0.5, 1.0] for name in METRICS}})
    scores.loc[1, "specificity"] = np.nan
    summary = summarize(scores).loc["m"]
    assert summary["sen_spe", "mean"] == 0.5
    assert summary["accuracy", "mean"] == 0.75
    assert format_summary(summarize(scores)).loc["m", "ACC"] == "75.0 ± 35.4"


def test_two_processes_give_the_same_as_one():
    data = make_features(effect=0.7)
    one, two = (compare(MODELS, *data, n_jobs=n) for n in (1, 2))
    pd.testing.assert_frame_equal(one.predictions, two.predictions)
    times = ["fit_time", "predict_time"]
    pd.testing.assert_frame_equal(one.scores.drop(columns=times), two.scores.drop(columns=times))


def test_progress_is_drawn_on_standard_error(capsys):
    compare(MODELS, *make_features(), progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "12/12" in captured.err


@pytest.mark.parametrize("values", [(-1, 1), ("ja", "nein"), (10.0, 20.0), (False, True)])
def test_labels_may_be_of_any_kind(values):
    X, y, subjects = make_features()
    y = np.where(y == "stress", values[1], values[0])
    result = compare(MODELS, X, pd.Series(y), pd.Series(subjects))
    assert result.summary().loc["SVM", ("accuracy", "mean")] > 0.95
    assert set(result.predictions["y_pred"]) == set(values)


def test_a_class_may_be_missing_from_training():
    X, y, subjects = make_features(n_subjects=3)
    y[subjects == "s0"] = np.repeat(["calm", "unique"], 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = compare(MODELS, X, y, subjects).scores.set_index(["model", "subject"])
    assert scores.loc[("majority", "s0"), "accuracy"] == 0.5
    assert scores.loc[("SVM", "s0"), "n_windows"] == 20
    assert set(y) == {"calm", "stress", "unique"}


def test_data_frames_keep_their_columns():
    X, y, subjects = make_features()
    X = pd.DataFrame(X, columns=list("abc"), index=np.arange(len(y))[::-1])
    scaled = make_pipeline(StandardScaler().set_output(transform="pandas"), LogisticRegression())
    result = compare({"logistic": scaled}, X, pd.Series(y), pd.Series(subjects))
    assert result.summary().loc["logistic", ("accuracy", "mean")] > 0.95
    assert not hasattr(scaled[-1], "coef_")


class Recorder(ClassifierMixin, BaseEstimator):
    """Predicts whether the groups that `fit` got are those of its rows."""

    def __init__(self, early_stopping=True):
        self.early_stopping = early_stopping

    def fit(self, X, y, groups=None):
        same = groups is not None and np.array_equal(groups, [f"s{int(x)}" for x in X[:, 0]])
        self.answer_ = "stress" if same else "calm"
        return self

    def predict(self, X):
        return np.full(len(X), self.answer_)


@pytest.mark.parametrize("wrap", [lambda model: model, lambda m: make_pipeline("passthrough", m)])
@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("routing", [True, False])
def test_early_stopping_gets_the_subjects_of_the_training_rows(wrap, early_stopping, routing):
    _, y, subjects = make_features()
    X = np.array([[float(subject[1:])] for subject in subjects])
    with config_context(enable_metadata_routing=routing):
        result = compare({"recorder": wrap(Recorder(early_stopping))}, X, y, subjects)
    assert set(result.predictions["y_pred"]) == {"stress" if early_stopping else "calm"}


class Failing(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        raise ArithmeticError("no luck")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_model_that_fails_is_named_with_its_fold(n_jobs):
    models = {"majority": MODELS["majority"], "bad": Failing()}
    with pytest.raises(
        RuntimeError, match=r"model 'bad' failed in fold \d: ArithmeticError: no luck"
    ):
        compare(models, *make_features(n_subjects=2), n_jobs=n_jobs)


def refuse_negative(X):
    if X.min() < 0:
        raise ArithmeticError("no luck either")
    return X


def test_a_transformer_that_fails_is_named_with_model_and_fold():
    X, y, subjects = make_features(n_subjects=3)
    X = np.abs(X)
    models = {
        "fine": make_dummy("passthrough"),
        "bad": make_lda(FunctionTransformer(refuse_negative)),
    }
    compare(models, X, y, subjects)
    X[0] = -1
    with pytest.raises(RuntimeError, match=r"model 'bad' failed in fold \d: .*no luck either"):
        compare(models, X, y, subjects)


def test_unusable_input_is_named():
    X, y, subjects = make_features()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare(MODELS, X, y[:-1], subjects)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare(MODELS, X, y, subjects[:-1])
    with pytest.raises(ValueError, match=r"y is missing \(NaN\) in 1 row"):
        compare(MODELS, X, np.where(np.arange(len(y)) == 3, None, y), subjects)
    with pytest.raises(ValueError, match="groups is missing"):
        compare(MODELS, X, y, np.full(len(y), np.nan))
    with pytest.raises(ValueError, match="models must be a dict"):
        compare(MODELS["SVM"], X, y, subjects)
    with pytest.raises(ValueError, match="Unknown protocol"):
        compare(MODELS, X, y, subjects, protocol="k-fold")
    with pytest.raises(ValueError, match="continuous"):
        compare(MODELS, X, X[:, 0], subjects)


def test_an_optimistic_protocol_is_marked_wherever_it_is_shown():
    y = np.tile(["rest", "stress"], 30)
    X = np.random.default_rng(0).normal(size=(60, 2))
    models = {"majority": make_dummy("passthrough")}
    subjects = np.repeat(["a", "b", "c"], 20)
    honest = compare(models, X, y, subjects)
    shuffled = compare(models, X, y, subjects, protocol="segment-k-fold")
    assert "segment-k-fold (optimistic)" in repr(shuffled)
    assert shuffled.table().columns.name == "segment-k-fold (optimistic)"
    assert "optimistic" not in repr(honest)
    assert all(column in repr(honest) for column in honest.table())
