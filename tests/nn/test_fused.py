"""Compiled loops compared with the modules that they replace."""

import copy
import itertools
import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from skemo import (
    CrossModalAttentionClassifier,
    FusionClassifier,
    ModalityAwareAttentionClassifier,
    ModalityAwareAttentionRegressor,
    SignalArray,
    compare,
    fit_many,
    signal_frame,
)
from skemo.nn import (
    CrossModalAttentionNetwork,
    FusionEnsemble,
    ModalityAwareAttentionNetwork,
    StreamBlock,
    UNet,
)
from skemo.nn.fusing import can_fuse, fused_code, fused_parts
from skemo.nn.memory import empty_array, loops_in_use, use_loops

pytest.importorskip("numba", reason="compiled loops need Numba (the extra fast)")

TOLERANCE = {torch.float32: 2e-4, torch.float64: 1e-10}  # relative to the largest value
MODES = list(itertools.product([torch.float32, torch.float64], [True, False]))


@pytest.fixture(autouse=True)
def same_weights():
    """Draw the same initial weights in each run: in float32, rounding can move a maximum."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def disturb(network, seed):
    """Give all parameters and running statistics random values."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in [*network.parameters(), *network.buffers()]:
            if values.is_floating_point():
                noise = torch.randn(values.shape, generator=generator, dtype=values.dtype)
                values += 0.1 * noise.abs()
    return network


def assert_same(one, other, dtype):
    scale = max(expected.abs().max().item() for expected in one)
    for expected, found in zip(one, other, strict=True):
        assert (expected - found).abs().max() <= TOLERANCE[dtype] * scale


def assert_computes_the_same(network, call, inputs, dtype, training):
    """Compare outputs, gradients of inputs and parameters, and buffers afterwards."""
    network = disturb(network, 1).to(dtype).train(training)
    other = copy.deepcopy(network)
    own = [x.to(dtype).requires_grad_() for x in inputs]
    plain = call(network, own)
    seed = torch.randn(plain.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    expected = torch.autograd.grad(plain, [*own, *network.parameters()], seed, allow_unused=True)
    with fused_parts():
        assert fused_code(torch.ones(1, dtype=dtype)) is not None
        fused = call(other, own)
        found = torch.autograd.grad(fused, [*own, *other.parameters()], seed, allow_unused=True)
    assert_same([plain], [fused], dtype)
    used = [x is not None for x in expected]
    assert used == [x is not None for x in found]
    assert_same([x for x in expected if x is not None], [x for x in found if x is not None], dtype)
    floats = [x for x in network.buffers() if x.is_floating_point()]
    assert_same(floats, [x for x in other.buffers() if x.is_floating_point()], dtype)
    counts = [x for x in network.buffers() if not x.is_floating_point()]
    assert counts == [x for x in other.buffers() if not x.is_floating_point()]


def random_unet(seed):
    rng = np.random.default_rng(seed)
    n_dims = rng.integers(1, 3)
    shape = rng.integers(1, 20, n_dims)
    channels = int(rng.integers(1, 6))
    settings = {
        "n_filters": int(rng.integers(1, 12)),
        "depth": int(rng.integers(0, 4)),
        "kernel_size": int(rng.choice([1, 3, 5])),
        "reduction": int(rng.integers(1, 4)),
        "excitation": str(rng.choice(["max", "sum"])),
    }
    n_windows = int(rng.integers(2, 40))
    x = torch.from_numpy(rng.normal(size=(n_windows, channels, *shape)))
    return UNet(channels, n_dims=int(n_dims), **settings), x


@pytest.mark.parametrize(("dtype", "training"), MODES)
@pytest.mark.parametrize("seed", range(12))
def test_a_u_net_has_the_same_maxima_and_gradients(seed, dtype, training):
    network, x = random_unet(seed)
    assert_computes_the_same(network, lambda net, x: net.maxima(x[0]), [x], dtype, training)


@pytest.mark.parametrize(("dtype", "training"), MODES)
@pytest.mark.parametrize("seed", range(8))
def test_a_stream_block_has_the_same_outputs_and_gradients(seed, dtype, training):
    rng = np.random.default_rng(seed)
    channels, out_channels = map(int, rng.integers(1, 20, 2))
    sizes = {"kernel_size": int(rng.choice([1, 3, 9])), "pool_size": int(rng.integers(1, 10))}
    x = torch.from_numpy(rng.normal(size=(int(rng.integers(2, 40)), channels, rng.integers(1, 90))))
    network = StreamBlock(channels, out_channels, **sizes)
    assert_computes_the_same(network, lambda net, x: net(x[0]), [x], dtype, training)


SHAPES = [(1, 34), (4, 19, 5)]
SERIES = [(1, 640), (2, 40), (1, 7)]
CONNECTIONS = [(0, 1), (1, 0), (2, 0)]


def make_inputs(shapes, n_windows=21):
    """Windows, some of which lack a modality."""
    rng = np.random.default_rng(0)
    present = np.ones((n_windows, len(shapes)))
    for i in range(len(shapes)):
        present[i * 3 : i * 3 + 5, i] = 0
    inputs = []
    for i, shape in enumerate(shapes):
        values = rng.normal(size=(n_windows, *shape))
        values[present[:, i] == 0] = 0
        inputs.append(torch.from_numpy(values))
    return inputs, torch.from_numpy(present)


@pytest.mark.parametrize(("dtype", "training"), MODES)
@pytest.mark.parametrize("attention", ["mask", None])
def test_the_modality_aware_network_computes_the_same(attention, dtype, training):
    inputs, present = make_inputs(SHAPES)
    network = ModalityAwareAttentionNetwork(SHAPES, 3, attention=attention, n_filters=8)
    assert_computes_the_same(
        network, lambda net, x: net(x, present.to(dtype)), inputs, dtype, training
    )


@pytest.mark.parametrize(("dtype", "training"), MODES)
@pytest.mark.parametrize("merge", ["sum", "concat"])
@pytest.mark.parametrize("attention", ["channel", "temporal", "residual", "scalar", None])
def test_the_cross_modal_network_computes_the_same(attention, merge, dtype, training):
    inputs, present = make_inputs(SERIES)
    network = CrossModalAttentionNetwork(
        SERIES, 3, connections=CONNECTIONS, attention=attention, merge=merge, n_filters=5
    )
    assert_computes_the_same(
        network, lambda net, x: net(x, present.to(dtype)), inputs, dtype, training
    )


@pytest.mark.parametrize(("dtype", "training"), MODES)
@pytest.mark.parametrize("attention", ["channel", "temporal", "scalar"])
def test_quality_has_the_same_effect_on_the_gates(attention, dtype, training):
    inputs, present = make_inputs([*SERIES, (3,)])
    settings = {"connections": CONNECTIONS, "attention": attention, "stages": (1, 3)}
    network = CrossModalAttentionNetwork(SERIES, 2, quality_shapes=[(3,)], **settings)
    assert_computes_the_same(
        network, lambda net, x: net(x, present.to(dtype)), inputs, dtype, training
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("attention", ["channel", "temporal", None])
def test_reported_weights_of_connections_are_the_same(attention, dtype):
    inputs, present = make_inputs(SERIES)
    inputs, present = [x.to(dtype) for x in inputs], present.to(dtype)
    network = CrossModalAttentionNetwork(SERIES, 2, connections=CONNECTIONS, attention=attention)
    network = disturb(network, 0).to(dtype).eval()
    plain = network.evaluate(inputs, present)[0]
    with fused_parts():
        fused = network.evaluate(inputs, present)[0]
    torch.testing.assert_close(plain, fused, equal_nan=True)


@pytest.mark.parametrize(("dtype", "training"), MODES)
@pytest.mark.parametrize("seed", range(6))
def test_streams_of_random_shapes_compute_the_same(seed, dtype, training):
    rng = np.random.default_rng(seed)
    shapes = [(int(rng.integers(1, 5)), int(rng.integers(1, 200))) for _ in range(3)]
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    network = CrossModalAttentionNetwork(
        shapes,
        2,
        connections=[pair for pair in pairs if rng.random() < 0.5],
        stages=(1, 2, 3) if rng.random() < 0.5 else (2,),
        n_filters=int(rng.integers(1, 7)),
        kernel_size=int(rng.choice([1, 3, 9])),
        pool_size=int(rng.integers(1, 9)),
        reduction=int(rng.integers(1, 4)),
    )
    inputs, present = make_inputs(shapes, int(rng.integers(12, 40)))
    assert_computes_the_same(
        network, lambda net, x: net(x, present.to(dtype)), inputs, dtype, training
    )


def test_an_ensemble_computes_the_same():
    inputs, present = make_inputs(SHAPES)
    members = [ModalityAwareAttentionNetwork(SHAPES, 2, n_filters=4) for _ in range(3)]
    assert_computes_the_same(
        FusionEnsemble(members), lambda net, x: net(x, present), inputs, torch.float64, True
    )


def test_equal_maxima_in_padding_give_the_same_gradients_of_parameters():
    x = torch.zeros(9, 1, 30)
    x[:, :, :11] = torch.randn(9, 1, 11, generator=torch.Generator().manual_seed(0))
    for network, call in [
        (UNet(1, n_dims=1, n_filters=4), UNet.maxima),
        (StreamBlock(1, 4, kernel_size=3), StreamBlock.forward),
    ]:
        assert_computes_the_same(
            network, lambda net, _, call=call: call(net, x.double()), [], torch.float64, True
        )


def test_non_contiguous_windows_are_read_correctly():
    x = torch.randn(6, 20, 3, generator=torch.Generator().manual_seed(0)).transpose(1, 2)
    network = StreamBlock(3, 4).eval()
    with fused_parts():
        fused = network(x)
    torch.testing.assert_close(network(x), fused, rtol=1e-4, atol=1e-5)


def test_non_finite_weights_show_in_the_results():
    x = torch.ones(4, 1, 20)
    for network in (UNet(1, n_dims=1).train(), UNet(1, n_dims=1).eval()):
        with torch.no_grad():
            network.encoder[0][0].weight.fill_(torch.nan)
        with fused_parts():
            assert network.maxima(x).isnan().all()


def test_a_single_value_cannot_be_normalised_in_training():
    with fused_parts(), pytest.raises(ValueError, match="more than 1 value per channel"):
        StreamBlock(1, 2).train()(torch.ones(1, 1, 1))


def test_a_second_derivative_is_refused():
    x = torch.randn(4, 1, 20, requires_grad=True)
    with fused_parts():
        (grad,) = torch.autograd.grad(StreamBlock(1, 2)(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        grad.sum().backward()


def test_loops_are_used_only_if_they_are_requested():
    x = torch.ones(2, 1, 8)
    assert fused_code(x) is None
    with fused_parts():
        assert fused_code(x) is not None
        assert fused_code(x.half()) is None
        assert fused_code(x.to("meta")) is None
        with torch.autocast("cpu", torch.bfloat16):
            assert fused_code(x) is None
    assert fused_code(x) is None


def test_loops_are_not_used_without_numba(without_numba):
    with fused_parts():
        assert fused_code(torch.ones(2, 1, 8)) is None
    assert not can_fuse()


def make_windows(n_windows=64):
    rng = np.random.default_rng(0)
    y = np.arange(n_windows) % 2
    shift = 0.5 * y[:, None, None]
    series = rng.normal(size=(n_windows, 1, 34)) + shift
    maps = rng.normal(size=(n_windows, 4, 7, 5)) + shift[..., None]
    series[:5] = np.nan
    maps[9:12] = np.nan
    return signal_frame(series=SignalArray(series), maps=SignalArray(maps)), y


def losses(model):
    return np.array(model.net_.history[:, "train_loss"])


MODELS = [
    (ModalityAwareAttentionClassifier(n_filters=4, dropout=0.3, modality_dropout=0.2), "maps"),
    (ModalityAwareAttentionRegressor(n_filters=4, input_noise=0.1), "maps"),
    (CrossModalAttentionClassifier(n_filters=4, dropout=0.3), "series"),
]


def fit_on(model, modality):
    X, y = make_windows()
    X = X if modality == "maps" else X[["series"]].iloc[5:]
    y = y if modality == "maps" else y[5:]
    return model.set_params(max_epochs=4, random_state=0, device="cpu").fit(X, y), X


@pytest.mark.parametrize(("model", "modality"), MODELS)
def test_a_fit_has_the_same_losses_with_and_without_numba(model, modality, request):
    fused, X = fit_on(copy.deepcopy(model), modality)
    request.getfixturevalue("without_numba")
    plain, _ = fit_on(copy.deepcopy(model), modality)
    np.testing.assert_allclose(losses(fused), losses(plain), rtol=2e-3)
    assert (losses(fused) != losses(plain)).any()  # the loops were used
    # Predictions of the same weights differ by rounding only.
    with_numba = fused.predict(X)
    np.testing.assert_array_equal(with_numba, pickle.loads(pickle.dumps(fused)).predict(X))


def test_the_same_seed_gives_a_bitwise_identical_network():
    one, X = fit_on(copy.deepcopy(MODELS[0][0]), "maps")
    other, _ = fit_on(copy.deepcopy(MODELS[0][0]), "maps")
    np.testing.assert_array_equal(losses(one), losses(other))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def as_blocks(network, inputs, present, size):
    """Return all results of a network, computed in blocks of windows, side by side."""
    parts = []
    for start in range(0, len(present), size):
        rows = slice(start, start + size)
        results = network.evaluate([x[rows] for x in inputs], present[rows])
        parts.append(torch.cat([x.flatten(1) for x in results], dim=1))
    return torch.cat(parts)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("n_filters", [3, 8, 32])
@pytest.mark.parametrize("kind", [ModalityAwareAttentionNetwork, CrossModalAttentionNetwork])
def test_blocks_of_32_windows_give_the_bits_of_large_blocks(kind, n_filters, n_members, dtype):
    shapes, settings = [*SHAPES, (1, 9)], {}
    if kind is CrossModalAttentionNetwork:
        shapes, settings = SERIES, {"connections": CONNECTIONS}
    inputs, present = make_inputs(shapes, 256)
    inputs, present = [x.to(dtype) for x in inputs], present.to(dtype)
    members = [kind(shapes, 4, n_filters=n_filters, **settings) for _ in range(n_members)]
    network = disturb(FusionEnsemble(members), 0).to(dtype).eval()
    with fused_parts(), torch.inference_mode():
        small, large = (as_blocks(network, inputs, present, size) for size in (32, 256))
    np.testing.assert_array_equal(small, large)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(30))
def test_needed_windows_have_the_same_bits_as_in_a_whole_batch(seed, dtype):
    rng = np.random.default_rng(seed)
    channels, out_channels = map(int, rng.integers(1, 20, 2))
    sizes = {
        "kernel_size": int(rng.choice([1, 3, 9, 15])),
        "pool_size": int(rng.integers(1, 10)),
    }
    n_times = int(rng.choice([1, 2, 30, 100, rng.integers(1, 3000)]))
    x = torch.from_numpy(rng.normal(size=(40, channels, n_times))).to(dtype)
    stream = StreamBlock(channels, out_channels, **sizes)
    network = torch.nn.Sequential(stream, UNet(out_channels, n_dims=1, n_filters=4))
    network = disturb(network, seed).to(dtype).eval()
    with fused_parts(), torch.inference_mode():
        expected = network[0](x), network[1].maxima(x[:, :1].expand(-1, out_channels, -1))
    n_windows = int(rng.choice([1, 1, 2, 3, 17]))
    with fused_parts(n_windows), torch.inference_mode():
        found = network[0](x), network[1].maxima(x[:, :1].expand(-1, out_channels, -1))
    for own, others in zip(found, expected, strict=True):
        np.testing.assert_array_equal(own[:n_windows], others[:n_windows])
        assert (own[n_windows:] == 0).all()


@pytest.mark.parametrize("attention", ["channel", "temporal", "residual", "scalar", None])
@pytest.mark.parametrize("merge", ["sum", "concat"])
@pytest.mark.parametrize("quality_shapes", [[], [(4,)]])
def test_connected_streams_of_needed_windows_have_the_same_bits_as_in_a_whole_batch(
    attention, merge, quality_shapes
):
    shapes = [(1, 300), (2, 41), (3, 7)]
    network = CrossModalAttentionNetwork(
        shapes,
        3,
        connections=[(0, 1), (1, 0), (2, 0)],
        attention=attention,
        merge=merge,
        quality_shapes=quality_shapes,
        kernel_size=5,
        pool_size=3,
    )
    network = disturb(network, 0).eval()
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(40, *shape, generator=generator) for shape in [*shapes, *quality_shapes]]
    present = (torch.rand(40, len(inputs), generator=generator) > 0.2).float()
    with torch.inference_mode():
        with fused_parts():
            expected = network.evaluate(inputs, present)
        for n_windows in (1, 5, 17):
            with fused_parts(n_windows):
                found = network.evaluate(inputs, present)
            for own, others in zip(found, expected, strict=True):
                np.testing.assert_array_equal(own[:n_windows], others[:n_windows])


def test_a_converted_network_is_computed_with_its_new_parameters():
    x = torch.randn(3, 2, 50, generator=torch.Generator().manual_seed(0))
    network = StreamBlock(2, 8).eval()
    with torch.no_grad(), fused_parts():
        network(x)
    network = disturb(network.double(), 0)
    with torch.no_grad():
        expected = network(x.double())
        with fused_parts():
            assert_same([network(x.double())], [expected], torch.float64)


def test_a_single_long_window_is_normalised_by_itself_in_training():
    x = torch.randn(1, 1, 2000, generator=torch.Generator().manual_seed(0))
    network = StreamBlock(1, 8).train()
    other = copy.deepcopy(network)
    with torch.no_grad(), fused_parts():
        assert_same([network(x)], [other(x)], torch.float32)
    assert_same([network[1].running_mean], [other[1].running_mean], torch.float32)


SIZES = [*range(1, 20), 31, 32, 33, 50, 63, 64, 65, 127, 128, 129, 199, 200]


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("position", range(len(MODELS)))
@pytest.mark.parametrize("numba", ["with Numba", "without Numba"])
def test_predictions_do_not_depend_on_the_number_of_windows(position, n_members, numba, request):
    if numba == "without Numba":
        request.getfixturevalue("without_numba")
    model, modality = copy.deepcopy(MODELS[position])
    fitted, X = fit_on(model.set_params(n_members=n_members), modality)
    X = pd.concat([X] * 4, ignore_index=True).iloc[:200]
    predict = getattr(fitted, "predict_proba", fitted.predict)
    expected = predict(X)
    for n in SIZES if numba == "with Numba" else SIZES[::6]:
        np.testing.assert_array_equal(predict(X.iloc[:n]), expected[:n])


def test_predictions_of_a_custom_module_do_not_depend_on_the_number_of_windows():
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(
                torch.nn.Conv2d(4, 16, 3), torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten()
            )
            self.last = torch.nn.Linear(16, 2)

        def forward(self, inputs, present):
            return self.last(self.layers(inputs[0]))

    X, y = make_windows()
    X = X[["maps"]]
    X, y = X[~X["maps"].isna()], y[~X["maps"].isna()]
    model = FusionClassifier(lambda shapes, n_outputs: Plain(), max_epochs=1, random_state=0)
    expected = model.fit(X, y).predict_proba(X)
    for n in (1, 2, 15, 16, 17):
        np.testing.assert_array_equal(model.predict_proba(X.iloc[:n]), expected[:n])


def test_memory_is_reused_in_the_next_step_and_freed_at_the_end():
    network, x = StreamBlock(1, 8), torch.ones(16, 1, 2000)
    with fused_parts():
        found = []
        for _ in range(3):
            network(x).sum().backward()
            kept = loops_in_use.get().blocks.values()
            found.append([id(block) for blocks in kept for block in blocks])
    assert found[0] == found[1] == found[2] != []
    assert loops_in_use.get() is None


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x[1:].ravel(), torch.from_numpy])
def test_memory_is_reused_only_once_nothing_refers_to_it(view):
    with use_loops():
        one = view(empty_array((4, 1 << 14), np.dtype("float32")))
        other = empty_array((1 << 14, 4), np.dtype("float32"))
        assert not np.shares_memory(one, other)
        place = other.ctypes.data
        del other
        again = empty_array((4, 1 << 14), np.dtype("float32"))
        assert again.ctypes.data == place
        assert again.ctypes.data % 64 == 0
        assert not np.shares_memory(one, again)


def test_bfloat16_is_computed_by_torch(request):
    model = ModalityAwareAttentionClassifier(n_filters=4, precision="bfloat16")
    with_numba, _ = fit_on(copy.deepcopy(model), "maps")
    request.getfixturevalue("without_numba")
    without, _ = fit_on(copy.deepcopy(model), "maps")
    np.testing.assert_array_equal(losses(with_numba), losses(without))


def test_fit_many_trains_one_by_one_unless_asked_to_stack():
    model, X = fit_on(copy.deepcopy(MODELS[0][0]), "maps")
    y = make_windows()[1]
    for together, is_same in ((False, True), (True, False)):
        (fitted,) = fit_many([model], [X], [y], together=together)
        assert np.array_equal(losses(fitted), losses(model)) == is_same
        np.testing.assert_allclose(losses(fitted), losses(model), rtol=2e-3)


def test_compare_gives_the_same_scores_for_any_number_of_processes():
    X, y = make_windows()
    subjects = np.repeat(list("abcd"), len(y) // 4)
    model = copy.deepcopy(MODELS[0][0]).set_params(max_epochs=2, random_state=0, device="cpu")
    one, two = (compare({"net": model}, X, y, subjects, n_jobs=n_jobs) for n_jobs in (1, 2))
    pd.testing.assert_frame_equal(one.predictions, two.predictions)


NORMALISED_BACKWARD = """
import numpy as np
from skemo.nn.layer_loops import activate_backward
from skemo.nn.lanes import LANES

generator = np.random.default_rng(0)
grad, y = generator.normal(size=(2, 2, 8, 24, LANES)).astype("float32")
norm = generator.normal(size=(4, 24)).astype("float32")
activate_backward(grad, y, 2 * LANES, norm, True, True, np.empty((2, 24), "float32"))
print(grad.tobytes().hex())
"""


def test_cached_code_gives_the_same_bits_as_freshly_compiled_code(tmp_path):
    command = [sys.executable, "-c", NORMALISED_BACKWARD]
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    compiling, loading = (
        subprocess.run(command, check=True, env=env, capture_output=True).stdout for _ in range(2)
    )
    assert len(list(tmp_path.rglob("*.nbc"))) > 0
    assert compiling == loading
