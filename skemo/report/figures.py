"""The figures of a report: self-contained SVG in the text colour of the page."""

import io
import re
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from skemo._warnings import ignored_warnings
from skemo.evaluation.scores import PROBABILITY

if TYPE_CHECKING:
    from skemo.evaluation.comparison import Comparison

_TEXT = "#010203"  # stands for the page's text colour while a figure is drawn
_WIDTH = 6.6  # inches
_MAX_COLUMNS = 3
_STYLE: dict[str, Any] = {
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _TEXT,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "lines.color": _TEXT,
    "text.parse_math": False,
    "svg.hashsalt": "skemo",
}


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_subject_scores(comparison: "Comparison", models: Sequence[str], prefix: str) -> str:
    """Draw each subject's score under each model."""
    from skemo.displays.subject_scores import SubjectScoresDisplay

    def draw(figure):
        SubjectScoresDisplay.from_comparison(comparison, models=models, ax=figure.subplots())

    return _draw(draw, (_WIDTH, 1.0 + 0.7 * len(models)), prefix)


def draw_confusion(comparison: "Comparison", models: Sequence[str], prefix: str) -> str:
    """Draw confusion matrices side by side."""
    from skemo.displays.confusion import ConfusionDisplay

    labels = comparison.predictions["y_true"].unique()
    longest = max(len(str(label)) for label in labels)
    side = max(2.0, 0.55 * len(labels))
    beside = 0.6 + (0.07 * longest if len(labels) > 3 else 0)
    below = 0.6 + (0.05 * longest if 0.075 * longest > side / len(labels) else 0)
    n_columns = min(_MAX_COLUMNS, len(models))
    n_rows = -(-len(models) // n_columns)

    def draw(figure):
        ConfusionDisplay.from_comparison(comparison, models=models, ax=figure.subplots())

    return _draw(draw, (beside + side * n_columns, (side + below) * n_rows), prefix)


def draw_predictions(comparison: "Comparison", models: Sequence[str], prefix: str) -> str:
    """Draw predicted against given numbers."""
    from skemo.displays.numbers import PredictionsDisplay

    return _draw_panels(PredictionsDisplay, comparison, models, prefix)


def draw_residuals(comparison: "Comparison", models: Sequence[str], prefix: str) -> str:
    """Draw the errors of predicted numbers over the windows of each subject."""
    from skemo.displays.numbers import ResidualsDisplay

    return _draw_panels(ResidualsDisplay, comparison, models, prefix)


def _draw_panels(display, comparison, models, prefix):
    n_columns = min(_MAX_COLUMNS, len(models))
    n_rows = -(-len(models) // n_columns)

    def draw(figure):
        display.from_comparison(comparison, models=models, ax=figure.subplots())

    return _draw(draw, (0.6 + 2.0 * n_columns, 0.5 + 2.0 * n_rows), prefix)


def draw_calibration(
    comparison: "Comparison", models: Sequence[str], prefix: str, n_bins: int = 10
) -> str:
    """Draw how often predictions of a given confidence are right."""
    from skemo.displays.style import NEUTRAL, color_of
    from skemo.evaluation.calibration import calibration_bins

    columns = [name for name in comparison.predictions if name.startswith(PROBABILITY)]
    classes = [name.removeprefix(PROBABILITY) for name in columns]
    n_columns = min(_MAX_COLUMNS, len(models))
    n_rows = -(-len(models) // n_columns)

    def draw(figure):
        panels = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
        for panel in panels.flat[len(models) :]:
            panel.set_axis_off()
        for i, (model, panel) in enumerate(zip(models, panels.flat, strict=False)):
            own = comparison.predictions
            own = own[own["model"] == model].dropna(subset=columns)
            labels = own["y_true"].astype(str)
            bins = calibration_bins(labels, own[columns].to_numpy(), classes, n_bins)
            bins = bins[bins["n_windows"] > 0]
            sizes = 12 + 180 * bins["n_windows"] / bins["n_windows"].sum()
            panel.plot([0, 1], [0, 1], color=NEUTRAL, linewidth=1, linestyle="--")
            panel.plot(bins["confidence"], bins["accuracy"], color=color_of(i), linewidth=1)
            panel.scatter(bins["confidence"], bins["accuracy"], sizes, color_of(i), alpha=0.8)
            panel.set_title(textwrap.fill(str(model), 24), fontsize="medium")
            panel.set_xlim(1 / len(classes) - 0.04, 1.04)
            panel.set_ylim(-0.04, 1.04)
            panel.spines[["top", "right"]].set_visible(False)
            panel.tick_params(labelsize="small", labelbottom=i + n_columns >= len(models))
            if i % n_columns == 0:
                panel.set_ylabel("Share correct", fontsize="small")
            if i + n_columns >= len(models):
                panel.set_xlabel("Predicted probability", fontsize="small")

    return _draw(draw, (0.6 + 2.0 * n_columns, 0.5 + 2.0 * n_rows), prefix)


def _draw(draw, size, prefix):
    """Draw a figure in matplotlib's default style, whatever the session's, and return its SVG."""
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(_STYLE, after_reset=True):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        if _has_all_glyphs(figure):
            svg = _save(figure)
        else:
            # Keep the text as text: the reader's fonts may have the glyphs that this font lacks.
            with matplotlib.rc_context({"svg.fonttype": "none"}), ignored_warnings():
                svg = _save(figure)
    return _clean(svg, prefix)


def _has_all_glyphs(figure):
    """Whether the font of each text has all of its characters."""
    from matplotlib.font_manager import findfont, get_font
    from matplotlib.text import Text

    texts = figure.findobj(Text)
    for panel in figure.axes:
        texts += [*panel.get_xticklabels(), *panel.get_yticklabels()]  # not set before drawing
    for text in texts:
        font = get_font(findfont(text.get_fontproperties()))
        if not set(map(ord, text.get_text())) - {ord("\n")} <= font.get_charmap().keys():
            return False
    return True


def _save(figure):
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return file.getvalue()


def _clean(svg, prefix):
    """Make the SVG part of a page: no prologue, no global style, and ids unique to this figure."""
    view = re.search(r'<svg [^>]*viewBox="0 0 (\S+) (\S+)"[^>]*>', svg)
    # At full size 10 points are 16 pixels; on a narrow page they shrink to 11 pixels at least.
    size = f"max-width: {1.6 * float(view[1]):.0f}px; min-width: {1.1 * float(view[1]):.0f}px"
    svg = f'<svg viewBox="0 0 {view[1]} {view[2]}" style="{size}">{svg[view.end() :]}'
    for what in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r"<!--.*?-->"):
        svg = re.sub(what, "", svg, flags=re.DOTALL)
    svg = svg.replace("xlink:href", "href").replace(_TEXT, "currentColor")
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}-{m[1]}"' * (m[1] in used), svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{prefix}-", svg)
    # Round coordinates to a hundredth of a point.
    places = r' (?:d|x|y)="[^"]*"|translate\([^)]*\)'
    svg = re.sub(places, lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), svg)
    svg = re.sub(r"base64,[^\"]*", lambda m: re.sub(r"\s", "", m[0]), svg)
    return re.sub(r"\s+", " ", svg).replace("> <", "><").strip()
