"""Make results/context.md: models with and without the mean over neighbouring windows.

    python benchmarks/context.py run eegmat --data-home DIR
    python benchmarks/context.py splits stress_predict --data-home DIR
    python benchmarks/context.py report

The baselines of `tuning.py`, with its inputs and outer folds of subjects. Each chooses its
hyper-parameters and, with context, the reach by inner folds of the training subjects. `run` takes
a few minutes on one core. `splits` repeats the search for several distributions of the subjects
over the outer folds, and for training on overlapping windows. `report` writes the page.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from comparisons import PAGES, describe_machine, to_markdown
from sklearn.model_selection import ParameterGrid, StratifiedGroupKFold
from tuning import OUTER, Tuned, compute_forms, forms_of, tune

import skemo
from skemo.cli.experiments import DATASETS, decompose_conductance
from skemo.evaluation.statistics import bootstrap_interval, correct_p_values, wilcoxon_test

RESULTS = Path(__file__).parent / "results" / "context"
SPLITS = 3  # distributions of the subjects over the outer folds
REACHES = {"eegmat": (20, 40, 60), "stress_predict": (60, 120, 240)}  # seconds
VARIANTS = {"alone": "alone", "both": "context", "past": "causal context"}
SPLIT_INPUTS = {  # context, and the windows that are fitted
    "alone": ("alone", "whole"),
    "context": ("both", "whole"),
    "context, overlapping": ("both", "overlapping"),
}
GRIDS = {
    "SVM": {"C": [1.0, 10.0], "gamma": ["scale", 0.001, 0.003]},
    "LDA": {"shrinkage": ["auto", 0.3, 0.8], "priors": [None, [0.5, 0.5]]},
    "logistic regression": {"C": [0.001, 0.003, 0.01, 0.1]},
}
MAKERS = {
    "SVM": skemo.make_svm,
    "LDA": skemo.make_lda,
    "logistic regression": skemo.make_logistic_regression,
}


def run(dataset, data_home):
    settings = DATASETS[dataset]
    recordings = decompose_conductance(settings.load(data_home, None, "raise"))
    windows = skemo.segment(recordings, duration=settings.duration, purity=settings.purity)
    y, subjects = windows["label"].to_numpy(), windows["subject"].to_numpy()
    X = averaged_forms(dataset, windows, settings.duration)
    outer = StratifiedGroupKFold(OUTER, shuffle=True, random_state=0)
    rows, choices = [], []
    for fold, (train, test) in enumerate(outer.split(X, y, subjects)):
        for variant in VARIANTS:
            for model, make in MAKERS.items():
                tuned = Tuned(
                    model, lambda make=make: make("passthrough"), candidates(model, variant)
                )
                scores, chosen = tune(tuned, dataset, X, y, subjects, train, test)
                key = {"model": model, "variant": variant, "fold": fold}
                rows += [{**key, **row} for row in scores]
                choices.append({**key, **chosen})
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{dataset}.txt").write_text(describe_machine(), encoding="utf-8")
    for name, table in ((dataset, rows), (f"{dataset}-chosen", choices)):
        path = RESULTS / f"{name}.csv"
        pd.DataFrame(table).drop(columns="seed", errors="ignore").to_csv(
            path, index=False, float_format="%.6g"
        )


def run_splits(dataset, data_home):
    """Search as `run` does, for several outer splits and also trained on overlapping windows.

    Windows that overlap are never tested, and those that are tested are averaged without them.
    Only for the linear models: the search of SVM takes longer.
    """
    settings = DATASETS[dataset]
    recordings = list(decompose_conductance(settings.load(data_home, None, "raise")))
    tables, labels, owners = [], [], []
    for step in (settings.duration, settings.duration / 2):
        windows = skemo.segment(recordings, settings.duration, step, purity=settings.purity)
        tables.append(averaged_forms(dataset, windows, settings.duration))
        labels.append(windows["label"].to_numpy())
        owners.append(windows["subject"].to_numpy())
    X = pd.concat(tables, ignore_index=True)
    y, subjects = np.concatenate(labels), np.concatenate(owners)
    overlapping = np.arange(len(tables[0]), len(X))
    rows = []
    for split in range(SPLITS):
        outer = StratifiedGroupKFold(OUTER, shuffle=True, random_state=split)
        for train, test in outer.split(tables[0], labels[0], owners[0]):
            for inputs, (variant, fitted) in SPLIT_INPUTS.items():
                rows_to_fit = overlapping if fitted == "overlapping" else None
                for model in ("LDA", "logistic regression"):
                    tuned = Tuned(
                        model, partial(MAKERS[model], "passthrough"), candidates(model, variant)
                    )
                    scores, _ = tune(tuned, dataset, X, y, subjects, train, test, rows_to_fit)
                    key = {"model": model, "inputs": inputs, "split": split}
                    rows += [{**key, **row} for row in scores]
    table = pd.DataFrame(rows).drop(columns="seed")
    table.to_csv(RESULTS / f"{dataset}-splits.csv", index=False, float_format="%.6g")


def averaged_forms(dataset, windows, duration):
    """The inputs of the baselines, alone and averaged over each reach.

    No average goes beyond a subject, and folds are of subjects, so this can be done before them.
    """
    forms = compute_forms(windows, duration)
    keys = windows[["subject", "trial", "start"]].reset_index(drop=True)
    tables = []
    for form in forms_of(dataset, "features")[-1:]:
        table = forms[[name for name in forms if name.startswith(f"{form} ")]]
        table = table.rename(columns=lambda name, form=form: name.removeprefix(f"{form} "))
        tables.append(table.add_prefix(f"{form}|alone|0 "))
        for reach in REACHES[dataset]:
            for variant in ("both", "past"):
                step = skemo.ContextTransformer(reach, causal=variant == "past")
                averaged = step.fit_transform(table.join(keys))
                tables.append(averaged.add_prefix(f"{form}|{variant}|{reach} "))
    return pd.concat(tables, axis=1)


def candidates(model, variant):
    def list_candidates(dataset):
        reaches = (0,) if variant == "alone" else REACHES[dataset]
        forms = forms_of(dataset, "features")[-1:]
        grid = {f"model__classifier__{name}": values for name, values in GRIDS[model].items()}
        grid["inputs__form"] = [f"{form}|{variant}|{reach}" for form in forms for reach in reaches]
        return list(ParameterGrid(grid))

    return list_candidates


def report():
    text = ["# Windows in their context", (RESULTS / "how.md").read_text(encoding="utf-8")]
    for dataset in PAGES:
        table = pd.read_csv(RESULTS / f"{dataset}.csv", dtype={"subject": str})
        scores = 100 * table.pivot_table(
            "balanced_accuracy", "subject", ["model", "variant"], sort=False
        )
        explored = scores.index.isin(PAGES[dataset].chosen_on)
        text += [
            f"## {dataset}",
            (RESULTS / f"{dataset}.txt").read_text(encoding="utf-8"),
            to_markdown(describe_scores(scores, explored)),
            "### What context changes",
            to_markdown(describe_differences(scores, explored)),
            "### What was chosen",
            to_markdown(describe_choices(dataset)),
        ]
        if (RESULTS / f"{dataset}-splits.csv").exists():
            text += ["### Other splits of the subjects", to_markdown(describe_splits(dataset))]
    path = RESULTS.with_suffix(".md")
    path.write_text("\n\n".join(part.strip() for part in text) + "\n", encoding="utf-8")


def describe_scores(scores, explored):
    table = pd.DataFrame(
        {
            "mean": scores.mean(),
            "standard deviation": scores.std(),
            "explored": scores[explored].mean(),
            "never explored": scores[~explored].mean(),
        }
    ).map("{:.1f}".format)
    names = [f"{model}, {VARIANTS[variant]}" for model, variant in table.index]
    return table.set_axis(pd.Index(names, name="model"))


def describe_differences(scores, explored):
    rows, p_values = [], []
    pairs = [("both", "alone"), ("past", "alone"), ("both", "past")]
    for model in MAKERS:
        for one, other in pairs:
            difference = (scores[model, one] - scores[model, other]).round(9)
            low, high = bootstrap_interval(difference)
            p_values.append(wilcoxon_test(difference).p_value)
            counts = [int(np.sum(difference * sign > 0)) for sign in (1, -1)]
            rows.append(
                {
                    "": f"{model}: {VARIANTS[one]} − {VARIANTS[other]}",
                    "difference": f"{difference.mean():+.1f} [{low:+.1f}, {high:+.1f}]",
                    "better / worse / same": f"{counts[0]} / {counts[1]} / "
                    f"{len(difference) - sum(counts)}",
                    "p": f"{p_values[-1]:.3f}",
                    "never explored": f"{difference[~explored].mean():+.1f}",
                }
            )
    table = pd.DataFrame(rows)
    corrected = correct_p_values(p_values, "holm")
    table.insert(4, "p (Holm)", [f"{p:.3f}" for p in corrected])
    return table


def describe_choices(dataset):
    """How often each reach and input was chosen."""
    table = pd.read_csv(RESULTS / f"{dataset}-chosen.csv")
    rows = []
    for (model, variant), own in table.groupby(["model", "variant"], sort=False):
        params = pd.DataFrame(map(json.loads, own["chosen"]))
        counts = {name.split("__")[-1]: params[name].astype(str).value_counts() for name in params}
        rows.append(
            {
                "model": f"{model}, {VARIANTS[variant]}",
                "inner score": f"{100 * own['inner_score'].mean():.1f}",
                "chosen, and how often": "; ".join(
                    f"{name.replace('form', 'input, reach')}: "
                    + ", ".join(
                        f"{value.replace(f'|{variant}|', ' ')} ({n})" for value, n in values.items()
                    )
                    for name, values in counts.items()
                ),
            }
        )
    return pd.DataFrame(rows)


def describe_splits(dataset):
    """The mean over subjects for each split, and differences of the means over splits."""
    table = pd.read_csv(RESULTS / f"{dataset}-splits.csv", dtype={"subject": str})
    table["balanced_accuracy"] *= 100
    rows = []
    for model, own in table.groupby("model", sort=False):
        by_split = own.pivot_table("balanced_accuracy", "inputs", "split")
        scores = own.pivot_table("balanced_accuracy", "subject", "inputs")
        previous = None
        for inputs in SPLIT_INPUTS:
            row = {"model": f"{model}, {inputs}", "mean": f"{scores[inputs].mean():.1f}"}
            row["each split"] = ", ".join(f"{mean:.1f}" for mean in by_split.loc[inputs])
            row["from the row above"] = ""
            if previous is not None:
                difference = (scores[inputs] - scores[previous]).round(9)
                low, high = bootstrap_interval(difference)
                row["from the row above"] = f"{difference.mean():+.1f} [{low:+.1f}, {high:+.1f}]"
            rows.append(row)
            previous = inputs
    return pd.DataFrame(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "splits", "report"])
    parser.add_argument("dataset", nargs="?", choices=PAGES)
    parser.add_argument("--data-home", metavar="DIR", help="folder of the recordings")
    args = parser.parse_args()
    if args.what == "report":
        report()
    elif args.dataset is None or args.data_home is None:
        parser.error(f"{args.what} needs a data set and --data-home")
    elif args.what == "run":
        run(args.dataset, args.data_home)
    else:
        run_splits(args.dataset, args.data_home)
