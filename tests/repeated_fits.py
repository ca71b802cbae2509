"""Fit and use models many times in one process: do memory, open files and threads stay the same?

    python tests/repeated_fits.py [--fits 200]

Prints a table. The exit code is 0 if, after the first quarter, memory grows by less than 20 MB, and
the numbers of open files and threads do not grow.
"""

import argparse
import gc
import os
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

import skemo
from skemo import (
    CrossModalAttentionClassifier,
    EDATransformer,
    HRVTransformer,
    ModalityAwareAttentionClassifier,
    SignalArray,
    compare,
    make_lda,
    make_modality_transformer,
    signal_frame,
)

MEGABYTES = 20  # by which memory may grow after the first quarter


def make_windows():
    rng = np.random.default_rng(0)
    y = np.tile(["calm", "stress"], 12)
    level = (y == "stress")[:, None, None]
    ecg = rng.normal(size=(24, 1, 640)) + level
    eda = 3 + 0.01 * rng.normal(size=(24, 1, 40)).cumsum(axis=2) + level
    windows = {"ecg": SignalArray(ecg, sampling_rate=64), "eda": SignalArray(eda, sampling_rate=4)}
    return signal_frame(**windows), y, np.repeat(list("abcd"), 6)


def network(make, **settings):
    def use(X, y, groups):
        model = make(n_filters=2, max_epochs=1, device="cpu", random_state=0, **settings)
        model.fit(X, y, groups=groups).predict_proba(X)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.skemo"
            skemo.save(model, path)
            skemo.load(path, device="cpu").predict(X)

    return use


def baseline(X, y, groups):
    parts = make_modality_transformer(ecg=HRVTransformer(), eda=EDATransformer())
    make_lda(parts).fit(X, y).predict_proba(X)


def comparison(X, y, groups):
    model = ModalityAwareAttentionClassifier(n_filters=2, max_epochs=1, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        compare({"net": model}, X, y, groups, together=True, random_state=0, output=folder).table()


MODELS = {
    "modality-aware network": network(ModalityAwareAttentionClassifier),
    "with early stopping": network(ModalityAwareAttentionClassifier, early_stopping=True),
    "cross-modal network": network(CrossModalAttentionClassifier),
    "features and LDA": baseline,
    "compare, four folds": comparison,
}


def state():
    """Resident memory in MB, open files, and threads of the process and of Python."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    files, threads = (len(os.listdir(f"/proc/self/{what}")) for what in ("fd", "task"))
    return memory, files, threads, threading.active_count()


def measure(use, n_fits):
    """Return the state after a quarter, a half, and all of the fits."""
    X, y, groups = make_windows()
    moments = [max(1, n_fits // 4), max(1, n_fits // 2), n_fits]
    states = []
    for n_done in range(1, n_fits + 1):
        use(X, y, groups)
        states += [state()] * moments.count(n_done)
    return states


def is_flat(states):
    first, last = np.array(states[0]), np.array(states[-1])
    return last[0] - first[0] < MEGABYTES and (last[1:] <= first[1:]).all()


def main(fits=200):
    """Print a table of all models, and return whether all are flat."""
    moments = [fits // 4, fits // 2, fits]
    print(f"| model | MB after {', '.join(map(str, moments))} | open files | threads | flat |")
    print("|---|---|---|---|---|")
    flat = True
    for name, use in MODELS.items():
        states = measure(use, fits)
        memory, files, threads = (
            ", ".join(f"{values[k]:.0f}" for values in states) for k in range(3)
        )
        flat &= bool(is_flat(states))
        says = "yes" if is_flat(states) else "no"
        print(f"| {name} | {memory} | {files} | {threads} | {says} |", flush=True)
    return flat


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fits", type=int, default=200)
    sys.exit(not main(**vars(parser.parse_args())))
