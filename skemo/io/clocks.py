"""Recordings of several devices: correcting clocks and merging signals."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skemo.signals.recording import Recording
from skemo.signals.times import even_grid

_LARGEST_DRIFT = 0.01  # relative; quartz clocks differ by less than 0.0002
_MERGED = (
    "signals",
    "sampling_rates",
    "channels",
    "units",
    "targets",
    "beats",
    "beat_sources",
    "beat_gaps",
    "starts",
)


def _seconds(times: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return times as an array of finite numbers."""
    try:
        seconds = np.atleast_1d(np.asarray(times, np.float64))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers of seconds: {error}.") from error
    if not np.isfinite(seconds).all():
        raise ValueError(f"{name} must be finite numbers of seconds, got {times!r}.")
    return seconds


def correct_clock(recording: Recording, times: ArrayLike, true_times: ArrayLike) -> Recording:
    """Correct the offset and the drift of the clock of a device.

    Two devices must have recorded the same events, such as taps or button presses. One event
    is enough to correct the offset. With two or more, the drift is corrected as well, by linear
    regression, and the signals are resampled at their nominal rates.

    Parameters
    ----------
    recording : Recording
        The recording of the device whose clock is to be corrected.
    times : array-like of shape (n_events,)
        Times of the events by its own clock, in seconds of the recording.
    true_times : array-like of shape (n_events,)
        Times of the events by the other clock, in seconds of the other recording.

    Returns
    -------
    Recording
        Its starts, labels, exclusions and beats follow the other clock. Its `start_time` is
        None, since its second 0 is that of the other recording.

    Raises
    ------
    ValueError
        If the numbers of events differ, or the clocks differ by more than 1 %.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording
    >>> from skemo.io import correct_clock
    >>> wrist = Recording({"eda": np.zeros(400)}, {"eda": 4}, subject="A")
    >>> correct_clock(wrist, times=[10.0], true_times=[12.5]).starts
    {'eda': 2.5}
    """
    own, true = _seconds(times, "times"), _seconds(true_times, "true_times")
    if own.shape != true.shape or own.ndim != 1 or not len(own):
        raise ValueError(
            f"times and true_times must have the same events, got {own.size} and {true.size}."
        )
    slope = 1.0
    if len(own) > 1:
        if np.ptp(own) == 0:
            raise ValueError("times are all the same. Pass events that are far apart.")
        slope = float(np.polyfit(own - own.mean(), true - true.mean(), 1)[0])
    if abs(slope - 1) > _LARGEST_DRIFT:
        raise ValueError(
            f"The clocks differ by {100 * (slope - 1):.2g} %, which is too much for a drift. "
            "Check that the events are in the same order and the times in seconds."
        )

    def corrected(seconds):
        return true.mean() + slope * (np.asarray(seconds) - own.mean())

    signals, starts = {}, {}
    for name, signal in recording.signals.items():
        rate = recording.sampling_rates[name]
        taken = corrected(recording.starts[name] + np.arange(signal.shape[1]) / rate)
        if slope == 1.0:
            starts[name], signals[name] = float(taken[0]), signal
        else:
            starts[name], _, signals[name] = even_grid(taken, signal, rate, name=repr(name))
    for name, target in recording.targets.items():
        if isinstance(target, tuple):
            starts[name] = float(corrected(recording.starts.get(name, 0.0)))
    return replace(
        recording,
        signals=signals,
        starts={name: round(start, 9) for name, start in starts.items()},
        start_time=None,
        labels=[(*map(float, corrected(i[:2])), i[2]) for i in recording.labels],
        excluded=[
            (float(corrected(start)), float(corrected(stop))) for start, stop in recording.excluded
        ],
        beats={name: corrected(times) for name, times in recording.beats.items()},
        beat_gaps={
            name: [(float(corrected(start)), float(corrected(stop))) for start, stop in gaps]
            for name, gaps in recording.beat_gaps.items()
        },
    )


def merge_recordings(recordings: Sequence[Recording]) -> Recording:
    """Merge simultaneous recordings of several devices into one recording.

    Parameters
    ----------
    recordings : sequence of Recording
        Recordings of the same subject and trial. Either all or none of them must have a
        `start_time`; without it, their seconds must count from the same moment (see
        :func:`correct_clock`). All labels are kept, and duplicates are removed.

    Returns
    -------
    Recording
        Its second 0 is that of the first recording.

    Raises
    ------
    ValueError
        If the recordings cannot be merged.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording
    >>> from skemo.io import merge_recordings
    >>> chest = Recording({"ecg": np.zeros(2560)}, {"ecg": 256}, subject="A")
    >>> wrist = Recording({"eda": np.zeros(40)}, {"eda": 4}, subject="A", starts={"eda": 1.5})
    >>> merge_recordings([chest, wrist])
    <Recording of subject 'A': 8.5 s; ecg 1 channel at 256 Hz, eda 1 channel at 4 Hz from 1.5 s>
    """
    recordings = list(recordings)
    if not recordings:
        raise ValueError("merge_recordings got no recordings.")
    for one in recordings:
        if not isinstance(one, Recording):
            raise TypeError(f"merge_recordings takes Recordings, got {type(one).__name__}.")
    first = recordings[0]
    for other in recordings[1:]:
        if (other.subject, other.trial) != (first.subject, first.trial):
            raise ValueError(
                f"The recordings are of subject {first.subject!r}, trial {first.trial!r}, and of "
                f"subject {other.subject!r}, trial {other.trial!r}."
            )
        if (other.start_time is None) != (first.start_time is None):
            raise ValueError(
                f"Only some of the recordings of subject {first.subject!r} have a start_time. "
                "Without it, their seconds cannot be compared."
            )
        if other.start_time is not None and (other.start_time.tz is None) != (
            first.start_time.tz is None
        ):
            raise ValueError(
                f"The recordings of subject {first.subject!r} start at {first.start_time} and "
                f"{other.start_time}: only one has a time zone. Add it with tz_localize."
            )
    names = [name for r in recordings for name in chain(r.signals, r.beats, r.targets)]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"Several recordings of subject {first.subject!r} have {twice[0]!r}. Rename one."
        )
    moved = [_moved(other, first.start_time) for other in recordings]
    merged = {
        attribute: {name: value for r in moved for name, value in getattr(r, attribute).items()}
        for attribute in _MERGED
    }
    return Recording(
        **merged,
        subject=first.subject,
        trial=first.trial,
        labels=list(dict.fromkeys(label for r in moved for label in r.labels)),
        excluded=list(dict.fromkeys(interval for r in moved for interval in r.excluded)),
        start_time=first.start_time,
    )


def _moved(recording, origin):
    """Return a recording whose second 0 is `origin`."""
    if origin is None or recording.start_time == origin:
        return recording
    late = (recording.start_time - origin) / pd.Timedelta("1s")
    starts = {
        name: round(recording.starts.get(name, 0.0) + late, 9)
        for name in chain(recording.signals, recording.targets)
        if name in recording.signals or isinstance(recording.targets[name], tuple)
    }
    return replace(
        recording,
        starts=starts,
        start_time=origin,
        labels=[(start + late, stop + late, label) for start, stop, label in recording.labels],
        excluded=[(start + late, stop + late) for start, stop in recording.excluded],
        beats={name: times + late for name, times in recording.beats.items()},
        beat_gaps={
            name: [(start + late, stop + late) for start, stop in gaps]
            for name, gaps in recording.beat_gaps.items()
        },
    )
