"""The gate for samples, rates, tables and labels: what is refused, and what is converted."""

import numpy as np
import pandas as pd
import pytest

from skemo import (
    DifferentialEntropyTransformer,
    HRVTransformer,
    LeaveOneTrialOut,
    PerSubject,
    Recording,
    SignalArray,
    compare,
    make_lda,
    make_svm,
    segment,
)
from skemo._checks import check_range, check_rate, native_columns, real_samples
from skemo.kernels.cvxeda import cvxeda
from skemo.kernels.heartbeats import max_beats, r_peaks
from skemo.kernels.hrv import hrv_time, rr_intervals
from skemo.kernels.motion import acceleration_by_second, motion_features
from skemo.kernels.muscle import emg_envelope, muscle_bursts, muscle_features
from skemo.kernels.resampling import n_resampled, resample
from skemo.kernels.respiration import breathing, breaths, respiration_of_beats, respiration_of_ecg
from skemo.kernels.skin_conductance import tonic_phasic
from skemo.kernels.standardize import signal_statistics
from skemo.kernels.temperature import temperature_features

NOISE = np.random.default_rng(0).normal(size=(2, 500))
BEATS = np.arange(10.0)[np.newaxis]
OTHER_KERNELS = [
    *(breaths, breathing, emg_envelope, muscle_bursts, muscle_features, temperature_features),
    lambda windows, rate: acceleration_by_second(windows[:, np.newaxis], rate),
    lambda windows, rate: motion_features(windows[:, np.newaxis], rate),
    lambda windows, rate: respiration_of_ecg(windows[:1], rate, BEATS),
]


@pytest.mark.parametrize("kind", ["complex128", "bool", "object", "M8[s]", "m8[s]", "str", "S3"])
def test_samples_that_are_not_real_numbers_are_refused(kind):
    samples = (100 * NOISE).astype("i8").astype(kind)
    with pytest.raises(ValueError, match=r"'eda' must hold real numbers, got dtype"):
        tonic_phasic(samples, 4)


@pytest.mark.parametrize(
    ("kind", "kept"),
    [("f2", "f4"), (">f4", "f4"), (">f8", "f8"), ("longdouble", "f8"), ("i2", "i2"), ("f4", "f4")],
)
def test_samples_are_computed_in_single_or_double_precision(kind, kept):
    assert real_samples(np.ones((2, 3), kind), "x").dtype == np.dtype(kept)


@pytest.mark.parametrize("value_type", ["f4", "f8"])
def test_a_sentinel_is_named_with_its_place(value_type):
    eeg = np.random.default_rng(0).normal(size=(4, 2, 256)).astype(value_type)
    eeg[2, 1, 7] = 1e30
    with pytest.raises(ValueError, match=r"'X' has the value 1e\+30 in row 2, beyond 1e\+12"):
        DifferentialEntropyTransformer(sampling_rate=128).fit(eeg)


def test_whole_numbers_beyond_the_range_are_refused():
    with pytest.raises(ValueError, match=r"'ecg' has the value -9\.22337e\+18 in row 1"):
        check_range(np.array([[0], [np.iinfo("i8").min]]), "ecg")


def test_the_largest_samples_and_nan_pass():
    check_range(np.array([[1e12, -1e12, np.nan]]), "ecg")
    check_range(np.full((3, 4), np.nan), "ecg")


@pytest.mark.parametrize("rate", [0, -1, np.nan, np.inf, "128", True, None, 1e7, [1]])
def test_a_rate_that_is_not_in_hertz_is_refused(rate):
    with pytest.raises(ValueError, match="sampling_rate must be a number of hertz"):
        check_rate(rate)


@pytest.mark.parametrize("kernel", OTHER_KERNELS)
def test_every_kernel_refuses_dates_sentinels_and_rates_that_are_none(kernel):
    with pytest.raises(ValueError, match=r"must hold real numbers, got dtype"):
        kernel((100 * NOISE).astype("i8").astype("m8[s]"), 1000)
    with pytest.raises(ValueError, match=r"has the value 1e\+30 in row 0"):
        kernel(np.where(NOISE[0, 0] == NOISE, 1e30, NOISE), 1000)
    for rate in (None, "a", np.nan, 0, np.inf):
        with pytest.raises(ValueError, match=r"must be a number of hertz"):
            kernel(NOISE, rate)


def test_beats_of_an_ecg_in_the_wrong_unit_are_an_error_and_not_gigabytes():
    with pytest.raises(ValueError, match=r"A window lasts at most 1e\+06 s"):
        respiration_of_ecg(NOISE[:1], 1e-9, BEATS)
    with pytest.raises(ValueError, match=r"A window lasts at most 1e\+06 s"):
        respiration_of_beats(BEATS, 1e9)
    with pytest.raises(ValueError, match="the same number of windows, got 2 and 1"):
        respiration_of_ecg(NOISE, 256, BEATS)


def test_a_period_in_place_of_a_rate_is_an_error_and_not_gigabytes():
    with pytest.raises(ValueError, match="Check that it is in hertz, not a period in seconds"):
        r_peaks(NOISE, 1 / 256)
    with pytest.raises(ValueError, match="too low"):
        max_beats(2560, 1 / 256)
    with pytest.raises(ValueError, match="more than 1000 times the sampling rate"):
        n_resampled(2560, 1 / 256, 64)
    with pytest.raises(ValueError, match="ECG needs at least"):
        HRVTransformer(sampling_rate=1 / 256).fit(NOISE)


@pytest.mark.parametrize(
    "use",
    [
        lambda x: r_peaks(x[0], 128),
        lambda x: hrv_time(x[0]),
        lambda x: resample(x[0], 128, 64),
        lambda x: resample(x[:, :0], 128, 64),
        lambda x: signal_statistics(x),
    ],
)
def test_samples_of_another_shape_are_refused(use):
    with pytest.raises(ValueError, match="shape"):
        use(NOISE)


def test_beat_times_that_do_not_increase_are_refused():
    with pytest.raises(ValueError, match="beat times of 1 of 2 windows do not increase"):
        rr_intervals([[0.5, 1.2, 2.0], [0.5, np.nan, 0.4]])


def test_intervals_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="above 0 and at most 60000 ms; fill up series with NaN"):
        hrv_time([[800.0, 810.0, 0.0]])


def test_cvxeda_takes_a_high_rate_in_linear_time():
    eda = 3 + 0.1 * np.sin(np.arange(200_000) / 30_000)[np.newaxis]
    tonic, phasic = cvxeda(eda, 100_000)  # took minutes for the splines alone
    assert np.isfinite(tonic + phasic).all()


@pytest.mark.parametrize("kind", ["i8", "u1", "bool", "boolean", "Int64", "Float32", ">f4", ">i8"])
def test_columns_of_any_real_numbers_are_standardised(kind):
    table = pd.DataFrame({"f": pd.Series([0, 1, 1, 0]).astype(kind), "subject": list("aabb")})
    assert PerSubject().fit_transform(table)["f"].tolist() == [-1.0, 1.0, 1.0, -1.0]


def test_complex_columns_are_refused():
    table = pd.DataFrame({"f": [1j, 2j], "subject": ["a", "a"]})
    with pytest.raises(ValueError, match=r"numeric and signal columns, but got \['f'\]"):
        PerSubject().fit(table)


def test_columns_get_the_byte_order_of_the_machine():
    table = pd.DataFrame({"a": np.array([1, 2], ">i4"), "b": [0.5, 1.5]})
    native = native_columns(table)
    assert native.dtypes.map(lambda dtype: dtype.isnative).all()
    pd.testing.assert_frame_equal(native, pd.DataFrame({"a": np.int32([1, 2]), "b": [0.5, 1.5]}))


def test_signals_of_half_precision_are_kept_in_single_precision():
    assert SignalArray(np.zeros((2, 1, 4), "f2")).values.dtype == np.float32


def test_no_windows_at_all_are_an_error():
    groups = pd.DataFrame({"subject": [], "trial": []})
    with pytest.raises(ValueError, match="compare needs windows"):
        compare({"m": make_svm("passthrough")}, np.zeros((0, 3)), [], [])
    with pytest.raises(ValueError, match="at least one window"):
        list(LeaveOneTrialOut().split(np.zeros((0, 1)), [], groups))


def test_the_name_of_a_column_is_not_taken_for_its_values():
    models, X = {"m": make_svm("passthrough")}, np.zeros((5, 3))
    with pytest.raises(ValueError, match="y is the text 'label', which is not a column of X"):
        compare(models, X, "label", list("aabbc"))
    with pytest.raises(ValueError, match="groups is the text 'subject'"):
        compare(models, X, [0, 1, 0, 1, 0], "subject")


PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3


@pytest.mark.skipif(not PANDAS_3, reason="earlier versions hold any text")
@pytest.mark.parametrize("what", ["subject", "label", "model"])
def test_a_name_that_pandas_cannot_hold_is_an_error_that_shows_it(what):
    names = {"subject": "s", "label": "l", "model": "m"}
    names[what] += "\udc80"
    y = np.tile(np.array([names["label"], "b"], object), 12)
    subjects = np.repeat(np.array([names["subject"], "b"], object), 12)
    X = np.random.default_rng(0).normal(size=(24, 2))
    with pytest.raises(ValueError, match=rf"The {what} '.\\udc80' has characters that are not"):
        compare({names["model"]: make_lda("passthrough")}, X, y, subjects)


@pytest.mark.skipif(not PANDAS_3, reason="earlier versions hold any text")
def test_a_recording_whose_label_pandas_cannot_hold_is_an_error_that_shows_it():
    recording = Recording(
        {"ecg": np.ones((1, 640))}, {"ecg": 64}, subject="a", labels=[(0, 10, "x\ud800")]
    )
    with pytest.raises(ValueError, match=r"The label 'x\\ud800' has characters that are not"):
        segment([recording], 5)
