"""The other contenders of the training benchmark still work after changes of the networks."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from skemo.cli.experiments import DATASETS
from skemo.datasets import make_emotion_recordings

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_only_contenders_that_are_not_installed_fail(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import bench_training

    n_threads = torch.get_num_threads()
    try:
        bench_training.main(["--quick", "--rows", "fit,predict", "--threads", "1"])
    finally:
        torch.set_num_threads(n_threads)
    page = capsys.readouterr().out
    assert "| one fit, 128 windows, 2 epochs | bare loop, resident tensors |" in page
    assert "| prediction, 200 windows | bare forward pass |" in page
    left_out = [line for line in page.splitlines() if "is left out" in line]
    assert all("ModuleNotFoundError: No module named 'braindecode'" in line for line in left_out)


@pytest.mark.filterwarnings("ignore:.*are missing .NaN. in every modality")
def test_the_comparison_of_faults_goes_on_and_becomes_a_page(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import corruption

    monkeypatch.setattr(corruption, "RESULTS", tmp_path / "corruption")
    monkeypatch.setitem(corruption.NETWORK, "max_epochs", 1)
    few = DATASETS["simulated"]._replace(
        load=lambda *_: make_emotion_recordings(n_subjects=4, n_trials=2, random_state=0)
    )
    monkeypatch.setitem(DATASETS, "simulated", few)
    options = ["--seeds", "1", "--members", "1", "--n-splits", "2", "--n-jobs", "1"]
    for fault in ("stale:0.35", "noise:0.35:-5"):
        corruption.main(["run", "simulated", "--fault", fault, "--model", "SVM, told", *options])
        corruption.main(["run", "simulated", "--fault", fault, *options])
    table = pd.read_csv(tmp_path / "corruption" / "simulated-stale_0.35.csv")
    assert set(table["model"]) == set(corruption.CONTENDERS)
    assert len(table) == 4 * len(corruption.CONTENDERS)
    corruption.main(["report"])
    page = (tmp_path / "corruption.md").read_text(encoding="utf-8")
    assert "## simulated, noise:0.35:-5" in page
    assert page.count("| residual masks, told − without attention, told |") == 2
