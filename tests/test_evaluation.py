"""Protocols, metrics and the comparison of models."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
)
from sklearn.model_selection import (
    LeaveOneGroupOut,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skemo import compare, leakage_gap, make_dummy, make_lda, make_random_forest, make_svm
from skemo.model_selection import PROTOCOLS, protocol_folds
from skemo.scores import METRICS

MODELS = {"SVM": make_svm("passthrough"), "majority": make_dummy("passthrough")}


def make_features(n_subjects=6, n_rows=20, effect=3.0, level=0.0, random_state=0):
    """Features that say the class by `effect`, and the subject by `level`."""
    rng = np.random.default_rng(random_state)
    y = np.tile(["calm", "stress"], n_subjects * n_rows // 2)
    subjects = np.repeat([f"s{i}" for i in range(n_subjects)], n_rows)
    X = rng.normal(size=(len(y), 3)) + effect * (y == "stress")[:, None]
    X += np.repeat(level * rng.normal(size=(n_subjects, 3)), n_rows, axis=0)
    return X, y, subjects


def test_a_planted_effect_is_found_and_the_majority_is_at_chance():
    result = compare(MODELS, *make_features())
    mean = result.summary().xs("mean", axis=1, level=1)
    assert (mean.loc["SVM"].drop("brier") > 0.95).all()
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


def lay_out(subjects, length=10):
    """A table of windows end to end, in trials of `length` windows."""
    place = np.arange(len(subjects))
    start = 10.0 * (place % length)
    columns = {"subject": subjects, "trial": place // length, "start": start, "stop": start + 10}
    return pd.DataFrame(columns)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_predictions_hold_every_window_once_and_are_the_models_own(protocol):
    X, y, subjects = make_features()
    groups = lay_out(subjects)
    models = {"LDA": make_lda("passthrough"), "SVM": make_svm("passthrough")}
    result = compare(models, X, y, groups, protocol=protocol, n_splits=3, random_state=1)
    table = result.predictions
    assert table.columns.tolist() == [
        *("model", "repeat", "fold", "row", "subject", "y_true", "y_pred"),
        *("probability calm", "probability stress"),
    ]
    folds = protocol_folds(protocol, y, groups, n_splits=3, random_state=1)
    for name, model in models.items():
        own = table[table["model"] == name]
        assert sorted(own["row"]) == list(range(len(y)))
        assert (own["y_true"] == y[own["row"]]).all()
        assert (own["subject"] == subjects[own["row"]]).all()
        for fold, (train, test) in enumerate(folds):
            fitted, here = model.fit(X[train], y[train]), own[own["fold"] == fold]
            assert here["y_pred"].tolist() == fitted.predict(X[test]).tolist()
            probabilities = here[["probability calm", "probability stress"]].to_numpy()
            if name == "LDA":
                np.testing.assert_array_equal(probabilities, fitted.predict_proba(X[test]))
            else:
                assert np.isnan(probabilities).all()


def test_scores_have_a_row_per_model_fold_and_subject():
    X, y, subjects = make_features()
    result = compare(MODELS, X, y, subjects, protocol="segment-k-fold", n_splits=5)
    scores = result.scores
    assert scores.columns.tolist() == [
        *("model", "repeat", "fold", "subject"),
        *METRICS,
        *("n_windows", "n_train", "fit_time", "predict_time"),
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
    titles = ["ACC", "SEN & SPE", "PPR", "balanced accuracy", "macro F1", "Brier"]
    assert table.columns.tolist() == titles
    # The mean of sensitivity and specificity is the balanced accuracy for two classes.
    assert table["SEN & SPE"].tolist() == table["balanced accuracy"].tolist()
    assert table.loc["majority"].tolist() == [
        *("50.0 ± 0.0", "50.0 ± 0.0", "25.0 ± 0.0", "50.0 ± 0.0", "33.3 ± 0.0", "50.0 ± 0.0")
    ]
    assert table.loc["SVM", "Brier"] == "–"
    assert result.table("text") in repr(result)
    assert result.table("markdown").startswith("| model | ACC |")
    assert "by leave-one-subject-out" in repr(result)


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
def test_a_model_that_fails_is_recorded_and_the_others_go_on(n_jobs):
    models = {"bad": Failing(), "majority": MODELS["majority"]}
    with pytest.warns(UserWarning, match="'bad' failed in 2 of 2 fits, first: ArithmeticError: no"):
        result = compare(models, *make_features(n_subjects=2), n_jobs=n_jobs)
    failures = result.failures
    assert failures[["model", "repeat", "fold"]].values.tolist() == [["bad", 0, 0], ["bad", 0, 1]]
    assert (failures["error"] == "ArithmeticError: no luck").all()
    assert "in fit\n    raise ArithmeticError" in failures["traceback"][0]
    assert set(result.predictions["model"]) == {"majority"}
    table = result.table()
    assert table.loc["bad"].tolist() == ["–"] * 6 + ["2 of 2"]
    assert table.loc["majority", "failed"] == "–"
    assert "failed: 'bad' in 2 of 2 fits; ArithmeticError: no luck" in repr(result)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_failure_may_end_it_all(n_jobs):
    models = {"majority": MODELS["majority"], "bad": Failing()}
    with pytest.raises(
        RuntimeError, match=r"model 'bad' failed in fold \d: ArithmeticError: no luck"
    ):
        compare(models, *make_features(n_subjects=2), n_jobs=n_jobs, on_error="raise")


def test_nothing_but_failures_is_an_error():
    with pytest.raises(RuntimeError, match=r"Every fit failed[\s\S]*no luck"):
        compare({"bad": Failing()}, *make_features(n_subjects=2))


def refuse_negative(X):
    if X.min() < 0:
        raise ArithmeticError("no luck either")
    return X


def test_a_transformer_that_fails_in_some_folds_leaves_the_other_folds():
    X, y, subjects = make_features(n_subjects=3)
    X = np.abs(X)
    X[0] = -1  # of the first subject, who is in each training set but the first
    models = {
        "fine": make_dummy("passthrough"),
        "bad": make_lda(StatefulRefusal()),
    }
    with pytest.warns(UserWarning, match="'bad' failed in 2 of 3 fits"):
        result = compare(models, X, y, subjects)
    assert result.failures["fold"].tolist() == [1, 2]
    assert result.subject_scores().query("model == 'bad'")["subject"].tolist() == ["s0"]
    assert result.table()["failed"].tolist() == ["–", "2 of 3"]


class StatefulRefusal(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        refuse_negative(X)
        return self

    def transform(self, X):
        return X


class Wary(ClassifierMixin, BaseEstimator):
    """Warns in each fit, and predicts the first label."""

    def fit(self, X, y):
        warnings.warn("it does not look good", RuntimeWarning, stacklevel=2)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_warnings_are_recorded_and_said_once():
    models = {"majority": MODELS["majority"], "wary": Wary()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = compare(models, *make_features(n_subjects=3))
    expected = "'wary', in 3 of 3 fits: it does not look good (RuntimeWarning)"
    assert [str(each.message) for each in caught] == [expected]
    assert result.warnings["fold"].tolist() == [0, 1, 2]
    assert set(result.warnings["message"]) == {"it does not look good"}


# Controls and repetitions


def test_controls_stand_in_the_same_table():
    X, y, subjects = make_features(n_subjects=10, effect=2.0)
    models = {"SVM": make_svm("passthrough")}
    result = compare(models, X, y, subjects, controls=("majority", "permuted"))
    assert result.models == ["SVM", "SVM, labels permuted", "majority class"]
    mean = result.summary()["balanced_accuracy", "mean"]
    assert mean["SVM"] > 0.9
    assert abs(mean["SVM, labels permuted"] - 0.5) < 0.15
    assert mean["majority class"] == 0.5
    own = result.predictions.groupby("model")["y_true"]
    shuffled = own.get_group("SVM, labels permuted").to_numpy()
    assert 0.3 < (shuffled == own.get_group("SVM").to_numpy()).mean() < 0.7
    with pytest.raises(ValueError, match="'majority', 'permuted', got 'chance'"):
        compare(models, X, y, subjects, controls=["chance"])
    with pytest.raises(ValueError, match="name of a model: 'majority class'"):
        compare({"majority class": MODELS["SVM"]}, X, y, subjects, controls="majority")


@pytest.mark.parametrize(("length", "whole"), [(5, True), (10, False)])
def test_whole_trials_are_permuted_where_there_are_several_of_each_label(length, whole):
    X, y, subjects = make_features(n_subjects=4)
    order = np.lexsort([y, subjects])
    groups = lay_out(subjects, length=length)
    result = compare(
        {"LDA": make_lda("passthrough")}, X[order], y[order], groups, controls=["permuted"]
    )
    own = result.predictions.query("model == 'LDA, labels permuted'")
    labels = own.set_index("row")["y_true"].sort_index().to_numpy().reshape(-1, length)
    assert (labels == labels[:, :1]).all() == whole
    assert (labels.ravel() != y[order]).any()


def test_labels_that_cannot_be_permuted_are_an_error():
    X, _, subjects = make_features(n_subjects=4)
    y = np.where(np.isin(subjects, ["s0", "s1"]), "calm", "stress")
    with pytest.raises(ValueError, match="every subject has one label"):
        compare(MODELS, X, y, subjects, controls="permuted")


class Overconfident(LogisticRegression):
    def predict_proba(self, X):
        return 2 * super().predict_proba(X)


def test_probabilities_that_are_none_are_a_failure():
    models = {"majority": MODELS["majority"], "loud": Overconfident()}
    with pytest.warns(UserWarning, match="no probabilities: sums of 2 to 2"):
        result = compare(models, *make_features(n_subjects=2))
    assert result.failures["model"].tolist() == ["loud"] * 2


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_other_backends_give_the_same(backend):
    data = make_features(n_subjects=3)
    expected = compare(MODELS, *data)
    with joblib.parallel_config(backend, n_jobs=2):
        result = compare(MODELS, *data)
    pd.testing.assert_frame_equal(result.predictions, expected.predictions)


def test_threads_leave_the_warnings_of_the_process_alone():
    data, shown = make_features(n_subjects=3), warnings.showwarning
    with joblib.parallel_config("threading", n_jobs=2), warnings.catch_warnings(record=True) as own:
        warnings.simplefilter("always")
        result = compare({"wary": Wary()}, *data)
    assert len(own) == 3
    assert result.warnings.empty  # those of threads cannot be told apart
    assert warnings.showwarning is shown


def test_repetitions_have_other_folds_and_other_seeds():
    X, y, subjects = make_features(effect=0.3)
    forest = make_random_forest("passthrough", n_estimators=5, random_state=3)
    settings = {"protocol": "group-k-fold", "n_splits": 3}
    result = compare({"RF": forest}, X, y, subjects, n_repeats=2, random_state=7, **settings)
    again = clone(forest).set_params(classifier__random_state=4)
    second = compare({"RF": again}, X, y, subjects, random_state=8, **settings)
    own = result.predictions[result.predictions["repeat"] == 1]
    for name in ("fold", "row", "y_pred", "probability calm"):
        assert own[name].tolist() == second.predictions[name].tolist()
    first = compare({"RF": forest}, X, y, subjects, random_state=7, **settings)
    means = [each.subject_scores().set_index("subject")["brier"] for each in (first, second)]
    ours = result.subject_scores().set_index("subject")["brier"]
    np.testing.assert_allclose(ours, ((means[0] + means[1]) / 2)[ours.index])
    assert forest.get_params()["classifier__random_state"] == 3


def test_fold_scores_pool_the_windows_of_a_fold():
    X, y, subjects = make_features(effect=0.5)
    result = compare(
        {"LDA": make_lda("passthrough")}, X, y, subjects, "group-k-fold", n_splits=3, n_repeats=2
    )
    folds = result.fold_scores()
    assert folds[["repeat", "fold"]].values.tolist() == [[r, f] for r in (0, 1) for f in range(3)]
    assert (folds["n_windows"] + folds["n_train"] == len(y)).all()
    own = result.predictions.query("repeat == 1 and fold == 2")
    assert folds["accuracy"].iloc[5] == accuracy_score(own["y_true"], own["y_pred"])


def test_what_stands_on_both_sides_is_said():
    X, y, subjects = make_features()
    X[20:40] = X[:20]  # the second subject's windows are copies of the first's
    with pytest.warns(UserWarning, match="same rows in training and test"):
        result = compare(MODELS, X, y, subjects)
    assert set(result.leakage["kind"]) == {"duplicate"}


def test_blocks_of_trials_that_have_one_label_are_warned_of():
    X, y, subjects = make_features()
    order = np.lexsort([y, subjects])
    arguments = MODELS, X[order], y[order], lay_out(subjects)
    with pytest.warns(UserWarning, match="To know the trial is to know the label"):
        compare(*arguments, protocol="blocked-k-fold", n_splits=3)


def test_the_gap_is_measured_subject_by_subject():
    X, _, subjects = make_features(n_subjects=12, effect=0, level=5.0)
    y = np.where(np.repeat(np.random.default_rng(0).permutation(12) % 2, 20), "a", "b")
    models = {"SVM": make_svm("passthrough"), "majority": make_dummy("passthrough")}
    gap = leakage_gap(models, X, y, subjects, metric="accuracy")
    assert gap.columns.tolist() == [
        *("leave-one-subject-out", "segment-k-fold (optimistic)", "gap", "low", "high")
    ]
    assert gap.loc["SVM", "low"] > 0.1
    np.testing.assert_allclose(gap["gap"], gap.iloc[:, 1] - gap.iloc[:, 0])
    assert gap.loc["SVM", "low"] <= gap.loc["SVM", "gap"] <= gap.loc["SVM", "high"]


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
    with pytest.raises(ValueError, match="n_repeats must be a positive whole number, got 0"):
        compare(MODELS, X, y, subjects, n_repeats=0)
    with pytest.raises(ValueError, match='on_error must be "record" or "raise"'):
        compare(MODELS, X, y, subjects, on_error="skip")
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
