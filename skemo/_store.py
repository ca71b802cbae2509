"""Finished fits of a comparison in a folder, by what went into them."""

import functools
import hashlib
import inspect
import json
import sys
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn import get_config

from skemo._files import write_whole
from skemo._validation import signal_columns

_DRAWS = {"report", "displays", "cli.py"}  # of this package, what no fit runs through
# Another version of these may give another result.
PACKAGES = ("skemo", "torch", "skorch", "scikit-learn", "neurokit2", "numpy", "scipy", "pandas")


def package_versions():
    """Return the versions of the packages on which results depend, as a dict by name."""
    return {name: version(name) for name in PACKAGES}


def digest(value):
    """Return a text that equal values share, in any process.

    Parameters
    ----------
    value : DataFrame, array, estimator or anything that can be pickled
        A table's signal columns count by their samples, channels and rates.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        It cannot be pickled, as functions without a name.
    """
    if isinstance(value, pd.DataFrame):
        signals = signal_columns(value)
        value = [
            (
                (name, str(column.dtype), getattr(column.dtype, "categories", None)),
                np.ascontiguousarray(column.array.values if name in signals else column),
            )
            for name, column in value.items()
        ]
    try:
        return joblib.hash(value, hash_name="sha1")
    except Exception as error:
        raise ValueError(
            f"output= keeps results by what went into them, and {type(value).__name__} cannot be "
            f"pickled for that ({error}): use functions that are defined in a module, not lambda."
        ) from error


@functools.cache
def settings():
    """Return the state of this package and the versions of others, as text."""
    package = Path(__file__).parent
    code = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        if not _DRAWS.intersection(path.relative_to(package).parts):
            code.update(path.read_bytes())
    return repr((code.hexdigest(), package_versions()))


def origins(model):
    """Return what a model's result depends on beside its parameters, as text.

    The versions of the packages that its parts are from, scikit-learn's configuration, and, of
    a network, the device.
    """
    parts = [model, *model.get_params().values()]
    kinds = {part if inspect.isroutine(part) else type(part) for part in parts}
    kinds = sorted(kinds, key=lambda kind: (kind.__module__ or "", kind.__qualname__))
    roots = [(kind.__module__ or "").partition(".")[0] for kind in kinds]
    versions = {root: getattr(sys.modules.get(root), "__version__", None) for root in roots}
    # What has no version, as the classes of a script, counts by its code.
    own = [kind for kind, root in zip(kinds, roots, strict=True) if versions[root] is None]
    code = hashlib.sha256("".join(map(_source, own)).encode()).hexdigest()
    device = ""
    if any(getattr(part, "trains_together", False) for part in parts):
        cuda = sys.modules["torch"].cuda
        device = cuda.get_device_name() if cuda.is_available() else "cpu"
    return repr((versions, code, sorted(get_config().items()), device))


def _source(kind):
    if kind.__module__ == "builtins":
        return ""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # typed at a prompt
        parts = [kind, *vars(kind).values()] if isinstance(kind, type) else [kind]
        codes = [part.__code__ for part in parts if hasattr(part, "__code__")]
        return repr([(code.co_code, code.co_names, code.co_consts) for code in codes])


class FitStore:
    """A folder with one file a finished fit, which is known by its key, a sequence of str.

    A file is complete or not there: it is written beside, and then renamed.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    """

    def __init__(self, folder):
        self.folder = Path(folder) / "fits"
        self.folder.mkdir(parents=True, exist_ok=True)

    def read(self, key):
        """Return the record of a fit, or None if there is none that can be read."""
        try:
            return json.loads(self._path(key).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def write(self, key, record):
        """Keep the record of a fit, a dict of what JSON can hold."""
        write_whole(self._path(key), json.dumps(record))

    def _path(self, key):
        name = hashlib.sha256("\n".join(key).encode()).hexdigest()[:40]
        return self.folder / f"{name}.json"
