"""The outcome of a comparison: which model is best, and which differences are established."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skemo.evaluation.controls import GUESSES, MAJORITY, PERMUTED
from skemo.evaluation.scores import metric_decimals

if TYPE_CHECKING:
    from skemo.evaluation.comparison import Comparison
    from skemo.report.html import Html

ALPHA = 0.05
_MAX_FOR_ALL_PAIRS = 4  # models; with more, only the pairs with the best one are shown


@dataclass(frozen=True)
class Outcome:
    """The best model of a comparison, and the tests on it.

    Parameters
    ----------
    comparison : Comparison
    models : list of str
        The models compared.
    controls : list of str
        The majority class or the mean of training, and models trained on permuted labels.
    means : Series
        The mean of the `metric` over subjects, by model and control; NaN without scores.
    intervals : DataFrame
        The bootstrap interval of the mean: `low` and `high`, by model and control.
    best : str
        The model with the best mean.
    between : DataFrame
        Each pair of models, as `compare_models` returns it, corrected for the number of pairs.
        Pairs with the best model come first, with the best model as `model`.
    against : DataFrame
        Each model with each of its controls, corrected for the number of models.
    notes : list of str
        Warnings of the tests.
    sections : dict of str to dict of str to Html
        Sections of the report that have been computed already, by the prefix of their ids.
    """

    comparison: "Comparison"
    models: list[str]
    controls: list[str]
    means: pd.Series
    intervals: pd.DataFrame
    best: str
    between: pd.DataFrame
    against: pd.DataFrame
    notes: list[str]
    sections: dict[str, dict[str, "Html"]] = field(default_factory=dict, repr=False)

    @property
    def n_subjects(self) -> int:
        """Number of subjects that the best model was tested on."""
        predictions = self.comparison.predictions
        return predictions.loc[predictions["model"] == self.best, "subject"].nunique()

    @property
    def metric(self) -> str:
        """The score that models are compared by."""
        return self.comparison.main_metric

    @property
    def metric_name(self) -> str:
        """Its name in a sentence."""
        return self.comparison.describe_metric(self.metric).name

    @property
    def unit(self) -> str:
        """What follows its values in a sentence: " %" or nothing."""
        return " %" if self._is_share else ""

    @property
    def _is_share(self):
        return self.comparison.describe_metric(self.metric).percent

    @property
    def sign(self) -> int:
        """1 if higher scores are better, −1 if lower ones are."""
        return -1 if self.comparison.describe_metric(self.metric).lower_is_better else 1

    @property
    def decimals(self) -> int:
        """The decimals of a score that is not a share."""
        return metric_decimals(self.metric, self.means)

    def value(self, score: float) -> str:
        """Return a score as text, in per cent if it is a share."""
        if self._is_share or np.isnan(score):
            return percent(score)
        return f"{score:z.{self.decimals}f}".replace("-", "−")

    def difference(self, score: float) -> str:
        """Return a difference of scores as text with its sign, in points if they are shares."""
        return points(score) if self._is_share else signed(score, self.decimals + 1)

    @property
    def guess(self) -> float:
        """The score of a guess."""
        if self.comparison.task == "regression":
            return 0.0
        return 1 / len(self.comparison.details["data"]["classes"])

    @property
    def low_majority(self) -> bool:
        """Whether the majority class scores clearly below a guess.

        This happens when the tested windows are missing from their class in training: the class
        counts then favour another class.
        """
        return self.means.get(MAJORITY, np.nan) < 0.9 * self.guess

    @property
    def shown(self) -> pd.DataFrame:
        """The rows of `between` to show."""
        if len(self.models) <= _MAX_FOR_ALL_PAIRS:
            return self.between
        return self.between[self.between["model"] == self.best]


def find_outcome(comparison: "Comparison") -> Outcome:
    """Return the Outcome of a comparison."""
    from skemo.evaluation.statistics import bootstrap_interval, compare_pairs, correct_p_values

    controls = [name for name in comparison.models if _is_control(name, comparison.models)]
    models = [name for name in comparison.models if name not in controls]
    if not models:
        models, controls = controls, []
    scores = comparison.subject_scores().pivot(
        index="subject", columns="model", values=comparison.main_metric
    )
    scores = scores.reindex(columns=[*models, *controls])
    means = scores.mean()
    intervals = pd.DataFrame(
        [bootstrap_interval(scores[name]) for name in scores], scores.columns, ["low", "high"]
    )
    # A model tested on only some of the subjects cannot be the best.
    n_scores = scores[models].notna().sum()
    complete = means[models][n_scores == n_scores.max()]
    is_error = comparison.describe_metric(comparison.main_metric).lower_is_better
    best = models[0]
    if n_scores.max():
        best = complete.idxmin() if is_error else complete.idxmax()
    pairs = list(itertools.combinations(models, 2))
    with_controls = [
        (model, control)
        for model in models
        for control in controls
        if control in (*GUESSES, f"{model}{PERMUTED}")
    ]
    tests, notes = compare_pairs(comparison, pairs=pairs + with_controls, correction=None)
    between, against = tests[: len(pairs)], tests[len(pairs) :].reset_index(drop=True)
    between = between.assign(p_corrected=correct_p_values(between["p_value"]))
    # The two kinds of control answer two different questions, which are corrected separately.
    kinds = against["other"].isin(GUESSES)
    corrected = against["p_value"].groupby(kinds).transform(correct_p_values)
    against = against.assign(p_corrected=corrected)
    between = _see_from(best, between)
    notes = list(dict.fromkeys([*comparison.notes(), *notes]))
    return Outcome(comparison, models, controls, means, intervals, best, between, against, notes)


def headline(outcome: Outcome) -> str:
    """Return a sentence on the best model and its score."""
    if np.isnan(outcome.means[outcome.best]):
        return _headline_without_score(outcome)
    low, high = outcome.intervals.loc[outcome.best]
    interval = ""
    if low < high:
        interval = f" (95 % interval {outcome.value(low)} to {outcome.value(high)}{outcome.unit})"
    subjects = count(outcome.n_subjects, "subject")
    if outcome.comparison.about_protocol.known_subjects:
        subjects = f"{subjects} known from training"
    extreme = "lowest" if outcome.sign < 0 else "highest"
    what = "has a" if len(outcome.models) == 1 else f"has the {extreme}"
    comparison = outcome.comparison
    n_failed = (comparison.failures["model"] == outcome.best).sum()
    n_fits = comparison.n_fits
    failed = f" However, {n_failed} of its {n_fits} fits failed, and their windows do not count."
    target = f" for {comparison.details['target']}" if "target" in comparison.details else ""
    score = f"{outcome.metric_name} of {outcome.value(outcome.means[outcome.best])}{outcome.unit}"
    return (
        f"{outcome.best} {what} {score}{target} on average over {subjects}{interval}."
        f"{_declare(outcome)}{failed if n_failed else ''}"
    )


def _headline_without_score(outcome):
    """Say why there is no best model."""
    named = outcome.best if len(outcome.models) == 1 else "every model"
    failures, n_fits = outcome.comparison.failures, outcome.comparison.n_fits
    counts = failures["model"].value_counts().reindex(outcome.models, fill_value=0)
    if (counts == n_fits).all():
        return f"All fits of {named} failed, so there is no score."
    named = outcome.best if len(outcome.models) == 1 else "no model"
    verb = "has no" if len(outcome.models) == 1 else "has a"
    sentence = f"{named} {verb} {outcome.metric_name}, which is not defined for these windows."
    return sentence[:1].upper() + sentence[1:]


def _declare(outcome):
    """Say that the best model uses other windows of the tested person."""
    steps = outcome.comparison.details.get("declared", {}).get(outcome.best)
    if not steps:
        return ""
    return f" It is transductive ({', '.join(steps)}): it needs several windows of a new person."


def verdicts(outcome: Outcome) -> list[str]:
    """Return what is established about the best model, with one sentence per question."""
    said = []
    rest = outcome.means[outcome.models].drop(outcome.best).dropna()
    rest = rest[~rest.index.isin(outcome.comparison.failures["model"])]
    if len(rest):
        following = (outcome.sign * rest).idxmax()
        (row,) = _rows(outcome.between, outcome.best, following).itertuples()
        said.append(_lead(row, f"{outcome.value(rest[following])}{outcome.unit}", outcome))
    for row in _rows(outcome.against, outcome.best).itertuples():
        control = "itself on permuted labels"
        if row.other in GUESSES:
            control = "the majority class" if row.other == MAJORITY else "the mean of training"
        score = f"{control} ({outcome.value(outcome.means[row.other])}{outcome.unit})"
        p = format_p(row.p_corrected)
        if row.other == MAJORITY and outcome.low_majority:
            said.append(f"That it beats {score} means nothing here: a guess scores higher.")
        elif np.isnan(row.p_corrected):
            said.append(f"It could not be tested against {score}.")
        elif row.p_corrected < ALPHA:
            side = "better" if outcome.sign * row.mean_difference > 0 else "worse"
            said.append(f"It is established that it is {side} than {score} (corrected p {p}).")
        else:
            said.append(f"It is not established that it differs from {score} (corrected p {p}).")
    if not outcome.controls:
        guess = "mean" if outcome.comparison.task == "regression" else "majority"
        said.append(
            "No control was run, so nothing is tested against chance: pass "
            f'controls=("{guess}", "permuted") to skemo.compare.'
        )
    said += _say_too_few(outcome)
    return said


def count(n: int, noun: str) -> str:
    """Return "1 pair" or "2 pairs"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def is_permuted(test: Any) -> bool:
    """Return whether a row of tests compares a model with itself on permuted labels."""
    return test.other == f"{test.model}{PERMUTED}"


def percent(fraction: float) -> str:
    """Return a share in per cent, with one decimal."""
    return "–" if np.isnan(fraction) else f"{100 * fraction:.1f}".replace("-", "−")


def points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return signed(100 * difference, 1)


def signed(number: float, decimals: int) -> str:
    """Return a number with its sign; 0 has none."""
    if np.isnan(number):
        return "–"
    text = f"{number:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def format_p(p: float) -> str:
    """Return "= 0.012" or "< 0.001"."""
    if np.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def _is_control(name, models):
    permuted = str(name).endswith(PERMUTED) and name.removesuffix(PERMUTED) in models
    return name in GUESSES or permuted


def _see_from(best, tests):
    """Swap the models of rows that have the best as `other`, and put all of its rows first."""
    turned = tests.copy()
    rows = tests["other"] == best
    turned.loc[rows, ["model", "other"]] = tests.loc[rows, ["other", "model"]].to_numpy()
    turned.loc[rows, ["better", "worse"]] = tests.loc[rows, ["worse", "better"]].to_numpy()
    for name in ("mean_difference", "effect_size"):
        turned.loc[rows, name] = -tests.loc[rows, name]
    turned.loc[rows, ["low", "high"]] = -tests.loc[rows, ["high", "low"]].to_numpy()
    own = turned["model"] == best
    return pd.concat([turned[own], turned[~own]], ignore_index=True)


def _rows(tests, model, other=None):
    rows = tests[tests["model"] == model]
    return rows if other is None else rows[rows["other"] == other]


def _lead(row, score, outcome):
    named = f"{row.other} ({score})"
    if row.mean_difference == 0:
        return f"{named} scores the same."
    ahead = outcome.difference(outcome.sign * row.mean_difference).removeprefix("+")
    lead = f"Its lead over the next best, {named}, is {ahead}{' points' * bool(outcome.unit)}"
    if np.isnan(row.p_corrected):
        return f"{lead}, which could not be tested."
    is_found = "" if row.p_corrected < ALPHA else "not "
    n_pairs = outcome.between["p_value"].notna().sum()
    pairs = f", corrected for {n_pairs} pairs of models" if n_pairs > 1 else ""
    test = f"{row.test}: p {format_p(row.p_corrected)}{pairs}"
    return f"{lead}, which is {is_found}established ({test})."


def _say_too_few(outcome: Outcome) -> Iterator[str]:
    """Name the tests in which even the smallest possible p would not be significant."""
    is_guess = outcome.against["other"].isin(GUESSES)
    guess = "mean" if outcome.comparison.task == "regression" else "majority class"
    kinds = {
        "a difference between the models": outcome.between,
        "a difference from permuted labels": outcome.against[~is_guess],
        f"a difference from the {guess}": outcome.against[is_guess],
    }
    lost = []
    for what, tests in kinds.items():
        tests = tests.dropna(subset="p_value")
        by_ranks = tests["test"].str.startswith("Wilcoxon").all()
        if len(tests) and by_ranks and len(tests) * 2.0 ** (1 - tests["n"].max()) >= ALPHA:
            lost.append(what)
    if lost:
        subjects = count(outcome.n_subjects, "subject")
        yield f"With {subjects}, the test cannot establish {' or '.join(lost)}, however large."
