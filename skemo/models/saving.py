"""Fitted models as files from which nothing is executed when they are read.

A file is an uncompressed zip archive with

* ``skemo.json``: versions, the checksum of each other part, and the parameters of each network,
* ``network-0.safetensors``, …: the weights of each network,
* ``model.skops``: everything around the networks, in the format of skops; absent if the model is
  a network. Classes of `skemo.models.places` take the places of networks and trees in it.

What may be loaded is decided here, not by the file: estimators of scikit-learn and skemo, numbers,
text, and containers of these.
"""

import copy
import hashlib
import importlib
import inspect
import io
import json
import os
import pkgutil
import re
import types
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import sklearn.metrics
import sklearn.model_selection
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted

from skemo._files import write_whole
from skemo.models.base import FusionEstimator
from skemo.models.network_files import CodeError, build_network, describe_network
from skemo.models.places import NetworkPlace, TreePlace, check_estimator, is_tree
from skemo.training.devices import resolve_device

_FORMAT = 1
_HEADER = "skemo.json"
_REST = "model.skops"
_PART_OF_REST = re.compile(r"schema\.json|\d+\.(npy|bin)")
# Ways in which skops may create an object. Calls of methods, partial functions and constructors
# with arguments are not among them.
_NODES = {
    "DefaultDictNode",
    "DictNode",
    "DTypeNode",
    "FunctionNode",
    "JsonNode",
    "ListNode",
    "MaskedArrayNode",
    "NdArrayNode",
    "ObjectNode",
    "RandomStateNode",
    "SetNode",
    "SliceNode",
    "TupleNode",
    "TypeNode",
}
# Types that skops loads only if they are trusted explicitly.
_MORE_TYPES = {
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
    "skemo.evaluation.splitters.BlockedKFold",
    "skemo.evaluation.splitters.LeaveOneTrialOut",
    "skemo.models.places.NetworkPlace",
    "skemo.models.places.TreePlace",
    "skemo.signals.array.SignalDtype",
}


def save(model: BaseEstimator, path: str | os.PathLike[str]) -> None:
    """Write a fitted model to a file from which nothing is executed on loading.

    The model is a network, a transformer or any other scikit-learn estimator, or a Pipeline, a
    ColumnTransformer, a search or a calibrated classifier of these. The file contains the
    parameters and everything that was learned, such as the weights of networks and the statistics
    of `PerSubject`, but no code. For networks, the parameter `callbacks`, parameters that are code
    (your own module or loss), the state of the optimiser and the training history are not saved.

    Parameters
    ----------
    model : estimator
        A fitted model. Models other than networks need skops: ``pip install "skemo[save]"``.
    path : str or path-like
        The file to write, such as ``"model.skemo"``; its folder must exist.

    Raises
    ------
    TypeError
        If the model has parts that are not from scikit-learn or skemo, such as functions, or
        gradient boosting or isolation forests, whose trees cannot be checked on loading.
    NotFittedError
        If the model is not fitted.
    FileNotFoundError
        If the folder does not exist.
    ImportError
        If skops is needed and is not installed.

    See Also
    --------
    load : Read the model.
    export_onnx : Write a network for devices without skemo and torch.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import skemo
    >>> X = np.random.default_rng(0).normal(size=(20, 1, 32))
    >>> y = np.repeat(["calm", "stress"], 10)
    >>> network = skemo.CrossModalAttentionClassifier(max_epochs=1, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skemo.save(network, f"{folder}/model.skemo")
    ...     loaded = skemo.load(f"{folder}/model.skemo")
    >>> bool((loaded.predict(X) == network.predict(X)).all())
    True
    """
    if not isinstance(model, BaseEstimator):
        raise TypeError(f"save takes a fitted scikit-learn model, got {type(model).__name__}.")
    check_is_fitted(model)
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(path.parent)!r} to save {path.name!r} in: create it first, "
            "or choose another one."
        )
    parts_of_model = list(_walk(model))
    networks = [part for part in parts_of_model if isinstance(part, FusionEstimator)]
    _check_classes(networks)
    try:
        for part in parts_of_model:
            check_estimator(part)
    except ValueError as error:
        raise TypeError(f"This {type(model).__name__} cannot be saved: {error}.") from error
    described = [describe_network(network) for network in networks]
    parts = {f"network-{i}.safetensors": content for i, (_, content) in enumerate(described)}
    if networks != [model]:
        places: dict[int, Any] = {id(x): NetworkPlace(i) for i, x in enumerate(networks)}
        places |= {id(part): TreePlace(part) for part in parts_of_model if is_tree(part)}
        parts[_REST] = _dump(copy.deepcopy(model, places), type(model).__name__)
    header = {
        "format": _FORMAT,
        "versions": _versions(),
        "networks": [one for one, _ in described],
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()},
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in {_HEADER: json.dumps(header).encode(), **parts}.items():
            file.writestr(zipfile.ZipInfo(name), content)
    write_whole(path, archive.getvalue())


def load(path: str | os.PathLike[str], *, device: str | torch.device = "auto", **code: Any) -> Any:
    """Read a model that was written by `save`.

    Nothing in the file is executed, and pickles are not read. A part that was changed after saving
    no longer matches its checksum, and is refused; so are types that are neither scikit-learn's nor
    skemo's, whatever the file says. A checksum is not a signature: it does not tell who wrote the
    file. The parameter `memory` of pipelines is set to None.

    Parameters
    ----------
    path : str or path-like
        The file.
    device : str or torch.device, default="auto"
        The device for networks, which may differ from the one they were trained on.
    **code
        Parameters of networks that were not saved because they are code, such as ``module=``.

    Returns
    -------
    fitted estimator

    Raises
    ------
    ValueError
        If the file is damaged, was changed, contains other types, or has the format of a newer
        version of skemo.
    TypeError
        If parameters that are code are missing, or are not needed.
    FileNotFoundError
        If there is no such file.
    ImportError
        If skops is needed and is not installed.

    Warns
    -----
    UserWarning
        If the model was saved with another version of skemo or scikit-learn.

    See Also
    --------
    save : Write a model, with an example.
    """
    resolve_device(device)
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r} to load.")
    content = path.read_bytes()
    with _naming(path):
        parts = _read_archive(content)
        header = json.loads(parts.pop(_HEADER))
        written_by = {name: str(header["versions"][name]) for name in _versions()}
        newer = header["format"] > _FORMAT
    if newer:
        raise ValueError(
            f"{str(path)!r} was written by skemo {written_by['skemo']}, in a newer format than "
            f"this one, {version('skemo')}, can read: update skemo."
        )
    with _naming(path):
        _check_parts(header, parts)
        needed = sorted({name for network in header["networks"] for name in network["code"]})
    if needed != sorted(code):
        shown = ", ".join(f"{name}=..." for name in needed) or "none"
        raise CodeError(f"{shown}; got {', '.join(code) or 'none'}.")
    if written_by != _versions():
        _warn_of_versions(path, written_by)
    if _REST in parts:
        _import_skops("Loading")
    with _naming(path), warnings.catch_warnings():
        if written_by != _versions():  # one warning is enough
            warnings.simplefilter("ignore", InconsistentVersionWarning)
        networks = [
            build_network(
                _network_classes()[network["estimator"]],
                network,
                parts[f"network-{i}.safetensors"],
                device,
                code,
            )
            for i, network in enumerate(header["networks"])
        ]
        if _REST not in parts:
            (model,) = networks
        else:
            model = _fill_places(_undump(parts[_REST]), networks)
        check_is_fitted(model)
    return model


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn any error that a damaged file causes into one that names the file."""
    try:
        yield
    except CodeError:
        raise
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} is damaged or not a saved model ({error or repr(error)}). Copy it "
            "again, or fit the model and save it again."
        ) from error


def _versions():
    return {"skemo": version("skemo"), "scikit-learn": sklearn.__version__}


def _warn_of_versions(path, written_by):
    pairs = [
        f"{name} {old}, and this is {_versions()[name]}"
        for name, old in written_by.items()
        if old != _versions()[name]
    ]
    warnings.warn(
        f"{str(path)!r} was saved with {'; with '.join(pairs)}. Predictions may differ: compare "
        "some, install the old version, or fit the model again.",
        UserWarning,
        stacklevel=3,
    )


def _read_archive(content: bytes) -> dict[str, bytes]:
    """Return the parts of an archive, none of which may be compressed or appear twice."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        names = [info.filename for info in infos]
        if len(set(names)) < len(names):
            raise ValueError(f"several of its parts have the same name: {names}")
        stored = all(info.compress_type == zipfile.ZIP_STORED for info in infos)
        if not stored or sum(info.file_size for info in infos) > len(content):
            raise ValueError("its parts are larger than the file")
        return {name: archive.read(name) for name in names}


def _check_parts(header, parts):
    n_networks = len(header["networks"])
    expected = {f"network-{i}.safetensors" for i in range(n_networks)}
    if header["format"] != _FORMAT or type(header["format"]) is not int:
        raise ValueError(f"its format is {header['format']!r}")
    if parts.keys() != expected | (parts.keys() & {_REST}):
        raise ValueError(f"its parts are {sorted(parts)}")
    for name, content in parts.items():
        if hashlib.sha256(content).hexdigest() != header["sha256"].get(name):
            raise ValueError(f"its part {name!r} was changed: the checksum is not the one saved")


@cache
def _network_classes() -> dict[str, type]:
    """Return the classes of skemo's network estimators, by name."""
    found = {}
    for cls in _estimators():
        if issubclass(cls, FusionEstimator) and not inspect.isabstract(cls):
            found[cls.__name__] = cls
    return found


def _estimators() -> Iterator[type]:
    """Yield all estimators of skemo."""
    for name in ("skemo.features", "skemo.models"):
        package = importlib.import_module(name)
        for info in pkgutil.iter_modules(package.__path__, f"{name}."):
            module = importlib.import_module(info.name)
            for value in vars(module).values():
                defined_here = getattr(value, "__module__", None) == module.__name__
                if isinstance(value, type) and defined_here and issubclass(value, BaseEstimator):
                    yield value


@cache
def _trusted() -> frozenset[str]:
    """Return the names of types and functions that a file may use, besides those skops trusts."""
    mine = {cls for cls in _estimators() if not issubclass(cls, FusionEstimator)}
    splitters = {
        value
        for name in sklearn.model_selection.__all__
        if isinstance(value := vars(sklearn.model_selection).get(name), type)
    }
    scores = {
        value
        for name in sklearn.metrics.__all__
        if name.endswith(("_score", "_error", "_loss", "_corrcoef"))
        and inspect.isfunction(value := getattr(sklearn.metrics, name))
    }
    names = {f"{value.__module__}.{value.__name__}" for value in mine | splitters | scores}
    return frozenset(names | _MORE_TYPES)


def _import_skops(what):
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            f"{what} models other than networks needs skops, which is not installed: "
            'pip install "skemo[save]".'
        ) from error
    return skops.io


def _check_classes(networks):
    for network in networks:
        if _network_classes().get(type(network).__name__) is not type(network):
            raise TypeError(
                f"{type(network).__name__} is your own class, which a file cannot hold: pass "
                "the network as module= of FusionClassifier or FusionRegressor."
            )


def _dump(model, name):
    """Return everything around the networks of a model as bytes."""
    skops = _import_skops("Saving")
    try:
        content = skops.dumps(model)
    except Exception as error:
        raise TypeError(f"This {name} has parts that cannot be saved: {error}") from error
    unknown = sorted({*skops.get_untrusted_types(data=content)} - _trusted())
    unknown += sorted(_forbidden_nodes(content) - {*unknown})
    if unknown:
        raise TypeError(
            f"This {name} has parts that are not estimators of scikit-learn or skemo and cannot be "
            f"saved: {', '.join(unknown)}."
        )
    return content


def _undump(content):
    """Return the model in bytes from `_dump`, with places instead of networks and trees."""
    forbidden = _forbidden_nodes(content)
    if forbidden:
        raise ValueError(f"it asks for {', '.join(sorted(forbidden))}, which is never loaded")
    return _import_skops("Loading").loads(content, trusted=sorted(_trusted()))


def _forbidden_nodes(content):
    """Return the names of everything that skops would call in order to create an object."""
    parts = _read_archive(content)
    strange = [name for name in parts if not _PART_OF_REST.fullmatch(name)]
    if strange:
        raise ValueError(f"it has the parts {strange}")
    found = set()
    todo = [json.loads(parts["schema.json"])]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo += node
        if not isinstance(node, dict):
            continue
        todo += node.values()
        if "__loader__" in node and node["__loader__"] not in _NODES:
            found.add(f"{node.get('__module__')}.{node.get('__class__')}")
        keys = node.get("key_types")
        if isinstance(keys, dict):  # the types of keys are called
            kinds = keys["content"]
            found |= {str(kind) for kind in kinds if kind["__loader__"] != "TypeNode"}
    return found


def _fill_places(model, networks):
    """Return a copy of a model with its networks and trees in their places."""
    if not isinstance(model, BaseEstimator):
        raise ValueError(f"it contains {type(model).__name__}, which is not an estimator")
    filled = {}
    for part in _walk(model):
        if isinstance(part, NetworkPlace):
            filled[id(part)] = networks[part.position]
        elif isinstance(part, TreePlace):
            filled[id(part)] = part.build()
    model = copy.deepcopy(model, filled)
    for part in _walk(model):
        check_estimator(part)
        if getattr(part, "memory", None) is not None:
            part.memory = None  # a folder of pickles
    return model


def _walk(model):
    """Yield a model and all objects in it, except for those inside networks."""
    seen = {}
    todo = [model]
    while todo:
        part = todo.pop()
        if id(part) in seen or isinstance(part, type | types.FunctionType | types.ModuleType):
            continue
        seen[id(part)] = part  # kept, so that its id is not reused for another object
        yield part
        if isinstance(part, FusionEstimator):
            continue
        if isinstance(part, Mapping):
            todo += part.values()
        elif isinstance(part, list | tuple | set):
            todo += part
        elif isinstance(part, np.ndarray) and part.dtype == object:
            todo += part.ravel().tolist()
        todo += getattr(part, "__dict__", {}).values()
