"""Searches inside a comparison: what they get of the subjects, and what they choose."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import StratifiedGroupKFold, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from skemo.evaluation.splitters import BlockedKFold, LeaveOneTrialOut


def split_by_subject(
    model: BaseEstimator,
    random_state: int | np.random.RandomState | None,
    n_subjects: int,
    n_of_class: int,
) -> BaseEstimator:
    """Return a model whose search, if it has one, chooses on folds of subjects.

    Parameters
    ----------
    model : estimator
        A search, a Pipeline that ends in one, or any other, which is returned as it is.
    random_state : int, RandomState or None
        Seed of the inner folds.
    n_subjects : int
        The fewest in training.
    n_of_class : int
        The fewest in training that have windows of a class, where there are two classes.

    Returns
    -------
    estimator
        A clone whose search has a splitter by subject, where it had a number of folds or None.

    Raises
    ------
    ValueError
        There are fewer subjects than inner folds, inner training would lack a class, or the
        search has inner folds that cannot be made of training rows and their subjects.
    """
    prefix, search = _last_step(model)
    if not is_search(search):
        return model
    if isinstance(search.cv, LeaveOneTrialOut | BlockedKFold):
        raise ValueError(
            f"A search has cv={search.cv!r}, but inner folds know the subjects alone: give a "
            "number of folds, or a splitter such as GroupKFold."
        )
    if hasattr(search.cv, "split"):
        return model
    if np.iterable(search.cv):
        raise ValueError(
            "A search has a list of splits as its cv, which are of the rows of another table than "
            "a fold's training rows: give a number of folds, or a splitter such as GroupKFold."
        )
    if n_of_class < 2:
        raise ValueError(
            "A search would have inner folds without one of the classes, since a training set has "
            "a single subject (or trial) with windows of it: a search within subjects takes three "
            "trials of each class from each subject."
        )
    n_splits = min(5, n_subjects) if search.cv is None else search.cv
    if n_splits > n_subjects or n_splits < 2:
        raise ValueError(
            f"A search has cv={search.cv}, but training has {n_subjects} subject(s) or trial(s) "
            "to deal into inner folds: take fewer folds."
        )
    inner = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    return clone(model).set_params(**{f"{prefix}cv": inner})


def fit_parameters(model: BaseEstimator, subjects: NDArray) -> dict[str, NDArray]:
    """Return what ``fit`` of a model is to be given: the subjects, where it takes them.

    Parameters
    ----------
    model : estimator
        With metadata routing, its last step is made to request `groups` if it needs them.
    subjects : ndarray of shape (n_windows,)
        Or trials, where training has one subject.

    Returns
    -------
    dict of str to ndarray of shape (n_windows,)

    Raises
    ------
    ValueError
        There is no way to give them to a network inside a search.
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
    stops = getattr(final, "early_stopping", False) is True or any(
        name.split("__")[-1] == "early_stopping" for name, _ in candidates
    )
    if routing:  # where the splitter gets groups, a network has to say whether it takes them
        values = [value for _, values in candidates if np.iterable(values) for value in values]
        for part in (final, *values):
            if hasattr(part, "set_fit_request") and has_fit_parameter(part, "groups"):
                part.set_fit_request(groups=stops or getattr(part, "early_stopping", False) is True)
    if stops and has_fit_parameter(final, "groups"):
        if is_bare and not routing:
            raise ValueError(
                f"A search over a bare {type(final).__name__} cannot give it the subjects for its "
                "early stopping: search make_pipeline(network) instead, or turn on metadata "
                "routing."
            )
        names.add(f"{prefix}groups")
    if routing:
        names = {"groups"} if names else set()
    return dict.fromkeys(sorted(names), subjects)


def chosen_parameters(model: BaseEstimator) -> dict[str, Any] | None:
    """Return what a fitted model's search chose, as JSON can hold it; None without a search."""
    steps = getattr(model, "steps", None)
    search = steps[-1][1] if isinstance(steps, list) else model
    if not hasattr(search, "best_params_"):
        return None
    params = {name: _plain(value) for name, value in search.best_params_.items()}
    return {"params": params, "score": float(getattr(search, "best_score_", np.nan))}


def _last_step(model):
    """The last step of a Pipeline and the prefix of its parameters; any other model itself."""
    if isinstance(model, Pipeline):
        name, final = model.steps[-1]
        return f"{name}__", final
    return "", model


def is_search(model: Any) -> bool:
    if isinstance(model, TunedThresholdClassifierCV):  # whose fit takes no groups
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
