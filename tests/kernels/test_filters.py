"""Filters in blocks, and curves through means of blocks."""

import numpy as np
import pytest
import scipy.signal

from skemo.kernels.filters import spread_blocks, without_held_values, zero_phase

LOW, HIGH, NOISE = (2, 0.05, "lowpass"), (2, 0.05, "highpass"), (4, 3.0, "lowpass")


def walks(n_signals, n_times):
    return np.random.default_rng(0).normal(size=(n_signals, n_times)).cumsum(axis=1)


@pytest.mark.parametrize(
    ("n_times", "n_padded", "sampling_rate", "filters"),
    [
        (1, 0, 4, [LOW, HIGH]),
        (2, 1, 4, [LOW]),
        (40, 9, 4, [LOW, HIGH]),
        (257, 9, 4, [LOW, HIGH]),
        (1920, 3, 32, [NOISE]),
        (1999, 15, 33.3, [LOW, NOISE, HIGH]),
        (3000, 9, 40, [HIGH]),
    ],
)
def test_filtering_in_blocks_agrees_with_scipy(n_times, n_padded, sampling_rate, filters):
    signals = walks(20, n_times)
    filtered = zero_phase(signals, filters, sampling_rate, n_padded)
    for design, found in zip(filters, filtered, strict=True):
        sections = scipy.signal.butter(*design, fs=sampling_rate, output="sos")
        expected = scipy.signal.sosfiltfilt(sections, signals, padlen=n_padded)
        np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(signals).max())


@pytest.mark.parametrize("n_times", [30, 240, 1921])
def test_filtering_in_blocks_gives_the_same_bits_in_any_batch(n_times):
    signals = walks(70, n_times)
    together = zero_phase(signals, [NOISE, HIGH], 32, 9)
    for rows in (slice(0, 1), slice(3, 5), slice(30, 70)):
        few = zero_phase(signals[rows], [NOISE, HIGH], 32, 9)
        for whole, part in zip(together, few, strict=True):
            np.testing.assert_array_equal(part, whole[rows])


@pytest.mark.parametrize("n_times", [1, 64, 100, 109])
@pytest.mark.parametrize("n_block", [4, 5])
def test_a_parabola_is_recovered_exactly_from_the_means_of_its_blocks(n_block, n_times):
    times = np.arange(n_block * 30)
    parabola = (0.01 * times**2 - times)[np.newaxis]
    n_blocks = max(3, n_times // n_block)
    means = parabola.reshape(1, -1, n_block).mean(axis=2)[:, :n_blocks]
    lift = 0.01 * (n_block**2 - 1) / 12  # of the mean of a block above its middle
    curve = spread_blocks(means - lift, n_block, n_times)
    np.testing.assert_allclose(curve, parabola[:, :n_times], atol=1e-10)


def test_a_held_value_becomes_nan_over_its_whole_length():
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(50, 300))
    expected = signals.copy()
    for signal, hidden in zip(signals, expected, strict=True):
        stretch = slice(start := rng.integers(250), start + rng.integers(10, 50))
        signal[stretch] = 3.0
        hidden[stretch] = np.nan
    np.testing.assert_array_equal(without_held_values(signals, 10), expected)


def test_shorter_stretches_of_one_value_stay():
    signals = np.repeat(np.random.default_rng(0).normal(size=(20, 40)), 9, axis=1)
    np.testing.assert_array_equal(without_held_values(signals, 10), signals)


def test_a_signal_of_one_value_is_nan_throughout():
    assert np.isnan(without_held_values(np.ones((2, 20)), 10)).all()
