"""Labelled intervals from events, tables and series."""

import numpy as np
import pandas as pd
import pytest

from skemo import Recording, segment
from skemo.signals import labels

NOON = pd.Timestamp("2024-05-01 12:00", tz="Europe/Berlin")


def test_each_interval_lasts_until_the_next_event_or_the_end():
    events = [(30.0, "task"), (5.0, "rest")]
    assert labels.from_events(events, stop=60.0) == [(5, 30, "rest"), (30, 60, "task")]


def test_an_event_without_a_label_ends_the_interval_before_it():
    events = [(5.0, "rest"), (30.0, None), (40.0, "task"), (50.0, np.nan)]
    assert labels.from_events(events) == [(5, 30, "rest"), (40, 50, "task")]


def test_only_named_events_become_labels():
    events = [(5.0, 1), (20.0, 99), (30.0, 2)]
    found = labels.from_events(events, names={1: "rest", 2: "task"}, stop=60.0)
    assert found == [(5, 30, "rest"), (30, 60, "task")]


def test_a_shift_moves_the_start_or_an_interval_of_fixed_duration():
    events = [(10.0, "a"), (20.0, "b")]
    assert labels.from_events(events, stop=30.0, onset_shift=2.0) == [(12, 20, "a"), (22, 30, "b")]
    found = labels.from_events(events, duration=5.0, onset_shift=2.0)
    assert found == [(12, 17, "a"), (22, 27, "b")]


def test_a_baseline_takes_the_end_of_the_interval_before_it():
    events = [(10.0, "a"), (20.0, "b")]
    assert labels.from_events(events, stop=30.0, baseline=3.0) == [
        *[(7, 10, "baseline"), (10, 17, "a")],
        *[(17, 20, "baseline"), (20, 30, "b")],
    ]


def test_timestamps_stay_timestamps_and_timedeltas_become_seconds():
    later = NOON + pd.Timedelta("30s")
    found = labels.from_events([(NOON, "a"), (later, None)])
    assert found == [(NOON, later, "a")]
    found = labels.from_events([(pd.Timedelta("5s"), "a"), (pd.Timedelta("1min"), None)])
    assert found == [(5.0, 60.0, "a")]


def test_labels_in_timestamps_label_the_windows_of_a_recording():
    recording = Recording(
        {"eda": np.zeros(240)},
        {"eda": 4},
        subject="A",
        start_time=NOON.tz_convert("UTC"),
        labels=labels.from_events(
            [(NOON, "rest"), (NOON + pd.Timedelta("30s"), "task")], duration=30.0
        ),
    )
    assert segment(recording, 15.0)["label"].tolist() == ["rest", "rest", "task", "task"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "The last event, 'b', has no end. Pass stop="),
        ({"duration": 0}, "duration must be a positive number"),
        ({"stop": 30.0, "onset_shift": 11.0}, r"'a' at 10 s would last from 21 s to 20 s"),
        ({"stop": 30.0, "baseline": 10.0}, "The baseline of 'b' from 10 s to 20 s would hide all"),
        ({"stop": 30.0, "baseline": -1.0}, "baseline must be a positive number of seconds"),
    ],
)
def test_error_says_which_event_is_wrong(settings, message):
    with pytest.raises(ValueError, match=message):
        labels.from_events([(10.0, "a"), (20.0, "b")], **settings)


QUESTIONNAIRE = pd.DataFrame(
    {
        "subject": ["A", "A", "B", "A"],
        "start": ["2024-05-01 12:00", "2024-05-01 12:05", "2024-05-01 12:00", "2024-05-01 12:10"],
        "stop": ["2024-05-01 12:04", "2024-05-01 12:09", "2024-05-01 12:04", "2024-05-01 12:14"],
        "task": ["rest", "stroop", "rest", None],
        "valence": [6, 3, 5, 4],
    }
)


def test_a_table_gives_the_intervals_of_a_subject():
    found = labels.from_table(QUESTIONNAIRE, "task", subject="A")
    assert found == [
        (pd.Timestamp("2024-05-01 12:00"), pd.Timestamp("2024-05-01 12:04"), "rest"),
        (pd.Timestamp("2024-05-01 12:05"), pd.Timestamp("2024-05-01 12:09"), "stroop"),
    ]


def test_a_table_without_stops_has_intervals_of_one_duration():
    table = pd.DataFrame({"onset": [10, 50], "task": ["a", "b"]})
    found = labels.from_table(table, "task", start="onset", duration=20.0, baseline=5.0)
    assert found == [
        *[(5, 10, "baseline"), (10, 30, "a")],
        *[(45, 50, "baseline"), (50, 70, "b")],
    ]


def test_ratings_of_a_table_become_targets_of_windows():
    targets = labels.targets_from_table(
        QUESTIONNAIRE, ["valence"], subject="A", start_time="2024-05-01 12:00"
    )
    signals = {"eda": np.zeros(4 * 840)}
    recording = Recording(signals, {"eda": 4}, subject="A", targets=targets)
    windows = segment(recording, 60.0)
    expected = [6] * 4 + [np.nan] + [3] * 4 + [np.nan] + [4] * 4
    assert windows["valence"].tolist() == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        (QUESTIONNAIRE, {"subject": "C"}, "no rows of subject 'C'; the column 'subject' has"),
        (QUESTIONNAIRE.drop(columns="stop"), {}, "The table has no column 'stop'"),
        (QUESTIONNAIRE.assign(start=None), {}, "Row 0 has the label 'rest', but no start"),
        (QUESTIONNAIRE, {"start": "stop"}, "Row 0 with the label 'rest' stops at 0 s"),
        (QUESTIONNAIRE, {"stop": None}, "Without stop, duration must be a positive number"),
    ],
)
def test_error_names_the_row_or_column(table, settings, message):
    with pytest.raises(ValueError, match=message):
        labels.from_table(table, "task", **settings)


def test_labels_of_samples_become_intervals():
    values = [None, "a", "a", np.nan, "", "b", "a"]
    found = labels.from_series(np.arange(7) / 2, values, stop=3.5)
    assert found == [(0.5, 1.5, "a"), (2.5, 3.0, "b"), (3.0, 3.5, "a")]
