"""
A modality that is sometimes missing
====================================

Electrodes come off. Here, a network trained on complete windows is tested on windows without the
ECG, and on windows without the EEG. A modality that is missing from a window is replaced by zeros
and has an attention weight of zero, so the class scores come from the other modality.

By default, a network never meets such windows in training. With ``modality_dropout`` it does: each
modality of each training window is dropped with that probability. Measure on your own data whether
this helps, and what it costs when nothing is missing. This example, with ten simulated people of
whom three are tested, shows how.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline

import skemo
from skemo.datasets import make_emotion_recordings

recordings = make_emotion_recordings(
    n_subjects=10, n_trials=4, effect_size=0.5, modalities=("ecg", "eeg"), random_state=0
)
windows = skemo.segment(recordings, duration=15.0)
tested = windows["subject"].isin(windows["subject"].unique()[-3:])

X = windows[["ecg", "eeg", "subject"]]
inputs = skemo.make_modality_transformer(
    ecg=skemo.HRVTransformer(output="series"),
    eeg=skemo.DifferentialEntropyTransformer(output="map"),
    subject="passthrough",
)

scores = {}
for dropout in (0.0, 0.3):
    network = make_pipeline(
        inputs,
        skemo.PerSubject(),
        skemo.ModalityAwareAttentionClassifier(
            max_epochs=15, modality_dropout=dropout, random_state=0
        ),
    )
    network.fit(X[~tested], windows["label"][~tested])
    for missing in (None, "ecg", "eeg"):
        test = X[tested].copy()
        if missing:
            test.loc[:, missing] = np.nan  # still a signal column, with all windows missing
        score = balanced_accuracy_score(windows["label"][tested], network.predict(test))
        scores[f"without {missing}" if missing else "complete", dropout] = 100 * score

# %%

rows = ["complete", "without ecg", "without eeg"]
figure, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
for i, (dropout, color) in enumerate({0.0: "#0072B2", 0.3: "#E69F00"}.items()):
    places = np.arange(3) + 0.36 * (i - 0.5)
    heights = [scores[row, dropout] for row in rows]
    bars = ax.bar(places, heights, width=0.34, color=color, label=f"modality_dropout={dropout}")
    ax.bar_label(bars, fmt="%.0f", fontsize="small")
ax.axhline(50, color="#808080", linestyle=":")
ax.set(xticks=range(3), xticklabels=rows, ylim=(0, 109), ylabel="balanced accuracy, %")
ax.spines[["top", "right"]].set_visible(False)
figure.legend(loc="outside upper center", ncols=2, frameon=False)
plt.show()
