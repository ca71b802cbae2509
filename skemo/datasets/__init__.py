"""Data sets as recordings: simulated data, and loaders for published data sets."""

from typing import TYPE_CHECKING

from skemo._lazy import lazy_names

if TYPE_CHECKING:  # the same names as in _HOME below, for type checkers and editors
    from skemo.datasets.amigos import load_amigos as load_amigos
    from skemo.datasets.bids import load_bids as load_bids
    from skemo.datasets.case import load_case as load_case
    from skemo.datasets.deap import load_deap as load_deap
    from skemo.datasets.dreamer import load_dreamer as load_dreamer
    from skemo.datasets.eegmat import fetch_eegmat as fetch_eegmat
    from skemo.datasets.seed import load_seed as load_seed
    from skemo.datasets.simulated import make_emotion_recordings as make_emotion_recordings
    from skemo.datasets.stress_predict import fetch_stress_predict as fetch_stress_predict
    from skemo.datasets.wesad import load_wesad as load_wesad

# Each public name and its module, which is imported on first use.
_HOME = {
    "fetch_eegmat": "eegmat",
    "fetch_stress_predict": "stress_predict",
    "load_amigos": "amigos",
    "load_bids": "bids",
    "load_case": "case",
    "load_deap": "deap",
    "load_dreamer": "dreamer",
    "load_seed": "seed",
    "load_wesad": "wesad",
    "make_emotion_recordings": "simulated",
}

__all__ = sorted(_HOME)

if not TYPE_CHECKING:  # with a __getattr__, type checkers would accept misspelt names
    __getattr__, __dir__ = lazy_names(__name__, _HOME)
