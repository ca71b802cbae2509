"""Compare the speed of skemo's training with stock skorch, braindecode and PyTorch loops.

    python benchmarks/bench_training.py --device cpu        # all rows: half an hour or more
    python benchmarks/bench_training.py --device cuda       # minutes
    python benchmarks/bench_training.py --rows fit,predict  # some
    python benchmarks/bench_training.py --rows fit --clock cpu  # on a busy machine

Each repetition runs every contender once, in turn, and medians over the repetitions are given.
braindecode's classifier needs ``pip install braindecode``; without it, the page says that it was
left out. The page is written after each row, so results are kept if the rest is interrupted.
"""

import argparse
import ctypes
import gc
import os
import platform
import sys
import time
import traceback
import warnings
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from _training_contenders import Setting
from _training_rows import ROWS, WORKS, compare_scores

# Its import gives the processes that are started for a search one thread each.
from bench_features import RESULTS, processor, to_markdown

PACKAGES = (
    "skemo",
    "torch",
    "numba",
    "skorch",
    "braindecode",
    "scikit-learn",
    "joblib",
    "numpy",
    "pandas",
)
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
SAYING = {"faster": "faster", "floor": "the floor", "fit": "one fit"}
COLUMNS = (
    *("work", "against", "skemo, s", "other, s", "ratio", "quartiles", "target", "met"),
    *("rows/s, skemo / other", "memory, MB, skemo / other", "agreement"),
)


def measure(key, setting, repetitions, clock):
    """Return the rows of the table for one kind of work, and notes on what was left out."""
    work = WORKS[key](setting)
    warm = WORKS[key](quickest(setting)) if work.is_long else work
    pairs = [(work.skemo, warm.skemo), *zip(work.others, warm.others, strict=True)]
    contenders, functions, left_out = [], [], []
    for contender, smaller in pairs:
        try:
            run = contender.make()
            (smaller.make() if work.is_long else run)(0)  # warms up
        except Exception as error:
            # If one fails, for example with another version of a package, keep the other rows.
            if contender is work.skemo:
                raise
            left_out.append(f"{work.title}: {contender.name} is left out ({describe(error)}).")
        else:
            contenders.append(contender)
            functions.append(run)
    seconds = np.empty((min(repetitions, 3) if work.is_long else repetitions, len(contenders)))
    memory, results = [None] * len(contenders), [[] for _ in contenders]
    for seed, repetition in enumerate(seconds):
        trim = seed == len(seconds) - 1
        for i, (contender, run) in enumerate(zip(contenders, functions, strict=True)):
            taken, memory[i], result = time_run(run, seed, setting.device, trim, clock)
            repetition[i] = taken / contender.share
            results[i].append(result)
    if work.in_processes:
        memory = [None] * len(contenders)
    return make_rows(work, contenders, seconds, memory, results), left_out


def quickest(setting):
    return Setting(setting.device, quick=True, n_epochs=2)


def describe(error):
    if not isinstance(error, ImportError):
        traceback.print_exception(error)
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def time_run(run, seed, device, trim, clock):
    """Return the seconds, the peak of additional memory (None if unknown) and the result.

    On a CPU, `trim` first returns unused memory to the system. Otherwise memory that was freed
    earlier is used again and does not count as additional.
    """
    gc.collect()
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        before = reset_peak() if trim else None
    start = clock()
    result = run(seed)
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = clock() - start
    peak = torch.cuda.max_memory_allocated() if device == "cuda" else resident("VmHWM")
    return seconds, None if before is None or peak is None else peak - before, result


def reset_peak():
    """Reset the peak of memory; return the bytes in use, or None if the system cannot tell."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError, TypeError):
        return None
    return resident("VmRSS")


def resident(name):
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith(name)), None)


def make_rows(work, contenders, seconds, memory, results):
    """Make rows of the table from the seconds, of shape (n_repetitions, n_contenders)."""
    medians = np.median(seconds, axis=0)
    floors = [i for i, contender in enumerate(contenders) if contender.kind == "floor"]
    nearest = min(floors, key=lambda i: medians[i], default=None)
    speeds = [f"{c.n_rows / median:,.0f}" for c, median in zip(contenders, medians, strict=True)]
    sizes = ["not measured" if x is None else f"{x / 1e6:.1f}" for x in memory]
    rows = []
    for i, contender in enumerate(contenders[1:], 1):
        ratios = seconds[:, 0] / seconds[:, i]
        near = contender.kind != "faster"
        low, ratio, high = np.quantile(ratios if near else 1 / ratios, [0.25, 0.5, 0.75])
        goal = work.near if i == nearest else contender.target
        target = met = ""
        if goal is not None:
            target = f"{'within' if near else 'at least'} {goal:g}×"
            met = "yes" if (ratio <= goal if near else ratio >= goal) else "no"
        row = (
            *(work.title, contender.name, f"{medians[0]:.4g}", f"{medians[i]:.4g}"),
            *(f"{ratio:.3g}× {SAYING[contender.kind]}", f"{low:.3g}–{high:.3g}", target, met),
            *(f"{speeds[0]} / {speeds[i]}", f"{sizes[0]} / {sizes[i]}"),
            work.agreement(results[0], results[i]),
        )
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    return rows


def describe_machine(device, threads):
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} not installed")
    where = f"{processor()} ({os.cpu_count()} cores, {platform.machine()})"
    if device == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        where = (
            f"one {gpu.name} ({gpu.total_memory / 2**30:.0f} GiB; CUDA {torch.version.cuda}, cuDNN "
            f"{torch.backends.cudnn.version()}) beside {where}"
        )
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"Measured on {date.today():%Y-%m-%d} on {where}. Threads of torch on the CPU: {threads}, "
        "of which skemo uses one, and one in each process of a search. Load average before: "
        f"{load}. Python {platform.python_version()}, {', '.join(versions)}."
    )


def write_page(args, machine, rows, scores, left_out, documents):
    """Write and return the page with everything measured so far."""
    parts = [
        f"# Training: skemo and others, side by side, on {args.device}",
        machine,
        f"Seconds are medians of {args.repetitions} repetitions, at most three of works of many "
        "fits, in each of which every contender ran once, in turn. The ratio is the median of the "
        "repetitions' ratios, beside its quartiles. Bare loops and passes are floors, and the "
        "target for them is for the quickest. Rows a second are those that go through the network "
        "in training, or in prediction. Memory is the most held in the last run above what was "
        "held before it: what torch allocated on a GPU, the resident set on a CPU. Data are "
        "simulated, unless a row says otherwise. Reproduce with "
        f"`python benchmarks/bench_training.py --device {args.device}`.",
    ]
    if args.clock == "cpu":
        parts.append("Seconds are those of the processor in this process, over all threads.")
    if args.quick:
        parts.append("Made with `--quick`: tiny sizes, on which times mean nothing.")
    if rows:
        parts.append(to_markdown(COLUMNS, rows))
    if scores:
        parts.append(to_markdown(tuple(scores[0]), scores))
    parts += [" ".join(text.split("Yields")[0].split()) for text in documents]
    if left_out:
        parts.append("\n".join(["Left out:", "", *(f"- {line}" for line in left_out)]))
    page = "\n\n".join(parts) + "\n"
    if args.output is not None:
        args.output.write_text(page, encoding="utf-8")
    return page


def training_page(args, keys):
    """Measure, print while measuring, write after each row, and return the page."""
    machine = describe_machine(args.device, torch.get_num_threads())
    setting = Setting(args.device, n_epochs=args.epochs)
    if args.quick:
        setting = quickest(setting)
    rows, scores, left_out, documents, page = [], [], [], [], ""
    for key in keys:
        new, missing = [], []
        try:
            if key == "agreement":
                for score in compare_scores(setting, args.data_home):
                    scores.append(score)
                    print("  ".join(map(str, score.values())), flush=True)
            else:
                new, missing = measure(key, setting, args.repetitions, CLOCKS[args.clock])
        except Exception as error:  # keeps the other rows
            missing = [f"{key} failed ({describe(error)})."]
        print("\n".join([*("  ".join(row.values()) for row in new), *missing]), flush=True)
        rows += new
        left_out += missing
        work = WORKS.get(key, compare_scores)
        document = getattr(work, "func", work).__doc__
        documents += [document] if document not in documents else []
        page = write_page(args, machine, rows, scores, left_out, documents)
    return page


def main(arguments=None):
    known = (*WORKS, "agreement")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rows", help=f"some of {', '.join(known)}; else those of the device")
    parser.add_argument("--data-home", help="folder of eegmat, for its rows of the agreement")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: times mean nothing")
    parser.add_argument("--repetitions", type=int, metavar="N", help="11; with --quick 2")
    parser.add_argument("--epochs", type=int, default=30, metavar="N", help="of one fit")
    help_clock = "time that passes, or that of the processor, which other work disturbs less"
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help=help_clock)
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of torch, on the CPU")
    parser.add_argument("--output", type=Path, help="page to write; unless asked, with all rows")
    args = parser.parse_args(arguments)
    keys = args.rows.split(",") if args.rows else list(ROWS[args.device])
    if unknown := [key for key in keys if key not in known]:
        parser.error(f"unknown rows {', '.join(unknown)}; there are {', '.join(known)}")
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device")
    args.repetitions = args.repetitions or (2 if args.quick else 11)
    if args.output is None and not args.quick and not args.rows:
        args.output = RESULTS / f"training-{args.device}.md"
    torch.set_num_threads(args.threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        page = training_page(args, keys)
    if args.output is None:
        print(f"\n{page}")
    else:
        print(f"Wrote {args.output}.", file=sys.stderr)


if __name__ == "__main__":
    main()
