"""Pieces of a web page: markup that is never escaped twice, and text that always is once."""

from html import escape


class Html(str):
    """Markup. Any other text is escaped before it gets into the page."""

    __slots__ = ()


def join(children):
    """Return markup and texts, one after the other, as markup."""
    return Html("".join(c if isinstance(c, Html) else escape(str(c)) for c in children))


def tag(name, *children, **attributes):
    """Return an element.

    Parameters
    ----------
    name : str
        Of the element.
    *children : Html or str
        What it holds.
    **attributes : str or None
        ``class_`` is class, ``aria_label`` is aria-label; None leaves one out.

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
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def bullets(items):
    return tag("ul", *(tag("li", item) for item in items))


def facts(pairs):
    """Return terms and what there is to say of them."""
    terms = (join([tag("dt", term), tag("dd", said)]) for term, said in pairs)
    return tag("dl", *terms, class_="facts")


def fold_away(summary, *content):
    """Return content that is shown on a click."""
    return tag("details", tag("summary", summary), *content)


def code(text, copy=False):
    return tag("pre", tag("code", text), class_="copy" if copy else None)


def scroll(label, content):
    """Return a box that scrolls sideways by itself, by keyboard as well."""
    return tag("div", content, class_="scroll", role="region", aria_label=label, tabindex="0")


def table(label, caption, head, groups, texts=()):
    """Return a table in a box of its own.

    Parameters
    ----------
    label : str
        Its name, for those who do not see it.
    caption : str
        Above it; "" is none.
    head : sequence of str
        Headings of the columns.
    groups : sequence of (title or None, rows)
        A group with a title is set apart. The first cell of a row is its heading.
    texts : sequence of str, default=()
        The columns of text, which stand left; numbers stand right.

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
        for first, *cells in rows:
            cells = [tag("td", c, class_=k) for c, k in zip(cells, kinds[1:], strict=True)]
            lines.append(tag("tr", tag("th", first, scope="row"), *cells))
        bodies.append(tag("tbody", *lines, class_=None if title is None else "set-apart"))
    caption = [tag("caption", tag("span", caption))] if caption else []
    return scroll(label, tag("table", *caption, tag("thead", top), *bodies))


def figure(label, caption, svg):
    """Return a picture, with the text that stands for it where it cannot be seen."""
    opening = f'<svg role="img" aria-label="{escape(label)}" '
    svg = Html(svg.replace("<svg ", opening, 1))
    return tag("figure", scroll(label.split(":")[0], svg), tag("figcaption", caption))
