"""Make results/tests.md: how often skemo's tests and intervals are wrong, in simulated studies.

    python benchmarks/simulate_tests.py

Every study is drawn anew, people and all, so that the truth is known. Eight minutes on one core.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from comparisons import describe_machine, to_markdown
from joblib import Parallel, delayed
from scipy import stats

from skemo.evaluation.statistics import (
    bootstrap_interval,
    correct_p_values,
    corrected_t_test,
    wilcoxon_test,
)

PAGE = Path(__file__).parent / "results" / "tests.md"
N_SUBJECTS, N_WINDOWS = 24, 12  # windows of a subject, half of each class
ADVANTAGE = 0.5  # standard deviations by which the better model's classes are further apart
SEPARATION = 1.5  # of the classes, in standard deviations of a subject's windows
SKILL = (6, 3)  # of a subject, the chance of a right answer: a beta distribution
SLOPE = 1.5  # of the features of numbers, in standard deviations of a subject's windows
LEVEL, N_RESAMPLES, N_TESTS = 0.05, 2000, 10


class Data(NamedTuple):
    """How many features each model has, and how far people differ in their mean and classes."""

    title: str
    n_features: int
    between: float
    unlike: float


class Protocol(NamedTuple):
    """How windows are dealt into folds: by subject or one by one, how many, how often."""

    title: str
    by_subject: bool
    n_folds: int
    n_repeats: int


DATA = [
    Data("5 features", 5, 0.5, 0.5),
    Data("20 features", 20, 0.5, 0.5),
    Data("5 features, unlike people", 5, 1.5, 1.5),
]
PROTOCOLS = [
    Protocol("leave-one-subject-out", True, N_SUBJECTS, 1),
    Protocol("group 6-fold", True, 6, 1),
    Protocol("group 6-fold × 5", True, 6, 5),
    Protocol("segment 10-fold", False, 10, 1),
    Protocol("segment 10-fold × 5", False, 10, 5),
]


def main(n_studies, n_jobs):
    cases = [(protocol, data) for protocol in PROTOCOLS for data in DATA]
    tables = [  # the function that makes a row, and what it is given for each
        (try_tests, [(*case, 0.0) for case in cases]),
        (try_tests, [(*case, ADVANTAGE) for case in cases]),
        (try_interval, [(of, n) for of in ("scores", "differences") for n in (6, 10, 24)]),
        (try_corrections, [(True,), (False,)]),
        (try_numbers, [(*case, SLOPE) for case in cases]),
        (try_numbers, [(protocol, DATA[0], 0.0) for protocol in PROTOCOLS]),
        (try_training, [(data,) for data in DATA]),
    ]
    texts = []
    for seed, (make_row, given) in enumerate(tables):
        rngs = np.random.default_rng(seed).spawn(len(given))
        tasks = [delayed(make_row)(*own, n_studies, rngs[i]) for i, own in enumerate(given)]
        texts.append(to_markdown(pd.DataFrame(Parallel(n_jobs)(tasks))))
    return describe(n_studies, *texts)


def try_tests(protocol, data, advantage, n_studies, rng):
    """How often each test finds that two models differ."""
    p_values, gains = np.empty((n_studies, 3)), np.empty(n_studies)
    for study in range(n_studies):
        X, y = draw_study(data, advantage, rng)
        tested = deal_folds(protocol, y, rng)
        hits = classify(X, y, tested)
        over_subjects = np.subtract(*hits.reshape(2, -1, N_SUBJECTS, N_WINDOWS).mean((1, 3)))
        over_folds = np.subtract(*score_folds(hits, y, tested))
        n_test = tested.sum(2).ravel()
        gains[study] = over_subjects.mean()
        p_values[study, 0] = wilcoxon_test(over_subjects).p_value
        p_values[study, 1] = corrected_t_test(over_folds, len(y) - n_test, n_test).p_value
        p_values[study, 2] = stats.ttest_1samp(over_folds, 0).pvalue
    wilcoxon, corrected, plain = (p_values <= LEVEL).T
    row = {"protocol": protocol.title, "data": data.title}
    if advantage:
        row["difference, points"] = f"{100 * gains.mean():.1f}"
    by_subject = protocol.by_subject and protocol.n_repeats == 1  # what test="auto" takes
    row["Wilcoxon over subjects"] = percent(wilcoxon, bold=by_subject)
    row["corrected t over folds"] = percent(corrected, bold=not by_subject)
    return row if advantage else {**row, "plain t over folds": percent(plain)}


def draw_study(data, advantage, rng):
    """Draw the features of two models, (2, n_windows, n_features), and the labels."""
    y = np.tile([0, 1], N_WINDOWS // 2)
    size = (2, N_SUBJECTS, 1, data.n_features)
    apart = np.array([SEPARATION + advantage, SEPARATION]).reshape(2, 1, 1, 1)
    apart = (apart + data.unlike * rng.normal(size=size)) / np.sqrt(data.n_features)
    X = data.between * rng.normal(size=size) + (y[:, None] - 0.5) * apart
    X = X + rng.normal(size=(2, N_SUBJECTS, N_WINDOWS, data.n_features))
    return X.reshape(2, -1, data.n_features), np.tile(y, N_SUBJECTS)


def deal_folds(protocol, y, rng):
    """Return which windows each fold tests, (n_repeats, n_folds, n_windows)."""
    folds = np.empty((protocol.n_repeats, 1, len(y)), int)
    for repeat in folds[:, 0]:
        if protocol.by_subject:
            repeat[:] = np.repeat(rng.permutation(N_SUBJECTS), N_WINDOWS) % protocol.n_folds
        else:  # y alternates: as many of each class in each fold
            own = [rng.permutation(len(y) // 2) for _ in range(2)]
            repeat[:] = np.ravel(own, order="F") % protocol.n_folds
    return folds == np.arange(protocol.n_folds)[:, None]


def classify(X, y, tested):
    """Return where each model's LDA is right, (2, n_repeats, n_windows)."""
    # As scikit-learn's with solver="lsqr" and even priors, but all folds at once: millions of fits.
    products = (X[..., :, None] * X[..., None, :]).reshape(2, 1, len(y), -1)
    X = X[:, None]
    means, covariance = [], 0.0
    for label in (0, 1):
        weights = mean_weights(~tested & (y == label))
        mean = weights @ X  # (2, n_repeats, n_folds, n_features)
        square = (weights @ products).reshape(*mean.shape, -1)
        covariance = covariance + (square - mean[..., :, None] * mean[..., None, :]) / 2
        means.append(mean)
    w = np.linalg.solve(covariance, (means[1] - means[0])[..., None])[..., 0]
    thresholds = (w * (means[0] + means[1]) / 2).sum(-1, keepdims=True)
    decisions = w @ X.swapaxes(2, 3) > thresholds  # (2, n_repeats, n_folds, n_windows)
    return (tested & decisions).any(2) == y


def try_numbers(protocol, data, slope, n_studies, rng):
    """How often each test finds that two equally good regressions differ.

    Without a slope nothing can be learnt, and the second predicts the mean of training.
    """
    p_values = np.empty((n_studies, 2, 3))
    for study in range(n_studies):
        X, y = draw_numbers(data, slope, rng)
        tested = deal_folds(protocol, np.arange(len(y)) % 2, rng)
        predicted = regress(X, y, tested)
        if not slope:
            predicted[1] = regress(np.zeros((1, len(y), 0)), y, tested)
        n_test = tested.sum(2).ravel()
        people = np.arange(len(y)) // N_WINDOWS == np.arange(N_SUBJECTS)[:, None]
        people = np.broadcast_to(people, (len(tested), *people.shape))
        by_person = score_numbers(predicted, y, people)
        by_fold = score_numbers(predicted, y, tested)
        for i in range(2):  # concordance and error
            over_subjects = np.subtract(*by_person[i].mean(axis=1))
            over_folds = np.subtract(*by_fold[i].reshape(2, -1))
            p_values[study, i] = (
                wilcoxon_test(over_subjects).p_value,
                corrected_t_test(over_folds, len(y) - n_test, n_test).p_value,
                stats.ttest_1samp(over_folds, 0).pvalue,
            )
    by_subject = protocol.n_repeats == 1 or not protocol.by_subject  # what test="auto" takes
    row = {"protocol": protocol.title, "data": data.title}
    for i, name in enumerate(("CCC", "RMSE")):
        wilcoxon, corrected, plain = (p_values[:, i] <= LEVEL).T
        row[f"{name}: Wilcoxon"] = percent(wilcoxon, bold=by_subject)
        row[f"{name}: corrected t"] = percent(corrected, bold=not by_subject)
        row[f"{name}: plain t"] = percent(plain)
    return row


def draw_numbers(data, slope, rng, n_subjects=N_SUBJECTS):
    """Draw the features of two models, (2, n_windows, n_features), and the numbers."""
    y = rng.normal(size=(n_subjects, 1)) + rng.normal(size=(n_subjects, N_WINDOWS))
    size = (2, n_subjects, 1, data.n_features)
    unlike = data.unlike * rng.normal(size=size) if slope else np.zeros(size)
    X = data.between * rng.normal(size=size)
    X = X + y[:, :, None] * (slope + unlike) / np.sqrt(data.n_features)
    X = X + rng.normal(size=(2, n_subjects, N_WINDOWS, data.n_features))
    return X.reshape(2, -1, data.n_features), y.ravel()


def try_training(data, n_studies, rng):
    """How often tests over subjects find a difference, if training is shared and if it is not."""
    people = np.arange(N_SUBJECTS * N_WINDOWS) // N_WINDOWS == np.arange(N_SUBJECTS)[:, None]
    signs = rng.choice([-1, 1], size=(N_RESAMPLES - 1, N_SUBJECTS))
    tests = ("Wilcoxon", "Wilcoxon of logarithms", "sign flips", "Wilcoxon, trained apart")
    found = {f"{score}: {test}": [] for score in ("CCC", "RMSE") for test in tests}
    del found["CCC: Wilcoxon of logarithms"]  # which may be negative
    for _ in range(n_studies):
        X, y = draw_numbers(data, SLOPE, rng)
        shared = score_numbers(regress(X, y, people[None]), y, people[None])
        others = draw_numbers(data, SLOPE, rng, N_SUBJECTS * (N_SUBJECTS - 1))
        apart = score_numbers(regress_apart(X, *others), y, people[None])
        for score, of_shared, of_apart in zip(("CCC", "RMSE"), shared, apart, strict=True):
            differences = np.subtract(*of_shared[:, 0])
            found[f"{score}: Wilcoxon"].append(wilcoxon_test(differences).p_value)
            as_far = np.abs(signs @ differences) >= np.abs(differences.sum())
            found[f"{score}: sign flips"].append((1 + as_far.sum()) / N_RESAMPLES)
            differences = np.subtract(*of_apart[:, 0])
            found[f"{score}: Wilcoxon, trained apart"].append(wilcoxon_test(differences).p_value)
        differences = np.subtract(*np.log(shared[1][:, 0]))
        found["RMSE: Wilcoxon of logarithms"].append(wilcoxon_test(differences).p_value)
    rates = {name: percent(np.array(p_values) <= LEVEL) for name, p_values in found.items()}
    return {"data": data.title, **rates}


def regress_apart(X, X_train, y_train):
    """As `regress`, but each subject is predicted by models trained on people of their own."""
    X = X.reshape(2, N_SUBJECTS, N_WINDOWS, -1)
    X_train, y_train = (
        X_train.reshape(2, N_SUBJECTS, -1, X.shape[3]),
        y_train.reshape(N_SUBJECTS, -1),
    )
    rows, new = (np.concatenate([x, np.ones((*x.shape[:3], 1))], axis=3) for x in (X_train, X))
    turned = rows.swapaxes(2, 3)
    w = np.linalg.solve(turned @ rows, turned @ y_train[..., None])
    return (new @ w).reshape(2, 1, -1)


def regress(X, y, tested):
    """Return the numbers that each model's least squares predict, (2, n_repeats, n_windows)."""
    rows = np.concatenate([X, np.ones((*X.shape[:2], 1))], axis=2)[:, None]  # with an intercept
    n_models, _, n_windows, size = rows.shape
    weights = (~tested).astype(float)
    products = rows[..., :, None] * rows[..., None, :]
    squares = weights @ products.reshape(n_models, 1, n_windows, -1)
    squares = squares.reshape(n_models, *tested.shape[:2], size, size)
    moments = weights @ (rows * y[:, None])
    w = np.linalg.solve(squares, moments[..., None])[..., 0]
    return np.einsum("mrkn,rkn->mrn", w @ rows.swapaxes(2, 3), tested)


def score_numbers(predicted, y, chosen):
    """Concordance and RMSE of each model in chosen windows, each (2, n_repeats, n_choices)."""
    weights = mean_weights(chosen)
    mean, own = np.einsum("rkn,n->rk", weights, y), np.einsum("mrn,rkn->mrk", predicted, weights)
    variance = np.einsum("rkn,n->rk", weights, y**2) - mean**2
    spread = np.einsum("mrn,rkn->mrk", predicted**2, weights) - own**2
    covariance = np.einsum("mrn,rkn->mrk", predicted * y, weights) - own * mean
    concordance = 2 * covariance / (variance + spread + (own - mean) ** 2)
    return concordance, np.sqrt(np.einsum("mrn,rkn->mrk", (predicted - y) ** 2, weights))


def mean_weights(chosen):
    return chosen / chosen.sum(2, keepdims=True)


def score_folds(hits, y, tested):
    """Balanced accuracy of each model and fold, (2, n_repeats * n_folds)."""
    weights = sum(mean_weights(tested & (y == label)) / 2 for label in (0, 1))
    return np.einsum("mrn,rkn->mrk", hits, weights).reshape(2, -1)


def try_interval(of, n_subjects, n_studies, rng):
    """How often the interval holds the truth: skemo's, and that of SciPy alone."""
    skill = rng.beta(*SKILL, size=(n_studies, n_subjects))
    samples, truth = draw_scores(skill, N_WINDOWS, rng), SKILL[0] / sum(SKILL)
    if of == "differences":
        samples, truth = samples - draw_scores(skill, N_WINDOWS, rng), 0.0
    held = np.empty((2, n_studies), bool)
    for study, values in enumerate(samples):
        options = {"n_resamples": N_RESAMPLES, "random_state": rng}
        plain = stats.bootstrap((values,), np.mean, **options).confidence_interval
        for i, (low, high) in enumerate((bootstrap_interval(values, **options), plain)):
            held[i, study] = low <= truth <= high
    row = {"interval of": of, "subjects": n_subjects}
    return {**row, "skemo": percent(held[0]), "SciPy, not expanded": percent(held[1])}


def draw_scores(skill, n_windows, rng):
    """Balanced accuracy of each subject, half of whose windows are of each class."""
    return rng.binomial(n_windows // 2, skill, size=(2, *skill.shape)).mean(0) / (n_windows // 2)


def try_corrections(shared, n_studies, rng):
    """How often at least one of several equally good models is found to differ."""
    methods = {"uncorrected": None, "Holm": "holm", "FDR": "fdr"}
    found = pd.DataFrame(False, range(n_studies), list(methods))
    for study in range(n_studies):
        skill = np.tile(rng.beta(*SKILL, size=N_SUBJECTS), (N_TESTS, 1))
        reference = draw_scores(skill[:1] if shared else skill, 2 * N_WINDOWS, rng)
        differences = draw_scores(skill, 2 * N_WINDOWS, rng) - reference
        p_values = [wilcoxon_test(values).p_value for values in differences]
        found.loc[study] = [correct_p_values(p_values, m).min() <= LEVEL for m in methods.values()]
    compared = f"{N_TESTS} models and one reference" if shared else f"{N_TESTS} pairs"
    return {"compared": compared, **found.apply(percent)}


def percent(happened, bold=False):
    """A rate in per cent, with its binomial standard error."""
    rate = happened.mean()
    text = f"{100 * rate:.1f} ± {100 * np.sqrt(rate * (1 - rate) / len(happened)):.1f}"
    return f"**{text}**" if bold else text


def describe(n_studies, rates, power, coverage, families, numbers, nothing, training):
    return f"""\
# How often the tests and intervals are wrong

{describe_machine()}
Per cent of {n_studies:,} simulated studies for each row, each drawn anew, people and all, ± \
binomial standard error in points. Reproduce with `python benchmarks/simulate_tests.py`.

## Two equally good models

How often a test finds a difference at the 5 % level although there is none: at most 5 would be \
right. A study has {N_SUBJECTS} subjects with {N_WINDOWS} windows each, half of each class; two \
linear discriminant analyses learn from separate features, drawn in the same way. The classes are \
{SEPARATION} standard deviations of a subject's windows apart. A subject's mean of each feature \
has a standard deviation of {DATA[0].between} (unlike people: {DATA[-1].between}), and the vector \
from class to class differs between them by {DATA[0].unlike} ({DATA[-1].unlike}). Folds are of \
whole subjects (group) or of windows (segment). The test that `compare_models` chooses by default \
is in bold.

{rates}

## One model is better

How often the same tests find the difference if the classes of the better model are {ADVANTAGE} \
standard deviations further apart. The difference in balanced accuracy is the mean over all \
studies.

{power}

## Two equally good regressions

The same for numbers: two linear regressions by least squares, on separate features with the same \
relation to the target, by the concordance (CCC) and by the error (RMSE). The targets vary as much \
between the means of subjects as within a subject, with a standard deviation of 1, and a feature \
rises by {SLOPE} over the square root of their number per unit. Folds of windows are of the same \
people, on whom one of the two happens to be better, so that a test over folds is no test for \
other people.

{numbers}

The same for a regression on {DATA[0].title} without any relation to the target, against the mean \
of training. It is the worse of the two by its error, since it fits noise, but its concordance is \
0 on average, as that of the mean is: at most 5 would be right for CCC. (With folds of windows \
the regression knows the people, and learns their means: that is not nothing.)

{nothing}

## Why it is more than 5 %

Two regressions under leave-one-subject-out, as above. All folds share nearly the same training \
people. If one of the two models happens to learn more from them, it is better for most of the \
tested people: their differences rise and fall together, but a test over subjects takes them for \
independent. The last column for each score shows that this is the cause. There, the models of \
each tested person are trained on {N_SUBJECTS - 1} people of their own, who are drawn anew and are \
in no other training set, and Wilcoxon's test finds a difference in 4 to 5 %. Neither the shape of \
the differences nor ties are the cause: Wilcoxon's test of the logarithms of the errors, and a \
test that flips the signs of the differences and compares their means, find differences about as \
often.

How strongly the folds depend on each other cannot be estimated from one cross-validation (Bengio \
and Grandvalet 2004, Journal of Machine Learning Research 5, 1089-1105), so no test can be relied \
on to find 5 %. Wilcoxon's test finds somewhat more, and increasingly so the more a model has to \
learn and the more people differ. The corrected t test assumes that folds depend on each other \
more than these do: it stays below 5 % if each person is tested once, but misses more of the true \
differences.

{training}

## Intervals of 95 %

How often the interval holds the true mean over subjects: of balanced accuracies of {N_WINDOWS} \
windows, and of differences of two equally good models. 95 would be right. A subject's chance of a \
right answer is drawn from the beta distribution of {SKILL[0]} and {SKILL[1]}. \
`bootstrap_interval`, which is expanded for few subjects, stands beside `scipy.stats.bootstrap` as \
it is; both BCa, of {N_RESAMPLES:,} resamples.

{coverage}

## Many tests

How often at least one of {N_TESTS} Wilcoxon tests finds a difference although there is none: \
{N_TESTS} models held against one reference, or {N_TESTS} pairs that share nothing but the \
subjects. {N_SUBJECTS} subjects of {2 * N_WINDOWS} windows, drawn as for the intervals.

{families}
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=3000, metavar="N", help="for each row")
    parser.add_argument("--quick", action="store_true", help="20 studies; only print the page")
    parser.add_argument("--n-jobs", type=int, default=joblib.cpu_count(), metavar="N")
    args = parser.parse_args()
    if args.quick:
        print(main(20, args.n_jobs))
    else:
        PAGE.write_text(main(args.studies, args.n_jobs), encoding="utf-8")
