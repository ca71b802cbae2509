"""Escaping of text for files, with one rule per format.

Names of models, subjects and classes come from the user and can contain any character. Escaped,
they cannot break a table or be interpreted as markup, a formula or a command. In all formats,
characters that cannot be written or printed become escape sequences such as ``\\udc80``.
"""

import html
import re
from typing import Any

import pandas as pd

# Control characters except tabs and newlines, other line separators, and lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SPACING = re.compile("[\t\n]")
# Only inline markup: "_" within a word, "[" and a lone "<" or "&" are left alone.
_MARKDOWN = re.compile(r"[\\`*|~$]|(?<!\w)_|_(?!\w)|<(?=[a-z/!?])|\](?=[(\[])|&(?=#?\w+;)", re.I)
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "`": r"\textasciigrave{}",
    "|": r"\textbar{}",
    "[": "{[}",  # at the start of a row, it would be read as an argument of \\
    "]": "{]}",
    "*": "{*}",  # likewise
    "-": "-{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "<": "$<$",
    ">": "$>$",
}
_IN_LATEX = re.compile("-(?=-)|[" + re.escape("".join(_LATEX).replace("-", "")) + "]")
_FORMULA = re.compile("[=+@\t\n＝＋－＠-]")  # first characters of cells that spreadsheets evaluate


def to_printable(text: str) -> str:
    """Return text that any file or terminal can show; tabs and newlines are kept."""
    return _UNPRINTABLE.sub(_escape_sequence, text)


def to_html(text: str) -> str:
    """Escape text for an HTML element or attribute."""
    return html.escape(to_printable(text))


def to_markdown(text: str) -> str:
    r"""Escape text for a cell of a Markdown table.

    Examples
    --------
    >>> from skemo._escape import to_markdown
    >>> print(to_markdown("a|b <i> 2 < 3"))
    a\|b \<i> 2 < 3
    """
    return _MARKDOWN.sub(r"\\\g<0>", _to_line(text))


def to_latex(text: str) -> str:
    r"""Escape text for a cell of a LaTeX table.

    Examples
    --------
    >>> from skemo._escape import to_latex
    >>> print(to_latex("[S_1] 50 %"))
    {[}S\_1{]} 50 \%
    """
    return _IN_LATEX.sub(lambda match: _LATEX[match.group()], _to_line(text))


def to_csv(table: pd.DataFrame) -> str:
    """Write a table as CSV, without its index; numbers have ten significant digits.

    Text that a spreadsheet would evaluate as a formula is prefixed with an apostrophe.

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo._escape import to_csv
    >>> print(to_csv(pd.DataFrame({"subject": ["=1+1", "-1"], "score": [-0.5, 1.0]})), end="")
    subject,score
    '=1+1,-0.5
    -1,1
    """
    safe = table.rename(columns=_to_cell)
    for i in range(table.shape[1]):
        column = table.iloc[:, i]
        if not pd.api.types.is_numeric_dtype(column.dtype):
            safe.isetitem(i, column.astype(object).map(_to_cell))
    return safe.to_csv(index=False, float_format="%.10g", lineterminator="\n")


def _to_cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = to_printable(value)
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _to_line(text: str) -> str:
    return _SPACING.sub(_escape_sequence, to_printable(text))


def _escape_sequence(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
