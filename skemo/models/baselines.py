"""Classical models as ready-made Pipelines: features, imputation, scaling, model."""

from typing import Any, Literal, Self, TypeAlias

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, is_regressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from skemo.signals.checks import refuse_signals

Features: TypeAlias = TransformerMixin | Literal["passthrough"]
Task = Literal["classification", "regression"]


class FeatureImputer(SimpleImputer):
    """`sklearn.impute.SimpleImputer` with a helpful error message for signal columns.

    Its parameters and attributes are those of `SimpleImputer`.
    """

    def fit(self, X: ArrayLike | pd.DataFrame, y: None = None) -> Self:
        """Learn the values that replace missing features.

        Parameters
        ----------
        X : array or DataFrame of shape (n_windows, n_features)
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `X` has signal columns. The message names them and the parameter to change.
        """
        refuse_signals("A model over features", X)
        return super().fit(X, y)


def make_svm(features: Features, *, task: Task = "classification", **parameters: Any) -> Pipeline:
    """Make a support vector machine that works on `features`.

    Missing features are replaced by the median of the training rows, and then every feature
    is standardised by the training rows. The steps are called ``features``, ``imputer``,
    ``scaler`` and ``classifier`` (or ``regressor``), so a grid search can vary ``classifier__C``,
    for example.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features: a `make_modality_transformer` whose transformers
        return features, alone or followed by `PerSubject`.
    task : {"classification", "regression"}, default="classification"
        Whether to predict classes or numbers. It is not inferred from `y`, which is not known until
        ``fit``, when the last step is an SVC or SVR already. `compare` refuses classifiers for
        numbers with fractions.
    **parameters : any
        Those of `sklearn.svm.SVC` or `sklearn.svm.SVR`, such as ``C`` and ``gamma``. For classes,
        ``class_weight`` is "balanced" unless given: a rare class counts as much as a common one.

    Returns
    -------
    sklearn.pipeline.Pipeline
        For classes, it has ``decision_function``, but no ``predict_proba``.

    Examples
    --------
    >>> from skemo import make_svm
    >>> make_svm("passthrough").fit([[0.0], [1.0]], ["rest", "stress"]).predict([[0.9]]).tolist()
    ['stress']
    >>> make_svm("passthrough", task="regression", epsilon=0.5)[-1]
    SVR(epsilon=0.5)
    """
    if _is_regression(task):
        return _make_pipeline(features, SVR(**parameters))
    return _make_pipeline(features, SVC(**{"class_weight": "balanced", **parameters}))


def make_random_forest(
    features: Features, *, task: Task = "classification", **parameters: Any
) -> Pipeline:
    """Make a random forest that works on `features`.

    Missing features are replaced by the median of the training rows. The steps are called
    ``features``, ``imputer`` and ``classifier`` (or ``regressor``).

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features, as for `make_svm`.
    task : {"classification", "regression"}, default="classification"
        Whether to predict classes or numbers; several targets are possible.
    **parameters : any
        Those of `sklearn.ensemble.RandomForestClassifier` or
        `sklearn.ensemble.RandomForestRegressor`. ``n_estimators`` is 300 and, for classes,
        ``class_weight`` is "balanced" unless given.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Examples
    --------
    >>> from skemo import make_random_forest
    >>> forest = make_random_forest("passthrough", max_features=0.5, random_state=0)
    >>> list(forest.named_steps)
    ['features', 'imputer', 'classifier']
    """
    parameters = {"n_estimators": 300, **parameters}
    if _is_regression(task):
        return _make_pipeline(features, RandomForestRegressor(**parameters), scale=False)
    forest = RandomForestClassifier(**{"class_weight": "balanced", **parameters})
    return _make_pipeline(features, forest, scale=False)


def make_ridge(features: Features, *, task: Task = "classification", **parameters: Any) -> Pipeline:
    """Make a linear model with a squared penalty that works on `features`.

    Missing features are replaced by the median of the training rows, and then every feature
    is standardised by the training rows. The steps are called as those of `make_svm`.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features, as for `make_svm`.
    task : {"classification", "regression"}, default="classification"
        Whether to predict classes or numbers; several numbers are possible.
    **parameters : any
        Those of `sklearn.linear_model.RidgeClassifier` or `sklearn.linear_model.Ridge`, such as
        ``alpha``. For classes, ``class_weight`` is "balanced" unless given.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Examples
    --------
    >>> from skemo import make_ridge
    >>> ridge = make_ridge("passthrough", task="regression", alpha=1e-6)
    >>> ridge.fit([[0.0], [1.0]], [2.0, 4.0]).predict([[2.0]]).round(3).tolist()
    [6.0]
    """
    if _is_regression(task):
        return _make_pipeline(features, Ridge(**parameters))
    return _make_pipeline(features, RidgeClassifier(**{"class_weight": "balanced", **parameters}))


def make_logistic_regression(features: Features, **parameters: Any) -> Pipeline:
    """Make a logistic regression, a classifier, that works on `features`.

    Missing features are replaced by the median of the training rows, and then every feature
    is standardised by the training rows. The steps are called as those of `make_svm`.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features, as for `make_svm`.
    **parameters : any
        Those of `sklearn.linear_model.LogisticRegression`, such as ``C``. ``class_weight`` is
        "balanced" and ``max_iter`` 1000 unless given.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Examples
    --------
    >>> from skemo import make_logistic_regression
    >>> make_logistic_regression("passthrough", C=0.003)[-1].C
    0.003
    """
    parameters = {"class_weight": "balanced", "max_iter": 1000, **parameters}
    return _make_pipeline(features, LogisticRegression(**parameters))


def make_lda(features: Features, **parameters: Any) -> Pipeline:
    """Make a linear discriminant analysis that works on `features`.

    Missing features are replaced by the median of the training rows, and then every feature
    is standardised by the training rows. The covariance is shrunk (Ledoit and Wolf, 2004), as
    is needed for many features and few windows. The steps are called ``features``,
    ``imputer``, ``scaler`` and ``classifier``.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features, as for `make_svm`.
    **parameters : any
        Those of `sklearn.discriminant_analysis.LinearDiscriminantAnalysis`. ``solver`` is "lsqr"
        and ``shrinkage`` "auto" unless given: a number in [0, 1] says how far the covariance is
        shrunk towards a multiple of the identity. ``priors`` are the frequencies of the classes in
        the training rows unless given, so LDA, unlike the other baselines, favours the common
        class.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Examples
    --------
    >>> from skemo import make_lda
    >>> make_lda("passthrough").named_steps["classifier"].solver
    'lsqr'
    """
    parameters = {"solver": "lsqr", "shrinkage": "auto", **parameters}
    return _make_pipeline(features, LinearDiscriminantAnalysis(**parameters))


def make_dummy(features: Features, *, task: Task = "classification", **parameters: Any) -> Pipeline:
    """Make the baseline that ignores all features: the most frequent class, or the mean.

    The steps are called ``features`` and ``classifier`` (or ``regressor``).

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features, as for `make_svm`. They are ignored, so
        "passthrough" saves the time to compute them.
    task : {"classification", "regression"}, default="classification"
        Whether to predict classes or numbers.
    **parameters : any
        Those of `sklearn.dummy.DummyClassifier`, whose ``strategy`` is "most_frequent" unless
        given ("stratified" draws classes by their frequencies), or of
        `sklearn.dummy.DummyRegressor`, which predicts the mean of the training rows.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Examples
    --------
    >>> from skemo import make_dummy
    >>> make_dummy("passthrough").fit([[0], [0], [0]], [1, 1, 2]).predict([[5]]).tolist()
    [1]
    """
    if _is_regression(task):
        return Pipeline([("features", features), ("regressor", DummyRegressor(**parameters))])
    classifier = DummyClassifier(**{"strategy": "most_frequent", **parameters})
    return Pipeline([("features", features), ("classifier", classifier)])


def _is_regression(task):
    if task not in ("classification", "regression"):
        raise ValueError(f'task must be "classification" or "regression", got {task!r}.')
    return task == "regression"


def _make_pipeline(features: Features, model: BaseEstimator, scale: bool = True) -> Pipeline:
    # A feature that is missing in all training windows, such as LF power in windows of 10 s, is
    # kept as a constant, so that the number of columns does not depend on the fold.
    imputer = FeatureImputer(strategy="median", keep_empty_features=True)
    steps: list[tuple[str, Any]] = [("features", features), ("imputer", imputer)]
    if scale:
        steps.append(("scaler", StandardScaler()))
    return Pipeline([*steps, ("regressor" if is_regressor(model) else "classifier", model)])
