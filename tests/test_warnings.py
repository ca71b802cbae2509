"""Warnings that are ignored by several threads."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from skemo._warnings import ignored_warnings


def test_threads_that_leave_in_any_order_restore_the_filters():
    before = list(warnings.filters)
    inside, first_has_left = Barrier(2), Barrier(2)

    def enter(leaves_first):
        with ignored_warnings():
            inside.wait()
            if not leaves_first:
                first_has_left.wait()
            warnings.warn("ignored", UserWarning, stacklevel=1)
        if leaves_first:
            first_has_left.wait()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(enter, [True, False]))
    assert warnings.filters == before
