"""scikit-learn estimators for emotion, stress and workload from physiological signals."""

import importlib

__version__ = "0.1.0"

# Each public name and the module that holds it. They are imported on first use, so that
# `import skemo` costs little and loads no torch.
_HOME = {
    "SignalArray": "signals",
    "SignalDtype": "signals",
    "signal_frame": "signals",
    "Recording": "recordings",
    "segment": "windows",
    "HRVTransformer": "ecg",
    "find_beats": "ecg",
    "DifferentialEntropyTransformer": "eeg",
    "EDATransformer": "eda",
    "decompose_eda": "eda",
    "ResampleTransformer": "resampling",
    "make_modality_transformer": "preprocessing",
    "PerSubject": "preprocessing",
    "ModalityAwareAttentionClassifier": "classifiers",
    "CrossModalAttentionClassifier": "classifiers",
    "make_svm": "baselines",
    "make_random_forest": "baselines",
    "make_lda": "baselines",
    "make_dummy": "baselines",
    "cross_validate": "search",
    "GridSearchCV": "search",
    "RandomizedSearchCV": "search",
    "compare": "evaluation",
    "leakage_gap": "evaluation",
    "Comparison": "comparison",
    "check_split": "leakage",
    "LeaveOneTrialOut": "model_selection",
    "BlockedKFold": "model_selection",
    "SubjectScoresDisplay": "displays",
    "ConfusionDisplay": "displays",
    "RepresentationDisplay": "displays",
    "AttentionDisplay": "displays",
    "ChannelImportanceDisplay": "displays",
    "TrainingHistoryDisplay": "displays",
    "RecordingDisplay": "displays",
    "show_versions": "_versions",
}

__all__ = ["__version__", "all_estimators", *sorted(_HOME)]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'skemo' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"skemo.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_HOME})


def all_estimators():
    """Return all public estimators of skemo, for tools that go through them.

    Returns
    -------
    list of (str, type)
        Name and class of each, sorted by name.

    Examples
    --------
    >>> import skemo
    >>> [name for name, _ in skemo.all_estimators() if name.endswith("Classifier")]
    ['CrossModalAttentionClassifier', 'ModalityAwareAttentionClassifier']
    """
    from sklearn.base import BaseEstimator

    public = [(name, __getattr__(name)) for name in sorted(_HOME)]
    return [
        (name, value)
        for name, value in public
        if isinstance(value, type) and issubclass(value, BaseEstimator)
    ]
