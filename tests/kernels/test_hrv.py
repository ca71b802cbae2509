"""Heart-rate variability: closed forms, invariances, and agreement with NeuroKit2 and SciPy."""

import warnings

import numpy as np
import pytest
import scipy.interpolate
import scipy.signal
from beats import make_ecg

from skemo import HRVTransformer
from skemo.kernels.hrv import (
    HRV_FREQUENCY,
    HRV_NONLINEAR,
    HRV_TIME,
    hrv_frequency,
    hrv_nonlinear,
    hrv_time,
    rr_intervals,
)

KERNELS = {hrv_time: HRV_TIME, hrv_frequency: HRV_FREQUENCY, hrv_nonlinear: HRV_NONLINEAR}


def pad(rows):
    width = max(len(row) for row in rows)
    return np.array([[*row, *[np.nan] * (width - len(row))] for row in rows])


def random_rr(n_windows=20, seed=0):
    """RR series of unlike length in ms, padded."""
    rng = np.random.default_rng(seed)
    return pad([rng.normal(850, 50, rng.integers(8, 80)) for _ in range(n_windows)])


def neurokit(function, peaks, sampling_rate):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import neurokit2 as nk

        return getattr(nk, function)(peaks, sampling_rate=sampling_rate).iloc[0]


@pytest.fixture(scope="module")
def gudb(data_home):
    """Annotated R peaks, in samples at 250 Hz, of windows of 60 s of each subject."""
    windows = []
    for path in sorted((data_home / "gudb").glob("subject_*/sitting_annotation_cs.tsv")):
        peaks = np.loadtxt(path, dtype=int)
        for start in range(0, peaks[-1] - 15000, 15000):
            windows.append(peaks[(peaks >= start) & (peaks < start + 15000)])
    return windows


def gudb_rr(windows):
    return rr_intervals(pad([peaks / 250 for peaks in windows]))


def test_intervals_are_the_differences_of_the_beat_times_in_milliseconds():
    beats = np.array([[0.5, 1.3, 2.2, np.nan], [0.1, np.nan, np.nan, np.nan]])
    expected = [[800, 900, np.nan], [np.nan] * 3]
    np.testing.assert_allclose(rr_intervals(beats), expected)


def test_a_shift_of_all_beats_leaves_the_intervals_as_they_are():
    beats = np.cumsum(np.random.default_rng(0).normal(0.8, 0.05, (5, 20)), axis=1)
    np.testing.assert_allclose(rr_intervals(beats + 17.3), rr_intervals(beats), atol=1e-9)


def test_intervals_that_no_heart_makes_are_left_out_and_not_replaced():
    rr = rr_intervals([[0.0, 0.8, 3.3, 4.1, 4.3, 5.0]])
    np.testing.assert_allclose(rr, [[800, np.nan, 800, np.nan, 700]])


def test_a_steady_heart_has_no_variability():
    features = hrv_time(np.full((1, 30), 800.0))
    assert features["HRV_MeanNN"] == features["HRV_MedianNN"] == 800
    for name in ("HRV_SDNN", "HRV_RMSSD", "HRV_SDSD", "HRV_MadNN", "HRV_IQRNN", "HRV_pNN20"):
        assert features[name] == 0, name


def test_alternating_intervals_have_the_closed_form():
    n = 20
    features = hrv_time([[800.0, 900.0] * (n // 2)])
    assert features["HRV_MeanNN"] == 850
    assert features["HRV_RMSSD"] == 100
    np.testing.assert_allclose(features["HRV_SDNN"], 50 * np.sqrt(n / (n - 1)))
    np.testing.assert_allclose(features["HRV_pNN50"], 100 * (n - 1) / n)
    np.testing.assert_allclose(hrv_nonlinear([[800.0, 900.0] * 10])["HRV_SD2"], 0, atol=1e-9)


def test_sd1_is_sdsd_over_the_root_of_two():
    rr = random_rr()
    expected = hrv_time(rr)["HRV_SDSD"] / np.sqrt(2)
    np.testing.assert_allclose(hrv_nonlinear(rr)["HRV_SD1"], expected)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_names_are_those_documented(kernel):
    assert tuple(kernel(random_rr())) == KERNELS[kernel]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_window_has_the_same_features_alone_and_among_others(kernel):
    rr = random_rr(40)
    together = kernel(rr)
    alone = [kernel(row[~np.isnan(row)][np.newaxis]) for row in rr]
    for name, values in together.items():
        expected = np.concatenate([one[name] for one in alone])
        np.testing.assert_allclose(values, expected, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("kernel", KERNELS)
def test_padding_makes_no_difference(kernel):
    rr = random_rr()
    wide = np.hstack([rr, np.full((len(rr), 25), np.nan)])
    for name, values in kernel(rr).items():
        np.testing.assert_allclose(kernel(wide)[name], values, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("n_intervals", [0, 1, 2, 3])
def test_too_few_intervals_give_nan_without_a_warning(kernel, n_intervals):
    rr = np.array([[800.0, 850.0, 790.0, 820.0]])
    rr[:, n_intervals:] = np.nan
    features = kernel(rr)
    for name, values in features.items():
        assert not np.isinf(values).any(), name
        if n_intervals == 0 or kernel is hrv_frequency:
            assert np.isnan(values).all(), name
    if kernel is hrv_time:
        assert np.isfinite(features["HRV_MeanNN"]).all() == (n_intervals >= 1)
        assert np.isfinite(features["HRV_RMSSD"]).all() == (n_intervals >= 2)
        assert np.isfinite(features["HRV_SDSD"]).all() == (n_intervals >= 3)


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_array_without_columns_gives_nan(kernel):
    assert all(np.isnan(values).all() for values in kernel(np.empty((3, 0))).values())


def test_no_difference_is_taken_across_an_interval_left_out():
    features = hrv_time([[800.0, 810.0, np.nan, 1200.0, 1210.0]])
    np.testing.assert_allclose(features["HRV_RMSSD"], 10)
    np.testing.assert_allclose(features["HRV_MeanNN"], 1005)
    assert np.isnan(hrv_frequency([[800.0, 810.0, np.nan, 1200.0, 1210.0] * 5])["HRV_HF"]).all()


def test_time_domain_agrees_with_neurokit(gudb):
    features = hrv_time(gudb_rr(gudb))
    for i, peaks in enumerate(gudb):
        expected = neurokit("hrv_time", peaks, 250)
        for name in HRV_TIME:
            np.testing.assert_allclose(features[name][i], expected[name], 1e-9, 1e-9, err_msg=name)


def test_poincare_and_sample_entropy_agree_with_neurokit(gudb):
    windows = gudb[::2]
    features = hrv_nonlinear(gudb_rr(windows))
    for i, peaks in enumerate(windows):
        expected = neurokit("hrv_nonlinear", peaks, 250)
        for name in HRV_NONLINEAR:
            np.testing.assert_allclose(features[name][i], expected[name], 1e-9, err_msg=name)


def test_sample_entropy_without_a_match_is_nan_and_not_infinite():
    rr = np.array([[800.0, 900.0, 700.0, 1000.0, 650.0, 1100.0, 600.0, 1200.0]])
    assert np.isnan(hrv_nonlinear(rr)["HRV_SampEn"]).all()


@pytest.mark.parametrize(("frequency", "band"), [(0.1, "HRV_LF"), (0.25, "HRV_HF")])
def test_a_sine_in_the_rr_series_has_its_power_in_its_band(frequency, band):
    amplitude, beats = 30.0, [0.0]
    while beats[-1] < 300:
        beats.append(beats[-1] + 0.8 + 1e-3 * amplitude * np.sin(2 * np.pi * frequency * beats[-1]))
    features = hrv_frequency(rr_intervals([beats]))
    np.testing.assert_allclose(features[band], amplitude**2 / 2, rtol=0.1)
    other = {"HRV_LF": "HRV_HF", "HRV_HF": "HRV_LF"}[band]
    assert features[other][0] < 0.1 * features[band][0]


def test_frequency_domain_agrees_with_scipy(gudb):
    rr = gudb_rr(gudb)
    features = hrv_frequency(rr)
    for i, row in enumerate(rr):
        intervals = row[~np.isnan(row)]
        ends = np.cumsum(intervals) / 1000
        times = np.arange(ends[0], ends[-1] + 1e-9, 0.25)
        series = scipy.interpolate.CubicSpline(ends, intervals, bc_type="natural")(times)
        taper = scipy.signal.get_window("hann", len(times))
        series -= np.average(series, weights=taper)
        frequencies, density = scipy.signal.periodogram(series, 4, taper, 1024, detrend=False)
        for name, low, high in (("HRV_LF", 0.04, 0.15), ("HRV_HF", 0.15, 0.4)):
            band = (frequencies >= low) & (frequencies < high)
            expected = density[band].sum() * frequencies[1]
            np.testing.assert_allclose(features[name][i], expected, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("duration", "resolved"),
    [(5, ()), (10, ("HF",)), (60, ("LF", "HF")), (330, ("VLF", "LF", "HF"))],
)
def test_bands_slower_than_the_window_are_nan(duration, resolved):
    rr = np.random.default_rng(0).normal(800, 30, (4, round(duration / 0.8) - 1))
    features = hrv_frequency(rr)
    for name in ("VLF", "LF", "HF"):
        assert np.isfinite(features[f"HRV_{name}"]).all() == (name in resolved), name
    assert np.isfinite(features["HRV_LFHF"]).all() == ("LF" in resolved)


def test_scaling_the_variability_scales_the_power_by_its_square():
    rr = random_rr()
    rr = rr[np.nansum(rr, axis=1) > 30000]
    mean = np.nanmean(rr, axis=1, keepdims=True)
    # Beat times move with the intervals, so this holds for small variability.
    small, double = mean + 0.01 * (rr - mean), mean + 0.02 * (rr - mean)
    ratio = hrv_frequency(double)["HRV_HF"] / hrv_frequency(small)["HRV_HF"]
    np.testing.assert_allclose(ratio, 4, rtol=0.01)


# Rounding errors, and intervals missing at the ends

UNITLESS = ("SDRMSSD", "LFHF", "LFn", "HFn", "LnHF", "SD1SD2", "CSI", "CVI", "CSI_Modified")
UNDEFINED = (*(f"HRV_{name}" for name in UNITLESS), "HRV_SampEn")


def all_features(beats):
    rr = rr_intervals(np.atleast_2d(beats))
    return {**hrv_time(rr), **hrv_frequency(rr), **hrv_nonlinear(rr)}


@pytest.mark.parametrize("seed", range(20))
def test_a_steady_heart_has_no_ratios_wherever_and_however_its_beats_are_stored(seed):
    rng = np.random.default_rng(seed)
    start = rng.choice([0.0, rng.uniform(0, 20), rng.uniform(0, 1e6), 1.7e9])
    beats = start + np.arange(100) * rng.uniform(0.4, 1.5)
    if start < 60 and rng.random() < 0.5:
        beats = beats[beats < 60].astype("float32")
    features = all_features(beats)
    found = {name for name in UNDEFINED if not np.isnan(features[name][0])}
    assert not found
    for name in ("SDNN", "RMSSD", "SDSD", "CVNN", "MadNN", "IQRNN", "HF", "TP", "SD1", "SD2", "S"):
        assert features[f"HRV_{name}"][0] == 0, name


def test_a_steady_acceleration_has_no_ratio_to_its_sd1():
    features = hrv_nonlinear(np.linspace(700, 900, 41)[np.newaxis] / 3)
    assert features["HRV_SD1"][0] == 0
    assert np.isnan([features[f"HRV_{name}"][0] for name in ("CSI", "CVI", "CSI_Modified")]).all()


def test_two_intervals_that_differ_by_what_can_be_measured_give_all_ratios():
    rr = np.full((1, 80), 800.0)
    rr[0, [30, 50]] += 1, -2
    features = {**hrv_time(rr), **hrv_frequency(rr), **hrv_nonlinear(rr)}
    assert not {name for name in UNDEFINED if np.isnan(features[name][0])}


@pytest.mark.parametrize("sampling_rate", [128, 250, 500])
@pytest.mark.parametrize("interval", [0.6, 0.7531, 0.91])
def test_a_steady_ecg_has_no_ratios(sampling_rate, interval):
    ecg = make_ecg(np.arange(0.4, 60, interval), sampling_rate, 60)
    hrv = HRVTransformer(features="all", sampling_rate=sampling_rate)
    found = dict(
        zip(hrv.fit(ecg[None]).get_feature_names_out(), hrv.transform(ecg[None])[0], strict=True)
    )
    assert {name for name in UNDEFINED if not np.isnan(found[name])} == set()
    assert found["HRV_SDNN"] == found["HRV_RMSSD"] == 0


@pytest.mark.parametrize("n_before", [1, 3])
def test_intervals_missing_at_the_start_leave_the_spectrum_as_it_is(n_before):
    rr = random_rr(20, seed=1)
    late = np.hstack([np.full((len(rr), n_before), np.nan), rr])
    late[::2] = np.hstack([rr, np.full((len(rr), n_before), np.nan)])[::2]
    for name, values in hrv_frequency(late).items():
        np.testing.assert_array_equal(values, hrv_frequency(rr)[name], err_msg=name)


@pytest.mark.parametrize("kernel", KERNELS)
def test_masked_intervals_are_no_intervals(kernel):
    rr = random_rr()
    filled = np.where(np.isnan(rr), -9999.0, rr)
    for name, values in kernel(np.ma.masked_less(filled, 0)).items():
        np.testing.assert_array_equal(values, kernel(rr)[name], err_msg=name)


def test_masked_beats_are_no_beats():
    beats = np.ma.masked_equal([[0.4, 1.2, 2.0, 0.0]], 0)
    np.testing.assert_allclose(rr_intervals(beats), [[800, 800, np.nan]])
