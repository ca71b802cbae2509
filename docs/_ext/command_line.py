"""What the command line says about itself, for the page that shows it."""

import contextlib
import io
import os
from pathlib import Path

MADE = Path(__file__).parents[1] / "reference" / "made"


def setup(app):
    app.connect("config-inited", lambda app, config: write_help())
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_help():
    """Write what the commands print for ``--help``, 80 columns wide, without colours."""
    for command in ("compare", "live"):
        _write_help(command)


def _write_help(command):
    from skemo.cli.main import main

    before = dict(os.environ)
    os.environ |= {"COLUMNS": "80", "NO_COLOR": "1"}
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main([command, "--help"])
    finally:
        os.environ.clear()
        os.environ.update(before)
    path, text = MADE / f"{command}.txt", printed.getvalue()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        MADE.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
