"""Which EEG bands and channels a classifier looks at, drawn on the head."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skemo.displays.scalp import draw_head, electrode_positions, name_electrodes
from skemo.displays.style import check_panels
from skemo.features.differential_entropy import DifferentialEntropyTransformer
from skemo.kernels.entropy import BANDS
from skemo.signals.array import SignalArray
from skemo.signals.checks import signal_columns

_MANY = 32  # channels; the names of more would cover each other


def band_channel_importance(
    estimator,
    X,
    y,
    *,
    subjects=None,
    n_repeats=5,
    scoring="balanced_accuracy",
    bands=None,
    reach=0.0,
    random_state=0,
):
    """Measure how much a fitted classifier's score falls without a band of a channel.

    The values of one band and channel are permuted between windows, in what the last steps of
    a Pipeline are given, and the score of that is taken from the score as it is [1]_. A
    network's input is a map of bands by channels by sub-windows, whose sub-windows move
    together; a classical model's are features named ``<band>_<channel>``.

    Neighbouring channels tell much the same. Where one is permuted, a model can do by the
    others, so that all look unimportant. `reach` permutes a channel together with those
    around it: what is measured then is a region.

    Parameters
    ----------
    estimator : classifier or Pipeline
        Fitted; of a search the best one is taken.
    X : DataFrame of n_windows rows
        Windows, best of subjects that it was not fitted on.
    y : array-like of shape (n_windows,)
        Class labels.
    subjects : array-like of shape (n_windows,), default=None
        Permute within each subject, so that what tells people apart stays. None permutes
        among all windows.
    n_repeats : int, default=5
        Permutations of each band and channel.
    scoring : str or callable, default="balanced_accuracy"
        A scorer of scikit-learn, higher is better. ``"neg_log_loss"`` also sees what changes
        probabilities and no decision.
    bands : sequence of str or None, default=None
        Names of the bands. None takes them from the `DifferentialEntropyTransformer` in the
        Pipeline.
    reach : float, default=0.0
        Distance on the head, whose radius is 1, up to which channels of the same band are
        permuted together. Neighbours in the 10-20 system are 0.4 apart, in the 10-10 system 0.2.
    random_state : int, RandomState instance or None, default=0
        Seed of the permutations.

    Returns
    -------
    DataFrame of n_bands rows
        ``importances["mean"]`` has a column a channel: the mean fall of the score over the
        permutations; ``importances["std"]`` their standard deviation (n - 1). Below 0 the score
        rose: by chance, or since what the model learned there doesn't hold for these windows.

    Raises
    ------
    ValueError
        No step is given bands of channels, or the names of the bands are not known.

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
    y = column_or_1d(y)
    subjects = np.zeros(len(y)) if subjects is None else column_or_1d(subjects)
    check_consistent_length(X, y, subjects)
    rng = check_random_state(random_state)
    estimator = getattr(estimator, "best_estimator_", estimator)
    model, rows, cells = _find_cells(estimator, X, _band_names(estimator, bands))
    score = check_scoring(model, scoring=scoring)
    best = score(model, rows, y)
    rows_of = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
    falls = {}
    for cell, together in _neighbours(cells, reach).items():
        falls[cell] = []
        for _ in range(n_repeats):
            order = np.arange(len(y))
            for own in rows_of:
                order[own] = rng.permutation(own)
            falls[cell].append(best - score(model, _permute(rows, together, order), y))
    falls = pd.DataFrame(falls)
    table = pd.concat({"mean": falls.mean().unstack(), "std": falls.std().unstack()}, axis=1)
    bands, channels = (falls.columns.unique(level) for level in (0, 1))
    return table.reindex(
        index=bands, columns=pd.MultiIndex.from_product([["mean", "std"], channels])
    )


def _band_names(estimator, bands):
    """The names given, or those of the transformer that is somewhere inside the estimator."""
    if bands is not None:
        return [str(band) for band in bands]
    parts = estimator.get_params().values()
    found = {
        tuple(BANDS if part.bands is None else part.bands)
        for part in parts
        if isinstance(part, DifferentialEntropyTransformer)
    }
    if len(found) != 1:
        raise ValueError(
            f"The estimator has {len(found) or 'no'} DifferentialEntropyTransformer"
            f"{'s with unlike bands' if found else ''} to tell the names of the bands: pass them "
            'in order, as bands=["theta", "alpha", "beta", "gamma"].'
        )
    return list(found.pop())


def _find_cells(estimator, X, bands):
    """Find what is as near to the classifier as can be and still has bands and channels.

    Return the steps from there on, the rows that they get, and where in these each band and
    channel is: its places are (column, band, channel) in maps, and (column,) among features.
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
        f"No step of {type(estimator).__name__} is given bands of channels: that takes a signal "
        "column of maps (n_bands, n_channels, n_sub_windows), as DifferentialEntropyTransformer"
        f'(output="map") makes them, or features named as {bands[0]}_Cz.'
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
                f"{column!r} is a map of {n_bands} bands, but bands names {len(bands)}: {bands}."
            )
        channels = dtype.channels or [str(i) for i in range(n_channels)]
        for b, band in enumerate(bands):
            for c, channel in enumerate(channels):
                cells.setdefault((band, channel), []).append((column, b, c))
    return cells


def _feature_cells(rows, before, bands):
    """Columns by band and channel; sub-windows, as in alpha_F3_0, belong together."""
    names = getattr(rows, "columns", None)
    if names is None and before is not None:
        try:
            names = before.get_feature_names_out()
        except AttributeError:  # a step has no names
            return {}
    form = rf"(?:.*(?:__| ))?({'|'.join(map(re.escape, bands))})_(.+?)(?:_\d+)?"
    cells = {}
    for column, name in enumerate(() if names is None else names):
        match = re.fullmatch(form, str(name))
        if match:
            cells.setdefault(match.groups(), []).append((column,))
    return cells


def _neighbours(cells, reach):
    """For each band and channel, the places of those of the band within reach."""
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
    """Rows in which what is at these places comes from other rows."""
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
    """Importance of each EEG band and channel, on a head a band, seen from above.

    All heads have one scale of colours, white at 0: red says that the score falls without it,
    blue that it rises, by chance or since the model learned there what doesn't hold for these
    windows. Between electrodes the colour is interpolated, and means nothing of its own.

    Make it with `from_estimator` or `from_importances`.

    Parameters
    ----------
    importances : DataFrame of n_bands rows
        A column a channel, or as :func:`band_channel_importance` returns it.
    positions : dict of str to (x, y) or None, default=None
        Where the electrodes are; the nose is at (0, 1), the right ear at (1, 0). None takes
        them by their names from the 10-10 system, or MNE's 10-05 system where MNE is installed.
    label : str, default="importance"
        Of the scale of colours.

    Attributes
    ----------
    importances_ : DataFrame of n_bands rows
        What is drawn: a column a channel.
    axes_ : ndarray of n_bands matplotlib axes
    figure_ : matplotlib Figure
    images_ : list of AxesImage
        The interpolated importance, a band each.
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

    def __init__(self, importances, *, positions=None, label="importance"):
        self.importances = importances
        self.positions = positions
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        subjects=None,
        n_repeats=5,
        scoring="balanced_accuracy",
        bands=None,
        reach=0.0,
        random_state=0,
        positions=None,
        ax=None,
    ):
        """Measure the importance by permutation, and draw it.

        Parameters
        ----------
        estimator : classifier or Pipeline
            Fitted.
        X : DataFrame of n_windows rows
            Windows, best of subjects that it was not fitted on.
        y : array-like of shape (n_windows,)
            Class labels.
        subjects : array-like of shape (n_windows,), default=None
            Permute within each subject.
        n_repeats : int, default=5
            Permutations of each band and channel.
        scoring : str or callable, default="balanced_accuracy"
            A scorer of scikit-learn, higher is better.
        bands : sequence of str or None, default=None
            Names of the bands, as for :func:`band_channel_importance`.
        reach : float, default=0.0
            Distance on the head up to which channels are permuted together.
        random_state : int, RandomState instance or None, default=0
            Seed of the permutations.
        positions : dict of str to (x, y) or None, default=None
            Where the electrodes are.
        ax : matplotlib axes or array of axes, default=None
            Where to draw; one axes is divided among the bands.

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
    def from_importances(cls, importances, *, positions=None, label="importance", ax=None):
        """Draw importances that are at hand, however they were measured.

        Parameters
        ----------
        importances : DataFrame of n_bands rows
            A column a channel.
        positions : dict of str to (x, y) or None, default=None
            Where the electrodes are.
        label : str, default="importance"
            Of the scale of colours.
        ax : matplotlib axes or array of axes, default=None
            Where to draw; one axes is divided among the bands.

        Returns
        -------
        ChannelImportanceDisplay
        """
        return cls(importances, positions=positions, label=label).plot(ax)

    def plot(self, ax=None, *, names=None):
        """Draw a head a band.

        Parameters
        ----------
        ax : matplotlib axes or array of axes, default=None
            Where to draw; one axes is divided among the bands.
        names : bool or None, default=None
            Write the electrodes' names; None does so for up to 32.

        Returns
        -------
        self
        """
        table = self.importances
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
        limit = np.nanmax(np.abs(self.importances_.to_numpy())) or 1.0
        self.images_ = [
            draw_head(panel, places, values.to_numpy(float), limit)
            for panel, (_, values) in zip(self.axes_, self.importances_.iterrows(), strict=True)
        ]
        for panel, band in zip(self.axes_, self.importances_.index, strict=True):
            panel.set_title(str(band))
            if names or (names is None and n_channels <= _MANY):
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
                f"positions must be a dict with each of the electrodes {channels}, got "
                f"{self.positions!r}."
            )
        return np.array([self.positions[channel] for channel in channels], float)


def _describe(scoring):
    if not isinstance(scoring, str):
        return "fall of the score"
    named = scoring.replace("_", " ")
    return f"rise of {named[4:]}" if named.startswith("neg ") else f"fall of {named}"
