"""What all displays share: axes, and colours that the colour-blind tell apart."""

import numpy as np

# Okabe and Ito (2008), without yellow, which is too faint on white; black last.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#666666")
NEUTRAL = "#808080"


def check_axes(ax=None, *, figsize=None):
    """Return the axes to draw on: `ax`, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib axes or None
    figsize : (float, float) or None
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


def color_of(i):
    """Return the colour of the i-th thing drawn; they repeat after seven."""
    return COLORS[i % len(COLORS)]


def check_panels(
    ax=None, *, n_rows=1, n_columns=1, figsize=None, height_ratios=None, share_x=False
):
    """Return axes for several panels: in place of `ax`, those given, or of a new figure.

    Parameters
    ----------
    ax : matplotlib axes, sequence of them, or None
        One axes is taken away, and its place parted. Of several there must be as many as
        panels.
    n_rows, n_columns : int, default=1
    figsize : (float, float) or None
        Width and height of a new figure in inches.
    height_ratios : sequence of float, default=None
        Relative heights of the rows.
    share_x : bool, default=False
        Whether the panels that are made have one horizontal axis together.

    Returns
    -------
    ndarray of matplotlib axes, of shape (n_rows, n_columns)

    Raises
    ------
    ValueError
        Another number of axes, or one that stands in no grid.
    """
    n_panels = n_rows * n_columns
    if ax is not None and not hasattr(ax, "get_subplotspec"):
        panels = np.asarray(ax, object)
        if panels.size != n_panels:
            raise ValueError(f"ax has {panels.size} axes, but {n_panels} panels are to be drawn.")
        return panels.reshape(n_rows, n_columns)
    place = check_axes(ax, figsize=figsize)
    spec = place.get_subplotspec()
    if spec is None:
        raise ValueError(
            "ax stands in no grid, and has no place for several panels: make it by plt.subplots, "
            f"or pass {n_panels} axes."
        )
    grid = spec.subgridspec(n_rows, n_columns, height_ratios=height_ratios)
    place.remove()
    return grid.subplots(sharex=share_x, squeeze=False)
