"""Whether parts of the networks are computed by compiled loops instead of torch's operations."""

import contextlib
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from skemo.nn.memory import n_counted, unused_arrays


@contextlib.contextmanager
def fused_parts(n_windows: int | None = None) -> Iterator[None]:
    """Compute parts of the networks as one operation each, if Numba is installed.

    Results differ by rounding only. It concerns networks on the CPU, in the calling thread.
    Gradients of gradients, forward-mode gradients and `torch.func` do not work inside. Memory is
    used again in the next step, and given back at the end.

    Parameters
    ----------
    n_windows : int, default=None
        How many windows at the beginning of each batch count. Without gradients, results for the
        others are not computed, and 0. None counts all.
    """
    unused = unused_arrays.get()
    token = unused_arrays.set({} if unused is None else unused)
    counted = n_counted.set(n_windows)
    try:
        yield
    finally:
        n_counted.reset(counted)
        unused_arrays.reset(token)


def fused_code(x: Tensor) -> ModuleType | None:
    """Return `skemo.nn.fused` if it is wanted and can be used for `x`, otherwise None."""
    is_wanted = unused_arrays.get() is not None
    if not is_wanted or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return None
    return _import_fused() if x.dtype in (torch.float32, torch.float64) else None


def is_fused(network: Any, device: torch.device) -> bool:
    """Whether all layers of a network but those of vectors would be computed by compiled loops."""
    member = network.members[0]
    return device.type == "cpu" and member.can_be_fused and not member.uses_bfloat16 and can_fuse()


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
