"""ResNet-18 and ResNet-50, the backbones of DiMP's paper, with torchvision's published weights.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, as torchvision builds them:
the stride of a bottleneck is in its 3x3 convolution. The last of the four stages and the classifier
are left out, for a tracker looks at the second and third.
"""

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from models.backbone import CENTERED_GRID, Backbone, Features, Grid, Images
from models.errors import WeightsError
from models.layers import Conv, fold_batch_norm
from models.torch_weights import load_state_dict

_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32) * 255
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
_BATCH_NORM_EPSILON = 1e-5
_UNUSED = ("layer4.", "fc.")


class _Block(nnx.Module):
    """Convolutions with a ReLU between them, beside a shortcut."""

    def __init__(self, convolutions: list[Conv], shortcut: Conv | None):
        self.convolutions = nnx.List(convolutions)
        self.shortcut = shortcut

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n oh ow d"]:
        y = x
        for convolution in self.convolutions[:-1]:
            y = jax.nn.relu(convolution(y))
        y = self.convolutions[-1](y)
        return jax.nn.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(Backbone):
    """The first three stages, their batch norms frozen and folded into the convolutions.

    Subclasses say how many blocks each stage has, and which file holds the weights.
    """

    blocks: ClassVar[tuple[int, int, int]]
    strided: ClassVar[int]  # which convolution of a block has the stride
    convolutions: ClassVar[int]  # of a block
    file: ClassVar[str]
    grid: ClassVar[Grid] = CENTERED_GRID

    def __init__(self, state_dict: Mapping[str, np.ndarray]):
        """Takes the weights from a state dict named as in torchvision.

        Raises:
          KeyError: a weight is missing.
          ValueError: there are weights of another network.
        """
        state_dict = dict(state_dict)  # emptied below, weight by weight
        self.stem = _folded(state_dict, "conv1", "bn1", stride=2)
        self.stages = nnx.List(
            nnx.List(self._stage(state_dict, index, count))
            for index, count in enumerate(self.blocks)
        )
        ignored = lambda name: name.endswith("num_batches_tracked") or name.startswith(_UNUSED)
        unknown = [name for name in state_dict if not ignored(name)]
        if unknown:
            raise ValueError(f"{unknown[0]} is no weight of it")

    def _stage(self, state_dict: dict[str, np.ndarray], index: int, count: int) -> Iterator[_Block]:
        for number in range(count):
            prefix = f"layer{index + 1}.{number}."
            stride = 2 if index > 0 and number == 0 else 1
            convolutions = [
                _folded(state_dict, f"{prefix}conv{i}", f"{prefix}bn{i}",
                        stride if i == self.strided else 1)
                for i in range(1, self.convolutions + 1)
            ]  # fmt: skip
            shortcut = None
            if f"{prefix}downsample.0.weight" in state_dict:
                down = f"{prefix}downsample."
                shortcut = _folded(state_dict, f"{down}0", f"{down}1", stride)
            yield _Block(convolutions, shortcut)

    @classmethod
    def pretrained(cls, path: str | os.PathLike[str] | None = None) -> "ResNet":
        wanted = f"torchvision's {cls.file}, from https://download.pytorch.org/models/{cls.file}"
        if path is None or not pathlib.Path(path).is_file():
            missing = "needs a file with its weights" if path is None else f"{path}: no such file"
            raise WeightsError(f"backbone {cls.name}: {missing}: give that of {wanted}")
        state_dict = load_state_dict(path)
        try:
            return cls(state_dict)
        except (KeyError, ValueError) as error:
            reason = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise WeightsError(
                f"{path} is not a checkpoint of {cls.name} ({reason}): give {wanted}"
            ) from None

    def __call__(self, images: Images) -> Features:
        x = (jnp.asarray(images, self.stem.kernel.dtype) - _MEAN) / _DEVIATION
        x = _max_pool(jax.nn.relu(self.stem(x)))
        levels = []
        for stage in self.stages:
            for block in stage:
                x = block(x)
            levels.append(x)
        return Features(*levels[1:])


class ResNet18(ResNet):
    """Two basic blocks a stage: two 3x3 convolutions each, the first with the stride."""

    name: ClassVar[str] = "resnet18"
    channels: ClassVar[tuple[int, int]] = (128, 256)
    blocks = (2, 2, 2)
    strided = 1
    convolutions = 2
    file = "resnet18-f37072fd.pth"


class ResNet50(ResNet):
    """Bottlenecks: a 3x3 convolution, which has the stride, between two 1x1."""

    name: ClassVar[str] = "resnet50"
    channels: ClassVar[tuple[int, int]] = (512, 1024)
    blocks = (3, 4, 6)
    strided = 2
    convolutions = 3
    file = "resnet50-0676ba61.pth"


def _folded(state_dict: dict[str, np.ndarray], conv: str, norm: str, stride: int) -> Conv:
    """A convolution and the batch norm after it."""
    kernel = state_dict.pop(f"{conv}.weight").transpose(2, 3, 1, 0)
    scale, offset, mean, variance = (state_dict.pop(f"{norm}.{name}") for name in _BATCH_NORM)
    folded = fold_batch_norm(kernel, scale, offset, mean, variance, _BATCH_NORM_EPSILON)
    return Conv(*folded, stride)


def _max_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n oh ow c"]:
    """Size 3, stride 2, padding 1, of what is not negative, so that zeros may pad it.

    One axis after the other and by slices, which is faster on a CPU than a window reduction.
    """
    for axis in (1, 2):
        size = x.shape[axis]
        padding = [(0, 0)] * 4
        padding[axis] = (1, 1)
        padded = jnp.pad(x, padding)
        taps = [
            jax.lax.slice_in_dim(padded, start, start + size, 2, axis=axis) for start in range(3)
        ]
        x = jnp.maximum(jnp.maximum(taps[0], taps[1]), taps[2])
    return x
