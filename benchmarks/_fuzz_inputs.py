"""What fuzz.py draws: samples, windows, labels, tables and recordings, ordinary or strange."""

import warnings

import numpy as np
import pandas as pd

from skemo import Recording, SignalArray, signal_frame

NAN, INF = float("nan"), float("inf")
JUNK = (None, NAN, INF, -INF, 0, -1, 1e300, "a", True, [], (), {}, 1j, b"x", object)


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


def any_series(rng, are_times=False):
    """RR intervals or beat times, some of them strange."""
    if rng.random() < 0.15:
        return np.asarray(any_array(rng, 2))
    shape = pick(rng, 2, 3), mostly(rng, (12, 60, 300), (0, 1, 2, 3))
    x = rng.normal(mostly(rng, (800, 700), (0.8, 1e9)), mostly(rng, (60,), (0, 400)), size=shape)
    x = (x / 1000).cumsum(axis=1) if are_times else x
    return any_type(rng, np.where(rng.random(shape) < pick(rng, 0, 0, 0.1, 1), NAN, x))


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


# Results


class BadResultError(Exception):
    """A result that breaks the documented rules."""


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


def partial_call(function, *arguments):
    def use():
        result = function(*arguments)
        check_numbers(result)
        return result

    return use
