"""The optimiser: AdamW over all parameters as one tensor."""

import torch


class FlatAdamW(torch.optim.AdamW):
    """AdamW over all parameters as one tensor, which takes a tenth of a training step off.

    While they are bound, the parameters are views of that tensor. Released, they can be copied
    and pickled each by itself.

    Parameters
    ----------
    groups : list of dict
        Groups of parameters, as skorch gives them.
    **settings
        Of `torch.optim.AdamW`.
    """

    def __init__(self, groups, **settings):
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.flat = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in self.parameters]))
        super().__init__([self.flat], **settings)

    def bind(self):
        with torch.no_grad():
            self.flat.copy_(torch.cat([p.flatten() for p in self.parameters]))
        parts = self.flat.detach().split([p.numel() for p in self.parameters])
        for parameter, part in zip(self.parameters, parts, strict=True):
            parameter.data = part.view(parameter.shape)

    def release(self):
        for parameter in self.parameters:
            parameter.data = parameter.data.clone()

    def zero_grad(self, set_to_none=True):
        for parameter in self.parameters:
            parameter.grad = None

    def step(self, closure=None):
        loss = None if closure is None else closure()
        self.flat.grad = torch.cat([p.grad.flatten() for p in self.parameters])
        super().step()
        return loss

    def __getstate__(self):
        return {**super().__getstate__(), "parameters": self.parameters, "flat": self.flat}
