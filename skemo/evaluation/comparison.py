"""The result of a comparison: predictions, scores, tables and tests."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skemo._escape import to_html, to_printable
from skemo.evaluation.declared import describe_step
from skemo.evaluation.protocols import PROTOCOLS, Protocol
from skemo.evaluation.scores import (
    PROBABILITY,
    Metric,
    Scorer,
    Task,
    check_metric,
    describe_metric,
    format_summary,
    format_table,
    main_metric,
    metrics_of,
    score_predictions,
    summarize,
)
from skemo.evaluation.scoring import score_error
from skemo.evaluation.targets import Target, describe_target
from skemo.features.corruption import describe_corruption
from skemo.signals.checks import signal_columns

if TYPE_CHECKING:
    from skemo.evaluation.fits import Run

FIT_KEYS = ["model", "repeat", "fold"]
_LINE = 80  # width in characters of a printed table


def describe_data(
    X: Any, targets: Sequence[Target], subjects: NDArray, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    signals = signal_columns(X)
    inputs = [{"name": str(name), "dtype": str(X[name].dtype)} for name in signals]
    n_others = (X.shape[1] if len(X.shape) > 1 else 1) - len(signals)
    if n_others:
        columns = "1 other column" if n_others == 1 else f"{n_others} other columns"
        inputs.append({"name": columns, "dtype": ""})
    described = {target.name: describe_target(target) for target in targets}
    return {
        "n_windows": len(subjects),
        "n_subjects": len(pd.unique(subjects)),
        **described.get("", {"targets": described}),
        "inputs": inputs,
        "missing": {str(name): int(X[name].isna().sum()) for name in signals},
        "segment": attributes.get("segment"),
        "corruption": attributes.get("corruption", []),
    }


def assemble_comparison(
    runs: Sequence["Run"],
    targets: Sequence[Target],
    subjects: NDArray,
    records: Mapping[tuple[int, int], dict[str, Any]],
    failures: Sequence[dict[str, Any]],
    leakage: pd.DataFrame,
    details: dict[str, Any],
    scorers: Mapping[str, Scorer],
    is_tested: NDArray[np.bool_],
) -> "Comparison":
    fits, caught, chosen = [], [], []
    for (i, fold), record in sorted(records.items(), key=lambda item: item[0]):
        run = runs[i]
        named = {"model": run.model, "repeat": run.repeat, "fold": fold}
        times = {name: record[name] for name in ("fit_time", "predict_time")}
        n_train = int(np.count_nonzero(is_tested[run.folds[fold][0]]))
        fits.append({**named, "n_train": n_train, **times})
        caught += [{**named, "category": c, "message": text} for c, text in record["warnings"]]
        if record["chosen"] is not None:
            chosen.append({**named, **record["chosen"]})
    predictions, scores = [], []
    for j, target in enumerate(targets):
        own = _predictions_of(j, target, runs, subjects, records)
        by = [*FIT_KEYS, "subject"]
        scored = score_predictions(own, by, details["task"], scorers)
        scored = scored.merge(pd.DataFrame(fits), on=FIT_KEYS)
        if target.name:
            own.insert(0, "target", target.name)
            scored.insert(0, "target", target.name)
        predictions.append(own)
        scores.append(scored)
    return Comparison(
        details["protocol"],
        pd.concat(predictions, ignore_index=True),
        pd.concat(scores, ignore_index=True),
        pd.DataFrame(failures, columns=[*FIT_KEYS, "error", "traceback"]),
        pd.DataFrame(caught, columns=[*FIT_KEYS, "category", "message"]),
        leakage,
        pd.DataFrame(chosen, columns=[*FIT_KEYS, "params", "score"]),
        details,
        dict(scorers),
    )


def _predictions_of(j, target, runs, subjects, records):
    """The predictions of target number j, of the windows that have it."""
    named, parts = [], []  # joined once, since a comparison may have thousands of fits
    for (i, fold), record in sorted(records.items(), key=lambda item: item[0]):
        run = runs[i]
        _, rows = run.folds[fold]
        named.append((run.model, run.repeat, fold))
        y_true = run.y[rows] if run.y.ndim == 1 else run.y[rows, j]
        probabilities = record["probabilities"][j]
        if probabilities is None and target.classes is not None:
            probabilities = np.full((len(rows), len(target.classes)), np.nan)
        parts.append((rows, y_true, record["y_pred"][j], probabilities))
    rows, y_true, y_pred, probabilities = zip(*parts, strict=True)
    own = pd.DataFrame(named, columns=FIT_KEYS)
    own = own.loc[own.index.repeat(list(map(len, rows)))].reset_index(drop=True)
    own["row"] = np.concatenate(rows)
    own["subject"] = subjects[own["row"]]
    own["y_true"] = np.concatenate(y_true)
    own["y_pred"] = np.concatenate(y_pred)
    if target.classes is not None:
        own["y_pred"] = target.classes[own["y_pred"]]
        columns = [f"{PROBABILITY}{label}" for label in target.classes]
        own[columns] = np.concatenate(probabilities)
    if target.name:
        own = own[own["y_true"].notna()].reset_index(drop=True)
    if own.empty:
        raise ValueError(f"No tested window has the target {target.name!r}.")
    return own.infer_objects() if target.name else own


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
    for one in comparison.by_target().values() if comparison.scorers else ():
        scores = one.subject_scores()
        for name, scorer in one.scorers.items():
            for model, own in scores.groupby("model", sort=False)[name]:
                if own.isna().all():
                    rows = one.predictions[one.predictions["model"] == model]
                    subject = rows[rows["subject"] == rows["subject"].iloc[0]]
                    warnings.warn(
                        f"scoring {name!r} has no value for {model!r}: "
                        f"{score_error(scorer, subject)}",
                        stacklevel=3,
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
        where the model gives no probabilities. With several targets, `target` comes first.
    scores : DataFrame
        One row per model, repetition, fold and subject: `model`, `repeat`, `fold`, `subject`, the
        `metrics` over the subject's windows in that fold and their number `n_windows`; and, for
        the whole fold, the number of training windows `n_train`, without those that are never
        tested, and `fit_time` and `predict_time` in seconds, without the steps that are computed
        once for all folds. With several targets, `target` comes first.
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
        A description of the run: `task`, `targets`, `data`, `protocol`, `description`, `n_splits`,
        `n_repeats`, `random_state`, `models` (name to text), `declared` (name to the steps of a
        model that are transductive), `versions`, `started`, `code`.
    scorers : dict of str to Scorer
        The further scores, by name.
    """

    protocol: str
    predictions: pd.DataFrame
    scores: pd.DataFrame
    failures: pd.DataFrame
    warnings: pd.DataFrame
    leakage: pd.DataFrame
    chosen: pd.DataFrame
    details: dict[str, Any]
    scorers: dict[str, Scorer] = field(default_factory=dict)

    def __repr__(self):
        tables = []
        for name, one in self.by_target().items():
            table = one.table().rename_axis(index=None, columns=None)  # the title stands above
            text = to_printable(table.to_string(line_width=_LINE))
            tables.append(f"{name}\n\n{text}" if name else text)
        title = f"<Comparison by {self.title}>"
        return "\n".join([title, "\n\n".join(tables), *self.notes()])

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
    def task(self) -> Task:
        """Whether classes or numbers are predicted: "classification" or "regression"."""
        return self.details.get("task", "classification")

    @property
    def targets(self) -> list[str]:
        """Names of the targets if there are several, else an empty list."""
        return self.details.get("targets", [])

    @property
    def metrics(self) -> list[str]:
        """Names of the scores."""
        return [*metrics_of(self.task), *self.scorers]

    @property
    def main_metric(self) -> str:
        """The score of tests and figures.

        It is the balanced accuracy. For numbers it is the concordance or, if the tested subjects
        are in training, the root-mean-square error, since correlations are then below 0 by chance.
        """
        within = self.task == "regression" and self.about_protocol.known_subjects
        return main_metric(self.task, within)

    @property
    def about_protocol(self) -> Protocol:
        """What a model knows of the people it is tested on."""
        if self.protocol in PROTOCOLS:
            return PROTOCOLS[self.protocol]
        return Protocol(**{name: self.details[name] for name in Protocol._fields})

    @property
    def optimistic(self) -> bool:
        """Whether the models were trained on the tested subjects and on neighbouring windows."""
        return self.about_protocol.optimistic

    @property
    def title(self) -> str:
        """The protocol, whether it is optimistic, and any faults that were put into the windows."""
        faults = [f"{one['kind']} {one['probability']:g}" for one in self._corruption]
        corrupted = f", corrupted ({', '.join(faults)})" if faults else ""
        return f"{self.protocol}{' (optimistic)' * self.optimistic}{corrupted}"

    @property
    def _corruption(self):
        return self.details.get("data", {}).get("corruption", [])

    @property
    def n_fits(self) -> int:
        """Number of fits per model, including failed ones."""
        return self.details["n_folds"] * self.details["n_repeats"]

    def describe_metric(self, metric: str) -> Metric:
        """Return how a score is named and read.

        Parameters
        ----------
        metric : str
            One of `metrics`.

        Returns
        -------
        Metric
            `title`, `name`, `percent` and `lower_is_better`.
        """
        return describe_metric(metric, self.scorers)

    def by_target(self) -> dict[str, "Comparison"]:
        """Return a comparison for each target, by name, as if it were the only one.

        Returns
        -------
        dict of str to Comparison
            If there is only one target, it is this comparison, under the name "".
        """
        if not self.targets:
            return {"": self}
        return {name: self._of_target(name) for name in self.targets}

    def _of_target(self, name):
        predictions, scores = (
            table[table["target"] == name].drop(columns="target").reset_index(drop=True)
            for table in (self.predictions, self.scores)
        )
        data = dict(self.details["data"])
        described = data.pop("targets")[name]
        own = {f"{PROBABILITY}{label}" for label in described.get("classes", {})}
        others = [x for x in predictions if x.startswith(PROBABILITY) and x not in own]
        details = {**self.details, "targets": [], "target": name, "data": {**data, **described}}
        predictions = predictions.drop(columns=others)
        return replace(self, predictions=predictions, scores=scores, details=details)

    def _for_each_target(self, method: Callable[["Comparison"], pd.DataFrame]) -> pd.DataFrame:
        """Join the tables of all targets, with the name of the target in the first column."""
        tables = [
            method(one).assign(target=name).pipe(lambda x: x[["target", *x.columns[:-1]]])
            for name, one in self.by_target().items()
        ]
        joined = pd.concat(tables, ignore_index=True)
        joined.attrs = tables[0].attrs
        return joined

    def _under_targets(self, method: Callable[["Comparison"], pd.DataFrame]) -> pd.DataFrame:
        """Join the tables of all targets, with the name of the target as the first index."""
        tables = {name: method(one) for name, one in self.by_target().items()}
        return pd.concat(tables, names=["target"])

    def notes(self) -> list[str]:
        """Return the caveats that belong beside the table.

        Returns
        -------
        list of str
            One line each: faults that were put into the windows, models that failed, windows that
            were tested several times or not at all, models that use other windows of the tested
            person, subjects without a score, models without probabilities, and intervals over few
            subjects.
        """
        notes = [f"Corrupted on purpose: {line}." for line in describe_corruption(self._corruption)]
        for model, own in self.failures.groupby("model", sort=False):
            error = own["error"].iloc[0].partition("\n")[0]
            notes.append(f"{model!r} failed in {len(own)} of {self.n_fits} fits: {error}")
        notes += [*self._note_training(), *self._note_coverage(), *self._note_declared()]
        for name, one in self.by_target().items():
            prefix = f"{name}: " if name else ""
            notes += [f"{prefix}{note}" for note in one._note_undefined()]
        notes += self._note_probabilities()
        subjects = self.predictions["subject"].nunique()
        if subjects < 7:
            notes.append(
                f"With {subjects} subject{'s' * (subjects > 1)}, an interval is hardly narrower "
                "than the range of their scores."
            )
        return notes

    def _note_training(self):
        """Say how many windows `compare` used only for training."""
        data = self.details["data"]
        n_others = data.get("n_only_trained_on", 0)
        if n_others:
            yield (
                f"{n_others} of {data['n_windows']} windows are only trained on; the scores are "
                "for the others."
            )

    def _note_coverage(self):
        """Say which windows the user's own folds leave out or test several times."""
        if self.protocol in PROTOCOLS:
            return
        data = self.details["data"]
        tested = self.predictions[["row", "subject", "repeat", "fold"]].drop_duplicates()
        n_windows, n_subjects = tested["row"].nunique(), tested["subject"].nunique()
        n_all = data["n_windows"] - data.get("n_only_trained_on", 0)
        if n_windows < n_all:
            yield (
                f"{self.protocol} tests {n_windows} of {n_all} windows, of "
                f"{n_subjects} of {data['n_subjects']} subjects: the scores are over these."
            )
        most = tested.groupby(["repeat", "row"]).size().max()
        if most > 1:
            yield (
                f"{self.protocol} tests a window up to {most} times: each prediction counts once "
                "in the score of its subject."
            )

    def _note_declared(self):
        """Say which models use other windows of the tested person, and how."""
        declared = self.details.get("declared", {})
        for step in dict.fromkeys(step for steps in declared.values() for step in steps):
            models = [repr(name) for name, steps in declared.items() if step in steps]
            yield f"{step} in {', '.join(models)} {describe_step(step)} (transductive)."

    def _note_undefined(self):
        """Say which scores are missing for some subjects."""
        scores = self.subject_scores()
        subjects = scores["subject"].nunique()
        if self.task == "regression":
            if self.about_protocol.known_subjects:
                yield (
                    "Training has windows of the tested subjects: the higher the numbers left out, "
                    "the lower the mean of the others, so R², Pearson r and CCC are below 0 if "
                    "nothing is learnt. Compare errors, and with the mean of training."
                )
            lacking = scores.loc[scores["r2"].isna(), "subject"].nunique()
            if lacking:
                yield (
                    f"R², Pearson r and CCC are means over {subjects - lacking} of {subjects} "
                    "subjects; the targets of the others are all the same."
                )
        else:
            lacking = scores.loc[scores["specificity"].isna(), "subject"].nunique()
            if lacking:
                auc = scores["roc_auc"].notna().any()
                yield (
                    f"SEN & SPE {'and ROC AUC are means' if auc else 'is the mean'} over "
                    f"{subjects - lacking} of {subjects} subjects; the others have windows of one "
                    "class only."
                )
        for name in self.scorers:
            for model, own in scores.groupby("model", sort=False)[name]:
                n_known = own.notna().sum()
                if n_known < len(own):
                    yield f"{name} of {model!r} is over {n_known} of {len(own)} subjects."

    def _note_probabilities(self):
        """Say which models lack the scores that need probabilities, if others have them."""
        columns = [name for name in self.predictions if name.startswith(PROBABILITY)]
        given = self.predictions[columns].notna().any(axis=1)
        has_any = given.groupby(self.predictions["model"], sort=False).any()
        lacking = [repr(name) for name in has_any.index[~has_any]]
        if lacking and has_any.any():
            yield (
                f"No ROC AUC and Brier score for {', '.join(lacking)}, without probabilities: "
                "scikit-learn's CalibratedClassifierCV gives them to a classifier."
            )

    def subject_scores(self) -> pd.DataFrame:
        """Return the `metrics` per model and subject, over all windows of the subject.

        Every window counts once, in the fold that tested it, so the scores of a subject mean the
        same under every protocol. With several repetitions, the scores are averaged over them.
        With your own folds, a window counts as often as it was tested.

        Returns
        -------
        DataFrame
            `model`, `subject`, the `metrics`, `n_windows`. With several targets, `target` comes
            first, as in the other tables.
        """
        if self.targets:
            return self._for_each_target(Comparison.subject_scores)
        scores = self._score(["model", "repeat", "subject"])
        subjects = scores.groupby(["model", "subject"], sort=False)
        return (
            subjects[[*self.metrics, "n_windows"]].mean().astype({"n_windows": int}).reset_index()
        )

    def fold_scores(self) -> pd.DataFrame:
        """Return the `metrics` per model, repetition and fold, over the test windows of the fold.

        Returns
        -------
        DataFrame
            `model`, `repeat`, `fold`, the `metrics`, `n_windows`, `n_train`.
        """
        if self.targets:
            return self._for_each_target(Comparison.fold_scores)
        keys = ["model", "repeat", "fold"]
        sizes = self.scores[[*keys, "n_train"]].drop_duplicates(keys)
        return self._score(keys).merge(sizes, on=keys)

    def _score(self, by):
        return score_predictions(self.predictions, by, self.task, self.scorers)

    def summary(self) -> pd.DataFrame:
        """Return the mean and standard deviation over subjects, as numbers.

        Returns
        -------
        DataFrame
            As `summarize` returns it.
        """
        if self.targets:
            return self._under_targets(Comparison.summary)
        return summarize(self.subject_scores())

    def table(
        self, format: Literal["text", "markdown", "latex"] | None = None
    ) -> pd.DataFrame | str:
        """Return the mean ± standard deviation over subjects, as text.

        Parameters
        ----------
        format : {"text", "markdown", "latex"} or None, default=None
            None returns a DataFrame.

        Returns
        -------
        DataFrame of str, or str
            As `format_summary` returns it, with one row per model. The name of the columns is the
            protocol, marked if it is optimistic. If any model has transductive steps, the column
            `transductive` names them. If fits failed, the column `failed` has their number, and
            the scores are over the subjects that were tested. With several targets, each has its
            own table; in a DataFrame the target is the first index.
        """
        if self.targets and format is None:
            return self._under_targets(Comparison.table)
        if self.targets:
            tables = {name: one.table(format) for name, one in self.by_target().items()}
            return "\n\n".join(f"{name}\n\n{table}" for name, table in tables.items())
        table = format_summary(self.summary(), self.scorers).reindex(self.models, fill_value="–")
        declared = self.details.get("declared", {})
        if declared:
            table["transductive"] = [", ".join(declared.get(m, ["–"])) for m in self.models]
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

        if self.targets:
            return self._under_targets(lambda one: one.calibration(n_bins))
        return score_calibration(self.predictions, n_bins=n_bins)

    def test(
        self,
        metric: str | None = None,
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
        metric : str, default=None
            One of `metrics`. None means the `main_metric`.
        reference : str or None, default=None
            The model to compare all others with. None compares every pair.
        test : str, default="auto"
            As for `skemo.evaluation.statistics.compare_models`.
        correction : {"holm", "fdr"} or None, default="holm"
            Correction of p values for the number of pairs, for each target separately.
        confidence : float, default=0.95
            Level of the bootstrap interval over subjects.
        random_state : int, default=0
            Seed of the bootstrap.

        Returns
        -------
        DataFrame
            One row per pair, as `skemo.evaluation.statistics.compare_models` describes. Printed, it
            shows the difference, its interval and p alone.

        Notes
        -----
        All folds train on nearly the same people, so Wilcoxon's test finds a difference between
        equally good models somewhat too often: at the 5 % level, in 5 to 8 % of simulated studies
        for classes and in 5 to 10 % for numbers. The corrected t test over one k-fold, or over
        leave-one-subject-out, finds one in 1 to 2 %, but misses more true differences.
        `compare_models` has the figures.
        """
        from skemo.evaluation.statistics import PairedTests, compare_models

        settings: dict[str, Any] = {
            "metric": metric,
            "reference": reference,
            "test": test,
            "correction": correction,
            "confidence": confidence,
            "random_state": random_state,
        }
        if self.targets:
            joined = self._for_each_target(lambda one: compare_models(one, **settings))
            table = PairedTests(joined)
            table.attrs = joined.attrs
            return table
        return compare_models(self, **settings)

    def gap(
        self,
        optimistic: "Comparison",
        metric: str | None = None,
        *,
        confidence: float = 0.95,
        random_state: int | np.random.RandomState | np.random.Generator | None = 0,
    ) -> pd.DataFrame:
        """Return how much better the models score under another protocol.

        Parameters
        ----------
        optimistic : Comparison
            The same models on the same windows, under the other protocol.
        metric : str, default=None
            One of `metrics`. None means the `main_metric`.
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

        metric = self.main_metric if metric is None else metric
        check_metric(metric, self.metrics)
        if self.targets:
            theirs = optimistic.by_target()
            options: dict[str, Any] = {"confidence": confidence, "random_state": random_state}
            gaps = {
                name: one.gap(theirs[name], metric, **options)
                for name, one in self.by_target().items()
            }
            return pd.concat(gaps, names=["target"])
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
