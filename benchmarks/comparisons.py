"""Make the pages in results/: models, protocols and normalisations on recorded data.

    python benchmarks/comparisons.py stress_predict --data-home DIR

runs ``python -m skemo compare`` with every model, protocol and normalisation, and writes the page
from what it leaves; hours on two cores. What was finished is kept: after an interruption the same
command goes on. A folder of recordings is downloaded if it is empty.
"""

import argparse
import platform
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd

from skemo.cli.experiments import MODELS
from skemo.cli.main import main
from skemo.displays import SubjectScoresDisplay
from skemo.evaluation.controls import MAJORITY
from skemo.evaluation.statistics import bootstrap_interval, wilcoxon_test

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("skemo", "torch", "skorch", "scikit-learn", "numpy", "scipy", "pandas")


OPTIONS = ["--models", "attention,basic,cross-modal,late-fusion,svm,random-forest,lda,dummy"]
OPTIONS += ["--normalization", "both", "--n-splits", "5"]


class Page(NamedTuple):
    """A page of results: its title and a note on the data.

    `chosen_on` are subjects on which defaults were chosen, and `choice` says how.
    """

    title: str
    note: str
    chosen_on: tuple
    choice: str


PAGES = {
    "eegmat": Page(
        "EEG During Mental Arithmetic: models, protocols, normalisations",
        "The labels are rest and mental arithmetic, on 24 subjects of the data set. Rest came "
        "first and with closed eyes, so that the condition is confounded with the order: these "
        "numbers say how well the two recordings are told apart, not workload as such.",
        ("00", "02", "06", "08", "11", "14", "17", "21", "24", "27", "30", "33"),
        "The defaults of the modality-aware network were chosen among some two dozen settings, on "
        "every other subject, by 6-fold cross-validation over these, per-subject. For the "
        "cross-modal network nothing was chosen on this data set.",
    ),
    "stress_predict": Page(
        "Stress-Predict: models, protocols, normalisations",
        "Skin conductance and pulse of a wristband; stress is a Stroop test, an interview and "
        "hyperventilation, rest is what lies between. Of the 24 subjects at hand one has no "
        "labels. Skin conductance was decomposed on the whole recording.",
        ("S02", "S05", "S08", "S10", "S13", "S16", "S19", "S22", "S25", "S27", "S30", "S34"),
        "The defaults of the cross-modal network were chosen among sixteen settings on every "
        "second subject, by 4-fold cross-validation over these; those of the modality-aware "
        "network on another data set.",
    ),
}
EFFECTS = (("attention", "basic"), ("cross-modal", "late-fusion"))


def run(name, data_home, n_jobs):
    folder = RESULTS / name
    options = ["--dataset", name, "--data-home", data_home, "--n-jobs", str(n_jobs), *OPTIONS]
    honest = "leave-one-subject-out"
    main(["compare", *options, "--protocol", honest, "--output", str(folder)])
    page = (folder / "report.html").read_text(encoding="utf-8")  # the whole one is too large
    page = page.replace(str(folder), "DIR").replace(data_home, "DIR")
    (folder / f"{honest}.html").write_text(page, encoding="utf-8")
    main(["compare", *options, "--protocol", "all", "--output", str(folder)])
    (folder / "measured.txt").write_text(describe_machine(), encoding="utf-8")
    report(name)


def describe_machine():
    names = [*PACKAGES, "numba"] if find_spec("numba") else PACKAGES
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"Measured on {date.today():%Y-%m-%d}, on {joblib.cpu_count()} cores of an "
        f"{platform.machine()} machine; Python {platform.python_version()}, {packages}.\n"
    )


def report(name):
    page, folder = PAGES[name], RESULTS / name
    scores = pd.read_csv(folder / "scores.csv", dtype={"subject": str})
    scores = scores[scores["protocol"] == "leave-one-subject-out"]  # where a fold is a subject
    text = [
        f"# {page.title}",
        f"{page.note} Reproduce with `python benchmarks/comparisons.py {name} --data-home DIR`. "
        f"[The report]({name}/leave-one-subject-out.html) has leave-one-subject-out with figures.",
        (folder / "measured.txt").read_text(encoding="utf-8"),
        f"![Balanced accuracy of each subject and model, leave-one-subject-out]({name}/scores.png)",
        (folder / "table.md").read_text(encoding="utf-8").split("\n", 1)[1],
        "## Subjects on which nothing was chosen",
        f"{page.choice} These subjects were {', '.join(page.chosen_on)}. Leave-one-subject-out as "
        "above, balanced accuracy in per cent, on these and on the others:",
        to_markdown(by_choice(page, scores)),
        "## What the parts contribute",
        "Leave-one-subject-out, balanced accuracy in per cent. The interval is a 95 % bootstrap "
        "interval of the mean difference over subjects (BCa), the p-value that of Wilcoxon's "
        "signed-rank test over subjects, not corrected for several comparisons.",
        to_markdown(pd.DataFrame([row for pair in EFFECTS for row in compare_two(*pair, scores)])),
    ]
    draw(scores, folder / "scores.png")
    path = RESULTS / f"{name}.md"
    path.write_text("\n\n".join(part.strip() for part in text) + "\n", encoding="utf-8")


def draw(scores, path):
    """Each subject and model, as they are and measured against the subject's own windows."""
    import matplotlib.pyplot as plt

    shown = scores[scores["model"] != MAJORITY]
    n_models = shown["model"].nunique()
    figure, axes = plt.subplots(1, 2, figsize=(11, 1 + 0.75 * n_models), layout="constrained")
    parts = shown.groupby("normalization", sort=False)
    for ax, (normalization, own) in zip(axes, parts, strict=True):
        table = own.pivot_table("balanced_accuracy", "subject", "model", sort=False)
        bounds = {model: bootstrap_interval(values) for model, values in table.items()}
        intervals = pd.DataFrame.from_dict(bounds, "index", columns=["low", "high"])
        display = SubjectScoresDisplay(
            table,
            intervals=intervals,
            chance=0.5,
            protocol=f"leave-one-subject-out, {normalization}",
        )
        display.plot(ax)
    figure.savefig(path, dpi=90)


def by_choice(page, scores):
    side = np.where(scores["subject"].isin(page.chosen_on), "chosen on", "others")
    keys = ["model", "normalization", side]
    means = 100 * scores.groupby(keys, sort=False)["balanced_accuracy"].mean()
    return means.unstack(["normalization", 2]).map("{:.1f}".format)


def compare_two(one, other, scores):
    """A row a normalisation: by how much the first model is better than the second."""
    first, second = MODELS[one].title, MODELS[other].title
    for normalization, own in scores.groupby("normalization", sort=False):
        subjects = own.pivot_table("balanced_accuracy", "subject", "model") * 100
        difference = (subjects[first] - subjects[second]).round(3)  # so that ties are ties
        low, high = bootstrap_interval(difference)
        yield {
            "": f"{first} − {second}",
            "normalisation": normalization,
            "scores": f"{subjects[first].mean():.1f}, {subjects[second].mean():.1f}",
            "difference": f"{difference.mean():+.1f} [{low:+.1f}, {high:+.1f}]",
            "better / worse / same": f"{(difference > 0).sum()} / {(difference < 0).sum()} / "
            f"{(difference == 0).sum()}",
            "p": f"{wilcoxon_test(difference).p_value:.2f}",
        }


def to_markdown(table):
    if isinstance(table.columns, pd.MultiIndex):
        table = table.set_axis([", ".join(names) for names in table.columns], axis=1)
    if table.index.name is not None:
        table = table.reset_index()
    rows = [list(table.columns), ["---"] + ["---:"] * (table.shape[1] - 1)]
    rows += table.astype(str).to_numpy().tolist()
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=PAGES)
    parser.add_argument("--data-home", metavar="DIR", help="folder of the recordings")
    parser.add_argument("--n-jobs", type=int, default=joblib.cpu_count(), metavar="N")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    args = parser.parse_args()
    if args.page:
        report(args.dataset)
    elif args.data_home is None:
        parser.error("--data-home names the folder of the recordings")
    else:
        run(args.dataset, args.data_home, args.n_jobs)
