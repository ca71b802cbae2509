"""Folds, names and columns of the user's own in a comparison."""

import numpy as np
import pandas as pd
import pytest
from comparing import MODELS, lay_out, make_features
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skemo import BlockedKFold, LeaveOneTrialOut, PerSubject, compare, make_lda, make_svm, segment
from skemo.datasets import make_emotion_recordings
from skemo.evaluation.declared import transductive_steps
from skemo.evaluation.protocols import protocol_name

LDA = {"LDA": make_lda("passthrough")}


def test_a_splitter_gives_what_the_protocol_of_its_name_gives():
    X, y, subjects = make_features(effect=0.7)
    groups = lay_out(subjects)
    for name, splitter in (
        ("leave-one-subject-out", LeaveOneGroupOut()),
        ("leave-one-trial-out", LeaveOneTrialOut()),
        ("blocked-k-fold", BlockedKFold(10)),
    ):
        named, own = (compare(LDA, X, y, groups, protocol=p) for p in (name, splitter))
        pd.testing.assert_frame_equal(named.predictions, own.predictions)
        assert not own.optimistic
        assert own.about_protocol.known_subjects == named.about_protocol.known_subjects


def test_a_list_of_splits_is_followed_and_what_it_leaves_out_is_said():
    X, y, subjects = make_features(n_subjects=8)
    folds = [(np.flatnonzero(subjects != s), np.flatnonzero(subjects == s)) for s in ("s0", "s1")]
    result = compare(LDA, X, y, subjects, protocol=folds)
    assert result.title == "2 given splits"
    assert result.predictions["subject"].unique().tolist() == ["s0", "s1"]
    note = "2 given splits tests 40 of 160 windows, of 2 of 8 subjects: the scores are over these."
    assert note in result.notes()
    assert note in repr(result)


def test_a_window_that_is_tested_several_times_counts_each_time():
    X, y, subjects = make_features(effect=0.7)
    splitter = GroupShuffleSplit(n_splits=5, test_size=3)
    result = compare(LDA, X, y, subjects, protocol=splitter)
    name = "GroupShuffleSplit(n_splits=5, test_size=3)"
    assert result.title == result.table().columns.name == name
    scores = result.subject_scores().set_index("subject")
    for subject, own in result.predictions.groupby("subject"):
        assert scores.loc[subject, "accuracy"] == (own["y_true"] == own["y_pred"]).mean()
        assert scores.loc[subject, "n_windows"] == len(own)
    most = result.predictions["row"].value_counts().max()
    assert any(
        note.startswith(f"{name} tests a window up to {most} times") for note in result.notes()
    )


def test_folds_that_share_subjects_are_judged_by_the_corrected_t_test():
    splitter = GroupShuffleSplit(n_splits=5, test_size=3)
    test = compare(MODELS, *make_features(), protocol=splitter).test()
    assert test["test"].item() == "corrected t over folds"
    assert test["n"].item() == 5


def test_a_splitter_without_a_seed_takes_that_of_the_comparison(tmp_path):
    data = make_features(effect=0.7)
    options = {"protocol": GroupShuffleSplit(n_splits=2), "output": tmp_path, "n_repeats": 2}
    one, other = (compare(LDA, *data, **options) for _ in range(2))
    pd.testing.assert_frame_equal(one.scores, other.scores)  # with its times
    first, second = (one.predictions.query("repeat == @i")["row"].tolist() for i in (0, 1))
    assert first != second
    assert options["protocol"].random_state is None
    seeded = compare(LDA, *data, protocol=GroupShuffleSplit(n_splits=2, random_state=0))
    assert seeded.predictions["row"].tolist() == first


def test_folds_that_mix_neighbouring_windows_are_marked_and_warned_about():
    X, y, subjects = make_features()
    for groups in (subjects, lay_out(subjects)):
        with pytest.warns(UserWarning, match="subject: in 3 of 3 folds"):
            mixed = compare(LDA, X, y, groups, protocol=ShuffleSplit(3))
        assert mixed.optimistic
        assert "(optimistic)" in repr(mixed)
    repeated = RepeatedKFold(n_splits=3, n_repeats=2)
    with pytest.warns(UserWarning, match="subject: in 6 of 6 folds"):
        assert compare(LDA, X, y, subjects, protocol=repeated).n_fits == 6


def test_a_trial_left_out_of_a_known_subject_is_not_optimistic():
    X, y, subjects = make_features()
    groups = lay_out(subjects)
    by_trial = PredefinedSplit(groups["trial"] % 2)
    with pytest.warns(UserWarning, match="subject: in 2 of 2 folds"):
        result = compare(LDA, X, y, groups, protocol=by_trial)
    assert not result.optimistic
    assert result.about_protocol.known_subjects


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (GroupShuffleSplit, r"the class GroupShuffleSplit: pass a splitter, Group.*\(\.\.\.\)"),
        (5, "protocol must be one of 'leave-one-subject-out', .* got 5"),
        ([], "cv gives no folds"),
        ([([0, 1], [])], "Fold 0 of the protocol has no test windows"),
        ([([], [0, 1])], "Fold 0 of the protocol has no training windows"),
        ([([0, 1], [999])], "positions outside the 120 rows"),
        ([0, 1], "list of pairs"),
    ],
)
def test_folds_that_are_none_are_refused(protocol, message):
    with pytest.raises(ValueError, match=message):
        compare(LDA, *make_features(), protocol=protocol)


def test_a_gap_is_for_blocked_k_fold_by_name():
    with pytest.raises(ValueError, match=r"gap=5\.0 is for protocol='blocked-k-fold' only"):
        compare(LDA, *make_features(), protocol=GroupKFold(3), gap=5.0)


class Halves:
    def split(self, X, y=None, groups=None):
        half = len(X) // 2
        yield np.arange(half), np.arange(half, len(X))

    def get_n_splits(self, X=None, y=None, groups=None):
        return 1


def test_any_object_that_splits_is_a_protocol():
    result = compare(LDA, *make_features(), protocol=Halves())
    assert result.title == protocol_name(Halves()) == "Halves()"
    assert result.predictions["subject"].unique().tolist() == ["s3", "s4", "s5"]


def test_a_list_of_models_is_named_by_type_as_make_pipeline_does():
    models = [SVC(), make_pipeline(StandardScaler(), LogisticRegression()), SVC(C=3)]
    result = compare(models, *make_features(n_subjects=2))
    assert result.models == ["svc-1", "logisticregression", "svc-2"]


def test_y_and_groups_may_be_columns_which_the_models_do_not_get():
    X, y, subjects = make_features()
    table = pd.DataFrame(X, columns=list("abc"))
    by_column = table.assign(label=y, person=subjects)
    result = compare(LDA, by_column, "label", "person")
    expected = compare(LDA, table, y, subjects)
    pd.testing.assert_frame_equal(result.predictions, expected.predictions)
    assert list(by_column) == ["a", "b", "c", "label", "person"]
    both = compare(LDA, by_column.assign(other=y), ["label", "other"], "person")
    assert both.targets == ["label", "other"]
    assert both.details["data"]["inputs"] == expected.details["data"]["inputs"]


def test_a_model_does_not_get_the_trials_and_times_either():
    X, y, subjects = make_features()
    table = pd.DataFrame(X, columns=list("abc"))
    whole = pd.concat([table, lay_out(subjects)], axis=1).assign(label=y)
    named = compare(LDA, whole, "label", "subject")
    given = compare(LDA, table, y, lay_out(subjects))
    pd.testing.assert_frame_equal(named.predictions, given.predictions)
    no_end = compare(LDA, whole.drop(columns=["stop", "trial"]), "label", "subject")
    assert no_end.details["data"]["inputs"][0]["name"] == "3 other columns"  # start is none


def test_a_column_of_subjects_stays_where_a_model_names_it():
    X, y, subjects = make_features()
    table = pd.DataFrame(X, columns=list("abc")).assign(label=y, subject=subjects)
    own = {"own": make_svm(PerSubject())}
    result = compare(own, table, "label", "subject")
    expected = compare(own, table.drop(columns="label"), y, subjects)
    pd.testing.assert_frame_equal(result.predictions, expected.predictions)


def test_trials_and_times_are_taken_from_the_columns_as_well():
    windows = segment(make_emotion_recordings(n_subjects=2, random_state=0), duration=10.0)
    from skemo import HRVTransformer, make_modality_transformer

    model = {"LDA": make_lda(make_modality_transformer(ecg=HRVTransformer()))}
    named = compare(model, windows, "label", "subject", protocol="leave-one-trial-out")
    given = compare(model, windows, windows["label"], windows, protocol="leave-one-trial-out")
    pd.testing.assert_frame_equal(named.predictions, given.predictions)


def test_a_name_that_is_no_column_is_said():
    X, y, subjects = make_features()
    table = pd.DataFrame(X, columns=list("abc"))
    with pytest.raises(ValueError, match="y is the text 'label', which is not a column of X"):
        compare(LDA, table, "label", subjects)
    with pytest.raises(ValueError, match="groups is the text 'subject', which is not a column"):
        compare(LDA, X, y, "subject")


def test_what_is_transductive_is_declared_from_the_model_itself():
    X, y, subjects = make_features()
    table = pd.DataFrame(X, columns=list("abc")).assign(subject=subjects)
    models = {"own": make_svm(PerSubject()), **{"LDA": make_lda(Columns())}}
    result = compare(models, table, y, subjects, controls=["permuted"])
    assert result.table()["transductive"].tolist() == ["PerSubject", "–", "PerSubject", "–"]
    (note,) = [note for note in result.notes() if "PerSubject" in note]
    assert note.startswith("PerSubject in 'own', 'own, labels permuted' standardises each subject")
    assert note in repr(result)
    assert "transductive" not in compare(LDA, X, y, subjects).table()


class Columns(StandardScaler):
    """Leaves out the column of subjects."""

    def fit(self, X, y=None):
        return super().fit(X[["a", "b", "c"]])

    def transform(self, X):
        return super().transform(X[["a", "b", "c"]])

    def fit_transform(self, X, y=None):
        return self.fit(X).transform(X)


def test_transductive_steps_are_found_at_any_depth():
    deep = make_pipeline(make_pipeline("passthrough", PerSubject()), SVC())
    assert transductive_steps(deep) == ["PerSubject"]
    assert transductive_steps(make_svm("passthrough")) == []
