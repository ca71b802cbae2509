"""Finished fits of a comparison in a folder, under a digest of what their results depend on."""

import dis
import functools
import hashlib
import importlib.util
import inspect
import io
import json
import pickle
import sys
import sysconfig
import threading
import types
import warnings
import weakref
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
from sklearn import get_config

from skemo._files import write_whole

# Raise it with every change of skemo after which the same call gives another result: of features,
# networks, training, folds or controls. What was kept before is then computed again.
RESULTS_VERSION = 2
_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "neurokit2")  # whose results may change
_SHOWN = ("skemo", "torch", "skorch", "scikit-learn", "neurokit2", "numpy", "scipy", "pandas")

_ATOMS = (type(None), type(...), bool, int, float, complex, str, bytes)
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_CODE = (  # all of a code object but its file and line numbers
    *("co_name", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_code"),
    *("co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_exceptiontable"),
)
_lock = threading.Lock()  # cloudpickle's list of modules to pickle by value is global


def package_versions():
    """Return the versions of the packages that are installed, as a dict by name."""
    return {name: found for name in _SHOWN if (found := _version(name))}


def settings():
    """Return what results depend on besides data and models: versions and configuration."""
    return RESULTS_VERSION, {name: _version(name) for name in _PACKAGES}, get_config()


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def digest(value):
    """Return a text that equal values share, in any process, and no others.

    Classes and functions of installed packages count by their names and the package's version.
    Those of a notebook, a script or a module of yours count by what they are at this moment: code,
    attributes, bases, defaults, closures, and the functions, modules and constants that they
    refer to, wherever these are.

    Parameters
    ----------
    value : DataFrame, array, estimator or any other object

    Returns
    -------
    str

    Raises
    ------
    TypeError
        It, or a part of it, is nothing that can be compared, such as an open connection.
    """
    with _lock:
        walk = _Digest()
        try:
            return walk.of(value).hex()
        except Exception as error:  # whatever the objects of other packages raise
            raise TypeError(f"{type(error).__name__}: {error}") from error
        finally:
            for module in walk.registered:
                cloudpickle.unregister_pickle_by_value(module)


class _Digest:
    """Digests of a value and of its parts, into which cloudpickle takes it.

    The bytes of a pickle would not do. They depend on the order of sets, on which equal parts are
    one object, on line numbers, and on identifiers that cloudpickle draws for classes.
    """

    def __init__(self):
        self.pickler = cloudpickle.Pickler(io.BytesIO())
        self.registered = []
        self.open = {}  # depth of the values around the present one, by their id
        self.known = {}  # digests by id, with the values, so that no other gets their id

    def of(self, value):
        if type(value) in _ATOMS:
            return hashlib.sha256(f"{type(value).__name__} {value!r}".encode()).digest()
        key = id(value)
        if key in self.open:  # as of a function that calls itself
            return hashlib.sha256(f"around {self.open[key]}".encode()).digest()
        if key not in self.known:
            self.open[key] = len(self.open)
            parts, data = self.parts(value)
            whole = hashlib.sha256(b"".join(map(self.of, parts)))
            whole.update(data)
            del self.open[key]
            self.known[key] = whole.digest(), value
        return self.known[key][0]

    def parts(self, value):
        """Return the values that a value consists of, and its data as bytes."""
        kind = type(value)
        if kind in (tuple, list):
            return (kind.__name__, *value), b""
        if kind is dict:
            return ("dict", *(part for item in value.items() for part in item)), b""
        if kind in (set, frozenset):
            return (kind.__name__, *sorted(map(self.of, value))), b""
        if kind in (np.ndarray, np.memmap):
            # Sums over another order in memory differ in the last bits.
            about = ("array", value.dtype, value.shape, value.flags.fnc)
            if value.dtype.hasobject:
                return (*about, value.ravel().tolist()), b""
            flat = np.ascontiguousarray(value).reshape(-1)
            return about, flat.view(np.uint8) if flat.size else b""
        if kind is np.random.RandomState:  # whose pickle has an entropy that is not in use
            return ("random state", value.get_state(legacy=False)), b""
        if isinstance(value, pd.DataFrame):
            columns = [value.iloc[:, i].array for i in range(value.shape[1])]
            return ("table", kind, value.columns, value.index, columns, value.attrs), b""
        if isinstance(value, pd.api.extensions.ExtensionArray) and _root(kind) == "pandas":
            return ("column", value.dtype, np.asarray(value)), b""
        if "torch" in sys.modules and isinstance(value, sys.modules["torch"].Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            about = (str(value.dtype), tuple(value.shape), str(value.device), value.requires_grad)
            return ("tensor", kind, *about), flat.view(sys.modules["torch"].uint8).numpy()
        if kind is types.CodeType:
            return ("code", *(getattr(value, name) for name in _CODE)), b""
        if isinstance(value, types.ModuleType):
            if not _is_own(value):
                return ("module", value.__name__, _package_version(value.__name__)), b""
            content = sorted(item for item in vars(value).items() if item[0][:2] != "__")
            return ("module", *(part for item in content for part in item)), b""
        if kind in _LOCKS or isinstance(value, weakref.ref):  # no result depends on them
            return ("nothing",), b""
        return self.reduced(value), b""

    def reduced(self, value):
        """Return what an object is made from, according to its pickle."""
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
        make, arguments, state, items, pairs, *_ = *reduced, None, None, None
        if isinstance(value, types.FunctionType):
            arguments = arguments[0]  # the code, and not the file that it is from
            drop = ("_cloudpickle_submodules",)  # what has been imported by now
            state = [*state, *_looked_up(value)]
            state[1] = {name: part for name, part in state[1].items() if name not in drop}
        elif isinstance(value, type) and state is not None:
            arguments = arguments[:-2]  # without the identifier
            drop = ("__firstlineno__", "__static_attributes__")
            state = {name: part for name, part in state[0].items() if name not in drop}
        elif getattr(kind, "trains_together", False) and "net_" in state:  # a fitted network
            net = state["net_"]
            state = {**state, "net_": [x.state_dict() for x in (net.module_, net.optimizer_)]}
        elif isinstance(state, dict) and any(_root(base) == "scipy" for base in kind.__mro__):
            # A search gives a distribution the random state to draw with; its own one is global.
            state = {
                name: part
                for name, part in state.items()
                if name != "_random_state" and not name.endswith(("_cache", "_methods"))
            }
        return "object", make, arguments, state, list(items or ()), list(pairs or ())

    def register(self, module):
        """Have cloudpickle take what is of a user's module by value."""
        if module is None or not _is_own(module) or sys.modules.get(module.__name__) is not module:
            return
        if module.__name__ not in cloudpickle.list_registry_pickle_by_value():
            cloudpickle.register_pickle_by_value(module)
            self.registered.append(module)

    def named(self, value, module, name):
        """Return the name of an object of a package, by which a pickle knows it."""
        if _is_own(sys.modules[module]):
            if not hasattr(value, "__wrapped__"):
                raise TypeError(f"{value!r} is known by its name alone")
            return "wrapped", type(value), value.__wrapped__, vars(value)  # by functools.cache
        if functools.reduce(getattr, name.split("."), sys.modules[module]) is not value:
            raise TypeError(f"{value!r} is not {module}.{name}")
        device = None
        if getattr(value, "trains_together", False):  # a network
            cuda = sys.modules["torch"].cuda
            device = cuda.get_device_name() if cuda.is_available() else "cpu"
        return "named", module, name, _package_version(module), device


def _looked_up(function):
    """Return what a function looks up beside its globals: by import, or in the body of a class."""
    space, found = function.__globals__, []
    codes = [function.__code__]
    for code in codes:
        codes += [const for const in code.co_consts if isinstance(const, types.CodeType)]
        if not code.co_flags & inspect.CO_OPTIMIZED:
            found += [space[name] for name in code.co_names if name in space]
        steps = [x for x in dis.get_instructions(code) if x.opname != "EXTENDED_ARG"]
        for i in [i for i, step in enumerate(steps) if step.opname == "IMPORT_NAME"]:
            level, names, name = (step.argval for step in steps[i - 2 : i + 1])
            if level or _is_own_name(name.partition(".")[0]):
                with suppress(ImportError):  # as the function will do
                    found.append(__import__(name, space, None, names, level))
    return found


def _is_own_name(name):
    """Whether a module, imported or not, is neither installed nor Python's."""
    if name in sys.modules:
        return _is_own(sys.modules[name])
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.has_location and not _is_installed(spec.origin)


def _is_own(module):
    """Whether a module is neither installed nor Python's, so that it may change any time."""
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
    """Return the version of a module's package; skemo's counts by `RESULTS_VERSION`."""
    root = module.partition(".")[0]
    if root == __name__.partition(".")[0]:
        return None
    return str(getattr(sys.modules.get(root), "__version__", None))


class FitStore:
    """A folder with one file a finished fit, which is known by its key, a sequence of str.

    A file is complete or not there: it is written beside, and then renamed. It has a checksum of
    its content and key.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    """

    def __init__(self, folder):
        self.folder = Path(folder) / "fits"
        self.folder.mkdir(parents=True, exist_ok=True)

    def read(self, key, n_rows, n_classes):
        """Return the record of a fit, or None if there is none or it is damaged.

        Parameters
        ----------
        key : sequence of str, or None
            None is of a fit that cannot be kept.
        n_rows : int
            Number of rows that it predicts.
        n_classes : int

        Returns
        -------
        dict or None

        Warns
        -----
        UserWarning
            The file is damaged or was changed.
        """
        if key is None:
            return None
        path = self._path(key)
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            checksum = record.pop("checksum")
            whole = checksum == _checksum(path, record) and _is_sound(record, n_rows, n_classes)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            whole = False
        if whole:
            return record
        warnings.warn(
            f"{path} is damaged or was changed: this fit is computed again.", stacklevel=2
        )
        return None

    def write(self, key, record):
        """Keep the record of a fit, a dict of what JSON can hold, unless its key is None."""
        if key is not None:
            path = self._path(key)
            write_whole(path, json.dumps({**record, "checksum": _checksum(path, record)}))

    def _path(self, key):
        name = hashlib.sha256("\n".join(key).encode()).hexdigest()[:40]
        return self.folder / f"{name}.json"


def _checksum(path, record):
    text = json.dumps(record, sort_keys=True)
    return hashlib.sha256(f"{path.name} {text}".encode()).hexdigest()


def _is_sound(record, n_rows, n_classes):
    """Whether a record has what `run_fits` says, for that many rows and classes."""
    codes, probabilities, chosen = (record[x] for x in ("y_pred", "probabilities", "chosen"))
    if probabilities is not None:
        probabilities = np.array(probabilities, np.float64)
        if probabilities.shape != (n_rows, n_classes) or not (probabilities >= 0).all():
            return False
        if not np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-3):
            return False
    return (
        len(codes) == n_rows
        and all(type(code) is int and 0 <= code < n_classes for code in codes)
        and all(0 <= record[name] < np.inf for name in ("fit_time", "predict_time"))
        and (chosen is None or (type(chosen["params"]) is dict and type(chosen["score"]) is float))
        and all(type(x) is str for pair in record["warnings"] for x in pair)
        and all(len(pair) == 2 for pair in record["warnings"])
    )
