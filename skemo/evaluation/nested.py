"""Searches inside a comparison: their inner folds by subject, and what they choose."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import (
    GroupKFold,
    StratifiedGroupKFold,
    TunedThresholdClassifierCV,
)
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from skemo.evaluation.splitters import BlockedKFold, LeaveOneTrialOut


def split_by_subject(
    model: BaseEstimator,
    random_state: int | np.random.RandomState | None,
    n_subjects: int,
    n_of_class: int,
    stratify: bool = True,
) -> BaseEstimator:
    """Return a model whose search, if any, has inner folds of subjects.

    Parameters
    ----------
    model : estimator
        A search, a Pipeline that ends in one, or any other model, which is returned unchanged.
    random_state : int, RandomState or None
        Seed of the inner folds.
    n_subjects : int
        The smallest number of training subjects of any fold.
    n_of_class : int
        The smallest number of training subjects with windows of a class, for two classes.
    stratify : bool, default=True
        Whether to spread classes evenly over the inner folds.

    Returns
    -------
    estimator
        A clone whose search has a splitter by subject if its `cv` was a number or None.

    Raises
    ------
    ValueError
        There are fewer subjects than inner folds, an inner training set would lack a class, or
        the inner folds of the search cannot be made from training rows and their subjects.
    """
    prefix, search = _last_step(model)
    if not is_search(search):
        return model
    if isinstance(search.cv, LeaveOneTrialOut | BlockedKFold):
        raise ValueError(
            f"A search has cv={search.cv!r}, but inner folds are given only the subjects: set cv "
            "to a number of folds, or a splitter such as GroupKFold."
        )
    if hasattr(search.cv, "split"):
        return model
    if np.iterable(search.cv):
        raise ValueError(
            "A search has a list of splits as its cv, whose row numbers do not fit the training "
            "rows of a fold: set cv to a number of folds, or a splitter such as GroupKFold."
        )
    if n_of_class < 2:
        raise ValueError(
            "A search would have inner folds without one of the classes, since only one subject "
            "(or trial) of a training set has windows of it: a search within subjects needs three "
            "trials of each class from each subject."
        )
    n_splits = min(5, n_subjects) if search.cv is None else search.cv
    if n_splits > n_subjects or n_splits < 2:
        raise ValueError(
            f"A search has cv={search.cv}, but training has {n_subjects} subject(s) or trial(s) "
            "for the inner folds: use fewer folds."
        )
    kind = StratifiedGroupKFold if stratify else GroupKFold
    inner = kind(n_splits, shuffle=True, random_state=random_state)
    return clone(model).set_params(**{f"{prefix}cv": inner})


def fit_parameters(model: BaseEstimator, subjects: NDArray) -> dict[str, NDArray]:
    """Return the parameters for the ``fit`` of a model: the subjects, if it takes them.

    Parameters
    ----------
    model : estimator
        With metadata routing enabled, its last step is made to request `groups` if it uses them.
    subjects : ndarray of shape (n_windows,)
        Or trials, if training has a single subject.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)

    Raises
    ------
    ValueError
        The subjects cannot be passed to a network inside a search.
    """
    routing = get_config()["enable_metadata_routing"]
    prefix, final = _last_step(model)
    names, is_bare, candidates = set(), False, []
    if is_search(final):
        candidates = searched_parameters(final)
        if hasattr(final.cv, "split") and _takes_groups(final.cv):
            names.add(f"{prefix}groups")
        inner, final = _last_step(final.estimator)
        is_bare = not inner
        prefix += inner
    takes_subjects = _takes_subjects(final) or any(
        name.split("__")[-1] in ("early_stopping", "mixup") for name, _ in candidates
    )
    if routing:  # a network must say whether it takes the groups that the splitter gets
        values = [value for _, values in candidates if np.iterable(values) for value in values]
        for part in (final, *values):
            if hasattr(part, "set_fit_request") and has_fit_parameter(part, "groups"):
                part.set_fit_request(groups=takes_subjects or _takes_subjects(part))
    if takes_subjects and has_fit_parameter(final, "groups"):
        if is_bare and not routing:
            raise ValueError(
                f"A search over a bare {type(final).__name__} cannot give it the subjects for its "
                "early stopping or mixup: search make_pipeline(network) instead, or turn on "
                "metadata routing."
            )
        names.add(f"{prefix}groups")
    if routing:
        names = {"groups"} if names else set()
    return dict.fromkeys(sorted(names), subjects)


def _takes_subjects(network):
    """Whether a network stops early, or mixes windows, by subject."""
    stops = getattr(network, "early_stopping", False) is True
    return stops or bool(getattr(network, "mixup", 0))


def chosen_parameters(model: BaseEstimator) -> dict[str, Any] | None:
    """Return the choice of a fitted model's search in JSON types, or None without a search."""
    if isinstance(model, MultiOutputClassifier | MultiOutputRegressor):
        return _chosen_by_target([chosen_parameters(each) for each in model.estimators_])
    steps = getattr(model, "steps", None)
    search = steps[-1][1] if isinstance(steps, list) else model
    if not hasattr(search, "best_params_"):
        return None
    params = {name: _plain(value) for name, value in search.best_params_.items()}
    return {"params": params, "score": float(getattr(search, "best_score_", np.nan))}


def _chosen_by_target(chosen):
    """The choices of a search for each target, in one record."""
    if None in chosen:
        return None
    params = {
        f"{name} (target {i})": value
        for i, each in enumerate(chosen)
        for name, value in each["params"].items()
    }
    return {"params": params, "score": float(np.mean([each["score"] for each in chosen]))}


def _last_step(model):
    """The prefix of the parameters and the last step of a Pipeline; "" and any other model."""
    if isinstance(model, Pipeline):
        name, final = model.steps[-1]
        return f"{name}__", final
    return "", model


def is_search(model: Any) -> bool:
    if isinstance(model, TunedThresholdClassifierCV):  # its fit takes no groups
        return False
    return all(hasattr(model, name) for name in ("estimator", "cv", "refit"))


def searched_parameters(search: Any) -> list[tuple[str, Any]]:
    """Names and values of the parameters that a search sets."""
    space = getattr(search, "param_grid", None) or getattr(search, "param_distributions", None)
    spaces = [space] if isinstance(space, dict) else space or []
    return [item for each in spaces if isinstance(each, dict) for item in each.items()]


def _takes_groups(splitter):
    try:
        return bool(get_routing_for_object(splitter).consumes("split", ["groups"]))
    except AttributeError:  # a splitter without scikit-learn's base class
        return True


def _plain(value):
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
