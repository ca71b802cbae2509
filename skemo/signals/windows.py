"""Cutting recordings into windows: a table with one row per window."""

import os
import warnings
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from skemo._checks import float_type, is_positive
from skemo.signals.array import SignalArray
from skemo.signals.checks import check_text
from skemo.signals.recording import Recording
from skemo.signals.stored import read_windows, write_tables

_MOST_SAMPLES = 2.0**52
_MOST_WINDOWS = 100_000_000  # of a recording
_SHORTEST_RR = 0.3  # seconds; shorter times between two heartbeats are taken for errors
_TOLERANCE = 1e-6  # seconds or samples: well above rounding errors, well below one sample


def segment(
    recordings: Recording | Iterable[Recording],
    duration: float,
    step: float | None = None,
    *,
    purity: float = 1.0,
    missing: Literal["drop", "keep"] = "drop",
    to: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Cut recordings into windows: a table with one row per window.

    Windows start every `step` seconds, and all modalities are cut at the same times. One of
    them starts when all signals of the recording have started. At a sampling rate of ``f``, a
    window has ``round(duration * f)`` samples and begins ``round(t * f)`` samples into the
    signal, where ``t`` is the time since the signal started and halves are rounded up. If
    ``duration * f`` or ``t * f`` is not a whole number, the window is off by up to half a
    sample, and consecutive windows may share a sample or skip one.

    A window is dropped if it is not entirely inside every signal of its recording (the
    remainder at the end, or all of a short recording; see `missing`), if it touches an excluded
    interval, or if its label is not pure. ``frame.attrs["segment"]`` has the counts
    ``windows``, ``dropped_excluded``, ``dropped_label``, ``dropped_missing`` (windows that are
    inside some of the signals) and ``short_recordings``, and ``duration`` and ``step`` in
    seconds.

    Parameters
    ----------
    recordings : Recording or iterable of Recording
        What to cut. A generator is read one recording at a time. All recordings that have
        a modality must agree on its sampling rate, channels and unit; value types are
        converted to the widest.
    duration : float
        Length of a window in seconds.
    step : float, default=None
        Seconds from the start of one window to the start of the next. None means `duration`,
        so that windows do not overlap. Overlapping windows must not be divided between
        training and test.
    purity : float, default=1.0
        Fraction of a window's duration, in (0, 1], that must have the label of the window,
        which is the label with the longest total duration. At 1, a window that contains a
        change of label or unlabelled time is dropped. A recording without any labels keeps
        all its windows, with the label None.
    missing : {"drop", "keep"}, default="drop"
        What becomes of a window that is inside some signals of its recording, but not inside
        others, because they start later or end earlier: it is dropped, or kept with those
        signals missing (NaN).
    to : path-like, default=None
        Parquet file to write the windows to, for studies larger than memory. The windows of only
        one recording are in memory at a time; pass a generator of recordings, or call a loader
        with ``lazy=True``, to have only one recording in memory as well. The returned table is
        that of :func:`skemo.read_windows`: its signals stay in the file.

    Returns
    -------
    DataFrame of n_windows rows
        One signal column per modality, in the order of first appearance, then ``subject``,
        ``trial``, ``start`` (seconds) and ``label``, then one column of numbers per target.
        If a recording does not have a modality or target, it is missing (NaN) in its windows.
        Beats are a signal column of shape (1, largest possible number of beats): seconds from
        the start of the window, padded with NaN, with a NaN between two beats that a gap
        separates. The channel is named after the source of the beats, if it is known.

    Raises
    ------
    OSError
        If the file `to` cannot be written; if it is a folder, before anything is read.
    ValueError
        If recordings do not agree, or no window is left; the message says why.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording, segment
    >>> recording = Recording(
    ...     {"ecg": np.zeros(7000)}, {"ecg": 700}, subject="S2", labels=[(0, 6, "rest")]
    ... )
    >>> segment(recording, duration=2.0)[["subject", "start", "label"]]
      subject  start label
    0      S2    0.0  rest
    1      S2    2.0  rest
    2      S2    4.0  rest
    """
    step = duration if step is None else step
    for name, value in {"duration": duration, "step": step}.items():
        if not is_positive(value):
            raise ValueError(f"{name} must be a positive number of seconds, got {value!r}.")
    if not (is_positive(purity) and purity <= 1):
        raise ValueError(f"purity must be in (0, 1], got {purity!r}.")
    if missing not in ("drop", "keep"):
        raise ValueError(f"missing must be 'drop' or 'keep', got {missing!r}.")

    cutter = _Cutter(duration, step, purity, missing)
    recordings = [recordings] if isinstance(recordings, Recording) else recordings
    if to is None:
        frame = cutter.table([part for part in cutter.cut(recordings) if part.n_windows])
        frame.attrs["segment"] = cutter.counts
    else:
        tables = (cutter.table([part]) for part in cutter.cut(recordings))
        write_tables(tables, to, {"segment": cutter.counts})
        frame = read_windows(to)
    lost = list(dict.fromkeys(name for name in cutter.subjects if name not in cutter.kept_subjects))
    if lost:
        warnings.warn(
            f"No window is left of subject(s) {', '.join(map(str, lost))}: their recordings are "
            "too short or excluded, or their labels change within each window.",
            stacklevel=2,
        )
    return frame


class _Part(NamedTuple):
    """The windows of a recording."""

    subject: Any
    trial: Any
    signals: dict[str, NDArray]  # (n_windows, n_channels, n_times)
    starts: NDArray[np.floating]
    labels: NDArray[np.object_]
    targets: pd.DataFrame

    @property
    def n_windows(self) -> int:
        return len(self.starts)


class _Cutter:
    """Cuts recordings one by one, checks that they agree, and counts their windows."""

    def __init__(self, duration, step, purity, missing):
        self.duration, self.step, self.purity, self.missing = duration, step, purity, missing
        self.first: dict[str, Recording] = {}  # for each modality, the first that has it
        self.subjects: list[Any] = []
        self.kept_subjects: set[Any] = set()
        self.counts: dict[str, Any] = {
            "duration": float(duration),
            "step": float(step),
            "windows": 0,
            "dropped_label": 0,
            "dropped_excluded": 0,
            "dropped_missing": 0,
            "short_recordings": 0,
        }

    def cut(self, recordings):
        """Yield the windows of each recording, which may be none."""
        duration, counts = self.duration, self.counts
        longest = 0.0
        for recording in recordings:
            if not isinstance(recording, Recording):
                raise TypeError(f"segment expects recordings, got {type(recording).__name__}.")
            for name in recording.signals:
                _check_agreement(name, self.first.setdefault(name, recording), recording)
            for name in recording.beats:
                _check_beats(name, self.first.setdefault(name, recording), recording)
            longest = max(longest, recording.duration)
            self.subjects.append(recording.subject)
            found, n_partial = window_starts(recording, duration, self.step, self.missing)
            counts["dropped_missing"] += n_partial
            clean = ~_touches(found, duration, recording.excluded)
            # Times computed from sample counts are off by up to half a sample.
            slack = _TOLERANCE + 0.5 / max(recording.sampling_rates.values(), default=np.inf)
            labels, pure = _window_labels(found, duration, recording.labels, self.purity, slack)
            kept = np.flatnonzero(clean & pure)
            counts["windows"] += len(kept)
            counts["dropped_label"] += int((clean & ~pure).sum())
            counts["dropped_excluded"] += int((~clean).sum())
            counts["short_recordings"] += len(found) == 0
            signals, targets = {}, pd.DataFrame(index=range(0))
            if len(kept):
                self.kept_subjects.add(recording.subject)
                signals = _cut(recording, found[kept], duration)
                targets = _window_targets(recording, found[kept], duration)
            subject, trial = recording.subject, recording.trial
            yield _Part(subject, trial, signals, found[kept], labels[kept], targets)
        if not self.first:
            raise ValueError(
                "segment got no recordings: the list is empty, as from a folder without files, or "
                "it is an iterator, as from lazy=True or map, that has already been used up."
            )
        if not counts["windows"]:
            raise ValueError(
                f"No window is left: the longest recording lasts {longest:g} s, and a window "
                f"{duration:g} s. Dropped: {counts['short_recordings']} recordings (too short), "
                f"{counts['dropped_missing']} windows (outside some of the signals), "
                f"{counts['dropped_excluded']} windows (touching an excluded interval) and "
                f"{counts['dropped_label']} windows (label not pure, purity={self.purity:g})."
            )

    def table(self, parts):
        """Return the table of some parts, with a column for every modality found so far."""
        columns: dict[str, Any] = {}
        sizes = [part.n_windows for part in parts]
        for name, recording in self.first.items():
            values = _join([part.signals.pop(name, None) for part in parts], sizes)
            if values is None:  # no window is left of the recordings that have it
                shape = _window_shape(recording, name, self.duration)
                values = np.full((sum(sizes), *shape), np.nan, "f4")
            columns[name] = SignalArray(
                values,
                sampling_rate=recording.sampling_rates.get(name),
                channels=_channel_names(recording, name),
            )
        subjects = [part.subject for part in parts for _ in part.starts]
        trials = [part.trial for part in parts for _ in part.starts]
        starts = np.concatenate([part.starts for part in parts])
        if not len(starts):  # pandas would make an empty list a column of numbers
            subjects = trials = np.empty(0, object)
        columns |= {"subject": subjects, "trial": trials, "start": starts}
        named = np.concatenate([part.labels for part in parts])
        for name, values in (("subject", subjects), ("trial", trials), ("label", named)):
            check_text(values, f"The {name}")
        label = pd.Series(named)
        columns["label"] = label if label.hasnans else label.infer_objects()
        targets = pd.concat([part.targets for part in parts], ignore_index=True)
        clashes = [name for name in targets if name in columns]
        if clashes:
            raise ValueError(
                f"{clashes[0]!r} is a modality in one recording and a target in another. Rename "
                "one."
            )
        columns |= dict(targets.items())
        return pd.DataFrame(columns, copy=False)


def to_samples(seconds: ArrayLike, rate: float) -> NDArray[np.intp]:
    """Convert seconds to a whole number of samples, rounding halves up."""
    return np.clip(
        np.floor(np.asarray(seconds) * rate + 0.5 + _TOLERANCE), -_MOST_SAMPLES, _MOST_SAMPLES
    ).astype(np.intp)


def _window_shape(recording, name, duration):
    if name in recording.beats:
        return 1, int(duration / _SHORTEST_RR + _TOLERANCE) + 1
    rate = recording.sampling_rates[name]
    n_times = int(to_samples(duration, rate))
    if n_times == 0:
        raise ValueError(f"A window of {duration:g} s has no sample of {name!r} at {rate:g} Hz.")
    return len(recording.signals[name]), n_times


def _begins(recording, name, starts):
    """Return the sample at which each window begins; it may lie outside the signal."""
    return to_samples(starts - recording.starts[name], recording.sampling_rates[name])


def _inside(recording, name, starts, duration):
    """Return which windows are entirely inside a signal."""
    _, n_times = _window_shape(recording, name, duration)
    begins = _begins(recording, name, starts)
    return (begins >= 0) & (begins + n_times <= recording.signals[name].shape[1])


def window_starts(
    recording: Recording, duration: float, step: float, missing: str
) -> tuple[NDArray[np.floating], int]:
    """Return the start times of the windows, and the number of those dropped as missing."""
    anchor = max(recording.starts[name] for name in recording.signals)
    first = min(recording.starts[name] for name in recording.signals)
    last = max(
        recording.starts[name] + signal.shape[1] / recording.sampling_rates[name]
        for name, signal in recording.signals.items()
    )
    n_starts = (last - first) / step
    if n_starts > _MOST_WINDOWS:
        raise ValueError(
            f"The recording of subject {recording.subject!r} lasts {last - first:g} s, which is "
            f"{n_starts:g} windows, one every {step:g} s. Are its sampling rates in hertz?"
        )
    steps = np.arange(-int((anchor - first) / step) - 1, int((last - anchor) / step) + 2)
    starts = np.round(anchor + step * steps, 9)
    inside = np.array([_inside(recording, name, starts, duration) for name in recording.signals])
    some, every = inside.any(axis=0), inside.all(axis=0)
    if missing == "keep":
        return starts[some], 0
    return starts[every], int((some & ~every).sum())


def _cut(recording, starts, duration):
    """Return the windows of each modality, (n_windows, n_channels, n_times)."""
    windows = {}
    for name, signal in recording.signals.items():
        _, n_times = _window_shape(recording, name, duration)
        inside = _inside(recording, name, starts, duration)
        begins = _begins(recording, name, starts)[inside]
        if not len(begins):  # missing in all windows
            continue
        cut = sliding_window_view(signal, n_times, axis=1).swapaxes(0, 1)[begins]
        if inside.all():
            windows[name] = cut
        else:
            value_type = float_type(cut.dtype)
            windows[name] = np.full((len(starts), *cut.shape[1:]), np.nan, value_type)
            windows[name][inside] = cut
    for name in recording.beats:
        windows[name] = _cut_beats(recording, name, starts, duration)
    return windows


def _cut_beats(recording, name, starts, duration):
    """Return the beats of each window in seconds from its start, (n_windows, 1, most)."""
    times = recording.beats[name]
    first, end = (np.searchsorted(times, seconds) for seconds in (starts, starts + duration))
    _, most = _window_shape(recording, name, duration)
    # A gap takes a place of its own between two beats.
    broken = np.zeros(len(times) + 1, np.intp)
    for start, stop in recording.beat_gaps.get(name, ()):
        last_before = np.searchsorted(times, start + _TOLERANCE) - 1
        first_after = np.searchsorted(times, stop - _TOLERANCE)
        broken[max(last_before, 0) + 1 : first_after + 1] = 1
    place = np.arange(len(times)) + np.cumsum(broken)[:-1]
    place = np.append(place, place[-1:] + 1) if len(times) else np.zeros(1, np.intp)
    last = np.maximum(end, 1) - 1
    n_places = np.where(end > first, place[last] - place[np.minimum(first, last)] + 1, 0)
    n_beats = end - first
    if n_places.max() > most:
        worst = n_places.argmax()
        raise ValueError(
            f"{name!r} of subject {recording.subject!r} has {n_beats[worst]} beats in the "
            f"window that starts at {starts[worst]:g} s, but at most {most} are "
            f"possible in {duration:g} s. Are the times in seconds, and is each beat listed once?"
        )
    series = np.full(place[-1] + most + 1, np.nan)
    series[place[: len(times)]] = times
    order = np.arange(most)
    windows = series[place[first][:, np.newaxis] + order]
    inside = order < n_places[:, np.newaxis]
    windows = np.where(inside, windows - starts[:, np.newaxis], np.nan)
    return windows[:, np.newaxis]


def _join(blocks, sizes):
    """Concatenate the windows of all recordings, with NaN for a block that is None."""
    found = [block for block in blocks if block is not None]
    if not found:
        return None
    value_type = np.result_type(*(float_type(block.dtype) for block in found))
    if len(blocks) == 1 and found[0].dtype == value_type:
        return found[0]
    values = np.empty((sum(sizes), *found[0].shape[1:]), value_type)
    stop = 0
    for block, size in zip(blocks, sizes, strict=True):
        start, stop = stop, stop + size
        values[start:stop] = np.nan if block is None else block
    return values


def _overlap(starts, duration, intervals):
    """Return the overlap of each window and interval in seconds, (n_windows, n_intervals)."""
    begin, stop = np.array(intervals, float).reshape(-1, 2).T
    end = np.minimum((starts + duration)[:, np.newaxis], stop)
    return np.maximum(end - np.maximum(starts[:, np.newaxis], begin), 0.0)


def _touches(starts, duration, intervals):
    return (_overlap(starts, duration, intervals) > _TOLERANCE).any(axis=1)


def _window_labels(starts, duration, labels, purity, slack):
    """Return the longest label of each window, and whether it is pure within `slack` seconds."""
    if not labels:
        return np.full(len(starts), None), np.ones(len(starts), bool)
    cells = np.empty(len(labels), object)
    cells[:] = [label for *_, label in labels]
    codes, names = pd.factorize(cells)
    overlap = _overlap(starts, duration, [interval for *interval, _ in labels])
    seconds = overlap @ np.eye(len(names))[codes]
    pure = seconds.max(axis=1, initial=0.0) >= purity * duration - slack
    return names[seconds.argmax(axis=1)], pure


def _window_targets(recording, starts, duration):
    """Return a table of the mean of each target in each window; NaN if it has no finite sample."""
    columns = {}
    for name, target in recording.targets.items():
        if not isinstance(target, tuple):
            columns[name] = np.full(len(starts), target)
            continue
        series, rate = target
        since = starts - recording.starts.get(name, 0.0)
        begin, end = (to_samples(seconds, rate) for seconds in (since, since + duration))
        # A window between two samples takes the last sample before it.
        begin = np.where(begin == end, np.floor(since * rate + _TOLERANCE).astype(int), begin)
        end = np.where(end > 0, np.maximum(begin + 1, end), 0)
        begin = np.maximum(begin, 0)
        parts = (series[i:j] for i, j in zip(begin, end, strict=True))
        known = (part[np.isfinite(part)] for part in parts)
        columns[name] = [part.mean() if len(part) else np.nan for part in known]
    return pd.DataFrame(columns, index=range(len(starts)))


def _channel_names(recording, name):
    """Return the names of the channels; that of beats is their source, if known."""
    if name in recording.beat_sources:
        return [recording.beat_sources[name]]
    return recording.channels.get(name)


def _check_beats(name, one, other):
    if name not in one.beats:
        raise ValueError(
            f"{name!r} names a signal in one recording and beats in another. Rename one."
        )
    sources = [each.beat_sources.get(name) for each in (one, other)]
    if sources[0] != sources[1]:
        raise ValueError(
            f"{name!r} are beats of {sources[0]!r} in the recording of subject {one.subject!r}, "
            f"and of {sources[1]!r} in that of subject {other.subject!r}. Give them different "
            "names, find_beats(..., beats=...), or cut them apart."
        )


def _check_agreement(name, one, other):
    """Raise unless a modality has the same rate, channels and unit in two recordings."""
    if name in one.beats:
        raise ValueError(
            f"{name!r} names beats in one recording and a signal in another. Rename one."
        )
    n_one, n_other = len(one.signals[name]), len(other.signals[name])
    for what, a, b in (
        ("sampling rates (hertz)", one.sampling_rates[name], other.sampling_rates[name]),
        ("numbers of channels", n_one, n_other),
        ("channels", one.channels[name], other.channels[name]),
        ("units", one.units[name], other.units[name]),
    ):
        if a != b:
            raise ValueError(
                f"{name!r} has different {what}: {a} in the recording of subject "
                f"{one.subject!r}, but {b} in that of subject {other.subject!r}. Make them equal "
                "first, or cut the recordings separately."
            )
