"""Modalities side by side, statistics of signals, and standardisation of each subject."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skemo import (
    DifferentialEntropyTransformer,
    HRVTransformer,
    PerSubject,
    SignalArray,
    make_lda,
    make_modality_transformer,
    read_windows,
    segment,
    signal_frame,
    write_windows,
)
from skemo.datasets import make_emotion_recordings
from skemo.kernels.standardize import signal_lengths, signal_statistics, standardize_signals


def standardized_features(**modalities):
    features = make_modality_transformer(**modalities, subject="passthrough")
    return make_pipeline(features, PerSubject())


class ChannelMean(TransformerMixin, BaseEstimator):
    """Mean over time of each channel: the simplest transformer of a signal column."""

    def __init__(self, power=1):
        self.power = power

    def fit(self, X, y=None):
        self.name_ = X.columns[0]
        self.n_channels_ = X.iloc[:, 0].array.values.shape[1]
        return self

    def transform(self, X):
        return (X.iloc[:, 0].array.values ** self.power).mean(axis=-1)

    def get_feature_names_out(self, input_features=None):
        return np.array([f"{self.name_}_{i}" for i in range(self.n_channels_)], object)


def make_windows(n_subjects=4, n_rows=6, offset=10.0, random_state=0):
    """Return noise in two modalities, with a different level for each subject."""
    rng = np.random.default_rng(random_state)
    n = n_subjects * n_rows
    subject = np.repeat([f"s{i}" for i in range(n_subjects)], n_rows)
    level = np.repeat(offset * rng.normal(size=n_subjects), n_rows)[:, None, None]
    label = np.tile([0, 1], n // 2)
    ecg = rng.normal(size=(n, 1, 40)) + level + label[:, None, None]
    eeg = rng.normal(size=(n, 3, 128)).astype("float32") + level.astype("float32")
    index = [f"w{i}" for i in range(n)]
    return signal_frame(
        index=index,
        ecg=SignalArray(ecg, sampling_rate=4, channels=["II"]),
        eeg=SignalArray(eeg, sampling_rate=128),
        subject=subject,
        label=label,
    )


# Statistics of signals


def test_statistics_pool_windows_and_time_for_each_channel():
    values = np.random.default_rng(0).normal(3, 2, size=(30, 4, 3, 25))
    mean, scale = signal_statistics(values)
    np.testing.assert_allclose(mean, values.mean(axis=(0, -1), keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(scale, values.std(axis=(0, -1), keepdims=True), rtol=1e-12)


def test_padding_is_the_run_of_zeros_at_the_end_of_all_channels():
    values = np.ones((4, 2, 5))
    values[0, :, 3:] = 0
    values[1, 0, 3:] = 0  # only one channel: these zeros were measured
    values[2, :, :3] = 0  # followed by samples
    values[3] = 0
    assert signal_lengths(values).tolist() == [3, 5, 5, 0]


def test_statistics_ignore_padding_and_nan():
    rng = np.random.default_rng(1)
    values = rng.normal(5, 2, size=(20, 2, 30))
    expected = [values[:, c, :20][:, rng.permutation(20)].ravel() for c in range(2)]
    values[:, :, 20:] = 0
    mean, scale = signal_statistics(values)
    np.testing.assert_allclose(mean.ravel(), [e.mean() for e in expected])
    np.testing.assert_allclose(scale.ravel(), [e.std() for e in expected])
    values[3] = np.nan
    values[5, 1, 4] = np.nan
    mean, scale = signal_statistics(values)
    samples = np.where(values == 0, np.nan, values)
    np.testing.assert_allclose(mean, np.nanmean(samples, axis=(0, 2), keepdims=True))
    np.testing.assert_allclose(scale, np.nanstd(samples, axis=(0, 2), keepdims=True))


def test_a_weight_of_two_equals_giving_a_window_twice():
    rng = np.random.default_rng(2)
    values, weight = rng.normal(size=(15, 2, 8)), rng.integers(0, 3, 15)
    for got, expected in zip(
        signal_statistics(values, weight),
        signal_statistics(np.repeat(values, weight, axis=0)),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("by_time", [False, True])
def test_statistics_of_some_rows_equal_those_of_a_copy_of_the_rows(by_time):
    rng = np.random.default_rng(2)
    values, rows = rng.normal(size=(30, 2, 8)), rng.permutation(30)[:20]
    values[4:9, :, 6:] = 0
    weight = rng.random(20)
    for got, expected in zip(
        signal_statistics(values, weight, rows=rows, by_time=by_time),
        signal_statistics(values[rows], weight, by_time=by_time),
        strict=True,
    ):
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(20,\)"):
        signal_statistics(values, np.ones(30), rows=rows)
    with pytest.raises(ValueError, match="at least one sample"):
        signal_statistics(values, rows=rows[:0])


def test_a_constant_channel_has_scale_one_and_a_missing_one_has_nan():
    values = np.full((7, 2, 9), 0.1)
    values[:, 1] = np.nan
    mean, scale = signal_statistics(values)
    np.testing.assert_allclose(mean.ravel(), [0.1, np.nan], rtol=1e-12)
    np.testing.assert_array_equal(scale.ravel(), [1, np.nan])


def test_statistics_do_not_depend_on_the_memory_layout():
    values = np.random.default_rng(3).normal(size=(50, 3, 40)).astype("float32")
    other = np.asfortranarray(values)
    for a, b in zip(signal_statistics(values), signal_statistics(other), strict=True):
        assert np.array_equal(a, b)


def test_standardised_signals_keep_their_type_padding_and_nan():
    values = np.random.default_rng(4).normal(3, 2, size=(10, 2, 12)).astype("float32")
    values[0, :, 7:] = 0
    values[1] = np.nan
    before = values.copy()
    standardized = standardize_signals(values, *signal_statistics(values))
    assert standardized.dtype == np.float32
    assert (standardized[0, :, 7:] == 0).all()
    assert (standardized[0, :, :7] != 0).all()
    assert np.isnan(standardized[1]).all()
    assert not np.isnan(standardized[2:]).any()
    np.testing.assert_array_equal(values, before)
    mean, scale = signal_statistics(standardized)
    np.testing.assert_allclose(mean, 0, atol=1e-6)
    np.testing.assert_allclose(scale, 1, rtol=1e-6)


# make_modality_transformer


def test_features_of_modalities_are_named_columns():
    windows = make_windows()
    frame = make_modality_transformer(ecg=ChannelMean(), eeg=ChannelMean()).fit_transform(windows)
    assert frame.columns.tolist() == ["ecg_0", "eeg_0", "eeg_1", "eeg_2"]
    assert frame.index.equals(windows.index)
    np.testing.assert_allclose(frame["ecg_0"], windows["ecg"].array.values.mean(axis=(1, 2)))


def test_signal_columns_pass_through_whole():
    windows = make_windows()
    both = make_modality_transformer(ecg="passthrough", eeg=DifferentialEntropyTransformer("map"))
    frame = both.fit_transform(windows[["subject", "eeg", "ecg"]].iloc[::2].assign(extra=1))
    assert frame["ecg"].dtype == windows["ecg"].dtype
    assert frame.columns.tolist() == ["ecg", "eeg"]


def test_parameters_of_a_modality_are_set_by_its_name():
    pipeline = make_pipeline(make_modality_transformer(ecg=ChannelMean()), SVC())
    clone(pipeline).set_params(modalitytransformer__ecg__power=2)
    assert pipeline.get_params()["modalitytransformer__ecg__power"] == 1


def test_no_modality_is_an_error():
    with pytest.raises(ValueError, match="at least one modality"):
        make_modality_transformer()


# PerSubject


def test_features_equal_a_z_score_by_hand():
    windows = make_windows()
    features = make_modality_transformer(ecg=ChannelMean(), eeg=ChannelMean())
    plain = features.fit_transform(windows)
    expected = plain.groupby(windows["subject"]).transform(lambda x: (x - x.mean()) / x.std(ddof=0))
    got = standardized_features(ecg=ChannelMean(), eeg=ChannelMean()).fit_transform(windows)
    assert got.columns.tolist() == plain.columns.tolist()
    np.testing.assert_allclose(got, expected, atol=1e-4)  # float32 channels
    np.testing.assert_allclose(got["ecg_0"], expected["ecg_0"], rtol=1e-9)


def test_rows_of_a_subject_need_not_be_adjacent():
    windows = make_windows()
    order = np.random.default_rng(0).permutation(len(windows))
    step = standardized_features(ecg=ChannelMean())
    straight = step.fit_transform(windows)
    mixed = step.fit_transform(windows.iloc[order])
    np.testing.assert_allclose(mixed.loc[straight.index], straight, rtol=1e-9)


def test_signals_equal_a_z_score_by_hand():
    windows = make_windows()
    step = PerSubject().fit(windows[["ecg", "eeg", "subject"]])
    got = step.transform(windows[["ecg", "eeg", "subject"]])
    assert got.dtypes.tolist() == windows.dtypes[["ecg", "eeg"]].tolist()
    assert got.index.equals(windows.index)
    for name in ("ecg", "eeg"):
        for subject in windows["subject"].unique():
            rows = (windows["subject"] == subject).to_numpy()
            values = windows[name].array.values[rows].astype(float)
            mean = values.mean(axis=(0, 2), keepdims=True)
            expected = (values - mean) / values.std(axis=(0, 2), keepdims=True)
            np.testing.assert_allclose(got[name].array.values[rows], expected, atol=2e-5)


def test_padding_stays_zero_and_missing_windows_stay_missing():
    values = np.random.default_rng(0).normal(0.8, 0.05, size=(6, 1, 10))
    values[:, :, 7:] = 0
    values[2] = np.nan
    X = signal_frame(ecg=SignalArray(values), subject=list("aaabbb"))
    got = PerSubject().fit_transform(X)["ecg"]
    assert (got.array.values[[0, 1, 3, 4, 5], :, 7:] == 0).all()
    assert got.isna().tolist() == [False, False, True, False, False, False]
    beats = got.array.values[3:, :, :7]
    assert abs(beats.mean()) < 1e-12
    assert beats.std() == pytest.approx(1)


def test_offsets_of_subjects_are_removed():
    windows = make_windows(n_subjects=8, n_rows=30, offset=20.0)
    y, subjects = windows.pop("label"), windows["subject"]
    features = make_modality_transformer(ecg=ChannelMean())
    splits = GroupKFold(4)
    raw = make_pipeline(features, StandardScaler(), SVC())
    own = make_pipeline(standardized_features(ecg=ChannelMean()), SVC())
    assert cross_val_score(raw, windows, y, groups=subjects, cv=splits).mean() < 0.75
    assert cross_val_score(own, windows, y, groups=subjects, cv=splits).mean() > 0.95


@pytest.mark.parametrize("transformer", [ChannelMean(), "passthrough"])
def test_a_new_subject_is_standardised_by_the_rows_passed_to_transform(transformer):
    windows = make_windows()
    first = windows["subject"] == windows["subject"].iloc[0]
    seen, new = windows[first], windows[~first]
    step = standardized_features(ecg=transformer)
    pd.testing.assert_frame_equal(step.fit(seen).transform(new), step.fit_transform(new))


@pytest.mark.parametrize("transformer", [ChannelMean(), "passthrough"])
def test_a_known_subject_is_standardised_by_the_rows_of_the_fit(transformer):
    windows = make_windows()
    step = standardized_features(ecg=transformer).fit(windows)
    together = step.transform(windows)
    alone = pd.concat([step.transform(windows.iloc[[row]]) for row in range(len(windows))])
    pd.testing.assert_frame_equal(alone, together)


def test_columns_missing_at_fit_are_standardised_by_the_rows_passed_to_transform():
    nothing = pd.DataFrame({"x": [np.nan] * 3, "z": [1.0, 2.0, 3.0], "subject": "a"})
    later = pd.DataFrame({"x": [10.0, 20.0, 30.0], "z": [2.0, 3.0, 4.0], "subject": "a"})
    got = PerSubject().fit(nothing).transform(later)
    np.testing.assert_allclose(got["x"], np.array([-1, 0, 1]) * np.sqrt(1.5))
    np.testing.assert_allclose(got["z"], np.array([0, 1, 2]) * np.sqrt(1.5))


def test_a_subject_with_a_single_row_at_fit_is_new_in_transform():
    X = pd.DataFrame({"x": [1.0, 2.0, 5.0], "subject": ["a", "a", "lonely"]})
    with pytest.warns(UserWarning, match="single row"):
        step = PerSubject().fit(X)
    later = pd.DataFrame({"x": [10.0, 30.0], "subject": "lonely"})
    assert step.transform(later)["x"].tolist() == [-1, 1]


def test_infinity_is_an_error():
    X = pd.DataFrame({"x": [1.0, np.inf], "subject": "a"})
    with pytest.raises(ValueError, match="'X' contains infinity"):
        PerSubject().fit(X)


def test_statistics_by_time_are_those_of_each_column():
    values = np.array([[[1.0, 5.0, 0.0]], [[3.0, 9.0, 2.0]], [[5.0, 0.0, 0.0]]])
    mean, scale = signal_statistics(values, by_time=True)
    np.testing.assert_allclose(mean, [[[3, 7, 2]]])
    np.testing.assert_allclose(scale, [[[np.sqrt(8 / 3), 2, 1]]])


def test_nan_is_ignored_and_constants_become_zero():
    X = pd.DataFrame(
        {
            "x": [1.0, np.nan, 3.0, 7.0, 9.0, 8.0],
            "constant": 0.1,
            "absent": np.nan,
            "subject": list("aaabbb"),
        }
    )
    got = PerSubject().fit_transform(X)
    third = np.sqrt(3 / 2)
    np.testing.assert_allclose(got["x"], [-1, np.nan, 1, -third, third, 0], atol=1e-12)
    assert (got["constant"] == 0).all()
    assert got["absent"].isna().all()


def test_a_single_row_gives_zeros_and_names_the_subject():
    X = pd.DataFrame({"x": [1.0, 2.0, 5.0], "subject": ["a", "a", "lonely"]})
    said = r"1 subject\(s\) have a single row.*become 0: lonely\..*or measure .* skemo\.enroll"
    with pytest.warns(UserWarning, match=said):
        got = PerSubject().fit_transform(X)
    assert got["x"].tolist() == [-1, 1, 0]


def test_columns_that_a_later_step_needs_can_be_named_in_passthrough():
    X = pd.DataFrame({"x": [1.0, 3.0], "subject": "a", "trial": ["0", "1"]})
    with pytest.raises(ValueError, match=r"got \['trial'\]\..*passthrough= if a later step needs"):
        PerSubject().fit(X)
    got = PerSubject(passthrough=["subject", "trial"]).fit_transform(X)
    assert got["trial"].tolist() == ["0", "1"]


def test_the_subject_column_of_an_array_is_given_by_position():
    X = np.array([[1.0, 7.0], [3.0, 7.0], [10.0, 8.0], [30.0, 8.0]])
    step = PerSubject(by=1)
    assert step.fit_transform(X).tolist() == [[-1], [1], [-1], [1]]
    assert step.get_feature_names_out().tolist() == ["x0"]
    assert PerSubject(by=-1).fit_transform(X).shape == (4, 1)


def test_a_frame_keeps_its_index_and_names_and_an_array_stays_an_array():
    windows = make_windows()
    numbers = make_modality_transformer(ecg=ChannelMean(), subject="passthrough")
    frame = numbers.fit_transform(windows)
    step = PerSubject()
    got = step.fit_transform(frame)
    assert got.columns.tolist() == step.get_feature_names_out().tolist() == ["ecg_0"]
    assert got.index.equals(windows.index)
    codes = pd.factorize(windows["subject"])[0]
    array = np.column_stack([frame["ecg_0"], codes])
    np.testing.assert_array_equal(PerSubject(by=1).fit_transform(array), got.to_numpy())


def test_it_can_be_searched_cloned_and_pickled():
    windows = make_windows(n_subjects=6, n_rows=12)
    y, subjects = windows.pop("label"), windows["subject"]
    pipeline = make_pipeline(*standardized_features(ecg=ChannelMean()), SVC())
    grid = {"modalitytransformer__ecg__power": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(3), n_jobs=2)
    search.fit(windows, y, groups=subjects)
    assert set(search.best_params_) == set(grid)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict(windows), search.predict(windows))


def test_the_error_for_a_missing_column_lists_the_columns():
    windows = make_windows()[["ecg", "eeg"]]
    with pytest.raises(
        ValueError, match=r"by='subject' is not a column.*\['ecg', 'eeg'\].*subject='passthrough'"
    ):
        PerSubject().fit(windows)
    with pytest.raises(ValueError, match="X is an array: pass a DataFrame"):
        PerSubject().fit(np.ones((3, 2)))
    with pytest.raises(ValueError, match="by=2 is not a column of X, which has 2 columns"):
        PerSubject(by=2).fit(np.ones((3, 2)))
    with pytest.raises(ValueError, match="by must be a column's name or position, got None"):
        PerSubject(by=None).fit(np.ones((3, 2)))


def test_rows_without_a_subject_become_missing_and_change_no_others():
    X = pd.DataFrame({"x": [1.0, 3.0, 7.0, 9.0, 5.0], "subject": ["a", "a", None, None, "a"]})
    with pytest.warns(UserWarning, match=r"by='subject' is NaN in 2 row\(s\)"):
        measured = PerSubject().fit_transform(X)["x"]
    assert measured.isna().tolist() == [False, False, True, True, False]
    known = X["subject"].notna()
    np.testing.assert_array_equal(measured[known], PerSubject().fit_transform(X[known])["x"])


def test_other_unusable_input_is_an_error():
    with pytest.raises(ValueError, match=r"1 feature\(s\)"):
        PerSubject().fit(pd.DataFrame({"subject": ["a", "a"]}))
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        PerSubject().fit(make_windows().iloc[:0])
    text = pd.DataFrame({"trial": ["x", "y"], "rate": [1.0, 2.0], "subject": ["a", "a"]})
    with pytest.raises(ValueError, match=r"numeric and signal columns, but got \['trial'\]"):
        PerSubject().fit(text)


TRANSFORMERS = {"ecg": HRVTransformer(), "eeg": DifferentialEntropyTransformer()}


def test_standardising_simulated_people_improves_the_accuracy():
    windows = segment(make_emotion_recordings(8, 4, random_state=0), duration=20.0)
    y, subjects = windows["label"], windows["subject"]
    features = make_modality_transformer(**TRANSFORMERS)
    raw, own = (
        cross_val_score(make_lda(step), windows, y, groups=subjects, cv=LeaveOneGroupOut()).mean()
        for step in (features, standardized_features(**TRANSFORMERS))
    )
    assert own > max(0.85, raw + 0.05)


def test_a_series_of_rr_intervals_keeps_its_padding():
    windows = segment(make_emotion_recordings(2, 2, random_state=0), duration=10.0)
    series = HRVTransformer(output="series")
    step = make_modality_transformer(ecg=series)
    plain = step.fit_transform(windows)["ecg"].array.values
    own = standardized_features(ecg=series).fit_transform(windows)["ecg"].array.values
    assert (plain[:, :, -5:] == 0).all()
    np.testing.assert_array_equal(own == 0, plain == 0)


def test_a_zero_in_a_signal_of_one_number_is_a_value():
    ages = SignalArray(np.array([-1.0, 0.0, 4.0]).reshape(3, 1, 1))
    X = pd.DataFrame({"age": ages, "subject": "a"})
    measured = PerSubject().fit_transform(X)["age"]
    np.testing.assert_allclose(np.asarray(measured).mean(), 0, atol=1e-12)
    assert np.asarray(measured).ravel()[1] == pytest.approx(-1 / np.std([-1, 0, 4]))


def test_masked_numbers_are_missing():
    X = np.array([[1.0, 0.0], [3.0, 0.0], [-9999.0, 0.0], [5.0, 1.0], [7.0, 1.0]])
    found = PerSubject(by=1).fit_transform(np.ma.masked_less(X, -9000))
    np.testing.assert_array_equal(found[:, 0], [-1, 1, np.nan, -1, 1])


@pytest.mark.parametrize("kind", ["signals", "numbers"])
def test_the_memory_for_standardising_does_not_grow_with_the_table(kind):
    n_rows = 8192
    X = pd.DataFrame({"subject": np.arange(n_rows) // 2048})
    if kind == "signals":
        X["eeg"] = SignalArray(np.ones((n_rows, 8, 128), np.float32), sampling_rate=128)
    else:
        X = pd.concat([X, pd.DataFrame(np.ones((n_rows, 512)))], axis=1).rename(columns=str)
    size = X.memory_usage().sum()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    standardized = PerSubject().fit_transform(X)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert standardized.shape[0] == n_rows
    assert after - before < 1.1 * size
    assert peak - after < 24e6  # some chunks; the table has 34 MB


def test_windows_in_a_file_are_standardised_as_in_memory(tmp_path):
    pytest.importorskip("pyarrow")
    windows = make_windows().assign(start=np.arange(24.0))
    write_windows([windows.iloc[:10], windows.iloc[10:]], tmp_path / "windows.parquet")
    stored = read_windows(tmp_path / "windows.parquet")
    for step in (PerSubject(), PerSubject(passthrough=["subject", "ecg"])):
        whole = step.fit_transform(windows.reset_index(drop=True))
        known = step.statistics_
        pd.testing.assert_frame_equal(step.fit_transform(stored)[whole.columns], whole)
        for name, values in known.items():
            np.testing.assert_array_equal(step.statistics_[name], values)
        pd.testing.assert_frame_equal(step.transform(stored), whole)
