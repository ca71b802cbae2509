"""Make results/heartbeats.md: the accuracy of heartbeats in clean and noisy recordings.

    python benchmarks/bench_heartbeats.py --data-home DIR --against OTHER

DIR holds `mitdb` (records 100, 106 and 119 of the MIT-BIH Arrhythmia Database), `eegmat` and
`stress_predict`; OTHER is another checkout of skemo, such as one made with `git worktree add`, to
measure side by side. This takes a quarter of an hour on one core.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from _feature_data import simulate_beats, simulate_ecg
from comparisons import describe_machine, to_markdown

from skemo import HRVTransformer, find_beats, segment
from skemo.kernels.hrv import hrv_time, rr_intervals

PAGE = Path(__file__).parent / "results" / "heartbeats.md"
RECORDS = ("100", "106", "119")
TOLERANCE = 0.05  # s between a beat and its annotation
FAR = 0.25  # of the true RMSSD
REPETITIONS = 5
BEATS = "NLRBAaJSVrFejnE/fQ?"  # annotations of the database that are beats


def load_record(data_home, name):
    """ECG in mV, sampling rate, seconds of the annotated beats, and which are ventricular."""
    folder = Path(data_home) / "mitdb"
    if (folder / f"{name}.npz").exists():
        record = np.load(folder / f"{name}.npz")
        return record["ecg"], 360, record["beats"] / 360, np.isin(record["beats"], record["pvc"])
    import wfdb

    path = str(folder / name)
    record, annotation = wfdb.rdrecord(path), wfdb.rdann(path, "atr")
    symbols = np.array(annotation.symbol)
    beats = np.isin(symbols, list(BEATS))
    ventricular = symbols[beats] == "V"
    return record.p_signal[:, 0], record.fs, annotation.sample[beats] / record.fs, ventricular


def electrode_motion(n_times, sampling_rate, seed=0):
    """Noise of variance 1 like that of a moving electrode: slow wandering, and decaying steps.

    Its spectrum falls with frequency and ends at 12 Hz; steps that rise within 10 to 50 ms come
    every 1.5 s on average, and decay within 0.05 to 0.6 s.
    """
    rng = np.random.default_rng(seed)
    frequencies = np.fft.rfftfreq(n_times, 1 / sampling_rate)
    spectrum = rng.normal(size=len(frequencies)) + 1j * rng.normal(size=len(frequencies))
    spectrum /= np.maximum(frequencies, 0.3) * (1 + (frequencies / 12) ** 4)
    wander, steps = np.fft.irfft(spectrum, n_times), np.zeros(n_times)
    start = rng.exponential(1.5)
    while start < n_times / sampling_rate:
        decay, rise = rng.uniform(0.05, 0.6), rng.uniform(0.01, 0.05)
        first = int(start * sampling_rate)
        since = np.arange(min(int(5 * decay * sampling_rate), n_times - first)) / sampling_rate
        step = (1 - np.exp(-since / rise)) * np.exp(-since / decay)
        steps[first : first + len(since)] += 2 * rng.normal() * step
        start += rng.exponential(1.5)
    noise = wander / wander.std() + steps / steps.std()
    return noise / noise.std()


def add_motion(ecg, sampling_rate, beats, decibels):
    """ECG with electrode motion, at a ratio defined as in the Noise Stress Test Database."""
    near = (beats[5:300, np.newaxis] + np.linspace(-0.05, 0.05, 37)) * sampling_rate
    heights = np.ptp(ecg[np.rint(near).astype(int)], axis=1)
    power = np.median(heights) ** 2 / 8 / 10 ** (decibels / 10)
    return ecg + np.sqrt(power) * electrode_motion(len(ecg), sampling_rate)


def in_windows(beats, duration, n_windows):
    table = np.full((n_windows, int(duration / 0.3) + 1), np.nan)
    for i, row in enumerate(table):
        inside = beats[(beats >= i * duration) & (beats < (i + 1) * duration)] - i * duration
        row[: len(inside)] = inside
    return table


def score(found, truth):
    """Sensitivity and precision of the beats in windows."""
    n_hits = n_found = n_true = 0
    for row, true in zip(found, truth, strict=True):
        row, true = row[~np.isnan(row)], true[~np.isnan(true)]
        n_found, n_true = n_found + len(row), n_true + len(true)
        if len(row) and len(true):
            nearest = np.abs(true[:, np.newaxis] - row).argmin(axis=1)
            n_hits += len(np.unique(nearest[np.abs(row[nearest] - true) <= TOLERANCE]))
    return n_hits / n_true, n_hits / max(1, n_found)


def rmssd(beats, min_beats=4):
    rr = rr_intervals(beats)
    value = hrv_time(rr)["HRV_RMSSD"]
    return np.where(np.isfinite(rr).sum(axis=1) >= min_beats - 1, value, np.nan)


def dump(data_home, path):
    """Save what this checkout finds, for a comparison with another."""
    from skemo import Recording
    from skemo.datasets import fetch_eegmat, fetch_stress_predict
    from skemo.kernels.heartbeats import r_peaks

    results = {}
    for name in RECORDS:
        clean, rate, truth, _ = load_record(data_home, name)
        for decibels in (None, 6, 0):
            ecg = clean if decibels is None else add_motion(clean, rate, truth, decibels)
            for duration in (10, 30):
                n = int(duration * rate)
                windows = ecg[: len(ecg) // n * n].reshape(-1, n)
                results[f"{name} {decibels} {duration}"] = r_peaks(windows, rate)
            recording = find_beats(Recording({"ecg": ecg}, {"ecg": rate}, subject=name))
            results[f"{name} {decibels} whole"] = recording.beats["beats"]
    for name, fetch, column, signal, seconds in (
        ("eegmat", fetch_eegmat, "ecg", "ecg", 10.0),
        ("stress_predict", fetch_stress_predict, "ppg", "ppg", 60.0),
    ):
        recordings = fetch(Path(data_home) / name, download=False, modalities=(column,))
        hrv = {"features": ["HRV_MeanNN", "HRV_RMSSD"]}
        results[name] = HRVTransformer(signal=signal, **hrv).fit_transform(
            segment(recordings, seconds)[[column]]
        )
        found = [find_beats(each, name=column, signal=signal) for each in recordings]
        results[f"{name} whole"] = HRVTransformer(signal="beats", **hrv).fit_transform(
            segment(found, seconds)[["beats"]]
        )
    np.savez(path, **results)


def time_once(path):
    """Save the process time of this checkout for several kinds of windows, in seconds."""
    import time

    from skemo import Recording
    from skemo.kernels.heartbeats import r_peaks

    ecg = {
        seconds: simulate_ecg(simulate_beats(n, seconds), seconds, 256)
        for seconds, n in ((10, 1000), (60, 150))
    }
    pulse = ecg[10][:, ::4].cumsum(axis=1)
    pulse = pulse - pulse.mean(axis=1, keepdims=True)
    whole = Recording({"ecg": ecg[60].ravel()}, {"ecg": 256}, subject="A")
    works = {
        "ECG, 10 s at 256 Hz": (lambda: r_peaks(ecg[10], 256), 1000),
        "ECG, 60 s at 256 Hz": (lambda: r_peaks(ecg[60], 256), 150),
        "pulse, 10 s at 64 Hz": (lambda: r_peaks(pulse, 64, signal="ppg"), 1000),
        "`find_beats` of an ECG, per minute": (lambda: find_beats(whole), 150),
    }
    seconds = {}
    for name, (work, n) in works.items():
        work()
        best = np.inf
        for _ in range(3):
            start = time.process_time()
            work()
            best = min(best, time.process_time() - start)
        seconds[name] = best / n
    np.savez(path, **seconds)


def in_checkout(checkout, what, data_home):
    """Run `dump` or `time_once` with the skemo of a checkout."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.npz"
        environment = {**os.environ, "PYTHONPATH": str(Path(checkout).resolve())}
        command = [sys.executable, __file__, "--data-home", str(data_home)]
        subprocess.run([*command, f"--{what}", str(path)], env=environment, check=True)
        with np.load(path) as results:
            return dict(results)


def accuracy_rows(data_home, found):
    rows = []
    for name in RECORDS:
        ecg, rate, truth, _ = load_record(data_home, name)
        for decibels in (None, 6, 0):
            for part in ("10", "30", "whole"):
                if part == "whole":
                    true = truth[np.newaxis]
                    scores = [
                        score(each[f"{name} {decibels} whole"][np.newaxis], true) for each in found
                    ]
                    far = ["", ""]
                else:
                    n_windows = len(ecg) // int(int(part) * rate)
                    true = in_windows(truth, int(part), n_windows)
                    tables = [each[f"{name} {decibels} {part}"] for each in found]
                    scores = [score(table, true) for table in tables]
                    far = [far_off(table, true) for table in tables]
                rows.append(
                    {
                        "record": name,
                        "noise": "none" if decibels is None else f"{decibels} dB",
                        "windows": part if part == "whole" else f"{part} s",
                        **dict(
                            zip(("Se", "Se before"), (f"{s[0]:.4f}" for s in scores), strict=True)
                        ),
                        **dict(
                            zip(("P", "P before"), (f"{s[1]:.4f}" for s in scores), strict=True)
                        ),
                        **dict(zip(("RMSSD far off", "far off before"), far, strict=True)),
                    }
                )
    return rows


def far_off(table, true):
    values, right = rmssd(table), rmssd(true)
    with np.errstate(invalid="ignore"):
        off = np.abs(values / right - 1) > FAR
    return f"{off.sum()} of {len(off)}, {np.isnan(values).sum()} missing"


def change_rows(now, before):
    rows = []
    for name in ("eegmat", "eegmat whole", "stress_predict", "stress_predict whole"):
        values, old = now[name], before[name]
        missing, was_missing = np.isnan(values[:, 1]), np.isnan(old[:, 1])
        both = ~missing & ~was_missing
        ratio = np.abs(np.log(np.maximum(values[both], 1e-9) / np.maximum(old[both], 1e-9)))
        rows.append(
            {
                "windows": name.replace(" whole", ", by `find_beats`"),
                "number": len(values),
                "missing": missing.sum(),
                "missing before": was_missing.sum(),
                "MeanNN changed by over 1 %": (ratio[:, 0] > 0.01).sum(),
                "RMSSD changed by over 10 %": (ratio[:, 1] > 0.1).sum(),
                "RMSSD changed by over a half": (ratio[:, 1] > np.log(1.5)).sum(),
                "median RMSSD": f"{np.nanmedian(values[:, 1]):.1f}",
                "median RMSSD before": f"{np.nanmedian(old[:, 1]):.1f}",
            }
        )
    return rows


def correction_rows(data_home):
    from skemo.kernels.beat_correction import classify_beats, correct_beats

    rows = []
    for name in RECORDS:
        _, _, beats, ventricular = load_record(data_home, name)
        windows = in_windows(beats, 300, int(beats[-1] // 300))
        corrected = correct_beats(np.pad(windows, ((0, 0), (0, 200)), constant_values=np.nan))
        kinds = classify_beats(beats[np.newaxis])[0]
        normal = np.pad(~ventricular[1:] & ~ventricular[:-1], (0, 1))
        sinus = np.where(normal[:-1], np.diff(beats), np.nan)[np.newaxis] * 1000
        values = [hrv_time(rr_intervals(each)) for each in (windows, corrected)]
        rows.append(
            {
                "record": name,
                "beats": len(beats),
                "ventricular": ventricular.sum(),
                "ventricular beats labelled abnormal": f"{(kinds[ventricular] > 0).mean():.0%}"
                if ventricular.any()
                else "",
                "other beats labelled abnormal": f"{(kinds[~ventricular] > 0).mean():.0%}",
                "RMSSD": f"{np.median(values[0]['HRV_RMSSD']):.0f} ms",
                "RMSSD, corrected": f"{np.median(values[1]['HRV_RMSSD']):.0f} ms",
                "RMSSD, sinus intervals only": f"{hrv_time(sinus)['HRV_RMSSD'][0]:.0f} ms",
                "MeanNN": f"{np.median(values[0]['HRV_MeanNN']):.0f} ms",
                "MeanNN, corrected": f"{np.median(values[1]['HRV_MeanNN']):.0f} ms",
            }
        )
    return rows


def time_rows(data_home, here, against):
    seconds = [
        [in_checkout(checkout, "time", data_home) for checkout in (here, against)]
        for _ in range(REPETITIONS)
    ]
    rows = []
    for name in seconds[0][0]:
        now, before = (np.array([float(pair[i][name]) for pair in seconds]) for i in (0, 1))
        rows.append(
            {
                "work": name,
                "ms": f"{1e3 * np.median(now):.4f}",
                "ms before": f"{1e3 * np.median(before):.4f}",
                "ratio": f"{np.median(now / before):.2f}",
            }
        )
    return rows


def table(rows):
    return to_markdown(pd.DataFrame(rows))


def main(data_home, against):
    here = Path(__file__).resolve().parents[1]
    now, before = (in_checkout(each, "dump", data_home) for each in (here, against))
    PAGE.write_text(
        "\n\n".join(
            [
                "# Heartbeats: right or missing",
                describe_machine().strip(),
                "“Before” is the checkout given with `--against`. Reproduce with `python "
                "benchmarks/bench_heartbeats.py --data-home DIR --against OTHER`.",
                "## Annotated beats",
                "Records of the MIT-BIH Arrhythmia Database (first lead), whole or cut into "
                "windows: sensitivity (Se) and precision (P) at ±50 ms, the number of windows "
                "whose RMSSD is wrong by more than a quarter, and the number of missing windows. "
                "The noise is simulated electrode motion: slow wandering, and steps that decay. "
                "Its spectrum falls with frequency and ends at 12 Hz; steps that rise within 10 to "
                "50 ms come every 1.5 s on average, and decay within 0.05 to 0.6 s. Its level is "
                "defined as in the MIT-BIH Noise Stress Test Database.",
                table(accuracy_rows(data_home, (now, before))),
                "## Recorded data sets",
                table(change_rows(now, before)),
                "## Correction of beats",
                "Effect of `correct_beats` on annotated beats, as medians over windows of five "
                "minutes. Ventricular beats are real, not errors of detection. Intervals under "
                "300 ms and over 2000 ms are left out.",
                table(correction_rows(data_home)),
                "## Time",
                f"Process time per window: medians of {REPETITIONS} runs of each checkout in "
                "turn, each the best of three repetitions.",
                table(time_rows(data_home, here, against)),
            ]
        )
        + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", required=True)
    parser.add_argument("--against", help="another checkout of skemo")
    parser.add_argument("--dump", help=argparse.SUPPRESS)
    parser.add_argument("--time", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.dump:
        dump(args.data_home, args.dump)
    elif args.time:
        time_once(args.time)
    else:
        main(args.data_home, args.against)
