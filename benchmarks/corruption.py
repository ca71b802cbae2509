"""Make results/corruption.md: what models do when sensors fail, and whether attention helps.

    python benchmarks/corruption.py run eegmat --data-home DIR
    python benchmarks/corruption.py report

`run` puts faults into the windows of a data set, each modality with a probability of its own, and
compares networks with and without attention, the classical baselines, and a rule made by hand: what
is not trusted counts as missing. Each fit is kept, so `run` can be interrupted and called again, or
called for one fault, one seed or some of the models at a time. `report` writes the page from what
has been run.
"""

import argparse
import re
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from comparisons import describe_machine, to_markdown
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
from tuning import append, compute_forms

import skemo
from skemo.cli.experiments import DATASETS, decompose_conductance
from skemo.evaluation.statistics import bootstrap_interval, wilcoxon_test

RESULTS = Path(__file__).parent / "results" / "corruption"
FAULTS = ("stale:0.35", "noise:0.35:-5", "motion:0.35:-5", "saturation:0.35", "dropout:0.35")
TRUSTED = 0.5  # lowest quality that the rule made by hand accepts
FOLDS = 6
# Settings that most folds of tuning.py chose on both data sets; nothing is chosen here.
NETWORK = {"n_filters": 8, "kernel_size": 1, "max_epochs": 20, "batch_size": 64, "lr": 0.004}
NETWORK |= {"input_noise": 0.9, "dropout": 0.5, "class_weight": "balanced"}


class Contender(NamedTuple):
    """A model: the inputs that it is given, by the first word of their names, and how it is made.

    ``make(trust)`` takes the columns that tell the quality.
    """

    inputs: tuple
    make: object


class Choose(TransformerMixin, BaseEstimator):
    """Selects columns by the first word of their names."""

    def __init__(self, words):
        self.words = words

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[[name for name in X if name.split()[0] in self.words]]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        return tags


def modality_aware(attention):
    def make(trust):
        quality = trust if attention is not None else None
        return skemo.ModalityAwareAttentionClassifier(
            attention=attention, quality=quality, depth=1, **NETWORK
        )

    return make


def cross_modal(attention, direction="both"):
    def make(trust):
        quality = trust if attention is not None else None
        settings = {"n_blocks": 2, "stages": 1, "pool_size": 1, **NETWORK}
        return skemo.CrossModalAttentionClassifier(
            attention=attention, direction=direction, quality=quality, **settings
        )

    return make


def untold(make):
    return lambda trust: make(None)


def baseline(make, **settings):
    return lambda trust: make("passthrough", **settings)


BASELINES = {
    "logistic regression": baseline(skemo.make_logistic_regression, C=0.003),
    "SVM": baseline(skemo.make_svm, gamma=0.001),
    "LDA": baseline(skemo.make_lda, shrinkage=0.8, priors=[0.5, 0.5]),
    "random forest": baseline(skemo.make_random_forest),
}
SIGNALS, TOLD, KEPT = ("vectors",), ("vectors", "trust"), ("kept-vectors",)
CONTENDERS = {
    "without attention": Contender(SIGNALS, modality_aware(None)),
    "without attention, told": Contender(TOLD, modality_aware(None)),
    "without attention, rule": Contender(KEPT, modality_aware(None)),
    "masks of the paper, told": Contender(TOLD, modality_aware("mask")),
    "residual masks": Contender(SIGNALS, untold(modality_aware("residual"))),
    "residual masks, told": Contender(TOLD, modality_aware("residual")),
    "scalar masks, told": Contender(TOLD, modality_aware("scalar")),
    "late fusion, told": Contender(TOLD, cross_modal(None, direction=None)),
    "late fusion, rule": Contender(KEPT, cross_modal(None, direction=None)),
    "connections without gates, told": Contender(TOLD, cross_modal(None)),
    "gates by channel, told": Contender(TOLD, cross_modal("channel")),
    "residual gates, told": Contender(TOLD, cross_modal("residual")),
    "scalar gates, told": Contender(TOLD, cross_modal("scalar")),
    **{f"{name}, told": Contender(("features", "told"), x) for name, x in BASELINES.items()},
    **{f"{name}, rule": Contender(("kept-features",), x) for name, x in BASELINES.items()},
}
PAIRS = (
    ("residual masks, told", "without attention, told"),
    ("scalar masks, told", "without attention, told"),
    ("masks of the paper, told", "without attention, told"),
    ("residual masks, told", "without attention"),
    ("scalar masks, told", "without attention"),
    ("residual masks", "without attention"),
    ("residual masks, told", "without attention, rule"),
    ("scalar masks, told", "without attention, rule"),
    ("residual gates, told", "connections without gates, told"),
    ("scalar gates, told", "connections without gates, told"),
    ("gates by channel, told", "connections without gates, told"),
    ("residual gates, told", "late fusion, rule"),
)


def run(dataset, data_home, faults, seeds, members, n_splits, names, n_jobs):
    settings = DATASETS[dataset]
    recordings = decompose_conductance(settings.load(data_home, None, "raise"))
    windows = skemo.segment(recordings, duration=settings.duration, purity=settings.purity)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{dataset}.txt").write_text(describe_machine(), encoding="utf-8")
    for fault in faults:
        for seed in range(seeds):
            measure(dataset, windows, fault, seed, members, n_splits, names, n_jobs)


def measure(dataset, windows, fault, seed, members, n_splits, names, n_jobs):
    """Compare the models on windows with a fault, and add their scores to the results."""
    path = RESULTS / f"{dataset}-{fault.replace(':', '_')}.csv"
    how = {"seed": seed, "members": members, "folds": n_splits}
    known = set()
    if path.exists():
        table = pd.read_csv(path)
        known = set(table[(table[list(how)] == list(how.values())).all(axis=1)]["model"])
    names = [name for name in names or CONTENDERS if name not in known]
    if not names:
        return
    kind, probability, *ratio = fault.split(":")
    options = {"snr": float(ratio[0])} if ratio else {}
    faulty = skemo.corrupt(
        windows, kind, float(probability), random_state=seed, reliability=True, **options
    )
    X = compute_inputs(faulty, is_known=kind == "stale")
    trust = [name for name in X if name.startswith("trust")]
    models = {}
    for name in names:
        model = CONTENDERS[name].make(trust)
        if "n_members" in model.get_params():
            model.set_params(n_members=members)
        chosen = make_pipeline(Choose(CONTENDERS[name].inputs), model)
        seeds = [key for key in chosen.get_params() if key.endswith("random_state")]
        models[name] = chosen.set_params(**dict.fromkeys(seeds, seed))
    result = skemo.compare(
        models,
        X,
        faulty["label"],
        faulty,
        protocol="group-k-fold",
        n_splits=n_splits,
        random_state=seed,
        n_jobs=n_jobs,
        output=RESULTS,
        on_error="raise",
        progress=True,
    )
    scores = result.subject_scores()[["model", "subject", "balanced_accuracy"]]
    append(path, scores.assign(**how).to_dict("records"))


def compute_inputs(windows, *, is_known):
    """Return the inputs of all models: a table with a row for each window.

    The features of tuning.py, standardised by subject, are a signal of one sample for each modality
    ("vectors") and plain columns ("features"). The quality of a modality is a signal ("trust") and
    a column ("told"): which windows were corrupted, if that is known, and otherwise the quality
    measured by `QualityTransformer`. What the rule keeps is "kept-vectors" and "kept-features".
    """
    duration = windows.attrs["segment"]["duration"]
    forms = compute_forms(windows, duration)
    prefix = "pulse-vectors " if "ppg" in windows else "vectors "
    modalities = [name.removeprefix(prefix) for name in forms if name.startswith(prefix)]
    columns = {}
    for name in modalities:
        signal = forms[prefix + name].array
        if is_known:
            quality = windows[f"{name}_reliability"].array.values[:, 0, 0].astype(np.float64)
        else:
            quality = measure_quality(windows, name)
        is_kept = np.nan_to_num(quality) >= TRUSTED
        columns[f"vectors {name}"] = signal
        columns[f"kept-vectors {name}"] = signal.copy()
        columns[f"kept-vectors {name}"][~is_kept] = np.nan
        columns[f"trust {name}"] = skemo.SignalArray(quality[:, np.newaxis, np.newaxis])
        columns[f"told {name}"] = np.nan_to_num(quality)
        for word in ("features", "kept-features"):
            values = columns[word.replace("features", "vectors") + f" {name}"].values[:, :, 0]
            table = dict(zip(signal.dtype.channels, values.T, strict=True))
            columns |= {f"{word} {name} {feature}": x for feature, x in table.items()}
    return pd.DataFrame(columns)


def measure_quality(windows, name):
    """Return the overall quality of a modality in each window."""
    column = windows[[name]]
    if name == "eda":  # its tonic and phasic part, which add up to the conductance
        signal = windows[name].array
        whole = signal.values.sum(axis=1, keepdims=True)
        column = skemo.signal_frame(
            eda=skemo.SignalArray(whole, sampling_rate=signal.dtype.sampling_rate)
        )
    number = f"{name.upper()}_Quality"
    return skemo.QualityTransformer(signal=name, features=[number]).fit_transform(column)[:, -1]


def report():
    """Write the page from the scores of all runs."""
    text = [HEAD]
    for path in sorted(RESULTS.glob("*.csv")):
        dataset, fault = re.fullmatch(r"([a-z_]+?)-(.*)", path.stem).groups()
        table = pd.read_csv(path, dtype={"subject": str})
        for (members, folds), own in table.groupby(["members", "folds"]):
            seeds = own["seed"].nunique()
            complete = own.groupby("model")["seed"].nunique() == seeds
            own = own[own["model"].isin(complete.index[complete])]
            scores = 100 * own.pivot_table("balanced_accuracy", "subject", "model")
            scores = scores[[name for name in CONTENDERS if name in scores]]
            text += [
                f"## {dataset}, {fault.replace('_', ':')}",
                f"Members of each network: {members}; folds: {folds}; seeds: {seeds}; subjects: "
                f"{len(scores)}. " + (RESULTS / f"{dataset}.txt").read_text(encoding="utf-8"),
                to_markdown(describe_scores(scores)),
                to_markdown(pd.DataFrame(describe_differences(scores))),
            ]
    path = RESULTS.with_suffix(".md")
    path.write_text("\n\n".join(part.strip() for part in text) + "\n", encoding="utf-8")


HEAD = f"""\
# When sensors fail

Each modality of a window is faulty with a given probability, independently of the others, in \
training as in testing. With `stale:0.35`, it is replaced with probability 0.35 by a stretch from \
another moment of the same subject; a model that is "told" knows which windows these are, as would \
a device that counts its packets. The other faults are noise and movement at -5 dB, saturation and \
dropout; the model then knows the quality that `QualityTransformer` measures. "Told": the \
attention receives the quality (`quality=`); a network without attention receives it as a further \
modality, and a baseline as further features. "Rule": a modality whose quality is below {TRUSTED} \
counts as missing, and the model is not told the quality. Inputs are the features of [the tuned \
comparison](tuning.md), standardised by subject without labels (transductive); the settings of the \
models are those that most of its folds chose, and nothing was chosen by looking at the figures \
below.

Figures are balanced accuracies in per cent for people who were not in training, as means over \
subjects and seeds. Differences have a 95 % bootstrap interval over subjects (BCa); p is from \
Wilcoxon's signed-rank test over subjects, not corrected for multiple comparisons. Reproduce with \
`python benchmarks/corruption.py run DATASET --data-home DIR`, with `--fault`, `--members`, \
`--n-splits` and `--seeds` as given below, and `python benchmarks/corruption.py report`. A fault \
without a section was not measured.
"""


def describe_scores(scores):
    table = pd.DataFrame({"mean": scores.mean(), "standard deviation": scores.std()})
    return table.rename_axis(index="model").map("{:.1f}".format)


def describe_differences(scores):
    """Yield a row for each pair, and for the attention against the best baseline that is told."""
    told = [f"{name}, told" for name in BASELINES if f"{name}, told" in scores]
    pairs = [pair for pair in PAIRS if set(pair) <= set(scores)]
    if told:
        best = scores[told].mean().idxmax()
        shown = ("residual masks, told", "scalar masks, told")
        pairs += [(name, best) for name in shown if name in scores]
    for one, other in pairs:
        difference = (scores[one] - scores[other]).round(9)
        low, high = bootstrap_interval(difference)
        yield {
            "": f"{one} − {other}",
            "difference": f"{difference.mean():+.1f} [{low:+.1f}, {high:+.1f}]",
            "better / worse / same": f"{(difference > 0).sum()} / {(difference < 0).sum()} / "
            f"{(difference == 0).sum()}",
            "p": f"{wilcoxon_test(difference).p_value:.3f}",
        }


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("dataset", nargs="?", choices=["eegmat", "stress_predict", "simulated"])
    parser.add_argument("--data-home", metavar="DIR", help="folder of the recordings")
    parser.add_argument("--fault", action="append", help=f"default: {', '.join(FAULTS)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--members", type=int, default=5, help="of each network")
    parser.add_argument("--n-splits", type=int, default=FOLDS)
    parser.add_argument("--model", action="append", choices=CONTENDERS, help="only this one")
    parser.add_argument("--n-jobs", type=int, default=joblib.cpu_count(), metavar="N")
    args = parser.parse_args(argv)
    if args.what == "report":
        report()
        return
    if args.dataset is None:
        parser.error("run needs a data set")
    run(
        args.dataset,
        args.data_home,
        args.fault or FAULTS,
        args.seeds,
        args.members,
        args.n_splits,
        args.model,
        args.n_jobs,
    )


if __name__ == "__main__":
    main()
