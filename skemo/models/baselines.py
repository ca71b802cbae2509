"""Classical classifiers as ready-made Pipelines: features, imputation, scaling, classifier."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, TransformerMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skemo.signals.checks import refuse_signals


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


def make_svm(
    features: TransformerMixin | Literal["passthrough"],
    *,
    C: float = 1.0,
    kernel: str = "rbf",
    gamma: Literal["scale", "auto"] | float = "scale",
    class_weight: Mapping[Any, float] | Literal["balanced"] | None = "balanced",
) -> Pipeline:
    """Make a support vector machine that works on `features`.

    Missing features are replaced by the median of the training rows, and then every feature
    is standardised by the training rows. The steps are called ``features``, ``imputer``,
    ``scaler`` and ``classifier``, so a grid search can vary ``classifier__C``, for example.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features: a `make_modality_transformer` whose transformers
        return features, alone or followed by `PerSubject`.
    C : float, default=1.0
        Inverse of the regularisation strength.
    kernel : str, default="rbf"
        Kernel of `sklearn.svm.SVC`.
    gamma : "scale", "auto" or float, default="scale"
        Coefficient of the kernel.
    class_weight : dict, "balanced" or None, default="balanced"
        Weights of the classes. With "balanced", a rare class counts as much as a common one.

    Returns
    -------
    sklearn.pipeline.Pipeline
        It has ``decision_function``, but no ``predict_proba``.

    Examples
    --------
    >>> from skemo import make_svm
    >>> make_svm("passthrough").fit([[0.0], [1.0]], ["rest", "stress"]).predict([[0.9]]).tolist()
    ['stress']
    """
    classifier = SVC(C=C, kernel=kernel, gamma=gamma, class_weight=class_weight)
    return _make_pipeline(features, classifier)


def make_random_forest(
    features: TransformerMixin | Literal["passthrough"],
    *,
    n_estimators: int = 300,
    min_samples_leaf: float = 1,
    class_weight: (
        Mapping[Any, float] | Literal["balanced", "balanced_subsample"] | None
    ) = "balanced",
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> Pipeline:
    """Make a random forest that works on `features`.

    Missing features are replaced by the median of the training rows. The steps are called
    ``features``, ``imputer`` and ``classifier``.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features, as for `make_svm`.
    n_estimators : int, default=300
        Number of trees.
    min_samples_leaf : int or float, default=1
        Smallest number of windows in a leaf or, if a float, smallest share of them.
    class_weight : dict, "balanced", "balanced_subsample" or None, default="balanced"
        Weights of the classes.
    random_state : int, RandomState or None, default=None
        Seed of the random numbers.
    n_jobs : int or None, default=None
        Number of trees grown in parallel.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Examples
    --------
    >>> from skemo import make_random_forest
    >>> forest = make_random_forest("passthrough", random_state=0)
    >>> list(forest.named_steps)
    ['features', 'imputer', 'classifier']
    """
    classifier = RandomForestClassifier(
        n_estimators=n_estimators,
        min_samples_leaf=min_samples_leaf,
        class_weight=class_weight,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    return _make_pipeline(features, classifier, scale=False)


def make_lda(
    features: TransformerMixin | Literal["passthrough"],
    *,
    shrinkage: Literal["auto"] | float | None = "auto",
    priors: ArrayLike | None = None,
) -> Pipeline:
    """Make a linear discriminant analysis that works on `features`.

    Missing features are replaced by the median of the training rows, and then every feature
    is standardised by the training rows. The covariance is shrunk (Ledoit and Wolf, 2004), as
    is needed for many features and few windows. The steps are called ``features``,
    ``imputer``, ``scaler`` and ``classifier``.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features, as for `make_svm`.
    shrinkage : "auto", float in [0, 1] or None, default="auto"
        How far the covariance is shrunk towards a multiple of the identity; "auto" estimates
        the amount.
    priors : array-like of shape (n_classes,), default=None
        Prior probabilities of the classes. None uses their frequencies in the training rows,
        so LDA, unlike the other baselines, favours the common class.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Examples
    --------
    >>> from skemo import make_lda
    >>> make_lda("passthrough").named_steps["classifier"].solver
    'lsqr'
    """
    classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=priors)
    return _make_pipeline(features, classifier)


def make_dummy(
    features: TransformerMixin | Literal["passthrough"],
    *,
    strategy: str = "most_frequent",
    random_state: int | np.random.RandomState | None = None,
) -> Pipeline:
    """Make the baseline that ignores all features and predicts the most frequent class.

    The steps are called ``features`` and ``classifier``.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features, as for `make_svm`. They are ignored, so
        "passthrough" saves the time to compute them.
    strategy : str, default="most_frequent"
        Strategy of `sklearn.dummy.DummyClassifier`; "stratified" draws classes by their
        frequencies.
    random_state : int, RandomState or None, default=None
        Seed of the random numbers, for strategies that draw classes.

    Returns
    -------
    sklearn.pipeline.Pipeline

    Examples
    --------
    >>> from skemo import make_dummy
    >>> make_dummy("passthrough").fit([[0], [0], [0]], [1, 1, 2]).predict([[5]]).tolist()
    [1]
    """
    classifier = DummyClassifier(strategy=strategy, random_state=random_state)
    return Pipeline([("features", features), ("classifier", classifier)])


def _make_pipeline(
    features: TransformerMixin | Literal["passthrough"],
    classifier: ClassifierMixin,
    scale: bool = True,
) -> Pipeline:
    # A feature that is missing in all training windows, such as LF power in windows of 10 s, is
    # kept as a constant, so that the number of columns does not depend on the fold.
    imputer = FeatureImputer(strategy="median", keep_empty_features=True)
    steps: list[tuple[str, Any]] = [("features", features), ("imputer", imputer)]
    if scale:
        steps.append(("scaler", StandardScaler()))
    return Pipeline([*steps, ("classifier", classifier)])
