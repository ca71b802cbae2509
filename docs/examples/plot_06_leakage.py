"""
What leakage is worth
=====================

The signals here say *nothing* about the labels: ``effect_size=0``. But windows of one trial
resemble each other, since every trial has a heart rate and a skin-conductance level of its own,
and all windows of a trial have one label. A model that has seen some of them recognises the rest.

Split by subject, it is at chance. Split by window, as in many papers, the same model seems to know
the state. :func:`skemo.check_split` names what stands on both sides, and :func:`skemo.leakage_gap`
measures what it is worth. Nothing but the split was changed.
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
    warnings.simplefilter("ignore")  # it warns of what was just found
    gap = 100 * skemo.leakage_gap(models, windows, y, windows)
print(gap.round(1).to_string())

# %%

honest, optimistic = gap.columns[:2]
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
ax.axvline(50, color="#808080", linestyle=":")
ax.hlines(gap.index, gap[honest], gap[optimistic], color="#808080", linewidth=2)
ax.plot(gap[honest], gap.index, "o", color="#0072B2", label=honest)
ax.plot(gap[optimistic], gap.index, "o", color="#E69F00", label=optimistic)
ax.set(xlabel="balanced accuracy, % (nothing to be found: chance is 50)", xlim=(40, 100))
figure.legend(loc="outside upper center", ncols=2, frameon=False)
plt.show()
