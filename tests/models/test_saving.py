"""Saved classifiers: files that are damaged, hostile or cannot be written."""

import errno
import json
import os
import time

import numpy as np
import pytest
import torch
from networks import windows
from safetensors import safe_open
from safetensors.torch import save_file

from skemo import ModalityAwareAttentionClassifier as Network


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Path, header and tensors of a small network."""
    path = tmp_path_factory.mktemp("saved") / "good.safetensors"
    X, y, _ = windows()
    Network(max_epochs=1, n_filters=2, random_state=0, device="cpu").fit(X, y).save(path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["skemo"])
        return path, header, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


@pytest.fixture
def load(tmp_path):
    """Return a function that loads what a file with this header and these tensors holds."""

    def load(header, tensors):
        path = tmp_path / "other.safetensors"
        save_file(tensors, path, {"skemo": json.dumps(header)})
        return Network.load(path, device="cpu")

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
    with pytest.raises(ValueError, match=r"other.safetensors' is damaged or not a saved Modality"):
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
    with pytest.raises(ValueError, match=r"other.safetensors' is damaged or not a saved Modality"):
        load({**header, name: value}, tensors)


@pytest.mark.parametrize("name", ["classes", "classes_type", "modalities", "parameters"])
def test_a_header_without_a_part_is_refused(saved, load, name):
    _, header, tensors = saved
    header = {key: value for key, value in header.items() if key != name}
    with pytest.raises(ValueError, match=r"other.safetensors' is damaged"):
        load(header, tensors)


@pytest.mark.parametrize("header", [[], "text", 1, None])
def test_a_header_that_is_no_mapping_is_refused(saved, load, header):
    with pytest.raises(ValueError, match=r"other.safetensors' is damaged"):
        load(header, saved[2])


def test_a_header_that_is_nested_without_end_is_refused(saved, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file(saved[2], path, {"skemo": "[" * 100_000})
    with pytest.raises(ValueError, match=r"other.safetensors' is damaged"):
        Network.load(path)


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
    Network.load(saved[0], device="cpu")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 100, bytes(1000)])
def test_a_foreign_file_is_named_with_a_remedy(tmp_path, content):
    path = tmp_path / "foreign.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"foreign.txt' is damaged or not .*save it again"):
        Network.load(path)


@pytest.mark.parametrize("name", ["absent.safetensors", "."])
def test_what_is_not_a_file_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        Network.load(tmp_path / name)


def test_saving_to_a_folder_that_is_missing_says_to_create_it(saved, tmp_path):
    model = Network.load(saved[0], device="cpu")
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent.*create it first"):
        model.save(tmp_path / "absent" / "model.safetensors")


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_says_so(saved, tmp_path, monkeypatch):
    def is_full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    model = Network.load(saved[0], device="cpu")
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", is_full)
    with pytest.raises(OSError, match=r"No space left on device. Free some space .*model.safete"):
        model.save(path)
    assert [x.name for x in tmp_path.iterdir()] == ["model.safetensors"]
    assert path.read_bytes() == b"old"
