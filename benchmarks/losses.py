"""Make results/losses.md: what other losses and regularisers do on recorded data.

    python benchmarks/losses.py --data-home DIR

`DIR` contains the folders eegmat and stress_predict. The modality-aware network is compared with
itself under another loss or regulariser, on inputs normalised by subject, with the same folds of
subjects and the same seeds. Nothing is chosen by these scores. Takes about a quarter of an hour on
one core.
"""

import argparse
from pathlib import Path

import pandas as pd
from comparisons import describe_machine, to_markdown
from sklearn.pipeline import make_pipeline

import skemo
from skemo.cli.experiments import DATASETS, decompose_conductance, modality_inputs
from skemo.evaluation.statistics import bootstrap_interval

PAGE = Path(__file__).parent / "results" / "losses.md"
PLAIN = "cross-entropy"
VARIANTS = {
    PLAIN: {},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "focal loss": {"loss": "focal"},
    "centre loss 0.01": {"center_loss": 0.01},
    "centre loss 0.1": {"center_loss": 0.1},
    "mixup 0.2": {"mixup": 0.2},
}
SEEDS = 2
FOLDS = 6


def load(dataset, data_home):
    """Return the inputs of the network, the labels and the subjects of all windows."""
    settings = DATASETS[dataset]
    recordings = settings.load(str(Path(data_home) / dataset), None, "raise")
    windows = skemo.segment(
        decompose_conductance(recordings), settings.duration, purity=settings.purity
    )
    series = {name: x.series for name, x in modality_inputs().items() if name in windows}
    table = skemo.make_modality_transformer(**series, subject="passthrough").fit_transform(windows)
    return table, windows["label"].to_numpy(), windows["subject"].to_numpy()


def measure(dataset, data_home):
    """Return the balanced accuracy of each subject and variant, averaged over seeds."""
    X, y, subjects = load(dataset, data_home)
    tables = []
    for seed in range(SEEDS):
        models = {
            name: make_pipeline(
                skemo.PerSubject(),
                skemo.ModalityAwareAttentionClassifier(random_state=seed, **settings),
            )
            for name, settings in VARIANTS.items()
        }
        result = skemo.compare(
            models, X, y, subjects, protocol="group-k-fold", n_splits=FOLDS, random_state=seed
        )
        scores = result.subject_scores()
        tables.append(scores.pivot(index="subject", columns="model", values="balanced_accuracy"))
    return pd.concat(tables).groupby(level=0).mean() * 100


def describe(dataset, scores):
    """Yield a row per variant: its score, and its difference from the plain one."""
    for name in VARIANTS:
        difference = (scores[name] - scores[PLAIN]).round(3)  # so that ties are ties
        low, high = bootstrap_interval(difference)
        yield {
            "recordings": dataset,
            "training": name,
            "balanced accuracy": f"{scores[name].mean():.1f}",
            "difference": ""
            if name == PLAIN
            else f"{difference.mean():+.1f} [{low:+.1f}, {high:+.1f}]",
        }


def main(data_home):
    datasets = ("eegmat", "stress_predict")
    rows = [row for name in datasets for row in describe(name, measure(name, data_home))]
    text = [
        "# Other losses and regularisers",
        "The modality-aware network with its default settings, on inputs normalised by subject, "
        f"in {FOLDS} folds of subjects; scores are averaged over {SEEDS} seeds. Differences from "
        f"{PLAIN} are in points of balanced accuracy, with 95 % bootstrap intervals over "
        "subjects. Nothing was chosen by these scores. "
        "Reproduce with `python benchmarks/losses.py --data-home DIR`.",
        describe_machine(),
        to_markdown(pd.DataFrame(rows)),
    ]
    PAGE.write_text("\n\n".join(part.strip() for part in text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", required=True)
    main(parser.parse_args().data_home)
