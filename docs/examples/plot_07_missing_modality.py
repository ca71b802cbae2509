"""
A modality that is not always there
===================================

Electrodes fall off. A network that was trained with everything is tested on windows that lack the
ECG, or the EEG. A modality that is missing in a window enters as zeros, has no attention weight,
and the class scores come from the other one.

A plain network has never seen that in training. With ``modality_dropout`` it has: in each training
window a modality is left out with that probability. Whether that helps, and what it costs where
nothing is missing, is for a measurement on your data; ten simulated people, three of them tested,
show how to make one.
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
    for lacking in (None, "ecg", "eeg"):
        test = X[tested].copy()
        if lacking:
            test.loc[:, lacking] = np.nan  # still a signal column; each window in it is missing
        score = balanced_accuracy_score(windows["label"][tested], network.predict(test))
        scores[f"without {lacking}" if lacking else "all there", dropout] = 100 * score

# %%

rows = ["all there", "without ecg", "without eeg"]
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
