"""Reliability, calibration error and logarithmic loss."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from skemo.evaluation.calibration import (
    calibration_bins,
    expected_calibration_error,
    log_losses,
    score_calibration,
)


def make_probabilities(n_windows=400, n_classes=3, seed=0):
    """Calibrated probabilities: the label is drawn by them."""
    rng = np.random.default_rng(seed)
    classes = np.array(["calm", "joy", "stress"])[:n_classes]
    probabilities = rng.dirichlet(np.ones(n_classes), size=n_windows)
    drawn = (probabilities.cumsum(axis=1) > rng.uniform(size=(n_windows, 1))).argmax(axis=1)
    return classes[drawn], probabilities, classes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_and_brier_score_are_those_of_scikit_learn(dtype):
    y_true, probabilities, classes = make_probabilities()
    probabilities[0] = classes != y_true[0]
    probabilities[0] /= probabilities[0].sum()
    probabilities = probabilities.astype(dtype)
    losses = log_losses(y_true, probabilities, classes)
    np.testing.assert_allclose(losses.mean(), log_loss(y_true, probabilities), rtol=1e-6)
    predictions = pd.DataFrame({"model": "m", "y_true": y_true})
    predictions[[f"probability {label}" for label in classes]] = probabilities
    brier = brier_score_loss(y_true, probabilities, scale_by_half=True, labels=classes)
    np.testing.assert_allclose(score_calibration(predictions).loc["m", "brier"], brier, rtol=1e-6)


def test_confidence_is_binned_with_the_upper_edge():
    probabilities = np.array([[0.7, 0.3], [0.71, 0.29], [0.2, 0.8], [0.0, 1.0]])
    bins = calibration_bins(["a", "a", "a", "b"], probabilities, ["a", "b"])
    assert bins["n_windows"].tolist() == [0] * 6 + [1, 2, 0, 1]
    np.testing.assert_allclose(bins["confidence"].dropna(), [0.7, 0.755, 1.0])
    np.testing.assert_allclose(bins["accuracy"].dropna(), [1.0, 0.5, 1.0])
    expected = (1 * 0.3 + 2 * 0.255 + 1 * 0) / 4
    error = expected_calibration_error(["a", "a", "a", "b"], probabilities, ["a", "b"])
    assert error == pytest.approx(expected)


def test_calibrated_probabilities_have_no_error_and_sharpened_ones_do():
    y_true, probabilities, classes = make_probabilities(20_000)
    assert expected_calibration_error(y_true, probabilities, classes) < 0.015
    sharper = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    assert expected_calibration_error(y_true, sharper, classes) > 0.1
    assert (
        log_losses(y_true, sharper, classes).mean()
        > log_losses(y_true, probabilities, classes).mean()
    )


def test_windows_without_probabilities_have_no_calibration():
    y_true, probabilities, classes = make_probabilities(20)
    expected = expected_calibration_error(y_true[1:], probabilities[1:], classes)
    probabilities[0] = np.nan
    assert expected_calibration_error(y_true, probabilities, classes) == expected
    losses = log_losses(y_true, probabilities, classes)
    np.testing.assert_array_equal(np.isnan(losses), np.arange(20) == 0)
    nothing = np.full_like(probabilities, np.nan)
    assert np.isnan(expected_calibration_error(y_true, nothing, classes))
    assert calibration_bins(y_true, nothing, classes)["n_windows"].sum() == 0


def test_models_without_probabilities_have_no_row():
    y_true, probabilities, classes = make_probabilities(20)
    columns = [f"probability {label}" for label in classes]
    good, fair = (pd.DataFrame({"model": name, "y_true": y_true}) for name in ("good", "fair"))
    good[columns], fair[columns] = probabilities, np.nan
    predictions = pd.concat([good, fair], ignore_index=True)
    assert score_calibration(predictions).index.tolist() == ["good"]
    assert score_calibration(predictions.drop(columns=columns)).empty


def test_bad_probabilities_are_named():
    with pytest.raises(ValueError, match=r"label c is not one of the classes \['a', 'b'\]"):
        log_losses(["a", "c"], np.full((2, 2), 0.5), ["a", "b"])
    with pytest.raises(ValueError, match=r"need probabilities of shape \(2, 2\), got \(2, 3\)"):
        log_losses(["a", "b"], np.full((2, 3), 1 / 3), ["a", "b"])
    with pytest.raises(ValueError, match=r"must sum to 1, got \[0\.5 0\.1\]"):
        log_losses(["a"], [[0.5, 0.1]], ["a", "b"])
    with pytest.raises(ValueError, match="n_bins must be a whole number from 1 to 1000, got 0"):
        calibration_bins(["a"], [[1.0]], ["a"], n_bins=0)
