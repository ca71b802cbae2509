"""Targets of fuzz.py: transformers, kernels, networks, recordings.

Each target draws an input, and returns a function that uses it and gives the result.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from _fuzz_inputs import (
    JUNK,
    NAN,
    BadResultError,
    any_array,
    any_features,
    any_labels,
    any_network_windows,
    any_rate,
    any_recording,
    any_samples,
    any_series,
    any_settings,
    any_type,
    any_windows,
    check_numbers,
    mostly,
    partial_call,
    pick,
)
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skemo import (
    AccelerometerTransformer,
    ArrayTransformer,
    ContextTransformer,
    CrossModalAttentionClassifier,
    CrossModalAttentionRegressor,
    DifferentialEntropyTransformer,
    EDATransformer,
    EMGTransformer,
    FusionClassifier,
    FusionRegressor,
    HRVTransformer,
    ModalityAwareAttentionClassifier,
    ModalityAwareAttentionRegressor,
    PerSubject,
    QualityTransformer,
    Recording,
    ResampleTransformer,
    RespirationTransformer,
    SignalArray,
    TemperatureTransformer,
    decompose_eda,
    find_artefacts,
    find_beats,
    fit_many,
    make_modality_transformer,
    make_svm,
    precompute,
    segment,
    signal_frame,
)
from skemo.kernels.beat_correction import correct_beats
from skemo.kernels.cvxeda import cvxeda
from skemo.kernels.entropy import differential_entropy
from skemo.kernels.heartbeats import max_beats, r_peaks
from skemo.kernels.hrv import hrv_frequency, hrv_nonlinear, hrv_time, rr_intervals
from skemo.kernels.motion import acceleration_by_second, motion_features
from skemo.kernels.muscle import emg_envelope, muscle_bursts, muscle_features
from skemo.kernels.quality import beat_agreement, signal_quality
from skemo.kernels.resampling import resample
from skemo.kernels.respiration import (
    breathing,
    breaths,
    respiration_of_beats,
    respiration_of_ecg,
)
from skemo.kernels.skin_conductance import skin_conductance_responses, tonic_phasic
from skemo.kernels.standardize import signal_lengths, signal_statistics, standardize_signals
from skemo.kernels.temperature import temperature_features

BANDS = (None, {"alpha": (8, 14)}, {"alpha": (8, 80)}, {"a": (3, 1)}, {"a": ("x", 2)}, {})
TRANSFORMERS = {
    HRVTransformer: {
        "output": ("series", "features"), "signal": ("ecg", "ppg", "beats"),
        "features": ("all", "time", "frequency", "nonlinear", ["HRV_RMSSD"], ["x"]),
        "n_beats": (5, 200), "min_beats": (2, 9), "max_deviation": ("auto", None, 0.2),
        "min_quality": (None, 0.5),
    },
    EDATransformer: {
        "output": ("series", "features"), "signal": ("eda", "components"),
        "method": ("cvxeda", "highpass"), "features": ("all", ["SCR_Peaks_N"]),
        "min_amplitude": (0.0, 0.05), "min_relative": (0.0, 0.1), "min_quality": (None, 0.5),
    },
    DifferentialEntropyTransformer: {
        "output": ("map", "features"), "bands": BANDS, "sub_windows": (1, 2, 5, 10**6),
        "min_quality": (None, 0.5),
    },
    ResampleTransformer: {
        "rate": (None, 16, 64, 100, 1e4), "band": (None, (0.5, 40), (None, 10), (40, 1), 3, (1, 1)),
        "standardize": (True, False), "min_quality": (None, 0.5),
    },
    QualityTransformer: {
        "output": ("series", "features"), "signal": ("ecg", "ppg", "eda", "eeg", "acc"),
        "features": ("all", ["x"]), "sub_windows": (1, 2, 5, 10**6),
    },
    RespirationTransformer: {
        "output": ("series", "features"), "signal": ("resp", "ecg", "ppg", "beats"),
        "features": ("all", ["x"]), "min_breaths": (1, 2, 9),
    },
    TemperatureTransformer: {
        "output": ("series", "features"), "features": ("all", ["x"]),
        "valid_range": (None, (-10, 10), (3, 1), (0, NAN)),
    },
    AccelerometerTransformer: {
        "output": ("series", "features"), "features": ("all", ["x"]), "gravity": ("auto", 9.8, 64),
        "min_motion": (0.0, 0.5),
    },
    EMGTransformer: {
        "output": ("series", "features"), "features": ("all", ["x"]), "highpass": (20.0, 1e4),
        "min_ratio": (1.0, 3.0),
    },
}  # fmt: skip
NETWORK = {
    "n_filters": (2, 3), "batch_size": (2, 64), "dropout": (0.0, 0.9), "modality_dropout": (0.5,),
    "input_noise": (0.0, 0.1), "lr": (0.01, 1e30), "weight_decay": (0.0, 1e30),
    "n_members": (1, 2), "early_stopping": (True,), "validation_fraction": (0.5,),
    "class_weight": ("balanced", None, {0: 1, 1: 2}), "precision": ("bfloat16",),
    "random_state": (0, np.random.RandomState(0)), "kernel_size": (3, 4), "device": ("cpu", "meta"),
    "attention": (None,),
}  # fmt: skip


def transform(make, choices):
    def draw(rng):
        X, rate = any_windows(rng)
        settings = any_settings(rng, choices)
        rate = pick(rng, rate, None) if isinstance(X, pd.DataFrame | pd.Series) else rate

        def use():
            names = make().get_params()
            known = {name: value for name, value in settings.items() if name in names}
            transformer = make(**known, sampling_rate=rate)
            result = transformer.fit_transform(X)
            check_numbers(result)
            check_rows(transformer, X, result)
            return result

        return use

    return draw


def check_rows(transformer, X, result):
    """Raise if a window's result depends on the windows beside it."""
    n = len(X)
    if len(result) != n:
        raise BadResultError(f"{len(result)} rows for {n}")
    if n < 2:
        return
    last = X.iloc[n - 1 :] if hasattr(X, "iloc") else np.asanyarray(X)[n - 1 :]
    try:
        alone = transformer.transform(last)
    except ValueError:  # a window that is missing, alone
        return
    one, other = (
        np.asarray(table.iloc[:, 0].array.values if is_signal(table) else table)
        for table in (result, alone)
    )
    # Of the measures of quality, the last bits depend on how many windows there are.
    tolerance = 1e-5 if isinstance(transformer, QualityTransformer) else 0
    if not np.allclose(one[n - 1 :], other, tolerance, tolerance, equal_nan=True):
        raise BadResultError("a row depends on others")


def is_signal(table):
    return isinstance(table, pd.DataFrame) and isinstance(table.iloc[:, 0].array, SignalArray)


def network(make):
    def draw(rng):
        n = mostly(rng, (10, 20, 40), (0, 1, 2))
        X, y = any_network_windows(rng, n), any_labels(rng, n)
        settings = {"n_filters": 2, "max_epochs": 1, "device": "cpu", "random_state": 0}
        settings |= any_settings(rng, NETWORK)
        groups = mostly(rng, (np.arange(n) // 5, None), ("subject", np.arange(3), np.full(n, NAN)))
        new = any_network_windows(rng, pick(rng, 1, 3)) if rng.random() < 0.1 else X
        strange = (np.zeros(n), -np.ones(n), np.full(n, NAN), "a")
        weight = mostly(rng, (None, None, np.ones(n)), strange)
        partial, classes = rng.random() < 0.2, pick(rng, [0, 1, 2], ["calm", "stress"])

        def use():
            known = {name: value for name, value in settings.items() if name in make().get_params()}
            model = make(**known)
            if partial:
                model.partial_fit(X, y, classes=classes, sample_weight=weight)
            else:
                model.fit(X, y, sample_weight=weight, groups=groups)
            probabilities = model.predict_proba(new)
            if not np.allclose(probabilities.sum(axis=1), 1):
                raise BadResultError("probabilities do not sum to one")
            check_numbers([model.transform(new), model.predict(new) == model.classes_[0]])
            return probabilities

        return use

    return draw


def regressor(make):
    def draw(rng):
        n = mostly(rng, (10, 20, 40), (0, 1, 2))
        X = any_network_windows(rng, n)
        y = rng.normal(size=n if rng.random() < 0.6 else (n, 2))
        if n and rng.random() < 0.3:
            y[rng.integers(n)] = pick(rng, NAN, np.inf, 1e30, 0)
        if rng.random() < 0.2:
            y = pick(rng, any_labels(rng, n), y.astype(object), y.astype(complex), y.tolist())
        settings = {"n_filters": 2, "max_epochs": 1, "device": "cpu", "random_state": 0}
        settings |= any_settings(rng, NETWORK)
        settings["loss"] = mostly(rng, ("mse", "huber", "ccc"), ("l1", None, 3))
        groups = mostly(rng, (np.arange(n) // 5, None), ("subject", np.arange(3), np.full(n, NAN)))
        partial = rng.random() < 0.2

        def use():
            known = {name: value for name, value in settings.items() if name in make().get_params()}
            model = make(**known)
            if partial:
                model.partial_fit(X, y)
            else:
                model.fit(X, y, groups=groups)
            predicted = model.predict(X)
            check_numbers([model.transform(X), predicted])
            return predicted

        return use

    return draw


class Averages(torch.nn.Module):
    """A network of a user: one layer on the mean of each channel."""

    def __init__(self, shapes, n_outputs, width=0):
        super().__init__()
        n_channels = sum(shape[0] for shape in shapes)
        self.layer = torch.nn.Linear(n_channels, n_outputs + width)

    def forward(self, inputs, present):
        means = [x.flatten(2).mean(-1) if x.ndim > 2 else x for x in inputs]
        return self.layer(torch.cat(means, dim=1))


def make_averages(shapes, n_outputs, **parameters):
    return Averages(shapes, n_outputs, **parameters)


def own_module(make):
    def draw(rng):
        n = mostly(rng, (10, 20, 40), (0, 1, 2))
        X = any_network_windows(rng, n)
        if make is FusionClassifier:
            y = any_labels(rng, n)
            losses = ("cross-entropy", "focal", "ordinal")
        else:
            y, losses = rng.normal(size=n), ("mse", "huber", "ccc")
        if rng.random() < 0.2 and np.shape(y) == (n,):
            y = pick(rng, np.column_stack([y, y]), pd.DataFrame({"a": y, "b": y}))
        if n and rng.random() < 0.1 and isinstance(y, pd.DataFrame):
            y.loc[y.index[:1], pick(rng, "a", "b")] = None
        ratings = pd.Categorical(np.arange(n) % 3, ordered=True).rename_categories
        if n > 3 and make is FusionClassifier and rng.random() < 0.1:
            y = pick(rng, ratings(["low", "middle", "high"]), pd.Series(ratings(["c", "a", "b"])))
        settings = {"max_epochs": 1, "device": "cpu", "random_state": 0}
        settings |= any_settings(rng, NETWORK)
        settings |= any_settings(rng, {
            "loss": losses, "mixup": (0.2, 1.0), "label_smoothing": (0.1, 1.0),
            "center_loss": (0.1, 1e30), "module": (Averages, make_averages),
        })  # fmt: skip
        settings.setdefault("module", Averages)
        if rng.random() < 0.1:
            settings["module__width"] = pick(rng, 0, 1)  # an output too many
        groups = mostly(rng, (np.arange(n) // 5, None), ("subject", np.arange(3), np.full(n, NAN)))

        def use():
            known = {*make(Averages).get_params(), "module__width"}
            model = make(**{name: value for name, value in settings.items() if name in known})
            model.fit(X, y, groups=groups)
            outputs = model.predict_proba(X) if make is FusionClassifier else model.predict(X)
            for part in outputs if isinstance(outputs, list) else [outputs]:
                if make is FusionClassifier and not np.allclose(part.sum(axis=1), 1):
                    raise BadResultError("probabilities do not sum to one")
                check_numbers(part)
            model.predict(X)
            check_numbers(model.transform(X))
            return outputs

        return use

    return draw


def of_other_libraries(rng):
    X, _ = any_windows(rng)
    y = mostly(rng, (None, None, any_labels(rng, len(X))), ("a", [1], 3))
    transformers = (
        FunctionTransformer(lambda x: x[:, :, :1]),
        FunctionTransformer(lambda x: x.reshape(len(x), -1)),
    )
    strange = (
        StandardScaler(),
        FunctionTransformer(lambda x: x[:1]),
        FunctionTransformer(lambda x: [str(len(x))] * len(x)),
        FunctionTransformer(lambda x: None),
        HRVTransformer,
        *JUNK,
    )
    transformer = ArrayTransformer(mostly(rng, transformers, strange, 0.3))
    if rng.random() < 0.2:
        transformer.set_output(transform="pandas")

    def use():
        result = transformer.fit_transform(X, y)
        if len(result) != len(X) or len(transformer.transform(X)) != len(X):
            raise BadResultError(f"{len(result)} rows for {len(X)}")
        return result

    return use


def per_subject(rng):
    n = mostly(rng, (8, 12), (0, 1, 2))
    X = any_features(rng, n)
    if rng.random() < 0.9:
        X["subject"] = any_labels(rng, n, 0) if rng.random() < 0.8 else pick(rng, NAN, "a", 1.5)
    if rng.random() < 0.2:
        X["ecg"] = SignalArray(any_samples(rng, (n, 1, 9)), sampling_rate=4)
    X = X if rng.random() < 0.8 else X.to_numpy()
    by = mostly(rng, ("subject",) if isinstance(X, pd.DataFrame) else (-1, 3), (9, 0, *JUNK))

    def use():
        result = PerSubject(by=by).fit_transform(X)
        check_numbers(result)
        return result

    return use


def context(rng):
    n = mostly(rng, (8, 12), (0, 1, 2))
    X = any_features(rng, n)
    for name in ("subject", "trial"):
        if rng.random() < 0.9:
            X[name] = any_labels(rng, n, 0) if rng.random() < 0.8 else pick(rng, NAN, "a", 1.5)
    if rng.random() < 0.9:
        X["start"] = rng.random(n) * 60 if rng.random() < 0.8 else pick(rng, NAN, "a", 1.5)
    if rng.random() < 0.2:
        X["ecg"] = SignalArray(any_samples(rng, (n, 1, 9)), sampling_rate=4)
    X = X if rng.random() < 0.8 else X.to_numpy()
    settings = {"reach": mostly(rng, (0, 20.0), JUNK), "causal": rng.random() < 0.5}
    if not isinstance(X, pd.DataFrame):
        settings |= {"subject": None, "trial": 0, "start": mostly(rng, (-1, 3), (9, 0, *JUNK))}

    def use():
        result = ContextTransformer(**settings).fit_transform(X)
        check_numbers(result)
        return result

    return use


def kernel(function, n_axes, **choices):
    def draw(rng):
        x, rate = any_array(rng, n_axes), any_rate(rng)
        settings = any_settings(rng, choices)

        def use():
            result = function(x, rate, **settings)
            check_numbers(result)
            return result

        return use

    return draw


def series(function, are_times=False):
    def draw(rng):
        rr = any_series(rng, are_times)

        def use():
            result = function(rr)
            check_numbers(result)
            return result

        return use

    return draw


def respiration_from_beats(rng):
    beats = any_series(rng, are_times=True)
    return partial_call(respiration_of_beats, beats, mostly(rng, (60.0, 10), JUNK))


def respiration_from_ecg(rng):
    beats = any_series(rng, are_times=True)
    n = len(beats) if beats.ndim and rng.random() < 0.9 else 1
    ecg = any_type(rng, any_samples(rng, (n, pick(rng, 60, 640, 2560))))
    return partial_call(respiration_of_ecg, ecg, any_rate(rng), beats)


def statistics_of_windows(rng):
    x = any_array(rng, 3)
    weight = pick(rng, None, None, np.ones(np.shape(x)[:1]), "a")

    def use():
        mean, scale = signal_statistics(np.asarray(x), weight, padded=bool(rng.integers(2)))
        result = standardize_signals(np.asarray(x), mean, scale)
        signal_lengths(np.asarray(x))
        check_numbers([mean, scale, result])
        return result

    return use


def recording(function, **choices):
    def draw(rng):
        build, settings = any_recording(rng), any_settings(rng, choices)

        def use():
            return function(build(), **settings)

        return use

    return draw


def to_mne(rng):
    build = any_recording(rng)
    units = mostly(rng, ({"ecg": "mV", "eda": "µS"}, {"ecg": "V"}), ({}, {"ecg": "x"}))
    settings = any_settings(rng, {
        "modalities": ("ecg", ["ecg"], ["eda", "ecg"], ["x"], []),
        "types": ({"ecg": "eeg"}, {"ecg": "misc", "eda": "misc"}, {"ecg": "x"}),
    })  # fmt: skip
    start = pick(rng, None, "2020-01-01 10:00", "2020-07-01 10:00+02:00")

    def use():
        recording = replace(build(), units=units, start_time=start)
        raw = recording.to_mne(**settings)
        again = Recording.from_mne(raw, subject="a")
        if not np.isclose(again.duration, recording.duration, atol=1):
            raise BadResultError("another duration")

    return use


def cut(rng):
    build = any_recording(rng)
    settings = any_settings(rng, {"step": (1.0, 0.3, 100, None), "purity": (0.5, 1.0)})
    duration = mostly(rng, (1.0, 2.0, 5), (0.01, *JUNK))
    return lambda: segment([build(), build()], duration, **settings)


def many(rng):
    n = pick(rng, 2, 10, 20)
    X = [any_network_windows(rng, n) for _ in range(2)]
    y = [any_labels(rng, n, 0.05) for _ in range(pick(rng, 2, 2, 2, 1))]
    net = ModalityAwareAttentionClassifier(n_filters=2, max_epochs=1, device="cpu", random_state=0)

    def use():
        return [
            model.predict_proba(x) for model, x in zip(fit_many([net, net], X, y), X, strict=True)
        ]

    return use


def leading_steps(rng):
    n = pick(rng, 0, 2, 5)
    X = signal_frame(ecg=SignalArray(any_samples(rng, (n, 1, 640)), sampling_rate=128))
    X["subject"] = any_labels(rng, n, 0)
    steps = make_modality_transformer(ecg=HRVTransformer(), subject="passthrough")
    model = pick(rng, make_svm(steps), steps, HRVTransformer(), *JUNK[:2])
    return lambda: precompute(model, pick(rng, X, X, X[["ecg"]], X.to_numpy()))


TARGETS = {
    **{make.__name__: transform(make, choices) for make, choices in TRANSFORMERS.items()},
    "ModalityAwareAttentionClassifier": network(ModalityAwareAttentionClassifier),
    "CrossModalAttentionClassifier": network(CrossModalAttentionClassifier),
    "ModalityAwareAttentionRegressor": regressor(ModalityAwareAttentionRegressor),
    "CrossModalAttentionRegressor": regressor(CrossModalAttentionRegressor),
    "FusionClassifier": own_module(FusionClassifier),
    "FusionRegressor": own_module(FusionRegressor),
    "ArrayTransformer": of_other_libraries,
    "PerSubject": per_subject,
    "ContextTransformer": context,
    "r_peaks": kernel(r_peaks, 2, signal=("ecg", "ppg"), method=("skemo", "x")),
    "max_beats": lambda rng: partial_call(max_beats, pick(rng, 0, 1, 500, -1), any_rate(rng)),
    "rr_intervals": series(rr_intervals, are_times=True),
    "hrv_time": series(hrv_time),
    "hrv_frequency": series(hrv_frequency),
    "hrv_nonlinear": series(hrv_nonlinear),
    "tonic_phasic": kernel(tonic_phasic, 2, method=("highpass", "cvxeda")),
    "skin_conductance_responses": kernel(
        skin_conductance_responses, 2, min_amplitude=(0.0, 0.1), min_relative=(0.0, 0.5)
    ),
    "cvxeda": kernel(cvxeda, 2, tau0=(3.0, 0.1), alpha=(1e-3,), gamma=(1e-2,), max_iter=(1, 30)),
    "differential_entropy": kernel(
        differential_entropy, 3, bands=BANDS[1:], sub_windows=(1, 2, 99)
    ),
    "resample": kernel(resample, 2, rate=(16, 100, 1e4), band=((1, 10), (None, 5), (9, 2), 3)),
    "signal_quality": kernel(signal_quality, 3, signal=("ecg", "ppg", "eda", "eeg", "acc")),
    "breaths": kernel(breaths, 2, source=("belt", "heart", "x")),
    "breathing": kernel(breathing, 2, source=("belt", "heart")),
    "respiration_of_beats": respiration_from_beats,
    "respiration_of_ecg": respiration_from_ecg,
    "acceleration_by_second": kernel(acceleration_by_second, 3, gravity=("auto", 9.8, 64)),
    "motion_features": kernel(motion_features, 3, gravity=(64,), min_motion=(0.0, 0.5)),
    "emg_envelope": kernel(emg_envelope, 2, highpass=(20.0, 1e4)),
    "muscle_bursts": kernel(muscle_bursts, 2, min_ratio=(1.0, 5.0)),
    "muscle_features": kernel(muscle_features, 2, highpass=(20.0,), min_ratio=(1.0,)),
    "temperature_features": kernel(temperature_features, 2, valid_range=(None, (-9, 9), (3, 1))),
    "correct_beats": series(correct_beats, are_times=True),
    "beat_agreement": lambda rng: partial_call(
        beat_agreement, any_series(rng, True)[:2], any_series(rng, True)[:2]
    ),
    "signal_statistics": statistics_of_windows,
    "Recording": recording(lambda one: repr(one)),
    "find_beats": recording(find_beats, signal=("ecg", "ppg"), name=("ecg", "x")),
    "decompose_eda": recording(decompose_eda, method=("highpass", "cvxeda"), name=("eda", "x")),
    "find_artefacts": recording(find_artefacts, min_quality=(0.5,), duration=(2.0,)),
    "Recording.to_mne": to_mne,
    "segment": cut,
    "fit_many": many,
    "precompute": leading_steps,
}
