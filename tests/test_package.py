"""The package as a whole: its imports, and its docstrings."""

import inspect
import re
import subprocess
import sys

import pytest

import skemo
import skemo.datasets
import skemo.displays

CLASSES = [
    skemo.SignalDtype,
    skemo.SignalArray,
    skemo.HRVTransformer,
    skemo.DifferentialEntropyTransformer,
    skemo.PerSubject,
    skemo.ModalityAwareAttentionClassifier,
]
FUNCTIONS = [
    function
    for function in (getattr(skemo, name) for name in skemo.__all__)
    if inspect.isfunction(function) and inspect.signature(function).parameters
]


def test_importing_skemo_loads_nothing_heavy():
    code = (
        "import sys, skemo\n"
        "heavy = {'torch', 'skorch', 'matplotlib', 'neurokit2', 'scipy', 'pandas', 'sklearn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "skemo.segment, skemo.HRVTransformer, skemo.PerSubject, skemo.compare\n"
        "heavy = {'torch', 'skorch', 'matplotlib', 'neurokit2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_loader_and_segment_are_imported_without_scipy_and_scikit_learn():
    code = (
        "import sys\n"
        "from skemo import read_windows, segment\n"
        "from skemo.datasets import fetch_eegmat\n"
        "assert not {'scipy', 'sklearn', 'skemo.datasets.wesad'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_package_lists_its_lazy_names_and_refuses_others():
    for package in (skemo.datasets, skemo.displays):
        assert set(package.__all__) <= set(dir(package))
        with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute"):
            package.HRV  # noqa: B018


def test_every_public_name_exists_and_is_documented():
    for name in skemo.__all__:
        assert name in dir(skemo)
        if name != "__version__":
            assert inspect.getdoc(getattr(skemo, name))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'skemo' has no attribute 'HRV'"):
        skemo.HRV  # noqa: B018


@pytest.mark.parametrize("documented", [*CLASSES, *FUNCTIONS], ids=lambda x: x.__name__)
def test_documented_defaults_match_the_signature(documented):
    section = inspect.getdoc(documented).split("Parameters\n----------\n")[1]
    section = re.split(r"\n\n\w[\w ]*\n-+\n", section)[0]
    described = {}
    for line in re.split(r"\n(?=[^\s])", re.sub(r"\\\n\s*", "", section)):
        names, _, text = line.partition("\n")[0].partition(" : ")
        for name in names.split(", "):
            described[name.lstrip("*")] = text
    parameters = inspect.signature(documented).parameters
    assert set(described) == set(parameters)
    for name, parameter in parameters.items():
        stated = re.search(r"default=(.+)$", described[name])
        if parameter.default is inspect.Parameter.empty:
            assert stated is None, name
        elif parameter.default is None:
            assert stated is None or stated[1] == "None", name
        else:
            assert stated, name
            value = stated[1].replace('"', "'")
            assert value == repr(parameter.default), name


def test_constructors_only_assign_their_parameters():
    for estimator in CLASSES[2:]:
        assert set(vars(estimator())) == set(inspect.signature(estimator).parameters)
