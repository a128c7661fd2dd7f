"""Adaptive RoIAlign: samples on a grid in a box, each as wide as the grid is coarse.

Jung, Son, Baek, Han, "Real-Time MDNet", ECCV 2018, section 3.2.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def adaptive_roi_align(
    features: Float[Array, "h w c"], boxes: Float[Array, "n 4"], size: int
) -> Float[Array, "n size size c"]:
    """Samples one feature map in the middles of the size x size bins of each box.

    A sample is bilinear with a bandwidth of one bin, and of one cell where bins are smaller, so
    that it sees the whole of its bin (the published code rounds the bandwidth and samples four
    cells; here all cells under the hat count). A hat is a product of one factor an axis, so this is
    two matrix products, and differentiable in the features and the boxes.

    Args:
      features: cell (i, j) sits at the coordinate y = i, x = j; the border repeats.
      boxes: x, y, width, height in cells, of a positive size.
      size: samples along each axis.
    """
    x, y, width, height = boxes.T
    rows = _hats(y, height, size, features.shape[0])
    columns = _hats(x, width, size, features.shape[1])
    in_rows = jnp.einsum("nrh,hwc->nrwc", rows, features)
    # For each row anew, so that nothing is to be transposed.
    columns = jnp.broadcast_to(columns[:, None], (*rows.shape[:2], *columns.shape[1:]))
    return jnp.einsum("nrkw,nrwc->nrkc", columns, in_rows)


def _hats(
    start: Float[Array, " n"], length: Float[Array, " n"], size: int, cells: int
) -> Float[Array, "n size cells"]:
    """How much of each cell a sample is made of, along one axis; the shares add up to one."""
    spacing = length[:, None] / size
    middles = start[:, None] + spacing * (jnp.arange(size) + 0.5)
    middles = jnp.clip(middles, 0.0, cells - 1.0)[..., None]
    bandwidth = jnp.maximum(spacing, 1.0)[..., None]
    hats = jax.nn.relu(1 - jnp.abs(middles - jnp.arange(cells)) / bandwidth)
    return hats / hats.sum(-1, keepdims=True)
