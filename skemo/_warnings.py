"""Ignore or record the warnings of other libraries, in the main thread only.

Warning filters belong to the process. If two threads change them and each restores what it
found, the later one may restore a change of the other, which then stays for good. So filters are
only changed in the main thread; in others, warnings take their usual way.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ignored_warnings() -> Iterator[None]:
    """Ignore all warnings, if this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def recorded_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Record warnings, if this is the main thread; the list stays empty in others."""
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    with warnings.catch_warnings(record=True) as caught:
        yield caught
