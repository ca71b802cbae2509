"""Signals from the lab streaming layer (LSL), while they are being recorded."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from skemo._checks import is_positive
from skemo.io.replaying import Chunks
from skemo.signals.channels import modality_of, to_usual_unit

_INTERVAL = 0.02  # seconds to wait if there are no new samples


class LSLStreams:
    """Streams of the lab streaming layer on the local network, as chunks of signals.

    Iterating yields chunks of samples and their times, for `skemo.Stream`, until `close` is called.
    Times are in seconds of this computer's LSL clock, smoothed and corrected for the clocks of the
    sending computers. Streams without a sampling rate, such as markers, are ignored. pylsl does
    the work; ``pip install "skemo[live]"`` installs it.

    Parameters
    ----------
    modalities : mapping of str to str or (str, sequence of str), default=None
        Name or type of the stream of each modality, optionally with the labels of the channels
        to use: ``{"eeg": "EEG", "ecg": ("Amplifier", ["ECG"])}``. None means all streams with a
        sampling rate that are found, named after their types.
    timeout : float, default=5.0
        How long to look for the streams, in seconds.

    Attributes
    ----------
    sampling_rates : dict of str to float
        Sampling rate of each modality in hertz.
    channels : dict of str to tuple of str, or to int
        Labels of the channels of each modality, or their number if they have no labels.
    units : dict of str to str or None
        Unit of each modality, if known. EEG and EOG are converted to µV, ECG and EMG to mV, and
        skin conductance to µS, if the streams state their units.

    Raises
    ------
    ImportError
        If pylsl is not installed.
    ValueError
        If `timeout` is not positive, or a stream or channel is not found; the message lists those
        that are available.

    See Also
    --------
    skemo.Stream : Predictions from such chunks.
    skemo.io.read_xdf : Recordings of the same streams.

    Examples
    --------
    >>> import skemo, skemo.io
    >>> with skemo.io.LSLStreams({"eeg": "EEG"}) as streams:  # doctest: +SKIP
    ...     stream = skemo.Stream(model, 10.0, channels=streams.channels, max_gap=0.1)
    ...     for chunks, times in streams:
    ...         print(stream.push(times=times, **chunks))
    """

    def __init__(
        self,
        modalities: Mapping[str, str | tuple[str, Sequence[str]]] | None = None,
        *,
        timeout: float = 5.0,
    ) -> None:
        if not is_positive(timeout):
            raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}.")
        pylsl = _library()
        found = _find(pylsl, modalities, timeout)
        self._inlets: dict[str, Any] = {}
        self._positions: dict[str, list[int]] = {}  # of the channels that are used
        self._factors: dict[str, float] = {}
        self.sampling_rates: dict[str, float] = {}
        self.channels: dict[str, tuple[str, ...] | int] = {}
        self.units: dict[str, str | None] = {}
        for modality, (info, wanted) in found.items():
            flags = pylsl.proc_clocksync | pylsl.proc_dejitter
            inlet = pylsl.StreamInlet(info, processing_flags=flags)
            inlet.open_stream(timeout=timeout)
            self._inlets[modality] = inlet
            full = inlet.info(timeout)  # includes the descriptions of the channels
            labels = [label or str(i + 1) for i, label in enumerate(_listed(full, "label"))]
            units = _listed(full, "unit")
            absent = [label for label in wanted or () if label not in labels]
            if absent:
                self.close()
                raise ValueError(
                    f"The stream {info.name()!r} has no channel {absent[0]!r}; it has {labels}."
                )
            used = range(len(labels)) if wanted is None else [labels.index(x) for x in wanted]
            self._positions[modality] = list(used)
            self.sampling_rates[modality] = info.nominal_srate()
            is_named = any(_listed(full, "label"))
            self.channels[modality] = tuple(labels[i] for i in used) if is_named else len(used)
            unit = {units[i] for i in used}
            self._factors[modality], self.units[modality] = to_usual_unit(
                modality, unit.pop() if len(unit) == 1 else None
            )

    def __iter__(self) -> Iterator[Chunks]:
        while self._inlets:
            chunks, times = self.pull()
            if chunks:
                yield chunks, times
            else:
                time.sleep(_INTERVAL)

    def pull(self) -> Chunks:
        """Return the samples that have arrived since the last call, without waiting.

        Returns
        -------
        chunks : dict of str to ndarray of shape (n_channels, n_times)
            Only the signals that have new samples.
        times : dict of str to ndarray of shape (n_times,)
            Time of each sample in seconds.
        """
        chunks, times = {}, {}
        for modality, inlet in self._inlets.items():
            samples, stamps = inlet.pull_chunk(timeout=0.0, max_samples=4096)
            if len(stamps):
                values = np.asarray(samples)[:, self._positions[modality]].T
                values = values.astype(np.result_type(values.dtype, np.float32))
                chunks[modality] = values * values.dtype.type(self._factors[modality])
                times[modality] = np.asarray(stamps, float)
        return chunks, times

    def close(self) -> None:
        """Disconnect from the streams, which ends the iteration."""
        inlets, self._inlets = self._inlets, {}
        for inlet in inlets.values():
            inlet.close_stream()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _library():
    try:
        import pylsl
    except (ImportError, RuntimeError) as error:  # RuntimeError if the library liblsl is missing
        raise ImportError(
            f'Streams of LSL need pylsl: pip install "skemo[live]" ({error}).', name="pylsl"
        ) from error
    return pylsl


def _find(pylsl, modalities, timeout):
    """Return the stream and the requested channels of each modality."""
    stop = time.monotonic() + timeout
    while True:
        infos = pylsl.resolve_streams(wait_time=min(1.0, timeout))
        infos = [
            info
            for info in infos
            if info.nominal_srate() > 0 and info.channel_format() != pylsl.cf_string
        ]
        found, problem = _choose(infos, modalities)
        if problem is None:
            return found
        if time.monotonic() > stop:
            if not infos:
                raise ValueError(
                    "No LSL stream with a sampling rate was found. Is the device streaming, and on "
                    "the same network?"
                )
            shown = ", ".join(f"{info.name()} ({info.type()})" for info in infos)
            raise ValueError(f"{problem} The LSL streams that were found are: {shown}.")


def _choose(infos, modalities):
    """Return the streams by modality, and a description of the problem, if there is one."""
    if modalities is None:
        found: dict[str, Any] = {}
        for info in infos:
            base = modality_of(info.type() or info.name())
            numbered = [base, *(f"{base}{i}" for i in range(2, len(infos) + 2))]
            found[next(name for name in numbered if name not in found)] = info, None
        return found, None if found else "No stream was found."
    found = {}
    for modality, wanted in modalities.items():
        name, channels = (wanted, None) if isinstance(wanted, str) else wanted
        named = [info for info in infos if info.name() == name]
        fitting = named or [info for info in infos if info.type() == name]
        if len(fitting) != 1:
            return {}, f"{len(fitting)} streams are called {name!r}, given for {modality!r}."
        found[modality] = fitting[0], channels
    return found, None


def _listed(info, what):
    """Return the labels or units of the channels of a stream, None where there is none."""
    texts: list[str | None] = [None] * info.channel_count()
    channel = info.desc().child("channels").child("channel")
    for i in range(info.channel_count()):
        if channel.empty():
            break
        texts[i] = channel.child_value(what) or None
        channel = channel.next_sibling("channel")
    return texts
