"""Records of PhysioNet, written with wfdb, and a recorded one."""

import numpy as np
import pytest

from skemo.io import read, read_wfdb

wfdb = pytest.importorskip("wfdb")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wfdb")


def test_a_recorded_ecg_has_its_leads_and_annotated_beats(data_home):
    recording = read_wfdb(data_home / "mitdb" / "100", beats="atr")
    assert recording.channels == {"ecg": ("MLII", "V5")}
    assert recording.sampling_rates == {"ecg": 360}
    assert recording.units == {"ecg": "mV"}
    assert recording.signals["ecg"].shape == (2, 650_000)
    assert len(recording.beats["atr"]) == 2273  # as the data base lists
    assert recording.subject == "100"


def test_a_header_or_its_data_file_are_recognised(data_home):
    one = read(data_home / "mitdb" / "100.hea")
    other = read(data_home / "mitdb" / "100.dat", subject="A")
    np.testing.assert_array_equal(one.signals["ecg"], other.signals["ecg"])


def test_signals_of_several_kinds_are_modalities_and_chosen_by_name(tmp_path):
    samples = np.round(np.random.default_rng(0).normal(size=(500, 3)), 2)
    wfdb.wrsamp(
        "r1",
        fs=125,
        units=["mV", "NU", "mV"],
        sig_name=["II", "PLETH", "V"],
        p_signal=samples,
        fmt=["16"] * 3,
        write_dir=str(tmp_path),
    )
    recording = read_wfdb(tmp_path / "r1.hea")
    assert recording.channels == {"ecg": ("II",), "ppg": ("PLETH",), "v": ("V",)}
    np.testing.assert_allclose(recording.signals["ecg"][0], samples[:, 0], atol=1e-4)
    chosen = read_wfdb(tmp_path / "r1", modalities={"ecg": ["II", "V"]})
    assert chosen.channels == {"ecg": ("II", "V")}
    with pytest.raises(ValueError, match=r"r1 has no channel 'RESP' for 'resp'"):
        read_wfdb(tmp_path / "r1", modalities={"resp": ["RESP"]})


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"r2.hea, the header of the record, does not exis"):
        read_wfdb(tmp_path / "r2")
    (tmp_path / "r3.hea").write_text("r3 1 360 100\nr3.dat 16 200 16 0 0 0 0 MLII\n")
    with pytest.raises(FileNotFoundError, match=r"r3.hea refers to a missing file"):
        read_wfdb(tmp_path / "r3")
    (tmp_path / "r4.hea").write_text("nonsense\n")
    with pytest.raises(ValueError, match=r"r4 cannot be read as a WFDB record"):
        read_wfdb(tmp_path / "r4")
