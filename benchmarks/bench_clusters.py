"""Make results/clusters.md: fits on two Dask workers and in one process, and the bytes sent.

    python benchmarks/bench_clusters.py           # minutes, on two idle cores
    python benchmarks/bench_clusters.py --quick   # nothing is written

Every process has one thread. Bytes are counted at the loopback interface of the machine, which
works on Linux only, and nothing else should use this interface meanwhile.
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
import psutil
import torch

# Its import gives the processes that are started one thread each.
from bench_features import RESULTS, processor, to_markdown
from distributed import Client, LocalCluster
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from threadpoolctl import threadpool_limits

import skemo
from skemo.datasets import make_emotion_recordings

PAGE = RESULTS / "clusters.md"
PACKAGES = ("skemo", "torch", "numba", "scikit-learn", "joblib", "distributed", "numpy", "pandas")
TARGET = 1.8  # times as fast as one process


class Work(NamedTuple):
    """Fits that are independent of each other, and a small one of the same kind."""

    name: str
    run: Callable[[], Any]
    n_fits: int
    table: pd.DataFrame
    warm: Callable[[], Any]


def compare_networks(quick):
    """Folds of a network on windows of two signals, leaving out one subject at a time."""
    recordings = make_emotion_recordings(
        n_subjects=4 if quick else 12, n_trials=4, modalities=("ecg", "eda"), random_state=0
    )
    windows = skemo.segment(recordings, duration=10.0)
    inputs = skemo.make_modality_transformer(
        ecg=skemo.ResampleTransformer(64, standardize=True), eda=skemo.ResampleTransformer(64)
    )
    X, y = inputs.fit_transform(windows), windows["label"]
    network = skemo.CrossModalAttentionClassifier(
        max_epochs=2 if quick else 20, device="cpu", random_state=0
    )
    few = clone(network).set_params(max_epochs=1)

    def run():
        subjects = windows["subject"]
        return skemo.compare([network], X, y, subjects, together=False).predictions

    n_fits = windows["subject"].nunique()
    return Work("`compare`, network", run, n_fits, X, lambda: few.fit(X[:24], y[:24]))


def make_features(quick):
    """Features of two classes, for the classical models."""
    rng = np.random.default_rng(0)
    n_subjects, n_rows, n_features = 4 if quick else 8, 250, 100
    subjects = np.repeat(np.arange(n_subjects), n_rows)
    y = np.tile([0, 1], len(subjects) // 2)
    values = rng.normal(size=(len(y), n_features)) + 0.1 * y[:, None]
    return pd.DataFrame(values).add_prefix("feature "), y, subjects


def compare_forests(quick):
    """Folds of a random forest, which also passes its trees to joblib as tasks."""
    X, y, subjects = make_features(quick)
    forest = RandomForestClassifier(n_estimators=20 if quick else 200, random_state=0)
    few = clone(forest).set_params(n_estimators=1)
    return Work(
        "`compare`, random forest",
        lambda: skemo.compare([forest], X, y, subjects).predictions,
        len(np.unique(subjects)),
        X,
        lambda: few.fit(X[:24], y[:24]),
    )


def search_boosting(quick):
    """Candidates and folds of boosted trees in scikit-learn's search."""
    X, y, subjects = make_features(quick)
    model = GradientBoostingClassifier(n_estimators=5 if quick else 30, random_state=0)
    grid = {"learning_rate": [0.05, 0.2]}
    search = GridSearchCV(model, grid, cv=LeaveOneGroupOut(), refit=False)
    few = clone(model).set_params(n_estimators=1)

    def run():
        fitted = search.fit(X, y, groups=subjects)
        return pd.DataFrame(fitted.cv_results_).filter(like="test_score")

    n_fits = 2 * len(np.unique(subjects))
    return Work("`GridSearchCV`, boosting", run, n_fits, X, lambda: few.fit(X[:24], y[:24]))


def sent_bytes():
    """Return how many bytes processes of this machine have sent to each other by TCP."""
    counters = psutil.net_io_counters(pernic=True)
    if "lo" not in counters:
        raise SystemExit("This needs Linux, whose loopback interface counts its bytes.")
    return counters["lo"].bytes_sent


def measure(work, n_repetitions):
    """Return a row of the table, and the share of a core; repetitions alternate between the two."""
    seconds, sent, shares = np.empty((n_repetitions, 2)), [], []
    for own in seconds:
        begin, cpu = time.perf_counter(), time.process_time()
        alone = work.run()
        own[0] = time.perf_counter() - begin
        shares.append((time.process_time() - cpu) / own[0])
        before, begin = sent_bytes(), time.perf_counter()
        with joblib.parallel_config("dask"):
            shared = work.run()
        own[1] = time.perf_counter() - begin
        sent.append(sent_bytes() - before)
        pd.testing.assert_frame_equal(shared, alone)
    ratios = seconds[:, 0] / seconds[:, 1]
    one, two = np.median(seconds, axis=0)
    size = work.table.memory_usage(index=False).sum()
    row = {
        "work": work.name,
        "fits": work.n_fits,
        "one fit, s": f"{one / work.n_fits:.2f}",
        "one process, s": f"{one:.1f}",
        "2 workers, s": f"{two:.1f}",
        "ratio": f"{np.median(ratios):.2f}",
        "range": f"{ratios.min():.2f} to {ratios.max():.2f}",
        "target": f"{TARGET}",
        "met": "yes" if np.median(ratios) >= TARGET else "no",
        "table, MB": f"{size / 1e6:.2f}",
        "sent, MB": f"{np.median(sent) / 1e6:.2f}",
        "sent with every fit, MB": f"{work.n_fits * size / 1e6:.1f}",
    }
    return row, float(np.mean(shares))


def main(quick, n_repetitions):
    torch.set_num_threads(1)
    works = [make(quick) for make in (compare_networks, compare_forests, search_boosting)]
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    rows, shares = [], []
    with LocalCluster(**settings) as cluster, Client(cluster) as client:
        for work in works:
            work.warm()
            client.run(work.warm)  # imports, and the compiled loops of networks
            row, share = measure(work, n_repetitions)
            rows.append(row)
            shares.append(share)
            print(*(f"{name}: {value}" for name, value in row.items()), sep="; ", flush=True)
    print(f"The process alone had {np.mean(shares):.0%} of a core.")
    if not quick:
        PAGE.write_text(make_page(rows, np.mean(shares), n_repetitions), encoding="utf-8")


def make_page(rows, share, n_repetitions):
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return f"""\
# Clusters: fits on two workers of Dask

Measured on {date.today():%Y-%m-%d} on {os.cpu_count()} cores of {processor()}; alone, the process \
had {share:.0%} of a core. {versions}.

Independent fits in one process, and under `joblib.parallel_config("dask")` on two workers, each a \
process of the same machine with one thread. Times are wall time, medians of {n_repetitions} \
repetitions that run both in turn, after the workers have imported what they need. Each repetition \
checks that the results are the same. The target was {TARGET} times as fast, for fits of over a \
second. Reproduce with `python benchmarks/bench_clusters.py`.

{to_markdown(list(rows[0]), rows)}

`sent` is everything that the session, the scheduler and the workers sent to each other: tasks, \
results, and the table, which Dask passes on from the session to the scheduler, from there to a \
worker, and from worker to worker. It does not grow with the number of fits as it would if the \
table were sent with each of them (the last column).
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes; nothing is written")
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(arguments.quick, 1 if arguments.quick else arguments.repetitions)
