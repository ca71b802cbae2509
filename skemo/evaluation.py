"""Compare models subject by subject, under a named protocol."""

import itertools
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_consistent_length, column_or_1d, has_fit_parameter

from skemo._many import check_together, may_train_together, train_fits
from skemo._once import OnRows, Tables, fit_key
from skemo.model_selection import PROTOCOLS, protocol_folds

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "sensitivity", "specificity", "precision")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found: every prediction, and the scores that follow from them.

    Parameters
    ----------
    protocol : str
        The protocol's name.
    predictions : DataFrame
        A row per model and tested window: `model`, `fold`, `row` (position in `X`),
        `subject`, `y_true`, `y_pred`.
    scores : DataFrame
        A row per model, fold and subject: `model`, `fold`, `subject`, the `METRICS` over
        the subject's windows in that fold, their number `n_windows`, and of the whole fold
        `fit_time` and `predict_time` in seconds, without what is computed once for all folds.
    """

    protocol: str
    predictions: pd.DataFrame
    scores: pd.DataFrame

    def __repr__(self):
        table = self.table()
        return f"<Comparison by {table.columns.name}>\n{table.to_string()}"

    @property
    def optimistic(self):
        """Whether the models had seen the tested subjects."""
        return PROTOCOLS[self.protocol].optimistic

    def subject_scores(self):
        """Return a row per model and subject, with `METRICS` over all the subject's windows.

        A window counts once, in the fold that tested it, so that the scores of a subject mean
        the same under every protocol.

        Returns
        -------
        DataFrame
        """
        return score_predictions(self.predictions, ["model", "subject"])

    def summary(self):
        """Return the mean over subjects and its spread, in numbers.

        Returns
        -------
        DataFrame
            As `summarize` returns it.
        """
        return summarize(self.subject_scores())

    def table(self):
        """Return mean ± standard deviation over subjects, in per cent, ready to print.

        Returns
        -------
        DataFrame of str
            As `format_summary` returns it. The columns are named for the protocol, and say
            whether it is optimistic.
        """
        protocol = f"{self.protocol} (optimistic)" if self.optimistic else self.protocol
        return format_summary(self.summary()).rename_axis(columns=protocol)


def compare(
    models,
    X,
    y,
    groups,
    protocol="leave-one-subject-out",
    n_splits=10,
    n_jobs=None,
    random_state=0,
    progress=False,
    together="auto",
):
    """Fit and test models on the same folds, and score them subject by subject.

    Each model is cloned for each fold, fitted on the training rows, and predicts the test
    rows. First steps of a Pipeline that learn nothing, such as `HRVTransformer`, are computed
    once for all folds and for all models that share them, as in `cross_validate`. A model
    whose last step has ``early_stopping=True`` and takes `groups` gets the subjects of the
    training rows, so that its validation split is by subject too.

    Parameters
    ----------
    models : dict of str to classifier
        Models by the name that the table shows. `make_dummy` among them is the majority
        baseline.
    X : DataFrame or array of n_windows rows
        Input of every model. Columns that only some of them need may be there, where the
        others select theirs.
    y : array-like of shape (n_windows,)
        Labels.
    groups : array-like of shape (n_windows,)
        The subject of each window.
    protocol : {"leave-one-subject-out", "group-k-fold", "segment-k-fold"}, \
            default="leave-one-subject-out"
        How the folds are made; `skemo.model_selection.protocol_splitter` describes them.
        The last one is optimistic.
    n_splits : int, default=10
        Number of folds; without meaning for leave-one-subject-out.
    n_jobs : int or None, default=None
        Fits at once, as for `joblib.Parallel`. The result does not depend on it.
    random_state : int, RandomState or None, default=0
        Seed of the folds. The models have their own.
    progress : bool, default=False
        Draw a bar with the remaining time on the standard error stream.
    together : {"auto", True, False}, default="auto"
        Train the networks of several folds as one computation; "auto" does it where that is
        sooner done. See the Notes of `cross_validate`.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        Lengths differ, labels or subjects are missing, the protocol is unknown or there are
        too few subjects for it.
    RuntimeError
        A model failed; the message names the model and the fold.

    Notes
    -----
    Per subject, from the confusion matrix over the subject's windows, each class against the
    others: sensitivity TP/(TP+FN), specificity TN/(TN+FP), precision (PPR) TP/(TP+FP), F1
    2TP/(2TP+FP+FN), each averaged over the classes that the subject's windows have (macro). A
    class that is there and never predicted has precision 0. The specificity of a subject with
    a single class is not defined: NaN, which `summarize` leaves out. Macro sensitivity is the
    balanced accuracy.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import compare, make_dummy, make_svm
    >>> rng = np.random.default_rng(0)
    >>> y, subjects = np.tile(["rest", "stress"], 30), np.repeat(["a", "b", "c"], 20)
    >>> X = rng.normal(size=(60, 2)) + 5 * (y == "stress")[:, None]
    >>> models = {"SVM": make_svm("passthrough"), "majority": make_dummy("passthrough")}
    >>> compare(models, X, y, subjects).table()["ACC"].tolist()
    ['100.0 ± 0.0', '50.0 ± 0.0']
    """
    if not isinstance(models, dict) or not models:
        raise ValueError(f"models must be a dict of name to classifier, got {models!r}.")
    check_together(together)
    check_consistent_length(X, y, groups)
    X = X if hasattr(X, "shape") else np.asarray(X)
    y, groups = column_or_1d(y), column_or_1d(groups)
    for name, values in (("y", y), ("groups", groups)):
        if pd.isna(values).any():
            raise ValueError(
                f"{name} is missing (NaN) in {pd.isna(values).sum()} row(s): drop these rows."
            )
    check_classification_targets(y)
    folds = protocol_folds(protocol, y, groups, n_splits, random_state)
    tables = Tables(X, y)
    on_rows = {name: OnRows(model, [tables.find(model)]) for name, model in models.items()}
    seconds = {}
    for name, model in models.items():
        if may_train_together(model, set(), together):
            given = _group_parameter(model, groups)
            seconds[name] = train_fits(on_rows[name], [{}], folds, y, given, together, n_jobs)
    tasks = [(name, fold) for name in models for fold in range(len(folds))]
    calls = [
        delayed(_fit_and_predict)(i, name, fold, on_rows[name], y, groups, *folds[fold])
        for i, (name, fold) in enumerate(tasks)
    ]
    # Networks that are trained already only predict, on the device where they are.
    here = [call for call, (name, _) in zip(calls, tasks, strict=True) if seconds.get(name)]
    there = [call for call, (name, _) in zip(calls, tasks, strict=True) if not seconds.get(name)]
    in_processes = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    in_turn = Parallel(n_jobs=1, return_as="generator")
    results = itertools.chain(in_turn(here), in_processes(there))
    if progress:
        results = _with_progress(results, len(tasks), protocol)
    predicted, times = {}, {}
    for i, y_pred, fit_time, predict_time in results:
        name, fold = tasks[i]
        fit_time += seconds.get(name, {}).get(fit_key(0, folds[fold][0]), 0.0)
        predicted[i], times[tasks[i]] = y_pred, (fit_time, predict_time)
    parts = []
    for i, (name, fold) in enumerate(tasks):
        rows = folds[fold][1]
        columns = {"model": name, "fold": fold, "row": rows, "subject": groups[rows]}
        parts.append(pd.DataFrame({**columns, "y_true": y[rows], "y_pred": predicted[i]}))
    predictions = pd.concat(parts, ignore_index=True)
    scores = score_predictions(predictions, ["model", "fold", "subject"])
    of_rows = [times[task] for task in zip(scores["model"], scores["fold"], strict=True)]
    scores[["fit_time", "predict_time"]] = of_rows
    return Comparison(protocol, predictions, scores)


def score_predictions(predictions, by):
    """Score the predictions in each group of rows.

    Parameters
    ----------
    predictions : DataFrame
        With `y_true`, `y_pred` and the columns named in `by`.
    by : list of str
        Columns that tell the groups apart.

    Returns
    -------
    DataFrame
        A row a group, in order of appearance: the columns `by`, `METRICS` as `compare`
        defines them, and `n_windows`.
    """
    groups = predictions.groupby(by, sort=False)
    labels = predictions[["y_true", "y_pred"]].to_numpy()
    codes, classes = pd.factorize(labels.ravel())
    codes = codes.reshape(-1, 2)
    confusion = np.zeros((groups.ngroups, len(classes), len(classes)), np.intp)
    np.add.at(confusion, (groups.ngroup().to_numpy(), codes[:, 0], codes[:, 1]), 1)
    scores = predictions.drop_duplicates(by)[by].reset_index(drop=True)
    for metric, values in confusion_scores(confusion).items():
        scores[metric] = values
    scores["n_windows"] = confusion.sum(axis=(1, 2))
    return scores


def confusion_scores(confusion):
    """Return `METRICS` of confusion matrices, as `compare` defines them.

    Parameters
    ----------
    confusion : array-like of shape (..., n_classes, n_classes)
        Counts, true classes in rows and predicted classes in columns.

    Returns
    -------
    dict of str to ndarray of shape (...)

    Examples
    --------
    >>> from skemo.evaluation import confusion_scores
    >>> scores = confusion_scores([[8, 2], [1, 4]])
    >>> scores["accuracy"].item(), scores["balanced_accuracy"].item()
    (0.8, 0.8)
    """
    confusion = np.asarray(confusion, np.float64)
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    total = true.sum(axis=-1, keepdims=True)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    present = true > 0

    def macro(numerator, denominator):
        """Mean over the classes that are present and for which the ratio is defined."""
        defined = present & (denominator > 0)
        ratio = np.divide(numerator, denominator, out=np.zeros_like(hits), where=defined)
        n_defined = defined.sum(axis=-1)
        none = np.full(n_defined.shape, np.nan)
        return np.divide(ratio.sum(axis=-1), n_defined, out=none, where=n_defined > 0)

    sensitivity = macro(hits, true)
    return {
        "accuracy": hits.sum(axis=-1) / total[..., 0],
        "balanced_accuracy": sensitivity,
        "macro_f1": macro(2 * hits, true + predicted),
        "sensitivity": sensitivity,
        "specificity": macro(total - true - predicted + hits, total - true),
        # A class that is never predicted has no hits: its precision is 0 / 1.
        "precision": macro(hits, np.maximum(predicted, 1)),
    }


def summarize(subject_scores):
    """Return the mean over subjects and its spread for each model.

    Parameters
    ----------
    subject_scores : DataFrame
        A row per model and subject, as `Comparison.subject_scores` returns it.

    Returns
    -------
    DataFrame
        A row a model, in order of appearance; columns (metric, "mean") and (metric, "std"),
        fractions of 1. The metrics are `METRICS` and `sen_spe`, the mean of sensitivity and
        specificity, which for two classes is the balanced accuracy. The standard deviation
        is that of a sample (n − 1), NaN for a single subject.
    """
    scores = subject_scores.copy()
    scores["sen_spe"] = (scores["sensitivity"] + scores["specificity"]) / 2
    models = scores.groupby("model", sort=False)
    return models[[*METRICS, "sen_spe"]].agg(["mean", "std"])


def format_summary(summary):
    """Write a summary in per cent, in the columns that papers use.

    Parameters
    ----------
    summary : DataFrame
        From `summarize`.

    Returns
    -------
    DataFrame of str
        A row a model; columns `ACC`, `SEN & SPE` (their mean), `PPR` (precision),
        `balanced accuracy` and `macro F1`, each "mean ± standard deviation over subjects".
    """
    columns = {
        "ACC": "accuracy",
        "SEN & SPE": "sen_spe",
        "PPR": "precision",
        "balanced accuracy": "balanced_accuracy",
        "macro F1": "macro_f1",
    }
    percent = 100 * summary
    return pd.DataFrame(
        {
            title: [
                f"{mean:.1f} ± {std:.1f}"
                for mean, std in percent[metric][["mean", "std"]].itertuples(index=False)
            ]
            for title, metric in columns.items()
        },
        index=summary.index,
    )


def _fit_and_predict(i, name, fold, model, y, groups, train, test):
    """One model, which takes rows by position, in one fold; `i` says whose the result is."""
    try:
        model = clone(model)
        started = time.perf_counter()
        model.fit(train, y[train], **_group_parameter(model.estimator, groups[train]))
        fitted = time.perf_counter()
        y_pred = model.predict(test)
        return i, np.asarray(y_pred), fitted - started, time.perf_counter() - fitted
    except Exception as error:
        raise RuntimeError(
            f"The model {name!r} failed in fold {fold}: {type(error).__name__}: {error}"
        ) from error


def _group_parameter(model, groups):
    step, final = model.steps[-1] if isinstance(model, Pipeline) else ("", model)
    if not (getattr(final, "early_stopping", False) is True and has_fit_parameter(final, "groups")):
        return {}
    if get_config()["enable_metadata_routing"]:
        final.set_fit_request(groups=True)
        return {"groups": groups}
    return {f"{step}__groups" if step else "groups": groups}


def _with_progress(results, n_tasks, description):
    """Pass results on, and draw how many there are on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield from bar.track(results, total=n_tasks, description=description)
