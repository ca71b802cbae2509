"""Make the pages in results/: models, protocols and normalisations on recorded data.

    python benchmarks/comparisons.py run stress_predict --data-home DIR
    python benchmarks/comparisons.py report stress_predict

`run` calls ``python -m skemo compare`` for each table of a page, or for those that ``--table``
names; an hour for a page on two cores. `report` writes the page from what `run` left. A folder
of recordings is downloaded if it is empty.
"""

import argparse
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from scipy.stats import bootstrap, wilcoxon

from skemo.cli import main
from skemo.experiments import MODELS

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("skemo", "torch", "skorch", "scikit-learn", "numpy", "scipy", "pandas")


class Page(NamedTuple):
    """A page of results: what stands on it, and the tables that it is made of.

    `tables` maps a folder to the options of the command line. `chosen_on` are subjects on
    which defaults were chosen, and `choice` says how. `effects` are the models to hold
    against each other, and the table that has them.
    """

    title: str
    note: str
    tables: dict
    chosen_on: tuple
    choice: str
    effects: tuple


PAGES = {
    "eegmat": Page(
        "EEG During Mental Arithmetic: models, protocols, normalisations",
        "The labels are rest and mental arithmetic, on 24 subjects of the data set. Rest came "
        "first and with closed eyes, so that the condition is confounded with the order: these "
        "numbers say how well the two recordings are told apart, not workload as such.",
        {
            "eegmat": [
                *("--models", "attention,basic,svm,random-forest,lda,dummy"),
                *("--protocol", "all"),
            ],
            "eegmat-seeds": ["--models", "attention,basic", "--seeds", "3"],
            "eegmat-streams": ["--models", "cross-modal,late-fusion,single"],
        },
        ("00", "02", "06", "08", "11", "14", "17", "21", "24", "27", "30", "33"),
        "The defaults of the modality-aware network were chosen among some two dozen settings, on "
        "every other subject, by 6-fold cross-validation over these, per-subject. For the "
        "cross-modal network nothing was chosen on this data set.",
        (("attention", "basic", "eegmat-seeds"), ("cross-modal", "late-fusion", "eegmat-streams")),
    ),
    "stress_predict": Page(
        "Stress-Predict: both networks, their ablations, and the baselines",
        "Skin conductance and pulse of a wristband; stress is a Stroop test, an interview and "
        "hyperventilation, rest is what lies between. Of the 24 subjects at hand one has no "
        "labels. Skin conductance was decomposed on the whole recording.",
        {"stress_predict": ["--models", ",".join(MODELS)]},
        ("S02", "S05", "S08", "S10", "S13", "S16", "S19", "S22", "S25", "S27", "S30", "S34"),
        "The defaults of the cross-modal network were chosen among sixteen settings on every "
        "second subject, by 4-fold cross-validation over these; those of the modality-aware "
        "network on another data set.",
        (
            ("attention", "basic", "stress_predict"),
            ("cross-modal", "late-fusion", "stress_predict"),
        ),
    ),
}


def run(name, data_home, tables):
    page = PAGES[name]
    for table in tables or page.tables:
        folder = RESULTS / table
        options = ["--dataset", name, "--data-home", data_home, "--normalization", "both"]
        main(["compare", *options, *page.tables[table], "--output", str(folder)])
        (folder / "measured.txt").write_text(describe_machine(), encoding="utf-8")


def describe_machine():
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"Measured on {date.today():%Y-%m-%d}, on {joblib.cpu_count()} cores of an "
        f"{platform.machine()} machine; Python {platform.python_version()}, {packages}.\n"
    )


def report(name):
    page = PAGES[name]
    text = [
        f"# {page.title}",
        f"{page.note} Reproduce with `python benchmarks/comparisons.py run {name} --data-home DIR` "
        f"and `python benchmarks/comparisons.py report {name}`.",
    ]
    for table, options in page.tables.items():
        if "--seeds" in options:
            continue
        folder = RESULTS / table
        text += [
            f"## {table}",
            (folder / "measured.txt").read_text(encoding="utf-8"),
            demote_titles((folder / "table.md").read_text(encoding="utf-8")),
        ]
    text += [
        "## Subjects on which nothing was chosen",
        f"{page.choice} These subjects were {', '.join(page.chosen_on)}. Leave-one-subject-out as "
        "above, balanced accuracy in per cent, on these and on the others:",
        to_markdown(by_choice(page)),
        "## What the parts contribute",
        "Leave-one-subject-out, balanced accuracy in per cent, averaged over the seeds for each "
        "subject. The interval is a 95 % bootstrap interval of the mean difference over subjects "
        "(BCa), the p-value that of Wilcoxon's signed-rank test over subjects, not corrected for "
        "several comparisons.",
        to_markdown(pd.DataFrame([row for effect in page.effects for row in compare_two(*effect)])),
    ]
    path = RESULTS / f"{name}.md"
    path.write_text("\n\n".join(part.strip() for part in text) + "\n", encoding="utf-8")


def read(table):
    """Leave-one-subject-out scores, where a fold is a subject."""
    scores = pd.read_csv(RESULTS / table / "scores.csv", dtype={"subject": str})
    return scores[scores["protocol"] == "leave-one-subject-out"]


def by_choice(page):
    tables = [table for table, options in page.tables.items() if "--seeds" not in options]
    scores = pd.concat(map(read, tables))
    side = np.where(scores["subject"].isin(page.chosen_on), "chosen on", "others")
    keys = ["model", "normalization", side]
    means = 100 * scores.groupby(keys, sort=False)["balanced_accuracy"].mean()
    return means.unstack(["normalization", 2]).map("{:.1f}".format)


def compare_two(one, other, table):
    """A row a normalisation: by how much the first model is better than the second."""
    first, second = MODELS[one].title, MODELS[other].title
    for normalization, scores in read(table).groupby("normalization", sort=False):
        subjects = scores.pivot_table("balanced_accuracy", "subject", "model") * 100
        difference = subjects[first] - subjects[second]
        interval = bootstrap([difference], np.mean, rng=np.random.default_rng(0))
        low, high = interval.confidence_interval
        yield {
            "": f"{first} − {second}",
            "normalisation": normalization,
            "seeds": scores["seed"].nunique(),
            "scores": f"{subjects[first].mean():.1f}, {subjects[second].mean():.1f}",
            "difference": f"{difference.mean():+.1f} [{low:+.1f}, {high:+.1f}]",
            "better / worse / same": f"{(difference > 0).sum()} / {(difference < 0).sum()} / "
            f"{(difference == 0).sum()}",
            "p": f"{wilcoxon(difference).pvalue:.2f}",
        }


def demote_titles(markdown):
    """Without its first title, and the others one level down."""
    lines = markdown.splitlines()[1:]
    return "\n".join(f"#{line}" if line.startswith("##") else line for line in lines)


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
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("dataset", choices=PAGES)
    parser.add_argument("--data-home", metavar="DIR", help="folder of the recordings")
    parser.add_argument("--table", action="append", metavar="NAME", help="only this one")
    args = parser.parse_args()
    if args.what == "run":
        if args.data_home is None:
            parser.error("run needs --data-home")
        run(args.dataset, args.data_home, args.table)
    else:
        report(args.dataset)
