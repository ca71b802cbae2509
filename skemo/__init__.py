"""scikit-learn estimators for emotion, stress and workload from physiological signals."""

import importlib

__version__ = "0.1.0"

# Each public name and the module that holds it. They are imported on first use, so that
# `import skemo` costs little and loads no torch.
_HOME = {
    "SignalArray": "signals.array",
    "SignalDtype": "signals.array",
    "signal_frame": "signals.array",
    "Recording": "signals.recording",
    "segment": "signals.windows",
    "HRVTransformer": "features.hrv",
    "find_beats": "features.whole_recordings",
    "DifferentialEntropyTransformer": "features.differential_entropy",
    "EDATransformer": "features.eda",
    "decompose_eda": "features.whole_recordings",
    "ResampleTransformer": "features.resampling",
    "QualityTransformer": "features.quality",
    "find_artefacts": "features.artefacts",
    "make_modality_transformer": "features.modalities",
    "PerSubject": "features.per_subject",
    "ModalityAwareAttentionClassifier": "models.modality_aware",
    "CrossModalAttentionClassifier": "models.cross_modal",
    "make_svm": "models.baselines",
    "make_random_forest": "models.baselines",
    "make_lda": "models.baselines",
    "make_dummy": "models.baselines",
    "precompute": "evaluation.precompute",
    "fit_many": "training.many",
    "compare": "evaluation.compare",
    "leakage_gap": "evaluation.leakage_gap",
    "Comparison": "evaluation.comparison",
    "check_split": "evaluation.leakage",
    "LeaveOneTrialOut": "evaluation.splitters",
    "BlockedKFold": "evaluation.splitters",
    "write_report": "report",
    "SubjectScoresDisplay": "displays",
    "ConfusionDisplay": "displays",
    "RepresentationDisplay": "displays",
    "AttentionDisplay": "displays",
    "ChannelImportanceDisplay": "displays",
    "TrainingHistoryDisplay": "displays",
    "RecordingDisplay": "displays",
    "QualityDisplay": "displays",
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
