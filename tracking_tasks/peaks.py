"""The highest peak of score maps, between the cells and over scales."""

from typing import NamedTuple

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


class ScalePeak(NamedTuple):
    """The highest peak of search regions of several scales.

    Attributes:
        scale: index of the region.
        position: x, y of the peak in it, in cells, between them.
        score: at the peak's cell.
    """

    scale: Int[Array, ""]
    position: Float[Array, "2"]
    score: Float[Array, ""]


def scale_penalties(scales: Float[Array, "*shape"], penalty: float) -> Float[Array, "*shape"]:
    """The factor on the score of each scale: 1 for the size as it was, else `penalty`."""
    return jnp.where(scales == 1.0, 1.0, penalty)


def best_scale(
    scores: Float[Array, "n h w"], scales: Float[Array, " n"], penalty: float
) -> Int[Array, ""]:
    """The index of the scale whose map has the highest score, changed scales penalized."""
    return jnp.argmax(scores.max((1, 2)) * scale_penalties(scales, penalty))


def search_scales(
    scores: Float[Array, "n h w"],
    likely: Float[Array, "n h w"],
    scales: Float[Array, " n"],
    penalty: float,
) -> ScalePeak:
    """The place and the scale of a target.

    Args:
        scores: the responses in the search region of each scale.
        likely: the same weighted by where the target may be; its maximum decides.
        scales: factors of the search regions.
        penalty: factor on the score of a changed scale.
    """
    best = best_scale(likely, scales, penalty)
    cell, _ = highest(likely[best])
    return ScalePeak(best, cell + sub_cell(scores[best], cell), scores[best, cell[1], cell[0]])
