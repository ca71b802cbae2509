"""Faults put into windows: their size, their band, and what they leave alone."""

import numpy as np
import pytest

from skemo.kernels.corruption import add_motion, add_noise, hold, other_windows, saturate


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 50.0])[:, None]
    return 7 + scale * np.cumsum(rng.normal(size=(20, 2, 1280)), axis=-1)


def ratio(signal, added):
    return 10 * np.log10(signal.var(axis=-1) / added.var(axis=-1))


def test_the_other_window_is_of_the_same_group_but_a_different_one():
    groups = np.random.default_rng(0).integers(0, 8, 400)
    others = other_windows(groups, np.random.default_rng(1))
    assert (groups[others] == groups).all()
    assert (others != np.arange(400)).all()


def test_all_other_windows_of_a_group_are_equally_likely():
    rng = np.random.default_rng(0)
    drawn = [other_windows(["a"] * 4, rng)[0] for _ in range(3000)]
    np.testing.assert_allclose(np.bincount(drawn, minlength=4)[1:] / 3000, 1 / 3, atol=0.03)


@pytest.mark.parametrize("snr", [-10, 0, 15])
def test_noise_has_the_given_ratio_in_each_channel(values, snr):
    noise = add_noise(values, snr, np.random.default_rng(0)) - values
    np.testing.assert_allclose(ratio(values, noise), snr, atol=0.6)


def test_movement_has_the_given_ratio_on_average_and_reaches_all_channels(values):
    movement = add_motion(values, 128, -5, np.random.default_rng(0)) - values
    assert ratio(values, movement).mean() == pytest.approx(-5, abs=2)
    for one, other in movement:
        assert abs(np.corrcoef(one, other)[0, 1]) == pytest.approx(1)


def test_movement_lies_between_half_a_hertz_and_8_hertz(values):
    movement = add_motion(values, 128, 0, np.random.default_rng(0)) - values
    power = np.abs(np.fft.rfft(movement, axis=-1)) ** 2
    frequencies = np.fft.rfftfreq(1280, 1 / 128)
    inside = (frequencies >= 0.2) & (frequencies <= 8.4)
    assert (power[..., inside].sum(-1) > 0.98 * power.sum(-1)).all()


def test_movement_lasts_for_half_of_the_window_or_longer(values):
    movement = add_motion(values, 128, 0, np.random.default_rng(0)) - values
    is_moving = np.abs(movement) > 1e-3 * np.abs(movement).max(axis=-1, keepdims=True)
    assert (is_moving.mean(axis=-1) > 0.4).all()


@pytest.mark.parametrize("rate", [0.5, 1, 4])
def test_movement_can_be_added_to_slow_signals_and_short_windows(rate):
    values = np.random.default_rng(0).normal(size=(5, 1, 12))
    moved = add_motion(values, rate, 0, np.random.default_rng(0))
    assert np.isfinite(moved).all()
    assert (moved != values).any(axis=-1).all()
    assert np.isfinite(add_motion(values[..., :1], rate, 0, np.random.default_rng(0))).all()


def test_saturation_puts_half_of_the_samples_at_a_limit(values):
    limited = saturate(values)
    low, high = limited.min(axis=-1, keepdims=True), limited.max(axis=-1, keepdims=True)
    at_limit = (limited == low) | (limited == high)
    np.testing.assert_allclose(at_limit.mean(axis=-1), 0.5, atol=0.002)
    np.testing.assert_array_equal(limited[~at_limit], values[~at_limit])


def test_a_signal_that_is_held_does_not_change(values):
    np.testing.assert_array_equal(hold(values), np.broadcast_to(values[..., :1], values.shape))


@pytest.mark.parametrize(
    "fault",
    [
        saturate,
        hold,
        lambda x: add_noise(x, 0, np.random.default_rng(0)),
        lambda x: add_motion(x, 128, 0, np.random.default_rng(0)),
    ],
)
def test_missing_samples_and_the_type_are_kept(values, fault):
    values = values.astype(np.float32)
    before = values.copy()
    values[3, 0, 5:9] = np.nan
    values[4] = np.nan
    kept = values.copy()
    result = fault(values)
    np.testing.assert_array_equal(values, kept)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(values))
    assert result.dtype == np.float32
    assert result.shape == before.shape


def test_maps_and_windows_without_channels_are_accepted():
    rng = np.random.default_rng(0)
    for shape in ((6, 40), (6, 2, 3, 40)):
        values = rng.normal(size=shape)
        assert add_motion(values, 8, 0, rng).shape == shape
        assert add_noise(values, 0, rng).shape == shape
    with pytest.raises(ValueError, match="must have a time axis"):
        hold(np.zeros(5))
