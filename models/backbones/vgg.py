"""VGG-16, the backbone of DSLT's and ROAM's papers, with torchvision's published weights.

Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015
(configuration D). The last pooling and the classifier are left out.
"""

import functools
from collections.abc import Callable
from typing import ClassVar

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array

from models.backbone import POOLED_GRID, Features, Grid, Images
from models.backbones.published import PublishedBackbone, max_pool, normalize_colors
from models.layers.fast_convolutions import Conv


class VGG16(PublishedBackbone):
    """13 convolutions of 3x3 in five stages, pooling between them; conv4_3 and conv5_3 come out."""

    name: ClassVar[str] = "vgg16"
    channels: ClassVar[tuple[int, int]] = (512, 512)
    grid: ClassVar[Grid] = POOLED_GRID
    file: ClassVar[str] = "vgg16-397923af.pth"
    convolutions: ClassVar[tuple[int, ...]] = (2, 2, 3, 3, 3)

    def _take(self, state_dict: dict[str, np.ndarray]) -> None:
        stages, index = [], 0
        for count in self.convolutions:
            stage = []
            for _ in range(count):
                kernel = state_dict.pop(f"features.{index}.weight").transpose(2, 3, 1, 0)
                stage.append(Conv(kernel, state_dict.pop(f"features.{index}.bias"), stride=1))
                index += 2  # a ReLU follows
            stages.append(nnx.List(stage))
            index += 1  # and pooling
        self.stages = nnx.List(stages)
        for name in list(state_dict):
            if name.startswith("classifier."):
                del state_dict[name]

    def deeper(self) -> nnx.Module:
        layers: list[Callable[[Array], Array]] = [functools.partial(max_pool, size=2, padding=0)]
        for convolution in self.stages[-1]:
            layers += [nnx.clone(convolution), jax.nn.relu]
        return nnx.Sequential(*layers)

    def __call__(self, images: Images) -> Features:
        x = normalize_colors(images, self.stages[0][0].kernel.dtype)
        levels = []
        for number, stage in enumerate(self.stages):
            if number:
                x = max_pool(x, size=2, padding=0)
            for convolution in stage:
                x = jax.nn.relu(convolution(x))
            levels.append(x)
        return Features(*levels[3:])
