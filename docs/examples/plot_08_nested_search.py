"""
Tuning by nested search
=======================

A search picks the candidate that scored highest, and that score is too high for having been
picked. So the search belongs *inside* each fold: it chooses on the training people alone, and the
person left out judges the choice. :func:`skemo.compare` does this with any search among the
models, and its inner folds are by subject as well.

What comes out is the score of the whole procedure, tuning included. It is the number to report.
The figure shows the other one beside it: what the inner folds promised in each outer fold, and
what the person left out gave. ``comparison.chosen`` says what was chosen; if it differs from fold
to fold, the data do not decide it.
"""

import matplotlib.pyplot as plt
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skemo
from skemo.datasets import make_emotion_recordings

recordings = make_emotion_recordings(
    n_subjects=8, n_trials=4, effect_size=0.5, modalities=("ecg", "eda"), random_state=0
)
windows = skemo.segment(map(skemo.decompose_eda, recordings), duration=20.0)
features = skemo.make_modality_transformer(
    ecg=skemo.HRVTransformer(),
    eda=skemo.EDATransformer(signal="components"),
    subject="passthrough",
)
svm = skemo.make_svm(make_pipeline(features, skemo.PerSubject()))
search = GridSearchCV(
    svm,
    {"classifier__C": [0.01, 0.1, 1, 10, 100], "classifier__gamma": ["scale", 0.01]},
    scoring="balanced_accuracy",
    cv=3,  # in `compare`: three folds of the training subjects
)
X = windows[["ecg", "eda", "subject"]]
comparison = skemo.compare({"SVM, tuned": search, "SVM": svm}, X, windows["label"], groups=windows)
print(comparison)

# %%

chosen = comparison.chosen
print(chosen[["fold", "params", "score"]].to_string(index=False))

# %%

tuned = comparison.scores[comparison.scores["model"] == "SVM, tuned"]
figure, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
ax.vlines(chosen["fold"], 100 * chosen["score"], 100 * tuned["balanced_accuracy"], color="#bbbbbb")
ax.plot(chosen["fold"], 100 * chosen["score"], "o", color="#E69F00", label="inner folds, best")
ax.plot(
    tuned["fold"], 100 * tuned["balanced_accuracy"], "o", color="#0072B2", label="person left out"
)
ax.axhline(50, color="#808080", linestyle=":")
ax.set(xlabel="outer fold", ylabel="balanced accuracy, %")
ax.spines[["top", "right"]].set_visible(False)
figure.legend(loc="outside upper center", ncols=2, frameon=False)
plt.show()
