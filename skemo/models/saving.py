"""Fitted network estimators as safetensors files: JSON in the header, tensors in the body."""

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

_CODE = "Parameters that are code are not saved and must be passed to load:"
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


def write_estimator(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator to a file; see `FusionEstimator.save`."""
    check_is_fitted(estimator)
    parameters = estimator.get_params(deep=False)
    parameters.pop("callbacks")
    code = sorted(name for name, value in parameters.items() if callable(value))
    for name in code:
        del parameters[name]
    parameters["device"] = str(parameters["device"])
    if isinstance(parameters["random_state"], np.random.RandomState):
        parameters["random_state"] = None
    header = {
        "estimator": type(estimator).__name__,
        "parameters": {name: to_json(value) for name, value in parameters.items()},
        "code": code,
        **estimator._describe_targets(),
        "modalities": [
            (to_json(name), dtype.name) for name, dtype in estimator.modalities_.items()
        ],
        "n_features_in": estimator.n_features_in_,
        "feature_names_in": getattr(estimator, "feature_names_in_", np.array([])).tolist(),
    }
    state = estimator.net_.module_.state_dict()
    tensors = {f"network.{name}": values for name, values in state.items()}
    for i, name in enumerate(estimator.modalities_):
        tensors[f"mean.{i}"] = torch.from_numpy(estimator.mean_[name].copy())
        tensors[f"scale.{i}"] = torch.from_numpy(estimator.scale_[name].copy())
    for name, values in estimator._target_tensors().items():
        tensors[name] = torch.from_numpy(values.copy())
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(path.parent)!r} to save {path.name!r} in: create it first, "
            "or choose another one."
        )
    write_whole(path, save(tensors, {"skemo": json.dumps(header)}))


def read_estimator(
    cls: Any,
    path: str | os.PathLike[str],
    device: str | torch.device,
    code: Mapping[str, Any],
) -> Any:
    """Read an estimator of class `cls` from a file; see `FusionEstimator.load`."""
    resolve_device(device)
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r} to load.")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("skemo", "{}"))
            name = header.get("estimator", "no skemo estimator")
            if name == cls.__name__:
                _check_code(header.get("code", []), code)
                return _make_estimator(cls, header, file, device, code)
    except TypeError as error:
        if _CODE not in str(error):
            raise _damaged(cls, path, error) from error
        raise
    except Exception as error:  # a damaged file can raise anything
        raise _damaged(cls, path, error) from error
    raise ValueError(
        f"{str(path)!r} holds {name}, not {cls.__name__}: load it with the class that saved it."
    )


def _damaged(cls, path, error):
    return ValueError(
        f"{str(path)!r} is damaged or not a saved {cls.__name__} ({error or error!r}). Copy it "
        "again, or fit the estimator and save it again."
    )


def _check_code(saved, given):
    """Raise unless exactly the parameters that a file cannot hold are given."""
    if sorted(saved) != sorted(given):
        needed = ", ".join(f"{name}=..." for name in saved) or "none"
        raise TypeError(f"{_CODE} {needed}; got {', '.join(given) or 'none'}.")


def _make_estimator(cls, header, file, device, code):
    """Return the estimator of a file, after comparing the file's header with its tensors."""
    parameters = {name: from_json(value) for name, value in header["parameters"].items()}
    if "callbacks" in parameters:
        raise ValueError("its header has the parameter 'callbacks', which is never saved")
    estimator = cls(**{**parameters, **code, "device": device})
    estimator._check_parameters()
    estimator._read_targets(header)
    estimator.modalities_ = {
        from_json(name): SignalDtype.construct_from_string(dtype)
        for name, dtype in header["modalities"]
    }
    estimator._check_inputs()
    estimator.n_features_in_ = header["n_features_in"]
    if header["feature_names_in"]:
        estimator.feature_names_in_ = np.array(header["feature_names_in"], object)
    with reproducible(torch.device("cpu")):
        tensors = _read_tensors(file, estimator)
    estimator.mean_, estimator.scale_ = {}, {}
    for i, name in enumerate(estimator.modalities_):
        estimator.mean_[name] = tensors[f"mean.{i}"].numpy()
        estimator.scale_[name] = tensors[f"scale.{i}"].numpy()
    estimator._set_target_tensors(
        {name: tensors[name].numpy() for name in estimator._target_shapes()}
    )
    estimator._random_state = check_random_state(estimator.random_state)
    state = {
        name.removeprefix("network."): values
        for name, values in tensors.items()
        if name.startswith("network.")
    }
    with reproducible(resolve_device(device)):
        estimator.net_ = estimator._make_net(torch.Generator()).initialize()
        estimator.net_.module_.load_state_dict(state)
    return estimator


def read_classes(labels: list, dtype: str) -> np.ndarray:
    """Return the array of class labels; its type must not need more memory than labels may."""
    kind = np.dtype(dtype)
    if kind.kind not in "biufUO" or len(labels) * kind.itemsize > _MAX_LABEL_BYTES:
        raise ValueError(f"its header has {len(labels)} classes of type {kind.str!r}")
    classes = np.array(labels, dtype=kind)
    if len(classes) < 2 or not np.array_equal(classes, np.unique(classes)):
        raise ValueError(f"its header has the classes {reprlib.repr(labels)}")
    return classes


def _build_own(estimator):
    """Return the network of the user's module, with an error of its own if it cannot be built."""
    try:
        return estimator._build_network()
    except Exception as error:
        raise TypeError(f"{_CODE} module=... could not be built: {error}") from error


def _read_tensors(file, estimator):
    """Return the tensors of a file by name, if they have the shapes of the estimator's network.

    A network of this library is only outlined, without memory for its weights, and its number of
    layers is bounded by that of the tensors. A header that asks for a huge network is found out by
    this.
    """
    shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    windows = [dtype.shape for dtype in estimator.modalities_.values()]
    is_own = hasattr(estimator, "module")
    n_layers = estimator.n_members
    if not is_own:
        n_layers *= (
            len(estimator._signal_names())
            * getattr(estimator, "depth", 1)
            * getattr(estimator, "n_blocks", 1)
        )
    if not 0 < n_layers <= len(shapes):
        raise ValueError(f"it has {len(shapes)} tensors, but its header describes more layers")
    if is_own:  # code that may not work without memory
        network = _build_own(estimator)
    else:
        with torch.device("meta"):
            network = estimator._build_network()
    members = [""]
    if estimator.n_members > 1:
        members = [f"members.{i}." for i in range(estimator.n_members)]

    def in_file(values):
        return {f"network.{m}{k}": tuple(v.shape) for m in members for k, v in values}

    expected = in_file(list(network.state_dict().items()))
    masks = in_file(list(network.named_buffers())) if is_own else {}  # which may be infinite
    expected |= estimator._target_shapes()
    for i, shape in enumerate(windows):
        # One mean and scale for each channel, or for each sample of a plain table.
        by_time = shapes.get(f"mean.{i}") == (1, *shape)
        expected[f"mean.{i}"] = expected[f"scale.{i}"] = (
            (1, *shape) if by_time else (1, *shape[:-1], 1)
        )
    for name in sorted(shapes.keys() | expected.keys()):
        if shapes.get(name) != expected.get(name):
            described = "the module passed to load has" if is_own else "its header describes"
            raise ValueError(
                f"its tensor {name!r} has the shape {shapes.get(name)}, but {described} "
                f"{expected.get(name)}"
            )
    tensors = {name: file.get_tensor(name) for name in shapes}
    for name, values in tensors.items():
        # A channel that was missing throughout training has a mean and a scale of NaN.
        may_be_nan = name.startswith(("mean.", "scale."))
        has_inf = bool(values.isinf().any()) and name not in masks
        if has_inf or (values.isnan().any() and not may_be_nan):
            raise ValueError(f"its tensor {name!r} has values that are infinite or NaN")
    return tensors
