"""SiamFC's trunk with made-up weights in its port's naming, against a forward pass in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import SiamFCAlexNet, WeightsError
from tracking_tasks.trackers.gradnet.tracker import GradNet, GradNetConfig

# (outputs, inputs of a group, kernel) of the five convolutions; groups of two in 2, 4 and 5.
LAYERS = [(96, 3, 11), (256, 48, 5), (384, 256, 3), (384, 192, 3), (256, 192, 3)]


def state_dict(thinner=1):
    """Random weights that keep the features' size; a network with fewer channels is quick."""
    random = np.random.default_rng(0)
    found = {}
    for number, (outputs, inputs, size) in enumerate(LAYERS, 1):
        outputs, inputs = outputs // thinner, inputs if number == 1 else inputs // thinner
        shape, deviation = (outputs, inputs, size, size), np.sqrt(2 / (inputs * size**2))
        layer = {"0.weight": random.normal(0, deviation, shape)}
        layer["0.bias"] = random.normal(0, 0.1, outputs)
        if number < 5:
            layer["1.weight"] = random.uniform(0.5, 1.5, outputs)
            layer["1.bias"] = random.normal(0, 0.1, outputs)
            layer["1.running_mean"] = random.normal(0, 0.1, outputs)
            layer["1.running_var"] = random.uniform(0.5, 1.5, outputs)
            layer["1.num_batches_tracked"] = np.zeros(())
        found |= {f"backbone.conv{number}.{k}": v.astype(np.float32) for k, v in layer.items()}
    return found


def windows(x, size, stride):
    found = np.lib.stride_tricks.sliding_window_view(x, (size, size), (0, 1))
    return found[::stride, ::stride]


def reference(weights, image):
    """Of one image, without any padding, as in the paper; both levels, channels last, float64."""
    x, levels = image.astype(np.float64), []
    for number in range(1, 6):
        get = lambda name, number=number: weights[f"backbone.conv{number}.{name}"].astype(float)
        kernel = get("0.weight")
        groups = x.shape[-1] // kernel.shape[1]
        inputs, kernels = np.split(x, groups, -1), np.split(kernel, groups, 0)
        stride, size = (2 if number == 1 else 1), kernel.shape[-1]
        parts = [
            np.einsum("xycij,dcij->xyd", windows(x, size, stride), k, optimize=True)
            for x, k in zip(inputs, kernels, strict=True)
        ]
        x = np.concatenate(parts, -1) + get("0.bias")
        if number < 5:
            normal = (x - get("1.running_mean")) / np.sqrt(get("1.running_var") + 1e-6)
            x = np.maximum(normal * get("1.weight") + get("1.bias"), 0)
        if number < 3:
            x = windows(x, 3, 2).max((-1, -2))
        if number in (2, 5):
            levels.append(x)
    return levels


def test_features_away_from_the_border_match_numpy():
    image = np.random.default_rng(1).integers(0, 256, (192, 208, 3)).astype(np.uint8)
    weights = state_dict(thinner=8)
    features = jax.jit(lambda network, images: network(images))(SiamFCAlexNet(weights), image[None])
    assert features.fine.shape == (1, 24, 26, 32) and features.coarse.shape == (1, 24, 26, 32)
    # Its cell 0 is centred on pixel 19, that is on pixel 24 of the whole image, cell 3 of ours.
    for ours, theirs, reach in zip(
        features, reference(weights, image[5:, 5:]), (0, 3), strict=True
    ):
        expected = theirs[:12, :12]
        first = 3 + reach
        found = ours[0, first : first + 12, first : first + 12]
        assert 0.05 < expected.std() < 1000
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_the_whole_network_has_the_papers_channels():
    network = SiamFCAlexNet(state_dict())
    found = jax.eval_shape(network, jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.uint8))
    assert tuple(level.shape[-1] for level in found) == SiamFCAlexNet.channels


def test_another_checkpoint_is_refused(monkeypatch, tmp_path):
    weights = state_dict(8)
    del weights["backbone.conv3.1.running_var"]
    monkeypatch.setattr("models.backbones.torch_weights.load_state_dict", lambda path: weights)
    path = tmp_path / "other.pth"
    path.touch()
    with pytest.raises(WeightsError, match=r"no 'backbone.conv3.1.running_var'.*siamfc-pytorch"):
        SiamFCAlexNet.pretrained(path)


def test_gradnet_splits_it_where_the_paper_does(monkeypatch):
    monkeypatch.setattr(SiamFCAlexNet, "channels", (16, 16))
    network = SiamFCAlexNet(state_dict(thinner=16))
    config = GradNetConfig(crop_size=96, template_size=3)
    tracker = GradNet.create("none", config, network)
    image = np.random.default_rng(2).integers(0, 256, (1, 96, 96, 3)).astype(np.uint8)
    cut = jax.jit(tracker.exemplar)
    levels = jax.jit(network)(image)
    exemplar = cut(levels.fine[0])
    # Where the cut at the exemplar's border is not seen, U1 continues as the search branch does.
    inner = np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(
        jax.jit(tracker.embedding.deeper)(exemplar[None])[0][inner],
        cut(levels.coarse[0])[inner],
        rtol=1e-4, atol=1e-4,
    )  # fmt: skip
    assert jax.eval_shape(tracker.template, exemplar).shape == (3, 3, 32)
