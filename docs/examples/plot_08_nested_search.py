"""
Tuning with a nested search
===========================

A search selects the candidate with the highest score, and because of this selection the score is
optimistic. The search therefore belongs *inside* each fold: it selects on the training people
alone, and the selected model is tested on the person left out. :func:`skemo.compare` does this with
any search among the models, and splits the inner folds by subject as well.

The result is the score of the whole procedure, including the tuning. This is the score to report.
The figure compares it, for each outer fold, with the score of the inner folds: the one shows what
the search promised, the other what the person left out gave. ``comparison.chosen`` has the selected
parameters. If they differ from fold to fold, the data do not determine them.
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
    cv=3,  # inside `compare`, these are three folds of the training subjects
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
