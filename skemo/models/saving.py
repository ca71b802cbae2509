"""Fitted classifiers as safetensors files: JSON in the header, tensors in the body."""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skemo.signals.array import SignalDtype
from skemo.training.devices import reproducible, resolve_device


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
    save_file(tensors, path, {"skemo": json.dumps(header)})


def read_classifier(cls: Any, path: str | os.PathLike[str], device: str | torch.device) -> Any:
    """Read a classifier of class `cls` from a file; see `FusionClassifier.load`."""
    with safe_open(path, framework="pt") as file:
        header = json.loads((file.metadata() or {}).get("skemo", "{}"))
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if header.get("estimator") != cls.__name__:
        raise ValueError(
            f"{str(path)!r} holds {header.get('estimator', 'no skemo classifier')}, "
            f"not {cls.__name__}."
        )
    parameters = {name: from_json(value) for name, value in header["parameters"].items()}
    classifier = cls(**{**parameters, "device": device})
    classifier.classes_ = np.array(header["classes"], dtype=header["classes_type"])
    classifier.modalities_ = {
        from_json(name): SignalDtype.construct_from_string(dtype)
        for name, dtype in header["modalities"]
    }
    classifier.n_features_in_ = header["n_features_in"]
    if header["feature_names_in"]:
        classifier.feature_names_in_ = np.array(header["feature_names_in"], object)
    classifier.mean_, classifier.scale_ = {}, {}
    for i, name in enumerate(classifier.modalities_):
        classifier.mean_[name] = tensors[f"mean.{i}"].numpy()
        classifier.scale_[name] = tensors[f"scale.{i}"].numpy()
    classifier._class_weight = tensors["class_weight"].numpy()
    classifier._random_state = check_random_state(classifier.random_state)
    with reproducible(resolve_device(device)):
        classifier.net_ = classifier._make_net().initialize()
    state = {
        name.removeprefix("network."): values
        for name, values in tensors.items()
        if name.startswith("network.")
    }
    classifier.net_.module_.load_state_dict(state)
    return classifier
