"""Figures of comparisons, networks and recordings, in the form of scikit-learn's displays."""

from typing import TYPE_CHECKING

from skemo._lazy import lazy_names

if TYPE_CHECKING:  # the same names as in _HOME below, for type checkers and editors
    from skemo.displays.attention import AttentionDisplay as AttentionDisplay
    from skemo.displays.confusion import ConfusionDisplay as ConfusionDisplay
    from skemo.displays.importance import ChannelImportanceDisplay as ChannelImportanceDisplay
    from skemo.displays.numbers import PredictionsDisplay as PredictionsDisplay
    from skemo.displays.numbers import ResidualsDisplay as ResidualsDisplay
    from skemo.displays.quality import QualityDisplay as QualityDisplay
    from skemo.displays.recording import RecordingDisplay as RecordingDisplay
    from skemo.displays.representation import RepresentationDisplay as RepresentationDisplay
    from skemo.displays.subject_scores import SubjectScoresDisplay as SubjectScoresDisplay
    from skemo.displays.training_history import TrainingHistoryDisplay as TrainingHistoryDisplay

# Each public name and its module, which is imported on first use.
_HOME = {
    "AttentionDisplay": "attention",
    "ChannelImportanceDisplay": "importance",
    "ConfusionDisplay": "confusion",
    "PredictionsDisplay": "numbers",
    "QualityDisplay": "quality",
    "RecordingDisplay": "recording",
    "RepresentationDisplay": "representation",
    "ResidualsDisplay": "numbers",
    "SubjectScoresDisplay": "subject_scores",
    "TrainingHistoryDisplay": "training_history",
}

__all__ = sorted(_HOME)

if not TYPE_CHECKING:  # with a __getattr__, type checkers would accept misspelt names
    __getattr__, __dir__ = lazy_names(__name__, _HOME)
