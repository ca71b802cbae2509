"""End comparisons at random moments, and check that they resume and give the same scores.

    python tests/interruptions.py [--kills 20] [--seed 0] [--write]

A comparison of the command line is killed, interrupted (SIGINT), ended (SIGTERM), run twice at
once in one folder, or run on a full disk: a file system of 1 MB if one can be mounted, and files
limited in size. After each, all files must be whole, no worker may be left after 5 s, and the same
command must end with the predictions of a run that nothing disturbed. The exit code is 0 if it is
so. `--write` makes benchmarks/results/interruptions.md, with what `repeated_fits.py` measures.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[1] / "benchmarks" / "results" / "interruptions.md"
# The command line, with a few short recordings.
SMALL = """
import functools, sys
from skemo import datasets
small = {"n_subjects": 8, "n_trials": 4, "duration": 20.0, "modalities": ["ecg"]}
datasets.make_emotion_recordings = functools.partial(datasets.make_emotion_recordings, **small)
from skemo.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))" + SMALL
ARGUMENTS = ["compare", "--models", "svm,lda", "--n-jobs", "2"]
RESULTS = ("report.html", "table.md", "scores.csv", "predictions.csv")
LONGEST = 300  # seconds that a comparison may take
PATIENCE = 5  # seconds until the workers of an ended comparison must have ended
FREE = 40_000  # bytes that are free on the small disk: enough for the fits, not for the report


def start(folder, script=SMALL):
    """Start a comparison in a process group of its own; its errors go to a file, which is kept."""
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
    process = subprocess.Popen(
        [sys.executable, "-c", script, *ARGUMENTS, "--output", str(folder)],
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


def workers_have_ended(process):
    """Whether the workers of a comparison end in time; joblib's trackers may still clean up."""
    end = time.monotonic() + PATIENCE
    command = ["ps", "-eo", "pgid=,stat=,args="]
    while time.monotonic() < end:
        table = subprocess.run(command, capture_output=True, text=True).stdout
        rows = [line.split(None, 2) for line in table.splitlines()]
        own = [text for group, state, text in rows if int(group) == process.pid and state[0] != "Z"]
        if all("resource_tracker" in text for text in own):
            return True
        time.sleep(0.2)
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


def problems_of(process, folder, codes):
    """Return what is wrong after a comparison that ended."""
    errors = wait(process)
    problems = []
    if process.returncode not in codes:
        problems.append(f"exit code {process.returncode}")
    if process.returncode >= 0 and "Traceback" in errors:
        problems.append(f"a traceback: {errors[-200:]}")
    if process.returncode == 2 and "Free some space" not in errors:
        problems.append(f"no remedy: {errors[-200:]}")
    if not workers_have_ended(process):
        problems.append("worker processes were left")
    return problems + [f"{name} is not whole" for name in broken_files(folder)]


def problems_of_next(folder, expected):
    """Return what is wrong with the next run, to the end."""
    predictions, errors = finish(folder)
    problems = [] if predictions == expected else ["other predictions"]
    return problems + ["a saved result was damaged"] * ("damaged" in errors)


def end_by(number, codes, expected, seconds):
    with tempfile.TemporaryDirectory() as folder:
        process = start(folder)
        time.sleep(seconds)
        process.send_signal(number)
        return problems_of(process, folder, codes) + problems_of_next(folder, expected)


def run_two_at_once(expected):
    with tempfile.TemporaryDirectory() as folder:
        one, other = start(folder), start(folder)
        problems = problems_of(one, folder, [0]) + problems_of(other, folder, [0])
        return problems + problems_of_next(folder, expected)


def limit_file_sizes(expected):
    with tempfile.TemporaryDirectory() as folder:
        problems = problems_of(start(folder, LIMITED), folder, [2])
        return problems + problems_of_next(folder, expected)


def fill_the_disk(expected, n_free=FREE):
    """Run on a disk with `n_free` bytes left, then free the rest; None if none can be mounted."""
    with tempfile.TemporaryDirectory() as disk, small_disk(disk) as is_mounted:
        if not is_mounted:
            return None
        filler = Path(disk) / "filler"
        state = os.statvfs(disk)
        filler.write_bytes(bytes(state.f_bavail * state.f_frsize - n_free))
        folder = Path(disk) / "results"
        problems = problems_of(start(folder), folder, [2])
        filler.unlink()
        return problems + problems_of_next(folder, expected)


@contextmanager
def small_disk(folder):
    """Mount a file system of 1 MB, and say whether that was possible."""
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    try:
        is_mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        is_mounted = False
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", folder], check=True)


def main(kills=20, seed=0, write=False):
    """Try everything, print what was wrong with each, and return whether nothing was."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        expected, _ = finish(folder)
        duration = time.monotonic() - begin
    print(f"undisturbed: {duration:.0f} s", flush=True)
    rng = np.random.default_rng(seed)
    trials = [("kill -9", signal.SIGKILL, [-9, 0])] * kills
    trials += [("SIGINT", signal.SIGINT, [130, -2, 0])] * 3
    trials += [("SIGTERM", signal.SIGTERM, [-15, 143, 0])] * 3
    found = []
    for name, number, codes in trials:
        seconds = rng.uniform(0, 1) * duration
        found.append((name, f"{seconds:.1f} s", end_by(number, codes, expected, seconds)))
        print(*found[-1], flush=True)
    others = {
        "two at once in one folder": run_two_at_once,
        "files of at most 9 kB": limit_file_sizes,
        f"disk of 1 MB with {FREE // 1000} kB left": fill_the_disk,
        "disk of 1 MB with nothing left": lambda expected: fill_the_disk(expected, 0),
    }
    for name, attempt in others.items():
        found.append((name, "", attempt(expected)))
        print(*found[-1], flush=True)
    if write:
        PAGE.write_text(to_page(found, duration), encoding="utf-8")
    return not any(problems for _, _, problems in found)


def to_page(found, duration):
    rows = []
    for name in dict.fromkeys(name for name, _, _ in found):
        own = [trial for trial in found if trial[0] == name]
        wrong = [f"{when} {'; '.join(problems)}".strip() for _, when, problems in own if problems]
        tried = "not tried: no disk could be mounted" if own[0][2] is None else len(own)
        moments = ", ".join(when for _, when, _ in own if when)
        rows.append(f"| {name} | {tried} | {moments} | {'<br>'.join(wrong) or 'nothing'} |")
    script = Path(__file__).with_name("repeated_fits.py")
    repeated = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    return f"""# Interruptions, and many fits in one process

## Interruptions

`python tests/interruptions.py --write` ends `skemo compare` with two worker processes at random
moments. Afterwards every file must be whole, no worker may be left after {PATIENCE} s, and the same
command, run again, must give the predictions of the undisturbed run, byte for byte. On a full
disk it must end with exit code 2 and a message without a traceback. The undisturbed run took
{duration:.0f} s.

| what happened | times | after | what was wrong |
|---|---|---|---|
{chr(10).join(rows)}

## Many fits in one process

`python tests/repeated_fits.py` fits and uses each model 200 times in one process. Memory is the
resident set after garbage collection, in MB.

{repeated.stdout.strip()}

Python {platform.python_version()} on {platform.system()}.
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write the page of results")
    sys.exit(not main(**vars(parser.parse_args())))
