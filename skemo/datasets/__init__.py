"""Data sets as recordings: simulated data, and loaders of published data sets."""

from skemo.datasets.amigos import load_amigos
from skemo.datasets.case import load_case
from skemo.datasets.dreamer import load_dreamer
from skemo.datasets.eegmat import fetch_eegmat
from skemo.datasets.simulated import make_emotion_recordings
from skemo.datasets.stress_predict import fetch_stress_predict
from skemo.datasets.wesad import load_wesad

__all__ = [
    "fetch_eegmat",
    "fetch_stress_predict",
    "load_amigos",
    "load_case",
    "load_dreamer",
    "load_wesad",
    "make_emotion_recordings",
]
