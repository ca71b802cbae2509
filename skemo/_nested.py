"""Searches inside a comparison: what they get of the subjects, and what they choose."""

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter


def split_by_subject(model, random_state, n_subjects):
    """Return a model whose search, if it has one, chooses on folds of subjects.

    Parameters
    ----------
    model : estimator
        A search, a Pipeline that ends in one, or any other, which is returned as it is.
    random_state : int, RandomState or None
        Seed of the inner folds.
    n_subjects : int
        The fewest in training.

    Returns
    -------
    estimator
        A clone whose search has a splitter by subject, where it had a number of folds or None.

    Raises
    ------
    ValueError
        There are fewer subjects than inner folds.
    """
    prefix, search = _last_step(model)
    if not _is_search(search) or hasattr(search.cv, "split") or np.iterable(search.cv):
        return model
    n_splits = min(5, n_subjects) if search.cv is None else search.cv
    if n_splits > n_subjects or n_splits < 2:
        raise ValueError(
            f"A search has cv={search.cv}, but training has {n_subjects} subject(s) or trial(s) "
            "to deal into inner folds: take fewer folds."
        )
    inner = StratifiedGroupKFold(n_splits, shuffle=True, random_state=random_state)
    return clone(model).set_params(**{f"{prefix}cv": inner})


def fit_parameters(model, subjects):
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
    names, is_bare = set(), False
    if _is_search(final):
        if hasattr(final.cv, "split") and _takes_groups(final.cv):
            names.add(f"{prefix}groups")
        inner, final = _last_step(final.estimator)
        is_bare = not inner
        prefix += inner
    if getattr(final, "early_stopping", False) is True and has_fit_parameter(final, "groups"):
        if is_bare and not routing:
            raise ValueError(
                f"A search over a bare {type(final).__name__} cannot give it the subjects for its "
                "early stopping: search make_pipeline(network) instead, or turn on metadata "
                "routing."
            )
        if routing:
            final.set_fit_request(groups=True)
        names.add(f"{prefix}groups")
    if routing:
        names = {"groups"} if names else set()
    return dict.fromkeys(sorted(names), subjects)


def chosen_parameters(model):
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


def _is_search(model):
    return all(hasattr(model, name) for name in ("estimator", "cv", "refit"))


def _takes_groups(splitter):
    try:
        return bool(get_routing_for_object(splitter).consumes("split", ["groups"]))
    except AttributeError:  # a splitter without scikit-learn's base class
        return True


def _plain(value):
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
