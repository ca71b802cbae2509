"""Damage files of each format at random, and see what their readers make of them.

    python tests/damaged_files.py [--files 500] [--seed 0] [--formats mat,edf]

Each format is read in a process of its own. A file should be read, or be refused with a ValueError
or an OSError that names it. Any other error, a NumPy warning, a reader that takes longer than 20 s
and one that ends the process are wrong; the exit code is 0 if nothing was.
"""

import argparse
import faulthandler
import importlib.util
import json
import pickle
import resource
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

LONGEST = 20  # seconds that a reader may take
NORMAL = ("read", "refused")


def damage(content, rng):
    """Return the bytes of a file with one damage, half of the time in its first 4 kB."""
    content = bytearray(content)
    end = min(len(content), 4096) if rng.random() < 0.5 else len(content)
    start = int(rng.integers(end))
    stop = start + int(rng.integers(1, 65))
    kind = rng.choice(["flip", "flip", "flip", "truncate", "insert", "remove", "ones", "copy"])
    if kind == "flip":
        for place in rng.integers(start, min(start + 200, len(content)), rng.integers(1, 9)):
            content[place] ^= 1 << int(rng.integers(8))
    elif kind == "truncate":
        del content[start:]
    elif kind == "insert":
        content[start:start] = rng.bytes(stop - start)
    elif kind == "remove":
        del content[start:stop]
    elif kind == "ones":
        content[start:stop] = b"\xff" * len(content[start:stop])
    else:
        other = int(rng.integers(len(content)))
        content[start:stop] = content[other : other + stop - start]
    return bytes(content)


def _module(name):
    """Import a test file, which writes a small data set in its published layout."""
    spec = importlib.util.spec_from_file_location(Path(name).stem, Path(__file__).parent / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# By format: write a file into a folder, and return its path and a function that reads it.


def _amigos(folder, **options):
    from skemo.datasets import load_amigos

    tests = _module("datasets/test_amigos.py")
    path = tests.write(folder, "P01", tests.make_subject(1), **options)
    return path, lambda: load_amigos(folder, videos="all", baseline=True)


def _amigos_compressed(folder):
    return _amigos(folder, do_compression=True)


def _dreamer(folder):
    from skemo.datasets import load_dreamer

    tests = _module("datasets/test_dreamer.py")
    path = tests.write(folder, tests.make_data())
    return path, lambda: load_dreamer(folder, baseline=True)


def _wesad(folder):
    from skemo.datasets import load_wesad

    tests = _module("datasets/test_wesad.py")
    path = tests.write(folder, "S2", tests.make_content("S2"))
    return path, lambda: load_wesad(folder, device="wrist", subjects="S2")


def _wesad_again(folder):
    from skemo.datasets import load_wesad

    tests = _module("datasets/test_wesad.py")
    content = pickle.dumps(tests.make_content("S2"), protocol=5)
    path = tests.write(folder, "S2", content)
    return path, lambda: load_wesad(folder, device="wrist", subjects="S2")


def _eegmat(folder):
    from skemo.datasets import fetch_eegmat

    _module("datasets/test_eegmat.py").write_subject(folder, "00")
    return folder / "Subject00_1.edf", lambda: fetch_eegmat(folder, download=False)


def _case(folder, table="physiological"):
    from skemo.datasets import load_case

    _module("datasets/test_case.py").write(folder, "sub_1")
    path = folder / "data" / "interpolated" / table / "sub_1.csv"
    return path, lambda: load_case(folder, subjects="sub_1")


def _case_annotations(folder):
    return _case(folder, "annotations")


def _stress_predict(folder):
    from skemo.datasets import fetch_stress_predict

    tests = _module("datasets/test_stress_predict.py")
    tests.write_subject(folder, "S02")
    tests.write_labels(folder, tests.rows_of(2))
    path = folder / "Raw_data" / "S02" / "EDA.csv"
    return path, lambda: fetch_stress_predict(folder, download=False, subjects="S02")


def _stress_predict_labels(folder):
    _, read = _stress_predict(folder)
    return folder / _module("datasets/test_stress_predict.py").LABEL_FILE, read


def _saved_model(folder):
    from networks import NETWORKS, QUICK, windows

    import skemo

    make, small = NETWORKS["modality-aware"]
    X, y, _ = windows()
    model = make(**{**QUICK, **small, "max_epochs": 1, "random_state": 0}).fit(X, y)
    path = folder / "model.skemo"
    skemo.save(model, path)
    return path, lambda: skemo.load(path, device="cpu").predict_proba(X)


def _fit_record(folder):
    """A damaged record is computed again, with a warning."""
    from skemo.evaluation.store import FitStore

    store, key = FitStore(folder), ("a", "b")
    record = {"y_pred": [[0, 1, 1]], "probabilities": [[[0.9, 0.1], [0.25, 0.75], [0.5, 0.5]]]}
    record |= {"fit_time": 0.5, "predict_time": 0.25, "chosen": None, "warnings": []}
    store.write(key, record)
    (path,) = store.folder.iterdir()

    def read():
        found = store.read(key, n_rows=3, n_classes=[2])
        if found is None:
            raise ValueError(f"{path.name} is computed again")
        if found != record:
            raise AssertionError("a damaged record was believed")

    return path, read


FORMATS = {
    "mat": _amigos,
    "mat-compressed": _amigos_compressed,
    "mat-struct": _dreamer,
    "pickle": _wesad,
    "pickle-5": _wesad_again,
    "edf": _eegmat,
    "csv": _case,
    "csv-annotations": _case_annotations,
    "csv-wristband": _stress_predict,
    "csv-labels": _stress_predict_labels,
    "saved-model": _saved_model,
    "fit-record": _fit_record,
}


def outcome(path, read):
    """Read a file, and return what happened in a word or more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        try:
            read()
        except (ValueError, OSError) as error:
            return "refused" if path.name in str(error) else f"unnamed {error!r}"[:200]
        except Exception as error:
            return f"{error!r}"[:200]
    return "read"


def try_format(name, n_files, seed):
    """Return the outcomes of damaged files, as a dict of their number to what happened."""
    with tempfile.TemporaryDirectory() as folder:
        path, read = FORMATS[name](Path(folder))
        good = path.read_bytes()
        found = {-1: outcome(path, read)}
        for number in range(n_files):
            rng = np.random.default_rng([seed, number])
            path.write_bytes(damage(good, rng))
            faulthandler.dump_traceback_later(LONGEST, exit=True)
            found[number] = outcome(path, read)
            faulthandler.cancel_dump_traceback_later()
    return found


def try_in_process(name, n_files, seed):
    """Return what `try_format` returns, and the megabytes that it took; a crash is an outcome."""
    command = [sys.executable, __file__, "--one", name, "--files", str(n_files)]
    done = subprocess.run([*command, "--seed", str(seed)], capture_output=True, text=True)
    if done.returncode:
        return {0: f"exit code {done.returncode}: {done.stderr.strip()[-300:]}"}, np.nan
    found = json.loads(done.stdout)
    return found["outcomes"], found["megabytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=500, help="of each format; default: 500")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", default=",".join(FORMATS), help="default: all")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        outcomes = try_format(args.one, args.files, args.seed)
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"outcomes": outcomes, "megabytes": megabytes}))
        return 0
    wrong = 0
    print(f"{'format':<18}{'read':>7}{'refused':>9}{'wrong':>7}{'MB':>7}")
    for name in args.formats.split(","):
        outcomes, megabytes = try_in_process(name, args.files, args.seed)
        counts = Counter(outcomes.values())
        strange = {what: n for what, n in counts.items() if what not in NORMAL}
        wrong += sum(strange.values())
        row = [*(counts[what] for what in NORMAL), sum(strange.values()), round(megabytes)]
        print(f"{name:<18}{row[0]:>7}{row[1]:>9}{row[2]:>7}{row[3]:>7}", flush=True)
        for what, n in strange.items():
            first = next(number for number, found in outcomes.items() if found == what)
            print(f"    {n} × {what} (first: file {first})", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
