"""Names of models, subjects and classes stay what they are in HTML, CSV, Markdown and LaTeX."""

import csv
import html
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from skemo import compare, make_lda, write_report
from skemo._escape import to_csv, to_html, to_latex, to_markdown, to_printable
from skemo.evaluation.scores import format_table

NAMES = [
    *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "＝1"),
    *("<b>bold</b>", "<script>alert(1)</script>", "&amp;", '"quoted"', "it's"),
    *("a|b", "*a*", "_a_", "`a`", "~a~", "$a$", "[a](b)", "\\a", "\\"),
    *("[a]", "*", "a\nb", "a\r\nb", "\x0b", "\x1b[31m", "\u2028"),
    *("\udc80", "\ud800", "a\udfffb", "--", "a,b", "a;b", "{", "}", "%", "#", "^", "é", "🧠"),
]


def line(name):
    """A name as one line of what can be printed."""
    return to_printable(name).replace("\n", "\\n").replace("\t", "\\t")


@pytest.mark.parametrize("name", NAMES)
def test_any_text_can_be_encoded_and_printable_text_stays(name):
    text = to_printable(name)
    text.encode("utf-8")
    assert to_printable(text) == text
    assert all(character.isprintable() or character in "\t\n" for character in text)
    if name.isprintable():
        assert text == name


@pytest.mark.parametrize("name", NAMES)
def test_html_shows_the_name(name):
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, attributes))
    parser.handle_data = found.append
    parser.feed(f'<p title="{to_html(name)}">{to_html(name)}</p>')
    parser.close()
    assert found[0] == ("p", [("title", to_printable(name))])
    assert "".join(found[1:]) == to_printable(name)


@pytest.mark.parametrize("name", NAMES)
def test_markdown_shows_the_name_in_its_cell(name):
    cell = to_markdown(name)
    assert "\n" not in cell
    assert not re.search(r"(?<!\\)(\\\\)*\|", cell)  # no bar without a backslash before it
    # In Markdown, a backslash before punctuation stands for the punctuation.
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell)
    assert shown == line(name)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("SEN & SPE", "SEN & SPE"),
        ("balanced_accuracy", "balanced_accuracy"),
        ("+1.0 [-2.0, +4.0]", "+1.0 [-2.0, +4.0]"),
        ("< 0.001", "< 0.001"),
        ("<i>", r"\<i>"),
        ("&lt;", r"\&lt;"),
        ("[a](b)", r"[a\](b)"),
        ("_a_", r"\_a\_"),
    ],
)
def test_markdown_escapes_what_is_markup_and_nothing_else(text, cell):
    assert to_markdown(text) == cell


@pytest.mark.parametrize("name", NAMES)
def test_latex_has_no_character_that_acts(name):
    text = to_latex(name)
    text.encode("utf-8")
    assert "\n" not in text
    for command in re.findall(r"\\[a-z]+(?:\{\})?", text):
        assert command in {
            *(r"\textbackslash{}", r"\textasciicircum{}", r"\textasciitilde{}"),
            *(r"\textasciigrave{}", r"\textbar{}"),
        }
    rest = re.sub(r"\\[a-z]+\{\}|\\[&%$#_{}]|\{[\[\]*]\}|-\{\}|\$[<>]\$", "", text)
    assert not re.search(r"[\\&%$#_{}^~`|*\[\]]|--", rest)


def test_csv_is_read_as_it_was_written_but_for_formulas():
    table = pd.DataFrame(
        {"name": pd.Series(NAMES, dtype=object), "=score": np.linspace(-1, 1, len(NAMES))}
    )
    rows = list(csv.reader(io.StringIO(to_csv(table), newline="")))
    assert rows[0] == ["name", "'=score"]
    assert len(rows) == 1 + len(NAMES)
    for (cell, score), name, expected in zip(rows[1:], NAMES, table["=score"], strict=True):
        assert cell in (to_printable(name), "'" + to_printable(name))
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
        assert float(score) == pytest.approx(expected)


def test_csv_keeps_numbers_in_text_and_missing_values():
    table = pd.DataFrame({"label": ["-1", "+1", None], "x": [1.0, np.nan, 1e-12]})
    assert to_csv(table) == "label,x\n-1,1\n+1,\n,1e-12\n"


def test_latex_rows_have_no_optional_argument_before_them():
    table = pd.DataFrame({"ACC": ["1", "2"]}, index=["[2cm]", "*"])
    lines = format_table(table, "latex").splitlines()
    assert lines[4:6] == [r"{[}2cm{]} & 1 \\", r"{*} & 2 \\"]


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_a_table_has_a_line_for_each_model(form):
    table = pd.DataFrame({"ACC": ["1"] * len(NAMES)}, index=pd.Index(NAMES, dtype=object))
    text = format_table(table, form)
    text.encode("utf-8")
    extra = {"text": 1, "markdown": 2, "latex": 6}[form]
    assert len(text.splitlines()) == len(NAMES) + extra


def test_a_comparison_with_such_names_is_reported(tmp_path):
    pytest.importorskip("matplotlib")
    # The strings of pandas 3 cannot hold half of a surrogate pair.
    half = "half" if int(pd.__version__.split(".")[0]) >= 3 else "\udc80x"
    names = ["=1+1", "<b>x</b>", "[red]", half, "$\\frac$", "a\nb"]
    subjects = np.repeat(np.array(names, object), 8)
    y = np.tile(np.array(["<no>", "=yes"], object), 24)
    X = np.random.default_rng(0).normal(size=(48, 2)) + (y == "=yes")[:, np.newaxis]
    models = {name: make_lda("passthrough") for name in names}
    comparison = compare(models, X, y, subjects, progress=True)
    page = write_report(comparison, tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.escape("<b>x</b>") in page
    assert "<b>x" not in page
    assert to_printable(half) in page
    comparison._repr_html_().encode("utf-8")
