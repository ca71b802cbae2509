"""Code in the text that is the name of something in the API reference becomes a link to it.

Pages stay plain Markdown, readable where they lie: `HRVTransformer` and `skemo.compare` need no
role to be links.
"""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

_NAME = re.compile(r"(?:skemo\.)?([A-Za-z_][\w.]*?)(?:\(\))?")


def setup(app):
    app.add_post_transform(CodeLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class CodeLinks(SphinxPostTransform):
    """Links literals to objects of the same name."""

    default_priority = 5

    def run(self, **kwargs):
        objects = self.env.domaindata["py"]["objects"]
        for literal in list(self.document.findall(nodes.literal)):
            found = _NAME.fullmatch(literal.astext())
            if not found or isinstance(literal.parent, nodes.reference):
                continue
            if any(isinstance(node, nodes.title) for node in _ancestors(literal)):
                continue
            entry = next((name for name in _candidates(found[1]) if name in objects), None)
            if entry is None or objects[entry].docname == self.env.docname:
                continue
            target = objects[entry]
            link = make_refnode(
                self.app.builder, self.env.docname, target.docname, target.node_id, literal.copy()
            )
            link[0] += nodes.Text(literal.astext())
            literal.replace_self(link)


def _candidates(name):
    return [f"skemo.{name}", f"skemo.datasets.{name}", f"skemo.nn.{name}"]


def _ancestors(node):
    while node.parent is not None:
        node = node.parent
        yield node
