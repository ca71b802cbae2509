"""How much better models score when they are tested on known subjects."""

from collections.abc import Mapping
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import column_or_1d

from skemo.evaluation.compare import compare
from skemo.evaluation.protocols import ProtocolName, protocol_folds, window_groups
from skemo.evaluation.scores import check_metric, metrics_of
from skemo.evaluation.targets import find_task
from skemo.signals.groups import refuse_column_name


def leakage_gap(
    models: Mapping[str, BaseEstimator],
    X: pd.DataFrame | ArrayLike,
    y: ArrayLike,
    groups: pd.DataFrame | ArrayLike,
    *,
    protocol: ProtocolName = "leave-one-subject-out",
    optimistic: ProtocolName = "segment-k-fold",
    metric: str | None = None,
    n_splits: int = 10,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = 0,
    progress: bool = False,
    together: bool = False,
    n_repeats: int = 1,
    output: str | Path | None = None,
) -> pd.DataFrame:
    """Measure how much testing on known subjects adds to the score of each model.

    Parameters
    ----------
    models : dict of str to estimator
        As for `compare`.
    X : DataFrame or array of n_windows rows
        Input of every model.
    y : array-like of shape (n_windows,)
        Labels, or numbers for regressors.
    groups : array-like of shape (n_windows,), or DataFrame
        The subject of each window, or a table as for `compare`.
    protocol : str, default="leave-one-subject-out"
        The protocol to trust.
    optimistic : str, default="segment-k-fold"
        The protocol to compare it with.
    metric : str, default=None
        One of `Comparison.metrics`. None means the balanced accuracy, or the concordance for
        numbers.
    n_splits : int, default=10
        Number of folds, for the k-fold protocols.
    n_jobs : int or None, default=None
        Number of fits that run in parallel.
    random_state : int, RandomState or None, default=0
        Seed of the folds and of the bootstrap.
    progress : bool, default=False
        Whether to draw progress bars on the standard error stream.
    together : bool, default=False
        As for `compare`.
    n_repeats : int, default=1
        How often to repeat everything, as for `compare`.
    output : str, Path or None, default=None
        Folder in which finished fits are kept, as for `compare`.

    Returns
    -------
    DataFrame
        As `Comparison.gap` returns it: for each model, the mean score over subjects under each
        protocol, their difference `gap`, and its 95 % interval over subjects, `low` to `high`.

    Raises
    ------
    ValueError
        The metric is unknown, one of the protocols cannot be followed, or as for `compare`.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import leakage_gap, make_svm
    >>> rng = np.random.default_rng(0)
    >>> subjects = np.repeat(np.arange(8), 10)
    >>> y = np.where(subjects % 2, "calm", "stress")  # one label per subject
    >>> X = rng.normal(size=(8, 3))[subjects] + 0.1 * rng.normal(size=(80, 3))
    >>> gap = leakage_gap({"SVM": make_svm("passthrough")}, X, y, subjects)
    >>> gap.loc["SVM", "segment-k-fold (optimistic)"].item()  # the model knows the subjects
    1.0
    """
    refuse_column_name("y", y)
    task = find_task(models, y)
    if metric is not None:
        check_metric(metric, metrics_of(task))
    labels = column_or_1d(y) if task == "classification" else None
    for name in (protocol, optimistic):  # fail before the first takes hours
        protocol_folds(name, labels, window_groups(groups), n_splits, random_state)
    honest, other = (
        compare(
            models,
            X,
            y,
            groups,
            protocol=name,
            n_splits=n_splits,
            n_jobs=n_jobs,
            random_state=random_state,
            progress=progress,
            together=together,
            n_repeats=n_repeats,
            output=output,
        )
        for name in (protocol, optimistic)
    )
    seed = random_state if isinstance(random_state, Integral) else 0
    return honest.gap(other, metric, random_state=seed)
