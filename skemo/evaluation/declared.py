"""Steps of a model that must be declared with its scores, since they use other windows."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skemo.evaluation.nested import is_search, searched_parameters
from skemo.features.context import ContextTransformer
from skemo.features.per_subject import PerSubject

# What is done by steps whose output for a window depends on other windows.
_DECLARED = {
    "PerSubject": "standardises each subject by the subject's own windows, tested ones included, "
    "without their labels",
    "ContextTransformer": "averages each window and the windows before and after it in the same "
    "trial, tested ones included, without their labels",
    "ContextTransformer (causal)": "averages each window and earlier windows of the same trial, "
    "tested ones included, without their labels",
}


def transductive_steps(model: BaseEstimator) -> list[str]:
    """Return the names of a model's steps that use other windows of the person tested.

    Such a model needs several windows of a new person, which must be declared with its scores.

    Parameters
    ----------
    model : estimator
        Its parameters are searched, at any depth, and so are the candidates of a search.

    Returns
    -------
    list of str
        Names of classes, without repetition, and whether they use only earlier windows.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skemo import PerSubject, make_svm
    >>> from skemo.evaluation.declared import transductive_steps
    >>> transductive_steps(make_svm(make_pipeline("passthrough", PerSubject())))
    ['PerSubject']
    """
    parts = _parts(model)
    candidates = [pair for part in parts if is_search(part) for pair in searched_parameters(part)]
    chosen = [value for _, values in candidates if np.iterable(values) for value in values]
    parts += [part for value in chosen for part in _parts(value)]
    any_reach = any(name.split("__")[-1] == "reach" for name, _ in candidates)
    found = []
    for part in parts:
        if isinstance(part, PerSubject):
            found.append("PerSubject")
        elif isinstance(part, ContextTransformer) and (part.reach or any_reach):
            found.append(f"ContextTransformer{' (causal)' if part.causal else ''}")
    return list(dict.fromkeys(found))


def describe_step(name: str) -> str:
    """Return what a step of `transductive_steps` does with the windows of a person."""
    return _DECLARED[name]


def _parts(model: Any) -> list[Any]:
    """Return a model and all its parameters; a value that is not a model, alone."""
    is_instance = hasattr(model, "get_params") and not isinstance(model, type)
    return [model, *model.get_params().values()] if is_instance else [model]
