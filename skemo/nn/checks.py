"""Checks of the sizes that networks are built with."""

from numbers import Integral


def check_count(name: str, value: object) -> None:
    """Raise a ValueError unless the parameter `name` is an integer of at least 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
