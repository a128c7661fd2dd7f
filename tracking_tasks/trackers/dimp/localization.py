"""From a score map to where the target is and how far that can be trusted."""

import dataclasses
import enum
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tracking_tasks.peaks import highest, sub_cell


class Trust(enum.IntEnum):
    """What the scores say about the target (Bhat et al. 2019, section 3.7; published code)."""

    NORMAL = 0
    HARD_NEGATIVE = 1  # found, and a look-alike with it: learn from this frame at once
    UNCERTAIN = 2  # two equal peaks: move there, learn nothing
    NOT_FOUND = 3  # stay, learn nothing


@dataclasses.dataclass(frozen=True)
class LocalizationConfig:
    """Thresholds of the published DiMP tracker (parameter/dimp/dimp50.py).

    Attributes:
        lost_threshold: a highest score below this means that the target is absent.
        distractor: a second peak above this share of the first is as good as it.
        hard_negative: a second peak above this share is a look-alike worth learning.
        neighborhood: side of the region around the first peak in which there is no second, in
            target sizes.
        displacement: a peak is far from the last position if it is further than this share of
            half the map's side (square root of its area).
    """

    lost_threshold: float = 0.25
    distractor: float = 0.8
    hard_negative: float = 0.5
    neighborhood: float = 2.2
    displacement: float = 0.8


class Location(NamedTuple):
    """Attributes: position (x, y) in cells, sub-cell; score there; trust, a `Trust` value."""

    position: Float[Array, "2"]
    score: Float[Array, ""]
    trust: Int[Array, ""]


def locate(
    scores: Float[Array, "h w"],
    previous: Float[Array, "2"],
    target_size: Float[Array, "2"],
    config: LocalizationConfig,
) -> Location:
    """Finds the target among the peaks of a score map.

    Args:
        scores: the response to the target filter.
        previous: x, y of the target's last position on the map, in cells.
        target_size: width and height in cells.
        config: thresholds.
    """
    height, width = scores.shape
    first, score = highest(scores)
    cells = jnp.stack(jnp.meshgrid(jnp.arange(width), jnp.arange(height)), axis=-1)
    near = jnp.all(jnp.abs(cells - first) <= config.neighborhood * target_size / 2, axis=-1)
    second, rival = highest(jnp.where(near, -jnp.inf, scores))

    reach = config.displacement * (height * width) ** 0.5 / 2
    first_is_far = jnp.linalg.norm(first - previous) > reach
    second_is_far = jnp.linalg.norm(second - previous) > reach
    equal = rival > config.distractor * score
    switch = equal & first_is_far & ~second_is_far
    undecided = equal & (first_is_far == second_is_far)
    look_alike = (rival > config.hard_negative * score) & (rival > config.lost_threshold)

    trust = jnp.where(look_alike | equal, Trust.HARD_NEGATIVE, Trust.NORMAL)
    trust = jnp.where(undecided, Trust.UNCERTAIN, trust)
    trust = jnp.where(score < config.lost_threshold, Trust.NOT_FOUND, trust)
    peak = jnp.where(switch, second, first)
    return Location(peak + sub_cell(scores, peak), jnp.where(switch, rival, score), trust)
