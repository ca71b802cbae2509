"""What every transformer says of input that it cannot take."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

from skemo import SignalArray, SignalDtype, signal_frame
from skemo.features.base import wrap_signals
from skemo.signals.checks import check_finite, signal_columns, validate_signals


class Taker(TransformerMixin, BaseEstimator):
    """Takes one signal, and does nothing with it."""


def take(X, sampling_rate=None, reset=True, taker=None):
    return validate_signals(taker or Taker(), X, sampling_rate=sampling_rate, reset=reset)


def make_frame(rate=4.0, **columns):
    eeg = SignalArray(np.ones((3, 2, 5)), sampling_rate=rate, channels=["F3", "F4"])
    return signal_frame(eeg=eeg, **columns)


# Taken


def test_signal_column_is_taken_as_it_is():
    frame, taker = make_frame(), Taker()
    signal = take(frame, taker=taker)
    assert signal is frame["eeg"].array
    assert taker.n_features_in_ == 1
    assert taker.feature_names_in_.tolist() == ["eeg"]
    assert take(frame["eeg"]) is frame["eeg"].array


def test_own_rate_may_be_repeated():
    assert take(make_frame(), 4).dtype.sampling_rate == 4.0


def test_rate_is_given_to_a_column_that_has_none():
    frame = make_frame(rate=None)
    signal = take(frame, 8)
    assert signal.dtype == SignalDtype("float64", (2, 5), 8, ["F3", "F4"])
    assert np.shares_memory(signal.values, frame["eeg"].array.values)


@pytest.mark.parametrize("shape", [(3, 5), (3, 2, 5)])
@pytest.mark.parametrize("value_type", ["float32", "float64"])
def test_array_becomes_a_signal(shape, value_type):
    signal = take(np.ones(shape, value_type), 4)
    assert signal.dtype == SignalDtype(value_type, (1, 5) if len(shape) == 2 else (2, 5), 4)


def test_table_of_numbers_is_one_channel():
    signal = take(pd.DataFrame(np.ones((3, 5), int), columns=list("abcde")), 4)
    assert signal.values.shape == (3, 1, 5)


def test_missing_windows_and_samples_are_let_through():
    frame = make_frame()
    frame.loc[[0], "eeg"] = np.nan
    frame["eeg"].array.values[1, 0, 0] = np.nan
    assert take(frame).isna().tolist() == [True, False, False]
    assert take(np.array([[np.nan, 1.0], [np.nan, np.nan]]), 4).isna().tolist() == [False, True]


def test_unfitted_estimator_is_left_without_attributes():
    taker = Taker()
    take(np.ones((3, 5)), 4, reset=False, taker=taker)
    take(make_frame(), reset=False, taker=taker)
    assert vars(taker) == {}


# Refused


def test_infinite_sample_is_named():
    frame = make_frame()
    frame["eeg"].array.values[2, 1, 4] = -np.inf
    with pytest.raises(ValueError, match=r"^'eeg' contains infinity. Mark samples that are not"):
        take(frame)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        take(np.array([[1.0, np.inf]]), 4)


def test_no_windows():
    message = r"Found array with 0 sample\(s\): the column 'eeg' has no windows."
    with pytest.raises(ValueError, match=message):
        take(make_frame()[:0])
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        take(np.ones((0, 5)), 4)


def test_array_without_rate():
    message = "^Taker needs the sampling rate of a plain array: pass sampling_rate=<hertz>, or X"
    with pytest.raises(ValueError, match=message):
        take(np.ones((3, 5)))


def test_column_without_rate():
    message = "^The column 'eeg' has no sampling rate: .* or pass sampling_rate to Taker.$"
    with pytest.raises(ValueError, match=message):
        take(make_frame(rate=None))


def test_two_rates():
    message = "^Taker got sampling_rate=8 Hz, but the column 'eeg' says 4.0 Hz. Leave"
    with pytest.raises(ValueError, match=message):
        take(make_frame(), 8)


@pytest.mark.parametrize("rate", [0, -1, np.nan, "4"])
def test_rate_that_is_none(rate):
    message = f"^sampling_rate must be a positive number .hertz., got {rate!r}"
    with pytest.raises(ValueError, match=message):
        take(np.ones((3, 5)), rate)


def test_array_of_too_many_dimensions():
    message = r"^Taker takes arrays of shape \(n_windows, n_times\) or .*, got \(3, 2, 5, 1\)"
    with pytest.raises(ValueError, match=message):
        take(np.ones((3, 2, 5, 1)), 4)


def test_two_columns():
    frame = make_frame()
    frame["ecg"] = frame["eeg"]
    message = r"^Taker takes one signal column, got the columns \['eeg', 'ecg'\]. Select one"
    with pytest.raises(ValueError, match=message):
        take(frame)


def test_signal_column_beside_another():
    message = r"^Taker takes one signal column, got the columns \['eeg', 'subject'\]"
    with pytest.raises(ValueError, match=message):
        take(make_frame(subject="s1"))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["a", "b", "c"], "object|str"),
        (list(np.ones((3, 5))), "object"),
        (pd.Categorical([1, 2, 3]), "category"),
        (pd.date_range("2020", periods=3), r"datetime64\[.s\]"),
    ],
)
def test_column_that_is_no_signal(values, dtype):
    message = f"^Taker expects a signal column, got 'subject' of dtype ({dtype}). Make signal"
    with pytest.raises(ValueError, match=message):
        take(pd.DataFrame({"subject": values}))


def test_object_cells_that_hold_arrays():
    cells = make_frame()[["eeg"]].to_numpy()
    message = "^Taker got an object array whose cells are arrays. A ColumnTransformer makes those"
    with pytest.raises(ValueError, match=message):
        take(cells, 4)


@pytest.mark.parametrize("X", [np.full((3, 5), "a"), np.ones((3, 5), complex)])
def test_other_values_than_real_numbers(X):
    with pytest.raises(ValueError, match=r"could not convert string|Complex data not supported"):
        take(X, 4)


def test_other_number_of_samples_than_fitted():
    taker = Taker()
    take(np.ones((3, 5)), 4, taker=taker)
    with pytest.raises(ValueError, match="X has 6 features, but Taker is expecting 5 features"):
        take(np.ones((3, 6)), 4, reset=False, taker=taker)


def test_other_column_than_fitted():
    taker = Taker()
    take(make_frame(), taker=taker)
    with pytest.raises(ValueError, match="feature names should match"):
        take(make_frame().rename(columns={"eeg": "ecg"}), reset=False, taker=taker)


# The pieces


def test_signal_columns_are_told_from_others():
    assert signal_columns(make_frame(subject="s1", start=0.0)) == ["eeg"]
    assert signal_columns(pd.DataFrame({"a": [1.0]})) == []
    assert signal_columns(np.ones((3, 5))) == []


def test_column_of_three_dimensions_is_refused_with_the_remedy():
    frame = make_frame()
    frame["clean"] = frame["eeg"].array.values * 2.0
    remedy = r"Column 'clean' is an array .* df\['clean'\] = SignalArray\(values, sampling_rate"
    for X in (frame, frame[["clean"]]):
        with pytest.raises(ValueError, match=remedy):
            signal_columns(X)


@pytest.mark.parametrize("place", [(0, 0, 0), (999, 0, 8191), (640, 0, 4000)])
def test_infinity_is_found_anywhere(place):
    values = np.zeros((1000, 1, 8192), "float32")
    check_finite(values, "ecg")
    values[place] = np.inf
    with pytest.raises(ValueError, match="'ecg' contains infinity"):
        check_finite(values, "ecg")
    with pytest.raises(ValueError, match="'ecg' contains infinity"):
        check_finite(values.transpose(0, 2, 1), "ecg")


def test_finite_check_takes_empty_arrays():
    check_finite(np.empty((0, 1, 5)), "ecg")


def test_output_is_in_the_container_of_the_input():
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
