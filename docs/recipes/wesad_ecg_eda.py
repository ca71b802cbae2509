"""Attentive cross-modal connections on the ECG and EDA of WESAD, windows of 10 s.

    python docs/recipes/wesad_ecg_eda.py DIR

Compares 10-fold cross-validation over windows, as usually published, with leave-one-subject-out,
which shows how good the models are on somebody they have not seen. Inputs are standardised by
each subject's own windows, without their labels (`PerSubject`), which needs a batch of windows of
each person.
"""

import sys

from sklearn.pipeline import make_pipeline

import skemo
from skemo.datasets import load_wesad

recordings = load_wesad(sys.argv[1], device="chest", lazy=True, progress=True)
windows = skemo.segment(map(skemo.decompose_eda, recordings), duration=10.0)
X, y, subjects = windows[["ecg", "eda", "subject"]], windows["label"], windows["subject"]


def streams(**parameters):
    signals = skemo.make_modality_transformer(
        ecg=skemo.ResampleTransformer(rate=64, band=(0.5, None), standardize=True),
        eda=skemo.ResampleTransformer(rate=4),
        subject="passthrough",
    )
    network = skemo.CrossModalAttentionClassifier(
        class_weight="balanced", random_state=0, **parameters
    )
    return make_pipeline(signals, skemo.PerSubject(), network)


features = skemo.make_modality_transformer(
    ecg=skemo.HRVTransformer(),
    eda=skemo.EDATransformer(signal="components"),
    subject="passthrough",
)
models = {
    "cross-modal attention": streams(),
    "late fusion": streams(direction=None),
    "SVM": skemo.make_svm(make_pipeline(features, skemo.PerSubject())),
}
for protocol in ("segment-k-fold", "leave-one-subject-out"):
    result = skemo.compare(models, X, y, subjects, protocol=protocol, progress=True)
    print(f"\n{protocol}, per-subject normalisation\n{result}")
