"""Targets of fuzz.py: comparisons, splits, scores, labels, files, displays and reports.

Each target draws an input, and returns a function that uses it and gives the result.
"""

import contextlib
import inspect
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from _fuzz_inputs import (
    INF,
    JUNK,
    NAN,
    BadResultError,
    any_features,
    any_groups,
    any_labels,
    any_recording,
    any_samples,
    any_settings,
    any_type,
    mostly,
    partial_call,
    pick,
)

from skemo import (
    AttentionDisplay,
    BlockedKFold,
    ChannelImportanceDisplay,
    ConfusionDisplay,
    LeaveOneTrialOut,
    PredictionsDisplay,
    QualityDisplay,
    Recording,
    RecordingDisplay,
    RepresentationDisplay,
    ResidualsDisplay,
    SubjectScoresDisplay,
    check_split,
    compare,
    correct_baseline,
    datasets,
    feature_definitions,
    io,
    leakage_gap,
    make_lda,
    make_ridge,
    make_svm,
    write_bids_features,
    write_report,
)
from skemo.datasets import make_emotion_recordings
from skemo.evaluation import statistics
from skemo.evaluation.calibration import (
    calibration_bins,
    expected_calibration_error,
    log_losses,
    score_calibration,
)
from skemo.io import correct_clock, merge_recordings, read_csv
from skemo.signals import labels


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


# Comparisons, their tables and reports


def any_names(rng, n, strange=0.5):
    """`n` names of models, subjects or classes, some of them hard to write."""
    usual = [f"{pick(rng, 'a', 'b', 'x')}{i}" for i in range(n)]
    if rng.random() >= strange:
        return pick(rng, usual, usual, list(range(n)))
    hard = ("<b>", "=1+1", "[x", "a\nb", "\ud800", "ä", "$x$", "$", "_^{", "100%", "\\b", "", " ")
    hard += ("|", "\t", "x" * 300, "\u202e", "心", "&amp;", "-", "@x", "{0}", "%s", "/", "..")
    hard = (*hard, 1, 2.5, None, NAN, (1, 2), True, np.str_("s"), np.int64(3), b"x")
    return [pick(rng, *hard) if rng.random() < 0.3 else name for name in usual]


def any_comparison(rng):
    """Return a function that compares models, with names of any kind."""
    n_subjects, n_classes = pick(rng, 2, 3, 5), pick(rng, 2, 2, 3)
    n = n_subjects * n_classes * 4
    subjects, classes = any_names(rng, n_subjects), any_names(rng, n_classes)
    y, groups = np.empty(n, object), np.empty(n, object)
    y[:] = [classes[i % n_classes] for i in range(n)]
    groups[:] = [subjects[i % n_subjects] for i in range(n)]
    kind = pick(rng, None, None, "str", "category")
    X = rng.normal(size=(n, 2))
    names = any_names(rng, pick(rng, 1, 2, 3))
    models = {name: pick(rng, make_lda, make_svm)("passthrough") for name in names}
    settings = any_settings(rng, {
        "protocol": ("group-k-fold", "segment-k-fold", "leave-one-subject-out"),
        "n_splits": (2, 3), "n_repeats": (1, 2), "on_error": ("record",), "random_state": (0,),
        "controls": ("majority", "permuted", ["majority", "permuted"]),
    })  # fmt: skip

    def compared():
        labels, owners = (pd.Series(x, dtype=object) for x in (y, groups))  # holds any text
        if kind == "str":
            with contextlib.suppress(UnicodeEncodeError):  # pandas 3 holds no lone surrogates
                labels, owners = labels.astype(str), owners.astype(str)
        elif kind == "category":
            owners = owners.astype("category")
        return compare(models, X, labels, owners, **settings)

    return compared


def tables(rng):
    compared = any_comparison(rng)
    form = mostly(rng, (None, "text", "markdown", "latex"), JUNK)
    settings = any_settings(rng, {
        "metric": ("balanced_accuracy", "f1", "x"), "test": ("wilcoxon", "corrected-t", "x"),
        "correction": ("fdr", None, "x"), "confidence": (0.9, 0.5, 2), "random_state": (0, 1),
    })  # fmt: skip

    def use():
        comparison = compared()
        if not isinstance(comparison.table(form), str | pd.DataFrame):
            raise BadResultError("a table of another type")
        comparison.notes(), repr(comparison), comparison._repr_html_()
        return comparison.test(**settings)

    return use


def report(rng):
    compared = any_comparison(rng)
    title, n_comparisons = mostly(rng, (None, *any_names(rng, 1)), JUNK), pick(rng, 1, 1, 2)
    name, as_text = (
        mostly(rng, ("report.html",), ("", "no/folder/r.html", "\ud800.html")),
        rng.random(),
    )

    def use():
        comparison = compared()
        given = {"one": comparison, "<i>": comparison} if n_comparisons == 2 else comparison
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            text = write_report(
                given, str(path) if as_text < 0.5 else path, title=title
            ).read_bytes()
        page = text.decode("utf-8")
        if "<b>" in page.partition("<body>")[2] or "\n=1+1" in page:
            raise BadResultError("a name that is not escaped")
        return page

    return use


def gap(rng):
    n = mostly(rng, (24, 36), (0, 1, 2))
    X, y = rng.normal(size=(n, 3)), any_labels(rng, n)
    groups = mostly(rng, [np.arange(n) // 4 % 3, any_groups(rng, n)], [None, "subject", []])
    models = mostly(rng, [{"m": make_lda("passthrough")}], [{}, None, {"m": 3}])
    settings = any_settings(
        rng, {"n_splits": (2, 3, 99), "n_repeats": (1, 2), "random_state": (0,)}
    )
    return lambda: leakage_gap(models, X, y, groups, **settings)


# Calibration


def any_probabilities(rng, n, n_classes):
    p = rng.dirichlet(np.ones(n_classes), n) if n else np.zeros((0, n_classes))
    if rng.random() < 0.3:
        p = p.astype(np.float32)
    if n and rng.random() < 0.2:
        p[rng.integers(n)] = pick(rng, NAN, INF, 2.0, -0.5, 0.0)
    return mostly(rng, (p, p, p.tolist()), (p[:, :1], p[:, 0], p[:-1], "a", None, p > 0.5, p + 0j))


def calibration_of(function, **choices):
    def draw(rng):
        n, n_classes = mostly(rng, (8, 20, 100), (0, 1)), pick(rng, 2, 2, 3)
        classes = any_names(rng, n_classes, 0.2)
        y = [classes[i] for i in rng.integers(n_classes, size=n)]
        y = mostly(rng, (y, np.array(y, object)), (np.arange(n), None, y[:-1], [[1]] * n, "abc"))
        p, settings = any_probabilities(rng, n, n_classes), any_settings(rng, choices)
        classes = mostly(rng, (classes,), (classes[:1], classes[:1] * n_classes, None, "ab", []))
        return partial_call(lambda: function(y, p, classes, **settings))

    return draw


def calibration_scores(rng):
    compared, n_bins = any_comparison(rng), mostly(rng, (10, 3), (0, -1, 2.5, "a", 10**9))
    change = pick(rng, "nothing", "nothing", "drop", "empty", "text", "not a table")

    def use():
        table = compared().predictions
        table = {
            "drop": lambda: table.drop(columns=table.columns[0]),
            "empty": lambda: table.iloc[:0],
            "text": lambda: table.astype(str),
            "not a table": lambda: table.to_numpy(),
        }.get(change, lambda: table)()
        return score_calibration(table, n_bins)

    return use


# Labels, baselines and files


def any_events(rng):
    n = pick(rng, 0, 1, 3, 6)
    times = np.sort(rng.uniform(0, 60, n)).tolist()
    times = mostly(rng, (times,), (times[::-1], [NAN] * n, ["a"] * n, [INF] * n, [None] * n))
    return times, any_names(rng, n, 0.2)


def events(rng):
    times, names = any_events(rng)
    pairs = mostly(rng, (list(zip(times, names, strict=True)),), (times, names, None, "ab", [()]))
    settings = any_settings(rng, {
        "duration": (5.0, 60.0), "stop": (60.0, "end", 1.0), "onset_shift": (0.5, -2.0),
        "names": ({}, {"a0": "calm"}, {1: 2}), "baseline": (2.0, 100.0),
    })  # fmt: skip
    settings.setdefault("duration", 5.0)
    return lambda: labels.from_events(pairs, **settings)


def any_trials(rng):
    times, names = any_events(rng)
    n = len(times)
    columns = {"start": times, "stop": [t + 5 if isinstance(t, float) else t for t in times]}
    columns |= {"label": names, "subject": ["s"] * n, "valence": rng.normal(size=n)}
    table = pd.DataFrame(columns)
    if rng.random() < 0.15:
        table = table.drop(columns=pick(rng, *table))
    if rng.random() < 0.15:
        table = table.astype(str)
    return mostly(rng, (table,), JUNK, 0.04)


def trials(function, names):
    def draw(rng):
        table = any_trials(rng)
        settings = any_settings(rng, {
            "subject": ("s", None, "x"), "duration": (5.0, None), "onset_shift": (0.5,),
            "stop": ("stop", None), "sampling_rate": (1.0, 4.0), "start_time": (None, 0.0),
        })  # fmt: skip
        known = inspect.signature(function).parameters
        settings = {name: value for name, value in settings.items() if name in known}
        column = mostly(rng, (names,), ("x", *JUNK))
        return lambda: function(table, column, **settings)

    return draw


def label_series(rng):
    times, names = any_events(rng)
    stop = mostly(rng, (60.0, 100.0), JUNK)
    values = mostly(rng, (names, iter(names)), (names[:-1], None, "abc", 3))
    return lambda: labels.from_series(times, values, stop=stop)


def baseline(rng):
    n = mostly(rng, (12, 24), (0, 1))
    features = any_features(rng, n)
    windows = any_groups(rng, n)
    if isinstance(windows, pd.DataFrame):
        windows["label"] = np.where(np.arange(n) % 4 == 0, "baseline", "stress")
        windows = windows.drop(columns=pick(rng, *windows)) if rng.random() < 0.1 else windows
    settings = any_settings(
        rng, {"method": ("divide", "subtract", "x"), "label": ("baseline", "x")}
    )
    return partial_call(lambda: correct_baseline(features, windows, **settings))


def any_table_text(rng):
    """The text of a table of samples, as programs export them, or nearly."""
    separator, n = pick(rng, ",", ",", ";", "\t", " "), pick(rng, 0, 1, 5, 200)
    names = mostly(rng, (["time", "ecg", "eda"],), (any_names(rng, 3), ["ecg"] * 3, []))
    lines = [separator.join(str(name).replace("\ud800", "?") for name in names)]
    step = mostly(rng, (0.01, 0.004), (0, -1, NAN, 1e-12, 1e9))
    for i in range(n):
        cells = [repr(round(i * step, 6)), *(f"{x:.4g}" for x in rng.normal(size=2))]
        if rng.random() < 0.01:
            cells[rng.integers(3)] = pick(rng, "", "nan", "inf", "x", "1e400", "1,5", '"')
        lines.append(separator.join(cells))
    return pick(rng, "\n", "\n", "\r\n").join(lines) + pick(rng, "\n", "")


def text_table(rng):
    text, name = any_table_text(rng), pick(rng, "a.csv", "a.csv", "a.txt", "a.tsv")
    content = text.encode(pick(rng, "utf-8", "utf-8", "utf-16", "latin-1"), "replace")
    settings = any_settings(rng, {
        "signals": (["ecg"], {"ecg": "ecg"}, {"x": ["ecg", "eda"]}, ["x"]),
        "time": ("time", "ecg", None), "time_unit": ("ms", "s", "x"), "label": ("eda",),
        "sampling_rate": (100.0, {"ecg": 100.0}, {"x": 1}), "units": ({"ecg": "mV"},),
        "max_gap": (0.1, 10.0), "separator": (";", ",", ""), "decimal": (",", "."),
        "skip_rows": (1, 10**6), "encoding": ("utf-8", "x", "utf-16"), "markers": ("eda",),
    })  # fmt: skip

    def use():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            return read_csv(path, **settings)

    return use


def any_file(rng):
    """A file of any format, by its first bytes and its name, with a content of any kind."""
    starts = {
        "a.edf": b"0       " + b" " * 160 + b"01.01.2001.01.01256     ", "a.bdf": b"\xffBIOSEMI",
        "a.xdf": b"XDF:", "a.acq": b"\0\0\x54\0\0\0", "a.hea": b"a 1 100 10\na.dat 16 200\n",
        "a.txt": b"# OpenSignals Text File Format\n# {}\n# EndOfHeader\n",
        "a.zip": b"PK\x03\x04", "a.csv": b"1500000000.0\n4.0\n0.5\n", "a.dat": b"\0" * 20,
        "a.avro": b"Obj\x01", "a": b"", "a.mat": b"MATLAB 5.0 MAT-file",
    }  # fmt: skip
    name = pick(rng, *starts)
    rest = pick(rng, b"", rng.bytes(200), any_table_text(rng).encode(), b"0" * 5000)
    content = starts[name] + rest
    kind = mostly(rng, ("file",), ("folder", "missing", "not a path"))
    function = pick(rng, *READERS)

    def use():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            if kind == "file":
                path.write_bytes(content)
            given = {"folder": folder, "not a path": pick(rng, *JUNK)}.get(kind, path)
            return READERS[function](given)

    return use


def clocks(rng):
    build = any_recording(rng)
    times = mostly(rng, ([0, 10.0], [0, 5, 9.0]), ([0], [3, 1], [NAN, 1], "ab", None, [0, 0.0]))
    others = mostly(rng, ([0.5, 10.6], [0, 5.1, 9.2]), ([0], [3, 1], [INF, 1], None, [0, 1e9]))
    return lambda: correct_clock(build(), times, others)


def merged(rng):
    build, other = any_recording(rng), any_recording(rng)
    given = pick(rng, "two", "two", "one", "none", "junk")

    def use():
        one = build()
        recordings = {"two": [one, other()], "one": [one], "none": [], "junk": [one, 3]}[given]
        return merge_recordings(recordings)

    return use


def loader(function, **choices):
    """A loader of a data set on a folder without one."""

    def draw(rng):
        common = {"subjects": (["01"], "01", []), "modalities": (["ecg"], "eda", [])}
        common |= {"on_error": ("skip", "x"), "n_jobs": (1,), "lazy": (True, False)}
        known = inspect.signature(function).parameters
        common = {name: values for name, values in common.items() if name in known}
        settings = any_settings(rng, {**common, **choices})
        where = mostly(rng, ("empty",), ("missing", None, 0, 1e300, "", b"x", object))

        def use():
            with tempfile.TemporaryDirectory() as folder:
                given = {"empty": folder, "missing": f"{folder}/x"}.get(where, where)
                return list(function(given, **settings))

        return use

    return draw


def simulated(rng):
    settings = any_settings(rng, {
        "n_subjects": (1, 2), "n_trials": (1, 2), "duration": (10.0, 20.0, 0.1),
        "effect_size": (0.0,),
        "modalities": (["ecg"], ["eda", "eeg"], ["x"]), "channels": (["F3"], [], "F3"),
        "sampling_rates": ({"ecg": 128}, {"x": 1}, {"eda": -1}), "random_state": (0,),
    })  # fmt: skip
    settings = {"n_subjects": 1, "n_trials": 2, "duration": 10.0, **settings}
    return lambda: make_emotion_recordings(**settings)


def frame_of_samples(rng):
    n = pick(rng, 0, 1, 5, 200)
    times = np.arange(n) / 50.0
    times = mostly(rng, (times, times + 1.5e9), (times[::-1], np.full(n, NAN), times * 0))
    if rng.random() < 0.2:
        times = pd.to_datetime(times, unit="s")
    table = pd.DataFrame({"time": times, "ecg": rng.normal(size=n), "eda": rng.normal(size=n)})
    table["marker"] = "x"
    settings = any_settings(rng, {
        "signals": (["ecg"], {"x": ["ecg", "eda"]}, ["x"]), "time": ("time", "x", None),
        "time_unit": ("ms", "s", "x"), "sampling_rate": (50.0, {"ecg": 50}), "label": ("marker",),
        "max_gap": (0.1,), "units": ({"ecg": "mV"},), "markers": ("marker",),
    })  # fmt: skip
    table = mostly(rng, (table,), JUNK, 0.04)
    return lambda: Recording.from_frame(table, **{"subject": "a", "time": "time", **settings})


# Features for papers and other programs


def definitions(rng):
    names = mostly(rng, (any_names(rng, 3), ["HRV_RMSSD", "alpha_Fz", "ECG_x"], None), JUNK, 0.3)
    return lambda: feature_definitions(names)


def bids_features(rng):
    n = mostly(rng, (4, 12), (0, 1))
    features, windows = any_features(rng, n), any_groups(rng, n)
    if isinstance(windows, pd.DataFrame) and rng.random() < 0.5:
        windows["label"] = any_labels(rng, n, 0)
        owners = any_names(rng, 2, 0.3)
        windows["subject"] = [owners[i % 2] for i in range(n)]
    if rng.random() < 0.1:
        features.index = features.index + 1
    features.columns = mostly(rng, (list("abc"), ["HRV_RMSSD", "b", "c"]), (any_names(rng, 3),))
    settings = any_settings(rng, {
        "duration": (10.0, None), "name": ("Features", *any_names(rng, 1)),
        "definitions": ({"a": {"Description": "Age"}}, {"a": "x"}, {"a": {1: set}}),
    })  # fmt: skip

    def use():
        with tempfile.TemporaryDirectory() as folder:
            return [
                pd.read_csv(path, sep="\t")
                for path in write_bids_features(folder, features, windows, **settings)
            ]

    return use


# Displays


def numbers_predicted(rng):
    n = mostly(rng, (12, 40), (0, 1))
    y = mostly(rng, (rng.normal(size=n),), (any_samples(rng, (n,)), None, "abc", [None] * n))
    other = mostly(rng, (rng.normal(size=n), any_samples(rng, (n,))), (np.zeros(n + 1), None))
    other = mostly(rng, (other, dict.fromkeys(any_names(rng, 2), other)), ({}, "a", y))
    subjects = any_names(rng, 3)
    owners = mostly(rng, ([subjects[i % 3] for i in range(n)],), (None, "a", np.arange(n + 1)))
    return lambda: PredictionsDisplay.from_predictions(y, other, subjects=owners)


def residuals(rng):
    n = 24
    y, X = rng.normal(size=n) * pick(rng, 1, 1e-300, 1e100), rng.normal(size=(n, 2))
    models = {name: make_ridge("passthrough", task="regression") for name in any_names(rng, 2)}
    subjects = any_names(rng, 3)
    owners = [subjects[i % 3] for i in range(n)]
    settings = any_settings(rng, {
        "times": (np.arange(n) * 10.0, np.zeros(n), np.full(n, NAN), "a", [1], ["x"] * n),
        "models": (*models, list(models), [], "nobody"),
    })  # fmt: skip
    return lambda: ResidualsDisplay.from_comparison(compare(models, X, y, owners), **settings)


def display(draw_input):
    """A target whose input is a function that gives a display, which is laid out."""

    def draw(rng):
        make = draw_input(rng)

        def use():
            import matplotlib.pyplot as plt

            try:
                make()
                for number in plt.get_fignums():
                    plt.figure(number).draw_without_rendering()
            finally:
                plt.close("all")

        return use

    return draw


def predicted(make):
    def draw(rng):
        n, n_classes = mostly(rng, (12, 40), (0, 1)), pick(rng, 2, 3)
        classes = any_names(rng, n_classes)
        y, other = ([classes[i] for i in rng.integers(n_classes, size=n)] for _ in range(2))
        y = mostly(rng, (y,), (y[:-1], None, np.arange(n) / 7, "abc"))
        other = mostly(rng, (other, dict.fromkeys(any_names(rng, 2), other)), ({}, None, "a"))
        subjects = any_names(rng, 3)
        owners = mostly(rng, ([subjects[i % 3] for i in range(n)],), (None, "a", np.arange(n + 1)))
        return lambda: make(y, other, subjects=owners)

    return draw


def attention(rng):
    n = mostly(rng, (12,), (0, 1))
    weights = any_probabilities(rng, n, 2)
    if np.shape(weights) == (n, 2):
        weights = pd.DataFrame(weights, columns=any_names(rng, 2, 0.3))
    y = mostly(rng, (None, any_names(rng, 2) * (n // 2)), ("a", np.arange(n + 1)))
    subjects = mostly(rng, (None, any_names(rng, 3) * (n // 3)), ("a", np.arange(n + 1)))
    return lambda: AttentionDisplay.from_predictions(weights, y, subjects=subjects)


def representation(rng):
    n = mostly(rng, (20, 40), (0, 1, 2, 3))
    spaces = {name: any_samples(rng, (n, pick(rng, 1, 2, 5))) for name in any_names(rng, 2)}
    settings = any_settings(rng, {
        "subjects": (np.arange(n) // 5,), "method": ("pca", "x"), "mark_subjects": (True,),
        "random_state": (0,),
    })  # fmt: skip
    y = any_labels(rng, n)
    spaces = mostly(rng, (spaces,), ({}, None, [1], {"a": "b"}))
    return lambda: RepresentationDisplay.from_representations(spaces, y, **settings)


def importance(rng):
    n_bands = mostly(rng, (1, 2), (0,))
    channels = mostly(
        rng, (["Fz", "Oz", "C3"], ["T3", "P7"]), (any_names(rng, 2), [], ["Fz", "Fz"])
    )
    values = any_samples(rng, (n_bands, len(channels)))
    table = pd.DataFrame(values, columns=channels, index=any_names(rng, n_bands, 0.2))
    settings = any_settings(rng, {
        "positions": (None, {"Fz": (0, 0.5), "Oz": (0, -0.5)}, {"Fz": 3}), "label": ("x",),
    })  # fmt: skip
    table = mostly(rng, (table,), JUNK, 0.05)
    return lambda: ChannelImportanceDisplay.from_importances(table, **settings)


def shown(make, **choices):
    def draw(rng):
        build, settings = any_recording(rng), any_settings(rng, choices)
        return lambda: make(build(), **settings)

    return draw


READERS = {
    function.__name__: function
    for function in (
        io.read, io.read_biopac, io.read_csv, io.read_e4_tags, io.read_edf, io.read_embraceplus,
        io.read_empatica_e4, io.read_opensignals, io.read_polar, io.read_shimmer, io.read_wfdb,
        io.read_xdf,
    )
}  # fmt: skip
TARGETS = {
    "compare": evaluation,
    "tables of compare": tables,
    "write_report": report,
    "leakage_gap": gap,
    "check_split": leakage,
    "LeaveOneTrialOut": splitter(lambda rng: LeaveOneTrialOut()),
    "BlockedKFold": splitter(lambda rng: BlockedKFold(mostly(rng, (2, 3), (99, *JUNK)))),
    "statistics": test_of_scores,
    "calibration_bins": calibration_of(calibration_bins, n_bins=(3, 10, 0, -1, 2.5)),
    "expected_calibration_error": calibration_of(expected_calibration_error, n_bins=(3, 0)),
    "log_losses": calibration_of(log_losses),
    "score_calibration": calibration_scores,
    "labels.from_events": events,
    "labels.from_table": trials(labels.from_table, "label"),
    "labels.targets_from_table": trials(labels.targets_from_table, ["valence"]),
    "labels.from_series": label_series,
    "correct_baseline": baseline,
    "Recording.from_frame": frame_of_samples,
    "read_csv": text_table,
    "readers of files": any_file,
    "correct_clock": clocks,
    "merge_recordings": merged,
    "feature_definitions": definitions,
    "write_bids_features": bids_features,
    "load_amigos": loader(datasets.load_amigos, target=("valence", "x"), videos=("all", "x")),
    "load_bids": loader(
        datasets.load_bids, label=("x",), tasks=(["rest"], "rest"), eeg=(False,), names=({"a": 1},)
    ),
    "load_case": loader(datasets.load_case),
    "load_deap": loader(datasets.load_deap, target=("valence", "x"), threshold=(5, NAN, "a")),
    "load_dreamer": loader(datasets.load_dreamer, target=("valence", "x")),
    "load_seed": loader(datasets.load_seed, classes=(["negative"], "x"), sessions=([1], [9], 1)),
    "load_wesad": loader(datasets.load_wesad, device=("wrist", "x"), classes=(["stress"], "x")),
    "fetch_eegmat": loader(partial(datasets.fetch_eegmat, download=False)),
    "fetch_stress_predict": loader(partial(datasets.fetch_stress_predict, download=False)),
    "make_emotion_recordings": simulated,
    "ConfusionDisplay": display(predicted(ConfusionDisplay.from_predictions)),
    "SubjectScoresDisplay": display(predicted(SubjectScoresDisplay.from_predictions)),
    "PredictionsDisplay": display(numbers_predicted),
    "ResidualsDisplay": display(residuals),
    "AttentionDisplay": display(attention),
    "RepresentationDisplay": display(representation),
    "ChannelImportanceDisplay": display(importance),
    "RecordingDisplay": display(
        shown(
            RecordingDisplay.from_recording, start=(0.0, 5.0), stop=(None, 9.0), modalities=("ecg",)
        )
    ),
    "QualityDisplay": display(
        shown(QualityDisplay.from_recording, min_quality=(None, 0.5), duration=(2.0,), step=(1.0,))
    ),
}
