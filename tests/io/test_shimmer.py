"""Tables of a Shimmer, written as Consensys exports them."""

import numpy as np
import pandas as pd
import pytest

from skemo.io import read, read_shimmer

START = 1714555800000.0  # ms
NAMES = ["Timestamp_Unix_CAL", "GSR_Skin_Conductance_CAL", "GSR_Skin_Resistance_CAL", "PPG_A13_CAL"]
UNITS = ["ms", "uS", "kOhms", "mV"]
EDA = 2 + np.arange(256) / 1000


def write(
    path, *, separator="\t", prefix="Shimmer_847A_", formats=False, sep_line=True, **settings
):
    names = settings.get("names", NAMES)
    units = settings.get("units", UNITS)
    lines = [f'"sep={separator}"'] if sep_line else []
    lines.append(separator.join(prefix + name for name in names) + separator)
    if formats:
        lines.append(separator.join(["CAL"] * len(names)) + separator)
    lines.append(separator.join(units) + separator)
    for i, eda in enumerate(EDA):
        cells = {
            "Timestamp_Unix_CAL": f"{START + i * 1000 / 51.2:.4f}",
            "Timestamp_FormattedUnix_CAL": f"2024/05/01 09:30:{i / 51.2:06.3f}",
            "GSR_Skin_Conductance_CAL": f"{eda:.6f}",
            "GSR_Skin_Resistance_CAL": f"{1000 / eda:.6f}",
            "PPG_A13_CAL": f"{1500 + i}",
        }
        lines.append(separator.join(cells.get(name, f"{i}.0") for name in names) + separator)
    path.write_text("\r\n".join(lines) + "\r\n", newline="")
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"separator": ","},
        {"formats": True},
        {"sep_line": False, "prefix": "id95AE_"},
        {"prefix": ""},
    ],
)
def test_calibrated_columns_are_signals_at_the_rate_of_the_timestamps(tmp_path, settings):
    recording = read_shimmer(write(tmp_path / "s.csv", **settings))
    assert recording.sampling_rates == {"eda": 51.2, "ppg": 51.2}
    assert recording.units == {"eda": "µS", "ppg": "mV"}
    np.testing.assert_allclose(recording.signals["eda"][0], EDA, rtol=1e-6)
    assert recording.start_time == pd.Timestamp("2024-05-01 09:30", tz="UTC")


def test_resistance_becomes_conductance_if_there_is_nothing_else(tmp_path):
    names, units = [NAMES[0], NAMES[2]], [UNITS[0], UNITS[2]]
    recording = read(write(tmp_path / "s.csv", names=names, units=units))
    assert recording.units == {"eda": "µS"}
    np.testing.assert_allclose(recording.signals["eda"][0], EDA, rtol=1e-6)


def test_dates_are_read_where_there_are_no_unix_times(tmp_path):
    names = ["Timestamp_FormattedUnix_CAL", *NAMES[1:]]
    units = ["yyyy/mm/dd hh:mm:ss.000", *UNITS[1:]]
    recording = read_shimmer(write(tmp_path / "s.csv", names=names, units=units))
    assert recording.sampling_rates == {"eda": 51.2, "ppg": 51.2}
    assert recording.start_time == pd.Timestamp("2024-05-01 09:30")


def test_axes_and_leads_are_one_modality_and_raw_columns_left_out(tmp_path):
    names = [NAMES[0], *(f"Accel_LN_{axis}_CAL" for axis in "XYZ")]
    names += ["ECG_LL-RA_24BIT_CAL", "ECG_LA-RA_24BIT_CAL", "ECG_LA-RA_24BIT_RAW"]
    units = ["ms", *["m/(s^2)"] * 3, "mV", "mV", "no_units"]
    recording = read_shimmer(write(tmp_path / "s.csv", names=names, units=units))
    assert recording.channels == {
        "acc": ("Accel_LN_X", "Accel_LN_Y", "Accel_LN_Z"),
        "ecg": ("ECG_LL-RA_24BIT", "ECG_LA-RA_24BIT"),
    }
    assert recording.units == {"acc": "m/s²", "ecg": "mV"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"names": NAMES[1:], "units": UNITS[1:]}, "has no calibrated timestamp"),
        ({"names": NAMES[:1], "units": UNITS[:1]}, "has no calibrated signal"),
        (
            {"names": ["time", "eda"], "units": ["s", "uS"], "prefix": ""},
            "is not a Shimmer table",
        ),
    ],
)
def test_error_says_what_the_file_lacks(tmp_path, settings, message):
    path = write(tmp_path / "s.csv", **settings)
    with pytest.raises(ValueError, match=message):
        read_shimmer(path)
