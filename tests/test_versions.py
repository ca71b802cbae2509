"""The version is the same everywhere, and show_versions prints what a bug report needs."""

import re
import tomllib
from pathlib import Path

import skemo
from skemo import _versions
from skemo.evaluation.digest import package_versions

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_the_same_in_the_package_and_its_citation():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = re.search(r"^version: (.+)$", citation, re.M)[1]
    assert skemo.__version__ == PROJECT["version"] == cited


def test_the_versions_of_all_dependencies_are_shown(capsys):
    skemo.show_versions()
    shown = capsys.readouterr().out
    for requirement in PROJECT["dependencies"]:
        name = re.match(r"[\w-]+", requirement)[0]
        assert re.search(rf"^ *{name}: \d", shown, re.M), name
    assert re.search(r"^ *python: 3\.", shown, re.M)
    assert re.search(r"^ *CUDA: ", shown, re.M)


def test_a_missing_package_is_shown_as_not_installed(capsys, monkeypatch):
    monkeypatch.setattr(_versions, "PACKAGES", ("numpy", "not-a-package"))
    skemo.show_versions()
    assert "not-a-package: not installed\n" in capsys.readouterr().out


def test_results_do_not_depend_on_packages_that_are_not_installed(monkeypatch):
    monkeypatch.setattr("skemo.evaluation.digest._SHOWN", ("numpy", "not-a-package"))
    assert set(package_versions()) == {"numpy"}
