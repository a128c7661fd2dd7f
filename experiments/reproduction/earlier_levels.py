"""A backbone whose levels are earlier ones: DSLT_34 and DSLT_35 (Lu et al. 2018, Figure 10)."""

import os
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models import Backbone, EfficientNetLite0, Features
from models.backbone import Grid

SHALLOW_CHANNELS = 24
# A cell of stride 8 is in the middle of three of stride 4, so that pooling keeps its place.
_GRID = EfficientNetLite0.grid


class _Earlier(Backbone):
    """The trunk's stride 4, pooled to stride 8, in the place of its finer level.

    Args:
        trunk: whose weights are taken.
    """

    beside: ClassVar[Literal["fine", "coarse"]]  # the other level, of the trunk's

    def __init__(self, trunk: EfficientNetLite0) -> None:
        self.trunk = trunk

    @classmethod
    def pretrained(cls, path: str | os.PathLike[str] | None = None) -> "_Earlier":
        return cls(EfficientNetLite0.pretrained(path))

    def deeper(self) -> nnx.Module:
        return self.trunk.deeper()

    def __call__(self, images: Any) -> Features:
        features = self.trunk(images)
        return Features(pooled(self.trunk.shallow(images)), getattr(features, self.beside))


class Levels34(_Earlier):
    """Strides 4 and 8, in the place of conv3_3 and conv4_3, both at stride 8."""

    name: ClassVar[str] = "efficientnet_lite0_34"
    channels: ClassVar[tuple[int, int]] = (SHALLOW_CHANNELS, EfficientNetLite0.channels[0])
    grid: ClassVar[Grid] = Grid(origin=_GRID.origin, coarse_origin=0.0, coarse_step=1)
    beside = "fine"


class Levels35(_Earlier):
    """Strides 4 and 16, in the place of conv3_3 and conv5_3."""

    name: ClassVar[str] = "efficientnet_lite0_35"
    channels: ClassVar[tuple[int, int]] = (SHALLOW_CHANNELS, EfficientNetLite0.channels[1])
    grid: ClassVar[Grid] = _GRID
    beside = "coarse"


def pooled(features: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """The mean of three by three cells, every second one, padded as the trunk's strides are."""
    window, stride = (1, 3, 3, 1), (1, 2, 2, 1)
    add = lambda x: jax.lax.reduce_window(x, 0.0, jax.lax.add, window, stride, "SAME")
    return add(features) / add(jnp.ones_like(features))
