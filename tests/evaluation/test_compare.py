"""Protocols, metrics and the comparison of models."""

import warnings

import numpy as np
import pandas as pd
import pytest
from comparing import MODELS, Wary, lay_out, make_features
from networks import NETWORKS, QUICK, windows
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import LeaveOneGroupOut, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skemo import compare, make_dummy, make_lda, make_svm
from skemo.evaluation.protocols import PROTOCOLS, protocol_folds
from skemo.evaluation.scores import METRICS


def test_a_planted_effect_is_found_and_the_majority_is_at_chance():
    result = compare(MODELS, *make_features())
    mean = result.summary().xs("mean", axis=1, level=1)
    assert (mean.loc["SVM"].drop(["brier", "roc_auc"]) > 0.95).all()
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


def test_the_table_has_the_mean_that_cross_validate_gives():
    X, y, subjects = windows()
    kind, small = NETWORKS["cross-modal"]
    settings = {**QUICK, **small, "max_epochs": 2, "device": "cpu", "random_state": 0}
    result = compare({"network": kind(**settings)}, X, y, subjects, together=False)
    scores = cross_validate(
        kind(**settings),
        X,
        y,
        groups=subjects,
        cv=LeaveOneGroupOut(),
        scoring="balanced_accuracy",
    )
    mean = result.summary().loc["network", ("balanced_accuracy", "mean")]
    assert 0.5 < mean < 1
    assert mean == pytest.approx(scores["test_score"].mean(), abs=1e-12)


def test_a_printed_comparison_has_all_columns_within_80_characters():
    models = {"a model with a name of 36 characters": make_lda("passthrough")}
    result = compare(models, *make_features(effect=0.8), controls=["majority"])
    notes = result.notes()
    title, *lines = repr(result).splitlines()[: -len(notes)]
    assert title == "<Comparison by leave-one-subject-out>"
    assert max(map(len, lines)) <= 80
    shown = " ".join(lines)
    for heading, column in result.table().items():
        assert all(f" {text} " in shown for text in (heading, *column))


def test_a_subject_counts_once_whatever_the_number_of_windows():
    X, y, subjects = make_features(effect=0.5, n_subjects=5)
    subjects[:10] = "s1"  # 10, 30, 20, 20 and 20 windows
    result = compare(
        {"LDA": make_lda("passthrough")}, X, y, subjects, protocol="segment-k-fold", n_splits=4
    )
    own = result.predictions
    per_subject = [accuracy_score(o["y_true"], o["y_pred"]) for _, o in own.groupby("subject")]
    summary = result.summary().loc["LDA", "accuracy"]
    assert summary["mean"] == pytest.approx(np.mean(per_subject))
    assert summary["std"] == pytest.approx(np.std(per_subject, ddof=1))


def test_the_table_has_the_papers_columns_in_per_cent():
    result = compare(MODELS, *make_features(effect=0.8))
    table = result.table()
    titles = ["ACC", "SEN & SPE", "PPR", "balanced accuracy", "macro F1", "ROC AUC", "Brier"]
    assert table.columns.tolist() == titles
    # The mean of sensitivity and specificity is the balanced accuracy for two classes.
    assert table["SEN & SPE"].tolist() == table["balanced accuracy"].tolist()
    assert table.loc["majority"].tolist() == [
        *("50.0 ± 0.0", "50.0 ± 0.0", "25.0 ± 0.0", "50.0 ± 0.0", "33.3 ± 0.0"),
        *("50.0 ± 0.0", "50.0 ± 0.0"),
    ]
    assert table.loc["SVM", "Brier"] == "–"
    assert result.table("markdown").startswith("| leave-one-subject-out | ACC |")
    assert "by leave-one-subject-out" in repr(result)
    assert result.table().to_html() in result._repr_html_()


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


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "string", "category", object])
def test_nullable_types_are_read_as_those_of_numpy(dtype):
    X, y, subjects = make_features(effect=0.7)
    codes = pd.Series((y == "stress").astype(int))
    labels = codes.map({0: "no", 1: "yes"}) if dtype in ("string", "category") else codes
    plain = labels.astype(bool) if dtype == "boolean" else labels
    found = compare(MODELS, X, labels.astype(dtype), subjects).predictions
    expected = compare(MODELS, X, plain, subjects).predictions
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert list(found) == list(expected)


@pytest.mark.parametrize("dtype", ["Int64", "boolean", object])
def test_a_missing_label_of_any_type_is_an_error_with_a_remedy(dtype):
    X, y, subjects = make_features()
    labels = pd.Series((y == "stress").astype(int)).astype(dtype)
    labels[[3, 5]] = pd.NA
    with pytest.raises(ValueError, match=r"missing \(NaN\) in 2 row\(s\): drop these rows of X, y"):
        compare(MODELS, X, labels, subjects)


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
    assert table.loc["bad"].tolist() == ["–"] * 7 + ["2 of 2"]
    assert table.loc["majority", "failed"] == "–"
    assert "'bad' failed in 2 of 2 fits: ArithmeticError: no luck" in repr(result)


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


def test_warnings_are_recorded_and_said_once():
    models = {"majority": MODELS["majority"], "wary": Wary()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = compare(models, *make_features(n_subjects=3))
    expected = "'wary', in 3 of 3 fits: it does not look good (RuntimeWarning)"
    assert [str(each.message) for each in caught] == [expected]
    assert result.warnings["fold"].tolist() == [0, 1, 2]
    assert set(result.warnings["message"]) == {"it does not look good"}


class Short(LogisticRegression):
    def predict(self, X):
        return super().predict(X)[1:]


def test_a_prediction_of_the_wrong_length_is_a_failure():
    models = {"majority": MODELS["majority"], "short": Short()}
    with pytest.warns(UserWarning, match=r"shape \(19,\) for 20 rows"):
        compare(models, *make_features(n_subjects=3))


def test_what_has_to_be_said_beside_a_table_is_said():
    X, y, subjects = make_features(n_subjects=8)
    y[subjects == "s3"] = "calm"
    result = compare(MODELS, X, y, subjects)
    assert result.notes() == [
        "SEN & SPE and ROC AUC are means over 7 of 8 subjects; the others have windows of one "
        "class only.",
        "No ROC AUC and Brier score for 'SVM', without probabilities: scikit-learn's "
        "CalibratedClassifierCV gives them to a classifier.",
    ]
    assert result.notes()[0] in repr(result)
    few = compare(MODELS, X[:60], y[:60], subjects[:60])
    assert few.notes()[-1].startswith("With 3 subjects, an interval is hardly narrower")


def test_unusable_input_is_named():
    X, y, subjects = make_features()
    with pytest.raises(ValueError, match="y has one class, calm: a comparison needs"):
        compare(MODELS, X, np.full(len(y), "calm"), subjects)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare(MODELS, X, y[:-1], subjects)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare(MODELS, X, y, subjects[:-1])
    with pytest.raises(ValueError, match=r"y is missing \(NaN\) in 1 row"):
        compare(MODELS, X, np.where(np.arange(len(y)) == 3, None, y), subjects)
    with pytest.raises(ValueError, match="groups must have one subject per window"):
        compare(MODELS, X, y, [("s0", "s1"), *subjects[1:]])
    with pytest.raises(ValueError, match="random_state must be a whole number, a RandomState or"):
        compare(MODELS, X, y, subjects, random_state="0")
    with pytest.raises(ValueError, match=r"random_state must be at least 0 and below 2\*\*32, got"):
        compare(MODELS, X, y, subjects, random_state=-1, protocol="group-k-fold")
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
    with pytest.raises(ValueError, match=r"y contains numbers .* the models are classifiers"):
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


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({1: make_svm("passthrough")}, "A model's name must be text, got 1"),
        (
            {"SVM": type(make_svm("passthrough"))},
            "'SVM' must be a classifier or regressor, such as SVC",
        ),
        ({"SVM": "svm"}, "'SVM' must be a classifier or regressor, .* got 'svm'"),
    ],
)
def test_models_that_are_none_are_named(models, message):
    with pytest.raises(ValueError, match=message):
        compare(models, *make_features())


class Encoded(ClassifierMixin, BaseEstimator):
    """Has classes that are numbers, whatever the labels."""

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, X):
        return np.full(len(X), "calm")

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_probabilities_of_unknown_classes_are_refused():
    with pytest.raises(RuntimeError, match=r"classes_ are \[.*0.*\], and the labels \['calm"):
        compare({"own": Encoded()}, *make_features())
