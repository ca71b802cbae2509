"""Compare models subject by subject, under a named protocol."""

import functools
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import BaseCrossValidator
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_consistent_length

from skemo._checks import native_columns
from skemo.evaluation.comparison import (
    Comparison,
    assemble_comparison,
    describe_data,
    warn_of_comparison,
)
from skemo.evaluation.controls import (
    GUESSES,
    MAJORITY,
    MEAN,
    PERMUTED,
    labels_vary,
    permute_labels,
)
from skemo.evaluation.declared import transductive_steps
from skemo.evaluation.digest import digest, package_versions, pickle_by_value, settings
from skemo.evaluation.fits import Run, is_network, run_fits, take_rows, uses_processes
from skemo.evaluation.leakage import check_split, format_findings
from skemo.evaluation.nested import fit_parameters, is_search, split_by_subject
from skemo.evaluation.precompute import Precomputed
from skemo.evaluation.progress import progress_bar
from skemo.evaluation.protocols import (
    PROTOCOLS,
    ProtocolName,
    describe_own,
    own_folds,
    protocol_folds,
    protocol_name,
    window_groups,
)
from skemo.evaluation.scores import Task
from skemo.evaluation.scoring import Scoring, read_scoring
from skemo.evaluation.splitters import BlockedKFold
from skemo.evaluation.store import FitStore
from skemo.evaluation.targets import (
    code_rows,
    find_task,
    known_rows,
    read_targets,
    stack_targets,
)
from skemo.evaluation.training_rows import add_training_rows, check_tested
from skemo.models.baselines import make_dummy
from skemo.models.targets import category_orders
from skemo.signals.checks import check_text
from skemo.signals.groups import GROUP_COLUMNS, trial_codes

_GUESS: dict[Task, str] = {"classification": "majority", "regression": "mean"}
Folds = Sequence[tuple[ArrayLike, ArrayLike]]


def compare(
    models: Mapping[str, BaseEstimator] | Sequence[BaseEstimator],
    X: pd.DataFrame | ArrayLike,
    y: pd.DataFrame | ArrayLike | str | Sequence[str],
    groups: pd.DataFrame | ArrayLike | str,
    *,
    protocol: ProtocolName | BaseCrossValidator | Folds = "leave-one-subject-out",
    scoring: Scoring | Sequence[Scoring] | Mapping[str, Scoring] | None = None,
    n_splits: int = 10,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = 0,
    progress: bool = False,
    together: bool = False,
    gap: float = 0.0,
    tested: ArrayLike | None = None,
    n_repeats: int = 1,
    controls: Sequence[Literal["majority", "mean", "permuted"]] = (),
    output: str | Path | None = None,
    on_error: Literal["record", "raise"] = "record",
) -> Comparison:
    """Fit and test models on the same folds, and score them subject by subject.

    A clone of each model is fitted to the training windows of each fold and predicts the test
    windows. Every subject is then scored on all of their test windows, and the result has a table
    of means over subjects, tests of the differences between models, and every prediction.

    Parameters
    ----------
    models : dict of str to estimator, or list of estimators
        Classifiers, or regressors for numbers. The keys of a dict are their names in the table;
        models in a list are named after the type of their last step, as by ``make_pipeline``:
        ``svc``, ``randomforestclassifier-1``. A search such as ``GridSearchCV`` is nested: see
        Notes.
    X : DataFrame or array of n_windows rows
        The input of every model. It may have columns that only some of the models select.
    y : array-like of shape (n_windows,) or (n_windows, n_targets), DataFrame, str or list of str
        Labels, or numbers for regressors. Several columns are several targets, each with its own
        scores; NaN leaves a window out of the scores of that target. A string is the name of a
        column of `X`, and a list of strings the names of several; these columns are then
        removed from `X`, and no others: a second rating stays among the inputs of models
        that select no columns. Networks with ``loss="ordinal"`` use the order of an ordered
        Categorical.
    groups : array-like of shape (n_windows,), DataFrame, or str
        The subject of each window, or a table with a column `subject` and, where known, `trial`,
        and `start` and `stop` in seconds. The windows that `skemo.segment` returns are such a
        table. The within-subject protocols need it, and with it leaks between training and test
        windows are found by trial and time as well. A string is the name of the column of `X` with
        the subjects; `trial`, `start` and `stop` are then looked for in `X`. These columns are
        removed from it, unless a parameter of a model names them, as `PerSubject` names the
        subject. A table or array removes nothing from `X`, even if it is `X` itself.
    protocol : {"leave-one-subject-out", "group-k-fold", "leave-one-trial-out", "blocked-k-fold", \
            "segment-k-fold"}, splitter or list of (train, test), default="leave-one-subject-out"
        How the folds are made, as `skemo.evaluation.protocols.protocol_splitter` describes.
        "segment-k-fold" is optimistic. A splitter of scikit-learn or your own is given the subjects
        if it uses groups; `check_split` tells whether it is optimistic.
    scoring : str, callable, list of these or dict of them by name, default=None
        Further scores: names of scikit-learn's scorers, such as "top_k_accuracy" or
        "neg_median_absolute_error", functions ``scorer(estimator, X, y)`` or metrics
        ``metric(y_true, y_pred)``. See Notes.
    n_splits : int, default=10
        Number of folds, for the k-fold protocols given by name.
    n_jobs : int or None, default=None
        Number of fits that run in parallel, as for ``joblib.Parallel``. It does not change the
        result.
    random_state : int, RandomState or None, default=0
        Seed of the folds. The models have seeds of their own.
    progress : bool, default=False
        Whether to draw a progress bar with the remaining time on the standard error stream.
    together : bool, default=False
        Whether to train the networks of several folds as one computation, as `fit_many` does.
        This is for GPUs.
    gap : float, default=0.0
        Seconds to keep between training and test windows of a trial. Only for "blocked-k-fold".
    tested : array-like of bool, shape (n_windows,), default=None
        Which windows are tested; None means all. The others are only trained on, which is useful
        for overlapping windows: see Notes.
    n_repeats : int, default=1
        How often to repeat the whole comparison. Repetition r adds r to the seed of the folds and
        to every ``random_state`` of a model, or of a splitter, that is a whole number. A subject's
        score is the mean over the repetitions.
    controls : sequence of {"majority", "mean", "permuted"}, default=()
        Controls to add to the comparison. "majority" always predicts the most frequent class of
        the training windows, and "mean", for numbers, their mean. "permuted" trains and tests
        every model once more on labels that were permuted within each subject, and should score
        at chance. Whole trials exchange their labels if trials are known, each trial has one
        label, and each subject has several trials of each label (four trials, for numbers or
        several targets); otherwise windows do. One permutation is a single draw: use `n_repeats`
        for more.
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
        Printed, it is the table, wrapped to 80 characters. It has the predictions, scores,
        failures, warnings and leakage as tables, and methods such as `table`, `test` and
        `calibration`.

    Raises
    ------
    ValueError
        Lengths differ, labels or subjects are missing, classifiers and regressors are mixed, or the
        protocol is unknown or cannot be followed with these windows.
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
    accuracy. The Brier score is half the mean over windows of Σ (p − indicator)². The ROC AUC is
    that of the second of two classes, or else the mean over the subject's classes of each against
    the others; it is not defined for a subject with a single class. Both need probabilities: an SVM
    gets them from ``CalibratedClassifierCV``.

    For numbers: the root-mean-square error (RMSE) and the mean absolute error (MAE); R², 1 minus
    the mean square error over the variance of the subject's own targets; Pearson's r; and the
    concordance correlation coefficient (CCC; Lin 1989), 2 s_xy / (s_x² + s_y² + (x̄ − ȳ)²), which
    also depends on the mean and spread being right. For a subject whose targets are all the same,
    the last three are NaN and left out of the mean; predictions that are all the same have
    r = CCC = 0.
    If the tested subjects are in training, the higher the numbers left out, the lower the mean
    of training, and the last three are below 0 if nothing is learnt: tests, figures and
    reports then use the RMSE, and otherwise the CCC.

    **Further scores** are computed from the stored predictions, one subject or fold at a time,
    so they need no fit. The `estimator` that a scorer is given returns these predictions
    (``predict`` and, for models that have it, ``predict_proba``; no ``decision_function``), and its
    `X` is their table. A function of two arguments is taken to be a metric; lower is better if its
    name ends in ``_error``, ``_loss`` or ``_deviance``. A score that raises an error is NaN.

    **Several targets.** A model that takes only one target is fitted to each separately, by
    ``MultiOutputClassifier`` or ``MultiOutputRegressor``, and so is a search. Training windows that
    lack a target are left out, except for skemo's networks outside of a search, which learn from
    the targets that are there. Permuted labels stay together.

    **Your own folds** may test a window in several folds or in none. Each prediction counts once in
    the score of its subject; `notes` says which windows were tested.

    **Overlapping windows** give more to learn from, but not more to test. Cut them with ``step=``,
    and test only those that do not overlap::

        windows = segment(recordings, duration=10.0, step=2.5)
        compare(models, windows[["ecg"]], windows["label"], windows,
                tested=windows["start"] % 10 == 0)

    The folds are made of the tested windows, and are the same as without the others. In each fold,
    one of the others is trained on if the fold trains on all `tested` windows of its trial. If the
    trial is divided between training and test, it is trained on if it overlaps a training window
    and no window that the fold tests or leaves out. A list of splits already says what is trained
    on, so it cannot be combined with `tested`.

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

    Warnings of fits are not recorded under joblib's backends of threads and of Dask.

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
    by_name = _check_models(models)
    _check_options(n_repeats, on_error, output, random_state, together)
    X, y, groups = _take_columns(X, y, groups, by_name)
    if y is None:
        raise ValueError("y is None: pass the label of each window.")
    check_consistent_length(X, y, groups)
    if not len(np.asarray(y)):
        raise ValueError("compare needs windows: X has no rows.")
    X = native_columns(X) if isinstance(X, pd.DataFrame) else X
    X = X if hasattr(X, "shape") else np.asarray(X)
    attributes = getattr(X, "attrs", {}) or getattr(groups, "attrs", {})
    table = window_groups(groups)
    subjects = table["subject"].to_numpy()
    is_tested = check_tested(tested, len(table))
    task = find_task(by_name, y)
    are_classes = task == "classification"
    targets = read_targets(y, task)
    labels = stack_targets(targets)
    orders = category_orders(y, len(targets)) if are_classes else []
    scorers = read_scoring(scoring, task)
    with_controls = _add_controls(by_name, controls, task)
    of_one = labels if are_classes and len(targets) == 1 else None  # to stratify folds by
    is_named = isinstance(protocol, str)
    if not is_named:
        _check_own(protocol, gap, tested)
    whole = np.flatnonzero(is_tested)
    of_whole = table.iloc[whole].reset_index(drop=True)
    folds = []
    for repeat in range(n_repeats):
        seed = _shift(random_state, repeat)
        if is_named:
            named = cast(ProtocolName, protocol)
            classes_of_whole = None if of_one is None else of_one[whole]
            own = protocol_folds(named, classes_of_whole, of_whole, n_splits, seed, gap)
        else:
            own = own_folds(protocol, take_rows(X, whole), labels[whole], of_whole, seed, repeat)
        if tested is not None:
            distance = protocol.gap if isinstance(protocol, BlockedKFold) else gap
            own = add_training_rows(own, is_tested, table, distance)
        folds.append(own)
    leakage = check_split(X, table, folds[0], code_rows(labels))
    kinds = set(leakage["kind"])
    facts = PROTOCOLS[str(protocol)] if is_named else describe_own(protocol, kinds, table)
    about = describe_data(X, targets, subjects, attributes)
    if tested is not None:
        about["n_only_trained_on"] = len(table) - len(whole)
    declared = {name: transductive_steps(model) for name, (model, _) in with_controls.items()}
    details = {
        "task": task,
        "targets": [target.name for target in targets if target.name],
        **_name_of_target(y, task, targets),
        "data": about,
        "protocol": protocol_name(protocol),
        **facts._asdict(),
        "n_splits": n_splits,
        "n_folds": len(folds[0]),
        "n_repeats": n_repeats,
        "random_state": random_state if isinstance(random_state, Integral) else None,
        "models": {name: repr(model) for name, (model, _) in with_controls.items()},
        "declared": {name: steps for name, steps in declared.items() if steps},
        "versions": package_versions(),
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "code": f"skemo.compare(models, X, y, groups, protocol={_as_code(protocol)}, "
        f"n_splits={n_splits}, random_state={random_state!r}, gap={gap!r}, "
        f"n_repeats={n_repeats}, controls={controls!r}"
        f"{'' if tested is None else ', tested=tested'}"
        f"{'' if scoring is None else ', scoring=scoring'})",
    }
    expected = [*facts.by_design, "per-subject normalisation"]
    if facts.optimistic and is_named:  # it is marked so wherever it is shown
        expected += ["subject", "trial", "overlap"]
    elif not labels_vary(table, labels) and "trial" in expected:
        expected.remove("trial")  # knowing the trial means knowing the label
    unexpected = leakage[~leakage["kind"].isin(expected)]
    if len(unexpected):
        warnings.warn(format_findings(unexpected), stacklevel=2)

    store = None if output is None else FitStore(output)
    # With one training subject, inner folds and validation splits are made of trials.
    within = protocol == "leave-one-trial-out" if is_named else _train_within(subjects, folds)
    units = trial_codes(table) if within else subjects
    codes = pd.factorize(units)[0]
    precomputed = Precomputed(X)
    refused: dict[str, TypeError] = {}  # what cannot be kept, and why
    data = (X, labels, units, together, settings())
    common = _or_none(digest, data, "the data", refused) if store else None
    in_processes = uses_processes(n_jobs)
    runs: list[Run] = []
    same: dict[tuple[str | None, ...], int] = {}
    for repeat, all_folds in enumerate(folds):
        seed = _shift(random_state, repeat)
        counts = [
            _count_units(codes[train], None if of_one is None else of_one[train])
            for train, _ in all_folds
        ]
        most, least = np.min(counts, axis=0)
        # Networks that are trained together depend on all the folds.
        of_folds = digest(all_folds) if store else None
        permuted = labels
        if "permuted" in controls:
            permuted = permute_labels(labels, table, seed, are_classes)
        for name, (model, is_permuted) in with_controls.items():
            inner = split_by_subject(model, seed, most, least, of_one is not None)
            model = _reseed(inner, repeat)
            params = fit_parameters(model, units)
            y = permuted if is_permuted else labels
            features, rest = _compute_leading_steps(precomputed, model)
            own, rest = _for_targets(all_folds, y, rest, task)
            own_orders = _orders_for(rest, orders)
            keys: list[Any] = [None] * len(own)
            pickled = None
            if store:
                of_model = _or_none(digest, model, f"the model {name!r}", refused)
                if of_model and in_processes:
                    pickled = _or_none(pickle_by_value, rest, f"the model {name!r}", refused)
                    of_model = of_model if pickled else None
                of_y = digest((y, own_orders) if own_orders else y)
                of_fits = (common, of_folds, of_model, of_y)
                # Equal models without a seed differ in their results, so they must not share them.
                same[of_fits] = same.get(of_fits, -1) + 1
                if None not in of_fits:
                    which = str(same[of_fits])
                    keys = [(*of_fits, which, str(fold)) for fold in range(len(own))]
            runs.append(
                Run(name, repeat, rest, features, y, own, params, keys, pickled, own_orders)
            )
    for name, n in precomputed.missing.items():
        about["missing"][name] = max(n, about["missing"].get(name, 0))
    if refused:
        reasons = "; ".join(f"{what} ({why})" for what, why in refused.items())
        warnings.warn(
            "output= cannot keep results that a later call could not recognise, so they are "
            f"computed each time: {reasons}.",
            stacklevel=2,
        )
    bar = functools.partial(progress_bar, details["protocol"], drawn=progress)
    classes = [target.classes for target in targets]
    records, failures = run_fits(runs, classes, store, n_jobs, together, on_error, bar)
    if not records:
        first = failures[0]
        raise RuntimeError(
            f"Every fit failed, beginning with {first['model']!r} in fold {first['fold']}: "
            f"{first['error']}\n\n{first['traceback']}"
        )
    comparison = assemble_comparison(
        runs, targets, subjects, records, failures, leakage, details, scorers, is_tested
    )
    warn_of_comparison(comparison)
    return comparison


def _check_models(models):
    """The models by name."""
    if isinstance(models, Sequence) and not isinstance(models, str):
        models = _named_by_type(models)
    if not isinstance(models, Mapping) or not models:
        raise ValueError(
            "models must be a dict of name to classifier or regressor, or a list of them, got "
            f"{models!r}."
        )
    for name, model in models.items():
        if not isinstance(name, str):
            raise ValueError(f"A model's name must be text, got {name!r}.")
        check_text([name], "The model")
        if isinstance(model, type) or not hasattr(model, "fit"):
            raise ValueError(
                f"{name!r} must be a classifier or regressor, such as SVC(), got {model!r}."
            )
    return dict(models)


def _named_by_type(models):
    """Models by the lower-case type of their last step, numbered from 1 if types are repeated."""
    types = []
    for model in models:
        while isinstance(getattr(model, "steps", None), list):
            model = model.steps[-1][1]
        types.append(type(model).__name__.lower())
    names = [
        f"{kind}-{types[: i + 1].count(kind)}" if types.count(kind) > 1 else kind
        for i, kind in enumerate(types)
    ]
    return dict(zip(names, models, strict=True))


def _add_controls(models, controls, task):
    """The models and controls by name, each with whether its labels are permuted."""
    if not isinstance(controls, str | Sequence):
        raise ValueError(f"controls must be a list of names, got {controls!r}.")
    controls = (controls,) if isinstance(controls, str) else tuple(controls)
    allowed = (_GUESS[task], "permuted")
    unknown = [control for control in controls if control not in allowed]
    if unknown:
        raise ValueError(
            f"controls may have {', '.join(map(repr, allowed))} for {task}, got {unknown[0]!r}."
        )
    checked = {name: (model, False) for name, model in models.items()}
    added = {}
    if "permuted" in controls:
        added |= {
            f"{name}{PERMUTED}": (model, True)
            for name, model in models.items()
            if name not in GUESSES  # which do not look at the input
        }
    if _GUESS[task] in controls:
        name = MAJORITY if task == "classification" else MEAN
        added[name] = (make_dummy("passthrough", task=task), False)
    taken = checked.keys() & added.keys()
    if taken:
        raise ValueError(f"A control has the name of a model: {taken.pop()!r}. Rename the model.")
    return checked | added


def _take_columns(X, y, groups, models):
    """X, y and groups; the last two may be given as names of columns of X."""
    columns = list(X) if isinstance(X, pd.DataFrame) else []
    targets = [y] if isinstance(y, str) else y
    of_y = isinstance(y, str) or (
        isinstance(y, list | tuple)
        and len(y) > 0
        and all(isinstance(name, str) and name in columns for name in y)
    )
    for what, name in (("y", y), ("groups", groups)):
        if isinstance(name, str) and name not in columns:
            raise ValueError(
                f"{what} is the text {name!r}, which is not a column of X: pass the name of a "
                "column of a DataFrame, or the values of each window."
            )
    dropped = list(targets) if of_y else []
    if of_y:
        y = X[y] if isinstance(y, str) else X[list(y)]
    if isinstance(groups, str):
        has_end = "stop" in columns or "segment" in X.attrs
        others = GROUP_COLUMNS[1:] if has_end else ("trial",)
        used = [groups, *(x for x in others if x in columns and x not in (groups, *dropped))]
        dropped += [
            name
            for name in columns
            if name in (groups, *GROUP_COLUMNS[1:])
            and name not in dropped
            and not any(_names_column(model, name) for model in models.values())
        ]
        groups = X[used].rename(columns={groups: "subject"})
    return X.drop(columns=dropped) if dropped else X, y, groups


def _names_column(model, column):
    """Whether a parameter of a model is the name of a column, or a list that contains it."""

    def has(value):
        if isinstance(value, list | tuple):
            return any(map(has, value))
        return isinstance(value, str) and value == column

    return hasattr(model, "get_params") and any(map(has, model.get_params().values()))


def _check_own(protocol, gap, tested):
    if tested is not None and isinstance(protocol, list | tuple):
        raise ValueError(
            "A list of splits already says which windows are tested and which are trained on: "
            "leave out tested=."
        )
    if isinstance(protocol, type):
        raise ValueError(
            f"protocol is the class {protocol.__name__}: pass a splitter, {protocol.__name__}(...)."
        )
    if not isinstance(protocol, list | tuple) and not hasattr(protocol, "split"):
        raise ValueError(
            f"protocol must be one of {', '.join(map(repr, PROTOCOLS))}, a splitter such as "
            f"GroupShuffleSplit(), or a list of pairs (train, test), got {protocol!r}."
        )
    if gap:
        raise ValueError(f"gap={gap!r} is for protocol='blocked-k-fold' only.")


def _name_of_target(y, task, targets):
    """The name of a single target of numbers, if it has one."""
    names = list(y) if isinstance(y, pd.DataFrame) else [getattr(y, "name", None)]
    is_known = task == "regression" and len(targets) == 1 and names[0] is not None
    return {"target": str(names[0])} if is_known else {}


def _train_within(subjects, folds):
    """Whether any model is trained on a single subject."""
    return any(len(np.unique(subjects[train])) == 1 for own in folds for train, _ in own)


def _as_code(protocol):
    return "folds" if isinstance(protocol, list | tuple) else repr(protocol)


def _for_targets(folds, y, model, task):
    """The folds and the model for several targets, as the notes of `compare` say."""
    if y.ndim == 1:
        return folds, model
    if not is_network(model):
        known = known_rows(y)
        folds = [(train[known[train]], test) for train, test in folds]
    if not hasattr(model, "__sklearn_tags__") or get_tags(model).target_tags.multi_output:
        return folds, model
    several = MultiOutputClassifier if task == "classification" else MultiOutputRegressor
    return folds, several(model)


def _orders_for(model, orders):
    """Return the orders of classes if there are any and the model may use them.

    Networks may, and searches over networks.
    """
    last = model.steps[-1][1] if isinstance(model, Pipeline) else model
    may_use = is_network(last.estimator if is_search(last) else last)
    return orders if may_use and any(order is not None for order in orders) else []


def _count_units(units, y):
    """The number of training subjects or trials, in total and with windows of the rarer class."""
    n_units = len(np.unique(units))
    classes = [] if y is None else np.unique(y)
    if len(classes) != 2:  # with more, training may do without one
        return n_units, n_units
    return n_units, min(len(np.unique(units[y == label])) for label in classes)


def _check_options(n_repeats, on_error, output, random_state, together):
    if not isinstance(together, bool):
        raise ValueError(f"together must be True or False, got {together!r}.")
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"n_repeats must be a positive whole number, got {n_repeats!r}.")
    if on_error not in ("record", "raise"):
        raise ValueError(f'on_error must be "record" or "raise", got {on_error!r}.')
    generators = (np.random.RandomState, np.random.Generator)
    if random_state is not None and not isinstance(random_state, (Integral, *generators)):
        raise ValueError(
            f"random_state must be a whole number, a RandomState or None, got {random_state!r}."
        )
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
