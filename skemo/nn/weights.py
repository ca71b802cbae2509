"""Initial weights of networks, drawn from a generator."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# The generator that `build_network` draws from; None is torch's own.
_generator: ContextVar[torch.Generator | None] = ContextVar("generator", default=None)
# Functions of torch.nn.init and tensor methods that draw the weights of layers.
_DRAWING = ("uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_")


def build_network(build: Callable[[], nn.Module], generator: torch.Generator) -> nn.Module:
    """Build a network on the CPU, in single precision, with weights drawn from a generator.

    Torch's layers draw their weights from the global generator. The result is the same as after
    ``torch.manual_seed`` with the seed of `generator`, but the global state is not changed.

    Parameters
    ----------
    build : callable
        Called without arguments; returns the network.
    generator : torch.Generator
        A generator on the CPU.

    Returns
    -------
    Module

    Examples
    --------
    >>> import torch
    >>> from skemo.nn.weights import build_network
    >>> generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    >>> one, two = (build_network(lambda: torch.nn.Linear(3, 2), each) for each in generators)
    >>> torch.equal(one.weight, two.weight)
    True
    """
    token = _generator.set(generator)
    try:
        with torch.device("cpu"), _Drawing(generator):
            return build().float()
    finally:
        _generator.reset(token)


@contextmanager
def drawn_apart() -> Iterator[None]:
    """Draw the weights of some layers without changing those of all others.

    Networks that differ only in these layers then share everything else that is random: the
    weights of the other layers, and all numbers drawn from the generator afterwards.

    Examples
    --------
    >>> import torch
    >>> from skemo.nn.weights import build_network, drawn_apart
    >>> def build(has_attention):
    ...     with drawn_apart():
    ...         attention = torch.nn.Linear(5, 4) if has_attention else None
    ...     return torch.nn.Linear(3, 2)
    >>> one, two = (
    ...     build_network(lambda: build(has_attention), torch.Generator().manual_seed(0))
    ...     for has_attention in (True, False)
    ... )
    >>> torch.equal(one.weight, two.weight)
    True
    """
    generator = _generator.get() or torch.default_generator
    state = generator.get_state()
    seed = torch.randint(2**62, (), generator=generator, device="cpu")
    generator.manual_seed(int(seed))
    try:
        yield
    finally:
        generator.set_state(state)


class _Drawing(TorchFunctionMode):
    """Draws weights from a generator, in single precision whatever torch's default type is.

    Only the calling thread is affected.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") in _DRAWING:
            kwargs["generator"] = self.generator
        elif func is torch.empty and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32
        return func(*args, **kwargs)


def has_finite_weights(network: nn.Module) -> bool:
    """Return whether all parameters of a network are finite, and no buffer is NaN.

    A buffer may be infinite, such as a mask.
    """
    are_finite = all(bool(values.isfinite().all()) for values in network.parameters())
    return are_finite and not any(bool(values.isnan().any()) for values in network.buffers())
