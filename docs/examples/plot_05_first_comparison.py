"""
A first comparison
==================

A network and two classical baselines are tested on people that none of them has seen.
:func:`skemo.compare` fits and tests all models on the same folds, and scores each person
separately. With ``controls=("majority",)`` it adds a control that every result needs: always
predicting the most frequent class of the training windows.

Each dot is a person. Look at the spread before the mean: with eight people, the interval of the
mean is wide, and models that seem to differ may not. All inputs are standardised within each
person (:class:`skemo.PerSubject`), which needs several windows of a new person. Mention this with
every score.
"""

import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline

import skemo
from skemo.datasets import make_emotion_recordings

recordings = make_emotion_recordings(
    n_subjects=8, n_trials=4, modalities=("ecg", "eeg"), random_state=0
)
windows = skemo.segment(recordings, duration=20.0)

features = skemo.make_modality_transformer(
    ecg=skemo.HRVTransformer(),
    eeg=skemo.DifferentialEntropyTransformer(),
    subject="passthrough",
)
inputs = skemo.make_modality_transformer(
    ecg=skemo.HRVTransformer(output="series"),
    eeg=skemo.DifferentialEntropyTransformer(output="map"),
    subject="passthrough",
)
models = {
    "modality-aware": make_pipeline(
        inputs,
        skemo.PerSubject(),
        skemo.ModalityAwareAttentionClassifier(max_epochs=8, random_state=0),
    ),
    "SVM": skemo.make_svm(make_pipeline(features, skemo.PerSubject())),
    "LDA": skemo.make_lda(make_pipeline(features, skemo.PerSubject())),
}
X = windows[["ecg", "eeg", "subject"]]
comparison = skemo.compare(models, X, windows["label"], groups=windows, controls=("majority",))
print(comparison)

# %%

skemo.SubjectScoresDisplay.from_comparison(comparison)
plt.show()

# %%
# Are the differences larger than chance would explain? Each row is a pair of models, with the mean
# difference over people and its bootstrap interval, and with the p-value of Wilcoxon's test over
# people, corrected for the number of pairs.

columns = ["model", "other", "mean_difference", "low", "high", "p_corrected"]
print(comparison.test(reference="SVM")[columns].round(3).to_string(index=False))
