"""scikit-learn estimators for emotion, stress and workload from physiological signals."""

from typing import TYPE_CHECKING

from skemo._lazy import lazy_names

if TYPE_CHECKING:  # the same names as in _HOME below, for type checkers and editors
    from ._versions import show_versions as show_versions
    from .displays import AttentionDisplay as AttentionDisplay
    from .displays import ChannelImportanceDisplay as ChannelImportanceDisplay
    from .displays import ConfusionDisplay as ConfusionDisplay
    from .displays import PredictionsDisplay as PredictionsDisplay
    from .displays import QualityDisplay as QualityDisplay
    from .displays import RecordingDisplay as RecordingDisplay
    from .displays import RepresentationDisplay as RepresentationDisplay
    from .displays import ResidualsDisplay as ResidualsDisplay
    from .displays import SubjectScoresDisplay as SubjectScoresDisplay
    from .displays import TrainingHistoryDisplay as TrainingHistoryDisplay
    from .evaluation.compare import compare as compare
    from .evaluation.comparison import Comparison as Comparison
    from .evaluation.leakage import check_split as check_split
    from .evaluation.leakage_gap import leakage_gap as leakage_gap
    from .evaluation.precompute import precompute as precompute
    from .evaluation.splitters import BlockedKFold as BlockedKFold
    from .evaluation.splitters import LeaveOneTrialOut as LeaveOneTrialOut
    from .features.accelerometer import AccelerometerTransformer as AccelerometerTransformer
    from .features.arrays import ArrayTransformer as ArrayTransformer
    from .features.artefacts import find_artefacts as find_artefacts
    from .features.baseline import correct_baseline as correct_baseline
    from .features.context import ContextTransformer as ContextTransformer
    from .features.corruption import corrupt as corrupt
    from .features.definitions import feature_definitions as feature_definitions
    from .features.definitions import write_bids_features as write_bids_features
    from .features.differential_entropy import (
        DifferentialEntropyTransformer as DifferentialEntropyTransformer,
    )
    from .features.eda import EDATransformer as EDATransformer
    from .features.emg import EMGTransformer as EMGTransformer
    from .features.enrolment import enroll as enroll
    from .features.hrv import HRVTransformer as HRVTransformer
    from .features.modalities import make_modality_transformer as make_modality_transformer
    from .features.per_subject import PerSubject as PerSubject
    from .features.quality import QualityTransformer as QualityTransformer
    from .features.resampling import ResampleTransformer as ResampleTransformer
    from .features.respiration import RespirationTransformer as RespirationTransformer
    from .features.temperature import TemperatureTransformer as TemperatureTransformer
    from .features.whole_recordings import decompose_eda as decompose_eda
    from .features.whole_recordings import find_beats as find_beats
    from .models.baselines import make_dummy as make_dummy
    from .models.baselines import make_lda as make_lda
    from .models.baselines import make_logistic_regression as make_logistic_regression
    from .models.baselines import make_random_forest as make_random_forest
    from .models.baselines import make_ridge as make_ridge
    from .models.baselines import make_svm as make_svm
    from .models.classifier import FusionClassifier as FusionClassifier
    from .models.cross_modal import CrossModalAttentionClassifier as CrossModalAttentionClassifier
    from .models.cross_modal import CrossModalAttentionRegressor as CrossModalAttentionRegressor
    from .models.modality_aware import (
        ModalityAwareAttentionClassifier as ModalityAwareAttentionClassifier,
    )
    from .models.modality_aware import (
        ModalityAwareAttentionRegressor as ModalityAwareAttentionRegressor,
    )
    from .models.onnx import export_onnx as export_onnx
    from .models.regressor import FusionRegressor as FusionRegressor
    from .models.saving import load as load
    from .models.saving import save as save
    from .models.streaming import Stream as Stream
    from .report import write_report as write_report
    from .signals.array import SignalArray as SignalArray
    from .signals.array import SignalDtype as SignalDtype
    from .signals.array import signal_frame as signal_frame
    from .signals.recording import Recording as Recording
    from .signals.stored import read_windows as read_windows
    from .signals.stored import write_windows as write_windows
    from .signals.windows import segment as segment
    from .training.many import fit_many as fit_many

__version__ = "0.1.0"

# Each public name and its module. A name is imported on first use, so that `import skemo` is
# quick and does not load torch.
_HOME = {
    "SignalArray": "signals.array",
    "SignalDtype": "signals.array",
    "signal_frame": "signals.array",
    "Recording": "signals.recording",
    "segment": "signals.windows",
    "read_windows": "signals.stored",
    "write_windows": "signals.stored",
    "HRVTransformer": "features.hrv",
    "find_beats": "features.whole_recordings",
    "DifferentialEntropyTransformer": "features.differential_entropy",
    "EDATransformer": "features.eda",
    "decompose_eda": "features.whole_recordings",
    "RespirationTransformer": "features.respiration",
    "TemperatureTransformer": "features.temperature",
    "AccelerometerTransformer": "features.accelerometer",
    "EMGTransformer": "features.emg",
    "ResampleTransformer": "features.resampling",
    "ArrayTransformer": "features.arrays",
    "correct_baseline": "features.baseline",
    "corrupt": "features.corruption",
    "feature_definitions": "features.definitions",
    "write_bids_features": "features.definitions",
    "QualityTransformer": "features.quality",
    "find_artefacts": "features.artefacts",
    "make_modality_transformer": "features.modalities",
    "PerSubject": "features.per_subject",
    "ContextTransformer": "features.context",
    "enroll": "features.enrolment",
    "ModalityAwareAttentionClassifier": "models.modality_aware",
    "ModalityAwareAttentionRegressor": "models.modality_aware",
    "CrossModalAttentionClassifier": "models.cross_modal",
    "CrossModalAttentionRegressor": "models.cross_modal",
    "FusionClassifier": "models.classifier",
    "FusionRegressor": "models.regressor",
    "save": "models.saving",
    "load": "models.saving",
    "export_onnx": "models.onnx",
    "Stream": "models.streaming",
    "make_svm": "models.baselines",
    "make_random_forest": "models.baselines",
    "make_lda": "models.baselines",
    "make_logistic_regression": "models.baselines",
    "make_ridge": "models.baselines",
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
    "PredictionsDisplay": "displays",
    "ResidualsDisplay": "displays",
    "RepresentationDisplay": "displays",
    "AttentionDisplay": "displays",
    "ChannelImportanceDisplay": "displays",
    "TrainingHistoryDisplay": "displays",
    "RecordingDisplay": "displays",
    "QualityDisplay": "displays",
    "show_versions": "_versions",
}

__all__ = ["__version__", "all_estimators", *sorted(_HOME)]

_load, __dir__ = lazy_names(__name__, _HOME)

if not TYPE_CHECKING:  # with a __getattr__, type checkers would accept misspelt names
    __getattr__ = _load


def all_estimators() -> list[tuple[str, type]]:
    """List all public estimators of skemo, for tools that loop over them.

    Returns
    -------
    list of (str, type)
        Name and class of each estimator, sorted by name.

    Examples
    --------
    >>> import skemo
    >>> [name for name, _ in skemo.all_estimators() if name.endswith("Classifier")]
    ['CrossModalAttentionClassifier', 'FusionClassifier', 'ModalityAwareAttentionClassifier']
    """
    from sklearn.base import BaseEstimator

    public = [(name, _load(name)) for name in sorted(_HOME)]
    return [
        (name, value)
        for name, value in public
        if isinstance(value, type) and issubclass(value, BaseEstimator)
    ]
