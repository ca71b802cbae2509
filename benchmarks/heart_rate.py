"""Make results/heart-rate.md: the heart rate of the next minute, predicted by subject.

    python benchmarks/heart_rate.py --data-home DIR

On Stress-Predict, leaving out one subject at a time: the skin conductance and the pulse of a minute
predict the mean heart rate of the next, a graded target that the recordings themselves provide. The
rate of the present minute alone is the baseline to beat. Takes about ten minutes on one core.
"""

import argparse
from pathlib import Path

import numpy as np
from comparisons import describe_machine
from sklearn.pipeline import make_pipeline

import skemo
from skemo.cli.experiments import decompose_conductance
from skemo.datasets import fetch_stress_predict

PAGE = Path(__file__).parent / "results" / "heart-rate.md"
DURATION = 60.0
PRESENT = "ridge on the present rate"


def heart_rates(windows):
    """Return the mean heart rate of each window, in beats per minute; NaN where it is missing."""
    hrv = skemo.HRVTransformer("features", signal="ppg", features=["HRV_MeanNN"])
    return 60_000 / hrv.fit_transform(windows[["ppg"]]).ravel()


def next_of(windows, values):
    """Return the value of the next window of the same trial; NaN where there is none."""
    same = windows["subject"].to_numpy()[1:] == windows["subject"].to_numpy()[:-1]
    follows = same & np.isclose(np.diff(windows["start"]), DURATION)
    following = np.where(follows, values[1:], np.nan)
    return np.append(following, np.nan)


def make_models():
    features = skemo.make_modality_transformer(
        eda=skemo.EDATransformer(signal="components"), ppg=skemo.HRVTransformer(signal="ppg")
    )
    present = skemo.make_modality_transformer(
        ppg=skemo.HRVTransformer(signal="ppg", features=["HRV_MeanNN"])
    )
    series = skemo.make_modality_transformer(
        eda=skemo.ResampleTransformer(rate=4),
        ppg=skemo.HRVTransformer("series", signal="ppg"),
    )
    return {
        PRESENT: skemo.make_ridge(present, task="regression"),
        "ridge": skemo.make_ridge(features, task="regression"),
        "random forest": skemo.make_random_forest(features, task="regression", random_state=0),
        "SVM": skemo.make_svm(features, task="regression"),
        "modality-aware attention": make_pipeline(
            series, skemo.ModalityAwareAttentionRegressor(random_state=0)
        ),
        "cross-modal attention": make_pipeline(
            series, skemo.CrossModalAttentionRegressor(random_state=0)
        ),
    }


def main(data_home):
    recordings = decompose_conductance(fetch_stress_predict(data_home))
    windows = skemo.segment(recordings, duration=DURATION)
    rates = heart_rates(windows)
    y = next_of(windows, rates)
    known = ~np.isnan(y) & ~np.isnan(rates)
    windows, y = windows[known].reset_index(drop=True), y[known]
    result = skemo.compare(make_models(), windows, y, groups=windows, controls=["mean"])
    text = [
        "# The heart rate of the next minute",
        "The models predict the heart rate of the next minute, in beats per minute, from the skin "
        f"conductance and the pulse of the present one, on {len(y)} minutes of "
        f"{windows['subject'].nunique()} people from Stress-Predict in which both rates are known. "
        "Each person is predicted by models trained on the others, and scores are means over "
        "people. "
        "Reproduce with `python benchmarks/heart_rate.py --data-home DIR`.",
        describe_machine(),
        result.table("markdown"),
        f"Differences from {PRESENT} in the root-mean-square error, in beats per minute "
        "(below 0 is better), with 95 % bootstrap intervals over people; p of Wilcoxon's test, "
        "corrected for the number of models:",
        "```text\n" + repr(result.test("rmse", reference=PRESENT)) + "\n```",
        *result.notes(),
    ]
    PAGE.write_text("\n\n".join(part.strip() for part in text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-home", required=True, help="folder of the recordings")
    main(parser.parse_args().data_home)
