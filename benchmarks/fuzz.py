"""Make results/fuzz.md: what do all estimators and functions do with any input?

    python benchmarks/fuzz.py                  # 10,000 inputs: half an hour on one core
    python benchmarks/fuzz.py --inputs 40      # a few of each; nothing is written
    python benchmarks/fuzz.py --only HRVTransformer --seed 17   # one input, with its traceback

Each input is drawn from its number: ordinary and strange windows (of any shape, type, container and
content), rates and parameters. The outcome must be a result, by the documented rules, or a
ValueError or TypeError that skemo or scikit-learn raised on purpose.
"""

import argparse
import collections
import resource
import signal
import sys
import time
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import _fuzz_signals
import _fuzz_tables
import numpy as np
import pandas as pd
from _fuzz_inputs import BadResultError
from sklearn.exceptions import ConvergenceWarning

import skemo

PAGE = Path(__file__).parent / "results" / "fuzz.md"
SECONDS = 20  # that one input may take
GIGABYTES = 8  # of addresses, so that an input cannot take all memory
RESULT, CLEAR = "result", "clear error"
BAD = ("unclear error", "other exception", "NumPy warning", "bad result", "too long")
TARGETS = _fuzz_signals.TARGETS | _fuzz_tables.TARGETS


# Outcomes


@contextmanager
def time_limit(seconds):
    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(name, seed):
    """Return what happened with an input, and the text of an error."""
    rng = np.random.default_rng([seed, *name.encode()])
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what only draws the input
            use = TARGETS[name](rng)
    except (ValueError, TypeError) as error:  # of a signal column that cannot be built
        return (CLEAR if is_deliberate(error) else "unclear error"), describe(error)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for known in (UserWarning, ConvergenceWarning):
            warnings.simplefilter("ignore", known)
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            with time_limit(SECONDS):
                use()
        except BadResultError as error:
            return "bad result", describe(error)
        except (ValueError, TypeError, OSError, ImportError) as error:
            return (CLEAR if is_deliberate(error) else "unclear error"), describe(error)
        except Warning as error:
            return "NumPy warning", describe(error)
        except TimeoutError as error:
            return "too long", describe(error)
        except Exception as error:
            if type(error) is RuntimeError and str(error).startswith("Every fit failed"):
                return CLEAR, describe(error)
            return "other exception", describe(error)
    return RESULT, ""


def is_deliberate(error):
    """Whether skemo or scikit-learn raised it in a statement of theirs, and it says something.

    The errors of the operating system say something if they name a file.
    """
    if isinstance(error, OSError) and error.filename is not None:
        return str(error.filename) in str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = any(f"/{package}/" in frame.filename for package in ("skemo", "sklearn"))
    return ours and (frame.line or "").startswith("raise") and len(str(error)) > 15


def describe(error):
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/skemo/" in f.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "outside"
    return f"{type(error).__name__}: {str(error)[:200]} ({where})"


def run(n_inputs, names=tuple(TARGETS), first=0):
    """Outcomes by target, and what was wrong: (name, seed, outcome, text)."""
    table, wrong = collections.defaultdict(collections.Counter), []
    for name in names:
        for seed in range(first, first + -(-n_inputs // len(names))):
            result, text = outcome(name, seed)
            table[name][result] += 1
            if result in BAD:
                wrong.append((name, seed, result, text))
                print(*wrong[-1], file=sys.stderr, flush=True)
    return table, wrong


def to_page(table, wrong, seconds):
    columns = [RESULT, CLEAR, *BAD]
    total = collections.Counter()
    lines = [f"| {' | '.join(['target', *columns])} |", "|---" + "|--:" * len(columns) + "|"]
    for name, counts in table.items():
        total.update(counts)
        lines.append(f"| {name} | {' | '.join(str(counts[c]) for c in columns)} |")
    lines.append(f"| **all** | {' | '.join(f'**{total[c]}**' for c in columns)} |")
    cases = "\n".join(
        f"- `{name}`, seed {seed}: {result}: {text}" for name, seed, result, text in wrong
    )
    return f"""# Any input

{total.total():,} inputs, each generated from its number by `python benchmarks/fuzz.py`: ordinary
and strange windows (shape, type, container, content), rates, labels, groups and parameters. A
*clear error* is a ValueError or TypeError that skemo or scikit-learn raised on purpose; an
*unclear* one came from inside another package. A *bad result* is infinite or complex, or depends
on the windows beside it (to the bit; to 1e-5 for `QualityTransformer`, whose last bits may). Each
input had {SECONDS} s. Loaders are given a folder without their data set; damaged files are in
`tests/damaged_files.py`.

{chr(10).join(lines)}

{cases or "Nothing was wrong."}

It took {seconds / 60:.0f} minutes, with skemo {skemo.__version__}, NumPy {np.__version__} and
pandas {pd.__version__}.
"""


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--only", choices=TARGETS, help="one target")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="one input of --only")
    parser.add_argument("--write", action="store_true", help="write the page")
    args = parser.parse_args(argv)
    if args.seed is not None:
        TARGETS[args.only](np.random.default_rng([args.seed, *args.only.encode()]))()
        return
    resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))
    started = time.perf_counter()
    names = [args.only] if args.only else tuple(TARGETS)
    page = to_page(*run(args.inputs, names, args.first), time.perf_counter() - started)
    print(page)
    if args.write:
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
