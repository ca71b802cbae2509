"""Fitted classifiers as safetensors files: JSON in the header, tensors in the body."""

import json
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skemo._files import write_whole
from skemo.signals.array import SignalDtype
from skemo.training.devices import reproducible, resolve_device

_MAX_LABEL_BYTES = 2**24  # in memory, of all class labels


def to_json(parameter: Any) -> Any:
    """Convert a parameter to values that JSON can represent.

    Mappings, lists and tuples become a dict that names their type, since JSON has no tuples
    and no mappings with numbers as keys.
    """
    if isinstance(parameter, Mapping):
        return {"mapping": [[to_json(key), to_json(x)] for key, x in parameter.items()]}
    if isinstance(parameter, tuple | list):
        return {type(parameter).__name__: [to_json(x) for x in parameter]}
    if isinstance(parameter, np.generic):
        return parameter.item()
    if parameter is None or isinstance(parameter, str | int | float):
        return parameter
    raise ValueError(f"The parameter value {parameter!r} cannot be written as JSON.")


def from_json(parameter: Any) -> Any:
    """Convert the result of `to_json` back to the parameter."""
    if not isinstance(parameter, dict):
        return parameter
    ((kind, values),) = parameter.items()
    if kind == "mapping":
        return {from_json(key): from_json(x) for key, x in values}
    return {"tuple": tuple, "list": list}[kind](from_json(x) for x in values)


def write_classifier(classifier: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted classifier to a file; see `FusionClassifier.save`."""
    check_is_fitted(classifier)
    parameters = classifier.get_params(deep=False)
    parameters.pop("callbacks")
    parameters["device"] = str(parameters["device"])
    if isinstance(parameters["random_state"], np.random.RandomState):
        parameters["random_state"] = None
    header = {
        "estimator": type(classifier).__name__,
        "parameters": {name: to_json(value) for name, value in parameters.items()},
        "classes": classifier.classes_.tolist(),
        "classes_type": classifier.classes_.dtype.str,
        "modalities": [
            (to_json(name), dtype.name) for name, dtype in classifier.modalities_.items()
        ],
        "n_features_in": classifier.n_features_in_,
        "feature_names_in": getattr(classifier, "feature_names_in_", np.array([])).tolist(),
    }
    state = classifier.net_.module_.state_dict()
    tensors = {f"network.{name}": values for name, values in state.items()}
    for i, name in enumerate(classifier.modalities_):
        tensors[f"mean.{i}"] = torch.from_numpy(classifier.mean_[name].copy())
        tensors[f"scale.{i}"] = torch.from_numpy(classifier.scale_[name].copy())
    tensors["class_weight"] = torch.from_numpy(classifier._class_weight)
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(path.parent)!r} to save {path.name!r} in: create it first, "
            "or choose another one."
        )
    write_whole(path, save(tensors, {"skemo": json.dumps(header)}))


def read_classifier(cls: Any, path: str | os.PathLike[str], device: str | torch.device) -> Any:
    """Read a classifier of class `cls` from a file; see `FusionClassifier.load`."""
    resolve_device(device)
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r} to load.")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("skemo", "{}"))
            name = header.get("estimator", "no skemo classifier")
            if name == cls.__name__:
                return _make_classifier(cls, header, file, device)
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(
            f"{str(path)!r} is damaged or not a saved {cls.__name__} ({error or error!r}). Copy it "
            "again, or fit the classifier and save it again."
        ) from error
    raise ValueError(
        f"{str(path)!r} holds {name}, not {cls.__name__}: load it with the class that saved it."
    )


def _make_classifier(cls, header, file, device):
    """Return the classifier of a file, whose header is compared with its tensors first."""
    parameters = {name: from_json(value) for name, value in header["parameters"].items()}
    if "callbacks" in parameters:
        raise ValueError("its header has the parameter 'callbacks', which is never saved")
    classifier = cls(**{**parameters, "device": device})
    classifier._check_parameters()
    classifier.classes_ = _read_classes(header["classes"], header["classes_type"])
    classifier.modalities_ = {
        from_json(name): SignalDtype.construct_from_string(dtype)
        for name, dtype in header["modalities"]
    }
    classifier._check_shapes({name: dtype.shape for name, dtype in classifier.modalities_.items()})
    classifier.n_features_in_ = header["n_features_in"]
    if header["feature_names_in"]:
        classifier.feature_names_in_ = np.array(header["feature_names_in"], object)
    with reproducible(torch.device("cpu")):
        tensors = _read_tensors(file, classifier)
    classifier.mean_, classifier.scale_ = {}, {}
    for i, name in enumerate(classifier.modalities_):
        classifier.mean_[name] = tensors[f"mean.{i}"].numpy()
        classifier.scale_[name] = tensors[f"scale.{i}"].numpy()
    classifier._class_weight = tensors["class_weight"].numpy()
    classifier._random_state = check_random_state(classifier.random_state)
    state = {
        name.removeprefix("network."): values
        for name, values in tensors.items()
        if name.startswith("network.")
    }
    with reproducible(resolve_device(device)):
        classifier.net_ = classifier._make_net(torch.Generator()).initialize()
        classifier.net_.module_.load_state_dict(state)
    return classifier


def _read_classes(labels, dtype):
    """Return the array of class labels; its type must not need more memory than labels do."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "biufUO" or len(labels) * dtype.itemsize > _MAX_LABEL_BYTES:
        raise ValueError(f"its header has {len(labels)} classes of type {dtype.str!r}")
    classes = np.array(labels, dtype=dtype)
    if len(classes) < 2 or not np.array_equal(classes, np.unique(classes)):
        raise ValueError(f"its header has the classes {reprlib.repr(labels)}")
    return classes


def _read_tensors(file, classifier):
    """Return the tensors of a file by name, if they have the shapes of the classifier's network.

    The network is only outlined, without memory for its weights, and its number of layers is
    bounded by that of the tensors. A header that asks for a huge network is found out by this.
    """
    shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    windows = [dtype.shape for dtype in classifier.modalities_.values()]
    n_layers = len(windows)
    for name in ("n_members", "depth", "n_blocks"):
        n_layers *= getattr(classifier, name, 1)
    if not 0 < n_layers <= len(shapes):
        raise ValueError(f"it has {len(shapes)} tensors, but its header describes more layers")
    with torch.device("meta"):
        outline = classifier._make_module(windows, len(classifier.classes_)).state_dict()
    members = [""]
    if classifier.n_members > 1:
        members = [f"members.{i}." for i in range(classifier.n_members)]
    expected = {f"network.{m}{k}": tuple(v.shape) for m in members for k, v in outline.items()}
    expected["class_weight"] = (len(classifier.classes_),)
    for i, shape in enumerate(windows):
        # One mean and scale for each channel, or for each sample of a plain table.
        by_time = shapes.get(f"mean.{i}") == (1, *shape)
        expected[f"mean.{i}"] = expected[f"scale.{i}"] = (
            (1, *shape) if by_time else (1, *shape[:-1], 1)
        )
    for name in sorted(shapes.keys() | expected.keys()):
        if shapes.get(name) != expected.get(name):
            raise ValueError(
                f"its tensor {name!r} has the shape {shapes.get(name)}, but its header describes "
                f"{expected.get(name)}"
            )
    tensors = {name: file.get_tensor(name) for name in shapes}
    for name, values in tensors.items():
        # A channel that was missing throughout training has a mean and a scale of NaN.
        may_be_nan = name.startswith(("mean.", "scale."))
        if values.isinf().any() or (values.isnan().any() and not may_be_nan):
            raise ValueError(f"its tensor {name!r} has values that are infinite or NaN")
    return tensors
