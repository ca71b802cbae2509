"""A comparison that was interrupted goes on, and another one takes nothing from it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from skemo import (
    ModalityAwareAttentionClassifier,
    compare,
    make_lda,
    make_random_forest,
    make_svm,
)
from skemo.datasets import make_emotion_recordings
from skemo.evaluation import digest as _digest
from skemo.evaluation import store as _store
from skemo.evaluation.store import FitStore
from skemo.signals.windows import segment

MODELS = {
    "SVM": make_svm("passthrough"),
    "forest": make_random_forest("passthrough", n_estimators=5, random_state=0),
}


def make_features(n_subjects=4, random_state=0):
    rng = np.random.default_rng(random_state)
    y = np.tile(["calm", "stress"], n_subjects * 6)
    subjects = np.repeat([f"s{i}" for i in range(n_subjects)], 12)
    return rng.normal(size=(len(y), 3)) + (y == "stress")[:, None], y, subjects


def contents(folder):
    return {path.name: path.read_bytes() for path in (folder / "fits").iterdir()}


def assert_equal(one, other):
    pd.testing.assert_frame_equal(one.predictions, other.predictions, check_exact=True)
    times = ["fit_time", "predict_time"]
    ours, theirs = (each.scores.drop(columns=times) for each in (one, other))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    for name in ("failures", "warnings", "leakage", "chosen"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


def test_what_is_kept_is_what_a_run_without_it_gives(tmp_path):
    data = make_features()
    plain = compare(MODELS, *data)
    first = compare(MODELS, *data, output=tmp_path)
    kept = contents(tmp_path)
    second = compare(MODELS, *data, output=tmp_path)
    assert_equal(plain, first)
    assert_equal(plain, second)
    assert len(kept) == 8
    assert contents(tmp_path) == kept  # with its times: nothing was fitted again
    pd.testing.assert_frame_equal(first.scores, second.scores)


def test_only_what_is_missing_is_fitted(tmp_path):
    data = make_features()
    first = compare(MODELS, *data, output=tmp_path, n_repeats=2, controls=["permuted"])
    kept = contents(tmp_path)
    lost = sorted(kept)[::3]
    for name in lost[1:]:
        (tmp_path / "fits" / name).unlink()
    (tmp_path / "fits" / lost[0]).write_text('{"y_pred": [[0, 1')  # a disk that was full
    (tmp_path / "fits" / ".abc.part").write_text("{")  # a run that was killed while it wrote
    with pytest.warns(UserWarning, match=f"{lost[0]} is damaged or was changed"):
        second = compare(MODELS, *data, output=tmp_path, n_repeats=2, controls=["permuted"])
    assert_equal(first, second)
    again = contents(tmp_path)
    assert {name for name in kept if again[name] != kept[name]} <= set(lost)


SCRIPT = """
import sys, time
import numpy as np
import sklearn
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import SVC
from skemo import compare

class Slow(SVC):
    def fit(self, X, y):
        time.sleep(0.1)
        return super().fit(X, y)

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    y = np.tile(["calm", "stress"], 120)
    X, subjects = rng.normal(size=(240, 3)) + 0.5 * (y == "stress")[:, None], np.arange(240) // 8
    result = compare({"slow": Slow(probability=False)}, X, y, subjects, output=sys.argv[1])
    result.predictions.to_csv(sys.argv[2])
"""


def test_after_a_kill_the_same_command_goes_on(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    results = [tmp_path / "killed.csv", tmp_path / "whole.csv"]
    folders = [tmp_path / "killed", tmp_path / "whole"]
    commands = [
        [sys.executable, str(script), str(folder), str(result)]
        for folder, result in zip(folders, results, strict=True)
    ]
    process = subprocess.Popen(commands[0])
    while process.poll() is None and len(list(folders[0].glob("fits/*.json"))) < 4:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = contents(folders[0])
    assert 4 <= len([name for name in kept if name.endswith(".json")]) < 30
    for command in commands:
        subprocess.run(command, check=True)
    assert results[0].read_bytes() == results[1].read_bytes()
    again = contents(folders[0])
    assert all(again[name] == text for name, text in kept.items() if name.endswith(".json"))


def change_data(X, y, subjects, models, options):
    X[3, 1] += 1e-9


def change_labels(X, y, subjects, models, options):
    y[[0, 1]] = y[[1, 0]]


def change_subjects(X, y, subjects, models, options):
    subjects[0] = "s1"


def change_model(X, y, subjects, models, options):
    models["SVM"] = make_svm("passthrough", C=1.0001)


def change_seed(X, y, subjects, models, options):
    options["random_state"] = 1


def change_folds(X, y, subjects, models, options):
    options["n_splits"] = 4


def change_together(X, y, subjects, models, options):
    options["together"] = True


def change_dtype(X, y, subjects, models, options):
    models["SVM"] = make_svm("passthrough", C=np.float64(1.0))


def change_protocol(X, y, subjects, models, options):
    options["protocol"] = "segment-k-fold"


@pytest.mark.parametrize(
    "change",
    [
        *(change_data, change_labels, change_subjects, change_model),
        *(change_seed, change_folds, change_protocol, change_together, change_dtype),
    ],
)
def test_another_configuration_takes_nothing(change, tmp_path):
    X, y, subjects = make_features()
    models, options = {"SVM": MODELS["SVM"]}, {"protocol": "group-k-fold", "n_splits": 3}
    compare(models, X, y, subjects, output=tmp_path, **options)
    for path in (tmp_path / "fits").iterdir():
        record = path.read_text().replace('"y_pred": [[0', '"y_pred": [[1')
        path.write_text(with_checksum(path, json.loads(record)))  # would show if it were used
    poisoned = contents(tmp_path)
    change(X, y, subjects, models, options)
    kept = compare(models, X, y, subjects, output=tmp_path, **options)
    assert_equal(kept, compare(models, X, y, subjects, **options))
    assert poisoned.items() <= contents(tmp_path).items()


def test_other_versions_options_and_code_take_nothing(tmp_path, monkeypatch):
    data = make_features()
    models = {"SVM": MODELS["SVM"]}
    compare(models, *data, output=tmp_path)
    assert len(contents(tmp_path)) == 4
    compare(models, *data, output=tmp_path)
    assert len(contents(tmp_path)) == 4
    with config_context(transform_output="pandas"):
        compare(models, *data, output=tmp_path)
    assert len(contents(tmp_path)) == 8
    monkeypatch.setattr(sklearn, "__version__", "0.0")
    compare(models, *data, output=tmp_path)
    assert len(contents(tmp_path)) == 12
    monkeypatch.setattr(_digest, "RESULTS_VERSION", 0)
    compare(models, *data, output=tmp_path)
    assert len(contents(tmp_path)) == 16


def test_models_without_a_seed_are_kept_apart(tmp_path):
    data = make_features()
    forest = make_random_forest("passthrough", n_estimators=3)
    models = {"one": forest, "other": forest}
    first, again = (compare(models, *data, n_repeats=2, output=tmp_path) for _ in range(2))
    assert len(contents(tmp_path)) == 16
    assert_equal(first, again)


PICK = """
from sklearn.base import BaseEstimator, TransformerMixin

class Pick(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return X[:, [{column}]]
"""
EDITED = """
import sys, warnings
import numpy as np
import own_pick
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from skemo import compare

def run(n_jobs, output):
    rng = np.random.default_rng(0)
    y = np.tile(["calm", "stress"], 24)
    X = rng.normal(size=(48, 2)) + np.outer(y == "stress", [2, 0])
    model = make_pipeline(own_pick.Pick(), LogisticRegression())
    result = compare({{"m": model}}, X, y, np.arange(48) // 12, n_jobs=n_jobs, output=output)
    return result.predictions["y_pred"].tolist()

if __name__ == "__main__":
    with open("own_pick.py", "w") as file:
        file.write({edited!r})
    assert run(2, "kept") == run(None, None)
"""


def test_code_that_was_edited_in_its_file_runs_in_other_processes_as_it_was_imported(tmp_path):
    (tmp_path / "own_pick.py").write_text(PICK.format(column=0))
    script = EDITED.format(edited=PICK.format(column=1))
    (tmp_path / "script.py").write_text(script)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    for n_kept in (4, 8):  # the second time by the edited code, which takes nothing of the first
        subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=environment, check=True)
        assert len(contents(tmp_path / "kept")) == n_kept


@lru_cache
def factor():
    return 2.0


def scale(X):
    return X * factor()


def test_code_that_other_processes_would_import_is_kept_from_this_process_alone(tmp_path):
    models = {"SVM": make_pipeline(FunctionTransformer(scale), SVC())}
    with pytest.warns(UserWarning, match=r"each time: the model 'SVM' .*\.factor .*n_jobs=1"):
        compare(models, *make_features(), output=tmp_path, n_jobs=2)
    assert len(contents(tmp_path)) == 0
    compare(models, *make_features(), output=tmp_path)
    assert len(contents(tmp_path)) == 4


def with_checksum(path, record):
    """The text of a record that was changed together with its checksum."""
    record = {name: value for name, value in record.items() if name != "checksum"}
    return json.dumps({**record, "checksum": _store._checksum(path, record)})


@pytest.mark.parametrize(
    "change",
    [
        *({"y_pred": [[9] * 12]}, {"y_pred": [[-1] * 12]}, {"y_pred": [[0]]}),
        *({"y_pred": [[0.0] * 12]}, {"y_pred": [[0] * 12] * 2}, {"y_pred": None}),
        *({"probabilities": [[[2, 3]] * 12]}, {"probabilities": [[[1.0]] * 12]}),
        {"probabilities": [[[float("nan")] * 2] * 12]},
        *({"warnings": None}, {"warnings": [["a"]]}),
        *({"fit_time": float("nan")}, {"predict_time": "1"}, {"chosen": []}, {"chosen": {}}),
        *("{}", "[1]", "3", "null", "", "[" * 100_000, "\x00"),
    ],
)
def test_a_record_that_was_damaged_is_computed_again(change, tmp_path):
    models, data = {"forest": MODELS["forest"]}, make_features()
    whole = compare(models, *data, output=tmp_path)
    path = min((tmp_path / "fits").iterdir())
    kept = json.loads(path.read_text())
    texts = [change]
    if isinstance(change, dict):
        texts = [json.dumps({**kept, **change}), with_checksum(path, {**kept, **change})]
    for text in texts:
        path.write_text(text)
        with pytest.warns(UserWarning, match=f"{path.name} is damaged") as caught:
            assert_equal(compare(models, *data, output=tmp_path), whole)
        assert len(caught) == 1


def test_a_record_is_not_taken_for_another_fit(tmp_path):
    data = make_features()
    whole = compare({"SVM": MODELS["SVM"]}, *data, output=tmp_path)
    one, other, *_ = (tmp_path / "fits").iterdir()
    one.write_bytes(other.read_bytes())
    with pytest.warns(UserWarning, match=f"{one.name} is damaged or was changed"):
        assert_equal(compare({"SVM": MODELS["SVM"]}, *data, output=tmp_path), whole)


def test_models_of_other_names_share_what_is_equal(tmp_path):
    data = make_features()
    one = compare({"SVM": MODELS["SVM"]}, *data, output=tmp_path)
    kept = contents(tmp_path)
    other = compare({"machine": MODELS["SVM"]}, *data, output=tmp_path)
    assert contents(tmp_path) == kept
    assert other.predictions["y_pred"].tolist() == one.predictions["y_pred"].tolist()
    assert set(other.predictions["model"]) == {"machine"}


@pytest.mark.parametrize("together", [True, False])
def test_networks_end_as_they_would_have(together, tmp_path):
    windows = segment(make_emotion_recordings(4, 2, random_state=0), duration=20.0)
    X = windows[["ecg", "eeg"]]
    network = ModalityAwareAttentionClassifier(max_epochs=2, random_state=0)
    models = {"network": make_pipeline(FunctionTransformer(), network)}
    arguments = models, X, windows["label"], windows
    whole = compare(*arguments, together=together, output=tmp_path)
    kept = contents(tmp_path)
    for name in sorted(kept)[::2]:
        (tmp_path / "fits" / name).unlink()
    assert_equal(whole, compare(*arguments, together=together, output=tmp_path))
    assert contents(tmp_path).keys() == kept.keys()


class Moody(ClassifierMixin, BaseEstimator):
    """Fails while a file is there."""

    def __init__(self, path):
        self.path = path

    def fit(self, X, y):
        if self.path.exists():
            raise OSError("not today")
        self.svc_ = SVC().fit(X, y)
        return self

    def predict(self, X):
        return self.svc_.predict(X)


def test_a_fit_that_failed_is_tried_again(tmp_path):
    data, path = make_features(), tmp_path / "mood"
    models = {"moody": Moody(path), "LDA": make_lda("passthrough")}
    path.touch()
    with pytest.warns(UserWarning, match="'moody' failed in 4 of 4 fits"):
        compare(models, *data, output=tmp_path)
    path.unlink()
    result = compare(models, *data, output=tmp_path)
    assert result.failures.empty
    assert_equal(result, compare(models, *data))


def test_a_function_without_a_name_is_kept(tmp_path):
    for _ in range(2):
        model = make_svm(FunctionTransformer(lambda X: X))
        compare({"SVM": model}, *make_features(), output=tmp_path)
    assert len(contents(tmp_path)) == 4


class Connected(SVC):
    """Refers to something that cannot be compared."""

    def fit(self, X, y):
        LOCAL.value = 1
        return super().fit(X, y)


LOCAL = threading.local()


def test_what_cannot_be_compared_is_computed_each_time_with_one_warning(tmp_path):
    models = {"connected": Connected(), "SVM": MODELS["SVM"]}
    for _ in range(2):
        with pytest.warns(UserWarning, match="computed each time: the model 'connected' .*local"):
            compare(models, *make_features(), output=tmp_path, n_repeats=2)
    assert len(contents(tmp_path)) == 8  # of the other one


def test_folds_that_cannot_be_found_again_are_refused(tmp_path):
    for seed in (None, np.random.RandomState(0)):
        with pytest.raises(ValueError, match="random_state is a whole number, got"):
            compare(MODELS, *make_features(), output=tmp_path, random_state=seed)


def test_a_record_is_there_whole_or_not_at_all(tmp_path):
    store = FitStore(tmp_path)
    record = {
        **{"y_pred": [[1, 0]], "probabilities": [[[0.25, 0.75], [1.0, 0.0]]], "fit_time": 1.0},
        **{"predict_time": 0.5, "warnings": [["UserWarning", "x"]]},
        "chosen": {"params": {"C": 1}, "score": 0.5},
    }
    store.write(["a", "b"], record)
    with pytest.raises(TypeError):
        store.write(["a", "c"], {"y_pred": {1, 2}})
    assert store.read(["a", "b"], 2, [2]) == record
    assert store.read(["a", "c"], 2, [2]) is None
    assert len(list((tmp_path / "fits").iterdir())) == 1
