"""The WESAD loader: files as Python 2 wrote them, what cannot be read, and hostile files."""

import pickle
import struct
import warnings

import numpy as np
import pytest

from skemo import (
    AccelerometerTransformer,
    EMGTransformer,
    RespirationTransformer,
    TemperatureTransformer,
    make_modality_transformer,
    segment,
)
from skemo.datasets.wesad import SUBJECTS, load_wesad

SECONDS = 40
RATES = {
    "chest": dict.fromkeys(["ACC", "ECG", "EMG", "EDA", "Temp", "Resp"], 700),
    "wrist": {"ACC": 32, "BVP": 64, "EDA": 4, "TEMP": 4},
}
# Seconds of each label: other time around them, one label that is to be ignored.
RUNS = [(0, 5), (1, 10), (0, 2), (3, 6), (7, 2), (4, 3), (0, 1), (2, 8), (4, 2), (0, 1)]


# A writer of pickles with the opcodes that Python 2's cPickle writes in protocol 2


def py2_string(text):
    if len(text) < 256:
        return b"U" + bytes([len(text)]) + text
    return b"T" + struct.pack("<i", len(text)) + text


def py2_integer(value):
    return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)


def py2_dtype(code, order="<"):
    state = b"(K\x03" + py2_string(order.encode()) + b"NNN" + 2 * py2_integer(-1) + b"K\x00t"
    return b"cnumpy\ndtype\n" + py2_string(code.encode()) + b"K\x00K\x01\x87R" + state + b"b"


def py2_array(array, *, dtype=None, raw=None):
    array = np.asarray(array)
    shape = b"".join(map(py2_integer, array.shape)) + {1: b"\x85", 2: b"\x86"}[array.ndim]
    is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    dtype = py2_dtype(array.dtype.str[1:], array.dtype.str[0]) if dtype is None else dtype
    raw = py2_string(array.tobytes("A")) if raw is None else raw
    new = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    return new + b"(K\x01" + shape + dtype + (b"\x88" if is_fortran else b"\x89") + raw + b"tb"


def py2_value(value):
    """Return the opcodes of a value; bytes are taken for opcodes."""
    if isinstance(value, dict):
        items = [py2_string(key.encode()) + py2_value(item) for key, item in value.items()]
        return b"}(" + b"".join(items) + b"u"
    if isinstance(value, str):
        return py2_string(value.encode())
    return value if isinstance(value, bytes) else py2_array(value)


def py2_pickle(value):
    return b"\x80\x02" + py2_value(value) + b"."


# A small data set in the published layout


def make_content(subject, seconds=SECONDS):
    rng = np.random.default_rng(SUBJECTS.index(subject))
    signal = {
        device: {
            field: rng.normal(size=(seconds * rate, 3 if field == "ACC" else 1))
            for field, rate in rates.items()
        }
        for device, rates in RATES.items()
    }
    signal["chest"]["Temp"] = signal["chest"]["Temp"].astype("float32")
    signal["wrist"]["ACC"] = np.asfortranarray(signal["wrist"]["ACC"])
    label = np.concatenate([np.full(700 * n, number, "int32") for number, n in RUNS])
    return {"signal": signal, "label": label, "subject": subject}


def write(folder, subject, content):
    (folder / subject).mkdir(exist_ok=True)
    path = folder / subject / f"{subject}.pkl"
    path.write_bytes(content if isinstance(content, bytes) else py2_pickle(content))
    return path


@pytest.fixture
def folder(tmp_path):
    for subject in ("S2", "S17"):
        write(tmp_path, subject, make_content(subject))
    return tmp_path


def test_the_test_files_are_pickles_of_numpy_arrays(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy tells that its modules have other names now
        with (folder / "S2" / "S2.pkl").open("rb") as file:
            content = pickle.load(file, encoding="latin1")
    expected = make_content("S2")
    assert content["subject"] == "S2"
    np.testing.assert_array_equal(content["label"], expected["label"])
    assert content["label"].dtype == "int32"
    for device, fields in expected["signal"].items():
        for field, values in fields.items():
            np.testing.assert_array_equal(content["signal"][device][field], values)


# What is read


def test_each_subject_is_a_recording_in_the_requested_order(folder):
    recordings = load_wesad(folder, subjects=["S17", "S2"])
    assert [(r.subject, r.trial) for r in recordings] == [("S17", ""), ("S2", "")]


def test_s1_and_s12_are_not_subjects():
    assert len(SUBJECTS) == 15
    assert not {"S1", "S12"} & set(SUBJECTS)


@pytest.mark.parametrize(
    ("device", "field_of", "rates", "units"),
    [
        (
            "chest",
            {
                "ecg": "ECG",
                "eda": "EDA",
                "emg": "EMG",
                "resp": "Resp",
                "temp": "Temp",
                "acc": "ACC",
            },
            dict.fromkeys(["ecg", "eda", "emg", "resp", "temp", "acc"], 700.0),
            {"ecg": "mV", "eda": "µS", "emg": "mV", "resp": "%", "temp": "°C", "acc": "g"},
        ),
        (
            "wrist",
            {"ppg": "BVP", "eda": "EDA", "temp": "TEMP", "acc": "ACC"},
            {"ppg": 64.0, "eda": 4.0, "temp": 4.0, "acc": 32.0},
            {"ppg": None, "eda": "µS", "temp": "°C", "acc": "1/64 g"},
        ),
    ],
)
def test_signals_have_the_published_values_rates_and_units(folder, device, field_of, rates, units):
    (recording,) = load_wesad(folder, device=device, modalities=list(field_of), subjects="S2")
    written = make_content("S2")["signal"][device]
    assert recording.sampling_rates == rates
    assert recording.units == units
    assert recording.channels["acc"] == ("x", "y", "z")
    for name, field in field_of.items():
        assert recording.signals[name].dtype == "float32"
        assert recording.signals[name].flags.c_contiguous
        np.testing.assert_array_equal(recording.signals[name], written[field].T.astype("f4"))


def test_the_default_modalities_are_heart_and_skin(folder):
    assert [*load_wesad(folder, subjects="S2")[0].signals] == ["ecg", "eda"]
    assert [*load_wesad(folder, subjects="S2", device="wrist")[0].signals] == ["eda", "ppg"]


@pytest.mark.parametrize(
    ("device", "names"), [("chest", ("resp", "temp", "acc", "emg")), ("wrist", ("temp", "acc"))]
)
def test_respiration_temperature_motion_and_muscle_have_features_by_their_names(
    tmp_path, device, names
):
    content = make_content("S2")
    signal = content["signal"]
    seconds = np.arange(SECONDS * 700) / 700
    signal["chest"]["Resp"] = 10 * np.sin(np.pi * seconds)[:, np.newaxis]
    for of_device, field in (("chest", "Temp"), ("wrist", "TEMP")):
        signal[of_device][field] = 33 + 0.1 * signal[of_device][field]
    signal["chest"]["ACC"] = 0.1 * signal["chest"]["ACC"] + np.array([0, 0.6, 0.8])
    signal["wrist"]["ACC"] = np.round(6.4 * signal["wrist"]["ACC"] + np.array([0, 38, 51]))
    write(tmp_path, "S2", content)
    recordings = load_wesad(tmp_path, subjects="S2", device=device, modalities=names)
    windows = segment(recordings, 7, step=1)
    features = {
        "resp": RespirationTransformer(features=["RSP_Rate_Mean"]),
        "temp": TemperatureTransformer(),
        "acc": AccelerometerTransformer(),
        "emg": EMGTransformer(features="amplitude"),
    }
    features = make_modality_transformer(**{name: features[name] for name in names})
    table = features.fit_transform(windows)
    assert table.notna().all(axis=None)
    # In g by either device.
    np.testing.assert_allclose(table["ACC_Activity"], 0.1 * np.sqrt(3), rtol=0.15)
    if "resp" in names:
        np.testing.assert_allclose(table["RSP_Rate_Mean"], 30, rtol=0.02)


def test_big_endian_numbers_are_read(folder):
    content = make_content("S2")
    content["signal"]["chest"]["ECG"] = content["signal"]["chest"]["ECG"].astype(">f8")
    expected = load_wesad(folder, subjects="S2")[0].signals["ecg"]
    write(folder, "S2", content)
    np.testing.assert_array_equal(load_wesad(folder, subjects="S2")[0].signals["ecg"], expected)


def test_labels_are_the_runs_of_the_label_series_in_seconds(folder):
    (recording,) = load_wesad(folder, subjects="S2")
    assert recording.labels == (
        (5.0, 15.0, "baseline"),
        (17.0, 23.0, "amusement"),
        (29.0, 37.0, "stress"),
    )


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (
            ("baseline", "stress", "amusement", "meditation"),
            ["baseline", "amusement", "meditation", "stress", "meditation"],
        ),
        (["meditation", "stress"], ["meditation", "stress", "meditation"]),
        ("binary", ["non-stress", "non-stress", "stress"]),
        (
            {"baseline": "calm", "meditation": "calm", "stress": "not"},
            ["calm", "calm", "not", "calm"],
        ),
    ],
)
def test_classes_select_and_merge_labels(folder, classes, expected):
    (recording,) = load_wesad(folder, subjects="S2", classes=classes)
    assert [label for *_, label in recording.labels] == expected


def test_neighbouring_labels_of_one_class_are_one_run(folder):
    content = make_content("S2")
    content["label"] = np.repeat(np.array([1, 3, 2], "int32"), [7000, 7000, 14000])
    write(folder, "S2", content)
    (recording,) = load_wesad(folder, subjects="S2", classes="binary")
    assert recording.labels == ((0.0, 20.0, "non-stress"), (20.0, 40.0, "stress"))


@pytest.mark.parametrize("device", ["chest", "wrist"])
def test_windows_are_those_that_lie_in_a_label(folder, device):
    windows = segment(load_wesad(folder, device=device, subjects=["S2", "S17"]), 2.0, step=1.0)
    windows = windows[windows["subject"] == "S17"]
    assert windows["label"].value_counts().to_dict() == {"baseline": 9, "stress": 7, "amusement": 5}
    assert windows["start"].tolist() == [*range(5, 14), *range(17, 22), *range(29, 36)]
    rate = RATES[device]["EDA"]
    expected = make_content("S17")["signal"][device]["EDA"][5 * rate : 7 * rate].T
    np.testing.assert_array_equal(windows["eda"].array.values[0], expected.astype("f4"))


def test_subjects_are_read_one_by_one_when_lazy(folder):
    (folder / "S17" / "S17.pkl").unlink()
    recordings = load_wesad(folder, subjects=["S2", "S17"], lazy=True)
    assert next(recordings).subject == "S2"
    with pytest.raises(FileNotFoundError, match=r"S17.pkl is missing"):
        next(recordings)


def test_several_processes_read_the_same_recordings(folder):
    one, two = (load_wesad(folder, subjects=["S2", "S17"], n_jobs=n) for n in (None, 2))
    assert [r.subject for r in two] == ["S2", "S17"]
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.signals["ecg"], b.signals["ecg"])


# What cannot be read


@pytest.mark.parametrize("home", [".", "S2", "absent"])
def test_a_folder_without_the_files_is_an_error_that_says_which(folder, home):
    home = folder.parent if home == "." else folder / home
    for lazy in (False, True):
        with pytest.raises(FileNotFoundError, match=r"none of the files S2/S2.pkl .*data_home="):
            load_wesad(home, lazy=lazy)


def test_everyone_is_read_by_default(folder):
    with pytest.raises(FileNotFoundError, match=r"S3.S3.pkl is missing. Put it there, select"):
        load_wesad(folder)


def test_subjects_that_cannot_be_read_are_skipped_with_a_report(folder):
    path = folder / "S17" / "S17.pkl"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"Skipped 14 of 15 (.|\n)*'S17': .*cannot be read"):
        recordings = load_wesad(folder, on_error="skip")
    assert [r.subject for r in recordings] == ["S2"]


@pytest.mark.parametrize("keep", [0, 1, 2, 20, 1000, 100_000, -200_000, -1])
def test_a_truncated_file_is_an_error_with_a_remedy(folder, keep):
    path = folder / "S2" / "S2.pkl"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"S2.pkl cannot be read: .+\. Extract it again from"):
        load_wesad(folder, subjects="S2")


def test_a_file_that_is_not_a_pickle_is_an_error(folder):
    write(folder, "S2", b"<html>not found</html>")
    with pytest.raises(ValueError, match=r"S2.pkl cannot be read: .+\. Extract it again from"):
        load_wesad(folder, subjects="S2")


def without(content, *keys):
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return content


def with_chest(content, **fields):
    content["signal"]["chest"] |= fields
    return content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: without(c, "label"), "label is missing"),
        (lambda c: without(c, "subject"), "subject is missing"),
        (lambda c: without(c, "signal", "chest"), "signal/chest/ECG is missing"),
        (lambda c: without(c, "signal", "chest", "EDA"), "signal/chest/EDA is missing"),
        (lambda c: c | {"subject": "S3"}, "its subject is 'S3'"),
        (lambda c: c | {"signal": "none"}, "signal/chest/ECG is missing"),
        (lambda c: c["label"], "subject is missing"),
        (lambda c: c | {"label": c["label"] + 5}, r"numbers 0 to 7, .* the values \[8, 9, 12\]"),
        (lambda c: c | {"label": c["label"] * np.nan}, r"numbers 0 to 7, .* the values \[nan\]"),
        (
            lambda c: c | {"label": c["label"][:, None]},
            r"numbers 0 to 7, but has shape \(28000, 1\)",
        ),
        (lambda c: c | {"label": "none"}, r"label is not an array of numbers \(found str\)"),
        (
            lambda c: c | {"label": c["label"][:-1]},
            "signal/chest/ECG has 28000 samples at 700 Hz, and label has 27999 at 700 Hz",
        ),
        (
            lambda c: with_chest(c, EDA=np.zeros((27000, 1))),
            "signal/chest/EDA has 27000 samples at 700 Hz, and label has 28000",
        ),
        (
            lambda c: with_chest(c, ECG=np.zeros(28000)),
            r"signal/chest/ECG should have shape \(n, 1\), but has \(28000,\)",
        ),
        (
            lambda c: with_chest(c, ECG=py2_array(np.zeros((9, 1)), raw=b"U\x04abcd")),
            "signal/chest/ECG is not an array of numbers",
        ),
        (
            lambda c: with_chest(c, ECG=py2_array(np.zeros((9, 1)), raw=b"N")),
            "signal/chest/ECG is not an array of numbers",
        ),
        (
            lambda c: with_chest(c, ECG=b"cnumpy\nndarray\n"),
            "signal/chest/ECG is not an array of numbers",
        ),
    ],
)
def test_a_file_that_is_not_as_published_is_an_error(folder, change, message):
    write(folder, "S2", change(make_content("S2")))
    with pytest.raises(ValueError, match=rf"S2.pkl is not as published: .*{message}.*Extract it"):
        load_wesad(folder, subjects="S2")


def test_a_wrist_signal_may_end_within_a_second_of_the_labels(folder):
    content = make_content("S2")
    content["signal"]["wrist"]["BVP"] = content["signal"]["wrist"]["BVP"][:-40]
    write(folder, "S2", content)
    (recording,) = load_wesad(folder, subjects="S2", device="wrist")
    assert recording.duration == SECONDS - 40 / 64
    content["signal"]["wrist"]["BVP"] = content["signal"]["wrist"]["BVP"][:-40]
    write(folder, "S2", content)
    with pytest.raises(ValueError, match="signal/wrist/BVP has 2480 samples at 64 Hz, and label"):
        load_wesad(folder, subjects="S2", device="wrist")


def test_a_recording_without_any_of_the_classes_is_an_error(folder):
    write(folder, "S2", make_content("S2") | {"label": np.zeros(28000, "int32")})
    with pytest.raises(ValueError, match=r"no sample of label has any .*'amusement', 'baseline'"):
        load_wesad(folder, subjects="S2")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"device": "ankle"}, "device must be 'chest' or 'wrist', got 'ankle'"),
        ({"classes": "stress"}, "classes must be 'binary', .* got 'stress'"),
        ({"classes": ["stress"]}, r"at least two of .* got \['stress'\]"),
        ({"classes": ["stress", "joy"]}, r"classes must be .* got \['stress', 'joy'\]"),
        ({"classes": {"stress": "a", "baseline": "a"}}, "at least two names, got {'stress': 'a',"),
        ({"classes": {"stress": 1, "baseline": 0}}, "at least two names, got {'stress': 1,"),
        ({"modalities": ["ppg"]}, r"modalities must be among \['ecg', .*, got \['ppg'\]"),
        ({"modalities": []}, "modalities must be among"),
        ({"subjects": ["S12"]}, r"subjects must be among the 15 from 'S2' to 'S17', got \['S12'\]"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'skip'"),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_an_invalid_parameter_is_named_at_once(folder, parameters, message, lazy):
    with pytest.raises(ValueError, match=message):
        load_wesad(folder, **parameters, lazy=lazy)


# Hostile files


def call(module, name, *arguments):
    """Return the opcodes of a call, as produced by a hostile __reduce__."""
    return f"c{module}\n{name}\n(".encode() + b"".join(map(py2_value, arguments)) + b"tR"


def calls(path):
    """Return calls that would create a file, by the global that they need first."""
    code = f"open({str(path)!r}, 'w').close()"
    shell = f"touch {path}"
    return {
        "posix.system": call("posix", "system", shell),
        "os.system": call("os", "system", shell),
        "subprocess.Popen": call("subprocess", "Popen", shell),
        "__builtin__.eval": call("__builtin__", "eval", code),
        "builtins.eval": call("builtins", "eval", code),
        "builtins.exec": call("builtins", "exec", code),
        "builtins.getattr": call("builtins", "getattr", b"cnumpy\nndarray\n", "__class__"),
        "numpy.testing._private.utils.runstring": call(
            "numpy.testing._private.utils", "runstring", code, {}
        ),
        "numpy.f2py.crackfortran.myeval": call("numpy.f2py.crackfortran", "myeval", code),
        "numpy.load": call("numpy", "load", str(path)),
        "numpy.os.system": call("numpy", "os.system", shell),
        "numpy.ndarray.__class__": call("numpy", "ndarray.__class__"),
        "numpy.core.multiarray.os": call("numpy.core.multiarray", "os"),
        "numpy.core.multiarray.scalar": call("numpy.core.multiarray", "scalar"),
        "_codecs.encode": call("_codecs", "encode", "a", "rot13"),
        "_codecs.decode": call("_codecs", "decode", "a", "latin1"),
        "numpy._core.numeric.os": call("numpy._core.numeric", "os"),
        "copy_reg._reconstructor": call("copy_reg", "_reconstructor"),
        "skemo.datasets.pickles.pickle": call("skemo.datasets.pickles", "pickle"),
    }


@pytest.mark.parametrize("name", [*calls("")])
def test_a_pickle_with_another_global_is_refused_and_runs_nothing(folder, name):
    made = folder / "made"
    content = make_content("S2") | {"extra": calls(made)[name]}
    write(folder, "S2", content)
    with pytest.raises(ValueError, match=rf"S2.pkl cannot be read: it contains '{name}'"):
        load_wesad(folder, subjects="S2")
    assert not made.exists()


def test_a_hostile_pickle_runs_code_if_read_by_pickle_load(tmp_path):
    made = tmp_path / "made"
    pickle.loads(py2_pickle({"extra": calls(made)["builtins.exec"]}))
    assert made.exists()


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        (b"\x82\x01", "unregistered extension code 1"),
        (b"U\x01aQ", "persistent"),
        # State for a class itself, which would change it for all later files.
        (b"cnumpy\nndarray\nN}U\x06valuesU\x01as\x86b", "__setstate__"),
        (b"cnumpy\ndtype\nN}U\x06valuesU\x01as\x86b", "__setstate__"),
        (b"c_codecs\nencode\nN}U\x06valuesU\x01as\x86b", "__setstate__"),
        (b"cnumpy._core.numeric\n_frombuffer\nN}U\x06valuesU\x01as\x86b", "__setstate__"),
    ],
)
def test_other_hostile_opcodes_are_errors(folder, opcodes, message):
    write(folder, "S2", make_content("S2") | {"extra": opcodes})
    with pytest.raises(ValueError, match=rf"S2.pkl cannot be read: .*{message}"):
        load_wesad(folder, subjects="S2")
    assert load_wesad(folder, subjects="S17")[0].subject == "S17"


@pytest.mark.parametrize("code", ["O8", "O", "V8", "S8", "U2", "M8", "c16", "f8,O", "(2,)O"])
def test_an_array_of_anything_but_numbers_is_refused(folder, code):
    # A pickle can clear the flag by which NumPy knows an object array, so that these bytes
    # would pass for numbers and be taken for the address of an object.
    address = py2_array(np.zeros((1, 1)), dtype=py2_dtype(code, "|"), raw=b"U\x08AAAAAAAA")
    write(folder, "S2", with_chest(make_content("S2"), ECG=address))
    with pytest.raises(
        ValueError, match=r"S2.pkl cannot be read: .*but only arrays of numbers are allowed"
    ):
        load_wesad(folder, subjects="S2")


# Other forms of the published files


def py0_value(value):
    """Return opcodes of protocol 0, the default of Python 2, in which strings are escaped."""
    if isinstance(value, dict):
        items = [py0_value(key) + py0_value(item) + b"s" for key, item in value.items()]
        return b"(d" + b"".join(items)
    if isinstance(value, str):
        return b"S" + repr(value).encode() + b"\n"
    shape = b"(" + b"".join(b"I%d\n" % n for n in value.shape) + b"t"
    code, order = value.dtype.str[1:], value.dtype.str[0]
    dtype = b"cnumpy\ndtype\n(S'%s'\nI0\nI1\ntR" % code.encode()
    dtype += b"(I3\nS'%s'\nNNNI-1\nI-1\nI0\ntb" % order.encode()
    raw = b"S" + repr(value.tobytes())[1:].encode() + b"\n"
    new = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    return new + b"(I1\n" + shape + dtype + b"I00\n" + raw + b"tb"


def test_a_file_of_protocol_0_is_read_the_same(tmp_path):
    content = make_content("S2")
    content["signal"]["wrist"]["ACC"] = np.ascontiguousarray(content["signal"]["wrist"]["ACC"])
    write(tmp_path, "S2", content)
    (expected,) = load_wesad(tmp_path, subjects="S2")
    write(tmp_path, "S2", py0_value(content) + b".")
    (recording,) = load_wesad(tmp_path, subjects="S2")
    assert recording.labels == expected.labels
    for name, signal in expected.signals.items():
        np.testing.assert_array_equal(recording.signals[name], signal)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_a_file_pickled_again_by_python_3_is_read_the_same(folder, protocol, core):
    names = {"device": "wrist", "subjects": "S2", "modalities": ["acc", "ppg"]}
    (expected,) = load_wesad(folder, **names)
    again = pickle.dumps(make_content("S2"), protocol=protocol)
    if protocol < 4:  # in later ones, the length of a name stands before it
        again = again.replace(b"cnumpy._core.", f"c{core}.".encode())
    write(folder, "S2", again)
    (recording,) = load_wesad(folder, **names)
    assert recording.labels == expected.labels
    for name, signal in expected.signals.items():
        np.testing.assert_array_equal(recording.signals[name], signal)


@pytest.mark.parametrize("protocol", range(6))
def test_other_objects_pickled_by_python_3_are_refused(folder, protocol):
    content = make_content("S2") | {"extra": np.array([None])}
    write(folder, "S2", pickle.dumps(content, protocol=protocol))
    with pytest.raises(ValueError, match="an array of 'O8', but only arrays of numbers"):
        load_wesad(folder, subjects="S2")
    write(folder, "S2", pickle.dumps(make_content("S2") | {"extra": print}, protocol=protocol))
    with pytest.raises(ValueError, match=r"it contains '.*print', which could run arbitrary code"):
        load_wesad(folder, subjects="S2")


def test_a_pickle_of_an_unknown_protocol_is_refused(folder):
    write(folder, "S2", b"\x80\x06" + pickle.dumps({"subject": "S2"}, protocol=2)[2:])
    with pytest.raises(ValueError, match="its pickle protocol, 6, is not supported"):
        load_wesad(folder, subjects="S2")


@pytest.mark.parametrize("code", [b"\x95", b"\x8e", b"\x8d", b"\x96"])
def test_a_length_beyond_the_end_is_refused_before_memory_is_allocated(folder, code):
    content = b"\x80\x05" + code + struct.pack("<Q", 2**40) + b"abc."
    write(folder, "S2", content)
    with pytest.raises(ValueError, match="it is truncated, or has a length of 1099511627776 bytes"):
        load_wesad(folder, subjects="S2")


def test_a_subject_that_is_not_a_string_is_named_by_its_type(tmp_path):
    content = py2_pickle({"signal": {}, "label": np.zeros(3, "int32"), "subject": "S2"})
    name, value = py2_string(b"subject"), py2_string(b"S2")
    write(tmp_path, "S2", content.replace(name + value, name + b"]"))
    with pytest.raises(ValueError, match="its subject is list"):
        load_wesad(tmp_path, subjects="S2")


def test_signals_are_writable_and_each_subject_is_loaded_once(folder):
    recordings = load_wesad(folder, subjects=["S2", "S17", "S2"], modalities=["ecg", "temp"])
    assert [recording.subject for recording in recordings] == ["S2", "S17"]
    assert all(x.flags.writeable for r in recordings for x in r.signals.values())
