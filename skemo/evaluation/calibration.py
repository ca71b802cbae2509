"""Calibration of predicted probabilities: reliability, calibration error, logarithmic loss."""

from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import column_or_1d

from skemo.evaluation.scores import PROBABILITY, squared_errors

_MOST_BINS = 1000


def calibration_bins(
    y_true: ArrayLike, probabilities: ArrayLike, classes: ArrayLike, n_bins: int = 10
) -> pd.DataFrame:
    """Compare the confidence of predictions with their accuracy, in bins of confidence.

    The confidence of a prediction is the probability of the predicted class, the most probable
    one. A plot of accuracy against confidence is a reliability diagram.

    Parameters
    ----------
    y_true : array-like of shape (n_windows,)
        Labels.
    probabilities : array-like of shape (n_windows, n_classes)
        Windows without probabilities (NaN) are left out.
    classes : array-like of shape (n_classes,)
        The class of each column.
    n_bins : int, default=10
        Bins of equal width between 0 and 1; the upper edge belongs to the bin.

    Returns
    -------
    DataFrame
        One row per bin: its edges `low` and `high`, the mean `confidence` and the `accuracy` of
        its windows (NaN if it has none), and their number `n_windows`.

    Raises
    ------
    ValueError
        The shapes do not match, `n_bins` is not positive, a label is not among the classes, or
        the probabilities of a window are negative or do not sum to 1.

    Examples
    --------
    >>> from skemo.evaluation.calibration import calibration_bins
    >>> bins = calibration_bins(["a", "b"], [[0.9, 0.1], [0.7, 0.3]], ["a", "b"], n_bins=2)
    >>> bins["confidence"].round(2).tolist(), bins["accuracy"].tolist()
    ([nan, 0.8], [nan, 0.5])
    """
    is_whole = isinstance(n_bins, Integral) and not isinstance(n_bins, bool)
    if not is_whole or not 1 <= n_bins <= _MOST_BINS:
        raise ValueError(f"n_bins must be a whole number from 1 to {_MOST_BINS}, got {n_bins!r}.")
    checked, is_true = _check_probabilities(y_true, probabilities, classes)
    known = ~np.isnan(checked).any(axis=1)
    checked, is_true = checked[known], is_true[known]
    best = checked.argmax(axis=1)[:, np.newaxis]
    confidence = np.take_along_axis(checked, best, axis=1)[:, 0]
    hits = np.take_along_axis(is_true, best, axis=1)[:, 0]
    edges = np.linspace(0, 1, n_bins + 1)
    bins = np.digitize(confidence, edges[1:-1], right=True)
    counts = np.bincount(bins, minlength=n_bins)
    divisor = np.where(counts, counts, np.nan)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "confidence": np.bincount(bins, confidence, n_bins) / divisor,
            "accuracy": np.bincount(bins, hits, n_bins) / divisor,
            "n_windows": counts,
        }
    )


def expected_calibration_error(
    y_true: ArrayLike, probabilities: ArrayLike, classes: ArrayLike, n_bins: int = 10
) -> float:
    """Return the expected calibration error, the mean gap between confidence and accuracy [1]_.

    The mean is over the `calibration_bins`, weighted by their numbers of windows.

    Parameters
    ----------
    y_true : array-like of shape (n_windows,)
        Labels.
    probabilities : array-like of shape (n_windows, n_classes)
        Windows without probabilities (NaN) are left out.
    classes : array-like of shape (n_classes,)
        The class of each column.
    n_bins : int, default=10
        Bins of equal width.

    Returns
    -------
    float
        Between 0 and 1; NaN if no window has probabilities.

    Raises
    ------
    ValueError
        As `calibration_bins`.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger (2017). On calibration of modern neural networks. ICML.

    Examples
    --------
    >>> from skemo.evaluation.calibration import expected_calibration_error
    >>> probabilities = [[0.75, 0.25]] * 4
    >>> expected_calibration_error(["a", "a", "a", "b"], probabilities, ["a", "b"])
    0.0
    """
    bins = calibration_bins(y_true, probabilities, classes, n_bins)
    gaps = (bins["confidence"] - bins["accuracy"]).abs()
    return float((gaps * bins["n_windows"]).sum() / (bins["n_windows"].sum() or np.nan))


def log_losses(
    y_true: ArrayLike, probabilities: ArrayLike, classes: ArrayLike
) -> NDArray[np.float64]:
    """Return the logarithmic loss of each window, −log of the probability of its true class.

    Parameters
    ----------
    y_true : array-like of shape (n_windows,)
        Labels.
    probabilities : array-like of shape (n_windows, n_classes)
        Clipped from below at the precision of their type, as in scikit-learn's `log_loss`.
    classes : array-like of shape (n_classes,)
        The class of each column.

    Returns
    -------
    ndarray of shape (n_windows,)
        In nats; NaN where there are no probabilities.

    Raises
    ------
    ValueError
        As `calibration_bins`.

    Examples
    --------
    >>> from skemo.evaluation.calibration import log_losses
    >>> log_losses(["a", "b"], [[0.5, 0.5], [0.0, 1.0]], ["a", "b"]).round(3).tolist()
    [0.693, 0.0]
    """
    checked, is_true = _check_probabilities(y_true, probabilities, classes)
    smallest = np.finfo(checked.dtype).eps
    losses = np.log(1 / np.maximum(checked[is_true], smallest, dtype=np.float64))
    return np.where(np.isnan(checked).any(axis=1), np.nan, losses)


def score_calibration(predictions: pd.DataFrame, n_bins: int = 10) -> pd.DataFrame:
    """Return how well the probabilities of each model are calibrated.

    Parameters
    ----------
    predictions : DataFrame
        With `model`, `y_true` and a column ``probability <class>`` for each class.
    n_bins : int, default=10
        Bins of the expected calibration error.

    Returns
    -------
    DataFrame
        One row per model with probabilities, in order of appearance, over the windows that
        have them: `brier`, between 0 and 1, the mean of `skemo.evaluation.scores.squared_errors`;
        `log_loss` in nats, the mean of `log_losses`; `ece`, `expected_calibration_error`.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.evaluation.calibration import score_calibration
    >>> predictions = pd.DataFrame({"model": "m", "y_true": ["a", "b"]})
    >>> predictions[["probability a", "probability b"]] = [[0.5, 0.5], [0.5, 0.5]]
    >>> score_calibration(predictions).loc["m"].round(3).tolist()
    [0.25, 0.693, 0.0]
    """
    has_columns = isinstance(predictions, pd.DataFrame) and {"model", "y_true"} <= set(predictions)
    if not has_columns:
        raise ValueError(
            "predictions must be a table as in Comparison.predictions, with the columns 'model' "
            "and 'y_true'."
        )
    columns = [name for name in predictions if str(name).startswith(PROBABILITY)]
    classes = [name.removeprefix(PROBABILITY) for name in columns]
    known = predictions.dropna(subset=columns) if columns else predictions[:0]
    rows = {}
    for model, own in known.groupby("model", sort=False):
        labels, probabilities = own["y_true"].astype(str), own[columns].to_numpy()
        rows[model] = {
            "brier": squared_errors(own).mean(),
            "log_loss": log_losses(labels, probabilities, classes).mean(),
            "ece": expected_calibration_error(labels, probabilities, classes, n_bins),
        }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["brier", "log_loss", "ece"])
    return table.rename_axis("model")


def _check_probabilities(y_true, probabilities, classes):
    """Return the probabilities, and an array of the same shape that marks the true classes."""
    y_true, classes = column_or_1d(y_true), column_or_1d(classes)
    probabilities = np.asarray(probabilities)
    if probabilities.dtype.kind not in "biuf":
        raise ValueError(f"probabilities must be real numbers, got dtype {probabilities.dtype}.")
    if probabilities.dtype.kind != "f":
        probabilities = probabilities.astype(np.float64)
    if probabilities.shape != (*y_true.shape, len(classes)):
        raise ValueError(
            f"{len(y_true)} labels and {len(classes)} classes need probabilities of shape "
            f"({len(y_true)}, {len(classes)}), got {probabilities.shape}."
        )
    is_true = y_true[:, np.newaxis] == classes
    if not is_true.any(axis=1).all():
        unknown = y_true[~is_true.any(axis=1)][0]
        raise ValueError(f"The label {unknown} is not one of the classes {classes.tolist()}.")
    known = probabilities[~np.isnan(probabilities).any(axis=1)]
    wrong = (known < 0).any(axis=1) | (np.abs(known.sum(axis=1) - 1) > 1e-3)
    if wrong.any():
        raise ValueError(f"The probabilities of a window must sum to 1, got {known[wrong][0]}.")
    return probabilities, is_true
