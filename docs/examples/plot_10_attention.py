"""
Attention weights of the modalities
===================================

The modality-aware network scales the contribution of each modality by weights between 0 and 1,
which it estimates from all modalities of a window. :class:`skemo.AttentionDisplay` shows their mean
over people for each class; each point is a person. The ECG is missing from a fifth of the windows:
its weight there is 0, and these windows are left out of the mean.

A weight is not an importance. A modality with a large weight may be irrelevant to the decision,
since the last layer can ignore it. What a model loses without a modality is a different question
(:ref:`sphx_glr_gallery_plot_07_missing_modality.py`).
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline

import skemo
from skemo.datasets import make_emotion_recordings

recordings = make_emotion_recordings(
    n_subjects=10, n_trials=4, modalities=("ecg", "eeg"), random_state=0
)
windows = skemo.segment(recordings, duration=15.0)
windows.loc[windows.index % 5 == 0, "ecg"] = np.nan
tested = windows["subject"].isin(windows["subject"].unique()[-4:])

X = windows[["ecg", "eeg", "subject"]]
inputs = skemo.make_modality_transformer(
    ecg=skemo.HRVTransformer(output="series"),
    eeg=skemo.DifferentialEntropyTransformer(output="map"),
    subject="passthrough",
)
network = make_pipeline(
    inputs,
    skemo.PerSubject(),
    skemo.ModalityAwareAttentionClassifier(max_epochs=20, random_state=0),
).fit(X[~tested], windows["label"][~tested])

# %%

new = windows[tested]
display = skemo.AttentionDisplay.from_estimator(
    network, X[tested], new["label"], subjects=new["subject"]
)
plt.show()

# %%

print(display.absent_.round(2).to_dict())
