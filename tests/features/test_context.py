"""The mean of each window's features and those of the windows around it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, cross_val_score
from sklearn.pipeline import make_pipeline

from skemo import (
    ContextTransformer,
    DifferentialEntropyTransformer,
    PerSubject,
    SignalArray,
    compare,
    make_modality_transformer,
    make_svm,
    segment,
    signal_frame,
)
from skemo.datasets import make_emotion_recordings
from skemo.evaluation.declared import transductive_steps
from skemo.kernels.context import neighbour_weights, weighted_means

KEYS = ["subject", "trial", "start"]


def make_table(seed=0, offset=0.0):
    """Features of windows of three subjects with two trials each, in any order, some missing."""
    rng = np.random.default_rng(seed)
    n = 90
    table = pd.DataFrame(
        {
            "rate": offset + rng.normal(size=n),
            "power": rng.normal(size=n),
            "subject": rng.choice(["a", "b", "c"], n),
            "trial": rng.choice(["1", "2"], n),
            "start": rng.permutation(n) * 2.5,
        },
        index=rng.permutation(n) + 1000,
    )
    table.loc[rng.choice(table.index, 20, replace=False), "rate"] = np.nan
    return table


def by_hand(table, reach, causal=False, weights="mean"):
    """The definition, one row at a time."""
    rows = []
    for _, row in table.iterrows():
        distance = table["start"] - row["start"]
        near = (table["subject"] == row["subject"]) & (table["trial"] == row["trial"])
        near &= (distance.abs() <= reach) & ((distance <= 0) | (not causal))
        weight = pd.Series(1.0, table.index)
        if weights == "gaussian":
            weight = np.exp(-((distance / (reach / 2)) ** 2) / 2)
        mean = {}
        for name in ("rate", "power"):
            known = near & table[name].notna()
            total = weight[known].sum()
            mean[name] = (weight * table[name])[known].sum() / total if known.any() else np.nan
        rows.append(mean)
    return pd.DataFrame(rows, index=table.index)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("weights", ["mean", "gaussian"])
@pytest.mark.parametrize("reach", [2.5, 20.0, 1000.0])
def test_it_is_the_mean_over_the_rows_within_reach(reach, weights, causal):
    table = make_table()
    got = ContextTransformer(reach, weights=weights, causal=causal).fit_transform(table)
    pd.testing.assert_frame_equal(got, by_hand(table, reach, causal, weights), rtol=1e-12)


def test_a_large_offset_costs_no_more_than_its_own_rounding():
    table = make_table()
    plain = ContextTransformer(50).fit_transform(table)["rate"]
    far = ContextTransformer(50).fit_transform(make_table(offset=1e9))["rate"]
    np.testing.assert_allclose(far - 1e9, plain, atol=1e-6)


def test_it_is_linear_in_the_rows():
    table = make_table().fillna(0.0)
    other = table.assign(rate=np.sin(table["rate"]), power=table["power"] ** 2)
    both = table.assign(**(2 * table[["rate", "power"]] - 3 * other[["rate", "power"]]))
    step = ContextTransformer(30, weights="gaussian").fit(table)
    expected = 2 * step.transform(table) - 3 * step.transform(other)
    pd.testing.assert_frame_equal(step.transform(both), expected)


def test_a_reach_of_zero_changes_nothing():
    table = make_table()
    got = ContextTransformer(reach=0).fit_transform(table)
    pd.testing.assert_frame_equal(got, table[["rate", "power"]])


def test_the_end_of_the_reach_counts_whatever_the_rounding_of_the_times():
    times = np.arange(200) * 0.1
    table = pd.DataFrame({"x": np.ones(200), "start": times})
    step = ContextTransformer(0.3, subject=None, trial=None)
    weights = neighbour_weights(times, 0.3).toarray()
    assert (weights.sum(axis=1)[3:-3] == 7).all()
    np.testing.assert_allclose(step.fit_transform(table)["x"], 1)


def test_other_subjects_trials_and_rows_do_not_matter():
    table = make_table()
    step = ContextTransformer(40).fit(table)
    together = step.transform(table)
    for _, own in table.groupby(["subject", "trial"]):
        pd.testing.assert_frame_equal(step.transform(own), together.loc[own.index])


def test_the_causal_mean_does_not_depend_on_later_windows_to_the_bit():
    table = make_table().sort_values("start")
    step = ContextTransformer(40, causal=True).fit(table)
    whole = step.transform(table)
    for n in (1, 20, 60):
        pd.testing.assert_frame_equal(step.transform(table[:n]), whole[:n], check_exact=True)


def test_trials_with_the_same_name_in_different_subjects_are_different():
    table = pd.DataFrame({"x": [1.0, 3.0], "subject": ["a", "b"], "trial": "1", "start": 0.0})
    assert ContextTransformer().fit_transform(table)["x"].tolist() == [1, 3]


def test_missing_windows_get_the_mean_of_their_neighbours():
    values = np.arange(12.0).reshape(3, 2, 2)
    values[1] = np.nan
    windows = signal_frame(eeg=SignalArray(values, sampling_rate=4, channels=["F3", "F4"]))
    windows = windows.assign(subject="a", trial="1", start=[0.0, 10.0, 20.0])
    got = ContextTransformer(10).fit_transform(windows)["eeg"].array
    assert got.dtype == windows["eeg"].dtype
    np.testing.assert_array_equal(got.values[1], (values[0] + values[2]) / 2)
    np.testing.assert_array_equal(got.values[0], values[0])


def test_signals_are_averaged_sample_by_sample_without_padding():
    values = np.array([[[0.8, 0.9, 0.0, 0.0]], [[1.0, 1.1, 1.2, 0.0]], [[np.nan] * 4]])
    windows = signal_frame(ecg=SignalArray(values)).assign(start=[0.0, 10.0, 20.0])
    got = ContextTransformer(10, subject=None, trial=None).fit_transform(windows)["ecg"]
    expected = [[0.9, 1.0, 1.2, 0.0], [0.9, 1.0, 1.2, 0.0], [1.0, 1.1, 1.2, 0.0]]
    np.testing.assert_allclose(got.array.values[:, 0], expected)
    alone = ContextTransformer(0, subject=None, trial=None).fit_transform(windows)["ecg"]
    np.testing.assert_array_equal(alone.array.values, values)


def test_single_precision_is_kept_and_averaged_in_double():
    table = make_table().astype({"rate": np.float32, "power": np.float32})
    got = ContextTransformer(30).fit_transform(table)
    assert set(got.dtypes) == {np.dtype(np.float32)}
    wide = table.astype({"rate": float, "power": float})
    expected = ContextTransformer(30).fit_transform(wide).astype(np.float32)
    pd.testing.assert_frame_equal(got, expected, check_exact=True)


def test_rows_with_an_unknown_key_become_missing_and_change_no_others():
    table = make_table()
    lost = table.assign(subject=table["subject"].where(np.arange(len(table)) > 4))
    with pytest.warns(UserWarning, match=r"subject, trial, start of 5 row\(s\) is NaN"):
        got = ContextTransformer(30).fit_transform(lost)
    assert got[:5].isna().all(axis=None)
    pd.testing.assert_frame_equal(got[5:], ContextTransformer(30).fit_transform(table[5:]))


def test_the_keys_of_an_array_are_given_by_position():
    table = make_table()
    codes = [pd.factorize(table[name])[0] for name in ("subject", "trial")]
    array = np.column_stack([*codes, table[["start", "rate", "power"]]])
    got = ContextTransformer(30, subject=0, trial=1, start=2).fit(array)
    expected = ContextTransformer(30).fit_transform(table)
    np.testing.assert_array_equal(got.transform(array), expected)
    assert got.get_feature_names_out().tolist() == ["x3", "x4"]


def test_it_keeps_names_and_supports_set_output_and_clone():
    table = make_table()
    step = clone(ContextTransformer(30, causal=True).set_output(transform="pandas"))
    assert step.get_params()["causal"] is True
    got = step.fit_transform(table)
    assert got.columns.tolist() == step.get_feature_names_out().tolist() == ["rate", "power"]
    assert got.index.equals(table.index)
    assert step.__sklearn_tags__().input_tags.allow_nan


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reach": -1}, "reach must be a finite number of seconds of at least 0, got -1"),
        ({"reach": np.inf}, "reach must be"),
        ({"weights": "box"}, "weights must be 'mean' or 'gaussian', got 'box'"),
        ({"trial": "episode"}, "trial='episode' is not a column of X, which has"),
        ({"start": None}, "start must be a column's name or position, got None"),
        ({"start": "subject"}, "must be different columns"),
        ({"start": "trial", "trial": "start"}, "start='trial' must be a column of seconds"),
    ],
)
def test_wrong_parameters_are_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        ContextTransformer(**settings).fit_transform(make_table())


def test_text_columns_and_no_other_columns_are_errors():
    with pytest.raises(ValueError, match=r"averages numeric and signal columns, but got \['label"):
        ContextTransformer().fit(make_table().assign(label="calm"))
    with pytest.raises(ValueError, match=r"X has 3 feature\(s\), which are the columns of subject"):
        ContextTransformer().fit(make_table()[KEYS])


def test_weights_of_one_window_are_one():
    weights = neighbour_weights(np.array([5.0]), 10, weights="gaussian")
    assert weighted_means(weights, np.array([[0.1, np.nan]]))[0, 0] == 0.1


def make_windows():
    """Noisy features of people in two states that last for a while."""
    rng = np.random.default_rng(0)
    label = np.tile(np.repeat(["calm", "stress"], 12), 12)
    table = pd.DataFrame(
        {
            "x": (label == "stress") + rng.normal(0, 1.5, len(label)),
            "subject": np.repeat(list("abcdef"), 48),
            "trial": "1",
            "start": np.tile(np.arange(48) * 10.0, 6),
        }
    )
    return table, label


def test_context_helps_if_states_last():
    X, y = make_windows()
    scores = {}
    for reach in (0, 20):
        model = make_pipeline(ContextTransformer(reach), LogisticRegression())
        cv = LeaveOneGroupOut()
        scores[reach] = cross_val_score(model, X, y, groups=X["subject"], cv=cv).mean()
    assert scores[20] > scores[0] + 0.1


def test_it_follows_the_features_and_their_standardisation():
    windows = segment(make_emotion_recordings(3, 2, random_state=0), duration=10.0)
    passed = dict.fromkeys(KEYS, "passthrough")
    features = make_pipeline(
        make_modality_transformer(eeg=DifferentialEntropyTransformer(), **passed),
        PerSubject(passthrough=KEYS),
        ContextTransformer(reach=20),
    )
    table = features.fit_transform(windows)
    plain = make_modality_transformer(eeg=DifferentialEntropyTransformer(), subject="passthrough")
    own = PerSubject().fit_transform(plain.fit_transform(windows))
    expected = ContextTransformer(20).fit_transform(own.join(windows[KEYS]))
    pd.testing.assert_frame_equal(table, expected)


def test_a_key_that_an_earlier_step_dropped_is_named_with_the_way_to_keep_it():
    X, _ = make_windows()
    model = make_pipeline(PerSubject(passthrough=["trial", "start"]), ContextTransformer())
    with pytest.raises(ValueError, match=r"subject='subject' is not .* PerSubject\(passthrough="):
        model.fit(X)


def test_tables_declare_what_it_does():
    assert transductive_steps(make_svm(ContextTransformer())) == ["ContextTransformer"]
    causal = make_svm(make_pipeline(PerSubject(), ContextTransformer(causal=True)))
    assert transductive_steps(causal) == ["PerSubject", "ContextTransformer (causal)"]
    assert transductive_steps(make_svm(ContextTransformer(reach=0))) == []


@pytest.mark.parametrize(
    "grid",
    [
        {"features__reach": [0, 20]},
        {"features": ["passthrough", ContextTransformer()]},
    ],
)
def test_a_search_that_may_choose_context_is_declared(grid):
    search = GridSearchCV(make_svm(ContextTransformer(reach=0)), grid)
    assert transductive_steps(search) == ["ContextTransformer"]


def test_compare_shows_it_with_and_without():
    X, y = make_windows()
    models = {
        "alone": make_svm(ContextTransformer(reach=0)),
        "with context": make_svm(ContextTransformer(reach=20)),
        "with the past": make_svm(ContextTransformer(reach=20, causal=True)),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = compare(models, X.assign(label=y), "label", "subject")
    assert result.table()["transductive"].tolist() == [
        "–",
        "ContextTransformer",
        "ContextTransformer (causal)",
    ]
    future, past = (note for note in result.notes() if "ContextTransformer" in note)
    assert "in 'with context' averages each window and the windows before and after it" in future
    assert "in 'with the past' averages each window and earlier windows" in past
