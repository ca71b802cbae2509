"""Formulas as MathML, which browsers draw by themselves: no script and no font is loaded."""

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import SphinxError


def setup(app):
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _visit_inline(translator, node):
    _write(translator, node, block=False)


def _visit_block(translator, node):
    _write(translator, node, block=True)


def _write(translator, node, *, block):
    try:
        markup = tex2mathml(node.astext(), as_block=block)
    except MathError as error:
        raise SphinxError(f"The formula {node.astext()!r} cannot be MathML: {error}") from error
    translator.body.append(f'<div class="math">{markup}</div>\n' if block else markup)
    raise nodes.SkipNode
