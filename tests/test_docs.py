"""The documentation is complete, its links are valid, and its code runs."""

import importlib
import importlib.util
import re
import warnings
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

import skemo
import skemo.datasets
import skemo.io
import skemo.nn

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RESULTS = ROOT / "benchmarks" / "results"
MADE = {"_build", "gallery", "generated", "made", "results"}  # written by the build
PAGES = [
    path
    for path in sorted([*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")])
    if MADE.isdisjoint(path.relative_to(DOCS).parts)
]
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))
LINKING = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for page in PAGES if page.suffix == ".md"),
]
CODE = re.compile(
    r"(?:<!-- (not run|needs): ([^\n]+) -->\n)?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
REPOSITORY = re.compile(r"https://github\.com/skemo/skemo/(?:blob|tree)/main/")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def documented_names():
    """Return the full names of everything that the pages of the API reference list."""
    names, module, listing = set(), "", False
    for page in sorted((DOCS / "reference").glob("*.rst")):
        for line in page.read_text(encoding="utf-8").splitlines():
            directive = re.match(r"\.\. (\w+):: ?(\S*)", line)
            entry = re.fullmatch(r"   (\w+)", line)
            if directive:
                listing = directive[1] == "autosummary"
                if directive[1] in ("currentmodule", "automodule"):
                    module = directive[2]
            elif entry and listing:
                names.add(f"{module}.{entry[1]}")
    return names


@pytest.mark.parametrize(
    "module", [skemo, skemo.datasets, skemo.io, skemo.nn], ids=lambda x: x.__name__
)
def test_every_public_name_is_in_the_api_reference(module):
    public = {f"{module.__name__}.{name}" for name in module.__all__ if name != "__version__"}
    assert public - documented_names() == set()


def test_what_the_api_reference_lists_is_there():
    for name in documented_names():
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_every_page_of_results_becomes_a_page(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(DOCS / "_ext")
    import results

    monkeypatch.setattr(results, "PAGES", tmp_path)
    results.make_pages()
    assert {path.name for path in tmp_path.glob("*.md")} == {
        path.name for path in RESULTS.glob("*.md")
    }
    assert "results/*" in (DOCS / "benchmarks" / "index.md").read_text(encoding="utf-8")


def test_the_landing_page_finds_its_numbers(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "_ext")
    import results

    numbers = results.landing_numbers()
    used = re.findall(r"\{\{ (\w+) \}\}", (DOCS / "index.md").read_text(encoding="utf-8"))
    assert set(used) == set(numbers)
    assert float(numbers["svm_by_window"]) > float(numbers["svm_by_subject"])


@pytest.mark.parametrize("page", LINKING, ids=name_of)
def test_links_within_the_repository_lead_to_files(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path = unquote(target.partition("#")[0])
        if REPOSITORY.match(path):
            assert (ROOT / REPOSITORY.sub("", path)).exists(), target
            continue
        if not path or re.match(r"[a-z]+:", path):
            continue
        found = page.parent / path
        if "gallery" in Path(path).parts:
            script = DOCS / "examples" / f"{found.name}.py"
            assert found.name == "index" or script.is_file(), target
        else:
            assert found.exists() or found.with_suffix(".rst").is_file(), target


def test_the_readme_has_no_relative_links_which_lead_nowhere_on_pypi():
    targets = LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [target for target in targets if not target.startswith("https://")] == []


@pytest.mark.parametrize(("name", "kind"), skemo.all_estimators())
def test_the_html_of_an_estimator_links_to_its_page(name, kind):
    link = kind.__new__(kind)._get_doc_link()
    page = link.removeprefix("https://skemo.github.io/skemo/reference/generated/")
    assert page == f"skemo.{name}.html"
    assert page.removesuffix(".html") in documented_names()


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_compiles_and_has_a_title(script):
    text = script.read_text(encoding="utf-8")
    compile(text, script.name, "exec")
    assert re.match(r'"""\n(.+)\n=+\n\n', text)
    assert "plt.show()" in text


def test_the_gallery_runs_every_example():
    assert len(EXAMPLES) >= 8
    assert all(re.match(r"plot_\d\d_\w+\.py", script.name) for script in EXAMPLES)
    numbers = [script.name[:7] for script in EXAMPLES]
    assert len(set(numbers)) == len(numbers)


def test_own_csv_files_become_a_report_in_less_than_30_lines():
    text = (DOCS / "examples" / "plot_12_own_csv.py").read_text(encoding="utf-8")
    script = text.partition("# begin\n")[2].partition("# end\n")[0]
    assert 0 < sum(bool(line.strip()) for line in script.splitlines()) < 30
    assert "write_report(" in script


@pytest.mark.parametrize("page", [page for page in PAGES if page.suffix == ".md"], ids=name_of)
def test_code_on_a_page_runs_from_top_to_bottom(page, capsys):
    namespace = {}
    absent = []
    for condition, what, code in CODE.findall(page.read_text(encoding="utf-8")):
        compiled = compile(code, name_of(page), "exec")
        if condition == "needs" and importlib.util.find_spec(what) is None:
            absent.append(what)
        elif condition != "not run":
            with warnings.catch_warnings():
                if condition == "needs":  # other libraries may warn
                    warnings.simplefilter("ignore")
                exec(compiled, namespace)
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}; the other code ran")


def test_an_edf_file_becomes_a_report_in_less_than_15_lines():
    text = (DOCS / "guide" / "devices" / "eeg.md").read_text(encoding="utf-8")
    (script,) = (code for *_, code in CODE.findall(text) if "write_report(" in code)
    assert sum(bool(line.strip()) for line in script.splitlines()) < 15


def test_the_readme_leads_from_own_files_to_a_report(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    script = next(
        code
        for *_, code in CODE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
        if "read_csv" in code
    )
    assert len([line for line in script.splitlines() if line.strip()]) < 30
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recordings").mkdir()
    settings = {"sampling_rates": {"ecg": 128, "eda": 128}, "modalities": ("ecg", "eda")}
    for recording in skemo.datasets.make_emotion_recordings(3, 2, random_state=0, **settings):
        label = recording.labels[0][2]
        columns = {name: values.ravel() for name, values in recording.signals.items()}
        name = f"{recording.subject}_{recording.trial}_{label}.csv"
        pd.DataFrame(columns).to_csv(tmp_path / "recordings" / name, index=False)
    exec(compile(script, "README.md", "exec"), {"__name__": "__main__"})
    assert "majority class" in capsys.readouterr().out
    assert "<html" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(list((tmp_path / "results" / "fits").iterdir())) == 9
