"""The optimiser: AdamW over all parameters as one tensor."""

from collections.abc import Callable
from typing import Any

import torch


class FlatAdamW(torch.optim.AdamW):
    """AdamW over all parameters as one tensor, which makes a training step a tenth faster.

    Between `bind` and `release`, the parameters are views of that tensor. After `release`, each
    has its own memory again and can be copied and pickled.

    Parameters
    ----------
    groups : list of dict
        Groups of parameters, as passed by skorch.
    **settings
        Passed on to `torch.optim.AdamW`.
    """

    def __init__(self, groups: list[dict[str, Any]], **settings: Any) -> None:
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.flat = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in self.parameters]))
        super().__init__([self.flat], **settings)

    def bind(self) -> None:
        """Make the parameters views of the one tensor."""
        with torch.no_grad():
            self.flat.copy_(torch.cat([p.flatten() for p in self.parameters]))
        parts = self.flat.detach().split([p.numel() for p in self.parameters])
        for parameter, part in zip(self.parameters, parts, strict=True):
            parameter.data = part.view(parameter.shape)

    def release(self) -> None:
        """Give each parameter its own memory."""
        for parameter in self.parameters:
            parameter.data = parameter.data.clone()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # torch overloads it
        loss = None if closure is None else closure()
        self.flat.grad = torch.cat([p.grad.flatten() for p in self.parameters])
        super().step()
        return loss

    def __getstate__(self):
        return {**super().__getstate__(), "parameters": self.parameters, "flat": self.flat}
