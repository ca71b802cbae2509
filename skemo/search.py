"""scikit-learn's cross-validation and searches, which compute only once what learns nothing."""

import copy

import numpy as np
from sklearn import model_selection
from sklearn.metrics import check_scoring

from skemo._doc_links import DocLinkMixin
from skemo._leading_steps import CANDIDATE, TABLE, OnRows, Tables, fit_key
from skemo._trained_ahead import (
    check_together,
    may_train_together,
    positions_of_splits,
    takes_positions,
    train_fits,
)

_ADDED = {TABLE, CANDIDATE}


def cross_validate(
    estimator,
    X,
    y=None,
    *,
    groups=None,
    scoring=None,
    cv=None,
    n_jobs=None,
    verbose=0,
    params=None,
    pre_dispatch="2*n_jobs",
    return_train_score=False,
    return_estimator=False,
    return_indices=False,
    error_score=np.nan,
    together="auto",
):
    """Cross-validate as scikit-learn does, with features computed once for all folds.

    The leading part of a Pipeline, the first steps that learn nothing from other rows, is
    computed for the whole table before it is split, and not again in each fold. The result is
    that of `sklearn.model_selection.cross_validate`, bit by bit, but for networks that are
    trained together.

    Parameters
    ----------
    estimator : estimator
        What to fit: a Pipeline or a network; any other is left to scikit-learn's function.
    X : DataFrame, array or list of n_windows rows
        Input.
    y : array-like of shape (n_windows,), default=None
        Labels.
    groups : array-like of shape (n_windows,), default=None
        Subjects, for splitters by group.
    scoring : str, callable, list, tuple, set, dict or None, default=None
        Scores; None is that of the estimator.
    cv : int, splitter, iterable of (train, test) or None, default=None
        How to split; None is five folds.
    n_jobs : int or None, default=None
        Fits at once.
    verbose : int, default=0
        How much is printed.
    params : dict or None, default=None
        For ``fit``; with metadata routing, for the scorers and the splitter too.
    pre_dispatch : int or str, default="2*n_jobs"
        Tasks handed out ahead.
    return_train_score : bool, default=False
        Score the training rows too.
    return_estimator : bool, default=False
        Return the fitted estimators, whole: they take windows.
    return_indices : bool, default=False
        Return the rows of each fold.
    error_score : "raise" or float, default=nan
        The score of a fit that fails.
    together : {"auto", True, False}, default="auto"
        Train the networks of several folds as one computation; "auto" does it where that is
        sooner done.

    Returns
    -------
    dict of str to array or list
        ``test_score`` or a ``test_<name>`` for each score, ``fit_time`` and ``score_time`` in
        seconds, without that of the leading part; what else was asked for.

    See Also
    --------
    GridSearchCV : Search by cross-validation, with the same saving.

    Notes
    -----
    A step belongs to the leading part if it has the tag ``requires_fit=False`` and is not
    random: skemo's transformers of signals have it, and of scikit-learn's, for example,
    ``FunctionTransformer`` and ``Normalizer``. So does a ``ColumnTransformer`` or a ``Pipeline``
    of nothing but such steps, with "passthrough" and "drop". `PerSubject` learns, and ends the
    leading part, to which its own transformer still belongs. Some rows are transformed a
    second time by themselves, and, since a ``FunctionTransformer`` may have any function, all
    of them as two halves where a transformer is not of this package; if they come out
    otherwise nothing is shared.

    All is left to scikit-learn's function if there is no leading part, if it fails on the whole
    table (the folds that fail are then the same), if `params` has something for it, if the
    Pipeline has `transform_input` or callbacks, or if a scorer (other than by ``make_scorer``)
    or a splitter of your own may look at the rows.

    What differs: a warning of the leading part comes once; a fold on whose rows alone it could
    not be fitted is scored here, and fails there; and the computed table is held in memory.

    **Trained together.** Fits of this library's networks can be trained as one computation: each
    ends as it would by itself, but for rounding. With `callbacks` or metadata routing they are not.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import SVC
    >>> from sklearn.pipeline import make_pipeline
    >>> from skemo import DifferentialEntropyTransformer
    >>> from skemo.search import cross_validate
    >>> X, y = np.random.default_rng(0).normal(size=(20, 256)), np.tile([0, 1], 10)
    >>> model = make_pipeline(DifferentialEntropyTransformer(sampling_rate=128), SVC())
    >>> cross_validate(model, X * (1 + y[:, None]), y)["test_score"].tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    options = {
        "groups": groups,
        "scoring": scoring,
        "n_jobs": n_jobs,
        "verbose": verbose,
        "params": params,
        "pre_dispatch": pre_dispatch,
        "return_train_score": return_train_score,
        "return_estimator": return_estimator,
        "return_indices": return_indices,
        "error_score": error_score,
    }
    check_together(together)
    if not takes_positions(estimator, X, scoring, cv):
        return model_selection.cross_validate(estimator, X, y, cv=cv, **options)
    tables = Tables(X, y, params or ())
    on_rows = OnRows(estimator, [tables.find(estimator)])
    seconds = {}
    if may_train_together(estimator, set(), together):
        check_scoring(on_rows, scoring=scoring)  # before anything is trained
        cv = positions_of_splits(cv, tables.rows, y, groups)
        seconds = train_fits(on_rows, [{}], cv, y, params or {}, together, n_jobs)
    if on_rows.tables[0].is_raw and not seconds:
        return model_selection.cross_validate(estimator, X, y, cv=cv, **options)
    if seconds:
        options["n_jobs"] = 1
    scores = model_selection.cross_validate(on_rows, tables.rows, y, cv=cv, **options)
    if return_estimator:
        scores["estimator"] = list(map(_restore, scores["estimator"]))
    if seconds:
        scores["fit_time"] += [seconds[fit_key(0, train)] for train, _ in cv]
    return scores


class _ComputeOnce(DocLinkMixin):
    """What the searches add to those of scikit-learn."""

    def fit(self, X, y=None, **params):
        """Fit and score every candidate in every fold, and fit the best one to all rows.

        Parameters
        ----------
        X : DataFrame, array or list of n_windows rows
            Input.
        y : array-like of shape (n_windows,), default=None
            Labels.
        **params : dict of str to object
            `groups` for the splitter, and what ``fit`` of the estimator takes; with metadata
            routing, what is requested.

        Returns
        -------
        self
        """
        check_together(self.together)
        callbacks = getattr(self, "_skl_callbacks", None)
        if callbacks or not takes_positions(self.estimator, X, self.scoring, self.cv):
            return super().fit(X, y, **params)
        tables = Tables(X, y, params)
        search = copy.copy(self)
        search.estimator = OnRows(self.estimator, [], source=tables)
        if callable(self.refit):
            search.refit = lambda results: self.refit(_without_added(results))
        seconds = search._prepare(tables, y, params)
        super(_ComputeOnce, search).fit(tables.rows, y, **params)
        if seconds:
            search._add_fit_times(seconds)
        self._take_over(search)
        return self

    def _prepare(self, tables, y, params):
        """Compute the tables of all candidates, and train what is trained together.

        Returns the seconds of each such fit, as `train_fits` does.
        """
        candidates = self._draw_candidates()
        self._candidates = self.estimator.prepare(candidates)
        names = set().union(*candidates)
        if not may_train_together(self.estimator.estimator, names, self.together):
            return {}
        self._get_scorers()  # raises before anything is trained
        self.cv = positions_of_splits(self.cv, tables.rows, y, params.get("groups"))
        fit_params = {name: value for name, value in params.items() if name != "groups"}
        seconds = train_fits(
            self.estimator, self._candidates, self.cv, y, fit_params, self.together, self.n_jobs
        )
        if seconds:
            self.n_jobs = 1  # nothing but scoring is left to do
            self._candidates = [{**c, CANDIDATE: i} for i, c in enumerate(self._candidates)]
        return seconds

    def _run_search(self, evaluate_candidates, callback_ctx=None):
        def evaluate(candidates, **settings):
            if isinstance(self.estimator, OnRows):
                candidates = self._candidates
            return evaluate_candidates(candidates, **settings)

        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        super()._run_search(evaluate, **context)

    def _add_fit_times(self, seconds):
        times = [
            [seconds[fit_key(i, train)] for train, _ in self.cv]
            for i in range(len(self._candidates))
        ]
        self.cv_results_["mean_fit_time"] += np.mean(times, axis=1)
        self.cv_results_["std_fit_time"] = np.std(times, axis=1)

    def _take_over(self, search):
        """Take what `search` has learned on positions of rows, as if on the rows."""
        own = {*search.get_params(deep=False), "_candidates"}
        vars(self).update({k: v for k, v in vars(search).items() if k not in own})
        self.cv_results_ = _without_added(self.cv_results_)
        if hasattr(self, "best_params_"):
            self.best_params_ = _own(self.best_params_)
        if self.scoring is None:
            self.scorer_ = check_scoring(self.estimator)
        if self.refit:
            self.best_estimator_ = _restore(self.best_estimator_)
            vars(self).pop("feature_names_in_", None)
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_


class GridSearchCV(_ComputeOnce, model_selection.GridSearchCV):
    """scikit-learn's grid search, with features computed once for all folds and candidates.

    The leading part of a Pipeline, the first steps that learn nothing from other rows, is
    computed once for the whole table; where candidates differ in its parameters, or replace
    its steps, once for each setting of it. Everything else is
    `sklearn.model_selection.GridSearchCV`: the same parameters, methods and attributes, and
    the same results, bit by bit unless networks are trained together. Notes of
    `cross_validate` say what the leading part is, when all is left to scikit-learn, and what
    differs.

    Parameters
    ----------
    estimator : estimator
        What to search, a Pipeline as a rule. Its parameters are reached as
        ``classifier__C``, and steps by their name alone.
    param_grid : dict of str to list, or list of such dicts
        Values to try, all with all.
    scoring : str, callable, list, tuple, dict or None, default=None
        Scores; None is that of the estimator.
    n_jobs : int or None, default=None
        Fits at once.
    refit : bool, str or callable, default=True
        Fit the best candidate to all rows; with several scores, the name of the one that
        decides, or a function of ``cv_results_`` that returns a position.
    cv : int, splitter, iterable of (train, test) or None, default=None
        How to split; None is five folds.
    verbose : int, default=0
        How much is printed. Above 1, each line names the leading part by a number.
    pre_dispatch : int or str, default="2*n_jobs"
        Tasks handed out ahead.
    error_score : "raise" or float, default=nan
        The score of a fit that fails.
    return_train_score : bool, default=False
        Score the training rows too.
    together : {"auto", True, False}, default="auto"
        Train the networks of several fits as one computation; "auto" does it where that is
        sooner done. See the Notes of `cross_validate`.

    Attributes
    ----------
    cv_results_ : dict of str to array or list
        Parameters, scores, ranks and times of each candidate. Times are without the leading
        part, which is no candidate's own.
    best_estimator_ : estimator
        The whole estimator with the best parameters, fitted to all rows: it takes windows.
    best_score_ : float
        Its mean score in the folds.
    best_params_ : dict of str to object
        Its parameters.
    best_index_ : int
        Its position in ``cv_results_``.
    scorer_ : callable or dict of str to callable
        The scores.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds of the last fit.
    multimetric_ : bool
        Whether there are several scores.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Columns of `X`, where the first step counts them.
    feature_names_in_ : ndarray of str
        Their names, where the first step keeps them.

    See Also
    --------
    cross_validate : Of one candidate.
    RandomizedSearchCV : Candidates drawn at random.

    Notes
    -----
    The tables of all settings of the leading part are in memory together.

    A search inside a cross-validation computes its leading part in each of the outer folds.
    With the search behind it, ``make_pipeline(features, GridSearchCV(make_svm("passthrough"),
    …))`` in `cross_validate`, it is once for all.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import DifferentialEntropyTransformer, make_svm
    >>> from skemo.search import GridSearchCV
    >>> X, y = np.random.default_rng(0).normal(size=(20, 256)), np.tile([0, 1], 10)
    >>> model = make_svm(DifferentialEntropyTransformer(sampling_rate=128))
    >>> search = GridSearchCV(model, {"classifier__C": [1.0, 10.0]}).fit(X * (1 + y[:, None]), y)
    >>> search.best_params_, search.best_score_.item()
    ({'classifier__C': 1.0}, 1.0)
    """

    def __init__(
        self,
        estimator,
        param_grid,
        *,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        error_score=np.nan,
        return_train_score=False,
        together="auto",
    ):
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.together = together

    def _draw_candidates(self):
        return list(model_selection.ParameterGrid(self.param_grid))


class RandomizedSearchCV(_ComputeOnce, model_selection.RandomizedSearchCV):
    """scikit-learn's randomised search, with features computed once as in `GridSearchCV`.

    Parameters
    ----------
    estimator : estimator
        What to search, a Pipeline as a rule.
    param_distributions : dict of str to list or distribution, or list of such dicts
        Values to draw from.
    n_iter : int, default=10
        Number of candidates.
    scoring : str, callable, list, tuple, dict or None, default=None
        Scores; None is that of the estimator.
    n_jobs : int or None, default=None
        Fits at once.
    refit : bool, str or callable, default=True
        Fit the best candidate to all rows, as in `GridSearchCV`.
    cv : int, splitter, iterable of (train, test) or None, default=None
        How to split; None is five folds.
    verbose : int, default=0
        How much is printed.
    pre_dispatch : int or str, default="2*n_jobs"
        Tasks handed out ahead.
    random_state : int, RandomState or None, default=None
        Seed of the draw.
    error_score : "raise" or float, default=nan
        The score of a fit that fails.
    return_train_score : bool, default=False
        Score the training rows too.
    together : {"auto", True, False}, default="auto"
        Train the networks of several fits as one computation; "auto" does it where that is
        sooner done. See the Notes of `cross_validate`.

    Attributes
    ----------
    cv_results_ : dict of str to array or list
        As in `GridSearchCV`.
    best_estimator_ : estimator
        The whole estimator with the best parameters, fitted to all rows.
    best_score_ : float
        Its mean score in the folds.
    best_params_ : dict of str to object
        Its parameters.
    best_index_ : int
        Its position in ``cv_results_``.
    scorer_ : callable or dict of str to callable
        The scores.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds of the last fit.
    multimetric_ : bool
        Whether there are several scores.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Columns of `X`, where the first step counts them.
    feature_names_in_ : ndarray of str
        Their names, where the first step keeps them.

    See Also
    --------
    GridSearchCV : All candidates of a grid; its Notes hold here too.

    Examples
    --------
    >>> import numpy as np
    >>> from skemo import DifferentialEntropyTransformer, make_svm
    >>> from skemo.search import RandomizedSearchCV
    >>> X, y = np.random.default_rng(0).normal(size=(20, 256)), np.tile([0, 1], 10)
    >>> model = make_svm(DifferentialEntropyTransformer(sampling_rate=128))
    >>> values = {"classifier__C": [0.1, 1.0, 10.0]}
    >>> search = RandomizedSearchCV(model, values, n_iter=2, random_state=0)
    >>> len(search.fit(X * (1 + y[:, None]), y).cv_results_["params"])
    2
    """

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_iter=10,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        random_state=None,
        error_score=np.nan,
        return_train_score=False,
        together="auto",
    ):
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.together = together

    def _draw_candidates(self):
        drawn = self.param_distributions, self.n_iter
        return list(model_selection.ParameterSampler(*drawn, random_state=self.random_state))


def _restore(estimator):
    return estimator.restore() if isinstance(estimator, OnRows) else estimator


def _without_added(results):
    """`cv_results_` without the parameters that name tables and candidates."""
    results = {k: v for k, v in results.items() if k.removeprefix("param_") not in _ADDED}
    results["params"] = [_own(params) for params in results["params"]]
    return results


def _own(params):
    return {name: value for name, value in params.items() if name not in _ADDED}
