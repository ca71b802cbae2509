"""Protocols and their splitters: what is trained and tested, and how far apart."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context, model_selection
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold

from skemo import segment
from skemo.datasets import fetch_eegmat, fetch_stress_predict, make_emotion_recordings
from skemo.evaluation.protocols import PROTOCOLS, protocol_folds, protocol_splitter, window_groups
from skemo.evaluation.splitters import BlockedKFold, LeaveOneTrialOut
from skemo.signals.groups import is_near, lay_out_trials, trial_codes

WITHIN = ["leave-one-trial-out", "blocked-k-fold"]


def make_windows(n_subjects=3, n_trials=4, n_windows=12, duration=10.0, step=10.0, seed=None):
    """Windows of trials with one label each, out of order where there is a seed."""
    rows = [
        (f"s{subject}", f"t{trial}", step * i, "ab"[trial % 2])
        for subject in range(n_subjects)
        for trial in range(n_trials)
        for i in range(n_windows)
    ]
    windows = pd.DataFrame(rows, columns=["subject", "trial", "start", "label"])
    windows.attrs["segment"] = {"duration": duration}
    return windows if seed is None else windows.sample(frac=1, random_state=seed)


def distances(one, other):
    """Seconds between all pairs of windows of the same trial, below 0 where they overlap."""
    one, other = one.reset_index(), other.reset_index()
    start = np.maximum.outer(one["start"].to_numpy(), other["start"].to_numpy())
    stop = np.minimum.outer(one["stop"].to_numpy(), other["stop"].to_numpy())
    same = np.ones(start.shape, bool)
    for name in ("subject", "trial"):
        same &= np.equal.outer(one[name].to_numpy(), other[name].to_numpy())
    return np.where(same, start - stop, np.inf)


# Protocols by name


def test_names_stand_for_splitters_with_their_settings():
    assert isinstance(protocol_splitter("leave-one-subject-out"), LeaveOneGroupOut)
    grouped = protocol_splitter("group-k-fold", n_splits=4, random_state=3)
    assert isinstance(grouped, StratifiedGroupKFold)
    assert (grouped.n_splits, grouped.shuffle, grouped.random_state) == (4, True, 3)
    assert isinstance(protocol_splitter("leave-one-trial-out"), LeaveOneTrialOut)
    blocked = protocol_splitter("blocked-k-fold", n_splits=4, gap=2.5)
    assert repr(blocked) == "BlockedKFold(gap=2.5, n_splits=4)"
    assert isinstance(protocol_splitter("segment-k-fold", n_splits=4), StratifiedKFold)


def test_protocols_say_what_the_models_know():
    optimistic = [name for name in PROTOCOLS if PROTOCOLS[name].optimistic]
    known = [name for name in PROTOCOLS if PROTOCOLS[name].known_subjects]
    assert optimistic == ["segment-k-fold"]
    assert known == [*WITHIN, "segment-k-fold"]
    assert all("within-subject" in PROTOCOLS[name].description for name in WITHIN)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_folds_test_every_row_once_and_train_on_others(name):
    windows = make_windows(n_subjects=4, seed=0)
    folds = protocol_folds(name, windows["label"], windows, n_splits=3)
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == list(range(len(windows)))
    subjects = windows["subject"].to_numpy()
    for train, test in folds:
        assert len(np.intersect1d(train, test)) == 0
        apart = not set(subjects[train]) & set(subjects[test])
        assert apart is not PROTOCOLS[name].known_subjects


@pytest.mark.parametrize("name", ["leave-one-subject-out", "group-k-fold", "segment-k-fold"])
def test_a_table_of_windows_and_its_subjects_give_the_same_folds(name):
    windows = make_windows(n_subjects=4, seed=0)
    subjects = windows["subject"].to_numpy()
    one, other = (
        protocol_folds(name, windows["label"], groups, n_splits=3) for groups in (windows, subjects)
    )
    for these, those in zip(one, other, strict=True):
        assert all(map(np.array_equal, these, those))


@pytest.mark.parametrize("name", WITHIN)
def test_within_subject_protocols_say_which_columns_they_lack(name):
    windows = make_windows()
    with pytest.raises(ValueError, match=r"groups has no trial.*as groups=windows"):
        protocol_folds(name, windows["label"], windows["subject"], n_splits=3)


def test_too_few_subjects_or_windows_are_named():
    windows = make_windows(n_subjects=4)
    y = windows["label"].to_numpy()
    with pytest.raises(ValueError, match="at least 2 subjects, got 1"):
        protocol_folds("leave-one-subject-out", y[:20], windows[:20])
    with pytest.raises(ValueError, match="needs as many subjects, got 4: use n_splits=4"):
        protocol_folds("group-k-fold", y, windows)
    y[:-3], y[-3:] = "a", "b"
    for name in ("segment-k-fold", "blocked-k-fold"):
        with pytest.raises(ValueError, match="as many windows of each class, but b has 3"):
            protocol_folds(name, y, windows)
    with pytest.raises(ValueError, match="no windows"):
        protocol_folds("segment-k-fold", [], [])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        protocol_folds("leave-one-trial-out", y[1:], windows)
    with pytest.raises(ValueError, match="'loso'; there are 'leave-one-subject-out', 'group-k"):
        protocol_splitter("loso")


# Who each window is from


def test_window_groups_takes_the_end_from_a_column_or_the_duration():
    windows = make_windows(duration=8.0, seed=1)
    table = window_groups(windows)
    assert table.columns.tolist() == ["subject", "trial", "start", "stop"]
    assert table.index.tolist() == list(range(len(windows)))
    assert (table["stop"] - table["start"] == 8.0).all()
    assert (window_groups(windows.assign(stop=199.0))["stop"] == 199.0).all()
    assert window_groups(["x", "y"]).to_dict("list") == {"subject": ["x", "y"]}
    assert window_groups(windows[["subject", "label"]]).columns.tolist() == ["subject"]


def test_window_groups_leaves_its_input_as_it_is():
    windows = make_windows(seed=1)
    before = windows.copy()
    table = window_groups(windows)
    table[["subject", "start"]] = "changed", 0.0
    pd.testing.assert_frame_equal(windows, before)


def test_unusable_groups_are_named():
    windows = make_windows()
    with pytest.raises(ValueError, match="groups is None: pass the subject"):
        window_groups(None)
    with pytest.raises(ValueError, match=r"column 'subject', and has \['trial', 'start'\]"):
        window_groups(windows[["trial", "start"]])
    with pytest.raises(ValueError, match=r"groups is missing \(NaN\) in 1 row"):
        window_groups(["a", None, "b"])
    for name in ("subject", "trial", "start"):
        holed = windows.assign(**{name: windows[name].where(windows.index > 1)})
        with pytest.raises(ValueError, match=rf"groups\['{name}'\] is missing \(NaN\) in 2 row"):
            window_groups(holed)
    with pytest.raises(ValueError, match=r"does not say when windows end. Add a column 'stop'"):
        window_groups(pd.DataFrame(windows.to_dict("list")))
    with pytest.raises(ValueError, match=r"12 window\(s\).*row 0 is from 0 s to 0 s"):
        window_groups(windows.assign(stop=windows["start"].clip(upper=100) * 10 % 1100))


def test_trials_of_two_subjects_may_share_a_name():
    table = window_groups(make_windows(n_subjects=3, n_trials=4))
    assert len(np.unique(trial_codes(table))) == 12


def test_trials_are_laid_out_apart_and_keep_their_distances():
    table = window_groups(make_windows(seed=2))
    table[["start", "stop"]] += 1.6e9  # unix seconds
    trials = trial_codes(table)
    start, stop = lay_out_trials(table, apart=30.0)
    np.testing.assert_allclose(stop - start, 10.0, atol=1e-6)
    spans = [(start[trials == i].min(), stop[trials == i].max()) for i in range(12)]
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert begin - end > 30.0


@pytest.mark.parametrize("gap", [0.0, 0.7, 3.0])
def test_near_intervals_are_those_that_a_look_at_all_pairs_finds(gap):
    rng = np.random.default_rng(0)
    for _ in range(20):
        start, other = rng.integers(0, 200, 40) / 2, rng.integers(0, 200, 15) / 2
        stop, other_stop = start + rng.integers(1, 20, 40) / 2, other + rng.integers(1, 20, 15) / 2
        apart = np.maximum.outer(start, other) - np.minimum.outer(stop, other_stop)
        expected = (apart < gap).any(axis=1)
        assert np.array_equal(is_near(start, stop, other, other_stop, gap), expected)


# Leave one trial out


def test_each_trial_is_tested_by_the_others_of_the_same_subject():
    windows = make_windows(seed=3)
    folds = list(LeaveOneTrialOut().split(windows, windows["label"], windows))
    assert len(folds) == LeaveOneTrialOut().get_n_splits(groups=windows) == 12
    for train, test in folds:
        assert len(windows.iloc[test][["subject", "trial"]].drop_duplicates()) == 1
        own = windows[windows["subject"] == windows["subject"].iloc[test[0]]]
        assert set(windows.index[train]) == set(own.index) - set(windows.index[test])


def test_a_subject_with_one_class_left_is_named_with_the_trial_and_the_reason():
    windows = make_windows(n_trials=4)
    y = windows["label"].where(~windows["trial"].eq("t1") | windows["subject"].ne("s1"), "a")
    with pytest.raises(
        ValueError,
        match=r"Trial 't3' of subject 's1' cannot .* hold only the class a \(as for 1 of 12",
    ):
        protocol_folds("leave-one-trial-out", y, windows)
    one = windows[windows["trial"] == "t0"]
    with pytest.raises(ValueError, match=r"'t0' of subject 's0' .* there are none .* 3 of 3 tria"):
        protocol_folds("leave-one-trial-out", one["label"], one)


# Blocks


@pytest.mark.parametrize(("gap", "step"), [(0.0, 10.0), (0.0, 2.5), (7.5, 2.5), (20.0, 10.0)])
def test_only_windows_nearer_than_the_gap_are_left_out(gap, step):
    windows = make_windows(n_subjects=2, n_windows=40, step=step, seed=4)
    table = window_groups(windows)
    for train, test in protocol_folds("blocked-k-fold", windows["label"], windows, 4, gap=gap):
        near = (distances(table, table.iloc[test]) < gap - 1e-9).any(axis=1)
        near[test] = True
        assert np.array_equal(train, np.flatnonzero(~near))


def test_a_step_that_is_no_binary_fraction_loses_no_window_to_rounding():
    windows = make_windows(n_windows=30, duration=0.1, step=0.1)
    for train, test in BlockedKFold(3).split(windows, windows["label"], windows):
        assert len(train) + len(test) == len(windows)


def test_blocks_of_a_trial_with_one_label_are_contiguous_and_alike_in_size():
    windows = make_windows(n_windows=17, seed=5)
    for _, test in BlockedKFold(5).split(windows, windows["label"], windows):
        for _, own in windows.iloc[test].groupby(["subject", "trial"]):
            starts = np.sort(own["start"])
            assert (np.diff(starts) == 10.0).all()
            assert len(starts) in (3, 4)


def test_the_blocks_with_a_window_more_go_round():
    windows = make_windows(n_subjects=10, n_trials=2, n_windows=6)
    sizes = [len(test) for _, test in BlockedKFold(5).split(windows, windows["label"], windows)]
    assert sizes == [24] * 5


def test_a_trial_of_many_episodes_gives_each_fold_all_classes_in_proportion():
    windows = make_windows(n_subjects=2, n_trials=1, n_windows=60)
    y = np.where(np.arange(60) // 5 % 3 == 2, "stress", "rest")  # 10 rest, 5 stress, …
    windows["label"] = np.tile(y, 2)
    for _, test in protocol_folds("blocked-k-fold", windows["label"], windows, 4):
        assert windows["label"].iloc[test].value_counts().to_dict() == {"rest": 20, "stress": 10}
        for _, own in windows.iloc[test].groupby(["subject", "label"]):
            of_class = windows.loc[windows["label"] == own["label"].iloc[0], "start"].unique()
            places = np.searchsorted(of_class, np.sort(own["start"]))
            assert (np.diff(places) == 1).all()


def test_without_labels_a_trial_is_cut_as_a_whole():
    windows = make_windows(n_subjects=1, n_trials=1, n_windows=8)
    folds = BlockedKFold(4).split(windows, groups=windows)
    assert [test.tolist() for _, test in folds] == [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.parametrize("name", sorted(set(PROTOCOLS) - {"blocked-k-fold"}))
def test_a_gap_is_refused_where_it_would_not_be_kept(name):
    with pytest.raises(ValueError, match=f"'{name}' does not support gap=2.5"):
        protocol_splitter(name, gap=2.5)


def test_a_gap_or_folds_that_leave_too_little_are_named():
    windows = make_windows(n_subjects=1, n_trials=2)
    with pytest.raises(ValueError, match=r"gap=1000 leaves fold 0 with 0 training windows"):
        protocol_folds("blocked-k-fold", windows["label"], windows, 3, gap=1000)
    short = make_windows(n_subjects=1, n_trials=2, n_windows=2)
    with pytest.raises(ValueError, match=r"n_splits=5 leaves fold \d without windows"):
        list(BlockedKFold(5).split(short, short["label"], short))
    for settings in ({"n_splits": 1}, {"n_splits": 2.5}, {"gap": -1.0}, {"gap": np.nan}):
        with pytest.raises(ValueError, match=f"{next(iter(settings))} must be"):
            BlockedKFold(**settings).get_n_splits()


# As scikit-learn's splitters


@pytest.mark.parametrize("splitter", [LeaveOneTrialOut(), BlockedKFold(3, gap=10.0)])
def test_splitters_are_cloned_and_shown_as_scikit_learns(splitter):
    again = clone(splitter, safe=False)
    assert again is not splitter
    assert repr(again) == repr(splitter)
    assert vars(again) == vars(splitter)


@pytest.mark.parametrize("routing", [True, False])
@pytest.mark.parametrize("splitter", [LeaveOneTrialOut(), BlockedKFold(3, gap=10.0)])
def test_they_work_in_cross_validation(splitter, routing):
    windows = make_windows(seed=6)
    X = np.random.default_rng(0).normal(size=(len(windows), 2))
    expected = list(splitter.split(X, windows["label"], windows))
    given = {"params": {"groups": windows}} if routing else {"groups": windows}
    with config_context(enable_metadata_routing=routing):
        found = model_selection.cross_validate(
            LogisticRegression(), X, windows["label"], cv=splitter, return_indices=True, **given
        )["indices"]
    for train, test, (one, other) in zip(found["train"], found["test"], expected, strict=True):
        assert np.array_equal(train, one)
        assert np.array_equal(test, other)


@pytest.mark.parametrize("routing", [True, False])
def test_they_work_in_a_search(routing):
    windows = make_windows(seed=6)
    X = np.random.default_rng(0).normal(size=(len(windows), 2))
    model, grid = LogisticRegression(), {"C": [0.1, 1.0]}
    found = model_selection.GridSearchCV(model, grid, cv=BlockedKFold(3, gap=5.0))
    with config_context(enable_metadata_routing=routing):
        found.fit(X, windows["label"], groups=windows)
    assert found.n_splits_ == 3


def test_a_nested_search_keeps_the_duration_of_the_windows():
    windows = make_windows(seed=6)
    X = np.random.default_rng(0).normal(size=(len(windows), 2))
    inner = model_selection.GridSearchCV(
        LogisticRegression(), {"C": [0.1, 1.0]}, cv=BlockedKFold(2)
    )
    with config_context(enable_metadata_routing=True):
        scores = model_selection.cross_validate(
            inner, X, windows["label"], cv=LeaveOneTrialOut(), params={"groups": windows}
        )
    assert len(scores["test_score"]) == 12


# On recordings


def test_simulated_trials_are_left_out_one_at_a_time():
    recordings = make_emotion_recordings(3, 6, 20.0, modalities=("eda",), random_state=0)
    windows = segment(recordings, 10.0, 5.0)
    folds = protocol_folds("leave-one-trial-out", windows["label"], windows)
    assert [(len(train), len(test)) for train, test in folds] == [(15, 3)] * 18


def test_a_recorded_set_with_a_trial_per_class_refuses_to_leave_trials_out(data_home):
    windows = segment(fetch_eegmat(data_home / "eegmat", modalities=("ecg",)), 10.0)
    with pytest.raises(ValueError, match=r"Trial 'rest' of subject '00' .* \(as for 48 of 4"):
        protocol_folds("leave-one-trial-out", windows["label"], windows)


@pytest.mark.parametrize("gap", [0.0, 30.0])
def test_recorded_episodes_of_stress_are_cut_into_blocks_of_both_classes(data_home, gap):
    recordings = fetch_stress_predict(data_home / "stress_predict", modalities=("eda",))
    windows = segment(recordings, 10.0, 5.0)
    table, share = window_groups(windows), (windows["label"] == "stress").mean()
    for train, test in protocol_folds("blocked-k-fold", windows["label"], windows, 5, gap=gap):
        tested = windows.iloc[test]
        assert tested["subject"].nunique() == windows["subject"].nunique()
        assert (tested["label"] == "stress").mean() == pytest.approx(share, abs=0.01)
        own = table.iloc[train][table["subject"].iloc[train] == "S05"]
        other = table.iloc[test][table["subject"].iloc[test] == "S05"]
        assert distances(own, other).min() >= gap
