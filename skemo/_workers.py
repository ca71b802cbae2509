"""How skemo uses joblib's workers: processes of this machine, or of a cluster."""

import os
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

from joblib import parallel_config
from joblib.parallel import BACKENDS, get_active_backend

_LOCAL = ("loky", "multiprocessing")  # joblib's backends whose workers are its own children
_NESTED = ("threading", "sequential")  # those that it uses inside of these workers


def ending_with_this_process() -> dict[str, Any]:
    """Return arguments of joblib's `Parallel` with which its workers end soon after this process.

    A process that is killed cannot stop its workers: they would finish work that nobody needs, or
    wait for work, and hold their memory for several more minutes.

    Returns
    -------
    dict
        Each worker first starts a thread that looks for this process. Empty for other backends
        than joblib's own processes: the workers of a cluster are the children of others.
    """
    if type(get_active_backend()[0]) not in map(BACKENDS.get, _LOCAL):
        return {}
    return {"initializer": _end_with, "initargs": (os.getpid(),)}


def returned_as(
    in_order: bool = True,
) -> Literal["generator", "generator_unordered", "list"]:
    """Return how joblib's `Parallel` can return results under its active backend.

    Parameters
    ----------
    in_order : bool, default=True
        Whether the results are in the order of the tasks, or as they are ready.

    Returns
    -------
    str
        For `return_as`: results one by one, or all at the end if the backend cannot do that.
    """
    if not get_active_backend()[0].supports_return_generator:
        return "list"
    return "generator" if in_order else "generator_unordered"


def within_this_process() -> AbstractContextManager[Any]:
    """Return a context in which joblib keeps the parts of a task within a process of a cluster.

    A task of a cluster may itself pass tasks to the cluster. This is worth sending data for the
    fits of a search, but not for each tree of a random forest.
    """
    if type(get_active_backend()[0]) in map(BACKENDS.get, (*_LOCAL, *_NESTED)):
        return nullcontext()
    return parallel_config("threading", n_jobs=1)


def _end_with(parent):
    threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent):
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
