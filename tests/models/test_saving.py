"""Saved models: what comes back, and files that are damaged, hostile or cannot be written."""

import errno
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import sklearn
import torch
from networks import windows
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import GradientBoostingClassifier, StackingClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

import skemo
from skemo import ModalityAwareAttentionClassifier as Network
from skemo.datasets import make_emotion_recordings
from skemo.models.base import FusionEstimator
from skemo.models.saving import _trusted


def read_parts(path):
    """Return the header of a file and its other parts."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(parts.pop("skemo.json")), parts


def pack(path, header, parts, **settings):
    """Write a file with checksums that are right, as an attacker would."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    with zipfile.ZipFile(path, "w", **settings) as archive:
        archive.writestr("skemo.json", json.dumps({**header, "sha256": sums}))
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Path, header and tensors of a small network."""
    path = tmp_path_factory.mktemp("saved") / "good.skemo"
    X, y, _ = windows()
    network = Network(max_epochs=1, n_filters=2, random_state=0, device="cpu").fit(X, y)
    skemo.save(network, path)
    header, parts = read_parts(path)
    return path, header["networks"][0], read_tensors(parts["network-0.safetensors"])


@pytest.fixture
def load(saved, tmp_path):
    """Return a function that loads a file with this header of a network and these tensors."""

    def load(network, tensors):
        header, _ = read_parts(saved[0])
        parts = {"network-0.safetensors": tensor_bytes(tensors)}
        path = pack(tmp_path / "other.skemo", {**header, "networks": [network]}, parts)
        return skemo.load(path, device="cpu")

    return load


def with_parameter(header, **changes):
    return {**header, "parameters": {**header["parameters"], **changes}}


@pytest.mark.parametrize(
    "changes",
    [
        {"n_members": 10**9},
        {"depth": 10**6},
        {"depth": 10**6, "n_members": 10**9},
        {"kernel_size": 10**9 + 1},
        {"n_filters": 10**9},
        {"n_filters": 10**4000},
        {"n_members": 2},
        {"depth": -1},
        {"n_filters": "2"},
        {"unknown": 1},
        {"callbacks": ["EarlyStopping"]},
        {"class_weight": {"run": []}},
    ],
    ids=lambda changes: ", ".join(changes),
)
def test_parameters_that_do_not_fit_the_tensors_are_refused_at_once(saved, load, changes):
    _, header, tensors = saved
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"other.skemo' is damaged or not a saved model"):
        load(with_parameter(header, **changes), tensors)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", ["rest"]),
        ("classes", ["task", "rest"]),
        ("classes", ["rest", "rest"]),
        ("classes", [["rest"], ["task"]]),
        ("classes_type", "<U1000000000"),
        ("classes_type", "i4,i4"),
        ("classes_type", "no type"),
        ("modalities", [["ecg", "signal[float32, 1x12, no rate, null]"]]),
        ("modalities", [["ecg", "category"], ["eeg", "category"]]),
        ("modalities", []),
        ("parameters", []),
        ("parameters", {"n_filters": {"list": None}}),
    ],
)
def test_a_header_that_does_not_describe_the_tensors_is_refused(saved, load, name, value):
    _, header, tensors = saved
    with pytest.raises(ValueError, match=r"other.skemo' is damaged or not a saved model"):
        load({**header, name: value}, tensors)


@pytest.mark.parametrize("name", ["classes", "classes_type", "modalities", "parameters"])
def test_a_header_without_a_part_is_refused(saved, load, name):
    _, header, tensors = saved
    header = {key: value for key, value in header.items() if key != name}
    with pytest.raises(ValueError, match=r"other.skemo' is damaged"):
        load(header, tensors)


@pytest.mark.parametrize("header", [[], "text", 1, None])
def test_a_network_header_that_is_not_a_mapping_is_refused(saved, load, header):
    with pytest.raises(ValueError, match=r"other.skemo' is damaged"):
        load(header, saved[2])


@pytest.mark.parametrize("header", ["[" * 100_000, "[]", "1", "{}", "{", '{"format": 1}'])
def test_an_invalid_header_is_refused(tmp_path, header):
    path = tmp_path / "other.skemo"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("skemo.json", header)
    with pytest.raises(ValueError, match=r"other.skemo' is damaged"):
        skemo.load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(saved, load, value):
    _, header, tensors = saved
    with pytest.raises(ValueError, match=r"'network.head.bias' has values that are infinite or N"):
        load(header, {**tensors, "network.head.bias": torch.full((2,), value)})


def test_tensors_that_are_missing_added_or_of_another_shape_are_refused_by_name(saved, load):
    _, header, tensors = saved
    without = {name: values for name, values in tensors.items() if name != "mean.0"}
    for changed, name in [
        (without, "mean.0"),
        ({**tensors, "network.more": torch.zeros(1)}, "network.more"),
        ({**tensors, "network.head.bias": torch.zeros(3)}, "network.head.bias"),
        ({**tensors, "scale.1": torch.ones(7)}, "scale.1"),
    ]:
        with pytest.raises(ValueError, match=f"its tensor '{name}' has the shape"):
            load(header, changed)


def test_a_channel_that_was_never_present_may_have_a_mean_of_nan(saved, load):
    _, header, tensors = saved
    tensors = {**tensors, "mean.0": tensors["mean.0"] * np.nan}
    assert np.isnan(load(header, tensors).mean_["ecg"]).all()


def test_loading_leaves_the_random_state_of_torch_as_it_was(saved):
    state = torch.get_rng_state()
    skemo.load(saved[0], device="cpu")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 100, bytes(1000)])
def test_a_foreign_file_is_named_with_a_remedy(tmp_path, content):
    path = tmp_path / "foreign.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"foreign.txt' is damaged or not .*save it again"):
        skemo.load(path)


@pytest.mark.parametrize("name", ["absent.skemo", "."])
def test_a_path_that_is_not_a_file_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        skemo.load(tmp_path / name)


def test_saving_to_a_missing_folder_says_to_create_it(saved, tmp_path):
    model = skemo.load(saved[0], device="cpu")
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent.*create it first"):
        skemo.save(model, tmp_path / "absent" / "model.skemo")


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_says_so(saved, tmp_path, monkeypatch):
    def is_full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    model = skemo.load(saved[0], device="cpu")
    path = tmp_path / "model.skemo"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", is_full)
    with pytest.raises(OSError, match=r"No space left on device. Free some space .*model.skemo"):
        skemo.save(model, path)
    assert [x.name for x in tmp_path.iterdir()] == ["model.skemo"]
    assert path.read_bytes() == b"old"


def test_a_folder_in_place_of_a_file_is_explained(saved, tmp_path):
    with pytest.raises(OSError, match=r"Could not write: .*\. Add the name of a file: '") as error:
        skemo.save(skemo.load(saved[0], device="cpu"), tmp_path)
    assert error.value.filename == str(tmp_path)
    assert os.listdir(tmp_path) == []


# Whole models


@pytest.fixture(scope="module")
def recorded():
    table = skemo.segment(make_emotion_recordings(n_subjects=4, random_state=0), duration=10)
    return table, table["label"].to_numpy(), table["subject"].to_numpy()


def features():
    parts = skemo.make_modality_transformer(
        ecg=skemo.HRVTransformer(),
        eeg=skemo.DifferentialEntropyTransformer(),
        subject="passthrough",
    )
    return make_pipeline(parts, skemo.PerSubject())


def network_pipeline(make=Network, **settings):
    parts = skemo.make_modality_transformer(
        ecg=skemo.HRVTransformer(output="series"),
        eeg=skemo.DifferentialEntropyTransformer(output="map"),
    )
    settings = {"n_filters": 2, "max_epochs": 1, "random_state": 0, "device": "cpu", **settings}
    return make_pipeline(parts, make(**settings))


WHOLE = {
    "SVM": lambda: skemo.make_svm(features()),
    "random forest": lambda: skemo.make_random_forest(features(), n_estimators=3),
    "LDA": lambda: skemo.make_lda(features()),
    "logistic regression": lambda: skemo.make_logistic_regression(features()),
    "dummy": lambda: skemo.make_dummy(features()),
    "calibrated SVM": lambda: CalibratedClassifierCV(skemo.make_svm(features()), cv=2),
    "calibrated by isotonic regression": lambda: CalibratedClassifierCV(
        skemo.make_lda(features()), method="isotonic", cv=2
    ),
    "search": lambda: GridSearchCV(
        skemo.make_svm(features()),
        {"classifier__C": [0.1, 1]},
        cv=GroupKFold(2),
        scoring="balanced_accuracy",
    ),
    "network": network_pipeline,
    "ensemble": lambda: network_pipeline(n_members=2),
    "search over a network": lambda: GridSearchCV(
        network_pipeline(), {"modalityawareattentionclassifier__lr": [0.01, 0.1]}, cv=2
    ),
    "stack of an SVM and a network": lambda: StackingClassifier(
        [("svm", skemo.make_svm(features())), ("network", network_pipeline())], cv=2
    ),
    "NumPy function": lambda: skemo.make_lda(
        make_pipeline(features(), FunctionTransformer(np.abs))
    ),
}


def fit(model, recorded):
    X, y, groups = recorded
    by_group = isinstance(model, GridSearchCV) and isinstance(model.cv, GroupKFold)
    return model.fit(X, y, **({"groups": groups} if by_group else {}))


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_model_predicts_the_same_after_loading(name, recorded, tmp_path):
    pytest.importorskip("skops")
    model = fit(WHOLE[name](), recorded)
    skemo.save(model, tmp_path / "model.skemo")
    loaded = skemo.load(tmp_path / "model.skemo", device="cpu")
    X = recorded[0]
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X), strict=True)
    if hasattr(model, "predict_proba"):
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_a_baseline_for_numbers_predicts_the_same_after_loading(recorded, tmp_path):
    pytest.importorskip("skops")
    X, y, _ = recorded
    model = skemo.make_ridge(features()).fit(X, 1.0 * (y == y[0]))
    skemo.save(model, tmp_path / "model.skemo")
    loaded = skemo.load(tmp_path / "model.skemo")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_statistics_of_known_subjects_are_kept(recorded, tmp_path):
    pytest.importorskip("skops")
    X = recorded[0][["subject"]].assign(rate=np.random.default_rng(0).normal(size=len(recorded[0])))
    model = skemo.PerSubject().fit(X)
    skemo.save(model, tmp_path / "model.skemo")
    loaded = skemo.load(tmp_path / "model.skemo")
    assert loaded.statistics_.keys() == model.statistics_.keys()
    assert loaded.transform(X[:2]).equals(model.transform(X[:2]))


@pytest.mark.parametrize("name", ["random forest", "network"])
def test_a_model_predicts_the_same_in_another_process(name, recorded, tmp_path):
    pytest.importorskip("skops")
    model = fit(WHOLE[name](), recorded)
    skemo.save(model, tmp_path / "model.skemo")
    recorded[0].to_pickle(tmp_path / "windows.pickle")
    code = (
        "import sys, numpy as np, pandas as pd, skemo\n"
        "model = skemo.load('model.skemo', device='cpu')\n"
        "np.save('found.npy', model.predict_proba(pd.read_pickle('windows.pickle')))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=200)
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_array_equal(found, model.predict_proba(recorded[0]))


def test_the_device_of_networks_is_chosen_on_loading(recorded, tmp_path):
    pytest.importorskip("skops")
    skemo.save(fit(network_pipeline(), recorded), tmp_path / "model.skemo")
    loaded = skemo.load(tmp_path / "model.skemo", device="auto")
    assert loaded[-1].device == "auto"
    with pytest.raises((ValueError, RuntimeError), match="device"):
        skemo.load(tmp_path / "model.skemo", device="no such device")


def test_a_saved_pipeline_does_not_take_its_cache_along(recorded, tmp_path):
    pytest.importorskip("skops")
    model = skemo.make_lda(features()).set_params(memory=str(tmp_path / "cache"))
    skemo.save(fit(model, recorded), tmp_path / "model.skemo")
    assert skemo.load(tmp_path / "model.skemo").memory is None
    assert model.memory is not None


def test_all_estimators_of_skemo_can_be_in_a_file():
    for name, cls in skemo.all_estimators():
        if not issubclass(cls, FusionEstimator):
            assert f"{cls.__module__}.{name}" in _trusted()


def test_code_and_classes_of_the_user_are_not_saved(recorded, tmp_path):
    pytest.importorskip("skops")

    class Mine(DecisionTreeClassifier):
        pass

    path = tmp_path / "model.skemo"
    plain = skemo.make_lda(make_pipeline(features(), FunctionTransformer()))
    for changes, name in [
        ({"features__functiontransformer__func": lambda x: x}, "lambda"),
        ({"features__functiontransformer__func": os.system}, "system"),
        ({"features": features(), "classifier": Mine()}, "Mine"),
    ]:
        model = fit(clone(plain), recorded).set_params(**changes)
        if name == "Mine":
            fit(model, recorded)
        with pytest.raises(TypeError, match=rf"This Pipeline has parts .*{name}"):
            skemo.save(model, path)
    assert not path.exists()


def test_a_network_class_of_the_user_is_not_saved(tmp_path):
    class Mine(Network):
        pass

    X, y, _ = windows()
    model = Mine(max_epochs=1, n_filters=2, random_state=0).fit(X, y)
    with pytest.raises(TypeError, match="Mine is your own class"):
        skemo.save(model, tmp_path / "model.skemo")


def test_an_unfitted_model_or_another_object_is_an_error(tmp_path):
    with pytest.raises(sklearn.exceptions.NotFittedError):
        skemo.save(skemo.make_svm("passthrough"), tmp_path / "model.skemo")
    with pytest.raises(TypeError, match="takes a fitted scikit-learn model, got dict"):
        skemo.save({}, tmp_path / "model.skemo")


def test_without_skops_the_error_says_how_to_install_it(recorded, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    X, y, _ = windows()
    model = Network(max_epochs=1, n_filters=2, random_state=0).fit(X, y)
    skemo.save(model, tmp_path / "model.skemo")  # a network does not need it
    skemo.load(tmp_path / "model.skemo")
    with pytest.raises(ImportError, match=r'pip install "skemo\[save\]"'):
        skemo.save(fit(WHOLE["dummy"](), recorded), tmp_path / "model.skemo")


# Files that want more than to be read


@pytest.fixture(scope="module")
def whole(tmp_path_factory, recorded):
    """Header and parts of a forest after `PerSubject`."""
    pytest.importorskip("skops")
    path = tmp_path_factory.mktemp("saved") / "whole.skemo"
    skemo.save(fit(WHOLE["random forest"](), recorded), path)
    return read_parts(path)


def with_schema(rest, change):
    """Return skops' archive after `change` of its schema, which changes it in place."""
    with zipfile.ZipFile(io.BytesIO(rest)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(parts["schema.json"])
    change(schema)
    parts["schema.json"] = json.dumps(schema).encode()
    return archive_of(parts)


def archive_of(parts, **settings):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **settings) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def node(loader, module, name, **more):
    return {"__loader__": loader, "__module__": module, "__class__": name, "__id__": 1, **more}


def text(value):
    return node("JsonNode", "builtins", "str", content=json.dumps(value), is_json=True) | {
        "__id__": None
    }


def listed(*nodes, kind="list"):
    loader = {"list": "ListNode", "tuple": "TupleNode"}[kind]
    return node(loader, "builtins", kind, content=list(nodes)) | {"__id__": None}


def mapping(keys, **content):
    return node("DictNode", "builtins", "dict", content=content, key_types=keys) | {"__id__": None}


TOUCH = "touch ran-something"
SYSTEM = node("FunctionNode", "os", "system")
REDUCED = node(
    "ConstructorFromReduceNode", "os", "system", content=listed(text(TOUCH), kind="tuple")
)
HOSTILE = {
    "function": SYSTEM,
    "called by a partial": node(
        "PartialNode",
        "functools",
        "partial",
        content={
            "func": SYSTEM,
            "args": listed(text(TOUCH), kind="tuple"),
            "kwds": mapping(listed()),
            "namespace": mapping(listed()),
        },
    ),
    "constructor": REDUCED,
    "constructor of a trusted class": {
        **REDUCED,
        "__module__": "sklearn.preprocessing._function_transformer",
        "__class__": "FunctionTransformer",
    },
    "called with a key": mapping(listed(SYSTEM), **{TOUCH: text("x")}),
    "called with a key by another name": mapping(
        listed({**SYSTEM, "__loader__": "TypeNode"}), **{TOUCH: text("x")}
    ),
    "method": node(
        "MethodNode",
        "builtins",
        "list",
        content={"func": "clear", "obj": listed()},
    ),
    "operator": node("OperatorFuncNode", "operator", "methodcaller", attrs=listed(text("system"))),
    "type": node("ObjectNode", "subprocess", "Popen", content=mapping(listed(), args=text(TOUCH))),
    "module by its path": node("FunctionNode", "posix", "system"),
    "unknown loader": node("PickleNode", "builtins", "eval", content=TOUCH),
    "network without its checks": node(
        "ObjectNode", "skemo.models.modality_aware", "ModalityAwareAttentionClassifier"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_asks_for_code_is_refused_and_runs_nothing(name, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    header, parts = whole

    def put_it_in(schema):
        schema["content"]["content"]["steps"]["content"].append(HOSTILE[name])

    rest = with_schema(parts["model.skops"], put_it_in)
    pack(tmp_path / "hostile.skemo", header, {"model.skops": rest})
    with pytest.raises(ValueError, match=r"hostile.skemo' is damaged or not a saved model"):
        skemo.load(tmp_path / "hostile.skemo")
    assert [x.name for x in tmp_path.iterdir()] == ["hostile.skemo"]


class _Runs:
    def __reduce__(self):
        return os.system, (TOUCH,)


@pytest.mark.parametrize("where", ["file", "model.skops", "array"])
def test_a_pickle_is_not_read(where, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.skemo"
    content = pickle.dumps(_Runs())
    if where == "file":
        path.write_bytes(content)
    elif where == "model.skops":
        pack(path, whole[0], {where: content})
    else:
        array = io.BytesIO()
        np.save(array, np.array([_Runs()], object), allow_pickle=True)
        with zipfile.ZipFile(io.BytesIO(whole[1]["model.skops"])) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        parts = {
            name: array.getvalue() if name.endswith("npy") else part for name, part in parts.items()
        }
        pack(path, whole[0], {"model.skops": archive_of(parts)})
    with pytest.raises(ValueError, match=r"hostile.skemo' is damaged"):
        skemo.load(path)
    assert [x.name for x in tmp_path.iterdir()] == ["hostile.skemo"]


def test_a_part_that_was_changed_is_refused_by_name(saved, whole, tmp_path):
    for (header, parts), name in [
        (read_parts(saved[0]), "network-0.safetensors"),
        (whole, "model.skops"),
    ]:
        content = bytearray(parts[name])
        content[-30] ^= 1
        path = tmp_path / "changed.skemo"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("skemo.json", json.dumps(header))
            archive.writestr(name, bytes(content))
        with pytest.raises(ValueError, match=rf"its part '{name}' was changed"):
            skemo.load(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(share, whole, tmp_path):
    path = pack(tmp_path / "whole.skemo", *whole)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"whole.skemo' is damaged"):
        skemo.load(path)


def test_a_part_that_unpacks_to_more_than_the_file_is_refused_at_once(whole, tmp_path):
    header, parts = whole
    bomb = archive_of({"schema.json": bytes(10**8)}, compression=zipfile.ZIP_DEFLATED)
    for name, given, settings in [
        ("outside", parts, {"compression": zipfile.ZIP_DEFLATED}),
        ("inside", {"model.skops": bomb}, {}),
    ]:
        path = pack(tmp_path / f"{name}.skemo", header, given, **settings)
        with pytest.raises(ValueError, match="its parts are larger than the file"):
            skemo.load(path)


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "model.skops/../x", "network-1.x"])
def test_parts_with_unexpected_names_are_refused_and_not_written(name, whole, tmp_path):
    header, parts = whole
    path = pack(tmp_path / "hostile.skemo", header, {**parts, name: b"x"})
    with pytest.raises(ValueError, match="its parts are"):
        skemo.load(path)
    inside = archive_of({"schema.json": b"{}", name: b"x"})
    path = pack(tmp_path / "hostile.skemo", header, {"model.skops": inside})
    with pytest.raises(ValueError, match="it has the parts"):
        skemo.load(path)
    assert [x.name for x in tmp_path.iterdir()] == ["hostile.skemo"]


def test_an_array_that_claims_to_be_huge_is_refused(whole, tmp_path):
    header, parts = whole
    with zipfile.ZipFile(io.BytesIO(parts["model.skops"])) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        array, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
    )
    inside = {
        name: array.getvalue() if name.endswith("npy") else part for name, part in inside.items()
    }
    path = pack(tmp_path / "huge.skemo", header, {"model.skops": archive_of(inside)})
    with pytest.raises(ValueError, match=r"huge.skemo' is damaged"):
        skemo.load(path)


@pytest.mark.parametrize("name", ["PerSubject", "Other"])
def test_a_network_of_another_class_is_refused(name, saved, load):
    _, network, tensors = saved
    with pytest.raises(ValueError, match=r"other.skemo' is damaged or not a saved model"):
        load({**network, "estimator": name}, tensors)


def change_array(parts, change):
    """Change the first array of a saved model for which `change` returns another one."""
    with zipfile.ZipFile(io.BytesIO(parts["model.skops"])) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    for name in sorted(inside):
        if name.endswith("npy"):
            changed = change(np.load(io.BytesIO(inside[name])))
            if changed is not None:
                buffer = io.BytesIO()
                np.save(buffer, changed)
                inside[name] = buffer.getvalue()
                return {"model.skops": archive_of(inside)}
    raise AssertionError("no such array")


def set_node(field, value):
    def change(array):
        if array.dtype.names and field in array.dtype.names and len(array) > 1:
            array[field][0] = value
            return array
        return None

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (set_node("left_child", 10**6), "invalid children"),
        (set_node("right_child", 0), "invalid children"),
        (set_node("left_child", -1), "invalid children"),
        (set_node("feature", 10**6), "invalid feature"),
        (set_node("feature", -5), "invalid feature"),
        (lambda x: x[:0] if x.dtype.names else None, "wrong size"),
        (lambda x: x[:1] if x.ndim == 3 else None, "wrong size"),
        (lambda x: 10**12 * x if x.shape == (1,) and x.dtype == np.intp else None, "wrong size"),
    ],
)
def test_trees_with_invalid_nodes_are_refused(change, why, whole, tmp_path):
    header, parts = whole
    path = pack(tmp_path / "hostile.skemo", header, change_array(parts, change))
    with pytest.raises(ValueError, match=rf"a tree has .*{why}"):
        skemo.load(path)


def test_support_vectors_of_the_wrong_size_are_refused(recorded, tmp_path):
    pytest.importorskip("skops")
    path = tmp_path / "model.skemo"
    model = fit(WHOLE["SVM"](), recorded)
    skemo.save(model, path)
    header, parts = read_parts(path)
    n_vectors = len(model[-1].support_)

    def cut(array):
        return array[:, :-1] if array.ndim == 2 and array.shape == (1, n_vectors) else None

    pack(path, header, change_array(parts, cut))
    with pytest.raises(ValueError, match=r"a support vector machine has .*dual_coef_ of the wrong"):
        skemo.load(path)


def test_trees_that_cannot_be_checked_are_not_saved(recorded, tmp_path):
    pytest.importorskip("skops")
    boosting = GradientBoostingClassifier(n_estimators=2)
    model = fit(skemo.make_lda(features()).set_params(classifier=boosting), recorded)
    with pytest.raises(TypeError, match="GradientBoostingClassifier is not saved"):
        skemo.save(model, tmp_path / "model.skemo")


# Versions


@pytest.mark.parametrize("name", ["skemo", "scikit-learn"])
def test_the_warning_about_another_version_names_it(name, whole, tmp_path):
    header, parts = whole
    header = {**header, "versions": {**header["versions"], name: "0.0.1"}}
    path = pack(tmp_path / "old.skemo", header, parts)
    with pytest.warns(UserWarning, match=rf"old.skemo' was saved with {name} 0.0.1, and this is"):
        skemo.load(path)


def test_the_error_for_a_newer_format_says_to_update(saved, tmp_path):
    header, parts = read_parts(saved[0])
    header |= {"format": 2, "versions": {**header["versions"], "skemo": "9.0"}}
    path = pack(tmp_path / "new.skemo", header, {**parts, "more": b""})
    with pytest.raises(ValueError, match=r"by skemo 9\.0, in a newer format .*update skemo"):
        skemo.load(path)


def test_other_versions_inside_the_file_give_only_one_warning(whole, tmp_path):
    header, parts = whole
    header = {**header, "versions": {**header["versions"], "scikit-learn": "1.7.0"}}
    with zipfile.ZipFile(io.BytesIO(parts["model.skops"])) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["schema.json"] = files["schema.json"].replace(sklearn.__version__.encode(), b"1.7.0")
    path = pack(tmp_path / "old.skemo", header, {"model.skops": archive_of(files)})
    with pytest.warns(UserWarning, match="was saved with scikit-learn 1.7.0") as found:
        skemo.load(path)
    assert len(found) == 1
