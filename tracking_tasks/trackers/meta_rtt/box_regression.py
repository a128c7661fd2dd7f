"""Bounding-box regression by ridge regression, as MDNet's trackers have it from R-CNN.

Girshick, Donahue, Darrell, Malik, "Rich Feature Hierarchies for Accurate Object Detection and
Semantic Segmentation", CVPR 2014, appendix C.
"""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from tracking_tasks import boxes as boxes_lib


def relative(boxes: Float[Array, "n 4"], target: Float[Array, "4"]) -> Float[Array, "n 4"]:
    """A target's box as seen from others, see `boxes.relative`."""
    center = boxes_lib.center
    return boxes_lib.relative(center(target), target[2:], center(boxes), boxes[:, 2:])


class BoxRegressor(struct.PyTreeNode):
    """From the features of a box to the target's box near it.

    No intercept is fitted, but the target's own box stays as it is: any other offset, however
    small, would add up from frame to frame.

    Attributes:
        reference: features of the target's own box.
        weights: from what differs from them to relative boxes.
    """

    reference: Float[Array, " d"]
    weights: Float[Array, "d 4"]

    @classmethod
    def fit(
        cls,
        features: Float[Array, "n d"],
        boxes: Float[Array, "n 4"],
        reference: Float[Array, " d"],
        target: Float[Array, "4"],
        ridge: float | Float[Array, ""],
    ) -> "BoxRegressor":
        """The ridge regression in closed form, n equations in n unknowns.

        Args:
            features: of each box.
            boxes: x, y, w, h.
            reference: features of the target's own box.
            target: the box that they should become.
            ridge: weight of the penalty, relative to the sum of the squares of all samples.
        """
        wanted = relative(boxes, target)
        differences = features - reference
        gram = differences @ differences.T
        penalty = ridge * jnp.trace(gram) + 1e-6
        dual = jax.scipy.linalg.solve(gram + penalty * jnp.eye(len(gram)), wanted, assume_a="pos")
        return cls(reference, differences.T @ dual)

    def follow(
        self, features: Float[Array, " d"], rate: Float[Array, ""] | float
    ) -> "BoxRegressor":
        """Takes the target's own box in a later frame for a part of the reference.

        A target that looks different seems badly framed, above all too wide.
        """
        return self.replace(reference=self.reference + rate * (features - self.reference))

    def relative(self, features: Float[Array, "n d"]) -> Float[Array, "n 4"]:
        """The target's box relative to boxes of these features."""
        return (features - self.reference) @ self.weights

    def __call__(
        self, features: Float[Array, "n d"], boxes: Float[Array, "n 4"]
    ) -> Float[Array, "n 4"]:
        """The target's box as each of the boxes sees it; no side changes by more than e times."""
        center = boxes_lib.center(boxes)
        found = boxes_lib.from_relative(self.relative(features), center, boxes[:, 2:], bound=1.0)
        return boxes_lib.from_center(*found)
