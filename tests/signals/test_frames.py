"""Recordings of tables with a column of times."""

import numpy as np
import pandas as pd
import pytest

from skemo import Recording

RNG = np.random.default_rng(0)


def make_table(n_rows=400, rate=100.0):
    return pd.DataFrame(
        {"t": np.arange(n_rows) / rate, "ecg": RNG.normal(size=n_rows), "x": 1.0, "y": 2.0}
    )


def test_columns_become_signals_with_the_rate_of_the_times():
    table = make_table()
    signals = {"ecg": "ecg", "acc": ["x", "y"]}
    recording = Recording.from_frame(table, subject="A", time="t", signals=signals)
    assert recording.sampling_rates == {"ecg": 100, "acc": 100}
    assert recording.channels == {"ecg": ("ecg",), "acc": ("x", "y")}
    np.testing.assert_array_equal(recording.signals["ecg"][0], table["ecg"])
    assert recording.starts == {"ecg": 0, "acc": 0}
    assert recording.start_time is None


def test_every_column_of_numbers_is_a_modality_by_default():
    table = make_table().assign(task="rest", note="a")
    recording = Recording.from_frame(table, subject="A", time="t", label="task")
    assert list(recording.signals) == ["ecg", "x", "y"]
    assert recording.labels == ((0, 4, "rest"),)


TIMES = pd.date_range("2024-05-01 09:30", periods=8, freq="250ms", tz="Europe/Berlin")


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        (TIMES, "s"),
        (TIMES.astype(str), "s"),
        (TIMES.strftime("%Y-%m-%dT%H:%M:%S.%f%z"), "s"),
        (TIMES.as_unit("ns").asi8 / 1e9, "s"),
        (TIMES.as_unit("ns").asi8 // 1_000_000, "ms"),
        (TIMES.as_unit("ns").asi8, "ns"),
    ],
)
def test_times_of_any_kind_give_the_same_moment_and_rate(times, unit):
    table = pd.DataFrame({"when": times, "eda": np.arange(8.0)})
    recording = Recording.from_frame(
        table, subject="A", time="when", time_unit=unit, signals=["eda"]
    )
    assert recording.start_time == TIMES[0]
    assert recording.sampling_rates == {"eda": 4}
    assert recording.starts == {"eda": 0}


@pytest.mark.parametrize(
    "times",
    [
        pd.to_timedelta(np.arange(8) * 250, unit="ms"),
        [f"00:00:0{i // 4}.{25 * (i % 4):02d}" for i in range(8)],
        np.arange(8) / 4,
    ],
)
def test_times_from_a_start_have_no_moment(times):
    table = pd.DataFrame({"when": times, "eda": np.arange(8.0)})
    recording = Recording.from_frame(table, subject="A", time="when", signals=["eda"])
    assert (recording.start_time, recording.sampling_rates) == (None, {"eda": 4})


def test_an_index_of_times_needs_no_column():
    table = pd.DataFrame({"eda": np.arange(8.0)}, index=TIMES)
    assert Recording.from_frame(table, subject="A").start_time == TIMES[0]


def test_rows_without_times_need_a_rate():
    table = make_table()[["ecg"]]
    assert Recording.from_frame(table, subject="A", sampling_rate=50).duration == 8
    with pytest.raises(ValueError, match=r"Pass time=<the column of times>"):
        Recording.from_frame(table, subject="A")


def test_signals_at_several_rates_share_a_table():
    fast, slow = make_table(640, 64.0)[["t", "ecg"]], make_table(40, 4.0)[["t", "x"]]
    slow["t"] += 0.005
    table = fast.merge(slow, on="t", how="outer").sort_values("t", ignore_index=True)
    recording = Recording.from_frame(table, subject="A", time="t")
    assert recording.sampling_rates == {"ecg": 64, "x": 4}
    assert recording.starts == {"ecg": 0, "x": 0.005}
    np.testing.assert_array_equal(recording.signals["ecg"][0], fast["ecg"])
    np.testing.assert_array_equal(recording.signals["x"][0], slow["x"])


def test_missing_cells_and_missing_rows_are_missing_samples():
    table = make_table()
    table.loc[50:59, "ecg"] = np.nan
    table = table.drop(index=range(200, 250))
    signal = Recording.from_frame(table, subject="A", time="t", signals=["ecg"]).signals["ecg"][0]
    missing = np.flatnonzero(np.isnan(signal))
    assert missing.tolist() == [*range(50, 60), *range(200, 250)]


def test_markers_label_the_time_up_to_the_next():
    table = make_table().assign(event=None)
    table.loc[[100, 250], "event"] = ["rest", "stress"]
    recording = Recording.from_frame(table, subject="A", time="t", signals="ecg", markers="event")
    assert recording.labels == ((1.0, 2.5, "rest"), (2.5, 4.0, "stress"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"time": "when"}, "The table has no column 'when'; its columns are"),
        ({"signals": {"ecg": "ECG"}}, "no column 'ECG' for 'ecg'"),
        ({"signals": ["word"]}, "'word' should hold numbers: row 0 has 'a'"),
        ({"label": "x", "markers": "y"}, "Pass label= .* or markers= .*, not both"),
        ({"time": "word"}, "'word' has 'a', which is not recognised as a time"),
        ({"time": "big"}, "which is no time in s. Pass time_unit='ms'"),
        ({"time_unit": "h"}, "time_unit must be one of"),
    ],
)
def test_error_names_the_column(settings, message):
    table = make_table().assign(word="a", big=1.7e12 + np.arange(400))
    with pytest.raises(ValueError, match=message):
        Recording.from_frame(table, **{"subject": "A", "time": "t", **settings})


def test_only_tables_are_read():
    with pytest.raises(TypeError, match="table must be a DataFrame, got ndarray"):
        Recording.from_frame(np.zeros((3, 2)), subject="A")
