"""Where the target is on a grid of cells: distances, Gaussian labels, radial functions."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def distances(center: Float[Array, "2"], height: int, width: int) -> Float[Array, "h w"]:
    """The Euclidean distance of each cell to `center` (x, y), in cells; cell i is at i."""
    dx = jnp.arange(width) - center[0]
    dy = jnp.arange(height) - center[1]
    # The square root has no derivative at zero; the floor is far below any basis spacing.
    return jnp.sqrt(jnp.maximum(dy[:, None] ** 2 + dx[None, :] ** 2, 1e-12))


def gaussian(distance: Float[Array, "..."], sigma: float) -> Float[Array, "..."]:
    """exp(-d^2 / (2 sigma^2)), with `sigma` in the unit of the distances."""
    return jnp.exp(-0.5 * (distance / sigma) ** 2)


def elliptic(
    center: Float[Array, "2"],
    size: Float[Array, "2"],
    height: int,
    width: int,
    sharpness: float,
) -> Float[Array, "h w"]:
    """A Gaussian with the shape of a target, exp(-sharpness (dx^2 / w^2 + dy^2 / h^2)).

    Yang et al., "ROAM", CVPR 2020, eq. 8.

    Args:
        center: x, y in cells; cell i is at i.
        size: w, h in cells.
        height: of the grid.
        width: of the grid.
        sharpness: 1 / (2 sigma^2), with sigma in target sizes.
    """
    dx = (jnp.arange(width) - center[0]) / size[0]
    dy = (jnp.arange(height) - center[1]) / size[1]
    return jnp.exp(-sharpness * (dy[:, None] ** 2 + dx[None, :] ** 2))


def cosine(center: Float[Array, "2"], height: int, width: int) -> Float[Array, "h w"]:
    """The Hann window around `center` (x, y, in cells): 1 there, 0 half the map's size away."""
    hann = lambda offset, length: jnp.cos(jnp.pi * jnp.clip(offset / (length + 1), -0.5, 0.5)) ** 2
    x = hann(jnp.arange(width) - center[0], width)
    y = hann(jnp.arange(height) - center[1], height)
    return y[:, None] * x[None, :]


def radial(
    coefficients: Float[Array, " n"], distance: Float[Array, "..."], spacing: float
) -> Float[Array, "..."]:
    """A function of distance that is linear between knots and constant after the last.

    The sum of triangular basis functions of Bhat et al. 2019, eq. 6 and 7: the value at distance
    k * spacing is `coefficients[k]`.
    """
    last = len(coefficients) - 1
    position = jnp.clip(distance / spacing, 0.0, last)
    lower = jnp.minimum(position.astype(jnp.int32), last - 1)
    fraction = position - lower
    return (1 - fraction) * coefficients[lower] + fraction * coefficients[lower + 1]
