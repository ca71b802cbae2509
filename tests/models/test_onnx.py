"""Networks as ONNX files: ONNX Runtime gives the predictions of skemo."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import Averages
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

import skemo
from skemo import (
    CrossModalAttentionClassifier,
    CrossModalAttentionRegressor,
    FusionClassifier,
    ModalityAwareAttentionClassifier,
    ModalityAwareAttentionRegressor,
    SignalArray,
    signal_frame,
)

MODALITY_AWARE = {"depth": 1, "n_filters": 4}
CROSS_MODAL = {"n_blocks": 2, "kernel_size": 3, "stages": (1,), "n_filters": 4}
QUICK = {"max_epochs": 2, "batch_size": 32, "device": "cpu", "random_state": 0}


def make_windows(n_windows, seed=0):
    """Windows of which some lack a modality or samples, or end in padding, and their numbers."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n_windows)
    ecg = rng.normal(size=(n_windows, 1, 300)) + level[:, None, None]
    eda = 3 + 0.2 * rng.normal(size=(n_windows, 2, 40)) + level[:, None, None]
    ecg[::3, :, 200:] = 0  # padding
    eda[::4, 0, 5:9] = np.nan
    eda[::6, 1] = np.nan
    ecg[::5] = np.nan
    eda[1::5] = np.nan
    ecg, eda = ecg.astype(np.float32), eda.astype(np.float32)
    names = ["left", "right"]
    return (
        signal_frame(ecg=SignalArray(ecg), eda=SignalArray(eda, sampling_rate=4, channels=names)),
        {"ecg": ecg, "eda": eda},
        level,
    )


def two_classes(level):
    return np.where(level > 0, "high", "low")


def four_ratings(level):
    return np.digitize(level, [-1, 0, 1])


def two_targets(level):
    return np.stack([two_classes(level), four_ratings(level).astype(str)], axis=1)


def two_numbers(level):
    return np.stack([5 + 2 * level, 80 - 10 * level], axis=1)


CASES = {
    "modality-aware": (ModalityAwareAttentionClassifier, MODALITY_AWARE, two_classes),
    "cross-modal": (CrossModalAttentionClassifier, CROSS_MODAL, two_classes),
    "ensemble for several targets": (
        ModalityAwareAttentionClassifier,
        {**MODALITY_AWARE, "n_members": 2},
        two_targets,
    ),
    "ordinal": (CrossModalAttentionClassifier, {**CROSS_MODAL, "loss": "ordinal"}, four_ratings),
    "numbers": (ModalityAwareAttentionRegressor, MODALITY_AWARE, lambda level: 5 + 2 * level),
    "ensemble for several numbers": (
        CrossModalAttentionRegressor,
        {**CROSS_MODAL, "n_members": 2},
        two_numbers,
    ),
    "module of ones own": (FusionClassifier, {"module": Averages}, two_classes),
}


@pytest.fixture
def runtime():
    """Return a function that opens a file in ONNX Runtime, with one thread."""
    pytest.importorskip("torch", minversion="2.13")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return lambda path: onnxruntime.InferenceSession(path, options)


@pytest.mark.parametrize("name", CASES)
def test_onnx_runtime_gives_the_same_predictions_for_1000_windows(name, runtime, tmp_path):
    make, settings, targets_of = CASES[name]
    X, _, level = make_windows(64)
    model = make(**{**QUICK, **settings}).fit(X, targets_of(level))
    skemo.export_onnx(model, tmp_path / "network.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]
    session = runtime(tmp_path / "network.onnx")
    X, arrays, _ = make_windows(1000, seed=1)
    for rows in (slice(None), slice(1), slice(10, 17)):
        found = session.run(None, {key: values[rows] for key, values in arrays.items()})
        if hasattr(model, "predict_proba"):
            expected = model.predict_proba(X[rows])
            expected = expected if isinstance(expected, list) else [expected]
            tolerance = 0
        else:
            expected = [model.predict(X[rows])]
            tolerance = 1e-6  # relative
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=1e-5)


def test_a_modality_missing_in_training_is_never_used(runtime, tmp_path):
    X, arrays, level = make_windows(64)
    absent = X.assign(ecg=SignalArray(np.full((64, 1, 300), np.nan, np.float32)))
    absent, y = absent[absent["eda"].notna()], two_classes(level)[absent["eda"].notna()]
    model = ModalityAwareAttentionClassifier(**QUICK, **MODALITY_AWARE).fit(absent, y)
    skemo.export_onnx(model, tmp_path / "network.onnx")
    (found,) = runtime(tmp_path / "network.onnx").run(None, arrays)
    with pytest.warns(UserWarning, match="are missing"):
        expected = model.predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["modality-aware", "cross-modal"])
def test_the_quality_of_signals_is_an_input_like_the_signals(name, runtime, tmp_path):
    X, arrays, level = make_windows(64)
    trust = np.random.default_rng(0).random((64, 1, 1)).astype(np.float32)
    trust[:3] = np.nan
    X.insert(0, "trust", SignalArray(trust))
    make, settings = {
        "modality-aware": (ModalityAwareAttentionClassifier, MODALITY_AWARE),
        "cross-modal": (CrossModalAttentionClassifier, CROSS_MODAL),
    }[name]
    model = make(**{**QUICK, **settings, "attention": "scalar"}, quality="trust")
    model.fit(X, two_classes(level))
    skemo.export_onnx(model, tmp_path / "network.onnx")
    (found,) = runtime(tmp_path / "network.onnx").run(None, {**arrays, "trust": trust})
    np.testing.assert_allclose(found, model.predict_proba(X), atol=1e-5)


def test_the_file_describes_itself(runtime, tmp_path):
    X, _, level = make_windows(64)
    model = CrossModalAttentionClassifier(**QUICK, **CROSS_MODAL).fit(X, two_classes(level))
    skemo.export_onnx(model, tmp_path / "network.onnx")
    session = runtime(tmp_path / "network.onnx")
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == [["high", "low"]]
    assert json.loads(facts["modalities"])["eda"] == {
        "shape": [2, 40],
        "sampling_rate": 4.0,
        "channels": ["left", "right"],
    }
    assert [(x.name, x.shape) for x in session.get_inputs()] == [
        ("ecg", ["n_windows", 1, 300]),
        ("eda", ["n_windows", 2, 40]),
    ]
    assert [x.name for x in session.get_outputs()] == ["probabilities"]


def test_the_lines_of_the_guide_run(runtime, tmp_path, monkeypatch, capsys):
    page = Path(__file__).parents[2] / "docs" / "guide" / "deploy.md"
    text = page.read_text(encoding="utf-8").partition("## A network as an ONNX file")[2]
    export, use = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(export, page.name, "exec"), {})
    exec(compile(use, page.name, "exec"), {})
    assert "skemo" not in use
    assert "nan" not in capsys.readouterr().out


def test_other_models_and_networks_that_are_not_fitted_are_errors(tmp_path):
    network = CrossModalAttentionClassifier()
    with pytest.raises(TypeError, match=r"got Pipeline.*export_onnx\(pipeline\[-1\], path\)"):
        skemo.export_onnx(make_pipeline(network), tmp_path / "network.onnx")
    with pytest.raises(NotFittedError):
        skemo.export_onnx(network, tmp_path / "network.onnx")


def test_without_the_extra_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnx_ir", None)
    X, _, level = make_windows(64)
    model = CrossModalAttentionClassifier(**QUICK, **CROSS_MODAL).fit(X, two_classes(level))
    with pytest.raises(ImportError, match=r'pip install "skemo\[onnx\]"'):
        skemo.export_onnx(model, tmp_path / "network.onnx")
    with pytest.raises(FileNotFoundError, match="create it first"):
        skemo.export_onnx(model, tmp_path / "absent" / "network.onnx")
