"""Which EEG bands and channels a classifier relies on, drawn on the head."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skemo._escape import to_printable
from skemo.displays.scalp import draw_head, electrode_positions, name_electrodes
from skemo.displays.style import check_panels
from skemo.features.differential_entropy import DifferentialEntropyTransformer
from skemo.kernels.entropy import BANDS
from skemo.signals.array import SignalArray
from skemo.signals.checks import signal_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_NAMED = 32  # channels; with more, the names would overlap


def band_channel_importance(
    estimator: Any,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    subjects: ArrayLike | None = None,
    n_repeats: int = 5,
    scoring: str | Callable[..., float] = "balanced_accuracy",
    bands: Sequence[str] | None = None,
    reach: float = 0.0,
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Measure how much a fitted classifier's score falls without one band of one channel.

    The values of one band and channel are permuted among the windows, in the input of the last
    steps of a Pipeline, and the score is compared with that of the unpermuted input [1]_. The
    input of a network is a map of bands × channels × sub-windows, where the sub-windows are
    permuted together; that of a classical model is features named ``<band>_<channel>``.

    Neighbouring channels carry much the same information. If only one of them is permuted, a
    model can rely on the others, and all of them look unimportant. With `reach`, a channel is
    permuted together with those around it, which measures the importance of a region.

    Parameters
    ----------
    estimator : classifier or Pipeline
        Fitted. For a search, its best estimator is used.
    X : DataFrame of n_windows rows
        Windows, preferably of subjects that it was not fitted on.
    y : array-like of shape (n_windows,)
        Class labels.
    subjects : array-like of shape (n_windows,), default=None
        The subject of each window: values are then permuted within each subject, which keeps
        the differences between people. If None, they are permuted among all windows.
    n_repeats : int, default=5
        Number of permutations of each band and channel.
    scoring : str or callable, default="balanced_accuracy"
        A scikit-learn scorer, where higher is better. ``"neg_log_loss"`` also reacts to changes
        in the probabilities that do not change a decision.
    bands : sequence of str or None, default=None
        Names of the bands. If None, they are taken from the `DifferentialEntropyTransformer` in
        the Pipeline.
    reach : float, default=0.0
        Distance on a head of radius 1 within which channels of the same band are permuted
        together. Neighbours are 0.4 apart in the 10-20 system and 0.2 in the 10-10 system.
    random_state : int, RandomState instance or None, default=0
        Seed of the permutations.

    Returns
    -------
    DataFrame of n_bands rows
        ``importances["mean"]`` has one column per channel: the mean fall of the score over the
        permutations. ``importances["std"]`` is their standard deviation (divisor n - 1). A
        negative value means that the score rose: by chance, or because what the model learned
        there does not hold for these windows.

    Raises
    ------
    ValueError
        No step takes bands of channels as its input, or the names of the bands are unknown.

    References
    ----------
    .. [1] Breiman (2001). Random forests. Machine Learning 45, 5-32.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skemo.displays.importance import band_channel_importance
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> X, y = pd.DataFrame(X, columns=["alpha_O1", "alpha_O2"]), X[:, 1] > 0
    >>> model = LogisticRegression().fit(X, y)
    >>> band_channel_importance(model, X, y, bands=["alpha"])["mean"].round(1)
            O1   O2
    alpha  0.0  0.5
    """
    if n_repeats < 1:
        raise ValueError(f"n_repeats must be at least 1, got {n_repeats!r}.")
    labels = column_or_1d(y)
    n_windows = len(labels)
    subjects = np.zeros(n_windows) if subjects is None else column_or_1d(subjects)
    check_consistent_length(X, labels, subjects)
    rng = check_random_state(random_state)
    estimator = getattr(estimator, "best_estimator_", estimator)
    model, rows, cells = _find_cells(estimator, X, _band_names(estimator, bands))
    score = check_scoring(model, scoring=scoring)
    best = score(model, rows, labels)
    rows_of = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
    falls: dict[Any, list[float]] = {}
    for cell, together in _neighbours(cells, reach).items():
        falls[cell] = []
        for _ in range(n_repeats):
            order = np.arange(n_windows)
            for own in rows_of:
                order[own] = rng.permutation(own)
            falls[cell].append(best - score(model, _permute(rows, together, order), labels))
    table = pd.DataFrame(falls)
    importances = pd.concat({"mean": table.mean().unstack(), "std": table.std().unstack()}, axis=1)
    bands_found, channels = (table.columns.unique(level) for level in (0, 1))
    columns = pd.MultiIndex.from_product([["mean", "std"], channels])
    return importances.reindex(index=bands_found, columns=columns)


def _band_names(estimator, bands):
    """Return the given names, or those of the transformer found inside the estimator."""
    if bands is not None:
        return [str(band) for band in bands]
    parts = estimator.get_params().values()
    found = {
        tuple(BANDS if part.bands is None else part.bands)
        for part in parts
        if isinstance(part, DifferentialEntropyTransformer)
    }
    if len(found) != 1:
        transformers = "no DifferentialEntropyTransformer"
        if found:
            transformers = f"{len(found)} DifferentialEntropyTransformers with different bands"
        raise ValueError(
            f"The names of the bands are not known: the estimator has {transformers}. Pass the "
            'names in order, as in bands=["theta", "alpha", "beta", "gamma"].'
        )
    return list(found.pop())


def _find_cells(estimator, X, bands):
    """Find the last step of the estimator whose input still has bands and channels.

    Return the steps from there on, their input, and the places of each band and channel in it:
    (column, band, channel) in maps, and (column,) among features.
    """
    n_steps = len(estimator.steps) if isinstance(estimator, Pipeline) else 1
    for first in range(n_steps - 1, -1, -1):
        model = estimator[first:] if first else estimator
        rows = estimator[:first].transform(X) if first else X
        cells = _map_cells(rows, bands)
        cells = cells or _feature_cells(rows, estimator[:first] if first else None, bands)
        if cells:
            return model, rows, cells
    raise ValueError(
        f"No step of {type(estimator).__name__} takes bands of channels as its input. They must be "
        "a signal column of maps (n_bands, n_channels, n_sub_windows), as made by "
        f'DifferentialEntropyTransformer(output="map"), or features with names like {bands[0]}_Cz.'
    )


def _map_cells(rows, bands):
    cells = {}
    for column in signal_columns(rows):
        dtype = rows[column].dtype
        if len(dtype.shape) != 3:
            continue
        n_bands, n_channels, _ = dtype.shape
        if n_bands != len(bands):
            raise ValueError(
                f"{column!r} is a map of {n_bands} bands, but {len(bands)} are named: {bands}."
            )
        channels = dtype.channels or [str(i) for i in range(n_channels)]
        for b, band in enumerate(bands):
            for c, channel in enumerate(channels):
                cells.setdefault((band, channel), []).append((column, b, c))
    return cells


def _feature_cells(rows, before, bands):
    """Return the columns of each band and channel, with all sub-windows (``alpha_F3_0``)."""
    names = getattr(rows, "columns", None)
    if names is None and before is not None:
        try:
            names = before.get_feature_names_out()
        except AttributeError:  # a step without feature names
            return {}
    form = rf"(?:.*(?:__| ))?({'|'.join(map(re.escape, bands))})_(.+?)(?:_\d+)?"
    cells = {}
    for column, name in enumerate(() if names is None else names):
        match = re.fullmatch(form, str(name))
        if match:
            cells.setdefault(match.groups(), []).append((column,))
    return cells


def _neighbours(cells, reach):
    """Return, for each band and channel, the places of the band's channels within reach."""
    if reach == 0:
        return cells
    channels = list(dict.fromkeys(channel for _, channel in cells))
    places = electrode_positions(channels)
    distance = np.linalg.norm(places[:, np.newaxis] - places, axis=-1)
    near = {
        channel: [channels[i] for i in np.flatnonzero(distance[c] <= reach + 1e-9)]
        for c, channel in enumerate(channels)
    }
    return {
        (band, channel): [
            place for other in near[channel] for place in cells.get((band, other), [])
        ]
        for band, channel in cells
    }


def _permute(rows, places, order):
    """Return the rows with the values at these places taken from other rows."""
    if not isinstance(rows, pd.DataFrame):
        rows = rows.copy()
        columns = [column for (column,) in places]
        rows[:, columns] = rows[np.ix_(order, columns)]
        return rows
    rows = rows.copy(deep=False)
    for column, *cell in places:
        if not cell:
            rows.isetitem(column, rows.iloc[order, column].to_numpy())
            continue
        old = rows[column].array
        values = old.values.copy()
        values[:, *cell] = values[order, *cell]
        rows[column] = SignalArray(
            values, sampling_rate=old.dtype.sampling_rate, channels=old.dtype.channels
        )
    return rows


class ChannelImportanceDisplay:
    """Importance of each EEG band and channel, with one head per band, seen from above.

    All heads share one colour scale, with white at 0. Red means that the score falls without
    the band and channel. Blue means that it rises: by chance, or because what the model learned
    there does not hold for these windows. Colours between electrodes are interpolated and have
    no meaning of their own.

    Create it with `from_estimator` or `from_importances`.

    Parameters
    ----------
    importances : DataFrame of n_bands rows
        One column per channel, or as :func:`band_channel_importance` returns it.
    positions : dict of str to (x, y) or None, default=None
        Positions of the electrodes, with the nose at (0, 1) and the right ear at (1, 0). If
        None, they are looked up by name in the 10-10 system, and in MNE's 10-05 system where
        MNE is installed.
    label : str, default="importance"
        Label of the colour bar.

    Attributes
    ----------
    importances_ : DataFrame of n_bands rows
        The values drawn, one column per channel.
    axes_ : ndarray of n_bands matplotlib axes
    figure_ : matplotlib Figure
    images_ : list of AxesImage
        The interpolated importance, one image per band.
    colorbar_ : matplotlib Colorbar

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.displays.importance import ChannelImportanceDisplay
    >>> importances = pd.DataFrame({"Fz": [0.0, 0.1], "Oz": [0.2, 0.0]}, ["alpha", "beta"])
    >>> display = ChannelImportanceDisplay.from_importances(importances)
    >>> [panel.get_title() for panel in display.axes_]
    ['alpha', 'beta']
    """

    def __init__(
        self,
        importances: pd.DataFrame,
        *,
        positions: Mapping[str, Sequence[float]] | None = None,
        label: str = "importance",
    ) -> None:
        self.importances = importances
        self.positions = positions
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        subjects: ArrayLike | None = None,
        n_repeats: int = 5,
        scoring: str | Callable[..., float] = "balanced_accuracy",
        bands: Sequence[str] | None = None,
        reach: float = 0.0,
        random_state: int | np.random.RandomState | None = 0,
        positions: Mapping[str, Sequence[float]] | None = None,
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
    ) -> Self:
        """Measure the importance by permutation, and draw it.

        Parameters
        ----------
        estimator : classifier or Pipeline
            Fitted.
        X : DataFrame of n_windows rows
            Windows, preferably of subjects that it was not fitted on.
        y : array-like of shape (n_windows,)
            Class labels.
        subjects : array-like of shape (n_windows,), default=None
            The subject of each window, to permute within each subject.
        n_repeats : int, default=5
            Number of permutations of each band and channel.
        scoring : str or callable, default="balanced_accuracy"
            A scikit-learn scorer, where higher is better.
        bands : sequence of str or None, default=None
            Names of the bands, as for :func:`band_channel_importance`.
        reach : float, default=0.0
            Distance on the head within which channels are permuted together.
        random_state : int, RandomState instance or None, default=0
            Seed of the permutations.
        positions : dict of str to (x, y) or None, default=None
            Positions of the electrodes.
        ax : matplotlib axes or array of axes, default=None
            Where to draw; a single axes is divided among the bands. A new figure if None.

        Returns
        -------
        ChannelImportanceDisplay
        """
        importances = band_channel_importance(
            estimator,
            X,
            y,
            subjects=subjects,
            n_repeats=n_repeats,
            scoring=scoring,
            bands=bands,
            reach=reach,
            random_state=random_state,
        )
        return cls(importances, positions=positions, label=_describe(scoring)).plot(ax)

    @classmethod
    def from_importances(
        cls,
        importances: pd.DataFrame,
        *,
        positions: Mapping[str, Sequence[float]] | None = None,
        label: str = "importance",
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
    ) -> Self:
        """Draw importances that were computed before, by any method.

        Parameters
        ----------
        importances : DataFrame of n_bands rows
            One column per channel.
        positions : dict of str to (x, y) or None, default=None
            Positions of the electrodes.
        label : str, default="importance"
            Label of the colour bar.
        ax : matplotlib axes or array of axes, default=None
            Where to draw; a single axes is divided among the bands. A new figure if None.

        Returns
        -------
        ChannelImportanceDisplay
        """
        return cls(importances, positions=positions, label=label).plot(ax)

    def plot(
        self,
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
        *,
        names: bool | None = None,
    ) -> Self:
        """Draw one head per band.

        Parameters
        ----------
        ax : matplotlib axes or array of axes, default=None
            Where to draw; a single axes is divided among the bands. A new figure if None.
        names : bool or None, default=None
            Whether to write the electrodes' names; if None, only for up to 32 electrodes.

        Returns
        -------
        self
        """
        table = self.importances
        if not isinstance(table, pd.DataFrame) or 0 in table.shape:
            raise ValueError(
                "importances must be a DataFrame with a row per band and a column per channel, got "
                f"{getattr(table, 'shape', type(table).__name__)}."
            )
        self.importances_ = table["mean"] if table.columns.nlevels == 2 else table
        n_bands, n_channels = self.importances_.shape
        places = self._places()
        if hasattr(ax, "get_subplotspec") or ax is None:
            n_columns = int(np.ceil(np.sqrt(n_bands)))
            n_rows = -(-n_bands // n_columns)
            size = (2.7 * n_columns + 0.9, 2.9 * n_rows)
            panels = check_panels(ax, n_rows=n_rows, n_columns=n_columns, figsize=size).ravel()
        else:
            panels = check_panels(ax, n_columns=n_bands).ravel()
        for panel in panels:
            panel.set_axis_off()
        self.axes_ = panels[:n_bands]
        self.figure_ = panels[0].figure
        values = self.importances_.to_numpy(float)
        if not np.isfinite(values).any(axis=1).all():
            raise ValueError("importances must have a finite number in every band.")
        limit = np.nanmax(np.abs(values))
        limit = limit if np.finfo(np.float32).tiny < limit < np.finfo(np.float32).max else 1.0
        self.images_ = [
            draw_head(panel, places, values.to_numpy(float), limit)
            for panel, (_, values) in zip(self.axes_, self.importances_.iterrows(), strict=True)
        ]
        for panel, band in zip(self.axes_, self.importances_.index, strict=True):
            panel.set_title(to_printable(str(band)))
            if names or (names is None and n_channels <= _MAX_NAMED):
                name_electrodes(panel, places, self.importances_.columns)
        self.colorbar_ = self.figure_.colorbar(
            self.images_[0], ax=list(panels), label=self.label, aspect=30, shrink=0.8
        )
        return self

    def _places(self):
        channels = list(self.importances_.columns)
        if self.positions is None:
            return electrode_positions(channels)
        if not isinstance(self.positions, Mapping) or not set(channels) <= set(self.positions):
            raise ValueError(
                f"positions must be a dict with an entry for each electrode of {channels}, got "
                f"{self.positions!r}."
            )
        return np.array([self.positions[channel] for channel in channels], float)


def _describe(scoring):
    if not isinstance(scoring, str):
        return "fall of the score"
    named = scoring.replace("_", " ")
    return f"rise of {named[4:]}" if named.startswith("neg ") else f"fall of {named}"
