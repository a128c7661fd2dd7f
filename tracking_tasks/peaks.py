"""The highest peak of a score map, between the cells."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def highest(scores: Float[Array, "h w"]) -> tuple[Int[Array, "2"], Float[Array, ""]]:
    """The cell (x, y) of the highest score, and that score."""
    y, x = jnp.unravel_index(jnp.argmax(scores), scores.shape)
    return jnp.stack([x, y]), scores[y, x]


def sub_cell(scores: Float[Array, "h w"], peak: Int[Array, "2"]) -> Float[Array, "2"]:
    """The offset (x, y) in [-1/2, 1/2] of the parabola's vertex through a peak's neighbours."""
    padded = jnp.pad(scores, 1, mode="edge")
    patch = jax.lax.dynamic_slice(padded, (peak[1], peak[0]), (3, 3))

    def vertex(line: Float[Array, "3"]) -> Float[Array, ""]:
        bend = 2 * line[1] - line[0] - line[2]
        return jnp.where(bend > 0, (line[2] - line[0]) / (2 * jnp.where(bend > 0, bend, 1.0)), 0.0)

    return jnp.clip(jnp.stack([vertex(patch[1]), vertex(patch[:, 1])]), -0.5, 0.5)
