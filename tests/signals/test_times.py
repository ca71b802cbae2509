"""Samples with times of their own, put onto an even grid."""

import tracemalloc

import numpy as np
import pytest

from skemo.signals.times import even_grid


def curve(times):
    return np.sin(times)[np.newaxis]


@pytest.mark.parametrize("rate", [4, 51.2, 125.0027, 130.2, 700])
@pytest.mark.parametrize("since", [0.0, 1.6e9])
def test_even_samples_stay_as_they_are_and_their_rate_is_found(rate, since):
    times = np.arange(int(200 * rate)) / rate
    start, found, values = even_grid(since + times, curve(times))
    assert start == pytest.approx(since, rel=0, abs=0.5 / rate)
    assert found == pytest.approx(rate, rel=1e-4)
    np.testing.assert_array_equal(values, curve(times))


@pytest.mark.parametrize("rate", [130.2, 256, 700])
def test_times_in_whole_milliseconds_do_not_move_a_sample(rate):
    times = np.arange(int(100 * rate)) / rate
    _, found, values = even_grid(np.round(times, 3), curve(times))
    assert found == rate
    np.testing.assert_array_equal(values, curve(times))


def test_jitter_below_half_a_sampling_interval_is_removed():
    times = np.arange(1000) / 4
    noise = np.random.default_rng(0).uniform(-0.06, 0.06, 1000)
    start, rate, values = even_grid(times + noise, curve(times))
    assert (round(start, 1), rate) == (0.0, 4.0)
    np.testing.assert_array_equal(values, curve(times))


def test_irregular_samples_are_interpolated_at_the_given_rate():
    times = np.cumsum(np.random.default_rng(0).uniform(0.2, 0.3, 1000))
    start, rate, values = even_grid(times, curve(times), 4)
    assert (start, rate) == (times[0], 4.0)
    grid = start + np.arange(values.shape[1]) / rate
    assert grid[-1] <= times[-1]
    assert np.abs(values - curve(grid)).max() < 0.3**2 / 8 * 1.01


def test_a_drifting_clock_is_resampled_to_the_nominal_rate():
    times = np.arange(125 * 600) / 125.0027
    _, rate, values = even_grid(times, curve(times), 125)
    grid = np.arange(values.shape[1]) / rate
    np.testing.assert_allclose(values, curve(grid), atol=1e-4)


@pytest.mark.parametrize("jitter", [0.0, 0.12])
def test_long_gaps_are_missing_and_short_ones_bridged(jitter):
    rng = np.random.default_rng(0)
    times = np.arange(400) / 4 + rng.uniform(-jitter, jitter, 400)
    kept = np.ones(400, bool)
    kept[[50, 51]] = kept[200:240] = False
    start, rate, values = even_grid(times[kept], curve(times[kept]), 4, max_gap=1.0)
    grid = start + np.arange(values.shape[1]) / rate
    missing = grid[np.isnan(values[0])]
    assert 39 <= len(missing) <= 41
    assert missing[0] == pytest.approx(times[200], abs=0.25)
    assert missing[-1] == pytest.approx(times[239], abs=0.25)
    assert np.nanmax(np.abs(values - curve(grid))) < 0.2


def test_samples_that_share_a_time_are_spread_to_the_next_time():
    packets = np.r_[0:50, 80:130] / 4
    times = (packets[:, np.newaxis] + np.arange(16) / 64).ravel()
    _, rate, values = even_grid(np.repeat(packets, 16), curve(times))
    assert rate == 64
    assert values.shape == (1, 130 * 16)
    np.testing.assert_array_equal(values[~np.isnan(values)], curve(times)[0])


def test_a_line_that_stands_there_twice_counts_once():
    times = np.arange(1000) / 100
    twice = np.sort(np.append(times, 3.0))
    _, rate, values = even_grid(twice, curve(twice))
    assert rate == 100
    np.testing.assert_array_equal(values, curve(times))


def test_times_that_go_backwards_are_sorted_with_a_warning():
    times = np.arange(1000) / 100
    order = np.r_[0:500, 504, 503, 502, 501, 500, 505:1000]
    with pytest.warns(UserWarning, match=r"4 times of 'ecg' go backwards, by up to 0.01 s"):
        _, _, values = even_grid(times[order], curve(times[order]), name="'ecg'")
    np.testing.assert_array_equal(values, curve(times))


def test_samples_without_a_time_are_left_out():
    times = np.arange(100.0)
    times[30] = np.nan
    _, rate, values = even_grid(times, curve(np.arange(100.0)))
    assert (rate, values.shape) == (1.0, (1, 100))
    assert values[0, 30] == pytest.approx((np.sin(29) + np.sin(31)) / 2)


def test_a_single_time_is_an_error():
    with pytest.raises(ValueError, match="'ecg' has fewer than two samples with different times"):
        even_grid([1.0, 1.0], [[0.0, 1.0]], name="'ecg'")


def test_a_wrong_time_far_away_is_an_error():
    with pytest.raises(ValueError, match=r"'ecg' has 1000 samples at about 100 Hz, but its times"):
        even_grid(np.append(1.6e9, 1.7e9 + np.arange(999) / 100), np.zeros((1, 1000)), name="'ecg'")


def test_two_packets_are_spread_over_the_time_between_them():
    start, rate, values = even_grid([0, 0, 0, 0.3, 0.3, 0.3], [[1, 2, 3, 4, 5, 6]])
    assert (round(start, 9), rate) == (0.0, 10.0)
    assert values.tolist() == [[1, 2, 3, 4, 5, 6]]


def test_a_long_recording_is_placed_like_a_short_one():
    rng = np.random.default_rng(0)
    numbers = np.delete(
        np.arange(2_500_000), [7, 1_048_575, 1_048_576, *range(2_097_150, 2_097_200)]
    )
    times = 5 + numbers / 250 + rng.uniform(-0.001, 0.001, len(numbers))
    start, rate, (values,) = even_grid(times, [numbers])
    assert rate == 250.0
    assert start == pytest.approx(5.0, abs=1e-4)
    expected = np.arange(2_500_000.0)
    expected[2_097_150:2_097_200] = np.nan
    np.testing.assert_allclose(values, expected)


def test_a_long_even_recording_takes_little_memory():
    times = np.arange(4_000_000) / 1000
    samples = np.zeros((1, len(times)))
    tracemalloc.start()
    _, _, values = even_grid(times, samples)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert values is samples
    assert peak < 2 * samples.nbytes
