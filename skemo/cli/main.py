"""The command line: ``python -m skemo compare`` and ``python -m skemo live``."""

import argparse
import dataclasses
import io
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import joblib
import numpy as np
import pandas as pd

from skemo._escape import to_csv
from skemo._files import make_folder, write_whole
from skemo.cli import live
from skemo.cli.experiments import (
    DATASETS,
    MODELS,
    NORMALIZATIONS,
    compute_inputs,
    decompose_conductance,
    make_models,
    modality_inputs,
    title_with_context,
    without_labels,
)
from skemo.evaluation.compare import compare
from skemo.evaluation.controls import GUESSES
from skemo.evaluation.leakage import format_findings
from skemo.evaluation.protocols import PROTOCOLS
from skemo.evaluation.scores import format_table, metric_decimals
from skemo.evaluation.statistics import bootstrap_interval, correct_p_values, wilcoxon_test
from skemo.features.corruption import KINDS, corrupt, describe_corruption
from skemo.report import find_outcomes, write_outcomes
from skemo.report.outcome import format_p
from skemo.signals.windows import segment, window_starts

_MOST_FOLDS = 40  # to list one by one


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None means those of the process.

    Returns
    -------
    int
        Exit code: 0, 2 if the results cannot be written, or 130 after an interrupt. Invalid
        arguments exit with 2.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape what cannot be encoded
            stream.reconfigure(errors="backslashreplace")
    argv = sys.argv[1:] if argv is None else argv
    args = _make_parser().parse_args(argv)
    parser = args.parser
    if args.command == "live":
        live.run(args, parser)
        return 0
    try:
        _compare(args, parser, argv)
    except KeyboardInterrupt:
        resume = "; run the same command again to continue" if args.output else ""
        print(f"Interrupted. The finished results are above{resume}.", file=sys.stderr)
        return 130
    except OSError as error:
        resume = " Then run the same command again to continue." if args.output else ""
        print(f"{parser.prog}: error: {error}.{resume}", file=sys.stderr)
        return 2
    return 0


class _CommandParser(argparse.ArgumentParser):
    """Reports errors of a command in one line, since its usage would fill the screen."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def _make_parser():
    parser = argparse.ArgumentParser(
        prog="skemo",
        description="Emotion, stress and workload recognition from physiological signals.",
    )
    parser.add_argument("--version", action="version", version=f"skemo {version('skemo')}")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_CommandParser)
    command = commands.add_parser(
        "compare",
        help="train and test the networks and the classical baselines on a data set",
        description="Train and test the networks and the classical baselines on a data set, and\n"
        "print their scores by subject: accuracy, sensitivity and specificity, precision,\n"
        "balanced accuracy and macro F1, or for ratings the errors and correlations.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            [
                *_describe("data sets", {k: _describe_data(v) for k, v in DATASETS.items()}),
                *_describe("models", {k: _describe_model(v) for k, v in MODELS.items()}),
                *_describe("protocols", {k: v.description for k, v in PROTOCOLS.items()}),
                *_describe("normalizations", NORMALIZATIONS),
            ]
        ),
    )
    add = command.add_argument
    add("--dataset", choices=DATASETS, default="simulated", help="default: simulated")
    add("--data-home", metavar="DIR", help="folder of the recordings, downloaded if missing")
    add(
        "--on-error",
        choices=["raise", "skip"],
        default="raise",
        help="whether to leave out subjects that cannot be read, with a warning; default: raise",
    )
    add(
        "--target",
        metavar="T",
        help="what to predict, if a data set has several targets; with "
        "--task regression also several at once: valence,arousal",
    )
    add(
        "--task",
        choices=["classification", "regression"],
        default="classification",
        help="whether to predict classes or, for ratings, numbers; default: classification",
    )
    add(
        "--duration",
        type=_positive(float),
        metavar="S",
        help="length of a window in seconds; default: 10, for stress_predict 60",
    )
    add(
        "--step",
        type=_positive(float),
        metavar="S",
        help="seconds between the starts of windows; default: the length of a window",
    )
    add(
        "--training-step",
        type=_positive(float),
        metavar="S",
        help="also train on windows that start every S seconds and overlap the tested ones",
    )
    add(
        "--protocol",
        action="append",
        choices=[*PROTOCOLS, "all"],
        help="can be given several times; default: leave-one-subject-out",
    )
    add(
        "--n-splits",
        type=_positive(int),
        metavar="K",
        help="folds of the k-fold protocols; default: 10, or the number of subjects if fewer",
    )
    add("--normalization", choices=[*NORMALIZATIONS, "both"], default="raw", help="default: raw")
    add(
        "--context",
        type=_positive(float),
        metavar="S",
        help="also show every model with its inputs averaged over the windows of the same trial "
        "within S seconds (transductive); waveforms cannot be averaged",
    )
    add(
        "--models",
        type=_model_names,
        metavar="A,B",
        help=f"any of {','.join(MODELS)}; default: all for the task, except "
        f"{', '.join(name for name, model in MODELS.items() if model.on_request)}",
    )
    add(
        "--gap",
        type=_at_least_zero,
        default=0.0,
        metavar="S",
        help="seconds between training and test windows of blocked-k-fold; default: 0",
    )
    add("--seeds", type=_positive(int), default=1, metavar="N", help="repeats; default: 1")
    add(
        "--controls",
        action="append",
        choices=["permuted"],
        default=[],
        help="also compare each model with itself on labels permuted within each subject",
    )
    add(
        "--corrupt",
        type=_fault,
        metavar="KIND:P",
        help="put faults into the windows, each modality with probability P: "
        f"{', '.join(KINDS)}; motion:P:DB and noise:P:DB with a signal-to-noise ratio in decibels",
    )
    add(
        "--reliability",
        action="store_true",
        help="with --corrupt: tell the models which windows were corrupted",
    )
    add(
        "--max-epochs",
        type=_positive(int),
        metavar="N",
        help="epochs of the networks; default: 30, for cross-modal and late-fusion 10",
    )
    add("--n-jobs", type=int, default=joblib.cpu_count(), metavar="N", help="default: all cores")
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="write report.html, table.md, scores.csv and predictions.csv to this folder, and keep "
        "every finished fit there, so that the same command continues after an interruption",
    )
    command.set_defaults(parser=command)
    command = commands.add_parser(
        "live",
        help="apply a saved model to a device or a recording",
        description="Classify each window of a device's streams, or of a recording, as soon as it "
        "is complete, and show probabilities and signal quality. Ctrl-C ends it.",
    )
    live.add_arguments(command)
    command.set_defaults(parser=command)
    return parser


def _describe(title, lines):
    return [f"\n{title}:", *(f"  {name:<22} {line}" for name, line in lines.items())]


def _describe_data(dataset):
    targets = f"; targets {', '.join(dataset.targets)}" if dataset.targets else ""
    ratings = ", ".join(dataset.numbers)
    ratings = f"; ratings (--task regression): {ratings}" if dataset.numbers else ""
    return dataset.description + targets + ratings


def _describe_model(model):
    tasks = "" if "classification" in model.tasks else ", for regression"
    return f"{model.title}{', for each modality' * model.each_modality}{tasks}"


def _positive(kind):
    def convert(text):
        number = kind(text)
        if not 0 < number < np.inf:
            raise argparse.ArgumentTypeError(f"{text} is not a positive number")
        return number

    convert.__name__ = kind.__name__
    return convert


def _at_least_zero(text):
    number = float(text)
    if not 0 <= number < np.inf:
        raise argparse.ArgumentTypeError(f"{text} is not zero or a positive number")
    return number


def _fault(text):
    """Read a fault as the arguments of `corrupt`."""
    kind, *parts = text.split(":")
    try:
        numbers = dict(zip(("probability", "snr"), map(float, parts), strict=False))
    except ValueError:
        numbers = {}
    is_complete = kind in KINDS and 1 <= len(parts) <= 1 + (kind in ("motion", "noise"))
    if not is_complete or not 0 <= numbers.get("probability", -1) <= 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a fault and its probability from 0 to 1, such as stale:0.35 or "
            f"noise:0.5:-5; the faults are {', '.join(KINDS)}"
        )
    return {"kind": kind, **numbers}


def _model_names(text):
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown {', '.join(map(repr, unknown))}; choose from {', '.join(MODELS)}"
        )
    return list(dict.fromkeys(names))


def _compare(args, parser, argv):
    chosen = args.protocol or ["leave-one-subject-out"]
    protocols = [name for name in PROTOCOLS if name in chosen or "all" in chosen]
    both = args.normalization == "both"
    normalizations = list(NORMALIZATIONS) if both else [args.normalization]
    if args.n_jobs == 0:
        parser.error("argument --n-jobs: must not be 0")
    if args.n_splits == 1:
        parser.error("argument --n-splits: must be at least 2")
    if args.gap and "blocked-k-fold" not in protocols:
        parser.error("argument --gap: only for blocked-k-fold, choose it with --protocol")
    if args.reliability and args.corrupt is None:
        parser.error("argument --reliability: only with --corrupt")
    dataset = DATASETS[args.dataset]
    targets = _targets(args, dataset, parser)
    _choose_models(args, parser)
    duration = args.duration or dataset.duration
    if args.output is not None:
        try:
            make_folder(args.output)
            write_whole(args.output / ".writable", "")  # fails now rather than after hours
            (args.output / ".writable").unlink()
        except OSError as error:
            parser.error(f"argument --output: {error}")
    try:
        windows, tested = _cut(args, dataset, targets, duration)
        if args.corrupt is not None:
            windows = corrupt(windows, **args.corrupt, random_state=0, reliability=args.reliability)
        keys = ["subject"] if args.context is None else ["subject", "trial", "start"]
        inputs, columns = compute_inputs(windows, modality_inputs(), keys)
    except (OSError, ValueError) as error:
        parser.error(f"{args.dataset}: {error}")
    n_splits = args.n_splits or max(2, min(10, windows["subject"].nunique()))

    for name in ("report.html", "table.md", "scores.csv", "predictions.csv"):
        if args.output is not None:  # it may be from another run
            (args.output / name).unlink(missing_ok=True)
    title = ", ".join([args.dataset, *targets])
    if args.corrupt is not None:
        title += ", corrupted ({kind} {probability:g})".format(**args.corrupt)
    y = windows[targets] if args.task == "regression" else windows["label"].to_numpy()
    text = _Text(args.output)
    shown = slice(None) if tested is None else tested
    text.add(
        _describe_run(
            args, title, windows[shown], y[shown], list(columns["raw"]), protocols, n_splits
        )
    )
    comparisons, outcomes = {}, {}
    for normalization in normalizations:
        models = make_models(
            args.models,
            columns,
            normalization,
            task=args.task,
            max_epochs=args.max_epochs,
            context=args.context,
        )
        for protocol in protocols:
            try:
                comparison = compare(
                    models,
                    inputs,
                    y,
                    windows,
                    protocol=protocol,
                    n_splits=n_splits,
                    n_jobs=args.n_jobs,
                    progress=True,
                    gap=args.gap if protocol == "blocked-k-fold" else 0.0,
                    tested=tested,
                    n_repeats=args.seeds,
                    controls=args.controls,
                    output=args.output,
                )
            except (ValueError, RuntimeError) as error:
                if len(protocols) == 1:
                    parser.error(str(error))
                text.add(f"## {protocol}, {normalization}\n\nNot possible: {error}\n")
                continue
            code = shlex.join(["python", "-m", "skemo", *argv])
            details = {**comparison.details, "normalization": normalization, "code": code}
            comparison = dataclasses.replace(comparison, details=details)
            comparisons[protocol, normalization] = comparison
            found = find_outcomes({f"{protocol}, {normalization}": comparison})
            outcomes |= found
            text.add(_describe_result(comparison, normalization, found.values()))
            for one in comparison.by_target().values():
                print(_describe_folds(one), flush=True)
            if args.output is not None:
                write_outcomes(outcomes, args.output / "report.html", f"skemo compare: {title}")
                _write(args.output, comparisons, args.dataset)
    if not comparisons:
        parser.error("none of the protocols is possible with these windows")
    if both:
        for protocol in protocols:
            text.add(_describe_normalizations(protocol, comparisons))
    if args.context is not None:
        for names, comparison in comparisons.items():
            text.add(_describe_context(names, comparison, args.context))
    for normalization in normalizations:
        text.add(_describe_gap(normalization, comparisons))
    if args.output is not None:
        print(f"Report: {args.output / 'report.html'}")


def _targets(args, dataset, parser):
    """The names of the targets; empty if there is no choice."""
    of_task = dataset.targets if args.task == "classification" else dataset.numbers
    if args.task == "regression" and not of_task:
        parser.error(f"argument --task: {args.dataset} has no numbers to predict")
    chosen = [args.target] if args.target and args.task == "classification" else list(of_task[:1])
    if args.target and args.task == "regression":
        chosen = list(dict.fromkeys(name.strip() for name in args.target.split(",")))
    for target in chosen:
        if target not in of_task:
            known = ", ".join(of_task) or "none to choose from"
            parser.error(f"argument --target: {target!r}, but {args.dataset} has {known}")
    return chosen


def _choose_models(args, parser):
    """Set the models to those of the task, unless they were chosen."""
    if args.models is None:
        args.models = [
            name
            for name, model in MODELS.items()
            if args.task in model.tasks and not model.on_request
        ]
    others = [name for name in args.models if args.task not in MODELS[name].tasks]
    if others:
        parser.error(f"argument --models: {', '.join(others)} cannot be used for {args.task}")


def _cut(args, dataset, targets, duration):
    """The windows of a data set; for numbers, all that have one of the targets.

    With windows for training only, return also which are tested, else None.
    """
    labels = next((name for name in targets if name in dataset.targets), None)
    if labels is None and dataset.targets:  # the loader needs one
        labels = dataset.targets[0]
    recordings = decompose_conductance(dataset.load(args.data_home, labels, args.on_error))
    step, whole = args.step, set()
    if args.training_step is not None:
        _check_training_step(args, duration)
        recordings = _noting_starts(recordings, duration, args.step or duration, whole)
        step = args.training_step
    if args.task == "classification":
        windows = segment(recordings, duration=duration, step=step, purity=dataset.purity)
    else:
        windows = segment(without_labels(recordings), duration=duration, step=step)
        windows = windows.dropna(subset=targets, how="all").reset_index(drop=True)
    if args.training_step is None:
        return windows, None
    keys = zip(windows["subject"], windows["trial"], windows["start"], strict=True)
    return windows, np.array([key in whole for key in keys])


def _check_training_step(args, duration):
    n_steps = (args.step or duration) / args.training_step
    if round(n_steps) < 2 or abs(n_steps - round(n_steps)) > 1e-9:
        raise ValueError(
            f"--training-step {args.training_step:g} must divide the "
            f"{args.step or duration:g} s between tested windows into two or more equal parts."
        )


def _noting_starts(recordings, duration, step, whole):
    """Yield the recordings, and add subject, trial and start of their windows to `whole`."""
    for recording in recordings:
        starts, _ = window_starts(recording, duration, step, "drop")
        whole.update((recording.subject, recording.trial, start) for start in starts)
        yield recording


class _Text:
    """Prints pieces of Markdown as they are added, and writes them to a folder if there is one."""

    def __init__(self, folder):
        self.folder = folder
        self.texts = []

    def add(self, text: str) -> None:
        if not text:
            return
        self.texts.append(text)
        if sys.stdout.isatty():
            from rich.console import Console
            from rich.markdown import Markdown

            Console().print(Markdown(text))
        else:
            print(text, flush=True)
        if self.folder is not None:
            write_whole(self.folder / "table.md", "\n".join(self.texts))


def _write(folder, comparisons, dataset):
    """Write the scores and the predictions of all comparisons."""
    for name in ("scores", "predictions"):
        tables = []
        for (protocol, normalization), comparison in comparisons.items():
            columns = {"dataset": dataset, "protocol": protocol, "normalization": normalization}
            table = getattr(comparison, name).assign(**columns)
            tables.append(table[[*columns, *getattr(comparison, name)]])
        path = folder / f"{name}.csv"
        write_whole(path, to_csv(pd.concat(tables)))


def _describe_run(args, title, windows, y, modalities, protocols, n_splits):
    signals = [
        f"{name} at {dtype.sampling_rate:g} Hz (channels: {dtype.shape[-2]})"
        for name, dtype in windows.dtypes.items()
        if name in modalities
    ]
    n_subjects = windows["subject"].nunique()
    seeds = "1 seed" if args.seeds == 1 else f"the mean of {args.seeds} seeds"
    folds = f"; k-fold with k = {n_splits}" if any("k-fold" in name for name in protocols) else ""
    cut = windows.attrs["segment"]
    tested_step = args.step or cut["duration"]
    step = f", one every {tested_step:g} s" if tested_step != cut["duration"] else ""
    if args.training_step is not None:
        step += f" (training: every {args.training_step:g} s)"
    told = "; every model is told which" if args.reliability else ""
    faults = describe_corruption(windows.attrs.get("corruption", []))
    corrupted = "".join(f"\n- corrupted on purpose: {fault}{told}" for fault in faults)
    return f"""\
# skemo compare: {title}

- data: {DATASETS[args.dataset].description}
- windows: {len(windows)} of {cut["duration"]:g} s{step}, from {n_subjects} subjects{corrupted}
{_describe_targets(args, y)}
- modalities: {", ".join(signals)}
- scores: mean ± standard deviation over subjects, {_SCORES[args.task].format(seeds + folds)}
"""


_SCORES = {
    "classification": """\
in per cent, {}.
  SEN & SPE is the mean of sensitivity and specificity, which for two classes is the balanced
  accuracy; PPR is precision. Each is averaged over the classes. Brier is the error of the
  probabilities (lower is better).""",
    "regression": """\
{}.
  RMSE and MAE are errors in the unit of the target (lower is better); CCC is the concordance
  correlation coefficient, which is 1 for perfect agreement and 0 for none.""",
}


def _describe_targets(args, y):
    if args.task == "classification":
        counts = pd.Series(y).value_counts().sort_index()
        return f"- classes: {', '.join(f'{label} {count}' for label, count in counts.items())}"
    return "\n".join(
        f"- {name}: {own.mean():.4g} ± {own.std():.4g}, from {own.min():.4g} to {own.max():.4g}, "
        f"in {own.count()} windows"
        for name, own in y.items()
    )


def _describe_result(comparison, normalization, outcomes):
    protocol = PROTOCOLS[comparison.protocol]
    warning = "**Optimistic.** " if protocol.optimistic else ""
    lines = [f"- {note}" for note in comparison.notes()]
    if not protocol.optimistic:
        lines += [f"- {line}" for line in format_findings(comparison.leakage).splitlines()]
    return f"""\
## {comparison.protocol}, {normalization}

{warning}Protocol: {protocol.description}.
Normalisation: {NORMALIZATIONS[normalization]}.

{comparison.table("markdown")}
{_lines(lines)}{"".join(map(_describe_tests, outcomes))}"""


def _lines(lines):
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def _describe_tests(outcome):
    """Describe which models differ from each other and from the controls by more than chance."""

    def differ(score):
        return f"{100 * score:+.1f}" if outcome.unit else f"{score:+.{outcome.decimals + 1}f}"

    tables = [table for table in (outcome.shown, outcome.against) if len(table)]
    if not tables:
        return ""
    tests = pd.concat(tables)
    rows = [
        [
            f"{row.model} − {row.other}",
            " ".join([differ(row.mean_difference), f"[{differ(row.low)}, {differ(row.high)}]"]),
            f"{row.better} / {row.worse} / {row.same}",
            format_p(row.p_value).removeprefix("= "),
            format_p(row.p_corrected).removeprefix("= "),
        ]
        for row in tests.itertuples()
    ]
    columns = [
        "models",
        "points" if outcome.unit else "difference",
        "better / worse / same",
        "p",
        "p (Holm)",
    ]
    table = pd.DataFrame(rows, columns=columns).set_index("models")
    target = outcome.comparison.details.get("target")
    score = f"{outcome.metric_name} for {target}" if target else outcome.metric_name
    return f"""
Differences of {score}, with 95 % bootstrap intervals over subjects. p values are from the
test {tests["test"].iloc[0]!r}, corrected for all pairs of models and, for each kind of control, for
the number of models.

{format_table(table, "markdown")}
"""


def _describe_folds(comparison):
    """Describe the main score of each fold; `scores.csv` has all scores by subject."""
    scores = comparison.scores
    if scores["fold"].nunique() > _MOST_FOLDS:
        return ""
    tested = scores.groupby("fold")["subject"].unique().map(sorted)
    rows = [f"{fold}: {_shorten(subjects)}" for fold, subjects in tested.items()]
    main = comparison.main_metric
    table = scores.pivot_table(main, "fold", "model", sort=False, dropna=False).set_axis(rows)
    table.index.name = "fold: subjects"
    metric = comparison.describe_metric(main)
    target = comparison.details.get("target")
    title = f"{metric.name[:1].upper()}{metric.name[1:]}{f' for {target}' if target else ''}"
    decimals = 1 if metric.percent else metric_decimals(main, table)
    texts = (table * (100 if metric.percent else 1)).map(f"{{:.{decimals}f}}".format)
    texts = texts.replace("nan", "–")
    return f"""\
{title} of each fold{" in per cent" * metric.percent}, as the mean over its subjects:

{format_table(texts, "markdown")}
"""


def _shorten(names, n_shown=4):
    more = f", … ({len(names)})" if len(names) > n_shown else ""
    return ", ".join(map(str, names[:n_shown])) + more


def _describe_normalizations(protocol, comparisons):
    """Describe what normalising by subject changes for each model, tested over subjects."""
    raw, own = (comparisons.get((protocol, name)) for name in ("raw", "per-subject"))
    if raw is None or own is None:
        return ""
    names = {model: model for model in raw.models if model not in GUESSES}
    title = f"What normalising by subject changes, {protocol}"
    return _describe_changes(title, "per-subject − raw", raw, own, names)


def _describe_context(names, comparison, reach):
    """Describe what averaging over neighbouring windows changes for each model."""
    pairs = {model: title_with_context(model, reach) for model in comparison.models}
    pairs = {model: other for model, other in pairs.items() if other in comparison.models}
    title = f"What context changes, {', '.join(names)}"
    what = f"averaged over ± {reach:g} s − alone"
    return _describe_changes(title, what, comparison, comparison, pairs)


def _describe_changes(title, what, before, after, names):
    """Describe the differences between pairs of models, given by name, tested over subjects."""
    rows = []
    for target, one in before.by_target().items():
        main = one.main_metric
        metric = one.describe_metric(main)
        scale, form = (100, "{:+.1f}") if metric.percent else (1, "{:+.3f}")
        scores = [
            each.subject_scores().pivot(index="subject", columns="model", values=main)
            for each in (one, after.by_target()[target])
        ]
        for model, other in names.items():
            if model not in scores[0] or other not in scores[1]:  # every fit failed
                continue
            difference = (scale * (scores[1][other] - scores[0][model])).round(12)
            if difference.isna().all():
                continue
            low, high = bootstrap_interval(difference)
            rows.append(
                {
                    **({"target": target} if target else {}),
                    "model": model,
                    "difference": f"{form} [{form}, {form}]".format(difference.mean(), low, high),
                    "p": wilcoxon_test(difference).p_value,
                }
            )
    if not rows:
        return ""
    table = pd.DataFrame(rows)
    corrected = correct_p_values(table["p"], "holm")
    table["p (Holm)"] = [format_p(p).removeprefix("= ") for p in corrected]
    table["p"] = [format_p(p).removeprefix("= ") for p in table["p"]]
    name = f"{metric.name[:1].upper()}{metric.name[1:]}{' in points' * metric.percent}"
    return f"""\
## {title}

{name}, {what}, with 95 % bootstrap intervals over subjects; p by Wilcoxon's test over
subjects, corrected for the number of models.

{format_table(table.set_index(table.columns[0]), "markdown")}
"""


def _describe_gap(normalization, comparisons):
    """Describe how much better models look on known subjects, if both protocols were run."""
    chosen = {protocol: one for (protocol, n), one in comparisons.items() if n == normalization}
    optimistic = [one for one in chosen.values() if one.optimistic]
    honest = {name: one for name, one in chosen.items() if not PROTOCOLS[name].known_subjects}
    if not optimistic or not honest:
        return ""
    main = next(iter(honest.values())).main_metric
    metric = optimistic[0].describe_metric(main)
    scale, form = (100, "{:.1f}") if metric.percent else (1, "{:.2f}")
    tables = []
    for target, known in optimistic[0].by_target().items():
        columns = {}
        for name, one in honest.items():
            gap = scale * one.by_target()[target].gap(known)
            columns[known.protocol] = gap.iloc[:, 1].map(form.format)
            columns[name] = gap.iloc[:, 0].map(form.format)
            columns[f"gap to {name}"] = [
                f"{form} [{form}, {form}]".format(row.gap, row.low, row.high)
                for row in gap.itertuples()
            ]
        table = format_table(pd.DataFrame(columns).rename_axis(index="model"), "markdown")
        tables.append(f"{target}\n\n{table}" if target else table)
    title = f"{metric.name[:1].upper()}{metric.name[1:]}{' in per cent' * metric.percent}"
    return f"""\
## The gap, {normalization}

{title}. The gap is what {optimistic[0].protocol} adds by testing on known
subjects, with its 95 % bootstrap interval over subjects.

{chr(10).join(tables)}
"""
