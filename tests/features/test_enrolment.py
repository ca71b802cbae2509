"""A person measured beforehand: statistics that are learnt piece by piece, saved and set again."""

import io
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skemo import PerSubject, SignalArray, signal_frame
from skemo.kernels.standardize import combine_moments, signal_moments, signal_statistics


def make_table(n=60, seed=0):
    """A signal with padding, one with channels, and features, of four subjects."""
    rng = np.random.default_rng(seed)
    series = rng.normal(0.8, 0.1, (n, 1, 9))
    series[:, :, 7:] = 0
    maps = rng.normal(2, 3, (n, 2, 3, 4)).astype(np.float32)
    maps[rng.random(n) < 0.2] = np.nan
    table = signal_frame(
        ecg=SignalArray(series),
        eeg=SignalArray(maps, sampling_rate=1, channels=["F3", "Fz", "F4"]),
        rate=rng.normal(70, 5, n),
        constant=0.1,
        subject=rng.choice(list("abcd"), n),
    )
    table.loc[rng.random(n) < 0.2, "rate"] = np.nan
    return table


def equal(one, other, **exact):
    pd.testing.assert_frame_equal(one.drop(columns=["ecg", "eeg"]), other[["rate", "constant"]])
    for name in ("ecg", "eeg"):
        np.testing.assert_array_equal(one[name].array.values, other[name].array.values)


def test_an_enrolled_subject_is_standardised_as_one_of_the_fit_to_the_bit():
    table = make_table()
    new = table["subject"] == "d"
    expected = PerSubject().fit(table)
    step = PerSubject().fit(table[~new]).partial_fit(table[new])
    for row in np.flatnonzero(new):
        window = table.iloc[[row]]
        equal(step.transform(window), expected.transform(window))
    pd.testing.assert_frame_equal(
        step.statistics_.sort_index(level=0, sort_remaining=False),
        expected.statistics_.sort_index(level=0, sort_remaining=False),
        check_exact=True,
    )


@pytest.mark.parametrize("n_parts", [2, 7, 60])
def test_statistics_learnt_in_parts_are_those_of_all_rows(n_parts):
    table = make_table()
    step = PerSubject()
    for rows in np.array_split(np.arange(len(table)), n_parts):
        step.partial_fit(table.iloc[rows])
    whole = PerSubject().fit(table).statistics_
    pd.testing.assert_frame_equal(step.statistics_.loc[list("abcd")], whole.loc[list("abcd")])


def test_a_constant_stays_constant_over_parts():
    step = PerSubject()
    for n in (3, 5, 7):
        step.partial_fit(pd.DataFrame({"x": [0.1] * n, "subject": "a"}))
    assert step.statistics_.loc["a"].loc["std", "x"] == 0
    assert step.transform(pd.DataFrame({"x": [0.1], "subject": "a"})).loc[0, "x"] == 0


def test_combined_moments_of_far_sets_are_those_of_all_samples():
    rng = np.random.default_rng(0)
    one, other = (rng.normal(mean, 1, (4, 3, 50)) for mean in (0, 1000))
    expected = signal_moments(np.concatenate([one, other]))
    got = combine_moments(signal_moments(one), signal_moments(other))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_nothing_combined_with_something_is_something():
    values = np.random.default_rng(0).normal(size=(3, 2, 5))
    something, nothing = signal_moments(values), signal_moments(np.full_like(values, np.nan))
    for pair in ((something, nothing), (nothing, something)):
        for got, expected in zip(combine_moments(*pair), something, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_moments_agree_with_the_statistics_that_signals_are_standardised_by():
    values = np.random.default_rng(0).normal(size=(3, 2, 5))
    values[:, 1] = 7.0
    count, mean, std = signal_moments(values)
    np.testing.assert_array_equal(mean, signal_statistics(values)[0])
    np.testing.assert_array_equal(np.where(std == 0, 1, std), signal_statistics(values)[1])
    assert std[0, 1, 0] == 0
    assert (count == 15).all()


def test_statistics_are_a_table_to_read():
    table = make_table()
    statistics = PerSubject().fit(table).statistics_
    own = table[table["subject"] == "b"]
    assert list(statistics.columns) == [
        "ecg 0",
        *(f"eeg {band} {channel}" for band in (0, 1) for channel in ("F3", "Fz", "F4")),
        "rate",
        "constant",
    ]
    assert statistics.loc["b"].loc["windows"].eq(len(own)).all()
    assert statistics.loc["b"].loc["values", "rate"] == own["rate"].count()
    assert statistics.loc["b"].loc["mean", "rate"] == pytest.approx(own["rate"].mean())
    assert statistics.loc["b"].loc["std", "rate"] == pytest.approx(own["rate"].std(ddof=0))
    assert statistics.loc["b"].loc["std", "constant"] == 0


def test_statistics_can_be_saved_as_text_and_set_again():
    table = make_table()
    step = PerSubject().fit(table)
    file = io.StringIO(step.statistics_.to_csv())
    again = clone(step).fit(table[table["subject"] == "a"])
    again.statistics_ = pd.read_csv(file, index_col=[0, 1], float_precision="round_trip")
    equal(again.transform(table), step.transform(table))


def test_a_subject_dropped_from_the_statistics_is_measured_anew():
    table = make_table()
    step = PerSubject().fit(table)
    step.statistics_ = step.statistics_.drop("c", level="subject")
    own = table[table["subject"] == "c"][:5]
    equal(step.partial_fit(own).transform(own), PerSubject().fit_transform(own))


def test_a_subject_measured_by_a_single_window_is_new_until_the_next():
    X = pd.DataFrame({"x": [1.0, 3.0, 5.0], "subject": ["a", "a", "b"]})
    step = PerSubject().fit(X[:2]).partial_fit(X[2:])
    later = pd.DataFrame({"x": [10.0, 30.0], "subject": "b"})
    assert step.transform(later)["x"].tolist() == [-1, 1]
    step.partial_fit(pd.DataFrame({"x": [7.0], "subject": "b"}))
    assert step.transform(later)["x"].tolist() == [4, 24]


def test_measuring_more_does_not_change_the_other_subjects():
    table = make_table()
    step = PerSubject().fit(table)
    before = step.statistics_
    step.partial_fit(make_table(seed=1).query("subject == 'a'"))
    pd.testing.assert_frame_equal(step.statistics_.loc[["b"]], before.loc[["b"]], check_exact=True)
    assert not step.statistics_.loc["a"].equals(before.loc["a"])


def test_an_array_can_be_measured_in_parts():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(20, 2)), rng.integers(0, 2, 20)])
    step = PerSubject(by=2).fit(X[:10]).partial_fit(X[10:])
    np.testing.assert_allclose(step.transform(X), PerSubject(by=2).fit_transform(X))
    assert step.statistics_.columns.tolist() == ["x0", "x1"]


def test_other_channels_and_other_statistics_are_errors():
    step = PerSubject().fit(make_table())
    other = make_table()
    other["eeg"] = SignalArray(other["eeg"].array.values[:, :, :2], sampling_rate=1)
    with pytest.raises(ValueError, match=r"fitted on 9 numbers of a window, .* but got 7"):
        step.transform(other)
    step.statistics_ = step.statistics_.sort_index(level=1)
    with pytest.raises(ValueError, match="rows windows, values, mean, std of each subject"):
        step.transform(make_table())


def test_columns_can_be_passed_through():
    table = make_table().assign(trial="1", start=np.arange(60.0))
    step = PerSubject(passthrough=["subject", "trial", "start"])
    got = step.fit_transform(table)
    plain = PerSubject().fit_transform(table.drop(columns=["trial", "start"]))
    assert list(got) == list(table) == step.get_feature_names_out().tolist()
    equal(got.drop(columns=["subject", "trial", "start"]), plain)
    pd.testing.assert_frame_equal(got[["subject", "start"]], table[["subject", "start"]])
    array = np.array([[1.0, 5.0, 0.0], [3.0, 6.0, 0.0]])
    assert PerSubject(by=2, passthrough=[1]).fit_transform(array).tolist() == [[-1, 5], [1, 6]]


@pytest.mark.parametrize("passthrough", ["trial", 3, None])
def test_columns_to_pass_through_are_a_list(passthrough):
    with pytest.raises(
        ValueError, match=f"passthrough must be a list of columns, got {passthrough!r}"
    ):
        PerSubject(passthrough=passthrough).fit(make_table())


def test_measuring_a_window_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PerSubject().partial_fit(pd.DataFrame({"x": [1.0], "subject": "a"}))
