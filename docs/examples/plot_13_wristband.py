"""
From a wristband to heart rate and skin conductance
===================================================

This example reads the folder of an Empatica E4 (:func:`skemo.io.read_empatica_e4`), finds the
heartbeats in its pulse, and compares them with the intervals that the wristband computed itself.
Every signal has its own start and rate; nothing is resampled.

With the environment variable ``SKEMO_DATA``, the path of a folder that contains the data set
`Stress-Predict <https://github.com/italha-d/Stress-Predict-Dataset>`_ as ``stress_predict``, the
example uses the recording of its subject S02. Otherwise it writes a simulated session of half an
hour first.
"""

import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import skemo
import skemo.io


def write_session(folder):
    """Write half an hour of a resting heart that speeds up, as the wristband would."""
    rng = np.random.default_rng(0)
    intervals = np.linspace(0.95, 0.7, 2400) + rng.normal(0, 0.02, 2400)
    beats = np.cumsum(intervals)
    seconds = np.arange(1800 * 64) / 64
    since_beat = seconds - beats[np.searchsorted(beats, seconds, side="right") - 1]
    signals = {
        "BVP": (64, 50 * np.exp(-(((since_beat - 0.2) / 0.08) ** 2))),
        "EDA": (4, np.linspace(1.5, 3, 7200) + rng.normal(0, 0.05, 7200).cumsum() / 10),
    }
    for name, (rate, samples) in signals.items():
        np.savetxt(folder / f"{name}.csv", [1714555800, rate, *samples], "%.4f")
    lines = [f"{beat:.6f},{interval:.6f}" for beat, interval in zip(beats, intervals, strict=True)]
    (folder / "IBI.csv").write_text("\n".join(["1714555800.0, IBI", *lines[:2080]]) + "\n")
    (folder / "tags.csv").write_text("1714556400.00\n1714557000.00\n")


if os.environ.get("SKEMO_DATA"):
    folder = Path(os.environ["SKEMO_DATA"]) / "stress_predict" / "Raw_data" / "S02"
else:
    print("SKEMO_DATA is not set: the session is simulated.")
    folder = Path(tempfile.mkdtemp())
    write_session(folder)

recording = skemo.io.read_empatica_e4(folder, subject="S02", modalities=("ppg", "eda"))
print(recording)

# %%
# Heartbeats are found in the whole recording. Where the wrist moves, the pulse shows none, and no
# interval is taken across such a stretch: windows of a minute with too few intervals are missing.

recording = skemo.find_beats(recording, name="ppg", signal="ppg")
windows = skemo.segment(recording, duration=60.0)


def heart_rate(column):
    """Beats per minute in each window, from the beats in a column."""
    hrv = skemo.HRVTransformer(signal="beats", features=["HRV_MeanNN"])
    return 60_000 / hrv.fit_transform(windows[[column]])[:, 0]


rates = pd.DataFrame({"skemo": heart_rate("beats"), "wristband": heart_rate("ibi")})
difference = (rates["skemo"] - rates["wristband"]).abs().median()
print(f"median difference: {difference:.2f} beats per minute")

# %%
# The button of the wristband was pressed at the vertical lines.

tags = skemo.io.read_e4_tags(folder)
pressed = (tags - recording.start_time).total_seconds() / 60
minutes = (windows["start"] + 30) / 60
figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(8, 5), layout="constrained")
top.plot(minutes, rates["wristband"], ".-", color="0.6", label="wristband")
top.plot(minutes, rates["skemo"], ".-", label="skemo")
top.set_ylabel("heart rate (1/min)")
top.legend()
eda = recording.signals["eda"][0]
start = recording.starts["eda"]
bottom.plot((start + np.arange(len(eda)) / 4) / 60, eda)
bottom.set(xlabel="time (min)", ylabel="skin conductance (µS)")
for axes in (top, bottom):
    for minute in pressed:
        axes.axvline(minute, color="0.8", zorder=0)
plt.show()
