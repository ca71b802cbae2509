"""Overlapping windows that are trained on but never tested."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupShuffleSplit, KFold

from skemo import BlockedKFold, check_split, compare, make_lda, make_svm
from skemo.evaluation.protocols import PROTOCOLS, protocol_folds
from skemo.evaluation.training_rows import add_training_rows

STEP, LENGTH = 2.5, 10.0


def make_windows(seed=0, n_trials=4):
    """Windows every 2.5 s of six subjects, with the mask of those that do not overlap."""
    rng = np.random.default_rng(seed)
    starts = np.arange(0, 110 + STEP, STEP)
    tables = [
        pd.DataFrame({"subject": subject, "trial": str(trial), "start": starts})
        for subject in "abcdef"
        for trial in range(n_trials)
    ]
    table = pd.concat(tables, ignore_index=True).sample(frac=1, random_state=seed)
    table["stop"] = table["start"] + LENGTH
    stress = table["trial"].isin(["1", "3"]) ^ (table["start"] >= 60)
    table["label"] = np.where(stress, "stress", "rest")
    table["x"] = stress + rng.normal(size=len(table))
    table = table.reset_index(drop=True)
    return table, (table["start"] % LENGTH == 0).to_numpy()


def folds_of(protocol, table, tested, gap=0.0):
    whole = table[tested].reset_index(drop=True)
    plain = protocol_folds(protocol, whole["label"], whole, 3, gap=gap)
    return plain, add_training_rows(plain, tested, table, gap)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_tested_windows_and_their_folds_stay_the_same(protocol):
    table, tested = make_windows()
    whole = np.flatnonzero(tested)
    for (train, test), (more, same) in zip(*folds_of(protocol, table, tested), strict=True):
        np.testing.assert_array_equal(whole[test], same)
        np.testing.assert_array_equal(more[tested[more]], np.sort(whole[train]))


@pytest.mark.parametrize("gap", [0.0, 7.0])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_training_window_overlaps_a_tested_one(protocol, gap):
    if gap and protocol != "blocked-k-fold":
        pytest.skip("only blocked-k-fold has a gap")
    table, tested = make_windows()
    _, folds = folds_of(protocol, table, tested, gap)
    for train, test in folds:
        for _, row in table.iloc[test].iterrows():
            own = table.iloc[train]
            own = own[(own["subject"] == row["subject"]) & (own["trial"] == row["trial"])]
            apart = (own["start"] >= row["stop"] + gap) | (own["stop"] + gap <= row["start"])
            assert apart.all()
    overlaps = check_split(np.arange(len(table)), table, folds)
    assert "overlap" not in set(overlaps["kind"])


def test_by_subject_all_windows_of_the_training_subjects_are_trained_on():
    table, tested = make_windows()
    _, folds = folds_of("leave-one-subject-out", table, tested)
    for train, test in folds:
        subject = table["subject"].iloc[test[0]]
        np.testing.assert_array_equal(train, np.flatnonzero(table["subject"] != subject))


def test_within_subjects_the_windows_of_other_people_and_of_the_tested_trial_stay_out():
    table, tested = make_windows()
    _, folds = folds_of("leave-one-trial-out", table, tested)
    for train, test in folds:
        one = table.iloc[test[0]]
        others = (table["subject"] == one["subject"]) & (table["trial"] != one["trial"])
        np.testing.assert_array_equal(train, np.flatnonzero(others))


def test_blocks_are_trained_on_up_to_the_tested_block():
    table = pd.DataFrame({"subject": "a", "trial": "1", "start": np.arange(0, 55, 5.0)})
    table["stop"] = table["start"] + 10
    tested = (table["start"] % 10 == 0).to_numpy()
    folds = [(np.array([0, 1, 4, 5]), np.array([2, 3]))]  # whole windows at 0, 10, ... s
    ((train, test),) = add_training_rows(folds, tested, table)
    assert table["start"].iloc[train].tolist() == [0, 5, 10, 40, 45, 50]
    assert table["start"].iloc[test].tolist() == [20, 30]


def test_a_window_that_overlaps_one_left_out_stays_out():
    table = pd.DataFrame({"subject": "a", "trial": "1", "start": np.arange(0, 55, 5.0)})
    table["stop"] = table["start"] + 10
    tested = (table["start"] % 10 == 0).to_numpy()
    folds = [(np.array([0, 1, 2]), np.array([5]))]  # neither 30 nor 40 s
    ((train, _),) = add_training_rows(folds, tested, table)
    assert table["start"].iloc[train].tolist() == [0, 5, 10, 15, 20]


def test_without_times_a_divided_trial_gets_no_additional_windows():
    groups = pd.DataFrame({"subject": list("aaaabb")})
    tested = np.array([True, False, True, False, True, False])
    folds = [(np.array([0, 2]), np.array([1]))]
    ((train, test),) = add_training_rows(folds, tested, groups)
    assert train.tolist() == [0, 4, 5]
    assert test.tolist() == [2]


def test_compare_tests_only_the_chosen_windows():
    table, tested = make_windows()
    models = {"LDA": make_lda("passthrough")}
    args = ("label", "subject")
    given = table[["x", "label", "subject", "trial", "start", "stop"]]
    more = compare(models, given, *args, tested=tested)
    plain = compare(models, given[tested].reset_index(drop=True), *args)
    assert more.predictions["row"].isin(np.flatnonzero(tested)).all()
    assert len(more.predictions) == len(plain.predictions) == tested.sum()
    n_others = (~tested).sum()
    note = f"{n_others} of {len(table)} windows are only trained on; the scores are for the others."
    assert note in more.notes()
    np.testing.assert_array_equal(more.scores["n_train"], plain.scores["n_train"])
    assert not np.allclose(*(one.predictions["probability rest"] for one in (more, plain)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_compare_finds_no_leak_that_the_protocol_does_not_have(protocol):
    table, tested = make_windows()
    inputs = table[["x"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = compare(
            {"LDA": make_lda("passthrough")},
            inputs,
            table["label"],
            table,
            protocol=protocol,
            n_splits=3,
            tested=tested,
        )
    assert "overlap" not in set(result.leakage["kind"])


def test_a_splitter_divides_the_tested_windows():
    table, tested = make_windows()
    inputs = table[["x"]]
    models = {"LDA": make_lda("passthrough")}
    for splitter in (GroupShuffleSplit(2, random_state=0), BlockedKFold(3, gap=7.0)):
        result = compare(models, inputs, table["label"], table, protocol=splitter, tested=tested)
        rows = result.predictions["row"]
        assert tested[rows].all()
    assert rows.nunique() == tested.sum()


def test_results_are_kept_apart_by_which_windows_are_tested(tmp_path):
    table, tested = make_windows()
    inputs = table[["x"]]
    models = {"SVM": make_svm("passthrough")}
    settings = {"output": tmp_path, "protocol": "group-k-fold", "n_splits": 3}

    def run(mask):
        result = compare(models, inputs, table["label"], table, tested=mask, **settings)
        return result.predictions, len([*(tmp_path / "fits").rglob("*.json")])

    first, n_first = run(tested)
    again, n_again = run(tested)
    assert n_first == n_again == 3
    pd.testing.assert_frame_equal(again, first)
    _, n_all = run(None)
    assert n_all == 6


@pytest.mark.parametrize(
    ("tested", "message"),
    [
        (np.array([True]), "tested must say for each of the"),
        (np.arange(1080), "tested must say for each of the"),
        (np.zeros(1080, bool), "False for all windows"),
    ],
)
def test_wrong_masks_are_errors(tested, message):
    table, _ = make_windows()
    assert len(table) == 1080
    with pytest.raises(ValueError, match=message):
        compare(
            {"LDA": make_lda("passthrough")},
            table[["x"]],
            table["label"],
            table["subject"],
            tested=tested,
        )


def test_a_list_of_splits_cannot_be_combined_with_tested():
    table, tested = make_windows()
    splits = list(KFold(2).split(table))
    with pytest.raises(ValueError, match="A list of splits already says"):
        compare(
            {"LDA": make_lda("passthrough")},
            table[["x"]],
            table["label"],
            table["subject"],
            protocol=splits,
            tested=tested,
        )
