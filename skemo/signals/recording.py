"""Recordings, as the loaders return them."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from skemo._checks import is_positive
from skemo._escape import to_html, to_printable
from skemo._samples import fill_mask
from skemo.signals.frames import frame_parts
from skemo.signals.mne_raw import make_raw, raw_parts
from skemo.signals.times import as_seconds, as_timestamp, is_absolute

WINDOW_COLUMNS = ("subject", "trial", "start", "label")  # of the table that `segment` returns
_SHOWN = 5  # labels shown in a notebook
_BEYOND = 1.0  # seconds beyond the signals up to which labels and beats are rounded
LONGEST_INTERVAL = 3.0  # seconds between heartbeats, at most 20 a minute
_TOLERANCE = 1e-6  # seconds: well above rounding errors
_KINDS = {"ecg": "ecg", "ppg": "ppg", "bvp": "ppg", "eda": "eda", "gsr": "eda", "eeg": "eeg"}


def kind_of(name: str) -> str | None:
    """Return what a signal is by the beginning of its name, or None if that does not tell it.

    Parameters
    ----------
    name : str
        Name of a signal, in capitals or not: one that begins with ecg, ppg, bvp, eda, gsr or eeg.

    Returns
    -------
    "ecg", "ppg", "eda", "eeg" or None

    Examples
    --------
    >>> from skemo.signals.recording import kind_of
    >>> kind_of("BVP_wrist"), kind_of("chest")
    ('ppg', None)
    """
    return _KINDS.get(str(name)[:3].lower())


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """Signals of one subject that were recorded together, and their labels.

    Signals may have different sampling rates, and start and end at different times. Without
    `starts`, all of them start at second 0. `dataclasses.replace` returns a changed recording,
    for example one with an additional signal derived from the others.

    The times of labels, exclusions and starts are seconds from second 0 of the recording,
    Timedeltas from there or, if the recording has a `start_time` or Timestamps as `starts`,
    Timestamps. The recording keeps seconds.

    Parameters
    ----------
    signals : mapping of str to array of shape (n_channels, n_times) or (n_times,)
        The samples of each modality; a one-dimensional array is one channel. Not copied. Where
        a masked array is masked, the samples are NaN, targets too, and there are no beats.
    sampling_rates : mapping of str to float
        Samples per second of each modality, in hertz.
    channels : mapping of str to sequence of str, default={}
        Channel names; a modality may be left out or None.
    units : mapping of str to str, default={}
        Physical unit of the samples, such as ``"mV"``.
    subject : str
        Who was recorded.
    trial : str, default=""
        Which of the subject's recordings this is.
    labels : sequence of (start, stop, label), default=()
        Labelled intervals. They must not overlap, but may leave gaps. See
        `skemo.signals.labels` for intervals from events or from a table.
    excluded : sequence of (start, stop), default=()
        Intervals that no window may touch: artefacts, pauses.
    targets : mapping of str to float, or to (values, sampling_rate), default={}
        Targets of a regression: a number for the whole recording, such as a rating of the
        trial, or a series of shape (n_times,) that was recorded along with the signals, such
        as the position of a joystick. `segment` takes the mean of the finite samples in each
        window.
    beats : mapping of str to array of shape (n_beats,), default={}
        Increasing times of heartbeats, in seconds, as added by `find_beats`. `segment` turns
        them into a signal column of that name, for ``HRVTransformer(signal="beats")``.
    beat_sources : mapping of str to {"ecg", "ppg"}, default={}
        What the beats were found in. `HRVTransformer` treats them accordingly.
    beat_gaps : mapping of str to sequence of (start, stop), default={}
        Intervals, in seconds, in which beats may be hidden. No RR interval is taken across
        them.
    starts : mapping of str to float, Timedelta or Timestamp, default={}
        When the first sample of a signal, or of a series in `targets`, was taken. What is left
        out starts at second 0.
    start_time : Timestamp, default=None
        The moment of second 0. If it is None and `starts` has Timestamps, it is the earliest of
        them, and every signal needs one.

    Attributes
    ----------
    duration : float
        Length in seconds of the time that all signals cover.

    Raises
    ------
    ValueError
        If the parts do not fit together; the message names the subject and the modality or
        interval.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording
    >>> Recording(
    ...     {"ecg": np.zeros(7000), "eda": np.zeros(40)},
    ...     {"ecg": 700, "eda": 4},
    ...     subject="S2",
    ...     labels=[(0, 6, "rest"), (6, 10, "stress")],
    ... )
    <Recording of subject 'S2': 10 s; ecg 1 channel at 700 Hz, eda 1 channel at 4 Hz; \
labels 'rest', 'stress'>

    Signals of two devices that were not started together:

    >>> recording = Recording(
    ...     {"ecg": np.zeros(7000), "eda": np.zeros(40)},
    ...     {"ecg": 700, "eda": 4},
    ...     subject="S2",
    ...     starts={"ecg": "2024-05-01 09:30:00", "eda": "2024-05-01 09:30:02.5"},
    ... )
    >>> recording.starts, recording.duration
    ({'ecg': 0.0, 'eda': 2.5}, 7.5)
    """

    signals: Mapping[str, Any]
    sampling_rates: Mapping[str, float]
    channels: Mapping[str, Sequence[str] | None] = field(default_factory=dict)
    units: Mapping[str, str | None] = field(default_factory=dict)
    subject: str = field(kw_only=True)
    trial: str = ""
    labels: Sequence[tuple[float, float, Any]] = ()
    excluded: Sequence[tuple[float, float]] = ()
    targets: Mapping[str, Any] = field(default_factory=dict)
    beats: Mapping[str, Any] = field(default_factory=dict)
    beat_sources: Mapping[str, str] = field(default_factory=dict)
    beat_gaps: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    starts: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    start_time: Any = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        where = f"Recording of subject {self.subject!r}"
        where += f", trial {self.trial!r}" if self.trial else ""
        for what in (
            *("signals", "sampling_rates", "channels", "units", "targets"),
            *("beats", "beat_sources", "beat_gaps", "starts"),
        ):
            if not isinstance(getattr(self, what) or {}, Mapping):
                raise ValueError(
                    f"{where}: {what} must be a mapping from names, got "
                    f"{type(getattr(self, what)).__name__}."
                )
        signals = {name: _checked_signal(x, name, where) for name, x in self.signals.items()}
        if not signals:
            raise ValueError(f"{where} has no signals.")
        for what in ("sampling_rates", "channels", "units"):
            unknown = [name for name in getattr(self, what) or {} if name not in signals]
            if unknown:
                raise ValueError(
                    f"{where}: {what} names {unknown[0]!r}, but the signals are {list(signals)}."
                )
        rates = {name: _checked_rate(self.sampling_rates, name, where) for name in signals}
        origin, starts = _checked_starts(self.starts or {}, self.start_time, signals, where)
        channels: dict[str, tuple[str, ...] | None] = dict.fromkeys(signals)
        for name, signal in signals.items():
            names = (self.channels or {}).get(name)
            if names is None:
                continue
            names = tuple(str(n) for n in names)
            if len(names) != len(signal):
                raise ValueError(
                    f"{where}: {name!r} has {len(signal)} channels, but {len(names)} channel "
                    f"names {list(names)}."
                )
            channels[name] = names
        for what, value in {
            "signals": signals,
            "sampling_rates": rates,
            "channels": channels,
            "units": {name: (self.units or {}).get(name) for name in signals},
            "subject": str(self.subject),
            "trial": str(self.trial),
            "labels": _checked_labels(self.labels, origin, where),
            "excluded": tuple(
                _checked_interval(i, 2, "excluded", origin, where) for i in self.excluded
            ),
            "targets": {
                name: _checked_target(target, name, signals, where)
                for name, target in (self.targets or {}).items()
            },
            "beats": {
                name: _checked_beats(times, name, signals, where)
                for name, times in (self.beats or {}).items()
            },
            "beat_sources": {
                name: _checked_source(name, source, self.beats, where)
                for name, source in (self.beat_sources or {}).items()
            },
            "beat_gaps": {
                name: tuple(_checked_interval(gap, 2, "beat_gaps", origin, where) for gap in gaps)
                for name, gaps in (self.beat_gaps or {}).items()
            },
            "starts": starts,
            "start_time": origin,
        }.items():
            object.__setattr__(self, what, value)
        unknown = [name for name in starts if name not in signals and name not in self.targets]
        if unknown:
            raise ValueError(
                f"{where}: starts names {unknown[0]!r}, but the signals are {list(signals)}"
                f"{f' and the targets {list(self.targets)}' if self.targets else ''}."
            )
        self._warn_of_what_is_unlikely(where)

    def _warn_of_what_is_unlikely(self, where):
        """Warn of times beyond the recording, and of beats too far apart."""
        earliest = min(0.0, min(self.starts[name] for name in self.signals))
        longest = max(
            self.starts[name] + x.shape[1] / self.sampling_rates[name]
            for name, x in self.signals.items()
        )
        seconds = "Are they in seconds, from the start of the recording?"
        found = []
        labelled = [(start, stop) for start, stop, _ in self.labels]
        for what, times, slack in (
            ("its labels", labelled, _BEYOND),
            ("its exclusions", self.excluded, longest),
            *((f"the beats {name!r}", times, _BEYOND) for name, times in self.beats.items()),
        ):
            first, last = np.min(times, initial=0.0), np.max(times, initial=0.0)
            if first < earliest - slack or last > longest + slack:
                is_early = first < earliest - slack
                end = f"begin at {first:g} s" if is_early else f"end at {last:g} s"
                found.append(f"{where} lasts {longest:g} s, but {what} {end}. {seconds}")
            elif what.startswith("the beats") and len(times) >= 5:
                interval = np.median(np.diff(times))
                if interval > LONGEST_INTERVAL:
                    found.append(
                        f"{where}: {what} are {interval:g} s apart, which is no heart's. {seconds}"
                    )
        for text in found:
            warnings.warn(text, UserWarning, stacklevel=4)

    @classmethod
    def from_frame(
        cls,
        table: pd.DataFrame,
        *,
        subject: str,
        trial: str = "",
        signals: Mapping[str, str | Sequence[str]] | Sequence[str] | None = None,
        time: str | None = None,
        time_unit: Literal["s", "ms", "us", "ns"] = "s",
        sampling_rate: float | Mapping[str, float] | None = None,
        label: str | None = None,
        markers: str | None = None,
        units: Mapping[str, str] | None = None,
        max_gap: float | None = None,
    ) -> Self:
        """Make a recording of a table with one row per time.

        The samples of each signal are put onto an even grid
        (:func:`skemo.signals.times.even_grid`): they are kept as they are if their times are
        even up to jitter, and interpolated otherwise. Signals at several rates may share a table:
        cells of a slower signal are then empty in between.

        Parameters
        ----------
        table : DataFrame
        subject : str
            Who was recorded.
        trial : str, default=""
            Which of the subject's recordings this is.
        signals : mapping of str to str or sequence of str, or sequence of str, default=None
            The columns of each modality, such as ``{"ecg": "ECG", "acc": ["x", "y", "z"]}``, or
            columns that are modalities by their own name. None means every other column of
            numbers, each as a modality.
        time : str, default=None
            The column of times: numbers, Timestamps, Timedeltas, or texts of them. None means the
            index, if that has times, or else rows at `sampling_rate`. Numbers from 5e8 seconds
            on are unix times (UTC).
        time_unit : {"s", "ms", "us", "ns"}, default="s"
            Unit of times that are numbers.
        sampling_rate : float or mapping of str to float, default=None
            Nominal rate in hertz, of all signals or by modality; needed without times. None
            estimates the rates from the times; recordings that are cut together need the same
            rates, so pass it if the times are irregular.
        label : str, default=None
            The column with a label for each row; time without a label is empty.
        markers : str, default=None
            The column with events: each labels the time up to the next one. It is empty in the
            other rows.
        units : mapping of str to str, default=None
            Physical units by modality.
        max_gap : float, default=None
            Longest time without a sample, in seconds, that is interpolated; samples in longer
            gaps are NaN. None means three sampling intervals.

        Returns
        -------
        Recording

        Raises
        ------
        ValueError
            If a column is missing or is not of its kind.

        Examples
        --------
        >>> import pandas as pd
        >>> from skemo import Recording
        >>> table = pd.DataFrame({"eda": [0.5, 0.6, 0.7, 0.8], "task": ["rest"] * 3 + ["stress"]})
        >>> table["time"] = pd.date_range("2024-05-01 09:30", periods=4, freq="250ms")
        >>> Recording.from_frame(table, subject="S2", signals=["eda"], time="time", label="task")
        <Recording of subject 'S2': 1 s; eda 1 channel at 4 Hz; labels 'rest', 'stress'; \
since 2024-05-01 09:30:00>
        """
        parts = frame_parts(
            table,
            signals=signals,
            time=time,
            time_unit=time_unit,
            sampling_rate=sampling_rate,
            label=label,
            markers=markers,
            max_gap=max_gap,
        )
        return cls(**parts, units=units or {}, subject=subject, trial=trial)

    @classmethod
    def from_mne(
        cls,
        raw: Any,
        *,
        subject: str,
        trial: str = "",
        modalities: Mapping[str, str | Sequence[str]] | None = None,
        names: Mapping[str, Any] | None = None,
    ) -> Self:
        """Make a recording of a Raw of MNE, and thus of every file that MNE reads.

        Annotations become labels: each lasts for its duration, or to the next annotation if none
        has a duration. If only some have one, the others are left out. Annotations that begin with
        "bad" become excluded intervals.

        Parameters
        ----------
        raw : mne.io.BaseRaw
        subject : str
            Who was recorded.
        trial : str, default=""
            Which of the subject's recordings this is.
        modalities : mapping of str to str or sequence of str, default=None
            A channel type, or channel names, for each modality, such as
            ``{"eeg": "eeg", "ecg": ["ECG"]}``. None means one modality for each channel type.
        names : mapping of str to label, default=None
            The label for each description; other annotations are ignored. None keeps the
            descriptions as labels.

        Returns
        -------
        Recording
            EEG and EOG in µV, ECG and EMG in mV, skin conductance in µS, from MNE's volts and
            siemens. Channels of the type "misc" keep their numbers.

        Raises
        ------
        ValueError
            If there is no such channel.

        Warns
        -----
        UserWarning
            Some annotations have a duration and others do not, which are left out: pass `names`
            with those of one kind.

        Examples
        --------
        >>> import mne  # doctest: +SKIP
        >>> raw = mne.io.read_raw("sub-01.vhdr", preload=True)  # doctest: +SKIP
        >>> Recording.from_mne(raw, subject="01", modalities={"eeg": "eeg"})  # doctest: +SKIP
        """
        return cls(**raw_parts(raw, modalities, names), subject=subject, trial=trial)

    def to_mne(
        self,
        modalities: Sequence[str] | str | None = None,
        *,
        types: Mapping[str, str] | None = None,
    ) -> Any:
        """Return signals of the recording as a Raw of MNE.

        A Raw has a single sampling rate, so recordings with several rates need one call per
        rate. The Raw begins at the earliest start of the signals and ends at the latest end;
        starts are rounded to whole samples. Labels become annotations, and excluded intervals
        annotations named "BAD_excluded". Samples that are missing, also before a signal starts
        or after it ends, are NaN and annotated as "BAD_NAN" with their channel, as
        :func:`mne.preprocessing.annotate_nan` does. Pass
        ``skip_by_annotation=("edge", "bad_nan")`` to filters. Targets and beats are left out.

        Parameters
        ----------
        modalities : sequence of str or str, default=None
            The signals to use. None uses all of them.
        types : mapping of str to str, default=None
            The channel type of MNE by modality, such as ``{"brain": "eeg"}``. By default, it
            follows from the name of the modality, and is "misc" for those that MNE does not
            know, such as pulse and acceleration, whose numbers are kept.

        Returns
        -------
        mne.io.RawArray
            In volts and siemens. A start time without a time zone is taken for UTC, as MNE
            needs one.

        Raises
        ------
        ImportError
            If MNE is not installed.
        ValueError
            If the signals have different sampling rates, or the unit of one is unknown.

        See Also
        --------
        skemo.io.make_epochs : Epochs of MNE from a table of windows.

        Examples
        --------
        >>> recording.to_mne(["eeg", "ecg"])  # doctest: +SKIP
        >>> recording.to_mne("eda").plot()  # doctest: +SKIP
        """
        return make_raw(self, modalities, types)

    @property
    def duration(self) -> float:
        stop = min(
            self.starts[name] + x.shape[1] / self.sampling_rates[name]
            for name, x in self.signals.items()
        )
        return max(0.0, stop - max(self.starts[name] for name in self.signals))

    def __repr__(self) -> str:
        trial = f", trial {self.trial!r}" if self.trial else ""
        parts = []
        for name, signal in self.signals.items():
            n = len(signal)
            unit = f" ({self.units[name]})" if self.units[name] else ""
            plural = "" if n == 1 else "s"
            late = f" from {self.starts[name]:g} s" if self.starts[name] else ""
            parts.append(
                f"{name} {n} channel{plural} at {self.sampling_rates[name]:g} Hz{unit}{late}"
            )
        parts += [f"{len(times)} {name}" for name, times in self.beats.items()]
        text = f"subject {self.subject!r}{trial}: {self.duration:g} s; {', '.join(parts)}"
        labels = list(dict.fromkeys(repr(label) for *_, label in self.labels))
        if labels:
            text += f"; labels {', '.join(labels[:6])}"
            text += f" and {len(labels) - 6} more" if len(labels) > 6 else ""
        if self.targets:
            text += f"; targets {', '.join(map(repr, self.targets))}"
        if self.excluded:
            text += f"; {len(self.excluded)} excluded"
        if self.start_time is not None:
            text += f"; since {self.start_time}"
        return f"<Recording of {text}>"

    def __sizeof__(self) -> int:  # by which Dask decides what to send once, and what to spill
        return super().__sizeof__() + sum(signal.nbytes for signal in self.signals.values())

    def _repr_html_(self):
        """Return tables of the signals and of the first labels, for notebooks."""
        signals = pd.DataFrame(
            [
                ["x".join(map(str, x.shape)), self.sampling_rates[name], self.units[name] or ""]
                for name, x in self.signals.items()
            ],
            columns=["shape", "rate (Hz)", "unit"],
            index=pd.Index(self.signals, name="signal"),
        )
        signals["channels"] = [", ".join(self.channels[name] or ()) for name in self.signals]
        parts = [f"<p>{to_html(repr(self))}</p>", signals.to_html()]
        if self.labels:
            labels = pd.DataFrame(self.labels[:_SHOWN], columns=["start (s)", "stop (s)", "label"])
            parts.append(labels.to_html(index=False))
        if len(self.labels) > _SHOWN:
            parts.append(f"<p>… {len(self.labels)} labels</p>")
        return to_printable("".join(parts))


def _checked_signal(signal, name, where):
    if name in WINDOW_COLUMNS:
        raise ValueError(
            f"{where}: a modality cannot be called {name!r}; the table of windows has a column of "
            "that name."
        )
    signal = fill_mask(signal)
    if signal.dtype.kind not in "iuf":
        raise ValueError(f"{where}: {name!r} must hold real numbers, got dtype {signal.dtype}.")
    if signal.ndim not in (1, 2) or 0 in signal.shape[:-1]:
        raise ValueError(
            f"{where}: {name!r} must have shape (n_channels, n_times) or (n_times,), got "
            f"{signal.shape}."
        )
    signal = np.atleast_2d(signal)
    if len(signal) > max(signal.shape[1], 1):
        raise ValueError(
            f"{where}: {name!r} has {len(signal)} channels of {signal.shape[1]} samples. Signals "
            "have shape (n_channels, n_times): transpose it (.T)."
        )
    return signal


def _checked_beats(times, name, signals, where):
    if name in WINDOW_COLUMNS or name in signals:
        raise ValueError(f"{where}: beats cannot be called {name!r}; another column is.")
    times = np.ma.compressed(times) if isinstance(times, np.ma.MaskedArray) else times
    try:
        times = np.array(times, np.float64)
    except (TypeError, ValueError):
        times = np.array(np.nan)
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ValueError(
            f"{where}: the beats {name!r} must be increasing times in seconds, of shape (n_beats,)."
        )
    return times


def _checked_source(name, source, beats, where):
    if name not in (beats or {}):
        raise ValueError(
            f"{where}: beat_sources names {name!r}, but the beats are {list(beats or {})}."
        )
    if source not in ("ecg", "ppg"):
        raise ValueError(
            f"{where}: the source of the beats {name!r} must be 'ecg' or 'ppg', got {source!r}."
        )
    return source


def _checked_target(target, name, signals, where):
    if name in WINDOW_COLUMNS or name in signals:
        raise ValueError(f"{where}: a target cannot be called {name!r}; another column is.")
    if isinstance(target, Real):
        return float(target)
    try:
        values, rate = target
        values = np.array(fill_mask(values), np.float64)
    except (TypeError, ValueError):
        values, rate = None, None
    if values is None or values.ndim != 1 or not is_positive(rate):
        raise ValueError(
            f"{where}: the target {name!r} must be a number or (values of shape (n_times,), "
            f"sampling_rate), got {target!r}."
        )
    return values, float(rate)


def _checked_rate(rates, name, where):
    if name not in rates:
        raise ValueError(
            f"{where}: {name!r} has no sampling rate; sampling_rates has {list(rates)}."
        )
    if not is_positive(rates[name]):
        raise ValueError(
            f"{where}: the sampling rate of {name!r} must be a positive number (hertz), got "
            f"{rates[name]!r}."
        )
    return float(rates[name])


def _checked_starts(starts, start_time, signals, where):
    """Return the moment of second 0 or None, and the start of each signal in seconds."""
    origin = None if start_time is None else as_timestamp(start_time, f"{where}: start_time")
    moments = [name for name, start in starts.items() if is_absolute(start)]
    if moments and origin is None:
        others = [name for name in {**signals, **starts} if name not in moments]
        if others:
            raise ValueError(
                f"{where}: {moments[0]!r} starts at a moment, but {others[0]!r} does not. Pass "
                "such a start for each, or start_time=<the moment of second 0>."
            )
        times = [as_timestamp(starts[name], f"{where}: the start of {name!r}") for name in moments]
        if len({time.tz is None for time in times}) > 1:
            raise ValueError(f"{where}: only some of the starts have a time zone.")
        origin = min(times)
    seconds = dict.fromkeys(signals, 0.0)
    for name, start in starts.items():
        seconds[name] = as_seconds(start, origin, f"{where}: the start of {name!r}")
        if not np.isfinite(seconds[name]):
            raise ValueError(f"{where}: the start of {name!r} must be a time, got {start!r}.")
    return origin, seconds


def _checked_interval(interval, size, what, origin, where):
    form = "(start, stop)" if size == 2 else "(start, stop, label)"
    interval = tuple(interval) if isinstance(interval, Iterable) else (interval,)
    try:
        seconds = [as_seconds(time, origin, "One of its times") for time in interval[:2]]
    except ValueError as error:
        raise ValueError(
            f"{where}: {what} must be {form} in seconds, got {interval}. {error}"
        ) from error
    if len(interval) != size or not np.isfinite(seconds).all():
        raise ValueError(f"{where}: {what} must be {form} in seconds, got {interval}.")
    start, stop = seconds
    if stop <= start:
        raise ValueError(f"{where}: {what} interval {interval} does not stop after its start.")
    return (start, stop, *interval[2:])


def _checked_labels(labels, origin, where):
    if not isinstance(labels, Iterable) or isinstance(labels, str):
        raise ValueError(f"{where}: labels must be a list of (start, stop, label), got {labels!r}.")
    intervals = [_checked_interval(i, 3, "labels", origin, where) for i in labels]
    for interval in intervals:
        label = interval[2]
        if not isinstance(label, str | Real | np.bool_) or label != label:
            raise ValueError(
                f"{where}: a label must be a string or a number, got {label!r} in {interval}. "
                "Leave unlabelled intervals out."
            )
    intervals.sort(key=lambda interval: interval[0])
    for one, other in pairwise(intervals):
        if other[0] < one[1] - _TOLERANCE:
            raise ValueError(f"{where}: the label intervals {one} and {other} overlap.")
    return tuple(intervals)
