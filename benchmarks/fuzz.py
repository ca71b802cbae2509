"""Make results/fuzz.md: what do all estimators and functions do with any input?

    python benchmarks/fuzz.py                  # 10,000 inputs: half an hour on one core
    python benchmarks/fuzz.py --inputs 40      # a few of each; nothing is written
    python benchmarks/fuzz.py --only HRVTransformer --seed 17   # one input, with its traceback

Each input is drawn from its number: ordinary and strange windows (of any shape, type, container and
content), rates and parameters. The outcome must be a result, by the documented rules, or a
ValueError or TypeError that skemo or scikit-learn raised on purpose.
"""

import argparse
import collections
import signal
import time
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

import skemo
from skemo import (
    BlockedKFold,
    CrossModalAttentionClassifier,
    DifferentialEntropyTransformer,
    EDATransformer,
    HRVTransformer,
    LeaveOneTrialOut,
    ModalityAwareAttentionClassifier,
    PerSubject,
    QualityTransformer,
    Recording,
    ResampleTransformer,
    SignalArray,
    check_split,
    compare,
    decompose_eda,
    find_artefacts,
    find_beats,
    fit_many,
    make_lda,
    make_modality_transformer,
    make_svm,
    precompute,
    segment,
    signal_frame,
)
from skemo.evaluation import statistics
from skemo.kernels.beat_correction import correct_beats
from skemo.kernels.cvxeda import cvxeda
from skemo.kernels.entropy import differential_entropy
from skemo.kernels.heartbeats import max_beats, r_peaks
from skemo.kernels.hrv import hrv_frequency, hrv_nonlinear, hrv_time, rr_intervals
from skemo.kernels.quality import beat_agreement, signal_quality
from skemo.kernels.resampling import resample
from skemo.kernels.skin_conductance import skin_conductance_responses, tonic_phasic
from skemo.kernels.standardize import signal_lengths, signal_statistics, standardize_signals

PAGE = Path(__file__).parent / "results" / "fuzz.md"
SECONDS = 20  # that one input may take
RESULT, CLEAR = "result", "clear error"
BAD = ("unclear error", "other exception", "NumPy warning", "bad result", "too long")
NAN, INF = float("nan"), float("inf")
JUNK = (None, NAN, INF, -INF, 0, -1, 1e300, "a", True, [], (), {}, 1j, b"x", object)


# Inputs


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def mostly(rng, usual, strange, share=0.08):
    """One of the usual values or, seldom, one of the strange ones."""
    return pick(rng, *(strange if rng.random() < share else usual))


def any_rate(rng):
    strange = (0, -4, NAN, INF, 1 / 256, 1e-9, 1e9, 1e300, "128", True, None, np.float32(32), 0.5)
    return pick(rng, 4, 32, 64, 128, 256) if rng.random() < 0.85 else pick(rng, *strange)


def any_shape(rng):
    n_windows, n_channels = pick(rng, 1, 2, 3, 5, 8), pick(rng, 1, 1, 1, 2, 3)
    n_times = pick(rng, 60, 256, 640, 1280, 2560)
    if rng.random() < 0.1:
        n_windows = pick(rng, 0, 1)
    if rng.random() < 0.1:
        n_times = pick(rng, 0, 1, 2, 3, 7)
    if rng.random() < 0.06:
        return pick(rng, (n_times,), (n_windows, 2, n_channels, n_times))
    return pick(rng, (n_windows, n_channels, n_times), (n_windows, n_times))


def any_samples(rng, shape):
    """Ordinary samples, and what recordings have in places where nothing was measured."""
    n_times = shape[-1] if shape else 1
    phase = np.arange(n_times) / pick(rng, 32, 128, 256) + rng.random()
    waves = {
        "noise": lambda: rng.normal(size=shape),
        "beats": lambda: (
            np.exp(-(((phase % 0.8 - 0.4) / 0.01) ** 2)) + 0.02 * rng.normal(size=shape)
        ),
        "pulse": lambda: np.sin(2 * np.pi * 1.2 * phase) + 0.1 * rng.normal(size=shape),
        "skin": lambda: 3 + 0.1 * rng.normal(size=shape).cumsum(axis=-1) if shape else 3.0,
        "ramp": lambda: np.broadcast_to(phase, shape),
        "constant": lambda: np.full(shape, pick(rng, 0.0, 1.0, -7.5)),
    }
    x = np.array(waves[pick(rng, *waves)](), float).reshape(shape)
    x = x * pick(rng, 1, 1, 1, 1e-3, 1e3, 1e-6, 1e6, 1e-30, 1e-160, 1e-310) + pick(
        rng, 0, 0, 0, 1e4
    )
    if x.size and rng.random() < 0.35:
        holes = rng.random(shape) < pick(rng, 0.001, 0.02, 0.3)
        value = pick(rng, NAN, NAN, NAN, INF, -INF, 1e30, -9999.0, 3e38, 1e300, 0.0, 1e12)
        x = np.where(holes, value, x)
    if x.ndim > 1 and len(x) and rng.random() < 0.15:
        x[rng.integers(len(x))] = pick(rng, NAN, 0.0)
    if rng.random() < 0.03:
        x = np.full(shape, NAN)
    return x


def any_type(rng, x):
    types = ("float64", "float32", "float32", "float16", "longdouble", ">f8", "<i2", "int64", "u1")
    types += ("bool", "complex128", "object", "M8[s]", "m8[s]", "str")
    if rng.random() < 0.8:
        return x
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = pick(rng, *types)
        x = np.nan_to_num(x, posinf=0, neginf=0) if kind[0] in "<iuMm" else x
        return x.astype(kind)


def any_container(rng, x, rate):
    """An array, or what else holds windows."""
    kinds = ["array"] * 4 + ["frame"] * 4 + ["series", "list", "fortran", "readonly", "reversed"]
    kind = pick(rng, *kinds, "masked", "numbers")
    if kind in ("frame", "series"):
        frame = signal_frame(ecg=SignalArray(x, sampling_rate=rate))
        frame.index = pick(rng, frame.index, frame.index + 5, np.zeros(len(frame), int))
        return frame if kind == "frame" else frame["ecg"]
    if kind == "numbers" and x.ndim == 2:
        return pd.DataFrame(x, columns=[f"t{i}" for i in range(x.shape[1])])
    if kind == "readonly":
        x.flags.writeable = False
    return {
        "list": lambda: x.tolist(),
        "fortran": lambda: np.asfortranarray(x),
        "reversed": lambda: x[..., ::-1],
        "masked": lambda: np.ma.masked_greater(x, 1e5) if x.dtype.kind == "f" else x,
    }.get(kind, lambda: x)()


def any_windows(rng):
    rate = any_rate(rng)
    x = any_type(rng, any_samples(rng, any_shape(rng)))
    return any_container(rng, x, rate), rate


def any_array(rng, n_axes):
    """Samples for a kernel, mostly with the right number of axes."""
    shape = any_shape(rng)
    if len(shape) != n_axes and rng.random() < 0.9:
        shape = (pick(rng, 0, 1, 2, 3), pick(rng, 1, 2), pick(rng, 1, 60, 640))[3 - n_axes :]
    x = any_type(rng, any_samples(rng, shape))
    return x.tolist() if rng.random() < 0.05 else x


def any_settings(rng, choices):
    """Some parameters, each with one of its values or with junk."""
    names = rng.permutation(list(choices))[: rng.integers(4)]
    return {
        str(name): pick(rng, *choices[name]) if rng.random() < 0.9 else pick(rng, *JUNK)
        for name in names
    }


def any_labels(rng, n, strange=0.08):
    y = pick(
        rng, np.arange(n) % 2, np.array(["calm", "stress"])[np.arange(n) % 2], np.arange(n) % 3
    )
    if rng.random() >= strange:
        return y
    return pick(
        rng, y[:-1], list(y), np.zeros(n), y.astype(object), y * 0.5 if y.dtype.kind == "i" else y,
        np.full(n, NAN), "label", None, pd.Series(y, dtype="category"), y[:, np.newaxis],
        pd.Series(y, index=np.arange(n)[::-1]), np.arange(n) / 7, [None] * n,
    )  # fmt: skip


def any_groups(rng, n):
    table = pd.DataFrame({"subject": np.arange(n) // 4, "trial": np.arange(n) // 2})
    table["start"] = np.arange(n) % 2 * 10.0
    table["stop"] = table["start"] + 10
    if rng.random() < 0.5:
        table["subject"] //= 2
        table["trial"] = np.arange(n) // pick(rng, 1, 2, 3)
    if rng.random() < 0.1:
        name = pick(rng, *table)
        value = pick(rng, NAN, "x", -1.0, None, INF)
        table[name] = table[name].astype(object)
        table.loc[table.index[:1], name] = value
    if rng.random() < 0.1:
        table = table.drop(columns=pick(rng, *table))
    return (
        table if rng.random() < 0.9 else pick(rng, None, "subject", table.to_numpy(), np.arange(n))
    )


def any_features(rng, n):
    table = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    table *= pick(rng, 1, 1, 1e-300, 1e10, 1e160)
    for name in table:
        usual = ("f8", "f8", "f4", "i8", "Int64", "bool", "boolean", ">f8", "Float32", "u1", "f2")
        kind = mostly(rng, usual, ("c16", "category", "object", "str", "M8[s]", "m8[s]"), 0.04)
        values = rng.integers(0, 3, n) if kind[0] in "iIbcuMm" else table[name]
        table[name] = pd.Series(values).astype(kind if kind != "boolean" else "bool").astype(kind)
    if n and rng.random() < 0.4:
        name = pick(rng, *table)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table[name] = table[name].astype(
                object if rng.random() < 0.2 else float, errors="ignore"
            )
            table.loc[table.index[rng.integers(n)], name] = pick(rng, NAN, INF, 1e30, 1e200)
    return table


# Targets: each draws an input and returns a function that uses it, and gives the result.

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


def check_numbers(result):
    """Raise unless a result has real numbers, none of them infinite."""
    parts = result.values() if isinstance(result, dict) else [result]
    parts = [
        part for part in parts for part in (part if isinstance(part, tuple | list) else [part])
    ]
    for part in parts:
        if isinstance(part, pd.DataFrame):
            parts += [part[name].array for name in part]
            continue
        values = part.values if isinstance(part, SignalArray) else np.asarray(part)
        if values.dtype.kind == "c" or (values.dtype.kind == "f" and np.isinf(values).any()):
            raise BadResultError("infinite or complex numbers")


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


class BadResultError(Exception):
    """A result that breaks the documented rules."""


def any_network_windows(rng, n):
    if rng.random() < 0.3:
        shape = mostly(rng, [(n, 1, 16), (n, 16), (n, 2, 1)], [(n, 1, 0), (n, 3, 2, 4), (n,)])
        return any_type(rng, any_samples(rng, shape))
    columns = {}
    for name, shape in (("ecg", (1, 12)), ("eda", (2, 9)), ("eeg", (2, 3, 2)))[
        : pick(rng, 1, 2, 2, 3)
    ]:
        columns[name] = SignalArray(any_samples(rng, (n, *shape)), sampling_rate=pick(rng, None, 4))
    frame = signal_frame(**columns)
    return frame.assign(age=1.0) if rng.random() < 0.05 else frame


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


def any_series(rng, are_times=False):
    """RR intervals or beat times, some of them strange."""
    if rng.random() < 0.15:
        return any_array(rng, 2)
    shape = pick(rng, 2, 3), mostly(rng, (12, 60, 300), (0, 1, 2, 3))
    x = rng.normal(mostly(rng, (800, 700), (0.8, 1e9)), mostly(rng, (60,), (0, 400)), size=shape)
    x = (x / 1000).cumsum(axis=1) if are_times else x
    return any_type(rng, np.where(rng.random(shape) < pick(rng, 0, 0, 0.1, 1), NAN, x))


def series(function, are_times=False):
    def draw(rng):
        rr = any_series(rng, are_times)

        def use():
            result = function(rr)
            check_numbers(result)
            return result

        return use

    return draw


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


def any_recording(rng):
    rate = any_rate(rng)
    shape = mostly(rng, [(1, 5120), (5120,), (2, 2560)], [(1, 0), (1, 5), (3, 1), (1, 2, 9)])
    x = any_type(rng, any_samples(rng, shape))
    extra = {
        "labels": mostly(
            rng,
            [[], [(0, 5, "a"), (5, 9, "b")], [(0, 8, 1)]],
            [[(5, 1, "a")], [(0, 5)], "ab", [(0, INF, 1)], [(0, 4, NAN)], [(0, 4, [])], 3],
        ),
        "beats": mostly(
            rng, [{}, {"beats": [1.0, 2.0]}], [{"beats": [2.0, 1.0]}, {"ecg": [1.0]}, 3, {1: "a"}]
        ),
        "targets": mostly(
            rng,
            [{}, {"valence": 3}, {"valence": ([1, 2, 3.0], 1)}],
            [{"v": "x"}, 3, {"v": ([], 0)}],
        ),
        "excluded": mostly(rng, [[], [(0, 1)]], [[(1, 0)], [(NAN, 1)], "a", [()]]),
    }
    rates = {"ecg": rate, "eda": rate}
    return lambda: Recording({"ecg": x, "eda": x}, rates, subject="a", **extra)


def recording(function, **choices):
    def draw(rng):
        build, settings = any_recording(rng), any_settings(rng, choices)

        def use():
            return function(build(), **settings)

        return use

    return draw


def cut(rng):
    build = any_recording(rng)
    settings = any_settings(rng, {"step": (1.0, 0.3, 100, None), "purity": (0.5, 1.0)})
    duration = mostly(rng, (1.0, 2.0, 5), (0.01, *JUNK))
    return lambda: segment([build(), build()], duration, **settings)


def evaluation(rng):
    n = mostly(rng, (24, 36), (0, 1, 2))
    X = pick(rng, any_features(rng, n), rng.normal(size=(n, 3)), any_samples(rng, (n, 4)))
    y, groups = any_labels(rng, n), any_groups(rng, n)
    settings = any_settings(rng, {
        "protocol": ("group-k-fold", "segment-k-fold", "leave-one-trial-out", "blocked-k-fold"),
        "n_splits": (2, 3, 99), "n_repeats": (1, 2), "controls": ("majority", "permuted"),
        "on_error": ("record",), "random_state": (0,), "gap": (0.0, 5.0), "together": (True,),
    })  # fmt: skip
    usual = [make_svm("passthrough"), make_lda("passthrough")]
    model = mostly(rng, usual, JUNK)
    named = [{"m": model}, {"m": model, "n": usual[0]}]
    with_name = mostly(rng, named, [model, {}, {3: model}, None])
    return lambda: compare(with_name, X, y, groups, **settings).table()


def leakage(rng):
    n = mostly(rng, (12, 24), (0, 1))
    X, groups, y = any_samples(rng, (n, 3)), any_groups(rng, n), any_labels(rng, n)
    rows = np.arange(n)
    usual = [[(rows[::2], rows[1::2])], [(rows[:5], rows[5:])], [(rows, rows)], None]
    strange = [[], 3, [(rows[:0], rows)], [([99], [0])], [(rows > 3, rows < 3)], [([0.5], [1])]]
    strange += [[(1,)], [None]]
    folds = mostly(rng, usual, strange)
    return lambda: check_split(X, groups, folds, y)


def splitter(make):
    def draw(rng):
        n = mostly(rng, (16, 24), (0, 1, 2))
        X, y, groups = np.zeros((n, 1)), any_labels(rng, n), any_groups(rng, n)

        def use():
            folds = list(make(rng).split(X, y, groups))
            if not folds or any(len(set(train) & set(test)) for train, test in folds):
                raise BadResultError("no folds, or folds that share rows")
            return folds

        return use

    return draw


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


def test_of_scores(rng):
    n = pick(rng, 0, 1, 2, 5, 12)
    x = any_type(rng, any_samples(rng, (n,)))
    p = np.clip(rng.random(n), 0, 1) if rng.random() < 0.5 else x
    function, arguments = pick(
        rng,
        (statistics.bootstrap_interval, (x,)),
        (statistics.wilcoxon_test, (x,)),
        (statistics.corrected_t_test, (x, pick(rng, 90, 10, *JUNK), pick(rng, 10, *JUNK))),
        (statistics.hedges_g, (x,)),
        (statistics.correct_p_values, (p, pick(rng, "holm", "bonferroni", "x"))),
    )
    return lambda: function(*arguments)


TARGETS = {
    **{make.__name__: transform(make, choices) for make, choices in TRANSFORMERS.items()},
    "ModalityAwareAttentionClassifier": network(ModalityAwareAttentionClassifier),
    "CrossModalAttentionClassifier": network(CrossModalAttentionClassifier),
    "PerSubject": per_subject,
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
    "correct_beats": series(correct_beats, are_times=True),
    "beat_agreement": lambda rng: partial_call(
        beat_agreement, any_series(rng, True)[:2], any_series(rng, True)[:2]
    ),
    "signal_statistics": statistics_of_windows,
    "Recording": recording(lambda one: repr(one)),
    "find_beats": recording(find_beats, signal=("ecg", "ppg"), name=("ecg", "x")),
    "decompose_eda": recording(decompose_eda, method=("highpass", "cvxeda"), name=("eda", "x")),
    "find_artefacts": recording(find_artefacts, min_quality=(0.5,), duration=(2.0,)),
    "segment": cut,
    "compare": evaluation,
    "check_split": leakage,
    "LeaveOneTrialOut": splitter(lambda rng: LeaveOneTrialOut()),
    "BlockedKFold": splitter(lambda rng: BlockedKFold(mostly(rng, (2, 3), (99, *JUNK)))),
    "fit_many": many,
    "precompute": leading_steps,
    "statistics": test_of_scores,
}


def partial_call(function, *arguments):
    def use():
        result = function(*arguments)
        check_numbers(result)
        return result

    return use


# Outcomes


@contextmanager
def time_limit(seconds):
    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(name, seed):
    """Return what happened with an input, and the text of an error."""
    rng = np.random.default_rng([seed, *name.encode()])
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what only draws the input
            use = TARGETS[name](rng)
    except (ValueError, TypeError) as error:  # of a signal column that cannot be built
        return (CLEAR if is_deliberate(error) else "unclear error"), describe(error)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for known in (UserWarning, ConvergenceWarning):
            warnings.simplefilter("ignore", known)
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            with time_limit(SECONDS):
                use()
        except BadResultError as error:
            return "bad result", describe(error)
        except (ValueError, TypeError) as error:
            return (CLEAR if is_deliberate(error) else "unclear error"), describe(error)
        except Warning as error:
            return "NumPy warning", describe(error)
        except TimeoutError as error:
            return "too long", describe(error)
        except Exception as error:
            if type(error) is RuntimeError and str(error).startswith("Every fit failed"):
                return CLEAR, describe(error)
            return "other exception", describe(error)
    return RESULT, ""


def is_deliberate(error):
    """Whether skemo or scikit-learn raised it in a statement of theirs, and it says something."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = any(f"/{package}/" in frame.filename for package in ("skemo", "sklearn"))
    return ours and (frame.line or "").startswith("raise") and len(str(error)) > 15


def describe(error):
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/skemo/" in f.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside"
    return f"{type(error).__name__}: {str(error)[:200]} ({where})"


def run(n_inputs, names=tuple(TARGETS), first=0):
    """Outcomes by target, and what was wrong: (name, seed, outcome, text)."""
    table, wrong = collections.defaultdict(collections.Counter), []
    for name in names:
        for seed in range(first, first + -(-n_inputs // len(names))):
            result, text = outcome(name, seed)
            table[name][result] += 1
            if result in BAD:
                wrong.append((name, seed, result, text))
    return table, wrong


def to_page(table, wrong, seconds):
    columns = [RESULT, CLEAR, *BAD]
    total = collections.Counter()
    lines = [f"| {' | '.join(['target', *columns])} |", "|---" + "|--:" * len(columns) + "|"]
    for name, counts in table.items():
        total.update(counts)
        lines.append(f"| {name} | {' | '.join(str(counts[c]) for c in columns)} |")
    lines.append(f"| **all** | {' | '.join(f'**{total[c]}**' for c in columns)} |")
    cases = "\n".join(
        f"- `{name}`, seed {seed}: {result}: {text}" for name, seed, result, text in wrong
    )
    return f"""# Any input

{total.total():,} inputs, drawn from their numbers by `python benchmarks/fuzz.py`: ordinary and
strange windows (shape, type, container, content), rates, labels, groups and parameters. A *clear
error* is a ValueError or TypeError that skemo or scikit-learn raised on purpose; an *unclear* one
came from inside another package. A *bad result* is infinite or complex, or depends on the windows
beside it (to the bit; to 1e-5 for `QualityTransformer`, whose last bits do). Each input had
{SECONDS} s. Loaders of files, displays and the report are not among the targets.

{chr(10).join(lines)}

{cases or "Nothing was wrong."}

It took {seconds / 60:.0f} minutes, with skemo {skemo.__version__}, NumPy {np.__version__} and
pandas {pd.__version__}.
"""


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--only", choices=TARGETS, help="one target")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="one input of --only")
    parser.add_argument("--write", action="store_true", help="write the page")
    args = parser.parse_args(argv)
    if args.seed is not None:
        TARGETS[args.only](np.random.default_rng([args.seed, *args.only.encode()]))()
        return
    started = time.perf_counter()
    names = [args.only] if args.only else tuple(TARGETS)
    page = to_page(*run(args.inputs, names, args.first), time.perf_counter() - started)
    print(page)
    if args.write:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
