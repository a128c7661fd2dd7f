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
from tracking_tasks import boxes

Predictor = Callable[[Float[Array, "4"]], Float[Array, ""]]


@dataclasses.dataclass(frozen=True)
class OverlapConfig:
    """Constants of training and of the ascent; "code" is the published parameter/dimp/dimp50.py.

    Attributes:
        width: channels of the network (here; code 256).
        proposals: boxes per query frame in training (code 8; here more, since they cost little).
        least_overlap: of a proposal with the true box (code).
        deviations: a proposal's standard deviation in centre and size, in square roots of the
            area, is one of these (code).
        starts: boxes the ascent starts from, the current one among them (code).
        center_jitter: range of the random displacement of the others, in square roots of the
            area (code).
        size_jitter: the same for width and height (code).
        steps: of gradient ascent (code).
        step_length: of a step, relative to the box (code).
        largest_aspect: a box longer than this is dropped (code).
        averaged: so many best boxes make up the result (code).
        largest_change: factor by which width and height may change in a frame (here).
        seed: of the random displacements; the published tracker is not seeded.
    """

    width: int = 64
    proposals: int = 16
    least_overlap: float = 0.1
    deviations: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.3)
    starts: int = 10
    center_jitter: float = 0.1
    size_jitter: float = 0.5
    steps: int = 5
    step_length: float = 1.0
    largest_aspect: float = 6.0
    averaged: int = 3
    largest_change: float = 1.25
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
        modulation: Modulation,
        query: Features,
        query_boxes: Float[Array, "m 4"],
        key: Key[Array, ""],
    ) -> Float[Array, " m"]:
        """The mean squared error, over random boxes in each query image, of 2 IoU - 1."""
        keys = jax.random.split(key, len(query_boxes))
        drawn = jax.vmap(lambda key, box: proposals(key, box, self.config))(keys, query_boxes)
        maps = self.predictor.query(query, modulation)
        predicted = jax.vmap(jax.vmap(self.predictor, (None, 0)))(maps, drawn)
        truth = 2 * boxes.overlap(drawn, query_boxes[:, None]) - 1
        return jnp.mean((predicted - truth) ** 2, -1)

    def estimate(
        self,
        modulation: Modulation,
        features: Features,
        box: Float[Array, "4"],
        key: Key[Array, ""],
    ) -> "Estimate":
        """The box to which ascent from `box` leads, in one image; its size changes but so much."""
        maps = self.predictor.query(jax.tree.map(lambda level: level[None], features), modulation)
        maps = jax.tree.map(lambda level: level[0], maps)
        found = maximize_overlap(lambda x: self.predictor(maps, x), box, key, self.config)
        largest = self.config.largest_change
        change = jnp.clip(found.box[2:] / box[2:], 1 / largest, largest)
        return found._replace(box=boxes.from_center(boxes.center(found.box), change * box[2:]))


class Estimate(NamedTuple):
    """A box x, y, w, h and its predicted overlap, 2 IoU - 1."""

    box: Float[Array, "4"]
    predicted: Float[Array, ""]


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


def maximize_overlap(
    predict: Predictor, box: Float[Array, "4"], key: Key[Array, ""], config: OverlapConfig
) -> Estimate:
    """Moves boxes up the gradient of their predicted overlap and averages the best.

    The step is relative to the size of the box: box += step_length * gradient * (w, h, w, h).
    A box that has become too long, or not finite, is dropped; if all are, the given one is kept.

    Args:
        predict: the predicted overlap of one box.
        box: where to start from.
        key: of the random starts.
        config: constants.
    """
    smallest = box[2:].min() / 3

    def ascend(moving: Array, _: None) -> tuple[Array, None]:
        size = moving[:, 2:]
        gradient = jax.vmap(jax.grad(predict))(moving)
        moving = moving + config.step_length * gradient * jnp.concatenate([size, size], -1)
        return moving.at[:, 2:].max(smallest), None

    ascended, _ = jax.lax.scan(ascend, start_boxes(key, box, config), length=config.steps)
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
