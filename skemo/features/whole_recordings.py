"""Heartbeats and skin-conductance components of whole recordings, before windows are cut."""

import warnings
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

from skemo._checks import check_range, is_number
from skemo._samples import runs
from skemo.features.base import MERGED
from skemo.kernels.beat_correction import correct_beats as corrected
from skemo.kernels.filters import LARGEST_GAP_SHARE, fill_gaps
from skemo.kernels.heartbeats import check_detector, recording_beats
from skemo.kernels.hrv import SLOWEST_RR, check_rate
from skemo.kernels.skin_conductance import (
    OFF_SKIN,
    PARTS,
    check_method,
    conductance,
    tonic_phasic,
)
from skemo.signals.array import SignalArray
from skemo.signals.checks import warn_of_repeats
from skemo.signals.recording import Recording

_WORTH_TELLING = 10  # seconds of data without beats
_PIECE = 10.0  # s, of skin conductance looked at for gaps
_LOOSE = 0.5  # of the median nearby: beside a gap, a lower sample is not yet on the skin


def find_beats(
    recording: Recording,
    *,
    name: str = "ecg",
    signal: Literal["ecg", "ppg"] = "ecg",
    method: str = "skemo",
    beats: str = "beats",
    correct_beats: bool = False,
) -> Recording:
    """Find the heartbeats of a whole recording, and add them to it.

    Windows cut afterwards lose no beats at their edges, and each beat is found once however much
    the windows overlap: ``skemo.segment(map(find_beats, recordings), 10)`` has a column of beat
    times, the input of ``HRVTransformer(signal="beats")``. The polarity of the signal is decided
    once for the recording.

    A stretch in which no beats can be seen (:func:`skemo.kernels.heartbeats.r_peaks`) has none,
    and no RR interval is taken across it. The recording stores whether its beats came from an
    ECG or a pulse, so that `HRVTransformer` treats them like windows of that signal.

    Parameters
    ----------
    recording : Recording
    name : str, default="ecg"
        The signal in which to find them. The first of several channels is used; where it shows
        no beats for a while, the next one takes over.
    signal : {"ecg", "ppg"}, default="ecg"
        Kind of that signal.
    method : str, default="skemo"
        Detector, one of those listed in :func:`skemo.kernels.heartbeats.r_peaks`.
    beats : str, default="beats"
        Name of the beats, and of their column.
    correct_beats : bool, default=False
        Remove extra beats, insert missed ones and move ectopic ones
        (:func:`skemo.kernels.beat_correction.correct_beats`).

    Returns
    -------
    Recording
        With the times in ``recording.beats[beats]``, in seconds, their source in
        ``recording.beat_sources[beats]``, and the stretches between beats in which others may
        be hidden in ``recording.beat_gaps[beats]``.

    Raises
    ------
    ValueError
        If the recording has no such signal.

    Warns
    -----
    UserWarning
        The intervals between the beats cover less than half of the time that holds data, as
        where ``signal="ppg"`` was forgotten.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording, find_beats
    >>> phase = np.arange(7680) / 256 % 0.8 - 0.4
    >>> ecg = np.exp(-((phase / 0.01) ** 2))
    >>> recording = find_beats(Recording({"ecg": ecg}, {"ecg": 256}, subject="S2"))
    >>> recording.beats["beats"][:3].round(2).tolist()
    [0.4, 1.2, 2.0]
    """
    check_detector(method, signal)
    if not isinstance(name, str) or name not in recording.signals:
        raise ValueError(
            f"The recording of subject {recording.subject!r} has no signal {name!r}. Pass name= "
            f"with one of {list(recording.signals)}."
        )
    rate = recording.sampling_rates[name]
    check_rate(rate, signal)
    values = recording.signals[name]
    times, broken = recording_beats(values, rate, method, signal)
    _warn_of_few_beats(times, broken, values, rate, recording.subject, name, signal)
    if correct_beats:
        times, broken = _correct(times, broken)
    times = times + recording.starts[name]
    last = np.flatnonzero(broken[:-1])
    gaps = tuple(zip(times[last].tolist(), times[last + 1].tolist(), strict=True))
    return replace(
        recording,
        beats={**recording.beats, beats: times},
        beat_sources={**recording.beat_sources, beats: signal},
        beat_gaps={**recording.beat_gaps, beats: gaps},
    )


def _warn_of_few_beats(times, broken, values, sampling_rate, subject, name, signal):
    """Warn if intervals between beats cover less than half of the time that holds data."""
    n_second = round(sampling_rate)
    known = ~np.isnan(values).all(axis=0)
    known = known[: len(known) // n_second * n_second].reshape(-1, n_second)
    n_known = known.any(axis=1).sum()
    intervals = np.diff(times)
    covered = intervals[~broken[:-1] & (intervals <= SLOWEST_RR / 1000)].sum()
    if n_known < _WORTH_TELLING or covered >= 0.5 * n_known:
        return
    if known.any(axis=1).sum() and known[known.any(axis=1)].mean() < 0.5:
        reason = f"Most of its samples are NaN. {MERGED}"
    else:
        kind, other = ("an ECG", "ppg") if signal == "ecg" else ("a pulse", "ecg")
        reason = f"Is it {kind}, or does it need signal={other!r}?"
    warnings.warn(
        f"Recording of subject {subject!r}: heartbeats were found in only "
        f"{covered / n_known:.0%} of {n_known} s of {name!r}. {reason}",
        UserWarning,
        stacklevel=3,
    )


def _correct(times, broken):
    """Beats of a recording, corrected, and after which of them there is a break."""
    stretches = np.split(times, np.flatnonzero(broken[:-1]) + 1)
    # One row of a table, with room for beats that are inserted.
    row = np.full(2 * len(times) + len(stretches), np.nan)
    place = 0
    for stretch in stretches:
        row[place : place + len(stretch)] = stretch
        place += len(stretch) + 1
    row = corrected(row[np.newaxis])[0]
    index = np.flatnonzero(~np.isnan(row))
    return row[index], np.append(np.diff(index) > 1, False)[: len(index)]


def decompose_eda(
    recording: Recording,
    *,
    name: str = "eda",
    method: Literal["highpass", "cvxeda"] = "highpass",
    off_skin: float | None = OFF_SKIN,
) -> Recording:
    """Replace the skin conductance of a recording by its tonic and phasic parts.

    The whole recording is decomposed, so that windows cut from the result,
    ``skemo.segment(map(decompose_eda, recordings), 60)``, have no edges of their own. Give
    them to ``EDATransformer(signal="components")``.

    Parameters
    ----------
    recording : Recording
    name : str, default="eda"
        The signal to decompose, of one channel.
    method : {"highpass", "cvxeda"}, default="highpass"
        See :func:`skemo.kernels.skin_conductance.tonic_phasic`.
    off_skin : float or None, default=0.01
        Conductance, in the signal's unit, up to which the electrodes are off the skin
        (:func:`skemo.kernels.skin_conductance.conductance`). None if the signal is not a
        conductance in µS.

    Returns
    -------
    Recording
        With the channels ``"tonic"`` and ``"phasic"`` in the signal `name`, at the same
        rate and in the same unit. Samples that are NaN or off the skin are NaN in both;
        the filters bridge them by straight lines. Where more than 5 % of 10 s is off the skin,
        all samples between those are NaN too; so are samples next to one off the skin that
        are below half of the median of the 10 s before and after.

    Raises
    ------
    ValueError
        If the recording has no such signal, or the signal has several channels.

    Warns
    -----
    UserWarning
        In more than half of the time that holds data, more than 5 % of the samples are NaN, as
        where a slower signal was merged into a faster table, or off the skin.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording
    >>> from skemo.features.whole_recordings import decompose_eda
    >>> decompose_eda(Recording({"eda": np.ones(400)}, {"eda": 4}, subject="S2"))
    <Recording of subject 'S2': 100 s; eda 2 channels at 4 Hz>
    """
    check_method(method)
    if off_skin is not None and not (is_number(off_skin) and off_skin >= 0):
        raise ValueError(f"off_skin must be None or a number of at least 0, got {off_skin!r}.")
    where = f"The recording of subject {recording.subject!r}"
    if not isinstance(name, str) or name not in recording.signals:
        raise ValueError(
            f"{where} has no signal {name!r}. Pass name= with one of {list(recording.signals)}, or "
            "leave out recordings without skin conductance."
        )
    eda = recording.signals[name]
    if len(eda) != 1:
        raise ValueError(
            f"{where} has {len(eda)} channels of {name!r}, {recording.channels[name]}, but only "
            "one can be decomposed. Leave the others out."
        )
    check_range(eda, name)
    rate = recording.sampling_rates[name]
    warn_of_repeats(SignalArray(eda[np.newaxis], sampling_rate=rate), name, stacklevel=2)
    measured = _without_loose(eda, conductance(eda.astype(float), off_skin), rate)
    _warn_of_little_conductance(eda, measured, rate, where, name)
    parts = np.concatenate(tonic_phasic(fill_gaps(measured), rate, method, off_skin=None))
    parts = np.where(np.isnan(measured), np.nan, parts)
    parts = parts.astype(np.result_type(eda.dtype, np.float32))
    return replace(
        recording,
        signals={**recording.signals, name: parts},
        channels={**recording.channels, name: PARTS},
    )


def _without_loose(eda, measured, sampling_rate):
    """Measured conductance without what a loose electrode shows between samples off the skin."""
    off = np.isnan(measured) & ~np.isnan(eda)
    if not off.any():
        return measured
    n_piece = max(1, round(_PIECE * sampling_rate))
    n_around = uniform_filter1d(off * float(n_piece), n_piece, axis=1, mode="constant")
    often = off & (n_around > int(LARGEST_GAP_SHARE * n_piece) + 0.5)
    # Fill what lies between two of them that are at most a piece apart.
    n_apart = n_piece // 2 * 2 + 1
    stretches = maximum_filter1d(often, n_apart, axis=1, mode="constant")
    stretches = minimum_filter1d(stretches, n_apart, axis=1, mode="nearest")
    measured = np.where(stretches, np.nan, measured)
    for _, start, stop in zip(*runs(off | stretches, 1), strict=True):
        before = min(start, n_piece)
        nearby = measured[0, start - before : stop + n_piece]  # a view, to be changed
        if np.isnan(nearby).all():
            continue
        # What is low beside a gap, up to the step back to the level, is not on the skin either.
        level = np.flatnonzero(nearby >= _LOOSE * np.nanmedian(nearby))
        after = np.searchsorted(level, before)
        first = level[after - 1] + 1 if after else 0
        nearby[first : level[after] if after < len(level) else None] = np.nan
    return measured


def _warn_of_little_conductance(eda, measured, sampling_rate, where, name):
    """Warn if most pieces of skin conductance that hold data have more than a few gaps."""
    n_times = max(1, round(_PIECE * sampling_rate))
    whole = eda.shape[1] // n_times * n_times
    known, kept = (
        ~np.isnan(samples[:, :whole]).reshape(-1, n_times) for samples in (eda, measured)
    )
    held = known.any(axis=1)
    lost = held & (kept.mean(axis=1) < 1 - LARGEST_GAP_SHARE)
    if 2 * lost.sum() <= held.sum():
        return
    if (known[lost].mean(axis=1) < 1 - LARGEST_GAP_SHARE).mean() > 0.5:
        reason = f"They are NaN. {MERGED}"
    else:
        reason = (
            "They are off the skin: were the electrodes attached, and is it in µS? Pass "
            "off_skin=None for another unit."
        )
    warnings.warn(
        f"{where}: in {lost.sum() / held.sum():.0%} of the {held.sum()} stretches of {_PIECE:g} s "
        f"in which {name!r} holds data, more than {LARGEST_GAP_SHARE:.0%} of the samples are no "
        f"skin conductance, so that windows come out missing. {reason}",
        UserWarning,
        stacklevel=3,
    )
