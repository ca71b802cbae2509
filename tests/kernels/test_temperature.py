"""Skin temperature: closed forms, properties, and readings that no skin has."""

import numpy as np
import pytest

from skemo.kernels.temperature import temperature_features, valid_temperature


def make_temperature(n_windows=8, n_times=240, seed=0):
    rng = np.random.default_rng(seed)
    seconds = np.arange(n_times) / 4
    level, slope = rng.uniform(28, 34, (n_windows, 1)), rng.uniform(-0.02, 0.02, (n_windows, 1))
    return level + slope * seconds + 0.02 * rng.normal(size=(n_windows, n_times))


def test_a_straight_line_has_its_slope_and_its_ends():
    window = 33 - 0.005 * np.arange(240) / 4
    found = temperature_features(window[np.newaxis], 4)
    assert found["TEMP_Slope"] == pytest.approx(-0.005)
    assert found["TEMP_Max"] == 33
    assert found["TEMP_Min"] == pytest.approx(33 - 0.005 * 239 / 4)
    assert found["TEMP_Mean"] == pytest.approx(33 - 0.005 * 239 / 8)
    assert found["TEMP_SD"] == pytest.approx(0.005 / 4 * np.sqrt((240**2 - 1) / 12))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_steady_temperature_has_no_spread_and_no_slope(dtype):
    found = temperature_features(np.full((1, 240), 31.37, dtype), 4)
    assert found["TEMP_SD"] == found["TEMP_Slope"] == 0
    assert found["TEMP_Mean"] == pytest.approx(31.37)


def test_a_constant_shift_moves_the_level_alone():
    windows = make_temperature()
    found, shifted = (temperature_features(each, 4) for each in (windows, windows + 2))
    for name in ("TEMP_Mean", "TEMP_Min", "TEMP_Max"):
        np.testing.assert_allclose(shifted[name], found[name] + 2)
    for name in ("TEMP_SD", "TEMP_Slope"):
        np.testing.assert_allclose(shifted[name], found[name], rtol=1e-9)


def test_the_slope_is_numpys_line_of_least_squares():
    windows = make_temperature()
    expected = np.polyfit(np.arange(240) / 4, windows.T, 1)[0]
    np.testing.assert_allclose(temperature_features(windows, 4)["TEMP_Slope"], expected)


def test_an_error_code_of_a_wristband_is_bridged():
    window = np.linspace(30, 31, 241)
    broken = window.copy()
    broken[100:105] = 382.21
    np.testing.assert_allclose(valid_temperature([broken]), [window])


@pytest.mark.parametrize("reading", [0.0, 382.21, np.nan])
def test_a_fault_costs_its_own_stretch_only(reading):
    clean = make_temperature(100)
    disturbed, rng = clean.copy(), np.random.default_rng(0)
    for window in disturbed:
        start = rng.integers(200)
        window[start : start + rng.integers(1, 100)] = reading
    expected, found = (temperature_features(each, 4) for each in (clean, disturbed))
    np.testing.assert_allclose(found["TEMP_Mean"], expected["TEMP_Mean"], atol=0.3)
    np.testing.assert_allclose(found["TEMP_Slope"], expected["TEMP_Slope"], atol=0.001)


@pytest.mark.parametrize("reading", [0.0, -40.0, 382.21, np.nan])
def test_a_window_that_is_mostly_no_skins_is_missing(reading):
    window = np.full(240, 32.0)
    window[:121] = reading
    found = temperature_features(window[np.newaxis], 4)
    assert all(np.isnan(values).all() for values in found.values())


def test_without_a_valid_range_other_units_are_taken():
    found = temperature_features(np.full((1, 240), 90.0), 4, valid_range=None)
    assert found["TEMP_Mean"] == 90


@pytest.mark.parametrize("n_times", [0, 1])
def test_a_window_of_no_more_than_a_sample_has_no_slope(n_times):
    found = temperature_features(np.full((2, n_times), 30.0), 4)
    assert np.isnan(found["TEMP_Slope"]).all()


def test_single_precision_gives_the_same():
    windows = make_temperature()
    found = temperature_features(windows, 4)
    single = temperature_features(windows.astype(np.float32), 4)
    for name in found:
        np.testing.assert_allclose(single[name], found[name], rtol=1e-3, atol=1e-6)
