"""Parameters of estimators as JSON, in which keys may be numbers and tuples stay tuples."""

from collections.abc import Mapping

import numpy as np


def to_json(parameter):
    """What JSON can write: mappings, whose keys may be numbers, and tuples are named."""
    if isinstance(parameter, Mapping):
        return {"mapping": [[to_json(key), to_json(x)] for key, x in parameter.items()]}
    if isinstance(parameter, tuple | list):
        return {type(parameter).__name__: [to_json(x) for x in parameter]}
    if isinstance(parameter, np.generic):
        return parameter.item()
    if parameter is None or isinstance(parameter, str | int | float):
        return parameter
    raise ValueError(f"The parameter value {parameter!r} cannot be written as JSON.")


def from_json(parameter):
    if not isinstance(parameter, dict):
        return parameter
    ((kind, values),) = parameter.items()
    if kind == "mapping":
        return {from_json(key): from_json(x) for key, x in values}
    return {"tuple": tuple, "list": list}[kind](from_json(x) for x in values)
