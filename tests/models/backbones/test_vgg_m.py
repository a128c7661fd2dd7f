"""RT-MDNet's trunk with made-up weights in its file's naming, against a forward pass in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from models import VGGM
from tests.models.backbones.torch_files import state_dict_file

LAYERS = [(96, 3, 7), (256, 96, 5), (512, 256, 3)]  # outputs, inputs, kernel


def state_dict(thinner=1):
    """Random weights that keep the features' size; a network with fewer channels is quick."""
    random = np.random.default_rng(0)
    found = {}
    for number, (outputs, inputs, size) in enumerate(LAYERS, 1):
        outputs, inputs = outputs // thinner, inputs if number == 1 else inputs // thinner
        deviation = np.sqrt(2 / (inputs * size**2))
        kernel = random.normal(0, deviation, (outputs, inputs, size, size))
        found[f"conv{number}.0.weight"] = kernel.astype(np.float32)
        found[f"conv{number}.0.bias"] = random.normal(0, 0.1, outputs).astype(np.float32)
    return found | {"fc4.0.weight": np.zeros((2, 2), np.float32)}


def windows(x, size, stride, dilation=1):
    reach = dilation * (size - 1) + 1
    found = np.lib.stride_tricks.sliding_window_view(x, (reach, reach), (0, 1))
    return found[::stride, ::stride, ..., ::dilation, ::dilation]


def reference(weights, image):
    """Of one image, without any padding, as in the paper; both levels, channels last, float64."""
    x, levels = image.astype(np.float64) - 128, []
    for number, (stride, dilation) in enumerate([(2, 1), (2, 1), (1, 3)], 1):
        kernel, bias = (weights[f"conv{number}.0.{n}"].astype(float) for n in ("weight", "bias"))
        seen = windows(x, kernel.shape[-1], stride, dilation)
        x = np.maximum(np.einsum("xycij,dcij->xyd", seen, kernel, optimize=True) + bias, 0)
        if number < 3:
            x = x / (2 + 1e-4 * x**2) ** 0.75
        if number == 1:
            x = windows(x, 3, 2).max((-1, -2))
        else:
            levels.append(x)
    return levels


def test_features_away_from_the_border_match_numpy():
    image = np.random.default_rng(1).integers(0, 256, (192, 208, 3)).astype(np.uint8)
    weights = state_dict(thinner=8)
    features = jax.jit(lambda network, images: network(images))(VGGM(weights), image[None])
    assert features.fine.shape == (1, 24, 26, 32) and features.coarse.shape == (1, 24, 26, 64)
    # Its cell 0 of conv2 is centred on pixel 13: from row and column 3 on, on pixel 16, cell 2.
    for ours, theirs, reach in zip(
        features, reference(weights, image[3:, 3:]), (0, 3), strict=True
    ):
        expected = theirs[:12, :12]
        first = 2 + reach
        found = ours[0, first : first + 12, first : first + 12]
        assert 0.05 < expected.std() < 1000
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_the_whole_network_has_the_papers_channels():
    network = VGGM(state_dict())
    image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.uint8)
    levels = jax.eval_shape(lambda network, image: network(image), network, image)
    assert tuple(level.shape for level in levels) == ((1, 8, 8, 256), (1, 8, 8, 512))


def test_the_published_file_is_read(tmp_path):
    weights = state_dict(thinner=8)
    path = tmp_path / "rt-mdnet.pth"
    path.write_bytes(state_dict_file(weights, inside="shared_model"))
    loaded, made = VGGM.pretrained(path), VGGM(weights)
    for ours, theirs in zip(jax.tree.leaves(loaded), jax.tree.leaves(made), strict=True):
        np.testing.assert_array_equal(ours, theirs)
