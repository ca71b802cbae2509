"""Make results/missing-modality.md: the cross-modal network when a modality is missing.

    python benchmarks/missing_modality.py --data-home DIR

On Stress-Predict, leave-one-subject-out, per-subject: the network is trained on skin conductance
and pulse, with and without modality dropout, and tested on windows that have both and on windows
that lack one. It is compared with streams trained on one of them alone. Takes ten minutes on two
cores.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from comparisons import describe_machine, to_markdown
from joblib import Parallel, delayed
from sklearn.compose import ColumnTransformer
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline

from skemo import CrossModalAttentionClassifier, PerSubject, segment
from skemo.cli.experiments import compute_inputs, decompose_conductance, modality_inputs
from skemo.datasets import fetch_stress_predict

PAGE = Path(__file__).parent / "results" / "missing-modality.md"
DROPOUT = 0.3
MODALITIES = ("eda", "ppg")


def main(data_home):
    recordings = decompose_conductance(fetch_stress_predict(data_home))
    windows = segment(recordings, duration=60.0)
    inputs, columns = compute_inputs(windows, modality_inputs())
    columns = {name: columns["raw"][name][0] for name in MODALITIES}
    y, subjects = windows["label"].to_numpy(), windows["subject"].to_numpy()
    trained = [(MODALITIES, 0.0), (MODALITIES, DROPOUT), *(((name,), 0.0) for name in MODALITIES)]
    tasks = [
        delayed(try_one)(inputs, y, columns, subjects == subject, modalities, dropout)
        for subject in np.unique(subjects)
        for modalities, dropout in trained
    ]
    scores = [row for rows in Parallel(n_jobs=-1, verbose=1)(tasks) for row in rows]
    PAGE.write_text(describe(pd.DataFrame(scores)), encoding="utf-8")


def try_one(inputs, y, columns, tested, modalities, dropout):
    """Train on the other subjects; test with all modalities, and without each of them."""
    chosen = [*(columns[modality] for modality in modalities), "subject"]
    select = ColumnTransformer(
        [("columns", "passthrough", chosen)], verbose_feature_names_out=False
    ).set_output(transform="pandas")
    network = CrossModalAttentionClassifier(
        modality_dropout=dropout, class_weight="balanced", random_state=0
    )
    model = make_pipeline(select, PerSubject(), network).fit(inputs[~tested], y[~tested])
    rows = []
    for lacking in (None, *(modalities if len(modalities) > 1 else ())):
        windows = inputs[tested].copy()
        if lacking is not None:
            windows.loc[:, columns[lacking]] = np.nan
        rows.append(
            {
                "trained on": " and ".join(modalities),
                "modality dropout": dropout,
                "tested on": " and ".join(name for name in modalities if name != lacking),
                "score": 100 * balanced_accuracy_score(y[tested], model.predict(windows)),
            }
        )
    return rows


def describe(scores):
    keys = ["tested on", "trained on", "modality dropout"]
    table = scores.groupby(keys, sort=False)["score"].agg(["mean", "std"])
    table = table.sort_index(level=0, sort_remaining=False)
    table["balanced accuracy"] = [f"{mean:.1f} ± {std:.1f}" for mean, std in table.to_numpy()]
    n_subjects = scores.groupby(keys).size().iloc[0]
    return f"""\
# Without a modality

{describe_machine()}
What the cross-modal network does on windows that lack a modality, beside streams that were \
trained on one alone. Stress-Predict, windows of 60 s, leave-one-subject-out, per-subject; \
balanced accuracy in per cent, mean ± standard deviation over {n_subjects} subjects, 1 seed. \
Skin conductance comes first here, and the pulse in the comparison of all models: with the order \
the initial weights differ. Reproduce with `python benchmarks/missing_modality.py --data-home DIR`.

{to_markdown(table[["balanced accuracy"]].reset_index())}
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", metavar="DIR", help="folder of the recordings")
    main(parser.parse_args().data_home)
