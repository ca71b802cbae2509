"""The modality-aware attention network on the ECG and EEG of AMIGOS, windows of 10 s.

    python docs/recipes/amigos_ecg_eeg.py DIR [arousal | valence]

Compares 10-fold cross-validation over windows, as published, with leave-one-subject-out, which
shows how good the models are on somebody they have not seen.
"""

import sys

from sklearn.pipeline import make_pipeline

import skemo
from skemo.datasets import load_amigos

target = sys.argv[2] if len(sys.argv) > 2 else "arousal"
recordings = load_amigos(
    sys.argv[1], target=target, modalities=["ecg", "eeg"], lazy=True, progress=True
)
windows = skemo.segment(recordings, duration=10.0)
X, y, subjects = windows[["ecg", "eeg"]], windows["label"], windows["subject"]


def network(**parameters):
    inputs = skemo.make_modality_transformer(
        ecg=skemo.HRVTransformer(output="series"),
        eeg=skemo.DifferentialEntropyTransformer(output="map", sub_windows=5),
    )
    classifier = skemo.ModalityAwareAttentionClassifier(
        class_weight="balanced", random_state=0, **parameters
    )
    return make_pipeline(inputs, classifier)


features = skemo.make_modality_transformer(
    ecg=skemo.HRVTransformer(), eeg=skemo.DifferentialEntropyTransformer()
)
models = {
    "modality-aware attention": network(),
    "basic model": network(attention=None),
    "SVM": skemo.make_svm(features),
}
for protocol in ("segment-k-fold", "leave-one-subject-out"):
    result = skemo.compare(models, X, y, subjects, protocol=protocol, progress=True)
    print(f"\n{protocol}, no normalisation by subject\n{result}")
