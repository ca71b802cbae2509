"""The command line: ``python -m skemo compare`` sets the models side by side on a data set."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline

from skemo.baselines import make_dummy, make_lda, make_random_forest, make_svm
from skemo.evaluation import compare, format_summary, summarize
from skemo.model_selection import PROTOCOLS
from skemo.preprocessing import PerSubject, make_modality_transformer
from skemo.recordings import segment


class DataSet(NamedTuple):
    """A data set of the command line: one line on it, and recordings from a folder or None."""

    description: str
    load: Callable


class Model(NamedTuple):
    """A model of the command line: its name in the table, and how it is made.

    ``make(signals, features, seed, max_epochs)`` gets two transformers, of which it takes one:
    the first selects the signal columns for a network, the second the features.
    """

    title: str
    make: Callable


def _load_simulated(data_home):
    if data_home is not None:
        raise ValueError("these recordings come with the package: leave --data-home out.")
    from skemo.datasets import make_emotion_recordings

    return make_emotion_recordings(random_state=0)


def _load_eegmat(data_home):
    from skemo.datasets import fetch_eegmat

    return fetch_eegmat(data_home, progress=True)


def _make_network(attention):
    def make(signals, features, seed, max_epochs):
        from skemo.classifiers import ModalityAwareAttentionClassifier

        network = ModalityAwareAttentionClassifier(
            attention=attention, class_weight="balanced", random_state=seed
        )
        if max_epochs is not None:
            network.set_params(max_epochs=max_epochs)
        return make_pipeline(signals, network)

    return make


DATASETS = {
    "simulated": DataSet("simulated recordings with a planted effect", _load_simulated),
    "eegmat": DataSet(
        "EEG During Mental Arithmetic Tasks (PhysioNet 1.0.0): rest and arithmetic", _load_eegmat
    ),
}
MODELS = {
    "attention": Model("modality-aware attention", _make_network(attention=True)),
    "basic": Model("without attention (basic)", _make_network(attention=False)),
    "svm": Model("SVM", lambda signals, features, seed, max_epochs: make_svm(features)),
    "random-forest": Model(
        "random forest",
        lambda signals, features, seed, max_epochs: make_random_forest(features, random_state=seed),
    ),
    "lda": Model("LDA", lambda signals, features, seed, max_epochs: make_lda(features)),
    "dummy": Model(
        "majority class", lambda signals, features, seed, max_epochs: make_dummy("passthrough")
    ),
}
NORMALIZATIONS = {
    "raw": "inputs standardised by the training windows, whoever they come from",
    "per-subject": "inputs standardised by each subject's own windows, without their labels: "
    "those of a new subject by all that are to be predicted (transductive)",
}


def modality_transformers(duration):
    """Return the transformers of each modality that a comparison uses.

    Parameters
    ----------
    duration : float
        Length of a window in seconds; the differential-entropy map has a sub-window for
        each two seconds.

    Returns
    -------
    dict of str to (transformer, transformer)
        By modality: the one whose signals a network takes, and the one whose features the
        baselines take.
    """
    from skemo.ecg import HRVTransformer
    from skemo.eeg import DifferentialEntropyTransformer

    sub_windows = max(1, round(duration / 2))
    return {
        "ecg": (HRVTransformer(), HRVTransformer(output="features")),
        "eeg": (
            DifferentialEntropyTransformer(output="map", sub_windows=sub_windows),
            DifferentialEntropyTransformer(),
        ),
    }


def compute_inputs(windows, transformers):
    """Compute, once for all folds, what the networks and the baselines take.

    The transformers learn nothing from other windows, so that this is the same as computing
    it again inside each fold.

    Parameters
    ----------
    windows : DataFrame
        From `skemo.segment`.
    transformers : dict of str to (transformer, transformer)
        As `modality_transformers` returns them; modalities that `windows` lacks are left out.

    Returns
    -------
    inputs : DataFrame
        Signal columns, feature columns and `subject`.
    signals, features : list of str
        Names of the signal columns and of the feature columns.
    """
    present = {name: pair for name, pair in transformers.items() if name in windows}
    if not present:
        raise ValueError(
            f"The recordings have none of the modalities {list(transformers)}: {list(windows)}."
        )
    for_networks, for_baselines = (
        make_modality_transformer(**{name: pair[i] for name, pair in present.items()})
        for i in (0, 1)
    )
    signals = for_networks.fit_transform(windows)
    features = for_baselines.fit_transform(windows)
    inputs = pd.concat([signals, features, windows[["subject"]]], axis=1)
    return inputs, list(signals), list(features)


def select_inputs(columns, normalization):
    """Make the transformer that selects columns of the inputs, and normalises them.

    Parameters
    ----------
    columns : list of str
        Signal columns, or feature columns.
    normalization : {"raw", "per-subject"}
        What is done to them.

    Returns
    -------
    transformer
    """
    select = ColumnTransformer(
        [("columns", "passthrough", columns)], verbose_feature_names_out=False
    ).set_output(transform="pandas")
    return PerSubject(select) if normalization == "per-subject" else select


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
                *_describe("data sets", {k: v.description for k, v in DATASETS.items()}),
                *_describe("models", {k: v.title for k, v in MODELS.items()}),
                *_describe("protocols", {k: v.description for k, v in PROTOCOLS.items()}),
                *_describe("normalizations", NORMALIZATIONS),
            ]
        ),
    )
    add = command.add_argument
    add("--dataset", choices=DATASETS, default="simulated", help="default: simulated")
    add("--data-home", metavar="DIR", help="folder of the recordings, or to download them to")
    add(
        "--duration",
        type=_positive(float),
        default=10.0,
        metavar="S",
        help="seconds a window; default: 10",
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
        default=list(MODELS),
        metavar="A,B",
        help=f"some of {','.join(MODELS)}; default: all",
    )
    add("--seeds", type=_positive(int), default=1, metavar="N", help="repetitions; default: 1")
    add("--max-epochs", type=_positive(int), metavar="N", help="epochs of the networks")
    add("--n-jobs", type=int, default=joblib.cpu_count(), metavar="N", help="default: all cores")
    add("--output", type=Path, metavar="DIR", help="write scores.csv and table.md there")
    return parser


def _describe(title, lines):
    return [f"\n{title}:", *(f"  {name:<22} {line}" for name, line in lines.items())]


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
    try:
        if args.output is not None:
            args.output.mkdir(parents=True, exist_ok=True)
        windows = segment(DATASETS[args.dataset].load(args.data_home), duration=args.duration)
        transformers = modality_transformers(args.duration)
        inputs, *columns = compute_inputs(windows, transformers)
    except (OSError, ValueError) as error:
        parser.error(f"{args.dataset}: {error}")
    n_subjects = windows["subject"].nunique()
    n_splits = args.n_splits or max(2, min(10, n_subjects))

    report = _Report(args.output)
    report.add(_describe_run(args, windows, list(transformers), protocols, n_splits))
    summaries = {}
    for normalization in normalizations:
        selections = [select_inputs(names, normalization) for names in columns]
        for protocol in protocols:
            try:
                comparisons = _repeat(
                    args, inputs, windows["label"], selections, protocol, n_splits
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


def _repeat(args, X, y, selections, protocol, n_splits):
    """A comparison for each seed, which is that of the models and of the folds."""
    comparisons = []
    for seed in range(args.seeds):
        models = {
            MODELS[name].title: MODELS[name].make(*selections, seed, args.max_epochs)
            for name in args.models
        }
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


def _describe_run(args, windows, modalities, protocols, n_splits):
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
    return f"""\
# skemo compare: {args.dataset}

- data: {DATASETS[args.dataset].description}
- windows: {len(windows)} of {args.duration:g} s, from {n_subjects} subjects
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
