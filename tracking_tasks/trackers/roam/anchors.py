"""Anchors: one box of a given size on every cell of a grid, and boxes relative to them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from tracking_tasks import boxes


def centers(height: int, width: int) -> Float[Array, "h w 2"]:
    """x, y of each cell, in cells."""
    return jnp.stack(jnp.meshgrid(jnp.arange(width), jnp.arange(height)), axis=-1).astype(float)


def deltas(
    box: Float[Array, "4"], anchor: Float[Array, "2"], height: int, width: int
) -> Float[Array, "4 h w"]:
    """A box relative to the anchor on each cell: (dx / a_w, dy / a_h, log w / a_w, log h / a_h).

    The parameterization of R-CNN (`boxes.relative`), which ROAM's eq. 7 regresses.

    Args:
        box: x, y, w, h in cells, of a positive size.
        anchor: width and height of the anchors in cells.
        height: of the grid.
        width: of the grid.
    """
    cells = centers(height, width)
    return jnp.moveaxis(boxes.relative(boxes.center(box), box[2:], cells, anchor), -1, 0)


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
