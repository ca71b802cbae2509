"""The fits of a comparison: run together or one by one, and kept once finished."""

import itertools
import math
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.parallel import Parallel, delayed

from skemo._warnings import recorded_warnings
from skemo._workers import ending_with_this_process, returned_as, within_this_process
from skemo.evaluation.nested import chosen_parameters, is_search
from skemo.evaluation.store import FitStore
from skemo.evaluation.targets import in_order

_TOGETHER = 12  # fits on a CPU: more would gain little and leave less for other processes


class Run(NamedTuple):
    """A model in one repetition, with what it is fitted to in each fold.

    `X` is the input of the estimator, after the leading steps that are already computed; `y` are
    its labels, permuted for a control; `folds` are pairs (train, test), in a list or by their
    numbers; `params` are parameters of ``fit`` for all rows; `keys` are the keys of each fold's
    record in a store, or None if it cannot be kept. `pickled` is the estimator by value, for fits
    that are kept and run in other processes. `orders` has the ordered classes of each target, or
    None, for an estimator that may use their order.
    """

    model: str
    repeat: int
    estimator: BaseEstimator
    X: Any
    y: np.ndarray
    folds: list | dict
    params: dict
    keys: list
    pickled: bytes | None = None
    orders: Sequence[NDArray | None] = ()

    def __reduce__(self):
        if self.pickled is None:
            return Run, tuple(self)
        return _unpickled_run, (self.pickled, *self._replace(estimator=None, pickled=None))


def _unpickled_run(pickled, *fields):
    return Run(*fields)._replace(estimator=pickle.loads(pickled))


def uses_processes(n_jobs: int | None) -> bool:
    """Return whether fits run in other processes, by joblib's active backend."""
    shares_memory = getattr(get_active_backend()[0], "supports_sharedmem", False)
    return effective_n_jobs(n_jobs) > 1 and not shares_memory


def is_network(model: BaseEstimator) -> bool:
    """Return whether a model is a network of skemo, or a Pipeline that ends in one."""
    last = _last_step(model)
    return is_network(last) if last is not model else getattr(model, "trains_together", False)


def run_fits(
    runs: Sequence[Run],
    classes: Sequence[NDArray | None],
    store: FitStore | None,
    n_jobs: int | None,
    together: bool,
    on_error: Literal["record", "raise"],
    bar: Callable[[int, int], AbstractContextManager[Callable[[], None]]],
) -> tuple[dict[tuple[int, int], dict[str, Any]], list[dict[str, Any]]]:
    """Fit and test all runs in all folds, except for those in the store.

    Parameters
    ----------
    runs : list of Run
    classes : list of ndarray or None
        The classes of each target; None for numbers.
    store : FitStore or None
        Where finished fits are kept.
    n_jobs : int or None
    together : bool
        Whether the networks of several folds are trained as one computation.
    on_error : {"record", "raise"}
    bar : callable
        Called with the number of all fits and of those in the store, returns a context manager
        that gives the function to call after each fit.

    Returns
    -------
    records : dict of (int, int) to dict
        By position of run and fold: `y_pred`, a list per target of positions in its classes or of
        numbers; `probabilities`, for each target a list per row or None; `fit_time`,
        `predict_time`, `chosen`, `warnings`.
    failures : list of dict
        `model`, `repeat`, `fold`, `error`, `traceback`.
    """
    tasks = [(i, fold) for i, run in enumerate(runs) for fold in range(len(run.folds))]
    kept = {}
    n_classes = [None if own is None else len(own) for own in classes]
    if store:
        for i, fold in tasks:
            _, test = runs[i].folds[fold]
            kept[i, fold] = store.read(runs[i].keys[fold], len(test), n_classes)
    records = {task: record for task, record in kept.items() if record is not None}
    failures = {}
    # Networks that are trained together are all trained again if one is missing, so that they end
    # as they would have without an interruption. They take longest and come first.
    stacked, single = [], []
    for i, run in enumerate(runs):
        missing = [fold for fold in range(len(run.folds)) if (i, fold) not in records]
        if missing and _trains_together(run, together):
            chunks = _in_chunks(range(len(run.folds)))
            stacked += [(i, chunk) for chunk in chunks if not set(chunk).isdisjoint(missing)]
        else:
            single += [(i, [fold]) for fold in missing]
    calls = [_call(i, runs[i], folds, classes, on_error) for i, folds in stacked + single]
    with bar(len(tasks), len(records)) as advance:
        for i, results in _in_parallel(calls, n_jobs):
            for fold, record, failure in results:
                if (i, fold) in records:
                    continue
                if record is None:
                    named = {"model": runs[i].model, "repeat": runs[i].repeat, "fold": fold}
                    failures[i, fold] = {**named, **failure}
                else:
                    records[i, fold] = record
                    if store:
                        store.write(runs[i].keys[fold], record)
                advance()
    return records, [failures[task] for task in sorted(failures)]


def take_rows(X: Any, rows: NDArray[np.intp]) -> Any:
    """Return a copy of some rows of a table or array, by position."""
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _trains_together(run, together):
    if not together or "torch" not in sys.modules:  # without torch, no model is a network
        return False
    from skemo.training.many import ends_in_network

    return ends_in_network(run.estimator)


def _training_data(run, fold):
    train, _ = run.folds[fold]
    params = {name: values[train] for name, values in run.params.items()}
    return take_rows(run.X, train), in_order(run.y[train], run.orders), params


def _in_chunks(folds):
    """Chunks of folds to train together: of similar size, and an even number if several."""
    n_chunks = math.ceil(len(folds) / _TOGETHER)
    n_chunks += n_chunks % 2 if n_chunks > 1 else 0  # for two processes, or four
    bounds = [len(folds) * i // n_chunks for i in range(n_chunks + 1)]
    return [folds[start:stop] for start, stop in itertools.pairwise(bounds)]


def _in_parallel(calls, n_jobs):
    """Results as they are ready, or all at the end if joblib's backend cannot stream them."""
    how = returned_as(in_order=False)
    return Parallel(n_jobs=n_jobs, return_as=how, **ending_with_this_process())(calls)


def _call(i, run, folds, classes, on_error):
    """Return a delayed call of `_fit_and_predict` for some folds of a run.

    What many fits share is passed by itself, since on a cluster joblib sends a large argument once,
    but not what is inside of it.
    """
    rest = run._replace(X=None, y=None, params={}, keys=[], folds={k: run.folds[k] for k in folds})
    return delayed(_fit_and_predict)(i, rest, classes, on_error, X=run.X, y=run.y, **run.params)


def _fit_and_predict(i, run, classes, on_error, /, X, y, **params):
    """Fit a model in some folds and predict the tested rows.

    Returns `i`, and for each fold its number, its record and its failure, one of which is None.
    """
    run = run._replace(X=X, y=y, params=params)
    folds = list(run.folds)
    fitted = _fit_together(run, folds) if len(folds) > 1 else [_fit(run, folds[0])]
    results = []
    for fold, (model, seconds, caught) in zip(folds, fitted, strict=True):
        _, test = run.folds[fold]
        with recorded_warnings() as later:
            try:
                if isinstance(model, Exception):
                    raise model
                record = _test(model, run.X, test, classes)
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                if on_error == "raise":
                    name = f"The model {run.model!r} failed in fold {fold}"
                    raise RuntimeError(f"{name}: {text}") from error
                failure = {"error": text, "traceback": traceback.format_exc()}
                results.append((fold, None, failure))
                continue
        record |= {
            "fit_time": seconds,
            "warnings": [list(pair) for pair in dict.fromkeys([*caught, *_texts(later)])],
        }
        results.append((fold, record, None))
    return i, results


def _fit(run, fold):
    """Fit in one fold; return the model or its exception, the seconds and the warnings."""
    X, y, params = _training_data(run, fold)
    has_fits = is_search(_last_step(run.estimator))
    with recorded_warnings() as caught, nullcontext() if has_fits else within_this_process():
        started = time.perf_counter()
        try:
            model = clone(run.estimator)
            model.fit(X, y, **params)
        except Exception as error:
            model = error
        seconds = time.perf_counter() - started
    return model, seconds, _texts(caught)


def _fit_together(run, folds):
    """Fit in several folds as `_fit` does, each with an equal share of the seconds."""
    from skemo.training.many import begin_fit, finish_fits

    started = time.perf_counter()
    begun, caught = [], []
    for fold in folds:
        with recorded_warnings() as own:
            begun.append(begin_fit(run.estimator, *_training_data(run, fold)))
        caught.append(own)
    with recorded_warnings() as common:
        fitted = finish_fits(begun)
    share = (time.perf_counter() - started) / len(folds)
    return [
        (model, share, _texts([*own, *common])) for model, own in zip(fitted, caught, strict=True)
    ]


def _texts(caught):
    """The category and the text of each warning."""
    return [(warning.category.__name__, str(warning.message)) for warning in caught]


def _last_step(model):
    return model.steps[-1][1] if isinstance(getattr(model, "steps", None), list) else model


def _test(model, X, test, classes):
    """Predict the test rows; return a record without the time and warnings of the fit."""
    started = time.perf_counter()
    y_pred, probabilities = _predict(model, take_rows(X, test), classes)
    seconds = time.perf_counter() - started
    shape = test.shape if len(classes) == 1 else (*test.shape, len(classes))
    if y_pred.shape != shape:
        raise ValueError(f"It predicted an array of shape {y_pred.shape} for {len(test)} rows.")
    columns = y_pred.reshape(len(test), -1).T
    return {
        "y_pred": [_plain(own, one) for own, one in zip(columns, classes, strict=True)],
        "probabilities": probabilities,
        "predict_time": seconds,
        "chosen": chosen_parameters(model),
    }


def _plain(y_pred, classes):
    """Positions in the classes of a target, or numbers."""
    if classes is None:
        numbers = y_pred.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError(f"It predicted {numbers[~np.isfinite(numbers)][0]}.")
        return numbers.tolist()
    codes = pd.Index(classes).get_indexer(y_pred)
    if (codes < 0).any():
        raise ValueError(f"It predicted {y_pred[codes < 0][0]!r}, which is not in y.")
    return codes.tolist()


def _predict(model, rows, classes):
    """Predictions, and for each target a list of probabilities per row, or None.

    Probabilities are in the order of `classes`.
    """
    none = [None] * len(classes)
    if classes[0] is None or not (hasattr(model, "predict_proba") and hasattr(model, "classes_")):
        return np.asarray(model.predict(rows)), none
    try:
        own = model.predict_proba(rows)
    except AttributeError as error:  # a search may have the method when its estimator does not
        if "predict_proba" not in str(error):
            raise
        return np.asarray(model.predict(rows)), none
    several = len(classes) > 1
    by_target = list(own) if several else [own]
    known = list(model.classes_) if several else [model.classes_]
    if not len(by_target) == len(known) == len(classes):
        raise ValueError(
            f"It has probabilities of {len(by_target)} and classes of {len(known)} targets, but "
            f"y has {len(classes)}."
        )
    by_target = [np.asarray(each, np.float64) for each in by_target]
    probabilities = list(map(_place_probabilities, by_target, known, classes))
    if getattr(
        _last_step(model), "trains_together", False
    ):  # whose classes are the most probable ones
        best = [
            np.asarray(own)[each.argmax(axis=1)] for own, each in zip(known, by_target, strict=True)
        ]
        return np.column_stack(best) if several else best[0], probabilities
    return np.asarray(model.predict(rows)), probabilities


def _place_probabilities(own, known, classes):
    """A list of probabilities per row, in the order of `classes` and not of the `known` ones."""
    sums = own.sum(axis=1)
    if not np.allclose(sums, 1.0, atol=1e-3) or own.min() < 0:
        raise ValueError(
            f"Its predict_proba gives rows that are no probabilities: sums of {sums.min():g} to "
            f"{sums.max():g}, and {own.min():g} as the least."
        )
    places = pd.Index(classes).get_indexer(known)
    if (places < 0).any():
        raise ValueError(
            f"Its classes_ are {np.asarray(known).tolist()}, and the labels "
            f"{np.asarray(classes).tolist()}: its probabilities cannot be told apart."
        )
    probabilities = np.zeros((len(own), len(classes)))
    probabilities[:, places] = own
    return probabilities.tolist()
