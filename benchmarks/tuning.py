"""Make results/tuning.md: networks and baselines, each tuned by nested search by subject.

    python benchmarks/tuning.py run eegmat --data-home DIR
    python benchmarks/tuning.py report

`run` distributes the subjects over outer folds. Within the training subjects of a fold, the
hyper-parameters of every model are chosen by inner folds, also by subject; the model is then fitted
to all training subjects and tested on the fold. Each fold is saved when it ends, so `run` can be
interrupted and called again. `report` writes the page from the saved folds.
"""

import argparse
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from comparisons import PAGES, describe_machine, to_markdown
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    ParameterSampler,
    StratifiedGroupKFold,
)
from sklearn.pipeline import Pipeline

import skemo
from skemo.cli.experiments import DATASETS, decompose_conductance, modality_inputs
from skemo.evaluation.statistics import bootstrap_interval, wilcoxon_test

RESULTS = Path(__file__).parent / "results" / "tuning"
OUTER, INNER = 6, 3  # folds
CANDIDATES = 8  # settings of a network
WIDTHS = (4, 8)  # filters
SEEDS = 2
MEMBERS = 5  # of the network that is tested; those compared in the search have one
LARGEST = 3.0  # standard deviations of a subject's windows, beyond which a feature is cut off


class Tuned(NamedTuple):
    """A model: its title, how it is made, its candidate settings, and its number of seeds.

    ``make()`` gives an estimator over what `Choose` selects; ``candidates(dataset)`` lists
    parameters of the Pipeline of both.
    """

    title: str
    make: object
    candidates: object
    n_seeds: int = 1


class Choose(TransformerMixin, BaseEstimator):
    """Selects the precomputed columns of one form of input.

    Parameters
    ----------
    form : str
        Prefix of the names of the columns.
    """

    def __init__(self, form):
        self.form = form

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        start = f"{self.form} "
        return X[[name for name in X if name.startswith(start)]]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.allow_nan = True
        return tags


def compute_forms(windows, duration):
    """All inputs, standardised by each subject's own windows, and the subject.

    "features" are those of the baselines, cut off at three standard deviations, a column each;
    "vectors" are the same as a series of length one for each modality, for the networks. With a
    pulse there are "pulse-features" and "pulse-vectors" too, to which `pulse_energies` is added.
    """
    subject = windows["subject"].to_numpy()
    forms = {}
    for name, inputs in modality_inputs().items():
        if name in windows:
            transformer = skemo.make_modality_transformer(**{name: inputs.features})
            table = _standardize(transformer.fit_transform(windows), subject)
            forms |= _both("", name, table, duration)
            if "ppg" in windows:
                if name == "ppg":
                    energies = _standardize(pulse_energies(windows[["ppg"]]), subject)
                    table = pd.concat([table, energies], axis=1)
                forms |= _both("pulse-", name, table, duration)
    return pd.DataFrame({**forms, "subject": subject})


def _standardize(table, subject):
    table = table.reset_index(drop=True).assign(subject=subject)
    return skemo.PerSubject().fit_transform(table).clip(-LARGEST, LARGEST)


def _both(prefix, name, table, duration):
    vectors = skemo.SignalArray(
        table.to_numpy(np.float32)[:, :, np.newaxis],
        sampling_rate=1 / duration,
        channels=list(table),
    )
    columns = {f"{prefix}features {column}": table[column] for column in table}
    return {**columns, f"{prefix}vectors {name}": vectors}


def pulse_energies(windows):
    """Logarithmic energy of the pulse in four bands: in the window, and its spread within it."""
    bands = {"slow": (0.1, 0.6), "beat": (0.6, 3.5), "shape": (3.5, 8.0), "fast": (8.0, 16.0)}
    whole, parts = (
        skemo.DifferentialEntropyTransformer(bands=bands, sub_windows=n).fit_transform(windows)
        for n in (1, 10)
    )
    parts = parts.reshape(len(windows), len(bands), 10)
    table = {}
    for i, band in enumerate(bands):
        table[f"{band}_mean"] = whole[:, i]
        table[f"{band}_spread"] = parts[:, i].std(axis=1)
        table[f"{band}_median"] = np.median(parts[:, i], axis=1)
        table[f"{band}_least"] = parts[:, i].min(axis=1)
    return pd.DataFrame(table)


def forms_of(dataset, kind):
    return [kind, f"pulse-{kind}"] if dataset == "stress_predict" else [kind]


def network_candidates(dataset):
    """Randomly drawn settings of a network, with the same number for each width."""
    space = {
        "inputs__form": forms_of(dataset, "vectors")[-1:],
        "model__lr": [0.002, 0.004],
        "model__input_noise": [0.3, 0.6, 0.9, 1.2],
        "model__dropout": [0.2, 0.5],
        "model__weight_decay": [0.01, 0.1],
    }
    drawn = list(ParameterSampler(space, CANDIDATES, random_state=0))
    return [
        {**params, "model__n_filters": WIDTHS[len(WIDTHS) * i // CANDIDATES]}
        for i, params in enumerate(drawn)
    ]


def svm_candidates(dataset):
    grid = {
        "inputs__form": forms_of(dataset, "features"),
        "model__classifier__C": [0.01, 0.1, 1.0, 10.0, 100.0],
        "model__classifier__gamma": ["scale", 0.0003, 0.001, 0.003, 0.01, 0.03],
    }
    return list(ParameterGrid(grid))


def forest_candidates(dataset):
    grid = {
        "inputs__form": forms_of(dataset, "features"),
        "model__classifier__min_samples_leaf": [1, 3, 10],
        "model__classifier__max_features": ["sqrt", 0.3],
    }
    return list(ParameterGrid(grid))


def lda_candidates(dataset):
    grid = {
        "inputs__form": forms_of(dataset, "features"),
        "model__classifier__shrinkage": ["auto", 0.1, 0.3, 0.5, 0.7, 0.8, 0.9],
        "model__classifier__priors": [None, [0.5, 0.5]],
    }
    return list(ParameterGrid(grid))


def logistic_candidates(dataset):
    grid = {
        "inputs__form": forms_of(dataset, "features"),
        "model__classifier__C": [0.0003, 0.001, 0.003, 0.01, 0.1, 1.0],
    }
    return list(ParameterGrid(grid))


def make_modality_aware(**settings):
    network = skemo.ModalityAwareAttentionClassifier(
        kernel_size=1, depth=1, max_epochs=20, **settings
    )
    return network.set_params(class_weight="balanced", random_state=0)


def make_cross_modal(**settings):
    network = skemo.CrossModalAttentionClassifier(
        n_blocks=2,
        stages=1,
        kernel_size=1,
        pool_size=1,
        max_epochs=20,
        batch_size=64,
        **settings,
    )
    return network.set_params(class_weight="balanced", random_state=0)


TUNED = {
    "attention": Tuned("modality-aware attention", make_modality_aware, network_candidates, SEEDS),
    "basic": Tuned(
        "without attention (basic)",
        lambda: make_modality_aware(attention=None),
        network_candidates,
        SEEDS,
    ),
    "svm": Tuned("SVM", lambda: skemo.make_svm("passthrough"), svm_candidates),
    "lda": Tuned("LDA", lambda: skemo.make_lda("passthrough"), lda_candidates),
    "logistic-regression": Tuned(
        "logistic regression",
        lambda: skemo.make_logistic_regression("passthrough"),
        logistic_candidates,
    ),
    "random-forest": Tuned(
        "random forest",
        lambda: skemo.make_random_forest("passthrough", random_state=0),
        forest_candidates,
        SEEDS,
    ),
    "cross-modal": Tuned("cross-modal attention", make_cross_modal, network_candidates, SEEDS),
    "late-fusion": Tuned(
        "without connections (late fusion)",
        lambda: make_cross_modal(direction=None),
        network_candidates,
        SEEDS,
    ),
}
BASELINES = ("svm", "random-forest", "lda", "logistic-regression")
ABLATIONS = (("attention", "basic"), ("cross-modal", "late-fusion"))


def run(dataset, data_home, names):
    settings = DATASETS[dataset]
    recordings = decompose_conductance(settings.load(data_home, None, "raise"))
    windows = skemo.segment(recordings, duration=settings.duration, purity=settings.purity)
    X, y = compute_forms(windows, settings.duration), windows["label"].to_numpy()
    subjects = X["subject"].to_numpy()
    outer = StratifiedGroupKFold(OUTER, shuffle=True, random_state=0)
    folds = list(outer.split(X, y, subjects))
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{dataset}.txt").write_text(describe_machine(), encoding="utf-8")
    for name in names or TUNED:
        for fold, (train, test) in enumerate(folds):
            if (name, fold) not in done(dataset):
                rows, chosen = tune(TUNED[name], dataset, X, y, subjects, train, test)
                key = {"model": name, "fold": fold}
                append(RESULTS / f"{dataset}-chosen.csv", [{**key, **chosen}])
                append(RESULTS / f"{dataset}.csv", [{**key, **row} for row in rows])


def done(dataset):
    path = RESULTS / f"{dataset}.csv"
    if not path.exists():
        return set()
    table = pd.read_csv(path)
    return set(zip(table["model"], table["fold"], strict=True))


def append(path, rows):
    """Append rows to a file, replacing it at once so that it is never incomplete."""
    table = pd.DataFrame(rows)
    if path.exists():
        table = pd.concat([pd.read_csv(path, dtype={"subject": str}), table])
    part = path.with_suffix(".part")
    table.to_csv(part, index=False, float_format="%.6g")
    os.replace(part, path)


def tune(tuned, dataset, X, y, subjects, train, test, fitted=None):
    """Choose one of the candidates on the training subjects, and test it.

    With positions `fitted`, these rows of the training subjects are fitted in place of `train`,
    on which the candidates are still compared.
    """

    def rows_to_fit(rows):
        return rows if fitted is None else fitted[np.isin(subjects[fitted], subjects[rows])]

    pipeline = Pipeline([("inputs", Choose("features")), ("model", tuned.make())])
    inner = StratifiedGroupKFold(INNER, shuffle=True, random_state=0)
    inner = inner.split(train, y[train], subjects[train])
    search = GridSearchCV(
        pipeline,
        [{k: [value] for k, value in params.items()} for params in tuned.candidates(dataset)],
        scoring="balanced_accuracy",
        cv=[(rows_to_fit(train[some]), train[others]) for some, others in inner],
        refit=False,
        n_jobs=-1,
    )
    search.fit(X, y)
    best = search.cv_results_["params"][search.cv_results_["rank_test_score"].argmin()]
    model = clone(pipeline).set_params(**best)
    if "model__n_members" in model.get_params():
        model.set_params(model__n_members=MEMBERS)
    rows, fit = [], rows_to_fit(train)
    for seed in range(tuned.n_seeds):
        seeds = [name for name in model.get_params() if name.endswith("__random_state")]
        if tuned.n_seeds > 1:
            model.set_params(**dict.fromkeys(seeds, seed))
        predicted = clone(model).fit(X.iloc[fit], y[fit]).predict(X.iloc[test])
        for subject in np.unique(subjects[test]):
            own = subjects[test] == subject
            score = balanced_accuracy_score(y[test][own], predicted[own])
            rows.append({"seed": seed, "subject": subject, "balanced_accuracy": score})
    score = max(search.cv_results_["mean_test_score"])
    return rows, {"inner_score": score, "chosen": json.dumps(best)}


def report():
    text = [
        "# Networks and baselines, each tuned by nested search",
        (RESULTS / "how.md").read_text(),
    ]
    for dataset in PAGES:
        scores = read(dataset)
        text += [
            f"## {dataset}",
            (RESULTS / f"{dataset}.txt").read_text(encoding="utf-8"),
            to_markdown(describe_scores(dataset, scores)),
            "### Differences",
            to_markdown(pd.DataFrame(describe_differences(dataset, scores))),
            "### What was chosen",
            to_markdown(pd.DataFrame(describe_choices(dataset, scores))),
        ]
    text.append((RESULTS / "tried.md").read_text(encoding="utf-8"))
    path = RESULTS.with_suffix(".md")
    path.write_text("\n\n".join(part.strip() for part in text) + "\n", encoding="utf-8")


def read(dataset):
    """Balanced accuracy in per cent, averaged over seeds: a row per subject, a column per model.

    A model without all of its folds is left out.
    """
    table = pd.read_csv(RESULTS / f"{dataset}.csv", dtype={"subject": str})
    scores = 100 * table.pivot_table("balanced_accuracy", "subject", "model")
    return scores[[name for name in TUNED if name in scores]].dropna(axis=1)


def describe_scores(dataset, scores):
    explored = scores.index.isin(PAGES[dataset].chosen_on)
    table = pd.DataFrame(
        {
            "mean": scores.mean(),
            "standard deviation": scores.std(),
            "explored": scores[explored].mean(),
            "never explored": scores[~explored].mean(),
        }
    )
    table.index = pd.Index([TUNED[name].title for name in table.index], name="model")
    return table.map("{:.1f}".format)


def describe_differences(dataset, scores):
    """A row per pair: every network against every baseline, and against its ablation."""
    networks = [name for pair in ABLATIONS for name in pair if name in scores]
    pairs = [pair for pair in ABLATIONS if set(pair) <= set(scores)]
    pairs += [(one, other) for one in networks for other in BASELINES if other in scores]
    others = ~scores.index.isin(PAGES[dataset].chosen_on)
    for one, other in pairs:
        difference = (scores[one] - scores[other]).round(9)
        low, high = bootstrap_interval(difference)
        yield {
            "": f"{TUNED[one].title} − {TUNED[other].title}",
            "difference": f"{difference.mean():+.1f} [{low:+.1f}, {high:+.1f}]",
            "better / worse / same": f"{(difference > 0).sum()} / {(difference < 0).sum()} / "
            f"{(difference == 0).sum()}",
            "p": f"{wilcoxon_test(difference).p_value:.2f}",
            "never explored": f"{difference[others].mean():+.1f}",
        }


def describe_choices(dataset, scores):
    """How many folds chose each value."""
    table = pd.read_csv(RESULTS / f"{dataset}-chosen.csv")
    for name in scores:
        chosen = table[table["model"] == name]
        params = pd.DataFrame(map(json.loads, chosen["chosen"]))
        counts = {column: params[column].astype(str).value_counts() for column in params}
        yield {
            "model": TUNED[name].title,
            "inner score": f"{100 * chosen['inner_score'].mean():.1f}",
            "chosen, and how often": "; ".join(
                f"{column.split('__')[-1]}: "
                + ", ".join(f"{value} ({n})" for value, n in values.items())
                for column, values in counts.items()
            ),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("dataset", nargs="?", choices=PAGES)
    parser.add_argument("--data-home", metavar="DIR", help="folder of the recordings")
    parser.add_argument("--model", action="append", choices=TUNED, help="only this one")
    args = parser.parse_args()
    if args.what == "run":
        if args.dataset is None or args.data_home is None:
            parser.error("run needs a data set and --data-home")
        run(args.dataset, args.data_home, args.model)
    else:
        report()
