"""Fits of a cross-validation or a search that are trained together, before they are asked for."""

import contextlib
import copy
import itertools
import math
import threading
import time
import warnings

import numpy as np
from joblib.parallel import get_active_backend
from sklearn import get_config
from sklearn.base import clone
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params

from skemo.evaluation.precompute import CANDIDATE, fit_key

_WATCHING = ("callbacks", "verbose")  # parameters of a network that only fits by themselves heed
_SCORER = type(make_scorer(accuracy_score))
_FITS = 12  # trained together on a CPU: more gain little, and leave less for other processes
_BYTES = 1 << 32  # of windows trained on together on a GPU


def takes_positions(estimator, X, scoring, cv):
    """Whether the estimator may be given positions of rows for the rows, and neither a scorer
    nor the splitter could notice."""
    known = type(estimator) is Pipeline or getattr(estimator, "trains_together", False)
    if not known or getattr(estimator, "_skl_callbacks", None):
        return False
    if not hasattr(X, "shape") and not hasattr(X, "__len__"):
        return False
    scorers = scoring.values() if isinstance(scoring, dict) else scoring
    if scoring is None or isinstance(scoring, str) or callable(scoring):
        scorers = [scoring]
    if any(callable(scorer) and type(scorer) is not _SCORER for scorer in scorers):
        return False
    return not hasattr(cv, "split") or type(cv).__module__.startswith("sklearn.")


def check_together(together):
    """Raise where `together` is none of its values."""
    if not (isinstance(together, bool) or together == "auto"):
        raise ValueError(f'together must be "auto", True or False, got {together!r}.')


def may_train_together(estimator, names, together):
    """Whether all fits of an estimator are of a network whose epochs nobody watches.

    Parameters
    ----------
    estimator : estimator
    names : collection of str
        Parameters that candidates of a search set.
    together : {"auto", True, False}
    """
    is_pipeline = isinstance(estimator, Pipeline)
    name, network = estimator.steps[-1] if is_pipeline else ("", estimator)
    parts = [estimator, *estimator.get_params().values()]
    networks = [part for part in parts if getattr(part, "trains_together", False)]
    if not together or networks != [network]:
        return False  # of several networks one transforms for another
    if get_config()["enable_metadata_routing"] or any(getattr(network, x) for x in _WATCHING):
        return False
    changed = {f"{name}__{x}" if is_pipeline else x for x in _WATCHING}
    return not names & (changed | {name for name, _ in getattr(estimator, "steps", ())})


def positions_of_splits(cv, rows, y, groups):
    """Positions of the rows of each split, whatever form `cv` gives them in."""
    splits = check_cv(cv, y, classifier=True).split(rows, y, groups)
    return [(rows[train], rows[test]) for train, test in splits]


def in_parallel(calls, n_jobs, return_as):
    """Results as they come, or all at the end where joblib's backend can't do otherwise."""
    if not get_active_backend()[0].supports_return_generator:
        return_as = "list"
    return Parallel(n_jobs=n_jobs, return_as=return_as)(calls)


def recorded_warnings():
    """Record warnings, but not in a thread beside others, where they would be mixed up."""
    if threading.current_thread() is threading.main_thread():
        return warnings.catch_warnings(record=True)
    return contextlib.nullcontext([])


def distinct(caught):
    """Category and text of each warning, once."""
    return list(dict.fromkeys((warning.category, str(warning.message)) for warning in caught))


def train_fits(on_rows, candidates, splits, y, fit_params, together, n_jobs=None):
    """Train what a cross-validation or a search will ask for, several fits at a time.

    Parameters
    ----------
    on_rows : OnRows
        It gets the fitted networks, or the exceptions of the fits that failed.
    candidates : sequence of dict
        Parameters to set.
    splits : sequence of (train, test)
    y : array-like of shape (n_windows,)
    fit_params : dict
        For ``fit``, of all rows.
    together : {"auto", True, False}
        "auto" leaves alone what is sooner fitted one after another.
    n_jobs : int or None, default=None
        Processes, where the device is a CPU.

    Returns
    -------
    dict
        Seconds that each fit took, its share of those trained with it, by `fit_key`; empty
        where nothing was trained.
    """
    seconds = {}
    arguments = on_rows, candidates, splits, y, fit_params, together, n_jobs
    for share, keys, caught in trained_chunks(*arguments):
        seconds |= dict.fromkeys(keys, share)
        for category, message in dict.fromkeys(itertools.chain(*caught)):
            warnings.warn(message, category, stacklevel=4)
    return seconds


def trained_chunks(
    on_rows, candidates, splits, y, fit_params, together, n_jobs=None, is_done=lambda keys: False
):
    """Train as `train_fits` does, and say after each computation what it has trained.

    Parameters
    ----------
    on_rows, candidates, splits, y, fit_params, together, n_jobs
        As for `train_fits`.
    is_done : callable, default=lambda keys: False
        Whether the fits of these keys, which would be trained together, are not wanted.

    Yields
    ------
    share : float
        Seconds that each fit took.
    keys : list
        The `fit_key` of each, by which `on_rows` has it now.
    caught : list of list of (category, message)
        Warnings of each.
    """
    numbered = [{**params, CANDIDATE: i} for i, params in enumerate(candidates)]
    tasks = [(params, train) for params in numbered for train, _ in splits]
    prepared = (_prepare(on_rows, [task], y, fit_params)[1] for task in tasks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is all done again
        first = next((fits[0] for fits in prepared if fits), None)
    if first is None or (together == "auto" and not first.gains):
        return
    if first.device.type == "cuda":
        n_jobs, n_chunks = 1, math.ceil(len(tasks) * first.n_bytes / _BYTES)
    else:
        n_chunks = math.ceil(len(tasks) / _FITS)
        n_chunks += n_chunks % 2 if n_chunks > 1 else 0  # for two processes, or four
    n_chunks = min(n_chunks, len(tasks))
    bounds = [len(tasks) * i // n_chunks for i in range(n_chunks + 1)]
    chunks = [tasks[start:stop] for start, stop in itertools.pairwise(bounds)]
    keys = [[fit_key(params[CANDIDATE], train) for params, train in chunk] for chunk in chunks]
    chunks = [(chunk, own) for chunk, own in zip(chunks, keys, strict=True) if not is_done(own)]
    # What is sent to other processes while this one goes on must not grow meanwhile.
    blank = copy.copy(on_rows)
    blank.trained = {}
    calls = [delayed(_train)(blank, chunk, y, fit_params) for chunk, _ in chunks]
    results = in_parallel(calls, n_jobs, "generator")
    for (_, own), (fitted, share, caught) in zip(chunks, results, strict=True):
        on_rows.trained.update(zip(own, fitted, strict=True))
        yield share, own, caught


def _train(on_rows, tasks, y, fit_params):
    """Fit the tasks; return the fitted rests, the seconds that each took on average, and the
    warnings of each."""
    from skemo.training.many import train_together

    started = time.perf_counter()
    rests, fits, caught = _prepare(on_rows, tasks, y, fit_params)
    with recorded_warnings() as common:
        train_together(fits)
    errors = {id(fit.classifier): fit.error for fit in fits if fit.error is not None}
    for i, rest in enumerate(rests):
        network = rest.steps[-1][1] if isinstance(rest, Pipeline) else rest
        rests[i] = errors.get(id(network), rest)
    caught = [distinct([*own, *common]) for own in caught]
    return rests, (time.perf_counter() - started) / len(tasks), caught


def _prepare(on_rows, tasks, y, fit_params):
    """Fit all but the networks; return estimators or exceptions, what is to be trained, and the
    warnings of each task."""
    from skemo.training.many import collected_fits

    rests, warned = [], []
    with collected_fits() as fits:
        for params, rows in tasks:
            with recorded_warnings() as caught:
                model = clone(on_rows).set_params(**clone(params, safe=False))
                table = model.tables[model.table]
                try:
                    given = _check_method_params(np.empty(len(y)), fit_params, indices=rows)
                    rest = table.cut(model.estimator)
                    rest.fit(table.take(rows), _safe_indexing(y, rows), **given)
                except Exception as error:
                    rest = error.with_traceback(None)  # whose frames hold the rows
            rests.append(rest)
            warned.append(caught)
    return rests, fits, warned
