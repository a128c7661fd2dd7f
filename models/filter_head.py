"""The head that a target filter works on: fused features and the filter's initial value."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.backbone import Features
from models.prroi import precise_roi_pool

# Where cell 0 of the fused grid lies: three strided convolutions with TensorFlow's "SAME" padding
# centre cell i on pixel index 8 i + 7, that is on the continuous coordinate 8 i + 7.5.
STRIDE = 8
CELL_ORIGIN = 7.5


def to_cells(pixels: Float[Array, "..."]) -> Float[Array, "..."]:
    """Image coordinates (continuous pixels) as coordinates on the fused grid (cells)."""
    return (pixels - CELL_ORIGIN) / STRIDE


def to_pixels(cells: Float[Array, "..."]) -> Float[Array, "..."]:
    """Undoes `to_cells`."""
    return cells * STRIDE + CELL_ORIGIN


def fuse(features: Features) -> Float[Array, "n h w c"]:
    """Both levels at stride 8, each scaled to a mean square of one, concatenated.

    Stride-16 cell j lies on stride-8 cell 2 j + 1, hence the interleaving.
    """
    shallow, deep = (normalize(level) for level in features)
    for axis in (1, 2):
        before = jnp.concatenate(
            [
                jax.lax.slice_in_dim(deep, 0, 1, axis=axis),
                jax.lax.slice_in_dim(deep, 0, -1, axis=axis),
            ],
            axis,
        )
        shape = list(deep.shape)
        shape[axis] *= 2
        deep = jnp.stack([(before + deep) / 2, deep], axis + 1).reshape(shape)
    return jnp.concatenate([shallow, deep], -1)


def normalize(features: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Scales each map of the batch to a mean square of one."""
    mean_square = jnp.mean(features**2, axis=(1, 2, 3), keepdims=True)
    return features * jax.lax.rsqrt(mean_square + 1e-5)


class FilterHead(nnx.Module):
    """Classification features and initial filter of DiMP (Bhat et al. 2019, section 3.3).

    Both layers start as the identity, so that an untrained head passes the backbone's features on.

    Args:
        channels: channels of the fused features, and of the result.
        filter_size: side of the target filter in cells.
    """

    def __init__(self, channels: int, filter_size: int) -> None:
        self.projection = nnx.Param(jnp.eye(channels))
        self.initializer = nnx.Param(jnp.eye(channels))
        self.filter_size = filter_size

    def __call__(self, features: Features) -> Float[Array, "n h w c"]:
        """Fused features whose product with a filter like themselves has mean one.

        The normalization is that of the published code: each map's mean square is
        1 / (channels * filter_size^2).
        """
        projected = fuse(features) @ self.projection[...]
        return normalize(projected) / (projected.shape[-1] ** 0.5 * self.filter_size)

    def initial_filter(
        self,
        features: Float[Array, "n h w c"],
        boxes: Float[Array, "n 4"],
        weights: Float[Array, " n"],
    ) -> Float[Array, "k k c"]:
        """The weighted mean over samples of the pooled target features; `boxes` in cells."""
        size = (self.filter_size, self.filter_size)
        pooled = precise_roi_pool(features @ self.initializer[...], boxes, size, 1.0)
        return jnp.tensordot(weights, pooled, 1)
