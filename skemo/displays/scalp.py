"""Positions of electrodes on a head seen from above, and drawings of values at them."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RBFInterpolator

from skemo._escape import to_printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_RING = 72.0  # degrees from the vertex to the ring of Fpz, T7, Oz and T8: 80 % of 90 degrees
_RENAMED = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}


def _on_sphere(azimuth, polar):
    """Return the point at angles in degrees: clockwise from the nose, and down from the vertex."""
    azimuth, polar = np.deg2rad(azimuth), np.deg2rad(polar)
    return np.array(
        [np.sin(polar) * np.sin(azimuth), np.sin(polar) * np.cos(azimuth), np.cos(polar)]
    )


def _flatten(points):
    """Project directions (azimuthal equidistant), with 90 degrees off the vertex as distance 1."""
    polar = np.arctan2(np.hypot(points[:, 0], points[:, 1]), points[:, 2]) / (np.pi / 2)
    azimuth = np.arctan2(points[:, 0], points[:, 1])
    return polar[:, np.newaxis] * np.column_stack([np.sin(azimuth), np.cos(azimuth)])


def _along_arc(middle, end):
    """Return the points at a quarter, half and three quarters of the way along a row."""
    other_end = end * [-1, 1, 1]
    normal = np.cross(middle - other_end, end - other_end)
    normal /= np.linalg.norm(normal)
    centre = normal * (normal @ end)
    angle = np.arctan2(normal @ np.cross(middle - centre, end - centre),
                       (middle - centre) @ (end - centre))  # fmt: skip
    sideways = np.cross(normal, middle - centre)
    return [
        centre + np.cos(share * angle) * (middle - centre) + np.sin(share * angle) * sideways
        for share in (0.25, 0.5, 0.75)
    ]


@functools.cache
def standard_positions() -> dict[str, tuple[float, float]]:
    """Return the positions of the electrodes of the 10-10 system on a head seen from above.

    The head is modelled as a sphere. Along the line from the nose over the vertex to the inion,
    the line from ear to ear, and the ring of Fpz, T7, Oz and T8, neighbouring electrodes are
    10 % of the way apart. Those of the other rows divide the arc through the middle of the row
    and its two ends on the ring. The projection keeps distance and direction from the vertex
    [1]_.

    Returns
    -------
    dict of str to (x, y)
        The nose is at (0, 1), the right ear at (1, 0), Cz at (0, 0). T3, T4, T5 and T6 are the
        older names of T7, T8, P7 and P8.

    References
    ----------
    .. [1] Jurcak, Tsuzuki, Dan (2007). 10/20, 10/10, and 10/5 systems revisited. NeuroImage 34,
       1600-1611.

    Examples
    --------
    >>> from skemo.displays.scalp import standard_positions
    >>> standard_positions()["Oz"]
    (0.0, -0.8)
    """
    points = {}
    rows = (("AF", 36), ("F", 54), ("FC", 72), ("C", 90), ("CP", 108), ("P", 126), ("PO", 144))
    for i, (row, azimuth) in enumerate(rows):
        side = {"FC": "FT", "C": "T", "CP": "TP"}.get(row, row)
        middle = _on_sphere(0, 18.0 * (3 - i))
        for sign, numbers in ((-1, (1, 3, 5, 7, 9)), (1, (2, 4, 6, 8, 10))):
            end = _on_sphere(sign * azimuth, _RING)
            for number, point in zip(numbers[:3], _along_arc(middle, end), strict=True):
                points[f"{row}{number}"] = point
            points[f"{side}{numbers[3]}"] = end
            points[f"{side}{numbers[4]}"] = _on_sphere(sign * azimuth, 90)
        points[f"{row}z"] = middle
    ring = {"Fp1": -18, "Fpz": 0, "Fp2": 18, "O1": -162, "Oz": 180, "O2": 162}
    points |= {name: _on_sphere(azimuth, _RING) for name, azimuth in ring.items()}
    points |= {"Nz": _on_sphere(0, 90), "Iz": _on_sphere(180, 90)}
    points["Cz"] = np.array([0.0, 0.0, 1.0])
    flat = _flatten(np.array(list(points.values()))).round(12) + 0.0
    places = dict(zip(points, map(tuple, flat.tolist()), strict=True))
    return places | {old: places[new] for old, new in _RENAMED.items()}


def electrode_positions(channels: Sequence[str]) -> NDArray[np.floating]:
    """Return the positions of electrodes on a head seen from above.

    Parameters
    ----------
    channels : sequence of str
        Names of the 10-10 system, in upper or lower case. Other names are looked up in MNE's
        10-05 system where MNE is installed.

    Returns
    -------
    ndarray of shape (n_channels, 2)
        As in `standard_positions`.

    Raises
    ------
    ValueError
        A name is unknown.

    Examples
    --------
    >>> from skemo.displays.scalp import electrode_positions
    >>> electrode_positions(["CZ", "Oz"])
    array([[ 0. ,  0. ],
           [ 0. , -0.8]])
    """
    known = {name.lower(): place for name, place in standard_positions().items()}
    if not all(str(name).lower() in known for name in channels):
        known = {name.lower(): place for name, place in _mne_positions().items()} | known
    unknown = [name for name in channels if str(name).lower() not in known]
    if unknown:
        raise ValueError(
            f"No position is known for the electrodes {unknown}, only for those of the 10-10 "
            "system and, with MNE installed, of the 10-05 system. Rename them, or pass "
            'positions={"name": (x, y), ...}, with the nose at (0, 1) and the right ear at (1, 0).'
        )
    return np.array([known[str(name).lower()] for name in channels])


def _mne_positions():
    """Return MNE's positions, measured on a head and projected like ours; none without MNE."""
    try:
        from mne.channels import get_builtin_montages, make_standard_montage
    except ImportError:
        return {}
    newer, older = "colin27_1005", "standard_1005"
    montage = make_standard_montage(newer if newer in get_builtin_montages() else older)
    measured = montage.get_positions()["ch_pos"]
    points = np.array(list(measured.values()))
    # Fit a sphere to them by least squares: |p|^2 = 2 p.c + (r^2 - |c|^2).
    equations = np.column_stack([2 * points, np.ones(len(points))])
    centre = np.linalg.lstsq(equations, (points**2).sum(axis=1), rcond=None)[0][:3]
    up = measured["Cz"] - centre
    up /= np.linalg.norm(up)
    right = measured["T8"] - measured["T7"]
    right -= up * (up @ right)
    right /= np.linalg.norm(right)
    flat = _flatten((points - centre) @ np.column_stack([right, np.cross(up, right), up]))
    places = dict(zip(measured, flat, strict=True))
    ring = [np.linalg.norm(places[name]) for name in ("Fpz", "T7", "Oz", "T8")]
    return {name: tuple(place * 0.8 / np.mean(ring)) for name, place in places.items()}


def interpolate(places: ArrayLike, values: ArrayLike, grid: ArrayLike) -> NDArray[np.floating]:
    """Interpolate smoothly between electrodes, by thin-plate splines.

    Beyond the outermost electrodes, the result tends to the mean of those nearby.

    Parameters
    ----------
    places : array of shape (n_channels, 2)
        Positions of the electrodes on a head of radius 1.
    values : array of shape (n_channels,)
        Electrodes with NaN are left out.
    grid : array of shape (n_points, 2)
        Positions at which to interpolate.

    Returns
    -------
    ndarray of shape (n_points,)
        At an electrode, this is the electrode's value.

    Examples
    --------
    >>> from skemo.displays.scalp import interpolate
    >>> interpolate([[0.0, 0.5], [0.0, -0.5]], [0.0, 1.0], [[0.0, -0.5]]).round(6)
    array([1.])
    """
    known = np.isfinite(np.asarray(values, float))
    points, heights = np.asarray(places, float)[known], np.asarray(values, float)[known]
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    border = 1.5 * np.column_stack([np.cos(angles), np.sin(angles)])
    weight = np.linalg.norm(border[:, np.newaxis] - points, axis=-1) ** -4.0
    beyond = weight @ heights / weight.sum(axis=1)
    spline = RBFInterpolator(np.vstack([points, border]), np.concatenate([heights, beyond]))
    return spline(np.asarray(grid, float))


def draw_head(
    panel: "Axes", places: NDArray[np.floating], values: ArrayLike, limit: float
) -> "AxesImage":
    """Draw interpolated values on a head, coloured from -limit to limit; return the image."""
    from matplotlib.patches import Circle

    side = np.linspace(-1, 1, 101)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    image = panel.imshow(
        interpolate(places, values, grid).reshape(len(side), len(side)),
        extent=(-1.01, 1.01, -1.01, 1.01),
        origin="lower",
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        interpolation="bilinear",
    )
    outline: dict[str, Any] = {"color": "black", "linewidth": 1.2, "clip_on": False}
    head = panel.add_patch(Circle((0, 0), 1, fill=False, **outline))
    image.set_clip_path(head)
    panel.plot([-0.12, 0, 0.12], [0.993, 1.12, 0.993], **outline)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 30)
    for sign in (-1, 1):
        panel.plot(sign * (0.995 + 0.07 * np.cos(angle)), 0.17 * np.sin(angle), **outline)
    panel.plot(*places.T, "o", color="black", markersize=2.5)
    panel.set(xlim=(-1.12, 1.12), ylim=(-1.05, 1.16))
    return image


def name_electrodes(panel: "Axes", places: NDArray[np.floating], channels: Sequence[str]) -> None:
    """Write the name of each electrode below its dot."""
    from matplotlib.patheffects import withStroke

    for (x, y), name in zip(places, channels, strict=True):
        panel.annotate(
            to_printable(str(name)),
            (x, y),
            xytext=(0, -3),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=7.5,
            path_effects=[withStroke(linewidth=1.5, foreground="white", alpha=0.7)],
        )
