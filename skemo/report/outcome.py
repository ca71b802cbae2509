"""What a comparison lets one say: which model is best, and which differences are established."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from skemo.evaluation.controls import MAJORITY, PERMUTED
from skemo.evaluation.protocols import PROTOCOLS

METRIC = "balanced_accuracy"
ALPHA = 0.05
_ALL_PAIRS = 4  # of more models, only the pairs with the best are shown


@dataclass(frozen=True)
class Outcome:
    """What is said of a comparison.

    Parameters
    ----------
    comparison : Comparison
    models : list of str
        Those that are compared.
    controls : list of str
        The majority class, and models trained on permuted labels.
    means : Series
        The mean of `METRIC` over subjects, by model and control; NaN without scores.
    intervals : DataFrame
        Its bootstrap interval, `low` and `high`.
    best : str
        The model of the highest mean.
    between : DataFrame
        As `compare_models` returns it: each pair of models, corrected for their number, those
        with the best first and seen from it.
    against : DataFrame
        Each model with each of its controls, corrected for the number of models.
    notes : list of str
        What the tests warned of.
    """

    comparison: object
    models: list
    controls: list
    means: pd.Series
    intervals: pd.DataFrame
    best: str
    between: pd.DataFrame
    against: pd.DataFrame
    notes: list

    @property
    def n_subjects(self):
        """How many subjects the best model was tested on."""
        predictions = self.comparison.predictions
        return predictions.loc[predictions["model"] == self.best, "subject"].nunique()

    @property
    def guess(self):
        """What a guess reaches."""
        return 1 / len(self.comparison.details["data"]["classes"])

    @property
    def low_majority(self):
        """Whether the majority class reaches less than a guess.

        Where windows of a class are left out of training, to follow the class counts is to be
        wrong more often than not.
        """
        return self.means.get(MAJORITY, np.nan) < 0.9 * self.guess

    @property
    def shown(self):
        """The rows of `between` that there is room for."""
        if len(self.models) <= _ALL_PAIRS:
            return self.between
        return self.between[self.between["model"] == self.best]


def find_outcome(comparison):
    """Return the Outcome of a comparison."""
    from skemo.evaluation.statistics import bootstrap_interval, correct_p_values

    controls = [name for name in comparison.models if _is_control(name, comparison.models)]
    models = [name for name in comparison.models if name not in controls]
    if not models:
        models, controls = controls, []
    scores = comparison.subject_scores().pivot(index="subject", columns="model", values=METRIC)
    scores = scores.reindex(columns=[*models, *controls])
    means = scores.mean()
    intervals = pd.DataFrame(
        [bootstrap_interval(scores[name]) for name in scores], scores.columns, ["low", "high"]
    )
    # A model that was tested on some subjects only is not the best of all.
    n_scores = scores[models].notna().sum()
    complete = means[models][n_scores == n_scores.max()]
    best = complete.idxmax() if n_scores.max() else models[0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        between = _only(comparison, models).test(METRIC)
        tests = [
            _only(comparison, [model, control]).test(METRIC, correction=None)
            for model in models
            for control in controls
            if control in (MAJORITY, f"{model}{PERMUTED}")
        ]
    against = pd.concat(tests, ignore_index=True) if tests else between[:0]
    # To stand above one control and above the other are two claims: each is corrected by itself.
    kinds = against["other"] == MAJORITY
    corrected = against["p_value"].groupby(kinds).transform(correct_p_values)
    against = against.assign(p_corrected=corrected)
    between = _see_from(best, between)
    notes = list(dict.fromkeys([*comparison.notes(), *(str(one.message) for one in caught)]))
    return Outcome(comparison, models, controls, means, intervals, best, between, against, notes)


def headline(outcome):
    """Return the best model and its score, a sentence."""
    low, high = outcome.intervals.loc[outcome.best]
    interval = f" (95 % interval {percent(low)} to {percent(high)} %)" if low < high else ""
    known = PROTOCOLS[outcome.comparison.protocol].known_subjects
    whom = count(outcome.n_subjects, "subject") + (", whom it knew from training" if known else "")
    what = "has a" if len(outcome.models) == 1 else "has the highest"
    comparison = outcome.comparison
    n_failed = (comparison.failures["model"] == outcome.best).sum()
    n_fits = comparison.n_fits
    failed = f" But {n_failed} of its {n_fits} fits failed, and their windows do not count."
    return (
        f"{outcome.best} {what} balanced accuracy of {percent(outcome.means[outcome.best])} % "
        f"on average over {whom}{interval}.{failed if n_failed else ''}"
    )


def verdicts(outcome):
    """Return what is established of the best model, a sentence a question."""
    said = []
    rest = outcome.means[outcome.models].drop(outcome.best).dropna()
    rest = rest[~rest.index.isin(outcome.comparison.failures["model"])]
    if len(rest):
        following = rest.idxmax()
        (row,) = _rows(outcome.between, outcome.best, following).itertuples()
        said.append(_lead(row, percent(rest[following]), outcome))
    for row in _rows(outcome.against, outcome.best).itertuples():
        control = "the majority class" if row.other == MAJORITY else "itself on permuted labels"
        score = f"{control} ({percent(outcome.means[row.other])} %)"
        p = format_p(row.p_corrected)
        if row.other == MAJORITY and outcome.low_majority:
            said.append(f"Being above {score} says nothing here: a guess reaches more.")
        elif np.isnan(row.p_corrected):
            said.append(f"Nothing can be said of it against {score}.")
        elif row.p_corrected < ALPHA:
            side = "above" if row.mean_difference > 0 else "below"
            said.append(f"That it is {side} {score} is established (corrected p {p}).")
        else:
            said.append(f"That it differs from {score} is not established (corrected p {p}).")
    if not outcome.controls:
        said.append(
            "No control was run, so that nothing is tested against chance: pass "
            'controls=("majority", "permuted") to skemo.compare.'
        )
    said += _say_too_few(outcome)
    return said


def count(n, noun):
    """Return "1 pair" or "2 pairs"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def is_permuted(test):
    """Whether a row of tests holds a model against itself, trained on permuted labels."""
    return test.other == f"{test.model}{PERMUTED}"


def percent(fraction):
    """Return a share in per cent, with a decimal."""
    return "–" if np.isnan(fraction) else f"{100 * fraction:.1f}".replace("-", "−")


def points(difference):
    """Return a difference of shares in points of per cent, with its sign."""
    return signed(100 * difference, 1)


def signed(number, decimals):
    """Return a number with its sign, which 0 has not."""
    if np.isnan(number):
        return "–"
    text = f"{number:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def format_p(p):
    """Return "= 0.012" or "< 0.001"."""
    if np.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def _is_control(name, models):
    permuted = str(name).endswith(PERMUTED) and name.removesuffix(PERMUTED) in models
    return name == MAJORITY or permuted


def _only(comparison, models):
    """The comparison of some of its models."""
    parts = {
        name: getattr(comparison, name).loc[lambda frame: frame["model"].isin(models)]
        for name in ("predictions", "scores")
    }
    texts = {name: comparison.details["models"][name] for name in models}
    return replace(comparison, **parts, details={**comparison.details, "models": texts})


def _see_from(best, tests):
    """Turn the rows that have the best as the other, and put all of its rows first."""
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
    named = f"{row.other} ({score} %)"
    if row.mean_difference == 0:
        return f"{named} reaches the same."
    lead = f"Its lead over the next, {named}, is {100 * row.mean_difference:.1f} points"
    if np.isnan(row.p_corrected):
        return f"{lead}; no test can be made."
    is_found = "" if row.p_corrected < ALPHA else "not "
    n_pairs = outcome.between["p_value"].notna().sum()
    pairs = f", corrected for {n_pairs} pairs of models" if n_pairs > 1 else ""
    test = f"{row.test}: p {format_p(row.p_corrected)}{pairs}"
    return f"{lead}, which is {is_found}established ({test})."


def _say_too_few(outcome):
    """Say of which tests even the smallest p would be no finding, once corrected."""
    is_majority = outcome.against["other"] == MAJORITY
    kinds = {
        "a difference between the models": outcome.between,
        "a difference from permuted labels": outcome.against[~is_majority],
        "a difference from the majority class": outcome.against[is_majority],
    }
    lost = []
    for what, tests in kinds.items():
        tests = tests.dropna(subset="p_value")
        by_ranks = tests["test"].str.startswith("Wilcoxon").all()
        if len(tests) and by_ranks and len(tests) * 2.0 ** (1 - tests["n"].max()) >= ALPHA:
            lost.append(what)
    if lost:
        whom = count(outcome.n_subjects, "subject")
        yield f"With {whom} the test cannot establish {' or '.join(lost)}, however large."
