"""End comparisons at random moments, and see whether they go on to the same scores.

    python tests/interruptions.py [--kills 20] [--seed 0]

A comparison of the command line is killed, interrupted (SIGINT), ended (SIGTERM), run twice at
once in one folder, or run with files limited in size, as on a full disk. After each, all files must
be whole, no worker process may be left, and the same command must end with the predictions of a run
that nothing disturbed. The exit code is 0 if it is so.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

COMMAND = [sys.executable, "-m", "skemo", "compare", "--models", "svm,lda", "--n-jobs", "2"]
RESULTS = ("report.html", "table.md", "scores.csv", "predictions.csv")
LIMITED = (
    "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); "
    "sys.argv[0] = 'skemo'; runpy.run_module('skemo', run_name='__main__')"
)
LONGEST = 300  # seconds that a comparison may take
PATIENCE = 20  # seconds until the workers of an ended comparison must have ended


def start(folder, command=COMMAND):
    """Start a comparison in a process group of its own; its errors go to a file, which is kept."""
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
    process = subprocess.Popen(
        [*command, "--output", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )
    process.errors = errors
    return process


def wait(process):
    """Wait for a comparison, not for its workers, and return its errors."""
    try:
        process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with process.errors as file:
        file.seek(0)
        return file.read()


def group_has_ended(process):
    """Whether the processes that a comparison started end, too."""
    for _ in range(2 * PATIENCE):
        table = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True).stdout
        rows = [line.split() for line in table.splitlines()]
        if not any(int(group) == process.pid and state[0] != "Z" for group, state in rows):
            return True
        time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    return False


def broken_files(folder):
    """Return the names of the files that are not whole."""
    broken = []
    for path in Path(folder).rglob("*"):
        if not path.is_file() or path.suffix == ".part":
            continue
        text = path.read_text(encoding="utf-8")
        try:
            whole = "checksum" in json.loads(text) if path.suffix == ".json" else text[-1] == "\n"
        except ValueError:
            whole = False
        if path.name == "report.html":
            whole = text.rstrip().endswith("</html>")
        if not whole:
            broken.append(path.name)
    return broken


def finish(folder):
    """Run a comparison to its end, and return its predictions and what it warned of."""
    process = start(folder)
    errors = wait(process)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {errors[-500:]}")
    return (Path(folder) / "predictions.csv").read_bytes(), errors


def problems_after(process, folder, expected, codes):
    """Return what is wrong after a comparison that ended, and with the next run to the end."""
    errors = wait(process)
    problems = []
    if process.returncode not in codes:
        problems.append(f"exit code {process.returncode}")
    if process.returncode >= 0 and "Traceback" in errors:
        problems.append(f"a traceback: {errors[-200:]}")
    if not group_has_ended(process):
        problems.append("processes were left")
    problems += [f"{name} is not whole" for name in broken_files(folder)]
    predictions, errors = finish(folder)
    if predictions != expected:
        problems.append("other predictions")
    if "damaged" in errors:
        problems.append("a saved result was damaged")
    return problems


def end_by(number, codes, expected, seconds):
    with tempfile.TemporaryDirectory() as folder:
        process = start(folder)
        time.sleep(seconds)
        process.send_signal(number)
        return problems_after(process, folder, expected, codes)


def run_two_at_once(expected):
    with tempfile.TemporaryDirectory() as folder:
        one, other = start(folder), start(folder)
        problems = problems_after(one, folder, expected, [0])
        return problems + problems_after(other, folder, expected, [0])


def fill_the_disk(expected):
    with tempfile.TemporaryDirectory() as folder:
        process = start(folder, [sys.executable, "-c", LIMITED, *COMMAND[3:]])
        return problems_after(process, folder, expected, [2])


def main(kills=20, seed=0):
    """Try everything, print what was wrong with each, and return whether nothing was."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        expected, _ = finish(folder)
        duration = time.monotonic() - begin
    print(f"undisturbed: {duration:.0f} s", flush=True)
    rng = np.random.default_rng(seed)
    trials = [(f"SIGKILL {i + 1}", signal.SIGKILL, [-9, 0]) for i in range(kills)]
    trials += [("SIGINT", signal.SIGINT, [130, -2, 0]), ("SIGTERM", signal.SIGTERM, [-15, 143, 0])]
    found = {}
    for name, number, codes in trials:
        seconds = rng.uniform(0, 1) * duration
        found[name] = end_by(number, codes, expected, seconds)
        print(f"{name} after {seconds:.1f} s: {found[name] or 'right'}", flush=True)
    for name, attempt in [("two at once", run_two_at_once), ("full disk", fill_the_disk)]:
        found[name] = attempt(expected)
        print(f"{name}: {found[name] or 'right'}", flush=True)
    return not any(found.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    sys.exit(not main(**vars(parser.parse_args())))
