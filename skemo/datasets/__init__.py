"""Data sets as recordings: simulated ones, and loaders of published ones."""

from skemo.datasets._simulated import make_emotion_recordings
from skemo.datasets.eegmat import fetch_eegmat

__all__ = ["fetch_eegmat", "make_emotion_recordings"]
