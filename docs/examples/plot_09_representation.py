"""
The representation space, with and without attention
====================================================

The last layer of a network classifies a representation of each window. Figure 2 of the paper on the
modality-aware network shows the representations of the basic model and of the model with attention,
and the classes look better separated in the second.

Such figures can deceive: a projection to two dimensions can be chosen for its looks, and a network
always separates the windows it was trained on. Therefore, the windows drawn here are of people that
the networks were not trained on, and the numbers below each panel say how far apart the classes are
in *all* dimensions. Look at the numbers first. Whether attention helps on recorded data is measured
in :doc:`the benchmarks </benchmarks/index>`.
"""

import matplotlib.pyplot as plt
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

networks = {}
for name, attention in {"basic": None, "modality-aware attention": "mask"}.items():
    networks[name] = make_pipeline(
        inputs,
        skemo.PerSubject(),
        skemo.ModalityAwareAttentionClassifier(attention=attention, max_epochs=15, random_state=0),
    ).fit(X[~tested], windows["label"][~tested])

# %%

new = windows[tested]
display = skemo.RepresentationDisplay.from_estimator(
    networks, X[tested], new["label"], subjects=new["subject"], method="pca"
)
plt.show()

# %%

print(display.separation_.round(2).to_string())
