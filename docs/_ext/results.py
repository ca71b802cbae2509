"""Measurements on the site: every page of benchmarks/results, and the figure of the landing page.

Nothing is copied by hand. Pages and figure are made anew at each build from the files that the
benchmarks wrote; what has not changed is not written again.
"""

import os
import re
import shutil
from pathlib import Path

DOCS = Path(__file__).parents[1]
RESULTS = DOCS.parent / "benchmarks" / "results"
PAGES = DOCS / "benchmarks" / "results"
FIGURE = DOCS / "_static" / "made" / "gap-{}.svg"
INKS = {"light": "#1f2328", "dark": "#e6edf3"}
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def setup(app):
    app.connect("config-inited", lambda app, config: make_pages())
    app.connect("config-inited", lambda app, config: draw_gap())
    app.connect("source-read", _point_links_at_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make_pages():
    """Mirror the results: their pages, and what these link to or show."""
    wanted = {path.relative_to(RESULTS) for path in RESULTS.glob("*.md")}
    for ending in ("html", "svg", "png"):
        wanted |= {path.relative_to(RESULTS) for path in RESULTS.rglob(f"*.{ending}")}
    for old in PAGES.rglob("*.*"):
        if old.relative_to(PAGES) not in wanted:
            old.unlink()
    for name in wanted:
        source, copy = RESULTS / name, PAGES / name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


def read_table(page, heading):
    """Return the first Markdown table below a heading, as a list of rows of cells."""
    text = (RESULTS / page).read_text(encoding="utf-8")
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)^(\|.*?)\n\n", text, re.M | re.S)
    if found is None:
        raise ValueError(f"{RESULTS / page} has no table below the heading {heading!r}.")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[2].split("\n")]
    return [rows[0], *rows[2:]]


def draw_gap():
    """Draw what a split by window adds to each model's score on recordings of 24 people."""
    page = RESULTS / "eegmat.md"
    made = [Path(str(FIGURE).format(mode)) for mode in INKS]
    newest = max(page.stat().st_mtime, Path(__file__).stat().st_mtime)
    if all(path.exists() and path.stat().st_mtime > newest for path in made):
        return
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from skemo.displays.style import COLORS, NEUTRAL

    header, *rows = read_table("eegmat.md", "The gap, raw")
    by_window, by_subject = map(header.index, ("segment-k-fold", "leave-one-subject-out"))
    rows = rows[::-1]
    names = [row[0] for row in rows]
    honest = [float(row[by_subject]) for row in rows]
    optimistic = [float(row[by_window]) for row in rows]
    for mode, path in zip(INKS, made, strict=True):
        ink = INKS[mode]
        settings = {
            "font.size": 10,
            "svg.fonttype": "path",
            "svg.hashsalt": "skemo",
            "text.color": ink,
            "axes.labelcolor": ink,
            "axes.edgecolor": NEUTRAL,
            "xtick.color": ink,
            "ytick.color": ink,
        }
        with mpl.rc_context(settings):
            figure = Figure(figsize=(4.8, 2.9), layout="constrained")
            ax = figure.subplots()
            ax.axvline(50, color=NEUTRAL, linestyle=":", linewidth=1)
            ax.hlines(names, honest, optimistic, color=NEUTRAL, linewidth=2, zorder=1)
            ax.scatter(honest, names, color=COLORS[0], s=55, zorder=2, label="split by subject")
            ax.scatter(
                optimistic,
                names,
                facecolor="white" if mode == "light" else "#14181e",
                edgecolor=COLORS[1],
                linewidth=2,
                s=50,
                zorder=2,
                label="by window, optimistic",
            )
            ax.set(xlabel="balanced accuracy, %", xlim=(45, 100))
            ax.spines[["top", "right", "left"]].set_visible(False)
            ax.tick_params(axis="y", length=0)
            figure.legend(loc="outside upper center", ncols=2, frameon=False)
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, transparent=True, metadata={"Date": None})


def _point_links_at_pages(app, docname, source):
    """Turn links that work where a page lies into links that work on the site."""
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return

    def replace(link):
        text, target, anchor = link[1], link[2], link[3] or ""
        if target.startswith("/"):
            return link[0]
        folder = RESULTS if page.parent == PAGES else page.parent
        path = (folder / target).resolve()
        if path.parent == RESULTS and path.suffix == ".md":
            return f"[{text}](/benchmarks/results/{path.name}{anchor})"
        if path.is_relative_to(RESULTS) and (PAGES / path.relative_to(RESULTS)).exists():
            return f"[{text}](/benchmarks/results/{path.relative_to(RESULTS)})"
        if path == RESULTS:
            return f"[{text}](/benchmarks/index.md)"
        if path.is_relative_to(DOCS) and path.suffix in (".md", ".rst", ".svg"):
            return f"[{text}](/{path.relative_to(DOCS)}{anchor})"
        if path.is_file():
            return f"{{download}}`{text} <{os.path.relpath(path, page.parent)}>`"
        return link[0]

    source[0] = _LINK.sub(replace, source[0])


def landing_numbers():
    """Return what the landing page says of the figure, from the same table."""
    header, *rows = read_table("eegmat.md", "The gap, raw")
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    svm = next(row for row in rows if row["model"] == "SVM")
    gaps = [float(row["gap to leave-one-subject-out"].split()[0]) for row in rows]
    text = (RESULTS / "eegmat.md").read_text(encoding="utf-8")
    return {
        "n_subjects": re.search(r"from (\d+) subjects", text)[1],
        "svm_by_window": svm["segment-k-fold"],
        "svm_by_subject": svm["leave-one-subject-out"],
        "smallest_gap": f"{min(gap for gap in gaps if gap):.0f}",
        "largest_gap": f"{max(gaps):.0f}",
    }
