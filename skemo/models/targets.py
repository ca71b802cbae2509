"""Targets of the windows: class labels or numbers, one or several for each window."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from skemo.signals.checks import reading_numbers
from skemo.signals.groups import refuse_column_name


def check_sample_weight(n_windows: int, sample_weight: ArrayLike | None) -> NDArray[np.float64]:
    """Check and return the weights of the windows, which are 1 by default."""
    if sample_weight is None:
        return np.ones(n_windows)
    with reading_numbers("sample_weight"):
        weight = check_array(
            sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
        )
    if weight.ndim != 1:
        raise ValueError("Sample weights must be 1D array or scalar")
    if len(weight) != n_windows:
        raise ValueError(f"sample_weight has {len(weight)} entries, but X has {n_windows} rows.")
    if (weight < 0).any():
        raise ValueError("Negative values in sample_weight: weights must be at least 0.")
    if not weight.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


def check_labels(estimator: BaseEstimator, X: Any, y: Any) -> list[NDArray]:
    """Check class labels and return an array for each target; missing labels are None or NaN."""
    return [_check_target(column) for column in _split_targets(estimator, X, y)]


def check_numbers(estimator: BaseEstimator, X: Any, y: Any) -> list[NDArray[np.float64]]:
    """Check numbers and return an array for each target; missing numbers are NaN."""
    columns = []
    for column in _split_targets(estimator, X, y):
        with reading_numbers("y"):
            column = np.where(pd.isna(column), np.nan, np.asarray(column, object))
            settings = {"ensure_2d": False, "ensure_all_finite": "allow-nan", "input_name": "y"}
            columns.append(check_array(column, dtype=np.float64, **settings))
    return columns


def category_orders(y: Any, n_targets: int) -> list[NDArray | None]:
    """Return the categories of each target in order, None if they have no order or `y` no types."""
    columns = [y.iloc[:, i] for i in range(n_targets)] if isinstance(y, pd.DataFrame) else [y]
    types = [getattr(column, "dtype", None) for column in columns]
    orders = [
        kind.categories.to_numpy()
        if isinstance(kind, pd.CategoricalDtype) and kind.ordered
        else None
        for kind in types
    ]
    return orders if len(orders) == n_targets else [None] * n_targets


def _check_target(labels):
    known = ~pd.isna(labels)
    if labels.dtype == object:  # such as integers beside None
        found = pd.Series(labels[known]).infer_objects().to_numpy()
    else:
        found = labels[known]
    try:
        check_classification_targets(found)
    except ValueError as error:
        if type_of_target(found) != "continuous":
            raise
        raise ValueError(
            f"{error} For numbers such as {found[found % 1 != 0][0]:g}, use a regressor: "
            "ModalityAwareAttentionRegressor, CrossModalAttentionRegressor, FusionRegressor, or "
            'make_svm(..., task="regression"). To get classes, divide the numbers, for example '
            "with pandas.cut."
        ) from error
    return labels


def _split_targets(estimator, X, y):
    """Return the targets as a list of arrays of shape (n_windows,)."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )
    refuse_column_name("y", y)
    if isinstance(y, pd.DataFrame):
        columns = [y.iloc[:, i].to_numpy() for i in range(y.shape[1])]
    else:
        settings = {"ensure_2d": False, "dtype": None, "input_name": "y"}
        y = check_array(y, ensure_all_finite="allow-nan", **settings)
        columns = [y] if y.ndim == 1 else list(y.T)
    check_consistent_length(X, *columns)
    if len(columns) == 1:
        target = column_or_1d(y, warn=True)
        n_missing = np.count_nonzero(pd.isna(target))
        if n_missing:
            raise ValueError(f"Input y contains NaN in {n_missing} rows: drop these windows.")
        return [target]
    n_missing = np.count_nonzero(np.all([pd.isna(column) for column in columns], axis=0))
    if n_missing:
        raise ValueError(
            f"Input y contains NaN in {n_missing} rows, for every target: drop these windows."
        )
    return columns
