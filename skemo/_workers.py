"""Make joblib's worker processes end with the process that started them."""

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

_watching: set[int] = set()  # the parent process, once it is watched


def watched(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that worker processes end soon after this process does.

    A process that is killed cannot stop its workers: they would finish work that nobody needs,
    and hold their memory for several more minutes.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
        Calls `function`, in this process or in another one.
    """
    return partial(_call, os.getpid(), function)


def _call(parent, function, *args, **kwargs):
    if os.getpid() != parent and parent not in _watching:  # first call in a worker
        _watching.add(parent)
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    return function(*args, **kwargs)


def _end_with(parent):
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
