"""Pieces of a web page, with text that is escaped exactly once, and markup that never is."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from skemo._escape import to_html


class Html(str):
    """Markup. All other text is escaped before it enters the page."""

    __slots__ = ()


def join(children: Iterable[Any]) -> Html:
    """Return pieces of markup and text, one after the other, as markup."""
    return Html("".join(c if isinstance(c, Html) else to_html(str(c)) for c in children))


def tag(name: str, *children: Any, **attributes: Any) -> Html:
    """Return an element.

    Parameters
    ----------
    name : str
        Name of the element.
    *children : Html or str
        Content of the element.
    **attributes : str or None
        Attributes of the element: ``class_`` is written as class, ``aria_label`` as aria-label.
        Those that are None are left out.

    Returns
    -------
    Html

    Examples
    --------
    >>> from skemo.report.html import tag
    >>> tag("p", "p < 0.05: ", tag("strong", "R&D"), class_="note")
    '<p class="note">p &lt; 0.05: <strong>R&amp;D</strong></p>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{to_html(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def bullets(items: Iterable[Any]) -> Html:
    """Return a list with bullets."""
    return tag("ul", *(tag("li", item) for item in items))


def facts(pairs: Iterable[tuple[str, Any]]) -> Html:
    """Return a list of terms and their descriptions."""
    terms = (join([tag("dt", term), tag("dd", said)]) for term, said in pairs)
    return tag("dl", *terms, class_="facts")


def fold_away(summary: str, *content: Any) -> Html:
    """Return content that a click on the summary shows."""
    return tag("details", tag("summary", summary), *content)


def code(text: str, copy: bool = False) -> Html:
    """Return a block of code; with `copy`, a click selects all of it."""
    return tag("pre", tag("code", text), class_="copy" if copy else None)


def scroll(label: str, content: Html) -> Html:
    """Return a box that scrolls sideways on its own, also by keyboard."""
    return tag("div", content, class_="scroll", role="region", aria_label=label, tabindex="0")


def table(
    label: str,
    caption: str,
    head: Sequence[str],
    groups: Iterable[tuple[str | None, Iterable[Sequence[Any]]]],
    texts: Collection[str] = (),
) -> Html:
    """Return a table in a box that scrolls.

    Parameters
    ----------
    label : str
        Name of the table, for readers who cannot see it.
    caption : str
        Text above the table; "" for none.
    head : sequence of str
        Headings of the columns.
    groups : iterable of (title or None, rows)
        A group with a title is set apart. The first cell of a row is the row's heading.
    texts : collection of str, default=()
        The columns of text, which are aligned left; numbers are aligned right.

    Returns
    -------
    Html
    """
    kinds = ["text" if i == 0 or name in texts else None for i, name in enumerate(head)]
    top = tag(
        "tr", *(tag("th", n, scope="col", class_=k) for n, k in zip(head, kinds, strict=True))
    )
    bodies = []
    for title, rows in groups:
        if not rows:
            continue
        lines = []
        if title is not None:
            lines.append(tag("tr", tag("th", title, scope="rowgroup", colspan=len(head))))
        for first, *values in rows:
            cells = [tag("td", c, class_=k) for c, k in zip(values, kinds[1:], strict=True)]
            lines.append(tag("tr", tag("th", first, scope="row"), *cells))
        bodies.append(tag("tbody", *lines, class_=None if title is None else "set-apart"))
    above = [tag("caption", tag("span", caption))] if caption else []
    return scroll(label, tag("table", *above, tag("thead", top), *bodies))


def figure(label: str, caption: str, svg: str) -> Html:
    """Return a figure with its caption, and a text for readers who cannot see it."""
    opening = f'<svg role="img" aria-label="{to_html(label)}" '
    svg = Html(svg.replace("<svg ", opening, 1))
    return tag("figure", scroll(label.split(":")[0], svg), tag("figcaption", caption))
