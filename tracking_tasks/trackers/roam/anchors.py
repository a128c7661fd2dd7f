"""Anchors: one box of a given size on every cell of a grid, and boxes relative to them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def centers(height: int, width: int) -> Float[Array, "h w 2"]:
    """x, y of each cell, in cells."""
    return jnp.stack(jnp.meshgrid(jnp.arange(width), jnp.arange(height)), axis=-1).astype(float)


def deltas(
    box: Float[Array, "4"], anchor: Float[Array, "2"], height: int, width: int
) -> Float[Array, "4 h w"]:
    """A box relative to the anchor on each cell: (dx / a_w, dy / a_h, log w / a_w, log h / a_h).

    The parameterization of Girshick et al., R-CNN, 2014, which ROAM's eq. 7 regresses.

    Args:
        box: x, y, w, h in cells, of a positive size.
        anchor: width and height of the anchors in cells.
        height: of the grid.
        width: of the grid.
    """
    center, size = box[:2] + box[2:] / 2, box[2:]
    shift = (center - centers(height, width)) / anchor
    scale = jnp.broadcast_to(jnp.log(size / anchor), shift.shape)
    return jnp.moveaxis(jnp.concatenate([shift, scale], -1), -1, 0)


def decode(
    delta: Float[Array, "4 h w"], anchor: Float[Array, "2"], largest: float
) -> tuple[Float[Array, "h w 2"], Float[Array, "h w 2"]]:
    """The inverse of `deltas`.

    Args:
        delta: relative boxes.
        anchor: width and height of the anchors in cells.
        largest: bound on the magnitude of the logarithms, so that no box is absurd.

    Returns:
        Centres (x, y) and sizes (w, h) of the boxes in cells.
    """
    delta = jnp.moveaxis(delta, 0, -1)
    center = centers(*delta.shape[:2]) + delta[..., :2] * anchor
    return center, anchor * jnp.exp(jnp.clip(delta[..., 2:], -largest, largest))


def closest(
    box: Float[Array, "4"], anchor: Float[Array, "2"], height: int, width: int, count: int
) -> Bool[Array, "h w"]:
    """Whether an anchor is among the `count` that overlap the box most; equals count too.

    An anchor that does not overlap it never is.
    """
    center, size = box[:2] + box[2:] / 2, box[2:]
    distance = jnp.abs(center - centers(height, width))
    shared = jnp.clip((size + anchor) / 2 - distance, 0, jnp.minimum(size, anchor))
    intersection = jnp.prod(shared, -1)
    overlap = intersection / (jnp.prod(size) + jnp.prod(anchor) - intersection)
    least = jax.lax.top_k(overlap.ravel(), count)[0][-1]
    return (overlap >= least) & (overlap > 0)
