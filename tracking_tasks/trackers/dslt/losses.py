"""Losses for regressing a response to a soft label, and how much each of its cells counts.

Lu, Ma, Ni, Yang, Reid, Yang, "Deep Regression Tracking with Shrinkage Loss", ECCV 2018. Each loss
is a function of the error e = p - y of a cell, smooth but for the mining, and convex with the
paper's constants, so that it may be the criterion of a `metaopt.CompositeLoss`. Derivatives are
those of the functions: the paper's published gradient drops the sign of the error, which pushes a
response that is too high further up.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Errors = Float[Array, "..."]
RegressionLoss = Callable[[Errors], Errors]


def squared(error: Errors) -> Errors:
    """L2 of eq. 3: e^2."""
    return error**2


def focal(error: Errors) -> Errors:
    """L3 of eq. 4, the focal loss for regression with its exponent of 1: |e|^3."""
    return jnp.abs(error) ** 3


def shrinkage(error: Errors, speed: float = 10.0, location: float = 0.2) -> Errors:
    """Eq. 6: e^2 / (1 + exp(speed (location - |e|))), small errors shrunk and large ones kept.

    Args:
        error: of any shape.
        speed: a of eq. 5.
        location: c of eq. 5, the error that is halved.
    """
    return error**2 * jax.nn.sigmoid(speed * (jnp.abs(error) - location))


def hard_negative_mining(error: Errors, threshold: float = 0.01) -> Errors:
    """The squared error without the cells where it is below the threshold (section 5.3, OHNM)."""
    loss = squared(error)
    return jnp.where(loss < threshold, 0.0, loss)


REGRESSION_LOSSES: dict[str, RegressionLoss] = {
    loss.__name__: loss for loss in (squared, focal, shrinkage, hard_negative_mining)
}


def label_weighted(
    loss: RegressionLoss, response: Float[Array, "*shape"], label: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """exp(y) loss(p - y): a cell counts by its label, up to e times at the target (eq. 7).

    Args:
        loss: one of `REGRESSION_LOSSES`, or any other function of the error.
        response: p.
        label: y in [0, 1].
    """
    return jnp.exp(label) * loss(response - label)
