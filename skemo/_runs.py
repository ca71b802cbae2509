"""The fits of a comparison: trained together or one by one, kept as they are finished."""

import time
import traceback
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils.parallel import delayed

from skemo._leading_steps import OnRows, fit_key
from skemo._nested import chosen_parameters
from skemo._trained_ahead import (
    distinct,
    in_parallel,
    may_train_together,
    recorded_warnings,
    trained_chunks,
)


class Run(NamedTuple):
    """A model in one repetition: what it is fitted to, fold by fold.

    `y` are its labels, which a control permutes; `params` is for ``fit``, of all rows;
    `keys` are those of each fold's record in a store, None of one that cannot be kept.
    """

    model: str
    repeat: int
    estimator: BaseEstimator
    y: np.ndarray
    folds: list
    params: dict
    keys: list


def run_fits(runs, tables, classes, store, n_jobs, together, on_error, bar):
    """Fit and test all runs in all folds, but for what the store has.

    Parameters
    ----------
    runs : list of Run
    tables : Tables
    classes : ndarray of shape (n_classes,)
    store : FitStore or None
        What keeps every finished fit.
    n_jobs : int or None
    together : {"auto", True, False}
    on_error : {"record", "raise"}
    bar : callable
        Given the numbers of all fits and of those that the store has, a context that gives the
        function to call after each other fit.

    Returns
    -------
    records : dict of (int, int) to dict
        By position of the run and fold: `y_pred`, positions among the classes; `probabilities`, a
        list a row or None; `fit_time`, `predict_time`, `chosen`, `warnings`.
    failures : list of dict
        `model`, `repeat`, `fold`, `error`, `traceback`.
    """
    tasks = [(i, fold) for i, run in enumerate(runs) for fold in range(len(run.folds))]
    kept = {}
    for i, fold in tasks if store else ():
        _, test = runs[i].folds[fold]
        kept[i, fold] = store.read(runs[i].keys[fold], len(test), len(classes))
    records = {task: record for task, record in kept.items() if record is not None}
    failures = {}
    with bar(len(tasks), len(records)) as advance:

        def keep(task, record, failure):
            if task in records or task in failures:  # trained again, beside one that was missing
                return
            i, fold = task
            if record is None:
                named = {"model": runs[i].model, "repeat": runs[i].repeat, "fold": fold}
                failures[task] = {**named, **failure}
            else:
                records[task] = record
                if store:
                    store.write(runs[i].keys[fold], record)
            advance()

        def prepare(i, fold):
            run, (train, test) = runs[i], runs[i].folds[fold]
            params = {name: values[train] for name, values in run.params.items()}
            name = f"The model {run.model!r} failed in fold {fold}" if on_error == "raise" else None
            return (i, fold), on_rows[i], train, run.y[train], test, params, classes, name

        missing = sorted({i for i, _ in tasks if (i, _) not in records})
        on_rows = {i: OnRows(runs[i].estimator, [tables.find(runs[i].estimator)]) for i in missing}
        for i in missing:
            run = runs[i]
            if not may_train_together(run.estimator, set(), together):
                continue
            folds = {}  # several may be trained on the same rows
            for fold, (train, _) in enumerate(run.folds):
                folds.setdefault(fit_key(0, train), []).append(fold)

            # The defaults bind these folds: what is trained together is so again if one is missing.
            def is_done(keys, i=i, folds=folds):
                return all((i, fold) in records for key in keys for fold in folds[key])

            arguments = on_rows[i], [{}], run.folds, run.y, run.params, together, n_jobs
            for share, keys, caught in trained_chunks(*arguments, is_done=is_done):
                for key, own in dict(zip(keys, caught, strict=True)).items():
                    # Networks that are trained already predict here, on the device where they are.
                    results = [_fit_and_predict(*prepare(i, fold)) for fold in folds[key]]
                    del on_rows[i].trained[key]
                    for task, record, failure in results:
                        if record is not None:
                            record["fit_time"] += share
                            record["warnings"] += [[c.__name__, text] for c, text in own]
                        keep(task, record, failure)
        calls = [
            delayed(_fit_and_predict)(*prepare(*task))
            for task in tasks
            if task not in records and task not in failures
        ]
        for result in in_parallel(calls, n_jobs, "generator_unordered"):
            keep(*result)
    return records, [failures[task] for task in sorted(failures)]


def _fit_and_predict(task, model, train, y, test, params, classes, name):
    """Fit a model to some rows and predict others: its record, or how it failed.

    With a `name`, a failure is raised, by that name. `task` says whose the result is.
    """
    with recorded_warnings() as caught:
        try:
            model = clone(model)
            started = time.perf_counter()
            model.fit(train, y, **params)
            fitted = time.perf_counter()
            y_pred, probabilities = _predict(model, test, classes)
            predicted = time.perf_counter()
            if y_pred.shape != test.shape:
                raise ValueError(
                    f"It predicted an array of shape {y_pred.shape} for {len(test)} rows."
                )
            codes = pd.Index(classes).get_indexer(y_pred)
            if (codes < 0).any():
                raise ValueError(f"It predicted {y_pred[codes < 0][0]!r}, which is not in y.")
            chosen = chosen_parameters(model)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if name is not None:
                raise RuntimeError(f"{name}: {text}") from error
            return task, None, {"error": text, "traceback": traceback.format_exc()}
    record = {
        "y_pred": codes.tolist(),
        "probabilities": probabilities,
        "fit_time": fitted - started,
        "predict_time": predicted - fitted,
        "chosen": chosen,
        "warnings": [[category.__name__, text] for category, text in distinct(caught)],
    }
    return task, record, None


def _predict(model, rows, classes):
    """Predicted labels, and a list of probabilities a row in the order of `classes`, or None."""
    if not (hasattr(model, "predict_proba") and hasattr(model, "classes_")):
        return np.asarray(model.predict(rows)), None
    own = np.asarray(model.predict_proba(rows), np.float64)
    sums = own.sum(axis=1)
    if not np.allclose(sums, 1.0, atol=1e-3) or own.min() < 0:
        raise ValueError(
            f"Its predict_proba gives rows that are no probabilities: sums of {sums.min():g} to "
            f"{sums.max():g}, and {own.min():g} as the least."
        )
    places = pd.Index(classes).get_indexer(model.classes_)
    if (places < 0).any():
        raise ValueError(
            f"Its classes_ are {np.asarray(model.classes_).tolist()}, and the labels "
            f"{np.asarray(classes).tolist()}: its probabilities cannot be told apart."
        )
    probabilities = np.zeros((len(rows), len(classes)))
    probabilities[:, places] = own
    network = model.steps[-1][1] if isinstance(getattr(model, "steps", None), list) else model
    if getattr(network, "trains_together", False):  # whose classes are the most probable ones
        return np.asarray(model.classes_)[own.argmax(axis=1)], probabilities.tolist()
    return np.asarray(model.predict(rows)), probabilities.tolist()
