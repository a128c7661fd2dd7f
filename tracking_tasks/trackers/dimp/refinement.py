"""IoU-guided refinement: boxes moved up their predicted overlap, and boxes to learn that from.

Danelljan et al., "ATOM: Accurate Tracking by Overlap Maximization", CVPR 2019, section 3.1 and 3.3;
Bhat et al. 2019, section 3.5.
"""

import dataclasses
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from tracking_tasks import boxes
from tracking_tasks.peaks import line_peak

Predictor = Callable[[Float[Array, "4"]], Float[Array, ""]]


@dataclasses.dataclass(frozen=True)
class IoUConfig:
    """Constants of training and of the search; "code" is the published parameter/dimp/dimp50.py.

    Attributes:
        width: channels of the network (here; code 256).
        proposals: boxes per query frame in training (code 8; here more, since they cost little).
        min_overlap: of a proposal with the true box (code).
        dropout: share of the backbone's channels that an episode leaves out in training (here).
        deviations: a proposal's standard deviation in centre and size, in square roots of the
            area, is one of these (code).
        reframed: an episode's target is any part or surroundings of the annotated one: random
            displacement in sides, and natural logarithm of the factors on them, at most (here; 0
            in the papers and until it is shown to help).
        refined: so many proposals climb in training, too: the box that the ascent finds is judged,
            not the prediction alone (here; 0 in the papers and until it is shown to help).
        refined_steps: of their ascent.
        refined_weight: of what their overlap lacks, beside the prediction's squared error.
        search: "ascent" of the predicted overlap (paper), or, with "lines", what is read off it for
            boxes that differ in x, y, area or aspect ratio alone (here).
        line: boxes on a line.
        line_shift: largest displacement on one, in sides of the box.
        line_size: largest natural logarithm of the factor on the sides.
        starts: boxes the ascent starts from, the current one among them (here; code 10).
        center_jitter: range of the random displacement of the others, in square roots of the
            area (here; code 0.1. A predictor of little training errs far from the target).
        size_jitter: the same for width and height (here; code 0.5).
        steps: of gradient ascent (here, on rendered videos; code 5).
        step_length: of a step, relative to the box (code).
        max_aspect: a box longer than this is dropped (code).
        averaged: so many best boxes make up the result (code).
        calibrations: samples of the first frame by which the search is corrected (here; code 0).
        max_change: factor by which width and height may change in a frame (here).
        center_lr: share of the way of the centre that is followed (here; code 1).
        size_lr: the same for the logarithm of the size (here; code 1).
        aspect_lr: the same for the logarithm of the ratio of width and height (here; code 1).
        seed: of the random displacements; the published tracker is not seeded.
    """

    width: int = 64
    proposals: int = 16
    min_overlap: float = 0.1
    dropout: float = 0.2
    deviations: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.3)
    reframed: float = 0.0
    refined: int = 0
    refined_steps: int = 4
    refined_weight: float = 0.3
    search: Literal["ascent", "lines"] = "ascent"
    line: int = 9
    line_shift: float = 0.3
    line_size: float = 0.4
    starts: int = 5
    center_jitter: float = 0.05
    size_jitter: float = 0.1
    steps: int = 10
    step_length: float = 1.0
    max_aspect: float = 6.0
    averaged: int = 3
    calibrations: int = 5
    max_change: float = 1.25
    center_lr: float = 0.25
    size_lr: float = 0.1
    aspect_lr: float = 0.1
    seed: int = 0


class Estimate(NamedTuple):
    """A box x, y, w, h and its predicted overlap, 2 IoU - 1."""

    box: Float[Array, "4"]
    predicted: Float[Array, ""]


def reframe(
    key: Key[Array, ""], true_boxes: Float[Array, "n 4"], most: float
) -> Float[Array, "n 4"]:
    """The same random part of the boxes of one target, or the box and some of what is around it.

    What annotators call the target may be a head, or a player with air around: only the first frame
    says. A predictor that has seen whole objects alone finds those, whatever it is shown.
    """
    change = most * jax.random.uniform(key, (4,), minval=-1.0)
    center, size = boxes.center(true_boxes), true_boxes[:, 2:]
    return boxes.from_center(center + change[:2] * size, size * jnp.exp(change[2:]))


def proposals(
    key: Key[Array, ""], box: Float[Array, "4"], config: IoUConfig
) -> Float[Array, "n 4"]:
    """Random boxes around the true one, to train the predictor on; pure in the key.

    A box that overlaps too little is drawn towards the true one, where the published code draws
    anew with a smaller deviation: the shape of the result is fixed.
    """
    sigma_key, offset_key = jax.random.split(key)
    shape = (config.proposals, 1)
    sigma = jax.random.choice(sigma_key, jnp.array(config.deviations), shape)
    offset = sigma * jnp.sqrt(box[2] * box[3]) * jax.random.normal(offset_key, (shape[0], 4))
    center, size = boxes.center(box), box[2:]
    shares = jnp.linspace(1.0, 0.0, 11)[:, None, None]
    moved = boxes.from_center(
        center + shares * offset[:, :2],
        jnp.maximum(size + shares * offset[:, 2:], boxes.MINIMUM_SIDE),
    )
    first = jnp.argmax(boxes.overlap(moved, box) >= config.min_overlap, axis=0)
    return jnp.take_along_axis(moved, first[None, :, None], axis=0)[0]


def start_boxes(
    key: Key[Array, ""], box: Float[Array, "4"], config: IoUConfig
) -> Float[Array, "n 4"]:
    """The box itself and random ones around it; no side under a third of the box's smaller one."""
    jitter = jax.random.uniform(key, (config.starts - 1, 4), minval=-0.5, maxval=0.5)
    jitter = jnp.concatenate([jnp.zeros((1, 4)), jitter]) * jnp.sqrt(box[2] * box[3])
    center = boxes.center(box) + config.center_jitter * jitter[:, :2]
    size = box[2:] + config.size_jitter * jitter[:, 2:]
    return boxes.from_center(center, jnp.maximum(size, box[2:].min() / 3))


def ascend(
    predict: Predictor, starts: Float[Array, "n 4"], steps: int, step_length: float
) -> Float[Array, "n 4"]:
    """Moves boxes up the gradient of their predicted overlap.

    The step is relative to the size of the box: box += step_length * gradient * (w, h, w, h). No
    side becomes shorter than a third of the box's shorter one at the start.
    """
    min_size = starts[:, 2:].min(-1, keepdims=True) / 3

    def climb(moving: Array, _: None) -> tuple[Array, None]:
        size = moving[:, 2:]
        gradient = jax.vmap(jax.grad(predict))(moving)
        moving = moving + step_length * gradient * jnp.concatenate([size, size], -1)
        return moving.at[:, 2:].max(min_size), None

    return jax.lax.scan(climb, starts, length=steps)[0]


def best_on_lines(predict: Predictor, box: Float[Array, "4"], config: IoUConfig) -> Estimate:
    """Where the predicted overlap is highest along x, y, area and aspect ratio, each on its own.

    Cheaper than the ascent, whose short steps go but a part of the way where slopes are gentle.

    Args:
        predict: the predicted overlap of one box.
        box: what all lines go through.
        config: constants.
    """
    line, none = np.linspace(-1, 1, config.line), np.zeros(config.line)
    x = config.line_shift * np.array([line, none, none, none])
    y = config.line_shift * np.array([none, line, none, none])
    width = config.line_size * np.array([none, none, line, line])
    height = config.line_size * np.array([none, none, line, -line])

    def place(offset: Float[Array, "*lines 2"], log_factor: Float[Array, "*lines 2"]) -> Array:
        return boxes.from_center(
            boxes.center(box) + offset * box[2:], box[2:] * jnp.exp(log_factor)
        )

    drawn = place(jnp.stack([x, y], -1), jnp.stack([width, height], -1))
    predicted = jax.vmap(jax.vmap(predict))(drawn)
    x, y, area, aspect = jax.vmap(line_peak)(predicted) * 2 / (config.line - 1) - 1
    offset = config.line_shift * jnp.stack([x, y])
    log_factor = config.line_size * jnp.stack([area + aspect, area - aspect])
    return Estimate(place(offset, log_factor), predicted.max())


def refine(
    predict: Predictor, box: Float[Array, "4"], key: Key[Array, ""], config: IoUConfig
) -> Estimate:
    """Sends boxes up the slope of their predicted overlap and averages the best.

    A box that has become too long, or not finite, is dropped; if all are, the given one is kept.

    Args:
        predict: the predicted overlap of one box.
        box: where to start from.
        key: of the random starts.
        config: constants.
    """
    ascended = ascend(predict, start_boxes(key, box, config), config.steps, config.step_length)
    predicted = jax.vmap(predict)(ascended)
    width, height = ascended[:, 2], ascended[:, 3]
    usable = jnp.maximum(width, height) <= config.max_aspect * jnp.minimum(width, height)
    usable &= jnp.isfinite(predicted) & jnp.isfinite(ascended).all(-1)
    best, index = jax.lax.top_k(jnp.where(usable, predicted, -jnp.inf), config.averaged)
    share = jnp.where(jnp.isfinite(best), 1.0, 0.0)
    count = jnp.maximum(share.sum(), 1.0)
    chosen = jnp.where(share[:, None] > 0, ascended[index], 0.0)
    return Estimate(
        jnp.where(share.any(), chosen.sum(0) / count, box),
        jnp.where(share > 0, best, 0.0).sum() / count,
    )
