"""The command line: ``python -m skemo compare`` sets the models side by side on a data set."""

import argparse
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from skemo.evaluation import compare, format_summary, summarize
from skemo.experiments import (
    DATASETS,
    MODELS,
    NORMALIZATIONS,
    compute_inputs,
    decompose_conductance,
    make_models,
    modality_inputs,
)
from skemo.model_selection import PROTOCOLS
from skemo.windows import segment


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None takes those of the process.

    Returns
    -------
    int
        Exit code: 0, or 130 after an interrupt. Arguments that cannot be used exit with 2.
    """
    parser = _make_parser()
    args = parser.parse_args(argv)
    try:
        _compare(args, parser)
    except KeyboardInterrupt:
        print("Interrupted. What was finished is above.", file=sys.stderr)
        return 130
    return 0


def _make_parser():
    parser = argparse.ArgumentParser(
        prog="skemo",
        description="Emotion, stress and workload recognition from physiological signals.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "compare",
        help="train and test the networks and the classical baselines on a data set",
        description="Train and test the networks and the classical baselines on a data set, and "
        "print accuracy, sensitivity and specificity, precision, balanced accuracy and macro F1.",
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
    add("--data-home", metavar="DIR", help="folder of the recordings, or to download them to")
    add(
        "--on-error",
        choices=["raise", "skip"],
        default="raise",
        help="leave out subjects that cannot be read, with a warning; default: raise",
    )
    add("--target", metavar="T", help="what to predict, where a data set has several things")
    add(
        "--duration",
        type=_positive(float),
        metavar="S",
        help="seconds a window; default: 10, for stress_predict 60",
    )
    add(
        "--protocol",
        action="append",
        choices=[*PROTOCOLS, "all"],
        help="may be given several times; default: leave-one-subject-out",
    )
    add(
        "--n-splits",
        type=_positive(int),
        metavar="K",
        help="folds of the k-fold protocols; default: 10, or the number of subjects if fewer",
    )
    add("--normalization", choices=[*NORMALIZATIONS, "both"], default="raw", help="default: raw")
    add(
        "--models",
        type=_model_names,
        default=[name for name, model in MODELS.items() if not model.each_modality],
        metavar="A,B",
        help=f"some of {','.join(MODELS)}; default: all but single",
    )
    add("--seeds", type=_positive(int), default=1, metavar="N", help="repetitions; default: 1")
    add("--max-epochs", type=_positive(int), metavar="N", help="epochs of the networks")
    add("--n-jobs", type=int, default=joblib.cpu_count(), metavar="N", help="default: all cores")
    add("--output", type=Path, metavar="DIR", help="write scores.csv and table.md there")
    return parser


def _describe(title, lines):
    return [f"\n{title}:", *(f"  {name:<22} {line}" for name, line in lines.items())]


def _describe_data(dataset):
    targets = f"; targets {', '.join(dataset.targets)}" if dataset.targets else ""
    return dataset.description + targets


def _describe_model(model):
    return f"{model.title}, of each modality" if model.each_modality else model.title


def _positive(kind):
    def convert(text):
        number = kind(text)
        if not 0 < number < np.inf:
            raise argparse.ArgumentTypeError(f"{text} is not a positive number")
        return number

    convert.__name__ = kind.__name__
    return convert


def _model_names(text):
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown {', '.join(map(repr, unknown))}; there are {', '.join(MODELS)}"
        )
    return list(dict.fromkeys(names))


def _compare(args, parser):
    chosen = args.protocol or ["leave-one-subject-out"]
    protocols = [name for name in PROTOCOLS if name in chosen or "all" in chosen]
    both = args.normalization == "both"
    normalizations = list(NORMALIZATIONS) if both else [args.normalization]
    if args.n_jobs == 0:
        parser.error("argument --n-jobs: 0 is no number of processes")
    dataset = DATASETS[args.dataset]
    target = args.target or (dataset.targets or (None,))[0]
    if target is not None and target not in dataset.targets:
        there = ", ".join(dataset.targets) or "none to choose"
        parser.error(f"argument --target: {target!r}, but {args.dataset} has {there}")
    duration = args.duration or dataset.duration
    try:
        if args.output is not None:
            args.output.mkdir(parents=True, exist_ok=True)
        recordings = decompose_conductance(dataset.load(args.data_home, target, args.on_error))
        windows = segment(recordings, duration=duration, purity=dataset.purity)
        inputs, columns = compute_inputs(windows, modality_inputs(duration))
    except (OSError, ValueError) as error:
        parser.error(f"{args.dataset}: {error}")
    n_subjects = windows["subject"].nunique()
    n_splits = args.n_splits or max(2, min(10, n_subjects))

    report = _Report(args.output)
    report.add(_describe_run(args, target, windows, list(columns["raw"]), protocols, n_splits))
    summaries = {}
    for normalization in normalizations:
        for protocol in protocols:
            try:
                comparisons = _repeat(
                    args, inputs, windows["label"], columns, normalization, protocol, n_splits
                )
            except ValueError as error:
                parser.error(str(error))
            for seed, comparison in enumerate(comparisons):
                report.add_scores(
                    comparison.scores,
                    dataset=args.dataset,
                    protocol=protocol,
                    normalization=normalization,
                    seed=seed,
                )
            subject_scores = pd.concat([one.subject_scores() for one in comparisons])
            averaged = subject_scores.groupby(["model", "subject"], sort=False).mean()
            summary = summarize(averaged.reset_index())
            summaries[normalization, protocol] = summary
            report.add(_describe_result(protocol, normalization, summary))
            print(_describe_folds(comparisons), flush=True)
    for normalization in normalizations:
        report.add(_describe_gap(normalization, summaries))


def _repeat(args, X, y, columns, normalization, protocol, n_splits):
    """A comparison for each seed, which is that of the models and of the folds."""
    comparisons = []
    for seed in range(args.seeds):
        models = make_models(
            args.models, columns, normalization, seed=seed, max_epochs=args.max_epochs
        )
        comparison = compare(
            models,
            X,
            y.to_numpy(),
            X["subject"].to_numpy(),
            protocol=protocol,
            n_splits=n_splits,
            n_jobs=args.n_jobs,
            random_state=seed,
            progress=True,
        )
        comparisons.append(comparison)
    return comparisons


class _Report:
    """Markdown on standard output as it comes, and in a folder if one is given."""

    def __init__(self, folder):
        self.folder = folder
        self.texts = []
        self.scores = []

    def add(self, text):
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
            (self.folder / "table.md").write_text("\n".join(self.texts), encoding="utf-8")

    def add_scores(self, scores, **columns):
        self.scores.append(scores.assign(**columns)[[*columns, *scores]])
        if self.folder is not None:
            pd.concat(self.scores).to_csv(
                self.folder / "scores.csv", index=False, float_format="%.6g"
            )


def _describe_run(args, target, windows, modalities, protocols, n_splits):
    signals = [
        f"{name} at {dtype.sampling_rate:g} Hz (channels: {dtype.shape[-2]})"
        for name, dtype in windows.dtypes.items()
        if name in modalities
    ]
    n_subjects = windows["subject"].nunique()
    classes = windows["label"].value_counts().sort_index()
    seeds = "1 seed" if args.seeds == 1 else f"the mean of {args.seeds} seeds"
    k_fold = any(name != "leave-one-subject-out" for name in protocols)
    folds = f"; k-fold with k = {n_splits}" if k_fold else ""
    duration = windows.attrs["segment"]["duration"]
    return f"""\
# skemo compare: {args.dataset}{f", {target}" if target else ""}

- data: {DATASETS[args.dataset].description}
- windows: {len(windows)} of {duration:g} s, from {n_subjects} subjects
- classes: {", ".join(f"{label} {count}" for label, count in classes.items())}
- modalities: {", ".join(signals)}
- scores: mean ± standard deviation over subjects, in per cent, {seeds}{folds}.
  SEN & SPE is the mean of sensitivity and specificity, which for two classes is the balanced
  accuracy; PPR is precision; each is averaged over the classes.
"""


def _describe_result(protocol, normalization, summary):
    warning = "**Optimistic.** " if PROTOCOLS[protocol].optimistic else ""
    return f"""\
## {protocol}, {normalization}

{warning}Protocol: {PROTOCOLS[protocol].description}.
Normalisation: {NORMALIZATIONS[normalization]}.

{_to_markdown(format_summary(summary))}
"""


def _describe_folds(comparisons):
    """Every fold's balanced accuracy, which `scores.csv` has by subject and with the others."""
    scores = pd.concat([one.scores for one in comparisons])
    tested = scores.groupby("fold")["subject"].unique().map(sorted)
    rows = [f"{fold}: {_shorten(subjects)}" for fold, subjects in tested.items()]
    table = scores.pivot_table("balanced_accuracy", "fold", "model", sort=False).set_axis(rows)
    table.index.name = "fold: subjects"
    return f"""\
Balanced accuracy of each fold in per cent, the mean over its subjects:

{_to_markdown((100 * table).map("{:.1f}".format))}
"""


def _shorten(names, n_shown=4):
    more = f", … ({len(names)})" if len(names) > n_shown else ""
    return ", ".join(map(str, names[:n_shown])) + more


def _describe_gap(normalization, summaries):
    """How much better the models look when they know the subjects, where both were run."""
    scores = {
        protocol: 100 * summary["balanced_accuracy", "mean"]
        for (used, protocol), summary in summaries.items()
        if used == normalization
    }
    optimistic = [name for name in scores if PROTOCOLS[name].optimistic]
    honest = [name for name in scores if not PROTOCOLS[name].optimistic]
    if not optimistic or not honest:
        return ""
    table = pd.DataFrame({name: scores[name] for name in [*optimistic, *honest]})
    for name in honest:
        table[f"gap to {name}"] = table[optimistic[0]] - table[name]
    return f"""\
## The gap, {normalization}

Balanced accuracy in per cent; the gap is what {optimistic[0]} adds by testing on known subjects.

{_to_markdown(table.map("{:.1f}".format))}
"""


def _to_markdown(table):
    rows = [[table.index.name or "", *table.columns], ["---"] + ["---:"] * table.shape[1]]
    rows += [[name, *cells] for name, cells in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
