"""Finding the box by maximizing its predicted overlap with the target.

Danelljan et al., "ATOM: Accurate Tracking by Overlap Maximization", CVPR 2019, section 3.1 and 3.3;
Bhat et al. 2019, section 3.5.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx, struct
from jaxtyping import Array, Float, Key

from models import Backbone, Features, IoUPredictor, Modulation
from models.heads.iou_predictor import Maps
from tracking_tasks import boxes

Predictor = Callable[[Float[Array, "4"]], Float[Array, ""]]


@dataclasses.dataclass(frozen=True)
class OverlapConfig:
    """Constants of training and of the ascent; "code" is the published parameter/dimp/dimp50.py.

    Attributes:
        width: channels of the network (here; code 256).
        proposals: boxes per query frame in training (code 8; here more, since they cost little).
        least_overlap: of a proposal with the true box (code).
        dropout: share of the backbone's channels that an episode leaves out in training (here).
        deviations: a proposal's standard deviation in centre and size, in square roots of the
            area, is one of these (code).
        reframed: an episode's target is any part or surroundings of the annotated one: random
            displacement in sides, and natural logarithm of the factors on them, at most (here).
        refined: so many proposals climb in training, too: the box that the ascent finds is judged,
            not the prediction alone (here).
        refined_steps: of their ascent.
        refined_weight: of what their overlap lacks, beside the prediction's squared error.
        starts: boxes the ascent starts from, the current one among them (here; code 10).
        center_jitter: range of the random displacement of the others, in square roots of the
            area (here; code 0.1. A predictor of little training errs far from the target).
        size_jitter: the same for width and height (here; code 0.5).
        steps: of gradient ascent (here, on rendered videos; code 5).
        step_length: of a step, relative to the box (code).
        largest_aspect: a box longer than this is dropped (code).
        averaged: so many best boxes make up the result (code).
        calibrations: samples of the first frame by which the search is corrected (here; code 0).
        largest_change: factor by which width and height may change in a frame (here).
        center_rate: share of the way of the centre that is followed (here; code 1).
        size_rate: the same for the logarithm of the size (here; code 1).
        seed: of the random displacements; the published tracker is not seeded.
    """

    width: int = 64
    proposals: int = 16
    least_overlap: float = 0.1
    dropout: float = 0.2
    deviations: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.3)
    reframed: float = 0.3
    refined: int = 4
    refined_steps: int = 4
    refined_weight: float = 0.3
    starts: int = 5
    center_jitter: float = 0.05
    size_jitter: float = 0.1
    steps: int = 10
    step_length: float = 1.0
    largest_aspect: float = 6.0
    averaged: int = 3
    calibrations: int = 5
    largest_change: float = 1.25
    center_rate: float = 0.25
    size_rate: float = 0.1
    seed: int = 0


class OverlapMaximizer(struct.PyTreeNode):
    """The predictor of overlap and what it is for: its outer loss, and boxes.

    Attributes:
        config: constants.
        predictor: what is meta-trained.
    """

    config: OverlapConfig = struct.field(pytree_node=False)
    predictor: IoUPredictor

    @classmethod
    def create(cls, backbone: Backbone, config: OverlapConfig) -> "OverlapMaximizer":
        """An untrained one for the features of a backbone."""
        predictor = IoUPredictor(backbone.channels, backbone.grid, config.width, nnx.Rngs(0))
        return cls(config, predictor)

    def loss(
        self,
        frames: Features,
        true_boxes: Float[Array, "n 4"],
        seen: Float[Array, " n"],
        key: Key[Array, ""],
    ) -> Float[Array, ""]:
        """The mean squared error of 2 IoU - 1 over random boxes in the frames of one target.

        And what overlap the boxes lack that the ascent makes of a few of them: where a target is
        dark or blurred, the prediction errs little all over, and its slopes may lead astray.

        The reference is any frame that shows the target (paper: one of the support), and channels
        are dropped, since thousands of episodes take the place of the paper's millions.

        Args:
            frames: features of the frames.
            true_boxes: in pixels of the frames.
            seen: 1 for a frame that shows the target, 0 for one that does not and is left out; if
                all are, the loss is zero.
            key: of the reference, the dropped channels and the boxes.
        """
        reference_key, drop_key, boxes_key = jax.random.split(key, 3)
        true_boxes = reframe(jax.random.fold_in(key, 3), true_boxes, self.config.reframed)
        frames = self._drop_channels(frames, drop_key)
        index = jax.random.categorical(reference_key, jnp.log(seen))
        reference = Features(*(level[index] for level in frames))
        modulation = self.predictor.modulation(reference, true_boxes[index])

        keys = jax.random.split(boxes_key, len(true_boxes))
        drawn = jax.vmap(lambda key, box: proposals(key, box, self.config))(keys, true_boxes)
        maps = self.predictor.query(frames, modulation)
        predicted = jax.vmap(jax.vmap(self.predictor, (None, 0)))(maps, drawn)
        truth = 2 * boxes.overlap(drawn, true_boxes[:, None]) - 1
        error = jnp.mean((predicted - truth) ** 2, -1)
        if self.config.refined:
            error += self.config.refined_weight * self._lack(maps, drawn, true_boxes)
        return error @ seen / jnp.maximum(seen.sum(), 1.0)

    def _lack(
        self, maps: Maps, drawn: Float[Array, "n p 4"], true_boxes: Float[Array, "n 4"]
    ) -> Float[Array, " n"]:
        """By how much the boxes to which the ascent leads miss the overlap of 1."""
        config = self.config

        def climb(maps: Maps, starts: Float[Array, "p 4"]) -> Float[Array, "p 4"]:
            predict = lambda box: self.predictor(maps, box)
            return ascend(predict, starts, config.refined_steps, config.step_length)

        found = jax.vmap(climb)(maps, drawn[:, : config.refined])
        return 1 - boxes.overlap(found, true_boxes[:, None]).mean(-1)

    def _drop_channels(self, frames: Features, key: Key[Array, ""]) -> Features:
        """The same random channels left out of all frames, the rest scaled up."""
        kept = 1 - self.config.dropout
        masks = [
            jax.random.bernoulli(key, kept, level.shape[-1:]) / kept
            for key, level in zip(jax.random.split(key), frames, strict=True)
        ]
        return Features(*(level * mask for level, mask in zip(frames, masks, strict=True)))

    def maps(self, modulation: Modulation, features: Features) -> Maps:
        """What all boxes in one image share."""
        batch = Features(*(level[None] for level in features))
        fine, coarse = self.predictor.query(batch, modulation)
        return fine[0], coarse[0]

    def reference(
        self, frames: Features, true_boxes: Float[Array, "n 4"], key: Key[Array, ""]
    ) -> "Reference":
        """What is known of a target from samples of its first frame, the untouched one first."""
        modulation = self.predictor.modulation(
            Features(*(level[0] for level in frames)), true_boxes[0]
        )

        def error(features: Features, box: Float[Array, "4"]) -> tuple[Array, Array]:
            maps = self.maps(modulation, features)
            found = maximize_overlap(lambda x: self.predictor(maps, x), box, key, self.config).box
            offset = (boxes.center(found) - boxes.center(box)) / box[2:]
            return offset, jnp.log(found[2:] / box[2:])

        offsets, log_sizes = jax.lax.map(lambda one: error(*one), (frames, true_boxes))
        return Reference(modulation, offsets.mean(0), jnp.exp(log_sizes.mean(0)))

    def estimate(
        self,
        reference: "Reference",
        features: Features,
        box: Float[Array, "4"],
        key: Key[Array, ""],
    ) -> "Estimate":
        """The box to which ascent from `box` leads, in one image, approached as far as is wise.

        What the search errs by on the first frame, where the truth is known, is taken off. Then an
        estimate from one frame is still noisy and the box to start from not wrong, so the result
        lies between the two.
        """
        config, maps = self.config, self.maps(reference.modulation, features)
        found = maximize_overlap(lambda x: self.predictor(maps, x), box, key, config)
        size = found.box[2:] / reference.factor
        way = boxes.center(found.box) - reference.offset * size - boxes.center(box)
        change = jnp.clip(size / box[2:], 1 / config.largest_change, config.largest_change)
        moved = boxes.from_center(
            boxes.center(box) + config.center_rate * way, box[2:] * change**config.size_rate
        )
        return found._replace(box=moved)


class Reference(NamedTuple):
    """What is known of a target from its first frame.

    Attributes:
        modulation: what the predictor looks for.
        offset: by how much the search misses the centre there, in sides of the box.
        factor: and by which factors the sides.
    """

    modulation: Modulation
    offset: Float[Array, "2"]
    factor: Float[Array, "2"]


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
    key: Key[Array, ""], box: Float[Array, "4"], config: OverlapConfig
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
    first = jnp.argmax(boxes.overlap(moved, box) >= config.least_overlap, axis=0)
    return jnp.take_along_axis(moved, first[None, :, None], axis=0)[0]


def start_boxes(
    key: Key[Array, ""], box: Float[Array, "4"], config: OverlapConfig
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
    smallest = starts[:, 2:].min(-1, keepdims=True) / 3

    def climb(moving: Array, _: None) -> tuple[Array, None]:
        size = moving[:, 2:]
        gradient = jax.vmap(jax.grad(predict))(moving)
        moving = moving + step_length * gradient * jnp.concatenate([size, size], -1)
        return moving.at[:, 2:].max(smallest), None

    return jax.lax.scan(climb, starts, length=steps)[0]


def maximize_overlap(
    predict: Predictor, box: Float[Array, "4"], key: Key[Array, ""], config: OverlapConfig
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
    usable = jnp.maximum(width, height) <= config.largest_aspect * jnp.minimum(width, height)
    usable &= jnp.isfinite(predicted) & jnp.isfinite(ascended).all(-1)
    best, index = jax.lax.top_k(jnp.where(usable, predicted, -jnp.inf), config.averaged)
    share = jnp.where(jnp.isfinite(best), 1.0, 0.0)
    count = jnp.maximum(share.sum(), 1.0)
    chosen = jnp.where(share[:, None] > 0, ascended[index], 0.0)
    return Estimate(
        jnp.where(share.any(), chosen.sum(0) / count, box),
        jnp.where(share > 0, best, 0.0).sum() / count,
    )
