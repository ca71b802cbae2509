"""The user's own scores: scikit-learn's scorers and metrics, applied to stored predictions."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer
from sklearn.utils.metaestimators import available_if

from skemo._warnings import ignored_warnings
from skemo.evaluation.scores import PROBABILITY, Metric, Scorer, Task, metrics_of

Scoring = str | Callable[..., float]

_TAKEN = ("model", "target", "repeat", "fold", "subject", "n_windows", "n_train", "sen_spe")
_ERRORS = ("_error", "_loss", "_deviance")  # how scikit-learn names scores to minimise


def read_scoring(
    scoring: Scoring | Sequence[Scoring] | Mapping[str, Scoring] | None, task: Task
) -> dict[str, Scorer]:
    """Return further scores by name, without those that every comparison has.

    Parameters
    ----------
    scoring : str, callable, list or dict of these, or None
        As for `skemo.compare`.
    task : {"classification", "regression"}

    Returns
    -------
    dict of str to Scorer

    Raises
    ------
    ValueError
        A name is unknown, is taken or occurs twice.
    """
    if scoring is None:
        return {}
    if isinstance(scoring, str) or callable(scoring):
        scoring = [scoring]
    named: list[tuple[str, Scoring]]
    if isinstance(scoring, Mapping):
        named = list(scoring.items())
    else:
        named = [(_name_of(each), each) for each in scoring]
    scorers: dict[str, Scorer] = {}
    for name, each in named:
        if not isinstance(name, str) or name in scorers or name in _TAKEN:
            raise ValueError(
                f"scoring has the name {name!r}, which is not text, is taken or occurs twice: pass "
                "a dict of names to scorers."
            )
        if name in metrics_of(task):
            if each == name:  # a score that every comparison has
                continue
            raise ValueError(f"scoring has {name!r}, the name of a score of every comparison.")
        scorers[name] = _read(name, each, task)
    return scorers


def score_error(scorer: Scorer, predictions: pd.DataFrame) -> str | None:
    """Return why some predictions cannot be scored, or None if they can."""
    try:
        value = scorer.function(predictions)
    except Exception as error:  # of the user's function
        if isinstance(error, AttributeError) and "predict_proba" in str(error):
            return (
                "it needs probabilities (predict_proba), which the model does not give. "
                "scikit-learn's CalibratedClassifierCV gives them to a classifier."
            )
        return f"{type(error).__name__}: {error}".partition("\n")[0]
    return "it is NaN" if np.isnan(value) else None


class _Predicted(BaseEstimator):
    """A stand-in for a fitted model: given rows of predictions, it returns these predictions."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        return self

    def predict(self, X: pd.DataFrame) -> NDArray[Any]:
        return X["y_pred"].to_numpy()


class _PredictedNumbers(RegressorMixin, _Predicted):
    pass


class _PredictedClasses(ClassifierMixin, _Predicted):
    def __init__(self, classes: NDArray[Any], has_probabilities: bool) -> None:
        self.classes = classes
        self.has_probabilities = has_probabilities

    @property
    def classes_(self):
        return self.classes

    @available_if(lambda self: self.has_probabilities)
    def predict_proba(self, X: pd.DataFrame) -> NDArray[np.float64]:
        return X[[f"{PROBABILITY}{label}" for label in self.classes]].to_numpy(np.float64)


def _read(name, each, task):
    if isinstance(each, str):
        function = get_scorer(each)  # its error lists the names that exist
        error = False  # scikit-learn's scorers negate errors
    elif callable(each):
        if _takes_two(each):
            return Scorer(
                partial(_score_metric, each), _named(name, _name_of(each).endswith(_ERRORS))
            )
        function, error = each, False
    else:
        raise ValueError(f"scoring must have names and functions, got {each!r}.")
    return Scorer(partial(_score_scorer, function, task), _named(name, error))


def _named(name, lower_is_better):
    return Metric(name, name, percent=False, lower_is_better=lower_is_better)


def _name_of(each):
    return each if isinstance(each, str) else getattr(each, "__name__", repr(each))


def _takes_two(function):
    """Whether a function takes two arguments, (y_true, y_pred), and not (estimator, X, y)."""
    needed = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return len(needed) == 2


def _score_metric(metric, rows):
    with ignored_warnings():
        return float(metric(rows["y_true"].to_numpy(), rows["y_pred"].to_numpy()))


def _score_scorer(scorer, task, rows):
    model: Any = _PredictedNumbers()
    if task == "classification":
        columns = [name for name in rows if name.startswith(PROBABILITY)]
        known = bool(columns) and rows[columns].notna().all(axis=None)
        model = _PredictedClasses(_classes_in(rows, columns), bool(known))
    with ignored_warnings():
        return float(scorer(model, rows, rows["y_true"].to_numpy()))


def _classes_in(rows, columns):
    """The classes in the order of the columns, as labels and not as text."""
    labels = rows["y_true"].to_numpy()
    if not columns:
        return np.unique(rows[["y_true", "y_pred"]].to_numpy().ravel())
    names = [column.removeprefix(PROBABILITY) for column in columns]
    if labels.dtype.kind == "b":
        return np.array([name == "True" for name in names])
    return np.array(
        [labels.dtype.type(name) if labels.dtype.kind in "iuf" else name for name in names]
    )
