"""Figures of comparisons, networks and recordings, in the form of scikit-learn's displays."""

from skemo.displays.attention import AttentionDisplay
from skemo.displays.confusion import ConfusionDisplay
from skemo.displays.importance import ChannelImportanceDisplay
from skemo.displays.numbers import PredictionsDisplay, ResidualsDisplay
from skemo.displays.quality import QualityDisplay
from skemo.displays.recording import RecordingDisplay
from skemo.displays.representation import RepresentationDisplay
from skemo.displays.subject_scores import SubjectScoresDisplay
from skemo.displays.training_history import TrainingHistoryDisplay

__all__ = [
    "AttentionDisplay",
    "ChannelImportanceDisplay",
    "ConfusionDisplay",
    "PredictionsDisplay",
    "QualityDisplay",
    "RecordingDisplay",
    "RepresentationDisplay",
    "ResidualsDisplay",
    "SubjectScoresDisplay",
    "TrainingHistoryDisplay",
]
