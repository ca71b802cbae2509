"""Warnings that are ignored or recorded, and threads that do so at the same time."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import numpy as np
import pytest

from skemo._warnings import ignored_warnings, recorded_warnings


def in_thread(function):
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function).result()


def test_warnings_are_ignored_in_the_main_thread():
    with ignored_warnings():
        warnings.warn("ignored", UserWarning, stacklevel=1)


def test_warnings_are_recorded_in_the_main_thread():
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with recorded_warnings() as caught:
            warnings.warn("recorded", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["recorded"]


@pytest.mark.parametrize("changed", [ignored_warnings, recorded_warnings])
def test_another_thread_does_not_touch_the_filters(changed):
    before, show = list(warnings.filters), warnings.showwarning

    def look():
        with changed():
            return list(warnings.filters), warnings.showwarning

    assert in_thread(look) == (before, show)


@pytest.mark.parametrize("changed", [ignored_warnings, recorded_warnings])
def test_the_main_thread_may_change_filters_while_another_thread_is_inside(changed):
    before = list(warnings.filters)
    entered, main_is_inside = Event(), Event()

    def enter():
        with changed():
            entered.set()
            main_is_inside.wait()

    thread = Thread(target=enter)
    thread.start()
    entered.wait()
    with warnings.catch_warnings():
        main_is_inside.set()
        thread.join()
    assert warnings.filters == before


@pytest.fixture
def files(tmp_path):
    """An EDF file and a session of an E4, one of whose files has no samples."""
    edfio = pytest.importorskip("edfio")
    signal = edfio.EdfSignal(np.sin(np.arange(640.0)), 64, label="ECG")
    edfio.Edf([signal]).write(tmp_path / "a.edf")
    session = tmp_path / "session"
    session.mkdir()
    (session / "EDA.csv").write_text("1500000000.0\n4.0\n" + "0.5\n" * 40)
    (session / "HR.csv").write_text("1500000000.0\n1.0\n")
    (session / "BVP.csv").write_text("1500000000.0\n64.0\n" + "1.5\n" * 640)
    return [tmp_path / "a.edf", session]


def test_reading_in_threads_never_changes_the_filters(files):
    from skemo.io import read

    before, seen = list(warnings.filters), []
    start = Barrier(4)

    def work(path):
        start.wait()
        for _ in range(10):
            read(path)
            seen.append(list(warnings.filters))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, [*files, *files]))
    assert all(filters == before for filters in seen)
    assert warnings.filters == before
