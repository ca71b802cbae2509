"""Quality of a recording's signals over time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from skemo._escape import to_printable
from skemo.displays.style import NEUTRAL, check_panels
from skemo.signals.recording import Recording

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_IN_MINUTES = 300.0  # s; longer recordings have their time axis in minutes
_HATCHED = {"facecolor": "none", "edgecolor": "white", "hatch": "////", "linewidth": 0}


class QualityDisplay:
    """How far each signal of a recording can be trusted, over time.

    There is one strip per signal, dark where the quality (:class:`skemo.QualityTransformer`) is
    low; the strip of an EEG has one row per channel. Stretches below `min_quality` are hatched,
    and missing ones are blank.

    Use `from_recording` to make one.

    Parameters
    ----------
    quality : dict of str to DataFrame
        One table per signal, as returned by
        :func:`skemo.features.artefacts.recording_quality`: one row per stretch, indexed by the
        time of its middle in seconds, and one column per channel.
    min_quality : float or None, default=None
        The quality below which a stretch is hatched.
    title : str, default=""
        Title of the figure, such as the subject.

    Attributes
    ----------
    axes_ : dict of str to matplotlib axes
        Axes of the strip of each signal.
    figure_ : matplotlib figure
        The figure.
    images_ : dict of str to matplotlib QuadMesh
        Coloured mesh of the strip of each signal.

    Examples
    --------
    >>> from skemo import QualityDisplay
    >>> from skemo.datasets import make_emotion_recordings
    >>> recording = make_emotion_recordings(n_subjects=1, random_state=0)[0]
    >>> list(QualityDisplay.from_recording(recording).axes_)
    ['ecg', 'eda', 'eeg']
    """

    def __init__(
        self,
        quality: Mapping[str, pd.DataFrame],
        *,
        min_quality: float | None = None,
        title: str = "",
    ) -> None:
        self.quality = quality
        self.min_quality = min_quality
        self.title = title

    def plot(self, ax: "Axes | None" = None, *, width: float = 7.5) -> Self:
        """Draw the strips.

        Parameters
        ----------
        ax : matplotlib axes or sequence of them, default=None
            One axes whose area the strips share, or one for each strip; a new figure if None.
        width : float, default=7.5
            Width of a new figure in inches.

        Returns
        -------
        self
        """
        heights = [0.35 + 0.13 * table.shape[1] for table in self.quality.values()]
        panels = check_panels(
            ax,
            n_rows=len(heights),
            figsize=(width, 0.9 + sum(heights)),
            height_ratios=heights,
            share_x=True,
        )[:, 0]
        self.axes_ = dict(zip(self.quality, panels, strict=True))
        self.figure_ = panels[0].figure
        last = max(table.index[-1] for table in self.quality.values())
        scale, unit = (60, "min") if last > _IN_MINUTES else (1, "s")
        self.images_ = {
            name: self._plot_strip(panel, self.quality[name], scale)
            for name, panel in self.axes_.items()
        }
        panels[0].set_title(to_printable(self.title), loc="left", fontsize="medium")
        if self.min_quality is not None:
            note = f"hatched: below {self.min_quality:g}"
            panels[0].set_title(note, loc="right", fontsize="small", color=NEUTRAL)
        panels[-1].set_xlabel(f"Time ({unit})")
        image = next(iter(self.images_.values()))
        self.figure_.colorbar(image, ax=list(panels), aspect=30, label="Quality")
        return self

    def _plot_strip(self, panel, table, scale):
        quality, middles = table.to_numpy().T, table.index.to_numpy() / scale
        # A stretch is drawn up to halfway to the next one.
        between = (middles[1:] + middles[:-1]) / 2
        first = 2 * middles[0] - between[0] if len(between) else 0.0
        last = 2 * middles[-1] - (between[-1] if len(between) else 0.0)
        edges = np.concatenate([[first], between, [last]])
        rows = np.arange(len(quality) + 1) - 0.5
        image = panel.pcolormesh(edges, rows, quality, vmin=0, vmax=1, cmap="cividis")
        for row, values in enumerate(quality):
            low = values < (self.min_quality or 0)
            spans = list(zip(edges[:-1][low], np.diff(edges)[low], strict=True))
            panel.broken_barh(spans, (row - 0.5, 1), **_HATCHED)
        panel.invert_yaxis()
        panel.set_yticks(range(len(quality)), table.columns, fontsize="small")
        panel.tick_params(axis="y", length=0)
        panel.spines[["top", "right", "left"]].set_visible(False)
        return image

    @classmethod
    def from_recording(
        cls,
        recording: Recording,
        *,
        signals: Mapping[str, str] | None = None,
        min_quality: float | None = 0.5,
        duration: float = 10.0,
        step: float = 2.0,
        ax: "Axes | None" = None,
    ) -> Self:
        """Measure the quality of the signals of a recording, and draw it.

        Parameters
        ----------
        recording : Recording
        signals : dict of str to {"ecg", "ppg", "eda", "eeg", "acc"}, default=None
            Which signals, and their kinds. None takes those whose names begin with ecg, ppg,
            bvp, eda, gsr or eeg.
        min_quality : float or None, default=0.5
            The quality below which a stretch is hatched.
        duration : float, default=10.0
            Length of a stretch in seconds.
        step : float, default=2.0
            Seconds from one stretch to the next.
        ax : matplotlib axes or sequence of them, default=None
            One axes whose area the strips share, or one for each strip; a new figure if None.

        Returns
        -------
        QualityDisplay
        """
        from skemo.features.artefacts import recording_quality

        quality = recording_quality(recording, signals=signals, duration=duration, step=step)
        trial = f", trial {recording.trial}" if recording.trial else ""
        title = f"Subject {recording.subject}{trial}"
        return cls(quality, min_quality=min_quality, title=title).plot(ax)
