"""Temporarily ignore the warnings of other libraries, safely across threads."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _Shared:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_inside = 0
        self.filters = warnings.catch_warnings()


_shared = _Shared()
if hasattr(os, "register_at_fork"):  # another thread may have held the lock during the fork
    os.register_at_fork(after_in_child=lambda: setattr(_shared, "lock", threading.Lock()))


@contextmanager
def ignored_warnings() -> Iterator[None]:
    """Ignore all warnings.

    Warning filters belong to the process. If two threads each restored the filters they found,
    the later one might restore "ignore". Here, the last thread to leave restores the filters
    that the first one found.
    """
    with _shared.lock:
        if _shared.n_inside == 0:
            _shared.filters = warnings.catch_warnings()
            _shared.filters.__enter__()
            warnings.simplefilter("ignore")
        _shared.n_inside += 1
    try:
        yield
    finally:
        with _shared.lock:
            _shared.n_inside -= 1
            if _shared.n_inside == 0:
                _shared.filters.__exit__(None, None, None)
