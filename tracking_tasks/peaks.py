"""The highest peak of score maps, between the cells and over scales."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
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


def line_peak(values: Float[Array, " n"]) -> Float[Array, ""]:
    """Where, in steps from the first, evenly spaced values are highest.

    It is the vertex of the parabola through the highest and its neighbours, at most a step from
    it; the first and the last count as neighbours only. Where all are alike it is the middle.
    """
    n = len(values)
    near = 1e-6 * np.abs(np.linspace(-1, 1, n))
    index = jnp.clip(jnp.argmax(values - near), 1, n - 2)
    left, middle, right = values[index - 1], values[index], values[index + 1]
    offset = (right - left) / (2 * jnp.maximum(2 * middle - left - right, 1e-6))
    return index + jnp.clip(offset, -1, 1)


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
