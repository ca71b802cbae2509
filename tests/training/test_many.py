"""Fits that are trained together, compared with the same fits one after another."""

import pickle
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback, Freezer

from skemo import (
    CrossModalAttentionClassifier,
    ModalityAwareAttentionClassifier,
    SignalArray,
    compare,
    fit_many,
    make_modality_transformer,
    signal_frame,
)
from skemo.nn import BatchNorm, ModalityAwareAttentionNetwork, counted_rows
from skemo.nn.attention import _to_length
from skemo.training import many
from skemo.training.graphs import Graph
from skemo.training.many import collected_fits, stacked_bytes, train_together
from skemo.training.optimizer import FlatAdamW
from skemo.training.stack import Stack

SUBJECTS = np.repeat(np.arange(5), [8, 10, 12, 15, 45])  # different numbers of batches
LABELS = np.array(["calm", "stress"])[np.arange(90) % 2]
SERIES = {"ecg": (1, 20), "eda": (2, 11)}
MAPS = {"ecg": (1, 20), "eeg": (2, 5, 3)}
NETWORKS = {
    "modality-aware": (ModalityAwareAttentionClassifier, {"n_filters": 3, "depth": 1}, MAPS),
    "cross-modal": (CrossModalAttentionClassifier, {"n_filters": 2, "pool_size": 2}, SERIES),
}


def make_windows(shapes=MAPS, effect=1.0):
    rng = np.random.default_rng(0)
    columns = {}
    for name, shape in shapes.items():
        values = rng.normal(size=(90, *shape)).astype(np.float32)
        values[LABELS == "stress"] += effect
        columns[name] = SignalArray(values, sampling_rate=4 if name == "eda" else None)
    return signal_frame(**columns)


def make_network(**settings):
    defaults = {"n_filters": 3, "depth": 1, "max_epochs": 3, "batch_size": 16, "device": "cpu"}
    return ModalityAwareAttentionClassifier(**{"random_state": 0, **defaults, **settings})


def collect(name, X, early_stopping):
    """Fits with different rows and settings, in double precision to make rounding negligible."""
    make, sizes, _ = NETWORKS[name]
    with collected_fits() as fits:
        for k in range(5):
            train = np.flatnonzero(~np.isin(SUBJECTS, k))
            settings = {"lr": 0.001 * (k + 1), "weight_decay": 0.1 * k, "dropout": 0.15 * k}
            settings |= {"max_epochs": 3 + k % 2, "early_stopping": early_stopping, "patience": 1}
            settings |= {"modality_dropout": 0.3, "batch_size": 16, "random_state": k}
            model = make(device="cpu", **sizes, **settings)
            model.fit(X.iloc[train], LABELS[train], groups=SUBJECTS[train])
    for fit in fits:
        fit.network.double()
        for windows in (fit.windows, fit.validation):
            if windows is not None:
                windows.inputs = [values.double() for values in windows.inputs]
                windows.present, windows.weight = windows.present.double(), windows.weight.double()
    return fits


# Compared with one after another


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_fits_trained_together_end_up_as_they_would_alone(name, early_stopping):
    X = make_windows(NETWORKS[name][2], effect=0.2)
    together, alone = (collect(name, X, early_stopping) for _ in range(2))
    train_together(together)
    for fit, reference in zip(together, alone, strict=True):
        reference.train_alone()
        assert fit.error is None
        ours, theirs = (x.estimator.net_ for x in (fit, reference))
        columns = ["train_loss", "train_loss_best"]
        if early_stopping:
            columns += ["valid_loss", "valid_loss_best", "valid_acc", "valid_acc_best"]
        for column in ["epoch", *columns]:
            assert ours.history[:, column] == pytest.approx(theirs.history[:, column], abs=1e-9)
        state = theirs.module_.state_dict()
        for key, values in ours.module_.state_dict().items():
            if "num_batches" not in key:
                torch.testing.assert_close(values, state[key], rtol=1e-9, atol=1e-9)
        mine, other = (net.optimizer_.state[net.optimizer_.flat] for net in (ours, theirs))
        for key in ("step", "exp_avg", "exp_avg_sq"):
            torch.testing.assert_close(mine[key], other[key], check_dtype=False)


def test_early_stopping_stops_each_fit_separately():
    fits = collect("modality-aware", make_windows(effect=0.2), True)
    for fit in fits:
        fit.estimator.set_params(max_epochs=30)
    train_together(fits)
    lengths = [len(fit.estimator.net_.history) for fit in fits]
    assert len(set(lengths)) > 1
    assert max(lengths) < 30


def test_rows_that_do_not_count_do_not_change_statistics():
    torch.manual_seed(0)
    x, counted = torch.randn(6, 3, 5), torch.tensor([1.0, 1, 1, 1, 0, 0])
    some, filled = BatchNorm(3), BatchNorm(3)
    expected = some(x[:4])
    with counted_rows(filled, counted):
        result = filled(x)[:4]
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(filled.running_mean, some.running_mean)
    torch.testing.assert_close(filled.running_var, some.running_var)
    torch.testing.assert_close(filled(x), some(x))


def test_noise_that_is_passed_is_used_like_noise_that_is_drawn():
    network = ModalityAwareAttentionNetwork([(1, 9), (2, 9)], 2, dropout=0.5, modality_dropout=0.5)
    inputs, present = [torch.randn(8, 1, 9), torch.randn(8, 2, 9)], torch.ones(8, 2)
    torch.manual_seed(0)
    drawn = network(inputs, present)
    noise = network.draw_noise(8, torch.Generator().manual_seed(0))
    assert torch.equal(network(inputs, present, noise), drawn)


def test_adamw_over_one_tensor_agrees_with_that_of_torch():
    nets = [torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    settings = {"lr": 0.1, "weight_decay": 0.1}
    flat = FlatAdamW([{"params": list(nets[0].parameters())}], **settings)
    plain = torch.optim.AdamW(nets[1].parameters(), **settings)
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    for step in range(6):
        flat.bind()
        for net, optimizer in zip(nets, (flat, plain), strict=True):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            optimizer.step()
        if step % 2:
            flat.release()
    for mine, other in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(mine, other)
        assert mine.untyped_storage().nbytes() == mine.nbytes


# fit_many and compare


def folds():
    splits = LeaveOneGroupOut().split(SUBJECTS, groups=SUBJECTS)
    return [train for train, _ in splits]


def fit_folds(model, X, y=LABELS, **options):
    """Fit a model to the training rows of each fold, together."""
    trains = folds()
    Xs, ys = [X.iloc[train] for train in trains], [y[train] for train in trains]
    if getattr(model, "early_stopping", False):
        options["fit_params"] = [{"groups": SUBJECTS[train]} for train in trains]
    return fit_many([model] * len(trains), Xs, ys, together=True, **options)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_fit_many_agrees_with_single_fits_up_to_rounding(early_stopping):
    X, model = make_windows(), make_network(early_stopping=early_stopping, max_epochs=2)
    for fitted, train in zip(fit_folds(model, X), folds(), strict=True):
        params = {"groups": SUBJECTS[train]} if early_stopping else {}
        alone = clone(model).fit(X.iloc[train], LABELS[train], **params)
        assert fitted.classes_.tolist() == alone.classes_.tolist()
        np.testing.assert_allclose(fitted.predict_proba(X), alone.predict_proba(X), atol=1e-3)


def test_fit_many_fits_pipelines_and_other_estimators_too():
    X, y = make_windows({"ecg": (1, 20)}), LABELS
    network = make_pipeline(make_modality_transformer(ecg="passthrough"), make_network())
    flat = X["ecg"].array.values[:, 0]
    fitted = fit_many([network, LogisticRegression()], [X, flat], [y, y], together=True)
    alone = clone(network).fit(X, y)
    np.testing.assert_allclose(fitted[0].predict_proba(X), alone.predict_proba(X), atol=1e-3)
    expected = LogisticRegression().fit(flat, y).predict_proba(flat)
    np.testing.assert_array_equal(fitted[1].predict_proba(flat), expected)


def test_fit_many_does_not_fit_the_estimators_themselves():
    model = make_network(max_epochs=1)
    fit_folds(model, make_windows())
    assert not hasattr(model, "net_")


def test_fit_many_rejects_sequences_of_different_lengths():
    X = make_windows()
    with pytest.raises(ValueError, match="one entry per fit, got 2, 1, 2, 2 entries"):
        fit_many([make_network()] * 2, [X], [LABELS] * 2)


def test_a_comparison_has_the_same_scores_as_one_after_another():
    X, models = make_windows(), {"network": make_network(max_epochs=2)}
    ours, theirs = (
        compare(models, X, LABELS, SUBJECTS, together=together) for together in (True, False)
    )
    agree = ours.predictions["y_pred"] == theirs.predictions["y_pred"]
    assert agree.mean() > 0.97
    assert (ours.scores["fit_time"] > 0).all()


@pytest.mark.parametrize("together", [True, False])
def test_any_number_of_processes_gives_the_same_bits(together):
    X, models = make_windows(), {"network": make_network(max_epochs=2)}
    subjects = np.arange(90) // 6  # more than are trained together
    one, two = (
        compare(models, X, LABELS, subjects, together=together, n_jobs=n_jobs).predictions
        for n_jobs in (None, 2)
    )
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_training_continues_from_where_it_ended():
    X, model = make_windows(), make_network(max_epochs=1)
    (together,) = fit_many([model], [X], [LABELS], together=True)
    mine, other = (x.partial_fit(X, LABELS) for x in (together, clone(model).fit(X, LABELS)))
    np.testing.assert_allclose(mine.predict_proba(X), other.predict_proba(X), atol=1e-3)


def test_training_continues_in_a_copy():
    X = make_windows()
    model = make_network(max_epochs=1).fit(X, LABELS)
    copy = pickle.loads(pickle.dumps(model))
    expected = model.partial_fit(X, LABELS).predict_proba(X)
    np.testing.assert_array_equal(copy.partial_fit(X, LABELS).predict_proba(X), expected)


# Failures, and fits that are not trained together


@pytest.mark.parametrize("together", [True, False])
def test_a_fit_that_diverges_fails_alone(together):
    X, models = make_windows(), [make_network(max_epochs=2, lr=lr) for lr in (1e30, 0.01)]
    diverged, other = fit_many(models, [X] * 2, [LABELS] * 2, on_error="return", together=together)
    assert "loss is not finite" in str(diverged)
    assert other.score(X, LABELS) > 0.5
    with pytest.raises(ValueError, match="loss is not finite"):
        fit_many(models, [X] * 2, [LABELS] * 2, together=together)


def test_the_error_of_a_fit_that_cannot_start_is_returned():
    y = np.where(SUBJECTS == 1, "stress", "calm")
    fitted = fit_folds(make_network(max_epochs=1), make_windows(), y, on_error="return")
    assert [isinstance(x, ValueError) for x in fitted] == [False, True, False, False, False]
    assert "at least two classes" in str(fitted[1])


def test_another_estimator_that_fails_is_returned_as_its_error_beside_networks():
    X = make_windows()
    models = [make_network(max_epochs=1), LogisticRegression(), make_network(max_epochs=1)]
    one, failed, other = fit_many(models, [X] * 3, [LABELS] * 3, on_error="return")
    assert isinstance(failed, Exception)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


class Remember(Callback):
    def on_epoch_end(self, net, **kwargs):
        net.history.record("seen", True)


def test_a_network_with_callbacks_is_trained_alone():
    fitted = fit_folds(make_network(callbacks=[Remember()], max_epochs=1), make_windows())
    assert all(x.net_.history[:, "seen"] == [True] for x in fitted)


def test_a_network_that_transforms_for_another_is_trained_alone():
    X = make_windows({"ecg": (1, 20)})
    model = make_pipeline(make_network(max_epochs=1), make_network(max_epochs=1))
    (fitted,) = fit_many([model], [X], [LABELS])
    expected = clone(model).fit(X, LABELS).predict_proba(X)
    np.testing.assert_array_equal(fitted.predict_proba(X), expected)


def test_parameters_may_be_frozen():
    X = make_windows()
    frozen = make_network(callbacks=[Freezer("head.*")], max_epochs=2).fit(X, LABELS)
    free = make_network(max_epochs=2).fit(X, LABELS)
    start = collected_start(X)
    assert torch.equal(frozen.net_.module_.head.weight, start)
    assert not torch.equal(free.net_.module_.head.weight, start)


def collected_start(X):
    """Initial weights of the last layer."""
    with collected_fits() as fits:
        make_network(max_epochs=2).fit(X, LABELS)
    return fits[0].network.head.weight.detach().clone()


def test_together_is_checked():
    with pytest.raises(ValueError, match=r"together must be True or False, got .auto."):
        compare({"net": make_network()}, make_windows(), LABELS, SUBJECTS, together="auto")


# Prediction


def test_predictions_do_not_depend_on_the_number_of_threads_by_a_bit():
    X = make_windows()
    model = make_network(max_epochs=1).fit(X, LABELS)
    many = X.iloc[np.tile(np.arange(90), 5)]
    n_before, predicted = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            predicted.append(model.predict_proba(many))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(n_before)
    np.testing.assert_array_equal(*predicted)
    np.testing.assert_array_equal(predicted[0][:90], model.predict_proba(X))


# Precision


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_agrees_with_single(name):
    make, sizes, shapes = NETWORKS[name]
    X = make_windows(shapes)
    model = make(max_epochs=3, device="cpu", random_state=0, **sizes)
    single = model.fit(X, LABELS).predict_proba(X)
    half = clone(model).set_params(precision="bfloat16").fit(X, LABELS)
    assert half.net_.module_.uses_bfloat16
    assert half.predict_proba(X).dtype == single.dtype
    np.testing.assert_allclose(half.predict_proba(X), single, atol=0.1)
    assert not np.array_equal(half.predict_proba(X), single)


def test_half_precision_resamples_long_series_like_single_precision():
    series = torch.eye(480).unsqueeze(0)
    expected = _to_length(series, 36)
    torch.testing.assert_close(_to_length(series.bfloat16(), 36), expected.bfloat16())


def test_precision_is_checked():
    with pytest.raises(ValueError, match=r'precision must be "float32" or "bfloat16"'):
        make_network(precision="float16").fit(make_windows(), LABELS)


# On a GPU


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_stays_on_its_device(name, early_stopping):
    """On the device "meta", which has no values, mixing devices or reading a value is an error."""
    fits = collect(name, make_windows(NETWORKS[name][2]), early_stopping)
    stack = Stack(fits, torch.device("meta"))
    sizes, rows, noise = stack._draw_epoch()
    width = sizes[:, 0].max()
    before = torch.get_rng_state()
    losses = stack._step(
        rows[0, :, :width], [None if x is None else x[0, :, :width] for x in noise]
    )
    assert losses.device.type == "meta"
    assert losses.shape == (len(fits),)
    assert torch.equal(torch.get_rng_state(), before)


def test_fits_that_fail_together_are_trained_one_by_one(monkeypatch):
    X, n_tried = make_windows(), []
    with collected_fits() as fits:
        for seed in range(8):
            make_network(random_state=seed).fit(X, LABELS)
    step = Stack._step

    def fail_together(stack, *arguments):
        n_tried.append(len(stack.fits))
        if len(stack.fits) > 1:
            raise RuntimeError("an operation that is not implemented")
        return step(stack, *arguments)

    monkeypatch.setattr(Stack, "_step", fail_together)
    with pytest.warns(RuntimeWarning, match="were trained one by one: an operation") as caught:
        train_together(fits)
    assert len(caught) == 1
    assert all(fit.error is None for fit in fits)
    assert n_tried.count(8) == 1
    assert set(n_tried) == {8, 1}


def test_the_memory_of_a_stacked_fit_counts_its_activations():
    def estimate(batch_size, n_times):
        X = make_windows({"ecg": (1, n_times)})
        with collected_fits() as fits:
            make_network(batch_size=batch_size, modality_dropout=0.2).fit(X, LABELS)
        windows = sum(values.nbytes for values in fits[0].windows.inputs)
        return stacked_bytes(fits[0]), windows

    small, windows = estimate(8, 320)
    large, _ = estimate(16, 320)
    longer, _ = estimate(8, 640)
    assert small > 3 * windows
    assert 1.3 * small < large < 2 * small
    assert 1.7 * small < longer < 2.1 * small


def test_the_estimate_of_memory_leaves_the_fit_as_it_was():
    X = make_windows()
    with collected_fits() as fits:
        for _ in range(2):
            make_network(random_state=0, dropout=0.3).fit(X, LABELS)
    stacked_bytes(fits[0])
    for fit in fits:
        fit.train_alone()
    one, other = (fit.estimator.net_.history[:, "train_loss"] for fit in fits)
    assert one == other


def test_fits_that_a_gpu_has_no_room_for_are_trained_in_parts(monkeypatch):
    X, sizes = make_windows(), []
    with collected_fits() as fits:
        for seed in range(8):
            make_network(random_state=seed).fit(X, LABELS)
    n_free = 3.5 * stacked_bytes(fits[0]) / many._SHARE
    monkeypatch.setattr(many, "free_memory", lambda device: n_free)
    train_group = many._train_group

    def count_and_train(part, graphs):
        sizes.append(len(part))
        return train_group(part, graphs)

    monkeypatch.setattr(many, "_train_group", count_and_train)
    train_together(fits)
    assert sorted(sizes) == [2, 3, 3]
    assert all(fit.error is None for fit in fits)


def test_fits_that_run_out_of_memory_are_halved_and_it_is_said_once(monkeypatch):
    X, sizes = make_windows(), []
    with collected_fits() as fits:
        for seed in range(8):
            make_network(random_state=seed).fit(X, LABELS)
    step = Stack._step

    def fail_above_two(stack, *arguments):
        sizes.append(len(stack.fits))
        if len(stack.fits) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(stack, *arguments)

    monkeypatch.setattr(Stack, "_step", fail_above_two)
    with pytest.warns(RuntimeWarning, match="were trained fewer at a time: The windows") as caught:
        train_together(fits)
    assert len(caught) == 1
    assert [sizes.count(size) for size in (8, 4)] == [1, 2]
    assert set(sizes) == {8, 4, 2}
    assert all(fit.error is None for fit in fits)


def test_a_training_step_that_cannot_be_recorded_is_run_as_usual_and_it_is_said_once(monkeypatch):
    stream = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(Graph, "has_failed", False)
    total = torch.zeros(1)

    def add(rows, noise):
        total.add_(rows.sum())
        return total.clone()

    def fail(graph, width, rows, noise):
        total.add_(100)  # a recording that is broken off may have changed anything
        raise RuntimeError("capture failed")

    monkeypatch.setattr(Graph, "_record", fail)
    graph = Graph(add, [total], torch.device("cpu"))
    rows = torch.ones(1, 2)
    with pytest.warns(RuntimeWarning, match=r"could not be recorded \(capture failed\)") as caught:
        _ = [graph(rows, []) for _ in range(8)]
    assert len(caught) == 1
    assert total.item() == 16


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_fits_on_a_gpu_end_up_as_on_a_cpu_and_free_its_memory(name, early_stopping, graphs):
    X = make_windows(NETWORKS[name][2], effect=0.2)
    on_cpu, on_gpu = (collect(name, X, early_stopping) for _ in range(2))
    for fit in on_gpu:
        fit.estimator.net_.device = "cuda"
    before = torch.cuda.memory_allocated()
    train_together(on_cpu)
    train_together(on_gpu, graphs=graphs)
    for fit, reference in zip(on_gpu, on_cpu, strict=True):
        assert fit.error is None
        losses = [x.estimator.net_.history[:, "train_loss"] for x in (fit, reference)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-6)
        fit.estimator.net_.module_.cpu()
        fit.estimator.net_.optimizer_.state.clear()
    assert torch.cuda.memory_allocated() <= before + 2**20


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_seed_gives_the_same_bits_on_a_gpu(name):
    make, sizes, shapes = NETWORKS[name]
    X = make_windows(shapes)
    model = make(max_epochs=6, batch_size=16, device="cuda", random_state=0, **sizes)
    one, two = (clone(model).fit(X, LABELS).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_fits_that_do_not_fit_on_a_gpu_at_once_are_halved():
    X = make_windows({"ecg": (1, 20_000)})
    with collected_fits() as fits:
        for seed in range(8):
            make_network(device="cuda", max_epochs=1, random_state=seed).fit(X, LABELS)
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(5e8 / total)
    try:
        train_together(fits)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert all(fit.error is None for fit in fits)
