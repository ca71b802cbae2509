"""The leading steps of a Pipeline that look at one window at a time, computed once."""

from collections.abc import Iterable

import joblib
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from skemo.evaluation.nested import is_search, searched_parameters
from skemo.features.base import WindowTransformer


def precompute(model, X):
    """Compute the leading steps of a model once, before its rows are split.

    What a `WindowTransformer` returns for a window depends on that window alone, so that
    cross-validation may compute it for all windows beforehand instead of in every fold, without
    a difference in any bit of the features::

        table, rest = precompute(model, windows)
        GridSearchCV(rest, {"svc__C": [0.1, 1, 10]}, cv=LeaveOneGroupOut()).fit(
            table, y, groups=subjects)

    Parameters
    ----------
    model : estimator
        A Pipeline; or a search over one, such as ``GridSearchCV(pipeline, ...)``, whose candidates
        do not change the leading steps. Of any other model nothing is computed.
    X : DataFrame or array of n_windows rows
        Input of the model.

    Returns
    -------
    table : DataFrame or array of n_windows rows
        What the leading steps return for `X`: input of `rest`. `X` itself if there are none.
    rest : estimator
        A clone of the model without its leading steps, which are those at the beginning of the
        Pipeline that are instances of skemo's `WindowTransformer`, "passthrough", or a
        ``ColumnTransformer`` (:func:`skemo.make_modality_transformer`) or Pipeline of nothing
        else. The other steps keep their names.

    Raises
    ------
    ValueError
        As ``fit`` and ``transform`` of the steps raise it. Windows that are all missing in one
        fold are no error here, as they are in a fit to that fold.

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
    """The tables that models need of one `X`, each computed once.

    Parameters
    ----------
    X : DataFrame or array of n_windows rows
    """

    def __init__(self, X):
        self.X = X
        self._tables = {}

    def split(self, model):
        """Return the table for a model, and the rest of it, as `precompute` does."""
        if is_search(model):
            searched = {name.split("__")[0] for name, _ in searched_parameters(model)}
            leading = _leading_steps(model.estimator)
            if not leading or searched & {name for name, _ in leading}:
                return self.X, clone(model)
            return self._table(leading), clone(model).set_params(
                estimator=_without(model.estimator, len(leading))
            )
        leading = _leading_steps(model)
        if not leading:
            return self.X, clone(model)
        return self._table(leading), _without(model, len(leading))

    def _table(self, leading):
        key = joblib.hash([step for _, step in leading])
        if key not in self._tables:
            table = self.X
            for _, step in leading:
                if step != "passthrough":
                    table = clone(step).fit_transform(table)
            self._tables[key] = table
        return self._tables[key]


def _leading_steps(model):
    """Names and steps at the beginning of a Pipeline that look at one window at a time."""
    if type(model) is not Pipeline or model.transform_input is not None:
        return []
    leading = []
    for name, step in model.steps[:-1]:
        if not _is_windowwise(step):
            break
        leading.append((name, "passthrough" if step is None else step))
    while leading and isinstance(leading[-1][1], str):  # nothing to compute
        leading.pop()
    return leading


def _is_windowwise(step):
    if step is None or isinstance(step, str):
        return step != "drop"
    if type(step) is Pipeline:
        return step.transform_input is None and all(_is_windowwise(part) for _, part in step.steps)
    if type(step) is ColumnTransformer:
        parts = [*((part, columns) for _, part, columns in step.transformers), (step.remainder, "")]
        return all(
            (part == "drop" or _is_windowwise(part))
            and isinstance(columns, Iterable | int | slice)
            and not callable(columns)
            for part, columns in parts
        )
    return isinstance(step, WindowTransformer)


def _without(pipeline, n_steps):
    """A clone of a Pipeline without its first steps."""
    rest = clone(pipeline)
    rest.steps = rest.steps[n_steps:]
    return rest
