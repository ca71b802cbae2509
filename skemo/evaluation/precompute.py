"""Compute the leading steps of a Pipeline that look at one window at a time only once."""

import copy
from collections.abc import Iterable
from typing import Any

import joblib
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from skemo.evaluation.nested import is_search, searched_parameters
from skemo.features.base import WindowTransformer
from skemo.features.modalities import ModalityTransformer
from skemo.signals.checks import signal_name


def precompute(model: BaseEstimator, X: pd.DataFrame | NDArray) -> tuple[Any, BaseEstimator]:
    """Compute the leading steps of a model once, before its rows are split.

    What a `WindowTransformer` returns for a window depends on that window alone. It can therefore
    be computed for all windows before cross-validation instead of in every fold, and the features
    are the same bit by bit::

        table, rest = precompute(model, windows)
        GridSearchCV(rest, {"svc__C": [0.1, 1, 10]}, cv=LeaveOneGroupOut()).fit(
            table, y, groups=subjects)

    Parameters
    ----------
    model : estimator
        A Pipeline, or a search over one, such as ``GridSearchCV(pipeline, ...)``, whose candidates
        do not change the leading steps. Nothing is computed for any other model.
    X : DataFrame or array of n_windows rows
        Input of the model.

    Returns
    -------
    table : DataFrame or array of n_windows rows
        What the leading steps return for `X`, the input of `rest`; `X` itself if there are none.
    rest : estimator
        A clone of the model without its leading steps. These are the steps at the beginning of the
        Pipeline that are instances of skemo's `WindowTransformer`, "passthrough", or a
        ``ColumnTransformer`` (:func:`skemo.make_modality_transformer`) or Pipeline of nothing
        else. If the first other step is a Pipeline, its own leading steps are included. The
        remaining steps keep their names.

    Raises
    ------
    ValueError
        As the ``fit`` and ``transform`` of the steps. Windows that are all missing in one fold
        raise no error here, although they do in a fit to that fold.

    See Also
    --------
    skemo.compare : Does this by itself, once for all models that share their leading steps.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skemo import DifferentialEntropyTransformer, make_svm, precompute
    >>> X, y = np.random.default_rng(0).normal(size=(20, 256)), np.tile([0, 1], 10)
    >>> model = make_svm(DifferentialEntropyTransformer(sampling_rate=128))
    >>> table, rest = precompute(model, X * (1 + y[:, None]))
    >>> GridSearchCV(rest, {"classifier__C": [1.0, 10.0]}).fit(table, y).best_score_.item()
    1.0
    """
    return Precomputed(X).split(model)


class Precomputed:
    """The tables that models need from one `X`, each computed once.

    Parameters
    ----------
    X : DataFrame or array of n_windows rows

    Attributes
    ----------
    missing : dict of str to int
        For each modality, the number of windows that come out missing from the leading steps,
        in the table with most of them.
    """

    def __init__(self, X: pd.DataFrame | NDArray) -> None:
        self.X = X
        self.missing: dict[str, int] = {}
        self._tables: dict[str, Any] = {}

    def split(self, model: BaseEstimator) -> tuple[Any, BaseEstimator]:
        """Return the table for a model, and the rest of it, as `precompute` does."""
        whole = model.estimator if is_search(model) else model
        leading, rest = _split(whole)
        if is_search(model):
            searched = [name for name, _ in searched_parameters(model)]
            if any(_concerns(name, path) for name in searched for path, _ in leading):
                leading = []
            rest = clone(model).set_params(estimator=rest)
        return (self._table(leading), clone(rest)) if leading else (self.X, clone(model))

    def _table(self, leading):
        key = joblib.hash([step for _, step in leading])
        if key not in self._tables:
            table = self.X
            for _, step in leading:
                if not _is_nothing(step):
                    fitted = clone(step)
                    given, table = table, fitted.fit_transform(table)
                    for name, n in _missing_windows(fitted, given, table).items():
                        self.missing[name] = max(n, self.missing.get(name, 0))
            self._tables[key] = table
        return self._tables[key]


def _missing_windows(step, given, table):
    """Number of windows that come out missing (NaN) from a fitted step, by modality."""
    table = pd.DataFrame(table if hasattr(table, "iloc") else table.reshape(len(table), -1))
    if isinstance(step, ColumnTransformer):
        parts = {name: table.iloc[:, where] for name, where in step.output_indices_.items()}
    else:
        parts = {signal_name(given) or "signal": table}
    missing = {name: part.isna().all(axis=1) for name, part in parts.items() if part.shape[1]}
    return {name: int(rows.sum()) for name, rows in missing.items()}


def _split(model):
    """Return the leading steps, each with its parameter path, and a Pipeline of the others."""
    if type(model) is not Pipeline or model.transform_input is not None:
        return [], model
    leading, steps = [], list(model.steps)
    while len(steps) > 1 and _is_windowwise(steps[0][1]):
        leading.append(steps.pop(0))
    name, first = steps[0]
    if type(first) is Pipeline and len(steps) > 1:  # features, and what follows them
        inner, first = _split(first)
        leading += [(f"{name}__{path}", step) for path, step in inner]
        steps[0] = name, first
    if all(_is_nothing(step) for _, step in leading):
        return [], model
    rest = copy.copy(model)
    rest.steps = steps
    return leading, rest


def _concerns(name, path):
    """Whether a parameter belongs to a step, or replaces the step or a part that contains it."""
    return f"{name}__".startswith(f"{path}__") or f"{path}__".startswith(f"{name}__")


def _is_nothing(step):
    return step is None or isinstance(step, str)


def _is_windowwise(step):
    if _is_nothing(step):
        return step != "drop"
    if type(step) is Pipeline:
        return step.transform_input is None and all(_is_windowwise(part) for _, part in step.steps)
    if type(step) in (ColumnTransformer, ModalityTransformer):
        parts = [*((part, columns) for _, part, columns in step.transformers), (step.remainder, "")]
        return all(
            (part == "drop" or _is_windowwise(part))
            and isinstance(columns, Iterable | int | slice)
            and not callable(columns)
            for part, columns in parts
        )
    return isinstance(step, WindowTransformer)
