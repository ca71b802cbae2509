"""The folders of the package import each other in one direction only."""

import ast
from pathlib import Path

import pytest

import skemo

PACKAGE = Path(skemo.__file__).parent
# A folder may import from itself and from the rows above its own.
LEVELS = [
    {
        *("_escape", "_files", "_doc_links", "_warnings", "_workers", "_checks", "_samples"),
        "_lazy",
    },
    {"signals", "kernels", "nn"},
    {"io", "features", "training"},
    {"datasets", "models"},
    {"evaluation"},
    {"displays"},
    {"report"},
    {"cli"},
]
FOLDERS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def imported(path):
    """Yield the modules of this package that a file imports, such as ``skemo.nn.blocks``."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "skemo")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "skemo":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def level(folder):
    return next(i for i, folders in enumerate(LEVELS) if folder in folders)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_from_itself_and_lower_levels(folder):
    allowed = set().union(*LEVELS[: level(folder)]) | {folder}
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in (PACKAGE / folder).rglob("*.py")
        for name in imported(path)
        if name.split(".")[1] not in allowed
    ]
    assert not wrong


def test_there_are_no_circular_imports():
    modules = {
        ".".join(["skemo", *path.relative_to(PACKAGE).with_suffix("").parts]): path
        for path in PACKAGE.rglob("*.py")
        if path.parent != PACKAGE
    }
    needs = {
        module: {
            target
            for name in imported(path)
            for target in (name, name.rpartition(".")[0])
            if target in modules and target != module
        }
        for module, path in modules.items()
    }
    while True:
        free = [module for module, needed in needs.items() if not needed & needs.keys()]
        if not free:
            break
        for module in free:
            del needs[module]
    assert not needs
