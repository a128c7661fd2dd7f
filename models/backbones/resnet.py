"""ResNet-18 and ResNet-50, the backbones of DiMP's paper, with torchvision's published weights.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, as torchvision builds them:
the stride of a bottleneck is in its 3x3 convolution. The last of the four stages and the classifier
are left out, for a tracker looks at the second and third.
"""

from collections.abc import Iterator
from typing import ClassVar

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from models.backbone import CENTERED_GRID, Features, Grid, Images
from models.backbones.published import PublishedBackbone, max_pool, normalize_colors
from models.layers.fast_convolutions import Conv, fold_batch_norm

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


class ResNet(PublishedBackbone):
    """The first three stages, their batch norms frozen and folded into the convolutions.

    Subclasses say how many blocks each stage has.
    """

    blocks: ClassVar[tuple[int, int, int]]
    strided: ClassVar[int]  # which convolution of a block has the stride
    convolutions: ClassVar[int]  # of a block
    grid: ClassVar[Grid] = CENTERED_GRID

    def _take(self, state_dict: dict[str, np.ndarray]) -> None:
        self.stem = _folded(state_dict, "conv1", "bn1", stride=2)
        self.stages = nnx.List(
            nnx.List(self._stage(state_dict, index, count))
            for index, count in enumerate(self.blocks)
        )
        for name in list(state_dict):
            if name.endswith("num_batches_tracked") or name.startswith(_UNUSED):
                del state_dict[name]

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

    def deeper(self) -> nnx.Module:
        return nnx.Sequential(*map(nnx.clone, self.stages[-1]))

    def __call__(self, images: Images) -> Features:
        x = normalize_colors(images, self.stem.kernel.dtype)
        x = max_pool(jax.nn.relu(self.stem(x)), size=3, padding=1)
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
