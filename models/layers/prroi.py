"""Precise RoI pooling: the mean of a bilinearly interpolated feature map over the bins of a box.

Jiang et al., "Acquisition of Localization Confidence for Accurate Object Detection", ECCV 2018.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def precise_roi_pool(
    features: Float[Array, "*batch h w c"],
    box: Float[Array, "*batch 4"],
    output_size: tuple[int, int],
    scale: float,
) -> Float[Array, "*batch rows columns c"]:
    """Pools the features inside a box on a grid of bins, exactly and differentiably.

    The paper's double integral (its equation 4) of the interpolated map over a bin separates into
    one factor per axis, because bilinear interpolation is a product of unit hats: with Wy, Wx the
    integrals of each cell's hat over each bin, the bin means are Wy F Wx' / (bin area). Two small
    matrix products, so the gradients with respect to features and box are those of autodiff.

    Args:
      features: cell (i, j) sits at the coordinate y = i, x = j; zero outside the map.
      box: x, y, width, height in pixels, one per map; `jax.vmap` pools many boxes from one map.
      output_size: numbers of bins, rows and columns.
      scale: feature cells per pixel, 1 / stride.

    Returns:
      The bin means; zero, with zero gradient, for a box without area.
    """
    rows, columns = output_size
    x, y, width, height = jnp.moveaxis(box * scale, -1, 0)
    has_area = (width > 0) & (height > 0)
    # The inner `where` keeps the division away from zero, hence NaN out of the gradient too.
    weights_y = _bin_weights(y, jnp.where(has_area, height, 1), rows, features.shape[-3])
    weights_x = _bin_weights(x, jnp.where(has_area, width, 1), columns, features.shape[-2])
    pooled = jnp.einsum("...rh,...hwc,...kw->...rkc", weights_y, features, weights_x)
    return jnp.where(has_area[..., None, None, None], pooled, 0)


def _bin_weights(
    start: Float[Array, "*batch"], length: Float[Array, "*batch"], bins: int, cells: int
) -> Float[Array, "*batch bins cells"]:
    """The share of each cell in the mean over each bin along one axis."""
    bin_length = (length / bins)[..., None]
    edges = start[..., None] + bin_length * jnp.arange(bins + 1)
    # Integral from -infinity of the hat max(0, 1 - |t|), by its distance to the cell.
    t = jnp.clip(edges[..., None] - jnp.arange(cells), -1, 1)
    integral = 0.5 + t - 0.5 * t * jnp.abs(t)
    return jnp.diff(integral, axis=-2) / bin_length[..., None]
