"""Intervals and paired tests, and how often they are wrong."""

import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.svm import SVC

from skemo.evaluation import statistics
from skemo.evaluation.comparison import Comparison
from skemo.evaluation.scores import score_predictions
from skemo.evaluation.statistics import (
    bootstrap_interval,
    compare_models,
    compare_pairs,
    correct_p_values,
    corrected_t_test,
    hedges_g,
    wilcoxon_test,
)

# Bootstrap


def test_an_interval_shifts_and_scales_with_the_values():
    values = np.random.default_rng(0).normal(size=12)
    expected = 3 + 2 * np.array(bootstrap_interval(values, n_resamples=500))
    np.testing.assert_allclose(bootstrap_interval(3 + 2 * values, n_resamples=500), expected)


def test_many_subjects_have_the_interval_of_student():
    values = np.random.default_rng(1).normal(size=400)
    student = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    interval = bootstrap_interval(values, confidence=0.9)
    np.testing.assert_allclose(interval, student, atol=0.01)


def test_ten_subjects_have_the_interval_of_scipy_at_a_wider_level():
    # t of 9 degrees of freedom is 2.262; 2.262 * sqrt(10 / 9) = 2.385 leaves tails of 0.00855.
    values = np.random.default_rng(2).normal(size=10)
    expected = stats.bootstrap(
        (values,), np.mean, confidence_level=0.9829, n_resamples=10_000, random_state=0
    )
    found = bootstrap_interval(values)
    np.testing.assert_allclose(found, expected.confidence_interval, atol=1e-3)


@pytest.mark.parametrize("method", ["BCa", "percentile"])
def test_an_interval_is_the_same_to_the_bit_if_its_resamples_are_drawn_in_blocks(
    method, monkeypatch
):
    values = np.random.default_rng(3).exponential(size=120)
    in_blocks = bootstrap_interval(values, method=method)
    monkeypatch.setattr(statistics, "_DRAWN", 120 * 10_000)
    assert bootstrap_interval(values, method=method) == in_blocks


def test_an_interval_of_thousands_of_subjects_takes_little_memory():
    values = np.random.default_rng(4).normal(size=3000)
    tracemalloc.start()
    bootstrap_interval(values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2e7


@pytest.mark.parametrize("method", ["BCa", "percentile"])
def test_degenerate_values_have_an_interval_without_warnings(method):
    interval = bootstrap_interval([0.3, 0.1 + 0.2, 0.3], method=method)
    np.testing.assert_allclose(interval, 0.3)
    np.testing.assert_array_equal(bootstrap_interval([0.7], method=method), np.nan)
    np.testing.assert_array_equal(bootstrap_interval([np.nan], method=method), np.nan)
    assert bootstrap_interval([0, 1], method=method) == (0, 1)
    low, high = bootstrap_interval([0.5] * 9 + [0.6], method=method)
    assert 0.49 <= low < 0.51 < high


def test_missing_values_are_left_out_of_an_interval():
    with_nan = bootstrap_interval([0.5, np.nan, 0.7, 0.9])
    assert with_nan == bootstrap_interval([0.5, 0.7, 0.9])


def test_bad_values_and_confidence_are_named():
    with pytest.raises(ValueError, match=r"values must have shape \(n,\), got \(2, 2\)\."):
        bootstrap_interval(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"differences must be finite or NaN, got -inf\."):
        wilcoxon_test([0.1, -np.inf])
    with pytest.raises(ValueError, match=r"confidence must be between 0 and 1, got 95\."):
        bootstrap_interval([0.1, 0.2], confidence=95)


# Wilcoxon


@pytest.mark.parametrize("n", [1, 2, 5, 13, 24, 40])
def test_without_ties_wilcoxon_is_the_exact_test_of_scipy(n):
    differences = np.random.default_rng(n).normal(0.3, size=n)
    expected = stats.wilcoxon(differences, method="exact")
    found = wilcoxon_test(differences)
    np.testing.assert_allclose(found[:2], (expected.statistic, expected.pvalue))


@pytest.mark.parametrize("zero_method", ["pratt", "zsplit"])
@pytest.mark.parametrize("seed", range(4))
def test_with_ties_and_zeros_wilcoxon_is_the_test_over_all_signs(zero_method, seed):
    differences = np.append(np.random.default_rng(seed).integers(-2, 5, size=7), [0, 0]) / 6
    over_all_signs = stats.PermutationMethod(n_resamples=2**9)
    expected = stats.wilcoxon(differences, zero_method=zero_method, method=over_all_signs)
    np.testing.assert_allclose(wilcoxon_test(differences).p_value, expected.pvalue)


def test_many_subjects_have_the_normal_approximation():
    differences = np.random.default_rng(0).integers(-5, 6, size=500) / 12
    expected = stats.wilcoxon(differences, zero_method="pratt")  # so many: no exact method
    np.testing.assert_allclose(wilcoxon_test(differences).p_value, expected.pvalue, rtol=0.02)


@pytest.mark.parametrize("decimals", [1, 6])  # with and without ties
def test_beyond_a_thousand_subjects_the_normal_distribution_gives_nearly_the_exact_p(
    decimals, monkeypatch
):
    differences = (np.random.default_rng(5).normal(size=1001) + 0.07).round(decimals)
    normal = wilcoxon_test(differences)
    monkeypatch.setattr(statistics, "_EXACT", 2000)
    exact = wilcoxon_test(differences)
    assert 0.01 < exact.p_value < 0.05
    assert normal.p_value == pytest.approx(exact.p_value, rel=5e-3)
    assert normal._replace(p_value=0) == exact._replace(p_value=0)


def test_thousands_of_subjects_without_a_difference_have_p_1():
    assert wilcoxon_test(np.zeros(3000)).p_value == 1


def test_when_all_subjects_agree_only_two_of_all_signs_are_as_extreme():
    assert wilcoxon_test([0.1] * 10) == (0, 2 * 0.5**10, 1, 10)
    assert wilcoxon_test([-0.1] * 10) == (0, 2 * 0.5**10, -1, 10)


def test_no_difference_has_p_1_and_no_values_have_nan():
    assert wilcoxon_test([0.0, 0.0, 0.0]) == (0, 1, 0, 3)
    assert corrected_t_test([0.0, 0.0, 0.0], 2, 1) == (0, 1, 0, 3)
    np.testing.assert_array_equal(wilcoxon_test([np.nan]), [np.nan, np.nan, np.nan, 0])


def test_differences_that_are_equal_on_paper_are_ties():
    differences = [0.3 - 0.1, 0.2, 0.1 + 0.2 - 0.3, 0.8 - 0.6, -0.1]
    assert wilcoxon_test(differences) == wilcoxon_test([0.2, 0.2, 0.0, 0.2, -0.1])


def test_swapping_the_models_turns_the_effect_round():
    differences = np.random.default_rng(2).integers(-3, 6, size=20) / 12
    there, back = wilcoxon_test(differences), wilcoxon_test(-differences)
    assert (there.p_value, there.effect_size) == (back.p_value, -back.effect_size)


# The corrected t test and its effect size


def test_corrected_t_follows_the_formula():
    # Mean 2, variance 4 / 3, J = 4, n_test / n_train = 1 / 3: t² = 4 / (7 / 12 * 4 / 3).
    found = corrected_t_test([1, 1, 3, 3], n_train=[70, 80], n_test=25)
    assert found.statistic == pytest.approx(np.sqrt(36 / 7))
    assert found.p_value == pytest.approx(2 * stats.t.sf(np.sqrt(36 / 7), df=3))


def test_without_shared_training_windows_it_is_the_usual_t_test():
    differences = np.random.default_rng(3).normal(0.3, size=15)
    expected = stats.ttest_1samp(differences, 0)
    found = corrected_t_test(differences, n_train=1e12, n_test=1e-12)
    np.testing.assert_allclose(found[:2], (expected.statistic, expected.pvalue))


def roc_auc(model, X, y, train, test):
    decisions = model.fit(X[train], y[train]).decision_function(X[test])
    return roc_auc_score(y[test], decisions)


def test_the_example_of_scikit_learn_has_its_published_values():
    # "Statistical comparison of models using grid search": t = 0.750, one-sided p = 0.227.
    X, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    cv = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        np.array([roc_auc(SVC(kernel=kernel), X, y, *fold) for fold in cv.split(X, y)])
        for kernel in ("rbf", "linear")
    )
    found = corrected_t_test(rbf - linear, n_train=90, n_test=10)
    assert round(found.statistic, 3) == 0.750
    assert round(found.p_value / 2, 3) == 0.227


def test_differences_without_a_spread_have_no_p_value():
    found = corrected_t_test([0.1] * 5, 4, 1)
    np.testing.assert_array_equal(found, [np.inf, np.nan, np.inf, 5])
    found = corrected_t_test([-0.1] * 5, 4, 1)
    np.testing.assert_array_equal(found, [-np.inf, np.nan, -np.inf, 5])
    np.testing.assert_array_equal(corrected_t_test([0.1], 4, 1), [np.nan, np.nan, np.nan, 1])


def test_sizes_of_folds_must_be_positive():
    with pytest.raises(ValueError, match=r"must be positive, got 0\.0 and 1\.0"):
        corrected_t_test([0.1, 0.2], 0, 1)


def test_hedges_g_is_unbiased_in_small_samples():
    differences = np.random.default_rng(4).normal(0.5, size=(4000, 6))
    estimates = np.array([hedges_g(row) for row in differences])
    cohens = differences.mean(axis=1) / differences.std(axis=1, ddof=1)
    assert estimates.mean() == pytest.approx(0.5, abs=0.025)
    assert cohens.mean() > 0.55


# Several tests


def reject_step_down(p_values, alpha):
    """Holm's procedure as he words it."""
    rejected = np.zeros(len(p_values), bool)
    for step, i in enumerate(np.argsort(p_values)):
        if p_values[i] > alpha / (len(p_values) - step):
            break
        rejected[i] = True
    return rejected


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2, 0.6])
def test_holm_rejects_what_the_step_down_procedure_rejects(alpha):
    rng = np.random.default_rng(5)
    for _ in range(50):
        p_values = rng.uniform(size=7) ** 3
        rejected = correct_p_values(p_values, "holm") <= alpha
        np.testing.assert_array_equal(rejected, reject_step_down(p_values, alpha))


def test_missing_p_values_stay_missing_and_do_not_count():
    p_values = [0.01, np.nan, 0.04, 0.03]
    np.testing.assert_allclose(correct_p_values(p_values), [0.03, np.nan, 0.06, 0.06])
    np.testing.assert_allclose(correct_p_values(p_values, "fdr"), [0.03, np.nan, 0.04, 0.04])
    np.testing.assert_array_equal(correct_p_values(p_values, None), p_values)
    np.testing.assert_array_equal(correct_p_values([np.nan], "fdr"), [np.nan])
    assert correct_p_values([]).size == 0


def test_bad_p_values_and_methods_are_named():
    with pytest.raises(ValueError, match=r'"holm", "fdr" or None, got \'bonferroni\''):
        correct_p_values([0.1], "bonferroni")
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        correct_p_values([0.1, 1.5])


# Comparing models


def make_comparison(accuracies, *, n_subjects=12, n_windows=8, n_repeats=1, by="subject", seed=0):
    """A Comparison of models that are right as often as `accuracies` says.

    Folds are subjects, three subjects each ("group"), or windows of all subjects ("window").
    """
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n_subjects), n_windows)
    window = np.tile(np.arange(n_windows), n_subjects)
    fold = {"subject": subject, "group": subject // 3, "window": window % 4}[by]
    y = np.where(window % 2, "stress", "rest")
    parts = []
    for model, accuracy in accuracies.items():
        for repeat in range(n_repeats):
            right = rng.uniform(size=len(y)) < accuracy
            predicted = np.where(right == (y == "rest"), "rest", "stress")
            probability = np.where(predicted == "rest", 0.9, 0.1)
            columns = {"model": model, "repeat": repeat, "fold": fold, "row": np.arange(len(y))}
            columns |= {"subject": subject, "y_true": y, "y_pred": predicted}
            columns |= {"probability rest": probability, "probability stress": 1 - probability}
            parts.append(pd.DataFrame(columns))
    return comparison_of(pd.concat(parts, ignore_index=True), list(accuracies))


def comparison_of(predictions, models):
    scores = score_predictions(predictions, ["model", "repeat", "fold", "subject"])
    tested = predictions.groupby(["model", "repeat", "fold"])["row"].transform("size")
    n_train = predictions["row"].nunique() - tested
    keys = ["model", "repeat", "fold", "subject"]
    scores["n_train"] = n_train[predictions.drop_duplicates(keys).index].to_numpy()
    none = pd.DataFrame()
    n_folds, n_repeats = predictions["fold"].nunique(), predictions["repeat"].nunique()
    details = {
        "models": dict.fromkeys(models, ""),
        "data": {"n_subjects": predictions["subject"].nunique()},
        **{"n_folds": n_folds, "n_repeats": n_repeats},
    }
    return Comparison("test", predictions, scores, none, none, none, none, details)


ACCURACIES = {"good": 0.95, "fair": 0.8, "chance": 0.5}


def test_all_pairs_are_compared_in_the_order_of_the_models():
    comparison = make_comparison(ACCURACIES)
    table = compare_models(comparison)
    pairs = [("good", "fair"), ("good", "chance"), ("fair", "chance")]
    assert list(zip(table["model"], table["other"], strict=True)) == pairs
    means = comparison.summary()["balanced_accuracy", "mean"]
    expected = means[table["model"]].to_numpy() - means[table["other"]].to_numpy()
    np.testing.assert_allclose(table["mean_difference"], expected)
    assert table["mean_difference"].between(table["low"], table["high"]).all()
    assert (table[["better", "worse", "same"]].sum(axis=1) == table["n"]).all()
    assert (table["n"] == 12).all()
    assert (table["left_out"] == 0).all()
    assert table.attrs == {
        "metric": "balanced_accuracy",
        "confidence": 0.95,
        "correction": "holm",
        "lower_is_better": False,
    }


def test_each_model_is_compared_with_the_reference():
    table = compare_models(make_comparison(ACCURACIES), reference="fair", correction=None)
    assert table["model"].tolist() == ["good", "chance"]
    assert (table["other"] == "fair").all()
    assert table["p_corrected"].equals(table["p_value"])


def test_p_values_are_corrected_for_the_number_of_pairs():
    table = compare_models(make_comparison(ACCURACIES), correction="fdr")
    expected = stats.false_discovery_control(table["p_value"])
    np.testing.assert_allclose(table["p_corrected"], expected)


@pytest.mark.parametrize(
    ("by", "n_repeats", "name"),
    [
        ("subject", 1, "Wilcoxon over subjects"),
        ("subject", 2, "Wilcoxon over subjects"),
        ("group", 1, "Wilcoxon over subjects"),
        ("group", 2, "corrected t over folds"),
        ("window", 1, "corrected t over folds"),
    ],
)
def test_the_test_follows_from_the_folds(by, n_repeats, name):
    table = compare_models(make_comparison(ACCURACIES, by=by, n_repeats=n_repeats))
    assert (table["test"] == name).all()
    n_folds = {"group": 4, "window": 4}.get(by)
    assert (table["n"] == (12 if "subjects" in name else n_folds * n_repeats)).all()


def test_wilcoxon_takes_a_subject_once():
    comparison = make_comparison(ACCURACIES, n_repeats=3)
    row = compare_models(comparison, metric="accuracy").iloc[0]
    scores = comparison.subject_scores().pivot(index="subject", columns="model", values="accuracy")
    found = wilcoxon_test(scores["good"] - scores["fair"])
    assert (row["statistic"], row["p_value"], row["effect_size"], row["n"]) == found
    assert row["effect"] == "rank-biserial r"


def test_corrected_t_takes_each_fold_of_each_repetition():
    comparison = make_comparison(ACCURACIES, by="window", n_repeats=3)
    row = compare_models(comparison, metric="accuracy").iloc[0]
    scores = comparison.fold_scores()
    good, fair = (scores.loc[scores["model"] == name, "accuracy"] for name in ("good", "fair"))
    found = corrected_t_test(good.to_numpy() - fair.to_numpy(), n_train=72, n_test=24)
    np.testing.assert_allclose(row[["statistic", "p_value", "effect_size", "n"]].tolist(), found)
    assert row["effect"] == "Hedges' g"


def test_a_test_can_be_chosen():
    comparison = make_comparison(ACCURACIES)
    over_folds = compare_models(comparison, test="corrected-t")
    assert (over_folds["test"] == "corrected t over folds").all()
    over_subjects = compare_models(make_comparison(ACCURACIES, by="window"), test="wilcoxon")
    assert (over_subjects["test"] == "Wilcoxon over subjects").all()


def test_chosen_pairs_get_the_same_tests_as_among_all_pairs():
    comparison = make_comparison(ACCURACIES)
    every = compare_models(comparison, correction=None)
    chosen = every.iloc[[2, 0]]
    pairs = list(zip(chosen["model"], chosen["other"], strict=True))
    found, _ = compare_pairs(comparison, pairs=pairs, correction=None)
    pd.testing.assert_frame_equal(found, chosen.reset_index(drop=True), check_frame_type=False)


def test_a_lower_brier_score_is_better():
    row = compare_models(make_comparison(ACCURACIES), metric="brier").iloc[1]
    assert row["mean_difference"] < 0
    assert row["better"] > row["worse"]


def test_models_that_failed_are_compared_where_both_have_scores():
    predictions = make_comparison(ACCURACIES).predictions
    failed = (predictions["model"] == "fair") & predictions["subject"].isin([2, 5])
    comparison = comparison_of(predictions[~failed], list(ACCURACIES))
    table = compare_models(comparison)
    assert table["n"].tolist() == [10, 12, 10]
    assert table["left_out"].tolist() == [2, 0, 2]
    gone = comparison_of(predictions[predictions["model"] != "fair"], list(ACCURACIES))
    table = compare_models(gone)
    assert table["n"].tolist() == [0, 12, 0]
    assert table["p_value"].isna().tolist() == [True, False, True]
    assert table["p_corrected"][1] == table["p_value"][1]


def test_scores_over_different_windows_warn():
    predictions = make_comparison(ACCURACIES, by="window").predictions
    failed = (predictions["model"] == "chance") & (predictions["fold"] == 0)
    comparison = comparison_of(predictions[~failed], list(ACCURACIES))
    match = r"'chance' are scored on different windows of 12 subject\(s\), 0 among them"
    with pytest.warns(UserWarning, match=match):
        table = compare_models(comparison, reference="chance")
    assert table["n"].tolist() == [3, 3]
    assert table["left_out"].tolist() == [1, 1]


def test_one_model_has_no_pairs():
    table = compare_models(make_comparison({"good": 0.9}))
    assert table.empty
    assert "p_corrected" in table


def test_unknown_names_list_the_known_ones():
    comparison = make_comparison(ACCURACIES)
    with pytest.raises(ValueError, match="'kappa'; there are 'accuracy', 'balanced_accuracy'"):
        compare_models(comparison, metric="kappa")
    with pytest.raises(ValueError, match="'best' is not one of the models: 'good', 'fair'"):
        compare_models(comparison, reference="best")
    with pytest.raises(ValueError, match="test must be 'auto', 'wilcoxon', 'corrected-t', got 't'"):
        compare_models(comparison, test="t")


# How often the tests are wrong


def balanced_accuracies(rng, p, n_windows):
    """Scores of subjects that are right with probability p, over both classes."""
    hits = rng.binomial(n_windows // 2, p, size=(2, *p.shape))
    return hits.mean(axis=0) / (n_windows // 2)


def least_squares(X, y, X_test):
    """Linear discriminant, by least squares."""
    X, X_test = np.c_[X, np.ones(len(X))], np.c_[X_test, np.ones(len(X_test))]
    return X_test @ np.linalg.solve(X.T @ X + 1e-6 * np.eye(X.shape[1]), X.T @ y)


def bounds(rate, n):
    """What a rate may come to in n trials, 3 standard deviations either way."""
    return rate - 3 * np.sqrt(rate * (1 - rate) / n), rate + 3 * np.sqrt(rate * (1 - rate) / n)


@pytest.mark.parametrize("n_windows", [6, 12, 24])
def test_wilcoxon_keeps_its_rate_on_scores_of_few_windows(n_windows):
    rng = np.random.default_rng(n_windows)
    p = rng.beta(6, 3, size=(1, 1000, 24)).repeat(2, axis=0)
    first, second = balanced_accuracies(rng, p, n_windows)
    found = [wilcoxon_test(differences).p_value <= 0.05 for differences in first - second]
    low, high = bounds(0.05, 1000)
    assert low < np.mean(found) < high


def test_wilcoxon_finds_a_true_difference():
    rng = np.random.default_rng(0)
    p = rng.beta(6, 3, size=(300, 24))
    worse, better = (balanced_accuracies(rng, p + gain * (1 - p), 24) for gain in (0, 0.4))
    found = [wilcoxon_test(row) for row in better - worse]
    assert np.mean([test.p_value <= 0.05 for test in found]) > 0.9
    assert np.mean([test.effect_size for test in found]) > 0.5


def test_corrected_t_keeps_its_rate_over_repeated_k_fold_and_the_usual_t_does_not():
    rng = np.random.default_rng(0)
    n_studies, n_rows, k, n_repeats = 150, 100, 5, 4
    y = np.tile([-1.0, 1.0], n_rows // 2)
    corrected, usual, found = [], [], []
    for study in range(n_studies):
        # Either model sees its own half of features that say equally much.
        X = rng.normal(size=(2, n_rows, 5)) + 0.3 * y[:, np.newaxis]
        if study % 5 == 0:
            better = X[0] + 0.6 * y[:, np.newaxis]
        differences, gains = [], []
        for _ in range(n_repeats):
            fold = rng.permutation(n_rows) % k
            for test in (fold == i for i in range(k)):
                right = [(least_squares(x[~test], y[~test], x[test]) * y[test] > 0) for x in X]
                differences.append(right[0].mean() - right[1].mean())
                if study % 5 == 0:
                    best = least_squares(better[~test], y[~test], better[test]) * y[test] > 0
                    gains.append(best.mean() - right[1].mean())
        corrected.append(corrected_t_test(differences, 80, 20).p_value <= 0.05)
        usual.append(stats.ttest_1samp(differences, 0).pvalue <= 0.05)
        if gains:
            found.append(corrected_t_test(gains, 80, 20).p_value <= 0.05)
    assert np.mean(corrected) < bounds(0.05, n_studies)[1]
    assert np.mean(usual) > 0.2
    assert np.mean(found) > 0.9


def test_bootstrap_intervals_hold_the_true_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = {10: [], 24: []}
    for n_subjects, held_by in held.items():
        for values in balanced_accuracies(rng, rng.beta(6, 3, size=(300, n_subjects)), 12):
            low, high = bootstrap_interval(values, n_resamples=600)
            held_by.append(low <= 6 / 9 <= high)
    low, high = bounds(0.95, 300)
    assert low < np.mean(held[24]) < high
    assert low < np.mean(held[10]) < high


def test_holm_is_rarely_wrong_in_any_of_ten_tests():
    rng = np.random.default_rng(0)
    p = rng.beta(6, 3, size=(1, 250, 24)).repeat(11, axis=0)
    scores = balanced_accuracies(rng, p, 24)
    uncorrected, corrected = [], []
    for models in scores.swapaxes(0, 1):
        p_values = [wilcoxon_test(model - models[0]).p_value for model in models[1:]]
        uncorrected.append(min(p_values) <= 0.05)
        corrected.append(correct_p_values(p_values).min() <= 0.05)
    assert np.mean(corrected) < bounds(0.05, 250)[1]
    assert np.mean(uncorrected) > 0.2


def test_no_test_warns_on_degenerate_scores():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for accuracy in (0.0, 1.0):
            for by in ("subject", "window"):
                same = make_comparison({"a": accuracy, "b": accuracy}, by=by)
                row = compare_models(same).iloc[0]
                assert (row["p_value"], row["effect_size"], row["same"]) == (1, 0, row["n"])
                assert (row["low"], row["high"]) == (0, 0)


def test_what_both_models_failed_at_is_left_out_too():
    comparison = make_comparison({"one": 0.8, "other": 0.7})
    predictions = comparison.predictions
    kept = comparison_of(predictions[predictions["subject"] > 1], comparison.models)
    details = {**kept.details, "data": {"n_subjects": 12}}
    row = compare_models(replace(kept, details=details)).iloc[0]
    assert (row["n"], row["left_out"]) == (10, 2)
