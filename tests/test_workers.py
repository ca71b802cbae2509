"""Worker processes after the end of the process that started them."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

SCRIPT = """
    import os, time
    from joblib import Parallel, delayed
    from skemo._workers import watched

    def work(i):
        print(os.getpid(), flush=True)
        time.sleep(600)

    Parallel(n_jobs=2)(delayed(watched(work))(i) for i in range(2))
"""


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(kill):
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        workers = [int(process.stdout.readline()) for _ in range(2)]
        assert all(map(is_running, workers))
        process.send_signal(kill)
        deadline = time.monotonic() + 30
        while any(map(is_running, workers)) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert not any(map(is_running, workers))
