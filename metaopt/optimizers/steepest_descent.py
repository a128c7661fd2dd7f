"""Steepest descent with an exact step length: DiMP's rule."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from metaopt._objectives import Objective, require_curvature
from metaopt._pytree import Pytree
from metaopt._tree import add_scaled, sum_of_squares
from metaopt.optimizers._base import InnerOptimizer, register


class SteepestDescentState(Pytree):
    """Attributes: step_length, the last step length alpha, without the learned factor."""

    step_length: Float[Array, ""]


class SteepestDescent(InnerOptimizer):
    """Moves along the negative gradient to the minimum of a quadratic model.

    With g the gradient and Q the objective's curvature (Gauss-Newton for `LeastSquares`,
    generalized Gauss-Newton for `CompositeLoss`),

        alpha = g'g / g'Qg,    params <- params - exp(log_step) * alpha * g

    (Bhat et al., "Learning Discriminative Model Prediction for Tracking", ICCV 2019, eqs. 3 to 5
    and Algorithm 1; the learned factor exp(log_step) is their published code's.) Where g'Qg
    vanishes there is nothing left to fit, and the step and its derivative are zero.

    Args:
        log_step: scalar, the logarithm of a learned factor on the step length.
    """

    learned: ClassVar[bool] = False

    log_step: Float[Array, ""]

    def __init__(self, log_step: Scalar | float = 0.0) -> None:
        self._set(log_step=jnp.asarray(log_step, float))

    def init(self, params: PyTree) -> SteepestDescentState:
        return SteepestDescentState(jnp.zeros((), jnp.result_type(*jax.tree.leaves(params))))

    def step(
        self,
        objective: Objective,
        params: PyTree,
        state: SteepestDescentState,
        batch: PyTree,
    ) -> tuple[PyTree, SteepestDescentState]:
        curved = require_curvature(objective, "SteepestDescent")
        gradient, curvature = curved.quadratic(params, batch)
        step_length = _ratio(sum_of_squares(gradient), curvature(gradient))
        params = add_scaled(params, -jnp.exp(self.log_step) * step_length, gradient)
        return params, SteepestDescentState(step_length.astype(state.step_length.dtype))


def _ratio(numerator: Scalar, denominator: Scalar) -> Scalar:
    """The quotient, or zero with a zero derivative where the denominator all but vanishes."""
    # The derivative divides by the denominator's square, which must not underflow.
    vanishes = denominator < jnp.sqrt(jnp.finfo(denominator.dtype).tiny)
    return jnp.where(vanishes, 0.0, numerator / jnp.where(vanishes, 1.0, denominator))


@register("steepest_descent")
def _untrained(params: PyTree, *, steps: int, rate: float) -> SteepestDescent:
    return SteepestDescent()
