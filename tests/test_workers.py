"""Worker processes end together with the process that started them, if it is their parent."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import joblib
import pytest
from joblib.parallel import BACKENDS

from skemo._workers import ending_with_this_process

SCRIPT = """
    import os, time
    from joblib import Parallel, delayed
    from skemo._workers import ending_with_this_process

    def work(i):
        os.write(1, b"%d\\n" % os.getpid())  # in one piece
        time.sleep(600)

    parallel = Parallel(n_jobs=2, **ending_with_this_process())
    parallel(delayed(work)(i) for i in range(N_TASKS))
"""


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(parent):
    """Return the child processes of a process."""
    command = ["ps", "-o", "pid=", "--ppid", str(parent)]
    return set(map(int, subprocess.run(command, capture_output=True, text=True).stdout.split()))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("n_tasks", [2, 1])  # with one task, the other worker is idle
@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(kill, n_tasks):
    script = textwrap.dedent(SCRIPT).replace("N_TASKS", str(n_tasks))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        busy = {int(process.stdout.readline()) for _ in range(n_tasks)}
        workers = children(process.pid)
        assert busy <= workers
        process.send_signal(kill)
        deadline = time.monotonic() + 30
        while any(map(is_running, workers)) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert not any(map(is_running, workers))


def test_workers_of_a_cluster_are_left_alone():
    class OnACluster(BACKENDS["multiprocessing"]):
        """A backend that is not joblib's own, such as Ray's."""

    with joblib.parallel_config(OnACluster()):
        assert ending_with_this_process() == {}
    with joblib.parallel_config("loky"):
        assert ending_with_this_process()
