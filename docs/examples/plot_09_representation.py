"""
The representation space, with and without attention
====================================================

What the last layer of a network classifies is a representation of each window. Figure 2 of the
paper on the modality-aware network draws it for the basic model and for the one with attention,
and the classes look better apart in the second.

Such a picture can deceive: a projection to two dimensions is chosen for its looks, and the windows
a network was trained on are always apart. So the people here were not in training, and below each
panel stands how far apart the classes are in *all* dimensions. Look at the numbers first; whether
attention helps on recorded data is measured in :doc:`the benchmarks </benchmarks/index>`.
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
