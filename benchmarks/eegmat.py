"""Make results/eegmat.md: all models, protocols and normalisations on recorded ECG and EEG.

    python benchmarks/eegmat.py run --data-home DIR     the comparisons, 40 minutes on two cores
    python benchmarks/eegmat.py report                  the page, from what `run` left

`run` calls ``python -m skemo compare`` twice: once with everything, and once with the network with
and without attention over several seeds. The folder of the recordings is downloaded if it is empty.
"""

import argparse
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from scipy.stats import bootstrap, wilcoxon

from skemo.cli import MODELS, main

RESULTS = Path(__file__).parent / "results"
COMPARISON, SEEDS = RESULTS / "eegmat", RESULTS / "eegmat-seeds"
MEASURED = COMPARISON / "measured.txt"
PACKAGES = ("skemo", "torch", "skorch", "scikit-learn", "numpy", "scipy", "pandas")

# On these the defaults of the network were chosen, by cross-validation among them.
CHOSEN_ON = ("00", "02", "06", "08", "11", "14", "17", "21", "24", "27", "30", "33")


def run(data_home, n_seeds):
    common = ["compare", "--dataset", "eegmat", "--data-home", data_home]
    common += ["--normalization", "both"]
    main([*common, "--protocol", "all", "--output", str(COMPARISON)])
    networks = ["--models", "attention,basic", "--seeds", str(n_seeds)]
    main([*common, *networks, "--output", str(SEEDS)])
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    MEASURED.write_text(
        f"Measured on {date.today():%Y-%m-%d}, on {joblib.cpu_count()} cores of an "
        f"{platform.machine()} machine; Python {platform.python_version()}, {packages}.\n",
        encoding="utf-8",
    )


def report():
    text = [
        "# EEG During Mental Arithmetic: models, protocols, normalisations",
        MEASURED.read_text(encoding="utf-8"),
        "The labels are rest and mental arithmetic, on 24 subjects of the data set. "
        "Rest came first and with closed eyes, so that the condition is confounded with the "
        "order: these numbers say how well the two recordings are told apart, not workload as "
        "such. Reproduce with `python benchmarks/eegmat.py run --data-home DIR` and "
        "`python benchmarks/eegmat.py report`.",
        demote_titles((COMPARISON / "table.md").read_text(encoding="utf-8")),
        "## Subjects on which nothing was chosen",
        "The defaults of the network were chosen among some two dozen settings, on every other "
        f"subject ({', '.join(CHOSEN_ON)}), by 6-fold cross-validation over these, per-subject. "
        "Leave-one-subject-out as above, balanced accuracy in per cent, on these twelve and on "
        "the twelve others:",
        to_markdown(by_choice()),
        "## Attention against no attention",
        "Leave-one-subject-out, balanced accuracy in per cent, averaged over "
        f"{read(SEEDS)['seed'].nunique()} seeds for each subject. The interval is a 95 % "
        "bootstrap interval of the mean difference over subjects (BCa), the p-value that of "
        "Wilcoxon's signed-rank test over subjects.",
        to_markdown(attention_effect()),
    ]
    path = RESULTS / "eegmat.md"
    path.write_text("\n\n".join(part.strip() for part in text) + "\n", encoding="utf-8")


def read(folder):
    """Leave-one-subject-out scores, where a fold is a subject."""
    scores = pd.read_csv(folder / "scores.csv", dtype={"subject": str})
    return scores[scores["protocol"] == "leave-one-subject-out"]


def by_choice():
    scores = read(COMPARISON)
    side = np.where(scores["subject"].isin(CHOSEN_ON), "chosen on", "others")
    keys = ["model", "normalization", side]
    means = 100 * scores.groupby(keys, sort=False)["balanced_accuracy"].mean()
    return means.unstack(["normalization", 2]).map("{:.1f}".format)


def attention_effect():
    rows = {}
    attention, basic = MODELS["attention"].title, MODELS["basic"].title
    for normalization, scores in read(SEEDS).groupby("normalization", sort=False):
        per_seed = scores.groupby(["model", "seed"])["balanced_accuracy"].mean() * 100
        subjects = scores.pivot_table("balanced_accuracy", "subject", "model") * 100
        difference = subjects[attention] - subjects[basic]
        interval = bootstrap([difference], np.mean, rng=np.random.default_rng(0))
        low, high = interval.confidence_interval
        rows[normalization] = {
            **{
                f"{name} (seeds)": f"{per_seed[name].mean():.1f} "
                f"({', '.join(f'{score:.1f}' for score in per_seed[name])})"
                for name in (attention, basic)
            },
            "difference": f"{difference.mean():+.1f} [{low:+.1f}, {high:+.1f}]",
            "better / worse / same": f"{(difference > 0).sum()} / {(difference < 0).sum()} / "
            f"{(difference == 0).sum()}",
            "p": f"{wilcoxon(difference).pvalue:.2f}",
        }
    return pd.DataFrame(rows).T


def demote_titles(markdown):
    """Without its first title, and the others one level down."""
    lines = markdown.splitlines()[1:]
    return "\n".join(f"#{line}" if line.startswith("##") else line for line in lines)


def to_markdown(table):
    if isinstance(table.columns, pd.MultiIndex):
        table = table.set_axis([", ".join(names) for names in table.columns], axis=1)
    rows = [["", *table.columns], ["---"] + ["---:"] * table.shape[1]]
    rows += [[name, *cells] for name, cells in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "report"])
    parser.add_argument("--data-home", metavar="DIR", help="folder of the recordings")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="default: 3")
    args = parser.parse_args()
    if args.what == "run":
        if args.data_home is None:
            parser.error("run needs --data-home")
        run(args.data_home, args.seeds)
    else:
        report()
