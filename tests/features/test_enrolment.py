"""A person measured beforehand: statistics that are learnt piece by piece, saved and set again."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skemo import (
    DifferentialEntropyTransformer,
    HRVTransformer,
    PerSubject,
    SignalArray,
    enroll,
    load,
    make_lda,
    make_modality_transformer,
    make_svm,
    save,
    segment,
    signal_frame,
)
from skemo.datasets import make_emotion_recordings
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


def table_of(step, name):
    """One of the statistics, by subject and column."""
    known = step.statistics_
    columns = ["all"] if name == "windows" else known["column"]
    return pd.DataFrame(known[name], known["subject"], columns)


def equal(one, other):
    pd.testing.assert_frame_equal(one.drop(columns=["ecg", "eeg"]), other[["rate", "constant"]])
    for name in ("ecg", "eeg"):
        np.testing.assert_array_equal(one[name].array.values, other[name].array.values)


def test_an_enrolled_subject_is_standardised_like_one_of_the_fit_to_the_bit():
    table = make_table()
    new = table["subject"] == "d"
    expected = PerSubject().fit(table)
    step = PerSubject().fit(table[~new]).partial_fit(table[new])
    for row in np.flatnonzero(new):
        window = table.iloc[[row]]
        equal(step.transform(window), expected.transform(window))
    for name in ("windows", "values", "mean", "std"):
        pd.testing.assert_frame_equal(
            table_of(step, name).sort_index(),
            table_of(expected, name).sort_index(),
            check_exact=True,
        )


@pytest.mark.parametrize("n_parts", [2, 7, 60])
def test_statistics_learnt_in_parts_equal_those_of_all_rows(n_parts):
    table = make_table()
    step = PerSubject()
    for rows in np.array_split(np.arange(len(table)), n_parts):
        step.partial_fit(table.iloc[rows])
    whole = PerSubject().fit(table)
    for name in ("windows", "values", "mean", "std"):
        got, expected = (table_of(each, name).loc[list("abcd")] for each in (step, whole))
        pd.testing.assert_frame_equal(got, expected)


def test_a_constant_stays_constant_over_parts():
    step = PerSubject()
    for n in (3, 5, 7):
        step.partial_fit(pd.DataFrame({"x": [0.1] * n, "subject": "a"}))
    assert step.statistics_["std"].tolist() == [[0]]
    assert step.transform(pd.DataFrame({"x": [0.1], "subject": "a"})).loc[0, "x"] == 0


def test_combined_moments_of_distant_sets_equal_those_of_all_samples():
    rng = np.random.default_rng(0)
    one, other = (rng.normal(mean, 1, (4, 3, 50)) for mean in (0, 1000))
    expected = signal_moments(np.concatenate([one, other]))
    got = combine_moments(signal_moments(one), signal_moments(other))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_combining_with_an_empty_set_changes_nothing():
    values = np.random.default_rng(0).normal(size=(3, 2, 5))
    something, nothing = signal_moments(values), signal_moments(np.full_like(values, np.nan))
    for pair in ((something, nothing), (nothing, something)):
        for got, expected in zip(combine_moments(*pair), something, strict=True):
            np.testing.assert_array_equal(got, expected)


def test_moments_agree_with_the_statistics_used_to_standardise_signals():
    values = np.random.default_rng(0).normal(size=(3, 2, 5))
    values[:, 1] = 7.0
    count, mean, std = signal_moments(values)
    np.testing.assert_array_equal(mean, signal_statistics(values)[0])
    np.testing.assert_array_equal(np.where(std == 0, 1, std), signal_statistics(values)[1])
    assert std[0, 1, 0] == 0
    assert (count == 15).all()


def test_statistics_can_be_read():
    table = make_table()
    step = PerSubject().fit(table)
    own = table[table["subject"] == "b"]
    assert step.statistics_["column"].tolist() == [
        "ecg 0",
        *(f"eeg {band} {channel}" for band in (0, 1) for channel in ("F3", "Fz", "F4")),
        "rate",
        "constant",
    ]
    assert table_of(step, "windows").loc["b", "all"] == len(own)
    assert table_of(step, "values").loc["b", "rate"] == own["rate"].count()
    assert table_of(step, "mean").loc["b", "rate"] == pytest.approx(own["rate"].mean())
    assert table_of(step, "std").loc["b", "rate"] == pytest.approx(own["rate"].std(ddof=0))
    assert table_of(step, "std").loc["b", "constant"] == 0


@pytest.mark.parametrize("subjects", [list("aabb"), [1, 1, 2, 2], [0.5, 0.5, 1.5, 1.5]])
def test_statistics_can_be_saved_without_pickle_and_restored(subjects, tmp_path):
    table = pd.DataFrame({"x": [1.0, 2.0, 5.0, 9.0], "subject": subjects})
    step = PerSubject().fit(table)
    np.savez(tmp_path / "people.npz", **step.statistics_)
    again = clone(step).fit(table[:2])
    with np.load(tmp_path / "people.npz") as known:
        again.statistics_ = dict(known)
    pd.testing.assert_frame_equal(again.transform(table[3:]), step.transform(table[3:]))


def test_subjects_of_text_and_numbers_stay_apart():
    table = pd.DataFrame({"x": [1.0, 2.0, 5.0, 9.0], "subject": [1, 1, "1", "1"]})
    step = PerSubject().fit(table)
    assert step.statistics_["subject"].tolist() == [1, "1"]
    assert step.transform(table)["x"].tolist() == [-1, 1, -1, 1]


def test_a_subject_with_a_single_measured_window_counts_as_new():
    X = pd.DataFrame({"x": [1.0, 3.0, 5.0], "subject": ["a", "a", "b"]})
    step = PerSubject().fit(X[:2]).partial_fit(X[2:])
    later = pd.DataFrame({"x": [10.0, 30.0], "subject": "b"})
    assert step.transform(later)["x"].tolist() == [-1, 1]
    step.partial_fit(pd.DataFrame({"x": [7.0], "subject": "b"}))
    assert step.transform(later)["x"].tolist() == [4, 24]


def test_measuring_more_does_not_change_the_other_subjects():
    table = make_table()
    step = PerSubject().fit(table)
    before = table_of(step, "mean")
    step.partial_fit(make_table(seed=1).query("subject == 'a'"))
    after = table_of(step, "mean")
    pd.testing.assert_frame_equal(after.loc[["b"]], before.loc[["b"]], check_exact=True)
    assert not after.loc["a"].equals(before.loc["a"])


def test_an_array_can_be_measured_in_parts():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(20, 2)), rng.integers(0, 2, 20)])
    step = PerSubject(by=2).fit(X[:10]).partial_fit(X[10:])
    np.testing.assert_allclose(step.transform(X), PerSubject(by=2).fit_transform(X))
    assert step.statistics_["column"].tolist() == ["x0", "x1"]


def test_different_channels_are_an_error():
    step = PerSubject().fit(make_table())
    other = make_table()
    other["eeg"] = SignalArray(other["eeg"].array.values[:, :, :2], sampling_rate=1)
    with pytest.raises(ValueError, match=r"fitted on 9 numbers per window, .* but got 7"):
        step.transform(other)


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
def test_passthrough_must_be_a_list(passthrough):
    with pytest.raises(
        ValueError, match=f"passthrough must be a list of columns, got {passthrough!r}"
    ):
        PerSubject(passthrough=passthrough).fit(make_table())


def test_measuring_a_single_window_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PerSubject().partial_fit(pd.DataFrame({"x": [1.0], "subject": "a"}))


# enroll


def make_people(seed=0):
    """Features of people with levels of their own, in two states."""
    rng = np.random.default_rng(seed)
    y = np.tile(["rest", "stress"], 40)
    subject = np.repeat(list("abcd"), 20)
    level = np.repeat([0.0, 10.0, 20.0, 30.0], 20)
    values = rng.normal(size=(80, 3)) + level[:, None] + 3 * (y == "stress")[:, None]
    table = pd.DataFrame(values, columns=["x", "y", "z"]).assign(subject=subject)
    return table, y


class Add(TransformerMixin, BaseEstimator):
    """Adds a number to all columns but the subject."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.assign(**(X[["x", "y", "z"]] + 1))

    def __sklearn_is_fitted__(self):
        return True


PLACES = {
    "alone": lambda: make_pipeline(PerSubject(), LogisticRegression()),
    "behind features": lambda: make_lda(make_pipeline(Add(), "passthrough", PerSubject())),
    "before other steps": lambda: make_svm(make_pipeline(PerSubject(), StandardScaler())),
    "in a ColumnTransformer": lambda: make_pipeline(
        Add(),
        ColumnTransformer(
            [
                ("own", PerSubject(), ["x", "y", "subject"]),
                ("raw", "passthrough", ["z"]),
            ]
        ),
        LogisticRegression(),
    ),
    "in a FeatureUnion": lambda: make_pipeline(
        FeatureUnion([("one", PerSubject()), ("other", make_pipeline(Add(), PerSubject()))]),
        LogisticRegression(),
    ),
    "in a search": lambda: GridSearchCV(
        make_svm(PerSubject()), {"classifier__C": [0.1, 1]}, cv=GroupKFold(2)
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_an_enrolled_person_is_classified_window_by_window_as_all_together(place):
    table, y = make_people()
    known = (table["subject"] != "d").to_numpy()
    groups = {"groups": table["subject"][known]} if place == "in a search" else {}
    model = PLACES[place]().fit(table[known], y[known], **groups)
    together = decide(model, table[~known])
    enrolled = enroll(model, table[~known])
    alone = [decide(enrolled, table[~known].iloc[[row]]).item() for row in range(20)]
    np.testing.assert_allclose(
        alone, together, rtol=1e-12
    )  # sums of products differ in the last bit
    np.testing.assert_array_equal(decide(enrolled, table[known]), decide(model, table[known]))


def decide(model, X):
    return model.decision_function(X)


def test_the_original_model_does_not_change():
    table, y = make_people()
    known = (table["subject"] != "d").to_numpy()
    model = make_lda(make_pipeline(Add(), PerSubject())).fit(table[known], y[known])
    before = pickle.dumps(model)
    enroll(model, table[~known])
    assert pickle.dumps(model) == before


def test_a_person_is_enrolled_by_a_baseline_of_signals():
    windows = segment(make_emotion_recordings(4, 4, random_state=0), duration=10.0)
    features = make_modality_transformer(
        ecg=HRVTransformer(), eeg=DifferentialEntropyTransformer(), subject="passthrough"
    )
    last = windows["subject"] == windows["subject"].iloc[-1]
    y = windows["label"]
    model = make_lda(make_pipeline(features, PerSubject())).fit(windows[~last], y[~last])
    person = enroll(model, windows[last])
    again = enroll(enroll(model, windows[last][::2]), windows[last][1::2])
    for row in np.flatnonzero(last)[:3]:
        window = windows.iloc[[row]]
        assert person.predict(window) == model.predict(windows[last])[row - np.argmax(last)]
        np.testing.assert_allclose(decide(again, window), decide(person, window))
    assert person.predict(windows[last].iloc[[0]].drop(columns="ecg")).shape == (1,)


def test_an_enrolled_person_is_saved_with_the_model(tmp_path):
    pytest.importorskip("skops")
    windows = segment(make_emotion_recordings(3, 2, random_state=0), duration=10.0)
    features = make_modality_transformer(
        eeg=DifferentialEntropyTransformer(), subject="passthrough"
    )
    last = windows["subject"] == windows["subject"].iloc[-1]
    model = make_lda(make_pipeline(features, PerSubject()))
    model.fit(windows[~last], windows["label"][~last])
    person = enroll(model, windows[last])
    save(person, tmp_path / "person.skemo")
    loaded = load(tmp_path / "person.skemo")
    window = windows[last].head(1)
    np.testing.assert_array_equal(decide(loaded, window), decide(person, window))
    assert loaded.predict(window.assign(eeg=None)).shape == (1,)


def test_a_model_that_cannot_enrol_says_why():
    table, y = make_people()
    with pytest.raises(ValueError, match="LogisticRegression has no PerSubject"):
        enroll(LogisticRegression().fit(table[["x"]], y), table)
    hidden = VotingClassifier([("one", make_svm(PerSubject()))]).fit(table, y)
    with pytest.raises(ValueError, match="cannot reach the PerSubject inside VotingClassifier"):
        enroll(hidden, table)
    with pytest.raises(NotFittedError):
        enroll(make_svm(PerSubject()), table)


def test_features_that_were_not_measured_are_named():
    table, y = make_people()
    model = make_svm(PerSubject()).fit(table, y)
    baseline = table.head(5).assign(y=np.nan, subject="new")
    with pytest.warns(UserWarning, match=r"1 feature\(s\) could not be measured.* person: y\."):
        enroll(model, baseline)


def test_recordings_and_windows_without_names_are_refused():
    table, y = make_people()
    model = make_svm(PerSubject()).fit(table, y)
    recordings = make_emotion_recordings(1, 2, modalities=("eda",), random_state=0)
    for given in (recordings, recordings[0]):
        with pytest.raises(TypeError, match=r"enroll takes windows: cut .* skemo\.segment"):
            enroll(model, given)
    with pytest.raises(ValueError, match="have no column 'subject', which says whom"):
        enroll(model, table.drop(columns="subject"))
