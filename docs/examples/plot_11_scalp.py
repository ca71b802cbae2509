"""
Which bands and channels a model uses
=====================================

How much worse does a fitted model perform on new people when the values of one band and channel are
permuted among their windows? This permutation importance is drawn here on the head
(:class:`skemo.ChannelImportanceDisplay`). Neighbouring channels carry much the same information, so
a model can do without any single one. With ``reach``, a channel is permuted together with those
around it.

The simulated effect is less alpha at the back of the head and more beta at the front. A model may
use less than what is there, and with only three people in the test, small differences between
positions mean nothing.
"""

import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline

import skemo
from skemo.datasets import make_emotion_recordings

channels = ("F7", "F3", "F4", "F8", "T7", "C3", "Cz", "C4", "T8", "P7", "P3", "Pz", "P4", "P8")
recordings = make_emotion_recordings(
    n_subjects=9,
    n_trials=4,
    modalities=("eeg",),
    channels=(*channels, "O1", "O2"),
    random_state=0,
)
windows = skemo.segment(recordings, duration=10.0)
X, y = windows[["eeg", "subject"]], windows["label"]
tested = windows["subject"].isin(windows["subject"].unique()[-3:])

entropy = skemo.make_modality_transformer(
    eeg=skemo.DifferentialEntropyTransformer(bands={"alpha": (8, 14), "beta": (14, 31)}),
    subject="passthrough",
)
model = skemo.make_lda(make_pipeline(entropy, skemo.PerSubject())).fit(X[~tested], y[~tested])
print(f"correct in {model.score(X[tested], y[tested]):.0%} of the windows of new people")

# %%

skemo.ChannelImportanceDisplay.from_estimator(
    model,
    X[tested],
    y[tested],
    subjects=windows["subject"][tested],
    scoring="roc_auc",
    reach=0.5,
)
plt.show()
