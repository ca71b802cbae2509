"""Motion: closed forms, properties, and what is no acceleration of a body."""

import numpy as np
import pytest

from skemo.kernels.motion import acceleration_by_second, motion_features

RATE = 32


def make_still(duration=20, gravity=1.0, seed=0):
    direction = np.random.default_rng(seed).normal(size=3)
    direction *= gravity / np.linalg.norm(direction)
    return np.repeat(direction[:, np.newaxis], duration * RATE, axis=1)[np.newaxis]


def make_shaken(amplitude=0.2, hertz=4, **parameters):
    """Gravity, and a sine along z."""
    windows = make_still(**parameters)
    seconds = np.arange(windows.shape[2]) / RATE
    windows[:, 2] += amplitude * np.sin(2 * np.pi * hertz * seconds)
    return windows


@pytest.mark.parametrize("gravity", [1.0, 64.0, 9.81])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gravity_alone_is_no_motion(gravity, dtype):
    found = motion_features(make_still(gravity=gravity).astype(dtype), RATE)
    for name in ("ACC_Activity", "ACC_Activity_Max", "ACC_Motion_Share"):
        assert found[name] == 0, name
    assert found["ACC_Magnitude_Mean"] == pytest.approx(1)
    assert found["ACC_MAD"] == found["ACC_Magnitude_SD"] == pytest.approx(0, abs=1e-6)


def test_a_sine_has_the_activity_of_its_root_mean_square():
    found = motion_features(make_shaken(0.2), RATE)
    assert found["ACC_Activity"] == pytest.approx(0.2 / np.sqrt(2), rel=0.03)
    assert found["ACC_Motion_Share"] == 1


def test_the_share_of_motion_is_the_share_of_seconds_that_move():
    windows = make_shaken(0.2)
    windows[..., 5 * RATE :] = make_still()[..., 5 * RATE :]
    assert motion_features(windows, RATE)["ACC_Motion_Share"] == pytest.approx(0.25)


def test_along_gravity_the_magnitude_follows_the_acceleration():
    windows = np.zeros((1, 3, 640))
    windows[0, 2] = 1 + 0.3 * np.sin(2 * np.pi * 4.05 * np.arange(640) / RATE)
    found = motion_features(windows, RATE)
    assert found["ACC_Magnitude_SD"] == pytest.approx(0.3 / np.sqrt(2), rel=0.01)
    assert found["ACC_MAD"] == pytest.approx(0.3 * 2 / np.pi, rel=0.02)
    assert found["ACC_ENMO"] == pytest.approx(0.3 / np.pi, rel=0.02)
    assert found["ACC_Magnitude_Max"] == pytest.approx(1.3, rel=0.01)


def test_the_unit_does_not_matter():
    found, other = (motion_features(factor * make_shaken(), RATE) for factor in (1, 64))
    for name in found:
        np.testing.assert_allclose(other[name], found[name], rtol=1e-9, err_msg=name)


def test_turning_the_sensor_does_not_matter():
    windows = make_shaken()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    found, turned = (motion_features(each, RATE) for each in (windows, turn @ windows))
    for name in found:
        np.testing.assert_allclose(turned[name], found[name], rtol=1e-9, err_msg=name)


def test_gravity_can_be_given():
    found = motion_features(make_shaken(0.4, gravity=2.0), RATE, gravity=2.0)
    expected = motion_features(make_shaken(0.4, gravity=2.0), RATE)
    assert found["ACC_Activity"] == pytest.approx(expected["ACC_Activity"], rel=0.02)


def test_counts_of_a_resting_wristband_are_no_motion():
    rng = np.random.default_rng(0)
    windows = np.round(make_still(gravity=64.0) + rng.uniform(-0.5, 0.5, (20, 3, 640)))
    assert motion_features(windows, RATE)["ACC_Motion_Share"].max() == 0


def test_a_signal_without_gravity_is_missing_unless_gravity_is_given():
    windows = 0.3 * np.random.default_rng(0).normal(size=(20, 3, 640))
    assert np.isnan(motion_features(windows, RATE)["ACC_Activity"]).all()
    found = motion_features(windows, RATE, gravity=1.0)["ACC_Activity"]
    np.testing.assert_allclose(found, 0.3 * np.sqrt(3), rtol=0.1)


@pytest.mark.parametrize("gravity", ["auto", 1.0])
def test_a_sensor_that_is_off_is_missing(gravity):
    windows = np.concatenate([np.zeros((1, 3, 640)), np.full((1, 3, 640), np.nan), make_still()])
    windows = np.concatenate([windows, make_still()])
    windows[3, 1, :350] = np.nan
    found = motion_features(windows, RATE, gravity)
    for name, values in found.items():
        np.testing.assert_array_equal(np.isnan(values), [True, True, False, True], name)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_fault_costs_its_own_seconds_only(value):
    clean = np.tile(make_shaken(hertz=4.05), (50, 1, 1))
    disturbed, rng = clean.copy(), np.random.default_rng(0)
    for window in disturbed:
        start = rng.integers(600)
        window[:, start : start + rng.integers(1, 280)] = value
    expected, found = (motion_features(each, RATE) for each in (clean, disturbed))
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=0.1, atol=0.005, err_msg=name)


def test_one_channel_is_taken_for_the_magnitude():
    magnitude = 1 + 0.1 * np.sin(2 * np.pi * 4 * np.arange(640) / RATE)
    found = motion_features(magnitude[np.newaxis, np.newaxis], RATE)
    assert found["ACC_Magnitude_Mean"] == pytest.approx(1)
    assert found["ACC_Activity"] == pytest.approx(0.1 / np.sqrt(2))


@pytest.mark.parametrize("n_times", [1, 10, 31])
def test_windows_shorter_than_a_second_are_missing(n_times):
    activity, _ = acceleration_by_second(np.ones((2, 3, n_times)), RATE)
    assert activity.shape == (2, 0)
    found = motion_features(np.ones((2, 3, n_times)), RATE)
    assert all(np.isnan(values).all() for values in found.values())


def test_the_order_of_memory_does_not_change_a_digit():
    windows = np.random.default_rng(0).normal(size=(5, 1, 640))
    found, expected = (motion_features(x, RATE) for x in (np.asfortranarray(windows), windows))
    np.testing.assert_equal(found, expected)


def test_a_rate_too_low_and_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="motion needs at least 2 Hz"):
        acceleration_by_second(np.ones((1, 3, 60)), 1)
    with pytest.raises(ValueError, match="n_axes"):
        acceleration_by_second(np.ones((3, 60)), 32)
