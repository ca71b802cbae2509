"""Recordings as the loaders return them, and cutting them into windows."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Real

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from skemo.signals import SignalArray, float_type

_COLUMNS = ("subject", "trial", "start", "label")
_TOLERANCE = 1e-6  # seconds or samples: well above rounding errors, well below one sample


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """The signals of one subject that were recorded together, with what is known of them.

    All signals start at the same moment, second 0; they may have unlike sampling rates
    and end at unlike times. `dataclasses.replace` makes a changed recording, for instance
    one with a further signal that was derived from the others.

    Parameters
    ----------
    signals : mapping of str to array of shape (n_channels, n_times) or (n_times,)
        The samples of each modality; one dimension is read as one channel. Not copied.
    sampling_rates : mapping of str to float
        Samples a second of each modality, in hertz.
    channels : mapping of str to sequence of str, default={}
        Channel names; a modality that is not in it, or is None, has none.
    units : mapping of str to str, default={}
        Physical unit of the samples, such as ``"mV"``.
    subject : str
        Who was recorded.
    trial : str, default=""
        Which of the subject's recordings this is.
    labels : sequence of (start, stop, label), default=()
        What went on when, in seconds; intervals do not overlap, and may leave gaps.
    excluded : sequence of (start, stop), default=()
        Intervals, in seconds, that no window may touch: artefacts, pauses.
    targets : mapping of str to float, or to (values, sampling_rate), default={}
        What a regression would predict: a number for the whole recording, as a rating of
        the trial, or a series of shape (n_times,) that goes along with the signals, as a
        joystick's. `segment` gives each window the mean over its seconds.

    Attributes
    ----------
    duration : float
        Length in seconds, that of the shortest signal.

    Raises
    ------
    ValueError
        Names the subject and the modality or interval that does not fit.

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
    """

    signals: Mapping
    sampling_rates: Mapping
    channels: Mapping = field(default_factory=dict)
    units: Mapping = field(default_factory=dict)
    subject: str = field(kw_only=True)
    trial: str = ""
    labels: tuple = ()
    excluded: tuple = ()
    targets: Mapping = field(default_factory=dict)

    def __post_init__(self):
        where = f"Recording of subject {self.subject!r}"
        where += f", trial {self.trial!r}" if self.trial else ""
        for what in ("signals", "sampling_rates", "channels", "units", "targets"):
            if not isinstance(getattr(self, what) or {}, Mapping):
                raise ValueError(
                    f"{where}: {what} must be a mapping, from the name of each modality, got "
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
        channels = {}
        for name, signal in signals.items():
            names = (self.channels or {}).get(name)
            channels[name] = None if names is None else tuple(str(n) for n in names)
            if names is not None and len(channels[name]) != len(signal):
                raise ValueError(
                    f"{where}: {name!r} has {len(signal)} channels, but {len(channels[name])} "
                    f"channel names {list(channels[name])}."
                )
        for what, value in {
            "signals": signals,
            "sampling_rates": rates,
            "channels": channels,
            "units": {name: (self.units or {}).get(name) for name in signals},
            "subject": str(self.subject),
            "trial": str(self.trial),
            "labels": _checked_labels(self.labels, where),
            "excluded": tuple(_checked_interval(i, 2, "excluded", where) for i in self.excluded),
            "targets": {
                name: _checked_target(target, name, signals, where)
                for name, target in (self.targets or {}).items()
            },
        }.items():
            object.__setattr__(self, what, value)
        ends = [stop for _, stop, *_ in (*self.labels, *self.excluded)]
        longest = max(x.shape[1] / rates[name] for name, x in signals.items())
        if ends and max(ends) > 2 * longest:
            warnings.warn(
                f"{where} lasts {longest:g} s, but an interval of its labels or exclusions ends at "
                f"{max(ends):g} s. Are they in seconds, from the start of the recording?",
                UserWarning,
                stacklevel=3,
            )

    @property
    def duration(self):
        return min(x.shape[1] / self.sampling_rates[name] for name, x in self.signals.items())

    def __repr__(self):
        trial = f", trial {self.trial!r}" if self.trial else ""
        parts = []
        for name, signal in self.signals.items():
            n = len(signal)
            unit = f" ({self.units[name]})" if self.units[name] else ""
            plural = "" if n == 1 else "s"
            parts.append(f"{name} {n} channel{plural} at {self.sampling_rates[name]:g} Hz{unit}")
        text = f"subject {self.subject!r}{trial}: {self.duration:g} s; {', '.join(parts)}"
        labels = list(dict.fromkeys(repr(label) for *_, label in self.labels))
        if labels:
            text += f"; labels {', '.join(labels[:6])}"
            text += f" and {len(labels) - 6} more" if len(labels) > 6 else ""
        if self.excluded:
            text += f"; {len(self.excluded)} excluded"
        return f"<Recording of {text}>"


def segment(recordings, duration, step=None, *, purity=1.0):
    """Cut recordings into windows: a table with one row a window.

    Windows start every `step` seconds from the start of a recording, and are cut from
    every modality at the same seconds. In samples, a window of a modality with sampling
    rate ``f`` has ``round(duration * f)`` samples and begins at sample
    ``round(start * f)``, halves rounded up. Where these are not whole numbers, the window
    is off by up to half a sample, and neighbouring windows may share or leave out one.

    Dropped are windows that do not lie wholly inside every signal that their recording
    has (the rest at its end, or the whole of a short recording), windows that touch an
    excluded interval, and windows whose label is not pure. How many is told by
    ``frame.attrs["segment"]``: its ``windows``, ``dropped_excluded``, ``dropped_label`` and
    ``short_recordings`` are counts, beside ``duration`` and ``step`` in seconds.

    Parameters
    ----------
    recordings : Recording or iterable of Recording
        What to cut. A generator is read one recording at a time. All recordings that have
        a modality must agree on its sampling rate, channels and unit; value types
        are joined to the widest.
    duration : float
        Length of a window in seconds.
    step : float, default=None
        Seconds from the start of one window to the next; `duration` if None, so that
        windows do not overlap. Windows that do overlap belong into the same part of a
        split into training and test.
    purity : float, default=1.0
        Share of a window's seconds, in (0, 1], that must carry the window's label, which
        is the one with the most seconds. At 1, a window that straddles a change of label
        or reaches unlabelled time is dropped. A recording without any label intervals
        keeps its windows, with the label None.

    Returns
    -------
    DataFrame of n_windows rows
        A signal column a modality, in the order of first appearance, then ``subject``,
        ``trial``, ``start`` (seconds) and ``label``, then a column of numbers a target. A
        modality or target that a recording lacks is missing (NaN) in its windows.

    Raises
    ------
    ValueError
        Recordings that do not agree, or no window at all, with the reason.

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
        if not _is_positive(value):
            raise ValueError(f"{name} must be a positive number of seconds, got {value!r}.")
    if not (_is_positive(purity) and purity <= 1):
        raise ValueError(f"purity must be in (0, 1], got {purity!r}.")

    first = {}  # modality -> the first recording that has it
    cuts = []  # for each recording: modality -> array (n_windows, n_channels, n_times)
    subjects, trials, starts, labels, targets = [], [], [], [], []
    counts = {"windows": 0, "dropped_label": 0, "dropped_excluded": 0, "short_recordings": 0}
    longest = 0.0
    for recording in [recordings] if isinstance(recordings, Recording) else recordings:
        if not isinstance(recording, Recording):
            raise TypeError(f"segment expects recordings, got {type(recording).__name__}.")
        for name in recording.signals:
            _check_agreement(name, first.setdefault(name, recording), recording)
        longest = max(longest, recording.duration)
        found = _starts(recording, duration, step)
        clean = ~_touches(found, duration, recording.excluded)
        window_labels, pure = _window_labels(found, duration, recording.labels, purity)
        kept = np.flatnonzero(clean & pure)
        counts["windows"] += len(kept)
        counts["dropped_label"] += int((clean & ~pure).sum())
        counts["dropped_excluded"] += int((~clean).sum())
        counts["short_recordings"] += len(found) == 0
        if len(kept):
            cuts.append(_cut(recording, found[kept], duration))
            subjects += [recording.subject] * len(kept)
            trials += [recording.trial] * len(kept)
            starts.append(found[kept])
            labels.append(window_labels[kept])
            targets.append(_window_targets(recording, found[kept], duration))
    if not first:
        raise ValueError("segment got no recordings.")
    if not cuts:
        raise ValueError(
            f"No window came out: the longest recording has {longest:g} s, and a window "
            f"{duration:g} s. Dropped were {counts['short_recordings']} recordings as too short, "
            f"{counts['dropped_excluded']} windows for touching an excluded interval and "
            f"{counts['dropped_label']} for their label (purity={purity:g})."
        )
    columns = {}
    sizes = [len(found) for found in starts]
    for name, recording in first.items():
        values = _join([cut.pop(name, None) for cut in cuts], sizes)
        if values is None:  # the recordings that have it gave no window
            values = np.full((sum(sizes), *_window_shape(recording, name, duration)), np.nan, "f4")
        columns[name] = SignalArray(
            values,
            sampling_rate=recording.sampling_rates[name],
            channels=recording.channels[name],
        )
    columns |= {"subject": subjects, "trial": trials, "start": np.concatenate(starts)}
    label = pd.Series(np.concatenate(labels))
    columns["label"] = label if label.hasnans else label.infer_objects()
    targets = pd.concat(targets, ignore_index=True)
    clashes = [name for name in targets if name in columns]
    if clashes:
        raise ValueError(f"{clashes[0]!r} is a modality of one recording and a target of another.")
    columns |= dict(targets.items())
    frame = pd.DataFrame(columns, copy=False)
    frame.attrs["segment"] = {"duration": float(duration), "step": float(step), **counts}
    return frame


def _to_samples(seconds, rate):
    """Seconds as a whole number of samples, halves up."""
    return np.floor(np.asarray(seconds) * rate + 0.5 + _TOLERANCE).astype(np.intp)


def _window_shape(recording, name, duration):
    rate = recording.sampling_rates[name]
    n_times = int(_to_samples(duration, rate))
    if n_times == 0:
        raise ValueError(f"A window of {duration:g} s holds no sample of {name!r} at {rate:g} Hz.")
    return len(recording.signals[name]), n_times


def _starts(recording, duration, step):
    """Start seconds of the windows that lie wholly inside every signal."""
    starts = np.round(step * np.arange(int(recording.duration / step) + 2), 9)
    inside = np.ones(len(starts), bool)
    for name, signal in recording.signals.items():
        _, n_times = _window_shape(recording, name, duration)
        begins = _to_samples(starts, recording.sampling_rates[name])
        inside &= begins + n_times <= signal.shape[1]
    return starts[inside]


def _cut(recording, starts, duration):
    """Windows of each modality, (n_windows, n_channels, n_times)."""
    windows = {}
    for name, signal in recording.signals.items():
        _, n_times = _window_shape(recording, name, duration)
        begins = _to_samples(starts, recording.sampling_rates[name])
        windows[name] = sliding_window_view(signal, n_times, axis=1).swapaxes(0, 1)[begins]
    return windows


def _join(blocks, sizes):
    """One array of the windows of all recordings, NaN where a block is None."""
    found = [block for block in blocks if block is not None]
    if not found:
        return None
    value_type = np.result_type(*(float_type(block.dtype) for block in found))
    values = np.empty((sum(sizes), *found[0].shape[1:]), value_type)
    stop = 0
    for block, size in zip(blocks, sizes, strict=True):
        start, stop = stop, stop + size
        values[start:stop] = np.nan if block is None else block
    return values


def _overlap(starts, duration, intervals):
    """Seconds that each window shares with each interval, (n_windows, n_intervals)."""
    begin, stop = np.array(intervals, float).reshape(-1, 2).T
    end = np.minimum((starts + duration)[:, np.newaxis], stop)
    return np.maximum(end - np.maximum(starts[:, np.newaxis], begin), 0.0)


def _touches(starts, duration, intervals):
    return (_overlap(starts, duration, intervals) > _TOLERANCE).any(axis=1)


def _window_labels(starts, duration, labels, purity):
    """Label with the most seconds in each window, and whether it has enough of them."""
    if not labels:
        return np.full(len(starts), None), np.ones(len(starts), bool)
    cells = np.empty(len(labels), object)
    cells[:] = [label for *_, label in labels]
    codes, names = pd.factorize(cells)
    overlap = _overlap(starts, duration, [interval for *interval, _ in labels])
    seconds = overlap @ np.eye(len(names))[codes]
    pure = seconds.max(axis=1, initial=0.0) >= purity * duration - _TOLERANCE
    return names[seconds.argmax(axis=1)], pure


def _window_targets(recording, starts, duration):
    """A table of the mean of each target in each window; NaN where nothing of it is there."""
    columns = {}
    for name, target in recording.targets.items():
        if not isinstance(target, tuple):
            columns[name] = np.full(len(starts), target)
            continue
        series, rate = target
        known = np.isfinite(series)
        # Sums over the samples before each, so that a window's is a difference of two.
        total, count = (
            np.concatenate([[0.0], np.cumsum(x)]) for x in (np.where(known, series, 0.0), known)
        )
        begin, end = (
            np.minimum(_to_samples(seconds, rate), len(series))
            for seconds in (starts, starts + duration)
        )
        n_known = count[end] - count[begin]
        with np.errstate(invalid="ignore"):
            columns[name] = (total[end] - total[begin]) / n_known
    return pd.DataFrame(columns, index=range(len(starts)))


def _check_agreement(name, one, other):
    """Raise unless two recordings have the same rate, channels and unit of a modality."""
    n_one, n_other = len(one.signals[name]), len(other.signals[name])
    for what, a, b in (
        ("sampling rates (hertz)", one.sampling_rates[name], other.sampling_rates[name]),
        ("numbers of channels", n_one, n_other),
        ("channels", one.channels[name], other.channels[name]),
        ("units", one.units[name], other.units[name]),
    ):
        if a != b:
            raise ValueError(
                f"{name!r} has unlike {what}: {a} in the recording of subject {one.subject!r}, "
                f"{b} in that of subject {other.subject!r}. Make them alike before cutting, or "
                "cut them apart."
            )


def _is_positive(value):
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < value < np.inf


def _checked_signal(signal, name, where):
    if name in _COLUMNS:
        raise ValueError(f"{where}: a modality cannot be called {name!r}, a column of windows is.")
    signal = np.asarray(signal)
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
            "are (n_channels, n_times): transpose it (.T)."
        )
    return signal


def _checked_target(target, name, signals, where):
    if name in _COLUMNS or name in signals:
        raise ValueError(f"{where}: a target cannot be called {name!r}, another column is.")
    if isinstance(target, Real):
        return float(target)
    try:
        values, rate = target
        values = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        values, rate = None, None
    if values is None or values.ndim != 1 or not _is_positive(rate):
        raise ValueError(
            f"{where}: the target {name!r} must be a number or (values of shape (n_times,), "
            f"sampling_rate), got {target!r}."
        )
    return values, float(rate)


def _checked_rate(rates, name, where):
    if name not in rates:
        raise ValueError(f"{where}: {name!r} has no sampling rate; sampling_rates has {[*rates]}.")
    if not _is_positive(rates[name]):
        raise ValueError(
            f"{where}: the sampling rate of {name!r} must be a positive number (hertz), got "
            f"{rates[name]!r}."
        )
    return float(rates[name])


def _checked_interval(interval, size, what, where):
    form = "(start, stop)" if size == 2 else "(start, stop, label)"
    interval = tuple(interval)
    seconds = interval[:2]
    if len(interval) != size or not all(isinstance(s, Real) and np.isfinite(s) for s in seconds):
        raise ValueError(f"{where}: {what} are {form} in seconds, got {interval}.")
    start, stop = (float(s) for s in seconds)
    if stop <= start:
        raise ValueError(f"{where}: {what} interval {interval} stops before it starts.")
    return (start, stop, *interval[2:])


def _checked_labels(labels, where):
    intervals = [_checked_interval(i, 3, "labels", where) for i in labels]
    for interval in intervals:
        label = interval[2]
        if not isinstance(label, str | Real | np.bool_) or label != label:
            raise ValueError(
                f"{where}: a label is a string or a number, got {label!r} in {interval}. Leave "
                "unlabelled time out."
            )
    intervals.sort(key=lambda interval: interval[0])
    for one, other in pairwise(intervals):
        if other[0] < one[1] - _TOLERANCE:
            raise ValueError(f"{where}: the label intervals {one} and {other} overlap.")
    return tuple(intervals)
