"""The fits of a comparison: trained together or one by one, kept as they are finished."""

import time
import traceback
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.parallel import delayed

from skemo._many import in_parallel, may_train_together, trained_chunks
from skemo._nested import chosen_parameters
from skemo._once import OnRows, fit_key
from skemo._progress import progress_bar


class Run(NamedTuple):
    """A model in one repetition: what it is fitted to, fold by fold.

    `y` are its labels, which a control permutes; `params` is for ``fit``, of all rows;
    `keys` are those of each fold's record in a store, empty without one.
    """

    model: str
    repeat: int
    on_rows: OnRows
    y: np.ndarray
    folds: list
    params: dict
    keys: list


def run_fits(runs, y, store, n_jobs, together, on_error, progress, description):
    """Fit and test all runs in all folds, but for what the store has.

    Parameters
    ----------
    runs : list of Run
    y : ndarray of shape (n_windows,)
        The true labels.
    store : FitStore or None
        What keeps every finished fit.
    n_jobs : int or None
    together : {"auto", True, False}
    on_error : {"record", "raise"}
    progress : bool
    description : str
        What stands before the bar.

    Returns
    -------
    records : dict of (int, int) to dict
        By position of the run and fold: `y_pred`, positions among the classes; `probabilities`, a
        list a row or None; `fit_time`, `predict_time`, `chosen`, `warnings`.
    failures : list of dict
        `model`, `repeat`, `fold`, `error`, `traceback`.
    """
    classes = np.unique(y)
    records, failures = {}, []
    tasks = [(i, fold) for i, run in enumerate(runs) for fold in range(len(run.folds))]
    for i, fold in tasks:
        known = store.read(runs[i].keys[fold]) if store else None
        if known is not None:
            records[i, fold] = known
    with progress_bar(description, len(tasks), len(records), progress) as advance:

        def keep(i, fold, record, failure):
            if record is None:
                named = {"model": runs[i].model, "repeat": runs[i].repeat, "fold": fold}
                failures.append({**named, **failure})
            else:
                records[i, fold] = record
                if store:
                    store.write(runs[i].keys[fold], record)
            advance()

        done = set()
        for i, run in enumerate(runs):
            if not may_train_together(run.on_rows.estimator, set(), together):
                continue
            folds = {fit_key(0, train): fold for fold, (train, _) in enumerate(run.folds)}
            arguments = run.on_rows, [{}], run.folds, run.y, run.params, together, n_jobs

            # The default binds these folds: what a chunk trains is kept whole or not at all.
            def is_done(keys, i=i, folds=folds):
                return all((i, folds[key]) in records for key in keys)

            if is_done(folds):
                continue
            for share, keys, caught in trained_chunks(*arguments, is_done=is_done):
                for key in keys:
                    fold = folds[key]
                    # Networks that are trained already predict here, on the device where they are.
                    result = _fit_and_predict(i, fold, run, y, classes, on_error)
                    del run.on_rows.trained[key]
                    if result[2] is not None:
                        result[2]["fit_time"] += share
                        result[2]["warnings"] += [[c.__name__, text] for c, text in caught]
                    keep(*result)
                    done.add((i, fold))
        calls = [
            delayed(_fit_and_predict)(i, fold, runs[i], y, classes, on_error)
            for i, fold in tasks
            if (i, fold) not in records and (i, fold) not in done
        ]
        for result in in_parallel(calls, n_jobs, "generator_unordered"):
            keep(*result)
    order = {run.model: i for i, run in enumerate(runs)}
    failures.sort(key=lambda row: (row["repeat"], order[row["model"]], row["fold"]))
    return records, failures


def _fit_and_predict(i, fold, run, y, classes, on_error):
    """One run in one fold: its record, or how it failed; `i` and `fold` say whose that is."""
    train, test = run.folds[fold]
    with warnings.catch_warnings(record=True) as caught:
        try:
            model = clone(run.on_rows)
            params = {name: values[train] for name, values in run.params.items()}
            started = time.perf_counter()
            model.fit(train, run.y[train], **params)
            fitted = time.perf_counter()
            y_pred = np.asarray(model.predict(test))
            predicted = time.perf_counter()
            codes = pd.Index(classes).get_indexer(y_pred)
            if (codes < 0).any():
                raise ValueError(f"It predicted {y_pred[codes < 0][0]!r}, which is not in y.")
            probabilities = _probabilities(model, test, classes)
            chosen = chosen_parameters(model)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if on_error == "raise":
                raise RuntimeError(
                    f"The model {run.model!r} failed in fold {fold}: {text}"
                ) from error
            return i, fold, None, {"error": text, "traceback": traceback.format_exc()}
    messages = dict.fromkeys(
        (warning.category.__name__, str(warning.message)) for warning in caught
    )
    record = {
        "model": run.model,  # for a reader of the file
        "repeat": run.repeat,
        "fold": fold,
        "y_pred": codes.tolist(),
        "probabilities": probabilities,
        "fit_time": fitted - started,
        "predict_time": predicted - fitted,
        "chosen": chosen,
        "warnings": [list(pair) for pair in messages],
    }
    return i, fold, record, None


def _probabilities(model, rows, classes):
    """A list of probabilities a row, in the order of all classes; None without any."""
    if not (hasattr(model, "predict_proba") and hasattr(model, "classes_")):
        return None
    own = np.asarray(model.predict_proba(rows), np.float64)
    probabilities = np.zeros((len(rows), len(classes)))
    probabilities[:, pd.Index(classes).get_indexer(model.classes_)] = own
    return probabilities.tolist()
