"""A recording in chunks, as a device would send it."""

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skemo._checks import is_positive
from skemo.signals.recording import Recording

Chunks = tuple[dict[str, NDArray], dict[str, NDArray[np.float64]]]  # samples, and their times


def replay(
    recording: Recording, *, chunk: float = 0.1, speed: float | None = None
) -> Iterator[Chunks]:
    """Yield a recording in chunks, as a device would send it while recording.

    Parameters
    ----------
    recording : Recording
        The recording to send.
    chunk : float, default=0.1
        Length of a chunk in seconds.
    speed : float or None, default=None
        Speed relative to real time: with 1, the replay takes as long as the recording. None
        yields the chunks without waiting.

    Yields
    ------
    chunks : dict of str to ndarray of shape (n_channels, n_times)
        New samples of each signal that has any.
    times : dict of str to ndarray of shape (n_times,)
        Time of each sample, in seconds of the recording.

    Raises
    ------
    TypeError
        If `recording` is not a Recording.
    ValueError
        If `chunk` or `speed` is not positive.

    See Also
    --------
    skemo.Stream : Predictions from such chunks.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import Recording
    >>> from skemo.io import replay
    >>> recording = Recording({"eda": np.arange(5)}, {"eda": 4}, subject="S2")
    >>> for chunks, times in replay(recording, chunk=0.5):
    ...     print(chunks["eda"], times["eda"])
    [[0 1]] [0.   0.25]
    [[2 3]] [0.5  0.75]
    [[4]] [1.]
    """
    if not isinstance(recording, Recording):
        raise TypeError(
            f"replay takes a Recording, got {type(recording).__name__}: read a file with "
            "skemo.io.read(path)."
        )
    if not is_positive(chunk):
        raise ValueError(f"chunk must be a positive number of seconds, got {chunk!r}.")
    if not (speed is None or is_positive(speed)):
        raise ValueError(f"speed must be None or a positive number, got {speed!r}.")
    return _replay(recording, chunk, speed)


def _replay(recording, chunk, speed):
    begun = time.monotonic()
    first = min(recording.starts[name] for name in recording.signals)
    last = max(
        recording.starts[name] + x.shape[1] / recording.sampling_rates[name]
        for name, x in recording.signals.items()
    )
    sent = dict.fromkeys(recording.signals, 0)
    for i in range(int(np.ceil((last - first) / chunk - 1e-6))):
        now = first + (i + 1) * chunk
        chunks, times = {}, {}
        for name, signal in recording.signals.items():
            start, rate = recording.starts[name], recording.sampling_rates[name]
            stop = int(np.clip(np.ceil((now - start) * rate - 1e-6), sent[name], signal.shape[1]))
            if stop > sent[name]:
                chunks[name] = signal[:, sent[name] : stop]
                times[name] = start + np.arange(sent[name], stop) / rate
                sent[name] = stop
        if speed is not None:
            time.sleep(max(0.0, begun + (now - first) / speed - time.monotonic()))
        if chunks:
            yield chunks, times
