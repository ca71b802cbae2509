"""The other contenders of the training benchmark still work after changes of the networks."""

from pathlib import Path

import torch

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
