"""Settings of torch, threads and forks."""

import multiprocessing
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed

from skemo import ModalityAwareAttentionClassifier
from skemo.training.devices import check_precision, reproducible, resolve_device

CPU = torch.device("cpu")


def make_fit(seed=0):
    X = np.random.default_rng(0).normal(size=(40, 1, 32))
    y = np.tile([0, 1], 20)
    settings = {"n_filters": 4, "max_epochs": 2, "dropout": 0.2, "device": "cpu"}
    return ModalityAwareAttentionClassifier(**settings, random_state=seed).fit(X, y), X


def test_eight_threads_at_once_give_the_bits_of_one():
    def probabilities(seed):
        model, X = make_fit(seed)
        return model.predict_proba(X)

    expected = [probabilities(seed) for seed in range(2)]
    before = torch.get_num_threads()
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(probabilities, [0, 1] * 4))
    for k, result in enumerate(results):
        np.testing.assert_array_equal(result, expected[k % 2])
    assert torch.get_num_threads() == before


def test_threads_inside_at_the_same_time_restore_the_number_of_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with reproducible(CPU), reproducible(CPU):
            assert torch.get_num_threads() == 1
            with ThreadPoolExecutor(1) as threads:
                assert threads.submit(use_torch).result() == [1, 3]
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def use_torch():
    """Number of threads inside and after."""
    with reproducible(CPU):
        inside = torch.get_num_threads()
    return [inside, torch.get_num_threads()]


def run(script):
    """Run a script in a new interpreter with two threads; return what it prints."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
def test_a_process_forked_after_prediction_predicts():
    script = """
        import multiprocessing
        import numpy as np
        from skemo import ModalityAwareAttentionClassifier
        X, y = np.random.default_rng(0).normal(size=(200, 1, 32)), np.arange(200) % 2
        network = ModalityAwareAttentionClassifier(max_epochs=1, device="cpu", random_state=0)
        network.fit(X, y).predict_proba(X)
        process = multiprocessing.get_context("fork").Process(target=network.fit, args=(X, y))
        process.start()
        process.join(60)
        print(process.exitcode)
        process.kill()
    """
    assert run(script) == "0"


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
def test_a_process_forked_while_another_thread_computes_predicts():
    script = """
        import multiprocessing, threading
        import numpy as np, torch
        from skemo import ModalityAwareAttentionClassifier
        from skemo.training.devices import reproducible
        X, y = np.random.default_rng(0).normal(size=(40, 1, 32)), np.arange(40) % 2
        network = ModalityAwareAttentionClassifier(max_epochs=1, device="cpu", random_state=0)
        network.fit(X, y)
        inside, done = threading.Event(), threading.Event()

        def compute():
            with reproducible(torch.device("cpu")):
                inside.set()
                done.wait()

        thread = threading.Thread(target=compute)
        thread.start()
        inside.wait()
        process = multiprocessing.get_context("fork").Process(
            target=network.predict_proba, args=(X,)
        )
        process.start()
        process.join(60)
        print(process.exitcode)
        process.kill()
        done.set()
    """
    assert run(script) == "0"


def test_spawned_processes_and_workers_of_joblib_give_the_same_bits():
    model, X = make_fit()
    expected = model.predict_proba(X)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(model.predict_proba, [X]), expected)
    for result in Parallel(n_jobs=2)(delayed(model.predict_proba)(X) for _ in range(2)):
        np.testing.assert_array_equal(result, expected)


def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match=r"device must be .*, got 'meta'"):
        resolve_device("meta")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="'cuda:1', but torch finds no CUDA device"):
            resolve_device("cuda:1")


def test_precision_must_be_supported_by_the_device():
    check_precision("bfloat16", CPU)
    with pytest.raises(ValueError, match="mps does not support bfloat16"):
        check_precision("bfloat16", torch.device("mps"))
