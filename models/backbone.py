"""What every backbone of a target filter is: features at two strides, and where their cells lie."""

import abc
import dataclasses
import os
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, UInt8

STRIDE = 8  # of the finer level, in pixels; the coarser one has twice that

Images = UInt8[Array | np.ndarray, "n H W 3"] | Float[Array | np.ndarray, "n H W 3"]


class Features(NamedTuple):
    """What a backbone sees in a batch of images whose sides are multiples of 16.

    The deeper level of a backbone whose grid says so is at stride 8, too.
    """

    fine: Float[Array, "n h8 w8 c8"]
    coarse: Float[Array, "n h16 w16 c16"]


@dataclasses.dataclass(frozen=True)
class Grid:
    """Where the cells of a backbone's two levels lie, which its padding decides.

    Attributes:
        origin: the continuous coordinate, in pixels, that cell 0 of the finer level is centred on.
        coarse_origin: the cell of the finer level that cell 0 of the coarser level is centred on:
            in 0..1. Cell j lies on `coarse_step` * j + `coarse_origin`.
        coarse_step: cells of the finer level from one of the coarser level to the next: 2, or 1
            where both levels are alike.
    """

    origin: float
    coarse_origin: float
    coarse_step: int = 2

    def to_cells(self, pixels: Float[Array, "..."] | float) -> Float[Array, "..."] | float:
        """Image coordinates (continuous pixels) as coordinates on the finer level (cells)."""
        return (pixels - self.origin) / STRIDE

    def to_pixels(self, cells: Float[Array, "..."]) -> Float[Array, "..."]:
        """Undoes `to_cells`."""
        return cells * STRIDE + self.origin

    def boxes_to_cells(self, boxes: Float[Array, "*batch 4"]) -> Float[Array, "*batch 4"]:
        """Boxes x, y, w, h in pixels as such in cells."""
        return jnp.concatenate([self.to_cells(boxes[..., :2]), boxes[..., 2:] / STRIDE], -1)


# Three strided convolutions with TensorFlow's "SAME" padding, which puts the odd zero at the end,
# centre cell i on pixel index 8 i + 7, that is on the continuous coordinate 8 i + 7.5.
SAME_GRID = Grid(origin=7.5, coarse_origin=1.0)
# PyTorch's padding by half the kernel centres cell i on pixel index 8 i.
CENTERED_GRID = Grid(origin=0.5, coarse_origin=0.0)
# Where only 2x2 pooling strides, a cell is in the middle of the 8 x 8 pixels that are pooled.
POOLED_GRID = Grid(origin=4.0, coarse_origin=0.5)


class Backbone(nnx.Module):
    """A feature extractor; images go in as RGB in 0..255 and are normalised inside.

    Attributes:
        name: by which flags and checkpoints know it.
        channels: of the levels at stride 8 and 16.
        grid: where their cells lie.
    """

    name: ClassVar[str]
    channels: ClassVar[tuple[int, int]]
    grid: ClassVar[Grid]

    @classmethod
    @abc.abstractmethod
    def pretrained(cls, path: str | os.PathLike[str] | None = None) -> "Backbone":
        """The network with pretrained weights.

        Args:
          path: a PyTorch checkpoint; may be left out where the weights come with a package.

        Raises:
          WeightsError: the file is missing, damaged, or of another network.
        """

    @abc.abstractmethod
    def deeper(self) -> nnx.Module:
        """A copy of the layers that make the coarser level of the finer one."""

    @abc.abstractmethod
    def __call__(self, images: Images) -> Features:
        """Features of uint8 or float32 images at strides 8 and 16."""
