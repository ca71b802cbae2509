"""Scores of predictions by subject, and their mean and standard deviation."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo._escape import to_latex, to_markdown, to_printable

PROBABILITY = "probability "  # prefix of a column of predictions, before the class
_OF_CONFUSION = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "sensitivity",
    "specificity",
    "precision",
)
METRICS = (*_OF_CONFUSION, "brier")

# The columns of a table, named as in papers.
_TITLES = {
    "ACC": "accuracy",
    "SEN & SPE": "sen_spe",
    "PPR": "precision",
    "balanced accuracy": "balanced_accuracy",
    "macro F1": "macro_f1",
}


def check_metric(metric: str) -> None:
    """Raise a ValueError if `metric` is not one of `METRICS`."""
    if metric not in METRICS:
        raise ValueError(f"Unknown metric {metric!r}; there are {', '.join(map(repr, METRICS))}.")


def score_predictions(predictions: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Score the predictions in each group of rows.

    Parameters
    ----------
    predictions : DataFrame
        With `y_true`, `y_pred` and the columns named in `by`; the Brier score needs the columns
        ``probability <class>`` too.
    by : list of str
        Columns that define the groups.

    Returns
    -------
    DataFrame
        One row per group, in order of appearance: the columns `by`, `METRICS` as `compare`
        defines them, and `n_windows`.
    """
    groups = predictions.groupby(by, sort=False)
    labels = predictions[["y_true", "y_pred"]].to_numpy()
    codes, classes = pd.factorize(labels.ravel())
    codes = codes.reshape(-1, 2)
    confusion = np.zeros((groups.ngroups, len(classes), len(classes)), np.intp)
    np.add.at(confusion, (groups.ngroup().to_numpy(), codes[:, 0], codes[:, 1]), 1)
    scores = predictions.drop_duplicates(by)[by].reset_index(drop=True)
    for metric, values in confusion_scores(confusion).items():
        scores[metric] = values
    errors = pd.Series(squared_errors(predictions), predictions.index)
    scores["brier"] = errors.groupby([predictions[name] for name in by], sort=False).mean().values
    scores["n_windows"] = confusion.sum(axis=(1, 2))
    return scores


def confusion_scores(confusion: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Return the scores of confusion matrices, as `compare` defines them.

    Parameters
    ----------
    confusion : array-like of shape (..., n_classes, n_classes)
        Counts, true classes in rows and predicted classes in columns.

    Returns
    -------
    dict of str to ndarray of shape (...)
        All of `METRICS` but the Brier score.

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
        One row per model, in order of appearance; columns (metric, "mean") and (metric, "std"),
        fractions of 1. The metrics are `METRICS` and `sen_spe`, the mean of sensitivity and
        specificity, which for two classes is the balanced accuracy. The standard deviation has
        the divisor n − 1, and is NaN for a single subject.
    """
    scores = subject_scores.copy()
    scores["sen_spe"] = (scores["sensitivity"] + scores["specificity"]) / 2
    models = scores.groupby("model", sort=False)
    return models[[*METRICS, "sen_spe"]].agg(["mean", "std"])


def format_summary(summary: pd.DataFrame) -> pd.DataFrame:
    """Format a summary in per cent, with the columns that papers use.

    Parameters
    ----------
    summary : DataFrame
        From `summarize`.

    Returns
    -------
    DataFrame of str
        One row per model, with columns `ACC`, `SEN & SPE` (their mean), `PPR` (precision),
        `balanced accuracy` and `macro F1`, each "mean ± standard deviation over subjects", and
        `Brier` if any model gives probabilities.
    """
    titles = dict(_TITLES)
    if summary["brier", "mean"].notna().any():
        titles["Brier"] = "brier"
    percent = 100 * summary
    return pd.DataFrame(
        {
            title: [
                "–" if np.isnan(mean) else f"{mean:.1f} ± {std:.1f}"
                for mean, std in percent[metric][["mean", "std"]].itertuples(index=False)
            ]
            for title, metric in titles.items()
        },
        index=summary.index,
    )


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
