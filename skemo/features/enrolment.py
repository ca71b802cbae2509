"""Enrolment of new people in a fitted model."""

import copy
import warnings
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils.validation import check_is_fitted

from skemo.features.per_subject import PerSubject
from skemo.signals.recording import Recording

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
    TypeError
        If `windows` are recordings.
    ValueError
        If there is no `PerSubject`, or it is inside another kind of estimator, or if the column of
        names is missing.

    Warns
    -----
    UserWarning
        Features that the model knows are missing in all of these windows.

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
    _check_windows(model, windows)
    missing: dict[str, None] = {}
    enrolled = _enroll(model, windows, missing)
    if missing:
        shown = ", ".join(list(missing)[:5]) + (", …" if len(missing) > 5 else "")
        warnings.warn(
            f"enroll: {len(missing)} feature(s) could not be measured, since they are missing in "
            f"all of these windows of a person: {shown}. Pass windows with all signals of the "
            "model.",
            UserWarning,
            stacklevel=2,
        )
    return enrolled


def _check_windows(model, windows):
    one = windows[0] if isinstance(windows, list | tuple) and windows else windows
    if isinstance(one, Recording):
        raise TypeError("enroll takes windows: cut recordings with skemo.segment(…, duration=…).")
    known = getattr(model, "feature_names_in_", ())
    for step in (model, *model.get_params().values()):
        if not (isinstance(step, PerSubject) and isinstance(windows, pd.DataFrame)):
            continue
        if step.by in known and step.by not in windows:
            raise ValueError(
                f"The windows have no column {step.by!r}, which says whom they belong to."
            )


def _find_missing(before, after):
    """Return the features without a value for a person who was just measured."""
    n_before = dict(zip(before["subject"].tolist(), before["windows"], strict=True))
    is_new = [
        n_before.get(name) != n
        for name, n in zip(after["subject"].tolist(), after["windows"], strict=True)
    ]
    is_known = (before["values"] > 0).any(axis=0)
    is_missing = (after["values"][np.array(is_new, bool)] == 0).any(axis=0)
    return [str(name) for name in after["column"][is_known & is_missing]]


def _has_subjects(step):
    if isinstance(step, PerSubject):
        return True
    parts = step.get_params().values() if hasattr(step, "get_params") else ()
    return any(isinstance(part, PerSubject) for part in parts)


def _enroll(step, X, missing):
    """Return a copy of a fitted step whose `PerSubject` steps have measured their input.

    Features without a value are added to the keys of `missing`.
    """
    enrolled = copy.copy(step)
    if isinstance(step, PerSubject):
        enrolled.partial_fit(X)
        missing.update(dict.fromkeys(_find_missing(step.statistics_, enrolled.statistics_)))
        return enrolled
    if isinstance(step, Pipeline):
        enrolled.steps = list(step.steps)
        last = max(i for i, (_, part) in enumerate(step.steps) if _has_subjects(part))
        for i, (name, part) in enumerate(step.steps[: last + 1]):
            if _has_subjects(part):
                part = _enroll(part, X, missing)
                enrolled.steps[i] = name, part
            if i < last and part is not None and part != "passthrough":
                X = part.transform(X)
    elif isinstance(step, ColumnTransformer):
        enrolled.transformers_ = [
            (name, _enroll(part, _select(X, columns), missing), columns)
            if _has_subjects(part)
            else (name, part, columns)
            for name, part, columns in step.transformers_
        ]
    elif isinstance(step, FeatureUnion):
        enrolled.transformer_list = [
            (name, _enroll(part, X, missing) if _has_subjects(part) else part)
            for name, part in step.transformer_list
        ]
    elif hasattr(step, "best_estimator_"):
        enrolled.best_estimator_ = _enroll(step.best_estimator_, X, missing)
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
