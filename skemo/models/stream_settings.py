"""Checks of the settings of a `Stream`, against each other and against its model."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skemo._checks import check_rate, is_number, is_positive
from skemo.features.per_subject import PerSubject
from skemo.kernels.quality import QUALITY
from skemo.signals.array import SignalDtype
from skemo.signals.recording import WINDOW_COLUMNS, kind_of
from skemo.signals.windows import to_samples

Kind: TypeAlias = Literal["ecg", "ppg", "eda", "eeg", "acc"]
Channels: TypeAlias = tuple[int | None, tuple[str, ...] | None]  # number and names, if known


def check_seconds(
    duration: float, step: float, max_wait: float, context: float, max_gap: float | None
) -> None:
    """Raise unless all of these are numbers of seconds."""
    for name, value in {"duration": duration, "step": step}.items():
        if not is_positive(value):
            raise ValueError(f"{name} must be a positive number of seconds, got {value!r}.")
    waits = {"max_wait": max_wait, "context": context}
    if max_gap is not None:
        waits["max_gap"] = max_gap
    for name, value in waits.items():
        if not (is_number(value) and value >= 0):
            raise ValueError(f"{name} must be a number of seconds of at least 0, got {value!r}.")


def check_is_model(model: Any) -> None:
    """Raise unless this is a model, and fitted if it is an estimator."""
    if isinstance(model, str | PathLike):
        raise ValueError(
            f"model must be a fitted estimator, got {model!r}. Read a saved model with "
            "skemo.load(path)."
        )
    if isinstance(model, BaseEstimator) and hasattr(model, "fit"):
        check_is_fitted(model)


def check_subject_is_measured(model: Any, subject: str) -> None:
    """Raise if a `PerSubject` of the model has no statistics of this person."""
    params = model.get_params() if hasattr(model, "get_params") else {}
    for step in (model, *params.values()):
        if not isinstance(step, PerSubject) or not hasattr(step, "statistics_"):
            continue
        known = step.statistics_
        names = known["subject"][known["windows"] > 1].tolist()
        if subject in names:
            continue
        measured = f"{', '.join(map(str, names[:10]))}{', …' if len(names) > 10 else ''}"
        if subject == "":
            raise ValueError(
                "The model standardises each person, but no person is given: pass subject= (on "
                f"the command line, --subject). This model has measured {measured}."
            )
        raise ValueError(
            f"The model standardises each person, but has not measured {subject!r}, so a "
            "window would be standardised by those that happen to arrive with it. Use the "
            "model that skemo.enroll returns, and pass the enrolled person as subject. This "
            f"model has measured {measured}."
        )


def find_rates(
    given: Mapping[str, float] | None, fitted: Mapping[str, SignalDtype]
) -> dict[str, float]:
    """Return the sampling rate of each signal, as given or as the model knows it."""
    beats = [name for name, dtype in fitted.items() if dtype.sampling_rate is None]
    if beats:
        raise ValueError(
            f"{beats[0]!r} has no sampling rate; it may be the heartbeats of whole recordings. A "
            "stream needs a model that was fitted on the signals themselves."
        )
    if given is None:
        given = {name: x.sampling_rate for name, x in fitted.items() if x.sampling_rate is not None}
        if not given:
            raise ValueError(
                "The model does not know its signals: pass sampling_rates={<signal>: <hertz>}."
            )
    if not isinstance(given, Mapping) or not given:
        raise ValueError(f"sampling_rates must map signals to hertz, got {given!r}.")
    for name, rate in given.items():
        check_rate(rate, f"The sampling rate of {name!r}")
        if name in WINDOW_COLUMNS:
            raise ValueError(
                f"A signal cannot be called {name!r}, which is the name of another column."
            )
    return {name: float(rate) for name, rate in given.items()}


def find_lengths(duration: float, rates: Mapping[str, float]) -> dict[str, int]:
    """Return the number of samples per window of each signal."""
    lengths = {name: int(to_samples(duration, rate)) for name, rate in rates.items()}
    for name, n_times in lengths.items():
        if n_times == 0:
            raise ValueError(f"A window of {duration:g} s has no sample of {name!r}.")
    return lengths


def find_channels(
    given: Mapping[str, Sequence[str] | int] | None,
    rates: Mapping[str, float],
    fitted: Mapping[str, SignalDtype],
) -> dict[str, Channels]:
    """Return the number of channels (None if unknown) and the names of each signal."""
    unknown = [name for name in given or {} if name not in rates]
    if unknown:
        raise ValueError(f"channels has {unknown[0]!r}, but the signals are {list(rates)}.")
    channels: dict[str, Channels] = {}
    for name in rates:
        known = (given or {}).get(name)
        if isinstance(known, int | np.integer) and known > 0:
            channels[name] = int(known), None
        elif known is not None:
            names = () if isinstance(known, str | int) else tuple(map(str, known))
            if not names:
                raise ValueError(
                    f"channels[{name!r}] must be names or a positive number, got {known!r}."
                )
            channels[name] = len(names), names
        elif name in fitted:
            channels[name] = fitted[name].shape[-2], fitted[name].channels
        else:
            channels[name] = None, None
    return channels


def check_windows(
    rates: Mapping[str, float],
    lengths: Mapping[str, int],
    channels: Mapping[str, Channels],
    fitted: Mapping[str, SignalDtype],
) -> None:
    """Raise unless the windows of each signal match those the model was fitted on."""
    for name, dtype in fitted.items():
        if name not in rates:
            continue
        n_channels, names = channels[name]
        for what, given, known in (
            ("sampling rate (hertz)", rates[name], dtype.sampling_rate),
            ("number of channels", n_channels, dtype.shape[-2]),
            ("channels", names, dtype.channels),
            ("number of samples in a window", lengths[name], dtype.shape[-1]),
        ):
            if given != known and known is not None:
                remedy = ""
                if what.startswith("sampling rate"):
                    remedy = (
                        f" If {name!r} comes at another rate, resample it to {known:g} Hz first, "
                        "or fit the model on windows at its rate."
                    )
                raise ValueError(
                    f"The model was fitted on {name!r} with a different {what}: {known}, not "
                    f"{given}. Use the settings that its windows were cut with.{remedy}"
                )


def find_kinds(given: Mapping[str, Kind] | None, rates: Mapping[str, float]) -> Mapping[str, Kind]:
    """Return the kind of each signal whose quality can be measured."""
    if given is None:
        kinds: dict[str, Any] = {
            name: "acc" if name.lower().startswith("acc") else kind_of(name) for name in rates
        }
        given = {name: kind for name, kind in kinds.items() if kind is not None}
    for name, kind in given.items():
        if name not in rates or kind not in QUALITY:
            raise ValueError(
                f"quality must map signals among {list(rates)} to kinds among {list(QUALITY)}, got "
                f"{name!r}: {kind!r}."
            )
    return given
