"""Make results/larger_than_memory.md: time and memory of a study that is larger than memory.

    python benchmarks/bench_larger_than_memory.py                        # 20 minutes, 15 GB of disk
    python benchmarks/bench_larger_than_memory.py --windows 20000 --raw  # a quick look, not written

Recordings are simulated one by one and cut into a Parquet file in a temporary folder (set TMPDIR
to choose where). From this file, features are computed and networks are trained.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from itertools import chain
from pathlib import Path

import numpy as np
from bench_features import make_page
from threadpoolctl import threadpool_limits

import skemo

PAGE = Path(__file__).parent / "results" / "larger_than_memory.md"
WINDOWS = RAW = [100_000, 300_000, 1_000_000]
CHANNELS, RATE = 14, 128  # so that a window of one second takes 7 kB in single precision
PER_SUBJECT = 2500  # windows
EPOCHS = 2
BEFORE = "before the first step"
TEXT = (
    f"Windows of one second of EEG ({CHANNELS} channels, {RATE} Hz, single precision, 7 kB each), "
    f"{PER_SUBJECT} per subject, from recordings to a fitted network. Recordings are simulated "
    "one by one and cut into a Parquet file (`segment(..., to=)`); then differential entropies are "
    "computed, the leave-one-subject-out split of the windows is checked, and the modality-aware "
    f"network is trained on the features of each subject for {EPOCHS} epochs and predicts all of "
    "them. In another process, the cross-modal network, with a single modality, is trained for one "
    "epoch on the windows in the file, and predicts them. **Private memory** is the largest "
    "resident memory that belongs to the process alone during the step (RssAnon, sampled every "
    "20 ms), which a machine must have. **Resident** also counts pages of files (VmHWM, exact), "
    "namely of libraries and of the scratch file of the training set, which the system takes back "
    "when it needs the memory. Before the first step, libraries have been loaded and all steps "
    "have been run with a few windows. Reproduce with "
    "`python benchmarks/bench_larger_than_memory.py`."
)


def recordings(n_windows):
    """Yield simulated recordings, with labels that alternate every 50 s."""
    for subject in range(-(-n_windows // PER_SUBJECT)):
        n_seconds = min(PER_SUBJECT, n_windows - subject * PER_SUBJECT)
        rng = np.random.default_rng(subject)
        eeg = rng.standard_normal((CHANNELS, n_seconds * RATE), np.float32)
        starts = range(0, n_seconds, 50)
        labels = [
            (start, min(start + 50, n_seconds), "calm" if i % 2 == 0 else "aroused")
            for i, start in enumerate(starts)
        ]
        for start, stop, label in labels:
            eeg[:7, start * RATE : stop * RATE] *= 1.0 if label == "calm" else 1.2
        yield skemo.Recording({"eeg": eeg}, {"eeg": RATE}, subject=f"S{subject:04d}", labels=labels)


def steps(n_windows, is_raw, folder):
    """Yield the name of each step once it is done."""
    path = folder / "windows.parquet"
    windows = skemo.segment(recordings(n_windows), duration=1.0, to=path)
    yield "recordings to windows in a file"
    if is_raw:
        network = skemo.CrossModalAttentionClassifier(
            direction=None, pool_size=4, max_epochs=1, random_state=0
        )
        network.fit(windows[["eeg"]], windows["label"])
        yield "train the cross-modal network on the windows, one epoch"
        network.predict(windows[["eeg"]])
        yield "predict all windows"
        return
    entropy = skemo.DifferentialEntropyTransformer(output="map")
    features = entropy.fit_transform(windows[["eeg"]])
    yield "differential entropies"
    findings = skemo.check_split(
        windows[["eeg"]], windows, "leave-one-subject-out", windows["label"]
    )
    assert len(findings) == 0
    yield "check the split of the windows"
    features = skemo.PerSubject().fit_transform(features.assign(subject=windows["subject"]))
    yield "standardise each subject's features"
    network = skemo.ModalityAwareAttentionClassifier(max_epochs=EPOCHS, random_state=0)
    network.fit(features, windows["label"])
    yield f"train the modality-aware network on the features, {EPOCHS} epochs"
    network.predict(features)
    yield "predict all features"


class Memory:
    """The largest memory of this process since `begin`, in bytes; on Linux only."""

    def __init__(self):
        self.private = 0
        threading.Thread(target=self._sample, daemon=True).start()
        self.begin()

    def begin(self):
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        self.private = _status("RssAnon")

    def _sample(self):
        while True:
            self.private = max(self.private, _status("RssAnon"))
            time.sleep(0.02)

    def peaks(self):
        return self.private, _status("VmHWM")


def _status(what):
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(re.search(rf"{what}:\s+(\d+) kB", status)[1])


def measure(n_windows, is_raw):
    """Print the time and memory of each step as JSON, after a first run with few windows."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for _ in steps(PER_SUBJECT + 500, is_raw, Path(folder)):
            pass
    memory = Memory()
    with tempfile.TemporaryDirectory() as folder:
        wall, own = time.perf_counter(), time.process_time()
        for step in chain([BEFORE], steps(n_windows, is_raw, Path(folder))):
            private, resident = memory.peaks()
            found = {
                "step": step,
                "wall": time.perf_counter() - wall,
                "cpu": time.process_time() - own,
                "private": private,
                "resident": resident,
            }
            print(json.dumps(found), flush=True)
            memory.begin()
            wall, own = time.perf_counter(), time.process_time()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--windows", type=int, nargs="*", default=WINDOWS)
    parser.add_argument("--raw", type=int, nargs="*", default=RAW)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        with threadpool_limits(1):
            measure(int(args.one[0]), args.one[1] == "raw")
        return
    rows, own, wall = [], 0.0, 0.0
    for kind, sizes in (("features", args.windows), ("raw", args.raw)):
        for size in sizes:
            command = [sys.executable, __file__, "--one", str(size), kind]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            for found in map(json.loads, done.stdout.splitlines()):
                own, wall = own + found["cpu"], wall + found["wall"]
                rows.append(
                    {
                        "windows": f"{size:,} ({size * CHANNELS * RATE * 4 / 1e9:.2g} GB)",
                        "step": found["step"],
                        "seconds": f"{found['wall']:.0f}",
                        "CPU, µs per window": f"{1e6 * found['cpu'] / size:.0f}",
                        "private memory": f"{found['private'] / 1e9:.2f} GB",
                        "resident": f"{found['resident'] / 1e9:.2f} GB",
                    }
                )
                print("  ".join(rows[-1].values()), flush=True)
    page = make_page("A study larger than memory", own / wall, TEXT, rows)
    if (args.windows, args.raw) == (WINDOWS, RAW):
        PAGE.write_text(page, encoding="utf-8")
    else:
        print(page)


if __name__ == "__main__":
    main()
