"""Confidence intervals and paired tests of scores, over subjects or folds."""

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo._checks import is_number
from skemo._escape import to_printable
from skemo.evaluation.scores import check_metric, decimals_of

_LINE = 80  # characters of a printed line
_LARGEST = 1e100  # of differences, whose squares are added up
_DRAWN = 2**18  # values that the bootstrap draws at once, at about 40 bytes each
_EXACT = 1000  # subjects; the time of the exact p value grows with their cube
_DECIMALS = 12  # mathematically equal differences, such as 0.3 - 0.1 and 0.2, are ties
_COLUMNS = [
    "model",
    "other",
    "metric",
    "mean_difference",
    "low",
    "high",
    "effect_size",
    "effect",
    "statistic",
    "p_value",
    "p_corrected",
    "test",
    "n",
    "left_out",
    "better",
    "worse",
    "same",
]
_EFFECTS = {"wilcoxon": "rank-biserial r", "corrected-t": "Hedges' g"}
_TESTS = {"wilcoxon": "Wilcoxon over subjects", "corrected-t": "corrected t over folds"}


class PairedTests(pd.DataFrame):
    """Paired tests of models; printed, only difference, interval and p, within 80 columns."""

    def __repr__(self) -> str:
        needed = {"model", "other", "metric", "mean_difference", "low", "high", "p_corrected"}
        if not len(self) or not needed.issubset(self.columns):
            return pd.DataFrame(self).__repr__()
        decimals = max(3, decimals_of(self[["mean_difference", "low", "high"]]))
        shown = pd.DataFrame(index=self.index)
        shown["difference"] = [
            "–" if np.isnan(difference) else f"{difference:+.{decimals}f}"
            for difference in self["mean_difference"]
        ]
        shown["interval"] = [
            "–" if np.isnan(low) else f"[{low:+.{decimals}f}, {high:+.{decimals}f}]"
            for low, high in zip(self["low"], self["high"], strict=True)
        ]
        shown["p"] = [
            "–" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
            for p in self["p_corrected"]
        ]
        names = [name for name in ("target", "model", "other") if name in self]
        texts = {name: self[name].astype(str).tolist() for name in names}
        needs = {name: max(map(len, [name, *texts[name]])) for name in names}
        free = _LINE - len(shown.to_string(index=False).partition("\n")[0]) - len(names)
        widths = {}
        for i, name in enumerate(sorted(names, key=needs.__getitem__)):  # short names leave more
            widths[name] = min(needs[name], free // (len(names) - i))
            free -= widths[name]
        for i, name in enumerate(names):
            width = widths[name]
            cut = [t if len(t) <= width else f"{t[: width - 1]}…" for t in texts[name]]
            shown.insert(i, name, cut)
        about = f"{self['metric'].iloc[0]}, {self['test'].iloc[0]}"
        if self.attrs.get("correction"):
            about += f", p corrected ({self.attrs['correction']})"
        lines = [to_printable(shown.to_string(index=False)), about]
        if "lower_is_better" in self.attrs:
            sign = "negative" if self.attrs["lower_is_better"] else "positive"
            lines.append(f"difference: model - other; if it is {sign}, model is better")
        return "\n".join(lines)

    def _repr_html_(self) -> None:
        """Return nothing, so that notebooks show the same."""


class Interval(NamedTuple):
    """The ends of a confidence interval."""

    low: float
    high: float


class PairedTest(NamedTuple):
    """The result of a two-sided paired test of `n` differences."""

    statistic: float
    p_value: float
    effect_size: float
    n: int


def bootstrap_interval(
    values: ArrayLike,
    *,
    confidence: float = 0.95,
    n_resamples: int = 10_000,
    method: Literal["BCa", "percentile"] = "BCa",
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
) -> Interval:
    """Return the bootstrap confidence interval of a mean over subjects.

    Subjects are drawn with replacement by `scipy.stats.bootstrap`. For few subjects the interval
    would be too short, so it is expanded as Hesterberg advises [2]_.

    Parameters
    ----------
    values : array-like of shape (n_subjects,)
        One value per subject: a score, or a difference between two models. NaN is left out.
    confidence : float, default=0.95
        Nominal coverage.
    n_resamples : int, default=10000
        Number of bootstrap samples.
    method : {"BCa", "percentile"}, default="BCa"
        "BCa" corrects for bias and skewness [1]_.
    random_state : int, RandomState, Generator or None, default=0
        Seed of the bootstrap.

    Returns
    -------
    Interval
        `low` and `high`. Both are the mean if all values are equal, and NaN for fewer than two.

    Raises
    ------
    ValueError
        `values` has another shape or holds ±inf, or `confidence` is not between 0 and 1.

    Notes
    -----
    For n values, the ends are those of the interval whose tails are Φ(√(n / (n − 1)) t), where t is
    the quantile of Student's distribution with n − 1 degrees of freedom. It is longer by as much as
    Student's interval is longer than that of a normal distribution of known variance. In 3,000
    simulated studies each (``benchmarks/results/tests.md``), the 95 % interval contained the true
    difference of balanced accuracies (12 windows per subject) in 94 % with 6, 10 and 24 subjects;
    without the expansion, in 87, 90 and 92 %.

    References
    ----------
    .. [1] Efron (1987). Better bootstrap confidence intervals. Journal of the American
       Statistical Association 82, 171-185.
    .. [2] Hesterberg (2015). What teachers should know about the bootstrap. The American
       Statistician 69, 371-386.

    Examples
    --------
    >>> from skemo.evaluation.statistics import bootstrap_interval
    >>> low, high = bootstrap_interval([0.6, 0.7, 0.8, 0.9])
    >>> 0.6 <= low < 0.75 < high <= 0.9
    True
    """
    from scipy.special import ndtr, stdtrit
    from scipy.stats import bootstrap

    sample = _finite(values, "values")
    if not is_number(confidence) or not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence!r}.")
    n = len(sample)
    if n < 2:
        return Interval(np.nan, np.nan)
    if np.ptp(sample) < 10.0**-_DECIMALS:
        return Interval(sample.mean().item(), sample.mean().item())
    tail = ndtr(np.sqrt(n / (n - 1)) * stdtrit(n - 1, (1 - confidence) / 2))
    interval = bootstrap(
        (sample,),
        np.mean,
        confidence_level=1 - 2 * max(tail, 1e-12),  # without a tail there is no BCa interval
        n_resamples=n_resamples,
        batch=max(1, _DRAWN // n),
        method=method,
        random_state=random_state,
    ).confidence_interval
    return Interval(interval.low.item(), interval.high.item())


def wilcoxon_test(differences: ArrayLike) -> PairedTest:
    """Test whether paired differences lie symmetrically about zero, by their signed ranks.

    Wilcoxon's test over subjects. The p value is exact for any number of ties and zeros: it
    compares the rank sum with its distribution over all 2ⁿ choices of signs, given the absolute
    differences. For more than 1,000 differences other than zero, this distribution is taken to be
    normal, which changes p by less than 1 % down to p = 0.01. Scores of few windows lie on a grid
    and are often tied, and the usual tables do not hold for ties. Zeros are ranked and then left
    out (Pratt [1]_), which for this distribution gives the same p as giving half of their ranks to
    each side.

    Parameters
    ----------
    differences : array-like of shape (n_subjects,)
        One difference per subject, rounded to 12 decimals. NaN is left out.

    Returns
    -------
    PairedTest
        `statistic`, the smaller of the rank sums R₊ and R₋; `p_value`, 1 if all differences are
        zero and NaN if there are none; `effect_size`, the rank-biserial correlation of matched
        pairs [2]_, (R₊ − R₋) / (n (n + 1) / 2), between −1 and 1, where zeros weaken the effect;
        `n`.

    Raises
    ------
    ValueError
        `differences` has another shape or holds ±inf.

    References
    ----------
    .. [1] Pratt (1959). Remarks on zeros and ties in the Wilcoxon signed rank procedures.
       Journal of the American Statistical Association 54, 655-667.
    .. [2] Kerby (2014). The simple difference formula: an approach to teaching nonparametric
       correlation. Comprehensive Psychology 3, 11.IT.3.1.

    Examples
    --------
    >>> from skemo.evaluation.statistics import wilcoxon_test
    >>> wilcoxon_test([0.1, 0.2, 0.2, 0.0, 0.3])
    PairedTest(statistic=0.0, p_value=0.125, effect_size=0.9333333333333333, n=5)
    """
    from scipy.stats import rankdata

    rounded = np.round(_finite(differences, "differences"), _DECIMALS)
    n = len(rounded)
    if n == 0:
        return PairedTest(np.nan, np.nan, np.nan, 0)
    # Tied ranks are multiples of one half, so twice the rank is whole.
    ranks = np.rint(2 * rankdata(np.abs(rounded))).astype(int)
    positive, negative = ranks[rounded > 0].sum(), ranks[rounded < 0].sum()
    smaller = min(positive, negative)
    signed = ranks[rounded != 0]
    tail = _exact_tail if len(signed) <= _EXACT else _normal_tail
    p_value = min(1.0, 2 * tail(smaller, signed))
    effect = (positive - negative) / (n * (n + 1))
    return PairedTest(smaller.item() / 2, p_value, effect.item(), n)


def _exact_tail(largest, ranks):
    """Probability that the sum of the ranks, each counted or not at 1/2, is at most `largest`."""
    chances = np.zeros(largest + 1)
    chances[0], end = 1.0, 1
    for rank in ranks:  # one subject at a time
        before = chances[:end] / 2
        chances[:end] = before
        chances[rank : rank + end] += before[: max(0, len(chances) - rank)]
        end = min(end + rank, len(chances))
    return chances.sum().item()


def _normal_tail(largest, ranks):
    """The same for many ranks, by a normal distribution of the same mean and variance."""
    from scipy.special import ndtr

    # The sum changes in steps of 1, or of 2 if all ranks are even; the tail ends in mid-step.
    middle = largest + np.gcd.reduce(ranks) / 2
    return ndtr((2 * middle - ranks.sum()) / np.sqrt((ranks**2.0).sum())).item()


def _mean_size(sizes, name):
    """Return the mean number of windows, checked."""
    numbers = np.asarray(sizes)
    if numbers.dtype.kind not in "iuf" or not numbers.size:
        raise ValueError(f"{name} must be numbers of windows, got {sizes!r}.")
    return numbers.mean()


def corrected_t_test(
    differences: ArrayLike, n_train: float | ArrayLike, n_test: float | ArrayLike
) -> PairedTest:
    """Test whether differences over the folds of a (repeated) k-fold have mean zero.

    The corrected resampled t test of Nadeau and Bengio [1]_. Folds share training windows, so
    their differences are not independent, and over repetitions the usual t test finds far too
    many differences. With J differences of mean m and variance s²::

        t = m / sqrt((1 / J + n_test / n_train) s²),  J − 1 degrees of freedom

    Parameters
    ----------
    differences : array-like of shape (n_folds,)
        One difference per fold of all repetitions, rounded to 12 decimals. NaN is left out.
    n_train : float or array-like of shape (n_folds,)
        Number of training windows of a fold; an array is averaged.
    n_test : float or array-like of shape (n_folds,)
        Number of test windows of a fold; an array is averaged.

    Returns
    -------
    PairedTest
        `statistic`, t; `p_value`, 1 if all differences are zero, and NaN for fewer than two or if
        all are equal but not zero: without a spread the mean cannot be judged, and few folds of
        few windows may be equal by chance; `effect_size`, `hedges_g` over folds, which
        cannot be compared with one over subjects; `n`, J.

    Raises
    ------
    ValueError
        `differences` has another shape or holds ±inf, or a size is not positive.

    References
    ----------
    .. [1] Nadeau, Bengio (2003). Inference for the generalization error. Machine Learning 52,
       239-281.

    Examples
    --------
    >>> from skemo.evaluation.statistics import corrected_t_test
    >>> test = corrected_t_test([0.02, 0.01, 0.03, 0.02], n_train=75, n_test=25)
    >>> round(test.statistic, 3), round(test.p_value, 3)
    (3.207, 0.049)
    """
    from scipy.special import stdtr

    rounded = np.round(_finite(differences, "differences"), _DECIMALS)
    train_size, test_size = _mean_size(n_train, "n_train"), _mean_size(n_test, "n_test")
    n = len(rounded)
    if n < 2:
        return PairedTest(np.nan, np.nan, np.nan, n)
    if not (train_size > 0 and test_size > 0):
        raise ValueError(f"n_train and n_test must be positive, got {train_size} and {test_size}.")
    mean = rounded.mean()
    spread = rounded.std(ddof=1) * np.sqrt(1 / n + test_size / train_size)
    t = _ratio(mean, spread)
    p_value = 2 * stdtr(n - 1, -abs(t)).item() if math.isfinite(t) else np.nan
    return PairedTest(t, p_value, hedges_g(rounded), n)


def hedges_g(differences: ArrayLike) -> float:
    """Return the standardised mean of paired differences.

    Mean over standard deviation (Cohen's d_z), times Hedges' exact factor for small samples
    [1]_, Γ(m/2) / (√(m/2) Γ((m−1)/2)) with m = n − 1, which removes its bias.

    Parameters
    ----------
    differences : array-like of shape (n_subjects,)
        NaN is left out.

    Returns
    -------
    float
        0 if all differences are 0, infinite if they are equal but not 0, and NaN for fewer
        than three, since two have no unbiased estimate.

    Raises
    ------
    ValueError
        `differences` has another shape or holds ±inf.

    References
    ----------
    .. [1] Hedges (1981). Distribution theory for Glass's estimator of effect size and related
       estimators. Journal of Educational Statistics 6, 107-128.

    Examples
    --------
    >>> from skemo.evaluation.statistics import hedges_g
    >>> round(hedges_g([0.1, 0.2, 0.3, 0.2, 0.2]), 3)
    2.257
    """
    rounded = np.round(_finite(differences, "differences"), _DECIMALS)
    m = len(rounded) - 1
    if m < 2:
        return np.nan
    log_factor = math.lgamma(m / 2) - math.lgamma((m - 1) / 2) - math.log(m / 2) / 2
    return _ratio(rounded.mean(), rounded.std(ddof=1)) * math.exp(log_factor)


def correct_p_values(
    p_values: ArrayLike, method: Literal["holm", "fdr"] | None = "holm"
) -> NDArray[np.float64]:
    """Correct p values for the number of tests.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)
        NaN stays NaN and does not count as a test.
    method : {"holm", "fdr"} or None, default="holm"
        "holm" bounds the probability of any false finding [1]_, however the tests depend on each
        other; "fdr" bounds the expected share of false findings [2]_; None changes nothing.

    Returns
    -------
    ndarray of shape (n_tests,)

    Raises
    ------
    ValueError
        The method is unknown, or a p value is not between 0 and 1.

    References
    ----------
    .. [1] Holm (1979). A simple sequentially rejective multiple test procedure. Scandinavian
       Journal of Statistics 6, 65-70.
    .. [2] Benjamini, Hochberg (1995). Controlling the false discovery rate. Journal of the Royal
       Statistical Society B 57, 289-300.

    Examples
    --------
    >>> from skemo.evaluation.statistics import correct_p_values
    >>> correct_p_values([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    if method not in ("holm", "fdr", None):
        raise ValueError(f'The correction must be "holm", "fdr" or None, got {method!r}.')
    corrected = np.array(p_values, np.float64)
    known = ~np.isnan(corrected)
    p = corrected[known]
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p values must be between 0 and 1, got {p[(p < 0) | (p > 1)][0]}.")
    if method == "holm" and len(p):
        order = np.argsort(p)
        steps = np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order])
        p[order] = np.minimum(steps, 1)
    elif method == "fdr" and len(p):
        from scipy.stats import false_discovery_control

        p = false_discovery_control(p)
    corrected[known] = p
    return corrected


def compare_models(
    comparison: Any,
    *,
    metric: str | None = None,
    reference: str | None = None,
    test: Literal["auto", "wilcoxon", "corrected-t"] = "auto",
    correction: Literal["holm", "fdr"] | None = "holm",
    confidence: float = 0.95,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
) -> pd.DataFrame:
    """Test which differences between models are larger than chance.

    Parameters
    ----------
    comparison : Comparison
        From `compare`.
    metric : str, default=None
        A score of `Comparison.subject_scores`. None means `Comparison.main_metric`.
    reference : str or None, default=None
        The model to compare all others with. None compares every pair.
    test : {"auto", "wilcoxon", "corrected-t"}, default="auto"
        `wilcoxon_test` over subjects, whose scores are averaged over repetitions, or
        `corrected_t_test` over folds and repetitions. "auto" is Wilcoxon if each fold tests one
        subject (leave-one-subject-out, leave-one-trial-out) or each subject is tested in one fold
        only (group k-fold without repetitions), and the corrected t test if folds share subjects
        (segment and blocked k-fold) or a group k-fold is repeated. For numbers it is Wilcoxon if
        the tested subjects are in training.
    correction : {"holm", "fdr"} or None, default="holm"
        Correction for the number of pairs, as in `correct_p_values`.
    confidence : float, default=0.95
        Level of the bootstrap interval over subjects.
    random_state : int, RandomState, Generator or None, default=0
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        One row per pair, in the order of the models: `model`, `other`, `metric`; `mean_difference`
        over subjects, `model` minus `other`, and its bootstrap interval, `low` and `high`;
        `effect_size`, and `effect`, its name; `statistic`, `p_value`, `p_corrected`, and `test`,
        its name; `n`, the number of subjects or folds with a score of both models, and `left_out`,
        the number of the others, where a fit failed or the score is not defined; and in how many of
        the n `model` is `better`, `worse` and the `same`. `attrs` holds `metric`, `confidence`,
        `correction` and `lower_is_better`: for errors, a negative difference means that `model` is
        better. A printed table says so.

    Raises
    ------
    ValueError
        The metric, the reference or the test is unknown.

    Warns
    -----
    UserWarning
        The two scores of a subject are over different windows, since fits of one model failed.

    Notes
    -----
    The correction grows with the number of pairs. With `reference` there are fewer, and true
    differences are found more often.

    Models of different folds learn from mostly the same subjects. If one of two equally good
    models happens to learn more from these, it is better for most of the tested subjects, so tests
    find a difference too often, and no test of a single cross-validation corrects for this exactly
    [1]_. In simulated studies (24 subjects with 12 windows each, new data for each study, 3,000
    studies of each of three kinds; ``benchmarks/results/tests.md``) two equally good linear
    classifiers differed at the 5 % level by Wilcoxon in 5 to 7 % under leave-one-subject-out and
    in 6 to 8 % under group k-fold; by the corrected t test over one k-fold in 1 to 2 %, so it
    misses many true differences, and over five repetitions in 3 to 6 %; by an uncorrected t test
    over five in 39 to 45 %.

    For numbers, two equally good linear regressions differed by Wilcoxon in 5 to 8 % under
    leave-one-subject-out and in 6 to 9 % under group k-fold, and in 8 to 10 % if people are unlike;
    by the corrected t test in 1 to 2 %, and over five repetitions in 3 to 8 %. If the training
    sets of two subjects have no one in common, it is 4 to 5 % by Wilcoxon. If 5 % must not be
    exceeded, use ``test="corrected-t"`` without repetitions. Folds of windows are of the same
    people, on whom one of the models happens to be better: by the corrected t test they then
    differed in 3 to 40 %, by Wilcoxon in 5 to 11 %.

    The interval is about the mean, and Wilcoxon's test is about ranks. If a few subjects dominate
    the mean, one may exclude zero while the other does not.

    References
    ----------
    .. [1] Bengio, Grandvalet (2004). No unbiased estimator of the variance of k-fold
       cross-validation. Journal of Machine Learning Research 5, 1089-1105.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import compare, make_dummy, make_svm
    >>> y, subjects = np.tile(["rest", "stress"], 60), np.repeat(list("abcdef"), 20)
    >>> X = np.random.default_rng(0).normal(size=(120, 2)) + 5 * (y == "stress")[:, None]
    >>> models = {"SVM": make_svm("passthrough"), "majority": make_dummy("passthrough")}
    >>> compare(models, X, y, subjects).test()[["mean_difference", "p_value"]].values.tolist()
    [[0.5, 0.03125]]
    """
    table, notes = compare_pairs(
        comparison,
        metric=metric,
        reference=reference,
        test=test,
        correction=correction,
        confidence=confidence,
        random_state=random_state,
    )
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    return table


def compare_pairs(
    comparison: Any,
    *,
    metric: str | None = None,
    reference: str | None = None,
    test: Literal["auto", "wilcoxon", "corrected-t"] = "auto",
    correction: Literal["holm", "fdr"] | None = "holm",
    confidence: float = 0.95,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Do what `compare_models` does, but return what it warns of.

    Parameters
    ----------
    comparison, metric, reference, test, correction, confidence, random_state
        As for `compare_models`.
    pairs : sequence of (str, str), default=None
        The pairs of models to compare. None means every pair, or those with `reference`.

    Returns
    -------
    table : DataFrame
    notes : list of str
    """
    if test not in ("auto", *_TESTS):
        raise ValueError(f"test must be 'auto', {', '.join(map(repr, _TESTS))}, got {test!r}.")
    if test == "auto":
        within = comparison.task == "regression" and comparison.about_protocol.known_subjects
        by_subject = within or _people_are_the_sample(comparison.scores)
        test = "wilcoxon" if by_subject else "corrected-t"
    models, scores = comparison.models, comparison.subject_scores()
    metric = comparison.main_metric if metric is None else metric
    check_metric(metric, comparison.metrics)
    if reference is not None and reference not in models:
        known = ", ".join(map(repr, models))
        raise ValueError(f"reference={reference!r} is not one of the models: {known}.")
    if pairs is None:
        pairs = list(itertools.combinations(models, 2))
    if reference is not None:
        pairs = [(model, reference) for model in models if model != reference]
    by_subject, windows = (
        scores.pivot(index="subject", columns="model", values=name).reindex(columns=models)
        for name in (metric, "n_windows")
    )
    units, n_units = by_subject, comparison.details["data"]["n_subjects"]
    if test == "corrected-t":
        folds, n_units = comparison.fold_scores(), comparison.n_fits
        sizes = folds.groupby(["repeat", "fold"])[["n_train", "n_windows"]].first()
        units = folds.pivot(index=["repeat", "fold"], columns="model", values=metric)
        units = units.reindex(columns=models)
    lower_is_better = comparison.describe_metric(metric).lower_is_better
    rows, notes = [], []
    for model, other in pairs:
        over_subjects = (by_subject[model] - by_subject[other]).dropna()
        notes += _different_windows(windows.loc[over_subjects.index, [model, other]])
        differences = (units[model] - units[other]).dropna().round(_DECIMALS)
        if test == "wilcoxon":
            found = wilcoxon_test(differences)
        else:
            own = sizes.loc[differences.index]
            found = corrected_t_test(differences, own["n_train"], own["n_windows"])
        interval = bootstrap_interval(
            over_subjects, confidence=confidence, random_state=random_state
        )
        gain = -differences if lower_is_better else differences
        rows.append(
            [
                model,
                other,
                metric,
                over_subjects.mean(),
                *interval,
                found.effect_size,
                _EFFECTS[test],
                found.statistic,
                found.p_value,
                np.nan,
                _TESTS[test],
                found.n,
                n_units - found.n,
                (gain > 0).sum(),
                (gain < 0).sum(),
                (gain == 0).sum(),
            ]
        )
    table = PairedTests(rows, columns=_COLUMNS)
    table["p_corrected"] = correct_p_values(table["p_value"], correction)
    table.attrs = {
        "metric": metric,
        "confidence": confidence,
        "correction": correction,
        "lower_is_better": lower_is_better,
    }
    return table, notes


def _finite(values: ArrayLike, name: str) -> NDArray[np.float64]:
    checked = np.asarray(values)
    if checked.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be real numbers, got dtype {checked.dtype}.")
    if checked.ndim != 1:
        raise ValueError(f"{name} must have shape (n,), got {checked.shape}.")
    checked = checked.astype(np.float64)
    if np.isinf(checked).any():
        raise ValueError(f"{name} must be finite or NaN, got {checked[np.isinf(checked)][0]}.")
    if (np.abs(checked) > _LARGEST).any():
        raise ValueError(f"{name} must be at most {_LARGEST:g} in magnitude.")
    return checked[~np.isnan(checked)]


def _ratio(mean, spread):
    """mean / spread; without a spread, 0 or infinite."""
    if mean == 0:
        return 0.0
    # The standard deviation of equal numbers is not exactly 0.
    return (mean / spread).item() if spread > 10.0**-_DECIMALS else math.copysign(math.inf, mean)


def _people_are_the_sample(scores):
    """Whether folds test one subject each, or each subject is tested in one fold."""
    tested = scores[["repeat", "fold", "subject"]].drop_duplicates()
    return not (tested.duplicated(["repeat", "fold"]).any() and tested.duplicated("subject").any())


def _different_windows(windows):
    """Return a note if some subjects have different windows under two models."""
    first, second = windows
    different = windows.index[windows[first] != windows[second]]
    if not len(different):
        return []
    return [
        f"{first!r} and {second!r} are scored on different windows of {len(different)} "
        f"subject(s), {different[0]} among them, since fits failed: see `failures`."
    ]
