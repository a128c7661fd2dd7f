"""Boxes: (..., 4) arrays of x, y, width, height in pixels, 0-based and continuous.

Pixel i covers the interval [i, i + 1), so the centre of a box is x + width / 2.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from basics.errors import InputError

MINIMUM_SIDE = 2.0  # pixels; a smaller target shows nothing to learn from


def center(boxes: Float[Array | np.ndarray, "*batch 4"]) -> Float[Array, "*batch 2"]:
    """Returns the centres (x, y) of boxes, in pixels."""
    boxes = jnp.asarray(boxes)
    return boxes[..., :2] + 0.5 * boxes[..., 2:]


def from_center(
    center: Float[Array | np.ndarray, "*batch 2"], size: Float[Array | np.ndarray, "*batch 2"]
) -> Float[Array, "*batch 4"]:
    """Returns the boxes with the given centres (x, y) and sizes (width, height), in pixels."""
    center, size = jnp.asarray(center), jnp.asarray(size)
    return jnp.concatenate([center - 0.5 * size, size], axis=-1)


def scale(box: Float[Array, "4"], factor: Float[Array, ""]) -> Float[Array, "4"]:
    """Returns the box whose sides are `factor` times as long, around the same centre."""
    return from_center(center(box), box[2:] * factor)


def overlap(
    one: Float[Array, "*batch 4"], other: Float[Array, "*#batch 4"]
) -> Float[Array, "*batch"]:
    """Returns the intersection over union of boxes, in [0, 1]; differentiable, and for training.

    Scores are taken by `tracking_tasks.evaluation.overlap`.
    """
    start = jnp.maximum(one[..., :2], other[..., :2])
    end = jnp.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    intersection = jnp.prod(jnp.maximum(end - start, 0.0), -1)
    union = jnp.prod(one[..., 2:], -1) + jnp.prod(other[..., 2:], -1) - intersection
    return intersection / jnp.maximum(union, 1e-9)


def validate_box(box: ArrayLike, image_shape: tuple[int, ...]) -> Float[np.ndarray, "4"]:
    """Checks that a box given by a user can start a tracker, and returns it as float32.

    The target may stick out of the frame, but its centre must be inside.

    Args:
        box: x, y, width, height in pixels, 0-based.
        image_shape: (height, width, ...) of the frame the box is in.

    Raises:
        InputError: the box has not four finite numbers, a side is under 2 pixels, or its centre
            lies outside the frame.
    """
    try:
        values = np.asarray(box, np.float32)
    except (TypeError, ValueError):
        values = np.empty(0, np.float32)
    if values.shape != (4,):
        raise InputError(f"box {box!r} must be four numbers: x, y, width, height in pixels")
    named = "box " + ",".join(f"{value:g}" for value in values)
    if not np.isfinite(values).all():
        raise InputError(f"{named} is not finite: give x, y, width, height in pixels")
    if values[2:].min() < MINIMUM_SIDE:
        raise InputError(f"{named} is too small: width and height must be at least 2 pixels")
    x, y = values[:2] + 0.5 * values[2:]
    height, width = image_shape[:2]
    if not (0 <= x <= width and 0 <= y <= height):
        raise InputError(
            f"{named} is outside the frame: its centre must lie within the {width}x{height} pixels"
        )
    return values


def keep_inside(
    center: Float[Array, "2"],
    size: Float[Array, "2"],
    extent: Int[Array, "2"],
    share: float,
) -> Float[Array, "2"]:
    """Moves a centre so that at least `share` of the box's sides stays inside the picture.

    Args:
        center: x, y in pixels.
        size: width and height in pixels.
        extent: width and height of the picture.
        share: in [0, 1].
    """
    reach = (0.5 - share) * size
    return jnp.clip(center, -reach, extent + reach)


def bounded(
    center: Float[Array, "2"],
    size: Float[Array, "2"],
    min_size: Float[Array, "2"],
    max_size: Float[Array, "2"],
    extent: Int[Array, "2"],
    share: float,
) -> tuple[Float[Array, "2"], Float[Array, "2"]]:
    """Where a tracker may take a target to be: centre and size at the end of its step.

    Args:
        center: x, y in frame pixels.
        size: width and height in frame pixels.
        min_size: lower bound of the size.
        max_size: upper bound of the size, if that is more than the picture: a target which sticks
            out on all sides in the first frame keeps its size.
        extent: width and height of the picture.
        share: of the box's sides that stays inside the picture, see `keep_inside`.
    """
    size = jnp.clip(size, min_size, jnp.maximum(extent.astype(jnp.float32), max_size))
    return keep_inside(center, size, extent, share), size


def approach(
    size: Float[Array, "2"],
    found: Float[Array, "2"],
    size_lr: float | Float[Array, ""],
    aspect_lr: float | Float[Array, ""],
    max_change: float,
) -> Float[Array, "2"]:
    """Goes a part of the way from one size to another, in logarithms.

    What is found in one frame is noisy, and in bad video wrong for many frames in a row.

    Args:
        size: width and height to start from, positive.
        found: where to go, in the same unit.
        size_lr: share of the way of the common factor on both sides, in [0, 1].
        aspect_lr: the same of the factor on the ratio of width and height.
        max_change: bound on the factor on a side, at least 1, before the shares are taken.
    """
    change = jnp.clip(found / size, 1 / max_change, max_change)
    both = jnp.sqrt(change[0] * change[1])
    return size * both**size_lr * (change / both) ** aspect_lr


def relative(
    center: Float[Array, "*#batch 2"],
    size: Float[Array, "*#batch 2"],
    anchor_center: Float[Array, "*#batch 2"],
    anchor_size: Float[Array, "*#batch 2"],
) -> Float[Array, "*batch 4"]:
    """A box as seen from an anchor: (dx / w, dy / h, log of the ratios of width and height).

    Girshick, Donahue, Darrell, Malik, "Rich Feature Hierarchies for Accurate Object Detection and
    Semantic Segmentation", CVPR 2014, appendix C, eqs. 6 to 9. All in one unit, the sizes positive.
    """
    shift = (center - anchor_center) / anchor_size
    scale = jnp.broadcast_to(jnp.log(size / anchor_size), shift.shape)
    return jnp.concatenate([shift, scale], -1)


def from_relative(
    deltas: Float[Array, "*#batch 4"],
    anchor_center: Float[Array, "*#batch 2"],
    anchor_size: Float[Array, "*#batch 2"],
    bound: float,
) -> tuple[Float[Array, "*batch 2"], Float[Array, "*batch 2"]]:
    """The inverse of `relative` (eqs. 1 to 4 there): centres and sizes of the boxes.

    Args:
        deltas: boxes relative to the anchors.
        anchor_center: x, y.
        anchor_size: width and height.
        bound: on the magnitude of the logarithms, so that no box is absurd.
    """
    center = anchor_center + deltas[..., :2] * anchor_size
    return center, anchor_size * jnp.exp(jnp.clip(deltas[..., 2:], -bound, bound))
