"""Scores of predictions by subject, and their mean and standard deviation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo._escape import to_latex, to_markdown, to_printable

Task = Literal["classification", "regression"]


class Metric(NamedTuple):
    """How a score is named and read.

    Parameters
    ----------
    title : str
        Heading of its column in a table, as in papers.
    name : str
        Name in sentences and figures.
    percent : bool, default=True
        Whether it is a share, shown in per cent.
    lower_is_better : bool, default=False
        Whether it is an error.
    """

    title: str
    name: str
    percent: bool = True
    lower_is_better: bool = False


class Scorer(NamedTuple):
    """A score of the user's own: a function of rows of predictions, and how to read it."""

    function: Callable[[pd.DataFrame], float]
    metric: Metric


PROBABILITY = "probability "  # prefix of a column of predictions, before the class
_METRICS = {
    "accuracy": Metric("ACC", "accuracy"),
    "balanced_accuracy": Metric("balanced accuracy", "balanced accuracy"),
    "macro_f1": Metric("macro F1", "macro F1"),
    "sensitivity": Metric("sensitivity", "sensitivity"),
    "specificity": Metric("specificity", "specificity"),
    "precision": Metric("PPR", "precision (PPR)"),
    "roc_auc": Metric("ROC AUC", "ROC AUC"),
    "brier": Metric("Brier", "Brier score", lower_is_better=True),
    "rmse": Metric("RMSE", "root-mean-square error", percent=False, lower_is_better=True),
    "mae": Metric("MAE", "mean absolute error", percent=False, lower_is_better=True),
    "r2": Metric("R²", "R²", percent=False),
    "pearson": Metric("Pearson r", "Pearson correlation", percent=False),
    "concordance": Metric("CCC", "concordance correlation", percent=False),
    "sen_spe": Metric("SEN & SPE", "mean of sensitivity and specificity"),
}
REGRESSION_METRICS = ("rmse", "mae", "r2", "pearson", "concordance")
METRICS = tuple(name for name in _METRICS if name not in (*REGRESSION_METRICS, "sen_spe"))
_OF_PROBABILITIES = ("roc_auc", "brier")
_CORRELATIONS = ("r2", "pearson", "concordance")  # shown with two decimals

# The columns of a table, if the summary has them; those of probabilities if any model gives them.
_COLUMNS = (
    *("accuracy", "sen_spe", "precision", "balanced_accuracy", "macro_f1", *_OF_PROBABILITIES),
    *REGRESSION_METRICS,
)
_CONSTANT = 1e-12  # relative range below which numbers are all the same, up to rounding


def metrics_of(task: Task) -> tuple[str, ...]:
    """Return the names of the scores of classes or of numbers."""
    return REGRESSION_METRICS if task == "regression" else METRICS


def main_metric(task: Task, known_subjects: bool = False) -> str:
    """Return the score that tests and figures use by default.

    If the tested subjects are in training, the higher the numbers left out, the lower the mean of
    training. Correlations are then below 0 if there is no relation; errors are still fair.
    """
    if task == "classification":
        return "balanced_accuracy"
    return "rmse" if known_subjects else "concordance"


def describe_metric(name: str, scorers: Mapping[str, Scorer] | None = None) -> Metric:
    """Return how a score is named and read."""
    return scorers[name].metric if scorers and name in scorers else _METRICS[name]


def check_metric(metric: str, allowed: Sequence[str] = METRICS) -> None:
    """Raise a ValueError unless `metric` is allowed; for a heading of a table, suggest its name."""
    if metric in allowed:
        return
    shown = {name: {about.title.lower(), about.name.lower()} for name, about in _METRICS.items()}
    meant = [name for name, titles in shown.items() if str(metric).lower() in titles]
    hint = ""
    if meant == ["sen_spe"] and "sensitivity" in allowed:
        hint = " SEN & SPE is the mean of two, 'sensitivity' and 'specificity': choose one of them."
    elif set(meant) <= set(allowed):
        hint = "".join(f" Did you mean {name!r}?" for name in meant)
    raise ValueError(f"Unknown metric {metric!r}; there are {', '.join(map(repr, allowed))}.{hint}")


def score_predictions(
    predictions: pd.DataFrame,
    by: list[str],
    task: Task = "classification",
    scorers: Mapping[str, Scorer] | None = None,
) -> pd.DataFrame:
    """Score the predictions in each group of rows.

    Parameters
    ----------
    predictions : DataFrame
        With `y_true`, `y_pred` and the columns named in `by`; the Brier score and the ROC AUC need
        the columns ``probability <class>`` too.
    by : list of str
        Columns that define the groups.
    task : {"classification", "regression"}, default="classification"
        Whether the predictions are classes or numbers.
    scorers : dict of str to Scorer, default=None
        Further scores, by name. A score that raises an error is NaN.

    Returns
    -------
    DataFrame
        One row per group, in order of appearance: the columns `by`, `METRICS` or
        `REGRESSION_METRICS` as `compare` defines them, the further scores, and `n_windows`.
    """
    groups = predictions.groupby(by, sort=False)
    codes = groups.ngroup().to_numpy()
    scores = predictions.drop_duplicates(by)[by].reset_index(drop=True)
    if task == "regression":
        pairs = predictions[["y_true", "y_pred"]].to_numpy(np.float64)
        own = [number_scores(*pairs[rows].T) for rows in groups.indices.values()]
        order = [codes[rows[0]] for rows in groups.indices.values()]
        table = pd.DataFrame(own, order, columns=list(REGRESSION_METRICS)).sort_index()
        scores[list(table)] = table.to_numpy()
    else:
        labels = predictions[["y_true", "y_pred"]].to_numpy()
        label_codes, classes = pd.factorize(labels.ravel())
        label_codes = label_codes.reshape(-1, 2)
        confusion = np.zeros((groups.ngroups, len(classes), len(classes)), np.intp)
        np.add.at(confusion, (codes, label_codes[:, 0], label_codes[:, 1]), 1)
        for metric, values in confusion_scores(confusion).items():
            scores[metric] = values
        scores["roc_auc"] = _areas_under_roc(predictions, codes, groups.ngroups)
        errors = pd.Series(squared_errors(predictions), predictions.index)
        keys = [predictions[name] for name in by]
        scores["brier"] = errors.groupby(keys, sort=False).mean().values
    for name, scorer in (scorers or {}).items():
        values = np.full(groups.ngroups, np.nan)
        for rows in groups.indices.values():
            try:
                values[codes[rows[0]]] = scorer.function(predictions.iloc[rows])
            except Exception:  # of the user's function; `compare` says what it was
                continue
        scores[name] = values
    scores["n_windows"] = np.bincount(codes, minlength=groups.ngroups)
    return scores


def number_scores(y_true: ArrayLike, y_pred: ArrayLike) -> dict[str, float]:
    """Return the scores of predicted numbers.

    Parameters
    ----------
    y_true : array-like of shape (n_windows,)
        The targets.
    y_pred : array-like of shape (n_windows,)
        The predictions.

    Returns
    -------
    dict of str to float
        `REGRESSION_METRICS`, as `compare` defines them.

    Examples
    --------
    >>> from skemo.evaluation.scores import number_scores
    >>> {name: round(x, 3) for name, x in number_scores([1, 2, 3], [2, 3, 4]).items()}
    {'rmse': 1.0, 'mae': 1.0, 'r2': -0.5, 'pearson': 1.0, 'concordance': 0.571}
    """
    true, predicted = np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64)
    # Dividing by a power of two is exact, and keeps squares from overflow and underflow.
    _, exponent = np.frexp(max(np.abs(true).max(), np.abs(predicted).max()))
    true, predicted = np.ldexp(true, -exponent), np.ldexp(predicted, -exponent)
    errors = predicted - true
    mean_square = np.mean(errors**2)
    r2 = pearson = concordance = np.nan
    if not _is_constant(true):
        centred = true - true.mean()
        variance = np.mean(centred**2)
        covariance = spread = 0.0
        if not _is_constant(predicted):
            own = predicted - predicted.mean()
            covariance, spread = np.mean(centred * own), np.mean(own**2)
        r2 = 1 - mean_square / variance
        pearson = covariance / np.sqrt(variance * spread) if spread else 0.0
        shift = true.mean() - predicted.mean()
        concordance = 2 * covariance / (variance + spread + shift**2)
    sizes = np.ldexp([np.sqrt(mean_square), np.mean(np.abs(errors))], exponent)
    values = (*sizes, r2, pearson, concordance)
    return dict(zip(REGRESSION_METRICS, map(float, values), strict=True))


def _is_constant(values):
    return np.ptp(values) <= _CONSTANT * np.abs(values).max()


def _areas_under_roc(predictions, codes, n_groups):
    """The area under the ROC curve in each group, one class against the others, by ranks."""
    columns = [name for name in predictions if name.startswith(PROBABILITY)]
    labels = predictions["y_true"].astype(str).to_numpy()
    areas = np.full((n_groups, len(columns)), np.nan)
    for i, column in enumerate(columns):
        if len(columns) == 2 and i == 0:  # the second class of two is the positive one
            continue
        positive = PROBABILITY + labels == column
        ranks = predictions[column].groupby(codes).rank().to_numpy()
        n_positive = np.bincount(codes, positive, n_groups)
        n_negative = np.bincount(codes, ~positive, n_groups)
        pairs = np.bincount(codes, np.where(positive, ranks, 0.0 * ranks), n_groups)
        # Not in place: of no windows, bincount returns whole numbers.
        pairs = pairs - n_positive * (n_positive + 1) / 2
        both = (n_positive > 0) & (n_negative > 0)
        np.divide(pairs, n_positive * n_negative, out=areas[:, i], where=both)
    known = ~np.isnan(areas)
    total, n_known = np.where(known, areas, 0.0).sum(axis=1), known.sum(axis=1)
    return np.divide(total, n_known, out=np.full(n_groups, np.nan), where=n_known > 0)


def confusion_scores(confusion: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Return the scores of confusion matrices, as `compare` defines them.

    Parameters
    ----------
    confusion : array-like of shape (..., n_classes, n_classes)
        Counts, true classes in rows and predicted classes in columns.

    Returns
    -------
    dict of str to ndarray of shape (...)
        All of `METRICS` but the ROC AUC and the Brier score.

    Examples
    --------
    >>> from skemo.evaluation.scores import confusion_scores
    >>> scores = confusion_scores([[8, 2], [1, 4]])
    >>> scores["accuracy"].item(), scores["balanced_accuracy"].item()
    (0.8, 0.8)
    """
    confusion = np.asarray(confusion, np.float64)
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    total = true.sum(axis=-1, keepdims=True)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    present = true > 0

    def macro(numerator, denominator):
        """Mean over the classes that are present and for which the ratio is defined."""
        defined = present & (denominator > 0)
        ratio = np.divide(numerator, denominator, out=np.zeros_like(hits), where=defined)
        n_defined = defined.sum(axis=-1)
        none = np.full(n_defined.shape, np.nan)
        return np.divide(ratio.sum(axis=-1), n_defined, out=none, where=n_defined > 0)

    sensitivity = macro(hits, true)
    return {
        "accuracy": hits.sum(axis=-1) / total[..., 0],
        "balanced_accuracy": sensitivity,
        "macro_f1": macro(2 * hits, true + predicted),
        "sensitivity": sensitivity,
        "specificity": macro(total - true - predicted + hits, total - true),
        # A class that is never predicted has no hits: its precision is 0 / 1.
        "precision": macro(hits, np.maximum(predicted, 1)),
    }


def squared_errors(predictions: pd.DataFrame) -> NDArray[np.float64]:
    """Return the squared error of each prediction; their mean is the Brier score.

    Half the sum over classes of (probability − indicator)², between 0 and 1. For two classes it
    is the usual (p − y)².

    Parameters
    ----------
    predictions : DataFrame
        With `y_true` and a column ``probability <class>`` for each class.

    Returns
    -------
    ndarray of shape (n_predictions,)
        NaN where there are no probabilities.
    """
    columns = [name for name in predictions if name.startswith(PROBABILITY)]
    if not columns:
        return np.full(len(predictions), np.nan)
    is_class = [PROBABILITY + str(label) for label in predictions["y_true"]]
    true = np.array(columns) == np.array(is_class)[:, np.newaxis]
    return ((predictions[columns].to_numpy(np.float64) - true) ** 2).sum(axis=1) / 2


def summarize(subject_scores: pd.DataFrame) -> pd.DataFrame:
    """Return the mean and standard deviation over subjects for each model.

    Parameters
    ----------
    subject_scores : DataFrame
        One row per model and subject, as `Comparison.subject_scores` returns it.

    Returns
    -------
    DataFrame
        One row per model, in order of appearance; columns (metric, "mean") and (metric, "std"). The
        metrics are the scores and, for classes, `sen_spe`, the mean of sensitivity and specificity,
        which for two classes is the balanced accuracy. The standard deviation has the divisor
        n − 1, and is NaN for a single subject.
    """
    scores = subject_scores.drop(columns=["subject", "n_windows"], errors="ignore")
    if "sensitivity" in scores:
        scores["sen_spe"] = (scores["sensitivity"] + scores["specificity"]) / 2
    return scores.groupby("model", sort=False).agg(["mean", "std"])


def format_summary(
    summary: pd.DataFrame, scorers: Mapping[str, Scorer] | None = None
) -> pd.DataFrame:
    """Format a summary with the columns that papers use.

    Parameters
    ----------
    summary : DataFrame
        From `summarize`.
    scorers : dict of str to Scorer, default=None
        Further scores in the summary.

    Returns
    -------
    DataFrame of str
        One row per model, each cell "mean ± standard deviation over subjects". For classes, in per
        cent: `ACC`, `SEN & SPE` (their mean), `PPR` (precision), `balanced accuracy` and
        `macro F1`, and `ROC AUC` and `Brier` if any model gives probabilities. For numbers:
        `RMSE` and `MAE` in the unit of the target, `R²`, `Pearson r` and `CCC`. Then the further
        scores.
    """
    columns = {}
    for name in (*_COLUMNS, *(scorers or {})):
        if name not in summary or (
            name in _OF_PROBABILITIES and not summary[name, "mean"].notna().any()
        ):
            continue
        metric = describe_metric(name, scorers)
        values = 100 * summary[name] if metric.percent else summary[name]
        decimals = 1 if metric.percent else metric_decimals(name, values["mean"])
        columns[metric.title] = [
            "–" if np.isnan(mean) else f"{mean:z.{decimals}f} ± {std:.{decimals}f}"
            for mean, std in values[["mean", "std"]].itertuples(index=False)
        ]
    return pd.DataFrame(columns, index=summary.index)


def metric_decimals(metric: str, values: ArrayLike) -> int:
    """Return the number of decimals with which to show a score that is not a share."""
    return 2 if metric in _CORRELATIONS else decimals_of(values)


def decimals_of(values: ArrayLike) -> int:
    """Return the number of decimals that shows the largest of some numbers to three digits.

    Examples
    --------
    >>> from skemo.evaluation.scores import decimals_of
    >>> decimals_of([0.51, -0.02]), decimals_of([1234.5]), decimals_of([0.00052])
    (2, 0, 6)
    """
    known = np.abs(np.asarray(values, np.float64))
    known = known[np.isfinite(known) & (known > 0)]
    if not known.size:
        return 2
    size = int(np.floor(np.log10(known.max())))
    return max(0, 2 - size) if size >= 0 or size < -1 else 2


def format_table(table: pd.DataFrame, form: Literal["text", "markdown", "latex"]) -> str:
    """Format a table of text.

    Parameters
    ----------
    table : DataFrame of str
        With models as the index. The name of its columns, or else of its index, is the heading
        of the models.
    form : {"text", "markdown", "latex"}
        "latex" needs the package booktabs.

    Returns
    -------
    str

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.evaluation.scores import format_table
    >>> table = pd.DataFrame({"ACC": ["90.0 ± 5.0"]}, index=pd.Index(["SVM"], name="model"))
    >>> print(format_table(table, "markdown"))
    | model | ACC |
    | --- | ---: |
    | SVM | 90.0 ± 5.0 |
    """
    if form == "text":
        return to_printable(table.to_string())
    head = [table.columns.name or table.index.name or "", *table.columns]
    rows = [[str(cell) for cell in row] for row in [head, *table.itertuples()]]
    if form == "markdown":
        rows = [[to_markdown(cell) for cell in row] for row in rows]
        rows.insert(1, ["---"] + ["---:"] * table.shape[1])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    if form == "latex":
        lines = [" & ".join(map(to_latex, row)) + r" \\" for row in rows]
        return "\n".join(
            [
                rf"\begin{{tabular}}{{l{'r' * table.shape[1]}}}",
                r"\toprule",
                lines[0],
                r"\midrule",
                *lines[1:],
                r"\bottomrule",
                r"\end{tabular}",
            ]
        )
    raise ValueError(f'The form of a table is "text", "markdown" or "latex", got {form!r}.')
