"""A digest is the same for what is equal, and differs for what is not."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import loguniform, randint
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import RandomizedSearchCV
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from skemo import ModalityAwareAttentionClassifier, read_windows, write_windows
from skemo.datasets import make_emotion_recordings
from skemo.evaluation.digest import digest, pickle_by_value
from skemo.signals.windows import segment

OWN = """
import abc, enum
import numpy as np
import own_helpers
from functools import cached_property, lru_cache, partial, wraps
from own_helpers import turn
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
CONSTANT = {"a": [EDIT]}
def scaled(function):
    @wraps(function)
    def inner(*args):
        return EDIT * function(*args)
    return inner
class Base(TransformerMixin, BaseEstimator):
    size = EDIT
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return X
class Inherited(Base):
    pass
class Decorated(Base):
    @scaled
    def transform(self, X):
        return X
class OfConstant(Base):
    def transform(self, X):
        return X * CONSTANT["a"][0]
class OfClass(Base):
    def transform(self, X):
        class Inner:
            factor = CONSTANT["a"][0]
        return X * Inner.factor
class OfProperty(Base):
    @property
    def factor(self):
        return EDIT
class OfCachedProperty(Base):
    @cached_property
    def factor(self):
        return EDIT
class OfStatic(Base):
    @staticmethod
    def factor():
        return EDIT
class OfClassMethod(Base):
    @classmethod
    def factor(cls):
        return EDIT
class OfHelper(Base):
    def transform(self, X):
        return own_helpers.turn(X)
class OfImport(Base):
    def transform(self, X):
        from own_helpers import turn as other
        return other(X)
class Recursive(Base):
    def transform(self, X, n=2):
        return X if n == 0 else Recursive.transform(self, X, n - 1) * EDIT
class Callable:
    def __call__(self, X):
        return X * EDIT
class Colour(enum.Enum):
    RED = EDIT
def closure(factor):
    return lambda X: X * factor
def default(X, factor=EDIT):
    return X * factor
@lru_cache
def cached(X):
    return EDIT
def judge(y, predicted):
    return EDIT * np.mean(y == predicted)
of_function = FunctionTransformer
MODELS = {
    "inherited": Inherited(),
    "decorated": Decorated(),
    "constant": OfConstant(),
    "constant in the body of a class": OfClass(),
    "property": OfProperty(),
    "cached property": OfCachedProperty(),
    "static method": OfStatic(),
    "class method": OfClassMethod(),
    "helper's helper": OfHelper(),
    "helper by name": of_function(turn),
    "import in a method": OfImport(),
    "recursion": Recursive(),
    "instance": of_function(Callable()),
    "bound method": of_function(Callable().__call__),
    "enumeration": of_function(default, kw_args={"factor": Colour.RED}),
    "closure": of_function(closure(EDIT)),
    "default": of_function(default),
    "partial": of_function(partial(closure, factor=EDIT)),
    "partial of one's own": of_function(partial(default)),
    "cached": of_function(cached),
    "vectorized": of_function(np.vectorize(lambda x: EDIT)),
    "class": of_function(default, kw_args={"factor": Base}),
    "scorer": GridSearchCV(SVC(), {"C": [1.0]}, scoring=make_scorer(judge), cv=2),
    "candidate": GridSearchCV(make_pipeline(SVC()), {"svc": [Decorated()]}, cv=2),
}
"""
HELPERS = "from own_constants import factor\ndef turn(X):\n    return factor() * X\n"
CONSTANTS = "FACTOR = EDIT\ndef factor():\n    return FACTOR\n"


def own_models(folder, edit, before=""):
    """The models of a module of one's own, which is loaded from a file with its helpers."""
    texts = {"own_constants": CONSTANTS, "own_helpers": HELPERS, "own_models": OWN}
    for name, text in texts.items():
        path = folder / f"{name}_{edit}_{len(before)}.py"
        path.write_text(before + text.replace("EDIT", edit))
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    try:
        return {name: digest(model) for name, model in sys.modules[name].MODELS.items()}
    finally:
        for name in texts:
            del sys.modules[name]


def test_an_edit_of_what_is_ones_own_counts_wherever_it_is(tmp_path):
    before, after = own_models(tmp_path, "1"), own_models(tmp_path, "2")
    assert [name for name in before if before[name] == after[name]] == []


def test_what_is_ones_own_is_the_same_when_it_is_loaded_again_or_moves_in_its_file(tmp_path):
    first = own_models(tmp_path, "1")
    assert own_models(tmp_path, "1") == first
    assert own_models(tmp_path, "1", before="# a comment\n") == first


def test_a_class_typed_at_a_prompt_counts_by_what_it_is():
    def text(edit):
        code = f"class Typed:\n size = {edit}\n def fit(self, X): return HELPER(X)\n"
        space = {"__name__": "__main__", "HELPER": lambda X: X}
        exec(code, space)
        return digest(space["Typed"]())

    assert text(1) == text(1)
    assert text(1) != text(2)


def test_categories_and_names_of_columns_count():
    values = pd.DataFrame({"a": pd.Categorical(["x", "y"])})
    other = pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["y", "x"])})
    ordered = pd.DataFrame({"a": pd.Categorical(["x", "y"], ordered=True)})
    assert len({digest(values), digest(other), digest(ordered)}) == 3
    assert digest(pd.DataFrame({1: [0.5]})) != digest(pd.DataFrame({"1": [0.5]}))


def test_a_distribution_counts_neither_by_its_use_nor_by_global_randomness():
    search = RandomizedSearchCV(SVC(), {"C": loguniform(1, 10), "degree": randint(1, 4)})
    before = digest(clone(search))
    search.param_distributions["C"].rvs(3)
    assert digest(clone(search)) == before
    search.param_distributions["C"] = loguniform(1, 11)
    assert digest(clone(search)) != before


def test_a_frozen_network_counts_by_what_it_has_learned():
    windows = segment(make_emotion_recordings(2, 2, random_state=0), duration=20.0)

    def fitted(seed):
        network = ModalityAwareAttentionClassifier(max_epochs=1, random_state=seed)
        return FrozenEstimator(network.fit(windows[["ecg"]], windows["label"]))

    network = fitted(0)
    before = digest(network)
    network.predict(windows[["ecg"]])
    assert digest(network) == before
    assert digest(fitted(0)) == before
    other = fitted(0)
    with torch.no_grad():
        next(other.estimator.net_.module_.parameters())[0] += 1
    assert digest(other) != before


def test_signals_count_by_all_that_they_are():
    windows = segment(make_emotion_recordings(2, 2, random_state=0), duration=20.0)[["ecg", "eeg"]]
    same = windows.copy(deep=True)
    assert digest(same) == digest(windows)
    assert digest(windows.iloc[::2].copy()) == digest(windows.iloc[::2])
    assert digest(windows[["eeg", "ecg"]]) != digest(windows)
    assert digest(windows.rename(columns={"ecg": "ppg"})) != digest(windows)
    same["ecg"].array.values[-1, 0, -1] += 1
    assert digest(same) != digest(windows)


def test_signals_have_the_same_digest_in_a_file_and_in_memory(tmp_path):
    pytest.importorskip("pyarrow")
    windows = segment(make_emotion_recordings(2, 2, random_state=0), duration=20.0)
    write_windows(windows, tmp_path / "windows.parquet")
    stored = read_windows(tmp_path / "windows.parquet")
    rows = np.random.default_rng(0).permutation(len(windows))
    assert digest(stored) == digest(windows)
    assert digest(stored.iloc[rows]) == digest(windows.iloc[rows])
    assert digest(stored.iloc[rows]) != digest(stored)


def test_a_text_is_the_same_in_another_process():
    code = (
        "import numpy as np, pandas as pd; from skemo import make_svm, make_dummy;"
        "from skemo.evaluation.digest import digest;"
        "from sklearn.model_selection import GridSearchCV;"
        "model = GridSearchCV(make_svm('passthrough'), {'classifier__C': [1, 2]});"
        "model.set_params(scoring=lambda model, X, y: {'p', 'q', 'r'} and frozenset('pqr'));"
        "frame = pd.DataFrame({'a': ['x', 'y'], 'b': [1.0, 2.0]});"
        "print(digest(model), digest(frame), digest(np.array(['q', 'r'], object)))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


def test_the_index_of_rows_counts():
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    assert digest(frame) != digest(frame.set_axis([1, 0]))


def test_a_module_reaches_another_process_as_it_is_in_this_one(tmp_path, monkeypatch):
    path = tmp_path / "own_module.py"
    path.write_text("SIZE = 1\n")
    spec = importlib.util.spec_from_file_location("own_module", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "own_module", module)
    module.SIZE = 2
    pickled = pickle_by_value(FunctionTransformer(lambda X: X * module.SIZE))
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).transform(1))"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, input=pickled, cwd=tmp_path, capture_output=True, check=True)
    assert run.stdout.strip() == b"2"
