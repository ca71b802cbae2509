"""The first steps of a Pipeline, where they learn nothing, computed once for a whole table."""

import contextlib
import copy
import functools
import warnings

import joblib
import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import _num_samples

from skemo.features.per_subject import PerSubject
from skemo.signals.checks import signal_columns

# The parameter by which a candidate of a search is told its table. A search that is verbose
# prints it; the space keeps it apart from the parameters of estimators.
TABLE = "leading part"
CANDIDATE = "candidate number"  # likewise, where fits were trained before
_N_CHECKED = 32  # rows transformed a second time by themselves
_TAKE_X = {"predict", "predict_proba", "predict_log_proba", "decision_function"}
_TAKE_X |= {"score", "score_samples", "transform"}


def learns_nothing(transformer):
    """Whether what a transformer returns for a row depends on that row alone.

    Parameters
    ----------
    transformer : transformer, "passthrough", "drop" or None

    Returns
    -------
    bool
        True of transformers with the tag ``requires_fit=False`` that are not random, and of
        a Pipeline or ColumnTransformer of such.
    """
    if transformer is None or isinstance(transformer, str):
        return True
    if type(transformer) is Pipeline:
        return transformer.transform_input is None and all(map(learns_nothing, _parts(transformer)))
    if type(transformer) is ColumnTransformer:
        # A function that chooses the columns may look at the rows for it.
        chosen = [columns for _, _, columns in transformer.transformers if callable(columns)]
        by_type = all(isinstance(columns, make_column_selector) for columns in chosen)
        return by_type and all(map(learns_nothing, _parts(transformer)))
    if not hasattr(transformer, "transform") or not hasattr(transformer, "__sklearn_tags__"):
        return False
    tags = get_tags(transformer)
    return not tags.requires_fit and not tags.non_deterministic


def find_leading_part(pipeline, fit_params=()):
    """Find what a Pipeline can compute before the rows are split.

    Parameters
    ----------
    pipeline : Pipeline
    fit_params : sequence of str, default=()
        Names of what ``fit`` will be given beside `X` and `y`; the leading part ends before
        a step that gets any of it.

    Returns
    -------
    n_steps : int
        How many first steps learn nothing.
    per_subject : bool
        Whether `PerSubject` follows, around a transformer that learns nothing.
    """
    n_steps = 0
    for name, step in pipeline.steps[:-1]:
        if _receives(name, step, fit_params):
            break
        if type(step) is PerSubject and learns_nothing(step.transformer):
            if _computes(step.transformer):
                return n_steps, True
            break
        if not learns_nothing(step):
            break
        n_steps += 1
    while n_steps and not _computes(pipeline.steps[n_steps - 1][1]):
        n_steps -= 1
    return n_steps, False


def take_rows(table, rows):
    """Return rows of a computed table, in the memory layout that computing them would give.

    Sums over rows depend on that layout in their last bits.

    Parameters
    ----------
    table : ndarray or DataFrame
    rows : ndarray of int
        Positions.

    Returns
    -------
    ndarray or DataFrame
        A copy.
    """
    if isinstance(table, pd.DataFrame):
        return table.take(rows)
    taken = np.empty_like(table, shape=(len(rows), *table.shape[1:]), subok=False)
    return np.take(table, rows, axis=0, out=taken, mode="clip")


class Table:
    """A table whose rows an estimator is fitted on, and how much of the estimator is in it.

    Parameters
    ----------
    values : ndarray or DataFrame, or any `X` that scikit-learn takes
        What the leading part returned; without a leading part, `X` itself.
    steps : sequence of transformers, default=()
        The fitted steps of the leading part.
    per_subject : PerSubject or None, default=None
        The step after these, if its transformer is in the table too: with that fitted, and
        without statistics.
    subjects : ndarray of shape (n_windows,) or None, default=None
        Whose the rows are, for `per_subject`.
    rows : ndarray of shape (n_windows,) or None, default=None
        This object stands for all rows as they are, without a copy.
    """

    def __init__(self, values, steps=(), per_subject=None, subjects=None, rows=None):
        self.values = values
        self.steps = list(steps)
        self.per_subject = per_subject
        self.subjects = subjects
        self.rows = rows

    @property
    def is_raw(self):
        """Whether the table is `X` itself."""
        return not self.steps and self.per_subject is None

    def take(self, rows):
        """Return what the rest of the estimator takes, for some rows."""
        if self.is_raw:
            return self.values if rows is self.rows else _safe_indexing(self.values, rows)
        if self.per_subject is None:
            return take_rows(self.values, rows)
        return pd.DataFrame({"row": rows, "subject": self.subjects[rows]})

    def cut(self, estimator):
        """Return the estimator without its leading part."""
        if self.is_raw:
            return estimator
        n_steps = len(self.steps)
        rest = copy.copy(estimator)
        rest.steps = [(name, "passthrough") for name, _ in estimator.steps[:n_steps]]
        rest.steps += estimator.steps[n_steps:]
        if self.per_subject is not None:
            name, step = rest.steps[n_steps]
            recall = _Recall(self.values, _feature_names(self.per_subject))
            rest.steps[n_steps] = name, clone(step).set_params(transformer=recall, by="subject")
            rest.memory = None  # it would hash the table, and store it with each fit
        return rest

    def restore(self, estimator, rest):
        """Put the leading part before `rest`, the fitted remainder of `estimator`."""
        if self.is_raw:
            return rest
        steps = copy.deepcopy(self.steps)
        if self.per_subject is not None:
            steps.append(copy.deepcopy(self.per_subject))
            steps[-1].statistics_ = rest.steps[len(self.steps)][1].statistics_
        names = [name for name, _ in estimator.steps]
        whole = copy.copy(estimator)
        whole.steps = list(zip(names, steps, strict=False)) + rest.steps[len(steps) :]
        return whole


class Tables:
    """The tables that estimators need of one `X`, each computed once.

    Parameters
    ----------
    X : any input that scikit-learn takes
    y : array-like of n_windows rows, default=None
    fit_params : sequence of str, default=()
        Names of what ``fit`` will be given besides.

    Attributes
    ----------
    rows : ndarray of shape (n_windows,)
        The positions of all rows.
    raw : Table
        `X` itself.
    """

    def __init__(self, X, y=None, fit_params=()):
        (self.X,) = indexable(X)
        self.y = y
        self.fit_params = fit_params
        self.rows = np.arange(_num_samples(self.X))
        self.raw = Table(self.X, rows=self.rows)
        self._known = {}

    def find(self, estimator):
        """Return the table for an estimator.

        Parameters
        ----------
        estimator : estimator
            Of any kind.

        Returns
        -------
        Table
            The raw one for all but a Pipeline with a leading part; and where that fails on
            the whole table, so that it fails in the folds where scikit-learn's fit would.
        """
        key, table = None, self.raw
        # Whatever a leading part raises, here or in a fold, is for scikit-learn to report.
        with contextlib.suppress(Exception):
            if type(estimator) is not Pipeline or estimator.transform_input is not None:
                return self.raw
            n_steps, per_subject = find_leading_part(estimator, self.fit_params)
            leading = [step for _, step in estimator.steps[: n_steps + per_subject]]
            if not leading or get_tags(estimator).input_tags.pairwise:
                return self.raw
            key = per_subject, _hash(leading)
            if key not in self._known:
                table = self._compute(leading, per_subject)
        return self._known.setdefault(key, table)

    def _compute(self, leading, per_subject):
        if not per_subject:
            values, steps = _transform(leading, self.X, self.y)
            return Table(values, steps)
        values, steps = _transform(leading[:-1], self.X, self.y)
        step = clone(leading[-1])
        subjects, values = step._take_subjects(values, reset=True)
        values, (step.transformer_,) = _transform([step.transformer], values, self.y)
        return Table(values, steps, step, subjects)


class OnRows:
    """An estimator that takes positions of rows where the whole one takes the rows.

    It looks up what the leading part gives for them, and fits and predicts with the rest. What
    is pickled when it is fitted, as on the way back from another process, is the whole
    estimator instead.

    Parameters
    ----------
    estimator : estimator
        The whole one.
    tables : list of Table
        Those that it may need. Clones share it.
    table : int, default=0
        The one that it needs, by position.
    source : Tables or None, default=None
        What computes more of them. It holds the data: clones and pickles leave it behind.
    trained : dict or None, default=None
        Fits that were trained together before they are asked for: by candidate and rows, as
        `fit_key` names them, the fitted rest or the exception that it raised. Clones share it.
    candidate : int, default=0
        The candidate that this is, among those of `trained`.
    """

    def __init__(self, estimator, tables, table=0, source=None, trained=None, candidate=0):
        self.estimator = estimator
        self.tables = tables
        self.table = table
        self.source = source
        self.trained = {} if trained is None else trained
        self.candidate = candidate
        self.rest = None

    def prepare(self, candidates):
        """Compute the tables that the candidates of a search need, before any is fitted.

        Parameters
        ----------
        candidates : iterable of dict of str to object
            Parameters of the estimator.

        Returns
        -------
        list of dict
            The same, each with the position of its table.
        """
        prepared = []
        for params in candidates:
            whole = clone(self.estimator).set_params(**clone(params, safe=False))
            table = self.source.find(whole)
            if table not in self.tables:
                self.tables.append(table)
            prepared.append({**params, TABLE: self.tables.index(table)})
        return prepared

    def fit(self, X, y=None, **params):
        """Fit the rest of the estimator on the rows at the positions `X`."""
        table = self.tables[self.table]
        known = self.trained.get(fit_key(self.candidate, X))
        if isinstance(known, Exception):
            self.tables = []
            raise known
        if known is not None:
            self.rest = known
            return self
        rest = table.cut(self.estimator)
        labels = () if y is None else (y,)
        try:
            rest.fit(table.take(X), *labels, **params)
        except Exception:
            self.tables = []  # nothing is looked up any more, nor sent back
            raise
        self.rest = rest
        return self

    def restore(self):
        """Return the whole estimator, fitted if the rest is."""
        if self.rest is None:
            return self.estimator
        return self.tables[self.table].restore(self.estimator, self.rest)

    def set_params(self, **params):
        """Set parameters of the estimator, and which table it needs."""
        self.table = params.pop(TABLE, self.table)
        self.candidate = params.pop(CANDIDATE, self.candidate)
        self.estimator.set_params(**params)
        return self

    def get_metadata_routing(self):
        """Return what the whole estimator requests."""
        return get_routing_for_object(self.estimator)

    def __getattr__(self, name):
        if name.startswith("__") or "rest" not in vars(self):
            raise AttributeError(name)
        if self.rest is None:
            return getattr(self.estimator, name)
        value = getattr(self.rest, name)
        if name not in _TAKE_X:
            return value
        table = self.tables[self.table]
        return functools.wraps(value)(
            lambda X, *args, **params: value(table.take(X), *args, **params)
        )

    def __sklearn_tags__(self):
        return get_tags(self.estimator)

    def __sklearn_clone__(self):
        estimator = clone(self.estimator)
        return type(self)(estimator, self.tables, self.table, None, self.trained, self.candidate)

    def __reduce__(self):
        if self.rest is not None:
            return _itself, (self.restore(),)
        state = self.estimator, self.tables, self.table, None, self.trained, self.candidate
        return type(self), state


def fit_key(candidate, rows):
    """By which a fit of a candidate on some rows is known."""
    return candidate, np.asarray(rows).tobytes()


class _Recall:
    """Inside PerSubject: looks up what its transformer gives. It has no set_output, so that
    scikit-learn leaves what it returns as it is."""

    def __init__(self, values, names):
        self.values = values
        self.names = names

    def fit_transform(self, X, y=None):
        return self.transform(X)

    def transform(self, X):
        return take_rows(self.values, X["row"].to_numpy())

    def get_feature_names_out(self, input_features=None):
        if self.names is None:
            raise AttributeError("get_feature_names_out")
        return self.names

    def __sklearn_clone__(self):
        return self


def _itself(estimator):
    return estimator


def _parts(transformer):
    if type(transformer) is Pipeline:
        return [step for _, step in transformer.steps]
    return [*(part for _, part, _ in transformer.transformers), transformer.remainder]


def _computes(transformer):
    """Whether there is anything to compute, and not only columns to choose."""
    if type(transformer) in (Pipeline, ColumnTransformer):
        return any(map(_computes, _parts(transformer)))
    return transformer is not None and not isinstance(transformer, str)


def _receives(name, step, fit_params):
    """Whether a step is given any of the parameters of ``fit``."""
    if get_config()["enable_metadata_routing"]:
        routing = get_routing_for_object(step)
        return any(routing.consumes(method, fit_params) for method in ("fit", "transform"))
    return any(param.startswith(f"{name}__") for param in fit_params)


def _hash(steps):
    try:
        return joblib.hash(steps)
    except Exception:  # functions that have no name to be found by, as lambda
        return joblib.hash(joblib.wrap_non_picklable_objects(steps))


def _transform(steps, X, y):
    """Fit steps on all rows; return what they give, and the steps.

    Raises if that is not a table with a row for each row of `X`, or if some rows by themselves
    do not give the same; where others' code takes part, also if every second row doesn't.
    """
    if not steps:
        return X, []
    pipeline = clone(Pipeline([(f"step{i}", step) for i, step in enumerate(steps)]))
    # Whether the result is sparse may depend on the rows: with 1, it is if any part is.
    thresholds = {k: v for k, v in pipeline.get_params().items() if k.endswith("sparse_threshold")}
    pipeline.set_params(**dict.fromkeys(thresholds, 1.0))
    values = pipeline.fit_transform(_protect(X), y)
    if not isinstance(values, np.ndarray | pd.DataFrame):
        raise TypeError(f"The leading part returned {type(values).__name__}.")
    parts = [np.arange(0, len(values), max(2, len(values) // _N_CHECKED))]
    if not all(map(_is_ours, steps)):  # which may mix rows only where a value is missing
        parts = [np.arange(first, len(values), 2) for first in range(min(2, len(values)))]
    for rows in parts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            alone = pipeline.transform(_safe_indexing(X, rows))
        if len(values) != _num_samples(X) or not _equal(alone, take_rows(values, rows)):
            raise ValueError("The leading part mixes rows.")
    pipeline.set_params(**thresholds)
    return values, [step for _, step in pipeline.steps]


def _is_ours(transformer):
    """Whether every part of a transformer is of this package, whose rows are known not to mix."""
    if transformer is None or isinstance(transformer, str):
        return True
    if type(transformer) in (Pipeline, ColumnTransformer):
        return all(map(_is_ours, _parts(transformer)))
    return type(transformer).__module__.partition(".")[0] == "skemo"


def _protect(X):
    """`X` for a transformer that may write into it: folds are copies, this is the user's own."""
    if isinstance(X, pd.DataFrame):
        return X.copy(deep=False)
    if isinstance(X, np.ndarray):
        X = X.view()
        X.flags.writeable = False
    return X


def _equal(a, b):
    """Whether two tables have the same type, labels, values and order of memory."""
    if isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame):
        if not (a.columns.equals(b.columns) and list(a.dtypes) == list(b.dtypes)):
            return False
        signals = signal_columns(a)
        others = [frame.drop(columns=signals) for frame in (a, b)]
        arrays = [frame.to_numpy() for frame in others]
        same = all(_equal(a[name].array.values, b[name].array.values) for name in signals)
        same_order = _order(arrays[0]) == _order(arrays[1])
        return same and same_order and others[0].equals(others[1])
    return (
        type(a) is type(b)
        and (a.dtype, a.shape, _order(a)) == (b.dtype, b.shape, _order(b))
        and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    )


def _order(array):
    axes = [axis for axis in range(array.ndim) if array.shape[axis] > 1]
    return sorted(axes, key=lambda axis: -array.strides[axis])


def _feature_names(transformer):
    try:
        return transformer.get_feature_names_out()
    except Exception:  # then scikit-learn asks for none either
        return None
