"""ResNets with made-up weights in torchvision's naming, against a forward pass in NumPy."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import BACKBONES, ResNet18, ResNet50, WeightsError
from tests.models.backbones.random_resnet import BLOCKS, state_dict
from tests.models.backbones.torch_files import state_dict_file


def reference(name, weights, images):
    """The levels at strides 8 and 16, channels first, each batch norm by itself, in float64."""

    def conv(x, key, stride=1):
        kernel = weights[f"{key}.weight"].astype(np.float64)
        half, size = kernel.shape[2] // 2, kernel.shape[2]
        x = np.pad(x, ((0, 0), (0, 0), (half, half), (half, half)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))
        return np.einsum(
            "nchwij,dcij->ndhw", windows[:, :, ::stride, ::stride], kernel, optimize=True
        )

    def batch_norm(x, key):
        get = lambda part: weights[f"{key}.{part}"].astype(np.float64)[:, None, None]
        x = (x - get("running_mean")) / np.sqrt(get("running_var") + 1e-5)
        return x * get("weight") + get("bias")

    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    x = ((images / 255.0 - mean) / deviation).transpose(0, 3, 1, 2)
    x = np.maximum(batch_norm(conv(x, "conv1", 2), "bn1"), 0)
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    x = windows[:, :, ::2, ::2].max((-2, -1))
    levels = []
    for stage, count in enumerate(BLOCKS[name][:3], 1):
        for block in range(count):
            prefix = f"layer{stage}.{block}."
            stride = 2 if stage > 1 and block == 0 else 1
            strides = (stride, 1) if name == "resnet18" else (1, stride, 1)
            y = x
            for number, step in enumerate(strides, 1):
                y = batch_norm(conv(y, f"{prefix}conv{number}", step), f"{prefix}bn{number}")
                y = np.maximum(y, 0) if number < len(strides) else y
            if f"{prefix}downsample.0.weight" in weights:
                x = batch_norm(conv(x, f"{prefix}downsample.0", stride), f"{prefix}downsample.1")
            x = np.maximum(x + y, 0)
        levels.append(x)
    return levels[1:]


@pytest.mark.parametrize("cls", [ResNet18, ResNet50])
def test_features_match_numpy(cls):
    images = np.random.default_rng(1).integers(0, 256, (1, 32, 48, 3)).astype(np.uint8)
    weights = state_dict(cls.name)
    features = jax.jit(lambda network, images: network(images))(cls(weights), images)
    assert tuple(level.shape[-1] for level in features) == cls.channels
    for ours, theirs in zip(features, reference(cls.name, weights, images), strict=True):
        assert 0.1 < theirs.std() < 100
        expected = theirs.transpose(0, 2, 3, 1)
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_cells_lie_where_the_grid_says():
    network = ResNet18(state_dict("resnet18"))
    image = jnp.asarray(np.random.default_rng(2).uniform(0, 255, (1, 192, 192, 3)), jnp.float32)
    slope = jax.jit(
        jax.grad(lambda image, row, column: jnp.sum(network(image).fine[0, row, column] ** 2))
    )
    row, column = 11, 13
    seen = np.abs(slope(image, row, column)[0]).sum(-1) > 0
    for axis, cell in ((1, row), (0, column)):
        touched = np.flatnonzero(seen.any(axis))
        middle = (touched[0] + touched[-1] + 1) / 2  # of pixels, on the continuous axis
        assert network.grid.to_cells(jnp.array(middle)) == cell
        assert network.grid.to_pixels(jnp.array(float(cell))) == middle


@pytest.mark.parametrize("legacy", [True, False])
def test_a_torchvision_file_is_read(tmp_path, legacy):
    weights = state_dict("resnet18")
    count = {"bn1.num_batches_tracked": np.array(7)}
    path = tmp_path / "resnet18.pth"
    path.write_bytes(state_dict_file(weights | count, legacy))
    loaded, made = ResNet18.pretrained(path), ResNet18(weights)
    for ours, theirs in zip(jax.tree.leaves(loaded), jax.tree.leaves(made), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("cls", [ResNet18, ResNet50])
def test_missing_weights_name_the_file_to_get(cls, tmp_path):
    for path in (None, tmp_path / "gone.pth"):
        with pytest.raises(WeightsError, match=re.escape(cls.file)) as caught:
            cls.pretrained(path)
        assert "\n" not in str(caught.value)


def test_the_checkpoint_of_another_network_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "other.pth"
    path.touch()
    for weights, reason in (
        (state_dict("resnet50"), "layer1.0.conv3"),
        ({"features.0.weight": np.zeros(3)}, "no 'conv1.weight'"),
    ):
        monkeypatch.setattr(
            "models.backbones.torch_weights.load_state_dict", lambda path, weights=weights: weights
        )
        with pytest.raises(WeightsError, match=reason):
            ResNet18.pretrained(path)


def test_every_backbone_is_known_by_its_name():
    lite = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
    assert list(BACKBONES) == [*lite, "resnet18", "resnet50", "siamfc_alexnet", "vgg16", "vgg_m"]
    assert all(BACKBONES[name].name == name for name in BACKBONES)
