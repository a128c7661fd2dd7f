"""What MetaRTT sees of boxes: the model that tracking and its simulation share."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Key

from models import Features, Grid, adaptive_roi_align
from models.heads.filter_head import align
from models.layers.fast_convolutions import PointwiseConv
from tracking_tasks import boxes
from tracking_tasks.trackers.meta_rtt import box_sampling
from tracking_tasks.trackers.meta_rtt.box_regression import BoxRegressor
from tracking_tasks.trackers.meta_rtt.config import MetaRTTConfig
from tracking_tasks.trackers.meta_rtt.loss import RoISamples


class BoxModel(struct.PyTreeNode):
    """From what the backbone sees to the features of boxes, samples of them, and box regression.

    Attributes:
        config: constants.
        grid: of the backbone.
        shared: the last layer that all boxes of a frame share.
        log_ridge: logarithm of the relative penalty of the box regression.
    """

    config: MetaRTTConfig = struct.field(pytree_node=False)
    grid: Grid = struct.field(pytree_node=False)
    shared: PointwiseConv
    log_ridge: Float[Array, ""]

    def maps(self, levels: Features) -> Float[Array, "n h w c"]:
        """What all boxes of an image share."""
        fine, deeper = align(levels, self.grid)
        if self.config.levels == "both":
            deeper = jnp.concatenate([fine, deeper], -1)
        return jax.nn.relu(self.shared(deeper))

    def roi_features(
        self, features: Float[Array, "h w c"], where: Float[Array, "n 4"]
    ) -> Float[Array, "n d"]:
        """What the classifier sees of boxes, in pixels of the crop."""
        # How boxes are drawn and found is no part of the gradient (paper).
        where = jax.lax.stop_gradient(where)
        wide = boxes.from_center(boxes.center(where), self.config.context * where[:, 2:])
        cells = self.grid.boxes_to_cells(wide)
        return adaptive_roi_align(features, cells, self.config.roi_size).reshape(len(where), -1)

    def samples(
        self,
        key: Key[Array, ""],
        features: Float[Array, "h w c"],
        box: Float[Array, "4"],
        counts: tuple[int, int],
        first: bool,
        weight: Float[Array, ""] | float = 1.0,
    ) -> RoISamples:
        """Boxes of the target and others, in that order.

        Args:
            key: for what is drawn.
            features: of the frame.
            box: the target, in pixels of the crop.
            counts: of positives and of negatives.
            first: whether it is the first frame, whose negatives are drawn closer.
            weight: of each sample.
        """
        config = self.config
        positives = config.positive_spread, config.positive_overlap
        negatives: Any = (config.online_negative_spread, 0.0, config.online_negative_overlap)
        if first:
            negatives = (config.negative_spread, 0.0, config.negative_overlap)
        positive_key, negative_key = jax.random.split(key)
        where = jnp.concatenate(
            [
                box_sampling.overlapping(positive_key, box, counts[0], *positives),
                box_sampling.overlapping(negative_key, box, counts[1], *negatives),
            ]
        )
        positive = (jnp.arange(sum(counts)) < counts[0]).astype(jnp.float32)
        weights = jnp.full(sum(counts), weight, jnp.float32)
        return RoISamples(self.roi_features(features, where), positive, weights)

    def around(self, key: Key[Array, ""], box: Float[Array, "4"]) -> Float[Array, "n 4"]:
        """Boxes around the target that the box regression is fitted to or judged on."""
        config = self.config
        return box_sampling.overlapping(
            key, box, config.regression_samples, config.regression_spread, config.regression_overlap
        )

    def regressor(
        self, key: Key[Array, ""], features: Float[Array, "h w c"], box: Float[Array, "4"]
    ) -> BoxRegressor:
        """Learns from boxes around the target, in pixels of the crop, what leads to it."""
        around = self.around(key, box)
        seen = self.roi_features(features, jnp.concatenate([box[None], around]))
        return BoxRegressor.fit(seen[1:], around, seen[0], box, jnp.exp(self.log_ridge))
