"""The objective of DSLT: its head's response regressed to a Gaussian label."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PyTree, Scalar

import metaopt
from models.heads.regression_head import RegressionHead
from tracking_tasks import labels
from tracking_tasks.trackers.dslt.losses import REGRESSION_LOSSES, label_weighted

# What the filters work on, of a head and the features of samples.
MapsOf = Callable[[RegressionHead, Any], Float[Array, "n h w m"]]

_SMALLEST = 0.1  # cells


class RegressionSamples(struct.PyTreeNode):
    """What the head is fitted to.

    Attributes:
        features: (n, ...), the two levels, or the head's maps of them.
        centers: x, y of the target in cells.
        weights: non-negative; their sum is 1, or 0 for no samples.
        target: width and height of the target in cells.
    """

    features: PyTree
    centers: Float[Array, "n 2"]
    weights: Float[Array, " n"]
    target: Float[Array, "2"]


@dataclasses.dataclass(frozen=True)
class RegressionConfig:
    """Constants of the objective; "paper" is Lu et al. 2018, "here" this project's choice.

    Attributes:
        loss: one of `REGRESSION_LOSSES`, with the paper's constants.
        label_sigma: standard deviation of the label in target sizes (here, so that the label is
            as wide as a cell; paper 0.1, on a grid of half the stride).
        regularization: lambda of eq. 7 (here; the published code decays weights by 5e-4).
    """

    loss: str = "shrinkage"
    label_sigma: float = 0.2
    regularization: float = 1e-3

    def label(self, samples: RegressionSamples, height: int, width: int) -> Float[Array, "n h w"]:
        """The label of each sample."""
        sharpness = 0.5 / self.label_sigma**2
        size = jnp.maximum(samples.target, _SMALLEST)
        one = lambda center: labels.elliptic(center, size, height, width, sharpness)
        return jax.vmap(one)(samples.centers)

    def data_loss(self, response: Float[Array, "n h w"], samples: RegressionSamples) -> Scalar:
        """Eq. 7 without its regularizer: the weighted mean of samples, each summed over cells."""
        label = self.label(samples, *response.shape[1:])
        loss = label_weighted(REGRESSION_LOSSES[self.loss], response, label)
        return loss.sum((1, 2)) @ samples.weights

    def max_error(self, response: Float[Array, "n h w"], samples: RegressionSamples) -> Scalar:
        """The largest |p - y| of a cell, as the weighted mean of samples."""
        label = self.label(samples, *response.shape[1:])
        return jnp.abs(response - label).max((1, 2)) @ samples.weights

    def objective(self, maps: MapsOf) -> metaopt.CompositeLoss:
        """Eq. 7 over a `RegressionHead`, given `RegressionSamples`.

        Args:
            maps: `maps(head, features)`, what the filters work on.
        """

        def outputs(
            head: RegressionHead, samples: RegressionSamples
        ) -> tuple[Float[Array, "n h w"], Float[Array, "k k m"]]:
            return head.response(maps(head, samples.features), samples.target), head.filters

        def criterion(
            outputs: tuple[Float[Array, "n h w"], Float[Array, "k k m"]],
            samples: RegressionSamples,
        ) -> Scalar:
            response, filters = outputs
            decay = self.regularization * jnp.sum(filters**2)
            return self.data_loss(response, samples) + decay

        return metaopt.CompositeLoss(outputs, criterion)
