"""Baselines of either task, with all parameters of their estimators."""

import numpy as np
import pytest
from sklearn.base import is_classifier, is_regressor

from skemo import (
    make_dummy,
    make_lda,
    make_logistic_regression,
    make_random_forest,
    make_ridge,
    make_svm,
)

MAKERS = (make_svm, make_random_forest, make_ridge, make_dummy)


@pytest.mark.parametrize("make", MAKERS)
def test_a_baseline_is_a_classifier_or_a_regressor(make):
    assert is_classifier(make("passthrough"))
    regressor = make("passthrough", task="regression")
    assert is_regressor(regressor)
    assert regressor.steps[-1][0] == "regressor"
    X = np.random.default_rng(0).normal(size=(20, 2))
    X[3, 0] = np.nan
    assert regressor.fit(X, X[:, 1]).predict(X).shape == (20,)
    with pytest.raises(ValueError, match='task must be "classification" or "regression", got'):
        make("passthrough", task="ranking")


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (make_svm, {"C": 3.0, "gamma": 0.1, "degree": 2, "class_weight": None}),
        (make_random_forest, {"max_depth": 3, "bootstrap": False, "n_estimators": 7}),
        (make_ridge, {"alpha": 3.0, "class_weight": None}),
        (make_logistic_regression, {"C": 0.003, "class_weight": None, "solver": "newton-cg"}),
        (make_lda, {"solver": "eigen", "shrinkage": 0.8}),
        (make_dummy, {"strategy": "stratified", "random_state": 3}),
    ],
)
def test_every_parameter_of_the_estimator_is_reachable(make, parameters):
    own = make("passthrough", **parameters)[-1].get_params()
    assert {name: own[name] for name in parameters} == parameters


@pytest.mark.parametrize(
    "make", [make_svm, make_random_forest, make_ridge, make_logistic_regression]
)
def test_a_rare_class_counts_as_much_unless_told_otherwise(make):
    assert make("passthrough")[-1].class_weight == "balanced"


def test_a_parameter_that_the_estimator_has_not_is_an_error():
    with pytest.raises(TypeError, match=r"SVR.*class_weight"):
        make_svm("passthrough", task="regression", class_weight="balanced")
