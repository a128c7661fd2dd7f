"""The head that a target filter works on: fused features and the filter's initial value."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.backbone import Features, Grid
from models.layers.prroi import precise_roi_pool


def fuse(features: Features, grid: Grid) -> Float[Array, "n h w c"]:
    """Both levels as `align` makes them, concatenated."""
    return jnp.concatenate(align(features, grid), -1)


def align(
    features: Features, grid: Grid
) -> tuple[Float[Array, "n h w fine"], Float[Array, "n h w coarse"]]:
    """Both levels at stride 8, each scaled to a mean square of one.

    The coarse level is linear between its cells; the border repeats.
    """
    fine, coarse = (normalize(level) for level in features)
    if grid.coarse_step == 2:
        for axis in (1, 2):
            coarse = _upsample(coarse, axis, grid.coarse_origin)
    return fine, coarse


def _upsample(x: Float[Array, "n h w c"], axis: int, origin: float) -> Float[Array, "n oh ow c"]:
    """Doubles an axis, linear between entries: entry j is at 2 j + `origin`, an origin of 0..1."""
    part = lambda start, stop: jax.lax.slice_in_dim(x, start, stop, axis=axis)
    last = x.shape[axis]
    before = jnp.concatenate([part(0, 1), part(0, -1)], axis)
    after = jnp.concatenate([part(1, last), part(last - 1, last)], axis)
    pair = []
    for index in range(2):  # entry 2 j + index lies at j + offset
        offset = (index - origin) / 2
        neighbor = after if offset > 0 else before
        pair.append((1 - abs(offset)) * x + abs(offset) * neighbor if offset else x)
    shape = list(x.shape)
    shape[axis] *= 2
    return jnp.stack(pair, axis + 1).reshape(shape)


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
        grid: where the backbone's cells lie.
    """

    def __init__(self, channels: int, filter_size: int, grid: Grid) -> None:
        self.projection = nnx.Param(jnp.eye(channels))
        self.initializer = nnx.Param(jnp.eye(channels))
        self.filter_size = filter_size
        self.grid = grid

    def __call__(self, features: Features) -> Float[Array, "n h w c"]:
        """Fused features whose product with a filter like themselves has mean one.

        The normalization is that of the published code: each map's mean square is
        1 / (channels * filter_size^2).
        """
        projected = fuse(features, self.grid) @ self.projection[...]
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
