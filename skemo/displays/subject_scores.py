"""Scores of each subject under each model, with their means and intervals."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_consistent_length

from skemo._escape import to_printable
from skemo.displays.style import NEUTRAL, check_axes, color_of
from skemo.evaluation.scores import (
    METRICS,
    REGRESSION_METRICS,
    Task,
    check_metric,
    decimals_of,
    describe_metric,
    main_metric,
    score_predictions,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from skemo.evaluation.comparison import Comparison

_GOLDEN = (5**0.5 - 1) / 2  # the multiples of this, modulo 1, are spread evenly for any number


class SubjectScoresDisplay:
    """Scores of each subject under each model: one row per model, one dot per subject.

    Below the dots of each model is their mean over subjects, with its bootstrap interval. A
    subject's dots are joined across the models, which shows whether one model is better for
    nearly everyone, or much better for a few.

    Create it with `from_comparison`, `from_predictions` or `from_estimator`.

    Parameters
    ----------
    scores : DataFrame of shape (n_subjects, n_models)
        One row per subject and one column per model; NaN where a subject has no score.
    metric : str, default="balanced_accuracy"
        Name of the score; see :func:`skemo.compare`.
    intervals : DataFrame of shape (n_models, 2), default=None
        Interval of each model's mean, in the columns ``low`` and ``high``; indexed by model.
    confidence : float, default=0.95
        Confidence level of these intervals.
    chance : float, default=None
        The score of a guess, drawn as a dashed line.
    protocol : str, default=None
        How the subjects were tested; used as the title.
    label : str, default=None
        The score in words; if None, as `metric` says.

    Attributes
    ----------
    ax_ : matplotlib axes
    figure_ : matplotlib figure
    points_ : list of matplotlib PathCollection
        The dots of each model.
    lines_ : list of matplotlib Line2D
        One per subject; empty if the dots are not joined.
    means_ : list of matplotlib ErrorbarContainer
        Mean and interval of each model.
    text_ : list of matplotlib Text
        Mean and interval of each model, in numbers.
    chance_ : matplotlib Line2D or None

    Examples
    --------
    >>> from skemo.displays.subject_scores import SubjectScoresDisplay
    >>> y, subjects = ["rest", "stress"] * 4, ["S2"] * 4 + ["S3"] * 4
    >>> y_pred = ["rest", "stress"] * 2 + ["rest"] * 4
    >>> display = SubjectScoresDisplay.from_predictions(y, y_pred, subjects)
    >>> display.scores["model"].to_dict()
    {'S2': 1.0, 'S3': 0.5}
    """

    def __init__(
        self,
        scores: pd.DataFrame,
        *,
        metric: str = "balanced_accuracy",
        intervals: pd.DataFrame | None = None,
        confidence: float = 0.95,
        chance: float | None = None,
        protocol: str | None = None,
        label: str | None = None,
    ) -> None:
        self.scores = scores
        self.metric = metric
        self.intervals = intervals
        self.confidence = confidence
        self.chance = chance
        self.protocol = protocol
        self.label = label

    def plot(self, ax: "Axes | None" = None, *, max_joined: int = 6, name_width: int = 22) -> Self:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.
        max_joined : int, default=6
            Largest number of models for which the dots of a subject are joined.
        name_width : int, default=22
            Number of characters after which a model's name is wrapped.

        Returns
        -------
        self
        """
        n_subjects, n_models = self.scores.shape
        ax = self.ax_ = check_axes(ax, figsize=(6.4, 0.9 + 0.75 * n_models))
        self.figure_ = ax.figure
        values = self.scores.to_numpy(np.float64)
        # A subject has the same height in every row, so that the lines do not cross needlessly.
        order = np.arange(1, n_subjects + 1) * _GOLDEN % 1
        rows = np.arange(n_models) - 0.18 + 0.36 * (order[:, np.newaxis] - 0.5)
        self.lines_: list[Any] = []
        self.points_: list[Any] = []
        self.means_: list[Any] = []
        self.text_: list[Any] = []
        if 1 < n_models <= max_joined:
            for x, y in zip(values, rows, strict=True):
                self.lines_ += ax.plot(x, y, color=NEUTRAL, linewidth=0.6, alpha=0.35, zorder=1)
        for i, model in enumerate(self.scores):
            self._plot_model(i, model, values[:, i], rows[:, i])
        self.chance_ = None
        if self.chance is not None:
            self.chance_ = ax.axvline(
                self.chance, color=NEUTRAL, linewidth=1, linestyle="--", zorder=0, label="chance"
            )
            ax.annotate(
                "chance",
                (self.chance, 1),
                (0, 2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                fontsize="small",
                color=NEUTRAL,
            )
        names = [textwrap.fill(to_printable(str(model)), name_width) for model in self.scores]
        ax.set_yticks(np.arange(n_models), names)
        ax.set_ylim(n_models - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color=NEUTRAL, alpha=0.2, linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.set_xlabel(_in_words(describe_metric(self.metric)) if self.label is None else self.label)
        header = "mean" if self.intervals is None else f"mean\n[{100 * self.confidence:g} %]"
        ax.text(1.02, 1.01, header, transform=ax.transAxes, fontsize="small", color=NEUTRAL)
        if self.protocol is not None:
            ax.set_title(self.protocol, loc="left", fontsize="medium", pad=16)
        return self

    def _plot_model(self, i, model, values, rows):
        """Draw the row of a model: its dots, and below them the mean with its interval."""
        color, below = color_of(i), i + 0.26
        self.points_.append(
            self.ax_.scatter(values, rows, s=20, color=color, alpha=0.7, linewidth=0, zorder=2)
        )
        known = values[~np.isnan(values)]
        mean = known.mean() if len(known) else np.nan
        low, high = np.nan, np.nan
        if self.intervals is not None:
            rows = zip(self.intervals.index, self.intervals.to_numpy(), strict=True)
            low, high = dict(rows)[model]
        has_interval = not np.isnan([mean, low, high]).any()
        self.means_.append(
            self.ax_.errorbar(
                mean,
                below,
                xerr=[[mean - low], [high - mean]] if has_interval else None,
                fmt="D",
                color=color,
                markersize=6,
                linewidth=2.2,
                zorder=3,
            )
        )
        text = "no scores"
        if len(known):
            decimals = max(2, decimals_of(values))
            text = f"{mean:.{decimals}f}"
            if has_interval:
                text += f"\n[{low:.{decimals}f}, {high:.{decimals}f}]"
        self.text_.append(
            self.ax_.text(
                1.02,
                i,
                text,
                transform=self.ax_.get_yaxis_transform(),
                va="center",
                fontsize="small",
            )
        )

    @classmethod
    def from_comparison(
        cls,
        comparison: "Comparison",
        metric: str | None = None,
        models: str | Sequence[str] | None = None,
        ax: "Axes | None" = None,
        *,
        confidence: float = 0.95,
    ) -> Self:
        """Draw the scores of a comparison.

        Parameters
        ----------
        comparison : Comparison
            As :func:`skemo.compare` returns it.
        metric : str, default=None
            One of ``comparison.metrics``. None means the balanced accuracy, or the concordance for
            numbers.
        models : str or list of str, default=None
            The models to draw, in this order; all of them if None.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.
        confidence : float, default=0.95
            Confidence level of the interval of the mean.

        Returns
        -------
        SubjectScoresDisplay

        Raises
        ------
        ValueError
            The metric is unknown, or a model is not in the comparison.
        """
        if comparison.targets:
            raise ValueError(
                f"The comparison has the targets {comparison.targets}: pass one of "
                "comparison.by_target().values()."
            )
        metric = comparison.main_metric if metric is None else metric
        check_metric(metric, comparison.metrics)
        models = chosen_models(comparison, models)
        protocol = comparison.title
        n_classes = comparison.predictions["y_true"].nunique()
        scores = comparison.subject_scores()
        display = cls._of_scores(scores, models, metric, n_classes, confidence, protocol)
        display.label = _in_words(comparison.describe_metric(metric))
        return display.plot(ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike | Mapping[str, ArrayLike],
        subjects: ArrayLike,
        *,
        metric: str | None = None,
        name: str = "model",
        confidence: float = 0.95,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the scores of predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_windows,)
            Labels or numbers.
        y_pred : array-like of shape (n_windows,), or dict of str to such
            Predicted labels or numbers; for several models, a dict from their names.
        subjects : array-like of shape (n_windows,)
            The subject of each window.
        metric : str, default=None
            One of `skemo.evaluation.scores.METRICS`, except for the Brier score and the ROC AUC,
            which need probabilities, or of `REGRESSION_METRICS`. None means the balanced accuracy,
            or the concordance if `y_true` are no labels.
        name : str, default="model"
            Name of a single model.
        confidence : float, default=0.95
            Confidence level of the interval of the mean.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        SubjectScoresDisplay

        Raises
        ------
        ValueError
            The metric is unknown, or the lengths differ.
        """
        without_probabilities = [name for name in METRICS if name not in ("brier", "roc_auc")]
        if metric is None:
            is_number = type_of_target(y_true).startswith("continuous")
            metric = main_metric("regression" if is_number else "classification")
        check_metric(metric, [*without_probabilities, *REGRESSION_METRICS])
        predicted = predictions_by_model(y_true, y_pred, subjects, name)
        task: Task = "regression" if metric in REGRESSION_METRICS else "classification"
        scores = score_predictions(predicted, ["model", "subject"], task)
        models, n_classes = list(predicted["model"].unique()), predicted["y_true"].nunique()
        return cls._of_scores(scores, models, metric, n_classes, confidence, None).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: pd.DataFrame | ArrayLike,
        y: ArrayLike,
        subjects: ArrayLike,
        *,
        metric: str | None = None,
        name: str | None = None,
        confidence: float = 0.95,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the scores of a fitted classifier for subjects that it has not seen.

        Parameters
        ----------
        estimator : classifier or Pipeline
            Fitted.
        X : DataFrame or array of n_windows rows
            Windows, or features.
        y : array-like of shape (n_windows,)
            Labels.
        subjects : array-like of shape (n_windows,)
            The subject of each window.
        metric : str, default=None
            As for `from_predictions`.
        name : str, default=None
            The model's name; the name of its class if None.
        confidence : float, default=0.95
            Confidence level of the interval of the mean.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        SubjectScoresDisplay

        Raises
        ------
        ValueError
            The metric is unknown, or the lengths differ.
        """
        return cls.from_predictions(
            y,
            estimator.predict(X),
            subjects,
            metric=metric,
            name=type(estimator).__name__ if name is None else name,
            confidence=confidence,
            ax=ax,
        )

    @classmethod
    def _of_scores(cls, scores, models, metric, n_classes, confidence, protocol):
        """Return the display of a table with the columns `model`, `subject` and `metric`."""
        from skemo.evaluation.statistics import bootstrap_interval

        table = scores.pivot(index="subject", columns="model", values=metric)
        table = table.reindex(columns=models).rename_axis(columns=None)
        bounds = {
            model: bootstrap_interval(table[model], confidence=confidence) for model in models
        }
        intervals = pd.DataFrame.from_dict(bounds, orient="index", columns=["low", "high"])
        chance = {
            "balanced_accuracy": 1 / n_classes,
            "sensitivity": 1 / n_classes,
            "specificity": 1 - 1 / n_classes,
            "roc_auc": 0.5,
            "pearson": 0.0,
            "concordance": 0.0,
        }.get(metric)
        return cls(
            table,
            metric=metric,
            intervals=intervals,
            confidence=confidence,
            chance=chance,
            protocol=protocol,
        )


def chosen_models(comparison: "Comparison", models: str | Sequence[str] | None) -> list[str]:
    """Return the names of the models to draw: all of the comparison's, or those in `models`."""
    if models is None:
        return list(comparison.models)
    if isinstance(models, str):
        models = [models]
    elif not isinstance(models, Iterable):
        raise ValueError(f"models must be a name or a list of names, got {models!r}.")
    models = list(dict.fromkeys(models))
    unknown = [model for model in models if model not in comparison.models]
    if unknown or not models:
        raise ValueError(
            f"models has {unknown}, but the models of the comparison are {list(comparison.models)}."
        )
    return models


def one_per_window(values: Any, name: str) -> NDArray[Any]:
    """Return values as an array of shape (n_windows,)."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # names of different lengths
        raise ValueError(f"{name} must be one name or number per window: {error}") from error
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (n_windows,), got {array.shape}.")
    return array


def predictions_by_model(
    y_true: ArrayLike,
    y_pred: ArrayLike | Mapping[str, ArrayLike],
    subjects: ArrayLike,
    name: str,
) -> pd.DataFrame:
    """Return a table of predictions with the columns `model`, `subject`, `y_true`, `y_pred`."""
    by_model = y_pred if isinstance(y_pred, dict) else {name: y_pred}
    true_labels = one_per_window(y_true, "y_true")
    if not by_model or not len(true_labels):
        raise ValueError("There are no predictions to draw.")
    if subjects is None or pd.isna(one_per_window(subjects, "subjects")).any():
        raise ValueError("subjects must name the subject of every window, without NaN or None.")
    parts = []
    for model, labels in by_model.items():
        columns = {
            "subject": one_per_window(subjects, "subjects"),
            "y_true": true_labels,
            "y_pred": one_per_window(labels, "y_pred"),
        }
        check_consistent_length(*columns.values())
        own, known = (set(columns[what].tolist()) for what in ("y_pred", "y_true"))
        are_text = [any(isinstance(label, str) for label in labels) for labels in (own, known)]
        if own.isdisjoint(known) and are_text[0] != are_text[1]:
            raise ValueError(
                f"{model!r} predicted {sorted(own, key=repr)[:5]}, but the labels are "
                f"{sorted(known, key=repr)[:5]}: give both in the same form."
            )
        parts.append(pd.DataFrame({"model": model, **columns}))
    return pd.concat(parts, ignore_index=True)


def _in_words(metric):
    name = f"{metric.name[:1].upper()}{metric.name[1:]}"
    return f"{name} (lower is better)" if metric.lower_is_better else name
