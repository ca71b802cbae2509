"""Network estimators as parts of a file: JSON for the parameters, safetensors for the weights."""

import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from sklearn.utils import check_random_state

from skemo.signals.array import SignalDtype
from skemo.training.devices import reproducible, resolve_device

_MAX_LABEL_BYTES = 2**24  # in memory, of all class labels


class CodeError(TypeError):
    """A parameter that is code, and therefore not in the file, is missing or unusable."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"Parameters that are code are not saved and must be passed to load: {message}"
        )


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


def describe_network(estimator: Any) -> tuple[dict[str, Any], bytes]:
    """Return what a file stores of a network estimator: a header, and the tensors as safetensors.

    An unfitted estimator, such as the template in a search, has no tensors.
    """
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
    }
    if not hasattr(estimator, "net_"):
        return header, b""
    header |= {
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
    return header, save(tensors)


def build_network(
    cls: Any,
    header: Mapping[str, Any],
    content: bytes,
    device: str | torch.device,
    code: Mapping[str, Any],
) -> Any:
    """Return the estimator that a header and its tensors describe, after comparing the two.

    Parameters
    ----------
    cls : type
        The class that the header names.
    header : mapping
    content : bytes
        As returned by `describe_network`.
    device : str or torch.device
    code : mapping of str to value
        Values of the parameters that are code, by name; at least those that the header names.

    Returns
    -------
    estimator
        Fitted, if there are tensors.

    Raises
    ------
    ValueError
        If the header and the tensors do not belong together, or a weight is not finite.
    CodeError
        If the network cannot be built from the code.
    """
    parameters = {name: from_json(value) for name, value in header["parameters"].items()}
    if "callbacks" in parameters:
        raise ValueError("its header has the parameter 'callbacks', which is never saved")
    parameters |= {name: code[name] for name in header["code"]}
    estimator = cls(**{**parameters, "device": device})
    if content:
        _fill(estimator, header, load(content), device)
    return estimator


def _fill(estimator, header, tensors, device):
    """Restore what an estimator has learned."""
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
        _check_tensors(tensors, estimator)
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


def read_classes(labels: list, dtype: str) -> np.ndarray:
    """Return the array of class labels, whose type must not ask for too much memory."""
    kind = np.dtype(dtype)
    if kind.kind not in "biufUO" or len(labels) * kind.itemsize > _MAX_LABEL_BYTES:
        raise ValueError(f"its header has {len(labels)} classes of type {kind.str!r}")
    classes = np.array(labels, dtype=kind)
    if len(classes) < 2 or len(np.unique(classes)) < len(classes):
        raise ValueError(f"its header has the classes {reprlib.repr(labels)}")
    return classes


def _build_own(estimator):
    """Return the network of the user's module; raise `CodeError` if it cannot be built."""
    try:
        return estimator._build_network()
    except Exception as error:
        raise CodeError(f"module=... could not be built: {error}") from error


def _check_tensors(tensors, estimator):
    """Raise unless the tensors have the shapes of the estimator's network, and finite values.

    A network of skemo is built without memory for its weights, and it may not have more layers than
    there are tensors. This refuses a header that asks for a huge network.
    """
    shapes = {name: tuple(values.shape) for name, values in tensors.items()}
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
    if is_own:  # the user's code may need memory for the weights
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
    may_be_infinite = in_file(list(network.named_buffers())) if is_own else {}  # such as masks
    expected |= estimator._target_shapes()
    for i, shape in enumerate(windows):
        # One mean and scale per channel, or per sample of a plain table.
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
    for name, values in tensors.items():
        # A channel that was missing throughout training has a mean and a scale of NaN.
        may_be_nan = name.startswith(("mean.", "scale."))
        has_inf = bool(values.isinf().any()) and name not in may_be_infinite
        if has_inf or (values.isnan().any() and not may_be_nan):
            raise ValueError(f"its tensor {name!r} has values that are infinite or NaN")
