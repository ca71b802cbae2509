"""What docstrings leave open: marks that only look like markup, and foreign references."""

import re

_TRAILING = re.compile(r"(?<![`\w])([A-Za-z]\w*)_(?=[,)])")  # n_features_in_ is no reference
_STAR = re.compile(r"(?<=[ (])\*(?=[a-z]+[,)])")  # nor does (batch, *shape) begin an emphasis


def setup(app):
    app.connect("autodoc-process-docstring", _escape_marks, priority=400)  # before numpydoc
    app.connect("missing-reference", _leave_as_text)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _escape_marks(app, what, name, obj, options, lines):
    for i, line in enumerate(lines):
        if ">>>" not in line and "``" not in line:
            lines[i] = _STAR.sub(r"\\*", _TRAILING.sub(r"\1\\_", line))


def _leave_as_text(app, env, node, contnode):
    """Terms of scikit-learn's glossary, in what is inherited from it, are not links here."""
    return contnode if node["reftype"] == "term" else None
