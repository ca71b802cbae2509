"""A recording to look at: signals, heartbeats, tonic and phasic parts, labels and windows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skemo._checks import is_number
from skemo._escape import to_printable
from skemo.displays.style import NEUTRAL, check_panels, color_of
from skemo.signals.recording import kind_of
from skemo.signals.windows import window_starts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from skemo.signals.recording import Recording

_INK, _MARK = "#333333", "#D55E00"
_N_BINS = 1500  # across a panel, each drawn from its lowest to its highest sample
_MAX_BEATS = 200  # in view; with more, the heart rate is drawn instead
_MAX_LINES = 3  # channels on top of each other; more are stacked
_MAX_LANES = 20  # of overlapping windows
_CHARACTERS_PER_INCH = 9  # of a figure's width
_MIN_EDGED = 0.004  # share of the view; narrower windows are drawn without an edge
_PARTS = ("tonic", "phasic")
_HATCHED = {"facecolor": "none", "edgecolor": NEUTRAL, "hatch": "////", "linewidth": 0}
_LEGEND = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.95), "frameon": False, "ncols": 3}
_MAX_RR = 3.0  # seconds; a longer interval is a gap in the beats, not a heart rate
_MAX_IN_SECONDS = 300.0  # seconds in view; a longer time axis is in minutes


class RecordingDisplay:
    """A recording as it is, before anything is learned from it.

    Each modality has a panel with its unit and sampling rate; all panels share one time axis.
    The heartbeats found by :func:`skemo.find_beats` are marked on the ECG and the pulse (where
    the pulse rises most steeply). If more than 200 beats are in view, a panel with the heart
    rate is drawn instead. Skin conductance is drawn with its tonic part
    (:func:`skemo.decompose_eda`), and with its phasic part in the panel below. More than three
    channels are stacked, with their names. Labelled time is shaded, excluded time hatched.
    Windows have the colour of their label, or are hollow if they were dropped.

    For long recordings, each panel shows the lowest and highest value of each of 1,500
    stretches of time. This looks the same as drawing all samples, and no peak is lost.

    Create it with `from_recording`. There is no `from_estimator`, `from_predictions` or
    `from_comparison`, since nothing is predicted.

    Parameters
    ----------
    recording : Recording
    start, stop : float
        The time in view, in seconds.
    kinds : dict of str to str
        The modalities to draw, in this order, and their kinds: "ecg", "ppg", "eda", "eeg" or
        None.
    beats : dict of str to ndarray of shape (n_beats,), default=None
        Times of heartbeats in seconds, by modality.
    parts : dict of str to ndarray of shape (2, n_times), default=None
        Tonic and phasic conductance of the whole recording, by modality.
    windows : DataFrame, default=None
        Columns ``start`` and ``stop`` in seconds, ``label``, and ``kept``, which is False for
        dropped windows.

    Attributes
    ----------
    axes_ : dict of str to matplotlib axes
        Panels from top to bottom: ``"windows"`` (labels and windows, if there are any), then
        the modalities, each followed by ``"<modality> rate"`` or ``"<modality> phasic"`` where
        there is one.
    figure_ : matplotlib figure
    lines_ : dict of str to list of matplotlib Line2D
        The signals of each panel: one line per channel.
    beats_ : dict of str to matplotlib Line2D
        The dots on the heartbeats, by modality.
    bands_ : list of (label, (start, stop))
        The labelled intervals in view, in seconds.
    windows_ : list of matplotlib PolyCollection
        The windows: one collection per label and lane.

    Examples
    --------
    >>> import skemo
    >>> from skemo.datasets import make_emotion_recordings
    >>> from skemo.displays.recording import RecordingDisplay
    >>> recording = make_emotion_recordings(n_subjects=1, random_state=0)[0]
    >>> windows = skemo.segment(recording, duration=10.0)
    >>> display = RecordingDisplay.from_recording(recording, stop=30, windows=windows)
    >>> list(display.axes_)
    ['windows', 'ecg', 'eda', 'eda phasic', 'eeg']
    """

    def __init__(
        self,
        recording: "Recording",
        *,
        start: float,
        stop: float,
        kinds: Mapping[str, str | None],
        beats: Mapping[str, NDArray[np.floating]] | None = None,
        parts: Mapping[str, NDArray[np.floating]] | None = None,
        windows: pd.DataFrame | None = None,
    ) -> None:
        self.recording = recording
        self.start = start
        self.stop = stop
        self.kinds = kinds
        self.beats = {} if beats is None else beats
        self.parts = {} if parts is None else parts
        self.windows = windows

    def plot(
        self, ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None, *, width: float = 7.5
    ) -> Self:
        """Draw the recording.

        Parameters
        ----------
        ax : matplotlib axes or sequence of them, default=None
            One axes to divide among the panels, or one per panel; a new figure if None.
        width : float, default=7.5
            Width of a new figure, in inches.

        Returns
        -------
        self
        """
        heights = self._panels()
        panels = check_panels(
            ax,
            n_rows=len(heights),
            figsize=(width, 0.7 + 1.25 * sum(heights.values())),
            height_ratios=list(heights.values()),
            share_x=True,
        )
        self.axes_ = dict(zip(heights, panels[:, 0], strict=True))
        self.figure_ = panels[0, 0].figure
        self.lines_: dict[str, list[Any]] = {}
        self.beats_: dict[str, Any] = {}
        self.bands_: list[tuple[str, tuple[float, float]]] = []
        self.windows_: list[Any] = []
        labels = dict.fromkeys(label for *_, label in self.recording.labels)
        self._colors = {label: color_of(i) for i, label in enumerate(labels)}
        for modality, kind in self.kinds.items():
            self._plot_signal(modality)
            if kind in ("ecg", "ppg"):
                self._plot_beats(modality)
            if modality in self.parts:
                self._plot_parts(modality)
        if "windows" in self.axes_:
            self._plot_lanes(self.axes_["windows"])
        for name, panel in self.axes_.items():
            panel.spines[["top", "right"]].set_visible(False)
            panel.set_xlim(self.start, self.stop)
            if name != "windows":
                self._shade(panel)
        self._style_time(panel)
        self.figure_.align_ylabels(list(panels[:, 0]))
        trial = f", trial {self.recording.trial}" if self.recording.trial else ""
        title = f"Subject {self.recording.subject}{trial}"
        panels[0, 0].set_title(to_printable(title), loc="left", fontsize="medium")
        return self

    def _panels(self):
        """Return the names of the panels from top to bottom, and their relative heights."""
        heights = {}
        has_windows = self.windows is not None
        if self.recording.labels or self.recording.excluded or has_windows:
            heights["windows"] = 0.25 + (0.22 * self._lanes_height() if has_windows else 0)
        for modality, kind in self.kinds.items():
            n_channels = len(self.recording.signals[modality])
            heights[modality] = 1.0 if n_channels <= _MAX_LINES else 0.6 + 0.12 * n_channels
            if kind in ("ecg", "ppg") and self._beats_in_view(modality)[0].size > _MAX_BEATS:
                heights[f"{modality} rate"] = 0.7
            if modality in self.parts:
                heights[f"{modality} phasic"] = 0.7
        return heights

    def _samples(self, modality, values=None):
        """Return the times and samples in view, no more than can be told apart in the figure."""
        rate = self.recording.sampling_rates[modality]
        values = self.recording.signals[modality] if values is None else values
        since = self.recording.starts[modality]
        first = max(0, int(np.ceil((self.start - since) * rate)))
        end = max(first, int(np.floor((self.stop - since) * rate)) + 1)
        positions, values = envelope(values[:, first:end], _N_BINS)
        return since + (first + positions) / rate, values

    def _plot_signal(self, modality):
        panel, unit = self.axes_[modality], self.recording.units[modality]
        seconds, values = self._samples(modality)
        names = self.recording.channels[modality]
        if names == _PARTS:
            conductance = self.parts[modality].sum(axis=0, keepdims=True)
            _, values = self._samples(modality, conductance)
            names = None
        if len(values) > _MAX_LINES:
            names = names or [str(i) for i in range(len(values))]
            self.lines_[modality] = _plot_stacked(panel, seconds, values, names, unit)
            unit = None
        else:
            several = len(values) > 1
            self.lines_[modality] = [
                panel.plot(
                    seconds,
                    channel,
                    color=color_of(i) if several else _INK,
                    linewidth=0.8,
                    label=names[i] if several and names else None,
                )[0]
                for i, channel in enumerate(values)
            ]
            if several and names:
                panel.legend(fontsize="x-small", borderpad=0, **_LEGEND)
        rate = f"{self.recording.sampling_rates[modality]:g} Hz"
        panel.set_ylabel(f"{modality} ({unit})\n{rate}" if unit else f"{modality}\n{rate}")

    def _beats_in_view(self, modality):
        """Return the times of the beats in view, and the seconds since the beat before each."""
        times = self.beats.get(modality, np.empty(0))
        since = np.diff(times, prepend=np.nan)
        inside = (times >= self.start) & (times <= self.stop)
        return times[inside], since[inside]

    def _plot_beats(self, modality):
        times, since = self._beats_in_view(modality)
        panel, signal = self.axes_[modality], self.recording.signals[modality][0]
        if not len(times):
            panel.text(
                0.01,
                0.95,
                "no heartbeat found",
                transform=panel.transAxes,
                va="top",
                fontsize="small",
                color=_MARK,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 2},
            )
        elif f"{modality} rate" in self.axes_:
            rate = np.where(since < _MAX_RR, 60 / since, np.nan)
            panel = self.axes_[f"{modality} rate"]
            lines = panel.plot(times, rate, ".", color=_MARK, markersize=2)
            self.lines_[f"{modality} rate"] = lines
            panel.set_ylabel("heart rate\n(1/min)")
        else:
            since = times - self.recording.starts[modality]
            samples = np.round(since * self.recording.sampling_rates[modality]).astype(int)
            heights = signal[np.clip(samples, 0, len(signal) - 1)]
            (self.beats_[modality],) = panel.plot(times, heights, "o", color=_MARK, markersize=4)

    def _plot_parts(self, modality):
        seconds, (tonic, phasic) = self._samples(modality, self.parts[modality])
        panel, unit = self.axes_[modality], self.recording.units[modality]
        self.lines_[modality][0].set_label("conductance")
        self.lines_[modality] += panel.plot(
            seconds, tonic, color=color_of(0), linewidth=1.6, label="tonic"
        )
        panel.legend(fontsize="x-small", borderpad=0, **_LEGEND)
        panel = self.axes_[f"{modality} phasic"]
        panel.axhline(0, color=NEUTRAL, linewidth=0.6)
        self.lines_[f"{modality} phasic"] = panel.plot(
            seconds, phasic, color=color_of(0), linewidth=0.9
        )
        panel.set_ylabel(f"phasic\n({unit})" if unit else "phasic")

    def _n_lanes(self):
        """Return the number of lanes that the windows need so that they do not overlap."""
        if len(self.windows) < 2:
            return 1
        step = np.diff(np.sort(self.windows["start"])).min()
        duration = (self.windows["stop"] - self.windows["start"]).max()
        return int(np.clip(np.ceil(duration / step - 1e-6), 1, _MAX_LANES))

    def _plot_lanes(self, panel):
        """Draw the labels, and the windows below them."""
        ticks = {0.55: "labels"} if self.recording.labels else {}
        notes = []
        self.bands_ = [
            (label, (max(begin, self.start), min(end, self.stop)))
            for begin, end, label in self.recording.labels
            if begin < self.stop and end > self.start
        ]
        # A label is named wherever there is room for it, and in any case where it lasts longest.
        room = _CHARACTERS_PER_INCH * self.figure_.get_figwidth() / (self.stop - self.start)
        lengths = {}
        for label, (begin, end) in self.bands_:
            lengths[label] = max(lengths.get(label, 0), end - begin)
        for label, (begin, end) in self.bands_:
            color = self._colors[label]
            panel.broken_barh([(begin, end - begin)], (0.1, 0.9), color=color, alpha=0.45)
            if room * (end - begin) > len(str(label)) or end - begin == lengths[label]:
                lengths[label] = max(lengths[label], len(str(label)) / room)
                middle = (begin + end) / 2
                panel.text(
                    middle,
                    0.55,
                    to_printable(str(label)),
                    ha="center",
                    va="center",
                    fontsize="small",
                )
        for begin, end in self.recording.excluded:
            panel.broken_barh([(begin, end - begin)], (0.1, 0.9), **_HATCHED)
            notes = ["hatched: excluded"]
        panel.set_ylim(0, 1.1)
        if self.windows is not None:
            bottom = -0.15 - self._lanes_height()
            ticks[(bottom - 0.15) / 2] = "windows"
            notes += self._plot_windows(panel)
            panel.set_ylim(bottom - 0.05, 1.1)
        panel.set_title(", ".join(notes), loc="right", fontsize="small", color=NEUTRAL)
        panel.set_yticks(list(ticks), list(ticks.values()), fontsize="small")
        panel.spines[["left", "bottom"]].set_visible(False)
        panel.tick_params(axis="both", length=0, labelbottom=False)

    def _lanes_height(self):
        return 0.45 * min(self._n_lanes(), 3)

    def _plot_windows(self, panel):
        """Draw the windows in view; return the notes on them for the panel's title."""
        n_lanes = self._n_lanes()
        height = self._lanes_height() / n_lanes
        lanes = self.windows["start"].rank(method="dense").astype(int).sub(1) % n_lanes
        inside = (self.windows["start"] < self.stop) & (self.windows["stop"] > self.start)
        shown = self.windows.assign(lane=lanes)[inside]
        duration = (shown["stop"] - shown["start"]).min()
        is_wide = duration / (self.stop - self.start) > _MIN_EDGED
        for (kept, label, lane), group in shown.groupby(["kept", "label", "lane"], dropna=False):
            color = self._colors.get(label, NEUTRAL)
            bars = panel.broken_barh(
                list(zip(group["start"], group["stop"] - group["start"], strict=True)),
                (-0.15 - height * (lane + 1), 0.85 * height),
                facecolor=color if kept else "white",
                edgecolor="white" if kept else NEUTRAL,
                linewidth=0.8 if is_wide else 0,
            )
            self.windows_.append(bars)
        return [] if shown["kept"].all() else ["hollow: dropped"]

    def _shade(self, panel):
        for begin, end, label in self.recording.labels:
            panel.axvspan(begin, end, color=self._colors[label], alpha=0.1, linewidth=0, zorder=0)
        for begin, end in self.recording.excluded:
            panel.axvspan(begin, end, alpha=0.5, **_HATCHED)

    def _style_time(self, panel):
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        if self.stop - self.start > _MAX_IN_SECONDS:
            steps = MaxNLocator(nbins=8, steps=[1, 2, 3, 5, 6, 10])
            ticks = 60 * steps.tick_values(self.start / 60, self.stop / 60)
            panel.set_xticks([tick for tick in ticks if self.start <= tick <= self.stop])
            panel.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds / 60:g}"))
            panel.set_xlabel("Time (min)")
        else:
            panel.set_xlabel("Time (s)")

    @classmethod
    def from_recording(
        cls,
        recording: "Recording",
        start: float = 0.0,
        stop: float | None = 60.0,
        windows: pd.DataFrame | None = None,
        modalities: str | Sequence[str] | None = None,
        *,
        kinds: Mapping[str, str | None] | None = None,
        ax: "Axes | Sequence[Axes] | NDArray[Any] | None" = None,
    ) -> Self:
        """Find the heartbeats and decompose the skin conductance, and draw both with the signals.

        Both are computed on the whole recording, and do not depend on the time in view.

        Parameters
        ----------
        recording : Recording
            If it already has beats, they are drawn on its first ECG or pulse instead of being
            searched for there.
        start : float, default=0.0
            Start of the time in view, in seconds.
        stop : float or None, default=60.0
            End of the time in view, in seconds; the end of the recording if None.
        windows : DataFrame, default=None
            The table that :func:`skemo.segment` made from this recording. Windows of other
            recordings are ignored. Windows that could have been cut but are not in the table
            count as dropped.
        modalities : str or list of str, default=None
            The modalities to draw, in this order; all of them if None.
        kinds : dict of str to {"ecg", "ppg", "eda", "eeg", None}, default=None
            Kinds of the modalities whose names do not say so, that is, do not begin with ecg,
            ppg, bvp, eda or gsr. None is for a modality that is none of these in spite of its
            name.
        ax : matplotlib axes or sequence of them, default=None
            One axes to divide among the panels, or one per panel; a new figure if None.

        Returns
        -------
        RecordingDisplay

        Raises
        ------
        ValueError
            The recording has nothing between `start` and `stop`, a modality or kind is unknown,
            or `windows` lacks something that `segment` writes into its table.
        """
        from skemo.features.whole_recordings import decompose_eda, find_beats

        if not is_number(start) or not (stop is None or is_number(stop)):
            raise ValueError(f"start and stop must be seconds, got {start!r} and {stop!r}.")
        kinds = _kinds_of(recording, modalities, kinds or {})
        end = max(
            recording.starts[name]
            + recording.signals[name].shape[1] / recording.sampling_rates[name]
            for name in kinds
        )
        stop = end if stop is None else min(stop, end)
        if not 0 <= start < stop:
            raise ValueError(
                f"Nothing of the recording of subject {recording.subject!r} lies between "
                f"start={start:g} s and stop={stop:g} s: it lasts {end:g} s."
            )
        beats, parts = {}, {}
        own = next(iter(recording.beats.values()), None)
        for name, kind in kinds.items():
            signal = recording.signals[name]
            if kind in ("ecg", "ppg"):
                if own is not None:
                    beats[name], own = own, None
                else:
                    what: Literal["ecg", "ppg"] = "ecg" if kind == "ecg" else "ppg"
                    beats[name] = find_beats(recording, name=name, signal=what).beats["beats"]
            elif kind == "eda" and recording.channels[name] == _PARTS:
                parts[name] = signal
            elif kind == "eda" and len(signal) == 1 and not np.isnan(signal).all():
                parts[name] = decompose_eda(recording, name=name).signals[name]
        if windows is not None:
            windows = _windows_of(recording, windows)
        display = cls(
            recording,
            start=float(start),
            stop=float(stop),
            kinds=kinds,
            beats=beats,
            parts=parts,
            windows=windows,
        )
        return display.plot(ax)


def envelope(
    values: NDArray[Any], n_bins: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the lowest and highest value of each of `n_bins` stretches of a signal.

    A signal of at most ``2 * n_bins`` samples is returned as it is.

    Parameters
    ----------
    values : ndarray of shape (n_channels, n_times)
    n_bins : int

    Returns
    -------
    positions : ndarray of shape (n_points,)
        The middle of each stretch, twice, in samples.
    points : ndarray of shape (n_channels, n_points)
        The lowest and the highest value, alternating; NaN if a stretch is NaN throughout.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo.displays.recording import envelope
    >>> envelope(np.array([[0, 3, 1, 2, 9, 4, 4, 4, 4]]), n_bins=3)[1].tolist()
    [[0.0, 3.0, 2.0, 9.0, 4.0, 4.0]]
    """
    n_times = values.shape[1]
    if n_times <= 2 * n_bins:
        return np.arange(n_times, dtype=float), values.astype(float)
    edges = np.arange(n_bins) * n_times // n_bins
    low, high = (extreme.reduceat(values, edges, axis=1) for extreme in (np.fmin, np.fmax))
    middles = (edges + np.append(edges[1:], n_times) - 1) / 2
    points = np.stack([low, high], axis=2).reshape(len(values), -1)
    return np.repeat(middles, 2), points.astype(float)


def _kinds_of(recording, modalities, kinds):
    """Return the kind of each modality to draw."""
    if not hasattr(recording, "signals"):
        raise TypeError(f"Expected one Recording, got {type(recording).__name__}.")
    if isinstance(modalities, str) or not isinstance(modalities, Iterable | None):
        modalities = [modalities]
    names = list(recording.signals) if modalities is None else list(modalities)
    if not names:
        raise ValueError(f"modalities is empty: choose among {list(recording.signals)}.")
    for name in [*names, *kinds]:
        if name not in recording.signals:
            raise ValueError(
                f"The recording of subject {recording.subject!r} has no signal {name!r}. Its "
                f"signals are {list(recording.signals)}."
            )
    found = {name: kinds.get(name, kind_of(name)) for name in names}
    for name, kind in found.items():
        if kind not in ("ecg", "ppg", "eda", "eeg", None):
            raise ValueError(
                f'kinds are "ecg", "ppg", "eda", "eeg" or None, got {kind!r} for {name!r}.'
            )
    return found


def _windows_of(recording, windows):
    """Return the windows of a recording, including those that `segment` dropped."""
    attrs = windows.attrs.get("segment")
    columns = {"subject", "trial", "start", "label"}
    if attrs is None or not columns <= set(windows):
        raise ValueError(
            f"windows must be a table as skemo.segment returns it, with {sorted(columns)} and "
            f'attrs["segment"]; it has the columns {[*map(str, windows)]} and '
            f'{"" if attrs else "no "}attrs["segment"].'
        )
    duration, step = attrs["duration"], attrs["step"]
    own = windows["subject"].eq(recording.subject) & windows["trial"].eq(recording.trial)
    kept = windows.loc[own, ["start", "label"]].assign(kept=True)
    starts, _ = window_starts(recording, duration, step, "keep")
    starts = starts[~np.isin(starts.round(6), kept["start"].round(6))]
    dropped = pd.DataFrame({"start": starts, "label": None, "kept": False})
    parts = [part.astype({"label": object}) for part in (kept, dropped) if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else dropped
    return table.sort_values("start", ignore_index=True).assign(
        stop=lambda x: x["start"] + duration
    )


def _plot_stacked(panel, seconds, values, names, unit):
    """Draw the channels below each other, with a scale bar."""
    from matplotlib.transforms import blended_transform_factory

    low, middle, high = np.zeros((3, len(values), 1))
    known = np.isfinite(values).any(axis=1)
    low[known], middle[known], high[known] = np.nanpercentile(
        values[known], [1, 50, 99], axis=1, keepdims=True
    )
    centred = values - middle
    distance = 1.1 * float(np.median((high - low)[known])) if known.any() else 0.0
    distance = distance or 1.0
    levels = -distance * np.arange(len(values))
    lines = [
        panel.plot(seconds, channel + level, color=_INK, linewidth=0.5)[0]
        for channel, level in zip(centred, levels, strict=True)
    ]
    panel.set_yticks(levels, names, fontsize="x-small" if len(names) > 8 else "small")
    panel.set_ylim(levels[-1] - distance, distance)
    panel.tick_params(axis="y", length=0)
    exponent = np.floor(np.log10(distance))
    size = max(x for x in (1, 2, 5) if x * 10**exponent <= distance * (1 + 1e-9)) * 10**exponent
    place = blended_transform_factory(panel.transAxes, panel.transData)
    panel.plot([1.01, 1.01], [-size, 0], color=_MARK, linewidth=2, transform=place, clip_on=False)
    panel.text(1.02, -size / 2, f"{size:g} {unit or ''}", transform=place, va="center", fontsize=8)
    return lines
