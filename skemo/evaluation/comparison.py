"""The result of a comparison: predictions, scores, tables and tests."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skemo._escape import to_html, to_printable
from skemo.evaluation.protocols import PROTOCOLS
from skemo.evaluation.scores import (
    METRICS,
    PROBABILITY,
    check_metric,
    format_summary,
    format_table,
    score_predictions,
    summarize,
)
from skemo.signals.checks import signal_columns

if TYPE_CHECKING:
    from skemo.evaluation.fits import Run

FIT_KEYS = ["model", "repeat", "fold"]


def describe_data(
    X: Any, y: NDArray, subjects: NDArray, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    classes, counts = np.unique(y, return_counts=True)
    signals = signal_columns(X)
    inputs = [{"name": str(name), "dtype": str(X[name].dtype)} for name in signals]
    n_others = (X.shape[1] if len(X.shape) > 1 else 1) - len(signals)
    if n_others:
        columns = "1 other column" if n_others == 1 else f"{n_others} other columns"
        inputs.append({"name": columns, "dtype": ""})
    return {
        "n_windows": len(y),
        "n_subjects": len(pd.unique(subjects)),
        "classes": dict(zip(map(str, classes), counts.tolist(), strict=True)),
        "inputs": inputs,
        "missing": {str(name): int(X[name].isna().sum()) for name in signals},
        "segment": attributes.get("segment"),
    }


def assemble_comparison(
    protocol: str,
    runs: Sequence["Run"],
    y: NDArray,
    subjects: NDArray,
    records: Mapping[tuple[int, int], dict[str, Any]],
    failures: Sequence[dict[str, Any]],
    leakage: pd.DataFrame,
    details: dict[str, Any],
) -> "Comparison":
    classes = np.unique(y)
    parts, fits, caught, chosen = [], [], [], []
    for (i, fold), record in sorted(records.items(), key=lambda item: item[0]):
        run = runs[i]
        train, rows = run.folds[fold]
        named = {"model": run.model, "repeat": run.repeat, "fold": fold}
        columns = {**named, "row": rows, "subject": subjects[rows], "y_true": run.y[rows]}
        part = pd.DataFrame({**columns, "y_pred": classes[record["y_pred"]]})
        probabilities = record["probabilities"]
        if probabilities is None:
            probabilities = np.full((len(rows), len(classes)), np.nan)
        part[[f"{PROBABILITY}{label}" for label in classes]] = probabilities
        parts.append(part)
        times = {name: record[name] for name in ("fit_time", "predict_time")}
        fits.append({**named, "n_train": len(train), **times})
        caught += [{**named, "category": c, "message": text} for c, text in record["warnings"]]
        if record["chosen"] is not None:
            chosen.append({**named, **record["chosen"]})
    predictions = pd.concat(parts, ignore_index=True)
    scores = score_predictions(predictions, [*FIT_KEYS, "subject"])
    return Comparison(
        protocol,
        predictions,
        scores.merge(pd.DataFrame(fits), on=FIT_KEYS),
        pd.DataFrame(failures, columns=[*FIT_KEYS, "error", "traceback"]),
        pd.DataFrame(caught, columns=[*FIT_KEYS, "category", "message"]),
        leakage,
        pd.DataFrame(chosen, columns=[*FIT_KEYS, "params", "score"]),
        details,
    )


def warn_of_comparison(comparison: "Comparison") -> None:
    """Warn once per model about the failures and the warnings of its fits."""
    n_fits = comparison.n_fits
    for model, own in comparison.failures.groupby("model", sort=False):
        warnings.warn(
            f"{model!r} failed in {len(own)} of {n_fits} fits, first: {own['error'].iloc[0]}",
            stacklevel=3,
        )
    by = ["model", "category", "message"]
    for (model, category, message), own in comparison.warnings.groupby(by, sort=False):
        fits = len(own.drop_duplicates(FIT_KEYS))
        warnings.warn(
            f"{model!r}, in {fits} of {n_fits} fits: {message} ({category})", stacklevel=3
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of `compare`: every prediction, and the scores computed from them.

    Parameters
    ----------
    protocol : str
        Name of the protocol.
    predictions : DataFrame
        One row per model, repetition and tested window: `model`, `repeat`, `fold`, `row` (position
        in `X`), `subject`, `y_true`, `y_pred`, and ``probability <class>`` for each class, NaN
        where the model gives no probabilities.
    scores : DataFrame
        One row per model, repetition, fold and subject: `model`, `repeat`, `fold`, `subject`, the
        `METRICS` over the subject's windows in that fold and their number `n_windows`; and, for
        the whole fold, the number of training windows `n_train`, and `fit_time` and
        `predict_time` in seconds, without the steps that are computed once for all folds.
    failures : DataFrame
        One row per failed fit: `model`, `repeat`, `fold`, `error`, `traceback`.
    warnings : DataFrame
        One row per warning: `model`, `repeat`, `fold`, `category`, `message`.
    leakage : DataFrame
        What training and test windows share, as `check_split` returns it.
    chosen : DataFrame
        The choice of each search in each fold: `model`, `repeat`, `fold`, `params`, and `score`,
        the mean over the inner folds.
    details : dict
        A description of the run: `data`, `protocol`, `description`, `n_splits`, `n_repeats`,
        `random_state`, `models` (name to text), `versions`, `started`, `code`.
    """

    protocol: str
    predictions: pd.DataFrame
    scores: pd.DataFrame
    failures: pd.DataFrame
    warnings: pd.DataFrame
    leakage: pd.DataFrame
    chosen: pd.DataFrame
    details: dict[str, Any]

    def __repr__(self):
        lines = [f"<Comparison by {self.title}>", self.table("text")]
        return "\n".join([*lines, *self.notes()])

    def _repr_html_(self):
        """Return title, table and notes as HTML, for notebooks."""
        notes = "".join(f"<p>{to_html(note)}</p>" for note in self.notes())
        table = to_printable(self.table().to_html())
        return f"<p>Comparison by {to_html(self.title)}</p>{table}{notes}"

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order in which they were passed."""
        return list(self.details["models"])

    @property
    def optimistic(self) -> bool:
        """Whether the models were trained on the tested subjects and on neighbouring windows."""
        return PROTOCOLS[self.protocol].optimistic

    @property
    def title(self) -> str:
        """The protocol, and whether it is optimistic."""
        return f"{self.protocol} (optimistic)" if self.optimistic else self.protocol

    @property
    def n_fits(self) -> int:
        """Number of fits per model, including failed ones."""
        return self.details["n_folds"] * self.details["n_repeats"]

    def notes(self) -> list[str]:
        """Return the caveats that belong beside the table.

        Returns
        -------
        list of str
            One line each: models that failed, subjects without specificity, and intervals over
            few subjects.
        """
        notes = []
        for model, own in self.failures.groupby("model", sort=False):
            error = own["error"].iloc[0].partition("\n")[0]
            notes.append(f"{model!r} failed in {len(own)} of {self.n_fits} fits: {error}")
        scores = self.subject_scores()
        subjects = scores["subject"].nunique()
        n_single = scores.loc[scores["specificity"].isna(), "subject"].nunique()
        if n_single:
            notes.append(
                f"SEN & SPE is the mean over {subjects - n_single} of {subjects} subjects; the "
                "others have windows of one class only."
            )
        if subjects < 7:
            notes.append(
                f"With {subjects} subject{'s' * (subjects > 1)}, an interval is hardly narrower "
                "than the range of their scores."
            )
        return notes

    def subject_scores(self) -> pd.DataFrame:
        """Return `METRICS` per model and subject, over all windows of the subject.

        Every window counts once, in the fold that tested it, so the scores of a subject mean the
        same under every protocol. With several repetitions, the scores are averaged over them.

        Returns
        -------
        DataFrame
            `model`, `subject`, `METRICS`, `n_windows`.
        """
        scores = score_predictions(self.predictions, ["model", "repeat", "subject"])
        subjects = scores.groupby(["model", "subject"], sort=False)
        return subjects[[*METRICS, "n_windows"]].mean().astype({"n_windows": int}).reset_index()

    def fold_scores(self) -> pd.DataFrame:
        """Return `METRICS` per model, repetition and fold, over the test windows of the fold.

        Returns
        -------
        DataFrame
            `model`, `repeat`, `fold`, `METRICS`, `n_windows`, `n_train`.
        """
        keys = ["model", "repeat", "fold"]
        scores = score_predictions(self.predictions, keys)
        return scores.merge(self.scores[[*keys, "n_train"]].drop_duplicates(keys), on=keys)

    def summary(self) -> pd.DataFrame:
        """Return the mean and standard deviation over subjects, as numbers.

        Returns
        -------
        DataFrame
            As `summarize` returns it.
        """
        return summarize(self.subject_scores())

    def table(
        self, format: Literal["text", "markdown", "latex"] | None = None
    ) -> pd.DataFrame | str:
        """Return the mean ± standard deviation over subjects in per cent, as text.

        Parameters
        ----------
        format : {"text", "markdown", "latex"} or None, default=None
            None returns a DataFrame.

        Returns
        -------
        DataFrame of str, or str
            As `format_summary` returns it, with one row per model. The name of the columns is the
            protocol, marked if it is optimistic. If fits failed, the column `failed` has their
            number, and the scores are over the subjects that were tested.
        """
        table = format_summary(self.summary()).reindex(self.models, fill_value="–")
        if len(self.failures):
            counts = self.failures["model"].value_counts()
            table["failed"] = [
                f"{counts[model]} of {self.n_fits}" if model in counts else "–"
                for model in self.models
            ]
        table = table.rename_axis(index="model", columns=self.title)
        return table if format is None else format_table(table, format)

    def calibration(self, n_bins: int = 10) -> pd.DataFrame:
        """Return how well the probabilities of each model are calibrated.

        Parameters
        ----------
        n_bins : int, default=10
            Bins of the expected calibration error.

        Returns
        -------
        DataFrame
            One row per model that gives probabilities: `brier`, `log_loss` and `ece`, the expected
            calibration error, over all tested windows.
        """
        from skemo.evaluation.calibration import score_calibration

        return score_calibration(self.predictions, n_bins=n_bins)

    def test(
        self,
        metric: str = "balanced_accuracy",
        *,
        reference: str | None = None,
        test: Literal["auto", "wilcoxon", "corrected-t"] = "auto",
        correction: Literal["holm", "fdr"] | None = "holm",
        confidence: float = 0.95,
        random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    ) -> pd.DataFrame:
        """Test which differences between the models are larger than chance.

        Parameters
        ----------
        metric : str, default="balanced_accuracy"
            One of `METRICS`.
        reference : str or None, default=None
            The model to compare all others with. None compares every pair.
        test : str, default="auto"
            As for `skemo.evaluation.statistics.compare_models`.
        correction : {"holm", "fdr"} or None, default="holm"
            Correction of p values for the number of pairs.
        confidence : float, default=0.95
            Level of the bootstrap interval over subjects.
        random_state : int, default=0
            Seed of the bootstrap.

        Returns
        -------
        DataFrame
            One row per pair, as `skemo.evaluation.statistics.compare_models` describes.
        """
        from skemo.evaluation.statistics import compare_models

        return compare_models(
            self,
            metric=metric,
            reference=reference,
            test=test,
            correction=correction,
            confidence=confidence,
            random_state=random_state,
        )

    def gap(
        self,
        optimistic: "Comparison",
        metric: str = "balanced_accuracy",
        *,
        confidence: float = 0.95,
        random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    ) -> pd.DataFrame:
        """Return how much better the models score under another protocol.

        Parameters
        ----------
        optimistic : Comparison
            The same models on the same windows, under the other protocol.
        metric : str, default="balanced_accuracy"
            One of `METRICS`.
        confidence : float, default=0.95
            Level of the bootstrap interval over subjects.
        random_state : int, default=0
            Seed of the bootstrap.

        Returns
        -------
        DataFrame
            One row per model: the mean score over subjects under each protocol, in columns named
            after the protocols; `gap`, the mean difference over subjects; and the ends of its
            interval, `low` and `high`. NaN if no subject has the score.

        Raises
        ------
        ValueError
            The metric is unknown, or the two have no models or no subjects in common.
        """
        from skemo.evaluation.statistics import bootstrap_interval

        check_metric(metric)
        ours, theirs = (
            scores.pivot(index="subject", columns="model", values=metric).reindex(
                scores["subject"].unique()
            )
            for scores in (self.subject_scores(), optimistic.subject_scores())
        )
        models = [model for model in self.models if model in ours and model in theirs]
        subjects = ours.index.intersection(theirs.index)
        if not models or subjects.empty:
            raise ValueError("The two comparisons have no models or no subjects in common.")
        rows = []
        for model in models:
            pair = pd.DataFrame({"own": ours[model], "other": theirs[model]}).loc[subjects]
            own, other = pair.dropna().to_numpy().T
            if len(own) == 0:  # a model without probabilities has no Brier score
                rows.append([np.nan] * 5)
                continue
            interval = bootstrap_interval(
                other - own, confidence=confidence, random_state=random_state
            )
            rows.append([own.mean(), other.mean(), np.mean(other - own), *interval])
        names = [self.title, optimistic.title, "gap", "low", "high"]
        return pd.DataFrame(rows, columns=names, index=pd.Index(models, name="model"))
