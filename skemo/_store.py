"""Finished fits of a comparison in a folder, by what went into them."""

import contextlib
import functools
import hashlib
import inspect
import io
import json
import pickle
import re
import sys
import sysconfig
import types
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn import get_config

from skemo._files import write_whole
from skemo._validation import signal_columns

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_DRAWS = {"report", "displays", "cli.py"}  # of this package, what no fit runs through
# Another version of these may give another result.
PACKAGES = ("skemo", "torch", "skorch", "scikit-learn", "neurokit2", "numpy", "scipy", "pandas")


def package_versions():
    """Return the versions of the packages on which results depend, as a dict by name.

    One that is not installed, as NeuroKit2 need not be, is left out.
    """
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


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
                (
                    *(name, str(column.dtype)),
                    *(getattr(column.dtype, what, None) for what in ("categories", "ordered")),
                ),
                np.ascontiguousarray(column.array.values if name in signals else column),
            )
            for name, column in value.items()
        ]
    try:
        return joblib.hash(value, hash_name="sha1")
    except Exception as error:
        raise _not_pickled(value, error) from error


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

    The versions of the packages that its parts are from, the code of parts that are the user's
    own, scikit-learn's configuration, and, of a network, the device.
    """
    found = _classes_and_functions(model)
    bases = {base for kind in found for base in getattr(kind, "__mro__", [kind])}
    kinds = sorted(bases, key=lambda kind: (kind.__module__ or "", kind.__qualname__))
    roots = [(kind.__module__ or "").partition(".")[0] for kind in kinds]
    versions = {root: getattr(sys.modules.get(root), "__version__", None) for root in roots}
    own = [_source(kind) for kind in kinds if _is_own(kind)]
    code = hashlib.sha256("".join(own).encode()).hexdigest()
    device = ""
    if any(getattr(kind, "trains_together", False) for kind in kinds):
        cuda = sys.modules["torch"].cuda
        device = cuda.get_device_name() if cuda.is_available() else "cpu"
    return repr((versions, code, sorted(get_config().items()), device))


class _Collector(pickle.Pickler):
    """Finds the classes and functions that an object is made of: what its pickle names."""

    def __init__(self, file):
        super().__init__(file)
        self.found = set()

    def reducer_override(self, value):
        if isinstance(value, type) or inspect.isroutine(value):
            self.found.add(value)
        return NotImplemented


def _classes_and_functions(value):
    collector = _Collector(io.BytesIO())
    try:
        collector.dump(value)
    except Exception as error:
        raise _not_pickled(value, error) from error
    return collector.found


def _not_pickled(value, error):
    return ValueError(
        f"output= keeps results by what went into them, and {type(value).__name__} cannot be "
        f"pickled for that ({error}): use functions that are defined in a module, not lambda."
    )


def _is_own(kind):
    """Whether a class or function is neither installed nor Python's, so that it may change."""
    if kind.__module__ in ("__main__", None):
        return hasattr(kind, "__code__") or isinstance(kind, type)
    path = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if path is None:
        return False
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders.add(str(Path(__file__).parent))  # this package has a digest of its own
    return not any(Path(path).is_relative_to(folder) for folder in folders)


def _source(kind):
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # typed at a prompt
        parts = vars(kind) if isinstance(kind, type) else {"": kind}
        return repr([(name, _describe(part)) for name, part in sorted(parts.items())])


def _describe(part):
    """A function as its code and defaults, and any other attribute of a class as text."""
    part = getattr(part, "__func__", part)  # of static and class methods
    if isinstance(part, property):
        part = part.fget, part.fset
    if hasattr(part, "__code__"):
        part = part.__code__, part.__defaults__, part.__kwdefaults__
    if isinstance(part, tuple):
        return [_describe(value) for value in part]
    if isinstance(part, types.CodeType):
        return [part.co_code, part.co_names, _describe(part.co_consts)]
    return _ADDRESS.sub("", repr(part))


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
