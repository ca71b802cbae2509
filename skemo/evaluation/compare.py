"""Compare models subject by subject, under a named protocol."""

import functools
import warnings
from datetime import datetime
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skemo.evaluation.comparison import assemble_comparison, describe_data, warn_of_comparison
from skemo.evaluation.controls import MAJORITY, PERMUTED, labels_vary, permute_labels
from skemo.evaluation.fits import Run, run_fits
from skemo.evaluation.leakage import check_split, format_findings
from skemo.evaluation.nested import fit_parameters, split_by_subject
from skemo.evaluation.precompute import Precomputed
from skemo.evaluation.progress import progress_bar
from skemo.evaluation.protocols import PROTOCOLS, protocol_folds, window_groups
from skemo.evaluation.store import FitStore, digest, package_versions, settings
from skemo.models.baselines import make_dummy
from skemo.signals.groups import trial_codes

_CONTROLS = ("majority", "permuted")


def compare(
    models,
    X,
    y,
    groups,
    *,
    protocol="leave-one-subject-out",
    n_splits=10,
    n_jobs=None,
    random_state=0,
    progress=False,
    together="auto",
    gap=0.0,
    n_repeats=1,
    controls=(),
    output=None,
    on_error="record",
):
    """Fit and test models on the same folds, and score them subject by subject.

    Each model is cloned for each fold, fitted on the training rows, and predicts the test
    rows. First steps of a Pipeline that learn nothing, such as `HRVTransformer`, are computed
    once for all folds and for all models that share them, as in `cross_validate`. A model
    whose last step has ``early_stopping=True`` and takes `groups` gets the subjects of the
    training rows, so that its validation split is by subject too.

    A search among the models, `GridSearchCV` for example, is nested: it chooses anew in every
    fold, on the training rows alone. Where its `cv` is a number or None, its inner folds are
    that many folds of subjects (None: five, or as many as there are subjects); a splitter of
    its own gets the subjects if it takes them. For "leave-one-trial-out" they are of trials, of
    which each subject then needs three of each class.

    Parameters
    ----------
    models : dict of str to classifier
        Models by the name that the table shows.
    X : DataFrame or array of n_windows rows
        Input of every model. Columns that only some of them need may be there, where the
        others select theirs.
    y : array-like of shape (n_windows,)
        Labels.
    groups : array-like of shape (n_windows,), or DataFrame
        The subject of each window; or a table with `subject` and, where they are known, `trial`,
        `start` and `stop` in seconds, which the windows of `skemo.segment` are. Within-subject
        protocols need them, and what stands on both sides of a fold is found by them.
    protocol : str, default="leave-one-subject-out"
        How the folds are made; `skemo.evaluation.protocols.protocol_splitter` describes them.
        "segment-k-fold" is optimistic.
    n_splits : int, default=10
        Number of folds of the k-fold protocols.
    n_jobs : int or None, default=None
        Fits at once, as for `joblib.Parallel`. The result does not depend on it.
    random_state : int, RandomState or None, default=0
        Seed of the folds. The models have their own.
    progress : bool, default=False
        Draw a bar with the remaining time on the standard error stream.
    together : {"auto", True, False}, default="auto"
        Train the networks of several folds as one computation, as `fit_many` does; "auto" does
        it where that is faster, as far as it has been measured: small windows, on a CPU.
    gap : float, default=0.0
        Seconds between training and test windows of one trial, for "blocked-k-fold" alone.
    n_repeats : int, default=1
        How often all is done: repetition r adds r to the seed of the folds and to every whole
        number that is a model's ``random_state``. Scores of a subject are the mean.
    controls : sequence of {"majority", "permuted"}, default=()
        What is compared besides. "majority" is the class that is commonest in training.
        "permuted" is every model once more, trained and tested on labels that were permuted
        within each subject: those of whole trials, if trials are known, each has one label, and
        each subject several trials of each label; else those of windows. It should be at chance;
        one permutation is one draw, of which `n_repeats` gives more.
    output : str, Path or None, default=None
        Folder in which every finished fit is kept, at once. What is there already for the same
        data, model, fold and versions is taken from there: after an interruption, the same call
        goes on, and ends with the same result.
    on_error : {"record", "raise"}, default="record"
        A fit that fails is recorded in `failures`, and the others go on; or it ends all.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        Lengths differ, labels or subjects are missing, the protocol is unknown or cannot be
        followed on these windows.
    RuntimeError
        Every fit failed, or one with ``on_error="raise"``; the message names model and fold.

    Warns
    -----
    UserWarning
        Training and test share what the protocol should keep apart; a fit failed; a fit warned.

    See Also
    --------
    leakage_gap : What an optimistic protocol adds.

    Notes
    -----
    Per subject, from the confusion matrix over the subject's windows, each class against the
    others: sensitivity TP/(TP+FN), specificity TN/(TN+FP), precision (PPR) TP/(TP+FP), F1
    2TP/(2TP+FP+FN), each averaged over the classes that the subject's windows have (macro). A
    class that is there and never predicted has precision 0. The specificity of a subject with
    a single class is not defined: NaN, which `summarize` leaves out. Macro sensitivity is the
    balanced accuracy. The Brier score is half the mean over windows of Σ (p − indicator)².

    Results kept in `output` are taken again only while everything that they depend on is the same:
    the data with their index, the folds, the model, scikit-learn's configuration, the versions of
    the packages and, for networks, the device. Classes and functions that are yours, in a
    notebook, a script or a module, count by what they are when `compare` is called, with all that
    they refer to; an edit of a helper or of a constant is noticed. What they read while they run
    (files, modules that they import by a computed name) is not. A model that cannot be told apart
    from another, because it has an open connection for instance, is computed each time, with a
    warning. So is a fit whose file was damaged or changed. Under joblib's threading backend
    warnings are not recorded.

    A model that splits its training rows by itself, such as ``StackingClassifier`` or
    ``LogisticRegressionCV``, gets no subjects: its inner folds mix them. That does not touch
    the test rows, but what it chooses by is optimistic.

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
    check_consistent_length(X, y, groups)
    X = X if hasattr(X, "shape") else np.asarray(X)
    attributes = getattr(X, "attrs", {}) or getattr(groups, "attrs", {})
    y, groups = column_or_1d(y), window_groups(groups)
    subjects = groups["subject"].to_numpy()
    if pd.isna(y).any():
        raise ValueError(f"y is missing (NaN) in {pd.isna(y).sum()} row(s): drop these rows.")
    check_classification_targets(y)
    if len(np.unique(y)) < 2:
        raise ValueError(f"y has one class, {y[0]}: there is nothing to tell apart.")
    folds = [
        protocol_folds(protocol, y, groups, n_splits, _shift(random_state, repeat), gap)
        for repeat in range(n_repeats)
    ]
    details = {
        "data": describe_data(X, y, subjects, attributes),
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
    leakage = check_split(X, groups, folds[0], y)
    expected = [*PROTOCOLS[protocol].by_design, "per-subject normalisation"]
    if PROTOCOLS[protocol].optimistic:  # and said to be, wherever it is shown
        expected += ["subject", "trial", "overlap"]
    elif not labels_vary(groups, y) and "trial" in expected:
        expected.remove("trial")  # to know the trial is to know the label
    unexpected = leakage[~leakage["kind"].isin(expected)]
    if len(unexpected):
        warnings.warn(format_findings(unexpected), stacklevel=2)

    store = None if output is None else FitStore(output)
    # Where training has one subject, inner folds and validation splits are of trials.
    units = trial_codes(groups) if protocol == "leave-one-trial-out" else subjects
    codes = pd.factorize(units)[0]
    precomputed = Precomputed(X)
    refused = {}  # what has no digest, and why
    data = (X, y, units, together, settings())
    common = _digest_or_none(data, "the data", refused) if store else None
    runs, same = [], {}
    for repeat, own_folds in enumerate(folds):
        seed = _shift(random_state, repeat)
        counts = [_count_units(codes[train], y[train]) for train, _ in own_folds]
        most, least = np.min(counts, axis=0)
        # Networks that train together depend on which folds there are.
        of_folds = digest(own_folds) if store else None
        permuted = permute_labels(y, groups, seed) if "permuted" in controls else None
        for name, (model, is_permuted) in models.items():
            model = _reseed(split_by_subject(model, seed, most, least), repeat)
            params = fit_parameters(model, units)
            labels = permuted if is_permuted else y
            keys = [None] * len(own_folds)
            if store:
                of_model = _digest_or_none(model, f"the model {name!r}", refused)
                of_fits = (common, of_folds, of_model, digest(labels))
                # Models without a seed give another result each time, so that they do not share.
                same[of_fits] = same.get(of_fits, -1) + 1
                if None not in of_fits:
                    which = str(same[of_fits])
                    keys = [(*of_fits, which, str(fold)) for fold in range(len(own_folds))]
            table, rest = _compute_leading_steps(precomputed, model)
            runs.append(Run(name, repeat, rest, table, labels, own_folds, params, keys))
    missing = details["data"]["missing"]
    for name, n in precomputed.missing.items():
        missing[name] = max(n, missing.get(name, 0))
    if refused:
        reasons = "; ".join(f"{what} ({why})" for what, why in refused.items())
        warnings.warn(
            "output= keeps no results of what cannot be compared with a later call's, so that they "
            f"are computed each time: {reasons}.",
            stacklevel=2,
        )
    bar = functools.partial(progress_bar, protocol, drawn=progress)
    arguments = np.unique(y), store, n_jobs, together, on_error, bar
    records, failures = run_fits(runs, *arguments)
    if not records:
        first = failures[0]
        raise RuntimeError(
            f"Every fit failed, first that of {first['model']!r} in fold {first['fold']}: "
            f"{first['error']}\n\n{first['traceback']}"
        )
    comparison = assemble_comparison(
        protocol, runs, y, subjects, records, failures, leakage, details
    )
    warn_of_comparison(comparison)
    return comparison


def _check_models(models, controls):
    """The models and the controls by name, each with whether its labels are permuted."""
    if not isinstance(models, dict) or not models:
        raise ValueError(f"models must be a dict of name to classifier, got {models!r}.")
    for name, model in models.items():
        if not isinstance(name, str):
            raise ValueError(f"A model's name must be text, got {name!r}.")
        if isinstance(model, type) or not hasattr(model, "fit"):
            raise ValueError(f"{name!r} must be a classifier, such as SVC(), got {model!r}.")
    controls = (controls,) if isinstance(controls, str) else tuple(controls or ())
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
            if name != MAJORITY  # which no labels can teach anything
        }
    if "majority" in controls:
        added[MAJORITY] = (make_dummy("passthrough"), False)
    taken = checked.keys() & added.keys()
    if taken:
        raise ValueError(f"A control has the name of a model: {taken.pop()!r}. Rename the model.")
    return checked | added


def _count_units(units, y):
    """How many subjects or trials training has, and with windows of its rarer class."""
    n_units = len(np.unique(units))
    classes = np.unique(y)
    if len(classes) != 2:  # a third one can be missing
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
            f"output= goes on with the same folds only if random_state is a whole number, got "
            f"{random_state!r}."
        )


def _compute_leading_steps(precomputed, model):
    """The table for a model and the rest of it; where the steps fail, so do the folds."""
    try:
        return precomputed.split(model)
    except (TypeError, ValueError):  # of skemo's own transformers
        return precomputed.X, model


def _digest_or_none(value, what, refused):
    """The digest of a value; None if it has none, and `refused` then gets the reason."""
    try:
        return digest(value)
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
