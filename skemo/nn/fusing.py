"""Whether parts of the networks are computed by compiled loops instead of torch's operations."""

from contextlib import AbstractContextManager
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from skemo.nn.memory import loops_in_use, use_loops


def fused_parts(n_windows: int | None = None) -> AbstractContextManager[None]:
    """Compute parts of the networks as one operation each, if Numba is installed.

    Results differ by rounding only. This applies to networks on the CPU, in the calling thread.
    Gradients of gradients, forward-mode gradients and `torch.func` do not work in this context.
    Memory is kept for the next step, and freed at the end.

    Parameters
    ----------
    n_windows : int, default=None
        How many windows at the beginning of each batch are needed. Without gradients, the others
        are not computed, and their results are 0. None means all.
    """
    return use_loops(n_windows)


def fused_code(x: Tensor) -> ModuleType | None:
    """Return `skemo.nn.fused` if it is wanted and can be used for `x`, otherwise None."""
    if loops_in_use.get() is None or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return None
    return _import_fused() if x.dtype in (torch.float32, torch.float64) else None


def is_fused(network: Any, device: torch.device) -> bool:
    """Whether compiled loops would compute all of a network except its layers on vectors."""
    member = network.members[0]
    return device.type == "cpu" and member.can_be_fused and not member.uses_bfloat16 and can_fuse()


def can_fuse() -> bool:
    """Whether Numba is available to compile the loops."""
    return _import_fused() is not None


@cache
def _import_fused() -> ModuleType | None:
    try:
        from numba import config

        from skemo.nn import fused
    except (ImportError, RuntimeError):
        # Numba may also be too old for NumPy, or find no folder for its cache.
        return None
    return None if vars(config).get("DISABLE_JIT") else fused
