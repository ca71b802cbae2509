"""Digests of what the results of a fit depend on: data, models, the user's code, versions."""

import dis
import functools
import hashlib
import importlib.util
import inspect
import io
import pickle
import sys
import sysconfig
import threading
import types
import weakref
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
from sklearn import get_config

from skemo.signals.array import SignalArray
from skemo.signals.stored import StoredSignalArray

# Raise this with every change of skemo that changes the result of the same call (of features,
# networks, training, folds or controls). Results that were kept before are then computed again.
RESULTS_VERSION = 7
# Packages whose versions may change results; with Numba, networks add numbers in another order.
_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "numba", "neurokit2")
_SHOWN = (
    "skemo",
    "torch",
    "numba",
    "skorch",
    "scikit-learn",
    "neurokit2",
    "numpy",
    "scipy",
    "pandas",
)

_ATOMS = (type(None), type(...), bool, int, float, complex, str, bytes)
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_CODE = (  # everything in a code object except its file and line numbers
    "co_name",
    "co_argcount",
    "co_posonlyargcount",
    "co_kwonlyargcount",
    "co_flags",
    "co_code",
    "co_consts",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_exceptiontable",
)
_lock = threading.Lock()  # guards cloudpickle's global list of modules to pickle by value


def package_versions() -> dict[str, str]:
    """Return the versions of the installed packages, as a dict by name."""
    return {name: found for name in _SHOWN if (found := _version(name))}


def settings() -> tuple[int, dict[str, str | None], dict[str, Any]]:
    """Return the versions and the configuration that results depend on."""
    return RESULTS_VERSION, {name: _version(name) for name in _PACKAGES}, get_config()


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def digest(value: Any) -> str:
    """Return a text that is the same for equal values in any process, and differs for others.

    Classes and functions of installed packages are identified by name and package version, and
    those of your own notebook, script or module by their current content: code, attributes,
    bases, defaults, closures, and the functions, modules and constants they refer to.

    Parameters
    ----------
    value : DataFrame, array, estimator or any other object

    Returns
    -------
    str

    Raises
    ------
    TypeError
        The value, or a part of it, cannot be compared, such as an open connection.
    """
    with _own_code_by_value() as walk:
        return walk.of(value).hex()


def pickle_by_value(value: Any) -> bytes:
    """Return a pickle of a value with your own code as it is now in this process.

    Another process that loads it runs the code that `digest` sees, even if the file that the code
    comes from has been edited since it was imported.

    Parameters
    ----------
    value : estimator or any other object

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        The value, or a part of it, cannot be pickled, or another process would import a part of
        your code from its file.
    """
    with _own_code_by_value() as walk:
        walk.of(value)  # finds the modules
        if walk.imported:
            raise TypeError(
                f"{walk.imported[0]} would be imported from its file by every process, in "
                "whatever state the file is by then: use n_jobs=1"
            )
        return cloudpickle.dumps(value)


@contextmanager
def _own_code_by_value():
    """Yield a `_Digest`; cloudpickle pickles by value the modules of the user that it finds."""
    with _lock:
        walk = _Digest()
        try:
            yield walk
        except Exception as error:  # whatever the objects of other packages raise
            raise TypeError(f"{type(error).__name__}: {error}") from error
        finally:
            for module in walk.registered:
                cloudpickle.unregister_pickle_by_value(module)


class _Digest:
    """Computes digests of values from the parts into which cloudpickle splits them.

    The bytes of a pickle cannot be used, since they depend on the order of sets, on which equal
    parts are the same object, on line numbers, and on identifiers that cloudpickle draws for
    classes.
    """

    def __init__(self):
        self.pickler = cloudpickle.Pickler(io.BytesIO())
        self.registered = []
        self.imported = []  # parts of the user's code that a pickle only names
        self.open = {}  # depth of the values that contain the current one, by id
        self.known = {}  # digests by id, with the values, so that their ids are not reused

    def of(self, value):
        if type(value) in _ATOMS:
            return hashlib.sha256(f"{type(value).__name__} {value!r}".encode()).digest()
        key = id(value)
        if key in self.open:  # for example a function that calls itself
            return hashlib.sha256(f"around {self.open[key]}".encode()).digest()
        if key not in self.known:
            self.open[key] = len(self.open)
            parts, data = self.parts(value)
            whole = hashlib.sha256(b"".join(map(self.of, parts)))
            for piece in data:
                whole.update(piece)
            del self.open[key]
            self.known[key] = whole.digest(), value
        return self.known[key][0]

    def parts(self, value):
        """Return the parts of a value, and its data as pieces of bytes."""
        kind = type(value)
        if kind in (tuple, list):
            return (kind.__name__, *value), ()
        if kind is dict:
            return ("dict", *(part for item in value.items() for part in item)), ()
        if kind in (set, frozenset):
            return (kind.__name__, *sorted(map(self.of, value))), ()
        if kind in (np.ndarray, np.memmap):
            # The last bits of sums depend on the order in memory.
            about = ("array", value.dtype, value.shape, value.flags.fnc)
            if value.dtype.hasobject:
                return (*about, value.ravel().tolist()), ()
            flat = np.ascontiguousarray(value).reshape(-1)
            return about, [flat.view(np.uint8)] if flat.size else ()
        if kind is np.random.RandomState:  # its pickle has an unused entropy
            return ("random state", value.get_state(legacy=False)), ()
        if isinstance(value, pd.DataFrame):
            columns = [value.iloc[:, i].array for i in range(value.shape[1])]
            return ("table", kind, value.columns, value.index, columns, value.attrs), ()
        if isinstance(value, SignalArray):  # the same digest in memory and in a file
            in_memory = not isinstance(value, StoredSignalArray)
            about = ("signal", value.dtype, len(value), in_memory and value.values.flags.fnc)
            blocks = (np.ascontiguousarray(block).reshape(-1) for _, block in value.blocks())
            return about, (block.view(np.uint8) for block in blocks)
        if isinstance(value, pd.api.extensions.ExtensionArray) and _root(kind) == "pandas":
            return ("column", value.dtype, np.asarray(value)), ()
        if "torch" in sys.modules and isinstance(value, sys.modules["torch"].Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            about = (str(value.dtype), tuple(value.shape), str(value.device), value.requires_grad)
            return ("tensor", kind, *about), [flat.view(sys.modules["torch"].uint8).numpy()]
        if kind is types.CodeType:
            return ("code", *(getattr(value, name) for name in _CODE)), ()
        if isinstance(value, types.ModuleType):
            if not _is_own(value):
                return ("module", value.__name__, _package_version(value.__name__)), ()
            self.register(value)
            content = sorted(item for item in vars(value).items() if item[0][:2] != "__")
            return ("module", *(part for item in content for part in item)), ()
        if kind in _LOCKS or isinstance(value, weakref.ref):  # results do not depend on them
            return ("nothing",), ()
        return self.reduced(value), ()

    def reduced(self, value):
        """Return the parts of an object according to its pickle."""
        kind = type(value)
        has_code = isinstance(value, type | types.FunctionType)
        if has_code:
            self.register(sys.modules.get(value.__module__))
        reduced = self.pickler.reducer_override(value)
        if reduced is NotImplemented and has_code:
            return self.named(value, value.__module__, value.__qualname__)
        if reduced is NotImplemented:
            reducer = self.pickler.dispatch_table.get(kind)
            reduced = reducer(value) if reducer else value.__reduce_ex__(4)
            if any(_root(base) == "skorch" for base in kind.__mro__):
                # Its pickle has addresses of tensors, its history and callbacks have times.
                left_out = ("history_", "callbacks_")
                state = {name: part for name, part in vars(value).items() if name not in left_out}
                reduced = kind, (), dict(sorted(state.items()))
        if isinstance(reduced, str):
            return self.named(value, pickle.whichmodule(value, reduced), reduced)
        make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        if isinstance(value, types.FunctionType):
            arguments = arguments[0]  # the code, without its file
            drop = ("_cloudpickle_submodules",)  # depends on what has been imported so far
            found, imported = _looked_up(value)
            self.imported += imported
            state = [*state, *found, *imported]
            state[1] = {name: part for name, part in state[1].items() if name not in drop}
        elif isinstance(value, type) and state is not None:
            arguments = arguments[:-2]  # without the identifier
            drop = ("__firstlineno__", "__static_attributes__")
            state = {name: part for name, part in state[0].items() if name not in drop}
        elif getattr(kind, "trains_together", False) and "net_" in state:  # a fitted network
            net = state["net_"]
            state = {**state, "net_": [x.state_dict() for x in (net.module_, net.optimizer_)]}
        elif isinstance(state, dict) and any(_root(base) == "scipy" for base in kind.__mro__):
            # A search sets the random state of a distribution; its own is the global one.
            state = {
                name: part
                for name, part in state.items()
                if name != "_random_state" and not name.endswith(("_cache", "_methods"))
            }
        return "object", make, arguments, state, list(items or ()), list(pairs or ())

    def register(self, module):
        """Have cloudpickle pickle a user's module by value."""
        if module is None or not _is_own(module) or sys.modules.get(module.__name__) is not module:
            return
        if module.__name__ not in cloudpickle.list_registry_pickle_by_value():
            cloudpickle.register_pickle_by_value(module)
            self.registered.append(module)

    def named(self, value, module, name):
        """Return the name of a package's object, by which a pickle refers to it."""
        if _is_own(sys.modules[module]):
            if not hasattr(value, "__wrapped__"):
                raise TypeError(f"{value!r} can be pickled by name only")
            self.imported.append(f"{module}.{name}")
            return "wrapped", type(value), value.__wrapped__, vars(value)  # by functools.cache
        if functools.reduce(getattr, name.split("."), sys.modules[module]) is not value:
            raise TypeError(f"{value!r} is not {module}.{name}")
        device = None
        if getattr(value, "trains_together", False):  # a network
            cuda = sys.modules["torch"].cuda
            device = cuda.get_device_name() if cuda.is_available() else "cpu"
        return "named", module, name, _package_version(module), device


def _looked_up(function):
    """Return the globals used in class bodies of a function, and the user's modules it imports."""
    space, found, imported = function.__globals__, [], []
    codes = [function.__code__]
    for code in codes:
        codes += [const for const in code.co_consts if isinstance(const, types.CodeType)]
        if not code.co_flags & inspect.CO_OPTIMIZED:
            found += [space[name] for name in code.co_names if name in space]
        steps = [x for x in dis.get_instructions(code) if x.opname != "EXTENDED_ARG"]
        for i in [i for i, step in enumerate(steps) if step.opname == "IMPORT_NAME"]:
            level, names, name = (step.argval for step in steps[i - 2 : i + 1])
            if level or _is_own_name(name.partition(".")[0]):
                with suppress(ImportError):  # as in the function itself
                    imported.append(__import__(name, space, None, names, level))
    return found, imported


def _is_own_name(name):
    """Whether a module, imported or not, is the user's: neither installed nor Python's."""
    if name in sys.modules:
        return _is_own(sys.modules[name])
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.has_location and not _is_installed(spec.origin)


def _is_own(module):
    """Whether a module is the user's: neither installed nor Python's, so it may change any time."""
    root = module.__name__.partition(".")[0]
    if root == __name__.partition(".")[0]:
        return False
    for found in (module, sys.modules.get(root, module)):
        place = vars(found).get("__file__") or next(iter(vars(found).get("__path__", ())), None)
        if place:
            return not _is_installed(place)
    return vars(module).get("__spec__") is None  # typed at a prompt


@functools.cache
def _is_installed(place):
    place = Path(place)
    python = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    installed = not {"site-packages", "dist-packages"}.isdisjoint(place.parts)
    return installed or any(place.is_relative_to(folder) for folder in python)


def _root(kind):
    return kind.__module__.partition(".")[0]


def _package_version(module):
    """Return the version of a module's package; None for skemo, see `RESULTS_VERSION`."""
    root = module.partition(".")[0]
    if root == __name__.partition(".")[0]:
        return None
    return str(getattr(sys.modules.get(root), "__version__", None))
