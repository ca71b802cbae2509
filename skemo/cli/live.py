"""``python -m skemo live``: apply a saved model to a device or a recording, in the terminal."""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skemo._escape import to_csv, to_printable
from skemo.evaluation.scores import PROBABILITY
from skemo.io.csv import read_csv
from skemo.io.lsl import LSLStreams
from skemo.io.reading import read
from skemo.io.replaying import Chunks, replay
from skemo.models.streaming import Stream, fitted_signals
from skemo.signals.array import SignalDtype
from skemo.signals.recording import Recording

_QUALITY = "quality "
_BAR = 30  # width of a bar in characters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="file of a fitted model, written by skemo.save")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--lsl", action="store_true", help="streams of the lab streaming layer")
    source.add_argument("--replay", type=Path, metavar="FILE", help="a recording, as if live")
    add(
        "--signal",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=SOURCE",
        help="where a signal of the model comes from: the name or type of an LSL stream, "
        "optionally with channels (STREAM:F3,F4), or a signal of the recording; can be given "
        "several times",
    )
    add("--time", metavar="COLUMN", help="the column of times, if the recording is a text table")
    add(
        "--speed",
        type=_positive,
        default=1.0,
        metavar="X",
        help="speed of a replay, or inf for no waiting; default: 1",
    )
    add(
        "--duration",
        type=_positive,
        metavar="S",
        help="length of a window in seconds; default: that with which the model was fitted",
    )
    add(
        "--step",
        type=_positive,
        metavar="S",
        help="seconds between the starts of windows; default: the length of a window",
    )
    add("--subject", default="", metavar="NAME", help="person recorded, if the model knows them")
    add(
        "--max-wait",
        type=_at_least_zero,
        default=2.0,
        metavar="S",
        help="seconds that a window waits for a signal that is late; default: 2",
    )
    add(
        "--max-gap",
        type=_at_least_zero,
        default=0.1,
        metavar="S",
        help="seconds by which times may jitter; default: 0.1",
    )
    add(
        "--context",
        type=_at_least_zero,
        default=0.0,
        metavar="S",
        help="seconds of earlier windows that the model also gets; default: 0",
    )
    add("--seconds", type=_positive, metavar="S", help="stop after this time by the clock")
    add(
        "--log",
        type=Path,
        metavar="FILE",
        help="write results to this CSV file as they arrive, after those that it already has",
    )


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Follow the signals until they end, or until an interrupt."""
    try:
        from skemo.models.saving import load  # imports torch, which --help does not need

        model = load(args.model)
        fitted = fitted_signals(model)
        with _open_source(args, fitted) as (chunks, rates, channels):
            stream = Stream(
                model,
                _find_duration(args.duration, fitted),
                args.step,
                sampling_rates=rates,
                channels=channels,
                subject=args.subject,
                max_wait=args.max_wait,
                max_gap=args.max_gap,
                context=args.context,
            )
            with _opened(args.log) as log:
                _follow(stream, chunks, args.seconds, log)
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("Stopped.")


def _find_duration(given: float | None, fitted: dict[str, SignalDtype]) -> float:
    if given is not None:
        return given
    known = [
        (dtype.sampling_rate, dtype.shape[-1])
        for dtype in fitted.values()
        if dtype.sampling_rate is not None
    ]
    if not known:
        raise ValueError("The model does not know how long its windows are: pass --duration.")
    rate, n_times = max(known)  # the highest rate gives the most precise length
    return round(n_times / rate, 3)


@contextmanager
def _open_source(args, fitted):
    """Yield chunks with their times, and the rates and channels of the signals in them."""
    for name, _ in args.signal:
        if fitted and name not in fitted:
            raise ValueError(f"The model has no signal {name!r}; it has {', '.join(fitted)}.")
    if args.lsl:
        wanted = {}
        for name, source in args.signal:
            of_stream, _, labels = source.partition(":")
            wanted[name] = (of_stream, labels.split(",")) if labels else of_stream
        with LSLStreams(wanted or None) as streams:
            names = _choose(streams.sampling_rates, fitted)
            rates = {name: streams.sampling_rates[name] for name in names}
            yield selected(streams, streams.channels, rates, fitted)
    else:
        recording = _read(args)
        recording = _only(recording, {name: name for name in _choose(recording.signals, fitted)})
        channels = {
            name: recording.channels[name] or len(signal)
            for name, signal in recording.signals.items()
        }
        chunks = replay(recording, speed=None if args.speed == np.inf else args.speed)
        yield selected(chunks, channels, recording.sampling_rates, fitted)


def _read(args):
    """Read the recording, and rename its signals to the names that they have in the model."""
    recording = read(args.replay) if args.time is None else read_csv(args.replay, time=args.time)
    names = {name: name for name in recording.signals}
    for name, source in args.signal:
        if source not in names:
            raise ValueError(f"The recording has no signal {source!r}; it has {list(names)}.")
        names[source] = name
    return _only(recording, names)


def _only(recording, names):
    """Return a recording of some signals, whose new names are the values of `names`."""
    return Recording(
        {new: recording.signals[name] for name, new in names.items()},
        {new: recording.sampling_rates[name] for name, new in names.items()},
        {new: recording.channels[name] for name, new in names.items()},
        {new: recording.units[name] for name, new in names.items()},
        subject=recording.subject,
        starts={new: recording.starts[name] for name, new in names.items()},
    )


def _choose(found, fitted):
    """Return the signals to use, and print which of the model's are missing."""
    if not fitted:
        return list(found)
    names = [name for name in fitted if name in found]
    absent = [name for name in fitted if name not in found]
    if not names:
        raise ValueError(
            f"The model needs the signals {list(fitted)}, but the source has {list(found)}. Pass "
            f"--signal {next(iter(fitted))}=<name in the source>."
        )
    if absent:
        print(
            f"Missing in all windows: {', '.join(absent)}. The source has {', '.join(found)}; "
            f"--signal {absent[0]}=<name> says which one to use."
        )
    return names


def selected(
    source: Iterable[Chunks],
    channels: Mapping[str, Sequence[str] | int],
    rates: Mapping[str, float],
    fitted: Mapping[str, SignalDtype],
) -> tuple[Iterator[Chunks], dict[str, float], dict[str, Sequence[str] | int]]:
    """Choose the signals and channels that a model needs.

    Parameters
    ----------
    source : iterable of (chunks, times)
        As from `LSLStreams` or `replay`.
    channels : mapping of str to (sequence of str, or int)
        Labels or number of the channels of each signal in the source.
    rates : mapping of str to float
        Sampling rates in hertz of the signals to use.
    fitted : mapping of str to SignalDtype
        The signals that the model was fitted on.

    Returns
    -------
    source : iterator of (chunks, times)
        Only the signals and channels that are needed.
    sampling_rates : dict of str to float
        Sampling rates in hertz, also of signals of the model that never arrive.
    channels : dict of str to (sequence of str, or int)
        Channels of the signals that the model does not describe.

    Raises
    ------
    ValueError
        If the source does not have a channel that the model needs.
    """
    rates, positions = dict(rates), {}
    described: dict[str, Sequence[str] | int] = {}
    for name, given in channels.items():
        wanted = fitted[name].channels if name in fitted else None
        if name not in rates:
            continue
        if wanted is None or isinstance(given, int) or len(given) == len(wanted) == 1:
            if name not in fitted:
                described[name] = given
            continue
        labels = [_plain(channel, name) for channel in given]
        absent = [channel for channel in wanted if _plain(channel, name) not in labels]
        if absent:
            raise ValueError(
                f"The model needs the channel {absent[0]!r} of {name!r}; there are {list(given)}."
            )
        positions[name] = [labels.index(_plain(channel, name)) for channel in wanted]
    for name, dtype in fitted.items():  # a signal that is not in the source never arrives
        if dtype.sampling_rate is not None:
            rates.setdefault(name, dtype.sampling_rate)

    def chosen():
        for chunks, times in source:
            yield (
                {
                    name: chunks[name][positions.get(name, slice(None))]
                    for name in chunks
                    if name in rates
                },
                {name: times[name] for name in chunks if name in rates},
            )

    return chosen(), rates, described


def _plain(channel, modality):
    """Return a channel's label in lower case without its modality: "EEG Fp1" is "fp1"."""
    return channel.casefold().removeprefix(modality.casefold()).strip(" -_:")


@contextmanager
def _opened(path: Path | None) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yield a function that adds results to a log, if there is one."""
    if path is None:
        yield lambda result: None
        return
    with open(path, "a+", encoding="utf-8") as file:
        file.seek(0)
        header = file.readline()

        def write(result):
            nonlocal header
            first, _, rows = to_csv(result).partition("\n")
            if not header:
                header = f"{first}\n"
                file.write(header)
            if header != f"{first}\n":
                raise ValueError(
                    f"The log {path} has the columns {header.strip()}, but the results have "
                    f"{first}. Write to another file."
                )
            file.write(rows)
            file.flush()

        yield write


def _follow(
    stream: Stream,
    source: Iterator[Chunks],
    seconds: float | None,
    log: Callable[[pd.DataFrame], None],
) -> None:
    """Push chunks, and show and log the results."""
    stop = np.inf if seconds is None else time.monotonic() + seconds
    with _shown() as show:
        for chunks, times in source:
            result = stream.push(times=times, **chunks)
            _report(result, show, log)
            if time.monotonic() > stop:
                break
        _report(stream.flush(), show, log)


def _report(result, show, log):
    for i in range(len(result)):
        show(result.iloc[i])
    if len(result):
        log(result)


@contextmanager
def _shown():
    """Yield a function that shows the results of a window: bars in a terminal, else a line."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        yield lambda row: print(format_line(row), flush=True)
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False) as live:
        yield lambda row: live.update(draw(row), refresh=True)


def _parts(row):
    """Return the predictions, probabilities and qualities of a window, by name."""
    kinds = ("prediction", PROBABILITY, _QUALITY)
    return [
        {
            to_printable(name.removeprefix(kind).strip()): value
            for name, value in row.items()
            if name.startswith(kind)
        }
        for kind in kinds
    ]


def format_line(row: pd.Series) -> str:
    """Return the results of a window as a line of text.

    Parameters
    ----------
    row : Series
        A row of what `Stream.push` returns.

    Returns
    -------
    str

    Examples
    --------
    >>> import pandas as pd
    >>> from skemo.cli.live import format_line
    >>> row = {"start": 10.0, "stop": 20.0, "prediction": "rest", "probability rest": 0.8}
    >>> format_line(pd.Series({**row, "quality ecg": 0.95}))
    '10.0-20.0 s: rest; rest 0.80; quality ecg 0.95'
    """
    predictions, probabilities, quality = _parts(row)
    texts = [", ".join(f"{name} {_text(x)}".strip() for name, x in predictions.items())]
    if probabilities:
        texts.append(", ".join(f"{name} {x:.2f}" for name, x in probabilities.items()))
    if quality:
        texts.append("quality " + ", ".join(f"{name} {_share(x)}" for name, x in quality.items()))
    return f"{row['start']:.1f}-{row['stop']:.1f} s: {'; '.join(texts)}"


def draw(row: pd.Series) -> Any:
    """Return the results of a window as a table of bars, for a terminal.

    Parameters
    ----------
    row : Series
        A row of what `Stream.push` returns.

    Returns
    -------
    rich.table.Table
    """
    from rich.markup import escape
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    predictions, probabilities, quality = _parts(row)
    shown = ", ".join(f"{name} {_text(x)}".strip() for name, x in predictions.items())
    table = Table(box=None, title_justify="left", show_header=False)
    table.title = escape(f"{row['start']:.1f} to {row['stop']:.1f} s: {shown}")
    for title, values in (("probability", probabilities), ("quality", quality)):
        for i, (name, value) in enumerate(values.items()):
            share = 0.0 if np.isnan(value) else float(value)
            bar = ProgressBar(total=1.0, completed=share, width=_BAR)
            table.add_row(title if i == 0 else "", escape(name), bar, _share(value))
    return table


def _text(value):
    return f"{value:.3g}" if isinstance(value, float) else to_printable(str(value))


def _share(value):
    return "missing" if np.isnan(value) else f"{value:.2f}"


def _pair(text):
    name, _, source = text.partition("=")
    if not name or not source:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=SOURCE")
    return name, source


def _positive(text):
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _at_least_zero(text):
    number = float(text)
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"{text} is not zero or a positive number")
    return number
