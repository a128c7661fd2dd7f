"""Random boxes around a target, and those of them that show it or do not."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from tracking_tasks import boxes as boxes_lib

Boxes = Float[Array, "n 4"]


@dataclasses.dataclass(frozen=True)
class Spread:
    """How far boxes are from one that they are drawn around.

    The generators of MDNet (Nam and Han, CVPR 2016, and its published code).

    Attributes:
        shift: largest displacement along an axis, in means of the box's width and height.
        scale: largest factor on both sides, and on one over it the least.
        aspect: the same of the width alone, and its inverse of the height.
        gaussian: half a standard normal variable each, cut at 1, in place of a uniform one.
    """

    shift: float
    scale: float
    aspect: float = 1.0
    gaussian: bool = False


def around(
    key: Key[Array, ""],
    box: Float[Array, "4"],
    count: int,
    spread: Spread,
    reach: float | Float[Array, ""] = 1.0,
) -> Boxes:
    """Draws boxes around one; `reach` multiplies the shift."""
    if spread.gaussian:
        noise = jnp.clip(0.5 * jax.random.normal(key, (count, 4)), -1, 1)
    else:
        noise = jax.random.uniform(key, (count, 4), minval=-1)
    center = boxes_lib.center(box) + reach * spread.shift * box[2:].mean() * noise[:, :2]
    ratio = spread.aspect ** noise[:, 3:]
    size = box[2:] * spread.scale ** noise[:, 2:3] * jnp.concatenate([ratio, 1 / ratio], -1)
    return boxes_lib.from_center(center, size)


def overlapping(
    key: Key[Array, ""],
    box: Float[Array, "4"],
    count: int,
    spread: Spread,
    min_overlap: float = 0.0,
    max_overlap: float = 1.0,
) -> Boxes:
    """Draws boxes whose overlap with one lies in [min_overlap, max_overlap].

    They are the suitable ones of four times as many; if these are fewer than `count`, they repeat,
    and if there is none, anything is returned.
    """
    drawn = around(key, box, 4 * count, spread)
    overlap = boxes_lib.overlap(drawn, box)
    suitable = (overlap >= min_overlap) & (overlap <= max_overlap)
    in_order = jnp.argsort(~suitable, stable=True)
    return drawn[in_order[jnp.arange(count) % jnp.maximum(suitable.sum(), 1)]]
