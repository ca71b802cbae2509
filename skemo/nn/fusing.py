"""Whether parts of the networks are computed by compiled loops instead of torch's operations."""

import contextlib
import contextvars
from collections.abc import Iterator
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

_is_wanted: contextvars.ContextVar[bool] = contextvars.ContextVar("is_wanted", default=False)


@contextlib.contextmanager
def fused_parts() -> Iterator[None]:
    """Compute parts of the networks as one operation each, if Numba is installed.

    Results differ by rounding only. It concerns networks on the CPU, in the calling thread.
    Gradients of gradients, forward-mode gradients and `torch.func` do not work inside.
    """
    token = _is_wanted.set(True)
    try:
        yield
    finally:
        _is_wanted.reset(token)


def fused_code(x: Tensor) -> ModuleType | None:
    """Return `skemo.nn.fused` if it is wanted and can be used for `x`, otherwise None."""
    if not _is_wanted.get() or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return None
    return _import_fused() if x.dtype in (torch.float32, torch.float64) else None


def can_fuse() -> bool:
    """Whether Numba is there to compile the loops."""
    return _import_fused() is not None


@cache
def _import_fused() -> ModuleType | None:
    try:
        from numba import config

        from skemo.nn import fused
    except (ImportError, RuntimeError):
        # Also if Numba is too old for NumPy, or there is no folder in which it could keep code.
        return None
    return None if vars(config).get("DISABLE_JIT") else fused
