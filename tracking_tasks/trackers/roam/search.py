"""From the outputs of ROAM's model to the target's new box (Yang et al., CVPR 2020, section 4)."""

import dataclasses
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from tracking_tasks import boxes
from tracking_tasks.peaks import scale_penalties, sub_cell
from tracking_tasks.trackers.roam import anchors
from tracking_tasks.trackers.roam.model import ResizableConfig, ResizableOutputs


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """Constants of the search; "code" is the one published with the paper.

    Attributes:
        boxes: "regression" for ROAM++, "scales" for ROAM (paper), or "both" (here): a search over
            scales, and then a step towards the regressed size.
        center: for "regression", of the box: the "response" has a peak there (here), or it is from
            "regression", too (paper), which trembles more.
        motion: standard deviation of the motion map, in first target sizes (code: exp(-0.2 d^2)
            with d in half sizes).
        lost_motion: the same in the beginning, and while the target is lost (code).
        shape_penalty: on changes of scale and aspect ratio (code).
        size_lr: share of a size change that is followed, at the highest score (here; code 0.6).
        scales: factors of the search region that ROAM tries (here).
        scale_penalty: factor on the score of a changed scale (here).
        scale_lr: for "both", share of a scale change that is followed (here).
        scale_interval: frames from one search over scales to the next (here).
        aspect_lr: for "both", `size_lr` of the ratio of width and height (here).
        max_change: for "both", bound on the factor by which a regressed side differs (here).
    """

    boxes: Literal["regression", "scales", "both"] = "regression"
    center: Literal["response", "regression"] = "response"
    motion: float = 0.79
    lost_motion: float = 1.58
    shape_penalty: float = 0.05
    size_lr: float = 0.2
    scales: tuple[float, ...] = (1 / 1.04, 1.0, 1.04)
    scale_penalty: float = 0.985
    scale_lr: float = 0.8
    scale_interval: int = 1
    aspect_lr: float = 0.05
    max_change: float = 1.06

    @property
    def factors(self) -> tuple[float, ...]:
        """Of the search regions that are looked at."""
        return (1.0,) if self.boxes == "regression" else self.scales


class Found(NamedTuple):
    """Where the target is, in cells of a search region of factor 1.

    Attributes:
        shift: x, y from where it was.
        size: width and height, smoothed.
        score: response there.
        region: index of the search region in which it was found.
    """

    shift: Float[Array, "2"]
    size: Float[Array, "2"]
    score: Float[Array, ""]
    region: Int[Array, ""]


class Past(NamedTuple):
    """What is known of the target, in cells of a search region of factor 1.

    Attributes:
        middle: x, y of where it was.
        size: width and height.
        shape: width and height by which the filters are shaped.
        first_size: width and height in the first frame.
        lost: whether the motion map is wide: in the beginning, and after frames without the target.
        reference: highest response on the first frame.
    """

    middle: Float[Array, "2"]
    size: Float[Array, "2"]
    shape: Float[Array, "2"]
    first_size: Float[Array, "2"]
    lost: Bool[Array, ""]
    reference: Float[Array, ""]


def search(
    model_config: ResizableConfig,
    config: SearchConfig,
    seen: ResizableOutputs,
    past: Past,
    scales: Float[Array, " n"],
    counts: Bool[Array, " n"],
) -> Found:
    """Takes the box of the highest response, after penalties and the motion map.

    Args:
        model_config: constants of the model.
        config: constants of the search.
        seen: outputs for the search regions.
        past: what is known of the target.
        scales: factors of the search regions.
        counts: whether the target may be found in a search region.
    """
    response, factors = seen.response, scales[:, None, None, None]
    cells = jnp.broadcast_to(anchors.centers(*response.shape[1:]), (*response.shape, 2))
    changed = scale_penalties(factors[..., 0], config.scale_penalty)
    if config.boxes != "scales":
        deltas = jnp.moveaxis(seen.deltas, 0, -1)
        center, size = boxes.from_relative(deltas, cells, past.shape, model_config.max_log)
        size = size * factors
        penalty = _shape_penalty(size, past.size, config.shape_penalty) * changed
    else:
        center, size = cells, jnp.broadcast_to(past.size * factors, cells.shape)
        penalty = jnp.broadcast_to(changed, response.shape)

    deviation = jnp.where(past.lost, config.lost_motion, config.motion) * past.first_size
    moved = (cells - past.middle) * factors / deviation
    value = response * penalty * jnp.exp(-0.5 * jnp.sum(moved**2, -1))
    value = jnp.where(counts[:, None, None], value, -jnp.inf)
    region, y, x = best = jnp.unravel_index(jnp.argmax(value), value.shape)
    position = center[best]
    if config.boxes == "scales" or config.center == "response":
        position = cells[best] + sub_cell(response[region], jnp.stack([x, y]))
    score = response[best]
    strength = penalty[best] * jnp.clip(score / past.reference, 0.0, 1.0)
    followed = _followed(config, past.size, scales[region], size[best], strength)
    return Found((position - past.middle) * scales[region], followed, score, region)


def _followed(
    config: SearchConfig,
    size: Float[Array, "2"],
    scale: Float[Array, ""],
    found: Float[Array, "2"],
    strength: Float[Array, ""],
) -> Float[Array, "2"]:
    """The new size after that of before, by the scale of the search region and the size found."""
    size_lr = config.size_lr * strength
    if config.boxes != "both":
        return size + size_lr * (found - size)
    scaled = size * (1 + config.scale_lr * (scale - 1))
    aspect_lr = config.aspect_lr * strength
    return boxes.approach(scaled, found, size_lr, aspect_lr, config.max_change)


def _shape_penalty(
    size: Float[Array, "*cells 2"], before: Float[Array, "2"], strength: float
) -> Float[Array, "*cells"]:
    """exp(-strength * (r * s - 1)) of the changes r of aspect ratio and s of padded size.

    Li et al., "High Performance Visual Tracking with Siamese Region Proposal Network", CVPR 2018,
    eq. 14 and 15.
    """

    def padded(size: Float[Array, "*cells 2"]) -> Float[Array, "*cells"]:
        padding = size.mean(-1, keepdims=True)
        return jnp.sqrt(jnp.prod(size + padding, -1))

    change = lambda ratio: jnp.maximum(ratio, 1 / ratio)
    ratio = change((size[..., 0] / size[..., 1]) / (before[0] / before[1]))
    scale = change(padded(size) / padded(before))
    return jnp.exp(-strength * (ratio * scale - 1))
