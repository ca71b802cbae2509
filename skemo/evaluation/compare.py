"""Compare models subject by subject, under a named protocol."""

import functools
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skemo._checks import native_columns
from skemo.evaluation.comparison import (
    Comparison,
    assemble_comparison,
    describe_data,
    warn_of_comparison,
)
from skemo.evaluation.controls import MAJORITY, PERMUTED, labels_vary, permute_labels
from skemo.evaluation.digest import digest, package_versions, pickle_by_value, settings
from skemo.evaluation.fits import Run, run_fits, uses_processes
from skemo.evaluation.leakage import check_split, format_findings
from skemo.evaluation.nested import fit_parameters, split_by_subject
from skemo.evaluation.precompute import Precomputed
from skemo.evaluation.progress import progress_bar
from skemo.evaluation.protocols import PROTOCOLS, ProtocolName, protocol_folds, window_groups
from skemo.evaluation.store import FitStore
from skemo.models.baselines import make_dummy
from skemo.signals.checks import check_sortable, check_text
from skemo.signals.groups import refuse_column_name, trial_codes

_CONTROLS = ("majority", "permuted")


def compare(
    models: Mapping[str, BaseEstimator],
    X: pd.DataFrame | ArrayLike,
    y: ArrayLike,
    groups: pd.DataFrame | ArrayLike,
    *,
    protocol: ProtocolName = "leave-one-subject-out",
    n_splits: int = 10,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = 0,
    progress: bool = False,
    together: bool | Literal["auto"] = "auto",
    gap: float = 0.0,
    n_repeats: int = 1,
    controls: Sequence[Literal["majority", "permuted"]] = (),
    output: str | Path | None = None,
    on_error: Literal["record", "raise"] = "record",
) -> Comparison:
    """Fit and test models on the same folds, and score them subject by subject.

    A clone of each model is fitted to the training windows of each fold and predicts the test
    windows. Every subject is then scored on all of their test windows, and the result has a table
    of means over subjects, tests of the differences between models, and every prediction.

    Parameters
    ----------
    models : dict of str to classifier
        The models by name, as the table shows them. A search such as ``GridSearchCV`` is nested:
        see Notes.
    X : DataFrame or array of n_windows rows
        The input of every model. It may have columns that only some of the models select.
    y : array-like of shape (n_windows,)
        Labels.
    groups : array-like of shape (n_windows,), or DataFrame
        The subject of each window, or a table with a column `subject` and, where known, `trial`,
        and `start` and `stop` in seconds. The windows that `skemo.segment` returns are such a
        table. The within-subject protocols need it, and with it leaks between training and test
        windows are found by trial and time as well.
    protocol : {"leave-one-subject-out", "group-k-fold", "leave-one-trial-out", "blocked-k-fold", \
            "segment-k-fold"}, default="leave-one-subject-out"
        How the folds are made, as `skemo.evaluation.protocols.protocol_splitter` describes.
        "segment-k-fold" is optimistic.
    n_splits : int, default=10
        Number of folds, for the k-fold protocols.
    n_jobs : int or None, default=None
        Number of fits that run in parallel, as for ``joblib.Parallel``. It does not change the
        result.
    random_state : int, RandomState or None, default=0
        Seed of the folds. The models have seeds of their own.
    progress : bool, default=False
        Whether to draw a progress bar with the remaining time on the standard error stream.
    together : {"auto", True, False}, default="auto"
        Whether to train the networks of several folds as one computation, as `fit_many` does.
        "auto" does so where it was measured to be faster: for small windows, on a CPU.
    gap : float, default=0.0
        Seconds to keep between training and test windows of a trial. Only for "blocked-k-fold".
    n_repeats : int, default=1
        How often to repeat the whole comparison. Repetition r adds r to the seed of the folds and
        to every ``random_state`` of a model that is a whole number. A subject's score is the mean
        over the repetitions.
    controls : sequence of {"majority", "permuted"}, default=()
        Controls to add to the comparison. "majority" always predicts the most frequent class of
        the training windows. "permuted" trains and tests every model once more on labels that
        were permuted within each subject, and should score at chance. Whole trials exchange their
        labels if trials are known, each trial has one label, and each subject has several trials
        of each label; otherwise windows do. One permutation is a single draw: use `n_repeats` for
        more.
    output : str, Path or None, default=None
        Folder in which each fit is kept as soon as it is finished. Fits of the same data, model,
        fold and versions that are already there are not computed again, so that the same call
        continues after an interruption and ends with the same result.
    on_error : {"record", "raise"}, default="record"
        Whether a fit that fails is recorded in `failures` while the others continue, or stops the
        comparison.

    Returns
    -------
    Comparison
        Printed, it is the table. It has the predictions, scores, failures, warnings and leakage
        as tables, and methods such as `table`, `test` and `calibration`.

    Raises
    ------
    ValueError
        Lengths differ, labels or subjects are missing, or the protocol is unknown or cannot be
        followed with these windows.
    RuntimeError
        Every fit failed, or one did and ``on_error="raise"``; the message names model and fold.

    Warns
    -----
    UserWarning
        Training and test windows share what the protocol should keep apart, a fit failed, or a
        fit warned.

    See Also
    --------
    leakage_gap : How much better models look under an optimistic protocol.

    Notes
    -----
    **Scores.** Sensitivity TP/(TP+FN), specificity TN/(TN+FP), precision (PPR) TP/(TP+FP) and F1
    2TP/(2TP+FP+FN) are computed from each subject's confusion matrix, for each class against the
    others, and averaged over the classes that the subject's windows have (macro). A class that is
    never predicted has precision 0. The specificity of a subject with a single class is not
    defined: it is NaN and left out of the mean over subjects. Macro sensitivity is the balanced
    accuracy. The Brier score is half the mean over windows of Σ (p − indicator)².

    **Features.** The leading steps of a Pipeline that learn nothing, such as `HRVTransformer`, are
    computed once for all folds and all models that share them, as by `precompute`.

    **Early stopping.** A model whose last step has ``early_stopping=True`` and takes `groups` is
    given the subjects of the training windows, so that its validation split is by subject too.

    **Searches** choose anew in every fold, on the training windows alone. If the `cv` of a search
    is a number, it has that many inner folds of subjects; if it is None, five, or as many as
    there are subjects. A splitter is used as it is, and is given the subjects if it takes them.
    Under "leave-one-trial-out" the inner folds are of trials, and each subject needs three trials
    of each class. A model that splits its training windows by itself, such as
    ``StackingClassifier`` or ``LogisticRegressionCV``, is not given the subjects, so its inner
    folds mix them. The test windows stay unseen, but its own choice rests on optimistic scores.

    **Kept results** are used again only if all they depend on is the same: the data with their
    index, the folds, the model, scikit-learn's configuration, the package versions and, for
    networks, the device. Your own classes and functions, from a notebook, script or module, count
    by their code when `compare` is called, including the helpers and constants they refer to, and
    this code is also what other processes run. Not noticed are changes to files that your code
    reads while it runs, to modules it imports by a computed name, and, if a search has an `n_jobs`
    of its own, edits that its processes import. A model is computed each time, with a warning, if
    its state cannot be compared (it has an open connection, for example) or, with `n_jobs`, if
    other processes would import a part of your code from its file. So is a fit whose file was
    damaged or changed.

    Warnings of fits are not recorded under joblib's threading backend.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import compare, make_svm
    >>> rng = np.random.default_rng(0)
    >>> y, subjects = np.tile(["rest", "stress"], 30), np.repeat(["a", "b", "c"], 20)
    >>> X = rng.normal(size=(60, 2)) + 5 * (y == "stress")[:, None]
    >>> result = compare({"SVM": make_svm("passthrough")}, X, y, subjects, controls=["majority"])
    >>> result.table()["ACC"].tolist()
    ['100.0 ± 0.0', '50.0 ± 0.0']
    """
    models = _check_models(models, controls)
    _check_options(n_repeats, on_error, output, random_state, together)
    refuse_column_name("y", y)
    refuse_column_name("groups", groups)
    if y is None:
        raise ValueError("y is None: pass the label of each window.")
    check_consistent_length(X, y, groups)
    if not len(np.asarray(y)):
        raise ValueError("compare needs windows: X has no rows.")
    X = native_columns(X) if isinstance(X, pd.DataFrame) else X
    X = X if hasattr(X, "shape") else np.asarray(X)
    attributes = getattr(X, "attrs", {}) or getattr(groups, "attrs", {})
    targets, table = column_or_1d(y), window_groups(groups)
    subjects = table["subject"].to_numpy()
    if pd.isna(targets).any():
        raise ValueError(f"y is missing (NaN) in {pd.isna(targets).sum()} row(s): drop these rows.")
    check_sortable(targets, "y")
    check_text(np.unique(targets), "The label")
    check_classification_targets(targets)
    if len(np.unique(targets)) < 2:
        raise ValueError(f"y has one class, {targets[0]}: a comparison needs at least two.")
    folds = [
        protocol_folds(protocol, targets, table, n_splits, _shift(random_state, repeat), gap)
        for repeat in range(n_repeats)
    ]
    about = describe_data(X, targets, subjects, attributes)
    details = {
        "data": about,
        "protocol": protocol,
        "description": PROTOCOLS[protocol].description,
        "n_splits": n_splits,
        "n_folds": len(folds[0]),
        "n_repeats": n_repeats,
        "random_state": random_state if isinstance(random_state, Integral) else None,
        "models": {name: repr(model) for name, (model, _) in models.items()},
        "versions": package_versions(),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "code": f"skemo.compare(models, X, y, groups, protocol={protocol!r}, "
        f"n_splits={n_splits}, random_state={random_state!r}, gap={gap!r}, "
        f"n_repeats={n_repeats}, controls={controls!r})",
    }
    leakage = check_split(X, table, folds[0], targets)
    expected = [*PROTOCOLS[protocol].by_design, "per-subject normalisation"]
    if PROTOCOLS[protocol].optimistic:  # it is marked so wherever it is shown
        expected += ["subject", "trial", "overlap"]
    elif not labels_vary(table, targets) and "trial" in expected:
        expected.remove("trial")  # knowing the trial means knowing the label
    unexpected = leakage[~leakage["kind"].isin(expected)]
    if len(unexpected):
        warnings.warn(format_findings(unexpected), stacklevel=2)

    store = None if output is None else FitStore(output)
    # With one training subject, inner folds and validation splits are made of trials.
    units = trial_codes(table) if protocol == "leave-one-trial-out" else subjects
    codes = pd.factorize(units)[0]
    precomputed = Precomputed(X)
    refused: dict[str, TypeError] = {}  # what cannot be kept, and why
    data = (X, targets, units, together, settings())
    common = _or_none(digest, data, "the data", refused) if store else None
    in_processes = uses_processes(n_jobs)
    runs: list[Run] = []
    same: dict[tuple[str | None, ...], int] = {}
    for repeat, own_folds in enumerate(folds):
        seed = _shift(random_state, repeat)
        counts = [_count_units(codes[train], targets[train]) for train, _ in own_folds]
        most, least = np.min(counts, axis=0)
        # Networks that are trained together depend on all the folds.
        of_folds = digest(own_folds) if store else None
        permuted = permute_labels(targets, table, seed) if "permuted" in controls else targets
        for name, (model, is_permuted) in models.items():
            model = _reseed(split_by_subject(model, seed, most, least), repeat)
            params = fit_parameters(model, units)
            labels = permuted if is_permuted else targets
            features, rest = _compute_leading_steps(precomputed, model)
            keys: list[Any] = [None] * len(own_folds)
            pickled = None
            if store:
                of_model = _or_none(digest, model, f"the model {name!r}", refused)
                if of_model and in_processes:
                    pickled = _or_none(pickle_by_value, rest, f"the model {name!r}", refused)
                    of_model = of_model if pickled else None
                of_fits = (common, of_folds, of_model, digest(labels))
                # Equal models without a seed differ in their results, so they must not share them.
                same[of_fits] = same.get(of_fits, -1) + 1
                if None not in of_fits:
                    which = str(same[of_fits])
                    keys = [(*of_fits, which, str(fold)) for fold in range(len(own_folds))]
            runs.append(Run(name, repeat, rest, features, labels, own_folds, params, keys, pickled))
    for name, n in precomputed.missing.items():
        about["missing"][name] = max(n, about["missing"].get(name, 0))
    if refused:
        reasons = "; ".join(f"{what} ({why})" for what, why in refused.items())
        warnings.warn(
            "output= cannot keep results that a later call could not recognise, so they are "
            f"computed each time: {reasons}.",
            stacklevel=2,
        )
    bar = functools.partial(progress_bar, protocol, drawn=progress)
    records, failures = run_fits(runs, np.unique(targets), store, n_jobs, together, on_error, bar)
    if not records:
        first = failures[0]
        raise RuntimeError(
            f"Every fit failed, beginning with {first['model']!r} in fold {first['fold']}: "
            f"{first['error']}\n\n{first['traceback']}"
        )
    comparison = assemble_comparison(
        protocol, runs, targets, subjects, records, failures, leakage, details
    )
    warn_of_comparison(comparison)
    return comparison


def _check_models(models, controls):
    """The models and controls by name, each with whether its labels are permuted."""
    if not isinstance(models, dict) or not models:
        raise ValueError(f"models must be a dict of name to classifier, got {models!r}.")
    for name, model in models.items():
        if not isinstance(name, str):
            raise ValueError(f"A model's name must be text, got {name!r}.")
        check_text([name], "The model")
        if isinstance(model, type) or not hasattr(model, "fit"):
            raise ValueError(f"{name!r} must be a classifier, such as SVC(), got {model!r}.")
    if not isinstance(controls, str | Sequence):
        raise ValueError(f"controls must be a list of names, got {controls!r}.")
    controls = (controls,) if isinstance(controls, str) else tuple(controls)
    unknown = [control for control in controls if control not in _CONTROLS]
    if unknown:
        raise ValueError(
            f"controls may have {', '.join(map(repr, _CONTROLS))}, got {unknown[0]!r}."
        )
    checked = {name: (model, False) for name, model in models.items()}
    added = {}
    if "permuted" in controls:
        added |= {
            f"{name}{PERMUTED}": (model, True)
            for name, model in models.items()
            if name != MAJORITY  # it looks at the counts of labels only
        }
    if "majority" in controls:
        added[MAJORITY] = (make_dummy("passthrough"), False)
    taken = checked.keys() & added.keys()
    if taken:
        raise ValueError(f"A control has the name of a model: {taken.pop()!r}. Rename the model.")
    return checked | added


def _count_units(units, y):
    """The number of training subjects or trials, in total and with windows of the rarer class."""
    n_units = len(np.unique(units))
    classes = np.unique(y)
    if len(classes) != 2:  # with more, training may do without one
        return n_units, n_units
    return n_units, min(len(np.unique(units[y == label])) for label in classes)


def _check_options(n_repeats, on_error, output, random_state, together):
    if not (isinstance(together, bool) or together == "auto"):
        raise ValueError(f'together must be "auto", True or False, got {together!r}.')
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"n_repeats must be a positive whole number, got {n_repeats!r}.")
    if on_error not in ("record", "raise"):
        raise ValueError(f'on_error must be "record" or "raise", got {on_error!r}.')
    if output is not None and not isinstance(random_state, Integral):
        raise ValueError(
            "output= continues with the same folds only if random_state is a whole number, got "
            f"{random_state!r}."
        )


def _compute_leading_steps(precomputed, model):
    """The table for a model and the rest of the model; if the steps fail, so will the folds."""
    try:
        return precomputed.split(model)
    except (TypeError, ValueError):  # of skemo's own transformers
        return precomputed.X, model


def _or_none(function, value, what, refused):
    """What a function returns for a value; None if it cannot, and `refused` gets the reason."""
    try:
        return function(value)
    except TypeError as error:
        refused.setdefault(what, error)
        return None


def _shift(random_state, repeat):
    whole = isinstance(random_state, Integral) and not isinstance(random_state, bool)
    return random_state + repeat if whole else random_state


def _reseed(model, repeat):
    """A clone with `repeat` added to every random_state."""
    model = clone(model)
    seeds = {
        name: _shift(value, repeat)
        for name, value in model.get_params().items()
        if name == "random_state" or name.endswith("__random_state")
    }
    return model.set_params(**seeds) if repeat and seeds else model
