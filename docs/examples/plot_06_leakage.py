"""
How much leakage adds to a score
================================

The signals in this example contain *no* information about the labels: ``effect_size=0``. However,
the windows of a trial resemble each other, since each trial has its own heart rate and
skin-conductance level, and all windows of a trial have the same label. A model that has seen some
of them recognises the others.

If the windows are split by subject, the model is at chance. If they are split at random, as in
many papers, the same model seems to recognise the state. :func:`skemo.check_split` names what is on
both sides of a split, and :func:`skemo.leakage_gap` measures how much the score gains from it. Only
the split differs.
"""

import warnings

import matplotlib.pyplot as plt

import skemo
from skemo.datasets import make_emotion_recordings

recordings = make_emotion_recordings(n_subjects=10, effect_size=0, random_state=0)
windows = skemo.segment(map(skemo.decompose_eda, recordings), duration=10.0)
features = skemo.make_modality_transformer(
    ecg=skemo.HRVTransformer(),
    eda=skemo.EDATransformer(signal="components"),
    eeg=skemo.DifferentialEntropyTransformer(),
)
models = {
    "random forest": skemo.make_random_forest(features, n_estimators=60, random_state=0),
    "SVM": skemo.make_svm(features, C=10),
    "LDA": skemo.make_lda(features),
}
y = windows["label"]

for protocol in ("leave-one-subject-out", "segment-k-fold"):
    found = skemo.check_split(windows, windows, protocol, y)
    print(f"{protocol}: {sorted(found['kind'].unique()) or 'nothing on both sides'}")

# %%

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a warning about the leakage shown above
    gap = 100 * skemo.leakage_gap(models, windows, y, windows)
print(gap.round(1).to_string())

# %%

honest, optimistic = gap.columns[:2]
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
ax.axvline(50, color="#808080", linestyle=":")
ax.hlines(gap.index, gap[honest], gap[optimistic], color="#808080", linewidth=2)
ax.plot(gap[honest], gap.index, "o", color="#0072B2", label=honest)
ax.plot(gap[optimistic], gap.index, "o", color="#E69F00", label=optimistic)
ax.set(xlabel="balanced accuracy, % (there is no effect: chance is 50)", xlim=(40, 100))
figure.legend(loc="outside upper center", ncols=2, frameon=False)
plt.show()
