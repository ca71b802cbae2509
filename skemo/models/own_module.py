"""Networks of the user's own, whose parameters are named after the module."""

from inspect import signature
from typing import Any, Self

from torch import nn

_PREFIX = "module__"


class OwnModule:
    """Mixin for estimators that take a module and its parameters as ``module__name``.

    The parameters of the module are attributes like all others; they are the ones that the
    signature of the constructor does not list.
    """

    module: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, with those of the module as ``module__name``."""
        parameters = super().get_params(deep=deep)  # type: ignore[misc]  # of the estimator
        return {**parameters, **self._module_parameters()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters; those of the module are passed as ``module__name``."""
        has_module = hasattr(self, "module")
        own = {k: value for k, value in params.items() if has_module and k.startswith(_PREFIX)}
        others = {name: value for name, value in params.items() if name not in own}
        super().set_params(**others)  # type: ignore[misc]  # of the estimator
        self.__dict__.update(own)
        return self

    def _module_parameters(self):
        listed = super().get_params(deep=False)
        return {
            name: value
            for name, value in vars(self).items()
            if name not in listed and not name.startswith("_") and not name.endswith("_")
        }

    def _make_network(self, shapes, n_outputs):
        if isinstance(self.module, nn.Module):
            raise TypeError(
                f"module is an instance of {type(self.module).__name__}: pass the class, or a "
                "function of the shapes of the windows and the number of outputs."
            )
        is_class = isinstance(self.module, type)
        if not callable(self.module) or (is_class and not issubclass(self.module, nn.Module)):
            raise TypeError(
                "module must be a subclass of torch.nn.Module or a function that returns a "
                f"module, got {self.module!r}."
            )
        parameters = {}
        for name, value in self._module_parameters().items():
            if not name.startswith(_PREFIX):
                raise TypeError(
                    f"{type(self).__name__} has no parameter {name!r}. Parameters of the module "
                    f"begin with {_PREFIX!r}, as in {_PREFIX}{name}=..."
                )
            parameters[name.removeprefix(_PREFIX)] = value
        network = self.module(shapes, n_outputs, **parameters)
        if not isinstance(network, nn.Module):
            raise TypeError(
                "module(shapes, n_outputs) must return a torch.nn.Module, but returned "
                f"{type(network).__name__}."
            )
        try:
            signature(network.forward).bind([], None)
        except TypeError as error:
            raise TypeError(
                f"{type(network).__name__} must have forward(inputs, present), with a list of "
                f"tensors and a tensor of which modalities are there ({error})."
            ) from error
        return network
