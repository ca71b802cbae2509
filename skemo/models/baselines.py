"""Classical classifiers as ready Pipelines: features, imputation, scaling, classifier."""

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skemo.signals.checks import refuse_signals


class FeatureImputer(SimpleImputer):
    """`sklearn.impute.SimpleImputer` that says what to do where it is given signal columns.

    Its parameters and attributes are those of `SimpleImputer`.
    """

    def fit(self, X, y=None):
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
            Where `X` has signal columns: names them, and the parameter to change.
        """
        refuse_signals("A model over features", X)
        return super().fit(X, y)


def make_svm(features, *, C=1.0, kernel="rbf", gamma="scale", class_weight="balanced"):
    """Make a support vector machine over `features`.

    Missing features are replaced by the median of the training rows, then every feature is
    standardised by the training rows. The steps are ``features``, ``imputer``, ``scaler`` and
    ``classifier``, so that a grid reaches ``classifier__C``.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features: `make_modality_transformer` with transformers
        that return features, alone or in `PerSubject`.
    C : float, default=1.0
        Inverse of the regularisation.
    kernel : str, default="rbf"
        Kernel of `sklearn.svm.SVC`.
    gamma : "scale", "auto" or float, default="scale"
        Width of the kernel.
    class_weight : dict, "balanced" or None, default="balanced"
        Weights of the classes; "balanced" lets a rare class count as much as a common one.

    Returns
    -------
    sklearn.pipeline.Pipeline
        It has ``decision_function`` and no probabilities.

    Examples
    --------
    >>> from skemo import make_svm
    >>> make_svm("passthrough").fit([[0.0], [1.0]], ["rest", "stress"]).predict([[0.9]]).tolist()
    ['stress']
    """
    classifier = SVC(C=C, kernel=kernel, gamma=gamma, class_weight=class_weight)
    return _make_pipeline(features, classifier)


def make_random_forest(
    features,
    *,
    n_estimators=300,
    min_samples_leaf=1,
    class_weight="balanced",
    random_state=None,
    n_jobs=None,
):
    """Make a random forest over `features`.

    Missing features are replaced by the median of the training rows. The steps are
    ``features``, ``imputer`` and ``classifier``.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features, as for `make_svm`.
    n_estimators : int, default=300
        Number of trees.
    min_samples_leaf : int or float, default=1
        Smallest leaf.
    class_weight : dict, "balanced", "balanced_subsample" or None, default="balanced"
        Weights of the classes.
    random_state : int, RandomState or None, default=None
        Seed.
    n_jobs : int or None, default=None
        Trees grown at once.

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


def make_lda(features, *, shrinkage="auto", priors=None):
    """Make a linear discriminant analysis over `features`.

    Missing features are replaced by the median of the training rows, then every feature is
    standardised by the training rows. The covariance is shrunk (Ledoit and Wolf, 2004), which
    many features and few windows need. The steps are ``features``, ``imputer``, ``scaler`` and
    ``classifier``.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Turns windows into numeric features, as for `make_svm`.
    shrinkage : "auto", float in [0, 1] or None, default="auto"
        How far the covariance is drawn towards a multiple of the identity; "auto" estimates
        it.
    priors : array-like of shape (n_classes,), default=None
        Probabilities of the classes; None takes their frequencies in the training rows, so
        that LDA, unlike the other baselines, favours the common class.

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


def make_dummy(features, *, strategy="most_frequent", random_state=None):
    """Make the baseline that looks at no feature: the commonest class of the training rows.

    The steps are ``features`` and ``classifier``.

    Parameters
    ----------
    features : transformer, or "passthrough"
        Takes the windows as it does for the other baselines. What it returns is ignored, so
        that "passthrough" saves its time.
    strategy : str, default="most_frequent"
        Strategy of `sklearn.dummy.DummyClassifier`; "stratified" draws by frequency.
    random_state : int, RandomState or None, default=None
        Seed, where the strategy draws.

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


def _make_pipeline(features, classifier, scale=True):
    # A feature that no training window has, as LF power in 10 s, is kept as a constant: the
    # number of columns does not depend on the fold.
    imputer = FeatureImputer(strategy="median", keep_empty_features=True)
    steps = [("features", features), ("imputer", imputer)]
    if scale:
        steps.append(("scaler", StandardScaler()))
    return Pipeline([*steps, ("classifier", classifier)])
