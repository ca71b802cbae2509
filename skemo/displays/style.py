"""Axes and colours for all displays; colour-blind readers can tell the colours apart."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008), without yellow, which is too faint on white; black last.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#666666")
NEUTRAL = "#808080"


def check_axes(ax: "Axes | None" = None, *, figsize: tuple[float, float] | None = None) -> "Axes":
    """Return the axes to draw on: `ax`, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib axes or None, default=None
    figsize : (float, float) or None, default=None
        Width and height of a new figure in inches.

    Returns
    -------
    matplotlib axes

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'Displays need matplotlib, which is not installed: pip install "skemo[plot]".'
        ) from error
    return plt.subplots(figsize=figsize, layout="constrained")[1]


def color_of(i: int) -> str:
    """Return the colour of the i-th item drawn; the colours repeat after seven."""
    return COLORS[i % len(COLORS)]


def check_panels(
    ax: Any = None,
    *,
    n_rows: int = 1,
    n_columns: int = 1,
    figsize: tuple[float, float] | None = None,
    height_ratios: Sequence[float] | None = None,
    share_x: bool = False,
) -> NDArray[Any]:
    """Return axes for several panels: in the place of `ax`, as given, or in a new figure.

    Parameters
    ----------
    ax : matplotlib axes, sequence of them, or None, default=None
        A single axes is removed and its place divided among the panels. A sequence must have
        one axes per panel.
    n_rows, n_columns : int, default=1
    figsize : (float, float) or None, default=None
        Width and height of a new figure in inches.
    height_ratios : sequence of float, default=None
        Relative heights of the rows.
    share_x : bool, default=False
        Whether the new panels share one horizontal axis.

    Returns
    -------
    ndarray of matplotlib axes, of shape (n_rows, n_columns)

    Raises
    ------
    ValueError
        The number of axes is not the number of panels, or a single axes is not part of a grid.
    """
    n_panels = n_rows * n_columns
    if ax is not None and not hasattr(ax, "get_subplotspec"):
        panels = np.asarray(ax, object)
        if panels.size != n_panels:
            raise ValueError(f"ax has {panels.size} axes, but there are {n_panels} panels to draw.")
        return panels.reshape(n_rows, n_columns)
    place = check_axes(ax, figsize=figsize)
    spec = place.get_subplotspec()
    if spec is None:
        raise ValueError(
            "ax is not part of a grid, so several panels cannot take its place: make it with "
            f"plt.subplots, or pass {n_panels} axes."
        )
    grid = spec.subgridspec(n_rows, n_columns, height_ratios=height_ratios)
    place.remove()
    return grid.subplots(sharex=share_x, squeeze=False)
