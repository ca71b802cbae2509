"""Finished fits of a comparison in a folder, a file for each.

`skemo.evaluation.digest` says what a fit depends on, and so when it is computed again.
"""

import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skemo._files import make_folder, write_whole


class FitStore:
    """A folder with one file per finished fit, identified by its key, a sequence of str.

    A file is either complete or absent, since it is written under another name and then renamed.
    It has a checksum of its content and key.

    Parameters
    ----------
    folder : str or Path
        Created if missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder) / "fits"
        make_folder(self.folder)

    def read(
        self, key: Sequence[str] | None, n_rows: int, n_classes: Sequence[int | None]
    ) -> dict[str, Any] | None:
        """Return the record of a fit, or None if there is none or it is damaged.

        Parameters
        ----------
        key : sequence of str, or None
            None for a fit that cannot be kept.
        n_rows : int
            Number of predicted rows.
        n_classes : list of int or None
            Number of classes of each target; None for numbers.

        Returns
        -------
        dict or None

        Warns
        -----
        UserWarning
            The file is damaged or was changed.
        """
        if key is None:
            return None
        path = self._path(key)
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            checksum = record.pop("checksum")
            whole = checksum == _checksum(path, record) and _is_sound(record, n_rows, n_classes)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            whole = False
        if whole:
            return record
        warnings.warn(
            f"{path} is damaged or was changed: this fit is computed again.", stacklevel=2
        )
        return None

    def write(self, key: Sequence[str] | None, record: dict[str, Any]) -> None:
        """Keep the record of a fit, a dict of JSON types, unless its key is None."""
        if key is not None:
            path = self._path(key)
            write_whole(path, json.dumps({**record, "checksum": _checksum(path, record)}))

    def _path(self, key):
        name = hashlib.sha256("\n".join(key).encode()).hexdigest()[:40]
        return self.folder / f"{name}.json"


def _checksum(path, record):
    text = json.dumps(record, sort_keys=True)
    return hashlib.sha256(f"{path.name} {text}".encode()).hexdigest()


def _is_sound(record, n_rows, n_classes):
    """Whether a record has the contents that `run_fits` describes."""
    predicted, probabilities, chosen = (record[x] for x in ("y_pred", "probabilities", "chosen"))
    return (
        len(predicted) == len(probabilities) == len(n_classes)
        and all(
            map(_is_sound_target, predicted, probabilities, [n_rows] * len(n_classes), n_classes)
        )
        and all(0 <= record[name] < np.inf for name in ("fit_time", "predict_time"))
        and (chosen is None or (type(chosen["params"]) is dict and type(chosen["score"]) is float))
        and all(type(x) is str for pair in record["warnings"] for x in pair)
        and all(len(pair) == 2 for pair in record["warnings"])
    )


def _is_sound_target(predicted, probabilities, n_rows, n_classes):
    if len(predicted) != n_rows:
        return False
    if n_classes is None:
        numbers = all(type(x) is float and -np.inf < x < np.inf for x in predicted)
        return probabilities is None and numbers
    if probabilities is not None:
        probabilities = np.array(probabilities, np.float64)
        if probabilities.shape != (n_rows, n_classes) or not (probabilities >= 0).all():
            return False
        if not np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-3):
            return False
    return all(type(code) is int and 0 <= code < n_classes for code in predicted)
