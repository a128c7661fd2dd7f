"""VGG-16 with made-up weights in torchvision's naming, against a forward pass in NumPy."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import VGG16, Features, WeightsError
from models.heads.filter_head import align
from tests.models.backbones.random_vgg import LAYERS, state_dict
from tests.models.backbones.torch_files import state_dict_file


def reference(weights, images):
    """conv4_3 and conv5_3 after their ReLU, channels first, in float64."""
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    x = ((images / 255.0 - mean) / deviation).transpose(0, 3, 1, 2)
    index, convolutions = 0, []
    for layer in LAYERS:
        if len(convolutions) == 13:
            break
        if layer == "M":
            n, c, h, w = x.shape
            x = x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
            index += 1
            continue
        kernel = weights[f"features.{index}.weight"].astype(np.float64)
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
        x = np.einsum("nchwij,dcij->ndhw", windows, kernel, optimize=True)
        x = np.maximum(x + weights[f"features.{index}.bias"][:, None, None], 0)
        convolutions.append(x)
        index += 2
    return convolutions[9], convolutions[12]


def test_features_match_numpy():
    images = np.random.default_rng(1).integers(0, 256, (1, 32, 48, 3)).astype(np.uint8)
    weights = state_dict()
    features = jax.jit(lambda network, images: network(images))(VGG16(weights), images)
    assert tuple(level.shape[-1] for level in features) == VGG16.channels
    for ours, theirs in zip(features, reference(weights, images), strict=True):
        assert 0.05 < theirs.std() < 100
        expected = theirs.transpose(0, 2, 3, 1)
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_cells_of_both_levels_lie_where_the_grid_says():
    network = VGG16(state_dict(thinner=32))
    image = jnp.asarray(np.random.default_rng(2).uniform(0, 255, (1, 256, 256, 3)), jnp.float32)

    @jax.jit
    def slopes(image):
        """Of one cell of each level."""
        fine = lambda image: jnp.sum(network(image).fine[0, 15, 17] ** 2)
        coarse = lambda image: jnp.sum(network(image).coarse[0, 7, 8] ** 2)
        return jax.grad(fine)(image)[0], jax.grad(coarse)(image)[0]

    middles = []
    for slope in slopes(image):
        touched = [np.flatnonzero((np.abs(slope).sum(-1) > 0).any(axis)) for axis in (1, 0)]
        middles.append([(pixels[0] + pixels[-1] + 1) / 2 for pixels in touched])  # continuous
    grid = network.grid
    assert middles[0] == grid.to_pixels(jnp.array([15.0, 17.0])).tolist()
    coarse = grid.to_pixels(2.0 * jnp.array([7.0, 8.0]) + grid.coarse_origin)
    # A unit whose ReLU is off at the edge of what conv5_3 sees shifts the middle by a pixel or two.
    np.testing.assert_allclose(middles[1], coarse, atol=2)


def test_the_coarse_level_lands_between_the_cells_that_were_pooled():
    grid = VGG16.grid
    ramp = lambda places: jnp.tile(jnp.asarray(places)[None, :, None, None], (1, 1, len(places), 1))
    fine = np.arange(12.0) + 1
    coarse = 2 * np.arange(6.0) + grid.coarse_origin + 1  # where its cells lie, in fine cells
    aligned = align(Features(ramp(fine), ramp(coarse)), grid)
    ratio = np.asarray(aligned[1] / aligned[0])[0, 1:-1, 0, 0]  # each was scaled as a whole
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


def test_a_torchvision_file_is_read_without_its_classifier(tmp_path):
    weights = state_dict(thinner=32)
    arrays = weights | {"classifier.6.bias": np.zeros(5, np.float32)}
    path = tmp_path / "vgg16.pth"
    path.write_bytes(state_dict_file(arrays))
    loaded, made = VGG16.pretrained(path), VGG16(weights)
    for ours, theirs in zip(jax.tree.leaves(loaded), jax.tree.leaves(made), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_missing_weights_name_the_file_to_get(tmp_path):
    for path in (None, tmp_path / "gone.pth"):
        with pytest.raises(WeightsError, match=re.escape(VGG16.file)) as caught:
            VGG16.pretrained(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"features.2.weight": None}, "no 'features.2.weight'"),  # vgg16_bn, vgg13
        ({"features.30.weight": np.zeros(1)}, "features.30.weight is no weight of it"),  # vgg19
    ],
)
def test_the_checkpoint_of_another_network_is_refused(monkeypatch, tmp_path, change, reason):
    weights = {k: v for k, v in (state_dict(32) | change).items() if v is not None}
    monkeypatch.setattr("models.backbones.torch_weights.load_state_dict", lambda path: weights)
    path = tmp_path / "other.pth"
    path.touch()
    with pytest.raises(WeightsError, match=reason):
        VGG16.pretrained(path)
