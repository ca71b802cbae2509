"""The networks' parts, by their defining properties."""

import pytest
import torch

from skemo.nn import ModalityAwareAttention, ModalityAwareAttentionNetwork, SqueezeExcitation, UNet


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("size", [1, 2, 3, 7, 33, 160])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_unet_over_time_keeps_any_length(size, depth):
    unet = UNet(3, n_dims=1, n_filters=4, depth=depth)
    assert unet(torch.randn(2, 3, size)).shape == (2, 4, size)


@pytest.mark.parametrize("size", [(1, 1), (19, 1), (14, 5), (2, 9)])
def test_a_unet_over_a_plane_keeps_any_size(size):
    assert UNet(4, n_dims=2, n_filters=4)(torch.randn(2, 4, *size)).shape == (2, 4, *size)


def test_a_unet_halves_each_level_and_joins_each_skip():
    sizes = []
    unet = UNet(1, n_dims=1, n_filters=4, depth=2)
    for block in [*unet.encoder, *unet.decoder]:
        block.register_forward_hook(lambda _, x, y: sizes.append((x[0].shape[1], *y.shape[1:])))
    unet(torch.randn(2, 1, 16))
    assert sizes == [(1, 4, 16), (4, 8, 8), (8, 16, 4), (24, 8, 8), (12, 4, 16)]


@pytest.mark.parametrize(("merge", "join"), [("max", torch.maximum), ("sum", torch.add)])
def test_squeeze_excitation_is_the_published_formula(merge, join):
    x = torch.randn(3, 6, 5, 4)
    block = SqueezeExcitation(6, reduction=3, merge=merge)
    first, _, second, _ = block.channel_gate
    hidden = torch.relu(x.mean((2, 3)) @ first.weight.T + first.bias)
    assert hidden.shape == (3, 2)
    channel = torch.sigmoid(hidden @ second.weight.T + second.bias)[:, :, None, None]
    last = block.spatial_gate[0]
    kernel = last.weight[:, :, None, None]
    space = torch.sigmoid(torch.nn.functional.conv2d(x, kernel, last.bias))
    torch.testing.assert_close(block(x), join(x * channel, x * space))


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


def test_scaling_the_map_and_then_pooling_equals_the_network():
    network = ModalityAwareAttentionNetwork([(1, 20), (4, 6, 3)], n_classes=3, n_filters=4).eval()
    inputs = [torch.randn(5, 1, 20), torch.randn(5, 4, 6, 3)]
    maps = [branch(x) for branch, x in zip(network.branches, inputs, strict=True)]
    masks, vectors, scores = network.evaluate(inputs, torch.ones(5, 2))
    for i, feature_map in enumerate(maps):
        mask = masks[:, i].reshape(5, 4, *(1,) * (feature_map.ndim - 2))
        torch.testing.assert_close((mask * feature_map).flatten(2).amax(2), vectors[:, i])
    torch.testing.assert_close(network.head(vectors.flatten(1)), scores)


@pytest.mark.parametrize("attention", [True, False])
def test_an_absent_modality_does_not_reach_the_scores(attention):
    network = ModalityAwareAttentionNetwork([(1, 20), (4, 6, 3)], 2, attention=attention).eval()
    present = torch.tensor([[1.0, 0.0]] * 5)
    ecg = torch.randn(5, 1, 20)
    one, other = (network([ecg, torch.randn(5, 4, 6, 3)], present) for _ in range(2))
    torch.testing.assert_close(one, other)


def test_without_attention_the_vectors_pass_as_they_are():
    basic = ModalityAwareAttentionNetwork([(1, 20)], 2, attention=False).eval()
    x = torch.randn(5, 1, 20)
    masks, vectors, _ = basic.evaluate([x], torch.ones(5, 1))
    assert (masks == 1).all()
    torch.testing.assert_close(vectors[:, 0], basic.branches[0](x).amax(2))


def test_the_basic_model_differs_by_the_attention_alone():
    shapes = [(1, 20), (4, 6, 3)]
    basic = ModalityAwareAttentionNetwork(shapes, 2, attention=False).state_dict()
    whole = ModalityAwareAttentionNetwork(shapes, 2).state_dict()
    assert {key for key in whole if not key.startswith("attention.")} == set(basic)
