"""
From CSV files to a report
==========================

This example starts from your own recordings. Each person has a file, such as ``S01.csv``, with the
columns ``time`` in seconds, ``ecg``, ``eda`` and ``label``, which is empty for times to leave out.
Files of many devices are read the same way; see :doc:`the guide </guide/own_data>`.

To make the example run, it first writes files with simulated signals. With files of your own, start
at the next section.
"""

import tempfile

import numpy as np

from skemo.datasets import make_emotion_recordings

folder = tempfile.mkdtemp()
simulated = make_emotion_recordings(
    n_subjects=8,
    n_trials=4,
    modalities=("ecg", "eda"),
    sampling_rates={"ecg": 64, "eda": 64},
    effect_size=0.5,
    random_state=0,
)
for i in range(0, len(simulated), 4):
    ecg, eda = (
        np.concatenate([one.signals[name][0] for one in simulated[i : i + 4]])
        for name in ("ecg", "eda")
    )
    labels = np.repeat([one.labels[0][2] for one in simulated[i : i + 4]], len(ecg) // 4)
    rows = zip(np.arange(len(ecg)) / 64, ecg, eda, labels, strict=True)
    with open(f"{folder}/S{i // 4:02d}.csv", "w", encoding="utf-8") as file:
        file.write("time,ecg,eda,label\n")
        file.writelines(f"{t:.6f},{a:.4f},{b:.4f},{label}\n" for t, a, b, label in rows)

# %%
# This is the script, from the files to a report:

# begin
from pathlib import Path

from sklearn.pipeline import make_pipeline

import skemo.io


def read(path):
    recording = skemo.io.read_csv(path, time="time", signals=["ecg", "eda"], label="label")
    return skemo.decompose_eda(recording)


windows = skemo.segment(map(read, sorted(Path(folder).glob("*.csv"))), duration=30.0)
features = skemo.make_modality_transformer(
    ecg=skemo.HRVTransformer(),
    eda=skemo.EDATransformer(signal="components"),
    subject="passthrough",
)
own = make_pipeline(features, skemo.PerSubject())
models = {"SVM": skemo.make_svm(own), "LDA": skemo.make_lda(own)}
X, y = windows[["ecg", "eda", "subject"]], windows["label"]
comparison = skemo.compare(models, X, y, groups=windows, controls=["majority"])
report = skemo.write_report(comparison, f"{folder}/report.html", title="Calm or aroused?")
# end

# %%
# The report is one HTML file with tables, tests and figures, and opens in any browser. Its table
# of scores is:

print(f"{report.name}: {report.stat().st_size // 1000} kB")
print(comparison)

# %%

import matplotlib.pyplot as plt

skemo.SubjectScoresDisplay.from_comparison(comparison)
plt.show()
