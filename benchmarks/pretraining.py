"""Make results/pretraining.md: does pre-training on unlabelled windows help?

    python benchmarks/pretraining.py --data-home DIR

`DIR` holds the folders eegmat and stress_predict. The branches of the modality-aware network first
learn to restore windows of all subjects, labelled or not, in which parts were hidden and to which
noise was added. The network then learns the classes, starting from these weights or from its usual
initial weights, on the same folds by subject and with the same seeds. Classes are learnt and tested
only on the subjects on which inputs and settings were explored, so that the others stay unseen.
Takes half an hour on one core.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from comparisons import PAGES, describe_machine, to_markdown
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from torch import nn
from tuning import compute_forms

import skemo
from skemo.cli.experiments import DATASETS, decompose_conductance, modality_inputs
from skemo.evaluation.statistics import bootstrap_interval
from skemo.nn import UNet

PAGE = Path(__file__).parent / "results" / "pretraining.md"
SEEDS = 3
FOLDS = {"eegmat": 6, "stress_predict": 4}
HIDDEN = 0.3  # share of a window that is set to zero
NOISE = 0.5  # standard deviation
BLOCK = 8  # neighbouring samples are hidden together
EPOCHS = 30  # of restoring
SCOPES = ("no windows", "training subjects", "all subjects")  # what the branches begin with

# Depth and kernel of the U-Nets, and what else the network is trained with.
FORMS = {
    "series and maps": {"depth": 2, "kernel_size": 3},
    "features": {"depth": 1, "kernel_size": 1, "input_noise": 0.7},
}


class Pretrained(skemo.ModalityAwareAttentionClassifier):
    """A modality-aware network whose branches start with pre-trained weights."""

    branches = None  # their state, set after construction; a clone has none

    def _make_network(self, shapes, n_outputs):
        module = super()._make_network(shapes, n_outputs)
        if self.branches is not None:
            module.branches.load_state_dict(self.branches)
        return module


def load(dataset, data_home):
    """Inputs by form of labelled and of all windows, per subject; labels; subjects of both."""
    settings = DATASETS[dataset]
    recordings = settings.load(str(Path(data_home) / dataset), None, "raise")
    recordings = list(decompose_conductance(recordings))
    labelled = skemo.segment(recordings, settings.duration, purity=settings.purity)
    bare = [replace(recording, labels=()) for recording in recordings]
    unlabelled = skemo.segment(bare, settings.duration, step=settings.duration / 2)
    y = labelled["label"].to_numpy()
    forms = [compute(windows, settings.duration) for windows in (labelled, unlabelled)]
    return *forms, y, labelled["subject"].to_numpy(), unlabelled["subject"].to_numpy()


def compute(windows, duration):
    present = {name: inputs for name, inputs in modality_inputs().items() if name in windows}
    series = skemo.make_modality_transformer(**{name: x.series for name, x in present.items()})
    table = series.fit_transform(windows).assign(subject=windows["subject"])
    vectors = compute_forms(windows, duration)
    kind = "pulse-vectors" if "ppg" in windows else "vectors"
    chosen = [f"{kind} {name}" for name in present]
    return {
        "series and maps": skemo.PerSubject().fit_transform(table),
        "features": vectors[chosen].rename(columns=lambda name: name.removeprefix(f"{kind} ")),
    }


def restore(X, classifier, seed):
    """Return the weights of the network's branches after learning to restore windows."""
    torch.manual_seed(seed)
    settings = {name: getattr(classifier, name) for name in ("n_filters", "depth", "kernel_size")}
    branches = nn.ModuleList()
    for name in X:
        values = torch.from_numpy(np.asarray(X[name].array.values, np.float32))
        values = values[~values.flatten(1).isnan().all(1)].nan_to_num()
        branch = UNet(values.shape[1], n_dims=values.ndim - 2, **settings)
        convolution = {1: nn.Conv1d, 2: nn.Conv2d}[values.ndim - 2]
        head = convolution(settings["n_filters"], values.shape[1], 1)
        train(nn.Sequential(branch, head), values)
        branches.append(branch)
    return branches.state_dict()


def train(network, values):
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.003, weight_decay=0.01)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(values)).split(64):
            if len(rows) > 1:  # what batch normalisation needs
                window = values[rows]
                spoilt = hide(window) + NOISE * torch.randn_like(window)
                loss = (network(spoilt) - window).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def hide(window):
    """Set random blocks of samples to zero."""
    n_blocks = -(-window.shape[-1] // BLOCK)
    places = torch.rand(*window.shape[:-1], n_blocks) >= HIDDEN
    return window * places.repeat_interleave(BLOCK, dim=-1)[..., : window.shape[-1]]


def try_form(form, settings, labelled, unlabelled, y, subjects, others, n_folds):
    """Balanced accuracy of each subject, by what the branches begin with and the seed."""
    X, classes, rows = labelled[form], np.unique(y), []
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    folds = list(folds.split(X, y, subjects))
    for scope in SCOPES:
        probabilities = np.zeros((SEEDS, len(y), len(classes)))
        for seed in range(SEEDS):
            start = None
            for fold, (train, test) in enumerate(folds):
                classifier = Pretrained(
                    **settings, max_epochs=15, class_weight="balanced", random_state=seed
                )
                if scope == "training subjects":
                    known = ~np.isin(others, subjects[test])
                    start = restore(unlabelled[form][known], classifier, seed)
                elif scope == "all subjects" and fold == 0:
                    start = restore(unlabelled[form], classifier, seed)
                classifier.branches = start
                classifier.fit(X.iloc[train], y[train])
                probabilities[seed, test] = classifier.predict_proba(X.iloc[test])
        predicted = {seed: probabilities[seed] for seed in range(SEEDS)}
        predicted["averaged"] = probabilities.mean(0)
        for seed, each in predicted.items():
            labels = classes[each.argmax(1)]
            for subject in np.unique(subjects):
                own = subjects == subject
                score = 100 * balanced_accuracy_score(y[own], labels[own])
                rows.append({"scope": scope, "seed": seed, "subject": subject, "score": score})
    return pd.DataFrame(rows)


def describe(scores):
    """A row per scope: the scores of single and of averaged networks, and the gain of both."""
    single = scores[scores["seed"] != "averaged"].pivot_table("score", "subject", "scope")
    averaged = scores[scores["seed"] == "averaged"].pivot_table("score", "subject", "scope")
    for scope in SCOPES:
        row = {"restored were windows of": scope}
        for name, table in {"single": single, "averaged": averaged}.items():
            row[name] = f"{table[scope].mean():.1f}"
            row[f"gain, {name}"] = ""
            if scope != SCOPES[0]:
                gain = table[scope] - table[SCOPES[0]]
                low, high = bootstrap_interval(gain)
                row[f"gain, {name}"] = f"{gain.mean():+.1f} [{low:+.1f}, {high:+.1f}]"
        yield row


def main(data_home):
    text = [
        "# Pre-training on unlabelled windows",
        describe_machine(),
        "Does it help the modality-aware network to learn from unlabelled windows first? Its "
        f"U-Nets learn to restore windows ({EPOCHS} epochs; half overlapping, of the whole "
        f"recordings), of which {HIDDEN:.0%} was hidden and to which noise was added; then the "
        "network learns the classes (15 epochs), beginning with their weights. “Training "
        "subjects” are all but the tested ones of a fold, “all subjects” the tested ones too, "
        "without their labels, which only someone who has a person's recording beforehand can do. "
        "Per-subject; folds by subject over those on which inputs and settings were explored, so "
        "that the others stay unseen; balanced accuracy "
        f"in per cent, the mean over subjects, of a single network (mean of {SEEDS} seeds) and of "
        f"the {SEEDS} averaged. The gain over no pre-training has its 95 % bootstrap interval over "
        "subjects. Reproduce with `python benchmarks/pretraining.py --data-home DIR`.",
    ]
    for dataset, n_folds in FOLDS.items():
        labelled, unlabelled, y, subjects, others = load(dataset, data_home)
        explored = np.isin(subjects, PAGES[dataset].chosen_on)
        labelled = {form: X[explored].reset_index(drop=True) for form, X in labelled.items()}
        y, subjects = y[explored], subjects[explored]
        for form, settings in FORMS.items():
            scores = try_form(form, settings, labelled, unlabelled, y, subjects, others, n_folds)
            text += [
                f"## {dataset}, {form}",
                f"{len(y)} labelled windows of {len(np.unique(subjects))} subjects, "
                f"{len(others)} unlabelled of {len(np.unique(others))}.",
                to_markdown(pd.DataFrame(describe(scores))),
            ]
            PAGE.write_text("\n\n".join(part.strip() for part in text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", metavar="DIR", required=True)
    main(parser.parse_args().data_home)
