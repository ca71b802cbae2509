"""What a comparison predicts: classes or numbers, one target or several."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from skemo.evaluation.scores import Task
from skemo.signals.checks import check_sortable, check_text


class Target(NamedTuple):
    """A target of all windows.

    Parameters
    ----------
    name : str
        "" if it is the only one.
    values : ndarray of shape (n_windows,)
        NaN or None where it is missing, if there are several targets.
    classes : ndarray of shape (n_classes,), or None
        The classes in order, or None for numbers.
    """

    name: str
    values: NDArray[Any]
    classes: NDArray[Any] | None


def find_task(models: Mapping[str, BaseEstimator], y: Any) -> Task:
    """Return whether models predict classes or numbers.

    The models decide; `y` does only if none of them is a classifier or regressor.

    Raises
    ------
    ValueError
        Some models are classifiers and others regressors.
    """
    with_tags = {
        name: model for name, model in models.items() if hasattr(model, "__sklearn_tags__")
    }
    regressors = [name for name, model in with_tags.items() if is_regressor(model)]
    classifiers = [name for name, model in with_tags.items() if is_classifier(model)]
    if regressors and classifiers:
        raise ValueError(
            "A comparison is of classifiers or of regressors, but "
            f"{', '.join(map(repr, regressors))} "
            f"predict{'s' * (len(regressors) == 1)} numbers and "
            f"{', '.join(map(repr, classifiers))} classes: compare them one after the other."
        )
    if regressors:
        return "regression"
    if classifiers:
        return "classification"
    known = pd.DataFrame(y).dropna().to_numpy()
    return "regression" if type_of_target(known).startswith("continuous") else "classification"


def read_targets(y: Any, task: Task) -> list[Target]:
    """Return the targets in `y`, one per column.

    Parameters
    ----------
    y : array-like of shape (n_windows,) or (n_windows, n_targets), or DataFrame
    task : {"classification", "regression"}

    Returns
    -------
    list of Target

    Raises
    ------
    ValueError
        Values are missing, a target has only one value, or `y` is not numeric for regressors.
    """
    values = y if isinstance(y, pd.DataFrame | pd.Series) else np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 0:
        raise ValueError("y has no columns: pass the labels or numbers of each window.")
    several = values.ndim == 2 and values.shape[1] > 1
    names = [""]
    if isinstance(values, pd.DataFrame):
        columns = [_plain(values.iloc[:, i]) for i in range(values.shape[1])]
        if several:
            names = list(map(str, values))
            if len(set(names)) < len(names):
                raise ValueError(f"The targets must have different names, got {names}.")
    elif several:
        columns = [_plain(column) for column in values.T]
        names = [f"target {i}" for i in range(len(columns))]
    else:
        columns = [_plain(values if isinstance(values, pd.Series) else column_or_1d(values))]
    missing = np.all([pd.isna(column) for column in columns], axis=0)
    if missing.any():
        raise ValueError(
            f"y is missing (NaN) in {missing.sum()} row(s): drop these rows of X, y and groups."
        )
    targets = []
    for name, column in zip(names, columns, strict=True):
        where = f"y, target {name!r}," if several else "y"
        known = column[~pd.isna(column)]
        if task == "regression":
            targets.append(Target(name, _as_numbers(column, known, where), None))
        else:
            targets.append(Target(name, column, _classes_of(known, where)))
    if several and task == "classification":
        kinds = {isinstance(own[0], str) for _, _, own in targets if own is not None}
        if len(kinds) > 1:
            raise ValueError(
                "The classes of all targets must be text, or all must be numbers: convert the "
                "columns of numbers with astype(str)."
            )
    return targets


def stack_targets(targets: list[Target]) -> NDArray[Any]:
    """Return the `y` of models, of shape ``(n_windows,)`` or ``(n_windows, n_targets)``."""
    if len(targets) == 1:
        return targets[0].values
    is_text = targets[0].classes is not None and isinstance(targets[0].classes[0], str)
    if not (is_text and any(pd.isna(target.values).any() for target in targets)):
        # Equal types, so that labels are not objects.
        return np.column_stack([np.array(target.values.tolist()) for target in targets])
    return np.column_stack([target.values.astype(object) for target in targets])


def in_order(y: NDArray[Any], orders: Sequence[NDArray[Any] | None]) -> Any:
    """Return labels as ordered Categoricals, which tell ``loss="ordinal"`` the order of text.

    Parameters
    ----------
    y : ndarray of shape (n_windows,) or (n_windows, n_targets)
    orders : sequence of ndarray or None
        The classes of each target in their order; None if they have none.

    Returns
    -------
    ndarray, Series or DataFrame
        `y` itself if no target has an order.
    """
    if all(order is None for order in orders):
        return y
    columns = [pd.Series(column) for column in y.reshape(len(y), -1).T]
    for i, order in enumerate(orders):
        if order is not None:
            columns[i] = columns[i].astype(pd.CategoricalDtype(order, ordered=True))
    return columns[0] if y.ndim == 1 else pd.concat(columns, axis=1)


def known_rows(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows have all of their targets, of shape ``(n_windows,)``."""
    return ~pd.isna(y.reshape(len(y), -1)).any(axis=1)


def code_rows(y: NDArray[Any]) -> NDArray[Any]:
    """Return a value that is the same for equal rows: `y`, or codes for several targets."""
    if y.ndim == 1:
        return y
    return pd.DataFrame(y).groupby(list(range(y.shape[1])), dropna=False).ngroup().to_numpy()


def describe_target(target: Target) -> dict[str, Any]:
    """Return the counts of the classes, or the distribution of the numbers, in plain values."""
    known = target.values[~pd.isna(target.values)]
    n_missing = len(target.values) - len(known)
    missing = {"no_target": n_missing} if n_missing else {}
    if target.classes is None:
        numbers = {
            "mean": float(known.mean()),
            "std": float(known.std(ddof=1)),
            "low": float(known.min()),
            "high": float(known.max()),
        }
        return {"numbers": numbers, **missing}
    classes, counts = np.unique(known, return_counts=True)
    counted = dict(zip(map(str, classes), counts.tolist(), strict=True))
    return {"classes": counted, **missing}


def _plain(column):
    """Return a target without nullable types: numbers as numbers, NaN or None if missing."""
    if column.dtype.kind not in "biuf":
        check_text(column, "The label")
    if isinstance(column.dtype, np.dtype) and column.dtype != object:
        return np.asarray(column)
    values = np.array(column, object)
    missing = pd.isna(values)
    known = pd.Series(values[~missing]).infer_objects().to_numpy()
    if not missing.any():
        return known
    is_numeric = known.dtype.kind in "iuf"
    filled = np.full(len(values), np.nan if is_numeric else None, float if is_numeric else object)
    filled[~missing] = known
    return filled


def _classes_of(known, where):
    check_sortable(known, where)
    try:
        is_continuous = type_of_target(known) == "continuous"
        if not is_continuous:
            check_classification_targets(known)
    except ValueError as error:
        raise ValueError(
            f"{where} has no classes: {error} For numbers, compare regressors, such as "
            'make_svm(..., task="regression").'
        ) from error
    if is_continuous:
        raise ValueError(
            f"{where} contains numbers such as {known[known % 1 != 0][0]:g}, but the models are "
            'classifiers. Compare regressors, such as make_svm(..., task="regression"), or divide '
            "the numbers into classes, for example by pandas.cut."
        )
    classes = np.unique(known)
    if len(classes) < 2:
        raise ValueError(f"{where} has one class, {classes[0]}: a comparison needs at least two.")
    return classes


def _as_numbers(values, known, where):
    try:
        numbers = known.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{where} must be numbers for models that are regressors, got {known.tolist()[0]!r}."
        ) from error
    if np.isinf(numbers).any():
        raise ValueError(f"{where} must be finite, got {numbers[np.isinf(numbers)][0]}.")
    if np.ptp(numbers) == 0:
        raise ValueError(f"{where} is {numbers[0]:g} in all windows: there is nothing to predict.")
    filled = np.full(len(values), np.nan)
    filled[~pd.isna(values)] = numbers
    return filled
