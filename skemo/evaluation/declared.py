"""Steps of a model that must be declared with its scores, since they use other windows."""

from sklearn.base import BaseEstimator

from skemo.features.per_subject import PerSubject

# Steps whose output for a window depends on the other windows predicted with it.
_TRANSDUCTIVE: dict[type, str] = {
    PerSubject: "standardises each subject by the subject's own windows, tested ones included, "
    "without their labels"
}


def transductive_steps(model: BaseEstimator) -> list[str]:
    """Return the names of a model's steps that use other windows of the person tested.

    Such a model needs several windows of a new person, which must be declared with its scores.

    Parameters
    ----------
    model : estimator
        Its parameters are searched, at any depth.

    Returns
    -------
    list of str
        Names of classes, without repetition.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skemo import PerSubject, make_svm
    >>> from skemo.evaluation.declared import transductive_steps
    >>> transductive_steps(make_svm(make_pipeline("passthrough", PerSubject())))
    ['PerSubject']
    """
    parts = [model, *model.get_params().values()] if hasattr(model, "get_params") else [model]
    found = [kind.__name__ for part in parts for kind in _TRANSDUCTIVE if isinstance(part, kind)]
    return list(dict.fromkeys(found))


def describe_step(name: str) -> str:
    """Return what a step of `transductive_steps` does with the windows of a person."""
    return {kind.__name__: text for kind, text in _TRANSDUCTIVE.items()}[name]
