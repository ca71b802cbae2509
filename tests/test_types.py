"""Type annotations: complete on everything public, and visible despite the lazy imports."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import skemo

MODULES = sorted(
    {"skemo", *(found.name for found in pkgutil.walk_packages(skemo.__path__, "skemo."))}
    - {"skemo.__main__"}
)


COMPILED = {  # they need Numba
    "skemo.nn.fused",
    "skemo.nn.connection_loops",
    "skemo.nn.layer_loops",
    "skemo.nn.map_loops",
    "skemo.nn.prediction_loops",
    "skemo.nn.fused_streams",
    "skemo.nn.fused_unet",
    "skemo.nn.fused_units",
    "skemo.nn.lanes",
}


def public_functions(module):
    """Yield the public functions, methods and constructors that a module defines, with names."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for method, function in vars(value).items():
                if method.startswith("_") and method != "__init__":
                    continue
                if isinstance(function, property):
                    function = function.fget
                elif isinstance(function, classmethod | staticmethod):
                    function = function.__func__
                if inspect.isfunction(function):
                    yield f"{name}.{method}", function


def unannotated(name, function):
    """Return the names of the parameters without annotation, and "return" if it has none."""
    signature = inspect.signature(function)
    missing = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.annotation is inspect.Parameter.empty and parameter.name not in ("self", "cls")
    ]
    is_constructor = name.endswith(".__init__")
    if signature.return_annotation is inspect.Signature.empty and not is_constructor:
        missing.append("return")
    return missing


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_is_annotated(module):
    if module in COMPILED:
        pytest.importorskip("numba", reason="compiled loops need Numba (the extra fast)")
    missing = {
        name: lacking
        for name, function in public_functions(importlib.import_module(module))
        if (lacking := unannotated(name, function))
    }
    listed = "\n".join(f"  {name}: {', '.join(names)}" for name, names in missing.items())
    assert not missing, f"{module} lacks type annotations:\n{listed}"


def test_type_checkers_see_every_public_name_in_the_module_it_is_loaded_from():
    tree = ast.parse(Path(skemo.__file__).read_text(encoding="utf-8"))
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
        if alias.asname == alias.name  # only `import X as X` makes a name public
    }
    assert seen == skemo._HOME
