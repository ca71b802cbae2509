"""Comparisons of regressors, and of several targets at once."""

import re

import numpy as np
import pandas as pd
import pytest
from comparing import MODELS, lay_out, make_features
from networks import windows
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    mean_absolute_error,
    r2_score,
    root_mean_squared_error,
)
from sklearn.model_selection import GridSearchCV, GroupKFold, GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVR

from skemo import (
    ModalityAwareAttentionClassifier,
    ModalityAwareAttentionRegressor,
    compare,
    leakage_gap,
    make_dummy,
    make_random_forest,
    make_ridge,
    make_svm,
)
from skemo.evaluation.nested import split_by_subject
from skemo.evaluation.scores import REGRESSION_METRICS, number_scores

RIDGE = make_ridge("passthrough", task="regression")


def make_numbers(n_subjects=8, n_rows=20, effect=1.0, random_state=0):
    """Make features whose first two columns tell two targets."""
    rng = np.random.default_rng(random_state)
    subjects = np.repeat([f"s{i}" for i in range(n_subjects)], n_rows)
    X = rng.normal(size=(len(subjects), 3))
    return X, 5 + effect * X[:, :2] + rng.normal(size=(len(subjects), 2)), subjects


def test_scores_agree_with_scikit_learn_and_scipy():
    rng = np.random.default_rng(0)
    true = rng.normal(3, 2, size=50)
    predicted = 0.5 * true + rng.normal(size=50)
    scores = number_scores(true, predicted)
    covariance = np.cov(true, predicted, ddof=0)
    shift = true.mean() - predicted.mean()
    expected = {
        "rmse": root_mean_squared_error(true, predicted),
        "mae": mean_absolute_error(true, predicted),
        "r2": r2_score(true, predicted),
        "pearson": stats.pearsonr(true, predicted).statistic,
        "concordance": 2 * covariance[0, 1] / (np.trace(covariance) + shift**2),  # Lin (1989)
    }
    assert scores == pytest.approx(expected)
    assert tuple(scores) == REGRESSION_METRICS


def test_concordance_is_pearson_times_the_agreement_of_mean_and_spread():
    true = np.array([1.0, 2.0, 3.0, 4.0])
    assert number_scores(true, true)["concordance"] == 1.0
    assert number_scores(true, 5 - true)["concordance"] == pytest.approx(-1.0)
    scale, shift = 3.0, 2.0
    bias = 2 / (scale + 1 / scale + shift**2 / (scale * np.var(true)))
    predicted = scale * (true - true.mean()) + true.mean() + shift
    assert number_scores(true, predicted)["concordance"] == pytest.approx(bias)
    assert number_scores(true, predicted)["pearson"] == pytest.approx(1.0)


def test_predictions_that_are_all_the_same_explain_nothing():
    scores = number_scores([1.0, 2.0, 3.0], [0.1 + 0.2] * 3)
    assert scores["pearson"] == scores["concordance"] == 0.0
    assert scores["r2"] < 0


def test_targets_that_are_all_the_same_have_errors_alone():
    scores = number_scores([0.3, 0.1 + 0.2, 0.3], [1.3, 1.3, 1.3])
    assert scores["rmse"] == scores["mae"] == pytest.approx(1.0)
    assert np.isnan([scores[name] for name in ("r2", "pearson", "concordance")]).all()


@pytest.mark.parametrize("unit", [2.0**-1000, 1e-300, 1e200])
def test_scores_do_not_depend_on_the_unit(unit):
    rng = np.random.default_rng(0)
    true, predicted = rng.normal(size=(2, 30))
    expected = number_scores(true, predicted)
    found = number_scores(unit * true, unit * predicted)
    for name in ("r2", "pearson", "concordance"):
        assert found[name] == pytest.approx(expected[name], rel=1e-12)
    for name in ("rmse", "mae"):
        assert found[name] == pytest.approx(unit * expected[name], rel=1e-12, abs=0)


def test_a_planted_relation_is_found_and_controls_are_at_chance():
    X, y, subjects = make_numbers(n_subjects=12, n_rows=40)
    models = {"ridge": RIDGE, "SVR": SVR()}
    result = compare(models, X, y[:, 0], subjects, controls=("mean", "permuted"))
    mean = result.summary().xs("mean", axis=1, level=1)
    assert result.task == "regression"
    assert mean.columns.tolist() == list(REGRESSION_METRICS)
    assert mean.loc["ridge", "rmse"] == pytest.approx(1.0, abs=0.1)
    assert mean.loc["ridge", "r2"] == pytest.approx(0.5, abs=0.1)
    assert mean.loc["ridge", "pearson"] == pytest.approx(np.sqrt(0.5), abs=0.1)
    chance = ["ridge, labels permuted", "SVR, labels permuted", "mean of training"]
    assert (mean.loc[chance, "concordance"].abs() < 0.1).all()
    assert (mean.loc[chance, "rmse"] > 1.3).all()
    table = result.table()
    assert table.columns.tolist() == ["RMSE", "MAE", "R²", "Pearson r", "CCC"]
    assert table.loc["mean of training", "CCC"] == "0.00 ± 0.00"


def test_predictions_are_the_models_own():
    X, y, subjects = make_numbers(n_subjects=3)
    result = compare({"ridge": RIDGE}, X, y[:, 0], subjects)
    own = result.predictions.query("subject == 's1'")
    here = subjects == "s1"
    expected = RIDGE.fit(X[~here], y[~here, 0]).predict(X[here])
    np.testing.assert_array_equal(own["y_pred"], expected)
    np.testing.assert_array_equal(own["y_true"], y[here, 0])
    assert own.columns.tolist() == [
        *("model", "repeat", "fold", "row", "subject", "y_true", "y_pred")
    ]


@pytest.mark.parametrize("protocol", ["group-k-fold", "segment-k-fold", "leave-one-trial-out"])
def test_folds_of_numbers_test_every_window_once(protocol):
    X, y, subjects = make_numbers()
    options = {"protocol": protocol, "n_splits": 4}
    result = compare({"ridge": RIDGE}, X, y[:, 0], lay_out(subjects), **options)
    assert sorted(result.predictions["row"]) == list(range(len(X)))
    assert result.summary().loc["ridge", ("concordance", "mean")] > 0.4


def test_the_test_goes_by_the_concordance_or_by_an_error_of_which_less_is_better():
    X, y, subjects = make_numbers()
    models = {"ridge": RIDGE, "mean": make_dummy("passthrough", task="regression")}
    result = compare(models, X, y[:, 0], subjects)
    by_default, by_error = result.test().iloc[0], result.test("rmse").iloc[0]
    assert by_default["metric"] == "concordance"
    assert by_default["mean_difference"] > 0
    assert by_error["mean_difference"] < 0
    assert by_default["better"] == by_error["better"] == 8
    with pytest.raises(ValueError, match="Unknown metric 'accuracy'; there are 'rmse'"):
        result.test("accuracy")


def test_a_printed_test_shows_difference_interval_and_p_within_80_columns():
    X, y, subjects = make_numbers()
    long = "a ridge regression whose name is much too long for a narrow window"
    models = {
        long: RIDGE,
        f"{long}, again": SVR(),
        "mean": make_dummy("passthrough", task="regression"),
    }
    for targets in (y[:, 0], y):
        tests = compare(models, X, targets, subjects).test()
        lines = repr(tests).splitlines()
        assert max(map(len, lines)) <= 80
        assert lines[0].split()[-3:] == ["difference", "interval", "p"]
        row = tests.iloc[-1]
        assert f"{row['mean_difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]" in lines[-3]
        assert lines[-2] == "concordance, Wilcoxon over subjects, p corrected (holm)"


def test_a_printed_test_cuts_names_only_where_the_line_is_full():
    X, y, subjects = make_numbers(n_subjects=4)
    name = "ridge regression of 20 features"
    models = {name: RIDGE, "mean": make_dummy("passthrough", task="regression")}
    lines = repr(compare(models, X, y[:, 0], subjects).test()).splitlines()
    assert lines[1].split("mean")[0].strip() == name
    models = {name: RIDGE, f"{name}, and again, and once more": RIDGE}
    lines = repr(compare(models, X, y[:, 0], subjects).test()).splitlines()
    assert lines[1].strip().startswith("ridge regression")
    assert "…" in lines[1]
    assert len(lines[1]) == 80


def test_a_printed_test_says_which_sign_means_that_the_model_is_better():
    X, y, subjects = make_numbers(n_subjects=4)
    models = {"ridge": RIDGE, "mean": make_dummy("passthrough", task="regression")}
    result = compare(models, X, y[:, 0], subjects)
    for metric, sign in (("concordance", "positive"), ("rmse", "negative")):
        said = repr(result.test(metric)).splitlines()[-1]
        assert said == f"difference: model - other; if it is {sign}, model is better"
    assert result.test("rmse")["mean_difference"].item() < 0
    assert "if it is negative" in repr(compare(models, X, y, subjects).test("mae"))


def test_numbers_are_taken_from_a_folder_as_they_were(tmp_path):
    X, y, subjects = make_numbers(n_subjects=3)
    models = {
        "ridge": RIDGE,
        "forest": make_random_forest(
            "passthrough", task="regression", n_estimators=5, random_state=0
        ),
    }
    for targets in (y[:, 0], y):
        plain, first, second = (
            compare(models, X, targets, subjects, controls=["permuted"], output=output)
            for output in (None, tmp_path, tmp_path)
        )
        pd.testing.assert_frame_equal(plain.predictions, first.predictions, check_exact=True)
        pd.testing.assert_frame_equal(first.predictions, second.predictions, check_exact=True)
        pd.testing.assert_frame_equal(first.scores, second.scores)  # with its times


def test_classifiers_and_regressors_together_are_refused():
    X, y, subjects = make_numbers(n_subjects=2)
    with pytest.raises(ValueError, match="'ridge' predicts numbers and 'SVM', 'majority' classes"):
        compare({**MODELS, "ridge": RIDGE}, X, y[:, 0], subjects)


def test_targets_that_do_not_fit_the_models_are_named():
    X, y, subjects = make_numbers(n_subjects=2)
    with pytest.raises(
        ValueError,
        match=r"y contains numbers .*, but the models are classifiers.* task=\"regression\"",
    ):
        compare(MODELS, X, y[:, 0], subjects)
    with pytest.raises(
        ValueError, match="y must be numbers for models that are regressors, got 'a'"
    ):
        compare({"ridge": RIDGE}, X, np.where(y[:, 0] > 5, "a", "b"), subjects)
    with pytest.raises(ValueError, match="y is 2 in all windows: there is nothing to predict"):
        compare({"ridge": RIDGE}, X, np.full(len(X), 2), subjects)
    with pytest.raises(ValueError, match="y must be finite, got inf"):
        compare({"ridge": RIDGE}, X, np.where(y[:, 0] > 5, np.inf, 1.0), subjects)
    with pytest.raises(ValueError, match="'mean', 'permuted' for regression, got 'majority'"):
        compare({"ridge": RIDGE}, X, y[:, 0], subjects, controls=["majority"])


def test_a_prediction_that_is_no_number_is_a_failure():
    class Diverging(SVR):
        def predict(self, X):
            return np.full(len(X), np.nan)

    X, y, subjects = make_numbers(n_subjects=2)
    with pytest.raises(RuntimeError, match="It predicted nan"):
        compare({"SVR": Diverging()}, X, y[:, 0], subjects)


def test_whole_trials_exchange_their_numbers_if_there_are_four():
    X, _, subjects = make_numbers(n_subjects=4, n_rows=20)
    for length, whole in ((5, True), (10, False)):
        ratings = np.repeat(np.arange(80 // length) % 7, length).astype(float)
        groups = lay_out(subjects, length=length)
        result = compare({"ridge": RIDGE}, X, ratings, groups, controls=["permuted"])
        own = result.predictions.query("model == 'ridge, labels permuted'")
        permuted = own.set_index("row")["y_true"].sort_index().to_numpy().reshape(-1, length)
        assert (permuted == permuted[:, :1]).all() == whole


def test_within_subjects_numbers_are_compared_by_their_error():
    # The higher the trial left out, the lower the mean of a subject's other trials.
    X, _, subjects = make_numbers(n_subjects=8, n_rows=40)
    ratings = np.repeat(np.random.default_rng(0).normal(size=64), 5)
    result = compare(
        {"ridge": RIDGE},
        X,
        ratings,
        lay_out(subjects, length=5),
        protocol="leave-one-trial-out",
        controls=["mean"],
    )
    mean = result.summary().xs("mean", axis=1, level=1)
    assert mean.loc["mean of training", "pearson"] == pytest.approx(-1.0)
    assert mean.loc["ridge", "concordance"] > mean.loc["mean of training", "concordance"]
    assert result.main_metric == "rmse"
    test = result.test().iloc[0]
    assert test["test"] == "Wilcoxon over subjects"
    assert test["mean_difference"] > 0
    assert test["worse"] > test["better"]
    assert "Training has windows of the tested subjects" in result.notes()[0]


@pytest.mark.parametrize(
    ("options", "test"),
    [
        ({"protocol": "blocked-k-fold"}, "Wilcoxon over subjects"),  # the people are the sample
        ({"protocol": "group-k-fold"}, "Wilcoxon over subjects"),
        ({"protocol": "group-k-fold", "n_repeats": 2}, "corrected t over folds"),
        ({"protocol": GroupShuffleSplit(4, test_size=2)}, "corrected t over folds"),
    ],
)
def test_people_are_the_sample_unless_a_split_of_people_is_repeated(options, test):
    X, y, subjects = make_numbers()
    models = {"ridge": RIDGE, "mean": make_dummy("passthrough", task="regression")}
    result = compare(models, X, y[:, 0], lay_out(subjects), n_splits=4, **options)
    assert result.test()["test"].item() == test


def test_a_search_for_each_target_has_its_choices():
    X, y, subjects = make_numbers(n_subjects=4)
    svm = make_svm("passthrough", task="regression")
    search = GridSearchCV(svm, {"regressor__C": [0.1, 1.0]}, cv=2)
    result = compare({"tuned": search}, X, y, subjects)
    names = ["regressor__C (target 0)", "regressor__C (target 1)"]
    assert all(list(params) == names for params in result.chosen["params"])


def test_a_search_among_regressors_has_inner_folds_of_subjects():
    search = GridSearchCV(RIDGE, {"regressor__alpha": [0.1, 10.0]})
    inner = split_by_subject(search, 0, n_subjects=4, n_of_class=4, stratify=False).cv
    assert isinstance(inner, GroupKFold)
    X, y, subjects = make_numbers(n_subjects=5)
    result = compare({"tuned": search}, X, y[:, 0], subjects)
    assert len(result.chosen) == 5


def test_the_gap_of_regressors_is_of_the_concordance():
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(8), 10)
    X = rng.normal(size=(8, 3))[subjects] + 0.01 * rng.normal(size=(80, 3))
    y = rng.normal(size=8)[subjects] + 0.1 * rng.normal(size=80)
    forest = make_random_forest("passthrough", task="regression", n_estimators=10, random_state=0)
    gap = leakage_gap({"forest": forest}, X, y, subjects, metric="rmse")
    assert gap.loc["forest", "gap"] < -0.5


def test_subjects_whose_numbers_are_all_the_same_are_said():
    X, y, subjects = make_numbers(n_subjects=8)
    y = np.where(subjects == "s3", 1.0, y[:, 0])
    result = compare({"ridge": RIDGE}, X, y, subjects)
    (note,) = result.notes()
    assert note.startswith("R², Pearson r and CCC are means over 7 of 8 subjects; the targets")


@pytest.mark.parametrize("times", [["start"], ["stop"], ["trial", "start", "stop"]])
def test_trials_and_times_beside_named_subjects_are_no_input(times):
    X, _, subjects = make_numbers(n_subjects=4)
    layout = lay_out(subjects, length=5)
    y = layout["trial"] + layout["start"] / 100
    features = pd.DataFrame(X, columns=list("abc"))
    table = features.assign(subject=subjects, y=y)
    table[times] = layout[times]
    result = compare({"ridge": RIDGE}, table, "y", "subject")
    alone = compare({"ridge": RIDGE}, features, y, subjects)
    pd.testing.assert_frame_equal(result.predictions, alone.predictions)


def test_several_targets_have_a_table_each_as_if_they_were_alone():
    X, y, subjects = make_numbers()
    y = pd.DataFrame(y, columns=["arousal", "valence"])
    models = {"ridge": RIDGE, "SVM": make_svm("passthrough", task="regression")}
    both = compare(models, X, y, subjects)
    assert both.targets == ["arousal", "valence"]
    assert both.table().index.tolist() == [
        *(("arousal", "ridge"), ("arousal", "SVM"), ("valence", "ridge"), ("valence", "SVM"))
    ]
    assert both.test()["target"].tolist() == ["arousal", "valence"]
    assert re.search(r"\narousal\n\n +RMSE", repr(both))
    for name, one in both.by_target().items():
        alone = compare(models, X, y[name], subjects)
        pd.testing.assert_frame_equal(one.predictions, alone.predictions)
        pd.testing.assert_frame_equal(one.table(), alone.table())
        assert one.targets == []
        assert one.details["data"]["numbers"] == alone.details["data"]["numbers"]


def make_two_classes(n_subjects=6):
    X, y, subjects = make_numbers(n_subjects=n_subjects, effect=3.0)
    arousal = np.where(y[:, 0] > 5, "high", "low")
    valence = np.digitize(y[:, 1], [3.0, 7.0])
    return (
        X,
        pd.DataFrame({"arousal": arousal, "valence": np.array(["neg", "0", "pos"])[valence]}),
        subjects,
    )


@pytest.mark.parametrize("forest", [True, False])
def test_several_targets_may_be_classes(forest):
    X, y, subjects = make_two_classes()
    model = RandomForestClassifier(20, random_state=0) if forest else LogisticRegression()
    both = compare({"model": model}, X, y, subjects, controls=["majority"])
    for name, one in both.by_target().items():
        columns = [x for x in one.predictions if x.startswith("probability")]
        assert columns == [f"probability {label}" for label in np.unique(y[name])]
        assert not one.predictions[columns].isna().any(axis=None)
        assert one.summary().loc["model", ("roc_auc", "mean")] > 0.85
        if not forest:
            alone = compare({"model": model}, X, y[name], subjects, controls=["majority"])
            pd.testing.assert_frame_equal(one.predictions, alone.predictions)
    assert both.calibration().index.get_level_values("target").unique().tolist() == list(y)


@pytest.mark.parametrize("classes", [True, False])
def test_a_missing_target_leaves_out_the_scores_of_that_target_alone(classes):
    X, y, subjects = make_two_classes() if classes else make_numbers(n_subjects=6)
    y = pd.DataFrame(y).set_axis(["arousal", "valence"], axis=1)
    y.iloc[3, 0] = None
    model = LogisticRegression() if classes else RIDGE
    result = compare({"model": model}, X, y, subjects)
    one, other = result.by_target().values()
    assert 3 not in one.predictions["row"].tolist()
    assert len(one.predictions) == len(X) - 1
    assert len(other.predictions) == len(X)
    assert one.details["data"]["no_target"] == 1
    known = y.notna().all(axis=1).to_numpy()
    train = known & (subjects != "s0")
    expected = model.fit(X[train], y["valence"][train].tolist()).predict(X[subjects == "s0"])
    here = other.predictions.query("subject == 's0'")
    assert here["y_pred"].tolist() == (
        expected.tolist() if classes else pytest.approx(expected.tolist())
    )


def test_classes_that_are_numbers_may_be_missing_in_one_target():
    X, numbers, subjects = make_numbers(n_subjects=4)
    y = (numbers > 5).astype(float)
    y[3, 0] = np.nan
    result = compare({"logistic": LogisticRegression()}, X, y, subjects)
    assert result.predictions["target"].value_counts().to_dict() == {"target 0": 79, "target 1": 80}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_search_over_a_network_leaves_out_windows_that_lack_a_target(task):
    X, labels, subjects = windows(n_windows=24, n_subjects=4)
    if task == "classification":
        network, y = ModalityAwareAttentionClassifier, np.column_stack([labels, labels])
        y = y.astype(object)
    else:
        network = ModalityAwareAttentionRegressor
        y = np.random.default_rng(0).normal(size=(24, 2))
    y[0, 0] = None
    small = make_pipeline(network(n_filters=2, depth=1, max_epochs=1, random_state=0))
    search = GridSearchCV(small, {f"{network.__name__.lower()}__lr": [0.001, 0.01]}, cv=2)
    result = compare({"search": search}, X, y, subjects)
    assert result.failures.empty
    assert result.predictions["target"].value_counts().to_dict() == {"target 0": 23, "target 1": 24}
    names = result.chosen["params"][0]
    assert [name[-10:] for name in names] == ["(target 0)", "(target 1)"]


def test_windows_without_any_target_are_refused():
    X, y, subjects = make_numbers(n_subjects=2)
    y[5] = np.nan
    with pytest.raises(ValueError, match=r"y is missing \(NaN\) in 1 row"):
        compare({"ridge": RIDGE}, X, y, subjects)


def test_permuted_targets_stay_together():
    X, y, subjects = make_numbers(n_subjects=4)
    result = compare({"ridge": RIDGE}, X, y, subjects, controls=["permuted"])
    permuted = result.predictions.query("model == 'ridge, labels permuted'")
    pairs = permuted.pivot(index="row", columns="target", values="y_true").to_numpy()
    assert set(map(tuple, pairs)) == set(map(tuple, y))
    assert (pairs != y).any()


def test_classes_of_one_kind_are_needed_for_several_targets():
    X, _, subjects = make_features(n_subjects=2)
    y = pd.DataFrame({"a": np.tile([1, 2], 20), "b": np.tile(["x", "y"], 20)})
    message = r"of all targets must be text, or all .* columns of numbers with astype\(str\)"
    with pytest.raises(ValueError, match=message):
        compare({"forest": RandomForestClassifier(2)}, X, y, subjects)
    with pytest.raises(ValueError, match=message):
        compare({"forest": RandomForestClassifier(2)}, X, y.to_numpy(), subjects)
    text = y.assign(a=y["a"].astype(str))
    assert compare({"forest": RandomForestClassifier(2)}, X, text, subjects).failures.empty
