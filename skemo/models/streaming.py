"""Predictions while signals are being recorded, for windows cut from chunks as they arrive."""

import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline

from skemo._checks import check_range, real_samples
from skemo.features.quality import QualityTransformer
from skemo.models.stream_settings import (
    Kind,
    check_is_model,
    check_seconds,
    check_subject_is_measured,
    check_windows,
    find_channels,
    find_kinds,
    find_lengths,
    find_rates,
)
from skemo.signals.array import SignalArray, SignalDtype
from skemo.signals.arriving import ArrivingSignal
from skemo.signals.checks import check_text


class Stream:
    """Predict windows while signals are being recorded, each as soon as it is complete.

    Chunks of signals are pushed as a device sends them, and `push` returns the predictions for
    the windows that they complete. The windows are the ones that `skemo.segment` cuts from the
    recording, sample for sample, whatever the sizes of the chunks: the first one starts when
    all signals have started, and another one every `step` seconds. Only the samples that later
    windows need are kept in memory.

    A signal that is late or missing does not hold up a window forever. Once another signal is
    `max_wait` seconds past the end of the window, each incomplete signal counts as missing (NaN)
    in the whole window, as with ``segment(..., missing="keep")``; samples that arrive after that
    are used for later windows. A window in which no signal has a sample is left out.

    **Times.** Without `times`, the first sample of each signal is taken to be at second 0, and
    samples are counted: a signal may be late but must not lose samples. With times, which most
    devices send, samples are placed by their times. They keep their values and their order, and
    follow each other at the sampling rate as long as this agrees with their times to within
    `max_gap`. If times run ahead, because packets were lost or a clock is slow, the missing
    samples are NaN. If times fall behind, samples whose places are already taken are dropped.

    All methods may be called from several threads.

    Parameters
    ----------
    model : fitted estimator
        A classifier or regressor that takes tables of windows, such as a Pipeline. It gets the
        columns that it was fitted on, including ``subject``, ``trial`` and ``start`` as made by
        `segment`. It may learn between calls, for example with ``partial_fit``.
    duration : float
        Length of a window in seconds.
    step : float, default=None
        Seconds from the start of one window to the start of the next; None means `duration`.
    sampling_rates : mapping of str to float, default=None
        The signals and their rates in hertz. None means those that the transformers and
        networks in the model were fitted on (see `fitted_signals`).
    channels : mapping of str to (sequence of str, or int), default=None
        Names of the channels of each signal, or their number if they have no names. For a signal
        that is not listed, the channels are those that the model was fitted on, if known;
        otherwise the first chunk gives their number.
    subject : str, default=""
        The person recorded: `PerSubject` uses this person's statistics, if it knows them.
    trial : str, default=""
        Name of the session.
    max_wait : float, default=2.0
        How long a window waits for a signal, in seconds of the signals' time.
    max_gap : float, default=None
        Seconds by which the time of a sample may differ from its place. None means three
        sampling intervals, which suits regular times. Use more for times that jitter.
    context : float, default=0.0
        Seconds. The model gets the windows that started up to `context` seconds earlier along with
        the new ones, for steps that look back, such as ``ContextTransformer(causal=True)``.
    quality : mapping of str to {"ecg", "ppg", "eda", "eeg", "acc"}, default=None
        The kinds of the signals, to measure their quality. None takes them from the beginnings of
        the names. The quality of other signals is the share of samples that are not missing.
    targets : sequence of str, default=None
        Names of the targets, if there are several. None numbers them from 0.

    Attributes
    ----------
    model : fitted estimator
        The model in use, which may be replaced, for example by the result of `enroll`. A model
        that does not fit the stream is refused, and the earlier one stays.
    received : dict of str to float
        Time up to which each signal has arrived, in seconds; NaN before its first sample.

    Raises
    ------
    ValueError
        If a parameter is invalid, if the rates, channels or duration are not those that the
        model was fitted on, or if a `PerSubject` of the model has not measured the subject.
    NotFittedError
        If the model is not fitted.

    Warns
    -----
    UserWarning
        A signal arrives too late for its windows. The warning is given once per signal.

    See Also
    --------
    skemo.segment : Cut whole recordings.
    skemo.io.LSLStreams : Signals from the lab streaming layer.
    skemo.io.replay : A recording in chunks, as a device would send it.

    Examples
    --------
    >>> import skemo, skemo.io
    >>> from skemo.datasets import make_emotion_recordings
    >>> recording, *others = make_emotion_recordings(4, 2, modalities=("eda",), random_state=0)
    >>> windows = skemo.segment(others, duration=20.0)
    >>> eda = skemo.make_modality_transformer(eda=skemo.EDATransformer())
    >>> stream = skemo.Stream(skemo.make_lda(eda).fit(windows, windows["label"]), duration=20.0)
    >>> for chunks, times in skemo.io.replay(recording, chunk=0.5):
    ...     for window in stream.push(times=times, **chunks).itertuples():
    ...         print(window.start, window.stop, window.prediction)
    0.0 20.0 aroused
    20.0 40.0 calm
    40.0 60.0 aroused
    """

    def __init__(
        self,
        model: Any,
        duration: float,
        step: float | None = None,
        *,
        sampling_rates: Mapping[str, float] | None = None,
        channels: Mapping[str, Sequence[str] | int] | None = None,
        subject: str = "",
        trial: str = "",
        max_wait: float = 2.0,
        max_gap: float | None = None,
        context: float = 0.0,
        quality: Mapping[str, Kind] | None = None,
        targets: Sequence[str] | None = None,
    ) -> None:
        check_is_model(model)
        self.duration, self.step = duration, duration if step is None else step
        self.subject, self.trial = str(subject), str(trial)
        self.max_wait, self.context = max_wait, context
        check_seconds(self.duration, self.step, max_wait, context, max_gap)
        check_text([self.subject], "The subject")
        check_text([self.trial], "The trial")
        fitted = fitted_signals(model)
        rates = find_rates(sampling_rates, fitted)
        lengths = find_lengths(duration, rates)
        self._channels = find_channels(channels, rates, fitted)
        self._signals = {
            name: ArrivingSignal(rate, lengths[name], max_gap) for name, rate in rates.items()
        }
        self._meters = {
            name: QualityTransformer(signal=kind, features=[f"{kind.upper()}_Quality"])
            for name, kind in find_kinds(quality, rates).items()
        }
        self._targets = None if targets is None else [str(name) for name in targets]
        self._anchor: float | None = None  # start of the first window
        self._n_windows = 0  # that were returned or left out
        self._earlier: pd.DataFrame | None = None  # windows within `context`
        self._missed: dict[str, float] = {}  # by signal: end of the last window without it
        self._warned: set[str] = set()  # signals that a warning said are late
        self._lock = threading.Lock()
        self.model = model

    def push(
        self,
        *,
        times: Mapping[str, ArrayLike | float] | None = None,
        **chunks: ArrayLike,
    ) -> pd.DataFrame:
        """Add chunks of signals, and return the predictions for the windows that they complete.

        Parameters
        ----------
        times : mapping of str to array-like of shape (n_times,) or float, default=None
            For each signal, the time in seconds of each of its samples, or of the first one. The
            origin of times is free, but must be the same for all signals and calls.
        **chunks : array-like of shape (n_channels, n_times) or (n_times,)
            New samples of one or more signals, by name. Chunks may have any number of samples,
            which may differ between signals.

        Returns
        -------
        DataFrame of n_windows rows
            Often empty. The columns are ``start`` and ``stop`` in seconds; ``prediction``;
            ``probability <class>``, if the classifier gives probabilities; and
            ``quality <signal>`` from 0 to 1, NaN if the signal is missing. With several targets,
            the names contain the target: ``prediction <target>`` and
            ``probability <target> <class>``.

        Raises
        ------
        ValueError
            If a signal is unknown, if a chunk has the wrong shape or is not finite real numbers or
            NaN, or if its times are missing or go back by more than `max_wait`. Nothing is added
            in this case.
        """
        with self._lock:
            times = {} if times is None else times
            if not isinstance(times, Mapping):
                raise ValueError(
                    "times must be a mapping of signals to seconds, such as "
                    f"{{{next(iter(chunks), 'ecg')!r}: times}}, got {type(times).__name__}."
                )
            unknown = [name for name in times if name not in chunks]
            if unknown:
                raise ValueError(f"times has {unknown[0]!r}, but there is no such chunk.")
            checked = {
                name: self._check_chunk(name, chunk, times.get(name))
                for name, chunk in chunks.items()
            }
            checked = {name: one for name, one in checked.items() if one[0].shape[1]}
            if len({seconds is not None for samples, seconds in checked.values()}) > 1:
                raise ValueError("times must be given for all chunks of all signals, or for none.")
            for name, (samples, seconds) in checked.items():
                self._channels[name] = len(samples), self._channels[name][1]
                if name in self._missed and name not in self._warned:
                    self._warn_of_late(name, seconds)
                self._signals[name].append(samples, seconds)
            return self._predict(self._take_windows())

    def flush(self) -> pd.DataFrame:
        """Return the predictions for windows that are still waiting for a signal, without it.

        Call this at the end of a session. A window in which no signal is complete is not
        returned.

        Returns
        -------
        DataFrame of n_windows rows
            As from `push`.
        """
        with self._lock:
            return self._predict(self._take_windows(waiting=False))

    @property
    def model(self) -> Any:
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        check_is_model(model)
        if self.context == 0:
            check_subject_is_measured(model, self.subject)
        fitted = fitted_signals(model)
        with self._lock:
            known = {name: x.sampling_rate for name, x in self._signals.items()}
            rates = find_rates(known, fitted)
            lengths = {name: x.n_times for name, x in self._signals.items()}
            given = {
                name: names or number
                for name, (number, names) in self._channels.items()
                if number is not None
            }
            channels = find_channels(given, rates, fitted)
            check_windows(rates, lengths, channels, fitted)
            self._model, self._channels = model, channels
            self._no_results = self._describe_no_windows()

    @property
    def received(self) -> dict[str, float]:
        return {
            name: np.nan if signal.start is None else signal.end
            for name, signal in self._signals.items()
        }

    def __repr__(self) -> str:
        signals = ", ".join(
            f"{name} at {x.sampling_rate:g} Hz" for name, x in self._signals.items()
        )
        return (
            f"<Stream of {signals}: windows of {self.duration:g} s, one every {self.step:g} s, "
            f"for {type(self.model).__name__}>"
        )

    def _check_chunk(self, name, chunk, times):
        """Return the samples of a chunk, (n_channels, n_times), and their times in seconds."""
        if name not in self._signals:
            raise ValueError(f"{name!r} is not one of the signals {list(self._signals)}.")
        samples = np.atleast_2d(real_samples(chunk, name, may_be_empty=True, any_size=True))
        check_range(samples, name)
        signal, n_channels = self._signals[name], self._channels[name][0]
        if samples.ndim != 2 or (n_channels is not None and len(samples) != n_channels):
            wanted = "n_channels" if n_channels is None else n_channels
            raise ValueError(
                f"A chunk of {name!r} must have shape ({wanted}, n_times), got {np.shape(chunk)}."
            )
        if not samples.shape[1]:
            return samples, None
        before = {other.is_timed for other in self._signals.values() if other.start is not None}
        if before and (times is not None) not in before:
            raise ValueError(
                "times must be given for all chunks of all signals, or for none: earlier chunks "
                f"had {'none' if times is not None else 'times'}."
            )
        if times is None:
            return samples, None
        seconds = np.asarray(times, np.float64)
        if seconds.ndim == 0:
            seconds = seconds + np.arange(samples.shape[1]) / signal.sampling_rate
        if seconds.shape != samples.shape[1:] or not np.isfinite(seconds).all():
            raise ValueError(
                f"The times of {name!r} must be a number of seconds for each of its "
                f"{samples.shape[1]} samples."
            )
        back = signal.end - seconds.min(initial=np.inf)
        if back > self.max_wait + signal.max_gap:
            raise ValueError(
                f"The times of {name!r} go back by {back:.3g} s. If the clock was reset, make a "
                "new Stream."
            )
        return samples, seconds

    def _take_windows(self, waiting=True):
        """Return a table of the windows that are complete or need not wait any longer, or None."""
        if not self._find_anchor(waiting):
            return None
        starts, cuts = [], {name: [] for name in self._signals}
        newest = max(signal.end for signal in self._signals.values())
        while True:
            start = np.round(self._anchor + self.step * self._n_windows, 9)
            is_due = not waiting or newest - self.max_wait > start + self.duration
            begins, late = {}, []  # of the signals that are complete; those that are not
            for name, signal in self._signals.items():
                begin = signal.begin(start)
                if begin >= 0 and signal.n_received < begin + signal.n_times:
                    if not is_due:
                        begins = None
                        break
                    late.append(name)
                elif begin >= 0:
                    begins[name] = begin
            if begins is None or (not begins and not waiting):
                break
            self._missed |= dict.fromkeys(late, start + self.duration)
            windows = {
                name: self._signals[name].cut(begin, self._channels[name][0])
                for name, begin in begins.items()
            }
            if not all(np.isnan(window).all() for window in windows.values()):
                starts.append(start)
                for name, cut in cuts.items():
                    cut.append(windows.get(name))
            self._advance(newest)
        return self._make_table(starts, cuts) if starts else None

    def _find_anchor(self, waiting):
        """Find the start of the first window, if it is known yet."""
        if self._anchor is not None:
            return True
        begun = [signal for signal in self._signals.values() if signal.start is not None]
        if not begun:
            return False
        anchor = max(signal.start for signal in begun)
        newest = max(signal.end for signal in begun)
        is_due = newest - self.max_wait > anchor + self.duration
        if len(begun) == len(self._signals) or not waiting or is_due:
            self._anchor = anchor
        return self._anchor is not None

    def _advance(self, newest):
        """Go to the next window that may hold a sample, and forget what came before it."""
        self._n_windows += 1
        following = np.round(self._anchor + self.step * self._n_windows, 9)
        samples = []  # earliest time of the next sample of each signal
        for signal in self._signals.values():
            signal.drop_before(signal.begin(following))
            # Samples that arrive later are used from here on.
            samples.append(min(signal.next_sample(), max(signal.end, newest - self.max_wait)))
        n_before = (min(samples) - self.duration - self._anchor) / self.step
        if n_before > self._n_windows:
            self._n_windows = int(np.floor(n_before))

    def _make_table(self, starts, cuts):
        """Return a table of windows like that of `segment`."""
        columns = {}
        for name, windows in cuts.items():
            signal = self._signals[name]
            if self._channels[name][0] is None:  # not a single sample has arrived
                self._channels[name] = 1, None
            n_channels, names = self._channels[name]
            values = np.full((len(windows), n_channels, signal.n_times), np.nan, signal.dtype)
            for i, window in enumerate(windows):
                if window is not None:
                    values[i] = window
            columns[name] = SignalArray(values, sampling_rate=signal.sampling_rate, channels=names)
        columns |= {"subject": self.subject, "trial": self.trial, "start": starts, "label": None}
        table = pd.DataFrame(columns, copy=False)
        table.attrs["segment"] = {"duration": float(self.duration), "step": float(self.step)}
        return table

    def _predict(self, table):
        """Return the predictions of windows, with what else is known of them."""
        if table is None:
            return self._no_results.copy()
        known = self._with_earlier(table)
        names = getattr(self.model, "feature_names_in_", None)
        X = known if names is None else known[[name for name in names if name in known]]
        model = getattr(self.model, "best_estimator_", self.model)
        if isinstance(model, Pipeline) and len(model) > 1:  # to compute features only once
            X, model = model[:-1].transform(X), model[-1]
        probabilities = None
        if hasattr(model, "predict_proba"):
            probabilities = model.predict_proba(X)
            several = isinstance(probabilities, list)
            probabilities = probabilities if several else [probabilities]
            probabilities = [values[-len(table) :] for values in probabilities]
        if probabilities is not None and hasattr(model, "net_"):
            # A network predicts its most probable class; `predict` would compute everything again.
            classes = model.classes_ if several else [model.classes_]
            most_probable = zip(classes, probabilities, strict=True)
            columns = [labels[values.argmax(axis=1)] for labels, values in most_probable]
            predicted = columns[0]
            if several:
                predicted = np.stack([column.astype(object) for column in columns], axis=1)
        else:
            predicted = np.asarray(model.predict(X))[-len(table) :]
        quality = {name: self._measure(name, table) for name in self._signals}
        return self._describe(table["start"].to_numpy(), predicted, probabilities, quality)

    def _with_earlier(self, table):
        """Return windows preceded by the earlier ones within `context`, and remember them."""
        if self.context == 0:
            return table
        known = table
        if self._earlier is not None:
            types = {name: table[name].dtype for name in self._signals}
            known = pd.concat([self._earlier.astype(types), table], ignore_index=True)
            known.attrs = table.attrs
        # The next new window starts at least one step after the last of these.
        oldest = table["start"].iloc[-1] + self.step - self.context
        self._earlier = known[known["start"] >= oldest - 1e-6].reset_index(drop=True)
        return known

    def _describe(self, start, predicted, probabilities, quality):
        """Return a table of results."""
        columns = {"start": start, "stop": start + self.duration}
        names = [""]
        if predicted.ndim > 1 and predicted.shape[1] > 1:
            names = [f" {name}" for name in self._targets or range(predicted.shape[1])]
        predicted = predicted.reshape(len(predicted), len(names))
        columns |= {f"prediction{name}": predicted[:, i] for i, name in enumerate(names)}
        if probabilities is not None:
            classes = self.model.classes_ if len(names) > 1 else [self.model.classes_]
            for name, labels, values in zip(names, classes, probabilities, strict=True):
                columns |= {
                    f"probability{name} {label}": values[:, j] for j, label in enumerate(labels)
                }
        return pd.DataFrame(columns | {f"quality {name}": x for name, x in quality.items()})

    def _describe_no_windows(self):
        """Return a table of results without rows."""
        predicted, probabilities = np.empty(0), None
        classes = getattr(self.model, "classes_", None)
        if classes is not None:
            several = isinstance(classes, list)
            classes = classes if several else [classes]
            predicted = np.empty((0, len(classes)), np.result_type(*classes))
            if hasattr(self.model, "predict_proba"):
                probabilities = [np.empty((0, len(labels))) for labels in classes]
        return self._describe(
            np.empty(0), predicted, probabilities, dict.fromkeys(self._signals, np.empty(0))
        )

    def _measure(self, name, table):
        if name in self._meters:
            return self._meters[name].transform(table[[name]])[:, -1]
        values = table[name].array.values
        share = 1 - np.isnan(values).mean(axis=(1, 2))
        return np.where(share > 0, share, np.nan)

    def _warn_of_late(self, name, seconds):
        """Warn if samples belong to a window that did not wait for them."""
        signal = self._signals[name]
        first = max(signal.end, 0.0) if seconds is None else seconds[0]  # end is -inf at first
        if first < self._missed[name]:
            self._warned.add(name)
            counted = "" if signal.is_timed else " Samples without times must not get lost."
            warnings.warn(
                f"{name!r} is late: samples of second {first:g} arrived when the windows up to "
                f"second {self._missed[name]:g} had been classified without it. Pass max_wait= to "
                f"wait longer.{counted}",
                UserWarning,
                stacklevel=3,
            )


def fitted_signals(model: Any) -> dict[str, SignalDtype]:
    """Return the signal columns that a fitted model takes, if its parts know them.

    Parameters
    ----------
    model : fitted estimator
        Transformers and networks of skemo know the windows that they were fitted on. They are found
        in Pipelines, ColumnTransformers and searches.

    Returns
    -------
    dict of str to SignalDtype
        The type of each column, by name. A signal that is passed through is not included.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import HRVTransformer, SignalArray, make_modality_transformer, signal_frame
    >>> from skemo.models.streaming import fitted_signals
    >>> windows = signal_frame(ecg=SignalArray(np.ones((2, 1, 2560)), sampling_rate=256))
    >>> fitted_signals(make_modality_transformer(ecg=HRVTransformer()).fit(windows))
    {'ecg': signal[float64, 1x2560, 256.0 Hz, null]}
    """
    if hasattr(model, "best_estimator_"):
        return fitted_signals(model.best_estimator_)
    if isinstance(model, Pipeline):
        steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
        return fitted_signals(steps[0]) if steps else {}
    found: dict[str, SignalDtype] = {}
    for _, part, columns in getattr(model, "transformers_", ()):  # of a ColumnTransformer
        if not isinstance(part, str) and len(columns):
            found |= fitted_signals(part)
    if hasattr(model, "signal_dtype_") and hasattr(model, "feature_names_in_"):
        found[str(model.feature_names_in_[0])] = model.signal_dtype_
    found |= getattr(model, "modalities_", {})
    return found
