"""The balanced logistic loss of a response to a template (SiamFC, GradNet)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from tracking_tasks import labels


class SearchSamples(NamedTuple):
    """Search regions to be told apart into target and background.

    Attributes:
        features: fused features.
        centers: x, y of the cell that the response should be highest in, continuous.
        weights: how much each counts.
    """

    features: Float[Array, "*batch n h w c"]
    centers: Float[Array, "*batch n 2"]
    weights: Float[Array, "*batch n"]


def positives(
    centers: Float[Array, "n 2"], height: int, width: int, radius: float
) -> Bool[Array, "n h w"]:
    """The cells within `radius` cells of the target, and the nearest one in any case."""
    distance = jax.vmap(labels.distances, (0, None, None))(centers, height, width)
    return distance <= jnp.maximum(radius, distance.min((1, 2), keepdims=True))


def balanced_logistic(
    logits: Float[Array, "n h w"], positive: Bool[Array, "n h w"]
) -> Float[Array, " n"]:
    """log(1 + exp(-y s)), y = 1 on positive cells and -1 on others, each half of the weight.

    Bertinetto et al., "Fully-Convolutional Siamese Networks for Object Tracking", ECCVW 2016, eq. 1
    and section 2.2.
    """
    loss = jax.nn.softplus(jnp.where(positive, -logits, logits))
    mean = lambda cells: jnp.sum(loss, (1, 2), where=cells) / jnp.maximum(cells.sum((1, 2)), 1)
    return (mean(positive) + mean(~positive)) / 2
