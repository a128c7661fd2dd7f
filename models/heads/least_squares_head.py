"""A linear head that is fitted to a few samples by regularized least squares, in steps or at once.

Its `residuals` are an objective for any inner optimizer, steepest descent among them:

    metaopt.LeastSquares(head)

and its `solution` is that objective's minimum in closed form.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

Weights = Float[Array, "features_and_1 outputs"]
Batch = tuple[Float[Array, "n features"], Float[Array, "n outputs"]]


class LeastSquaresHead(nnx.Module):
    """What is learned of the head once for all: its regularization, and the scale of its outputs.

    The weights are not part of it: they are what is fitted, with the bias as their last row.

        residuals = (x W - y, sqrt(reg) W),    outputs = scale * x W

    with x the features and a 1, y the targets (Bertinetto et al., "Meta-Learning with
    Differentiable Closed-Form Solvers", ICLR 2019, eq. 4 and section 3.3; the scale makes logits of
    what was fitted to zeros and ones).

    Args:
        regularization: initial value, positive.
        scale: initial value, positive.
    """

    def __init__(self, regularization: float = 1.0, scale: float = 1.0) -> None:
        self.log_regularization = nnx.Param(jnp.log(jnp.asarray(regularization, float)))
        self.log_scale = nnx.Param(jnp.log(jnp.asarray(scale, float)))

    def __call__(self, weights: Weights, batch: Batch) -> tuple[Float[Array, "n outputs"], Weights]:
        """The residuals, of which half the squared norm is the loss."""
        features, targets = batch
        root = jnp.exp(0.5 * self.log_regularization[...])
        return _with_ones(features) @ weights - targets, root * weights

    def solution(self, batch: Batch) -> Weights:
        """The weights at which the loss is least, by a system of the smaller of two sizes.

            W = (x'x + reg I)^-1 x'y = x'(xx' + reg I)^-1 y

        (the second by Woodbury's identity, eq. 6 of the paper).
        """
        features, y = batch
        x = _with_ones(features)
        regularization = jnp.exp(self.log_regularization[...])
        samples, size = x.shape
        if samples < size:
            return x.T @ jnp.linalg.solve(x @ x.T + regularization * jnp.eye(samples), y)
        return jnp.linalg.solve(x.T @ x + regularization * jnp.eye(size), x.T @ y)

    def predict(
        self, weights: Weights, features: Float[Array, "n features"]
    ) -> Float[Array, "n outputs"]:
        """The outputs for some features."""
        return jnp.exp(self.log_scale[...]) * (_with_ones(features) @ weights)


def _with_ones(features: Float[Array, "n features"]) -> Float[Array, "n features_and_1"]:
    return jnp.concatenate([features, jnp.ones((len(features), 1), features.dtype)], axis=1)
