"""Controls, repetitions, leaks and gaps of a comparison."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from comparing import MODELS, Wary, lay_out, make_features
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from skemo import compare, leakage_gap, make_dummy, make_lda, make_random_forest, make_svm


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
    with pytest.raises(ValueError, match="'majority', 'permuted' for classification, got 'chance'"):
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
        {"LDA": make_lda("passthrough")},
        X,
        y,
        subjects,
        protocol="group-k-fold",
        n_splits=3,
        n_repeats=2,
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


def test_the_gap_over_repetitions_is_the_mean_of_each():
    X, y, subjects = make_features(effect=1.0)
    arguments = {"SVM": make_svm("passthrough")}, X, y, subjects
    options = {"protocol": "group-k-fold", "n_splits": 3}
    twice = leakage_gap(*arguments, **options, n_repeats=2)
    once = [leakage_gap(*arguments, **options, random_state=seed) for seed in (0, 1)]
    np.testing.assert_allclose(twice.iloc[:, :3], (once[0] + once[1]).iloc[:, :3] / 2)
    assert not np.allclose(once[0]["gap"], once[1]["gap"])


def test_what_the_gap_cannot_be_measured_with_is_told_before_anything_is_fitted(monkeypatch):
    X, y, subjects = make_features()
    monkeypatch.setattr("skemo.evaluation.compare.compare", None)  # not to be called
    arguments = {"SVM": make_svm("passthrough")}, X, y, subjects
    with pytest.raises(ValueError, match="Unknown metric 'acc'"):
        leakage_gap(*arguments, metric="acc")
    with pytest.raises(ValueError, match="n_splits=100 needs as many windows"):
        leakage_gap(*arguments, n_splits=100)
    with pytest.raises(ValueError, match="y is the text 'label': pass the values of each window"):
        leakage_gap(arguments[0], arguments[1], "label", arguments[3])
    with pytest.raises(ValueError, match="Unknown protocol 'k-fold'"):
        leakage_gap(*arguments, optimistic="k-fold")


def test_a_model_without_probabilities_has_no_gap_of_its_brier_score():
    X, y, subjects = make_features()
    models = {"SVM": make_svm("passthrough"), "LDA": make_lda("passthrough")}
    gap = leakage_gap(models, X, y, subjects, metric="brier")
    assert gap.loc["SVM"].isna().all()
    assert gap.loc["LDA"].notna().all()


@pytest.mark.parametrize("seed", range(8))
def test_permuted_labels_are_never_those_that_were(seed):
    subjects, trials = np.repeat(["a", "b"], 16), np.tile(np.repeat(np.arange(4), 4), 2)
    y = np.where(trials % 2, "calm", "stress")
    groups = pd.DataFrame({"subject": subjects, "trial": trials})
    X = np.random.default_rng(seed).normal(size=(32, 2))
    options = {"protocol": "group-k-fold", "n_splits": 2, "random_state": seed}
    result = compare(
        {"LDA": make_lda("passthrough")}, X, y, groups, controls=["permuted"], **options
    )
    own = result.predictions["model"] == "LDA, labels permuted"
    rows = result.predictions.loc[own].set_index("row")["y_true"].sort_index()
    assert (rows.to_numpy() != y).any()
