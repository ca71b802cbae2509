"""What stands on both sides of a split is found where it was planted, and only there."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skemo import (
    DifferentialEntropyTransformer,
    EDATransformer,
    HRVTransformer,
    PerSubject,
    ResampleTransformer,
    SignalArray,
    read_windows,
    segment,
    write_windows,
)
from skemo.datasets import fetch_eegmat, make_emotion_recordings
from skemo.evaluation.leakage import check_split, check_transductive, format_findings
from skemo.evaluation.protocols import PROTOCOLS, protocol_folds
from skemo.evaluation.splitters import BlockedKFold, LeaveOneTrialOut

SUBJECT_WISE = "leave-one-subject-out"


def make_windows(n_subjects=4, n_trials=4, n_windows=10, duration=10.0, step=10.0):
    rows = [
        (f"s{subject}", f"t{trial}", step * i, "ab"[trial % 2])
        for subject in range(n_subjects)
        for trial in range(n_trials)
        for i in range(n_windows)
    ]
    windows = pd.DataFrame(rows, columns=["subject", "trial", "start", "label"])
    windows["stop"] = windows["start"] + duration
    return windows.sample(frac=1, random_state=0)


def make_features(windows, n_features=3, random_state=0):
    """Numbers of no mean or deviation in particular, other ones for each subject."""
    rng = np.random.default_rng(random_state)
    subjects = pd.factorize(windows["subject"])[0]
    level = rng.normal(5, 3, (subjects.max() + 1, n_features))[subjects]
    return level + rng.gamma(2, 1.5, (len(windows), n_features))


def kinds(findings):
    return findings["kind"].drop_duplicates().tolist()


@pytest.fixture(scope="module")
def simulated():
    recordings = make_emotion_recordings(4, 4, 40.0, random_state=0)
    return segment(recordings, duration=10.0)


# People, trials and seconds


@pytest.mark.parametrize("step", [10.0, 4.0])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocols_share_what_they_say_and_no_more(name, step):
    windows = make_windows(step=step)
    folds = protocol_folds(name, windows["label"], windows, n_splits=4)
    findings = check_split(make_features(windows), windows, folds)
    shared = {"segment-k-fold": ["subject", "trial"] + ["overlap"] * (step < 10)}
    assert kinds(findings) == shared.get(name, list(PROTOCOLS[name].by_design))
    assert findings.groupby("kind").size().eq(len(folds)).all()
    assert findings.attrs["n_folds"] == len(folds)


def test_a_clean_split_has_an_empty_table_of_the_same_columns():
    windows = make_windows()
    clean = check_split(make_features(windows), windows, SUBJECT_WISE)
    found = check_split(make_features(windows), windows, KFold(2))
    assert len(clean) == 0
    assert format_findings(clean) == ""
    pd.testing.assert_series_equal(clean.dtypes, found.dtypes)


def test_a_window_put_on_the_wrong_side_is_counted_with_its_seconds():
    windows = make_windows(n_subjects=3, step=4.0).sort_values(["subject", "trial", "start"])
    X, rows = make_features(windows), np.arange(len(windows))
    test = rows[(windows["subject"] == "s1").to_numpy()]
    train = np.setdiff1d(rows, test)
    train = np.append(train, test[3])  # from 12 to 22 s of trial t0; it is tested no more
    test = np.delete(test, 3)
    findings = check_split(X, windows, [(train, test)]).set_index("kind")
    assert findings.index.tolist() == ["subject", "trial", "overlap"]
    assert findings["who"].tolist() == ["s1", "s1 t0", "s1 t0"]
    assert findings["n_train"].tolist() == [1, 1, 1]
    assert findings["n_test"].tolist() == [39, 9, 4]  # from 4, 8, 16 and 20 s
    assert findings.loc["overlap", "seconds"] == 10.0
    assert "4 tested windows sharing 10 s" in findings.loc["overlap", "message"]


def test_shared_seconds_are_those_that_a_clock_of_tenths_counts():
    rng = np.random.default_rng(1)
    start = rng.integers(0, 600, 60) / 10
    stop = start + rng.integers(5, 60, 60) / 10
    trial = rng.choice(["x", "y"], 60)
    groups = pd.DataFrame({"subject": "a", "trial": trial, "start": start, "stop": stop})
    train, test = np.split(rng.permutation(60), [30])
    tenths = np.arange(0, 700) / 10 + 0.05
    seconds = 0.0
    for name in ("x", "y"):
        on = [
            ((start[rows, None] < tenths) & (tenths < stop[rows, None]))[trial[rows] == name]
            for rows in (train, test)
        ]
        seconds += 0.1 * (on[0].any(axis=0) & on[1].any(axis=0)).sum()
    findings = check_split(rng.gamma(2, size=(60, 2)), groups, [(train, test)])
    assert findings.set_index("kind").loc["overlap", "seconds"] == pytest.approx(seconds)


def test_windows_overlap_in_time_without_the_names_of_trials_too():
    windows = make_windows().drop(columns="trial")
    windows["stop"] = windows["start"] + 15.0
    found = check_split(make_features(windows), windows, KFold(4, shuffle=True, random_state=0))
    assert kinds(found) == ["subject", "overlap"]
    assert "of the same recording" in found.loc[found["kind"] == "overlap", "message"].iloc[0]


def test_the_same_times_of_unlike_trials_do_not_overlap():
    windows = make_windows(step=4.0)
    folds = LeaveOneTrialOut().split(windows, windows["label"], windows)
    assert kinds(check_split(make_features(windows), windows, folds)) == ["subject"]


def test_without_trials_and_times_only_subjects_are_compared():
    windows = make_windows(step=4.0)
    X, cv = make_features(windows), KFold(4)
    assert kinds(check_split(X, windows["subject"], cv)) == ["subject"]
    assert kinds(check_split(X, windows[["subject", "trial"]], cv)) == ["subject", "trial"]


# What cv may be


@pytest.mark.parametrize(
    "cv",
    [
        *(3, KFold(3), StratifiedKFold(3), LeaveOneGroupOut(), BlockedKFold(3), LeaveOneTrialOut()),
        *(GroupShuffleSplit(2, random_state=0), ShuffleSplit(2, random_state=0)),
        *("group-k-fold", "segment-k-fold", TimeSeriesSplit(3)),
        [(np.arange(160) < 80, np.arange(160) >= 80)],
        ((np.arange(80), np.arange(80, 160)) for _ in range(2)),
    ],
)
def test_cv_is_whatever_cross_validate_takes_or_a_protocols_name(cv):
    windows = make_windows(n_subjects=10, n_windows=4)
    findings = check_split(make_features(windows), windows, cv, windows["label"])
    assert findings.attrs["n_folds"] >= 1
    by_subject = isinstance(cv, LeaveOneGroupOut | GroupShuffleSplit) or cv == "group-k-fold"
    assert ("subject" in kinds(findings)) is not by_subject


def test_unusable_input_is_named():
    windows = make_windows()
    X = make_features(windows)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        check_split(X[1:], windows, 3)
    with pytest.raises(ValueError, match="Fold 0 of cv holds positions outside the 160"):
        check_split(X, windows, [([0, 1], [160])])
    with pytest.raises(ValueError, match="'segment-k-fold' also depends on the labels: pass y"):
        check_split(X, windows, "segment-k-fold")
    with pytest.raises(ValueError, match="Unknown protocol 'loso'"):
        check_split(X, windows, "loso", windows["label"])


# Rows


@pytest.mark.parametrize("kind", ["array", "frame", "signals"])
def test_copied_rows_are_found_whoever_they_are_said_to_be_from(kind):
    windows = make_windows()
    X = make_features(windows, 40)
    subjects = windows["subject"].to_numpy()
    X[subjects == "s3"] = X[subjects == "s1"]
    if kind == "frame":
        X = pd.DataFrame(X).add_prefix("f").assign(subject=subjects, start=windows["start"].array)
    if kind == "signals":
        X = pd.DataFrame({"ecg": SignalArray(X, sampling_rate=4), "subject": subjects})
    findings = check_split(X, subjects, SUBJECT_WISE)
    assert findings["kind"].tolist() == ["duplicate"] * 2
    assert findings["who"].tolist() == ["s1", "s3"]
    assert findings[["n_train", "n_test"]].to_numpy().tolist() == [[40, 40]] * 2


def test_a_row_on_both_sides_is_found_whatever_it_holds():
    windows = make_windows()
    findings = check_split(np.zeros((160, 2)), windows["subject"], [([0, 1, 2], [2, 3])])
    assert findings.set_index("kind").loc["duplicate", ["n_train", "n_test"]].tolist() == [1, 1]


def test_folds_that_are_none_are_told():
    windows = make_windows()
    X = make_features(windows)
    used = KFold(4).split(X)
    assert len(list(used)) == 4
    for cv in (used, []):
        with pytest.raises(ValueError, match="cv gives no folds"):
            check_split(X, windows, cv)
    for pair in ((np.arange(80), np.arange(80, 160)), (np.array([0, 1]), np.array([2, 3]))):
        with pytest.raises(ValueError, match="cv must be a list of pairs"):
            check_split(X, windows, pair)


@pytest.mark.parametrize("unit", ["datetime64[ns]", "timedelta64[ns]", object])
def test_times_that_are_no_seconds_are_named(unit):
    windows = make_windows()
    windows["start"] = windows["start"].astype(int).astype(unit) if unit is not object else "early"
    with pytest.raises(ValueError, match=r"groups\['start'\] must be seconds"):
        check_split(make_features(windows), windows, "leave-one-subject-out")


def test_rows_that_hold_too_little_are_not_taken_for_copies():
    windows = make_windows()
    counts = np.random.default_rng(0).integers(0, 3, (160, 4))
    flat = np.repeat([0.5, 1.5], 80)[:, np.newaxis] * np.ones(30)
    missing = np.full((160, 30), np.nan)
    one = np.random.default_rng(0).choice([0.5, 1.5], (160, 1))
    for X in (counts, counts.astype(float), flat, missing, one, flat[:, np.newaxis]):
        assert "duplicate" not in kinds(check_split(X, windows["subject"], SUBJECT_WISE))


# Scaling


SCALERS = [StandardScaler(), PCA(whiten=True)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaler", SCALERS)
def test_scaling_by_all_rows_is_found_and_names_the_columns(scaler, dtype):
    windows = make_windows()
    X = pd.DataFrame(make_features(windows).astype(dtype), columns=["hr", "scl", "alpha"])
    X[["hr", "alpha"]] = scaler.fit_transform(X[["hr", "alpha"]])
    row = check_split(X, windows, SUBJECT_WISE).iloc[0]
    assert (row["fold"], row["kind"], row["who"]) == (-1, "normalisation", "hr and alpha")
    assert (row["n_train"], row["n_test"]) == (160, 160)


def test_scaling_by_the_training_rows_is_not_taken_for_a_leak():
    windows = make_windows()
    X = make_features(windows)
    X = StandardScaler().fit(X[windows["subject"] != "s0"]).transform(X)
    assert len(check_split(X, windows, SUBJECT_WISE)) == 0


@pytest.mark.parametrize("unit", ["subject", "trial"])
def test_scaling_by_subject_or_trial_is_called_transductive(unit):
    windows = make_windows(n_trials=2)
    X = make_features(windows)
    X[:2] = np.nan
    by = ["subject", "trial"][: 1 + (unit == "trial")]
    for rows in windows.reset_index().groupby(by).indices.values():
        X[rows] = StandardScaler().fit_transform(X[rows])
    findings = check_split(X, windows, SUBJECT_WISE)
    assert kinds(findings) == ["per-subject normalisation"]
    assert f"in every {unit}" in findings["message"].iloc[0]
    assert "transductive" in format_findings(findings)


def test_what_per_subject_returns_is_recognised_also_with_a_flat_subject():
    windows = make_windows()
    X = pd.DataFrame(make_features(windows), columns=["a", "b", "c"])
    X["subject"] = windows["subject"].to_numpy()
    X.loc[X["subject"] == "s2", "a"] = 4.5
    scaled = PerSubject().set_output(transform="pandas").fit_transform(X)
    findings = check_split(scaled, windows, SUBJECT_WISE)
    assert findings["who"].tolist() == ["a, b and c"]
    assert kinds(findings) == ["per-subject normalisation"]


@pytest.mark.parametrize("axes", [(0, 2), (0, 1, 2)])
def test_signals_scaled_by_all_windows_are_found_by_channel_and_as_a_whole(simulated, axes):
    values = simulated["eeg"].array.values
    values = (values - values.mean(axes, keepdims=True)) / values.std(axes, keepdims=True)
    channels = simulated["eeg"].dtype.channels
    X = pd.DataFrame({"eeg": SignalArray(values, sampling_rate=128, channels=channels)})
    findings = check_split(X, simulated, SUBJECT_WISE)
    assert kinds(findings) == ["normalisation"]
    assert findings["who"].iloc[0] == ("eeg F3, eeg F4 and 6 more" if len(axes) == 2 else "eeg")


def test_padded_series_scaled_by_subject_are_found(simulated):
    X = HRVTransformer(output="series").fit_transform(simulated[["ecg"]])
    X["subject"] = simulated["subject"].to_numpy()
    assert len(check_split(X, simulated, SUBJECT_WISE)) == 0
    findings = check_split(PerSubject().fit_transform(X), simulated, SUBJECT_WISE)
    assert kinds(findings) == ["per-subject normalisation"]


def test_windows_scaled_one_by_one_are_no_finding(simulated):
    transformer = ResampleTransformer(rate=16, standardize=True)
    X = transformer.fit_transform(simulated[["ecg"]])
    assert len(check_split(X, simulated, SUBJECT_WISE)) == 0
    assert len(check_split(X["ecg"].array.values[:, 0], simulated, SUBJECT_WISE)) == 0


@pytest.mark.parametrize("kind", ["object", "sparse", "frame of objects", "column"])
def test_scaling_is_found_in_any_container(kind):
    windows = make_windows()
    X = StandardScaler().fit_transform(make_features(windows))
    X = {
        "object": lambda: X.astype(object),
        "sparse": lambda: scipy.sparse.csr_array(X),
        "frame of objects": lambda: pd.DataFrame(X, dtype=object),
        "column": lambda: X[:, 0],
    }[kind]()
    assert kinds(check_split(X, windows, SUBJECT_WISE)) == ["normalisation"]


def test_two_columns_of_one_name_are_looked_at_both():
    windows = make_windows()
    X = make_features(windows)
    X[:, 2:] = StandardScaler().fit_transform(X[:, 2:])
    X = pd.DataFrame(X, columns=["a", "b", "a"])
    assert check_split(X, windows, SUBJECT_WISE)["who"].tolist() == ["a"]


def test_means_that_a_filter_or_a_reference_brings_to_zero_are_no_finding(simulated):
    values = simulated["eeg"].array.values
    values = values - values.mean(axis=1, keepdims=True)  # common average reference
    values = values - values.mean(axis=(0, 2), keepdims=True)  # as a filter nearly does
    assert len(check_split(values, simulated, SUBJECT_WISE)) == 0


def test_columns_that_only_look_scaled_are_no_finding():
    windows = make_windows()
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "constant": np.full(160, 0.5),
            "contrast": np.tile([-1, 1], 80),  # mean 0 and deviation 1
            "one_hot": np.tile([0.0, 1.0], 80),
            "share": np.clip(rng.normal(0.5, 0.7, 160), 0, 1),  # at its bounds in many rows
            "empty": np.nan,
            "half": np.tile([-0.5, 0.5], 80),
            "sine": np.sin(np.append(rng.uniform(0, 9, 158), [np.pi / 2, 3 * np.pi / 2])),
            "normal": rng.normal(size=160),
            "flag": np.tile([True, False], 80),
            "name": "x",
        }
    )
    assert len(check_split(X, windows, SUBJECT_WISE)) == 0
    few = StandardScaler().fit_transform(rng.normal(size=(6, 2)))
    assert len(check_split(few, list("aabbcc"), SUBJECT_WISE)) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_standard_normal_numbers_are_not_taken_for_standardised_ones(dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 50)).astype(dtype)
    assert len(check_split(X, np.repeat(np.arange(20), 1000), SUBJECT_WISE)) == 0


def test_features_of_recordings_are_clean_and_their_overlap_is_found(data_home):
    subjects = ["00", "01", "02", "04"]  # one has no heartbeat at rest
    recordings = fetch_eegmat(data_home / "eegmat", subjects=subjects)
    windows = segment(recordings, 10.0, step=5.0)
    for X in (
        HRVTransformer().fit_transform(windows[["ecg"]]),
        HRVTransformer(output="series").fit_transform(windows[["ecg"]]),
        DifferentialEntropyTransformer().fit_transform(windows[["eeg"]]),
        DifferentialEntropyTransformer(output="map").fit_transform(windows[["eeg"]]),
        windows[["ecg"]],
    ):
        assert len(check_split(X, windows, SUBJECT_WISE)) == 0
    findings = check_split(X, windows, StratifiedKFold(5), windows["label"])
    assert kinds(findings) == ["subject", "trial", "overlap"]


def test_skin_conductance_features_are_clean(simulated):
    X = EDATransformer().fit_transform(simulated[["eda"]])
    assert len(check_split(X, simulated, SUBJECT_WISE)) == 0


# As text


def test_text_has_a_line_a_kind_with_the_number_of_folds():
    windows = make_windows(step=5.0)
    X = StandardScaler().fit_transform(make_features(windows))
    cv = StratifiedKFold(4, shuffle=True, random_state=0)
    findings = check_split(X, windows, cv, windows["label"])
    lines = format_findings(findings).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        *("subject", "trial", "overlap", "normalisation")
    ]
    start = "subject: in 4 of 4 folds (160 tested windows); fold 0: 4 subjects on both sides, s"
    assert lines[0].startswith(start)
    assert " and 14 more" in lines[1]
    alone = format_findings(findings[findings["kind"] == "normalisation"])
    assert alone.startswith("normalisation: column 0, column 1 and column 2: mean 0 and standard")


def test_trials_that_tell_the_label_are_said_to():
    windows = make_windows(n_subjects=2)
    mixed = windows["label"].where(windows["trial"] != "t0", np.tile(["a", "b"], 40))
    findings = check_split(make_features(windows), windows, KFold(2), mixed)
    message = findings.set_index("kind").loc["trial", "message"].iloc[0]
    assert message.endswith("To know the trial is to know the label in 6 of them.")
    unknown = check_split(make_features(windows), windows, KFold(2))
    assert not unknown["message"].str.contains("To know").any()


# Models that look at their neighbours


def test_a_model_that_measures_a_person_by_the_rows_at_hand_is_transductive():
    windows = make_windows()
    X = pd.DataFrame(make_features(windows), columns=["a", "b", "c"])
    X["subject"] = windows["subject"].to_numpy()
    seen = X["subject"] != "s0"
    y = windows["label"].to_numpy()
    X["a"] += 3 * (y == "b")
    model = make_pipeline(PerSubject(), LogisticRegression())
    model.fit(X[seen], y[seen])
    assert check_transductive(model, X[~seen]) > 0.5
    assert check_transductive(model, X[seen]) == 0.0
    ordinary = make_pipeline(StandardScaler(), SVC()).fit(X.loc[seen, ["a", "b", "c"]], y[seen])
    assert check_transductive(ordinary, X[["a", "b", "c"]]) == 0.0
    with pytest.raises(ValueError, match="at least 2, got 1"):
        check_transductive(ordinary, X[:1])


# Large tables


@pytest.mark.parametrize("kind", ["signals", "numbers"])
def test_the_memory_of_a_check_does_not_grow_with_the_width_of_the_table(kind):
    rng = np.random.default_rng(0)
    n_rows = 8000
    if kind == "signals":
        values = rng.normal(size=(n_rows, 8, 128))
        X = pd.DataFrame({"eeg": SignalArray(values, sampling_rate=128)})
    else:
        X = pd.DataFrame(rng.normal(size=(n_rows, 1024)))
    tracemalloc.start()
    check_split(X, np.arange(n_rows) // 1000, SUBJECT_WISE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 35e6  # the table has 66 MB


def test_windows_in_a_file_are_checked_as_in_memory(tmp_path, simulated):
    pytest.importorskip("pyarrow")
    windows = simulated.iloc[np.arange(len(simulated)) // 2].reset_index(drop=True)
    windows["eeg"] = PerSubject().fit_transform(windows[["eeg", "subject"]])["eeg"]
    write_windows(windows, tmp_path / "windows.parquet")
    stored = read_windows(tmp_path / "windows.parquet")
    cv = KFold(2, shuffle=True, random_state=0)
    expected = check_split(windows, windows, cv)
    assert {"duplicate", "per-subject normalisation"} <= set(expected["kind"])
    pd.testing.assert_frame_equal(check_split(stored, stored, cv), expected)
