"""What is computed better on a whole recording than window by window."""

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skemo.kernels.filters import fill_gaps
from skemo.kernels.heartbeats import channel_beats, check_detector
from skemo.kernels.skin_conductance import PARTS, check_method, tonic_phasic
from skemo.signals.checks import check_finite

_STRETCH, _INNER = 30.0, 20.0  # s, of a recording in which beats are looked for together
_DOUBT = 0.05  # s, by which two stretches may place one beat apart


def find_beats(recording, *, name="ecg", signal="ecg", method="skemo", beats="beats"):
    """Find the heartbeats of a whole recording, and let them go along with it.

    Windows that are cut afterwards lose no beat at their edges, and each beat is found once
    however much windows overlap: ``skemo.segment(map(find_beats, recordings), 10)`` has a
    column of beat times, which ``HRVTransformer(signal="beats")`` takes. The recording is
    looked at in stretches of 30 s, of which the inner 20 s count; a stretch in which there
    is nothing to see (:func:`skemo.kernels.heartbeats.r_peaks`) has no beats.

    Of a pulse, stretches disturbed by movement have none either, however short: pass
    ``max_deviation=0.25`` to ``HRVTransformer(signal="beats")``, so that a single beat that
    lacks makes no interval of twice the length.

    Parameters
    ----------
    recording : Recording
    name : str, default="ecg"
        The signal to look at. Of several channels, each stretch takes the first that shows
        beats.
    signal : {"ecg", "ppg"}, default="ecg"
        What it is.
    method : str, default="skemo"
        Detector, as :func:`skemo.kernels.heartbeats.r_peaks` names them.
    beats : str, default="beats"
        Name of the beats, and of their column.

    Returns
    -------
    Recording
        With the times in ``recording.beats[beats]``, in seconds.

    Raises
    ------
    ValueError
        Where the recording has no such signal.

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
    if name not in recording.signals:
        raise ValueError(
            f"The recording of subject {recording.subject!r} has no signal {name!r}, but "
            f"{list(recording.signals)}: pass name=."
        )
    values, rate = recording.signals[name], recording.sampling_rates[name]
    n_times = values.shape[1]
    length, step = (min(round(seconds * rate), n_times) for seconds in (_STRETCH, _INNER))
    starts = np.unique(np.minimum(np.arange(0, n_times, step), n_times - length))
    stretches = sliding_window_view(values, length, axis=1)[:, starts].swapaxes(0, 1)
    found = channel_beats(stretches, rate, method, signal) + starts[:, np.newaxis] / rate
    # Each stretch counts up to the middle of where it overlaps with the next, and a little
    # beyond, since the two may place a beat there on unlike sides.
    borders = (starts[1:] + starts[:-1] + length) / 2 / rate
    inner = found >= np.append(-np.inf, borders - _DOUBT)[:, np.newaxis]
    inner &= found < np.append(borders + _DOUBT, np.inf)[:, np.newaxis]
    times = np.sort(found[inner])
    times = times[np.diff(times, prepend=-np.inf) > 2 * _DOUBT]
    times = times + recording.starts[name]
    return replace(recording, beats={**recording.beats, beats: times})


def decompose_eda(recording, *, name="eda", method="highpass"):
    """Put tonic and phasic skin conductance in the place of the conductance of a recording.

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

    Returns
    -------
    Recording
        With the channels ``"tonic"`` and ``"phasic"`` in the signal `name`, at the same
        rate and in the same unit. NaN stays NaN, though the filters pass over it by
        straight lines.

    Raises
    ------
    ValueError
        Where the recording has no such signal, or it has several channels.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording
    >>> from skemo.features.whole_recordings import decompose_eda
    >>> decompose_eda(Recording({"eda": np.ones(400)}, {"eda": 4}, subject="S2"))
    <Recording of subject 'S2': 100 s; eda 2 channels at 4 Hz>
    """
    check_method(method)
    where = f"The recording of subject {recording.subject!r}"
    if name not in recording.signals:
        raise ValueError(
            f"{where} has no signal {name!r}, but {list(recording.signals)}: pass name=, or only "
            "the recordings that have skin conductance."
        )
    eda = recording.signals[name]
    if len(eda) != 1:
        raise ValueError(
            f"{where} has {len(eda)} channels of {name!r}, {recording.channels[name]}: one is "
            "decomposed. Leave the others out."
        )
    check_finite(eda, name)
    rate = recording.sampling_rates[name]
    parts = np.concatenate(tonic_phasic(fill_gaps(eda.astype(float)), rate, method))
    parts = np.where(np.isnan(eda), np.nan, parts).astype(np.result_type(eda.dtype, np.float32))
    return replace(
        recording,
        signals={**recording.signals, name: parts},
        channels={**recording.channels, name: PARTS},
    )
