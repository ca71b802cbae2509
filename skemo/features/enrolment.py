"""Enrolment of new people in a fitted model."""

import copy
from typing import TypeVar

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils.validation import check_is_fitted

from skemo.features.per_subject import PerSubject

Model = TypeVar("Model")


def enroll(model: Model, windows: pd.DataFrame | ArrayLike) -> Model:
    """Return a fitted model that knows the statistics of new people.

    `PerSubject` standardises a new person by all of their rows that are predicted together. If
    the person is measured beforehand, for example during a few minutes of rest, a single window is
    enough from then on: it is standardised by the statistics of those windows. No labels are
    needed, and what the model has learnt about classes does not change.

    Parameters
    ----------
    model : Pipeline or other estimator
        A fitted model with a `PerSubject` anywhere in Pipelines, ColumnTransformers, FeatureUnions
        and fitted searches.
    windows : DataFrame or array of n_windows rows
        Windows of one or several people, as for ``predict``, including the column of their names.
        The windows of a known person are added to those that were measured before.

    Returns
    -------
    estimator
        A copy that shares everything except the statistics with `model`, which is unchanged.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    ValueError
        If there is no `PerSubject`, or it is inside another kind of estimator.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo import PerSubject, enroll, make_svm
    >>> X = pd.DataFrame({"rate": [60.0, 90.0, 55.0, 85.0], "subject": ["a", "a", "b", "b"]})
    >>> model = make_svm(PerSubject()).fit(X, ["rest", "stress"] * 2)
    >>> baseline = pd.DataFrame({"rate": [70.0, 71.0, 72.0], "subject": "new"})
    >>> window = pd.DataFrame({"rate": [95.0], "subject": "new"})
    >>> enroll(model, baseline).predict(window).tolist()
    ['stress']
    """
    check_is_fitted(model)
    if not _has_subjects(model):
        raise ValueError(
            f"{type(model).__name__} has no PerSubject, so it uses no statistics of people: its "
            "predictions need no enrolment."
        )
    return _enroll(model, windows)


def _has_subjects(step):
    if isinstance(step, PerSubject):
        return True
    parts = step.get_params().values() if hasattr(step, "get_params") else ()
    return any(isinstance(part, PerSubject) for part in parts)


def _enroll(step, X):
    """Return a copy of a fitted step whose `PerSubject` steps have measured their input."""
    enrolled = copy.copy(step)
    if isinstance(step, PerSubject):
        return enrolled.partial_fit(X)
    if isinstance(step, Pipeline):
        enrolled.steps = list(step.steps)
        last = max(i for i, (_, part) in enumerate(step.steps) if _has_subjects(part))
        for i, (name, part) in enumerate(step.steps[: last + 1]):
            if _has_subjects(part):
                part = _enroll(part, X)
                enrolled.steps[i] = name, part
            if i < last and part is not None and part != "passthrough":
                X = part.transform(X)
    elif isinstance(step, ColumnTransformer):
        enrolled.transformers_ = [
            (name, _enroll(part, _select(X, columns)), columns)
            if _has_subjects(part)
            else (name, part, columns)
            for name, part, columns in step.transformers_
        ]
    elif isinstance(step, FeatureUnion):
        enrolled.transformer_list = [
            (name, _enroll(part, X) if _has_subjects(part) else part)
            for name, part in step.transformer_list
        ]
    elif hasattr(step, "best_estimator_"):
        enrolled.best_estimator_ = _enroll(step.best_estimator_, X)
    else:
        raise ValueError(
            f"enroll cannot reach the PerSubject inside {type(step).__name__}: it looks into "
            "Pipelines, ColumnTransformers, FeatureUnions and fitted searches."
        )
    return enrolled


def _select(X, columns):
    """Return the columns that a part of a ColumnTransformer takes."""
    chosen = ColumnTransformer(
        [("columns", "passthrough", columns)], verbose_feature_names_out=False
    )
    if isinstance(X, pd.DataFrame):
        chosen.set_output(transform="pandas")
    return chosen.fit_transform(X)
