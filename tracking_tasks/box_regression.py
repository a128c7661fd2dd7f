"""Bounding-box regression by ridge regression, as MDNet's trackers have it from R-CNN.

Girshick, Donahue, Darrell, Malik, "Rich Feature Hierarchies for Accurate Object Detection and
Semantic Segmentation", CVPR 2014, appendix C.
"""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from tracking_tasks import boxes as boxes_lib


class BoxRegressor(struct.PyTreeNode):
    """From the features of a box to the target's box near it.

    Attributes:
        mean: of the features it was fitted to.
        weights: from features to relative boxes.
        bias: the relative box at the mean.
    """

    mean: Float[Array, " d"]
    weights: Float[Array, "d 4"]
    bias: Float[Array, "4"]

    @classmethod
    def fit(
        cls,
        features: Float[Array, "n d"],
        boxes: Float[Array, "n 4"],
        target: Float[Array, "4"],
        ridge: float,
    ) -> "BoxRegressor":
        """The ridge regression in closed form, n equations in n unknowns.

        Args:
            features: of each box.
            boxes: x, y, w, h.
            target: the box that they should become.
            ridge: weight of the penalty, relative to the mean square of a centred sample.
        """
        shift = (boxes_lib.center(target) - boxes_lib.center(boxes)) / boxes[:, 2:]
        wanted = jnp.concatenate([shift, jnp.log(target[2:] / boxes[:, 2:])], -1)
        mean, bias = features.mean(0), wanted.mean(0)
        centered = features - mean
        gram = centered @ centered.T
        penalty = ridge * jnp.trace(gram) / len(gram) + 1e-6
        dual = jax.scipy.linalg.solve(
            gram + penalty * jnp.eye(len(gram)), wanted - bias, assume_a="pos"
        )
        return cls(mean, centered.T @ dual, bias)

    def __call__(
        self, features: Float[Array, "n d"], boxes: Float[Array, "n 4"]
    ) -> Float[Array, "n 4"]:
        """The target's box as each of the boxes sees it; no side changes by more than e times."""
        relative = self.bias + (features - self.mean) @ self.weights
        center = boxes_lib.center(boxes) + relative[:, :2] * boxes[:, 2:]
        return boxes_lib.from_center(
            center, boxes[:, 2:] * jnp.exp(jnp.clip(relative[:, 2:], -1, 1))
        )
