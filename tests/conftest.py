"""Fixtures that several test files share."""

import os
import sys
from pathlib import Path

import pytest

# SciPy reads this when imported. Without it, scikit-learn skips one of its common checks.
os.environ["SCIPY_ARRAY_API"] = "1"
os.environ["MPLBACKEND"] = "Agg"  # figures without a screen


@pytest.fixture(scope="session")
def data_home():
    """The folder of recordings, named by the environment variable SKEMO_DATA."""
    folder = os.environ.get("SKEMO_DATA")
    if not folder:
        pytest.skip("set SKEMO_DATA to the folder of recordings to run this test")
    return Path(folder)


@pytest.fixture(autouse=True)
def _close_figures():
    """Close the figures of each test."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def without_numba(monkeypatch):
    """Compute networks as if Numba were not installed."""
    from skemo.nn import fusing

    monkeypatch.setitem(sys.modules, "numba", None)
    fusing._import_fused.cache_clear()
    yield
    fusing._import_fused.cache_clear()


@pytest.fixture(scope="module", params=["modality-aware", "cross-modal"])
def network(request):
    """Return a function that makes a small, fast network, for each kind in turn."""
    from networks import NETWORKS, QUICK

    kind, small = NETWORKS[request.param]
    return lambda **parameters: kind(**{**QUICK, **small, "random_state": 0, **parameters})
