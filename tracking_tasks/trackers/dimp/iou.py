"""Finding the box by maximizing its predicted overlap with the target.

Danelljan et al., "ATOM: Accurate Tracking by Overlap Maximization", CVPR 2019, section 3.1 and 3.3;
Bhat et al. 2019, section 3.5.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx, struct
from jaxtyping import Array, Float, Key

from models import Backbone, Features, IoUPredictor, Modulation
from models.heads.iou_predictor import Maps
from tracking_tasks import boxes
from tracking_tasks.trackers.dimp.refinement import (
    Estimate,
    IoUConfig,
    Predictor,
    ascend,
    best_on_lines,
    proposals,
    refine,
    reframe,
)


class IoURefiner(struct.PyTreeNode):
    """The predictor of overlap and what it is for: its outer loss, and boxes.

    Attributes:
        config: constants.
        predictor: what is meta-trained.
    """

    config: IoUConfig = struct.field(pytree_node=False)
    predictor: IoUPredictor

    @classmethod
    def create(cls, backbone: Backbone, config: IoUConfig) -> "IoURefiner":
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
            found = self._search(lambda x: self.predictor(maps, x), box, key).box
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
    ) -> Estimate:
        """The box to which the search from `box` leads, in one image, approached as far as is wise.

        What the search errs by on the first frame, where the truth is known, is taken off. Then an
        estimate from one frame is still noisy and the box to start from not wrong, so the result
        lies between the two.
        """
        config, maps = self.config, self.maps(reference.modulation, features)
        found = self._search(lambda x: self.predictor(maps, x), box, key)
        size = found.box[2:] / reference.factor
        way = boxes.center(found.box) - reference.offset * size - boxes.center(box)
        followed = boxes.approach(
            box[2:], size, config.size_lr, config.aspect_lr, config.max_change
        )
        moved = boxes.from_center(boxes.center(box) + config.center_lr * way, followed)
        return found._replace(box=moved)

    def _search(self, predict: Predictor, box: Float[Array, "4"], key: Key[Array, ""]) -> Estimate:
        if self.config.search == "lines":
            return best_on_lines(predict, box, self.config)
        return refine(predict, box, key, self.config)


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
