"""Make results/live.md: what following a device costs, and how long a window takes.

    python benchmarks/bench_live.py --data-home DIR           # minutes
    python benchmarks/bench_live.py --data-home DIR --quick   # nothing is written

DIR has `eegmat`, or it is downloaded there.
"""

import argparse
import itertools
import time
import tracemalloc
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from bench_features import describe_machine, to_markdown
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

import skemo
from skemo import DifferentialEntropyTransformer, HRVTransformer, Stream, segment
from skemo.datasets import fetch_eegmat

PAGE = Path(__file__).parent / "results" / "live.md"
RATE, DURATION = 500, 10.0  # Hz, seconds
SUBJECTS = ["00", "01", "02"]
N_CHANNELS = {"eeg": 19, "ecg": 1}
ENOUGH, SOON = 180, 50  # CPU-seconds for an hour; milliseconds to a class


class Nothing:
    """A model that costs nothing."""

    def predict(self, X):
        return np.zeros(len(X))


def make_models(windows):
    """Models as in the table of `eegmat`, fitted; their weights do not change their cost."""
    y = windows["label"]
    svm = skemo.make_svm(
        skemo.make_modality_transformer(ecg=HRVTransformer(), eeg=DifferentialEntropyTransformer())
    )
    network = make_pipeline(
        skemo.make_modality_transformer(
            ecg=HRVTransformer("series"), eeg=DifferentialEntropyTransformer("map")
        ),
        skemo.ModalityAwareAttentionClassifier(max_epochs=2, device="cpu", random_state=0),
    )
    raw = make_pipeline(
        skemo.make_modality_transformer(
            ecg=skemo.ResampleTransformer(128), eeg=skemo.ResampleTransformer(128)
        ),
        skemo.CrossModalAttentionClassifier(max_epochs=1, device="cpu", random_state=0),
    )
    return {
        "no model": Nothing(),
        "SVM": svm.fit(windows, y),
        "modality-aware network": network.fit(windows, y),
        "cross-modal network": raw.fit(windows, y),
    }


def endless(recording, n_samples):
    """Yield chunks of `n_samples` of a recording, over and over."""
    whole = recording.signals["ecg"].shape[1] // n_samples * n_samples
    for begin in itertools.cycle(range(0, whole, n_samples)):
        yield {name: recording.signals[name][:, begin : begin + n_samples] for name in N_CHANNELS}


def make_stream(model, step, quality):
    rates = dict.fromkeys(N_CHANNELS, RATE)
    kinds = None if quality else {}
    channels = None if not isinstance(model, Nothing) else N_CHANNELS
    return Stream(model, DURATION, step, sampling_rates=rates, channels=channels, quality=kinds)


def measure_hour(model, recording, step, n_samples, quality, seconds):
    """CPU-seconds for an hour of signals, from `seconds` of them, without waiting."""
    stream = make_stream(model, step, quality)
    n_chunks = round(seconds * RATE / n_samples)
    n_windows = 0
    begin = time.process_time()
    for chunks in itertools.islice(endless(recording, n_samples), n_chunks):
        n_windows += len(stream.push(**chunks))
    used = time.process_time() - begin
    assert n_windows == int((seconds - DURATION) / step) + 1
    return used * 3600 / seconds


def measure_latency(model, recording, quality, n_windows):
    """Milliseconds from the last sample of a window to its class, in real time."""
    stream = make_stream(model, 1.0, quality)
    stream.push(**{name: recording.signals[name][:, : round(9.5 * RATE)] for name in N_CHANNELS})
    n_samples = RATE // 20
    found, own = [], []
    source = endless(recording, n_samples)
    due = time.perf_counter()
    while len(found) < n_windows:
        chunks = next(source)
        due += n_samples / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        begin, used = time.perf_counter(), time.process_time()
        if len(stream.push(**chunks)):
            found.append(1e3 * (time.perf_counter() - begin))
            own.append(1e3 * (time.process_time() - used))
    return np.array(found), np.array(own)


def measure_memory(recording):
    """Megabytes that a stream keeps while one of its two signals never arrives."""
    stream = make_stream(Nothing(), DURATION, False)
    tracemalloc.start()
    for chunks in itertools.islice(endless(recording, 250), 1200):  # ten minutes
        stream.push(eeg=chunks["eeg"])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / 1e6


def main(data_home, quick):
    torch.set_num_threads(1)
    recordings = fetch_eegmat(Path(data_home) / "eegmat", subjects=SUBJECTS)
    recording = max(recordings, key=lambda one: one.duration)
    n_channels = {name: len(signal) for name, signal in recording.signals.items()}
    assert n_channels == N_CHANNELS, n_channels
    models = make_models(segment(recordings, DURATION))
    wall, own = time.perf_counter(), time.process_time()
    rows = []
    # A model, whether quality is measured, seconds between windows, samples in a chunk.
    cases = [
        ("no model", False, 10, 25),
        ("no model", False, 1, 25),
        ("no model", False, 10, 1),
        ("no model", True, 10, 25),
        *((name, True, step, 25) for name in list(models)[1:] for step in (10, 1)),
    ]
    for name, quality, step, n_samples in cases:
        # A whole hour where it is the claim, five minutes of it otherwise.
        seconds = 3600 if step == 10 and n_samples == 25 else 300
        seconds = 60 if quick else seconds
        used = measure_hour(models[name], recording, step, n_samples, quality, seconds)
        rows.append(
            {
                "model": name,
                "quality": "measured" if quality else "–",
                "a window every": f"{step} s",
                "samples in a chunk": n_samples,
                "from": f"{seconds // 60} min",
                "CPU-s for an hour": f"{used:.1f}",
                "of one core": f"{used / 36:.2f} %",
            }
        )
        print(*rows[-1].values(), flush=True)
    share = (time.process_time() - own) / (time.perf_counter() - wall)
    latencies = []
    for name, quality in itertools.product(list(models)[1:], (False, True)):
        found, used = measure_latency(models[name], recording, quality, 3 if quick else 30)
        latencies.append(
            {
                "model": name,
                "quality": "measured" if quality else "–",
                "windows": len(found),
                "median": f"{np.median(found):.1f} ms",
                "95th percentile": f"{np.percentile(found, 95):.1f} ms",
                "longest": f"{found.max():.1f} ms",
                "CPU, median": f"{np.median(used):.1f} ms",
            }
        )
        print(*latencies[-1].values(), flush=True)
    memory = measure_memory(recording)
    print(f"{memory:.1f} MB; share of the core {share:.2f}")
    if not quick:
        PAGE.write_text(make_page(rows, latencies, memory, share), encoding="utf-8")


def make_page(rows, latencies, memory, share):
    loops = f"Numba {version('numba')}" if find_spec("numba") else "no Numba"
    return f"""\
# Live: what following a device costs

{describe_machine(share)}

A recording of `eegmat` (19 EEG channels and an ECG, {RATE} Hz) is pushed into a `Stream` of \
{DURATION:g}-second windows, over and over. The models are fitted on only three people, since \
their weights do not change their cost: the SVM on heart-rate variability and differential \
entropy, the modality-aware network on RR series and entropy maps, and the cross-modal network on \
both signals at 128 Hz, all with default settings. Reproduce with `python benchmarks/bench_live.py \
--data-home DIR`.

## An hour of signals

CPU time, without waiting between chunks, in one process with one thread. The first rows are the \
stream alone, without a model. The target was less than {ENOUGH} CPU-seconds, which is 5 % of one \
core. Shorter measurements are scaled up to an hour.

{to_markdown(list(rows[0]), rows)}

## From the last sample to the class

Wall time of the `push` that completes a window, in real time, with chunks of 50 ms and a window \
every second. The target was {SOON} ms. Where the process had only part of its core (see above), \
its CPU time, and not the wall time, estimates what a window takes on a core of its own. Networks \
used {loops}. To predict one window, a network computes a block of windows, so that the result \
does not depend on how many windows are predicted together.

{to_markdown(list(latencies[0]), latencies)}

## Memory

A stream whose ECG never arrives keeps {memory:.1f} MB after ten minutes. A window of the EEG is \
{4 * 19 * RATE * DURATION / 1e6:.2f} MB.
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-home", required=True)
    parser.add_argument("--quick", action="store_true", help="less of everything, not written")
    arguments = parser.parse_args()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(arguments.data_home, arguments.quick)
