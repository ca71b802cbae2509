"""Make results/files.md: time and memory from large files to recordings and features.

    python benchmarks/bench_files.py                          # minutes
    python benchmarks/bench_files.py --hours 1 --megabytes 20 # a quick look; nothing is written

A day of a wristband is simulated and written as an Empatica E4 writes it, and a recording at
1000 Hz as a CSV file. Both are written to a temporary folder.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from bench_features import make_page
from threadpoolctl import threadpool_limits

import skemo
import skemo.io

PAGE = Path(__file__).parent / "results" / "files.md"
HOURS, MEGABYTES = 24.0, 500.0
START = 1714555800  # unix seconds
SECONDS = 60.0  # of a window
TEXT = (
    "A day of a wristband (pulse 64 Hz, acceleration 32 Hz, skin conductance and temperature "
    "4 Hz), from the folder of an Empatica E4 to the features of one-minute windows: heartbeats "
    "and the tonic and phasic skin conductance of the whole recording, then features of all four "
    "signals. The recording is dropped once it is cut into windows. Then a CSV file with times, "
    "three signals at 1000 Hz and a label, read as a recording. Signals "
    "are simulated. Each row is a separate process that has first read and processed a short "
    "recording, so that imports do not count. Memory is the peak of the resident memory above the "
    "level before, so it includes the signals themselves. Reproduce with "
    "`python benchmarks/bench_files.py`."
)


def write_wristband(folder, hours):
    """Write the folder of an Empatica E4."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    seconds = round(3600 * hours)
    times = np.arange(64 * seconds) / 64
    phase = np.cumsum(1.1 + 0.15 * np.sin(2 * np.pi * times / 3600)) / 64
    pulse = 60 * np.maximum(0, np.sin(2 * np.pi * phase)) ** 3 + rng.normal(0, 1, len(times))
    conductance = 0.1 + np.abs(2 + np.cumsum(rng.normal(0, 0.005, 4 * seconds)))
    for name, rate, samples, form in (
        ("BVP", 64, pulse[:, np.newaxis], "%.2f"),
        ("EDA", 4, conductance[:, np.newaxis], "%.6f"),
        ("TEMP", 4, rng.normal(33, 0.02, (4 * seconds, 1)), "%.2f"),
        ("ACC", 32, rng.normal((20, 30, 52), 3, (32 * seconds, 3)), "%d"),
    ):
        with open(folder / f"{name}.csv", "w", encoding="ascii") as file:
            for value in (START, rate):
                file.write(",".join([f"{value:.6f}"] * samples.shape[1]) + "\n")
            np.savetxt(file, samples, fmt=form, delimiter=",")


def write_csv(path, megabytes):
    """Write a CSV file with three signals at 1000 Hz, unix times and labels."""
    rng = np.random.default_rng(0)
    with open(path, "w", encoding="ascii") as file:
        file.write("time,ecg,eda,resp,label\n")
        n_rows = 0
        while file.tell() < 1e6 * megabytes:
            label = "rest" if n_rows // 1_000_000 % 2 == 0 else "stress"
            times = START + np.arange(n_rows, n_rows + 100_000) / 1000
            table = np.column_stack([times, rng.normal(size=(100_000, 3))])
            np.savetxt(file, table, fmt=f"%.3f,%.4f,%.4f,%.4f,{label}")
            n_rows += len(times)


def wristband(path):
    """Yield the steps from the files to features, and the size of the signals in bytes."""
    recording = skemo.io.read_empatica_e4(path)
    size = sum(samples.nbytes for samples in recording.signals.values())
    yield "read", size
    recording = skemo.find_beats(recording, name="ppg", signal="ppg")
    yield "find heartbeats", size
    recording = skemo.decompose_eda(recording)
    yield "decompose skin conductance", size
    windows = skemo.segment(recording, SECONDS)
    yield "cut into windows", size
    del recording
    skemo.make_modality_transformer(
        beats=skemo.HRVTransformer(signal="beats"),
        eda=skemo.EDATransformer(signal="components"),
        temp=skemo.TemperatureTransformer(),
        acc=skemo.AccelerometerTransformer(),
    ).fit_transform(windows)
    yield "compute features", size


def csv(path):
    """Yield the single step, and the size of the signals in bytes."""
    names = {"time": "time", "signals": ["ecg", "eda", "resp"], "label": "label"}
    recording = skemo.io.read_csv(path, **names, subject="A")
    yield "read", sum(samples.nbytes for samples in recording.signals.values())


STEPS = {"24-hour wristband": wristband, "CSV file": csv}


def resident(what):
    """Return the resident memory now (VmRSS) or at its peak (VmHWM) in bytes, on Linux."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(re.search(rf"{what}:\s+(\d+) kB", status)[1])


def measure(what, short, path):
    """Print the time of each step, the peak of memory, and the size of the signals, as JSON."""
    warnings.simplefilter("ignore")
    for _ in STEPS[what](short):
        pass
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    found = {}
    wall, last = time.perf_counter(), time.process_time()
    for step, size in STEPS[what](path):  # noqa: B007
        now = time.process_time()
        found[step], last = now - last, now
    wall = time.perf_counter() - wall
    megabytes = {"peak": (resident("VmHWM") - before) / 1e6, "signals": size / 1e6}
    print(json.dumps({"seconds": found, "wall": wall, **megabytes}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=HOURS)
    parser.add_argument("--megabytes", type=float, default=MEGABYTES)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        with threadpool_limits(1):
            measure(*args.one)
        return
    rows, own, wall = [], 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for what, write, size, small in (
            ("24-hour wristband", write_wristband, args.hours, 0.1),
            ("CSV file", write_csv, args.megabytes, 1),
        ):
            for name, amount in (("short", small), ("long", size)):
                write(folder / f"{what} {name}", amount)
            paths = [folder / f"{what} {name}" for name in ("short", "long")]
            command = [sys.executable, __file__, "--one", what, *map(str, paths)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
            own, wall = own + sum(found["seconds"].values()), wall + found["wall"]
            ratio = (
                f"{found['peak']:.0f} MB, {found['peak'] / found['signals']:.1f} times the signals"
            )
            title = f"{size:g} h of a wristband" if what != "CSV file" else f"CSV file, {size:g} MB"
            rows += [
                {"file": title, "step": step, "seconds": f"{seconds:.2f}", "memory": ""}
                for step, seconds in found["seconds"].items()
            ]
            total = f"{sum(found['seconds'].values()):.2f}"
            rows.append({"file": title, "step": "**all**", "seconds": total, "memory": ratio})
            print(rows[-1], flush=True)
    page = make_page("Large files: time and memory", own / wall, TEXT, rows)
    if (args.hours, args.megabytes) == (HOURS, MEGABYTES):
        PAGE.write_text(page, encoding="utf-8")
    else:
        print(page)


if __name__ == "__main__":
    main()
