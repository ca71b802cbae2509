"""Which signals estimators accept, and what they say about input that they refuse."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

from skemo import SignalArray, SignalDtype, signal_frame
from skemo._checks import check_range
from skemo.features.base import wrap_signals
from skemo.signals.checks import signal_columns, validate_signals


class Taker(TransformerMixin, BaseEstimator):
    """Takes one signal, and does nothing with it."""


def validate(X, sampling_rate=None, reset=True, transformer=None):
    transformer = transformer or Taker()
    return validate_signals(transformer, X, sampling_rate=sampling_rate, reset=reset)


def make_frame(rate=4.0, **columns):
    eeg = SignalArray(np.ones((3, 2, 5)), sampling_rate=rate, channels=["F3", "F4"])
    return signal_frame(eeg=eeg, **columns)


# Accepted


def test_signal_column_is_returned_unchanged():
    frame, transformer = make_frame(), Taker()
    signal = validate(frame, transformer=transformer)
    assert signal is frame["eeg"].array
    assert transformer.n_features_in_ == 1
    assert transformer.feature_names_in_.tolist() == ["eeg"]
    assert validate(frame["eeg"]) is frame["eeg"].array


def test_sampling_rate_may_repeat_that_of_the_column():
    assert validate(make_frame(), 4).dtype.sampling_rate == 4.0


def test_column_without_rate_gets_the_sampling_rate():
    frame = make_frame(rate=None)
    signal = validate(frame, 8)
    assert signal.dtype == SignalDtype("float64", (2, 5), 8, ["F3", "F4"])
    assert np.shares_memory(signal.values, frame["eeg"].array.values)


@pytest.mark.parametrize("shape", [(3, 5), (3, 2, 5)])
@pytest.mark.parametrize("value_type", ["float32", "float64"])
def test_array_becomes_a_signal(shape, value_type):
    signal = validate(np.ones(shape, value_type), 4)
    assert signal.dtype == SignalDtype(value_type, (1, 5) if len(shape) == 2 else (2, 5), 4)


def test_table_of_numbers_is_one_channel():
    signal = validate(pd.DataFrame(np.ones((3, 5), int), columns=list("abcde")), 4)
    assert signal.values.shape == (3, 1, 5)


def test_missing_windows_and_samples_are_accepted():
    frame = make_frame()
    frame.loc[[0], "eeg"] = np.nan
    frame["eeg"].array.values[1, 0, 0] = np.nan
    assert validate(frame).isna().tolist() == [True, False, False]
    assert validate(np.array([[np.nan, 1.0], [np.nan, np.nan]]), 4).isna().tolist() == [False, True]


def test_validation_without_reset_sets_no_attributes():
    transformer = Taker()
    validate(np.ones((3, 5)), 4, reset=False, transformer=transformer)
    validate(make_frame(), reset=False, transformer=transformer)
    assert vars(transformer) == {}


# Refused


def test_infinite_sample_is_refused():
    frame = make_frame()
    frame["eeg"].array.values[2, 1, 4] = -np.inf
    with pytest.raises(ValueError, match=r"^'eeg' contains infinity. Replace missing samples by"):
        validate(frame)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        validate(np.array([[1.0, np.inf]]), 4)


def test_table_without_windows_is_refused():
    message = r"Found array with 0 sample\(s\): the column 'eeg' has no windows."
    with pytest.raises(ValueError, match=message):
        validate(make_frame()[:0])
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        validate(np.ones((0, 5)), 4)


def test_array_without_sampling_rate_is_refused():
    message = "^Taker needs the sampling rate of a plain array. Pass sampling_rate=<hertz>, or X"
    with pytest.raises(ValueError, match=message):
        validate(np.ones((3, 5)))


def test_column_without_sampling_rate_is_refused():
    message = "^The column 'eeg' has no sampling rate. .* or pass sampling_rate to Taker.$"
    with pytest.raises(ValueError, match=message):
        validate(make_frame(rate=None))


def test_two_different_sampling_rates_are_refused():
    message = "^Taker got sampling_rate=8 Hz, but the column 'eeg' has 4.0 Hz. Use"
    with pytest.raises(ValueError, match=message):
        validate(make_frame(), 8)


@pytest.mark.parametrize("rate", [0, -1, np.nan, "4"])
def test_sampling_rate_that_is_not_positive_is_refused(rate):
    message = f"^sampling_rate must be a positive number .hertz., got {rate!r}"
    with pytest.raises(ValueError, match=message):
        validate(np.ones((3, 5)), rate)


def test_array_with_too_many_dimensions_is_refused():
    message = r"^Taker takes arrays of shape \(n_windows, n_times\) or .*, got \(3, 2, 5, 1\)"
    with pytest.raises(ValueError, match=message):
        validate(np.ones((3, 2, 5, 1)), 4)


def test_two_signal_columns_are_refused():
    frame = make_frame()
    frame["ecg"] = frame["eeg"]
    message = r"^Taker takes one signal column, got the columns \['eeg', 'ecg'\]. Select one"
    with pytest.raises(ValueError, match=message):
        validate(frame)


def test_other_column_beside_the_signal_is_refused():
    message = r"^Taker takes one signal column, got the columns \['eeg', 'subject'\]"
    with pytest.raises(ValueError, match=message):
        validate(make_frame(subject="s1"))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["a", "b", "c"], "object|str"),
        (list(np.ones((3, 5))), "object"),
        (pd.Categorical([1, 2, 3]), "category"),
        (pd.date_range("2020", periods=3), r"datetime64\[.s\]"),
    ],
)
def test_column_that_is_not_a_signal_is_refused(values, dtype):
    message = f"^Taker expects a signal column, got 'subject' of dtype ({dtype}). Make signal"
    with pytest.raises(ValueError, match=message):
        validate(pd.DataFrame({"subject": values}))


def test_object_cells_that_hold_arrays_are_refused():
    cells = make_frame()[["eeg"]].to_numpy()
    message = "^Taker got an object array whose cells are arrays. A ColumnTransformer returns such"
    with pytest.raises(ValueError, match=message):
        validate(cells, 4)


@pytest.mark.parametrize("X", [np.full((3, 5), "a"), np.ones((3, 5), complex)])
def test_values_other_than_real_numbers_are_refused(X):
    with pytest.raises(ValueError, match=r"could not convert string|Complex data not supported"):
        validate(X, 4)


def test_number_of_samples_must_be_the_fitted_one():
    transformer = Taker()
    validate(np.ones((3, 5)), 4, transformer=transformer)
    with pytest.raises(ValueError, match="X has 6 features, but Taker is expecting 5 features"):
        validate(np.ones((3, 6)), 4, reset=False, transformer=transformer)


def test_column_must_be_the_fitted_one():
    transformer = Taker()
    validate(make_frame(), transformer=transformer)
    with pytest.raises(ValueError, match="feature names should match"):
        validate(make_frame().rename(columns={"eeg": "ecg"}), reset=False, transformer=transformer)


# Helpers


def test_signal_columns_are_distinguished_from_others():
    assert signal_columns(make_frame(subject="s1", start=0.0)) == ["eeg"]
    assert signal_columns(pd.DataFrame({"a": [1.0]})) == []
    assert signal_columns(np.ones((3, 5))) == []


def test_column_of_three_dimensions_is_refused_with_the_remedy():
    frame = make_frame()
    frame["clean"] = frame["eeg"].array.values * 2.0
    remedy = r"'clean' is a multidimensional .* df\['clean'\] = SignalArray\(values, sampling_rate"
    for X in (frame, frame[["clean"]]):
        with pytest.raises(ValueError, match=remedy):
            signal_columns(X)


@pytest.mark.parametrize("place", [(0, 0, 0), (999, 0, 8191), (640, 0, 4000)])
def test_infinity_is_found_anywhere(place):
    values = np.zeros((1000, 1, 8192), "float32")
    check_range(values, "ecg")
    values[place] = np.inf
    with pytest.raises(ValueError, match="'ecg' contains infinity"):
        check_range(values, "ecg")
    with pytest.raises(ValueError, match="'ecg' contains infinity"):
        check_range(values.transpose(0, 2, 1), "ecg")


def test_empty_arrays_are_finite():
    check_range(np.empty((0, 1, 5)), "ecg")


def test_output_has_the_container_of_the_input():
    values = np.ones((3, 2, 4))
    frame = make_frame().set_axis([7, 8, 9])
    for X in (frame, frame["eeg"]):
        out = wrap_signals(values, X, "eeg", sampling_rate=1, channels=["F3", "F4"])
        assert out.index.tolist() == [7, 8, 9]
        assert out.dtypes.to_dict() == {"eeg": SignalDtype("float64", (2, 4), 1, ["F3", "F4"])}
        assert out["eeg"].array.values is values
    assert wrap_signals(values, np.ones((3, 5)), "eeg").shape == (3, 8)
    assert wrap_signals(values, pd.DataFrame(np.ones((3, 5))), "eeg").shape == (3, 8)
    assert wrap_signals(values, np.ones((3, 2, 5)), "eeg") is values
