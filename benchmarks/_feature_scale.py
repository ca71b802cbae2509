"""Time and memory of the transformers against the size of a memory-mapped input."""

import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _feature_data import simulate_beats, simulate_ecg, simulate_eda, simulate_eeg

import skemo

DIMENSIONS = ("windows", "channels", "samples")
_N_UNLIKE = 50  # windows simulated; the file repeats them
_POLL = 0.002  # s, between two looks at the memory


class Case(NamedTuple):
    make: object
    rate: float
    n_channels: int
    n_times: int
    growing: tuple  # along which the input may grow


CASES = {
    "DifferentialEntropyTransformer": Case(
        skemo.DifferentialEntropyTransformer, 128, 14, 1280, DIMENSIONS
    ),
    "HRVTransformer, all features": Case(
        lambda: skemo.HRVTransformer(features="all"),
        *(256, 1, 2560, ("windows", "samples")),
    ),
    "EDATransformer, 4 Hz": Case(skemo.EDATransformer, 4, 1, 240, ("windows", "samples")),
    "EDATransformer, 128 Hz": Case(skemo.EDATransformer, 128, 1, 7680, ("windows", "samples")),
    "EDATransformer by cvxEDA, 4 Hz": Case(
        lambda: skemo.EDATransformer(method="cvxeda"), 4, 1, 240, ("windows", "samples")
    ),
    "ResampleTransformer, to 64 Hz": Case(
        lambda: skemo.ResampleTransformer(rate=64), 128, 14, 1280, DIMENSIONS
    ),
}


def measure_scale(windows):
    """Each line is a fresh process that maps a file of windows into memory (float32; 50 unlike
    windows, repeated), makes a frame of it, and runs `fit` and `transform`; up to three times
    within 5 s, of which the shortest counts. “MB above” is the most memory that it held while
    doing so, above what it held before, the result not counted: memory of its own, not the pages
    of the file. The slope is the exponent of the size in the time of the
    whole, fitted from the first line to this one: 1 is linear.

    Yields
    ------
    dict
        A row of the table.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, case in CASES.items():
            n_windows = windows[0]
            for dimension in case.growing:
                base = {"windows": n_windows, "channels": case.n_channels, "samples": case.n_times}
                sizes = [base[dimension] * factor for factor in (1, 2, 4)]
                if dimension == "windows":
                    sizes = windows
                times = []
                for size in sizes:
                    shape = tuple((base | {dimension: size}).values())
                    path = write_windows(Path(folder) / "windows.npy", case, shape)
                    seconds, above = run_apart(name, path)
                    path.unlink()
                    times.append(seconds)
                    yield {
                        "transformer": name,
                        **dict(zip(DIMENSIONS, (f"{n:,}" for n in shape), strict=True)),
                        "ms a window": f"{1e3 * seconds / shape[0]:.4g}",
                        "MB above": "not measured" if above is None else f"{above / 1e6:.1f}",
                        "slope": fit_slope(sizes, times),
                    }


def fit_slope(sizes, times):
    if len(times) == 1:
        return ""
    return f"{np.polyfit(np.log(sizes[: len(times)]), np.log(times), 1)[0]:.2f}"


def write_windows(path, case, shape):
    n_windows, n_channels, n_times = shape
    duration = n_times / case.rate
    if case.n_channels > 1:
        block = simulate_eeg(_N_UNLIKE, n_channels, n_times)
    elif case.rate == 256:
        block = simulate_ecg(simulate_beats(_N_UNLIKE, duration), duration, case.rate)
    else:
        block = simulate_eda(_N_UNLIKE, duration, case.rate)
    block = block.reshape(_N_UNLIKE, n_channels, n_times).astype(np.float32)
    file = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    for start in range(0, n_windows, _N_UNLIKE):
        part = file[start : start + _N_UNLIKE]
        part[:] = block[: len(part)]
    file.flush()
    return path


def run_apart(name, path):
    """Seconds, and bytes above input and output, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_transform, args=(name, path, there))
    process.start()
    there.close()
    here.recv()  # all is loaded
    before = peak = own_memory(process.pid)
    here.send(None)
    while not here.poll(_POLL):
        peak = peak and max(peak, own_memory(process.pid))
    seconds, n_result = here.recv()
    process.join()
    return seconds, peak and peak - before - n_result


def _transform(name, path, connection):
    case = CASES[name]
    values = np.load(path, mmap_mode="r")
    frame = skemo.signal_frame(x=skemo.SignalArray(values, sampling_rate=case.rate))
    case.make().fit_transform(frame.iloc[:2])  # loads what is loaded on first use
    transformer = case.make()
    connection.send(None)
    connection.recv()
    seconds, result = [], None
    while not seconds or (len(seconds) < 3 and sum(seconds) < 5):
        del result
        start = time.perf_counter()
        result = transformer.fit(frame).transform(frame)
        seconds.append(time.perf_counter() - start)
    n_bytes = result.nbytes if isinstance(result, np.ndarray) else result["x"].array.nbytes
    connection.send((min(seconds), n_bytes))


def own_memory(pid):
    """Bytes that a process holds, without mapped files; None where Linux does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("RssAnon")), None)
    return None if line is None else int(line.split()[1]) * 1024
