"""Versions of the installed packages, for bug reports."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

# skemo, its dependencies and those of its extras.
PACKAGES = (
    "skemo",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "joblib",
    "cloudpickle",
    "torch",
    "numba",
    "skorch",
    "safetensors",
    "edfio",
    "pooch",
    "requests",
    "urllib3",
    "rich",
    "matplotlib",
    "pyarrow",
    "neurokit2",
    "skops",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "pylsl",
)


def show_versions() -> None:
    """Print the versions of Python, skemo and its dependencies, and the GPU that torch finds.

    Please paste the output into bug reports. Packages that are not installed are listed as such.

    Examples
    --------
    >>> import skemo
    >>> skemo.show_versions()  # doctest: +ELLIPSIS
    System
          python: 3...
    """
    system = {
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "platform": platform.platform(),
        "CPUs": os.cpu_count(),
    }
    packages = {name: _installed_version(name) for name in PACKAGES}
    sections = {"System": system, "Packages": packages, "GPU": _gpu()}
    for number, (heading, facts) in enumerate(sections.items()):
        print("\n" * bool(number) + heading)
        for name, fact in facts.items():
            print(f"{name:>12}: {fact}")


def _installed_version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _gpu():
    try:
        import torch
    except ImportError as error:
        return {"torch": f"cannot be imported ({error})"}
    found = torch.cuda.is_available()
    return {
        "CUDA": torch.version.cuda or "not in this build of torch",
        "device": torch.cuda.get_device_name() if found else "none",
    }
