"""Measure skemo's features side by side with other packages' and with the floor.

    python benchmarks/bench_features.py                     # all rows: minutes
    python benchmarks/bench_features.py --rows de,peaks     # some
    python benchmarks/bench_features.py --scale             # time and memory against size

Everything runs in one process on one core, and CPU time is measured. A repetition runs each
contender once, in turn, and medians over the repetitions are given. Install the other packages
by ``pip install .[bench]``.
hrv-analysis asks for pandas 3 and, on Python 3.11, for a release of nolds that cannot be
imported there; it works after ``pip install --no-deps hrv-analysis==1.0.6 nolds==0.6.2
astropy pyerfa astropy-iers-data``. What is not installed is left out, and named.
"""

# ruff: noqa: E402
import os

# Read by the libraries when they are loaded, and inherited by the processes of --scale.
for library in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "NUMBA_NUM", "VECLIB_MAXIMUM"):
    os.environ[f"{library}_THREADS"] = "1"

import argparse
import platform
import sys
import time
import warnings
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from _feature_rows import WORKS, MissingError
from _feature_scale import DIMENSIONS, measure_scale
from threadpoolctl import threadpool_info, threadpool_limits

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    *("skemo", "numpy", "scipy", "torch", "pandas", "scikit-learn", "joblib"),
    *("neurokit2", "mne", "mne-features", "sleepecg", "hrv-analysis", "nolds", "cvxopt"),
)
SAYING = {"faster": "faster", "floor": "the floor", "own": "the function"}
COLUMNS = (
    *("work", "against", "windows", "skemo, ms", "other, ms", "ratio", "quartiles"),
    *("target", "met", "agreement"),
)


def measure(key, repetitions, quick):
    """Rows of the table for one kind of work, and what was left out."""
    try:
        work = WORKS[key](quick)
    except MissingError as missing:
        return [], [f"{key}: {missing}"]
    contenders, left_out = [work.skemo], []
    for contender in work.others:
        try:
            contenders.append(contender._replace(run=contender.run()))
        except ImportError as error:
            left_out.append(f"{work.title}: {contender.name} is left out ({error}).")
    results = [contender.run(contender.windows) for contender in contenders]  # warms up
    seconds = np.empty((repetitions, len(contenders)))
    for repetition in seconds:
        for i, contender in enumerate(contenders):
            start = time.process_time()
            contender.run(contender.windows)
            repetition[i] = (time.process_time() - start) / contender.n_windows
    rows = []
    for i, contender in enumerate(contenders[1:], 1):
        row = make_row(work, contender, seconds[:, 0], seconds[:, i])
        row["agreement"] = contender.agreement(results[0], results[i])
        rows.append(row)
    return rows, left_out


def make_row(work, contender, ours, theirs):
    """A row of the table, of seconds a window in each repetition."""
    ratios = ours / theirs if contender.kind == "floor" else theirs / ours
    ratio, low, high = np.quantile(ratios, [0.5, 0.25, 0.75])
    target = met = ""
    if contender.target is not None:
        near = contender.kind == "floor"
        target = f"{'within' if near else 'at least'} {contender.target:g}×"
        met = "yes" if (ratio <= contender.target if near else ratio >= contender.target) else "no"
    return {
        "work": work.title,
        "against": contender.name,
        "windows": f"{work.skemo.n_windows} / {contender.n_windows}",
        "skemo, ms": f"{1e3 * np.median(ours):.4g}",
        "other, ms": f"{1e3 * np.median(theirs):.4g}",
        "ratio": f"{ratio:.3g}× {SAYING[contender.kind]}",
        "quartiles": f"{low:.3g}–{high:.3g}",
        "target": target,
        "met": met,
    }


def describe_machine(share):
    """Machine, versions, and whether the process had a core to itself."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} not installed")
    threads = max((library["num_threads"] for library in threadpool_info()), default=1)
    return (
        f"Measured on {date.today():%Y-%m-%d} on one core of {processor()} ({os.cpu_count()} "
        f"cores, {platform.machine()}), at most {max(threads, torch.get_num_threads())} thread per "
        f"library; the process had {share:.0%} of its core. Python {platform.python_version()}, "
        f"{', '.join(versions)}."
    )


def make_page(title, share, text, rows):
    """Return a page with one table; what it says of threads is for a limit of one."""
    with threadpool_limits(1):
        machine = describe_machine(share)
    return f"# {title}\n\n{machine}\n\n{text}\n\n{to_markdown(list(rows[0]), rows)}\n"


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "an unnamed processor"


def to_markdown(columns, rows):
    lines = [columns, ["---"] * len(columns)]
    lines += [[str(row[column]) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def features_page(keys, repetitions, quick):
    """Measure, print while measuring, and return the page."""
    rows, left_out = [], []
    wall, own = time.perf_counter(), time.process_time()
    for key in keys:
        new, missing = measure(key, repetitions, quick)
        print("\n".join([*("  ".join(row.values()) for row in new), *missing]), flush=True)
        rows += new
        left_out += missing
    share = (time.process_time() - own) / (time.perf_counter() - wall)
    parts = [
        "# Features: skemo and other packages, side by side",
        describe_machine(share),
        f"Milliseconds of CPU time per window: medians of {repetitions} repetitions, in each of "
        "which every contender ran once, in turn. The ratio is the median of the repetitions' "
        "ratios, shown with its quartiles. “Windows” is the size of the batch for skemo and for "
        "the other, whose cost per window does not depend on it. A floor is work that skemo cannot "
        "do without. All data are simulated. Reproduce with `python benchmarks/bench_features.py`.",
        to_markdown(COLUMNS, rows),
        *dict.fromkeys(" ".join(WORKS[key].__doc__.split()) for key in keys),
    ]
    if left_out:
        parts.append("\n".join(["Left out:", "", *(f"- {line}" for line in left_out)]))
    return "\n\n".join(parts) + "\n"


def scale_page(windows):
    """Measure time and memory against the size of the input, and return the page."""
    rows = []
    for row in measure_scale(windows):
        print("  ".join(map(str, row.values())), flush=True)
        rows.append(row)
    return (
        "# Features: time and memory against the size of the input\n\n"
        f"{describe_machine(1.0).replace('; the process had 100% of its core', '')}\n\n"
        f"{' '.join(measure_scale.__doc__.split('Yields')[0].split())}\n\n"
        f"{to_markdown(('transformer', *DIMENSIONS, 'ms a window', 'MB above', 'slope'), rows)}\n"
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default=",".join(WORKS), help=f"some of {', '.join(WORKS)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: times mean nothing")
    parser.add_argument("--repetitions", type=int, default=11, metavar="N")
    parser.add_argument("--scale", action="store_true", help="time and memory against size")
    parser.add_argument(
        "--windows", default="2000,8000,32000", help="numbers of windows, with --scale"
    )
    parser.add_argument("--output", type=Path, help="page to write; unless asked, with all rows")
    args = parser.parse_args(arguments)
    keys = args.rows.split(",")
    if unknown := [key for key in keys if key not in WORKS]:
        parser.error(f"unknown rows {', '.join(unknown)}; there are {', '.join(WORKS)}")
    torch.set_num_threads(1)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if args.scale:
            sizes = [int(size) for size in args.windows.split(",")]
            page = scale_page([20, 40] if args.quick else sizes)
        else:
            page = features_page(keys, 2 if args.quick else args.repetitions, args.quick)
    output = args.output
    if output is None and not args.quick and keys == list(WORKS):
        output = RESULTS / ("features-scale.md" if args.scale else "features.md")
    if output is None:
        print(f"\n{page}")
    else:
        output.write_text(page, encoding="utf-8")
        print(f"Wrote {output}.", file=sys.stderr)


if __name__ == "__main__":
    main()
