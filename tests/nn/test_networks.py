"""The defining properties of the networks and their parts."""

import re

import pytest
import torch

from skemo.nn import (
    CrossModalAttentionNetwork,
    CrossModalConnection,
    ModalityAwareAttention,
    ModalityAwareAttentionNetwork,
    ModalityDropout,
    SqueezeExcitation,
    StreamBlock,
    UNet,
)
from skemo.nn.weights import build_network


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("size", [1, 2, 3, 7, 33, 160])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_unet_over_time_keeps_the_length(size, depth):
    unet = UNet(3, n_dims=1, n_filters=4, depth=depth)
    assert unet(torch.randn(2, 3, size)).shape == (2, 4, size)


@pytest.mark.parametrize("size", [(1, 1), (19, 1), (14, 5), (2, 9)])
def test_a_unet_over_a_plane_keeps_the_size(size):
    assert UNet(4, n_dims=2, n_filters=4)(torch.randn(2, 4, *size)).shape == (2, 4, *size)


def test_a_unet_halves_the_size_at_each_level_and_concatenates_each_skip():
    sizes = []
    unet = UNet(1, n_dims=1, n_filters=4, depth=2)
    for block in [*unet.encoder, *unet.decoder]:
        block.register_forward_hook(lambda _, x, y: sizes.append((x[0].shape[1], *y.shape[1:])))
    unet(torch.randn(2, 1, 16))
    assert sizes == [(1, 4, 16), (4, 8, 8), (8, 16, 4), (24, 8, 8), (12, 4, 16)]


@pytest.mark.parametrize(("excitation", "combine"), [("max", torch.maximum), ("sum", torch.add)])
def test_squeeze_excitation_follows_the_published_formula(excitation, combine):
    x = torch.randn(3, 6, 5, 4)
    block = SqueezeExcitation(6, reduction=3, excitation=excitation)
    first, _, second, _ = block.channel_gate
    hidden = torch.relu(x.mean((2, 3)) @ first.weight.T + first.bias)
    assert hidden.shape == (3, 2)
    channel = torch.sigmoid(hidden @ second.weight.T + second.bias)[:, :, None, None]
    last = block.spatial_gate[0]
    kernel = last.weight[:, :, None, None]
    space = torch.sigmoid(torch.nn.functional.conv2d(x, kernel, last.bias))
    torch.testing.assert_close(block(x), combine(x * channel, x * space))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_channels": 0}, "n_channels must be an integer of at least 1, got 0."),
        ({"reduction": 0}, "reduction must be an integer of at least 1, got 0."),
        ({"reduction": 1.5}, "reduction must be an integer of at least 1, got 1.5."),
        ({"excitation": "mean"}, 'excitation must be "max" or "sum", got \'mean\'.'),
    ],
    ids=str,
)
def test_squeeze_excitation_names_a_bad_parameter(settings, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SqueezeExcitation(**{"n_channels": 8, **settings})


def test_each_mask_depends_on_every_modality():
    attention = ModalityAwareAttention(3, 8)
    vectors = torch.randn(1, 3, 8, requires_grad=True)
    masks = attention(vectors, torch.ones(1, 3))
    assert ((masks > 0) & (masks < 1)).all()
    for modality in range(3):
        (gradient,) = torch.autograd.grad(masks[0, modality].sum(), vectors, retain_graph=True)
        assert (gradient.abs().sum(2) > 0).all()


def test_the_mask_of_an_absent_modality_is_zero():
    masks = ModalityAwareAttention(2, 8)(torch.randn(4, 2, 8), torch.tensor([[1.0, 0.0]] * 4))
    assert (masks[:, 1] == 0).all()
    assert (masks[:, 0] > 0).all()


def test_the_network_equals_scaling_the_maps_and_then_pooling():
    network = ModalityAwareAttentionNetwork([(1, 20), (4, 6, 3)], n_outputs=3, n_filters=4).eval()
    inputs = [torch.randn(5, 1, 20), torch.randn(5, 4, 6, 3)]
    maps = [branch(x) for branch, x in zip(network.branches, inputs, strict=True)]
    vectors = torch.stack([x.flatten(2).amax(2) for x in maps], dim=1)
    masks = network.attention(vectors, torch.ones(5, 2))
    weights, fused, scores = network.evaluate(inputs, torch.ones(5, 2))
    torch.testing.assert_close(weights, masks.mean(2))
    for i, feature_map in enumerate(maps):
        mask = masks[:, i].reshape(5, 4, *(1,) * (feature_map.ndim - 2))
        scaled = (mask * feature_map).flatten(2).amax(2)
        torch.testing.assert_close(scaled, fused[:, 4 * i : 4 * i + 4])
    torch.testing.assert_close(network.head(fused), scores)


@pytest.mark.parametrize("attention", ["mask", None])
def test_an_absent_modality_does_not_reach_the_scores(attention):
    network = ModalityAwareAttentionNetwork([(1, 20), (4, 6, 3)], 2, attention=attention).eval()
    present = torch.tensor([[1.0, 0.0]] * 5)
    ecg = torch.randn(5, 1, 20)
    one, other = (network([ecg, torch.randn(5, 4, 6, 3)], present) for _ in range(2))
    torch.testing.assert_close(one, other)


def test_without_attention_the_vectors_are_not_scaled():
    basic = ModalityAwareAttentionNetwork([(1, 20)], 2, attention=None).eval()
    x = torch.randn(5, 1, 20)
    weights, fused, _ = basic.evaluate([x], torch.ones(5, 1))
    assert (weights == 1).all()
    torch.testing.assert_close(fused, basic.branches[0](x).amax(2))


def test_the_basic_model_differs_only_by_the_attention():
    shapes = [(1, 20), (4, 6, 3)]
    basic = ModalityAwareAttentionNetwork(shapes, 2, attention=None).state_dict()
    whole = ModalityAwareAttentionNetwork(shapes, 2).state_dict()
    assert {key for key in whole if not key.startswith("attention.")} == set(basic)


@pytest.mark.parametrize("size", [1, 2, 5, 40, 641])
def test_a_stream_block_shortens_series_of_any_length(size):
    block = StreamBlock(3, 8, kernel_size=9, pool_size=4)
    assert block(torch.randn(2, 3, size)).shape == (2, 8, -(-size // 4))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_channels": True}, "n_channels must be an integer of at least 1, got True."),
        (
            {"source_channels": [6, 0]},
            "Each of source_channels must be an integer of at least 1, got 0.",
        ),
        (
            {"source_channels": []},
            "source_channels must have at least one entry, got none.",
        ),
        (
            {"attention": "spatial"},
            'attention must be "channel", "temporal", "residual", "scalar" or None, got '
            "'spatial'.",
        ),
        ({"merge": "max"}, 'merge must be "sum" or "concat", got \'max\'.'),
        ({"reduction": 0}, "reduction must be an integer of at least 1, got 0."),
        (
            {"reduction": 0, "attention": None},
            "reduction must be an integer of at least 1, got 0.",
        ),
    ],
    ids=str,
)
def test_a_connection_names_a_bad_parameter(settings, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CrossModalConnection(**{"n_channels": 8, "source_channels": [6], **settings})


@pytest.mark.parametrize("attention", ["channel", "temporal", None])
@pytest.mark.parametrize("lengths", [(10, 10), (10, 640), (640, 10), (7, 12), (1, 5), (5, 1)])
def test_a_connection_merges_streams_of_any_length(attention, lengths):
    own, other = lengths
    connection = CrossModalConnection(8, [6], attention=attention)
    target = torch.randn(3, 8, own)
    merged, weights = connection(target, [torch.randn(3, 6, other)], torch.ones(3, 1))
    assert merged.shape == target.shape
    assert weights.shape == (3, 1)
    assert ((weights > 0) & (weights <= 1)).all()
    assert not torch.equal(merged, target)


@pytest.mark.parametrize("attention", ["channel", "temporal", None])
def test_an_absent_source_does_not_change_the_target(attention):
    connection = CrossModalConnection(8, [6, 8], attention=attention).eval()
    target, sources = torch.randn(3, 8, 10), [torch.randn(3, 6, 10), torch.randn(3, 8, 4)]
    merged, weights = connection(target, sources, torch.zeros(3, 2))
    torch.testing.assert_close(merged, target)
    assert (weights == 0).all()


def test_plain_sharing_adds_the_projected_source():
    connection = CrossModalConnection(8, [6], attention=None).eval()
    target, source = torch.randn(3, 8, 10), torch.randn(3, 6, 10)
    merged, weights = connection(target, [source], torch.ones(3, 1))
    torch.testing.assert_close(merged, target + connection.projections[0](source))
    assert (weights == 1).all()


def test_the_concatenated_parts_add_up_to_the_sum():
    torch.manual_seed(1)
    added = CrossModalConnection(8, [6, 8], merge="sum").eval()
    joined = CrossModalConnection(8, [6, 8], merge="concat").eval()
    joined.load_state_dict(added.state_dict())
    target, sources = torch.randn(3, 8, 10), [torch.randn(3, 6, 10), torch.randn(3, 8, 10)]
    merged, _ = joined(target, sources, torch.ones(3, 2))
    assert merged.shape == (3, 24, 10)
    assert joined.out_channels == 24
    torch.testing.assert_close(
        merged.unflatten(1, (3, 8)).sum(1), added(target, sources, torch.ones(3, 2))[0]
    )


def test_the_attention_depends_on_both_streams():
    connection = CrossModalConnection(8, [6]).eval()
    target = torch.randn(1, 8, 10, requires_grad=True)
    source = torch.randn(1, 6, 10, requires_grad=True)
    with torch.no_grad():
        connection.gates[0][1].bias.fill_(10.0)  # so that its units are active
    for gradient in torch.autograd.grad(
        connection(target, [source], torch.ones(1, 1))[1].sum(), [target, source]
    ):
        assert gradient.abs().sum() > 0


def test_a_source_stays_aligned_in_time():
    connection = CrossModalConnection(1, [1], attention=None).eval()
    with torch.no_grad():
        connection.projections[0][0].weight.fill_(1.0)
    for length in (8, 80, 640):
        source = torch.zeros(1, 1, length)
        source[..., length // 2 :] = 1.0
        shared, _ = connection(torch.zeros(1, 1, 16), [source], torch.ones(1, 1))
        assert (shared[0, 0, :8] < 0.01).all()
        assert (shared[0, 0, 8:] > 0.9).all()


@pytest.mark.parametrize("lengths", [(80, 16), (38, 20), (39, 20), (11, 10), (16, 80), (7, 5)])
def test_a_series_of_another_length_is_the_mean_over_each_sample(lengths):
    n_from, n_to = lengths
    ramp = torch.arange(n_from, dtype=torch.float64)
    connection = CrossModalConnection(1, [1], attention=None).double().eval()
    with torch.no_grad():
        connection.projections[0][0].weight.fill_(1.0)
    target = torch.zeros(1, 1, n_to, dtype=torch.float64)
    present = torch.ones(1, 1, dtype=torch.float64)
    shared, _ = connection(target, [ramp[None, None]], present)
    # The series is constant within each sample, so its integral is linear between the edges.
    edges = torch.linspace(0, n_from, n_to + 1, dtype=torch.float64)
    whole = edges.floor()
    integral = whole * (whole - 1) / 2 + (edges - whole) * whole
    means = integral.diff() * n_to / n_from
    torch.testing.assert_close(shared[0, 0], means / (1 + 1e-5) ** 0.5)


def test_a_channel_gate_is_constant_in_time_and_a_temporal_gate_over_channels():
    target, source = torch.randn(2, 8, 10), torch.randn(2, 6, 10)
    gates = {}
    for attention in ("channel", "temporal"):
        connection = CrossModalConnection(8, [6], attention=attention).eval()
        merged, weights = connection(target, [source], torch.ones(2, 1))
        gates[attention] = (merged - target) / connection.projections[0](source)
        torch.testing.assert_close(weights[:, 0], gates[attention].mean((1, 2)))
    assert gates["channel"].std(2).max() < 1e-4 < gates["channel"].std(1).min()
    assert gates["temporal"].std(1).max() < 1e-4 < gates["temporal"].std(2).min()


def test_without_connections_the_scores_are_the_sum_of_the_streams():
    network = CrossModalAttentionNetwork([(1, 64), (2, 10)], 3).eval()
    ecg, eda = torch.randn(5, 1, 64), torch.randn(5, 2, 10)
    both, first, second, none = (
        network([ecg, eda], torch.tensor([present] * 5))
        for present in ([1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0])
    )
    torch.testing.assert_close(both, first + second - none)
    weights, _, _ = network.evaluate([ecg, eda], torch.ones(5, 2))
    assert weights.isnan().all()  # not shared with any


def test_a_connection_has_the_given_direction():
    shapes = [(1, 64), (1, 10)]
    network = CrossModalAttentionNetwork(shapes, 2, connections=[(1, 0)], stages=[2]).eval()
    ecg, eda = torch.randn(4, 1, 64), torch.randn(4, 1, 10)
    _, one, _ = network.evaluate([ecg, eda], torch.ones(4, 2))
    _, other, _ = network.evaluate([torch.randn(4, 1, 64), eda], torch.ones(4, 2))
    width = network.vector_sizes[0]
    torch.testing.assert_close(
        one[:, width:], other[:, width:]
    )  # the EDA does not depend on the ECG
    _, other, _ = network.evaluate([ecg, torch.randn(4, 1, 10)], torch.ones(4, 2))
    assert (one[:, :width] - other[:, :width]).abs().max() > 0  # the ECG depends on the EDA


@pytest.mark.parametrize("attention", ["channel", "temporal", None])
@pytest.mark.parametrize("merge", ["sum", "concat"])
def test_an_absent_modality_reaches_neither_scores_nor_other_streams(attention, merge):
    network = CrossModalAttentionNetwork(
        [(1, 64), (1, 10), (3, 33)],
        2,
        connections=[(i, j) for i in range(3) for j in range(3) if i != j],
        stages=[1, 2, 3],
        attention=attention,
        merge=merge,
    ).eval()
    present = torch.tensor([[1.0, 0.0, 1.0]] * 4)
    ecg, eeg = torch.randn(4, 1, 64), torch.randn(4, 3, 33)
    one, other = (network.evaluate([ecg, torch.randn(4, 1, 10), eeg], present) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b)
    assert (one[0][:, 1] == 0).all()


def test_modalities_are_dropped_with_the_given_probability_and_never_all():
    present = torch.ones(4000, 2)
    present[:1000, 1] = 0
    dropout = ModalityDropout(0.3)
    kept = dropout(present)
    assert (kept[:1000] == present[:1000]).all()
    # Each of two is dropped, except in half of the cases in which both would be.
    assert abs((kept[1000:] == 0).float().mean() - (0.3 - 0.3**2 / 2)) < 0.02
    always = ModalityDropout(1.0)(torch.ones(100, 3))
    assert (always.sum(1) == 1).all()
    assert (kept.sum(1) >= 1).all()
    assert torch.equal(dropout.eval()(present), present)


# Initial weights


def test_initial_weights_are_those_that_torch_draws_and_leave_its_generator_alone():
    def build():
        return CrossModalAttentionNetwork([(1, 64), (2, 32)], 2, n_filters=4)

    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        expected = build().state_dict()
        before = torch.get_rng_state()
        network = build_network(build, torch.Generator().manual_seed(3))
        assert torch.equal(torch.get_rng_state(), before)
    for name, values in network.state_dict().items():
        assert torch.equal(values, expected[name])
