"""Make results/onnx.md: milliseconds a window of networks in ONNX Runtime, and sizes of files.

    python benchmarks/bench_onnx.py
    python benchmarks/bench_onnx.py --repeats 50   # a quick look; nothing is written

Needs the extra `onnx`, and onnxruntime. The networks have their default sizes; how well they
predict does not matter here, so they are trained for one epoch.
"""

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from bench_features import describe_machine, to_markdown
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

import skemo
from skemo.datasets import make_emotion_recordings

PAGE = Path(__file__).parent / "results" / "onnx.md"
REPEATS = 2000
TEXT = (
    "Networks of default size predict one window at a time, as an application on a device "
    "would: medians of single calls, in processor time. **Measured on one core of this x86 "
    "machine, not on a phone or a single-board computer.** The windows are those of the "
    "quickstart (10 s): RR series and differential-entropy maps for the modality-aware network, "
    "ECG at 32 Hz and skin conductance at 4 Hz for the cross-modal one. The computation of the "
    "features before the network is not included. “Difference” is the largest difference "
    "between the probabilities of ONNX Runtime and of skemo over all windows. Reproduce with "
    "`python benchmarks/bench_onnx.py`."
)


def networks():
    """Yield a name and a pipeline for each network."""
    yield (
        "modality-aware",
        skemo.make_modality_transformer(
            ecg=skemo.HRVTransformer(output="series"),
            eeg=skemo.DifferentialEntropyTransformer(output="map", sub_windows=5),
        ),
        skemo.ModalityAwareAttentionClassifier,
    )
    yield (
        "cross-modal",
        skemo.make_modality_transformer(
            ecg=skemo.ResampleTransformer(rate=32, band=(0.5, None), standardize=True),
            eda=skemo.ResampleTransformer(rate=4),
        ),
        skemo.CrossModalAttentionClassifier,
    )


def milliseconds(call, n_repeats):
    """Return the median processor time of a call."""
    times = []
    for _ in range(n_repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1000 * float(np.median(times))


def measure(n_repeats):
    recordings = make_emotion_recordings(n_subjects=6, random_state=0)
    windows = skemo.segment(map(skemo.decompose_eda, recordings), duration=10.0)
    y = windows["label"].to_numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for name, features, make in networks():
            for n_members in (1, 5):
                network = make(n_members=n_members, max_epochs=1, random_state=0, device="cpu")
                model = make_pipeline(features, network).fit(windows, y)
                skemo.save(network, path / "network.skemo")
                skemo.export_onnx(network, path / "network.onnx")
                table = model[:-1].transform(windows)
                arrays = {key: table[key].array.values.astype(np.float32) for key in table}
                session = onnxruntime.InferenceSession(path / "network.onnx", options)
                found = session.run(None, arrays)[0]
                one = {key: values[:1] for key, values in arrays.items()}
                exported = milliseconds(lambda: session.run(None, one), n_repeats)  # noqa: B023
                first = table[:1]
                own = milliseconds(lambda: network.predict_proba(first), n_repeats // 10)  # noqa: B023
                rows.append(
                    {
                        "network": name,
                        "members": n_members,
                        "ONNX Runtime, ms a window": f"{exported:.2f}",
                        "skemo, ms a window": f"{own:.1f}",
                        "ONNX file": f"{(path / 'network.onnx').stat().st_size / 1000:.0f} kB",
                        "skemo file": f"{(path / 'network.skemo').stat().st_size / 1000:.0f} kB",
                        "difference": f"{np.abs(found - network.predict_proba(table)).max():.0e}",
                    }
                )
    return rows


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    wall, own = time.perf_counter(), time.process_time()
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        rows = measure(args.repeats)
        share = (time.process_time() - own) / (time.perf_counter() - wall)
        about = describe_machine(share)
    runtime = f"ONNX Runtime {onnxruntime.__version__}"
    table = to_markdown(list(rows[0]), rows)
    page = f"# Networks in ONNX Runtime\n\n{about} {runtime}.\n\n{TEXT}\n\n{table}\n"
    print(page)
    if args.repeats == REPEATS:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
