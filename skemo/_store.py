"""Finished fits of a comparison in a folder, by what went into them."""

import hashlib
import json
import os
import uuid
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone

from skemo._validation import signal_columns

# On which a fit depends beside data and model: another version may give another result.
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
            (str(name), str(column.dtype), column.array.values if name in signals else column)
            for name, column in value.items()
        ]
        value = [(name, dtype, np.ascontiguousarray(values)) for name, dtype, values in value]
    try:
        return joblib.hash(value, hash_name="sha1")
    except Exception as error:
        raise ValueError(
            f"output= keeps results by what went into them, and {type(value).__name__} cannot be "
            f"pickled for that ({error}): use functions that are defined in a module, not lambda."
        ) from error


def digest_model(model):
    """Return a text that models with equal parameters share, fitted or not."""
    return digest(clone(model))


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
        path = self._path(key)
        part = path.with_name(f".{path.stem}-{uuid.uuid4().hex}.part")
        try:
            with open(part, "x", encoding="utf-8") as file:
                json.dump(record, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _path(self, key):
        name = hashlib.sha256("\n".join(key).encode()).hexdigest()[:40]
        return self.folder / f"{name}.json"
