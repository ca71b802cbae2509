"""Make joblib's worker processes end with the process that started them."""

import os
import threading
import time
from typing import Any


def ending_with_this_process() -> dict[str, Any]:
    """Return arguments of joblib's `Parallel` with which its workers end soon after this process.

    A process that is killed cannot stop its workers: they would finish work that nobody needs, or
    wait for work, and hold their memory for several more minutes.

    Returns
    -------
    dict
        Each worker first starts a thread that looks for this process. Backends without processes
        have no use for these arguments.
    """
    return {"initializer": _end_with, "initargs": (os.getpid(),)}


def _end_with(parent):
    threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent):
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
