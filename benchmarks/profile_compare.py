"""Make results/compare-profile.md: where the processor time of ``skemo compare`` goes.

    python benchmarks/profile_compare.py --data-home DIR  # holds eegmat/ and stress_predict/

Each data set is run in a new process by the command line, with one thread.
"""

import argparse
import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import date
from pathlib import Path

PAGE = Path(__file__).parent / "results" / "compare-profile.md"
DATASETS = ("simulated", "eegmat", "stress_predict")
IMPORTS = ["cli.main", "models.modality_aware", "models.cross_modal", "nn.fused"]
# The functions whose time counts for each stage, without the time of stages inside them.
STAGES = {
    "loading and cutting": ["cli.main:_cut"],
    "decomposition of skin conductance": ["features.whole_recordings:decompose_eda"],
    "features and other inputs": ["cli.main:compute_inputs"],
    "check of the split": ["evaluation.compare:check_split"],
    "digests": ["evaluation.compare:digest"],
    "networks: fits": [],
    "networks: predictions": [],
    "baselines: fits": ["evaluation.fits:_fit"],
    "baselines: predictions": ["evaluation.fits:_test"],
    "rest of `compare`": ["cli.main:compare"],
    "statistics": ["cli.main:find_outcomes"],
    "scores and tables": ["cli.main:_describe_result", "cli.main:_describe_folds"],
    "figures": ["report.figures:_draw"],
    "rest of the report, CSV files": ["cli.main:write_outcomes", "cli.main:_write"],
}
TEXT = (
    "Processor time of `python -m skemo compare --dataset … --n-jobs 1 --output DIR` with one "
    "thread. No stage includes the time of another. Imports are those of skemo and of all "
    "libraries that it needs, except that the first figure imports matplotlib. With `--n-jobs 2`, "
    "two further processes import them too. Figures, reports and saved fits are due to `--output`. "
    "Reproduce with `python benchmarks/profile_compare.py --data-home DIR`."
)


class Stages:
    """Processor time by stage; a stage inside another one interrupts it."""

    def __init__(self):
        self.seconds, self.running, self.last = dict.fromkeys(STAGES, 0.0), ["rest"], 0.0

    @contextlib.contextmanager
    def during(self, stage):
        self.stop()
        self.running.append(stage)
        try:
            yield
        finally:
            self.stop()
            self.running.pop()

    def stop(self):
        now, stage = time.process_time(), self.running[-1]
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.last
        self.last = now

    def measure(self, path, stage, is_network):
        """Replace a function ("module:name") by one whose time counts for a stage."""
        module = importlib.import_module(f"skemo.{path.partition(':')[0]}")
        name = path.partition(":")[2]
        function = getattr(module, name)

        def measured(first, *args, **kwargs):
            of_network = "baselines" in stage and is_network(getattr(first, "estimator", first))
            with self.during(stage.replace("baselines", "networks") if of_network else stage):
                return function(first, *args, **kwargs)

        setattr(module, name, measured)


def run(arguments):
    """Return the processor seconds of each stage of one command."""
    stages = Stages()
    with stages.during("imports"):
        main, *_ = (importlib.import_module(f"skemo.{name}") for name in IMPORTS)
    from skemo.evaluation.fits import is_network

    for stage, paths in STAGES.items():
        for path in paths:
            stages.measure(path, stage, is_network)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        main.main(["compare", *arguments, "--n-jobs=1", f"--output={folder}"])
    stages.stop()
    return stages.seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-home", type=Path, required=True)
    args = parser.parse_args()
    columns = {}
    for name in DATASETS:
        home = [] if name == "simulated" else [f"--data-home={args.data_home / name}"]
        command = [sys.executable, __file__, "--one", f"--dataset={name}", *home]
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        out = subprocess.run(command, env=os.environ | threads, check=True, stdout=subprocess.PIPE)
        columns[name] = json.loads(out.stdout)
    PAGE.write_text(make_page(columns), encoding="utf-8")


def make_page(columns):
    from bench_features import processor, to_markdown

    rows = [{"stage": stage} for stage in ("imports", *STAGES, "rest", "**all**")]
    for name, seconds in columns.items():
        total = sum(seconds.values())
        for row in rows:
            own = total if row["stage"] == "**all**" else seconds.get(row["stage"], 0.0)
            row[name] = f"{own:.2f} s, {own / total:.1%}"
    about = (
        f"Measured on {date.today():%Y-%m-%d} on {processor()} ({os.cpu_count()} cores), load "
        f"average {os.getloadavg()[2]:.1f}."
    )
    parts = ["# Where the time of a comparison goes", about, TEXT]
    return "\n\n".join([*parts, to_markdown(["stage", *columns], rows)]) + "\n"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(run(sys.argv[2:])))
    else:
        main()
