"""The report: one self-contained page that agrees with the comparison and can be read."""

import re
import shutil
import sys
import warnings
from collections import defaultdict
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skemo import (
    EDATransformer,
    HRVTransformer,
    compare,
    make_dummy,
    make_modality_transformer,
    segment,
)
from skemo.datasets import make_emotion_recordings
from skemo.evaluation.leakage import format_findings
from skemo.evaluation.statistics import bootstrap_interval
from skemo.report import find_outcomes, write_outcomes, write_report

EVIL = "<script>a('1')</script> & \"$x$\""
SECTIONS = [
    "What was run",
    "Scores",
    "Differences and tests",
    "Figures",
    "Probabilities",
    "What the searches chose",
    "Leakage",
    "Failures and warnings",
    "Folds and models",
    "What to write in a paper",
    "Reproduce",
]
VOID = {"meta", "link", "br", "path", "use", "image", "rect"}


class Temperamental(ClassifierMixin, BaseEstimator):
    """Fails on some folds, and warns in the others."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if round(X[:, 0].sum()) % 2:
            raise RuntimeError("the <matrix> is singular")
        warnings.warn("did not <converge>", RuntimeWarning, stacklevel=1)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[0], len(X))


def make_features(n_subjects=8, n_rows=20, effect=2.0, level=1.0, random_state=0):
    """Features shifted by `effect` between classes, and by `level` between subjects."""
    rng = np.random.default_rng(random_state)
    y = np.tile(["calm", "R&D <stress>"], n_subjects * n_rows // 2)
    subjects = np.repeat([f"s{i}" for i in range(n_subjects)], n_rows)
    X = rng.normal(size=(len(y), 3)) + effect * (y == "calm")[:, np.newaxis]
    X[:, 1:] += np.repeat(level * rng.normal(size=(n_subjects, 2)), n_rows, axis=0)
    return X, y, subjects


def run_quietly(*args, **options):
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        return compare(*args, **options)


@pytest.fixture(scope="module")
def comparison():
    tree = DecisionTreeClassifier(random_state=0)
    models = {
        EVIL: LinearDiscriminantAnalysis(),
        "weak": make_dummy("passthrough"),
        "searched": GridSearchCV(tree, {"max_depth": [1, 2]}, cv=2),
        "fails": Temperamental(),
    }
    return run_quietly(models, *make_features(), controls=("majority", "permuted"))


@pytest.fixture(scope="module")
def report(comparison, tmp_path_factory):
    return write_report({None: comparison}, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture
def without_matplotlib(monkeypatch):
    """Leave out the figures, for speed, and because a report must work without them."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)


class Page(HTMLParser):
    """Parse a page: check that each element is closed, and collect its text and tables."""

    def __init__(self, path):
        super().__init__()
        self.open, self.ids, self.text = [], [], defaultdict(str)
        self.tables, self.marked = {}, defaultdict(list)
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag not in VOID or self.source[self.offset_of_tag() :].startswith("</"):
            self.open.append((tag, attributes.get("aria-label") or attributes.get("class")))
        if tag == "table":
            self.table = self.tables.setdefault(self.open[-2][1], [])
        elif tag == "tr":
            self.table.append([])
        elif tag in ("th", "td"):
            self.table[-1].append("")

    def offset_of_tag(self):
        lines = self.source.splitlines(keepends=True)
        line, column = self.getpos()
        return len("".join(lines[: line - 1])) + column + len(self.get_starttag_text())

    def handle_startendtag(self, tag, attributes):
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tags = [tag for tag, _ in self.open]
        for tag, name in self.open:
            self.text[tag] += data
            self.text[name] += data
        if "table" in tags and ("th" in tags or "td" in tags):
            self.table[-1][-1] += data
            if tags[-1] == "strong":
                self.marked[self.open[tags.index("table") - 1][1]].append(data)


@pytest.fixture(scope="module")
def page(report):
    return Page(report)


def test_elements_are_closed_and_ids_are_unique(page):
    assert len(page.ids) == len(set(page.ids))
    pointed = re.findall(r'(?:href="#|url\(#)([^")]+)', page.source)
    assert set(pointed) <= set(page.ids)
    assert {"main", "nav", "section", "caption", "figure", "details"} <= set(page.text) | {"figure"}


def test_nothing_is_loaded_from_elsewhere(page):
    assert not re.search(r"https?:|<script|@import|\bsrc=|url\((?!#)", page.source)
    loaded = re.findall(r'href="([^"]*)"', page.source)
    assert all(one.startswith(("#", "data:")) for one in loaded)
    assert "default-src 'none'" in page.source


def test_names_given_by_users_are_escaped(page):
    assert EVIL in page.text["main"]
    assert "R&D <stress>" in page.text["facts"]
    assert "RuntimeError: the <matrix> is singular" in page.text["alarm"]
    assert "<script" not in page.source


def test_all_sections_are_there_and_in_the_contents(page):
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page.source)
    assert headings == SECTIONS
    assert page.text["Contents"] == "".join(SECTIONS)
    assert page.source.count("<h1>") == 1


def test_the_table_is_that_of_the_comparison_with_controls_set_apart(page, comparison):
    head, *rows = page.tables["Scores"]
    expected = comparison.table()
    assert [name for name in head if name not in ("model", "95 % interval")] == list(expected)
    place = rows.index(["Controls"])
    assert [row[0] for row in rows[:place]] == [EVIL, "weak", "searched", "fails"]
    assert rows[-1][0] == "majority class"
    at = head.index("95 % interval")
    for name, *cells in rows[:place] + rows[place + 1 :]:
        assert [*cells[: at - 1], *cells[at:]] == expected.loc[name].tolist()
    scores = comparison.subject_scores().query("model == @EVIL")["balanced_accuracy"]
    low, high = bootstrap_interval(scores)
    assert rows[0][at] == f"{100 * low:.1f} to {100 * high:.1f}"


def test_the_best_value_of_each_column_is_marked(page, comparison):
    table = comparison.table()
    head = [name for name in table if name not in ("failed", "ROC AUC")]
    assert set(page.marked["Scores"]) >= set(table.loc[EVIL, head])


def test_pairs_of_models_are_corrected_for_their_number_and_not_for_the_controls(page, comparison):
    _, *rows = page.tables["Differences between models"]
    models = [EVIL, "weak", "searched", "fails"]
    texts = {name: comparison.details["models"][name] for name in models}
    own = comparison.scores["model"].isin(models)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = replace(
            comparison,
            scores=comparison.scores[own],
            details=comparison.details | {"models": texts},
        ).test()
    assert len(rows) == len(expected) == 6
    assert [row[0] for row in rows[:3]] == [EVIL] * 3
    for row, test in zip(rows[:3], expected.iloc[:3].itertuples(), strict=True):
        assert row[:2] == [test.model, test.other]
        assert row[2] == f"{100 * test.mean_difference:+.1f}"
        assert row[6] == f"{test.p_corrected:.3f}"[: len(row[6])]
        assert row[7:] == [f"{test.better} / {test.worse} / {test.same}", f"{test.left_out}"]
    assert rows[2][8] == f"{(comparison.failures['model'] == 'fails').sum()}"


def test_a_planted_effect_is_established_in_words(page, comparison):
    mean = 100 * comparison.summary().loc[EVIL, ("balanced_accuracy", "mean")]
    said = page.text["outcome"]
    assert f"{EVIL} has the highest balanced accuracy of {mean:.1f} % on average over 8" in said
    assert "It is established that it is better than itself on permuted labels" in said
    assert "It is established that it is better than the majority class (50.0 %)" in said


@pytest.mark.usefixtures("without_matplotlib")
def test_no_effect_is_not_established_and_few_subjects_cannot_establish_one(tmp_path):
    models = {"one": LinearDiscriminantAnalysis(), "other": GaussianNB()}
    for n_subjects, cannot in ((12, False), (4, True)):
        result = compare(models, *make_features(n_subjects, effect=0.0), controls=["majority"])
        said = Page(write_report({None: result}, tmp_path / "report.html")).text["outcome"]
        assert "which is not established" in said or "scores the same" in said
        assert "It is not established that it differs from the majority class (50.0 %)" in said
        lost = "cannot establish a difference between the models or a difference from the majority"
        assert (lost in said) == cannot


@pytest.mark.usefixtures("without_matplotlib")
def test_differences_are_seen_from_the_best_model_wherever_it_stands(tmp_path):
    models = {"weak": make_dummy("passthrough"), "LDA": LinearDiscriminantAnalysis()}
    result = compare(models, *make_features(10, effect=1.0))
    (test,) = result.test().itertuples()
    page = Page(write_report({None: result}, tmp_path / "report.html"))
    ((model, other, difference, interval, *_, counts),) = page.tables["Differences between models"][
        1:
    ]
    assert (test.model, test.other) == (other, model) == ("weak", "LDA")
    assert difference == f"{-100 * test.mean_difference:+.1f}"
    assert interval == f"{-100 * test.high:+.1f} to {-100 * test.low:+.1f}"
    assert counts == f"{test.worse} / {test.better} / {test.same}"
    assert "which is established (Wilcoxon over subjects: p = 0.00" in page.text["outcome"]


@pytest.mark.usefixtures("without_matplotlib")
def test_failed_fits_of_the_best_model_are_mentioned(tmp_path, comparison):
    failures = comparison.failures.query("model == 'fails'").assign(model=EVIL)
    result = replace(comparison, failures=failures)
    said = Page(write_report({None: result}, tmp_path / "report.html")).text["outcome"]
    assert f"However, {len(failures)} of its 8 fits failed" in said


@pytest.mark.usefixtures("without_matplotlib")
def test_a_model_that_always_failed_is_reported_beside_its_control(tmp_path, without_matplotlib):
    X, y, subjects = make_features(n_subjects=4)
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [-1.0]})
    result = run_quietly({"fails": search}, X, y, subjects, controls=["majority"])
    page = Page(write_report(result, tmp_path / "report.html"))
    assert (
        page.text["outcome"].lstrip().startswith("All fits of fails failed, so there is no score.")
    )
    assert "on average over 0 subjects" not in page.text["main"]
    assert "– to –" not in page.text["main"]
    assert "It could not be tested against the majority class (50.0 %)." in page.text["p"]


def test_a_majority_class_below_a_guess_is_no_chance_level(tmp_path):
    X, y, subjects = make_features(4)
    groups = pd.DataFrame({"subject": subjects, "trial": np.arange(len(y))})
    options = {"protocol": "leave-one-trial-out", "controls": ["majority"]}
    result = compare({"NB": GaussianNB()}, X, y, groups, **options)
    page = Page(write_report({None: result}, tmp_path / "report.html"))
    said = page.text["outcome"]
    assert "That it beats the majority class (0.0 %) means nothing here" in said
    assert "is established" not in said
    assert "less than the 50.0 % of a guess" in page.text["main"]


@pytest.mark.usefixtures("without_matplotlib")
def test_a_comparison_of_one_model_without_controls_asks_for_them(tmp_path):
    result = compare({"NB": GaussianNB()}, *make_features(3))
    page = Page(write_report({None: result}, tmp_path / "report.html", title=EVIL))
    assert page.text["h1"] == page.text["title"] == EVIL
    assert 'pass controls=("majority", "permuted")' in page.text["outcome"]
    assert "What the searches chose" not in page.text["h2"]
    assert "No subject, trial or second is on both sides" in page.text["main"]
    assert "No figures, because matplotlib is not installed" in page.text["main"]
    assert "No fit failed or gave a warning." in page.text["main"]


def test_failures_warnings_and_choices_are_counted(page, comparison):
    n_failed = (comparison.failures["model"] == "fails").sum()
    assert 0 < n_failed < 8
    assert f"fails failed in {n_failed} of 8 fits: RuntimeError" in page.text["alarm"]
    _, *rows = page.tables["Warnings"]
    assert rows[0][:3] == ["did not <converge>", "RuntimeWarning", "fails, fails, labels permuted"]
    assert int(rows[0][3]) == len(comparison.warnings)
    _, *rows = page.tables["Chosen hyper-parameters"]
    assert rows[0][:2] == ["searched", "max_depth"]
    assert sum(int(n) for n in re.findall(r": (\d+)", rows[0][2])) == 8


def test_every_fold_and_model_is_in_the_folded_parts(page, comparison):
    head, *rows = page.tables["Scores of each fold"]
    assert head[3:] == [
        *(EVIL, "weak", "searched", "fails"),
        *(name for name in comparison.models if "permuted" in name or name == "majority class"),
    ]
    scores = comparison.fold_scores().query("model == @EVIL")["balanced_accuracy"]
    assert [row[3] for row in rows] == [f"{100 * score:.1f}" for score in scores]
    assert [row[0] for row in rows] == [f"{i}: s{i}" for i in range(8)]
    assert "LinearDiscriminantAnalysis()" in page.text["details"]
    assert comparison.details["code"] in page.text["copy"]


def test_light_dark_print_and_narrow_pages_have_their_styles(page):
    for condition in ("prefers-color-scheme: dark", "print", "max-width"):
        assert f"@media {condition}" in page.source or f"@media ({condition}" in page.source
    assert '<meta name="viewport" content="width=device-width' in page.source


def test_figures_take_the_colour_of_the_page_and_have_a_text_alternative(page):
    pictures = re.findall(r'<svg role="img" aria-label="([^"]*)" viewBox="0 0 ', page.source)
    assert [text.split(":")[0] for text in pictures] == [
        "Balanced accuracy of each subject by model",
        "Confusion matrices",
        "Calibration curves",
    ]
    assert "currentColor" in page.source
    assert "010203" not in page.source


def test_names_with_glyphs_that_matplotlib_lacks_stay_text():
    from skemo.report.figures import draw_calibration

    result = compare({"模型 α=0.00123 $_x$": GaussianNB()}, *make_features(3))
    svg = draw_calibration(result, result.models, "a")
    assert "模型 α=0.00123 $_x$" in svg
    assert svg == draw_calibration(result, result.models, "a")


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    models = {"LDA": LinearDiscriminantAnalysis(), "tree": DecisionTreeClassifier(random_state=0)}
    options = {"n_splits": 4, "controls": ["majority"], "n_repeats": 2}
    results = {
        f'{protocol}, "raw"': run_quietly(
            models, *make_features(level=4.0), protocol=protocol, **options
        )
        for protocol in ("group-k-fold", "segment-k-fold")
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        path = write_report(results, tmp_path_factory.mktemp("several") / "new" / "report.html")
    return results, Page(path)


def test_several_comparisons_have_one_section_each_and_say_once_what_they_share(several):
    results, page = several
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", page.source)
    assert list(map(unescape, headings)) == [
        "Common to all comparisons",
        "The gap between protocols",
        *results,
    ]
    assert page.text["Contents"] == unescape("".join(headings))
    assert page.source.count("<dt>Classes</dt>") == 1
    assert page.source.count("<dt>Protocol</dt>") == 2
    assert "seeds 0 to 1" in page.text["facts"]


def test_an_optimistic_protocol_is_a_warning(several):
    results, page = several
    assert "Optimistic: these scores say nothing about new people." in page.text["alarm"]
    assert format_findings(results['segment-k-fold, "raw"'].leakage) in page.text["alarm"]
    assert "This should not be there" in page.text["alarm"]
    assert "group-k-fold" not in page.text["alarm"]
    assert "segment-k-fold" not in page.text["outcome"]


def test_the_gap_agrees_with_that_of_the_comparisons(several):
    results, page = several
    honest, optimistic = results.values()
    gap = honest.gap(optimistic)
    head, *rows = page.tables['Gap from group-k-fold, "raw" to segment-k-fold, "raw"']
    assert head == ["model", *gap.columns[:3], "95 % interval"]
    assert [row[0] for row in rows] == ["LDA", "tree"]
    for row in rows:
        expected = gap.loc[row[0]]
        assert row[1] == f"{100 * expected.iloc[0]:.1f}"
        assert float(row[3].replace("−", "-")) == pytest.approx(100 * expected["gap"], abs=0.05)


@pytest.mark.usefixtures("without_matplotlib")
def test_comparisons_with_different_normalisations_have_no_gap(several, tmp_path):
    honest, optimistic = several[0].values()
    for headings in (("group-k-fold, raw", "segment-k-fold, per-subject"), ("a", "b")):
        results = dict(zip(headings, (honest, optimistic), strict=True))
        page = Page(write_report(results, tmp_path / "report.html"))
        assert ("The gap between protocols" in page.text["h2"]) == (headings == ("a", "b"))


@pytest.mark.usefixtures("without_matplotlib")
def test_a_page_with_another_comparison_keeps_the_sections_of_the_first(several, tmp_path):
    (first, one), (second, other) = several[0].items()
    outcomes = find_outcomes({first: one})
    write_outcomes(outcomes, tmp_path / "first.html", "A page")
    sections = outcomes[first].sections["c1"]
    outcomes |= find_outcomes({second: other})
    path = write_outcomes(outcomes, tmp_path / "both.html", "A page")
    assert outcomes[first].sections["c1"] is sections
    whole = write_report(several[0], tmp_path / "whole.html", title="A page")
    assert path.read_text(encoding="utf-8") == whole.read_text(encoding="utf-8")


def test_the_report_of_ten_models_and_24_subjects_is_small(tmp_path):
    result = compare({f"model {i}": GaussianNB() for i in range(10)}, *make_features(24, 10))
    path = write_report({None: result}, tmp_path / "report.html")
    assert path.stat().st_size < 500_000
    _, *rows = Page(path).tables["Differences between models"]
    assert len(rows) == 9
    assert {row[0] for row in rows} == {"model 0"}


@pytest.mark.usefixtures("without_matplotlib")
def test_a_report_that_cannot_be_written_leaves_nothing_behind(several, tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError):  # noqa: PT011
        write_report(several[0], tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_comparisons_need_headings():
    with pytest.raises(ValueError, match="There is no comparison to report: pass a Comparison"):
        write_report({}, "report.html")
    with pytest.raises(ValueError, match="Only a single comparison may have the heading None"):
        write_report({None: None, "a": None}, "report.html")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium to open the report with")
    with playwright.sync_playwright() as driver:
        args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=chromium, args=args)
        yield browser
        browser.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_a_browser_shows_it_at_any_width_without_messages_or_requests(browser, report, scripts):
    colours = set()
    for width, scheme in ((1200, "light"), (390, "dark")):
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            java_script_enabled=scripts,
        )
        opened, said, asked = context.new_page(), [], []
        opened.on("console", lambda message, said=said: said.append(message.text))
        opened.on("pageerror", lambda error, said=said: said.append(str(error)))
        opened.on("request", lambda request, asked=asked: asked.append(request.url))
        opened.goto(report.as_uri())
        assert said == []
        assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
        if scripts:
            assert opened.evaluate("document.documentElement.scrollWidth") == width
            style = "getComputedStyle(document.body)"
            colours.add(opened.evaluate(f"{style}.color + {style}.backgroundColor"))
        assert opened.locator("figure svg").count() == 3
        assert opened.locator("h2").last.is_visible()
        context.close()
    assert len(colours) == (2 if scripts else 0)


def test_missing_windows_are_counted_by_modality(comparison, tmp_path, without_matplotlib):
    data = comparison.details["data"] | {"missing": {"ecg": 3, "eeg": 0, "eda": 12}}
    told = replace(comparison, details=comparison.details | {"data": data})
    text = Page(write_report({None: told}, tmp_path / "report.html")).text["html"]
    assert "Missing windowsecg 3, eda 12" in re.sub(r"\s*\n\s*", "", text)


def test_windows_whose_ecg_shows_no_heartbeats_are_counted(tmp_path, without_matplotlib):
    recordings = make_emotion_recordings(n_subjects=4, modalities=("ecg", "eda"), random_state=0)
    rng = np.random.default_rng(0)
    for i, recording in enumerate(recordings):
        noise = rng.normal(size=recording.signals["ecg"].shape)
        if i % 4:  # of most recordings, the electrode was off
            recordings[i] = replace(recording, signals={**recording.signals, "ecg": noise})
    windows = segment(recordings, 10)
    features = make_modality_transformer(ecg=HRVTransformer(), eda=EDATransformer())
    model = make_dummy(features)
    with pytest.warns(UserWarning, match="windows of 'ecg' .* come out missing"):
        found = compare({"majority": model}, windows, windows["label"], groups=windows)
    n_lost = found.details["data"]["missing"]["ecg"]
    assert 0.5 * len(windows) < n_lost < len(windows)
    text = Page(write_report({None: found}, tmp_path / "report.html")).text["html"]
    assert f"Missing windowsecg {n_lost}" in re.sub(r"\s*\n\s*", "", text)
    assert f"{n_lost} of {len(windows)} windows of ecg are missing." in text
    assert "windows of eda are missing" not in text
