"""Data sets as recordings: simulated data, and loaders of published data sets."""

from skemo.datasets.amigos import load_amigos
from skemo.datasets.bids import load_bids
from skemo.datasets.case import load_case
from skemo.datasets.deap import load_deap
from skemo.datasets.dreamer import load_dreamer
from skemo.datasets.eegmat import fetch_eegmat
from skemo.datasets.seed import load_seed
from skemo.datasets.simulated import make_emotion_recordings
from skemo.datasets.stress_predict import fetch_stress_predict
from skemo.datasets.wesad import load_wesad

__all__ = [
    "fetch_eegmat",
    "fetch_stress_predict",
    "load_amigos",
    "load_bids",
    "load_case",
    "load_deap",
    "load_dreamer",
    "load_seed",
    "load_wesad",
    "make_emotion_recordings",
]
