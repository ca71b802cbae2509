"""
A first comparison
==================

A network beside classical baselines, on people whom none of them has seen. :func:`skemo.compare`
fits and tests all models on the same folds and scores each person by themselves. With
``controls=("majority",)`` it adds what no result should stand without: the commonest class of the
training people.

A dot is a person. Read the spread before the mean: with eight people the interval of a mean is
wide, and models that seem to differ may not. All inputs are measured against each person's own
windows (:class:`skemo.PerSubject`), which needs a batch of windows of a new person: say so beside
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
# Are the differences more than chance? A row a pair: the mean difference over people with its
# bootstrap interval, Wilcoxon's test over people, corrected for the number of pairs.

columns = ["model", "other", "mean_difference", "low", "high", "p_corrected"]
print(comparison.test(reference="SVM")[columns].round(3).to_string(index=False))
